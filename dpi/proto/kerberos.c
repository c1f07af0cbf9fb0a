/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kerberos: RFC 4120, messages in datagrams and behind 4 bytes of length over TCP. One `krb5` event per message, Suricata's names.
 *
 *   [APPLICATION n] SEQUENCE { pvno 5, msg-type n, ... }, each field in its own context tag:
 *     KDC-REQ (10, 12)  [1] pvno [2] type [3] padata [4] body { [0] options [1] cname [2] realm [3] sname ... [8] etypes }
 *     KDC-REP (11, 13)  [0] pvno [1] type [2] padata [3] crealm [4] cname [5] ticket { [1] realm [2] sname } [6] enc
 *     KRB-ERROR (30)    [0] pvno [1] type ... [6] error [7] crealm [8] cname [9] realm [10] sname
 *
 * Setting a password (RFC 3244): length(2) version(2) n(2), an AP-REQ, AP-REP (n bytes) or KRB-ERROR (n is 0), and what is sealed, which is passed by.
 *
 * The application tag, the version and the same number again as the type are the evidence. A message over TCP is looked at in its
 * first LOOK bytes; a ticket's rest is passed by. */
#include "dpi/ber.h"
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define LOOK 8192u
#define MESSAGE_MAX (1u << 20)
#define NAMES_MAX 8u
#define ETYPES_MAX 16u

static const struct fact f_type = { "msg_type", FACT_OPERATION }, f_cname = { "cname", FACT_USER }, f_realm = { "realm", FACT_PLAIN },
	f_sname = { "sname", FACT_OBJECT }, f_error = { "error_code", FACT_PLAIN }, f_encryption = { "encryption", FACT_PLAIN },
	f_weak = { "weak_encryption", FACT_PLAIN }, f_etypes = { "encryption_offered", FACT_PLAIN };
static const struct fact *const facts[] = { &f_type, &f_cname, &f_realm, &f_sname, &f_error, &f_encryption, &f_weak, &f_etypes, NULL };

static const struct code types[] = {
	{ 10, "KRB_AS_REQ" }, { 11, "KRB_AS_REP" }, { 12, "KRB_TGS_REQ" }, { 13, "KRB_TGS_REP" }, { 14, "KRB_AP_REQ" }, { 15, "KRB_AP_REP" },
	{ 20, "KRB_SAFE" }, { 21, "KRB_PRIV" }, { 22, "KRB_CRED" }, { 30, "KRB_ERROR" }, { 0, NULL },
};
static const struct code etypes[] = {
	{ 1, "des-cbc-crc" }, { 2, "des-cbc-md4" }, { 3, "des-cbc-md5" }, { 5, "des3-cbc-md5" }, { 16, "des3-cbc-sha1" },
	{ 17, "aes128-cts-hmac-sha1-96" }, { 18, "aes256-cts-hmac-sha1-96" }, { 19, "aes128-cts-hmac-sha256-128" },
	{ 20, "aes256-cts-hmac-sha384-192" }, { 23, "rc4-hmac" }, { 24, "rc4-hmac-exp" }, { 25, "camellia128-cts-cmac" },
	{ 26, "camellia256-cts-cmac" }, { 0, NULL },
};
static const struct code errors[] = {
	{ 1, "KDC_ERR_NAME_EXP" }, { 2, "KDC_ERR_SERVICE_EXP" }, { 3, "KDC_ERR_BAD_PVNO" }, { 6, "KDC_ERR_C_PRINCIPAL_UNKNOWN" },
	{ 7, "KDC_ERR_S_PRINCIPAL_UNKNOWN" }, { 8, "KDC_ERR_PRINCIPAL_NOT_UNIQUE" }, { 9, "KDC_ERR_NULL_KEY" }, { 12, "KDC_ERR_POLICY" },
	{ 13, "KDC_ERR_BADOPTION" }, { 14, "KDC_ERR_ETYPE_NOSUPP" }, { 18, "KDC_ERR_CLIENT_REVOKED" }, { 23, "KDC_ERR_KEY_EXPIRED" },
	{ 24, "KDC_ERR_PREAUTH_FAILED" }, { 25, "KDC_ERR_PREAUTH_REQUIRED" }, { 31, "KRB_AP_ERR_BAD_INTEGRITY" }, { 32, "KRB_AP_ERR_TKT_EXPIRED" },
	{ 34, "KRB_AP_ERR_REPEAT" }, { 36, "KRB_AP_ERR_BADMATCH" }, { 37, "KRB_AP_ERR_SKEW" }, { 41, "KRB_AP_ERR_MODIFIED" },
	{ 52, "KRB_ERR_RESPONSE_TOO_BIG" }, { 60, "KRB_ERR_GENERIC" }, { 68, "KDC_ERR_WRONG_REALM" }, { 0, NULL },
};

