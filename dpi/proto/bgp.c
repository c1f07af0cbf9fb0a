/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bgp: RFC 4271. One `bgp` event per message but KEEPALIVE, up to TOLD_MAX a flow.
 *
 *   marker FF(16) length(2) type(1): 1 OPEN, 2 UPDATE, 3 NOTIFICATION, 4 KEEPALIVE, 5 ROUTE-REFRESH */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEADER 19u
#define LENGTH_MAX 65535u
#define TOLD_MAX 256u
#define PREFIXES_MAX 16u

static const struct fact f_type = { "type", FACT_OPERATION }, f_as = { "as", FACT_PLAIN }, f_id = { "router_id", FACT_PLAIN },
	f_hold = { "hold_time", FACT_PLAIN }, f_prefixes = { "prefixes", FACT_PLAIN }, f_withdrawn = { "withdrawn", FACT_PLAIN },
	f_code = { "error_code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_type, &f_as, &f_id, &f_hold, &f_prefixes, &f_withdrawn, &f_code, NULL };

static const struct code types[] = { { 1, "open" }, { 2, "update" }, { 3, "notification" }, { 4, "keepalive" }, { 5, "route_refresh" }, { 0, NULL } };
static const struct code errors[] = { { 1, "message_header" }, { 2, "open" }, { 3, "update" }, { 4, "hold_timer_expired" }, { 5, "fsm" }, { 6, "cease" }, { 0, NULL } };

struct bgp {
	uint32_t told;
};

static enum probe probe_stream(struct cursor c)
{
	uint16_t len;
	uint8_t type;

	for (unsigned i = 0; i < 16; i++)
		if (cur_left(&c) && cur_u8(&c) != 0xff)
			return PROBE_NO;
	len = cur_be16(&c);
	type = cur_u8(&c);
	if (!cur_ok(&c))
		return PROBE_MORE;
	return len >= HEADER && type >= 1 && type <= 5 ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	return probe_stream(in->dir[cur_left(&in->dir[DIR_TOSERVER]) ? DIR_TOSERVER : DIR_TOCLIENT]);
}

/* bits(1) and as many bytes as they need */
static void tell_prefixes(struct record *r, const struct fact *f, struct cursor c)
{
	if (!cur_left(&c))
		return;
	rec_arr(r, f);
	for (unsigned i = 0; i < PREFIXES_MAX && cur_more(&c); i++) {
		uint8_t bits = cur_u8(&c), a[4] = { 0 };
		struct bytes b = cur_bytes(&c, (bits + 7u) / 8);

		if (bits > 32 || !cur_ok(&c))
			break;
		for (size_t k = 0; k < b.n; k++)
			a[k] = b.p[k];
		rec_printf(r, NULL, "%u.%u.%u.%u/%u", a[0], a[1], a[2], a[3], bits);
	}
	rec_end(r);
}

static void tell(struct px *px, struct bgp *s, enum dir dir, uint8_t type, struct cursor c)
{
	struct record *r = px_record(px);
	struct cursor withdrawn;

	if (type == 4 || s->told == TOLD_MAX)
		return;
	s->told++;
	rec_cstr(r, &f_type, code_name(types, type));
	if (type == 1 && cur_skip(&c, 1)) {
		rec_u64(r, &f_as, cur_be16(&c));
		rec_u64(r, &f_hold, cur_be16(&c));
		told_ip4(r, &f_id, &c);
	} else if (type == 2) {
		withdrawn = cur_sub(&c, cur_be16(&c));
		tell_prefixes(r, &f_withdrawn, withdrawn);
		if (cur_skip(&c, cur_be16(&c)))
			tell_prefixes(r, &f_prefixes, c);
	} else if (type == 3) {
		told_code(r, &f_code, errors, cur_u8(&c));
	}
	say(px, dir, EV_APP, UINT32_MAX, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	while (cur_more(in)) {
		struct cursor ahead = *in, view = cur_of(NULL, 0);
		uint64_t marker = cur_be64(&ahead) & cur_be64(&ahead);
		uint16_t len = cur_be16(&ahead);
		uint8_t type = cur_u8(&ahead);
		enum parse p;

		if (!cur_ok(&ahead))
			return msg_more(px, HEADER);
		if (marker != UINT64_MAX || len < HEADER || type < 1 || type > 5)
			return msg_bad(px, "bgp.header");
		p = msg_take(px, dir, in, len, 4096, &view);
		if (p != PARSE_DONE)
			return p;
		cur_skip(&view, HEADER);
		tell(px, state, dir, type, view);
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 179, 0 };

const struct proto proto_bgp = {
	.name = "bgp",
	.app = APP_BGP,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct bgp),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
