/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The flow table against a model that is a plain array; and flows by packets: time, room, reports, counters. */
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/dpi/coretest.h"
#include "tests/unit/dpi/packets.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT

/* ---- the table by itself ---- */

#define KEYS 600u
#define MAX 256u

struct model {
	struct flow *f;		/* NULL: not in */
	uint32_t seen;
	enum flow_lru class;
	uint64_t moved;		/* when it became the youngest of its list */
};

static struct flow_key key_of(unsigned i)
{
	struct flow_key k;

	memset(&k, 0, sizeof k);
	k.lo = addr_v4((const uint8_t[]){ 10, 0, 0, 1 });
	k.hi = addr_v4((const uint8_t[]){ 10, 0, (uint8_t)(i >> 8), (uint8_t)i });
	k.ipproto = 17;
	return k;
}

static enum flow_lru class_of(enum flow_state s) { return s == FLOW_CLOSED ? LRU_CLOSED : s >= FLOW_OPEN ? LRU_OPEN : LRU_NEW; }

static struct flow *model_victim(const struct model *m)
{
	const struct model *best = NULL;

	for (unsigned i = 0; i < KEYS; i++)
		if (m[i].f && (!best || m[i].class < best->class || (m[i].class == best->class && m[i].moved < best->moved)))
			best = &m[i];
	return best ? best->f : NULL;
}

/* Is it moved to the young end? */
static bool young(const struct flow_table *t, uint32_t seen, int64_t now)
{
	return (uint32_t)(now / FLOW_TICK) - seen >= (t->pressed ? 1 : FLOW_TICKS_A_SECOND);
}

static void run_table(uint64_t seed, uint32_t hash_mask)
{
	static struct model m[KEYS];
	struct flow_table t;
	struct hash_key hk = { { seed, 2 } };
	struct mem *mem = mem_new(4 << 20);
	uint64_t r = seed, step = 0;
	unsigned used = 0;
	int64_t now = 1000 * SEC;

	memset(m, 0, sizeof m);
	CU_ASSERT(flow_table_init(&t, MAX, mem, 4 << 20, &hk));
	for (unsigned n = 0; n < 20000; n++) {
		unsigned i = (unsigned)(rnd(&r) % KEYS);
		struct flow_key k = key_of(i);
		uint64_t h = flow_hash(&t, &k) & hash_mask;	/* a weak hash: long runs */
		struct flow *f = flow_find(&t, &k, h);

		now += (int64_t)(rnd(&r) % SEC) / 4;
		t.pressed = n / 100 & 1;
		step++;
		if (f != m[i].f) {
			CU_FAIL("lookup");
			break;
		}
		switch (rnd(&r) % 8) {
		case 0:
		case 1:
		case 2:
		case 3:
			if (f)
				break;
			f = flow_insert(&t, &k, h, now);
			CU_ASSERT_EQUAL(f != NULL, used < MAX);
			if (!f) {
				f = flow_victim(&t);
				CU_ASSERT_PTR_EQUAL(f, model_victim(m));
				for (unsigned j = 0; j < KEYS; j++)
					if (m[j].f == f)
						m[j].f = NULL;
				flow_remove(&t, f);
				f = flow_insert(&t, &k, h, now);
				used--;
			}
			CU_ASSERT_PTR_NOT_NULL_FATAL(f);
			used++;
			m[i] = (struct model){ .f = f, .seen = (uint32_t)(now / FLOW_TICK), .class = LRU_NEW, .moved = step };
			break;
		case 4:
			if (!f)
				break;
			flow_remove(&t, f);
			m[i].f = NULL;
			used--;
			break;
		case 5:
			if (!f)
				break;
			flow_move(&t, f, FLOW_NEW + (int)(rnd(&r) % 5), now);
			if (class_of((enum flow_state)f->state) != m[i].class) {
				m[i].class = class_of((enum flow_state)f->state);
				m[i].moved = step;
			}
			break;
		default:
			if (!f)
				break;
			flow_young(&t, f, now);
			if (young(&t, m[i].seen, now))
				m[i].moved = step;
			m[i].seen = f->seen;
		}
		if (t.used != used) {
			CU_FAIL("used");
			break;
		}
	}
	for (unsigned i = 0; i < KEYS; i++)
		if (m[i].f)
			flow_remove(&t, m[i].f);
	CU_ASSERT_EQUAL(t.used, 0);
	for (uint32_t i = 0; i <= t.mask; i++)
		if (t.slots[i].no)
			CU_FAIL("slot left");
	flow_table_free(&t);
	mem_free_all(mem);
}

