/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define NB(message) "[3 " message "] "
#define H2(cmd, status, flags, next, id, tree) "fe'SMB' 4000 0000 " status " " cmd "00 0100 " flags "000000 " next "000000 " id "00*7 00*4 " tree "000000 00*24 "
#define W(c) "'" c "'00"
#define NTLM3 "'NTLMSSP'00 03000000 0000 0000 00000000 0000 0000 00000000 0400 0400 40000000 0a00 0a00 44000000 0400 0400 4e000000 0000 0000 00000000 01000000 " \
	W("D") W("O") W("a") W("l") W("i") W("c") W("e") W("P") W("C")
#define NEG_REQ "00 " NB(H2("00", "00000000", "00", "00", "00", "00") "2400 0100 00*32 1103")
#define NEG_RSP "00 " NB(H2("00", "00000000", "01", "00", "00", "00") "4100 0100 1103 00*58")
#define TREE_REQ "00 " NB(H2("03", "00000000", "00", "00", "02", "00") "0900 0000 4800 0600 " W("\\") W("\\") W("s"))
#define TREE_RSP "00 " NB(H2("03", "00000000", "01", "00", "02", "05") "1000 01 00 00*12")
#define CREATE "3900 00 00 00*40 7800 0400 00*8 " W("f") W("1")
#define CREATE_REQ "00 " NB(H2("05", "00000000", "00", "00", "03", "05") CREATE)
#define DELETE_REQ "00 " NB(H2("11", "00000000", "00", "00", "05", "05") "2100 01 0d 01000000 6000 0000 00000000 aa*16 01")
#define RENAME_REQ "00 " NB(H2("11", "00000000", "00", "00", "06", "05") "2100 01 0a 18000000 6000 0000 00000000 aa*16 00*8 00*8 04000000 " W("f") W("2"))
#define RSP(cmd, id, status) "00 " NB(H2(cmd, status, "01", "00", id, "05") "0000")

#define H1(cmd, status, flags, tid) "ff'SMB' " cmd " " status " " flags " 0000 0000 00*8 0000 " tid " 1122 0000 0100 "
#define V1_NEG "00 " NB(H1("72", "00000000", "18", "0000") "00 {2 02 'NT LM 0.12' 00 } ")
#define V1_NEG_RSP "00 " NB(H1("72", "00000000", "98", "0000") "11 00*34 0000")
#define V1_SETUP "00 " NB(H1("73", "00000000", "18", "0000") "0d 75 00 4b00 ffff 0200 0100 00000000 0200 0100 00000000 00000000 " \
	"{2 aaaa bb 'bob' 00 'DOM' 00 'Un' 00 } 04 ff 00 0000 0000 0100 {2 00 '\\\\s\\pub' 00 'A:' 00 } ")
#define V1_SETUP_RSP "00 " NB(H1("73", "00000000", "98", "0700") "03 75 00 2900 0000 0000 03 ff 00 0000 0100 0000")
#define V1_DEL "00 " NB(H1("06", "00000000", "18", "0700") "01 0000 {2 04 'x.txt' 00 } ")

