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

static inline uint64_t csum_word(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

/* n bytes at p added to `sum` (a result of this function or csum_add16, or 0). The pieces before the last have an even length. */
static inline uint64_t csum_add(uint64_t sum, const uint8_t *p, size_t n)
{
	uint64_t lo = 0, hi = 0;	/* halves of words: 2^32 of them fit before a carry is lost */
	uint8_t tail[8] = { 0 };

	for (; n >= 32; n -= 32, p += 32) {
		uint64_t a = csum_word(p), b = csum_word(p + 8), c = csum_word(p + 16), d = csum_word(p + 24);

		lo += (a & 0xffffffffu) + (b & 0xffffffffu) + (c & 0xffffffffu) + (d & 0xffffffffu);
		hi += (a >> 32) + (b >> 32) + (c >> 32) + (d >> 32);
	}
	for (; n >= 8; n -= 8, p += 8) {
		lo += csum_word(p) & 0xffffffffu;
		hi += csum_word(p) >> 32;
	}
	if (n) {
		memcpy(tail, p, n);
		lo += csum_word(tail) & 0xffffffffu;
		hi += csum_word(tail) >> 32;
	}
	return sum + lo + hi;
}

/* A 16-bit field in host order. */
static inline uint64_t csum_add16(uint64_t sum, uint16_t v)
{
	const uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	return csum_add(sum, b, 2);
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
