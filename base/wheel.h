/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wheel: a hashed hierarchical timer wheel; arming, moving and cancelling are O(1),
 * advancing costs O(expired + slots passed).
 *
 * Time comes in as a parameter (ns, any monotone clock of the caller's). Timers are
 * intrusive: embed a `struct wheel_timer` and find its owner by container_of. */
#ifndef TQ_BASE_WHEEL_H
#define TQ_BASE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

struct wheel_timer {
	struct wheel_timer *next, **prev;	/* prev NULL: not armed */
	int64_t when;				/* ns */
};

#define WHEEL_LEVELS 4
#define WHEEL_SLOTS 256		/* per level; level 0 has one slot per tick */

struct wheel {
	int64_t tick;		/* ns per slot of level 0 */
	int64_t now;		/* last time advanced to, in ticks */
	struct wheel_timer *slot[WHEEL_LEVELS][WHEEL_SLOTS];
	struct wheel_timer *due;	/* expired, not yet taken */
};

/* tick_ns > 0; now_ns is the caller's time. Times beyond the horizon
 * (256^4 ticks) are clamped to it. */
void wheel_init(struct wheel *w, int64_t tick_ns, int64_t now_ns);

/* Arms or re-arms. A time that has passed already expires at the next advance. */
void wheel_arm(struct wheel *w, struct wheel_timer *t, int64_t when_ns);
void wheel_cancel(struct wheel_timer *t);	/* not armed is fine */
static inline bool wheel_armed(const struct wheel_timer *t) { return t->prev != NULL; }

/* Moves time on; expired timers gather in the due list. Time going backwards is ignored. */
void wheel_advance(struct wheel *w, int64_t now_ns);

/* Takes one expired timer (now not armed), or NULL. Bounded work per call, so the
 * caller decides how many it handles at a time. */
struct wheel_timer *wheel_next_due(struct wheel *w);

#endif
