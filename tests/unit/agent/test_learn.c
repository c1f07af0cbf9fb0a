/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Learning: general forms of paths, the bounds of the table, and that the policy written allows what was fed in and nothing else. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/learn_parts.h"
#include "agent/policy_file.h"
#include "tests/unit/unit.h"

static struct bytes text_bytes(const char *s) { return (struct bytes){ (const uint8_t *)s, strlen(s) }; }

/* ---- general forms ---- */

static const struct { const char *url, *pattern; } paths[] = {
	{ "/", "/" },
	{ "/index.html", "/index.html" },
	{ "/api/v1/users", "/api/v1/users" },
	{ "/api/v1/users/42", "/api/v1/users/*" },
	{ "/api/v1/users/7", "/api/v1/users/*" },
	{ "/api/v1/users/42/orders?from=1#top", "/api/v1/users/*/orders" },
	{ "/o/123e4567-e89b-12d3-a456-426614174000/x", "/o/*/x" },
	{ "/blob/deadbeef01", "/blob/*" },
	{ "/blob/da39a3ee5e6b4b0d3255bfef95601890afd80709", "/blob/*" },
	{ "/static/app.3f9c2b1a.js", "/static/app.*.js" },
	{ "/2026/11/29/news", "/*/*/*/news" },
	{ "/t/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "/t/*" },
	{ "/oauth2/token", "/oauth2/token" },
	{ "/http2", "/http2" },
	{ "/facade", "/facade" },
	{ "/deadbeef", "/deadbeef" },	/* a word may be written in these letters */
	{ "/file-1", "/file-1" },
	{ "/file-001", "/file-*" },
	{ "/a%20b", "/a*b" },
	{ "/a//b", "/*" },
	{ "/a/../b", "/*" },
	{ "/a/./b", "/*" },
	{ "/a\\b", "/*" },
	{ "/a/%2e%2e/b", "/*" },
	{ "/a/%2Fb", "/*" },
	{ "/dir/", "/dir/" },
	{ "*", "?" },
	{ "/a*b", "/a?b" },
	{ "/\x01\xff\"", "/?\?\"" },
	{ "", "*" },
	{ "admin/x", "*admin/x" },
	{ "example.com:443", "*example.com:*" },
	{ "%2fadmin", "*" },
	{ "../x", "*" },
};

static bool allows_path(const char *pattern, const char *url)
{
	static const struct fact path = { "url", FACT_HTTP_PATH };
	const struct bytes p = text_bytes(pattern);
	int key = match_by_name("http");
	static struct record r;

	while (strcmp(match_keys[key].key, "paths"))
		key++;
	rec_reset(&r);
	rec_cstr(&r, &path, url);
	return match_facts(&(struct clause){ .key = (uint16_t)key, .npatterns = 1, .pattern = &p }, 1, &(struct facts){ .body = r.body, .len = r.len }, true) == MATCH_YES;
}

static void test_paths(void)
{
	char out[LEARN_TEXT_MAX], longer[3000];

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		learn_path(text_bytes(paths[i].url), out);
		CU_ASSERT_STRING_EQUAL(out, paths[i].pattern);
		if (strcmp(out, paths[i].pattern))
			printf("\n%s: %s, not %s\n", paths[i].url, out, paths[i].pattern);
		CU_ASSERT_TRUE(!*paths[i].url || allows_path(out, paths[i].url));
		if (*paths[i].url && !allows_path(out, paths[i].url))
			printf("\n%s is not allowed by %s\n", paths[i].url, out);
	}
	memset(longer, 'z', sizeof longer - 1);
	longer[0] = '/';
	longer[sizeof longer - 1] = '\0';
	learn_path(text_bytes(longer), out);
	CU_ASSERT_EQUAL(strlen(out), MATCH_PATTERN_MAX);
	CU_ASSERT_TRUE(allows_path(out, longer));
}

/* Whatever is sent, the pattern learned from it holds for it, both as sent and resolved. */
static void test_paths_hold(void)
{
	static const char bytes[] = "aab19;;/.%-2eFf\\?*\"c";
	char url[40], out[LEARN_TEXT_MAX];

	srand(7);
	for (int i = 0; i < 50000; i++) {
		size_t n = 1 + (size_t)rand() % 30;

		url[0] = i & 1 ? '/' : bytes[(size_t)rand() % (sizeof bytes - 1)];
		for (size_t k = 1; k <= n; k++)
			url[k] = bytes[(size_t)rand() % (sizeof bytes - 1)];
		url[n + 1] = '\0';
		learn_path(text_bytes(url), out);
		if (!allows_path(out, url)) {
			printf("\n%s is not allowed by %s\n", url, out);
			CU_FAIL("a path that its own pattern does not allow");
			break;
		}
	}
}

