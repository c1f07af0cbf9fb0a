/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: one byte ring, one thread that puts, one that takes. `head` counts bytes put, `tail` bytes taken, both for
 * ever; their difference is what is there. A slot is a length word, the event's head and its body, in one piece and 8-byte aligned;
 * where the piece would pass the end of the buffer, the length word says SKIP and the slot starts at the beginning again.
 *
 * The producer writes a slot and then publishes it by storing head (release); the consumer reads head (acquire), uses the slot in
 * place, and gives it back by storing tail (release), which the producer reads (acquire) only when its last known tail leaves no room.
 * Each thread keeps its own copies on a cache line of its own.
 *
 * Waking: the producer writes the eventfd once per batch. A consumer that polls the eventfd, clears it, and then empties the ring
 * misses nothing, since a slot published after that is followed by another wake. */
#include "agent/evring.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING_MIN (64u << 10)
#define SKIP UINT32_MAX
#define WORD sizeof(uint64_t)
#define LINE 64

struct evring {
	uint8_t *buf;
	uint64_t mask;
	int eventfd;
	/* producer's */
	_Alignas(LINE) uint64_t put;	/* == head */
	uint64_t known_tail;
	bool unsaid;			/* something was put since the last wake */
	/* consumer's */
	_Alignas(LINE) uint64_t taken;	/* == tail */
	uint64_t known_head;
	uint64_t slot;			/* bytes of the slot that peek returned */
	struct event event;
	/* shared */
	_Alignas(LINE) _Atomic uint64_t head;
	_Alignas(LINE) _Atomic uint64_t tail;
	_Alignas(LINE) _Atomic uint64_t dropped;
};

struct evring *evring_new(uint32_t bytes, int eventfd)
{
	struct evring *r;

	if (bytes < RING_MIN || bytes & (bytes - 1))
		return NULL;
	r = aligned_alloc(LINE, sizeof *r);
	if (!r)
		return NULL;
	memset(r, 0, sizeof *r);
	r->buf = aligned_alloc(LINE, bytes);
	if (!r->buf) {
		free(r);
		return NULL;
	}
	r->mask = bytes - 1;
	r->eventfd = eventfd;
	return r;
}

void evring_free(struct evring *r)
{
	if (!r)
		return;
	free(r->buf);
	free(r);
}

static bool room(struct evring *r, uint64_t need)
{
	if (need <= r->mask + 1 - (r->put - r->known_tail))
		return true;
	r->known_tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	return need <= r->mask + 1 - (r->put - r->known_tail);
}

bool evring_put(struct evring *r, const struct event *ev)
{
	uint64_t n = WORD + sizeof *ev + ((ev->body_len + 7ull) & ~7ull);
	uint64_t at = r->put & r->mask, end = r->mask + 1 - at, skip = end < n ? end : 0;
	uint32_t len = (uint32_t)n, over = SKIP;

	/* half the ring at most, so that a slot that has to skip the end still finds room */
	if (n > (r->mask + 1) / 2 || !room(r, skip + n)) {
		atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
		return false;
	}
	if (skip) {
		memcpy(r->buf + at, &over, sizeof over);
		at = 0;
	}
	memcpy(r->buf + at, &len, sizeof len);
	memcpy(r->buf + at + WORD, ev, sizeof *ev);
	if (ev->body_len)
		memcpy(r->buf + at + WORD + sizeof *ev, ev->body, ev->body_len);
	r->put += skip + n;
	r->unsaid = true;
	atomic_store_explicit(&r->head, r->put, memory_order_release);
	return true;
}

void evring_wake(struct evring *r)
{
	uint64_t one = 1;

	if (!r->unsaid)
		return;
	r->unsaid = false;
	/* EAGAIN means that the consumer has 2^64 wakes to look at already */
	if (r->eventfd >= 0 && write(r->eventfd, &one, sizeof one) < 0)
		return;
}

const struct event *evring_peek(struct evring *r)
{
	uint64_t at;
	uint32_t len;

	if (r->known_head == r->taken) {
		r->known_head = atomic_load_explicit(&r->head, memory_order_acquire);
		if (r->known_head == r->taken)
			return NULL;
	}
	at = r->taken & r->mask;
	memcpy(&len, r->buf + at, sizeof len);
	r->slot = 0;
	if (len == SKIP) {	/* the slot that follows was published with it */
		r->slot = r->mask + 1 - at;
		at = 0;
		memcpy(&len, r->buf, sizeof len);
	}
	r->slot += len;
	memcpy(&r->event, r->buf + at + WORD, sizeof r->event);
	r->event.body = r->buf + at + WORD + sizeof r->event;
	return &r->event;
}

void evring_pop(struct evring *r)
{
	r->taken += r->slot;
	r->slot = 0;
	atomic_store_explicit(&r->tail, r->taken, memory_order_release);
}

uint64_t evring_dropped(const struct evring *r) { return atomic_load_explicit(&r->dropped, memory_order_relaxed); }
