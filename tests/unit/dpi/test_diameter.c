/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "capabilities", 4000, false, false, APP_DIAMETER, "> 01 000030 80 000101 00000000 00000001 00000002 00000108 40 00000b 'c.x' 00 00000128 40 000010 'realm.ex'\n< 01 000020 00 000101 00000000 00000001 00000002 0000010c 40 00000c 000007d1",
		  "diameter {'command':'capabilities_exchange','application_id':0,'origin_host':'c.x','origin_realm':'realm.ex','result_code':2001}\n" },
		{ "broken, unanswered", 3868, false, true, APP_DIAMETER, "> 01 000030 c0 000110 00000004 00000001 00000002 00000107 40 00000b 's;1' 00 00000001 40 00000d 'alice' 00*3 02 00*19",
		  "anomaly {'type':'proto','event':'diameter.header','layer':'proto'}\ndiameter {'command':'credit_control','application_id':4,'session_id':'s;1','user':'alice'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "another version", 3868, .talk = "> 02 000014 80 000101 00*12 00000108 40 00000b" },
		{ "another beginning", 3868, .talk = "> 01 000020 80 000101 00*12 00000999 40 00000b" },
	};

	TALKS_REFUSED(APP_DIAMETER, v);
}

const struct unit_test tests_diameter[] = {
	{ "messages", test_talk },
	{ "what is not DIAMETER is refused", test_refused },
	{ NULL, NULL },
};
