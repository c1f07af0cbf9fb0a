/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is in a group: each key as a user means it, and 100,000 random cases of whole policy files against an evaluator that reads the contract from
 * top to bottom: what each pattern holds is written down by hand, groups of groups are looked into one by one, rules are tried in their order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy_file.h"
#include "base/hash.h"
#include "tests/unit/unit.h"

static bool is_in(const struct policy_file *pf, const char *group, const struct policy_who *who, const char *address)
{
	int g = policy_group_by_name(policy_file_policy(pf), group);
	struct group_set own, all;
	struct addr a;

	CU_ASSERT_FATAL(g >= 0 && !addr_parse(address, &a));
	if (who)
		policy_file_groups(pf, who, &own);
	policy_groups(policy_file_policy(pf), &a, who ? &own : NULL, &all);
	return set_has(&all, (unsigned)g);
}

/* One group of one match. */
static struct policy_file *of_match(const char *match)
{
	struct err e = { "" };
	struct policy_file *pf;
	char text[1024];

	snprintf(text, sizeof text, "version: 1\ngroups:\n  - {name: g, match: {%s}}\n  - {name: web, match: {workload: \"web*\"}}\n  - {name: lan, match: {cidr: 10.0.0.0/8}}\n", match);
	pf = policy_file_parse(text, "p", &e);
	CU_ASSERT_STRING_EQUAL(e.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(pf);
	return pf;
}

static void test_keys(void)
{
	static const struct {
		const char *match, *image, *netns;
		bool in;
	} cases[] = {
		/* an image as it is said, without its digest, and without its tag */
		{ "image: nginx", "nginx", NULL, true },
		{ "image: nginx", "nginx:1.25", NULL, true },
		{ "image: nginx", "docker.io/library/nginx:1.25@sha256:0a1b", NULL, true },
		{ "image: docker.io/library/nginx", "nginx:1.25", NULL, true },
		{ "image: docker.io/shop/api", "shop/api", NULL, true },
		{ "image: nginx", "shop/nginx", NULL, false },
		{ "image: nginx", "nginx-debug:1", NULL, false },
		{ "image: \"nginx:1.*\"", "nginx:1.25", NULL, true },
		{ "image: \"nginx:1.*\"", "nginx:2.0", NULL, false },
		{ "image: \"nginx:1.*\"", "nginx", NULL, false },
		{ "image: \"nginx:1.25\"", "nginx:1.25@sha256:0a1b", NULL, true },
		{ "image: \"nginx@sha256:0a1b\"", "nginx@sha256:0a1b", NULL, true },
		{ "image: \"nginx@sha256:0a1b\"", "nginx@sha256:0a1c", NULL, false },
		{ "image: \"registry.example:5000/shop/*\"", "registry.example:5000/shop/api:2", NULL, true },
		{ "image: \"registry.example:5000/shop/api\"", "registry.example:5000/shop/api", NULL, true },
		{ "image: registry.example", "registry.example:5000/shop/api", NULL, false },
		{ "image: [redis, nginx]", "nginx", NULL, true },
		{ "image: \"*\"", "anything:1", NULL, true },
		{ "image: \"*\"", NULL, NULL, false },		/* not known: in no group that asks */
		{ "workload: \"*\", not: {image: \"*\"}", NULL, NULL, true },
		{ "workload: \"*\", not: {image: nginx}", "nginx:1", NULL, false },
		/* a netns by its name under /run/netns, or by its path */
		{ "netns: blue", NULL, "/run/netns/blue", true },
		{ "netns: blue", NULL, "/var/run/netns/blue", true },
		{ "netns: \"bl*\"", NULL, "/run/netns/blue", true },
		{ "netns: blue", NULL, "/run/netns/blueish", false },
		{ "netns: blue", NULL, "/run/docker/netns/blue", false },
		{ "netns: \"*\"", NULL, "/proc/7/ns/net", false },
		{ "netns: \"*\"", NULL, NULL, false },
		{ "netns: /run/docker/netns/blue", NULL, "/run/docker/netns/blue", true },
		{ "netns: \"/proc/*\"", NULL, "/proc/7/ns/net", true },
		{ "netns: \"/run/netns/cni-*\"", NULL, "/var/run/netns/cni-1", true },
		{ "netns: \"/var/run/netns/cni-*\"", NULL, "/run/netns/cni-1", true },
		{ "netns: [red, blue], image: nginx", "nginx", "/run/netns/blue", true },
		{ "netns: [red, blue], image: nginx", "redis", "/run/netns/blue", false },
		{ "netns: blue, not: {image: nginx}", "nginx", "/run/netns/blue", false },
		/* other groups: web holds it, lan does not */
		{ "group: web", NULL, NULL, true },
		{ "group: [lan, web]", NULL, NULL, true },
		{ "group: lan", NULL, NULL, false },
		{ "group: any", NULL, NULL, true },
		{ "group: any, not: {group: web}", NULL, NULL, false },
		{ "group: web, image: nginx", "redis", NULL, false },
		{ "group: web, image: nginx", "nginx", NULL, true },
		{ "group: web, cidr: 10.0.0.0/8", NULL, NULL, false },
		{ "workload: \"*\", not: {group: lan}", NULL, NULL, true },
		{ "workload: \"*\", not: {group: web}", NULL, NULL, false },
		{ "workload: \"*\", not: {group: web, image: nginx}", "redis", NULL, true },	/* keys of not: AND */
		{ "workload: \"*\", not: {group: web, image: nginx}", "nginx", NULL, false },
		{ "workload: \"*\", not: {workload: \"web*\", cidr: 10.0.0.0/8}", NULL, NULL, true },
		{ "workload: \"*\", not: {workload: \"web*\", cidr: 192.0.2.0/24}", NULL, NULL, false },
		{ "cidr: 192.0.2.0/24, not: {workload: \"web*\", group: lan}", NULL, NULL, true },
		{ "cidr: 192.0.2.0/24, not: {workload: \"web*\", group: web}", NULL, NULL, false },
	};

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct policy_who who = { .name = "web-1", .image = cases[i].image, .netns = cases[i].netns };
		struct policy_file *pf = of_match(cases[i].match);

		if (is_in(pf, "g", &who, "192.0.2.1") != cases[i].in) {
			printf("\n    %s: image %s, netns %s\n", cases[i].match, cases[i].image, cases[i].netns);
			CU_FAIL("a group's key");
		}
		policy_file_free(pf);
	}
}

