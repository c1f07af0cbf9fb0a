/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "greetings", 4000, false, false, APP_SVN, "< '( success ( 2 2 ( ANONYMOUS ) ( edit-pipeline svndiff1 ) ) ) '\n> '( 2 ( edit-pipeline svndiff1 ) 15:svn://host/repo 9:SVN/1.14. ( ) ) '",
		  "svn {'url':'svn://host/repo','agent':'SVN/1.14.'}\n" },
		{ "an old client, first", 3690, false, false, APP_SVN, "> '( 2 ( edit-pipeline ) 10:svn://h/rr ) '", "svn {'url':'svn://h/rr'}\n" },
		{ "a login and commands", 3690, false, false, APP_SVN, "< '( success ( 2 2 ( ) ( ) ) ) '\n> '( 2 ( depth ) 10:svn://h/rr 3:x/1 ( ) ) '\n"
		  "< '( success ( ( ANONYMOUS CRAM-MD5 ) 3:lab ) ) '\n> '( CRAM-MD5 ( ) ) '\n< '( step ( 3:<1> ) ) '\n> '14:alice b 012345'\n< '( success ( ) ) '\n"
		  "> '( get-file ( 9:trunk/a b ( 3 ) true false ) ) ( get-latest-rev ( ) )'\n> '( commit ( 3:msg ( ) true ( ) ) ) ( open-root ( ( ) 2:d0 ) ) ( add-file ( 5:t/new 2:d0 ) ) ( textdelta-chunk ( 2:c1 6:)(12:x ) ) '\n"
		  "> '( delete-entry ( 3:old ( 3 ) 2:d0 ) ) ( close-edit ( ) ) ( PLAIN ( 16:AGJvYgBwdwAAAAAA ) ) '",
		  "svn {'url':'svn://h/rr','agent':'x/1'}\nsvn {'mechanism':'CRAM-MD5','user':'alice b'}\nsvn {'operation':'get-file','path':'trunk/a b'}\nsvn {'operation':'commit'}\n"
		  "svn {'operation':'add-file','path':'t/new'}\nsvn {'operation':'delete-entry','path':'old'}\nsvn {'mechanism':'PLAIN','user':'bob'}\n" },
		{ "a parenthesis too many", 3690, false, true, APP_SVN, "> '( 2 ( depth ) 10:svn://h/rr ( ) ) ) '", "svn {'url':'svn://h/rr'}\nanomaly {'type':'proto','event':'svn.bad_item','layer':'proto'}\n" },
		{ "too deep", 3690, false, true, APP_SVN, "> '( 2 ( depth ) 10:svn://h/rr ( ) ) ' 28*33", NULL },
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
