/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the table of tests/evasion showed: tricks that once made the core judge other bytes than the kernel took, or judge them silently. */
#include <CUnit/CUnit.h>
#include <string.h>

#include "tests/unit/dpi/coretest.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT
#define DATA(text) .flags = TCP_ACK, .ack = 701, .p = text, .n = sizeof(text) - 1

static void begin(struct core *c)
{
	core_open(c, NULL);
	core_handshake(c, 100, 700);
	core_speak(c, &proto_toy);
}

static bool got(const char *want) { return toy_log.n[UP] == strlen(want) && memcmp(toy_log.bytes[UP], want, strlen(want)) == 0; }
static bool told(const struct core *c, const char *event) { return strstr(c->text, event) != NULL; }

/* The SYN was not signed: the kernel throws a segment with MD5 away; one with AO most kernels take. Held, neither goes on. */
static void test_signature(void)
{
	static const struct { const char *sign; bool held; enum verdict v; const char *want; } t[] = {
		{ "md5", false, VERDICT_ALLOW, "good" }, { "md5", true, VERDICT_DROP, "good" },
		{ "ao", false, VERDICT_ALLOW, "evil" }, { "ao", true, VERDICT_DROP, "good" },
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct core c = { 0 };

		begin(&c);
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ DATA("evil"), .seq = 101, .sign = t[i].sign, .held = t[i].held }), t[i].v);
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ DATA("good"), .seq = 101, .held = t[i].held }), VERDICT_ALLOW);
		CU_ASSERT(got(t[i].want));
		CU_ASSERT(told(&c, "stream.signature"));
		core_close(&c);
	}
}

static void test_signed_from_the_syn(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100, .sign = "md5" });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .sign = "md5" });
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .sign = "md5" });
	core_speak(&c, &proto_toy);
	core_send(&c, &(struct spec){ DATA("good"), .seq = 101, .sign = "md5" });
	CU_ASSERT(got("good"));
	CU_ASSERT_EQUAL(c.told[EV_ANOMALY], 0);
	core_send(&c, &(struct spec){ DATA("evil"), .seq = 105 });
	CU_ASSERT(got("good"));
	CU_ASSERT(told(&c, "stream.signature"));
	core_close(&c);
}

#define LEAVES(hops) .ttl = hops, .fflags = FRAME_LEAVING

static void begin_leaving(struct core *c)
{
	core_open(c, NULL);
	core_send(c, &(struct spec){ .flags = TCP_SYN, .seq = 100, LEAVES(64) });
	core_send(c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .ttl = 50, .fflags = FRAME_ENTERING });
	core_send(c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, LEAVES(64) });
	core_speak(c, &proto_toy);
}

/* What leaves with fewer hops than before waits for its acknowledgement; other bytes for the place are told. */
static void test_ttl(void)
{
	struct core c = { 0 };

	begin_leaving(&c);
	core_send(&c, &(struct spec){ DATA("evil"), .seq = 101, LEAVES(63) });
	CU_ASSERT(got(""));
	CU_ASSERT(told(&c, "stream.ttl_fell"));
	core_send(&c, &(struct spec){ DATA("good"), .seq = 101, LEAVES(64) });
	CU_ASSERT(got("good"));
	CU_ASSERT(told(&c, "stream.overlap_differs"));
	/* it did arrive */
	core_send(&c, &(struct spec){ DATA("more"), .seq = 105, LEAVES(1) });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 109, .ttl = 30, .fflags = FRAME_ENTERING });
	CU_ASSERT(got("goodmore"));
	core_send(&c, &(struct spec){ .flags = TCP_ACK | TCP_FIN, .seq = 109, .ack = 701, LEAVES(1) });
	core_send(&c, &(struct spec){ .flags = TCP_RST, .seq = 109, LEAVES(1) });
	core_send(&c, &(struct spec){ DATA("!"), .seq = 109, LEAVES(64) });
	CU_ASSERT(got("goodmore!"));
	core_close(&c);
}

static void test_ttl_held(void)
{
	struct core c = { 0 };

	begin_leaving(&c);
	CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ DATA("evil"), .seq = 101, LEAVES(9), .held = true }), VERDICT_DROP);
	CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ DATA("good"), .seq = 101, LEAVES(64), .held = true }), VERDICT_ALLOW);
	CU_ASSERT(got("good"));
	core_close(&c);
}

