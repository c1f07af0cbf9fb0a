/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "a login", 4000, false, false, APP_ISCSI, "> 43 87 0000 00 000035 00*40 'InitiatorName=iqn.i' 00 'TargetName=iqn.t' 00 'AuthMethod=None' 00 00*3\n< 23 87 0000 00 000000 00*40\n> 01 00*47",
		  "iscsi {'initiator':'iqn.i','target':'iqn.t','auth_method':'None','status':'success'}\n" },
		{ "refused", 3260, false, false, APP_ISCSI, "> 43 87 0000 00 000014 00*40 'InitiatorName=iqn.i' 00\n< 23 00 0000 00 000000 00*28 0201 00*10", "iscsi {'initiator':'iqn.i','status':'authentication_failure'}\n" },
		{ "a length that lies", 3260, false, true, APP_ISCSI, "> 43 87 0000 00 000014 00*40 'InitiatorName=iqn.i' 00 43 87 0000 00 ffffff 00*40", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "no name", 3260, .talk = "> 43 87 0000 00 000014 00*40 'Initiatorname=iqn.i' 00" },
		{ "a version", 3260, .talk = "> 43 87 0001 00 000014 00*40 'InitiatorName=iqn.i' 00" },
	};

	TALKS_REFUSED(APP_ISCSI, v);
}

const struct unit_test tests_iscsi[] = {
	{ "messages", test_talk },
	{ "what is not ISCSI is refused", test_refused },
	{ NULL, NULL },
};
