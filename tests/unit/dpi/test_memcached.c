/* SPDX-License-Identifier: GPL-2.0-or-later */
/* memcached: text, meta and binary commands over TCP and UDP; couchbase: its commands in the same binary form. */
#include "dpi/proto/memcached_binary.h"

#include <stdio.h>

#include "tests/unit/dpi/vector.h"
#include "tests/unit/unit.h"

#define M(fields) "memcached {'command':" fields "}\n"
#define CB(fields) "couchbase {'command':" fields "}\n"
#define SET "set k 0 60 3\r\nabc\r\n"
#define SET_TOLD M("'set','key':'k'")
#define GET_BINARY "\200\0\0\1\0\0\0\0\0\0\0\1\0\0\0\7\0\0\0\0\0\0\0\0k"
#define GET_BINARY_TOLD M("'get','key':'k'")
#define HELLO "\200\37\0\6\0\0\0\0\0\0\0\12\0\0\0\1\0\0\0\0\0\0\0\0libx/1\0\22\0\6"
#define HELLO_OK "\201\37\0\0\0\0\0\0\0\0\0\4\0\0\0\1\0\0\0\0\0\0\0\0\0\22\0\6"

static const struct flowtest ft = { .dport = 7000 }, udp = { .dport = 7000, .udp = true };

static const struct vector texts[] = {
	{ "set and get", { STEP_UP(SET "get k other\r\n"), STEP_DOWN("STORED\r\nVALUE k 0 3\r\nabc\r\nEND\r\n") }, SET_TOLD M("'get','key':'k'"), 0 },
	{ "believed by the answer", { STEP_UP("get k\r\n"), STEP_DOWN("END\r\n"), STEP_UP("incr n 5 noreply\r\ngat 10 a b\r\n") },
	  M("'get','key':'k'") M("'incr','key':'n'") M("'gat','key':'a'"), 0 },
	{ "data that looks like commands", { STEP_UP("set k 0 0 13\r\nflush_all\r\nxx\r\nget a\r\n"), STEP_DOWN("STORED\r\nEND\r\n") }, SET_TOLD M("'get','key':'a'"), 0 },
	{ "meta", { STEP_UP("mg k v t\r\n"), STEP_DOWN("EN\r\n"), STEP_UP("ms k 4 T60\r\nabcd\r\nmd k\r\nmn\r\n"), STEP_DOWN("HD\r\nHD\r\nMN\r\n") },
	  M("'mg','key':'k'") M("'ms','key':'k'") M("'md','key':'k'") M("'mn'"), 0 },
	{ "about itself", { STEP_UP("version\r\n"), STEP_DOWN("VERSION 1.6.21\r\n"), STEP_UP("stats items\r\nflush_all\r\nquit\r\n") },
	  M("'version'") M("'stats'") M("'flush_all'") M("'quit'"), 0 },
	{ "no command", { STEP_UP(SET "hello\r\n") }, SET_TOLD ANOMALY("memcached.bad_command"), 1 },
	{ "a lost piece of an answer", { STEP_UP(SET), { DIR_TOCLIENT, NULL, 100 }, STEP_UP(SET) }, SET_TOLD "anomaly {'type':'stream','event':'stream.gap','layer':'stream'}\n" SET_TOLD, 0 },
};

