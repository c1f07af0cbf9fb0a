/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups that ask for names: patterns, what is a name, and judging while a name is known, may come, or never will, against a slow evaluator
 * that tries every name that could be shown. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dpi/fqdn.h"
#include "dpi/record.h"
#include "tests/unit/dpi/packets.h"
#include "tests/unit/unit.h"

static struct bytes text_of(const char *s) { return (struct bytes){ (const uint8_t *)s, strlen(s) }; }

static void test_names(void)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "Api.Example", "api.example" }, { "a.b.", "a.b" }, { "a", "a" }, { "_x-1.2", "_x-1.2" },
		{ "", NULL }, { ".", NULL }, { "a..b", NULL }, { ".a", NULL }, { "a.b..", NULL }, { "a b", NULL }, { "a\\.b", NULL }, { "*.a", NULL },
		{ "[::1]", NULL }, { "b\xc3\xbc" "cher.example", NULL },
		{ "a23456789012345678901234567890123456789012345678901234567890123.x", "a23456789012345678901234567890123456789012345678901234567890123.x" },
		{ "a234567890123456789012345678901234567890123456789012345678901234.x", NULL },
	};
	char out[FQDN_NAME_MAX + 1], longest[300];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n = fqdn_name(text_of(rows[i].in), out);

		CU_ASSERT_EQUAL(n, rows[i].out ? strlen(rows[i].out) : 0);
		CU_ASSERT(!n || !strcmp(out, rows[i].out));
	}
	for (size_t i = 0; i < sizeof longest; i++)
		longest[i] = i % 2 ? '.' : 'a';
	CU_ASSERT_EQUAL(fqdn_name((struct bytes){ (const uint8_t *)longest, 253 }, out), 253);
	CU_ASSERT_EQUAL(fqdn_name((struct bytes){ (const uint8_t *)longest, 254 }, out), 253);	/* its last dot is the root's */
	CU_ASSERT_EQUAL(fqdn_name((struct bytes){ (const uint8_t *)longest, 255 }, out), 0);
}

static void test_patterns(void)
{
	static const char *const patterns[] = { "api.example", "*.Example.", "*", "a*.example", "x.*", "*.deep.example", "*b.example" };
	static const struct { const char *name; unsigned want; } rows[] = {
		{ "api.example", 1 | 2 | 4 | 8 }, { "example", 4 }, { "b.example", 2 | 4 | 64 }, { "a.b.example", 2 | 4 | 8 | 64 }, { "evilexample", 4 },
		{ "x.y", 4 | 16 }, { "x.y.z", 4 | 16 }, { "deep.example", 2 | 4 }, { "q.deep.example", 2 | 4 | 32 }, { "api.example.evil", 4 }, { "xa.example.com", 4 },
	};
	struct fqdn f = { 0 };

	for (unsigned i = 0; i < 7; i++)
		CU_ASSERT_EQUAL(fqdn_add(&f, patterns[i], i, i % 2), 0);
	fqdn_sort(&f);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct group_set in = { { 0 } }, not = { { 0 } };

		fqdn_mark(&f, text_of(rows[i].name), &in, &not);
		CU_ASSERT_EQUAL(in.bits[0] | not.bits[0], rows[i].want);
		CU_ASSERT_EQUAL(in.bits[0], rows[i].want & 0x55);
		if ((in.bits[0] | not.bits[0]) != rows[i].want)
			printf("\n    %s: %#lx, not %#x\n", rows[i].name, (unsigned long)(in.bits[0] | not.bits[0]), rows[i].want);
	}
	CU_ASSERT_EQUAL(fqdn_add(&f, "", 1, false), -EINVAL);
	CU_ASSERT_EQUAL(fqdn_add(&f, "a..b", 1, false), -EINVAL);
	CU_ASSERT_EQUAL(fqdn_add(&f, "a?.b", 1, false), -EINVAL);
	for (unsigned i = 2; i < FQDN_GLOBS_MAX - 1; i++)
		CU_ASSERT_EQUAL(fqdn_add(&f, "a*b", 1, false), 0);
	CU_ASSERT_EQUAL(fqdn_add(&f, "a*b", 1, false), -E2BIG);
	CU_ASSERT_EQUAL(fqdn_add(&f, "*.b", 1, false), 0);
	fqdn_free(&f);
}

