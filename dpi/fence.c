/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prefixes that the policy names and addresses of local peers cut the address space into regions: all addresses whose innermost prefix is the same are in the
 * same groups, and one judgement a range of ports holds for them. A region whose answer is that of the region around it needs no entry. Of the others
 * the list has what passes and then the rest, or what is refused and then the rest, whichever takes fewer blocks of ports. */
#include "dpi/fence.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "dpi/policy_table.h"

#define JUDGEMENTS_MAX 20000u	/* some 10 ms */

struct ports {			/* bit per range of ports */
	uint64_t to;		/* refused to who sends the packet, as their destination */
	uint64_t from;		/* UDP: refused to who gets it, as their source: as an answer it would be one to them. Else all */
};

struct mark {			/* where the address space is cut */
	struct cidr net;
	const struct fence_peer *peer;	/* NULL: a prefix of the policy's, or all of a family */
	bool anybody;		/* link-local: may be any of the local peers, or none */
	unsigned up;		/* the mark around it; 0: all of the family */
	bool region;		/* it is the innermost of some address */
	bool within;		/* something is refused in a region around it */
	bool same;		/* as in the region around it */
	struct ports refused;	/* in its region */
};

struct search {
	const struct fence_want *w;
	struct mark *mark;
	unsigned nmarks;
	uint16_t port[FENCE_PORTS_MAX + 1];	/* where ranges begin, ascending; the last ends at 65535 */
	unsigned nports;
	uint64_t owned;		/* ranges that its own queue has */
	struct ports never;	/* in this family: ranges that pass whoever the peer is; nothing is said of them elsewhere */
	unsigned judged;
	struct fence *out;
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

/* The protocol whose ports are told apart. */
static uint8_t port_proto(const struct search *s) { return s->w->kind == FENCE_UDP ? IPPROTO_UDP : IPPROTO_TCP; }

static bool cut_queued(struct search *s, const struct app_ports *q)
{
	bool ok = true;

	for (unsigned i = 0; q && !q->all && i < q->n; i++)
		ok = ok && (q->port[i].ipproto != port_proto(s) || (cut_port(s, q->port[i].port) && cut_port(s, q->port[i].port + 1u)));
	return ok;
}

/* The lower of the two ports: from one to the other is never judged (RFC 2131, RFC 8415). */
static const uint16_t dhcp[2] = { 67, 546 };

static bool cut_ports(struct search *s)
{
	const struct policy *p = s->w->policy;
	bool ok = cut_port(s, 0);

	if (s->w->kind == FENCE_ECHO)
		return ok;
	for (unsigned i = 0; s->w->kind == FENCE_UDP && i < 2; i++)
		ok = ok && cut_port(s, dhcp[i]) && cut_port(s, dhcp[i] + 2u);
	ok = ok && cut_queued(s, s->w->queued);

	for (uint32_t i = 0; ok && i < p->nrules; i++)
		for (uint32_t k = 0; ok && k < p->rule[i].nports; k++) {
			const struct port_range *r = &p->port[p->rule[i].first_port + k];

			if (!r->ipproto || r->ipproto == port_proto(s))
				ok = cut_port(s, r->lo) && cut_port(s, r->hi + 1u);
		}
	for (unsigned i = 0; ok && i < s->w->npeers; i++)
		ok = cut_queued(s, s->w->peers[i].queued);
	return ok;
}

static uint64_t ranges_of(const struct search *s, const struct app_ports *q)
{
	uint64_t set = 0;

	for (unsigned r = 0; q && s->w->kind != FENCE_ECHO && r < s->nports; r++)
		for (unsigned i = 0; i < (q->all ? 1u : q->n); i++)
			if (q->all || (q->port[i].ipproto == port_proto(s) && q->port[i].port == s->port[r]))
				set |= UINT64_C(1) << r;
	return set;
}

static uint64_t all_ranges(const struct search *s) { return s->nports == 64 ? UINT64_MAX : (UINT64_C(1) << s->nports) - 1; }

/* The ranges that DHCP's two ports make up: one, or two where the policy tells them apart. */
static uint64_t dhcp_ranges(const struct search *s, unsigned which)
{
	uint64_t set = 0;

	for (unsigned r = 0; s->w->kind == FENCE_UDP && r < s->nports; r++)
		if (s->port[r] == dhcp[which] || s->port[r] == dhcp[which] + 1)
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

	s->mark = calloc(nets->n + s->w->npeers + fixed + 2, sizeof *s->mark);
	if (!s->mark)
		return false;
	s->mark[s->nmarks++] = (struct mark){ .net = cidr_of("0.0.0.0/0") };
	s->mark[s->nmarks++] = (struct mark){ .net = cidr_of("::/0") };
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

/* One address of the workload and one peer, one port of the responder's: is it refused? entering: the peer begins. */
static bool refused(struct search *s, const struct addr *self, const struct addr *peer, const struct group_set *bits, bool entering, uint16_t port)
{
	const struct policy *p = s->w->policy;
	struct group_set mine, theirs;
	struct policy_query q = { .ipproto = port_proto(s), .port = port };
	struct policy_answer a;

	if (s->w->kind == FENCE_ECHO)
		q.ipproto = addr_is_v4(self) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	s->judged++;
	policy_groups(p, self, s->w->groups, &mine);
	policy_groups(p, peer, bits, &theirs);
	q.from = entering ? &theirs : &mine;
	q.to = entering ? &mine : &theirs;
	q.mode = policy_mode_of(p, &mine);
	if (bits && policy_mode_of(p, &theirs) > q.mode)
		q.mode = policy_mode_of(p, &theirs);
	a = policy_judge(p, &q);
	return a.enforce && verdict_stops(a.verdict);
}

static uint64_t judge_ranges(struct search *s, uint64_t set, const struct addr *self, const struct addr *peer, const struct group_set *bits, bool entering)
{
	for (unsigned r = 0; r < s->nports; r++)
		if (set >> r & 1 && (s->judged >= JUDGEMENTS_MAX || !refused(s, self, peer, bits, entering, s->port[r])))
			set &= ~(UINT64_C(1) << r);
	return set;
}

static struct ports judge_ports(struct search *s, struct ports set, uint64_t owned, const struct addr *self, const struct addr *peer, const struct group_set *bits)
{
	set.to = judge_ranges(s, set.to & ~owned, self, peer, bits, s->w->entering);
	if (s->w->kind == FENCE_UDP)
		set.from = set.to ? judge_ranges(s, set.from & ~owned, self, peer, bits, !s->w->entering) : 0;
	return set;
}

static bool nothing(const struct ports *p) { return !p->to || !p->from; }

/* What is refused in a mark's region, of which `peer` is one address. */
static struct ports judge_region(struct search *s, const struct mark *m, const struct addr *at)
{
	bool v4 = addr_is_v4(at), any = false;
	struct ports set = { all_ranges(s) & ~s->never.to, all_ranges(s) & ~s->never.from };

	for (unsigned i = 0; i < s->w->naddrs; i++) {
		if (addr_is_v4(&s->w->addrs[i]) != v4 || addr_is_linklocal(&s->w->addrs[i]))
			continue;
		any = true;
		set = judge_ports(s, set, ranges_of(s, m->peer ? m->peer->queued : NULL), &s->w->addrs[i], at, m->peer ? m->peer->groups : NULL);
		for (unsigned k = 0; m->anybody && k < s->w->npeers; k++)
			set = judge_ports(s, set, ranges_of(s, s->w->peers[k].queued), &s->w->addrs[i], at, s->w->peers[k].groups);
	}
	return any && !nothing(&set) ? set : (struct ports){ 0, 0 };
}

/* The address behind a prefix. */
static struct addr behind(const struct cidr *c)
{
	struct addr a = c->net;
	unsigned at = c->len ? (c->len - 1u) / 8 : 0, sum = c->len ? 1u << (7 - (c->len - 1u) % 8) : 0;

	for (unsigned i = at + 1; sum && i-- > 0; sum >>= 8) {
		sum += a.b[i];
		a.b[i] = (uint8_t)sum;
	}
	return a;
}

/* An address whose innermost prefix is m[0]'s, of n marks in order. False: there is none. */
static bool innermost(const struct mark *m, unsigned n, struct addr *at)
{
	*at = m->net.net;
	for (unsigned i = 1; i < n && m[i].net.len >= m->net.len && cidr_has(&m->net, &m[i].net.net); i++) {
		if (addr_cmp(&m[i].net.net, at) > 0)
			return true;
		if (!cidr_has(&m[i].net, at))
			continue;
		*at = behind(&m[i].net);
		if (addr_cmp(at, &m[i].net.net) <= 0 || !cidr_has(&m->net, at))
			return false;
	}
	return true;
}

static void judge_marks(struct search *s, struct mark *m, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned up = i ? i - 1 : 0;
		struct addr at;

		while (up && !(m[up].net.len < m[i].net.len && cidr_has(&m[up].net, &m[i].net.net)))
			up = m[up].up;
		m[i].up = up;
		m[i].region = innermost(&m[i], n - i, &at);
		if (m[i].region)
			m[i].refused = judge_region(s, &m[i], &at);
		while (up && !m[up].region)
			up = m[up].up;
		if (up == i || !m[up].region)
			continue;
		m[i].within = m[up].within || !nothing(&m[up].refused);
		m[i].same = m[up].refused.to == m[i].refused.to && m[up].refused.from == m[i].refused.from;
	}
}

/* ---- the list ---- */

/* The next run of ranges that are in the set, from *r on; after it *r is where to go on. False: there is none. */
static bool next_run(const struct search *s, uint64_t set, unsigned *r, uint16_t *lo, uint16_t *hi)
{
	while (*r < s->nports && !(set >> *r & 1))
		++*r;
	if (*r == s->nports)
		return false;
	*lo = s->port[*r];
	while (*r < s->nports && set >> *r & 1)
		++*r;
	*hi = *r < s->nports ? (uint16_t)(s->port[*r] - 1) : 65535;
	return true;
}

static unsigned blocks_of(const struct search *s, uint64_t set)
{
	uint16_t lo, hi;
	unsigned n = 0;

	for (unsigned r = 0; next_run(s, set, &r, &lo, &hi);)
		n += port_blocks(lo, hi);
	return n;
}

static void emit(struct search *s, const struct cidr *net, bool pass, uint64_t to, uint64_t from)
{
	struct fence f = { .peer = *net, .ipproto = port_proto(s), .pass = pass };

	if (s->w->kind == FENCE_ECHO)
		f.ipproto = net->len >= 96 && addr_is_v4(&net->net) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	for (unsigned r = 0; next_run(s, to, &r, &f.lo, &f.hi);)
		for (unsigned k = 0; next_run(s, from, &k, &f.from_lo, &f.from_hi);) {
			if (s->n < FENCE_OUT_MAX)
				s->out[s->n++] = f;
			else
				s->left_out++;	/* the rest is wider */
		}
}

static void emit_region(struct search *s, const struct mark *m)
{
	uint64_t all = all_ranges(s), to = all & ~(m->refused.to | s->never.to), from = all & ~(m->refused.from | s->never.from);

	if (nothing(&m->refused)) {
		emit(s, &m->net, true, all, all);
	} else if (blocks_of(s, to) + blocks_of(s, from) <= blocks_of(s, m->refused.to) * blocks_of(s, m->refused.from)) {
		emit(s, &m->net, true, to, all);
		emit(s, &m->net, true, all, from);
		emit(s, &m->net, false, all, all);
	} else {
		emit(s, &m->net, false, m->refused.to, m->refused.from);
		if (m->within)
			emit(s, &m->net, true, all, all);
	}
}

static int narrowest_first(const void *a, const void *b)
{
	const struct mark *m = a, *n = b;

	return m->net.len != n->net.len ? n->net.len - m->net.len : by_net(a, b);
}

static void find_family(struct search *s, struct mark *m, unsigned n, bool v4)
{
	uint64_t all = all_ranges(s);
	bool any = false;

	s->never = (struct ports){ s->owned | dhcp_ranges(s, !v4), s->w->kind == FENCE_UDP ? s->owned : 0 };
	judge_marks(s, m, n);
	for (unsigned i = 0; i < n; i++)
		any |= !nothing(&m[i].refused);
	if (!any)
		return;
	emit(s, &m[0].net, true, s->never.to, all);
	emit(s, &m[0].net, true, all, s->never.from);
	qsort(m, n, sizeof *m, narrowest_first);
	for (unsigned i = 0; i < n; i++)
		if (m[i].region && !m[i].same && (m[i].within || !nothing(&m[i].refused)))
			emit_region(s, &m[i]);
}

unsigned fence_find(const struct fence_want *w, struct fence out[FENCE_OUT_MAX], struct fence_left *left)
{
	struct search s = { .w = w, .out = out };
	unsigned from, to;

	*left = (struct fence_left){ .out = 0 };
	if (policy_asks_names(w->policy) || (w->queued && w->queued->all && w->kind != FENCE_ECHO))
		return 0;
	if (w->npeers > FENCE_PEERS_MAX || !cut_ports(&s) || !gather_marks(&s)) {
		left->capped = true;
		return 0;
	}
	s.owned = ranges_of(&s, w->queued);
	/* IPv4 is a region of its own in the mapped form: prefixes of IPv6 that hold it do not hold its addresses. */
	for (from = 0; from < s.nmarks && !(s.mark[from].net.len >= 96 && addr_is_v4(&s.mark[from].net.net)); from++)
		;
	for (to = from; to < s.nmarks && s.mark[to].net.len >= 96 && addr_is_v4(&s.mark[to].net.net); to++)
		;
	find_family(&s, s.mark + from, to - from, true);
	memmove(s.mark + from, s.mark + to, (s.nmarks - to) * sizeof *s.mark);
	s.nmarks -= to - from;
	find_family(&s, s.mark, s.nmarks, false);
	free(s.mark);
	*left = (struct fence_left){ .out = s.left_out, .capped = s.judged >= JUDGEMENTS_MAX };
	return s.n;
}
