/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What waits for the rest of its request: each held frame is answered once, in order; of a refused request the server gets nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/dpi/l7.h"
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

#define UP DIR_TOSERVER
#define DOWN DIR_TOCLIENT
#define FRAMES 4096
#define MS INT64_C(1000000)

enum fate { NEVER_SENT, WAITING, ACCEPTED, REFUSED, DROPPED };

/* A held conversation, and what the server has of it: bytes of accepted frames, in the order of their acceptance. */
struct talk {
	struct core c;
	bool v6;
	uint32_t seq[2];
	uint64_t first;			/* token of the first data frame */
	struct { enum fate fate; uint8_t *p; size_t n; uint32_t seq; } frame[FRAMES];	/* by token */
	uint8_t got[1 << 17];
	size_t ngot;
	unsigned late;			/* answers that came later */
	uint64_t last_accepted;
	bool disorder, twice;
};

static void decide(struct talk *t, uint64_t token, enum fate fate)
{
	if (t->frame[token].fate != WAITING)
		t->twice = true;
	t->frame[token].fate = fate;
	if (fate != ACCEPTED || !t->frame[token].n)
		return;
	if (token < t->last_accepted)
		t->disorder = true;
	t->last_accepted = token;
	memcpy(t->got + t->ngot, t->frame[token].p, t->frame[token].n);
	t->ngot += t->frame[token].n;
}

static enum fate fate_of(enum verdict v) { return v == VERDICT_DENY ? REFUSED : v == VERDICT_DROP ? DROPPED : ACCEPTED; }

static void on_late(struct core *c, const struct frame *f, struct answer a)
{
	struct talk *t = (struct talk *)c;	/* its first member */

	t->late++;
	CU_ASSERT(f->held && f->caplen >= (t->v6 ? 60u : 40u));
	CU_ASSERT_PTR_EQUAL(f->caller, t);
	decide(t, f->token, fate_of(a.verdict));
}

static void talk_open(struct talk *t, bool v6, enum policy_mode mode, const struct l7_rule *rules, const struct policy_limits *limits)
{
	memset(t, 0, sizeof(*t));
	t->v6 = v6;
	t->c.late = on_late;
	t->c.caller = t;
	l7_open(&t->c, l7_policy_limits(mode, rules, limits), v6, true, t->seq);
}

/* Nothing may be left without an answer. */
static void talk_close(struct talk *t)
{
	dpi_flush(t->c.d);
	for (size_t i = 0; i < FRAMES; i++) {
		CU_ASSERT_NOT_EQUAL(t->frame[i].fate, WAITING);
		free(t->frame[i].p);
	}
	CU_ASSERT_FALSE(t->twice || t->disorder);
	core_close(&t->c);
}

static enum fate put(struct talk *t, struct spec s)
{
	uint64_t token = t->c.token + 1;
	enum verdict v;

	s.v6 = t->v6;
	s.held = true;
	s.flags |= TCP_ACK;
	if (!s.ack)
		s.ack = t->seq[!s.dir];
	if (s.dir == UP && token < FRAMES) {
		t->frame[token].fate = WAITING;
		t->frame[token].p = malloc(s.n + 1);
		if (s.n)
			memcpy(t->frame[token].p, s.p, s.n);
		t->frame[token].n = s.n;
		t->frame[token].seq = s.seq;
	}
	v = core_send(&t->c, &s);
	if (s.dir == DOWN)
		return fate_of(v);
	if (!(t->c.answer.flags & ANSWER_LATER))
		decide(t, token, fate_of(v));
	return t->frame[token].fate;
}

static enum fate say(struct talk *t, enum dir dir, const void *p, size_t n)
{
	enum fate fate = put(t, (struct spec){ .dir = dir, .seq = t->seq[dir], .p = p, .n = n });

	t->seq[dir] += (uint32_t)n;
	return fate;
}

#define SAY(t, lit) say(t, UP, lit, sizeof(lit) - 1)
#define GOT(t, lit) ((t)->ngot == sizeof(lit) - 1 && !memcmp((t)->got, lit, (t)->ngot))

