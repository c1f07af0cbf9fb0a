/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/dedup.h"

#include <netinet/in.h>

#define PER_PIECE ((uint32_t)(MEM_PIECE_MAX / sizeof(struct dedup_entry)))
#define PROBE_MAX 32u
#define PRINT_PAYLOAD 48u	/* bytes of what has no sequence number */

static void table_free(struct dedup *u, unsigned t)
{
	for (unsigned i = 0; i < DEDUP_PIECES; i++) {
		mem_release(u->mem, u->piece[t][i], MEM_PIECE_MAX);
		u->piece[t][i] = NULL;
	}
}

void dedup_start(struct dedup *u, struct mem *mem, const struct hash_key *key, int64_t now)
{
	dedup_stop(u);
	u->mem = mem;
	u->key = key;
	u->turned = now;
}

void dedup_stop(struct dedup *u)
{
	table_free(u, 0);
	table_free(u, 1);
}

static void turn(struct dedup *u, int64_t now)
{
	if (now - u->turned < DEDUP_TURN)
		return;
	table_free(u, 1);
	if (now - u->turned < 2 * DEDUP_TURN)
		memcpy(u->piece[1], u->piece[0], sizeof(u->piece[0]));
	else
		table_free(u, 0);
	memset(u->piece[0], 0, sizeof(u->piece[0]));
	u->turned = now;
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

/* The print's entry in one table, or the free one where it would go; NULL: neither, or no memory. */
static struct dedup_entry *table_find(struct dedup *u, unsigned t, uint64_t print, bool make)
{
	struct dedup_entry **piece = &u->piece[t][print % DEDUP_PIECES];
	uint32_t i = (uint32_t)(print / DEDUP_PIECES % PER_PIECE);

	if (!*piece && make)
		*piece = mem_zalloc(u->mem, MEM_PIECE_MAX);
	for (uint32_t n = 0; *piece && n < PROBE_MAX; n++, i = (i + 1) % PER_PIECE)
		if (!(*piece)[i].print || (*piece)[i].print == print)
			return &(*piece)[i];
	return NULL;
}

static struct dedup_entry *entry_of(struct dedup *u, uint64_t print)
{
	struct dedup_entry *e = table_find(u, 0, print, true), *older;

	if (e && !e->print) {
		older = table_find(u, 1, print, false);
		if (older && older->print)
			*e = *older;
		e->print = print;
	}
	return e;
}

/* Never 0. Two points that share a number count as one: then a copy counts twice, which is the lesser harm. */
static uint16_t point_of(const struct frame *f)
{
	return (uint16_t)(hash_mix64((uint64_t)f->path << 32 | f->view) | 1);
}

enum dedup_result dedup_packet(struct dedup *u, const struct packet *p)
{
	struct dedup_entry *e;
	uint16_t point = point_of(p->frame);

	turn(u, p->frame->ts);
	e = entry_of(u, print_of(u, p));
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
