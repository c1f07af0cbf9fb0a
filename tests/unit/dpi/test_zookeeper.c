/* SPDX-License-Identifier: GPL-2.0-or-later */
/* zookeeper: connect, requests and their errors, transactions, words of four letters. */
#include <stdio.h>

#include "tests/unit/dpi/vector.h"
#include "tests/unit/unit.h"

#define Z(fields) "zookeeper {'command':" fields "}\n"
#define CONNECT "\0\0\0-\0\0\0\0\0\0\0\0\0\0\0\0\0\0u0\0\0\0\0\0\0\0\0\0\0\0\20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define CONNECTED "\0\0\0%\0\0\0\0\0\0u0\0\0\0\0\0\0\0\25\0\0\0\20pppppppppppppppp\0"
#define CONNECT_TOLD Z("'connect','session':'0x0'")
#define GET "\0\0\0\21\0\0\0\1\0\0\0\4\0\0\0\4/a/b\0"
#define GET_OK "\0\0\0\30\0\0\0\1\0\0\0\0\0\0\0M\0\0\0\0\0\0\0\4data"
#define GET_TOLD Z("'getData','path':'/a/b'")

static const struct flowtest ft = { .dport = 7000 };

static const struct vector talks[] = {
	{ "connect and get", { STEP_UP(CONNECT), STEP_DOWN(CONNECTED), STEP_UP(GET), STEP_DOWN(GET_OK), STEP_UP("\0\0\0\10\377\377\377\376\0\0\0\13"), STEP_DOWN("\0\0\0\20\377\377\377\376\0\0\0\0\0\0\0M\0\0\0\0") },
	  CONNECT_TOLD GET_TOLD, 0 },
	{ "no such node", { STEP_UP(CONNECT GET), STEP_DOWN(CONNECTED), STEP_DOWN("\0\0\0\20\0\0\0\1\0\0\0\0\0\0\0M\377\377\377\233") }, CONNECT_TOLD Z("'getData','path':'/a/b','error_code':-101"), 0 },
	{ "login", { STEP_UP(CONNECT), STEP_DOWN(CONNECTED), STEP_UP("\0\0\0$\377\377\377\374\0\0\0d\0\0\0\0\0\0\0\6digest\0\0\0\12bob:secret"), STEP_DOWN("\0\0\0\20\377\377\377\374\0\0\0\0\0\0\0\0\377\377\377\215") },
	  CONNECT_TOLD Z("'auth','scheme':'digest','user':'bob','error_code':-115"), 0 },
	{ "a transaction", { STEP_UP(CONNECT), STEP_DOWN(CONNECTED),
	  STEP_UP("\0\0\0W\0\0\0\5\0\0\0\16\0\0\0\1\0\377\377\377\377\0\0\0\2/x\0\0\0\1d\0\0\0\1\0\0\0\37\0\0\0\5world\0\0\0\6an"
		  "yone\0\0\0\0\0\0\0\2\0\377\377\377\377\0\0\0\2/y\0\0\0\1\377\377\377\377\1\377\377\377\377") },
	  CONNECT_TOLD Z("'multi','path':'/x'"), 0 },
	{ "watches come unasked", { STEP_UP(CONNECT), STEP_DOWN(CONNECTED), STEP_DOWN("\0\0\0\36\377\377\377\377\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\3\0\0\0\2/a"), STEP_UP(GET), STEP_DOWN(GET_OK),
	  STEP_UP("\0\0\0\10\0\0\0\11\377\377\377\365") }, CONNECT_TOLD GET_TOLD Z("'closeSession'"), 0 },
	{ "a word", { STEP_UP("ruok"), STEP_DOWN("imok") }, Z("'ruok'"), 0 },
	{ "a word that is believed by its answer", { STEP_UP("stat\n"), STEP_DOWN("Zookeeper version: 3.6\n") }, Z("'stat'"), 0 },
	{ "nonsense", { STEP_UP(CONNECT), STEP_DOWN(CONNECTED), STEP_UP("hello world") }, CONNECT_TOLD ANOMALY("zookeeper.bad_message"), 1 },
};

static void test_talks(void) { VECTORS_RUN(&ft, APP_ZOOKEEPER, talks); }

static void test_recognition(void)
{
	static const struct { const char *name, *up; size_t nup; const char *down; size_t ndown; bool mid; enum probe want; } p[] = {
#define R(name, up, down, mid, want) { name, up, sizeof(up) - 1, down, sizeof(down) - 1, mid, want }
		R("connect", CONNECT, "", false, PROBE_YES), R("get", GET, "", true, PROBE_YES), R("get at the beginning", GET, "", false, PROBE_NO), R("stat", "stat", "", false, PROBE_MORE),
		R("stat of another", "stat\r\n", "+OK 2 320\r\n", false, PROBE_NO), R("ping", "\0\0\0\10\377\377\377\376\0\0\0\13", "", true, PROBE_YES),
		R("no timeout", "\0\0\0-\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "", false, PROBE_NO), R("a path that is none", "\0\0\0\21\0\0\0\1\0\0\0\4\0\0\0\4abcd\0", "", true, PROBE_NO),
	};

	for (unsigned i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
		enum probe got = vector_probe(&proto_zookeeper, p[i].up, p[i].nup, p[i].down, p[i].ndown, p[i].mid);

		CU_ASSERT_EQUAL(got, p[i].want);
		if (got != p[i].want)
			printf("\n%s: %d\n", p[i].name, got);
	}
	for (size_t n = 1; n < sizeof(CONNECT) - 1; n++)
		CU_ASSERT_NOT_EQUAL(vector_probe(&proto_zookeeper, CONNECT, n, "", 0, false), PROBE_NO);
	vectors_strangers(&proto_zookeeper, "zookeeper");
}

static void test_hostile(void)
{
	for (unsigned i = 0; i < 6; i++)
		vectors_hostile(&ft, &talks[i]);
}

const struct unit_test tests_zookeeper[] = {
	{ "conversations, however cut", test_talks },
	{ "what is zookeeper and what is not", test_recognition },
	{ "hostile bytes", test_hostile },
	{ NULL, NULL },
};
