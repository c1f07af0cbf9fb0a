/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "a login", 4000, false, false, APP_TELNET, "< fffd18 fffb01\n> fffb18 fffd01\n< fffa18 01 fff0\n> fffa18 00 'xterm' fff0\n< 0d0a 'web login: '\n> 'rox' 7f 'ot' 0d00\n< 'Password: '\n> 'secret' 0d00",
		  "telnet {'user':'root','terminal':'xterm'}\n" },
		{ "one command each, nobody", 23, false, false, APP_TELNET, "> fffd03\n< fffb03 'hello'", "telnet {}\n" },
		{ "Username:", 23, false, false, APP_TELNET, "< fffb01 fffb03 0d0a 'Username: '\n> 'admin' 0d0a", "telnet {'user':'admin'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "one command and text", 23, .talk = "< fffd18 'hello there'" },
		{ "an option that there is not", 23, .talk = "< fffd60 fffd61" },
		{ "text", 23, .talk = "< 'login: '\n> 'root'" },
	};

	TALKS_REFUSED(APP_TELNET, v);
}

const struct unit_test tests_telnet[] = {
	{ "messages", test_talk },
	{ "what is not TELNET is refused", test_refused },
	{ NULL, NULL },
};
