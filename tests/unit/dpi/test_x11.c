/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
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

const struct unit_test tests_x11[] = {
	{ "messages", test_talk },
	{ "what is not X11 is refused", test_refused },
	{ NULL, NULL },
};
