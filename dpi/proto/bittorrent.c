/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bittorrent: the handshake of peers (BEP 3), over TCP and uTP (29), the hash table (5) and trackers over UDP (15). One `bittorrent` event per
 * connection, and per distinct kind of query of the hash table.
 *
 *   peers:    19 "BitTorrent protocol" reserved(8) info hash(20) peer id(20)
 *   table:    d1:ad2:id20:... 1:q9:get_peers ... 1:y1:qe      d1:rd2:id20:... 1:y1:re
 *   tracker:  0x41727101980(8) 0(4) transaction(4)            0(4) transaction(4) connection(8)
 *   uTP:      type and 1(1) extension(1) connection(2) times(4 each) window(4) sequence(2) acknowledged(2); first a SYN with sequence 1, whose
 *             answer names its connection */
#include "dpi/message.h"
#include "dpi/proto/told.h"

static const struct fact f_kind = { "kind", FACT_OPERATION }, f_hash = { "info_hash", FACT_OBJECT }, f_client = { "client", FACT_PLAIN };
static const struct fact *const facts[] = { &f_kind, &f_hash, &f_client, NULL };
static const char hello[] = "\023BitTorrent protocol";
static const char *const queries[] = { "ping", "find_node", "get_peers", "announce_peer" };

struct bittorrent {
	uint8_t told;		/* bit per query, then the tracker, then uTP */
};

static bool has(struct cursor c, const char *s) { return cur_left(&c) && memmem(c.pos, cur_left(&c), s, strlen(s)); }

static bool is_table(struct cursor c)
{
	size_t n = cur_left(&c);

	if (n < 20 || cur_peek(&c, 0) != 'd' || cur_peek(&c, n - 1) != 'e')
		return false;
	return ((cur_starts(&c, "d1:ad2:id20:", 12) || cur_starts(&c, "d1:rd2:id20:", 12) || has(c, "1:rd2:id20:") || has(c, "1:ad2:id20:") || cur_starts(&c, "d1:eli20", 8)) &&
		(has(c, "1:y1:q") || has(c, "1:y1:r") || has(c, "1:y1:e")));
}

static bool is_tracker(struct cursor c) { return cur_left(&c) == 16 && cur_starts(&c, "\0\0\4\27\47\20\31\200\0\0\0", 12); }

static bool utp_head(const struct cursor *c, uint8_t *type)
{
	uint8_t first = cur_peek(c, 0);

	*type = first >> 4;
	return cur_left(c) >= 20 && (first & 15) == 1 && *type <= 4 && cur_peek(c, 1) <= 2;
}

static uint16_t word_at(const struct cursor *c, size_t at) { return (uint16_t)(cur_peek(c, at) << 8 | cur_peek(c, at + 1)); }

/* Within a minute by the sender's clock, sequence and acknowledgement within 256. */
static bool near(const struct cursor *a, const struct cursor *b)
{
	uint32_t ta = (uint32_t)word_at(a, 4) << 16 | word_at(a, 6), tb = (uint32_t)word_at(b, 4) << 16 | word_at(b, 6);

	return tb - ta < 60000000u && (uint16_t)(word_at(b, 16) - word_at(a, 16)) < 256 && (uint16_t)(word_at(b, 18) - word_at(a, 18)) < 256;
}

static enum probe probe_utp(const struct probe_in *in)
{
	const struct cursor *now = &in->dir[in->now], *other = &in->first[!in->now], *before = &in->first[in->now];
	uint8_t type, first;

	if (!utp_head(now, &type))
		return PROBE_NO;
	/* in the middle: two of one direction on the same connection, not long after each other, whose numbers follow */
	if (cur_left(before) && utp_head(before, &first) && first != 4 && word_at(now, 2) == word_at(before, 2) && word_at(now, 2))
		return near(before, now) ? PROBE_YES : PROBE_NO;
	if (!cur_left(other))
		return (type == 2 && cur_left(now) == 20 && !cur_peek(now, 1)) || (type == 0 && cur_left(now) > 20 && !cur_peek(now, 1)) ? PROBE_MORE : type == 4 && word_at(now, 16) == 1 && !word_at(now, 18) && !cur_peek(now, 8) ? PROBE_MORE : PROBE_NO;
	/* the answer carries the connection of the SYN and acknowledges its number */
	return utp_head(other, &first) && first == 4 && type == 2 && word_at(now, 2) == word_at(other, 2) && word_at(now, 18) == 1 ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *c = &in->dir[in->now];

	if (in->l4 == PROTO_UDP)
		return is_table(*c) || is_tracker(*c) || cur_starts(c, hello, 20) ? PROBE_YES : probe_utp(in);
	for (unsigned d = 0; d < 2; d++) {
		c = &in->dir[d];
		if (!cur_left(c))
			continue;
		if (!cur_starts(c, hello, cur_left(c) < 20 ? cur_left(c) : 20))
			return PROBE_NO;
		if (cur_left(c) >= 20)
			return PROBE_YES;
	}
	return PROBE_MORE;
}

static void tell(struct px *px, enum dir dir, const char *kind, struct bytes hash, struct bytes client)
{
	struct record *r = px_record(px);

	rec_cstr(r, &f_kind, kind);
	if (hash.n)
		told_hex(r, &f_hash, hash);
	if (is_printable(client))
		rec_bytes(r, &f_client, client);
	say(px, dir, EV_APP, UINT32_MAX, r);
}

static void datagram(struct px *px, struct bittorrent *s, enum dir dir, struct cursor c)
{
	struct bytes none = { NULL, 0 }, hash = none;
	const uint8_t *at;
	uint8_t type;

	if (is_table(c)) {
		at = memmem(c.pos, cur_left(&c), "9:info_hash20:", 14);
		if (at && (size_t)(c.end - at) >= 34)
			hash = (struct bytes){ at + 14, 20 };
		for (unsigned i = 0; i < 4; i++)
			if (!(s->told >> i & 1) && has(c, "1:y1:q") && has(c, queries[i])) {
				s->told |= (uint8_t)(1u << i);
				tell(px, dir, queries[i], hash, none);
				return;
			}
	} else if (is_tracker(c) && !(s->told & 16)) {
		s->told |= 16;
		tell(px, dir, "tracker_connect", none, none);
	} else if (!(s->told & 32) && utp_head(&c, &type)) {
		s->told |= 32;
		tell(px, dir, "utp", none, none);
	}
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct bytes hash, client;

	if (px_l4(px) == PROTO_UDP) {
		datagram(px, state, dir, *in);
		cur_rest(in);
		return PARSE_DONE;
	}
	if (!cur_starts(in, hello, 20) && cur_left(in) >= 20) {	/* the other side was silent, or sealed */
		cur_rest(in);
		return PARSE_DONE;
	}
	if (cur_left(in) < 68)
		return msg_more(px, 68);
	cur_skip(in, 28);
	hash = cur_bytes(in, 20);
	client = cur_bytes(in, 8);
	tell(px, dir, "handshake", hash, client);
	cur_rest(in);
	px_stop(px);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 6881, 6889, 51413, 0 };

const struct proto proto_bittorrent = {
	.name = "bittorrent",
	.app = APP_BITTORRENT,
	.event = EV_APP,
	.l4 = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct bittorrent),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
