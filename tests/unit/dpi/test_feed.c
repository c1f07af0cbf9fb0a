/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a protocol may rely on: messages kept and completed, bytes passed over, stop, hand-over, end; and how a protocol is found. */
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/dpi/coretest.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT
#define ISN 1000u

struct conversation {
	struct core c;
	uint32_t next[2];
};

static void begin(struct conversation *v, const struct dpi_conf *conf)
{
	memset(v, 0, sizeof *v);
	core_open(&v->c, conf);
	core_handshake(&v->c, ISN, 7000);
	v->next[UP] = ISN + 1;
	v->next[DOWN] = 7001;
}

static void say_n(struct conversation *v, enum dir dir, const void *p, size_t n)
{
	core_data(&v->c, dir, v->next[dir], v->next[!dir], p, n);
	v->next[dir] += (uint32_t)n;
}

static void say(struct conversation *v, enum dir dir, const char *s) { say_n(v, dir, s, strlen(s)); }

/* ---- a protocol of lines with a length: "N:" and N bytes, commands in them ---- */

static const struct fact fact_line = { .name = "line" };
static struct { unsigned parse, least; char seen[4096]; size_t n; uint64_t skip; } lines;

static void lines_reset(void) { memset(&lines, 0, sizeof lines); toy_reset(); }

static enum parse lines_parse(struct px *x, void *state, enum dir dir, struct cursor *in)
{
	unsigned *told = state;

	lines.parse++;
	while (cur_left(in)) {
		size_t colon = cur_find(in, ':'), n = 0;
		struct record *r;
		struct bytes b;

		if (colon == SIZE_MAX)
			return PARSE_MORE;
		for (size_t i = 0; i < colon; i++)
			n = n * 10 + (size_t)(in->pos[i] - '0');
		if (colon + 1 + n > cur_left(in)) {
			px_need(x, colon + 1 + n);
			return PARSE_MORE;
		}
		cur_skip(in, colon + 1);
		b = cur_bytes(in, n);
		memcpy(lines.seen + lines.n, b.p, b.n);
		lines.n += b.n;
		r = px_record(x);
		rec_bytes(r, &fact_line, b);
		px_emit(x, EV_APP, (*told)++, r);
		switch (b.n ? b.p[0] : 0) {
		case 'S':	/* the next 1000 bytes are nobody's business */
			px_skip(x, dir, 1000);
			return PARSE_DONE;
		case 'O':	/* the next 5 bytes of the other direction */
			px_skip(x, (enum dir)!dir, 5);
			break;
		case 'Q':
			px_stop(x);
			return PARSE_DONE;
		case 'T':
			px_switch(x, &proto_toy);
			return PARSE_DONE;
		case 'A':
			px_switch(x, NULL);
			return PARSE_DONE;
		case 'E':
			px_set_app(x, APP_ETCD);
			break;
		case 'B':
			px_bad(x, "lines.bad");
			return PARSE_BAD;
		case 'W':
			px_bad(x, "lines.odd");
			break;
		default:
			break;
		}
	}
	return PARSE_DONE;
}

static void lines_end(struct px *x, void *state)
{
	(void)x;
	CU_ASSERT_PTR_NOT_NULL(state);
	toy_log.ends++;
	toy_note('e');
}

static enum probe lines_probe(const struct probe_in *in)
{
	const struct cursor *c = &in->dir[DIR_TOSERVER];

	if (!cur_left(c))
		return PROBE_MORE;
	if (cur_peek(c, 0) < '0' || cur_peek(c, 0) > '9')
		return PROBE_NO;
	return cur_find(c, ':') == SIZE_MAX ? PROBE_MORE : PROBE_YES;
}

static const uint16_t lines_ports[] = { 4000, 0 };
static const struct proto proto_lines = {
	.name = "socks", .app = APP_SOCKS, .event = EV_APP, .l4 = PROTO_TCP | PROTO_UDP, .ports = lines_ports, .state_size = sizeof(unsigned), .probe = lines_probe,
	.parse = lines_parse, .end = lines_end,
};

