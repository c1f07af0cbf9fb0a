/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy: judging a flow by an ordered list of rules.
 *
 * A built policy is read by all workers at once and never changes. policy_build.c makes it (policy_table.h is between
 * the two); the core calls what is here: policy_groups() once per end of a flow, policy_judge() once per flow and again
 * when its application is known.
 *
 * Judging. Each rule stands in the index under the groups of one of its sides, the one whose groups fewer rules name,
 * and there under its ports when it names single ones. A flow looks into the lists of the groups that its ends are in.
 * The lists need no merging: the first rule in order that matches is the smallest number that any of them yields, and
 * each list is left once it has passed the best so far. So the work is that of the rules which share a group and a port
 * with the flow, however many others there are.
 *
 * Pending. While the application is unknown, a rule that names applications may or may not match. For every application
 * the first rule that would decide is known from two numbers: the first rule for it that lets pass, and the first that
 * stops. If every application ends in an enforced refusal, it is given at once; if none of these rules comes before the
 * first complete match, that match is the answer; otherwise the flow is pending. */
#include <stdlib.h>

#include "dpi/policy_table.h"

/* ---- groups ---- */

/* Marks the groups that name the prefix `at` of length `len`, by binary search among those of its length. */
static void prefix_mark(const struct policy *p, const struct prefix_len *pl, const struct addr *net,
			struct group_set *in, struct group_set *out)
{
	uint32_t lo = pl->first, hi = pl->first + pl->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (addr_cmp(&p->prefix[mid].net, net) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < pl->first + pl->n && addr_eq(&p->prefix[lo].net, net); lo++)
		set_add(p->prefix[lo].not ? out : in, p->prefix[lo].group);
}

static struct addr masked(const struct addr *a, unsigned len)
{
	struct addr m = { { 0 } };

	memcpy(m.b, a->b, len / 8);
	if (len % 8)
		m.b[len / 8] = (uint8_t)(a->b[len / 8] & (0xff00u >> (len % 8)));
	return m;
}

/* Do names hold, for groups that ask for them? */
struct named {
	uint64_t yes, may;
};

static struct named named(const struct policy_names *n, unsigned not, unsigned w)
{
	uint64_t addr = n ? n->of_addr[not].bits[w] : 0, later = n && n->later ? ~addr : 0;

	if (!n)
		return (struct named){ 0, 0 };
	switch (n->shown) {
	case SHOWN_NONE:
		return (struct named){ addr, later };
	case SHOWN_YES:
		return (struct named){ addr & n->of_flow[not].bits[w], later & n->of_flow[not].bits[w] };
	case SHOWN_LATER:
	case SHOWN_LOST:
		break;
	}
	return (struct named){ 0, addr | later };
}

void policy_groups_named(const struct policy *p, const struct addr *a, const struct group_set *workload, const struct policy_names *names, struct group_set *out,
			 struct group_set *sure)
{
	struct group_set in = { { 0 } }, not = { { 0 } };
	bool v4 = addr_is_v4(a);

	for (unsigned i = 0; i < p->nlens; i++) {
		const struct prefix_len *pl = &p->lens[i];
		struct addr net;

		if (v4 && pl->len < 96)
			continue;	/* ::/0 is all of IPv6, not IPv4 in its mapped form */
		net = masked(a, pl->len);
		prefix_mark(p, pl, &net, &in, &not);
	}
	for (unsigned w = 0; w < POLICY_GROUPS_MAX / 64; w++) {
		uint64_t cidr = p->has_cidr.bits[w], needs = p->needs_workload.bits[w], fqdn = p->has_fqdn.bits[w];
		uint64_t own = workload ? workload->bits[w] : 0, minus = p->minus_workload.bits[w], minus_cidr = p->minus_cidr.bits[w], minus_fqdn = p->minus_fqdn.bits[w];
		struct named is = named(names, 0, w), isnt = named(names, 1, w);
		uint64_t held = (cidr | needs | fqdn) & (in.bits[w] | ~cidr) & (own | ~needs);
		uint64_t gone = (minus_cidr | minus | minus_fqdn) & (not.bits[w] | ~minus_cidr) & (own | ~minus);

		sure->bits[w] = held & (is.yes | ~fqdn) & ~(gone & (isnt.yes | isnt.may | ~minus_fqdn));
		out->bits[w] = held & (is.yes | is.may | ~fqdn) & ~(gone & (isnt.yes | ~minus_fqdn));
	}
	set_add(out, POLICY_GROUP_ANY);
	set_add(sure, POLICY_GROUP_ANY);
}

