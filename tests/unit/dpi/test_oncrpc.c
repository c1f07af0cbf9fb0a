/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define UNIX "00000001 [4 00000009 [4 'web1' ] 000003e8 00000064 00000000 ] 00*8 "
#define CALL(xid, prog, vers, proc) xid " 00000000 00000002 " prog " " vers " " proc " "
#define OK(xid) xid " 00000001 00000000 00*8 00000000 "
#define LOOKUP CALL("00000001", "000186a3", "00000003", "00000003") UNIX "[4 aa*8 ] [4 'passwd' ] 0000 "
#define LOOKUP_TOLD "'xid':1,'program':'nfs','version':3,'procedure':'lookup','machine':'web1','uid':1000,'file':'passwd'"
#define READ(xid) CALL(xid, "000186a3", "00000003", "00000006") UNIX "[4 aa*8 ] 00*12 "

static void test_talk(void)
{
	static const struct said v[] = {
		{ "portmap and mount", 111, true, false, APP_ONCRPC,
		  "> " CALL("00000001", "000186a0", "00000002", "00000003") "00*16 000186a5 00000003 00000006 00000000\n< " OK("00000001") "00000801\n> "
		  CALL("00000002", "000186a5", "00000003", "00000001") UNIX "[4 '/srv/x' ] 0000",
		  "oncrpc {'xid':1,'program':'portmap','version':2,'procedure':'getport','program_asked':'mount','status':'success'}\n"
		  "oncrpc {'xid':2,'program':'mount','version':3,'procedure':'mnt','machine':'web1','uid':1000,'file':'/srv/x'}\n" },
		{ "NFS 3, records of several fragments, reads", 4000, false, false, APP_NFS,
		  "> 80000058 " LOOKUP "\n< 80000018 " OK("00000001") "\n> 0000005c " READ("00000002") "00*4 80000004 aabbccdd 8000005c " READ("00000003") "00*4\n< 80000018 " OK("00000002"),
		  NULL },
		{ "NFS 4", 2049, false, false, APP_NFS,
		  "> [4 " CALL("00000005", "000186a3", "00000004", "00000001") "00*16 [4 ] 00000001 00000004 00000035 00*32 00000018 0000000f [4 'home' ] 00000026 ]",
		  NULL },
		{ "NFS 4 opens a file it makes", 4000, false, false, APP_NFS,
		  "> [4 " CALL("00000006", "000186a3", "00000004", "00000001") "00*16 00000000 00000000 00000005 00000018 0000000f [4 'home' ] 00000012 00*12 00*8 [4 'own1' ] "
		  "00000001 00000000 00000001 00000012 [4 00000000 ] 00000000 [4 'file' ] 0000000a 0000001c [4 'gone' ] ]",
		  "nfs {'xid':6,'program':'nfs','version':4,'procedure':'compound','operations':['putrootfh','lookup','open','getfh','remove'],'file':'home/file'}\n" },
		{ "kadmin", 749, false, false, APP_ONCRPC, "> [4 " CALL("00000007", "00000840", "00000002", "0000000d") "00*16 ]",
		  "oncrpc {'xid':7,'program':'kadmin','version':2,'procedure':'13'}\n" },
		{ "denied", 2049, true, false, APP_NFS, "> " LOOKUP "\n< 00000001 00000001 00000001 00000001 00000001", "nfs {" LOOKUP_TOLD ",'status':'auth_error'}\n" },
		{ "a record too long", 2049, false, true, APP_NFS, "> 80000058 " LOOKUP "ffffffff", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "version 3 of RPC", 111, true, .talk = "> 00000001 00000000 00000003 000186a0 00000002 00000003 00*32" },
		{ "a program below 100000", 111, true, .talk = "> " CALL("00000001", "00000010", "00000002", "00000003") "00*32" },
		{ "a credential of 500 bytes", 111, true, .talk = "> " CALL("00000001", "000186a0", "00000002", "00000003") "00000000 [4 00*500 ] 00*8" },
		{ "an answer alone", 111, true, .talk = "> " OK("00000001") },
	};

	TALKS_REFUSED(APP_ONCRPC, v);
}

const struct unit_test tests_oncrpc[] = {
	{ "calls and replies", test_talk },
	{ "what is not RPC is refused", test_refused },
	{ NULL, NULL },
};
