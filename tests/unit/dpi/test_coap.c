/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "get", 4000, true, false, APP_COAP, "> 42 01 0001 aabb 35 'a.org' 84 'temp' 03 'now' 43 'u=c'\n< 62 45 0001 aabb ff '21'", "coap {'code':'GET','host':'a.org','path':'/temp/now','query':'u=c'}\ncoap {'code':'2.05'}\n" },
		{ "ping, a broken one", 5683, true, false, APP_COAP, "> 40 00 0001\n> 40 01 0002 b9 'x'", "anomaly {'type':'proto','event':'coap.malformed','layer':'proto'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "no path, elsewhere", 4000, true, .talk = "> 42 01 0001 aabb" },
		{ "an option of nobody", 4000, true, .talk = "> 42 01 0001 aabb b4 'temp' e0 1000" },
		{ "version 2", 5683, true, .talk = "> 82 01 0001 aabb b4 'temp'" },
		{ "a token of 9", 5683, true, .talk = "> 49 01 0001 aa*9" },
	};

	TALKS_REFUSED(APP_COAP, v);
}

const struct unit_test tests_coap[] = {
	{ "messages", test_talk },
	{ "what is not COAP is refused", test_refused },
	{ NULL, NULL },
};
