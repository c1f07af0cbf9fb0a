/* SPDX-License-Identifier: GPL-2.0-or-later */
/* redis: commands and their keys, replies in order, what the server says unasked, and bytes made to hurt.
 * In what is wanted ' stands for ". */
#include <stdio.h>
#include <stdlib.h>

#include "dpi/proto/redis_parts.h"
#include "tests/unit/dpi/flowtest.h"
#include "tests/unit/unit.h"

#define C(fields) "redis {'command':" fields "}\n"
#define GET_A "*2\r\n$3\r\nGET\r\n$1\r\na\r\n"
#define GET_A_TOLD C("'GET','key':'a'")
#define STEPS_MAX 8

struct vector {
	const char *name;
	struct flowtest_step steps[STEPS_MAX];
	const char *want;
	unsigned bad;
};

static bool same(const char *name, const char *text, const char *want)
{
	char *q = strdup(want);
	bool ok;

	for (char *c = q; c && *c; c++)
		if (*c == '\'')
			*c = '"';
	ok = q && strcmp(text, q) == 0;
	if (!ok)
		printf("\n%s: wanted\n%stold\n%s", name, q, text);
	free(q);
	return ok;
}

static unsigned nsteps(const struct flowtest_step *s)
{
	unsigned n = 0;

	while (n < STEPS_MAX && s[n].n)
		n++;
	return n;
}

static void run(const struct vector *v, size_t n)
{
	const struct flowtest ft = { .dport = 7000 };

	for (size_t i = 0; i < n; i++) {
		struct flowtest_result r = flowtest_run(&ft, v[i].steps, nsteps(v[i].steps));
		char *text = flowtest_every_cut(&ft, v[i].steps, nsteps(v[i].steps));

		CU_ASSERT_EQUAL(r.app, APP_REDIS);
		CU_ASSERT_EQUAL(r.bad, v[i].bad);
		CU_ASSERT_TRUE(same(v[i].name, text, v[i].want));
		flowtest_free(&r);
		free(text);
		flowtest_every_prefix(&ft, v[i].steps, nsteps(v[i].steps));
	}
}
#define RUN(rows) run(rows, sizeof(rows) / sizeof(rows[0]))
#define BAD(event) "anomaly {'type':'proto','event':'" event "','layer':'proto'}\n"

static void test_commands(void)
{
	static const struct vector rows[] = {
		{ "one", { STEP_UP(GET_A), STEP_DOWN("$1\r\nx\r\n") }, GET_A_TOLD, 0 },
		{ "lower case, empty key", { STEP_UP("*2\r\n$3\r\nget\r\n$0\r\n\r\n"), STEP_DOWN("$-1\r\n") }, C("'GET','key':''"), 0 },
		{ "no reply", { STEP_UP(GET_A GET_A) }, GET_A_TOLD GET_A_TOLD, 0 },
		{ "half a command is none", { STEP_UP(GET_A "*2\r\n$3\r\nDEL\r\n") }, GET_A_TOLD, 0 },
		{ "empty arrays and lines", { STEP_UP("\r\n" GET_A "*0\r\n*-1\r\n\r\n" GET_A), STEP_DOWN("$-1\r\n$-1\r\n") }, GET_A_TOLD GET_A_TOLD, 0 },
		{ "a value that looks like a command",
		  { STEP_UP("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$22\r\n*1\r\n$8\r\nFLUSHALL\r\n\r\n12\r\n" GET_A), STEP_DOWN("+OK\r\n$1\r\nx\r\n") },
		  C("'SET','key':'k'") GET_A_TOLD, 0 },
		{ "a key of any bytes", { STEP_UP("*2\r\n$3\r\nGET\r\n$4\r\n\r\n\n\"\r\n"), STEP_DOWN("_\r\n") }, C("'GET','key':'\\r\\n\\n\\''"), 0 },
	};

	RUN(rows);
}

