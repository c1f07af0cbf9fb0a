/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "read and link status", 4000, false, false, APP_DNP3, "> 0564 0b c4 0100 0200 699e c0 c1 01 3c 02 06 52c3 0564 05 c9 0100 0200 3b95", "dnp3 {'function':'read','source':2,'destination':1}\n" },
		{ "a datagram", 20000, true, false, APP_DNP3, "> 0564 0b c4 0100 0200 699e c0 c1 01 3c 02 06 52c3", "dnp3 {'function':'read','source':2,'destination':1}\n" },
		{ "a wrong checksum", 20000, false, true, APP_DNP3, "> 0564 05 c9 0100 0200 3b95 0564 05 c9 0100 0200 0000", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "a wrong checksum", 20000, .talk = "> 0564 0b c4 0100 0200 0000" },
	};

	TALKS_REFUSED(APP_DNP3, v);
}

const struct unit_test tests_dnp3[] = {
	{ "messages", test_talk },
	{ "what is not DNP3 is refused", test_refused },
	{ NULL, NULL },
};