/* ---- messages ---- */

static void test_cuts(void)
{
	static const char text[] = "3:abc12:hello, world0:5:12345";
	size_t len = sizeof text - 1;

	for (size_t a = 1; a < len; a++)
		for (size_t b = a; b < len; b++) {
			struct conversation v;

			lines_reset();
			begin(&v, NULL);
			core_speak(&v.c, &proto_lines);
			say_n(&v, UP, text, a);
			if (b > a)
				say_n(&v, UP, text + a, b - a);
			say_n(&v, UP, text + b, len - b);
			CU_ASSERT(lines.n == 20 && memcmp(lines.seen, "abchello, world12345", 20) == 0);
			CU_ASSERT_EQUAL(v.c.told[EV_APP], 4);
			CU_ASSERT_EQUAL(core_flow(&v.c)->half[UP].keep_len, 0);
			core_close(&v.c);
		}
}

/* px_need: a message of 60,000 bytes that comes in a thousand segments is looked at a handful of times. */
static void test_need(void)
{
	static char big[60000];
	struct conversation v;

	lines_reset();
	begin(&v, NULL);
	core_speak(&v.c, &proto_lines);
	memset(big, 'x', sizeof big);
	say(&v, UP, "4000:");
	for (unsigned i = 0; i < 40; i++)
		say_n(&v, UP, big, 100);
	CU_ASSERT_EQUAL(lines.n, 4000);
	CU_ASSERT_EQUAL(lines.parse, 2);
	core_close(&v.c);
}

static void test_too_long(void)
{
	static char big[30000];
	struct conversation v;

	lines_reset();
	begin(&v, NULL);
	core_speak(&v.c, &proto_lines);
	say(&v, UP, "70000:");
	memset(big, '1', sizeof big);
	CU_ASSERT_EQUAL(core_counter(&v.c, DPI_C_KEEP_CAP), 1);
	CU_ASSERT_EQUAL(toy_log.ends, 1);
	core_close(&v.c);

	lines_reset();
	begin(&v, NULL);
	core_speak(&v.c, &proto_lines);
	for (int i = 0; i < 3; i++) {
		say_n(&v, UP, big, sizeof big);	/* never a colon */
		core_send(&v.c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = v.next[DOWN], .ack = v.next[UP] });
	}
	CU_ASSERT_EQUAL(core_counter(&v.c, DPI_C_KEEP_CAP), 1);
	CU_ASSERT(strstr(v.c.text, "app.message_too_long") != NULL);
	CU_ASSERT(lines.parse < 12);	/* looked at again only when it has doubled */
	core_close(&v.c);
}

static void test_skip(void)
{
	static char junk[1000];
	struct conversation v;

	for (size_t cut = 1; cut <= 1000; cut += 111) {
		lines_reset();
		begin(&v, NULL);
		core_speak(&v.c, &proto_lines);
		memset(junk, '9', sizeof junk);
		say(&v, UP, "1:S");
		for (size_t at = 0; at < sizeof junk; at += cut)
			say_n(&v, UP, junk, sizeof junk - at < cut ? sizeof junk - at : cut);
		say(&v, UP, "2:ok");
		CU_ASSERT(lines.n == 3 && memcmp(lines.seen, "Sok", 3) == 0);
		CU_ASSERT_EQUAL(lines.parse, 2);
		core_close(&v.c);
	}
	/* out of order inside the skipped: only their place is kept */
	lines_reset();
	begin(&v, NULL);
	core_speak(&v.c, &proto_lines);
	say(&v, UP, "1:S");
	core_data(&v.c, UP, v.next[UP] + 500, v.next[DOWN], junk, 500);
	CU_ASSERT_EQUAL(core_flow(&v.c)->half[UP].ooo_n, 1);
	CU_ASSERT_EQUAL(core_flow(&v.c)->half[UP].ooo_bytes, 0);
	say_n(&v, UP, junk, 500);
	v.next[UP] += 500;
	say(&v, UP, "2:ok");
	CU_ASSERT(lines.n == 3);
	core_close(&v.c);
}

