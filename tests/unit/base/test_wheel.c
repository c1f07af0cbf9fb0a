/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/wheel.h"
#include "tests/unit/unit.h"

#define N 600

struct mine {
	struct wheel_timer t;
	int64_t when;		/* what the model thinks; -1: not armed */
	bool due;
};

static struct mine timers[N];

static int64_t ceil_tick(int64_t ns, int64_t tick) { return ns >= 0 ? (ns + tick - 1) / tick : -(-ns / tick); }
static int64_t floor_tick(int64_t ns, int64_t tick) { return ns >= 0 ? ns / tick : -((-ns + tick - 1) / tick); }

static int64_t rnd(int64_t below)
{
	return (int64_t)(((uint64_t)random() << 31 | (uint64_t)random()) % (uint64_t)below);
}

/* What the wheel hands out after an advance must be exactly what the model says is due. */
static unsigned take_all(struct wheel *w)
{
	struct wheel_timer *t;
	unsigned n = 0;

	while ((t = wheel_next_due(w))) {
		struct mine *m = container_of(t, struct mine, t);

		CU_ASSERT_FATAL(m->due);
		CU_ASSERT_FALSE(wheel_armed(t));
		m->due = false;
		n++;
	}
	for (unsigned i = 0; i < N; i++)
		CU_ASSERT_FATAL(!timers[i].due);
	return n;
}

/* Random arming, moving, cancelling and advancing. span: how far timers lie; jump: how far time goes at once. */
static unsigned run(int64_t tick, int64_t start, int64_t span, int64_t jump, unsigned ops)
{
	struct wheel *w = malloc(sizeof *w);
	int64_t now = start;
	unsigned expired = 0;

	memset(timers, 0, sizeof timers);
	for (unsigned i = 0; i < N; i++)
		timers[i].when = -1;
	wheel_init(w, tick, now);
	for (unsigned op = 0; op < ops; op++) {
		struct mine *m = &timers[random() % N];
		unsigned what = (unsigned)random() % 16;

		if (what < 10) {
			int64_t scale = random() & 1 ? span : span >> (random() % 30);

			m->when = now + rnd(scale ? scale : 1) - (what == 0 ? 5 * tick : 0);
			wheel_arm(w, &m->t, m->when);
			CU_ASSERT_FATAL(wheel_armed(&m->t));
			m->due = false;
		} else if (what < 12) {
			wheel_cancel(&m->t);
			CU_ASSERT_FATAL(!wheel_armed(&m->t));
			m->when = -1;
		} else {
			int64_t scale = what == 15 ? jump : 3 * tick;

			now += what == 14 ? -rnd(3 * tick) : rnd(scale);
			wheel_advance(w, now);
			for (unsigned i = 0; i < N; i++) {
				if (timers[i].when == -1 || ceil_tick(timers[i].when, tick) > w->now)
					continue;
				timers[i].due = true;
				timers[i].when = -1;
			}
			if (what != 14)
				CU_ASSERT_FATAL(w->now >= floor_tick(now, tick));
			expired += take_all(w);
		}
	}
	free(w);
	return expired;
}

static void test_random(void)
{
	const int64_t ms = 1000000;

	srandom(11);
	CU_ASSERT(run(ms, 0, 300 * ms, 50 * ms, 30000) > 1000);
	CU_ASSERT(run(10 * ms, 1767225600000000000LL, 100000 * ms, 20000 * ms, 30000) > 1000);
	CU_ASSERT(run(ms, 12345, 70000 * ms, 400000 * ms, 20000) > 1000);
	CU_ASSERT(run(1, 7, 1LL << 31, 1LL << 30, 20000) > 1000);
	CU_ASSERT(run(7, -5000, 1LL << 24, 1LL << 20, 20000) > 1000);	/* clocks may start below zero */
}

/* Each distance around the edges of the levels expires at its tick, not one before and not one after. */
static void test_exact(void)
{
	static const int64_t edges[] = { 1, 255, 256, 257, 511, 512, 65535, 65536, 65537, 131072, 16777215, 16777216, 16777217 };
	struct wheel *w = malloc(sizeof *w);

	for (unsigned start = 0; start < 700; start += 37) {
		for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
			struct wheel_timer t = { 0 };

			wheel_init(w, 10, start * 10);
			wheel_arm(w, &t, (start + edges[i]) * 10 - 3);	/* inside the tick before: never early */
			wheel_advance(w, (start + edges[i]) * 10 - 4);
			CU_ASSERT_PTR_NULL(wheel_next_due(w));
			wheel_advance(w, (start + edges[i]) * 10);
			CU_ASSERT_PTR_EQUAL(wheel_next_due(w), &t);
		}
	}
	free(w);
}

