/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xdmcp: the X Display Manager Control Protocol, version 1, over UDP. One event per message.
 *
 *   version(2) = 1, opcode(2), length(2) of what follows.  ARRAY8: length(2) bytes; lists of them and of numbers: count(1) items.
 * A datagram is believed when the parts that its opcode has fill it to the last byte. Authentication data is never told. */
#include "dpi/proto/told.h"

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_host = { "hostname", FACT_OBJECT }, f_status = { "status", FACT_PLAIN },
	f_display = { "display", FACT_PLAIN }, f_session = { "session_id", FACT_PLAIN }, f_class = { "display_class", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_host, &f_status, &f_display, &f_session, &f_class, NULL };

/* The parts of each opcode in order: b byte, w 16 bits, d display, s session, a an ARRAY8, h the host, t a status, c the class, n numbers of 16 bits, l a list of ARRAY8. */
static const struct { const char *name, *parts; } messages[] = {
	{ NULL, NULL }, { "broadcast_query", "l" }, { "query", "l" }, { "indirect_query", "l" }, { "forward_query", "aal" }, { "willing", "aht" }, { "unwilling", "ht" },
	{ "request", "dnlaala" }, { "accept", "saaaa" }, { "decline", "taa" }, { "manage", "sdc" }, { "refuse", "s" }, { "failed", "st" }, { "keep_alive", "ds" }, { "alive", "bs" },
};

static struct bytes array8(struct cursor *c) { return cur_bytes(c, cur_be16(c)); }

static void text_put(struct record *r, const struct fact *f, struct bytes b)
{
	if (r && b.n)
		rec_bytes(r, f, b);
}

/* Walks the parts; tells them where r is not NULL. True when they fill the message. */
static bool walk(struct cursor c, const char *parts, struct record *r)
{
	for (; *parts; parts++) {
		struct bytes b;
		uint32_t n;

		switch (*parts) {
		case 'b':
			cur_skip(&c, 1);
			break;
		case 'd':
			n = cur_be16(&c);
			if (r)
				rec_u64(r, &f_display, n);
			break;
		case 's':
			n = cur_be32(&c);
			if (r)
				rec_u64(r, &f_session, n);
			break;
		case 'n':
			cur_skip(&c, 2u * cur_u8(&c));
			break;
		case 'l':
			for (n = cur_u8(&c); n && cur_ok(&c); n--)
				array8(&c);
			break;
		default:
			b = array8(&c);
			if (*parts != 'a')
				text_put(r, *parts == 'h' ? &f_host : *parts == 't' ? &f_status : &f_class, b);
		}
	}
	return cur_ok(&c) && !cur_left(&c);
}

static bool head_read(struct cursor *c, uint16_t *opcode)
{
	uint16_t version = cur_be16(c), length;

	*opcode = cur_be16(c);
	length = cur_be16(c);
	return cur_ok(c) && version == 1 && *opcode >= 1 && *opcode < sizeof(messages) / sizeof(messages[0]) && length == cur_left(c);
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	uint16_t opcode;

	return head_read(&c, &opcode) && walk(c, messages[opcode].parts, NULL) ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct cursor c = *in;
	struct record *r;
	uint16_t opcode;

	(void)state;
	cur_rest(in);
	if (!head_read(&c, &opcode) || !walk(c, messages[opcode].parts, NULL)) {
		px_bad(px, "xdmcp.malformed");
		return PARSE_DONE;
	}
	r = px_record(px);
	rec_cstr(r, &f_operation, messages[opcode].name);
	walk(c, messages[opcode].parts, r);
	say(px, dir, EV_APP, UINT32_MAX, r);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 177, 0 };

const struct proto proto_xdmcp = {
	.name = "xdmcp",
	.app = APP_XDMCP,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
