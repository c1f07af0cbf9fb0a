/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of real protocols against rules that ask for facts, packet by packet: what the server gets, and what is told. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/dpi/l7.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT

/* A held conversation: bytes up go in segments of `cut`, down whole. What the server got is kept. */
struct talk {
	struct core c;
	uint32_t seq[2];
	uint8_t got[8192];
	size_t ngot;
	enum verdict last;
};

static void talk_open(struct talk *t, enum policy_mode mode, const struct l7_rule *rules, bool held)
{
	memset(t, 0, sizeof(*t));
	l7_open(&t->c, l7_policy(mode, rules), false, held, t->seq);
}

/* What is refused is sent no more: true while all was accepted. */
static bool say(struct talk *t, enum dir dir, const void *p, size_t n, size_t cut, bool held)
{
	for (size_t at = 0; at < n;) {
		size_t k = cut && cut < n - at ? cut : n - at;
		struct spec s = { .dir = dir, .flags = TCP_ACK | TCP_PSH, .seq = t->seq[dir], .ack = t->seq[!dir], .p = (const uint8_t *)p + at, .n = k, .held = held };

		t->last = core_send(&t->c, &s);
		if (verdict_stops(t->last))
			return false;
		if (dir == UP && t->ngot + k <= sizeof(t->got)) {
			memcpy(t->got + t->ngot, (const uint8_t *)p + at, k);
			t->ngot += k;
		}
		t->seq[dir] += (uint32_t)k;
		at += k;
	}
	return true;
}

#define SAY_UP(t, lit, cut) say(t, UP, lit, sizeof(lit) - 1, cut, true)
#define SAY_DOWN(t, lit) say(t, DOWN, lit, sizeof(lit) - 1, 0, true)
#define GOT(t, lit) ((t)->ngot >= sizeof(lit) - 1 && memmem((t)->got, (t)->ngot, lit, sizeof(lit) - 1) != NULL)

#define HTTP2_BEGINS "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* The third request of a kept-alive connection is refused, however it is cut; the two before it were answered. */
static void test_third_request(void)
{
	static const struct l7_rule rules[] = { { VERDICT_ALLOW, "http", { "methods=GET", "paths=/api/*" } }, END };

	for (size_t cut = 2; cut < 40; cut++) {	/* in single bytes it is not recognised within `pending` */
		struct talk t;

		talk_open(&t, MODE_PROTECT, rules, true);
		CU_ASSERT_EQUAL(core_flow(&t.c)->verdict, VERDICT_PENDING);
		CU_ASSERT(SAY_UP(&t, "GET /api/1 HTTP/1.1\r\nHost: shop\r\n\r\n", cut) && SAY_DOWN(&t, OK_REPLY));
		CU_ASSERT_EQUAL(core_flow(&t.c)->verdict, VERDICT_ALLOW);
		CU_ASSERT_EQUAL(core_flow(&t.c)->rule, 1);
		CU_ASSERT(SAY_UP(&t, "GET /api/2 HTTP/1.1\r\nHost: shop\r\n\r\n", cut) && SAY_DOWN(&t, OK_REPLY));
		CU_ASSERT_EQUAL(t.c.told[EV_ALERT], 0);
		CU_ASSERT_FALSE(SAY_UP(&t, "DELETE /api/3 HTTP/1.1\r\nHost: shop\r\n\r\n", cut));
		CU_ASSERT_EQUAL(t.last, VERDICT_DENY);
		CU_ASSERT_FALSE(GOT(&t, "DELETE /api/3 HTTP/1.1\r\nHost: shop\r\n\r\n"));
		CU_ASSERT_EQUAL(t.c.told[EV_ALERT], 1);
		CU_ASSERT(t.c.last[EV_ALERT].enforced && t.c.last[EV_ALERT].reason == REASON_NO_RULE);
		CU_ASSERT(strstr(t.c.text, "\"request\":{\"hostname\":\"shop\",\"url\":\"/api/3\",\"http_method\":\"DELETE\"") != NULL);
		/* nothing gets by afterwards: neither the rest nor something harmless */
		CU_ASSERT_FALSE(SAY_UP(&t, "GET /api/4 HTTP/1.1\r\nHost: shop\r\n\r\n", 0));
		core_close(&t.c);
	}
}

/* Pipelined in one segment: what comes first does not excuse what follows, nor the other way round. */
static void test_pipelined(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "http", { "paths=/admin*" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };
	struct talk t;

	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT_FALSE(SAY_UP(&t, "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /admin HTTP/1.1\r\nHost: x\r\n\r\n", 0));
	CU_ASSERT_EQUAL(t.ngot, 0);
	core_close(&t.c);
	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT_FALSE(SAY_UP(&t, "GET /x/../admin HTTP/1.1\r\nHost: x\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", 0));
	CU_ASSERT_EQUAL(core_flow(&t.c)->rule, 1);
	core_close(&t.c);
	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT(SAY_UP(&t, "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n", 0));
	CU_ASSERT_EQUAL(core_flow(&t.c)->verdict, VERDICT_ALLOW);
	CU_ASSERT_EQUAL(core_flow(&t.c)->rule, 2);
	core_close(&t.c);
}

static void test_headers(void)
{
	static const struct l7_rule rules[] = { { VERDICT_ALLOW, "http", { "headers:X-Env=prod*,test" } }, END };
	struct talk t;

	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT(SAY_UP(&t, "GET / HTTP/1.1\r\nHost: x\r\nx-env : production\r\nCookie: a\r\n\r\n", 3) && SAY_DOWN(&t, OK_REPLY));
	CU_ASSERT(SAY_UP(&t, "GET / HTTP/1.1\r\nX-ENV:\r\n test\r\nHost: x\r\n\r\n", 0) && SAY_DOWN(&t, OK_REPLY));
	CU_ASSERT(strstr(t.c.text, "x-env") == NULL);	/* judged, not told */
	CU_ASSERT_FALSE(SAY_UP(&t, "GET / HTTP/1.1\r\nX-Env: test\r\nX-Env: other\r\nHost: x\r\n\r\n", 0));	/* twice: all of it must hold */
	CU_ASSERT(t.c.told[EV_ALERT] == 1 && strstr(t.c.text, "\"request\":{\"hostname\":\"x\"") != NULL && strstr(t.c.text, "x-env") == NULL);	/* nor in alerts */
	core_close(&t.c);
	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT_FALSE(SAY_UP(&t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0));
	core_close(&t.c);
}