static void forget(struct talk *t) { t->ngot = 0; }

/* ---- requests ---- */

static const struct l7_rule http_rules[] = { { VERDICT_DENY, "http", { "methods=DELETE" } }, { VERDICT_ALLOW, NULL, { NULL } }, END },
	redis_rules[] = { { VERDICT_DENY, "redis", { "commands=FLUSHALL" } }, { VERDICT_DENY, "redis", { "keys=secret*" } }, { VERDICT_ALLOW, NULL, { NULL } }, END },
	only_get[] = { { VERDICT_ALLOW, "http", { "methods=GET", "paths=/api/*" } }, END },
	only_ping[] = { { VERDICT_ALLOW, "redis", { "commands=PING,GET" } }, END },
	pgsql_rules[] = { { VERDICT_DENY, "pgsql", { "verbs=DROP" } }, { VERDICT_ALLOW, NULL, { NULL } }, END },
	grpc_rules[] = { { VERDICT_DENY, "grpc", { "services=shop.Admin" } }, { VERDICT_ALLOW, NULL, { NULL } }, END },
	tls_rules[] = { { VERDICT_DENY, "tls", { "sni=*.bad.example" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };

#define HELLO(name) "160301 [2 01 [3 0303 AA*32 00 [2 1301] [1 00] [2 0000 [2 [2 00 [2 '" name "' ]]]]]]"
#define PREFACE "'PRI * HTTP/2.0' 0D0A 0D0A 'SM' 0D0A 0D0A 000000 04 00 00000000 "

/* In the notation of talks.h. */
static const struct vector {
	const char *what;
	const struct l7_rule *rules;
	const char *before, *reply;	/* said first, and not cut; NULL: nothing */
	const char *denied, *allowed;
	bool head_passes;		/* something before the request is no request, and goes on at once */
} vectors[] = {
	{ "http", http_rules, NULL, NULL, "'DELETE /x HTTP/1.1' 0D0A 'Host: shop' 0D0A0D0A", "'PUT /x HTTP/1.1' 0D0A 'Host: shop' 0D0A0D0A", false },
	{ "http, again", http_rules, "'GET /1 HTTP/1.1' 0D0A0D0A", "'HTTP/1.1 200 OK' 0D0A 'Content-Length: 2' 0D0A0D0A 'ok'", "'DELETE /x HTTP/1.1' 0D0A0D0A",
	  "'POST /x HTTP/1.1' 0D0A 'Content-Length: 5' 0D0A0D0A 'abcde'", false },
	{ "http, allowed only", only_get, NULL, NULL, "'GET /etc HTTP/1.1' 0D0A 'Host: shop' 0D0A0D0A", "'GET /api/1 HTTP/1.1' 0D0A 'Host: shop' 0D0A0D0A", false },
	{ "redis", redis_rules, NULL, NULL, "'*1' 0D0A '$8' 0D0A 'FLUSHALL' 0D0A", "'*2' 0D0A '$3' 0D0A 'GET' 0D0A '$1' 0D0A 'a' 0D0A", false },
	{ "redis, the last key", redis_rules, "'*1' 0D0A '$4' 0D0A 'PING' 0D0A", "'+PONG' 0D0A", "'*3' 0D0A '$3' 0D0A 'DEL' 0D0A '$1' 0D0A 'a' 0D0A '$7' 0D0A 'secret1' 0D0A",
	  "'*3' 0D0A '$3' 0D0A 'DEL' 0D0A '$1' 0D0A 'a' 0D0A '$7' 0D0A 'nosecre' 0D0A", false },
	{ "redis, inline", only_ping, "'PING' 0D0A", "'+PONG' 0D0A", "'FLUSHDB' 0D0A", "'GET a' 0D0A", false },
	{ "pgsql", pgsql_rules, "00000011 00030000 'user' 00 'me' 00 00", "'R' 00000008 00000000 'Z' 00000005 'I'", "'Q' 00000012 'DROP TABLE t;' 00", "'Q' 0000000E 'SELECT 1;' 00",
	  false },
	{ "grpc", grpc_rules, NULL, NULL, PREFACE "00002B 01 05 00000001 83 86 04 [1 '/shop.Admin/Do12'] 5F [1 'application/grpc'] 40 [1'a'] [1'b']",
	  PREFACE "00002B 01 05 00000001 83 86 04 [1 '/shop.Carts/Do12'] 5F [1 'application/grpc'] 40 [1'a'] [1'b']", true },
	{ "tls", tls_rules, NULL, NULL, HELLO("x.bad.example"), HELLO("x.good.example"), false },
};

static uint8_t denied[512], allowed[512], text[512];
static size_t ndenied, nallowed;

/* Opens a talk about the vector, up to the request. */
static void begin(struct talk *t, const struct vector *v, bool v6)
{
	ndenied = talk_bytes(v->denied, denied, sizeof denied);
	nallowed = talk_bytes(v->allowed, allowed, sizeof allowed);
	talk_open(t, v6, MODE_PROTECT, v->rules, NULL);
	if (v->before) {
		size_t n = talk_bytes(v->before, text, sizeof text);

		if (say(t, UP, text, n) != ACCEPTED)
			CU_FAIL("before");
		n = talk_bytes(v->reply, text, sizeof text);
		CU_ASSERT_EQUAL(say(t, DOWN, text, n), ACCEPTED);
	}
	forget(t);
}

/* In pieces of `size`, the first of `first` bytes. */
static void say_cut(struct talk *t, const uint8_t *p, size_t n, size_t first, size_t size)
{
	for (size_t at = 0, k = first; at < n; at += k, k = size)
		say(t, UP, p + at, k < n - at ? k : n - at);
}

static bool all(const struct talk *t, enum fate fate)
{
	unsigned n = 0;

	for (size_t i = 0; i < FRAMES; i++)
		if (t->frame[i].fate != NEVER_SENT && t->frame[i].n && i >= t->first) {
			n++;
			if (t->frame[i].fate != fate && !(fate == DROPPED && t->frame[i].fate == REFUSED))
				return false;
		}
	return n != 0;
}

static void cut_everywhere(const struct vector *v, bool v6)
{
	static struct talk t;

	begin(&t, v, v6);
	talk_close(&t);
	for (size_t cut = 0; cut < ndenied; cut++) {	/* 0: in single bytes */
		begin(&t, v, v6);
		t.first = t.c.token + 1;
		say_cut(&t, denied, ndenied, cut ? cut : 1, cut ? ndenied : 1);
		if (!v->head_passes) {
			CU_ASSERT_EQUAL(t.ngot, 0);
			CU_ASSERT(all(&t, DROPPED));
			CU_ASSERT_EQUAL(t.frame[t.first].fate, REFUSED);	/* the first one's number is exact */
		}
		CU_ASSERT(t.ngot < ndenied);
		CU_ASSERT_EQUAL(t.frame[t.c.token].fate, REFUSED);
		CU_ASSERT_EQUAL(core_counter(&t.c, DPI_C_HOLD_LIMIT), 0);
		CU_ASSERT_EQUAL(t.c.d->holds.frames, 0);
		if (t.ngot >= ndenied || (t.ngot && !v->head_passes))
			printf("\n%s cut at %zu: %zu bytes got by\n", v->what, cut, t.ngot);
		talk_close(&t);
	}
	for (size_t cut = 0; cut < nallowed; cut++) {
		begin(&t, v, v6);
		t.first = t.c.token + 1;
		say_cut(&t, allowed, nallowed, cut ? cut : 1, cut ? nallowed : 1);
		CU_ASSERT(all(&t, ACCEPTED));
		CU_ASSERT(t.ngot == nallowed && !memcmp(t.got, allowed, nallowed));
		CU_ASSERT_EQUAL(core_counter(&t.c, DPI_C_HOLD_LIMIT), 0);
		if (t.ngot != nallowed)
			printf("\n%s cut at %zu: %zu of %zu bytes got by\n", v->what, cut, t.ngot, nallowed);
		talk_close(&t);
	}
}

static void test_cut(void)
{
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
		for (int v6 = 0; v6 < 2; v6++)
			cut_everywhere(&vectors[i], v6);
}

/* ---- limits ---- */

static void test_limits(void)
{
	static const struct { struct policy_limits l; int64_t wait; bool passes, off; } cases[] = {
		{ { 16384, 16, 16384, 5 * SEC, 200 * MS }, 150 * MS, false, false },
		{ { 16384, 16, 16384, 5 * SEC, 200 * MS }, 250 * MS, true, false },
		{ { 16384, 16, 16384, 5 * SEC, 1000 * MS }, 900 * MS, false, false },
		{ { 16384, 16, 10, 5 * SEC, 200 * MS }, 0, true, false },
		{ { 16384, 16, 0, 5 * SEC, 200 * MS }, 0, true, true },	/* switched off: that is no limit that was met */
		{ { 16384, 16, 16384, 5 * SEC, 0 }, 0, true, true },
	};
	static struct talk t;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		talk_open(&t, i & 1, MODE_PROTECT, http_rules, &cases[i].l);
		SAY(&t, "DELETE ");
		SAY(&t, "/x ");
		SAY(&t, "HTTP");
		core_tick(&t.c, cases[i].wait);
		CU_ASSERT_EQUAL(t.ngot, cases[i].passes ? 14 : 0);
		CU_ASSERT_EQUAL(core_counter(&t.c, DPI_C_HOLD_LIMIT), cases[i].passes && !cases[i].off);
		CU_ASSERT_EQUAL(strstr(t.c.text, "hold.limit") != NULL, cases[i].passes && !cases[i].off);
		SAY(&t, "/1.1\r\n");		/* once its beginning has passed, nothing of it waits any more */
		CU_ASSERT_EQUAL(t.ngot, cases[i].passes ? 20 : 0);
		CU_ASSERT_EQUAL(SAY(&t, "\r\n"), REFUSED);
		CU_ASSERT_EQUAL(t.ngot, cases[i].passes ? 20 : 0);
		talk_close(&t);
	}
}

/* A policy without `hold` comes while something waits: all of it is answered there and then, before anything that comes behind it. */
static void test_switched_off(void)
{
	static const struct { struct policy_limits l; bool tightened; } cases[] = {
		{ { 16384, 16, 16384, 5 * SEC, 0 }, false }, { { 16384, 16, 0, 5 * SEC, 200 * MS }, false }, { { 16384, 16, 0, 5 * SEC, 0 }, true },
	};
	static const struct l7_rule none[] = { { VERDICT_DENY, NULL, { NULL } }, END };
	static struct talk t;

	for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
		bool tightened = cases[i / 2].tightened;
		struct policy *p = l7_policy_limits(MODE_PROTECT, tightened ? none : http_rules, &cases[i / 2].l);

		talk_open(&t, i & 1, MODE_PROTECT, http_rules, NULL);
		CU_ASSERT_EQUAL(SAY(&t, "DELETE "), WAITING);
		CU_ASSERT_EQUAL(SAY(&t, "/x "), WAITING);
		dpi_set_policy(t.c.d, p);
		policy_unref(p);
		CU_ASSERT_EQUAL(t.c.d->holds.frames, 0);
		CU_ASSERT_EQUAL(t.ngot, tightened ? 0 : 10);
		if (!tightened)
			CU_ASSERT_EQUAL(SAY(&t, "HTTP/1.1\r\n"), ACCEPTED);
		CU_ASSERT_EQUAL(SAY(&t, "\r\n"), REFUSED);
		talk_close(&t);
	}
}

