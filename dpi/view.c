/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/view.h"

#define PRINT_BYTES 64u

/* What was seen: the network packet's first bytes without IP's TTL and checksum, which differ along the way. */
static uint64_t print_of(const struct hash_key *key, const struct packet *p)
{
	struct {
		struct addr src, dst;
		uint32_t domain;
		uint16_t ethertype, sport, dport;
		uint16_t vlan[2];
		uint8_t ipproto, zero;
		uint8_t bytes[PRINT_BYTES];
	} k;

	memset(&k, 0, sizeof(k));
	k.src = p->t.src;
	k.dst = p->t.dst;
	k.domain = p->t.domain;
	k.ethertype = p->ethertype;
	k.sport = p->t.sport;
	k.dport = p->t.dport;
	k.vlan[0] = p->vlan[0];
	k.vlan[1] = p->vlan[1];
	k.ipproto = p->t.ipproto;
	if (p->payload.n)
		memcpy(k.bytes, p->payload.p, p->payload.n < PRINT_BYTES ? p->payload.n : PRINT_BYTES);
	return hash_sip13(key, &k, sizeof(k));
}

bool view_counts_packet(struct view_cache *c, const struct hash_key *key, const struct packet *p)
{
	const struct frame *fr = p->frame;
	struct view_seen *s;
	uint64_t print;

	if (!fr->view)
		return true;
	print = print_of(key, p);
	s = &c->seen[print % VIEW_CACHE];
	if (s->view && s->print == print && s->view != fr->view && fr->ts - s->ts <= VIEW_SILENCE)
		return false;
	*s = (struct view_seen){ .print = print, .ts = fr->ts, .view = fr->view };
	return true;
}
