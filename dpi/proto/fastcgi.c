/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fastcgi: FastCGI 1.0. One `fastcgi` event per request, when it ends, else at the end of the flow.
 *
 *   01 type(1) request(2) length(2) padding(1) 00, content, padding
 *   1 BEGIN_REQUEST role(2) flags(1)   3 END_REQUEST status(4) ...   4 PARAMS: name and value lengths (1 or 4 bytes each), name, value; ended by an empty one
 *
 * Requests of a connection that overlap are told one after the other: the parameters at hand are those of the last one. A pair that lies in two
 * records is passed over. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEAD 8u
#define TYPE_MAX 11u

enum { BEGIN = 1, END = 3, PARAMS = 4 };

static const struct fact f_method = { "method", FACT_HTTP_METHOD }, f_uri = { "uri", FACT_HTTP_PATH }, f_host = { "host", FACT_HTTP_HOST },
	f_script = { "script", FACT_OBJECT }, f_status = { "app_status", FACT_PLAIN };
static const struct fact *const facts[] = { &f_method, &f_uri, &f_host, &f_script, &f_status, NULL };

static const struct {
	const char *name;
	const struct fact *fact;
} params[] = { { "REQUEST_METHOD", &f_method }, { "REQUEST_URI", &f_uri }, { "HTTP_HOST", &f_host }, { "SCRIPT_FILENAME", &f_script } };

struct fastcgi {
	struct asks asks;
	struct saved *told;	/* parameters so far */
	uint8_t seen;		/* bit per row of params */
	bool open;
	uint16_t request;
};

static enum probe probe(const struct probe_in *in)
{
	static const uint8_t lit[] = { 1, BEGIN };
	struct cursor c = in->dir[DIR_TOSERVER];
	size_t n = cur_left(&c);
	uint16_t role;

	if (!n || memcmp(c.pos, lit, n < 2 ? n : 2))
		return PROBE_NO;
	if (n < HEAD + 8)
		return PROBE_MORE;
	cur_skip(&c, 4);
	if (cur_be16(&c) != 8 || cur_be16(&c) & 0xff)
		return PROBE_NO;
	role = cur_be16(&c);
	return role >= 1 && role <= 3 && cur_u8(&c) <= 1 && !cur_be32(&c) && !cur_u8(&c) ? PROBE_YES : PROBE_NO;
}

static size_t length(struct cursor *c)
{
	if (cur_peek(c, 0) & 0x80)
		return cur_be32(c) & 0x7fffffff;
	return cur_u8(c);
}

static void pairs(struct px *px, struct fastcgi *s, struct cursor c)
{
	struct record *r = px_record(px);

	if (s->told)
		rec_append(r, s->told->body, s->told->len);
	while (cur_more(&c)) {
		size_t n = length(&c), m = length(&c);
		struct bytes name = cur_bytes(&c, n), value = cur_bytes(&c, m);

		if (!cur_ok(&c))
			break;
		for (unsigned i = 0; i < sizeof(params) / sizeof(params[0]); i++)
			if (!(s->seen >> i & 1) && bytes_are(name, params[i].name)) {
				rec_bytes(r, params[i].fact, value);
				s->seen = (uint8_t)(s->seen | 1u << i);
			}
	}
	px_saved_free(px, s->told);
	s->told = px_save(px, r);
}

static void asked(struct px *px, struct fastcgi *s)
{
	struct record *r = px_record(px);

	if (s->told)
		rec_append(r, s->told->body, s->told->len);
	px_judge(px, r);
	asks_add(px, &s->asks, s->request, r);
	px_saved_free(px, s->told);
	s->told = NULL;
	s->open = false;
}

static void answered(struct px *px, struct fastcgi *s, uint16_t request, struct cursor c)
{
	int i = asks_find(&s->asks, request);
	struct record *r;

	if (i < 0)
		return;
	r = asks_record(px, &s->asks, i);
	rec_u64(r, &f_status, cur_be32(&c));
	asks_tell(px, &s->asks, i, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct fastcgi *s = state;

	s->asks.event = EV_APP;
	while (cur_more(in)) {
		struct cursor c = *in, view;
		uint8_t type, pad;
		uint16_t request, n;

		if (cur_left(in) < HEAD)
			return msg_more(px, HEAD);
		if (cur_u8(&c) != 1)
			return msg_bad(px, "fastcgi.bad_record");
		type = cur_u8(&c);
		request = cur_be16(&c);
		n = cur_be16(&c);
		pad = cur_u8(&c);
		if (!type || type > TYPE_MAX)
			return msg_bad(px, "fastcgi.bad_record");
		if (type != BEGIN && type != PARAMS && type != END) {
			msg_pass(px, dir, in, (uint64_t)HEAD + n + pad);
			continue;
		}
		if (HEAD + (uint32_t)n > PROTO_KEEP_MAX)
			return msg_bad(px, "fastcgi.record_too_long");
		if (msg_take(px, dir, in, (uint64_t)HEAD + n + pad, HEAD + n, &view) == PARSE_MORE)
			return PARSE_MORE;
		cur_skip(&view, HEAD);
		if (type == BEGIN && dir == DIR_TOSERVER) {
			if (s->open)
				asked(px, s);
			s->open = true;
			s->request = request;
			s->seen = 0;
		} else if (type == PARAMS && dir == DIR_TOSERVER && s->open) {
			if (n)
				pairs(px, s, view);
			else
				asked(px, s);
		} else if (type == END && dir == DIR_TOCLIENT) {
			answered(px, s, request, view);
		}
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct fastcgi *s = state;

	asks_end(px, &s->asks);
	px_saved_free(px, s->told);
}

static const uint16_t ports[] = { 9000, 0 };

const struct proto proto_fastcgi = {
	.name = "fastcgi", .app = APP_FASTCGI, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct fastcgi),
	.probe = probe, .parse = parse, .end = end, .facts = facts,
};
