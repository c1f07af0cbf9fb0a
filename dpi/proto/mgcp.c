/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mgcp: the Media Gateway Control Protocol (RFC 3435) over UDP. One event per command and response; several may share a datagram, with a line of one
 * dot between them.
 *
 *   VERB transaction endpoint MGCP 1.0 [profile] CRLF, or code transaction [comment] CRLF; then parameters "C: value", an empty line, a session description
 * whose media are expected (sip_parts.h). A flow is believed by a command's first line. */
#include "dpi/proto/sip_parts.h"
#include "dpi/proto/told.h"

#define MESSAGES_MAX 32u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_endpoint = { "endpoint", FACT_OBJECT }, f_transaction = { "transaction", FACT_PLAIN },
	f_code = { "code", FACT_PLAIN }, f_call = { "call_id", FACT_PLAIN }, f_connection = { "connection_id", FACT_PLAIN }, f_mode = { "mode", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_endpoint, &f_transaction, &f_code, &f_call, &f_connection, &f_mode, NULL };

static const char *const verbs[] = { "EPCF", "CRCX", "MDCX", "DLCX", "RQNT", "NTFY", "AUEP", "AUCX", "RSIP", NULL };

struct first {
	int verb;	/* -1: a response */
	unsigned code;
	struct bytes transaction, endpoint;
};

static bool number(struct bytes b) { return b.n && b.n <= 9 && line_number(b) != UINT64_MAX; }

static bool first_read(struct bytes line, struct first *f)
{
	struct cursor c = cur_of(line.p, line.n);
	struct bytes word = line_word(&c);

	*f = (struct first){ .verb = line_which(word, verbs), .transaction = line_word(&c) };
	if (!number(f->transaction))
		return false;
	if (f->verb < 0) {
		f->code = word.n == 3 ? line_code(word) : 0;
		return f->code != 0;
	}
	f->endpoint = line_word(&c);
	return f->endpoint.n && line_is(line_word(&c), "MGCP") && line_begins(line_word(&c), "1.");
}

/* The value of "X: value"; n 0: it is not this one. */
static struct bytes parameter(struct bytes line, const char *name)
{
	struct cursor c = cur_of(line.p, line.n);

	if (!line_begins(line, name) || cur_peek(&c, strlen(name)) != ':')
		return (struct bytes){ NULL, 0 };
	cur_skip(&c, strlen(name) + 1);
	return line_rest(&c);
}

static void put(struct record *r, const struct fact *f, struct bytes b)
{
	if (b.n)
		rec_bytes(r, f, b);
}

/* One message; c stands behind it then. False: there was none. */
static bool message(struct px *px, enum dir dir, struct cursor *c)
{
	struct cursor description = cur_of(NULL, 0);
	struct first f;
	struct record *r;
	struct bytes line;
	bool body = false;

	if (!cur_line(c, &line))
		line = cur_rest(c);
	if (!first_read(line, &f))
		return false;
	r = px_record(px);
	if (f.verb >= 0) {
		rec_cstr(r, &f_operation, verbs[f.verb]);
		rec_bytes(r, &f_endpoint, f.endpoint);
	} else {
		rec_cstr(r, &f_operation, "response");
		rec_u64(r, &f_code, f.code);
	}
	rec_bytes(r, &f_transaction, f.transaction);
	while (cur_more(c)) {
		if (!cur_line(c, &line))
			line = cur_rest(c);
		if (bytes_are(line, "."))
			break;
		if (!line.n && !body) {
			body = true;
			description = *c;
		}
		if (body)
			continue;
		put(r, &f_call, parameter(line, "C"));
		put(r, &f_connection, parameter(line, "I"));
		put(r, &f_mode, parameter(line, "M"));
	}
	say(px, dir, EV_APP, UINT32_MAX, r);
	if (cur_left(&description))
		sdp_announce(px, cur_sub(&description, cur_left(&description) - cur_left(c)));
	return true;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct cursor c = *in;

	(void)state;
	cur_rest(in);
	for (unsigned n = 0; cur_more(&c) && n < MESSAGES_MAX; n++)
		if (!message(px, dir, &c)) {
			px_bad(px, "mgcp.malformed");
			break;
		}
	return PARSE_DONE;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	struct bytes line;
	struct first f;

	return line_text(&c) && cur_line(&c, &line) && first_read(line, &f) && f.verb >= 0 ? PROBE_YES : PROBE_NO;
}

static const uint16_t ports[] = { 2427, 2727, 0 };

const struct proto proto_mgcp = {
	.name = "mgcp",
	.app = APP_MGCP,
	.event = EV_APP,
	.l4 = PROTO_UDP,
	.ports = ports,
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
