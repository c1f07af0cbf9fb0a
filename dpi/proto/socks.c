/* SPDX-License-Identifier: GPL-2.0-or-later */
/* socks: versions 4, 4a and 5 (RFC 1928, 1929). One `socks` event per connection; when the proxy said yes, what is carried is recognised anew.
 *
 *   4:  4 command(1) port(2) address(4) user NUL { host NUL when the address is 0.0.0.x }        0 code(1) port(2) address(4)
 *   5:  5 n methods(n)     5 method     { 1 n user n password     1 status }     5 command 0 kind(1) address port(2)     5 code 0 kind address port */
#include "dpi/message.h"
#include "dpi/proto/told.h"

enum step { HELLO, AUTH, REQUEST, WAIT };

static const struct fact f_version = { "version", FACT_PLAIN }, f_command = { "command", FACT_OPERATION }, f_host = { "host", FACT_OBJECT },
	f_port = { "port", FACT_PLAIN }, f_user = { "user", FACT_USER }, f_result = { "result", FACT_PLAIN };
static const struct fact *const facts[] = { &f_version, &f_command, &f_host, &f_port, &f_user, &f_result, NULL };
static const struct code commands[] = { { 1, "connect" }, { 2, "bind" }, { 3, "udp_associate" }, { 0, NULL } };
static const struct code results5[] = { { 0, "success" }, { 1, "failure" }, { 2, "not_allowed" }, { 3, "network_unreachable" }, { 4, "host_unreachable" },
	{ 5, "connection_refused" }, { 6, "ttl_expired" }, { 7, "command_not_supported" }, { 8, "address_not_supported" }, { 0, NULL } };
static const struct code results4[] = { { 90, "success" }, { 91, "rejected" }, { 92, "no_identd" }, { 93, "identd_mismatch" }, { 0, NULL } };

struct socks {
	uint8_t version, client, server;	/* steps */
	uint8_t method, user_len;
	char user[64];
	struct saved *told;
};

/* Version 4's request: DONE, MORE or BAD. */
static enum parse request4(struct cursor *c, uint8_t *command, uint16_t *port, struct cursor *addr, struct bytes *user, struct bytes *host)
{
	struct cursor a;
	size_t n;

	cur_skip(c, 1);
	*command = cur_u8(c);
	*port = cur_be16(c);
	*addr = a = cur_sub(c, 4);
	*host = (struct bytes){ NULL, 0 };
	if (!cur_ok(c))
		return PARSE_MORE;
	n = cur_find(c, 0);
	if (n == SIZE_MAX)
		return cur_left(c) > 255 ? PARSE_BAD : PARSE_MORE;
	*user = cur_bytes(c, n);
	cur_skip(c, 1);
	if (!cur_be24(&a) && cur_u8(&a)) {
		n = cur_find(c, 0);
		if (n == SIZE_MAX)
			return cur_left(c) > 255 ? PARSE_BAD : PARSE_MORE;
		*host = cur_bytes(c, n);
		cur_skip(c, 1);
		if (!is_printable(*host))
			return PARSE_BAD;
	}
	return user->n && !is_printable(*user) ? PARSE_BAD : PARSE_DONE;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor up = in->dir[DIR_TOSERVER], down = in->dir[DIR_TOCLIENT], addr;
	struct bytes user, host;
	uint8_t command, n;
	uint16_t port;
	enum parse p;

	if (!cur_left(&up))
		return cur_left(&down) ? PROBE_NO : PROBE_MORE;
	if (cur_peek(&up, 0) == 4) {
		p = request4(&up, &command, &port, &addr, &user, &host);
		if (p == PARSE_BAD || (cur_used(&up) > 1 && (command < 1 || command > 2)) || (p == PARSE_DONE && (cur_left(&up) || !port)))
			return PROBE_NO;
		if (p == PARSE_MORE || cur_left(&down) < 2)
			return cur_left(&down) && cur_peek(&down, 0) ? PROBE_NO : PROBE_MORE;
		return !cur_peek(&down, 0) && code_name(results4, cur_peek(&down, 1)) ? PROBE_YES : PROBE_NO;
	}
	if (cur_peek(&up, 0) != 5)
		return PROBE_NO;
	n = cur_peek(&up, 1);
	if (cur_left(&up) > 1 && (!n || n > 16))
		return PROBE_NO;
	for (unsigned i = 0; i < n && 2 + i < cur_left(&up); i++)
		if (cur_peek(&up, 2 + i) > 9 && cur_peek(&up, 2 + i) < 0x80)
			return PROBE_NO;
	if (cur_left(&down) && cur_peek(&down, 0) != 5)
		return PROBE_NO;
	if (cur_left(&up) < 2u + n || cur_left(&down) < 2)
		return PROBE_MORE;
	/* the method is one of those that were offered, or none */
	for (unsigned i = 0; i < n; i++)
		if (cur_peek(&up, 2 + i) == cur_peek(&down, 1))
			return PROBE_YES;
	return cur_peek(&down, 1) == 0xff && cur_left(&down) == 2 ? PROBE_YES : PROBE_NO;
}

static void keep(struct px *px, struct socks *s, struct record *r)
{
	px_judge(px, r);
	px_saved_free(px, s->told);
	s->told = px_save(px, r);
	s->client = WAIT;
}

