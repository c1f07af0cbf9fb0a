/* SPDX-License-Identifier: GPL-2.0-or-later */
/* defrag: queues of fragments, one per datagram at one point of observation.
 *
 * Owns its queues and, through struct mem, the bytes of their pieces; the core calls it for each fragment, one thread.
 *
 * A queue is a list of pieces sorted by offset. Pieces never overlap: what lies wholly inside one run is a duplicate
 * (the kernel does not compare its bytes, so neither do we), what overlaps otherwise ends the queue. A run is what the
 * kernel takes for one: a piece and those that came right behind it while they were the highest; so a duplicate that
 * covers two runs counts as overlap, there as here. A queue that ended leaves no trace: later pieces start a new one.
 *
 * Pieces that together are longer than a datagram can be (ping of death) still hold their places, because the kernel
 * lets them, but their bytes are let go at once: the queue is doomed, and ends when it is complete.
 *
 * Limits: max_queues and a share of the memory (the oldest makes room: a flood of first fragments must not shut out everybody else for 30 s),
 * DEFRAG_PIECES_MAX a queue, 64 KiB of bytes a queue, the memory of `mem`. Work per call: one bucket, whose length the
 * key keeps from being chosen, and one walk over the pieces, from the end where the usual case is. */
#include "dpi/defrag.h"

#include <stdlib.h>

#include "base/csum.h"

#define IPV6_HLEN 40u
#define FRAG_HLEN 8u
#define HEADER_MAX 60u			/* an IPv4 header with all its options */
#define OUT_MAX (DEFRAG_DATAGRAM_MAX + IPV6_HLEN)

struct piece {
	struct piece *next, *prev;	/* by offset */
	uint32_t start, end;		/* place in the fragmentable part */
	uint8_t *bytes;			/* of mem, end - start of them (after extra, at the head); NULL in a doomed queue */
	uint32_t extra;			/* IPv6, at the head: length of the extension headers before the fragment header */
	bool joins;			/* of the same run as prev */
};

/* Hashed and compared as bytes: no padding. */
struct frag_key {
	struct addr src, dst;
	uint64_t tunnel;		/* 0: none */
	uint32_t id, domain, view;
	uint8_t family, path;
	uint8_t ipproto;		/* IPv4 only: IPv6 pieces of one datagram may name different ones */
	uint8_t zero;
};

struct queue {
	struct queue *chain;		/* of its bucket */
	struct queue *older, *newer;	/* of its family */
	struct frag_key key;
	uint64_t hash;
	int64_t deadline;
	struct piece *first, *last;
	uint32_t len;			/* highest end so far; once last_in, the end */
	uint32_t have;			/* bytes in pieces */
	uint32_t npieces;
	uint32_t frames;		/* seen for it, duplicates too */
	uint64_t frame_bytes;
	uint8_t ecn;			/* bit per codepoint seen */
	bool last_in, doomed;
	uint8_t hlen;			/* of `header`; 0: the piece at offset 0 is not there */
	uint8_t next;			/* IPv6: what the head's fragment header names ... */
	uint16_t next_at;		/* ... and where to write it */
	uint8_t header[HEADER_MAX];	/* of the piece at offset 0: IPv4's whole, IPv6's fixed one */
};

struct age_list {
	struct queue *oldest, *newest;
};

struct defrag {
	struct mem *mem;
	struct hash_key key;
	unsigned max, used;
	uint64_t bytes, bytes_max;	/* of mem, in queues and pieces */
	uint32_t mask;
	struct age_list age[2];		/* IPv4, IPv6: each in order of creation and so of deadline */
	uint8_t out[OUT_MAX];
	struct queue *bucket[];
};

struct defrag *defrag_new(struct mem *mem, unsigned max_queues, uint64_t max_bytes, const struct hash_key *key)
{
	uint32_t buckets = 16;
	struct defrag *d;

	while (buckets < max_queues && buckets < 1u << 20)
		buckets *= 2;
	d = calloc(1, sizeof(*d) + buckets * sizeof(d->bucket[0]));
	if (!d)
		return NULL;
	d->mem = mem;
	d->key = *key;
	d->max = max_queues;
	d->bytes_max = max_bytes;
	d->mask = buckets - 1;
	return d;
}

