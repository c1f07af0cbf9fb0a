/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/stream.h"

#define SEG_BYTES_MAX (MEM_PIECE_MAX - (uint32_t)sizeof(struct seg))

static size_t seg_size(const struct seg *s) { return sizeof(*s) + (s->bare ? 0 : s->len); }
static uint32_t piece_size(size_t n) { return (uint32_t)mem_class(sizeof(struct seg) + n); }

static void seg_unlink(struct dpi *d, struct half *h, struct seg *s)
{
	if (s->next == s) {
		h->ooo = NULL;
	} else {
		s->prev->next = s->next;
		s->next->prev = s->prev;
		if (h->ooo == s)
			h->ooo = s->next;
	}
	h->ooo_n--;
	if (!s->bare)
		h->ooo_bytes -= s->len;
	d->ooo_bytes -= piece_size(s->bare ? 0 : s->len);
}

void ooo_release(struct dpi *d, struct seg *s) { mem_release(d->mem, s, seg_size(s)); }

static void seg_drop(struct dpi *d, struct half *h, struct seg *s)
{
	seg_unlink(d, h, s);
	ooo_release(d, s);
}

/* after NULL: it becomes the lowest. */
static void seg_link(struct dpi *d, struct half *h, struct seg *s, struct seg *after)
{
	if (!h->ooo) {
		s->next = s->prev = s;
		h->ooo = s;
	} else {
		struct seg *prev = after ? after : h->ooo->prev;

		s->prev = prev;
		s->next = prev->next;
		prev->next->prev = s;
		prev->next = s;
		if (!after)
			h->ooo = s;
	}
	h->ooo_n++;
	if (!s->bare)
		h->ooo_bytes += s->len;
	d->ooo_bytes += piece_size(s->bare ? 0 : s->len);
}

uint32_t ooo_end(const struct half *h)
{
	uint32_t end = h->next;

	if (h->ooo) {
		const struct seg *s = h->ooo;

		do {
			if (!s->parked && seq_after(seg_end(s), end))
				end = seg_end(s);
			s = s->next;
		} while (s != h->ooo);
	}
	return end;
}

void ooo_purge(struct dpi *d, struct half *h)
{
	while (h->ooo)
		seg_drop(d, h, h->ooo);
}

struct seg *ooo_first(const struct half *h)
{
	struct seg *s = h->ooo;

	while (s && s->parked)
		s = s->next == h->ooo ? NULL : s->next;
	return s;
}

struct seg *ooo_take(struct dpi *d, struct half *h)
{
	struct seg *s;

	while (h->ooo && h->ooo->parked && !seq_after(seg_end(h->ooo), h->next))
		seg_drop(d, h, h->ooo);
	s = ooo_first(h);
	if (!s || seq_after(s->seq, h->next))
		return NULL;
	seg_unlink(d, h, s);
	return s;
}

static bool seg_differs(const struct seg *s, uint32_t seq, const uint8_t *p, size_t n)
{
	uint32_t end = seq + (uint32_t)n;
	uint32_t from = seq_after(s->seq, seq) ? s->seq : seq;
	uint32_t to = seq_before(s->seq + s->len, end) ? s->seq + s->len : end;

	return !s->bare && seq_before(from, to) && memcmp(s->bytes + (from - s->seq), p + (from - seq), to - from) != 0;
}

/* Parked segments that share a place with these n bytes. One that reaches past the window may well have been taken: it goes only
 * where it says something else. */
static void parked_drop(struct dpi *d, struct half *h, uint32_t seq, const uint8_t *p, size_t n, uint32_t end)
{
	struct seg *s = h->ooo, *next;

	for (unsigned i = h->ooo_n; i; i--, s = next) {
		next = s->next;
		if (s->parked && seq_before(s->seq, end) && seq_before(seq, seg_end(s)) && (!s->beyond || seg_differs(s, seq, p, n)))
			seg_drop(d, h, s);
	}
}

