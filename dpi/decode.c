/* SPDX-License-Identifier: GPL-2.0-or-later */
/* decode: from an IP header on, to offsets, lengths and fields, once. What stands before it is link.c's.
 *
 * Owns nothing and keeps nothing; called by the core for each frame (decode_frame, in link.c), for each datagram that defrag made whole
 * (decode_ip), and for what a tunnel carries (decode_inner). Every byte is read through a cursor whose end is the packet's own, so what is
 * cut short fails once and is named by a counter. The judge of what is acceptable is Linux, on which the guarded containers run: a packet
 * that its stack throws away for its lengths is DECODE_BAD, one that it takes is decoded.
 *
 * "wire" is the number of bytes that were on the wire from here on, which is more than what is left when the capture is
 * cut (FRAME_TRUNCATED): lengths are judged by the wire, bytes are given out as far as they are there.
 *
 * Extension headers. Those that Linux walks are walked. A routing header with segments left is not for this receiver, and headers that Linux has no
 * use for (mobility, HIP, shim6) end the walk there as here: the packet is one of a transport that is not decoded. An option that makes a receiver
 * throw the packet away is DECODE_BAD. Behind an authentication header stands another network: a receiver without the key throws the packet away, so
 * what it carries must not be mixed with what came plainly (packet.wrap).
 *
 * Limits: IPV6_EXT_MAX extension headers. Tunnels are opened by tunnel.c. */
#include "dpi/decode.h"

#include <netinet/in.h>

#include "base/csum.h"

#define IPV6_EXT_MAX 32
#define IPV4_HLEN 20u
#define IPV6_HLEN 40u
#define TCP_HLEN 20u
#define IP_LEN_MAX 65535u
#define IP_OPTIONS_MAX 8u	/* of one header, padding apart (net.ipv6.max_dst_opts_number) */
#define IP_PAD_MAX 7u		/* bytes of padding between two of them */
#define FRAME_GSO (FRAME_GSO_TCP | FRAME_GSO_UDP)

/* ---- transport ---- */

/* True when the transport checksum can and must be judged: all of its bytes are here, nobody did it yet. */
static bool csum_judged(const struct decoder *d)
{
	return !d->missing && !(d->out->flags & (FRAME_CSUM_PARTIAL | FRAME_CSUM_VALID | FRAME_GSO));
}

/* Sum over the pseudo header (RFC 793, 8200 8.1) of n bytes of transport. */
static uint64_t csum_pseudo(const struct packet *p, uint8_t ipproto, size_t n)
{
	uint64_t sum = csum_add4(csum_add4(0, p->t.src.b + 12), p->t.dst.b + 12);

	if (p->family == 6) {
		sum = csum_add(sum, p->t.src.b, 12);
		sum = csum_add(sum, p->t.dst.b, 12);
	}
	sum = csum_add16(sum, (uint16_t)(n >> 16));
	sum = csum_add16(sum, (uint16_t)n);
	return csum_add16(sum, ipproto);
}

static bool csum_wrong(const struct packet *p, uint8_t ipproto, const uint8_t *l4, size_t n)
{
	return csum_fold(csum_add(csum_pseudo(p, ipproto, n), l4, n)) != 0xffff;
}

/* A wrong checksum of TCP or UDP, stored at `field`: is it the sum of the pseudo header alone, with the length or (where the
 * device cuts a large segment) without? That is what a sending host leaves to its device to finish. */
static bool csum_unfinished(const struct packet *p, uint8_t ipproto, const uint8_t *field, size_t n)
{
	uint16_t with = csum_fold(csum_pseudo(p, ipproto, n)), without = csum_fold(csum_pseudo(p, ipproto, 0));

	return memcmp(field, &with, 2) == 0 || memcmp(field, &without, 2) == 0;
}

static void csum_judge(struct packet *p, uint8_t ipproto, const uint8_t *l4, size_t n, size_t field)
{
	if (!csum_wrong(p, ipproto, l4, n))
		return;
	p->unfinished = !p->bad_csum && csum_unfinished(p, ipproto, l4 + field, n);
	p->bad_csum = true;
}

