/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream: TCP as the receiver's kernel judges it.
 *
 * Oracle: Linux, net/ipv4/tcp_input.c and tcp_minisocks.c (tcp_validate_incoming, tcp_ack, tcp_data_queue, tcp_check_req,
 * tcp_rcv_synsent_state_process); RFC 9293, 5961, 7323, 7413. Each packet goes the way it goes there: PAWS, window, RST, SYN,
 * ACK flag, acknowledgement, urgent pointer, bytes, FIN; what the kernel throws away changes nothing here but counters.
 *
 * What we know of a receiver is what it said: its acknowledgements and windows as they passed by. half[dir] is what the end
 * that sends in `dir` has sent, as the other end took it; `acked` and `edge` in it are what that end said about the other half.
 *
 * Bytes are handed on in order and in place. Bytes before `next` are never looked at again, bytes after a hole wait
 * (stream_ooo.c). A hole that the receiver acknowledged, with later bytes seen, was lost on the way to us: it is passed over.
 *
 * An acknowledgement of bytes that nobody was seen to send: the kernel throws its packet away; but where those bytes were lost
 * on the way to us it is right. Its bytes are parked until the other end's next packet shows which (sent_by_now).
 *
 * A segment that reaches past the window is taken whole or not at all, which depends on the kernel and on what its application has
 * read: it is parked until the receiver acknowledges some of it. (On a held path it is taken at once, for it must be judged now.)
 *
 * Midstream. Nothing is known of windows' scales and of what is in flight: the window is taken at its largest scale, and an
 * acknowledgement moves what was sent instead of being judged by it. What an end sends first is its beginning for us, though the
 * other end's acknowledgement let expect it earlier.
 *
 * The SYN's own bytes (RFC 7413) wait until the SYN/ACK says whether they were taken. Bytes of an initiator whose SYN/ACK
 * was not seen wait for a word of the responder: the kernel takes none before its own SYN/ACK.
 *
 * One side only (asymmetric ways, captures under a filter). A tap that never hears one end must believe the other, or name
 * nothing: the initiator once its acknowledgements move on, which shows that somebody answers it; a responder whose
 * initiator was never heard; a sender after a hole, when many segments wait; all of them when the flow ends. A SYN/ACK after
 * all begins the connection anew (stream_restarts), so nothing that the kernel takes is missed by having believed too
 * early. Nothing of this on a held path, where both ends pass. */
#include "dpi/stream.h"

#include <netinet/in.h>

#define PAWS_IDLE (24u * 24 * 3600)	/* s: after that ts_recent says nothing (RFC 7323, 5.5) */
#define SACK_BLOCKS 4u
#define ONE_SIDED_WAIT 32u	/* segments behind a hole that no acknowledgement will ever close */
#define ASK_TIME (SEC * 3 / 20)	/* who did not say within it where he is, says nothing: less than a sender waits before it sends again */

void stream_free(struct dpi *d, struct flow *f)
{
	if (f->key.ipproto != IPPROTO_TCP)
		return;
	ooo_purge(d, &f->half[0]);
	ooo_purge(d, &f->half[1]);
}

static void stream_close(struct px *x, bool rst)
{
	struct flow *f = x->f;

	if (rst)
		flow_set(f, F_RST);
	if (f->feed == FEED_SEEK)
		seek_last(x);	/* may turn the flow: the callers are done with its halves */
	feed_off(x);
	stream_free(x->d, f);
	flow_move(&x->d->flows, f, FLOW_CLOSED, x->now);
}

/* ---- bytes in order ---- */

/* n bytes at h->next. The urgent byte is not in the stream (SO_OOBINLINE off). */
static void deliver(struct px *x, enum dir dir, const uint8_t *p, size_t n)
{
	struct half *h = &x->f->half[dir];

	if (h->flags & HALF_URG && h->urg_seq - h->next < n) {
		uint32_t off = h->urg_seq - h->next;

		h->flags &= (uint8_t)~HALF_URG;
		if (off)
			feed_stream(x, dir, p, off);
		h->next += off + 1;
		p += off + 1;
		n -= off + 1;
	}
	if (n)
		feed_stream(x, dir, p, n);
	h->next += (uint32_t)n;
}