static void test_shorten(void)
{
	static const struct { const char *in; char sep; unsigned keep; bool last; const char *out; } cases[] = {
		{ "/a/b/c/d", '/', 2, false, "/a/b/*" }, { "/a/b/c", '/', 2, false, "/a/b/*" }, { "/a/b", '/', 2, false, "/a/b" },
		{ "/a/b/", '/', 2, false, "/a/b/" }, { "/a/b", '/', 1, false, "/a/*" }, { "/a", '/', 1, false, "/a" }, { "/a", '/', 0, false, "/*" },
		{ "/", '/', 0, false, "/" }, { "t/a/b", '/', 1, false, "t/*" }, { "t", '/', 0, false, "*" },
		{ "a.b.example.com", '.', 2, true, "*.example.com" }, { "example.com", '.', 2, true, "example.com" }, { "*.example.com", '.', 2, true, "*.example.com" },
		{ "a.example.com", '.', 1, true, "*.com" }, { "x", '.', 0, true, "*" }, { "", '.', 0, true, "" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[LEARN_TEXT_MAX];

		strcpy(text, cases[i].in);
		learn_shorten(text, cases[i].sep, cases[i].keep, cases[i].last);
		CU_ASSERT_STRING_EQUAL(text, cases[i].out);
		if (strcmp(text, cases[i].out))
			printf("\n%s %u: %s, not %s\n", cases[i].in, cases[i].keep, text, cases[i].out);
	}
}

static void test_stems(void)
{
	static const struct { const char *name, *stem; bool glob; } cases[] = {
		{ "web", "web", false }, { "web-7d9f8b6c5-x2x9z", "web-*", true }, { "node-exporter-4kxzd", "node-exporter-*", true },
		{ "my-app-5f8d9c7b6d-bcdfg", "my-app-*", true }, { "db-0", "db-0", false }, { "some-words", "some-words", false }, { "a*b", "a?b", false }, { "-x2x9z", "-x2x9z", false },
	};
	char out[CONFIG_NAME_MAX];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CU_ASSERT_EQUAL(learn_stem(cases[i].name, out, sizeof out), cases[i].glob);
		CU_ASSERT_STRING_EQUAL(out, cases[i].stem);
	}
	CU_ASSERT_TRUE(learn_numbered("db-12", out, sizeof out));
	CU_ASSERT_STRING_EQUAL(out, "db-*");
	CU_ASSERT_TRUE(learn_numbered("shop_web_2", out, sizeof out));
	CU_ASSERT_STRING_EQUAL(out, "shop_web_*");
	CU_ASSERT_FALSE(learn_numbered("db", out, sizeof out));
	CU_ASSERT_FALSE(learn_numbered("db-x1", out, sizeof out));
}

/* ---- feeding ---- */

static const struct fact f_method = { "http_method", FACT_HTTP_METHOD }, f_path = { "url", FACT_HTTP_PATH }, f_host = { "hostname", FACT_HTTP_HOST },
	f_command = { "command", FACT_COMMAND }, f_key = { "key", FACT_KEY }, f_verb = { "operations", FACT_OPERATION }, f_table = { "tables", FACT_TABLE },
	f_user = { "user", FACT_USER }, f_db = { "database", FACT_DATABASE }, f_sni = { "sni", FACT_TLS_SNI }, f_name = { "rrname", FACT_DNS_NAME }, f_type = { "rrtype", FACT_DNS_TYPE },
	f_up = { "pkts_toserver", FACT_PLAIN }, f_down = { "pkts_toclient", FACT_PLAIN }, f_bup = { "bytes_toserver", FACT_PLAIN }, f_bdown = { "bytes_toclient", FACT_PLAIN },
	f_reason = { "reason", FACT_PLAIN }, f_tcp = { "tcp", FACT_PLAIN }, f_flags = { "tcp_flags_tc", FACT_PLAIN };

#define WORKLOADS 6
static const char *const workload_names[WORKLOADS] = { "web-1", "web-2", "db", "cache-7d9f8b6c5-x2x9z", "cache-7d9f8b6c5-q8q9q", "client" };

struct bench {
	struct names *names;
	struct learn *l;
	uint32_t id[WORKLOADS];
	struct record r;
};

static struct bench *bench_new(void)
{
	struct bench *b = calloc(1, sizeof *b);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	b->names = names_new();
	b->l = learn_new(b->names);
	for (int i = 0; i < WORKLOADS; i++)
		b->id[i] = names_add_workload(b->names, workload_names[i], NULL);
	return b;
}

static void bench_free(struct bench *b)
{
	learn_free(b->l);
	names_free(b->names);
	free(b);
}

struct talk {			/* one thing that is said */
	int from, to;		/* of workload_names; -1: by address */
	const char *from_ip, *to_ip;
	uint8_t ipproto;
	uint16_t port;
	enum app app;
	const char *words[4];	/* http: method, path, host; sql: verb, table, user, database; redis: command, key; tls: sni; dns: name, type */
};

static const struct fact *const *words_of(enum app app)
{
	static const struct fact *const http[] = { &f_method, &f_path, &f_host, NULL }, *const sql[] = { &f_verb, &f_table, &f_user, &f_db }, *const redis[] = { &f_command, &f_key, NULL, NULL },
		*const tls[] = { &f_sni, NULL, NULL, NULL }, *const dns[] = { &f_name, &f_type, NULL, NULL };

	switch ((int)app) {
	case APP_HTTP: return http;
	case APP_POSTGRESQL: return sql;
	case APP_REDIS: return redis;
	case APP_TLS: return tls;
	case APP_DNS: return dns;
	default: return NULL;
	}
}

static void put_words(struct record *r, const struct talk *t)
{
	const struct fact *const *w = words_of(t->app);

	rec_reset(r);
	for (int i = 0; i < 4 && w; i++)
		if (w[i] && t->words[i])
			rec_cstr(r, w[i], t->words[i]);
}

static struct event event_of(const struct bench *b, const struct talk *t, unsigned type)
{
	struct event ev = { .type = (uint8_t)type, .ts = 1700000000000000000, .ipproto = t->ipproto, .sport = 40000, .dport = t->port, .app = (uint16_t)t->app,
			    .verdict = VERDICT_ALLOW, .reason = REASON_NO_RULE, .learned = 1, .has_tuple = true };

	ev.src_workload = t->from >= 0 ? b->id[t->from] : 0;
	ev.dst_workload = t->to >= 0 ? b->id[t->to] : 0;
	CU_ASSERT_EQUAL(addr_parse(t->from_ip ? t->from_ip : "10.0.0.1", &ev.src), 0);
	CU_ASSERT_EQUAL(addr_parse(t->to_ip ? t->to_ip : "10.0.0.2", &ev.dst), 0);
	return ev;
}

/* The connection gets known, and asks. */
static void say(struct bench *b, const struct talk *t)
{
	struct event ev = event_of(b, t, EV_LEARN);

	learn_feed(b->l, &ev);
	put_words(&b->r, t);
	if (!b->r.len)
		return;
	ev.body = b->r.body;
	ev.body_len = b->r.len;
	learn_feed(b->l, &ev);
}

