/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files are written here, byte by byte. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/path.h"
#include "agent/pcapsrc.h"
#include "tests/unit/agent/tmpdir.h"

struct out {
	uint8_t b[4096];
	size_t n;
	bool swapped, patched;
};

static void put(struct out *o, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		o->b[o->n++] = (uint8_t)(v >> 8 * (o->swapped ? bytes - 1 - i : i));
}

static void pcap_head(struct out *o, uint32_t magic, uint32_t link)
{
	put(o, magic, 4);
	put(o, 2, 2);
	put(o, 4, 2);
	put(o, 0, 8);
	put(o, 65535, 4);
	put(o, link, 4);
}

static void pcap_packet(struct out *o, uint32_t sec, uint32_t frac, uint32_t cap, uint32_t len, uint8_t fill)
{
	put(o, sec, 4);
	put(o, frac, 4);
	put(o, cap, 4);
	put(o, len, 4);
	if (o->patched)		/* Kuznetzov's records */
		put(o, 0x0102030405060708, 8);
	memset(o->b + o->n, fill, cap);
	o->n += cap;
}

static struct source *open_bytes(struct tmpdir *d, const struct out *o, uint64_t first)
{
	struct err e = { "" };
	struct source *s = pcapsrc_open(tmpdir_write(d, "f.pcap", o->b, o->n), first, &e);

