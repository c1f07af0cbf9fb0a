/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dpi: the way of a frame through the core, the life of flows, and the public face (dpi.h).
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
 * (stream.c), which it does not before it took them. Live sources tell each packet's state, so nothing is assumed there.
 *
 * Clock. Frames bring the time. d->now never goes back: captures read one after the other may begin before the last one
 * ended, then d->skew grows by the difference. Events carry the time of frames, timers run by d->now.
 *
 * No room for a flow: the one that should go first ends (flow.h), told with reason "evicted". No room for what is kept of streams:
 * old flows give back what they hold, and go on without being parsed (make_room). */
#include "dpi/tunnel.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#define MAX_FLOWS_MIN 16u
#define MAX_FLOWS_MAX (1u << 24)
#define MEMCAP_MIN (1u << 20)
#define PENDING_BYTES 16384u
#define PENDING_PACKETS 16u
#define PENDING_TIME (5 * SEC)
#define DEFRAG_QUEUES_MAX 4096u
#define EXPECTED_MAX 4096u
#define JUMP_BACK (10 * SEC)	/* frames may be this late before it is taken for another capture */
#define TICK (SEC / 10)
#define TIMERS_A_TICK 4096u	/* handled at once; the rest with the next frames */
#define TIMERS_A_FRAME 16u
#define ETHERTYPE_ARP 0x0806
#define EVICT_TRIES 2
#define ROOM_TRIES 4			/* flows that give memory back, at most, for each packet */
#define OVERLAP_GRACE SEC		/* the owner's copy may be this much later than the other path's that was counted */

/* ---- flows ---- */

/* A permutation of 52 bits under the key: four rounds of Feistel over two halves of 26. */
static uint64_t flow_id(const struct dpi *d, uint64_t n)
{
	const uint32_t mask = (1u << 26) - 1;
	uint32_t l = (uint32_t)(n >> 26) & mask, r = (uint32_t)n & mask;

	for (uint64_t round = 0; round < 4; round++) {
		uint32_t t = l ^ ((uint32_t)hash_mix64((uint64_t)r ^ round << 32 ^ d->conf.flow_id_seed) & mask);

		l = r;
		r = t;
	}
	return (uint64_t)l << 26 | r;
}

static void px_without_packet(struct dpi *d, struct flow *f)
{
	struct px *x = &d->px;

	x->f = f;
	x->p = NULL;
	x->dir = DIR_TOSERVER;
	x->now = d->now;
	x->ts = d->last_ts;
}

void flow_end(struct dpi *d, struct flow *f, const char *reason)
{
	struct px saved = d->px, *x = &d->px;	/* it may be another flow's packet that makes room */

	px_without_packet(d, f);
	if (f->feed != FEED_OFF && reason)
		stream_finish(x);
	if (f->feed == FEED_SEEK && reason)
		seek_last(x);
	feed_off(x);
	stream_free(d, f);
	if (reason)
		tell_flow(x, reason);
	tunnel_release(d, f);
	count(d, DPI_C_FLOWS_END);
	flow_remove(&d->flows, f);
	d->px = saved;
}

static const char *end_reason(const struct flow *f)
{
	if (f->state == FLOW_CLOSED)
		return flow_hit(f, F_RST) ? "rst" : "closed";
	return "timeout";
}

/* A frame's time on the core's clock, which stands still at the end of time: captures that say so cannot make it overflow. */
static int64_t on_clock(const struct dpi *d, int64_t ts)
{
	int64_t now;

	if (__builtin_add_overflow(ts, d->skew, &now) || now > FRAME_TS_MAX)
		return FRAME_TS_MAX;	/* skew is never below 0 */
	return now < -FRAME_TS_MAX ? -FRAME_TS_MAX : now;
}

