/* SPDX-License-Identifier: GPL-2.0-or-later */
/* feed: bytes to the protocol of a flow.
 *
 * In-order bytes are parsed where they lie. Only an incomplete message is kept: half.keep holds the bytes that the parser
 * did not consume, h->need how many it waits for. When more come, the rest of the message is put behind them, and what
 * follows is parsed in place again. While the length is not known the copy doubles with each try, so the bytes that are
 * copied stay linear in the bytes that come.
 *
 * A protocol may, while it is called, skip bytes, stop, or hand over (px.c): these are carried out here when the call has
 * returned. end() is called exactly once for each start: from feed_off(), or from the hand-over. */
#include "dpi/engine.h"

#include <netinet/in.h>

#define KEEP_FIRST 512u		/* bytes tried at first when the length of a message is not known */

static void keep_free(struct dpi *d, struct half *h)
{
	if (h->keep)
		mem_release(d->mem, h->keep, (size_t)1 << h->keep_class);
	h->keep = NULL;
	h->keep_len = 0;
	h->need = 0;
}

/* n more bytes behind what is kept. False: cap or memory. */
static bool keep_add(struct px *x, struct half *h, const uint8_t *p, size_t n)
{
	size_t len = h->keep_len + n, room = h->keep ? (size_t)1 << h->keep_class : 0;

	if (len > PROTO_KEEP_MAX)
		return false;
	if (len > room) {
		size_t want = mem_class(len);
		uint8_t *grown = mem_alloc(x->d->mem, want);

		if (!grown) {
			count(x->d, DPI_C_MEM_REFUSED);
			return false;
		}
		if (h->keep) {
			memcpy(grown, h->keep, h->keep_len);
			mem_release(x->d->mem, h->keep, room);
		}
		h->keep = grown;
		h->keep_class = (uint8_t)__builtin_ctzll(want);
	}
	memcpy(h->keep + h->keep_len, p, n);
	h->keep_len = (uint32_t)len;
	return true;
}

static void keep_too_long(struct px *x)
{
	count(x->d, DPI_C_KEEP_CAP);
	tell_anomaly(x, ANOM_KEEP_CAP);
	judge_unreadable(x);
	feed_off(x);
}

/* ---- start and end of a protocol ---- */

static void proto_end(struct px *x)
{
	struct flow *f = x->f;
	const struct proto *proto = f->proto;
	void *state = f->state_mem;

	if (!proto)
		return;
	if (proto->end && (state || !proto->state_size))
		proto->end(x, state);
	f->proto = NULL;
	f->state_mem = NULL;
	if (state)
		mem_release(x->d->mem, state, proto->state_size);
	x->stop = x->switched = false;
}

void feed_off(struct px *x)
{
	struct flow *f = x->f;

	if (f->feed == FEED_OFF)
		return;
	f->feed = FEED_OFF;
	proto_end(x);
	seek_free(x->d, f);
	for (int i = 0; i < 2; i++) {
		keep_free(x->d, &f->half[i]);
		f->half[i].skip = 0;
	}
}

void feed_app(struct px *x, enum app app)
{
	struct flow *f = x->f;

	if (flow_hit(f, F_APP_KNOWN) && f->app == app)
		return;
	if (flow_hit(f, F_APP_KNOWN) && f->switches && !f->app_orig)
		f->app_orig = f->app;
	f->app = (uint8_t)app;
	flow_set(f, F_APP_KNOWN);
	if (!flow_hit(f, F_APP_COUNTED)) {
		flow_set(f, F_APP_COUNTED);
		count(x->d, app == APP_UNKNOWN ? DPI_C_APP_UNKNOWN : DPI_C_APP_FOUND);
		counter_add(&x->d->app_flows[app], 1);
	}
	flow_clear(f, F_JUDGED);
	judge_flow(x);
}

bool feed_start(struct px *x, const struct proto *proto)
{
	struct flow *f = x->f;

	f->proto = proto;
	f->feed = FEED_PARSE;
	if (proto->state_size) {
		f->state_mem = mem_zalloc(x->d->mem, proto->state_size);
		if (!f->state_mem) {
			count(x->d, DPI_C_MEM_REFUSED);
			feed_app(x, proto->app);
			judge_unreadable(x);
			feed_off(x);
			return false;
		}
	}
	feed_app(x, proto->app);
	return true;
}

