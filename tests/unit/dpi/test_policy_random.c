/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random policies against an evaluator that reads the contract from top to bottom: no index, no sets, no early ends.
 *
 * Rules have groups of which there are up to a thousand, lists of groups and ports longer than the index takes, ranges, protocols, apps,
 * matchers, actions and modes; there are few rules, or more than one chunk of the index has. Questions have ends in many groups, some of
 * which hang on a name, an app that is known, not known or cannot be, and a request that is there, not there or only in part. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dpi/policy.h"
#include "dpi/prefix_map.h"
#include "tests/unit/dpi/packets.h"
#include "tests/unit/unit.h"

#define RULES_MAX 9000
#define GROUPS 1000u

#define CLAUSES 2u
#define PATTERNS 3u
#define PATTERN_SIZE 12u

/* What rules ask for and requests say. */
static const struct { const char *matcher, *key; struct fact fact; } keys[] = {
	{ "http", "methods", { "http_method", FACT_HTTP_METHOD } }, { "http", "hosts", { "hostname", FACT_HTTP_HOST } },
	{ "http", "paths", { "url", FACT_HTTP_PATH } }, { "http", "headers", { "x-id", FACT_HTTP_HEADER } },
	{ "tls", "sni", { "sni", FACT_TLS_SNI } }, { "tls", "issuer", { "issuerdn", FACT_TLS_ISSUER } },
	{ "pgsql", "users", { "user", FACT_USER } }, { "pgsql", "tables", { "tables", FACT_TABLE } }, { "pgsql", "verbs", { "verb", FACT_OPERATION } },
};

/* Keys of a matcher stand together. */
static const struct { unsigned first, n; enum app app; } matchers[] = { { 0, 4, APP_HTTP }, { 4, 2, APP_TLS }, { 6, 3, APP_POSTGRESQL } };
#define KEYS (sizeof(keys) / sizeof(*keys))

struct slow_clause {
	unsigned key;		/* of keys */
	unsigned npatterns;
	char pattern[PATTERNS][PATTERN_SIZE];
};

struct slow_rule {
	unsigned nfrom, nto, nports, napps;
	unsigned nclauses, matcher;
	struct slow_clause clause[CLAUSES];
	uint16_t from[80], to[80];
	struct port_range port[40];
	enum app app[2];
	enum verdict action;
	int mode;
};

/* ---- the evaluator ---- */

static bool any_in(const uint16_t *g, unsigned n, const struct group_set *s)
{
	for (unsigned i = 0; i < n; i++)
		if (set_has(s, g[i]))
			return true;
	return false;
}

enum holds { NO, MAYBE_APP, MAYBE_MORE, YES };	/* may hold: it is the application only; a name or a request, too */

static uint16_t key_of(unsigned key)
{
	int k = match_by_name(keys[key].matcher);

	while (strcmp(match_keys[k].key, keys[key].key) != 0)
		k++;
	return (uint16_t)k;
}

static bool looks_into(unsigned matcher, enum app app)
{
	return app_is(app, matchers[matcher].app) || (matchers[matcher].app == APP_TLS && (app == APP_QUIC || app == APP_DTLS));
}

/* Each clause by itself, with the facts that the policy knows headers by. */
static enum match slow_facts(const struct policy *p, const struct slow_rule *r, const struct policy_query *q)
{
	struct clause c[CLAUSES];
	struct bytes pattern[CLAUSES][PATTERNS];

	for (unsigned i = 0; i < r->nclauses; i++) {
		const struct fact *f = &keys[r->clause[i].key].fact;

		c[i] = (struct clause){ .key = key_of(r->clause[i].key), .npatterns = (uint16_t)r->clause[i].npatterns, .pattern = pattern[i] };
		if (f->role == FACT_HTTP_HEADER)
			c[i].header = policy_header(p, (struct bytes){ (const uint8_t *)f->name, strlen(f->name) });
		for (unsigned k = 0; k < r->clause[i].npatterns; k++)
			pattern[i][k] = (struct bytes){ (const uint8_t *)r->clause[i].pattern[k], strlen(r->clause[i].pattern[k]) };
	}
	return match_facts(c, r->nclauses, q->facts, r->action == VERDICT_ALLOW);
}

static bool names_app(const struct slow_rule *r, enum app app)
{
	bool apps = !r->napps;

	for (unsigned i = 0; i < r->napps; i++)
		apps |= app_is(app, r->app[i]);
	return apps && (!r->nclauses || looks_into(r->matcher, app));
}

