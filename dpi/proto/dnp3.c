/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dnp3: IEEE 1815's link frames. One `dnp3` event per fragment of the application that begins.
 *
 *   05 64 length(1) control(1) destination(2) source(2) CRC(2), then blocks of 16 bytes with a CRC each;
 *   transport(1): first 40; application: control(1) function(1) */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEADER 10u

static const struct fact f_function = { "function", FACT_OPERATION }, f_src = { "source", FACT_PLAIN }, f_dst = { "destination", FACT_PLAIN };
static const struct fact *const facts[] = { &f_function, &f_src, &f_dst, NULL };
static const struct code functions[] = { { 0, "confirm" }, { 1, "read" }, { 2, "write" }, { 3, "select" }, { 4, "operate" }, { 5, "direct_operate" },
	{ 6, "direct_operate_nr" }, { 7, "immediate_freeze" }, { 9, "freeze_clear" }, { 13, "cold_restart" }, { 14, "warm_restart" }, { 15, "initialize_data" },
	{ 16, "initialize_application" }, { 17, "start_application" }, { 18, "stop_application" }, { 19, "save_configuration" }, { 20, "enable_unsolicited" },
	{ 21, "disable_unsolicited" }, { 22, "assign_class" }, { 23, "delay_measure" }, { 24, "record_current_time" }, { 25, "open_file" }, { 26, "close_file" },
	{ 27, "delete_file" }, { 28, "get_file_info" }, { 29, "authenticate_file" }, { 30, "abort_file" }, { 129, "response" }, { 130, "unsolicited_response" }, { 0, NULL } };

/* CRC-16/DNP of n bytes, and whether the two that follow are it. */
static bool crc_good(struct cursor *c, size_t n)
{
	struct bytes b = cur_bytes(c, n);
	uint16_t crc = 0;

	for (size_t i = 0; i < b.n; i++) {
		crc ^= b.p[i];
		for (unsigned k = 0; k < 8; k++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xa6bc : crc >> 1);
	}
	crc = (uint16_t)(crc ^ 0xffff);
	return cur_le16(c) == crc && cur_ok(c);
}

/* Length of a whole frame of so many bytes behind the length's. */
static size_t frame_len(uint8_t len) { return HEADER + (len - 5u) + 2u * ((len - 5u + 15u) / 16u); }

static bool head_good(struct cursor c)
{
	return cur_peek(&c, 0) == 5 && cur_peek(&c, 1) == 0x64 && cur_peek(&c, 2) >= 5 && crc_good(&c, 8);
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *c = in->l4 == PROTO_UDP ? &in->dir[in->now] : &in->dir[cur_left(&in->dir[0]) ? 0 : 1];

	if (cur_left(c) < HEADER)
		return in->l4 == PROTO_UDP || !cur_starts(c, "\5\144", cur_left(c) < 2 ? cur_left(c) : 2) ? PROBE_NO : PROBE_MORE;
	return head_good(*c) ? PROBE_YES : PROBE_NO;
}

static void frame(struct px *px, enum dir dir, struct cursor c)
{
	uint16_t dst, src;
	struct record *r;

	cur_skip(&c, 4);
	dst = cur_le16(&c);
	src = cur_le16(&c);
	cur_skip(&c, 2);
	if (cur_left(&c) < 3 || !(cur_u8(&c) & 0x40))
		return;
	cur_skip(&c, 1);
	r = px_record(px);
	told_code(r, &f_function, functions, cur_u8(&c));
	rec_u64(r, &f_src, src);
	rec_u64(r, &f_dst, dst);
	say(px, dir, EV_APP, UINT32_MAX, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	bool udp = px_l4(px) == PROTO_UDP;

	(void)state;
	while (cur_more(in)) {
		struct cursor view = cur_of(NULL, 0);
		enum parse p;

		if (cur_left(in) < HEADER && !udp)
			return msg_more(px, HEADER);
		if (!head_good(*in)) {
			px_bad(px, "dnp3.frame");
			cur_rest(in);
			return udp ? PARSE_DONE : PARSE_BAD;
		}
		if (udp && frame_len(cur_peek(in, 2)) > cur_left(in)) {
			cur_rest(in);
			return PARSE_DONE;
		}
		p = msg_take(px, dir, in, frame_len(cur_peek(in, 2)), 300, &view);
		if (p != PARSE_DONE)
			return p;
		frame(px, dir, view);
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 20000, 0 };

const struct proto proto_dnp3 = {
	.name = "dnp3",
	.app = APP_DNP3,
	.event = EV_APP,
	.l4 = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
