/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/hold.h"

#include <netinet/in.h>

#include "dpi/stream.h"

#define HEAD 128u	/* bytes kept of a frame: IP and TCP with all their options */

struct held {		/* one frame */
	struct held *next;
	struct frame frame;	/* data is `kept` bytes here */
	struct answer answer;	/* flags that go with it if it goes on */
	uint32_t kept;
	uint32_t seq, end, payload;
	uint8_t bytes[];
};

struct hold {		/* all of one flow */
	struct hold *next;	/* in its bucket */
	struct hold *older, *newer;
	struct flow *f;
	struct held *first, *last;
	int64_t since;		/* d->now when the first came */
	uint32_t seq;		/* of the first byte that waits */
	uint32_t bytes, n;
	uint32_t request;	/* that the last of them left unfinished (px_unfinished) */
};

static struct hold **bucket(struct dpi *d, const struct flow *f) { return &d->holds.bucket[f->id % HOLD_BUCKETS]; }

static struct hold *find(struct dpi *d, const struct flow *f)
{
	struct hold *h = f->waits ? *bucket(d, f) : NULL;

	while (h && h->f != f)
		h = h->next;
	return h;
}

static struct hold *begin(struct dpi *d, struct flow *f, uint32_t seq)
{
	struct hold *h = mem_zalloc(d->mem, sizeof(*h));

	if (!h) {
		count(d, DPI_C_MEM_REFUSED);
		return NULL;
	}
	h->f = f;
	h->since = d->now;
	h->seq = seq;
	h->next = *bucket(d, f);
	*bucket(d, f) = h;
	h->older = d->holds.newest;
	*(h->older ? &h->older->newer : &d->holds.oldest) = h;
	d->holds.newest = h;
	f->waits = 1;
	return h;
}

static void unlink_hold(struct dpi *d, struct hold *h)
{
	struct hold **at = bucket(d, h->f);

	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	*(h->older ? &h->older->newer : &d->holds.oldest) = h->newer;
	*(h->newer ? &h->newer->older : &d->holds.newest) = h->older;
	h->f->waits = 0;
}

/* The first refused one is refused aloud: its number is the very next that the receiver awaits. The others are dropped. */
static void answer(struct dpi *d, struct flow *f, struct held *k, bool first)
{
	struct answer a = k->answer;

	k->frame.data = k->bytes;
	a.verdict = judge_answer(d, f, &k->frame);
	if (a.verdict == VERDICT_DENY && !first)
		a.verdict = VERDICT_DROP;
	if (verdict_stops(a.verdict))
		count(d, DPI_C_HOLD_REFUSED);
	d->holds.frames--;
	d->ops.answer(d->ops.ctx, &k->frame, a);
	mem_release(d->mem, k, sizeof(*k) + k->kept);
}

void hold_end(struct dpi *d, struct flow *f)
{
	struct hold *h = find(d, f);
	bool first = true;

	if (!h)
		return;
	unlink_hold(d, h);
	for (struct held *k = h->first, *next; k; k = next, first = false) {
		next = k->next;
		answer(d, f, k, first);
	}
	mem_release(d->mem, h, sizeof(*h));
}

/* It goes on, though its request is unfinished. */
void hold_pass(struct px *x)
{
	x->f->hold_over = 1;
	count(x->d, DPI_C_HOLD_LIMIT);
	tell_anomaly(x, ANOM_HOLD_LIMIT);
	hold_end(x->d, x->f);
}

/* Bytes to the responder end in the middle of a request, or of what may be one. */
static bool unfinished(const struct flow *f)
{
	const struct half *h = &f->half[DIR_TOSERVER];

	switch ((enum feed)f->feed) {
	case FEED_PARSE:
		return h->keep_len || f->unfinished;
	case FEED_SEEK:
		return f->unfinished;
	case FEED_OFF:
		break;
	}
	return false;
}

static bool add(struct px *x)
{
	struct dpi *d = x->d;
	const struct packet *p = x->p;
	const struct frame *fr = p->frame;
	struct hold *h = find(d, x->f);
	uint32_t kept = fr->caplen < HEAD || x->answer & ANSWER_CALM ? fr->caplen : HEAD, bytes = (uint32_t)p->payload.n;
	struct held *k;

	if ((h ? h->bytes : 0) + bytes > d->limits.hold_bytes || (h && h->n == HOLD_FRAMES) || d->holds.frames >= d->conf.max_waiting)
		return false;
	k = sizeof(*k) + kept <= MEM_PIECE_MAX ? mem_alloc(d->mem, sizeof(*k) + kept) : NULL;
	if (!k) {
		count(d, DPI_C_MEM_REFUSED);
		return false;
	}
	if (!h && !(h = begin(d, x->f, p->seq))) {
		mem_release(d->mem, k, sizeof(*k) + kept);
		return false;
	}
	*k = (struct held){ .frame = *fr, .answer = { .flags = x->answer, .l4 = x->l4 }, .kept = kept,
		.seq = p->seq, .end = p->seq + bytes, .payload = bytes };
	memcpy(k->bytes, fr->data, kept);
	if (kept < fr->caplen) {
		k->frame.caplen = kept;
		k->frame.flags |= FRAME_TRUNCATED;
	}
	*(h->last ? &h->last->next : &h->first) = k;
	h->last = k;
	h->n++;
	h->bytes += bytes;
	h->request = x->request;
	d->holds.frames++;
	count(d, DPI_C_HOLD_WAITED);
	return true;
}

