/* SPDX-License-Identifier: GPL-2.0-or-later */
/* coap: RFC 7252, over TCP RFC 8323. One `coap` event per request and per response with a code.
 *
 *   version 1 and type and token length(1) code(1) message id(2) token, options: delta and length in half bytes, FF and a payload
 *   over TCP: length of options and payload (4 bits, with up to four bytes more) and token length(4 bits) code(1) token, options ...
 *
 * Over TCP each side begins with a message of its capabilities (7.01), and that is what it is known by. On another port than 5683 a request must name a path by options that are all known. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define CSM 0xe1u		/* 7.01 */
#define HEAD_MAX 6u
#define MESSAGE_MOST 60000u	/* as much of one is looked at */
#define OPTIONS_MAX 64u
#define PATH_MAX_LEN 512u

static const struct fact f_code = { "code", FACT_OPERATION }, f_host = { "host", FACT_PLAIN }, f_path = { "path", FACT_OBJECT }, f_query = { "query", FACT_PLAIN };
static const struct fact *const facts[] = { &f_code, &f_host, &f_path, &f_query, NULL };
static const struct code codes[] = { { 1, "GET" }, { 2, "POST" }, { 3, "PUT" }, { 4, "DELETE" }, { 5, "FETCH" }, { 6, "PATCH" }, { 7, "iPATCH" }, { 0, NULL } };
static const uint16_t known[] = { 1, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 17, 20, 23, 27, 28, 35, 39, 60, 258 };

struct coap {
	uint8_t code;
	size_t npath, nquery;
	bool all_known;
	struct bytes host;
	char path[PATH_MAX_LEN], query[PATH_MAX_LEN];
};

/* A half byte, with the bytes that extend it; 0x10000: reserved. */
static uint32_t extended(struct cursor *c, uint8_t half)
{
	return half < 13 ? half : half == 13 ? cur_u8(c) + 13u : half == 14 ? cur_be16(c) + 269u : 0x10000u;
}

static void join(char *out, size_t *n, char sep, struct bytes b)
{
	size_t k;

	if (*n + 1 >= PATH_MAX_LEN)
		return;
	out[(*n)++] = sep;
	k = b.n < PATH_MAX_LEN - *n ? b.n : PATH_MAX_LEN - *n;
	if (k)
		memcpy(out + *n, b.p, k);
	*n += k;
}

