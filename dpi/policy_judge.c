/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_judge: judging a flow by an ordered list of rules: policy_judge() once per flow and again when its application is known, and
 * for each request where rules ask for facts.
 *
 * Judging. The rules that share groups of both ends, the port and the application with the flow are the intersection of sets
 * (policy_index.h), worked out 4,096 rules at a time, the dimension with the fewest rules first, so that the others are looked at only
 * where it left something. They are then taken in order, and the first that decides ends it. Of a request its facts are one more
 * dimension, where more than a few rules are left without.
 *
 * Pending. While the application is unknown, a rule that names applications may or may not match; so may one that asks for facts before
 * a request is there, and one whose groups ask for a name that is not known yet. `open` are the applications for which nothing refuses
 * yet. A rule that may let one of them pass makes the flow pending; one that refuses some takes them out of `open`, and when none is
 * left the flow is refused at its first packet. Of rules that ask for the same, only the first can change anything: the others of its
 * class are struck from what is left. */
#include <stdlib.h>

#include "dpi/policy_memo.h"
#include "dpi/policy_table.h"

#define NO_RULE UINT32_MAX
#define STRUCK_MAX 32u
#define ASKED_FEW 6u			/* rules that are asked for facts without looking who may hold: that costs as much */
#define ASKED_MANY 256u			/* where that many may be left, it is looked before anything else */
#define LITERAL_HITS_MAX 768u		/* of one request */
#define FACT_SETS_MAX (1 + LITERAL_HITS_MAX + 5 * LITERAL_FIELDS_MAX)
#define PORT_SETS_MAX (1 + 2 * 17)	/* rules without ports, and the prefixes of a port, of its protocol and of any */

/* Of these sets one must hold the rule. */
struct dimension {
	const uint32_t *set;
	unsigned n;
	uint64_t rules;		/* in all of them, at most */
	const uint64_t *top, *word;	/* not NULL: the union of them, as policy_memo.h has it */
};

struct judge {
	const struct policy *p;
	const struct policy_query *q;
	uint32_t looked;
	bool may_change;		/* a rule that may match was seen ... */
	bool pending;			/* ... that lets an open application pass ... */
	bool facts;			/* ... that asks for facts or names ... */
	bool may_stop;			/* ... that refuses ... */
	uint32_t first_stop;		/* ... and refuses whatever facts and names are */
	struct app_set open;
	uint64_t later[LITERAL_FIELDS_MAX / 64];	/* fields that may be told yet */
	uint32_t *fact_sets;		/* room for FACT_SETS_MAX, those of ... */
	struct dimension by_facts;	/* where facts are there to tell rules by ... */
	bool tell_by_facts, told_by_facts;	/* ... it is worked out when it is needed */
	bool may_hold;			/* something may be known later but the application */
	uint32_t struck[STRUCK_MAX];	/* sets whose rules change nothing any more */
	unsigned nstruck;
	uint64_t left[INDEX_CHUNK_WORDS];	/* rules of the chunk at hand ... */
	uint64_t live;			/* ... and which of these words may not be zero */
	uint32_t chunk;
	struct policy_answer answer;
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

static bool shares_app(const struct app_set *a, const struct app_set *b)
{
	uint64_t both = 0;

	for (unsigned w = 0; w < APP_WORDS; w++)
		both |= a->bits[w] & b->bits[w];
	return both != 0;
}

/* The rule names its application, or one that it may turn out to be. */
static bool app_may_hold(const struct policy *p, const struct rule *r, const struct policy_query *q)
{
	return app_holds(r, q->app) || (q->app_open && shares_app(&r->apps, &p->carried[q->app]));
}

/* By what is known of application (a known one is the rule's, or may become it) and facts. */
static enum match asks_hold(const struct rule *r, const struct policy_query *q)
{
	bool allows = r->action == VERDICT_ALLOW;

	if (q->any_app)
		return r->nclauses && !allows ? MATCH_NO : MATCH_YES;
	if (!q->app_known)
		return r->has_apps ? MATCH_MAYBE : MATCH_YES;
	if (!app_holds(r, q->app))
		return MATCH_MAYBE;
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
	if (!q->names_lost && !q->names_unseen)
		return MATCH_MAYBE;
	return (r->action == VERDICT_ALLOW) == q->names_unseen ? m : MATCH_NO;
}

static struct policy_answer rule_answer(const struct judge *j, uint32_t no)
{
	const struct rule *r = &j->p->rule[no];