/* As tcp_parse_options() reads them: an option that runs over the end stops the walk, what came before it counts. */
static void tcp_options(struct packet *p, struct cursor c)
{
	while (cur_more(&c)) {
		uint8_t kind = cur_u8(&c), size;
		struct cursor o;

		if (kind == 0)
			return;
		if (kind == 1)
			continue;
		size = cur_u8(&c);
		if (size < 2 || size - 2u > cur_left(&c))
			return;
		o = cur_sub(&c, size - 2u);
		switch (kind) {
		case 2:
			if (size == 4 && p->tcp_flags & TCP_SYN)
				p->mss = cur_be16(&o);
			break;
		case 3:
			if (size == 3 && p->tcp_flags & TCP_SYN) {
				uint8_t shift = cur_u8(&o);

				p->wscale = (int8_t)(shift > 14 ? 14 : shift);	/* RFC 7323, 2.3 */
			}
			break;
		case 4:
			if (size == 2 && p->tcp_flags & TCP_SYN)
				p->sack_ok = true;
			break;
		case 8:
			if (size == 10) {
				p->has_ts = true;
				p->tsval = cur_be32(&o);
				p->tsecr = cur_be32(&o);
			}
			break;
		case 19:
			p->md5 |= size == 18;
			break;
		case 29:
			p->ao |= size >= 4;
			break;
		default:
			break;
		}
	}
}

/* What nearly all segments of an open connection have, as tcp_parse_aligned_timestamp() expects it: two NOPs and a timestamp. */
static const uint8_t aligned_ts[4] = { 1, 1, 8, 10 };

static enum decode_result decode_tcp(struct decoder *d)
{
	struct packet *p = d->out;
	struct cursor c = d->in;
	uint64_t wire = decode_wire_left(d);
	size_t there = cur_left(&c), hlen;
	const uint8_t *h = cur_take(&c, TCP_HLEN);
	struct bytes opts;

	if (!h)
		return decode_bad(d, DPI_C_DECODE_TCP_SHORT);
	p->t.sport = be16_at(h, 0);
	p->t.dport = be16_at(h, 2);
	p->seq = be32_at(h, 4);
	p->ack = be32_at(h, 8);
	p->tcp_flags = h[13];
	p->window = be16_at(h, 14);
	p->urgent = be16_at(h, 18);
	hlen = (size_t)(h[12] >> 4) * 4;
	if (hlen < TCP_HLEN || hlen > wire)
		return decode_bad(d, DPI_C_DECODE_TCP_HLEN);
	hlen -= TCP_HLEN;
	opts = cur_bytes(&c, hlen < cur_left(&c) ? hlen : cur_left(&c));	/* less only where the capture is cut */
	p->payload = cur_rest(&c);
	if (opts.n == sizeof(aligned_ts) + 8 && !memcmp(opts.p, aligned_ts, sizeof(aligned_ts))) {
		p->has_ts = true;
		p->tsval = be32_at(opts.p, 4);
		p->tsecr = be32_at(opts.p, 8);
	} else if (opts.n) {
		tcp_options(p, cur_of(opts.p, opts.n));
	}
	p->l4_known = true;
	if (csum_judged(d))
		csum_judge(p, IPPROTO_TCP, h, there, 16);
	return DECODE_OK;
}

static enum decode_result decode_udp(struct decoder *d)
{
	struct packet *p = d->out;
	const uint8_t *l4 = d->in.pos;
	uint64_t wire = decode_wire_left(d), len;
	uint16_t sum;

	p->t.sport = cur_be16(&d->in);
	p->t.dport = cur_be16(&d->in);
	len = cur_be16(&d->in);
	sum = cur_be16(&d->in);
	if (!cur_ok(&d->in))
		return decode_bad(d, DPI_C_DECODE_UDP_SHORT);
	/* 0 stands for "to the end" in a jumbogram (RFC 2675, 4) and, as Linux reads it, in any IPv6 packet; a
	 * super-packet's length may be that of one of its datagrams. */
	if ((len == 0 && (p->family == 6 || wire > IP_LEN_MAX)) || p->flags & FRAME_GSO_UDP)
		len = wire;
	if (len < 8 || len > wire)
		return decode_bad(d, DPI_C_DECODE_UDP_LEN);
	len -= 8;
	if (csum_judged(d) && sum)
		csum_judge(p, IPPROTO_UDP, l4, (size_t)len + 8, 6);
	else if (csum_judged(d) && p->family == 6 && !tunnel_port(p->t.dport))	/* RFC 6935: tunnels may leave it out */
		p->bad_csum = true;
	p->payload = cur_bytes(&d->in, len < cur_left(&d->in) ? (size_t)len : cur_left(&d->in));
	p->l4_known = true;
	return DECODE_OK;
}

