/* SPDX-License-Identifier: GPL-2.0-or-later */
/* amqp: 0-8, 0-9, 0-9-1 and 1.0. This file: the header, and methods of the former; amqp1.c: the latter.
 *
 *   header: "AMQP" id major minor revision              1.0: again after SASL
 *   frame:  type(1) channel(2) size(4) payload 0xCE     method: class(2) id(2) arguments
 *
 * One event per method that asks for or brings something; confirmations without content, acknowledgements, contents and
 * heartbeats are passed by. What arguments a method has, and which are told, is a table. A flow is believed by its header, in
 * its middle by a frame that ends where it must. */
#include <stdlib.h>

#include "dpi/proto/amqp_parts.h"
#include "dpi/proto/sasl.h"

#define FRAME_END 0xce
#define FRAME_MAX 0x1000000u

enum { METHOD = 1, HEADER, BODY, HEARTBEAT = 8 };

const struct fact amqp_operation = { "operation", FACT_OPERATION }, amqp_user = { "user", FACT_USER }, amqp_mechanism = { "mechanism", FACT_PLAIN };
static const struct fact f_exchange = { "exchange", FACT_OBJECT }, f_queue = { "queue", FACT_OBJECT }, f_key = { "routing_key", FACT_KEY }, f_filter = { "routing_key", FACT_FILTER },
	f_vhost = { "vhost", FACT_DATABASE }, f_tag = { "consumer_tag", FACT_PLAIN }, f_code = { "reply_code", FACT_PLAIN },
	f_text = { "reply_text", FACT_PLAIN }, f_destination = { "destination", FACT_OBJECT }, f_type = { "exchange_type", FACT_PLAIN };
static const struct fact *const facts[] = { &amqp_operation, &amqp_user, &amqp_mechanism, &f_exchange, &f_queue, &f_key, &f_vhost, &f_tag, &f_code, &f_text,
	&f_destination, &f_type, &amqp_container, &amqp_host, &amqp_link, &amqp_source, &amqp_target, &amqp_role, &amqp_error, NULL };

/* Arguments: b octet, w short, l long, q long long, t table, s short string, S long string: passed; the others are told. */
static const struct method {
	uint16_t class, id;
	const char *name, *args;
} methods[] = {
	{ 10, 10, "connection.start", "" }, { 10, 11, "connection.start-ok", "tMP" }, { 10, 21, "connection.secure-ok", "P" }, { 10, 40, "connection.open", "V" },
	{ 10, 50, "connection.close", "YX" }, { 20, 10, "channel.open", "" }, { 20, 40, "channel.close", "YX" },
	{ 40, 10, "exchange.declare", "wEK" }, { 40, 20, "exchange.delete", "wE" }, { 40, 30, "exchange.bind", "wDEB" }, { 40, 40, "exchange.unbind", "wDER" },
	{ 50, 10, "queue.declare", "wQ" }, { 50, 11, "queue.declare-ok", "Q" }, { 50, 20, "queue.bind", "wQEB" }, { 50, 30, "queue.purge", "wQ" },
	{ 50, 40, "queue.delete", "wQ" }, { 50, 50, "queue.unbind", "wQER" },
	{ 60, 20, "basic.consume", "wQC" }, { 60, 30, "basic.cancel", "C" }, { 60, 40, "basic.publish", "wER" }, { 60, 50, "basic.return", "YXER" },
	{ 60, 60, "basic.deliver", "CqbER" }, { 60, 70, "basic.get", "wQ" }, { 60, 71, "basic.get-ok", "qbER" },
	{ 90, 10, "tx.select", "" }, { 90, 20, "tx.commit", "" }, { 90, 30, "tx.rollback", "" },
};

