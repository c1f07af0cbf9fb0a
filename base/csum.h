/* SPDX-License-Identifier: GPL-2.0-or-later */
/* csum: the Internet checksum (RFC 1071), many bytes at a time.
 *
 * Sums are kept in memory order, whatever the machine's: a ones' complement sum is the same in both orders but for its
 * bytes' places, so a checksum is right when everything with it sums to 0xffff, and folded complements are stored as they are. */
#ifndef TQ_BASE_CSUM_H
#define TQ_BASE_CSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A sum and one word more, where 2^64 counts as 1 (modulo 0xffff it is). */
static inline uint64_t csum_plus(uint64_t sum, uint64_t word)
{
	uint64_t s = sum + word;

	return s + (s < word);
}

/* n bytes at p added to `sum` (a result of one of these functions, or 0). The pieces before the last have an even length. */
uint64_t csum_add(uint64_t sum, const uint8_t *p, size_t n);

/* The same for four bytes, and for a 16-bit field in host order. */
static inline uint64_t csum_add4(uint64_t sum, const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return csum_plus(sum, v);
}

static inline uint64_t csum_add16(uint64_t sum, uint16_t v)
{
	const uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };
	uint16_t m;

	memcpy(&m, b, 2);
	return csum_plus(sum, m);
}

static inline uint16_t csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	return (uint16_t)sum;
}

#endif