/* Groups stand above and below those that they name, five deep; who is no workload is in them too. */
static void test_nested(void)
{
	static const char text[] =
		"version: 1\ngroups:\n"
		"  - {name: all, match: {group: [shops, lan6]}, mode: monitor}\n"
		"  - {name: shops, match: {group: [eu, us]}}\n"
		"  - {name: eu, match: {group: front, image: shop}, mode: protect}\n"
		"  - {name: front, match: {netns: \"shop-*\"}}\n"
		"  - {name: us, match: {group: lan, not: {group: eu}}}\n"
		"  - {name: lan, match: {cidr: 10.0.0.0/8}}\n"
		"  - {name: lan6, match: {cidr: \"fd00::/8\"}}\n"
		"rules:\n  - {id: 1, from: all, to: any, action: allow}\n";
	struct err e = { "" };
	struct policy_file *pf = policy_file_parse(text, "p", &e);
	const struct policy_who shop = { .name = "x", .image = "shop:1", .netns = "/run/netns/shop-1" }, other = { .name = "y", .image = "other", .netns = "/run/netns/shop-2" };
	struct group_set own, all;
	struct addr a;

	CU_ASSERT_STRING_EQUAL(e.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(pf);
	CU_ASSERT(is_in(pf, "eu", &shop, "192.0.2.1") && is_in(pf, "shops", &shop, "192.0.2.1") && is_in(pf, "all", &shop, "2001:db8::1"));
	CU_ASSERT(!is_in(pf, "us", &shop, "10.1.1.1"));
	CU_ASSERT(!is_in(pf, "eu", &other, "10.1.1.1") && is_in(pf, "us", &other, "10.1.1.1") && is_in(pf, "all", &other, "10.1.1.1"));
	CU_ASSERT(!is_in(pf, "all", &other, "192.0.2.1"));
	CU_ASSERT(is_in(pf, "us", NULL, "10.1.1.1") && is_in(pf, "all", NULL, "fd00::1") && !is_in(pf, "all", NULL, "2001:db8::1"));
	/* the mode of the first group in file order, which is one of groups */
	policy_file_groups(pf, &shop, &own);
	CU_ASSERT(!addr_parse("192.0.2.1", &a));
	policy_groups(policy_file_policy(pf), &a, &own, &all);
	CU_ASSERT_EQUAL(policy_mode_of(policy_file_policy(pf), &all), MODE_MONITOR);
	policy_file_free(pf);
}

/* ---- rules that never match ---- */

static void on_shadow(void *ctx, uint32_t rule, unsigned line, uint32_t by, unsigned by_line)
{
	uint32_t *of = ctx;

	(void)line;
	(void)by_line;
	of[rule] = by;
}

/* Groups that hold what another one does, as far as it can be read off; and those that only look so. */
static void test_held_by_another(void)
{
	static const struct { const char *first, *then; bool told; } cases[] = {
		{ "workload: a", "workload: a", true },			/* the same, said in another way */
		{ "workload: [a, b], labels: {x: y, z: w}", "labels: {z: w, x: y}, workload: [b, a]", true },
		{ "cidr: 10.0.0.0/8, not: {workload: a, group: any}", "not: {group: [any], workload: [a]}, cidr: [10.0.0.0/8]", true },
		{ "workload: a", "workload: b", false },
		{ "workload: a", "image: a", false },
		{ "workload: a", "workload: a, not: {image: b}", false },	/* true, but not told */
		{ "cidr: 10.0.0.0/8", "cidr: [10.1.0.0/16, 10.2.0.1]", true },	/* prefixes around each of its own */
		{ "cidr: [10.0.0.0/8, \"::/0\"]", "cidr: [10.1.0.0/16, \"fd00::/8\"], labels: {x: y}", true },
		{ "cidr: 10.0.0.0/8", "cidr: [10.1.0.0/16, 11.0.0.1]", false },
		{ "cidr: \"::/0\"", "cidr: 10.1.0.0/16", false },
		{ "cidr: 10.0.0.0/8, not: {cidr: 10.1.2.0/24}", "cidr: 10.1.0.0/16", false },
		{ "cidr: 10.0.0.0/8, labels: {x: y}", "cidr: 10.1.0.0/16", false },
		{ "cidr: 10.0.0.0/8", "labels: {x: y}, not: {cidr: 10.1.0.0/16}", false },
		{ "group: [m1, m2]", "group: m1", true },		/* members */
		{ "group: [m1, m2]", "group: [m2, m1], labels: {x: y}, not: {cidr: 10.0.0.0/8}", true },
		{ "group: m1", "group: [m1, m2]", false },
		{ "group: [m1, m2], not: {group: m3}", "group: m1", false },
		{ "group: [m1, m2], labels: {x: y}", "group: m1", false },
		{ "group: [m3, n1]", "group: m1, labels: {x: y}", true },	/* n1 is m1 and m2 */
		{ "group: n1", "workload: m1", true },			/* what m1 asks for */
		{ "group: n2", "cidr: 10.1.2.3", true },		/* n2 is m4, which is 10.0.0.0/8 */
		{ "group: any", "labels: {x: y}", true },
		{ "group: n3", "group: any", true },			/* n3 is any */
	};

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (unsigned side = 0; side < 2; side++) {
			uint32_t by[4] = { 0 };
			struct err e = { "" };
			struct policy_file *pf;
			char text[2048];

			snprintf(text, sizeof text, "version: 1\ngroups:\n  - {name: b, match: {%s}}\n  - {name: a, match: {%s}}\n  - {name: m1, match: {workload: m1}}\n  - {name: m2, match: {image: m2}}\n"
				 "  - {name: m3, match: {netns: m3}}\n  - {name: n1, match: {group: [m1, m2]}}\n  - {name: m4, match: {cidr: 10.0.0.0/8}}\n  - {name: n2, match: {group: m4}}\n"
				 "  - {name: n3, match: {group: [any, m1]}}\nrules:\n  - {id: 1, from: %s, to: %s, ports: tcp/1-9, action: allow}\n  - {id: 2, from: %s, to: %s, ports: tcp/2, action: deny}\n"
				 "  - {id: 3, from: %s, to: %s, ports: tcp/10, action: deny}\n", cases[i].then, cases[i].first, side ? "any" : "[m3, a]", side ? "[m3, a]" : "any", side ? "m3" : "b",
				 side ? "b" : "m3", side ? "m3" : "b", side ? "b" : "m3");
			pf = policy_file_parse(text, "p", &e);
			CU_ASSERT_STRING_EQUAL(e.text, "");
			CU_ASSERT_PTR_NOT_NULL_FATAL(pf);
			CU_ASSERT_TRUE(policy_shadowed(policy_file_policy(pf), on_shadow, by));
			if ((by[2] == 1) != cases[i].told || by[3]) {
				printf("\n    %s | %s: %u %u\n", cases[i].first, cases[i].then, by[2], by[3]);
				CU_FAIL("what is told never to match");
			}
			policy_file_free(pf);
		}
	}
}