static void test_skip_other(void)
{
	struct conversation v;

	lines_reset();
	begin(&v, NULL);
	core_speak(&v.c, &proto_lines);
	say(&v, DOWN, "99");		/* kept: incomplete */
	say(&v, UP, "1:O");		/* five of theirs are skipped: these two and three more */
	say(&v, DOWN, "8881:x");
	CU_ASSERT(lines.n == 2 && memcmp(lines.seen, "Ox", 2) == 0);
	core_close(&v.c);
}

static void test_stop_and_bad(void)
{
	struct conversation v;

	lines_reset();
	begin(&v, NULL);
	core_speak(&v.c, &proto_lines);
	say(&v, UP, "1:Q1:a");
	say(&v, UP, "1:b");
	CU_ASSERT_EQUAL(lines.n, 1);
	CU_ASSERT_EQUAL(toy_log.ends, 1);
	CU_ASSERT_EQUAL(core_flow(&v.c)->app, APP_SOCKS);
	CU_ASSERT_EQUAL(core_counter(&v.c, DPI_C_PARSE_BAD), 0);
	core_close(&v.c);
	CU_ASSERT_EQUAL(toy_log.ends, 1);

	lines_reset();
	begin(&v, NULL);
	core_speak(&v.c, &proto_lines);
	for (int i = 0; i < 40; i++)
		say(&v, UP, "1:W");
	CU_ASSERT_EQUAL(v.c.told[EV_ANOMALY], BAD_TOLD_MAX);
	say(&v, UP, "1:B1:a");
	CU_ASSERT_EQUAL(core_counter(&v.c, DPI_C_PARSE_BAD), 1);
	CU_ASSERT_EQUAL(toy_log.ends, 1);
	core_close(&v.c);
	CU_ASSERT_EQUAL(toy_log.ends, 1);
}

static void test_switch(void)
{
	struct conversation v;

	lines_reset();
	begin(&v, NULL);
	core_speak(&v.c, &proto_lines);
	say(&v, DOWN, "7");			/* kept, and the new protocol's */
	say(&v, UP, "1:Trest");
	say(&v, UP, "more");
	CU_ASSERT_EQUAL(core_flow(&v.c)->app, APP_ECHO);
	CU_ASSERT(toy_log.n[UP] == 8 && memcmp(toy_log.bytes[UP], "restmore", 8) == 0);
	CU_ASSERT(toy_log.n[DOWN] == 1 && toy_log.bytes[DOWN][0] == '7');
	CU_ASSERT_STRING_EQUAL(toy_log.order, "eduu");
	core_close(&v.c);
	CU_ASSERT_EQUAL(toy_log.ends, 2);
}

/* What the old protocol wanted to pass over of the other direction is the new one's. */
static void test_switch_and_skip(void)
{
	struct conversation v;

	lines_reset();
	begin(&v, NULL);
	core_speak(&v.c, &proto_lines);
	say(&v, UP, "1:O1:T");
	say(&v, DOWN, "abcdefg");
	CU_ASSERT(toy_log.n[DOWN] == 7 && memcmp(toy_log.bytes[DOWN], "abcdefg", 7) == 0);
	core_close(&v.c);
}

/* The hand-over happens in a message that was kept. */
static void test_switch_in_kept(void)
{
	struct conversation v;

	lines_reset();
	begin(&v, NULL);
	core_speak(&v.c, &proto_lines);
	say(&v, UP, "1");
	say(&v, UP, ":Trest");
	say(&v, UP, "more");
	CU_ASSERT(toy_log.n[UP] == 8 && memcmp(toy_log.bytes[UP], "restmore", 8) == 0);
	core_close(&v.c);
}

