/* SPDX-License-Identifier: GPL-2.0-or-later */
/* teredo: RFC 4380. An IPv6 packet that fills the datagram, after an authentication (00 01 ...) and an origin (00 00, 6 bytes), from or to the
 * prefix 2001:0::/32, or a router's message on the link. */
#include "dpi/message.h"

static const struct fact *const facts[] = { NULL };

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	struct bytes src, dst;
	uint16_t n;

	if (cur_starts(&c, "\0\1", 2)) {
		uint8_t id, auth;

		cur_skip(&c, 2);
		id = cur_u8(&c);
		auth = cur_u8(&c);
		cur_skip(&c, (size_t)id + auth + 9);
	}
	if (cur_starts(&c, "\0\0", 2))
		cur_skip(&c, 8);
	if (cur_left(&c) < 40 || cur_peek(&c, 0) >> 4 != 6)
		return PROBE_NO;
	cur_skip(&c, 4);
	n = cur_be16(&c);
	cur_skip(&c, 2);
	src = cur_bytes(&c, 16);
	dst = cur_bytes(&c, 16);
	if (!cur_ok(&c) || n != cur_left(&c))
		return PROBE_NO;
	if (memcmp(src.p, "\x20\x01\0\0", 4) == 0 || memcmp(dst.p, "\x20\x01\0\0", 4) == 0)
		return PROBE_YES;
	return memcmp(src.p, "\xfe\x80\0\0", 4) == 0 && (memcmp(dst.p, "\xff\x02\0\0", 4) == 0 || memcmp(dst.p, "\xfe\x80\0\0", 4) == 0) ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	(void)state;
	(void)dir;
	cur_rest(in);
	px_stop(px);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 3544, 0 };

const struct proto proto_teredo = {
	.name = "teredo", .app = APP_TEREDO, .event = EV_APP, .l4 = PROTO_UDP, .ports = ports, .probe = probe, .parse = parse, .facts = facts,
};
