/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bench-policy [--count] [SHAPE...]: what policies of several shapes cost to compile and to ask; --write SHAPE RULES prints one.
 *
 * Each shape writes a policy file of 10, 1,000 and 10,000 rules and the connections to ask about. A lookup is what the core does once a
 * flow (and again when its application gets known): the groups of both ends, then the judgement. Printed are the time from text to
 * policy, how much of it libfyaml needs to make a tree of the text, and nanoseconds and rules looked at for each lookup while the
 * application is unknown, when it is known, and when a request is judged. The core remembers what it worked out (dpi/policy_memo.h), and so
 * does this. Times are the process's own, not the clock's.
 *
 * --count: for tests/bench/policy_count, under callgrind with --instr-atstart=no: nothing is timed, and the instructions of each row's
 * lookups are written by themselves; also those of the first lookup of all, when nothing is remembered. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <valgrind/callgrind.h>

#include "agent/policy_file.h"
#include "agent/yaml.h"
#include "dpi/record.h"

#define QUERIES 512u
#define ROUNDS 40u
#define COUNTED 32u	/* queries whose instructions are counted where that takes long: first ones, and requests */

struct query {
	struct addr from, to;
	char from_name[32], to_name[32];	/* "": not a workload */
	uint16_t port;
	enum app app;
	struct group_set own[2];
};

struct shape {
	const char *name, *what;
	void (*write)(FILE *, unsigned rules, unsigned groups);
	void (*query)(struct query *, unsigned groups);
	const char *host;	/* of the request; NULL: none */
};

static uint64_t seed;

static unsigned pick(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)((seed >> 33) % n);
}

__attribute__((format(printf, 1, 2)))
static struct addr address(const char *fmt, ...)
{
	char text[64];
	struct addr out;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (addr_parse(text, &out))
		abort();
	return out;
}

static const unsigned ports[] = { 80, 443, 8080, 5432, 3306, 6379, 9092, 27017, 53, 22 };
static const char *const apps[] = { "http", "tls", "postgresql", "mysql", "redis", "kafka", "mongodb", "dns", "ssh", "amqp" };
static const enum app app_of[] = { APP_HTTP, APP_TLS, APP_POSTGRESQL, APP_MYSQL, APP_REDIS, APP_KAFKA, APP_MONGODB, APP_DNS, APP_SSH, APP_AMQP };

/* ---- what one would write: half of the groups are workloads, half networks; ports, some apps, some matchers ---- */

static void write_mixed(FILE *f, unsigned rules, unsigned groups)
{
	fprintf(f, "version: 1\ndefault: {mode: protect}\ngroups:\n");
	for (unsigned g = 0; g < groups; g++) {
		if (g % 2)
			fprintf(f, "  - {name: g%u, match: {cidr: [10.%u.%u.0/24, \"fd00:%x::/64\"]%s}}\n", g, g / 250, g % 250, g, g % 10 == 5 ? ", not: {cidr: [10.200.0.0/16]}" : "");
		else
			fprintf(f, "  - {name: g%u, match: {workload: [\"app%u-*\", \"app%u-*\"]}}\n", g, g, (g + 2) % groups);
	}
	fprintf(f, "rules:\n");
	for (unsigned i = 1; i < rules; i++) {
		unsigned p = pick(10);

		fprintf(f, "  - {id: %u, from: g%u, to: [g%u, g%u], ports: [tcp/%u, tcp/%u]", i, pick(groups), pick(groups), pick(groups), ports[p], 10000 + pick(1000));
		if (i % 10 == 1)
			fprintf(f, ", http: {methods: [GET, HEAD], paths: [\"/api/v%u/*\"]}", i);
		else if (i % 3 == 1)
			fprintf(f, ", apps: [%s]", apps[p]);
		fprintf(f, ", action: %s}\n", i % 7 ? "allow" : "deny");
	}
	fprintf(f, "  - {id: %u, from: any, to: any, action: deny}\n", rules);
}

static void query_mixed(struct query *q, unsigned groups)
{
	unsigned a = pick(groups), b = pick(groups), p = pick(10);

	snprintf(q->from_name, sizeof q->from_name, "app%u-7f", a & ~1u);
	q->from = address("10.200.%u.%u", a / 250, a % 250);
	if (b % 2)
		q->to = b % 4 == 1 ? address("fd00:%x::%x", b, 7) : address("10.%u.%u.9", b / 250, b % 250);
	else {
		snprintf(q->to_name, sizeof q->to_name, "app%u-7f", b);
		q->to = address("10.200.%u.%u", b / 250, b % 250);
	}
	q->port = (uint16_t)ports[p];
	q->app = app_of[p];
}

