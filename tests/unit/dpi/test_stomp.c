/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stomp: frames of both sides, bodies with and without a length, bytes that lie. */
#include "tests/unit/dpi/probes.h"

#define CONNECT "CONNECT\naccept-version:1.2\nhost:vh\nlogin:bob\npasscode:s\n\n\0"
#define T(op, more) "stomp {'operation':'" op "'" more "}\n"
#define CONNECT_TOLD T("CONNECT", ",'version':'1.2','host':'vh','user':'bob'")

static const struct flowtest ft = { .dport = 7000 };

static void test_frames(void)
{
	static const struct vector rows[] = {
		{ "a conversation", { STEP_UP(CONNECT), STEP_DOWN("CONNECTED\r\nversion:1.2\r\nserver:x/1\r\n\r\n\0\n\n"),
		  STEP_UP("SEND\ndestination:/queue/a\ncontent-length:5\n\nA\0\n\nB\0\nSUBSCRIBE\nid:0\ndestination:/topic/b\n\n\0\n"),
		  STEP_DOWN("message\ndestination:/topic/b\nid:7\n\nhello\n\n\0RECEIPT\nreceipt-id:1\n\n\0ERROR\nmessage:no such\n\nlong\0"), STEP_UP("\n\nDISCONNECT\n\n\0") },
		  CONNECT_TOLD T("CONNECTED", ",'version':'1.2','server':'x/1'") T("SEND", ",'destination':'/queue/a'") T("SUBSCRIBE", ",'id':'0','destination':'/topic/b'")
		  T("MESSAGE", ",'destination':'/topic/b','id':'7'") T("ERROR", ",'message':'no such'") T("DISCONNECT", ""), 0 },
		{ "no such command", { STEP_UP(CONNECT "FOO\na:b\n\n\0") }, CONNECT_TOLD ANOMALY("stomp.bad_frame"), 1 },
		{ "a header without a colon", { STEP_UP(CONNECT "SEND\nab\n\n\0") }, CONNECT_TOLD ANOMALY("stomp.bad_frame"), 1 },
		{ "a length past all bounds", { STEP_UP(CONNECT "SEND\ncontent-length:999999999999999999\n\nX") }, CONNECT_TOLD T("SEND", ""), 0 },
	};

	VECTORS_RUN(&ft, APP_STOMP, rows);
	vectors_hostile(&ft, &rows[0]);
}

static void test_endless(void)
{
	static char head[40000];
	const struct flowtest_step s[] = { STEP_UP(CONNECT "SEND\n"), { DIR_TOSERVER, head, sizeof(head) } };

	memset(head, 'a', sizeof(head));
	for (unsigned i = 0; i < 3; i++) {
		struct flowtest_result r = flowtest_run(&(struct flowtest){ .dport = 61613, .cut = i * 77 }, s, 2);

		CU_ASSERT_TRUE(told_same("an endless head", r.text, CONNECT_TOLD ANOMALY("stomp.head_too_long")));
		flowtest_free(&r);
	}
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		UP(CONNECT, PROBE_YES), UP("STOMP\r\nhost:a\r\n", PROBE_YES), UP("CONNECT\n\n", PROBE_NO), UP("CONNECT a:443 HTTP/1.1\r\n", PROBE_NO), UP("SEND\ndestination:a\n", PROBE_NO),
		MID_UP("SEND\ndestination:a\n", PROBE_YES), MID_DOWN("MESSAGE\nsubscription:a\n", PROBE_YES), DOWN("CONNECTED\nversion:1\n", PROBE_NO), UP("CONNECT\nhello there:x\n", PROBE_NO),
	};

	PROBES(&proto_stomp, "stomp", rows);
	probe_grows(&proto_stomp, DIR_TOSERVER, "CONNECT\nhost:a\n", 15);
}

const struct unit_test tests_stomp[] = {
	{ "frames, however cut", test_frames },
	{ "a head without an end", test_endless },
	{ "what is stomp and what is not", test_recognition },
	{ NULL, NULL },
};