static bool read_options(struct cursor c, struct coap *m)
{
	uint32_t number = 0;

	m->npath = m->nquery = 0;
	m->host = (struct bytes){ NULL, 0 };
	m->all_known = true;
	if ((m->code >> 5 == 0 && m->code > 7) || m->code >> 5 == 1 || m->code >> 5 == 3 || m->code >> 5 > 5 || (m->code & 31) > 30)
		return false;
	for (unsigned i = 0; cur_more(&c); i++) {
		uint8_t head = cur_u8(&c);
		uint32_t delta, len;
		struct bytes v;
		bool is = false;

		if (head == 0xff)
			return cur_left(&c) > 0;
		delta = extended(&c, head >> 4);
		len = extended(&c, head & 15);
		if (i == OPTIONS_MAX || delta + len >= 0x10000)
			return false;
		v = cur_bytes(&c, len);
		number += delta;
		if (!cur_ok(&c))
			return false;
		for (unsigned k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			is |= known[k] == number;
		m->all_known &= is;
		if (number == 3)
			m->host = v;
		else if (number == 11)
			join(m->path, &m->npath, '/', v);
		else if (number == 15)
			join(m->query, &m->nquery, m->nquery ? '&' : '?', v);
	}
	return true;
}

static bool read(struct cursor c, struct coap *m)
{
	uint8_t first = cur_u8(&c), tkl = first & 15;

	m->code = cur_u8(&c);
	m->npath = m->nquery = 0;
	m->host = (struct bytes){ NULL, 0 };
	m->all_known = true;
	cur_skip(&c, 2);
	cur_skip(&c, tkl);
	if (!cur_ok(&c) || first >> 6 != 1 || tkl > 8)
		return false;
	return m->code ? read_options(c, m) : !tkl && !cur_left(&c);
}

/* A message over TCP: its head's size, 0: not all is there, and the whole size. */
static size_t frame(struct cursor c, uint64_t *size)
{
	uint8_t first = cur_u8(&c), half = first >> 4;
	size_t head = half < 13 ? 2 : half == 13 ? 3 : half == 14 ? 4 : 6;

	*size = head + (first & 15u) + (half < 13 ? half : half == 13 ? cur_u8(&c) + 13u : half == 14 ? cur_be16(&c) + 269u : cur_be32(&c) + UINT64_C(65805));
	return cur_ok(&c) && cur_left(&c) ? head : 0;
}

/* The capabilities: Max-Message-Size (2) and Block-wise-Transfer (4) and nothing else. */
static bool is_csm(struct cursor c)
{
	uint32_t number = 0, len;
	uint8_t head;

	while (cur_more(&c)) {
		head = cur_u8(&c);
		number += extended(&c, head >> 4);
		len = extended(&c, head & 15);
		cur_skip(&c, len);
		if (!cur_ok(&c) || (number != 2 && number != 4) || len > 4)
			return false;
	}
	return true;
}

static enum probe probe_tcp(struct cursor c)
{
	uint64_t size = 0;
	size_t head = frame(c, &size);

	if (cur_left(&c) && (cur_peek(&c, 0) & 15 || cur_peek(&c, 0) >> 4 > 12 || cur_peek(&c, 0) < 0x10))
		return PROBE_NO;	/* a token, nothing, or too much */
	if (!head)
		return PROBE_MORE;
	if (cur_peek(&c, head - 1) != CSM)
		return PROBE_NO;
	if (cur_left(&c) < size)
		return PROBE_MORE;
	cur_skip(&c, head);
	return is_csm(cur_of(c.pos, (size_t)size - head)) ? PROBE_YES : PROBE_NO;
}

/* Of two ends each begins so: where both were heard, both must. */
static enum probe probe_stream(const struct probe_in *in)
{
	enum probe answer = PROBE_MORE;

	for (int d = 0; d < 2; d++) {
		enum probe p = probe_tcp(in->dir[d]);

		if (p == PROBE_NO)
			return p;
		if (p == PROBE_YES)
			answer = p;
	}
	return answer;
}

static enum probe probe(const struct probe_in *in)
{
	bool usual = in->dport == 5683 || in->sport == 5683;
	struct coap m;

	if (in->l4 == PROTO_TCP)
		return probe_stream(in);
	if (!read(in->dir[in->now], &m))
		return PROBE_NO;
	if (usual)
		return PROBE_YES;
	return m.all_known && m.code >= 1 && m.code <= 7 && m.npath > 2 && is_printable((struct bytes){ (const uint8_t *)m.path, m.npath }) ? PROBE_YES : PROBE_NO;
}

static void tell(struct px *px, enum dir dir, const struct coap *m)
{
	struct record *r = px_record(px);

	if (m->code <= 7)
		rec_cstr(r, &f_code, code_name(codes, m->code));
	else
		rec_printf(r, &f_code, "%u.%02u", m->code >> 5, m->code & 31);
	if (m->host.n)
		rec_bytes(r, &f_host, m->host);
	if (m->npath)
		rec_str(r, &f_path, m->path, m->npath);
	if (m->nquery)
		rec_str(r, &f_query, m->query + 1, m->nquery - 1);
	say(px, dir, EV_APP, UINT32_MAX, r);
}

static enum parse parse_stream(struct px *px, enum dir dir, struct cursor *in)
{
	while (cur_more(in)) {
		struct cursor view;
		uint64_t size;
		size_t head = frame(*in, &size);
		uint8_t token;
		struct coap m;
		enum parse p;

		if (!head && cur_left(in) < HEAD_MAX)
			return msg_more(px, cur_left(in) + 1);
		p = msg_take(px, dir, in, size, MESSAGE_MOST, &view);
		if (p != PARSE_DONE)
			return p;
		token = cur_peek(&view, 0) & 15;
		cur_skip(&view, head - 1);
		m.code = cur_u8(&view);
		cur_skip(&view, token);
		if (m.code >> 5 == 7 || !m.code)
			continue;	/* signals, and nothing */
		if (!cur_ok(&view) || token > 8 || !read_options(view, &m))
			return msg_bad(px, "coap.malformed");
		tell(px, dir, &m);
	}
	return PARSE_DONE;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct coap m;

	(void)state;
	if (px_l4(px) == PROTO_TCP)
		return parse_stream(px, dir, in);
	if (!read(*in, &m))
		px_bad(px, "coap.malformed");
	else if (m.code)
		tell(px, dir, &m);
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 5683, 0 };

const struct proto proto_coap = {
	.name = "coap",
	.app = APP_COAP,
	.event = EV_APP,
	.l4 = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
