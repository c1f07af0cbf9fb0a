/* SPDX-License-Identifier: GPL-2.0-or-later */
/* capwap: control messages in clear (RFC 5415). 00, length of the head and its flags(3), fragment(4), ..., then type(4) sequence(1) length(2) flags(1)
 * and elements: type(2) length(2) value, which must fill the datagram. */
#include "dpi/message.h"

#define TYPE_MAX 26u

static const struct fact *const facts[] = { NULL };

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	uint8_t preamble = cur_u8(&c), head = cur_u8(&c) >> 3;
	uint32_t type;

	if (preamble || head < 2 || head > 16 || !cur_skip(&c, head * 4u - 2))
		return PROBE_NO;
	type = cur_be32(&c);
	cur_skip(&c, 4);
	if (!cur_ok(&c) || !type || type > TYPE_MAX || !cur_left(&c))
		return PROBE_NO;
	while (cur_more(&c)) {
		uint16_t element = cur_be16(&c), n = cur_be16(&c);

		if (!element || element > 64 || !cur_skip(&c, n))
			return PROBE_NO;
	}
	return PROBE_YES;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	(void)state;
	(void)dir;
	cur_rest(in);
	px_stop(px);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 5246, 5247, 0 };

const struct proto proto_capwap = {
	.name = "capwap", .app = APP_CAPWAP, .event = EV_APP, .l4 = PROTO_UDP, .ports = ports, .probe = probe, .parse = parse, .facts = facts,
};