static void test_inline(void)
{
	static const struct vector rows[] = {
		{ "ping", { STEP_UP("PING\r\n"), STEP_DOWN("+PONG\r\n") }, C("'PING'"), 0 },
		{ "words and quotes", { STEP_UP("config get *\nset 'a b' \"\\x41\\n\\\"\"\nget\t\"k\\x31\"\nget \"\\xyz\"\n"), STEP_DOWN("*0\r\n+OK\r\n$-1\r\n$-1\r\n") },
		  C("'CONFIG'") C("'SET','key':'a b'") C("'GET','key':'k1'") C("'GET','key':'xyz'"), 0 },
		{ "believed by the reply", { STEP_UP("get k\r\n"), STEP_DOWN("$1\r\nv\r\n") }, C("'GET','key':'k'"), 0 },
		{ "between arrays", { STEP_UP(GET_A "DEL x y\r\n" GET_A), STEP_DOWN("$-1\r\n:2\r\n$-1\r\n") }, GET_A_TOLD C("'DEL','key':'x'") GET_A_TOLD, 0 },
		{ "an open quote", { STEP_UP("PING\r\nset 'a\r\n" GET_A), STEP_DOWN("+PONG\r\n-ERR Protocol error: unbalanced quotes in request\r\n") },
		  BAD("redis.quotes") C("'PING'"), 1 },
	};

	RUN(rows);
}

/* One command, as words; want: its key (or "fact:value"), NULL for none. */
static void key_of(const char *words, const char *want)
{
	char up[1024], copy[256], text[300], *save = NULL;
	const char *arg[32];
	unsigned n = 0, at;
	struct flowtest_result r;

	snprintf(copy, sizeof(copy), "%s", words);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		arg[n++] = w;
	at = (unsigned)snprintf(up, sizeof(up), "*%u\r\n", n);
	for (unsigned i = 0; i < n; i++)
		at += (unsigned)snprintf(up + at, sizeof(up) - at, "$%zu\r\n%s\r\n", strlen(arg[i]), arg[i]);
	const char *colon = want ? strchr(want, ':') : NULL;
	int fact = colon ? (int)(colon - want) : 3;

	snprintf(text, sizeof(text), want ? "redis {'command':'%s','%.*s':'%s'}\n" : "redis {'command':'%s'}\n", arg[0], fact, colon ? want : "key", colon ? colon + 1 : want);
	r = flowtest_run(&(struct flowtest){ .dport = 6379 }, (const struct flowtest_step[]){ { DIR_TOSERVER, up, at } }, 1);
	CU_ASSERT_TRUE(same(words, r.text, text));
	flowtest_free(&r);
}

