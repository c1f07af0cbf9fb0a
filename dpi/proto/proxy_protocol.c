/* SPDX-License-Identifier: GPL-2.0-or-later */
/* proxy-protocol: HAProxy's PROXY line (version 1) and binary head (version 2) before another protocol, which is then recognised anew. One
 * event: who is said to be the client.
 *
 *   1: "PROXY TCP4 address address port port" CR LF, or "PROXY UNKNOWN ..." CR LF; at most 107 bytes
 *   2: 0d0a0d0a000d0a515549540a, 2 and command(1), family(1), length(2), addresses, TLVs */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define LINE_MAX_V1 107u
#define HEAD_V2 16u
#define LENGTH_MAX_V2 4096u	/* TLVs may carry a certificate's name */

static const struct fact f_version = { "version", FACT_PLAIN }, f_source = { "source", FACT_PLAIN }, f_source_port = { "source_port", FACT_PLAIN },
	f_target = { "target", FACT_PLAIN }, f_target_port = { "target_port", FACT_PLAIN };
static const struct fact *const facts[] = { &f_version, &f_source, &f_source_port, &f_target, &f_target_port, NULL };

static const uint8_t signature[] = { 13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10 };

static bool starts(const struct cursor *c, const void *lit, size_t n)
{
	return memcmp(c->pos, lit, cur_left(c) < n ? cur_left(c) : n) == 0;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *c = &in->dir[DIR_TOSERVER];

	if (!cur_left(c) || cur_left(&in->dir[DIR_TOCLIENT]))
		return PROBE_NO;
	if (starts(c, signature, sizeof(signature))) {
		if (cur_left(c) < HEAD_V2)
			return PROBE_MORE;
		return cur_peek(c, 12) >> 4 == 2 && (cur_peek(c, 12) & 15) < 2 ? PROBE_YES : PROBE_NO;
	}
	if (!starts(c, "PROXY ", 6))
		return PROBE_NO;
	if (cur_left(c) < 10)
		return PROBE_MORE;
	return cur_starts(c, "PROXY TCP4", 10) || cur_starts(c, "PROXY TCP6", 10) || cur_starts(c, "PROXY UNKN", 10) ? PROBE_YES : PROBE_NO;
}

static uint64_t number(struct bytes b)
{
	uint64_t v = 0;

	for (size_t i = 0; i < b.n && i < 5 && b.p[i] >= '0' && b.p[i] <= '9'; i++)
		v = v * 10 + (uint64_t)(b.p[i] - '0');
	return v;
}

static void line(struct record *r, struct bytes text)
{
	struct cursor c = cur_of(text.p, text.n);
	struct bytes word[6] = { { NULL, 0 } };

	for (unsigned i = 0; i < 6 && cur_more(&c); i++) {
		size_t n = cur_find(&c, ' ');

		word[i] = cur_bytes(&c, n == SIZE_MAX ? cur_left(&c) : n);
		if (cur_left(&c))
			cur_skip(&c, 1);
	}
	rec_u64(r, &f_version, 1);
	if (!word[5].n || (!bytes_are(word[1], "TCP4") && !bytes_are(word[1], "TCP6")))
		return;
	rec_bytes(r, &f_source, word[2]);
	rec_u64(r, &f_source_port, number(word[4]));
	rec_bytes(r, &f_target, word[3]);
	rec_u64(r, &f_target_port, number(word[5]));
}

static void binary(struct record *r, struct cursor c)
{
	uint8_t command, family;

	cur_skip(&c, 12);
	command = cur_u8(&c) & 15;
	family = cur_u8(&c) >> 4;
	rec_u64(r, &f_version, 2);
	if (command != 1 || cur_be16(&c) < (family == 1 ? 12 : 36) || (family != 1 && family != 2))
		return;
	if (family == 1) {
		told_ip4(r, &f_source, &c);
		told_ip4(r, &f_target, &c);
	} else {
		told_ip6(r, &f_source, &c);
		told_ip6(r, &f_target, &c);
	}
	rec_u64(r, &f_source_port, cur_be16(&c));
	rec_u64(r, &f_target_port, cur_be16(&c));
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct cursor view = *in;
	struct bytes text = { NULL, 0 };
	struct record *r;
	size_t n;

	(void)state;
	if (dir == DIR_TOCLIENT)
		return msg_bad(px, "proxy_protocol.server_first");
	if (cur_peek(in, 0) != 'P') {
		if (cur_left(in) < HEAD_V2)
			return msg_more(px, HEAD_V2);
		cur_skip(&view, 14);
		n = cur_be16(&view) + (size_t)HEAD_V2;
		if (n > LENGTH_MAX_V2)
			return msg_bad(px, "proxy_protocol.too_long");
		if (msg_take(px, dir, in, n, n, &view) == PARSE_MORE)	/* all of it: what is behind is another's */
			return PARSE_MORE;
		r = px_record(px);
		binary(r, view);
	} else {
		n = cur_find(in, '\n');
		if ((n == SIZE_MAX ? cur_left(in) : n) >= LINE_MAX_V1)
			return msg_bad(px, "proxy_protocol.line_too_long");
		if (n == SIZE_MAX)
			return PARSE_MORE;
		r = px_record(px);
		cur_line(in, &text);
		line(r, text);
	}
	say(px, dir, EV_APP, UINT32_MAX, r);
	px_switch(px, NULL);
	return PARSE_DONE;
}

const struct proto proto_proxy_protocol = {
	.name = "proxy-protocol", .app = APP_PROXY_PROTOCOL, .event = EV_APP, .l4 = PROTO_TCP, .probe = probe, .parse = parse, .facts = facts,
};
