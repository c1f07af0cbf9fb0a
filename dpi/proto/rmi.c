/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rmi: Java RMI's transport, by its first bytes: "JRMI" version(2) and how calls follow each other (stream, one, many). */
#include "dpi/message.h"

static const struct fact *const facts[] = { NULL };

static enum probe probe(const struct probe_in *in)
{
	static const uint8_t lit[] = { 'J', 'R', 'M', 'I', 0 };
	const struct cursor *c = &in->dir[DIR_TOSERVER];
	size_t n = cur_left(c);

	if (!n || memcmp(c->pos, lit, n < sizeof(lit) ? n : sizeof(lit)))
		return PROBE_NO;
	if (n < 7)
		return PROBE_MORE;
	return cur_peek(c, 5) >= 1 && cur_peek(c, 5) <= 2 && cur_peek(c, 6) >= 0x4b && cur_peek(c, 6) <= 0x4d ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	(void)state;
	(void)dir;
	cur_rest(in);
	px_stop(px);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 1099, 0 };

const struct proto proto_rmi = {
	.name = "rmi", .app = APP_RMI, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .probe = probe, .parse = parse, .facts = facts,
};
