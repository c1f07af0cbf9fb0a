/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pptp: RFC 2637's control connection. One `pptp` event per message but echoes.
 *
 *   length(2) 1(2) magic 1A2B3C4D type(2) ...    start: (2) version(2) (2) (2 of a reply: result and error) ... host(64) vendor(64) */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEADER 12u

static const struct fact f_type = { "type", FACT_OPERATION }, f_host = { "hostname", FACT_OBJECT }, f_vendor = { "vendor", FACT_PLAIN };
static const struct fact *const facts[] = { &f_type, &f_host, &f_vendor, NULL };
static const struct code types[] = { { 1, "start_request" }, { 2, "start_reply" }, { 3, "stop_request" }, { 4, "stop_reply" }, { 5, "" }, { 6, "" },
	{ 7, "outgoing_call_request" }, { 8, "outgoing_call_reply" }, { 9, "incoming_call_request" }, { 10, "incoming_call_reply" }, { 11, "incoming_call_connected" },
	{ 12, "call_clear_request" }, { 13, "call_disconnect_notify" }, { 14, "wan_error_notify" }, { 15, "set_link_info" }, { 0, NULL } };

static bool head_good(struct cursor c, uint16_t *len, uint16_t *type)
{
	uint16_t message;
	uint32_t magic;

	*len = cur_be16(&c);
	message = cur_be16(&c);
	magic = cur_be32(&c);
	*type = cur_be16(&c);
	return magic == 0x1a2b3c4d && message == 1 && *len >= HEADER && *len <= 512 && code_name(types, *type);
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[cur_left(&in->dir[DIR_TOSERVER]) ? DIR_TOSERVER : DIR_TOCLIENT];
	uint16_t len, type;

	if (cur_left(&c) < HEADER)
		return cur_left(&c) > 4 && cur_peek(&c, 4) != 0x1a ? PROBE_NO : PROBE_MORE;
	return head_good(c, &len, &type) ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	(void)state;
	while (cur_more(in)) {
		struct cursor view = cur_of(NULL, 0);
		uint16_t len, type;
		struct record *r;
		enum parse p;

		if (cur_left(in) < HEADER)
			return msg_more(px, HEADER);
		if (!head_good(*in, &len, &type))
			return msg_bad(px, "pptp.malformed");
		p = msg_take(px, dir, in, len, 512, &view);
		if (p != PARSE_DONE)
			return p;
		if (type == 5 || type == 6)
			continue;
		r = px_record(px);
		rec_cstr(r, &f_type, code_name(types, type));
		if (type <= 2 && cur_skip(&view, 28)) {
			rec_bytes(r, &f_host, up_to_nul(cur_bytes(&view, 64)));
			rec_bytes(r, &f_vendor, up_to_nul(cur_bytes(&view, 64)));
		}
		say(px, dir, EV_APP, UINT32_MAX, r);
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 1723, 0 };

const struct proto proto_pptp = {
	.name = "pptp",
	.app = APP_PPTP,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