	return (struct policy_answer){
		.verdict = r->action, .rule = r->id, .reason = REASON_POLICY, .enforce = enforced(r, j->q), .looked = j->looked,
	};
}

static struct policy_answer no_rule_answer(const struct policy_query *q, uint32_t looked)
{
	struct policy_answer a = { .reason = REASON_NO_RULE, .looked = looked };

	switch (q->mode) {
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

/* Takes the set's rules out of those of the chunk at hand. */
static void strike(struct judge *j, uint32_t set)
{
	const struct rule_index *x = &j->p->index;
	const struct rule_chunk *c = set_chunk(x, set, j->chunk);
	const uint64_t *word = x->word + c->first;

	if (c->top == UINT64_MAX) {
		j->live = 0;
		for (unsigned w = 0; w < INDEX_CHUNK_WORDS; w++) {
			j->left[w] &= ~word[w];
			j->live |= (uint64_t)(j->left[w] != 0) << w;
		}
		return;
	}
	for (uint64_t words = c->top & j->live; words; words &= words - 1) {
		unsigned w = (unsigned)__builtin_ctzll(words);

		j->left[w] &= ~word[bits_below(c->top, w)];
		if (!j->left[w])
			j->live &= ~(UINT64_C(1) << w);
	}
}

static void strike_for_good(struct judge *j, uint32_t set)
{
	if (j->nstruck == STRUCK_MAX)
		return;		/* they are looked at, then */
	j->struck[j->nstruck++] = set;
	strike(j, set);
}

/* Takes applications out of `open`; true while some are left. */
static bool close_apps(struct app_set *open, const struct app_set *apps)
{
	uint64_t left = 0;

	for (unsigned w = 0; w < APP_WORDS; w++)
		left |= open->bits[w] &= ~apps->bits[w];
	return left != 0;
}

static struct policy_answer pending_answer(const struct judge *j, bool may_stop)
{
	return (struct policy_answer){ .verdict = VERDICT_PENDING, .reason = REASON_NONE, .hold = j->facts && may_stop, .looked = j->looked };
}

/* `final` is the answer of the first rule that matches, or of none: what holds when no rule that may match does. */
static struct policy_answer last_answer(const struct judge *j, struct policy_answer final)
{
	bool stops = verdict_stops(final.verdict) && final.enforce;

	if (!j->may_change)
		return final;
	if (j->pending || !stops)
		return pending_answer(j, j->may_stop || stops);
	return j->first_stop == NO_RULE ? final : rule_answer(j, j->first_stop);
}

/* Nothing is known yet of what the rule is found by: all of its class may match, or will not. */
static bool field_later(const struct judge *j, const struct rule *r)
{
	return r->field != LITERAL_FIELD_NONE && j->later[r->field / 64] >> (r->field % 64) & 1;
}

/* A rule that may match once the application, a name, or the facts of a request are known. True when the answer is known. */
static bool may_match(struct judge *j, uint32_t no)
{
	const struct rule *r = &j->p->rule[no];
	bool refuses = rule_refuses(r, j->q), by_name = !j->q->names_lost && !j->q->names_unseen && !ends_sure(j->p, r, j->q);

	j->may_change = true;
	j->facts |= r->nclauses || by_name || j->q->app_known;
	j->may_stop |= refuses;
	if (!refuses)
		j->pending |= !r->has_apps || j->q->any_app || shares_app(&r->apps, &j->open);
	else if (!r->nclauses && !by_name) {
		if (j->first_stop == NO_RULE)
			j->first_stop = no;
		if (!close_apps(&j->open, &r->apps) && !j->pending) {
			j->answer = rule_answer(j, j->first_stop);
			return true;
		}
	}
	if (j->pending && ((j->facts && j->may_stop) || !j->may_hold)) {
		j->answer = pending_answer(j, true);
		return true;
	}
	if (r->ask_class != ASK_CLASS_NONE && !by_name && (!j->q->facts || field_later(j, r)))
		strike_for_good(j, SET_CLASS + r->ask_class);
	return false;
}

/* A rule that the sets left over. True when it decides. */
static bool consider(struct judge *j, uint32_t no)
{
	const struct rule *r = &j->p->rule[no];

	j->looked++;
	if (r->verify && (!in_any(j->p, &r->from, j->q->from) || !in_any(j->p, &r->to, j->q->to) || !ports_hold(j->p, r, j->q)))
		return false;
	switch (rule_holds(j->p, r, j->q)) {
	case MATCH_NO:
		return false;
	case MATCH_MAYBE:
		return may_match(j, no);
	case MATCH_YES:
		break;
	}
	j->answer = last_answer(j, rule_answer(j, no));
	return true;
}

/* Adds a set's words, of those that are live, to what is held. */
static void hold_words(const struct rule_chunk *c, const uint64_t *word, uint64_t live, uint64_t held[INDEX_CHUNK_WORDS])
{
	uint64_t some = c->top & live;

	if (some == UINT64_MAX) {
		for (unsigned w = 0; w < INDEX_CHUNK_WORDS; w++)
			held[w] |= word[w];
	} else if (some == c->top) {
		for (; some; some &= some - 1)
			held[__builtin_ctzll(some)] |= *word++;
	} else {
		for (; some; some &= some - 1) {
			unsigned w = (unsigned)__builtin_ctzll(some);

			held[w] |= word[c->top == UINT64_MAX ? w : bits_below(c->top, w)];
		}
	}
}

static void narrow_united(struct judge *j, const struct dimension *d, bool all)
{
	const uint64_t *word = d->word + j->chunk * INDEX_CHUNK_WORDS;

	if (all) {
		memcpy(j->left, word, sizeof(j->left));
		j->live = d->top[j->chunk];
		return;
	}
	for (uint64_t live = j->live; live; live &= live - 1) {
		unsigned w = (unsigned)__builtin_ctzll(live);

		j->left[w] &= word[w];
		if (!j->left[w])
			j->live &= ~(UINT64_C(1) << w);
	}
}

/* Leaves of the chunk's rules those that one of the dimension's sets holds; `all`: none were taken out yet. */
static void narrow(struct judge *j, const struct dimension *d, bool all)
{
	const struct rule_index *x = &j->p->index;
	uint64_t held[INDEX_CHUNK_WORDS], live = j->live;

	if (d->word) {
		narrow_united(j, d, all);
		return;
	}
	memset(held, 0, sizeof(held));
	j->live = 0;
	for (unsigned i = 0; i < d->n; i++) {
		const struct rule_chunk *c = set_chunk(x, d->set[i], j->chunk);

		if (!(c->top & live))
			continue;
		j->live |= c->top & live;
		hold_words(c, x->word + c->first, live, held);
	}
	if (all) {
		memcpy(j->left, held, sizeof(held));
		return;
	}
	for (; live; live &= live - 1) {
		unsigned w = (unsigned)__builtin_ctzll(live);

		j->left[w] &= held[w];
		if (!j->left[w])
			j->live &= ~(UINT64_C(1) << w);
	}
}

/* ---- the sets of a flow ---- */

static void add_set(const struct policy *p, struct dimension *d, uint32_t *sets, uint32_t set)
{
	if (!p->index.count[set])
		return;
	sets[d->n++] = set;
	d->rules += p->index.count[set];
}

static struct dimension sets_of_groups(const struct policy *p, enum rule_sets side, const struct group_set *s, uint32_t *sets)
{
	const struct group_set *used = &p->index.used[side == SET_TO];
	struct dimension d = { .set = sets };

	for (unsigned w = 0; w < group_words(p); w++)
		for (uint64_t left = s->bits[w] & used->bits[w]; left; left &= left - 1)
			add_set(p, &d, sets, side + w * 64 + (unsigned)__builtin_ctzll(left));
	return d;
}

/* The longest prefixes of the index that hold the port, under any protocol and under the flow's. */
static void find_port(const struct policy *p, const struct policy_query *q, uint32_t prefix[2])
{
	prefix[0] = prefix_map_find(&p->index.ports, port_key(0, q->port));
	prefix[1] = q->ipproto ? prefix_map_find(&p->index.ports, port_key(q->ipproto, q->port)) : PREFIX_NONE;
}

static struct dimension sets_of_port(const struct policy *p, const uint32_t prefix[2], uint32_t *sets)
{
	struct dimension d = { .set = sets };

	add_set(p, &d, sets, SET_NO_PORT);
	for (unsigned k = 0; k < 2; k++)
		for (uint32_t i = prefix[k]; i != PREFIX_NONE; i = p->index.ports.parent[i])
			add_set(p, &d, sets, SET_PORT + i);
	return d;
}

static struct dimension sets_of_app(const struct policy *p, const struct policy_query *q, uint32_t *sets)
{
	struct dimension d = { .set = sets };

	add_set(p, &d, sets, SET_NO_APP);
	add_set(p, &d, sets, SET_APP + q->app);
	for (unsigned w = 0; q->app_open && w < APP_WORDS; w++)
		for (uint64_t left = p->carried[q->app].bits[w]; left; left &= left - 1)
			add_set(p, &d, sets, SET_APP + w * 64 + (unsigned)__builtin_ctzll(left));
	return d;
}

static void add_fields(const struct policy *p, struct dimension *d, uint32_t *sets, uint32_t first, const uint64_t *fields)
{
	for (unsigned w = 0; w < LITERAL_FIELDS_MAX / 64; w++)
		for (uint64_t left = fields[w]; left; left &= left - 1)
			add_set(p, d, sets, first + w * 64 + (unsigned)__builtin_ctzll(left));
}

/* Of the rules with matchers those that may hold for the request. False: it says too much to tell, all may. */
static bool sets_of_facts(struct judge *j, struct dimension *d, uint32_t *sets)
{
	const struct policy *p = j->p;
	static const uint64_t all[LITERAL_FIELDS_MAX / 64] = { UINT64_MAX, UINT64_MAX };
	uint32_t found[LITERAL_HITS_MAX];
	struct literal_hits h = { .number = found, .max = LITERAL_HITS_MAX };

	literals_find(&p->index.literals, j->q->facts, &h);
	if (h.too_many)
		return false;
	memcpy(j->later, h.later, sizeof(j->later));
	*d = (struct dimension){ .set = sets };
	add_set(p, d, sets, SET_NO_FIELD);
	for (unsigned i = 0; i < h.n; i++)
		add_set(p, d, sets, p->index.literal_sets + found[i] - 1);
	add_fields(p, d, sets, SET_FIELD_ALLOW, h.later);
	add_fields(p, d, sets, SET_FIELD_ALLOW, h.unseen);
	add_fields(p, d, sets, SET_FIELD_OTHER, h.partial ? all : h.later);
	add_fields(p, d, sets, SET_FIELD_OTHER, h.cut_short);
	add_fields(p, d, sets, SET_FIELD_TAIL, h.cut);
	return true;
}

/* ---- all of it ---- */

static unsigned count_left(const struct judge *j)
{
	unsigned n = 0;

	for (uint64_t live = j->live; live; live &= live - 1) {
		uint64_t bits = j->left[__builtin_ctzll(live)];

		n += bits_below(bits, 63) + (unsigned)(bits >> 63);
	}
	return n;
}

/* A few rules are asked for facts sooner than those that may hold are found. */
static void narrow_by_facts(struct judge *j)
{
	if (!j->tell_by_facts || count_left(j) <= ASKED_FEW)
		return;
	if (!j->told_by_facts)
		j->tell_by_facts = j->told_by_facts = sets_of_facts(j, &j->by_facts, j->fact_sets);
	if (j->tell_by_facts)
		narrow(j, &j->by_facts, false);
}

/* The rules of a chunk. True when one decides. */
static bool judge_chunk(struct judge *j, const struct dimension *d, unsigned n)
{
	j->live = UINT64_MAX;
	for (unsigned i = 0; i < n && j->live; i++)
		narrow(j, &d[i], i == 0);
	narrow_by_facts(j);
	for (unsigned i = 0; i < j->nstruck && j->live; i++)
		strike(j, j->struck[i]);
	while (j->live) {
		unsigned w = (unsigned)__builtin_ctzll(j->live);
		uint64_t bit = j->left[w] & -j->left[w];

		if (!bit) {
			j->live &= j->live - 1;
			continue;
		}
		j->left[w] &= ~bit;
		if (consider(j, j->chunk * INDEX_CHUNK_RULES + w * 64 + (unsigned)__builtin_ctzll(bit)))
			return true;
	}
	return false;
}

/* By how many rules they leave over. */
static void sort_dimensions(struct dimension *d, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		for (unsigned k = i; k && d[k].rules < d[k - 1].rules; k--) {
			struct dimension swap = d[k];

			d[k] = d[k - 1];
			d[k - 1] = swap;
		}
}

static enum policy_why why(const struct policy *p, const struct rule *r, const struct policy_query *q)
{
	if (!in_any(p, &r->from, q->from))
		return WHY_FROM;
	if (!in_any(p, &r->to, q->to))
		return WHY_TO;
	if (!ports_hold(p, r, q))
		return WHY_PORTS;
	if (q->app_known && !q->any_app && !app_may_hold(p, r, q))
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

static struct dimension united(const struct policy *p, const struct memo_end *e)
{
	return (struct dimension){ .rules = e->rules, .top = memo_end_top(p, e), .word = memo_end_words(p, e) };
}

/* ends: their classes, or NULL. prefix: as find_port tells. */
static struct policy_answer judge(const struct policy *p, const struct policy_query *q, const struct memo_end *const ends[2], const uint32_t prefix[2])
{
	uint32_t from[POLICY_GROUPS_MAX], to[POLICY_GROUPS_MAX], port[PORT_SETS_MAX], app[1 + APP_COUNT], fact[FACT_SETS_MAX];
	struct dimension d[5];
	struct judge j;
	unsigned n = 3;

	j.p = p;
	j.q = q;
	j.looked = 0;
	j.may_change = j.pending = j.facts = j.may_stop = false;
	j.may_hold = p->index.asks_facts || q->from_sure || q->to_sure || q->app_open;
	j.first_stop = NO_RULE;
	j.nstruck = 0;
	memset(&j.open, q->app_known ? 0 : 0xff, sizeof(j.open));
	if (q->app_known) {
		if (q->app_open)
			j.open = p->carried[q->app];
		j.open.bits[q->app / 64] |= UINT64_C(1) << (q->app % 64);
	} else if (APP_COUNT % 64)
		j.open.bits[APP_WORDS - 1] = (UINT64_C(1) << (APP_COUNT % 64)) - 1;
	d[0] = ends && ends[0]->united ? united(p, ends[0]) : sets_of_groups(p, SET_FROM, q->from, from);
	d[1] = ends && ends[1]->united ? united(p, ends[1]) : sets_of_groups(p, SET_TO, q->to, to);
	d[2] = sets_of_port(p, prefix, port);
	if (q->app_known && !q->any_app)
		d[n++] = sets_of_app(p, q, app);
	sort_dimensions(d, n);
	memset(j.later, 0, sizeof(j.later));
	j.tell_by_facts = q->facts && p->index.asks_facts && q->app_known && !q->any_app && !q->app_open;
	j.told_by_facts = false;
	j.fact_sets = fact;
	if (j.tell_by_facts && d[0].rules > ASKED_MANY) {
		n += sets_of_facts(&j, &d[n], fact);
		sort_dimensions(d, n);
		j.tell_by_facts = false;
	}
	for (j.chunk = 0; d[0].rules && j.chunk < p->index.nchunks; j.chunk++)
		if (judge_chunk(&j, d, n))
			return j.answer;
	return last_answer(&j, no_rule_answer(q, j.looked));
}

struct policy_answer policy_judge(const struct policy *p, const struct policy_query *q)
{
	const struct memo_end *ends[2];
	struct policy_answer answer;
	struct memo_answer *a;
	uint32_t prefix[2];
	bool found;

	if (!q->memo) {
		find_port(p, q, prefix);
		return judge(p, q, NULL, prefix);
	}
	ends[0] = memo_end(p, q->memo, SET_FROM, q->from, q->from_sure);
	ends[1] = memo_end(p, q->memo, SET_TO, q->to, q->to_sure);
	if (!ends[0]->rules || !ends[1]->rules)
		return no_rule_answer(q, 0);
	find_port(p, q, prefix);
	if (q->facts)
		return judge(p, q, ends, prefix);
	a = memo_answer(p, q->memo, q, ends, prefix, &found);
	answer = a->answer;
	if (!found) {
		answer = judge(p, q, ends, prefix);
		a->answer = answer;
		a->answer.looked = 0;
	}
	return answer;
}