/* ---- everything under any, by ports and ranges ---- */

static void write_ports(FILE *f, unsigned rules, unsigned groups)
{
	(void)groups;
	fprintf(f, "version: 1\ndefault: {mode: protect}\nrules:\n");
	for (unsigned i = 1; i <= rules; i++) {
		unsigned lo = 1 + pick(60000);

		fprintf(f, "  - {id: %u, from: any, to: any, ports: [tcp/%u", i, lo);
		if (i % 2)
			fprintf(f, "-%u", lo + pick(8));
		if (i % 50 == 1)
			fprintf(f, ", udp/1000-60000");
		fprintf(f, "]%s%s, action: %s}\n", i % 4 == 1 ? ", apps: " : "", i % 4 == 1 ? apps[pick(10)] : "", i % 7 ? "allow" : "deny");
	}
}

static void query_ports(struct query *q, unsigned groups)
{
	(void)groups;
	q->from = address("10.0.%u.%u", pick(250), pick(250));
	q->to = address("fd00::%x:%x", pick(250), pick(250));
	q->port = (uint16_t)(1 + pick(60000));
	q->app = app_of[pick(10)];
}

/* ---- wide ranges that all hold for a port, from many groups ---- */

static void write_ranges(FILE *f, unsigned rules, unsigned groups)
{
	fprintf(f, "version: 1\ndefault: {mode: protect}\ngroups:\n");
	for (unsigned g = 0; g < groups; g++)
		fprintf(f, "  - {name: g%u, match: {workload: \"app%u-*\"}}\n", g, g);
	fprintf(f, "rules:\n");
	for (unsigned i = 1; i <= rules; i++)
		fprintf(f, "  - {id: %u, from: any, to: g%u, ports: [tcp/%u-%u], action: %s}\n", i, pick(groups), 1 + i, 30000 + pick(30000), i % 7 ? "allow" : "deny");
}

static void query_ranges(struct query *q, unsigned groups)
{
	unsigned b = pick(groups);

	q->from = address("10.0.%u.%u", pick(250), pick(250));
	q->to = address("10.200.%u.%u", b / 250, b % 250);
	snprintf(q->to_name, sizeof q->to_name, "app%u-7f", b);
	q->port = (uint16_t)(10000 + pick(20000));
	q->app = app_of[pick(10)];
}

/* ---- one pair of groups, one port: rules differ in applications and matchers only ---- */

static void write_pair(FILE *f, unsigned rules, unsigned groups)
{
	(void)groups;
	fprintf(f, "version: 1\ndefault: {mode: protect}\ngroups:\n  - {name: web, match: {workload: \"web*\"}}\n  - {name: db, match: {cidr: [10.1.0.0/16]}}\nrules:\n");
	for (unsigned i = 1; i <= rules; i++) {
		fprintf(f, "  - {id: %u, from: web, to: db, ports: [tcp/8080]", i);
		if (i % 2)
			fprintf(f, ", apps: [%s], action: deny}\n", apps[1 + pick(9)]);
		else
			fprintf(f, ", http: {methods: [GET], paths: [\"/service%u/*\"]}, action: %s}\n", i, i % 4 ? "allow" : "deny");
	}
}

/* The same, and all of them refuse: the core must look for what lets pass. */
static void write_denies(FILE *f, unsigned rules, unsigned groups)
{
	(void)groups;
	fprintf(f, "version: 1\ndefault: {mode: protect}\ngroups:\n  - {name: web, match: {workload: \"web*\"}}\n  - {name: db, match: {cidr: [10.1.0.0/16]}}\nrules:\n");
	for (unsigned i = 1; i < rules; i++) {
		fprintf(f, "  - {id: %u, from: web, to: db", i);
		if (i % 2)
			fprintf(f, ", apps: [%s], action: deny}\n", apps[1 + pick(9)]);
		else
			fprintf(f, ", http: {methods: [POST], paths: [\"/service%u/*\"]}, action: deny}\n", i);
	}
	fprintf(f, "  - {id: %u, from: any, to: any, action: allow}\n", rules);
}

static void query_pair(struct query *q, unsigned groups)
{
	(void)groups;
	snprintf(q->from_name, sizeof q->from_name, "web-7f");
	q->from = address("10.200.%u.%u", pick(250), pick(250));
	q->to = address("10.1.%u.%u", pick(250), pick(250));
	q->port = 8080;
	q->app = APP_HTTP;
}

