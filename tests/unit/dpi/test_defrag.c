/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Oracle: a slow and obvious reassembler of the test's own, a byte map, which says of each sequence of pieces what Linux says. */
#include <string.h>

#include "dpi/defrag.h"
#include "tests/unit/dpi/packets.h"
#include "tests/unit/unit.h"

#define S INT64_C(1000000000)

static const struct hash_key key = { { 1, 2 } };

struct bench {
	struct mem *mem;
	struct defrag *d;
	int64_t now;
	uint32_t view;
};

static void bench_up_share(struct bench *b, unsigned queues, uint64_t cap, uint64_t share)
{
	*b = (struct bench){ .mem = mem_new(cap), .now = 1000 * S };
	b->d = defrag_new(b->mem, queues, share, &key);
}

static void bench_up(struct bench *b, unsigned queues, uint64_t cap) { bench_up_share(b, queues, cap, UINT64_MAX); }

static void bench_down(struct bench *b)
{
	struct mem_stats s;

	CU_ASSERT(defrag_queues(b->d) == 0 || b->d);
	defrag_free(b->d);
	mem_get_stats(b->mem, &s);
	CU_ASSERT_EQUAL(s.used, 0);
	mem_free_all(b->mem);
}

struct piece_spec {
	bool six;
	uint32_t id;
	unsigned off, n;	/* bytes */
	bool more;
	uint8_t fill;		/* first byte of a running pattern over the whole datagram */
	uint8_t proto;
};

static enum defrag_result give(struct bench *b, const struct piece_spec *s, struct defrag_out *out)
{
	struct pkt k = { .n = 0 };
	struct packet p;
	struct frame f;
	enum dpi_counter why;
	uint8_t proto = s->proto ? s->proto : 17;

	if (s->six) {
		struct pk_ip h = { .src = "fd00::1", .dst = "fd00::2", .proto = 44 };

		pk_ip6(&k, &h);
		pk_u8(&k, proto);
		pk_u8(&k, 0);
		pk_be16(&k, s->off | s->more);
		pk_be32(&k, s->id);
	} else {
		struct pk_ip h = { .src = "10.0.0.1", .dst = "10.0.0.2", .proto = proto, .id = (uint16_t)s->id, .frag = (uint16_t)((s->more ? 0x2000 : 0) | s->off / 8) };

		pk_ip4(&k, &h);
	}
	for (unsigned i = 0; i < s->n; i++)
		pk_u8(&k, (s->off + i) * 7 + s->fill);
	pk_finish(&k, 0, 0, 0);
	f = pk_frame(k.b, k.n, LINK_RAW);
	f.ts = b->now;
	f.view = b->view;
	if (decode_frame(&f, &p, &why) != DECODE_OK || !p.fragment) {
		CU_FAIL("the test's own fragment is none");
		return DEFRAG_DROP;
	}
	return defrag_add(b->d, &p, out);
}

static bool pattern_holds(const struct defrag_out *out, bool six, unsigned total, uint8_t fill)
{
	size_t head = six ? 40 : 20;

	if (out->ip.n != head + total)
		return false;
	for (unsigned i = 0; i < total; i++)
		if (out->ip.p[head + i] != (uint8_t)(i * 7 + fill))
			return false;
	return true;
}