static void *take(struct defrag *d, size_t n)
{
	void *p = mem_zalloc(d->mem, n);

	if (p)
		d->bytes += mem_class(n);
	return p;
}

static void give_back(struct defrag *d, void *p, size_t n)
{
	if (p)
		d->bytes -= mem_class(n);
	mem_release(d->mem, p, n);
}

/* ---- queues ---- */

static struct age_list *age_of(struct defrag *d, const struct queue *q)
{
	return &d->age[q->key.family == 6];
}

static size_t piece_bytes(const struct piece *pc) { return pc->extra + (pc->end - pc->start); }

static void pieces_let_go(struct defrag *d, struct queue *q)
{
	for (struct piece *pc = q->first; pc; pc = pc->next) {
		give_back(d, pc->bytes, piece_bytes(pc));
		pc->bytes = NULL;
	}
}

static void queue_end(struct defrag *d, struct queue *q)
{
	struct age_list *age = age_of(d, q);
	struct queue **at = &d->bucket[q->hash & d->mask];

	while (*at != q)
		at = &(*at)->chain;
	*at = q->chain;
	*(q->older ? &q->older->newer : &age->oldest) = q->newer;
	*(q->newer ? &q->newer->older : &age->newest) = q->older;
	pieces_let_go(d, q);
	for (struct piece *pc = q->first, *next; pc; pc = next) {
		next = pc->next;
		give_back(d, pc, sizeof(*pc));
	}
	give_back(d, q, sizeof(*q));
	d->used--;
}

static int64_t timeout_of(const struct frag_key *k)
{
	return k->family == 6 ? DEFRAG_TIMEOUT_V6 : DEFRAG_TIMEOUT_V4;
}

/* The queue that has been there longest, of either family. */
static struct queue *queue_oldest(const struct defrag *d)
{
	struct queue *a = d->age[0].oldest, *b = d->age[1].oldest;

	if (!a || !b)
		return a ? a : b;
	return a->deadline - DEFRAG_TIMEOUT_V4 <= b->deadline - DEFRAG_TIMEOUT_V6 ? a : b;
}

static struct queue *queue_find(struct defrag *d, const struct frag_key *k, uint64_t hash)
{
	struct queue *q = d->bucket[hash & d->mask];

	while (q && (q->hash != hash || memcmp(&q->key, k, sizeof(*k)) != 0))
		q = q->chain;
	return q;
}

static struct queue *queue_start(struct defrag *d, const struct frag_key *k, uint64_t hash, int64_t now)
{
	struct age_list *age;
	struct queue *q = take(d, sizeof(*q));

	if (!q)
		return NULL;
	q->key = *k;
	q->hash = hash;
	q->deadline = now + timeout_of(k);
	q->chain = d->bucket[hash & d->mask];
	d->bucket[hash & d->mask] = q;
	age = age_of(d, q);
	q->older = age->newest;
	*(age->newest ? &age->newest->newer : &age->oldest) = q;
	age->newest = q;
	d->used++;
	return q;
}

unsigned defrag_expire(struct defrag *d, int64_t now)
{
	unsigned n = 0;

	for (int i = 0; i < 2; i++)
		while (d->age[i].oldest && d->age[i].oldest->deadline <= now) {
			queue_end(d, d->age[i].oldest);
			n++;
		}
	return n;
}

unsigned defrag_queues(const struct defrag *d) { return d->used; }
uint64_t defrag_bytes(const struct defrag *d) { return d->bytes; }

void defrag_free(struct defrag *d)
{
	if (!d)
		return;
	for (int i = 0; i < 2; i++)
		while (d->age[i].oldest)
			queue_end(d, d->age[i].oldest);
	free(d);
}

/* ---- pieces ---- */

enum fit { FIT_NEW, FIT_DUPLICATE, FIT_OVERLAP };

