/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP against a slow reassembler that works as Linux' queue does, and case by case what the kernel takes and what it throws away. */
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/dpi/coretest.h"
#include "tests/unit/dpi/packets.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT

/* ---- the slow one ---- */

#define STREAM 4096u

struct piece { uint32_t s, e; uint8_t b[STREAM]; };
struct slow {
	struct piece q[256];
	unsigned n;
	uint32_t next;
	uint8_t out[STREAM];
};

static void slow_take(struct slow *m, uint32_t s, uint32_t e, const uint8_t *b)
{
	if (e <= m->next)
		return;
	memcpy(m->out + m->next, b + (m->next - s), e - m->next);
	m->next = e;
}

static void slow_drop(struct slow *m, unsigned i)
{
	memmove(&m->q[i], &m->q[i + 1], (m->n - i - 1) * sizeof m->q[0]);
	m->n--;
}

static void slow_add(struct slow *m, uint32_t s, uint32_t e, const uint8_t *b)
{
	unsigned at;

	if (e <= m->next)
		return;
	if (s <= m->next) {
		slow_take(m, s, e, b);
		while (m->n && m->q[0].s <= m->next) {
			slow_take(m, m->q[0].s, m->q[0].e, m->q[0].b);
			slow_drop(m, 0);
		}
		return;
	}
	for (at = 0; at < m->n && m->q[at].s <= s; at++)
		;
	if (at && m->q[at - 1].e > s) {
		if (m->q[at - 1].e >= e)
			return;
		if (m->q[at - 1].s == s)
			slow_drop(m, --at);
	}
	memmove(&m->q[at + 1], &m->q[at], (m->n - at) * sizeof m->q[0]);
	m->n++;
	m->q[at].s = s;
	m->q[at].e = e;
	memcpy(m->q[at].b, b, e - s);
	while (at + 1 < m->n && m->q[at + 1].e <= e)
		slow_drop(m, at + 1);
}

/* Random segments of one stream until it is whole; `lies`: some hold other bytes than the stream. */
static void random_stream(uint64_t seed, bool lies)
{
	struct core c = { 0 };
	struct slow *m = calloc(1, sizeof *m);
	static uint8_t truth[STREAM], b[STREAM];
	uint64_t r = seed * 0x9e3779b97f4a7c15u + 1;
	uint32_t isn = seed % 2 ? (uint32_t)rnd(&r) : 0xffffffffu - (uint32_t)(rnd(&r) % STREAM), len = 1 + (uint32_t)(rnd(&r) % STREAM);
	bool ok;

	for (uint32_t i = 0; i < STREAM; i++)
		truth[i] = (uint8_t)rnd(&r);
	core_open(&c, NULL);
	core_handshake(&c, isn, 5000);
	core_speak(&c, &proto_toy);
	for (unsigned i = 0; m->next < len && i < 3000; i++) {
		uint32_t s, n = 1 + (uint32_t)(rnd(&r) % 200);

		/* most near the edge, so that it moves */
		s = rnd(&r) % 4 ? m->next + (uint32_t)(rnd(&r) % 400) : (uint32_t)(rnd(&r) % len);
		s -= rnd(&r) % 3 ? 0 : s < 50 ? s : 50;
		if (s >= len)
			continue;
		if (n > len - s)
			n = len - s;
		memcpy(b, truth + s, n);
		if (lies && rnd(&r) % 3 == 0)
			b[rnd(&r) % n] ^= 1;
		slow_add(m, s, s + n, b);
		core_data(&c, UP, isn + 1 + s, 5001, b, n);
		if (toy_log.n[UP] != m->next || core_flow(&c)->half[UP].ooo_n != m->n)
			break;
	}
	ok = toy_log.n[UP] == m->next && memcmp(toy_log.bytes[UP], m->out, m->next) == 0 && m->next == len;
	CU_ASSERT(ok);
	if (!ok)
		fprintf(stderr, "seed %llu: %zu bytes, want %u\n", (unsigned long long)seed, toy_log.n[UP], m->next);
	CU_ASSERT_EQUAL(core_flow(&c)->half[UP].ooo_n, m->n);
	if (!lies)
		CU_ASSERT_EQUAL(c.told[EV_ANOMALY], 0);
	core_close(&c);
	free(m);
}

static void test_random(void)
{
	for (uint64_t seed = 1; seed <= 150; seed++)
		random_stream(seed, false);
}

static void test_random_lies(void)
{
	for (uint64_t seed = 1; seed <= 150; seed++)
		random_stream(seed, true);
}

/* ---- handshakes ---- */

static void open_and_speak(struct core *c, uint32_t isn, uint32_t isn_down)
{
	core_open(c, NULL);
	core_handshake(c, isn, isn_down);
	CU_ASSERT_EQUAL(core_flow(c)->state, FLOW_OPEN);
	core_speak(c, &proto_toy);
}

static bool got(enum dir dir, const char *want)
{
	bool ok = toy_log.n[dir] == strlen(want) && memcmp(toy_log.bytes[dir], want, toy_log.n[dir]) == 0;

	if (!ok)
		fprintf(stderr, "got \"%.*s\", want \"%s\"\n", (int)toy_log.n[dir], (const char *)toy_log.bytes[dir], want);
	return ok;
}

