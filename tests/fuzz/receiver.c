/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/fuzz/receiver.h"

#include <stdlib.h>
#include <string.h>

#define FIN 1
#define SYN 2
#define RST 4
#define ACK 16
#define URG 32
#define PAWS_24DAYS (60 * 60 * 24 * 24)

static bool before(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }
static bool after(uint32_t a, uint32_t b) { return before(b, a); }

/* tcp_receive_window() */
static uint32_t window_left(const struct receiver *r)
{
	int32_t w = (int32_t)(r->wup + r->window - r->nxt);

	return w < 0 ? 0 : (uint32_t)w;
}

static uint32_t end_of(const struct arrival *a) { return a->seq + (uint32_t)a->n + !!(a->flags & SYN) + !!(a->flags & FIN); }

/* ---- bytes ---- */

static void read_byte(struct receiver *r, uint8_t b)
{
	if (r->urgent_due && r->urgent_at == r->nxt)
		r->urgent_due = false;		/* out of band */
	else if (r->ngot < RECEIVER_BYTES)
		r->got[r->ngot++] = b;
	r->nxt++;
}

static void drop_segs(struct receiver *r)
{
	for (unsigned i = 0; i < r->nsegs; i++)
		free(r->seg[i].p);
	r->nsegs = 0;
	r->nblocks = 0;
}

void receiver_free(struct receiver *r) { drop_segs(r); }

static void take_fin(struct receiver *r)
{
	r->nxt++;
	r->fin = true;
	drop_segs(r);
}

static void remove_seg(struct receiver *r, unsigned i)
{
	free(r->seg[i].p);
	memmove(&r->seg[i], &r->seg[i + 1], (r->nsegs - i - 1) * sizeof(r->seg[0]));
	r->nsegs--;
}

/* tcp_sack_remove() */
static void blocks_taken(struct receiver *r)
{
	unsigned n = 0;

	if (!r->nsegs) {
		r->nblocks = 0;
		return;
	}
	for (unsigned i = 0; i < r->nblocks; i++)
		if (before(r->nxt, r->block[i].from))
			r->block[n++] = r->block[i];
	r->nblocks = n;
}

/* tcp_ofo_queue(): from the lowest, those whose turn has come. */
static void take_waiting(struct receiver *r)
{
	while (r->nsegs && !r->fin && !after(r->seg[0].seq, r->nxt)) {
		uint32_t seq = r->seg[0].seq, len = r->seg[0].len;
		bool fin = r->seg[0].fin && after(seq + len + 1, r->nxt);

		while (before(r->nxt, seq + len))
			read_byte(r, r->seg[0].p[r->nxt - seq]);
		remove_seg(r, 0);
		if (fin)
			take_fin(r);
	}
	blocks_taken(r);
}

/* tcp_sack_new_ofo_skb(), tcp_sack_extend(), tcp_sack_maybe_coalesce() */
static void block_new(struct receiver *r, uint32_t from, uint32_t to)
{
	unsigned i;

	for (i = 0; i < r->nblocks; i++) {
		if (!after(from, r->block[i].to) && !after(r->block[i].from, to)) {
			if (before(from, r->block[i].from))
				r->block[i].from = from;
			if (after(to, r->block[i].to))
				r->block[i].to = to;
			for (; i > 0; i--) {	/* the newest first */
				uint32_t f = r->block[i].from, t = r->block[i].to;

				r->block[i] = r->block[i - 1];
				r->block[i - 1].from = f;
				r->block[i - 1].to = t;
			}
			for (i = 1; i < r->nblocks;) {
				if (after(r->block[0].from, r->block[i].to) || after(r->block[i].from, r->block[0].to)) {
					i++;
					continue;
				}
				if (before(r->block[i].from, r->block[0].from))
					r->block[0].from = r->block[i].from;
				if (after(r->block[i].to, r->block[0].to))
					r->block[0].to = r->block[i].to;
				memmove(&r->block[i], &r->block[i + 1], (r->nblocks - i - 1) * sizeof(r->block[0]));
				r->nblocks--;
				i = 1;
			}
			return;
		}
	}
	if (r->nblocks == 4) {
		r->nblocks--;
		r->blocks_lost = true;
	}
	memmove(&r->block[1], &r->block[0], r->nblocks * sizeof(r->block[0]));
	r->block[0].from = from;
	r->block[0].to = to;
	r->nblocks++;
}

