/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ldap: RFC 4511 over TCP, and CLDAP (the same messages in datagrams). One `ldap` event per request, when its result is there.
 *
 *   SEQUENCE { INTEGER id, [APPLICATION n] operation, controls }
 *
 * Of a message its first LOOK bytes are looked at, the rest is passed by. Recognition wants a first message whose operation
 * has the form of its number: a bind with a version, a search with scope and deref, an extended request with an OID, and so on.
 * After StartTLS (RFC 4511, 4.14) succeeded something else speaks. After a SASL bind messages may come sealed behind a length:
 * then nothing more can be seen. Passwords are never told. */
#include "dpi/ber.h"
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define LOOK 4096u
#define MESSAGE_MAX (64u << 20)
#define STARTTLS "1.3.6.1.4.1.1466.20037"

enum { BIND = 0x60, BIND_R, UNBIND = 0x42, SEARCH = 0x63, ENTRY, SEARCH_R, MODIFY, MODIFY_R, ADD, ADD_R, DEL = 0x4a, DEL_R = 0x6b, MODDN, MODDN_R,
	COMPARE, COMPARE_R, ABANDON = 0x50, REFERENCE = 0x73, EXTENDED = 0x77, EXTENDED_R, INTERMEDIATE };

static const struct fact f_op = { "operation", FACT_OPERATION }, f_id = { "message_id", FACT_PLAIN }, f_version = { "version", FACT_PLAIN },
	f_user = { "bind_dn", FACT_USER }, f_auth = { "auth", FACT_PLAIN }, f_base = { "base", FACT_OBJECT }, f_scope = { "scope", FACT_PLAIN },
	f_dn = { "dn", FACT_OBJECT }, f_oid = { "oid", FACT_OBJECT }, f_result = { "result", FACT_PLAIN }, f_message = { "message", FACT_PLAIN },
	f_entries = { "entries", FACT_PLAIN };
static const struct fact *const facts[] = { &f_op, &f_id, &f_version, &f_user, &f_auth, &f_base, &f_scope, &f_dn, &f_oid, &f_result, &f_message,
	&f_entries, NULL };

static const struct code requests[] = {
	{ BIND, "bind" }, { UNBIND, "unbind" }, { SEARCH, "search" }, { MODIFY, "modify" }, { ADD, "add" }, { DEL, "delete" }, { MODDN, "modify_dn" },
	{ COMPARE, "compare" }, { ABANDON, "abandon" }, { EXTENDED, "extended" }, { 0, NULL },
};
static const struct code answers[] = {
	{ BIND_R, "" }, { ENTRY, "" }, { SEARCH_R, "" }, { MODIFY_R, "" }, { ADD_R, "" }, { DEL_R, "" }, { MODDN_R, "" }, { COMPARE_R, "" },
	{ REFERENCE, "" }, { EXTENDED_R, "" }, { INTERMEDIATE, "" }, { 0, NULL },
};
static const struct code results[] = {
	{ 0, "success" }, { 1, "operations_error" }, { 2, "protocol_error" }, { 3, "time_limit_exceeded" }, { 4, "size_limit_exceeded" },
	{ 5, "compare_false" }, { 6, "compare_true" }, { 7, "auth_method_not_supported" }, { 8, "stronger_auth_required" }, { 10, "referral" },
	{ 11, "admin_limit_exceeded" }, { 12, "unavailable_critical_extension" }, { 13, "confidentiality_required" }, { 14, "sasl_bind_in_progress" },
	{ 16, "no_such_attribute" }, { 17, "undefined_attribute_type" }, { 18, "inappropriate_matching" }, { 19, "constraint_violation" },
	{ 20, "attribute_or_value_exists" }, { 21, "invalid_attribute_syntax" }, { 32, "no_such_object" }, { 33, "alias_problem" },
	{ 34, "invalid_dn_syntax" }, { 36, "alias_dereferencing_problem" }, { 48, "inappropriate_authentication" }, { 49, "invalid_credentials" },
	{ 50, "insufficient_access_rights" }, { 51, "busy" }, { 52, "unavailable" }, { 53, "unwilling_to_perform" }, { 54, "loop_detect" },
	{ 64, "naming_violation" }, { 65, "object_class_violation" }, { 66, "not_allowed_on_non_leaf" }, { 67, "not_allowed_on_rdn" },
	{ 68, "entry_already_exists" }, { 71, "affects_multiple_dsas" }, { 80, "other" }, { 0, NULL },
};
static const struct code scopes[] = { { 0, "base" }, { 1, "one" }, { 2, "subtree" }, { 3, "children" }, { 0, NULL } };

struct ldap {
	struct asks asks;
	uint64_t entries;	/* of the search that is answered now */
	int64_t entries_of;
	int64_t starttls;	/* id of that request + 1 */
	bool sasl;
	bool handed;		/* StartTLS: nothing more is ours */
};

