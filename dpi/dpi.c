/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dpi: the way of a frame through the core (life.c: flows begin and end; core.c: the rest of the public face).
 *
 * decode -> defrag -> flow lookup -> guard -> views (or, during a switch, fingerprints) -> counters -> policy -> stream ->
 * protocols -> answer. Each packet counts in one verdict; each inspected packet counts in its flow once, whatever TCP thinks of it.
 *
 * Tunnels. A packet that counted in its flow and is not stopped may carry another one (tunnel.h): that one goes the same way, but for guard and views, which were
 * asked about the outermost. Levels are a loop, not a recursion, and end at TUNNEL_DEPTH_MAX. Each frame is answered once, by the strictest of its packets' verdicts.
 *
 * Checksums. A packet that its receiver throws away counts and is told as an anomaly, and changes nothing else. Capture files
 * (frame.number) hold wrong ones that the receiver never saw so, without saying it: unfinished ones of a sending host, whose
 * field holds the pseudo header's sum; segments that a receiving host joined under the checksum of the first; addresses or
 * bytes that somebody changed later. There an unfinished one counts; where the first packet of a direction is wrong, others of
 * that direction count until one is right; and the bytes of any other TCP segment wait until the receiver acknowledges them
 * (stream.c), which it does not before it took them. Live sources tell each packet's state, so nothing is assumed there. */
#include "dpi/tunnel.h"

#include <netinet/in.h>

#define ETHERTYPE_ARP 0x0806

/* ---- guard ---- */

enum pass { PASS, PASS_NOT, PASS_COPY };

/* A switch is under way, or was a moment ago: two paths may have shown this packet. (Times before 1970 are times too.) */
static bool overlapping(const struct dpi *d, const struct frame *fr) { return d->overlap_end && fr->ts < d->overlap_end + OVERLAP_GRACE; }

/* Is the packet ours, and was it not shown already? f NULL: it has no flow (yet). */
static enum pass guard(struct dpi *d, const struct packet *p, const struct flow_key *k, struct flow *f, uint32_t frames)
{
	const struct frame *fr = p->frame;
	bool overlap = overlapping(d, fr);
	enum dpi_own own = OWN_YES;

	bool past = k && d->witness.used && witness_past(d, p, k);

	/* Two workloads may hold packets of one flow: asked again where another one does than before. */
	if (d->ops.owner && !past && (!f || f->path != fr->path || f->epoch != d->epoch || (fr->held && !flow_tunnelled(f) && f->view[d->px.dir] != fr->view)))
		own = d->ops.owner(d->ops.ctx, fr, &p->t);
	if (k && p->t.ipproto == IPPROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_RST | TCP_FIN)) == TCP_SYN && !overlap) {
		if (own == OWN_YES && fr->held && fr->flags & FRAME_LEAVING)
			witness_held(d, p);
		else if (own == OWN_SHOWN)
			witness_note(d, p, k, f, d->px.dir);
		else if (own == OWN_NO && d->witness.used)
			witness_also(d, p, k);
	}
	if (own == OWN_NO || own == OWN_SHOWN || (own == OWN_OVERLAP && (!overlap || fr->ts >= d->overlap_end))) {
		count_n(d, DPI_C_GUARD_DROPPED, frames);
		return PASS_NOT;
	}
	d->px.borrowed = own != OWN_YES;
	if (f && own == OWN_YES) {
		if (f->path != fr->path && !flow_tunnelled(f))
			view_forget(f);
		if (f->epoch != d->epoch && f->policy == d->policy_version)
			f->policy--;	/* its ends may be others now */
		f->path = fr->path;
		f->epoch = d->epoch;
	}
	if (!overlap)
		return PASS;
	/* The other view's copy of a packet that counted just before the overlap began: dedup knows nothing of it. */
	if (f && !flow_tunnelled(f) && f->path == fr->path && fr->ts < d->overlap_start + VIEW_EDGE && view_copies(f, d->px.dir, fr)) {
		count_n(d, DPI_C_GUARD_VIEW, frames);
		return PASS_COPY;
	}
	switch (dedup_packet(&d->dedup, p)) {
	case DEDUP_NEW:
		if (f && own == OWN_YES && !flow_tunnelled(f))
			view_note(f, d->px.dir, fr);	/* its copies may come after the overlap */
		return PASS;
	case DEDUP_SEEN:
		break;
	case DEDUP_FULL:	/* the owner's copies count, of the view that is chosen */
		if (own == OWN_YES && (!f || flow_tunnelled(f) || view_counts(f, d->px.dir, fr)))
			return PASS;
		break;
	}
	count_n(d, DPI_C_GUARD_OVERLAP, frames);
	return PASS_COPY;
}

