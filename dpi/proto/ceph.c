/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ceph: messenger 1 ("ceph v027") and 2 ("ceph v2" LF length(2) features(8) features(8)), by the banner; what follows is not read. */
#include "dpi/message.h"

static const struct fact *const facts[] = { NULL };

static enum probe banner(const struct cursor *in)
{
	static const char lit[] = "ceph v";
	size_t n = cur_left(in);

	if (!n)
		return PROBE_MORE;
	if (memcmp(in->pos, lit, n < 6 ? n : 6))
		return PROBE_NO;
	if (n < 9)
		return PROBE_MORE;
	if (cur_peek(in, 6) == '0' && cur_peek(in, 7) >= '0' && cur_peek(in, 7) <= '9' && cur_peek(in, 8) >= '0' && cur_peek(in, 8) <= '9')
		return PROBE_YES;
	return cur_peek(in, 6) >= '2' && cur_peek(in, 6) <= '9' && cur_peek(in, 7) == '\n' ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in) { return banner(&in->dir[in->now]); }

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	(void)state;
	(void)dir;
	cur_rest(in);
	px_stop(px);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 6789, 3300, 0 };

const struct proto proto_ceph = {
	.name = "ceph", .app = APP_CEPH, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .probe = probe, .parse = parse, .facts = facts,
};
