/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "3.8 with a password", 4000, false, false, APP_VNC, "< 'RFB 003.008' 0a\n> 'RFB 003.008' 0a\n< 02 01 02\n> 02\n< aa*16\n> bb*16\n< 00000000\n> 01\n< 0400 0300 00*16 [4 'desk' ]",
		  "vnc {'server_version':'003.008','client_version':'003.008','security':'vnc','result':'ok','desktop':'desk'}\n" },
		{ "3.8 refused", 5900, false, false, APP_VNC, "< 'RFB 003.008' 0a\n> 'RFB 003.008' 0a\n< 01 02\n> 02\n< aa*16\n> bb*16\n< 00000001 [4 'no' ]",
		  "vnc {'server_version':'003.008','client_version':'003.008','security':'vnc','result':'failed'}\n" },
		{ "3.3 without security", 5900, false, false, APP_VNC, "< 'RFB 003.003' 0a\n> 'RFB 003.003' 0a\n< 00000001\n> 01\n< 0400 0300 00*16 [4 'd' ]",
		  "vnc {'server_version':'003.003','client_version':'003.003','security':'none','desktop':'d'}\n" },
		{ "only versions", 5900, false, false, APP_VNC, "< 'RFB 003.889' 0a\n> 'RFB 003.008' 0a", "vnc {'server_version':'003.889','client_version':'003.008'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "another line", 5900, .talk = "< 'RFB 3.8' 0a" },
	};

	TALKS_REFUSED(APP_VNC, v);
}

const struct unit_test tests_vnc[] = {
	{ "messages", test_talk },
	{ "what is not VNC is refused", test_refused },
	{ NULL, NULL },
};
