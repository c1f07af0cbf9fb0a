/* SPDX-License-Identifier: GPL-2.0-or-later */
/* consul: servers' RPC: 04, then yamux, in it 00 and MessagePack RPC. One `consul` event per call.
 *
 *   yamux: 00 type(1) flags(2) stream(4) length(4); type 0 is data of that length */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEAD 12u
#define LOOK 512u

static const struct fact f_method = { "method", FACT_OPERATION };
static const struct fact *const facts[] = { &f_method, NULL };

struct consul {
	uint32_t next_tx;
	bool begun;
};

static enum probe probe(const struct probe_in *in)
{
	static const uint8_t lit[] = { 4, 0, 1, 0, 1, 0, 0, 0, 1 };	/* a window update opens stream 1 */
	const struct cursor *c = &in->dir[DIR_TOSERVER];
	size_t n = cur_left(c);

	if (!n || memcmp(c->pos, lit, n < sizeof(lit) ? n : sizeof(lit)))
		return PROBE_NO;
	return n < sizeof(lit) ? PROBE_MORE : PROBE_YES;
}

/* {"ServiceMethod": "Catalog.ListServices", "Seq": 1} */
static struct bytes method_find(struct cursor c)
{
	static const char key[] = "\xadServiceMethod";
	uint8_t n;

	while (cur_more(&c) && !cur_starts(&c, key, sizeof(key) - 1))
		cur_skip(&c, 1);
	if (!cur_skip(&c, sizeof(key) - 1))
		return (struct bytes){ NULL, 0 };
	n = cur_u8(&c);
	if (n == 0xd9)
		n = cur_u8(&c);
	else if ((n & 0xe0) == 0xa0)
		n &= 0x1f;
	else
		n = 0;
	return cur_bytes(&c, n);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct consul *s = state;

	if (dir == DIR_TOSERVER && !s->begun) {
		cur_skip(in, 1);
		s->begun = true;
	}
	while (cur_more(in)) {
		struct cursor c = *in, view;
		uint16_t version_type;
		struct bytes method;
		struct record *r;
		uint32_t n;

		if (cur_left(in) < HEAD)
			return msg_more(px, HEAD);
		version_type = cur_be16(&c);
		cur_skip(&c, 6);
		n = cur_be32(&c);
		if (version_type > 3)
			return msg_bad(px, "consul.bad_frame");
		if (msg_take(px, dir, in, version_type ? HEAD : (uint64_t)n + HEAD, LOOK, &view) == PARSE_MORE)
			return PARSE_MORE;
		if (dir == DIR_TOCLIENT || version_type)
			continue;
		cur_skip(&view, HEAD);
		method = method_find(view);
		if (!is_printable(method))
			continue;
		r = px_record(px);
		rec_bytes(r, &f_method, method);
		say(px, dir, EV_APP, s->next_tx++, r);
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 8300, 0 };

const struct proto proto_consul = {
	.name = "consul", .app = APP_CONSUL, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct consul),
	.probe = probe, .parse = parse, .facts = facts,
};
