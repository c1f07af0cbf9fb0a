/* SPDX-License-Identifier: GPL-2.0-or-later */
/* irc: what clients ask for, errors, STARTTLS. */
#include "tests/unit/dpi/probes.h"

#define T(op, more) "irc {'operation':'" op "'" more "}\n"

static const struct flowtest ft = { .dport = 7000 };

static void test_lines(void)
{
	static const struct vector rows[] = {
		{ "a session", { STEP_UP("CAP LS 302\r\nNICK bob\r\nUSER b 0 * :Bob B\r\n"), STEP_DOWN(":s 001 bob :hi\r\n:s 433 * bob :in use\r\n"),
		  STEP_UP("@t=1 JOIN #chan\r\nPRIVMSG #chan :secret text\r\nPING x\r\nQUIT :bye\r\n"), STEP_DOWN(":o!o@h PRIVMSG bob :hello\r\n") },
		  T("CAP", ",'target':'LS'") T("NICK", ",'nick':'bob'") T("USER", ",'user':'b'") T("error", ",'code':433") T("JOIN", ",'target':'#chan'") T("PRIVMSG", ",'target':'#chan'") T("QUIT", ""), 0 },
	};
	static const struct vector tls[] = {
		{ "STARTTLS", { STEP_UP("CAP LS\r\nSTARTTLS\r\n"), STEP_DOWN(":s 670 * :go\r\n"), STEP_UP("SSH-2.0-x\r\n"), STEP_DOWN("SSH-2.0-y\r\n") },
		  T("CAP", ",'target':'LS'") T("STARTTLS", "") "ssh {'client':{'proto_version':'2.0','software_version':'x'},'server':{'proto_version':'2.0','software_version':'y'}}\n", 0 },
	};

	VECTORS_RUN(&ft, APP_IRC, rows);
	VECTORS_RUN(&ft, APP_SSH, tls);
	vectors_hostile(&ft, &rows[0]);
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		UP("NICK a\r\nUSER a 0 * :A\r\n", PROBE_YES), UP("CAP LS\r\n", PROBE_YES), UP("USER a\r\n", PROBE_NO), UP("CAPA\r\n", PROBE_NO), UP("NICK a\r\n", PROBE_MORE), UP("NICK a\r\nEHLO b\r\n", PROBE_NO),
		UP("STARTTLS\r\n", PROBE_MORE), BOTH("STARTTLS\r\n", ":s 670  :go\r\n", PROBE_YES), BOTH("STARTTLS\r\n", "220 go\r\n", PROBE_NO),
		DOWN(":irc.x NOTICE * :*** Looking\r\n", PROBE_YES), DOWN("NOTICE AUTH :*** Checking\r\n", PROBE_YES), MID_DOWN(":a!b@c PRIVMSG #d :hi\r\n", PROBE_YES), DOWN("hello\r\n", PROBE_NO),
	};

	PROBES(&proto_irc, NULL, rows);
	probe_grows(&proto_irc, DIR_TOSERVER, "NICK a\r\nUSER a 0 * :A\r\n", 24 - 1);
}

const struct unit_test tests_irc[] = {
	{ "lines, however cut", test_lines },
	{ "what is irc and what is not", test_recognition },
	{ NULL, NULL },
};
