/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "a session", 4000, false, false, APP_AFP, "> 00 04 0001 00*4 00000006 00*4 01 04 00000400\n< 01 04 0001 00*4 00000006 00*4 00 04 00000400\n> 00 05 0002 00*12",
		  NULL },
		{ "login and volume", 548, false, false, APP_AFP, "> 00 03 0001 00*4 00000000 00*4\n< 01 03 0001 00*4 00000002 00*4 aabb\n> 00 02 0002 00*4 0000001a 00*4 12 [1 'AFP3.4' ] [1 'DHX2' ] [1 'alice' ] 00*7 00 05 0003 00*12\n< 01 02 0002 ffffec69 00000000 00*4",
		  "afp {'command':'get_status'}\nafp {'command':'login','version':'AFP3.4','uam':'DHX2','user':'alice','error':-5015}\n" },
		{ "broken", 548, false, true, APP_AFP, "> 00 03 0001 00*12\n< 01 03 0001 00*12\n> 02 02 0002 00*12", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "an answer to something else", 548, .talk = "> 00 03 0001 00*12\n< 01 03 0002 00*12" },
		{ "no status", 548, .talk = "> 00 02 0001 00*12\n< 01 02 0001 00*12" },
	};

	TALKS_REFUSED(APP_AFP, v);
}

const struct unit_test tests_afp[] = {
	{ "messages", test_talk },
	{ "what is not AFP is refused", test_refused },
	{ NULL, NULL },
};
