/* SPDX-License-Identifier: GPL-2.0-or-later */
/* openwire: the first command, loose and tight destinations, messages passed by. */
#include "tests/unit/dpi/probes.h"

#define FORMAT "\0\0\0\x28\1ActiveMQ\0\0\0\x0c\1\0\0\0\x16\0\0\0\1\0\x0cProviderName\x09\0\1P"
#define FORMAT_TOLD "openwire {'operation':'WireFormatInfo','version':12,'provider':'P'}\n"

static const struct flowtest ft = { .dport = 7000 };

static void test_commands(void)
{
	static const struct vector rows[] = {
		{ "a producer", { STEP_UP(FORMAT), STEP_DOWN(FORMAT), STEP_UP("\0\0\0\x10\5\0\0\0\2\1\x7a\1\x65\1\0\4news" "\0\0\0\x0d\6\0\0\0\3\1\x64\0\4" "jobs"),
		  STEP_DOWN("\0\0\0\x0a\x1e\0\0\0\0\0\0\0\0\1"), STEP_UP("\0\0\0\x02\x0b\0") },
		  FORMAT_TOLD FORMAT_TOLD "openwire {'operation':'ConsumerInfo','destination_kind':'topic','destination':'news'}\n"
		  "openwire {'operation':'ProducerInfo','destination_kind':'queue','destination':'jobs'}\nopenwire {'operation':'ShutdownInfo'}\n", 0 },
		{ "no size", { STEP_UP(FORMAT "\0\0\0\0\5") }, FORMAT_TOLD ANOMALY("openwire.bad_size"), 1 },
		{ "a size past all bounds", { STEP_UP(FORMAT "\x7f\0\0\0\5") }, FORMAT_TOLD ANOMALY("openwire.bad_size"), 1 },
	};

	VECTORS_RUN(&ft, APP_OPENWIRE, rows);
	vectors_hostile(&ft, &rows[0]);
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
	{ "a long message", test_long },
	{ "what is openwire and what is not", test_recognition },
	{ NULL, NULL },
};
