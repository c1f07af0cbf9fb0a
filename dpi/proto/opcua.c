/* SPDX-License-Identifier: GPL-2.0-or-later */
/* opcua: OPC UA's TCP binding. kind(3) chunk(1, F C A) size(4), little endian. One `opcua` event for each hello, opened channel and error.
 *
 *   HEL: version(4) sizes(16) url        OPN: channel(4) security policy's uri, ...        ERR: code(4) reason        strings have four bytes of length */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEAD 8u
#define SIZE_LIMIT (64u << 20)
#define LOOK 1024u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_endpoint = { "endpoint", FACT_OBJECT }, f_policy = { "security_policy", FACT_PLAIN },
	f_code = { "error_code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_endpoint, &f_policy, &f_code, NULL };

struct opcua {
	uint32_t next_tx;
};

static bool head(struct cursor *c, struct bytes *kind, uint32_t *n)
{
	uint8_t chunk;

	*kind = cur_bytes(c, 3);
	chunk = cur_u8(c);
	*n = cur_le32(c);
	if (!cur_ok(c) || *n < HEAD || *n > SIZE_LIMIT || (chunk != 'F' && chunk != 'C' && chunk != 'A'))
		return false;
	return bytes_are(*kind, "HEL") || bytes_are(*kind, "ACK") || bytes_are(*kind, "ERR") || bytes_are(*kind, "RHE") || bytes_are(*kind, "OPN") ||
	       bytes_are(*kind, "MSG") || bytes_are(*kind, "CLO");
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	uint8_t first = cur_peek(&c, 0);
	struct bytes kind;
	uint32_t n;

	if (first != 'H' && first != 'A' && first != 'O' && first != 'M' && first != 'R')
		return PROBE_NO;
	if (cur_left(&c) > 3 && cur_peek(&c, 3) != 'F' && cur_peek(&c, 3) != 'C')
		return PROBE_NO;
	if (cur_left(&c) < HEAD + 4)
		return PROBE_MORE;
	if (!head(&c, &kind, &n))
		return PROBE_NO;
	if (bytes_are(kind, "HEL"))
		return n >= 32 && n <= 32 + 4096 && cur_le32(&c) < 16 ? PROBE_YES : PROBE_NO;
	if (bytes_are(kind, "ACK"))
		return n == 28 && cur_le32(&c) < 16 ? PROBE_YES : PROBE_NO;
	return in->midstream && n >= 24 ? PROBE_YES : PROBE_NO;
}

static struct bytes string(struct cursor *c)
{
	uint32_t n = cur_le32(c);

	return n == UINT32_MAX ? (struct bytes){ NULL, 0 } : cur_bytes(c, n);
}

static void tell(struct px *px, struct opcua *s, enum dir dir, struct bytes kind, struct cursor c)
{
	struct record *r = px_record(px);
	struct bytes b;

	if (bytes_are(kind, "HEL")) {
		rec_cstr(r, &f_operation, "hello");
		cur_skip(&c, 20);
		b = string(&c);
		if (b.n)
			rec_bytes(r, &f_endpoint, b);
	} else if (bytes_are(kind, "OPN")) {
		rec_cstr(r, &f_operation, "open_channel");
		cur_skip(&c, 4);
		b = string(&c);
		if (b.n)
			rec_bytes(r, &f_policy, b);
	} else {
		rec_cstr(r, &f_operation, "error");
		rec_printf(r, &f_code, "0x%08x", cur_le32(&c));
	}
	say(px, dir, EV_APP, s->next_tx++, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	while (cur_more(in)) {
		struct cursor c = *in, view;
		struct bytes kind;
		uint32_t n;

		if (cur_left(in) < HEAD)
			return msg_more(px, HEAD);
		if (!head(&c, &kind, &n))
			return msg_bad(px, "opcua.bad_message");
		if (!bytes_are(kind, "HEL") && !bytes_are(kind, "ERR") && (!bytes_are(kind, "OPN") || dir == DIR_TOCLIENT)) {
			msg_pass(px, dir, in, n);
			continue;
		}
		if (msg_take(px, dir, in, n, LOOK, &view) == PARSE_MORE)
			return PARSE_MORE;
		cur_skip(&view, HEAD);
		tell(px, state, dir, kind, view);
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 4840, 0 };

const struct proto proto_opcua = {
	.name = "opcua", .app = APP_OPCUA, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct opcua),
	.probe = probe, .parse = parse, .facts = facts,
};
