/* SPDX-License-Identifier: GPL-2.0-or-later */
/* decode: from a frame's bytes to offsets, lengths and fields, once.
 *
 * Owns nothing and keeps nothing; called by the core for each frame (decode_frame) and for each datagram that defrag
 * made whole (decode_ip). Every byte is read through a cursor whose end is the packet's own, so what is cut short fails
 * once and is named by a counter. The judge of what is acceptable is Linux, on which the guarded containers run: a packet
 * that its stack throws away for its lengths is DECODE_BAD, one that it takes is decoded.
 *
 * "wire" is the number of bytes that were on the wire from here on, which is more than what is left when the capture is
 * cut (FRAME_TRUNCATED): lengths are judged by the wire, bytes are given out as far as they are there.
 *
 * Limits: two VLAN ids (the stripped one included), IPV6_EXT_MAX extension headers. Tunnels are not opened here. */
#include "dpi/packet.h"

#include <netinet/in.h>

#include "dpi/csum.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_8021Q 0x8100
#define ETHERTYPE_8021AD 0x88a8
#define ETHERTYPE_QINQ 0x9100
#define ETHERTYPE_MIN 0x0600	/* less is the length of an LLC frame (IEEE 802.3, 3.2.6) */
#define IPV6_EXT_MAX 8
#define IPV6_HLEN 40u
#define IP_LEN_MAX 65535u
#define FRAME_GSO (FRAME_GSO_TCP | FRAME_GSO_UDP)

struct decoder {
	const struct frame *frame;
	struct packet *out;
	struct cursor in;	/* what is still to be read */
	uint64_t missing;	/* bytes of the wire that come after in.end and were not captured */
	enum dpi_counter why;
};

static enum decode_result bad(struct decoder *d, enum dpi_counter why)
{
	d->why = why;
	return DECODE_BAD;
}

static uint64_t wire_left(const struct decoder *d) { return cur_left(&d->in) + d->missing; }

/* ---- transport ---- */

/* True when the transport checksum can and must be judged: all of its bytes are here, nobody did it yet. */
static bool csum_judged(const struct decoder *d)
{
	return !d->missing && !(d->frame->flags & (FRAME_CSUM_PARTIAL | FRAME_CSUM_VALID | FRAME_GSO));
}

/* Sum over the pseudo header (RFC 793, 8200 8.1) of n bytes of transport. */
static uint64_t csum_pseudo(const struct packet *p, uint8_t ipproto, size_t n)
{
	uint64_t sum = 0;

	if (p->family == 4) {
		sum = csum_add(sum, p->t.src.b + 12, 4);
		sum = csum_add(sum, p->t.dst.b + 12, 4);
	} else {
		sum = csum_add(sum, p->t.src.b, 16);
		sum = csum_add(sum, p->t.dst.b, 16);
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
	while (cur_left(&c)) {
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
		default:
			break;
		}
	}
}

static enum decode_result decode_tcp(struct decoder *d)
{
	struct packet *p = d->out;
	const uint8_t *l4 = d->in.pos;
	uint64_t wire = wire_left(d);
	size_t there = cur_left(&d->in), hlen;
	uint16_t offset_flags;
	struct cursor opts;

	p->t.sport = cur_be16(&d->in);
	p->t.dport = cur_be16(&d->in);
	p->seq = cur_be32(&d->in);
	p->ack = cur_be32(&d->in);
	offset_flags = cur_be16(&d->in);
	p->window = cur_be16(&d->in);
	cur_skip(&d->in, 2);
	p->urgent = cur_be16(&d->in);
	if (!cur_ok(&d->in))
		return bad(d, DPI_C_DECODE_TCP_SHORT);
	p->tcp_flags = (uint8_t)offset_flags;
	hlen = (size_t)(offset_flags >> 12) * 4;
	if (hlen < 20 || hlen > wire)
		return bad(d, DPI_C_DECODE_TCP_HLEN);
	hlen -= 20;
	opts = cur_sub(&d->in, hlen < cur_left(&d->in) ? hlen : cur_left(&d->in));	/* less only where the capture is cut */
	if (hlen)
		tcp_options(p, opts);
	p->payload = cur_rest(&d->in);
	p->l4_known = true;
	if (csum_judged(d))
		csum_judge(p, IPPROTO_TCP, l4, there, 16);
	return DECODE_OK;
}