static void test_table(void)
{
	for (uint64_t seed = 1; seed <= 5; seed++)
		run_table(seed, UINT32_MAX);
}

static void test_table_weak_hash(void)
{
	for (uint64_t seed = 1; seed <= 5; seed++)
		run_table(seed, 0xff);	/* 256 homes in 512 slots, and only 256 tags */
}

static void test_table_memory(void)
{
	struct hash_key hk = { { 1, 2 } };
	struct mem *mem = mem_new(1 << 20);
	struct flow_table t;
	struct mem_stats s;
	unsigned n = 0;

	CU_ASSERT(flow_table_init(&t, 10000, mem, 1 << 20, &hk));
	mem_get_stats(mem, &s);
	CU_ASSERT_EQUAL(s.used, 0);		/* nothing before it is needed */
	for (;; n++) {
		struct flow_key k = key_of(n);

		k.hi_port = (uint16_t)n;
		if (!flow_insert(&t, &k, flow_hash(&t, &k), 0))
			break;
	}
	CU_ASSERT_EQUAL(n, 12 * FLOWS_PER_CHUNK);	/* three quarters of the cap in pieces of 64 KiB */
	mem_get_stats(mem, &s);
	CU_ASSERT_EQUAL(s.used, 12 * MEM_PIECE_MAX);
	flow_table_free(&t);
	mem_free_all(mem);
}

/* ---- flows by packets ---- */

static void test_evict(void)
{
	struct dpi_conf conf = { .max_flows = 16, .memcap = 8 << 20, .midstream = true };
	struct core c = { 0 };

	core_open(&c, &conf);
	core_send(&c, &(struct spec){ .udp = true, .sport = 1, .p = "q", .n = 1 });
	core_send(&c, &(struct spec){ .udp = true, .sport = 1, .dir = DOWN, .p = "a", .n = 1 });	/* established, and the oldest */
	for (uint16_t i = 2; i <= 100; i++)
		core_send(&c, &(struct spec){ .udp = true, .sport = i, .p = "q", .n = 1 });
	CU_ASSERT_EQUAL(core_flows(&c), 16);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_FLOWS_EVICTED), 100 - 16);
	CU_ASSERT_EQUAL(c.told[EV_FLOW], 100 - 16);
	CU_ASSERT(strstr(c.text, "\"reason\":\"evicted\"") != NULL);
	core_send(&c, &(struct spec){ .udp = true, .sport = 1, .p = "q", .n = 1 });	/* still there */
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_FLOWS_NEW), 100);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_FLOWS_REFUSED), 0);
	core_close(&c);
}