/* Where start..end goes: *after is the piece before it (NULL: first). As inet_frag_queue_insert() tells it. */
static enum fit piece_fit(const struct queue *q, uint32_t start, uint32_t end, struct piece **after)
{
	struct piece *run_last = q->last;

	*after = q->last;
	if (!q->last || start >= q->last->end)
		return FIT_NEW;
	if (end > q->last->end)
		return FIT_OVERLAP;
	while (run_last) {	/* run by run, from the highest down */
		struct piece *run = run_last;

		while (run->joins)
			run = run->prev;
		if (start >= run_last->end) {
			*after = run_last;
			return FIT_NEW;
		}
		if (end > run->start)
			return start >= run->start && end <= run_last->end ? FIT_DUPLICATE : FIT_OVERLAP;
		run_last = run->prev;
	}
	*after = NULL;
	return FIT_NEW;
}

/* Copies the piece in behind `after`. False at a memory cap. */
static bool piece_keep(struct defrag *d, struct queue *q, const struct packet *p, uint32_t start, uint32_t end, struct piece *after)
{
	uint32_t extra = p->family == 6 && start == 0 ? p->l4off - IPV6_HLEN - FRAG_HLEN : 0;
	size_t n = extra + (end - start);
	struct piece *pc = take(d, sizeof(*pc));

	if (!pc)
		return false;
	if (!q->doomed) {
		pc->bytes = n <= MEM_PIECE_MAX ? mem_alloc(d->mem, n) : NULL;
		d->bytes += pc->bytes ? mem_class(n) : 0;
		if (!pc->bytes) {
			give_back(d, pc, sizeof(*pc));
			return false;
		}
		if (extra)
			memcpy(pc->bytes, p->ip.p + IPV6_HLEN, extra);
		memcpy(pc->bytes + extra, p->payload.p, end - start);
	}
	pc->start = start;
	pc->end = end;
	pc->extra = extra;
	pc->joins = after && after == q->last && after->end == start;
	pc->prev = after;
	pc->next = after ? after->next : q->first;
	*(pc->prev ? &pc->prev->next : &q->first) = pc;
	*(pc->next ? &pc->next->prev : &q->last) = pc;
	q->npieces++;
	q->have += end - start;
	if (start == 0) {
		q->hlen = (uint8_t)(p->family == 6 ? IPV6_HLEN : p->l4off);
		memcpy(q->header, p->ip.p, q->hlen);
		q->next = p->t.ipproto;
		q->next_at = p->frag_next;
	}
	return true;
}

static void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* All pieces into d->out behind the head's header. Length 0: longer than a datagram can be. */
static struct bytes assemble(struct defrag *d, const struct queue *q)
{
	size_t n = q->hlen, rest = q->len + q->first->extra;

	if (q->doomed || rest + (q->key.family == 4 ? q->hlen : 0u) > DEFRAG_DATAGRAM_MAX)
		return (struct bytes){ NULL, 0 };
	memcpy(d->out, q->header, n);
	for (const struct piece *pc = q->first; pc; pc = pc->next) {
		memcpy(d->out + n, pc->bytes, piece_bytes(pc));
		n += piece_bytes(pc);
	}
	if (q->key.family == 6) {
		put_be16(d->out + 4, (uint16_t)rest);
		d->out[q->next_at] = q->next;
	} else {
		put_be16(d->out + 2, (uint16_t)n);
		put_be16(d->out + 6, 0);
		put_be16(d->out + 10, 0);
		uint16_t sum = (uint16_t)~csum_fold(csum_add(0, d->out, q->hlen));
		memcpy(d->out + 10, &sum, 2);
	}
	return (struct bytes){ d->out, n };
}

/* ---- one fragment ---- */

/* Codepoints of one datagram must agree but for marks of congestion (RFC 3168, 5.3; ip_frag_ecn_table). */
static bool ecn_broken(uint8_t seen) { return seen & 1 && seen & ~1; }

static uint8_t ecn_bit(const struct packet *p)
{
	struct cursor c = cur_of(p->ip.p, p->ip.n);
	uint16_t head = cur_be16(&c);

	return (uint8_t)(1u << ((p->family == 6 ? head >> 4 : head) & 3));
}

