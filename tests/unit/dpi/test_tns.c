/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tns: connects and their answers, logins and statements in calls, packets with long lengths. */
#include <stdio.h>

#include "tests/unit/dpi/vector.h"
#include "tests/unit/unit.h"

#define T(fields) "tns {'command':" fields "}\n"
#define CONNECT "\0\310\0\0\1\0\0\0\1:\1,\14A \0\177\377\177\10\0\0\1\0\0\216\0:\0\0\2\0AA\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" \
	"\0\0\0\0\0\0(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=db)(PORT=1521))(CONNECT_DATA=(SERVICE_NAME=shop.example" \
	")(CID=(PROGRAM=sqlplus)(HOST=pc)(USER=bob))))"
#define ACCEPT "\0 \0\0\2\0\0\0\1:\0\0 \0\177\377\0\1\0\0\0 \0\0\0\0\0\0\0\0\0\0"
#define TOLD "'connect','service':'shop.example','program':'sqlplus','client_host':'pc','client_user':'bob'"
#define CONNECT_TOLD T(TOLD ",'answer':'accept','version':314")
#define QUERY "\0003\0\0\6\0\0\0\0\0\3^\5\1\2\3\37select * from emp where id = :1\0\1\1"
#define QUERY_TOLD T("'execute','query':'select * from emp where id = :1','operation':'SELECT','tables':['emp']")

static const struct flowtest ft = { .dport = 7000 };

static const struct vector talks[] = {
	{ "accepted, and a statement", { STEP_UP(CONNECT), STEP_DOWN(ACCEPT), STEP_UP(QUERY), STEP_DOWN("\0\14\0\0\6\0\0\0\0\0\4\1") }, CONNECT_TOLD QUERY_TOLD, 0 },
	{ "sent again", { STEP_UP(CONNECT), STEP_DOWN("\0\10\0\0\13\0\0\0"), STEP_UP(CONNECT), STEP_DOWN(ACCEPT) }, T(TOLD) CONNECT_TOLD, 0 },
	{ "refused", { STEP_UP(CONNECT), STEP_DOWN("\0L\0\0\4\0\0\0\"\0\0@(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR=12514)(ERROR_STACK=(ERROR=x)))") }, T(TOLD ",'answer':'refuse','error_code':'12514'"), 0 },
	{ "redirected", { STEP_UP(CONNECT), STEP_DOWN("\0\37\0\0\5\0\0\0\0\25(ADDRESS=(PORT=2143))") }, T(TOLD ",'answer':'redirect','redirect':'(ADDRESS=(PORT=2143))'"), 0 },
	{ "data in a packet of its own, and lengths of four bytes", { STEP_UP("\0:\0\0\1\0\0\0\1:\1,\14A \0\177\377\177\10\0\0\1\0\1,\0:\0\0\2\0AA\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0#\0\0\6\0\0\0\0\0(CONNECT_DATA=(SID=orcl))"), STEP_DOWN("\0 \0\0\2\0\0\0\1>\0\0 \0\177\377\0\1\0\0\0 \0\0\0\0\0\0\0\0\0\0"),
	  STEP_UP("\0\0\0-\6\0\0\0\0\0\3v\2\1\1\3\1\1\5\1\1\5scott\15\0\0\0\15AUTH_TERMINAL"),
	  STEP_UP("\0\0\0&\6\0\0\0\0\0\21i\1\1\1\3^\5\1\2\3drop table x; \0\1\1") },
	  T("'connect','sid':'orcl','answer':'accept','version':318") T("'login','user':'scott'") T("'execute','query':'drop table x; ','operation':'DROP','tables':['x']"), 0 },
	{ "other calls tell nothing", { STEP_UP(CONNECT), STEP_DOWN(ACCEPT), STEP_UP("\0\25\0\0\6\0\0\0\0\0\1\6\5\4\3\2\1\0x86\0\13\0\0\14\0\0\0\1\0\2\0\17\0\0\6\0\0\0\0\0\3^\0\0\0") }, CONNECT_TOLD, 0 },
	{ "statements that may not be all: another before it, pieces, the end of the packet", { STEP_UP(CONNECT), STEP_DOWN(ACCEPT),
	  STEP_UP("\000A\000\000\006\000\000\000\000\000\003^\005\001\002\003\014drop table t\000\001\037select * from emp where id = 1 \000\001"), STEP_UP("\000%\000\000\006\000\000\000\000\000\003^\005\001\002\003\376\014select 1 fro\004m t \000\001"), STEP_UP("\000!\000\000\006\000\000\000\000\000\003^\005\001\002\003\376\015drop table ab\000\001"), STEP_UP("\000\042\000\000\006\000\000\000\000\000\003^\005\001\002\003@select * from emp") },
	  CONNECT_TOLD T("'execute','query':'select * from emp where id = 1 ','operation':'SELECT','partial':true,'tables':['emp']") T("'execute','query':'select 1 fro','operation':'SELECT','partial':true")
	  T("'execute','query':'\\rdrop table ab','operation':'DROP','tables':['ab']") T("'execute','query':'select * from emp','operation':'SELECT','partial':true,'tables':['emp']"), 0 },
	{ "nonsense", { STEP_UP(CONNECT), STEP_DOWN(ACCEPT), STEP_UP("hello world") }, CONNECT_TOLD ANOMALY("tns.bad_packet"), 1 },
};

