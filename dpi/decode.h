/* SPDX-License-Identifier: GPL-2.0-or-later */
/* decode: between decode.c (IP and transport) and link.c (what stands before them). */
#ifndef TQ_DPI_DECODE_H
#define TQ_DPI_DECODE_H

#include "dpi/packet.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_8021Q 0x8100
#define ETHERTYPE_8021AD 0x88a8
#define ETHERTYPE_QINQ 0x9100
#define ETHERTYPE_MPLS 0x8847
#define ETHERTYPE_MPLS_MULTICAST 0x8848
#define ETHERTYPE_PPPOE 0x8864
#define ETHERTYPE_MIN 0x0600	/* less is the length of an LLC frame (IEEE 802.3, 3.2.6) */

struct decoder {
	struct packet *out;
	struct cursor in;	/* what is still to be read */
	uint64_t missing;	/* bytes of the wire that come after in.end and were not captured */
	enum dpi_counter why;
};

static inline enum decode_result decode_bad(struct decoder *d, enum dpi_counter why)
{
	d->why = why;
	return DECODE_BAD;
}

static inline uint64_t decode_wire_left(const struct decoder *d) { return cur_left(&d->in) + d->missing; }

/* One more layer that separates networks. False: more than are followed. */
static inline bool decode_wrap(struct packet *p, enum tunnel_kind kind, uint32_t id)
{
	if (p->nwrap == WRAPS_MAX)
		return false;
	p->wrap[p->nwrap++] = (struct wrap){ .kind = (uint32_t)kind, .id = id };
	return true;
}

/* ---- decode.c ---- */
enum decode_result decode_ipv4(struct decoder *);
enum decode_result decode_ipv6(struct decoder *);
enum decode_result decode_raw_ip(struct decoder *);	/* by the version */

/* ---- sctp.c ---- */
bool sctp_checksum_right(const uint8_t *p, size_t n);	/* n >= 12 bytes from the common header on */

#endif