static void test_handshake(void)
{
	struct core c = { 0 };
	struct flow *f;

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100, .wscale = 3 });
	f = core_flow(&c);
	CU_ASSERT_EQUAL(f->state, FLOW_NEW);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100, .wscale = 3 });	/* again */
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 900, .ack = 500 });	/* acknowledges what was not sent */
	CU_ASSERT_EQUAL(f->state, FLOW_NEW);
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101 });
	CU_ASSERT_EQUAL(f->state, FLOW_OPENING);
	CU_ASSERT_EQUAL(f->half[UP].wscale, 0);		/* only one end wanted it */
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 700 });	/* not the SYN/ACK's */
	CU_ASSERT_EQUAL(f->state, FLOW_OPENING);
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701 });
	CU_ASSERT_EQUAL(f->state, FLOW_OPEN);
	CU_ASSERT_EQUAL(f->pkts[UP], 4);
	CU_ASSERT_EQUAL(f->pkts[DOWN], 2);
	CU_ASSERT_EQUAL(core_flows(&c), 1);
	core_close(&c);
}

/* A client sends two SYNs; the server's answer says which of them counts. */
static void test_two_syns(void)
{
	for (int which = 0; which < 2; which++) {
		struct core c = { 0 };
		uint32_t isn[2] = { 100, 70000 };

		core_open(&c, NULL);
		core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = isn[0] });
		core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = isn[1] });
		core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = isn[which] + 1 });
		core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = isn[which] + 1, .ack = 701 });
		CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_OPEN);
		core_speak(&c, &proto_toy);
		core_data(&c, UP, isn[which] + 1, 701, "yes", 3);
		core_data(&c, UP, isn[!which] + 1, 701, "no", 2);
		CU_ASSERT(got(UP, "yes"));
		core_close(&c);
	}
}

/* A server that keeps nothing before it is accepted answers a SYN twice, under two numbers: what the client acknowledges says which of them counts. Where an answer
 * that says something else can be stopped, it is. */
static void test_two_answers(void)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned which = i & 1;
		bool other = i & 2, held = i & 4;
		struct core c = { 0 };
		uint32_t isn[2] = { i & 8 ? 70000 : 700, i & 8 ? 700 : 70000 };
		struct spec syn = { .flags = TCP_SYN, .seq = 100, .wscale = 3, .held = held };
		struct spec first = { .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = isn[0], .ack = 101, .wscale = 3, .held = held }, second = first;

		core_open(&c, NULL);
		core_send(&c, &syn);
		core_send(&c, &first);
		second.seq = isn[1];
		second.wscale = other ? 0 : 3;
		CU_ASSERT_EQUAL(core_send(&c, &second), held && other ? VERDICT_DROP : VERDICT_ALLOW);
		if (held && other)
			which = 0;
		core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = isn[which] + 1, .held = held });
		CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_OPEN);
		core_speak(&c, &proto_toy);
		core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = isn[which] + 1, .p = "yes", .n = 3, .held = held });
		core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = isn[which] + 1, .ack = 104, .p = "ok", .n = 2, .held = held });
		CU_ASSERT(got(UP, "yes"));
		CU_ASSERT(got(DOWN, "ok"));
		CU_ASSERT_EQUAL(c.told[EV_ANOMALY], 0);
		core_close(&c);
	}
}

static void test_syn_data(void)
{
	for (int taken = 0; taken < 2; taken++) {
		struct core c = { 0 };

		core_open(&c, NULL);
		core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100, .p = "fast", .n = 4 });
		core_speak(&c, &proto_toy);
		CU_ASSERT(got(UP, ""));
		core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = taken ? 105 : 101, .p = "xx", .n = 2 });
		CU_ASSERT(got(UP, taken ? "fast" : ""));
		core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 105, .ack = 701 });
		if (!taken)
			core_data(&c, UP, 101, 701, "slow", 4);
		core_data(&c, UP, 105, 701, "!", 1);
		CU_ASSERT(got(UP, taken ? "fast!" : "slow!"));
		core_data(&c, DOWN, 701, 106, "ok", 2);
		CU_ASSERT(got(DOWN, "ok"));	/* what stood on the SYN/ACK was not taken */
		core_close(&c);
	}
}

static void test_simultaneous(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN, .seq = 700 });
	core_send(&c, &(struct spec){ .flags = TCP_SYN | TCP_ACK, .seq = 100, .ack = 701 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101 });
	core_speak(&c, &proto_toy);
	core_data(&c, UP, 101, 701, "a", 1);
	core_data(&c, DOWN, 701, 102, "b", 1);
	CU_ASSERT(got(UP, "a"));
	CU_ASSERT(got(DOWN, "b"));
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_OPEN);
	core_close(&c);
}

