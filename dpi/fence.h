/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fence: what a policy refuses at the first packet, whatever comes: the packets between a local workload and its peers, by prefix and
 * port, that policy_judge() denies or drops, enforced, while nothing of the application is known. Pure.
 *
 * A fence holds no state, so it cannot tell who began. Of TCP it names connections by their SYN, of ICMP echo requests: their senders began. A datagram
 * may begin a flow or answer one, and what it is depends on nothing but the policy: it is within a fence where its destination port is refused to its
 * sender, and its source port is refused to whom it is sent to, so that whichever it is, it is refused.
 *
 * Conservative: what is not certain is not fenced. That is: policies that ask for names (an address may get one); link-local peers, unless they would
 * be refused whichever of the local ones they are; ports that a queue of either end owns (there the queue refuses, and tells); DHCP's, which are never
 * judged; policies with too many different ports, nodes with too many workloads, a search that takes too long. */
#ifndef TQ_DPI_FENCE_H
#define TQ_DPI_FENCE_H

#include "base/netid.h"
#include "dpi/policy.h"

#define FENCE_PEERS_MAX 256u	/* addresses of local workloads */
#define FENCE_PORTS_MAX 64u	/* ranges of ports that the policy tells apart */
#define FENCE_OUT_MAX 512u	/* of a kind */
#define FENCE_KINDS 3u

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
	enum fence_kind { FENCE_TCP, FENCE_UDP, FENCE_ECHO } kind;
	bool entering;				/* what peers send; else what it sends */
};

struct fence_left {
	unsigned out;		/* entries for which there was no place (FENCE_OUT_MAX): the widest prefixes' */
	bool capped;		/* there is more to be refused than is said: peers, ranges of ports, judgements or memory ran out */
};
/* A list for each family: the narrowest prefixes come first, and decide. Returns how many entries; 0: nothing is certain. */
unsigned fence_find(const struct fence_want *, struct fence out[FENCE_OUT_MAX], struct fence_left *);

#endif