static enum decode_result decode_udp(struct decoder *d)
{
	struct packet *p = d->out;
	const uint8_t *l4 = d->in.pos;
	uint64_t wire = wire_left(d), len;
	uint16_t sum;

	p->t.sport = cur_be16(&d->in);
	p->t.dport = cur_be16(&d->in);
	len = cur_be16(&d->in);
	sum = cur_be16(&d->in);
	if (!cur_ok(&d->in))
		return bad(d, DPI_C_DECODE_UDP_SHORT);
	/* 0 stands for "to the end" in a jumbogram (RFC 2675, 4) and, as Linux reads it, in any IPv6 packet; a
	 * super-packet's length may be that of one of its datagrams. */
	if ((len == 0 && p->family == 6) || d->frame->flags & FRAME_GSO_UDP)
		len = wire;
	if (len < 8 || len > wire)
		return bad(d, DPI_C_DECODE_UDP_LEN);
	len -= 8;
	if (csum_judged(d) && sum)
		csum_judge(p, IPPROTO_UDP, l4, (size_t)len + 8, 6);
	else if (csum_judged(d) && p->family == 6)
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
		return bad(d, DPI_C_DECODE_ICMP_SHORT);
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

/* Ports only. A packet too short even for its common header has no ports to be judged by: the transport stays unknown. */
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
static void ip_bounds(struct decoder *d, struct cursor ip, uint64_t len)
{
	size_t used = cur_used(&d->in) - cur_used(&ip);	/* header bytes that were read already */
	size_t there = cur_left(&ip) < len ? cur_left(&ip) : (size_t)len;

	d->missing = len - there;
	d->out->iplen = (uint32_t)len;
	d->out->ip = cur_bytes(&ip, there);
	d->in = cur_of(d->out->ip.p, there);
	cur_skip(&d->in, used);
}

static enum decode_result decode_ipv4(struct decoder *d)
{
	struct packet *p = d->out;
	struct cursor ip = d->in;
	uint64_t wire = wire_left(d), len;
	uint8_t vhl = cur_u8(&d->in);
	size_t hlen = (vhl & 0xfu) * 4u;
	const uint8_t *src, *dst;
	uint16_t frag;

