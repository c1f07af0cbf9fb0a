/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of denied flows at its cap. What filters do with flows: lab test_enforce, unit tc. */
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

#include "agent/enforce.h"
#include "tests/unit/unit.h"

#define MORE 1000u
#define ROUNDS 20000	/* of half a millisecond */

static void pause_shortly(void) { nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL); }

/* Of nobody's workload here: no filters. VERDICT_DROP: nobody is told. */
static struct dpi_refused flow(uint32_t i)
{
	struct dpi_refused r = { .tuple = { .sport = (uint16_t)i, .dport = 80, .ipproto = IPPROTO_TCP }, .verdict = VERDICT_DROP, .ts = 1 };

	addr_parse("10.0.0.1", &r.tuple.src);
	addr_parse("10.0.0.2", &r.tuple.dst);
	r.tuple.src.b[13] = (uint8_t)(i >> 16);
	return r;
}

static bool refuse(struct enforce *e, uint32_t i)
{
	struct dpi_refused r = flow(i);

	for (int k = 0; k < ROUNDS && !enforce_room(e, 0); k++) {
		enforce_wake(e, 0);
		pause_shortly();
	}
	return enforce_refused(e, 0, &r);
}

static void test_full(void)
{
	struct err err = { "" };
	struct enforce *e = enforce_start(1, 0, &err);
	const uint64_t *c;

	if (!e) {
		printf("    skipped: %s\n", err.text);
		return;
	}
	c = enforce_counters(e);
	for (uint32_t i = 0; i < ENFORCE_FLOWS_MAX + MORE; i++)
		CU_ASSERT_FATAL(refuse(e, i));
	enforce_wake(e, 0);
	for (int k = 0; k < ROUNDS && counter_get(&c[ENFORCE_C_NOWHERE]) < ENFORCE_FLOWS_MAX + MORE; k++)
		pause_shortly();
	CU_ASSERT_EQUAL(counter_get(&c[ENFORCE_C_NOWHERE]), ENFORCE_FLOWS_MAX + MORE);
	CU_ASSERT_EQUAL(counter_get(&c[ENFORCE_C_EVICTED]), MORE);
	CU_ASSERT_EQUAL(counter_get(&c[ENFORCE_C_FAILED]), 0);
	CU_ASSERT(*enforce_able(e));
	CU_ASSERT(refuse(e, MORE));	/* the oldest that is left: known, no new one */
	CU_ASSERT(refuse(e, 0));	/* one that made room: new */
	enforce_wake(e, 0);
	for (int k = 0; k < ROUNDS && counter_get(&c[ENFORCE_C_NOWHERE]) < ENFORCE_FLOWS_MAX + MORE + 1; k++)
		pause_shortly();
	CU_ASSERT_EQUAL(counter_get(&c[ENFORCE_C_NOWHERE]), ENFORCE_FLOWS_MAX + MORE + 1);
	CU_ASSERT_EQUAL(counter_get(&c[ENFORCE_C_EVICTED]), MORE + 1);
	enforce_stop(e);
}

/* Refusals come faster than they are carried out: those that find no room come again. The end of a flow is said once, and heard. */
static void test_end_in_a_flood(void)
{
	struct err err = { "" };
	struct enforce *e = enforce_start(1, 0, &err);
	struct dpi_refused r = flow(1);
	uint32_t n = 1;

	if (!e) {
		printf("    skipped: %s\n", err.text);
		return;
	}
	do
		r = flow(n++);
	while (enforce_refused(e, 0, &r));
	n -= 2;
	CU_ASSERT(n > 1000 && enforce_refusals_lost(e) == 1 && !enforce_room(e, 0));
	r = flow(1);
	enforce_released(e, 0, &r.tuple);
	CU_ASSERT_EQUAL(enforce_refusals_lost(e), 1);
	enforce_wake(e, 0);
	for (int k = 0; k < ROUNDS && !enforce_room(e, 0); k++)
		pause_shortly();
	CU_ASSERT(refuse(e, 1));	/* it is another one */
	enforce_wake(e, 0);
	for (int k = 0; k < ROUNDS / 20 && counter_get(&enforce_counters(e)[ENFORCE_C_NOWHERE]) < n + 1; k++)
		pause_shortly();
	CU_ASSERT_EQUAL(counter_get(&enforce_counters(e)[ENFORCE_C_NOWHERE]), n + 1);
	enforce_stop(e);
}

const struct unit_test tests_enforce[] = {
	{ "a full table: the oldest make room", test_full },
	{ "the end of a flow in a flood of refusals", test_end_in_a_flood },
	{ NULL, NULL },
};