static void test_switch_anew(void)
{
	struct conversation v;

	lines_reset();
	begin(&v, NULL);
	core_speak(&v.c, &proto_lines);
	say(&v, UP, "1:AGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
	CU_ASSERT_EQUAL(core_flow(&v.c)->app, APP_HTTP);
	say(&v, DOWN, "HTTP/1.1 204 No\r\n\r\n");
	CU_ASSERT(strstr(v.c.text, "\"url\":\"/x\"") != NULL);
	CU_ASSERT_EQUAL(v.c.last[EV_HTTP].app, APP_HTTP);
	CU_ASSERT_EQUAL(v.c.last[EV_HTTP].app_orig, APP_SOCKS);
	core_close(&v.c);

	/* nothing is found: the app stays what it was */
	lines_reset();
	begin(&v, NULL);
	core_speak(&v.c, &proto_lines);
	say(&v, UP, "1:A\x01\x02\x03\x04\x05");
	say(&v, DOWN, "\x01\x02\x03\x04\x05");
	CU_ASSERT_EQUAL(core_flow(&v.c)->app, APP_SOCKS);
	core_close(&v.c);
}

static void test_no_gap(void)
{
	struct conversation v;

	lines_reset();
	begin(&v, NULL);
	core_speak(&v.c, &proto_lines);
	say(&v, UP, "5:ab");
	v.next[UP] += 3;
	say(&v, UP, "1:x");
	core_send(&v.c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = v.next[DOWN], .ack = v.next[UP] });
	CU_ASSERT_EQUAL(lines.n, 0);
	CU_ASSERT_EQUAL(toy_log.ends, 1);	/* it has no gap(): parsing ends */
	CU_ASSERT(strstr(v.c.text, "stream.gap") != NULL);
	core_close(&v.c);
}

/* ---- recognition ---- */

static unsigned asked[3];
static char asked_order[64];
static enum probe probe_answer[3];

static enum probe probe_n(unsigned i)
{
	size_t n = strlen(asked_order);

	asked[i]++;
	if (n + 1 < sizeof asked_order) {
		asked_order[n] = "abc"[i];
		asked_order[n + 1] = '\0';
	}
	return probe_answer[i];
}
static enum probe probe_a(const struct probe_in *in) { (void)in; return probe_n(0); }
static enum probe probe_b(const struct probe_in *in) { (void)in; return probe_n(1); }
static enum probe probe_c(const struct probe_in *in)
{
	CU_ASSERT_EQUAL(in->dport, 80);
	CU_ASSERT_EQUAL(in->sport, 40000);
	return probe_n(2);
}

static enum parse toy_like(struct px *x, void *state, enum dir dir, struct cursor *in) { return proto_toy.parse(x, state, dir, in); }

static const uint16_t ports_80[] = { 80, 0 };
static const struct proto proto_a = { .name = "a", .app = APP_FTP, .l4 = PROTO_TCP | PROTO_UDP, .probe = probe_a, .parse = toy_like };
static const struct proto proto_b = { .name = "b", .app = APP_IRC, .l4 = PROTO_UDP, .probe = probe_b, .parse = toy_like };
static const struct proto proto_c = { .name = "c", .app = APP_NATS, .l4 = PROTO_TCP | PROTO_UDP, .ports = ports_80, .probe = probe_c, .parse = toy_like };
static const struct proto *const protos[] = { &proto_a, &proto_b, &proto_c, NULL };

static void begin_seeking(struct conversation *v, const struct dpi_conf *conf, enum probe a, enum probe b, enum probe c)
{
	begin(v, conf);
	memset(asked, 0, sizeof asked);
	asked_order[0] = '\0';
	probe_answer[0] = a;
	probe_answer[1] = b;
	probe_answer[2] = c;
	v->c.d->protos = protos;
	free(v->c.d->hints);
	CU_ASSERT(seek_init(v->c.d));
}

