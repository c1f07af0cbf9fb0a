/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dtls: the handshake of DTLS 1.0, 1.2 and 1.3 (RFC 4347, 6347, 9147), up to where it is sealed. One `dtls` event per flow, with TLS' facts.
 *
 *   record:    type(1) version(2) epoch(2) number(6) length(2) fragment
 *   handshake: type(1) length(3) message(2) offset(3) length(3), then that part of the body
 *
 * Fragments of a hello may come in any order and more than once; they are put together per direction, HELLO_MAX bytes at most. A
 * HelloVerifyRequest asks the client for the same hello with a cookie: the last whole ClientHello counts, the first one gives the fingerprints
 * like the last (the cookie is in neither). The event is told with the ServerHello, or at the end with what is known. */
#include "dpi/message.h"
#include "dpi/proto/tls_facts.h"

#define RECORD_HEAD 13u
#define HANDSHAKE_HEAD 12u
#define HELLO_MAX 8192u
#define RECORDS_MAX 32u		/* in a datagram */
#define HOLES_MAX 16u

static const struct fact *const facts[] = { NULL };

/* A hello in the making. */
struct side {
	uint8_t *p;		/* px_alloc'd, len bytes; NULL: none */
	uint32_t len;
	uint16_t message;	/* its number */
	uint8_t type;
	uint8_t nholes;
	struct { uint16_t from, to; } hole[HOLES_MAX];	/* what is missing, apart */
};

struct dtls {
	struct side side[2];
	struct saved *client;
	bool told;
};

/* A record's head, consumed; false: none. Epoch 0 only for the handshake that can be read. */
static bool record_head(struct cursor *c, uint8_t *type, uint16_t *epoch, uint16_t *len)
{
	uint16_t version;

	*type = cur_u8(c);
	version = cur_be16(c);
	*epoch = cur_be16(c);
	cur_skip(c, 6);
	*len = cur_be16(c);
	return cur_ok(c) && *type >= 20 && *type <= 25 && (version == TLS_DTLS_1_0 || version == TLS_DTLS_1_2 || version == 0x0100) && *len &&
	       *len <= cur_left(c);
}

/* Every record of the datagram is whole, and a handshake begins as it must. */
static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	bool first = true;
	uint16_t epoch, len;
	uint8_t type;

	for (unsigned i = 0; i < RECORDS_MAX && cur_more(&c); i++, first = false) {
		struct cursor body;

		if (!record_head(&c, &type, &epoch, &len))
			return first || (cur_peek(&c, 0) & 0xe0) != 0x20 ? PROBE_NO : PROBE_YES;	/* 1.3's sealed records have another head */
		body = cur_sub(&c, len);
		if (type == 22 && !epoch) {
			uint8_t message = cur_u8(&body);
			uint32_t whole = cur_be24(&body), at, n;

			cur_skip(&body, 2);
			at = cur_be24(&body);
			n = cur_be24(&body);
			if (!cur_ok(&body) || message > 24 || at > whole || n > whole - at || n > cur_left(&body))
				return PROBE_NO;
		}
		if (type == 20 && !epoch && len != 1 && len != 3)
			return PROBE_NO;
		if (type == 21 && !epoch && len != 2)
			return PROBE_NO;
	}
	return PROBE_YES;
}

/* ---- what is told ---- */

static void tell(struct px *px, struct dtls *s, const struct record *r)
{
	px_emit(px, EV_APP, UINT32_MAX, r);
	s->told = true;
	px_stop(px);
}

static void hello(struct px *px, struct dtls *s, uint8_t type, struct cursor body)
{
	struct tls_hello h;
	struct record *r;

	if (type == TLS_CLIENT_HELLO ? !tls_client_hello(body, true, &h) : !tls_server_hello(body, &h)) {
		px_bad(px, "dtls.bad_hello");
		return;
	}
	r = px_record(px);
	if (type == TLS_CLIENT_HELLO) {
		tls_put_sni(r, &h);
		tls_put_prints(r, &h, 'd');
		px_judge(px, r);
		px_saved_free(px, s->client);
		s->client = px_save(px, r);
		return;
	}
	if (s->client)
		rec_append(r, s->client->body, s->client->len);
	tls_put_answer(r, &h);
	tls_put_answer_more(r, &h);
	if (!h.retry)
		tell(px, s, r);
}

