/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files are written here, byte by byte, and read from memory. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/pcapng.h"
#include "agent/pcapsrc.h"
#include "tests/unit/agent/tmpdir.h"

#define SHB 0x0a0d0d0au
#define IDB 1u
#define PB 2u
#define SPB 3u
#define EPB 6u

struct out {
	uint8_t b[4096];
	size_t n, at;		/* at: where the block at hand begins */
	bool big;
};

static void put(struct out *o, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		o->b[o->n++] = (uint8_t)(v >> 8 * (o->big ? bytes - 1 - i : i));
}

static void fill(struct out *o, uint8_t byte, size_t n)
{
	memset(o->b + o->n, byte, n);
	o->n += n;
	while (o->n % 4)
		o->b[o->n++] = 0;
}

static void begin(struct out *o, uint32_t type)
{
	o->at = o->n;
	put(o, type, 4);
	put(o, 0, 4);
}

static void end(struct out *o)
{
	size_t n = o->n + 4 - o->at, now;

	put(o, n, 4);
	now = o->n;
	o->n = o->at + 4;
	put(o, n, 4);
	o->n = now;
}

static void section(struct out *o, bool big)
{
	o->big = big;
	begin(o, SHB);
	put(o, 0x1a2b3c4d, 4);
	put(o, 1, 2);
	put(o, 0, 2);
	put(o, UINT64_MAX, 8);
	end(o);
}

/* resol < 0: not said. */
static void interface(struct out *o, uint16_t link, uint32_t snaplen, int resol, int64_t offset)
{
	begin(o, IDB);
	put(o, link, 2);
	put(o, 0, 2);
	put(o, snaplen, 4);
	if (resol >= 0 || offset) {
		put(o, 2, 2);		/* its name */
		put(o, 5, 2);
		fill(o, 'e', 5);
		if (resol >= 0) {
			put(o, 9, 2);
			put(o, 1, 2);
			fill(o, (uint8_t)resol, 1);
		}
		if (offset) {
			put(o, 14, 2);
			put(o, 8, 2);
			put(o, (uint64_t)offset, 8);
		}
		put(o, 0, 4);
	}
	end(o);
}

static void packet(struct out *o, uint32_t type, uint32_t no_if, uint64_t t, uint32_t cap, uint32_t len, uint8_t byte)
{
	begin(o, type);
	if (type == PB) {
		put(o, no_if, 2);
		put(o, 7, 2);
	} else if (type == EPB) {
		put(o, no_if, 4);
	}
	if (type != SPB) {
		put(o, t >> 32, 4);
		put(o, t & 0xffffffff, 4);
		put(o, cap, 4);
	}
	put(o, len, 4);
	fill(o, byte, cap);
	end(o);
}

static struct pcapng *open_bytes(const struct out *o, size_t n, struct err *e)
{
	FILE *f = fmemopen((void *)(uintptr_t)o->b, n, "r");
	struct pcapng *s;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	s = pcapng_open(f, e);
	if (!s)
		fclose(f);
	return s;
}

static void check(struct pcapng *s, int64_t ts, uint16_t link, uint32_t cap, uint32_t len, uint8_t byte)
{
	struct pcapng_packet k;
	struct err e = { "" };

	CU_ASSERT_EQUAL(pcapng_next(s, &k, &e), 1);
	CU_ASSERT_STRING_EQUAL(e.text, "");
	CU_ASSERT_EQUAL(k.ts, ts);
	CU_ASSERT_EQUAL(k.link, link);
	CU_ASSERT_EQUAL(k.caplen, cap);
	CU_ASSERT_EQUAL(k.wirelen, len);
	CU_ASSERT(cap == 0 || (k.data[0] == byte && k.data[cap - 1] == byte));
}

static void check_end(struct pcapng *s, int rc, const char *why)
{
	for (int i = 0; i < 2; i++) {	/* it stays so */
		struct pcapng_packet k;
		struct err e = { "" };

		CU_ASSERT_EQUAL(pcapng_next(s, &k, &e), rc);
		if (strcmp(e.text, why))
			fprintf(stderr, "says \"%s\", expected \"%s\"\n", e.text, why);
		CU_ASSERT_STRING_EQUAL(e.text, why);
	}
	pcapng_close(s);
}