enum policy_mode policy_mode_of(const struct policy *p, const struct group_set *s)
{
	for (unsigned w = 0; w < POLICY_GROUPS_MAX / 64; w++) {
		uint64_t hit = s->bits[w] & p->has_mode.bits[w];

		if (hit)
			return p->group_mode[w * 64 + (unsigned)__builtin_ctzll(hit)];
	}
	return p->default_mode;
}

/* ---- names ---- */

bool policy_asks_names(const struct policy *p) { return p->fqdn.n != 0; }

void policy_name_of_addr(const struct policy *p, struct policy_names *n, struct bytes clean) { fqdn_mark(&p->fqdn, clean, &n->of_addr[0], &n->of_addr[1]); }

/* What is not a name is none of any group. */
static void shown(const struct policy *p, struct policy_names *n, struct bytes text)
{
	struct group_set in[2] = { { { 0 } }, { { 0 } } };
	char name[FQDN_NAME_MAX + 1];
	size_t len = fqdn_name(text, name);

	if (len)
		fqdn_mark(&p->fqdn, (struct bytes){ (const uint8_t *)name, len }, &in[0], &in[1]);
	for (unsigned not = 0; not < 2; not++)
		for (unsigned w = 0; w < POLICY_GROUPS_MAX / 64; w++)
			n->of_flow[not].bits[w] = n->shown == SHOWN_YES ? n->of_flow[not].bits[w] & in[not].bits[w] : in[not].bits[w];
	n->shown = SHOWN_YES;
}

/* A websocket's name was shown by the request that began it. */
static bool shows_names(enum app a) { return a == APP_TLS || a == APP_DTLS || a == APP_QUIC || (app_is(a, APP_HTTP) && a != APP_WEBSOCKET); }

void policy_name_of_flow(const struct policy *p, struct policy_names *n, bool app_known, enum app app, const struct facts *f)
{
	const uint8_t *pos = f ? f->body : NULL, *end = f && f->len ? f->body + f->len : pos;
	const struct item *it;
	const void *v;

	n->shown = SHOWN_NONE;
	while (pos != end && (it = item_next(&pos, end, &v)))
		if (it->kind == ITEM_STR && it->fact && (it->fact->role == FACT_TLS_SNI || it->fact->role == FACT_HTTP_HOST))
			shown(p, n, (struct bytes){ v, it->len });
	if (n->shown == SHOWN_YES || (app_known && !shows_names(app)))
		return;
	if (!f)
		n->shown = SHOWN_LATER;
	else if (f->partial)
		n->shown = SHOWN_LOST;
}

/* ---- fields of requests ---- */

bool policy_has_headers(const struct policy *p) { return p->nheaders != 0; }

const struct fact *policy_header(const struct policy *p, struct bytes name)
{
	for (unsigned i = 0; i < p->nheaders; i++) {
		const char *want = p->header[i]->name;
		size_t n = strlen(want);

		if (name.n == n && match_glob((struct bytes){ (const uint8_t *)want, n }, name, true, false))
			return p->header[i];
	}
	return NULL;
}

/* ---- judging ---- */

#define NO_RULE UINT32_MAX

struct judge {
	const struct policy *p;
	const struct policy_query *q;
	uint32_t best;			/* first rule that matches completely, so far */
	uint32_t looked;
	bool any_maybe;			/* the arrays are in use */
	uint32_t pass[APP_COUNT];	/* first rule that lets this application pass, or may: if it turns out to be that ... */
	uint32_t stop[APP_COUNT];	/* ... the first that refuses it, enforced ... */
	uint32_t may_stop[APP_COUNT];	/* ... and the first that may, by facts */
};

static bool in_any(const struct policy *p, const struct rule_groups *g, const struct group_set *s)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (set_has(s, p->group_no[g->first + i]))
			return true;
	return false;
}

