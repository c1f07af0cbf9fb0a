/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gtp: GTP-U and GTP-C version 1 (3GPP TS 29.281, 29.060), GTP-C version 2 (29.274). The length must be the datagram's.
 *
 *   1: 001 1 0 E S N, type(1) length(2, without the 8 bytes of the head) TEID(4)        2: 010 P T 000, type(1) length(2, without these 4) ... */
#include "dpi/message.h"

static const struct fact *const facts[] = { NULL };

static enum probe version1(struct cursor c, uint8_t first)
{
	uint8_t type = cur_u8(&c);
	uint16_t n = cur_be16(&c);

	cur_skip(&c, 4);
	if (!cur_ok(&c) || n != cur_left(&c) || (first & 7 && n < 4))
		return PROBE_NO;
	if (type == 255) {
		if (first & 7)
			cur_skip(&c, 4);
		if (first & 4)		/* extension headers stand before the packet */
			return n > 8 ? PROBE_YES : PROBE_NO;
		return cur_left(&c) >= 20 && (cur_peek(&c, 0) >> 4 == 4 || cur_peek(&c, 0) >> 4 == 6) ? PROBE_YES : PROBE_NO;
	}
	return (type >= 1 && type <= 7) || (type >= 16 && type <= 37) || (type >= 48 && type <= 70) || type == 254 ? PROBE_YES : PROBE_NO;
}

static enum probe version2(struct cursor c, uint8_t first)
{
	uint8_t type = cur_u8(&c);
	uint16_t n = cur_be16(&c);

	if (!cur_ok(&c) || !type || n < (first & 8 ? 8 : 4) || (first & 0x10 ? n > cur_left(&c) : n != cur_left(&c)))
		return PROBE_NO;
	if (first & 0x10) {	/* another message follows at once, the last one, and ends with the datagram */
		struct cursor next = c;
		uint8_t head;

		cur_skip(&next, n);
		head = cur_u8(&next);
		cur_skip(&next, 1);
		if (head >> 5 != 2 || head & 0x10 || cur_be16(&next) != cur_left(&next) || !cur_ok(&next))
			return PROBE_NO;
		c = cur_sub(&c, n);
	}
	cur_skip(&c, first & 8 ? 8 : 4);
	if (cur_peek(&c, 0) == 0 && cur_left(&c))	/* information elements have types from 1, lengths within the message */
		return PROBE_NO;
	while (cur_more(&c)) {
		cur_skip(&c, 1);
		n = cur_be16(&c);
		if (!cur_skip(&c, 1) || !cur_skip(&c, n))
			return PROBE_NO;
	}
	return PROBE_YES;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	uint8_t first = cur_u8(&c);

	if ((first & 0xf8) == 0x30)
		return version1(c, first);
	return (first & 0xe7) == 0x40 ? version2(c, first) : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	(void)state;
	(void)dir;
	cur_rest(in);
	px_stop(px);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 2152, 2123, 0 };

const struct proto proto_gtp = {
	.name = "gtp", .app = APP_GTP, .event = EV_APP, .l4 = PROTO_UDP, .ports = ports, .probe = probe, .parse = parse, .facts = facts,
};
