/* SPDX-License-Identifier: GPL-2.0-or-later */
/* goldens: the captures of tests/golden in memory, to be said again by others. Only those of Ethernet: a capture has one link type. */
#ifndef TQ_TESTS_BENCH_GOLDENS_H
#define TQ_TESTS_BENCH_GOLDENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GOLDEN_FRAMES 2048u
#define GOLDEN_ADDRS 200u	/* of each family, in one capture */

struct golden_frame {
	uint8_t *b;
	size_t n;
	size_t ip, l4;		/* where; ip 0: none, l4 0: no header of a transport there */
	uint8_t proto;
	bool v6;
};

struct golden {
	char name[256];
	struct golden_frame f[GOLDEN_FRAMES];
	unsigned n;
	uint8_t v4[GOLDEN_ADDRS][4], v6[GOLDEN_ADDRS][16];
	unsigned n4, n6;
};

struct goldens {
	struct golden **v;	/* by name */
	unsigned n;
	unsigned frames;
};

/* Reads all of dir whose names begin with one of the prefixes (NULL ends them; the first one NULL: all). Errors end the program. */
void goldens_read(struct goldens *, const char *dir, const char *const prefixes[]);
void goldens_free(struct goldens *);

/* A copy of the frame in out (WIRE_MAX bytes) from and to the addresses of repetition k (< 65,536): hosts of one capture stay different from
 * each other and from those of every other k, groups and broadcasts stay what they are, right checksums stay right and wrong ones wrong. What
 * names an address in its payload, or in a tunnel, is left alone. Returns its length. */
size_t golden_again(const struct golden *, const struct golden_frame *, unsigned k, uint8_t *out);

#endif
