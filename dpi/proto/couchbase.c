/* SPDX-License-Identifier: GPL-2.0-or-later */
/* couchbase: the key-value service speaks memcached's binary protocol with commands of its own (memcached_binary.c). A connection
 * is Couchbase's when its first command is one that memcached has not; one that begins like memcached's becomes so later. */
#include "dpi/proto/memcached_binary.h"

static enum probe probe(const struct probe_in *in)
{
	bool couchbase = false;
	enum probe p = memcached_binary_probe(in, &couchbase);

	return p == PROBE_YES && !couchbase ? PROBE_NO : p;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in) { return memcached_binary_parse(px, state, dir, in); }

static enum parse gap(struct px *px, void *state, enum dir dir, uint64_t len)
{
	(void)px;
	(void)len;
	return msg_gap(&((struct memcached_binary *)state)->sync, dir);
}

static void end(struct px *px, void *state) { memcached_binary_end(px, state); }

static const uint16_t ports[] = { 11210, 11209, 11207, 0 };

const struct proto proto_couchbase = {
	.name = "couchbase",
	.app = APP_COUCHBASE,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct memcached_binary),
	.probe = probe,
	.parse = parse,
	.gap = gap,
	.end = end,
	.facts = memcached_facts,
};
