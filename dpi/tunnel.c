/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tunnel: headers of encapsulations, and the identity of what they carry (tunnel.h).
 *
 * Which kind. The IP protocol says it, or the UDP port that the kind has for its own, or the name that the flow got by its content. By port alone a packet
 * is opened silently: what does not read as a tunnel is none. What goes by name only, on another port, must fill its datagram to the last byte.
 * A header that its receiver refuses (Linux: GRE with routing, a wrong GRE checksum) is not opened.
 *
 * The bytes of an inner packet lie in the outer one's. Checksums: what the kernel said of the frame's (FRAME_CSUM_VALID) was said of the outer packet. */
#include "dpi/tunnel.h"

#include <netinet/in.h>

#include "base/csum.h"

#define TYPE_IPV4 0x0800
#define TYPE_ARP 0x0806
#define TYPE_IPV6 0x86dd
#define TYPE_TEB 0x6558
#define TYPE_WCCP 0x883e
#define TYPE_ERSPAN2 0x88be
#define TYPE_ERSPAN3 0x22eb
#define TYPE_PPP 0x880b
#define TYPE_NSH 0x894f
#define ETHERNET_PAD 46u	/* bytes that may follow a packet in a frame of the least size */
#define GTP_EXTENSIONS_MAX 8
#define PROTO_ETHERIP 97
#define PROTO_L2TP 115
#define PROTO_MPLS 137

enum open {
	OPEN_YES,
	OPEN_NOTHING,	/* well-formed, and carries no packet: a control message, a keepalive */
	OPEN_BAD,
};

struct opener {
	const struct packet *outer;
	struct cursor c;
	uint64_t missing;	/* bytes of the wire behind c.end */
	struct inner in;
	enum tunnel_kind kind;
	uint32_t id;
	bool has_id;
	bool both_ways;		/* both directions have the same id */
	bool named;		/* by the IP protocol, or by the flow's content: what is broken is told */
	bool strict;		/* by content only */
};

static void id_is(struct opener *o, uint32_t id, bool both_ways)
{
	o->id = id;
	o->has_id = true;
	o->both_ways = both_ways;
}

static enum open carries(struct opener *o, enum layer layer, uint16_t ethertype)
{
	o->in.layer = layer;
	o->in.ethertype = ethertype;
	return cur_ok(&o->c) ? OPEN_YES : OPEN_BAD;
}

/* `type` as GRE, Geneve and others have it. */
static enum open carries_type(struct opener *o, uint16_t type) { return carries(o, type == TYPE_TEB ? LAYER_ETHERNET : LAYER_TYPE, type); }

/* What follows is `len` bytes long. False: there is less. */
static bool bound(struct opener *o, uint64_t len)
{
	size_t there = cur_left(&o->c);

	if (!cur_ok(&o->c) || len > there + o->missing)
		return false;
	if (len <= there) {
		o->c = cur_sub(&o->c, (size_t)len);
		o->missing = 0;
	} else {
		o->missing = len - there;
	}
	return true;
}

/* ---- headers ---- */

/* Network service header (RFC 8300): length in words in the low 6 bits of the first two bytes, what follows in the fourth. */
static enum open nsh(struct opener *o)
{
	uint16_t head = cur_be16(&o->c);
	uint8_t next;

	cur_skip(&o->c, 1);
	next = cur_u8(&o->c);
	if ((head & 0x3f) < 2 || !cur_skip(&o->c, (head & 0x3fu) * 4 - 4))
		return OPEN_BAD;
	switch (next) {
	case 1:
		return carries(o, LAYER_TYPE, TYPE_IPV4);
	case 2:
		return carries(o, LAYER_TYPE, TYPE_IPV6);
	case 3:
		return carries(o, LAYER_ETHERNET, 0);
	case 5:
		return carries(o, LAYER_MPLS, 0);
	default:
		return OPEN_NOTHING;
	}
}

/* RFC 7348: flags(1), 3 bytes, VNI(3), 1 byte. With the P flag the fourth byte says what follows (draft-ietf-nvo3-vxlan-gpe). */
static enum open vxlan(struct opener *o)
{
	uint8_t flags = cur_u8(&o->c), next;

