/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x11: the setup of a connection (X11 protocol, 8). One `x11` event per connection.
 *
 *   client: 'B' or 'l' (1) major(2) minor(2) n(2) d(2) (2), name(n) and data(d) of the authorisation, each padded to 4
 *   server: 0 failed, 1 success, 2 authenticate; success: (1) major minor(2 each) length/4(2) ... vendor at 32 behind its length at 24 */
#include "dpi/message.h"
#include "dpi/proto/told.h"

static const struct fact f_auth = { "authorization", FACT_PLAIN }, f_result = { "result", FACT_PLAIN }, f_vendor = { "vendor", FACT_PLAIN };
static const struct fact *const facts[] = { &f_auth, &f_result, &f_vendor, NULL };
static const struct code results[] = { { 0, "failed" }, { 1, "success" }, { 2, "authenticate" }, { 0, NULL } };

struct x11 {
	bool le, answered;
	uint8_t name_len;
	char name[64];
};

static uint16_t word(struct cursor *c, bool le) { return le ? cur_le16(c) : cur_be16(c); }

/* The client's setup. */
static enum probe setup_open(struct cursor *c, bool *le, struct bytes *name)
{
	uint8_t order = cur_u8(c);
	uint16_t n, d;

	if (order != 'B' && order != 'l')
		return cur_ok(c) ? PROBE_NO : PROBE_MORE;
	*le = order == 'l';
	if (cur_left(c) < 11)
		return cur_left(c) && cur_peek(c, 0) ? PROBE_NO : PROBE_MORE;
	cur_skip(c, 1);
	if (word(c, *le) != 11 || word(c, *le) != 0)
		return PROBE_NO;
	n = word(c, *le);
	d = word(c, *le);
	cur_skip(c, 2);
	if (n > 64 || d > 256)
		return PROBE_NO;
	if (cur_left(c) < ((n + 3u) & ~3u) + ((d + 3u) & ~3u))
		return PROBE_MORE;
	*name = cur_bytes(c, n);
	cur_skip(c, (4u - n % 4u) % 4u + ((d + 3u) & ~3u));
	return n && !is_printable(*name) ? PROBE_NO : PROBE_YES;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[DIR_TOSERVER];
	struct bytes name;
	bool le;

	return cur_left(&c) || !cur_left(&in->dir[DIR_TOCLIENT]) ? setup_open(&c, &le, &name) : PROBE_NO;
}

static enum parse server(struct px *px, struct x11 *s, struct cursor *in)
{
	struct cursor c = *in;
	struct record *r;
	uint8_t result = cur_peek(in, 0);
	uint16_t n;

	if (cur_left(in) < 8)
		return msg_more(px, 8);
	r = px_record(px);
	if (s->name_len)
		rec_str(r, &f_auth, s->name, s->name_len);
	told_code(r, &f_result, results, result);
	if (result == 1) {
		cur_skip(&c, 24);
		n = word(&c, s->le);
		cur_skip(&c, 14);
		if (!cur_ok(&c) || cur_left(&c) < (n < 256 ? n : 256u))
			return msg_more(px, cur_ok(&c) ? 40u + (n < 256 ? n : 256u) : 40);
		rec_bytes(r, &f_vendor, cur_bytes(&c, n < 256 ? n : 256));
	}
	s->answered = true;
	px_emit(px, EV_APP, UINT32_MAX, r);
	cur_rest(in);
	px_stop(px);
	return PARSE_DONE;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct x11 *s = state;
	struct bytes name = { NULL, 0 };
	struct cursor c = *in;
	bool le = s->le;

	if (dir == DIR_TOCLIENT)
		return server(px, s, in);
	if (!s->name_len && setup_open(&c, &le, &name) == PROBE_MORE)
		return msg_more(px, cur_left(in) + 1);
	if (name.n) {
		s->name_len = (uint8_t)name.n;
		memcpy(s->name, name.p, name.n);
	}
	s->le = le;
	cur_rest(in);
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct x11 *s = state;
	struct record *r = px_record(px);

	if (s->answered)
		return;
	if (s->name_len)
		rec_str(r, &f_auth, s->name, s->name_len);
	px_emit(px, EV_APP, UINT32_MAX, r);
}

static const uint16_t ports[] = { 6000, 6001, 6010, 0 };

const struct proto proto_x11 = {
	.name = "x11",
	.app = APP_X11,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct x11),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