static void take_fin(struct px *x, enum dir dir)
{
	struct half *h = &x->f->half[dir];

	h->next++;
	h->flags |= HALF_FIN;
	ooo_purge(x->d, h);
	if (x->f->state != FLOW_CLOSING && x->f->state != FLOW_CLOSED)
		flow_move(&x->d->flows, x->f, FLOW_CLOSING, x->now);
}

/* Those that wait and whose turn has come. */
void stream_drain(struct px *x, enum dir dir)
{
	struct half *h = &x->f->half[dir];
	struct seg *s;

	while (!(h->flags & HALF_FIN) && (s = ooo_take(x->d, h))) {
		uint32_t old = h->next - s->seq;

		if (old < s->len) {
			if (s->bare) {
				uint32_t n = s->len - old, all = n, k;

				if (h->flags & HALF_URG && h->urg_seq - h->next < n) {
					h->flags &= (uint8_t)~HALF_URG;
					n--;
				}
				k = h->skip < n ? (uint32_t)h->skip : n;
				h->skip -= k;
				h->next += all;
				if (n > k && x->f->feed != FEED_OFF)	/* nobody wanted them when they came, but now somebody does */
					feed_gap(x, dir, n - k);
			} else {
				deliver(x, dir, s->bytes + old, s->len - old);
			}
		}
		if (s->fin && h->next == s->seq + s->len)
			take_fin(x, dir);
		ooo_release(x->d, s);
	}
}

/* The receiver has everything up to `ack`: what is missing before it never came by here. */
static void jump(struct px *x, enum dir dir, uint32_t ack)
{
	struct half *h = &x->f->half[dir];

	for (int begun = 0; begun < 2 && h->ooo && seq_before(h->next, ack); begun++) {
		ooo_admit(h, ack, begun);
		stream_drain(x, dir);
	}
	while (seq_before(h->next, ack) && !(h->flags & HALF_FIN)) {
		const struct seg *first = ooo_first(h);
		uint32_t to = first && seq_before(first->seq, ack) ? first->seq : ack;
		uint32_t lost = to - h->next;

		h->next = to;
		if (x->f->pkts[dir])	/* nothing is lost of an end that is not heard at all */
			feed_gap(x, dir, lost);
		stream_drain(x, dir);
	}
}

/* ---- one side only ---- */

static bool one_sided(const struct px *x, enum dir dir) { return !x->f->held && !x->f->pkts[!dir]; }

/* The responder is there, though nothing of it is seen: it sent up to `ack`. */
static void believe_initiator(struct px *x, uint32_t ack)
{
	struct half *s = &x->f->half[DIR_TOSERVER], *r = &x->f->half[DIR_TOCLIENT];

	flow_set(x->f, F_MIDSTREAM);
	r->isn = r->isn_alt = s->acked - 1;
	r->next = r->max_end = ack;
	r->wscale = WSCALE_UNKNOWN;
	r->flags |= HALF_KNOWN;
	s->acked = ack;
	ooo_unpark(x->d, s, &ack, true);
	stream_drain(x, DIR_TOSERVER);
}

/* What waits behind holes, as if they were acknowledged. */
static void pass_holes(struct px *x, enum dir dir)
{
	struct half *h = &x->f->half[dir];

	while (!(h->flags & HALF_FIN) && x->f->feed != FEED_OFF && ooo_first(h))
		jump(x, dir, ooo_first(h)->seq + 1);
}

