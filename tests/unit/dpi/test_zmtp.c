/* SPDX-License-Identifier: GPL-2.0-or-later */
/* zmtp: greetings, commands, subscriptions both ways, messages passed by. */
#include "tests/unit/dpi/probes.h"

#define Z8 "\0\0\0\0\0\0\0\0"
#define GREETING(mechanism, pad) "\xff\0\0\0\0\0\0\0\1\x7f\3\0" mechanism pad "\0" Z8 Z8 Z8 "\0\0\0\0\0\0\0"
#define NULL_GREETING GREETING("NULL", Z8 Z8)
#define PLAIN_GREETING GREETING("PLAIN", Z8 "\0\0\0\0\0\0\0")
#define G(m) "zmtp {'operation':'greeting','version':'3.0','mechanism':'" m "'}\n"
#define READY(n, type) "\4" n "\5READY\x0bSocket-Type\0\0\0\3" type
#define READY_TOLD(type) "zmtp {'operation':'READY','socket_type':'" type "'}\n"

static const struct flowtest ft = { .dport = 7000 };

static void test_conversations(void)
{
	static const struct vector rows[] = {
		{ "subscriptions", { STEP_UP(NULL_GREETING), STEP_DOWN(NULL_GREETING READY("\x19", "PUB")), STEP_UP(READY("\x19", "SUB") "\0\4\1abc\0\2\0x\4\x0e\x09SUBSCRIBEnews"),
		  STEP_DOWN("\1\3abc\2\0\0\0\0\0\0\0\5hello\0\3xyz\4\7\4PINGab") },
		  G("NULL") G("NULL") READY_TOLD("PUB") READY_TOLD("SUB") "zmtp {'operation':'SUBSCRIBE','topic':'abc'}\nzmtp {'operation':'CANCEL','topic':'x'}\n"
		  "zmtp {'operation':'SUBSCRIBE','topic':'news'}\n", 0 },
		{ "PLAIN refused", { STEP_UP(PLAIN_GREETING), STEP_DOWN(PLAIN_GREETING), STEP_UP("\4\x0d\5HELLO\3bob\2pw"), STEP_DOWN("\4\x0a\5ERROR\3" "300") },
		  G("PLAIN") G("PLAIN") "zmtp {'operation':'HELLO','user':'bob'}\nzmtp {'operation':'ERROR','error':'300'}\n", 0 },
		{ "no such flags", { STEP_UP(NULL_GREETING "\x08\1x") }, G("NULL") ANOMALY("zmtp.bad_frame"), 1 },
		{ "a command past all bounds", { STEP_UP(NULL_GREETING "\6\0\0\0\0\1\0\0\0") }, G("NULL") ANOMALY("zmtp.bad_frame"), 1 },
		{ "a name past its command", { STEP_UP(NULL_GREETING "\4\2\5R") }, G("NULL") ANOMALY("zmtp.bad_command"), 1 },
		{ "2.0 is told and left", { STEP_UP("\xff\0\0\0\0\0\0\0\1\x7f\1\2\0\0") }, "zmtp {'operation':'greeting','version':'2.0'}\n", 0 },
	};

	VECTORS_RUN(&ft, APP_ZMTP, rows);
	vectors_hostile(&ft, &rows[0]);
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		UP(NULL_GREETING, PROBE_YES), DOWN(NULL_GREETING, PROBE_YES), UP("\xff\0\0\0\0\0\0\0\1\x7e", PROBE_NO), UP("\xff\0\1", PROBE_NO), DOWN("\xff\xfd\x18", PROBE_NO), UP("\xff\0\0\0\0\0\0\0\1\x7f\x09", PROBE_NO),
	};

	PROBES(&proto_zmtp, "zmtp", rows);
	probe_grows(&proto_zmtp, DIR_TOSERVER, NULL_GREETING, 10);
}

const struct unit_test tests_zmtp[] = {
	{ "conversations, however cut", test_conversations },
	{ "what is zmtp and what is not", test_recognition },
	{ NULL, NULL },
};
