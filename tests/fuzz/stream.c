/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream: one TCP connection of which one end, either of the two, sends whatever the fuzzer says, and the other is a Linux (receiver.c) that
 * acknowledges, changes its window, is slow to acknowledge, and says something itself now and then.
 *
 * The core sees every packet, in the order in which they come, as the mirror shows them or held as the queue holds them. Then
 *   held      after each packet the core has judged exactly what the receiver's application got, and no packet of the honest end is dropped
 *   mirror    never more than that, and at the end, when all is acknowledged, exactly that: what waits for an acknowledgement may come late
 *   mirror    after a contradiction was told the two may differ
 *   both      the core knows the connection closed exactly when the receiver does, and nothing was lost, so there are no gaps
 * Held, a packet that the core drops never reaches the receiver. Not asked here: held segments that reach past the window, which kernels
 * take or not by what their application has read. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dpi/engine.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/receiver.h"

#define STEPS 200
#define SAYS_MAX 4080

/* ---- what the core judged ---- */

static struct judged {
	uint8_t byte[2][RECEIVER_BYTES];
	size_t n[2];
	uint64_t gap;
} judged;

static enum probe any_probe(const struct probe_in *in)
{
	(void)in;
	return PROBE_YES;
}

static enum parse any_parse(struct px *x, void *state, enum dir dir, struct cursor *in)
{
	struct bytes b = cur_bytes(in, cur_left(in));

	(void)x;
	(void)state;
	if (judged.n[dir] + b.n <= RECEIVER_BYTES && b.n)
		memcpy(judged.byte[dir] + judged.n[dir], b.p, b.n);
	judged.n[dir] += b.n;
	return PARSE_DONE;
}

static enum parse any_gap(struct px *x, void *state, enum dir dir, uint64_t len)
{
	(void)x;
	(void)state;
	(void)dir;
	judged.gap += len;
	return PARSE_DONE;
}

static const struct proto any = { .name = "echo", .app = APP_ECHO, .event = EV_APP, .l4 = PROTO_TCP, .probe = any_probe, .parse = any_parse, .gap = any_gap };
static const struct proto *const only_any[] = { &any, NULL };

/* ---- the wire ---- */

struct scene {
	struct dpi *d;
	struct receiver r;
	bool held, attacker_down;	/* the attacker is the responder */
	bool consistent;		/* bytes follow from their place: overlaps never contradict */
	int64_t now;
	uint32_t clock;			/* the attacker's timestamps */
	uint32_t honest_clock;
	uint64_t said;			/* bytes of the honest end */
	int step;
};

struct say {
	uint8_t flags;
	uint32_t seq, ack;
	uint16_t window, urgent;
	bool has_ts, syn_options;
	uint32_t tsval;
	const uint8_t *p;
	size_t n;
};

static struct answer wire(struct scene *s, bool down, const struct say *y)
{
	static uint8_t b[60 + 20 + SAYS_MAX];
	size_t opts = 0, head;
	struct frame f = { .ts = s->now, .link = LINK_RAW, .flags = FRAME_CSUM_VALID, .held = s->held, .path = 1 };

	memset(b, 0, 80);
	if (y->syn_options) {
		uint8_t scale = down == s->attacker_down ? s->r.peer_wscale : s->r.wscale;

		b[40] = 3, b[41] = 3, b[42] = scale, b[43] = 1;
		opts = 4;
		if (s->r.sack) {
			b[44] = 4, b[45] = 2, b[46] = b[47] = 1;
			opts = 8;
		}
	}
	if (y->has_ts) {
		uint8_t *o = b + 40 + opts;

		o[0] = o[1] = 1, o[2] = 8, o[3] = 10;
		put32(o + 4, y->tsval);
		opts += 12;
	}
	head = 40 + opts;
	b[0] = 0x45;
	put16(b + 2, head + y->n);
	b[8] = 64;
	b[9] = IPPROTO_TCP;
	b[12] = b[16] = 10;
	b[15] = down ? 2 : 1;
	b[19] = down ? 1 : 2;
	put16(b + 20, down ? 7 : 40000);
	put16(b + 22, down ? 40000 : 7);
	put32(b + 24, y->seq);
	put32(b + 28, y->flags & TCP_ACK ? y->ack : 0);
	b[32] = (uint8_t)((20 + opts) / 4 << 4);
	b[33] = y->flags;
	put16(b + 34, y->window);
	put16(b + 38, y->urgent);
	put_ip4_sum(b);
	if (y->n)
		memcpy(b + head, y->p, y->n);
	return fuzz_give(s->d, &f, b, head + y->n);
}