static void test_order(void)
{
	struct conversation v;

	begin_seeking(&v, NULL, PROBE_MORE, PROBE_YES, PROBE_NO);
	say(&v, UP, "1");
	CU_ASSERT_STRING_EQUAL(asked_order, "ca");	/* its port first; b is not for TCP */
	say(&v, DOWN, "2");
	say(&v, UP, "3");
	CU_ASSERT_STRING_EQUAL(asked_order, "caaa");	/* NO is final */
	probe_answer[0] = PROBE_YES;
	say(&v, DOWN, "4");
	say(&v, DOWN, "5");
	CU_ASSERT_EQUAL(core_flow(&v.c)->app, APP_FTP);
	CU_ASSERT_STRING_EQUAL(toy_log.order, "ududd");	/* as it was said */
	CU_ASSERT(toy_log.n[UP] == 2 && memcmp(toy_log.bytes[UP], "13", 2) == 0);
	CU_ASSERT(toy_log.n[DOWN] == 3 && memcmp(toy_log.bytes[DOWN], "245", 3) == 0);
	CU_ASSERT_EQUAL(core_counter(&v.c, DPI_C_APP_FOUND), 1);
	core_close(&v.c);
}

static void test_all_no(void)
{
	struct conversation v;

	begin_seeking(&v, NULL, PROBE_NO, PROBE_NO, PROBE_NO);
	say(&v, UP, "1");
	say(&v, UP, "2");
	CU_ASSERT_EQUAL(core_flow(&v.c)->feed, FEED_OFF);
	CU_ASSERT_STRING_EQUAL(asked_order, "ca");
	CU_ASSERT_EQUAL(core_counter(&v.c, DPI_C_APP_UNKNOWN), 1);
	CU_ASSERT_EQUAL(dpi_app_flows(v.c.d)[APP_UNKNOWN], 1);
	core_close(&v.c);
}

static void test_give_up(void)
{
	struct dpi_conf conf = { .max_flows = 64, .memcap = 16 << 20, .midstream = true };
	struct conversation v;
	char b[100] = { 0 };

	begin_seeking(&v, NULL, PROBE_MORE, PROBE_MORE, PROBE_MORE);
	for (int i = 0; i < 20; i++)
		say_n(&v, UP, b, sizeof b);
	CU_ASSERT_EQUAL(asked[0], 16);		/* packets */
	CU_ASSERT(core_flow(&v.c)->learn == NULL);
	core_close(&v.c);

	begin_seeking(&v, NULL, PROBE_MORE, PROBE_MORE, PROBE_MORE);
	for (int i = 0; i < 1100; i++)
		say(&v, UP, "x");
	CU_ASSERT_EQUAL(asked[0], 1024);	/* packets of a byte */
	core_close(&v.c);

	conf.pending_bytes = 250;
	begin_seeking(&v, &conf, PROBE_MORE, PROBE_MORE, PROBE_MORE);
	for (int i = 0; i < 5; i++)
		say_n(&v, i & 1 ? DOWN : UP, b, sizeof b);
	CU_ASSERT_EQUAL(asked[0], 3);		/* bytes of both */
	core_close(&v.c);

	begin_seeking(&v, NULL, PROBE_MORE, PROBE_MORE, PROBE_MORE);
	say(&v, UP, "x");
	CU_ASSERT_EQUAL(core_flow(&v.c)->feed, FEED_SEEK);
	core_tick(&v.c, 4 * SEC);
	CU_ASSERT_EQUAL(core_flow(&v.c)->feed, FEED_SEEK);
	core_tick(&v.c, 2 * SEC);
	CU_ASSERT_EQUAL(core_flow(&v.c)->feed, FEED_OFF);	/* time, without another packet */
	core_close(&v.c);
}

