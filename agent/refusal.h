/* SPDX-License-Identifier: GPL-2.0-or-later */
/* refusal: tells both ends of a flow that the mirror's side denies: RSTs, ICMP/ICMPv6 port unreachable for UDP.
 *
 * To an end on this node: by a packet socket on the host side of its veth, past the qdisc (our own redirect would eat it, and the mirror would
 * show it). To others: by a raw socket of the node, which carries nfq.mark.
 *
 * Numbers. A receiver takes a RST only at the very byte that it awaits (RFC 5961, 3.2). That is the end of what the other side sent, as far as
 * it got there, or what the receiver acknowledged last, as far as it has said so: both are tried, and both get exact when nothing passes any
 * more. So it is to be repeated for later packets of the flow. A flow that shows none is told once; where not all of its numbers are known, its ends are asked for them by
 * a probe (base/reply.h), and what answers is a packet of the flow. */
#ifndef TQ_AGENT_REFUSAL_H
#define TQ_AGENT_REFUSAL_H

#include "base/err.h"
#include "base/reply.h"
#include "dpi/dpi.h"

#define REFUSAL_QUOTE 128u	/* bytes of the packet that an ICMP error quotes: headers with options and what identifies it */

struct refusal {		/* what is kept of a struct dpi_refused */
	struct tuple tuple;
	uint32_t workload[2];
	uint32_t view;		/* of the frame; even: it left */
	int64_t ts;
	struct reply_end end[2];		/* the initiator, the responder */
	bool silent;		/* no packet of it is at hand: no MACs, no quote */
	bool to_client;
	uint8_t verdict;
	uint8_t mac_src[6], mac_dst[6];		/* of the frame */
	uint16_t quote_len;
	uint8_t quote[REFUSAL_QUOTE];
};
void refusal_of(const struct dpi_refused *, struct refusal *);
void refusal_ends(const struct dpi_refused *, struct reply_end end[2]);

struct refusal_end {		/* how one end is reached; by side: [0] the initiator's */
	int ifindex;		/* the host side of its veth; 0: by the node's routes */
	uint8_t mac[6];		/* the workload's, with ifindex */
};

struct refuser;
struct refuser *refuser_open(uint32_t mark, struct err *);
void refuser_close(struct refuser *);	/* NULL is fine */
void refuser_tell(struct refuser *, const struct refusal *, const struct refusal_end end[2]);

#endif