/* Where a name is lost an allow rule does not hold and one that refuses does: the second is reached. */
static void test_names_shadow_alike_only(void)
{
	static const char *const actions[] = { "allow", "deny" };

	for (unsigned i = 0; i < 4; i++) {
		uint32_t by[3] = { 0 };
		struct err e = { "" };
		struct policy_file *pf;
		char text[512];

		snprintf(text, sizeof text, "version: 1\ngroups:\n  - {name: g, match: {group: n}}\n  - {name: n, match: {fqdn: \"*.x\"}}\nrules:\n  - {id: 1, from: any, to: g, action: %s}\n"
			 "  - {id: 2, from: any, to: g, ports: tcp/1, action: %s}\n", actions[i / 2], actions[i % 2]);
		pf = policy_file_parse(text, "p", &e);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pf);
		CU_ASSERT_TRUE(policy_shadowed(policy_file_policy(pf), on_shadow, by));
		CU_ASSERT_EQUAL(by[2], i / 2 == i % 2);
		policy_file_free(pf);
	}
}

/* A matcher that asks for the same again, or for more, in whatever order: told. One that asks for less or else, or allows where the other does not: not told. */
static void test_matchers_shadow(void)
{
	static const struct { const char *first, *then; bool told; } cases[] = {
		{ "http: {methods: [GET]}, action: allow", "http: {methods: [GET]}, action: allow", true },
		{ "http: {methods: [GET, HEAD], paths: [\"/a\"]}, action: deny", "http: {paths: [\"/a\"], methods: [HEAD, GET]}, action: drop", true },
		{ "http: {methods: [GET]}, action: deny", "http: {methods: [GET], paths: [\"/a\"]}, action: alert", true },
		{ "http: {headers: {X-A: b}}, action: deny", "http: {headers: {x-c: d, x-a: b}}, action: deny", true },
		{ "http: {methods: [GET]}, action: deny", "apps: [http2], http: {methods: [GET]}, action: deny", true },
		{ "apps: [http2], http: {methods: [GET]}, action: deny", "http: {methods: [GET]}, action: deny", false },
		{ "http: {methods: [GET]}, action: allow", "http: {methods: [GET]}, action: deny", false },	/* reached by what could not be read whole */
		{ "http: {methods: [GET], paths: [\"/a\"]}, action: deny", "http: {methods: [GET]}, action: deny", false },
		{ "http: {methods: [GET]}, action: deny", "http: {methods: [HEAD]}, action: deny", false },
		{ "http: {methods: [GET]}, action: deny", "http: {methods: [GET, HEAD]}, action: deny", false },
		{ "http: {methods: [a]}, action: deny", "http: {hosts: [a]}, action: deny", false },
		{ "http: {headers: {X-A: b}}, action: deny", "http: {headers: {X-C: b}}, action: deny", false },
		{ "pgsql: {verbs: [a]}, action: deny", "mysql: {verbs: [a]}, action: deny", false },
		{ "redis: {keys: [a]}, action: deny", "apps: [redis], action: deny", false },
	};

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint32_t by[3] = { 0 };
		struct err e = { "" };
		struct policy_file *pf;
		char text[512];

		snprintf(text, sizeof text, "version: 1\nrules:\n  - {id: 1, from: any, to: any, %s}\n  - {id: 2, from: any, to: any, %s}\n", cases[i].first, cases[i].then);
		pf = policy_file_parse(text, "p", &e);
		CU_ASSERT_STRING_EQUAL(e.text, "");
		CU_ASSERT_PTR_NOT_NULL_FATAL(pf);
		CU_ASSERT_TRUE(policy_shadowed(policy_file_policy(pf), on_shadow, by));
		if ((by[2] == 1) != cases[i].told) {
			printf("\n    %s", text);
			CU_FAIL("what is told never to match");
		}
		policy_file_free(pf);
	}
}

