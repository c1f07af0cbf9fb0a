/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rtsp: RFC 2326 and 7826 over TCP. One event per message; bodies are passed by, as is what is interleaved:
 * '$' channel(1) length(2) data. The ports of a Transport field announce media between the two ends. */
#include "dpi/proto/sip_parts.h"

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_uri = { "uri", FACT_OBJECT }, f_code = { "code", FACT_PLAIN }, f_session = { "session", FACT_PLAIN },
	f_agent = { "user_agent", FACT_PLAIN }, f_server = { "server", FACT_PLAIN }, f_user = { "user", FACT_USER };
static const struct fact *const facts[] = { &f_operation, &f_uri, &f_code, &f_session, &f_agent, &f_server, &f_user, NULL };

struct rtsp {
	uint32_t scanned[2];
	uint32_t tx;
};

static void put(struct record *r, const struct fact *f, struct bytes b)
{
	if (b.n)
		rec_bytes(r, f, b);
}

/* "RTP/AVP;unicast;client_port=8000-8001;server_port=9000-9001": the value behind the key; n 0: none. */
static struct bytes parameter(struct bytes transport, const char *key)
{
	struct cursor c = cur_of(transport.p, transport.n);

	while (cur_more(&c)) {
		size_t n = cur_find(&c, ';');
		struct bytes part = cur_bytes(&c, n == SIZE_MAX ? cur_left(&c) : n);

		cur_skip(&c, n == SIZE_MAX ? 0 : 1);
		if (line_begins(part, key))
			return (struct bytes){ part.p + strlen(key), part.n - strlen(key) };
	}
	return (struct bytes){ NULL, 0 };
}

static void announce(struct px *px, struct bytes transport)
{
	if (!line_begins(transport, "RTP/") || line_begins(transport, "RTP/AVP/TCP"))
		return;
	media_announce(px, DIR_TOSERVER, parameter(transport, "CLIENT_PORT="));
	media_announce(px, DIR_TOCLIENT, parameter(transport, "SERVER_PORT="));
}

static bool message(struct px *px, struct rtsp *s, struct cursor head, uint64_t *length)
{
	struct sip_first first;
	struct record *r;

	if (sip_first_line(head, "RTSP/", &first) != PROBE_YES)
		return false;
	r = px_record(px);
	if (first.code) {
		rec_cstr(r, &f_operation, "response");
		rec_u64(r, &f_code, first.code);
	} else {
		rec_bytes(r, &f_operation, first.method);
		rec_bytes(r, &f_uri, first.uri);
	}
	put(r, &f_session, sip_field(head, "SESSION", NULL));
	put(r, &f_agent, sip_field(head, "USER-AGENT", NULL));
	put(r, &f_server, sip_field(head, "SERVER", NULL));
	put(r, &f_user, sip_username(sip_field(head, "AUTHORIZATION", NULL)));
	px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
	announce(px, sip_field(head, "TRANSPORT", NULL));
	*length = line_number(sip_field(head, "CONTENT-LENGTH", NULL));
	return true;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct rtsp *s = state;

	while (cur_more(in)) {
		uint64_t length;
		size_t n;

		if (!s->scanned[dir] && cur_peek(in, 0) == '$') {
			struct cursor c = *in;

			cur_skip(&c, 2);
			length = cur_be16(&c);
			if (!cur_ok(&c))
				return msg_more(px, 4);
			*in = c;
			msg_pass(px, dir, in, length);
			continue;
		}
		if (!s->scanned[dir] && (cur_peek(in, 0) == '\r' || cur_peek(in, 0) == '\n')) {
			cur_skip(in, 1);
			continue;
		}
		n = sip_head_length(in, &s->scanned[dir]);
		if (n > SIP_HEAD_MOST || (!n && cur_left(in) > SIP_HEAD_MOST))
			return msg_bad(px, "rtsp.head_too_long");
		if (!n)
			return PARSE_MORE;
		if (!message(px, s, cur_sub(in, n), &length))
			return msg_bad(px, "rtsp.bad_message");
		if (length != UINT64_MAX)
			msg_pass(px, dir, in, length);
	}
	return PARSE_DONE;
}

static enum probe probe(const struct probe_in *in)
{
	struct sip_first first;
	bool up = cur_left(&in->dir[DIR_TOSERVER]) != 0;

	if (!up && !cur_left(&in->dir[DIR_TOCLIENT]))
		return PROBE_MORE;
	if (!up && !in->midstream)
		return PROBE_NO;
	return sip_first_line(in->dir[up ? DIR_TOSERVER : DIR_TOCLIENT], "RTSP/", &first);
}

static const uint16_t ports[] = { 554, 8554, 0 };

const struct proto proto_rtsp = {
	.name = "rtsp",
	.app = APP_RTSP,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct rtsp),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