static void test_syn_ack_first(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .wscale = 1 });
	CU_ASSERT_EQUAL(flow_port(core_flow(&c), DIR_TOCLIENT), 80);
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701 });
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_OPEN);
	core_speak(&c, &proto_toy);
	core_data(&c, UP, 101, 701, "a", 1);
	CU_ASSERT(got(UP, "a"));
	core_close(&c);
}

static void test_midstream(void)
{
	struct dpi_conf no = { .max_flows = 64, .memcap = 16 << 20 };
	struct core c = { 0 };

	core_open(&c, NULL);
	core_data(&c, DOWN, 5000, 9000, "tail", 4);	/* from port 80: the server */
	CU_ASSERT_EQUAL(flow_port(core_flow(&c), DIR_TOCLIENT), 80);
	core_speak(&c, &proto_toy);
	core_data(&c, UP, 9000, 5004, "next", 4);
	core_data(&c, DOWN, 5004, 9004, "answer", 6);
	CU_ASSERT(got(UP, "next"));
	CU_ASSERT(got(DOWN, "answer"));
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_FLOWS_MIDSTREAM), 1);
	core_close(&c);

	core_open(&c, &no);
	CU_ASSERT_EQUAL(core_data(&c, DOWN, 5000, 9000, "tail", 4), VERDICT_ALLOW);
	CU_ASSERT_EQUAL(core_flows(&c), 0);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_FLOWS_UNKNOWN), 1);
	core_close(&c);
}

/* ---- what the kernel throws away ---- */

static void test_thrown_away(void)
{
	struct core c = { 0 };
	uint64_t out;

	open_and_speak(&c, 100, 700);
	core_send(&c, &(struct spec){ .flags = TCP_PSH, .seq = 101, .p = "noack", .n = 5 });
	core_data(&c, UP, 101, 2000, "future", 6);			/* acknowledges what was not sent */
	core_data(&c, UP, 101, 701 - 70000, "past", 4);			/* acknowledges what was before the beginning */
	core_data(&c, UP, 101, 700, "early", 5);			/* ... the SYN/ACK: not even one byte was acknowledged */
	core_data(&c, UP, 101 + 70000 * 128, 701, "far", 3);		/* outside of the window */
	core_data(&c, UP, 90, 701, "old", 3);
	CU_ASSERT(got(UP, ""));
	core_data(&c, UP, 101, 701, "GET", 3);
	CU_ASSERT(got(UP, "GET"));
	core_data(&c, DOWN, 701, 104, "ok", 2);				/* goes on where it was: "future" was a lie */
	core_data(&c, UP, 104, 703, "!", 1);
	CU_ASSERT(got(UP, "GET!"));
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 703, .ack = 105, .win0 = true });
	out = core_counter(&c, DPI_C_SEG_OUT_OF_WINDOW);
	CU_ASSERT(out >= 3);
	core_close(&c);
}

/* The receiver offered nothing more: what comes is not taken, and what was sent again later is. */
static void test_zero_window(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .win = 4 });
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701 });
	core_speak(&c, &proto_toy);
	core_data(&c, UP, 101, 701, "1234", 4);
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 105, .win0 = true });
	core_data(&c, UP, 105, 701, "X", 1);
	CU_ASSERT(got(UP, "1234"));
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 105, .win = 100 });
	core_data(&c, UP, 105, 701, "5", 1);
	CU_ASSERT(got(UP, "12345"));
	core_close(&c);
}

static void test_paws(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100, .ts = true, .tsval = 1000 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .ts = true, .tsval = 5000, .tsecr = 1000 });
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .ts = true, .tsval = 1001 });
	core_speak(&c, &proto_toy);
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .ts = true, .tsval = 900, .p = "EVIL", .n = 4 });
	CU_ASSERT(got(UP, ""));
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .ts = true, .tsval = 1000, .p = "ok", .n = 2 });	/* one behind is let pass */
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 103, .ack = 701, .p = "!", .n = 1 });	/* without one: Linux takes it */
	CU_ASSERT(got(UP, "ok!"));
	/* an older acknowledgement is taken with its bytes, but its time does not count */
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 104, .ts = true, .tsval = 5001, .p = "12", .n = 2 });
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 104, .ack = 703, .ts = true, .tsval = 1002 });
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 104, .ack = 702, .ts = true, .tsval = 90000, .p = "a", .n = 1 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 703, .ack = 105, .ts = true, .tsval = 5002 });
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 105, .ack = 703, .ts = true, .tsval = 1003, .p = "b", .n = 1 });
	CU_ASSERT(got(UP, "ok!ab"));
	core_close(&c);
}

/* The time of one that reaches past the window counts if that was taken, and not if it was not: else it would make the core blind. */
static void test_past_window_time(void)
{
	for (int taken = 0; taken < 2; taken++) {
		struct core c = { 0 };
		struct spec s = { .flags = TCP_ACK, .seq = 101, .ack = 701, .ts = true, .tsval = 90000, .p = "123456", .n = 6 };

		core_open(&c, NULL);
		core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100, .ts = true, .tsval = 10 });
		core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .win = 4, .ts = true, .tsval = 5 });
		core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .ts = true, .tsval = 11 });
		core_speak(&c, &proto_toy);
		core_send(&c, &s);
		if (taken)
			core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 107, .win = 4, .ts = true, .tsval = 6 });
		s.seq = taken ? 107 : 101, s.tsval = 12, s.p = "abcd", s.n = 4;
		core_send(&c, &s);
		CU_ASSERT(got(UP, taken ? "123456" : "abcd"));
		core_close(&c);
	}
}