void stream_finish(struct px *x)
{
	struct flow *f = x->f;

	if (f->key.ipproto != IPPROTO_TCP || f->state == FLOW_CLOSED || f->held)
		return;
	if (flow_hit(f, F_CLAIMED) && !flow_hit(f, F_MIDSTREAM) && !f->pkts[DIR_TOCLIENT])
		believe_initiator(x, f->half[DIR_TOSERVER].acked);
	for (int i = 0; i < 2 && f->feed != FEED_OFF; i++) {
		struct half *h = &f->half[i];
		uint32_t all = h->ooo && f->half[!i].flags & HALF_KNOWN ? f->half[!i].max_end + (1u << 30) : 0;

		if (!h->ooo)
			continue;
		ooo_unpark(x->d, h, &all, true);
		stream_drain(x, (enum dir)i);
		if (one_sided(x, (enum dir)i))
			pass_holes(x, (enum dir)i);
	}
}

/* ---- one segment ---- */

/* An acknowledgement of an initiator whose SYN/ACK was not seen. True: it is believed from now on. */
static bool claimed(struct px *x)
{
	struct half *s = sender(x);

	if (!flow_hit(x->f, F_CLAIMED)) {
		flow_set(x->f, F_CLAIMED);
		s->acked = x->p->ack;
		return false;
	}
	if (!seq_after(x->p->ack, s->acked) || !one_sided(x, x->dir))
		return false;
	believe_initiator(x, x->p->ack);
	return true;
}

/* Both halves have numbers to judge by, or get them now. False: the packet says nothing that counts yet. */
static bool halves_known(struct px *x)
{
	const struct packet *p = x->p;
	struct flow *f = x->f;
	struct half *s = sender(x), *r = receiver(x);
	uint32_t upto = p->seq;

	if (s->flags & r->flags & HALF_KNOWN)
		return true;
	if (p->tcp_flags & TCP_RST && p->frame->held && !((s->flags | r->flags) & HALF_KNOWN)) {	/* whether its receiver takes it is not known: it says nothing */
		if (!(p->tcp_flags & TCP_ACK) && r->acked && r->acked == p->seq)	/* so a kernel answers who asks (stream_unplaced) where there is no such connection */
			stream_close(x, true);
		return false;
	}
	if (!(s->flags & HALF_KNOWN)) {
		if (!flow_hit(f, F_MIDSTREAM)) {
			/* The responder's SYN/ACK was not seen. In SYN_SENT only a reset that acknowledges the SYN counts;
			 * anything else counts where the initiator has spoken after its SYN, so that it must have had one. */
			if (p->tcp_flags & TCP_RST) {
				if (p->tcp_flags & TCP_ACK && seq_after(p->ack, r->isn) && !seq_after(p->ack, r->max_end))
					stream_close(x, true);
				return false;
			}
			if (!(p->tcp_flags & TCP_ACK) || !flow_hit(f, F_CLAIMED) || !seq_after(p->ack, r->isn)) {
				count(x->d, DPI_C_SEG_OUT_OF_WINDOW);
				return false;
			}
			flow_set(f, F_MIDSTREAM);
			ooo_unpark(x->d, r, &upto, true);	/* drained when this packet acknowledges them */
		}
		s->isn = s->isn_alt = p->seq - 1;
		s->next = s->max_end = p->seq;
		s->wscale = WSCALE_UNKNOWN;
		s->flags |= HALF_KNOWN;
		r->acked = p->seq;
	}
	if (!(r->flags & HALF_KNOWN)) {
		if (!(p->tcp_flags & TCP_ACK))
			return false;
		if (!flow_hit(f, F_MIDSTREAM)) {
			if (p->payload.n)
				ooo_park(x, x->dir, p->seq, p->payload.p, p->payload.n, false, p->ack, PARK_ACK);
			if (seq_after(p->seq + wire_payload(p), s->max_end))
				s->max_end = p->seq + wire_payload(p);
			return claimed(x);
		}
		r->isn = r->isn_alt = p->ack - 1;
		r->next = r->max_end = p->ack;
		r->wscale = WSCALE_UNKNOWN;
		r->flags |= HALF_KNOWN;
		s->acked = p->ack;
	}
	return true;
}

/* tcp_paws_discard(): an old duplicate by its timestamp. */
static bool paws_old(const struct px *x)
{
	const struct half *s = sender(x);

	return flow_hit(x->f, F_TS) && x->p->has_ts && s->ts_recent && (int32_t)(s->ts_recent - x->p->tsval) > 1 &&
	       second(x) - s->ts_sec < PAWS_IDLE;
}

