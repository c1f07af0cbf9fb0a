/* SPDX-License-Identifier: GPL-2.0-or-later */
/* snmp: versions 1 (RFC 1157), 2c (1901) and 3 (3412, 3414). One `snmp` event per message.
 *
 *   SEQUENCE { INTEGER version, OCTET STRING community, [n] PDU }
 *   SEQUENCE { INTEGER 3, SEQUENCE { id, size, flags, model }, OCTET STRING { security }, SEQUENCE { engine, context, [n] PDU } or sealed }
 *   PDU:  INTEGER id, INTEGER error, INTEGER index, SEQUENCE OF SEQUENCE { OID, value }      (trap of version 1: OID, address, ...)
 *
 * Over TCP (RFC 3430) messages follow each other; their own lengths part them, and a malformed one ends parsing.
 * A community is a password: only the two that everybody tries first are told, others as "***". The whole message must be of
 * that form to be taken for SNMP. */
#include "dpi/ber.h"
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define OIDS_TOLD 16u
#define TRAP_1 0xa4u
#define MESSAGE_MAX 65535u

static const struct fact f_version = { "version", FACT_PLAIN }, f_community = { "community", FACT_PLAIN }, f_user = { "user", FACT_USER },
	f_type = { "pdu_type", FACT_OPERATION }, f_oids = { "oids", FACT_PLAIN }, f_oid = { "oid", FACT_OBJECT }, f_error = { "error", FACT_PLAIN },
	f_sealed = { "encrypted", FACT_PLAIN };
static const struct fact *const facts[] = { &f_version, &f_community, &f_user, &f_type, &f_oids, &f_oid, &f_error, &f_sealed, NULL };

static const struct code types[] = {
	{ 0xa0, "get_request" }, { 0xa1, "get_next_request" }, { 0xa2, "response" }, { 0xa3, "set_request" }, { TRAP_1, "trap" },
	{ 0xa5, "get_bulk_request" }, { 0xa6, "inform_request" }, { 0xa7, "trap_v2" }, { 0xa8, "report" }, { 0, NULL },
};
static const struct code errors[] = {
	{ 1, "too_big" }, { 2, "no_such_name" }, { 3, "bad_value" }, { 4, "read_only" }, { 5, "gen_err" }, { 6, "no_access" }, { 7, "wrong_type" },
	{ 8, "wrong_length" }, { 9, "wrong_encoding" }, { 10, "wrong_value" }, { 11, "no_creation" }, { 12, "inconsistent_value" },
	{ 13, "resource_unavailable" }, { 14, "commit_failed" }, { 15, "undo_failed" }, { 16, "authorization_error" }, { 17, "not_writable" },
	{ 18, "inconsistent_name" }, { 0, NULL },
};

struct snmp {
	int64_t version, error;
	struct bytes community, user;
	uint8_t type;		/* tag of the PDU; 0: sealed */
	struct cursor binds;
};

static bool pdu_read(struct cursor *in, struct snmp *m)
{
	struct cursor pdu, one;
	int64_t id, index;

	if (!ber_next(in, &m->type, &pdu) || !code_name(types, m->type))
		return false;
	if (m->type == TRAP_1) {
		uint8_t tag;

		ber_bytes(&pdu, BER_OID);
		ber_next(&pdu, &tag, &one);
		ber_int(&pdu, BER_INTEGER, &id);
		ber_int(&pdu, BER_INTEGER, &id);
		ber_next(&pdu, &tag, &one);
	} else {
		ber_int(&pdu, BER_INTEGER, &id);
		ber_int(&pdu, BER_INTEGER, &m->error);
		ber_int(&pdu, BER_INTEGER, &index);
	}
	ber_open(&pdu, BER_SEQUENCE, &m->binds);
	for (struct cursor all = m->binds; cur_more(&all);) {
		uint8_t tag;

		if (!ber_open(&all, BER_SEQUENCE, &one) || !ber_bytes(&one, BER_OID).p)
			return false;
		ber_next(&one, &tag, &one);
		if (!cur_ok(&one))
			return false;
	}
	return cur_ok(&pdu) && !cur_left(&pdu);
}

static bool read_3(struct cursor *msg, struct snmp *m)
{
	struct cursor head, security, usm, scoped;
	int64_t id, size, model, v;
	struct bytes flags;

	ber_open(msg, BER_SEQUENCE, &head);
	ber_int(&head, BER_INTEGER, &id);
	ber_int(&head, BER_INTEGER, &size);
	flags = ber_bytes(&head, BER_OCTETS);
	ber_int(&head, BER_INTEGER, &model);
	ber_open(msg, BER_OCTETS, &security);
	if (!cur_ok(&head) || cur_left(&head) || flags.n != 1 || flags.p[0] > 7 || !cur_ok(msg))
		return false;
	if (model == 3 && ber_open(&security, BER_SEQUENCE, &usm)) {
		ber_bytes(&usm, BER_OCTETS);
		ber_int(&usm, BER_INTEGER, &v);
		ber_int(&usm, BER_INTEGER, &v);
		m->user = ber_bytes(&usm, BER_OCTETS);
		if (!cur_ok(&usm))
			return false;
	}
	if (ber_is(msg, BER_OCTETS)) {
		ber_bytes(msg, BER_OCTETS);
		return flags.p[0] & 2;
	}
	if (!ber_open(msg, BER_SEQUENCE, &scoped))
		return false;
	ber_bytes(&scoped, BER_OCTETS);
	ber_bytes(&scoped, BER_OCTETS);
	return pdu_read(&scoped, m) && !cur_left(&scoped);
}

