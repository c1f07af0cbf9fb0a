/* SPDX-License-Identifier: GPL-2.0-or-later */
/* defrag: fragments of a few datagrams at two points of observation, in any order, against a map of bytes per datagram.
 *
 * The model is net/ipv4/ip_fragment.c and net/ipv6/reassembly.c told with a byte at each place: the byte, and which run it came
 * in (inet_frag_queue_insert: a piece that lies in one run is a duplicate, one that touches others' places otherwise ends the
 * datagram). Nothing is shared with dpi/defrag.c. Of each piece the core must say what the model says: taken, refused, or
 * whole, and then with the same bytes. Memory and the number of pieces are not short here (that is unit-tested). */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "dpi/engine.h"
#include "tests/fuzz/fuzz.h"

#define PLACES 82000u		/* a piece may reach past what a datagram can hold */
#define IDS 4u
#define PIECES 96

struct datagram {
	bool used, last;
	int64_t until;
	uint32_t len, have;
	uint32_t tail_run, tail_end;	/* the run that ends highest */
	uint32_t runs;
	uint8_t ecn;
	uint8_t byte[PLACES];
	uint16_t run[PLACES];		/* 0: not there */
};

struct bit_of {			/* one fragment */
	bool six, more;
	uint8_t point, id, ecn;
	uint32_t off, n;
	const uint8_t *p;
};

enum said { SAID_KEPT, SAID_DROP, SAID_WHOLE };

static struct datagram *map_of(struct datagram map[], const struct bit_of *b)
{
	return &map[((unsigned)b->six * 2 + b->point) * IDS + b->id];
}

static void forget(struct datagram *g)
{
	memset(g->run, 0, sizeof(g->run));
	memset(&g->used, 0, offsetof(struct datagram, byte));
}

static enum said refuse(struct datagram *g)
{
	forget(g);
	return SAID_DROP;
}

static enum said insert(struct datagram *g, const struct bit_of *b, uint32_t end)
{
	uint32_t set = 0, run = 0, other = 0;

	for (uint32_t i = b->off; i < end; i++) {
		set += g->run[i] != 0;
		other += g->run[i] && run && g->run[i] != run;
		run = g->run[i] ? g->run[i] : run;
	}
	if (set == end - b->off && !other)
		return SAID_KEPT;
	if (set)
		return refuse(g);
	if (!g->runs || b->off >= g->tail_end) {
		if (!g->runs || b->off > g->tail_end)
			g->tail_run = ++g->runs;
		run = g->tail_run;
		g->tail_end = end;
	} else {
		run = ++g->runs;
	}
	for (uint32_t i = b->off; i < end; i++) {
		g->byte[i] = b->p[i - b->off];
		g->run[i] = (uint16_t)run;
	}
	g->have += end - b->off;
	g->ecn |= (uint8_t)(1u << b->ecn);
	return SAID_WHOLE;	/* perhaps */
}

static enum said model(struct datagram map[], const struct bit_of *b, int64_t now)
{
	struct datagram *g = map_of(map, b);
	uint32_t end = b->off + b->n, most = b->six ? 65535 : 65535 - 20;
	enum said s;

	if (b->six && (end > 65535 || (b->more && b->n % 8)))
		return SAID_DROP;
	if (b->more && !b->six)
		end -= end % 8;
	if (g->used && g->until <= now)
		forget(g);
	if (!g->used)
		g->until = now + (b->six ? 60 : 30) * 1000 * MS;
	g->used = true;
	if (!b->more) {
		if (end < g->len || (g->last && end != g->len))
			return refuse(g);
		g->last = true;
		g->len = end;
	} else if (end > g->len) {
		if (g->last)
			return refuse(g);
		g->len = end;
	}
	if (end == b->off)
		return refuse(g);
	s = insert(g, b, end);
	if (s != SAID_WHOLE || !g->used)
		return s;
	if (!g->last || g->have != g->len)
		return SAID_KEPT;
	if (g->len > most || (g->ecn & 1 && g->ecn & ~1))
		return refuse(g);
	return SAID_WHOLE;
}

