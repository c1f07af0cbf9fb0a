/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tunnel_flow: whose flow an inner packet is (tunnel.h): the identity of what is around it, and tenants that share a tuple. */
#include "dpi/tunnel.h"

/* ---- identity ---- */

uint32_t tunnel_way(uint32_t way, uint32_t id)
{
	return way && id ? (uint32_t)hash_mix64((uint64_t)way << 32 | id) : way + id;
}

void tunnel_of_wraps(struct dpi *d, struct packet *p, struct tunnel *t)
{
	struct {
		uint64_t parent;
		uint32_t kind[WRAPS_MAX], id[WRAPS_MAX];
		uint8_t mac[2][6];
		uint32_t domain, zero[2];
	} k;

	if (!p->nwrap)
		return;
	memset(&k, 0, sizeof(k));
	if (p->tunnel)
		*t = *p->tunnel;
	else
		*t = (struct tunnel){ .outer = { .kind = (uint8_t)p->wrap[0].kind, .id = p->wrap[0].id, .has_id = true, .domain = p->t.domain } };
	if (t->outer.kind == TUNNEL_MPLS && !t->outer.has_id) {	/* in UDP or IP: the label is the only id there is */
		t->outer.id = p->wrap[0].id;
		t->outer.has_id = true;
	}
	k.parent = t->key;
	k.domain = p->t.domain;
	for (unsigned i = 0; i < p->nwrap; i++) {
		k.kind[i] = p->wrap[i].kind;
		if (p->wrap[i].kind != TUNNEL_PPPOE) {
			t->way = tunnel_way(t->way, p->wrap[i].id);
			continue;
		}
		k.id[i] = p->wrap[i].id;
		if (p->eth_src && p->eth_dst) {		/* sessions are numbered per pair of stations */
			bool hi = memcmp(p->eth_src, p->eth_dst, 6) > 0;

			memcpy(k.mac[hi], p->eth_src, 6);
			memcpy(k.mac[!hi], p->eth_dst, 6);
		}
	}
	t->key = hash_sip13(&d->conf.key, &k, sizeof(k));
	p->tunnel = t;
}

/* ---- flows ---- */

struct flow *tunnel_find(struct dpi *d, const struct packet *p, struct flow_key *k, bool hi, uint64_t *hash)
{
	uint32_t way = p->tunnel->way;
	struct flow *f, *same = NULL, *open = NULL;
	unsigned at = 0, room = TUNNEL_TENANTS;
	uint16_t tunnel = k->tunnel;

	if (!way) {
		*hash = flow_hash(&d->flows, k);
		return flow_find(&d->flows, k, *hash);
	}
	for (unsigned i = 0; i < TUNNEL_TENANTS; i++) {
		k->tunnel = (uint16_t)(tunnel | i);
		*hash = flow_hash(&d->flows, k);
		f = flow_find(&d->flows, k, *hash);
		if (!f) {
			if (room == TUNNEL_TENANTS)
				room = i;
			continue;
		}
		if (f->tunnel->way[hi] == way)
			return f;
		if (f->tunnel->way[hi])
			continue;
		if (!same && f->tunnel->way[!hi] == way) {
			same = f;
			at = i;
		} else if (!open && !same) {
			open = f;
			at = i;
		}
	}
	f = same ? same : open;
	if (!f && room == TUNNEL_TENANTS) {
		count(d, DPI_C_TUNNEL_TENANTS);
		tell_packet_anomaly(d, p, ANOM_TUNNEL_TENANTS);
		f = flow_find(&d->flows, k, *hash);	/* the last one has to take it */
		return f;
	}
	k->tunnel = (uint16_t)(tunnel | (f ? at : room));
	*hash = flow_hash(&d->flows, k);
	if (f)
		f->tunnel->way[hi] = way;
	return f;
}

struct flow *tunnel_find_quoted(struct dpi *d, const struct flow_key *quoted)
{
	struct flow_key k = *quoted;

	for (unsigned i = 0; i < TUNNEL_TENANTS; i++) {
		struct flow *f;

		k.tunnel = (uint16_t)(quoted->tunnel | i);
		f = flow_find(&d->flows, &k, flow_hash(&d->flows, &k));
		if (f)
			return f;
	}
	return NULL;
}

struct flow_tunnel *tunnel_keep(struct dpi *d, const struct packet *p, bool hi, bool down)
{
	struct flow_tunnel *t = mem_zalloc(d->mem, sizeof(*t));

	if (!t) {
		count(d, DPI_C_MEM_REFUSED);
		return NULL;
	}
	t->outer = p->tunnel->outer;
	t->way[hi] = p->tunnel->way;
	d->tunnel_bytes += (uint32_t)mem_class(sizeof(*t));
	if (down)
		tunnel_turn(t);
	return t;
}

void tunnel_turn(struct flow_tunnel *t)
{
	struct outer was = t->outer;

	t->outer.src = was.dst;
	t->outer.dst = was.src;
	t->outer.sport = was.dport;
	t->outer.dport = was.sport;
}

void tunnel_drop(struct dpi *d, struct flow_tunnel *t)
{
	if (t)
		d->tunnel_bytes -= (uint32_t)mem_class(sizeof(*t));
	mem_release(d->mem, t, sizeof(*t));
}

void tunnel_release(struct dpi *d, struct flow *f)
{
	if (!flow_tunnelled(f) || !f->tunnel)
		return;
	tunnel_drop(d, f->tunnel);
	f->tunnel = NULL;
}
