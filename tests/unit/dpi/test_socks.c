/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "5 with a name, then something unknown", 4000, false, false, APP_SOCKS, "> 05 02 00 02\n< 05 02\n> 01 05 'alice' 01 'x'\n< 01 00\n> 05 01 00 03 [1 'example.com' ] 0050\n< 05 00 00 01 0a000001 1234\n> fefefefe\n< fdfdfdfd",
		  "socks {'version':5,'command':'connect','host':'example.com','port':80,'user':'alice','result':'success'}\n" },
		{ "5 refused", 1080, false, false, APP_SOCKS, "> 05 01 00\n< 05 00\n> 05 01 00 01 0a000001 0016\n< 05 05 00 01 00*6",
		  "socks {'version':5,'command':'connect','host':'10.0.0.1','port':22,'result':'connection_refused'}\n" },
		{ "4", 1080, false, false, APP_SOCKS, "> 04 01 0016 0a000001 'bob' 00\n< 00 5b 0000 00000000", "socks {'version':4,'command':'connect','host':'10.0.0.1','port':22,'user':'bob','result':'rejected'}\n" },
		{ "4a", 1080, false, false, APP_SOCKS, "> 04 01 0016 00000001 00 'a.b' 00\n< 00 5b 0000 00000000", "socks {'version':4,'command':'connect','host':'a.b','port':22,'result':'rejected'}\n" },
		{ "SSH inside", 1080, false, false, APP_SSH, "> 05 01 00\n< 05 00\n> 05 01 00 04 20010db8 00*11 01 0016\n< 05 00 00 01 0a000001 1234\n< 'SSH-2.0-s' 0d0a\n> 'SSH-2.0-c' 0d0a", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "a method that was not offered", 1080, .talk = "> 05 01 00\n< 05 02" },
		{ "no methods", 1080, .talk = "> 05 00\n< 05 00" },
		{ "4 without an answer", 1080, .talk = "> 04 01 0016 0a000001 00" },
		{ "4 with bytes behind it", 1080, .talk = "> 04 01 0016 0a000001 00 61\n< 00 5a 0000 00000000" },
	};

	TALKS_REFUSED(APP_SOCKS, v);
}

const struct unit_test tests_socks[] = {
	{ "messages", test_talk },
	{ "what is not SOCKS is refused", test_refused },
	{ NULL, NULL },
};
