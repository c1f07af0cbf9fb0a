/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mem: bounded memory for the packet path.
 *
 * One `struct mem` per worker and purpose-less: power-of-two size classes from 64
 * bytes to 64 KiB, each a free list filled from 256 KiB chunks (mmap'd or malloc'd
 * at growth, never per packet). All chunks together stay under the cap; beyond it
 * mem_alloc answers NULL and counts. Freed pieces return to their class's list;
 * chunks are given back only by mem_free_all. Single-threaded.
 *
 * Sizes: the caller remembers what it asked for and passes it back, so no header
 * is spent per piece. */
#ifndef TQ_BASE_MEM_H
#define TQ_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#define MEM_PIECE_MAX 65536u

struct mem;

struct mem_stats {
	uint64_t cap;		/* bytes allowed in all */
	uint64_t reserved;	/* bytes of chunks taken from the system */
	uint64_t used;		/* bytes of pieces handed out, rounded up to their class */
	uint64_t exhausted;	/* requests refused at the cap */
};

/* cap in bytes. NULL when the system has no memory. */
struct mem *mem_new(uint64_t cap);
void mem_free_all(struct mem *m);	/* NULL is fine; every piece of it is gone afterwards */

/* n in 1..MEM_PIECE_MAX. The piece is 16-byte aligned and not cleared. NULL at the cap. */
void *mem_alloc(struct mem *m, size_t n);
void *mem_zalloc(struct mem *m, size_t n);	/* cleared */
void mem_release(struct mem *m, void *p, size_t n);	/* n as asked for; p NULL is fine */

/* How many bytes a request of n really gets (its class), for growing buffers. */
size_t mem_class(size_t n);

void mem_get_stats(const struct mem *m, struct mem_stats *out);

#endif
