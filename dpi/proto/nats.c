/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nats: clients and servers.
 *
 *   server: INFO {json}   MSG subject sid [reply] size   HMSG subject sid [reply] header-size size   +OK   -ERR 'text'   PING PONG
 *   client: CONNECT {json}   PUB subject [reply] size   HPUB subject [reply] header-size size   SUB subject [queue] sid   UNSUB sid [max]
 *
 * Each ends in CRLF; after those with a size so many bytes and CRLF follow, which are passed by. One event per line but PING, PONG,
 * +OK and UNSUB. A flow is believed by INFO or CONNECT with what must be in them, in its middle by a line whose size holds. */
#include "dpi/message.h"
#include "dpi/proto/json.h"
#include "dpi/proto/line.h"

#define LINE_MOST 32768u
#define PAYLOAD_MOST (1u << 30)
#define ARGS 5u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_subject = { "subject", FACT_OBJECT }, f_filter = { "subject", FACT_FILTER }, f_reply = { "reply_to", FACT_PLAIN },
	f_queue = { "queue_group", FACT_PLAIN }, f_size = { "size", FACT_PLAIN }, f_user = { "user", FACT_USER }, f_name = { "name", FACT_PLAIN },
	f_version = { "version", FACT_PLAIN }, f_lang = { "lang", FACT_PLAIN }, f_server = { "server_id", FACT_PLAIN }, f_error = { "error", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_subject, &f_reply, &f_queue, &f_size, &f_user, &f_name, &f_version, &f_lang, &f_server,
	&f_error, NULL };

enum op { INFO, CONNECT, PUB, HPUB, SUB, UNSUB, MSG, HMSG, PING, PONG, OK, ERR };
static const char *const ops[] = { "INFO", "CONNECT", "PUB", "HPUB", "SUB", "UNSUB", "MSG", "HMSG", "PING", "PONG", "+OK", "-ERR", NULL };

struct nats {
	uint32_t scanned[2];
	uint32_t tx;
};

/* ---- a line ---- */

static void put_json(struct record *r, const struct fact *f, struct bytes json)
{
	struct bytes s = json_value(json, 1, f->name);

	if (s.n)
		json_put(r, f, s);
}

struct line {
	enum op op;
	struct bytes arg[ARGS];
	unsigned n;
	struct bytes rest;	/* behind the first word */
	uint64_t size;
};

static bool line_read(struct bytes text, struct line *l)
{
	struct cursor c = cur_of(text.p, text.n);
	int op = line_which(line_word(&c), ops);
	struct cursor all = c;

	*l = (struct line){ .size = 0 };
	if (op < 0)
		return false;
	l->op = (enum op)op;
	l->rest = line_rest(&all);
	while (l->n < ARGS && (l->arg[l->n] = line_word(&c)).n)
		l->n++;
	switch (l->op) {
	case PUB:
	case HPUB:
	case MSG:
	case HMSG:
		if (l->n < (l->op == PUB ? 2u : l->op == HMSG ? 4u : 3u) || l->n > (l->op == PUB ? 3u : l->op == HMSG ? 5u : 4u))
			return false;
		l->size = line_number(l->arg[l->n - 1]);
		return l->size <= PAYLOAD_MOST && ((l->op != HPUB && l->op != HMSG) || line_number(l->arg[l->n - 2]) <= l->size);
	case SUB:
		return l->n == 2 || l->n == 3;
	case UNSUB:
		return l->n == 1 || l->n == 2;
	case INFO:
	case CONNECT:
		return l->rest.n >= 2 && l->rest.p[0] == '{';
	case PING:
	case PONG:
	case OK:
		return !l->n;
	case ERR:
		return true;
	}
	return false;
}

