/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pcp: Performance Co-Pilot. length(4) type(4, from 7000 hexadecimal) from(4) ...; the server speaks first, with an error PDU that holds its
 * abilities. One `pcp` event per request. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEAD 12u
#define LENGTH_MAX (64u << 20)
#define TYPE_FIRST 0x7000u
#define TYPE_LAST 0x7018u

static const struct fact f_operation = { "operation", FACT_OPERATION };
static const struct fact *const facts[] = { &f_operation, NULL };
static const struct code requests[] = {
	{ 0x7002, "profile" }, { 0x7003, "fetch" }, { 0x7004, "desc_request" }, { 0x7006, "instance_request" }, { 0x7008, "text_request" }, { 0x700c, "creds" },
	{ 0x700d, "pmns_ids" }, { 0x700e, "pmns_names" }, { 0x700f, "pmns_child" }, { 0x7010, "pmns_traverse" }, { 0x7011, "attributes" }, { 0, NULL },
};

struct pcp {
	uint32_t next_tx;
};

static bool head(struct cursor *c, uint32_t *n, uint32_t *type)
{
	*n = cur_be32(c);
	*type = cur_be32(c);
	cur_skip(c, 4);
	return cur_ok(c) && *n >= HEAD && *n <= LENGTH_MAX && *type >= TYPE_FIRST && *type <= TYPE_LAST;
}

/* The server's greeting: ERROR with code 0 and, since long, four or more bytes of abilities. */
static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[DIR_TOCLIENT];
	uint32_t n, type;

	if (!cur_left(&c))
		return cur_left(&in->dir[DIR_TOSERVER]) ? PROBE_NO : PROBE_MORE;
	if (cur_peek(&c, 0) || cur_peek(&c, 1) || cur_peek(&c, 2))
		return PROBE_NO;
	if (cur_left(&c) < HEAD + 4)
		return PROBE_MORE;
	return head(&c, &n, &type) && type == TYPE_FIRST && (n == 16 || n == 20 || n == 24) && !cur_be32(&c) ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct pcp *s = state;

	while (cur_more(in)) {
		struct cursor c = *in, view;
		uint32_t n, type;
		struct record *r;

		if (cur_left(in) < HEAD)
			return msg_more(px, HEAD);
		if (!head(&c, &n, &type))
			return msg_bad(px, "pcp.bad_pdu");
		if (dir == DIR_TOCLIENT || !code_name(requests, type)) {
			msg_pass(px, dir, in, n);
			continue;
		}
		if (msg_take(px, dir, in, n, n < 1024 ? n : 1024, &view) == PARSE_MORE)
			return PARSE_MORE;
		r = px_record(px);
		told_code(r, &f_operation, requests, type);
		say(px, dir, EV_APP, s->next_tx++, r);
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 44321, 0 };

const struct proto proto_pcp = {
	.name = "pcp", .app = APP_PCP, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct pcp),
	.probe = probe, .parse = parse, .facts = facts,
};
