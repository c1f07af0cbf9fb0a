/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The HTTP parser alone, against a core of this file's own: how much it searches, keeps, skips and judges.
 *
 * The parser's files are compiled in here once more, with the core's functions and memchr replaced, because that is the only way
 * to count what a parser does without a clock. Its own names are changed so that both copies can live in one program. */
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

#define px_record alone_record
#define px_judge alone_judge
#define px_wants_facts alone_wants_facts
#define px_by_facts alone_by_facts
#define px_wants_headers alone_wants_headers
#define px_header alone_header
#define px_emit alone_emit
#define px_save alone_save
#define px_saved_free alone_saved_free
#define px_alloc alone_alloc
#define px_release alone_release
#define px_bad alone_bad
#define px_skip alone_skip
#define px_stop alone_stop
#define px_switch alone_switch
#define px_set_app alone_set_app
#define px_port alone_port
#define proto_http alone_proto_http
#define http_facts alone_facts
#define http_fact_length alone_fact_length
#define http_kind_of alone_kind_of
#define http_put_request alone_put_request
#define http_put_asked alone_put_asked
#define http_put_response alone_put_response
#define http_slot alone_slot
#define http_put_host alone_put_host
#define http_same_host alone_same_host
#define http_looks_broken alone_looks_broken
#define http_is_elasticsearch alone_is_elasticsearch
#define http_head_scan alone_head_scan
#define http_looks_request alone_looks_request
#define http_looks_response alone_looks_response
#define http_looks_request_start alone_looks_request_start
#define http_same alone_same
#define http_trim alone_trim
#include "dpi/proto/http_head.c"
#include "dpi/proto/http_facts.c"
#include "dpi/proto/http.c"

#include "tests/unit/unit.h"

struct px {
	struct http state;
	struct record r;
	uint64_t skip[2];
	enum parse result;
	enum app app;
	unsigned judged, told, with_status;
	unsigned saved, saved_max, pieces, pieces_max;
	unsigned calls;			/* of parse */
	bool no_save, no_alloc, no_facts, stopped, switched;
	uint64_t last_length;
	uint32_t ids;			/* sum of transaction numbers told */
	char oddities[1024];
};

struct record *px_record(struct px *px)
{
	rec_reset(&px->r);
	return &px->r;
}

bool px_wants_facts(const struct px *px, enum event_type type)
{
	CU_ASSERT_EQUAL(type, EV_HTTP);
	return !px->no_facts;
}

uint16_t px_port(const struct px *px, enum dir dir)
{
	(void)px;
	(void)dir;
	return 0;
}

bool px_by_facts(const struct px *px)
{
	(void)px;
	return true;
}

bool px_wants_headers(const struct px *px)
{
	(void)px;
	return false;
}

const struct fact *px_header(const struct px *px, struct bytes name)
{
	(void)px;
	(void)name;
	return NULL;
}

void px_judge(struct px *px, const struct record *r)
{
	CU_ASSERT_PTR_NOT_NULL(rec_find(r->body, r->len, FACT_HTTP_METHOD).p);
	px->judged++;
}

void px_emit(struct px *px, enum event_type type, uint32_t tx, const struct record *r)
{
	const uint8_t *pos = r->body;
	const struct item *it;
	const void *v;

	CU_ASSERT_EQUAL(type, EV_HTTP);
	CU_ASSERT_PTR_EQUAL(r, &px->r);
	px->told++;
	px->ids += tx;
	while ((it = item_next(&pos, r->body + r->len, &v))) {
		px->with_status += strcmp(it->fact->name, "status") == 0;
		if (it->fact == &http_fact_length)
			memcpy(&px->last_length, v, sizeof(px->last_length));
	}
}

struct saved *px_save(struct px *px, const struct record *r)
{
	struct saved *s = px->no_save ? NULL : malloc(sizeof(*s) + r->len);

	if (!s)
		return NULL;
	s->len = r->len;
	memcpy(s->body, r->body, r->len);
	if (++px->saved > px->saved_max)
		px->saved_max = px->saved;
	return s;
}

void px_saved_free(struct px *px, struct saved *s)
{
	px->saved -= s != NULL;
	free(s);
}

void *px_alloc(struct px *px, size_t n)
{
	if (px->no_alloc)
		return NULL;
	if (++px->pieces > px->pieces_max)
		px->pieces_max = px->pieces;
	return calloc(1, n);
}

void px_release(struct px *px, void *p, size_t n)
{
	CU_ASSERT_EQUAL(n, sizeof(struct pending));
	px->pieces -= p != NULL;
	free(p);
}