static void tell(struct px *px, struct nats *s, enum dir dir, const struct line *l)
{
	struct record *r;
	unsigned reply = l->op == PUB ? 3 : l->op == HPUB || l->op == MSG ? 4 : 5;

	if (l->op == PING || l->op == PONG || l->op == OK || l->op == UNSUB)
		return;
	r = px_record(px);
	rec_cstr(r, &f_operation, ops[l->op]);
	if (l->op == INFO) {
		put_json(r, &f_server, l->rest);
		put_json(r, &f_version, l->rest);
	} else if (l->op == CONNECT) {
		put_json(r, &f_user, l->rest);
		put_json(r, &f_name, l->rest);
		put_json(r, &f_lang, l->rest);
		put_json(r, &f_version, l->rest);
	} else if (l->op == ERR) {
		rec_bytes(r, &f_error, l->rest);
	} else {
		rec_bytes(r, l->op == SUB ? &f_filter : &f_subject, l->arg[0]);
		if (l->op == SUB && l->n == 3)
			rec_bytes(r, &f_queue, l->arg[1]);
		if (l->op != SUB && l->n == reply)
			rec_bytes(r, &f_reply, l->arg[l->op == PUB || l->op == HPUB ? 1 : 2]);
		if (l->op != SUB)
			rec_u64(r, &f_size, l->size);
	}
	if (dir == DIR_TOSERVER)
		px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct nats *s = state;

	while (cur_more(in)) {
		struct bytes text = { NULL, 0 };
		struct line l;
		enum parse p = line_next(in, &s->scanned[dir], LINE_MOST, &text);

		if (p == PARSE_BAD)
			return msg_bad(px, "nats.line_too_long");
		if (p == PARSE_MORE)
			return p;
		if (!text.n)
			continue;
		if (!line_read(text, &l))
			return msg_bad(px, "nats.bad_line");
		tell(px, s, dir, &l);
		if (l.op == PUB || l.op == HPUB || l.op == MSG || l.op == HMSG)
			msg_pass(px, dir, in, l.size + 2);
	}
	return PARSE_DONE;
}

/* ---- recognition ---- */

static enum probe probe_line(struct cursor c, bool midstream)
{
	static const char *const first[] = { "INFO {\"", "CONNECT {\"" };
	struct bytes text = { c.pos, cur_left(&c) };
	struct line l;

	for (unsigned i = 0; i < 2; i++) {
		if (!line_may(text, first[i]))
			continue;
		if (!line_text(&c))
			return PROBE_NO;
		if (!cur_line(&c, &text))
			return cur_left(&c) < LINE_MOST ? PROBE_MORE : PROBE_NO;
		return line_read(text, &l) && (i ? json_value(l.rest, 1, "lang").n || json_value(l.rest, 1, "version").n || memmem(text.p, text.n, "\"verbose\"", 9) :
			json_value(l.rest, 1, "server_id").n != 0) ? PROBE_YES : PROBE_NO;
	}
	if (!midstream || !line_text(&c) || (cur_peek(&c, 0) != 'P' && cur_peek(&c, 0) != 'M' && cur_peek(&c, 0) != 'H'))
		return PROBE_NO;
	if (!cur_line(&c, &text))
		return text.n < 512 ? PROBE_MORE : PROBE_NO;
	if (!line_read(text, &l) || l.op == PING || l.op == PONG || c.pos[-2] != '\r')
		return PROBE_NO;
	/* what follows must end where it says */
	if (cur_left(&c) < l.size + 2)
		return l.size < 8192 ? PROBE_MORE : PROBE_NO;
	cur_skip(&c, (size_t)l.size);
	return cur_starts(&c, "\r\n", 2) ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	enum probe all = PROBE_NO;

	if (!cur_left(&in->dir[0]) && !cur_left(&in->dir[1]))
		return PROBE_MORE;
	for (unsigned d = 0; d < 2; d++) {
		enum probe p = cur_left(&in->dir[d]) ? probe_line(in->dir[d], in->midstream) : PROBE_NO;

		if (p == PROBE_YES)
			return p;
		if (p == PROBE_MORE)
			all = p;
	}
	return all;
}

static const uint16_t ports[] = { 4222, 0 };

const struct proto proto_nats = {
	.name = "nats",
	.app = APP_NATS,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct nats),
	.probe = probe,
	.parse = parse,
	.facts = facts,
	.for_events = true,
};
