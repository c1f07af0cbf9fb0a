/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/world.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "agent/path.h"
#include "base/hash.h"

struct slot {
	uint64_t hash;		/* 0: empty */
	uint32_t port;
};

struct table {
	struct slot *slots;
	size_t mask;
};

struct world {
	atomic_uint refs;
	unsigned n;
	struct world_port *ports;
	struct policy *policy;
	int64_t overlap_start, overlap_end;
	struct table macs, addrs, ids;
};

/* Keys come from this node's own interfaces, not from packets: a fast mixer will do. */
static uint64_t hash_bytes(const uint8_t *p, size_t n)
{
	uint64_t h = n;

	for (size_t i = 0; i < n; i += 8) {
		uint64_t w = 0;

		memcpy(&w, p + i, n - i < 8 ? n - i : 8);
		h = hash_mix64(h ^ w) + 0x9e3779b97f4a7c15ULL;
	}
	return h ? h : 1;
}

/* Two words at once: each flow asks for its addresses several times. */
static uint64_t hash_addr(const struct addr *a)
{
	uint64_t w[2], h;

	memcpy(w, a->b, sizeof w);
	h = hash_mix64(w[0] ^ hash_mix64(w[1] + 0x9e3779b97f4a7c15ULL));
	return h ? h : 1;
}

static int table_init(struct table *t, size_t entries)
{
	size_t size = 16;

	while (size < entries * 2)
		size *= 2;
	t->slots = calloc(size, sizeof *t->slots);
	t->mask = size - 1;
	return t->slots ? 0 : -1;
}

static void table_add(struct table *t, uint64_t hash, uint32_t port)
{
	size_t i = hash & t->mask;

	while (t->slots[i].hash)
		i = (i + 1) & t->mask;
	t->slots[i] = (struct slot){ hash, port };
}

static const struct world_port *find_mac(const struct world *w, const uint8_t mac[6])
{
	uint64_t h = hash_bytes(mac, 6);

	for (size_t i = h & w->macs.mask; w->macs.slots[i].hash; i = (i + 1) & w->macs.mask)
		if (w->macs.slots[i].hash == h && !memcmp(w->ports[w->macs.slots[i].port].mac, mac, 6))
			return &w->ports[w->macs.slots[i].port];
	return NULL;
}

static bool has_addr(const struct world_port *p, const struct addr *a)
{
	for (unsigned i = 0; i < p->naddrs; i++)
		if (addr_eq(&p->addrs[i], a))
			return true;
	return false;
}

static bool unique_on_node(const struct addr *a)
{
	return !addr_is_linklocal(a) && !addr_is_loopback(a) && !addr_is_zero(a);
}

const struct world_port *world_by_mac(const struct world *w, const uint8_t mac[6])
{
	return find_mac(w, mac);
}

const struct world_port *world_by_addr(const struct world *w, const struct addr *a)
{
	uint64_t h = hash_addr(a);

	for (size_t i = h & w->addrs.mask; w->addrs.slots[i].hash; i = (i + 1) & w->addrs.mask)
		if (w->addrs.slots[i].hash == h && has_addr(&w->ports[w->addrs.slots[i].port], a))
			return &w->ports[w->addrs.slots[i].port];
	return NULL;
}

const struct world_port *world_by_workload(const struct world *w, uint32_t id)
{
	uint64_t h = hash_bytes((const uint8_t *)&id, sizeof id);

	for (size_t i = h & w->ids.mask; w->ids.slots[i].hash; i = (i + 1) & w->ids.mask)
		if (w->ports[w->ids.slots[i].port].row.workload == id)
			return &w->ports[w->ids.slots[i].port];
	return NULL;
}

static int fill_tables(struct world *w)
{
	size_t naddrs = 0;

	for (unsigned i = 0; i < w->n; i++)
		naddrs += w->ports[i].naddrs;
	if (table_init(&w->macs, w->n) || table_init(&w->addrs, naddrs) || table_init(&w->ids, w->n))
		return -1;
	for (unsigned i = 0; i < w->n; i++) {
		const struct world_port *p = &w->ports[i];

		table_add(&w->macs, hash_bytes(p->mac, 6), i);
		table_add(&w->ids, hash_bytes((const uint8_t *)&p->row.workload, sizeof p->row.workload), i);
		for (unsigned k = 0; k < p->naddrs; k++)
			if (unique_on_node(&p->addrs[k]))
				table_add(&w->addrs, hash_addr(&p->addrs[k]), i);
	}
	return 0;
}

