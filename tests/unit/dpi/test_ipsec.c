/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "version 2, behind zeros too", 500, true, false, APP_IPSEC,
		  "> 1122334455667788 00*8 21 20 22 08 00000000 00000024 00 00 0008 aabbccdd\n< 00000000 1122334455667788 99*8 2e 20 23 20 00000001 00000024 21 00 0008 aabbccdd\n> ff",
		  "ipsec {'version':2,'exchange':'ike_sa_init','initiator_spi':'1122334455667788','responder_spi':'0000000000000000','message_id':0}\n"
		  "ipsec {'version':2,'exchange':'ike_auth','initiator_spi':'1122334455667788','responder_spi':'9999999999999999','message_id':1,'encrypted':true}\n" },
		{ "version 1 on any port", 4000, true, false, APP_IPSEC, "> 1122334455667788 00*8 01 10 04 00 00000000 00000024 00 00 0008 aabbccdd",
		  "ipsec {'version':1,'exchange':'aggressive','initiator_spi':'1122334455667788','responder_spi':'0000000000000000','message_id':0}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "a length that differs", 500, true, .talk = "> 1122334455667788 00*8 21 20 22 08 00000000 00000025 00 00 0008 aabbccdd" },
		{ "a payload too long", 500, true, .talk = "> 1122334455667788 00*8 21 20 22 08 00000000 00000024 00 00 0018 aabbccdd" },
		{ "an exchange of the other version", 500, true, .talk = "> 1122334455667788 00*8 21 20 04 08 00000000 00000024 00 00 0008 aabbccdd" },
	};

	TALKS_REFUSED(APP_IPSEC, v);
}

const struct unit_test tests_ipsec[] = {
	{ "messages", test_talk },
	{ "what is not IKE is refused", test_refused },
	{ NULL, NULL },
};