/* A request that passed by its limit does not excuse the next one. */
static void test_limit_again(void)
{
	static struct talk t;

	talk_open(&t, false, MODE_PROTECT, http_rules, NULL);
	CU_ASSERT_EQUAL(SAY(&t, "GET / HT"), WAITING);
	core_tick(&t.c, 300 * MS);
	CU_ASSERT(GOT(&t, "GET / HT"));
	CU_ASSERT_EQUAL(SAY(&t, "TP/1.1\r\n"), ACCEPTED);
	CU_ASSERT_EQUAL(SAY(&t, "\r\nDEL"), WAITING);
	CU_ASSERT_EQUAL(SAY(&t, "ETE / HTTP/1.1\r\n"), WAITING);
	CU_ASSERT_EQUAL(SAY(&t, "\r\n"), REFUSED);
	CU_ASSERT(GOT(&t, "GET / HTTP/1.1\r\n"));
	talk_close(&t);
}

static void test_frames(void)
{
	struct dpi_conf few = { .max_flows = 64, .memcap = 16 << 20, .midstream = true, .max_waiting = 5 };
	static struct talk t;

	talk_open(&t, false, MODE_PROTECT, http_rules, NULL);
	SAY(&t, "DELETE /");
	for (unsigned i = 1; i < HOLD_FRAMES; i++)
		CU_ASSERT_EQUAL(SAY(&t, "x"), WAITING);
	CU_ASSERT_EQUAL(SAY(&t, "x"), ACCEPTED);
	CU_ASSERT_EQUAL(t.ngot, 8 + HOLD_FRAMES);
	CU_ASSERT_EQUAL(SAY(&t, " HTTP/1.1\r\n\r\n"), REFUSED);
	talk_close(&t);

	memset(&t, 0, sizeof t);
	talk_open(&t, false, MODE_PROTECT, http_rules, NULL);
	t.c.d->conf.max_waiting = few.max_waiting;
	for (unsigned i = 0; i < few.max_waiting; i++)
		CU_ASSERT_EQUAL(SAY(&t, "D"), WAITING);
	CU_ASSERT_EQUAL(SAY(&t, "x"), ACCEPTED);
	CU_ASSERT_EQUAL(t.c.d->holds.frames, 0);
	talk_close(&t);
}

