/* SPDX-License-Identifier: GPL-2.0-or-later */
/* judge: what the policy says about a flow, and the answer to a frame of it.
 *
 * A flow is judged at its first packet (app pending), when its app gets known, changes or is given up, and after
 * dpi_set_policy. What is remembered is the answer; the sets of groups are worked out anew each time, because that is rare
 * and they are large. Its mode is the strictest of its local ends; where none is local, the default.
 *
 * Not judged, always allowed: the client's and the server's side of DHCP, neighbour discovery, MLD, IGMP, ICMP that is not an
 * echo, and transports without ports. ICMP errors share the fate of the flow that they quote.
 *
 * What stays unknown because its beginning was not seen is judged by addresses and ports only: it may be what a rule allows.
 *
 * Where rules that come first ask for facts, the answer without any is PENDING and f->by_facts is set: then each request of the flow
 * is judged by itself when it is complete (px_judge). A stream whose request is refused stays refused; of datagrams each is answered
 * for itself. What a parser could not read is judged as a request of which everything may be true that a rule refuses, and nothing
 * that one allows.
 *
 * A verdict that was carried out stays (F_STOPPED) until the policy is another one, and one for a request until that has none that may refuse it. Flows that show no packet then are judged by anew.c.
 *
 * Frames that are not held went on already; where their source can stop a flow by its tuple (FRAME_ENFORCEABLE) the verdict is carried out
 * from that frame on, by whoever is told (dpi_ops.refused). That is not so for flows inside tunnels and behind VLAN tags, for transports
 * without ports (but for echoes, which have an id), and for datagrams that are judged one by one: to stop one would stop the others.
 *
 * Of a workload in quarantine everything is refused, what is never judged too: no policy is asked. What was refused for a request before stays refused for that,
 * since nothing of it is left to be judged by when the quarantine ends. */
#include "dpi/tunnel.h"

#include <netinet/in.h>

#define TOLD_GROUPS_MAX 16u	/* names of an end's groups in an alert */

static bool is_echo(const struct flow *f) { return f->key.ipproto == IPPROTO_ICMP || f->key.ipproto == IPPROTO_ICMPV6; }

static bool is_dhcp(const struct flow *f)
{
	uint16_t from = flow_port(f, DIR_TOSERVER), to = flow_port(f, DIR_TOCLIENT);

	if (f->key.ipproto != IPPROTO_UDP)
		return false;
	if (addr_is_v4(&f->key.lo))
		return (from == 68 && to == 67) || (from == 67 && to == 68);
	return (from == 546 && to == 547) || (from == 547 && to == 546);
}

static bool is_judged(const struct flow *f)
{
	switch (f->key.ipproto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		return f->key.lo_port && f->key.hi_port ? !is_dhcp(f) : true;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return true;	/* only echoes are flows */
	default:
		return false;
	}
}

/* Who are its ends? In the flow's order. Without a packet at hand its addresses tell, and who they were when it was judged last. */
static struct dpi_ends ask_ends(const struct px *x)
{
	const struct flow *f = x->f;
	struct dpi_ends e = { 0 }, out = e;
	struct frame none = { .ts = x->ts, .link = LINK_RAW, .path = f->path, .iface = f->iface };
	bool down = x->p && x->dir == DIR_TOCLIENT;
	struct tuple t = flow_tuple(f, down ? DIR_TOCLIENT : DIR_TOSERVER);

	if (!x->d->ops.ends)
		return out;
	if (flow_tunnelled(f) && f->tunnel->outer.depth) {	/* who sends and gets the packets around it: the inner addresses are the tunnel's own */
		const struct outer *o = &f->tunnel->outer;

		t.src = down ? o->dst : o->src;
		t.dst = down ? o->src : o->dst;
		t.sport = down ? o->dport : o->sport;
		t.dport = down ? o->sport : o->dport;
		t.ipproto = o->ipproto;
	}
	if (x->p) {
		t.domain = x->p->t.domain;
	} else {
		if (f->key.place == PLACE_LOCAL)
			none.workload = f->key.net;
		e.workload[0] = f->workload[0];
		e.workload[1] = f->workload[1];
	}
	x->d->ops.ends(x->d->ops.ctx, x->p ? x->p->frame : &none, &t, &e);
	out.quarantined = e.quarantined;
	for (int i = 0; i < 2; i++) {
		out.workload[i] = e.workload[i ^ (down ? 1 : 0)];
		out.groups[i] = e.groups[i ^ (down ? 1 : 0)];
	}
	return out;
}

