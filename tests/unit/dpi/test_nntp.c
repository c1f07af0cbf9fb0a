/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nntp: commands and replies in order, articles passed by both ways, STARTTLS. */
#include "tests/unit/dpi/probes.h"

#define GREETING STEP_DOWN("200 news NNTP ready\r\n")
#define T(op, more) "nntp {'operation':'" op "'" more "}\n"
#define C(code) ",'code':" code

static const struct flowtest ft = { .dport = 7000 };

static void test_commands(void)
{
	static const struct vector rows[] = {
		{ "a session", { GREETING, STEP_UP("CAPABILITIES\r\nAUTHINFO USER bob\r\nAUTHINFO PASS secret\r\nGROUP comp.lang.c\r\nARTICLE <1@x>\r\n"),
		  STEP_DOWN("101 list\r\nVERSION 2\r\n.\r\n381 pass\r\n281 ok\r\n211 3 1 3 comp.lang.c\r\n220 0 <1@x>\r\n411 no\r\n..\r\n.\r\n"),
		  STEP_UP("POST\r\n"), STEP_DOWN("340 go\r\n"), STEP_UP("From: a\r\n\r\nQUIT\r\n.\r\nLISTGROUP x\r\nQUIT\r\n"), STEP_DOWN("240 ok\r\n211 1 1 1 x\r\n205\r\n.\r\n205 bye\r\n") },
		  T("CAPABILITIES", C("101")) T("AUTHINFO", ",'user':'bob'" C("381")) T("AUTHINFO", C("281")) T("GROUP", ",'group':'comp.lang.c'" C("211")) T("ARTICLE", ",'article':'<1@x>'" C("220"))
		  T("POST", C("240")) T("LISTGROUP", ",'group':'x'" C("211")) T("QUIT", C("205")), 0 },
		{ "a feed", { GREETING, STEP_UP("TAKETHIS <1@x>\r\nGROUP no\r\n.\r\nCHECK <2@x>\r\n"), STEP_DOWN("239 <1@x>\r\n") }, T("TAKETHIS", ",'article':'<1@x>'" C("239")) T("CHECK", ",'article':'<2@x>'"), 0 },
	};
	static const struct vector tls[] = {
		{ "STARTTLS", { GREETING, STEP_UP("STARTTLS\r\n"), STEP_DOWN("382 go\r\n"), STEP_UP("SSH-2.0-x\r\n"), STEP_DOWN("SSH-2.0-y\r\n") },
		  T("STARTTLS", C("382")) "ssh {'client':{'proto_version':'2.0','software_version':'x'},'server':{'proto_version':'2.0','software_version':'y'}}\n", 0 },
	};

	VECTORS_RUN(&ft, APP_NNTP, rows);
	VECTORS_RUN(&ft, APP_SSH, tls);
	vectors_hostile(&ft, &rows[0]);
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		DOWN("200 NNTP\r\n", PROBE_YES), DOWN("200 hi\r\n", PROBE_MORE), BOTH("MODE READER\r\n", "201 hi\r\n", PROBE_YES), BOTH("EHLO a\r\n", "200 hi\r\n", PROBE_NO), DOWN("220 NNTP\r\n", PROBE_NO),
		UP("GROUP a\r\n", PROBE_MORE), BOTH("GROUP a\r\n", "+OK\r\n", PROBE_NO),
	};

	PROBES(&proto_nntp, NULL, rows);
	probe_grows(&proto_nntp, DIR_TOCLIENT, "200 NNTP\r\n", 10);
}

const struct unit_test tests_nntp[] = {
	{ "commands, however cut", test_commands },
	{ "what is nntp and what is not", test_recognition },
	{ NULL, NULL },
};