/* A flow without known application ends. */
static void end_flow(struct bench *b, const struct talk *t, uint64_t up, uint64_t down, uint64_t size, const char *flags)
{
	struct event ev = event_of(b, t, EV_FLOW);

	rec_reset(&b->r);
	rec_u64(&b->r, &f_up, up);
	rec_u64(&b->r, &f_down, down);
	rec_u64(&b->r, &f_bup, up * size);
	rec_u64(&b->r, &f_bdown, down * size);
	rec_cstr(&b->r, &f_reason, "closed");
	if (t->ipproto == IPPROTO_TCP) {
		rec_obj(&b->r, &f_tcp);
		rec_cstr(&b->r, &f_flags, flags);
		rec_end(&b->r);
	}
	ev.body = b->r.body;
	ev.body_len = b->r.len;
	learn_feed(b->l, &ev);
}

static char *written(struct bench *b, const struct policy *in_force)
{
	struct learn_writing w = { .mode = MODE_PROTECT, .in_force = in_force, .node = "lab", .utc = true };
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	CU_ASSERT_EQUAL(learn_write(b->l, &w, f), 0);
	fclose(f);
	return text;
}

static struct policy_file *parsed(const char *text)
{
	struct err e = { "" };
	struct policy_file *pf = policy_file_parse(text, "learned", &e);

	if (!pf)
		printf("\n%s\n%s\n", e.text, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pf);
	return pf;
}

/* What the policy says of the talk. */
static enum verdict asked(const struct policy_file *pf, const struct talk *t, bool with_words)
{
	struct policy *p = policy_file_policy(pf);
	struct group_set own[2], g[2];
	struct policy_query q = { .from = &g[0], .to = &g[1], .ipproto = t->ipproto, .port = t->port, .app = t->app, .app_known = true, .mode = MODE_PROTECT };
	static struct record r;
	struct facts facts;
	struct addr a;

	for (int i = 0; i < 2; i++) {
		int w = i ? t->to : t->from;
		const char *ip = i ? t->to_ip : t->from_ip;

		addr_parse(ip ? ip : i ? "10.0.0.2" : "10.0.0.1", &a);
		if (w >= 0)
			policy_file_groups(pf, &(struct policy_who){ .name = workload_names[w], .labels = NULL }, &own[i]);
		policy_groups(p, &a, w >= 0 ? &own[i] : NULL, &g[i]);
	}
	put_words(&r, t);
	facts = (struct facts){ .body = r.body, .len = r.len };
	q.facts = with_words && r.len ? &facts : NULL;
	return policy_judge(p, &q).verdict;
}

static bool allowed(const struct policy_file *pf, const struct talk *t) { return asked(pf, t, true) == VERDICT_ALLOW; }

/* ---- what is written ---- */