/* What the policy is asked of a flow, with all that the question points at. */
struct asking {
	struct policy_query q;
	struct group_set groups[2], sure[2];
	struct policy_names names[2];
	bool local[2];
	enum policy_mode mode[2];	/* of the local ends */
};

static void ask_begin(const struct px *x, const struct dpi_ends *e, const struct facts *facts, struct asking *k)
{
	const struct policy *p = x->d->policy;
	const struct flow *f = x->f;
	const struct group_set nobody = { { 0 } };
	bool named = policy_asks_names(p);

	k->q = (struct policy_query){
		.memo = x->d->memo,
		.from = &k->groups[0],
		.to = &k->groups[1],
		.ipproto = f->key.ipproto,
		.port = is_echo(f) ? 0 : flow_port(f, DIR_TOCLIENT),
		.app = (enum app)f->app,
		.app_known = flow_hit(f, F_APP_KNOWN),
		.app_open = !facts && f->feed == FEED_PARSE,
		.any_app = flow_hit(f, F_APP_KNOWN) && flow_hit(f, F_MIDSTREAM) && !f->tracked && f->app == APP_UNKNOWN,
		.facts = facts,
		.mode = MODE_DISCOVER,
	};
	if (named) {
		judge_names(x, e, facts, k->names);
		k->q.from_sure = &k->sure[0];
		k->q.to_sure = &k->sure[1];
		k->q.names_lost = k->names[1].shown == SHOWN_LOST;
		k->q.names_unseen = k->names[1].shown != SHOWN_LOST && k->names[1].shown != SHOWN_LATER && names_unseen(x->d, f);
	}
	for (int i = 0; i < 2; i++) {
		policy_groups_named(p, flow_addr(f, i ? DIR_TOCLIENT : DIR_TOSERVER), e->groups[i], named ? &k->names[i] : NULL, &k->groups[i], &k->sure[i]);
		k->local[i] = e->workload[i] || e->groups[i];
		if (!k->local[i])
			continue;
		k->mode[i] = policy_mode_of(p, &k->groups[i]);
		if (k->mode[i] > k->q.mode)
			k->q.mode = k->mode[i];
	}
	if (!k->local[0] && !k->local[1])
		k->q.mode = policy_mode_of(p, &nobody);
}

static struct policy_answer ask_policy(const struct px *x, const struct dpi_ends *e, const struct facts *facts)
{
	struct asking k;
	struct policy_answer a;

	ask_begin(x, e, facts, &k);
	a = policy_judge(x->d->policy, &k.q);
	if (k.q.memo)
		count_n(x->d, DPI_C_POLICY_FORGOTTEN, policy_memo_forgotten(k.q.memo));
	if (k.q.mode == MODE_DISCOVER && a.verdict == VERDICT_ALLOW && a.reason == REASON_NO_RULE)
		flow_set(x->f, F_LEARNED);
	return a;
}

/* For an alert: the groups of each end, and what a local one's own mode makes of the rule that decided. */
static void tell_ends(const struct px *x, const struct dpi_ends *e, const struct facts *facts, struct record *r)
{
	static const struct fact ends[2] = { { "src", FACT_PLAIN }, { "dest", FACT_PLAIN } }, groups = { "groups", FACT_PLAIN }, mode = { "mode", FACT_PLAIN },
		verdict = { "verdict", FACT_PLAIN }, enforced = { "enforced", FACT_PLAIN };
	const struct policy *p = x->d->policy;
	struct policy_answer a;
	struct asking k;
	bool left_out = false;

	ask_begin(x, e, facts, &k);
	for (int i = 0; i < 2; i++) {
		unsigned n = 0;

		rec_obj(r, &ends[i]);
		rec_arr(r, &groups);
		for (unsigned w = 0; w < POLICY_GROUPS_MAX / 64; w++)
			for (uint64_t left = k.groups[i].bits[w]; left; left &= left - 1) {
				unsigned g = w * 64 + (unsigned)__builtin_ctzll(left);

				if (g != POLICY_GROUP_ANY && n++ < TOLD_GROUPS_MAX)
					rec_cstr(r, NULL, policy_group_name(p, g));
			}
		left_out |= n > TOLD_GROUPS_MAX;
		rec_end(r);
		if (k.local[i]) {
			k.q.mode = k.mode[i];
			a = policy_judge(p, &k.q);
			rec_cstr(r, &mode, policy_mode_name(k.mode[i]));
			rec_cstr(r, &verdict, verdict_name(a.verdict));
			rec_bool(r, &enforced, a.enforce && verdict_stops(a.verdict));
		}
		rec_end(r);
	}
	if (left_out)
		rec_partial(r);
}