/* The urgent byte of one that reaches past the window counts if that was taken, and not if it was not. */
static void test_past_window_urgent(void)
{
	for (int taken = 0; taken < 2; taken++) {
		struct core c = { 0 };

		core_open(&c, NULL);
		core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100 });
		core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .win = 4 });
		core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701 });
		core_speak(&c, &proto_toy);
		core_send(&c, &(struct spec){ .flags = TCP_ACK | TCP_URG, .urg = 3, .seq = 101, .ack = 701, .p = "abUdef", .n = 6 });
		if (taken)
			core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 107, .win = 4 });
		else
			core_send(&c, &(struct spec){ .flags = TCP_ACK | TCP_URG, .urg = 1, .seq = 101, .ack = 701, .p = "Vbcd", .n = 4 });
		CU_ASSERT(got(UP, taken ? "abdef" : "bcd"));
		core_close(&c);
	}
}

/* Several that reach past the window, the lower one last, and something in the window among them: no byte is missed. */
static void test_past_window_twice(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .win = 4 });
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701 });
	core_speak(&c, &proto_toy);
	core_data(&c, UP, 103, 701, "3456789", 7);
	core_data(&c, UP, 102, 701, "23456", 5);
	core_send(&c, &(struct spec){ .flags = TCP_ACK | TCP_FIN, .seq = 109, .ack = 701, .p = "9", .n = 1 });	/* far out: not taken */
	core_data(&c, UP, 101, 701, "123", 3);
	CU_ASSERT(got(UP, "123"));
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 110, .win = 4 });
	CU_ASSERT(got(UP, "123456789"));
	core_send(&c, &(struct spec){ .flags = TCP_ACK | TCP_FIN, .seq = 110, .ack = 701, .p = "abcdef", .n = 6 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 117, .win = 4 });	/* the FIN too */
	CU_ASSERT(got(UP, "123456789abcdef"));
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_CLOSING);
	CU_ASSERT_EQUAL(toy_log.gaps, 0);
	core_close(&c);
}

/* Two of them overlap, and the acknowledgement ends with the first: the second was not taken. */
static void test_past_window_overlap(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .win = 4 });
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701 });
	core_speak(&c, &proto_toy);
	core_data(&c, UP, 101, 701, "12345678", 8);
	core_data(&c, UP, 104, 701, "45678abc", 8);
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 109, .win = 4 });
	CU_ASSERT(got(UP, "12345678"));
	core_data(&c, UP, 109, 701, "abcd", 4);
	CU_ASSERT(got(UP, "12345678abcd"));
	CU_ASSERT_EQUAL(toy_log.gaps, 0);
	core_close(&c);
}

/* The kernel takes what reaches past the window whole or not at all: which, the receiver's acknowledgement tells. */
static void test_past_window(void)
{
	for (int taken = 0; taken < 2; taken++) {
		struct core c = { 0 };

		core_open(&c, NULL);
		core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100 });
		core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .win = 4 });
		core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701 });
		core_speak(&c, &proto_toy);
		core_data(&c, UP, 101, 701, "EVIL!!", 6);
		CU_ASSERT(got(UP, ""));
		if (taken)
			core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 107, .win = 4 });
		else
			core_data(&c, UP, 101, 701, "good", 4);
		CU_ASSERT(got(UP, taken ? "EVIL!!" : "good"));
		core_close(&c);
	}
}

/* Something that is no SYN comes first, to make us see another connection than the kernel does. */
static void test_false_beginnings(void)
{
	static const struct spec first[] = {
		{ .dir = UP, .flags = TCP_SYN | TCP_ACK, .seq = 5, .ack = 6 },
		{ .dir = UP, .flags = TCP_ACK, .seq = 5, .ack = 6, .p = "x", .n = 1 },
		{ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 5, .ack = 6 },
		{ .dir = UP, .flags = TCP_FIN, .seq = 5 },
	};

	for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
		struct core c = { 0 };

		core_open(&c, NULL);
		core_send(&c, &first[i]);
		core_handshake(&c, 100, 700);
		CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_OPEN);
		CU_ASSERT_EQUAL(flow_port(core_flow(&c), DIR_TOCLIENT), 80);
		CU_ASSERT(!flow_hit(core_flow(&c), F_MIDSTREAM));
		CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 2);
		core_speak(&c, &proto_toy);
		core_data(&c, UP, 101, 701, "ok", 2);
		CU_ASSERT(got(UP, "ok"));
		core_close(&c);
	}
}