/* Another policy comes in the middle of a header block: the field that both ask for was said before, under the first one's name for it. */
static void test_headers_over_a_load(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "http", { "headers:X-Env=prod" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };
	static const char begins[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" "\0\0\0\4\0\0\0\0\0" "\0\0\33\1\4\0\0\0\1" "\202\206\204\101\1x" "\0\5x-env\4prod", ends[] = "\0\5x-two\1b";

	for (unsigned loads = 0; loads < 3; loads++) {
		struct talk t;

		talk_open(&t, MODE_PROTECT, rules, true);
		CU_ASSERT(SAY_UP(&t, begins, 0));
		for (unsigned i = 0; i < loads; i++) {
			struct policy *p = l7_policy(MODE_PROTECT, rules);

			dpi_set_policy(t.c.d, p);
			policy_unref(p);
		}
		CU_ASSERT_FALSE(SAY_UP(&t, ends, 0));
		CU_ASSERT_EQUAL(core_flow(&t.c)->app, APP_HTTP2);
		CU_ASSERT_EQUAL(core_flow(&t.c)->rule, 1);
		core_close(&t.c);
	}
}

/* Two names of the host: which of them the server takes is not known. */
static void test_several_hosts(void)
{
	static const struct l7_rule rules[] = { { VERDICT_ALLOW, "http", { "hosts=good" } }, END };
	struct talk t;

	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT(SAY_UP(&t, "GET / HTTP/1.1\r\nHost: GOOD\r\n\r\n", 0) && SAY_DOWN(&t, OK_REPLY));
	CU_ASSERT_FALSE(SAY_UP(&t, "GET / HTTP/1.1\r\nHost: good\r\nHost: bad\r\n\r\n", 0));
	core_close(&t.c);
}

/* What the parser gives up on is not let by. */
static void test_unreadable(void)
{
	static const struct l7_rule allow[] = { { VERDICT_ALLOW, "http", { "methods=GET" } }, END };
	static const struct l7_rule deny[] = { { VERDICT_DENY, "http", { "paths=/admin" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };
	const struct l7_rule *const both[] = { allow, deny };

	for (unsigned i = 0; i < 2; i++) {
		struct talk t;

		talk_open(&t, MODE_PROTECT, both[i], true);
		CU_ASSERT(SAY_UP(&t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0) && SAY_DOWN(&t, OK_REPLY));
		CU_ASSERT_FALSE(SAY_UP(&t, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6\r\n\r\n", 0));
		core_close(&t.c);
	}
}

/* Memory is short, and this connection has to give back what is kept of it, its parser or segments that wait: nothing of it will be read, and where it is held nothing is let by. */
static void test_taken_back(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "http", { "methods=DELETE" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };

	for (unsigned i = 0; i < 4; i++) {
		bool held = i & 1, segments = i & 2;
		struct spec other = { .flags = TCP_SYN, .sport = 41000, .seq = 1, .held = held };
		struct talk t;
		struct flow *f;

		talk_open(&t, MODE_PROTECT, rules, held);
		f = core_flow(&t.c);
		CU_ASSERT(say(&t, UP, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, 0, held) && say(&t, DOWN, OK_REPLY, sizeof(OK_REPLY) - 1, 0, held));
		if (segments) {
			t.seq[UP]++;
			CU_ASSERT(say(&t, UP, "ELETE / HTTP/1.1\r\n\r\n", 20, 0, held));
			t.seq[UP] -= 21;
			t.c.d->ooo_bytes_max = t.c.d->ooo_bytes;
		}
		core_send(&t.c, &other);
		if (!segments)
			t.c.d->parser_bytes_max = 1;
		core_send(&t.c, &other);
		CU_ASSERT_EQUAL(core_counter(&t.c, DPI_C_MEM_TAKEN_BACK), 1);
		CU_ASSERT(!f->half[UP].ooo);
		CU_ASSERT_EQUAL(f->feed, segments && !held ? FEED_PARSE : FEED_OFF);
		CU_ASSERT_EQUAL(t.c.told[EV_ALERT], held);
		CU_ASSERT(!held || t.c.last[EV_ALERT].enforced);
		CU_ASSERT_EQUAL(say(&t, UP, "DELETE / HTTP/1.1\r\n\r\n", segments ? 1 : 21, 0, held), !held);
		core_close(&t.c);
	}
}

/* What servers do not all read in the same way is not let by because one of these ways is harmless. */
static void test_ambiguous(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "http", { "hosts=evil" } }, { VERDICT_DENY, "http", { "paths=/admin*,/x*" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };
	static const struct { const char *text; bool passes; } rows[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", true }, { "GET http://a/ HTTP/1.1\r\nHost: evil\r\n\r\n", false }, { "GET http://evil/ HTTP/1.1\r\nHost: a\r\n\r\n", false },
		{ "GET http://A:80/ HTTP/1.1\r\nHost: a\r\n\r\n", true }, { "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", true },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", false },
		{ "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false }, { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 0\r\n\r\n", false },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nxx\r\n0\n\r\n", true },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\nxx\r\n0\r\n\r\n", false },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;a\rb\r\nxx\r\n0\r\n\r\n", false },
		{ "GET x?y=http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", false }, { "GET http:/admin HTTP/1.1\r\nHost: a\r\n\r\n", false }, { "GET /admin\r\n", false }, { "\r\nGET /\n", false },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", false }, { "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", true },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\t0\r\n\r\n", false }, { "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", false }, { "GET / HTTP/1.1\r\nHost: a\rHost: evil\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\nX: y\rHost: evil\r\nHost: a\r\n\r\n", false }, { "GET / HTTP/1.1\nX: y\nHost: a\n\n", true },
		{ "GET / HTTP/1.1\r\nHost:\r\nHost: a\r\n\r\n", false }, { "GET / HTTP/1.1\r\nHost: \r\n\r\n", true },
		{ " GET /admin HTTP/1.1\r\nHost: a\r\n\r\n", false }, { "/admin;GET HTTP/1.1\r\n", true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct talk t;
		bool passes;

		talk_open(&t, MODE_PROTECT, rules, true);
		passes = say(&t, UP, rows[i].text, strlen(rows[i].text), 0, true);
		CU_ASSERT_EQUAL(passes, rows[i].passes);
		if (passes != rows[i].passes)
			printf("\n%s\n", rows[i].text);
		core_close(&t.c);
	}
}

/* A datagram in more pieces than are kept: what is held of it goes no further, for its receiver keeps more. */
static void test_many_pieces(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "dns", { "names=*.bad" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };
	static const uint8_t zero[8];

	for (unsigned i = 0; i < 4; i++) {
		bool held = i & 1, v6 = i & 2;
		struct policy *p = l7_policy(MODE_PROTECT, rules);
		struct core c = { 0 };

		core_open(&c, NULL);
		dpi_set_policy(c.d, p);
		policy_unref(p);
		for (uint16_t k = 0; k < 140; k++) {
			struct spec s = { .v6 = v6, .udp = true, .dport = 53, .held = held, .ipid = 77, .frag_off = (uint16_t)(8 * k), .frag_more = true, .p = zero, .n = 8 };

			CU_ASSERT_EQUAL(core_send(&c, &s), held && k == 128 ? VERDICT_DROP : VERDICT_ALLOW);
		}
		CU_ASSERT_EQUAL(core_counter(&c, DPI_C_FRAG_CAP), 1);
		core_close(&c);
	}
}

static bool h2_block(struct talk *t, const void *block, size_t n)
{
	static const char begins[] = HTTP2_BEGINS "\0\0\0\4\0\0\0\0\0";
	uint8_t m[20000];
	size_t at = sizeof(begins) - 1;

	memcpy(m, begins, at);
	memcpy(m + at, (const uint8_t[]){ (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 1, 4, 0, 0, 0, 1 }, 9);
	memcpy(m + at + 9, block, n);
	return say(t, UP, m, at + 9 + n, 0, true);
}

/* The same of HTTP/2: a field that counts once is there twice, or what was said before is more than is kept. */
static void test_ambiguous_h2(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "http", { "hosts=evil" } }, { VERDICT_DENY, "http", { "headers:x-env=prod" } }, { VERDICT_DENY, "grpc", { "services=s.Bad" } },
		{ VERDICT_ALLOW, NULL, { NULL } }, END };
	static const struct { const char *block; size_t n; bool passes; } rows[] = {
#define R(block, passes) { block, sizeof(block) - 1, passes }
		R("\202\206\4\2/a\1\1a", true), R("\202\206\4\2/a\1\1a\0\4host\4A:80", true), R("\202\206\4\2/a\1\1a\0\4host\4evil", false), R("\202\206\4\2/a\4\2/b\1\1a", false),
		R("\203\206\4\10/s.Bad/X\1\1a\0\14content-type\20application/grpc", false), R("\203\206\4\10/s.Bad/X\1\1a\0\14content-type\20Application/gRPC", false),
#undef R
	};
	uint8_t block[20000];
	size_t n;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct talk t;

		talk_open(&t, MODE_PROTECT, rules, true);
		CU_ASSERT_EQUAL(h2_block(&t, rows[i].block, rows[i].n), rows[i].passes);
		core_close(&t.c);
	}
	for (unsigned fields = 500; fields < 1000; fields += 400) {
		struct talk t;

		memcpy(block, "\202\206\4\2/a\1\1a", n = 9);
		for (unsigned i = 0; i < fields; i++, n += 9)
			memcpy(block + n, "\0\5x-env\1a", 9);
		memcpy(block + n, "\0\5x-env\4prod", 12);
		talk_open(&t, MODE_PROTECT, rules, true);
		CU_ASSERT_FALSE(h2_block(&t, block, n + 12));
		core_close(&t.c);
	}
}

/* However the path is written in the request line. */
static void test_targets(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "http", { "paths=/admin" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };
	static const struct { const char *target; bool passes; } rows[] = {
		{ "/admin", false }, { "http://x/admin", false }, { "%2fadmin", false }, { "admin", false }, { "http://x/", true }, { "*", true }, { "x:80", true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[64];
		struct talk t;

		talk_open(&t, MODE_PROTECT, rules, true);
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", rows[i].target);
		CU_ASSERT_EQUAL(say(&t, UP, text, strlen(text), 0, true), rows[i].passes);
		core_close(&t.c);
	}
}

/* In monitor mode, and on a path that cannot refuse, each request that breaks the rules is told and passes. */
static void test_only_told(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "http", { "methods=DELETE" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };

	for (unsigned held = 0; held < 2; held++) {
		struct talk t;

		talk_open(&t, held ? MODE_MONITOR : MODE_PROTECT, rules, held);
		for (unsigned i = 0; i < 3; i++) {
			CU_ASSERT(say(&t, UP, "DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", 30, 0, held));
			CU_ASSERT(say(&t, DOWN, OK_REPLY, sizeof(OK_REPLY) - 1, 0, held));
		}
		CU_ASSERT_FALSE(t.c.last[EV_ALERT].enforced);
		CU_ASSERT_EQUAL(t.c.told[EV_HTTP], 3);
		CU_ASSERT_EQUAL(t.c.told[EV_ALERT], held ? 3 : 1);	/* what would have been refused is told once: the connection would have ended */
		core_close(&t.c);
	}
}

static void test_redis(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "redis", { "commands=FLUSHALL,CONFIG*" } }, { VERDICT_ALLOW, "redis", { "keys=user:*" } }, { VERDICT_ALLOW, "redis", { "commands=PING,HELLO" } }, END };
	struct talk t;

	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT(SAY_UP(&t, "*1\r\n$4\r\nPING\r\n", 0) && SAY_DOWN(&t, "+PONG\r\n"));
	CU_ASSERT(SAY_UP(&t, "*2\r\n$3\r\nGET\r\n$6\r\nuser:1\r\n", 1) && SAY_DOWN(&t, "$1\r\na\r\n"));
	CU_ASSERT_FALSE(SAY_UP(&t, "*1\r\n$8\r\nflushall\r\n", 1));
	CU_ASSERT_FALSE(GOT(&t, "flushall\r\n"));
	core_close(&t.c);
	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT(SAY_UP(&t, "*2\r\n$3\r\nGET\r\n$6\r\nuser:1\r\n", 0));
	CU_ASSERT_FALSE(SAY_UP(&t, "*3\r\n$4\r\nMGET\r\n$6\r\nuser:1\r\n$6\r\nadmins\r\n", 0));	/* each key */
	core_close(&t.c);
}

/* A word that other protocols have, too: on redis' own port the first one is refused before anybody answered, on another it waits for that. */
static void test_redis_first_word(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "redis", { "keys=secret" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };
	static const char words[] = "DEL secret\r\n";

	for (unsigned i = 0; i < 4; i++) {
		bool own = i & 1, v6 = i & 2;
		struct policy *p = l7_policy(MODE_PROTECT, rules);
		struct spec s = { .v6 = v6, .held = true, .dport = own ? 6379 : 7000, .flags = TCP_SYN, .seq = 1000 };
		struct core c = { 0 };

		core_open(&c, NULL);
		dpi_set_policy(c.d, p);
		policy_unref(p);
		CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_ALLOW);
		s.dir = DOWN;
		s.flags = TCP_SYN | TCP_ACK;
		s.seq = 5000;
		s.ack = 1001;
		CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_ALLOW);
		s = (struct spec){ .v6 = v6, .held = true, .dport = s.dport, .flags = TCP_ACK | TCP_PSH, .seq = 1001, .ack = 5001, .p = (const uint8_t *)words, .n = sizeof(words) - 1 };
		CU_ASSERT_EQUAL(verdict_stops(core_send(&c, &s)), own);
		CU_ASSERT_EQUAL(core_flow(&c)->rule, own ? 1 : 0);
		core_close(&c);
	}
}