static bool icmp_is_echo(const struct packet *p)
{
	if (p->family == 4)
		return p->icmp_type == 8 || p->icmp_type == 0;
	return p->icmp_type == 128 || p->icmp_type == 129;
}

static enum decode_result decode_icmp(struct decoder *d)
{
	struct packet *p = d->out;
	const uint8_t *l4 = d->in.pos;
	size_t there = cur_left(&d->in);
	uint16_t id;

	p->icmp_type = cur_u8(&d->in);
	p->icmp_code = cur_u8(&d->in);
	cur_skip(&d->in, 2);
	id = cur_be16(&d->in);
	cur_skip(&d->in, 2);
	if (!cur_ok(&d->in))
		return decode_bad(d, DPI_C_DECODE_ICMP_SHORT);
	p->t.sport = icmp_is_echo(p) ? id : p->icmp_type;
	p->t.dport = icmp_is_echo(p) ? id : p->icmp_code;
	p->payload = cur_rest(&d->in);
	p->l4_known = true;
	if (csum_judged(d)) {
		if (p->family == 6)
			p->bad_csum |= csum_wrong(p, IPPROTO_ICMPV6, l4, there);
		else
			p->bad_csum |= csum_fold(csum_add(0, l4, there)) != 0xffff;
	}
	return DECODE_OK;
}

/* Ports and checksum; chunks are walked when they are fed (sctp.c). A packet too short even for its common header has no ports to be judged by: the transport stays unknown. */
static enum decode_result decode_sctp(struct decoder *d)
{
	struct packet *p = d->out;
	struct cursor c = d->in;
	uint16_t sport = cur_be16(&c), dport = cur_be16(&c);

	cur_skip(&c, 8);	/* verification tag, CRC32c */
	if (cur_ok(&c)) {
		p->t.sport = sport;
		p->t.dport = dport;
		p->l4_known = true;
		if (csum_judged(d) && !sctp_checksum_right(d->in.pos, cur_left(&d->in)))
			p->bad_csum = true;
		d->in = c;
	}
	p->payload = cur_rest(&d->in);
	return DECODE_OK;
}

static enum decode_result decode_l4(struct decoder *d)
{
	struct packet *p = d->out;

	p->l4off = (uint16_t)(d->in.pos - p->ip.p);
	if (p->fragment) {
		p->payload = cur_rest(&d->in);
		return DECODE_OK;
	}
	switch (p->t.ipproto) {
	case IPPROTO_TCP:
		return decode_tcp(d);
	case IPPROTO_UDP:
		return decode_udp(d);
	case IPPROTO_SCTP:
		return decode_sctp(d);
	case IPPROTO_ICMP:
		if (p->family == 4)
			return decode_icmp(d);
		break;
	case IPPROTO_ICMPV6:
		if (p->family == 6)
			return decode_icmp(d);
		break;
	default:
		break;
	}
	p->payload = cur_rest(&d->in);
	return DECODE_OK;
}

/* ---- network ---- */

/* Takes the packet to be `len` bytes from its IP header on: what comes after is padding, what is not there is missing. */
static inline void ip_bounds(struct decoder *d, struct cursor ip, uint64_t len)
{
	size_t used = cur_used(&d->in) - cur_used(&ip);	/* header bytes that were read already */
	size_t there = cur_left(&ip) < len ? cur_left(&ip) : (size_t)len;

	d->missing = len - there;
	d->out->iplen = (uint32_t)len;
	d->out->ip = cur_bytes(&ip, there);
	d->in = cur_of(d->out->ip.p, there);
	cur_skip(&d->in, used);
}

/* False: ip_options_compile() refuses them, or they ask for a source route, which a host does not follow. */
static bool ipv4_options_taken(struct cursor c, bool held)
{
	unsigned routes = 0, records = 0, stamps = 0;

	while (cur_more(&c)) {
		uint8_t kind = cur_u8(&c), size, at;
		struct cursor o;

		if (kind == 0)
			return true;
		if (kind == 1)
			continue;
		size = cur_u8(&c);
		if (size < 2 || !cur_ok(&c) || size - 2u > cur_left(&c))
			return false;
		o = cur_sub(&c, size - 2u);
		at = cur_peek(&o, 0);
		switch (kind) {
		case 0x83:	/* loose and strict source routes */
		case 0x89:
			if (!held || routes++ || size < 3 || at < 4)	/* of a held packet its stack has judged already whether it follows them */
				return false;
			break;
		case 7:		/* record route: room for an address at the pointer, if that is within */
			if (records++ || size < 3 || at < 4 || (at <= size && at + 3 > size))
				return false;
			break;
		case 0x44:	/* timestamps */
			if (stamps++ || size < 4 || at < 5)
				return false;
			if (at <= size ? at + ((cur_peek(&o, 1) & 15) ? 7 : 3) > size : cur_peek(&o, 1) >> 4 == 15)
				return false;
			break;
		case 0x94:	/* router alert */
			if (size < 4)
				return false;
			break;
		default:
			break;
		}
	}
	return true;
}

