/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dhcpv6: RFC 8415. One `dhcpv6` event per message; of a relayed one what the client said, and that it was relayed.
 *
 *   type(1) transaction(3) options            relays, types 12 and 13: type(1) hops(1) link(16) peer(16) options
 *   option: code(2) length(2) value
 *
 * There is no magic: all options must be known codes and end with the message, and one of them must be a client's or a
 * server's identifier of a known form (of an information request and of a relay's message another one will do). */
#include "dpi/proto/told.h"

#define OPTION_KNOWN 150u
#define RELAYS_MAX 8u
#define ADDRS_MAX 16u
#define OPT_CLIENT 1u
#define OPT_SERVER 2u
#define OPT_RELAYED 9u

static const struct fact f_type = { "type", FACT_OPERATION }, f_id = { "id", FACT_PLAIN }, f_relayed = { "relayed", FACT_PLAIN },
	f_client = { "client_duid", FACT_PLAIN }, f_server = { "server_duid", FACT_PLAIN }, f_host = { "hostname", FACT_OBJECT },
	f_addrs = { "addresses", FACT_PLAIN }, f_status = { "status", FACT_PLAIN };
static const struct fact *const facts[] = { &f_type, &f_id, &f_relayed, &f_client, &f_server, &f_host, &f_addrs, &f_status, NULL };

static const struct code types[] = {
	{ 1, "solicit" }, { 2, "advertise" }, { 3, "request" }, { 4, "confirm" }, { 5, "renew" }, { 6, "rebind" }, { 7, "reply" }, { 8, "release" },
	{ 9, "decline" }, { 10, "reconfigure" }, { 11, "information_request" }, { 12, "relay_forward" }, { 13, "relay_reply" }, { 0, NULL },
};
static const struct code statuses[] = {
	{ 0, "success" }, { 1, "unspec_fail" }, { 2, "no_addrs_avail" }, { 3, "no_binding" }, { 4, "not_on_link" }, { 5, "use_multicast" },
	{ 6, "no_prefix_avail" }, { 0, NULL },
};

struct option {
	uint16_t code;
	struct cursor v;
};

static bool option_next(struct cursor *in, struct option *o)
{
	o->code = cur_be16(in);
	o->v = cur_sub(in, cur_be16(in));
	return cur_ok(in);
}

static bool duid_good(struct cursor v)
{
	size_t n = cur_left(&v);
	uint16_t type = cur_be16(&v);

	return n >= 6 && n <= 130 && type >= 1 && type <= 4;
}

/* The message's options are all there and some of them say what only DHCPv6 says. */
static bool options_good(struct cursor in, bool lenient)
{
	struct option o;
	bool known = false;

	while (cur_more(&in)) {
		if (!option_next(&in, &o) || !o.code || o.code > OPTION_KNOWN)
			return false;
		if (o.code == OPT_CLIENT || o.code == OPT_SERVER) {
			if (!duid_good(o.v))
				return false;
			known = true;
		}
		known |= lenient && ((o.code == 8 && cur_left(&o.v) == 2) || (o.code == OPT_RELAYED && cur_left(&o.v) >= 4));
	}
	return known;
}

/* Steps over type and what comes before the options. */
static uint8_t head_skip(struct cursor *in)
{
	uint8_t type = cur_u8(in);

	cur_skip(in, type == 12 || type == 13 ? 33 : 3);
	return type;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	uint8_t hops = cur_peek(&c, 1), type = head_skip(&c);
	bool relay = type == 12 || type == 13;

	return cur_ok(&c) && type >= 1 && type <= 13 && (!relay || hops <= 32) && options_good(c, relay || type == 11) ? PROBE_YES : PROBE_NO;
}

/* Labels of a name with dots between them. */
static void tell_name(struct record *r, struct cursor v)
{
	char text[256];
	size_t at = 0;

	while (cur_more(&v)) {
		struct bytes label = cur_bytes(&v, cur_u8(&v));

		if (!label.n || at + label.n + 1 > sizeof(text))
			break;
		if (at)
			text[at++] = '.';
		memcpy(text + at, label.p, label.n);
		at += label.n;
	}
	rec_str(r, &f_host, text, at);
}

