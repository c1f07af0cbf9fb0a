/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory: time is counted in ticks. A timer whose tick lies less than 256 ahead stands in level 0, in the slot of its tick;
 * less than 256^2 ahead in level 1, in the slot of its tick / 256; and so on. Advancing walks, on each level, the slots that
 * time has passed (each at most once, however far the jump) and takes their timers: those that are due go to the due list,
 * the others find their place again, always on a lower level or further on. Level L+1 is only looked at when its index moved.
 *
 * The slot of level 0 that belongs to the present tick holds only timers that were armed late: every advance empties it. */
#include "base/wheel.h"

#define SLOT_BITS 8
#define SLOT_MASK (WHEEL_SLOTS - 1)
#define HORIZON ((uint64_t)1 << (SLOT_BITS * WHEEL_LEVELS))

_Static_assert(1 << SLOT_BITS == WHEEL_SLOTS, "slots are a power of two");

static int64_t floor_div(int64_t a, int64_t b)
{
	int64_t q = a / b;

	return q - (a % b < 0);
}

/* First tick at which `when` has passed: a timer is never early. */
static int64_t tick_of(const struct wheel *w, int64_t when)
{
	int64_t q = when / w->tick;

	return q + (when % w->tick > 0);
}

static void push(struct wheel_timer **head, struct wheel_timer *t)
{
	t->next = *head;
	t->prev = head;
	if (t->next)
		t->next->prev = &t->next;
	*head = t;
}

static void unlink_timer(struct wheel_timer *t)
{
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->next = NULL;
	t->prev = NULL;
}

void wheel_init(struct wheel *w, int64_t tick_ns, int64_t now_ns)
{
	*w = (struct wheel){ .tick = tick_ns };
	w->now = floor_div(now_ns, tick_ns);
}

/* Puts an unlinked timer where its time wants it. */
static void place(struct wheel *w, struct wheel_timer *t)
{
	int64_t e = tick_of(w, t->when);
	uint64_t ahead = (uint64_t)e - (uint64_t)w->now;	/* cannot wrap as a difference of signed ones can */
	unsigned level = 0;

	if (e <= w->now) {
		push(&w->slot[0][w->now & SLOT_MASK], t);
		return;
	}
	if (ahead >= HORIZON) {
		ahead = HORIZON - 1;
		e = w->now + (int64_t)ahead;
		t->when = e * w->tick;
	}
	while (ahead >> (SLOT_BITS * (level + 1)))
		level++;
	push(&w->slot[level][(e >> (SLOT_BITS * level)) & SLOT_MASK], t);
}

void wheel_arm(struct wheel *w, struct wheel_timer *t, int64_t when_ns)
{
	wheel_cancel(t);
	t->when = when_ns;
	place(w, t);
}

void wheel_cancel(struct wheel_timer *t)
{
	if (t->prev)
		unlink_timer(t);
}

/* Takes a slot's timers: due ones to the due list, others to their new place (never this slot again at a time not passed). */
static void empty_slot(struct wheel *w, struct wheel_timer **slot)
{
	struct wheel_timer *t = *slot, *next;

	*slot = NULL;
	for (; t; t = next) {
		next = t->next;
		t->next = NULL;
		t->prev = NULL;
		if (tick_of(w, t->when) <= w->now)
			push(&w->due, t);
		else
			place(w, t);
	}
}

void wheel_advance(struct wheel *w, int64_t now_ns)
{
	int64_t old = w->now, new = floor_div(now_ns, w->tick);

	empty_slot(w, &w->slot[0][old & SLOT_MASK]);
	if (new <= old)
		return;
	w->now = new;
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		int64_t from = old >> (SLOT_BITS * level), to = new >> (SLOT_BITS * level);

		if (from == to)
			break;
		if ((uint64_t)to - (uint64_t)from > WHEEL_SLOTS)
			from = to - WHEEL_SLOTS;
		while (from < to)
			empty_slot(w, &w->slot[level][++from & SLOT_MASK]);
	}
}

struct wheel_timer *wheel_next_due(struct wheel *w)
{
	struct wheel_timer *t = w->due;

	if (t)
		unlink_timer(t);
	return t;
}
