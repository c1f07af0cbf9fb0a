/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: buckets of packed entries, found by a keyed hash of workload and address. Each has a version: even, it is whole; odd,
 * somebody writes it. A writer makes it odd by compare-and-swap, changes a copy of the bucket, stores it word by word and makes the
 * version even again. A reader copies the words and has a whole bucket when the version was the same even number before and after; else it
 * copies again. So readers write nothing and never wait but for the few hundred nanoseconds that a bucket is written, which happens
 * at answers of DNS only. Words are stored by release and loaded by acquire: who saw a new word sees the odd version that came before it
 * (Boehm, "Can Seqlocks Get Along With Programming Language Memory Models?", 2012). What is published here before a DNS answer is
 * let go can be read by whoever the answer makes send.
 *
 * The first word of a bucket says how many bytes are used; then entries, each padded to words:
 *   until(8) workload(4) length of name(1) unused(3) address(16) name */
#include "agent/fqdn.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET 2048u
#define WORDS (BUCKET / 8 - 1)		/* beside the version */
#define USUAL 64u			/* bytes of an entry */
#define TRIES 1000u			/* then whoever writes gets the processor */

struct head {
	int64_t until;
	uint32_t workload;
	uint8_t len, unused[3];
	struct addr addr;
};

_Static_assert(sizeof(struct head) == 32, "no padding");
_Static_assert(sizeof(struct head) + 256 <= (WORDS - 1) * 8, "the longest name has room in a bucket");

struct bucket {
	_Atomic uint64_t version;
	_Atomic uint64_t word[WORDS];
};

/* A copy of a bucket. */
struct copy {
	uint64_t used;		/* bytes of entries */
	uint8_t at[(WORDS - 1) * 8];
};

struct fqdn_cache {
	struct bucket *buckets;
	size_t mask;
	struct hash_key key;
	_Atomic uint64_t learned, renewed, pushed_out;
};

struct fqdn_cache *fqdn_cache_new(unsigned names, const struct hash_key *key)
{
	struct fqdn_cache *c = calloc(1, sizeof *c);
	size_t n = 1;

	while (n * (BUCKET / USUAL) < names)
		n *= 2;
	if (c)
		c->buckets = calloc(n, sizeof *c->buckets);
	if (!c || !c->buckets) {
		free(c);
		return NULL;
	}
	c->mask = n - 1;
	c->key = *key;
	return c;
}

void fqdn_cache_free(struct fqdn_cache *c)
{
	if (!c)
		return;
	free(c->buckets);
	free(c);
}

static struct bucket *bucket_of(const struct fqdn_cache *c, uint32_t workload, const struct addr *a)
{
	struct { struct addr a; uint64_t workload; } k = { *a, workload };

	return &c->buckets[hash_sip13(&c->key, &k, sizeof k) & c->mask];
}

/* ---- one bucket ---- */

static void wait_turn(unsigned *tries)
{
	if (++*tries % TRIES == 0)
		sched_yield();
}

static void load_words(struct bucket *b, struct copy *out)
{
	out->used = atomic_load_explicit(&b->word[0], memory_order_acquire);
	if (out->used > sizeof out->at)
		out->used = 0;		/* torn: the version will tell */
	for (size_t i = 0; i < out->used / 8; i++) {
		uint64_t w = atomic_load_explicit(&b->word[1 + i], memory_order_acquire);

		memcpy(out->at + i * 8, &w, 8);
	}
}

static void bucket_read(struct bucket *b, struct copy *out)
{
	for (unsigned tries = 0;;) {
		uint64_t v = atomic_load_explicit(&b->version, memory_order_acquire);

		if (!(v & 1)) {
			load_words(b, out);
			if (atomic_load_explicit(&b->version, memory_order_relaxed) == v)
				return;
		}
		wait_turn(&tries);
	}
}

static uint64_t bucket_lock(struct bucket *b)
{
	for (unsigned tries = 0;;) {
		uint64_t v = atomic_load_explicit(&b->version, memory_order_relaxed);

		if (!(v & 1) && atomic_compare_exchange_weak_explicit(&b->version, &v, v + 1, memory_order_acquire, memory_order_relaxed))
			return v;
		wait_turn(&tries);
	}
}

static void bucket_unlock(struct bucket *b, uint64_t v, const struct copy *in)
{
	atomic_store_explicit(&b->word[0], in->used, memory_order_release);
	for (size_t i = 0; i < in->used / 8; i++) {
		uint64_t w;

		memcpy(&w, in->at + i * 8, 8);
		atomic_store_explicit(&b->word[1 + i], w, memory_order_release);
	}
	atomic_store_explicit(&b->version, v + 2, memory_order_release);
}

/* ---- entries ---- */

static size_t size_of(size_t len) { return sizeof(struct head) + (len + 7) / 8 * 8; }

