/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The compiled policy against the text of the contract, case by case, and against a slow evaluator on random ones. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dpi/policy.h"
#include "tests/unit/dpi/packets.h"
#include "tests/unit/unit.h"

static struct addr addr(const char *text)
{
	struct addr a;

	if (addr_parse(text, &a))
		abort();
	return a;
}

static struct cidr cidr(const char *text)
{
	struct cidr c;

	if (cidr_parse(text, &c))
		abort();
	return c;
}

static int rule(struct policy_builder *b, uint32_t id, uint16_t from, uint16_t to, const struct port_range *port, int app, enum verdict action)
{
	enum app a = app < 0 ? APP_UNKNOWN : (enum app)app;
	struct rule_spec r = { .id = id, .from = &from, .to = &to, .nfrom = 1, .nto = 1, .ports = port, .nports = port != NULL, .apps = &a, .napps = app >= 0,
			       .action = action, .mode = RULE_MODE_NONE, .line = id };
	struct err e;

	return policy_add_rule(b, &r, &e);
}

static struct policy_answer ask(const struct policy *p, const char *from, const char *to, uint16_t port, int app, enum policy_mode mode)
{
	struct addr a = addr(from), c = addr(to);
	struct group_set f, t;
	struct policy_query q = { .from = &f, .to = &t, .ipproto = 6, .port = port, .app = app < 0 ? APP_UNKNOWN : (enum app)app, .app_known = app >= 0, .mode = mode };

	policy_groups(p, &a, NULL, &f);
	policy_groups(p, &c, NULL, &t);
	return policy_judge(p, &q);
}

static void test_order_and_ports(void)
{
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	struct port_range web = { 6, 80, 80 }, high = { 6, 1024, 65535 };
	struct cidr ten = cidr("10.0.0.0/8"), host = cidr("10.0.0.5/32");
	struct policy *p;
	struct err e;
	int lan = policy_add_group(b, "lan", -1, &e), db = policy_add_group(b, "db", -1, &e);

	policy_group_cidr(b, (unsigned)lan, &ten, false, &e);
	policy_group_cidr(b, (unsigned)db, &host, false, &e);
	CU_ASSERT_EQUAL(rule(b, 10, (uint16_t)lan, (uint16_t)db, &web, -1, VERDICT_DROP), 0);
	CU_ASSERT_EQUAL(rule(b, 20, (uint16_t)lan, (uint16_t)db, NULL, -1, VERDICT_ALLOW), 0);
	CU_ASSERT_EQUAL(rule(b, 30, POLICY_GROUP_ANY, (uint16_t)lan, &high, -1, VERDICT_ALERT), 0);
	CU_ASSERT_EQUAL(rule(b, 10, (uint16_t)lan, (uint16_t)db, NULL, -1, VERDICT_ALLOW), -EEXIST);
	p = policy_build(b);
	CU_ASSERT(ask(p, "10.1.1.1", "10.0.0.5", 80, -1, MODE_PROTECT).rule == 10);
	CU_ASSERT(ask(p, "10.1.1.1", "10.0.0.5", 81, -1, MODE_PROTECT).rule == 20);
	CU_ASSERT(ask(p, "192.0.2.1", "10.0.0.6", 8080, -1, MODE_PROTECT).verdict == VERDICT_ALERT);
	struct policy_answer no = ask(p, "192.0.2.1", "192.0.2.2", 80, -1, MODE_PROTECT);
	CU_ASSERT(no.rule == 0 && no.reason == REASON_NO_RULE && no.verdict == VERDICT_DENY && no.enforce);
	no = ask(p, "192.0.2.1", "192.0.2.2", 80, -1, MODE_MONITOR);
	CU_ASSERT(no.verdict == VERDICT_ALERT && !no.enforce);
	no = ask(p, "192.0.2.1", "192.0.2.2", 80, -1, MODE_DISCOVER);
	CU_ASSERT(no.verdict == VERDICT_ALLOW && !no.enforce);
	CU_ASSERT(!ask(p, "10.1.1.1", "10.0.0.5", 80, -1, MODE_MONITOR).enforce);
	policy_unref(p);
}

