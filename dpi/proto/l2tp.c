/* SPDX-License-Identifier: GPL-2.0-or-later */
/* l2tp: control messages of RFC 2661 (version 2) and 3931 (version 3 over UDP). One `l2tp` event per control message that says something.
 *
 *   flags and version(2) length(2) tunnel and session(2 each; 3: 4 together) Ns(2) Nr(2), then AVPs: flags and length(2) vendor(2) type(2) value
 *   the first one is the message's type: 8008 0000 0000 type(2) */
#include "dpi/proto/told.h"

static const struct fact f_type = { "type", FACT_OPERATION }, f_version = { "version", FACT_PLAIN }, f_tunnel = { "tunnel", FACT_PLAIN },
	f_host = { "hostname", FACT_OBJECT }, f_vendor = { "vendor", FACT_PLAIN };
static const struct fact *const facts[] = { &f_type, &f_version, &f_tunnel, &f_host, &f_vendor, NULL };
static const struct code types[] = { { 1, "sccrq" }, { 2, "sccrp" }, { 3, "scccn" }, { 4, "stopccn" }, { 6, "hello" }, { 7, "ocrq" }, { 8, "ocrp" }, { 9, "occn" },
	{ 10, "icrq" }, { 11, "icrp" }, { 12, "iccn" }, { 14, "cdn" }, { 15, "wen" }, { 16, "sli" }, { 20, "ack" }, { 0, NULL } };

/* *c is then behind the type; *type 0: an empty message, which only acknowledges. */
static bool control_open(struct cursor *c, uint8_t *version, uint16_t *type, uint16_t *tunnel)
{
	size_t n = cur_left(c);
	uint16_t flags = cur_be16(c), len = cur_be16(c);

	*version = flags & 15;
	*tunnel = cur_be16(c);
	cur_skip(c, 6);
	*type = 0;
	if (!cur_ok(c) || (flags != 0xc802 && flags != 0xc803) || len != n)
		return false;
	if (!cur_left(c))
		return true;
	if (cur_be16(c) != 0x8008 || cur_be32(c))
		return false;
	*type = cur_be16(c);
	return cur_ok(c) && code_name(types, *type);
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	uint16_t type, tunnel;
	uint8_t version;

	return control_open(&c, &version, &type, &tunnel) && type ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct cursor c = *in;
	uint16_t type, tunnel;
	uint8_t version;

	(void)state;
	if (control_open(&c, &version, &type, &tunnel) && type && type != 6 && type != 20) {
		struct record *r = px_record(px);

		rec_cstr(r, &f_type, code_name(types, type));
		rec_u64(r, &f_version, version);
		rec_u64(r, &f_tunnel, tunnel);
		for (unsigned i = 0; i < 32 && cur_left(&c) >= 6; i++) {
			uint16_t size = cur_be16(&c) & 0x3ff, vendor = cur_be16(&c), attr = cur_be16(&c);
			struct bytes v = cur_bytes(&c, size < 6 ? SIZE_MAX : size - 6u);

			if (!cur_ok(&c))
				break;
			if (!vendor && (attr == 7 || attr == 8))
				rec_bytes(r, attr == 7 ? &f_host : &f_vendor, v);
		}
		say(px, dir, EV_APP, UINT32_MAX, r);
	}
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 1701, 0 };

const struct proto proto_l2tp = {
	.name = "l2tp",
	.app = APP_L2TP,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