/* ---- segments ---- */

static void test_copies(void)
{
	static struct talk t;
	uint32_t at;

	talk_open(&t, false, MODE_PROTECT, http_rules, NULL);
	at = t.seq[UP];
	CU_ASSERT_EQUAL(SAY(&t, "DELETE "), WAITING);
	CU_ASSERT_EQUAL(SAY(&t, "/x "), WAITING);
	CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = at, .p = "DELETE ", .n = 7 }), DROPPED);	/* sent again */
	CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = at, .p = "DELETE /", .n = 8 }), DROPPED);
	CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = at, .p = "POST", .n = 4 }), DROPPED);		/* contradicts */
	CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = at - 1, .n = 0 }), ACCEPTED);			/* a probe */
	CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = t.seq[UP], .n = 0 }), ACCEPTED);			/* an acknowledgement */
	CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = at + 7, .p = "/x HTTP/1.1\r\n", .n = 13 }), WAITING);	/* with new bytes */
	t.seq[UP] = at + 20;
	CU_ASSERT_EQUAL(t.ngot, 0);
	CU_ASSERT_EQUAL(core_counter(&t.c, DPI_C_HOLD_COPY), 2);
	CU_ASSERT_EQUAL(SAY(&t, "\r\n"), REFUSED);
	CU_ASSERT_EQUAL(t.ngot, 0);
	talk_close(&t);
}

