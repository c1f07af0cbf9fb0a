/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define BIND(oid, value) "30( 06(" oid ") " value " ) "
#define PDU(tag, err, binds) tag "( 02(1234) 02(" err ") 02(00) 30( " binds ") ) "
#define SYS "2b0601020101 0100"
#define USM "30( 02(01) 02(00ffe3) 04(04) 02(03) ) 04( 30( 04(80001f88) 02(01) 02(02) 04('watcher') 04(aa*12) 04() ) ) "

static void test_talk(void)
{
	static const struct said v[] = {
		{ "get and response", 161, true, false, APP_SNMP,
		  "> 30( 02(00) 04('public') " PDU("a0", "00", BIND(SYS, "0500") BIND("2b06010201010300", "0500")) ")\n"
		  "< 30( 02(00) 04('public') " PDU("a2", "02", BIND(SYS, "04('x')")) ")",
		  "snmp {'version':'1','community':'public','pdu_type':'get_request','oids':[{'oid':'1.3.6.1.2.1.1.1.0'},{'oid':'1.3.6.1.2.1.1.3.0'}]}\n"
		  "snmp {'version':'1','community':'public','pdu_type':'response','error':'no_such_name','oids':[{'oid':'1.3.6.1.2.1.1.1.0'}]}\n" },
		{ "bulk, a secret community, any port", 4000, true, false, APP_SNMP, "> 30( 02(01) 04('s3cret') " PDU("a5", "00", BIND(SYS, "0500")) ")",
		  "snmp {'version':'2c','community':'***','pdu_type':'get_bulk_request','oids':[{'oid':'1.3.6.1.2.1.1.1.0'}]}\n" },
		{ "trap", 162, true, false, APP_SNMP, "> 30( 02(00) 04('private') a4( 06(2b0601) 40(0a000001) 02(06) 02(01) 43(10) 30( ) ) )",
		  "snmp {'version':'1','community':'private','pdu_type':'trap'}\n" },
		{ "version 3 in clear", 161, true, false, APP_SNMP, "> 30( 02(03) " USM "30( 04(80001f88) 04() " PDU("a1", "00", BIND(SYS, "0500")) ") )",
		  "snmp {'version':'3','user':'watcher','pdu_type':'get_next_request','oids':[{'oid':'1.3.6.1.2.1.1.1.0'}]}\n" },
		{ "version 3 sealed", 161, true, false, APP_SNMP,
		  "> 30( 02(03) 30( 02(01) 02(00ffe3) 04(07) 02(03) ) 04( 30( 04() 02(01) 02(02) 04('w') 04() 04() ) ) 04(77*24) )",
		  "snmp {'version':'3','user':'w','encrypted':true}\n" },
		{ "a broken one does not end it", 161, true, false, APP_SNMP,
		  "> 30( 02(00) 04('public') " PDU("a0", "00", BIND(SYS, "0500")) ")\n< 3003020100\n",
		  "snmp {'version':'1','community':'public','pdu_type':'get_request','oids':[{'oid':'1.3.6.1.2.1.1.1.0'}]}\n"
		  "anomaly {'type':'proto','event':'snmp.malformed','layer':'proto'}\n" },
		{ "over TCP, two in one segment", 161, false, false, APP_SNMP,
		  "> 30( 02(01) 04('public') " PDU("a0", "00", BIND(SYS, "0500")) ") 30( 02(01) 04('public') " PDU("a1", "00", BIND(SYS, "0500")) ")\n"
		  "< 30( 02(01) 04('public') " PDU("a2", "00", BIND(SYS, "04('x')")) ")",
		  "snmp {'version':'2c','community':'public','pdu_type':'get_request','oids':[{'oid':'1.3.6.1.2.1.1.1.0'}]}\n"
		  "snmp {'version':'2c','community':'public','pdu_type':'get_next_request','oids':[{'oid':'1.3.6.1.2.1.1.1.0'}]}\n"
		  "snmp {'version':'2c','community':'public','pdu_type':'response','oids':[{'oid':'1.3.6.1.2.1.1.1.0'}]}\n" },
		{ "over TCP a broken one ends it", 4000, false, true, APP_SNMP,
		  "> 30( 02(00) 04('public') " PDU("a0", "00", BIND(SYS, "0500")) ") 3003020100\n",
		  "snmp {'version':'1','community':'public','pdu_type':'get_request','oids':[{'oid':'1.3.6.1.2.1.1.1.0'}]}\n"
		  "anomaly {'type':'proto','event':'snmp.malformed','layer':'proto'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "version 2", 161, true, .talk = "> 30( 02(02) 04('public') " PDU("a0", "00", "") ")" },
		{ "over TCP: LDAP", 161, false, .talk = "> 30( 02(01) 60( 02(03) 04() 80() ) )" },
		{ "over TCP: too short", 161, false, .talk = "> 3003020100 00000000" },
		{ "bytes behind it", 161, true, .talk = "> 30( 02(00) 04('public') " PDU("a0", "00", "") ") 00" },
		{ "bytes behind the PDU", 161, true, .talk = "> 30( 02(00) 04('public') " PDU("a0", "00", "") "00 )" },
		{ "LDAP", 161, true, .talk = "> 30( 02(01) 63( 04() 0a(00) 0a(00) 02(00) 02(00) 01(00) 87('objectClass') 30() ) )" },
		{ "a bind without an OID", 161, true, .talk = "> 30( 02(00) 04('public') " PDU("a0", "00", "30( 04('x') 0500 )") ")" },
	};

	TALKS_REFUSED(APP_SNMP, v);
}

const struct unit_test tests_snmp[] = {
	{ "messages of all versions", test_talk },
	{ "what is not SNMP is refused", test_refused },
	{ NULL, NULL },
};