/* tcp_reset_check(): a reset at the FIN's own place counts, though the FIN was acknowledged. */
static bool rst_of_fin(const struct half *s, uint32_t seq) { return s->flags & HALF_FIN && seq == s->next - 1; }

/* Bytes that the receiver, as far as it is known, does not take. Held ones go no further: others than it may. */
static void unawaited(struct px *x, bool bytes)
{
	if (!bytes || !x->p->frame->held)
		return;
	x->refused = true;
	count(x->d, DPI_C_SEG_UNAWAITED);
}

/* tcp_sequence() and what stands before it. */
static bool in_window(struct px *x)
{
	const struct packet *p = x->p;
	const struct half *s = sender(x), *r = receiver(x);
	uint32_t end = p->seq + wire_payload(p) + (p->tcp_flags & TCP_FIN ? 1 : 0);

	if (!(p->tcp_flags & TCP_RST) && paws_old(x)) {
		count(x->d, DPI_C_SEG_OUT_OF_WINDOW);
		unawaited(x, p->payload.n);	/* a receiver that began by a SYN cookie may have agreed on no timestamps after all */
		return false;
	}
	if (p->tcp_flags & TCP_RST && rst_of_fin(s, p->seq))
		return true;
	if (seq_before(end, r->acked)) {
		count(x->d, DPI_C_SEG_RETRANSMIT);
		return false;
	}
	if (r->flags & HALF_EDGE && seq_after(p->seq, r->edge) && seq_after(p->seq, s->next)) {
		count(x->d, DPI_C_SEG_OUT_OF_WINDOW);
		return false;
	}
	return true;
}

void stream_guessed_wrong(struct px *x, enum dir dir)
{
	const struct half *h = &x->f->half[dir];

	if (flow_hit(x->f, F_MIDSTREAM) && h->flags & HALF_KNOWN && h->next != h->isn + 1)
		tell_anomaly(x, ANOM_STREAM_UNKNOWN);
}

/* RFC 5961, 3.2 as tcp_validate_incoming() has it; tcp_check_req() before the handshake is over. */
static void on_rst(struct px *x)
{
	const struct packet *p = x->p;
	struct flow *f = x->f;
	struct half *s = sender(x);
	bool exact = p->seq == s->next;

	if (f->state == FLOW_OPENING && x->dir == DIR_TOSERVER && !seq_before(p->seq, s->next))
		exact = true;	/* the request socket takes any in its window */
	if (rst_of_fin(s, p->seq))
		exact = true;
	if (flow_hit(f, F_SACK) && s->ooo && s->ooo_n <= SACK_BLOCKS && p->seq == ooo_end(s))
		exact = true;	/* the receiver reported bytes up to there (of more ranges it remembers only the last few) */
	if (!exact) {
		tell_anomaly(x, ANOM_STREAM_RST_INEXACT);
		return;
	}
	if (f->pkts[x->dir] == 1)
		stream_guessed_wrong(x, (enum dir)!x->dir);	/* the first word of this end */
	stream_close(x, true);
}

static void window_said(const struct packet *p, struct half *s)
{
	uint32_t window = (uint32_t)p->window << s->wscale, edge = p->ack + window;

	if (window > s->max_window)
		s->max_window = window;
	if (!(s->flags & HALF_EDGE) || seq_after(edge, s->edge))
		s->edge = edge;
	s->flags |= HALF_EDGE;
}

/* tcp_replace_ts_recent(); midstream, that both ends use timestamps is seen from both using them. */
static void timestamp_said(struct px *x, struct half *s, const struct half *r)
{
	const struct packet *p = x->p;

	if (!p->has_ts)
		return;
	if (flow_hit(x->f, F_MIDSTREAM) && !(s->flags & HALF_TS)) {
		s->flags |= HALF_TS;
		if (r->flags & HALF_TS)
			flow_set(x->f, F_TS);
	}
	if (flow_hit(x->f, F_TS) && !seq_after(p->seq, r->acked) &&
	    (!s->ts_recent || (int32_t)(p->tsval - s->ts_recent) >= 0 || second(x) - s->ts_sec >= PAWS_IDLE)) {
		s->ts_recent = p->tsval;
		s->ts_sec = second(x);
	}
}

