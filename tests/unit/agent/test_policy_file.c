/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "agent/policy_file.h"
#include "tests/unit/unit.h"

static const char good[] =
	"version: 1\n"
	"rules:\n"
	"  - {id: 10, from: web, to: db, ports: [tcp/5432, tcp/6000-6010], apps: [postgresql], action: allow}\n"
	"  - {id: 20, from: [web, outside], to: any, ports: udp/53, action: alert}\n"
	"  - {id: 30, from: notdb, to: any, ports: sctp/9, action: drop, mode: protect}\n"
	"  - {id: 40, from: mix, to: any, ports: tcp/1, action: allow}\n"
	"  - {id: 50, from: web, to: any, ports: [icmp, sctp], action: allow}\n"
	"  - {id: 90, from: any, to: any, ports: tcp/23, action: deny}\n"
	"default: {mode: monitor}\n"
	"groups:\n"
	"  - {name: web, match: {workload: [\"web*\", front]}}\n"
	"  - {name: db, match: {labels: {app: db, tier: back}}, mode: protect}\n"
	"  - {name: outside, match: {cidr: [0.0.0.0/0, \"::/0\"], not: {cidr: [10.0.0.0/8, \"fc00::/7\"]}}}\n"
	"  - {name: notdb, match: {cidr: 10.0.0.0/8, not: {workload: \"db*\"}}}\n"
	"  - {name: mix, match: {workload: \"*\", cidr: 10.9.0.0/16, not: {labels: {app: db}}}, mode: discover}\n";

static bool in(const struct policy_file *pf, const char *group, const char *address, const char *workload, const struct labels *labels)
{
	struct policy *p = policy_file_policy(pf);
	int g = policy_group_by_name(p, group);
	struct group_set own, all;
	struct addr a;

	CU_ASSERT_FATAL(g >= 0);
	CU_ASSERT_EQUAL_FATAL(addr_parse(address, &a), 0);
	if (workload)
		policy_file_groups(pf, &(struct policy_who){ .name = workload, .labels = labels }, &own);
	policy_groups(p, &a, workload ? &own : NULL, &all);
	return all.bits[g / 64] >> (g % 64) & 1;
}

static struct label db_labels[] = { { "tier", "back" }, { "x", "y" }, { "app", "db" } };
static const struct labels db = { db_labels, 3 }, half = { db_labels, 2 };

