/* SPDX-License-Identifier: GPL-2.0-or-later */
/* openwire: the first command, loose and tight destinations, messages passed by. */
#include "tests/unit/dpi/probes.h"

#define FORMAT "\0\0\0\x28\1ActiveMQ\0\0\0\x0c\1\0\0\0\x16\0\0\0\1\0\x0cProviderName\x09\0\1P"
#define FORMAT_TOLD "openwire {'operation':'WireFormatInfo','version':12,'provider':'P'}\n"

/* Tight, with a cache. A producer: a flag, its id is new, there, its text there and ASCII, one number of 2 bytes and one of none; a destination that is new. */
#define AGREED "\0\0\0\x50\1ActiveMQ\0\0\0\x0c\1\0\0\0\x3e\0\0\0\3\0\x0cProviderName\x09\0\1P\0\x0c" "CacheEnabled\1\1\0\x14TightEncodingEnabled\1\1"
#define PRODUCER(number, kind, name) "\0\0\0\x19\6\2\x5f\x1e\0\0\0\3\0\1\x7b\0\1c\0\7\0" number kind "\0\4" name
#define MESSAGE(number) "\0\0\0\x10\x1c\1\0\0\0\0\4\0\1\0" number "hello"
#define JOBS_TOLD "'destination_kind':'queue','destination':'jobs'}\n"

static const struct flowtest ft = { .dport = 7000 };

static void test_commands(void)
{
	static const struct vector rows[] = {
		{ "a producer", { STEP_UP(FORMAT), STEP_DOWN(FORMAT), STEP_UP("\0\0\0\x10\5\0\0\0\2\1\x7a\1\x65\1\0\4news" "\0\0\0\x0d\6\0\0\0\3\1\x64\0\4" "jobs"),
		  STEP_DOWN("\0\0\0\x0a\x1e\0\0\0\0\0\0\0\0\1"), STEP_UP("\0\0\0\x02\x0b\0") },
		  FORMAT_TOLD FORMAT_TOLD "openwire {'operation':'ConsumerInfo','destination_kind':'topic','destination':'news'}\n"
		  "openwire {'operation':'ProducerInfo','destination_kind':'queue','destination':'jobs'}\nopenwire {'operation':'ShutdownInfo'}\n", 0 },
		{ "what was said is a number later on, in its direction", { STEP_UP(AGREED), STEP_DOWN(AGREED), STEP_UP(PRODUCER("\2", "\x64", "jobs") MESSAGE("\2") MESSAGE("\3")),
		  STEP_DOWN(MESSAGE("\2")), STEP_UP(PRODUCER("\2", "\x65", "news") MESSAGE("\2")) },
		  FORMAT_TOLD FORMAT_TOLD "openwire {'operation':'ProducerInfo'," JOBS_TOLD "openwire {'operation':'ActiveMQTextMessage'," JOBS_TOLD
		  "openwire {'operation':'ActiveMQTextMessage'}\n" "openwire {'operation':'ActiveMQTextMessage'}\n"
		  "openwire {'operation':'ProducerInfo','destination_kind':'topic','destination':'news'}\n"
		  "openwire {'operation':'ActiveMQTextMessage','destination_kind':'topic','destination':'news'}\n", 0 },
		{ "a producer of any, and of what only an acknowledgement named", { STEP_UP(AGREED), STEP_DOWN(AGREED),
		  STEP_UP("\0\0\0\x0b\6\1\x04\0\0\0\3\0\1\0\2" "\0\0\0\x11\x16\1\x1e\0\0\0\3\0\2\x64\0\4jobs\0" MESSAGE("\2")) },
		  FORMAT_TOLD FORMAT_TOLD "openwire {'operation':'ProducerInfo'}\n" "openwire {'operation':'ActiveMQTextMessage'," JOBS_TOLD, 0 },
		{ "no size", { STEP_UP(FORMAT "\0\0\0\0\5") }, FORMAT_TOLD ANOMALY("openwire.bad_size"), 1 },
		{ "a size past all bounds", { STEP_UP(FORMAT "\x7f\0\0\0\5") }, FORMAT_TOLD ANOMALY("openwire.bad_size"), 1 },
	};

	VECTORS_RUN(&ft, APP_OPENWIRE, rows);
	vectors_hostile(&ft, &rows[0]);
	vectors_hostile(&ft, &rows[1]);
}

/* A cache of 16: the first of 17 is forgotten. */
static void test_forgotten(void)
{
	char up[4096] = AGREED, want[4096] = FORMAT_TOLD FORMAT_TOLD;
	size_t n = sizeof(AGREED) - 1, at = strlen(want);
	struct flowtest_result r;

	for (unsigned i = 0; i < 17; i++, n += 29) {
		memcpy(up + n, PRODUCER("\2", "\x64", "jobs"), 29);
		up[n + 21] = (char)i;
		up[n + 28] = (char)('a' + i);
		at += (size_t)snprintf(want + at, sizeof(want) - at, "openwire {'operation':'ProducerInfo','destination_kind':'queue','destination':'job%c'}\n", 'a' + i);
	}
	memcpy(up + n, MESSAGE("\0") MESSAGE("\1"), 40);
	snprintf(want + at, sizeof(want) - at, "openwire {'operation':'ActiveMQTextMessage'}\nopenwire {'operation':'ActiveMQTextMessage','destination_kind':'queue','destination':'jobb'}\n");
	r = flowtest_run(&ft, (const struct flowtest_step[]){ STEP_UP(AGREED), STEP_DOWN(AGREED), { DIR_TOSERVER, up + sizeof(AGREED) - 1, n + 40 - (sizeof(AGREED) - 1) } }, 3);
	CU_ASSERT_TRUE(told_same("seventeen", r.text, want));
	flowtest_free(&r);
}

static void test_long(void)
{
	static char text[500000];

	for (unsigned i = 0; i < 3; i++) {
		const struct flowtest_step s[] = { STEP_UP(FORMAT "\0\x07\xa1\x2b\x1c\0\0\0\2\1\x64\1\0\1q"), { DIR_TOSERVER, text, sizeof(text) }, STEP_UP("\0\0\0\x02\x0b\0") };
		struct flowtest_result r = flowtest_run(&(struct flowtest){ .dport = 61616, .cut = i * 700 }, s, 3);

		CU_ASSERT_TRUE(told_same("half a megabyte", r.text, FORMAT_TOLD "openwire {'operation':'ActiveMQTextMessage','destination_kind':'queue','destination':'q'}\n"
			"openwire {'operation':'ShutdownInfo'}\n"));
		flowtest_free(&r);
	}
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		UP(FORMAT, PROBE_YES), DOWN(FORMAT, PROBE_YES), MID_DOWN(FORMAT, PROBE_YES), UP("\0\0\0\x2d\2ActiveMQ", PROBE_NO), UP("\0\0\0\x2d\1ActiveMX", PROBE_NO), UP("\0\0\0\x05\1Acti", PROBE_NO),
	};

	PROBES(&proto_openwire, NULL, rows);
	probe_grows(&proto_openwire, DIR_TOSERVER, FORMAT, 13);
}

const struct unit_test tests_openwire[] = {
	{ "commands, however cut", test_commands },
	{ "destinations that are forgotten", test_forgotten },
	{ "a long message", test_long },
	{ "what is openwire and what is not", test_recognition },
	{ NULL, NULL },
};
