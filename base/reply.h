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

/* Addresses of one family. */
void reply_tcp(struct reply *, const struct addr *from, const struct addr *to, const struct reply_tcp *);
/* RFC 792; RFC 4443, 3.1. Quotes the beginning of the refused packet. */
void reply_unreachable(struct reply *, const struct addr *from, const struct addr *to, const uint8_t *packet, size_t len);

#endif