	CU_ASSERT_STRING_EQUAL(e.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

static void check(struct source *s, int64_t ts, uint32_t cap, uint32_t len, uint8_t fill, uint64_t number, uint8_t link)
{
	struct err e = { "" };
	struct frame f[8];

	CU_ASSERT_EQUAL_FATAL(s->ops->batch(s, f, 1, &e), 1);
	CU_ASSERT_EQUAL(f[0].ts, ts);
	CU_ASSERT_EQUAL(f[0].caplen, cap);
	CU_ASSERT_EQUAL(f[0].wirelen, len);
	CU_ASSERT_EQUAL(!!(f[0].flags & FRAME_TRUNCATED), cap < len);
	CU_ASSERT(cap == 0 || (f[0].data[0] == fill && f[0].data[cap - 1] == fill));
	CU_ASSERT_EQUAL(f[0].number, number);
	CU_ASSERT_EQUAL(f[0].link, link);
	CU_ASSERT_EQUAL(f[0].path, PATH_PCAP);
	CU_ASSERT_FALSE(f[0].held);
	s->ops->answer(s, f, (struct answer){ .verdict = VERDICT_DENY });
	s->ops->flush(s);
}

static void check_end(struct source *s, uint64_t packets)
{
	struct source_stats st;
	struct err e = { "" };
	struct frame f;

	CU_ASSERT_EQUAL(s->ops->batch(s, &f, 1, &e), -EPIPE);
	CU_ASSERT_EQUAL(s->ops->batch(s, &f, 1, &e), -EPIPE);
	CU_ASSERT_EQUAL(pcapsrc_count(s), packets);
	s->ops->stats(s, &st);
	CU_ASSERT_EQUAL(st.packets, packets);
	CU_ASSERT_EQUAL(s->ops->fd(s), -1);
	s->ops->close(s);
}

static void test_magics(void)
{
	static const struct { uint32_t magic; bool swapped; int64_t unit; } m[] = {
		{ 0xa1b2c3d4, false, 1000 }, { 0xa1b2c3d4, true, 1000 }, { 0xa1b23c4d, false, 1 }, { 0xa1b23c4d, true, 1 },
		{ 0xa1b2cd34, false, 1000 }, { 0xa1b2cd34, true, 1000 },
	};
	struct tmpdir d;

	tmpdir_make(&d);
	for (unsigned i = 0; i < sizeof m / sizeof m[0]; i++) {
		struct out o = { .swapped = m[i].swapped, .patched = m[i].magic == 0xa1b2cd34 };
		struct source *s;

		pcap_head(&o, m[i].magic, 1);
		pcap_packet(&o, 1700000000, 123456, 60, 60, 0xaa);
		pcap_packet(&o, 1700000001, 999999, 54, 1514, 0xbb);
		s = open_bytes(&d, &o, 41);
		check(s, 1700000000000000000LL + 123456 * m[i].unit, 60, 60, 0xaa, 41, LINK_ETHERNET);
		check(s, 1700000001000000000LL + 999999 * m[i].unit, 54, 1514, 0xbb, 42, LINK_ETHERNET);
		check_end(s, 2);
	}
	tmpdir_remove(&d);
}

static void test_links(void)
{
	static const struct { uint32_t dlt; uint8_t link; } l[] = {
		{ 1, LINK_ETHERNET }, { 101, LINK_RAW }, { 228, LINK_RAW }, { 229, LINK_RAW }, { 113, LINK_SLL }, { 276, LINK_SLL2 }, { 0, LINK_NULL }, { 108, LINK_NULL }, { 105, LINK_UNSUPPORTED },
	};
	struct tmpdir d;

	tmpdir_make(&d);
	for (size_t i = 0; i < sizeof l / sizeof l[0]; i++) {
		struct out o = { 0 };
		struct source *s;

		pcap_head(&o, 0xa1b2c3d4, l[i].dlt);
		pcap_packet(&o, 1, 2, 40, 40, 1);
		s = open_bytes(&d, &o, 1);
		check(s, 1000002000, 40, 40, 1, 1, l[i].link);
		check_end(s, 1);
	}
	tmpdir_remove(&d);
}

static void block(struct out *o, uint32_t type, const struct out *body)
{
	size_t n = (body->n + 3) & ~(size_t)3;

	put(o, type, 4);
	put(o, 12 + n, 4);
	memcpy(o->b + o->n, body->b, body->n);
	memset(o->b + o->n + body->n, 0, n - body->n);
	o->n += n;
	put(o, 12 + n, 4);
}

static void test_pcapng(void)
{
	struct out o = { 0 }, b = { 0 };
	struct source *s;
	struct tmpdir d;
	uint64_t ns = 1700000000123456789ULL;

	put(&b, 0x1a2b3c4d, 4);		/* section header */
	put(&b, 1, 2);
	put(&b, 0, 2);
	put(&b, UINT64_MAX, 8);
	block(&o, 0x0a0d0d0a, &b);
	b.n = 0;
	put(&b, 1, 2);			/* interface: Ethernet, time in ns */
	put(&b, 0, 2);
	put(&b, 65535, 4);
	put(&b, 9, 2);
	put(&b, 1, 2);
	put(&b, 9, 4);
	put(&b, 0, 4);
	block(&o, 1, &b);
	b.n = 0;
	put(&b, 0, 4);			/* enhanced packet */
	put(&b, ns >> 32, 4);
	put(&b, ns & 0xffffffff, 4);
	put(&b, 61, 4);
	put(&b, 100, 4);
	memset(b.b + b.n, 0xcc, 61);
	b.n += 61;
	block(&o, 6, &b);
	tmpdir_make(&d);
	s = open_bytes(&d, &o, 1);
	check(s, (int64_t)ns, 61, 100, 0xcc, 1, LINK_ETHERNET);
	check_end(s, 1);
	tmpdir_remove(&d);
}

/* Cut off at every byte: what is whole comes out, then the end; never an error once the head is there. */
static void test_cut(void)
{
	struct out whole = { 0 };
	struct tmpdir d;

	tmpdir_make(&d);
	pcap_head(&whole, 0xa1b2c3d4, 1);
	pcap_packet(&whole, 1, 0, 20, 20, 1);
	pcap_packet(&whole, 2, 0, 30, 30, 2);
	for (size_t n = 0; n <= whole.n; n++) {
		struct out o = whole;
		struct err e = { "" };
		struct source *s;

		o.n = n;
		if (n < 24) {
			CU_ASSERT_PTR_NULL(pcapsrc_open(tmpdir_write(&d, "f.pcap", o.b, o.n), 1, &e));
			CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "f.pcap: "));
			continue;
		}
		s = open_bytes(&d, &o, 1);
		if (n >= 60)
			check(s, 1000000000, 20, 20, 1, 1, LINK_ETHERNET);
		if (n >= 106)
			check(s, 2000000000, 30, 30, 2, 2, LINK_ETHERNET);
		check_end(s, n >= 106 ? 2 : n >= 60 ? 1 : 0);
	}
	tmpdir_remove(&d);
}

