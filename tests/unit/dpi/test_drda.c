/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drda: attributes, logins, statements in objects, both alphabets, messages in pieces. */
#include <stdio.h>

#include "tests/unit/dpi/vector.h"
#include "tests/unit/unit.h"

#define D(fields) "drda {'command':" fields "}\n"
#define EXCSAT "\0%\320\1\0\1\0\37\20A\0\12\21^\204\202\362\221\203\203\0\11\21m\310\326\342\343\367\0\10\24\4\24\3\0\7"
#define EXCSAT_TOLD D("'excsat','program':'db2jcc','server':'HOST7'")
#define EXCSATRD "\0\12\320\2\0\1\0\4\24C"

#define DROP(id) "\0\12\320Q\0" id "\0\4 \12\0\35\320\3\0" id "\0\27$\24\377\0\0\0\0\15\304\331\326\327@\343\301\302\323\305@\343\361"
#define DROPPED(more) D("'excsqlimm','query':'DROP TABLE T1','operation':'DROP','tables':['T1']" more)
#define CARD(format, id, state) "\0\x18\320" format "\0" id "\0\x12\x24\x08\0\xff\xff\xff\x34" state "JUNK"

static const struct flowtest ft = { .dport = 7000 };

static const struct vector talks[] = {
	{ "login", { STEP_UP(EXCSAT), STEP_DOWN(EXCSATRD), STEP_UP("\0\33\320A\0\1\0\25\20n\0\7\21\240\202\226\202\0\12\21\241secret\0 \320\1\0\1\0\32 \1\0\26!\20\342\301\324\327"
		  "\323\305@@@@@@@@@@@@") },
	  EXCSAT_TOLD D("'secchk','user':'bob'") D("'accrdb','database':'SAMPLE'"), 0 },
	{ "statements", { STEP_UP(EXCSAT), STEP_DOWN(EXCSATRD), STEP_UP("\0\26\320Q\0\1\0\20 \15\0\14!\23xxxxxxxx\0\13\320S\0\1\0\5$P\377\0!\320C\0\1\0\33$\24\0\0\0\0\21select * from"
		  " emp\377\0\12\320\1\0\1\0\4 \14"),
	  STEP_UP("\0\12\320Q\0\1\0\4 \12\0\35\320\3\0\1\0\27$\24\377\0\0\0\0\15\304\331\326\327@\343\301\302\323\305@\343\361") },
	  EXCSAT_TOLD D("'prpsqlstt','query':'select * from emp','operation':'SELECT','tables':['emp']") D("'opnqry'")
	  D("'excsqlimm','query':'DROP TABLE T1','operation':'DROP','tables':['T1']"), 0 },
	{ "a statement that does not come", { STEP_UP(EXCSAT), STEP_UP("\0\12\320Q\0\1\0\4 \15\0\12\320\1\0\1\0\4 \16\0\12\320Q\0\1\0\4 \15") }, EXCSAT_TOLD D("'prpsqlstt'") D("'rdbcmm'") D("'prpsqlstt'"), 0 },
	{ "pieces", { STEP_UP(EXCSAT), STEP_UP("\200\20\320\3\0\1\0\12\24zabcdef\200\4gh\0\4ij\0\12\320\1\0\1\0\4 \17") }, EXCSAT_TOLD D("'rdbrllbck'"), 0 },
	{ "nonsense", { STEP_UP(EXCSAT), STEP_UP("hello world") }, ANOMALY("drda.bad_message") EXCSAT_TOLD, 1 },
	{ "lost answers are nobody's loss", { STEP_UP(EXCSAT), { DIR_TOCLIENT, NULL, 99 }, STEP_UP("\0\12\320\1\0\1\0\4 \16") },
	  "anomaly {'type':'stream','event':'stream.gap','layer':'stream'}\n" EXCSAT_TOLD D("'rdbcmm'"), 0 },
	{ "a state in EBCDIC behind a notice, one in ASCII", { STEP_UP(EXCSAT), STEP_DOWN(EXCSATRD), STEP_UP(DROP("\1") DROP("\2")),
	  STEP_DOWN("\0\12\320R\0\1\0\4\42\14" CARD("C", "\1", "\xf4\xf2\xf7\xf0\xf4") CARD("\3", "\2", "23505")) },
	  EXCSAT_TOLD DROPPED(",'sqlstate':'42704'") DROPPED(",'sqlstate':'23505'"), 0 },
	{ "no error: null, and success", { STEP_UP(EXCSAT), STEP_DOWN(EXCSATRD), STEP_UP(DROP("\1") DROP("\2")), STEP_DOWN("\0\13\320C\0\1\0\5\x24\x08\xff" CARD("\3", "\2", "00000")) },
	  EXCSAT_TOLD DROPPED("") DROPPED(""), 0 },
	{ "reply messages", { STEP_UP(EXCSAT), STEP_DOWN(EXCSATRD), STEP_UP("\0\33\320\1\0\1\0\25\20n\0\7\21\240\202\226\202\0\12\21\241secret"),
	  STEP_DOWN("\0\25\320\2\0\1\0\17\x12\x19\0\6\x11\x49\0\0\0\5\x11\xa4\x13"), STEP_UP("\0\12\320\1\0\1\0\4 \16"),
	  STEP_DOWN("\0\20\320\2\0\1\0\12\x2f\x01\0\6\x11\x49\0\x10") },
	  EXCSAT_TOLD D("'secchk','user':'bob','error_code':'secchkrm'") D("'rdbcmm','error_code':'0x2f01'"), 0 },
	{ "nonsense of a server", { STEP_UP(EXCSAT), STEP_DOWN(EXCSATRD "hello world") }, EXCSAT_TOLD ANOMALY("drda.bad_message"), 1 },
};

static void test_talks(void) { VECTORS_RUN(&ft, APP_DRDA, talks); }

static void test_recognition(void)
{
	static const struct { const char *name, *up; size_t nup; const char *down; size_t ndown; bool mid; enum probe want; } p[] = {
#define R(name, up, down, mid, want) { name, up, sizeof(up) - 1, down, sizeof(down) - 1, mid, want }
		R("attributes", EXCSAT, "", false, PROBE_YES), R("the server's", "", EXCSATRD, false, PROBE_YES), R("a commit", "\0\12\320\1\0\1\0\4 \16", "", true, PROBE_YES),
		R("a commit at the beginning", "\0\12\320\1\0\1\0\4 \16", "", false, PROBE_NO), R("inner length", "\0\x0a\xd0\1\0\1\0\5\x10\x41", "", false, PROBE_NO),
	};

	for (unsigned i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
		enum probe got = vector_probe(&proto_drda, p[i].up, p[i].nup, p[i].down, p[i].ndown, p[i].mid);

		CU_ASSERT_EQUAL(got, p[i].want);
		if (got != p[i].want)
			printf("\n%s: %d\n", p[i].name, got);
	}
	for (size_t n = 1; n < sizeof(EXCSAT) - 1; n++)
		CU_ASSERT_NOT_EQUAL(vector_probe(&proto_drda, EXCSAT, n, "", 0, false), PROBE_NO);
	vectors_strangers(&proto_drda, "drda");
}

static void test_hostile(void)
{
	for (unsigned i = 0; i < 4; i++)
		vectors_hostile(&ft, &talks[i]);
}

const struct unit_test tests_drda[] = {
	{ "conversations, however cut", test_talks },
	{ "what is drda and what is not", test_recognition },
	{ "hostile bytes", test_hostile },
	{ NULL, NULL },
};