/* Behind a gap no request of it is found again: on the queue what follows is what cannot be read. */
static void test_gap(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "redis", { "commands=FLUSHALL" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };

	for (unsigned i = 0; i < 4; i++) {
		bool held = i & 1;
		enum dir dir = i & 2 ? DOWN : UP;
		struct talk t;

		talk_open(&t, MODE_PROTECT, rules, held);
		CU_ASSERT(say(&t, UP, "PING\r\n", 6, 0, held) && say(&t, DOWN, "+PONG\r\n", 7, 0, held));
		t.seq[dir] += 20;	/* nobody saw these, and its receiver acknowledges them */
		CU_ASSERT(say(&t, dir, "+OK\r\n", 5, 0, held));
		CU_ASSERT_EQUAL(say(&t, !dir, "PING\r\n", 6, 0, held), !held);
		CU_ASSERT_EQUAL(core_counter(&t.c, DPI_C_GAPS), 1);
		CU_ASSERT_EQUAL(say(&t, UP, "FLUSHALL\r\n", 10, 0, held), !held);
		core_close(&t.c);
	}
}

/* Keys behind words of a command. */
static void test_redis_words(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "redis", { "keys=secret*,#,nosort" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };
	static const struct { const char *line; bool passes; } rows[] = {
		{ "SORT a BY nosort GET # STORE b\r\n", true }, { "sort a store secret\r\n", false }, { "SORT a GET secret_*\r\n", false }, { "SORT_RO a BY secret*->x LIMIT 0 1\r\n", false },
		{ "MIGRATE h 1 \"\" 0 5 COPY KEYS a b\r\n", true }, { "MIGRATE h 1 \"\" 0 5 COPY KEYS a secret\r\n", false }, { "MIGRATE h 1 secret 0 5\r\n", false },
		{ "GEORADIUS a 1 1 1 km STORE secret\r\n", false }, { "GEORADIUSBYMEMBER a m 1 km STOREDIST secret\r\n", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct talk t;

		talk_open(&t, MODE_PROTECT, rules, true);
		CU_ASSERT(SAY_UP(&t, "PING\r\n", 0) && SAY_DOWN(&t, "+PONG\r\n"));
		CU_ASSERT_EQUAL(say(&t, UP, rows[i].line, strlen(rows[i].line), 0, true), rows[i].passes);
		core_close(&t.c);
	}
}

static void pg(uint8_t *out, size_t *n, char type, const char *text)
{
	size_t len = strlen(text) + 1;

	out[(*n)++] = (uint8_t)type;
	for (int i = 3; i >= 0; i--)
		out[(*n)++] = (uint8_t)((len + 4) >> (8 * i));
	memcpy(out + *n, text, len);
	*n += len;
}

static bool pg_query(struct talk *t, const char *text)
{
	uint8_t m[8192];
	size_t n = 0;

	pg(m, &n, 'Q', text);
	return say(t, UP, m, n, 0, true) && SAY_DOWN(t, "C\0\0\0\15SELECT 1\0Z\0\0\0\5I");
}

#define PG_START "\0\0\0\40\0\3\0\0user\0bob\0database\0shop\0\0"
#define PG_READY "R\0\0\0\10\0\0\0\0Z\0\0\0\5I"

static void test_pgsql(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "pgsql", { "verbs=DROP,TRUNCATE" } }, { VERDICT_ALLOW, "pgsql", { "users=bob", "databases=shop" } }, END };
	static const struct l7_rule tables[] = { { VERDICT_ALLOW, "pgsql", { "verbs=SELECT", "tables=orders,public.orders" } }, { VERDICT_ALLOW, "pgsql", { "users=bob", "verbs=BEGIN,COMMIT" } }, END };
	struct talk t;

	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT(SAY_UP(&t, PG_START, 0) && SAY_DOWN(&t, PG_READY));
	CU_ASSERT(pg_query(&t, "select * from orders"));	/* the user and the database were said at the beginning */
	CU_ASSERT_FALSE(pg_query(&t, "select 1; drop table orders"));
	CU_ASSERT_EQUAL(core_flow(&t.c)->rule, 1);
	core_close(&t.c);

	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT_FALSE(SAY_UP(&t, "\0\0\0\40\0\3\0\0user\0eve\0database\0shop\0\0", 0));
	core_close(&t.c);

	talk_open(&t, MODE_PROTECT, tables, true);
	CU_ASSERT_FALSE(SAY_UP(&t, PG_START, 0));	/* a startup selects nothing */
	core_close(&t.c);
}

