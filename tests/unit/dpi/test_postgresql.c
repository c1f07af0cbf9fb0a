/* SPDX-License-Identifier: GPL-2.0-or-later */
/* postgresql: start and login, simple and extended queries, errors, encryption, the middle of a connection. */
#include "dpi/proto/postgresql_parts.h"

#include <stdio.h>

#include "tests/unit/dpi/vector.h"
#include "tests/unit/unit.h"

#define P(fields) "pgsql {'command':" fields "}\n"
#define STARTUP "\0\0\0006\0\3\0\0user\0bob\0database\0shop\0application_name\0psql\0\0"
#define WELCOME "R\0\0\0\10\0\0\0\0S\0\0\0\30server_version\00016.1\0K\0\0\0\14\0\0\0\0\0\0\0\0Z\0\0\0\5I"
#define STARTUP_TOLD P("'startup','user':'bob','database':'shop','application_name':'psql'")
#define QUERY "Q\0\0\0\24select * from a\0"
#define QUERY_TOLD P("'query','query':'select * from a','operation':'SELECT','tables':['a']")
#define ROWS "T\0\0\0\32\0\1x\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0D\0\0\0\13\0\1\0\0\0\1xC\0\0\0\15SELECT 1\0Z\0\0\0\5I"
#define ERROR "E\0\0\0003SERROR\0VERROR\0C42P01\0Mrelation does not exist\0\0"
#define READY "Z\0\0\0\5I"
#define RUNS "B\0\0\0\16\0s0\0\0\0\0\0\0\0E\0\0\0\11\0\0\0\0\0B\0\0\0\17\0s39\0\0\0\0\0\0\0E\0\0\0\11\0\0\0\0\0"
#define START STEP_UP(STARTUP), STEP_DOWN(WELCOME)

static const struct flowtest ft = { .dport = 7000 };