	o->kind = TUNNEL_VXLAN;
	cur_skip(&o->c, 2);
	next = cur_u8(&o->c);
	id_is(o, cur_be24(&o->c), true);
	cur_skip(&o->c, 1);
	if (!(flags & 0x08))
		return OPEN_BAD;
	if (!(flags & 0x04))
		return carries(o, LAYER_ETHERNET, 0);
	switch (next) {
	case 1:
		return carries(o, LAYER_TYPE, TYPE_IPV4);
	case 2:
		return carries(o, LAYER_TYPE, TYPE_IPV6);
	case 3:
		return carries(o, LAYER_ETHERNET, 0);
	case 4:
		return nsh(o);
	case 5:
		return carries(o, LAYER_MPLS, 0);
	default:
		return OPEN_NOTHING;
	}
}

/* RFC 8926: version(2 bits) and words of options(6 bits), O C and 6 bits, type(2), VNI(3), 1 byte, options. */
static enum open geneve(struct opener *o)
{
	uint8_t first = cur_u8(&o->c), flags = cur_u8(&o->c);
	uint16_t type = cur_be16(&o->c);

	o->kind = TUNNEL_GENEVE;
	id_is(o, cur_be24(&o->c), true);
	cur_skip(&o->c, 1u + (first & 0x3fu) * 4u);
	if (first >> 6)
		return OPEN_BAD;
	return flags & 0x80 ? OPEN_NOTHING : carries_type(o, type);
}

/* 3GPP TS 29.281: version 1, not GTP'; type 255 is a packet of the user's. E, S or N: four bytes more, the last the type of the first extension header, each of
 * which has its length in words first and the next one's type last. */
static enum open gtp(struct opener *o)
{
	uint8_t flags = cur_u8(&o->c), type = cur_u8(&o->c), next = 0;
	uint16_t len = cur_be16(&o->c);

	o->kind = TUNNEL_GTP;
	id_is(o, cur_be32(&o->c), false);
	if (!cur_ok(&o->c))
		return OPEN_BAD;
	if (flags >> 4 != 3 || type != 255)
		return OPEN_NOTHING;
	if (!bound(o, len))
		return OPEN_BAD;
	if (flags & 7) {
		cur_skip(&o->c, 3);
		next = cur_u8(&o->c);
	}
	for (int n = 0; next && flags & 4; n++) {
		uint8_t words = cur_u8(&o->c);

		if (!words || n == GTP_EXTENSIONS_MAX || !cur_skip(&o->c, words * 4u - 2u))
			return OPEN_BAD;
		next = cur_u8(&o->c);
	}
	if (!decode_like_ip(o->c) && decode_like_ethernet(o->c))
		return carries(o, LAYER_ETHERNET, 0);
	return carries(o, LAYER_IP, 0);
}

/* RFC 4380, 5.1.1: an authentication (00 01, lengths of id and value, both, nonce, confirmation) and an origin (00 00, port, address) may stand before the packet. */
static enum open teredo(struct opener *o)
{
	o->kind = TUNNEL_TEREDO;
	if (cur_starts(&o->c, "\0\1", 2)) {
		uint8_t id, auth;

		cur_skip(&o->c, 2);
		id = cur_u8(&o->c);
		auth = cur_u8(&o->c);
		cur_skip(&o->c, (size_t)id + auth + 9);
	}
	if (cur_starts(&o->c, "\0\0", 2))
		cur_skip(&o->c, 8);
	return cur_peek(&o->c, 0) >> 4 == 6 ? carries(o, LAYER_TYPE, TYPE_IPV6) : OPEN_BAD;
}

/* Type II (draft-foschiano-erspan): version(4 bits) VLAN(12), 6 bits, session(10), index; III: 12 bytes, and 8 more when the last bit is set. Ethernet follows, or IP. */
static enum open erspan(struct opener *o, bool three)
{
	uint8_t version = cur_u8(&o->c) >> 4;
	uint16_t tail;

	o->kind = TUNNEL_ERSPAN;
	cur_skip(&o->c, 1);
	id_is(o, cur_be16(&o->c) & 0x3ff, true);
	cur_skip(&o->c, 4);
	if (version != (three ? 2 : 1))
		return OPEN_BAD;
	if (!three)
		return carries(o, LAYER_ETHERNET, 0);
	cur_skip(&o->c, 2);
	tail = cur_be16(&o->c);
	if (tail & 1)
		cur_skip(&o->c, 8);
	return carries(o, (tail >> 10 & 31) == 2 ? LAYER_IP : LAYER_ETHERNET, 0);
}

/* RFC 2637: the key is the length of what follows and the call. A packet without a sequence number only acknowledges. */
static enum open gre_pptp(struct opener *o, uint16_t flags, uint16_t type)
{
	uint16_t len = cur_be16(&o->c);