/* tcp_data_queue_ofo() */
static void keep(struct receiver *r, const struct arrival *a)
{
	uint32_t end = end_of(a);
	unsigned at = 0, i;

	while (at < r->nsegs && !after(r->seg[at].seq, a->seq))
		at++;
	for (i = 0; i < at; i++)
		if (before(a->seq, r->seg[i].seq + r->seg[i].len + r->seg[i].fin) && !after(end, r->seg[i].seq + r->seg[i].len + r->seg[i].fin))
			return;		/* all of it is there */
	if (at && r->seg[at - 1].seq == a->seq)		/* it covers that one, or would have been dropped */
		remove_seg(r, --at);
	while (at < r->nsegs && !after(r->seg[at].seq + r->seg[at].len + r->seg[at].fin, end))
		remove_seg(r, at);
	if (r->nsegs == RECEIVER_SEGS)
		abort();
	memmove(&r->seg[at + 1], &r->seg[at], (r->nsegs - at) * sizeof(r->seg[0]));
	r->seg[at].seq = a->seq;
	r->seg[at].len = (uint32_t)a->n;
	r->seg[at].fin = a->flags & FIN;
	r->seg[at].p = malloc(a->n + 1);
	if (!r->seg[at].p)
		abort();
	if (a->n)
		memcpy(r->seg[at].p, a->p, a->n);
	r->nsegs++;
	if (r->sack)
		block_new(r, a->seq, end);
}

/* tcp_data_queue() */
static void data(struct receiver *r, const struct arrival *a)
{
	uint32_t end = end_of(a);

	if (a->seq == end || r->fin)
		return;
	if (a->seq == r->nxt) {
		if (!window_left(r) && a->n)
			return;		/* a bare FIN is taken */
	} else if (!after(end, r->nxt) || !before(a->seq, r->nxt + window_left(r))) {
		return;
	} else if (before(a->seq, r->nxt)) {
		if (!window_left(r))
			return;
	} else {
		keep(r, a);
		return;
	}
	for (size_t i = r->nxt - a->seq; i < a->n; i++)
		read_byte(r, a->p[i]);
	if (a->flags & FIN)
		take_fin(r);
	else
		take_waiting(r);
}

/* ---- the way in ---- */

/* tcp_paws_discard() */
static bool too_old(const struct receiver *r, const struct arrival *a, int64_t now)
{
	if (!r->ts || !a->has_ts || !r->ts_recent)
		return false;
	return (int32_t)(r->ts_recent - a->tsval) > 1 && now < r->ts_second + PAWS_24DAYS;
}

/* tcp_check_urg() */
static void urgent(struct receiver *r, const struct arrival *a)
{
	uint32_t at = a->seq + (a->urgent ? a->urgent - 1u : 0);

	if (before(at, r->nxt) || (r->urgent_due && !after(at, r->urgent_at)))
		return;
	r->urgent_due = true;
	r->urgent_at = at;
}

/* tcp_reset_check() */
static bool after_fin(const struct receiver *r, const struct arrival *a) { return r->fin && a->seq == r->nxt - 1; }

static bool rst_counts(const struct receiver *r, const struct arrival *a)
{
	uint32_t highest = r->nxt;

	if (a->seq == r->nxt || after_fin(r, a))
		return true;
	for (unsigned i = 0; i < r->nblocks; i++)
		if (!i || after(r->block[i].to, highest))
			highest = r->block[i].to;
	return r->nblocks && a->seq == highest;
}

/* tcp_ack(). False: thrown away. */
static bool ack(struct receiver *r, const struct arrival *a, int64_t now)
{
	uint32_t far = r->acked < r->max_window ? (uint32_t)r->acked : r->max_window;

	if (before(a->ack, r->una))
		return !before(a->ack, r->una - far);
	if (after(a->ack, r->snd_nxt))
		return false;
	r->acked += a->ack - r->una;
	r->una = a->ack;
	if (r->ts && a->has_ts && !after(a->seq, r->wup) && (!r->ts_recent || (int32_t)(r->ts_recent - a->tsval) <= 0 || now >= r->ts_second + PAWS_24DAYS)) {
		r->ts_recent = a->tsval;
		r->ts_second = now;
	}
	if ((uint32_t)a->window << r->peer_wscale > r->max_window)
		r->max_window = (uint32_t)a->window << r->peer_wscale;
	return true;
}

void receiver_take(struct receiver *r, const struct arrival *a, int64_t now)
{
	uint32_t edge = r->nxt + window_left(r);

	if (r->closed || !(a->flags & (ACK | RST | SYN)))
		return;
	if (!(a->flags & RST) && too_old(r, a, now))
		return;
	/* tcp_sequence() */
	if (before(end_of(a), r->wup) || after(a->seq, edge)) {
		r->closed = a->flags & RST && after_fin(r, a);
		return;
	}
	if (r->strict_window && a->n && after(a->seq + (uint32_t)a->n, edge))
		return;
	if (a->flags & RST) {
		r->closed |= rst_counts(r, a);
		return;
	}
	if (a->flags & SYN || !ack(r, a, now))
		return;
	if (a->flags & URG)
		urgent(r, a);
	data(r, a);
}

uint32_t receiver_offer(struct receiver *r, uint32_t window)
{
	uint32_t unit = 1u << r->wscale;

	if (before(r->nxt + window, r->wup + r->window))
		window = window_left(r);
	window = (window + unit - 1) / unit * unit;
	r->window = window;
	r->wup = r->nxt;
	return window;
}
