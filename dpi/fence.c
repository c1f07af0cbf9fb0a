/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The address space is halved until a half holds no beginning of a prefix that the policy names, and no local peer: there all addresses are in
 * the same groups as all others whose innermost prefix it is, and one judgement a range of ports holds for them. Halves with the same answer become one again on the way back. */
#include "dpi/fence.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "dpi/policy_table.h"

#define JUDGEMENTS_MAX 20000u	/* some 10 ms */

struct mark {			/* where the address space is cut */
	struct cidr net;
	const struct fence_peer *peer;	/* NULL: a prefix of the policy's */
	bool anybody;		/* link-local: may be any of the local peers, or none */
	bool judged;
	uint64_t refused;	/* where it is the innermost: bit per range of ports */
};

struct search {
	const struct fence_want *w;
	struct mark *mark;
	unsigned nmarks;
	uint16_t port[FENCE_PORTS_MAX + 1];	/* where ranges begin, ascending; the last ends at 65535 */
	unsigned nports;
	uint64_t owned;		/* ranges that its own queue has */
	unsigned judged;
	struct tcp_fence *out;
	unsigned n, left_out;
};

/* ---- ports ---- */

static bool cut_port(struct search *s, uint32_t at)
{
	unsigned i = 0;

	if (at > 65535)
		return true;
	while (i < s->nports && s->port[i] < at)
		i++;
	if (i < s->nports && s->port[i] == at)
		return true;
	if (s->nports == FENCE_PORTS_MAX)
		return false;
	for (unsigned k = s->nports++; k > i; k--)
		s->port[k] = s->port[k - 1];
	s->port[i] = (uint16_t)at;
	return true;
}

static bool cut_queued(struct search *s, const struct app_ports *q)
{
	bool ok = true;

	for (unsigned i = 0; q && !q->all && i < q->n; i++)
		ok = ok && (q->port[i].ipproto != IPPROTO_TCP || (cut_port(s, q->port[i].port) && cut_port(s, q->port[i].port + 1u)));
	return ok;
}

static bool cut_ports(struct search *s)
{
	const struct policy *p = s->w->policy;
	bool ok = cut_port(s, 0) && cut_queued(s, s->w->queued);

	for (uint32_t i = 0; ok && i < p->nrules; i++)
		for (uint32_t k = 0; ok && k < p->rule[i].nports; k++) {
			const struct port_range *r = &p->port[p->rule[i].first_port + k];

			if (!r->ipproto || r->ipproto == IPPROTO_TCP)
				ok = cut_port(s, r->lo) && cut_port(s, r->hi + 1u);
		}
	for (unsigned i = 0; ok && i < s->w->npeers; i++)
		ok = cut_queued(s, s->w->peers[i].queued);
	return ok;
}

/* Bit per range of ports. */
static uint64_t ranges_of(const struct search *s, const struct app_ports *q)
{
	uint64_t set = 0;

	for (unsigned r = 0; q && r < s->nports; r++)
		for (unsigned i = 0; i < (q->all ? 1u : q->n); i++)
			if (q->all || (q->port[i].ipproto == IPPROTO_TCP && q->port[i].port == s->port[r]))
				set |= UINT64_C(1) << r;
	return set;
}

/* ---- addresses ---- */

static int by_net(const void *a, const void *b)
{
	const struct mark *m = a, *n = b;
	int c = addr_cmp(&m->net.net, &n->net.net);

	return c ? c : m->net.len != n->net.len ? m->net.len - n->net.len : (m->peer != NULL) - (n->peer != NULL);
}

static struct cidr cidr_of(const char *text)
{
	struct cidr c = { .len = 0 };

	(void)!cidr_parse(text, &c);
	return c;
}

