/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pop3: RFC 1939, with AUTH (5034) and STLS (2595).
 *
 * One event per command when its reply is there, known by order. Mails and lists end with a line of one dot and are passed by.
 * Passwords are never told. After STLS and its +OK the flow is recognised anew. */
#include "dpi/message.h"
#include "dpi/proto/line.h"
#include "dpi/proto/sasl.h"

#define LINE_MOST 8192u
#define STRANGE_MOST 16u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_argument = { "argument", FACT_OBJECT }, f_user = { "user", FACT_USER },
	f_mechanism = { "mechanism", FACT_PLAIN }, f_status = { "status", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_argument, &f_user, &f_mechanism, &f_status, NULL };

enum { USER, PASS, APOP, AUTH, CAPA, STLS, STAT, LIST, RETR, DELE, NOOP, RSET, QUIT, TOP, UIDL, LAST, UTF8, LANG, XTND, ID };
static const char *const commands[] = { "USER", "PASS", "APOP", "AUTH", "CAPA", "STLS", "STAT", "LIST", "RETR", "DELE", "NOOP", "RSET", "QUIT", "TOP", "UIDL", "LAST",
	"UTF8", "LANG", "XTND", "ID", NULL };

enum { ONE_LINE, MANY_LINES, TLS, LOGIN };	/* what a command's +OK means: asked.id */

struct pop3 {
	struct asks asks;
	uint32_t scanned[2];
	uint16_t strange;
	bool greeted;
	bool answer;		/* the client's next line answers a challenge */
	uint8_t how;		/* enum sasl_how: its first answer names the user so */
	bool text, inside;	/* of a reply of many lines */
};

/* The first answer to a challenge says who logs in. */
static void answered(struct px *px, struct pop3 *s, struct bytes line)
{
	uint8_t buf[SASL_USER_MAX];
	struct bytes user = sasl_user_how(s->how, line, buf);
	int i = s->how ? asks_find(&s->asks, LOGIN) : -1;
	struct record *r;

	s->how = SASL_NONE;
	if (i < 0 || !user.n)
		return;
	r = asks_record(px, &s->asks, i);
	rec_bytes(r, &f_user, user);
	px_judge(px, r);
	asks_put(px, &s->asks, i, r);
}

static enum parse parse_command(struct px *px, struct pop3 *s, struct bytes line)
{
	struct cursor c = cur_of(line.p, line.n);
	uint8_t buf[SASL_USER_MAX];
	struct bytes word = line_word(&c), first = line_word(&c), second = line_word(&c);
	bool alone = !first.n;
	int w = line_which(word, commands);
	unsigned kind = ONE_LINE;
	struct record *r;

	if (s->answer) {
		answered(px, s, line);
		s->answer = false;
		return PARSE_DONE;
	}
	if (!word.n)
		return PARSE_DONE;
	if (w < 0 && ++s->strange > STRANGE_MOST)
		return msg_bad(px, "pop3.no_commands");
	r = px_record(px);
	rec_cstr(r, &f_operation, w < 0 ? "?" : commands[w]);
	if (w == USER || w == APOP) {
		rec_bytes(r, &f_user, first);
	} else if (w == AUTH && first.n) {
		rec_bytes(r, &f_mechanism, first);
		s->how = second.n ? SASL_NONE : (uint8_t)sasl_how(first);
		first = sasl_user_how(sasl_how(first), second, buf);
		if (first.n)
			rec_bytes(r, &f_user, first);
	} else if (w > STLS && first.n) {
		rec_bytes(r, &f_argument, first);
	}
	if (w == STLS)
		kind = TLS;
	else if (w == CAPA || w == RETR || w == TOP || ((w == LIST || w == UIDL || w == LANG || w == AUTH) && alone))
		kind = MANY_LINES;
	else if (w == AUTH)
		kind = LOGIN;
	px_judge(px, r);
	asks_add(px, &s->asks, kind, r);
	return PARSE_DONE;
}