/* Between the SYN and the SYN/ACK the initiator says things that its peer's kernel does not take. */
static void test_before_the_answer(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100 });
	core_speak(&c, &proto_toy);
	core_send(&c, &(struct spec){ .flags = TCP_SYN | TCP_ACK, .seq = 100, .ack = 300 });
	core_data(&c, UP, 101, 301, "EVIL", 4);
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101 });
	CU_ASSERT_EQUAL(core_flow(&c)->half[UP].ooo_n, 0);
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701 });
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_OPEN);
	core_data(&c, UP, 101, 701, "good", 4);
	CU_ASSERT(got(UP, "good"));
	core_close(&c);
}

/* The same with bytes on the SYN that are taken: only those. */
static void test_before_the_answer_fast(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100, .p = "ab", .n = 2 });
	core_speak(&c, &proto_toy);
	core_data(&c, UP, 103, 301, "EVIL", 4);
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 103 });
	CU_ASSERT_EQUAL(core_flow(&c)->half[UP].ooo_n, 0);
	CU_ASSERT(got(UP, "ab"));
	core_close(&c);
}

/* The SYN/ACK was lost on the way to us: the connection is followed all the same. */
static void test_syn_ack_lost(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100 });
	core_speak(&c, &proto_toy);
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701 });
	core_data(&c, UP, 101, 701, "hello", 5);
	CU_ASSERT(got(UP, ""));
	core_data(&c, DOWN, 701, 106, "yes", 3);
	CU_ASSERT(got(UP, "hello"));
	CU_ASSERT(got(DOWN, "yes"));
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_OPEN);
	core_close(&c);
}

/* ---- overlaps ---- */

static void test_overlap_told(void)
{
	struct core c = { 0 };

	open_and_speak(&c, 100, 700);
	core_data(&c, UP, 105, 701, "567", 3);
	core_data(&c, UP, 105, 701, "567", 3);
	CU_ASSERT_EQUAL(c.told[EV_ANOMALY], 0);
	core_data(&c, UP, 104, 701, "4X6", 3);
	CU_ASSERT_EQUAL(c.told[EV_ANOMALY], 1);
	CU_ASSERT(strstr(c.text, "\"event\":\"stream.overlap_differs\"") != NULL);
	core_data(&c, UP, 101, 701, "123", 3);
	CU_ASSERT(got(UP, "1234X67"));	/* the one that starts lower wins */
	core_close(&c);
}

/* On a held path the packet that contradicts goes no further, and changes nothing. */
/* Of a packet that is refused nothing counts: its time would make the core throw away what the receiver takes. */
static void test_refused_says_nothing(void)
{
	struct core c = { 0 };
	struct spec s = { .held = true, .flags = TCP_ACK, .seq = 101, .ack = 701, .ts = true };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100, .ts = true, .tsval = 10 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .ts = true, .tsval = 5 });
	s.tsval = 11;
	core_send(&c, &s);
	core_speak(&c, &proto_toy);
	s.seq = 103, s.p = "cd", s.n = 2;
	core_send(&c, &s);
	s.seq = 101, s.p = "abXY", s.n = 4, s.tsval = 5000;
	CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_DROP);
	s.p = "ab", s.n = 2, s.tsval = 12;
	CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_ALLOW);
	CU_ASSERT(got(UP, "abcd"));
	/* what was thrown away (it acknowledges what was never sent) contradicts nothing */
	s.seq = 105, s.ack = 9000, s.p = "EVIL", s.n = 4;
	core_send(&c, &s);
	s.ack = 701, s.p = "good";
	CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_ALLOW);
	CU_ASSERT(got(UP, "abcdgood"));
	core_close(&c);
}

static void test_overlap_held(void)
{
	struct core c = { 0 };

	open_and_speak(&c, 100, 700);
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 105, .ack = 701, .p = "567", .n = 3, .held = true });
	CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 104, .ack = 701, .p = "4X6", .n = 3, .held = true }), VERDICT_DROP);
	CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .p = "12345", .n = 5, .held = true }), VERDICT_ALLOW);
	CU_ASSERT(got(UP, "1234567"));
	core_close(&c);
}

static void test_urgent(void)
{
	struct core c = { 0 };

	open_and_speak(&c, 100, 700);
	core_send(&c, &(struct spec){ .flags = TCP_ACK | TCP_URG, .seq = 101, .ack = 701, .urg = 3, .p = "abXcd", .n = 5 });
	CU_ASSERT(got(UP, "abcd"));
	core_send(&c, &(struct spec){ .flags = TCP_ACK | TCP_URG, .seq = 106, .ack = 701, .urg = 9, .p = "ef", .n = 2 });	/* points ahead */
	core_data(&c, UP, 108, 701, "ghijklYm", 8);
	CU_ASSERT(got(UP, "abcdefghijklm"));
	core_send(&c, &(struct spec){ .flags = TCP_ACK | TCP_URG, .seq = 116, .ack = 701, .urg = 0, .p = "Zn", .n = 2 });	/* 0: its first byte */
	CU_ASSERT(got(UP, "abcdefghijklmn"));
	core_close(&c);
}

