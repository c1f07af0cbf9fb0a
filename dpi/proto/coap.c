/* SPDX-License-Identifier: GPL-2.0-or-later */
/* coap: RFC 7252. One `coap` event per request and per response with a code.
 *
 *   version 1 and type and token length(1) code(1) message id(2) token, options: delta and length in half bytes, FF and a payload
 *
 * On another port than 5683 a request must name a path by options that are all known. */
#include "dpi/proto/told.h"

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

static bool read(struct cursor c, struct coap *m)
{
	uint8_t first = cur_u8(&c), tkl = first & 15;
	uint32_t number = 0;

	m->code = cur_u8(&c);
	m->npath = m->nquery = 0;
	m->all_known = true;
	m->host = (struct bytes){ NULL, 0 };
	cur_skip(&c, 2);
	cur_skip(&c, tkl);
	if (!cur_ok(&c) || first >> 6 != 1 || tkl > 8)
		return false;
	if (!m->code)
		return !tkl && !cur_left(&c);
	if ((m->code >> 5 == 0 && m->code > 7) || m->code >> 5 == 1 || m->code >> 5 == 3 || m->code >> 5 > 5 || (m->code & 31) > 30)
		return false;
	for (unsigned i = 0; cur_left(&c); i++) {
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

static enum probe probe(const struct probe_in *in)
{
	bool usual = in->dport == 5683 || in->sport == 5683;
	struct coap m;

	if (!read(in->dir[in->now], &m))
		return PROBE_NO;
	if (usual)
		return PROBE_YES;
	return m.all_known && m.code >= 1 && m.code <= 7 && m.npath > 2 && is_printable((struct bytes){ (const uint8_t *)m.path, m.npath }) ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct record *r;
	struct coap m;

	(void)state;
	if (!read(*in, &m)) {
		px_bad(px, "coap.malformed");
	} else if (m.code) {
		r = px_record(px);
		if (m.code <= 7)
			rec_cstr(r, &f_code, code_name(codes, m.code));
		else
			rec_printf(r, &f_code, "%u.%02u", m.code >> 5, m.code & 31);
		if (m.host.n)
			rec_bytes(r, &f_host, m.host);
		if (m.npath)
			rec_str(r, &f_path, m.path, m.npath);
		if (m.nquery)
			rec_str(r, &f_query, m.query + 1, m.nquery - 1);
		say(px, dir, EV_APP, UINT32_MAX, r);
	}
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 5683, 0 };

const struct proto proto_coap = {
	.name = "coap",
	.app = APP_COAP,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
