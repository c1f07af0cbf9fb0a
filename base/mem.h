/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mem: bounded memory for the packet path.
 *
 * One `struct mem` per worker and purpose-less: power-of-two size classes from 64
 * bytes to 64 KiB, carved from 256 KiB chunks of one range of addresses as large as the
 * cap; a chunk takes memory of the system's when it is used first. Beyond the cap mem_alloc
 * answers NULL and counts. A chunk belongs to a class while a piece of it is handed out: what
 * a flood of one size took serves another size when it is over. Chunks are given back
 * to the system only by mem_free_all. Work per call is constant. Single-threaded.
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
uint64_t mem_used(const struct mem *m);		/* stats.used */

#endif