static void test_groups(void)
{
	struct policy_builder *b = policy_begin(MODE_DISCOVER);
	struct cidr all4 = cidr("0.0.0.0/0"), all6 = cidr("::/0"), ten = cidr("10.0.0.0/8");
	struct group_set own = { { 0 } }, out;
	struct addr a;
	struct policy *p;
	struct err e;
	unsigned net = (unsigned)policy_add_group(b, "internet", MODE_MONITOR, &e), six = (unsigned)policy_add_group(b, "six", -1, &e);
	unsigned lab = (unsigned)policy_add_group(b, "labelled", MODE_PROTECT, &e), both = (unsigned)policy_add_group(b, "both", -1, &e), none = (unsigned)policy_add_group(b, "none", -1, &e);

	CU_ASSERT(policy_add_group(b, "six", -1, &e) == -EEXIST && policy_add_group(b, "any", -1, &e) == -EEXIST);
	policy_group_cidr(b, net, &all4, false, &e);
	policy_group_cidr(b, net, &ten, true, &e);
	policy_group_cidr(b, six, &all6, false, &e);
	policy_group_needs_workload(b, lab);
	policy_group_needs_workload(b, both);
	policy_group_cidr(b, both, &ten, false, &e);
	policy_group_cidr(b, none, &ten, true, &e);	/* only subtracts: nobody */
	p = policy_build(b);
	own.bits[0] = 1u << lab | 1u << both;
#define IN(g) (out.bits[(g) / 64] >> ((g) % 64) & 1)
	a = addr("192.0.2.1");
	policy_groups(p, &a, NULL, &out);
	CU_ASSERT(IN(POLICY_GROUP_ANY) && IN(net) && !IN(six) && !IN(lab) && !IN(both) && !IN(none));
	CU_ASSERT_EQUAL(policy_mode_of(p, &out), MODE_MONITOR);
	policy_groups(p, &a, &own, &out);
	CU_ASSERT(IN(lab) && !IN(both));
	a = addr("10.2.3.4");
	policy_groups(p, &a, &own, &out);
	CU_ASSERT(!IN(net) && IN(lab) && IN(both));
	CU_ASSERT_EQUAL(policy_mode_of(p, &out), MODE_PROTECT);
	policy_groups(p, &a, NULL, &out);
	CU_ASSERT(!IN(lab) && !IN(both));
	CU_ASSERT_EQUAL(policy_mode_of(p, &out), MODE_DISCOVER);
	a = addr("2001:db8::1");
	policy_groups(p, &a, NULL, &out);
	CU_ASSERT(IN(six) && !IN(net));
	policy_unref(p);
}

/* Sets are as wide as there are groups: each of them has its address, its mode and its rule, at every width. */
static void test_many_groups(void)
{
	for (unsigned n = 1; n < POLICY_GROUPS_MAX; n += n < 70 ? 1 : 317) {
		struct policy_builder *b = policy_begin(MODE_DISCOVER);
		struct policy *p;
		struct err e;

		for (unsigned g = 1; g <= n; g++) {
			char text[64];
			struct cidr c;

			snprintf(text, sizeof(text), "10.0.%u.%u/32", g >> 8, g & 255);
			c = cidr(text);
			CU_ASSERT_EQUAL(policy_add_group(b, text, MODE_MONITOR, &e), (int)g);
			policy_group_cidr(b, g, &c, false, &e);
			CU_ASSERT_EQUAL(rule(b, g, POLICY_GROUP_ANY, (uint16_t)g, NULL, -1, VERDICT_DROP), 0);
		}
		p = policy_build(b);
		for (unsigned g = 1; g <= n; g++) {
			char text[64];
			struct group_set out;
			struct addr a;

			snprintf(text, sizeof(text), "10.0.%u.%u", g >> 8, g & 255);
			a = addr(text);
			memset(&out, 0xff, sizeof(out));
			policy_groups(p, &a, NULL, &out);
			for (unsigned other = 1; other < POLICY_GROUPS_MAX; other++)
				if (IN(other) != (other == g))
					CU_FAIL("it is in its own group only");
			CU_ASSERT_EQUAL(policy_mode_of(p, &out), MODE_MONITOR);
			CU_ASSERT_EQUAL(ask(p, "192.0.2.1", text, 80, -1, MODE_MONITOR).rule, g);
		}
		policy_unref(p);
	}
}

