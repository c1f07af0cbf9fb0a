/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sip and rtsp: messages over UDP and TCP, bodies passed by, interleaved data, bytes that lie. */
#include "tests/unit/dpi/probes.h"

#define INVITE "INVITE sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@a>;tag=1\r\nt: <sip:bob@b.example>\r\ni: 77\r\nCSeq: 1 INVITE\r\nl: 6\r\n\r\nv=0\r\n\r"
#define INVITE_TOLD "sip {'method':'INVITE','uri':'sip:bob@b.example','from':'<sip:a@a>;tag=1','to':'<sip:bob@b.example>','call_id':'77'}\n"
#define OK "SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\nCall-ID: 77\r\nContent-Length: 0\r\n\r\n"
#define OK_TOLD "sip {'method':'INVITE','code':'200','call_id':'77'}\n"
#define SETUP "SETUP rtsp://a/1 RTSP/1.0\r\nCSeq: 2\r\nAuthorization: Digest username=\"bob\", realm=\"r\"\r\n\r\n"
#define SETUP_TOLD "rtsp {'operation':'SETUP','uri':'rtsp://a/1','user':'bob'}\n"

static const struct flowtest ft = { .dport = 7000 }, udp = { .dport = 7000, .udp = true };

static void test_messages(void)
{
	static const struct vector rows[] = {
		{ "call and answer", { STEP_UP(INVITE), STEP_DOWN(OK), STEP_UP("\r\n\r\n"), STEP_UP(INVITE) }, INVITE_TOLD OK_TOLD INVITE_TOLD, 0 },
	};
	static const struct vector tcp[] = {
		{ "two in one", { STEP_UP(INVITE INVITE "\r\n\r\n"), STEP_DOWN("\r\n" OK OK) }, INVITE_TOLD INVITE_TOLD OK_TOLD OK_TOLD, 0 },
		{ "not a message", { STEP_UP(INVITE), STEP_DOWN("HTTP/1.1 200 OK\r\n\r\n") }, INVITE_TOLD ANOMALY("sip.bad_message"), 1 },
	};

	VECTORS_RUN(&udp, APP_SIP, rows);
	VECTORS_RUN(&ft, APP_SIP, rows);
	VECTORS_RUN(&ft, APP_SIP, tcp);
	vectors_hostile(&ft, &tcp[0]);
}

static void test_rtsp(void)
{
	static const struct vector rows[] = {
		{ "setup, interleaved", { STEP_UP(SETUP), STEP_DOWN("RTSP/1.0 200 OK\r\nSession: 9\r\nContent-Length: 2\r\n\r\nhi$\0\0\3abc$\1\0\0"), STEP_UP("$\0\0\1x" SETUP) },
		  SETUP_TOLD "rtsp {'operation':'response','code':200,'session':'9'}\n" SETUP_TOLD, 0 },
		{ "not a message", { STEP_UP(SETUP "GET / HTTP/1.0\r\n\r\n") }, SETUP_TOLD ANOMALY("rtsp.bad_message"), 1 },
	};

	VECTORS_RUN(&ft, APP_RTSP, rows);
	vectors_hostile(&ft, &rows[0]);
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		UP(INVITE, PROBE_YES), MID_DOWN(OK, PROBE_YES), DOWN(OK, PROBE_NO), UP("INVITE sip:a HTTP/1.1\r\n", PROBE_NO), UP("invite sip:a SIP/2.0\r\n", PROBE_NO),
		UP("SIP/2.0 999 x\r\n", PROBE_NO), UP("OPTIONS sip:a SIP/2.0 x\r\n", PROBE_NO), UP("SIP/x", PROBE_MORE),
	};
	static const struct probe_row rtsp[] = { UP(SETUP, PROBE_YES), UP(INVITE, PROBE_NO), MID_DOWN("RTSP/1.0 200 OK\r\n", PROBE_YES), UP("OPTIONS * HTTP/1.1\r\n", PROBE_NO) };

	PROBES(&proto_sip, "sip", rows);
	PROBES(&proto_rtsp, "rtsp", rtsp);
	probe_grows(&proto_sip, DIR_TOSERVER, "INVITE sip:a SIP/2.0\r\n", 22);
}

const struct unit_test tests_sip[] = {
	{ "messages, however cut", test_messages },
	{ "rtsp", test_rtsp },
	{ "what is sip and rtsp and what is not", test_recognition },
	{ NULL, NULL },
};