static void test_talks(void) { VECTORS_RUN(&ft, APP_TNS, talks); }

static void test_recognition(void)
{
	static const struct { const char *name, *up; size_t nup; const char *down; size_t ndown; bool mid; enum probe want; } p[] = {
#define R(name, up, down, mid, want) { name, up, sizeof(up) - 1, down, sizeof(down) - 1, mid, want }
		R("connect", CONNECT, "", false, PROBE_YES), R("accept", "", ACCEPT, true, PROBE_YES), R("lengths that do not fit", "\0\310\0\0\1\0\0\0\1:\1,\14A \0\177\377\177\10\0\0\1\0\1\1\0:\0\0\2\0AA\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0\0(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=db)(PORT=1521))(CONNECT_DATA=(SERVICE_NAME=shop.example)("
		  "CID=(PROGRAM=sqlplus)(HOST=pc)(USER=bob))))", "", false, PROBE_NO),
		R("no such version", "\0\310\0\0\1\0\0\0\0\7\1,\14A \0\177\377\177\10\0\0\1\0\0\216\0:\0\0\2\0AA\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0\0\0(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=db)(PORT=1521))(CONNECT_DATA=(SERVICE_NAME=shop.example"
		  ")(CID=(PROGRAM=sqlplus)(HOST=pc)(USER=bob))))", "", false, PROBE_NO), R("no bracket", "\0\310\0\0\1\0\0\0\1:\1,\14A \0\177\377\177\10\0\0\1\0\0\216\0:\0\0\2\0AA\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0\0\0xDESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=db)(PORT=1521))(CONNECT_DATA=(SERVICE_NAME=shop.example"
		  ")(CID=(PROGRAM=sqlplus)(HOST=pc)(USER=bob))))", "", false, PROBE_NO),
	};

	for (unsigned i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
		enum probe got = vector_probe(&proto_tns, p[i].up, p[i].nup, p[i].down, p[i].ndown, p[i].mid);

		CU_ASSERT_EQUAL(got, p[i].want);
		if (got != p[i].want)
			printf("\n%s: %d\n", p[i].name, got);
	}
	for (size_t n = 1; n < sizeof(CONNECT) - 1; n++)
		CU_ASSERT_NOT_EQUAL(vector_probe(&proto_tns, CONNECT, n, "", 0, false), PROBE_NO);
	vectors_strangers(&proto_tns, "tns");
}

static void test_hostile(void)
{
	for (unsigned i = 0; i < 6; i++)
		vectors_hostile(&ft, &talks[i]);
}

const struct unit_test tests_tns[] = {
	{ "conversations, however cut", test_talks },
	{ "what is tns and what is not", test_recognition },
	{ "hostile bytes", test_hostile },
	{ NULL, NULL },
};
