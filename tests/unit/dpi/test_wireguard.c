/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "handshake", 51820, true, false, APP_WIREGUARD, "> 01000000 2a000000 aa*140\n< 02000000 2b000000 aa*84\n> 04000000 2b000000 00*8 aa*16",
		  "wireguard {'type':'initiation','sender':42}\nwireguard {'type':'response','sender':43}\n" },
		{ "data in the middle", 4000, true, false, APP_WIREGUARD, "> 04000000 2b000000 01 00*7 aa*16\n< 04000000 2b000000 01 00*7 aa*32", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "another size", 51820, true, .talk = "> 01000000 aa*143" },
		{ "a counter too high", 51820, true, .talk = "> 04000000 2b000000 00*6 0100 aa*16" },
		{ "no multiple of 16", 51820, true, .talk = "> 04000000 2b000000 00*8 aa*17" },
	};

	TALKS_REFUSED(APP_WIREGUARD, v);
}

const struct unit_test tests_wireguard[] = {
	{ "messages", test_talk },
	{ "what is not WIREGUARD is refused", test_refused },
	{ NULL, NULL },
};
