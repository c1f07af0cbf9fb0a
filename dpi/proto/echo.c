/* SPDX-License-Identifier: GPL-2.0-or-later */
/* echo: RFC 862 over TCP and UDP. There is nothing to recognise but that the same bytes come back, and that is seen only when they have: nobody else's
 * flows wait for it, so it is asked at its own port alone. One event a flow: how many bytes were asked for at first. */
#include "dpi/proto/told.h"

#define PORT 7u

static const struct fact f_length = { "length", FACT_PLAIN };
static const struct fact *const facts[] = { &f_length, NULL };

struct echo {
	bool told;
};

static enum probe probe(const struct probe_in *in)
{
	bool stream = in->l4 == PROTO_TCP;
	const struct cursor *up = stream ? &in->dir[DIR_TOSERVER] : &in->first[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	size_t n = cur_left(up) < cur_left(down) ? cur_left(up) : cur_left(down);

	if (in->dport != PORT)
		return PROBE_NO;
	if (!stream && in->now == DIR_TOSERVER)
		return PROBE_MORE;
	if (!stream && cur_left(up) != cur_left(down))
		return PROBE_NO;
	if (!n)
		return stream ? PROBE_MORE : PROBE_NO;
	return cur_starts(up, down->pos, n) ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct echo *s = state;
	struct record *r;

	if (!s->told && dir == DIR_TOSERVER && px_l4(px) == PROTO_UDP) {
		s->told = true;
		r = px_record(px);
		rec_u64(r, &f_length, cur_left(in));
		say(px, dir, EV_APP, UINT32_MAX, r);
	}
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { PORT, 0 };

const struct proto proto_echo = {
	.name = "echo",
	.app = APP_ECHO,
	.event = EV_APP,
	.l4 = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct echo),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
