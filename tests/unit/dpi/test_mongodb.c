/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mongodb: commands of OP_MSG and OP_QUERY, the old messages, compression, answers by number, documents made to hurt. */
#include <stdio.h>

#include "tests/unit/dpi/vector.h"
#include "tests/unit/unit.h"

#define M(fields) "mongodb {" fields "}\n"
#define FIND "Q\0\0\0\7\0\0\0\0\0\0\0\335\7\0\0\0\0\0\0\0<\0\0\0\2find\0\6\0\0\0users\0\3filter\0\21\0\0\0\2name\0\2\0\0\0x" \
	"\0\0\2$db\0\5\0\0\0shop\0\0"
#define FIND_TOLD M("'command':'find','database':'shop','collection':'users'")
#define OK7 "3\0\0\0c\0\0\0\7\0\0\0\335\7\0\0\0\0\0\0\0\36\0\0\0\3cursor\0\5\0\0\0\0\1ok\0\0\0\0\0\0\0\360?\0"
#define FIND_OLD "5\0\0\0\5\0\0\0\0\0\0\0\324\7\0\0\0\0\0\0shop.users\0\0\0\0\0\377\377\377\377\16\0\0\0\2x\0\2\0\0\0y\0\0"

static const struct flowtest ft = { .dport = 7000 };

