/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a path can enforce only after the fact (CONTRACT section 3, points 7 and 9; `strict`).
 *
 * The queue refuses before anything is delivered, the mirror from its verdict on; rules of addresses and ports it refuses by filters. So a rule
 * that waits for an application, a name or a request is late where only the mirror sees its flows. Which flows these are is said by the
 * configuration: each end is a workload with some options, or not one of this node. The options that a workload may have are those of the static
 * ones that the group may hold (an image or netns that is not known may be the group's), and, of those that will be found, of every override whose match the group's globs and labels do not rule out, up to the
 * first that they imply, else the defaults. */
#include <errno.h>
#include <fnmatch.h>
#include <netinet/in.h>
#include <string.h>

#include "agent/owner.h"
#include "agent/policy_parts.h"

enum { SEEN_QUEUE = 1, SEEN_MIRROR = 2, SEEN_NOT = 4 };	/* by whom an end's flows may be seen; bits */

struct late {
	const struct policy_file *pf;
	const struct config *c;
	const struct policy_late *rule;
	enum app_side side;		/* of the end at hand */
	void (*fn)(void *ctx, uint32_t rule, unsigned line, bool refuses);
	void *ctx;
};

/* Are all of the rule's ports among those that are queued? */
static bool queues_ports(const struct app_ports *apps, const struct policy_late *r)
{
	if (!r->nports)
		return apps->all;
	for (unsigned i = 0; i < r->nports; i++) {
		const struct port_range *p = &r->ports[i];

		if (p->hi - p->lo >= APP_PORTS_MAX && !apps->all)
			return false;
		if (apps->all && (p->ipproto == IPPROTO_TCP || p->ipproto == IPPROTO_UDP))
			continue;
		for (unsigned port = p->lo; port <= p->hi; port++)
			if (!p->ipproto || !app_ports_has(apps, p->ipproto, (uint16_t)port))
				return false;
	}
	return true;
}

static unsigned seen_by(const struct late *l, const struct wl_opts *o)
{
	if (o->mode != DATAPATH_TC && o->side & l->side && queues_ports(&o->apps, l->rule))
		return SEEN_QUEUE;
	return o->mode == DATAPATH_NFQ ? SEEN_NOT : SEEN_MIRROR;
}

/* ---- which overrides a workload of a group may or must meet ---- */

/* Whatever the glob g holds, the glob `wide` holds, too: certain where `wide` has no other wildcard than stars, and g no brackets, as g's
 * wildcards then meet stars only. */
static bool implies(const char *g, const char *wide)
{
	return !strpbrk(wide, "?[\\") && !strpbrk(g, "[\\") && !fnmatch(wide, g, 0);
}

/* No name is held by both: their beginnings differ before the first wildcard of either, or one is a name. */
static bool disjoint(const char *a, const char *b)
{
	size_t na = strcspn(a, "*?[\\"), nb = strcspn(b, "*?[\\"), n = na < nb ? na : nb;

	if (!a[na])
		return fnmatch(b, a, 0) != 0;
	if (!b[nb])
		return fnmatch(a, b, 0) != 0;
	return strncmp(a, b, n) != 0;
}

/* The value that the labels have for that key; NULL: none. */
static const char *label_of(const struct labels *labels, const char *key)
{
	for (unsigned i = 0; i < labels->n; i++)
		if (!strcmp(labels->v[i].key, key))
			return labels->v[i].value;
	return NULL;
}

enum meets { MEETS_NEVER, MEETS_MAYBE, MEETS_ALWAYS };

static enum meets meets(const struct override *o, const char *glob, const struct labels *labels)
{
	enum meets m = MEETS_ALWAYS;

	if (o->workload && disjoint(glob, o->workload))
		return MEETS_NEVER;
	if (o->workload && !implies(glob, o->workload))
		m = MEETS_MAYBE;
	for (unsigned i = 0; i < o->labels.n; i++) {
		const char *v = label_of(labels, o->labels.v[i].key);

		if (v && strcmp(v, o->labels.v[i].value))
			return MEETS_NEVER;
		if (!v)
			m = MEETS_MAYBE;
	}
	return m;
}

static unsigned seen_found(const struct late *l, const char *glob, const struct labels *labels)
{
	unsigned seen = 0;

	for (unsigned i = 0; i < l->c->noverrides; i++) {
		enum meets m = meets(&l->c->overrides[i], glob, labels);
		struct wl_opts o = config_override_opts(l->c, i);

		if (m != MEETS_NEVER)
			seen |= seen_by(l, &o);
		if (m == MEETS_ALWAYS)
			return seen;
	}
	return seen | seen_by(l, &l->c->defaults);
}

/* ---- ends ---- */

static const struct group_matcher *matcher_of(const struct policy_file *pf, unsigned group)
{
	for (unsigned i = 0; i < pf->n; i++)
		if (pf->m[i].group == group)
			return &pf->m[i];
	return NULL;
}

static bool is_static(const struct config *c, const char *name)
{
	for (unsigned i = 0; i < c->nstatics; i++)
		if (!strcmp(c->statics[i].name, name))
			return true;
	return false;
}

/* By whom flows of workloads may be seen whose group asks something of workloads; m NULL: of any. */
static unsigned seen_matcher(const struct late *l, const struct group_matcher *m)
{
	static const struct labels none = { NULL, 0 };
	unsigned seen = 0;

	for (unsigned i = 0; i < l->c->nstatics; i++) {
		const struct static_workload *s = &l->c->statics[i];
		struct policy_who who = { .name = s->name, .labels = &s->labels, .image = s->image, .netns = s->netns };
		struct wl_opts o = config_workload_opts(l->c, s->name, &s->labels, s);

		if (!m || policy_matcher_holds(m, &who, true))
			seen |= seen_by(l, &o);
	}
	if (!l->c->discover_netns)
		return seen;
	if (!m || !m->is.name.n)
		return seen | seen_found(l, "*", m ? &m->is.labels : &none);
	for (unsigned i = 0; i < m->is.name.n; i++)
		if (!is_static(l->c, m->is.name.v[i]))
			seen |= seen_found(l, m->is.name.v[i], &m->is.labels);
	return seen;
}

struct end {
	unsigned seen;
	bool local;			/* its groups hold workloads only */
	struct group_set done;		/* groups that were looked at */
};

/* What holds of a group: of its own matcher, where it asks something of workloads; else of its members; else of anybody. */
static void look_at_group(const struct late *l, unsigned group, struct end *e)
{
	const struct group_matcher *m = matcher_of(l->pf, group);
	bool asks = m && m->is.asked;

	if (set_has(&e->done, group))
		return;
	set_add(&e->done, group);
	for (unsigned i = 0; m && !asks && i < m->nmembers; i++)
		look_at_group(l, m->member[i], e);
	if (m && !asks && m->nmembers)
		return;
	e->local &= asks;
	e->seen |= seen_matcher(l, asks ? m : NULL);
}

static unsigned seen_end(struct late *l, enum app_side side, const uint16_t *groups, unsigned n, bool *local)
{
	struct end e = { .local = true };

	l->side = side;
	for (unsigned i = 0; i < n; i++)
		look_at_group(l, groups[i], &e);
	*local = e.local;
	return e.seen;
}

static void on_late(void *ctx, const struct policy_late *r)
{
	struct late *l = ctx;
	bool local[2];
	unsigned from, to;

	l->rule = r;
	from = seen_end(l, SIDE_CLIENT, r->from, r->nfrom, &local[0]);
	to = seen_end(l, SIDE_SERVER, r->to, r->nto, &local[1]);
	if ((local[0] && from == SEEN_QUEUE) || (local[1] && to == SEEN_QUEUE))
		return;		/* that queue has each of them */
	if ((from | to) & SEEN_MIRROR)
		l->fn(l->ctx, r->rule, r->line, r->refuses);
}

void policy_file_late(const struct policy_file *pf, const struct config *c, void (*fn)(void *ctx, uint32_t rule, unsigned line, bool refuses), void *ctx)
{
	struct late l = { .pf = pf, .c = c, .fn = fn, .ctx = ctx };

	policy_late(pf->policy, on_late, &l);
}

/* ---- strict ---- */

struct first {
	uint32_t rule;
	unsigned line;
};

static void take_first(void *ctx, uint32_t rule, unsigned line, bool refuses)
{
	struct first *f = ctx;

	(void)refuses;
	if (!f->rule)
		*f = (struct first){ rule, line };
}

bool policy_file_strict(const struct policy_file *pf) { return pf->strict; }

int policy_file_allowed(const struct policy_file *pf, const struct config *c, const char *name, struct err *e)
{
	struct first f = { 0 };

	if (!pf->strict)
		return 0;
	policy_file_late(pf, c, take_first, &f);
	if (!f.rule)
		return 0;
	return err_set(e, -EINVAL, "%s:%u: strict: rule %u hangs on the application, a name or a request, and some of its flows only the mirror sees: "
		       "they would be refused after the fact", name, f.line, f.rule);
}