/* How much of two urgent bytes is out of band depends on when the application reads: of a held one after another only the flag is taken. */
static void test_urgent_twice_held(void)
{
	for (int how = 0; how < 4; how++) {	/* 1: a super-packet, 2: signed, 3: seen by the way */
		struct core c = { 0 };
		struct spec first = { .flags = TCP_ACK | TCP_URG, .seq = 101, .ack = 701, .urg = 3, .p = "abXc", .n = 4, .held = how != 3 };
		struct spec second = { .flags = TCP_ACK | TCP_URG, .seq = 105, .ack = 701, .urg = 1, .p = "Yd", .n = 2, .held = how != 3,
			.sign = how == 2 ? "md5" : NULL, .fflags = how == 1 ? FRAME_GSO_TCP : 0, .gso_size = how == 1 ? 1 : 0 };

		open_and_speak(&c, 100, 700);
		CU_ASSERT_EQUAL(core_send(&c, &first), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(c.answer.flags, 0);
		if (how == 2)
			core_flow(&c)->half[UP].is_signed = 1;
		CU_ASSERT_EQUAL(core_send(&c, &second), how == 1 || how == 2 ? VERDICT_DROP : VERDICT_ALLOW);
		CU_ASSERT_EQUAL(c.answer.flags, how ? 0 : ANSWER_CALM);
		if (!how) {
			CU_ASSERT_EQUAL(c.answer.l4, 14 + 20);
			CU_ASSERT(got(UP, "abcYd"));
			second.seq = 105;	/* sent again: changed again, as its sender still says that it is urgent */
			second.urg = 5;
			second.p = "YdefZg";
			second.n = 6;
			CU_ASSERT_EQUAL(core_send(&c, &second), VERDICT_ALLOW);
			CU_ASSERT_EQUAL(c.answer.flags, ANSWER_CALM);
			CU_ASSERT(got(UP, "abcYdefZg"));
			CU_ASSERT_EQUAL(c.d->counters[DPI_C_SEG_CALMED], 2);
			CU_ASSERT_EQUAL(core_send(&c, &first), VERDICT_ALLOW);	/* the first again, which is still the urgent one */
			CU_ASSERT_EQUAL(c.answer.flags, 0);
		} else {
			CU_ASSERT(got(UP, how == 3 ? "abcd" : "abc"));
		}
		core_close(&c);
	}
}

/* What is refused for its urgent byte never reaches the receiver, and its time does not either: else what comes later would be old to us alone. */
static void test_urgent_refused_says_nothing(void)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct core c = { 0 };
		struct spec s = { .v6 = v6, .held = true, .flags = TCP_ACK | TCP_URG, .seq = 101, .ack = 701, .ts = true, .tsval = 12, .urg = 1, .p = "Xa", .n = 2 };

		core_open(&c, NULL);
		core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_SYN, .seq = 100, .ts = true, .tsval = 10 });
		core_send(&c, &(struct spec){ .v6 = v6, .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .ts = true, .tsval = 5 });
		core_send(&c, &(struct spec){ .v6 = v6, .flags = TCP_ACK, .seq = 101, .ack = 701, .ts = true, .tsval = 11 });
		core_speak(&c, &proto_toy);
		CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_ALLOW);
		core_send(&c, &(struct spec){ .v6 = v6, .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 103, .ts = true, .tsval = 6 });
		s.seq = 103, s.tsval = 90000, s.p = "Yb", s.fflags = FRAME_GSO_TCP, s.gso_size = 1;
		CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_DROP);
		s.flags = TCP_ACK, s.tsval = 13, s.p = "bc", s.fflags = 0;
		CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_ALLOW);
		CU_ASSERT(got(UP, "abc"));
		core_close(&c);
	}
}

/* ---- ends ---- */

static void test_fin(void)
{
	struct core c = { 0 };

	open_and_speak(&c, 100, 700);
	core_send(&c, &(struct spec){ .flags = TCP_FIN | TCP_ACK, .seq = 103, .ack = 701, .p = "c", .n = 1 });	/* before its turn */
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_OPEN);
	core_data(&c, UP, 101, 701, "ab", 2);
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_CLOSING);
	core_data(&c, UP, 104, 701, "XX", 2);	/* nothing comes after a FIN */
	core_data(&c, UP, 105, 701, "XX", 2);
	CU_ASSERT(got(UP, "abc"));
	core_data(&c, DOWN, 701, 105, "bye", 3);	/* half closed */
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_FIN | TCP_ACK, .seq = 704, .ack = 105 });
	CU_ASSERT_EQUAL(toy_log.ends, 0);
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 105, .ack = 705 });
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_CLOSED);
	CU_ASSERT(got(DOWN, "bye"));
	CU_ASSERT_EQUAL(toy_log.ends, 1);
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_FIN | TCP_ACK, .seq = 704, .ack = 105 });	/* once more: the same flow */
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[DOWN], 4);
	CU_ASSERT_EQUAL(c.told[EV_FLOW], 0);
	core_tick(&c, 6 * SEC);
	CU_ASSERT_EQUAL(core_flows(&c), 0);
	CU_ASSERT_EQUAL(c.told[EV_FLOW], 1);
	CU_ASSERT(strstr(c.text, "\"state\":\"closed\",\"reason\":\"closed\"") != NULL);
	core_close(&c);
}

