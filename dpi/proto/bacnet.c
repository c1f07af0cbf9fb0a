/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bacnet: BACnet/IP (ASHRAE 135, annex J). One `bacnet` event per message that carries a service.
 *
 *   81 function(1) length(2) { address(6) when forwarded }, NPDU: 1 control(1) { destination } { source } { hops }, APDU: type, ... service */
#include "dpi/proto/told.h"

static const struct fact f_function = { "function", FACT_PLAIN }, f_type = { "type", FACT_PLAIN }, f_service = { "service", FACT_OPERATION };
static const struct fact *const facts[] = { &f_function, &f_type, &f_service, NULL };
static const struct code functions[] = { { 0, "result" }, { 1, "write_bdt" }, { 2, "read_bdt" }, { 3, "read_bdt_ack" }, { 4, "forwarded" }, { 5, "register_foreign_device" },
	{ 6, "read_fdt" }, { 7, "read_fdt_ack" }, { 8, "delete_fdt_entry" }, { 9, "distribute_broadcast" }, { 10, "unicast" }, { 11, "broadcast" }, { 0, NULL } };
static const struct code types[] = { { 0, "confirmed_request" }, { 1, "unconfirmed_request" }, { 2, "simple_ack" }, { 3, "complex_ack" }, { 4, "segment_ack" },
	{ 5, "error" }, { 6, "reject" }, { 7, "abort" }, { 0, NULL } };
static const struct code confirmed[] = { { 0, "acknowledge_alarm" }, { 1, "cov_notification" }, { 5, "subscribe_cov" }, { 6, "atomic_read_file" }, { 7, "atomic_write_file" },
	{ 8, "add_list_element" }, { 9, "remove_list_element" }, { 10, "create_object" }, { 11, "delete_object" }, { 12, "read_property" }, { 14, "read_property_multiple" },
	{ 15, "write_property" }, { 16, "write_property_multiple" }, { 17, "device_communication_control" }, { 20, "reinitialize_device" }, { 26, "read_range" }, { 0, NULL } };
static const struct code unconfirmed[] = { { 0, "i_am" }, { 1, "i_have" }, { 2, "cov_notification" }, { 3, "event_notification" }, { 4, "private_transfer" }, { 5, "text_message" },
	{ 6, "time_synchronization" }, { 7, "who_has" }, { 8, "who_is" }, { 9, "utc_time_synchronization" }, { 0, NULL } };

/* Behind the network's head, at the APDU; false: a message of the network, or cut. */
static bool network_skip(struct cursor *c)
{
	uint8_t control;

	cur_skip(c, 1);
	control = cur_u8(c);
	if (control & 0x20) {
		cur_skip(c, 2);
		cur_skip(c, cur_u8(c));
	}
	if (control & 8) {
		cur_skip(c, 2);
		cur_skip(c, cur_u8(c));
	}
	if (control & 0x20)
		cur_skip(c, 1);
	return cur_ok(c) && !(control & 0x80);
}

/* The network's head ends within the message, and behind it stands an APDU of a known type. */
static bool apdu_good(struct cursor c)
{
	bool network = cur_peek(&c, 1) & 0x80;

	return network ? cur_left(&c) >= 3 : network_skip(&c) && cur_left(&c) && cur_peek(&c, 0) >> 4 <= 7;
}

/* Behind the link's head; false: it is none. */
static bool link_open(struct cursor *c, uint8_t *function)
{
	size_t n = cur_left(c);
	uint8_t type = cur_u8(c);

	*function = cur_u8(c);
	if (type != 0x81 || *function > 11 || cur_be16(c) != n)
		return false;
	if (*function == 4)
		cur_skip(c, 6);
	if (*function == 4 || *function >= 9)	/* NPDU: version, control without its reserved bits, and an APDU of a type that there is */
		return cur_ok(c) && cur_left(c) >= 2 && cur_peek(c, 0) == 1 && !(cur_peek(c, 1) & 0x50) && apdu_good(*c);
	if (*function == 1 || *function == 3 || *function == 7)
		return cur_ok(c) && cur_left(c) % 10 == 0 && n <= 1024;
	return cur_ok(c) && cur_left(c) == (*function == 8 ? 6u : *function == 0 || *function == 5 ? 2u : 0u);
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	uint8_t function;

	return link_open(&c, &function) ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct cursor c = *in;
	uint8_t function, first;
	struct record *r;

	(void)state;
	if (link_open(&c, &function)) {
		r = px_record(px);
		rec_cstr(r, &f_function, code_name(functions, function));
		if ((function == 4 || function >= 9) && network_skip(&c) && cur_left(&c) >= 2) {
			first = cur_u8(&c);
			told_code(r, &f_type, types, first >> 4);
			/* a confirmed request: sizes and its number first, two more bytes when it is segmented */
			cur_skip(&c, first >> 4 == 0 ? (first & 8 ? 4 : 2) : first >> 4 == 1 ? 0 : first >> 4 == 3 && first & 8 ? 3 : 1);
			if (cur_left(&c) && first >> 4 <= 5 && first >> 4 != 4)
				told_code(r, &f_service, first >> 4 == 1 ? unconfirmed : confirmed, cur_u8(&c));
		}
		say(px, dir, EV_APP, UINT32_MAX, r);
	}
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 47808, 0 };

const struct proto proto_bacnet = {
	.name = "bacnet",
	.app = APP_BACNET,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
