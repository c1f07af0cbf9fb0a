/* SPDX-License-Identifier: GPL-2.0-or-later */
/* elasticsearch: what the nodes of a cluster say to each other. The HTTP interface is http, named more precisely there.
 *
 *   TCP: "ES" length(4) request(8) status(1: bit 0 answer, bit 1 error, bit 2 compressed, bit 3 handshake) version(4) ...
 *   UDP: 01 09 08 04 version ...   (multicast discovery of old versions)
 *
 * One `elasticsearch` event per request that names an action, when its answer is there. Where the action stands in a request differs by
 * version and is behind lists of any length: it is found by its form, a length byte and "word:word" or "word/word" of that length. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEAD 19u
#define LENGTH_MAX (1u << 30)
#define LOOK 512u		/* bytes of a request in which the action is looked for */
#define PING ((uint64_t)0xffffffff)	/* a length: no message */

static const struct fact f_action = { "action", FACT_OPERATION }, f_error = { "error", FACT_PLAIN };
static const struct fact *const facts[] = { &f_action, &f_error, NULL };

struct elasticsearch {
	struct asks asks;
};

/* Ids of versions: 0.18 to 9 as their decimal digits, e.g. 6080199; handshakes carry them too. */
static bool version_ok(uint32_t v) { return (v & 0x08000000 ? v ^ 0x08000000 : v) < 100000000 && v >= 180000; }

static enum probe probe(const struct probe_in *in)
{
	static const uint8_t cast[] = { 1, 9, 8, 4 };
	struct cursor c = in->dir[in->now];
	uint32_t n;
	uint8_t status;

	if (in->l4 == PROTO_UDP) {
		if (!cur_starts(&c, cast, sizeof(cast)) || cur_left(&c) < 24)
			return PROBE_NO;
		for (unsigned i = 4; i < 8; i++)	/* the version: a number of four bytes, low ones first */
			if (!(cur_peek(&c, i) & 0x80))
				return cur_peek(&c, i) ? PROBE_YES : PROBE_NO;
		return PROBE_NO;
	}
	if (cur_peek(&c, 0) != 'E' || (cur_left(&c) > 1 && cur_peek(&c, 1) != 'S'))
		return PROBE_NO;
	if (cur_left(&c) < 6)
		return PROBE_MORE;
	cur_skip(&c, 2);
	n = cur_be32(&c);
	if (n == PING)
		return PROBE_MORE;
	if (n < HEAD - 6 || n > LENGTH_MAX)
		return PROBE_NO;
	if (cur_left(&c) < HEAD - 6)
		return PROBE_MORE;
	cur_skip(&c, 8);
	status = cur_u8(&c);
	return status < 16 && version_ok(cur_be32(&c)) ? PROBE_YES : PROBE_NO;
}

static bool action_ok(struct bytes b)
{
	bool parts = false;

	for (size_t i = 0; i < b.n; i++) {
		uint8_t c = b.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '[' || c == ']' || c == '*' ||
		      c == '.' || ((c == ':' || c == '/') && i)))
			return false;
		parts |= c == ':' || c == '/';
	}
	return parts;
}

static struct bytes action_find(struct cursor c)
{
	while (cur_left(&c) > 8) {
		uint8_t n = cur_u8(&c);
		struct cursor ahead = c;
		struct bytes b = n >= 8 && n < 128 ? cur_bytes(&ahead, n) : (struct bytes){ NULL, 0 };

		if (b.n && action_ok(b))
			return b;
	}
	return (struct bytes){ NULL, 0 };
}

static void message(struct px *px, struct elasticsearch *s, struct cursor c)
{
	struct bytes action;
	struct record *r;
	uint8_t status;
	uint64_t id;
	int i;

	cur_skip(&c, 6);
	id = cur_be64(&c);
	status = cur_u8(&c);
	cur_skip(&c, 4);
	if (!(status & 1)) {
		action = status & 4 ? (struct bytes){ NULL, 0 } : action_find(c);
		if (!action.n)
			return;
		r = px_record(px);
		rec_bytes(r, &f_action, action);
		px_judge(px, r);
		asks_add(px, &s->asks, id, r);
		return;
	}
	i = asks_find(&s->asks, id);
	if (i < 0)
		return;
	r = asks_record(px, &s->asks, i);
	if (status & 2)
		rec_cstr(r, &f_error, "exception");
	asks_tell(px, &s->asks, i, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct elasticsearch *s = state;

	s->asks.event = EV_APP;
	if (px_l4(px) == PROTO_UDP) {
		px_stop(px);
		return PARSE_DONE;
	}
	while (cur_more(in)) {
		struct cursor c = *in, view;
		uint32_t n;

		if (cur_left(in) < 6)
			return msg_more(px, 6);
		cur_skip(&c, 2);
		n = cur_be32(&c);
		if (!cur_starts(in, "ES", 2) || (n != PING && (n < HEAD - 6 || n > LENGTH_MAX)))
			return msg_bad(px, "elasticsearch.bad_message");
		if (n == PING) {
			*in = c;
			continue;
		}
		if (msg_take(px, dir, in, (uint64_t)n + 6, LOOK, &view) == PARSE_MORE)
			return PARSE_MORE;
		message(px, s, view);
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct elasticsearch *s = state;

	asks_end(px, &s->asks);
}

static const uint16_t ports[] = { 9300, 54328, 0 };

const struct proto proto_elasticsearch = {
	.name = "elasticsearch", .app = APP_ELASTICSEARCH, .event = EV_APP, .l4 = PROTO_TCP | PROTO_UDP, .ports = ports,
	.state_size = sizeof(struct elasticsearch), .probe = probe, .parse = parse, .end = end, .facts = facts,
};
