/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x11: the setup of a connection (X11 protocol, 8). One `x11` event per connection.
 *
 *   client: 'B' or 'l' (1) major(2) minor(2) n(2) d(2) (2), name(n) and data(d) of the authorisation, each padded to 4
 *   server: 0 failed, 1 success, 2 authenticate; success: (1) major minor(2 each) length/4(2) ... vendor at 32 behind its length at 24
 *
 * In the middle of a connection a chain of requests is believed, of which one has the length that its opcode must have, or messages
 * of the server whose sequence numbers go on; then there is nothing to tell.
 *
 *   request: opcode(1) data(1) length/4(2)      message: type(1) data(1) sequence(2) ..., 32 bytes; a reply has length/4 (4) more */
#include "dpi/message.h"
#include "dpi/proto/told.h"

static const struct fact f_auth = { "authorization", FACT_PLAIN }, f_result = { "result", FACT_PLAIN }, f_vendor = { "vendor", FACT_PLAIN };
static const struct fact *const facts[] = { &f_auth, &f_result, &f_vendor, NULL };
static const struct code results[] = { { 0, "failed" }, { 1, "success" }, { 2, "authenticate" }, { 0, NULL } };

struct x11 {
	bool le, answered, begun;
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

/* Lengths of the core's requests in units of four bytes, by opcode: exact, or at least that with AT_LEAST; 0: there is none such. */
#define AT_LEAST 0x80
static const uint8_t lengths[120] = {
	[1] = AT_LEAST | 8, [2] = AT_LEAST | 3, [3] = 2, [4] = 2, [5] = 2, [6] = 2, [7] = 4, [8] = 2, [9] = 2, [10] = 2, [11] = 2, [12] = AT_LEAST | 3, [13] = 2, [14] = 2,
	[15] = 2, [16] = AT_LEAST | 2, [17] = 2, [18] = AT_LEAST | 6, [19] = 3, [20] = 6, [21] = 2, [22] = 4, [23] = 2, [24] = 6, [25] = 11, [26] = 6, [27] = 2, [28] = 6,
	[29] = 3, [30] = 4, [31] = 4, [32] = 2, [33] = 4, [34] = 3, [35] = 2, [36] = 1, [37] = 1, [38] = 2, [39] = 4, [40] = 4, [41] = 6, [42] = 3, [43] = 1, [44] = 1,
	[45] = AT_LEAST | 3, [46] = 2, [47] = 2, [48] = AT_LEAST | 2, [49] = AT_LEAST | 2, [53] = 4, [54] = 2, [55] = AT_LEAST | 4, [56] = AT_LEAST | 3, [57] = 4,
	[58] = AT_LEAST | 3, [59] = AT_LEAST | 3, [60] = 2, [61] = 4, [62] = 7, [63] = 8, [64] = AT_LEAST | 3, [65] = AT_LEAST | 3, [66] = AT_LEAST | 3, [67] = AT_LEAST | 3,
	[68] = AT_LEAST | 3, [69] = AT_LEAST | 4, [70] = AT_LEAST | 3, [71] = AT_LEAST | 3, [72] = AT_LEAST | 6, [73] = 5, [74] = AT_LEAST | 4, [75] = AT_LEAST | 4,
	[76] = AT_LEAST | 4, [77] = AT_LEAST | 4, [78] = 4, [79] = 2, [80] = 3, [81] = 2, [82] = 2, [83] = 2, [84] = 4, [85] = AT_LEAST | 3, [86] = 3, [88] = AT_LEAST | 3,
	[89] = AT_LEAST | 2, [91] = AT_LEAST | 2, [92] = AT_LEAST | 3, [93] = 8, [94] = 8, [95] = 2, [96] = 5, [97] = 3, [98] = AT_LEAST | 2, [99] = 1, [101] = 2, [103] = 1,
	[104] = 1, [106] = 1, [108] = 1, [110] = 1, [112] = 2, [113] = 2, [115] = 1, [117] = 1, [119] = 1,
};

#define REQUEST_MOST 4096u	/* units; of those that are believed */
#define EXTENSION_MINOR_MOST 64u

/* A chain of requests from its first byte on. */
static enum probe requests(struct cursor c, bool le)
{
	unsigned n = 0, exact = 0;