static void test_written(void)
{
	struct bench *b = bench_new();
	struct talk t = { .from = 5, .to = 0, .ipproto = IPPROTO_TCP, .port = 8080, .app = APP_HTTP, .words = { "GET", "/api/users/17", "web-1" } };
	struct policy_file *pf;
	char *text;

	say(b, &t);
	t.words[1] = "/api/users/18";
	t.to = 1;
	say(b, &t);
	t.words[0] = "HEAD";
	say(b, &t);
	t = (struct talk){ .from = -1, .from_ip = "192.0.2.7", .to = 0, .ipproto = IPPROTO_TCP, .port = 8080, .app = APP_HTTP, .words = { "GET", "/", "x" } };
	say(b, &t);
	t.from_ip = "2001:db8::7";
	say(b, &t);
	t = (struct talk){ .from = 5, .to = -1, .to_ip = "192.0.2.9", .ipproto = IPPROTO_ICMP };
	end_flow(b, &t, 2, 2, 84, "");
	text = written(b, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "version: 1\ndefault: {mode: protect}\ngroups:\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "{name: \"web\", match: {workload: [\"web-*\"]}}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "{name: \"addresses\", match: {cidr: [\"192.0.2.7\", \"2001:db8::7\"]}}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "from: \"client\", to: \"web\", ports: [tcp/8080], apps: [http], http: {methods: [\"GET\", \"HEAD\"], paths: [\"/api/users/*\"]}, action: allow}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "from: \"addresses\", to: \"web-1\", ports: [tcp/8080], apps: [http], http: {methods: [\"GET\"], paths: [\"/\"]}, action: allow}") ||
			       strstr(text, "from: \"addresses\", to: \"web\", ports: [tcp/8080], apps: [http], http: {methods: [\"GET\"], paths: [\"/\"]}, action: allow}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "ports: [icmp]"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "# 3 connections, 2023-11-14T22:13:20.000000+0000 to 2023-11-14T22:13:20.000000+0000"));
	pf = parsed(text);
	CU_ASSERT_TRUE(allowed(pf, &t));
	policy_file_free(pf);
	free(text);
	bench_free(b);
}

/* Requests that say less are not a way round those that say more. */
static void test_shapes(void)
{
	static const char *const seen[][4] = {
		{ "select", "orders", "app", "shop" }, { "select", NULL, "app", "shop" }, { "insert", "orders", "app", "shop" }, { "set", NULL, "app", "shop" }, { NULL, NULL, "app", "shop" },
	}, *const unseen[][4] = {
		{ "select", "secret", "app", "shop" }, { "drop", "orders", "app", "shop" }, { "insert", NULL, "app", "shop" }, { "set", "orders", "app", "shop" },
		{ "drop", NULL, "app", "shop" }, { "select", "orders", "root", "shop" }, { "select", "orders", "app", "other" }, { NULL, NULL, "root", "shop" }, { NULL, "orders", "app", "shop" },
	};
	struct bench *b = bench_new();
	struct talk t = { .from = 0, .to = 2, .ipproto = IPPROTO_TCP, .port = 5432, .app = APP_POSTGRESQL };
	struct policy_file *pf;
	char *text;

	for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++) {
		memcpy(t.words, seen[i], sizeof t.words);
		say(b, &t);
	}
	text = written(b, NULL);
	pf = parsed(text);
	for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++) {
		memcpy(t.words, seen[i], sizeof t.words);
		CU_ASSERT_TRUE(allowed(pf, &t));
	}
	for (size_t i = 0; i < sizeof unseen / sizeof unseen[0]; i++) {
		memcpy(t.words, unseen[i], sizeof t.words);
		CU_ASSERT_FALSE(allowed(pf, &t));
		if (allowed(pf, &t))
			printf("\n%zu is allowed by\n%s\n", i, text);
	}
	CU_ASSERT_EQUAL(asked(pf, &t, false), VERDICT_PENDING);		/* the connection itself */
	policy_file_free(pf);
	free(text);
	bench_free(b);
}

static void test_failed_is_not_learned(void)
{
	struct bench *b = bench_new();
	struct talk t = { .from = 5, .to = 0, .ipproto = IPPROTO_TCP, .port = 81, .app = APP_UNKNOWN };
	struct policy_file *pf;
	struct learn_stats s;
	struct event ev;
	char *text;

	end_flow(b, &t, 3, 0, 60, "00");		/* no answer */
	end_flow(b, &t, 1, 1, 60, "14");		/* RST */
	t.ipproto = IPPROTO_UDP;
	end_flow(b, &t, 2, 0, 60, "");
	t.ipproto = IPPROTO_ICMP;
	end_flow(b, &t, 5, 0, 84, "");
	ev = event_of(b, &t, EV_LEARN);			/* recognition was given up */
	learn_feed(b->l, &ev);
	t = (struct talk){ .from = 5, .to = 0, .ipproto = IPPROTO_TCP, .port = 82, .app = APP_UNKNOWN };
	ev = event_of(b, &t, EV_FLOW);
	ev.reason = REASON_POLICY;			/* a rule allowed it */
	learn_feed(b->l, &ev);
	learn_get_stats(b->l, &s);
	CU_ASSERT_EQUAL(s.pairs, 0);
	t.port = 83;
	end_flow(b, &t, 4, 3, 52, "1b");		/* connected, said nothing */
	t.port = 84;
	end_flow(b, &t, 4, 3, 500, "1b");
	t.ipproto = IPPROTO_UDP;
	t.port = 8125;
	end_flow(b, &t, 9, 0, 60, "");			/* statistics: nobody answers */
	t.ipproto = IPPROTO_ICMP;
	end_flow(b, &t, 1, 1, 84, "");
	text = written(b, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "ports: [icmp], action: allow}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "; without data\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "ports: [tcp/83], apps: [unknown], action: allow}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "ports: [tcp/84, udp/8125], apps: [unknown], action: allow}"));
	CU_ASSERT_PTR_NULL(strstr(text, "tcp/81"));
	CU_ASSERT_PTR_NULL(strstr(text, "tcp/82"));
	pf = parsed(text);
	t = (struct talk){ .from = 5, .to = 0, .ipproto = IPPROTO_TCP, .port = 83, .app = APP_UNKNOWN };
	CU_ASSERT_TRUE(allowed(pf, &t));
	t.app = APP_SSH;		/* who only connected did not say this */
	CU_ASSERT_FALSE(allowed(pf, &t));
	policy_file_free(pf);
	say(b, &t);
	free(text);
	text = written(b, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "ports: [tcp/83], apps: [ssh], action: allow}"));	/* what connected only needs no rule of its own */
	CU_ASSERT_PTR_NULL(strstr(text, "ports: [tcp/83], apps: [unknown]"));
	free(text);
	bench_free(b);
}

/* Random talk of many kinds: what was fed in is allowed, what differs in one thing is not. */
#define MANY 400
static void random_talk(struct talk *t)
{
	static const enum app apps[] = { APP_HTTP, APP_POSTGRESQL, APP_REDIS, APP_TLS, APP_DNS, APP_SSH, APP_NTP };
	static const char *const words[][4][5] = {
		{ { "GET", "POST", "PUT", "HEAD", "PATCH" }, { "/", "/a", "/a/b", "/login", "/zz" }, { "h1", "h2", "h3", "h4", "h5" }, { NULL } },
		{ { "select", "insert", "delete", "drop", "set" }, { "t1", "t2", "s.t3", "t4", NULL }, { "app", "root", "ro", "x", "y" }, { "d1", "d2", "d3", "d4", "d5" } },
		{ { "GET", "SET", "PING", "FLUSHALL", "DEL" }, { "k1", "k2", NULL, "k3", "k4" }, { NULL }, { NULL } },
		{ { "a.example", "b.example", "c.example", "d.example", "e.test" }, { NULL }, { NULL }, { NULL } },
		{ { "a.example", "b.example", "c.example", "d.example", "e.test" }, { "A", "AAAA", "MX", "TXT", "SRV" }, { NULL }, { NULL } },
		{ { NULL } }, { { NULL } },
	};
	static const char *const outside[] = { "192.0.2.1", "192.0.2.2", "198.51.100.3", "2001:db8::1", "2001:db8::2" };
	unsigned a = (unsigned)rand() % 7;

	memset(t, 0, sizeof *t);
	t->app = apps[a];
	t->ipproto = t->app == APP_DNS || t->app == APP_NTP ? IPPROTO_UDP : IPPROTO_TCP;
	t->port = (uint16_t)(1000 + rand() % 3);
	t->from = rand() % 7 - 1;
	t->to = rand() % 7 - 1;
	if (t->from < 0 && t->to < 0)
		t->to = 2;
	t->from_ip = t->from < 0 ? outside[rand() % 5] : "10.0.0.1";
	t->to_ip = t->to < 0 ? outside[rand() % 5] : "10.0.0.2";
	for (int i = 0; i < 4; i++)
		t->words[i] = words[a][i][rand() % 5];
}

/* By what a rule may see: replicas of a template are one, numbered ones are not known to be until two are seen; keys of redis and, where a workload
 * answers, hosts are not asked for. */
