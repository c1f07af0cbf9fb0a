/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "a sample", 6343, true, false, APP_SFLOW, "> 00000005 00000001 0a000001 00000002 00000001 00001000 00000001 00000001 00000004 aabbccdd", "sflow {'agent':'10.0.0.1','sub_agent':2}\n" },
		{ "IPv6, no samples", 4000, true, false, APP_SFLOW, "> 00000005 00000002 20010db8 00*11 01 00000000 00000001 00001000 00000000", "sflow {'agent':'2001:db8::1','sub_agent':0}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "a sample too long", 6343, true, .talk = "> 00000005 00000001 0a000001 00000002 00000001 00001000 00000001 00000001 00000008 aabbccdd" },
		{ "bytes behind it", 6343, true, .talk = "> 00000005 00000001 0a000001 00000002 00000001 00001000 00000000 00" },
	};

	TALKS_REFUSED(APP_SFLOW, v);
}

const struct unit_test tests_sflow[] = {
	{ "messages", test_talk },
	{ "what is not SFLOW is refused", test_refused },
	{ NULL, NULL },
};
