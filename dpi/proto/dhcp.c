/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dhcp: RFC 2131, options of RFC 2132. One `dhcp` event per message, Suricata's names.
 *
 *   op(1) htype(1) hlen(1) hops(1) xid(4) secs(2) flags(2) ciaddr yiaddr siaddr giaddr(4 each) chaddr(16) sname(64) file(128)
 *   magic 63 82 53 63, then options: code(1) length(1) value; 0 pads, 255 ends
 *
 * The magic at its place and an op are enough on any port. BOOTP without the magic is not looked for. */
#include "dpi/proto/told.h"

#define MAGIC 0x63825363u
#define OPTIONS_MAX 128u
#define LIST_MAX 16u

static const struct fact f_type = { "type", FACT_PLAIN }, f_id = { "id", FACT_PLAIN }, f_mac = { "client_mac", FACT_PLAIN },
	f_assigned = { "assigned_ip", FACT_PLAIN }, f_client_ip = { "client_ip", FACT_PLAIN }, f_next = { "next_server_ip", FACT_PLAIN },
	f_relay = { "relay_ip", FACT_PLAIN }, f_dhcp_type = { "dhcp_type", FACT_OPERATION }, f_client_id = { "client_id", FACT_PLAIN },
	f_hostname = { "hostname", FACT_OBJECT }, f_requested = { "requested_ip", FACT_PLAIN }, f_server = { "server_id", FACT_PLAIN },
	f_lease = { "lease_time", FACT_PLAIN }, f_mask = { "subnet_mask", FACT_PLAIN }, f_routers = { "routers", FACT_PLAIN },
	f_dns = { "dns_servers", FACT_PLAIN }, f_domain = { "domain", FACT_PLAIN }, f_vendor = { "vendor_class_identifier", FACT_PLAIN };
static const struct fact *const facts[] = { &f_type, &f_id, &f_mac, &f_assigned, &f_client_ip, &f_next, &f_relay, &f_dhcp_type, &f_client_id,
	&f_hostname, &f_requested, &f_server, &f_lease, &f_mask, &f_routers, &f_dns, &f_domain, &f_vendor, NULL };

static const struct code types[] = {
	{ 1, "discover" }, { 2, "offer" }, { 3, "request" }, { 4, "decline" }, { 5, "ack" }, { 6, "nak" }, { 7, "release" }, { 8, "inform" },
	{ 9, "force_renew" }, { 10, "lease_query" }, { 11, "lease_unassigned" }, { 12, "lease_unknown" }, { 13, "lease_active" }, { 0, NULL },
};

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	uint8_t op = cur_u8(&c), htype = cur_u8(&c), hlen = cur_u8(&c), hops = cur_u8(&c);

	cur_skip(&c, 232);
	return cur_be32(&c) == MAGIC && (op == 1 || op == 2) && htype && htype < 64 && hlen <= 16 && hops <= 16 ? PROBE_YES : PROBE_NO;
}

/* An address unless it is 0.0.0.0. */
static void tell_addr(struct record *r, const struct fact *f, struct cursor *in)
{
	struct cursor c = cur_sub(in, 4), look = c;

	if (cur_be32(&look))
		told_ip4(r, f, &c);
}

static void tell_list(struct record *r, const struct fact *f, struct cursor v)
{
	rec_arr(r, f);
	for (unsigned i = 0; i < LIST_MAX && cur_left(&v) >= 4; i++)
		told_ip4(r, NULL, &v);
	rec_end(r);
}

static void tell_option(struct record *r, uint8_t code, struct cursor v)
{
	struct bytes b = { v.pos, cur_left(&v) };

	switch (code) {
	case 1:
		told_ip4(r, &f_mask, &v);
		break;
	case 3:
		tell_list(r, &f_routers, v);
		break;
	case 6:
		tell_list(r, &f_dns, v);
		break;
	case 12:
		rec_bytes(r, &f_hostname, up_to_nul(b));
		break;
	case 15:
		rec_bytes(r, &f_domain, up_to_nul(b));
		break;
	case 50:
		told_ip4(r, &f_requested, &v);
		break;
	case 51:
		rec_u64(r, &f_lease, cur_be32(&v));
		break;
	case 53:
		told_code(r, &f_dhcp_type, types, cur_u8(&v));
		break;
	case 54:
		told_ip4(r, &f_server, &v);
		break;
	case 60:
		rec_bytes(r, &f_vendor, up_to_nul(b));
		break;
	case 61:	/* a hardware type and address, mostly */
		if (b.n == 7 && b.p[0] == 1)
			told_mac(r, &f_client_id, (struct bytes){ b.p + 1, 6 });
		else
			told_hex(r, &f_client_id, b);
		break;
	default:
		break;
	}
}

/* True when they end as they should. */
static bool tell_options(struct record *r, struct cursor *in)
{
	for (unsigned i = 0; i < OPTIONS_MAX && cur_more(in);) {
		uint8_t code = cur_u8(in);
		struct cursor v;

		if (!code)
			continue;
		if (code == 255)
			return true;
		i++;
		v = cur_sub(in, cur_u8(in));
		if (!cur_ok(in))
			return false;
		tell_option(r, code, v);
	}
	return true;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct record *r = px_record(px);
	uint8_t op = cur_u8(in), hlen;
	struct bytes mac;
	bool good;

	(void)state;
	cur_skip(in, 1);
	hlen = cur_u8(in);
	cur_skip(in, 1);
	rec_cstr(r, &f_type, op == 1 ? "request" : "reply");
	rec_u64(r, &f_id, cur_be32(in));
	cur_skip(in, 4);
	tell_addr(r, &f_client_ip, in);
	tell_addr(r, &f_assigned, in);
	tell_addr(r, &f_next, in);
	tell_addr(r, &f_relay, in);
	mac = cur_bytes(in, 16);
	if (hlen == 6)
		told_mac(r, &f_mac, mac);
	cur_skip(in, 192);
	good = cur_be32(in) == MAGIC && cur_ok(in);
	if (good) {
		good = tell_options(r, in);
		say(px, dir, EV_DHCP, UINT32_MAX, r);
	}
	if (!good)
		px_bad(px, "dhcp.malformed");
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 67, 68, 4011, 0 };

const struct proto proto_dhcp = {
	.name = "dhcp",
	.app = APP_DHCP,
	.event = EV_DHCP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