/* What it may turn out to be. */
static bool can_be(const struct policy_query *q, enum app app)
{
	return !q->app_known || app == q->app || (q->app_open && q->app != APP_UNKNOWN && app_is(app, q->app));
}

/* Given that the application is `app` (known or supposed). */
static enum holds slow_holds(const struct policy *p, const struct slow_rule *r, const struct policy_query *q, enum app app)
{
	bool ports = !r->nports, allows = r->action == VERDICT_ALLOW, sure;
	enum holds h = YES;

	for (unsigned i = 0; i < r->nports; i++)
		ports |= (!r->port[i].ipproto || r->port[i].ipproto == q->ipproto) && q->port >= r->port[i].lo && q->port <= r->port[i].hi;
	if (!any_in(r->from, r->nfrom, q->from) || !any_in(r->to, r->nto, q->to) || !ports)
		return NO;
	if (q->any_app) {
		if (r->nclauses && !allows)
			return NO;
	} else if (!names_app(r, app)) {
		return NO;
	} else if (r->nclauses && (!q->app_known || !q->facts)) {
		h = MAYBE_MORE;
	} else if (q->app_known ? !names_app(r, q->app) : r->napps != 0) {
		h = MAYBE_APP;
	} else if (r->nclauses) {
		switch (slow_facts(p, r, q)) {
		case MATCH_NO:
			return NO;
		case MATCH_MAYBE:
			h = MAYBE_MORE;
			break;
		case MATCH_YES:
			break;
		}
	}
	sure = (!q->from_sure || any_in(r->from, r->nfrom, q->from_sure)) && (!q->to_sure || any_in(r->to, r->nto, q->to_sure));
	if (sure)
		return h;
	return !q->names_lost && !q->names_unseen ? MAYBE_MORE : allows == q->names_unseen ? h : NO;
}

static bool enforced(const struct slow_rule *r, const struct policy_query *q) { return (r->mode < 0 ? (int)q->mode : r->mode) == MODE_PROTECT; }

static struct policy_answer of_rule(const struct slow_rule *r, unsigned no, const struct policy_query *q)
{
	return (struct policy_answer){ .verdict = r[no].action, .rule = no + 1, .enforce = enforced(&r[no], q) };
}

static bool stops(const struct policy_answer *a) { return verdict_stops(a->verdict) && a->enforce; }

/* For each application that it can be: the first rule that decides. All alike refused, or none undecided: that; else pending. */
static struct policy_answer slow_judge(const struct policy *p, const struct slow_rule *r, unsigned n, const struct policy_query *q)
{
	struct policy_answer end = { .verdict = q->mode == MODE_PROTECT ? VERDICT_DENY : q->mode == MODE_MONITOR ? VERDICT_ALERT : VERDICT_ALLOW, .enforce = q->mode == MODE_PROTECT };
	unsigned best = n, first = n;
	bool undecided = false, passes = false, more = false, may_stop = false;

	/* Up to the rule that matches whatever the application is. */
	for (unsigned i = 0; i < n && best == n; i++) {
		bool always = true;

		for (unsigned a = 0; a < APP_COUNT; a++)
			always &= !can_be(q, (enum app)a) || slow_holds(p, &r[i], q, (enum app)a) == YES;
		if (always)
			best = i;
	}
	if (best < n)
		end = of_rule(r, best, q);
	for (unsigned a = 0; a < APP_COUNT; a++) {
		bool open = true;

		if (!can_be(q, (enum app)a))
			continue;
		for (unsigned i = 0; i < best; i++) {
			enum holds h = slow_holds(p, &r[i], q, (enum app)a);
			struct policy_answer it = of_rule(r, i, q);

			if (h == NO)
				continue;
			undecided = true;
			more |= h == MAYBE_MORE || q->app_known;
			may_stop |= stops(&it);
			if (!open)
				continue;
			if (!stops(&it)) {
				passes = true;
				open = false;
			} else if (h != MAYBE_MORE) {
				first = i < first ? i : first;
				open = false;
			}
		}
		passes |= open && !stops(&end);
	}
	if (!undecided)
		return end;
	if (passes)
		return (struct policy_answer){ .verdict = VERDICT_PENDING, .hold = more && (may_stop || stops(&end)) };
	return first < best ? of_rule(r, first, q) : end;
}