static const struct vector talks[] = {
	{ "start and a query", { START, STEP_UP(QUERY), STEP_DOWN(ROWS), STEP_UP("X\0\0\0\4") }, STARTUP_TOLD QUERY_TOLD, 0 },
	{ "a password", { STEP_UP("\0\0\0\22\0\3\0\0user\0eve\0\0"), STEP_DOWN("R\0\0\0\14\0\0\0\5salt"), STEP_UP("p\0\0\0\16md5abcdef\0"), STEP_DOWN(WELCOME),
	  STEP_UP(QUERY) }, P("'startup','user':'eve','database':'eve','auth':'md5'") QUERY_TOLD, 0 },
	{ "SASL fails", { STEP_UP(STARTUP), STEP_DOWN("R\0\0\0\27\0\0\0\12SCRAM-SHA-256\0\0"), STEP_UP("p\0\0\0\32SCRAM-SHA-256\0\0\0\0\4abcd"),
	  STEP_DOWN("R\0\0\0\13\0\0\0\13r=x"), STEP_UP("p\0\0\0\7c=x"), STEP_DOWN("E\0\0\0\36SFATAL\0VFATAL\0C28P01\0Mno\0\0") },
	  P("'startup','user':'bob','database':'shop','application_name':'psql','auth':'sasl','sqlstate':'28P01'"), 0 },
	{ "let in, but there is no such database", { STEP_UP(STARTUP), STEP_DOWN("R\0\0\0\14\0\0\0\5salt"), STEP_UP("p\0\0\0\16md5abcdef\0"),
	  STEP_DOWN("R\0\0\0\10\0\0\0\0E\0\0\0\36SFATAL\0VFATAL\0C3D000\0Mno\0\0") },
	  P("'startup','user':'bob','database':'shop','application_name':'psql','auth':'md5','sqlstate':'3D000'"), 0 },
	{ "let in, and nothing more", { STEP_UP(STARTUP), STEP_DOWN("R\0\0\0\14\0\0\0\5salt"), STEP_UP("p\0\0\0\16md5abcdef\0"), STEP_DOWN("R\0\0\0\10\0\0\0\0") },
	  P("'startup','user':'bob','database':'shop','application_name':'psql','auth':'md5'"), 0 },
	{ "an error and the next", { START, STEP_UP(QUERY), STEP_DOWN(ERROR READY), STEP_UP(QUERY), STEP_DOWN(ROWS) },
	  STARTUP_TOLD P("'query','query':'select * from a','operation':'SELECT','tables':['a'],'sqlstate':'42P01'") QUERY_TOLD, 0 },
	{ "extended", { START, STEP_UP("P\0\0\0\"s1\0delete from b where i=$1\0\0\0B\0\0\0\17p\0s1\0\0\0\0\0\0\0D\0\0\0\7Pp\0E\0\0\0\12p\0\0\0\0\0S\0"
		  "\0\0\4"),
	  STEP_DOWN("1\0\0\0\0042\0\0\0\4n\0\0\0\4C\0\0\0\15DELETE 1\0Z\0\0\0\5I"), STEP_UP("B\0\0\0\16\0s1\0\0\0\0\0\0\0E\0\0\0\11\0\0\0\0\0S\0\0\0\4"),
	  STEP_DOWN("2\0\0\0\4E\0\0\0\23SERROR\0C23503\0\0Z\0\0\0\5I") },
	  STARTUP_TOLD P("'parse','statement':'s1','query':'delete from b where i=$1','operation':'DELETE','tables':['b']")
	  P("'execute','statement':'s1','query':'delete from b where i=$1','operation':'DELETE','tables':['b']")
	  P("'execute','statement':'s1','query':'delete from b where i=$1','operation':'DELETE','tables':['b'],'sqlstate':'23503'"), 0 },
	{ "pipelines: the error of the first sync does not touch the second", { START,
	  STEP_UP("P\0\0\0\13\0bad\0\0\0B\0\0\0\14\0\0\0\0\0\0\0\0E\0\0\0\11\0\0\0\0\0S\0\0\0\4P\0\0\0\20\0select 2\0\0\0B\0\0\0"
		  "\14\0\0\0\0\0\0\0\0E\0\0\0\11\0\0\0\0\0S\0\0\0\4"),
	  STEP_DOWN("E\0\0\0\23SERROR\0C42601\0\0Z\0\0\0\5I1\0\0\0\0042\0\0\0\4C\0\0\0\15SELECT 1\0Z\0\0\0\5I") },
	  STARTUP_TOLD P("'parse','query':'bad','operation':'OTHER','sqlstate':'42601'") P("'execute','query':'bad','operation':'OTHER'") P("'parse','query':'select 2','operation':'SELECT'")
	  P("'execute','query':'select 2','operation':'SELECT'"), 0 },
	{ "several statements", { START, STEP_UP("Q\0\0\0\36select 1; drop table x, y\0"), STEP_DOWN("C\0\0\0\15SELECT 1\0E\0\0\0\23SERROR\0C42P01\0\0Z\0\0\0\5I") },
	  STARTUP_TOLD P("'query','query':'select 1; drop table x, y','operation':'SELECT','operations':['SELECT','DROP'],'tables':['x','y'],'sqlstate':'42P01'"), 0 },
	{ "copy", { START, STEP_UP("Q\0\0\0\26copy t from stdin\0"), STEP_DOWN("G\0\0\0\7\0\0\0"), STEP_UP("d\0\0\0\0061\12c\0\0\0\4"), STEP_DOWN("C\0\0\0\13COPY 1\0Z\0\0\0\5I"),
	  STEP_UP("F\0\0\0\20\0\0\0\0\0\0\0\0\0\0\0\0"), STEP_DOWN("V\0\0\0\10\377\377\377\377Z\0\0\0\5I") },
	  STARTUP_TOLD P("'query','query':'copy t from stdin','operation':'COPY','tables':['t']") P("'function_call'"), 0 },
	{ "no TLS, then as ever", { STEP_UP("\0\0\0\10\4\322\26/"), STEP_DOWN("N"), STEP_UP(STARTUP), STEP_DOWN(WELCOME) }, P("'ssl_request'") STARTUP_TOLD, 0 },
	{ "GSS, and no more to see", { STEP_UP("\0\0\0\10\4\322\0260"), STEP_DOWN("G"), STEP_UP("xxxxx") }, P("'gssenc_request'"), 0 },
	{ "cancel", { STEP_UP("\0\0\0\20\4\322\26.\0\0\1\2\3\4\5\6") }, P("'cancel'"), 0 },
	{ "nonsense", { START, STEP_UP("hello world") }, STARTUP_TOLD ANOMALY("pgsql.bad_message"), 1 },
	{ "nothing answers", { STEP_UP(STARTUP), STEP_UP(QUERY) }, STARTUP_TOLD QUERY_TOLD, 0 },
	{ "a lost piece of a result", { START, STEP_UP(QUERY), { DIR_TOCLIENT, NULL, 500 }, STEP_DOWN("some rest of a row"), STEP_UP(QUERY), STEP_DOWN(ERROR READY) },
	  STARTUP_TOLD "anomaly {'type':'stream','event':'stream.gap','layer':'stream'}\n" QUERY_TOLD
	  P("'query','query':'select * from a','operation':'SELECT','tables':['a'],'sqlstate':'42P01'"), 0 },
};