static void alert(struct px *x, const struct policy_answer *a, const struct dpi_ends *e, const struct facts *facts, const struct record *request)
{
	struct record *r = tell_alert_begin(x);

	if (!r)
		return;
	if (a->reason != REASON_QUARANTINE)
		tell_ends(x, e, facts, r);
	tell_alert_end(x, r, request);
}

/* Takes the answer. r: the request that was judged, NULL: the flow as such; facts: what the policy was asked with. */
static void settle(struct px *x, const struct policy_answer *a, const struct dpi_ends *e, const struct facts *facts, const struct record *r)
{
	struct flow *f = x->f;

	if (r || a->verdict != (enum verdict)f->verdict || a->rule != f->rule)
		flow_clear(f, F_ALERTED);
	f->verdict = (uint8_t)a->verdict;
	f->rule = a->rule;
	f->reason = a->reason & 7u;
	flow_clear(f, F_ENFORCE);
	if (a->enforce)
		flow_set(f, F_ENFORCE);
	if (a->verdict >= VERDICT_ALERT && !flow_hit(f, F_ALERTED)) {
		flow_set(f, F_ALERTED);
		alert(x, a, e, facts, r);
	}
}

static bool is_stream(const struct flow *f) { return f->key.ipproto == IPPROTO_TCP; }

static bool is_stopped(const struct policy_answer *a) { return verdict_stops(a->verdict) && a->enforce; }

/* The app may turn out to be one that is carried in it (grpc in http2): may requests of such a one be refused by their facts? */
static bool carried_may_stop(struct px *x, const struct dpi_ends *e)
{
	struct flow *f = x->f;
	uint8_t app = f->app;
	bool may = false;

	if (!is_stream(f) || !flow_hit(f, F_APP_KNOWN) || app == APP_UNKNOWN || !policy_asks(x->d->policy, (enum app)app))
		return false;
	for (unsigned a = 0; a < APP_COUNT && !may; a++) {
		if (a == app || !app_is((enum app)a, (enum app)app) || !policy_asks(x->d->policy, (enum app)a))
			continue;
		f->app = (uint8_t)a;
		may = ask_policy(x, e, NULL).hold;
	}
	f->app = app;
	return may;
}

void judge_released(struct dpi *d, const struct flow *f)
{
	struct tuple t = flow_tuple(f, DIR_TOSERVER);

	if ((!f->held || f->enforceable) && d->ops.released)
		d->ops.released(d->ops.ctx, &t);
}

static bool by_this_policy(const struct dpi *d, const struct flow *f) { return (int32_t)(f->policy - d->policy_since) >= 0; }

/* Refused for one of its requests, which is past: it is not made good by other ends, nor by another policy that may refuse such a request too, nor, where it is
 * stopped as it is, by a quarantine that comes and goes. */
static bool refused_for_good(struct px *x, const struct dpi_ends *e, bool same)
{
	const struct flow *f = x->f;

	return flow_refused(f) && f->by_facts && (is_stream(f) || f->feed == FEED_OFF) && f->reason != REASON_QUARANTINE && (!e->quarantined || judge_reaches(f)) && x->d->policy &&
	       (same || ask_policy(x, e, NULL).hold);
}