/* ---- random policies ---- */

#define NGROUPS 10
#define NRULES 6
#define NNAMES 4
#define NIMAGES 5
#define NNETNS 5
#define NADDRS 6

/* What there is, and for each pattern which of it is meant (bits). Image and netns 0 are not known. */
static const char *const names[NNAMES] = { "web-1", "web-2", "db-1", "api" };
static const char *const images[NIMAGES] = { NULL, "nginx:1.25", "docker.io/library/nginx@sha256:ab", "registry.example:5000/shop/api:2", "redis" };
static const char *const netnses[NNETNS] = { NULL, "/run/netns/web", "/var/run/netns/db", "/run/docker/netns/0a1b", "/proc/7/ns/net" };
static const char *const addrs[NADDRS] = { "10.0.0.1", "10.1.0.1", "192.0.2.1", "fd00::1", "fd00:1::1", "2001:db8::1" };
static const struct pattern { const char *text; unsigned means; } name_patterns[] = { { "web*", 3 }, { "db-1", 4 }, { "*", 15 }, { "???", 8 }, { "*-[12]", 7 } },
	image_patterns[] = { { "nginx", 6 }, { "nginx:1*", 2 }, { "registry.example:5000/*", 8 }, { "*", 30 }, { "redis", 16 } },
	netns_patterns[] = { { "web", 2 }, { "*", 6 }, { "/run/netns/*", 6 }, { "/proc/*", 16 }, { "/run/docker/netns/0a1b", 8 } },
	cidr_patterns[] = { { "10.0.0.0/8", 3 }, { "10.1.0.0/16", 2 }, { "fd00::/16", 24 }, { "::/0", 56 }, { "0.0.0.0/0", 7 } },
	label_patterns[] = { { "app: web", 1 }, { "tier: back", 2 } };	/* bits of the labels that a workload has */