/* What the sender has sent by now, as far as the packet's place tells. Where it leaves out bytes that we never saw, they were
 * lost on the way to us, and what the other end acknowledged beyond what we saw was true; where it continues what we
 * saw, such acknowledgements were of bytes that nobody had sent: the kernel threw their packets away. */
static void sent_by_now(struct px *x)
{
	const struct packet *p = x->p;
	struct half *s = sender(x), *r = receiver(x);
	bool hole = seq_after(p->seq, s->max_end);
	uint32_t upto = hole ? p->seq : p->seq + wire_payload(p) + (p->tcp_flags & TCP_FIN ? 1 : 0);

	if (!seq_after(upto, s->max_end))
		return;
	if (hole)
		s->max_end = p->seq;
	if (!r->ooo || !ooo_unpark(x->d, r, &upto, hole) || !hole)
		return;
	if (seq_after(upto, r->acked))
		r->acked = upto;
	jump(x, x->dir, upto);
	stream_drain(x, (enum dir)!x->dir);
}

/* It reaches past the window, and only the receiver will say whether it was taken: parked, and what its
 * header says with it. */
static bool past_window(const struct px *x)
{
	const struct packet *p = x->p;
	const struct half *r = &x->f->half[!x->dir];

	return p->payload.n && !p->frame->held && r->flags & HALF_EDGE && seq_after(p->seq + (uint32_t)p->payload.n, r->edge);
}

/* tcp_ack(). False: the packet is thrown away. */
static bool on_ack(struct px *x)
{
	const struct packet *p = x->p;
	struct flow *f = x->f;
	struct half *s = sender(x), *r = receiver(x);
	bool accepts = f->state == FLOW_OPENING && x->dir == DIR_TOSERVER;

	if (accepts)
		stream_which_answer(x);
	if (r->ooo && seq_after(p->ack, r->max_end))
		r->max_end = ooo_doubted_end(r, r->max_end, p->ack);
	if (seq_after(p->ack, r->max_end)) {
		if (one_sided(x, x->dir))
			flow_set(f, F_MIDSTREAM);
		if (!flow_hit(f, F_MIDSTREAM)) {
			count(x->d, DPI_C_SEG_OUT_OF_WINDOW);
			if (p->payload.n)
				ooo_park(x, x->dir, p->seq, p->payload.p, p->payload.n, false, p->ack, PARK_ACK);
			return false;
		}
		r->max_end = p->ack;
	}
	if (accepts) {
		if (!seq_after(p->ack, r->isn)) {
			count(x->d, DPI_C_SEG_OUT_OF_WINDOW);
			return false;
		}
		flow_move(&x->d->flows, f, FLOW_OPEN, x->now);
	}
	if (seq_before(p->ack, s->acked)) {
		/* its bytes that were acknowledged; an initiator's SYN counts as one (tcp_snd_una_update) */
		uint32_t had = s->acked - r->isn - (x->dir == DIR_TOSERVER);
		uint32_t far = !flow_hit(f, F_MIDSTREAM) && had < s->max_window ? had : s->max_window;

		if (seq_before(p->ack, s->acked - far)) {
			count(x->d, DPI_C_SEG_OUT_OF_WINDOW);
			return false;
		}
	} else if (!past_window(x)) {	/* an older one says nothing of window and time */
		s->acked = p->ack;
		window_said(p, s);
		timestamp_said(x, s, r);
	}
	if (seq_after(p->ack, r->next) && !past_window(x))
		jump(x, (enum dir)!x->dir, p->ack);
	return true;
}