/* ---- no ports at all, and each workload is in a score of groups ---- */

static void write_wide(FILE *f, unsigned rules, unsigned groups)
{
	fprintf(f, "version: 1\ndefault: {mode: protect}\ngroups:\n");
	for (unsigned g = 0; g < groups; g++) {
		fprintf(f, "  - {name: g%u, match: {workload: [", g);
		for (unsigned i = 0; i < 20; i++)
			fprintf(f, "%s\"app%u-*\"", i ? ", " : "", pick(groups));
		fprintf(f, "]}}\n");
	}
	fprintf(f, "rules:\n");
	for (unsigned i = 1; i <= rules; i++)
		fprintf(f, "  - {id: %u, from: g%u, to: g%u%s%s, action: %s}\n", i, pick(groups), pick(groups), i % 2 ? ", apps: " : "", i % 2 ? apps[pick(10)] : "", i % 7 ? "allow" : "deny");
}

static void query_wide(struct query *q, unsigned groups)
{
	unsigned a = pick(groups), b = pick(groups);

	snprintf(q->from_name, sizeof q->from_name, "app%u-7f", a);
	snprintf(q->to_name, sizeof q->to_name, "app%u-7f", b);
	q->from = address("10.200.%u.%u", a / 250, a % 250);
	q->to = address("fd00:200::%x", b);
	q->port = 80;
	q->app = app_of[pick(10)];
}

/* ---- ten networks in each group, of all lengths ---- */

static void write_cidrs(FILE *f, unsigned rules, unsigned groups)
{
	fprintf(f, "version: 1\ndefault: {mode: protect}\ngroups:\n");
	for (unsigned g = 0; g < groups; g++) {
		fprintf(f, "  - {name: g%u, match: {cidr: [", g);
		for (unsigned i = 0; i < 10; i++) {
			unsigned len = 8 + pick(25), len6 = 16 + pick(113);
			uint32_t a = ((1 + pick(220)) << 24 | pick(1 << 24)) & (len == 32 ? ~0u : ~(~0u >> len));
			uint8_t b[16] = { 0x20, (uint8_t)pick(256), (uint8_t)pick(256), (uint8_t)pick(256), (uint8_t)pick(256), (uint8_t)pick(256), 7, 7, 7, 7, 7, 7, 7, 7, 7, 7 };
			char text[ADDR_STRLEN];
			struct addr net;

			for (unsigned k = 0; k < 128; k++)
				if (k >= len6)
					b[k / 8] &= (uint8_t)~(0x80u >> (k % 8));
			net = addr_v6(b);
			if (i % 2)
				fprintf(f, "%s%u.%u.%u.%u/%u", i ? ", " : "", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255, len);
			else
				fprintf(f, "%s\"%s/%u\"", i ? ", " : "", addr_format(&net, text), len6);
		}
		fprintf(f, "]}}\n");
	}
	fprintf(f, "rules:\n");
	for (unsigned i = 1; i <= rules; i++)
		fprintf(f, "  - {id: %u, from: g%u, to: g%u, ports: [tcp/%u], action: %s}\n", i, pick(groups), pick(groups), ports[pick(10)], i % 7 ? "allow" : "deny");
}

static void query_cidrs(struct query *q, unsigned groups)
{
	uint8_t b[16] = { 0x20, (uint8_t)pick(256), (uint8_t)pick(256), (uint8_t)pick(256), (uint8_t)pick(256), (uint8_t)pick(256), 7, 7, 7, 7, 7, 7, 7, 7, 7, 7 };

	(void)groups;
	q->from = address("%u.%u.%u.%u", 1 + pick(220), pick(256), pick(256), pick(256));
	q->to = addr_v6(b);
	q->port = (uint16_t)ports[pick(10)];
	q->app = app_of[pick(10)];
}

/* ---- half of the groups are groups of others, up to three deep, some less another; rules name these ---- */