/* In another IP packet, which passed the guard, and its view counts, for both. */
static bool within(const struct packet *p) { return p->tunnel && p->tunnel->outer.depth; }

/* What guard() says of nearly all packets: the flow was ours on this path, nothing has changed, and nobody waits for anything. */
static inline bool still_ours(const struct dpi *d, const struct packet *p, const struct flow *f)
{
	const struct frame *fr = p->frame;

	return f && f->path == fr->path && f->epoch == d->epoch && !d->overlap_end && !d->witness.used && !(p->tcp_flags & TCP_SYN) &&
	       (!fr->held || flow_tunnelled(f) || f->view[d->px.dir] == fr->view);
}

static enum pass passes(struct dpi *d, const struct packet *p, const struct flow_key *k, struct flow *f, uint32_t frames)
{
	if (within(p))
		return PASS;
	if (!still_ours(d, p, f))
		return guard(d, p, k, f, frames);
	d->px.borrowed = false;
	return PASS;
}

/* What guard() does where a path or an owner changes. */
static void goes_with_outer(struct px *x)
{
	struct flow *f = x->f;

	if (f->epoch != x->d->epoch && f->policy == x->d->policy_version)
		f->policy--;
	f->path = x->p->frame->path;
	f->epoch = x->d->epoch;
}

/* Its view is the one that counts. Flows behind PPPoE, MPLS or AH have no place to remember views: the packet is looked up by itself. */
static bool view_shows(struct px *x, const struct packet *p)
{
	if (overlapping(x->d, p->frame))
		return true;
	if (p->tunnel)
		return view_counts_packet(&x->d->views, &x->d->conf.key, p);
	return !x->f || view_counts(x->f, x->dir, p->frame);
}

/* ---- one packet of a flow ---- */

static void count_packet(struct px *x, uint32_t frames, uint64_t bytes)
{
	struct flow *f = x->f;

	f->pkts[x->dir] += frames;
	f->bytes[x->dir] += bytes;
	if (x->ts > f->last)
		f->last = x->ts;
	flow_young(&x->d->flows, f, x->now);
	count_n(x->d, DPI_C_INSPECTED, frames);
}

/* Its checksum is wrong, and that is not because the capture shows it before it was finished. */
static bool wrong(const struct packet *p) { return p->bad_csum && !(p->unfinished && p->frame->number); }

/* The receiver throws it away. */
static bool bad_checksum(struct px *x)
{
	struct flow *f = x->f;
	enum flow_bits off = x->dir == DIR_TOSERVER ? F_CSUM_OFF : F_CSUM_OFF_DOWN;

	if (x->p->bad_csum && !wrong(x->p))
		return false;
	if (!x->p->bad_csum) {
		if (flow_hit(f, off) && !(x->p->flags & (FRAME_CSUM_PARTIAL | FRAME_TRUNCATED)))
			flow_clear(f, (unsigned)off);
		return false;
	}
	if (x->p->frame->number && !f->pkts[x->dir])
		flow_set(f, off);
	if (flow_hit(f, off))
		return false;
	count(x->d, DPI_C_DECODE_CSUM);
	if (x->p->frame->number && f->key.ipproto == IPPROTO_TCP && x->p->payload.n)
		stream_doubted(x);
	else
		tell_anomaly(x, ANOM_STREAM_CSUM);
	return true;
}

