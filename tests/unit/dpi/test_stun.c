/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define ID "2112a442 aa*12 "
#define REQUEST "0001 [2 " ID "0006 0004 'u:v1' 8022 0003 'lib' 00 ] "

static void test_talk(void)
{
	static const struct said v[] = {
		{ "binding", 3478, true, false, APP_STUN, "> 0001 0010 " ID "0006 0003 'u:v' 00 8022 0004 'lib1'\n< 0101 000c " ID "0020 0008 0001 a147 e112a643",
		  "stun {'type':'binding','class':'request','username':'u:v','software':'lib1'}\n"
		  "stun {'type':'binding','class':'success','mapped_ip':'192.0.2.1','mapped_port':32853}\n" },
		{ "TURN over TCP, data of a channel", 4000, false, false, APP_STUN,
		  "> 0003 0008 " ID "0019 0004 11000000 4000 0003 aabbcc 00 0016 0000 " ID "\n< 0113 000c " ID "0009 0006 0000 0401 'no' 0000",
		  "stun {'type':'allocate','class':'request'}\nstun {'type':'send','class':'indication'}\nstun {'type':'allocate','class':'error','error_code':401}\n" },
		{ "a peer over IPv6", 4000, true, false, APP_STUN, "> 0008 0018 " ID "0012 0014 0002 2112 0113a9fa aa*11 ab",
		  "stun {'type':'create_permission','class':'request','peer_ip':'2001:db8::1','peer_port':0}\n" },
		{ "RFC 3489", 4000, true, false, APP_STUN, "> 0001 0008 11*16 0003 0004 00000006\n< 0101 000c 11*16 0001 0008 0001 0050 0a000001",
		  "stun {'type':'binding','class':'request'}\nstun {'type':'binding','class':'success','mapped_ip':'10.0.0.1','mapped_port':80}\n" },
		{ "attributes without padding", 4000, true, false, APP_STUN, "> 0003 000f " ID "0015 0003 'abc' 0006 0004 'user'",
		  "stun {'type':'allocate','class':'request','username':'user'}\n" },
		{ "bare, both ways; then media", 4000, true, false, APP_STUN, "> 0001 0000 11*16\n< 0101 0000 11*16\n> 80 60 00*10 aa*100",
		  "stun {'type':'binding','class':'request'}\nstun {'type':'binding','class':'success'}\n" },
		{ "broken", 4000, false, true, APP_STUN, "> 0003 0000 " ID "0003 0000 aa*16", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "a length that differs", 3478, true, .talk = "> 0001 0004 2112a442 aa*12" },
		{ "an attribute too long", 3478, true, .talk = "> 0001 0008 2112a442 aa*12 0006 0008 00*4" },
		{ "no magic, an attribute of later times", 4000, true, .talk = "> 0001 0008 11*16 0024 0004 00000006" },
		{ "no magic, another type", 4000, true, .talk = "> 0003 0000 11*16" },
		{ "zeros", 4000, true, .talk = "> 0001 0000 00*16\n< 00*40" },
	};

	TALKS_REFUSED(APP_STUN, v);
}

const struct unit_test tests_stun[] = {
	{ "messages", test_talk },
	{ "what is not STUN is refused", test_refused },
	{ NULL, NULL },
};