static void test_talk(void)
{
	static const struct said v[] = {
		{ "version 3: who, which share, which file", 4000, false, false, APP_SMB,
		  "> " NEG_REQ "\n< " NEG_RSP "\n> 00 " NB(H2("01", "00000000", "00", "00", "01", "00") "1900 00 01 00000000 00000000 5800 5200 00*8 " NTLM3)
		  "\n< " RSP("01", "01", "6d0000c0") "\n> " TREE_REQ "\n< " TREE_RSP "\n> " CREATE_REQ "\n< " RSP("05", "03", "220000c0"),
		  "smb {'version':2,'command':'negotiate','status':'success','dialect':'3.1.1'}\n"
		  "smb {'version':2,'command':'session_setup','domain':'DO','user':'alice','host':'PC','status':'logon_failure'}\n"
		  "smb {'version':2,'command':'tree_connect','share':'\\\\\\\\s','status':'success'}\n"
		  "smb {'version':2,'command':'create','share':'\\\\\\\\s','file':'f1','status':'access_denied'}\n" },
		{ "compounded, delete, rename, unanswered; reads and what is sealed are passed by", 445, false, false, APP_SMB,
		  "> " TREE_REQ "\n< " TREE_RSP "\n> 00 " NB(H2("05", "00000000", "00", "80", "03", "05") CREATE "00*4 " H2("08", "00000000", "00", "00", "04", "05") "3100 00*47")
		  DELETE_REQ "\n> 00 [3 fd'SMB' aa*60 ] \n> " RENAME_REQ "\n< 00 " NB(H2("11", "03010000", "03", "00", "05", "05") "0900 00*7") RSP("11", "05", "00000000"),
		  "smb {'version':2,'command':'tree_connect','share':'\\\\\\\\s','status':'success'}\n"
		  "smb {'version':2,'share':'\\\\\\\\s','command':'delete','status':'success'}\n"
		  "smb {'version':2,'command':'create','share':'\\\\\\\\s','file':'f1'}\n"
		  "smb {'version':2,'share':'\\\\\\\\s','command':'rename','target':'f2'}\n" },
		{ "version 1 in a NetBIOS session, chained", 139, false, false, APP_SMB,
		  "> 81 00 00 44 20 41*32 00 20 42*32 00\n< 82 000000\n> " V1_NEG "\n< " V1_NEG_RSP "\n> " V1_SETUP "\n< " V1_SETUP_RSP "\n> " V1_DEL "85 000000",
		  "smb {'version':1,'command':'negotiate','status':'success','dialect':'NT LM 0.12'}\n"
		  "smb {'version':1,'command':'session_setup','user':'bob','domain':'DOM','status':'success'}\n"
		  "smb {'version':1,'command':'tree_connect','share':'\\\\\\\\s\\\\pub','status':'success'}\n"
		  "smb {'version':1,'command':'delete','share':'\\\\\\\\s\\\\pub','file':'x.txt'}\n" },
		{ "a write is long", 445, false, false, APP_SMB, "> " NEG_REQ "00 " NB(H2("09", "00000000", "00", "00", "01", "00") "3100 bb*20000") NEG_REQ,
		  "smb {'version':2,'command':'negotiate'}\nsmb {'version':2,'command':'negotiate'}\n" },
		{ "not SMB any more", 445, false, true, APP_SMB, "> " NEG_REQ "00 [3 'HTTP and more' ]",
		  "anomaly {'type':'proto','event':'smb.malformed','layer':'proto'}\nsmb {'version':2,'command':'negotiate'}\n" },
		{ "a mailslot in a datagram", 138, true, false, APP_SMB,
		  "> 11 0a 0001 0a000001 008a 009b 0000 20 41*32 00 20 42*32 00 " H1("25", "00000000", "00", "0000") "11 00*34 {2 '\\MAILSLOT\\BROWSE' 00 01 }",
		  "smb {'version':1,'command':'mailslot','file':'\\\\MAILSLOT\\\\BROWSE'}\n" },
		{ "offsets that lie", 445, false, false, APP_SMB,
		  "> 00 " NB(H2("03", "00000000", "00", "ff", "02", "00") "0900 0000 ffff ffff " W("s")) "00 " NB(H2("11", "00000000", "00", "ff", "03", "00") "2100 01 0a ffffffff ffff"),
		  "smb {'version':2,'command':'tree_connect','share':'','partial':true}\n" },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "another magic", 445, .talk = "> 00 000040 fe'SMX' 00*60" },
		{ "too short", 445, .talk = "> 00 000010 fe'SMB' 00*12" },
		{ "a session request of another length", 139, .talk = "> 81 000010 20 41*15" },
	};

	TALKS_REFUSED(APP_SMB, v);
}

const struct unit_test tests_smb[] = {
	{ "requests and answers", test_talk },
	{ "what is not SMB is refused", test_refused },
	{ NULL, NULL },
};
