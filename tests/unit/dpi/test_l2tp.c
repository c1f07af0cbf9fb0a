/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "start", 1701, true, false, APP_L2TP, "> c802 0028 0000 0000 0000 0000 8008 0000 0000 0001 8008 0000 0007 'pc' 000c 0000 0008 'vendor'\n< c802 000c 0001 0000 0000 0001",
		  "l2tp {'type':'sccrq','version':2,'tunnel':0,'hostname':'pc','vendor':'vendor'}\n" },
		{ "an AVP too short", 4000, true, false, APP_L2TP, "> c803 0018 0000 0000 0000 0000 8008 0000 0000 0002 8003 0000", "l2tp {'type':'sccrp','version':3,'tunnel':0}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "data", 1701, true, .talk = "> 0002 0001 0002 ff030021" },
		{ "a length that differs", 1701, true, .talk = "> c802 0015 0000 0000 0000 0000 8008 0000 0000 0001" },
		{ "an acknowledgement alone", 1701, true, .talk = "> c802 000c 0001 0000 0000 0001" },
	};

	TALKS_REFUSED(APP_L2TP, v);
}

const struct unit_test tests_l2tp[] = {
	{ "messages", test_talk },
	{ "what is not L2TP is refused", test_refused },
	{ NULL, NULL },
};
