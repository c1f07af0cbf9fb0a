/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verdict messages against a model of the kernel's queue: whatever the order of answers, each packet gets the verdict it was given. */
#include <stdlib.h>
#include <string.h>

#include "nfq/verdicts.h"
#include "tests/unit/unit.h"

#define IDS 4096u	/* ids of one run, from `base` on */

enum { ABSENT, WAITING, ACCEPTED, DROPPED };

struct kernel {
	uint32_t base, n;		/* ids base .. base + n - 1 were queued */
	uint8_t is[IDS];
	uint8_t meant[IDS];
	unsigned messages, batches, wrong, missing;
};

static void on_message(void *ctx, enum verdict_kind kind, uint32_t id)
{
	struct kernel *k = ctx;
	uint32_t at = id - k->base;

	k->messages++;
	if (kind == VERDICTS_ACCEPT_UP_TO) {
		k->batches++;
		for (uint32_t i = 0; i < k->n && i <= at; i++) {
			if (k->is[i] != WAITING)
				continue;
			k->is[i] = ACCEPTED;
			k->wrong += k->meant[i] != ACCEPTED;
		}
		return;
	}
	if (at >= k->n || k->is[at] != WAITING) {
		k->missing++;
		return;
	}
	k->is[at] = kind == VERDICTS_DROP ? DROPPED : ACCEPTED;
	k->wrong += k->is[at] != k->meant[at];
}

static uint32_t random_below(uint32_t *x, uint32_t n)
{
	*x = *x * 1664525u + 1013904223u;
	return (*x >> 8) % n;
}

/* keep: how many frames may be under way at most before some are answered. */
static void run(uint32_t window, uint32_t base, unsigned keep, unsigned drop_percent, uint32_t seed)
{
	static struct kernel k;
	struct verdicts v;
	uint32_t held[IDS], nheld = 0;
	uint64_t gaps = 0, told = 0;

	memset(&k, 0, sizeof k);
	k.base = base;
	CU_ASSERT_EQUAL_FATAL(verdicts_init(&v, window), 0);
	v.head = v.next = base;
	while (k.n < IDS || nheld) {
		if (k.n < IDS && nheld < keep && random_below(&seed, 3)) {
			uint32_t at = k.n++;
			int64_t gap;

			if (random_below(&seed, 20) == 0) {	/* the kernel could not hand it over */
				gaps += at + 1 < IDS;
				k.is[at] = ABSENT;
				if (at + 1 == IDS)
					continue;
				at = k.n++;
			}
			k.is[at] = WAITING;
			gap = verdicts_received(&v, base + at, on_message, &k);
			CU_ASSERT_FATAL(gap >= 0);
			told += (uint64_t)gap;
			held[nheld++] = at;
		} else if (nheld) {
			uint32_t i = random_below(&seed, nheld), at = held[i];
			bool accept = random_below(&seed, 100) >= drop_percent;

			held[i] = held[--nheld];
			k.meant[at] = accept ? ACCEPTED : DROPPED;
			CU_ASSERT(verdicts_answer(&v, base + at, accept ? VERDICTS_ACCEPT : VERDICTS_DROP, on_message, &k));
		}
		if (random_below(&seed, 40) == 0)
			verdicts_flush(&v, on_message, &k);
	}
	verdicts_flush(&v, on_message, &k);
	CU_ASSERT_EQUAL(k.wrong, 0);
	CU_ASSERT_EQUAL(k.missing, 0);
	CU_ASSERT_EQUAL(told, gaps);
	for (uint32_t i = 0; i < k.n; i++)
		CU_ASSERT(k.is[i] == ABSENT || k.is[i] == k.meant[i]);
	CU_ASSERT_EQUAL(v.late + v.gathered + v.lost, 0);
	verdicts_free(&v);
}

static void test_any_order(void)
{
	for (uint32_t seed = 1; seed <= 60; seed++) {
		run(8192, 1, 1 + seed * 7, seed % 4 * 20, seed);
		run(64, 1, 1 + seed * 3, seed % 4 * 20, seed);		/* smaller than what is under way: the window overflows */
		run(16, 0u - 2000u, 200, 10, seed);			/* ids wrap around */
	}
}