/* ---- what is asked ---- */

static unsigned pick(uint64_t *s, unsigned n) { return (unsigned)(rnd(s) % n); }

static unsigned pick_groups(uint64_t *s, unsigned ngroups, uint16_t *g)
{
	unsigned n = pick(s, 40) == 0 ? 80 : 1 + pick(s, 3);
	bool any = n < 80 || pick(s, 2);	/* among 80 it would nearly always be */

	for (unsigned i = 0; i < n; i++)
		g[i] = (uint16_t)(!any || pick(s, 12) ? 1 + pick(s, ngroups) : POLICY_GROUP_ANY);
	return n;
}

/* Few letters, so that texts begin and end alike: with stars and question marks where it is a pattern. */
static unsigned random_text(uint64_t *s, unsigned key, bool pattern, char *t)
{
	static const char *const letters[] = { "ab", "abAB", "ab/.", "aB" };
	const char *from = letters[key == 2 ? 2 : key == 7 ? 2 : key == 1 || key == 3 ? 1 : pick(s, 2) * 3];
	unsigned n = 0, len = 1 + pick(s, 4), letter = (unsigned)strlen(from);

	if (key == 2)
		t[n++] = '/';
	if (pattern && pick(s, 3) == 0)
		t[n++] = '*';
	for (unsigned i = 0; i < len; i++)
		t[n++] = pattern && pick(s, 12) == 0 ? "*?"[pick(s, 2)] : from[pick(s, letter)];
	if (pattern && pick(s, 3) == 0)
		t[n++] = '*';
	t[n] = 0;
	return n;
}

static void random_matcher(uint64_t *s, struct slow_rule *r)
{
	static const enum app also[][2] = { { APP_HTTP2, APP_GRPC }, { APP_TLS, APP_QUIC }, { APP_POSTGRESQL, APP_POSTGRESQL } };

	r->matcher = pick(s, 2) ? 0 : pick(s, 3);
	r->nclauses = 1 + pick(s, CLAUSES);
	for (unsigned i = 0; i < r->nclauses; i++) {
		struct slow_clause *c = &r->clause[i];

		c->key = matchers[r->matcher].first + pick(s, matchers[r->matcher].n);
		c->npatterns = 1 + pick(s, PATTERNS);
		for (unsigned k = 0; k < c->npatterns; k++)
			random_text(s, c->key, true, c->pattern[k]);
	}
	r->napps = r->napps ? 1 : 0;
	r->app[0] = also[r->matcher][pick(s, 2)];
}

/* asks: what rules ask of requests makes the difference, not ends and ports. */
static void random_rule(uint64_t *s, unsigned ngroups, bool asks, struct slow_rule *r)
{
	static const enum app apps[] = { APP_HTTP, APP_HTTP2, APP_GRPC, APP_SSH, APP_TLS, APP_UNKNOWN };
	static const enum verdict actions[] = { VERDICT_ALLOW, VERDICT_ALERT, VERDICT_DENY, VERDICT_DROP };
	static const uint8_t protocols[] = { 0, 6, 17, 132 };

	memset(r, 0, sizeof(*r));
	r->nfrom = pick_groups(s, ngroups, r->from);
	r->nto = pick_groups(s, ngroups, r->to);
	if (asks) {
		r->from[0] = r->to[0] = POLICY_GROUP_ANY;
		r->nfrom = r->nto = 1;
	}
	r->nports = asks || ngroups == 1 ? 0 : pick(s, 30) == 0 ? 40 : pick(s, 3);	/* with one group: what rules ask for makes the difference */
	for (unsigned i = 0; i < r->nports; i++) {
		unsigned lo = pick(s, 4) ? pick(s, 40) : pick(s, 65536), span = pick(s, 4) == 0 ? 65536 : pick(s, 3) == 0 ? 200 : 3;
		unsigned hi = lo + (pick(s, 2) ? pick(s, span) : 0);

		r->port[i] = (struct port_range){ protocols[pick(s, 4)], (uint16_t)lo, (uint16_t)(hi > 65535 ? 65535 : hi) };
	}
	r->napps = pick(s, 2) ? 0 : pick(s, 3);
	for (unsigned i = 0; i < r->napps; i++)
		r->app[i] = apps[pick(s, 6)];
	if (asks || pick(s, 4) == 0)
		random_matcher(s, r);
	r->action = actions[pick(s, 4)];
	r->mode = pick(s, 4) ? RULE_MODE_NONE : (int)pick(s, 3);
}