/* ---- fragments ---- */

static void drop(struct px *px, struct side *f)
{
	px_release(px, f->p, f->len);
	*f = (struct side){ 0 };
}

/* from..to is there now. False: too many holes. */
static bool fill(struct side *f, uint32_t from, uint32_t to)
{
	for (unsigned i = 0; i < f->nholes;) {
		uint32_t a = f->hole[i].from, b = f->hole[i].to;

		if (to <= a || from >= b) {
			i++;
		} else if (from <= a && to >= b) {
			f->hole[i] = f->hole[--f->nholes];
		} else if (from > a && to < b) {
			if (f->nholes == HOLES_MAX)
				return false;
			f->hole[i++].to = (uint16_t)from;
			f->hole[f->nholes].from = (uint16_t)to;
			f->hole[f->nholes++].to = (uint16_t)b;
		} else {
			if (from > a)
				f->hole[i].to = (uint16_t)from;
			else
				f->hole[i].from = (uint16_t)to;
			i++;
		}
	}
	return true;
}

static void fragment(struct px *px, struct dtls *s, enum dir dir, uint8_t type, uint16_t message, uint32_t whole, uint32_t at, struct bytes b)
{
	struct side *f = &s->side[dir];

	if (!at && b.n == whole) {
		hello(px, s, type, cur_of(b.p, b.n));
		return;
	}
	if (whole > HELLO_MAX) {
		px_bad(px, "dtls.hello_too_long");
		px_stop(px);
		return;
	}
	if (f->p && (f->message != message || f->len != whole || f->type != type))
		drop(px, f);
	if (!f->p) {
		*f = (struct side){ .p = px_alloc(px, whole), .len = whole, .message = message, .type = type, .nholes = 1, .hole = { { 0, (uint16_t)whole } } };
		if (!f->p)
			return;
	}
	if (!fill(f, at, at + (uint32_t)b.n))
		return;
	if (b.n)
		memcpy(f->p + at, b.p, b.n);
	if (!f->nholes) {
		hello(px, s, type, cur_of(f->p, f->len));
		drop(px, f);
	}
}

/* Messages lie end to end in a record. False: what is there is none. */
static bool handshake(struct px *px, struct dtls *s, enum dir dir, struct cursor c)
{
	while (cur_more(&c) && !s->told) {
		uint8_t type = cur_u8(&c);
		uint32_t whole = cur_be24(&c), at, n;
		uint16_t message = cur_be16(&c);
		struct bytes b;

		at = cur_be24(&c);
		n = cur_be24(&c);
		b = cur_bytes(&c, n);
		if (!cur_ok(&c) || at > whole || n > whole - at)
			return false;
		if ((type == TLS_CLIENT_HELLO || type == TLS_SERVER_HELLO) && whole)
			fragment(px, s, dir, type, message, whole, at, b);
	}
	return true;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct dtls *s = state;
	struct cursor c = *in;
	uint16_t epoch, len;
	uint8_t type;

	cur_rest(in);
	for (unsigned i = 0; i < RECORDS_MAX && cur_more(&c) && !s->told; i++) {
		if (!record_head(&c, &type, &epoch, &len))
			return PARSE_DONE;	/* sealed, or another protocol's: STUN and SRTP share its port */
		if (type == 22 && !epoch && !handshake(px, s, dir, cur_sub(&c, len))) {
			px_bad(px, "dtls.bad_handshake");
			return PARSE_DONE;
		} else if (type != 22 || epoch) {
			cur_skip(&c, len);
			if (type == 23)	/* data: the handshake is over */
				px_stop(px);
		}
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct dtls *s = state;

	if (!s->told && s->client) {
		struct record *r = px_record(px);

		rec_append(r, s->client->body, s->client->len);
		px_emit(px, EV_APP, UINT32_MAX, r);
	}
	px_saved_free(px, s->client);
	drop(px, &s->side[0]);
	drop(px, &s->side[1]);
}

static const uint16_t ports[] = { 443, 4433, 5684, 0 };

const struct proto proto_dtls = {
	.name = "dtls", .app = APP_DTLS, .event = EV_APP, .l4 = PROTO_UDP, .ports = ports, .state_size = sizeof(struct dtls),
	.probe = probe, .parse = parse, .end = end, .facts = facts,
};
