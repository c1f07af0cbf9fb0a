/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Noise is nobody's: random datagrams and first bytes of streams (also such with small numbers first), and datagrams that say their length, are put to every
 * protocol of the list, alone and behind a first datagram of the same kind. On a port that nobody uses no one may say yes. */
#include <stdio.h>

#include "tests/unit/dpi/flowtest.h"
#include "tests/unit/unit.h"

#define ROUNDS 60000u

static uint64_t seed = 88172645463325252u;

static uint64_t noise(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* n bytes; kind 1: the first 8 are small; kind 2: the third and fourth are the length. */
static void make(uint8_t *m, size_t n, unsigned kind)
{
	for (size_t i = 0; i < n; i++)
		m[i] = (uint8_t)noise();
	for (size_t i = 0; kind == 1 && i < 8 && i < n; i++)
		m[i] &= 31;
	if (kind == 2) {
		m[2] = (uint8_t)(n >> 8);
		m[3] = (uint8_t)n;
	}
}

static void test_noise(void)
{
	uint8_t m[2][160];
	unsigned wrong = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t n = 12 + noise() % (sizeof(m[0]) - 12);
		struct probe_in in = { .l4 = i & 1 ? PROTO_UDP : PROTO_TCP, .sport = 40001, .dport = 4000, .midstream = i & 2 };

		make(m[0], n, i / 4 % 3);
		make(m[1], n, i / 4 % 3);
		in.dir[0] = cur_of(m[0], n);
		in.dir[1] = cur_of(NULL, 0);
		if (in.l4 == PROTO_UDP)
			in.first[i >> 4 & 1] = cur_of(m[1], n);
		for (const struct proto *const *p = proto_list; *p; p++)
			if ((*p)->l4 & in.l4 && (*p)->probe(&in) == PROBE_YES) {
				printf("\n%s takes noise of %zu bytes over %s, round %u", (*p)->name, n, i & 1 ? "UDP" : "TCP", i);
				wrong++;
			}
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

const struct unit_test tests_strict[] = {
	{ "noise is nobody's", test_noise },
	{ NULL, NULL },
};
