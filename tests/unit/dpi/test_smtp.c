/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smtp: envelopes, pipelines, AUTH, BDAT, STARTTLS, messages that look like commands. */
#include "tests/unit/dpi/probes.h"

#define HELLO STEP_DOWN("220 mx ESMTP\r\n"), STEP_UP("EHLO c.example\r\n"), STEP_DOWN("250-mx\r\n250 PIPELINING\r\n")
#define T(more) "smtp {'helo':'c.example'" more "}\n"
#define AB T(",'mail_from':'a@x','rcpt_to':['b@y']")

static const struct flowtest ft = { .dport = 7000 };

static void test_envelopes(void)
{
	static const struct vector rows[] = {
		{ "a mail", { HELLO, STEP_UP("MAIL FROM:<a@x> SIZE=5\r\n"), STEP_DOWN("250 ok\r\n"), STEP_UP("rcpt to: <b@y>\r\n"), STEP_DOWN("250 ok\r\n"), STEP_UP("DATA\r\n"), STEP_DOWN("354 go\r\n"),
		  STEP_UP("Subject: x\r\n\r\nMAIL FROM:<evil@z>\r\n..\r\nend\r\n.\r\nQUIT\r\n"), STEP_DOWN("250 queued\r\n221 bye\r\n") }, AB, 0 },
		{ "a pipeline, one recipient refused, none left", { HELLO, STEP_UP("MAIL FROM:<>\r\nRCPT TO:<b@y>\r\nDATA\r\n"), STEP_DOWN("250 ok\r\n550 no\r\n554 no\r\n"),
		  STEP_UP("RSET\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n"), STEP_DOWN("250 ok\r\n250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n"), STEP_UP("x\r\n.\r\nQUIT\r\n") },
		  T(",'mail_from':'a@x','rcpt_to':['b@y','c@y']"), 0 },
		{ "BDAT, two mails", { HELLO, STEP_UP("MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nBDAT 12\r\nQUIT\r\nHELO \r\nBDAT 0 LAST\r\n"), STEP_UP("MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nBDAT 2 LAST\r\nhi") }, AB AB, 0 },
		{ "AUTH", { HELLO, STEP_UP("AUTH PLAIN AGFsaWNlAHB3\r\n"), STEP_DOWN("235 ok\r\n"), STEP_UP("QUIT\r\n") }, T(",'user':'alice'"), 0 },
		{ "AUTH in steps", { HELLO, STEP_UP("AUTH LOGIN\r\n"), STEP_DOWN("334 VXNlcm5hbWU6\r\n"), STEP_UP("Ym9i\r\n"), STEP_DOWN("334 UGFzc3dvcmQ6\r\n"), STEP_UP("cHc=\r\n"), STEP_DOWN("235 ok\r\n") },
		  T(",'user':'bob'"), 0 },
		{ "no mail", { HELLO, STEP_UP("QUIT\r\n") }, T(""), 0 },
		{ "a chunk that is none", { HELLO, STEP_UP("BDAT x\r\n") }, ANOMALY("smtp.bad_bdat") T(""), 1 },
	};

	VECTORS_RUN(&ft, APP_SMTP, rows);
	vectors_hostile(&ft, &rows[1]);
}

static void test_starttls(void)
{
	static const struct vector rows[] = {
		{ "another protocol follows", { HELLO, STEP_UP("STARTTLS\r\n"), STEP_DOWN("220 go\r\n"), STEP_UP("SSH-2.0-x\r\n"), STEP_DOWN("SSH-2.0-y\r\n") },
		  T("") "ssh {'client':{'proto_version':'2.0','software_version':'x'},'server':{'proto_version':'2.0','software_version':'y'}}\n", 0 },
	};
	static const struct vector refused[] = { { "refused", { HELLO, STEP_UP("STARTTLS\r\n"), STEP_DOWN("454 no\r\n"), STEP_UP("MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n") }, AB, 0 } };

	VECTORS_RUN(&ft, APP_SSH, rows);
	VECTORS_RUN(&ft, APP_SMTP, refused);
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		DOWN("220 mail ESMTP\r\n", PROBE_YES), DOWN("220-mail SMTP here\r\n", PROBE_YES), DOWN("220 hello\r\n", PROBE_MORE), BOTH("EHLO a\r\n", "220 hello\r\n", PROBE_YES),
		UP("EHLO a\r\n", PROBE_MORE), UP("EHLO a\r\nMAIL FROM:<a@b>\r\n", PROBE_YES), UP("EHLO a\r\nUSER b\r\n", PROBE_MORE), BOTH("USER a\r\n", "220 hello\r\n", PROBE_NO), DOWN("220 ProFTPD\r\n", PROBE_MORE), DOWN("554 go away\r\n", PROBE_NO),
		MID_UP("MAIL FROM:<a@b>\r\n", PROBE_YES), UP("MAIL FROM:<a@b>\r\n", PROBE_NO), BOTH("EHLO a\r\n", "+OK\r\n", PROBE_NO),
	};

	PROBES(&proto_smtp, "smtp", rows);
	probe_grows(&proto_smtp, DIR_TOCLIENT, "220 mx ESMTP\r\n", 14);
}

const struct unit_test tests_smtp[] = {
	{ "envelopes, however cut", test_envelopes },
	{ "STARTTLS", test_starttls },
	{ "what is smtp and what is not", test_recognition },
	{ NULL, NULL },
};
