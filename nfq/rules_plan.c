/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wanted and present to the text of one restore --noflush. Pure.
 *
 * In such a file ":CHAIN -" makes a chain of a user's or empties it; it is never written for a built-in chain, whose policy it
 * would set. "-D" of what is not there fails the whole file, so only what was read is deleted, word for word. Nothing is written
 * for what is as wanted already: its counters and its order stay. */
#include <string.h>

#include "nfq/ipt.h"

static const char *const own_chains[] = { CHAIN_QUAR_IN, CHAIN_QUAR_OUT, CHAIN_IN, CHAIN_OUT };
static const char *const hooks[] = { "INPUT", "OUTPUT" };
#define OWN_CHAINS (sizeof own_chains / sizeof own_chains[0])

struct plan {
	const struct ipt_dump *want, *have;	/* want NULL: nothing is wanted in this table */
	const char *table;
	FILE *out;
	struct rules_diff *diff;
	bool begun;				/* "*table" was written */
};

static void begin(struct plan *p)
{
	if (!p->begun)
		fprintf(p->out, "*%s\n", p->table);
	p->begun = true;
}

static void differs(struct plan *p, const char *chain, const char *how)
{
	if (!p->diff->changes)
		snprintf(p->diff->differs, sizeof p->diff->differs, "table %s, chain %s: %s", p->table, chain, how);
	p->diff->changes++;
}

/* ---- our chains ---- */

static bool chain_wanted(const struct plan *p, const char *chain) { return p->want && ipt_chain(p->want, p->table, chain); }

static bool same_rules(const struct plan *p, const char *chain)
{
	size_t a = 0, b = 0;

	for (;;) {
		const struct ipt_line *w = ipt_next(p->want, &a, IPT_RULE, p->table, chain);
		const struct ipt_line *h = ipt_next(p->have, &b, IPT_RULE, p->table, chain);

		if (!w || !h)
			return w == h;
		if (!ipt_same_rule(w->spec, h->spec))
			return false;
	}
}

static bool chain_stale(const struct plan *p, const char *chain)
{
	return chain_wanted(p, chain) && (!ipt_chain(p->have, p->table, chain) || !same_rules(p, chain));
}

static bool chain_left_over(const struct plan *p, const char *chain)
{
	return !chain_wanted(p, chain) && ipt_chain(p->have, p->table, chain);
}

/* Makes or empties the chains that change, all before any rule: a rule may name a chain only when it is there. */
static void declare_chains(struct plan *p)
{
	for (size_t i = 0; i < OWN_CHAINS; i++) {
		const char *c = own_chains[i];

		if (!chain_stale(p, c) && !chain_left_over(p, c))
			continue;
		begin(p);
		fprintf(p->out, ":%s - [0:0]\n", c);
		differs(p, c, chain_left_over(p, c) ? "is not wanted" : ipt_chain(p->have, p->table, c) ? "has other rules than wanted" : "is missing");
	}
}

static void fill_chains(struct plan *p)
{
	for (size_t i = 0; i < OWN_CHAINS; i++) {
		const struct ipt_line *l;
		size_t at = 0;

		if (!chain_stale(p, own_chains[i]))
			continue;
		while ((l = ipt_next(p->want, &at, IPT_RULE, p->table, own_chains[i])))
			fprintf(p->out, "-A %s %s\n", own_chains[i], l->spec);
	}
}

static void delete_chains(struct plan *p)
{
	for (size_t i = 0; i < OWN_CHAINS; i++)
		if (chain_left_over(p, own_chains[i]))
			fprintf(p->out, "-X %s\n", own_chains[i]);
}

/* ---- jumps ---- */

/* The built-in chain begins with the wanted jumps, and no other rule of it names a chain of ours. */
static bool jumps_right(const struct plan *p, const char *hook)
{
	const struct ipt_line *w, *h;
	size_t a = 0, b = 0;

	while (p->want && (w = ipt_next(p->want, &a, IPT_RULE, p->table, hook))) {
		h = ipt_next(p->have, &b, IPT_RULE, p->table, hook);
		if (!h || !ipt_same_rule(w->spec, h->spec))
			return false;
	}
	while ((h = ipt_next(p->have, &b, IPT_RULE, p->table, hook)))
		if (ipt_jumps_to_own(h))
			return false;
	return true;
}

static void delete_jumps(struct plan *p, const char *chain)
{
	const struct ipt_line *h;
	size_t at = 0;

	while ((h = ipt_next(p->have, &at, IPT_RULE, p->table, chain)))
		if (ipt_jumps_to_own(h))
			fprintf(p->out, "-D %s %s\n", chain, h->spec);
}

static void put_jumps(struct plan *p, const char *hook)
{
	const struct ipt_line *w;
	unsigned place = 1;
	size_t at = 0;

	while (p->want && (w = ipt_next(p->want, &at, IPT_RULE, p->table, hook)))
		fprintf(p->out, "-I %s %u %s\n", hook, place++, w->spec);
}

static void mend_jumps(struct plan *p, const char *hook)
{
	if (jumps_right(p, hook))
		return;
	begin(p);
	delete_jumps(p, hook);
	put_jumps(p, hook);
	differs(p, hook, p->want ? "does not begin with the jump" : "has a jump that is not wanted");
}

/* Somebody else's chain that jumps into one of ours: such a rule would keep ours from being deleted. */
static void mend_others(struct plan *p)
{
	const struct ipt_line *c, *h;
	size_t at = 0;

	while ((c = ipt_next(p->have, &at, IPT_CHAIN, p->table, NULL))) {
		bool hit = false;
		size_t r = 0;

		if (ipt_own_chain(c->chain) || !strcmp(c->chain, hooks[0]) || !strcmp(c->chain, hooks[1]))
			continue;
		while (!hit && (h = ipt_next(p->have, &r, IPT_RULE, p->table, c->chain)))
			hit = ipt_jumps_to_own(h);
		if (!hit)
			continue;
		begin(p);
		delete_jumps(p, c->chain);
		differs(p, c->chain, "has a jump that is not wanted");
	}
}

static void plan_table(struct plan *p)
{
	declare_chains(p);
	fill_chains(p);
	for (size_t i = 0; i < 2; i++)
		mend_jumps(p, hooks[i]);
	mend_others(p);
	delete_chains(p);
	if (p->begun)
		fputs("COMMIT\n", p->out);
}

void rules_plan(const struct ipt_dump *want, const char *table, const struct ipt_dump *have, FILE *out, struct rules_diff *diff)
{
	static const char *const tables[] = { "filter", "security", "mangle", "nat", "raw" };

	memset(diff, 0, sizeof *diff);
	if (want)
		plan_table(&(struct plan){ .want = want, .have = have, .table = table, .out = out, .diff = diff });
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		if (!want || strcmp(tables[i], table))
			plan_table(&(struct plan){ .have = have, .table = tables[i], .out = out, .diff = diff });
}
