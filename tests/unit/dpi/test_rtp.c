/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "audio both ways", 4000, true, false, APP_RTP, "> 80 80 0001 00000000 11223344 aa*20\n> 80 00 0002 000000a0 11223344 aa*20\n< 80 60 0100 00001000 55667788 bb*20",
		  "rtp {'payload_type':0,'ssrc':287454020}\nrtp {'payload_type':96,'ssrc':1432778632}\n" },
		{ "control", 4001, true, false, APP_RTCP, "> 80 c8 0006 11223344 00*20 81 ca 0003 11223344 01 04 'a@b' 78 00 00", "rtcp {'ssrc':287454020,'cname':'a@bx'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "one datagram", 4000, true, .talk = "> 80 00 0001 00000000 11223344 aa*20" },
		{ "another SSRC", 4000, true, .talk = "> 80 00 0001 00000000 11223344 aa*20\n> 80 00 0002 000000a0 11223345 aa*20" },
		{ "a sequence far away", 4000, true, .talk = "> 80 00 0001 00000000 11223344 aa*20\n> 80 00 1002 000000a0 11223344 aa*20" },
		{ "a type that is not in use", 4000, true, .talk = "> 80 40 0001 00000000 11223344 aa*20\n> 80 40 0002 000000a0 11223344 aa*20" },
		{ "control that does not fill it", 4001, true, .talk = "> 80 c8 0006 11223344 00*21" },
	};

	TALKS_REFUSED(APP_RTP, v);
}

const struct unit_test tests_rtp[] = {
	{ "messages", test_talk },
	{ "what is not RTP is refused", test_refused },
	{ NULL, NULL },
};
