/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "access", 1812, true, false, APP_RADIUS,
		  "> 01 07 0033 aa*16 01 07 'alice' 02 12 bb*16 04 06 0a000001\n< 03 07 001a cc*16 12 06 'nope'",
		  "radius {'code':'access_request','id':7,'user':'alice','nas_ip':'10.0.0.1'}\nradius {'code':'access_reject','id':7,'reply_message':'nope'}\n" },
		{ "accounting on any port", 4000, true, false, APP_RADIUS, "> 04 08 002e aa*16 28 06 00000001 2c 05 's-1' 1f 03 'c' 1e 03 'd' 20 03 'n' 08 06 0a000009",
		  "radius {'code':'accounting_request','id':8,'acct_status':'start','acct_session':'s-1','calling_station':'c','called_station':'d',"
		  "'nas_identifier':'n','framed_ip':'10.0.0.9'}\n" },
		{ "bare answers, an oddity between", 1812, true, false, APP_RADIUS, "> 01 01 001b aa*16 01 07 'alice'\n< 02 01 0014 cc\n< 02 01 0014 cc*16",
		  "radius {'code':'access_request','id':1,'user':'alice'}\nanomaly {'type':'proto','event':'radius.malformed','layer':'proto'}\n"
		  "radius {'code':'access_accept','id':1}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "a length that differs", 1812, true, .talk = "> 01 01 001c aa*16 01 07 'alice'" },
		{ "an attribute of one byte", 1812, true, .talk = "> 01 01 0016 aa*16 01 01" },
		{ "an address of three bytes", 1812, true, .talk = "> 01 01 0019 aa*16 04 05 0a0000" },
		{ "code 6", 1812, true, .talk = "> 06 01 001b aa*16 01 07 'alice'" },
		{ "nothing inside, elsewhere", 4000, true, .talk = "> 01 01 0014 aa*16" },
	};

	TALKS_REFUSED(APP_RADIUS, v);
}

const struct unit_test tests_radius[] = {
	{ "requests and answers", test_talk },
	{ "what is not RADIUS is refused", test_refused },
	{ NULL, NULL },
};