/* Bytes that contradict what is still here of the same place. True: a held packet goes no further. */
static bool contradicts(struct px *x, const uint8_t *b, size_t n)
{
	struct half *s = sender(x);

	if (!ooo_differs(s, x->p->seq, b, n) && !feed_differs(x, x->dir, x->p->seq, b, n))
		return false;
	tell_anomaly(x, ANOM_STREAM_OVERLAP);
	x->refused = x->p->frame->held;
	return x->refused;
}

static void on_bytes(struct px *x)
{
	const struct packet *p = x->p;
	struct half *s = sender(x), *r = receiver(x);
	const uint8_t *b = p->payload.p;
	size_t n = p->payload.n;
	bool fin = p->tcp_flags & TCP_FIN && wire_payload(p) == n;
	uint32_t end = p->seq + (uint32_t)n, taken = s->next - p->seq;

	if (s->flags & HALF_FIN) {	/* who took it reads nothing behind it; but not every kernel takes one that finds its window closed */
		unawaited(x, n && seq_after(end, s->next - 1));
		return;
	}
	if (!n && !fin)
		return;
	if (n && !p->frame->held && contradicts(x, b, n))
		return;
	if (!seq_after(end + fin, s->next)) {
		count(x->d, DPI_C_SEG_RETRANSMIT);
		return;
	}
	if (n && r->flags & HALF_EDGE && !seq_before(seq_after(p->seq, s->next) ? p->seq : s->next, r->edge)) {
		count(x->d, DPI_C_SEG_OUT_OF_WINDOW);
		return;
	}
	if (seq_after(end + fin, s->max_end))
		s->max_end = end + fin;
	if (past_window(x)) {
		ooo_park(x, x->dir, p->seq, b, n, fin, 0, PARK_BEYOND);
		return;
	}
	if (seq_after(p->seq, s->next)) {
		count(x->d, DPI_C_SEG_OUT_OF_ORDER);
		ooo_add(x, x->dir, p->seq, b, n, fin);
		if (s->ooo_n >= ONE_SIDED_WAIT && one_sided(x, x->dir))
			jump(x, x->dir, p->seq);
		return;
	}
	count(x->d, DPI_C_SEG_IN_ORDER);
	if (n > taken)
		deliver(x, x->dir, b + taken, n - taken);
	if (fin)
		take_fin(x, x->dir);
	else if (s->ooo)
		stream_drain(x, x->dir);
}

static bool both_closed(const struct flow *f)
{
	const struct half *a = &f->half[0], *b = &f->half[1];

	return a->flags & b->flags & HALF_FIN && a->acked == b->next && b->acked == a->next;
}

/* tcp_inbound_hash(): a connection is signed from its SYN on, or never. Not every kernel is built with signatures, so a held
 * packet goes no further. True: it is not to be taken. */
static bool signature_wrong(struct px *x)
{
	const struct packet *p = x->p;

	if (flow_hit(x->f, F_MIDSTREAM) || !(sender(x)->flags & HALF_KNOWN) || (p->md5 || p->ao) == sender(x)->is_signed)
		return false;
	tell_anomaly(x, ANOM_STREAM_SIGNATURE);
	x->refused = p->frame->held;
	return p->md5 || !p->ao || x->refused;	/* AO is newer than most kernels: they pass over it */
}

/* Hops to live of what leaves a workload: the kernel gives all segments the same. With fewer, a segment may be meant to die on its
 * way to the receiver but after us; what has come to its workload has arrived. True: it did fall. */
static bool ttl_fell(struct px *x)
{
	const struct packet *p = x->p;
	uint8_t *first = &x->f->ttl[x->dir];

	if (!(p->frame->flags & FRAME_LEAVING))
		return false;
	if (!*first)
		*first = p->ttl;
	if (p->ttl >= *first || !(p->payload.n || p->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)))
		return false;
	tell_anomaly(x, ANOM_STREAM_TTL);
	x->refused = p->frame->held;
	return true;
}

/* A held packet says that a byte is urgent, and one before it was or is so. What becomes of an earlier one that waits to be read then depends on how far the
 * application has come (tcp_check_urg() in net/ipv4/tcp_input.c): so it goes on without being urgent, or not at all. */