/* The protocol handed over. What the other direction still kept goes to the new one first. */
static void take_over(struct px *x, enum dir dir)
{
	struct flow *f = x->f;
	const struct proto *next = x->next;
	struct half *other = &f->half[!dir];
	uint8_t *kept = other->keep;
	uint32_t n = other->keep_len;
	size_t size = kept ? (size_t)1 << other->keep_class : 0;

	proto_end(x);
	f->unfinished = 0;
	f->half[dir].skip = f->half[dir].need = 0;
	other->skip = 0;
	other->keep = NULL;
	other->keep_len = other->need = 0;
	if (f->switches++ == SWITCHES_MAX) {
		judge_unreadable(x);
		feed_off(x);
	} else if (next) {
		feed_start(x, next);
	} else {
		f->feed = FEED_SEEK;
	}
	if (kept) {
		feed_stream(x, (enum dir)!dir, kept, n);
		mem_release(x->d->mem, kept, size);
	}
}

/* ---- one call ---- */

static void call_begins(struct px *x, enum dir dir)
{
	x->calling = dir;
	if (dir == DIR_TOSERVER)
		x->f->unfinished = 0;
	x->need = 0;
	x->stop = x->switched = false;
}

enum step {
	STEP_ON,	/* *used bytes are done with; go on with the rest */
	STEP_KEEP,	/* the rest is an incomplete message */
};

/* One call of the parser with n > 0 bytes; *used of them are done with afterwards. */
static enum step step(struct px *x, enum dir dir, const uint8_t *p, size_t n, size_t *used)
{
	struct flow *f = x->f;
	struct half *h = &f->half[dir];
	struct cursor c = cur_of(p, n);
	enum parse r;

	call_begins(x, dir);
	r = f->proto->parse(x, f->state_mem, dir, &c);
	h->need = r == PARSE_MORE ? x->need : 0;
	*used = cur_used(&c);
	if (r == PARSE_BAD) {
		count(x->d, DPI_C_PARSE_BAD);
		judge_unreadable(x);
		feed_off(x);
		return STEP_ON;
	}
	if (x->stop) {
		feed_off(x);
		return STEP_ON;
	}
	if (x->switched) {
		take_over(x, dir);
		return STEP_ON;
	}
	if (h->skip)
		return STEP_ON;
	if (r == PARSE_MORE && *used < n)
		return STEP_KEEP;
	if (!*used)
		*used = n;	/* done, it says, and moved nothing: it does not want them */
	return STEP_ON;
}

/* Completes what is kept from p; returns how many of its bytes were used. */
static size_t run_kept(struct px *x, enum dir dir, const uint8_t *p, size_t n)
{
	struct half *h = &x->f->half[dir];
	size_t take = h->keep_len > KEEP_FIRST ? h->keep_len : KEEP_FIRST, used, at = 0, size;
	uint32_t len;
	uint8_t *buf;

	if (h->need > h->keep_len)
		take = h->need - h->keep_len;
	if (take > PROTO_KEEP_MAX - h->keep_len)
		take = PROTO_KEEP_MAX - h->keep_len;
	if (take > n)
		take = n;
	if (!take || h->need > PROTO_KEEP_MAX || !keep_add(x, h, p, take)) {
		keep_too_long(x);
		return n;
	}
	if (h->keep_len < h->need)
		return take;
	buf = h->keep;
	len = h->keep_len;
	size = (size_t)1 << h->keep_class;
	h->keep = NULL;
	h->keep_len = 0;
	while (at < len && x->f->feed == FEED_PARSE) {
		if (h->skip) {
			size_t k = h->skip < len - at ? (size_t)h->skip : len - at;

			h->skip -= k;
			at += k;
			continue;
		}
		if (step(x, dir, buf + at, len - at, &used) == STEP_KEEP) {
			at += used;
			if (at)
				memmove(buf, buf + at, len - at);
			h->keep = buf;
			h->keep_len = (uint32_t)(len - at);
			h->keep_class = (uint8_t)__builtin_ctzll(size);
			return take;
		}
		at += used;
	}
	if (at < len && x->f->feed == FEED_SEEK)
		feed_stream(x, dir, buf + at, len - at);	/* it handed over in the middle: at most SWITCHES_MAX deep */
	mem_release(x->d->mem, buf, size);
	return take;
}