static void flow_timer(struct dpi *d, struct flow *f)
{
	uint32_t idle = (uint32_t)(d->now / FLOW_TICK) - f->seen;	/* f->seen may be a second too old */
	int64_t when = f->timer.when, ends = d->now - d->now % FLOW_TICK - (int64_t)idle * FLOW_TICK + SEC + flow_timeout(f), at = ends;
	int64_t report = d->conf.flow_report, made = on_clock(d, f->start);

	if (ends <= d->now) {
		flow_end(d, f, end_reason(f));
		return;
	}
	px_without_packet(d, f);
	seek_tick(&d->px);
	if (report) {
		if (when > made && (when - made) % report == 0)
			tell_flow(&d->px, "report");
		made += ((d->now - made) / report + 1) * report;
		if (made < at)
			at = made;
	}
	wheel_arm(&d->flows.wheel, &f->timer, at);
}

static struct flow *flow_make(struct dpi *d, const struct flow_key *k, uint64_t hash)
{
	struct flow *f = flow_insert(&d->flows, k, hash, d->now);

	for (int i = 0; !f && i < EVICT_TRIES; i++) {
		struct flow *victim = flow_victim(&d->flows);

		if (!victim)
			break;
		count(d, DPI_C_FLOWS_EVICTED);
		flow_end(d, victim, "evicted");
		f = flow_insert(&d->flows, k, hash, d->now);
	}
	if (!f)
		return NULL;
	do
		f->id = flow_id(d, d->flows_made++);
	while (!f->id);
	count(d, DPI_C_FLOWS_NEW);
	return f;
}

/* ---- memory ---- */

/* What parsers hold: everything that is not of entries and their tunnels, fragments and segments. */
static uint64_t parser_bytes(const struct dpi *d)
{
	uint64_t others = flow_table_bytes(&d->flows) + d->ooo_bytes + d->tunnel_bytes + defrag_bytes(d->defrag), used = mem_used(d->mem);

	if (d->overlap_end)
		others += 2 * DEDUP_PIECES * MEM_PIECE_MAX;
	return used > others ? used - others : 0;
}

static void take_back(struct dpi *d, struct flow *f, enum flow_holds what)
{
	struct px saved = d->px, *x = &d->px;

	px_without_packet(d, f);
	count(d, DPI_C_MEM_TAKEN_BACK);
	if (what == HOLDS_SEGMENTS) {
		tell_anomaly(x, ANOM_STREAM_CAP);
		ooo_purge(d, &f->half[0]);
		ooo_purge(d, &f->half[1]);
	} else {
		tell_anomaly(x, ANOM_MEMORY_CAP);
		if (f->feed == FEED_SEEK)
			seek_give_up(x);
		feed_off(x);
	}
	d->px = saved;
}

/* Before a packet is looked at, so that nothing is in the middle of anything: where parsers or waiting segments hold nearly all that they
 * may, old flows give theirs back, some with each packet. They stay in the table and are parsed no more. Whoever speaks now finds room. */
static void make_room(struct dpi *d)
{
	uint64_t refused = d->counters[DPI_C_MEM_REFUSED], held = parser_bytes(d);
	bool parsers = held > d->parser_bytes_max || refused != d->refused_before;
	struct flow *f;

	d->refused_before = refused;
	d->flows.pressed = d->flows.used > d->flows.max / 2 || d->flows.nchunks == d->flows.chunks_max || held > d->parser_bytes_max / 2 ||
			   d->ooo_bytes > d->ooo_bytes_max / 2;
	for (int i = 0; parsers && i < ROOM_TRIES && (f = flow_holder(&d->flows, HOLDS_PARSER)); i++) {
		take_back(d, f, HOLDS_PARSER);
		parsers = parser_bytes(d) > d->parser_bytes_max;
	}
	for (int i = 0; d->ooo_bytes > d->ooo_bytes_max - d->ooo_bytes_max / 8 && i < ROOM_TRIES && (f = flow_holder(&d->flows, HOLDS_SEGMENTS)); i++)
		take_back(d, f, HOLDS_SEGMENTS);
}