static void test_keys(void)
{
	static const struct { const char *words, *key; } rows[] = {
		{ "GET k", "k" }, { "HSET h f v", "h" }, { "MGET a b c", "a" }, { "MSET a 1 b 2", "a" }, { "PING", NULL }, { "PING word", NULL }, { "GET", NULL },
		{ "AUTH user secret", "user:user" }, { "AUTH secret", NULL }, { "AUTH", NULL }, { "HELLO 3 AUTH user secret SETNAME AUTH", "user:user" }, { "HELLO 3 SETNAME x", NULL },
		{ "HELLO 3 AUTH", NULL }, { "SELECT 3", "database:3" }, { "PUBLISH ch m", "channel:ch" }, { "UNSUBSCRIBE", NULL }, { "SCAN 0", NULL },
		{ "CONFIG SET dir /tmp", NULL }, { "OBJECT ENCODING k", "k" }, { "OBJECT HELP", NULL }, { "MEMORY USAGE k", "k" }, { "MEMORY DOCTOR", NULL },
		{ "BITOP AND d s", "d" }, { "BLPOP a b 0", "a" }, { "BLPOP 0", NULL }, { "MIGRATE h 6379 k 0 5", "k" }, { "SORT s BY w_* GET # STORE d", "s" }, { "XGROUP CREATE s g $", "s" },
		{ "EVAL script 2 k1 k2 arg", "k1" }, { "EVAL script 0 arg", NULL }, { "EVAL script x arg", NULL }, { "EVALSHA sha 1 k", "k" }, { "FCALL f 1 k", "k" },
		{ "EVAL script 99 k", "k" }, { "EVAL script", NULL }, { "ZUNIONSTORE d 2 a b", "d" }, { "ZINTER 2 a b", "a" }, { "LMPOP 1 l LEFT", "l" },
		{ "BLMPOP 0 1 l LEFT", "l" }, { "XREAD COUNT 2 STREAMS a b 0 0", "a" }, { "XREADGROUP GROUP g c streams s >", "s" }, { "XREAD COUNT 2", NULL },
		{ "JSON.SET doc . 1", "doc" }, { "JSON.MSET a . 1 b . 2", "a" }, { "FT.SEARCH idx q", "idx" }, { "RENAME a b", "a" }, { "SUBSCRIBE c d", "channel:c" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		key_of(rows[i].words, rows[i].key);
}

/* The table is searched by halves: each row must find itself. */
static void test_table(void)
{
	static const char *const some[] = { "ACL", "EVALSHA", "EVALSHA_RO", "EVAL_RO", "XREADGROUP", "ZUNIONSTORE", "JSON.MSET", "MSETNX", "WAITAOF" };

	for (unsigned i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		const struct redis_spec *s = redis_spec_of(some[i]);

		CU_ASSERT_STRING_EQUAL(s->name, some[i]);
		if (i) {	/* rows lie in one table, in order */
			CU_ASSERT_TRUE((strcmp(some[i], some[0]) > 0) == (s > redis_spec_of(some[0])));
		}
	}
	for (const struct redis_spec *s = redis_spec_of("ACL"), *last = redis_spec_of("ZUNIONSTORE"); s < last; s++) {
		CU_ASSERT_TRUE(strcmp(s[0].name, s[1].name) < 0);
		CU_ASSERT_PTR_EQUAL(redis_spec_of(s->name), s);
	}
	CU_ASSERT_STRING_EQUAL(redis_spec_of("GET")->name, "");
}

static void test_replies(void)
{
	static const struct vector rows[] = {
		{ "errors in order", { STEP_UP(GET_A "*1\r\n$3\r\nFOO\r\n" GET_A "*2\r\n$4\r\nLPOP\r\n$1\r\na\r\n"),
		  STEP_DOWN("$-1\r\n-ERR unknown command 'FOO', with args beginning with: 'secret'\r\n"),
		  STEP_DOWN("$2\r\n-E\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n") },
		  GET_A_TOLD C("'FOO','error':'ERR unknown command'") GET_A_TOLD C("'LPOP','key':'a','error':'WRONGTYPE'"), 0 },
		{ "other errors", { STEP_UP(GET_A GET_A GET_A GET_A), STEP_DOWN("-NOAUTH Authentication required.\r\n-MOVED 1 h:1\r\n-ERR\r\n!11\r\nERR a b c d\r\n") },
		  C("'GET','key':'a','error':'NOAUTH'") C("'GET','key':'a','error':'MOVED'") C("'GET','key':'a','error':'ERR'")
		  C("'GET','key':'a','error':'ERR a b'"), 0 },
		{ "every type is one reply", { STEP_UP(GET_A GET_A GET_A GET_A GET_A GET_A GET_A GET_A),
		  STEP_DOWN("+OK\r\n:1\r\n_\r\n#t\r\n,1.5\r\n(123456789012345678901234567890\r\n=7\r\ntxt:abc\r\n-LAST x\r\n") },
		  GET_A_TOLD GET_A_TOLD GET_A_TOLD GET_A_TOLD GET_A_TOLD GET_A_TOLD GET_A_TOLD C("'GET','key':'a','error':'LAST'"), 0 },
		{ "nested", { STEP_UP(GET_A GET_A GET_A GET_A GET_A),
		  STEP_DOWN("*3\r\n*2\r\n:1\r\n$1\r\nx\r\n*0\r\n*-1\r\n%1\r\n+k\r\n*1\r\n-ERR inside\r\n~2\r\n_\r\n_\r\n*0\r\n-LAST x\r\n") },
		  GET_A_TOLD GET_A_TOLD GET_A_TOLD GET_A_TOLD C("'GET','key':'a','error':'LAST'"), 0 },
		{ "attributes belong to what follows", { STEP_UP(GET_A GET_A GET_A),
		  STEP_DOWN("|1\r\n+ttl\r\n:9\r\n$1\r\nx\r\n*2\r\n|1\r\n+a\r\n*1\r\n:1\r\n:1\r\n|0\r\n:2\r\n-LAST x\r\n") },
		  GET_A_TOLD GET_A_TOLD C("'GET','key':'a','error':'LAST'"), 0 },
		{ "streamed", { STEP_UP(GET_A GET_A GET_A GET_A), STEP_DOWN("$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n*?\r\n:1\r\n*?\r\n.\r\n.\r\n%?\r\n+a\r\n:1\r\n.\r\n-LAST x\r\n") },
		  GET_A_TOLD GET_A_TOLD GET_A_TOLD C("'GET','key':'a','error':'LAST'"), 0 },
		{ "more replies than commands", { STEP_UP(GET_A), STEP_DOWN("+OK\r\n-ERR x y z\r\n+OK\r\n"), STEP_UP(GET_A) }, GET_A_TOLD GET_A_TOLD, 0 },
	};

	RUN(rows);
}

static void test_unasked(void)
{
#define SUB "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n"
#define MESSAGE "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n"
	static const struct vector rows[] = {
		{ "subscription", { STEP_UP(SUB), STEP_DOWN("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n" MESSAGE MESSAGE), STEP_UP(GET_A),
		  STEP_DOWN(MESSAGE "-ERR only (P)SUBSCRIBE allowed\r\n") }, C("'SUBSCRIBE','channel':'c'") C("'GET','key':'a','error':'ERR only (P)SUBSCRIBE'"), 0 },
		{ "refused", { STEP_UP(SUB GET_A), STEP_DOWN("-NOAUTH x\r\n-LAST x\r\n") }, C("'SUBSCRIBE','channel':'c','error':'NOAUTH'") C("'GET','key':'a','error':'LAST'"), 0 },
		{ "pushes of RESP3", { STEP_UP("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n" SUB GET_A),
		  STEP_DOWN("%1\r\n+proto\r\n:3\r\n>3\r\n+subscribe\r\n+c\r\n:1\r\n>3\r\n+message\r\n+c\r\n+m\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n+a\r\n-LAST x\r\n") },
		  C("'HELLO'") C("'SUBSCRIBE','channel':'c'") C("'GET','key':'a','error':'LAST'"), 0 },
		{ "monitor", { STEP_UP("*1\r\n$7\r\nMONITOR\r\n"), STEP_DOWN("+OK\r\n+1700000000.1 [0 127.0.0.1:5] \"get\" \"k\"\r\n"), STEP_UP(GET_A),
		  STEP_DOWN("+1700000000.2 [0 127.0.0.1:5] \"ping\"\r\n-LAST x\r\n") }, C("'MONITOR'") C("'GET','key':'a','error':'LAST'"), 0 },
		{ "a replica", { STEP_UP("*1\r\n$4\r\nPING\r\n"), STEP_DOWN("+PONG\r\n"), STEP_UP("*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n"),
		  STEP_DOWN("+FULLRESYNC 1 0\r\n$5\r\nREDIS*1\r\n") }, C("'PING'") C("'PSYNC'"), 0 },
	};

	RUN(rows);
}

/* Values of many segments are passed by; so are keys longer than is told, which end cut. */
static void test_huge(void)
{
	static char value[300000], key[9000], text[9000];
	static const struct flowtest ways[] = { { .dport = 6379 }, { .dport = 6379, .cut = 1448 }, { .dport = 6379, .cut = 61 }, { .dport = 6379, .v6 = true, .cut = 4099 } };
	char head[64];
	const struct flowtest_step set[] = {
		STEP_UP("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$300000\r\n"), { DIR_TOSERVER, value, sizeof(value) }, STEP_UP("\r\n" GET_A),
		STEP_DOWN("+OK\r\n$300000\r\n"), { DIR_TOCLIENT, value, sizeof(value) }, STEP_DOWN("\r\n-LAST x\r\n"),
	};
	const struct flowtest_step get[] = { { DIR_TOSERVER, head, 0 }, { DIR_TOSERVER, key, sizeof(key) }, STEP_UP("\r\n" GET_A), STEP_DOWN("$-1\r\n-LAST x\r\n") };
	struct flowtest_step get_n[4];

	memset(value, '\n', sizeof(value));
	memset(key, 'k', sizeof(key));
	memcpy(get_n, get, sizeof(get));
	get_n[0].n = (size_t)snprintf(head, sizeof(head), "*2\r\n$3\r\nGET\r\n$9000\r\n");
	memcpy(text, key, RECORD_STR_MAX);
	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct flowtest_result r = flowtest_run(&ways[i], set, 6);

		CU_ASSERT_EQUAL(r.app, APP_REDIS);
		/* the last reply answers nothing: GET got the value */
		CU_ASSERT_TRUE(same("a value of 300,000 bytes", r.text, C("'SET','key':'k'") GET_A_TOLD));
		flowtest_free(&r);
		r = flowtest_run(&ways[i], get_n, 4);
		CU_ASSERT_PTR_NOT_NULL(strstr(r.text, text));
		CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "\"error\":\"LAST\""));
		CU_ASSERT_TRUE(strlen(r.text) < 4400);
		flowtest_free(&r);
	}
}