static void write_nested(FILE *f, unsigned rules, unsigned groups)
{
	unsigned base = groups / 2;

	fprintf(f, "version: 1\ndefault: {mode: protect}\ngroups:\n");
	for (unsigned g = 0; g < groups; g++) {
		unsigned below = g < base + base / 3 ? base : g < base + 2 * base / 3 ? base + base / 3 : base + 2 * base / 3;

		if (g < base)
			fprintf(f, "  - {name: g%u, match: {workload: \"app%u-*\"}}\n", g, g);
		else
			fprintf(f, "  - {name: g%u, match: {group: [g%u, g%u, g%u]%s}}\n", g, pick(below), pick(below), pick(below), g % 4 ? "" : ", not: {group: g1}");
	}
	fprintf(f, "rules:\n");
	for (unsigned i = 1; i <= rules; i++)
		fprintf(f, "  - {id: %u, from: g%u, to: g%u, ports: [tcp/%u], action: %s}\n", i, base + pick(groups - base), base + pick(groups - base), ports[pick(10)], i % 7 ? "allow" : "deny");
}

static void query_nested(struct query *q, unsigned groups)
{
	query_wide(q, groups / 2);
	q->port = (uint16_t)ports[pick(10)];
}

/* ---- the worst that the language allows: both ends are in every group ---- */

static void write_everyone(FILE *f, unsigned rules, unsigned groups)
{
	fprintf(f, "version: 1\ndefault: {mode: protect}\ngroups:\n");
	for (unsigned g = 0; g < groups; g++)
		fprintf(f, "  - {name: g%u, match: {workload: \"*\"}}\n", g);
	fprintf(f, "rules:\n");
	for (unsigned i = 1; i <= rules; i++)
		fprintf(f, "  - {id: %u, from: g%u, to: g%u, ports: [tcp/%u], action: allow}\n", i, pick(groups), pick(groups), 1 + pick(60000));
}

/* The same, and the ports are those that everybody uses. */
static void write_common(FILE *f, unsigned rules, unsigned groups)
{
	fprintf(f, "version: 1\ndefault: {mode: protect}\ngroups:\n");
	for (unsigned g = 0; g < groups; g++)
		fprintf(f, "  - {name: g%u, match: {workload: \"*\"}}\n", g);
	fprintf(f, "rules:\n");
	for (unsigned i = 1; i <= rules; i++)
		fprintf(f, "  - {id: %u, from: g%u, to: g%u, ports: [tcp/%u], apps: [%s], action: allow}\n", i, pick(groups), pick(groups), ports[pick(10)], apps[pick(9)]);
}

static void query_common(struct query *q, unsigned groups)
{
	query_wide(q, groups);
	q->port = (uint16_t)ports[pick(10)];
	q->app = APP_AMQP;	/* that no rule names */
}

/* ---- one pair of groups, rules that refuse by lists of applications: hundreds of lists ---- */

static void write_lists(FILE *f, unsigned rules, unsigned groups)
{
	(void)groups;
	fprintf(f, "version: 1\ndefault: {mode: protect}\ngroups:\n  - {name: web, match: {workload: \"web*\"}}\n  - {name: db, match: {cidr: [10.1.0.0/16]}}\nrules:\n");
	for (unsigned i = 1; i < rules; i++) {
		unsigned list = 1 + pick(1023);

		fprintf(f, "  - {id: %u, from: web, to: db, ports: [tcp/1-30000], apps: [", i);
		for (unsigned a = 0, n = 0; a < 10; a++)
			if (list >> a & 1)
				fprintf(f, "%s%s", n++ ? ", " : "", apps[a]);
		fprintf(f, "], action: deny}\n");
	}
	fprintf(f, "  - {id: %u, from: any, to: any, action: allow}\n", rules);
}

/* ---- one pair of groups, rules that ask for hosts ---- */

static void write_hosts(FILE *f, unsigned rules, unsigned groups)
{
	(void)groups;
	fprintf(f, "version: 1\ndefault: {mode: protect}\ngroups:\n  - {name: web, match: {workload: \"web*\"}}\n  - {name: db, match: {cidr: [10.1.0.0/16]}}\nrules:\n");
	for (unsigned i = 1; i <= rules; i++)
		fprintf(f, "  - {id: %u, from: web, to: db, http: {methods: [GET, HEAD], hosts: [\"%s%u.example.net\"]}, action: %s}\n", i, i % 2 ? "www" : "*.t", i, i % 7 ? "allow" : "deny");
}

static void write_stars(FILE *f, unsigned rules, unsigned groups)
{
	(void)groups;
	fprintf(f, "version: 1\ndefault: {mode: protect}\ngroups:\n  - {name: web, match: {workload: \"web*\"}}\n  - {name: db, match: {cidr: [10.1.0.0/16]}}\nrules:\n");
	for (unsigned i = 1; i <= rules; i++)
		fprintf(f, "  - {id: %u, from: web, to: db, http: {paths: [\"*service%u/*\"]}, action: %s}\n", i, i, i % 7 ? "allow" : "deny");
}

