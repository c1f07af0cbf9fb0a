/* SPDX-License-Identifier: GPL-2.0-or-later */
/* calm_packet on made packets: nothing but flag, pointer and checksum changes, and the checksum is right. That the kernel takes them: test_queue.c. */
#include <string.h>

#include "base/csum.h"
#include "nfq/calm.h"
#include "tests/unit/unit.h"

#define DATA "an urgent byt!"

/* An IP packet with TCP at *l4. Returns its length. */
static size_t make(bool v6, bool partial, uint8_t *p, unsigned *l4)
{
	size_t n = 20 + sizeof DATA - 1, at = v6 ? 40 : 24;
	uint64_t sum;
	uint16_t check;

	memset(p, 0, at + n);
	p[0] = v6 ? 0x60 : 0x46;	/* with an option */
	p[v6 ? 5 : 3] = (uint8_t)(n + (v6 ? 0 : at));
	p[v6 ? 6 : 9] = 6;
	memset(p + (v6 ? 8 : 12), 0x35, v6 ? 32 : 8);
	memcpy(p + at, "\x1f\x90\xc3\x51\x11\x22\x33\x44\x55\x66\x77\x88\x50\x38\x02\x00\0\0\0\x0e" DATA, n);
	sum = csum_add16(csum_add16(csum_add(0, p + (v6 ? 8 : 12), v6 ? 32 : 8), 6), (uint16_t)n);
	check = csum_fold(partial ? sum : csum_add(sum, p + at, n));
	if (!partial)
		check = (uint16_t)~check;
	memcpy(p + at + 16, &check, 2);
	*l4 = (unsigned)at;
	return at + n;
}

static bool checksum_holds(const uint8_t *p, size_t n, unsigned l4)
{
	bool v6 = p[0] >> 4 == 6;
	uint64_t sum = csum_add16(csum_add16(csum_add(0, p + (v6 ? 8 : 12), v6 ? 32 : 8), 6), (uint16_t)(n - l4));

	return csum_fold(csum_add(sum, p + l4, n - l4)) == 0xffff;
}

static void test_calmed(void)
{
	for (int k = 0; k < 4; k++) {
		uint8_t p[128], out[128];
		unsigned l4;
		size_t n = make(k & 1, k & 2, p, &l4);
		struct frame f = { .data = p, .caplen = (uint32_t)n, .wirelen = (uint32_t)n, .flags = k & 2 ? FRAME_CSUM_PARTIAL : 0 };

		CU_ASSERT(calm_packet(&f, l4, out, n));
		CU_ASSERT(checksum_holds(out, n, l4));
		CU_ASSERT_EQUAL(out[l4 + 13], 0x18);
		CU_ASSERT(!out[l4 + 18] && !out[l4 + 19]);
		memcpy(p + l4 + 16, out + l4 + 16, 4);
		p[l4 + 13] = 0x18;
		CU_ASSERT(!memcmp(p, out, n));
	}
}

static void test_not_calmed(void)
{
	uint8_t p[128], out[128];
	unsigned l4;
	size_t n = make(false, false, p, &l4);
	struct frame f = { .data = p, .caplen = (uint32_t)n, .wirelen = (uint32_t)n };
	struct frame none = { .held = true }, cut = f;

	cut.wirelen++;
	CU_ASSERT_FALSE(calm_packet(&f, l4, out, n - 1));	/* no room */
	CU_ASSERT_FALSE(calm_packet(&f, (unsigned)n - 19, out, sizeof out));
	CU_ASSERT_FALSE(calm_packet(&f, 65535, out, sizeof out));
	CU_ASSERT_FALSE(calm_packet(&none, l4, out, sizeof out));
	CU_ASSERT_FALSE(calm_packet(&cut, l4, out, sizeof out));
}

const struct unit_test tests_calm[] = {
	{ "flag, pointer and checksum, nothing else", test_calmed },
	{ "what cannot be calmed", test_not_calmed },
	{ NULL, NULL },
};