/* ---- whose flow is it ---- */

/* True when the sender of a packet without a flow is its responder. TCP without a SYN is a guess: a port that a protocol
 * usually listens at, else one below 1024, else the lower one is the responder's (recognition may find it wrong: seek.c). For datagrams the first sender began:
 * a guess by ports would let a sender choose by its own port which rules it is judged by. */
static bool sent_by_responder(const struct dpi *d, const struct packet *p)
{
	bool src, dst;

	if (p->t.ipproto == IPPROTO_ICMP)
		return p->icmp_type == 0;
	if (p->t.ipproto == IPPROTO_ICMPV6)
		return p->icmp_type == 129;
	if (p->t.ipproto != IPPROTO_TCP)
		return false;
	if (p->tcp_flags & TCP_SYN)
		return p->tcp_flags & TCP_ACK;
	src = seek_port_known(d, IPPROTO_TCP, p->t.sport);
	dst = seek_port_known(d, IPPROTO_TCP, p->t.dport);
	if (src != dst)
		return src;
	src = p->t.sport < 1024;
	dst = p->t.dport < 1024;
	return src != dst ? src : p->t.sport < p->t.dport;
}

/* May this packet begin a flow? */
static bool begins(struct dpi *d, const struct packet *p)
{
	if (p->bad_csum && !p->frame->number)
		return false;
	if (p->t.ipproto != IPPROTO_TCP)
		return true;
	if (p->tcp_flags & TCP_RST)
		return false;
	if (p->tcp_flags & TCP_SYN)
		return !(p->tcp_flags & TCP_FIN);
	return d->conf.midstream;
}

static struct flow *flow_begin(struct px *x, const struct flow_key *k, uint64_t hash, bool sender_hi)
{
	struct dpi *d = x->d;
	const struct packet *p = x->p;
	struct flow_tunnel *tunnel = NULL;
	bool down = sent_by_responder(d, p);
	struct flow *f;

	if (!begins(d, p)) {
		if (p->bad_csum)
			count(d, DPI_C_DECODE_CSUM);
		else
			count(d, DPI_C_FLOWS_UNKNOWN);
		return NULL;
	}
	if (p->tunnel)
		tunnel = tunnel_keep(d, p, sender_hi, down);
	f = p->tunnel && !tunnel ? NULL : flow_make(d, k, hash);
	if (!f) {
		tunnel_drop(d, tunnel);
		count(d, DPI_C_FLOWS_REFUSED);
		return NULL;
	}
	if (tunnel)
		f->tunnel = tunnel;
	if (sender_hi != down)
		flow_set(f, F_INIT_HI);
	f->start = f->last = p->frame->ts;
	f->path = p->frame->path;
	f->epoch = d->epoch - x->borrowed;	/* whose it is must be asked again */
	f->iface = p->frame->iface;
	f->policy = d->policy_version - 1;	/* judged by none yet */
	x->f = f;
	x->dir = down ? DIR_TOCLIENT : DIR_TOSERVER;
	if (p->t.ipproto == IPPROTO_TCP)
		stream_begin(x);
	else if (p->t.ipproto != IPPROTO_UDP && p->t.ipproto != IPPROTO_SCTP)
		f->feed = FEED_OFF;
	if (f->feed == FEED_OFF)
		flow_set(f, F_APP_KNOWN);	/* there is nothing to find out */
	else if (p->t.ipproto == IPPROTO_TCP)
		seek_announced(x);
	if (d->conf.flow_report && f->timer.when > on_clock(d, f->start) + d->conf.flow_report)
		wheel_arm(&d->flows.wheel, &f->timer, on_clock(d, f->start) + d->conf.flow_report);
	return f;
}