static __attribute__((noinline)) void judge_due(struct px *x)
{
	struct dpi *d = x->d;
	struct flow *f = x->f;
	struct policy_answer a = { .verdict = VERDICT_ALLOW, .reason = REASON_NONE };
	const struct facts past = { .unseen = true };	/* of a flow that is not parsed any more */
	const struct facts *facts;
	bool fresh = f->policy != d->policy_version, same = by_this_policy(d, f), told;
	struct dpi_ends e = { 0 };

	flow_set(f, F_JUDGED);
	if (!fresh && (flow_hit(f, F_STOPPED) || !d->policy))
		return;
	told = flow_hit(f, F_STOPPED) && f->reason != REASON_QUARANTINE;
	f->policy = d->policy_version;
	if (x->p)
		f->enforceable = !x->p->frame->held && x->p->frame->flags & FRAME_ENFORCEABLE;
	e = ask_ends(x);
	f->workload[0] = e.workload[0];
	f->workload[1] = e.workload[1];
	if (refused_for_good(x, &e, same)) {
		if (!same)	/* whoever stops it has to be told again */
			flow_clear(f, F_STOPPED);
		return;
	}
	flow_clear(f, F_LEARNED | F_STOPPED);
	facts = f->feed == FEED_OFF && flow_hit(f, F_APP_KNOWN) ? &past : NULL;
	if (e.quarantined) {
		a = (struct policy_answer){ .verdict = VERDICT_DROP, .reason = REASON_QUARANTINE, .enforce = true };
		flow_stop(&d->flows, f, d->now);	/* a mirrored packet too: it was sent to us instead of on */
	} else if (d->policy && is_judged(f)) {
		a = ask_policy(x, &e, facts);
	}
	f->by_facts = a.verdict == VERDICT_PENDING && flow_hit(f, F_APP_KNOWN);
	f->refusable = d->policy && (a.hold || (!is_stopped(&a) && carried_may_stop(x, &e)));
	settle(x, &a, &e, facts, NULL);
	if (told && !flow_refused(f))
		judge_released(d, f);
	if (flow_hit(f, F_APP_KNOWN))
		tell_learn(x, NULL);
}

void judge_flow(struct px *x)
{
	const struct flow *f = x->f;

	if (!flow_hit(f, F_JUDGED) || f->policy != x->d->policy_version)	/* asked for each packet: nearly always there is nothing to do */
		judge_due(x);
}

void judge_request(struct px *x, const struct record *r, uint32_t later)
{
	struct flow *f = x->f;
	struct facts facts = { .body = r->body, .len = r->len, .later = later, .partial = r->full, .unseen = flow_hit(f, F_MIDSTREAM) };
	struct dpi_ends e;
	struct policy_answer a;

	judge_flow(x);
	if (f->by_facts && !flow_refused(f)) {
		e = ask_ends(x);
		a = ask_policy(x, &e, &facts);
		settle(x, &a, &e, &facts, r);
	}
	tell_learn(x, r);
}

void judge_unreadable(struct px *x)
{
	struct record *r = &x->d->record;

	if (!x->f->by_facts && !flow_hit(x->f, F_LEARNED))
		return;
	rec_reset(r);
	r->full = true;
	judge_request(x, r, 0);
}

/* What was said of the last request does not hold for the next; an answer has the standing of what it answers, unless that was refused:
 * then it is another's. Of a flow that is parsed no more it holds for good: nothing is judged after it (a QUIC hello, sent again). */
void judge_next_datagram(struct px *x)
{
	struct flow *f = x->f;

	if (!f->by_facts || is_stream(f) || f->feed == FEED_OFF || f->verdict == VERDICT_PENDING || (x->dir == DIR_TOCLIENT && !flow_refused(f)))
		return;
	f->verdict = VERDICT_PENDING;
	f->rule = 0;
	f->reason = REASON_NONE;
	flow_clear(f, F_ENFORCE | F_STOPPED);
}

enum verdict judge_answer(struct dpi *d, struct flow *f, const struct frame *fr)
{
	enum verdict v = f ? (enum verdict)f->verdict : VERDICT_ALLOW;

	switch (v) {
	case VERDICT_ALLOW:
	case VERDICT_PENDING:
		break;
	case VERDICT_ALERT:
		count(d, DPI_C_VERDICT_ALERT);
		return fr->held ? v : VERDICT_ALLOW;
	case VERDICT_DENY:
	case VERDICT_DROP:
		if (flow_hit(f, F_ENFORCE) && judge_can_stop(f, fr)) {
			flow_stop(&d->flows, f, d->now);
			count(d, v == VERDICT_DENY ? DPI_C_VERDICT_DENY : DPI_C_VERDICT_DROP);
			return v;
		}
		count(d, DPI_C_VERDICT_UNENFORCED);
		break;
	}
	count(d, DPI_C_VERDICT_ALLOW);
	return VERDICT_ALLOW;
}

/* Without being held. */
static bool by_filters(const struct flow *f, bool enforceable)
{
	bool told_apart = f->key.ipproto == IPPROTO_TCP || f->key.ipproto == IPPROTO_UDP || f->key.ipproto == IPPROTO_SCTP || is_echo(f);	/* by ports, an echo by its id */

	if (f->reason == REASON_QUARANTINE)	/* filters stop all of it */
		return enforceable;
	return enforceable && told_apart && flow_by_tuple(f) && (is_stream(f) || !f->by_facts);
}

