/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections whose beginning was not seen: recognition says who the client is. (The rest of recognition: test_feed.c.) */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/dpi/coretest.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT

/* "ASK..." from the client; where only "ANS..." from the server is there, it waits. */
static enum probe probe_ask(const struct probe_in *in)
{
	struct cursor up = in->dir[UP], down = in->dir[DOWN];

	if (cur_left(&up))
		return cur_starts(&up, "ASK", 3) ? PROBE_YES : PROBE_NO;
	return cur_starts(&down, "ANS", 3) ? PROBE_MORE : PROBE_NO;
}

/* Waits for ever. */
static enum probe probe_patient(const struct probe_in *in) { (void)in; return PROBE_MORE; }

static enum parse toy_like(struct px *x, void *state, enum dir dir, struct cursor *in) { return proto_toy.parse(x, state, dir, in); }

static const struct proto proto_ask = { .name = "ask", .app = APP_FTP, .l4 = PROTO_TCP | PROTO_UDP, .probe = probe_ask, .parse = toy_like };
static const struct proto proto_patient = { .name = "patient", .app = APP_IRC, .l4 = PROTO_TCP, .probe = probe_patient, .parse = toy_like };
static const struct proto *const alone[] = { &proto_ask, NULL }, *const both[] = { &proto_ask, &proto_patient, NULL };

static void open_with(struct core *c, const struct proto *const *protos)
{
	core_open(c, NULL);
	c->d->protos = protos;
	free(c->d->hints);
	CU_ASSERT(seek_init(c->d));
	c->workload[0] = 1;
	c->workload[1] = 2;
}

/* The end with port 80 asks: its port made it the responder. */
static void is_turned(struct core *c, const char *asked, const char *answered)
{
	struct flow *f = core_flow(c);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(f->app, APP_FTP);
	CU_ASSERT_EQUAL(flow_port(f, UP), 80);
	CU_ASSERT_EQUAL(flow_port(f, DOWN), 40000);
	CU_ASSERT_EQUAL(f->workload[0], 2);
	CU_ASSERT_EQUAL(f->workload[1], 1);
	CU_ASSERT(toy_log.n[UP] == strlen(asked) && memcmp(toy_log.bytes[UP], asked, strlen(asked)) == 0);
	CU_ASSERT(toy_log.n[DOWN] == strlen(answered) && memcmp(toy_log.bytes[DOWN], answered, strlen(answered)) == 0);
	CU_ASSERT_EQUAL(core_counter(c, DPI_C_FLOWS_TURNED), 1);
	CU_ASSERT_EQUAL(core_counter(c, DPI_C_APP_UNKNOWN), 0);
}

static void test_turned(void)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct core c = { 0 };

		open_with(&c, alone);
		core_send(&c, &(struct spec){ .v6 = v6, .dir = DOWN, .flags = TCP_ACK, .seq = 5000, .ack = 9000, .p = "ASK", .n = 3 });
		is_turned(&c, "ASK", "");
		core_send(&c, &(struct spec){ .v6 = v6, .dir = UP, .flags = TCP_ACK, .seq = 9000, .ack = 5003, .p = "ANSWER", .n = 6 });
		core_send(&c, &(struct spec){ .v6 = v6, .dir = DOWN, .flags = TCP_ACK, .seq = 5003, .ack = 9006, .p = "more", .n = 4 });
		is_turned(&c, "ASKmore", "ANSWER");
		CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], 2);
		CU_ASSERT_EQUAL(core_flow(&c)->pkts[DOWN], 1);
		dpi_flush(c.d);
		CU_ASSERT_EQUAL(c.last[EV_FLOW].sport, 80);
		CU_ASSERT_EQUAL(c.last[EV_FLOW].src.b[15], 2);
		CU_ASSERT(strstr(c.text, "'pkts_toserver':2") || strstr(c.text, "\"pkts_toserver\":2"));
		core_close(&c);
	}
}

/* Hops to live are those of an end, whichever it is thought to be. */
static void test_turned_hops(void)
{
	struct core c = { 0 };

	open_with(&c, alone);
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 5000, .ack = 9000, .p = "ASK", .n = 3, .ttl = 128, .fflags = FRAME_LEAVING });
	is_turned(&c, "ASK", "");
	core_send(&c, &(struct spec){ .dir = UP, .flags = TCP_ACK, .seq = 9000, .ack = 5003, .p = "ANSWER", .n = 6, .ttl = 64, .fflags = FRAME_LEAVING });
	is_turned(&c, "ASK", "ANSWER");
	CU_ASSERT_EQUAL(c.told[EV_ANOMALY], 0);
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 5003, .ack = 9006, .p = "ASK", .n = 3, .ttl = 100, .fflags = FRAME_LEAVING });
	is_turned(&c, "ASK", "ANSWER");
	CU_ASSERT_PTR_NOT_NULL(strstr(c.text, "stream.ttl_fell"));
	core_close(&c);
}

