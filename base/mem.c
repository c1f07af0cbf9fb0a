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

struct chunk {
	void *p;
	size_t n;
};

/* A class hands out freed pieces first, then carves the chunk it got last: memory that is never needed is never touched. */
struct class {
	struct piece *free;
	uint8_t *fresh, *fresh_end;
};

struct mem {
	struct class class[CLASSES];
	struct mem_stats stats;
	struct chunk *chunks;
	size_t nchunks, room;
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

struct mem *mem_new(uint64_t cap)
{
	struct mem *m = calloc(1, sizeof(*m));

	if (m)
		m->stats.cap = cap;
	return m;
}

void mem_free_all(struct mem *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->nchunks; i++) {
		unpoison(m->chunks[i].p, m->chunks[i].n);
		munmap(m->chunks[i].p, m->chunks[i].n);
	}
	free(m->chunks);
	free(m);
}

static bool note_chunk(struct mem *m, void *p, size_t n)
{
	if (m->nchunks == m->room) {
		size_t room = m->room ? 2 * m->room : 16;
		struct chunk *c = realloc(m->chunks, room * sizeof(*c));

		if (!c)
			return false;
		m->chunks = c;
		m->room = room;
	}
	m->chunks[m->nchunks++] = (struct chunk){ .p = p, .n = n };
	return true;
}

/* A new chunk for a class; the last one may be smaller, so that the cap can be used up. */
static bool grow(struct mem *m, unsigned c)
{
	uint64_t left = m->stats.cap - m->stats.reserved;
	size_t n = left < CHUNK ? (size_t)left : CHUNK;
	void *p;

	n -= n % class_size(c);
	if (!n)
		return false;
	p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	if (!note_chunk(m, p, n)) {
		munmap(p, n);
		return false;
	}
	m->stats.reserved += n;
	poison(p, n);
	m->class[c].fresh = p;
	m->class[c].fresh_end = m->class[c].fresh + n;
	return true;
}

void *mem_alloc(struct mem *m, size_t n)
{
	unsigned c;
	size_t size;
	struct class *k;
	void *p;

	if (!n || n > MEM_PIECE_MAX) {
		m->stats.exhausted++;
		return NULL;
	}
	c = class_of(n);
	size = class_size(c);
	k = &m->class[c];
	if (k->free) {
		p = k->free;
		unpoison(p, size);
		k->free = k->free->next;
	} else {
		if (k->fresh == k->fresh_end && !grow(m, c)) {
			m->stats.exhausted++;
			return NULL;
		}
		p = k->fresh;
		k->fresh += size;
		unpoison(p, size);
	}
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

	if (!p)
		return;
	piece->next = m->class[c].free;
	m->class[c].free = piece;
	m->stats.used -= class_size(c);
	poison(p, class_size(c));
}

void mem_get_stats(const struct mem *m, struct mem_stats *out)
{
	*out = m->stats;
}
