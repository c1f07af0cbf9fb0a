/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rocketmq: headers in JSON and binary, bodies passed by, bytes that lie. */
#include "tests/unit/dpi/probes.h"

#define SEND "\000\000\000}\000\000\000u{\042code\042:310,\042extFields\042:{\042a\042:\042grp\042,\042b\042:\042top\042,\042x\042:{\042topic\042:\042no\042}},\042flag\042:0,\042language\042:\042JAVA\042,\042opaque\042:7,\042version\042:399}BODY"
#define OK "\000\000\0004\000\000\0000{\042code\042:0,\042flag\042:1,\042language\042:\042JAVA\042,\042opaque\042:7}"
#define REFUSED "\000\000\000I\000\000\000E{\042code\042:17,\042flag\042:1,\042language\042:\042JAVA\042,\042opaque\042:8,\042remark\042:\042no topic\042}"
#define BINARY "\000\000\000)\001\000\000\043\000\013\000\001\217\000\000\000\001\000\000\000\000\000\000\000\000\000\000\000\016\000\005topic\000\000\000\003binxy"
#define SEND_TOLD "rocketmq {'operation':'SEND_MESSAGE_V2','code':310,'topic':'top','group':'grp','language':'JAVA'}\n"

static const struct flowtest ft = { .dport = 7000 };

static void test_frames(void)
{
	static const struct vector rows[] = {
		{ "send and answer", { STEP_UP(SEND), STEP_DOWN(OK REFUSED), STEP_UP(BINARY SEND) }, SEND_TOLD "rocketmq {'operation':'response','code':17,'remark':'no topic','language':'JAVA'}\n"
		  "rocketmq {'operation':'PULL_MESSAGE','code':11,'topic':'bin'}\n" SEND_TOLD, 0 },
		{ "a header longer than its frame", { STEP_UP(SEND "\0\0\0\x10\0\0\1\0") }, SEND_TOLD ANOMALY("rocketmq.bad_frame"), 1 },
		{ "not JSON", { STEP_UP(SEND "\0\0\0\x08\0\0\0\4abcd") }, SEND_TOLD ANOMALY("rocketmq.bad_header"), 1 },
	};

	VECTORS_RUN(&ft, APP_ROCKETMQ, rows);
	vectors_hostile(&ft, &rows[0]);
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = { UP(SEND, PROBE_YES), DOWN(OK, PROBE_NO), MID_DOWN(OK, PROBE_YES), UP("\0\0\0\x40\0\0\0\x30<xml>", PROBE_NO), UP("\0\0\0\x40\0\0\0\x50{", PROBE_NO) };

	PROBES(&proto_rocketmq, NULL, rows);
	probe_grows(&proto_rocketmq, DIR_TOSERVER, SEND, sizeof(SEND) - 1 - 4);
}

const struct unit_test tests_rocketmq[] = {
	{ "frames, however cut", test_frames },
	{ "what is rocketmq and what is not", test_recognition },
	{ NULL, NULL },
};
