/* SPDX-License-Identifier: GPL-2.0-or-later */
/* link: from the first byte of a frame, or of what a tunnel carries, to the IP header; decode.c reads on from there.
 *
 * Link types: Ethernet, Linux cooked (SLL, SLL2), BSD loopback, raw IP, NFLOG, PPP (with or without HDLC's address), PPPoE without Ethernet. Between link
 * and network: VLAN tags, PPPoE sessions (RFC 2516) with PPP (RFC 1661), MPLS label stacks (RFC 3032) with IP or, behind a control word (RFC 4385) or where the
 * bytes are plainly that, an Ethernet frame (RFC 4448).
 *
 * Tags, sessions and labels separate networks: VLAN ids go to packet.vlan, the others to packet.wrap, and both into the flow's key.
 *
 * Limits: two VLAN ids, WRAPS_MAX wraps, MPLS_LABELS_MAX labels, LINK_LAYERS_MAX steps in all. */
#include "dpi/decode.h"

#define ETHER_HLEN 14u
#define PPP_IPV4 0x0021
#define PPP_IPV6 0x0057
#define PPP_MPLS 0x0281
#define PPP_MPLS_MULTICAST 0x0283
#define MPLS_LABELS_MAX 16
#define LINK_LAYERS_MAX 8
#define NFULA_PAYLOAD 9
#define NFLOG_TLVS_MAX 64
#define ARPHRD_NETLINK 824	/* SLL: what follows is no network protocol */

/* ---- what bytes look like ---- */

bool decode_like_ip(struct cursor c)
{
	uint8_t first = cur_peek(&c, 0);

	if (first >> 4 == 4) {
		size_t n = cur_left(&c);
		uint16_t len;

		cur_skip(&c, 2);
		len = cur_be16(&c);
		return cur_ok(&c) && (first & 15u) >= 5 && n >= 20 && len >= (first & 15u) * 4u && len <= n;
	}
	if (first >> 4 == 6) {
		cur_skip(&c, 4);
		uint16_t len = cur_be16(&c);

		return cur_skip(&c, 34) && len <= cur_left(&c);
	}
	return false;
}

bool decode_like_ethernet(struct cursor c)
{
	uint16_t type;

	cur_skip(&c, 12);
	type = cur_be16(&c);
	for (int i = 0; i < 2 && (type == ETHERTYPE_8021Q || type == ETHERTYPE_8021AD); i++) {
		cur_skip(&c, 2);
		type = cur_be16(&c);
	}
	if (!cur_ok(&c))
		return false;
	switch (type) {
	case ETHERTYPE_IPV4:
		return cur_peek(&c, 0) >> 4 == 4 && decode_like_ip(c);
	case ETHERTYPE_IPV6:
		return cur_peek(&c, 0) >> 4 == 6 && decode_like_ip(c);
	case ETHERTYPE_ARP:
		return cur_be32(&c) == 0x00010800 && cur_be16(&c) == 0x0604;
	default:
		return false;
	}
}

/* ---- between link and network ---- */

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

static enum decode_result vlan(struct decoder *d)
{
	uint16_t tci = cur_be16(&d->in);

	d->out->ethertype = cur_be16(&d->in);
	if (!cur_ok(&d->in))
		return decode_bad(d, DPI_C_DECODE_VLAN_SHORT);
	if (!vlan_keep(d->out, tci))
		return decode_bad(d, DPI_C_DECODE_VLAN_DEEP);
	return DECODE_OK;
}

static enum decode_result ether(struct decoder *d)
{
	struct packet *p = d->out;
	const uint8_t *h = cur_take(&d->in, ETHER_HLEN);

	p->eth_dst = h;
	p->eth_src = h ? h + 6 : NULL;
	if (!h)
		return decode_bad(d, DPI_C_DECODE_ETHER_SHORT);
	p->ethertype = be16_at(h, 12);
	return DECODE_OK;
}

/* The protocol field, after HDLC's address and control where they are; either may be compressed (RFC 1661, 6.5, 6.6). */
static enum decode_result ppp(struct decoder *d)
{
	uint16_t proto;

	if (cur_starts(&d->in, "\xff\x03", 2))
		cur_skip(&d->in, 2);
	proto = cur_u8(&d->in);
	if (!(proto & 1))
		proto = (uint16_t)(proto << 8 | cur_u8(&d->in));
	if (!cur_ok(&d->in))
		return decode_bad(d, DPI_C_DECODE_PPP_SHORT);
	d->out->ethertype = proto == PPP_IPV4 ? ETHERTYPE_IPV4 : proto == PPP_IPV6 ? ETHERTYPE_IPV6 : proto == PPP_MPLS ? ETHERTYPE_MPLS :
			    proto == PPP_MPLS_MULTICAST ? ETHERTYPE_MPLS_MULTICAST : 0;
	return DECODE_OK;
}