/* The content of the next element, as much of it as is there. Its head must be. */
static bool part_open(struct cursor *c, uint8_t *tag, struct cursor *body)
{
	uint64_t size = 0;
	size_t head = 0;

	*tag = cur_peek(c, 0);
	*body = cur_of(NULL, 0);
	if (!cur_ok(c) || ber_size(cur_of(c->pos, cur_left(c)), &head, &size) != BER_SIZE_KNOWN) {
		cur_fail(c);
		return false;
	}
	cur_skip(c, head);
	*body = cur_sub(c, size - head < cur_left(c) ? (size_t)size - head : cur_left(c));
	return true;
}

/* ---- recognition ---- */

static bool op_good(uint8_t tag, struct cursor op)
{
	struct cursor ahead = op;
	int64_t v;

	switch (tag) {
	case BIND:
		return ber_int(&op, BER_INTEGER, &v) && v >= 1 && v <= 3 && ber_bytes(&op, BER_OCTETS).p && cur_ok(&op) &&
			(cur_peek(&op, 0) == 0x80 || cur_peek(&op, 0) == 0xa3 || (cur_peek(&op, 0) >= 0x89 && cur_peek(&op, 0) <= 0x8b));
	case SEARCH:
		ber_bytes(&op, BER_OCTETS);
		return ber_int(&op, BER_ENUM, &v) && v >= 0 && v <= 3 && ber_int(&op, BER_ENUM, &v) && v >= 0 && v <= 3;
	case EXTENDED:
		return is_printable(ber_bytes(&op, 0x80));
	case UNBIND:
		return !cur_left(&op);
	case BIND_R: case SEARCH_R: case MODIFY_R: case ADD_R: case DEL_R: case MODDN_R: case COMPARE_R: case EXTENDED_R:
		if (!ber_int(&op, BER_ENUM, &v) || v < 0 || v > 4096)
			return false;
		ber_bytes(&op, BER_OCTETS);
		ber_bytes(&op, BER_OCTETS);
		return cur_ok(&op);
	case ADD: case MODIFY: case MODDN: case COMPARE: case ENTRY:
		return is_printable(ber_bytes(&ahead, BER_OCTETS)) || (tag == ENTRY && ber_open(&op, BER_OCTETS, &ahead));
	case DEL:
		return is_printable(cur_rest(&op));
	default:
		return false;
	}
}

static enum probe probe_message(struct cursor c, bool datagram)
{
	uint64_t size = 0;
	size_t head = 0;
	struct cursor msg, op;
	uint8_t tag;
	int64_t id;

	if (cur_left(&c) && cur_peek(&c, 0) != BER_SEQUENCE)
		return PROBE_NO;
	switch (ber_size(c, &head, &size)) {
	case BER_SIZE_MORE:
		return datagram ? PROBE_NO : PROBE_MORE;
	case BER_SIZE_BAD:
		return PROBE_NO;
	case BER_SIZE_KNOWN:
		break;
	}
	if (size < 7 || size > MESSAGE_MAX || (datagram && size > cur_left(&c)))
		return PROBE_NO;
	if (cur_left(&c) < size && cur_left(&c) < 512)
		return cur_left(&c) > head && cur_peek(&c, head) != BER_INTEGER ? PROBE_NO : PROBE_MORE;
	part_open(&c, &tag, &msg);
	if (!ber_int(&msg, BER_INTEGER, &id) || id < 0 || id > INT32_MAX || !part_open(&msg, &tag, &op))
		return PROBE_NO;
	return op_good(tag, op) ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	enum probe best = PROBE_MORE;

	if (in->l4 == PROTO_UDP)
		return probe_message(in->dir[in->now], true);
	for (unsigned d = 0; d < 2; d++) {
		enum probe p = cur_left(&in->dir[d]) ? probe_message(in->dir[d], false) : PROBE_MORE;

		if (p == PROBE_NO)
			return p;
		if (p == PROBE_YES)
			best = p;
	}
	return best;
}

/* ---- requests ---- */

static void tell_bind(struct record *r, struct ldap *s, struct cursor op)
{
	struct cursor sasl;
	int64_t v;

	ber_int(&op, BER_INTEGER, &v);
	rec_i64(r, &f_version, v);
	rec_bytes(r, &f_user, ber_bytes(&op, BER_OCTETS));
	if (cur_peek(&op, 0) == 0x80) {
		rec_cstr(r, &f_auth, cur_peek(&op, 1) ? "simple" : "anonymous");
	} else if (ber_open(&op, 0xa3, &sasl)) {
		s->sasl = true;
		rec_bytes(r, &f_auth, ber_bytes(&sasl, BER_OCTETS));
	} else {
		s->sasl = true;
		rec_cstr(r, &f_auth, "sicily");		/* Microsoft's NTLM */
	}
}

