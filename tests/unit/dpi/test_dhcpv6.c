/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define DUID "0001 [2 0003 0001 021122334455 ] "
#define SERVER "0002 [2 0003 0001 0211223344ff ] "
#define IA "0003 [2 00000001 00000000 00000000 0005 [2 20010db8 00*11 05 0000000a 0000000a ] ] "
#define SOLICIT "01 00abcd " DUID "0008 0002 0000 0027 [2 00 05 'web-1' 07 'example' 00 ] "

static void test_talk(void)
{
	static const struct said v[] = {
		{ "solicit and reply", 547, true, false, APP_DHCPV6, "> " SOLICIT "\n< 07 00abcd " DUID SERVER IA "000d 0002 0000",
		  "dhcpv6 {'type':'solicit','id':43981,'client_duid':'00030001021122334455','hostname':'web-1.example'}\n"
		  "dhcpv6 {'type':'reply','id':43981,'addresses':['2001:db8::5'],'client_duid':'00030001021122334455','server_duid':'000300010211223344ff',"
		  "'status':'success'}\n" },
		{ "relayed twice", 4000, true, false, APP_DHCPV6, "> 0c 01 00*32 0009 [2 0c 00 00*32 0009 [2 " SOLICIT "] ]",
		  "dhcpv6 {'type':'solicit','relayed':true,'id':43981,'client_duid':'00030001021122334455','hostname':'web-1.example'}\n" },
		{ "information request without an identifier", 547, true, false, APP_DHCPV6, "> 0b 000001 0008 0002 0000 0006 0002 0017",
		  "dhcpv6 {'type':'information_request','id':1}\n" },
		{ "an option that ends too late", 547, true, false, APP_DHCPV6, "> " SOLICIT "\n< 07 00abcd " DUID "0002 0100 00",
		  "dhcpv6 {'type':'solicit','id':43981,'client_duid':'00030001021122334455','hostname':'web-1.example'}\n"
		  "anomaly {'type':'proto','event':'dhcpv6.malformed','layer':'proto'}\n"
		  "dhcpv6 {'type':'reply','id':43981,'client_duid':'00030001021122334455'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "no identifier", 547, true, .talk = "> 01 00abcd 0008 0002 0000" },
		{ "a byte too many", 547, true, .talk = "> " SOLICIT " 00" },
		{ "an unknown option", 547, true, .talk = "> 01 00abcd " DUID "0f00 0000" },
		{ "an identifier of no known form", 547, true, .talk = "> 01 00abcd 0001 [2 0009 0001 021122334455 ]" },
		{ "type 14", 547, true, .talk = "> 0e 00abcd " DUID },
	};

	TALKS_REFUSED(APP_DHCPV6, v);
}

const struct unit_test tests_dhcpv6[] = {
	{ "messages", test_talk },
	{ "what is not DHCPv6 is refused", test_refused },
	{ NULL, NULL },
};
