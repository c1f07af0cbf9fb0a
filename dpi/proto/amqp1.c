/* SPDX-License-Identifier: GPL-2.0-or-later */
/* amqp1: AMQP 1.0 (OASIS).
 *
 *   frame: size(4, with itself) offset(1, words) type(1: 0 AMQP, 1 SASL) channel(2) body
 *   body:  0x00 descriptor list          a format code's high half says how long a value is, so that any value can be passed by
 *
 * Told: open, attach, detach, close and the three of SASL that name somebody. Transfers name a handle only and are passed by;
 * what they carry goes where attach said. */
#include "dpi/proto/amqp_parts.h"
#include "dpi/proto/sasl.h"

enum { OPEN = 0x10, ATTACH = 0x12, TRANSFER = 0x14, DETACH = 0x16, CLOSE = 0x18, ERROR = 0x1d, SASL_INIT = 0x41, SASL_OUTCOME = 0x44 };

const struct fact amqp_container = { "container_id", FACT_PLAIN }, amqp_host = { "hostname", FACT_DATABASE }, amqp_link = { "link", FACT_PLAIN },
	amqp_source = { "source", FACT_OBJECT }, amqp_target = { "target", FACT_OBJECT }, amqp_role = { "role", FACT_PLAIN }, amqp_error = { "error", FACT_PLAIN };

struct value {
	uint8_t code;		/* format code; 0x40: null or absent */
	struct bytes body;	/* without the size */
	uint8_t described;	/* its descriptor, if a small one; 0: none */
};

static struct bytes body_of(struct cursor *c, uint8_t code)
{
	static const uint8_t fixed[] = { 0, 1, 2, 4, 8, 16 };
	uint8_t kind = code >> 4;

	if (kind >= 4 && kind <= 9)
		return cur_bytes(c, fixed[kind - 4]);
	if (kind == 0xa || kind == 0xc || kind == 0xe)
		return cur_bytes(c, cur_u8(c));
	if (kind == 0xb || kind == 0xd || kind == 0xf)
		return cur_bytes(c, cur_be32(c));
	cur_fail(c);
	return (struct bytes){ NULL, 0 };
}

static struct value value_read(struct cursor *c)
{
	struct value v = { .code = 0x40 };

	if (!cur_left(c))
		return v;
	v.code = cur_u8(c);
	if (!v.code) {
		struct bytes d = body_of(c, cur_u8(c));

		v.described = d.n == 1 || d.n == 8 ? d.p[d.n - 1] : 0xff;
		v.code = cur_u8(c);
	}
	v.body = body_of(c, v.code);
	return v;
}

/* The fields of a list: empty when it is none. */
static struct cursor list_of(const struct value *v)
{
	struct cursor c = cur_of(v->body.p, v->body.n);

	if (v->code == 0xc0)
		cur_skip(&c, 1);
	else if (v->code == 0xd0)
		cur_skip(&c, 4);
	else
		c = cur_of(NULL, 0);
	return c;
}

/* Strings, symbols and binaries. */
static void put(struct record *r, const struct fact *f, const struct value *v)
{
	if ((v->code >> 4 == 0xa || v->code >> 4 == 0xb) && v->body.n)
		rec_bytes(r, f, v->body);
}

/* A source or target: its first field is the address. */
static void put_address(struct record *r, const struct fact *f, const struct value *v)
{
	struct cursor fields = list_of(v);
	struct value address = value_read(&fields);

	put(r, f, &address);
}

static void put_error(struct record *r, const struct value *v)
{
	if (v->described == ERROR)
		put_address(r, &amqp_error, v);
}

static bool performative(struct px *px, struct amqp *s, struct cursor c)
{
	static const struct { uint8_t code; const char *name; } told[] = { { OPEN, "open" }, { ATTACH, "attach" }, { DETACH, "detach" }, { CLOSE, "close" },
		{ SASL_INIT, "sasl-init" }, { SASL_OUTCOME, "sasl-outcome" } };
	struct value v = value_read(&c), f[7];
	struct cursor fields = list_of(&v);
	const char *name = NULL;
	struct record *r;

	if (!cur_ok(&c))
		return false;
	for (unsigned i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		if (told[i].code == v.described)
			name = told[i].name;
	if (!name)
		return true;
	for (unsigned i = 0; i < 7; i++)
		f[i] = value_read(&fields);
	if (!cur_ok(&fields))
		return false;
	r = px_record(px);
	rec_cstr(r, &amqp_operation, name);
	if (v.described == OPEN) {
		put(r, &amqp_container, &f[0]);
		put(r, &amqp_host, &f[1]);
	} else if (v.described == ATTACH) {
		put(r, &amqp_link, &f[0]);
		rec_cstr(r, &amqp_role, f[2].code == 0x41 || (f[2].body.n == 1 && f[2].body.p[0]) ? "receiver" : "sender");
		put_address(r, &amqp_source, &f[5]);
		put_address(r, &amqp_target, &f[6]);
	} else if (v.described == SASL_INIT) {
		put(r, &amqp_mechanism, &f[0]);
		f[1].body = sasl_user(f[1].body);
		put(r, &amqp_user, &f[1]);
	} else if (v.described == SASL_OUTCOME) {
		if (f[0].code == 0x50)
			rec_cstr(r, &amqp_error, f[0].body.p[0] == 0 ? "ok" : f[0].body.p[0] == 1 ? "auth" : "sys");
	} else {
		put_error(r, v.described == CLOSE ? &f[0] : &f[2]);
	}
	px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
	return true;
}

enum parse amqp1_frame(struct px *px, struct amqp *s, enum dir dir, struct cursor *in)
{
	struct cursor c = *in;
	uint32_t size = cur_be32(&c), head;
	uint8_t type;

	head = cur_u8(&c) * 4u;
	type = cur_u8(&c);
	cur_skip(&c, 2);
	if (!cur_ok(&c))
		return msg_more(px, 8);
	if (size < 8 || head < 8 || head > size || type > 1)
		return msg_bad(px, "amqp.bad_frame");
	if (size > head) {	/* else: a heartbeat */
		if (head > 8 || size < head + 3)
			return msg_bad(px, "amqp.bad_frame");
		if (cur_left(&c) < 3)
			return msg_more(px, 11);
		if (cur_peek(&c, 0) || cur_peek(&c, 1) != 0x53 || cur_peek(&c, 2) != TRANSFER) {
			if (size > AMQP_WHOLE_MAX)
				return msg_bad(px, "amqp.bad_frame");
			if (cur_left(&c) < size - 8)
				return msg_more(px, size);
			if (!performative(px, s, cur_sub(&c, size - 8)))
				return msg_bad(px, "amqp.bad_performative");
		}
	}
	msg_pass(px, dir, in, size);
	return PARSE_DONE;
}
