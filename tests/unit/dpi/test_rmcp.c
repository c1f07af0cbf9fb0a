/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "ping and pong", 623, true, false, APP_RMCP, "> 06 00 ff 06 000011be 80 00 00 00\n< 06 00 ff 86\n< 06 00 ff 06 000011be 40 00 00 10 00*16",
		  "rmcp {'class':'asf','type':'presence_ping'}\nrmcp {'class':'asf','type':'presence_pong'}\n" },
		{ "a challenge for root", 4000, true, false, APP_RMCP, "> 06 00 ff 07 00 00*4 00*4 18 20 18 c8 81 00 39 04 'root' 00*12 7e",
		  "rmcp {'class':'ipmi','type':'request','netfn':'app','command':'get_session_challenge','user':'root','session_id':0}\n" },
		{ "version 2.0", 623, true, false, APP_RMCP, "> 06 00 ff 07 06 12 00*4 00*4 2000 00*24 14 00 00 04 'root'\n> 06 00 ff 07 06 c0 01020304 00*4 0400 aabbccdd",
		  "rmcp {'class':'ipmi','type':'rakp_1','user':'root','session_id':0}\nrmcp {'class':'ipmi','type':'ipmi','session_id':67305985}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "another enterprise", 623, true, .talk = "> 06 00 ff 06 000011bf 80 00 00 00" },
		{ "a checksum that is wrong", 623, true, .talk = "> 06 00 ff 07 00 00*4 00*4 07 20 18 c9 81 00 38 00" },
		{ "a length that differs", 623, true, .talk = "> 06 00 ff 06 000011be 80 00 00 01" },
	};

	TALKS_REFUSED(APP_RMCP, v);
}

const struct unit_test tests_rmcp[] = {
	{ "messages", test_talk },
	{ "what is not RMCP is refused", test_refused },
	{ NULL, NULL },
};
