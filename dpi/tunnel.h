/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tunnel: what a packet carries, and whose flow that is.
 *
 * The core asks after a packet has counted in its flow and nobody stopped it (dpi.c). Inner packets are then led along the same way, one level at a time in
 * a loop: defrag, flow, stream, protocols. The guard and views are not asked again: the outer packet passed them for both.
 *
 * Identity. A flow in a tunnel is found by its own tuple and by the tunnel's identity: kinds, the two outer ends (either way round), VLANs, ids that both directions share
 * (VNI, session), and the identity of what that came in; as 46 bits of a keyed hash in flow_key. Ids that each direction has for itself (GRE key, call, TEID, label,
 * SPI) cannot be part of a key that both directions find. They are kept with the flow: a packet with another id than its direction had is another tenant's,
 * with a key of its own (TUNNEL_TENANTS of them). The first id of the answering direction is taken as it comes, where no tenant fits better. */
#ifndef TQ_DPI_TUNNEL_H
#define TQ_DPI_TUNNEL_H

#include "dpi/engine.h"

#define TUNNEL_DEPTH_MAX 5u	/* IP packets around an inner one */
#define TUNNEL_TENANTS 4u	/* flows with the same tuple and outer ends that differ in their directions' ids */

/* What a flow keeps of the tunnel around it: struct mem. */
struct flow_tunnel {
	struct outer outer;	/* src: on the initiator's side */
	uint32_t way[2];	/* by who sent it: key.lo, key.hi; 0: none so far */
};

_Static_assert(sizeof(struct flow_tunnel) <= 64, "one piece of the smallest class for each flow in a tunnel");

/* May the packet carry another one? A cheap question for each packet that is not TCP. */
static inline bool tunnel_may(const struct packet *p, const struct flow *f)
{
	switch (p->t.ipproto) {
	case 4:		/* IP in IP (RFC 2003) */
	case 41:	/* IPv6 (RFC 4213) */
	case 47:	/* GRE (RFC 2784, 2890, 2637) */
	case 97:	/* EtherIP (RFC 3378) */
	case 115:	/* L2TPv3 (RFC 3931) */
	case 137:	/* MPLS (RFC 4023) */
		return true;
	case 17:
		return tunnel_port(p->t.dport) || tunnel_port(p->t.sport) || f->app == APP_VXLAN || f->app == APP_GENEVE || f->app == APP_GTP || f->app == APP_TEREDO;
	default:
		return false;
	}
}

/* ---- tunnel.c ---- */

/* Opens what a packet carries in the bytes `b` of its payload (all of it, or one datagram of a super-packet): *p then is the inner packet, decoded as *r
 * says, in *t. False: nothing, or nothing that can be read; told and counted where it claims to be a tunnel. */
bool tunnel_open(struct dpi *, const struct carrier *, struct bytes b, struct tunnel *t, struct packet *p, enum decode_result *r);
/* How many of these bytes the first packet in them takes, with all headers before it; 0: it cannot be told. Counts nothing. */
size_t tunnel_length(const struct carrier *, struct bytes b);

/* ---- tunnel_flow.c ---- */

/* The ids that a direction has for itself, on the way inwards. */
uint32_t tunnel_way(uint32_t way, uint32_t id);
/* p->wrap becomes p->tunnel, which is *t then. Nothing to do without wraps. */
void tunnel_of_wraps(struct dpi *, struct packet *p, struct tunnel *t);

/* The flow of a packet with p->tunnel, or NULL; k comes from flow_key_of(), its tenant is set here. hi: the sender is k->hi. */
struct flow *tunnel_find(struct dpi *, const struct packet *p, struct flow_key *k, bool hi, uint64_t *hash);
/* The same for the packet that an ICMP error quotes: sent the other way, so its id is not known. */
struct flow *tunnel_find_quoted(struct dpi *, const struct flow_key *k);
/* What a new flow keeps; NULL: no memory. */
struct flow_tunnel *tunnel_keep(struct dpi *, const struct packet *p, bool hi, bool down);
void tunnel_drop(struct dpi *, struct flow_tunnel *);	/* of a flow that did not come to be; NULL is fine */
void tunnel_turn(struct flow_tunnel *);			/* the other end began the flow */
void tunnel_release(struct dpi *, struct flow *);

#endif
