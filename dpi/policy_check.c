/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_check: rules that can never match. A rule is covered by one before it that asks for no more in anything: its ends hold all groups of
 * the other's (or everybody), its ports and applications all of the other's, and it has no matcher. What only several rules together
 * cover, and what groups with the same members cover, is not found.
 *
 * And rules that can refuse only late. What is refused where no rule matches counts as a refusal behind all rules, unless one lets
 * everything pass before. */
#include "dpi/policy_table.h"

static bool ends_cover(const struct policy *p, const struct rule_groups *a, const struct rule_groups *b)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (p->group_no[a->first + i] == POLICY_GROUP_ANY)
			return true;
	for (uint32_t k = 0; k < b->n; k++) {
		bool found = false;

		for (uint32_t i = 0; i < a->n && !found; i++)
			found = p->group_no[a->first + i] == p->group_no[b->first + k];
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

void policy_shadowed(const struct policy *p, void (*fn)(void *ctx, uint32_t rule, unsigned line, uint32_t by, unsigned by_line), void *ctx)
{
	for (uint32_t no = 1; no < p->nrules; no++) {
		const struct rule *b = &p->rule[no];

		for (uint32_t i = 0; i < no; i++) {
			const struct rule *a = &p->rule[i];

			if (a->nclauses || !apps_cover(a, b) || !ports_cover(p, a, b) || !ends_cover(p, &a->from, &b->from) || !ends_cover(p, &a->to, &b->to))
				continue;
			fn(ctx, b->id, b->line, a->id, a->line);
			break;
		}
	}
}

/* ---- refusals that come late ---- */

static bool protects_somewhere(const struct policy *p)
{
	for (unsigned g = 0; g < p->ngroups; g++)
		if (set_has(&p->has_mode, g) && p->group_mode[g] == MODE_PROTECT)
			return true;
	return p->default_mode == MODE_PROTECT;
}

static bool may_refuse(const struct rule *r, bool protects)
{
	return verdict_stops(r->action) && (r->mode == MODE_PROTECT || (r->mode == RULE_MODE_NONE && protects));
}

static bool has_any(const struct policy *p, const struct rule_groups *g)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (p->group_no[g->first + i] == POLICY_GROUP_ANY)
			return true;
	return false;
}

static bool asks_names(const struct policy *p, const struct rule_groups *g)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (set_has(&p->by_name, p->group_no[g->first + i]))
			return true;
	return false;
}

void policy_late(const struct policy *p, void (*fn)(void *ctx, const struct policy_late *), void *ctx)
{
	bool protects = protects_somewhere(p);
	uint32_t end = 0, last = 0;	/* rules up to the one that matches everything; behind those up to `last` there is a refusal */

	while (end < p->nrules) {
		const struct rule *r = &p->rule[end++];

		if (may_refuse(r, protects))
			last = end - 1;
		if (!r->has_apps && !r->nports && has_any(p, &r->from) && has_any(p, &r->to))
			break;
		if (end == p->nrules && protects)
			last = end;	/* no rule matched */
	}
	for (uint32_t no = 0; no < end; no++) {
		const struct rule *r = &p->rule[no];
		struct policy_late late = {
			r->id, r->line, may_refuse(r, protects), p->group_no + r->from.first, p->group_no + r->to.first, r->from.n, r->to.n, p->port + r->first_port, r->nports,
		};

		if ((r->has_apps || asks_names(p, &r->from) || asks_names(p, &r->to)) && (late.refuses || no < last))
			fn(ctx, &late);
	}
}