/* Two sections of different byte order; each numbers its interfaces anew; links, snap lengths and resolutions differ. */
static void test_sections(void)
{
	for (int big = 0; big < 2; big++) {
		struct out o = { .n = 0 };
		struct err e = { "" };
		struct pcapng *s;

		section(&o, big);
		interface(&o, 1, 64, -1, 0);
		interface(&o, 101, 262144, 9, 0);
		packet(&o, EPB, 1, 1700000000123456789, 21, 21, 0x45);
		packet(&o, EPB, 0, 1700000000123456, 60, 1514, 0xaa);
		begin(&o, 0x0bad);		/* not known: passed over */
		fill(&o, 9, 33);
		end(&o);
		interface(&o, 113, 0, 0x80 | 10, 0);	/* one more, in the middle; 2^-10 s */
		packet(&o, PB, 2, 1700000000ULL << 10 | 512, 16, 16, 3);
		packet(&o, SPB, 0, 0, 64, 100, 4);	/* of interface 0, cut by its snap length */
		section(&o, !big);
		interface(&o, 276, 0, 3, -10);
		packet(&o, SPB, 0, 0, 7, 7, 5);
		packet(&o, EPB, 0, 1700000000125, 0, 0, 0);
		s = open_bytes(&o, o.n, &e);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		check(s, 1700000000123456789, 101, 21, 21, 0x45);
		check(s, 1700000000123456000, 1, 60, 1514, 0xaa);
		check(s, 1700000000500000000, 113, 16, 16, 3);
		check(s, 1700000000500000000, 1, 64, 100, 4);
		check(s, 1700000000500000000, 276, 7, 7, 5);
		check(s, 1699999990125000000, 276, 0, 0, 0);
		check_end(s, 0, "");
	}
}

static void test_times(void)
{
	static const struct { int resol; int64_t offset; uint64_t t; int64_t ts; } v[] = {
		{ -1, 0, 0, 0 },
		{ 0, 0, 5, 5000000000 },
		{ 6, 1700000000, 1, 1700000000000001000 },
		{ 12, 0, 1999999999999, 1999999999 },
		{ 19, 0, 10000000000000000000ULL, 1000000000 },
		{ 0x80 | 63, 0, (1ULL << 63) | (1ULL << 62), 1500000000 },
		{ 0x80 | 63, 0, (1ULL << 63) - 1, 999999999 },
		{ 6, -2, 500000, -1500000000 },
		/* what does not fit is the end of time */
		{ 0, 0, UINT64_MAX, FRAME_TS_MAX },
		{ 0, INT64_MAX, INT64_MAX, FRAME_TS_MAX },
		{ 6, INT64_MAX, 1, FRAME_TS_MAX },
		{ 6, INT64_MIN, 1, -FRAME_TS_MAX },
	};

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct out o = { .n = 0 };
		struct err e = { "" };
		struct pcapng *s;

		section(&o, i & 1);
		interface(&o, 1, 0, v[i].resol, v[i].offset);
		packet(&o, EPB, 0, v[i].t, 4, 4, 1);
		s = open_bytes(&o, o.n, &e);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		check(s, v[i].ts, 1, 4, 4, 1);
		check_end(s, 0, "");
	}
}

/* Cut off at every byte: what is whole comes out; at a block's end that is the end, elsewhere it is said. Never anything else. */
static void test_cut(void)
{
	struct out o = { .n = 0 };
	size_t ends[8], n = 0;

	section(&o, true);
	ends[n++] = o.n;
	interface(&o, 1, 0, 9, 4);
	ends[n++] = o.n;
	packet(&o, EPB, 0, 1, 13, 13, 1);
	ends[n++] = o.n;
	packet(&o, SPB, 0, 0, 5, 5, 2);
	ends[n++] = o.n;
	section(&o, false);
	ends[n++] = o.n;
	interface(&o, 1, 0, 9, 0);
	ends[n++] = o.n;
	packet(&o, PB, 0, 3, 4, 4, 3);
	ends[n++] = o.n;
	for (size_t len = 1; len <= o.n; len++) {
		struct err e = { "" };
		struct pcapng *s = open_bytes(&o, len, &e);
		bool whole = false;

		if (len < ends[0]) {
			CU_ASSERT_PTR_NULL(s);
			CU_ASSERT_STRING_EQUAL(e.text, "cut off in its first block");
			continue;
		}
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		if (len >= ends[2])
			check(s, 4000000001, 1, 13, 13, 1);
		if (len >= ends[3])
			check(s, 4000000001, 1, 5, 5, 2);
		if (len >= ends[6])
			check(s, 3, 1, 4, 4, 3);
		for (size_t i = 0; i < n; i++)
			whole |= len == ends[i];
		check_end(s, whole ? 0 : -EPIPE, "");
	}
}

