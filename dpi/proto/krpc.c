/* SPDX-License-Identifier: GPL-2.0-or-later */
/* krpc: KRPC (the RPC of the "KR" head). One `krpc` event per call, when its answer is there.
 *
 *   "KR" head size(2) size(4), then the head (protobuf), then the rest of size
 *   head: 1 type (1 request, 2 answer), 2 service, 3 method, 4 number of the call, 14 code of the answer */
#include "dpi/message.h"
#include "dpi/pb.h"
#include "dpi/proto/told.h"

#define HEAD 8u
#define SIZE_LIMIT (64u << 20)

static const struct fact f_service = { "service", FACT_OBJECT }, f_method = { "method", FACT_OPERATION }, f_code = { "error_code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_service, &f_method, &f_code, NULL };

struct krpc {
	struct asks asks;
};

static bool head(struct cursor *c, uint32_t *pb, uint32_t *size)
{
	cur_skip(c, 2);
	*pb = cur_be16(c);
	*size = cur_be32(c);
	return cur_ok(c) && *pb >= 4 && *pb <= *size && *size <= SIZE_LIMIT;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	uint32_t pb, size;
	uint8_t type;

	if (cur_peek(&c, 0) != 'K' || (cur_left(&c) > 1 && cur_peek(&c, 1) != 'R'))
		return PROBE_NO;
	if (cur_left(&c) < HEAD + 3)
		return PROBE_MORE;
	if (!head(&c, &pb, &size) || cur_u8(&c) != 0x08)
		return PROBE_NO;
	type = cur_u8(&c);
	return (type == 1 || type == 2) && cur_u8(&c) == 0x10 ? PROBE_YES : PROBE_NO;
}

static void message(struct px *px, struct krpc *s, struct cursor c)
{
	uint64_t v[16] = { 0 };
	struct pb_field f;
	struct record *r;
	int i;

	while (pb_next(&c, &f))
		if (f.wire == 0 && f.number < 16)
			v[f.number] = f.v;
	if (v[1] == 1) {
		r = px_record(px);
		rec_printf(r, &f_service, "%llu", (unsigned long long)v[2]);
		rec_printf(r, &f_method, "%llu", (unsigned long long)v[3]);
		px_judge(px, r);
		asks_add(px, &s->asks, v[4], r);
		return;
	}
	i = asks_find(&s->asks, v[4]);
	if (i < 0)
		return;
	r = asks_record(px, &s->asks, i);
	rec_i64(r, &f_code, (int64_t)v[14]);
	asks_tell(px, &s->asks, i, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct krpc *s = state;

	s->asks.event = EV_APP;
	while (cur_more(in)) {
		struct cursor c = *in, view;
		uint32_t pb, size;

		if (cur_left(in) < HEAD)
			return msg_more(px, HEAD);
		if (!cur_starts(in, "KR", 2) || !head(&c, &pb, &size))
			return msg_bad(px, "krpc.bad_message");
		if (msg_take(px, dir, in, (uint64_t)size + HEAD, HEAD + pb, &view) == PARSE_MORE)
			return PARSE_MORE;
		cur_skip(&view, HEAD);
		message(px, s, view);
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct krpc *s = state;

	asks_end(px, &s->asks);
}

const struct proto proto_krpc = {
	.name = "krpc", .app = APP_KRPC, .event = EV_APP, .l4 = PROTO_TCP, .state_size = sizeof(struct krpc),
	.probe = probe, .parse = parse, .end = end, .facts = facts,
};