/* The answer is heard first, and waits for what was asked. */
static void test_answer_first(void)
{
	struct core c = { 0 };

	open_with(&c, alone);
	core_data(&c, UP, 9000, 5000, "ANS", 3);
	CU_ASSERT_EQUAL(core_flow(&c)->feed, FEED_SEEK);
	core_data(&c, DOWN, 5000, 9003, "ASK", 3);
	is_turned(&c, "ASK", "ANS");
	CU_ASSERT_STRING_EQUAL(toy_log.order, "du");
	core_close(&c);
}

/* Somebody waits: turned directions are asked when time is up, at the limit of packets, at the end. */
static void test_at_last(void)
{
	for (int how = 0; how < 4; how++) {
		struct core c = { 0 };
		char many[2000] = "";

		open_with(&c, both);
		core_data(&c, DOWN, 5000, 9000, "ASK", 3);
		CU_ASSERT_EQUAL(core_flow(&c)->feed, FEED_SEEK);
		CU_ASSERT_EQUAL(flow_port(core_flow(&c), UP), 40000);
		switch (how) {
		case 0:
			core_tick(&c, 6 * SEC);
			is_turned(&c, "ASK", "");
			break;
		case 1:
			strcpy(many, "ASK");
			memset(many + 3, '+', 15 * 70);
			for (uint32_t i = 0; i < 15; i++)
				core_data(&c, DOWN, 5003 + 70 * i, 9000, many + 3, 70);
			is_turned(&c, many, "");
			break;
		case 2:
			core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_RST | TCP_ACK, .seq = 5003, .ack = 9000 });
			is_turned(&c, "ASK", "");
			CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_CLOSED);
			break;
		case 3:
			dpi_flush(c.d);
			CU_ASSERT_EQUAL(c.last[EV_FLOW].app, APP_FTP);
			CU_ASSERT_EQUAL(c.last[EV_FLOW].sport, 80);
			break;
		}
		core_close(&c);
	}
}

/* A flow is turned when the packet at hand is done with: what waited out of order comes along. */
static void test_with_what_waited(void)
{
	struct core c = { 0 };

	open_with(&c, alone);
	core_send(&c, &(struct spec){ .dir = UP, .flags = TCP_ACK, .seq = 9000, .ack = 5000 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 5000, .ack = 9000 });
	core_data(&c, DOWN, 5003, 9000, "and", 3);
	core_data(&c, DOWN, 5006, 9000, "that", 4);
	core_data(&c, DOWN, 5000, 9000, "ASK", 3);
	is_turned(&c, "ASKandthat", "");
	core_data(&c, UP, 9000, 5010, "ANS", 3);
	is_turned(&c, "ASKandthat", "ANS");
	core_close(&c);
}

/* Who sent the SYN is the client, whatever they say; so is the first sender of a datagram. */
static void test_never_turned(void)
{
	struct core c = { 0 };

	open_with(&c, alone);
	core_handshake(&c, 100, 700);
	core_data(&c, DOWN, 701, 101, "ASK", 3);
	CU_ASSERT_EQUAL(flow_port(core_flow(&c), UP), 40000);
	CU_ASSERT_EQUAL(core_flow(&c)->feed, FEED_OFF);
	CU_ASSERT_EQUAL(core_flow(&c)->app, APP_UNKNOWN);
	core_close(&c);

	open_with(&c, alone);
	core_send(&c, &(struct spec){ .udp = true, .p = "x", .n = 1 });
	core_send(&c, &(struct spec){ .udp = true, .dir = DOWN, .p = "ASK", .n = 3 });
	CU_ASSERT_EQUAL(core_flow(&c)->app, APP_UNKNOWN);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_FLOWS_TURNED), 0);
	core_close(&c);
}

/* The client is who its port said: nobody is asked twice for nothing. */
static void test_guessed_right(void)
{
	struct core c = { 0 };

	open_with(&c, alone);
	core_data(&c, UP, 9000, 5000, "ASK", 3);
	CU_ASSERT_EQUAL(core_flow(&c)->app, APP_FTP);
	CU_ASSERT_EQUAL(flow_port(core_flow(&c), UP), 40000);
	core_close(&c);

	open_with(&c, alone);
	core_handshake(&c, 8999, 4999);
	core_data(&c, UP, 9000, 5000, "neither", 7);
	CU_ASSERT_EQUAL(core_flow(&c)->feed, FEED_OFF);
	CU_ASSERT(core_flow(&c)->learn == NULL);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_APP_UNKNOWN), 1);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_FLOWS_TURNED), 0);
	core_close(&c);
}