static bool gather_marks(struct search *s)
{
	static const char *const links[] = { "169.254.0.0/16", "fe80::/10" };
	const struct prefix_map *nets = &s->w->policy->nets;
	unsigned fixed = sizeof links / sizeof links[0];

	s->mark = calloc(nets->n + s->w->npeers + fixed, sizeof *s->mark);
	if (!s->mark)
		return false;
	for (unsigned i = 0; i < fixed; i++)
		s->mark[s->nmarks++] = (struct mark){ .net = cidr_of(links[i]), .anybody = true };
	for (uint32_t i = 0; i < nets->n; i++) {
		struct mark m = { .net.len = nets->prefix[i].len };

		for (unsigned k = 0; k < 8; k++) {
			m.net.net.b[k] = (uint8_t)(nets->prefix[i].key.hi >> (56 - 8 * k));
			m.net.net.b[8 + k] = (uint8_t)(nets->prefix[i].key.lo >> (56 - 8 * k));
		}
		m.anybody = addr_is_linklocal(&m.net.net) && m.net.len >= (addr_is_v4(&m.net.net) ? 112 : 10);
		s->mark[s->nmarks++] = m;
	}
	for (unsigned i = 0; i < s->w->npeers; i++)
		s->mark[s->nmarks++] = (struct mark){ .net = { s->w->peers[i].addr, 128 }, .peer = &s->w->peers[i] };
	qsort(s->mark, s->nmarks, sizeof *s->mark, by_net);
	return true;
}

/* One address of the workload and one peer, one port: is it refused? */
static bool refused(struct search *s, const struct addr *self, const struct addr *peer, const struct group_set *bits, uint16_t port)
{
	const struct policy *p = s->w->policy;
	struct group_set mine, theirs;
	struct policy_query q = { .ipproto = IPPROTO_TCP, .port = port };
	struct policy_answer a;

	s->judged++;
	policy_groups(p, self, s->w->groups, &mine);
	policy_groups(p, peer, bits, &theirs);
	q.from = s->w->entering ? &theirs : &mine;
	q.to = s->w->entering ? &mine : &theirs;
	q.mode = policy_mode_of(p, &mine);
	if (bits && policy_mode_of(p, &theirs) > q.mode)
		q.mode = policy_mode_of(p, &theirs);
	a = policy_judge(p, &q);
	return a.enforce && verdict_stops(a.verdict);
}

static uint64_t judge_ports(struct search *s, uint64_t set, const struct addr *self, const struct addr *peer, const struct group_set *bits)
{
	for (unsigned r = 0; r < s->nports; r++)
		if (set >> r & 1 && (s->judged >= JUDGEMENTS_MAX || !refused(s, self, peer, bits, s->port[r])))
			set &= ~(UINT64_C(1) << r);
	return set;
}

/* Ranges of ports on which all of a region without cuts is refused; `in`: the innermost mark that holds it. */
static uint64_t judge_region(struct search *s, const struct cidr *net, struct mark *in)
{
	const struct fence_peer *peer = in->peer;
	bool v4 = net->len >= 96 && addr_is_v4(&net->net), any = false;
	uint64_t set = s->nports == 64 ? UINT64_MAX : (UINT64_C(1) << s->nports) - 1;

	if (in->judged)
		return in->refused;
	set &= ~s->owned;
	if (peer)
		set &= ~ranges_of(s, peer->queued);
	for (unsigned i = 0; i < s->w->naddrs; i++) {
		if (addr_is_v4(&s->w->addrs[i]) != v4 || addr_is_linklocal(&s->w->addrs[i]))
			continue;
		any = true;
		set = judge_ports(s, set, &s->w->addrs[i], &net->net, peer ? peer->groups : NULL);
		for (unsigned k = 0; in->anybody && k < s->w->npeers; k++)
			set = judge_ports(s, set & ~ranges_of(s, s->w->peers[k].queued), &s->w->addrs[i], &net->net, s->w->peers[k].groups);
	}
	in->judged = true;
	in->refused = any ? set : 0;
	return in->refused;
}

/* Full: the narrowest makes room, if it is narrower than this. */
static struct tcp_fence *place(struct search *s, uint8_t len)
{
	struct tcp_fence *narrowest = s->out;