/* kind(1) address port(2) of version 5; false: not all there. */
static bool addr5(struct cursor *c, struct record *r)
{
	uint8_t kind = cur_u8(c), n = kind == 1 ? 4 : kind == 4 ? 16 : kind == 3 ? cur_u8(c) : 0;
	struct cursor a = cur_sub(c, n);
	uint16_t port = cur_be16(c);

	if (!cur_ok(c))
		return false;
	if (!r)
		return true;
	if (kind == 1)
		told_ip4(r, &f_host, &a);
	else if (kind == 4)
		told_ip6(r, &f_host, &a);
	else
		rec_bytes(r, &f_host, cur_rest(&a));
	rec_u64(r, &f_port, port);
	return true;
}

static enum parse client4(struct px *px, struct socks *s, struct cursor *in)
{
	struct cursor c = *in, addr;
	struct bytes user, host;
	uint8_t command;
	uint16_t port;
	enum parse p = request4(&c, &command, &port, &addr, &user, &host);
	struct record *r;

	if (p == PARSE_MORE)
		return msg_more(px, cur_left(in) + 1);
	if (p == PARSE_BAD)
		return msg_bad(px, "socks.malformed");
	*in = c;
	r = px_record(px);
	rec_u64(r, &f_version, 4);
	told_code(r, &f_command, commands, command);
	if (host.n)
		rec_bytes(r, &f_host, host);
	else
		told_ip4(r, &f_host, &addr);
	rec_u64(r, &f_port, port);
	if (user.n)
		rec_bytes(r, &f_user, user);
	keep(px, s, r);
	return PARSE_DONE;
}

static enum parse client5(struct px *px, struct socks *s, struct cursor *in)
{
	struct cursor c = *in;
	struct record *r;
	struct bytes b;

	if (s->client == HELLO) {
		cur_skip(&c, 1);
		if (!cur_skip(&c, cur_u8(&c)))
			return msg_more(px, cur_left(in) + 1);
		s->client = REQUEST;
	} else if (s->client == REQUEST && cur_peek(&c, 0) == 1 && s->method != 0) {	/* name and password */
		cur_skip(&c, 1);
		b = cur_bytes(&c, cur_u8(&c));
		if (!cur_skip(&c, cur_u8(&c)))
			return msg_more(px, cur_left(in) + 1);
		s->user_len = (uint8_t)(b.n < sizeof(s->user) ? b.n : sizeof(s->user));
		if (b.n)
			memcpy(s->user, b.p, s->user_len);
	} else if (s->client == REQUEST && cur_peek(&c, 0) == 5) {
		r = px_record(px);
		rec_u64(r, &f_version, 5);
		cur_skip(&c, 1);
		told_code(r, &f_command, commands, cur_u8(&c));
		cur_skip(&c, 1);
		if (!addr5(&c, r))
			return msg_more(px, cur_left(in) + 1);
		if (s->user_len)
			rec_str(r, &f_user, s->user, s->user_len);
		keep(px, s, r);
	} else {
		return msg_bad(px, "socks.malformed");
	}
	*in = c;
	return PARSE_DONE;
}

static void answered(struct px *px, struct socks *s, const struct code *results, uint8_t code)
{
	struct record *r = px_record(px);

	if (s->told)
		rec_append(r, s->told->body, s->told->len);
	told_code(r, &f_result, results, code);
	px_emit(px, EV_APP, UINT32_MAX, r);
	px_saved_free(px, s->told);
	s->told = NULL;
	if (code == (s->version == 4 ? 90 : 0))
		px_switch(px, NULL);
	else
		px_stop(px);
}

static enum parse server(struct px *px, struct socks *s, struct cursor *in)
{
	struct cursor c = *in;
	uint8_t code;

	cur_skip(&c, 1);
	code = cur_u8(&c);
	if (!cur_ok(&c))
		return msg_more(px, 2);
	if (s->version == 4) {
		if (!cur_skip(&c, 6))
			return msg_more(px, 8);
		*in = c;
		answered(px, s, results4, code);
	} else if (s->server == HELLO) {
		*in = c;
		s->method = code;
		s->server = code == 2 ? AUTH : REQUEST;
	} else if (s->server == AUTH) {
		*in = c;
		s->server = REQUEST;
	} else {
		cur_skip(&c, 1);
		if (!addr5(&c, NULL))
			return msg_more(px, cur_left(in) + 1);
		*in = c;
		answered(px, s, results5, code);
	}
	return PARSE_DONE;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct socks *s = state;
	enum parse p = PARSE_DONE;

	while (cur_more(in) && p == PARSE_DONE) {
		if (dir == DIR_TOSERVER && s->client == WAIT) {
			/* more than is allowed before the answer: kept for whoever speaks then */
			return msg_more(px, cur_left(in) + 1);
		}
		if (!s->version && dir == DIR_TOSERVER)
			s->version = cur_peek(in, 0);
		if (dir == DIR_TOSERVER)
			p = s->version == 4 ? client4(px, s, in) : client5(px, s, in);
		else {
			bool last = s->version == 4 || s->server == REQUEST;

			p = server(px, s, in);
			if (last)
				return p;
		}
	}
	return p;
}

static void end(struct px *px, void *state)
{
	struct socks *s = state;
	struct record *r;

	if (!s->told)
		return;
	r = px_record(px);
	rec_append(r, s->told->body, s->told->len);
	px_emit(px, EV_APP, UINT32_MAX, r);
	px_saved_free(px, s->told);
}

static const uint16_t ports[] = { 1080, 0 };

const struct proto proto_socks = {
	.name = "socks",
	.app = APP_SOCKS,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct socks),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
