/* SPDX-License-Identifier: GPL-2.0-or-later */
/* geneve: RFC 8926. version and length of options(1) flags(1) type(2) VNI(3) 00, options, then what the type says. */
#include "dpi/message.h"

static const struct fact *const facts[] = { NULL };

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	uint8_t first = cur_u8(&c), flags = cur_u8(&c);
	uint16_t type = cur_be16(&c);

	if (first >> 6 || flags & 0x3f || !cur_skip(&c, 3) || cur_u8(&c) || !cur_skip(&c, (first & 0x3fu) * 4))
		return PROBE_NO;
	if (type == 0x6558) {
		if (!cur_skip(&c, 12))
			return PROBE_NO;
		type = cur_be16(&c);
		if (type == 0x0806)
			return cur_be32(&c) == 0x00010800 ? PROBE_YES : PROBE_NO;
	}
	if (type == 0x0800)
		return cur_left(&c) >= 20 && cur_peek(&c, 0) >= 0x45 && cur_peek(&c, 0) <= 0x4f ? PROBE_YES : PROBE_NO;
	return type == 0x86dd && cur_left(&c) >= 40 && cur_peek(&c, 0) >> 4 == 6 ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	(void)state;
	(void)dir;
	cur_rest(in);
	px_stop(px);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 6081, 0 };

const struct proto proto_geneve = {
	.name = "geneve", .app = APP_GENEVE, .event = EV_APP, .l4 = PROTO_UDP, .ports = ports, .probe = probe, .parse = parse, .facts = facts,
};
