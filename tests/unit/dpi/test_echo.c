/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "a datagram", 7, true, false, APP_ECHO, "> 'hello'\n< 'hello'\n> 'more'\n< 'else'", "echo {'length':5}\n" },
		{ "a stream", 7, false, false, APP_ECHO, "> 'hello there'\n< 'hello'\n< ' there'", "" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "another answer", 7, true, .talk = "> 'hello'\n< 'hellO'" },
		{ "a longer answer", 7, true, .talk = "> 'hello'\n< 'hello!'" },
		{ "no answer", 7, true, .talk = "> 'hello'" },
		{ "another port", 4000, true, .talk = "> 'hello'\n< 'hello'" },
		{ "a stream with another answer", 7, false, .talk = "> 'hello'\n< 'bye'" },
	};

	TALKS_REFUSED(APP_ECHO, v);
}

const struct unit_test tests_echo[] = {
	{ "the same comes back", test_talk },
	{ "something else comes back", test_refused },
	{ NULL, NULL },
};
