/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vnc: RFB (RFC 6143). One `vnc` event per connection: versions, security, its result, the desktop's name.
 *
 *   both: "RFB 003.008" LF    server: n types, or 0 and a reason (3.3: type(4))    client: type    VNC: challenge(16), response(16)
 *   server: result(4) (3.3 and 3.7 without security: none)    client: shared(1)    server: width height format(16) name */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define LINE 12u

enum step { S_VERSION, S_TYPES, S_CHALLENGE, S_RESULT, S_INIT, S_DONE };

static const struct fact f_server = { "server_version", FACT_PLAIN }, f_client = { "client_version", FACT_PLAIN }, f_type = { "security", FACT_PLAIN },
	f_result = { "result", FACT_PLAIN }, f_name = { "desktop", FACT_OBJECT };
static const struct fact *const facts[] = { &f_server, &f_client, &f_type, &f_result, &f_name, NULL };
static const struct code types[] = { { 0, "invalid" }, { 1, "none" }, { 2, "vnc" }, { 5, "ra2" }, { 16, "tight" }, { 18, "tls" }, { 19, "vencrypt" }, { 30, "apple" }, { 0, NULL } };

struct vnc {
	uint8_t step, minor;

	uint8_t chosen;
	bool has_client, has_server, has_choice, has_result, failed, told;
	char server[8], client[8];
	uint8_t name_len;
	char name[64];
};

static enum probe probe_stream(struct cursor c)
{
	static const char form[] = "RFB ddd.ddd\n";

	for (unsigned i = 0; i < LINE; i++) {
		uint8_t b = cur_u8(&c);

		if (!cur_ok(&c))
			return PROBE_MORE;
		if (form[i] == 'd' ? b < '0' || b > '9' : b != (uint8_t)form[i])
			return PROBE_NO;
	}
	return PROBE_YES;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *down = &in->dir[DIR_TOCLIENT];

	return probe_stream(cur_left(down) ? *down : in->dir[DIR_TOSERVER]);
}

static void fill(const struct vnc *s, struct record *r)
{
	if (s->has_server)
		rec_cstr(r, &f_server, s->server);
	if (s->has_client)
		rec_cstr(r, &f_client, s->client);
	if (s->has_choice)
		told_code(r, &f_type, types, s->chosen);
	if (s->has_result)
		rec_cstr(r, &f_result, s->failed ? "failed" : "ok");
	if (s->name_len)
		rec_str(r, &f_name, s->name, s->name_len);
}

static void tell(struct px *px, struct vnc *s)
{
	struct record *r = px_record(px);

	if (s->told)
		return;
	s->told = true;
	fill(s, r);
	px_emit(px, EV_APP, UINT32_MAX, r);
}

static void version_is(char out[8], struct bytes line)
{
	memcpy(out, line.p + 4, 7);	/* "003.008" */
	out[7] = 0;
}

static void choice_is(struct px *px, struct vnc *s, uint8_t type)
{
	struct record *r = px_record(px);

	s->chosen = type;
	s->has_choice = true;
	fill(s, r);
	px_judge(px, r);
}

/* The client's next piece: line, choice of a type, response, shared flag. */
static enum parse client(struct px *px, struct vnc *s, struct cursor *in)
{
	if (!s->has_client) {
		if (cur_left(in) < LINE)
			return msg_more(px, LINE);
		version_is(s->client, cur_bytes(in, LINE));
		s->has_client = true;
		if (strcmp(s->client, s->server) < 0 || !s->has_server)
			s->minor = (uint8_t)(s->client[6] - '0');
	} else if (s->step == S_TYPES && s->minor != 3 && !s->has_choice) {
		choice_is(px, s, cur_u8(in));
	} else {
		cur_rest(in);
	}
	return PARSE_DONE;
}

static enum parse server(struct px *px, struct vnc *s, struct cursor *in)
{
	struct cursor c = *in;
	uint32_t v;

	switch ((enum step)s->step) {
	case S_VERSION:
		if (cur_left(in) < LINE)
			return msg_more(px, LINE);
		version_is(s->server, cur_bytes(in, LINE));
		s->has_server = true;
		s->minor = (uint8_t)(s->server[6] - '0');
		s->step = S_TYPES;
		return PARSE_DONE;
	case S_TYPES:
		if (!s->has_choice && (s->has_client ? s->minor == 3 : s->server[6] == '3')) {
			v = cur_be32(&c);
			if (!cur_ok(&c))
				return msg_more(px, 4);
			choice_is(px, s, (uint8_t)v);
		} else if (!s->has_choice) {
			uint8_t n = cur_u8(&c);

			if (!cur_skip(&c, n))
				return msg_more(px, 1u + n);
			*in = c;
			s->step = n ? S_TYPES : S_DONE;
			s->failed = s->has_result = !n;
			return PARSE_DONE;
		}
		if (s->chosen == 2) {
			if (s->minor != 3)
				c = *in;
			if (!cur_skip(&c, 16))
				return msg_more(px, s->minor != 3 ? 16 : 20);
			s->step = S_RESULT;
		} else if (s->chosen == 1) {
			s->step = s->minor >= 8 ? S_RESULT : S_INIT;
			if (s->minor != 3)
				return PARSE_DONE;
		} else {
			s->step = S_DONE;
			cur_rest(&c);
		}
		*in = c;
		return PARSE_DONE;
	case S_RESULT:
		v = cur_be32(&c);
		if (!cur_ok(&c))
			return msg_more(px, 4);
		*in = c;
		s->has_result = true;
		s->failed = v != 0;
		s->step = v ? S_DONE : S_INIT;
		return PARSE_DONE;
	case S_INIT:
		cur_skip(&c, 20);
		v = cur_be32(&c);
		if (!cur_ok(&c))
			return msg_more(px, 24);
		s->name_len = (uint8_t)(v < sizeof(s->name) ? v : sizeof(s->name));
		if (cur_left(&c) < s->name_len) {
			v = s->name_len;
			s->name_len = 0;
			return msg_more(px, 24u + v);
		}
		memcpy(s->name, cur_take(&c, s->name_len), s->name_len);
		s->step = S_DONE;
		break;
	case S_CHALLENGE:
	case S_DONE:
		break;
	}
	cur_rest(in);
	tell(px, s);
	px_stop(px);
	return PARSE_DONE;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct vnc *s = state;

	while (cur_more(in)) {
		enum parse p = dir == DIR_TOSERVER ? client(px, s, in) : server(px, s, in);

		if (p != PARSE_DONE)
			return p;
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state) { tell(px, state); }

static const uint16_t ports[] = { 5900, 5901, 5902, 0 };

const struct proto proto_vnc = {
	.name = "vnc",
	.app = APP_VNC,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct vnc),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
