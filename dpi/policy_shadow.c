/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_shadow: rules that can never match, for `policy check`.
 *
 * A rule is covered by one before it that asks for no more in anything: each group of its ends is held by one of the other's, the other's ports and
 * applications hold all of its, and the other has no matcher, or one whose keys all stand in its own with the same patterns. What only several rules
 * together cover is not found.
 *
 * Which group is held by which is known as far as it can be read off: by itself and `any`; by one that asks for the same (the caller says so); by one that
 * only names groups, this one among them; by what all groups that it names are held by; and, where it asks for addresses, by one that asks for
 * nothing else and has a prefix around each of its own.
 *
 * Who may cover a rule is what the sets of the index have in common (policy_index.h), so that rules are compared one by one only where that leaves
 * some over: 10,000 of them take milliseconds, not their square. */
#include <stdlib.h>

#include "base/hash.h"
#include "dpi/policy_table.h"

struct shadows {
	const struct policy *p;
	unsigned nwords;		/* of a bit per rule */
	struct group_set *above;	/* of each group: those that hold all that it does */
	uint64_t *of_end[2][POLICY_GROUPS_MAX];	/* rules whose from, to hold all of the group; NULL: not asked yet */
	uint64_t *candidate, *other;
	uint64_t *clause;		/* what each clause of each rule asks, hashed; those of rule no from first_clause[no] on */
	uint32_t *first_clause;
};

/* ---- groups in groups ---- */

static bool set_join(struct group_set *s, const struct group_set *more)
{
	uint64_t fresh = 0;

	for (unsigned w = 0; w < GROUP_WORDS; w++) {
		fresh |= more->bits[w] & ~s->bits[w];
		s->bits[w] |= more->bits[w];
	}
	return fresh != 0;
}

/* It asks for members, and nothing else: all of them are in it. */
static bool only_names(const struct policy *p, unsigned g)
{
	return set_has(&p->has_member, g) && !set_has(&p->has_cidr, g) && !set_has(&p->needs_workload, g) && !set_has(&p->has_fqdn, g) && !(p->keys[g / 64].takes >> (g % 64) & 1);
}

static bool only_addresses(const struct policy *p, unsigned g)
{
	return set_has(&p->has_cidr, g) && !set_has(&p->has_member, g) && !set_has(&p->needs_workload, g) && !set_has(&p->has_fqdn, g) && !(p->keys[g / 64].takes >> (g % 64) & 1);
}

/* Groups that have a prefix around that one. */
static void groups_around(const struct policy *p, uint32_t net, struct group_set *out)
{
	bool v4 = p->nets.prefix[net].len >= 96 && p->nets.prefix[net].key.hi == 0 && p->nets.prefix[net].key.lo >> 32 == 0xffff;

	memset(out, 0, sizeof(*out));
	for (uint32_t i = net; i != PREFIX_NONE && !(v4 && p->nets.prefix[i].len < 96); i = p->nets.parent[i])
		for (uint32_t k = p->net_first[i]; k < p->net_first[i + 1]; k++)
			if (!p->net[k].not)
				out->bits[p->net[k].word] |= p->net[k].bits;
}

static void compare_addresses(const struct shadows *s, struct group_set *around)
{
	const struct policy *p = s->p;
	struct group_set pure = { { 0 } };

	memset(around, 0xff, p->ngroups * sizeof(*around));
	for (unsigned g = 0; g < p->ngroups; g++)
		if (only_addresses(p, g))
			set_add(&pure, g);
	for (uint32_t i = 0; i < p->nets.n; i++) {
		struct group_set out;

		groups_around(p, i, &out);
		for (uint32_t k = p->net_first[i]; k < p->net_first[i + 1]; k++)
			for (uint64_t left = p->net[k].not ? 0 : p->net[k].bits; left; left &= left - 1)
				for (unsigned w = 0; w < GROUP_WORDS; w++)
					around[p->net[k].word * 64u + (unsigned)__builtin_ctzll(left)].bits[w] &= out.bits[w];
	}
	for (unsigned g = 0; g < p->ngroups; g++)
		for (unsigned w = 0; w < GROUP_WORDS && set_has(&p->has_cidr, g); w++)
			s->above[g].bits[w] |= around[g].bits[w] & pure.bits[w];
}

