/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define NL "0d0a"
#define CRCX "'CRCX 1204 aaln/1@gw MGCP 1.0'" NL "'C: A3'" NL "'M: sendrecv'" NL

static void test_talk(void)
{
	static const struct said v[] = {
		{ "a connection", 4000, true, false, APP_MGCP, "> " CRCX "\n< '200 1204 OK'" NL "'I: FDE2'" NL,
		  "mgcp {'operation':'CRCX','endpoint':'aaln/1@gw','transaction':'1204','call_id':'A3','mode':'sendrecv'}\n"
		  "mgcp {'operation':'response','code':200,'transaction':'1204','connection_id':'FDE2'}\n" },
		{ "two in a datagram, small letters", 4000, true, false, APP_MGCP, "> 'dlcx 7 *@gw mgcp 1.0 NCS 1.0' 0a '.' 0a 'NTFY 8 a@gw MGCP 1.0' 0a",
		  "mgcp {'operation':'DLCX','endpoint':'*@gw','transaction':'7'}\nmgcp {'operation':'NTFY','endpoint':'a@gw','transaction':'8'}\n" },
		{ "parameters end where the description begins", 4000, true, false, APP_MGCP, "> 'MDCX 9 a@gw MGCP 1.0'" NL NL "'v=0'" NL "'C: no'" NL,
		  "mgcp {'operation':'MDCX','endpoint':'a@gw','transaction':'9'}\n" },
		{ "a broken one does not end it", 2427, true, false, APP_MGCP, "> " CRCX "\n> 'what'\n< '200 1204'" NL,
		  "mgcp {'operation':'CRCX','endpoint':'aaln/1@gw','transaction':'1204','call_id':'A3','mode':'sendrecv'}\n"
		  "anomaly {'type':'proto','event':'mgcp.malformed','layer':'proto'}\nmgcp {'operation':'response','code':200,'transaction':'1204'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "a response alone", 2427, true, .talk = "> '200 1204 OK'" NL },
		{ "another protocol's version", 2427, true, .talk = "> 'CRCX 1204 aaln/1@gw SIP/2.0'" NL },
		{ "version 2", 2427, true, .talk = "> 'CRCX 1204 aaln/1@gw MGCP 2.0'" NL },
		{ "no transaction", 2427, true, .talk = "> 'CRCX aaln/1@gw MGCP 1.0'" NL },
		{ "a long transaction", 2427, true, .talk = "> 'CRCX 1234567890 aaln/1@gw MGCP 1.0'" NL },
		{ "a verb of nobody", 2427, true, .talk = "> 'CRXX 1204 aaln/1@gw MGCP 1.0'" NL },
		{ "no line", 2427, true, .talk = "> 'CRCX 1204 aaln/1@gw MGCP 1.0'" },
	};

	TALKS_REFUSED(APP_MGCP, v);
}

const struct unit_test tests_mgcp[] = {
	{ "messages", test_talk },
	{ "what is not MGCP is refused", test_refused },
	{ NULL, NULL },
};
