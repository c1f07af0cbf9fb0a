/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ftp: commands and their replies in order, replies of many lines, AUTH TLS. */
#include "tests/unit/dpi/probes.h"

#define GREETING STEP_DOWN("220-Welcome\r\n220 (vsFTPd 3.0.3)\r\n")
#define T(command, more) "ftp {'command':'" command "'" more "}\n"
#define C(code) ",'completion_code':['" code "']"
#define BOB ",'user':'bob'"

static const struct flowtest ft = { .dport = 7000 };

static void test_commands(void)
{
	static const struct vector rows[] = {
		{ "a session", { GREETING, STEP_UP("USER bob\r\n"), STEP_DOWN("331 Password?\r\n"), STEP_UP("PASS secret\r\n"), STEP_DOWN("230-Hi\r\n 230 no end\r\n230 ok\r\n"),
		  STEP_UP("pasv\r\n"), STEP_DOWN("227 Entering Passive Mode (10,1,0,2,4,5)\r\n"), STEP_UP("RETR a file\r\n"), STEP_DOWN("150 Opening\r\n226 done\r\n"), STEP_UP("FOO secret\r\nQUIT\r\n"), STEP_DOWN("500 ?\r\n221 bye\r\n") },
		  T("USER", ",'command_data':'bob'" BOB C("331")) T("PASS", BOB C("230")) T("PASV", BOB C("227"))
		  T("RETR", ",'command_data':'a file'" BOB ",'completion_code':['150','226']") T("FOO", BOB C("500")) T("QUIT", BOB C("221")), 0 },
		{ "no reply", { GREETING, STEP_UP("USER bob\r\nSYST\r\n"), STEP_DOWN("331 x\r\n") }, T("USER", ",'command_data':'bob'" BOB C("331")) T("SYST", BOB), 0 },
	};
	static const struct vector tls[] = {
		{ "AUTH TLS", { GREETING, STEP_UP("AUTH TLS\r\n"), STEP_DOWN("234 go\r\n"), STEP_UP("SSH-2.0-x\r\n"), STEP_DOWN("SSH-2.0-y\r\n") },
		  T("AUTH", ",'command_data':'TLS'" C("234")) "ssh {'client':{'proto_version':'2.0','software_version':'x'},'server':{'proto_version':'2.0','software_version':'y'}}\n", 0 },
	};
	static const struct vector refused[] = { { "refused", { GREETING, STEP_UP("AUTH TLS\r\n"), STEP_DOWN("530 no\r\n"), STEP_UP("QUIT\r\n") }, T("AUTH", ",'command_data':'TLS'" C("530")) T("QUIT", ""), 0 } };

	VECTORS_RUN(&ft, APP_FTP, rows);
	VECTORS_RUN(&ft, APP_SSH, tls);
	VECTORS_RUN(&ft, APP_FTP, refused);
	vectors_hostile(&ft, &rows[0]);
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		DOWN("220 ProFTPD ready\r\n", PROBE_YES), DOWN("220 hello\r\n", PROBE_MORE), BOTH("USER a\r\n", "220 hello\r\n", PROBE_YES), BOTH("AUTH TLS\r\n", "220 hello\r\n", PROBE_YES),
		BOTH("EHLO a\r\n", "220 hello\r\n", PROBE_NO), BOTH("USER a\r\n", "+OK\r\n", PROBE_NO), UP("USER a\r\n", PROBE_MORE), UP("NICK a\r\n", PROBE_NO),
		MID_DOWN("227 Entering Passive Mode (1,2,3,4,5,6)\r\n", PROBE_YES), MID_DOWN("229 Entering Extended Passive Mode (|||4|)\r\n", PROBE_YES), DOWN("200 ok\r\n", PROBE_NO),
		UP("USER a\r\nPASS b\r\nSYST\r\n", PROBE_YES), UP("USER a\r\nPASS b\r\nQUIT\r\n", PROBE_MORE), UP("USER a\r\nPASS b\r\nUIDL\r\n", PROBE_MORE),
		MID_UP("PORT 1,2,3,4,5,6\r\n", PROBE_YES), MID_UP("PORT 8080\r\n", PROBE_MORE),
	};

	PROBES(&proto_ftp, "ftp", rows);
	probe_grows(&proto_ftp, DIR_TOCLIENT, "220 FTP\r\n", 9);
}

const struct unit_test tests_ftp[] = {
	{ "commands, however cut", test_commands },
	{ "what is ftp and what is not", test_recognition },
	{ NULL, NULL },
};