static bool same_talk(const struct talk *x, const struct talk *y)
{
	static const int kin[WORKLOADS] = { 0, 0, 2, 3, 3, 5 };

	if (x->app != y->app || x->port != y->port || (x->from < 0) != (y->from < 0) || (x->to < 0) != (y->to < 0))
		return false;
	if (x->from < 0 ? strcmp(x->from_ip, y->from_ip) : kin[x->from] != kin[y->from])
		return false;
	if (x->to < 0 ? strcmp(x->to_ip, y->to_ip) : kin[x->to] != kin[y->to])
		return false;
	for (int i = 0; i < 4; i++) {
		if ((x->app == APP_REDIS && i == 1) || (x->app == APP_HTTP && i == 2 && x->to >= 0))
			continue;
		if (strcmp(x->words[i] ? x->words[i] : "", y->words[i] ? y->words[i] : ""))
			return false;
	}
	return true;
}

static void test_allows_what_was_seen(void)
{
	static struct talk talk[MANY];
	unsigned refused = 0, known = 0;

	for (unsigned seed = 1; seed <= 6; seed++) {
		struct bench *b = bench_new();
		struct policy_file *pf;
		unsigned wrong = 0, n = seed * 60;
		char *text;

		srand(seed);
		for (unsigned i = 0; i < n; i++) {
			random_talk(&talk[i]);
			say(b, &talk[i]);
		}
		text = written(b, NULL);
		pf = parsed(text);
		for (unsigned i = 0; i < n; i++)
			if (!allowed(pf, &talk[i]) && wrong++ < 3)
				printf("\nseed %u, %u: %s %s %s %s %s is refused by\n%s\n", seed, i, app_name(talk[i].app), talk[i].words[0], talk[i].words[1], talk[i].words[2], talk[i].words[3], text);
		CU_ASSERT_EQUAL(wrong, 0);
		for (unsigned i = 0; i < 4000; i++) {
			struct talk t;
			bool seen = false;

			random_talk(&t);
			for (unsigned k = 0; k < n && !seen; k++)
				seen = same_talk(&t, &talk[k]);
			known += seen;
			if (seen || !allowed(pf, &t)) {
				refused += !seen;
				continue;
			}
			if (wrong++ < 3)
				printf("\nseed %u: %s %s %s %s %s from %d %s to %d %s port %u was not seen and is allowed\n", seed, app_name(t.app), t.words[0], t.words[1], t.words[2], t.words[3],
				       t.from, t.from_ip, t.to, t.to_ip, t.port);
		}
		CU_ASSERT_EQUAL(wrong, 0);
		policy_file_free(pf);
		free(text);
		bench_free(b);
	}
	CU_ASSERT(refused > 1000 && known > 100);
}

/* Whatever order it comes in. */
static void test_deterministic(void)
{
	static struct talk talk[MANY];
	char *text[2];

	srand(3);
	for (unsigned i = 0; i < MANY; i++)
		random_talk(&talk[i]);
	for (int way = 0; way < 2; way++) {
		struct bench *b = bench_new();

		for (unsigned i = 0; i < MANY; i++)
			say(b, &talk[way ? MANY - 1 - i : i]);
		text[way] = written(b, NULL);
		bench_free(b);
	}
	CU_ASSERT_STRING_EQUAL(text[0], text[1]);
	free(text[0]);
	free(text[1]);
}

/* ---- bounds ---- */

static void test_remotes_fold(void)
{
	struct bench *b = bench_new();
	struct talk t = { .from = -1, .to = 0, .ipproto = IPPROTO_TCP, .port = 80, .app = APP_HTTP, .words = { "GET", "/", "h" } };
	struct learn_stats s;
	struct policy_file *pf;
	char ip[64], *text;

	t.from_ip = ip;
	for (unsigned i = 0; i < 40; i++) {
		snprintf(ip, sizeof ip, "198.51.%u.%u", 100 + i % 2, 1 + i);
		say(b, &t);
		snprintf(ip, sizeof ip, "2001:db8:0:%x::%u", i % 2, 1 + i);
		say(b, &t);
	}
	learn_get_stats(b->l, &s);
	CU_ASSERT_EQUAL(s.pairs, 4);
	CU_ASSERT_EQUAL(s.connections, 80);
	text = written(b, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "match: {cidr: [\"198.51.100.0/24\", \"198.51.101.0/24\", \"2001:db8:0:1::/64\", \"2001:db8::/64\"], not: {workload: \"*\"}}"));
	pf = parsed(text);
	snprintf(ip, sizeof ip, "198.51.101.250");
	CU_ASSERT_TRUE(allowed(pf, &t));
	t.from = 5;			/* a workload of such an address is somebody else */
	CU_ASSERT_FALSE(allowed(pf, &t));
	t.from = -1;
	snprintf(ip, sizeof ip, "198.51.102.1");
	CU_ASSERT_FALSE(allowed(pf, &t));
	policy_file_free(pf);
	free(text);
	for (unsigned i = 0; i < 4000; i++) {	/* the whole world */
		snprintf(ip, sizeof ip, "%u.%u.%u.1", 1 + i % 200, i % 251, i % 7);
		say(b, &t);
		snprintf(ip, sizeof ip, "2a%02x:%x::1", i % 256, i);
		say(b, &t);
	}
	learn_get_stats(b->l, &s);
	CU_ASSERT_EQUAL(s.pairs, 2);
	CU_ASSERT_EQUAL(s.left_out, 0);
	text = written(b, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "[\"0.0.0.0/0\", \"::/0\"]"));
	policy_file_free(parsed(text));
	free(text);
	bench_free(b);
}