/* CONTRACT section 3, point 7: what waits for the application and what does not. */
static void test_pending(void)
{
	static const struct {
		const char *what;
		struct { int app; enum verdict v; } rules[3];
		enum verdict pending, http, ssh;
	} cases[] = {
		{ "app rules only, then nothing: the app decides", { { APP_HTTP, VERDICT_ALLOW }, { -2, 0 }, { -2, 0 } }, VERDICT_PENDING, VERDICT_ALLOW, VERDICT_DENY },
		{ "a complete match before any app rule", { { -1, VERDICT_ALLOW }, { APP_HTTP, VERDICT_DENY }, { -2, 0 } }, VERDICT_ALLOW, VERDICT_ALLOW, VERDICT_ALLOW },
		{ "nothing could allow it any more", { { APP_HTTP, VERDICT_DENY }, { -1, VERDICT_DENY }, { -2, 0 } }, VERDICT_DENY, VERDICT_DENY, VERDICT_DENY },
		{ "one app is denied, all else passes", { { APP_HTTP, VERDICT_DROP }, { -1, VERDICT_ALLOW }, { -2, 0 } }, VERDICT_PENDING, VERDICT_DROP, VERDICT_ALLOW },
		{ "ssh first, then http denied, then a deny", { { APP_SSH, VERDICT_ALERT }, { APP_HTTP, VERDICT_DENY }, { -1, VERDICT_DENY } }, VERDICT_PENDING, VERDICT_DENY, VERDICT_ALERT },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct policy_builder *b = policy_begin(MODE_PROTECT);
		struct policy *p;

		for (uint32_t r = 0; r < 3 && cases[i].rules[r].app != -2; r++)
			rule(b, r + 1, 0, 0, NULL, cases[i].rules[r].app, cases[i].rules[r].v);
		p = policy_build(b);
		CU_ASSERT_EQUAL(ask(p, "10.0.0.1", "10.0.0.2", 80, -1, MODE_PROTECT).verdict, cases[i].pending);
		CU_ASSERT_EQUAL(ask(p, "10.0.0.1", "10.0.0.2", 80, APP_HTTP, MODE_PROTECT).verdict, cases[i].http);
		CU_ASSERT_EQUAL(ask(p, "10.0.0.1", "10.0.0.2", 80, APP_GRPC, MODE_PROTECT).verdict, cases[i].http);	/* apps nest */
		CU_ASSERT_EQUAL(ask(p, "10.0.0.1", "10.0.0.2", 80, APP_SSH, MODE_PROTECT).verdict, cases[i].ssh);
		policy_unref(p);
	}
}

static void test_refusals(void)
{
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	uint16_t any = 0, ghost = 7;
	struct port_range backwards = { 6, 90, 80 };
	struct err e;
	struct rule_spec ok = { .id = 1, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .action = VERDICT_ALLOW, .mode = RULE_MODE_NONE, .line = 3 }, r;

#define REFUSED(change, code) do { \
		r = ok; \
		change; \
		CU_ASSERT(policy_add_rule(b, &r, &e) == (code) && strstr(e.text, "line 3")); \
	} while (0)
	REFUSED(r.nfrom = 0, -EINVAL);		/* an empty list never means "all" */
	REFUSED(r.nto = 0, -EINVAL);
	REFUSED(r.id = 0, -ERANGE);
	REFUSED(r.id = 1000000, -ERANGE);
	REFUSED(r.from = &ghost, -EINVAL);
	REFUSED(r.ports = &backwards; r.nports = 1, -EINVAL);
	REFUSED(r.action = VERDICT_PENDING, -EINVAL);
	REFUSED(r.mode = 9, -EINVAL);
	CU_ASSERT_EQUAL(policy_add_rule(b, &ok, &e), 0);
	policy_builder_free(b);
}

/* ---- the slow evaluator ---- */

#define NG 6
#define NR 14

struct slow_rule {
	unsigned from, to;	/* bits of groups */
	bool has_ports;
	struct port_range port[2];
	unsigned nports, napps;
	enum app apps[2];
	enum verdict action;
	int mode;
};

