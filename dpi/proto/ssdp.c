/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssdp: UPnP's discovery, HTTP-like heads in datagrams. One `ssdp` event per message. */
#include "dpi/proto/told.h"

#define LINES_MAX 40u

static const struct fact f_method = { "method", FACT_OPERATION }, f_st = { "target", FACT_OBJECT }, f_usn = { "usn", FACT_PLAIN },
	f_nts = { "nts", FACT_PLAIN }, f_location = { "location", FACT_PLAIN }, f_server = { "server", FACT_PLAIN };
static const struct fact *const facts[] = { &f_method, &f_st, &f_usn, &f_nts, &f_location, &f_server, NULL };

static const struct { const char *name; const struct fact *f; } fields[] = {
	{ "st", &f_st }, { "nt", &f_st }, { "usn", &f_usn }, { "nts", &f_nts }, { "location", &f_location }, { "server", &f_server }, { "user-agent", &f_server },
};

static bool name_is(struct bytes b, const char *lower)
{
	if (b.n != strlen(lower))
		return false;
	for (size_t i = 0; i < b.n; i++)
		if ((b.p[i] >= 'A' && b.p[i] <= 'Z' ? b.p[i] + 32 : b.p[i]) != lower[i])
			return false;
	return true;
}

static const char *first_line(const struct cursor *c)
{
	static const char search[] = "M-SEARCH * HTTP/1.", notify[] = "NOTIFY * HTTP/1.", ok[] = "HTTP/1.1 200 OK\r\n";

	return cur_starts(c, search, sizeof(search) - 1) ? "M-SEARCH" : cur_starts(c, notify, sizeof(notify) - 1) ? "NOTIFY" :
		cur_starts(c, ok, sizeof(ok) - 1) ? "response" : NULL;
}

/* name, colon, blanks, value */
static bool field_next(struct cursor *c, struct bytes *name, struct bytes *value)
{
	struct bytes line;
	struct cursor l;
	size_t colon;

	if (!cur_line(c, &line) || !line.n)
		return false;
	l = cur_of(line.p, line.n);
	colon = cur_find(&l, ':');
	*name = cur_bytes(&l, colon == SIZE_MAX ? cur_left(&l) : colon);
	cur_skip(&l, colon == SIZE_MAX ? 0 : 1);
	while (cur_more(&l) && cur_peek(&l, 0) == ' ')
		cur_skip(&l, 1);
	*value = cur_rest(&l);
	return true;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	const char *first = first_line(&c);
	struct bytes line, value;
	bool st = false, usn = false;

	if (!first)
		return PROBE_NO;
	if (*first != 'r')
		return PROBE_YES;
	cur_line(&c, &line);
	for (unsigned i = 0; i < LINES_MAX && field_next(&c, &line, &value); i++) {
		st |= name_is(line, "st");
		usn |= name_is(line, "usn");
	}
	return st && usn ? PROBE_YES : PROBE_NO;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	const char *first = first_line(in);
	struct bytes name, value;
	struct record *r;
	uint32_t told = 0;

	(void)state;
	if (first) {
		r = px_record(px);
		rec_cstr(r, &f_method, first);
		cur_line(in, &name);
		for (unsigned i = 0; i < LINES_MAX && field_next(in, &name, &value); i++)
			for (unsigned k = 0; k < sizeof(fields) / sizeof(fields[0]); k++)
				if (!(told >> k & 1) && name_is(name, fields[k].name)) {
					told |= 1u << k;
					rec_bytes(r, fields[k].f, value);
				}
		say(px, dir, EV_APP, UINT32_MAX, r);
	}
	cur_rest(in);
	return PARSE_DONE;
}

static const uint16_t ports[] = { 1900, 0 };

const struct proto proto_ssdp = {
	.name = "ssdp",
	.app = APP_SSDP,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