/* One step of what follows from groups naming groups. True: something was added. */
static bool follow_members(const struct shadows *s)
{
	const struct policy *p = s->p;
	bool more = false;

	for (unsigned i = 0; i < p->nest.n; i++) {
		const struct nested *g = &p->nest.group[i];
		struct group_set all;
		bool names = only_names(p, g->no);

		memset(&all, 0xff, sizeof(all));
		for (uint32_t k = g->first; k < g->not; k++)
			for (uint64_t left = p->nest.word[k].bits; left; left &= left - 1) {
				unsigned member = p->nest.word[k].word * 64u + (unsigned)__builtin_ctzll(left);

				if (names)
					more |= set_join(&s->above[member], &s->above[g->no]);
				for (unsigned w = 0; w < GROUP_WORDS; w++)
					all.bits[w] &= s->above[member].bits[w];
			}
		if (g->first != g->not)
			more |= set_join(&s->above[g->no], &all);
	}
	for (unsigned g = 0; g < p->ngroups; g++)
		if (p->same_as[g]) {
			more |= set_join(&s->above[g], &s->above[p->same_as[g]]);
			more |= set_join(&s->above[p->same_as[g]], &s->above[g]);
		}
	for (unsigned g = 0; g < p->ngroups; g++)	/* what holds what holds it */
		for (unsigned w = 0; w < GROUP_WORDS; w++)
			for (uint64_t left = s->above[g].bits[w]; left; left &= left - 1)
				more |= set_join(&s->above[g], &s->above[w * 64 + (unsigned)__builtin_ctzll(left)]);
	return more;
}

static bool compare_groups(struct shadows *s)
{
	struct group_set *around = calloc(s->p->ngroups, sizeof(*around));

	s->above = calloc(POLICY_GROUPS_MAX, sizeof(*s->above));
	if (!around || !s->above) {
		free(around);
		return false;
	}
	for (unsigned g = 0; g < s->p->ngroups; g++) {
		set_add(&s->above[g], g);
		set_add(&s->above[g], POLICY_GROUP_ANY);
	}
	compare_addresses(s, around);
	while (follow_members(s))
		;
	free(around);
	return true;
}

/* ---- matchers ---- */

/* Its key, field and patterns, whatever their order. */
static uint64_t hash_clause(const struct clause *c)
{
	static const struct hash_key key = { { 0x7461707175657565, 0x706f6c696379 } };
	uint64_t h = hash_mix64(c->key);

	if (c->header)
		h = hash_mix64(h ^ hash_sip13(&key, c->header->name, strlen(c->header->name)));
	for (unsigned i = 0; i < c->npatterns; i++)
		h += hash_mix64(hash_sip13(&key, c->pattern[i].p, c->pattern[i].n));
	return h;
}

static bool hash_clauses(struct shadows *s)
{
	const struct policy *p = s->p;
	uint32_t n = 0;

	for (uint32_t no = 0; no < p->nrules; no++)
		n += p->rule[no].nclauses;
	s->clause = calloc(n + 1, sizeof(*s->clause));
	s->first_clause = calloc(p->nrules + 1, sizeof(*s->first_clause));
	if (!s->clause || !s->first_clause)
		return false;
	n = 0;
	for (uint32_t no = 0; no < p->nrules; no++) {
		s->first_clause[no] = n;
		for (unsigned i = 0; i < p->rule[no].nclauses; i++)
			s->clause[n++] = hash_clause(&p->rule[no].clause[i]);
	}
	return true;
}