/* FUZZ_TRACE=1: each packet, for who looks at a find. Numbers are relative to what the receiver expects. */
static void trace(const struct scene *s, bool honest_end, const struct say *y, enum verdict v)
{
	static int on = -1;

	if (on < 0)
		on = getenv("FUZZ_TRACE") != NULL;
	if (on)
		fprintf(stderr, "%3d %s %s flags %02x seq %+d ack %+d n %zu win %u urg %u ts %d %u: %s; expects %u window %u acked %llu\n", s->step, s->held ? "held" : "mirror",
			honest_end ? "<-" : "->", y->flags, (int)(y->seq - (honest_end ? s->r.snd_nxt : s->r.nxt)), (int)(y->ack - (honest_end ? s->r.nxt : s->r.snd_nxt)),
			y->n, y->window, y->urgent, y->has_ts, y->tsval, verdict_name(v), s->r.nxt, s->r.wup + s->r.window - s->r.nxt, (unsigned long long)s->r.acked);
}

static void honest(struct scene *s, const struct say *y)
{
	enum verdict v = wire(s, !s->attacker_down, y).verdict;

	trace(s, true, y, v);
	if (v == VERDICT_DROP)
		fuzz_disagree("step %d: a packet of the honest end was dropped", s->step);
}

/* The honest end sends n bytes, or only an acknowledgement, and offers a window. */
static void answer(struct scene *s, uint32_t window, size_t n)
{
	static uint8_t b[SAYS_MAX];
	struct say y = { .flags = TCP_ACK, .seq = s->r.snd_nxt, .ack = s->r.nxt, .has_ts = s->r.ts, .tsval = ++s->honest_clock, .p = b, .n = n };

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(s->said + i);
	y.window = (uint16_t)(receiver_offer(&s->r, window) >> s->r.wscale);
	honest(s, &y);
	s->r.snd_nxt += (uint32_t)n;
	s->said += n;
}

/* ---- one step of the attacker's ---- */

static void attack(struct scene *s, struct cursor *c, uint8_t how, uint32_t window, uint8_t *quiet)
{
	static uint8_t b[SAYS_MAX];
	uint8_t what = cur_u8(c), n = cur_u8(c);
	uint32_t edge = s->r.wup + s->r.window;
	struct say y = { .flags = TCP_ACK, .window = 65535, .has_ts = s->r.ts, .tsval = s->clock++, .p = b };
	struct arrival a;
	struct answer v;

	y.seq = s->r.nxt + (how & 0x08 ? (uint32_t)(int32_t)(int16_t)cur_be16(c) : 0);
	y.ack = s->r.snd_nxt + (how & 0x10 ? (uint32_t)(int32_t)(int16_t)cur_be16(c) : 0);
	if (how & 0x20)
		y.tsval += (uint32_t)((int8_t)cur_u8(c) * (what & 1 ? 1 : 100000));
	if (how & 0x40)
		y.flags = cur_u8(c);
	if (y.flags & TCP_URG)
		y.urgent = cur_u8(c);
	if (what & 2)
		y.has_ts = false;
	y.n = y.flags & (TCP_SYN | TCP_RST) ? 0 : n * (what & 4 ? 16u : 1u);
	if (s->held && y.n && (int32_t)(edge - y.seq) >= 0 && y.n > edge - y.seq) {
		y.n = edge - y.seq;
		y.flags = (uint8_t)(y.flags & ~TCP_FIN);
	}
	if (y.flags & TCP_RST && !s->held)	/* whether it took what reaches past its window only it knows until it says so */
		answer(s, window, 0);
	if (y.flags & TCP_RST && s->r.blocks_lost && y.seq != s->r.nxt)
		y.seq = s->r.nxt;	/* which ranges it still remembers is not to be known from outside */
	if (!s->held && y.n && edge == s->r.nxt) {	/* whether the header of a segment counts that finds no window at all depends on the kernel */
		y.flags = (uint8_t)(y.flags & ~TCP_URG);
		y.ack = s->r.una;
		y.tsval = s->r.ts_recent;
	}
	for (size_t i = 0; i < y.n; i++)
		b[i] = (uint8_t)((y.seq + i) * 7 + (s->consistent ? 0 : what >> 4));
	*quiet = what & 8;
	v = wire(s, s->attacker_down, &y);
	trace(s, false, &y, v.verdict);
	if (v.verdict == VERDICT_DROP && s->held)
		return;
	if (v.flags & ANSWER_CALM)	/* it goes on without */
		y.flags &= (uint8_t)~TCP_URG;
	a = (struct arrival){ .flags = y.flags, .seq = y.seq, .ack = y.ack, .window = y.window, .urgent = y.urgent, .has_ts = y.has_ts, .tsval = y.tsval, .p = b, .n = y.n };
	receiver_take(&s->r, &a, s->now / SEC);
}

/* ---- comparing ---- */

