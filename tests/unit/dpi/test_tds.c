/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tds: prelogin, logins of versions 5 and 7, batches, procedures, errors, TLS between them. */
#include <stdio.h>

#include "tests/unit/dpi/vector.h"
#include "tests/unit/unit.h"

#define T(fields) "tds {'command':" fields "}\n"
#define PRELOGIN "\22\1\0\32\0\0\1\0\0\0\13\0\6\1\0\21\0\1\377\14\0\0\0\0\0\2"
#define PRELOGIN_TOLD T("'prelogin','encryption':'not_supported'")
#define LOGIN "\20\1\0\224\0\0\1\0\214\0\0\0\4\0\0t\0\20\0\0\7\0\0\0d\0\0\0\0\0\0\0\340\3\0\0\0\0\0\0\11\4\0\0^\0\4\0f\0\2\0" \
	"j\0\2\0n\0\3\0t\0\3\0z\0\0\0z\0\3\0\200\0\2\0\204\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0h\0o\0s\0t" \
	"\0s\0a\0p\0w\0a\0p\0p\0s\0r\0v\0l\0i\0b\0e\0n\0s\0h\0o\0p\0"
#define LOGIN_TOLD T("'login','client_host':'host','user':'sa','application_name':'app','server':'srv','database':'shop'")
#define BATCH "\1\1\0P\0\0\1\0\26\0\0\0\22\0\0\0\2\0\0\0\0\0\0\0\0\0\1\0\0\0s\0e\0l\0e\0c\0t\0 \0*\0 \0f\0r\0o\0m\0 \0[\0d\0" \
	"b\0o\0]\0.\0[\0a\0 \0b\0]\0"
#define BATCH_TOLD T("'batch','query':'select * from [dbo].[a b]','operation':'SELECT','tables':['dbo.a b']")
#define DONE "\4\1\0\25\0\0\1\0\375\0\0\301\0\0\0\0\0\0\0\0\0"
#define ERROR "\4\1\0/\0\0\1\0\253\4\0abcd\252\20\0\320\0\0\0\1\20\0\0\0\0\0\0\0\0\0\0\375\2\0\0\0\0\0\0\0\0\0\0\0"

static const struct flowtest ft = { .dport = 7000 };