/* The content of the next element, as much of it as is there. */
static bool part_next(struct cursor *c, uint8_t *tag, struct cursor *body)
{
	uint64_t size = 0;
	size_t head = 0;

	*tag = cur_peek(c, 0);
	*body = cur_of(NULL, 0);
	if (!cur_ok(c) || !cur_left(c) || ber_size(cur_of(c->pos, cur_left(c)), &head, &size) != BER_SIZE_KNOWN)
		return false;
	cur_skip(c, head);
	*body = cur_sub(c, size - head < cur_left(c) ? (size_t)size - head : cur_left(c));
	return true;
}

/* Opens the message to its fields: the number of its type, 0 when it is none. */
static unsigned message_open(struct cursor in, struct cursor *fields)
{
	struct cursor app, v;
	int64_t version, type;
	uint8_t tag, outer;
	unsigned n, first;

	if (!part_next(&in, &outer, &app) || (outer & 0xe0) != 0x60)
		return 0;
	n = outer & 0x1f;
	if (!code_name(types, n) || !part_next(&app, &tag, fields) || tag != BER_SEQUENCE)
		return 0;
	v = *fields;
	first = n == 10 || n == 12 ? 0xa1 : 0xa0;
	if (!part_next(&v, &tag, &app) || tag != first || !ber_int(&app, BER_INTEGER, &version) || version != 5)
		return 0;
	if (!part_next(&v, &tag, &app) || tag != first + 1 || !ber_int(&app, BER_INTEGER, &type) || type != (int64_t)n)
		return 0;
	return n;
}

/* The head of a message that sets a password, of `whole` bytes in all: steps over it; *inner: the size of what it holds. NO: it is none. */
static enum probe password_head(struct cursor *c, uint64_t whole, uint64_t *inner)
{
	struct cursor h = *c;
	uint16_t n = cur_be16(&h), version = cur_be16(&h), ap = cur_be16(&h);

	if (whole > UINT16_MAX || cur_peek(c, 0) != whole >> 8)
		return PROBE_NO;
	if (!cur_ok(&h))
		return PROBE_MORE;
	if (n != whole || (version != 1 && version != 0xff80) || ap + 6u > whole)
		return PROBE_NO;
	*inner = ap ? ap : whole - 6;
	cur_skip(c, 6);
	return PROBE_YES;
}

static enum probe probe_tcp(struct cursor c)
{
	uint64_t inner;
	struct cursor fields;
	uint32_t len;
	uint64_t size = 0;
	size_t head = 0;

	if (cur_left(&c) < 4)
		return cur_peek(&c, 0) ? PROBE_NO : PROBE_MORE;
	len = cur_be32(&c);
	if (len < 10 || len > MESSAGE_MAX)
		return PROBE_NO;
	inner = len;
	if (cur_left(&c) && (cur_peek(&c, 0) & 0xe0) != 0x60) {
		enum probe p = password_head(&c, len, &inner);

		if (p != PROBE_YES)
			return p;
		if (cur_left(&c) && (cur_peek(&c, 0) & 0xe0) != 0x60)
			return PROBE_NO;
	}
	switch (ber_size(cur_of(c.pos, cur_left(&c)), &head, &size)) {
	case BER_SIZE_MORE:
		return PROBE_MORE;
	case BER_SIZE_BAD:
		return PROBE_NO;
	case BER_SIZE_KNOWN:
		break;
	}
	if (size != inner)
		return PROBE_NO;
	if (cur_left(&c) < 24 && cur_left(&c) < inner)
		return PROBE_MORE;
	return message_open(c, &fields) ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor now = in->dir[in->now];
	struct cursor fields;
	uint64_t size = 0, inner = cur_left(&now);
	size_t head = 0;
	enum probe best = PROBE_MORE;