static void test_far(void)
{
	struct wheel *w = malloc(sizeof *w);
	struct wheel_timer t = { 0 }, u = { 0 };
	const int64_t horizon = 1LL << 32;

	wheel_init(w, 1, 0);
	wheel_arm(w, &t, horizon * 5);		/* clamped to the horizon */
	wheel_arm(w, &u, INT64_MAX);
	wheel_advance(w, horizon - 2);
	CU_ASSERT_PTR_NULL(wheel_next_due(w));
	wheel_advance(w, horizon);
	CU_ASSERT_PTR_NOT_NULL(wheel_next_due(w));
	CU_ASSERT_PTR_NOT_NULL(wheel_next_due(w));
	CU_ASSERT_PTR_NULL(wheel_next_due(w));
	/* a jump over everything visits each slot once: it ends, and at once */
	wheel_arm(w, &t, horizon + 1000000);
	wheel_advance(w, INT64_MAX);
	CU_ASSERT_PTR_EQUAL(wheel_next_due(w), &t);
	free(w);
}

/* Time costs what expires: while others expire, those that lie far ahead are not touched, however many they are (their pages cannot be). */
static void test_far_ones_rest(void)
{
	const unsigned far = 16384, near = 1000;
	const size_t bytes = far * sizeof(struct wheel_timer);
	struct wheel_timer *f = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *n = calloc(near, sizeof *n);
	struct wheel *w = malloc(sizeof *w);
	unsigned expired = 0;

	CU_ASSERT_FATAL(f != MAP_FAILED && n && w);
	wheel_init(w, 1, 0);
	for (unsigned i = 0; i < far; i++)
		wheel_arm(w, &f[i], (1 << 17) + i);
	for (unsigned i = 0; i < near; i++)
		wheel_arm(w, &n[i], 1 + i * 65);
	CU_ASSERT_EQUAL_FATAL(mprotect(f, bytes, PROT_NONE), 0);
	for (int64_t now = 1; now <= 1 << 16; now++)
		for (wheel_advance(w, now); wheel_next_due(w); expired++)
			;
	CU_ASSERT_EQUAL(expired, near);
	CU_ASSERT_EQUAL_FATAL(mprotect(f, bytes, PROT_READ | PROT_WRITE), 0);
	for (wheel_advance(w, (1 << 17) + far); wheel_next_due(w); expired++)
		;
	CU_ASSERT_EQUAL(expired, near + far);
	munmap(f, bytes);
	free(n);
	free(w);
}

static void test_due_list(void)
{
	struct wheel *w = malloc(sizeof *w);
	struct wheel_timer t[4] = { { 0 } };

	wheel_init(w, 1000, 0);
	for (int i = 0; i < 4; i++)
		wheel_arm(w, &t[i], 1000);
	wheel_advance(w, 5000);
	wheel_cancel(&t[1]);			/* due, not taken yet */
	wheel_arm(w, &t[2], 9000);		/* moved away from the due list */
	CU_ASSERT_TRUE(wheel_armed(&t[0]));
	CU_ASSERT_PTR_NOT_NULL(wheel_next_due(w));
	CU_ASSERT_PTR_NOT_NULL(wheel_next_due(w));
	CU_ASSERT_PTR_NULL(wheel_next_due(w));
	wheel_arm(w, &t[0], 4000);		/* in the past: at the next advance, even if time stands */
	CU_ASSERT_PTR_NULL(wheel_next_due(w));
	wheel_advance(w, 5000);
	CU_ASSERT_PTR_EQUAL(wheel_next_due(w), &t[0]);
	wheel_arm(w, &t[0], 4000);
	wheel_advance(w, 100);			/* or goes back */
	CU_ASSERT_PTR_EQUAL(wheel_next_due(w), &t[0]);
	CU_ASSERT_EQUAL(w->now, 5);
	wheel_advance(w, 9000);
	CU_ASSERT_PTR_EQUAL(wheel_next_due(w), &t[2]);
	wheel_cancel(&t[2]);			/* not armed */
	free(w);
}

const struct unit_test tests_wheel[] = {
	{ "random operations against a list", test_random },
	{ "exact at the edges of the levels", test_exact },
	{ "horizon and jumps", test_far },
	{ "far ones rest while others expire", test_far_ones_rest },
	{ "the due list, and times that have passed", test_due_list },
	{ 0 },
};