static const struct method *method_of(uint16_t class, uint16_t id)
{
	for (unsigned i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (methods[i].class == class && methods[i].id == id)
			return &methods[i];
	return NULL;
}

static bool class_exists(uint16_t class)
{
	return class == 10 || class == 20 || class == 40 || class == 50 || class == 60 || class == 85 || class == 90;
}

/* ---- recognition ---- */

/* The header: YES, and *one. */
static enum probe probe_header(struct cursor c, bool *one)
{
	static const char *const known[] = { "AMQP\0\0\x09\x01", "AMQP\1\1\0\x09", "AMQP\1\1\x08\0", "AMQP\0\1\0\0", "AMQP\2\1\0\0", "AMQP\3\1\0\0" };
	size_t n = cur_left(&c) < 8 ? cur_left(&c) : 8;

	for (unsigned i = 0; i < 6; i++) {
		if (memcmp(c.pos, known[i], n) != 0)
			continue;
		*one = i >= 3;
		return n == 8 ? PROBE_YES : PROBE_MORE;
	}
	return PROBE_NO;
}

enum probe amqp0_probe(struct cursor c)
{
	uint8_t type = cur_u8(&c);
	uint16_t channel = cur_be16(&c), class, id;
	uint32_t size = cur_be32(&c);
	struct cursor payload;

	if ((type != METHOD && type != HEADER && type != HEARTBEAT) || size > AMQP_WHOLE_MAX || (type == HEARTBEAT && (size || channel)))
		return PROBE_NO;
	if (type != HEARTBEAT && cur_ok(&c) && size < (type == METHOD ? 4u : 14u))
		return PROBE_NO;
	payload = cur_sub(&c, size);
	if (cur_u8(&c) != FRAME_END)
		return cur_ok(&c) ? PROBE_NO : PROBE_MORE;
	class = cur_be16(&payload);
	id = cur_be16(&payload);
	if (type == METHOD)
		return class_exists(class) && id && id <= 120 ? PROBE_YES : PROBE_NO;
	return type == HEARTBEAT || (class == 60 && !id) ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	enum probe all = PROBE_NO;

	for (unsigned d = 0; d < 2; d++) {
		bool one;
		enum probe p = cur_left(&in->dir[d]) ? probe_header(in->dir[d], &one) : PROBE_MORE;

		if (p == PROBE_NO && in->midstream)
			p = amqp0_probe(in->dir[d]);
		if (p == PROBE_YES && (d == DIR_TOSERVER || in->midstream))
			return p;
		/* a server has no word before the client's */
		if (d == DIR_TOCLIENT && !in->midstream)
			break;
		if (p == PROBE_MORE && cur_left(&in->dir[d]))
			all = PROBE_MORE;
	}
	if (!cur_left(&in->dir[DIR_TOSERVER]) && !cur_left(&in->dir[DIR_TOCLIENT]))
		return PROBE_MORE;
	return all;
}

/* ---- methods ---- */

/* AMQPLAIN: a table with LOGIN as a long string in it. */
static struct bytes login_of(struct bytes msg)
{
	struct cursor c = cur_of(msg.p, msg.n);
	size_t n;

	while ((n = cur_find(&c, 5)) != SIZE_MAX) {
		cur_skip(&c, n);
		if (cur_starts(&c, "\5LOGINS", 7)) {
			cur_skip(&c, 7);
			return cur_bytes(&c, cur_be32(&c));
		}
		cur_skip(&c, 1);
	}
	return sasl_user(msg);
}

static struct bytes argument(struct cursor *c, char kind)
{
	switch (kind) {
	case 'b':
		return cur_bytes(c, 1);
	case 'w': case 'Y':
		return cur_bytes(c, 2);
	case 'l':
		return cur_bytes(c, 4);
	case 'q':
		return cur_bytes(c, 8);
	case 't': case 'S': case 'P':
		return cur_bytes(c, cur_be32(c));
	default:
		return cur_bytes(c, cur_u8(c));
	}
}

static const struct fact *fact_of(char kind)
{
	static const struct { char kind; const struct fact *fact; } told[] = { { 'E', &f_exchange }, { 'Q', &f_queue }, { 'R', &f_key }, { 'B', &f_filter }, { 'V', &f_vhost }, { 'C', &f_tag },
		{ 'X', &f_text }, { 'D', &f_destination }, { 'K', &f_type }, { 'M', &amqp_mechanism }, { 'P', &amqp_user } };

	for (unsigned i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		if (told[i].kind == kind)
			return told[i].fact;
	return NULL;
}

static bool method(struct px *px, struct amqp *s, struct cursor c)
{
	uint16_t class = cur_be16(&c), id = cur_be16(&c);
	const struct method *m = method_of(class, id);
	struct record *r;

	if (!cur_ok(&c) || !class_exists(class))
		return false;
	if (!m)
		return true;
	r = px_record(px);
	rec_cstr(r, &amqp_operation, m->name);
	for (const char *a = m->args; *a; a++) {
		struct bytes b = argument(&c, *a);
		const struct fact *f = fact_of(*a);

		if (*a == 'P')
			b = login_of(b);
		if (*a == 'Y' && b.n)
			rec_u64(r, &f_code, (uint64_t)b.p[0] << 8 | b.p[1]);
		else if (f && (b.n || *a == 'E' || *a == 'Q'))
			rec_bytes(r, f, b);
	}
	if (!cur_ok(&c))
		return false;
	if (class != 60 || (id != 50 && id != 60 && id != 71))
		px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
	return true;
}

enum parse amqp0_frame(struct px *px, struct amqp *s, enum dir dir, struct cursor *in)
{
	struct cursor c = *in, payload;
	uint8_t type = cur_u8(&c);
	uint32_t size;

	cur_skip(&c, 2);
	size = cur_be32(&c);
	if (!cur_ok(&c))
		return msg_more(px, 7);
	if ((type != METHOD && type != HEADER && type != BODY && type != HEARTBEAT) || size > FRAME_MAX || (type == METHOD && size > AMQP_WHOLE_MAX))
		return msg_bad(px, "amqp.bad_frame");
	if (type != METHOD) {
		*in = c;
		msg_pass(px, dir, in, (uint64_t)size + 1);
		return PARSE_DONE;
	}
	payload = cur_sub(&c, size);
	if (cur_u8(&c) != FRAME_END)
		return cur_ok(&c) ? msg_bad(px, "amqp.frame_end") : msg_more(px, (size_t)size + 8);
	*in = c;
	return method(px, s, payload) ? PARSE_DONE : msg_bad(px, "amqp.bad_method");
}

/* ---- both ---- */

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct amqp *s = state;
	enum parse p = PARSE_DONE;

	while (p == PARSE_DONE && cur_more(in)) {
		bool one;
		enum probe header = probe_header(*in, &one);

		if (header == PROBE_MORE && !(s->one && cur_left(in) < 4 && cur_peek(in, 0) != 'A'))
			return msg_more(px, 8);
		if (header == PROBE_YES) {
			s->one = one;
			cur_skip(in, 8);
			continue;
		}
		p = s->one ? amqp1_frame(px, s, dir, in) : amqp0_frame(px, s, dir, in);
	}
	return p;
}

static const uint16_t ports[] = { 5672, 0 };

const struct proto proto_amqp = {
	.name = "amqp",
	.app = APP_AMQP,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct amqp),
	.probe = probe,
	.parse = parse,
	.facts = facts,
	.for_events = true,
};