/* What the end of a piece says about the datagram's. False: it contradicts what is known, the queue ends. */
static bool end_agrees(struct queue *q, uint32_t end, bool more)
{
	if (!more) {
		if (end < q->len || (q->last_in && end != q->len))
			return false;
		q->last_in = true;
		q->len = end;
	} else if (end > q->len) {
		if (q->last_in)
			return false;
		q->len = end;
	}
	return true;
}

static enum defrag_result queue_refuse(struct defrag *d, struct queue *q)
{
	queue_end(d, q);
	return DEFRAG_DROP;
}

static enum defrag_result queue_add(struct defrag *d, struct queue *q, const struct packet *p, uint32_t end, struct defrag_out *out)
{
	uint32_t start = p->frag_off;
	struct piece *after;

	if (!end_agrees(q, end, p->frag_more) || end == start)
		return queue_refuse(d, q);
	switch (piece_fit(q, start, end, &after)) {
	case FIT_DUPLICATE:
		return DEFRAG_KEPT;
	case FIT_OVERLAP:
		out->overlap = true;
		return queue_refuse(d, q);
	case FIT_NEW:
		break;
	}
	if (!q->doomed && q->have + (end - start) > DEFRAG_DATAGRAM_MAX) {
		q->doomed = true;
		pieces_let_go(d, q);
	}
	if (q->npieces == DEFRAG_PIECES_MAX || !piece_keep(d, q, p, start, end, after)) {
		out->cap = true;
		return queue_refuse(d, q);
	}
	q->ecn |= ecn_bit(p);
	if (!q->last_in || q->have != q->len)
		return DEFRAG_KEPT;
	if (!ecn_broken(q->ecn))
		out->ip = assemble(d, q);
	out->pieces = q->frames;
	out->bytes = q->frame_bytes;
	queue_end(d, q);
	return out->ip.n ? DEFRAG_WHOLE : DEFRAG_DROP;
}

enum defrag_result defrag_add(struct defrag *d, const struct packet *p, struct defrag_out *out)
{
	struct frag_key k = {
		.src = p->t.src, .dst = p->t.dst, .tunnel = p->tunnel ? p->tunnel->key ^ p->tunnel->way : 0, .id = p->frag_id, .domain = p->t.domain, .view = p->frame->view,
		.family = p->family, .path = p->frame->path, .ipproto = p->family == 4 ? p->t.ipproto : 0,
	};
	uint64_t hash = hash_sip13(&d->key, &k, sizeof(k));
	int64_t now = p->frame->ts;
	uint32_t len, end;
	struct queue *q;

	memset(out, 0, sizeof(*out));
	/* not all of it was captured, or it claims to be a jumbogram: no receiver makes a datagram of this */
	if (p->ip.n < p->iplen || p->iplen > DEFRAG_DATAGRAM_MAX + (p->family == 6 ? IPV6_HLEN : 0))
		return DEFRAG_DROP;
	len = p->iplen - p->l4off;
	if (p->frag_more && p->family == 4)
		len &= ~7u;	/* Linux cuts a piece in the middle to whole units ... */
	end = p->frag_off + len;
	if (p->family == 6 && (end > DEFRAG_DATAGRAM_MAX || (p->frag_more && len & 7)))
		return DEFRAG_DROP;	/* ... but refuses it in IPv6; neither touches the queue */

	while (d->used && d->bytes > d->bytes_max) {	/* by the last piece: one queue, seldom two */
		queue_end(d, queue_oldest(d));
		out->cap = true;
	}
	q = queue_find(d, &k, hash);
	if (q && q->deadline <= now) {
		queue_end(d, q);
		q = NULL;
	}
	if (!q) {
		if (d->used >= d->max) {
			queue_end(d, queue_oldest(d));
			out->cap = true;
		}
		q = queue_start(d, &k, hash, now);
		if (!q) {
			out->cap = true;
			return DEFRAG_DROP;
		}
	}
	q->frames++;
	q->frame_bytes += p->iplen;
	return queue_add(d, q, p, end, out);
}
