/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nats: lines of both sides, payloads passed by, bytes that lie. */
#include "tests/unit/dpi/probes.h"

#define INFO "INFO {\"server_id\":\"N1\",\"version\":\"2.9\",\"x\":{\"user\":\"no\"}} \r\n"
#define INFO_TOLD "nats {'operation':'INFO','server_id':'N1','version':'2.9'}\n"
#define T(op, more) "nats {'operation':'" op "'" more "}\n"

static const struct flowtest ft = { .dport = 7000 };

static void test_lines(void)
{
	static const struct vector rows[] = {
		{ "all of them", { STEP_DOWN(INFO), STEP_UP("CONNECT {\"verbose\":false,\"list\":[\"user\"],\"user\":\"bob\",\"pass\":\"s\",\"name\":\"n\\\"q\",\"lang\":\"go\"}\r\nPING\r\n"),
		  STEP_DOWN("PONG\r\n"), STEP_UP("SUB a.* 1\r\nSUB a.b q 2\r\nPUB a.b 11\r\nPUB x 1\r\nHI\r\npub a.b r.1 2\r\nHI\r\nHPUB h 12 14\r\nNATS/1.0\r\n\r\nHI\r\nUNSUB 1 5\r\n"),
		  STEP_DOWN("MSG a.b 1 2\r\nHI\r\nMSG a.b 1 r.1 0\r\n\r\nHMSG h 1 12 14\r\nNATS/1.0\r\n\r\nHI\r\n+OK\r\n-ERR Authorization Violation\r\n") },
		  INFO_TOLD T("CONNECT", ",'user':'bob','name':'n\\'q','lang':'go'") T("SUB", ",'subject':'a.*'") T("SUB", ",'subject':'a.b','queue_group':'q'")
		  T("PUB", ",'subject':'a.b','size':11") T("PUB", ",'subject':'a.b','reply_to':'r.1','size':2") T("HPUB", ",'subject':'h','size':14")
		  T("MSG", ",'subject':'a.b','size':2") T("MSG", ",'subject':'a.b','reply_to':'r.1','size':0") T("HMSG", ",'subject':'h','size':14")
		  T("-ERR", ",'error':'Authorization Violation'"), 0 },
		{ "escapes, the last of several", { STEP_DOWN(INFO), STEP_UP("CONNECT {\"verbose\":false,\"user\":\"eve\",\"us\\u0065r\":\"b\\u006fb\",\"lang\":\"\\/\\u00e9\\ud83d\\ude00\\u12\\\"}\r\n") },
		  INFO_TOLD T("CONNECT", ",'user':'bob'"), 0 },
		{ "text with escapes", { STEP_DOWN(INFO), STEP_UP("CONNECT {\"verbose\":false,\"lang\":\"\\/\\u00e9\\ud83d\\ude00\\ud800.\\u12\"}\r\n") },
		  INFO_TOLD T("CONNECT", ",'lang':'/\xc3\xa9\xf0\x9f\x98\x80\xed\xa0\x80.u12'"), 0 },
		{ "no such line", { STEP_DOWN(INFO), STEP_UP("FOO bar\r\n") }, INFO_TOLD ANOMALY("nats.bad_line"), 1 },
		{ "a size that is none", { STEP_DOWN(INFO), STEP_UP("PUB a 99999999999999999999\r\n") }, INFO_TOLD ANOMALY("nats.bad_line"), 1 },
		{ "headers longer than the message", { STEP_DOWN(INFO), STEP_UP("HPUB a 12 4\r\n") }, INFO_TOLD ANOMALY("nats.bad_line"), 1 },
		{ "a legal size and nothing more", { STEP_DOWN(INFO), STEP_UP("PUB a 1000000\r\nHI") }, INFO_TOLD T("PUB", ",'subject':'a','size':1000000"), 0 },
	};

	VECTORS_RUN(&ft, APP_NATS, rows);
	vectors_hostile(&ft, &rows[0]);
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		DOWN(INFO, PROBE_YES), UP("CONNECT {\"verbose\":false}\r\n", PROBE_YES), UP("CONNECT {}\r\n", PROBE_NO), UP("CONNECT a:443 HTTP/1.1\r\n", PROBE_NO),
		UP("INFO\r\n", PROBE_NO), DOWN("INFO {\"a\":1}\r\n", PROBE_NO), MID_UP("PUB a 2\r\nHI\r\n", PROBE_YES), UP("PUB a 2\r\nHI\r\n", PROBE_NO),
		MID_DOWN("MSG a 1 2\r\nHI\r\n", PROBE_YES), MID_DOWN("MSG a 1 2\r\nHI..", PROBE_NO), MID_UP("PUB a\r\n", PROBE_NO), MID_UP("PING\r\n", PROBE_NO),
	};

	PROBES(&proto_nats, "nats", rows);
	probe_grows(&proto_nats, DIR_TOCLIENT, INFO, sizeof(INFO) - 1);
}

const struct unit_test tests_nats[] = {
	{ "lines, however cut", test_lines },
	{ "what is nats and what is not", test_recognition },
	{ NULL, NULL },
};
