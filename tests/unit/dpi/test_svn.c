/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "greetings", 4000, false, false, APP_SVN, "< '( success ( 2 2 ( ANONYMOUS ) ( edit-pipeline svndiff1 ) ) ) '\n> '( 2 ( edit-pipeline svndiff1 ) 15:svn://host/repo 9:SVN/1.14. ( ) ) '",
		  "svn {'url':'svn://host/repo','agent':'SVN/1.14.'}\n" },
		{ "an old client, first", 3690, false, false, APP_SVN, "> '( 2 ( edit-pipeline ) 10:svn://h/rr ) '", "svn {'url':'svn://h/rr'}\n" },
		{ "a length that is none", 3690, false, true, APP_SVN, "< '( success ( 2 2 ( ) ( ) ) ) '\n> '( 2 ( edit-pipeline ) abc:svn://h ) '", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "another list", 3690, .talk = "< '( failure ( '" },
		{ "lisp", 3690, .talk = "> '( 2 ( 3 4 ) )'" },
	};

	TALKS_REFUSED(APP_SVN, v);
}

const struct unit_test tests_svn[] = {
	{ "messages", test_talk },
	{ "what is not SVN is refused", test_refused },
	{ NULL, NULL },
};