static bool ports_hold(const struct policy *p, const struct rule *r, const struct policy_query *q)
{
	for (uint32_t i = 0; i < r->nports; i++) {
		const struct port_range *pr = &p->port[r->first_port + i];

		if ((!pr->ipproto || pr->ipproto == q->ipproto) && q->port >= pr->lo && q->port <= pr->hi)
			return true;
	}
	return !r->nports;
}

static bool app_holds(const struct rule *r, enum app a)
{
	return !r->has_apps || r->apps.bits[a / 64] >> (a % 64) & 1;
}

static bool enforced(const struct rule *r, const struct policy_query *q)
{
	return (r->mode == RULE_MODE_NONE ? (int)q->mode : r->mode) == MODE_PROTECT;
}

static bool rule_refuses(const struct rule *r, const struct policy_query *q)
{
	return verdict_stops(r->action) && enforced(r, q);
}

/* Its ends are in its groups whatever their names will be. */
static bool ends_sure(const struct policy *p, const struct rule *r, const struct policy_query *q)
{
	return (!q->from_sure || in_any(p, &r->from, q->from_sure)) && (!q->to_sure || in_any(p, &r->to, q->to_sure));
}

/* A rule that may match once the application, a name, or the facts of a request, are known. */
static void maybe(struct judge *j, uint32_t no)
{
	const struct rule *r = &j->p->rule[no];
	uint32_t *first = !rule_refuses(r, j->q) ? j->pass : r->nclauses || !ends_sure(j->p, r, j->q) ? j->may_stop : j->stop;

	if (!j->any_maybe) {
		memset(j->pass, 0xff, sizeof(j->pass));
		memset(j->stop, 0xff, sizeof(j->stop));
		memset(j->may_stop, 0xff, sizeof(j->may_stop));
		j->any_maybe = true;
	}
	for (unsigned a = 0; a < APP_COUNT && !r->has_apps; a++)
		if (no < first[a])
			first[a] = no;
	for (unsigned w = 0; w < APP_WORDS; w++)
		for (uint64_t left = r->apps.bits[w]; left; left &= left - 1) {
			unsigned a = w * 64 + (unsigned)__builtin_ctzll(left);

			if (no < first[a])
				first[a] = no;
		}
}

/* By what is known of application (a known one is the rule's) and facts. */
static enum match asks_hold(const struct rule *r, const struct policy_query *q)
{
	bool allows = r->action == VERDICT_ALLOW;

	if (q->any_app)
		return r->nclauses && !allows ? MATCH_NO : MATCH_YES;
	if (!q->app_known)
		return r->has_apps ? MATCH_MAYBE : MATCH_YES;
	if (!r->nclauses)
		return MATCH_YES;
	return q->facts ? match_facts(r->clause, r->nclauses, q->facts, allows) : MATCH_MAYBE;
}

/* The same, and of names, where its groups hold as far as they are not decided by names. */
static enum match rule_holds(const struct policy *p, const struct rule *r, const struct policy_query *q)
{
	enum match m = asks_hold(r, q);

	if (m == MATCH_NO || ends_sure(p, r, q))
		return m;
	if (!q->names_lost)
		return MATCH_MAYBE;
	return r->action == VERDICT_ALLOW ? MATCH_NO : m;
}

static void scan(struct judge *j, const struct rule_list *l)
{
	const struct policy *p = j->p;

	for (uint32_t i = 0; i < l->n; i++) {
		uint32_t no = p->rule_no[l->first + i];
		const struct rule *r = &p->rule[no];

		if (no >= j->best)
			return;
		j->looked++;
		if (j->q->app_known && !j->q->any_app && !app_holds(r, j->q->app))
			continue;
		if (!in_any(p, &r->from, j->q->from) || !in_any(p, &r->to, j->q->to) || !ports_hold(p, r, j->q))
			continue;
		switch (rule_holds(p, r, j->q)) {
		case MATCH_NO:
			continue;
		case MATCH_MAYBE:
			maybe(j, no);
			continue;
		case MATCH_YES:
			j->best = no;
			return;
		}
	}
}

