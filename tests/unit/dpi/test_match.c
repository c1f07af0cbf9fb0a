/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What rules ask of facts: patterns, paths, tables, and the difference between allowing and refusing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dpi/match.h"
#include "tests/unit/unit.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static struct bytes of(const char *s) { return (struct bytes){ (const uint8_t *)s, strlen(s) }; }

static void test_globs(void)
{
	static const struct { const char *pattern, *text; bool nocase, cut, want; } rows[] = {
		{ "a", "a", 0, 0, 1 }, { "a", "A", 0, 0, 0 }, { "a", "A", 1, 0, 1 }, { "a", "ab", 0, 0, 0 }, { "ab", "a", 0, 0, 0 }, { "", "", 0, 0, 1 },
		{ "*", "", 0, 0, 1 }, { "*", "anything/at all", 0, 0, 1 }, { "a*", "abc", 0, 0, 1 }, { "a*c", "abc", 0, 0, 1 }, { "a*c", "abcd", 0, 0, 0 },
		{ "*b*", "abc", 0, 0, 1 }, { "*.example.com", "a.b.example.com", 0, 0, 1 }, { "*.example.com", "example.com", 0, 0, 0 },
		{ "?", "a", 0, 0, 1 }, { "?", "", 0, 0, 0 }, { "a?c*", "abc", 0, 0, 1 }, { "*a*b*c", "xaybzc", 0, 0, 1 }, { "*ab", "aab", 0, 0, 1 }, { "**", "a", 0, 0, 1 },
		/* the text goes on unseen */
		{ "abc", "ab", 0, 1, 1 }, { "abc", "ax", 0, 1, 0 }, { "ab", "abc", 0, 1, 0 }, { "*.com", "host", 0, 1, 1 }, { "a*z", "b", 0, 1, 0 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		bool got = match_glob(of(rows[i].pattern), of(rows[i].text), rows[i].nocase, rows[i].cut);

		CU_ASSERT_EQUAL(got, rows[i].want);
		if (got != rows[i].want)
			fprintf(stderr, "glob %s on %s: %d\n", rows[i].pattern, rows[i].text, got);
	}
}

/* The obvious way to say the same, for short texts. */
static bool slow_glob(const char *p, const char *t)
{
	if (!*p)
		return !*t;
	if (*p == '*')
		return slow_glob(p + 1, t) || (*t && slow_glob(p, t + 1));
	return *t && (*p == '?' || *p == *t) && slow_glob(p + 1, t + 1);
}

static void test_globs_at_random(void)
{
	uint64_t s = 7;

	for (unsigned i = 0; i < 200000; i++) {
		char p[8] = "", t[9] = "";
		unsigned np = 0, nt = 0;

		for (s = s * 6364136223846793005u + 1442695040888963407u; np < (s >> 60) % 7; np++)
			p[np] = "ab*?"[s >> (2 * np + 8) & 3];
		for (; nt < (s >> 56 & 15) % 8; nt++)
			t[nt] = "ab"[s >> (nt + 30) & 1];
		if (match_glob(of(p), of(t), false, false) != slow_glob(p, t)) {
			CU_FAIL("glob");
			fprintf(stderr, "glob %s on %s\n", p, t);
		}
	}
}

static int key_of(const char *matcher, const char *key)
{
	for (int i = match_by_name(matcher); match_keys[i].matcher && strcmp(match_keys[i].matcher, matcher) == 0; i++)
		if (strcmp(match_keys[i].key, key) == 0)
			return i;
	abort();
}

static enum match ask(const struct record *r, const char *matcher, const char *key, const char *pattern, bool all, uint32_t later)
{
	struct bytes p = of(pattern);
	struct clause c = { .key = (uint16_t)key_of(matcher, key), .npatterns = 1, .pattern = &p };
	struct facts f = { .body = r->body, .len = r->len, .later = later, .partial = r->full };

	return match_facts(&c, 1, &f, all);
}

static const struct fact f_url = { "url", FACT_HTTP_PATH }, f_tables = { "tables", FACT_TABLE }, f_sni = { "sni", FACT_TLS_SNI }, f_filter = { "topic", FACT_FILTER }, f_method = { "http_method", FACT_HTTP_METHOD };

static void test_paths(void)
{
	static const struct { const char *url, *pattern; bool allows, refuses; } rows[] = {
		{ "/api/x", "/api/*", 1, 1 }, { "/api/x?y=/z", "/api/x", 1, 1 }, { "/api/", "/api/", 1, 1 }, { "/", "/", 1, 1 }, { "/other", "/api/*", 0, 0 },
		{ "/api/../admin", "/api/*", 0, 1 }, { "/api/../admin", "/admin", 0, 1 }, { "/api/%2e%2e/admin", "/api/*", 0, 1 }, { "/%61dmin", "/admin", 0, 1 },
		{ "/api/..%2fadmin", "/api/*", 0, 1 }, { "//admin", "/admin", 0, 1 }, { "/./admin/.", "/admin/", 0, 1 }, { "/a/b/../../admin", "/admin", 0, 1 },
		{ "/../../admin", "/admin", 0, 1 }, { "/api\\..\\admin", "/admin", 0, 1 }, { "/api/x%", "/api/x%", 1, 1 }, { "/api/%zz", "/api/%zz", 1, 1 },
		{ "/api#/../admin", "/api", 1, 1 }, { "/..", "/", 0, 1 }, { "/a/..", "/", 0, 1 }, { "/a/b/..", "/a/", 0, 1 }, { "/...", "/...", 1, 1 }, { "*", "*", 1, 1 },
		{ "/admin%2f", "/admin/", 0, 1 }, { "/admin%5C", "/admin/", 0, 1 }, { "/admin\\", "/admin/", 0, 1 }, { "/a/%2e%2E%2F", "/", 0, 1 }, { "/a%2f", "/a", 0, 0 },
		{ "%2fadmin", "/admin", 0, 1 }, { "admin", "/admin", 0, 1 }, { "x/../admin/", "/admin/", 0, 1 }, { "..", "/", 0, 1 }, { "*", "/*", 0, 0 }, { "%2a", "/*", 0, 1 }, { "", "", 1, 1 },
		{ "/api/..;/admin", "/api/*", 0, 1 }, { "/api/..;/admin", "/admin", 0, 1 }, { "/admin;a/b", "/admin/*", 0, 1 }, { "/api/x;j=1", "/api/*", 1, 1 }, { "/api/x;j=1", "/api/x;j=*", 1, 1 },
		{ "/api/x;j=1", "/api/x", 0, 1 }, { "/;x", "/", 0, 1 }, { "/a;/b?c;d", "/a/b", 0, 1 }, { "/a%3b/../b", "/b", 0, 1 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct record *r = calloc(1, sizeof(*r));
		bool allows, refuses;

		rec_cstr(r, &f_url, rows[i].url);
		allows = ask(r, "http", "paths", rows[i].pattern, true, 0) == MATCH_YES;
		refuses = ask(r, "http", "paths", rows[i].pattern, false, 0) == MATCH_YES;
		CU_ASSERT(allows == rows[i].allows && refuses == rows[i].refuses);
		if (allows != rows[i].allows || refuses != rows[i].refuses)
			fprintf(stderr, "path %s by %s: allows %d, refuses %d\n", rows[i].url, rows[i].pattern, allows, refuses);
		free(r);
	}
}

/* Every path of a few bytes that are odd, at the end of its memory: nothing is read or written beyond. */
static void test_paths_bounds(void)
{
	const char bytes[] = "/.%2e;f\\";
	struct record *r = calloc(1, sizeof(*r));

	for (unsigned i = 0; i < 8u * 8 * 8 * 8 * 8; i++) {
		char url[7] = "/";

		for (unsigned k = 0; k < 5; k++)
			url[k + 1] = bytes[i >> (3 * k) & 7];
		rec_reset(r);
		rec_cstr(r, &f_url, url);
		CU_ASSERT_EQUAL(ask(r, "http", "paths", "*", true, 0), MATCH_YES);
		CU_ASSERT_EQUAL(ask(r, "http", "paths", "x*", false, 0), MATCH_NO);
	}
	free(r);
}

static void tables(struct record *r, const char *a, const char *b)
{
	rec_reset(r);
	rec_arr(r, &f_tables);
	rec_cstr(r, NULL, a);
	if (b)
		rec_cstr(r, NULL, b);
	rec_end(r);
}

static void test_all_and_any(void)
{
	struct record *r = calloc(1, sizeof(*r));

	tables(r, "orders", "users");
	CU_ASSERT_EQUAL(ask(r, "pgsql", "tables", "orders", true, 0), MATCH_NO);	/* allowed only when all of it is */
	CU_ASSERT_EQUAL(ask(r, "pgsql", "tables", "*r*", true, 0), MATCH_YES);
	CU_ASSERT_EQUAL(ask(r, "pgsql", "tables", "users", false, 0), MATCH_YES);	/* refused when any of it is */
	CU_ASSERT_EQUAL(ask(r, "pgsql", "tables", "pay", false, 0), MATCH_NO);
	tables(r, "Public.Orders", NULL);
	CU_ASSERT_EQUAL(ask(r, "pgsql", "tables", "orders", false, 0), MATCH_YES);
	CU_ASSERT_EQUAL(ask(r, "pgsql", "tables", "orders", true, 0), MATCH_NO);
	CU_ASSERT_EQUAL(ask(r, "pgsql", "tables", "public.orders", true, 0), MATCH_YES);
	CU_ASSERT_EQUAL(ask(r, "pgsql", "tables", "other.orders", false, 0), MATCH_NO);
	/* nothing of the kind was said */
	rec_reset(r);
	CU_ASSERT_EQUAL(ask(r, "tls", "sni", "*", true, 0), MATCH_NO);
	CU_ASSERT_EQUAL(ask(r, "tls", "sni", "*", false, 0), MATCH_NO);
	CU_ASSERT_EQUAL(ask(r, "tls", "sni", "*", true, ROLE_BIT(FACT_TLS_SNI)), MATCH_MAYBE);
	rec_cstr(r, &f_sni, "Shop.Example");
	CU_ASSERT_EQUAL(ask(r, "tls", "sni", "*.example", true, ROLE_BIT(FACT_TLS_SNI)), MATCH_YES);
	rec_reset(r);
	rec_cstr(r, &f_sni, "Shop.Example.");	/* the same name */
	CU_ASSERT_EQUAL(ask(r, "tls", "sni", "shop.example", false, 0), MATCH_YES);
	CU_ASSERT_EQUAL(ask(r, "tls", "sni", "shop.example", true, 0), MATCH_YES);
	CU_ASSERT_EQUAL(ask(r, "tls", "sni", "*.", false, 0), MATCH_YES);
	free(r);
}

/* What subscribes: refused where a topic that it stands for may be the rule's, allowed as it is written. */
static void test_filters(void)
{
	static const struct { const char *matcher, *pattern, *filter; bool refused, allowed; } rows[] = {
		{ "mqtt", "secret/*", "#", true, false }, { "mqtt", "secret/*", "secret/#", true, true }, { "mqtt", "secret/*", "+/a", true, false }, { "mqtt", "secret/*", "open/#", false, false },
		{ "mqtt", "secret/*", "sec+/a", true, false }, { "mqtt", "secret/*", "secret", false, false }, { "mqtt", "a/b", "a/+", true, false }, { "mqtt", "a/b", "a/+/c", false, false },
		{ "mqtt", "a", "a/#", true, false }, { "mqtt", "ab", "a/#", false, false }, { "mqtt", "*/end", "a/+", true, false }, { "mqtt", "*/end", "+/other", false, false },
		{ "mqtt", "secret*", "$share/g/secret/a", true, false }, { "mqtt", "secret*", "$share/g/open", false, false }, { "mqtt", "secret*", "$share/g/#", true, false },
		{ "mqtt", "secret*", "$share/", false, false }, { "mqtt", "*", "#", true, true }, { "mqtt", "#", "#", true, true }, { "mqtt", "", "#", true, false },
		{ "nats", "secret.*", ">", true, false }, { "nats", "secret.*", "*.a", true, false }, { "nats", "secret.*", "open.>", false, false }, { "nats", "a.b", "*.b", true, false },
		{ "amqp", "secret.a", "#", true, false }, { "amqp", "secret", "#.secret", true, false }, { "amqp", "secret", "secret.#", true, false }, { "amqp", "a.b", "a.#.b", true, false },
		{ "amqp", "secret.*", "open.#", false, false }, { "amqp", "secret.*", "*.log", true, false },
	};
	struct record *r = calloc(1, sizeof(*r));

	for (size_t i = 0; i < COUNT(rows); i++) {
		bool refused, allowed;

		rec_reset(r);
		rec_cstr(r, &f_filter, rows[i].filter);
		refused = ask(r, rows[i].matcher, "topics", rows[i].pattern, false, 0) == MATCH_YES;
		allowed = ask(r, rows[i].matcher, "topics", rows[i].pattern, true, 0) == MATCH_YES;
		CU_ASSERT(refused == rows[i].refused && allowed == rows[i].allowed);
		if (refused != rows[i].refused || allowed != rows[i].allowed)
			fprintf(stderr, "%s %s, subscribed %s: refused %d, allowed %d\n", rows[i].matcher, rows[i].pattern, rows[i].filter, refused, allowed);
	}
	free(r);
}

/* Does the filter of MQTT or NATS stand for the topic? The obvious way, for one letter a level. */
static bool slow_filter(const char *f, const char *t)
{
	for (; *f; f++, t++) {
		if (*f == '#')
			return true;
		if (!*t)
			return *f == '/' && f[1] == '#';
		if (*f != *t && (*f != '+' || *t == '/'))
			return false;
	}
	return !*t;
}

/* Never told not to meet where a topic shows that they do. */
static void test_filters_at_random(void)
{
	struct record *r = calloc(1, sizeof(*r));
	unsigned met = 0;
	uint64_t s = 11;

	for (unsigned i = 0; i < 100000; i++) {
		char p[8] = "", f[8] = "", t[8] = "";
		unsigned np = 0, n = 0;

		for (s = s * 6364136223846793005u + 1442695040888963407u; np < (s >> 60) % 6; np++)
			p[np] = "ab/*?"[(s >> (3 * np + 8) & 7) % 5];
		s = s * 6364136223846793005u + 1442695040888963407u;
		for (unsigned levels = 1 + (s >> 62); levels; levels--) {
			bool last = levels == 1;

			f[n] = last ? "ab+#"[s >> 50 & 3] : "ab+"[(s >> (n + 20) & 7) % 3];
			t[n] = "ab"[s >> (n + 40) & 1];
			n++;
			if (!last)
				f[n] = t[n] = '/', n++;
		}
		if (!slow_filter(f, t) || !slow_glob(p, t))
			continue;
		met++;
		rec_reset(r);
		rec_cstr(r, &f_filter, f);
		if (ask(r, "mqtt", "topics", p, false, 0) != MATCH_YES) {
			CU_FAIL("a filter");
			fprintf(stderr, "%s and %s meet in %s\n", p, f, t);
		}
	}
	CU_ASSERT(met > 1000);
	free(r);
}

/* What was too long to keep is not allowed, and does not get past a rule that refuses. */
static void test_left_out(void)
{
	struct record *r = calloc(1, sizeof(*r));
	char *longer = malloc(RECORD_STR_MAX + 10);

	memset(longer, 'a', RECORD_STR_MAX + 10);
	longer[0] = '/';
	rec_str(r, &f_url, longer, RECORD_STR_MAX + 10);
	CU_ASSERT_EQUAL(ask(r, "http", "paths", "*", true, 0), MATCH_NO);
	CU_ASSERT_EQUAL(ask(r, "http", "paths", "*/admin", false, 0), MATCH_YES);
	CU_ASSERT_EQUAL(ask(r, "http", "paths", "/b*", false, 0), MATCH_NO);
	tables(r, "orders", NULL);
	rec_partial(r);
	CU_ASSERT_EQUAL(ask(r, "mysql", "tables", "orders", true, 0), MATCH_NO);
	CU_ASSERT_EQUAL(ask(r, "mysql", "tables", "users", false, 0), MATCH_YES);
	tables(r, "orders", NULL);
	r->full = true;
	CU_ASSERT_EQUAL(ask(r, "mysql", "tables", "orders", true, 0), MATCH_NO);
	CU_ASSERT_EQUAL(ask(r, "mysql", "tables", "users", false, 0), MATCH_YES);
	free(longer);
	free(r);
}

static void test_clauses(void)
{
	struct bytes get = of("GET"), api = of("/api/*");
	struct clause c[2] = { { .key = (uint16_t)key_of("http", "methods"), .npatterns = 1, .pattern = &get }, { .key = (uint16_t)key_of("http", "paths"), .npatterns = 1, .pattern = &api } };
	struct record *r = calloc(1, sizeof(*r));
	struct facts f = { .body = r->body };

	rec_cstr(r, &f_method, "GET");
	rec_cstr(r, &f_url, "/api/1");
	f.len = r->len;
	CU_ASSERT_EQUAL(match_facts(c, 2, &f, true), MATCH_YES);
	rec_reset(r);
	rec_cstr(r, &f_method, "POST");
	rec_cstr(r, &f_url, "/api/1");
	f.len = r->len;
	CU_ASSERT_EQUAL(match_facts(c, 2, &f, true), MATCH_NO);
	CU_ASSERT_EQUAL(match_facts(c, 2, &f, false), MATCH_NO);	/* all clauses, in a rule that refuses too */
	free(r);
}

/* Every key of every matcher answers to at least one role, and its matcher's keys stand together. */
static void test_keys(void)
{
	for (int i = 0; match_keys[i].matcher; i++) {
		CU_ASSERT(match_keys[i].roles && match_keys[i].app != APP_UNKNOWN);
		if (i && strcmp(match_keys[i].matcher, match_keys[i - 1].matcher) != 0)
			CU_ASSERT_EQUAL(match_by_name(match_keys[i].matcher), i);
	}
	CU_ASSERT_EQUAL(match_by_name("sql"), -1);
}

const struct unit_test tests_match[] = {
	{ "patterns", test_globs },
	{ "patterns at random", test_globs_at_random },
	{ "paths as sent and as resolved", test_paths },
	{ "odd paths", test_paths_bounds },
	{ "all of it, any of it", test_all_and_any },
	{ "what subscribes", test_filters },
	{ "what subscribes, at random", test_filters_at_random },
	{ "what was left out", test_left_out },
	{ "all clauses", test_clauses },
	{ "the table of keys", test_keys },
	{ NULL, NULL },
};