static void add_rule(struct policy_builder *b, const struct slow_rule *r, uint32_t id)
{
	const char *patterns[CLAUSES][PATTERNS];
	struct match_spec m[CLAUSES];
	struct rule_spec spec = { .id = id, .from = r->from, .nfrom = r->nfrom, .to = r->to, .nto = r->nto, .ports = r->port, .nports = r->nports, .apps = r->app,
				  .napps = r->napps, .match = m, .nmatch = r->nclauses, .action = r->action, .mode = r->mode, .line = id };
	struct err e;

	for (unsigned i = 0; i < r->nclauses; i++) {
		m[i] = (struct match_spec){ .key = key_of(r->clause[i].key), .header = keys[r->clause[i].key].fact.name, .patterns = patterns[i], .npatterns = r->clause[i].npatterns };
		for (unsigned k = 0; k < r->clause[i].npatterns; k++)
			patterns[i][k] = r->clause[i].pattern[k];
	}
	if (policy_add_rule(b, &spec, &e))
		CU_FAIL("a random rule was refused");
}

static void random_ends(uint64_t *s, unsigned ngroups, struct group_set *in, struct group_set *sure)
{
	unsigned n = pick(s, 20) == 0 ? ngroups : pick(s, ngroups < 8 ? ngroups : 8);

	memset(in, 0, sizeof(*in));
	set_add(in, POLICY_GROUP_ANY);
	for (unsigned i = 0; i < n; i++)
		set_add(in, 1 + pick(s, ngroups));
	*sure = *in;
	for (unsigned w = 0; w < POLICY_GROUPS_MAX / 64; w++)
		sure->bits[w] &= rnd(s) | rnd(s);
	set_add(sure, POLICY_GROUP_ANY);
}

struct question {
	struct group_set from, to, from_sure, to_sure;
	struct facts facts;
	struct record *rec;
	struct policy_query q;
};

/* Values of some keys, several of some, few of which are longer than a record has room for in one. */
static void random_request(uint64_t *s, const struct policy *p, struct question *x)
{
	static char long_text[RECORD_STR_MAX + 8];

	rec_reset(x->rec);
	for (unsigned n = pick(s, 5); n; n--) {
		unsigned m = app_is(x->q.app, APP_HTTP) ? 0 : x->q.app == APP_POSTGRESQL ? 2 : 1, len;
		unsigned key = pick(s, 8) ? matchers[m].first + pick(s, matchers[m].n) : pick(s, KEYS);
		const struct fact *f = &keys[key].fact;
		char text[PATTERN_SIZE];

		if (f->role == FACT_HTTP_HEADER && policy_header(p, (struct bytes){ (const uint8_t *)f->name, strlen(f->name) }))
			f = policy_header(p, (struct bytes){ (const uint8_t *)f->name, strlen(f->name) });
		len = random_text(s, key, false, text);
		if (pick(s, 12)) {
			rec_str(x->rec, f, text, len);
			continue;
		}
		for (size_t i = 0; i < sizeof(long_text); i++)
			long_text[i] = key == 2 && pick(s, 2) ? "/../"[i % 4] : text[i % len];
		rec_str(x->rec, f, long_text, sizeof(long_text));
	}
	x->facts = (struct facts){ .body = x->rec->body, .len = x->rec->len, .partial = pick(s, 8) == 0, .unseen = pick(s, 4) == 0 };
	for (unsigned key = 0; key < KEYS; key++)
		if (pick(s, 4) == 0)
			x->facts.later |= ROLE_BIT(keys[key].fact.role);
	if (pick(s, 3) == 0)
		x->facts.later = 0;
	x->q.facts = &x->facts;
}

