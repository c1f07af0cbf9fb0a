/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fence: what a policy refuses at the first packet, whatever comes: the TCP connections between a local workload and its peers, by prefix and
 * port, that policy_judge() denies or drops, enforced, while nothing of the application is known. Pure.
 *
 * Conservative: what is not certain is not fenced. That is: policies that ask for names (an address may get one); link-local peers, unless they would
 * be refused whichever of the local ones they are; ports that a queue of either end owns (there the queue refuses, and tells); policies with too
 * many different ports, nodes with too many workloads, a search that takes too long. */
#ifndef TQ_DPI_FENCE_H
#define TQ_DPI_FENCE_H

#include "base/netid.h"
#include "dpi/policy.h"

#define FENCE_PEERS_MAX 256u	/* addresses of local workloads */
#define FENCE_PORTS_MAX 64u	/* ranges of ports that the policy tells apart */
#define FENCE_OUT_MAX 512u

struct fence_peer {		/* an address of a local workload */
	struct addr addr;
	const struct group_set *groups;		/* the caller's bits */
	const struct app_ports *queued;		/* ports that its queue owns; NULL: none */
};

struct fence_want {
	const struct policy *policy;
	const struct group_set *groups;		/* the workload's, as the caller knows them */
	const struct addr *addrs;		/* its addresses: all of a family must be refused */
	unsigned naddrs;
	const struct app_ports *queued;
	const struct fence_peer *peers;
	unsigned npeers;
	bool entering;				/* connections that peers begin; else those that it begins */
};

struct fence_left {
	unsigned out;		/* fences for which there was no place (FENCE_OUT_MAX), the narrowest */
	bool capped;		/* there is more to be refused than is said: peers, ranges of ports, judgements or memory ran out */
};
/* The widest prefixes first. Returns their number; 0: nothing is certain. */
unsigned fence_find(const struct fence_want *, struct tcp_fence out[FENCE_OUT_MAX], struct fence_left *);

#endif