	o->kind = TUNNEL_PPTP;
	id_is(o, cur_be16(&o->c), false);
	if (type != TYPE_PPP || !(flags & 0x2000) || flags & 0xc000)
		return OPEN_BAD;
	if (flags & 0x1000)
		cur_skip(&o->c, 4);
	if (flags & 0x80)
		cur_skip(&o->c, 4);
	if (!(flags & 0x1000) || !len)
		return cur_ok(&o->c) ? OPEN_NOTHING : OPEN_BAD;
	return bound(o, len) ? carries(o, LAYER_PPP, 0) : OPEN_BAD;
}

/* RFC 2784, 2890: C R K S and a version, type, { checksum, reserved }, { key }, { sequence number }. */
static enum open gre(struct opener *o)
{
	struct cursor all = o->c;
	uint16_t flags = cur_be16(&o->c), type = cur_be16(&o->c);

	o->kind = TUNNEL_GRE;
	if ((flags & 7) == 1)
		return gre_pptp(o, flags, type);
	if (flags & 0x4007)	/* routing, another version: no receiver of today's knows them */
		return OPEN_BAD;
	if (flags & 0x8000) {
		cur_skip(&o->c, 4);
		if (!o->missing && !(o->outer->flags & (FRAME_CSUM_PARTIAL | FRAME_GSO_TCP | FRAME_GSO_UDP)) &&
		    csum_fold(csum_add(0, all.pos, cur_left(&all))) != 0xffff)
			return OPEN_BAD;
	}
	if (flags & 0x2000)
		id_is(o, cur_be32(&o->c), false);
	if (flags & 0x1000)
		cur_skip(&o->c, 4);
	switch (type) {
	case 0:		/* a keepalive */
		return OPEN_NOTHING;
	case TYPE_ERSPAN2:
		if (flags & 0x1000)
			return erspan(o, false);
		o->kind = TUNNEL_ERSPAN;	/* type I has no header of its own */
		return carries(o, LAYER_ETHERNET, 0);
	case TYPE_ERSPAN3:
		return erspan(o, true);
	case TYPE_WCCP:		/* a redirect header, unless IPv4 begins at once */
		if (cur_peek(&o->c, 0) >> 4 != 4)
			cur_skip(&o->c, 4);
		return carries(o, LAYER_TYPE, TYPE_IPV4);
	case TYPE_PPP:
		return carries(o, LAYER_PPP, 0);
	case TYPE_NSH:
		return nsh(o);
	default:
		return carries_type(o, type);
	}
}

/* Data of version 3: session, then a cookie of 0, 4 or 8 bytes and perhaps 4 of a sublayer, as was agreed before: the Ethernet frame tells where it begins. */
static enum open l2tp3(struct opener *o)
{
	uint32_t session = cur_be32(&o->c);

	id_is(o, session, false);
	if (!session)
		return cur_ok(&o->c) ? OPEN_NOTHING : OPEN_BAD;
	for (int n = 0; n < 4; n++) {
		if (decode_like_ethernet(o->c))
			return carries(o, LAYER_ETHERNET, 0);
		cur_skip(&o->c, 4);
	}
	return OPEN_NOTHING;
}

/* RFC 2661: flags and version, { length }, tunnel, session, { Ns, Nr }, { offset, so many bytes }, PPP. T: a control message. */
static enum open l2tp(struct opener *o)
{
	struct cursor all = o->c;
	uint16_t flags = cur_be16(&o->c), len;

	o->kind = TUNNEL_L2TP;
	if (flags & 0x8000 && cur_ok(&o->c))
		return OPEN_NOTHING;
	if ((flags & 15) == 3) {
		cur_skip(&o->c, 2);
		return l2tp3(o);
	}
	if ((flags & 15) != 2 || flags & 0x34f0)
		return OPEN_BAD;
	if (flags & 0x4000) {
		len = cur_be16(&o->c);
		o->c = all;
		if (!bound(o, len))
			return OPEN_BAD;
		cur_skip(&o->c, 4);
	}
	id_is(o, cur_be32(&o->c), false);
	if (flags & 0x0800)
		cur_skip(&o->c, 4);
	if (flags & 0x0200)
		cur_skip(&o->c, cur_be16(&o->c));
	return carries(o, LAYER_PPP, 0);
}

static enum open ip_in_ip(struct opener *o, bool six_inside)
{
	bool six_outside = o->outer->family == 6;