enum kind { NAME, IMAGE, NETNS, LABELS, CIDR, GROUP, NKINDS };
static const struct { const char *key; const struct pattern *of; unsigned n; } kinds[NKINDS] = {
	{ "workload", name_patterns, 5 }, { "image", image_patterns, 5 }, { "netns", netns_patterns, 5 }, { "labels", label_patterns, 2 }, { "cidr", cidr_patterns, 5 }, { "group", NULL, 0 },
};

struct slow_group {
	unsigned asks[2];		/* bits of kinds; [1]: under `not` */
	unsigned means[2][NKINDS];	/* what the patterns mean together; GROUP: bits of groups, bit NGROUPS is `any` */
	int mode;
};

struct slow_rule {
	unsigned from, to;		/* bits of groups, as above */
	unsigned port;			/* 0: any */
	int verdict;
	int mode;
};

struct end {
	bool local;
	unsigned v[GROUP];		/* index of its name, image, netns; bits of labels; index of its address */
};

static unsigned pick(uint64_t *s, unsigned n) { return (unsigned)(hash_mix64(*s += 0x9e3779b97f4a7c15ULL) % n); }

static bool slow_in(const struct slow_group *all, unsigned g, const struct end *e);

static bool slow_part(const struct slow_group *all, const struct slow_group *g, unsigned not, const struct end *e)
{
	for (unsigned k = 0; k < NKINDS; k++) {
		unsigned means = g->means[not][k];
		bool in = false;

		if (!(g->asks[not] >> k & 1))
			continue;
		if (k == GROUP) {
			in = means >> NGROUPS & 1;
			for (unsigned i = 0; i < NGROUPS; i++)
				in |= means >> i & 1 && slow_in(all, i, e);
		} else if (k == CIDR) {
			in = means >> e->v[CIDR] & 1;
		} else if (k == LABELS) {
			in = e->local && !(means & ~e->v[LABELS]);	/* all of them */
		} else {
			in = e->local && means >> e->v[k] & 1;
		}
		if (!in)
			return false;
	}
	return true;
}

