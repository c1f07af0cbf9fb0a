/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dns_msg: names, records and the shape of a DNS message; the bounds are told in the header. */
#include "dpi/proto/dns_msg.h"

#define WORK(m) (4096u + 16u * (uint64_t)(m)->len)	/* bytes of names spelled out per message */

/* ---- names ---- */

static size_t offset_of(const struct dns_msg *m, const struct cursor *in) { return (size_t)(in->pos - m->start); }

/* A compression pointer whose first byte was `hi`. */
static size_t pointer(struct cursor *in, uint8_t hi) { return (size_t)(hi & 0x3f) << 8 | cur_u8(in); }

bool dns_name_skip(const struct dns_msg *m, struct cursor *in)
{
	size_t begin = offset_of(m, in);
	unsigned total = 0;

	while (total < DNS_NAME_MAX) {
		uint8_t n = cur_u8(in);

		if (!cur_ok(in))
			return false;
		if (!n)
			return true;
		if (n >= 0xc0) {
			size_t to = pointer(in, n);
			return cur_ok(in) && to >= DNS_HEADER && to < begin;
		}
		if (n > 63 || !cur_skip(in, n))
			return false;
		total += n + 1u;
	}
	return false;
}

/* Whether all of a label is UTF-8 above U+0080 or printable ASCII (overlong forms and surrogates are not looked for: the sink does). */
static bool label_is_text(struct bytes b)
{
	struct cursor c = cur_of(b.p, b.n);

	while (cur_more(&c)) {
		uint8_t first = cur_u8(&c);
		unsigned more = first < 0x80 ? 0 : first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : 9;

		if (more == 9)
			return false;
		while (more--)
			if ((cur_u8(&c) & 0xc0) != 0x80)
				return false;
	}
	return true;
}

static void name_add(struct dns_name *out, uint8_t b, bool text)
{
	if (b < 0x20 || b == 0x7f || (b >= 0x80 && !text)) {
		out->s[out->n++] = '\\';
		out->s[out->n++] = (char)('0' + b / 100);
		out->s[out->n++] = (char)('0' + b / 10 % 10);
		out->s[out->n++] = (char)('0' + b % 10);
		return;
	}
	if (b == '.' || b == '\\')
		out->s[out->n++] = '\\';
	out->s[out->n++] = (char)b;
}

bool dns_name_read(struct dns_msg *m, struct cursor *in, struct dns_name *out)
{
	struct cursor hop = *in;
	size_t before = offset_of(m, in);
	unsigned total = 1;		/* the root label */

	out->n = 0;
	if (!dns_name_skip(m, in))
		return false;
	for (;;) {
		uint8_t n = cur_u8(&hop);
		struct bytes label;
		bool text;

		m->work += n < 0xc0 ? n + 1u : 4u;
		if (!cur_ok(&hop) || m->work > WORK(m))
			return false;
		if (!n)
			break;
		if (n >= 0xc0) {
			size_t to = pointer(&hop, n);

			if (!cur_ok(&hop) || to >= before)
				return false;
			before = to;
			hop = cur_of(m->start, m->len);
			cur_skip(&hop, to);
			continue;
		}
		label = cur_bytes(&hop, n);
		total += n + 1u;
		if (n > 63 || !label.p || total > DNS_NAME_MAX)
			return false;
		if (out->n)
			out->s[out->n++] = '.';
		text = label_is_text(label);
		for (size_t i = 0; i < label.n; i++)
			name_add(out, label.p[i], text);
	}
	if (!out->n)
		out->s[out->n++] = '.';
	return true;
}

/* ---- messages ---- */

bool dns_header(struct cursor *in, struct dns_msg *m)
{
	m->start = in->pos;
	m->len = cur_left(in);
	m->work = 0;
	m->id = cur_be16(in);
	m->flags = cur_be16(in);
	for (unsigned i = 0; i < 4; i++)
		m->count[i] = cur_be16(in);
	return cur_ok(in);
}

bool dns_rr_next(const struct dns_msg *m, struct cursor *in, struct dns_rr *rr)
{
	rr->owner = *in;
	if (!dns_name_skip(m, in))
		return false;
	rr->type = cur_be16(in);
	rr->class = cur_be16(in);
	rr->ttl = cur_be32(in);
	rr->rdata = cur_sub(in, cur_be16(in));
	return cur_ok(in);
}

static bool class_is_known(uint16_t class)
{
	class &= 0x7fff;	/* mDNS: "unicast response wanted", "cache flush" */
	return class == 1 || class == 3 || class == 4 || class == 254 || class == 255;
}

/* NetBIOS (RFC 1002): one label of 32 letters, each half a byte. */
static bool name_is_netbios(const struct cursor *name)
{
	struct cursor c = *name;
	uint8_t n = cur_u8(&c);

	for (unsigned i = 0; i < 32; i++) {
		uint8_t b = cur_u8(&c);

		if (b < 'A' || b > 'P')
			return false;
	}
	return cur_ok(&c) && n == 32;
}

enum dns_shape dns_shape_of(struct cursor in, bool netbios_port, bool *asked)
{
	struct dns_msg m;
	struct dns_rr rr;
	bool response;

	*asked = false;
	if (!dns_header(&in, &m))
		return DNS_SHAPE_CUT;
	response = m.flags & DNS_QR;
	if (m.flags & DNS_Z || dns_opcode(&m) == 3 || dns_opcode(&m) > 6 || (!response && m.flags & 15))
		return DNS_SHAPE_NO;
	for (unsigned i = 0; i < m.count[0]; i++) {
		struct cursor name = in;
		uint16_t type, class;

		if (!dns_name_skip(&m, &in))
			return cur_ok(&in) ? DNS_SHAPE_NO : DNS_SHAPE_CUT;
		type = cur_be16(&in);
		class = cur_be16(&in);
		if (!cur_ok(&in))
			return DNS_SHAPE_CUT;
		if (!type || !class_is_known(class) || (name_is_netbios(&name) && (netbios_port || type == DNS_T_NB || type == DNS_T_SRV)))
			return DNS_SHAPE_NO;
		*asked = true;
	}
	for (unsigned left = (unsigned)m.count[1] + m.count[2] + m.count[3]; left; left--) {
		if (!dns_rr_next(&m, &in, &rr))
			return cur_ok(&in) ? DNS_SHAPE_NO : DNS_SHAPE_CUT;
		if (!rr.type || (rr.type != DNS_T_OPT && !class_is_known(rr.class)) || (!m.count[0] && name_is_netbios(&rr.owner)))
			return DNS_SHAPE_NO;
	}
	if (!m.count[0] && (!response || !m.count[1]))
		return DNS_SHAPE_WEAK;	/* a bare refusal, or a query for a cookie only: too little to go by */
	return cur_left(&in) ? DNS_SHAPE_TRAILER : DNS_SHAPE_WHOLE;
}
