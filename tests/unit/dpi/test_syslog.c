/* SPDX-License-Identifier: GPL-2.0-or-later */
/* syslog: both forms, over UDP and in both framings of TCP. */
#include "tests/unit/dpi/probes.h"

#define OLD "<34>Oct 11 22:14:15 mymachine su[7]: 'su root' failed"
#define OLD_TOLD "syslog {'facility':'auth','severity':'crit','hostname':'mymachine','program':'su'}\n"
#define NEW "<165>1 2003-10-11T22:14:15.003Z host.example evntslog - ID47 - text"
#define NEW_TOLD "syslog {'facility':'local4','severity':'notice','hostname':'host.example','program':'evntslog'}\n"

static const struct flowtest ft = { .dport = 7000 }, udp = { .dport = 7000, .udp = true };

static void test_messages(void)
{
	static const struct vector datagrams[] = {
		{ "both forms", { STEP_UP(OLD), STEP_UP(NEW), STEP_UP("<13>1 - - - - - -"), STEP_UP("<13>tag: text") },
		  OLD_TOLD NEW_TOLD "syslog {'facility':'user','severity':'notice'}\nsyslog {'facility':'user','severity':'notice','program':'tag'}\n", 0 },
		{ "no priority", { STEP_UP(OLD), STEP_UP("hello"), STEP_UP(NEW) }, OLD_TOLD ANOMALY("syslog.bad_message") NEW_TOLD, 0 },
	};
	static const struct vector streams[] = {
		{ "lines", { STEP_UP(OLD "\n" NEW "\n") }, OLD_TOLD NEW_TOLD, 0 },
		{ "lengths", { STEP_UP("67 " NEW "53 " OLD) }, NEW_TOLD OLD_TOLD, 0 },
		{ "a length that is none", { STEP_UP("67 " NEW "x3 ") }, NEW_TOLD ANOMALY("syslog.bad_length"), 1 },
		{ "a priority that is none", { STEP_UP(OLD "\n<999>x\n") }, OLD_TOLD ANOMALY("syslog.bad_message"), 1 },
	};

	VECTORS_RUN(&udp, APP_SYSLOG, datagrams);
	VECTORS_RUN(&ft, APP_SYSLOG, streams);
	vectors_hostile(&ft, &streams[1]);
}

static enum probe datagram(const char *text)
{
	struct probe_in in = { .l4 = PROTO_UDP, .now = DIR_TOSERVER, .sport = 40000, .dport = 7000 };

	in.dir[DIR_TOSERVER] = cur_of(text, strlen(text));
	return proto_syslog.probe(&in);
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		UP(OLD "\n", PROBE_YES), UP("67 " NEW, PROBE_YES), UP("<13>tag: a longer text without a time\n", PROBE_NO), UP("<html><body>", PROBE_NO), UP("<192>1 2003-10-11T22:14:15Z a b\n", PROBE_NO), DOWN(OLD "\n", PROBE_NO),
	};

	PROBES(&proto_syslog, NULL, rows);
	probe_grows(&proto_syslog, DIR_TOSERVER, NEW, 22);
	CU_ASSERT_EQUAL(datagram("<13>tag: text"), PROBE_YES);
	CU_ASSERT_EQUAL(datagram("<13>"), PROBE_NO);
	CU_ASSERT_EQUAL(datagram("<13><a>text text</a>"), PROBE_NO);
	CU_ASSERT_EQUAL(datagram("<13>\x01\x02\x03 text"), PROBE_NO);
	CU_ASSERT_EQUAL(datagram("<1300>tag: text"), PROBE_NO);
}

const struct unit_test tests_syslog[] = {
	{ "messages, however cut", test_messages },
	{ "what is syslog and what is not", test_recognition },
	{ NULL, NULL },
};
