/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "clone", 4000, false, false, APP_GIT, "> '0030git-upload-pack /x.git' 00 'host=git.example.com' 00 \n< '0000'", "git {'operation':'upload-pack','repository':'/x.git','host':'git.example.com'}\n" },
		{ "push without a host", 9418, false, false, APP_GIT, "> '001cgit-receive-pack /x.git' 0a", "git {'operation':'receive-pack','repository':'/x.git'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "another service", 9418, .talk = "> '0032git-explode-pack /x.git' 00" },
		{ "no length", 9418, .talk = "> 'zz32git-upload-pack /x.git' 00" },
	};

	TALKS_REFUSED(APP_GIT, v);
}

const struct unit_test tests_git[] = {
	{ "messages", test_talk },
	{ "what is not GIT is refused", test_refused },
	{ NULL, NULL },
};