	o->kind = six_inside ? (six_outside ? TUNNEL_6IN6 : TUNNEL_6IN4) : six_outside ? TUNNEL_4IN6 : TUNNEL_IPIP;
	return carries(o, LAYER_TYPE, six_inside ? TYPE_IPV6 : TYPE_IPV4);
}

static enum open etherip(struct opener *o)
{
	o->kind = TUNNEL_ETHERIP;
	return cur_be16(&o->c) == 0x3000 ? carries(o, LAYER_ETHERNET, 0) : OPEN_BAD;
}

static enum open mpls(struct opener *o)
{
	o->kind = TUNNEL_MPLS;
	return carries(o, LAYER_MPLS, 0);
}

static enum open by_port(struct opener *o, uint16_t port)
{
	switch (port) {
	case 1701:
		return l2tp(o);
	case 2152:
		return gtp(o);
	case 3544:
		return teredo(o);
	case 4754:
		return gre(o);
	case 4789:
	case 4790:
	case 8472:
		return vxlan(o);
	case 6081:
		return geneve(o);
	case 6635:
		return mpls(o);
	default:
		return OPEN_NOTHING;
	}
}

static enum app app_of(enum tunnel_kind kind)
{
	return kind == TUNNEL_VXLAN ? APP_VXLAN : kind == TUNNEL_GENEVE ? APP_GENEVE : kind == TUNNEL_GTP ? APP_GTP : kind == TUNNEL_TEREDO ? APP_TEREDO :
	       kind == TUNNEL_L2TP ? APP_L2TP : APP_UNKNOWN;
}

static enum open by_udp(struct opener *o, enum app app)
{
	bool to = tunnel_port(o->outer->t.dport), from = tunnel_port(o->outer->t.sport);
	struct opener saved = *o;
	enum open r = OPEN_NOTHING;

	if (to)
		r = by_port(o, o->outer->t.dport);
	if (from && (r != OPEN_YES)) {
		*o = saved;
		r = by_port(o, o->outer->t.sport);
	}
	if (r == OPEN_YES || (r == OPEN_NOTHING && (to || from))) {
		o->named = app_of(o->kind) == app && app != APP_UNKNOWN;
		return r;
	}
	*o = saved;
	o->named = true;
	o->strict = true;
	switch ((int)app) {
	case APP_VXLAN:
		return vxlan(o);
	case APP_GENEVE:
		return geneve(o);
	case APP_GTP:
		return gtp(o);
	case APP_TEREDO:
		return teredo(o);
	default:
		return OPEN_NOTHING;
	}
}

static enum open open_header(struct opener *o, enum app app)
{
	o->named = true;
	switch (o->outer->t.ipproto) {
	case IPPROTO_IPIP:
		return ip_in_ip(o, false);
	case IPPROTO_IPV6:
		return ip_in_ip(o, true);
	case IPPROTO_GRE:
		return gre(o);
	case PROTO_ETHERIP:
		return etherip(o);
	case PROTO_L2TP:
		o->kind = TUNNEL_L2TP;
		return l2tp3(o);
	case PROTO_MPLS:
		return mpls(o);
	case IPPROTO_UDP:
		return by_udp(o, app);
	default:
		return OPEN_NOTHING;
	}
}

/* ---- identity ---- */

static void identity(const struct dpi *d, const struct opener *o, uint64_t flow_id, struct tunnel *t)
{
	const struct packet *p = o->outer;
	bool hi = addr_cmp(&p->t.src, &p->t.dst) > 0;
	struct {
		uint64_t parent;
		struct addr lo, hi;
		uint32_t domain, kind, id;
		uint16_t vlan[2];
	} k = {
		.parent = p->tunnel ? p->tunnel->key : 0,
		.lo = hi ? p->t.dst : p->t.src,
		.hi = hi ? p->t.src : p->t.dst,
		.domain = p->t.domain,
		.kind = (uint32_t)o->kind,
		.id = o->both_ways ? o->id : 0,
		.vlan = { p->vlan[0], p->vlan[1] },
	};

	t->key = hash_sip13(&d->conf.key, &k, sizeof(k));
	t->way = tunnel_way(p->tunnel ? p->tunnel->way : 0, o->both_ways ? 0 : o->id);
	t->outer = (struct outer){
		.src = p->t.src, .dst = p->t.dst, .sport = p->t.sport, .dport = p->t.dport, .ipproto = p->t.ipproto, .domain = p->t.domain,
		.flow_id = flow_id, .kind = (uint8_t)o->kind, .id = o->id, .has_id = o->has_id,
		.depth = (uint8_t)(1 + (p->tunnel ? p->tunnel->outer.depth : 0)),
	};
}