void feed_stream(struct px *x, enum dir dir, const uint8_t *p, size_t n)
{
	struct flow *f = x->f;
	struct half *h = &f->half[dir];

	while (n && f->feed != FEED_OFF) {
		size_t used;

		if (h->skip) {
			used = h->skip < n ? (size_t)h->skip : n;
			h->skip -= used;
		} else if (f->feed == FEED_SEEK) {
			used = seek_bytes(x, dir, p, n, false);
		} else if (h->keep_len) {
			used = run_kept(x, dir, p, n);
		} else if (h->need > n) {
			if (h->need > PROTO_KEEP_MAX || !keep_add(x, h, p, n))
				keep_too_long(x);
			return;
		} else if (step(x, dir, p, n, &used) == STEP_KEEP) {
			if (h->need > PROTO_KEEP_MAX || !keep_add(x, h, p + used, n - used))
				keep_too_long(x);
			return;
		}
		p += used;
		n -= used;
	}
}

void feed_datagram(struct px *x, enum dir dir, const uint8_t *p, size_t n)
{
	struct flow *f = x->f;
	struct cursor c;
	enum parse r;

	if (!n)
		return;
	if (f->feed == FEED_SEEK && seek_bytes(x, dir, p, n, true) == n)
		return;
	if (f->feed != FEED_PARSE)
		return;
	c = cur_of(p, n);
	call_begins(x, dir);
	r = f->proto->parse(x, f->state_mem, dir, &c);
	f->half[dir].need = 0;
	f->half[0].skip = f->half[1].skip = 0;
	if (r != PARSE_DONE) {
		count(x->d, DPI_C_PARSE_BAD);
		judge_unreadable(x);
		feed_off(x);
	} else if (x->stop) {
		feed_off(x);
	} else if (x->switched) {
		take_over(x, dir);
		if (!cur_used(&c))	/* handed over unread: at most SWITCHES_MAX deep */
			feed_datagram(x, dir, p, n);
	}
}

/* Behind a gap it finds no beginning any more. Where packets are held what it says now is what cannot be read: who makes a gap must not go unread by it. */
static void lost(struct px *x)
{
	if (x->f->held)
		judge_unreadable(x);
	feed_off(x);
}

void feed_gap(struct px *x, enum dir dir, uint64_t len)
{
	struct flow *f = x->f;
	struct half *h = &f->half[dir];
	enum parse r;
	uint64_t skipped = h->skip < len ? h->skip : len;

	count(x->d, DPI_C_GAPS);
	tell_anomaly(x, ANOM_STREAM_GAP);
	h->skip -= skipped;
	len -= skipped;
	if (!len || f->feed == FEED_OFF)
		return;
	keep_free(x->d, h);
	if (f->feed == FEED_SEEK) {
		seek_gap(x);
		return;
	}
	if (!f->proto->gap) {
		lost(x);
		return;
	}
	call_begins(x, dir);
	r = f->proto->gap(x, f->state_mem, dir, len);
	if (r != PARSE_DONE)
		lost(x);
	else if (x->stop)
		feed_off(x);
	else if (x->switched)
		take_over(x, dir);
}

bool feed_differs(const struct px *x, enum dir dir, uint32_t seq, const uint8_t *p, size_t n)
{
	const struct half *h = &x->f->half[dir];
	struct bytes kept = h->keep_len ? (struct bytes){ h->keep, h->keep_len } : seek_kept(x->f, dir);
	uint32_t stop = h->next - (h->flags & HALF_FIN ? 1 : 0), start = stop - (uint32_t)kept.n, from, to;	/* a FIN has a place, and no byte */

	if (!kept.n || h->flags & HALF_URG_SEEN)
		return false;
	from = (int32_t)(seq - start) > 0 ? seq : start;
	to = (int32_t)(seq + (uint32_t)n - stop) < 0 ? seq + (uint32_t)n : stop;
	return (int32_t)(to - from) > 0 && memcmp(kept.p + (from - start), p + (from - seq), to - from) != 0;
}
