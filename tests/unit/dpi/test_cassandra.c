/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cassandra: start and login, statements, prepared ones, batches, errors, versions 1 to 5 with segments. */
#include <stdio.h>

#include "tests/unit/dpi/vector.h"
#include "tests/unit/unit.h"

#define C(fields) "cassandra {'command':" fields "}\n"
#define STARTUP "\4\0\0\0\1\0\0\0&\0\2\0\13CQL_VERSION\0\0053.0.0\0\13DRIVER_NAME\0\1x"
#define READY "\204\0\0\0\2\0\0\0\0"
#define START_TOLD C("'startup','version':'3.0.0','driver':'x'")
#define QUERY "\4\0\0\5\7\0\0\0\31\0\0\0\22select * from ks.t\0\1\0"
#define QUERY_TOLD C("'query','query':'select * from ks.t','operation':'SELECT','tables':['ks.t']")
#define ROWS "\204\0\0\5\10\0\0\0\24\0\0\0\2\0\0\0\1\0\0\0\1xxxxxxxx"

static const struct flowtest ft = { .dport = 7000 };

static const struct vector talks[] = {
	{ "start and a query", { STEP_UP("\4\0\0\0\5\0\0\0\0"), STEP_DOWN("\204\0\0\0\6\0\0\0\30\0\1\0\13CQL_VERSION\0\1\0\0053.4.5"), STEP_UP(STARTUP), STEP_DOWN(READY),
	  STEP_UP(QUERY), STEP_DOWN(ROWS) }, C("'options'") START_TOLD QUERY_TOLD, 0 },
	{ "login", { STEP_UP(STARTUP), STEP_DOWN("\204\0\0\0\3\0\0\0001\0/org.apache.cassandra.auth.PasswordAuthenticator"), STEP_UP("\4\0\0\0\17\0\0\0\17\0\0\0\13\0bob\0secret"),
	  STEP_DOWN("\204\0\0\0\0\0\0\0\10\0\0\1\0\0\2no") }, START_TOLD C("'auth_response','user':'bob','error_code':256"), 0 },
	{ "answers by stream", { STEP_UP(QUERY "\4\0\0\6\7\0\0\0\15\0\0\0\6use ks\0\1\0"), STEP_DOWN("\204\0\0\6\0\0\0\0\10\0\0\"\0\0\2no"), STEP_DOWN(ROWS) },
	  C("'query','query':'use ks','operation':'USE','error_code':8704") QUERY_TOLD, 0 },
	{ "prepared", { STEP_UP("\4\0\0\0\11\0\0\0\33\0\0\0\27delete from a where i=?"), STEP_DOWN("\204\0\0\0\10\0\0\0\"\0\0\0\4\0\0200123456789abcdef\0\0\0\0\0\0\0\0\0\0\0\0"),
	  STEP_UP("\4\0\0\0\12\0\0\0\25\0\0200123456789abcdef\0\1\0"), STEP_DOWN("\204\0\0\0\10\0\0\0\4\0\0\0\1"), STEP_UP("\4\0\0\0\12\0\0\0\25\0\0200123456789abcdeX\0\1\0") },
	  C("'prepare','query':'delete from a where i=?','operation':'DELETE','tables':['a']") C("'execute','query':'delete from a where i=?','operation':'DELETE','tables':['a']")
	  C("'execute'"), 0 },
	{ "batch", { STEP_UP(STARTUP "\4\0\0\0\15\0\0\0V\0\0\3\0\0\0\0\34insert into a (i) values (?)\0\1\0\0\0\1x\1\0\0200123456789abcdef\0\0\0\0\0"
		  "\0\14drop table b\0\0\0\1\0") },
	  START_TOLD C("'batch','query':'insert into a (i) values (?)','operation':'INSERT','tables':['a'],'statements':3"), 0 },
	{ "compressed, and with a payload before", { STEP_UP(STARTUP "\4\1\0\0\7\0\0\0\3abc\4\4\0\0\7\0\0\0\31\0\1\0\1k\0\0\0\1v\0\0\0\10select 1\0\1\0") },
	  START_TOLD C("'query','compressed':true") C("'query','query':'select 1','operation':'SELECT'"), 0 },
	{ "version 2", { STEP_UP("\2\0\1\1\0\0\0\26\0\1\0\13CQL_VERSION\0\0053.0.0"), STEP_DOWN("\202\0\1\2\0\0\0\0"),
	  STEP_UP("\2\0\2\7\0\0\0\16\0\0\0\10select 1\0\1") }, C("'startup','version':'3.0.0'") C("'query','query':'select 1','operation':'SELECT'"), 0 },
	{ "version 5: segments", { STEP_UP("\5\0\0\0\1\0\0\0\26\0\1\0\13CQL_VERSION\0\0053.0.0"), STEP_DOWN("\205\0\0\0\2\0\0\0\0"),
	  STEP_UP("-\0\2CRC\5\0\0\1\7\0\0\0\17\0\0\0\10select 1\0\1\0\5\0\0\2\11\0\0\0\14\0\0\0\10select 2CRC4"),
	  STEP_UP("<\0\0CRC\5\0\0\3\7\0\0\0v\0\0\0rinsert into x yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyCRC4C\0\0CRCyyyyyyyyyyyyyyyyyy"
		  "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyCRC4\25\0\2CRC\5\0\0\4\7\0\0\0\14\0\0\0\10select 3CRC4"),
	  STEP_DOWN("\36\0\2CRC\205\0\0\2\0\0\0\0\10\0\0\"\0\0\2no\205\0\0\1\10\0\0\0\4\0\0\0\1CRC4") },
	  C("'startup','version':'3.0.0'") C("'prepare','query':'select 2','operation':'SELECT','error_code':8704") C("'query','query':'select 1','operation':'SELECT'")
	  C("'query','query':'insert into x yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy','operation':'INSERT','tables':['x']") C("'query','query':'select 3','operation':'SELECT'"), 0 },
	{ "nonsense", { STEP_UP(STARTUP "hello, this is no frame") }, ANOMALY("cassandra.bad_frame") START_TOLD, 1 },
};