static void answered(struct px *x)
{
	if (x->f->state == FLOW_NEW && x->dir == DIR_TOCLIENT)
		flow_move(&x->d->flows, x->f, FLOW_OPEN, x->now);
}

static void datagrams(struct px *x)
{
	const struct packet *p = x->p;
	struct cursor c = cur_of(p->payload.p, p->payload.n);
	size_t size = p->flags & FRAME_GSO_UDP && p->frame->gso_size ? p->frame->gso_size : p->payload.n;

	answered(x);
	while (cur_more(&c) && x->f->feed != FEED_OFF) {
		struct bytes b = cur_bytes(&c, size < cur_left(&c) ? size : cur_left(&c));

		feed_datagram(x, x->dir, b.p, b.n);
	}
}

/* Both ends of a flow that is denied were reset, which nothing showed here: a SYN that was not seen before begins another one.
 * Not where they were told nothing (DROP): they go on, and are to be stopped as long as they do. */
static bool after_refusal(const struct px *x)
{
	const struct flow *f = x->f;

	return flow_hit(f, F_STOPPED) && f->verdict == VERDICT_DENY && !(x->p->tcp_flags & TCP_ACK) && f->half[x->dir].isn != x->p->seq;
}

/* A reset can fail to reach the responder, which then has the connection that was refused: it answers the SYN by where it is (RFC 5961, 4.2), and would
 * take bytes of the old one behind a SYN of which nothing is refused yet. So where packets are held, nothing but the SYN, resets, and the responder's
 * acknowledgements pass until the responder accepted the new connection, which it cannot with the old one there. */
static bool of_the_refused(const struct px *x)
{
	const struct packet *p = x->p;

	if (!x->f->renewed || !p->frame->held || p->tcp_flags & (TCP_SYN | TCP_RST))
		return false;
	return x->dir == DIR_TOSERVER || p->payload.n || p->tcp_flags & TCP_FIN;
}

/* f is x->f or was made by this packet (fresh). */
static enum verdict flow_packet(struct px *x, uint32_t frames, uint64_t bytes, bool fresh)
{
	struct dpi *d = x->d;
	struct flow *f = x->f;
	bool bad = bad_checksum(x);
	enum verdict v;

	if (!bad && stream_unplaced(x)) {
		f->held = 1;	/* names are judged by it */
		judge_flow(x);
		if (f->refusable) {	/* else it does not matter who takes which bytes */
			count(d, DPI_C_SEG_ASKED);
			x->answer |= ANSWER_ASK;
			return VERDICT_PENDING;
		}
	}
	count_packet(x, frames, bytes);
	if (bad)
		return judge_answer(d, f, x->p->frame);
	f->tcp_flags[x->dir] |= x->p->tcp_flags;
	if (f->tracked && !(x->p->frame->flags & FRAME_TRACKED))
		f->tracked = 0;
	if (f->away)
		return judge_answer(d, f, x->p->frame);
	if (x->p->frame->held)
		f->held = 1;
	judge_next_datagram(x);
	judge_flow(x);
	if (x->p->frame->held && flow_refused(f)) {
		hold_end(d, f);
		v = judge_answer(d, f, x->p->frame);	/* the receiver never gets it */
		feed_off(x);
		if (f->key.ipproto == IPPROTO_TCP && x->p->tcp_flags & TCP_SYN && !(f->half[x->dir].flags & HALF_KNOWN))
			f->half[x->dir].isn = x->p->seq;	/* the same once more begins no other connection */
		if (f->tracked)
			away_refused(x);
		return v;
	}
	if (f->renewed && of_the_refused(x)) {
		count(d, DPI_C_VERDICT_DROP);
		return VERDICT_DROP;
	}
	x->copy = false;
	if (f->refusable || f->waits)
		hold_look(x);
	switch (f->key.ipproto) {
	case IPPROTO_TCP:
		stream_packet(x);
		if (f->renewed && f->state > FLOW_NEW && f->state < FLOW_CLOSED)
			f->renewed = 0;
		break;
	case IPPROTO_UDP:
		datagrams(x);
		break;
	case IPPROTO_SCTP:
		answered(x);
		sctp_messages(x);
		break;
	default:
		if (fresh && (f->key.ipproto == IPPROTO_ICMP || f->key.ipproto == IPPROTO_ICMPV6))
			tell_icmp(x);
		answered(x);
	}
	if (f->learn) {
		seek_turn(x);
		seek_tick(x);
	}
	if (x->refused) {
		count(d, DPI_C_VERDICT_DROP);
		return VERDICT_DROP;
	}
	if (tunnel_may(x->p, f))
		d->carrier = (struct carrier){ .p = x->p, .flow_id = f->id, .app = (enum app)f->app };
	if (x->p->frame->held && (f->refusable || f->waits)) {
		switch (hold_packet(x)) {
		case HOLD_WAITS:
			x->answer |= ANSWER_LATER;
			return VERDICT_PENDING;
		case HOLD_COPY:
		case HOLD_SYN:
			count(d, DPI_C_VERDICT_DROP);
			return VERDICT_DROP;
		case HOLD_NO:
			break;
		}
	}
	if (f->tracked || x->p->frame->flags & FRAME_SHUNTABLE)
		away_look(x);
	v = judge_answer(d, f, x->p->frame);
	if (verdict_stops(v) && !x->p->frame->held)
		judge_refused(x, v);
	return v;
}