/* ---- opening ---- */

/* Nothing of the datagram is left over: for what goes by content only. Where the inner packet is no IP, the probe that named the flow said enough. */
static bool fills(const struct opener *o, const struct packet *p, enum decode_result r)
{
	const uint8_t *end = o->c.end;

	if (r != DECODE_OK)
		return r == DECODE_NOT_IP;
	return !o->missing && p->ip.p && p->iplen == p->ip.n && end >= p->ip.p + p->ip.n &&
	       (size_t)(end - (p->ip.p + p->ip.n)) <= (o->in.layer == LAYER_ETHERNET ? ETHERNET_PAD : 0);
}

static bool refused(struct dpi *d, const struct opener *o)
{
	if (!o->named)
		return false;
	count(d, DPI_C_TUNNEL_BAD);
	tell_packet_anomaly(d, o->outer, ANOM_TUNNEL_BAD);
	return false;
}

static struct opener opener_of(const struct packet *outer, struct bytes b)
{
	struct opener o = {
		.outer = outer,
		.c = cur_of(b.p, b.n),
		.missing = outer->iplen > outer->ip.n ? outer->iplen - outer->ip.n : 0,
		.in = { .flags = outer->flags & ~(uint32_t)(FRAME_VLAN | FRAME_CSUM_VALID) },
	};

	if (b.n < outer->payload.n) {	/* one datagram of a super-packet: a plain packet from here on */
		o.missing = 0;
		o.in.flags &= ~(uint32_t)FRAME_GSO_UDP;
	}
	return o;
}

static enum decode_result open_inner(struct opener *o, const struct tunnel *t, struct packet *p, enum dpi_counter *why)
{
	o->in.b = cur_rest(&o->c);
	o->in.missing = o->missing;
	o->c = cur_of(o->in.b.p, o->in.b.n);
	return decode_inner(o->outer, &o->in, t, p, why);
}

size_t tunnel_length(const struct carrier *c, struct bytes b)
{
	struct opener o = opener_of(c->p, b);
	struct tunnel t = { .key = 0 };
	struct packet p;
	enum dpi_counter why;

	if (open_header(&o, c->app) != OPEN_YES || open_inner(&o, &t, &p, &why) != DECODE_OK)
		return 0;
	return (size_t)(p.ip.p - b.p) + p.iplen;
}

/* By its port it is a tunnel, and it opens as one: its flow has no better name. */
static void name_by_port(struct dpi *d, const struct opener *o, const struct carrier *c)
{
	struct flow *f = d->px.f;
	enum app app = app_of(o->kind);

	if (o->named || app == APP_UNKNOWN || d->px.p != c->p || !f || !flow_hit(f, F_APP_KNOWN) || f->app != APP_UNKNOWN)
		return;
	feed_app(&d->px, app);
}

bool tunnel_open(struct dpi *d, const struct carrier *c, struct bytes b, struct tunnel *t, struct packet *p, enum decode_result *r)
{
	const struct packet *outer = c->p;
	struct opener o = opener_of(outer, b);
	enum dpi_counter why = DPI_C_TUNNEL_BAD;

	switch (open_header(&o, c->app)) {
	case OPEN_YES:
		break;
	case OPEN_NOTHING:
		return false;
	case OPEN_BAD:
		return refused(d, &o);
	}
	if (outer->tunnel && outer->tunnel->outer.depth >= TUNNEL_DEPTH_MAX) {
		count(d, DPI_C_TUNNEL_DEEP);
		tell_packet_anomaly(d, outer, ANOM_TUNNEL_DEEP);
		return false;
	}
	identity(d, &o, c->flow_id, t);
	*r = open_inner(&o, t, p, &why);
	if (*r == DECODE_BAD || (o.strict && !fills(&o, p, *r))) {
		if (*r == DECODE_BAD && o.named)
			count(d, why);
		return refused(d, &o);
	}
	if (!o.named && *r == DECODE_NOT_IP && p->ethertype != TYPE_ARP)
		return false;	/* a port, and bytes that could be anything */
	count(d, DPI_C_TUNNEL_OPENED);
	if (*r == DECODE_OK)
		name_by_port(d, &o, c);
	return true;
}