static void test_talks(void) { VECTORS_RUN(&ft, APP_CASSANDRA, talks); }

static void test_recognition(void)
{
	static const struct { const char *name, *up; size_t nup; const char *down; size_t ndown; bool mid; enum probe want; } p[] = {
#define R(name, up, down, mid, want) { name, up, sizeof(up) - 1, down, sizeof(down) - 1, mid, want }
		R("startup", STARTUP, "", false, PROBE_YES), R("a query", QUERY, "", true, PROBE_YES), R("no cql", "\4\0\0\0\7\0\0\0\22\0\0\0\13hello world\0\1\0", "", true, PROBE_NO),
		R("rows", "", ROWS, true, PROBE_YES), R("options", "\4\0\0\0\5\0\0\0\0", "", false, PROBE_YES), R("options with more", "\4\0\0\0\5\0\0\0\0xx", "", false, PROBE_NO),
		R("a run", "\4\0\0\0\12\0\0\0\25\0\0200123456789abcdef\0\1\0", "", true, PROBE_YES), R("no such opcode", "\4\0\0\0\22\0\0\0\6abcdef", "", false, PROBE_NO),
	};

	for (unsigned i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
		enum probe got = vector_probe(&proto_cassandra, p[i].up, p[i].nup, p[i].down, p[i].ndown, p[i].mid);

		CU_ASSERT_EQUAL(got, p[i].want);
		if (got != p[i].want)
			printf("\n%s: %d\n", p[i].name, got);
	}
	for (size_t n = 1; n < sizeof(STARTUP) - 1; n++)
		CU_ASSERT_NOT_EQUAL(vector_probe(&proto_cassandra, STARTUP, n, "", 0, false), PROBE_NO);
	vectors_strangers(&proto_cassandra, "cassandra");
}

static void test_hostile(void)
{
	for (unsigned i = 0; i < 8; i++)
		vectors_hostile(&ft, &talks[i]);
}

const struct unit_test tests_cassandra[] = {
	{ "conversations, however cut", test_talks },
	{ "what is cassandra and what is not", test_recognition },
	{ "hostile bytes", test_hostile },
	{ NULL, NULL },
};