static void test_timeouts(void)
{
	static const struct { struct spec s; bool answered; int64_t lives, dead; } cases[] = {
		{ { .udp = true, .p = "x", .n = 1 }, false, 58, 63 },
		{ { .udp = true, .p = "x", .n = 1 }, true, 178, 183 },
		{ { .icmp = true, .icmp_type = 8 }, false, 28, 33 },
		{ { .flags = TCP_SYN, .seq = 9 }, false, 58, 63 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct core c = { 0 };
		struct spec back = cases[i].s;

		core_open(&c, NULL);
		core_send(&c, &cases[i].s);
		back.dir = DOWN;
		if (cases[i].answered)
			core_send(&c, &back);
		core_tick(&c, cases[i].lives * SEC);
		CU_ASSERT_EQUAL(core_flows(&c), 1);
		core_send(&c, &cases[i].s);	/* a packet makes it young again */
		core_tick(&c, cases[i].lives * SEC);
		CU_ASSERT_EQUAL(core_flows(&c), 1);
		core_tick(&c, (cases[i].dead - cases[i].lives) * SEC);
		CU_ASSERT_EQUAL(core_flows(&c), 0);
		CU_ASSERT(strstr(c.text, "\"reason\":\"timeout\"") != NULL);
		core_close(&c);
	}
}

static void test_established_timeout(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_handshake(&c, 100, 700);
	core_tick(&c, 3590 * SEC);
	CU_ASSERT_EQUAL(core_flows(&c), 1);
	core_tick(&c, 20 * SEC);
	CU_ASSERT_EQUAL(core_flows(&c), 0);
	core_close(&c);
}

/* A thousand flows whose time is over at once keep no frame waiting: each frame and each call ends a few of them, each by one look. */
static void test_many_end_at_once(void)
{
	struct dpi_conf conf = { .max_flows = 2000, .memcap = 8 << 20, .midstream = true };
	struct core c = { 0 };
	unsigned looks = 0;

	core_open(&c, &conf);
	for (uint16_t i = 1; i <= 1000; i++)
		core_send(&c, &(struct spec){ .udp = true, .sport = i, .p = "q", .n = 1 });
	c.now += 63 * SEC;
	for (unsigned i = 1; i <= 10; i++) {
		core_send(&c, &(struct spec){ .udp = true, .sport = 5000, .p = "q", .n = 1 });
		CU_ASSERT_EQUAL(core_flows(&c), 1001 - 2 * i);
	}
	CU_ASSERT(dpi_due(c.d, false));		/* no room for what they tell: they wait, at frames too */
	for (unsigned i = 0; i < 10; i++)
		core_send(&c, &(struct spec){ .udp = true, .sport = 5000, .p = "q", .n = 1 });
	CU_ASSERT_EQUAL(core_flows(&c), 981);
	CU_ASSERT(dpi_due(c.d, true));
	CU_ASSERT_EQUAL(core_flows(&c), 965);
	dpi_tick(c.d, c.now);
	CU_ASSERT_EQUAL(core_flows(&c), 963);
	while (dpi_due(c.d, true) && ++looks < 1000)
		CU_ASSERT_EQUAL(core_flows(&c), 963 - 16 * looks);
	CU_ASSERT_EQUAL(looks, 962 / 16);
	CU_ASSERT_EQUAL(core_flows(&c), 1);
	CU_ASSERT_EQUAL(c.told[EV_FLOW], 1000);
	core_close(&c);
}

static void test_report(void)
{
	struct dpi_conf conf = { .max_flows = 16, .memcap = 8 << 20, .midstream = true, .flow_report = 10 * SEC };
	struct core c = { 0 };

	core_open(&c, &conf);
	core_handshake(&c, 100, 700);
	for (int i = 0; i < 35; i++)
		core_tick(&c, SEC);
	CU_ASSERT_EQUAL(c.told[EV_FLOW], 3);
	CU_ASSERT(strstr(c.text, "\"state\":\"established\",\"reason\":\"report\"") != NULL);
	core_close(&c);
}

/* A second capture that begins before the first one ended: its flows live as long as any. */
static void test_time_jumps_back(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .udp = true, .sport = 1, .p = "q", .n = 1 });
	c.now -= 100000 * SEC;
	core_send(&c, &(struct spec){ .udp = true, .sport = 2, .p = "q", .n = 1 });
	core_tick(&c, 50 * SEC);
	CU_ASSERT_EQUAL(core_flows(&c), 2);
	core_tick(&c, 15 * SEC);
	CU_ASSERT_EQUAL(core_flows(&c), 0);
	core_close(&c);
}

/* Captures that claim the ends of time, one after the other: the clock stands still there. */
static void test_ends_of_time(void)
{
	struct dpi_conf conf = { .max_flows = 64, .memcap = 16 << 20, .midstream = true, .flow_report = 10 * SEC };
	static const int64_t times[] = { FRAME_TS_MAX, -FRAME_TS_MAX, FRAME_TS_MAX, 0, -FRAME_TS_MAX, FRAME_TS_MAX };
	struct core c = { 0 };

	core_open(&c, &conf);
	for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		c.now = times[i] - 1000;
		core_send(&c, &(struct spec){ .udp = true, .sport = (uint16_t)(1 + i % 3), .p = "q", .n = 1 });
	}
	CU_ASSERT_EQUAL(core_flows(&c), 3);
	CU_ASSERT(c.d->now <= FRAME_TS_MAX);
	dpi_flush(c.d);
	c.now = 0;
	core_close(&c);
}