/* Routes of others change, and what has come to its workload has arrived. */
static void test_ttl_arriving(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_handshake(&c, 100, 700);
	core_speak(&c, &proto_toy);
	core_send(&c, &(struct spec){ DATA("good"), .seq = 101, .ttl = 1, .fflags = FRAME_ENTERING, .held = true });
	CU_ASSERT(got("good"));
	CU_ASSERT_EQUAL(c.told[EV_ANOMALY], 0);
	core_close(&c);
}

static void test_urgent_told(void)
{
	struct core c = { 0 };

	begin(&c);
	core_send(&c, &(struct spec){ .flags = TCP_ACK | TCP_URG, .seq = 101, .ack = 701, .urg = 3, .p = "goXod", .n = 5 });
	CU_ASSERT(got("good"));
	CU_ASSERT(told(&c, "stream.urgent"));
	core_close(&c);
}

/* Bytes without a handshake that their receiver answers with a reset, or that a true SYN shows to be none. */
static void test_not_a_connection(void)
{
	for (int reset = 0; reset < 2; reset++) {
		struct core c = { 0 };

		core_open(&c, NULL);
		core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 5000, .ack = 9000, .p = "evil", .n = 4 });
		CU_ASSERT_EQUAL(c.told[EV_ANOMALY], 0);
		if (reset)
			core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_RST, .seq = 9000 });
		else
			core_handshake(&c, 100, 700);
		CU_ASSERT(told(&c, "stream.not_a_connection"));
		core_close(&c);
	}
}

/* A connection that was there before, and is reset later: nothing odd. */
static void test_midstream_reset(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 5000, .ack = 9000, .p = "good", .n = 4 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 9000, .ack = 5004, .p = "well", .n = 4 });
	core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_RST, .seq = 9004 });
	CU_ASSERT_EQUAL(c.told[EV_ANOMALY], 0);
	CU_ASSERT_EQUAL(core_flow(&c)->state, FLOW_CLOSED);
	core_close(&c);
}

/* While the protocol is sought, bytes that were taken are there to be compared. */
static void test_overlap_while_seeking(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_handshake(&c, 100, 700);
	core_send(&c, &(struct spec){ DATA("GET /good"), .seq = 101 });
	CU_ASSERT_EQUAL(core_flow(&c)->feed, FEED_SEEK);
	core_send(&c, &(struct spec){ DATA("/good HT"), .seq = 105 });
	CU_ASSERT_EQUAL(c.told[EV_ANOMALY], 0);
	CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ DATA("/evil HT"), .seq = 105, .held = true }), VERDICT_DROP);
	CU_ASSERT(told(&c, "stream.overlap_differs"));
	core_close(&c);
}

/* A FIN takes a place, but no byte: bytes behind it are not those before it. */
static void test_bytes_behind_fin(void)
{
	struct core c = { 0 };

	core_open(&c, NULL);
	core_handshake(&c, 100, 700);
	core_send(&c, &(struct spec){ .flags = TCP_ACK | TCP_FIN, .seq = 101, .ack = 701, .p = "GET /good", .n = 9 });
	core_send(&c, &(struct spec){ DATA("GET /good HT"), .seq = 101, .held = true });
	CU_ASSERT_EQUAL(c.told[EV_ANOMALY], 0);
	core_close(&c);
}

/* A bare FIN at a closed window: older kernels throw it away, and read what comes in its place later. Held, that goes no further. */
static void test_behind_fin_held(void)
{
	for (unsigned held = 0; held < 2; held++) {
		struct core c = { 0 };

		core_open(&c, NULL);
		core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100, .held = held });
		core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .win = 4, .held = held });
		core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .held = held });
		core_speak(&c, &proto_toy);
		core_send(&c, &(struct spec){ DATA("good"), .seq = 101, .held = held });
		core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 105, .win0 = true, .held = held });
		core_send(&c, &(struct spec){ .flags = TCP_ACK | TCP_FIN, .seq = 105, .ack = 701, .held = held });
		core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_ACK, .seq = 701, .ack = 105, .win = 100, .held = held });
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ DATA("evil"), .seq = 105, .held = held }), held ? VERDICT_DROP : VERDICT_ALLOW);
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ DATA("odevil"), .seq = 103, .held = held }), held ? VERDICT_DROP : VERDICT_ALLOW);
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ DATA("good"), .seq = 101, .held = held }), VERDICT_ALLOW);	/* sent again, and so with its FIN */
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .flags = TCP_ACK | TCP_FIN, .seq = 101, .ack = 701, .p = "good", .n = 4, .held = held }), VERDICT_ALLOW);
		CU_ASSERT(got("good"));
		core_close(&c);
	}
}