/* A policy allows less than is kept already. */
static void test_limits_lowered(void)
{
	for (int udp = 0; udp < 2; udp++) {
		struct policy_builder *b = policy_begin(MODE_DISCOVER);
		struct policy_limits l = policy_limits_default;
		struct spec s = { .udp = true, .p = "0123456789", .n = 10 };
		struct conversation v;
		struct policy *p;

		l.pending_bytes = 25;
		policy_set_limits(b, &l);
		p = policy_build(b);
		begin_seeking(&v, NULL, PROBE_MORE, PROBE_MORE, PROBE_MORE);
		if (udp) {
			core_send(&v.c, &(struct spec){ .flags = TCP_RST, .seq = v.next[UP] });
			core_tick(&v.c, 20 * SEC);
			CU_ASSERT_EQUAL(core_flows(&v.c), 0);
		}
		for (int i = 0; i < 4; i++)
			udp ? (void)core_send(&v.c, &s) : say(&v, UP, "0123456789");
		CU_ASSERT_EQUAL(core_flow(&v.c)->feed, FEED_SEEK);
		dpi_set_policy(v.c.d, p);
		policy_unref(p);
		CU_ASSERT_EQUAL(core_flow(&v.c)->feed, FEED_SEEK);
		udp ? (void)core_send(&v.c, &s) : say(&v, UP, "0123456789");
		CU_ASSERT_EQUAL(core_flow(&v.c)->feed, FEED_OFF);
		CU_ASSERT_EQUAL(core_flow(&v.c)->app, APP_UNKNOWN);
		core_close(&v.c);
	}
}

static void test_datagrams(void)
{
	struct conversation v;
	struct core *c = &v.c;

	begin_seeking(&v, NULL, PROBE_MORE, PROBE_NO, PROBE_NO);
	core_send(c, &(struct spec){ .flags = TCP_RST, .seq = v.next[UP] });
	core_tick(c, 10 * SEC);
	core_send(c, &(struct spec){ .udp = true, .p = "one", .n = 3 });
	core_send(c, &(struct spec){ .udp = true, .dir = DOWN, .p = "two", .n = 3 });
	CU_ASSERT_EQUAL(toy_log.calls, 0);
	probe_answer[0] = PROBE_YES;
	core_send(c, &(struct spec){ .udp = true, .p = "three", .n = 5 });
	CU_ASSERT_STRING_EQUAL(toy_log.order, "udu");
	CU_ASSERT_EQUAL(toy_log.n[UP], 8);
	/* ten datagrams of four bytes in a super-packet, the last one shorter */
	core_send(c, &(struct spec){ .udp = true, .p = "1111222233334444555", .n = 19, .fflags = FRAME_GSO_UDP, .gso_size = 4 });
	CU_ASSERT_EQUAL(toy_log.calls, 3 + 5);
	CU_ASSERT_EQUAL(core_flow(c)->pkts[UP], 3);
	CU_ASSERT_EQUAL(core_flow(c)->bytes[UP], 28 * 3 + 3 + 5 + 19);
	core_close(c);
}

/* The server speaks first. */
static void test_server_first(void)
{
	struct conversation v;

	begin(&v, NULL);
	say(&v, DOWN, "SSH-2.0-OpenSSH_9.2\r\n");
	say(&v, UP, "SSH-2.0-Go\r\n");
	CU_ASSERT_EQUAL(core_flow(&v.c)->app, APP_SSH);
	core_close(&v.c);
}