/* Version, type, code of a session's data; session; length of what follows, which is less than what is there in a padded frame. */
static enum decode_result pppoe(struct decoder *d)
{
	uint16_t head = cur_be16(&d->in), session = cur_be16(&d->in), len = cur_be16(&d->in);
	size_t there = cur_left(&d->in);

	if (!cur_ok(&d->in))
		return decode_bad(d, DPI_C_DECODE_PPPOE_SHORT);
	if (head != 0x1100 || len > decode_wire_left(d))
		return decode_bad(d, DPI_C_DECODE_PPPOE_BAD);
	if (!decode_wrap(d->out, TUNNEL_PPPOE, session))
		return decode_bad(d, DPI_C_DECODE_WRAP_DEEP);
	d->missing = len > there ? len - there : 0;
	d->in = cur_sub(&d->in, len < there ? len : there);
	return ppp(d);
}

/* A label stack and what it says nothing about: IP by its version, Ethernet behind a control word (first half byte 0) or without. */
static enum decode_result mpls(struct decoder *d)
{
	struct packet *p = d->out;
	struct cursor frame;
	uint32_t entry = 0;

	for (int n = 0; !(entry & 0x100); n++) {
		entry = cur_be32(&d->in);
		if (!cur_ok(&d->in))
			return decode_bad(d, DPI_C_DECODE_MPLS_SHORT);
		if (n == MPLS_LABELS_MAX)
			return decode_bad(d, DPI_C_DECODE_MPLS_DEEP);
	}
	if (!decode_wrap(p, TUNNEL_MPLS, entry >> 12))
		return decode_bad(d, DPI_C_DECODE_WRAP_DEEP);
	p->ethertype = 0;
	frame = d->in;
	switch (cur_peek(&d->in, 0) >> 4) {
	case 0:
		cur_skip(&frame, 4);
		if (decode_like_ethernet(frame)) {
			d->in = frame;
			break;
		}
		if (decode_like_ethernet(d->in))
			break;
		return DECODE_OK;
	case 4:
	case 6:
		if (!decode_like_ip(d->in) && decode_like_ethernet(d->in))
			break;
		p->ethertype = cur_peek(&d->in, 0) >> 4 == 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
		return DECODE_OK;
	default:
		if (decode_like_ethernet(d->in))
			break;
		return DECODE_OK;
	}
	return ether(d);
}

/* From out->ethertype on. */
static enum decode_result network(struct decoder *d)
{
	struct packet *p = d->out;
	enum decode_result r = DECODE_OK;

	for (int n = 0; r == DECODE_OK; n++) {
		if (p->ethertype == ETHERTYPE_IPV4)
			return decode_ipv4(d);
		if (p->ethertype == ETHERTYPE_IPV6)
			return decode_ipv6(d);
		if (n == LINK_LAYERS_MAX)
			return decode_bad(d, DPI_C_DECODE_WRAP_DEEP);
		switch (p->ethertype) {
		case ETHERTYPE_8021Q:
		case ETHERTYPE_8021AD:
		case ETHERTYPE_QINQ:
			r = vlan(d);
			break;
		case ETHERTYPE_PPPOE:
			r = pppoe(d);
			break;
		case ETHERTYPE_MPLS:
		case ETHERTYPE_MPLS_MULTICAST:
			r = mpls(d);
			break;
		default:
			if (p->ethertype < ETHERTYPE_MIN)
				p->ethertype = 0;	/* LLC, or a PPP protocol that is not IP */
			p->payload = cur_rest(&d->in);
			return DECODE_NOT_IP;
		}
	}
	return r;
}

/* ---- link types ---- */

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

/* family(1) version(1, 0) resource(2), then attributes in the byte order of the host that wrote them: length(2, with this head) type(2) value, padded to 4.
 * The packet is the attribute NFULA_PAYLOAD. A packet's own length tells which order it is: an attribute is never longer than what is there. */
static enum decode_result nflog(struct decoder *d)
{
	uint8_t family = cur_u8(&d->in), version = cur_u8(&d->in);

