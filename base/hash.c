/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SipHash-1-3: one round per 8-byte word, three at the end ("SipHash: a fast short-input PRF", section 2). */
#include "base/hash.h"

#include <endian.h>
#include <string.h>

static inline uint64_t rotl(uint64_t x, unsigned b) { return x << b | x >> (64 - b); }

#define SIP_ROUND(v0, v1, v2, v3) \
	do { \
		v0 += v1; v2 += v3; \
		v1 = rotl(v1, 13) ^ v0; v3 = rotl(v3, 16) ^ v2; \
		v0 = rotl(v0, 32); \
		v2 += v1; v0 += v3; \
		v1 = rotl(v1, 17) ^ v2; v3 = rotl(v3, 21) ^ v0; \
		v2 = rotl(v2, 32); \
	} while (0)

static inline uint64_t finish(uint64_t v0, uint64_t v1, uint64_t v2, uint64_t v3, uint64_t last)
{
	v3 ^= last;
	SIP_ROUND(v0, v1, v2, v3);
	v0 ^= last;
	v2 ^= 0xff;
	SIP_ROUND(v0, v1, v2, v3);
	SIP_ROUND(v0, v1, v2, v3);
	SIP_ROUND(v0, v1, v2, v3);
	return v0 ^ v1 ^ v2 ^ v3;
}

uint64_t hash_sip13(const struct hash_key *key, const void *p, size_t n)
{
	uint64_t v0 = key->k[0] ^ 0x736f6d6570736575ULL, v1 = key->k[1] ^ 0x646f72616e646f6dULL;
	uint64_t v2 = key->k[0] ^ 0x6c7967656e657261ULL, v3 = key->k[1] ^ 0x7465646279746573ULL;
	const uint8_t *b = p;
	uint64_t m, last = (uint64_t)n << 56;
	size_t left = n;

	for (; left >= 8; left -= 8, b += 8) {
		memcpy(&m, b, 8);
		m = le64toh(m);
		v3 ^= m;
		SIP_ROUND(v0, v1, v2, v3);
		v0 ^= m;
	}
	while (left--)
		last |= (uint64_t)b[left] << (8 * left);
	return finish(v0, v1, v2, v3, last);
}

uint64_t hash_sip13_words(const struct hash_key *key, const uint64_t *w, unsigned n)
{
	uint64_t v0 = key->k[0] ^ 0x736f6d6570736575ULL, v1 = key->k[1] ^ 0x646f72616e646f6dULL;
	uint64_t v2 = key->k[0] ^ 0x6c7967656e657261ULL, v3 = key->k[1] ^ 0x7465646279746573ULL;
	uint64_t last = (uint64_t)n << 59;	/* the length in bytes, in the highest one */

	for (unsigned i = 0; i < n; i++) {
		v3 ^= w[i];
		SIP_ROUND(v0, v1, v2, v3);
		v0 ^= w[i];
	}
	return finish(v0, v1, v2, v3, last);
}
