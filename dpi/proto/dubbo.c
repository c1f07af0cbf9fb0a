/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dubbo: Apache Dubbo. One `dubbo` event per call, when its answer is there; at the end of the flow without one.
 *
 *   da bb, flags(1: 80 request, 40 two way, 20 event, low bits: serialization), status(1), number(8), length(4), body
 *   a request's body in Hessian (2): strings: version, service, version of the service, method ...; in JSON (6): the same, one a line in quotes */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEAD 16u
#define LENGTH_MAX (256u << 20)
#define LOOK 1024u

static const struct fact f_service = { "service", FACT_OBJECT }, f_method = { "method", FACT_OPERATION }, f_version = { "version", FACT_PLAIN },
	f_status = { "status", FACT_PLAIN };
static const struct fact *const facts[] = { &f_service, &f_method, &f_version, &f_status, NULL };

struct dubbo {
	struct asks asks;
};

struct head {
	uint8_t flags, status;
	uint64_t id;
	uint32_t len;
};

static bool head(struct cursor *c, struct head *h)
{
	uint8_t kind;

	if (cur_be16(c) != 0xdabb)
		return false;
	h->flags = cur_u8(c);
	h->status = cur_u8(c);
	h->id = cur_be64(c);
	h->len = cur_be32(c);
	kind = h->flags & 0x1f;
	return cur_ok(c) && kind && h->len <= LENGTH_MAX && (h->flags & 0x80 || (h->status >= 20 && h->status <= 100));
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	struct head h;

	if (cur_peek(&c, 0) != 0xda || (cur_left(&c) > 1 && cur_peek(&c, 1) != 0xbb))
		return PROBE_NO;
	if (cur_left(&c) < HEAD)
		return PROBE_MORE;
	return head(&c, &h) ? PROBE_YES : PROBE_NO;
}

static struct bytes hessian_string(struct cursor *c)
{
	uint8_t tag = cur_u8(c);

	if (tag < 0x20)
		return cur_bytes(c, tag);
	if (tag >= 0x30 && tag <= 0x33)
		return cur_bytes(c, (tag - 0x30u) << 8 | cur_u8(c));
	if (tag == 'S')
		return cur_bytes(c, cur_be16(c));
	if (tag != 'N')
		cur_fail(c);
	return (struct bytes){ NULL, 0 };
}

static struct bytes json_string(struct cursor *c)
{
	struct bytes b = { NULL, 0 };

	if (!cur_line(c, &b))
		cur_fail(c);
	if (b.n >= 2 && b.p[0] == '"')
		b = (struct bytes){ b.p + 1, b.n - 2 };
	return b;
}

static void message(struct px *px, struct dubbo *s, const struct head *h, struct cursor c)
{
	struct record *r;
	int i;

	if (h->flags & 0x20)	/* heartbeats */
		return;
	if (h->flags & 0x80) {
		uint8_t kind = h->flags & 0x1f;
		struct bytes (*next)(struct cursor *) = kind == 6 ? json_string : hessian_string;
		struct bytes part[4] = { { NULL, 0 } };

		r = px_record(px);
		for (unsigned k = 0; k < 4 && (kind == 2 || kind == 6); k++)
			part[k] = next(&c);
		if (cur_ok(&c) && is_printable(part[1]) && is_printable(part[3])) {
			rec_bytes(r, &f_service, part[1]);
			rec_bytes(r, &f_method, part[3]);
			if (is_printable(part[2]))
				rec_bytes(r, &f_version, part[2]);
		}
		px_judge(px, r);
		if (h->flags & 0x40)
			asks_add(px, &s->asks, h->id, r);
		else
			asks_tell_now(px, &s->asks, r);
		return;
	}
	i = asks_find(&s->asks, h->id);
	if (i < 0)
		return;
	r = asks_record(px, &s->asks, i);
	rec_u64(r, &f_status, h->status);
	asks_tell(px, &s->asks, i, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct dubbo *s = state;

	s->asks.event = EV_APP;
	while (cur_more(in)) {
		struct cursor c = *in, view;
		struct head h;

		if (cur_left(in) < HEAD)
			return msg_more(px, HEAD);
		if (!head(&c, &h))
			return msg_bad(px, "dubbo.bad_message");
		if (msg_take(px, dir, in, (uint64_t)h.len + HEAD, LOOK, &view) == PARSE_MORE)
			return PARSE_MORE;
		cur_skip(&view, HEAD);
		message(px, s, &h, view);
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct dubbo *s = state;

	asks_end(px, &s->asks);
}

static const uint16_t ports[] = { 20880, 0 };

const struct proto proto_dubbo = {
	.name = "dubbo", .app = APP_DUBBO, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct dubbo),
	.probe = probe, .parse = parse, .end = end, .facts = facts,
};
