/* SPDX-License-Identifier: GPL-2.0-or-later */
/* slp: the Service Location Protocol, version 2 (RFC 2608), over UDP and TCP. One event per message.
 *
 *   version(1) = 2, function(1), length(3) of it all, flags(2: overflow, fresh, multicast), next extension(3), XID(2), language tag: length(2) text
 * Strings are a length(2) and text. A datagram is believed when its length, the unused flags, the language and the first string hold. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEAD 14u
#define VIEW_MOST 4096u		/* of a message, what is looked at */
#define LANGUAGE_MOST 16u

enum { RQST = 1, RPLY, REG, DEREG, ACK, ATTR_RQST, ATTR_RPLY, DA_ADVERT, TYPE_RQST, TYPE_RPLY, SA_ADVERT };

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_type = { "service_type", FACT_OBJECT }, f_url = { "url", FACT_OBJECT },
	f_scopes = { "scopes", FACT_PLAIN }, f_predicate = { "predicate", FACT_PLAIN }, f_error = { "error_code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_type, &f_url, &f_scopes, &f_predicate, &f_error, NULL };

static const struct code operations[] = {
	{ RQST, "service_request" }, { RPLY, "service_reply" }, { REG, "register" }, { DEREG, "deregister" }, { ACK, "acknowledge" }, { ATTR_RQST, "attribute_request" },
	{ ATTR_RPLY, "attribute_reply" }, { DA_ADVERT, "directory_advert" }, { TYPE_RQST, "type_request" }, { TYPE_RPLY, "type_reply" }, { SA_ADVERT, "service_advert" }, { 0, NULL },
};

struct slp {
	struct msg_sync sync;
	uint32_t tx;
};

/* The fixed head and the language; the cursor then stands at the body. */
static bool head_read(struct cursor *c, uint8_t *function, uint32_t *length)
{
	uint8_t version = cur_u8(c);
	uint16_t flags, n;
	struct bytes language;

	*function = cur_u8(c);
	*length = (uint32_t)cur_u8(c) << 16;
	*length |= cur_be16(c);
	flags = cur_be16(c);
	cur_skip(c, 5);
	n = cur_be16(c);
	if (!cur_ok(c) || version != 2 || *function < RQST || *function > SA_ADVERT || flags & 0x1fff || !n || n > LANGUAGE_MOST || *length < HEAD + n)
		return false;
	language = cur_bytes(c, n);
	return cur_ok(c) && is_printable(language);
}

static struct bytes string(struct cursor *c) { return cur_bytes(c, cur_be16(c)); }

static void put(struct record *r, const struct fact *f, struct bytes b)
{
	if (b.n)
		rec_bytes(r, f, b);
}

/* reserved(1) lifetime(2) URL, authentication blocks(1): its URL */
static struct bytes url_entry(struct cursor *c)
{
	cur_skip(c, 3);
	return string(c);
}

static void error_put(struct record *r, struct cursor *c)
{
	uint16_t error = cur_be16(c);

	if (cur_ok(c) && error)
		rec_u64(r, &f_error, error);
}

static void body_put(struct record *r, uint8_t function, struct cursor *c)
{
	struct bytes b;

	switch (function) {
	case RQST:
	case ATTR_RQST:
	case TYPE_RQST:
		string(c);	/* who has answered already */
		b = function == TYPE_RQST && cur_peek(c, 0) == 0xff && cur_peek(c, 1) == 0xff ? cur_bytes(c, 2) : string(c);
		if (function != TYPE_RQST)
			put(r, function == RQST ? &f_type : &f_url, b);
		put(r, &f_scopes, string(c));
		if (function == RQST)
			put(r, &f_predicate, string(c));
		break;
	case RPLY:
		error_put(r, c);
		if (cur_be16(c))
			put(r, &f_url, url_entry(c));
		break;
	case REG:
		b = url_entry(c);
		if (cur_u8(c))	/* sealed: what follows is behind the blocks */
			put(r, &f_url, b);
		else {
			put(r, &f_url, b);
			put(r, &f_type, string(c));
			put(r, &f_scopes, string(c));
		}
		break;
	case DEREG:
		b = string(c);
		put(r, &f_url, url_entry(c));
		put(r, &f_scopes, b);
		break;
	case ACK:
	case ATTR_RPLY:
	case TYPE_RPLY:
		error_put(r, c);
		break;
	case DA_ADVERT:
		error_put(r, c);
		cur_skip(c, 4);
		put(r, &f_url, string(c));
		put(r, &f_scopes, string(c));
		break;
	case SA_ADVERT:
		put(r, &f_url, string(c));
		put(r, &f_scopes, string(c));
		break;
	default:
		break;
	}
}

static bool tell(struct px *px, struct slp *s, enum dir dir, struct cursor c)
{
	uint32_t length;
	uint8_t function;
	struct record *r;

	if (!head_read(&c, &function, &length))
		return false;
	r = px_record(px);
	told_code(r, &f_operation, operations, function);
	body_put(r, function, &c);
	say(px, dir, EV_APP, s->tx++, r);
	return true;
}

static bool length_of(void *state, enum dir dir, struct cursor head, uint64_t *len, size_t *keep)
{
	(void)state;
	(void)dir;
	if (cur_u8(&head) != 2)
		return false;
	cur_skip(&head, 1);
	*len = (uint64_t)cur_u8(&head) << 16;
	*len |= cur_be16(&head);
	*keep = VIEW_MOST;
	return *len >= HEAD;
}

static enum parse message(struct px *px, void *state, enum dir dir, struct cursor view, uint64_t len)
{
	(void)len;
	return tell(px, state, dir, view) ? PARSE_DONE : msg_bad(px, "slp.malformed");
}

static const struct msg_format format = { .head = 5, .bad = "slp.malformed", .length = length_of, .message = message };

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct slp *s = state;

	if (px_l4(px) == PROTO_TCP)
		return msg_run(px, &format, &s->sync, s, dir, in);
	if (!tell(px, s, dir, *in))
		px_bad(px, "slp.malformed");
	cur_rest(in);
	return PARSE_DONE;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	size_t have = cur_left(&c);
	uint32_t length;
	uint8_t function;
	bool first;

	if (in->l4 == PROTO_TCP && cur_left(&in->dir[DIR_TOSERVER]))
		c = in->dir[DIR_TOSERVER];
	have = cur_left(&c);
	if (!have || (in->l4 == PROTO_TCP && have < HEAD + 4))
		return in->l4 == PROTO_TCP && (!have || (cur_peek(&c, 0) == 2 && cur_peek(&c, 1) <= SA_ADVERT)) ? PROBE_MORE : PROBE_NO;
	if (!head_read(&c, &function, &length) || (in->l4 != PROTO_TCP && length != have))
		return PROBE_NO;
	/* the first thing in the body, by function: a string, an error, an entry */
	first = function == RPLY || function == ACK || function == ATTR_RPLY || function == TYPE_RPLY || function == DA_ADVERT ? cur_be16(&c) < 64 :
		function == REG ? cur_u8(&c) == 0 && (cur_skip(&c, 2), string(&c).n > 0) : (string(&c), true);
	return first && (cur_ok(&c) || in->l4 == PROTO_TCP) ? PROBE_YES : PROBE_NO;
}

static const uint16_t ports[] = { 427, 0 };

const struct proto proto_slp = {
	.name = "slp",
	.app = APP_SLP,
	.event = EV_APP,
	.l4 = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct slp),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