/* Authentication headers of an IPv4 packet that is whole (RFC 4302): walked, and kept apart from what came without. */
static enum decode_result decode_ipv4_ah(struct decoder *d)
{
	struct packet *p = d->out;

	while (p->t.ipproto == IPPROTO_AH) {
		uint8_t next = cur_u8(&d->in), size = cur_u8(&d->in);
		uint32_t spi;

		cur_skip(&d->in, 2);
		spi = cur_be32(&d->in);
		cur_skip(&d->in, size > 1 ? (size + 2u) * 4 - 8 : SIZE_MAX);
		if (!cur_ok(&d->in))
			return decode_bad(d, DPI_C_DECODE_AH_SHORT);
		if (!decode_wrap(p, TUNNEL_AH, spi))
			return decode_bad(d, DPI_C_DECODE_WRAP_DEEP);
		p->t.ipproto = next;
	}
	return decode_l4(d);
}

/* The stack that holds a packet has taken its header, and may have written into its options since. */
static bool stack_took(const struct packet *p) { return p->frame->held && !p->tunnel; }

enum decode_result decode_ipv4(struct decoder *d)
{
	struct packet *p = d->out;
	struct cursor ip = d->in;
	uint64_t wire = decode_wire_left(d), len;
	const uint8_t *h = cur_take(&d->in, IPV4_HLEN);
	struct cursor opts;
	uint16_t frag;
	size_t hlen;

	if (!h)
		return decode_bad(d, DPI_C_DECODE_IPV4_SHORT);
	if (h[0] >> 4 != 4)
		return decode_bad(d, DPI_C_DECODE_IPV4_VERSION);
	hlen = (h[0] & 0xfu) * 4u;
	if (hlen < IPV4_HLEN)
		return decode_bad(d, DPI_C_DECODE_IPV4_HLEN);
	opts = cur_sub(&d->in, hlen - IPV4_HLEN);
	if (!cur_ok(&d->in))
		return decode_bad(d, DPI_C_DECODE_IPV4_SHORT);
	len = be16_at(h, 2);
	p->frag_id = be16_at(h, 4);
	frag = be16_at(h, 6);
	p->ttl = h[8];
	p->t.ipproto = h[9];
	p->family = 4;	/* what is told of it has its addresses */
	p->t.src = addr_v4(h + 12);
	p->t.dst = addr_v4(h + 16);
	if (hlen > IPV4_HLEN && !ipv4_options_taken(opts, stack_took(p)))
		return decode_bad(d, DPI_C_DECODE_IPV4_OPTION);
	/* Super-packets past 64 KiB (BIG TCP) cannot say their length: 0, or what is left of it in 16 bits. */
	if (wire > IP_LEN_MAX && (len == 0 || d->out->flags & FRAME_GSO))
		len = wire;
	else if (len == 0 && d->out->flags & FRAME_GSO)
		len = wire;
	if (len < hlen || len > wire)
		return decode_bad(d, DPI_C_DECODE_IPV4_LEN);
	ip_bounds(d, ip, len);
	if (!(d->out->flags & (FRAME_CSUM_PARTIAL | FRAME_GSO)) && !stack_took(p) && csum_fold(csum_add(0, p->ip.p, hlen)) != 0xffff)
		p->bad_csum = true;
	p->frag_more = frag & 0x2000;
	p->frag_off = (uint16_t)((frag & 0x1fff) * 8);
	p->fragment = p->frag_more || p->frag_off;
	return p->t.ipproto == IPPROTO_AH && !p->fragment ? decode_ipv4_ah(d) : decode_l4(d);
}

/* Length of an IPv6 packet from its fixed header on, by RFC 8200 and, for 0, RFC 2675 and what Linux does with it:
 * a super-packet past 64 KiB, a jumbogram, or whatever came. 0: contradicts the frame. `ext` stands after the fixed header. */
