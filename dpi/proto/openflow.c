/* SPDX-License-Identifier: GPL-2.0-or-later */
/* openflow: versions 1.0 to 1.5. version(1) type(1) length(2) xid(4). Each side begins with HELLO: one that lists versions is believed
 * alone, a bare one when the other side's is there. One `openflow` event per message that sets something up or fails. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEAD 8u
#define TYPE_MAX 35u

static const struct fact f_version = { "version", FACT_PLAIN }, f_operation = { "operation", FACT_OPERATION };
static const struct fact *const facts[] = { &f_version, &f_operation, NULL };

static const struct code common[] = { { 0, "hello" }, { 1, "error" }, { 5, "features_request" }, { 6, "features_reply" }, { 9, "set_config" }, { 14, "flow_mod" }, { 0, NULL } };
static const struct code first[] = { { 13, "packet_out" }, { 15, "port_mod" }, { 0, NULL } };		/* 1.0 */
static const struct code later[] = {	/* 1.1 and up */
	{ 13, "packet_out" }, { 15, "group_mod" }, { 16, "port_mod" }, { 17, "table_mod" }, { 24, "role_request" }, { 29, "meter_mod" }, { 0, NULL },
};

struct openflow {
	uint32_t next_tx;
};

struct message {
	uint8_t version, type;
	uint16_t len;
};

static bool head(struct cursor *c, struct message *m)
{
	m->version = cur_u8(c);
	m->type = cur_u8(c);
	m->len = cur_be16(c);
	cur_skip(c, 4);
	return m->version >= 1 && m->version <= 6 && m->type <= TYPE_MAX && m->len >= HEAD;
}

/* MORE: a bare HELLO, or its beginning. */
static enum probe hello(const struct cursor *in)
{
	struct cursor c = *in;
	struct message m;

	if (cur_left(in) < 4)
		return cur_peek(in, 0) < 1 || cur_peek(in, 0) > 6 || cur_peek(in, 1) || cur_peek(in, 2) ? PROBE_NO : PROBE_MORE;
	if (!head(&c, &m) || m.type || (m.len != 8 && m.len != 16))
		return PROBE_NO;
	if (m.len == 8 || cur_left(&c) < 4)
		return PROBE_MORE;
	return cur_be16(&c) == 1 && cur_be16(&c) == 8 ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	enum probe a = cur_left(up) ? hello(up) : PROBE_MORE, b = cur_left(down) ? hello(down) : PROBE_MORE;

	if (a == PROBE_NO || b == PROBE_NO)
		return PROBE_NO;
	if (a == PROBE_YES || b == PROBE_YES)
		return PROBE_YES;
	return cur_left(up) >= HEAD && cur_left(down) >= HEAD ? PROBE_YES : PROBE_MORE;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct openflow *s = state;

	while (cur_more(in)) {
		struct cursor c = *in;
		const char *name;
		struct record *r;
		struct message m;

		if (cur_left(in) < HEAD)
			return msg_more(px, HEAD);
		if (!head(&c, &m))
			return msg_bad(px, "openflow.bad_message");
		name = code_name(common, m.type);
		if (!name)
			name = code_name(m.version == 1 ? first : later, m.type);
		if (name && cur_left(in) < m.len)	/* what is judged is judged when it is whole */
			return msg_more(px, m.len);
		msg_pass(px, dir, in, m.len);
		if (!name)
			continue;
		r = px_record(px);
		rec_printf(r, &f_version, "1.%d", m.version - 1);
		rec_cstr(r, &f_operation, name);
		say(px, dir, EV_APP, s->next_tx++, r);
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 6653, 6633, 0 };

const struct proto proto_openflow = {
	.name = "openflow", .app = APP_OPENFLOW, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct openflow),
	.probe = probe, .parse = parse, .facts = facts,
};