/* Out of order: what comes later may not overtake what waits; a hole alone does not make anything wait. */
static void test_out_of_order(void)
{
	static struct talk t;
	uint32_t at;

	talk_open(&t, false, MODE_PROTECT, http_rules, NULL);
	at = t.seq[UP];
	CU_ASSERT_EQUAL(SAY(&t, "GET "), WAITING);
	CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = at + 6, .p = "HTTP/1.1\r\n", .n = 10 }), WAITING);
	CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = at + 4, .p = "/ ", .n = 2 }), WAITING);
	CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = at + 16, .p = "\r\n", .n = 2 }), ACCEPTED);
	CU_ASSERT_EQUAL(t.ngot, 18);
	CU_ASSERT_EQUAL(t.late, 3);
	talk_close(&t);
}

/* Out of order, and more than is kept: the server does not get what nobody will judge. */
static void test_more_than_is_kept(void)
{
	static const struct l7_rule open_[] = { { VERDICT_ALLOW, NULL, { NULL } }, END };
	static char one[700];
	static struct talk t;

	for (unsigned i = 0; i < 4; i++) {
		bool asked = i < 2;
		uint32_t at;

		memset(one, 'x', sizeof one);
		memcpy(one, "DELETE /", 8);
		memcpy(one + sizeof one - 13, " HTTP/1.1\r\n\r\n", 13);
		talk_open(&t, i & 1, MODE_PROTECT, asked ? http_rules : open_, NULL);
		at = t.seq[UP];
		for (uint32_t k = 0; k < 300; k++)
			CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = at + 1 + 2 * k, .p = one + 1 + 2 * k, .n = 1 }), asked && k >= 250 ? DROPPED : ACCEPTED);
		CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = at + 600, .p = one + 600, .n = 100 }), asked ? DROPPED : ACCEPTED);
		CU_ASSERT_EQUAL(core_counter(&t.c, DPI_C_SEG_CAP), 51);
		CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = at, .p = one, .n = 600 }), asked ? WAITING : ACCEPTED);
		CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = at + 600, .p = one + 600, .n = 100 }), asked ? REFUSED : ACCEPTED);
		talk_close(&t);
	}
}

