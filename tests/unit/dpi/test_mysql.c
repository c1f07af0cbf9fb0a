/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mysql: greeting, login, commands and their answers, prepared statements, TLS, compression, the middle of a connection. */
#include "dpi/proto/mysql_parts.h"
#include <stdio.h>

#include "tests/unit/dpi/vector.h"
#include "tests/unit/unit.h"

#define M(fields) "mysql {'command':" fields "}\n"
#define GREETING "J\0\0\0\128.0.36\0\13\0\0\0abcdefgh\0\337\367\377\2\0\200\2\25\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0caching_sha2_" \
	"password\0"
#define GREETING_ATTR "J\0\0\0\128.0.36\0\13\0\0\0abcdefgh\0\337\367\377\2\0\200\12\25\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0caching_sha2" \
	"_password\0"
#define LOGIN "`\0\0\1\337\367\200\2\0\0\0\1!\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0bob\0 ppppppppppppppppppppppppppp" \
	"pppppshop\0caching_sha2_password\0"
#define OK1 "\7\0\0\1\0\0\0\2\0\0\0"
#define OK2 "\7\0\0\2\0\0\0\2\0\0\0"
#define OK4 "\7\0\0\4\0\0\0\2\0\0\0"
#define LOGIN_TOLD M("'login','version':'8.0.36','arg':'bob','user':'bob','database':'shop'")
#define QUERY "\23\0\0\0\3select * from a, b"
#define QUERY_TOLD M("'query','query':'select * from a, b','operation':'SELECT','tables':['a','b']")
#define RESULT "\1\0\0\1\1\27\0\0\2\3def\0\0\0\1x\0\14?\0\1\0\0\0\10\201\0\0\0\0\5\0\0\3\376\0\0\2\0\2\0\0\4\0011\5\0\0\5\376" \
	"\0\0\2\0"
#define START { DIR_TOCLIENT, GREETING, sizeof(GREETING) - 1 }, { DIR_TOSERVER, LOGIN, sizeof(LOGIN) - 1 }, { DIR_TOCLIENT, OK2, sizeof(OK2) - 1 }

static const struct flowtest ft = { .dport = 7000 };