void px_skip(struct px *px, enum dir dir, uint64_t n) { px->skip[dir] = n; }
void px_stop(struct px *px) { px->stopped = true; }
void px_set_app(struct px *px, enum app app) { px->app = app; }

void px_switch(struct px *px, const struct proto *next)
{
	CU_ASSERT_TRUE(!next || next == &proto_http2);
	px->switched = true;
}

void px_bad(struct px *px, const char *event)
{
	size_t n = strlen(px->oddities);

	snprintf(px->oddities + n, sizeof(px->oddities) - n, "%s ", event);
}

/* Bytes of one direction in pieces of `cut`; an incomplete message is given again in place, with what follows. */
static void say(struct px *px, enum dir dir, const char *text, size_t n, size_t cut)
{
	size_t from = 0, have = 0;

	while (have < n && px->result != PARSE_BAD && !px->stopped && !px->switched) {
		struct cursor c;
		uint64_t jump;

		have += n - have < cut ? n - have : cut;
		jump = px->skip[dir] < have - from ? px->skip[dir] : have - from;
		from += (size_t)jump;
		px->skip[dir] -= jump;
		if (from == have)
			continue;
		c = cur_of(text + from, have - from);
		px->calls++;
		px->result = proto_http.parse(px, &px->state, dir, &c);
		from += cur_used(&c);
		if (px->result == PARSE_DONE && !px->stopped && !px->switched)
			CU_ASSERT_EQUAL(from, have);
	}
	CU_ASSERT(px->result != PARSE_MORE || have == n);
}

static void say_str(struct px *px, enum dir dir, const char *text) { say(px, dir, text, strlen(text), SIZE_MAX); }

static struct px *px_new(void)
{
	struct px *px = calloc(1, sizeof(*px));

	CU_ASSERT_PTR_NOT_NULL_FATAL(px);
	return px;
}

/* Ends the flow: nothing may be left. */
static void px_end(struct px *px)
{
	proto_http.end(px, &px->state);
	CU_ASSERT_EQUAL(px->saved, 0);
	CU_ASSERT_EQUAL(px->pieces, 0);
	free(px);
}

