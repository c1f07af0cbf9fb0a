/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define MEM_ASAN
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define MEM_ASAN
#endif

/* Under the address sanitizer a piece that isn't handed out can't be touched, as with malloc. */
#ifdef MEM_ASAN
#include <sanitizer/asan_interface.h>
#define poison(p, n) __asan_poison_memory_region(p, n)
#define unpoison(p, n) __asan_unpoison_memory_region(p, n)
#else
#define poison(p, n) ((void)(p), (void)(n))
#define unpoison(p, n) ((void)(p), (void)(n))
#endif

#define CLASS_MIN_BITS 6
#define CLASSES 11		/* 64 .. 65536 */
#define CHUNK ((size_t)256 << 10)

struct piece {
	struct piece *next;
};

/* Hands out freed pieces first, then what was never used: memory that is never needed is never touched. */
struct chunk {
	struct piece *free;
	uint32_t fresh, size;		/* bytes carved so far; bytes in all */
	uint32_t live;			/* pieces handed out */
	uint32_t next, prev;		/* index + 1, in the list it is in */
	uint8_t class;
	bool listed;			/* has room: in its class's list (live > 0), or in that of empty ones */
};

struct mem {
	uint8_t *base;
	struct chunk *chunk;
	uint32_t nchunks, max;		/* in use so far; the cap holds so many (the last one may be smaller) */
	uint32_t room[CLASSES];		/* index + 1: chunks of the class that have a piece left */
	uint32_t empty;
	struct mem_stats stats;
};

static unsigned class_of(size_t n)
{
	if (n <= (size_t)1 << CLASS_MIN_BITS)
		return 0;
	return 64 - CLASS_MIN_BITS - (unsigned)__builtin_clzll((unsigned long long)n - 1);
}

static size_t class_size(unsigned c) { return (size_t)1 << (CLASS_MIN_BITS + c); }

size_t mem_class(size_t n)
{
	return class_size(class_of(n));
}

static size_t range(const struct mem *m) { return (size_t)m->max * CHUNK; }

struct mem *mem_new(uint64_t cap)
{
	struct mem *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->stats.cap = cap;
	m->max = (uint32_t)((cap + CHUNK - 1) / CHUNK);
	if (!m->max)
		return m;
	m->chunk = calloc(m->max, sizeof(*m->chunk));
	m->base = mmap(NULL, range(m), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!m->chunk || m->base == MAP_FAILED) {
		if (m->base != MAP_FAILED)
			munmap(m->base, range(m));
		free(m->chunk);
		free(m);
		return NULL;
	}
	return m;
}

void mem_free_all(struct mem *m)
{
	if (!m)
		return;
	if (m->max) {
		unpoison(m->base, (size_t)m->nchunks * CHUNK);
		munmap(m->base, range(m));
	}
	free(m->chunk);
	free(m);
}

static void list_in(struct mem *m, uint32_t *head, uint32_t no)
{
	struct chunk *k = &m->chunk[no - 1];

	k->prev = 0;
	k->next = *head;
	if (k->next)
		m->chunk[k->next - 1].prev = no;
	*head = no;
	k->listed = true;
}

static void list_out(struct mem *m, uint32_t *head, uint32_t no)
{
	struct chunk *k = &m->chunk[no - 1];

	*(k->prev ? &m->chunk[k->prev - 1].next : head) = k->next;
	if (k->next)
		m->chunk[k->next - 1].prev = k->prev;
	k->listed = false;
}

/* A chunk that the system gives; 0: none. */
static uint32_t grow(struct mem *m)
{
	uint64_t left = m->stats.cap - m->stats.reserved;
	size_t n = left < CHUNK ? (size_t)left : CHUNK;
	uint8_t *p = m->base + (size_t)m->nchunks * CHUNK;

	n -= n % class_size(0);
	if (!n || m->nchunks == m->max || mprotect(p, CHUNK, PROT_READ | PROT_WRITE))
		return 0;
	poison(p, CHUNK);
	m->stats.reserved += n;
	m->chunk[m->nchunks].size = (uint32_t)n;
	return ++m->nchunks;
}

/* Makes a chunk one of the class, empty ones first; 0: there is none. Only the last chunk of the cap may be too small for a class. */
static uint32_t chunk_for(struct mem *m, unsigned c)
{
	uint32_t no = m->empty;
	struct chunk *k;

	if (no && m->chunk[no - 1].size < class_size(c))
		no = m->chunk[no - 1].next;
	if (no) {
		list_out(m, &m->empty, no);
	} else {
		no = grow(m);
		if (!no)
			return 0;
		if (m->chunk[no - 1].size < class_size(c)) {
			list_in(m, &m->empty, no);
			return 0;
		}
	}
	k = &m->chunk[no - 1];
	k->class = (uint8_t)c;
	k->free = NULL;
	k->fresh = 0;
	list_in(m, &m->room[c], no);
	return no;
}

void *mem_alloc(struct mem *m, size_t n)
{
	struct chunk *k;
	uint32_t no;
	unsigned c;
	size_t size;
	void *p;

	if (!n || n > MEM_PIECE_MAX) {
		m->stats.exhausted++;
		return NULL;
	}
	c = class_of(n);
	size = class_size(c);
	no = m->room[c] ? m->room[c] : chunk_for(m, c);
	if (!no) {
		m->stats.exhausted++;
		return NULL;
	}
	k = &m->chunk[no - 1];
	if (k->free) {
		p = k->free;
		unpoison(p, size);
		k->free = k->free->next;
	} else {
		p = m->base + (size_t)(no - 1) * CHUNK + k->fresh;
		k->fresh += (uint32_t)size;
		unpoison(p, size);
	}
	k->live++;
	if (!k->free && k->fresh + size > k->size)
		list_out(m, &m->room[c], no);
	m->stats.used += size;
	return p;
}

void *mem_zalloc(struct mem *m, size_t n)
{
	void *p = mem_alloc(m, n);

	return p ? memset(p, 0, n) : NULL;
}

void mem_release(struct mem *m, void *p, size_t n)
{
	unsigned c = class_of(n);
	struct piece *piece = p;
	struct chunk *k;
	uint32_t no;

	if (!p)
		return;
	no = (uint32_t)((size_t)((uint8_t *)p - m->base) / CHUNK) + 1;
	k = &m->chunk[no - 1];
	piece->next = k->free;
	k->free = piece;
	poison(p, class_size(c));
	m->stats.used -= class_size(c);
	if (!k->listed)
		list_in(m, &m->room[c], no);
	if (!--k->live) {
		list_out(m, &m->room[c], no);
		list_in(m, &m->empty, no);
	}
}

void mem_get_stats(const struct mem *m, struct mem_stats *out)
{
	*out = m->stats;
}

uint64_t mem_used(const struct mem *m) { return m->stats.used; }