/* Of a statement that is longer than is kept nobody knows what its end says. */
static void test_long_statement(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "pgsql", { "tables=secret" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };

	for (int pad = 3900; pad < 5000; pad += 50) {
		char text[6000];
		struct talk t;
		int n = snprintf(text, sizeof(text), "select * from orders where a='%0*u'", pad, 0);

		talk_open(&t, MODE_PROTECT, rules, true);
		CU_ASSERT(SAY_UP(&t, PG_START, 0) && SAY_DOWN(&t, PG_READY));
		CU_ASSERT_EQUAL(pg_query(&t, text), n <= (int)RECORD_STR_MAX);
		core_close(&t.c);
	}
}

/* Collections that stand elsewhere than behind the command's name; and a command that is not reached. */
static void test_mongodb(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "mongodb", { "collections=secret" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };
	static const struct { const char *text; size_t n; bool passes; } rows[] = {
#define R(text, passes) { text, sizeof(text) - 1, passes }
		R("\225\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\000\200\000\000\000\002aggregate\000\006\000\000\000users\000\004pipeline\000\134\000\000\000\0030\000.\000\000\000\003$lookup\000 \000\000\000\002from\000\007\000\000\000orders\000\002as\000\002\000\000\000x\000\000\000\0031\000#\000\000\000\003$match\000\026\000\000\000\002from\000\007\000\000\000secret\000\000\000\000\000", true),
		R("o\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\000Z\000\000\000\002aggregate\000\006\000\000\000users\000\004pipeline\0006\000\000\000\0030\000.\000\000\000\003$lookup\000 \000\000\000\002from\000\007\000\000\000secret\000\002as\000\002\000\000\000x\000\000\000\000\000", false),
		R("\207\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\000r\000\000\000\002aggregate\000\006\000\000\000users\000\004pipeline\000N\000\000\000\0030\000F\000\000\000\003$facet\0009\000\000\000\004a\0001\000\000\000\0030\000)\000\000\000\003$graphLookup\000\026\000\000\000\002from\000\007\000\000\000secret\000\000\000\000\000\000\000\000", false),
		R("]\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\000H\000\000\000\002aggregate\000\006\000\000\000users\000\004pipeline\000$\000\000\000\0030\000\034\000\000\000\002$unionWith\000\007\000\000\000secret\000\000\000\000", false),
		R("h\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\000S\000\000\000\002aggregate\000\006\000\000\000users\000\004pipeline\000/\000\000\000\0030\000'\000\000\000\003$unionWith\000\026\000\000\000\002coll\000\007\000\000\000secret\000\000\000\000\000", false),
		R("W\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\000B\000\000\000\002aggregate\000\006\000\000\000users\000\004pipeline\000\036\000\000\000\0030\000\026\000\000\000\002$out\000\007\000\000\000secret\000\000\000\000", false),
		R("d\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\000O\000\000\000\002aggregate\000\006\000\000\000users\000\004pipeline\000+\000\000\000\0030\000#\000\000\000\003$merge\000\026\000\000\000\002into\000\007\000\000\000secret\000\000\000\000\000", false),
		R("y\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\000d\000\000\000\002aggregate\000\006\000\000\000users\000\004pipeline\000@\000\000\000\0030\0008\000\000\000\003$merge\000+\000\000\000\003into\000 \000\000\000\002db\000\002\000\000\000x\000\002coll\000\007\000\000\000secret\000\000\000\000\000\000", false),
		R(";\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\000&\000\000\000\002create\000\002\000\000\000v\000\002viewOn\000\007\000\000\000secret\000\000", false),
		R("\077\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\000*\000\000\000\002mapReduce\000\006\000\000\000users\000\002out\000\007\000\000\000secret\000\000", false),
		R("M\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\0008\000\000\000\002mapReduce\000\006\000\000\000users\000\003out\000\031\000\000\000\002replace\000\007\000\000\000secret\000\000\000", false),
		R("D\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\000/\000\000\000\002renameCollection\000\010\000\000\000d.users\000\002to\000\004\000\000\000d.a\000\000", true),
		R("E\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\0000\000\000\000\002renameCollection\000\011\000\000\000d.secret\000\002to\000\004\000\000\000d.a\000\000", false),
		R("I\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\0004\000\000\000\002renameCollection\000\010\000\000\000d.users\000\002to\000\011\000\000\000d.secret\000\000", false),
		R("g\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\000R\000\000\000\020bulkWrite\000\001\000\000\000\004nsInfo\0006\000\000\000\0030\000\025\000\000\000\002ns\000\010\000\000\000d.users\000\000\0031\000\026\000\000\000\002ns\000\011\000\000\000d.secret\000\000\000\000", false),
		R("5\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\000 \000\000\000\005find\000\020\000\000\000\0040123456789abcdef\000", false),
		R("X\000\000\000\007\000\000\000\000\000\000\000\335\007\000\000\000\000\000\000\000C\000\000\000\002find\000\006\000\000\000users\000\003filter\000&\000\000\000\002coll\000\007\000\000\000secret\000\002out\000\007\000\000\000secret\000\000\000", true),
#undef R
	};
	static const char head[] = "\0\0\0\0\7\0\0\0\0\0\0\0\335\7\0\0\0\0\0\0\1\0\0\0\0deletes\0", document[] = "\0\34\0\0\0\2delete\0\7\0\0\0secret\0\0";
	static uint8_t m[80000];
	struct talk t;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool passes;

		talk_open(&t, MODE_PROTECT, rules, true);
		passes = say(&t, UP, rows[i].text, rows[i].n, 0, true);
		CU_ASSERT_EQUAL(passes, rows[i].passes);
		if (passes != rows[i].passes)
			printf("\nrow %zu\n", i);
		core_close(&t.c);
	}
	memcpy(m, head, sizeof(head) - 1);
	memcpy(m + sizeof(m) - (sizeof(document) - 1), document, sizeof(document) - 1);
	for (unsigned i = 0; i < 4; i++) {
		m[i] = (uint8_t)(sizeof(m) >> (8 * i));
		m[21 + i] = (uint8_t)((sizeof(m) - 21 - (sizeof(document) - 1)) >> (8 * i));
	}
	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT_FALSE(say(&t, UP, m, sizeof(m), 1400, true));
	core_close(&t.c);
}

