/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The redis parser alone, against a core of this file's own: how much it searches, what it judges, and that it gives back what it
 * saved. The parser is compiled in here once more, with the core's functions and memchr replaced, to count without a clock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long long searched;	/* bytes that memchr looked at */

static const void *counted_memchr(const void *p, int c, size_t n)
{
	const char *hit = memchr(p, c, n);

	searched += hit ? (size_t)(hit - (const char *)p) + 1 : n;
	return hit;
}
#undef memchr
#define memchr(p, c, n) counted_memchr(p, c, n)

#define px_record lone_record
#define px_judge lone_judge
#define px_emit lone_emit
#define px_save lone_save
#define px_saved_free lone_saved_free
#define px_need lone_need
#define px_bad lone_bad
#define px_skip lone_skip
#define px_stop lone_stop
#define px_unfinished lone_unfinished
#define proto_redis lone_proto_redis
#include "dpi/proto/redis.c"

#include "tests/unit/unit.h"

struct px {
	struct redis state;
	struct record r;
	char judged[512];	/* "COMMAND key|" each, keys up to 16 bytes */
	unsigned saved, told, calls;
	size_t need;
	uint64_t skip;
	bool no_memory;
};

struct record *px_record(struct px *px) { rec_reset(&px->r); return &px->r; }
void px_need(struct px *px, size_t n) { px->need = n; }
void px_bad(struct px *px, const char *event) { (void)px; (void)event; }
void px_skip(struct px *px, enum dir dir, uint64_t n) { (void)dir; px->skip += n; }
void px_stop(struct px *px) { (void)px; }
void px_unfinished(struct px *px, uint32_t n) { (void)px; (void)n; }

void px_judge(struct px *px, const struct record *r)
{
	struct bytes command = rec_find(r->body, r->len, FACT_COMMAND), key = rec_find(r->body, r->len, FACT_KEY);

	strncat(px->judged, (const char *)command.p, command.n);
	strcat(px->judged, " ");
	if (key.n)
		strncat(px->judged, (const char *)key.p, key.n < 16 ? key.n : 16);
	strcat(px->judged, "|");
}

void px_emit(struct px *px, enum event_type t, uint32_t tx, const struct record *r)
{
	(void)t;
	(void)tx;
	(void)r;
	px->told++;
}

struct saved *px_save(struct px *px, const struct record *r)
{
	struct saved *s = px->no_memory ? NULL : malloc(sizeof(*s) + r->len);

	if (!s)
		return NULL;
	s->len = r->len;
	memcpy(s->body, r->body, r->len);
	px->saved++;
	return s;
}

void px_saved_free(struct px *px, struct saved *s)
{
	px->saved -= s != NULL;
	free(s);
}

/* Gives p in pieces of `step`, as the core does: what was not consumed comes again, not before it is enough. */
static enum parse give(struct px *px, enum dir dir, const char *p, size_t n, size_t step)
{
	size_t from = 0;

	for (size_t to = step < n ? step : n;; to = to + step < n ? to + step : n) {
		struct cursor c = cur_of(p + from, to - from);

		if (to - from >= px->need) {
			px->need = 0;
			px->calls++;
			if (lone_proto_redis.parse(px, &px->state, dir, &c) == PARSE_BAD)
				return PARSE_BAD;
			from += cur_used(&c);
		}
		if (to == n)
			return from == n ? PARSE_DONE : PARSE_MORE;
	}
}

static struct px *px_new(void)
{
	searched = 0;
	return calloc(1, sizeof(struct px));
}

static void px_done(struct px *px)
{
	lone_proto_redis.end(px, &px->state);
	CU_ASSERT_EQUAL(px->saved, 0);
	free(px);
}

/* A line that grows by single bytes is searched once, not once per byte. */
static void test_line_work(void)
{
	static char line[60001];
	struct px *px = px_new();

	memset(line, 'a', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\n';
	CU_ASSERT_EQUAL(give(px, DIR_TOSERVER, line, sizeof(line), 1), PARSE_DONE);
	CU_ASSERT_TRUE(searched < 4 * sizeof(line));
	px_done(px);
	px = px_new();
	line[0] = '+';
	CU_ASSERT_EQUAL(give(px, DIR_TOCLIENT, line, sizeof(line), 1), PARSE_DONE);
	CU_ASSERT_TRUE(searched < 4 * sizeof(line));
	px_done(px);
}

/* A key is asked for once, when all that is kept of it can be there. */
static void test_key_calls(void)
{
	static char text[4200];
	struct px *px = px_new();
	size_t n = (size_t)sprintf(text, "*2\r\n$3\r\nGET\r\n$4000\r\n");

	memset(text + n, 'k', 4000);
	memcpy(text + n + 4000, "\r\n", 2);
	CU_ASSERT_EQUAL(give(px, DIR_TOSERVER, text, n + 4002, 1), PARSE_DONE);
	CU_ASSERT_TRUE(px->calls < 40);
	CU_ASSERT_STRING_EQUAL(px->judged, "GET kkkkkkkkkkkkkkkk|");
	CU_ASSERT_TRUE(searched < 4 * sizeof(text));
	px_done(px);
}

static void test_judged(void)
{
	static const struct { const char *up, *want; } rows[] = {
		{ "MGET a b c\r\n", "MGET a|MGET b|MGET c|" }, { "MSET a 1 b 2\r\n", "MSET a|MSET b|" }, { "RENAME a b\r\n", "RENAME a|RENAME b|" },
		{ "ZUNIONSTORE d 2 a b WEIGHTS 1 1\r\n", "ZUNIONSTORE d|ZUNIONSTORE a|ZUNIONSTORE b|" }, { "EVAL s 2 a b c\r\n", "EVAL a|EVAL b|" },
		{ "XREAD STREAMS a b 0 1\r\n", "XREAD a|XREAD b|" }, { "AUTH secret\r\n", "AUTH |" }, { "EVAL s 0\r\n", "EVAL |" }, { "BLPOP a b 0\r\n", "BLPOP a|BLPOP b|" },
		/* a denied key is known before its value comes */
		{ "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n", "SET k|" }, { "*2\r\n$4\r\nPING\r\n", "PING |" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct px *px = px_new();

		CU_ASSERT_EQUAL(give(px, DIR_TOSERVER, rows[i].up, strlen(rows[i].up), 3), PARSE_DONE);
		CU_ASSERT_STRING_EQUAL(px->judged, rows[i].want);
		px_done(px);
	}
}

/* Without memory nothing is told of a command, but the replies stay in step. */
static void test_no_memory(void)
{
	static const char up[] = "GET a\r\nGET b\r\nGET c\r\n";
	struct px *px = px_new();

	px->no_memory = true;
	give(px, DIR_TOSERVER, up, 14, 14);
	px->no_memory = false;
	give(px, DIR_TOSERVER, up + 14, 7, 7);
	CU_ASSERT_STRING_EQUAL(px->judged, "GET a|GET b|GET c|");
	give(px, DIR_TOCLIENT, "+1\r\n+2\r\n", 8, 8);
	CU_ASSERT_EQUAL(px->told, 0);
	give(px, DIR_TOCLIENT, "+3\r\n", 4, 4);
	CU_ASSERT_EQUAL(px->told, 1);
	px_done(px);
}

const struct unit_test tests_redis_px[] = {
	{ "a line is searched once", test_line_work },
	{ "a key is asked for once", test_key_calls },
	{ "each key is judged, and before the value", test_judged },
	{ "no memory", test_no_memory },
	{ NULL, NULL },
};