static void test_refused(void)
{
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	struct err e = { "" };
	unsigned plain = (unsigned)policy_add_group(b, "plain", -1, &e), mode = (unsigned)policy_add_group(b, "mode", MODE_MONITOR, &e);

	CU_ASSERT(policy_group_fqdn(b, plain, "a b", false, &e) == -EINVAL && strstr(e.text, "a b"));
	CU_ASSERT(policy_group_fqdn(b, mode, "a.b", false, &e) == -EINVAL && strstr(e.text, "mode"));
	CU_ASSERT(policy_group_fqdn(b, 99, "a.b", false, &e) == -EINVAL);
	CU_ASSERT_EQUAL(policy_group_fqdn(b, plain, "a.b", true, &e), 0);
	policy_builder_free(b);
}

/* ---- against a slow evaluator ---- */

#define NG 5
#define NR 8
#define NNAMES 4
static const char *const names[NNAMES] = { "a.x", "b.x", "a.y", "z" };
#define NPATTERNS 6
static const struct { const char *text; unsigned names; } patterns[NPATTERNS] = {
	{ "a.x", 1 }, { "*.x", 3 }, { "a.*", 5 }, { "*", 15 }, { "z", 8 }, { "b.x", 2 },
};
static const enum app apps[] = { APP_TLS, APP_HTTP, APP_GRPC, APP_SSH, APP_UNKNOWN };
#define NAPPS 5

struct slow_group {
	bool workload, minus_workload;	/* it asks for the caller's bit; the bit subtracts */
	unsigned names, not_names;	/* bits of names; 0: it does not ask */
	unsigned members, not_members;	/* bits of groups, 0 is `any`; as above */
};

struct slow_rule {
	unsigned from, to;
	int app;			/* of apps; -1: none */
	enum verdict action;
};

/* What the flow shows: bits of names, 0: nothing. */
static bool slow_names(unsigned wants, unsigned of_addr, unsigned shown) { return (wants & of_addr) && (shown & wants) == shown; }

static bool slow_in(const struct slow_group *all, unsigned i, unsigned own, unsigned of_addr, unsigned shown);

static bool slow_in_one(const struct slow_group *all, unsigned members, unsigned own, unsigned of_addr, unsigned shown)
{
	bool in = members & 1;

	for (unsigned i = 1; i <= NG; i++)
		in |= members >> i & 1 && slow_in(all, i, own, of_addr, shown);
	return in;
}

static bool slow_in(const struct slow_group *all, unsigned i, unsigned own, unsigned of_addr, unsigned shown)
{
	const struct slow_group *g = &all[i];
	bool bit = own >> i & 1, gone = (g->minus_workload || g->not_names || g->not_members) && (!g->minus_workload || bit) &&
		(!g->not_names || slow_names(g->not_names, of_addr, shown)) && (!g->not_members || slow_in_one(all, g->not_members, own, of_addr, shown));

	return (g->workload || g->names || g->members) && (!g->workload || bit) && (!g->names || slow_names(g->names, of_addr, shown)) &&
	       (!g->members || slow_in_one(all, g->members, own, of_addr, shown)) && !gone;
}

static unsigned slow_set(const struct slow_group *g, unsigned own, unsigned of_addr, unsigned shown)
{
	unsigned set = 1;

	for (unsigned i = 1; i <= NG; i++)
		set |= (unsigned)slow_in(g, i, own, of_addr, shown) << i;
	return set;
}

/* Everything is known: the rule, 0: none. */
static uint32_t slow_rule_of(const struct slow_rule *r, unsigned n, unsigned from, unsigned to, enum app app)
{
	for (unsigned i = 0; i < n; i++)
		if (r[i].from & from && r[i].to & to && (r[i].app < 0 || app_is(app, apps[r[i].app])))
			return i + 1;
	return 0;
}

static bool slow_shows(enum app a) { return a == APP_TLS || a == APP_HTTP || a == APP_GRPC; }

struct flow_case {
	unsigned own[2], of_addr[2], shown;
	bool later;
};

static void known_names(const struct policy *p, unsigned of_addr, struct policy_names *n)
{
	memset(n, 0, sizeof *n);
	for (unsigned i = 0; i < NNAMES; i++)
		if (of_addr >> i & 1)
			policy_name_of_addr(p, n, text_of(names[i]));
}

static struct policy_answer judge(const struct policy *p, const struct flow_case *c, bool app_known, enum app app, struct record *rec, bool partial)
{
	static const struct fact host = { "hostname", FACT_HTTP_HOST };
	struct group_set own[2] = { { { c->own[0] } }, { { c->own[1] } } }, set[2], sure[2];
	struct addr a = { { 0x20, 1 } };
	struct policy_names n;
	struct facts facts = { 0 };
	struct policy_query q = { .from = &set[0], .to = &set[1], .from_sure = &sure[0], .to_sure = &sure[1], .ipproto = 6, .port = 80, .app = app,
				  .app_known = app_known, .mode = MODE_PROTECT };

