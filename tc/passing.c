/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tc/passing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <netinet/in.h>

#include "tc/bpf/maps.h"

enum { TCP_FIN = 1, TCP_RST = 4 };
#define ENTRIES 4		/* of a flow: entering either end, then leaving either, so that nothing passes where it leaves and is copied where it enters */

struct passing {
	atomic_uint refs;
	atomic_bool on;		/* the program was told that there are flows */
	int map, globals;
};

struct passing *passing_open(int map, int globals)
{
	struct passing *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	atomic_init(&p->refs, 1);
	p->map = fcntl(map, F_DUPFD_CLOEXEC, 3);
	p->globals = fcntl(globals, F_DUPFD_CLOEXEC, 3);
	if (p->map >= 0 && p->globals >= 0)
		return p;
	passing_unref(p);
	return NULL;
}

struct passing *passing_ref(struct passing *p)
{
	if (p)
		atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void passing_unref(struct passing *p)
{
	if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (p->map >= 0)
		close(p->map);
	if (p->globals >= 0)
		close(p->globals);
	free(p);
}

/* The i-th entry: false where its end is not local. *dir: whose packets. *counts: they are counted there. */
static bool entry(const struct passing_flow *f, unsigned i, struct bpf_passing *k, unsigned *dir, bool *counts)
{
	bool leaving = i >= 2;
	unsigned end = i & 1;
	int from, to;

	*dir = leaving ? end : !end;
	from = f->ifindex[*dir];
	to = f->ifindex[!*dir];
	*counts = leaving || !from;
	*k = (struct bpf_passing){ .ifindex = (uint32_t)(leaving ? from : to), .hook = !leaving, .ipproto = f->ipproto,
		.sport = htons(*dir ? f->dport : f->sport), .dport = htons(*dir ? f->sport : f->dport) };
	memcpy(k->src, *dir ? f->dst.b : f->src.b, 16);
	memcpy(k->dst, *dir ? f->src.b : f->dst.b, 16);
	return k->ifindex != 0;
}

static int switch_on(struct passing *p)
{
	const uint32_t one = 1, first = 0;

	if (atomic_load_explicit(&p->on, memory_order_relaxed))
		return 0;
	if (bpf_map_update_elem(p->globals, &first, &one, BPF_ANY))
		return -errno;
	atomic_store_explicit(&p->on, true, memory_order_relaxed);
	return 0;
}

int passing_put(struct passing *p, const struct passing_flow *f)
{
	const struct bpf_passed none = { 0 };
	int rc = switch_on(p);

	for (unsigned i = 0; !rc && i < ENTRIES; i++) {
		struct bpf_passing k;
		bool counts;
		unsigned dir;

		if (entry(f, i, &k, &dir, &counts) && bpf_map_update_elem(p->map, &k, &none, BPF_ANY))
			rc = -errno;
	}
	if (rc)
		passing_take(p, f, &(struct passing_count){ .closed = false });
	return rc;
}

static bool look(struct passing *p, const struct passing_flow *f, struct passing_count *c, bool take)
{
	uint32_t flags[2] = { 0, 0 };
	bool found = false;

	memset(c, 0, sizeof *c);
	for (unsigned i = ENTRIES; i-- > 0;) {
		struct bpf_passed v;
		struct bpf_passing k;
		bool counts, there;
		unsigned dir;

		if (!entry(f, i, &k, &dir, &counts))
			continue;
		there = !(take ? bpf_map_lookup_and_delete_elem(p->map, &k, &v) : bpf_map_lookup_elem(p->map, &k, &v));
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

bool passing_read(struct passing *p, const struct passing_flow *f, struct passing_count *c) { return look(p, f, c, false); }
bool passing_take(struct passing *p, const struct passing_flow *f, struct passing_count *c) { return look(p, f, c, true); }
