/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hash: SipHash-1-3 under a random key for tables that strangers fill (the flow
 * table), so that collisions cannot be made from outside. */
#ifndef TQ_BASE_HASH_H
#define TQ_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t k[2];
};

/* SipHash-c-d of Aumasson and Bernstein with c = 1, d = 3; n bytes at p. */
uint64_t hash_sip13(const struct hash_key *key, const void *p, size_t n);

/* The same of n words in the machine's order. */
uint64_t hash_sip13_words(const struct hash_key *key, const uint64_t *w, unsigned n);

/* Fast 64-bit mixer (splitmix64's finaliser) for values that are not hostile. */
static inline uint64_t hash_mix64(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

#endif
