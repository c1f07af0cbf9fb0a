/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vxlan: RFC 7348. 08 000000 VNI(3) 00, then an Ethernet frame whose type and beginning fit together. */
#include "dpi/message.h"

static const struct fact *const facts[] = { NULL };

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	uint16_t type;

	if (cur_be32(&c) != 0x08000000 || !cur_skip(&c, 3) || cur_u8(&c) || !cur_skip(&c, 12))
		return PROBE_NO;
	type = cur_be16(&c);
	if (type == 0x8100 && cur_skip(&c, 2))
		type = cur_be16(&c);
	if (!cur_ok(&c))
		return PROBE_NO;
	switch (type) {
	case 0x0800:
		return cur_left(&c) >= 20 && cur_peek(&c, 0) >= 0x45 && cur_peek(&c, 0) <= 0x4f ? PROBE_YES : PROBE_NO;
	case 0x86dd:
		return cur_left(&c) >= 40 && cur_peek(&c, 0) >> 4 == 6 ? PROBE_YES : PROBE_NO;
	case 0x0806:
		return cur_be32(&c) == 0x00010800 ? PROBE_YES : PROBE_NO;
	default:
		return PROBE_NO;
	}
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	(void)state;
	(void)dir;
	cur_rest(in);
	px_stop(px);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 4789, 8472, 0 };

const struct proto proto_vxlan = {
	.name = "vxlan", .app = APP_VXLAN, .event = EV_APP, .l4 = PROTO_UDP, .ports = ports, .probe = probe, .parse = parse, .facts = facts,
};
