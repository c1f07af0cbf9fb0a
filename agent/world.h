/* SPDX-License-Identifier: GPL-2.0-or-later */
/* world: what workers know of workloads: an immutable snapshot, built by the main thread, shared by reference.
 *
 * One entry per workload interface ("port"): its MAC and addresses, its ownership row, the policy groups of its workload.
 * Views: an entry's index-free id << 1 for what leaves it, | 1 for what enters it. */
#ifndef TQ_AGENT_WORLD_H
#define TQ_AGENT_WORLD_H

#include "agent/owner.h"
#include "base/addr.h"
#include "bridge/link.h"
#include "dpi/policy.h"
#include "nfq/reset.h"

struct world_port {
	struct owner_row row;
	uint32_t view;			/* even, > 0, unique per interface for the life of the process */
	int ifindex;			/* the host's end of its veth */
	uint8_t mac[6];
	unsigned naddrs;
	struct addr addrs[LINK_ADDRS_MAX];
	struct group_set groups;	/* the caller's bits for `policy` */
	bool quarantined;
	struct reset *reset;		/* resets connections that its queue holds; NULL: it has none. The world has a reference of its own */
};

struct world;

/* Copies n ports; takes a reference on the policy (NULL: none). overlap_start/end: ns since the epoch; a switch is under way and packets
 * of that time may be shown by two paths. NULL when memory is short. Initial reference 1. */
struct world *world_new(const struct world_port *ports, unsigned n, struct policy *, int64_t overlap_start, int64_t overlap_end);
struct world *world_ref(struct world *);
void world_unref(struct world *);	/* NULL is fine; thread-safe */

struct policy *world_policy(const struct world *);
/* NULL when there is none. Link-local and loopback addresses are not unique on a node and are never found by address. */
const struct world_port *world_by_mac(const struct world *, const uint8_t mac[6]);
const struct world_port *world_by_addr(const struct world *, const struct addr *);
const struct world_port *world_by_workload(const struct world *, uint32_t workload);	/* its first interface */
/* Rows of the ends of a packet: the frame's own workload for its side, the address for the other. */
void world_ends(const struct world *, const struct frame *, const struct tuple *, const struct world_port *out[2]);

/* The guard of DESIGN section 5, for dpi_ops.owner: path says which kind of source the frame came from. */
enum dpi_own world_owner(const struct world *, const struct frame *, const struct tuple *);
/* View and workload of a mirrored frame from its MACs (mirror_conf.view). */
uint32_t world_view(const struct world *, const uint8_t *mac_src, const uint8_t *mac_dst, bool entering, uint32_t *workload);

#endif