struct world *world_new(const struct world_port *ports, unsigned n, struct policy *policy, int64_t overlap_start, int64_t overlap_end)
{
	struct world *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	atomic_init(&w->refs, 1);
	w->n = n;
	w->overlap_start = overlap_start;
	w->overlap_end = overlap_end;
	w->policy = policy ? policy_ref(policy) : NULL;
	w->ports = malloc((n ? n : 1) * sizeof *ports);
	if (w->ports && n)
		memcpy(w->ports, ports, n * sizeof *ports);
	for (unsigned i = 0; w->ports && i < n; i++)
		if (w->ports[i].reset)
			reset_ref(w->ports[i].reset);
	if (!w->ports || fill_tables(w)) {
		world_unref(w);
		return NULL;
	}
	return w;
}

struct world *world_ref(struct world *w)
{
	atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
	return w;
}

void world_unref(struct world *w)
{
	if (!w || atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) != 1)
		return;
	policy_unref(w->policy);
	free(w->macs.slots);
	free(w->addrs.slots);
	free(w->ids.slots);
	for (unsigned i = 0; w->ports && i < w->n; i++)
		reset_close(w->ports[i].reset);
	free(w->ports);
	free(w);
}

struct policy *world_policy(const struct world *w) { return w->policy; }

void world_ends(const struct world *w, const struct frame *f, const struct tuple *t, const struct world_port *out[2])
{
	const struct world_port *self = NULL, *by[2] = { world_by_addr(w, &t->src), world_by_addr(w, &t->dst) };

	out[0] = out[1] = NULL;
	if (f->workload) {
		const struct world_port *p = by[f->flags & FRAME_LEAVING ? 0 : 1];

		self = world_by_workload(w, f->workload);
		if (self && p && p->row.workload == f->workload)
			self = p;	/* a workload with several interfaces: the row of the one that the address names */
		if (f->flags & FRAME_LEAVING)
			out[0] = self;
		else if (f->flags & FRAME_ENTERING)
			out[1] = self;
	}
	for (int end = 0; end < 2; end++) {
		const struct addr *a = end ? &t->dst : &t->src;

		if (out[end])
			continue;
		if (self && (addr_is_loopback(a) || has_addr(self, a)))
			out[end] = self;	/* on lo: what it says to itself */
		else
			out[end] = by[end];
		/* Link-local ends have no address of their own on the node: the MAC tells, where there is one. */
		if (!out[end] && f->link == LINK_ETHERNET && f->caplen >= 12)
			out[end] = addr_is_linklocal(a) ? find_mac(w, f->data + (end ? 0 : 6)) : NULL;
	}
}

/* A queued packet without any app port: the workload redirected it inside itself, and a rule knew it by its original destination. The mirror
 * shows it under that one, which is an app port and so is not the mirror's. */
static bool redirected(const struct world *w, const struct frame *f, const struct tuple *t)
{
	const struct world_port *self = f->workload ? world_by_workload(w, f->workload) : NULL;

	return self && self->row.queue && !app_ports_has(&self->row.apps, t->ipproto, t->sport) && !app_ports_has(&self->row.apps, t->ipproto, t->dport);
}

enum dpi_own world_owner(const struct world *w, const struct frame *f, const struct tuple *t)
{
	const struct world_port *end[2];
	struct owner o;
	bool mine;

	world_ends(w, f, t, end);
	o = owner_of(end[0] ? &end[0]->row : NULL, end[1] ? &end[1]->row : NULL, t);
	mine = f->path == PATH_NFQ ? (o.kind == OWNER_QUEUE && o.workload == f->workload) || redirected(w, f, t) : o.kind == OWNER_MIRROR;
	if (mine)
		return OWN_YES;
	if (f->ts >= w->overlap_start && f->ts < w->overlap_end)
		return OWN_OVERLAP;
	/* What leaves a workload goes through its queue before its veth shows it: the witness. What enters may never get so far. */
	return f->path != PATH_NFQ && f->workload == o.workload && f->flags & FRAME_LEAVING ? OWN_SHOWN : OWN_NO;
}

uint32_t world_view(const struct world *w, const uint8_t *mac_src, const uint8_t *mac_dst, bool entering, uint32_t *workload)
{
	const struct world_port *p = find_mac(w, entering ? mac_dst : mac_src);

	*workload = p ? p->row.workload : 0;
	/* Unknown MACs (multicast, a device that is not read in yet): one view per direction, apart from all ports'. */
	return p ? p->view | (uint32_t)entering : 0xfffffffeU | (uint32_t)entering;
}