static uint64_t ipv6_length(const struct decoder *d, uint64_t wire, uint16_t payload, uint8_t next, struct cursor ext)
{
	struct cursor opts;

	if (wire > IP_LEN_MAX + IPV6_HLEN && d->out->flags & FRAME_GSO)
		return wire;
	if (payload || (next != IPPROTO_HOPOPTS && !(d->out->flags & FRAME_GSO) && wire <= IP_LEN_MAX + IPV6_HLEN))
		return payload + IPV6_HLEN > wire ? 0 : payload + IPV6_HLEN;
	if (next != IPPROTO_HOPOPTS)
		return wire;
	cur_skip(&ext, 1);
	opts = cur_sub(&ext, cur_u8(&ext) * 8u + 6u);
	while (cur_more(&opts)) {
		uint8_t kind = cur_u8(&opts), size;
		uint64_t jumbo;

		if (kind == 0)
			continue;
		size = cur_u8(&opts);
		if (kind != 0xc2) {
			if (!cur_skip(&opts, size))
				break;
			continue;
		}
		jumbo = cur_be32(&opts);
		if (size != 4 || !cur_ok(&opts) || jumbo <= IP_LEN_MAX || jumbo + IPV6_HLEN > wire)
			return 0;
		return jumbo + IPV6_HLEN;
	}
	return wire;
}

/* False: ip6_parse_tlv() throws the packet away for them: an unknown option that says so, one that is cut short, too many, or padding that is not. */
static bool ipv6_options_taken(struct cursor c, bool hop_by_hop)
{
	unsigned options = 0, pad = 0;

	while (cur_more(&c)) {
		uint8_t kind = cur_u8(&c), size;
		struct cursor o;

		if (kind == 0) {
			if (++pad > IP_PAD_MAX)
				return false;
			continue;
		}
		size = cur_u8(&c);
		o = cur_sub(&c, size);
		if (!cur_ok(&c))
			return false;
		if (kind == 1) {
			pad += size + 2u;
			while (cur_more(&o))
				if (cur_u8(&o))
					return false;
			if (pad > IP_PAD_MAX)
				return false;
			continue;
		}
		pad = 0;
		if (++options > IP_OPTIONS_MAX || (hop_by_hop && kind == 5 && size != 2) || (kind >> 6 && !(hop_by_hop && kind == 0xc2)))	/* the jumbo payload's was looked at before */
			return false;
	}
	return true;
}

/* A first piece must hold all headers up to the transport's (RFC 7112; ipv6frag_thdr_truncated). c: after the fragment header. */
static bool ipv6_head_whole(struct cursor c, uint8_t next)
{
	for (;;) {
		uint8_t now = next, size;

		switch (now) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_FRAGMENT:
		case IPPROTO_AH:
			next = cur_u8(&c);
			size = cur_u8(&c);
			if (now == IPPROTO_FRAGMENT)
				cur_skip(&c, 6);
			else
				cur_skip(&c, now == IPPROTO_AH ? (size + 2u) * 4 - 2 : size * 8u + 6);
			if (!cur_ok(&c))
				return true;	/* left to the one who puts it together */
			break;
		case IPPROTO_NONE:
			return true;
		case IPPROTO_TCP:
			return cur_left(&c) >= 20;
		case IPPROTO_UDP:
		case IPPROTO_ICMPV6:
			return cur_left(&c) >= 8;
		default:
			return cur_left(&c) >= 1;
		}
	}
}

/* Walks the extension headers (RFC 8200, 4) up to the transport or a fragment that is not whole. */
static enum decode_result decode_ipv6_ext(struct decoder *d, uint8_t next)
{
	struct packet *p = d->out;
	uint16_t named_at = 6;	/* offset of the byte that named `next` */