/* One value of a good file is written over: in which block, where in it, what, and what is said. */
static void test_hostile(void)
{
	static const struct { char block; unsigned at, size; uint64_t v; const char *why; } v[] = {
		{ 'i', 4, 4, 0, "a block that says it is 0 bytes long" },
		{ 'i', 4, 4, 8, "a block that says it is 8 bytes long" },
		{ 'i', 4, 4, 33, "a block that says it is 33 bytes long" },
		{ 'i', 4, 4, UINT32_MAX, "a block that says it is 4294967295 bytes long" },
		{ 'i', 4, 4, 0xfffffffc, "a block of 4294967292 bytes, more than 16777216" },
		{ 'i', 4, 4, (16 << 20) + 4, "a block of 16777220 bytes, more than 16777216" },
		{ 'i', 4, 4, 12, "a block whose two lengths differ: 12 and 1" },
		{ 'i', 4, 4, 40, "a block whose two lengths differ: 40 and 0" },
		{ 'i', 18, 2, 21, "an interface with an option longer than its block" },
		{ 'i', 18, 2, 0xffff, "an interface with an option longer than its block" },
		{ 'i', 30, 2, 9, "an interface with an option longer than its block" },
		{ 'i', 32, 1, 20, "an interface whose time resolution is 10^-20" },
		{ 'i', 32, 1, 0x7f, "an interface whose time resolution is 10^-127" },
		{ 'i', 32, 1, 0xc0, "an interface whose time resolution is 2^-64" },
		{ 'p', 8, 4, 1, "a packet of interface 1, which is not described" },
		{ 'p', 8, 4, UINT32_MAX, "a packet of interface 4294967295, which is not described" },
		{ 'p', 20, 4, 9, "a packet of 9 bytes in a block with 8" },
		{ 'p', 20, 4, UINT32_MAX, "a packet of 4294967295 bytes in a block with 8" },
		{ 'p', 36, 4, 44, "a block whose two lengths differ: 40 and 44" },
		{ 's', 4, 4, 12, "a block that says it is 12 bytes long" },
		{ 's', 4, 4, 16, "a block whose two lengths differ: 16 and 1" },
		{ 's', 8, 4, 0, "a section header without the byte-order magic" },
		{ 's', 12, 2, 2, "version 2.0 of pcapng is not known" },
	};

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct out o = { .n = 0 };
		size_t at_i, at_p, at_s, size;
		struct err e = { "" };
		struct pcapng *s;

		section(&o, false);
		at_i = o.n;
		interface(&o, 1, 0, 9, 0);
		at_p = o.n;
		packet(&o, EPB, 0, 5, 8, 8, 0);
		at_s = o.n;
		section(&o, false);
		size = o.n;
		o.n = (v[i].block == 'i' ? at_i : v[i].block == 'p' ? at_p : at_s) + v[i].at;
		put(&o, v[i].v, v[i].size);
		s = open_bytes(&o, size, &e);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		if (v[i].block == 's')
			check(s, 5, 1, 8, 8, 0);
		check_end(s, -EIO, v[i].why);
	}
}

/* Blocks whose lengths agree and are too small for what such a block must hold. */
static void test_short(void)
{
	static const struct { uint32_t type; unsigned needs; const char *why; } v[] = {
		{ IDB, 8, "an interface block that is too short" },
		{ EPB, 20, "a packet block that is too short" },
		{ PB, 20, "a packet block that is too short" },
		{ SPB, 4, "a packet block that is too short" },
	};
	struct err e = { "" };
	struct out o;
	struct pcapng *s;

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		for (unsigned n = 0; n <= v[i].needs; n += 4) {
			struct pcapng_packet k;

			o = (struct out){ .n = 0 };
			section(&o, true);
			interface(&o, 1, 0, -1, 0);
			begin(&o, v[i].type);
			fill(&o, 0, n);
			end(&o);
			s = open_bytes(&o, o.n, &e);
			CU_ASSERT_PTR_NOT_NULL_FATAL(s);
			if (n == v[i].needs && v[i].type != IDB)
				CU_ASSERT_EQUAL(pcapng_next(s, &k, &e), 1);
			check_end(s, n == v[i].needs ? 0 : -EIO, n == v[i].needs ? "" : v[i].why);
		}
	}
	o = (struct out){ .n = 0 };
	begin(&o, SHB);
	put(&o, 0x1a2b3c4d, 4);
	put(&o, 1, 4);
	put(&o, 0, 4);
	end(&o);
	CU_ASSERT_PTR_NULL(open_bytes(&o, o.n, &e));
	CU_ASSERT_STRING_EQUAL(e.text, "a section header that is too short");
	o = (struct out){ .n = 0 };
	section(&o, false);
	packet(&o, SPB, 0, 0, 4, 4, 1);
	s = open_bytes(&o, o.n, &e);
	check_end(s, -EIO, "a packet of interface 0, which is not described");
	o = (struct out){ .n = 0 };
	interface(&o, 0x0a, 0, -1, 0);
	o.b[0] = 0x0a;
	CU_ASSERT_PTR_NULL(open_bytes(&o, o.n, &e));
	CU_ASSERT_STRING_EQUAL(e.text, "not a capture file");
}