static bool read(struct cursor in, struct snmp *m)
{
	struct cursor msg;

	memset(m, 0, sizeof(*m));
	if (!ber_is(&in, BER_SEQUENCE) || !ber_open(&in, BER_SEQUENCE, &msg) || cur_left(&in) || !ber_int(&msg, BER_INTEGER, &m->version))
		return false;
	if (m->version == 3)
		return read_3(&msg, m) && cur_ok(&msg) && !cur_left(&msg);
	if (m->version < 0 || m->version > 1)
		return false;
	m->community = ber_bytes(&msg, BER_OCTETS);
	return pdu_read(&msg, m) && !cur_left(&msg);
}

/* The first message of a connection: all of it, up to MESSAGE_MAX; NO as soon as its version says so. */
static enum probe probe_tcp(struct cursor c)
{
	struct cursor head = c;
	uint64_t size = 0;
	size_t n = 0;
	struct snmp m;

	if (!ber_is(&c, BER_SEQUENCE))
		return cur_left(&c) ? PROBE_NO : PROBE_MORE;
	switch (ber_size(c, &n, &size)) {
	case BER_SIZE_BAD:
		return PROBE_NO;
	case BER_SIZE_MORE:
		return PROBE_MORE;
	case BER_SIZE_KNOWN:
		break;
	}
	if (size > MESSAGE_MAX || size < 8)
		return PROBE_NO;
	cur_skip(&head, n);
	if (cur_left(&head) >= 3 && (cur_be16(&head) != 0x0201 || cur_u8(&head) > 3))
		return PROBE_NO;
	if (cur_left(&c) < size)
		return PROBE_MORE;
	return read(cur_of(c.pos, (size_t)size), &m) ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	struct snmp m;

	if (in->l4 == PROTO_TCP)
		return probe_tcp(in->dir[cur_left(&in->dir[DIR_TOSERVER]) ? DIR_TOSERVER : DIR_TOCLIENT]);
	return read(in->dir[in->now], &m) ? PROBE_YES : PROBE_NO;
}

static void tell_oids(struct record *r, struct cursor binds)
{
	char text[BER_OID_TEXT];
	struct cursor one;

	if (!cur_left(&binds))
		return;
	rec_arr(r, &f_oids);
	for (unsigned i = 0; i < OIDS_TOLD && ber_open(&binds, BER_SEQUENCE, &one); i++)
		if (ber_oid_text(ber_bytes(&one, BER_OID), text)) {
			rec_obj(r, NULL);
			rec_cstr(r, &f_oid, text);
			rec_end(r);
		}
	rec_end(r);
}

static void tell(struct px *px, enum dir dir, const struct snmp *message)
{
	struct snmp m = *message;
	struct record *r;

	r = px_record(px);
	rec_cstr(r, &f_version, m.version == 0 ? "1" : m.version == 1 ? "2c" : "3");
	if (m.version != 3)
		rec_cstr(r, &f_community, bytes_are(m.community, "public") ? "public" : bytes_are(m.community, "private") ? "private" : m.community.n ? "***" : "");
	else if (m.user.n)
		rec_bytes(r, &f_user, m.user);
	if (m.type)
		rec_cstr(r, &f_type, code_name(types, m.type));
	else
		rec_bool(r, &f_sealed, true);
	if (m.error > 0 && m.type == 0xa2)
		told_code(r, &f_error, errors, (uint32_t)m.error);
	tell_oids(r, m.binds);
	say(px, dir, EV_APP, UINT32_MAX, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	bool udp = px_l4(px) == PROTO_UDP;
	struct snmp m;

	(void)state;
	while (cur_more(in)) {
		struct cursor view = cur_of(in->pos, cur_left(in));
		uint64_t size = cur_left(in);
		size_t head = 0;
		enum ber_size known = udp ? BER_SIZE_KNOWN : ber_size(view, &head, &size);

		if (known == BER_SIZE_MORE)
			return msg_more(px, cur_left(in) + 1);
		if (!udp && (known == BER_SIZE_BAD || size > MESSAGE_MAX))
			return msg_bad(px, "snmp.malformed");
		if (size > cur_left(in))
			return msg_more(px, (size_t)size);
		if (read(cur_of(in->pos, (size_t)size), &m))
			tell(px, dir, &m);
		else if (!udp)
			return msg_bad(px, "snmp.malformed");
		else
			px_bad(px, "snmp.malformed");
		cur_skip(in, (size_t)size);
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 161, 162, 0 };

const struct proto proto_snmp = {
	.name = "snmp",
	.app = APP_SNMP,
	.event = EV_APP,
	.l4 = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