/* Addresses and prefixes inside IA_NA, IA_TA and IA_PD. */
static unsigned tell_ia(struct record *r, uint16_t code, struct cursor v, unsigned told)
{
	struct option o;

	cur_skip(&v, code == 4 ? 4 : 12);
	while (cur_more(&v) && option_next(&v, &o) && told < ADDRS_MAX) {
		if (o.code == 26)
			cur_skip(&o.v, 9);
		else if (o.code != 5)
			continue;
		if (cur_left(&o.v) >= 16 && !told++)
			rec_arr(r, &f_addrs);
		told_ip6(r, NULL, &o.v);
	}
	return told;
}

static void tell_addrs(struct record *r, struct cursor in)
{
	struct option o;
	unsigned told = 0;

	while (cur_more(&in) && option_next(&in, &o))
		if (o.code == 3 || o.code == 4 || o.code == 25)
			told = tell_ia(r, o.code, o.v, told);
	if (told)
		rec_end(r);
}

static bool tell_options(struct record *r, struct cursor in)
{
	struct option o;
	uint8_t seen = 0;

	tell_addrs(r, in);
	while (cur_more(&in)) {
		uint8_t bit;

		if (!option_next(&in, &o))
			return false;
		bit = o.code == OPT_CLIENT ? 1 : o.code == OPT_SERVER ? 2 : o.code == 39 ? 4 : o.code == 13 ? 8 : 0;
		if (!bit || seen & bit)
			continue;
		seen |= bit;
		if (bit == 4 && cur_skip(&o.v, 1))
			tell_name(r, o.v);
		else if (bit == 8)
			told_code(r, &f_status, statuses, cur_be16(&o.v));
		else if (bit <= 2)
			told_hex(r, bit == 1 ? &f_client : &f_server, cur_rest(&o.v));
	}
	return true;
}

/* What relays carry, at most RELAYS_MAX deep: *in becomes the options of the innermost message. */
static uint8_t innermost(struct cursor *in, uint8_t type, uint32_t *id)
{
	for (unsigned i = 0; i < RELAYS_MAX && (type == 12 || type == 13); i++) {
		struct cursor walk = *in, inner = cur_of(NULL, 0);
		struct option o;

		while (cur_more(&walk) && option_next(&walk, &o))
			if (o.code == OPT_RELAYED)
				inner = o.v;
		if (cur_left(&inner) < 4)
			break;
		type = cur_peek(&inner, 0);
		*id = (uint32_t)cur_peek(&inner, 1) << 16 | (uint32_t)cur_peek(&inner, 2) << 8 | cur_peek(&inner, 3);
		head_skip(&inner);
		*in = inner;
	}
	return type;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	uint32_t id = (uint32_t)cur_peek(in, 1) << 16 | (uint32_t)cur_peek(in, 2) << 8 | cur_peek(in, 3);
	struct cursor c = *in;
	uint8_t outer = head_skip(&c), type;
	struct record *r = px_record(px);

	(void)state;
	if (!cur_ok(&c) || !outer || outer > 13) {
		px_bad(px, "dhcpv6.malformed");
		cur_rest(in);
		return PARSE_DONE;
	}
	type = innermost(&c, outer, &id);
	told_code(r, &f_type, types, type);
	if (outer == 12 || outer == 13)
		rec_bool(r, &f_relayed, true);
	if (type != 12 && type != 13)
		rec_u64(r, &f_id, id);
	if (!tell_options(r, c))
		px_bad(px, "dhcpv6.malformed");
	say(px, dir, EV_APP, UINT32_MAX, r);
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 547, 546, 0 };

const struct proto proto_dhcpv6 = {
	.name = "dhcpv6",
	.app = APP_DHCPV6,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
