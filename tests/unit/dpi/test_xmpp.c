/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xmpp: streams, stanzas, SASL, STARTTLS, tags that do not end. */
#include "tests/unit/dpi/probes.h"

#define OPEN "<?xml version='1.0'?><stream:stream to='a.example' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
#define T(op, more) "xmpp {'operation':'" op "'" more "}\n"
#define OPEN_TOLD T("stream", ",'to':'a.example','namespace':'jabber:client'")
#define ANSWER "<?xml version='1.0'?><stream:stream from='a.example' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><stream:features><starttls xmlns='x'/></stream:features>"
#define ANSWER_TOLD T("stream", ",'from':'a.example','namespace':'jabber:client'")

static const struct flowtest ft = { .dport = 7000 };

static void test_streams(void)
{
	static const struct vector rows[] = {
		{ "log in, write", { STEP_UP(OPEN), STEP_DOWN(ANSWER), STEP_UP("<auth xmlns='s' mechanism='PLAIN'>AGFsaWNlAHB3</auth>"), STEP_DOWN("<success xmlns='s'/>"), STEP_UP(OPEN),
		  STEP_UP("<message to='b@x' type=\"chat\"><body>a > b <message to='no'/></body></message> <presence/><iq to='it>s' type='get'><auth/></iq></stream:stream>") },
		  OPEN_TOLD ANSWER_TOLD T("auth", ",'mechanism':'PLAIN','user':'alice'") T("success", "") OPEN_TOLD T("message", ",'to':'b@x','type':'chat'") T("presence", "")
		  T("iq", ",'to':'it>s','type':'get'"), 0 },
		{ "auth without a word", { STEP_UP(OPEN "<auth mechanism='EXTERNAL'/><auth mechanism='ANONYMOUS'></auth>") }, OPEN_TOLD T("auth", ",'mechanism':'EXTERNAL'") T("auth", ",'mechanism':'ANONYMOUS'"), 0 },
	};
	static const struct vector tls[] = {
		{ "STARTTLS", { STEP_UP(OPEN), STEP_DOWN(ANSWER), STEP_UP("<starttls xmlns='t'/>"), STEP_DOWN("<proceed xmlns='t'/>"), STEP_UP("SSH-2.0-x\r\n"), STEP_DOWN("SSH-2.0-y\r\n") },
		  OPEN_TOLD ANSWER_TOLD T("starttls", "") T("proceed", "") "ssh {'client':{'proto_version':'2.0','software_version':'x'},'server':{'proto_version':'2.0','software_version':'y'}}\n", 0 },
	};

	VECTORS_RUN(&ft, APP_XMPP, rows);
	VECTORS_RUN(&ft, APP_SSH, tls);
	vectors_hostile(&ft, &rows[0]);
}

static void test_endless(void)
{
	static char text[200000];

	memset(text, 'a', sizeof(text));
	for (unsigned i = 0; i < 3; i++) {
		const struct flowtest ways = { .dport = 5222, .cut = i * 90 };
		const struct flowtest_step tag[] = { STEP_UP(OPEN "<message to='"), { DIR_TOSERVER, text, sizeof(text) } };
		const struct flowtest_step body[] = { STEP_UP(OPEN "<message to='b'>"), { DIR_TOSERVER, text, sizeof(text) }, STEP_UP("</message><presence/>") };
		struct flowtest_result r = flowtest_run(&ways, tag, 2);

		CU_ASSERT_TRUE(told_same("a tag without an end", r.text, OPEN_TOLD ANOMALY("xmpp.too_long")));
		flowtest_free(&r);
		r = flowtest_run(&ways, body, 3);
		CU_ASSERT_TRUE(told_same("a long text", r.text, OPEN_TOLD T("message", ",'to':'b'") T("presence", "")));
		flowtest_free(&r);
	}
}

static void test_recognition(void)
{
	static const struct probe_row rows[] = {
		UP(OPEN, PROBE_YES), UP("<stream:stream xmlns='jabber:server' to='a'>", PROBE_YES), UP("<stream:stream xmlns='other'>", PROBE_NO), UP("<?xml version='1.0'?><html>", PROBE_NO), UP("<html>", PROBE_NO),
		DOWN(ANSWER, PROBE_NO), MID_DOWN(ANSWER, PROBE_YES), UP("<13>tag", PROBE_NO),
	};

	PROBES(&proto_xmpp, NULL, rows);
	probe_grows(&proto_xmpp, DIR_TOSERVER, "<stream:stream xmlns='jabber:", 29);
}

const struct unit_test tests_xmpp[] = {
	{ "streams, however cut", test_streams },
	{ "what does not end", test_endless },
	{ "what is xmpp and what is not", test_recognition },
	{ NULL, NULL },
};