static bool is_icmp_without_flow(const struct packet *p)
{
	if (p->t.ipproto == IPPROTO_ICMP && p->family == 4)
		return p->icmp_type != 8 && p->icmp_type != 0;
	return p->t.ipproto == IPPROTO_ICMPV6 && p->family == 6 && p->icmp_type != 128 && p->icmp_type != 129;
}

static enum verdict icmp_packet(struct dpi *d, const struct packet *p, uint32_t frames)
{
	if (p->bad_csum && !p->frame->number)
		count(d, DPI_C_DECODE_CSUM);
	else if (within(p) || guard(d, p, NULL, NULL, frames) == PASS) {
		if (within(p) || view_counts_packet(&d->views, &d->conf.key, p))
			tell_icmp_packet(d, p);
		else
			count_n(d, DPI_C_GUARD_VIEW, frames);
		return judge_icmp_error(d, p);
	}
	return judge_answer(d, NULL, p->frame);
}

/* The flow of a packet, or NULL; its key (in *own, or as it is known) and hash, and whether its sender is key.hi. */
static inline struct flow *flow_of(struct dpi *d, const struct packet *p, const struct ahead *known, struct flow_key *own, const struct flow_key **key, uint64_t *hash, bool *hi)
{
	if (known) {
		*key = &known->key;
		*hash = known->hash;
		*hi = known->hi;
	} else {
		*key = own;
		*hi = flow_key_of(p, own);
		if (p->tunnel)
			return tunnel_find(d, p, own, *hi, hash);
		*hash = flow_hash(&d->flows, own);
	}
	return flow_find(&d->flows, *key, *hash);
}

/* A whole packet that came in so many frames with so many bytes. known: its flow's key, or NULL. */
static enum verdict ip_packet(struct dpi *d, const struct packet *p, const struct ahead *known, uint32_t frames, uint64_t bytes)
{
	struct px *x = &d->px;
	const struct flow_key *k;
	struct flow_key own;
	bool hi, fresh = false, renewed = false;
	uint64_t hash;
	struct flow *f;