	while (cur_left(&c) >= 4) {
		uint8_t opcode = cur_u8(&c), data = cur_u8(&c), want = opcode < sizeof(lengths) ? lengths[opcode] : 0;
		uint16_t units = word(&c, le);
		struct cursor id = c;

		if (opcode >= 128 ? data > EXTENSION_MINOR_MOST || !units || units > REQUEST_MOST :
				    !want || (want & AT_LEAST ? units < (want & ~AT_LEAST) || units > REQUEST_MOST : units != want))
			return PROBE_NO;
		if (units > 1 && opcode < 128 && !(opcode >= 98 && opcode != 112) && opcode != 16 && opcode != 45 && opcode != 49 && cur_left(&id) >= 4 &&
		    (le ? cur_le32(&id) : cur_be32(&id)) >> 29)
			return PROBE_NO;	/* numbers of windows, fonts, ... have three bits that are 0 */
		if (!cur_skip(&c, units * 4u - 4)) {
			cur_rest(&c);
			return n >= 3 && exact ? PROBE_YES : n && exact ? PROBE_MORE : PROBE_NO;
		}
		n++;
		exact += opcode < 128 && !(want & AT_LEAST);
		if (n == 8 && exact > 1)
			return PROBE_YES;
	}
	if (cur_left(&c) || !exact)
		return n >= 3 && exact ? PROBE_YES : exact ? PROBE_MORE : PROBE_NO;
	return n >= 2 ? PROBE_YES : PROBE_MORE;
}

/* Replies, events and errors from the first byte on. */
static enum probe messages(struct cursor c, bool le)
{
	uint16_t last = 0;
	unsigned n = 0;

	while (cur_left(&c) >= 32) {
		uint8_t type = cur_u8(&c) & 0x7f, data = cur_u8(&c);
		uint16_t seq = word(&c, le), ahead = (uint16_t)(seq - last);
		uint32_t more = le ? cur_le32(&c) : cur_be32(&c);
		struct cursor rest = cur_sub(&c, 24);

		if (type > 35 || (n && ahead > 256) || (!type && (!data || (data > 17 && data < 128))))
			return PROBE_NO;
		if (type >= 2 && type <= 8 && (cur_peek(&rest, 22) > 3 || (type <= 5 && (!data || cur_peek(&rest, 22) > 1))))
			return PROBE_NO;	/* the screen is the same or not */
		if ((type == 1 || type == 35) && (more > 1u << 18 || !cur_skip(&c, more * 4u)))
			return more > 1u << 18 || !n ? PROBE_NO : PROBE_MORE;
		last = seq;
		n++;
	}
	return cur_left(&c) || !n ? PROBE_NO : n >= 2 && last ? PROBE_YES : PROBE_MORE;
}

/* Either order of bytes. */
static enum probe either(enum probe (*walk)(struct cursor, bool), struct cursor c)
{
	enum probe a = walk(c, true), b = a == PROBE_YES ? a : walk(c, false);

	return b == PROBE_NO ? a : b;
}

static enum probe middle(const struct probe_in *in)
{
	enum probe result = PROBE_NO;

	for (unsigned d = 0; d < 2; d++) {
		enum probe p = cur_left(&in->dir[d]) ? either(d == DIR_TOSERVER ? requests : messages, in->dir[d]) : PROBE_MORE;

		if (p == PROBE_NO && cur_left(&in->dir[d]))
			return p;
		if (p == PROBE_YES || (cur_left(&in->dir[d]) && result != PROBE_YES))
			result = p;
	}
	return result;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[DIR_TOSERVER];
	struct bytes name;
	bool le;

	if (in->midstream && !(cur_left(&c) && setup_open(&c, &le, &name) != PROBE_NO))
		return middle(in);
	c = in->dir[DIR_TOSERVER];
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

	if (!s->begun && (dir == DIR_TOCLIENT || setup_open(&c, &le, &name) == PROBE_NO)) {	/* its beginning was not seen */
		s->answered = true;
		cur_rest(in);
		px_stop(px);
		return PARSE_DONE;
	}
	s->begun = true;
	c = *in;
	le = s->le;
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