static void random_question(uint64_t *s, unsigned ngroups, bool asks, const struct policy *p, struct question *x)
{
	static const uint8_t protocols[] = { 6, 6, 17, 132, 1 };
	static const enum app apps[] = { APP_HTTP, APP_HTTP2, APP_GRPC, APP_SSH, APP_TLS, APP_QUIC, APP_POSTGRESQL, APP_UNKNOWN, APP_DNS };

	random_ends(s, ngroups, &x->from, &x->from_sure);
	random_ends(s, ngroups, &x->to, &x->to_sure);
	x->q = (struct policy_query){ .from = &x->from, .to = &x->to, .ipproto = protocols[pick(s, 5)], .port = (uint16_t)(pick(s, 4) ? pick(s, 45) : pick(s, 65536)),
				      .app_known = pick(s, 3) != 0, .mode = (enum policy_mode)pick(s, 3) };
	if (pick(s, 4) == 0) {
		x->q.from_sure = &x->from_sure;
		x->q.to_sure = &x->to_sure;
		x->q.names_lost = pick(s, 3) == 0;
		x->q.names_unseen = !x->q.names_lost && pick(s, 3) == 0;
	}
	if (asks && pick(s, 8)) {
		x->q.app_known = true;
		x->q.app = apps[(unsigned[]){ 0, 1, 4, 5, 6 }[pick(s, 5)]];
		random_request(s, p, x);
		return;
	}
	if (!x->q.app_known)
		return;
	x->q.app = apps[pick(s, 9)];
	x->q.any_app = x->q.app == APP_UNKNOWN && pick(s, 2);
	x->q.app_open = !x->q.any_app && pick(s, 2);
	if (!x->q.app_open && pick(s, 3))
		random_request(s, p, x);
}

/* ---- rounds ---- */

struct seen {
	unsigned cases, verdicts[VERDICT_COUNT], held, by_facts, wrong, shadowed;
	bool never[RULES_MAX + 1];	/* by id: rules of the round that are told never to match */
};

static void on_shadow(void *ctx, uint32_t rule, unsigned line, uint32_t by, unsigned by_line)
{
	struct seen *seen = ctx;

	(void)line;
	(void)by_line;
	seen->wrong += by >= rule;
	seen->never[rule] = true;
	seen->shadowed++;
}

static bool same_answer(struct policy_answer a, struct policy_answer b)
{
	return a.verdict == b.verdict && a.rule == b.rule && a.reason == b.reason && a.enforce == b.enforce && a.hold == b.hold;
}

/* The same ends asked over and over, and about one thing more or less: what is remembered of one question is not the answer to another. */
static bool remembered_alike(uint64_t *s, const struct policy *p, struct policy_memo *memo, struct policy_query q)
{
	const struct group_set *sure[2] = { q.from_sure ? q.from_sure : q.from, q.to_sure ? q.to_sure : q.to };
	bool alike = true;

	for (unsigned again = 0; again < 8; again++) {
		struct policy_answer want;

		q.memo = NULL;
		want = policy_judge(p, &q);
		q.memo = memo;
		alike &= same_answer(policy_judge(p, &q), want);
		if (again < 1)
			continue;
		q.facts = NULL;
		switch (pick(s, 6)) {
		case 0:
			q.from_sure = q.from_sure ? NULL : sure[0];
			q.to_sure = q.to_sure ? NULL : sure[1];
			break;
		case 1:
			q.names_lost = q.from_sure && !q.names_unseen && !q.names_lost;
			break;
		case 2:
			q.names_unseen = q.from_sure && !q.names_lost && !q.names_unseen;
			break;
		case 3:
			if (pick(s, 2))
				q.port = (uint16_t)pick(s, 45);
			q.ipproto = pick(s, 2) ? 6 : 17;
			break;
		case 4:
			q.app_known = !q.app_known;
			q.any_app = q.app_known && q.app == APP_UNKNOWN && pick(s, 2);
			q.app_open = q.app_known && !q.any_app && pick(s, 2);
			break;
		case 5:
			q.mode = (enum policy_mode)pick(s, 3);
			break;
		}
	}
	return alike;
}