static void test_event(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_RST | TCP_ACK, .seq = 0, .ack = 101 });
	core_tick(&c, 10 * SEC);
	CU_ASSERT_STRING_EQUAL(c.text, "flow {\"pkts_toserver\":1,\"pkts_toclient\":1,\"bytes_toserver\":40,\"bytes_toclient\":40,\"start\":1767323045000001000,"
		"\"end\":1767323045000002000,\"age\":0,\"state\":\"closed\",\"reason\":\"rst\",\"tcp\":{\"tcp_flags_ts\":\"02\",\"tcp_flags_tc\":\"14\",\"state\":\"closed\"}}\n");
	CU_ASSERT(c.last[EV_FLOW].flow_id > 0 && c.last[EV_FLOW].flow_id < UINT64_C(1) << 53);
	CU_ASSERT_EQUAL(c.last[EV_FLOW].sport, 40000);
	CU_ASSERT_EQUAL(c.last[EV_FLOW].dport, 80);
	core_close(&c);
}

/* Ids differ, and are the same in the next run. */
static void test_ids(void)
{
	static uint64_t ids[2][500];

	for (int run = 0; run < 2; run++) {
		struct dpi_conf conf = { .max_flows = 1000, .memcap = 8 << 20 };
		struct core c = { 0 };

		core_open(&c, &conf);
		for (uint16_t i = 0; i < 500; i++) {
			core_send(&c, &(struct spec){ .icmp = true, .icmp_type = 8, .seq = (uint32_t)(i + 1) << 16 });
			ids[run][i] = c.last[EV_ICMP].flow_id;
		}
		core_close(&c);
	}
	CU_ASSERT(memcmp(ids[0], ids[1], sizeof ids[0]) == 0);
	for (unsigned i = 0; i < 500; i++)
		for (unsigned j = 0; j < i; j++)
			if (ids[0][i] == ids[0][j])
				CU_FAIL("two flows have one id");
}

/* ---- fragments ---- */

static void fragments(bool v6)
{
	/* UDP 40000 -> 80, 8 + 24 bytes, checksum right for the addresses of the test */
	struct core c = { 0 };
	static const char text[] = "abcdefghijklmnopqrstuvwx";
	uint8_t dgram[32] = { 0x9c, 0x40, 0, 80, 0, 32, 0, 0 };

	memcpy(dgram + 8, text, 24);
	if (v6) {	/* IPv6 wants a checksum: RFC 768 over the pseudo header, the plain way */
		uint32_t sum = 0xfd00u * 2 + 1 + 2 + 32 + 17;

		for (int i = 0; i < 32; i += 2)
			sum += (uint32_t)dgram[i] << 8 | dgram[i + 1];
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		dgram[6] = (uint8_t)(~sum >> 8);
		dgram[7] = (uint8_t)~sum;
	}
	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .v6 = v6, .udp = true, .p = "first", .n = 5 });
	core_speak(&c, &proto_toy);
	for (int order = 0; order < 2; order++) {
		struct spec a = { .v6 = v6, .udp = true, .p = dgram, .n = 16, .frag_more = true, .ipid = (uint16_t)(50 + order) };
		struct spec b = { .v6 = v6, .udp = true, .p = dgram + 16, .n = 16, .frag_off = 16, .ipid = (uint16_t)(50 + order) };

		CU_ASSERT_EQUAL(core_send(&c, order ? &b : &a), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(core_send(&c, order ? &a : &b), VERDICT_ALLOW);
	}
	CU_ASSERT_EQUAL(toy_log.n[UP], 48);
	CU_ASSERT(memcmp(toy_log.bytes[UP], text, 24) == 0);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 5);
	CU_ASSERT_EQUAL(core_flow(&c)->bytes[UP], (v6 ? 40 : 20) + 8 + 5 + 2 * 2 * (uint64_t)((v6 ? 48 : 20) + 16));
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_FRAG_DONE), 2);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_INSPECTED), 5);
	core_close(&c);
}

static void test_fragments(void)
{
	fragments(false);
	fragments(true);
}

/* ---- checksums ---- */

