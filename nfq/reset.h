/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reset: refuses a connection that was denied: RST to both ends (RFC 9293, 3.5.2), ICMP/ICMPv6 port unreachable for UDP, by a raw socket
 * in the workload's netns, carrying `mark` so that our own chains let it pass. Towards the denied packet's receiver the number is the
 * packet's own; towards its sender its acknowledgement, which lags while data streams there: so it is to be called for each packet of the
 * denied flow, and the last one, which acknowledges all that was on the way, resets the sender too. */
#ifndef TQ_NFQ_RESET_H
#define TQ_NFQ_RESET_H

#include <stdint.h>

#include "base/err.h"
#include "base/frame.h"
#include "base/reply.h"

struct reset;
struct reset *reset_open(int nsfd, uint32_t mark, struct err *);
struct reset *reset_ref(struct reset *);	/* any thread, as all below */
void reset_close(struct reset *);	/* a reference; closed with the last one. NULL is fine */
/* The frame is raw IP (what a queue delivers). Malformed or non-TCP/UDP: nothing is sent, 0. */
int reset_refuse(struct reset *, const struct frame *, struct err *);

/* Resets both ends of a connection that shows no packet ([0]: the initiator). Where not all of its numbers are known, its ends are asked for them instead: what they
 * answer is queued, and to be refused. */
int reset_ends(struct reset *, const struct reply_end end[2], struct err *);

/* Asks the receiver of a TCP segment where it is: an acknowledgement without bytes, of the byte before, as keepalive sends it (tcp_xmit_probe_skb() in
 * net/ipv4/tcp_output.c). A kernel answers at once: with what it awaits, or, where there is no such connection, with a reset. */
int reset_ask(struct reset *, const struct frame *, struct err *);

#endif
