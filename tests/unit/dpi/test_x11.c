/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/dpi/vector.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "success", 4000, false, false, APP_X11, "> 'l' 00 0b00 0000 1200 1000 0000 'MIT-MAGIC-COOKIE-1' 0000 aa*16\n< 01 00 0b00 0000 4000 00*16 0300 00*14 'Xor' 00*200",
		  "x11 {'authorization':'MIT-MAGIC-COOKIE-1','result':'success','vendor':'Xor'}\n" },
		{ "refused, big endian, without a name", 6000, false, false, APP_X11, "> 'B' 00 000b 0000 0000 0000 0000\n< 00 02 000b 0000 0001 'no' 0000", "x11 {'result':'failed'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "version 12", 6000, .talk = "> 'l' 00 0c00 0000 0000 0000 0000" },
		{ "a name of no text", 6000, .talk = "> 'l' 00 0b00 0000 0400 0000 0000 01020304" },
	};

	TALKS_REFUSED(APP_X11, v);
}

/* In the middle of a connection. */
static void test_middle(void)
{
#define PIXMAP "\65\30\4\0\0\1\3\2\0\2\3\2\20\0\20\0"
#define FREE "\66\0\2\0\0\1\3\2"
#define RENDER "\236\4\5\0" "abcdefghijklmnop"
#define KEY(seq, same) "\2\46" seq "0123" "4567" "89ab" "cdef" "ghij" "klmn" "\0\0" same "\0"
	static const struct { const char *name, *up; size_t nup; const char *down; size_t ndown; enum probe want; } v[] = {
#define R(name, up, down, want) { name, up, sizeof(up) - 1, down, sizeof(down) - 1, want }
		R("two requests", PIXMAP FREE, "", PROBE_YES), R("one", PIXMAP, "", PROBE_MORE), R("cut", PIXMAP RENDER RENDER "\236\32\7\0\0\0", "", PROBE_YES),
		R("big endian", "\66\0\0\2\1\0\0\1\66\0\0\2\1\0\0\1", "", PROBE_YES), R("extensions alone", RENDER RENDER RENDER RENDER, "", PROBE_NO),
		R("a length that is not the opcode's", "\65\30\5\0\0\1\3\2\0\2\3\2\20\0\20\0\0\0\0\0" FREE, "", PROBE_NO), R("no such opcode", PIXMAP "\170\0\1\0", "", PROBE_NO),
		R("no such number", PIXMAP "\66\0\2\0\0\0\0\340", "", PROBE_NO), R("text", "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "", PROBE_NO),
		R("events", "", KEY("\1\20", "\1") KEY("\2\20", "\0"), PROBE_YES), R("one event", "", KEY("\1\20", "\1"), PROBE_MORE),
		R("numbers that jump", "", KEY("\1\20", "\1") KEY("\2\60", "\0"), PROBE_NO), R("no screen", "", KEY("\1\20", "\7"), PROBE_NO),
		R("zeroes", "", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", PROBE_NO), R("requests and no event", PIXMAP, "+OK\r\n", PROBE_NO),
		R("a request and an event", PIXMAP, KEY("\1\20", "\1"), PROBE_MORE),
	};

	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		enum probe got = vector_probe(&proto_x11, v[i].up, v[i].nup, v[i].down, v[i].ndown, true);

		CU_ASSERT_EQUAL(got, v[i].want);
		if (got != v[i].want)
			printf("\n%s: %d\n", v[i].name, got);
		CU_ASSERT_NOT_EQUAL(vector_probe(&proto_x11, v[i].up, v[i].nup, v[i].down, v[i].ndown, false), PROBE_YES);
	}
}

const struct unit_test tests_x11[] = {
	{ "messages", test_talk },
	{ "what is not X11 is refused", test_refused },
	{ "in the middle", test_middle },
	{ NULL, NULL },
};