static void test_paths_fold(void)
{
	struct bench *b = bench_new();
	struct talk t = { .from = 5, .to = 0, .ipproto = IPPROTO_TCP, .port = 80, .app = APP_HTTP, .words = { "GET", NULL, "h" } };
	struct policy_file *pf;
	struct learn_stats s;
	char path[64], method[16], *text;

	t.words[1] = path;
	for (char c = 'a'; c <= 'z'; c++)
		for (char d = 'a'; d <= 'z'; d++) {
			snprintf(path, sizeof path, "/shop/items/%c%c", c, d);
			say(b, &t);
		}
	snprintf(path, sizeof path, "/healthz");
	say(b, &t);
	text = written(b, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "paths: [\"/healthz\", \"/shop/items/*\"]"));
	free(text);
	for (char c = 'a'; c <= 'z'; c++)	/* no common beginning */
		for (char d = 'a'; d <= 'z'; d++) {
			snprintf(path, sizeof path, "/%c%c", c, d);
			say(b, &t);
		}
	text = written(b, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "paths: [\"/*\"]"));
	free(text);
	for (unsigned i = 0; i < 200; i++) {	/* nor do methods end: no rule can say it */
		snprintf(method, sizeof method, "M%c%c", 'a' + i % 26, 'a' + i / 26);
		t.words[0] = method;
		say(b, &t);
	}
	text = written(b, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "apps: [http], action: allow}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "requests of too many kinds"));
	learn_get_stats(b->l, &s);
	CU_ASSERT_EQUAL(s.classes, 0);
	pf = parsed(text);
	CU_ASSERT_TRUE(allowed(pf, &t));
	policy_file_free(pf);
	free(text);
	bench_free(b);
}

static void test_full(void)
{
	struct bench *b = bench_new();
	struct talk t = { .from = 5, .to = 0, .ipproto = IPPROTO_TCP, .app = APP_SSH };
	struct learn_stats s;
	char *text;

	for (unsigned i = 0; i < LEARN_PAIRS_MAX + 10; i++) {
		t.port = (uint16_t)(1 + i);
		say(b, &t);
	}
	learn_get_stats(b->l, &s);
	CU_ASSERT_EQUAL(s.pairs, LEARN_PAIRS_MAX);
	CU_ASSERT_EQUAL(s.left_out, 10);
	text = written(b, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "# NOT WHOLE: 10 times"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "ports: [tcp/1-8192], apps: [ssh]"));
	policy_file_free(parsed(text));
	free(text);
	bench_free(b);
}

/* What is known already is nothing left out. */
static void test_full_of_text(void)
{
	struct bench *b = bench_new();
	struct talk t = { .from = 5, .to = 0, .ipproto = IPPROTO_TCP, .port = 80, .app = APP_HTTP, .words = { "GET", "/known", "h" } };
	struct learn_stats s;
	size_t had;

	say(b, &t);
	had = b->l->bytes;
	b->l->bytes = LEARN_BYTES_MAX;
	say(b, &t);
	learn_get_stats(b->l, &s);
	CU_ASSERT_EQUAL(s.left_out, 0);
	CU_ASSERT_EQUAL(b->l->bytes, LEARN_BYTES_MAX);
	t.words[1] = "/new";
	say(b, &t);
	learn_get_stats(b->l, &s);
	CU_ASSERT_EQUAL(s.left_out, 1);
	CU_ASSERT_EQUAL(s.classes, 1);
	b->l->bytes = had;
	bench_free(b);
}

/* Nobody can know what meets in one bucket: the same pairs stand elsewhere in the next table. */
static void test_places(void)
{
	struct bench *b[2] = { bench_new(), bench_new() };
	unsigned differ = 0, pairs = 0;

	for (uint16_t port = 1; port <= 64; port++) {
		struct talk t = { .from = 5, .to = 0, .ipproto = IPPROTO_TCP, .port = port, .app = APP_SSH };

		say(b[0], &t);
		say(b[1], &t);
	}
	for (unsigned i = 0; i < LEARN_BUCKETS; i++) {
		differ += !b[0]->l->bucket[i] != !b[1]->l->bucket[i];
		for (const struct learn_pair *p = b[0]->l->bucket[i]; p; p = p->next)
			pairs++;
	}
	CU_ASSERT_EQUAL(pairs, 64);
	CU_ASSERT(differ > 32);
	bench_free(b[0]);
	bench_free(b[1]);
}

/* What strangers send is text in quotes, whatever it is. */
static void test_hostile_text(void)
{
	struct bench *b = bench_new();
	struct talk t = { .from = 5, .to = 0, .ipproto = IPPROTO_TCP, .port = 80, .app = APP_HTTP, .words = { "GET\"}\n  - {id: 1", "/\"], action: allow}\n# \\", NULL } };
	struct policy_file *pf;
	char *text;

	say(b, &t);
	text = written(b, NULL);
	pf = parsed(text);
	CU_ASSERT_EQUAL(policy_rule_count(policy_file_policy(pf)), 1);
	CU_ASSERT_TRUE(allowed(pf, &t));
	policy_file_free(pf);
	free(text);
	bench_free(b);
}

/* No rule can name port 0, which packets may have: who sends to it makes no file that cannot be read. */
static void test_port_zero(void)
{
	struct bench *b = bench_new();
	struct talk t = { .from = 5, .to = 2, .ipproto = IPPROTO_UDP, .port = 0, .app = APP_UNKNOWN };
	struct policy_file *pf;
	struct learn_stats s;
	char *text;

	end_flow(b, &t, 3, 1, 100, "");
	t.app = APP_DNS;
	say(b, &t);
	learn_get_stats(b->l, &s);
	CU_ASSERT(s.pairs == 0 && s.connections == 0);
	t.port = 53;
	t.words[0] = "a.example";
	t.words[1] = "A";
	say(b, &t);
	text = written(b, NULL);
	pf = parsed(text);
	CU_ASSERT(policy_rule_count(policy_file_policy(pf)) == 1 && allowed(pf, &t));
	policy_file_free(pf);
	free(text);
	bench_free(b);
}