static void compare(const struct scene *s, bool exactly)
{
	enum dir from = s->attacker_down ? DIR_TOCLIENT : DIR_TOSERVER;
	size_t n = judged.n[from], want = s->r.ngot;
	const struct flow *f = flow_at(&s->d->flows, 1);
	bool closed = f->state == FLOW_CLOSED;

	if (s->d->flows.used != 1)
		fuzz_disagree("step %d: %u flows", s->step, s->d->flows.used);
	if (!s->held && f->anomalies >> ANOM_STREAM_OVERLAP & 1) {
		if (s->consistent)
			fuzz_disagree("step %d: a contradiction was told, but there was none", s->step);
		return;
	}
	if (judged.gap)
		fuzz_disagree("step %d: a gap of %llu bytes, but nothing was lost", s->step, (unsigned long long)judged.gap);
	if (n > want || (exactly && n != want))
		fuzz_disagree("step %d: %zu bytes judged, %zu read", s->step, n, want);
	if (memcmp(judged.byte[from], s->r.got, n))
		fuzz_disagree("step %d: other bytes judged than read", s->step);
	if (closed != s->r.closed)
		fuzz_disagree("step %d: the core says %s, the receiver %s", s->step, closed ? "closed" : "open", s->r.closed ? "closed" : "open");
	if (exactly && !closed && judged.n[!from] != s->said)
		fuzz_disagree("step %d: %zu bytes of the honest end judged, it sent %llu", s->step, judged.n[!from], (unsigned long long)s->said);
}

/* ---- the whole ---- */

static void handshake(struct scene *s, struct cursor *c)
{
	uint8_t opts = cur_u8(c), scales = cur_u8(c), window = cur_u8(c);
	uint32_t mine = opts & 0x20 ? 0xfffffff0 : 1000, its = opts & 0x40 ? 0xfffffe00 : 5000, offer = window ? window * 257u : 0;
	struct say syn, syn_ack, ack;

	s->attacker_down = opts & 1;
	s->held = opts & 2;
	s->consistent = opts & 4;
	s->clock = opts & 0x80 ? 0xffffff00 : 100;
	s->honest_clock = 500;
	s->r = (struct receiver){ .ts = opts & 8, .sack = opts & 16, .wscale = scales & 7, .peer_wscale = scales >> 3 & 7, .strict_window = scales & 0x40 && !s->held };
	syn = (struct say){ .flags = TCP_SYN, .window = 65535, .syn_options = true, .has_ts = s->r.ts };
	syn_ack = (struct say){ .flags = TCP_SYN | TCP_ACK, .window = 65535, .syn_options = true, .has_ts = s->r.ts };
	ack = (struct say){ .flags = TCP_ACK, .window = 65535, .has_ts = s->r.ts };
	s->r.ts_recent = s->r.ts ? s->clock : 0;
	s->r.ts_second = s->now / SEC;
	s->r.nxt = s->r.wup = mine + 1;
	s->r.una = s->r.snd_nxt = its + 1;
	s->r.window = offer;
	s->r.max_window = 65535;
	if (s->attacker_down) {
		syn.seq = its, syn.window = (uint16_t)offer, syn.tsval = s->honest_clock;
		syn_ack.seq = mine, syn_ack.ack = its + 1, syn_ack.tsval = s->clock++;
		s->r.acked = 1;		/* its SYN */
		wire(s, false, &syn);
		wire(s, true, &syn_ack);
		answer(s, offer, 0);
		return;
	}
	syn.seq = mine, syn.tsval = s->clock++;
	syn_ack.seq = its, syn_ack.ack = mine + 1, syn_ack.window = (uint16_t)offer, syn_ack.tsval = s->honest_clock;
	ack.seq = mine + 1, ack.ack = its + 1, ack.tsval = s->clock++;
	wire(s, false, &syn);
	wire(s, true, &syn_ack);
	wire(s, false, &ack);
	receiver_take(&s->r, &(struct arrival){ .flags = TCP_ACK, .seq = ack.seq, .ack = ack.ack, .window = 65535, .has_ts = ack.has_ts, .tsval = ack.tsval }, s->now / SEC);
}

void fuzz_stream(struct dpi *d, struct cursor c)
{
	static struct scene s;
	uint32_t window;

	memset(&s, 0, offsetof(struct scene, r));
	judged.n[0] = judged.n[1] = 0;
	judged.gap = 0;
	d->protos = only_any;
	free(d->hints);
	d->hints = NULL;
	if (!seek_init(d))
		abort();
	s.d = d;
	s.now = 1000 * 1000 * MS;
	s.said = 0;
	handshake(&s, &c);
	window = s.r.window;
	for (s.step = 0; s.step < STEPS && cur_left(&c) >= 3 && !s.r.closed; s.step++) {
		uint8_t how = cur_u8(&c), quiet = 0;

		s.now += MS;
		switch (how & 7) {
		case 5:
			answer(&s, window, cur_u8(&c) & 63);
			break;
		case 6:
			window = cur_u8(&c) * 256u;
			answer(&s, window, 0);
			break;
		case 7:
			s.now += cur_u8(&c) * (how & 8 ? 300 : 1) * MS;
			if (how & 8)	/* nobody is silent for so long that the core forgets it */
				answer(&s, window, 0);
			break;
		default:
			attack(&s, &c, how, window, &quiet);
			if (!quiet && !s.r.closed)
				answer(&s, window, 0);
		}
		compare(&s, s.held);
	}
	if (!s.r.closed) {
		answer(&s, window, 0);
		compare(&s, true);
	}
	receiver_free(&s.r);
	s.r.nsegs = 0;
}
