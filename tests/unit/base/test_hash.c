/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "tests/unit/unit.h"

/* SipHash-c-d once more, from the paper, byte by byte and with the rounds as a parameter: c = 2, d = 4 is held against the
 * paper's own vector, so that the same code with c = 1, d = 3 can judge the fast one. */
static uint64_t rot(uint64_t x, int b) { return (x << b) | (x >> (64 - b)); }

static void rounds(uint64_t v[4], int n)
{
	while (n--) {
		v[0] += v[1]; v[1] = rot(v[1], 13); v[1] ^= v[0]; v[0] = rot(v[0], 32);
		v[2] += v[3]; v[3] = rot(v[3], 16); v[3] ^= v[2];
		v[0] += v[3]; v[3] = rot(v[3], 21); v[3] ^= v[0];
		v[2] += v[1]; v[1] = rot(v[1], 17); v[1] ^= v[2]; v[2] = rot(v[2], 32);
	}
}

static uint64_t slow_sip(int c, int d, uint64_t k0, uint64_t k1, const uint8_t *p, size_t n)
{
	static const char init[] = "somepseudorandomlygeneratedbytes";
	uint64_t v[4], m;

	for (int i = 0; i < 4; i++) {
		v[i] = 0;
		for (int b = 0; b < 8; b++)
			v[i] = v[i] << 8 | (uint8_t)init[8 * i + b];
		v[i] ^= i & 1 ? k1 : k0;
	}
	for (size_t w = 0; w <= n / 8; w++) {
		m = 0;
		for (size_t b = 0; b < 8; b++) {
			size_t at = 8 * w + b;

			m |= (uint64_t)(at < n ? p[at] : w == n / 8 && b == 7 ? n & 0xff : 0) << (8 * b);
		}
		v[3] ^= m;
		rounds(v, c);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	rounds(v, d);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void test_paper(void)
{
	uint8_t m[15];

	for (unsigned i = 0; i < sizeof m; i++)
		m[i] = (uint8_t)i;
	/* appendix A of the paper: key 00..0f, message 00..0e */
	CU_ASSERT_EQUAL(slow_sip(2, 4, 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL, m, 15), 0xa129ca6149be45e5ULL);
}

static void test_words(void)
{
	struct hash_key k = { { 0x0123456789abcdefULL, 0xfedcba9876543210ULL } };
	uint64_t w[8];
	uint8_t b[sizeof w];

	for (unsigned i = 0; i < 8; i++)
		w[i] = hash_mix64(i + 1);
	for (unsigned n = 0; n <= 8; n++) {
		for (unsigned i = 0; i < 8 * n; i++)
			b[i] = (uint8_t)(w[i / 8] >> 8 * (i % 8));
		CU_ASSERT_EQUAL(hash_sip13_words(&k, w, n), slow_sip(1, 3, k.k[0], k.k[1], b, 8 * (size_t)n));
	}
}

static void test_same(void)
{
	uint8_t buf[300];
	struct hash_key k;

	srandom(3);
	for (unsigned i = 0; i < sizeof buf; i++)
		buf[i] = (uint8_t)random();
	for (size_t n = 0; n < 280; n++) {
		k.k[0] = (uint64_t)random() << 32 ^ (uint64_t)random();
		k.k[1] = (uint64_t)random() << 32 ^ (uint64_t)random();
		for (size_t off = 0; off < 9; off++)	/* any alignment */
			CU_ASSERT_EQUAL_FATAL(hash_sip13(&k, buf + off, n), slow_sip(1, 3, k.k[0], k.k[1], buf + off, n));
	}
}

/* Each bit of message and key moves about half of the result's bits. */
static void test_spread(void)
{
	uint8_t m[40] = { 0 };
	struct hash_key k = { { 1, 2 } };
	uint64_t h = hash_sip13(&k, m, sizeof m);
	unsigned moved = 0;

	for (unsigned bit = 0; bit < 8 * sizeof m; bit++) {
		unsigned n;

		m[bit / 8] ^= (uint8_t)(1 << bit % 8);
		n = (unsigned)__builtin_popcountll(h ^ hash_sip13(&k, m, sizeof m));
		m[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CU_ASSERT(n > 10 && n < 54);
		moved += n;
	}
	CU_ASSERT(moved > 320 * 30 && moved < 320 * 34);
	k.k[1] ^= 1;
	CU_ASSERT_NOT_EQUAL(h, hash_sip13(&k, m, sizeof m));
	CU_ASSERT_NOT_EQUAL(hash_sip13(&k, m, 8), hash_sip13(&k, m, 9));
	CU_ASSERT_NOT_EQUAL(hash_mix64(1), hash_mix64(2));
}

const struct unit_test tests_hash[] = {
	{ "the slow one gives the paper's vector", test_paper },
	{ "SipHash-1-3 equals the slow one, every length and alignment", test_same },
	{ "single bits spread", test_spread },
	{ "words", test_words },
	{ 0 },
};