static void test_many_interfaces(void)
{
	struct out head = { .n = 0 }, one = { .n = 0 };
	struct err e = { "" };
	struct pcapng *s;
	size_t n;
	uint8_t *all;
	FILE *f;

	section(&head, false);
	interface(&one, 1, 0, -1, 0);
	n = head.n + (PCAPNG_INTERFACES_MAX + 1) * one.n;
	all = malloc(n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	memcpy(all, head.b, head.n);
	for (size_t at = head.n; at < n; at += one.n)
		memcpy(all + at, one.b, one.n);
	f = fmemopen(all, n - one.n, "r");
	s = pcapng_open(f, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	check_end(s, 0, "");
	f = fmemopen(all, n, "r");
	s = pcapng_open(f, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	check_end(s, -EIO, "more than 65536 interfaces");
	free(all);
}

/* As a source: link types by interface, numbers, and the file's name in what is said. */
static void test_source(void)
{
	static const struct { uint16_t link; uint8_t is; } v[] = {
		{ 1, LINK_ETHERNET }, { 101, LINK_RAW }, { 12, LINK_RAW }, { 228, LINK_RAW }, { 229, LINK_RAW }, { 113, LINK_SLL }, { 276, LINK_SLL2 },
		{ 0, LINK_NULL }, { 108, LINK_NULL }, { 105, LINK_UNSUPPORTED }, { 0xffff, LINK_UNSUPPORTED },
	};
	const unsigned n = sizeof v / sizeof v[0];
	struct out o = { .n = 0 };
	struct err e = { "" };
	struct source *s;
	struct tmpdir d;
	struct frame f;

	tmpdir_make(&d);
	section(&o, true);
	for (unsigned i = 0; i < n; i++)
		interface(&o, v[i].link, 100 + i, -1, 0);
	for (unsigned i = 0; i < n; i++)
		packet(&o, EPB, i, i, 40, 40 + i, (uint8_t)i);
	packet(&o, EPB, n, 0, 4, 4, 0);
	s = pcapsrc_open(tmpdir_write(&d, "f.pcapng", o.b, o.n), 7, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	for (unsigned i = 0; i < n; i++) {
		CU_ASSERT_EQUAL_FATAL(s->ops->batch(s, &f, 1, &e), 1);
		CU_ASSERT_EQUAL(f.link, v[i].is);
		CU_ASSERT_EQUAL(f.number, 7 + i);
		CU_ASSERT_EQUAL(f.ts, 1000 * (int64_t)i);
		CU_ASSERT_EQUAL(f.flags, i ? FRAME_TRUNCATED : 0);
		CU_ASSERT_EQUAL(f.data[39], i);
	}
	CU_ASSERT_EQUAL(s->ops->batch(s, &f, 1, &e), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "/f.pcapng: after packet 11: a packet of interface 11, which is not described"));
	CU_ASSERT_EQUAL(pcapsrc_count(s), n);
	s->ops->close(s);
	CU_ASSERT_PTR_NULL(pcapsrc_open(tmpdir_write(&d, "f.pcapng", o.b, 20), 1, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "/f.pcapng: cut off in its first block"));
	CU_ASSERT_PTR_NULL(pcapsrc_open(d.path, 1, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, ": Is a directory"));
	tmpdir_remove(&d);
}

const struct unit_test tests_pcapng[] = {
	{ "sections, byte orders, interfaces that differ", test_sections },
	{ "times", test_times },
	{ "cut off at every byte", test_cut },
	{ "hostile blocks", test_hostile },
	{ "blocks that are too short", test_short },
	{ "interfaces without end", test_many_interfaces },
	{ "as a source", test_source },
	{ 0 },
};