	if (rec) {
		rec_reset(rec);
		for (unsigned i = 0; i < NNAMES; i++)
			if (c->shown >> i & 1)
				rec_cstr(rec, &host, i == 1 ? "B.X" : names[i]);
		facts = (struct facts){ .body = rec->body, .len = rec->len, .partial = partial };
		q.facts = &facts;
	}
	known_names(p, c->of_addr[0], &n);
	policy_groups_named(p, &a, &own[0], &n, &set[0], &sure[0]);
	known_names(p, c->of_addr[1], &n);
	n.later = c->later;
	policy_name_of_flow(p, &n, app_known, app, rec ? &facts : NULL);
	q.names_lost = n.shown == SHOWN_LOST;
	policy_groups_named(p, &a, &own[1], &n, &set[1], &sure[1]);
	return policy_judge(p, &q);
}

static void build(uint64_t *s, struct slow_group *g, struct slow_rule *r, unsigned n, struct policy **out)
{
	static const enum verdict actions[] = { VERDICT_ALLOW, VERDICT_ALERT, VERDICT_DENY, VERDICT_DROP };
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	struct err e;

	memset(g, 0, (NG + 1) * sizeof *g);
	for (unsigned i = 1; i <= NG; i++) {
		char name[8];
		unsigned kind = (unsigned)(rnd(s) % 4);

		snprintf(name, sizeof name, "g%u", i);
		policy_add_group(b, name, -1, &e);
		g[i].workload = kind != 0;
		g[i].minus_workload = !g[i].workload && rnd(s) % 4 == 0;
		if (g[i].workload)
			policy_group_needs_workload(b, i);
		if (g[i].minus_workload)
			policy_group_minus_workload(b, i);
		for (unsigned k = 0; kind < 3 && k < 1 + rnd(s) % 2; k++) {
			unsigned pat = (unsigned)(rnd(s) % NPATTERNS);

			CU_ASSERT_EQUAL(policy_group_fqdn(b, i, patterns[pat].text, false, &e), 0);
			g[i].names |= patterns[pat].names;
		}
		for (unsigned k = 0; k < rnd(s) % 3; k++) {
			unsigned pat = (unsigned)(rnd(s) % NPATTERNS);

			CU_ASSERT_EQUAL(policy_group_fqdn(b, i, patterns[pat].text, true, &e), 0);
			g[i].not_names |= patterns[pat].names;
		}
	}
	for (unsigned i = 1; i <= NG; i++) {	/* odd ones are of those above, even ones of odd ones below: none of itself */
		unsigned may = i % 2 ? 0 : 0x2au & ((1u << i) - 1);

		may |= i % 2 ? 0x2au & ~((2u << i) - 1) : 0;
		may |= 1;
		if (rnd(s) % 2)
			g[i].members = (unsigned)rnd(s) & may;
		if (rnd(s) % 3 == 0)
			g[i].not_members = (unsigned)rnd(s) & may;
		for (unsigned k = 0; k <= NG; k++) {
			if (g[i].members >> k & 1)
				CU_ASSERT_EQUAL(policy_group_member(b, i, k, false, &e), 0);
			if (g[i].not_members >> k & 1)
				CU_ASSERT_EQUAL(policy_group_member(b, i, k, true, &e), 0);
		}
	}
	for (unsigned i = 0; i < n; i++) {
		uint16_t from[NG + 1], to[NG + 1];
		enum app app;
		struct rule_spec spec = { .id = i + 1, .from = from, .to = to, .line = i, .apps = &app, .mode = RULE_MODE_NONE };

		r[i] = (struct slow_rule){ .from = rnd(s) % 2 ? 1 : (unsigned)(1 + rnd(s) % 63), .to = (unsigned)(rnd(s) % 4 ? 2 + 2 * (rnd(s) % 31) : 1), .app = (int)(rnd(s) % 8) - 3 };
		r[i].action = actions[rnd(s) % 4];
		for (uint16_t k = 0; k <= NG; k++) {
			if (r[i].from >> k & 1)
				from[spec.nfrom++] = k;
			if (r[i].to >> k & 1)
				to[spec.nto++] = k;
		}
		if (r[i].app < 0)
			r[i].app = -1;
		else
			app = apps[r[i].app];
		spec.napps = r[i].app >= 0;
		spec.action = r[i].action;
		if (policy_add_rule(b, &spec, &e))
			CU_FAIL("a random rule was refused");
	}
	*out = policy_build(b);
}

