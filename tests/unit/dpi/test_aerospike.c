/* SPDX-License-Identifier: GPL-2.0-or-later */
/* aerospike: info, logins, messages with namespace, set and key, results. */
#include <stdio.h>

#include "tests/unit/dpi/vector.h"
#include "tests/unit/unit.h"

#define A(fields) "aerospike {'command':" fields "}\n"
#define INFO "\2\1\0\0\0\0\0\32node\12partition-generation\12"
#define INFO_OK "\2\1\0\0\0\0\0 node\11BB9\12partition-generation\0115\12"
#define READ "\2\3\0\0\0\0\0K\26\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\3\350\0\4\0\0\0\0\0\5\0test\0\0\0\6\1users\0\0\0\25\4ddddddd" \
	"ddddddddddddd\0\0\0\5\2\3bob"
#define READ_TOLD A("'read','namespace':'test','set':'users','key':'bob'")

static const struct flowtest ft = { .dport = 7000 };

static const struct vector talks[] = {
	{ "info and a read", { STEP_UP(INFO), STEP_DOWN(INFO_OK), STEP_UP(READ), STEP_DOWN("\2\3\0\0\0\0\0\26\26\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\3\350\0\0\0\0") }, A("'info','info':'node'") READ_TOLD, 0 },
	{ "not found", { STEP_UP(READ), STEP_DOWN("\2\3\0\0\0\0\0\26\26\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\3\350\0\0\0\0") }, A("'read','namespace':'test','set':'users','key':'bob','result':2"), 0 },
	{ "writes", { STEP_UP("\2\3\0\0\0\0\08\26\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\3\350\0\2\0\0\0\0\0\5\0test\0\0\0\25\4dddddddddddddddddddd\2"
		  "\3\0\0\0\0\08\26\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\3\350\0\2\0\0\0\0\0\5\0test\0\0\0\25\4dddddddddddddddddddd\2\3"
		  "\0\0\0\0\0-\26\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\3\350\0\3\0\0\0\0\0\5\0test\0\0\0\4\36mod\0\0\0\2\37f") },
	  A("'write','namespace':'test'") A("'delete','namespace':'test'") A("'udf','namespace':'test','udf':'mod'"), 0 },
	{ "login", { STEP_UP("\2\2\0\0\0\0\0#\0\0\24\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\6\0admin\0\0\0\5\3hash"), STEP_DOWN("\2\2\0\0\0\0\0\20\0A\24\0\0\0\0\0\0\0\0\0\0\0\0\0") }, A("'login','user':'admin','result':65"), 0 },
	{ "compressed", { STEP_UP(INFO "\2\4\0\0\0\0\0\10abcdefgh") }, A("'info','info':'node'") A("'compressed'"), 0 },
	{ "nonsense", { STEP_UP(INFO), STEP_UP("hello world") }, ANOMALY("aerospike.bad_message") A("'info','info':'node'"), 1 },
};

static void test_talks(void) { VECTORS_RUN(&ft, APP_AEROSPIKE, talks); }

static void test_recognition(void)
{
	static const struct { const char *name, *up; size_t nup; const char *down; size_t ndown; bool mid; enum probe want; } p[] = {
#define R(name, up, down, mid, want) { name, up, sizeof(up) - 1, down, sizeof(down) - 1, mid, want }
		R("info", INFO, "", false, PROBE_YES), R("a read", READ, "", false, PROBE_YES), R("an answer", "", INFO_OK, true, PROBE_YES),
		R("no names", "\2\1\0\0\0\0\0\5\1\2\3\4\5", "", false, PROBE_NO), R("another head", "\2\3\0\0\0\0\0\26\27\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\3\350\0\0\0\0", "", false, PROBE_NO), R("version", "\3\1\0\0\0\0\0\5node\12", "", false, PROBE_NO),
	};

	for (unsigned i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
		enum probe got = vector_probe(&proto_aerospike, p[i].up, p[i].nup, p[i].down, p[i].ndown, p[i].mid);

		CU_ASSERT_EQUAL(got, p[i].want);
		if (got != p[i].want)
			printf("\n%s: %d\n", p[i].name, got);
	}
	for (size_t n = 1; n < sizeof(READ) - 1; n++)
		CU_ASSERT_NOT_EQUAL(vector_probe(&proto_aerospike, READ, n, "", 0, false), PROBE_NO);
	vectors_strangers(&proto_aerospike, "aerospike");
}

static void test_hostile(void)
{
	for (unsigned i = 0; i < 5; i++)
		vectors_hostile(&ft, &talks[i]);
}

const struct unit_test tests_aerospike[] = {
	{ "conversations, however cut", test_talks },
	{ "what is aerospike and what is not", test_recognition },
	{ "hostile bytes", test_hostile },
	{ NULL, NULL },
};
