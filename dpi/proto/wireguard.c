/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wireguard: its four messages have fixed sizes and three zero bytes behind the type. One `wireguard` event per handshake message.
 *
 *   1 initiation 148 bytes   2 response 92   3 cookie reply 64   4 data: receiver(4) counter(8) and 16 bytes or a multiple
 *
 * Data alone is believed when its counter is below 2^40. */
#include "dpi/proto/told.h"

static const struct fact f_type = { "type", FACT_OPERATION }, f_sender = { "sender", FACT_PLAIN };
static const struct fact *const facts[] = { &f_type, &f_sender, NULL };
static const struct code types[] = { { 1, "initiation" }, { 2, "response" }, { 3, "cookie_reply" }, { 4, "data" }, { 0, NULL } };

static unsigned type_of(struct cursor c)
{
	size_t n = cur_left(&c);
	uint32_t type = cur_le32(&c);
	uint64_t counter;

	if ((type == 1 && n == 148) || (type == 2 && n == 92) || (type == 3 && n == 64))
		return type;
	cur_skip(&c, 4);
	counter = cur_le64(&c);
	return type == 4 && n >= 32 && n % 16 == 0 && !(counter >> 40) ? type : 0;
}

static enum probe probe(const struct probe_in *in) { return type_of(in->dir[in->now]) ? PROBE_YES : PROBE_NO; }

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	unsigned type = type_of(*in);
	struct cursor c = *in;

	(void)state;
	if (type && type != 4) {
		struct record *r = px_record(px);

		rec_cstr(r, &f_type, code_name(types, type));
		cur_skip(&c, 4);
		if (type != 3)
			rec_u64(r, &f_sender, cur_le32(&c));
		say(px, dir, EV_APP, UINT32_MAX, r);
	}
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 51820, 0 };

const struct proto proto_wireguard = {
	.name = "wireguard",
	.app = APP_WIREGUARD,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
