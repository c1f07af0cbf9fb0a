/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "down, up, up", 3784, true, false, APP_BFD, "> 20 40 03 18 00000001 00000000 000f4240 000f4240 00000000\n> 20 c0 03 18 00000001 00000002 000f4240 000f4240 00000000\n> 20 c0 03 18 00000001 00000002 000f4240 000f4240 00000000",
		  "bfd {'state':'down','diagnostic':'none','discriminator':1}\nbfd {'state':'up','diagnostic':'none','discriminator':1}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "up with nobody", 3784, true, .talk = "> 20 c0 03 18 00000001 00000000 000f4240 000f4240 00000000" },
		{ "a length that differs", 3784, true, .talk = "> 20 40 03 19 00000001 00000000 000f4240 000f4240 00000000" },
		{ "an hour", 4000, true, .talk = "> 20 40 03 18 00000001 00000000 f00f4240 000f4240 00000000" },
	};

	TALKS_REFUSED(APP_BFD, v);
}

const struct unit_test tests_bfd[] = {
	{ "messages", test_talk },
	{ "what is not BFD is refused", test_refused },
	{ NULL, NULL },
};