static const struct vector binaries[] = {
	{ "get", { STEP_UP(GET_BINARY), STEP_DOWN("\201\0\0\0\4\0\0\0\0\0\0\7\0\0\0\7\0\0\0\0\0\0\0\0\0\0\0\0abc") }, GET_BINARY_TOLD, 0 },
	{ "not there", { STEP_UP(GET_BINARY), STEP_DOWN("\201\0\0\0\0\0\0\1\0\0\0\11\0\0\0\7\0\0\0\0\0\0\0\0Not found") }, M("'get','key':'k','status':1"), 0 },
	{ "quiet ones and one that is not", { STEP_UP("\200\21\0\1\10\0\0\0\0\0\0\12\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0ax\200\21\0\1\10\0\0\0\0\0\0\12\0\0\0\0\0"
		  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0by\200\12\0\0\0\0\0\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\0"), STEP_DOWN("\201\12\0\0\0\0\0\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\0") },
	  M("'set','key':'a'") M("'set','key':'b'") M("'noop'"), 0 },
	{ "login", { STEP_UP("\200!\0\5\0\0\0\0\0\0\0\20\0\0\0\4\0\0\0\0\0\0\0\0PLAIN\0bob\0secret"), STEP_DOWN("\201!\0\0\0\0\0 \0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\0") }, M("'sasl_auth','user':'bob','mechanism':'PLAIN','status':32"), 0 },
	{ "nonsense", { STEP_UP(GET_BINARY), STEP_UP("hello world this is no head") }, ANOMALY("memcached.bad_message") GET_BINARY_TOLD, 1 },
};

static const struct vector couchbases[] = {
	{ "hello, bucket, document of a collection", { STEP_UP(HELLO), STEP_DOWN(HELLO_OK), STEP_UP("\200\211\0\6\0\0\0\0\0\0\0\6\0\0\0\2\0\0\0\0\0\0\0\0travel"), STEP_DOWN("\201\211\0\0\0\0\0\4\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0"),
	  STEP_UP("\200\0\0\5\0\0\0\0\0\0\0\5\0\0\0\3\0\0\0\0\0\0\0\0\210\1doc\10\305\2\4\3\0\0\1\0\0\0\12\0\0\0\11\0\0\0\0\0\0\0"
		  "\0\21\"\0\1\0\0docp") },
	  CB("'hello'") CB("'select_bucket','bucket':'travel','status':4") CB("'get','key':'doc'") CB("'subdoc_get','key':'doc'"), 0 },
	{ "memcached at first", { STEP_UP("\200 \0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\200\265\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0") }, CB("'sasl_list_mechs'") CB("'get_cluster_config'"), 0 },
	{ "a command without a name", { STEP_UP(HELLO), STEP_UP("\200w\0\1\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0\0x") }, CB("'hello'") CB("'0x77','key':'x'"), 0 },
};

static void test_text(void) { VECTORS_RUN(&ft, APP_MEMCACHED, texts); }
static void test_binary(void) { VECTORS_RUN(&ft, APP_MEMCACHED, binaries); }
static void test_couchbase(void) { VECTORS_RUN(&ft, APP_COUCHBASE, couchbases); }

static void test_udp(void)
{
	static const struct vector rows[] = {
		{ "text", { STEP_UP("\0\1\0\0\0\1\0\0get k\r\n"), STEP_DOWN("\0\1\0\0\0\1\0\0END\r\n"), STEP_UP("\0\2\0\0\0\1\0\0delete k\r\n") }, M("'get','key':'k'") M("'delete','key':'k'"), 0 },
		{ "an answer", { STEP_DOWN("\0\1\0\0\0\1\0\0VALUE k 0 3\r\nabc\r\nEND\r\n") }, "", 0 },
	};
	static const char *const others[] = { "\0\1\0\0\0\1\0\1get k\r\n", "\0\1\0\1\0\1\0\0get k\r\n", "\0\1\0\0\0\1\0\0hello\r\n", "\0\1\0\0\0\0\0\0get k\r\n" };

	VECTORS_RUN(&udp, APP_MEMCACHED, rows);
	for (unsigned i = 0; i < 4; i++) {
		struct probe_in in = { .now = DIR_TOSERVER, .l4 = PROTO_UDP, .dir = { cur_of(others[i], 15), cur_of(NULL, 0) } };

		CU_ASSERT_EQUAL(proto_memcached.probe(&in), PROBE_NO);
	}
}

static void test_recognition(void)
{
	static const struct { const char *name, *up; size_t nup; const char *down; size_t ndown; bool mid; enum probe want; } p[] = {
#define R(name, up, down, mid, want) { name, up, sizeof(up) - 1, down, sizeof(down) - 1, mid, want }
		R("set", SET, "", false, PROBE_YES), R("get alone", "get k\r\n", "", false, PROBE_MORE), R("get of redis", "get k\r\n", "$1\r\nx\r\n", false, PROBE_NO),
		R("half a word", "ge", "", false, PROBE_MORE), R("no number", "set k 0 x 3\r\n", "", false, PROBE_NO), R("redis", "set k v\r\n", "", false, PROBE_NO),
		R("version of another", "version\r\n", "500 what\r\n", false, PROBE_NO), R("values", "", "VALUE k 0 3\r\nabc\r\nEND\r\n", true, PROBE_YES),
		R("binary", GET_BINARY, "", false, PROBE_YES), R("a get with extras", "\200\0\0\1\10\0\0\0\0\0\0\11\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0k", "", false, PROBE_NO), R("couchbase", HELLO, "", false, PROBE_NO),
		R("quit", "quit\r\n", "", false, PROBE_MORE), R("quit of another", "quit\r\n", "221 bye\r\n", false, PROBE_NO),
	};

	for (unsigned i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
		enum probe got = vector_probe(&proto_memcached, p[i].up, p[i].nup, p[i].down, p[i].ndown, p[i].mid);

		CU_ASSERT_EQUAL(got, p[i].want);
		if (got != p[i].want)
			printf("\n%s: %d\n", p[i].name, got);
	}
	CU_ASSERT_EQUAL(vector_probe(&proto_couchbase, HELLO, sizeof(HELLO) - 1, "", 0, false), PROBE_YES);
	CU_ASSERT_EQUAL(vector_probe(&proto_couchbase, GET_BINARY, sizeof(GET_BINARY) - 1, "", 0, false), PROBE_NO);
	/* a vbucket; a CAS that is a time; a frame without what it frames */
	CU_ASSERT_EQUAL(vector_probe(&proto_couchbase, "\200\0\0\1\0\0\1\156\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0k", 25, "", 0, true), PROBE_YES);
	CU_ASSERT_EQUAL(vector_probe(&proto_couchbase, "", 0, "\201\1\0\0\0\0\0\0\0\0\0\0\2\0\0\0\24\237\201\316\177\366\0\0", 24, true), PROBE_YES);
	CU_ASSERT_EQUAL(vector_probe(&proto_couchbase, "", 0, "\201\1\0\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\7", 24, true), PROBE_NO);
	CU_ASSERT_EQUAL(vector_probe(&proto_couchbase, "\10\1\0\0\0\0\0\0\0\0\7\1\0\0\0\0\0\0\0\0\0\0\0\0", 24, "", 0, true), PROBE_NO);
	vectors_strangers(&proto_memcached, "memcached");
	vectors_strangers(&proto_couchbase, "couchbase");
}

static void test_long(void)
{
	static char up[300000];
	struct flowtest_step steps[] = { STEP_UP(SET), { DIR_TOSERVER, up, 0 } };
	struct flowtest_result r;
	size_t n = (size_t)sprintf(up, "set big 0 0 200000\r\n");

	memset(up + n, 'x', 200000);
	n += 200000;
	n += (size_t)sprintf(up + n, "\r\ndelete k\r\n");
	steps[1].n = n;
	r = flowtest_run(&ft, steps, 2);
	CU_ASSERT_EQUAL(r.bad, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "{\"command\":\"set\",\"key\":\"big\"}\nmemcached {\"command\":\"delete\",\"key\":\"k\"}"));
	flowtest_free(&r);
	memset(up, 'g', 20000);	/* a line that never ends */
	steps[1].n = 20000;
	r = flowtest_run(&ft, steps, 2);
	CU_ASSERT_EQUAL(r.bad, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "memcached.line_too_long"));
	flowtest_free(&r);
}

static void test_hostile(void)
{
	for (unsigned i = 0; i < 4; i++)
		vectors_hostile(&ft, &texts[i]);
	for (unsigned i = 0; i < 4; i++)
		vectors_hostile(&ft, &binaries[i]);
	vectors_hostile(&ft, &couchbases[0]);
}

const struct unit_test tests_memcached[] = {
	{ "text, however cut", test_text },
	{ "binary, however cut", test_binary },
	{ "couchbase", test_couchbase },
	{ "datagrams", test_udp },
	{ "what is memcached and what is not", test_recognition },
	{ "data and lines of any length", test_long },
	{ "hostile bytes", test_hostile },
	{ NULL, NULL },
};
