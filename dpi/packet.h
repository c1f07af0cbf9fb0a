/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packet: a decoded frame. decode() fills offsets and lengths once, every length checked;
 * later code trusts them and never looks at raw headers again.
 *
 * RFC 791, 8200 (extension headers), 9293, 768, 792, 4443, 826, IEEE 802.1Q/ad. */
#ifndef TQ_DPI_PACKET_H
#define TQ_DPI_PACKET_H

#include "base/cursor.h"
#include "base/frame.h"
#include "dpi/dpi.h"

enum tcp_flag { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16, TCP_URG = 32, TCP_ECE = 64, TCP_CWR = 128 };

struct packet {
	const struct frame *frame;
	struct tuple t;
	struct bytes payload;	/* of TCP/UDP/SCTP/ICMP, without Ethernet padding */
	struct bytes ip;	/* from the IP header on, without padding */
	uint32_t iplen;		/* IPv4 total length; IPv6 payload length + 40 (0 with a GSO jumbo: from the frame) */
	uint16_t l4off;		/* of the transport header within ip */
	uint8_t family;		/* 4, 6; 0: not IP */
	uint8_t ttl;
	uint16_t ethertype;	/* innermost */
	uint16_t vlan[2];
	uint8_t nvlan;
	bool fragment;		/* a piece that must go through defrag first: ports are not valid */
	bool reassembled;
	bool l4_known;		/* ports or ICMP fields are valid */
	uint16_t frag_off;	/* bytes */
	bool frag_more;
	uint32_t frag_id;
	uint16_t frag_next;	/* IPv6 fragment: offset within ip of the next-header byte that named the fragment header */
	const uint8_t *eth_src, *eth_dst;	/* NULL without Ethernet */
	/* TCP */
	uint32_t seq, ack;
	uint16_t window, urgent;
	uint8_t tcp_flags;
	int8_t wscale;		/* -1: option absent */
	bool has_ts, sack_ok, bad_csum, md5;
	bool unfinished;	/* with bad_csum: the checksum is the sum of the pseudo header alone */
	uint32_t tsval, tsecr;
	uint16_t mss;		/* 0: option absent */
	/* ICMP */
	uint8_t icmp_type, icmp_code;
};

enum decode_result {
	DECODE_OK,		/* IP with a known transport, or a fragment */
	DECODE_NOT_IP,		/* ARP and other ethertypes: ethertype and payload are set */
	DECODE_BAD,		/* *why says what */
};

/* VLAN ids in `vlan` are those that separate networks: a priority tag (id 0) is passed over, as the kernel does.
 * bad_csum: the receiver would throw the packet away, as far as it can be told: transport checksums are judged only
 * where every byte is there and the frame's flags do not say that they are unfinished or were checked already. Captures
 * taken on a sending host often hold unfinished ones without saying so: `unfinished` tells those that look like it, the
 * caller decides what it means.
 * Ports of ICMP: an echo's id in both; type and code otherwise. A transport that is not decoded (GRE, ESP...) gives
 * DECODE_OK with l4_known false.
 * why: a counter of dpi/counters.def (DPI_C_DECODE_...). */
enum decode_result decode_frame(const struct frame *, struct packet *out, enum dpi_counter *why);
/* Transport of a datagram that defragmentation made whole: `ip` is header and payload in one piece. */
enum decode_result decode_ip(const struct frame *, struct bytes ip, struct packet *out, enum dpi_counter *why);

#endif
