/* SPDX-License-Identifier: GPL-2.0-or-later */
/* afp: Apple's file protocol in DSI. One `afp` event per session or status request, login, volume and error of these.
 *
 *   DSI: 0 request, 1 reply(1) command(1) id(2) offset or error(4) length(4) 0(4), then data
 *   command 1 close, 2 command, 3 status, 4 open, 5 tickle, 6 write, 8 attention; AFP: command(1) ...
 *
 * A first request is a status or an open one with id, offset and length as they must be, and the answer repeats them. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEADER 16u
#define LOOK 512u

static const struct fact f_command = { "command", FACT_COMMAND }, f_version = { "version", FACT_PLAIN }, f_uam = { "uam", FACT_PLAIN },
	f_user = { "user", FACT_USER }, f_volume = { "volume", FACT_OBJECT }, f_error = { "error", FACT_PLAIN };
static const struct fact *const facts[] = { &f_command, &f_version, &f_uam, &f_user, &f_volume, &f_error, NULL };

struct afp {
	struct asks asks;
};

struct head {
	uint8_t flags, command;
	uint16_t id;
	uint32_t offset, len;
};

static bool head_read(struct cursor *c, struct head *h)
{
	uint32_t zero;

	h->flags = cur_u8(c);
	h->command = cur_u8(c);
	h->id = cur_be16(c);
	h->offset = cur_be32(c);
	h->len = cur_be32(c);
	zero = cur_be32(c);
	return cur_ok(c) && h->flags <= 1 && h->command >= 1 && h->command <= 8 && h->command != 7 && !zero;
}

/* The client's first message: a status or an open. */
static enum probe first(struct cursor c, struct head *h)
{
	if (cur_left(&c) < HEADER) {
		uint8_t command = cur_peek(&c, 1);

		return cur_peek(&c, 0) || (cur_left(&c) > 1 && command != 3 && command != 4) ? PROBE_NO : PROBE_MORE;
	}
	if (!head_read(&c, h) || h->flags || h->offset || (h->command != 3 && h->command != 4) || h->len > 64)
		return PROBE_NO;
	/* an open has options of the form type(1) length(1) value; a status has no data or an AFP command 15 */
	if (h->command == 4 && h->len && h->len != 6 && h->len != 12)
		return PROBE_NO;
	return cur_left(&c) < h->len ? PROBE_MORE : cur_left(&c) == h->len ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	struct cursor c = *down;
	struct head h, a;
	enum probe p;

	if (!cur_left(up))
		return cur_left(down) ? PROBE_NO : PROBE_MORE;
	if (!cur_left(down) || cur_left(down) < HEADER) {
		p = first(*up, &h);
		return p == PROBE_YES ? PROBE_MORE : p;
	}
	p = first(*up, &h);
	if (p == PROBE_NO || cur_left(up) < HEADER)
		return PROBE_NO;
	return head_read(&c, &a) && a.flags == 1 && a.command == h.command && a.id == h.id && a.len <= 4096 ? PROBE_YES : PROBE_NO;
}

/* length(1) and bytes */
static struct bytes pascal(struct cursor *c) { return cur_bytes(c, cur_u8(c)); }

/* An AFP command that is told; false: one of the many that are not. */
static bool tell_command(struct record *r, struct cursor c)
{
	uint8_t command = cur_u8(&c);
	struct bytes uam;

	if (command == 18) {		/* FPLogin: version, method, of some methods the user */
		rec_cstr(r, &f_command, "login");
		rec_bytes(r, &f_version, pascal(&c));
		uam = pascal(&c);
		rec_bytes(r, &f_uam, uam);
		if (uam.n && !bytes_are(uam, "No User Authent") && !bytes_are(uam, "Client Krb v2"))
			rec_bytes(r, &f_user, pascal(&c));
	} else if (command == 63) {	/* FPLoginExt: (1) flags(2) version, method, kind(1) length(2) user */
		rec_cstr(r, &f_command, "login");
		cur_skip(&c, 3);
		rec_bytes(r, &f_version, pascal(&c));
		rec_bytes(r, &f_uam, pascal(&c));
		cur_skip(&c, 1);
		rec_bytes(r, &f_user, cur_bytes(&c, cur_be16(&c)));
	} else if (command == 24) {	/* FPOpenVol: (1) bitmap(2) name */
		rec_cstr(r, &f_command, "open_volume");
		cur_skip(&c, 3);
		rec_bytes(r, &f_volume, pascal(&c));
	} else if (command == 20) {
		rec_cstr(r, &f_command, "logout");
	} else {
		return false;
	}
	return true;
}

static void message(struct px *px, struct afp *s, const struct head *h, struct cursor data)
{
	struct record *r;
	int i;

	if (!h->flags) {
		r = px_record(px);
		if (h->command == 3 || h->command == 4)
			rec_cstr(r, &f_command, h->command == 3 ? "get_status" : "open_session");
		else if (h->command != 2 || !tell_command(r, data))
			return;
		px_judge(px, r);
		asks_add(px, &s->asks, h->id, r);
		return;
	}
	i = asks_find(&s->asks, h->id);
	if (i < 0)
		return;
	r = asks_record(px, &s->asks, i);
	if (h->offset)
		rec_i64(r, &f_error, (int32_t)h->offset);
	asks_tell(px, &s->asks, i, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct afp *s = state;

	s->asks.event = EV_APP;
	while (cur_more(in)) {
		struct cursor ahead = *in, view = cur_of(NULL, 0);
		struct head h;
		enum parse p;

		if (cur_left(in) < HEADER)
			return msg_more(px, HEADER);
		if (!head_read(&ahead, &h))
			return msg_bad(px, "afp.header");
		p = msg_take(px, dir, in, (uint64_t)HEADER + h.len, LOOK, &view);
		if (p != PARSE_DONE)
			return p;
		cur_skip(&view, HEADER);
		message(px, s, &h, view);
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct afp *s = state;

	asks_end(px, &s->asks);
}

static const uint16_t ports[] = { 548, 0 };

const struct proto proto_afp = {
	.name = "afp",
	.app = APP_AFP,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct afp),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