	if (is_icmp_without_flow(p))
		return icmp_packet(d, p, frames);
	core_make_room(d);
	f = flow_of(d, p, known, &own, &k, &hash, &hi);
	count(d, DPI_C_FLOW_LOOKUPS);
	count_n(d, DPI_C_FLOW_PROBES, d->flows.probes);
	x->f = f;
	x->p = p;
	x->now = d->now;
	x->ts = p->frame->ts;
	x->refused = false;
	if (f)
		x->dir = flow_dir(f, p, hi);
	if (within(p) && f)
		goes_with_outer(x);
	switch (passes(d, p, k, f, frames)) {
	case PASS_NOT:
		return judge_answer(d, NULL, p->frame);
	case PASS_COPY:
		return judge_answer(d, f, p->frame);
	case PASS:
		break;
	}
	if (!within(p) && !view_shows(x, p)) {
		count_n(d, DPI_C_GUARD_VIEW, frames);
		return judge_answer(d, f, p->frame);
	}
	if (f && f->away)
		away_packet(x);
	if (f && p->t.ipproto == IPPROTO_TCP && p->tcp_flags & TCP_SYN && !wrong(p) && (stream_restarts(x) || after_refusal(x))) {
		if (f->state == FLOW_NEW)
			stream_guessed_wrong(x, f->pkts[DIR_TOSERVER] ? DIR_TOSERVER : DIR_TOCLIENT);
		renewed = f->renewed || after_refusal(x);
		flow_end(d, f, f->state == FLOW_CLOSED ? flow_end_reason(f) : "restart");
		f = NULL;
	}
	if (!f) {
		f = flow_begin(x, k, hash, hi);
		if (!f)
			return judge_answer(d, NULL, p->frame);
		fresh = true;
		f->renewed = renewed;
		if (!p->tunnel)
			view_counts(f, x->dir, p->frame);
	}
	return flow_packet(x, frames, bytes, fresh);
}

/* *whole is what it completes, and must live as long as d->carrier is. */
static enum verdict fragment(struct dpi *d, const struct packet *p, struct packet *whole, struct tunnel *t)
{
	struct defrag_out out;
	enum defrag_result r;
	enum dpi_counter why = DPI_C_FRAGMENTS;

	count(d, DPI_C_FRAGMENTS);
	if (p->bad_csum && !p->frame->number) {
		count(d, DPI_C_DECODE_CSUM);
		return judge_answer(d, NULL, p->frame);
	}
	r = defrag_add(d->defrag, p, &out);
	if (out.cap) {
		count(d, DPI_C_FRAG_CAP);
		tell_packet_anomaly(d, p, ANOM_FRAG_CAP);
	}
	if (out.overlap) {
		count(d, DPI_C_FRAG_OVERLAP);
		tell_packet_anomaly(d, p, ANOM_FRAG_OVERLAP);
	}
	if (r == DEFRAG_DROP && out.cap && p->frame->held && d->policy) {	/* its receiver may have more room, and would make whole what nobody judged */
		count(d, DPI_C_VERDICT_DROP);
		return VERDICT_DROP;
	}
	if (r != DEFRAG_WHOLE)
		return judge_answer(d, NULL, p->frame);
	count(d, DPI_C_FRAG_DONE);
	if (decode_ip(p, out.ip, whole, &why) != DECODE_OK) {
		count(d, why);
		tell_packet_anomaly(d, p, ANOM_DECODE_BAD);
		return judge_answer(d, NULL, p->frame);
	}
	tunnel_of_wraps(d, whole, t);
	return ip_packet(d, whole, NULL, out.pieces, out.bytes);
}

/* ---- one level: the frame's own packet, or one that another carries ---- */

struct level {
	struct packet *p;		/* own, or one that was decoded before */
	const struct ahead *known;	/* the key of its flow, or NULL */
	struct packet own, whole;	/* whole: what p completes, where it is a fragment */
	struct tunnel around, t, t_whole;	/* around: what it came in; the others where sessions, labels or AH are between */
};

static enum verdict level_packet(struct dpi *d, struct level *l, enum decode_result r)
{
	struct packet *p = l->p;

	d->carrier.p = NULL;
	if (r == DECODE_OK) {
		if (p->nwrap)
			tunnel_of_wraps(d, p, &l->t);
		return p->fragment ? fragment(d, p, &l->whole, &l->t_whole) : ip_packet(d, p, l->known, 1, p->iplen);
	}
	count(d, DPI_C_NOT_IP);
	if (p->ethertype == ETHERTYPE_ARP) {
		count(d, DPI_C_ARP);
		if (p->nwrap)
			tunnel_of_wraps(d, p, &l->t);
		if (within(p) || view_counts_packet(&d->views, &d->conf.key, p))
			tell_arp(d, p);
		else
			count(d, DPI_C_GUARD_VIEW);
	}
	return judge_answer(d, NULL, p->frame);
}

