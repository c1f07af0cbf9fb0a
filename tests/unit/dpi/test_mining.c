/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static void test_talk(void)
{
	static const struct said v[] = {
		{ "stratum", 4000, false, false, APP_MINING, "> '{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"cgminer/4\"]}' 0a\n< '{\"id\":1,\"result\":[]}' 0a\n> '{\"params\": [\"w.1\", \"x\"], \"id\": 2, \"method\": \"mining.authorize\"}' 0a",
		  "mining {'method':'mining.subscribe','agent':'cgminer/4'}\nmining {'method':'mining.authorize','user':'w.1'}\n" },
		{ "monero", 4000, false, false, APP_MINING, "> '{\"method\":\"login\",\"params\":{\"login\":\"44x\",\"pass\":\"x\",\"agent\":\"xmr/1\"},\"id\":1}' 0a", "mining {'method':'login','user':'44x','agent':'xmr/1'}\n" },
		{ "peers of Monero", 4000, false, false, APP_MINING, "> 01 21 01*6 00*25", "mining {'method':'levin'}\n" },
		{ "a line without an end", 3333, false, true, APP_MINING, "> '{\"method\":\"eth_submitLogin\",\"params\":[\"0xab\"]}' 0a 41*5000", NULL },
	};

	TALKS_RUN(v);
}

static void test_refused(void)
{
	static const struct said v[] = {
		{ "another method", 3333, .talk = "> '{\"id\":1,\"method\":\"eth_call\",\"params\":[]}' 0a" },
		{ "a login of something else", 3333, .talk = "> '{\"method\":\"login\",\"params\":{\"user\":\"x\"}}' 0a" },
	};

	TALKS_REFUSED(APP_MINING, v);
}

const struct unit_test tests_mining[] = {
	{ "messages", test_talk },
	{ "what is not MINING is refused", test_refused },
	{ NULL, NULL },
};
