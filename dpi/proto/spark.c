/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spark: Apache Spark's own transport. length(8, of all) type(1) ...; RPC: number(8) length(4, of the rest), which must agree. One `spark` event per
 * RPC: the endpoint that is called.
 *
 *   request: 1 and the sender's host and port, or 0; the same of the receiver; the endpoint's name; strings have two bytes of length */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEAD 9u
#define RPC_HEAD 21u
#define LENGTH_MAX ((uint64_t)1 << 40)
#define LOOK 1024u

enum { RPC = 3, ONE_WAY = 9 };

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_endpoint = { "endpoint", FACT_OBJECT };
static const struct fact *const facts[] = { &f_operation, &f_endpoint, NULL };

struct spark {
	uint32_t next_tx;
};

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[DIR_TOSERVER];
	uint64_t n;

	for (unsigned i = 0; i < 4 && i < cur_left(&c); i++)
		if (cur_peek(&c, i))
			return PROBE_NO;
	if (cur_left(&c) < RPC_HEAD)
		return cur_left(&c) ? PROBE_MORE : PROBE_NO;
	n = cur_be64(&c);
	if (n <= RPC_HEAD || n > 0xffffff || cur_u8(&c) != RPC)
		return PROBE_NO;
	cur_skip(&c, 8);
	return cur_be32(&c) == n - RPC_HEAD && cur_peek(&c, 0) <= 1 ? PROBE_YES : PROBE_NO;
}

static void address(struct cursor *c)
{
	if (cur_u8(c)) {
		cur_skip(c, cur_be16(c));
		cur_skip(c, 4);
	}
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct spark *s = state;

	while (cur_more(in)) {
		struct cursor c = *in, view;
		struct bytes name;
		struct record *r;
		uint8_t type;
		uint64_t n;

		if (cur_left(in) < HEAD)
			return msg_more(px, HEAD);
		n = cur_be64(&c);
		type = cur_u8(&c);
		if (n < HEAD || n > LENGTH_MAX)
			return msg_bad(px, "spark.bad_frame");
		if (type != RPC && type != ONE_WAY) {
			msg_pass(px, dir, in, n);
			continue;
		}
		if (msg_take(px, dir, in, n, LOOK, &view) == PARSE_MORE)
			return PARSE_MORE;
		cur_skip(&view, type == RPC ? RPC_HEAD : RPC_HEAD - 8);
		address(&view);
		address(&view);
		name = cur_bytes(&view, cur_be16(&view));
		r = px_record(px);
		rec_cstr(r, &f_operation, type == RPC ? "rpc" : "one_way");
		if (cur_ok(&view) && is_printable(name))
			rec_bytes(r, &f_endpoint, name);
		say(px, dir, EV_APP, s->next_tx++, r);
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 7077, 0 };

const struct proto proto_spark = {
	.name = "spark", .app = APP_SPARK, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct spark),
	.probe = probe, .parse = parse, .facts = facts,
};
