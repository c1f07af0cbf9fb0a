/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reply: packets that tapqd sends by itself to the ends of a connection that it refuses: TCP segments without data, ICMP and ICMPv6 port unreachable.
 * Pure: bytes into a buffer, from the IP header on. The kernel fills in IPv4's id and checksum where it sends them by a raw socket; where it
 * does not (packet sockets), they are there. */
#ifndef TQ_BASE_REPLY_H
#define TQ_BASE_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define REPLY_MAX 1280
#define REPLY_QUOTE_V4 520	/* bytes of the refused packet: the error stays under 576 (RFC 1812, 4.3.2.3) ... */
#define REPLY_QUOTE_V6 1232	/* ... and within the minimum MTU (RFC 4443, 3.1) */

struct reply {
	uint8_t b[REPLY_MAX];
	size_t n;
};

struct reply_tcp {
	uint16_t sport, dport;	/* host order, as all below */
	uint32_t seq, ack;
	uint8_t flags;
};

/* What is known of one end of a connection. */
struct reply_end {
	struct addr addr;
	uint16_t port;
	bool known, acks;	/* `sent`, `acked` mean something */
	uint32_t sent;		/* what follows the last byte that it sent */
	uint32_t acked;		/* its highest acknowledgement */
};

/* Resets for `to`, as from its peer. A receiver takes one only at the very byte that it awaits (RFC 5961, 3.2): the end of what its peer sent, as far as that got
 * there, or what it acknowledged last, as far as it has said so; where they differ, both are tried. Returns how many; 0: nothing is known. */
unsigned reply_resets(struct reply k[2], const struct reply_end *to, const struct reply_end *peer);
/* For a connection of which no number is known: a SYN/ACK, which whoever has it answers by where he is (RFC 5961, 4.2), and anybody else by a reset. */
void reply_probe(struct reply *, const struct reply_end *to, const struct reply_end *peer);

/* Addresses of one family. */
void reply_tcp(struct reply *, const struct addr *from, const struct addr *to, const struct reply_tcp *);
/* RFC 792; RFC 4443, 3.1. Quotes the beginning of the refused packet. */
void reply_unreachable(struct reply *, const struct addr *from, const struct addr *to, const uint8_t *packet, size_t len);

#endif