static bool slow_in(const struct slow_group *all, unsigned g, const struct end *e)
{
	return slow_part(all, &all[g], 0, e) && !(all[g].asks[1] && slow_part(all, &all[g], 1, e));
}

static unsigned slow_set(const struct slow_group *all, const struct end *e)
{
	unsigned set = 1u << NGROUPS;

	for (unsigned g = 0; g < NGROUPS; g++)
		set |= (unsigned)slow_in(all, g, e) << g;
	return set;
}

static int slow_mode(const struct slow_group *all, unsigned set)
{
	for (unsigned g = 0; g < NGROUPS; g++)
		if (set >> g & 1 && all[g].mode >= 0)
			return all[g].mode;
	return MODE_DISCOVER;
}

/* One `match` or `not`: may: groups that it may name. */
static void random_part(uint64_t *s, FILE *f, struct slow_group *g, unsigned not, unsigned may)
{
	const char *comma = "";

	while (!g->asks[not])
		for (unsigned k = 0; k < NKINDS; k++)
			g->asks[not] |= (unsigned)(pick(s, k == GROUP ? 2 : 5) == 0) << k;
	for (unsigned k = 0; k < NKINDS; k++) {
		unsigned n = 1 + pick(s, 2);

		if (!(g->asks[not] >> k & 1))
			continue;
		fprintf(f, "%s%s: %c", comma, kinds[k].key, k == LABELS ? '{' : '[');
		for (unsigned i = 0; i < n; i++) {
			unsigned at = k == GROUP ? pick(s, NGROUPS + 1) : pick(s, kinds[k].n);

			if (k == LABELS && i && g->means[not][k] & label_patterns[at].means)
				continue;	/* a key is there once */
			if (k == GROUP && !(may >> at & 1))
				at = NGROUPS;
			fputs(i ? ", " : "", f);
			g->means[not][k] |= k == GROUP ? 1u << at : kinds[k].of[at].means;
			if (k == LABELS)
				fputs(label_patterns[at].text, f);
			else if (k != GROUP)
				fprintf(f, "\"%s\"", kinds[k].of[at].text);
			else if (at == NGROUPS)
				fputs("any", f);
			else
				fprintf(f, "g%u", at);
		}
		putc(k == LABELS ? '}' : ']', f);
		comma = ", ";
	}
}

static void write_ends(FILE *f, const char *key, unsigned set)
{
	const char *comma = "";

	fprintf(f, ", %s: [", key);
	for (unsigned g = 0; g <= NGROUPS; g++)
		if (set >> g & 1) {
			fprintf(f, g == NGROUPS ? "%sany" : "%sg%u", comma, g);
			comma = ", ";
		}
	putc(']', f);
}

static const char *const modes[] = { "discover", "monitor", "protect" };

static char *random_file(uint64_t *s, struct slow_group *g, struct slow_rule *r)
{
	static const char *const actions[] = { [VERDICT_ALLOW] = "allow", [VERDICT_ALERT] = "alert", [VERDICT_DENY] = "deny", [VERDICT_DROP] = "drop" };
	static const int verdicts[] = { VERDICT_ALLOW, VERDICT_ALERT, VERDICT_DENY, VERDICT_DROP };
	unsigned rank[NGROUPS];
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		abort();
	memset(g, 0, NGROUPS * sizeof *g);
	for (unsigned i = 0; i < NGROUPS; i++)
		rank[i] = pick(s, 1000);
	fputs("version: 1\ngroups:\n", f);
	for (unsigned i = 0; i < NGROUPS; i++) {
		unsigned may = 0;

		for (unsigned k = 0; k < NGROUPS; k++)		/* those of a lower rank: above and below, none in a circle */
			may |= (unsigned)(rank[k] < rank[i]) << k;
		g[i].mode = pick(s, 3) ? -1 : (int)pick(s, 3);
		fprintf(f, "  - {name: g%u, match: {", i);
		random_part(s, f, &g[i], 0, may);
		if (pick(s, 2)) {
			fputs(", not: {", f);
			random_part(s, f, &g[i], 1, may);
			putc('}', f);
		}
		putc('}', f);
		if (g[i].mode >= 0)
			fprintf(f, ", mode: %s", modes[g[i].mode]);
		fputs("}\n", f);
	}
	fputs("rules:\n", f);
	for (unsigned i = 0; i < NRULES; i++) {
		r[i] = (struct slow_rule){ 1u << pick(s, NGROUPS + 1) | 1u << pick(s, NGROUPS), 1u << pick(s, NGROUPS + 1), pick(s, 3), verdicts[pick(s, 4)], pick(s, 4) ? -1 : (int)pick(s, 3) };
		fprintf(f, "  - {id: %u", i + 1);
		write_ends(f, "from", r[i].from);
		write_ends(f, "to", r[i].to);
		if (r[i].port)
			fprintf(f, ", ports: tcp/%u", r[i].port);
		if (r[i].mode >= 0)
			fprintf(f, ", mode: %s", modes[r[i].mode]);
		fprintf(f, ", action: %s}\n", actions[r[i].verdict]);
	}
	if (fclose(f))
		abort();
	return text;
}

