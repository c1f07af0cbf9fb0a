/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: one byte ring, one thread that puts, one that takes. `head` counts bytes put, `tail` bytes taken, both for
 * ever; their difference is what is there. A slot is a word with the message's length and the message, 8-byte aligned and in one
 * piece; where it would pass the end of the buffer, the word says SKIP and the slot starts at the beginning again.
 *
 * The producer writes a slot and then publishes it by storing head (release); the consumer reads head (acquire), uses the slot in
 * place, and gives it back by storing tail (release), which the producer reads (acquire) only when its last known tail leaves no room.
 * Each thread keeps its own copies on a cache line of its own.
 *
 * Waking: the producer writes the eventfd once per batch. A consumer that polls the eventfd, clears it, and then empties the ring
 * misses nothing, since a slot published after that is followed by another wake. A consumer that looks by itself after a pause says so
 * (`dozing`): then it is woken only when half of the ring is full. Saying that it sleeps and looking at head, here, and publishing head
 * and looking at what the consumer said, there, are in one order for both (seq_cst), so one of them sees the other. */
#include "base/spsc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING_MIN (64u << 10)
#define SKIP UINT64_MAX
#define WORD sizeof(uint64_t)
#define LINE 64
#define AHEAD 768	/* bytes of the next slot that are on their way here meanwhile */

struct spsc {
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
	/* shared */
	_Alignas(LINE) _Atomic uint64_t head;
	_Alignas(LINE) _Atomic uint64_t tail;
	_Alignas(LINE) _Atomic uint64_t refused;
	_Atomic bool dozing;
};

struct spsc *spsc_new(uint32_t bytes, int eventfd)
{
	struct spsc *r;

	if (bytes < RING_MIN || bytes & (bytes - 1))
		return NULL;
	r = aligned_alloc(LINE, sizeof(*r));
	if (!r)
		return NULL;
	memset(r, 0, sizeof(*r));
	r->buf = aligned_alloc(LINE, bytes);
	if (!r->buf) {
		free(r);
		return NULL;
	}
	r->mask = bytes - 1;
	r->eventfd = eventfd;
	return r;
}

void spsc_free(struct spsc *r)
{
	if (!r)
		return;
	free(r->buf);
	free(r);
}

static bool room(struct spsc *r, uint64_t need)
{
	if (need <= r->mask + 1 - (r->put - r->known_tail))
		return true;
	r->known_tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	return need <= r->mask + 1 - (r->put - r->known_tail);
}

bool spsc_room(struct spsc *r, size_t bytes)
{
	uint64_t end = r->mask + 1 - (r->put & r->mask);

	return room(r, end < bytes ? end + bytes : bytes);
}

bool spsc_put(struct spsc *r, const void *head, size_t nhead, const void *body, size_t nbody)
{
	uint64_t n = nhead + nbody, slot = WORD + ((n + 7u) & ~(uint64_t)7);
	uint64_t at = r->put & r->mask, end = r->mask + 1 - at, skip = end < slot ? end : 0, over = SKIP;

	/* half the ring at most, so that a slot that has to skip the end still finds room */
	if (slot > (r->mask + 1) / 2 || !room(r, skip + slot)) {
		atomic_fetch_add_explicit(&r->refused, 1, memory_order_relaxed);
		return false;
	}
	if (skip) {
		memcpy(r->buf + at, &over, WORD);
		at = 0;
	}
	memcpy(r->buf + at, &n, WORD);
	memcpy(r->buf + at + WORD, head, nhead);
	if (nbody)
		memcpy(r->buf + at + WORD + nhead, body, nbody);
	r->put += skip + slot;
	r->unsaid = true;
	atomic_store_explicit(&r->head, r->put, memory_order_release);
	for (uint64_t i = 0; i < AHEAD; i += LINE)	/* the consumer had these lines last */
		__builtin_prefetch(r->buf + ((r->put + i) & r->mask), 1);
	return true;
}

bool spsc_crowded(struct spsc *r)
{
	if (r->put - r->known_tail <= r->mask / 2)
		return false;
	r->known_tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	return r->put - r->known_tail > r->mask / 2;
}

void spsc_wake(struct spsc *r)
{
	uint64_t one = 1;

	if (!r->unsaid)
		return;
	r->unsaid = false;
	atomic_store(&r->head, r->put);
	if (atomic_load(&r->dozing) && !spsc_crowded(r))
		return;
	/* EAGAIN means that the consumer has 2^64 wakes to look at already */
	if (r->eventfd >= 0 && write(r->eventfd, &one, sizeof(one)) < 0)
		return;
}

const void *spsc_peek(struct spsc *r, size_t *n)
{
	uint64_t at, len;

	if (r->known_head == r->taken) {
		r->known_head = atomic_load_explicit(&r->head, memory_order_acquire);
		if (r->known_head == r->taken)
			return NULL;
	}
	at = r->taken & r->mask;
	memcpy(&len, r->buf + at, WORD);
	r->slot = 0;
	if (len == SKIP) {	/* the slot that follows was published with it */
		r->slot = r->mask + 1 - at;
		at = 0;
		memcpy(&len, r->buf, WORD);
	}
	r->slot += WORD + ((len + 7u) & ~(uint64_t)7);
	*n = len;
	return r->buf + at + WORD;
}

void spsc_pop(struct spsc *r)
{
	r->taken += r->slot;
	r->slot = 0;
	atomic_store_explicit(&r->tail, r->taken, memory_order_release);
}

bool spsc_doze(struct spsc *r, bool doze)
{
	atomic_store(&r->dozing, doze);
	return atomic_load(&r->head) == r->taken;
}

uint64_t spsc_refused(const struct spsc *r) { return atomic_load_explicit(&r->refused, memory_order_relaxed); }
