/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spsc: messages from one thread to one other: a single-producer single-consumer byte ring.
 *
 * The producer copies (memcpy) and never waits: a message that finds no room is refused and counted. The consumer uses a
 * message in place. It is woken by an eventfd that the producer writes once per batch (spsc_wake). */
#ifndef TQ_BASE_SPSC_H
#define TQ_BASE_SPSC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spsc;

/* bytes: a power of two, >= 64 KiB; a message may take half of it. eventfd: borrowed; -1: nobody is woken. NULL: no memory, or a bad size. */
struct spsc *spsc_new(uint32_t bytes, int eventfd);
void spsc_free(struct spsc *);		/* NULL is fine */

/* Producer. head and body become one message; nhead is a multiple of 8. False: refused and counted. */
bool spsc_put(struct spsc *, const void *head, size_t nhead, const void *body, size_t nbody);
bool spsc_room(struct spsc *, size_t bytes);	/* messages that take so much in all, a word for each included, would find room */
bool spsc_crowded(struct spsc *);		/* more than half of it is full: who can wait should */
void spsc_wake(struct spsc *);		/* after a batch: wakes the consumer if anything was put since the last time */

/* Consumer. The oldest message, 8-byte aligned, valid until spsc_pop; *n: its length. NULL: empty. */
const void *spsc_peek(struct spsc *, size_t *n);
void spsc_pop(struct spsc *);		/* of a message that was peeked */
/* doze: it looks again by itself soon, and need not be woken before half of the ring is full. Not: it sleeps until it is woken, which is how it begins.
 * True: the ring is empty, so that it may sleep. */
bool spsc_doze(struct spsc *, bool doze);

uint64_t spsc_refused(const struct spsc *);	/* any thread */

#endif
