/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls: the handshake of TLS 1.0 to 1.3, SSLv3 and SSLv2 (RFC 8446, 5246, 6101), up to where it is sealed.
 *
 *   record:    type(1) version(2) length(2) fragment      types: 20 ChangeCipherSpec, 21 alert, 22 handshake, 23 data, 24 heartbeat
 *   handshake: type(1) length(3) body                     messages lie end to end in the fragments, whatever the records' bounds
 *   SSLv2:     length(2, top bit set) type(1) body
 *
 * Records of a handshake are taken whole, because their receiver takes them so; all others are stepped over without being
 * kept. A message that lies whole in a record is read there; else it is put together in a piece of memory that grows with
 * what has come (never with what is announced), up to MESSAGE_MAX; a longer one ends the parsing ("tls.message_too_long").
 *
 * Who is the client is told by who says ClientHello, not by who opened the connection (FTP's data connections differ).
 *
 *   START --ClientHello--> HELLO --ServerHello--> ANSWERED (up to 1.2) --Certificate, or what comes after it--> DONE
 *                            |  ^                     1.3: DONE at once, the rest is sealed
 *                            +--+ HelloRetryRequest, then the second ClientHello
 *
 * The SNI is judged when the ClientHello is complete, the version with the ServerHello, the issuer with the Certificate. One
 * `tls` event is told on reaching DONE, or at the end with what is known; then px_stop(): bulk costs nothing. The client's
 * first hello gives the fingerprints, its last one all the rest. Between its hello and the answer the client's records are
 * stepped over: early data, or (the answer's packets being late here) what belongs behind the answer. */
#include <string.h>

#include "base/mem.h"
#include "dpi/proto.h"
#include "dpi/proto/tls_facts.h"
#include "dpi/proto/tls_probe.h"

#define MESSAGE_MAX MEM_PIECE_MAX
#define AHEAD_MAX 64u			/* records of the client without an answer: nobody shows us the server's side */
#define SSL2_SERVER_HELLO 4u
#define SSL2_X509 1u			/* its type of certificate */

/* Handshake bytes of one direction that are not yet a whole message. */
struct side {
	uint8_t *p;		/* px_alloc'd, `size` bytes; NULL: none */
	uint32_t size, len;
	uint32_t pass;		/* bytes of a message that nobody wants, still to come */
};

enum stage { START, HELLO, ANSWERED, DONE };

/* What is kept until the event, in the order of telling: what rules ask for comes first, so that no flood of names pushes it out. */
enum part { P_SNI, P_ANSWER, P_PRINTS, P_MORE, PARTS };

struct tls {
	struct side side[2];
	struct saved *part[PARTS];
	uint16_t offered;	/* the client's highest version */
	uint8_t stage;		/* enum stage */
	uint8_t client_dir;	/* enum dir; from HELLO on */
	uint8_t ahead;		/* the client's records since its hello */
	bool retry;		/* a HelloRetryRequest came: another ClientHello follows */
	uint8_t deaf;		/* bit per enum dir: bytes were lost, it is not parsed any more */
	bool told;
};

/* ---- what is told ---- */

/* Everything known so far, and the certificate at hand, if any. */
static struct record *known(struct px *px, const struct tls *t, struct bytes der)
{
	struct record *r = px_record(px);

	for (unsigned i = 0; i < PARTS; i++) {
		if (t->part[i])
			rec_append(r, t->part[i]->body, t->part[i]->len);
		if (i == P_ANSWER && der.n)
			tls_put_certificate(r, der);
	}
	return r;
}

static const struct bytes no_der;

static void save(struct px *px, struct tls *t, enum part i, const struct record *r)
{
	px_saved_free(px, t->part[i]);
	t->part[i] = px_save(px, r);
}

static void side_free(struct px *px, struct side *s)
{
	if (s->p)
		px_release(px, s->p, s->size);
	*s = (struct side){ 0 };
}

static void let_go(struct px *px, struct tls *t)
{
	for (unsigned i = 0; i < PARTS; i++) {
		px_saved_free(px, t->part[i]);
		t->part[i] = NULL;
	}
	for (unsigned d = 0; d < 2; d++)
		side_free(px, &t->side[d]);
}

/* r: made by known(), with what came last. */
static void tell(struct px *px, struct tls *t, const struct record *r)
{
	if (!t->told)
		px_emit(px, EV_TLS, UINT32_MAX, r);
	t->told = true;
	t->stage = DONE;
}

/* ---- messages ---- */

static enum parse broken(struct px *px, const char *event)
{
	px_bad(px, event);
	return PARSE_BAD;
}

/* The fingerprints are those of the first hello, a second one after a HelloRetryRequest differs by what was asked for. */
static void client_known(struct px *px, struct tls *t, enum dir dir, const struct tls_hello *h, bool v2)
{
	struct record *r = px_record(px);

	t->stage = t->deaf ? DONE : HELLO;	/* nobody will answer */
	t->client_dir = (uint8_t)dir;
	t->offered = h->version;
	t->retry = false;
	t->ahead = 0;
	tls_put_sni(r, h);
	save(px, t, P_SNI, r);
	if (!t->part[P_PRINTS] && !v2) {
		r = px_record(px);
		tls_put_prints(r, h, 't');
		save(px, t, P_PRINTS, r);
	}
	px_judge_part(px, known(px, t, no_der), ROLE_BIT(FACT_TLS_VERSION) | ROLE_BIT(FACT_TLS_ISSUER));
}

static enum parse client_hello(struct px *px, struct tls *t, enum dir dir, struct cursor body)
{
	struct tls_hello h;

	if (!tls_client_hello(body, false, &h))
		return broken(px, "tls.bad_client_hello");
	if (h.odd)
		px_bad(px, "tls.odd_extension");
	client_known(px, t, dir, &h, false);
	return PARSE_DONE;
}

static enum parse server_hello(struct px *px, struct tls *t, enum dir dir, struct cursor body)
{
	struct tls_hello h;
	struct record *r;

	if (!tls_server_hello(body, &h))
		return broken(px, "tls.bad_server_hello");
	if (h.retry) {
		t->retry = t->stage == HELLO;
		t->ahead = 0;
		return PARSE_DONE;
	}
	if (t->stage == START)	/* the client's hello was not seen */
		t->client_dir = dir == DIR_TOSERVER ? DIR_TOCLIENT : DIR_TOSERVER;
	t->stage = ANSWERED;
	r = px_record(px);
	tls_put_answer(r, &h);
	save(px, t, P_ANSWER, r);
	r = px_record(px);
	tls_put_answer_more(r, &h);
	save(px, t, P_MORE, r);
	r = known(px, t, no_der);
	px_judge_part(px, r, h.version > TLS_1_2 ? 0 : ROLE_BIT(FACT_TLS_ISSUER));
	if (h.version > TLS_1_2)
		tell(px, t, r);
	return PARSE_DONE;
}

/* certificates<3>, each certificate<3>; the first is the server's own */
static enum parse certificate(struct px *px, struct tls *t, struct cursor body)
{
	struct cursor list = cur_sub(&body, cur_be24(&body));
	struct bytes der = no_der;
	struct record *r;

	if (cur_ok(&list) && cur_left(&list))
		der = cur_bytes(&list, cur_be24(&list));
	if (!cur_ok(&list))
		px_bad(px, "tls.bad_certificate_message");
	r = known(px, t, der);
	px_judge(px, r);
	tell(px, t, r);
	return PARSE_DONE;
}

/* Of an answered handshake nothing more will be known: what follows a certificate came without one. */
static void no_certificate(struct px *px, struct tls *t, bool resumed)
{
	struct record *r = known(px, t, no_der);

	if (resumed)
		tls_put_resumed(r);
	px_judge(px, r);
	tell(px, t, r);
}

static bool wanted(const struct tls *t, enum dir dir, uint8_t type)
{
	switch (type) {
	case TLS_CLIENT_HELLO:
		return t->stage == START || (t->retry && dir == (enum dir)t->client_dir);
	case TLS_SERVER_HELLO:
		return t->stage == START || (t->stage == HELLO && dir != (enum dir)t->client_dir);
	case TLS_CERTIFICATE:
		return t->stage == ANSWERED && dir != (enum dir)t->client_dir;
	default:
		return false;
	}
}

static enum parse message(struct px *px, struct tls *t, enum dir dir, uint8_t type, struct cursor body)
{
	switch (type) {
	case TLS_CLIENT_HELLO:
		return client_hello(px, t, dir, body);
	case TLS_SERVER_HELLO:
		return server_hello(px, t, dir, body);
	default:
		return certificate(px, t, body);
	}
}

/* A message that is not read still says something by its type. */
static void passed(struct px *px, struct tls *t, enum dir dir, uint8_t type)
{
	if (t->stage == START && type != TLS_HELLO_REQUEST)
		t->stage = DONE;	/* begun in the middle: it is TLS, and that is all */
	else if (t->stage == ANSWERED && dir != (enum dir)t->client_dir &&
	    (type == TLS_SERVER_KEY || type == TLS_SERVER_DONE || type == TLS_NEW_TICKET))
		no_certificate(px, t, type == TLS_NEW_TICKET);
}

/* ---- handshake bytes ---- */

/* Room for n bytes in all; it doubles, so that what is copied in all stays linear. */
static bool side_grow(struct px *px, struct side *s, uint32_t n)
{
	uint32_t size = s->size ? s->size : 256;
	uint8_t *p;

	if (n <= s->size)
		return true;
	while (size < n)
		size *= 2;
	p = px_alloc(px, size);
	if (!p)
		return false;
	if (s->len)
		memcpy(p, s->p, s->len);
	if (s->p)
		px_release(px, s->p, s->size);
	s->p = p;
	s->size = size;
	return true;
}

static bool side_take(struct px *px, struct side *s, struct cursor *c, size_t n)
{
	struct bytes b = cur_bytes(c, n < cur_left(c) ? n : cur_left(c));

	if (!side_grow(px, s, s->len + (uint32_t)b.n))
		return false;
	if (b.n)
		memcpy(s->p + s->len, b.p, b.n);
	s->len += (uint32_t)b.n;
	return true;
}

/* c: at the four bytes of a message's header. Reads or passes it when it is whole; *whole says so, else nothing is consumed. */
static enum parse one_message(struct px *px, struct tls *t, enum dir dir, struct cursor *c, bool *whole)
{
	struct cursor look = *c;
	uint8_t type = cur_u8(&look);
	uint32_t len = cur_be24(&look);
	enum parse ret;

	*whole = false;
	if (!cur_ok(&look))
		return PARSE_DONE;
	if (!wanted(t, dir, type)) {
		struct side *s = &t->side[dir];
		size_t here = len < cur_left(&look) ? len : cur_left(&look);

		passed(px, t, dir, type);
		cur_skip(&look, here);
		s->pass = len - (uint32_t)here;
		*c = look;
		*whole = true;
		return PARSE_DONE;
	}
	if (len > MESSAGE_MAX - 4)
		return broken(px, "tls.message_too_long");
	if (len > cur_left(&look))
		return PARSE_DONE;
	*whole = true;
	ret = message(px, t, dir, type, cur_sub(&look, len));
	*c = look;
	return ret;
}

/* The message in the piece of memory: first its header, then as much as the header says. */
static enum parse finish_kept(struct px *px, struct tls *t, enum dir dir, struct cursor *c)
{
	struct side *s = &t->side[dir];
	struct cursor kept;
	bool whole;
	enum parse ret;

	if (s->len < 4 && !side_take(px, s, c, 4 - s->len))
		goto no_memory;
	if (s->len >= 4) {
		struct cursor head = cur_of(s->p + 1, 3);
		uint32_t want = 4 + cur_be24(&head);

		if (wanted(t, dir, s->p[0]) && want <= MESSAGE_MAX && s->len < want && !side_take(px, s, c, want - s->len))
			goto no_memory;
	}
	kept = cur_of(s->p, s->len);
	ret = one_message(px, t, dir, &kept, &whole);
	if (whole) {
		uint32_t pass = s->pass;

		side_free(px, s);
		s->pass = pass;
	}
	return ret;
no_memory:
	px_lost(px);	/* nobody knows what it says */
	t->stage = DONE;
	return PARSE_DONE;
}

/* A fragment of handshake bytes. */
static enum parse handshake(struct px *px, struct tls *t, enum dir dir, struct cursor c)
{
	struct side *s = &t->side[dir];
	enum parse ret = PARSE_DONE;

	while (ret == PARSE_DONE && t->stage != DONE && cur_more(&c)) {
		bool whole;

		if (s->pass) {
			size_t n = s->pass < cur_left(&c) ? s->pass : cur_left(&c);

			cur_skip(&c, n);
			s->pass -= (uint32_t)n;
		} else if (s->len) {
			ret = finish_kept(px, t, dir, &c);
		} else {
			ret = one_message(px, t, dir, &c, &whole);
			if (ret == PARSE_DONE && !whole)
				ret = finish_kept(px, t, dir, &c);
		}
	}
	return ret;
}

/* ---- records ---- */

/* Alerts in the clear are two bytes. A fatal one ends a handshake. */
static void alert(struct px *px, struct tls *t, struct cursor c)
{
	bool plain = cur_left(&c) == 2;
	uint8_t level = cur_u8(&c), description = cur_u8(&c);
	struct record *r;

	if (plain && level != 2)
		return;		/* a warning, such as unrecognized_name before a ServerHello */
	if (t->stage == START) {
		t->stage = DONE;
		return;
	}
	r = known(px, t, no_der);
	if (t->stage == HELLO)
		tls_put_version(r, t->offered);
	if (plain)
		tls_put_alert(r, description);
	tell(px, t, r);
}

/* What a record that is not the handshake's says. */
static void other_record(struct px *px, struct tls *t, enum dir dir, enum tls_record type)
{
	bool client = dir == (enum dir)t->client_dir;

	if (t->stage == START) {
		t->stage = DONE;	/* begun in the middle */
	} else if (!client && t->stage == ANSWERED && (type == TLS_R_CCS || type == TLS_R_DATA)) {
		no_certificate(px, t, type == TLS_R_CCS);
	} else if (!client && t->stage == HELLO && type == TLS_R_DATA) {
		t->stage = DONE;	/* the answer was lost */
	}
}

/* The SERVER-HELLO of a server that speaks nothing newer:
 * type(1) hit(1) certificate type(1) version(2) lengths(2) of certificate, ciphers, connection id */
static enum parse v2_server_hello(struct px *px, struct tls *t, struct cursor c)
{
	uint8_t type = cur_u8(&c), hit = cur_u8(&c), kind = cur_u8(&c);
	uint16_t version = cur_be16(&c), len = cur_be16(&c);
	struct bytes der;
	struct record *r;

	cur_skip(&c, 4);
	der = cur_bytes(&c, len);
	if (type != SSL2_SERVER_HELLO || version != TLS_SSL2 || !cur_ok(&c))
		return broken(px, "tls.bad_server_hello");
	r = px_record(px);
	tls_put_version(r, version);
	if (hit)
		tls_put_resumed(r);
	save(px, t, P_ANSWER, r);
	r = known(px, t, kind == SSL2_X509 ? der : no_der);
	px_judge(px, r);
	tell(px, t, r);
	return PARSE_DONE;
}

/* One SSLv2 message. */
static enum parse v2_message(struct px *px, struct tls *t, enum dir dir, struct cursor c)
{
	if (t->stage == START) {
		struct tls_hello h;

		if (!tls_v2_client_hello(c, &h))
			return broken(px, "tls.bad_client_hello");
		client_known(px, t, dir, &h, true);
		return PARSE_DONE;
	}
	return v2_server_hello(px, t, c);
}

static enum parse need(struct px *px, size_t n)
{
	px_need(px, n);
	return PARSE_MORE;
}

/* The next record. PARSE_DONE: consumed. */
static enum parse record_next(struct px *px, struct tls *t, enum dir dir, struct cursor *in)
{
	struct cursor look = *in;
	uint8_t type = cur_u8(&look);
	uint16_t version = cur_be16(&look), len = cur_be16(&look);
	bool client = t->stage != START && dir == (enum dir)t->client_dir;
	struct cursor fragment;

	if ((type & 0x80) && t->stage <= HELLO && !client) {	/* SSLv2's messages begin like this, until somebody speaks SSLv3 */
		look = *in;
		len = cur_be16(&look) & 0x7fff;
		if (cur_left(in) < 2)
			return need(px, 2);
		if (len > cur_left(&look))
			return need(px, 2 + (size_t)len);
		fragment = cur_sub(&look, len);
		*in = look;
		return v2_message(px, t, dir, fragment);
	}
	if (!cur_ok(&look))
		return need(px, TLS_RECORD_HEADER);
	if (type < TLS_R_CCS || type > TLS_R_HEARTBEAT || version >> 8 != 3 || len > TLS_FRAGMENT_MAX)
		return broken(px, "tls.bad_record");
	/* the client's word is taken once, and once more after a HelloRetryRequest */
	if ((type == TLS_R_HANDSHAKE || type == TLS_R_ALERT) && (!client || t->retry || type == TLS_R_ALERT)) {
		if (len > cur_left(&look))
			return need(px, TLS_RECORD_HEADER + (size_t)len);
		fragment = cur_sub(&look, len);
		*in = look;
		if (type == TLS_R_HANDSHAKE)
			return handshake(px, t, dir, fragment);
		alert(px, t, fragment);
		return PARSE_DONE;
	}
	other_record(px, t, dir, (enum tls_record)type);
	if (client && ++t->ahead == AHEAD_MAX)
		t->stage = DONE;
	*in = look;
	fragment = cur_sub(in, len < cur_left(in) ? len : cur_left(in));
	if (t->stage != DONE && cur_left(&fragment) < len)
		px_skip(px, dir, len - cur_left(&fragment));
	return PARSE_DONE;
}

static enum parse tls_parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct tls *t = state;

	while (t->stage != DONE && cur_more(in)) {
		enum parse ret = record_next(px, t, dir, in);

		if (ret != PARSE_DONE)
			return ret;
	}
	if (t->side[dir].len)
		px_unfinished(px, 0);
	if (t->stage == DONE) {
		cur_skip(in, cur_left(in));
		if (!t->told)
			px_judge(px, known(px, t, no_der));	/* no more will be known */
		px_stop(px);
	}
	return PARSE_DONE;
}

/* Where that direction's next record begins is not known any more: it is not heard from now on. What the server says tells most
 * without the client; the client tells nothing more without the server. */
static enum parse tls_gap(struct px *px, void *state, enum dir dir, uint64_t len)
{
	struct tls *t = state;

	(void)len;
	t->deaf |= (uint8_t)(1 << dir);
	side_free(px, &t->side[dir]);
	if (t->deaf == 3 || (t->stage != START && dir != (enum dir)t->client_dir)) {
		t->stage = DONE;
		px_stop(px);
	} else {
		px_skip(px, dir, UINT64_MAX);
	}
	return PARSE_DONE;
}

/* A ClientHello without an answer is told with the version it asked for. */
static void tls_end(struct px *px, void *state)
{
	struct tls *t = state;

	if (!t->told && (t->part[P_ANSWER] || t->offered)) {
		struct record *r = known(px, t, no_der);

		if (!t->part[P_ANSWER])
			tls_put_version(r, t->offered);
		tell(px, t, r);
	}
	let_go(px, t);
}

static const uint16_t ports[] = { 443, 8443, 6443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 5061, 5671, 6380, 6697, 8883, 9093, 0 };

const struct proto proto_tls = {
	.name = "tls", .app = APP_TLS, .event = EV_TLS, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct tls),
	.probe = tls_probe, .parse = tls_parse, .gap = tls_gap, .end = tls_end, .facts = tls_facts,
};