/* Requests end and begin in the middle of segments: only the last one waits. */
static void test_stream_of_requests(void)
{
	static const char get[] = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", ping[] = "*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
	static struct talk t;

	for (int redis = 0; redis < 2; redis++) {
		const char *one = redis ? ping : get;
		size_t n = strlen(one), total = n * 40;
		char *many = malloc(total);

		for (size_t i = 0; i < 40; i++)
			memcpy(many + i * n, one, n);
		for (size_t cut = n; cut < 3 * n; cut++) {
			talk_open(&t, false, MODE_PROTECT, redis ? redis_rules : http_rules, NULL);
			for (size_t at = 0; at < total; at += cut) {
				say(&t, UP, many + at, cut < total - at ? cut : total - at);
				CU_ASSERT(t.c.d->holds.frames <= 1);
			}
			CU_ASSERT(t.ngot == total && !memcmp(t.got, many, total));
			CU_ASSERT_EQUAL(core_counter(&t.c, DPI_C_HOLD_LIMIT), 0);
			talk_close(&t);
		}
		free(many);
	}
}

static void test_body(void)
{
	static const char head[] = "POST /x HTTP/1.1\r\nContent-Length: 100000\r\n\r\n";
	static char body[1000];
	static struct talk t;

	talk_open(&t, false, MODE_PROTECT, http_rules, NULL);
	CU_ASSERT_EQUAL(SAY(&t, head), ACCEPTED);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(say(&t, UP, body, sizeof body), ACCEPTED);
	CU_ASSERT_EQUAL(core_counter(&t.c, DPI_C_HOLD_WAITED), 0);
	talk_close(&t);
}

/* ---- what need not wait ---- */