/* Whatever will be known ends as the answer says, or the answer is that nothing is decided. */
static void check_undecided(const struct slow_group *g, const struct slow_rule *r, unsigned n, const struct flow_case *c, bool app_known, enum app app,
			    const struct policy_answer *got, unsigned *decided)
{
	unsigned from = slow_set(g, c->own[0], c->of_addr[0], 0);
	bool refuses = true, same = true;

	for (unsigned a = 0; a < NAPPS; a++)
		for (unsigned late = c->of_addr[1]; late < 16; late++) {	/* names that the address may get yet */
			if ((app_known && apps[a] != app) || (late & c->of_addr[1]) != c->of_addr[1] || (!c->later && late != c->of_addr[1]))
				continue;
			for (unsigned shown = 0; shown < 16; shown++) {
				uint32_t rule;

				if (shown && !slow_shows(apps[a]))
					break;
				rule = slow_rule_of(r, n, from, slow_set(g, c->own[1], late, shown), apps[a]);
				refuses &= !rule || verdict_stops(r[rule - 1].action);
				same &= rule == got->rule;
			}
		}
	if (got->verdict == VERDICT_PENDING)
		return;
	++*decided;
	CU_ASSERT(same || (refuses && verdict_stops(got->verdict) && got->enforce));
	if (!same && !refuses)
		printf("\n    rule %u verdict %u, app known %d %s\n", got->rule, got->verdict, app_known, app_name(app));
}

static void test_against_slow(void)
{
	struct record *rec = calloc(1, sizeof *rec);
	unsigned kinds[VERDICT_COUNT] = { 0 }, decided = 0, cases = 0, lost_allowed = 0;
	uint64_t s = 99;

	for (int round = 0; round < 2000; round++) {
		unsigned n = 1 + (unsigned)(rnd(&s) % NR);
		struct slow_group g[NG + 1];
		struct slow_rule r[NR];
		struct policy *p;

		build(&s, g, r, n, &p);
		for (int i = 0; i < 50; i++, cases++) {
			struct flow_case c = { { (unsigned)(rnd(&s) % 64) & ~1u, (unsigned)(rnd(&s) % 64) & ~1u }, { (unsigned)(rnd(&s) % 16), (unsigned)(rnd(&s) % 16) },
					       rnd(&s) % 3 ? 1u << (rnd(&s) % NNAMES) : (unsigned)(rnd(&s) % 16), false };
			enum app app = apps[rnd(&s) % NAPPS];
			struct policy_answer got;
			uint32_t want;

			if (!slow_shows(app))
				c.shown = 0;
			got = judge(p, &c, true, app, slow_shows(app) ? rec : NULL, false);
			want = slow_rule_of(r, n, slow_set(g, c.own[0], c.of_addr[0], 0), slow_set(g, c.own[1], c.of_addr[1], c.shown), app);
			kinds[got.verdict]++;
			CU_ASSERT_EQUAL(got.rule, want);
			CU_ASSERT_EQUAL(got.verdict, want ? r[want - 1].action : VERDICT_DENY);

			c.later = rnd(&s) % 2;
			got = judge(p, &c, false, APP_UNKNOWN, NULL, false);
			check_undecided(g, r, n, &c, false, APP_UNKNOWN, &got, &decided);
			kinds[got.verdict]++;
			got = judge(p, &c, true, app, NULL, false);
			check_undecided(g, r, n, &c, true, app, &got, &decided);
			kinds[got.verdict]++;

			/* A name that could not be read allows nothing that another name would not have been allowed. */
			c.later = false;
			c.shown = 0;
			got = judge(p, &c, true, APP_TLS, rec, true);
			CU_ASSERT(got.verdict != VERDICT_PENDING);
			if (got.verdict == VERDICT_ALLOW) {
				lost_allowed++;
				for (unsigned shown = 0; shown < 16; shown++) {
					want = slow_rule_of(r, n, slow_set(g, c.own[0], c.of_addr[0], 0), slow_set(g, c.own[1], c.of_addr[1], shown), APP_TLS);
					CU_ASSERT(want && !verdict_stops(r[want - 1].action));
				}
			}
		}
		policy_unref(p);
	}
	CU_ASSERT_EQUAL(cases, 100000);
	CU_ASSERT(decided > 50000 && decided < 190000 && lost_allowed > 1000);
	for (unsigned v = 0; v < VERDICT_COUNT; v++)
		CU_ASSERT(kinds[v] > 1000);
	free(rec);
}

const struct unit_test tests_fqdn[] = {
	{ "what is a name", test_names },
	{ "patterns", test_patterns },
	{ "refused", test_refused },
	{ "against a slow evaluator", test_against_slow },
	{ 0 },
};
