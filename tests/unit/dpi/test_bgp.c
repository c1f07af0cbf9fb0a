/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "a session", 4000, false, false, APP_BGP,
		  "> ff*16 001d 01 04 fde8 00b4 0a000001 00 ff*16 0013 04\n< ff*16 001d 01 04 fde9 00b4 0a000002 00 ff*16 001d 02 0002 080a 0000 18c00002 ff*16 0015 03 06 02",
		  "bgp {'type':'open','as':65000,'hold_time':180,'router_id':'10.0.0.1'}\nbgp {'type':'open','as':65001,'hold_time':180,'router_id':'10.0.0.2'}\n"
		  "bgp {'type':'update','withdrawn':['10.0.0.0/8'],'prefixes':['192.0.2.0/24']}\nbgp {'type':'notification','error_code':'cease'}\n" },
		{ "broken", 179, false, true, APP_BGP, "> ff*16 0013 04 fe*19", "anomaly {'type':'proto','event':'bgp.header','layer':'proto'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "a short marker", 179, .talk = "> ff*15 00 0013 04" },
		{ "type 6", 179, .talk = "> ff*16 0013 06" },
	};

	TALKS_REFUSED(APP_BGP, v);
}

const struct unit_test tests_bgp[] = {
	{ "messages", test_talk },
	{ "what is not BGP is refused", test_refused },
	{ NULL, NULL },
};
