/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/waiting.h"
#include "tests/unit/unit.h"

#define FDS (WAITING_NEAR + 4)

struct set {
	struct waiting w;
	struct waiter a[FDS];
	int fd[FDS];
};

static void set_up(struct set *s)
{
	CU_ASSERT_EQUAL_FATAL(waiting_open(&s->w), 0);
	for (int i = 0; i < FDS; i++) {
		s->fd[i] = eventfd(0, EFD_NONBLOCK);
		CU_ASSERT_EQUAL_FATAL(waiting_add(&s->w, &s->a[i], s->fd[i]), 0);
	}
}

static void tear_down(struct set *s)
{
	for (int i = 0; i < FDS; i++) {
		waiting_remove(&s->w, &s->a[i]);
		close(s->fd[i]);
	}
	waiting_close(&s->w);
	waiting_close(&s->w);
}

static void say(struct set *s, int i)
{
	uint64_t one = 1;

	CU_ASSERT_EQUAL(write(s->fd[i], &one, sizeof one), (ssize_t)sizeof one);
}

static void hear(struct set *s, int i)
{
	uint64_t n;

	CU_ASSERT_EQUAL(read(s->fd[i], &n, sizeof n), (ssize_t)sizeof n);
}

/* Bits of those that are ready now. */
static unsigned ready(struct set *s, unsigned max)
{
	struct waiter *out[FDS];
	unsigned n = waiting_ready(&s->w, out, max, 0), bits = 0;

	CU_ASSERT_TRUE_FATAL(n <= max);
	for (unsigned i = 0; i < n; i++) {
		CU_ASSERT_TRUE_FATAL(out[i] >= s->a && out[i] < s->a + FDS);
		CU_ASSERT_EQUAL(bits & 1u << (out[i] - s->a), 0);	/* each once */
		bits |= 1u << (out[i] - s->a);
	}
	return bits;
}

/* Whoever has something is told, near or not, as long as it has. */
static void all_are_told(void)
{
	struct set s;
	unsigned near_seen = 0;

	set_up(&s);
	CU_ASSERT_EQUAL(ready(&s, FDS), 0);
	for (int round = 0; round < 200; round++) {
		unsigned want = (unsigned)rand() & ((1u << FDS) - 1);

		for (int i = 0; i < FDS; i++)
			if (want & 1u << i)
				say(&s, i);
		CU_ASSERT_EQUAL(ready(&s, FDS), want);
		CU_ASSERT_EQUAL(ready(&s, FDS), want);
		for (int i = 0; i < FDS; i++)
			if (want & 1u << i)
				hear(&s, i);
		CU_ASSERT_EQUAL(ready(&s, FDS), 0);
		near_seen |= 1u << s.w.nnear;
		if (round % 3 == 2)
			waiting_tick(&s.w);
	}
	CU_ASSERT_TRUE(near_seen & 1u << WAITING_NEAR);		/* all places were taken, and more were busy */
	tear_down(&s);
}

static void busy_ones_come_near_and_go(void)
{
	struct set s;

	set_up(&s);
	say(&s, 3);
	for (int i = 0; i < WAITING_BUSY; i++) {
		CU_ASSERT_FALSE(s.a[3].near);
		CU_ASSERT_EQUAL(ready(&s, FDS), 1u << 3);
	}
	CU_ASSERT_TRUE(s.a[3].near);
	say(&s, 5);		/* of the set, told in the same wait */
	CU_ASSERT_EQUAL(ready(&s, FDS), 1u << 3 | 1u << 5);
	CU_ASSERT_FALSE(s.a[5].near);
	hear(&s, 5);
	waiting_tick(&s.w);
	CU_ASSERT_TRUE(s.a[3].near);	/* it was busy in that tick */
	hear(&s, 3);
	waiting_tick(&s.w);
	CU_ASSERT_FALSE(s.a[3].near);
	CU_ASSERT_EQUAL(s.w.nnear, 0);
	say(&s, 3);
	CU_ASSERT_EQUAL(ready(&s, FDS), 1u << 3);	/* back in the set */
	tear_down(&s);
}

/* What was ready in other ticks does not count. */
static void seldom_ready_stays_in_the_set(void)
{
	struct set s;

	set_up(&s);
	say(&s, 0);
	for (int i = 0; i < 10 * WAITING_BUSY; i++) {
		CU_ASSERT_EQUAL(ready(&s, FDS), 1);
		CU_ASSERT_FALSE(s.a[0].near);
		waiting_tick(&s.w);
	}
	tear_down(&s);
}

static void removed_ones_are_not_told(void)
{
	struct set s;

	set_up(&s);
	say(&s, 1);
	say(&s, 2);
	for (int i = 0; i < WAITING_BUSY; i++)
		CU_ASSERT_EQUAL(ready(&s, FDS), 1u << 1 | 1u << 2);
	CU_ASSERT_TRUE(s.a[1].near && s.a[2].near);
	waiting_remove(&s.w, &s.a[1]);
	CU_ASSERT_EQUAL(ready(&s, FDS), 1u << 2);
	waiting_tick(&s.w);
	hear(&s, 2);
	waiting_tick(&s.w);
	say(&s, 2);
	waiting_remove(&s.w, &s.a[2]);	/* in the set again */
	waiting_remove(&s.w, &s.a[2]);
	CU_ASSERT_EQUAL(ready(&s, FDS), 0);
	CU_ASSERT_EQUAL(waiting_add(&s.w, &s.a[2], s.fd[2]), 0);
	CU_ASSERT_EQUAL(ready(&s, FDS), 1u << 2);
	tear_down(&s);
}

/* No more than asked for; who was left out is told next. */
static void few_at_a_time(void)
{
	struct set s;
	unsigned seen = 0;

	set_up(&s);
	for (int i = 0; i < FDS; i++)
		say(&s, i);
	for (int i = 0; i < 4 * FDS && seen != (1u << FDS) - 1; i++) {
		unsigned bits = ready(&s, WAITING_NEAR + 1);

		CU_ASSERT_TRUE(bits != 0);
		for (int k = 0; k < FDS; k++)
			if (bits & 1u << k)
				hear(&s, k);
		seen |= bits;
	}
	CU_ASSERT_EQUAL(seen, (1u << FDS) - 1);
	tear_down(&s);
}

static void errors_are_told(void)
{
	struct waiting w;
	struct waiter a, *out[1];
	int p[2];

	CU_ASSERT_EQUAL_FATAL(waiting_open(&w), 0);
	CU_ASSERT_TRUE(waiting_add(&w, &a, -1) < 0);
	waiting_remove(&w, &a);
	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	CU_ASSERT_EQUAL(waiting_add(&w, &a, p[0]), 0);
	CU_ASSERT_EQUAL(waiting_ready(&w, out, 1, 0), 0);
	close(p[1]);		/* its end: nothing to read, for ever */
	for (int i = 0; i < 2 * WAITING_BUSY; i++)
		CU_ASSERT_EQUAL(waiting_ready(&w, out, 1, 0), 1);
	CU_ASSERT_TRUE(a.near);
	waiting_remove(&w, &a);
	close(p[0]);
	waiting_close(&w);
}

const struct unit_test tests_waiting[] = {
	{ "all are told", all_are_told },
	{ "busy ones come near and go", busy_ones_come_near_and_go },
	{ "seldom ready stays in the set", seldom_ready_stays_in_the_set },
	{ "removed ones are not told", removed_ones_are_not_told },
	{ "few at a time", few_at_a_time },
	{ "errors are told", errors_are_told },
	{ 0 },
};