static void test_groups(void)
{
	struct err e = { "" };
	struct policy_file *pf = policy_file_parse(good, "policy.yaml", &e);

	CU_ASSERT_STRING_EQUAL(e.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(pf);
	CU_ASSERT_STRING_EQUAL(policy_file_text(pf), good);
	CU_ASSERT_EQUAL(policy_group_count(policy_file_policy(pf)), 6);
	CU_ASSERT_EQUAL(policy_file_group_count(pf), 5);
	CU_ASSERT_TRUE(in(pf, "web", "10.0.0.1", "web-1", NULL));
	CU_ASSERT_TRUE(in(pf, "web", "10.0.0.1", "front", NULL));
	CU_ASSERT_FALSE(in(pf, "web", "10.0.0.1", "afront", NULL));
	CU_ASSERT_FALSE(in(pf, "web", "10.0.0.1", NULL, NULL));		/* not a local workload */
	CU_ASSERT_TRUE(in(pf, "db", "10.0.0.1", "x", &db));
	CU_ASSERT_FALSE(in(pf, "db", "10.0.0.1", "x", &half));		/* all labels must hold */
	CU_ASSERT_FALSE(in(pf, "db", "10.0.0.1", "x", NULL));
	CU_ASSERT_TRUE(in(pf, "outside", "8.8.8.8", NULL, NULL));
	CU_ASSERT_TRUE(in(pf, "outside", "2001:db8::1", NULL, NULL));
	CU_ASSERT_FALSE(in(pf, "outside", "10.1.1.1", NULL, NULL));
	CU_ASSERT_FALSE(in(pf, "outside", "fd00::1", NULL, NULL));
	CU_ASSERT_TRUE(in(pf, "notdb", "10.1.1.1", NULL, NULL));		/* an address that is no workload's */
	CU_ASSERT_TRUE(in(pf, "notdb", "10.1.1.1", "web", NULL));
	CU_ASSERT_FALSE(in(pf, "notdb", "10.1.1.1", "db-1", NULL));
	CU_ASSERT_FALSE(in(pf, "notdb", "11.1.1.1", "web", NULL));
	CU_ASSERT_TRUE(in(pf, "mix", "10.9.1.1", "web", NULL));		/* keys AND */
	CU_ASSERT_FALSE(in(pf, "mix", "10.8.1.1", "web", NULL));
	CU_ASSERT_FALSE(in(pf, "mix", "10.9.1.1", NULL, NULL));
	CU_ASSERT_FALSE(in(pf, "mix", "10.9.1.1", "web", &db));
	CU_ASSERT_TRUE(in(pf, "any", "255.255.255.255", NULL, NULL));
	policy_file_free(pf);
	policy_file_free(NULL);
}

static struct policy_answer judge(const struct policy_file *pf, const char *from, const char *to, uint8_t proto, uint16_t port, int app)
{
	struct policy *p = policy_file_policy(pf);
	struct group_set own[2], g[2];
	struct addr a = { { 0 } };
	struct policy_query q = { .from = &g[0], .to = &g[1], .ipproto = proto, .port = port, .app_known = app >= 0, .app = app >= 0 ? (enum app)app : APP_UNKNOWN, .mode = MODE_PROTECT };

	addr_parse("10.1.2.3", &a);
	policy_file_groups(pf, &(struct policy_who){ .name = from, .labels = NULL }, &own[0]);
	policy_file_groups(pf, &(struct policy_who){ .name = to, .labels = &db }, &own[1]);
	policy_groups(p, &a, &own[0], &g[0]);
	policy_groups(p, &a, &own[1], &g[1]);
	return policy_judge(p, &q);
}

static void test_rules(void)
{
	struct err e = { "" };
	struct policy_file *pf = policy_file_parse(good, "policy.yaml", &e);
	struct policy_answer a;

	CU_ASSERT_PTR_NOT_NULL_FATAL(pf);
	CU_ASSERT_EQUAL(policy_rule_count(policy_file_policy(pf)), 6);
	a = judge(pf, "web", "x", 6, 5432, APP_POSTGRESQL);
	CU_ASSERT(a.rule == 10 && a.verdict == VERDICT_ALLOW);
	a = judge(pf, "web", "x", 6, 6010, APP_POSTGRESQL);
	CU_ASSERT_EQUAL(a.rule, 10);
	a = judge(pf, "web", "x", 6, 6011, APP_POSTGRESQL);
	CU_ASSERT(a.rule == 0 && a.reason == REASON_NO_RULE);
	a = judge(pf, "web", "x", 6, 5432, APP_HTTP);
	CU_ASSERT_EQUAL(a.rule, 0);
	a = judge(pf, "web", "x", 17, 53, -1);
	CU_ASSERT(a.rule == 20 && a.verdict == VERDICT_ALERT);
	a = judge(pf, "web", "x", 132, 9, -1);
	CU_ASSERT(a.rule == 30 && a.verdict == VERDICT_DROP && a.enforce);
	a = judge(pf, "web", "x", 1, 0, -1);
	CU_ASSERT_EQUAL(a.rule, 50);
	a = judge(pf, "web", "x", 132, 7, -1);
	CU_ASSERT_EQUAL(a.rule, 50);
	a = judge(pf, "web", "x", 58, 0, -1);
	CU_ASSERT_EQUAL(a.rule, 0);
	a = judge(pf, "db-7", "x", 132, 9, -1);
	CU_ASSERT_EQUAL(a.rule, 0);
	a = judge(pf, "other", "x", 6, 23, -1);
	CU_ASSERT(a.rule == 90 && a.verdict == VERDICT_DENY);
	policy_file_free(pf);
}

/* Each matcher of the contract, with a key of each form. */
static void test_matchers(void)
{
	static const char text[] = "version: 1\ndefault: {mode: protect}\nrules:\n"
		"  - {id: 1, from: any, to: any, action: allow, http: {methods: [GET, HEAD], hosts: \"*.shop\", paths: [\"/api/*\"], headers: {X-Env: [prod, test], Accept: \"*\"}}}\n"
		"  - {id: 2, from: any, to: any, action: deny, grpc: {services: a.B, methods: [C]}}\n"
		"  - {id: 3, from: any, to: any, action: deny, tls: {sni: x, versions: [\"TLS 1.0\"], ja4: \"t13*\", issuer: \"*CN=ca*\"}}\n"
		"  - {id: 4, from: any, to: any, action: deny, dns: {names: \"*.evil\", types: [TXT]}}\n  - {id: 5, from: any, to: any, action: deny, ssh: {versions: \"OpenSSH_7*\"}}\n"
		"  - {id: 6, from: any, to: any, action: deny, mysql: {users: a, databases: b, verbs: [DROP], tables: t}}\n"
		"  - {id: 7, from: any, to: any, action: deny, pgsql: {users: a, databases: b, verbs: [DROP], tables: t}}\n"
		"  - {id: 8, from: any, to: any, action: deny, tds: {verbs: DROP}}\n  - {id: 9, from: any, to: any, action: deny, tns: {verbs: DROP}}\n"
		"  - {id: 10, from: any, to: any, action: deny, redis: {commands: [FLUSHALL], keys: \"a:*\"}}\n  - {id: 11, from: any, to: any, action: deny, mongodb: {commands: drop, collections: c}}\n"
		"  - {id: 12, from: any, to: any, action: deny, kafka: {operations: Produce, topics: t}}\n  - {id: 13, from: any, to: any, action: deny, amqp: {operations: publish, topics: t}}\n"
		"  - {id: 14, from: any, to: any, action: deny, mqtt: {operations: publish, topics: t}}\n  - {id: 15, from: any, to: any, action: deny, nats: {operations: PUB, topics: t}}\n"
		"  - {id: 16, from: any, to: any, action: deny, smb: {shares: \"IPC$\"}}\n";
	struct err e = { "" };
	struct policy_file *pf = policy_file_parse(text, "policy.yaml", &e);

	if (!pf)
		printf("\n%s\n", e.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pf);
	CU_ASSERT_EQUAL(policy_rule_count(policy_file_policy(pf)), 16);
	CU_ASSERT_EQUAL(judge(pf, "a", "b", 6, 80, APP_HTTP).verdict, VERDICT_PENDING);	/* its requests are awaited */
	CU_ASSERT_EQUAL(judge(pf, "a", "b", 6, 80, APP_QUIC).verdict, VERDICT_DENY);	/* nothing could allow it */
	CU_ASSERT_EQUAL(judge(pf, "a", "b", 6, 80, APP_IRC).verdict, VERDICT_DENY);
	CU_ASSERT(policy_header(policy_file_policy(pf), (struct bytes){ (const uint8_t *)"ACCEPT", 6 }) != NULL);
	CU_ASSERT(policy_header(policy_file_policy(pf), (struct bytes){ (const uint8_t *)"X-En", 4 }) == NULL);
	policy_file_free(pf);
}

static void test_limits(void)
{
	static const struct {
		const char *text;
		struct policy_limits want;
	} cases[] = {
		{ "version: 1\n", { 16384, 16, 16384, 5000000000, 200000000 } },
		{ "pending: {bytes: 1KiB}\nversion: 1\n", { 1024, 16, 16384, 5000000000, 200000000 } },
		{ "version: 1\npending: {time: 50ms, packets: 3}\nhold: {bytes: 1MiB, time: 1s}\n", { 16384, 3, 1 << 20, 50000000, 1000000000 } },
		{ "version: 1\nhold: {bytes: 0, time: 0}\n", { 16384, 16, 0, 5000000000, 0 } },
	};

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err e = { "" };
		struct policy_file *pf = policy_file_parse(cases[i].text, "p", &e);
		const struct policy_limits *is = pf ? policy_limits(policy_file_policy(pf)) : NULL, *want = &cases[i].want;

		CU_ASSERT_STRING_EQUAL(e.text, "");
		CU_ASSERT(is && is->pending_bytes == want->pending_bytes && is->pending_packets == want->pending_packets && is->pending_time == want->pending_time);
		CU_ASSERT(is && is->hold_bytes == want->hold_bytes && is->hold_time == want->hold_time);
		policy_file_free(pf);
	}
}