static const struct vector talks[] = {
	{ "a command", { STEP_UP(FIND), STEP_DOWN(OK7) }, FIND_TOLD, 0 },
	{ "an error", { STEP_UP(FIND), STEP_DOWN("Z\0\0\0c\0\0\0\7\0\0\0\335\7\0\0\0\0\0\0\0E\0\0\0\1ok\0\0\0\0\0\0\0\0\0\2errmsg\0\3\0\0\0no\0\20code\0\15\0\0"
		  "\0\2codeName\0\15\0\0\0Unauthorized\0\0") },
	  M("'command':'find','database':'shop','collection':'users','error_code':13,'error':'Unauthorized'"), 0 },
	{ "answers in another order", { STEP_UP(FIND), STEP_UP("3\0\0\0\10\0\0\0\0\0\0\0\335\7\0\0\0\0\0\0\0\36\0\0\0\20ping\0\1\0\0\0\2$db\0\6\0\0\0admin\0\0"), STEP_DOWN("&\0\0\0\1\0\0\0\10\0\0\0\335\7\0\0\0\0\0\0\0\21\0\0\0\1ok\0\0\0\0\0\0\0\0\0\0"), STEP_DOWN(OK7) },
	  M("'command':'ping','database':'admin'") FIND_TOLD, 0 },
	{ "sequences before the document", { STEP_UP("N\0\0\0\11\0\0\0\0\0\0\0\335\7\0\0\2\0\0\0\1\32\0\0\0documents\0\14\0\0\0\20a\0\1\0\0\0\0\0\36\0\0\0\2insert\0"
		  "\2\0\0\0t\0\2$db\0\2\0\0\0d\0\0") },
	  M("'command':'insert','database':'d','collection':'t'"), 0 },
	{ "logins", { STEP_UP("q\0\0\0\1\0\0\0\0\0\0\0\335\7\0\0\0\0\0\0\0\\\0\0\0\20saslStart\0\1\0\0\0\2mechanism\0\16\0\0\0SCRAM-SHA-256\0"
		  "\5payload\0\16\0\0\0\0n,,n=bob,r=abc\2$db\0\6\0\0\0admin\0\0"),
	  STEP_UP("\222\0\0\0\2\0\0\0\0\0\0\0\324\7\0\0\0\0\0\0admin.$cmd\0\0\0\0\0\377\377\377\377k\0\0\0\20hello\0\1\0\0\0\3sp"
		  "eculativeAuthenticate\0B\0\0\0\20saslStart\0\1\0\0\0\2mechanism\0\6\0\0\0PLAIN\0\5payload\0\13\0\0\0\0\0eve\0"
		  "secret\0\0"),
	  STEP_UP("L\0\0\0\3\0\0\0\0\0\0\0\335\7\0\0\0\0\0\0\0007\0\0\0\2createUser\0\10\0\0\0mallory\0\2pwd\0\2\0\0\0x\0\2$db\0"
		  "\6\0\0\0admin\0\0") },
	  M("'command':'saslStart','database':'admin','user':'bob','mechanism':'SCRAM-SHA-256'") M("'command':'hello','database':'admin','user':'eve','mechanism':'PLAIN'")
	  M("'command':'createUser','database':'admin','user':'mallory'"), 0 },
	{ "the old messages", { STEP_UP(FIND_OLD), STEP_DOWN("$\0\0\0\11\0\0\0\5\0\0\0\1\0\0\0\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), STEP_UP("$\0\0\0\6\0\0\0\0\0\0\0\322\7\0\0\0\0\0\0d.t\0\14\0\0\0\20a\0\1\0\0\0\0!\0\0\0\7\0\0\0\0\0\0\0\326\7\0\0\0\0\0"
		  "\0d.t\0\0\0\0\0\5\0\0\0\0 \0\0\0\10\0\0\0\0\0\0\0\327\7\0\0\0\0\0\0\1\0\0\0\7\7\7\7\7\7\7\7"),
	  STEP_UP("k\0\0\0\11\0\0\0\0\0\0\0\324\7\0\0\0\0\0\0a.$cmd\0\0\0\0\0\377\377\377\377H\0\0\0\3$query\0\23\0\0\0\20isMast"
		  "er\0\1\0\0\0\0\3$readPreference\0\27\0\0\0\2mode\0\10\0\0\0primary\0\0\0") },
	  M("'command':'find','database':'shop','collection':'users'") M("'command':'insert','database':'d','collection':'t'") M("'command':'delete','database':'d','collection':'t'")
	  M("'command':'killCursors'") M("'command':'isMaster','database':'a'"), 0 },
	{ "getMore names its collection", { STEP_UP("O\0\0\0\3\0\0\0\0\0\0\0\335\7\0\0\0\0\0\0\0:\0\0\0\22getMore\0\1\0\0\0\0\0\0\0\2collection\0\6\0\0\0users\0\2"
		  "$db\0\5\0\0\0shop\0\0") },
	  M("'command':'getMore','database':'shop','collection':'users'"), 0 },
	{ "compressed", { STEP_UP(" \0\0\0\7\0\0\0\0\0\0\0\334\7\0\0\335\7\0\0d\0\0\0\2abcdefg"), STEP_DOWN(" \0\0\0\1\0\0\0\7\0\0\0\334\7\0\0\335\7\0\0d\0\0\0\2abcdefg"),
	  STEP_UP("A\0\0\0\10\0\0\0\0\0\0\0\334\7\0\0\335\7\0\0d\0\0\0\0\0\0\0\0\0#\0\0\0\2drop\0\6\0\0\0users\0\2$db\0\5\0\0\0s"
		  "hop\0\0") },
	  M("'compressor':'zlib','partial':true") M("'command':'drop','database':'shop','collection':'users','compressor':'noop'"), 0 },
	{ "all types of values before the database", { STEP_UP("\346\0\0\0\7\0\0\0\0\0\0\0\335\7\0\0\0\0\0\0\0\321\0\0\0\2count\0\2\0\0\0c\0\1a\0\0\0\0\0\0\0\0\0\4b\0\15\0\0"
		  "\0\0030\0\5\0\0\0\0\0\5c\0\3\0\0\0\0xyz\6d\0\7e\0\1\1\1\1\1\1\1\1\1\1\1\1\10f\0\1\11g\0\0\0\0\0\0\0\0\0\12h\0"
		  "\13i\0a\0b\0\14j\0\2\0\0\0q\0\2\2\2\2\2\2\2\2\2\2\2\2\15k\0\2\0\0\0x\0\17l\0\23\0\0\0\2\0\0\0x\0\5\0\0\0\0..."
		  ".\21m\0\0\0\0\0\0\0\0\0\22n\0\0\0\0\0\0\0\0\0\23o\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\377p\0\177q\0\2$db\0\2\0\0"
		  "\0d\0\0") },
	  M("'command':'count','database':'d','collection':'c'"), 0 },
	{ "nonsense", { STEP_UP(FIND), STEP_UP("hello world, this is no message") }, ANOMALY("mongodb.bad_message") FIND_TOLD, 1 },
	{ "a lost piece of an answer", { STEP_UP(FIND), { DIR_TOCLIENT, NULL, 300 }, STEP_DOWN("the rest of it is here"), STEP_UP(FIND), STEP_DOWN(OK7) },
	  "anomaly {'type':'stream','event':'stream.gap','layer':'stream'}\n" FIND_TOLD FIND_TOLD, 0 },
};

