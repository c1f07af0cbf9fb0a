/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pulsar: commands, payloads passed by, bytes that lie. */
#include "tests/unit/dpi/probes.h"

#define CONNECT "\000\000\000 \000\000\000\034\010\002\022\030\n\010Client-1 \017*\005token:\003bob"
#define CONNECTED "\000\000\000\020\000\000\000\014\010\003\032\010\n\006Server"
#define SUBSCRIBE "\000\000\000\022\000\000\000\016\010\004\042\n\n\002t1\022\002s1\030\001"
#define PRODUCER "\000\000\000\014\000\000\000\010\010\005*\004\n\002t2"
#define SEND "\000\000\000\023\000\000\000\010\010\0062\004\010\001\020\002PAYLOAD"
#define LOOKUP "\000\000\000\r\000\000\000\011\010\027\272\001\004\n\002t3"
#define ERROR "\000\000\000\020\000\000\000\014\010\016r\010\010\001\020\002\032\002no"
#define CONNECT_TOLD "pulsar {'operation':'CONNECT','version':'Client-1','auth_method':'token','user':'bob'}\n"

static const struct flowtest ft = { .dport = 7000 };

static void test_commands(void)
{
	static const struct vector rows[] = {
		{ "a consumer and a producer", { STEP_UP(CONNECT), STEP_DOWN(CONNECTED), STEP_UP(SUBSCRIBE PRODUCER SEND LOOKUP), STEP_DOWN(ERROR) },
		  CONNECT_TOLD "pulsar {'operation':'CONNECTED','version':'Server'}\npulsar {'operation':'SUBSCRIBE','topic':'t1','subscription':'s1'}\n"
		  "pulsar {'operation':'PRODUCER','topic':'t2'}\npulsar {'operation':'LOOKUP','topic':'t3'}\npulsar {'operation':'ERROR','error':'no'}\n", 0 },
		{ "a command longer than its frame", { STEP_UP(CONNECT "\0\0\0\x06\0\0\0\x09\x08\x12") }, CONNECT_TOLD ANOMALY("pulsar.bad_frame"), 1 },
		{ "a string past its command", { STEP_UP(CONNECT "\0\0\0\x0a\0\0\0\6\x08\5\x2a\2\x0a\x7f") }, CONNECT_TOLD ANOMALY("pulsar.bad_command"), 1 },
		{ "no type", { STEP_UP(CONNECT "\0\0\0\x0a\0\0\0\6\x12\4\x0a\2ab") }, CONNECT_TOLD ANOMALY("pulsar.bad_command"), 1 },
	};

	VECTORS_RUN(&ft, APP_PULSAR, rows);
	vectors_hostile(&ft, &rows[0]);
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = { UP(CONNECT, PROBE_YES), DOWN(CONNECTED, PROBE_NO), UP(SUBSCRIBE, PROBE_NO), UP("\0\0\0\x0a\0\0\0\6\x08\2\x12\2\x0a\0", PROBE_NO) };

	PROBES(&proto_pulsar, NULL, rows);
	probe_grows(&proto_pulsar, DIR_TOSERVER, CONNECT, sizeof(CONNECT) - 1);
}

const struct unit_test tests_pulsar[] = {
	{ "commands, however cut", test_commands },
	{ "what is pulsar and what is not", test_recognition },
	{ NULL, NULL },
};
