/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rtp: RFC 3550, and its control protocol (the app then is rtcp). One `rtp` event per flow and direction's first stream.
 *
 *   RTP:   2 and padding, extension, CSRC count(1) marker and payload type(1) sequence(2) timestamp(4) SSRC(4) ...
 *   RTCP:  2 and padding, count(1) type 200 to 207(1) length in words - 1(2) SSRC(4) ..., several in one datagram that they fill
 *
 * There is no magic. RTP is believed when a second datagram of the same direction has the same SSRC and payload type, and a sequence and a
 * timestamp that follow; RTCP when the parts of a compound fill the datagram, the first one is a report, and its size is that of its count. */
#include "dpi/proto/told.h"

#define HEADER 12u

static const struct fact f_pt = { "payload_type", FACT_PLAIN }, f_ssrc = { "ssrc", FACT_PLAIN }, f_cname = { "cname", FACT_OBJECT };
static const struct fact *const facts[] = { &f_pt, &f_ssrc, &f_cname, NULL };

struct rtp {
	bool told[2];
};

struct head {
	uint8_t type;
	uint16_t sequence;
	uint32_t time, ssrc;
};

static bool rtp_read(struct cursor c, struct head *h)
{
	uint8_t first = cur_u8(&c), second = cur_u8(&c), pad;
	size_t n = cur_left(&c) + 2;

	h->type = second & 0x7f;
	h->sequence = cur_be16(&c);
	h->time = cur_be32(&c);
	h->ssrc = cur_be32(&c);
	cur_skip(&c, 4u * (first & 15));
	if (first & 0x10) {
		cur_skip(&c, 2);
		cur_skip(&c, 4u * cur_be16(&c));
	}
	if (!cur_ok(&c) || first >> 6 != 2 || !h->ssrc || (h->type > 34 && h->type < 96))
		return false;
	pad = cur_left(&c) ? cur_peek(&c, cur_left(&c) - 1) : 0;
	return n > HEADER && (!(first & 0x20) || (pad && pad <= cur_left(&c)));
}

/* A compound; *type: of its first part. */
static bool rtcp_good(struct cursor c)
{
	bool first = true;

	if (cur_left(&c) < 8)
		return false;
	while (cur_more(&c)) {
		uint8_t head = cur_u8(&c), type = cur_u8(&c), count = head & 31;
		uint16_t words = cur_be16(&c);

		if (!cur_ok(&c) || head >> 6 != 2 || type < 200 || type > 207)
			return false;
		if (first && ((type != 200 && type != 201) || head & 0x20 || words < (type == 200 ? 6 : 1) + 6u * count))
			return false;
		if (first && words > (type == 200 ? 6 : 1) + 6u * count + 16u)
			return false;
		if (!cur_skip(&c, 4u * words))
			return false;
		first = false;
	}
	return true;
}

static bool follows(const struct head *a, const struct head *b)
{
	uint16_t step = (uint16_t)(b->sequence - a->sequence);

	return a->ssrc == b->ssrc && a->type == b->type && step >= 1 && step <= 32 && b->time - a->time < 32u * 90000u;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *now = &in->dir[in->now], *before = &in->first[in->now];
	struct head h, f;

	if (rtcp_good(*now))
		return cur_left(now) > 8 || (in->dport & 1) ? PROBE_YES : PROBE_NO;
	if (!rtp_read(*now, &h))
		return PROBE_NO;
	if (!cur_left(before) || !rtp_read(*before, &f))
		return PROBE_MORE;
	return follows(&f, &h) ? PROBE_YES : PROBE_NO;
}

/* The name in an SDES of the compound. */
static void tell_cname(struct record *r, struct cursor c)
{
	while (cur_left(&c) >= 4) {
		uint8_t type;
		struct cursor part;

		cur_skip(&c, 1);
		type = cur_u8(&c);
		part = cur_sub(&c, 4u * cur_be16(&c));
		if (!cur_ok(&part))
			return;
		if (type != 202)
			continue;
		cur_skip(&part, 4);
		if (cur_u8(&part) == 1) {
			rec_bytes(r, &f_cname, cur_bytes(&part, cur_u8(&part)));
			return;
		}
	}
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct rtp *s = state;
	struct record *r;
	struct head h;
	bool control = rtcp_good(*in);

	if (!s->told[dir] && (control || rtp_read(*in, &h))) {
		if (control && !s->told[!dir])
			px_set_app(px, APP_RTCP);
		s->told[dir] = true;
		r = px_record(px);
		if (control) {
			struct cursor c = *in;

			cur_skip(&c, 4);
			rec_u64(r, &f_ssrc, cur_be32(&c));
			tell_cname(r, *in);
		} else {
			rec_u64(r, &f_pt, h.type);
			rec_u64(r, &f_ssrc, h.ssrc);
		}
		say(px, dir, EV_APP, UINT32_MAX, r);
	}
	cur_rest(in);
	return PARSE_DONE;
}

const struct proto proto_rtp = {
	.name = "rtp",
	.app = APP_RTP,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.state_size = sizeof(struct rtp),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