bool judge_can_stop(const struct flow *f, const struct frame *fr) { return fr->held || by_filters(f, fr->flags & FRAME_ENFORCEABLE); }

bool judge_reaches(const struct flow *f) { return f->enforceable ? by_filters(f, true) : f->held; }

bool judge_refused(const struct px *x, enum verdict v)
{
	const struct flow *f = x->f;
	struct dpi_refused r = {
		.frame = x->p ? x->p->frame : NULL,
		.ip = x->p ? x->p->ip : (struct bytes){ NULL, 0 },
		.ts = x->ts,
		.tuple = flow_tuple(f, DIR_TOSERVER),
		.held = f->held && !f->enforceable,
		.to_client = x->dir == DIR_TOCLIENT,
		.verdict = v,
		.workload = { f->workload[0], f->workload[1] },
	};

	if (!x->d->ops.refused || f->reason == REASON_QUARANTINE)	/* nobody is told by a workload that is cut off, and its flows need no filters */
		return true;
	if (x->p)
		r.view = x->p->frame->view;
	else if (!flow_tunnelled(f))
		r.view = f->view[f->view[0] ? 0 : 1];
	for (int dir = 0; is_stream(f) && dir < 2; dir++) {
		r.sent[dir].known = f->half[dir].flags & HALF_KNOWN;
		r.sent[dir].end = f->half[dir].max_end;
		r.sent[dir].acked = f->half[dir].acked;
		r.sent[dir].acks = f->half[dir].acked && f->tcp_flags[dir] & TCP_ACK;
	}
	return x->d->ops.refused(x->d->ops.ctx, &r);
}

/* ---- ICMP errors ---- */

/* The tuple of the packet that an error quotes, with as much of its transport as is there. False: none. */
static bool quoted(const struct packet *p, struct packet *q)
{
	struct cursor c = cur_of(p->payload.p, p->payload.n);
	const uint8_t *src, *dst;
	uint8_t vhl = cur_u8(&c);

	memset(q, 0, sizeof(*q));
	q->frame = p->frame;
	q->tunnel = p->tunnel;
	q->t.domain = p->t.domain;
	q->nvlan = p->nvlan;
	q->vlan[0] = p->vlan[0];
	q->vlan[1] = p->vlan[1];
	if (vhl >> 4 == 4) {
		cur_skip(&c, 8);
		q->t.ipproto = cur_u8(&c);
		cur_skip(&c, 2);
		src = cur_take(&c, 4);
		dst = cur_take(&c, 4);
		cur_skip(&c, (vhl & 15u) > 5 ? ((vhl & 15u) - 5) * 4 : 0);
		if (!cur_ok(&c))
			return false;
		q->t.src = addr_v4(src);
		q->t.dst = addr_v4(dst);
	} else {
		cur_skip(&c, 5);
		q->t.ipproto = cur_u8(&c);
		cur_skip(&c, 1);
		src = cur_take(&c, 16);
		dst = cur_take(&c, 16);
		if (!cur_ok(&c) || vhl >> 4 != 6)
			return false;
		q->t.src = addr_v6(src);
		q->t.dst = addr_v6(dst);
	}
	if (q->t.ipproto == IPPROTO_ICMP || q->t.ipproto == IPPROTO_ICMPV6) {
		cur_skip(&c, 4);
		q->t.sport = q->t.dport = cur_be16(&c);
	} else {
		q->t.sport = cur_be16(&c);
		q->t.dport = cur_be16(&c);
	}
	q->l4_known = cur_ok(&c);
	return q->l4_known;
}

enum verdict judge_icmp_error(struct dpi *d, const struct packet *p)
{
	bool error = p->family == 4 ? p->icmp_type == 3 || p->icmp_type == 5 || p->icmp_type == 11 || p->icmp_type == 12 : p->icmp_type < 128;
	struct flow_key k;
	struct flow *f = NULL;
	struct packet q;

	if (error && quoted(p, &q)) {
		flow_key_of(&q, &k);
		f = q.tunnel ? tunnel_find_quoted(d, &k) : flow_find(&d->flows, &k, flow_hash(&d->flows, &k));
	}
	if (f && !(verdict_stops((enum verdict)f->verdict) && p->frame->held))
		f = NULL;		/* not held: nobody stops an error by the flow that it quotes */
	return judge_answer(d, f, p->frame);
}