static void test_nothing_waits(void)
{
	static const struct l7_rule open_[] = { { VERDICT_ALLOW, NULL, { NULL } }, END }, both[] = { { VERDICT_ALLOW, "http", { "methods=GET" } }, { VERDICT_ALLOW, NULL, { NULL } }, END },
		alert[] = { { VERDICT_ALERT, "http", { "methods=GET" } }, { VERDICT_ALLOW, NULL, { NULL } }, END };
	static const struct { enum policy_mode mode; const struct l7_rule *rules; const char *bytes; } cases[] = {
		{ MODE_PROTECT, open_, "DELETE /" }, { MODE_PROTECT, both, "DELETE /" }, { MODE_PROTECT, alert, "GET /" },
		{ MODE_DISCOVER, http_rules, "DELETE /" }, { MODE_MONITOR, http_rules, "DELETE /" },
		{ MODE_PROTECT, http_rules, "*2\r\n$4\r\n" },	/* not of the app that rules ask facts of */
		{ MODE_PROTECT, http_rules, "\1\2\3\4" },
	};
	static struct talk t;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		talk_open(&t, i & 1, cases[i].mode, cases[i].rules, NULL);
		CU_ASSERT_EQUAL(say(&t, UP, cases[i].bytes, strlen(cases[i].bytes)), ACCEPTED);
		CU_ASSERT_EQUAL(core_counter(&t.c, DPI_C_HOLD_WAITED), 0);
		talk_close(&t);
	}
}

/* ---- ends ---- */

/* A copy that ends the stream says something new: the request will never be complete, so nothing waits for it. */
static void test_copy_with_fin(void)
{
	static struct talk t;

	for (int v6 = 0; v6 < 2; v6++) {
		talk_open(&t, v6, MODE_PROTECT, http_rules, NULL);
		CU_ASSERT_EQUAL(SAY(&t, "DELETE "), WAITING);
		CU_ASSERT_EQUAL(SAY(&t, "/x "), WAITING);
		CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = t.seq[UP] - 10, .p = "DELETE /x ", .n = 10, .flags = TCP_FIN }), ACCEPTED);
		CU_ASSERT_EQUAL(t.c.d->holds.frames, 0);
		CU_ASSERT_EQUAL(core_counter(&t.c, DPI_C_HOLD_LIMIT), 1);
		talk_close(&t);
	}
}

static void test_ends(void)
{
	static const struct l7_rule open_[] = { { VERDICT_ALLOW, NULL, { NULL } }, END }, closed[] = { { VERDICT_DENY, NULL, { NULL } }, END };
	static struct talk t;

	for (int i = 0; i < 8; i++) {
		bool refused = i == 4;
		struct policy *p;
		int other;

		talk_open(&t, i & 1, MODE_PROTECT, http_rules, NULL);
		CU_ASSERT_EQUAL(SAY(&t, "DELETE "), WAITING);
		CU_ASSERT_EQUAL(SAY(&t, "/x "), WAITING);
		switch (i) {
		case 0:		/* the client closes */
			CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = t.seq[UP], .flags = TCP_FIN }), ACCEPTED);
			break;
		case 1:
			CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = t.seq[UP], .flags = TCP_RST }), ACCEPTED);
			break;
		case 2:		/* the server resets */
			CU_ASSERT_EQUAL(put(&t, (struct spec){ .dir = DOWN, .seq = t.seq[DOWN], .flags = TCP_RST }), ACCEPTED);
			core_tick(&t.c, SEC);
			break;
		case 3:
		case 4:
			p = l7_policy(MODE_PROTECT, i == 3 ? open_ : closed);
			dpi_set_policy(t.c.d, p);
			policy_unref(p);
			break;
		case 5:		/* as it was */
			p = l7_policy(MODE_PROTECT, http_rules);
			dpi_set_policy(t.c.d, p);
			policy_unref(p);
			CU_ASSERT_EQUAL(t.late, 0);
			CU_ASSERT_EQUAL(SAY(&t, "HTTP/1.1\r\n\r\n"), REFUSED);
			refused = true;
			break;
		case 6:
			dpi_release(t.c.d, &other);	/* somebody else's */
			CU_ASSERT_EQUAL(t.late, 0);
			dpi_release(t.c.d, &t);
			break;
		case 7:
			dpi_set_policy(t.c.d, NULL);
			break;
		}
		CU_ASSERT_EQUAL(t.late, 2);
		CU_ASSERT_EQUAL(t.ngot, refused ? 0 : 10);
		CU_ASSERT_EQUAL(t.c.d->holds.frames, 0);
		talk_close(&t);
	}
}