static void tell_request(struct px *px, struct ldap *s, uint8_t tag, int64_t id, struct cursor op)
{
	struct record *r = px_record(px);
	struct bytes name;
	int64_t v;

	rec_cstr(r, &f_op, code_name(requests, tag));
	rec_i64(r, &f_id, id);
	if (tag == BIND) {
		tell_bind(r, s, op);
	} else if (tag == SEARCH) {
		rec_bytes(r, &f_base, ber_bytes(&op, BER_OCTETS));
		if (ber_int(&op, BER_ENUM, &v))
			told_code(r, &f_scope, scopes, (uint32_t)v);
	} else if (tag == EXTENDED) {
		name = ber_bytes(&op, 0x80);
		rec_bytes(r, &f_oid, name);
		if (bytes_are(name, STARTTLS))
			s->starttls = id + 1;
	} else if (tag == DEL) {
		rec_bytes(r, &f_dn, cur_rest(&op));
	} else if (tag != UNBIND && tag != ABANDON) {
		rec_bytes(r, &f_dn, ber_bytes(&op, BER_OCTETS));
	}
	px_judge(px, r);
	if (tag == UNBIND || tag == ABANDON)
		asks_tell_now(px, &s->asks, r);
	else
		asks_add(px, &s->asks, (uint64_t)id, r);
}

/* ---- answers ---- */

static void tell_answer(struct px *px, struct ldap *s, uint8_t tag, int64_t id, struct cursor op)
{
	struct record *r;
	struct bytes text;
	int64_t code;
	int i;

	if (tag == ENTRY) {
		s->entries = s->entries_of == id ? s->entries + 1 : 1;
		s->entries_of = id;
	}
	if (tag == ENTRY || tag == REFERENCE || tag == INTERMEDIATE || !ber_int(&op, BER_ENUM, &code))
		return;
	i = asks_find(&s->asks, (uint64_t)id);
	if (i >= 0) {
		r = asks_record(px, &s->asks, i);
		told_code(r, &f_result, results, (uint32_t)code);
		ber_bytes(&op, BER_OCTETS);
		text = ber_bytes(&op, BER_OCTETS);
		if (text.n && code)
			rec_bytes(r, &f_message, text);
		if (tag == SEARCH_R)
			rec_u64(r, &f_entries, s->entries_of == id ? s->entries : 0);
		asks_tell(px, &s->asks, i, r);
	}
	if (tag == SEARCH_R)
		s->entries_of = -1;
	if (tag == EXTENDED_R && s->starttls == id + 1) {
		s->starttls = 0;
		if (!code) {
			s->handed = true;
			px_switch(px, NULL);
		}
	}
}

static bool message(struct px *px, struct ldap *s, struct cursor c)
{
	struct cursor msg, op;
	uint8_t tag;
	int64_t id;

	if (!part_open(&c, &tag, &msg) || tag != BER_SEQUENCE || !ber_int(&msg, BER_INTEGER, &id) || !part_open(&msg, &tag, &op))
		return false;
	if (code_name(requests, tag))
		tell_request(px, s, tag, id, op);
	else if (code_name(answers, tag))
		tell_answer(px, s, tag, id, op);
	else
		return false;
	return true;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct ldap *s = state;
	bool udp = px_l4(px) == PROTO_UDP;

	s->asks.event = EV_APP;
	while (cur_more(in) && !s->handed) {
		struct cursor view = cur_of(in->pos, cur_left(in));
		uint64_t size = 0;
		size_t head = 0;
		enum ber_size known = ber_size(view, &head, &size);
		enum parse p;

		if (known == BER_SIZE_MORE && !udp)
			return msg_more(px, cur_left(in) + 1);
		if (s->sasl && cur_peek(in, 0) != BER_SEQUENCE) {
			px_stop(px);
			cur_rest(in);
			return PARSE_DONE;
		}
		if (known != BER_SIZE_KNOWN || size > MESSAGE_MAX || cur_peek(in, 0) != BER_SEQUENCE || (udp && size > cur_left(in))) {
			px_bad(px, "ldap.malformed");
			cur_rest(in);
			return udp ? PARSE_DONE : PARSE_BAD;
		}
		p = msg_take(px, dir, in, size, LOOK, &view);
		if (p != PARSE_DONE)
			return p;
		if (!message(px, s, view))
			return msg_bad(px, "ldap.malformed");
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct ldap *s = state;

	asks_end(px, &s->asks);
}

static const uint16_t ports[] = { 389, 3268, 0 };

const struct proto proto_ldap = {
	.name = "ldap",
	.app = APP_LDAP,
	.event = EV_APP,
	.l4 = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct ldap),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
