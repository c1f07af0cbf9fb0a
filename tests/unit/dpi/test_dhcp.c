/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define FROM(op, yi) op " 01 06 00 deadbeef 0000 0000 00*4 " yi " 00*4 00*4 021122334455 00*10 00*192 63825363 "

static void test_talk(void)
{
	static const struct said v[] = {
		{ "discover and offer", 67, true, false, APP_DHCP,
		  "> " FROM("01", "00*4") "35 01 01 3d 07 01 021122334455 32 04 0a010105 0c [1 'web-1' ] 3c [1 'udhcp 1.2' ] ff 00*20\n"
		  "< " FROM("02", "0a010105") "00 00 35 01 02 36 04 0a010101 33 04 00000e10 01 04 ffffff00 03 08 0a010101 0a010102 06 04 0a010103 0f [1 'example' 00 ] ff",
		  "dhcp {'type':'request','id':3735928559,'client_mac':'02:11:22:33:44:55','dhcp_type':'discover','client_id':'02:11:22:33:44:55',"
		  "'requested_ip':'10.1.1.5','hostname':'web-1','vendor_class_identifier':'udhcp 1.2'}\n"
		  "dhcp {'type':'reply','id':3735928559,'assigned_ip':'10.1.1.5','client_mac':'02:11:22:33:44:55','dhcp_type':'offer','server_id':'10.1.1.1',"
		  "'lease_time':3600,'subnet_mask':'255.255.255.0','routers':['10.1.1.1','10.1.1.2'],'dns_servers':['10.1.1.3'],'domain':'example'}\n" },
		{ "on any port, without an end", 4000, true, false, APP_DHCP, "> " FROM("01", "00*4") "35 01 08",
		  "dhcp {'type':'request','id':3735928559,'client_mac':'02:11:22:33:44:55','dhcp_type':'inform'}\n" },
		{ "an option longer than the message", 67, true, false, APP_DHCP, "> " FROM("01", "00*4") "35 01 03 0c 20 'web'",
		  "dhcp {'type':'request','id':3735928559,'client_mac':'02:11:22:33:44:55','dhcp_type':'request'}\n"
		  "anomaly {'type':'proto','event':'dhcp.malformed','layer':'proto'}\n" },
		{ "an option shorter than its meaning", 67, true, false, APP_DHCP, "> " FROM("01", "00*4") "32 02 0a01 35 00 03 03 010203 3d 00 ff",
		  "dhcp {'type':'request','id':3735928559,'client_mac':'02:11:22:33:44:55','dhcp_type':'0','routers':[],'client_id':''}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "no magic", 67, true, .talk = "> 01 01 06 00 deadbeef 00*228 00*4" },
		{ "op 3", 67, true, .talk = "> " FROM("03", "00*4") },
		{ "too short", 67, true, .talk = "> 01 01 06 00 deadbeef" },
	};

	TALKS_REFUSED(APP_DHCP, v);
}

const struct unit_test tests_dhcp[] = {
	{ "messages", test_talk },
	{ "what is not DHCP is refused", test_refused },
	{ NULL, NULL },
};