static void test_talks(void) { VECTORS_RUN(&ft, APP_MONGODB, talks); }

static void test_recognition(void)
{
	static const struct { const char *name, *up; size_t nup; const char *down; size_t ndown; bool mid; enum probe want; } p[] = {
#define R(name, up, down, mid, want) { name, up, sizeof(up) - 1, down, sizeof(down) - 1, mid, want }
		R("a command", FIND, "", false, PROBE_YES), R("an answer", "", OK7, false, PROBE_YES), R("an old query", FIND_OLD, "", false, PROBE_YES),
		R("flags that do not exist", "*\0\0\0\7\0\0\0\0\0\0\0\335\7\0\0\4\0\0\0\0\25\0\0\0\2find\0\6\0\0\0users\0\0", "", false, PROBE_NO),
		R("a document longer than its message", "\37\0\0\0\7\0\0\0\0\0\0\0\335\7\0\0\0\0\0\0\0\377\0\0\0\2find\0", "", false, PROBE_NO),
		R("no dot in the namespace", "&\0\0\0\5\0\0\0\0\0\0\0\324\7\0\0\0\0\0\0shop\0\0\0\0\0\377\377\377\377\5\0\0\0\0", "", false, PROBE_NO),
	};

	for (unsigned i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
		enum probe got = vector_probe(&proto_mongodb, p[i].up, p[i].nup, p[i].down, p[i].ndown, p[i].mid);

		CU_ASSERT_EQUAL(got, p[i].want);
		if (got != p[i].want)
			printf("\n%s: %d\n", p[i].name, got);
	}
	for (size_t n = 1; n < sizeof(FIND) - 1; n++)
		CU_ASSERT_NOT_EQUAL(vector_probe(&proto_mongodb, FIND, n, "", 0, false), PROBE_NO);
	vectors_strangers(&proto_mongodb, "mongodb");
}

/* Documents in documents, deeper than is followed; a message larger than what is kept. */
static void test_deep_and_long(void)
{
	static char up[200000];
	struct flowtest_result r;
	struct flowtest_step steps[] = { { DIR_TOSERVER, up, 0 }, STEP_UP(FIND) };
	size_t n = sizeof(FIND) - 1;

	for (unsigned size = 1000; size <= 150000; size += 149000) {
		memcpy(up, FIND, n);
		for (size_t at = n; at + 7 <= size; at += 7)
			memcpy(up + at, "\3a\0\xff\0\0\0", 7);
		up[0] = (char)size;
		up[1] = (char)(size >> 8);
		up[2] = (char)(size >> 16);
		up[21] = (char)(size - 21);
		up[22] = (char)((size - 21) >> 8);
		up[23] = (char)((size - 21) >> 16);
		up[n - 1] = 3;	/* where the document ended, another one begins */
		steps[0].n = size;
		r = flowtest_run(&ft, steps, 2);
		CU_ASSERT_EQUAL(r.bad, 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "{\"command\":\"find\",\"database\":\"shop\",\"collection\":\"users\"}\nmongodb"));
		flowtest_free(&r);
	}
}

static void test_hostile(void)
{
	for (unsigned i = 0; i < 9; i++)
		vectors_hostile(&ft, &talks[i]);
}

const struct unit_test tests_mongodb[] = {
	{ "conversations, however cut", test_talks },
	{ "what is mongodb and what is not", test_recognition },
	{ "deep and long documents", test_deep_and_long },
	{ "hostile bytes", test_hostile },
	{ NULL, NULL },
};
