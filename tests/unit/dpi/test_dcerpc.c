/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define EPM "0883afe1 1f5d c911 91a4 08002b14a0fa "
#define NDR "045d888a eb1c c911 9fe8 08002b104860 02000000 "
#define BIND "05 00 0b 03 10000000 4800 0000 01000000 d016 d016 00000000 01 000000 0000 01 00 " EPM "03000000 " NDR
#define REQUEST(call) "05 00 00 03 10000000 2000 0000 " call "000000 08000000 0000 0300 aabbccdd00*4 "
#define FAULT "05 00 03 03 10000000 2000 0000 01000000 00000000 0000 00 00 0300011c 00000000 "

static void test_talk(void)
{
	static const struct said v[] = {
		{ "bind, request, fault", 4000, false, false, APP_DCERPC, "> " BIND "\n< 05 00 0c 03 10000000 1800 0000 01000000 d016 d016 01000000\n> " REQUEST("01") REQUEST("02") "\n< " FAULT,
		  "dcerpc {'type':'bind','call_id':1,'uuid':'e1af8308-5d1f-11c9-91a4-08002b14a0fa','interface':'epmapper','interface_version':'3.0'}\n"
		  "dcerpc {'type':'request','call_id':1,'uuid':'e1af8308-5d1f-11c9-91a4-08002b14a0fa','interface':'epmapper','opnum':'3'}\n"
		  "dcerpc {'type':'request','call_id':2,'uuid':'e1af8308-5d1f-11c9-91a4-08002b14a0fa','interface':'epmapper','opnum':'3'}\n"
		  "dcerpc {'type':'fault','call_id':1,'status':'0x1c010003'}\n" },
		{ "taken up in the middle, big endian", 135, false, false, APP_DCERPC, "> 05 01 00 03 00*4 0018 0000 00000009 00*4 0000 0007",
		  "dcerpc {'type':'request','call_id':9,'opnum':'7'}\n" },
		{ "a datagram", 135, true, false, APP_DCERPC, "> 04 00 08 00 100000 00 00*16 " EPM " aa*16 00*4 03000000 00*4 0200 ffff ffff 0400 0000 00 00 aabbccdd",
		  "dcerpc {'type':'request','uuid':'e1af8308-5d1f-11c9-91a4-08002b14a0fa','interface':'epmapper','interface_version':'3.0','opnum':'2'}\n" },
		{ "broken later", 135, false, true, APP_DCERPC, "> " BIND "06 00*15", NULL },
		{ "more contexts than there are bytes", 135, false, false, APP_DCERPC, "> 05 00 0b 03 10000000 3800 0000 01000000 d016 d016 00000000 ff 000000 0000 ff 00 " EPM "03000000 00*4",
		  "dcerpc {'type':'bind','call_id':1,'uuid':'e1af8308-5d1f-11c9-91a4-08002b14a0fa','interface':'epmapper','interface_version':'3.0'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "SOCKS", 135, .talk = "> 05 01 00\n< 05 00" },
		{ "a representation of nobody", 135, .talk = "> 05 00 0b 03 20000000 4800 0000 01000000 d016 d016 00000000 01 00*20" },
		{ "fragments of 16 bytes", 135, .talk = "> 05 00 0b 03 10000000 4800 0000 01000000 1000 1000 00000000 01 00*20" },
		{ "a datagram's length", 135, true, .talk = "> 04 00 08 00 100000 00 00*68 0400 0000" },
		{ "a datagram longer than it may be", 135, true, .talk = "> 04 00 08 00 100000 00 00*16 " EPM " aa*16 00*4 03000000 00*4 0200 ffff ffff 0400 0000 00 00 aa*69" },
	};

	TALKS_REFUSED(APP_DCERPC, v);
}

const struct unit_test tests_dcerpc[] = {
	{ "interfaces and requests", test_talk },
	{ "what is not DCE RPC is refused", test_refused },
	{ NULL, NULL },
};
