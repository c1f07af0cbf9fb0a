/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sip: RFC 3261 over UDP, TCP and SCTP. One `sip` event per message. Of bodies only session descriptions are looked at, for the media that they
 * announce. A flow is believed by a whole first line whose last or first word is SIP and a version. */
#include "dpi/proto/sip_parts.h"

static const struct fact f_method = { "method", FACT_OPERATION }, f_uri = { "uri", FACT_OBJECT }, f_code = { "code", FACT_PLAIN }, f_from = { "from", FACT_PLAIN },
	f_to = { "to", FACT_PLAIN }, f_call = { "call_id", FACT_PLAIN }, f_agent = { "user_agent", FACT_PLAIN }, f_user = { "user", FACT_USER };
static const struct fact *const facts[] = { &f_method, &f_uri, &f_code, &f_from, &f_to, &f_call, &f_agent, &f_user, NULL };

struct sip {
	uint32_t scanned[2];
	uint32_t described[2];		/* bytes of a session description that follow */
	uint32_t tx;
};

static void put(struct record *r, const struct fact *f, struct bytes b)
{
	if (b.n)
		rec_bytes(r, f, b);
}

/* False: no such message. *length: of its body; UINT64_MAX: it does not say. */
static bool message(struct px *px, struct sip *s, struct cursor head, uint64_t *length)
{
	struct sip_first first;
	struct record *r;
	struct bytes cseq;

	if (sip_first_line(head, "SIP/", &first) != PROBE_YES)
		return false;
	r = px_record(px);
	if (first.code) {
		struct cursor c;

		cseq = sip_field(head, "CSEQ", NULL);
		c = cur_of(cseq.p, cseq.n);
		line_word(&c);
		put(r, &f_method, line_word(&c));	/* which request it answers */
		rec_printf(r, &f_code, "%u", first.code);
	} else {
		rec_bytes(r, &f_method, first.method);
		rec_bytes(r, &f_uri, first.uri);
	}
	put(r, &f_from, sip_field(head, "FROM", "F"));
	put(r, &f_to, sip_field(head, "TO", "T"));
	put(r, &f_call, sip_field(head, "CALL-ID", "I"));
	put(r, &f_agent, sip_field(head, "USER-AGENT", NULL));
	put(r, &f_user, sip_username(sip_field(head, "AUTHORIZATION", NULL)));
	px_judge(px, r);
	px_emit(px, EV_SIP, s->tx++, r);
	*length = line_number(sip_field(head, "CONTENT-LENGTH", "L"));
	return true;
}

static bool is_description(struct cursor head)
{
	return line_begins(sip_field(head, "CONTENT-TYPE", "C"), "APPLICATION/SDP");
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct sip *s = state;
	uint64_t length;

	if (px_l4(px) != PROTO_TCP) {
		struct cursor all = *in, body = *in;
		uint32_t none = 0;

		cur_rest(in);
		if (cur_peek(&all, 0) <= ' ')	/* keep-alives: CRLFs, a zero */
			return PARSE_DONE;
		if (!message(px, s, all, &length)) {
			px_bad(px, "sip.bad_message");
			return PARSE_DONE;
		}
		cur_skip(&body, sip_head_length(&all, &none));
		if (is_description(all))
			sdp_announce(px, body);
		return PARSE_DONE;
	}
	while (cur_more(in)) {
		struct cursor head, body;
		size_t n;

		if (s->described[dir]) {
			if (msg_take(px, dir, in, s->described[dir], SDP_MOST, &body) == PARSE_MORE)
				return PARSE_MORE;
			s->described[dir] = 0;
			sdp_announce(px, body);
			continue;
		}
		if (!s->scanned[dir] && (cur_peek(in, 0) == '\r' || cur_peek(in, 0) == '\n')) {
			cur_skip(in, 1);
			continue;
		}
		n = sip_head_length(in, &s->scanned[dir]);
		if (n > SIP_HEAD_MOST || (!n && cur_left(in) > SIP_HEAD_MOST))
			return msg_bad(px, "sip.head_too_long");
		if (!n)
			return PARSE_MORE;
		head = cur_sub(in, n);
		if (!message(px, s, head, &length))
			return msg_bad(px, "sip.bad_message");
		if (length && length <= UINT32_MAX && is_description(head))
			s->described[dir] = (uint32_t)length;
		else if (length != UINT64_MAX)
			msg_pass(px, dir, in, length);
	}
	return PARSE_DONE;
}

static enum probe probe(const struct probe_in *in)
{
	struct sip_first first;
	enum probe p;

	if (!cur_left(&in->dir[in->now]))
		return PROBE_MORE;
	if (in->l4 == PROTO_TCP && !in->midstream && !cur_left(&in->dir[DIR_TOSERVER]))
		return PROBE_NO;
	p = sip_first_line(in->dir[in->l4 == PROTO_TCP && cur_left(&in->dir[DIR_TOSERVER]) ? DIR_TOSERVER : in->now], "SIP/", &first);
	return p == PROBE_MORE && in->l4 != PROTO_TCP ? PROBE_NO : p;
}

static const uint16_t ports[] = { 5060, 0 };

const struct proto proto_sip = {
	.name = "sip",
	.app = APP_SIP,
	.event = EV_SIP,
	.l4 = PROTO_TCP | PROTO_UDP | PROTO_SCTP,
	.ports = ports,
	.state_size = sizeof(struct sip),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