/* More commands than may wait: the oldest are told without their replies, the order is kept. */
static void test_pipeline(void)
{
	static char up[40 * (sizeof(GET_A) - 1)], down[40 * 8];
	struct flowtest_step s[] = { { DIR_TOSERVER, up, sizeof(up) }, { DIR_TOCLIENT, down, 0 } };
	struct flowtest_result r;
	unsigned n = 0;

	for (unsigned i = 0; i < 40; i++) {
		memcpy(up + i * (sizeof(GET_A) - 1), GET_A, sizeof(GET_A) - 1);
		s[1].n += (size_t)snprintf(down + s[1].n, sizeof(down) - s[1].n, "-E%u\r\n", i);
	}
	r = flowtest_run(&(struct flowtest){ .dport = 6379 }, s, 2);
	for (const char *at = r.text; (at = strstr(at, "redis {")); at++)
		n++;
	CU_ASSERT_EQUAL(n, 40);
	CU_ASSERT_PTR_NULL(strstr(r.text, "\"E7\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "\"E8\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "\"E39\""));
	flowtest_free(&r);
}

static void test_hostile(void)
{
	static const struct vector rows[] = {
		{ "count past the bound", { STEP_UP(GET_A "*4294967297\r\n") }, BAD("redis.bad_number") GET_A_TOLD, 1 },
		{ "count without an end", { STEP_UP(GET_A "*99999999999999999999999999") }, BAD("redis.bad_number") GET_A_TOLD, 1 },
		{ "negative length", { STEP_UP(GET_A "*2\r\n$-5\r\n") }, BAD("redis.bad_number") GET_A_TOLD, 1 },
		{ "null argument", { STEP_UP(GET_A "*2\r\n$-1\r\n") }, BAD("redis.bad_number") GET_A_TOLD, 1 },
		{ "length that wraps", { STEP_UP(GET_A "*2\r\n$18446744073709551617\r\n") }, BAD("redis.bad_number") GET_A_TOLD, 1 },
		{ "length of letters", { STEP_UP(GET_A "*2\r\n$3x\r\nGET\r\n") }, BAD("redis.bad_number") GET_A_TOLD, 1 },
		{ "no argument", { STEP_UP(GET_A "*2\r\nGET\r\n") }, BAD("redis.bad_argument") GET_A_TOLD, 1 },
		{ "an argument longer than it says", { STEP_UP(GET_A "*2\r\n$2\r\nGET\r\n") }, BAD("redis.bad_argument") GET_A_TOLD, 1 },
		{ "a huge count and nothing more", { STEP_UP(GET_A "*2147483647\r\n$3\r\nGET\r\n") }, GET_A_TOLD, 0 },
		{ "a reply of no type", { STEP_UP(GET_A), STEP_DOWN("HTTP/1.1 400\r\n") }, BAD("redis.bad_reply") GET_A_TOLD, 1 },
		{ "an end without a beginning", { STEP_UP(GET_A), STEP_DOWN(".\r\n") }, BAD("redis.bad_reply") GET_A_TOLD, 1 },
		{ "pieces of nothing", { STEP_UP(GET_A), STEP_DOWN(";0\r\n") }, BAD("redis.bad_reply") GET_A_TOLD, 1 },
		{ "a reply's length that wraps", { STEP_UP(GET_A), STEP_DOWN("$99999999999999999999\r\n") }, BAD("redis.bad_number") GET_A_TOLD, 1 },
		{ "a count of a reply that is big and legal", { STEP_UP(GET_A), STEP_DOWN("*1000000000000\r\n:1\r\n") }, GET_A_TOLD, 0 },
	};
	static char deep[4 * 1000 + 1], line[70000];
	const struct flowtest_step nest[] = { STEP_UP(GET_A), { DIR_TOCLIENT, deep, 4000 } };
	const struct flowtest_step endless[] = { STEP_UP(GET_A), { DIR_TOSERVER, line, sizeof(line) } };
	const struct flowtest_step reply[] = { STEP_UP(GET_A GET_A), STEP_DOWN("-ERR "), { DIR_TOCLIENT, line, sizeof(line) }, STEP_DOWN("\r\n-LAST x\r\n") };
	struct flowtest_result r;

	RUN(rows);
	for (unsigned i = 0; i < 1000; i++)
		memcpy(deep + 4 * i, "*1\r\n", 4);
	memset(line, 'a', sizeof(line));
	for (unsigned way = 0; way < 3; way++) {
		const struct flowtest ft = { .dport = 6379, .cut = way == 1 ? 17 : way == 2 ? 1448 : 0 };

		r = flowtest_run(&ft, nest, 2);
		CU_ASSERT_EQUAL(r.bad, 1);
		CU_ASSERT_TRUE(same("nested 1000 deep", r.text, BAD("redis.too_deep") GET_A_TOLD));
		flowtest_free(&r);
		r = flowtest_run(&ft, endless, 2);
		CU_ASSERT_EQUAL(r.bad, 1);
		CU_ASSERT_TRUE(same("a line without an end", r.text, BAD("redis.line_too_long") GET_A_TOLD));
		flowtest_free(&r);
		r = flowtest_run(&ft, reply, 4);
		CU_ASSERT_EQUAL(r.bad, 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(r.text, "\"error\":\"LAST\""));
		CU_ASSERT_TRUE(strlen(r.text) < 300);
		flowtest_free(&r);
	}
}