static void test_orders(void)
{
	/* Three pieces in all six orders, both families, each order twice in a row: nothing of the first stays. */
	static const unsigned order[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	static const unsigned off[3] = { 0, 800, 1600 }, len[3] = { 800, 800, 333 };
	struct bench b;

	bench_up(&b, 16, 16 << 20);
	for (int six = 0; six < 2; six++)
		for (int o = 0; o < 12; o++)
			for (int i = 0; i < 3; i++) {
				unsigned at = order[o / 2][i];
				struct piece_spec s = { six, 5, off[at], len[at], at < 2, 3, 0 };
				struct defrag_out out;
				enum defrag_result r = give(&b, &s, &out);

				CU_ASSERT_EQUAL(r, i < 2 ? DEFRAG_KEPT : DEFRAG_WHOLE);
				if (i == 2) {
					CU_ASSERT(pattern_holds(&out, six, 1933, 3));
					CU_ASSERT_EQUAL(out.pieces, 3);
					CU_ASSERT_EQUAL(out.bytes, 1933 + 3 * (six ? 48 : 20));
				}
			}
	CU_ASSERT_EQUAL(defrag_queues(b.d), 0);
	bench_down(&b);
}

static void test_duplicates_and_overlaps(void)
{
	struct bench b;
	struct defrag_out out;

	bench_up(&b, 16, 16 << 20);
	for (int six = 0; six < 2; six++) {
		struct piece_spec first = { six, 1, 0, 64, true, 0, 0 }, again = first, inside = { six, 1, 16, 16, true, 99, 0 }, last = { six, 1, 64, 8, false, 0, 0 };
		struct piece_spec overlap = { six, 1, 56, 16, true, 0, 0 };

		CU_ASSERT_EQUAL(give(&b, &first, &out), DEFRAG_KEPT);
		CU_ASSERT_EQUAL(give(&b, &again, &out), DEFRAG_KEPT);
		CU_ASSERT_EQUAL(give(&b, &inside, &out), DEFRAG_KEPT);	/* other bytes, but wholly inside: the first ones stay */
		CU_ASSERT_EQUAL(give(&b, &last, &out), DEFRAG_WHOLE);
		CU_ASSERT(pattern_holds(&out, six, 72, 0));
		CU_ASSERT_EQUAL(out.pieces, 4);

		CU_ASSERT_EQUAL(give(&b, &first, &out), DEFRAG_KEPT);
		CU_ASSERT_EQUAL(give(&b, &overlap, &out), DEFRAG_DROP);
		CU_ASSERT(out.overlap);
		CU_ASSERT_EQUAL(defrag_queues(b.d), 0);
		CU_ASSERT_EQUAL(give(&b, &last, &out), DEFRAG_KEPT);	/* the queue is gone: this starts another */
		CU_ASSERT_EQUAL(give(&b, &first, &out), DEFRAG_WHOLE);
	}
	bench_down(&b);
}

static void test_contradicting_ends(void)
{
	struct bench b;
	struct defrag_out out;

	bench_up(&b, 16, 16 << 20);
	for (int six = 0; six < 2; six++) {
		struct piece_spec last = { six, 2, 64, 8, false, 0, 0 }, past = { six, 2, 128, 8, true, 0, 0 }, other = { six, 2, 32, 8, false, 0, 0 };

		CU_ASSERT_EQUAL(give(&b, &last, &out), DEFRAG_KEPT);
		CU_ASSERT_EQUAL(give(&b, &past, &out), DEFRAG_DROP);
		CU_ASSERT_EQUAL(give(&b, &last, &out), DEFRAG_KEPT);
		CU_ASSERT_EQUAL(give(&b, &other, &out), DEFRAG_DROP);
		CU_ASSERT_EQUAL(defrag_queues(b.d), 0);
	}
	bench_down(&b);
}

static void test_keys(void)
{
	struct bench b;
	struct defrag_out out;
	struct piece_spec first = { false, 9, 0, 64, true, 0, 17 }, last = { false, 9, 64, 8, false, 0, 6 };

	bench_up(&b, 16, 16 << 20);
	CU_ASSERT_EQUAL(give(&b, &first, &out), DEFRAG_KEPT);
	CU_ASSERT_EQUAL(give(&b, &last, &out), DEFRAG_KEPT);	/* another protocol: another datagram */
	CU_ASSERT_EQUAL(defrag_queues(b.d), 2);
	last.proto = 17;
	b.view = 4;
	CU_ASSERT_EQUAL(give(&b, &last, &out), DEFRAG_KEPT);	/* another point of observation */
	b.view = 0;
	CU_ASSERT_EQUAL(give(&b, &last, &out), DEFRAG_WHOLE);
	bench_down(&b);
}

static void test_timeout(void)
{
	struct bench b;
	struct defrag_out out;

	bench_up(&b, 16, 16 << 20);
	for (int six = 0; six < 2; six++) {
		struct piece_spec first = { six, 3, 0, 64, true, 0, 0 }, last = { six, 3, 64, 8, false, 0, 0 };
		int64_t t = six ? DEFRAG_TIMEOUT_V6 : DEFRAG_TIMEOUT_V4;

		give(&b, &first, &out);
		CU_ASSERT_EQUAL(defrag_expire(b.d, b.now + t - 1), 0);
		CU_ASSERT_EQUAL(defrag_expire(b.d, b.now + t), 1);
		give(&b, &first, &out);
		b.now += t;		/* nobody ticked: still over */
		CU_ASSERT_EQUAL(give(&b, &last, &out), DEFRAG_KEPT);
		CU_ASSERT_EQUAL(give(&b, &first, &out), DEFRAG_WHOLE);
	}
	bench_down(&b);
}

/* Floods: queues, pieces and memory stay at their caps, and each refusal is told. */
static void test_caps(void)
{
	struct bench b;
	struct defrag_out out;
	unsigned caps = 0;
	struct mem_stats m;

	bench_up(&b, 64, 2 << 20);
	for (uint32_t i = 0; i < 5000; i++) {
		struct piece_spec s = { i & 1, i, 8, 1000, true, 0, 0 };

		give(&b, &s, &out);
		caps += out.cap;
		CU_ASSERT_FATAL(defrag_queues(b.d) <= 64);
	}
	CU_ASSERT_EQUAL(caps, 5000 - 64);
	mem_get_stats(b.mem, &m);
	CU_ASSERT(m.reserved <= m.cap);
	bench_down(&b);

	bench_up(&b, 64, 16 << 20);
	for (unsigned i = 0; i <= DEFRAG_PIECES_MAX; i++) {
		struct piece_spec s = { false, 1, i * 16, 8, true, 0, 0 };

		CU_ASSERT_EQUAL(give(&b, &s, &out), i < DEFRAG_PIECES_MAX ? DEFRAG_KEPT : DEFRAG_DROP);
	}
	CU_ASSERT(out.cap);
	bench_down(&b);

	bench_up_share(&b, 4096, 16 << 20, 512 << 10);	/* the share is used up: the oldest make room, new ones are taken */
	caps = 0;
	for (uint32_t i = 0; i < 3000; i++) {
		struct piece_spec s = { i & 1, i / 4, i % 4 * 1400, 1400, true, 0, 0 };

		CU_ASSERT_EQUAL(give(&b, &s, &out), DEFRAG_KEPT);
		caps += out.cap;
		CU_ASSERT_FATAL(defrag_bytes(b.d) <= (512 << 10) + 4096);
	}
	CU_ASSERT(caps > 100 && defrag_queues(b.d) > 50);
	bench_down(&b);

	bench_up(&b, 4096, 1 << 20);	/* memory gives out before the queues do */
	caps = 0;
	for (uint32_t i = 0; i < 3000; i++) {
		struct piece_spec s = { false, i, 8, 1400, true, 0, 0 };

		give(&b, &s, &out);
		caps += out.cap;
	}
	CU_ASSERT(caps > 0);
	mem_get_stats(b.mem, &m);
	CU_ASSERT(m.reserved <= m.cap && m.exhausted > 0);
	bench_down(&b);
}

/* More bytes than a datagram can have. */
static void test_too_long(void)
{
	struct bench b;
	struct defrag_out out;

	bench_up(&b, 16, 16 << 20);
	for (unsigned off = 0; off < 64000; off += 8000) {
		struct piece_spec s = { false, 1, off, 8000, true, 0, 0 };

		CU_ASSERT_EQUAL(give(&b, &s, &out), DEFRAG_KEPT);
	}
	struct piece_spec last = { false, 1, 64000, 1600, false, 0, 0 };
	CU_ASSERT_EQUAL(give(&b, &last, &out), DEFRAG_DROP);
	CU_ASSERT_EQUAL(defrag_queues(b.d), 0);
	struct piece_spec six = { true, 1, 65528, 16, false, 0, 0 };
	CU_ASSERT_EQUAL(give(&b, &six, &out), DEFRAG_DROP);
	bench_down(&b);
}

/* ---- the oracle ---- */

struct map {
	uint8_t have[2048];	/* per byte: 0 not there, else its run */
	unsigned end;		/* 0: not known */
	unsigned high, runs;
	bool dead;
};

/* What Linux does with off..off+n: 0 kept, 1 complete, 2 dropped with its queue. */
static int map_add(struct map *m, unsigned off, unsigned n, bool more)
{
	unsigned end = off + n, there = 0;
	bool same_run = true;

	if ((!more && (end < m->high || (m->end && end != m->end))) || (more && end > m->high && m->end) || !n)
		return 2;
	if (!more)
		m->end = end;
	for (unsigned i = off; i < end; i++) {
		there += m->have[i] != 0;
		same_run &= m->have[i] == m->have[off];
	}
	if (there == n && same_run)
		return 0;
	if (there)
		return 2;
	/* a run grows only while it is the highest */
	uint8_t run = off && off == m->high && m->have[off - 1] ? m->have[off - 1] : (uint8_t)++m->runs;
	memset(m->have + off, run, n);
	if (end > m->high)
		m->high = end;
	there = 0;
	for (unsigned i = 0; i < m->high; i++)
		there += m->have[i] != 0;
	return m->end && there == m->end;
}

static void test_against_oracle(void)
{
	uint64_t s = 99;
	unsigned whole = 0, dropped = 0;
	struct bench b;

	bench_up(&b, 16, 16 << 20);
	for (int round = 0; round < 4000; round++) {
		unsigned total = 64 + 8 * (unsigned)(rnd(&s) % 24), tail = (unsigned)(rnd(&s) % 8);
		struct map m = { .end = 0 };

		for (int i = 0; i < 24; i++) {
			unsigned off = 8 * (unsigned)(rnd(&s) % (total / 8)), n = 8 * (1 + (unsigned)(rnd(&s) % 8));
			bool more = rnd(&s) % 4 != 0;
			struct piece_spec p = { round & 1, (uint32_t)round, off, n, true, 0, 0 };
			struct defrag_out out;
			enum defrag_result r;
			int want;

			if (rnd(&s) % 3) {	/* mostly neat pieces, so that some datagrams become whole */
				off = off / 32 * 32;
				n = 32;
			}
			if (off + n >= total) {
				n = total - off + tail;
				more = rnd(&s) % 16 == 0 && !(n % 8);
			} else if (!more && rnd(&s) % 8) {
				more = true;
			}
			p.off = off;
			p.n = n;
			p.more = more;
			if ((more && n % 8) || (!more && !off))
				continue;
			want = map_add(&m, off, n, more);
			r = give(&b, &p, &out);
			CU_ASSERT_EQUAL(r, want == 0 ? DEFRAG_KEPT : want == 1 ? DEFRAG_WHOLE : DEFRAG_DROP);
			if (want == 1) {
				CU_ASSERT(pattern_holds(&out, round & 1, m.end, 0));
				whole++;
			}
			dropped += want == 2;
			if (want)
				m = (struct map){ .end = 0 };
		}
		b.now += 100 * S;
		defrag_expire(b.d, b.now);
		CU_ASSERT_EQUAL(defrag_queues(b.d), 0);
	}
	CU_ASSERT(whole > 500 && dropped > 500);	/* both kinds were really met */
	bench_down(&b);
}

const struct unit_test tests_defrag[] = {
	{ "all orders", test_orders },
	{ "duplicates and overlaps", test_duplicates_and_overlaps },
	{ "contradicting ends", test_contradicting_ends },
	{ "what tells datagrams apart", test_keys },
	{ "timeouts", test_timeout },
	{ "caps", test_caps },
	{ "longer than a datagram", test_too_long },
	{ "against an obvious reassembler", test_against_oracle },
	{ 0 },
};