static void random_end(uint64_t *s, struct end *e)
{
	*e = (struct end){ pick(s, 4) != 0, { pick(s, NNAMES), pick(s, NIMAGES), pick(s, NNETNS), pick(s, 4), pick(s, NADDRS) } };
}

static void end_groups(const struct policy_file *pf, const struct end *e, struct group_set *out)
{
	static struct label app = { "app", "web" }, tier = { "tier", "back" };
	struct label have[2];
	struct labels labels = { have, 0 };
	struct policy_who who = { names[e->v[NAME]], &labels, images[e->v[IMAGE]], netnses[e->v[NETNS]] };
	struct group_set own;
	struct addr a;

	if (e->v[LABELS] & 1)
		have[labels.n++] = app;
	if (e->v[LABELS] & 2)
		have[labels.n++] = tier;
	policy_file_groups(pf, &who, &own);
	if (addr_parse(addrs[e->v[CIDR]], &a))
		abort();
	policy_groups(policy_file_policy(pf), &a, e->local ? &own : NULL, out);
}

static void test_random(void)
{
	unsigned cases = 0, wrong = 0, matched[NRULES + 1] = { 0 }, enforced = 0, in[2] = { 0, 0 }, shadowed = 0;
	uint64_t s = 20261130;

	for (unsigned round = 0; round < 2000; round++) {
		struct slow_group g[NGROUPS];
		struct slow_rule r[NRULES];
		char *text = random_file(&s, g, r);
		uint32_t by[NRULES + 1] = { 0 };
		struct err e = { "" };
		struct policy_file *pf = policy_file_parse(text, "p", &e);

		if (!pf)
			printf("\n%s%s\n", text, e.text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pf);
		CU_ASSERT_TRUE(policy_shadowed(policy_file_policy(pf), on_shadow, by));
		for (unsigned i = 1; i <= NRULES; i++)
			shadowed += by[i] != 0;
		for (unsigned i = 0; i < 50; i++, cases++) {
			struct end end[2];
			struct group_set got[2];
			struct policy_query q = { .from = &got[0], .to = &got[1], .ipproto = 6, .port = (uint16_t)(1 + pick(&s, 3)), .app = APP_SSH, .app_known = true };
			unsigned set[2], no = 0, mode = MODE_DISCOVER;
			struct policy_answer a;

			for (unsigned k = 0; k < 2; k++) {
				random_end(&s, &end[k]);
				set[k] = slow_set(g, &end[k]);
				end_groups(pf, &end[k], &got[k]);
				if (end[k].local && slow_mode(g, set[k]) > (int)mode)
					mode = (unsigned)slow_mode(g, set[k]);
				for (unsigned x = 0; x < NGROUPS; x++) {	/* numbers are those of the file's order, from 1 on */
					wrong += set_has(&got[k], x + 1) != (set[k] >> x & 1);
					in[set[k] >> x & 1]++;
				}
				if (end[k].local && (int)policy_mode_of(policy_file_policy(pf), &got[k]) > (int)q.mode)
					q.mode = policy_mode_of(policy_file_policy(pf), &got[k]);
			}
			while (no < NRULES && !(r[no].from & set[0] && r[no].to & set[1] && (!r[no].port || r[no].port == q.port)))
				no++;
			a = policy_judge(policy_file_policy(pf), &q);
			wrong += a.rule != (no < NRULES ? no + 1 : 0) || (no < NRULES && (int)a.verdict != r[no].verdict) ||
				a.enforce != ((no < NRULES && r[no].mode >= 0 ? r[no].mode : (int)mode) == MODE_PROTECT);
			wrong += no < NRULES && by[no + 1];	/* what is told never to match did */
			matched[no]++;
			enforced += a.enforce;
		}
		if (wrong) {
			printf("\n%s", text);
			CU_FAIL_FATAL("the compiled policy and the slow evaluator disagree");
		}
		policy_file_free(pf);
		free(text);
	}
	CU_ASSERT_EQUAL(cases, 100000);
	CU_ASSERT(enforced > 10000 && enforced < 90000 && in[0] > 400000 && in[1] > 400000);
	CU_ASSERT(shadowed > 1000);
	for (unsigned i = 0; i <= NRULES; i++)
		CU_ASSERT(matched[i] > 1000);
}