/* Fields that do not hold, and those of a version that nobody knows yet, may name any topic. */
static void test_kafka(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "kafka", { "topics=secret" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };
	static const char metadata[] = "\0\0\0\24\0\3\0\1\0\0\0\7\0\3abc\0\0\0\1\0\1t", broken[] = "\0\0\0\27\0\3\0\1\0\0\0\7\0\3abc\0\0\0\2\0\1t\177\377u",
		ids[] = "\0\0\0\56\0\3\0\14\0\0\0\7\0\3abc\1\5\2xx\2" "0123456789abcdef" "\2t\2\1\0\2\1z\1\1\0",
		newer[] = "\0\0\0\24\0\3\0\16\0\0\0\7\0\3abc\0\0\0\0\0\0\0", versions[] = "\0\0\0\24\0\22\0\5\0\0\0\7\0\3abc\0\2a\2b\0\0";
	struct talk t;

	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT(SAY_UP(&t, metadata, 0) && SAY_UP(&t, versions, 0));
	CU_ASSERT_FALSE(SAY_UP(&t, broken, 0));
	core_close(&t.c);
	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT(SAY_UP(&t, metadata, 0));
	CU_ASSERT_FALSE(SAY_UP(&t, newer, 0));
	core_close(&t.c);
	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT(SAY_UP(&t, metadata, 0));
	CU_ASSERT_FALSE(SAY_UP(&t, ids, 0));	/* of which topic? */
	core_close(&t.c);
}

