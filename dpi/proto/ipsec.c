/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipsec: IKE versions 1 (RFC 2408) and 2 (7296), also behind the four zero bytes of port 4500. One `ipsec` event per message that begins or
 * carries an exchange in clear; ESP and what is sealed is not looked at.
 *
 *   SPIs(8 each) next payload(1) version(1) exchange(1) flags(1) message id(4) length(4), then payloads: next(1) (1) length(2) ... */
#include "dpi/proto/told.h"

#define HEADER 28u
#define TOLD_MAX 32u

static const struct fact f_version = { "version", FACT_PLAIN }, f_exchange = { "exchange", FACT_OPERATION }, f_init = { "initiator_spi", FACT_PLAIN },
	f_resp = { "responder_spi", FACT_PLAIN }, f_message = { "message_id", FACT_PLAIN }, f_sealed = { "encrypted", FACT_PLAIN };
static const struct fact *const facts[] = { &f_version, &f_exchange, &f_init, &f_resp, &f_message, &f_sealed, NULL };
static const struct code exchanges1[] = { { 1, "base" }, { 2, "identity_protection" }, { 3, "authentication_only" }, { 4, "aggressive" }, { 5, "informational" },
	{ 6, "transaction" }, { 32, "quick_mode" }, { 33, "new_group_mode" }, { 0, NULL } };
static const struct code exchanges2[] = { { 34, "ike_sa_init" }, { 35, "ike_auth" }, { 36, "create_child_sa" }, { 37, "informational" }, { 38, "ike_session_resume" },
	{ 43, "ike_intermediate" }, { 44, "ike_followup_ke" }, { 0, NULL } };

struct ike {
	struct bytes spi[2];
	uint8_t version, exchange;
	uint32_t message;
	bool sealed;
};

struct ipsec {
	uint32_t told;
};

static bool read(struct cursor c, struct ike *m)
{
	static const uint8_t zeros[8];
	size_t n;
	uint8_t next, flags;
	uint32_t len;

	if (cur_left(&c) > 4 && cur_starts(&c, zeros, 4))
		cur_skip(&c, 4);
	n = cur_left(&c);
	m->spi[0] = cur_bytes(&c, 8);
	m->spi[1] = cur_bytes(&c, 8);
	next = cur_u8(&c);
	m->version = cur_u8(&c) >> 4;
	m->exchange = cur_u8(&c);
	flags = cur_u8(&c);
	m->message = cur_be32(&c);
	len = cur_be32(&c);
	if (!cur_ok(&c) || len != n || !memcmp(m->spi[0].p, zeros, 8) || (m->version != 1 && m->version != 2))
		return false;
	if (!code_name(m->version == 1 ? exchanges1 : exchanges2, m->exchange) || (m->version == 1 ? flags > 7 : flags & 0xc7))
		return false;
	m->sealed = (m->version == 1 && flags & 1) || next == 46 || next == 53;
	for (unsigned i = 0; !m->sealed && i < 64 && next; i++) {
		uint16_t size;

		next = cur_u8(&c);
		cur_skip(&c, 1);
		size = cur_be16(&c);
		if (size < 4 || !cur_skip(&c, size - 4u))
			return false;
		if (next == 46 || next == 53)
			break;
	}
	return true;
}

static enum probe probe(const struct probe_in *in)
{
	struct ike m;

	return read(in->dir[in->now], &m) ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct ipsec *s = state;
	struct record *r;
	struct ike m;

	if (s->told < TOLD_MAX && read(*in, &m)) {
		s->told++;
		r = px_record(px);
		rec_u64(r, &f_version, m.version);
		rec_cstr(r, &f_exchange, code_name(m.version == 1 ? exchanges1 : exchanges2, m.exchange));
		told_hex(r, &f_init, m.spi[0]);
		told_hex(r, &f_resp, m.spi[1]);
		rec_u64(r, &f_message, m.message);
		if (m.sealed)
			rec_bool(r, &f_sealed, true);
		say(px, dir, EV_APP, UINT32_MAX, r);
	}
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 500, 4500, 0 };

const struct proto proto_ipsec = {
	.name = "ipsec",
	.app = APP_IPSEC,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct ipsec),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