static void run_round(uint64_t *s, unsigned nrules, unsigned ngroups, bool asks, unsigned questions, struct slow_rule *r, struct seen *seen)
{
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	struct question x = { .rec = calloc(1, sizeof(struct record)) };
	struct policy_memo *memo;
	struct policy *p;
	struct err e;

	for (unsigned g = 1; g <= ngroups; g++) {
		char name[16];

		snprintf(name, sizeof name, "g%u", g);
		policy_add_group(b, name, -1, &e);
		policy_group_needs_workload(b, g);
	}
	for (unsigned i = 0; i < nrules; i++) {
		random_rule(s, ngroups, asks, &r[i]);
		add_rule(b, &r[i], i + 1);
	}
	p = policy_build(b);
	memset(seen->never, 0, sizeof seen->never);
	CU_ASSERT_TRUE(policy_shadowed(p, on_shadow, seen));
	memo = policy_memo_new(p);
	for (unsigned i = 0; i < questions; i++, seen->cases++) {
		struct policy_answer want, got;

		random_question(s, ngroups, asks, p, &x);
		want = slow_judge(p, r, nrules, &x.q);
		got = policy_judge(p, &x.q);
		seen->wrong += !remembered_alike(s, p, memo, x.q);
		seen->wrong += seen->never[got.rule] && !x.q.from_sure;		/* no group of this policy asks for names: what is unsure of these ends is no name */
		seen->verdicts[got.verdict]++;
		seen->held += got.hold;
		seen->by_facts += x.q.facts && got.rule && r[got.rule - 1].nclauses;
		if (got.verdict != want.verdict || got.hold != want.hold || (want.verdict != VERDICT_PENDING && (got.rule != want.rule || got.enforce != want.enforce))) {
			if (!seen->wrong++)
				printf("\n    %u rules, case %u: verdict %d/%d rule %u/%u enforce %d/%d hold %d/%d known %d any %d open %d facts %d names %d\n", nrules, i, got.verdict, want.verdict,
				       got.rule, want.rule, got.enforce, want.enforce, got.hold, want.hold, x.q.app_known, x.q.any_app, x.q.app_open, x.q.facts != NULL, x.q.from_sure != NULL);
		}
	}
	policy_memo_free(memo);
	policy_unref(p);
	free(x.rec);
}

static void test_judging(void)
{
	struct slow_rule *r = calloc(RULES_MAX, sizeof(*r));
	struct seen seen = { 0 };
	uint64_t s = 20261129;

	for (unsigned round = 0; round < 970; round++)
		run_round(&s, 1 + pick(&s, 24), 1 + pick(&s, 6), round % 8 == 0, 100, r, &seen);
	for (unsigned round = 0; round < 12; round++)
		run_round(&s, 200 + pick(&s, 300), 1 + pick(&s, GROUPS), false, 240, r, &seen);
	run_round(&s, RULES_MAX, GROUPS, false, 120, r, &seen);
	run_round(&s, RULES_MAX, 2, true, 60, r, &seen);
	CU_ASSERT(seen.cases >= 100000);
	CU_ASSERT_EQUAL(seen.wrong, 0);
	CU_ASSERT(seen.shadowed > 1000);
	for (unsigned v = 0; v < VERDICT_COUNT; v++)
		CU_ASSERT(seen.verdicts[v] > 1000);	/* each was really met */
	CU_ASSERT(seen.by_facts > 2000);

	CU_ASSERT(seen.held > 1000 && seen.held < seen.verdicts[VERDICT_PENDING]);
	free(r);
}

/* More kinds of ends than are remembered: each still gets its own answer, and what gave its place is counted. */
static void test_forgotten(void)
{
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	uint64_t forgotten[2] = { 0 }, s = 3;
	unsigned wrong = 0;
	struct policy_memo *memo;
	struct policy *p;
	struct err e;

	for (uint16_t g = 1; g <= GROUPS; g++) {
		uint16_t to[] = { POLICY_GROUP_ANY, g };	/* so that ends differ on that side too */
		struct rule_spec r = { .id = g, .from = &g, .nfrom = 1, .to = to, .nto = 2, .action = VERDICT_ALLOW, .mode = RULE_MODE_NONE };
		char name[16];

		snprintf(name, sizeof name, "g%u", g);
		policy_add_group(b, name, -1, &e);
		policy_group_needs_workload(b, g);
		CU_ASSERT_EQUAL(policy_add_rule(b, &r, &e), 0);
	}
	p = policy_build(b);
	memo = policy_memo_new(p);
	for (unsigned n = 20; n <= GROUPS; n += GROUPS - 20)	/* a few, then all, each time over and over */
		for (unsigned i = 0; i < 6 * n; i++) {
			struct group_set from = { { 1 } }, to = { { 1 } };
			struct policy_query q = { .memo = memo, .from = &from, .to = &to, .ipproto = 6, .port = 80, .mode = MODE_PROTECT };

			unsigned first = pick(&s, n);

			set_add(&from, 1 + first);
			set_add(&to, 1 + pick(&s, n));
			if (pick(&s, 2))
				set_add(&from, GROUPS);		/* twice as many kinds, and the first rule is the same */
			wrong += policy_judge(p, &q).rule != 1 + first;
			forgotten[n == GROUPS] += policy_memo_forgotten(memo);
		}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(forgotten[0], 0);
	CU_ASSERT(forgotten[1] > GROUPS / 2);
	policy_memo_free(memo);
	policy_unref(p);
}

