/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rmcp: DMTF's ASF (DSP0136) and IPMI over LAN (1.5 and 2.0). One `rmcp` event per message, up to TOLD_MAX a flow.
 *
 *   6 0 sequence(1) class(1): 6 ASF, 7 IPMI; 80: acknowledgement
 *   ASF:       IANA 4542(4) type(1) tag(1) 0 length(1)
 *   IPMI 1.5:  authentication(1) sequence(4) session(4) { code(16) } length(1), then a message
 *   IPMI 2.0:  6 payload(1) session(4) sequence(4) length(2)
 *   a message: address(1) netfn and LUN(1) checksum(1) source(1) (1) command(1) ... */
#include "dpi/proto/told.h"

#define TOLD_MAX 64u

static const struct fact f_class = { "class", FACT_PLAIN }, f_type = { "type", FACT_OPERATION }, f_netfn = { "netfn", FACT_PLAIN },
	f_command = { "command", FACT_COMMAND }, f_session = { "session_id", FACT_PLAIN }, f_user = { "user", FACT_USER };
static const struct fact *const facts[] = { &f_class, &f_type, &f_netfn, &f_command, &f_session, &f_user, NULL };

static const struct code asf[] = { { 0x10, "reset" }, { 0x11, "power_up" }, { 0x12, "power_down" }, { 0x13, "power_cycle" }, { 0x40, "presence_pong" },
	{ 0x41, "capabilities_response" }, { 0x42, "system_state_response" }, { 0x80, "presence_ping" }, { 0x81, "capabilities_request" },
	{ 0x82, "system_state_request" }, { 0, NULL } };
static const struct code payloads[] = { { 0, "ipmi" }, { 1, "serial_over_lan" }, { 2, "oem" }, { 0x10, "open_session_request" }, { 0x11, "open_session_response" },
	{ 0x12, "rakp_1" }, { 0x13, "rakp_2" }, { 0x14, "rakp_3" }, { 0x15, "rakp_4" }, { 0, NULL } };
static const struct code netfns[] = { { 0, "chassis" }, { 2, "bridge" }, { 4, "sensor" }, { 6, "app" }, { 8, "firmware" }, { 10, "storage" }, { 12, "transport" }, { 0, NULL } };
static const struct code apps[] = { { 0x01, "get_device_id" }, { 0x02, "cold_reset" }, { 0x37, "get_system_guid" }, { 0x38, "get_channel_auth_capabilities" },
	{ 0x39, "get_session_challenge" }, { 0x3a, "activate_session" }, { 0x3b, "set_session_privilege" }, { 0x3c, "close_session" },
	{ 0x54, "get_channel_cipher_suites" }, { 0, NULL } };
static const struct code chassis[] = { { 0x00, "get_capabilities" }, { 0x01, "get_status" }, { 0x02, "control" }, { 0x04, "identify" }, { 0, NULL } };

struct rmcp {
	uint32_t told;
};

/* Behind the head: the lengths agree. *type: the payload's, 0x100: version 1.5. */
static bool ipmi_open(struct cursor *c, unsigned *type, uint32_t *session, struct cursor *body)
{
	uint8_t auth = cur_u8(c);

	*type = 0x100;
	if (auth == 6) {
		uint16_t len;

		*type = cur_u8(c);
		if ((*type & 0x3f) == 2)
			cur_skip(c, 6);
		*session = cur_le32(c);
		cur_skip(c, 4);
		len = cur_le16(c);
		*body = cur_sub(c, len);
	} else {
		if (auth > 5 || auth == 3)
			return false;
		cur_skip(c, 4);
		*session = cur_le32(c);
		if (auth)
			cur_skip(c, 16);
		*body = cur_sub(c, cur_u8(c));
		if (cur_left(c) > 1)	/* a byte may pad it */
			return false;
	}
	return cur_ok(c);
}

/* Both checksums of a message. */
static bool sums_good(struct cursor c)
{
	uint8_t sum = 0;

	for (unsigned i = 0; i < 3; i++)
		sum = (uint8_t)(sum + cur_u8(&c));
	if (sum || !cur_ok(&c) || cur_left(&c) < 4)
		return false;
	while (cur_more(&c))
		sum = (uint8_t)(sum + cur_u8(&c));
	return !sum;
}

static bool good(struct cursor c)
{
	static const uint8_t start[] = { 6, 0 };
	struct cursor body;
	uint32_t session, iana;
	unsigned type;
	uint8_t class;

	if (!cur_starts(&c, start, 2))
		return false;
	cur_skip(&c, 3);
	class = cur_u8(&c);
	if (class == 0x86)
		return cur_ok(&c) && !cur_left(&c);
	if (class == 6) {
		iana = cur_be32(&c);
		type = cur_u8(&c);
		cur_skip(&c, 2);
		return iana == 4542 && code_name(asf, type) && cur_u8(&c) == cur_left(&c) && cur_ok(&c);
	}
	if (class != 7 || !ipmi_open(&c, &type, &session, &body))
		return false;
	if (type == 0x100 || type == 0)
		return sums_good(body);
	return code_name(payloads, type & 0x3f) != NULL;
}

static enum probe probe(const struct probe_in *in) { return good(in->dir[in->now]) ? PROBE_YES : PROBE_NO; }

static void tell_command(struct record *r, struct cursor c)
{
	uint8_t netfn, command;

	cur_skip(&c, 1);
	netfn = cur_u8(&c) >> 2;
	cur_skip(&c, 3);
	command = cur_u8(&c);
	if (!cur_ok(&c))
		return;
	rec_cstr(r, &f_type, netfn & 1 ? "response" : "request");
	told_code(r, &f_netfn, netfns, netfn & ~1u);
	if ((netfn & ~1u) == 6)
		told_code(r, &f_command, apps, command);
	else if (!(netfn & ~1u))
		told_code(r, &f_command, chassis, command);
	else
		rec_printf(r, &f_command, "%u", command);
	if (netfn == 6 && command == 0x39 && cur_skip(&c, 1) && cur_left(&c) >= 16)
		rec_bytes(r, &f_user, up_to_nul(cur_bytes(&c, 16)));
}

static void tell(struct px *px, enum dir dir, struct cursor c)
{
	struct record *r = px_record(px);
	struct cursor body;
	uint32_t session;
	unsigned type;

	cur_skip(&c, 3);
	if (cur_u8(&c) == 6) {
		rec_cstr(r, &f_class, "asf");
		cur_skip(&c, 4);
		told_code(r, &f_type, asf, cur_u8(&c));
	} else {
		ipmi_open(&c, &type, &session, &body);
		rec_cstr(r, &f_class, "ipmi");
		if (type == 0x100 || type == 0)
			tell_command(r, body);
		else
			told_code(r, &f_type, payloads, type & 0x3f);
		if (type == 0x12 && cur_skip(&body, 27))	/* RAKP 1: the user's name behind its length */
			rec_bytes(r, &f_user, cur_bytes(&body, cur_u8(&body)));
		rec_u64(r, &f_session, session);
	}
	say(px, dir, EV_APP, UINT32_MAX, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct rmcp *s = state;

	if (!good(*in))
		px_bad(px, "rmcp.malformed");
	else if (s->told < TOLD_MAX && cur_peek(in, 3) != 0x86) {
		s->told++;
		tell(px, dir, *in);
	}
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 623, 664, 0 };

const struct proto proto_rmcp = {
	.name = "rmcp",
	.app = APP_RMCP,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct rmcp),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
