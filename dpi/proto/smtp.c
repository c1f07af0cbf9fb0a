/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smtp: RFC 5321, with AUTH (4954), BDAT (3030) and STARTTLS (3207); LMTP too.
 *
 * A dialog of lines: one reply per command, in order, so that the reply to DATA or STARTTLS is known by counting. Messages are
 * passed by. One `smtp` event per envelope, when DATA or BDAT asks for it to be sent; one at the end of a connection that had a
 * name or a user and no envelope. Sender and each recipient are judged when their line is complete. After the reply to STARTTLS
 * the flow is recognised anew. */
#include "dpi/message.h"
#include "dpi/proto/line.h"
#include "dpi/proto/sasl.h"

#define LINE_MOST 12288u	/* AUTH answers may have 12 KiB */
#define REPLY_MOST 4096u
#define NAME_MOST 320u
#define RCPT_ROOM 1500u
#define WORDS_STRANGE 32u	/* lines that are no command; more: this is something else */

static const struct fact f_helo = { "helo", FACT_PLAIN }, f_from = { "mail_from", FACT_OBJECT }, f_to = { "rcpt_to", FACT_OBJECT }, f_user = { "user", FACT_USER };
static const struct fact *const facts[] = { &f_helo, &f_from, &f_to, &f_user, NULL };

enum mode { COMMANDS, DATA_ASKED, DATA, LOGIN };

struct name {
	uint16_t n;
	uint8_t p[NAME_MOST];
};

struct envelope {
	struct name helo, from, user;
	uint16_t used, count;
	uint8_t rcpt[RCPT_ROOM];	/* length(2), bytes */
};

struct smtp {
	struct envelope *env;
	uint32_t scanned[2];
	uint32_t tx;
	uint32_t sent, answered;	/* commands, replies; the greeting answers nothing: one is sent at first */
	uint32_t data, starttls;	/* which command; 0: none */
	uint16_t strange;
	uint8_t mode;			/* enum mode */
	uint8_t how;			/* enum sasl_how: the line that LOGIN waits for */
	bool inside;			/* a line of the message */
	bool has_from, told;
};

static void keep(struct name *to, struct bytes b)
{
	to->n = (uint16_t)(b.n < NAME_MOST ? b.n : NAME_MOST);
	if (to->n)
		memcpy(to->p, b.p, to->n);
}

/* ---- what is told ---- */

static void put(struct record *r, const struct fact *f, const struct name *n)
{
	if (n->n)
		rec_str(r, f, n->p, n->n);
}

static void tell(struct px *px, struct smtp *s)
{
	struct record *r = px_record(px);
	struct cursor c;

	if (!s->env)
		return;
	put(r, &f_helo, &s->env->helo);
	put(r, &f_user, &s->env->user);
	if (s->has_from)
		rec_str(r, &f_from, s->env->from.p, s->env->from.n);
	if (s->env->count) {
		rec_arr(r, &f_to);
		for (c = cur_of(s->env->rcpt, s->env->used); cur_more(&c);)
			rec_bytes(r, NULL, cur_bytes(&c, cur_be16(&c)));
		rec_end(r);
	}
	px_emit(px, EV_SMTP, s->tx++, r);
	s->told = true;
}

static void envelope_clear(struct smtp *s)
{
	s->has_from = false;
	if (s->env)
		s->env->used = s->env->count = s->env->from.n = 0;
}

static void judge(struct px *px, const struct fact *f, struct bytes value)
{
	struct record *r = px_record(px);

	rec_bytes(r, f, value);
	px_judge(px, r);
}

/* ---- the client ---- */

/* FROM:<a@b> parameters: the address, without the brackets. */
static struct bytes path(struct cursor c)
{
	size_t n = cur_find(&c, ':');
	struct bytes b;

	cur_skip(&c, n == SIZE_MAX ? cur_left(&c) : n + 1);
	while (cur_peek(&c, 0) == ' ')
		cur_skip(&c, 1);
	if (cur_peek(&c, 0) != '<')
		return line_word(&c);
	cur_skip(&c, 1);
	n = cur_find(&c, '>');
	b = cur_bytes(&c, n == SIZE_MAX ? cur_left(&c) : n);
	return b;
}