	for (unsigned n = 0;; n++) {
		uint16_t here = (uint16_t)(d->in.pos - p->ip.p), frag;
		struct cursor before = d->in, body;
		uint8_t now = next;
		size_t size;

		p->t.ipproto = next;
		switch (now) {
		case IPPROTO_HOPOPTS:
			if (n)	/* only right after the fixed header; elsewhere the receiver does not know it */
				return decode_l4(d);
			break;
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_FRAGMENT:
		case IPPROTO_AH:
			break;
		default:
			return decode_l4(d);
		}
		if (n == IPV6_EXT_MAX)
			return decode_bad(d, DPI_C_DECODE_IPV6_EXT_DEEP);
		next = cur_u8(&d->in);
		size = cur_u8(&d->in);
		if (now == IPPROTO_FRAGMENT) {
			frag = cur_be16(&d->in);
			p->frag_id = cur_be32(&d->in);
			p->frag_off = frag & 0xfff8;
			p->frag_more = frag & 1;
			body = d->in;
		} else {
			body = cur_sub(&d->in, now == IPPROTO_AH ? (size + 2) * 4 - 2 : size * 8 + 6);
		}
		if (!cur_ok(&d->in))
			return decode_bad(d, DPI_C_DECODE_IPV6_EXT_SHORT);
		switch (now) {
		case IPPROTO_FRAGMENT:
			if (!p->frag_off && !p->frag_more)
				break;	/* an atomic one (RFC 6946): whole by itself */
			if (!p->frag_off && !d->missing && !ipv6_head_whole(d->in, next))
				return decode_bad(d, DPI_C_DECODE_IPV6_EXT_SHORT);
			p->fragment = true;
			p->frag_next = named_at;
			p->t.ipproto = next;
			return decode_l4(d);
		case IPPROTO_ROUTING:
			if (cur_peek(&body, 1)) {	/* segments left */
				d->in = before;
				return decode_l4(d);
			}
			/* Mobility, RPL, segments: ipv6_rthdr_rcv() throws them away where nothing was switched on. */
			if (cur_peek(&body, 0) >= 2 && cur_peek(&body, 0) <= 4)
				return decode_bad(d, DPI_C_DECODE_IPV6_ROUTING);
			break;
		case IPPROTO_AH:
			cur_skip(&body, 2);
			if (!decode_wrap(p, TUNNEL_AH, cur_be32(&body)))
				return decode_bad(d, DPI_C_DECODE_WRAP_DEEP);
			break;
		default:
			if (!ipv6_options_taken(body, now == IPPROTO_HOPOPTS))
				return decode_bad(d, DPI_C_DECODE_IPV6_OPTION);
			break;
		}
		named_at = here;
	}
}

enum decode_result decode_ipv6(struct decoder *d)
{
	struct packet *p = d->out;
	struct cursor ip = d->in;
	uint64_t wire = decode_wire_left(d), len;
	uint32_t head = cur_be32(&d->in);
	uint16_t payload = cur_be16(&d->in);
	uint8_t next = cur_u8(&d->in);
	const uint8_t *src, *dst;

	p->ttl = cur_u8(&d->in);
	src = cur_take(&d->in, 16);
	dst = cur_take(&d->in, 16);
	if (!cur_ok(&d->in))
		return decode_bad(d, DPI_C_DECODE_IPV6_SHORT);
	if (head >> 28 != 6)
		return decode_bad(d, DPI_C_DECODE_IPV6_VERSION);
	p->family = 6;
	p->t.src = addr_v6(src);
	p->t.dst = addr_v6(dst);
	len = ipv6_length(d, wire, payload, next, d->in);
	if (!len)
		return decode_bad(d, DPI_C_DECODE_IPV6_LEN);
	ip_bounds(d, ip, len);
	return decode_ipv6_ext(d, next);
}

enum decode_result decode_raw_ip(struct decoder *d)
{
	switch (cur_peek(&d->in, 0) >> 4) {
	case 4:
		d->out->ethertype = ETHERTYPE_IPV4;
		return decode_ipv4(d);
	case 6:
		d->out->ethertype = ETHERTYPE_IPV6;
		return decode_ipv6(d);
	default:
		return decode_bad(d, cur_left(&d->in) ? DPI_C_DECODE_IPV4_VERSION : DPI_C_DECODE_IPV4_SHORT);
	}
}

enum decode_result decode_ip(const struct packet *piece, struct bytes ip, struct packet *out, enum dpi_counter *why)
{
	struct decoder d = { .out = out, .in = cur_of(ip.p, ip.n) };
	enum decode_result r;

	memset(out, 0, sizeof(*out));
	out->frame = piece->frame;
	out->flags = piece->flags;
	out->wscale = -1;
	out->t.domain = piece->t.domain;
	out->eth_src = piece->eth_src;	/* as the piece that came last has them: they are the same for all */
	out->eth_dst = piece->eth_dst;
	memcpy(out->vlan, piece->vlan, sizeof(out->vlan));
	out->nvlan = piece->nvlan;
	out->tunnel = piece->tunnel;
	out->reassembled = true;
	r = decode_raw_ip(&d);
	if (r == DECODE_BAD)
		*why = d.why;
	return r;
}