	if (s->n < FENCE_OUT_MAX)
		return &s->out[s->n++];
	s->left_out++;
	for (unsigned i = 1; i < s->n; i++)
		if (s->out[i].peer.len > narrowest->peer.len)
			narrowest = &s->out[i];
	return narrowest->peer.len > len ? narrowest : NULL;
}

static void emit(struct search *s, const struct cidr *net, uint64_t set)
{
	struct tcp_fence *f;

	for (unsigned r = 0, end; set && r < s->nports; r = end + 1) {
		for (end = r; end < s->nports && set >> end & 1; end++)
			;
		if (end == r)
			continue;
		f = place(s, net->len);
		if (f)
			*f = (struct tcp_fence){ *net, s->port[r], end < s->nports ? (uint16_t)(s->port[end] - 1) : 65535 };
	}
}

/* What is refused all over this region; what is only so in parts of it is emitted. The cuts first..end lie within it, or begin with it. */
static uint64_t halve(struct search *s, const struct cidr *net, unsigned first, unsigned end, struct mark *in)
{
	struct cidr half[2] = { { net->net, (uint8_t)(net->len + 1) }, { net->net, (uint8_t)(net->len + 1) } };
	uint64_t set[2], both;
	unsigned middle;

	while (first < end && s->mark[first].net.len <= net->len)	/* a peer's comes last, behind a prefix of one address */
		in = &s->mark[first++];
	if (first == end || net->len == 128)
		return judge_region(s, net, in);
	half[1].net.b[net->len / 8] = (uint8_t)(half[1].net.b[net->len / 8] | 0x80 >> net->len % 8);
	for (middle = first; middle < end && addr_cmp(&s->mark[middle].net.net, &half[1].net) < 0; middle++)
		;
	set[0] = halve(s, &half[0], first, middle, in);
	set[1] = halve(s, &half[1], middle, end, in);
	both = set[0] & set[1];
	emit(s, &half[0], set[0] & ~both);
	emit(s, &half[1], set[1] & ~both);
	return both;
}

static int widest_first(const void *a, const void *b)
{
	const struct tcp_fence *f = a, *g = b;

	return f->peer.len != g->peer.len ? f->peer.len - g->peer.len : by_net(&(struct mark){ .net = f->peer }, &(struct mark){ .net = g->peer });
}

unsigned fence_find(const struct fence_want *w, struct tcp_fence out[FENCE_OUT_MAX], struct fence_left *left)
{
	struct search s = { .w = w, .out = out };
	struct cidr v4 = { { { 0 } }, 96 }, v6 = { { { 0 } }, 0 };
	struct mark all4 = { .net = v4 }, all6 = { .net = v6 };
	unsigned from, to;

	*left = (struct fence_left){ .out = 0 };
	if (policy_asks_names(w->policy) || (w->queued && w->queued->all))
		return 0;
	if (w->npeers > FENCE_PEERS_MAX || !cut_ports(&s) || !gather_marks(&s)) {
		left->capped = true;
		return 0;
	}
	s.owned = ranges_of(&s, w->queued);
	v4.net.b[10] = v4.net.b[11] = 0xff;
	/* IPv4 is a region of its own in the mapped form: prefixes of IPv6 that hold it do not hold its addresses. */
	for (from = 0; from < s.nmarks && !(s.mark[from].net.len >= 96 && addr_is_v4(&s.mark[from].net.net)); from++)
		;
	for (to = from; to < s.nmarks && s.mark[to].net.len >= 96 && addr_is_v4(&s.mark[to].net.net); to++)
		;
	emit(&s, &v4, halve(&s, &v4, from, to, &all4));
	memmove(s.mark + from, s.mark + to, (s.nmarks - to) * sizeof *s.mark);
	s.nmarks -= to - from;
	emit(&s, &v6, halve(&s, &v6, 0, s.nmarks, &all6));
	free(s.mark);
	*left = (struct fence_left){ .out = s.left_out, .capped = s.judged >= JUDGEMENTS_MAX };
	qsort(out, s.n, sizeof *out, widest_first);
	return s.n;
}
