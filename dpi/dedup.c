/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/dedup.h"

#include <netinet/in.h>

#define PER_PIECE ((uint32_t)(MEM_PIECE_MAX / sizeof(struct dedup_entry)))
#define PROBE_MAX 32u
#define PRINT_PAYLOAD 48u	/* bytes of what has no sequence number */

void dedup_start(struct dedup *u, struct mem *mem, const struct hash_key *key)
{
	dedup_stop(u);
	u->mem = mem;
	u->key = key;
}

void dedup_stop(struct dedup *u)
{
	for (unsigned i = 0; i < DEDUP_PIECES; i++) {
		mem_release(u->mem, u->piece[i], MEM_PIECE_MAX);
		u->piece[i] = NULL;
	}
	u->used = 0;
}

/* Never 0. */
static uint64_t print_of(const struct dedup *u, const struct packet *p)
{
	struct {
		struct addr src, dst;
		uint16_t sport, dport;
		uint32_t domain, id, seq, ack, len, tsval;
		uint16_t window, vlan[2];
		uint8_t ipproto, flags, icmp_type, icmp_code, zero[2];
		uint8_t payload[PRINT_PAYLOAD];
	} k;
	uint64_t h;

	memset(&k, 0, sizeof(k));
	k.src = p->t.src;
	k.dst = p->t.dst;
	k.sport = p->t.sport;
	k.dport = p->t.dport;
	k.domain = p->t.domain;
	k.id = p->frag_id;
	k.len = p->iplen;
	k.vlan[0] = p->vlan[0];
	k.vlan[1] = p->vlan[1];
	k.ipproto = p->t.ipproto;
	k.icmp_type = p->icmp_type;
	k.icmp_code = p->icmp_code;
	if (p->t.ipproto == IPPROTO_TCP) {
		k.seq = p->seq;
		k.ack = p->ack;
		k.flags = p->tcp_flags;
		k.window = p->window;
		k.tsval = p->has_ts ? p->tsval : 0;
	} else if (p->payload.n) {
		memcpy(k.payload, p->payload.p, p->payload.n < PRINT_PAYLOAD ? p->payload.n : PRINT_PAYLOAD);
	}
	h = hash_sip13(u->key, &k, sizeof(k));
	return h ? h : 1;
}

static struct dedup_entry *entry_of(struct dedup *u, uint64_t print)
{
	struct dedup_entry **piece = &u->piece[print % DEDUP_PIECES], *e;
	uint32_t i = (uint32_t)(print / DEDUP_PIECES % PER_PIECE);

	if (!*piece)
		*piece = mem_zalloc(u->mem, MEM_PIECE_MAX);
	for (uint32_t n = 0; *piece && n < PROBE_MAX; n++, i = (i + 1) % PER_PIECE) {
		e = &(*piece)[i];
		if (e->print && e->print != print)
			continue;
		u->used += !e->print;
		e->print = print;
		return e;
	}
	return NULL;
}

/* Never 0. Two points that share a number count as one: then a copy counts twice, which is the lesser harm. */
static uint16_t point_of(const struct frame *f)
{
	return (uint16_t)(hash_mix64((uint64_t)f->path << 32 | f->view) | 1);
}

enum dedup_result dedup_packet(struct dedup *u, const struct packet *p)
{
	struct dedup_entry *e = entry_of(u, print_of(u, p));
	uint16_t point = point_of(p->frame);

	if (!e)
		return DEDUP_FULL;
	for (unsigned i = 0; i < DEDUP_POINTS; i++) {
		if (e->point[i] && e->point[i] != point)
			continue;
		e->point[i] = point;
		if (e->n[i] == UINT16_MAX)
			return DEDUP_FULL;
		if (++e->n[i] <= e->most)
			return DEDUP_SEEN;
		e->most = e->n[i];
		return DEDUP_NEW;
	}
	return DEDUP_SEEN;	/* four points showed it already */
}
