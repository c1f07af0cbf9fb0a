/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "plain", 4000, true, false, APP_OPENVPN, "> 38 1122334455667788 00 00000000\n< 40 aa*8 01 00000000 1122334455667788 00000000", "openvpn {'control':'plain','session_id':'1122334455667788'}\n" },
		{ "tls-auth over TCP", 4000, false, false, APP_OPENVPN, "> [2 38 1122334455667788 bb*20 00000001 60000000 00 00000000 ]", "openvpn {'control':'tls-auth','session_id':'1122334455667788'}\n" },
		{ "tls-crypt", 1194, true, false, APP_OPENVPN, "> 38 1122334455667788 00000001 60000000 cc*37", "openvpn {'control':'tls-crypt','session_id':'1122334455667788'}\n" },
		{ "believed by its answer", 4000, true, false, APP_OPENVPN, "> 38 1122334455667788 bb*10 00 00000000\n< 40 aa*8 bb*20 00000001 60000000 01 00000000 1122334455667788 00000000", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "no number", 1194, true, .talk = "> 38 1122334455667788 bb*20 00000002 60000000 00 00000000" },
		{ "an answer to another session", 1194, true, .talk = "> 38 1122334455667788 bb*10 00 00000000\n< 40 aa*8 01 00000000 1122334455667789 00000000" },
		{ "another operation", 1194, .talk = "> [2 20 1122334455667788 00 00000000 ]" },
	};

	TALKS_REFUSED(APP_OPENVPN, v);
}

const struct unit_test tests_openvpn[] = {
	{ "messages", test_talk },
	{ "what is not OPENVPN is refused", test_refused },
	{ NULL, NULL },
};