static enum probe probed(const char *up, const char *down, bool midstream, uint16_t port)
{
	struct probe_in in = { .l4 = PROTO_TCP, .midstream = midstream, .sport = 40000, .dport = port };

	in.dir[DIR_TOSERVER] = cur_of(up, strlen(up));
	in.dir[DIR_TOCLIENT] = cur_of(down, strlen(down));
	in.now = *down ? DIR_TOCLIENT : DIR_TOSERVER;
	return proto_redis.probe(&in);
}

static void test_recognition(void)
{
	static const struct { const char *up, *down; bool midstream; enum probe want; } rows[] = {
		{ "*1\r\n$4\r\nPING\r\n", "", false, PROBE_YES },
		{ "\r\n*1\r\n$4\r\nPING\r\n", "", false, PROBE_YES },
		{ "*3\r\n$11\r\nJSON.NUMSET\r\n", "", false, PROBE_YES },
		{ "", "-DENIED Redis is running in protected mode", false, PROBE_YES },
		{ "", "-ERR max number of clients reached\r\n", false, PROBE_YES },
		{ "", "+PONG\r\n", true, PROBE_YES },
		{ "", "$5\r\nhello\r\n", true, PROBE_YES },
		{ "", "*3\r\n$7\r\nmessage\r\n", true, PROBE_YES },
		{ "", "*3\r\n$4\r\nXADD\r\n", true, PROBE_NO },	/* a client's */
		{ "", "*3\r\n$1\r\nA\r\n", true, PROBE_YES },
		{ "info\r\n", "", false, PROBE_YES },
		{ "CONFIG SET dir /var/spool/cron\r\n", "", false, PROBE_YES },
		{ "HELLO 3\r\n", "", false, PROBE_YES },
		{ "SET a b\r\n", "", false, PROBE_MORE },
		{ "SET a b\r\n", "+OK\r\n", false, PROBE_YES },
		{ "GET a\r\n", "$-1\r\n", false, PROBE_YES },
		{ "INCR a\r\n", ":1\r\n", false, PROBE_YES },
		/* others' */
		{ "", "$5\r\nhello\r\n", false, PROBE_NO },
		{ "", "+OK POP3 server ready\r\n", false, PROBE_NO },
		{ "", "+OK POP3 server ready\r\n", true, PROBE_NO },
		{ "", "220 smtp ready\r\n", false, PROBE_NO },
		{ "AUTH PLAIN\r\n", "+OK POP3 server ready\r\n", false, PROBE_NO },
		{ "QUIT\r\n", "+OK Dovecot ready.\r\n", false, PROBE_NO },
		{ "EHLO x\r\n", "", false, PROBE_NO },
		{ "HELO x\r\n", "", false, PROBE_NO },
		{ "USER x\r\n", "", false, PROBE_NO },
		{ "NICK x\r\n", "", false, PROBE_NO },
		{ "PING irc.example\r\n", "", false, PROBE_NO },
		{ "PING\r\n", "220 ftp\r\n", false, PROBE_NO },
		{ "PING\r\n", "", true, PROBE_MORE },	/* NATS says so as well */
		{ "PING\r\n", "PONG\r\n", true, PROBE_NO },
		{ "PING\r\n", "+PONG\r\n", true, PROBE_YES },
		{ "get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n", false, PROBE_NO },
		{ "get a\r\n", "END\r\n", false, PROBE_NO },
		{ "set a 0 0 1\r\nx\r\n", "STORED\r\n", false, PROBE_NO },
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", false, PROBE_NO },
		{ "INFO sip:bob@example SIP/2.0\r\n", "", false, PROBE_NO },
		{ "HELLO world\r\n", "", false, PROBE_NO },
		{ "a1 LOGIN x y\r\n", "", false, PROBE_NO },
		{ "version\r\n", "", false, PROBE_NO },
		{ "stats\r\n", "", false, PROBE_NO },
		{ "*1\r\n$4\r\nP NG\r\n", "", false, PROBE_NO },
		{ "*1\n$4\nPING\n", "", false, PROBE_NO },
		{ "*0\r\n", "", false, PROBE_NO },
		{ "*1\r\n:4\r\n", "", false, PROBE_NO },
		{ "*1\r\n$400\r\n", "", false, PROBE_NO },
		{ "*a", "", false, PROBE_NO },
		{ "** hello\r\n", "", false, PROBE_NO },
		{ "\x16\x03\x01", "", false, PROBE_NO },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum probe p = probed(rows[i].up, rows[i].down, rows[i].midstream, 7000);

		CU_ASSERT_EQUAL(p, rows[i].want);
		if (p != rows[i].want)
			printf("\n%s | %s: %d\n", rows[i].up, rows[i].down, p);
	}
	/* half of a beginning is no reason to give up */
	for (unsigned i = 1; i < sizeof(GET_A) - 1; i++) {
		char part[sizeof(GET_A)];

		memcpy(part, GET_A, i);
		part[i] = 0;
		CU_ASSERT_EQUAL(probed(part, "", false, 7000), i < 13 ? PROBE_MORE : PROBE_YES);
	}
	/* its own port says whose a word is that others have, too; a reply that does not fit says more */
	CU_ASSERT_EQUAL(probed("SET a b\r\n", "", false, 6379), PROBE_YES);
	CU_ASSERT_EQUAL(probed("get a\r\n", "", false, 6379), PROBE_YES);
	CU_ASSERT_EQUAL(probed("get a", "", false, 6379), PROBE_MORE);
	CU_ASSERT_EQUAL(probed("get a\r\n", "", true, 6379), PROBE_MORE);
	CU_ASSERT_EQUAL(probed("get a\r\n", "END\r\n", false, 6379), PROBE_NO);
	CU_ASSERT_EQUAL(probed("GET / HTTP/1.1\r\n", "", false, 6379), PROBE_NO);
	CU_ASSERT_EQUAL(probed("QUIT\r\n", "+OK Dovecot ready.\r\n", false, 6379), PROBE_NO);
}

const struct unit_test tests_redis[] = {
	{ "commands, however cut", test_commands },
	{ "inline commands", test_inline },
	{ "where the key stands", test_keys },
	{ "the table of commands is in order", test_table },
	{ "replies and errors in order", test_replies },
	{ "what the server says unasked", test_unasked },
	{ "values and keys of any length", test_huge },
	{ "a pipeline longer than what may wait", test_pipeline },
	{ "hostile bytes", test_hostile },
	{ "what is redis and what is not", test_recognition },
	{ NULL, NULL },
};