static void user_is(struct px *px, struct smtp *s, struct bytes user)
{
	if (!user.n)
		return;
	judge(px, &f_user, user);
	if (s->env)
		keep(&s->env->user, user);
}

static void auth(struct px *px, struct smtp *s, struct cursor c)
{
	uint8_t buf[SASL_USER_MAX];
	struct bytes mechanism = line_word(&c), first = line_word(&c);

	s->how = (uint8_t)sasl_how(mechanism);
	if (first.n)
		user_is(px, s, sasl_user_how(s->how, first, buf));
	else
		s->mode = LOGIN;
}

static void rcpt(struct px *px, struct smtp *s, struct bytes to)
{
	struct envelope *e = s->env;

	judge(px, &f_to, to);
	if (to.n > NAME_MOST)
		to.n = NAME_MOST;
	if (!e || to.n + 2 > RCPT_ROOM - e->used)
		return;
	e->rcpt[e->used++] = (uint8_t)(to.n >> 8);
	e->rcpt[e->used++] = (uint8_t)to.n;
	memcpy(e->rcpt + e->used, to.n ? to.p : (const uint8_t *)"", to.n);
	e->used = (uint16_t)(e->used + to.n);
	e->count++;
}

static enum parse command(struct px *px, struct smtp *s, struct bytes line, struct cursor *in)
{
	static const char *const words[] = { "HELO", "EHLO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "AUTH", "STARTTLS", "RSET", "QUIT", "NOOP", "VRFY", "EXPN",
		"HELP", "ETRN", "XCLIENT", "XFORWARD", "TURN", "X-EXPS", "BURL", NULL };
	struct cursor c = cur_of(line.p, line.n);
	int w = line_which(line_word(&c), words);
	uint64_t n;

	s->sent++;
	if (!s->env)
		s->env = px_alloc(px, sizeof(*s->env));
	if (w < 0)
		return line.n && ++s->strange > WORDS_STRANGE ? msg_bad(px, "smtp.no_commands") : PARSE_DONE;
	if (w <= 2) {
		if (s->env)
			keep(&s->env->helo, line_word(&c));
		envelope_clear(s);
	} else if (w == 3) {
		struct bytes from = path(c);

		judge(px, &f_from, from);
		if (s->env)
			keep(&s->env->from, from);
		s->has_from = true;
	} else if (w == 4) {
		rcpt(px, s, path(c));
	} else if (w == 5) {
		s->mode = DATA_ASKED;
		s->data = s->sent;
	} else if (w == 6) {
		n = line_number(line_word(&c));
		if (n > UINT32_MAX)
			return msg_bad(px, "smtp.bad_bdat");
		if (s->has_from)
			tell(px, s);
		envelope_clear(s);
		msg_pass(px, DIR_TOSERVER, in, n);
	} else if (w == 7) {
		auth(px, s, c);
	} else if (w == 8) {
		s->starttls = s->sent;
	} else if (w == 9) {
		envelope_clear(s);
	}
	return PARSE_DONE;
}

static enum parse parse_client(struct px *px, struct smtp *s, struct cursor *in)
{
	uint8_t buf[SASL_USER_MAX];
	struct bytes line = { NULL, 0 };
	enum parse p;

	if (s->mode == DATA_ASKED) {	/* it goes on: it may */
		tell(px, s);
		envelope_clear(s);
		s->mode = DATA;
		s->inside = false;
	}
	if (s->mode == DATA) {
		p = line_dot_text(in, &s->inside);
		if (p == PARSE_DONE) {
			s->mode = COMMANDS;
			s->sent++;
		}
		return p;
	}
	p = line_next(in, &s->scanned[DIR_TOSERVER], LINE_MOST, &line);
	if (p == PARSE_BAD)
		return msg_bad(px, "smtp.line_too_long");
	if (p == PARSE_MORE)
		return p;
	if (s->mode == COMMANDS)
		return command(px, s, line, in);
	s->sent++;
	user_is(px, s, sasl_user_how(s->how, line, buf));
	s->mode = COMMANDS;
	return PARSE_DONE;
}

/* ---- the server ---- */