void hold_look(struct px *x)
{
	const struct flow *f = x->f;
	const struct hold *h = find(x->d, f);
	const struct packet *p = x->p;
	uint32_t end = p->seq + (uint32_t)p->payload.n;

	x->unfinished = f->unfinished;
	x->request = h ? h->request : 0;
	x->kept = f->half[DIR_TOSERVER].keep_len != 0;
	x->copy = h && x->dir == DIR_TOSERVER && p->payload.n && !(p->tcp_flags & TCP_FIN) && seq_after(end, h->seq) && !seq_after(end, f->half[DIR_TOSERVER].next);
}

/* Did the request that is unfinished now begin in the packet at hand, or behind it? */
static bool began_here(const struct px *x, const struct hold *waits)
{
	const struct half *h = &x->f->half[DIR_TOSERVER];

	if (x->f->unfinished && x->unfinished)
		return waits ? waits->request != x->request : x->f->unfinished != x->unfinished;
	if (x->f->unfinished)
		return !x->kept;
	return !seq_before(h->next - h->keep_len, x->p->seq);
}

/* The requests before the one that is unfinished now were judged, and let go: what waited for them goes on. */
static void trim(struct px *x)
{
	const struct half *half = &x->f->half[DIR_TOSERVER];
	struct hold *h = find(x->d, x->f);
	uint32_t start = x->f->unfinished ? x->p->seq : half->next - half->keep_len;
	struct held *k;

	if (!h || (x->f->unfinished && !began_here(x, h)))
		return;
	while ((k = h->first) && !seq_after(k->end, start)) {
		h->first = k->next;
		h->n--;
		h->bytes -= k->payload;
		answer(x->d, x->f, k, false);
	}
	if (h->first)
		h->seq = h->first->seq;
	else
		hold_end(x->d, x->f);
}

/* Frames of this core may wait at all. */
static bool may_wait(const struct dpi *d) { return d->ops.answer && d->limits.hold_time && d->limits.hold_bytes; }

enum hold_result hold_packet(struct px *x)
{
	struct flow *f = x->f;
	const struct packet *p = x->p;
	bool fin = p->tcp_flags & TCP_FIN;

	if (f->key.ipproto != IPPROTO_TCP || !may_wait(x->d))
		return HOLD_NO;
	if (p->tcp_flags & TCP_SYN && p->payload.n && x->dir == DIR_TOSERVER && f->refusable && !p->tunnel) {
		count(x->d, DPI_C_HOLD_SYN);
		return HOLD_SYN;
	}
	if (!unfinished(f) || flow_refused(f)) {
		f->hold_over = 0;
		hold_end(x->d, f);
		return HOLD_NO;
	}
	if (x->dir != DIR_TOSERVER || p->tunnel || !(p->payload.n || fin))
		return HOLD_NO;
	if (x->copy) {
		count(x->d, DPI_C_HOLD_COPY);
		return HOLD_COPY;
	}
	trim(x);
	if (f->hold_over && !began_here(x, NULL))
		return HOLD_NO;
	f->hold_over = 0;
	if (!(f->half[DIR_TOSERVER].flags & HALF_FIN) && add(x))
		return HOLD_WAITS;
	hold_pass(x);
	return HOLD_NO;
}

void hold_due(struct dpi *d)
{
	while (d->holds.oldest && d->now - d->holds.oldest->since >= d->limits.hold_time) {
		px_without_packet(d, d->holds.oldest->f);
		hold_pass(&d->px);
	}
}

static bool is_of(const struct hold *h, const void *caller)
{
	for (const struct held *k = h->first; k; k = k->next)
		if (!caller || k->frame.caller == caller)
			return true;
	return false;
}

void hold_release(struct dpi *d, const void *caller)
{
	for (struct hold *h = d->holds.oldest, *newer; h; h = newer) {
		newer = h->newer;
		if (!is_of(h, caller))
			continue;
		px_without_packet(d, h->f);
		hold_pass(&d->px);
	}
}

void hold_judge(struct dpi *d)
{
	for (struct hold *h = d->holds.oldest, *newer; h; h = newer) {
		struct flow *f = h->f;

		newer = h->newer;
		px_without_packet(d, f);
		d->px.open = true;
		judge_flow(&d->px);
		if (!f->refusable || flow_refused(f))
			hold_end(d, f);
	}
	if (!may_wait(d))	/* nobody else would answer what comes before the next packet */
		hold_release(d, NULL);
}