static void test_bad_checksum(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100, .bad_csum = true }), VERDICT_ALLOW);
	CU_ASSERT_EQUAL(core_flows(&c), 0);
	core_handshake(&c, 100, 700);
	core_speak(&c, &proto_toy);
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .p = "bad", .n = 3, .bad_csum = true });
	core_data(&c, UP, 101, 701, "good", 4);
	CU_ASSERT(toy_log.n[UP] == 4 && memcmp(toy_log.bytes[UP], "good", 4) == 0);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 4);	/* seen, so counted */
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_DECODE_CSUM), 2);
	core_close(&c);
}

/* A capture of a sending host: all of its own packets are unfinished. */
static void test_offloaded_checksum(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100, .bad_csum = true, .number = 1 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .number = 2 });
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .bad_csum = true, .number = 3 });
	core_speak(&c, &proto_toy);
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .p = "up", .n = 2, .bad_csum = true, .number = 4 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 103, .p = "no", .n = 2, .bad_csum = true, .number = 5 });
	CU_ASSERT_EQUAL(toy_log.n[UP], 2);
	CU_ASSERT_EQUAL(toy_log.n[DOWN], 0);	/* that direction's are finished */
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 103, .ack = 701, .p = "ok", .n = 2, .number = 6 });
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 105, .ack = 701, .p = "no", .n = 2, .bad_csum = true, .number = 7 });
	CU_ASSERT_EQUAL(toy_log.n[UP], 4);	/* a right one: the sender finishes them after all */
	core_close(&c);
}

/* A wrong one that holds the pseudo header's sum counts in a capture, whatever came before, and nowhere else. */
static void unfinished(bool v6, bool udp, uint64_t number)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	if (udp) {
		core_send(&c, &(struct spec){ .v6 = v6, .udp = true, .number = number });
	} else {
		core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_SYN, .seq = 100, .number = number });
		core_send(&c, &(struct spec){ .v6 = v6, .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .number = number });
		core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_ACK, .seq = 101, .ack = 701, .number = number });
	}
	core_speak(&c, &proto_toy);
	core_send(&c, &(struct spec){ .v6 = v6, .udp = udp, .flags = TCP_ACK, .seq = 101, .ack = 701, .p = "up", .n = 2, .unfinished = true, .number = number });
	core_send(&c, &(struct spec){ .v6 = v6, .udp = udp, .flags = TCP_ACK, .seq = 103, .ack = 701, .p = "ok", .n = 2, .number = number });
	core_send(&c, &(struct spec){ .v6 = v6, .udp = udp, .flags = TCP_ACK, .seq = 105, .ack = 701, .p = "up", .n = 2, .unfinished = true, .number = number });
	CU_ASSERT_EQUAL(toy_log.n[UP], number ? 6 : udp ? 2 : 0);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_DECODE_CSUM), number ? 0 : 2);
	CU_ASSERT_EQUAL(strstr(c.text, "stream.bad_checksum") != NULL, !number);
	core_close(&c);
}

static void test_unfinished_checksum(void)
{
	for (unsigned i = 0; i < 8; i++)
		unfinished(i & 1, i & 2, i >> 2);
}

/* Bytes under a wrong checksum in a capture: the receiver's word about all of them decides, and right bytes for their place win. */
static void doubted(uint64_t number, uint32_t ack, const char *right, const char *taken)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100, .number = number });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .number = number });
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .number = number });
	core_speak(&c, &proto_toy);
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .p = "fake", .n = 4, .bad_csum = true, .number = number });
	if (right)
		core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .p = right, .n = strlen(right), .number = number });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = ack, .number = number });
	CU_ASSERT_EQUAL(toy_log.n[UP], strlen(taken));
	CU_ASSERT(memcmp(toy_log.bytes[UP], taken, strlen(taken)) == 0);
	core_close(&c);
}

static void test_doubted_checksum(void)
{
	doubted(1, 101, NULL, "");
	doubted(1, 104, NULL, "");	/* no receiver takes a part of a segment */
	doubted(1, 105, NULL, "fake");
	doubted(1, 105, "good", "good");
	doubted(1, 103, "ok", "ok");
	doubted(0, 105, NULL, "");	/* no capture: its receiver threw it away */
	doubted(0, 105, "good", "good");
}