static void test_bad(void)
{
	struct out o = { 0 };
	struct err e = { "" };
	struct source *s;
	struct frame f;
	struct tmpdir d;

	tmpdir_make(&d);
	CU_ASSERT_PTR_NULL(pcapsrc_open("/nowhere/x.pcap", 1, &e));
	CU_ASSERT_STRING_EQUAL(e.text, "/nowhere/x.pcap: No such file or directory");
	memset(o.b, 'x', 100);
	o.n = 100;
	CU_ASSERT_PTR_NULL(pcapsrc_open(tmpdir_write(&d, "f.pcap", o.b, o.n), 1, &e));
	o.n = 0;
	pcap_head(&o, 0xa1b2c3d4, 1);
	pcap_packet(&o, 1, 0, 20, 20, 1);
	put(&o, 1, 8);
	put(&o, 0x7fffffff, 4);		/* a packet of 2 GiB */
	put(&o, 0x7fffffff, 4);
	memset(o.b + o.n, 0, 100);
	o.n += 100;
	s = open_bytes(&d, &o, 1);
	check(s, 1000000000, 20, 20, 1, 1, LINK_ETHERNET);
	CU_ASSERT_EQUAL(s->ops->batch(s, &f, 1, &e), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "f.pcap: after packet 1: "));
	s->ops->close(s);
	tmpdir_remove(&d);
}

/* Packets that are never whole in one read: of a pipe that gives few bytes at a time, and of a file longer than the reader's buffer. */
static void test_pieces(void)
{
	enum { PACKETS = 4000, SIZE = 1300 };
	struct out o = { 0 };
	struct tmpdir d;
	struct err e = { "" };
	struct source *s;
	struct frame f[64];
	const char *path;
	FILE *file;
	unsigned seen = 0;
	int n;

	tmpdir_make(&d);
	pcap_head(&o, 0xa1b2c3d4, 1);
	path = tmpdir_write(&d, "f.pcap", o.b, o.n);
	file = fopen(path, "ab");
	for (unsigned i = 0; i < PACKETS; i++) {
		o.n = 0;
		pcap_packet(&o, i, i, SIZE - i % 7, SIZE, (uint8_t)i);
		CU_ASSERT_EQUAL(fwrite(o.b, 1, o.n, file), o.n);
	}
	fclose(file);
	s = pcapsrc_open(path, 1, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	while ((n = s->ops->batch(s, f, 64, &e)) > 0) {
		for (int i = 0; i < n; i++, seen++) {
			uint32_t cap = SIZE - seen % 7;
			bool good = f[i].number == seen + 1 && f[i].caplen == cap && f[i].ts == seen * 1000001000LL && f[i].data[0] == (uint8_t)seen && f[i].data[cap - 1] == (uint8_t)seen;

			if (!good)
				CU_FAIL("a packet of the file");
		}
	}
	CU_ASSERT_EQUAL(n, -EPIPE);
	CU_ASSERT_EQUAL(seen, PACKETS);
	s->ops->close(s);
	tmpdir_remove(&d);
}

static void test_pipe(void)
{
	struct out o = { 0 };
	struct tmpdir d;
	struct err e = { "" };
	struct source *s;
	int pipe_end;
	char path[300];

	tmpdir_make(&d);
	snprintf(path, sizeof path, "%s/pipe", d.path);
	CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
	pipe_end = open(path, O_RDWR);
	CU_ASSERT_FATAL(pipe_end >= 0);
	pcap_head(&o, 0xa1b2c3d4, 1);
	pcap_packet(&o, 1, 0, 20, 20, 1);
	CU_ASSERT_EQUAL(write(pipe_end, o.b, o.n), (ssize_t)o.n);
	s = pcapsrc_open(path, 1, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	check(s, 1000000000, 20, 20, 1, 1, LINK_ETHERNET);	/* at once, though more may come */
	o.n = 0;
	pcap_packet(&o, 2, 0, 30, 30, 2);
	CU_ASSERT_EQUAL(write(pipe_end, o.b, o.n), (ssize_t)o.n);
	check(s, 2000000000, 30, 30, 2, 2, LINK_ETHERNET);
	close(pipe_end);
	check_end(s, 2);
	tmpdir_remove(&d);
}

const struct unit_test tests_pcapsrc[] = {
	{ "both byte orders, us and ns", test_magics },
	{ "link types", test_links },
	{ "pcapng", test_pcapng },
	{ "cut off at every byte", test_cut },
	{ "longer than the reader's buffer", test_pieces },
	{ "a pipe gives what is there", test_pipe },
	{ "no capture file", test_bad },
	{ 0 },
};