static bool slow_match(const struct slow_rule *r, unsigned from, unsigned to, uint8_t ipproto, uint16_t port, bool app_known, enum app app, bool *maybe)
{
	bool ports = !r->nports, apps = !r->napps;

	*maybe = false;
	for (unsigned i = 0; i < r->nports; i++)
		ports |= (!r->port[i].ipproto || r->port[i].ipproto == ipproto) && port >= r->port[i].lo && port <= r->port[i].hi;
	if (!(r->from & from) || !(r->to & to) || !ports)
		return false;
	if (!app_known && r->napps) {
		*maybe = true;
		return false;
	}
	for (unsigned i = 0; i < r->napps; i++)
		apps |= app_is(app, r->apps[i]);
	return apps;
}

struct slow_answer { enum verdict v; uint32_t rule; bool enforce; };

static struct slow_answer slow_known(const struct slow_rule *r, unsigned n, unsigned from, unsigned to, uint8_t ipproto, uint16_t port, enum app app, enum policy_mode mode)
{
	bool maybe;

	for (unsigned i = 0; i < n; i++)
		if (slow_match(&r[i], from, to, ipproto, port, true, app, &maybe))
			return (struct slow_answer){ r[i].action, i + 1, (r[i].mode < 0 ? (int)mode : r[i].mode) == MODE_PROTECT };
	return (struct slow_answer){ mode == MODE_PROTECT ? VERDICT_DENY : mode == MODE_MONITOR ? VERDICT_ALERT : VERDICT_ALLOW, 0, mode == MODE_PROTECT };
}

/* While the application is unknown: the same for every application, or a refusal whatever it is, or pending. */
static struct slow_answer slow_unknown(const struct slow_rule *r, unsigned n, unsigned from, unsigned to, uint8_t ipproto, uint16_t port, enum policy_mode mode)
{
	struct slow_answer first = { VERDICT_PENDING, 0, false };
	bool any_maybe = false, all_refuse = true;

	for (unsigned i = 0; i < n; i++) {
		bool maybe, hit = slow_match(&r[i], from, to, ipproto, port, false, APP_UNKNOWN, &maybe);

		if (hit && !any_maybe)
			return (struct slow_answer){ r[i].action, i + 1, (r[i].mode < 0 ? (int)mode : r[i].mode) == MODE_PROTECT };
		any_maybe |= maybe;
		if (hit)
			break;
	}
	if (!any_maybe)
		return slow_known(r, 0, from, to, ipproto, port, APP_UNKNOWN, mode);
	for (unsigned a = 0; a < APP_COUNT && all_refuse; a++) {
		struct slow_answer s = slow_known(r, n, from, to, ipproto, port, (enum app)a, mode);

		all_refuse = verdict_stops(s.v) && s.enforce;
		/* the first such rule in order is the one that is told */
		if (all_refuse && (first.v == VERDICT_PENDING || (s.rule && (!first.rule || s.rule < first.rule))))
			first = s;
	}
	return all_refuse ? first : (struct slow_answer){ VERDICT_PENDING, 0, false };
}

static void random_policy(uint64_t *s, struct slow_rule *r, unsigned n, struct policy_builder *b)
{
	static const enum app apps[] = { APP_HTTP, APP_HTTP2, APP_GRPC, APP_SSH, APP_TLS, APP_UNKNOWN };
	static const enum verdict actions[] = { VERDICT_ALLOW, VERDICT_ALERT, VERDICT_DENY, VERDICT_DROP };

	for (unsigned i = 0; i < n; i++) {
		uint16_t from[NG + 1], to[NG + 1];
		struct rule_spec spec = { .id = i + 1, .from = from, .to = to, .line = i };
		struct err e;

		memset(&r[i], 0, sizeof r[i]);
		r[i].from = (unsigned)(rnd(s) % 3 ? 1u << (rnd(s) % (NG + 1)) : 1 + rnd(s) % ((1 << (NG + 1)) - 1));
		r[i].to = (unsigned)(rnd(s) % 3 ? 1u << (rnd(s) % (NG + 1)) : 1 + rnd(s) % ((1 << (NG + 1)) - 1));
		for (unsigned g = 0; g <= NG; g++) {
			if (r[i].from >> g & 1)
				from[spec.nfrom++] = (uint16_t)g;
			if (r[i].to >> g & 1)
				to[spec.nto++] = (uint16_t)g;
		}
		r[i].nports = (unsigned)(rnd(s) % 3);
		for (unsigned k = 0; k < r[i].nports; k++) {
			uint16_t lo = (uint16_t)(1 + rnd(s) % 6);

			r[i].port[k] = (struct port_range){ (uint8_t[]){ 0, 6, 17 }[rnd(s) % 3], lo, (uint16_t)(rnd(s) % 2 ? lo : lo + rnd(s) % 4) };
		}
		r[i].napps = (unsigned)(rnd(s) % 3);
		for (unsigned k = 0; k < r[i].napps; k++)
			r[i].apps[k] = apps[rnd(s) % 6];
		r[i].action = actions[rnd(s) % 4];
		r[i].mode = (int)(rnd(s) % 8) - 5 < 0 ? RULE_MODE_NONE : (int)(rnd(s) % 3);
		spec.ports = r[i].port;
		spec.nports = r[i].nports;
		spec.apps = r[i].apps;
		spec.napps = r[i].napps;
		spec.action = r[i].action;
		spec.mode = r[i].mode;
		if (policy_add_rule(b, &spec, &e))
			CU_FAIL("a random rule was refused");
	}
}