/* Ports that are agreed upon in another flow are others the next time: the application is what is allowed. */
static void test_negotiated_ports(void)
{
	static const struct { enum app app; uint8_t ipproto; uint16_t port, next; bool allowed; } cases[] = {
		{ APP_FTP_DATA, IPPROTO_TCP, 50017, 50018, true }, { APP_RTP, IPPROTO_UDP, 16384, 20000, true }, { APP_RTCP, IPPROTO_UDP, 16385, 20001, true },
		{ APP_TFTP, IPPROTO_UDP, 41000, 41001, true }, { APP_TFTP, IPPROTO_UDP, 69, 41001, false }, { APP_SSH, IPPROTO_TCP, 22, 50018, false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bench *b = bench_new();
		struct talk t = { .from = 5, .to = 2, .ipproto = cases[i].ipproto, .port = cases[i].port, .app = cases[i].app };
		struct policy_file *pf;
		char *text;

		say(b, &t);
		text = written(b, NULL);
		pf = parsed(text);
		CU_ASSERT_TRUE(allowed(pf, &t));
		t.port = cases[i].next;
		CU_ASSERT_EQUAL(allowed(pf, &t), cases[i].allowed);
		t.app = APP_TELNET;
		CU_ASSERT_FALSE(allowed(pf, &t));
		t.app = cases[i].app;
		t.from = 2;		/* the other way round is another matter */
		t.to = 5;
		CU_ASSERT_FALSE(allowed(pf, &t));
		CU_ASSERT_EQUAL(strstr(text, "; at ports that are agreed upon each time\n") != NULL, cases[i].allowed);
		policy_file_free(pf);
		free(text);
		bench_free(b);
	}
}

/* An application that showed and was asked nothing: it may show, and is asked nothing. TLS may have said its name before anybody looked. */
static void test_asked_nothing(void)
{
	struct bench *b = bench_new();
	struct talk t = { .from = 5, .to = 2, .ipproto = IPPROTO_TCP, .port = 5432, .app = APP_POSTGRESQL };
	struct policy_file *pf;
	char *text;

	say(b, &t);
	t.app = APP_TLS;
	say(b, &t);
	text = written(b, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "; without requests\n"));
	pf = parsed(text);
	t.words[0] = "pay.example";
	CU_ASSERT_TRUE(allowed(pf, &t));
	t.app = APP_POSTGRESQL;
	CU_ASSERT_EQUAL(asked(pf, &t, false), VERDICT_PENDING);
	t.words[0] = "drop";
	t.words[1] = "orders";
	CU_ASSERT_FALSE(allowed(pf, &t));
	t.words[1] = NULL;
	CU_ASSERT_FALSE(allowed(pf, &t));
	t.words[0] = NULL;
	t.words[2] = "app";
	CU_ASSERT_TRUE(allowed(pf, &t));
	policy_file_free(pf);
	free(text);
	t = (struct talk){ .from = 5, .to = 2, .ipproto = IPPROTO_TCP, .port = 5432, .app = APP_POSTGRESQL, .words = { "select", "orders" } };
	say(b, &t);
	text = written(b, NULL);
	CU_ASSERT_PTR_NULL(strstr(text, "without requests"));
	pf = parsed(text);
	CU_ASSERT_TRUE(allowed(pf, &t));
	t.words[0] = "drop";
	CU_ASSERT_FALSE(allowed(pf, &t));
	policy_file_free(pf);
	free(text);
	bench_free(b);
}

/* Flows that no event has told yet: an open connection, one that is closed; not one that was refused, or is not answered yet. */
static void test_not_told_yet(void)
{
	static const struct { const char *state; uint8_t flags; uint64_t down; bool learned; } cases[] = {
		{ "established", 0x12, 1, true }, { "closed", 0x13, 3, true }, { "closed", 0x14, 1, false }, { "new", 0, 0, false }, { "established", 0x10, 4, true },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bench *b = bench_new();
		struct dpi_flow_info f = { .tuple = { .dport = 83, .sport = 40000, .ipproto = IPPROTO_TCP }, .workload = { b->id[5], b->id[0] }, .pkts = { 3, cases[i].down },
					   .bytes = { 164, 52 * cases[i].down }, .state = cases[i].state, .tcp_flags = { 0x13, cases[i].flags }, .verdict = VERDICT_ALLOW, .reason = REASON_NO_RULE };
		char *text;

		CU_ASSERT(!addr_parse("10.0.0.1", &f.tuple.src) && !addr_parse("10.0.0.2", &f.tuple.dst));
		for (unsigned times = 0; times < 2; times++) {
			learn_open_begin(b->l);
			learn_open(b->l, &f);
			text = written(b, NULL);
			CU_ASSERT_EQUAL(strstr(text, "1 connection, ") && strstr(text, "ports: [tcp/83], apps: [unknown], action: allow}"), cases[i].learned);
			free(text);
		}
		bench_free(b);
	}
}

/* A responder that the initiator asked for by names is these names; whom somebody else asked for is not. */
static void test_dns_names(void)
{
	struct bench *b = bench_new();
	struct fqdn_cache *c = fqdn_cache_new(64, &(struct hash_key){ { 1, 2 } });
	struct talk t = { .from = 5, .to = -1, .to_ip = "192.0.2.9", .ipproto = IPPROTO_TCP, .port = 443, .app = APP_TLS, .words = { "pay.example" } };
	static const char *const names[] = { "pay.example", "edge.cdn.example" };
	struct addr a, a6;
	char *text;

	learn_know(b->l, c);
	CU_ASSERT(!addr_parse("192.0.2.9", &a) && !addr_parse("2001:db8::9", &a6));
	for (int i = 0; i < 2; i++) {
		fqdn_cache_learn(c, b->id[5], &a, (struct bytes){ (const uint8_t *)names[i], strlen(names[i]) }, 60, 0);
		fqdn_cache_learn(c, b->id[5], &a6, (struct bytes){ (const uint8_t *)names[i], strlen(names[i]) }, 60, 0);
	}
	say(b, &t);
	t.to_ip = "2001:db8::9";
	say(b, &t);
	t.from = 2;
	t.app = APP_SSH;
	say(b, &t);
	text = written(b, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "{name: \"names\", match: {fqdn: [\"edge.cdn.example\", \"pay.example\"]}}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "from: \"client\", to: \"names\", ports: [tcp/443], apps: [tls], tls: {sni: [\"pay.example\"]}, action: allow}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "from: \"db\", to: \"2001:db8::9\", ports: [tcp/443], apps: [ssh], action: allow}"));
	CU_ASSERT_PTR_NULL(strstr(text, "192.0.2.9"));
	policy_file_free(parsed(text));
	free(text);
	bench_free(b);
	fqdn_cache_free(c);
}