static void test_new_connection_at_once(void)
{
	struct core c = { 0 };

	open_and_speak(&c, 100, 700);
	core_send(&c, &(struct spec){ .flags = TCP_RST, .seq = 101 });
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_CLOSED);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100 });	/* the old SYN strays */
	CU_ASSERT_EQUAL(c.told[EV_FLOW], 0);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 99999 });
	CU_ASSERT_EQUAL(c.told[EV_FLOW], 1);
	CU_ASSERT(strstr(c.text, "\"reason\":\"rst\"") != NULL);
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_NEW);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 1);
	CU_ASSERT_EQUAL(toy_log.ends, 1);
	core_close(&c);
}

static void test_rst(void)
{
	static const struct { const char *name; enum dir dir; uint32_t seq; bool kills; } cases[] = {
		{ "exact", UP, 104, true }, { "in the window", UP, 110, false }, { "before", UP, 103, false }, { "far away", UP, 104u + 0x40000000u, false },
		{ "the server's, exact", DOWN, 701, true }, { "the server's, in the window", DOWN, 800, false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct core c = { 0 };

		open_and_speak(&c, 100, 700);
		core_data(&c, UP, 101, 701, "abc", 3);
		core_send(&c, &(struct spec){ .dir = cases[i].dir, .flags = TCP_RST, .seq = cases[i].seq });
		if ((core_flow(&c)->state == FLOW_CLOSED) != cases[i].kills) {
			fprintf(stderr, "%s\n", cases[i].name);
			CU_FAIL("reset");
		}
		core_data(&c, UP, 104, 701, "def", 3);
		CU_ASSERT(got(UP, cases[i].kills ? "abc" : "abcdef"));
		core_close(&c);
	}
}

/* After a FIN a reset at the FIN's place counts too, acknowledged or not; one before it doesn't. */
static void test_rst_fin(void)
{
	for (int back = 0; back < 3; back++) {
		struct core c = { 0 };

		open_and_speak(&c, 100, 700);
		core_send(&c, &(struct spec){ .flags = TCP_ACK | TCP_FIN, .seq = 101, .ack = 701, .p = "abc", .n = 3 });
		core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 105 });
		core_send(&c, &(struct spec){ .flags = TCP_RST, .seq = 105 - (uint32_t)back });
		CU_ASSERT_EQUAL(core_flow(&c)->state, back < 2 ? FLOW_CLOSED : FLOW_CLOSING);
		core_close(&c);
	}
}

static void test_rst_refused(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_RST, .seq = 0, .ack = 0 });		/* no ACK: dropped in SYN_SENT */
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_RST | TCP_ACK, .seq = 0, .ack = 100 });	/* not of the SYN */
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_NEW);
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_RST | TCP_ACK, .seq = 0, .ack = 101 });
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_CLOSED);
	core_close(&c);
}

/* At the end of what the receiver reported by SACK. */
static void test_rst_sack(void)
{
	struct core c = { 0 };

	open_and_speak(&c, 100, 700);
	core_data(&c, UP, 201, 701, "xyz", 3);
	core_send(&c, &(struct spec){ .flags = TCP_RST, .seq = 204 });
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_CLOSED);
	core_close(&c);
}

static void test_syn_inside(void)
{
	struct core c = { 0 };

	open_and_speak(&c, 100, 700);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 5000 });	/* gets a challenge */
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_OPEN);
	CU_ASSERT(strstr(c.text, "stream.syn_in_flow") != NULL);
	core_data(&c, UP, 101, 701, "on", 2);
	CU_ASSERT(got(UP, "on"));
	/* who sends the SYN does not answer it himself */
	core_send(&c, &(struct spec){ .flags = TCP_SYN | TCP_ACK, .seq = 103, .ack = 701 });
	CU_ASSERT_EQUAL(c.told[EV_FLOW], 0);
	core_data(&c, UP, 103, 701, "!", 1);
	CU_ASSERT(got(UP, "on!"));
	/* the server knew nothing of the old connection: it answers, and that is the new one */
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 6000 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 9000, .ack = 6001 });
	CU_ASSERT_EQUAL(c.told[EV_FLOW], 1);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[DOWN], 1);
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 6001, .ack = 9001 });
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_OPEN);
	core_close(&c);
}

/* ---- what was never seen ---- */

static void test_gap(void)
{
	struct core c = { 0 };

	open_and_speak(&c, 100, 700);
	core_data(&c, UP, 101, 701, "ab", 2);
	core_data(&c, UP, 113, 701, "cd", 2);				/* ten bytes are missing */
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 103 });
	CU_ASSERT_EQUAL(toy_log.gaps, 0);
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 115 });
	CU_ASSERT_EQUAL(toy_log.gap_bytes, 10);
	CU_ASSERT(got(UP, "abcd"));
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_GAPS), 1);
	core_data(&c, UP, 105, 701, "XX", 2);	/* the receiver has it already */
	CU_ASSERT(got(UP, "abcd"));
	core_close(&c);
}