static void test_in_order_is_one_message(void)
{
	static struct kernel k;
	struct verdicts v;

	memset(&k, 0, sizeof k);
	k.base = 1;
	CU_ASSERT_EQUAL_FATAL(verdicts_init(&v, 1024), 0);
	for (uint32_t i = 0; i < 50; i++) {
		k.is[k.n++] = WAITING;
		k.meant[i] = i == 20 ? DROPPED : ACCEPTED;
		verdicts_received(&v, i + 1, on_message, &k);
		verdicts_answer(&v, i + 1, i != 20 ? VERDICTS_ACCEPT : VERDICTS_DROP, on_message, &k);
	}
	CU_ASSERT_EQUAL(v.gathered, 49);
	verdicts_flush(&v, on_message, &k);
	CU_ASSERT_EQUAL(k.messages, 2);		/* the drop, then one batch over all */
	CU_ASSERT_EQUAL(k.batches, 1);
	CU_ASSERT_EQUAL(k.wrong + k.missing, 0);
	verdicts_free(&v);
}

static void test_waiting_holds_the_batch_back(void)
{
	static struct kernel k;
	struct verdicts v;

	memset(&k, 0, sizeof k);
	k.base = 1;
	verdicts_init(&v, 1024);
	for (uint32_t i = 0; i < 3; i++) {
		k.is[k.n++] = WAITING;
		verdicts_received(&v, i + 1, on_message, &k);
	}
	k.meant[0] = k.meant[2] = ACCEPTED;
	k.meant[1] = DROPPED;
	verdicts_answer(&v, 1, VERDICTS_ACCEPT, on_message, &k);
	verdicts_answer(&v, 3, VERDICTS_ACCEPT, on_message, &k);
	verdicts_flush(&v, on_message, &k);
	CU_ASSERT_EQUAL(k.is[0], ACCEPTED);
	CU_ASSERT_EQUAL(k.is[1], WAITING);	/* somebody else still looks at it */
	CU_ASSERT_EQUAL(k.is[2], ACCEPTED);
	verdicts_answer(&v, 2, VERDICTS_DROP, on_message, &k);
	CU_ASSERT_EQUAL(k.is[1], DROPPED);
	CU_ASSERT_FALSE(verdicts_answer(&v, 2, VERDICTS_ACCEPT, on_message, &k));	/* a second answer */
	CU_ASSERT_FALSE(verdicts_answer(&v, 9, VERDICTS_ACCEPT, on_message, &k));	/* never received */
	CU_ASSERT_EQUAL(k.wrong + k.missing, 0);
	verdicts_free(&v);
}

static void test_gaps(void)
{
	static struct kernel k;
	struct verdicts v;

	memset(&k, 0, sizeof k);
	k.base = 1;
	k.n = 1;
	verdicts_init(&v, 16);
	CU_ASSERT_EQUAL(verdicts_received(&v, 1, on_message, &k), 0);
	CU_ASSERT_EQUAL(verdicts_received(&v, 5, on_message, &k), 3);
	CU_ASSERT_EQUAL(verdicts_received(&v, 5, on_message, &k), -1);		/* not newer */
	CU_ASSERT_EQUAL(verdicts_received(&v, 1005, on_message, &k), 999);	/* more than the window */
	CU_ASSERT_EQUAL(v.lost, 2);
	k.meant[0] = DROPPED;
	k.is[0] = WAITING;
	CU_ASSERT(verdicts_answer(&v, 1, VERDICTS_DROP, on_message, &k));
	CU_ASSERT_EQUAL(k.is[0], DROPPED);
	CU_ASSERT_EQUAL(v.lost, 1);
	verdicts_free(&v);
}

const struct unit_test tests_verdicts[] = {
	{ "any order of answers, gaps, windows too small, ids that wrap", test_any_order },
	{ "answers in order cost one message", test_in_order_is_one_message },
	{ "a packet that waits holds the batch back, not the others", test_waiting_holds_the_batch_back },
	{ "ids that were never received", test_gaps },
	{ NULL, NULL },
};
