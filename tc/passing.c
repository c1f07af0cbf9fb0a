/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tc/passing.h"

#include <arpa/inet.h>
#include <string.h>

#include <netinet/in.h>

#include "tc/bpf/maps.h"

enum { TCP_FIN = 1, TCP_RST = 4 };
#define ENTRIES 4		/* of a flow: entering either end, then leaving either, so that nothing passes where it leaves and is copied where it enters */

/* The i-th entry: false where its end is not local. *dir: whose packets. *counts: they are counted there. */
static bool entry(const struct passing_flow *f, unsigned i, struct bpf_way *k, unsigned *dir, bool *counts)
{
	bool leaving = i >= 2;
	unsigned end = i & 1;
	int from, to;

	*dir = leaving ? end : !end;
	from = f->ifindex[*dir];
	to = f->ifindex[!*dir];
	*counts = leaving || !from;
	*k = (struct bpf_way){ .ifindex = (uint32_t)(leaving ? from : to), .hook = !leaving, .ipproto = f->ipproto,
		.sport = htons(*dir ? f->dport : f->sport), .dport = htons(*dir ? f->sport : f->dport) };
	memcpy(k->src, *dir ? f->dst.b : f->src.b, 16);
	memcpy(k->dst, *dir ? f->src.b : f->dst.b, 16);
	return k->ifindex != 0;
}

int passing_put(struct flowmap *m, const struct passing_flow *f)
{
	const struct bpf_passed none = { 0 };
	int rc = 0;

	for (unsigned i = 0; !rc && i < ENTRIES; i++) {
		struct bpf_way k;
		bool counts;
		unsigned dir;

		if (entry(f, i, &k, &dir, &counts))
			rc = flowmap_put(m, &k, &none);
	}
	if (rc)
		passing_take(m, f, &(struct passing_count){ .closed = false });
	return rc;
}

static bool look(struct flowmap *m, const struct passing_flow *f, struct passing_count *c, bool take)
{
	uint32_t flags[2] = { 0, 0 };
	bool found = false;

	memset(c, 0, sizeof *c);
	for (unsigned i = ENTRIES; i-- > 0;) {
		struct bpf_passed v;
		struct bpf_way k;
		bool counts, there;
		unsigned dir;

		if (!entry(f, i, &k, &dir, &counts))
			continue;
		there = (take ? flowmap_take : flowmap_look)(m, &k, &v);
		found |= there;
		if (!there || !counts)
			continue;
		c->pkts[dir] = v.packets;
		c->bytes[dir] = v.bytes;
		flags[dir] = v.tcp_flags;
	}
	if (f->ipproto == IPPROTO_TCP) {
		c->reset = (flags[0] | flags[1]) & TCP_RST;
		c->closed = c->reset || flags[0] & flags[1] & TCP_FIN;
	}
	return found;
}

bool passing_read(struct flowmap *m, const struct passing_flow *f, struct passing_count *c) { return look(m, f, c, false); }
bool passing_take(struct flowmap *m, const struct passing_flow *f, struct passing_count *c) { return look(m, f, c, true); }