static const struct shape shapes[] = {
	{ "mixed", "workloads and networks, ports, apps, matchers", write_mixed, query_mixed, NULL },
	{ "ports", "from any to any, by ports and ranges", write_ports, query_ports, NULL },
	{ "ranges", "wide ranges, many groups", write_ranges, query_ranges, NULL },
	{ "pair", "one pair of groups, one port, apps and matchers", write_pair, query_pair, NULL },
	{ "denies", "one pair of groups, all rules refuse by app or request", write_denies, query_pair, NULL },
	{ "wide", "no ports, each end in 20 groups", write_wide, query_wide, NULL },
	{ "cidrs", "10 networks of any length in each group", write_cidrs, query_cidrs, NULL },
	{ "nested", "groups of groups", write_nested, query_nested, NULL },
	{ "everyone", "both ends in every group", write_everyone, query_wide, NULL },
	{ "common", "both ends in every group, ten ports", write_common, query_common, NULL },
	{ "lists", "one pair of groups, all rules refuse by lists of apps", write_lists, query_pair, NULL },
	{ "hosts", "one pair of groups, hosts whole and by their ends", write_hosts, query_pair, "api.t4242.example.net" },
	{ "stars", "one pair of groups, patterns of stars at both ends", write_stars, query_pair, NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

enum state { STATE_UNKNOWN, STATE_KNOWN, STATE_REQUEST, STATES };

static const char *const state_names[] = { "unknown", "known", "request" };

static void lookup(const struct policy *p, struct policy_memo *memo, const struct query *q, enum state s, const struct facts *facts, uint64_t *looked, uint64_t *sum)
{
	struct group_set from, to;
	struct policy_query pq = { .memo = memo, .from = &from, .to = &to, .ipproto = 6, .port = q->port, .app = s == STATE_UNKNOWN ? APP_UNKNOWN : s == STATE_REQUEST ? APP_HTTP : q->app,
				   .app_known = s != STATE_UNKNOWN, .facts = s == STATE_REQUEST ? facts : NULL };
	struct policy_answer a;

	policy_groups(p, &q->from, q->from_name[0] ? &q->own[0] : NULL, &from);
	policy_groups(p, &q->to, q->to_name[0] ? &q->own[1] : NULL, &to);
	pq.mode = MODE_PROTECT;
	a = policy_judge(p, &pq);
	*looked += a.looked;
	*sum += a.rule + (uint64_t)a.verdict;
}

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static unsigned groups_for(unsigned rules) { return rules / 10 < 4 ? 4 : rules / 10 > 1000 ? 1000 : rules / 10; }

static void write_shape(FILE *f, const struct shape *s, unsigned rules)
{
	seed = 42;
	s->write(f, rules, groups_for(rules));
}

static char *text_of(const struct shape *s, unsigned rules)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		abort();
	write_shape(f, s, rules);
	fclose(f);
	return text;
}

static int double_cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void row(const struct shape *s, unsigned rules, bool count)
{
	static const struct fact f_method = { "http_method", FACT_HTTP_METHOD }, f_path = { "url", FACT_HTTP_PATH }, f_host = { "hostname", FACT_HTTP_HOST };
	static struct query q[QUERIES];
	static struct record rec;
	unsigned groups = groups_for(rules);
	struct err e = { "" };
	char *text = text_of(s, rules);
	double t0, parsed, compiled, took[ROUNDS];
	struct policy_memo *memo;
	struct policy_file *pf;
	struct yaml *y;
	struct facts facts;
	uint64_t sum = 0;

	t0 = cpu_ns();
	y = yaml_parse(text, strlen(text), s->name, true, &e);
	parsed = cpu_ns() - t0;
	yaml_free(y);
	t0 = cpu_ns();
	pf = policy_file_parse(text, s->name, &e);
	compiled = cpu_ns() - t0;
	if (!pf) {
		fprintf(stderr, "%s\n", e.text);
		exit(2);
	}
	memo = policy_memo_new(policy_file_policy(pf));
	memset(q, 0, sizeof q);
	for (unsigned i = 0; i < QUERIES; i++) {
		s->query(&q[i], groups);
		policy_file_groups(pf, &(struct policy_who){ .name = q[i].from_name, .labels = NULL }, &q[i].own[0]);
		policy_file_groups(pf, &(struct policy_who){ .name = q[i].to_name, .labels = NULL }, &q[i].own[1]);
	}
	rec_reset(&rec);
	rec_cstr(&rec, &f_method, "GET");
	rec_cstr(&rec, &f_path, "/service9999999/list?page=1");
	if (s->host)
		rec_cstr(&rec, &f_host, s->host);
	facts = (struct facts){ .body = rec.body, .len = rec.len };
	if (!count)
		printf("%-9s %6u  %8.1f  %8.1f ", s->name, rules, compiled / 1e6, parsed / 1e6);
	for (enum state st = 0; st < STATES; st++) {
		uint64_t looked = 0;

		if (count) {
			unsigned n = st == STATE_REQUEST ? COUNTED : QUERIES;
			char name[64];

			snprintf(name, sizeof name, "%s-%u-%s", s->name, rules, state_names[st]);
			for (unsigned i = 0; i < 2 * n; i++)	/* what is asked for again is remembered */
				lookup(policy_file_policy(pf), memo, &q[i % n], st, &facts, &looked, &sum);
			CALLGRIND_START_INSTRUMENTATION;
			CALLGRIND_ZERO_STATS;
			for (unsigned i = 0; i < n; i++)
				lookup(policy_file_policy(pf), memo, &q[i], st, &facts, &looked, &sum);
			CALLGRIND_DUMP_STATS_AT(name);
			CALLGRIND_STOP_INSTRUMENTATION;
			printf("%s %u\n", name, n);
			continue;
		}
		for (unsigned r = 0; r < ROUNDS; r++) {
			t0 = cpu_ns();
			for (unsigned i = 0; i < QUERIES; i++)
				lookup(policy_file_policy(pf), memo, &q[i], st, &facts, &looked, &sum);
			took[r] = (cpu_ns() - t0) / QUERIES;
		}
		qsort(took, ROUNDS, sizeof took[0], double_cmp);
		printf(" %9.0f %8.1f", took[ROUNDS / 2], (double)looked / ROUNDS / QUERIES);
	}
	if (count) {
		char name[64];

		CALLGRIND_START_INSTRUMENTATION;
		CALLGRIND_TOGGLE_COLLECT;
		CALLGRIND_ZERO_STATS;
		snprintf(name, sizeof name, "%s-%u-first", s->name, rules);
		for (unsigned i = 0; i < COUNTED; i++) {
			uint64_t looked = 0;

			policy_memo_free(memo);
			memo = policy_memo_new(policy_file_policy(pf));
			CALLGRIND_TOGGLE_COLLECT;
			lookup(policy_file_policy(pf), memo, &q[i], STATE_UNKNOWN, &facts, &looked, &sum);
			CALLGRIND_TOGGLE_COLLECT;
		}
		CALLGRIND_TOGGLE_COLLECT;
		CALLGRIND_DUMP_STATS_AT(name);
		CALLGRIND_STOP_INSTRUMENTATION;
		printf("%s %u\n", name, COUNTED);
	} else {
		printf("  %08x\n", (unsigned)sum);
	}
	policy_memo_free(memo);
	policy_file_free(pf);
	free(text);
}

static const struct shape *shape_of(const char *name)
{
	const struct shape *s = shapes;

	while (s->name && strcmp(s->name, name) != 0)
		s++;
	return s->name ? s : NULL;
}

int main(int argc, char **argv)
{
	static const unsigned sizes[] = { 10, 1000, 10000 };
	bool count = argc > 1 && !strcmp(argv[1], "--count");
	int first = count ? 2 : 1;

	if (argc == 4 && !strcmp(argv[1], "--write") && shape_of(argv[2])) {
		unsigned rules = (unsigned)strtoul(argv[3], NULL, 10);

		write_shape(stdout, shape_of(argv[2]), rules);
		return 0;
	}
	if (!count)
		printf("%-9s %6s  %8s  %8s  %s\n%-9s %6s  %8s  %8s  %s\n", "shape", "rules", "compile", "of it", "ns, rules looked at: application", "", "", "ms", "YAML ms",
		       " unknown               known            a request");
	for (const struct shape *s = shapes; s->name; s++) {
		bool wanted = argc <= first;

		for (int i = first; i < argc && !wanted; i++)
			wanted = !strcmp(argv[i], s->name);
		for (unsigned i = 0; wanted && i < 3; i++)
			row(s, sizes[i], count);
	}
	return 0;
}