static void test_talks(void) { VECTORS_RUN(&ft, APP_POSTGRESQL, talks); }

static void test_switched(void)
{
	static const struct vector rows[] = {
		{ "TLS follows", { STEP_UP("\0\0\0\10\4\322\26/"), STEP_DOWN("S"), STEP_UP("SSH-2.0-x\r\n"), STEP_DOWN("SSH-2.0-y\r\n") },
		  P("'ssl_request'") "ssh {'client':{'proto_version':'2.0','software_version':'x'},'server':{'proto_version':'2.0','software_version':'y'}}\n", 0 },
	};

	VECTORS_RUN(&ft, APP_SSH, rows);
}

static void test_recognition(void)
{
	static const struct { const char *name, *up; size_t nup; const char *down; size_t ndown; bool mid; enum probe want; } p[] = {
#define R(name, up, down, mid, want) { name, up, sizeof(up) - 1, down, sizeof(down) - 1, mid, want }
		R("a start", STARTUP, "", false, PROBE_YES), R("a question", "\0\0\0\10\4\322\26/", "", false, PROBE_YES), R("a question with a tail", "\0\0\0\x09\x04\xd2\x16\x2f", "", false, PROBE_NO),
		R("version 2", "\0\0\0\22\0\2\0\0user\0bob\0\0", "", false, PROBE_NO), R("no name", "\0\0\0\20\0\3\0\0\1\2\3\4\5\6\7\0", "", false, PROBE_NO),
		R("a query", QUERY, "", true, PROBE_YES), R("a query at the beginning", QUERY, "", false, PROBE_NO), R("no sql", "Q\0\0\0\20hello world\0", "", true, PROBE_MORE),
		R("bind, execute, sync", "B\0\0\0\14\0\0\0\0\0\0\0\0E\0\0\0\11\0\0\0\0\0S\0\0\0\4", "", true, PROBE_YES), R("rows", "", ROWS, true, PROBE_YES),
		R("a server's question", "", "R\0\0\0\14\0\0\0\5salt", false, PROBE_YES), R("a refusal", "", "E\0\0\0\23SFATAL\0C53300\0\0", false, PROBE_YES),
	};

	for (unsigned i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
		enum probe got = vector_probe(&proto_postgresql, p[i].up, p[i].nup, p[i].down, p[i].ndown, p[i].mid);

		CU_ASSERT_EQUAL(got, p[i].want);
		if (got != p[i].want)
			printf("\n%s: %d\n", p[i].name, got);
	}
	for (size_t n = 1; n < sizeof(STARTUP) - 1; n++)
		CU_ASSERT_NOT_EQUAL(vector_probe(&proto_postgresql, STARTUP, n, "", 0, false), PROBE_NO);
	vectors_strangers(&proto_postgresql, "postgres");
}

static void test_many_names(void)
{
	static char up[8192];
	struct flowtest_step steps[] = { START, { DIR_TOSERVER, up, 0 } };
	struct flowtest_result r;
	size_t n = 0;

	/* more statements than are remembered: the first is forgotten, the last is not */
	for (unsigned i = 0; i < 40; i++) {
		char body[64];
		int len = snprintf(body, sizeof(body), "s%u%cselect * from t%u%c%c%c", i, 0, i, 0, 0, 0);

		n += (size_t)snprintf(up + n, sizeof(up) - n, "P%c%c%c%c", 0, 0, 0, len + 4);
		memcpy(up + n, body, (size_t)len);
		n += (size_t)len;
	}
	memcpy(up + n, RUNS, sizeof(RUNS) - 1);
	steps[2].n = n + sizeof(RUNS) - 1;
	r = flowtest_run(&ft, steps, 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "{\"command\":\"execute\",\"statement\":\"s0\"}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "\"execute\",\"statement\":\"s39\",\"query\":\"select * from t39\""));
	CU_ASSERT_EQUAL(r.bad, 0);
	flowtest_free(&r);
}

static void test_hostile(void)
{
	for (unsigned i = 0; i < 9; i++)
		vectors_hostile(&ft, &talks[i]);
}

const struct unit_test tests_postgresql[] = {
	{ "conversations, however cut", test_talks },
	{ "what follows a request for TLS", test_switched },
	{ "what is postgresql and what is not", test_recognition },
	{ "more statements than are remembered", test_many_names },
	{ "hostile bytes", test_hostile },
	{ NULL, NULL },
};
