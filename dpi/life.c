/* SPDX-License-Identifier: GPL-2.0-or-later */
/* life: how flows begin and end, the core's clock, and what is done when memory is short.
 *
 * Clock. Frames bring the time. d->now never goes back: captures read one after the other may begin before the last one
 * ended, then d->skew grows by the difference. Events carry the time of frames, timers run by d->now.
 *
 * No room for a flow: the one that should go first ends (flow.h), told with reason "evicted". No room for what is kept of streams:
 * old flows give back what they hold, and go on without being parsed (core_make_room). */
#include "dpi/tunnel.h"

#include <netinet/in.h>

#define JUMP_BACK (10 * SEC)	/* frames may be this late before it is taken for another capture */
#define TICK (SEC / 10)
#define TIMERS_A_FRAME 2u	/* handled with each frame: a flow has one timer to its end, and what is held waits meanwhile */
#define TIMERS_A_CALL 16u	/* some 20 us */
#define EVICT_TRIES 2
#define ROOM_TRIES 4			/* flows that give memory back, at most, for each packet */

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

void px_without_packet(struct dpi *d, struct flow *f)
{
	struct px *x = &d->px;

	x->f = f;
	x->p = NULL;
	x->dir = DIR_TOSERVER;
	x->now = d->now;
	x->ts = d->last_ts;
	x->open = false;
}

void flow_end(struct dpi *d, struct flow *f, const char *reason)
{
	struct px saved = d->px, *x = &d->px;	/* it may be another flow's packet that makes room */

	px_without_packet(d, f);
	if (f->waits && reason)
		hold_pass(x);
	hold_end(d, f);
	if (f->feed != FEED_OFF && reason)
		stream_finish(x);
	if (f->feed == FEED_SEEK && reason)
		seek_last(x);
	feed_off(x);
	stream_free(d, f);
	if (reason)
		tell_flow(x, reason);
	if (flow_hit(f, F_STOPPED))
		judge_released(d, f);
	tunnel_release(d, f);
	away_end(d, f);
	count(d, DPI_C_FLOWS_END);
	flow_remove(&d->flows, f);
	d->px = saved;
}

const char *flow_end_reason(const struct flow *f)
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
		flow_end(d, f, flow_end_reason(f));
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
	x->open = true;
	if (what == HOLDS_SEGMENTS) {
		tell_anomaly(x, ANOM_STREAM_CAP);
		ooo_purge(d, &f->half[0]);
		ooo_purge(d, &f->half[1]);
	} else {
		tell_anomaly(x, ANOM_MEMORY_CAP);
	}
	if (what == HOLDS_PARSER || f->held) {	/* held segments have gone on to their receiver: what they said will not be read either */
		if (f->feed == FEED_SEEK)
			seek_give_up(x);
		if (f->feed == FEED_PARSE && f->held)
			judge_unreadable(x);
		feed_off(x);
	}
	d->px = saved;
}

/* Before a packet is looked at, so that nothing is in the middle of anything: where parsers or waiting segments hold nearly all that they
 * may, old flows give theirs back, some with each packet. They stay in the table and are parsed no more. Whoever speaks now finds room. */
void core_make_room(struct dpi *d)
{
	uint64_t refused = d->counters[DPI_C_MEM_REFUSED], held;
	bool parsers, waits;
	struct flow *f;

	if (refused == d->refused_before && mem_used(d->mem) == d->enough.used && d->flows.used == d->enough.flows && d->ooo_bytes == d->enough.ooo && !d->overlap_end)
		return;
	held = parser_bytes(d);
	parsers = held > d->parser_bytes_max || refused != d->refused_before;
	waits = d->ooo_bytes > d->ooo_bytes_max - d->ooo_bytes_max / 8;
	d->enough.used = parsers || waits ? 0 : mem_used(d->mem);
	d->enough.flows = d->flows.used;
	d->enough.ooo = d->ooo_bytes;
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

struct flow *flow_begin(struct px *x, const struct flow_key *k, uint64_t hash, bool sender_hi)
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
	f->iface = p->frame->iface & 0x7fffffffu;
	f->policy = d->policy_version - 1;	/* judged by none yet */
	f->tracked = p->frame->flags & FRAME_TRACKED && !p->tunnel && (p->t.ipproto == IPPROTO_UDP || p->tcp_flags & TCP_SYN) && !down;
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

enum dir flow_dir(const struct flow *f, const struct packet *p, bool sender_hi)
{
	if (addr_eq(&p->t.src, &p->t.dst) && p->t.sport == p->t.dport)
		return f->key.ipproto == IPPROTO_ICMP || f->key.ipproto == IPPROTO_ICMPV6 ? (enum dir)sent_by_responder(NULL, p) : DIR_TOSERVER;
	return sender_hi == flow_hit(f, F_INIT_HI) ? DIR_TOSERVER : DIR_TOCLIENT;
}

/* ---- time ---- */

static struct flow *flow_of(struct wheel_timer *t) { return container_of(t, struct flow, timer); }

static void due(struct dpi *d, unsigned max)
{
	struct wheel_timer *t, *next;

	while (max-- && (t = wheel_next_due(&d->flows.wheel))) {
		next = d->flows.wheel.due;
		if (next)
			flow_ends_ahead(&d->flows, flow_of(next), next->next ? flow_of(next->next) : NULL);
		flow_timer(d, flow_of(t));
	}
}

void core_clock(struct dpi *d, int64_t ts)
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
	if (d->holds.oldest)
		hold_due(d);
	if (d->now - d->advanced >= TICK) {
		if (!d->began)
			d->began = d->now;
		d->advanced = d->now;
		wheel_advance(&d->flows.wheel, d->now);
		count_n(d, DPI_C_FRAG_TIMEOUT, defrag_expire(d->defrag, ts));
		expect_expire(&d->expect, d->now);
	}
	if (d->flows.wheel.due && !d->due_waits)
		due(d, TIMERS_A_FRAME);
}

void dpi_tick(struct dpi *d, int64_t now)
{
	core_clock(d, now);
	if (d->witness.used)
		witness_tick(d);
}

bool dpi_due(struct dpi *d, bool room)
{
	d->due_waits = !room;
	if (room)
		due(d, TIMERS_A_CALL);
	return d->flows.wheel.due;
}
