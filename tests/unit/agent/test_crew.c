/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "agent/crew.h"
#include "tests/unit/unit.h"

#define MANY 1000

struct seen {
	unsigned times[MANY];
	pthread_t thread[MANY];
	unsigned inside, most;
};

static void job(void *ctx, unsigned i)
{
	struct seen *s = ctx;
	unsigned n = __atomic_add_fetch(&s->inside, 1, __ATOMIC_SEQ_CST), most = __atomic_load_n(&s->most, __ATOMIC_SEQ_CST);

	while (n > most && !__atomic_compare_exchange_n(&s->most, &most, n, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	nanosleep(&(struct timespec){ 0, 100000 }, NULL);
	__atomic_add_fetch(&s->times[i], 1, __ATOMIC_SEQ_CST);
	s->thread[i] = pthread_self();
	__atomic_sub_fetch(&s->inside, 1, __ATOMIC_SEQ_CST);
}

static void test_each_once(void)
{
	static const unsigned counts[] = { 0, 1, 2, CREW_MAX, CREW_MAX + 1, MANY };
	static struct seen s;

	for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
		memset(&s, 0, sizeof s);
		crew_run(counts[k], job, &s);
		for (unsigned i = 0; i < MANY; i++)
			CU_ASSERT_EQUAL(s.times[i], i < counts[k]);
		CU_ASSERT_EQUAL(s.inside, 0);
		CU_ASSERT(s.most <= CREW_MAX);
	}
	CU_ASSERT(s.most > 1);
}

/* One workload needs no thread. */
static void test_alone(void)
{
	static struct seen s;

	crew_run(1, job, &s);
	CU_ASSERT(s.times[0] == 1 && pthread_equal(s.thread[0], pthread_self()));
}

const struct unit_test tests_crew[] = {
	{ "each once, side by side", test_each_once },
	{ "one on the caller's thread", test_alone },
	{ NULL, NULL },
};