void ooo_drop_parked(struct dpi *d, struct half *h)
{
	struct seg *s = h->ooo, *next;

	for (unsigned i = h->ooo_n; i; i--, s = next) {
		next = s->next;
		if (s->parked)
			seg_drop(d, h, s);
	}
}

/* It was taken, with its header. */
static void header_said(struct half *h, const struct seg *s)
{
	if (s->urgent)
		urgent_said(h, s->urgent_at);
	if (s->has_ts && (int32_t)(s->tsval - h->ts_recent) >= 0) {
		h->ts_recent = s->tsval;
		h->ts_sec = s->second;
	}
	if (s->acks && seq_after(s->ack, h->acked))
		h->acked = s->ack;
}

void ooo_admit(struct half *h, uint32_t ack, bool begun)
{
	struct seg *s = h->ooo;

	for (unsigned n = h->ooo_n; n; n--, s = s->next)
		if ((s->beyond && begun && seq_before(s->seq, ack)) || ((s->beyond || s->doubted) && !seq_after(s->seq + s->len, ack))) {
			s->parked = s->beyond = s->doubted = false;
			header_said(h, s);
		}
}

uint32_t ooo_doubted_end(const struct half *h, uint32_t at, uint32_t ack)
{
	const struct seg *s = h->ooo;

	for (unsigned n = h->ooo_n; n; n--, s = s->next)	/* by seq: one pass finds what joins */
		if (s->doubted && !seq_after(s->seq, at) && seq_after(s->seq + s->len, at) && !seq_after(s->seq + s->len, ack))
			at = s->seq + s->len;
	return at;
}

bool ooo_unpark(struct dpi *d, struct half *h, uint32_t *ack, bool truly)
{
	uint32_t highest = *ack;
	struct seg *s = h->ooo, *next;
	bool any = false;

	for (unsigned n = h->ooo_n; n; n--, s = next) {
		next = s->next;
		if (!s->parked || s->beyond || s->doubted || seq_after(s->ack, *ack))
			continue;
		if (!any || seq_after(s->ack, highest))
			highest = s->ack;
		any = true;
		if (truly)
			s->parked = false;
		else
			seg_drop(d, h, s);
	}
	*ack = highest;
	return any;
}

bool ooo_differs(const struct half *h, uint32_t seq, const uint8_t *p, size_t n)
{
	uint32_t end = seq + (uint32_t)n;
	const struct seg *s = h->ooo;

	if (!s || !n)
		return false;
	do {
		if ((!s->parked || s->beyond) && seg_differs(s, seq, p, n))	/* the others were probably thrown away */
			return true;
		s = s->next;
	} while (s != h->ooo && seq_before(s->seq, end));
	return false;
}

/* Nobody wants these bytes: nothing is parsed, or a body is passed over that reaches past them. */
static bool unwanted(const struct flow *f, const struct half *h, uint32_t seq, size_t n)
{
	return f->feed == FEED_OFF || (f->feed == FEED_PARSE && !h->keep_len && h->skip >= (uint64_t)(seq - h->next) + n);
}

static bool room(const struct dpi *d, const struct half *h, size_t n, bool bare)
{
	if (h->ooo_n >= OOO_SEGS_MAX)
		return false;
	return (bare || h->ooo_bytes + n <= OOO_BYTES_MAX) && d->ooo_bytes + piece_size(bare ? 0 : n) <= d->ooo_bytes_max;
}

/* It finds no room. On a held path its receiver must not have what might be refused and will not be judged: its sender sends it again. */
static void not_kept(struct px *x, enum dpi_counter why)
{
	count(x->d, why);
	tell_anomaly(x, ANOM_STREAM_CAP);
	x->refused |= x->p->frame->held && x->f->feed != FEED_OFF && (x->f->refusable || x->f->verdict == VERDICT_PENDING);
}

