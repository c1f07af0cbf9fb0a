/* SPDX-License-Identifier: GPL-2.0-or-later */
/* brpc: baidu_std of Apache bRPC. One `brpc` event per call, when its answer is there.
 *
 *   "PRPC" body size(4) meta size(4), then meta (protobuf) and the payload; both are in the body size
 *   meta: 1 { 1 service, 2 method } of a request, 2 { 1 error code } of an answer, 4 number of the call */
#include "dpi/message.h"
#include "dpi/pb.h"
#include "dpi/proto/told.h"

#define HEAD 12u
#define META_MAX 32768u
#define BODY_MAX (512u << 20)

static const struct fact f_service = { "service", FACT_OBJECT }, f_method = { "method", FACT_OPERATION }, f_code = { "error_code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_service, &f_method, &f_code, NULL };

struct brpc {
	struct asks asks;
};

static bool head(struct cursor *c, uint32_t *body, uint32_t *meta)
{
	cur_skip(c, 4);
	*body = cur_be32(c);
	*meta = cur_be32(c);
	return cur_ok(c) && *meta && *meta <= META_MAX && *meta <= *body && *body <= BODY_MAX;
}

static enum probe probe(const struct probe_in *in)
{
	static const char magic[] = "PRPC";
	struct cursor c = in->dir[in->now];
	uint32_t body, meta;

	for (unsigned i = 0; i < 4 && i < cur_left(&c); i++)
		if (cur_peek(&c, i) != (uint8_t)magic[i])
			return PROBE_NO;
	if (cur_left(&c) < HEAD)
		return PROBE_MORE;
	return head(&c, &body, &meta) ? PROBE_YES : PROBE_NO;
}

static void message(struct px *px, struct brpc *s, struct cursor c)
{
	struct bytes service = { NULL, 0 }, method = { NULL, 0 };
	uint64_t id = 0, code = 0;
	bool answer = false;
	struct pb_field f, g;
	struct record *r;
	int i;

	while (pb_next(&c, &f)) {
		struct cursor sub = cur_of(f.b.p, f.b.n);

		if (f.number == 4)
			id = f.v;
		answer |= f.number == 2;
		while (f.wire == 2 && (f.number == 1 || f.number == 2) && pb_next(&sub, &g)) {
			if (f.number == 1 && g.number == 1)
				service = g.b;
			else if (f.number == 1 && g.number == 2)
				method = g.b;
			else if (f.number == 2 && g.number == 1)
				code = g.v;
		}
	}
	if (!answer) {
		r = px_record(px);
		rec_bytes(r, &f_service, service);
		rec_bytes(r, &f_method, method);
		px_judge(px, r);
		asks_add(px, &s->asks, id, r);
		return;
	}
	i = asks_find(&s->asks, id);
	if (i < 0)
		return;
	r = asks_record(px, &s->asks, i);
	rec_i64(r, &f_code, (int64_t)code);
	asks_tell(px, &s->asks, i, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct brpc *s = state;

	s->asks.event = EV_APP;
	while (cur_more(in)) {
		struct cursor c = *in, view;
		uint32_t body, meta;

		if (cur_left(in) < HEAD)
			return msg_more(px, HEAD);
		if (!cur_starts(in, "PRPC", 4) || !head(&c, &body, &meta))
			return msg_bad(px, "brpc.bad_message");
		if (msg_take(px, dir, in, (uint64_t)body + HEAD, HEAD + meta, &view) == PARSE_MORE)
			return PARSE_MORE;
		cur_skip(&view, HEAD);
		message(px, s, view);
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct brpc *s = state;

	asks_end(px, &s->asks);
}

const struct proto proto_brpc = {
	.name = "brpc", .app = APP_BRPC, .event = EV_APP, .l4 = PROTO_TCP, .state_size = sizeof(struct brpc),
	.probe = probe, .parse = parse, .end = end, .facts = facts,
};