static enum parse parse_server(struct px *px, struct smtp *s, struct cursor *in)
{
	struct bytes line = { NULL, 0 };
	enum parse p = line_next(in, &s->scanned[DIR_TOCLIENT], REPLY_MOST, &line);
	unsigned code;

	if (p == PARSE_BAD)
		return msg_bad(px, "smtp.line_too_long");
	if (p == PARSE_MORE)
		return p;
	code = line_code(line);
	if (!code)
		return ++s->strange > WORDS_STRANGE ? msg_bad(px, "smtp.no_replies") : PARSE_DONE;
	if (line.n > 3 && line.p[3] == '-')
		return PARSE_DONE;
	if (s->mode == DATA_ASKED && s->answered == s->data) {
		if (code < 400) {
			tell(px, s);
			s->mode = DATA;
			s->inside = false;
			envelope_clear(s);
		} else {
			s->mode = COMMANDS;
		}
	}
	if (code >= 400)
		s->mode = s->mode == LOGIN ? COMMANDS : s->mode;
	if (s->starttls && s->answered == s->starttls) {
		s->starttls = 0;
		if (code == 220)
			px_switch(px, NULL);
	}
	s->answered++;
	return PARSE_DONE;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct smtp *s = state;
	enum parse p = PARSE_DONE;
	bool switched = false;

	while (p == PARSE_DONE && cur_more(in) && !switched) {
		uint32_t starttls = s->starttls;

		p = dir == DIR_TOSERVER ? parse_client(px, s, in) : parse_server(px, s, in);
		switched = dir == DIR_TOCLIENT && starttls && !s->starttls;
	}
	return p;
}

static void end(struct px *px, void *state)
{
	struct smtp *s = state;

	if (s->env && (s->has_from || (!s->told && (s->env->helo.n || s->env->user.n))))
		tell(px, s);
	px_release(px, s->env, sizeof(*s->env));
	s->env = NULL;
}

/* ---- recognition ---- */

/* 220 and SMTP in the greeting, or EHLO as its answer; in the middle of a connection an envelope's line. */
static enum probe probe(const struct probe_in *in)
{
	static const char *const hello[] = { "EHLO", "HELO", "LHLO", NULL };
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	struct bytes line = { NULL, 0 }, greeting = { NULL, 0 };
	enum probe p, q;

	if (!cur_left(up) && !cur_left(down))
		return PROBE_MORE;
	p = cur_left(down) ? line_first(*down, REPLY_MOST, &greeting) : PROBE_MORE;
	q = cur_left(up) ? line_first(*up, 1024, &line) : PROBE_MORE;
	if (p == PROBE_NO || q == PROBE_NO || (cur_left(down) && !line_may((struct bytes){ down->pos, cur_left(down) < 3 ? cur_left(down) : 3 }, "220") && !in->midstream))
		return PROBE_NO;
	if (p == PROBE_YES && line_code(greeting) == 220 && line_has(greeting, "SMTP") && !line_has(greeting, "FTP"))
		return PROBE_YES;
	if (q == PROBE_YES) {
		struct cursor c = cur_of(line.p, line.n);
		bool envelope = line_begins(line, "MAIL FROM:<") || line_begins(line, "RCPT TO:<");
		int w = line_which(line_word(&c), hello);

		if (envelope && in->midstream)
			return PROBE_YES;
		if (w < 0)
			return PROBE_NO;
		c = *up;
		cur_line(&c, &line);
		if (p != PROBE_YES && cur_line(&c, &line) && line_begins(line, "MAIL FROM:<"))
			return PROBE_YES;	/* it did not wait for the greeting */
		return p == PROBE_YES ? (line_code(greeting) == 220 || line_code(greeting) == 250 ? PROBE_YES : PROBE_NO) : PROBE_MORE;
	}
	if (cur_left(up) && !strchr("EHLMR", line_upper(cur_peek(up, 0))))
		return PROBE_NO;
	return p == PROBE_YES && line_code(greeting) != 220 ? PROBE_NO : PROBE_MORE;
}

static const uint16_t ports[] = { 25, 587, 2525, 24, 0 };

const struct proto proto_smtp = {
	.name = "smtp",
	.app = APP_SMTP,
	.event = EV_SMTP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct smtp),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