static bool urgent_again(const struct px *x)
{
	const struct packet *p = x->p;
	const struct half *s = sender(x);

	if (!p->frame->held || !(p->tcp_flags & TCP_URG) || !(s->flags & HALF_URG_SEEN))
		return false;
	return s->flags & HALF_URG ? seq_before(s->urg_seq, p->seq) : urgent_place(p) != s->urg_seq;
}

static void calm(struct px *x)
{
	const struct packet *p = x->p;

	if (sender(x)->is_signed || p->tunnel || p->reassembled || p->flags & (FRAME_GSO_TCP | FRAME_TRUNCATED)) {
		tell_anomaly(x, ANOM_STREAM_URGENT);
		x->refused = true;
		return;
	}
	x->answer |= ANSWER_CALM;
	x->l4 = (uint16_t)(p->ip.p + p->l4off - p->frame->data);
	count(x->d, DPI_C_SEG_CALMED);
}

/* The next segment or acknowledgement of a connection that is open, whole, within the window, with nothing waiting and nothing odd: of what
 * stream_packet() asks, each question has its usual answer. */
static bool expected(const struct px *x)
{
	const struct packet *p = x->p;
	const struct flow *f = x->f;
	const struct half *s = &f->half[x->dir], *r = &f->half[!x->dir];
	uint32_t end = p->seq + (uint32_t)p->payload.n;

	if ((p->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_URG | TCP_ACK)) != TCP_ACK || f->state != FLOW_OPEN || flow_hit(f, F_MIDSTREAM) || s->ooo || r->ooo)
		return false;
	if (!(s->flags & r->flags & HALF_KNOWN) || !(r->flags & HALF_EDGE) || s->flags & HALF_FIN || (p->md5 || p->ao) != s->is_signed)
		return false;
	if (p->seq != s->next || p->iplen > p->ip.n || seq_before(end, r->acked) || seq_after(end, r->edge))
		return false;
	if (seq_before(p->ack, s->acked) || seq_after(p->ack, r->next) || seq_after(p->ack, r->max_end))
		return false;
	return !flow_hit(f, F_TS) || !p->has_ts || !s->ts_recent || (int32_t)(p->tsval - s->ts_recent) >= 0;
}

static void take_expected(struct px *x)
{
	const struct packet *p = x->p;
	struct half *s = sender(x);
	uint32_t end = p->seq + (uint32_t)p->payload.n;

	s->acked = p->ack;
	window_said(p, s);
	timestamp_said(x, s, receiver(x));
	if (!p->payload.n)
		return;
	if (seq_after(end, s->max_end))
		s->max_end = end;
	count(x->d, DPI_C_SEG_IN_ORDER);
	deliver(x, x->dir, p->payload.p, p->payload.n);
}

/* Behind the end. A SYN is the old one, which strayed, or begins another connection under its number: its answer tells (stream_restarts). Bytes of the initiator:
 * a responder that kept nothing of it before it was accepted (SYN cookies) did not hear a reset that came earlier, and takes its last acknowledgement once
 * more. They would begin what nobody judges: where packets are held they go no further. */
