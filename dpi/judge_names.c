/* SPDX-License-Identifier: GPL-2.0-or-later */
/* judge_names: names of the ends of a flow, for groups that ask for them (policy.h).
 *
 * A protocol that resolves names says what was answered (px_name); the caller of the core keeps it (dpi_ops.learn) and is asked when a flow
 * is judged (dpi_ops.names). What a workload learned counts for its own flows only. Not believed, and counted: what comes in a tunnel, whose
 * inside is made by who sends it, and what a workload tells itself, be it as its own server or by a packet that it sends under another
 * one's address.
 *
 * Judged by the address as the names are when the flow is judged: names that come later change nothing until it is judged again, and a
 * name that was believed when the flow began holds for it as long as it lives. Where packets are copies, the copy of an answer may be read
 * after that of the packet that it made possible: the address may get names until the flow's application is known.
 *
 * A connection that was open when the core began was made possible by an answer that nobody saw: no name of its address allows all and
 * refuses nothing, a name that it shows counts. Such connections are those whose beginning was not seen and that speak within
 * UNSEEN_TIME; later ones have to have been seen. */
#include "dpi/engine.h"

#define UNSEEN_TIME (300 * SEC)

void px_name(struct px *x, enum dir asker, struct bytes name, const struct addr *a, uint32_t ttl)
{
	const struct flow *f = x->f;
	uint32_t who = f->workload[asker == DIR_TOSERVER ? 0 : 1];
	const struct frame *fr = x->p ? x->p->frame : NULL;
	bool own = f->workload[0] == f->workload[1] || (fr && fr->workload == who && fr->flags & FRAME_LEAVING);
	char clean[FQDN_NAME_MAX + 1];
	size_t n = fqdn_name(name, clean);

	if (!n || own || flow_tunnelled(f)) {
		count(x->d, DPI_C_NAMES_NOT_BELIEVED);
		return;
	}
	count(x->d, DPI_C_NAMES_BELIEVED);
	x->d->ops.learn(x->d->ops.ctx, who, a, (struct bytes){ (const uint8_t *)clean, n }, ttl, x->ts);
}

bool px_learns(const struct px *x, enum dir asker) { return x->d->ops.learn && x->f->workload[asker == DIR_TOSERVER ? 0 : 1]; }

void px_name_not_believed(struct px *x) { count(x->d, DPI_C_NAMES_NOT_BELIEVED); }

bool px_refused(const struct px *x) { return verdict_stops((enum verdict)x->f->verdict); }

bool names_unseen(const struct dpi *d, const struct flow *f) { return flow_hit(f, F_MIDSTREAM) && f->start - d->began < UNSEEN_TIME; }

struct collect {
	const struct policy *p;
	struct policy_names *names;
};

static void collect(void *ctx, struct bytes name)
{
	struct collect *c = ctx;

	policy_name_of_addr(c->p, c->names, name);
}

void judge_names(const struct px *x, const struct dpi_ends *e, const struct facts *facts, struct policy_names names[2])
{
	const struct dpi *d = x->d;
	const struct flow *f = x->f;
	bool app_known = flow_hit(f, F_APP_KNOWN);

	memset(names, 0, 2 * sizeof(*names));
	for (unsigned end = 0; end < 2; end++) {
		struct collect c = { d->policy, &names[end] };
		uint32_t asker = e->workload[end ^ 1];

		if (!asker || !d->ops.names)
			continue;
		d->ops.names(d->ops.ctx, asker, flow_addr(f, end ? DIR_TOCLIENT : DIR_TOSERVER), f->start, collect, &c);
		names[end].later = (!f->held && !app_known) || names_unseen(d, f);
	}
	policy_name_of_flow(d->policy, &names[1], app_known, (enum app)f->app, facts);
}
