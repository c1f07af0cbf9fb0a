/* SPDX-License-Identifier: GPL-2.0-or-later */
/* netflow: Cisco's versions 5, 7 and 9 (RFC 3954) and IPFIX (7011), exported in datagrams. One `netflow` event per flow and source.
 *
 *   5, 7: version(2) count(2) uptime(4) seconds(4) ... and records of 48 or 52 bytes      9: version count uptime seconds sequence source, sets
 *   10: version(2) length(2) seconds(4) sequence(4) domain(4), sets: id(2) length(2) ...                      all must end with the datagram */
#include "dpi/proto/told.h"

#define SECONDS_MIN 820454400u	/* 1996: nothing of this is older */
#define SETS_MAX 256u

static const struct fact f_version = { "version", FACT_PLAIN }, f_source = { "source_id", FACT_PLAIN };
static const struct fact *const facts[] = { &f_version, &f_source, NULL };

struct netflow {
	bool told;
	uint32_t source;
};

/* The sets fill what is left; ids 2 to 255 are few. */
static bool sets_good(struct cursor c, uint16_t version)
{
	unsigned n = 0;

	while (cur_left(&c) >= 4) {
		uint16_t id = cur_be16(&c), len = cur_be16(&c);

		if (len < 4 || ++n > SETS_MAX || !cur_skip(&c, len - 4u))
			return false;
		if (id < 256 && (version == 9 ? id > 1 : id != 2 && id != 3))
			return false;
	}
	return n && !cur_left(&c);
}

static bool read(struct cursor c, uint16_t *version, uint32_t *source)
{
	size_t n = cur_left(&c);
	uint16_t count;
	uint32_t seconds;

	*version = cur_be16(&c);
	count = cur_be16(&c);
	if (*version == 10) {
		seconds = cur_be32(&c);
		cur_skip(&c, 4);
		*source = cur_be32(&c);
		return cur_ok(&c) && count == n && seconds >= SECONDS_MIN && sets_good(c, 10);
	}
	cur_skip(&c, 4);
	seconds = cur_be32(&c);
	cur_skip(&c, 4);
	if (*version == 9) {
		cur_skip(&c, 0);
		*source = cur_be32(&c);
		return cur_ok(&c) && count && count <= 2048 && seconds >= SECONDS_MIN && sets_good(c, 9);
	}
	cur_skip(&c, 4);
	*source = *version == 5 ? cur_be16(&c) : 0;
	return cur_ok(&c) && seconds >= SECONDS_MIN && count && count <= 30 &&
		((*version == 5 && n == 24 + 48u * count) || (*version == 7 && n == 24 + 52u * count));
}

static enum probe probe(const struct probe_in *in)
{
	uint16_t version;
	uint32_t source;

	return read(in->dir[in->now], &version, &source) ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct netflow *s = state;
	uint16_t version;
	uint32_t source;

	if (read(*in, &version, &source) && (!s->told || s->source != source)) {
		struct record *r = px_record(px);

		s->told = true;
		s->source = source;
		rec_u64(r, &f_version, version);
		rec_u64(r, &f_source, source);
		say(px, dir, EV_APP, UINT32_MAX, r);
	}
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 2055, 4739, 9995, 9996, 0 };

const struct proto proto_netflow = {
	.name = "netflow",
	.app = APP_NETFLOW,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct netflow),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
