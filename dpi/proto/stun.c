/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stun: RFC 8489 and its elder 3489, with TURN (8656). One `stun` event per message, up to TOLD_MAX a flow.
 *
 *   type(2) length(2) magic 2112A442 transaction(12), then attributes: type(2) length(2) value, padded to 4
 *
 * A message without the magic (3489) must be of a known type and hold only attributes of that time. What else comes on such a
 * flow (media, data of channels) is not looked at; where DTLS begins, it is recognised. Over TCP messages follow each other. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define MAGIC 0x2112a442u
#define HEADER 20u
#define TOLD_MAX 64u

static const struct fact f_type = { "type", FACT_OPERATION }, f_class = { "class", FACT_PLAIN }, f_user = { "username", FACT_USER },
	f_realm = { "realm", FACT_PLAIN }, f_software = { "software", FACT_PLAIN }, f_mapped = { "mapped_ip", FACT_PLAIN },
	f_port = { "mapped_port", FACT_PLAIN }, f_peer = { "peer_ip", FACT_OBJECT }, f_peer_port = { "peer_port", FACT_PLAIN },
	f_relay = { "relayed_ip", FACT_PLAIN }, f_relay_port = { "relayed_port", FACT_PLAIN }, f_error = { "error_code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_type, &f_class, &f_user, &f_realm, &f_software, &f_mapped, &f_port, &f_peer, &f_peer_port, &f_relay,
	&f_relay_port, &f_error, NULL };

static const struct code methods[] = {
	{ 1, "binding" }, { 2, "shared_secret" }, { 3, "allocate" }, { 4, "refresh" }, { 6, "send" }, { 7, "data" }, { 8, "create_permission" },
	{ 9, "channel_bind" }, { 10, "connect" }, { 11, "connection_bind" }, { 12, "connection_attempt" }, { 0, NULL },
};
static const struct code classes[] = { { 0, "request" }, { 1, "indication" }, { 2, "success" }, { 3, "error" }, { 0, NULL } };

struct stun {
	uint32_t told;
};

struct head {
	uint16_t type, len;
	bool magic;
	uint8_t id[16];		/* magic and transaction: addresses are xored with them */
};

static bool head_read(struct cursor *c, struct head *h)
{
	const uint8_t *id;

	h->type = cur_be16(c);
	h->len = cur_be16(c);
	id = cur_take(c, 16);
	if (!id || h->type >> 14)
		return false;
	memcpy(h->id, id, 16);
	h->magic = (uint32_t)id[0] << 24 == (MAGIC & 0xff000000) && id[1] == 0x12 && id[2] == 0xa4 && id[3] == 0x42;
	return true;
}

static unsigned class_of(uint16_t type) { return (type >> 7 & 2u) | (type >> 4 & 1u); }
static unsigned method_of(uint16_t type) { return (type & 0xfu) | (type >> 1 & 0x70u) | (type >> 2 & 0xf80u); }

/* Attributes end with the message; old: only those of RFC 3489, of the right length. packed: they are not padded (Microsoft's TURN). */
static bool attrs_good(struct cursor c, bool old, bool packed)
{
	while (cur_more(&c)) {
		uint16_t type = cur_be16(&c), n = cur_be16(&c);
		size_t pad = packed ? 0 : (4u - n % 4u) % 4u;

		if (!cur_skip(&c, n) || !cur_skip(&c, pad < cur_left(&c) ? pad : cur_left(&c)))
			return false;
		if (old && (!type || (type > 11 && type < 0x8000) || ((type <= 5 && type != 3) && n != 8) || (type == 3 && n != 4)))
			return false;
	}
	return cur_ok(&c);
}

static bool datagram_good(struct cursor c)
{
	struct head h;

	if (!head_read(&c, &h) || h.len != cur_left(&c))
		return false;
	if (h.magic)
		return h.len % 4 ? attrs_good(c, false, true) : attrs_good(c, false, false) || attrs_good(c, false, true);
	if (h.len % 4)
		return false;
	return (h.type == 1 || h.type == 0x101 || h.type == 0x111 || h.type == 2 || h.type == 0x102 || h.type == 0x112) && attrs_good(c, true, false) &&
		(h.len || memcmp(h.id, "\0\0\0\0", 4) != 0);
}

/* Two bare messages of one transaction, one of them a request. */
static bool answers(struct cursor before, struct cursor now)
{
	struct head a, b;

	return datagram_good(before) && head_read(&before, &a) && head_read(&now, &b) && !memcmp(a.id, b.id, 16) && (a.type == 1) != (b.type == 1);
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	struct head h;

	if (in->l4 == PROTO_UDP) {
		/* three numbers of 14, 16 and 0 bits are little to go by without magic or attributes: the answer must come as well */
		if (!datagram_good(c))
			return PROBE_NO;
		head_read(&c, &h);
		if (h.magic || h.len || in->dport == 3478 || in->sport == 3478)
			return PROBE_YES;
		return cur_left(&in->first[!in->now]) ? (answers(in->first[!in->now], in->dir[in->now]) ? PROBE_YES : PROBE_NO) : PROBE_MORE;
	}
	c = in->dir[cur_left(&in->dir[DIR_TOSERVER]) ? DIR_TOSERVER : DIR_TOCLIENT];
	if (cur_left(&c) < HEADER)
		return cur_left(&c) && cur_peek(&c, 0) >> 6 ? PROBE_NO : PROBE_MORE;
	return head_read(&c, &h) && h.magic && h.len % 4 == 0 && h.len <= 2048 ? PROBE_YES : PROBE_NO;
}