static enum dir dir_of(const struct flow *f, const struct packet *p, bool sender_hi)
{
	if (addr_eq(&p->t.src, &p->t.dst) && p->t.sport == p->t.dport)
		return f->key.ipproto == IPPROTO_ICMP || f->key.ipproto == IPPROTO_ICMPV6 ? (enum dir)sent_by_responder(NULL, p) : DIR_TOSERVER;
	return sender_hi == flow_hit(f, F_INIT_HI) ? DIR_TOSERVER : DIR_TOCLIENT;
}

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
		if (f->epoch != d->epoch)
			f->policy = d->policy_version - 1;	/* its ends may be others now */
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

/* What guard() does where a path or an owner changes. */
static void goes_with_outer(struct px *x)
{
	struct flow *f = x->f;

	if (f->epoch != x->d->epoch)
		f->policy = x->d->policy_version - 1;
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
	while (cur_left(&c) && x->f->feed != FEED_OFF) {
		struct bytes b = cur_bytes(&c, size < cur_left(&c) ? size : cur_left(&c));

		feed_datagram(x, x->dir, b.p, b.n);
	}
}

/* f is x->f or was made by this packet (fresh). */
static enum verdict flow_packet(struct px *x, uint32_t frames, uint64_t bytes, bool fresh)
{
	struct dpi *d = x->d;
	struct flow *f = x->f;
	bool bad = bad_checksum(x);

