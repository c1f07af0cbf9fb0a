/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "5", 2055, true, false, APP_NETFLOW, "> 0005 0001 00001000 60000000 00000000 00000001 0102 0000 00*48", "netflow {'version':5,'source_id':258}\n" },
		{ "9", 4000, true, false, APP_NETFLOW, "> 0009 0001 00001000 60000000 00000001 00000007 0000 0010 0100 0002 0008 0004 000c 0004\n> 0009 0001 00001000 60000000 00000001 00000007 0100 0008 aabbccdd", "netflow {'version':9,'source_id':7}\n" },
		{ "IPFIX", 4000, true, false, APP_NETFLOW, "> 000a 0018 60000000 00000001 00000009 0100 0008 aabbccdd", "netflow {'version':10,'source_id':9}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "a length that differs", 2055, true, .talk = "> 0005 0001 00001000 60000000 00000000 00000001 0102 0000 00*47" },
		{ "in 1970", 2055, true, .talk = "> 000a 0018 00000100 00000001 00000009 0100 0008 aabbccdd" },
		{ "a set too long", 4739, true, .talk = "> 000a 0018 60000000 00000001 00000009 0100 0009 aabbccdd" },
	};

	TALKS_REFUSED(APP_NETFLOW, v);
}

const struct unit_test tests_netflow[] = {
	{ "messages", test_talk },
	{ "what is not NETFLOW is refused", test_refused },
	{ NULL, NULL },
};