/* ---- groups ---- */

struct slow_group {
	struct cidr cidr[2][4];		/* in it; under `not` */
	unsigned n[2];
	bool needs, minus;
	uint32_t members[2];		/* bits of groups, 0 is `any`; under `not` */
};

/* Prefixes of few bits that vary, so that they hold one another, of both families and all lengths. */
static struct cidr random_cidr(uint64_t *s)
{
	struct cidr c = { .len = (uint8_t)pick(s, 129) };
	static const uint8_t v6[16] = { 0x20, 1, 0xd, 0xb8 };
	uint8_t v4[4] = { 10, 0, 0, 0 };

	c.net = pick(s, 2) ? addr_v4(v4) : addr_v6(v6);
	if (addr_is_v4(&c.net) && c.len < 96)
		c.len = (uint8_t)(96 + c.len % 33);
	for (unsigned i = 0; i < 3; i++) {
		unsigned bit = pick(s, 3) ? 100 + pick(s, 28) : 120 + pick(s, 8);

		c.net.b[bit / 8] ^= (uint8_t)(0x80u >> (bit % 8));
	}
	for (unsigned bit = c.len; bit < 128; bit++)
		c.net.b[bit / 8] &= (uint8_t)~(0x80u >> (bit % 8));
	if (pick(s, 12) == 0)
		memset(&c, 0, sizeof(c));	/* ::/0 */
	return c;
}

#define NG 24

static bool slow_in(const struct slow_group *all, unsigned no, const struct addr *a, uint64_t own);

static bool slow_in_one(const struct slow_group *all, uint32_t members, const struct addr *a, uint64_t own)
{
	bool in = members & 1;

	for (unsigned i = 1; i <= NG; i++)
		in |= members >> i & 1 && slow_in(all, i, a, own);
	return in;
}

/* all[0] is the first group, whose number is 1. */
static bool slow_in(const struct slow_group *all, unsigned no, const struct addr *a, uint64_t bits)
{
	const struct slow_group *g = &all[no - 1];
	bool held[2] = { false, false }, own = bits >> no & 1;

	for (unsigned not = 0; not < 2; not++)
		for (unsigned i = 0; i < g->n[not]; i++)
			held[not] |= cidr_has(&g->cidr[not][i], a);
	if (!g->n[0] && !g->needs && !g->members[0])
		return false;		/* only takes away: nobody */
	if ((g->n[0] && !held[0]) || (g->needs && !own) || (g->members[0] && !slow_in_one(all, g->members[0], a, bits)))
		return false;
	return !((g->n[1] || g->minus || g->members[1]) && (!g->n[1] || held[1]) && (!g->minus || own) && (!g->members[1] || slow_in_one(all, g->members[1], a, bits)));
}

/* Groups name others that stand before them in a random order: none comes to hold itself. */
static void random_members(uint64_t *s, struct policy_builder *b, struct slow_group *g)
{
	unsigned order[NG], deep = pick(s, 2);
	struct err e;

	for (unsigned i = 0; i < NG; i++) {
		unsigned k = pick(s, i + 1);

		order[i] = order[k];
		order[k] = i;
	}
	for (unsigned i = 0; i < NG; i++)
		for (unsigned not = 0; not < 2; not++)
			for (unsigned n = pick(s, 3) ? 0 : 1 + pick(s, 3); n; n--) {
				unsigned at = deep && i ? i - 1 - pick(s, i < 3 ? i : 3) : i ? pick(s, i) : 0, member = i && pick(s, 10) ? order[at] + 1 : POLICY_GROUP_ANY;

				g[order[i]].members[not] |= 1u << member;
				CU_ASSERT_EQUAL(policy_group_member(b, order[i] + 1, member, not, &e), 0);
			}
}