/* A subscription with wildcards takes in topics that nobody names. */
static void test_subscriptions(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "mqtt", { "topics=secret/*" } }, { VERDICT_DENY, "nats", { "topics=secret.*" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };
	static const struct { const char *filter; bool passes; } mqtt[] = {
		{ "open/a", true }, { "open/#", true }, { "$share/g/open/a", true }, { "secret/a", false }, { "#", false }, { "+/a", false }, { "$share/g/secret/a", false },
	}, nats[] = { { "open.a", true }, { "open.>", true }, { "secret.a", false }, { ">", false }, { "*.a", false } };

	for (size_t i = 0; i < sizeof(mqtt) / sizeof(mqtt[0]); i++) {
		size_t n = strlen(mqtt[i].filter);
		struct talk t;
		char m[64];

		talk_open(&t, MODE_PROTECT, rules, true);
		CU_ASSERT(SAY_UP(&t, "\x10\x0d\0\4MQTT\4\2\0\0\0\1x", 0) && SAY_DOWN(&t, "\x20\2\0\0"));
		n = (size_t)snprintf(m, sizeof(m), "\x82%c%c\1%c%c%s", (char)(n + 5), 0, 0, (char)n, mqtt[i].filter);
		CU_ASSERT_EQUAL(say(&t, UP, m, n + 1, 0, true), mqtt[i].passes);	/* and 0, its QoS */
		core_close(&t.c);
	}
	for (size_t i = 0; i < sizeof(nats) / sizeof(nats[0]); i++) {
		struct talk t;
		char m[64];

		talk_open(&t, MODE_PROTECT, rules, true);
		CU_ASSERT(SAY_DOWN(&t, "INFO {\"server_id\":\"a\"}\r\n") && SAY_UP(&t, "CONNECT {\"lang\":\"c\"}\r\n", 0));
		CU_ASSERT_EQUAL(say(&t, UP, m, (size_t)snprintf(m, sizeof(m), "SUB %s 1\r\n", nats[i].filter), 0, true), nats[i].passes);
		core_close(&t.c);
	}
}

/* A share that is asked for where nobody looks: behind the first bytes of a message or the first commands of a compound, sealed, in a longer path. */
static void test_smb(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "smb", { "shares=*\\secret" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };
	static const struct { const char *text; size_t n; bool passes; } rows[] = {
#define R(text, passes) { text, sizeof(text) - 1, passes }
		R("\000\000\000T\376SMB@\000\000\000\000\000\000\000\003\000\001\000\000\000\000\000\000\000\000\000\002\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\011\000\000\000H\000\014\000\134\000\134\000a\000\134\000o\000k\000", true),
		R("\000\000\000\134\376SMB@\000\000\000\000\000\000\000\003\000\001\000\000\000\000\000\000\000\000\000\002\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\011\000\000\000H\000\024\000\134\000\134\000a\000\134\000s\000e\000c\000r\000e\000t\000", false),
		R("\000\000\000T\376SMB@\000\000\000\000\000\000\000\003\000\001\000\000\000\000\000\000\000\000\000\002\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\011\000\004\000H\000\014\000\134\000\134\000a\000\134\000o\000k\000", false),
		R("\000\000\001r\376SMB@\000\000\000\000\000\000\000\003\000\001\000\000\000\000\000\000\000\000\000\002\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\011\000\000\000H\000*\001\134\000\134\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000a\000\134\000s\000e\000c\000r\000e\000t\000", false),
		R("\000\000\0004\375SMB\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000", false),
		R("\000\000\0004\374SMB\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000", false),
#undef R
	};
	static const unsigned sizes[][2] = { { 72, 15 }, { 72, 17 }, { 5000, 1 } };	/* of each echo, how many of them stand before the end */

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct talk t;

		talk_open(&t, MODE_PROTECT, rules, true);
		CU_ASSERT_EQUAL(say(&t, UP, rows[i].text, rows[i].n, 0, true), rows[i].passes);
		core_close(&t.c);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t m[8192] = { 0 };
		uint32_t at = 4;
		struct talk t;

		for (unsigned k = 0; k <= sizes[i][1]; k++) {
			memcpy(m + at, "\376SMB\100", 5);
			m[at + 12] = 13;
			if (k == sizes[i][1])
				break;
			m[at + 20] = (uint8_t)sizes[i][0];
			m[at + 21] = (uint8_t)(sizes[i][0] >> 8);
			at += sizes[i][0];
		}
		at += 72;
		m[2] = (uint8_t)((at - 4) >> 8);
		m[3] = (uint8_t)(at - 4);
		talk_open(&t, MODE_PROTECT, rules, true);
		CU_ASSERT_EQUAL(say(&t, UP, m, at, 0, true), i == 0);
		core_close(&t.c);
	}
}

