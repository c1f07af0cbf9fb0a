/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making the sets: every rule is put into its sets twice, first to find which words are not zero, then, with room for those, to set its bits. */
#include <stdlib.h>

#include "dpi/policy_table.h"

#define DENSE_WORDS 48u		/* a chunk with that many words has room for all, and is gone through without looking */

/* Calls fn for each prefix of a range of ports: at most 30. */
static void each_prefix(const struct port_range *r, void (*fn)(void *ctx, const struct prefix *), void *ctx)
{
	for (uint32_t lo = r->lo, size; lo <= r->hi; lo += size) {
		unsigned bits = lo ? (unsigned)__builtin_ctz(lo) : 16;
		struct prefix p;

		while (lo + (1u << bits) - 1 > r->hi)
			bits--;
		size = 1u << bits;
		p.key = port_key(r->ipproto, (uint16_t)lo);
		p.len = (uint8_t)(24 - bits);
		fn(ctx, &p);
	}
}

static void count_prefix(void *ctx, const struct prefix *p)
{
	uint32_t *n = ctx;

	(void)p;
	(*n)++;
}

static void take_prefix(void *ctx, const struct prefix *p)
{
	struct prefix **at = ctx;

	*(*at)++ = *p;
}

static uint32_t count_prefixes(const struct policy *p, const struct rule *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->nports && n <= INDEX_PORTS_MAX; i++)
		each_prefix(&p->port[r->first_port + i], count_prefix, &n);
	return n;
}

/* Are its ports in the index? */
static bool ports_indexed(const struct policy *p, const struct rule *r)
{
	return r->nports && count_prefixes(p, r) <= INDEX_PORTS_MAX;
}

static bool build_ports(struct policy *p)
{
	struct prefix *all, *at;
	size_t n = 0;

	for (uint32_t no = 0; no < p->nrules; no++)
		if (ports_indexed(p, &p->rule[no]))
			n += count_prefixes(p, &p->rule[no]);
	if (!n)
		return true;
	all = at = malloc(n * sizeof(*all));
	if (!all)
		return false;
	for (uint32_t no = 0; no < p->nrules; no++)
		for (uint32_t i = 0; ports_indexed(p, &p->rule[no]) && i < p->rule[no].nports; i++)
			each_prefix(&p->port[p->rule[no].first_port + i], take_prefix, &at);
	return prefix_map_build(&p->index.ports, all, (uint32_t)n);
}

/* Where nothing is known of a flow's application or requests, rules of one class are alike. */
static bool same_class(const struct rule *a, const struct rule *b)
{
	return memcmp(&a->apps, &b->apps, sizeof(a->apps)) == 0 && !a->nclauses == !b->nclauses && verdict_stops(a->action) == verdict_stops(b->action) &&
	       a->mode == b->mode && a->field == b->field;
}

/* Rules that come when there are too many classes are of none. */
static void build_classes(struct policy *p)
{
	uint32_t of_class[ASK_CLASSES_MAX], n = 0;

	for (uint32_t no = 0; no < p->nrules; no++) {
		struct rule *r = &p->rule[no];
		uint32_t c = 0;

		r->ask_class = ASK_CLASS_NONE;
		p->index.asks_facts |= r->nclauses != 0;
		if (!r->has_apps)
			continue;
		while (c < n && !same_class(&p->rule[of_class[c]], r))
			c++;
		if (c == n && n < ASK_CLASSES_MAX)
			of_class[n++] = no;
		if (c < n)
			r->ask_class = (uint16_t)c;
	}
}

/* ---- filling ---- */

struct filling {
	struct policy *p;
	uint32_t no;		/* the rule */
	bool words;		/* the second time: there is room for words */
};

static void add_to(struct filling *f, uint32_t set)
{
	struct rule_index *x = &f->p->index;
	struct rule_chunk *c = &x->chunk[(size_t)set * x->nchunks + f->no / INDEX_CHUNK_RULES];
	unsigned w = f->no / 64 % INDEX_CHUNK_WORDS;
	uint64_t bit = UINT64_C(1) << (f->no % 64), *word;

	if (!f->words) {
		c->top |= UINT64_C(1) << w;
		return;
	}
	word = &x->word[c->first + bits_below(c->top, w)];
	x->count[set] += !(*word & bit);
	*word |= bit;
}

static void add_prefix(void *ctx, const struct prefix *p)
{
	struct filling *f = ctx;

	add_to(f, SET_PORT + prefix_map_number(&f->p->index.ports, p));
}

