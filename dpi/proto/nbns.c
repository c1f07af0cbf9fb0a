/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nbns: NetBIOS names (RFC 1001, 1002). One `nbns` event per message.
 *
 *   the header of DNS, then names of one label with 32 letters A-P, two per byte: 15 characters of a name and a suffix that says
 *   what it is. That label is what tells it from DNS. */
#include "dpi/proto/told.h"

#define HEADER 12u
#define ADDRS_MAX 16u
#define NB 0x20u
#define NBSTAT 0x21u

static const struct fact f_type = { "type", FACT_PLAIN }, f_op = { "operation", FACT_OPERATION }, f_id = { "id", FACT_PLAIN },
	f_name = { "name", FACT_OBJECT }, f_suffix = { "suffix", FACT_PLAIN }, f_rcode = { "rcode", FACT_PLAIN }, f_addrs = { "addresses", FACT_PLAIN };
static const struct fact *const facts[] = { &f_type, &f_op, &f_id, &f_name, &f_suffix, &f_rcode, &f_addrs, NULL };

static const struct code ops[] = { { 0, "query" }, { 5, "registration" }, { 6, "release" }, { 7, "wack" }, { 8, "refresh" }, { 9, "refresh" }, { 15, "multihomed_registration" }, { 0, NULL } };
static const struct code rcodes[] = { { 0, "success" }, { 1, "format_error" }, { 2, "server_failure" }, { 3, "name_error" }, { 4, "not_implemented" }, { 5, "refused" }, { 6, "active" }, { 7, "conflict" }, { 0, NULL } };

struct nbname {
	uint8_t b[16];
};

/* Consumes the name and its scope; false: it is none. */
static bool name_read(struct cursor *c, struct nbname *name)
{
	if (cur_u8(c) != 32)
		return false;
	for (unsigned i = 0; i < 16; i++) {
		uint8_t hi = (uint8_t)(cur_u8(c) - 'A'), lo = (uint8_t)(cur_u8(c) - 'A');

		if (hi > 15 || lo > 15 || !cur_ok(c))
			return false;
		name->b[i] = (uint8_t)(hi << 4 | lo);
	}
	for (unsigned i = 0; i < 16; i++) {
		uint8_t n = cur_u8(c);

		if (!n)
			return cur_ok(c);
		if (n > 63 || !cur_skip(c, n))
			return false;
	}
	return false;
}

struct message {
	uint16_t id, flags, count[4], type;
	struct nbname name;
};

/* Up to the first name and its type; *c is then behind the class. */
static bool read_message(struct cursor *c, struct message *m)
{
	uint16_t class;

	m->id = cur_be16(c);
	m->flags = cur_be16(c);
	for (unsigned i = 0; i < 4; i++)
		m->count[i] = cur_be16(c);
	if (!cur_ok(c) || m->count[0] + m->count[1] == 0 || m->count[0] > 1 || m->count[1] > 32 || m->count[2] > 32 || m->count[3] > 32)
		return false;
	if (!code_name(ops, m->flags >> 11 & 15) || !name_read(c, &m->name))
		return false;
	m->type = cur_be16(c);
	class = cur_be16(c);
	return cur_ok(c) && class == 1 && (m->type == NB || m->type == NBSTAT || m->type == 10);
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	struct message m;

	return read_message(&c, &m) ? PROBE_YES : PROBE_NO;
}

static void tell_addrs(struct record *r, struct cursor c)
{
	struct cursor data;
	bool any = false;

	cur_skip(&c, 4);
	data = cur_sub(&c, cur_be16(&c));
	for (unsigned i = 0; i < ADDRS_MAX && cur_left(&data) >= 6; i++) {
		cur_skip(&data, 2);
		if (!any)
			rec_arr(r, &f_addrs);
		any = true;
		told_ip4(r, NULL, &data);
	}
	if (any)
		rec_end(r);
}

static void tell(struct px *px, enum dir dir, const struct message *m, struct cursor c)
{
	struct record *r = px_record(px);
	bool response = m->flags & 0x8000;
	size_t n = 15;

	while (n && (m->name.b[n - 1] == ' ' || !m->name.b[n - 1]))
		n--;
	rec_cstr(r, &f_type, response ? "answer" : "query");
	rec_cstr(r, &f_op, m->type == NBSTAT ? "status" : code_name(ops, m->flags >> 11 & 15));
	rec_u64(r, &f_id, m->id);
	rec_str(r, &f_name, m->name.b, n);
	rec_u64(r, &f_suffix, m->name.b[15]);
	if (response)
		told_code(r, &f_rcode, rcodes, m->flags & 15);
	if (m->type == NB && !m->count[0])
		tell_addrs(r, c);
	else if (m->count[0] && m->count[3] && cur_skip(&c, 6))	/* a registration: pointer, type and class first */
		tell_addrs(r, c);
	say(px, dir, EV_APP, UINT32_MAX, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct cursor c = *in;
	struct message m;

	(void)state;
	if (read_message(&c, &m))
		tell(px, dir, &m, c);
	else
		px_bad(px, "nbns.malformed");
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 137, 0 };

const struct proto proto_nbns = {
	.name = "nbns",
	.app = APP_NBNS,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