static __attribute__((noinline)) void behind_end(struct px *x)
{
	const struct packet *p = x->p;

	if ((p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		receiver(x)->flags &= (uint8_t)~HALF_KNOWN;
	unawaited(x, x->d->policy && x->dir == DIR_TOSERVER && p->payload.n && !(p->tcp_flags & TCP_RST));
}

void stream_packet(struct px *x)
{
	const struct packet *p = x->p;
	struct flow *f = x->f;
	struct half *s = sender(x);
	uint32_t end;
	bool fell, again;

	if (f->state == FLOW_CLOSED) {
		behind_end(x);
		return;
	}
	fell = ttl_fell(x);
	if (x->refused || (fell && !p->payload.n))
		return;
	if (!fell && expected(x)) {
		take_expected(x);
		return;
	}
	if ((p->tcp_flags & (TCP_SYN | TCP_RST)) == TCP_SYN) {
		if (p->tcp_flags & TCP_ACK)
			stream_syn_ack(x);
		else if (!(p->tcp_flags & TCP_FIN) || f->state >= FLOW_OPEN)
			stream_syn(x);
		return;
	}
	if (signature_wrong(x) || !halves_known(x))
		return;
	if (flow_hit(f, F_MIDSTREAM) && f->pkts[x->dir] == 1 && p->payload.n && !f->held && seq_after(p->seq, s->next))
		s->next = s->max_end = p->seq;
	if (!in_window(x))
		return;
	if (p->tcp_flags & TCP_RST) {
		on_rst(x);
		return;
	}
	if (!(p->tcp_flags & TCP_ACK))
		return;
	/* refused: the receiver never gets it, so nothing of it counts, neither its acknowledgement nor its time */
	if (p->frame->held && p->payload.n && contradicts(x, p->payload.p, p->payload.n))
		return;
	again = urgent_again(x);
	if (again)
		calm(x);
	if (x->refused)
		return;
	sent_by_now(x);
	if (!on_ack(x))
		return;
	if (fell) {	/* taken when the receiver acknowledges it */
		end = p->seq + wire_payload(p) + (p->tcp_flags & TCP_FIN ? 1 : 0);
		if (seq_after(end, s->max_end))
			s->max_end = end;
		ooo_park(x, x->dir, p->seq, p->payload.p, p->payload.n, p->tcp_flags & TCP_FIN, 0, PARK_BEYOND);
		return;
	}
	if (f->state == FLOW_NEW && f->pkts[!x->dir])
		flow_move(&x->d->flows, f, FLOW_OPEN, x->now);	/* midstream: the other end was heard as well */
	if (p->tcp_flags & TCP_URG && !seq_before(urgent_place(p), s->next))
		tell_anomaly(x, ANOM_STREAM_URGENT);
	if (p->tcp_flags & TCP_URG && !again && !past_window(x))
		urgent_said(s, urgent_place(p));
	end = p->seq + wire_payload(p) + (p->tcp_flags & TCP_FIN ? 1 : 0);
	on_bytes(x);
	if (!x->refused && seq_after(end, s->max_end) && !(s->flags & HALF_FIN))
		s->max_end = end;	/* of a capture that is cut: more was sent than is here */
	if (f->state == FLOW_CLOSING && both_closed(f))
		stream_close(x, false);
}

bool stream_unplaced(struct px *x)
{
	const struct packet *p = x->p;
	const struct flow *f = x->f;

	if (!(p->frame->flags & FRAME_MAY_ASK) || p->tunnel || p->reassembled || f->key.ipproto != IPPROTO_TCP || !flow_hit(f, F_MIDSTREAM) || f->state == FLOW_CLOSED ||
	    f->tracked || (f->half[0].flags | f->half[1].flags) & HALF_KNOWN || p->frame->ts - f->start > ASK_TIME || !p->payload.n || (p->tcp_flags & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK)
		return false;
	sender(x)->acked = p->ack;
	return true;
}

void stream_doubted(struct px *x)
{
	const struct packet *p = x->p;
	struct flow *f = x->f;
	struct half *s = sender(x);

	if ((p->tcp_flags & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK || f->state == FLOW_CLOSED || !(s->flags & HALF_KNOWN) || s->flags & HALF_FIN)
		return;
	if (receiver(x)->flags & HALF_KNOWN) {
		if (!in_window(x))
			return;
	} else if (!flow_hit(f, F_CLAIMED)) {
		flow_set(f, F_CLAIMED);
		s->acked = p->ack;
	}
	ooo_park(x, x->dir, p->seq, p->payload.p, p->payload.n, false, 0, PARK_DOUBTED);
}

void stream_begin(struct px *x)
{
	if (!(x->p->tcp_flags & TCP_SYN)) {
		flow_set(x->f, F_MIDSTREAM);
		count(x->d, DPI_C_FLOWS_MIDSTREAM);
	}
}
