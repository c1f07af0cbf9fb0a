/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pop3: commands and replies in order, mails passed by, STLS. */
#include "tests/unit/dpi/probes.h"

#define GREETING STEP_DOWN("+OK POP3 ready\r\n")
#define T(op, more) "pop3 {'operation':'" op "'" more "}\n"
#define OK ",'status':'+OK'"

static const struct flowtest ft = { .dport = 7000 };

static void test_commands(void)
{
	static const struct vector rows[] = {
		{ "a session", { GREETING, STEP_UP("CAPA\r\n"), STEP_DOWN("+OK\r\nSTLS\r\n.\r\n"), STEP_UP("USER bob\r\nPASS secret\r\nLIST\r\nRETR 1\r\nLIST 1\r\nDELE 9\r\nQUIT\r\n"),
		  STEP_DOWN("+OK\r\n+OK\r\n+OK 1\r\n1 10\r\n.\r\n+OK\r\n-ERR in the mail\r\n..\r\n.x\r\n.\r\n+OK 1 10\r\n-ERR none\r\n+OK bye\r\n") },
		  T("CAPA", OK) T("USER", ",'user':'bob'" OK) T("PASS", OK) T("LIST", OK) T("RETR", ",'argument':'1'" OK) T("LIST", ",'argument':'1'" OK) T("DELE", ",'argument':'9','status':'-ERR'") T("QUIT", OK), 0 },
		{ "AUTH", { GREETING, STEP_UP("AUTH PLAIN AGFsaWNlAHB3\r\n"), STEP_DOWN("-ERR\r\n"), STEP_UP("AUTH LOGIN\r\n"), STEP_DOWN("+ VXNlcm5hbWU6\r\n"), STEP_UP("Ym9i\r\n"), STEP_DOWN("+OK\r\n"), STEP_UP("STAT\r\n") },
		  T("AUTH", ",'mechanism':'PLAIN','user':'alice','status':'-ERR'") T("AUTH", ",'mechanism':'LOGIN','user':'bob'" OK) T("STAT", ""), 0 },
	};
	static const struct vector tls[] = {
		{ "STLS", { GREETING, STEP_UP("STLS\r\n"), STEP_DOWN("+OK\r\n"), STEP_UP("SSH-2.0-x\r\n"), STEP_DOWN("SSH-2.0-y\r\n") },
		  T("STLS", OK) "ssh {'client':{'proto_version':'2.0','software_version':'x'},'server':{'proto_version':'2.0','software_version':'y'}}\n", 0 },
	};

	VECTORS_RUN(&ft, APP_POP3, rows);
	VECTORS_RUN(&ft, APP_SSH, tls);
	vectors_hostile(&ft, &rows[0]);
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		DOWN("+OK POP3\r\n", PROBE_YES), DOWN("+OK hello\r\n", PROBE_MORE), BOTH("USER a\r\n", "+OK hello\r\n", PROBE_YES), BOTH("GET a\r\n", "+OK\r\n", PROBE_NO), DOWN("+PONG\r\n", PROBE_NO),
		DOWN("+OK <1.2@host>\r\n", PROBE_YES), BOTH("USER a\r\n", "220 x\r\n", PROBE_NO), UP("USER a\r\n", PROBE_MORE),
		UP("USER a\r\nPASS b\r\nUIDL\r\n", PROBE_YES), UP("USER a\r\nPASS b\r\nSYST\r\n", PROBE_MORE), UP("APOP a 0\r\nUIDL\r\n", PROBE_YES),
	};

	PROBES(&proto_pop3, "pop3", rows);
	probe_grows(&proto_pop3, DIR_TOCLIENT, "+OK POP\r\n", 9);
}

const struct unit_test tests_pop3[] = {
	{ "commands, however cut", test_commands },
	{ "what is pop3 and what is not", test_recognition },
	{ NULL, NULL },
};