/* (1) family(1) port(2) address, xored where x */
static void tell_addr(struct record *r, const struct fact *f, const struct fact *port, struct cursor v, const struct head *h, bool x)
{
	uint8_t a[16], family;
	uint16_t p;
	struct cursor c;
	const uint8_t *b;
	size_t n;

	cur_skip(&v, 1);
	family = cur_u8(&v);
	p = cur_be16(&v);
	n = family == 2 ? 16 : 4;
	b = cur_take(&v, n);
	if (!b || !family || family > 2)
		return;
	for (size_t i = 0; i < n; i++)
		a[i] = (uint8_t)(b[i] ^ (x ? h->id[i] : 0));
	c = cur_of(a, n);
	if (family == 2)
		told_ip6(r, f, &c);
	else
		told_ip4(r, f, &c);
	rec_u64(r, port, p ^ (x ? (uint16_t)(MAGIC >> 16) : 0));
}

static void tell_attrs(struct record *r, const struct head *h, struct cursor c)
{
	bool mapped = false, peer = false, packed = h->len % 4 || !attrs_good(c, false, false);

	for (unsigned i = 0; i < 32 && cur_left(&c) >= 4; i++) {
		uint16_t type = cur_be16(&c), n = cur_be16(&c);
		struct cursor v = cur_sub(&c, n);

		if (!packed)
			cur_skip(&c, (4u - n % 4u) % 4u);
		if (type == 6) {
			rec_bytes(r, &f_user, cur_rest(&v));
		} else if (type == 0x14) {
			rec_bytes(r, &f_realm, cur_rest(&v));
		} else if (type == 0x8022) {
			rec_bytes(r, &f_software, cur_rest(&v));
		} else if ((type == 1 || type == 0x20 || type == 0x8020) && !mapped) {
			tell_addr(r, &f_mapped, &f_port, v, h, type != 1);
			mapped = true;
		} else if (type == 0x12 && !peer) {
			tell_addr(r, &f_peer, &f_peer_port, v, h, true);
			peer = true;
		} else if (type == 0x16) {
			tell_addr(r, &f_relay, &f_relay_port, v, h, true);
		} else if (type == 9 && cur_skip(&v, 2)) {
			unsigned hundreds = cur_u8(&v) & 7u;

			rec_u64(r, &f_error, hundreds * 100 + cur_u8(&v));
		}
	}
}

static void message(struct px *px, struct stun *s, enum dir dir, struct cursor c)
{
	struct record *r;
	struct head h;

	if (s->told == TOLD_MAX || !head_read(&c, &h))
		return;
	s->told++;
	r = px_record(px);
	told_code(r, &f_type, methods, method_of(h.type));
	told_code(r, &f_class, classes, class_of(h.type));
	tell_attrs(r, &h, c);
	say(px, dir, EV_APP, UINT32_MAX, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct cursor view = cur_of(NULL, 0);
	struct head h;

	if (px_l4(px) == PROTO_UDP) {
		if (datagram_good(*in)) {
			message(px, state, dir, *in);
		} else if (cur_peek(in, 0) >= 20 && cur_peek(in, 0) <= 23 && cur_peek(in, 1) == 0xfe && cur_peek(in, 2) >= 0xfc) {
			px_switch(px, NULL);
			return PARSE_DONE;
		}
		cur_rest(in);
		return PARSE_DONE;
	}
	while (cur_more(in)) {
		struct cursor ahead = *in;
		uint8_t first = cur_peek(in, 0);
		uint64_t size;
		enum parse p;

		if (cur_left(in) < 4)
			return msg_more(px, 4);
		if (first >> 6 == 1) {		/* data of a channel, padded */
			cur_skip(&ahead, 2);
			msg_pass(px, dir, in, 4u + ((cur_be16(&ahead) + 3u) & ~3u));
			continue;
		}
		if (cur_left(in) < HEADER)
			return msg_more(px, HEADER);
		if (!head_read(&ahead, &h) || !h.magic || h.len % 4)
			return msg_bad(px, "stun.malformed");
		size = HEADER + (uint64_t)h.len;
		p = msg_take(px, dir, in, size, 2048, &view);
		if (p != PARSE_DONE)
			return p;
		message(px, state, dir, view);
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 3478, 3479, 5349, 19302, 0 };

const struct proto proto_stun = {
	.name = "stun",
	.app = APP_STUN,
	.event = EV_APP,
	.l4 = PROTO_UDP | PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct stun),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