/* USE takes the session elsewhere. */
static void test_mysql_use(void)
{
	static const struct l7_rule rules[] = { { VERDICT_ALLOW, "mysql", { "databases=shop" } }, END };
	static const char greeting[] = "\112\0\0\0\0128.0.33\0\1\0\0\0abcdefgh\0\377\367\377\2\0\377\337\25\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0mysql_native_password\0";
	static const char login[] = "\74\0\0\1\215\242\17\0\0\0\0\1\41\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0bob\0\0shop\0mysql_native_pass\0";
	struct talk t;

	talk_open(&t, MODE_PROTECT, rules, true);
	CU_ASSERT(SAY_DOWN(&t, greeting));
	CU_ASSERT(SAY_UP(&t, login, 0) && SAY_DOWN(&t, "\7\0\0\2\0\0\0\2\0\0\0"));
	CU_ASSERT(SAY_UP(&t, "\11\0\0\0\3select 1", 0) && SAY_DOWN(&t, "\7\0\0\1\0\0\0\2\0\0\0"));
	CU_ASSERT_EQUAL(core_flow(&t.c)->app, APP_MYSQL);
	CU_ASSERT_FALSE(SAY_UP(&t, "\11\0\0\0\3use bank", 0));
	CU_ASSERT_EQUAL(core_flow(&t.c)->reason, REASON_NO_RULE);
	core_close(&t.c);
}

/* In quarantine everything is refused, held or mirrored, whatever a policy says and though there is none; and as carried out, for a mirrored
 * packet went nowhere. What was cut off goes on when it is over. */
static void test_quarantined(void)
{
	static const struct l7_rule all[] = { { VERDICT_ALLOW, NULL, { NULL } }, END };

	for (int i = 0; i < 4; i++) {
		bool held = i & 1, with_policy = i & 2;
		struct talk t;

		talk_open(&t, MODE_PROTECT, all, held);
		if (!with_policy)
			dpi_set_policy(t.c.d, NULL);
		CU_ASSERT(say(&t, UP, "GET / HTTP/1.1\r\n\r\n", 18, 0, held));
		t.c.quarantined = true;
		dpi_set_policy(t.c.d, t.c.d->policy);		/* judged anew */
		CU_ASSERT_EQUAL(say(&t, UP, "GET / HTTP/1.1\r\n\r\n", 18, 0, held), !held);
		CU_ASSERT_EQUAL(t.last, held ? VERDICT_DROP : VERDICT_ALLOW);
		CU_ASSERT_EQUAL(t.c.told[EV_ALERT], 1);
		CU_ASSERT(t.c.last[EV_ALERT].enforced && t.c.last[EV_ALERT].reason == REASON_QUARANTINE && t.c.last[EV_ALERT].verdict == VERDICT_DROP && !t.c.last[EV_ALERT].rule);
		CU_ASSERT_PTR_NOT_NULL(strstr(t.c.text, "\"signature\":\"workload in quarantine\",\"category\":\"quarantine\""));
		t.c.quarantined = false;
		dpi_set_policy(t.c.d, t.c.d->policy);
		CU_ASSERT(say(&t, UP, "GET / HTTP/1.1\r\n\r\n", 18, 0, held));
		CU_ASSERT_EQUAL(core_flow(&t.c)->verdict, VERDICT_ALLOW);
		core_close(&t.c);
	}
}

/* For learning: the application once, each request that no rule speaks of, and what cannot be read; nothing that a rule decided, nothing unless asked
 * for. */
