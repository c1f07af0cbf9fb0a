/* SPDX-License-Identifier: GPL-2.0-or-later */
/* radius: RFC 2865, 2866, 5176. One `radius` event per message; an answer has the number of the request with its id.
 *
 *   code(1) id(1) length(2) authenticator(16), then attributes: type(1) length(1) value
 *
 * Attributes must fill the length, and the length the datagram. A message without any is believed on the usual ports only.
 * Passwords are not told. */
#include "dpi/proto/told.h"

#define HEADER 20u
#define LENGTH_MAX 4096u

static const struct fact f_code = { "code", FACT_OPERATION }, f_id = { "id", FACT_PLAIN }, f_user = { "user", FACT_USER },
	f_nas = { "nas_ip", FACT_PLAIN }, f_nas_id = { "nas_identifier", FACT_PLAIN }, f_called = { "called_station", FACT_PLAIN },
	f_calling = { "calling_station", FACT_PLAIN }, f_framed = { "framed_ip", FACT_PLAIN }, f_reply = { "reply_message", FACT_PLAIN },
	f_status = { "acct_status", FACT_PLAIN }, f_session = { "acct_session", FACT_PLAIN };
static const struct fact *const facts[] = { &f_code, &f_id, &f_user, &f_nas, &f_nas_id, &f_called, &f_calling, &f_framed, &f_reply, &f_status,
	&f_session, NULL };

static const struct code codes[] = {
	{ 1, "access_request" }, { 2, "access_accept" }, { 3, "access_reject" }, { 4, "accounting_request" }, { 5, "accounting_response" },
	{ 11, "access_challenge" }, { 12, "status_server" }, { 13, "status_client" }, { 40, "disconnect_request" }, { 41, "disconnect_ack" },
	{ 42, "disconnect_nak" }, { 43, "coa_request" }, { 44, "coa_ack" }, { 45, "coa_nak" }, { 0, NULL },
};
static const struct code statuses[] = { { 1, "start" }, { 2, "stop" }, { 3, "interim_update" }, { 7, "accounting_on" }, { 8, "accounting_off" }, { 0, NULL } };

struct radius {
	uint32_t next_tx;
	uint32_t waits[8];	/* bit per id: a request with it was not answered yet */
	uint16_t tx[256];	/* the low half of its number: it is among the last 65,536 */
};

/* The attributes of a whole message. */
static bool read_head(struct cursor in, uint8_t *code, uint8_t *id, struct cursor *attrs)
{
	size_t have = cur_left(&in);
	uint16_t len;

	*code = cur_u8(&in);
	*id = cur_u8(&in);
	len = cur_be16(&in);
	cur_skip(&in, 16);
	if (!cur_ok(&in) || !code_name(codes, *code) || len < HEADER || len > LENGTH_MAX || len != have)
		return false;
	*attrs = in;
	while (cur_more(&in)) {
		uint8_t type = cur_u8(&in), n = cur_u8(&in);

		if (!type || n < 2 || !cur_skip(&in, n - 2u))
			return false;
	}
	return true;
}

/* Some attribute has the length that its type must have, and none another one. */
static bool attrs_good(struct cursor c)
{
	bool known = false;

	while (cur_more(&c)) {
		uint8_t type = cur_u8(&c);
		struct cursor v = cur_sub(&c, cur_u8(&c) - 2u);
		size_t n = cur_left(&v);

		if (type == 4 || (type >= 5 && type <= 8) || type == 10 || type == 12 || type == 27 || type == 28 || type == 40 || type == 61) {
			if (n != 4)
				return false;
			known = true;
		}
		if (type == 80 && n != 16)
			return false;
		known |= type == 80 || type == 24 || type == 26 || type == 79 || type == 25;
		if (type == 1 || type == 32 || type == 18 || type == 30 || type == 31 || type == 44)
			known = true;
		if (type == 26 && (n < 4 || cur_peek(&v, 0)))
			return false;
		if ((type > 191 && type < 241) || type > 246)
			return false;
	}
	return known;
}

static enum probe probe(const struct probe_in *in)
{
	bool usual = in->dport == 1812 || in->dport == 1813 || in->dport == 1645 || in->dport == 1646 || in->dport == 3799;
	struct cursor attrs;
	uint8_t code, id;

	if (!read_head(in->dir[in->now], &code, &id, &attrs))
		return PROBE_NO;
	return attrs_good(attrs) || (usual && !cur_left(&attrs)) ? PROBE_YES : PROBE_NO;
}

static void tell_attr(struct record *r, uint8_t type, struct cursor v)
{
	switch (type) {
	case 1:
		rec_bytes(r, &f_user, cur_rest(&v));
		break;
	case 4:
		told_ip4(r, &f_nas, &v);
		break;
	case 8:
		told_ip4(r, &f_framed, &v);
		break;
	case 18:
		rec_bytes(r, &f_reply, cur_rest(&v));
		break;
	case 30:
		rec_bytes(r, &f_called, cur_rest(&v));
		break;
	case 31:
		rec_bytes(r, &f_calling, cur_rest(&v));
		break;
	case 32:
		rec_bytes(r, &f_nas_id, cur_rest(&v));
		break;
	case 40:
		told_code(r, &f_status, statuses, cur_be32(&v));
		break;
	case 44:
		rec_bytes(r, &f_session, cur_rest(&v));
		break;
	default:
		break;
	}
}

static bool is_request(uint8_t code) { return code == 1 || code == 4 || code == 12 || code == 13 || code == 40 || code == 43; }

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct radius *s = state;
	struct cursor attrs;
	uint64_t told[4] = { 0 };
	struct record *r;
	uint8_t code, id;
	uint32_t tx;

	if (!read_head(*in, &code, &id, &attrs)) {
		px_bad(px, "radius.malformed");
		cur_rest(in);
		return PARSE_DONE;
	}
	r = px_record(px);
	rec_cstr(r, &f_code, code_name(codes, code));
	rec_u64(r, &f_id, id);
	while (cur_more(&attrs)) {
		uint8_t type = cur_u8(&attrs);
		struct cursor v = cur_sub(&attrs, cur_u8(&attrs) - 2u);

		if (!(told[type / 64] >> type % 64 & 1))
			tell_attr(r, type, v);
		told[type / 64] |= UINT64_C(1) << type % 64;
	}
	if (is_request(code)) {
		tx = s->next_tx++;
		s->tx[id] = (uint16_t)tx;
		s->waits[id / 32] |= UINT32_C(1) << id % 32;
	} else if (s->waits[id / 32] >> id % 32 & 1) {
		tx = s->next_tx - 1 - (uint16_t)(s->next_tx - 1 - s->tx[id]);
		s->waits[id / 32] &= ~(UINT32_C(1) << id % 32);
	} else {
		tx = s->next_tx++;
	}
	say(px, dir, EV_APP, tx, r);
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 1812, 1813, 1645, 1646, 3799, 0 };

const struct proto proto_radius = {
	.name = "radius",
	.app = APP_RADIUS,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct radius),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
