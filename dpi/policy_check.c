/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_check: rules that can refuse only late. What is refused where no rule matches counts as a refusal behind all rules, unless one lets
 * everything pass before. */
#include "dpi/policy_table.h"

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
