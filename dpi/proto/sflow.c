/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sflow: version 5. One `sflow` event per flow.
 *
 *   5(4) kind of address(4) agent(4 or 16) sub-agent(4) sequence(4) uptime(4) n(4), n samples: format(4) length(4) ... */
#include "dpi/proto/told.h"

#define SAMPLES_MAX 256u

static const struct fact f_agent = { "agent", FACT_OBJECT }, f_sub = { "sub_agent", FACT_PLAIN };
static const struct fact *const facts[] = { &f_agent, &f_sub, NULL };

struct sflow {
	bool told;
};

static bool good(struct cursor c)
{
	uint32_t version = cur_be32(&c), kind = cur_be32(&c), n;

	if (version != 5 || (kind != 1 && kind != 2))
		return false;
	cur_skip(&c, kind == 1 ? 16 : 28);
	n = cur_be32(&c);
	if (!cur_ok(&c) || n > SAMPLES_MAX)
		return false;
	while (n--) {
		uint32_t format = cur_be32(&c), len = cur_be32(&c);

		if (!(format >> 12) && (!format || format > 5))
			return false;
		if (len % 4 || !cur_skip(&c, len))
			return false;
	}
	return cur_ok(&c) && !cur_left(&c);
}

static enum probe probe(const struct probe_in *in) { return good(in->dir[in->now]) ? PROBE_YES : PROBE_NO; }

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct sflow *s = state;
	struct cursor c = *in;

	if (!s->told && good(c)) {
		struct record *r = px_record(px);

		s->told = true;
		cur_skip(&c, 4);
		if (cur_be32(&c) == 1)
			told_ip4(r, &f_agent, &c);
		else
			told_ip6(r, &f_agent, &c);
		rec_u64(r, &f_sub, cur_be32(&c));
		say(px, dir, EV_APP, UINT32_MAX, r);
	}
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 6343, 0 };

const struct proto proto_sflow = {
	.name = "sflow",
	.app = APP_SFLOW,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct sflow),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