static void add_groups(struct filling *f, struct rule *r, const struct rule_groups *g, enum rule_sets side)
{
	const uint16_t *group = f->p->group_no + g->first;
	static const uint16_t any[1] = { POLICY_GROUP_ANY };
	struct group_set *used = &f->p->index.used[side == SET_TO];
	uint32_t n = g->n;

	for (uint32_t i = 0; i < n; i++)
		set_add(used, group[i]);
	if (n > INDEX_GROUPS_MAX) {
		r->verify = true;
		set_add(used, POLICY_GROUP_ANY);
		group = any;
		n = 1;
	}
	for (uint32_t i = 0; i < n; i++)
		add_to(f, side + group[i]);
}

static void add_apps(struct filling *f, const struct rule *r)
{
	if (!r->has_apps) {
		add_to(f, SET_NO_APP);
		return;
	}
	for (unsigned w = 0; w < APP_WORDS; w++)
		for (uint64_t left = r->apps.bits[w]; left; left &= left - 1)
			add_to(f, SET_APP + w * 64 + (unsigned)__builtin_ctzll(left));
	if (r->ask_class != ASK_CLASS_NONE)
		add_to(f, SET_CLASS + r->ask_class);
}

static void add_literals(struct filling *f, const struct rule *r)
{
	const struct rule_index *x = &f->p->index;
	const struct clause *c = r->field == LITERAL_FIELD_NONE ? NULL : &r->clause[r->found_by];
	bool allows = r->action == VERDICT_ALLOW;

	add_to(f, !c ? SET_NO_FIELD : (uint32_t)(allows ? SET_FIELD_ALLOW : SET_FIELD_OTHER) + r->field);
	for (unsigned k = 0; c && k < c->npatterns; k++) {
		const struct literal *s = literals_of(&x->literals, r, c->pattern[k]);

		add_to(f, x->literal_sets + s->number - 1);
		if (s->kind == LITERAL_TAIL && !allows)
			add_to(f, SET_FIELD_TAIL + r->field);
	}
}

static void add_rules(struct policy *p, bool words)
{
	for (uint32_t no = 0; no < p->nrules; no++) {
		struct filling f = { p, no, words };
		struct rule *r = &p->rule[no];
		bool ports = ports_indexed(p, r);

		add_groups(&f, r, &r->from, SET_FROM);
		add_groups(&f, r, &r->to, SET_TO);
		add_apps(&f, r);
		add_literals(&f, r);
		for (uint32_t i = 0; ports && i < r->nports; i++)
			each_prefix(&p->port[r->first_port + i], add_prefix, &f);
		if (!ports)
			add_to(&f, SET_NO_PORT);
		r->verify |= r->nports && !ports;
		p->index.compares_ports |= r->nports && !ports;
	}
}

/* Room for the words that are not zero; false: no memory, or more words than 32 bits count. */
static bool make_room(struct rule_index *x)
{
	uint64_t n = 0;

	for (size_t i = 0; i < (size_t)x->nsets * x->nchunks; i++) {
		struct rule_chunk *c = &x->chunk[i];
		unsigned words = bits_below(c->top, 63) + (unsigned)(c->top >> 63);

		if (words >= DENSE_WORDS) {
			c->top = UINT64_MAX;
			words = INDEX_CHUNK_WORDS;
		}
		c->first = (uint32_t)n;
		n += words;
	}
	if (n > UINT32_MAX)
		return false;
	x->word = calloc(n ? n : 1, sizeof(*x->word));
	return x->word != NULL;
}

bool rule_index_build(struct policy *p)
{
	struct rule_index *x = &p->index;

	if (!build_ports(p) || !literals_build(p))
		return false;
	build_classes(p);
	x->literal_sets = SET_PORT + x->ports.n;
	x->nsets = x->literal_sets + x->literals.n;
	x->nchunks = (p->nrules + INDEX_CHUNK_RULES - 1) / INDEX_CHUNK_RULES;
	x->chunk = calloc((size_t)x->nsets * (x->nchunks ? x->nchunks : 1), sizeof(*x->chunk));
	x->count = calloc(x->nsets, sizeof(*x->count));
	if (!x->chunk || !x->count)
		return false;
	add_rules(p, false);
	if (!make_room(x))
		return false;
	add_rules(p, true);
	return true;
}

void rule_index_free(struct rule_index *x)
{
	prefix_map_free(&x->ports);
	literals_free(&x->literals);
	free(x->chunk);
	free(x->count);
	free(x->word);
}
