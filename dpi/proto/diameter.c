/* SPDX-License-Identifier: GPL-2.0-or-later */
/* diameter: RFC 6733 over TCP and SCTP. One `diameter` event per request, when its answer is there.
 *
 *   1 length(3) flags(1) command(3) application(4) hop-by-hop(4) end-to-end(4), then AVPs: code(4) flags(1) length(3) { vendor(4) } value, padded
 *
 * The first AVP must be one of those that messages begin with. Over SCTP a message comes alone. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEADER 20u
#define LENGTH_MAX (1u << 20)
#define LOOK 4096u

static const struct fact f_command = { "command", FACT_OPERATION }, f_app = { "application_id", FACT_PLAIN }, f_session = { "session_id", FACT_PLAIN },
	f_host = { "origin_host", FACT_PLAIN }, f_realm = { "origin_realm", FACT_PLAIN }, f_dst = { "destination_realm", FACT_OBJECT },
	f_user = { "user", FACT_USER }, f_result = { "result_code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_command, &f_app, &f_session, &f_host, &f_realm, &f_dst, &f_user, &f_result, NULL };
static const struct code commands[] = { { 257, "capabilities_exchange" }, { 258, "re_auth" }, { 265, "aa" }, { 268, "eap" }, { 271, "accounting" }, { 272, "credit_control" },
	{ 274, "abort_session" }, { 275, "session_termination" }, { 280, "device_watchdog" }, { 282, "disconnect_peer" }, { 300, "user_authorization" },
	{ 301, "server_assignment" }, { 302, "location_info" }, { 303, "multimedia_auth" }, { 316, "update_location" }, { 317, "cancel_location" },
	{ 318, "authentication_information" }, { 321, "purge_ue" }, { 0, NULL } };

struct diameter {
	struct asks asks;
};

struct head {
	uint32_t len, command, app, hop;
	uint8_t flags;
};

static bool head_read(struct cursor *c, struct head *h)
{
	uint8_t version = cur_u8(c);

	h->len = cur_be24(c);
	h->flags = cur_u8(c);
	h->command = cur_be24(c);
	h->app = cur_be32(c);
	h->hop = cur_be32(c);
	cur_skip(c, 4);
	return cur_ok(c) && version == 1 && h->len >= HEADER && h->len <= LENGTH_MAX && h->len % 4 == 0 && !(h->flags & 15) && h->command >= 256;
}

static bool begins(struct cursor c)
{
	uint32_t code;
	struct head h;

	if (!head_read(&c, &h))
		return false;
	code = cur_be32(&c);
	return cur_ok(&c) && (code == 263 || code == 264 || code == 268 || code == 296) && !(cur_u8(&c) & 31) && cur_be24(&c) >= 8;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];

	if (in->l4 == PROTO_SCTP)	/* a message */
		return begins(c) ? PROBE_YES : PROBE_NO;
	c = in->dir[cur_left(&in->dir[DIR_TOSERVER]) ? DIR_TOSERVER : DIR_TOCLIENT];
	if (cur_left(&c) < 28)
		return cur_left(&c) && cur_peek(&c, 0) != 1 ? PROBE_NO : PROBE_MORE;
	return begins(c) ? PROBE_YES : PROBE_NO;
}

static void tell_avps(struct record *r, struct cursor c, bool request)
{
	static const struct { uint32_t code; const struct fact *f; } texts[] = { { 263, &f_session }, { 264, &f_host }, { 296, &f_realm }, { 283, &f_dst }, { 1, &f_user } };
	uint32_t told = 0;

	for (unsigned n = 0; n < 64 && cur_left(&c) >= 8; n++) {
		uint32_t code = cur_be32(&c);
		uint8_t flags = cur_u8(&c);
		uint32_t len = cur_be24(&c), head = flags & 0x80 ? 12 : 8;
		struct cursor v;

		if (len < head)
			return;
		cur_skip(&c, head - 8);
		v = cur_sub(&c, len - head);
		cur_skip(&c, (4 - len % 4) % 4);
		if (flags & 0x80 || !cur_ok(&v))
			continue;
		for (unsigned i = 0; request && i < 5; i++)
			if (texts[i].code == code && !(told >> i & 1)) {
				told |= 1u << i;
				rec_bytes(r, texts[i].f, cur_rest(&v));
			}
		if (code == 268 && !request && !(told >> 8 & 1)) {
			told |= 256;
			rec_u64(r, &f_result, cur_be32(&v));
		}
	}
}

static void message(struct px *px, struct diameter *s, struct cursor c)
{
	struct record *r;
	struct head h;
	int i;

	if (!head_read(&c, &h))
		return;
	if (h.flags & 0x80) {
		r = px_record(px);
		told_code(r, &f_command, commands, h.command);
		rec_u64(r, &f_app, h.app);
		tell_avps(r, c, true);
		px_judge(px, r);
		asks_add(px, &s->asks, h.hop, r);
		return;
	}
	i = asks_find(&s->asks, h.hop);
	if (i < 0)
		return;
	r = asks_record(px, &s->asks, i);
	tell_avps(r, c, false);
	asks_tell(px, &s->asks, i, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct diameter *s = state;

	s->asks.event = EV_APP;
	if (px_l4(px) == PROTO_SCTP) {
		message(px, s, *in);
		cur_rest(in);
		return PARSE_DONE;
	}
	while (cur_more(in)) {
		struct cursor ahead = *in, view = cur_of(NULL, 0);
		struct head h;
		enum parse p;

		if (cur_left(in) < HEADER)
			return msg_more(px, HEADER);
		if (!head_read(&ahead, &h))
			return msg_bad(px, "diameter.header");
		p = msg_take(px, dir, in, h.len, LOOK, &view);
		if (p != PARSE_DONE)
			return p;
		message(px, s, view);
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct diameter *s = state;

	asks_end(px, &s->asks);
}

static const uint16_t ports[] = { 3868, 0 };

const struct proto proto_diameter = {
	.name = "diameter",
	.app = APP_DIAMETER,
	.event = EV_APP,
	.l4 = PROTO_TCP | PROTO_SCTP,
	.ports = ports,
	.state_size = sizeof(struct diameter),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