static void add_one(struct px *x, enum dir dir, uint32_t seq, const uint8_t *p, size_t n, bool fin, const uint32_t *parked, enum park why)
{
	struct dpi *d = x->d;
	struct half *h = &x->f->half[dir];
	bool bare = unwanted(x->f, h, seq, n);
	uint32_t end = seq + (uint32_t)n + fin;
	struct seg *after = NULL, *s;

	if (!parked && h->ooo)
		parked_drop(d, h, seq, p, n, end);
	if (h->ooo) {	/* the last one that starts at or before it, from the end: that is where the usual case is */
		after = h->ooo->prev;
		while (seq_after(after->seq, seq)) {
			if (after == h->ooo) {
				after = NULL;
				break;
			}
			after = after->prev;
		}
	}
	if (after && parked && seq_before(seq, seg_end(after)) && (why != PARK_BEYOND || (!after->parked && !seq_after(end, seg_end(after)))))
		return;
	if (after && !parked && !after->parked && seq_before(seq, seg_end(after))) {
		count(d, DPI_C_SEG_OVERLAP);
		if (!seq_after(end, seg_end(after)))
			return;		/* all of it is there */
		if (after->seq == seq) {
			struct seg *gone = after;

			after = gone == h->ooo ? NULL : gone->prev;
			seg_drop(d, h, gone);
		}
	}
	if (bare && !parked && after && after->bare && !after->parked && !after->fin && seg_end(after) == seq) {
		after->len += (uint32_t)n;
		after->fin = fin;
		s = after;
	} else {
		bool fits = room(d, h, n, bare);

		s = fits ? mem_alloc(d->mem, sizeof(*s) + (bare ? 0 : n)) : NULL;
		if (!s) {
			not_kept(x, fits ? DPI_C_MEM_REFUSED : DPI_C_SEG_CAP);
			return;
		}
		s->seq = seq;
		s->len = (uint32_t)n;
		s->fin = fin;
		s->bare = bare;
		s->parked = parked != NULL;
		s->beyond = parked && why == PARK_BEYOND;
		s->doubted = parked && why == PARK_DOUBTED;
		s->ack = parked ? *parked : 0;
		s->urgent = s->beyond && x->p->tcp_flags & TCP_URG && !(x->answer & ANSWER_CALM);
		s->urgent_at = s->urgent ? urgent_place(x->p) : 0;
		s->acks = s->beyond && !seq_before(x->p->ack, h->acked);
		s->has_ts = s->acks && flow_hit(x->f, F_TS) && x->p->has_ts && !seq_after(seq, x->f->half[!dir].acked);
		s->tsval = x->p->tsval;
		s->second = second(x);
		if (s->acks)
			s->ack = x->p->ack;
		if (!bare && n)
			memcpy(s->bytes, p, n);
		seg_link(d, h, s, after);
	}
	for (struct seg *next = s->next; !parked && next != h->ooo && !seq_after(seg_end(next), end); next = s->next) {	/* those that it covers */
		count(d, DPI_C_SEG_OVERLAP);
		seg_drop(d, h, next);
	}
}

void ooo_add(struct px *x, enum dir dir, uint32_t seq, const uint8_t *p, size_t n, bool fin)
{
	while (n > SEG_BYTES_MAX) {	/* a super-packet past 64 KiB */
		add_one(x, dir, seq, p, SEG_BYTES_MAX, false, NULL, PARK_ACK);
		seq += SEG_BYTES_MAX;
		p += SEG_BYTES_MAX;
		n -= SEG_BYTES_MAX;
	}
	add_one(x, dir, seq, p, n, fin, NULL, PARK_ACK);
}

void ooo_park(struct px *x, enum dir dir, uint32_t seq, const uint8_t *p, size_t n, bool fin, uint32_t ack, enum park why)
{
	const struct half *h = &x->f->half[dir];

	if (n <= SEG_BYTES_MAX && seq_after(seq + (uint32_t)n, h->next) && (why == PARK_BEYOND || !ooo_differs(h, seq, p, n)))
		add_one(x, dir, seq, p, n, fin, &ack, why);
}