	if (in->l4 == PROTO_UDP) {
		if ((cur_peek(&now, 0) & 0xe0) != 0x60 && password_head(&now, inner, &inner) != PROBE_YES)
			return PROBE_NO;
		now = cur_of(now.pos, cur_left(&now));
		return message_open(now, &fields) && ber_size(now, &head, &size) == BER_SIZE_KNOWN && size == inner ? PROBE_YES : PROBE_NO;
	}
	for (unsigned d = 0; d < 2; d++) {
		enum probe p = cur_left(&in->dir[d]) ? probe_tcp(in->dir[d]) : PROBE_MORE;

		if (p == PROBE_NO)
			return p;
		if (p == PROBE_YES)
			best = p;
	}
	return best;
}

/* ---- what is told ---- */

struct krb5 {
	struct bytes realm, cname[NAMES_MAX], sname[NAMES_MAX];
	unsigned ncname, nsname;
	int64_t error, etype;	/* -1: none */
	int64_t offered[ETYPES_MAX];
	unsigned noffered;
};

/* PrincipalName { [0] type, [1] SEQUENCE OF string } */
static unsigned name_read(struct cursor c, struct bytes part[NAMES_MAX])
{
	struct cursor name, v, list;
	uint8_t tag;
	unsigned n = 0;

	if (!part_next(&c, &tag, &name) || tag != BER_SEQUENCE)
		return 0;
	while (part_next(&name, &tag, &v))
		if (tag == 0xa1 && part_next(&v, &tag, &list))
			while (n < NAMES_MAX && part_next(&list, &tag, &v))
				part[n++] = cur_rest(&v);
	return n;
}

static struct bytes string_read(struct cursor c)
{
	struct cursor v;
	uint8_t tag;

	return part_next(&c, &tag, &v) ? cur_rest(&v) : (struct bytes){ NULL, 0 };
}

/* EncryptedData { [0] etype ... } */
static int64_t etype_read(struct cursor c)
{
	struct cursor seq, v;
	uint8_t tag;
	int64_t n;

	return part_next(&c, &tag, &seq) && part_next(&seq, &tag, &v) && tag == 0xa0 && ber_int(&v, BER_INTEGER, &n) ? n : -1;
}

/* Ticket [APPLICATION 1] { [0] vno [1] realm [2] sname [3] enc }; enc: whether its etype is of interest. */
static void ticket_read(struct cursor c, struct krb5 *k, bool enc)
{
	struct cursor app, seq, v;
	uint8_t tag;

	if (!part_next(&c, &tag, &app) || tag != 0x61 || !part_next(&app, &tag, &seq))
		return;
	while (part_next(&seq, &tag, &v)) {
		if (tag == 0xa1)
			k->realm = string_read(v);
		else if (tag == 0xa2)
			k->nsname = name_read(v, k->sname);
		else if (tag == 0xa3 && enc)
			k->etype = etype_read(v);
	}
}

static void body_read(struct cursor c, struct krb5 *k)
{
	struct cursor body, v, list;
	uint8_t tag;

	if (!part_next(&c, &tag, &body))
		return;
	while (part_next(&body, &tag, &v)) {
		if (tag == 0xa1)
			k->ncname = name_read(v, k->cname);
		else if (tag == 0xa2)
			k->realm = string_read(v);
		else if (tag == 0xa3)
			k->nsname = name_read(v, k->sname);
		else if (tag == 0xa8 && part_next(&v, &tag, &list))
			while (k->noffered < ETYPES_MAX && cur_more(&list) && ber_int(&list, BER_INTEGER, &k->offered[k->noffered]))
				k->noffered++;
	}
}