/* Bytes that are the middle of something: all are asked again when the other end speaks. */
static void test_adrift(void)
{
	struct core c = { 0 };

	open_with(&c, alone);
	core_data(&c, DOWN, 5000, 9000, "of a body", 9);
	CU_ASSERT_EQUAL(core_flow(&c)->feed, FEED_SEEK);
	core_data(&c, DOWN, 5009, 9000, "ASK in it", 9);	/* no message begins here */
	CU_ASSERT_EQUAL(core_flow(&c)->feed, FEED_SEEK);
	core_data(&c, UP, 9000, 5018, "ASK", 3);
	CU_ASSERT_EQUAL(core_flow(&c)->app, APP_FTP);
	CU_ASSERT(toy_log.n[UP] == 3 && toy_log.n[DOWN] == 0);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_APP_UNKNOWN), 0);
	core_close(&c);

	open_with(&c, alone);	/* ... but not for ever */
	for (uint32_t i = 0; i < 16; i++) {
		CU_ASSERT(!i || core_flow(&c)->feed == FEED_SEEK);
		core_data(&c, DOWN, 5000 + i, 9000, "x", 1);
	}
	CU_ASSERT_EQUAL(core_flow(&c)->feed, FEED_OFF);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_APP_UNKNOWN), 1);
	core_data(&c, UP, 9000, 5016, "ASK", 3);
	CU_ASSERT_EQUAL(core_flow(&c)->app, APP_UNKNOWN);
	core_close(&c);
}

/* Whoever is asked gets bytes of the direction that spoke last. */
static unsigned asked_nothing;
static enum probe probe_strict(const struct probe_in *in)
{
	asked_nothing += !cur_left(&in->dir[in->now]);
	return cur_left(&in->dir[UP]) > 4 ? PROBE_NO : PROBE_MORE;
}
static const struct proto proto_strict = { .name = "strict", .app = APP_FTP, .l4 = PROTO_TCP | PROTO_UDP, .probe = probe_strict, .parse = toy_like };

static void test_asked_with_bytes(void)
{
	static const struct proto *const strict[] = { &proto_strict, NULL };

	asked_nothing = 0;
	for (int dir = 0; dir < 2; dir++)
		for (int len = 1; len < 9; len += 7) {
			struct core c = { 0 };

			open_with(&c, strict);
			core_data(&c, (enum dir)dir, 5000, 9000, "from here", (size_t)len);
			core_close(&c);
			CU_ASSERT_EQUAL(asked_nothing, 0);
		}
}

/* Bytes are lost while one is sought: what comes behind them is looked at anew. */
static void test_lost(void)
{
	struct core c = { 0 };

	open_with(&c, both);	/* the patient one keeps it going */
	core_handshake(&c, 8999, 4999);
	core_data(&c, UP, 9000, 5000, "what", 4);
	core_data(&c, UP, 9010, 5000, "ASK", 3);
	CU_ASSERT_EQUAL(core_flow(&c)->app, APP_UNKNOWN);
	core_data(&c, DOWN, 5000, 9013, "", 0);
	CU_ASSERT_EQUAL(core_flow(&c)->app, APP_FTP);
	CU_ASSERT(toy_log.n[UP] == 3 && memcmp(toy_log.bytes[UP], "ASK", 3) == 0);
	core_close(&c);
}

/* A port says what an unknown flow may be, last of all and beside `unknown`. */
static void test_hint(void)
{
	static const struct { uint16_t port; bool udp; enum app want; } rows[] = {
		{ 23, false, APP_TELNET }, { 6010, false, APP_X11 }, { 6064, false, APP_UNKNOWN }, { 514, true, APP_SYSLOG }, { 23, true, APP_UNKNOWN }, { 80, false, APP_UNKNOWN },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct core c = { 0 };

		open_with(&c, both);
		if (rows[i].udp)
			core_send(&c, &(struct spec){ .udp = true, .dport = rows[i].port, .p = "neither", .n = 7 });
		else
			core_send(&c, &(struct spec){ .dport = rows[i].port, .flags = TCP_ACK, .seq = 1, .ack = 1, .p = "neither", .n = 7 });
		if (!rows[i].udp)
			CU_ASSERT_EQUAL(flow_hint(core_flow(&c)), APP_UNKNOWN);	/* it is still being sought */
		core_tick(&c, 6 * SEC);
		CU_ASSERT_EQUAL(flow_hint(core_flow(&c)), rows[i].want);
		CU_ASSERT_EQUAL(core_flow(&c)->app, APP_UNKNOWN);
		dpi_flush(c.d);
		CU_ASSERT_EQUAL(c.last[EV_FLOW].app_hint, rows[i].want);
		core_close(&c);
	}
	{
		struct core c = { 0 };

		open_with(&c, alone);
		core_send(&c, &(struct spec){ .dport = 23, .flags = TCP_ACK, .seq = 1, .ack = 1, .p = "ASK", .n = 3 });
		CU_ASSERT_EQUAL(flow_hint(core_flow(&c)), APP_UNKNOWN);		/* what it says goes first */
		core_close(&c);
	}
}

const struct unit_test tests_seek[] = {
	{ "a flow without a beginning is turned", test_turned },
	{ "turned: hops to live", test_turned_hops },
	{ "the answer is heard first", test_answer_first },
	{ "turned at last", test_at_last },
	{ "turned with what waited", test_with_what_waited },
	{ "never turned where the beginning was seen", test_never_turned },
	{ "the guess was right", test_guessed_right },
	{ "a port hints last", test_hint },
	{ "the middle of something", test_adrift },
	{ "bytes are lost", test_lost },
	{ "asked with bytes", test_asked_with_bytes },
	{ 0 },
};
