/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "tests/unit/dpi/coretest.h"
#include "tests/unit/dpi/packets.h"
#include "tests/unit/unit.h"

/* Bit by bit, apart from the core's own. */
static uint32_t slow_crc(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++)
		for (int bit = 0; bit < 8; bit++) {
			bool one = (crc ^ p[i] >> bit) & 1;

			crc = crc >> 1 ^ (one ? 0x82f63b78 : 0);
		}
	return ~crc;
}

static const uint8_t request[] = {	/* diameter: capabilities exchange */
	1, 0, 0, 0x20, 0x80, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 1, 8, 0x40, 0, 0, 0xb, 'c', '.', 'x', 0,
};

static void chunk(struct pkt *k, unsigned type, unsigned flags, size_t head, const void *p, size_t n)
{
	pk_u8(k, type);
	pk_u8(k, flags);
	pk_be16(k, (unsigned)(4 + head + n));
	pk_zero(k, head);
	pk_bytes(k, p, n);
	pk_zero(k, (4 - (head + n) % 4) % 4);
}

static struct pkt begin(bool six)
{
	static struct pkt k;
	struct pk_ip h = { .src = six ? "fd00::1" : "10.0.0.1", .dst = six ? "fd00::2" : "10.0.0.2", .proto = 132 };

	k.n = 0;
	pk_ether(&k, six ? 0x86dd : 0x0800);
	if (six)
		pk_ip6(&k, &h);
	else
		pk_ip4(&k, &h);
	pk_be16(&k, 4000);
	pk_be16(&k, 4001);
	pk_be32(&k, 77);
	pk_be32(&k, 0);
	return k;
}

static void finish(struct pkt *k, bool six)
{
	size_t l4 = six ? 54 : 34;
	uint32_t crc = slow_crc(k->b + l4, k->n - l4);

	for (int i = 0; i < 4; i++)
		k->b[l4 + 8 + (size_t)i] = (uint8_t)(crc >> 8 * i);
	pk_finish(k, 14, 0, 132);
}

static enum verdict send(struct core *c, const struct pkt *k)
{
	struct frame f = pk_frame(k->b, k->n, LINK_ETHERNET);

	return core_raw(c, &f);
}

static void test_chunks(void)
{
	static const struct { const char *what; unsigned type, flags; size_t head, cut; bool found; } all[] = {
		{ "DATA", 0, 3, 12, 0, true },
		{ "DATA, unordered", 0, 7, 12, 0, true },
		{ "I-DATA", 64, 3, 16, 0, true },
		{ "the first of several pieces", 0, 2, 12, 0, false },
		{ "the last", 0, 1, 12, 0, false },
		{ "another chunk", 3, 3, 12, 0, false },
		{ "a chunk longer than the packet", 0, 3, 12, 4, false },
	};

	for (int six = 0; six < 2; six++)
		for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
			struct pkt k = begin(six);
			struct core c = { 0 };

			chunk(&k, 3, 0, 12, NULL, 0);	/* SACK, and a heartbeat of an odd length */
			chunk(&k, 4, 0, 0, "abc", 3);
			chunk(&k, all[i].type, all[i].flags, all[i].head, request, sizeof request);
			k.n -= all[i].cut;
			finish(&k, six);
			core_open(&c, NULL);
			send(&c, &k);
			CU_ASSERT_PTR_NOT_NULL(core_flow(&c));
			if (!core_flow(&c) || (core_flow(&c)->app == APP_DIAMETER) != all[i].found)
				printf("\n%s: %s\n", all[i].what, c.text);
			CU_ASSERT_EQUAL(core_flow(&c) && core_flow(&c)->app == APP_DIAMETER, all[i].found);
			CU_ASSERT_EQUAL(core_counter(&c, DPI_C_DECODE_CSUM), 0);
			core_close(&c);
		}
}

static void test_lengths(void)
{
	struct pkt whole = begin(false);
	struct core c = { 0 };

	chunk(&whole, 0, 3, 12, request, sizeof request);
	for (size_t n = 34; n <= whole.n; n++) {
		struct pkt k = whole;

		k.n = n;
		core_open(&c, NULL);
		if (n >= 46)
			finish(&k, false);
		else
			pk_finish(&k, 14, 0, 132);
		send(&c, &k);
		CU_ASSERT_EQUAL(core_flows(&c), 1);
		CU_ASSERT_EQUAL(core_flow(&c)->app == APP_DIAMETER, n == whole.n);
		CU_ASSERT_EQUAL(core_flow(&c)->key.hi_port, n >= 46 ? 4001 : 0);
		core_close(&c);
		memset(&c, 0, sizeof c);
	}
}

static void test_checksum(void)
{
	struct pkt k = begin(false);
	struct core c = { 0 };
	struct frame f;

	chunk(&k, 0, 3, 12, request, sizeof request);
	finish(&k, false);
	k.b[k.n - 5] ^= 1;
	core_open(&c, NULL);
	send(&c, &k);
	CU_ASSERT_EQUAL(core_flows(&c), 0);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_DECODE_CSUM), 1);
	f = pk_frame(k.b, k.n, LINK_ETHERNET);	/* not finished yet: not judged */
	f.flags = FRAME_CSUM_PARTIAL;
	core_raw(&c, &f);
	CU_ASSERT_EQUAL(core_flows(&c), 1);
	core_close(&c);
}

const struct unit_test tests_sctp[] = {
	{ "messages in chunks", test_chunks },
	{ "every shorter length", test_lengths },
	{ "checksums", test_checksum },
	{ 0 },
};