struct explained {
	uint32_t matched;
	unsigned later;
};

static void on_explain(void *ctx, uint32_t rule, unsigned line, enum policy_why w)
{
	struct explained *ex = ctx;

	CU_ASSERT_EQUAL(line, rule - 1);
	CU_ASSERT_EQUAL(ex->matched, 0);	/* nothing after the one that matches */
	ex->later += w == WHY_LATER;
	if (w == WHY_MATCH)
		ex->matched = rule;
}

struct shadows {
	uint32_t rule[NR];
	unsigned n;
};

static void on_shadow(void *ctx, uint32_t rule, unsigned line, uint32_t by, unsigned by_line)
{
	struct shadows *s = ctx;

	CU_ASSERT(by < rule && by_line == by - 1 && line == rule - 1);
	s->rule[s->n++] = rule;
}

static void test_against_slow(void)
{
	struct shadows shadows;
	unsigned shadowed = 0;
	uint64_t s = 4711;
	unsigned kinds[VERDICT_COUNT] = { 0 }, cases = 0;

	for (int round = 0; round < 1000; round++) {
		unsigned n = 1 + (unsigned)(rnd(&s) % NR);
		struct policy_builder *b = policy_begin(MODE_DISCOVER);
		struct slow_rule r[NR];
		struct policy *p;
		struct err e;

		for (unsigned g = 1; g <= NG; g++) {
			char name[8];

			snprintf(name, sizeof name, "g%u", g);
			if (policy_add_group(b, name, -1, &e) != (int)g)
				CU_FAIL("groups are numbered in order");
			policy_group_needs_workload(b, g);
		}
		random_policy(&s, r, n, b);
		p = policy_build(b);
		shadows.n = 0;
		policy_shadowed(p, on_shadow, &shadows);
		for (int i = 0; i < 100; i++, cases++) {
			struct group_set from = { { 1 | (rnd(&s) & ((1 << (NG + 1)) - 1)) } }, to = { { 1 | (rnd(&s) & ((1 << (NG + 1)) - 1)) } };
			struct policy_query q = { .from = &from, .to = &to, .ipproto = rnd(&s) % 2 ? 6 : 17, .port = (uint16_t)(1 + rnd(&s) % 9),
						  .app_known = rnd(&s) % 2, .app = (enum app)(rnd(&s) % APP_COUNT), .mode = (enum policy_mode)(rnd(&s) % 3) };
			struct slow_answer want = q.app_known
				? slow_known(r, n, (unsigned)from.bits[0], (unsigned)to.bits[0], q.ipproto, q.port, q.app, q.mode)
				: slow_unknown(r, n, (unsigned)from.bits[0], (unsigned)to.bits[0], q.ipproto, q.port, q.mode);
			struct policy_answer got = policy_judge(p, &q);

			kinds[got.verdict]++;
			{	/* told why, by the obvious walk: it ends at the rule that decides */
				struct explained ex = { 0 };

				policy_explain(p, &q, on_explain, &ex);
				CU_ASSERT(!q.app_known || ex.matched == got.rule);
				CU_ASSERT(got.verdict != VERDICT_PENDING || ex.later > 0);
				for (unsigned k = 0; k < shadows.n; k++)
					CU_ASSERT(!got.rule || got.rule != shadows.rule[k]);	/* what is said never to match never did */
				shadowed += shadows.n;
			}
			if (got.verdict != want.v || (want.v != VERDICT_PENDING && (got.rule != want.rule || got.enforce != want.enforce))) {
				CU_FAIL("the compiled policy and the slow evaluator disagree");
				printf("\n    round %d case %d: verdict %d/%d rule %u/%u enforce %d/%d known %d\n", round, i, got.verdict, want.v, got.rule, want.rule, got.enforce,
				       want.enforce, q.app_known);
			}
		}
		policy_unref(p);
	}
	CU_ASSERT_EQUAL(cases, 100000);
	CU_ASSERT(shadowed > 1000);
	for (unsigned v = 0; v < VERDICT_COUNT; v++)
		CU_ASSERT(kinds[v] > 100);	/* each verdict was really met */
}

