/* SPDX-License-Identifier: GPL-2.0-or-later */
/* modbus: Modbus/TCP. One `modbus` event per request, when its answer is there.
 *
 *   transaction(2) 0(2) length(2) unit(1) function(1) ...; an answer repeats them, with 80 added to the function when it is an exception
 *
 * Seven bytes without a magic: the length must be the one of the function, and on another port than 502 the answer must fit as well. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEADER 8u

static const struct fact f_unit = { "unit", FACT_PLAIN }, f_function = { "function", FACT_OPERATION }, f_address = { "address", FACT_OBJECT },
	f_quantity = { "quantity", FACT_PLAIN }, f_exception = { "exception", FACT_PLAIN };
static const struct fact *const facts[] = { &f_unit, &f_function, &f_address, &f_quantity, &f_exception, NULL };
static const struct code functions[] = { { 1, "read_coils" }, { 2, "read_discrete_inputs" }, { 3, "read_holding_registers" }, { 4, "read_input_registers" },
	{ 5, "write_single_coil" }, { 6, "write_single_register" }, { 7, "read_exception_status" }, { 8, "diagnostics" }, { 11, "get_comm_event_counter" },
	{ 12, "get_comm_event_log" }, { 15, "write_multiple_coils" }, { 16, "write_multiple_registers" }, { 17, "report_server_id" }, { 20, "read_file_record" },
	{ 21, "write_file_record" }, { 22, "mask_write_register" }, { 23, "read_write_multiple_registers" }, { 24, "read_fifo_queue" }, { 43, "encapsulated_interface" },
	{ 90, "unity" }, { 0, NULL } };
static const struct code exceptions[] = { { 1, "illegal_function" }, { 2, "illegal_data_address" }, { 3, "illegal_data_value" }, { 4, "server_device_failure" },
	{ 5, "acknowledge" }, { 6, "server_device_busy" }, { 8, "memory_parity_error" }, { 10, "gateway_path_unavailable" }, { 11, "gateway_target_no_response" }, { 0, NULL } };

struct modbus {
	struct asks asks;
};

struct head {
	uint16_t id, len;
	uint8_t unit, function;
};

static bool head_read(struct cursor *c, struct head *h)
{
	uint16_t zero;

	h->id = cur_be16(c);
	zero = cur_be16(c);
	h->len = cur_be16(c);
	h->unit = cur_u8(c);
	h->function = cur_u8(c);
	return cur_ok(c) && !zero && h->len >= 2 && h->len <= 254;
}

/* A request of that function may have this length. */
static bool length_fits(const struct head *h, const struct cursor *c)
{
	switch (h->function) {
	case 1: case 2: case 3: case 4: case 5: case 6:
		return h->len == 6;
	case 15: case 16:
		return h->len >= 8 && (cur_left(c) < 5 || h->len == 7u + cur_peek(c, 4));
	case 7: case 11: case 12: case 17:
		return h->len == 2;
	case 22:
		return h->len == 8;
	case 24:
		return h->len == 4;
	case 8: case 20: case 21: case 23: case 43: case 90:
		return h->len >= 3;
	default:
		return false;
	}
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor up = in->dir[DIR_TOSERVER], down = in->dir[DIR_TOCLIENT];
	struct head h, a;

	if (cur_left(&up) < HEADER)
		return cur_left(&up) > 3 && (cur_peek(&up, 2) || cur_peek(&up, 3)) ? PROBE_NO : cur_left(&down) && !cur_left(&up) ? PROBE_NO : PROBE_MORE;
	if (!head_read(&up, &h) || !length_fits(&h, &up))
		return PROBE_NO;
	if (in->dport == 502)
		return PROBE_YES;
	if (cur_left(&up) > h.len - 2u && cur_peek(&up, h.len - 2u + 2) + cur_peek(&up, h.len - 2u + 3))
		return PROBE_NO;
	if (cur_left(&down) < HEADER)
		return PROBE_MORE;
	return head_read(&down, &a) && a.id == h.id && a.unit == h.unit && (a.function & 0x7f) == h.function &&
		(a.function & 0x80 ? a.len == 3 : true) ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct modbus *s = state;

	s->asks.event = EV_APP;
	while (cur_more(in)) {
		struct cursor ahead = *in, view = cur_of(NULL, 0);
		struct record *r;
		struct head h;
		enum parse p;
		int i;

		if (cur_left(in) < HEADER)
			return msg_more(px, HEADER);
		if (!head_read(&ahead, &h))
			return msg_bad(px, "modbus.malformed");
		p = msg_take(px, dir, in, 6u + h.len, 260, &view);
		if (p != PARSE_DONE)
			return p;
		cur_skip(&view, HEADER);
		if (dir == DIR_TOSERVER) {
			r = px_record(px);
			rec_u64(r, &f_unit, h.unit);
			told_code(r, &f_function, functions, h.function);
			if (((h.function >= 1 && h.function <= 6) || h.function == 15 || h.function == 16 || h.function == 22) && cur_left(&view) >= 4) {
				rec_printf(r, &f_address, "%u", cur_be16(&view));
				if (h.function != 5 && h.function != 6 && h.function != 22)
					rec_u64(r, &f_quantity, cur_be16(&view));
			}
			px_judge(px, r);
			asks_add(px, &s->asks, h.id, r);
			continue;
		}
		i = asks_find(&s->asks, h.id);
		if (i < 0)
			continue;
		r = asks_record(px, &s->asks, i);
		if (h.function & 0x80)
			told_code(r, &f_exception, exceptions, cur_u8(&view));
		asks_tell(px, &s->asks, i, r);
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct modbus *s = state;

	asks_end(px, &s->asks);
}

static const uint16_t ports[] = { 502, 0 };

const struct proto proto_modbus = {
	.name = "modbus",
	.app = APP_MODBUS,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct modbus),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