static const struct vector talks[] = {
	{ "login and a batch", { STEP_UP(PRELOGIN), STEP_DOWN("\4\1\0\32\0\0\1\0\0\0\13\0\6\1\0\21\0\1\377\14\0\0\0\0\0\2"), STEP_UP(LOGIN), STEP_DOWN("\4\1\0\34\0\0\1\0\255\4\0abcd\375\0\0\0\0\0\0\0\0\0\0\0\0"), STEP_UP(BATCH), STEP_DOWN(DONE) },
	  PRELOGIN_TOLD LOGIN_TOLD BATCH_TOLD, 0 },
	{ "an error", { STEP_UP(LOGIN), STEP_UP(BATCH), STEP_DOWN(ERROR), STEP_DOWN(ERROR) },
	  T("'login','client_host':'host','user':'sa','application_name':'app','server':'srv','database':'shop','error_code':208")
	  T("'batch','query':'select * from [dbo].[a b]','operation':'SELECT','tables':['dbo.a b'],'error_code':208"), 0 },
	{ "procedures", { STEP_UP(LOGIN), STEP_DOWN(DONE), STEP_UP("\3\1\0?\0\0\1\0\26\0\0\0\22\0\0\0\2\0\0\0\0\0\0\0\0\0\1\0\0\0\12\0p\0_\0G\0e\0t\0S\0t\0u\0f\0f\0\0\0\0\0&\4\4"
		  "\1\0\0\0"), STEP_DOWN(DONE),
	  STEP_UP("\3\1\0x\0\0\1\0\26\0\0\0\22\0\0\0\2\0\0\0\0\0\0\0\0\0\1\0\0\0\377\377\12\0\0\0\0\0\347@\37\11\4\320\00040\0d\0"
		  "e\0l\0e\0t\0e\0 \0f\0r\0o\0m\0 \0t\0 \0w\0h\0e\0r\0e\0 \0i\0=\0@\0a\0\0\0\347@\37\11\4\320\0004\14\0@\0a\0 \0"
		  "i\0n\0t\0"), STEP_DOWN(DONE),
	  STEP_UP("\3\1\0f\0\0\1\0\26\0\0\0\22\0\0\0\2\0\0\0\0\0\0\0\0\0\1\0\0\0\15\0s\0p\0_\0e\0x\0e\0c\0u\0t\0e\0s\0q\0l\0\2\0"
		  "\0\0\347\377\377\11\4\320\0004\20\0\0\0\0\0\0\0\20\0\0\0s\0e\0l\0e\0c\0t\0 \0001\0\0\0\0\0"), STEP_DOWN(DONE),
	  STEP_UP("\3\1\0Y\0\0\1\0\26\0\0\0\22\0\0\0\2\0\0\0\0\0\0\0\0\0\1\0\0\0\377\377\15\0\0\0\0\1&\4\0\0\0\347@\37\11\4\320\0"
		  "4\0\0\0\0\347@\37\11\4\320\0004\30\0d\0r\0o\0p\0 \0t\0a\0b\0l\0e\0 \0u\0"), STEP_DOWN(DONE) },
	  LOGIN_TOLD T("'rpc','procedure':'p_GetStuff'") T("'rpc','procedure':'sp_executesql','query':'delete from t where i=@a','operation':'DELETE','tables':['t']")
	  T("'rpc','procedure':'sp_executesql','query':'select 1','operation':'SELECT'") T("'rpc','procedure':'sp_prepexec','query':'drop table u','operation':'DROP','tables':['u']"), 0 },
	{ "a message of several packets", { STEP_UP(LOGIN), STEP_DOWN(DONE), STEP_UP("\1\0\0<\0\0\1\0\26\0\0\0\22\0\0\0\2\0\0\0\0\0\0\0\0\0\1\0\0\0s\0e\0l\0e\0c\0t\0 \0001\0 \0f\0r\0o\0m\0 \0a\0\1"
		  "\1\0 \0\0\1\0d\0r\0o\0p\0 \0t\0a\0b\0l\0e\0 \0b\0"), STEP_DOWN(DONE), STEP_UP(BATCH) },
	  LOGIN_TOLD T("'batch','query':'select 1 from a','operation':'SELECT','partial':true,'tables':['a']") BATCH_TOLD, 0 },
	{ "procedures that cannot be read to their end", { STEP_UP(LOGIN), STEP_DOWN(DONE),
	  /* another call behind it; the statement in two pieces; and one that can, by another name */
	  STEP_UP("\003\001\000;\000\000\001\000\002\000p\000a\000\000\000\377\377\377\012\000\000\000\000\000\347@\037\011\004\320\0004\030\000d\000r\000o\000p\000 \000t\000a\000b\000l\000e\000 \000t\000"), STEP_DOWN(DONE),
	  STEP_UP("\003\001\0004\000\000\001\000\377\377\012\000\000\000\000\000\347\377\377\011\004\320\0004\376\377\377\377\377\377\377\377\004\000\000\000u\000s\000\004\000\000\000e\000 \000\000\000\000\000"), STEP_DOWN(DONE),
	  STEP_UP("\003\001\000D\000\000\001\000\021\000S\000Y\000S\000.\000S\000P\000_\000E\000x\000e\000c\000u\000t\000e\000s\000q\000l\000\000\000\000\000\347@\037\011\004\320\0004\012\000u\000s\000e\000 \000a\000"), STEP_DOWN(DONE) },
	  LOGIN_TOLD T("'rpc','procedure':'pa','partial':true") T("'rpc','procedure':'sp_executesql','query':'us','operation':'OTHER','partial':true")
	  T("'rpc','procedure':'SYS.SP_Executesql','query':'use a','operation':'USE','database':'a'"), 0 },
	{ "and others", { STEP_UP(LOGIN), STEP_DOWN(DONE),
	  /* parameters by name; a type that nobody knows; a call in two packets */
	  STEP_UP("\003\001\000l\000\000\001\000\015\000s\000p\000_\000e\000x\000e\000c\000u\000t\000e\000s\000q\000l\000\000\000\007@\000p\000a\000r\000a\000m\000s\000\000\347@\037\011\004\320\0004\014\000@\000a\000 \000i\000n\000t\000\005@\000s\000t\000m\000t\000\000\347@\037\011\004\320\0004\012\000u\000s\000e\000 \000a\000"), STEP_DOWN(DONE),
	  STEP_UP("\003\001\000\024\000\000\001\000\002\000p\000a\000\000\000\000\000\363\000"), STEP_DOWN(DONE),
	  STEP_UP("\003\000\000\020\000\000\001\000\002\000p\000a\000\000\000"), STEP_UP("\003\001\000\012\000\000\001\000\000\000"), STEP_DOWN(DONE) },
	  LOGIN_TOLD T("'rpc','procedure':'sp_executesql','query':'@a int','operation':'OTHER','partial':true")
	  T("'rpc','procedure':'pa','partial':true") T("'rpc','procedure':'pa','partial':true"), 0 },
	{ "TLS for the login alone", { STEP_UP("\22\1\0\32\0\0\1\0\0\0\13\0\6\1\0\21\0\1\377\14\0\0\0\0\0\0"), STEP_DOWN("\4\1\0\32\0\0\1\0\0\0\13\0\6\1\0\21\0\1\377\14\0\0\0\0\0\0"), STEP_UP("\22\1\0\21\0\0\1\0\26\3\1\0\4abcd"), STEP_DOWN("\22\1\0\21\0\0\1\0\26\3\1\0\4abcd"),
	  STEP_UP("\27\3\3\0\10abcdefgh"), STEP_DOWN(DONE), STEP_UP(BATCH), STEP_DOWN(DONE) }, T("'prelogin','encryption':'off'") BATCH_TOLD, 0 },
	{ "version 5", { STEP_UP("\2\1\2\0\0\0\1\0host\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\4bob\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0\0\0\0\0\0\0\0\3pw\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\00277\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\3\1\6\12\11\1\0\0\0\0\0\0\0\0\0\0isql\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0\0\0\0\0\4SYB\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0\0\0\0\0\0\0\0"), STEP_DOWN(DONE), STEP_UP("\17\1\0\33\0\0\1\0!\16\0\0\0\0select * from"), STEP_DOWN(DONE) },
	  T("'login','client_host':'host','user':'bob','application_name':'isql','server':'SYB'") T("'batch','query':'select * from','operation':'SELECT'"), 0 },
	{ "nonsense", { STEP_UP(LOGIN), STEP_UP("hello world") }, ANOMALY("tds.bad_packet") LOGIN_TOLD, 1 },
	{ "a lost piece of an answer", { STEP_UP(LOGIN), { DIR_TOCLIENT, NULL, 300 }, STEP_DOWN("the rest of it is here"), STEP_UP(BATCH), STEP_DOWN(ERROR), STEP_DOWN(DONE) },
	  "anomaly {'type':'stream','event':'stream.gap','layer':'stream'}\n" T("'login','client_host':'host','user':'sa','application_name':'app','server':'srv','database':'shop','error_code':208")
	  BATCH_TOLD, 0 },
	{ "letters of other alphabets", { STEP_UP(LOGIN), STEP_DOWN(DONE), STEP_UP("\1\1\0002\0\0\1\0\26\0\0\0\22\0\0\0\2\0\0\0\0\0\0\0\0\0\1\0\0\0u\0s\0e\0 \0\344\0\254 =\330\0\336\0\330a\0"), STEP_DOWN(DONE) },
	  LOGIN_TOLD T("'batch','query':'use \303\244\342\202\254\360\237\230\200\357\277\275','operation':'USE','database':'\303\244\342\202\254\360\237\230\200\357\277\275'"), 0 },
};