/* The fragment as a packet; UDP, whatever is in it. */
static size_t build(uint8_t *w, const struct bit_of *b)
{
	size_t head = b->six ? 48 : 20;

	memset(w, 0, head);
	if (b->six) {
		w[0] = 0x60;
		w[1] = (uint8_t)(b->ecn << 4);
		put16(w + 4, 8 + b->n);
		w[6] = IPPROTO_FRAGMENT;
		w[7] = 64;
		w[8] = w[24] = 0xfd;
		w[23] = 1;
		w[39] = 2;
		w[40] = IPPROTO_UDP;
		put16(w + 42, b->off | b->more);
		w[47] = b->id;
	} else {
		w[0] = 0x45;
		w[1] = b->ecn;
		put16(w + 2, 20 + b->n);
		w[5] = b->id;
		put16(w + 6, b->off / 8 | (b->more ? 0x2000u : 0));
		w[8] = 64;
		w[9] = IPPROTO_UDP;
		w[12] = w[16] = 10;
		w[15] = 1;
		w[19] = 2;
		put_ip4_sum(w);
	}
	if (b->n)
		memcpy(w + head, b->p, b->n);
	return head + b->n;
}

static bool same(const struct bytes *ip, const struct datagram *g, bool six)
{
	size_t head = six ? 40 : 20;

	return ip->n == head + g->len && !memcmp(ip->p + head, g->byte, g->len);
}

static void give_both(struct defrag *f, struct datagram map[], const struct bit_of *b, int64_t now)
{
	static const char *const said[] = { "kept", "refused", "whole" };
	static uint8_t w[48 + PLACES];
	struct frame fr = { .ts = now, .data = w, .link = LINK_RAW, .path = 1 + b->point, .view = b->point ? 9 : 0 };
	struct packet p;
	struct defrag_out out;
	enum dpi_counter why;
	enum said want, got;

	fr.caplen = fr.wirelen = (uint32_t)build(w, b);
	if (decode_frame(&fr, &p, &why) != DECODE_OK)
		return;		/* what decode refuses, the kernel refuses: unit-tested */
	if (!p.fragment)
		fuzz_disagree("a fragment is none: off %u more %d n %u", b->off, b->more, b->n);
	want = model(map, b, now);
	switch (defrag_add(f, &p, &out)) {
	case DEFRAG_KEPT:
		got = SAID_KEPT;
		break;
	case DEFRAG_DROP:
		got = SAID_DROP;
		break;
	case DEFRAG_WHOLE:
		got = SAID_WHOLE;
		break;
	default:
		abort();
	}
	if (got != want)
		fuzz_disagree("IPv%d id %u off %u n %u more %d: %s, should be %s", b->six ? 6 : 4, b->id, b->off, b->n, b->more, said[got], said[want]);
	if (got == SAID_WHOLE) {
		if (!same(&out.ip, map_of(map, b), b->six))
			fuzz_disagree("IPv%d id %u: another datagram of %zu bytes, should be %u", b->six ? 6 : 4, b->id, out.ip.n, map_of(map, b)->len);
		forget(map_of(map, b));
	}
}

/* Each piece: how, offset in units of 8, length; its bytes are the fuzzer's, or, when it has no more, follow from their place. */
void fuzz_defrag(struct dpi *d, struct cursor c)
{
	static struct datagram map[2 * 2 * IDS];
	static uint8_t pad[PLACES];
	struct hash_key key = { { 3, 4 } };
	struct mem *mem = mem_new(64 << 20);
	struct defrag *f = defrag_new(mem, 64, UINT64_MAX, &key);
	int64_t now = 1000 * 1000 * MS;
	struct mem_stats s;

	(void)d;
	for (unsigned i = 0; i < sizeof(pad); i++)
		pad[i] = (uint8_t)(i * 31 >> 3);
	for (unsigned i = 0; i < 2 * 2 * IDS; i++)
		if (map[i].used)
			forget(&map[i]);
	for (int i = 0; i < PIECES && cur_left(&c) >= 5; i++) {
		uint8_t how = cur_u8(&c), more = cur_u8(&c), n = 0;
		struct bit_of b = { .six = how & 1, .point = how >> 1 & 1, .id = how >> 2 & 3, .more = more & 1, .ecn = more & 0x10 ? more >> 2 & 3 : 0 };

		b.off = 8u * (cur_be16(&c) & (how & 16 ? 0x1fff : 0x000f));
		n = cur_u8(&c);
		b.n = how & 32 ? n * 64u : more & 2 ? n : n & 0x38u;
		b.p = how & 64 && cur_left(&c) >= b.n ? cur_take(&c, b.n) : pad + b.off % 64;
		if (!b.off && !b.more)
			continue;	/* whole, not a fragment */
		now += more >> 5 ? (int64_t)(more >> 5) * (more >> 5) * 400 * MS : 1;
		give_both(f, map, &b, now);
		if (how & 128)
			defrag_expire(f, now);
	}
	defrag_free(f);
	mem_get_stats(mem, &s);
	if (s.used)
		fuzz_disagree("%llu bytes were not given back", (unsigned long long)s.used);
	mem_free_all(mem);
}
