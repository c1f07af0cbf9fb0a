/* SPDX-License-Identifier: GPL-2.0-or-later */
/* openvpn: its control channel's beginning. One `openvpn` event per flow.
 *
 *   { length(2) over TCP } operation and key(1) session(8) { HMAC(16 to 64) packet(4) seconds(4) } or { packet(4) seconds(4) sealed } n(1) { n x 4, session(8) } packet(4)
 *
 * A client's hard reset (38, 50) is believed alone when it is bare (14 bytes), or when it has the number 1 and a time where one of its protected forms
 * has them; else the server's reset (40) must follow. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

static const struct fact f_form = { "control", FACT_PLAIN }, f_session = { "session_id", FACT_PLAIN };
static const struct fact *const facts[] = { &f_form, &f_session, NULL };

struct openvpn {
	bool told;
};

static uint32_t word_at(struct cursor c, size_t at)
{
	cur_skip(&c, at);
	return cur_be32(&c);
}

/* The number 1 and a time between 2001 and 2038 at that place. */
static bool counted(struct cursor c, size_t at)
{
	uint32_t packet = word_at(c, at), time = word_at(c, at + 4);

	return packet == 1 && time >= 1000000000u && time < 0x80000000u;
}

/* How the first message is protected; NULL: it is none. */
static const char *form_of(struct cursor c)
{
	static const uint8_t macs[] = { 16, 20, 28, 32, 48, 64 };
	uint8_t op = cur_peek(&c, 0);
	size_t n = cur_left(&c);

	if (op == 0x38 && n == 14 && !word_at(c, 9) && !cur_peek(&c, 13) && (word_at(c, 1) || word_at(c, 5)))
		return "plain";
	if ((op == 0x38 && n >= 42 && n <= 80) || (op == 0x50 && n >= 100)) {
		if (counted(c, 9) || (word_at(c, 9) == 0x0f000001 && word_at(c, 13) >= 1000000000u))
			return "tls-crypt";
		for (unsigned i = 0; op == 0x38 && i < sizeof(macs); i++)
			if (n == 9u + macs[i] + 13u && counted(c, 9u + macs[i]))
				return "tls-auth";
	}
	return NULL;
}

/* The server's reset, which acknowledges the packet 0 of the client's session. */
static bool answers(struct cursor c, struct cursor client)
{
	size_t n = cur_left(&c);

	if (cur_peek(&c, 0) != 0x40 || cur_left(&client) < 9 || n < 26)
		return false;
	for (size_t at = 9; at + 17 <= n && at < 90; at++)
		if (cur_peek(&c, at) == 1 && !word_at(c, at + 1) && word_at(c, at + 5) == word_at(client, 1) && word_at(c, at + 9) == word_at(client, 5))
			return true;
	return false;
}

static enum probe probe_tcp(struct cursor c)
{
	uint16_t len = cur_be16(&c);
	uint8_t op = cur_peek(&c, 0);

	if (!cur_ok(&c) || (!cur_left(&c) && len >= 14 && len <= 1400))
		return PROBE_MORE;
	if (len < 14 || len > 1400 || (op != 0x38 && op != 0x50))
		return PROBE_NO;
	if (cur_left(&c) < len)
		return PROBE_MORE;
	return form_of(cur_of(c.pos, len)) ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *now = &in->dir[in->now], *other = &in->first[!in->now];

	if (in->l4 == PROTO_TCP)
		return cur_left(&in->dir[DIR_TOSERVER]) ? probe_tcp(in->dir[DIR_TOSERVER]) : PROBE_MORE;
	if (form_of(*now))
		return PROBE_YES;
	if (cur_left(other) && cur_peek(other, 0) == 0x38)
		return answers(*now, *other) ? PROBE_YES : PROBE_NO;
	return cur_peek(now, 0) == 0x38 && cur_left(now) >= 14 && cur_left(now) <= 100 ? PROBE_MORE : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct openvpn *s = state;
	bool tcp = px_l4(px) == PROTO_TCP;
	struct cursor c = *in;
	const char *form;
	struct record *r;
	uint16_t len = 0;

	if (tcp && dir == DIR_TOSERVER) {
		len = cur_be16(&c);
		if (!cur_ok(&c) || cur_left(&c) < len)
			return msg_more(px, 2u + len);
		c = cur_of(c.pos, len);
	}
	if (dir == DIR_TOSERVER && !s->told) {
		s->told = true;
		form = form_of(c);
		r = px_record(px);
		if (form)
			rec_cstr(r, &f_form, form);
		cur_skip(&c, 1);
		told_hex(r, &f_session, cur_bytes(&c, 8));
		say(px, dir, EV_APP, UINT32_MAX, r);
		if (tcp)
			px_stop(px);
	}
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 1194, 0 };

const struct proto proto_openvpn = {
	.name = "openvpn",
	.app = APP_OPENVPN,
	.event = EV_APP,
	.l4 = PROTO_UDP | PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct openvpn),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