static void fields_read(unsigned type, struct cursor fields, struct krb5 *k)
{
	struct cursor v;
	uint8_t tag;

	while (part_next(&fields, &tag, &v)) {
		unsigned n = tag & 0x1fu;

		if ((type == 10 || type == 12) && n == 4)
			body_read(v, k);
		else if (type == 11 || type == 13) {
			if (n == 4)
				k->ncname = name_read(v, k->cname);
			else if (n == 5)
				ticket_read(v, k, false);
			else if (n == 6)
				k->etype = etype_read(v);
		} else if (type == 14 && n == 3) {
			ticket_read(v, k, true);
		} else if (type == 30) {
			if (n == 6 && !ber_int(&v, BER_INTEGER, &k->error))
				k->error = -1;
			else if (n == 8)
				k->ncname = name_read(v, k->cname);
			else if (n == 9)
				k->realm = string_read(v);
			else if (n == 10)
				k->nsname = name_read(v, k->sname);
		}
	}
}

static void tell_name(struct record *r, const struct fact *f, const struct bytes *part, unsigned n)
{
	char text[512];
	size_t at = 0;

	if (!n)
		return;
	for (unsigned i = 0; i < n; i++) {
		size_t k = part[i].n < sizeof(text) - at ? part[i].n : sizeof(text) - at;

		if (k)
			memcpy(text + at, part[i].p, k);
		at += k;
		if (i + 1 < n && at < sizeof(text))
			text[at++] = '/';
	}
	rec_str(r, f, text, at);
}

static bool weak(int64_t etype) { return etype >= 0 && (etype <= 16 || etype == 23 || etype == 24); }

static void tell(struct px *px, enum dir dir, uint32_t tx, unsigned type, const struct krb5 *k)
{
	struct record *r = px_record(px);

	rec_cstr(r, &f_type, code_name(types, type));
	tell_name(r, &f_cname, k->cname, k->ncname);
	if (k->realm.n)
		rec_bytes(r, &f_realm, k->realm);
	tell_name(r, &f_sname, k->sname, k->nsname);
	if (k->error >= 0)
		told_code(r, &f_error, errors, (uint32_t)k->error);
	if (k->etype >= 0) {
		told_code(r, &f_encryption, etypes, (uint32_t)k->etype);
		rec_bool(r, &f_weak, weak(k->etype));
	}
	if (k->noffered) {
		rec_arr(r, &f_etypes);
		for (unsigned i = 0; i < k->noffered; i++)
			told_code(r, NULL, etypes, (uint32_t)k->offered[i]);
		rec_end(r);
	}
	say(px, dir, EV_KRB5, tx, r);
}

struct state {
	uint32_t next_tx;
};

/* One message of `whole` bytes, of which `in` shows the first. */
static bool message(struct px *px, struct state *s, enum dir dir, struct cursor in, uint64_t whole)
{
	struct krb5 k = { .error = -1, .etype = -1 };
	struct cursor fields;
	uint64_t inner;
	unsigned type;

	if ((cur_peek(&in, 0) & 0xe0) != 0x60 && password_head(&in, whole, &inner) == PROBE_YES)
		in = cur_of(in.pos, cur_left(&in));
	type = message_open(in, &fields);
	if (!type)
		return false;
	fields_read(type, fields, &k);
	tell(px, dir, s->next_tx++, type, &k);
	return true;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	if (px_l4(px) == PROTO_UDP) {
		if (!message(px, state, dir, *in, cur_left(in)))
			px_bad(px, "kerberos.malformed");
		cur_rest(in);
		return PARSE_DONE;
	}
	while (cur_more(in)) {
		struct cursor ahead = *in, view = cur_of(NULL, 0);
		uint32_t len = cur_be32(&ahead);
		enum parse p;

		if (!cur_ok(&ahead))
			return msg_more(px, 4);
		if (len < 10 || len > MESSAGE_MAX)
			return msg_bad(px, "kerberos.length");
		p = msg_take(px, dir, in, (uint64_t)len + 4, LOOK, &view);
		if (p != PARSE_DONE)
			return p;
		cur_skip(&view, 4);
		if (!message(px, state, dir, view, len))
			return msg_bad(px, "kerberos.malformed");
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 88, 0 };

const struct proto proto_kerberos = {
	.name = "kerberos",
	.app = APP_KERBEROS,
	.event = EV_KRB5,
	.l4 = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct state),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
