/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ajp: AJP 1.3. One `ajp` event per request, when the headers of its answer are there; else at the end of the flow.
 *
 *   to the container: 12 34 length(2), 02 method(1) protocol uri address host server(strings) port(2) ...   or a body: 12 34 length(2) length(2) bytes
 *   from it:          "AB" length(2), 04 status(2) ...
 *   a string: length(2) bytes 00 */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEAD 4u
#define PACKET_MAX 65000u	/* 8 KiB unless both sides are told otherwise */

enum { FORWARD = 2, HEADERS = 4, CPING = 10 };

static const struct fact f_method = { "method", FACT_HTTP_METHOD }, f_uri = { "uri", FACT_HTTP_PATH }, f_host = { "host", FACT_HTTP_HOST },
	f_status = { "status", FACT_PLAIN };
static const struct fact *const facts[] = { &f_method, &f_uri, &f_host, &f_status, NULL };

static const char *const methods[] = {
	"", "OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "ACL", "REPORT",
	"VERSION-CONTROL", "CHECKIN", "CHECKOUT", "UNCHECKOUT", "SEARCH", "MKWORKSPACE", "UPDATE", "LABEL", "MERGE", "BASELINE-CONTROL", "MKACTIVITY",
};
#define METHODS (sizeof(methods) / sizeof(methods[0]))

struct ajp {
	struct asks asks;
};

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[DIR_TOSERVER];
	uint16_t n;
	uint8_t type, method;

	if (cur_peek(&c, 0) != 0x12 || (cur_left(&c) > 1 && cur_peek(&c, 1) != 0x34))
		return PROBE_NO;
	if (cur_left(&c) < HEAD + 1)
		return PROBE_MORE;
	cur_skip(&c, 2);
	n = cur_be16(&c);
	type = cur_u8(&c);
	if (type == CPING)
		return n == 1 ? PROBE_YES : PROBE_NO;
	if (type != FORWARD || n < 20)
		return PROBE_NO;
	if (cur_left(&c) < 8)
		return PROBE_MORE;
	method = cur_u8(&c);
	return method && (method < METHODS || method == 0xff) && cur_be16(&c) == 8 && cur_starts(&c, "HTTP/", 5) ? PROBE_YES : PROBE_NO;
}

static struct bytes string(struct cursor *c)
{
	uint16_t n = cur_be16(c);
	struct bytes b = { NULL, 0 };

	if (n == 0xffff)
		return b;
	b = cur_bytes(c, n);
	cur_skip(c, 1);
	return b;
}

static void request(struct px *px, struct ajp *s, struct cursor c)
{
	struct bytes uri, host;
	struct record *r;
	uint8_t method;

	if (cur_left(&c) >= 2 && ((unsigned)cur_peek(&c, 0) << 8 | cur_peek(&c, 1)) == cur_left(&c) - 2)	/* a piece of a body */
		return;
	if (cur_u8(&c) != FORWARD)
		return;
	method = cur_u8(&c);
	string(&c);
	uri = string(&c);
	string(&c);
	string(&c);
	host = string(&c);
	if (!cur_ok(&c) || !method)
		return;
	r = px_record(px);
	if (method < METHODS)
		rec_cstr(r, &f_method, methods[method]);
	rec_bytes(r, &f_uri, uri);
	rec_bytes(r, &f_host, host);
	px_judge(px, r);
	asks_add(px, &s->asks, 0, r);
}

static void answer(struct px *px, struct ajp *s, struct cursor c)
{
	struct record *r;

	if (cur_u8(&c) != HEADERS || !s->asks.n)
		return;
	r = asks_record(px, &s->asks, 0);
	rec_u64(r, &f_status, cur_be16(&c));
	asks_tell(px, &s->asks, 0, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct ajp *s = state;

	s->asks.event = EV_APP;
	while (cur_more(in)) {
		struct cursor c = *in, view;
		uint16_t magic, n;

		if (cur_left(in) < HEAD)
			return msg_more(px, HEAD);
		magic = cur_be16(&c);
		n = cur_be16(&c);
		if (magic != (dir == DIR_TOSERVER ? 0x1234 : 0x4142))
			return msg_bad(px, "ajp.bad_packet");
		if (n > PACKET_MAX)
			return msg_bad(px, "ajp.packet_too_long");
		if (msg_take(px, dir, in, (uint64_t)n + HEAD, PACKET_MAX + HEAD, &view) == PARSE_MORE)
			return PARSE_MORE;
		cur_skip(&view, HEAD);
		if (dir == DIR_TOSERVER)
			request(px, s, view);
		else
			answer(px, s, view);
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct ajp *s = state;

	asks_end(px, &s->asks);
}

static const uint16_t ports[] = { 8009, 0 };

const struct proto proto_ajp = {
	.name = "ajp", .app = APP_AJP, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct ajp),
	.probe = probe, .parse = parse, .end = end, .facts = facts,
};