static void test_memory(void)
{
	struct dpi_conf conf = { .max_flows = 64, .memcap = 2 << 20, .midstream = true };
	struct conversation v;
	static char b[8000];
	void *piece[400];
	size_t size[400];
	unsigned n = 0;

	lines_reset();
	begin(&v, &conf);
	core_speak(&v.c, &proto_lines);
	v.c.d->parser_bytes_max = UINT64_MAX;
	for (size_t want = MEM_PIECE_MAX; want >= 8192; want /= 2)
		while (n < 400 && (piece[n] = mem_alloc(v.c.d->mem, want)))
			size[n++] = want;
	memset(b, '1', sizeof b);
	say_n(&v, UP, b, sizeof b);	/* can't be kept */
	CU_ASSERT_EQUAL(core_flow(&v.c)->feed, FEED_OFF);
	CU_ASSERT(core_counter(&v.c, DPI_C_MEM_REFUSED) > 0);
	CU_ASSERT_EQUAL(toy_log.ends, 1);
	while (n--)
		mem_release(v.c.d->mem, piece[n], size[n]);
	core_close(&v.c);
}

/* Parsers hold more than they may: the flow that was silent for longest gives its part back, and is told; who speaks goes on. */
static void test_memory_taken_back(void)
{
	struct conversation v;
	struct flow *old, *young;
	uint32_t seq = 1001;

	lines_reset();
	begin(&v, NULL);
	core_speak(&v.c, &proto_lines);
	old = core_flow(&v.c);
	say(&v, UP, "100");			/* a length without its end: kept */
	CU_ASSERT(old->half[UP].keep_len > 0);
	for (unsigned flags = 0; flags < 3; flags++)
		core_send(&v.c, &(struct spec){ .dir = flags == 1, .sport = 41000, .flags = flags == 0 ? TCP_SYN : flags == 1 ? TCP_SYN | TCP_ACK : TCP_ACK,
						.seq = flags == 1 ? 5000 : flags ? 1001 : 1000, .ack = flags == 1 ? 1001 : 5001 });
	CU_ASSERT_EQUAL(core_flows(&v.c), 2);
	young = flow_at(&v.c.d->flows, 2);
	young->feed = FEED_PARSE;
	young->proto = &proto_lines;
	core_send(&v.c, &(struct spec){ .sport = 41000, .flags = TCP_ACK, .seq = seq, .ack = 5001, .p = "10", .n = 2 });
	v.c.d->parser_bytes_max = mem_used(v.c.d->mem) - flow_table_bytes(&v.c.d->flows) - 1;
	core_forget(&v.c);
	core_send(&v.c, &(struct spec){ .sport = 41000, .flags = TCP_ACK, .seq = seq + 2, .ack = 5001, .p = "0", .n = 1 });
	CU_ASSERT_EQUAL(old->feed, FEED_OFF);
	CU_ASSERT_EQUAL(old->half[UP].keep_len, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(v.c.text, "app.memory_cap"));
	CU_ASSERT_EQUAL(young->feed, FEED_PARSE);
	CU_ASSERT_EQUAL(young->half[UP].keep_len, 3);
	CU_ASSERT_EQUAL(core_counter(&v.c, DPI_C_MEM_TAKEN_BACK), 1);
	CU_ASSERT_EQUAL(core_flows(&v.c), 2);
	core_close(&v.c);
}

const struct unit_test tests_feed[] = {
	{ "messages at every two cuts", test_cuts },
	{ "px_need", test_need },
	{ "messages that are too long", test_too_long },
	{ "px_skip", test_skip },
	{ "px_skip of the other direction", test_skip_other },
	{ "px_stop, PARSE_BAD", test_stop_and_bad },
	{ "px_switch", test_switch },
	{ "px_switch after px_skip", test_switch_and_skip },
	{ "px_switch in a kept message", test_switch_in_kept },
	{ "px_switch to whatever comes", test_switch_anew },
	{ "a gap where there is no gap()", test_no_gap },
	{ "candidates in order", test_order },
	{ "nobody wants it", test_all_no },
	{ "limits of recognition", test_give_up },
	{ "limits lowered", test_limits_lowered },
	{ "datagrams", test_datagrams },
	{ "the server speaks first", test_server_first },
	{ "no memory", test_memory },
	{ "memory is taken back from old flows", test_memory_taken_back },
	{ 0 },
};