	cur_skip(&d->in, 1);
	len = cur_be16(&d->in);
	p->frag_id = cur_be16(&d->in);
	frag = cur_be16(&d->in);
	p->ttl = cur_u8(&d->in);
	p->t.ipproto = cur_u8(&d->in);
	cur_skip(&d->in, 2);
	src = cur_take(&d->in, 4);
	dst = cur_take(&d->in, 4);
	if (!cur_ok(&d->in))
		return bad(d, DPI_C_DECODE_IPV4_SHORT);
	if (vhl >> 4 != 4)
		return bad(d, DPI_C_DECODE_IPV4_VERSION);
	if (hlen < 20)
		return bad(d, DPI_C_DECODE_IPV4_HLEN);
	if (!cur_skip(&d->in, hlen - 20))
		return bad(d, DPI_C_DECODE_IPV4_SHORT);
	/* Super-packets past 64 KiB (BIG TCP) cannot say their length: 0, or what is left of it in 16 bits. */
	if (wire > IP_LEN_MAX && (len == 0 || d->frame->flags & FRAME_GSO))
		len = wire;
	else if (len == 0 && d->frame->flags & FRAME_GSO)
		len = wire;
	if (len < hlen || len > wire)
		return bad(d, DPI_C_DECODE_IPV4_LEN);
	p->family = 4;
	p->t.src = addr_v4(src);
	p->t.dst = addr_v4(dst);
	ip_bounds(d, ip, len);
	if (!(d->frame->flags & (FRAME_CSUM_PARTIAL | FRAME_GSO)) && csum_fold(csum_add(0, p->ip.p, hlen)) != 0xffff)
		p->bad_csum = true;
	p->frag_more = frag & 0x2000;
	p->frag_off = (uint16_t)((frag & 0x1fff) * 8);
	p->fragment = p->frag_more || p->frag_off;
	return decode_l4(d);
}

/* Length of an IPv6 packet from its fixed header on, by RFC 8200 and, for 0, RFC 2675 and what Linux does with it:
 * a super-packet past 64 KiB, a jumbogram, or whatever came. 0: contradicts the frame. `ext` stands after the fixed header. */
static uint64_t ipv6_length(const struct decoder *d, uint64_t wire, uint16_t payload, uint8_t next, struct cursor ext)
{
	struct cursor opts;

	if (wire > IP_LEN_MAX + IPV6_HLEN && d->frame->flags & FRAME_GSO)
		return wire;
	if (payload || (next != IPPROTO_HOPOPTS && !(d->frame->flags & FRAME_GSO) && wire <= IP_LEN_MAX + IPV6_HLEN))
		return payload + IPV6_HLEN > wire ? 0 : payload + IPV6_HLEN;
	if (next != IPPROTO_HOPOPTS)
		return wire;
	cur_skip(&ext, 1);
	opts = cur_sub(&ext, cur_u8(&ext) * 8u + 6u);
	while (cur_left(&opts)) {
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

/* Walks the extension headers (RFC 8200, 4) up to the transport or a fragment that is not whole. */
static enum decode_result decode_ipv6_ext(struct decoder *d, uint8_t next)
{
	struct packet *p = d->out;
	uint16_t named_at = 6;	/* offset of the byte that named `next` */

	for (unsigned n = 0;; n++) {
		uint16_t here = (uint16_t)(d->in.pos - p->ip.p), frag;
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
			return bad(d, DPI_C_DECODE_IPV6_EXT_DEEP);
		next = cur_u8(&d->in);
		size = cur_u8(&d->in);
		if (now == IPPROTO_FRAGMENT) {
			frag = cur_be16(&d->in);
			p->frag_id = cur_be32(&d->in);
			p->frag_off = frag & 0xfff8;
			p->frag_more = frag & 1;
		} else {
			cur_skip(&d->in, now == IPPROTO_AH ? (size + 2) * 4 - 2 : size * 8 + 6);
		}
		if (!cur_ok(&d->in))
			return bad(d, DPI_C_DECODE_IPV6_EXT_SHORT);
		if (now == IPPROTO_FRAGMENT && (p->frag_off || p->frag_more)) {
			p->fragment = true;	/* otherwise an atomic one (RFC 6946): whole by itself */
			p->frag_next = named_at;
			p->t.ipproto = next;
			return decode_l4(d);
		}
		named_at = here;
	}
}

static enum decode_result decode_ipv6(struct decoder *d)
{
	struct packet *p = d->out;
	struct cursor ip = d->in;
	uint64_t wire = wire_left(d), len;
	uint32_t head = cur_be32(&d->in);
	uint16_t payload = cur_be16(&d->in);
	uint8_t next = cur_u8(&d->in);
	const uint8_t *src, *dst;

	p->ttl = cur_u8(&d->in);
	src = cur_take(&d->in, 16);
	dst = cur_take(&d->in, 16);
	if (!cur_ok(&d->in))
		return bad(d, DPI_C_DECODE_IPV6_SHORT);
	if (head >> 28 != 6)
		return bad(d, DPI_C_DECODE_IPV6_VERSION);
	len = ipv6_length(d, wire, payload, next, d->in);
	if (!len)
		return bad(d, DPI_C_DECODE_IPV6_LEN);
	p->family = 6;
	p->t.src = addr_v6(src);
	p->t.dst = addr_v6(dst);
	ip_bounds(d, ip, len);
	return decode_ipv6_ext(d, next);
}

static enum decode_result decode_raw_ip(struct decoder *d)
{
	switch (cur_peek(&d->in, 0) >> 4) {
	case 4:
		d->out->ethertype = ETHERTYPE_IPV4;
		return decode_ipv4(d);
	case 6:
		d->out->ethertype = ETHERTYPE_IPV6;
		return decode_ipv6(d);
	default:
		return bad(d, cur_left(&d->in) ? DPI_C_DECODE_IPV4_VERSION : DPI_C_DECODE_IPV4_SHORT);
	}
}

/* ---- link ---- */

/* Keeps a tag's VLAN id. False when there are more than are followed. */
static bool vlan_keep(struct packet *p, uint16_t tci)
{
	uint16_t id = tci & 0xfff;

	if (!id)
		return true;
	if (p->nvlan == 2)
		return false;
	p->vlan[p->nvlan++] = id;
	return true;
}

/* Passes over the tags in the bytes; the ethertype after them is left in out->ethertype. */
static enum decode_result decode_vlans(struct decoder *d)
{
	struct packet *p = d->out;

	while (p->ethertype == ETHERTYPE_8021Q || p->ethertype == ETHERTYPE_8021AD || p->ethertype == ETHERTYPE_QINQ) {
		uint16_t tci = cur_be16(&d->in);

		p->ethertype = cur_be16(&d->in);
		if (!cur_ok(&d->in))
			return bad(d, DPI_C_DECODE_VLAN_SHORT);
		if (!vlan_keep(p, tci))
			return bad(d, DPI_C_DECODE_VLAN_DEEP);
	}
	if (p->ethertype < ETHERTYPE_MIN)
		p->ethertype = 0;	/* LLC */
	return DECODE_OK;
}

static uint16_t null_ethertype(struct cursor *c)
{
	uint32_t af = cur_be32(c);

	if (af & 0xff000000)
		af = __builtin_bswap32(af);
	switch (af) {
	case 2:
		return ETHERTYPE_IPV4;
	case 10:	/* Linux */
	case 24:	/* NetBSD, OpenBSD */
	case 28:	/* FreeBSD */
	case 30:	/* Darwin */
		return ETHERTYPE_IPV6;
	default:
		return 0;
	}
}

/* Everything before the network header. DECODE_OK: out->ethertype says what stands at d->in (raw: nothing said). */
static enum decode_result decode_link(struct decoder *d)
{
	struct packet *p = d->out;
	const struct frame *f = d->frame;

	if (f->flags & FRAME_VLAN)
		vlan_keep(p, f->vlan_tci);
	switch ((enum linktype)f->link) {
	case LINK_ETHERNET:
		p->eth_dst = cur_take(&d->in, 6);
		p->eth_src = cur_take(&d->in, 6);
		p->ethertype = cur_be16(&d->in);
		break;
	case LINK_SLL:
		cur_skip(&d->in, 14);
		p->ethertype = cur_be16(&d->in);
		break;
	case LINK_SLL2:
		p->ethertype = cur_be16(&d->in);
		cur_skip(&d->in, 18);
		break;
	case LINK_NULL:
		p->ethertype = null_ethertype(&d->in);
		break;
	case LINK_RAW:
		return DECODE_OK;
	case LINK_UNSUPPORTED:
	default:
		return bad(d, DPI_C_DECODE_LINKTYPE);
	}
	if (!cur_ok(&d->in)) {
		p->eth_dst = p->eth_src = NULL;
		return bad(d, DPI_C_DECODE_ETHER_SHORT);
	}
	return decode_vlans(d);
}

static void decoder_init(struct decoder *d, const struct frame *f, struct packet *out)
{
	memset(out, 0, sizeof(*out));
	out->frame = f;
	out->wscale = -1;
	out->t.domain = f->domain;
	*d = (struct decoder){
		.frame = f,
		.out = out,
		.in = cur_of(f->data, f->caplen),
		.missing = f->wirelen > f->caplen ? f->wirelen - f->caplen : 0,
	};
}

enum decode_result decode_frame(const struct frame *f, struct packet *out, enum dpi_counter *why)
{
	struct decoder d;
	enum decode_result r;

	decoder_init(&d, f, out);
	r = decode_link(&d);
	if (r != DECODE_OK)
		;
	else if (f->link == LINK_RAW)
		r = decode_raw_ip(&d);
	else if (out->ethertype == ETHERTYPE_IPV4)
		r = decode_ipv4(&d);
	else if (out->ethertype == ETHERTYPE_IPV6)
		r = decode_ipv6(&d);
	else {
		out->payload = cur_rest(&d.in);
		r = DECODE_NOT_IP;
	}
	if (r == DECODE_BAD)
		*why = d.why;
	return r;
}

enum decode_result decode_ip(const struct frame *f, struct bytes ip, struct packet *out, enum dpi_counter *why)
{
	struct decoder d;
	enum decode_result r;

	decoder_init(&d, f, out);
	decode_link(&d);	/* of the piece that came last: VLAN ids and MACs are the same for all */
	d.in = cur_of(ip.p, ip.n);
	d.missing = 0;
	out->reassembled = true;
	r = decode_raw_ip(&d);
	if (r == DECODE_BAD)
		*why = d.why;
	return r;
}