/* All lists of one side's groups that the flow can be in. */
static void scan_side(struct judge *j, enum rule_side side, const struct group_set *s)
{
	const struct policy *p = j->p;

	for (unsigned w = 0; w < POLICY_GROUPS_MAX / 64; w++)
		for (uint64_t left = s->bits[w] & p->indexed[side].bits[w]; left; left &= left - 1) {
			unsigned g = w * 64 + (unsigned)__builtin_ctzll(left);
			const struct group_index *gi = &p->index[side][g];
			const struct rule_list *l;

			scan(j, &gi->wide);
			if (!gi->has_exact)
				continue;
			l = policy_exact(p, exact_key(side, g, j->q->ipproto, j->q->port));
			if (l)
				scan(j, l);
			l = policy_exact(p, exact_key(side, g, 0, j->q->port));
			if (l)
				scan(j, l);
		}
}

static struct policy_answer rule_answer(const struct judge *j, uint32_t no)
{
	const struct rule *r = &j->p->rule[no];

	return (struct policy_answer){
		.verdict = r->action, .rule = r->id, .reason = REASON_POLICY, .enforce = enforced(r, j->q), .looked = j->looked,
	};
}

static struct policy_answer no_rule_answer(const struct judge *j)
{
	struct policy_answer a = { .reason = REASON_NO_RULE, .looked = j->looked };

	switch (j->q->mode) {
	case MODE_DISCOVER:
		a.verdict = VERDICT_ALLOW;
		break;
	case MODE_MONITOR:
		a.verdict = VERDICT_ALERT;
		break;
	case MODE_PROTECT:
		a.verdict = VERDICT_DENY;
		a.enforce = true;
		break;
	}
	return a;
}

/* The application or facts are not known and some rules ask for them. `final`: what holds when none of them matches. */
static struct policy_answer answer_pending(const struct judge *j, struct policy_answer final)
{
	const struct policy_answer pending = { .verdict = VERDICT_PENDING, .reason = REASON_NONE, .looked = j->looked };
	bool final_passes = !(verdict_stops(final.verdict) && final.enforce);
	bool may_change = false, may_pass = false;
	uint32_t first = j->best;

	for (unsigned a = j->q->app_known ? j->q->app : 0; a < (j->q->app_known ? j->q->app + 1u : APP_COUNT); a++) {
		uint32_t pass = j->pass[a], stop = j->stop[a];

		may_change |= pass < j->best || stop < j->best || j->may_stop[a] < j->best;
		may_pass |= pass < stop && pass < j->best;
		may_pass |= stop >= j->best && final_passes;
		if (stop < first)
			first = stop;
	}
	if (!may_change)
		return final;
	if (may_pass)
		return pending;
	return first == j->best ? final : rule_answer(j, first);
}

static enum policy_why why(const struct policy *p, const struct rule *r, const struct policy_query *q)
{
	if (!in_any(p, &r->from, q->from))
		return WHY_FROM;
	if (!in_any(p, &r->to, q->to))
		return WHY_TO;
	if (!ports_hold(p, r, q))
		return WHY_PORTS;
	if (q->app_known && !q->any_app && !app_holds(r, q->app))
		return WHY_APPS;
	switch (rule_holds(p, r, q)) {
	case MATCH_NO:
		return WHY_FACTS;
	case MATCH_MAYBE:
		return WHY_LATER;
	case MATCH_YES:
		break;
	}
	return WHY_MATCH;
}

void policy_explain(const struct policy *p, const struct policy_query *q, void (*fn)(void *ctx, uint32_t rule, unsigned line, enum policy_why), void *ctx)
{
	for (uint32_t no = 0; no < p->nrules; no++) {
		enum policy_why w = why(p, &p->rule[no], q);

		fn(ctx, p->rule[no].id, p->rule[no].line, w);
		if (w == WHY_MATCH)
			return;
	}
}

const char *policy_why_text(enum policy_why w)
{
	static const char *const texts[] = {
#define X(id, text) [WHY_##id] = text,
		POLICY_WHYS(X)
#undef X
	};

	return texts[w];
}

struct policy_answer policy_judge(const struct policy *p, const struct policy_query *q)
{
	struct judge j;
	struct policy_answer final;

	j.p = p;
	j.q = q;
	j.best = NO_RULE;
	j.looked = 0;
	j.any_maybe = false;
	scan_side(&j, SIDE_TO, q->to);
	scan_side(&j, SIDE_FROM, q->from);
	final = j.best == NO_RULE ? no_rule_answer(&j) : rule_answer(&j, j.best);
	return j.any_maybe ? answer_pending(&j, final) : final;
}