/* n copies of a text, to be freed */
static char *times(const char *text, size_t n)
{
	size_t len = strlen(text);
	char *all = malloc(len * n + 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	for (size_t i = 0; i < n; i++)
		memcpy(all + i * len, text, len);
	all[len * n] = '\0';
	return all;
}

static char *join(const char *a, char *b, const char *c)
{
	char *all = NULL;

	CU_ASSERT_FATAL(asprintf(&all, "%s%s%s", a, b, c) >= 0);
	free(b);
	return all;
}

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST_CHUNKED "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
#define OK0 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/* Every byte is searched for a line's end about once, even when bytes come one by one. */
static void test_linear(void)
{
	char *const texts[] = {
		join("GET / HTTP/1.1\r\n", times("X-Some-Field: some value\r\n", 900), "\r\n"),
		join("GET /", times("x", 60000), " HTTP/1.1\r\n\r\n"),
		join("GET / HTTP/1.1\r\nUser-Agent: a\r\n", times(" folded\r\n", 7000), "\r\n"),
		join("GET / HTTP/1.1\r\nUser-Agent:", times(" ", 60000), "\r\n\r\n"),
		join(POST_CHUNKED, times("1;ext=\"abcdefgh\"\r\nx\r\n", 3000), "0\r\n\r\n"),
		join(POST_CHUNKED "1;", times("e", 8000), "\r\nx\r\n0\r\n\r\n"),
		join(POST_CHUNKED "0\r\n", times("T: 1\r\n", 9000), "\r\n"),
		join("", times("\r\n", 30000), GET),
		join("", times(GET, 2000), ""),
		join("\n", times("lost\n", 10000), GET),
		join("\n", times("lost", 10000), "\n" GET),
		join("lost\n", times("GET / HTTQ/1.1\nHTTP/1.1 x\n", 2000), GET),
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		static const size_t cuts[] = { 1, 7, 1460 };
		size_t n = strlen(texts[i]);

		for (size_t k = 0; k < sizeof(cuts) / sizeof(*cuts); k++) {
			struct px *px = px_new();

			searched = 0;
			say(px, DIR_TOSERVER, texts[i], n, cuts[k]);
			CU_ASSERT(px->judged > 0);
			CU_ASSERT_STRING_EQUAL(px->oddities, i == 2 ? "http.obs_fold " : i == 8 ? "http.too_many_pending " : "");
			/* the line, the target and the value of a field; and recognition at the very beginning */
			CU_ASSERT(searched <= 3 * n + 2 * 1024);
			if (searched > 3 * n + 2 * 1024)
				printf("\ntext %zu, pieces of %zu: %zu bytes, %llu searched\n", i, cuts[k], n, searched);
			px_end(px);
		}
		free(texts[i]);
	}
}

/* More requests than anybody answers: all judged, all told once, few kept; and answers are counted off. */
static void test_pipeline_bomb(void)
{
	char *up = times(GET, 10000), *down = times(OK0, 10000);
	struct px *px = px_new();

	say(px, DIR_TOSERVER, up, strlen(up), 60000);
	CU_ASSERT_EQUAL(px->judged, 10000);
	CU_ASSERT_EQUAL(px->told, 10000 - PENDING_MAX);
	CU_ASSERT_EQUAL(px->saved_max, PENDING_MAX);
	CU_ASSERT(px->pieces_max <= PENDING_MAX);
	CU_ASSERT_STRING_EQUAL(px->oddities, "http.too_many_pending ");
	say(px, DIR_TOCLIENT, down, strlen(down), 1460);
	CU_ASSERT_EQUAL(px->told, 10000);
	CU_ASSERT_EQUAL(px->with_status, PENDING_MAX);
	CU_ASSERT_EQUAL(px->ids, 49995000);	/* each number from 0 to 9999 once */
	/* and then all is as before */
	say_str(px, DIR_TOSERVER, GET);
	say_str(px, DIR_TOCLIENT, OK0);
	CU_ASSERT_EQUAL(px->told, 10001);
	CU_ASSERT_EQUAL(px->with_status, PENDING_MAX + 1);
	px_end(px);
	free(up);
	free(down);
}

/* A HEAD among those that were not kept: answers cannot be told apart any more; requests go on. */
static void test_head_beyond(void)
{
	char *up = times(GET, PENDING_MAX), *down = times(OK0, PENDING_MAX);
	struct px *px = px_new();

	say(px, DIR_TOSERVER, up, strlen(up), SIZE_MAX);
	say_str(px, DIR_TOSERVER, "HEAD / HTTP/1.1\r\n\r\n");
	say(px, DIR_TOCLIENT, down, strlen(down), SIZE_MAX);
	CU_ASSERT_EQUAL(px->with_status, PENDING_MAX);
	say_str(px, DIR_TOCLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" OK0);
	CU_ASSERT_EQUAL(px->skip[DIR_TOCLIENT] > UINT64_MAX / 2, true);
	say_str(px, DIR_TOSERVER, GET);
	CU_ASSERT_EQUAL(px->judged, PENDING_MAX + 2);
	CU_ASSERT_EQUAL(px->told, PENDING_MAX + 2);
	px_end(px);
	free(up);
	free(down);
}

/* Without memory everything is still judged, and told once. */
static void test_no_memory(void)
{
	for (int what = 0; what < 3; what++) {
		struct px *px = px_new();

		px->no_save = what != 1;
		px->no_alloc = what != 0;
		say_str(px, DIR_TOSERVER, GET GET GET);
		say_str(px, DIR_TOCLIENT, OK0 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" OK0);
		say_str(px, DIR_TOSERVER, GET);
		say_str(px, DIR_TOCLIENT, OK0);
		CU_ASSERT_EQUAL(px->judged, 4);
		CU_ASSERT_EQUAL(px->told, 4);
		CU_ASSERT_EQUAL(px->ids, 0 + 1 + 2 + 3);
		CU_ASSERT_EQUAL(px->result, PARSE_DONE);
		px_end(px);
	}
}

/* Names are the same whatever their letters' case, and only theirs. */
static void test_same_names(void)
{
	static const char want[] = "x-content-type-z";

	for (size_t at = 0; at < sizeof(want) - 1; at++)
		for (unsigned c = 0; c < 256; c++) {
			uint8_t name[sizeof(want)];

			memcpy(name, "X-CONTENT-type-Z", sizeof(want));
			name[at] = (uint8_t)c;
			for (size_t n = at + 1; n < sizeof(want); n++)
				if (http_same((struct bytes){ name, n }, want, n) != (c == (uint8_t)want[at] || (c >= 'A' && c <= 'Z' && c + 32 == (uint8_t)want[at])))
					CU_FAIL("a letter");
		}
}

/* Nobody wants the facts: nothing is recorded, kept or told, and all else goes on as it does. */
static void test_no_facts(void)
{
	struct px *px = px_new();

	px->no_facts = true;
	say_str(px, DIR_TOSERVER, GET "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" "HEAD / HTTP/1.1\r\n\r\n" "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
	say_str(px, DIR_TOCLIENT, OK0 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
	CU_ASSERT_EQUAL(px->judged + px->told + px->saved, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(px->oddities, "http.several_hosts"));
	/* and somebody asks while a request waits: its answer comes without it, what follows is whole */
	px->no_facts = false;
	say_str(px, DIR_TOCLIENT, OK0);
	CU_ASSERT_EQUAL(px->told, 0);
	say_str(px, DIR_TOSERVER, GET);
	say_str(px, DIR_TOCLIENT, OK0);
	CU_ASSERT_EQUAL(px->judged, 1);
	CU_ASSERT_EQUAL(px->told, 1);
	CU_ASSERT_EQUAL(px->ids, 4);
	px_end(px);
}

/* Each cap: one below it passes, one above it ends with its reason, cut or whole. */
static void test_caps(void)
{
	const size_t head = strlen("GET / HTTP/1.1\r\nX:\r\n\r\n"), trailer = TRAILER_MAX - 4;
	const struct {
		char *text;
		const char *why;	/* NULL: passes */
	} caps[] = {
		{ join("GET / HTTP/1.1\r\nX:", times("x", HTTP_HEAD_MAX - head), "\r\n\r\n"), NULL },
		{ join("GET / HTTP/1.1\r\nX:", times("x", HTTP_HEAD_MAX - head + 1), "\r\n\r\n"), "http.head_too_long " },
		{ join("GET /", times("x", HTTP_HEAD_MAX), " HTTP/1.1\r\n\r\n"), "http.head_too_long " },
		{ join("GET / HTTP/1.1\r\n", times("X: x\r\n", HTTP_FIELDS_MAX), "\r\n"), NULL },
		{ join("GET / HTTP/1.1\r\n", times("X: x\r\n", HTTP_FIELDS_MAX + 1), "\r\n"), "http.too_many_fields " },
		{ join(POST_CHUNKED "0;", times("x", CHUNK_LINE_MAX - 4), "\r\n\r\n"), NULL },
		{ join(POST_CHUNKED "0;", times("x", CHUNK_LINE_MAX - 2), "\r\n\r\n"), "http.chunk_line_too_long " },
		{ join(POST_CHUNKED "0\r\n", times("x", trailer), "\r\n\r\n"), NULL },
		{ join(POST_CHUNKED "0\r\n", times("x", TRAILER_MAX), "\r\n\r\n"), "http.trailer_too_long " },
		{ join(POST_CHUNKED "0\r\n", times("x\r\n", TRAILER_MAX), "\r\n"), "http.trailer_too_long " },
		{ join("", times("M", METHOD_MAX), " / HTTP/1.1\r\n\r\n"), NULL },
	};

	for (size_t i = 0; i < sizeof(caps) / sizeof(*caps); i++) {
		for (size_t cut = 1; cut; cut = cut == 1 ? 1000 : cut == 1000 ? SIZE_MAX : 0) {
			struct px *px = px_new();

			say(px, DIR_TOSERVER, caps[i].text, strlen(caps[i].text), cut);
			CU_ASSERT_EQUAL(px->result, caps[i].why ? PARSE_BAD : PARSE_DONE);
			CU_ASSERT_STRING_EQUAL(px->oddities, caps[i].why ? caps[i].why : "");
			if (px->result != (caps[i].why ? PARSE_BAD : PARSE_DONE) || strcmp(px->oddities, caps[i].why ? caps[i].why : ""))
				printf("\ncap %zu, pieces of %zu: result %d, %s\n", i, cut, px->result, px->oddities);
			px_end(px);
		}
		free(caps[i].text);
	}
}

/* Bodies are skipped, whatever their size; their end is noticed at their last byte. */
static void test_bodies_are_skipped(void)
{
	struct px *px = px_new();
	char body[100] = { 0 };

	say_str(px, DIR_TOSERVER, "PUT / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\nabc");
	CU_ASSERT_EQUAL(px->skip[DIR_TOSERVER], INT64_MAX - 3 - 1);
	CU_ASSERT_EQUAL(px->judged, 1);
	say_str(px, DIR_TOCLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
	CU_ASSERT_EQUAL(px->skip[DIR_TOCLIENT], 99);
	px->calls = 0;
	say(px, DIR_TOCLIENT, body, 99, 10);
	CU_ASSERT_EQUAL(px->calls, 0);
	CU_ASSERT_EQUAL(px->told, 0);
	say(px, DIR_TOCLIENT, body, 1, 1);
	CU_ASSERT_EQUAL(px->told, 1);
	CU_ASSERT_EQUAL(px->last_length, 100);
	px_end(px);

	px = px_new();
	say_str(px, DIR_TOSERVER, GET);
	say_str(px, DIR_TOCLIENT, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nabc");
	CU_ASSERT_EQUAL(px->skip[DIR_TOCLIENT], INT64_MAX - 3);
	px_end(px);
}

/* A request is judged in the very call that brings the last byte of its head. */
static void test_judged_in_time(void)
{
	struct px *px = px_new();
	const char *text = "POST /admin HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";

	say(px, DIR_TOSERVER, text, strlen(text) - 1, SIZE_MAX);
	CU_ASSERT_EQUAL(px->judged, 0);
	px_end(px);
	px = px_new();
	say(px, DIR_TOSERVER, text, strlen(text), SIZE_MAX);
	CU_ASSERT_EQUAL(px->judged, 1);
	CU_ASSERT_EQUAL(px->told, 0);
	px_end(px);
}

/* A flow taken up in its middle, where the server may pass for the initiator. */
static void test_taken_up(void)
{
	for (int server_first = 0; server_first < 2; server_first++) {
		enum dir up = server_first ? DIR_TOCLIENT : DIR_TOSERVER, down = server_first ? DIR_TOSERVER : DIR_TOCLIENT;
		struct px *px = px_new();

		say(px, down, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 40, server_first ? 1 : SIZE_MAX);
		CU_ASSERT_EQUAL(px->with_status, 1);
		say(px, up, GET, strlen(GET), 1);
		say(px, down, OK0, strlen(OK0), 1);
		CU_ASSERT_EQUAL(px->judged, 1);
		CU_ASSERT_EQUAL(px->told, 2);
		CU_ASSERT_EQUAL(px->with_status, 2);
		px_end(px);

		/* in the middle of a download, without a line's end before the next response */
		px = px_new();
		say_str(px, down, "the end of some body\r\nand more of it");
		say(px, up, GET, strlen(GET), 1);
		say(px, down, OK0, strlen(OK0), 1);
		CU_ASSERT_EQUAL(px->judged, 1);
		CU_ASSERT_EQUAL(px->told, 1);
		CU_ASSERT_EQUAL(px->with_status, 1);
		px_end(px);

		/* in the middle of an upload */
		px = px_new();
		say_str(px, up, "the end of some form=1&b=2");
		say(px, down, OK0, strlen(OK0), 1);
		say(px, up, GET, strlen(GET), 1);
		say(px, down, OK0, strlen(OK0), 1);
		CU_ASSERT_EQUAL(px->judged, 1);
		CU_ASSERT_EQUAL(px->told, 2);
		CU_ASSERT_STRING_EQUAL(px->oddities, "");
		px_end(px);
	}
}

/* What comes after Upgrade or CONNECT is left where it is. */
static void test_leaving(void)
{
	struct px *px = px_new();

	say_str(px, DIR_TOSERVER, "CONNECT h:1 HTTP/1.1\r\n\r\n\x16\x03\x01");
	CU_ASSERT_EQUAL(px->result, PARSE_MORE);
	say_str(px, DIR_TOCLIENT, "HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03");
	CU_ASSERT(px->switched && !px->stopped && px->told == 1);
	px_end(px);

	px = px_new();
	say_str(px, DIR_TOSERVER, "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n");
	say_str(px, DIR_TOCLIENT, "HTTP/1.1 101 OK\r\nUpgrade: h2c\r\n\r\n\0\0\0");
	CU_ASSERT(px->switched && !px->stopped && px->told == 1);
	px_end(px);

	px = px_new();
	say_str(px, DIR_TOSERVER, "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
	say_str(px, DIR_TOCLIENT, "HTTP/1.1 101 OK\r\nUpgrade: WEBSOCKET\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
	CU_ASSERT(!px->switched && px->stopped && px->told == 1 && px->app == APP_WEBSOCKET);
	px_end(px);
}

/* What a flow costs. */
static void test_state_is_small(void) { CU_ASSERT(proto_http.state_size <= 256); }

const struct unit_test tests_http_px[] = {
	{ "work is linear", test_linear },
	{ "10,000 requests in a row", test_pipeline_bomb },
	{ "a HEAD beyond what is kept", test_head_beyond },
	{ "without memory", test_no_memory },
	{ "nobody wants the facts", test_no_facts },
	{ "names in any case", test_same_names },
	{ "caps", test_caps },
	{ "bodies are skipped", test_bodies_are_skipped },
	{ "judged at the last byte", test_judged_in_time },
	{ "taken up in the middle", test_taken_up },
	{ "leaving HTTP", test_leaving },
	{ "the state is small", test_state_is_small },
	{ NULL, NULL },
};
