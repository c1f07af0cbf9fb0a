/* SPDX-License-Identifier: GPL-2.0-or-later */
/* imap: commands and their replies by tag, literals, STARTTLS. */
#include "tests/unit/dpi/probes.h"

#define GREETING STEP_DOWN("* OK [CAPABILITY IMAP4rev1] ready\r\n")
#define T(op, more) "imap {'operation':'" op "'" more "}\n"
#define OK ",'status':'OK'"

static const struct flowtest ft = { .dport = 7000 };

static void test_commands(void)
{
	static const struct vector rows[] = {
		{ "a session", { GREETING, STEP_UP("a1 LOGIN \"bob b\" secret\r\na2 select INBOX\r\n"), STEP_DOWN("a1 NO bad\r\n* 3 EXISTS\r\na2 OK done\r\n"), STEP_UP("a3 FETCH 1 BODY[]\r\n"),
		  STEP_DOWN("* 1 FETCH (BODY[] {12}\r\na3 OK evil\r\n)\r\na3 OK done\r\n"), STEP_UP("a4 APPEND Sent {12+}\r\na9 SELECT x\r\n\r\na5 IDLE\r\n"), STEP_DOWN("a4 OK\r\n+ idling\r\n"), STEP_UP("DONE\r\na6 LOGOUT\r\n"),
		  STEP_DOWN("a5 OK\r\n* BYE\r\na6 OK\r\n") },
		  T("LOGIN", ",'user':'bob b','status':'NO'") T("SELECT", ",'mailbox':'INBOX'" OK) T("FETCH", OK) T("APPEND", ",'mailbox':'Sent'" OK) T("IDLE", OK) T("LOGOUT", OK), 0 },
		{ "AUTHENTICATE", { GREETING, STEP_UP("1 AUTHENTICATE PLAIN\r\n"), STEP_DOWN("+ \r\n"), STEP_UP("AGFsaWNlAHB3\r\n"), STEP_DOWN("1 OK\r\n"), STEP_UP("2 AUTHENTICATE PLAIN AGFsaWNlAHB3\r\n") },
		  T("AUTHENTICATE", ",'mechanism':'PLAIN','user':'alice'" OK) T("AUTHENTICATE", ",'mechanism':'PLAIN','user':'alice'"), 0 },
		{ "answers to challenges", { GREETING, STEP_UP("1 AUTHENTICATE CRAM-MD5\r\n"), STEP_DOWN("+ PDFAbGFiPg==\r\n"), STEP_UP("YWxpY2UgYiAwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==\r\n"), STEP_DOWN("1 OK\r\n"),
		  STEP_UP("2 AUTHENTICATE LOGIN\r\n"), STEP_DOWN("+ VXNlcjo=\r\n"), STEP_UP("Ym9i\r\n"), STEP_DOWN("+ UGFzcw==\r\n"), STEP_UP("c2VjcmV0\r\n"), STEP_DOWN("2 NO\r\n") },
		  T("AUTHENTICATE", ",'mechanism':'CRAM-MD5','user':'alice b'" OK) T("AUTHENTICATE", ",'mechanism':'LOGIN','user':'bob','status':'NO'"), 0 },
		{ "more of them", { GREETING,
		  STEP_UP("3 AUTHENTICATE DIGEST-MD5\r\n"), STEP_DOWN("+ bm9uY2U9MQ==\r\n"), STEP_UP("Y2hhcnNldD11dGYtOCx1c2VybmFtZT0iY2Fyb2wiLHJlYWxtPSJ4Iixub25jZT0iMSI=\r\n"), STEP_DOWN("3 OK\r\n"),
		  STEP_UP("4 AUTHENTICATE GSSAPI\r\n"), STEP_DOWN("+ \r\n"), STEP_UP("YIIB\r\n"), STEP_DOWN("4 OK\r\n") },
		  T("AUTHENTICATE", ",'mechanism':'DIGEST-MD5','user':'carol'" OK) T("AUTHENTICATE", ",'mechanism':'GSSAPI'" OK), 0 },
		{ "a first answer, and none", { GREETING, STEP_UP("5 AUTHENTICATE XOAUTH2 dXNlcj1kYXZlQHgBYXV0aD1CZWFyZXIgdG9rAQE=\r\n"), STEP_DOWN("5 OK\r\n"), STEP_UP("6 AUTHENTICATE PLAIN\r\n"), STEP_DOWN("+ \r\n"), STEP_UP("*\r\n"), STEP_DOWN("6 BAD\r\n") },
		  T("AUTHENTICATE", ",'mechanism':'XOAUTH2','user':'dave@x'" OK)
		  T("AUTHENTICATE", ",'mechanism':'PLAIN','status':'BAD'"), 0 },
	};
	static const struct vector tls[] = {
		{ "STARTTLS", { GREETING, STEP_UP("a STARTTLS\r\n"), STEP_DOWN("a OK go\r\n"), STEP_UP("SSH-2.0-x\r\n"), STEP_DOWN("SSH-2.0-y\r\n") },
		  T("STARTTLS", OK) "ssh {'client':{'proto_version':'2.0','software_version':'x'},'server':{'proto_version':'2.0','software_version':'y'}}\n", 0 },
	};

	VECTORS_RUN(&ft, APP_IMAP, rows);
	VECTORS_RUN(&ft, APP_SSH, tls);
	vectors_hostile(&ft, &rows[0]);
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		DOWN("* OK IMAP4\r\n", PROBE_YES), DOWN("* OK hi\r\n", PROBE_MORE), BOTH("a CAPABILITY\r\n", "* OK hi\r\n", PROBE_YES), BOTH("a FOO\r\n", "* OK hi\r\n", PROBE_NO), DOWN("* hello\r\n", PROBE_NO),
		UP("a LOGIN b c\r\n", PROBE_MORE), UP("GET a\r\n", PROBE_NO),
	};

	PROBES(&proto_imap, "imap", rows);
	probe_grows(&proto_imap, DIR_TOCLIENT, "* OK IMAP4\r\n", 12);
}

const struct unit_test tests_imap[] = {
	{ "commands, however cut", test_commands },
	{ "what is imap and what is not", test_recognition },
	{ NULL, NULL },
};
