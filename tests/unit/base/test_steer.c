/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/steer.h"
#include "tests/unit/unit.h"

/* The definition of steer.h, from two addresses. */
static unsigned by_definition(const uint8_t *a, const uint8_t *b, unsigned words, unsigned n)
{
	uint32_t x = 0;

	for (unsigned i = 0; i < 4 * words; i++)
		x ^= (uint32_t)(a[i] ^ b[i]) << (24 - 8 * (i % 4));
	x ^= x >> 16;
	x ^= x >> 8;
	return (x & 0xff) % n;
}

static size_t make_ip(uint8_t *p, bool v6, const uint8_t *src, const uint8_t *dst)
{
	size_t alen = v6 ? 16 : 4, at = v6 ? 8 : 12;

	memset(p, 0, 40);
	p[0] = v6 ? 0x60 : 0x45;
	memcpy(p + at, src, alen);
	memcpy(p + at + alen, dst, alen);
	return v6 ? 40 : 20;
}

static size_t make_ether(uint8_t *p, bool v6, unsigned tags, const uint8_t *ip, size_t n)
{
	static const uint8_t tpid[2][2] = { { 0x88, 0xa8 }, { 0x81, 0x00 } };
	size_t at = 12;

	memset(p, 0xaa, 12);
	for (unsigned i = 0; i < tags; i++) {
		memcpy(p + at, tpid[(i + 2 - tags) % 2], 2);
		p[at + 2] = 0;
		p[at + 3] = 7;
		at += 4;
	}
	p[at++] = v6 ? 0x86 : 0x08;
	p[at++] = v6 ? 0xdd : 0x00;
	memcpy(p + at, ip, n);
	return at + n;
}

static void test_equal(void)
{
	unsigned seen[8] = { 0 };

	srandom(5);
	for (unsigned i = 0; i < 4000; i++) {
		uint8_t a[16], b[16], ip[40], back[40], eth[80];
		bool v6 = i & 1;
		unsigned n = 1 + (unsigned)random() % 8, want;
		size_t len;

		for (unsigned j = 0; j < 16; j++) {
			a[j] = (uint8_t)random();
			b[j] = (uint8_t)random();
		}
		want = by_definition(a, b, v6 ? 4 : 1, n);
		len = make_ip(ip, v6, a, b);
		make_ip(back, v6, b, a);
		CU_ASSERT_EQUAL_FATAL(steer_ip(ip, len, n), want);
		CU_ASSERT_EQUAL_FATAL(steer_ip(back, len, n), want);
		for (unsigned tags = 0; tags < 3; tags++)
			CU_ASSERT_EQUAL_FATAL(steer_ether(eth, make_ether(eth, v6, tags, ip, len), n), want);
		CU_ASSERT_EQUAL(steer_ether(eth, make_ether(eth, v6, 3, ip, len), n), 0);
		if (n == 8)
			seen[want]++;
	}
	for (unsigned i = 0; i < 8; i++)
		CU_ASSERT(seen[i] > 20);	/* random pairs reach every worker */
}

static void test_short(void)
{
	uint8_t a[16] = { 1 }, b[16] = { 2 }, ip[40], eth[80];

	for (int v6 = 0; v6 < 2; v6++) {
		size_t n = make_ip(ip, v6, a, b);

		CU_ASSERT_NOT_EQUAL(steer_ip(ip, n, 256), 0);
		for (size_t cut = 0; cut < n; cut++) {
			uint8_t *exact = malloc(cut + 1);

			memcpy(exact, ip, cut);
			CU_ASSERT_EQUAL(steer_ip(exact, cut, 256), 0);
			CU_ASSERT_EQUAL(steer_ether(eth, make_ether(eth, v6, 2, exact, cut), 256), 0);
			free(exact);
		}
	}
	for (size_t n = 0; n < 22; n++)
		CU_ASSERT_EQUAL(steer_ether(eth, n, 256), 0);
	memset(eth, 0, sizeof eth);
	eth[12] = 8;
	eth[13] = 6;	/* ARP */
	CU_ASSERT_EQUAL(steer_ether(eth, 60, 4), 0);
}

const struct unit_test tests_steer[] = {
	{ "by the definition, both directions, raw IP and Ethernet with tags", test_equal },
	{ "short and other frames go to worker 0", test_short },
	{ 0 },
};