static const struct vector talks[] = {
	{ "login and a query", { START, STEP_UP(QUERY), STEP_DOWN(RESULT), STEP_UP("\1\0\0\0\1") }, LOGIN_TOLD QUERY_TOLD M("'quit'"), 0 },
	{ "refused at once", { STEP_DOWN(":\0\0\0\377i\4Host 'a' is not allowed to connect to this MySQL server") },
	  M("'connect','error_code':1129"), 0 },
	{ "a wrong password", { STEP_DOWN(GREETING), STEP_UP(LOGIN), STEP_DOWN("%\0\0\2\377\25\4#28000Access denied for user 'bob'") },
	  M("'login','version':'8.0.36','arg':'bob','user':'bob','database':'shop','error_code':1045,'sqlstate':'28000'"), 0 },
	{ "another method, fast and full", { STEP_DOWN(GREETING), STEP_UP(LOGIN), STEP_DOWN(",\0\0\2\376mysql_native_password\0aaaaaaaaaaaaaaaaaaaa\0"),
	  STEP_UP("\24\0\0\3bbbbbbbbbbbbbbbbbbbb"), STEP_DOWN(OK4), STEP_UP(QUERY), STEP_DOWN(RESULT) }, LOGIN_TOLD QUERY_TOLD, 0 },
	{ "an error", { START, STEP_UP(QUERY), STEP_DOWN("%\0\0\1\377z\4#42S02Table 'shop.a' doesn't exist"), STEP_UP(QUERY), STEP_DOWN(RESULT) },
	  LOGIN_TOLD M("'query','query':'select * from a, b','operation':'SELECT','tables':['a','b'],'error_code':1146,'sqlstate':'42S02'") QUERY_TOLD, 0 },
	{ "databases and tables", { START, STEP_UP("\5\0\0\0\2test"), STEP_DOWN(OK1), STEP_UP("\10\0\0\0\4agent\0%"), STEP_DOWN("\5\0\0\1\376\0\0\2\0"),
	  STEP_UP("\1\0\0\0\16"), STEP_DOWN(OK1), STEP_UP("\17\0\0\0\21eve\0\3abcadm\0!\0"), STEP_DOWN(OK1) },
	  LOGIN_TOLD M("'init_db','arg':'test','database':'test'") M("'field_list','arg':'agent','tables':['agent']") M("'ping'")
	  M("'change_user','user':'eve','database':'adm'"), 0 },
	{ "prepared", { START, STEP_UP("\30\0\0\0\26delete from a where i=?"), STEP_DOWN("\14\0\0\1\0\7\0\0\0\0\0\1\0\0\0\0"),
	  STEP_UP("\22\0\0\0\27\7\0\0\0\0\1\0\0\0\0\1\3\0\5\0\0\0"), STEP_DOWN(OK1), STEP_UP("\5\0\0\0\31\7\0\0\0"),
	  STEP_UP("\12\0\0\0\27\7\0\0\0\0\1\0\0\0"), STEP_DOWN(OK1) },
	  LOGIN_TOLD M("'stmt_prepare','query':'delete from a where i=?','operation':'DELETE','tables':['a']")
	  M("'stmt_execute','statement_id':7,'query':'delete from a where i=?','operation':'DELETE','tables':['a']")
	  M("'stmt_close','statement_id':7") M("'stmt_execute','statement_id':7"), 0 },
	{ "a file of the client's", { START, STEP_UP("-\0\0\0\3load data local infile \"/etc/x\" into table t"), STEP_DOWN("\14\0\0\1\373/etc/shadow"),
	  STEP_UP("\15\0\0\2\3drop table x\0\0\0\3"), STEP_DOWN(OK4), STEP_UP(QUERY), STEP_DOWN(RESULT) },
	  LOGIN_TOLD M("'query','query':'load data local infile \\'/etc/x\\' into table t','operation':'LOAD','tables':['t'],'infile':'/etc/shadow'") QUERY_TOLD, 0 },
	{ "attributes before the statement", { STEP_DOWN(GREETING_ATTR), STEP_UP("`\0\0\1\337\367\200\12\0\0\0\1!\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0bob\0 pppppppppppppppppppppppppp"
		  "ppppppshop\0caching_sha2_password\0"), STEP_DOWN(OK2), STEP_UP("\13\0\0\0\3\0\1select 1"),
	  STEP_DOWN(RESULT), STEP_UP("\35\0\0\0\3\2\1\2\1\376\0\1a\3\0\1b\3xyzdrop table t"), STEP_DOWN(OK1) },
	  LOGIN_TOLD M("'query','query':'select 1','operation':'SELECT'") M("'query','query':'drop table t','operation':'DROP','tables':['t']"), 0 },
	{ "TLS is another's", { STEP_DOWN(GREETING), STEP_UP(" \0\0\1\337\377\200\2\0\0\0\1!\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), STEP_UP("hello there, this is no tls\r\n") },
	  M("'ssl_request','version':'8.0.36'"), 0 },
	{ "compressed", { STEP_DOWN("J\0\0\0\128.0.36\0\13\0\0\0abcdefgh\0\377\367\377\2\0\200\2\25\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0caching_sha2_"
		  "password\0"), STEP_UP("`\0\0\1\377\367\200\2\0\0\0\1!\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0bob\0 ppppppppppppppppppppppppppp"
		  "pppppshop\0caching_sha2_password\0"), STEP_DOWN(OK2), STEP_UP("\5\0\0\0\0\0\0\1\0\0\0\16") },
	  M("'login','version':'8.0.36','arg':'bob','user':'bob','database':'shop','compressed':true"), 0 },
	{ "a login as in the last century", { STEP_DOWN("(\0\0\0\0123.23.58\0\1\0\0\0abcdefgh\0,\0\10\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), STEP_UP("\21\0\0\1\205\4\0\0\0bob\0scrambld"), STEP_DOWN(OK2) },
	  M("'login','version':'3.23.58','arg':'bob','user':'bob'"), 0 },
	{ "two statements, none answered", { START, STEP_UP("\27\0\0\0\3select 1; drop table a\11\0\0\0\3select 2") },
	  LOGIN_TOLD M("'query','query':'select 1; drop table a','operation':'SELECT','operations':['SELECT','DROP'],'tables':['a']")
	  M("'query','query':'select 2','operation':'SELECT'"), 0 },
	{ "no such command", { START, STEP_UP("\1\0\0\0U") }, LOGIN_TOLD ANOMALY("mysql.bad_command"), 1 },
	{ "the server's side is missing", { STEP_UP(LOGIN QUERY) }, M("'login','arg':'bob','user':'bob','database':'shop'") QUERY_TOLD, 0 },
	{ "a command that does not wait for the login's answer", { STEP_DOWN(GREETING), STEP_UP(LOGIN QUERY), STEP_DOWN(OK2), STEP_DOWN(RESULT), STEP_UP(QUERY), STEP_DOWN(RESULT) },
	  LOGIN_TOLD QUERY_TOLD QUERY_TOLD, 0 },
};

static void test_talks(void) { VECTORS_RUN(&ft, APP_MYSQL, talks); }

static void test_switched(void)
{
	static const struct vector rows[] = {
		{ "TLS follows", { STEP_DOWN(GREETING), STEP_UP(" \0\0\1\337\377\200\2\0\0\0\1!\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), STEP_UP("SSH-2.0-x\r\n"), STEP_DOWN("SSH-2.0-y\r\n") },
		  M("'ssl_request','version':'8.0.36'") "ssh {'client':{'proto_version':'2.0','software_version':'x'},'server':{'proto_version':'2.0','software_version':'y'}}\n", 0 },
	};

	VECTORS_RUN(&ft, APP_SSH, rows);
}

static void test_midstream(void)
{
	static const struct vector rows[] = {
		{ "a lost piece of a result", { START, STEP_UP(QUERY), STEP_DOWN("\1\0\0\1\1"), { DIR_TOCLIENT, NULL, 500 }, STEP_DOWN("xx"), STEP_UP(QUERY), STEP_DOWN(RESULT),
		  STEP_UP("\15\0\0\0\3drop table t"), STEP_DOWN("\32\0\0\1\377z\4#42S02Unknown table 't'") },
		  LOGIN_TOLD QUERY_TOLD "anomaly {'type':'stream','event':'stream.gap','layer':'stream'}\n" QUERY_TOLD M("'query','query':'drop table t','operation':'DROP','tables':['t'],'error_code':1146,'sqlstate':'42S02'"), 0 },
	};
	static const struct { const char *name, *up; size_t nup; const char *down; size_t ndown; bool mid; enum probe want; } p[] = {
#define R(name, up, down, mid, want) { name, up, sizeof(up) - 1, down, sizeof(down) - 1, mid, want }
		R("a greeting", "", GREETING, false, PROBE_YES), R("a login", LOGIN, "", false, PROBE_YES), R("a query", QUERY, "", true, PROBE_YES),
		R("a query at the beginning", QUERY, "", false, PROBE_NO), R("no sql", "\14\0\0\0\3hello world", "", true, PROBE_NO),
		R("a run", "\12\0\0\0\27\7\0\0\0\0\1\0\0\0", "", true, PROBE_YES), R("a ping alone", "\1\0\0\0\16", "", true, PROBE_MORE),
		R("a ping", "\1\0\0\0\16", OK1, true, PROBE_YES), R("a ping and something", "\1\0\0\0\16", "hello world", true, PROBE_NO),
		R("version without a dot", "", ":\0\0\0\128036\0\1\0\0\0abcdefgh\0\377\377\377\2\0\377\337\25\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0\0\0\0", false, PROBE_NO),
		R("the length is not its", "", "\377\377\0\0\128.0.36\0\13\0\0\0abcdefgh\0\337\367\377\2\0\200\2\25\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0caching_"
		  "sha2_password\0", false, PROBE_NO),
	};

	VECTORS_RUN(&ft, APP_MYSQL, rows);
	for (unsigned i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
		enum probe got = vector_probe(&proto_mysql, p[i].up, p[i].nup, p[i].down, p[i].ndown, p[i].mid);

		CU_ASSERT_EQUAL(got, p[i].want);
		if (got != p[i].want)
			printf("\n%s: %d\n", p[i].name, got);
	}
	for (size_t n = 1; n < sizeof(GREETING) - 1; n++)
		CU_ASSERT_NOT_EQUAL(vector_probe(&proto_mysql, "", 0, GREETING, n, false), PROBE_NO);
	for (size_t n = 1; n < 45; n++)
		CU_ASSERT_NOT_EQUAL(vector_probe(&proto_mysql, LOGIN, n, "", 0, false), PROBE_NO);
	vectors_strangers(&proto_mysql, "mysql");
}

static void test_huge(void)
{
	static char big[200000];
	struct flowtest_result r;
	const struct flowtest_step steps[] = { START, { DIR_TOSERVER, big, sizeof(big) }, STEP_DOWN(OK1), STEP_UP(QUERY), STEP_DOWN(RESULT) };

	/* one statement of 100,000 bytes, then one that is told as it is */
	memset(big, ' ', sizeof(big));
	memcpy(big, "\x9c\x86\1\0\3insert into t values (", 27);
	memcpy(big + 100000, "\x9c\x86\1\0\3delete from u where (", 26);
	r = flowtest_run(&ft, steps, 7);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "\"operation\":\"INSERT\",\"partial\":true,\"tables\":[\"t\"]"));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "\"operation\":\"DELETE\",\"partial\":true,\"tables\":[\"u\"]"));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "\"query\":\"select * from a, b\""));
	CU_ASSERT_EQUAL(r.bad, 0);
	flowtest_free(&r);
}

static void test_hostile(void)
{
	for (unsigned i = 0; i < 8; i++)
		vectors_hostile(&ft, &talks[i]);
}

const struct unit_test tests_mysql[] = {
	{ "conversations, however cut", test_talks },
	{ "what follows a request for TLS", test_switched },
	{ "what is mysql and what is not", test_midstream },
	{ "statements of any length", test_huge },
	{ "hostile bytes", test_hostile },
	{ NULL, NULL },
};