static void test_told_for_learning(void)
{
	static const struct l7_rule none[] = { END }, all[] = { { VERDICT_ALLOW, NULL, { NULL } }, END }, some[] = { { VERDICT_ALLOW, "http", { "paths=/api/*" } }, END };
	static const struct { enum policy_mode mode; const struct l7_rule *rules; bool asked; unsigned told; } cases[] = {
		{ MODE_DISCOVER, none, true, 4 }, { MODE_DISCOVER, none, false, 0 }, { MODE_DISCOVER, all, true, 0 }, { MODE_DISCOVER, some, true, 2 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct talk t;

		talk_open(&t, cases[i].mode, cases[i].rules, true);
		if (cases[i].asked)
			dpi_set_event_mask(t.c.d, UINT64_C(1) << EV_LEARN);
		CU_ASSERT_EQUAL(t.c.told[EV_LEARN], 0);		/* a handshake says nothing */
		CU_ASSERT(SAY_UP(&t, "GET /api/1 HTTP/1.1\r\nHost: shop\r\n\r\n", 0) && SAY_DOWN(&t, OK_REPLY));
		CU_ASSERT(SAY_UP(&t, "GET /x HTTP/1.1\r\nHost: shop\r\n\r\n", 0) && SAY_DOWN(&t, OK_REPLY));
		CU_ASSERT(SAY_UP(&t, "no request at all\r\n\r\n", 0));
		CU_ASSERT_EQUAL(t.c.told[EV_LEARN], cases[i].told);
		CU_ASSERT(!cases[i].told || (t.c.last[EV_LEARN].partial && t.c.last[EV_LEARN].app == APP_HTTP));
		core_close(&t.c);
	}
}

/* Each query of a socket is answered for itself. */
/* A connection whose beginning was not seen: its receiver is asked where it is before the first bytes are taken, where something of them might be refused. */
static void test_taken_over(void)
{
	static const struct l7_rule rules[] = { { VERDICT_DENY, "http", { "methods=DELETE" } }, { VERDICT_ALLOW, NULL, { NULL } }, { VERDICT_PENDING, NULL, { NULL } } };
	static const struct l7_rule none[] = { { VERDICT_ALLOW, NULL, { NULL } }, { VERDICT_PENDING, NULL, { NULL } } };
	static const char text[] = "xxxDELETE / HTTP/1.1\r\nHost: a\r\n\r\n";
	enum { AT, BEHIND, NOBODY, NOT_HIM, NO_FLAG, NO_RULE, LATE, CASES };

	for (int i = 0; i < 2 * CASES; i++) {
		int how = i / 2;
		struct spec first = { .v6 = i & 1, .flags = TCP_ACK, .seq = 5000, .ack = 900, .p = text + 3, .n = sizeof(text) - 4, .held = true, .fflags = how == NO_FLAG ? 0 : FRAME_MAY_ASK };
		struct spec says = { .v6 = i & 1, .dir = DOWN, .flags = TCP_ACK, .seq = 900, .ack = 5000, .held = true };
		struct policy *p = l7_policy(MODE_PROTECT, how == NO_RULE ? none : rules);
		struct core c = { 0 };
		bool asks = how < NO_FLAG || how == LATE;

		core_open(&c, NULL);
		dpi_set_policy(c.d, p);
		policy_unref(p);
		if (how == BEHIND) {	/* three bytes of it are there already */
			first.p = text;
			first.n = sizeof(text) - 1;
			says.ack = 5003;
		}
		core_send(&c, &first);
		CU_ASSERT_EQUAL(!!(c.answer.flags & ANSWER_ASK), asks);
		CU_ASSERT_EQUAL(core_flow(&c)->pkts[UP], !asks);
		if (how == NOBODY || how == NOT_HIM) {
			says.flags = TCP_RST;
			says.seq = how == NOBODY ? 900 : 901;
		}
		if (how == LATE)
			c.now += SEC;
		else if (asks)
			core_send(&c, &says);
		if (asks) {
			core_send(&c, &first);
			CU_ASSERT_EQUAL(!!(c.answer.flags & ANSWER_ASK), how == NOT_HIM);	/* a reset of another number may be anybody's */
			if (how == NOT_HIM) {
				c.now += SEC;
				core_send(&c, &first);
			}
		}
		CU_ASSERT_EQUAL(c.answer.verdict, how == NO_RULE ? VERDICT_ALLOW : how == NOBODY ? VERDICT_DROP : VERDICT_DENY);	/* NOBODY: who has sent it is reset already */
		CU_ASSERT_EQUAL(core_flow(&c)->state == FLOW_CLOSED, how == NOBODY);
		core_close(&c);
	}
}

static void test_datagrams(void)
{
	static const struct l7_rule rules[] = { { VERDICT_ALLOW, "dns", { "names=*.good.example" } }, END };
	static const char good[] = "\0\1\1\0\0\1\0\0\0\0\0\0\1a\4good\7example\0\0\1\0\1", bad[] = "\0\2\1\0\0\1\0\0\0\0\0\0\1a\3bad\7example\0\0\1\0\1";
	struct policy *p = l7_policy(MODE_PROTECT, rules);
	struct core c = { 0 };
	static const char reply[] = "\0\1\201\200\0\1\0\0\0\0\0\0\1a\4good\7example\0\0\1\0\1";
	struct spec answer = { .udp = true, .dport = 53, .p = reply, .n = sizeof(reply) - 1, .held = true };
	struct spec s = { .udp = true, .dport = 53, .p = good, .n = sizeof(good) - 1, .held = true };

	core_open(&c, NULL);
	dpi_set_policy(c.d, p);
	policy_unref(p);
	CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_ALLOW);
	s.p = bad;
	s.n = sizeof(bad) - 1;
	CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_DENY);
	CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_DENY);
	s.p = good;
	s.n = sizeof(good) - 1;
	CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_ALLOW);
	CU_ASSERT_EQUAL(c.told[EV_ALERT], 2);
	/* the answer passes, and the flow stands as its last request does */
	answer.dir = DOWN;
	CU_ASSERT_EQUAL(core_send(&c, &answer), VERDICT_ALLOW);
	CU_ASSERT_EQUAL(core_flow(&c)->verdict, VERDICT_ALLOW);
	CU_ASSERT_EQUAL(core_flow(&c)->rule, 1);
	/* a question that points forward: who reads it, reads what we do not */
	s.p = "\0\3\1\0\0\1\0\0\0\0\0\0\300\22\0\1\0\1\1x\0";
	s.n = 21;
	CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_DENY);
	/* an answer after a refused request is that of another */
	s.p = bad;
	s.n = sizeof(bad) - 1;
	CU_ASSERT_EQUAL(core_send(&c, &s), VERDICT_DENY);
	CU_ASSERT_EQUAL(core_send(&c, &answer), VERDICT_ALLOW);
	core_close(&c);
}

const struct unit_test tests_requests[] = {
	{ "the third request of a connection", test_third_request },
	{ "pipelined", test_pipelined },
	{ "fields by name", test_headers },
	{ "fields by name, over a load", test_headers_over_a_load },
	{ "two hosts", test_several_hosts },
	{ "what cannot be read", test_unreadable },
	{ "memory is short", test_taken_back },
	{ "more pieces than are kept", test_many_pieces },
	{ "targets", test_targets },
	{ "what servers read in several ways", test_ambiguous },
	{ "what servers read in several ways, HTTP/2", test_ambiguous_h2 },
	{ "only told", test_only_told },
	{ "redis: commands and keys", test_redis },
	{ "redis: keys behind words", test_redis_words },
	{ "redis: the first word", test_redis_first_word },
	{ "redis: a gap", test_gap },
	{ "pgsql: user, database, verbs", test_pgsql },
	{ "pgsql: a statement longer than is kept", test_long_statement },
	{ "mongodb: collections", test_mongodb },
	{ "kafka: what cannot be read", test_kafka },
	{ "mqtt, nats: subscriptions", test_subscriptions },
	{ "smb: shares", test_smb },
	{ "mysql: USE", test_mysql_use },
	{ "quarantine", test_quarantined },
	{ "told for learning", test_told_for_learning },
	{ "dns: each query", test_datagrams },
	{ "taken over in the middle: its receiver is asked", test_taken_over },
	{ NULL, NULL },
};
