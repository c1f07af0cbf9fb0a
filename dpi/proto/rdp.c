/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rdp: the connection request and its answer ([MS-RDPBCGR] 2.2.1.1), before TLS or RDP's own security begins. One `rdp` event per connection.
 *
 *   TPKT: 3 0 length(2)    X.224: length(1) E0 or D0, references(4) class(1), { "Cookie: mstshash=USER" CR LF } { 1 or 2 flags(1) 8 0 protocols(4) }
 *
 * Without a cookie and without a negotiation the request is any ISO transport's: then the usual port must say so. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define LONGEST 1024u

static const struct fact f_user = { "cookie", FACT_USER }, f_asked = { "requested", FACT_PLAIN }, f_chosen = { "selected", FACT_PLAIN },
	f_failure = { "failure", FACT_PLAIN };
static const struct fact *const facts[] = { &f_user, &f_asked, &f_chosen, &f_failure, NULL };
static const struct code protocols[] = { { 0, "rdp" }, { 1, "tls" }, { 2, "credssp" }, { 3, "tls,credssp" }, { 8, "credssp_early" }, { 11, "tls,credssp,credssp_early" }, { 0, NULL } };
static const struct code failures[] = { { 1, "ssl_required" }, { 2, "ssl_not_allowed" }, { 3, "ssl_cert_missing" }, { 4, "inconsistent_flags" },
	{ 5, "hybrid_required" }, { 6, "ssl_with_user_auth_required" }, { 0, NULL } };
static const char cookie[] = "Cookie: mstshash=";

struct rdp {
	struct saved *told;
};

/* The X.224 message: its type and what follows its fixed part. MORE: not all there. */
static enum probe x224_open(struct cursor *c, uint8_t *type, struct cursor *rest)
{
	static const uint8_t start[] = { 3, 0 };
	uint16_t len;
	uint8_t li;

	if (!cur_starts(c, start, cur_left(c) < 2 ? cur_left(c) : 2))
		return PROBE_NO;
	if (cur_left(c) < 11)
		return PROBE_MORE;
	cur_skip(c, 2);
	len = cur_be16(c);
	li = cur_u8(c);
	*type = cur_u8(c);
	cur_skip(c, 5);
	if (len < 11 || len > LONGEST || li + 5u != len || (*type != 0xe0 && *type != 0xd0))
		return PROBE_NO;
	if (len - 11u > cur_left(c))
		return PROBE_MORE;
	*rest = cur_sub(c, len - 11u);
	return PROBE_YES;
}

/* The last 8 bytes may be a negotiation. */
static bool negotiation(struct cursor rest, uint8_t *kind, uint32_t *v)
{
	if (cur_left(&rest) < 8)
		return false;
	cur_skip(&rest, cur_left(&rest) - 8);
	*kind = cur_u8(&rest);
	cur_skip(&rest, 1);
	if (cur_le16(&rest) != 8)
		return false;
	*v = cur_le32(&rest);
	return *kind >= 1 && *kind <= 3;
}

static enum probe probe_stream(struct cursor c, bool usual)
{
	struct cursor rest = cur_of(NULL, 0);
	uint8_t type, kind;
	uint32_t v;
	enum probe p = x224_open(&c, &type, &rest);

	if (p != PROBE_YES)
		return p;
	return negotiation(rest, &kind, &v) || cur_starts(&rest, cookie, sizeof(cookie) - 1) || (usual && !cur_left(&rest)) ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *up = &in->dir[DIR_TOSERVER];

	return probe_stream(cur_left(up) ? *up : in->dir[DIR_TOCLIENT], in->dport == 3389);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct rdp *s = state;
	struct cursor c = *in, rest = cur_of(NULL, 0);
	uint8_t type, kind;
	struct record *r;
	uint32_t v;
	enum probe p = x224_open(&c, &type, &rest);

	if (p == PROBE_MORE)
		return msg_more(px, cur_left(in) + 1);
	if (p == PROBE_NO) {
		if (dir == DIR_TOSERVER && s->told) {	/* it goes on; the answer may have been lost */
			cur_rest(in);
			return PARSE_DONE;
		}
		return msg_bad(px, "rdp.malformed");
	}
	*in = c;
	r = px_record(px);
	if (type == 0xe0) {
		if (cur_starts(&rest, cookie, sizeof(cookie) - 1)) {
			struct cursor line = rest;
			struct bytes user;

			cur_skip(&line, sizeof(cookie) - 1);
			if (cur_line(&line, &user))
				rec_bytes(r, &f_user, user);
		}
		if (negotiation(rest, &kind, &v) && kind == 1)
			told_code(r, &f_asked, protocols, v);
		px_judge(px, r);
		px_saved_free(px, s->told);
		s->told = px_save(px, r);
		return PARSE_DONE;
	}
	if (s->told)
		rec_append(r, s->told->body, s->told->len);
	if (negotiation(rest, &kind, &v) && kind >= 2)
		told_code(r, kind == 2 ? &f_chosen : &f_failure, kind == 2 ? protocols : failures, v);
	else if (type == 0xd0 && !cur_left(&rest))
		rec_cstr(r, &f_chosen, "rdp");	/* of old, nothing was negotiated */
	px_emit(px, EV_APP, UINT32_MAX, r);
	px_saved_free(px, s->told);
	s->told = NULL;
	cur_rest(in);
	px_stop(px);
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct rdp *s = state;
	struct record *r;

	if (!s->told)
		return;
	r = px_record(px);
	rec_append(r, s->told->body, s->told->len);
	px_emit(px, EV_APP, UINT32_MAX, r);
	px_saved_free(px, s->told);
}

static const uint16_t ports[] = { 3389, 0 };

const struct proto proto_rdp = {
	.name = "rdp",
	.app = APP_RDP,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct rdp),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