/* Beside a policy in force: other names, other ids, so that one text can be put behind the other. */
static void test_beside_a_policy(void)
{
	struct bench *b = bench_new();
	struct talk t = { .from = 5, .to = 0, .ipproto = IPPROTO_TCP, .port = 22, .app = APP_SSH };
	struct policy_file *pf = parsed("version: 1\ngroups: [{name: client, match: {workload: client}}]\nrules: [{id: 471, from: client, to: any, ports: tcp/1, action: allow}]\n");
	char *text;

	say(b, &t);
	text = written(b, policy_file_policy(pf));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "{name: \"client-2\", match: {workload: [\"client\"]}}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "{id: 480, from: \"client-2\", to: \"web-1\""));
	policy_file_free(pf);
	policy_file_free(parsed(text));
	free(text);
	bench_free(b);
}

/* Whatever a workload may be called, the file that names it is read. */
static void test_long_name(void)
{
	struct bench *b = bench_new();
	struct talk t = { .from = 5, .to = 2, .ipproto = IPPROTO_TCP, .port = 22, .app = APP_SSH };
	char name[CONFIG_NAME_MAX];
	struct policy_file *pf;
	struct group_set own;
	char *text;

	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	b->id[5] = names_add_workload(b->names, name, NULL);
	say(b, &t);
	text = written(b, NULL);
	pf = parsed(text);
	policy_file_groups(pf, &(struct policy_who){ .name = name }, &own);
	CU_ASSERT(set_has(&own, 1) || set_has(&own, 2));
	policy_file_free(pf);
	free(text);
	bench_free(b);
}

/* More than a policy holds: what is written is one all the same, and says that it is not whole. */
static void test_more_than_a_policy(void)
{
	struct bench *b = bench_new();
	struct talk t = { .from = 5, .to = 2, .ipproto = IPPROTO_TCP, .app = APP_HTTP };
	struct policy_file *pf;
	char *text, method[8], path[8];

	for (unsigned i = 0; i < POLICY_RULES_MAX / LEARN_CLASSES_MAX + 2; i++)
		for (unsigned k = 0; k < LEARN_CLASSES_MAX; k++) {
			snprintf(method, sizeof method, "M%c%c", 'a' + k / 8, 'a' + k % 8);
			snprintf(path, sizeof path, "/%c%c", 'a' + k / 8, 'a' + k % 8);
			t.port = (uint16_t)(1000 + i);
			t.words[0] = method;
			t.words[1] = path;
			say(b, &t);
		}
	text = written(b, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "# NOT WHOLE: 2 kinds of traffic are more than one policy holds.\n"));
	pf = parsed(text);
	CU_ASSERT_EQUAL(policy_rule_count(policy_file_policy(pf)), POLICY_RULES_MAX);
	policy_file_free(pf);
	free(text);
	bench_free(b);
}

/* Beside a policy that has as many groups as there may be no other finds room. */
static void test_beside_all_groups(void)
{
	struct bench *b = bench_new();
	struct talk t = { .from = 5, .to = 2, .ipproto = IPPROTO_TCP, .port = 22, .app = APP_SSH };

	for (unsigned there = POLICY_GROUPS_MAX - 3; there < POLICY_GROUPS_MAX; there++) {
		bool fits = there + 2 < POLICY_GROUPS_MAX;
		struct policy_file *pf;
		char *own = NULL, *text;
		size_t n = 0;
		FILE *f = open_memstream(&own, &n);

		fputs("version: 1\ngroups:\n", f);
		for (unsigned i = 0; i < there; i++)
			fprintf(f, "  - {name: g%u, match: {workload: w%u}}\n", i, i);
		fclose(f);
		pf = parsed(own);
		say(b, &t);
		text = written(b, policy_file_policy(pf));
		CU_ASSERT_EQUAL(!strstr(text, "NOT WHOLE"), fits);
		CU_ASSERT_EQUAL(strstr(text, "match: {workload: [\"client\"]}") && strstr(text, "match: {workload: [\"db\"]}"), fits);
		policy_file_free(pf);
		free(own);
		free(text);
	}
	bench_free(b);
}

const struct unit_test tests_learn[] = {
	{ "general forms of paths", test_paths },
	{ "a path's pattern holds for the path", test_paths_hold },
	{ "beginnings and ends", test_shorten },
	{ "names of replicas", test_stems },
	{ "what is written", test_written },
	{ "requests that say less", test_shapes },
	{ "what failed is not learned", test_failed_is_not_learned },
	{ "what was seen is allowed, nothing else", test_allows_what_was_seen },
	{ "whatever the order", test_deterministic },
	{ "too many addresses", test_remotes_fold },
	{ "too many paths", test_paths_fold },
	{ "a full table", test_full },
	{ "full of text", test_full_of_text },
	{ "places that nobody knows", test_places },
	{ "hostile text", test_hostile_text },
	{ "port 0 is no part of the file", test_port_zero },
	{ "ports that are agreed upon each time", test_negotiated_ports },
	{ "an application that is asked nothing", test_asked_nothing },
	{ "what no event has told yet", test_not_told_yet },
	{ "DNS names", test_dns_names },
	{ "beside a policy", test_beside_a_policy },
	{ "a long name", test_long_name },
	{ "more rules than a policy has", test_more_than_a_policy },
	{ "beside all groups that there may be", test_beside_all_groups },
	{ 0 },
};