/* Whatever waits when the core ends. */
static void test_flush(void)
{
	static struct talk t;

	talk_open(&t, false, MODE_PROTECT, http_rules, NULL);
	SAY(&t, "DELETE ");
	dpi_flush(t.c.d);
	CU_ASSERT(GOT(&t, "DELETE "));
	talk_close(&t);
}

/* Bytes on a SYN are with the server before its answer says that it took them: where they may be refused they come behind the handshake or not at all. */
static void test_syn(void)
{
	static const struct l7_rule open_[] = { { VERDICT_ALLOW, NULL, { NULL } }, END };
	static const struct policy_limits off = { 16384, 16, 0, 5 * SEC, 200 * MS };
	static const char one[] = "DELETE / HTTP/1.1\r\n\r\n";
	static struct talk t;

	for (unsigned i = 0; i < 6; i++) {
		bool v6 = i & 1, kept = i / 2 == 0;
		struct spec syn = { .v6 = v6, .held = true, .sport = 41000, .flags = TCP_SYN, .seq = 100, .p = one, .n = sizeof one - 1 }, data = syn;

		talk_open(&t, v6, MODE_PROTECT, i / 2 == 2 ? open_ : http_rules, i / 2 == 1 ? &off : NULL);
		CU_ASSERT_EQUAL(core_send(&t.c, &syn), kept ? VERDICT_DROP : VERDICT_ALLOW);
		CU_ASSERT_EQUAL(core_counter(&t.c, DPI_C_HOLD_SYN), kept);
		syn.n = 0;
		CU_ASSERT_EQUAL(core_send(&t.c, &syn), VERDICT_ALLOW);
		CU_ASSERT_EQUAL(core_send(&t.c, &(struct spec){ .v6 = v6, .held = true, .sport = 41000, .dir = DOWN, .flags = TCP_SYN | TCP_ACK, .seq = 700, .ack = 101 }), VERDICT_ALLOW);
		data.flags = TCP_ACK;
		data.seq = 101;
		data.ack = 701;
		CU_ASSERT_EQUAL(core_send(&t.c, &data), i / 2 == 2 ? VERDICT_ALLOW : VERDICT_DENY);
		talk_close(&t);
	}
}

/* A segment that is changed on its way keeps all its bytes. */
static void test_calm(void)
{
	static struct talk t;

	talk_open(&t, false, MODE_PROTECT, http_rules, NULL);
	CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = t.seq[UP], .flags = TCP_URG, .urg = 1, .p = "!GET ", .n = 5 }), WAITING);
	CU_ASSERT_EQUAL(put(&t, (struct spec){ .seq = t.seq[UP] + 5, .flags = TCP_URG, .urg = 1, .p = "/ ", .n = 2 }), WAITING);
	CU_ASSERT(t.c.answer.flags & ANSWER_CALM);
	t.seq[UP] += 7;
	CU_ASSERT_EQUAL(SAY(&t, "HTTP/1.1\r\n\r\n"), ACCEPTED);
	CU_ASSERT_EQUAL(t.ngot, 19);
	talk_close(&t);
}

const struct unit_test tests_hold[] = {
	{ "cut at every byte", test_cut },
	{ "limits", test_limits },
	{ "switched off while something waits", test_switched_off },
	{ "a limit, and the next request", test_limit_again },
	{ "too many", test_frames },
	{ "sent again", test_copies },
	{ "out of order", test_out_of_order },
	{ "out of order, more than is kept", test_more_than_is_kept },
	{ "one request after the other", test_stream_of_requests },
	{ "a body does not wait", test_body },
	{ "what need not wait", test_nothing_waits },
	{ "ends", test_ends },
	{ "a copy that ends the stream", test_copy_with_fin },
	{ "flush", test_flush },
	{ "bytes on a SYN", test_syn },
	{ "urgent", test_calm },
	{ 0 },
};