static void test_groups(void)
{
	unsigned in = 0, cases = 0, wrong = 0;
	uint64_t s = 77;

	for (unsigned round = 0; round < 1000; round++) {
		struct policy_builder *b = policy_begin(MODE_DISCOVER);
		struct slow_group g[NG];
		struct policy *p;
		struct err e;

		memset(g, 0, sizeof g);
		for (unsigned i = 0; i < NG; i++) {
			char name[16];

			snprintf(name, sizeof name, "g%u", i);
			policy_add_group(b, name, -1, &e);
			for (unsigned not = 0; not < 2; not++)
				for (g[i].n[not] = 0; g[i].n[not] < 4 && pick(&s, 3); g[i].n[not]++) {
					g[i].cidr[not][g[i].n[not]] = random_cidr(&s);
					policy_group_cidr(b, i + 1, &g[i].cidr[not][g[i].n[not]], not, &e);
				}
			g[i].needs = pick(&s, 3) == 0;
			g[i].minus = !g[i].needs && pick(&s, 4) == 0;
			if (g[i].needs)
				policy_group_needs_workload(b, i + 1);
			if (g[i].minus)
				policy_group_minus_workload(b, i + 1);
		}
		if (round % 4)
			random_members(&s, b, g);
		p = policy_build(b);
		for (unsigned i = 0; i < 100; i++) {
			struct addr a = random_cidr(&s).net;
			struct group_set own = { { rnd(&s) } }, out;
			bool local = pick(&s, 2);

			policy_groups(p, &a, local ? &own : NULL, &out);
			for (unsigned k = 0; k < NG; k++, cases++) {
				bool want = slow_in(g, k + 1, &a, local ? own.bits[0] : 0);

				wrong += want != set_has(&out, k + 1);
				in += want;
			}
		}
		policy_unref(p);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(cases == 2400000 && in > cases / 20 && in < cases / 2);
}

/* Every prefix that holds a key is found, the longest first, at the ends of each and beside them. */
static void test_prefixes(void)
{
	uint64_t s = 5;
	unsigned found = 0;

	for (unsigned round = 0; round < 2000; round++) {
		unsigned n = pick(&s, 30);
		struct prefix *p = n ? calloc(n, sizeof(*p)) : NULL;
		struct cidr c[30];
		struct prefix_map m;

		for (unsigned i = 0; i < n; i++) {
			c[i] = random_cidr(&s);
			if (pick(&s, 10) == 0)	/* the end of the key space */
				memset(c[i].net.b, 0xff, c[i].len / 8), c[i].len = (uint8_t)(c[i].len / 8 * 8);
			for (unsigned bit = c[i].len; bit < 128; bit++)
				c[i].net.b[bit / 8] &= (uint8_t)~(0x80u >> (bit % 8));
			p[i] = (struct prefix){ prefix_key_of(&c[i].net), c[i].len };
		}
		CU_ASSERT_FATAL(prefix_map_build(&m, p, n));
		for (unsigned k = 0; k < 60; k++) {
			struct addr a = n && pick(&s, 2) ? c[pick(&s, n)].net : random_cidr(&s).net;
			struct prefix_key key = prefix_key_of(&a);
			unsigned want = 0, got = 0, len = 129;

			key.lo += (uint64_t)pick(&s, 3) - 1;
			for (unsigned i = 0; i < m.n; i++) {
				unsigned bits = m.prefix[i].len;
				uint64_t hi = bits >= 64 ? UINT64_MAX : bits ? ~(UINT64_MAX >> bits) : 0;
				uint64_t lo = bits <= 64 ? 0 : bits == 128 ? UINT64_MAX : ~(UINT64_MAX >> (bits - 64));

				want += (key.hi & hi) == m.prefix[i].key.hi && (key.lo & lo) == m.prefix[i].key.lo;
				CU_ASSERT_EQUAL(prefix_map_number(&m, &m.prefix[i]), i);
			}
			for (uint32_t i = prefix_map_find(&m, key); i != PREFIX_NONE; i = m.parent[i], got++) {
				CU_ASSERT(m.prefix[i].len < len);
				len = m.prefix[i].len;
			}
			CU_ASSERT_EQUAL(got, want);
			found += got;
		}
		prefix_map_free(&m);
	}
	CU_ASSERT(found > 100000);
}

const struct unit_test tests_policy_random[] = {
	{ "judging: 100,000 cases against a slow evaluator", test_judging },
	{ "judging: more kinds of ends than are remembered", test_forgotten },
	{ "groups: 2,400,000 cases against a slow evaluator", test_groups },
	{ "prefixes that hold a key", test_prefixes },
	{ 0 },
};
