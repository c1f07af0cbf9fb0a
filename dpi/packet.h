/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packet: a decoded frame. decode() fills offsets and lengths once, every length checked;
 * later code trusts them and never looks at raw headers again.
 *
 * RFC 791, 8200 (extension headers), 4302, 9293, 768, 792, 4443, 9260, 826, 2516, 3032, 1661, IEEE 802.1Q/ad. */
#ifndef TQ_DPI_PACKET_H
#define TQ_DPI_PACKET_H

#include "base/cursor.h"
#include "base/frame.h"
#include "dpi/dpi.h"

enum tcp_flag { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16, TCP_URG = 32, TCP_ECE = 64, TCP_CWR = 128 };

/* A layer without addresses of its own that makes a network of its own: PPPoE, MPLS, an authentication header. Hashed as bytes: no padding. */
#define WRAPS_MAX 3u
struct wrap {
	uint32_t kind;		/* enum tunnel_kind */
	uint32_t id;		/* PPPoE: session; MPLS: the last label; AH: SPI */
};

/* What a packet came in. Made by tunnel.c; borrowed as long as the packet is. */
struct tunnel {
	uint64_t key;		/* keyed hash of all that names it: kinds, outer ends (either way round), ids that are the same both ways, and what that came in */
	uint32_t way;		/* the id that each direction has for itself (GRE key, call, TEID, label, SPI); 0 where there is none */
	struct outer outer;	/* as it is told; src sent this packet */
};

struct packet {
	const struct frame *frame;
	const struct tunnel *tunnel;	/* NULL: nothing around it */
	uint32_t flags;		/* those of frame.flags that hold for this packet */
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
	uint8_t nwrap;
	struct wrap wrap[WRAPS_MAX];	/* outer first; decode fills it, tunnel.c makes `tunnel` of it */
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
	bool has_ts, sack_ok, bad_csum;
	bool unfinished;	/* with bad_csum: the checksum is the sum of the pseudo header alone */
	bool md5, ao;		/* a signature (RFC 2385, 5925) */
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
/* Transport of a datagram that defragmentation made whole: `ip` is header and payload in one piece, `piece` the fragment that completed it. */
enum decode_result decode_ip(const struct packet *piece, struct bytes ip, struct packet *out, enum dpi_counter *why);

/* How bytes inside a tunnel begin. */
enum layer {
	LAYER_IP,		/* the version tells which */
	LAYER_ETHERNET,
	LAYER_TYPE,		/* what `ethertype` says */
	LAYER_PPP,
	LAYER_MPLS,
};

struct inner {
	struct bytes b;
	uint64_t missing;	/* bytes of the wire behind them that were not captured */
	uint32_t flags;		/* those of the frame that hold for it */
	uint16_t ethertype;
	enum layer layer;
};

/* The packet in it. `tunnel` and what else `outer` gives it (frame, domain) is set. */
enum decode_result decode_inner(const struct packet *outer, const struct inner *, const struct tunnel *, struct packet *out, enum dpi_counter *why);
/* The bytes may be an Ethernet frame with a packet of a kind that is known: types and lengths fit together. For encapsulations that do not say. */
bool decode_like_ethernet(struct cursor);
/* ... an IPv4 or IPv6 packet. */
bool decode_like_ip(struct cursor);

/* A UDP port that tunnels have for their own (vxlan, geneve, gtp-u, ...). */
static inline bool tunnel_port(uint16_t port)
{
	switch (port) {
	case 1701:	/* l2tp */
	case 2152:	/* gtp-u */
	case 3544:	/* teredo */
	case 4754:	/* gre */
	case 4789:	/* vxlan */
	case 4790:	/* vxlan-gpe */
	case 6081:	/* geneve */
	case 6635:	/* mpls */
	case 8472:	/* vxlan, as Linux had it first */
		return true;
	default:
		return false;
	}
}

#endif
