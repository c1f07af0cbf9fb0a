/* SPDX-License-Identifier: GPL-2.0-or-later */
/* raft: HashiCorp's raft over TCP: kind of call(1), then a map of MessagePack whose first key is "RPCHeader". One `raft` event per connection: its
 * first call; calls have no lengths, so what follows is not read. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

static const struct fact f_operation = { "operation", FACT_OPERATION };
static const struct fact *const facts[] = { &f_operation, NULL };
static const struct code calls[] = { { 0, "append_entries" }, { 1, "request_vote" }, { 2, "install_snapshot" }, { 3, "timeout_now" }, { 4, "request_pre_vote" }, { 0, NULL } };

static enum probe probe(const struct probe_in *in)
{
	static const char key[] = "\xa9RPCHeader";
	const struct cursor *c = &in->dir[DIR_TOSERVER];
	size_t n = cur_left(c);

	if (!n || cur_peek(c, 0) > 4 || (n > 1 && (cur_peek(c, 1) & 0xf0) != 0x80))
		return PROBE_NO;
	for (size_t i = 0; i < sizeof(key) - 1; i++)
		if (i + 2 >= n)
			return PROBE_MORE;
		else if (cur_peek(c, i + 2) != (uint8_t)key[i])
			return PROBE_NO;
	return PROBE_YES;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	uint8_t call = cur_u8(in);

	(void)state;
	cur_rest(in);
	if (dir == DIR_TOSERVER) {
		struct record *r = px_record(px);

		told_code(r, &f_operation, calls, call);
		say(px, dir, EV_APP, UINT32_MAX, r);
		px_stop(px);
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 8300, 0 };

const struct proto proto_raft = {
	.name = "raft", .app = APP_RAFT, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .probe = probe, .parse = parse, .facts = facts,
};