/* ---- matchers ---- */

#define METHODS 7u	/* sets of the methods A and B and C; as values of a request also the empty one */

struct slow_l7 {
	unsigned methods;	/* bits; 0: no matcher */
	bool app;		/* names http2 (which http3 of the test's queries is not) */
	enum verdict action;
};

/* Does it match a request of http2 or http (the query's) that says these methods? */
static bool slow_l7_match(const struct slow_l7 *r, enum app app, unsigned said)
{
	if ((r->app && !app_is(app, APP_HTTP2)) || (r->methods && !app_is(app, APP_HTTP)))
		return false;
	if (!r->methods)
		return true;
	return r->action == VERDICT_ALLOW ? said && !(said & ~r->methods) : said & r->methods;
}

static struct policy_answer slow_l7(const struct slow_l7 *r, unsigned n, enum app app, unsigned said)
{
	for (unsigned i = 0; i < n; i++)
		if (slow_l7_match(&r[i], app, said))
			return (struct policy_answer){ .verdict = r[i].action, .rule = i + 1 };
	return (struct policy_answer){ .verdict = VERDICT_DENY };
}

static void add_l7(struct policy_builder *b, const struct slow_l7 *r, unsigned id)
{
	static const char *const names[] = { "A", "B", "C" };
	const char *patterns[3];
	uint16_t any = POLICY_GROUP_ANY;
	enum app app = APP_HTTP2;
	struct match_spec m = { .key = (unsigned)match_by_name("http"), .patterns = patterns };
	struct rule_spec spec = { .id = id, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .apps = &app, .napps = r->app, .match = &m, .nmatch = r->methods != 0,
				  .action = r->action, .mode = RULE_MODE_NONE, .line = id - 1 };
	struct err e;

	for (unsigned i = 0; i < 3; i++)
		if (r->methods >> i & 1)
			patterns[m.npatterns++] = names[i];
	if (policy_add_rule(b, &spec, &e))
		CU_FAIL("a random rule was refused");
}