/* A rule that allows asks for all values, any other one for one: only of two alike the one holds where the other does. */
static bool clauses_cover(const struct shadows *s, const struct rule *a, const struct rule *b)
{
	const uint64_t *has = s->clause + s->first_clause[a - s->p->rule], *want = s->clause + s->first_clause[b - s->p->rule];

	if (a->nclauses && (a->action == VERDICT_ALLOW) != (b->action == VERDICT_ALLOW))
		return false;
	for (unsigned i = 0; i < a->nclauses; i++) {
		unsigned k = 0;

		while (k < b->nclauses && want[k] != has[i])
			k++;
		if (k == b->nclauses)
			return false;
	}
	return true;
}

/* ---- one rule and another ---- */

static bool ends_cover(const struct shadows *s, const struct rule_groups *a, const struct rule_groups *b)
{
	const uint16_t *group = s->p->group_no;

	for (uint32_t k = 0; k < b->n; k++) {
		const struct group_set *above = &s->above[group[b->first + k]];
		bool found = false;

		for (uint32_t i = 0; i < a->n && !found; i++)
			found = set_has(above, group[a->first + i]);
		if (!found)
			return false;
	}
	return true;
}

static bool ports_cover(const struct policy *p, const struct rule *a, const struct rule *b)
{
	if (!a->nports)
		return true;
	for (uint32_t k = 0; k < b->nports; k++) {
		const struct port_range *want = &p->port[b->first_port + k];
		bool found = false;

		for (uint32_t i = 0; i < a->nports && !found; i++) {
			const struct port_range *has = &p->port[a->first_port + i];

			found = (!has->ipproto || has->ipproto == want->ipproto) && has->lo <= want->lo && has->hi >= want->hi;
		}
		if (!found)
			return false;
	}
	return b->nports != 0;
}

static bool apps_cover(const struct rule *a, const struct rule *b)
{
	if (!a->has_apps)
		return true;
	for (unsigned w = 0; w < APP_WORDS; w++)
		if (b->apps.bits[w] & ~a->apps.bits[w])
			return false;
	return b->has_apps;
}

static bool hangs_on_names(const struct policy *p, const struct rule_groups *g)
{
	bool by_name = false;

	for (uint32_t i = 0; i < g->n; i++)
		by_name |= set_has(&p->by_name, p->group_no[g->first + i]);
	return by_name;
}

/* A name that was lost allows nothing and refuses everything: where the one hangs on names and only one of them allows, the other is reached. */
static bool covers(const struct shadows *s, const struct rule *a, const struct rule *b)
{
	if (!clauses_cover(s, a, b) || !apps_cover(a, b) || !ports_cover(s->p, a, b) || !ends_cover(s, &a->from, &b->from) || !ends_cover(s, &a->to, &b->to))
		return false;
	return (a->action == VERDICT_ALLOW) == (b->action == VERDICT_ALLOW) || !(hangs_on_names(s->p, &a->from) || hangs_on_names(s->p, &a->to));
}

/* ---- sets of rules ---- */

static void add_rules_of(const struct shadows *s, uint32_t set, uint64_t *out)
{
	const struct rule_index *x = &s->p->index;

	for (uint32_t i = 0; i < x->nchunks; i++) {
		const struct rule_chunk *c = set_chunk(x, set, i);
		const uint64_t *word = x->word + c->first;

		for (uint64_t left = c->top; left; left &= left - 1) {
			unsigned w = (unsigned)__builtin_ctzll(left);

			out[i * INDEX_CHUNK_WORDS + w] |= word[c->top == UINT64_MAX ? w : bits_below(c->top, w)];
		}
	}
}

static uint64_t *rules_above(struct shadows *s, unsigned side, unsigned group)
{
	uint64_t *out = s->of_end[side][group];

	if (out)
		return out;
	out = calloc(s->nwords, sizeof(*out));
	if (!out)
		return NULL;
	for (unsigned w = 0; w < GROUP_WORDS; w++)
		for (uint64_t left = s->above[group].bits[w]; left; left &= left - 1)
			add_rules_of(s, (side ? SET_TO : SET_FROM) + w * 64 + (unsigned)__builtin_ctzll(left), out);
	return s->of_end[side][group] = out;
}