/* Each mistake, the line it is on, and words that its message must have. */
static const struct {
	const char *text;
	int line;		/* 0: none named */
	const char *words;
} wrong[] = {
	{ "", 0, "version" },
	{ "rules: []\n", 0, "version" },
	{ "version: 2\n", 1, "1" },
	{ "version: 1\nversion: 1\n", 2, "twice" },
	{ "- a\n", 1, "mapping" },
	{ "version: 1\nrulez: []\n", 2, "did you mean rules" },
	{ "version: 1\nstrict: perhaps\n", 2, "one of false, true" },
	{ "version: 1\n\npending: {bytes: 0}\n", 3, "1 to 64KiB" },
	{ "version: 1\npending:\n  bytes: 65KiB\n", 3, "pending.bytes" },
	{ "version: 1\npending:\n  packets: 65536\n", 3, "1 to 65535" },
	{ "version: 1\npending: {packet: 4}\n", 2, "did you mean" },
	{ "version: 1\npending: 16\n", 2, "mapping" },
	{ "version: 1\npending:\n", 2, "pending" },
	{ "version: 1\nhold: {time: 1001ms}\n", 2, "hold.time" },
	{ "version: 1\nhold:\n  time: 100ms\n  bytes: 2MiB\n", 4, "hold.bytes" },
	{ "version: 1\nhold: {packets: 3}\n", 2, "packets" },
	{ "version: 1\nthreats: {}\n", 2, "not in this version" },
	{ "version: 1\nsensors: []\n", 2, "not in this version" },
	{ "version: 1\ndefault: {mode: block}\n", 2, "discover, monitor, protect" },
	{ "version: 1\ndefault: {mod: protect}\n", 2, "did you mean mode" },
	{ "version: 1\ngroups: {}\n", 2, "list" },
	{ "version: 1\nrules:\n  - {id: 1, from: web, to: any, action: allow}\n", 3, "web" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: [any, nobody], action: allow}\n", 3, "nobody" },
	{ "version: 1\nrules:\n  - {id: 1, from: [], to: any, action: allow}\n", 3, "empty list" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, ports: [], action: allow}\n", 3, "empty list" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, apps: [], action: allow}\n", 3, "empty list" },
	{ "version: 1\nrules:\n  - {from: any, to: any, action: allow}\n", 3, "without id" },
	{ "version: 1\nrules:\n  - {id: 1, to: any, action: allow}\n", 3, "without from" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, action: allow}\n", 3, "without to" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any}\n", 3, "without action" },
	{ "version: 1\nrules:\n  - {id: 0, from: any, to: any, action: allow}\n", 3, "999999" },
	{ "version: 1\nrules:\n  - {id: 1000000, from: any, to: any, action: allow}\n", 3, "999999" },
	{ "version: 1\nrules:\n  - {id: \"7\", from: any, to: any, action: allow}\n", 3, "999999" },
	{ "version: 1\nrules:\n  - {id: -1, from: any, to: any, action: allow}\n", 3, "999999" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, action: allow}\n  - {id: 1, from: any, to: any, action: deny}\n", 4, "twice" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, action: block}\n", 3, "allow, alert, deny, drop" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, action: deny, mode: loud}\n", 3, "protect" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, action: deny, http: {methods: []}}\n", 3, "empty list" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, action: deny, http: {method: GET}}\n", 3, "did you mean methods" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, action: deny, http: {}}\n", 3, "asks for nothing" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, action: allow, http: {methods: [GET], headers: {}}}\n", 3, "headers: an empty mapping" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, action: deny, http: GET}\n", 3, "mapping" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, action: deny, http: {methods: \"\"}}\n", 3, "pattern" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, action: deny, http: {headers: {\"X Y\": a}}}\n", 3, "field's name" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, action: deny, http: {methods: GET}, dns: {types: A}}\n", 3, "one application" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, apps: [ssh], action: deny, http: {methods: GET}}\n", 3, "never match" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, action: deny, sql: {verbs: DROP}}\n", 3, "no such key" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, action: deny, acton: deny}\n", 3, "no such key" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, action: deny, apps: [htpp]}\n", 3, "did you mean http" },
	{ "version: 1\nrules:\n  - id: 1\n    from: any\n    to: any\n    ports: [tcp/80,\n      tcp/99999]\n    action: deny\n", 7, "tcp/99999" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, ports: [tcp/0], action: deny}\n", 3, "tcp/0" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, ports: [80], action: deny}\n", 3, "80" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, ports: [tcp/90-80], action: deny}\n", 3, "90-80" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, ports: [tcp/80-], action: deny}\n", 3, "tcp/80-" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, ports: [tcp/80x], action: deny}\n", 3, "tcp/80x" },
	{ "version: 1\nrules:\n  - {id: 1, from: any, to: any, ports: [tcp/1-2-3], action: deny}\n", 3, "tcp/1-2-3" },
	{ "version: 1\nrules:\n  - nothing\n", 3, "mapping" },
	{ "version: 1\ngroups:\n  - {match: {workload: a}}\n", 3, "without name" },
	{ "version: 1\ngroups:\n  - {name: a}\n", 3, "no match" },
	{ "version: 1\ngroups:\n  - {name: a, match: {}}\n", 3, "names nobody" },
	{ "version: 1\ngroups:\n  - {name: a, match: {not: {workload: b}}}\n", 3, "names nobody" },
	{ "version: 1\ngroups:\n  - {name: a, match: {workload: b, not: {}}}\n", 3, "says nothing" },
	{ "version: 1\ngroups:\n  - {name: a, match: {workload: []}}\n", 3, "empty list" },
	{ "version: 1\ngroups:\n  - {name: a, match: {cidr: []}}\n", 3, "empty list" },
	{ "version: 1\ngroups:\n  - {name: a, match: {labels: {}}}\n", 3, "empty mapping" },
	{ "version: 1\ngroups:\n  - {name: a, match: {cidr: [10.0.0.1/8]}}\n", 3, "10.0.0.1/8" },
	{ "version: 1\ngroups:\n  - {name: a, match: {cidr: [10.0.0.0/33]}}\n", 3, "10.0.0.0/33" },
	{ "version: 1\ngroups:\n  - {name: a, match: {fqdn: []}}\n", 3, "empty list" },
	{ "version: 1\ngroups:\n  - {name: a, match: {fqdn: [\n    a.x, a..x]}}\n", 4, "no name or pattern" },
	{ "version: 1\ngroups:\n  - {name: a, match: {fqdn: \"b\xc3\xbc" "cher.x\"}}\n", 3, "xn--" },
	{ "version: 1\ngroups:\n  - {name: a, match: {fqdn: {x: y}}}\n", 3, "DNS name" },
	{ "version: 1\ngroups:\n  - {name: a, mode: protect, match: {fqdn: a.x}}\n", 3, "has no mode" },
	{ "version: 1\ngroups:\n  - {name: a, match: {not: {fqdn: a.x}}}\n", 3, "names nobody" },
	{ "version: 1\ngroups:\n  - {name: a, match: {cidr: \"::/0\", not: {fqdn: []}}}\n", 3, "empty list" },
	{ "version: 1\ngroups:\n  - {name: a, match: {image: []}}\n", 3, "empty list" },
	{ "version: 1\ngroups:\n  - {name: a, match: {image: \"\"}}\n", 3, "an image" },
	{ "version: 1\ngroups:\n  - {name: a, match: {image: {x: y}}}\n", 3, "an image" },
	{ "version: 1\ngroups:\n  - {name: a, match: {images: x}}\n", 3, "did you mean image" },
	{ "version: 1\ngroups:\n  - {name: a, match: {netns: []}}\n", 3, "empty list" },
	{ "version: 1\ngroups:\n  - {name: a, match: {netns: [x,\n    a/b]}}\n", 4, "/run/netns" },
	{ "version: 1\ngroups:\n  - {name: a, match: {not: {image: x}}}\n", 3, "names nobody" },
	{ "version: 1\ngroups:\n  - {name: a, match: {workload: a, not:}}\n", 3, "" },
	{ "version: 1\ngroups:\n  - {name: a, match: {workload: a, not: x}}\n", 3, "mapping" },
	{ "version: 1\ngroups:\n  - {name: a, match: {group: []}}\n", 3, "empty list" },
	{ "version: 1\ngroups:\n  - {name: a, match: {group: b}}\n", 3, "'b'" },
	{ "version: 1\ngroups:\n  - {name: a, match: {group: {x: y}}}\n", 3, "the name of a group" },
	{ "version: 1\ngroups:\n  - {name: a, match: {group: \"\\x01a\"}}\n", 3, "the name of a group" },
	{ "version: 1\ngroups:\n  - {name: a, match: {groups: b}}\n", 3, "did you mean group" },
	{ "version: 1\ngroups:\n  - {name: a, match: {not: {group: any}}}\n", 3, "names nobody" },
	{ "version: 1\ngroups:\n  - {name: a, match: {group: a}}\n", 3, "hold itself: a > a" },
	{ "version: 1\ngroups:\n  - {name: a, match: {workload: x, not: {group: a}}}\n", 3, "hold itself: a > a" },
	{ "version: 1\ngroups:\n  - {name: a, match: {group: b}}\n  - {name: b, match: {group: [any,\n    c]}}\n  - {name: c, match: {cidr: 10.0.0.0/8, not: {group:\n    b}}}\n", 7, "hold itself: b > c > b" },
	{ "version: 1\ngroups:\n  - {name: n, match: {fqdn: a.x}}\n  - {name: m, match: {group: n}}\n  - {name: a, mode: protect, match: {group: [m]}}\n", 5, "group a: it hangs on names by way of group m" },
	{ "version: 1\ngroups:\n  - {name: n, match: {fqdn: a.x}}\n  - {name: a, mode: monitor, match: {workload: a, not: {workload: b, group: n}}}\n", 4, "has no mode" },
	{ "version: 1\ngroups:\n  - {name: a, match: {workload: b, not: {not: {}}}}\n", 3, "no such key" },
	{ "version: 1\ngroups:\n  - {name: a, match: {workloads: b}}\n", 3, "did you mean workload" },
	{ "version: 1\ngroups:\n  - {name: any, match: {workload: b}}\n", 3, "reserved" },
	{ "version: 1\ngroups:\n  - {name: a, match: {workload: b}}\n  - {name: a, match: {workload: c}}\n", 4, "twice" },
	{ "version: 1\ngroups:\n  - {name: a, match: {workload: b}, mode: x}\n", 3, "protect" },
	{ "version: 1\ngroups: &a\n  - {name: a, match: {workload: b}}\nrules: *a\n", 3, "anchor" },
	{ "version: 1\ngroups: [\n", 0, "" },
};

static void test_wrong(void)
{
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct err e = { "" };
		struct policy_file *pf = policy_file_parse(wrong[i].text, "p.yaml", &e);
		char place[32];

		snprintf(place, sizeof place, wrong[i].line ? "p.yaml:%d: " : "p.yaml:", wrong[i].line);
		CU_ASSERT_PTR_NULL(pf);
		policy_file_free(pf);
		if (strncmp(e.text, place, strlen(place)) || !strstr(e.text, wrong[i].words) || strchr(e.text, '\n')) {
			printf("\n%s-> %s (wanted %s ... %s)\n", wrong[i].text, e.text, place, wrong[i].words);
			CU_FAIL("message");
		}
	}
}

static void test_no_file(void)
{
	struct err e = { "" };

	CU_ASSERT_PTR_NULL(policy_file_load("/nowhere/policy.yaml", &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "/nowhere/policy.yaml: No such file"));
}

const struct unit_test tests_policy_file[] = {
	{ "groups", test_groups },
	{ "rules", test_rules },
	{ "matchers", test_matchers },
	{ "limits", test_limits },
	{ "each mistake and its line", test_wrong },
	{ "no file", test_no_file },
	{ 0 },
};
