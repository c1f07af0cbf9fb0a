/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "who is, I am, read property", 47808, true, false, APP_BACNET,
		  "> 81 0b 000c 01 20 ffff 00 ff 10 08\n< 81 0a 0014 01 00 10 00 c4 0200000a 22 01e0 91 00 21 00\n> 81 0a 0011 01 04 00 05 01 0c 0c 0200000a 19 4d",
		  "bacnet {'function':'broadcast','type':'unconfirmed_request','service':'who_is'}\nbacnet {'function':'unicast','type':'unconfirmed_request','service':'i_am'}\n"
		  "bacnet {'function':'unicast','type':'confirmed_request','service':'read_property'}\n" },
		{ "register on any port", 4000, true, false, APP_BACNET, "> 81 05 0006 003c", "bacnet {'function':'register_foreign_device'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "a length that differs", 47808, true, .talk = "> 81 0b 000d 01 20 ffff 00 ff 10 08" },
		{ "another version of the network", 47808, true, .talk = "> 81 0b 000c 02 20 ffff 00 ff 10 08" },
	};

	TALKS_REFUSED(APP_BACNET, v);
}

const struct unit_test tests_bacnet[] = {
	{ "messages", test_talk },
	{ "what is not BACNET is refused", test_refused },
	{ NULL, NULL },
};