/* The answer was lost on the way to us: the next request acknowledges it, and is parsed once the server's next packet shows that it was sent. */
static void test_gap_of_the_other(void)
{
	struct core c = { 0 };

	open_and_speak(&c, 100, 700);
	core_data(&c, UP, 101, 701, "one", 3);
	core_data(&c, UP, 104, 751, "two", 3);
	CU_ASSERT(got(UP, "one"));
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 751, .ack = 107 });
	CU_ASSERT(got(UP, "onetwo"));
	CU_ASSERT_EQUAL(toy_log.gap_bytes, 50);
	CU_ASSERT_STRING_EQUAL(toy_log.order, "ugu");
	core_close(&c);
}

/* Nobody parses: bytes that change places are no gap, and only their place is kept. */
static void test_unparsed(void)
{
	struct core c = { 0 };

	open_and_speak(&c, 100, 700);
	c.d->px.f = core_flow(&c);
	feed_off(&c.d->px);
	core_data(&c, UP, 105, 701, "567", 3);
	core_data(&c, UP, 108, 701, "890", 3);
	CU_ASSERT_EQUAL(core_flow(&c)->half[UP].ooo_n, 1);
	CU_ASSERT_EQUAL(core_flow(&c)->half[UP].ooo_bytes, 0);
	core_data(&c, UP, 101, 701, "1234", 4);
	CU_ASSERT_EQUAL(core_flow(&c)->half[UP].next, 111);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_GAPS), 0);
	CU_ASSERT_EQUAL(c.told[EV_ANOMALY], 0);
	core_close(&c);
}

static void test_caps(void)
{
	struct core c = { 0 };
	char b[1] = { 'x' };

	open_and_speak(&c, 100, 700);
	for (uint32_t i = 0; i < 400; i++)
		core_data(&c, UP, 201 + 2 * i, 701, b, 1);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_SEG_CAP), 400 - 250);
	CU_ASSERT_EQUAL(c.told[EV_ANOMALY], 1);
	core_close(&c);
}

/* A super-packet of more than 64 KiB can't be; but one of nearly that must wait as any other. */
static void test_super_packet(void)
{
	struct core c = { 0 };
	static uint8_t b[65000];

	for (size_t i = 0; i < sizeof b; i++)
		b[i] = (uint8_t)(i * 7);
	open_and_speak(&c, 0xffff0000u, 700);
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 0xffff0001u });	/* the window in its scale */
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 0xffff0001u + 65000, .ack = 701, .p = b, .n = sizeof b, .fflags = FRAME_GSO_TCP, .gso_size = 1448 });
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 0xffff0001u, .ack = 701, .p = b, .n = sizeof b, .fflags = FRAME_GSO_TCP, .gso_size = 1448 });
	CU_ASSERT_EQUAL(toy_log.n[UP], 2 * sizeof b);
	CU_ASSERT(memcmp(toy_log.bytes[UP] + sizeof b, b, sizeof b) == 0);
	CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 4);
	core_close(&c);
}

const struct unit_test tests_stream[] = {
	{ "random segments", test_random },
	{ "random segments that contradict", test_random_lies },
	{ "handshake", test_handshake },
	{ "two SYNs", test_two_syns },
	{ "two answers", test_two_answers },
	{ "bytes on the SYN", test_syn_data },
	{ "simultaneous open", test_simultaneous },
	{ "SYN/ACK first", test_syn_ack_first },
	{ "midstream", test_midstream },
	{ "thrown away", test_thrown_away },
	{ "zero window", test_zero_window },
	{ "past the window", test_past_window },
	{ "past the window, several times", test_past_window_twice },
	{ "past the window, one over the other", test_past_window_overlap },
	{ "past the window, an urgent byte", test_past_window_urgent },
	{ "past the window, its time", test_past_window_time },
	{ "false beginnings", test_false_beginnings },
	{ "before the answer", test_before_the_answer },
	{ "before the answer, bytes on the SYN", test_before_the_answer_fast },
	{ "SYN/ACK lost", test_syn_ack_lost },
	{ "PAWS", test_paws },
	{ "overlaps are told", test_overlap_told },
	{ "overlaps on a held path", test_overlap_held },
	{ "a refused packet says nothing", test_refused_says_nothing },
	{ "urgent byte", test_urgent },
	{ "an urgent byte after another, held", test_urgent_twice_held },
	{ "what is refused for an urgent byte says nothing", test_urgent_refused_says_nothing },
	{ "FIN", test_fin },
	{ "a new connection at once", test_new_connection_at_once },
	{ "RST", test_rst },
	{ "RST refuses", test_rst_refused },
	{ "RST at the FIN", test_rst_fin },
	{ "RST at the SACK edge", test_rst_sack },
	{ "SYN inside", test_syn_inside },
	{ "gap", test_gap },
	{ "gap of the other end", test_gap_of_the_other },
	{ "unparsed", test_unparsed },
	{ "caps", test_caps },
	{ "super-packets", test_super_packet },
	{ 0 },
};
