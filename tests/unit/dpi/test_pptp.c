/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "start and call", 4000, false, false, APP_PPTP,
		  "> 009c 0001 1a2b3c4d 0001 0000 0100 0000 00*8 0000 0001 'pc' 00*62 'linux' 00*59 0010 0001 1a2b3c4d 0005 0000 00000001\n< 000c 0001 1a2b3c4d 0004 0000",
		  "pptp {'type':'start_request','hostname':'pc','vendor':'linux'}\npptp {'type':'stop_reply'}\n" },
		{ "broken", 1723, false, true, APP_PPTP, "> 000c 0001 1a2b3c4d 0004 0000 000c 0001 1a2b3c4e 0004 0000", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "another magic", 1723, .talk = "> 000c 0001 1a2b3c4e 0004 0000" },
	};

	TALKS_REFUSED(APP_PPTP, v);
}

const struct unit_test tests_pptp[] = {
	{ "messages", test_talk },
	{ "what is not PPTP is refused", test_refused },
	{ NULL, NULL },
};