/* The entry at *pos, and on to the next; false: no more. */
static bool entry_next(const struct copy *c, size_t *pos, struct head *h, struct bytes *name)
{
	size_t at = *pos;

	if (at >= c->used)
		return false;
	memcpy(h, c->at + at, sizeof *h);
	*name = (struct bytes){ c->at + at + sizeof *h, h->len };
	*pos = at + size_of(h->len);
	return true;
}

static bool is_of(const struct head *h, uint32_t workload, const struct addr *a) { return h->workload == workload && addr_eq(&h->addr, a); }

static void cut_out(struct copy *c, size_t at)
{
	struct head h;
	size_t n;

	memcpy(&h, c->at + at, sizeof h);
	n = size_of(h.len);
	memmove(c->at + at, c->at + at + n, c->used - at - n);
	c->used -= n;
}

static unsigned count_of(const struct copy *c, uint32_t workload)
{
	struct head h;
	struct bytes name;
	unsigned n = 0;

	for (size_t pos = 0; entry_next(c, &pos, &h, &name);)
		n += h.workload == workload;
	return n;
}

/* The entry that goes first. */
static size_t victim(const struct copy *c, int64_t now)
{
	int64_t least = INT64_MAX;
	unsigned most = 0;
	struct head h;
	struct bytes name;
	size_t best = 0;

	for (size_t pos = 0, at = 0; entry_next(c, &pos, &h, &name); at = pos) {
		unsigned n = h.until < now ? UINT32_MAX : count_of(c, h.workload);

		if (n < most || (n == most && h.until >= least))
			continue;
		most = n;
		least = h.until;
		best = at;
	}
	return best;
}

void fqdn_cache_learn(struct fqdn_cache *c, uint32_t workload, const struct addr *a, struct bytes name, uint32_t ttl, int64_t now)
{
	struct head h = { .until = now + (int64_t)(ttl < FQDN_TTL_MAX ? ttl : FQDN_TTL_MAX) * 1000000000 + FQDN_GRACE, .workload = workload, .len = (uint8_t)name.n, .addr = *a }, old;
	struct bucket *b = bucket_of(c, workload, a);
	bool known = false;
	struct bytes other;
	struct copy copy;
	uint64_t v;

	if (!name.n || name.n > FQDN_TEXT_MAX)
		return;
	v = bucket_lock(b);
	load_words(b, &copy);
	for (size_t pos = 0, at = 0; entry_next(&copy, &pos, &old, &other); at = pos) {
		if (!is_of(&old, workload, a) || other.n != name.n || memcmp(other.p, name.p, name.n))
			continue;
		if (old.until > h.until)
			h.until = old.until;	/* an answer of before is as true as one with a shorter TTL */
		cut_out(&copy, at);
		known = true;
		break;
	}
	while (copy.used + size_of(name.n) > sizeof copy.at) {
		size_t at = victim(&copy, now);

		memcpy(&old, copy.at + at, sizeof old);
		if (old.until >= now)
			atomic_fetch_add_explicit(&c->pushed_out, 1, memory_order_relaxed);
		cut_out(&copy, at);
	}
	memset(copy.at + copy.used, 0, size_of(name.n));
	memcpy(copy.at + copy.used, &h, sizeof h);
	memcpy(copy.at + copy.used + sizeof h, name.p, name.n);
	copy.used += size_of(name.n);
	bucket_unlock(b, v, &copy);
	atomic_fetch_add_explicit(known ? &c->renewed : &c->learned, 1, memory_order_relaxed);
}

void fqdn_cache_each(const struct fqdn_cache *c, uint32_t workload, const struct addr *a, int64_t since, void (*fn)(void *ctx, struct bytes name), void *ctx)
{
	struct bucket *b = bucket_of(c, workload, a);
	struct copy copy;
	struct head h;
	struct bytes name;

	if (!atomic_load_explicit(&b->version, memory_order_acquire))
		return;		/* nothing was ever learned there */
	bucket_read(b, &copy);
	for (size_t pos = 0; entry_next(&copy, &pos, &h, &name);)
		if (is_of(&h, workload, a) && h.until >= since)
			fn(ctx, name);
}

bool fqdn_cache_find(const struct fqdn_cache *c, uint32_t workload, struct bytes name, int64_t since, struct addr *out)
{
	for (size_t i = 0; i <= c->mask; i++) {
		struct copy copy;
		struct head h;
		struct bytes other;

		if (!atomic_load_explicit(&c->buckets[i].version, memory_order_acquire))
			continue;
		bucket_read(&c->buckets[i], &copy);
		for (size_t pos = 0; entry_next(&copy, &pos, &h, &other);)
			if (h.workload == workload && h.until >= since && other.n == name.n && !memcmp(other.p, name.p, name.n)) {
				*out = h.addr;
				return true;
			}
	}
	return false;
}

void fqdn_cache_stats(const struct fqdn_cache *c, struct fqdn_cache_stats *s)
{
	s->learned = atomic_load_explicit(&c->learned, memory_order_relaxed);
	s->renewed = atomic_load_explicit(&c->renewed, memory_order_relaxed);
	s->pushed_out = atomic_load_explicit(&c->pushed_out, memory_order_relaxed);
}