/* ---- broken files ---- */

/* Changes a few places: a byte, a piece taken out, a piece that stands elsewhere in the file put in. */
static void mutate(uint64_t *s, char *text, size_t *n, size_t size)
{
	for (unsigned k = 1 + pick(s, 3); k; k--) {
		size_t at = pick(s, (unsigned)*n), from = pick(s, (unsigned)*n), len = 1 + pick(s, 24);

		len = len > *n - at ? *n - at : len;
		switch (pick(s, 8)) {
		case 0:
			text[at] = "{}[],:\"\\#&*-|\n\t a0\x80\xff"[pick(s, 20)];
			break;
		case 1:
			if (*n - len < 64)
				break;
			memmove(text + at, text + at + len, *n - at - len);
			*n -= len;
			break;
		case 2:
			len = len > *n - from ? *n - from : len;
			if (*n + len >= size)
				break;
			memmove(text + at + len, text + at, *n - at);
			memmove(text + at, text + (from >= at ? from + len : from), from < at && from + len > at ? at - from : len);
			*n += len;
			break;
		default:
			while (at < *n && !strchr("0123456789gw*", text[at]))
				at++;
			if (at < *n)
				text[at] = "0123456789gw*"[pick(s, 13)];
			break;
		}
	}
	text[*n] = '\0';
}

/* Broken files are refused with one line that names the file, or mean something; none does harm. */
static void test_broken(void)
{
	unsigned taken = 0, refused = 0;
	uint64_t s = 8;

	for (unsigned i = 0; i < 20000; i++) {
		struct slow_group g[NGROUPS];
		struct slow_rule r[NRULES];
		char *whole = random_file(&s, g, r), text[16384];
		struct err e = { "" };
		struct policy_file *pf;
		size_t n = strlen(whole);

		CU_ASSERT_FATAL(n < sizeof text / 2);
		memcpy(text, whole, n);
		free(whole);
		mutate(&s, text, &n, sizeof text);
		pf = policy_file_parse(text, "p.yaml", &e);
		if (pf) {
			struct end end;
			struct group_set got;

			random_end(&s, &end);
			end_groups(pf, &end, &got);
			CU_ASSERT(set_has(&got, POLICY_GROUP_ANY));
			taken++;
		} else {
			CU_ASSERT(!strncmp(e.text, "p.yaml:", 7) && !strchr(e.text, '\n'));
			refused++;
		}
		policy_file_free(pf);
	}
	CU_ASSERT(taken > 1000 && refused > 1000);
}

const struct unit_test tests_policy_groups[] = {
	{ "each key", test_keys },
	{ "groups of groups", test_nested },
	{ "groups that another one holds", test_held_by_another },
	{ "names are lost for some actions only", test_names_shadow_alike_only },
	{ "matchers that ask for the same again", test_matchers_shadow },
	{ "100,000 random cases against a slow evaluator", test_random },
	{ "20,000 broken files", test_broken },
	{ 0 },
};