/* The frame may go on only if nothing in it is stopped. What answers the sender (a reset) would answer the outer packet's: an inner one is dropped silently. */
static enum verdict stricter(enum verdict v, enum verdict inner)
{
	if (inner == VERDICT_DENY)
		inner = VERDICT_DROP;
	return inner > v ? inner : v;
}

/* Level by level what is in the bytes b of the packet's payload. TUNNEL_DEPTH_MAX levels at most; two of them are in use at a time. */
static enum verdict inner_packets(struct dpi *d, const struct carrier *first, struct bytes b)
{
	struct level level[2];
	struct carrier c = *first;
	enum verdict v = VERDICT_ALLOW;
	enum decode_result r;

	for (unsigned i = 0; c.p; i ^= 1) {
		struct level *l = &level[i];

		l->p = &l->own;
		l->known = NULL;
		if (!tunnel_open(d, &c, b, &l->around, l->p, &r))
			break;
		v = stricter(v, level_packet(d, l, r));
		if (verdict_stops(v))
			break;
		c = d->carrier;
		if (c.p)
			b = c.p->payload;
	}
	return v;
}

/* What the packet that just counted holds. A super-packet of datagrams (FRAME_GSO_UDP) may be one tunnel packet around a super-packet, or many of one inner packet
 * each: the length of the first inner packet tells. */
static enum verdict carried(struct dpi *d, enum verdict v)
{
	struct carrier c = d->carrier;
	struct cursor in = cur_of(c.p->payload.p, c.p->payload.n);
	size_t size = c.p->flags & FRAME_GSO_UDP ? c.p->frame->gso_size : 0;

	if (!size || tunnel_length(&c, c.p->payload) > size)
		return stricter(v, inner_packets(d, &c, c.p->payload));
	while (cur_more(&in) && !verdict_stops(v))
		v = stricter(v, inner_packets(d, &c, cur_bytes(&in, size < cur_left(&in) ? size : cur_left(&in))));
	return v;
}

static enum verdict inspect(struct dpi *d, const struct frame *fr)
{
	struct level l;
	struct ahead *a;
	enum dpi_counter why = DPI_C_NOT_IP;
	enum decode_result r;
	enum verdict v;

	count(d, DPI_C_FRAMES);
	count_n(d, DPI_C_BYTES, fr->caplen);
	if (fr->held)
		count(d, DPI_C_HELD);
	core_clock(d, fr->ts);
	if (d->ahead_n && (a = ahead_take(d, fr))) {
		l.p = &a->p;
		l.known = a->keyed ? a : NULL;
		r = a->decoded;
		why = a->why;
	} else {
		l.p = &l.own;
		l.known = NULL;
		r = decode_frame(fr, l.p, &why);
	}
	if (r == DECODE_BAD) {
		count(d, why);
		if (why != DPI_C_DECODE_LINKTYPE)
			tell_packet_anomaly(d, l.p, ANOM_DECODE_BAD);
		if (fr->held && (why == DPI_C_DECODE_IPV6_EXT_DEEP || why == DPI_C_DECODE_IPV6_ROUTING)) {
			count(d, DPI_C_VERDICT_DROP);	/* a kernel that is set up for it could take what cannot be judged */
			return VERDICT_DROP;
		}
		return judge_answer(d, NULL, fr);
	}
	v = level_packet(d, &l, r);
	return d->carrier.p && !verdict_stops(v) ? carried(d, v) : v;
}

struct answer dpi_inspect(struct dpi *d, const struct frame *fr)
{
	struct answer a;

	d->px.answer = 0;
	d->decided = NULL;
	a.verdict = inspect(d, fr);
	a.flags = d->px.answer;
	a.l4 = d->px.l4;
	return a;
}