/* With facts the compiled policy says what the slow one says; without, it decides only what is the same whatever they are. */
static void test_matchers_against_slow(void)
{
	static const struct fact f_method = { "http_method", FACT_HTTP_METHOD };
	static const enum app apps[] = { APP_HTTP, APP_HTTP2, APP_GRPC, APP_SSH };
	static const enum verdict actions[] = { VERDICT_ALLOW, VERDICT_ALERT, VERDICT_DENY, VERDICT_DROP };
	struct record *r = calloc(1, sizeof(*r));
	unsigned decided = 0, pending = 0, shadowed = 0;
	struct shadows shadows;
	uint64_t s = 99;

	for (unsigned round = 0; round < 5000; round++) {
		struct policy_builder *b = policy_begin(MODE_PROTECT);
		unsigned n = (unsigned)(rnd(&s) % 7);
		struct slow_l7 rules[6];
		struct policy *p;

		for (unsigned i = 0; i < n; i++) {
			rules[i] = (struct slow_l7){ (unsigned)(rnd(&s) % 8), rnd(&s) % 3 == 0, actions[rnd(&s) % 4] };
			add_l7(b, &rules[i], i + 1);
		}
		p = policy_build(b);
		shadows.n = 0;
		CU_ASSERT_TRUE(policy_shadowed(p, on_shadow, &shadows));
		for (unsigned k = 0; k < shadows.n; k++)	/* the same is asked for again */
			for (unsigned i = 0; i + 1 < shadows.rule[k]; i++)
				shadowed += rules[i].methods && rules[i].methods == rules[shadows.rule[k] - 1].methods;
		for (unsigned a = 0; a < 4; a++) {
			struct group_set any = { { 1 } };
			struct policy_query q = { .from = &any, .to = &any, .ipproto = 6, .port = 80, .app = apps[a], .app_known = true, .mode = MODE_PROTECT };
			struct policy_answer before = policy_judge(p, &q);
			bool same = true;

			for (unsigned said = 0; said <= METHODS; said++) {
				struct policy_answer want = slow_l7(rules, n, apps[a], said), got;
				struct facts f = { .body = r->body };

				rec_reset(r);
				for (unsigned i = 0; i < 3; i++)
					if (said >> i & 1)
						rec_str(r, &f_method, &"ABC"[i], 1);
				f.len = r->len;
				q.facts = &f;
				got = policy_judge(p, &q);
				CU_ASSERT(got.verdict == want.verdict && got.rule == want.rule);
				for (unsigned k = 0; k < shadows.n; k++)
					CU_ASSERT_NOT_EQUAL(got.rule, shadows.rule[k]);
				/* refusals of different rules are the same to the sender */
				same &= before.verdict == VERDICT_PENDING || verdict_stops(before.verdict) == verdict_stops(want.verdict);
				if (!verdict_stops(before.verdict) && before.verdict != VERDICT_PENDING)
					same &= before.verdict == want.verdict && before.rule == want.rule;
			}
			CU_ASSERT_TRUE(same);
			pending += before.verdict == VERDICT_PENDING;
			decided += before.verdict != VERDICT_PENDING;
		}
		policy_unref(p);
	}
	CU_ASSERT(pending > 1000 && decided > 1000 && shadowed > 1000);
	free(r);
}

/* What a matcher may be. */
static void test_matcher_refusals(void)
{
	static const char *const get[] = { "GET" }, *const nothing[] = { "" };
	struct policy_builder *b = policy_begin(MODE_PROTECT);
	unsigned http = (unsigned)match_by_name("http");
	uint16_t any = 0;
	enum app ssh = APP_SSH, grpc = APP_GRPC;
	struct match_spec m[2] = { { http, NULL, get, 1 }, { (unsigned)match_by_name("dns"), NULL, get, 1 } };
	struct rule_spec r = { .id = 1, .from = &any, .to = &any, .nfrom = 1, .nto = 1, .match = m, .nmatch = 2, .action = VERDICT_ALLOW, .mode = RULE_MODE_NONE, .line = 3 };
	struct err e;

	CU_ASSERT(policy_add_rule(b, &r, &e) == -EINVAL && strstr(e.text, "line 3") && strstr(e.text, "one application"));
	r.nmatch = 1;
	r.apps = &ssh;
	r.napps = 1;
	CU_ASSERT(policy_add_rule(b, &r, &e) == -EINVAL && strstr(e.text, "never match"));
	r.apps = &grpc;		/* is carried in http */
	CU_ASSERT_EQUAL(policy_add_rule(b, &r, &e), 0);
	r.id = 2;
	m[0].npatterns = 0;
	CU_ASSERT(policy_add_rule(b, &r, &e) == -EINVAL && strstr(e.text, "is empty"));
	m[0] = (struct match_spec){ http, NULL, nothing, 1 };
	CU_ASSERT_EQUAL(policy_add_rule(b, &r, &e), -EINVAL);
	while (match_keys[m[0].key].how != MATCH_HEADER)
		m[0].key++;
	m[0].patterns = get;
	CU_ASSERT(policy_add_rule(b, &r, &e) == -EINVAL && strstr(e.text, "field's name"));
	m[0].header = "X-Env";
	CU_ASSERT_EQUAL(policy_add_rule(b, &r, &e), 0);
	policy_builder_free(b);
}

const struct unit_test tests_policy[] = {
	{ "order, ports, modes", test_order_and_ports },
	{ "groups", test_groups },
	{ "many groups", test_many_groups },
	{ "what waits for the application", test_pending },
	{ "what has no meaning is refused", test_refusals },
	{ "100,000 random cases against a slow evaluator", test_against_slow },
	{ "160,000 random requests against a slow evaluator", test_matchers_against_slow },
	{ "matchers without meaning are refused", test_matcher_refusals },
	{ 0 },
};