	count_packet(x, frames, bytes);
	if (bad)
		return judge_answer(d, f, x->p->frame);
	f->tcp_flags[x->dir] |= x->p->tcp_flags;
	if (x->p->frame->held)
		f->held = 1;
	judge_next_datagram(f);
	judge_flow(x);
	if (x->p->frame->held && verdict_stops((enum verdict)f->verdict) && flow_hit(f, F_ENFORCE)) {
		enum verdict v = judge_answer(d, f, x->p->frame);	/* the receiver never gets it */

		feed_off(x);
		return v;
	}
	switch (f->key.ipproto) {
	case IPPROTO_TCP:
		stream_packet(x);
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
	return judge_answer(d, f, x->p->frame);
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

/* A whole packet that came in so many frames with so many bytes. */
static enum verdict ip_packet(struct dpi *d, const struct packet *p, uint32_t frames, uint64_t bytes)
{
	struct px *x = &d->px;
	struct flow_key k;
	bool hi, fresh = false;
	uint64_t hash;
	struct flow *f;

	if (is_icmp_without_flow(p))
		return icmp_packet(d, p, frames);
	make_room(d);
	hi = flow_key_of(p, &k);
	if (p->tunnel) {
		f = tunnel_find(d, p, &k, hi, &hash);
	} else {
		hash = flow_hash(&d->flows, &k);
		f = flow_find(&d->flows, &k, hash);
	}
	count(d, DPI_C_FLOW_LOOKUPS);
	count_n(d, DPI_C_FLOW_PROBES, d->flows.probes);
	x->f = f;
	x->p = p;
	x->now = d->now;
	x->ts = p->frame->ts;
	x->refused = false;
	if (f)
		x->dir = dir_of(f, p, hi);
	if (within(p) && f)
		goes_with_outer(x);
	switch (within(p) ? PASS : guard(d, p, &k, f, frames)) {
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
	if (f && p->t.ipproto == IPPROTO_TCP && p->tcp_flags & TCP_SYN && !wrong(p) && stream_restarts(x)) {
		if (f->state == FLOW_NEW)
			stream_guessed_wrong(x, f->pkts[DIR_TOSERVER] ? DIR_TOSERVER : DIR_TOCLIENT);
		flow_end(d, f, f->state == FLOW_CLOSED ? end_reason(f) : "restart");
		f = NULL;
	}
	if (!f) {
		f = flow_begin(x, &k, hash, hi);
		if (!f)
			return judge_answer(d, NULL, p->frame);
		fresh = true;
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
	if (r != DEFRAG_WHOLE)
		return judge_answer(d, NULL, p->frame);
	count(d, DPI_C_FRAG_DONE);
	if (decode_ip(p, out.ip, whole, &why) != DECODE_OK) {
		count(d, why);
		tell_packet_anomaly(d, p, ANOM_DECODE_BAD);
		return judge_answer(d, NULL, p->frame);
	}
	tunnel_of_wraps(d, whole, t);
	return ip_packet(d, whole, out.pieces, out.bytes);
}

/* ---- one level: the frame's own packet, or one that another carries ---- */

struct level {
	struct packet p, whole;		/* whole: what p completes, where it is a fragment */
	struct tunnel around, t, t_whole;	/* around: what it came in; the others where sessions, labels or AH are between */
};

static enum verdict level_packet(struct dpi *d, struct level *l, enum decode_result r)
{
	struct packet *p = &l->p;

	d->carrier.p = NULL;
	if (r == DECODE_OK) {
		if (p->nwrap)
			tunnel_of_wraps(d, p, &l->t);
		return p->fragment ? fragment(d, p, &l->whole, &l->t_whole) : ip_packet(d, p, 1, p->iplen);
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

		if (!tunnel_open(d, &c, b, &l->around, &l->p, &r))
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
	while (cur_left(&in) && !verdict_stops(v))
		v = stricter(v, inner_packets(d, &c, cur_bytes(&in, size < cur_left(&in) ? size : cur_left(&in))));
	return v;
}

/* ---- time ---- */

static void due(struct dpi *d, unsigned max)
{
	struct wheel_timer *t;

	while (max-- && (t = wheel_next_due(&d->flows.wheel)))
		flow_timer(d, container_of(t, struct flow, timer));
}

static void clock_to(struct dpi *d, int64_t ts)
{
	int64_t now = on_clock(d, ts);

	d->last_ts = ts;
	if (d->now - now > JUMP_BACK) {
		d->skew = d->now - (ts > -FRAME_TS_MAX ? ts : -FRAME_TS_MAX);
		now = d->now;
	}
	if (now > d->now)
		d->now = now;
	if (d->overlap_end && ts >= d->overlap_end + OVERLAP_GRACE) {
		d->overlap_end = 0;
		dedup_stop(&d->dedup);
	}
	if (d->now - d->advanced < TICK) {
		if (d->flows.wheel.due)
			due(d, TIMERS_A_FRAME);
		return;
	}
	d->advanced = d->now;
	wheel_advance(&d->flows.wheel, d->now);
	due(d, TIMERS_A_TICK);
	count_n(d, DPI_C_FRAG_TIMEOUT, defrag_expire(d->defrag, ts));
	expect_expire(&d->expect, d->now);
}

void dpi_tick(struct dpi *d, int64_t now)
{
	clock_to(d, now);
	if (d->witness.used)
		witness_tick(d);
}

/* ---- the public face ---- */

enum verdict dpi_inspect(struct dpi *d, const struct frame *fr)
{
	struct level l;
	enum dpi_counter why = DPI_C_NOT_IP;
	enum decode_result r;
	enum verdict v;

	count(d, DPI_C_FRAMES);
	count_n(d, DPI_C_BYTES, fr->caplen);
	if (fr->held)
		count(d, DPI_C_HELD);
	clock_to(d, fr->ts);
	r = decode_frame(fr, &l.p, &why);
	if (r == DECODE_BAD) {
		count(d, why);
		if (why != DPI_C_DECODE_LINKTYPE)
			tell_packet_anomaly(d, &l.p, ANOM_DECODE_BAD);
		if (fr->held && (why == DPI_C_DECODE_IPV6_EXT_DEEP || why == DPI_C_DECODE_IPV6_ROUTING)) {
			count(d, DPI_C_VERDICT_DROP);	/* a kernel that is set up for it could take what cannot be judged */
			return VERDICT_DROP;
		}
		return judge_answer(d, NULL, fr);
	}
	v = level_packet(d, &l, r);
	return d->carrier.p && !verdict_stops(v) ? carried(d, v) : v;
}

static int conf_check(const struct dpi_conf *c, struct err *err)
{
	if (c->max_flows < MAX_FLOWS_MIN || c->max_flows > MAX_FLOWS_MAX)
		return err_set(err, -EINVAL, "max_flows is %u, must be %u to %u", c->max_flows, MAX_FLOWS_MIN, MAX_FLOWS_MAX);
	if (c->memcap < MEMCAP_MIN + flow_table_fixed(c->max_flows))
		return err_set(err, -EINVAL, "memcap of %llu bytes is too small for %u flows: at least %llu", (unsigned long long)c->memcap,
			       c->max_flows, (unsigned long long)(MEMCAP_MIN + flow_table_fixed(c->max_flows)));
	if (c->pending_bytes > MEM_PIECE_MAX)
		return err_set(err, -EINVAL, "pending bytes are %u, at most %u", c->pending_bytes, MEM_PIECE_MAX);
	return 0;
}

/* Of the cap: up to three quarters for entries of flows, an eighth for segments that wait, a sixteenth for fragments, the rest for
 * parsers. Where max_flows needs less than three quarters the parsers have more. */
static void shares(struct dpi *d, uint64_t cap)
{
	uint64_t flows = flow_table_share(d->conf.max_flows, cap), waits = cap / 8, pieces = cap / 16;

	d->ooo_bytes_max = waits > UINT32_MAX ? UINT32_MAX : (uint32_t)waits;
	d->parser_bytes_max = cap - flows - waits - pieces;
	d->parser_bytes_max -= d->parser_bytes_max / 8;	/* for one packet's needs, and what is lost between sizes */
}

struct dpi *dpi_new(const struct dpi_conf *conf, const struct dpi_ops *ops, struct err *err)
{
	struct dpi *d;
	uint64_t cap;
	unsigned queues, announced;

	if (conf_check(conf, err))
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d) {
		err_set(err, -ENOMEM, "no memory for the core");
		return NULL;
	}
	d->conf = *conf;
	d->ops = *ops;
	d->px.d = d;
	d->conf.pending_bytes = conf->pending_bytes ? conf->pending_bytes : PENDING_BYTES;
	d->conf.pending_packets = conf->pending_packets ? conf->pending_packets : PENDING_PACKETS;
	d->conf.pending_time = conf->pending_time ? conf->pending_time : PENDING_TIME;
	d->policy_version = 1;
	d->protos = proto_list;
	cap = conf->memcap - flow_table_fixed(conf->max_flows);
	shares(d, cap);
	queues = conf->max_flows / 16 < 64 ? 64 : conf->max_flows / 16;
	announced = conf->max_flows / 64 < 64 ? 64 : conf->max_flows / 64;
	if (announced > EXPECTED_MAX)
		announced = EXPECTED_MAX;
	d->mem = mem_new(cap);
	if (d->mem)
		d->defrag = defrag_new(d->mem, queues < DEFRAG_QUEUES_MAX ? queues : DEFRAG_QUEUES_MAX, cap / 16, &conf->key);
	if (!d->mem || !d->defrag || !flow_table_init(&d->flows, conf->max_flows, d->mem, cap, &conf->key) || !seek_init(d) ||
	    !expect_init(&d->expect, announced, d->mem, &conf->key)) {
		dpi_free(d);
		err_set(err, -ENOMEM, "no memory for the core");
		return NULL;
	}
	dpi_set_event_mask(d, conf->event_mask);
	return d;
}

/* Calls fn for each entry in use, in the order of the table's memory. */
static void each(const struct dpi *d, bool (*fn)(void *ctx, struct flow *), void *ctx)
{
	for (uint32_t c = 0; c < d->flows.nchunks; c++)
		for (uint32_t i = 0; i < FLOWS_PER_CHUNK; i++)
			if (d->flows.chunk[c][i].state != FLOW_FREE && !fn(ctx, &d->flows.chunk[c][i]))
				return;
}

static bool end_silently(void *ctx, struct flow *f)
{
	flow_end(ctx, f, NULL);
	return true;
}

static bool end_told(void *ctx, struct flow *f)
{
	flow_end(ctx, f, f->state == FLOW_CLOSED ? end_reason(f) : "flush");
	return true;
}

void dpi_flush(struct dpi *d)
{
	each(d, end_told, d);
	witness_stop(d);
}

void dpi_free(struct dpi *d)
{
	if (!d)
		return;
	d->events = 0;
	each(d, end_silently, d);
	dedup_stop(&d->dedup);
	flow_table_free(&d->flows);
	defrag_free(d->defrag);
	mem_free_all(d->mem);
	expect_free(&d->expect);
	policy_unref(d->policy);
	free(d->hints);
	free(d);
}

void dpi_set_policy(struct dpi *d, struct policy *p)
{
	struct policy *old = d->policy;

	d->policy = p ? policy_ref(p) : NULL;
	d->policy_version++;
	policy_unref(old);
}

void dpi_set_epoch(struct dpi *d, int64_t now, int64_t overlap)
{
	bool under_way = d->overlap_end != 0;

	d->epoch++;
	d->overlap_end = overlap > 0 ? now + overlap : 0;
	if (!d->overlap_end)
		dedup_stop(&d->dedup);
	if (d->overlap_end && !under_way) {	/* else what was shown so far still counts */
		d->overlap_start = now;
		dedup_start(&d->dedup, d->mem, &d->conf.key, now);
	}
}

void dpi_set_event_mask(struct dpi *d, uint64_t mask) { d->events = d->ops.emit ? mask : 0; }

struct lister {
	bool (*fn)(void *ctx, const struct dpi_flow_info *);
	void *ctx;
};

static bool list_one(void *ctx, struct flow *f)
{
	const struct lister *l = ctx;
	bool stops = verdict_stops((enum verdict)f->verdict);
	struct dpi_flow_info i = {
		.flow_id = f->id,
		.tuple = {
			.src = *flow_addr(f, DIR_TOSERVER),
			.dst = *flow_addr(f, DIR_TOCLIENT),
			.sport = flow_port(f, DIR_TOSERVER),
			.dport = flow_port(f, DIR_TOCLIENT),
			.ipproto = f->key.ipproto,
			.domain = flow_domain(f),
		},
		.workload = { f->workload[0], f->workload[1] },
		.pkts = { f->pkts[0], f->pkts[1] },
		.bytes = { f->bytes[0], f->bytes[1] },
		.start = f->start,
		.last = f->last,
		.state = flow_state_name((enum flow_state)f->state),
		.app = (enum app)f->app,
		.app_hint = flow_hint(f),
		.path = f->path,
		.verdict = (enum verdict)f->verdict,
		.enforced = stops && flow_hit(f, F_STOPPED),
		.reason = (enum reason)f->reason,
		.rule = f->rule,
	};

	if (flow_tunnelled(f))
		i.outer = f->tunnel->outer;

	return l->fn(l->ctx, &i);
}

void dpi_each_flow(const struct dpi *d, bool (*fn)(void *ctx, const struct dpi_flow_info *), void *ctx)
{
	struct lister l = { .fn = fn, .ctx = ctx };

	each(d, list_one, &l);
}

void dpi_get_sizes(const struct dpi *d, struct dpi_sizes *out)
{
	memset(out, 0, sizeof(*out));
	out->flow = sizeof(struct flow);
	out->px = sizeof(struct px);
	out->flows = d->flows.used;
	out->flows_max = d->flows.max;
	out->probes_max = d->flows.probes_max;
	mem_get_stats(d->mem, &out->mem);
}

const uint64_t *dpi_counters(const struct dpi *d) { return d->counters; }
const uint64_t *dpi_app_flows(const struct dpi *d) { return d->app_flows; }
