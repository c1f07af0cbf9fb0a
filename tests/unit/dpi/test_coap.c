/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "get", 4000, true, false, APP_COAP, "> 42 01 0001 aabb 35 'a.org' 84 'temp' 03 'now' 43 'u=c'\n< 62 45 0001 aabb ff '21'", "coap {'code':'GET','host':'a.org','path':'/temp/now','query':'u=c'}\ncoap {'code':'2.05'}\n" },
		{ "ping, a broken one", 5683, true, false, APP_COAP, "> 40 00 0001\n> 40 01 0002 b9 'x'", "anomaly {'type':'proto','event':'coap.malformed','layer':'proto'}\n" },
		{ "over TCP, two in one segment and a long answer", 4000, false, false, APP_COAP,
		  "> 50e12380010020\n< 20e12140\n> 710172b474696d654171d00a03b3707574ff7061796c6f6164206f662031382062797465\n> 00e2\n< e100204572ff 7a*300\n",
		  "coap {'code':'GET','path':'/time','query':'q'}\ncoap {'code':'PUT','path':'/put'}\ncoap {'code':'2.05'}\n" },
		{ "over TCP a broken one ends it", 4000, false, true, APP_COAP, "> 50e12380010020 20 01 bf00\n", "anomaly {'type':'proto','event':'coap.malformed','layer':'proto'}\n" },
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
		{ "over TCP: no capabilities first", 5683, false, .talk = "> 50 01 23 800100 20" },
		{ "over TCP: a capability of nobody", 5683, false, .talk = "> 20 e1 51 40" },
		{ "over TCP: another answers", 5683, false, .talk = "> 50 e1 23\n< 'HTTP/1.1 400'" },
	};

	TALKS_REFUSED(APP_COAP, v);
}

const struct unit_test tests_coap[] = {
	{ "messages", test_talk },
	{ "what is not COAP is refused", test_refused },
	{ NULL, NULL },
};