/* A request in segments of a byte is recognised. */
static void test_one_byte_segments(void)
{
	static const char text[] = "GET /one-byte-at-a-time HTTP/1.1\r\nHost: a\r\n\r\n";
	struct core c = { 0 };

	core_open(&c, NULL);
	core_handshake(&c, 100, 700);
	for (uint32_t i = 0; text[i]; i++)
		core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101 + i, .ack = 701, .p = text + i, .n = 1 });
	CU_ASSERT_EQUAL(core_flow(&c)->app, APP_HTTP);
	core_close(&c);
}

/* Of one kind so many a second; the next that is told says how many were not, and each is counted. */
static void test_left_out(void)
{
	const struct dpi_conf conf = { .max_flows = 1024, .memcap = 64 << 20, .midstream = true };
	struct core c = { 0 };

	core_open(&c, &conf);
	for (uint16_t i = 0; i < 150; i++) {
		uint16_t port = (uint16_t)(2000 + i);

		core_send(&c, &(struct spec){ .sport = port, .flags = TCP_ACK, .seq = 5000, .ack = 9000, .p = "evil", .n = 4 });
		core_send(&c, &(struct spec){ .sport = port, .dir = DOWN, .flags = TCP_RST, .seq = 9000 });
	}
	CU_ASSERT_EQUAL(c.told[EV_ANOMALY], ANOMALIES_A_SECOND);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_ANOM_STREAM_UNKNOWN), 150);
	CU_ASSERT_EQUAL(core_counter(&c, DPI_C_ANOMALIES_LEFT_OUT), 150 - ANOMALIES_A_SECOND);
	c.now += 2 * SEC;
	core_send(&c, &(struct spec){ .sport = 3000, .flags = TCP_ACK, .seq = 5000, .ack = 9000, .p = "evil", .n = 4 });
	core_send(&c, &(struct spec){ .sport = 3000, .dir = DOWN, .flags = TCP_RST, .seq = 9000 });
	CU_ASSERT(told(&c, "\"left_out\":50"));
	core_close(&c);
}

/* Too old by its timestamp: a receiver that began by a SYN cookie may use none. Held, its bytes go no further. */
static void test_old_by_its_time(void)
{
	for (unsigned held = 0; held < 2; held++) {
		struct core c = { 0 };

		core_open(&c, NULL);
		core_send(&c, &(struct spec){ .flags = TCP_SYN, .seq = 100, .ts = true, .tsval = 1000, .held = held });
		core_send(&c, &(struct spec){ .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101, .ts = true, .tsval = 5000, .tsecr = 1000, .held = held });
		core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .held = held });
		core_speak(&c, &proto_toy);
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ DATA("evil"), .seq = 101, .ts = true, .tsval = 900, .held = held }), held ? VERDICT_DROP : VERDICT_ALLOW);
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ .flags = TCP_ACK, .seq = 101, .ack = 701, .ts = true, .tsval = 900, .held = held }), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(core_send(&c, &(struct spec){ DATA("good"), .seq = 101, .ts = true, .tsval = 1001, .held = held }), VERDICT_ALLOW);
		CU_ASSERT(got("good"));
		core_close(&c);
	}
}

const struct unit_test tests_evasion[] = {
	{ "signatures", test_signature },
	{ "signed from the SYN on", test_signed_from_the_syn },
	{ "old by its timestamp", test_old_by_its_time },
	{ "hops to live", test_ttl },
	{ "hops to live, held", test_ttl_held },
	{ "hops to live of what arrives", test_ttl_arriving },
	{ "urgent byte", test_urgent_told },
	{ "not a connection", test_not_a_connection },
	{ "reset of a connection that was there before", test_midstream_reset },
	{ "overlap while the protocol is sought", test_overlap_while_seeking },
	{ "bytes behind a FIN", test_bytes_behind_fin },
	{ "bytes behind a FIN, held", test_behind_fin_held },
	{ "one-byte segments", test_one_byte_segments },
	{ "anomalies that are left out", test_left_out },
	{ NULL, NULL },
};
