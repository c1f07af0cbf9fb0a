/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define RESULT(id, tag, code, text) "30( 02(" id ") " tag "( 0a(" code ") 04() 04(" text ") ) ) "
#define BIND "30( 02(01) 60( 02(03) 04('cn=admin,dc=x') 80('secret') ) ) "
#define SEARCH "30( 02(02) 63( 04('dc=x') 0a(02) 0a(00) 02(00) 02(00) 0101ff 87('objectClass') 30( 04('cn') ) ) ) "
#define ENTRY "30( 02(02) 64( 04('cn=a,dc=x') 30( 30( 04('cn') 31( 04('a') ) ) ) ) ) "

static void test_talk(void)
{
	static const struct said v[] = {
		{ "bind, search, unbind", 4000, false, false, APP_LDAP,
		  "> " BIND "\n< " RESULT("01", "61", "00", "") "\n> " SEARCH "\n< " ENTRY ENTRY RESULT("02", "65", "00", "") "\n> 30( 02(03) 4200 )",
		  "ldap {'operation':'bind','message_id':1,'version':3,'bind_dn':'cn=admin,dc=x','auth':'simple','result':'success'}\n"
		  "ldap {'operation':'search','message_id':2,'base':'dc=x','scope':'subtree','result':'success','entries':2}\n"
		  "ldap {'operation':'unbind','message_id':3}\n" },
		{ "refused, out of order, unanswered", 389, false, false, APP_LDAP,
		  "> " BIND SEARCH "30( 02(03) 4a('cn=a') ) 30( 02(04) 66( 04('cn=b') 30() ) )\n< " RESULT("02", "65", "32", "") RESULT("01", "61", "31", "'bad'"),
		  NULL },
		{ "StartTLS", 389, false, false, APP_LDAP,
		  "> 30( 02(01) 77( 80('1.3.6.1.4.1.1466.20037') ) )\n< " RESULT("01", "78", "00", "") "\n> 160301",
		  "ldap {'operation':'extended','message_id':1,'oid':'1.3.6.1.4.1.1466.20037','result':'success'}\n" },
		{ "SASL, then sealed", 389, false, false, APP_LDAP,
		  "> 30( 02(01) 60( 02(03) 04() a3( 04('GSSAPI') 04(11223344) ) ) )\n< " RESULT("01", "61", "00", "") "\n> 00000010 aa*16",
		  "ldap {'operation':'bind','message_id':1,'version':3,'bind_dn':'','auth':'GSSAPI','result':'success'}\n" },
		{ "datagrams", 389, true, false, APP_LDAP,
		  "> 30( 02(01) 63( 04() 0a(00) 0a(00) 02(00) 02(00) 010100 a0() 30( 04('netlogon') ) ) )\n< 30( 02(01) 64( 04() 30() ) ) " RESULT("01", "65", "00", ""),
		  "ldap {'operation':'search','message_id':1,'base':'','scope':'base','result':'success','entries':1}\n" },
		{ "a long message is passed by", 389, false, false, APP_LDAP, "> " BIND "30( 02(02) 68( 04('cn=c') 30( 04(41*9000) ) ) ) 30( 02(03) 4200 )",
		  "ldap {'operation':'unbind','message_id':3}\n"
		  "ldap {'operation':'bind','message_id':1,'version':3,'bind_dn':'cn=admin,dc=x','auth':'simple'}\n"
		  "ldap {'operation':'add','message_id':2,'dn':'cn=c'}\n" },
		{ "not LDAP any more", 389, false, true, APP_LDAP, "> " BIND "3105ffffffffff",
		  "anomaly {'type':'proto','event':'ldap.malformed','layer':'proto'}\n"
		  "ldap {'operation':'bind','message_id':1,'version':3,'bind_dn':'cn=admin,dc=x','auth':'simple'}\n" },
		{ "an operation that there is not", 389, false, true, APP_LDAP, "> " BIND "30( 02(02) 7f() )", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "SNMP", 389, true, .talk = "> 30( 02(00) 04('public') a0( 02(01) 02(00) 02(00) 30() ) )" },
		{ "a bind of version 9", 389, .talk = "> 30( 02(01) 60( 02(09) 04('x') 80('y') ) )" },
		{ "a search with scope 7", 389, .talk = "> 30( 02(01) 63( 04('x') 0a(07) 0a(00) 02(00) 02(00) ) )" },
		{ "no length", 389, .talk = "> 3080 02(01) 60( 02(03) 04('x') 80('y') )" },
		{ "a certificate", 389, .talk = "> 30( 30( a0( 02(02) ) 02(11) ) )" },
	};

	TALKS_REFUSED(APP_LDAP, v);
}

const struct unit_test tests_ldap[] = {
	{ "requests and results", test_talk },
	{ "what is not LDAP is refused", test_refused },
	{ NULL, NULL },
};
