/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "cookie and CredSSP", 4000, false, false, APP_RDP, "> 0300 0029 24 e0 0000 0000 00 'Cookie: mstshash=bob' 0d0a 01 00 0800 03000000\n< 0300 0013 0e d0 0000 1234 00 02 1f 0800 02000000\n> 16030100",
		  "rdp {'cookie':'bob','requested':'tls,credssp','selected':'credssp'}\n" },
		{ "refused", 3389, false, false, APP_RDP, "> 0300 0013 0e e0 0000 0000 00 01 00 0800 00000000\n< 0300 0013 0e d0 0000 1234 00 03 00 0800 05000000",
		  "rdp {'requested':'rdp','failure':'hybrid_required'}\n" },
		{ "old and bare, answered", 3389, false, false, APP_RDP, "> 0300 000b 06 e0 0000 0000 00\n< 0300 000b 06 d0 0000 1234 00", "rdp {'selected':'rdp'}\n" },
		{ "old and bare, unanswered", 3389, false, false, APP_RDP, "> 0300 000b 06 e0 0000 0000 00", "rdp {}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "another ISO transport", 3389, .talk = "> 0300 0016 11 e0 0000 0001 00 c1 02 0100 c2 02 0102 c0 01 0a" },
		{ "bare, elsewhere", 4000, .talk = "> 0300 000b 06 e0 0000 0000 00" },
		{ "lengths that differ", 3389, .talk = "> 0300 000c 06 e0 0000 0000 00 00" },
	};

	TALKS_REFUSED(APP_RDP, v);
}

const struct unit_test tests_rdp[] = {
	{ "messages", test_talk },
	{ "what is not RDP is refused", test_refused },
	{ NULL, NULL },
};
