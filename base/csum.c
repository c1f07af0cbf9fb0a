/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/csum.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

static inline uint64_t word(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

/* 64 bytes: nearly all of a large packet goes through here. */
static inline uint64_t add64(uint64_t sum, const uint8_t *p)
{
#ifdef __x86_64__
	unsigned long long v = sum;
	unsigned char carry = _addcarry_u64(0, v, word(p), &v);	/* of plain C no compiler makes a chain of additions with carry */

	carry = _addcarry_u64(carry, v, word(p + 8), &v);
	carry = _addcarry_u64(carry, v, word(p + 16), &v);
	carry = _addcarry_u64(carry, v, word(p + 24), &v);
	carry = _addcarry_u64(carry, v, word(p + 32), &v);
	carry = _addcarry_u64(carry, v, word(p + 40), &v);
	carry = _addcarry_u64(carry, v, word(p + 48), &v);
	carry = _addcarry_u64(carry, v, word(p + 56), &v);
	return v + carry;	/* no second carry: the sum of two words leaves room for it */
#else
	for (int i = 0; i < 64; i += 8)
		sum = csum_plus(sum, word(p + i));
	return sum;
#endif
}

uint64_t csum_add(uint64_t sum, const uint8_t *p, size_t n)
{
	for (; n >= 64; n -= 64, p += 64)
		sum = add64(sum, p);
	if (n & 32) {
		sum = csum_plus(csum_plus(sum, word(p)), word(p + 8));
		sum = csum_plus(csum_plus(sum, word(p + 16)), word(p + 24));
		p += 32;
	}
	if (n & 16) {
		sum = csum_plus(csum_plus(sum, word(p)), word(p + 8));
		p += 16;
	}
	if (n & 8) {
		sum = csum_plus(sum, word(p));
		p += 8;
	}
	if (n & 4) {
		sum = csum_add4(sum, p);
		p += 4;
	}
	if (n & 2) {
		sum = csum_add16(sum, (uint16_t)(p[0] << 8 | p[1]));
		p += 2;
	}
	if (n & 1)
		sum = csum_add16(sum, (uint16_t)(p[0] << 8));
	return sum;
}