static void test_talks(void) { VECTORS_RUN(&ft, APP_TDS, talks); }

static void test_recognition(void)
{
	static const struct { const char *name, *up; size_t nup; const char *down; size_t ndown; bool mid; enum probe want; } p[] = {
#define R(name, up, down, mid, want) { name, up, sizeof(up) - 1, down, sizeof(down) - 1, mid, want }
		R("prelogin", PRELOGIN, "", false, PROBE_YES), R("login", LOGIN, "", false, PROBE_YES), R("batch", BATCH, "", true, PROBE_YES), R("batch at the beginning", BATCH, "", false, PROBE_NO),
		R("batch without headers", "\1\1\0,\0\0\1\0C\0O\0M\0M\0I\0T\0 \0T\0R\0A\0N\0S\0A\0C\0T\0I\0O\0N\0", "", true, PROBE_YES), R("no sql", "\1\1\0\36\0\0\1\0h\0e\0l\0l\0o\0 \0w\0o\0r\0l\0d\0", "", true, PROBE_NO),
		R("an answer", "", DONE, true, PROBE_YES), R("no prelogin", "\22\1\0\24\0\0\1\0\1\0\6\0\6\377123456", "", false, PROBE_NO), R("window", "\1\1\0,\0\0\1\1C\0O\0M\0M\0I\0T\0 \0T\0R\0A\0N\0S\0A\0C\0T\0I\0O\0N\0", "", true, PROBE_NO),
	};

	for (unsigned i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
		enum probe got = vector_probe(&proto_tds, p[i].up, p[i].nup, p[i].down, p[i].ndown, p[i].mid);

		CU_ASSERT_EQUAL(got, p[i].want);
		if (got != p[i].want)
			printf("\n%s: %d\n", p[i].name, got);
	}
	for (size_t n = 1; n < sizeof(PRELOGIN) - 1; n++)
		CU_ASSERT_NOT_EQUAL(vector_probe(&proto_tds, PRELOGIN, n, "", 0, false), PROBE_NO);
	vectors_strangers(&proto_tds, "tds");
}

static void test_hostile(void)
{
	for (unsigned i = 0; i < 7; i++)
		vectors_hostile(&ft, &talks[i]);
}

const struct unit_test tests_tds[] = {
	{ "conversations, however cut", test_talks },
	{ "what is tds and what is not", test_recognition },
	{ "hostile bytes", test_hostile },
	{ NULL, NULL },
};