/* ---- frames of every kind: one verdict each ---- */

static void test_one_verdict(void)
{
	struct core c = { 0 };
	uint64_t r = 5, frames = 0, sum = 0;
	uint8_t b[200];

	core_open(&c, NULL);
	for (unsigned i = 0; i < 20000; i++) {
		struct frame f;
		size_t n = (size_t)(rnd(&r) % sizeof b);

		for (size_t k = 0; k < n; k++)
			b[k] = (uint8_t)rnd(&r);
		if (n > 20 && rnd(&r) % 4) {
			b[12] = 8;
			b[13] = 0;
			b[14] = 0x45;
			b[16] = 0;
			b[17] = (uint8_t)(n - 14);
			b[20] = 0;
			b[21] = 0;
			b[23] = (const uint8_t[]){ 1, 6, 17, 132 }[rnd(&r) % 4];
		}
		f = pk_frame(b, n, (enum linktype)(rnd(&r) % 6));
		if (rnd(&r) % 2)
			f.link = LINK_ETHERNET;
		f.held = rnd(&r) % 2;
		f.flags = FRAME_CSUM_VALID | FRAME_CSUM_PARTIAL;
		CU_ASSERT(core_raw(&c, &f) == VERDICT_ALLOW);
		frames++;
	}
	sum = core_counter(&c, DPI_C_VERDICT_ALLOW) + core_counter(&c, DPI_C_VERDICT_ALERT) + core_counter(&c, DPI_C_VERDICT_DENY) + core_counter(&c, DPI_C_VERDICT_DROP);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_FRAMES), frames);
	CU_ASSERT_EQUAL(sum, frames);
	CU_ASSERT(core_counter(&c, DPI_C_FLOWS_NEW) > 1000);
	core_close(&c);
}

static void test_arp(void)
{
	static const uint8_t arp[] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2 };
	struct core c = { 0 };
	struct frame f = pk_frame(arp, sizeof arp, LINK_ETHERNET);

	core_open(&c, NULL);
	CU_ASSERT_EQUAL(core_raw(&c, &f), VERDICT_ALLOW);
	CU_ASSERT_STRING_EQUAL(c.text, "arp {\"hw_type\":\"ethernet\",\"proto_type\":\"ipv4\",\"opcode\":\"request\",\"src_mac\":\"02:00:00:00:00:01\",\"src_ip\":\"10.0.0.1\","
		"\"dest_mac\":\"00:00:00:00:00:00\",\"dest_ip\":\"10.0.0.2\"}\n");
	core_close(&c);
}

static void test_limits(void)
{
	struct dpi_conf conf = { .max_flows = 15, .memcap = 64 << 20 };
	const struct dpi_ops ops = { 0 };
	struct err err = { "" };

	CU_ASSERT_PTR_NULL(dpi_new(&conf, &ops, &err));
	CU_ASSERT(strstr(err.text, "max_flows") != NULL);
	conf.max_flows = 1 << 20;
	conf.memcap = 1 << 20;
	CU_ASSERT_PTR_NULL(dpi_new(&conf, &ops, &err));
	CU_ASSERT(strstr(err.text, "memcap") != NULL);
	dpi_free(NULL);
}

const struct unit_test tests_flow[] = {
	{ "table", test_table },
	{ "table with a weak hash", test_table_weak_hash },
	{ "table and memory", test_table_memory },
	{ "eviction", test_evict },
	{ "timeouts", test_timeouts },
	{ "timeout of an established connection", test_established_timeout },
	{ "many flows that end at once", test_many_end_at_once },
	{ "reports", test_report },
	{ "time jumps back", test_time_jumps_back },
	{ "the ends of time", test_ends_of_time },
	{ "flow event", test_event },
	{ "ids", test_ids },
	{ "fragments", test_fragments },
	{ "bad checksums", test_bad_checksum },
	{ "checksums of a sending host", test_offloaded_checksum },
	{ "unfinished checksums", test_unfinished_checksum },
	{ "doubted checksums", test_doubted_checksum },
	{ "one verdict each", test_one_verdict },
	{ "ARP", test_arp },
	{ "limits", test_limits },
	{ 0 },
};
