/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define NAME(parts) "30( a0( 02(01) ) a1( 30( " parts ") ) ) "
#define ALICE NAME("1b('alice')")
#define TGT NAME("1b('krbtgt') 1b('EXAMPLE')")
#define REQ "6a( 30( a1( 02(05) ) a2( 02(0a) ) a4( 30( a0( 030500 50800000 ) a1( " ALICE ") a2( 1b('EXAMPLE') ) a3( " TGT ") " \
	"a5( 18('20370913024805Z') ) a7( 02(11) ) a8( 30( 02(12) 02(17) ) ) ) ) ) ) "
#define TICKET "61( 30( a0( 02(05) ) a1( 1b('EXAMPLE') ) a2( " TGT ") a3( 30( a0( 02(17) ) a2( 04(aa*40) ) ) ) ) ) "
#define REP "6b( 30( a0( 02(05) ) a1( 02(0b) ) a3( 1b('EXAMPLE') ) a4( " ALICE ") a5( " TICKET ") a6( 30( a0( 02(12) ) a2( 04(bb*40) ) ) ) ) ) "
#define ERROR "7e( 30( a0( 02(05) ) a1( 02(1e) ) a4( 18('20370913024805Z') ) a5( 02(00) ) a6( 02(19) ) a9( 1b('EXAMPLE') ) aa( " TGT ") ) ) "
#define AP "6e( 30( a0( 02(05) ) a1( 02(0e) ) a2( 030500 00000000 ) a3( " TICKET ") a4( 30( a0( 02(12) ) a2( 04(cc*9) ) ) ) ) ) "

/* RFC 3244: a request to set a password and its answer, each with a sealed part behind. */
#define PASSWORD_ASK "00ceff8000996e8196308193a003020105a10302010ea20703050000000000a36861663064a003020105a1091b074558414d504c45a21d301ba003020101a11430121b066b61" \
	"646d696e1b086368616e67657077a3333031a003020112a22a0428aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa41430" \
	"12a003020112a20b0409cccccccccccccccccc752d302ba003020105a103020115a31f301da003020112a2160414eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
#define PASSWORD_ANSWER "00640001002f6f2d302ba003020105a10302010fa21f301da003020112a2160414dddddddddddddddddddddddddddddddddddddddd752d302ba003020105a103020115a31f30" \
	"1da003020112a2160414eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
#define PASSWORD_TOLD "krb5 {'msg_type':'KRB_AP_REQ','realm':'EXAMPLE','sname':'kadmin/changepw','encryption':'aes256-cts-hmac-sha1-96','weak_encryption':false}\n" \
	"krb5 {'msg_type':'KRB_AP_REP'}\n"

#define REQ_TOLD "krb5 {'msg_type':'KRB_AS_REQ','cname':'alice','realm':'EXAMPLE','sname':'krbtgt/EXAMPLE'," \
	"'encryption_offered':['aes256-cts-hmac-sha1-96','rc4-hmac']}\n"
#define REP_TOLD "krb5 {'msg_type':'KRB_AS_REP','cname':'alice','realm':'EXAMPLE','sname':'krbtgt/EXAMPLE','encryption':'aes256-cts-hmac-sha1-96'," \
	"'weak_encryption':false}\n"
#define ERROR_TOLD "krb5 {'msg_type':'KRB_ERROR','realm':'EXAMPLE','sname':'krbtgt/EXAMPLE','error_code':'KDC_ERR_PREAUTH_REQUIRED'}\n"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "datagrams", 88, true, false, APP_KERBEROS, "> " REQ "\n< " ERROR "\n> " REQ "\n< " REP, REQ_TOLD ERROR_TOLD REQ_TOLD REP_TOLD },
		{ "a stream on any port", 4000, false, false, APP_KERBEROS, "> [4 " REQ "] [4 " REQ "]\n< [4 " ERROR "] [4 " REP "]", REQ_TOLD REQ_TOLD ERROR_TOLD REP_TOLD },
		{ "a ticket is shown", 4000, false, false, APP_KERBEROS, "> [4 " AP "]",
		  "krb5 {'msg_type':'KRB_AP_REQ','realm':'EXAMPLE','sname':'krbtgt/EXAMPLE','encryption':'rc4-hmac','weak_encryption':true}\n" },
		{ "a password is set", 464, false, false, APP_KERBEROS, "> [4 " PASSWORD_ASK "]\n< [4 " PASSWORD_ANSWER "]", PASSWORD_TOLD },
		{ "a password is set, datagrams", 4000, true, false, APP_KERBEROS, "> " PASSWORD_ASK "\n< " PASSWORD_ANSWER, PASSWORD_TOLD },
		{ "a long message is passed by", 88, false, false, APP_KERBEROS,
		  "> [4 " REQ "] [4 6e( 30( a0( 02(05) ) a1( 02(0e) ) a3( 61( 30( a0( 02(05) ) a1( 1b('R') ) a2( " TGT ") a3( 30( a0( 02(12) ) a2( 04(aa*20000) ) ) ) ) ) ) ) ) ] [4 " REQ "]",
		  REQ_TOLD "krb5 {'msg_type':'KRB_AP_REQ','realm':'R','sname':'krbtgt/EXAMPLE','encryption':'aes256-cts-hmac-sha1-96','weak_encryption':false}\n" REQ_TOLD },
		{ "a length that lies", 88, false, true, APP_KERBEROS, "> [4 " REQ "] 7fffffff 6a", REQ_TOLD "anomaly {'type':'proto','event':'kerberos.length','layer':'proto'}\n" },
		{ "something else in between", 88, true, false, APP_KERBEROS, "> " REQ "\n< 7e( 30( a0( 02(05) ) a1( 02(0b) ) ) )",
		  REQ_TOLD "anomaly {'type':'proto','event':'kerberos.malformed','layer':'proto'}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "version 4", 88, true, .talk = "> 6a( 30( a1( 02(04) ) a2( 02(0a) ) ) )" },
		{ "another type inside", 88, true, .talk = "> 6a( 30( a1( 02(05) ) a2( 02(0b) ) ) )" },
		{ "bytes behind it", 88, true, .talk = "> " REQ " 00" },
		{ "a password's length that differs", 464, .talk = "> [4 00" PASSWORD_ASK "]" },
		{ "a length that differs", 88, .talk = "> 00000999 " REQ },
	};

	TALKS_REFUSED(APP_KERBEROS, v);
}

const struct unit_test tests_kerberos[] = {
	{ "messages", test_talk },
	{ "what is not Kerberos is refused", test_refused },
	{ NULL, NULL },
};
