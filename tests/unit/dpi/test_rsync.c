/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "a module with a user", 4000, false, false, APP_RSYNC, "< '@RSYNCD: 31.0' 0a\n> '@RSYNCD: 31.0 sha512' 0a 'backup' 0a\n< 'hello' 0a '@RSYNCD: AUTHREQD xyz' 0a\n> 'bob 1234' 0a\n< '@RSYNCD: OK' 0a",
		  "rsync {'version':'31.0','module':'backup','user':'bob','result':'ok'}\n" },
		{ "refused", 873, false, false, APP_RSYNC, "< '@RSYNCD: 30.0' 0a\n> '@RSYNCD: 30.0' 0a 'x' 0a\n< '@ERROR: Unknown module' 0a", "rsync {'version':'30.0','module':'x','result':'error'}\n" },
		{ "a line too long", 873, false, true, APP_RSYNC, "< '@RSYNCD: 31.0' 0a 41*2000", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "another word", 873, .talk = "< '@RSYNC: 31.0' 0a" },
		{ "no version", 873, .talk = "< '@RSYNCD: OK' 0a" },
	};

	TALKS_REFUSED(APP_RSYNC, v);
}

const struct unit_test tests_rsync[] = {
	{ "messages", test_talk },
	{ "what is not RSYNC is refused", test_refused },
	{ NULL, NULL },
};