/* True: another protocol follows. */
static bool reply(struct px *px, struct pop3 *s, struct bytes line)
{
	bool ok = line_begins(line, "+OK"), tls;
	struct record *r;

	if (!ok && !line_begins(line, "-ERR")) {
		s->answer = line.n && line.p[0] == '+';
		return false;
	}
	s->answer = false;
	if (!s->greeted) {
		s->greeted = true;
		return false;
	}
	if (s->asks.lost) {
		s->asks.lost--;
		return false;
	}
	if (!s->asks.n)
		return false;
	tls = ok && s->asks.q[0].id == TLS;
	s->text = ok && s->asks.q[0].id == MANY_LINES;
	s->inside = false;
	r = asks_record(px, &s->asks, 0);
	rec_cstr(r, &f_status, ok ? "+OK" : "-ERR");
	asks_tell(px, &s->asks, 0, r);
	if (tls)
		px_switch(px, NULL);
	return tls;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct pop3 *s = state;

	s->asks.event = EV_APP;
	while (cur_more(in)) {
		struct bytes line = { NULL, 0 };
		enum parse p;

		if (dir == DIR_TOCLIENT && s->text) {
			if (line_dot_text(in, &s->inside) == PARSE_MORE)
				return PARSE_MORE;
			s->text = false;
			continue;
		}
		p = line_next(in, &s->scanned[dir], LINE_MOST, &line);
		if (p == PARSE_BAD)
			return msg_bad(px, "pop3.line_too_long");
		if (p == PARSE_MORE)
			return p;
		if (dir == DIR_TOCLIENT ? reply(px, s, line) : false)
			return PARSE_DONE;
		if (dir == DIR_TOSERVER && parse_command(px, s, line) == PARSE_BAD)
			return PARSE_BAD;
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct pop3 *s = state;

	asks_end(px, &s->asks);
}

/* "+OK" and POP in the greeting, or one of pop3's own commands as its answer. */
static enum probe probe(const struct probe_in *in)
{
	static const char *const sure[] = { "USER", "CAPA", "APOP", "STLS", "AUTH", NULL };
	static const char *const own[] = { "UIDL", "TOP", "APOP", NULL };
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	struct bytes line = { NULL, 0 }, greeting = { NULL, 0 };
	enum probe p, q;
	struct cursor c;

	if (!cur_left(up) && !cur_left(down))
		return PROBE_MORE;
	p = cur_left(down) ? line_first(*down, 1024, &greeting) : PROBE_MORE;
	q = cur_left(up) ? line_first(*up, 1024, &line) : PROBE_MORE;
	if (p == PROBE_NO || q == PROBE_NO)
		return PROBE_NO;
	if (cur_left(down) && !line_may((struct bytes){ down->pos, cur_left(down) < 3 ? cur_left(down) : 3 }, "+OK"))
		return PROBE_NO;
	if (p == PROBE_YES && (!line_begins(greeting, "+OK ") && !line_is(greeting, "+OK")))
		return PROBE_NO;
	if (p == PROBE_YES && (line_has(greeting, "POP") || (greeting.n > 8 && greeting.p[greeting.n - 1] == '>' && line_has(greeting, "@"))) && !cur_left(up))
		return PROBE_YES;
	if (q == PROBE_YES) {
		c = cur_of(line.p, line.n);
		if (line_which(line_word(&c), sure) < 0)
			return PROBE_NO;
		if (p == PROBE_YES || (!cur_left(down) && (line_alone(*up, "USER ", own) || line_alone(*up, "APOP ", own))))
			return PROBE_YES;
		return PROBE_MORE;
	}
	return PROBE_MORE;
}

static const uint16_t ports[] = { 110, 0 };

const struct proto proto_pop3 = {
	.name = "pop3",
	.app = APP_POP3,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct pop3),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