	cur_skip(&d->in, 2);
	if (!cur_ok(&d->in) || version)
		return decode_bad(d, DPI_C_DECODE_NFLOG_BAD);
	d->out->ethertype = family == 2 ? ETHERTYPE_IPV4 : family == 10 ? ETHERTYPE_IPV6 : 0;
	for (int n = 0; n < NFLOG_TLVS_MAX && cur_more(&d->in); n++) {
		struct cursor big = d->in;
		uint16_t len = cur_le16(&d->in), type = cur_le16(&d->in);
		uint64_t size;

		if (len < 4 || type > 255) {
			d->in = big;
			len = cur_be16(&d->in);
			type = cur_be16(&d->in);
		}
		size = len - 4u;
		if (!cur_ok(&d->in) || len < 4 || size > decode_wire_left(d))
			return decode_bad(d, DPI_C_DECODE_NFLOG_BAD);
		if ((type & 0x7fff) == NFULA_PAYLOAD) {
			size_t there = cur_left(&d->in);

			d->missing = size > there ? size - there : 0;
			d->in = cur_sub(&d->in, size < there ? (size_t)size : there);
			return DECODE_OK;
		}
		size = (size + 3) & ~UINT64_C(3);
		cur_skip(&d->in, size < cur_left(&d->in) ? (size_t)size : cur_left(&d->in));
	}
	d->out->ethertype = 0;	/* a record without its packet */
	return DECODE_OK;
}

/* Everything before the network header: out->ethertype says what stands at d->in then. */
static enum decode_result link_header(struct decoder *d)
{
	struct packet *p = d->out;
	uint16_t type;

	switch ((enum linktype)p->frame->link) {
	case LINK_ETHERNET:
		return ether(d);
	case LINK_SLL:
		cur_skip(&d->in, 2);
		type = cur_be16(&d->in);
		cur_skip(&d->in, 10);
		p->ethertype = cur_be16(&d->in);
		if (type == ARPHRD_NETLINK)
			p->ethertype = 0;
		break;
	case LINK_SLL2:
		p->ethertype = cur_be16(&d->in);
		cur_skip(&d->in, 6);
		if (cur_be16(&d->in) == ARPHRD_NETLINK)
			p->ethertype = 0;
		cur_skip(&d->in, 10);
		break;
	case LINK_NULL:
		p->ethertype = null_ethertype(&d->in);
		break;
	case LINK_NFLOG:
		return nflog(d);
	case LINK_PPP:
		return ppp(d);
	case LINK_PPPOE:
		return pppoe(d);
	case LINK_RAW:
	case LINK_UNSUPPORTED:
	default:
		return decode_bad(d, DPI_C_DECODE_LINKTYPE);
	}
	return cur_ok(&d->in) ? DECODE_OK : decode_bad(d, DPI_C_DECODE_ETHER_SHORT);
}

static void packet_init(struct packet *out, const struct frame *f, uint32_t flags)
{
	memset(out, 0, sizeof(*out));
	out->frame = f;
	out->flags = flags;
	out->wscale = -1;
	out->t.domain = f->domain;
}

enum decode_result decode_frame(const struct frame *f, struct packet *out, enum dpi_counter *why)
{
	struct decoder d = { .out = out, .in = cur_of(f->data, f->caplen), .missing = f->wirelen > f->caplen ? f->wirelen - f->caplen : 0 };
	enum decode_result r;

	packet_init(out, f, f->flags);
	if (f->flags & FRAME_VLAN)
		vlan_keep(out, f->vlan_tci);
	if (f->link == LINK_RAW) {
		r = decode_raw_ip(&d);
	} else {
		r = link_header(&d);
		if (r == DECODE_OK)
			r = network(&d);
	}
	if (r == DECODE_BAD)
		*why = d.why;
	return r;
}

enum decode_result decode_inner(const struct packet *outer, const struct inner *in, const struct tunnel *t, struct packet *out, enum dpi_counter *why)
{
	struct decoder d = { .out = out, .in = cur_of(in->b.p, in->b.n), .missing = in->missing };
	enum decode_result r = DECODE_OK;

	packet_init(out, outer->frame, in->flags);
	out->t.domain = outer->t.domain;
	out->tunnel = t;
	switch (in->layer) {
	case LAYER_IP:
		r = decode_raw_ip(&d);
		if (r == DECODE_BAD)
			*why = d.why;
		return r;
	case LAYER_ETHERNET:
		r = ether(&d);
		break;
	case LAYER_TYPE:
		out->ethertype = in->ethertype;
		break;
	case LAYER_PPP:
		r = ppp(&d);
		break;
	case LAYER_MPLS:
		out->ethertype = ETHERTYPE_MPLS;
		break;
	}
	if (r == DECODE_OK)
		r = network(&d);
	if (r == DECODE_BAD)
		*why = d.why;
	return r;
}