static bool keep_ends(struct shadows *s, unsigned side, const struct rule_groups *g, unsigned words)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const uint64_t *rules = rules_above(s, side, s->p->group_no[g->first + i]);

		if (!rules)
			return false;
		for (unsigned w = 0; w < words; w++)
			s->candidate[w] &= rules[w];
	}
	return true;
}

static void keep_others(struct shadows *s, unsigned words)
{
	for (unsigned w = 0; w < words; w++) {
		s->candidate[w] &= s->other[w];
		s->other[w] = 0;
	}
}

/* Those that hold the first of its ports. */
static void keep_ports(struct shadows *s, const struct rule *r, unsigned words)
{
	const struct prefix_map *ports = &s->p->index.ports;
	const struct port_range *first = &s->p->port[r->first_port];

	add_rules_of(s, SET_NO_PORT, s->other);
	for (uint32_t i = r->nports ? prefix_map_find(ports, port_key(0, first->lo)) : PREFIX_NONE; i != PREFIX_NONE; i = ports->parent[i])
		add_rules_of(s, SET_PORT + i, s->other);
	for (uint32_t i = r->nports && first->ipproto ? prefix_map_find(ports, port_key(first->ipproto, first->lo)) : PREFIX_NONE; i != PREFIX_NONE; i = ports->parent[i])
		add_rules_of(s, SET_PORT + i, s->other);
	keep_others(s, words);
}

/* Those that hold one of its applications. */
static void keep_apps(struct shadows *s, const struct rule *r, unsigned words)
{
	add_rules_of(s, SET_NO_APP, s->other);
	for (unsigned w = 0; w < APP_WORDS && r->has_apps; w++)
		if (r->apps.bits[w]) {
			add_rules_of(s, SET_APP + w * 64 + (unsigned)__builtin_ctzll(r->apps.bits[w]), s->other);
			break;
		}
	keep_others(s, words);
}

/* The first rule before it that covers it; NULL: none, or no memory. */
static const struct rule *first_above(struct shadows *s, uint32_t no)
{
	const struct rule *b = &s->p->rule[no];
	unsigned words = no / 64 + 1;

	memset(s->candidate, 0xff, words * sizeof(*s->candidate));
	s->candidate[no / 64] = (UINT64_C(1) << (no % 64)) - 1;
	if (!keep_ends(s, 0, &b->from, words) || !keep_ends(s, 1, &b->to, words))
		return NULL;
	keep_ports(s, b, words);
	keep_apps(s, b, words);
	for (unsigned w = 0; w < words; w++)
		for (uint64_t left = s->candidate[w]; left; left &= left - 1) {
			const struct rule *a = &s->p->rule[w * 64 + (unsigned)__builtin_ctzll(left)];

			if (covers(s, a, b))
				return a;
		}
	return NULL;
}

bool policy_shadowed(const struct policy *p, void (*fn)(void *ctx, uint32_t rule, unsigned line, uint32_t by, unsigned by_line), void *ctx)
{
	struct shadows *s = calloc(1, sizeof(*s));
	bool ok = false;

	if (!s)
		return false;
	s->p = p;
	s->nwords = (p->index.nchunks + 1) * INDEX_CHUNK_WORDS;
	s->candidate = calloc(s->nwords, sizeof(*s->candidate));
	s->other = calloc(s->nwords, sizeof(*s->other));
	ok = s->candidate && s->other && hash_clauses(s) && compare_groups(s);
	for (uint32_t no = 1; no < p->nrules && ok; no++) {
		const struct rule *by = first_above(s, no);

		if (by)
			fn(ctx, p->rule[no].id, p->rule[no].line, by->id, by->line);
	}
	for (unsigned g = 0; g < POLICY_GROUPS_MAX; g++) {
		free(s->of_end[0][g]);
		free(s->of_end[1][g]);
	}
	free(s->above);
	free(s->candidate);
	free(s->other);
	free(s->clause);
	free(s->first_clause);
	free(s);
	return ok;
}
