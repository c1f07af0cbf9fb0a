/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nntp: RFC 3977, with AUTHINFO (4643), STARTTLS (4642) and IHAVE, CHECK, TAKETHIS of servers.
 *
 * One event per command when its reply is there, known by order. Articles and lists end with a line of one dot and are passed by,
 * both ways. Passwords are never told. After STARTTLS and its 382 the flow is recognised anew. */
#include "dpi/message.h"
#include "dpi/proto/line.h"
#include "dpi/proto/sasl.h"

#define LINE_MOST 8192u
#define STRANGE_MOST 16u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_group = { "group", FACT_OBJECT }, f_article = { "article", FACT_OBJECT },
	f_user = { "user", FACT_USER }, f_code = { "code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_group, &f_article, &f_user, &f_code, NULL };

/* Up to GROUPS the argument is a group, up to ARTICLES an article. */
static const char *const commands[] = { "GROUP", "LISTGROUP", "ARTICLE", "HEAD", "BODY", "STAT", "IHAVE", "CHECK", "TAKETHIS", "CAPABILITIES", "MODE", "AUTHINFO", "STARTTLS", "POST",
	"LIST", "NEXT", "LAST", "OVER", "XOVER", "HDR", "XHDR", "DATE", "HELP", "NEWGROUPS", "NEWNEWS", "QUIT", "SLAVE", "XPAT", "XGTITLE", "COMPRESS", NULL };
enum { GROUPS = 2, ARTICLES = 9, TAKETHIS = 8, AUTHINFO = 11, STARTTLS = 12, LISTGROUP = 1 };

struct nntp {
	struct asks asks;
	uint32_t scanned[2];
	uint16_t strange;
	bool greeted;
	bool text[2], inside[2];	/* of an article or list; up: the client posts */
};

static enum parse client(struct px *px, struct nntp *s, struct bytes line)
{
	uint8_t buf[SASL_USER_MAX];
	struct cursor c = cur_of(line.p, line.n);
	struct bytes word = line_word(&c), first = line_word(&c), second = line_word(&c);
	int k = line_which(word, commands);
	struct record *r;

	if (!word.n)
		return PARSE_DONE;
	if (k < 0 && ++s->strange > STRANGE_MOST)
		return msg_bad(px, "nntp.no_commands");
	r = px_record(px);
	rec_cstr(r, &f_operation, k < 0 ? "?" : commands[k]);
	if (k >= 0 && k < GROUPS && first.n) {
		rec_bytes(r, &f_group, first);
	} else if (k >= 0 && k < ARTICLES && first.n) {
		rec_bytes(r, &f_article, first);
	} else if (k == AUTHINFO) {
		if (line_is(first, "SASL"))
			second = sasl_user_base64(line_word(&c), buf);
		if (second.n && !line_is(first, "PASS"))
			rec_bytes(r, &f_user, second);
	}
	px_judge(px, r);
	asks_add(px, &s->asks, (uint64_t)(k + 1), r);
	s->text[DIR_TOSERVER] = k == TAKETHIS;	/* it does not wait */
	s->inside[DIR_TOSERVER] = false;
	return PARSE_DONE;
}

/* Whether text follows the reply, by its code and for 211 by what was asked. */
static bool has_text(unsigned code, uint64_t asked)
{
	static const uint16_t codes[] = { 100, 101, 215, 220, 221, 222, 224, 225, 230, 231, 282 };

	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i] == code)
			return true;
	return code == 211 && asked == LISTGROUP + 1;
}

/* True: another protocol follows. */
static bool server(struct px *px, struct nntp *s, struct bytes line)
{
	unsigned code = line_code(line);
	uint64_t asked = 0;
	struct record *r;

	if (!code)
		return false;
	if (!s->greeted) {
		s->greeted = true;
		return false;
	}
	if (code == 335 || code == 340) {	/* go on: the reply proper comes behind the article */
		s->text[DIR_TOSERVER] = true;
		s->inside[DIR_TOSERVER] = false;
		return false;
	}
	if (s->asks.lost) {
		s->asks.lost--;
	} else if (s->asks.n) {
		asked = s->asks.q[0].id;
		r = asks_record(px, &s->asks, 0);
		rec_u64(r, &f_code, code);
		asks_tell(px, &s->asks, 0, r);
	}
	s->text[DIR_TOCLIENT] = has_text(code, asked);
	s->inside[DIR_TOCLIENT] = false;
	if (code == 382 && asked == STARTTLS + 1) {
		px_switch(px, NULL);
		return true;
	}
	return false;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct nntp *s = state;

	s->asks.event = EV_APP;
	while (cur_more(in)) {
		struct bytes line = { NULL, 0 };
		enum parse p;

		if (s->text[dir]) {
			if (line_dot_text(in, &s->inside[dir]) == PARSE_MORE)
				return PARSE_MORE;
			s->text[dir] = false;
			continue;
		}
		p = line_next(in, &s->scanned[dir], LINE_MOST, &line);
		if (p == PARSE_BAD)
			return msg_bad(px, "nntp.line_too_long");
		if (p == PARSE_MORE)
			return p;
		if (dir == DIR_TOSERVER ? client(px, s, line) == PARSE_BAD : false)
			return PARSE_BAD;
		if (dir == DIR_TOCLIENT && server(px, s, line))
			return PARSE_DONE;
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct nntp *s = state;

	asks_end(px, &s->asks);
}

/* 200 or 201 and what only a news server says, or one of nntp's own commands as its answer. */
static enum probe probe(const struct probe_in *in)
{
	static const char *const sure[] = { "CAPABILITIES", "MODE", "AUTHINFO", "GROUP", "LISTGROUP", "ARTICLE", "IHAVE", "CHECK", "TAKETHIS", "XOVER", "NEWGROUPS", NULL };
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	struct bytes line = { NULL, 0 }, greeting = { NULL, 0 };
	enum probe p, q;

	if (!cur_left(up) && !cur_left(down))
		return PROBE_MORE;
	p = cur_left(down) ? line_first(*down, 1024, &greeting) : PROBE_MORE;
	q = cur_left(up) ? line_first(*up, 1024, &line) : PROBE_MORE;
	if (p == PROBE_NO || q == PROBE_NO || (cur_left(down) && (cur_peek(down, 0) != '2' || (cur_left(down) > 1 && cur_peek(down, 1) != '0'))))
		return PROBE_NO;
	if (p == PROBE_YES && line_code(greeting) != 200 && line_code(greeting) != 201)
		return PROBE_NO;
	if (p == PROBE_YES && (line_has(greeting, "NNTP") || line_has(greeting, "NNRP") || line_has(greeting, "INN ")))
		return PROBE_YES;
	if (q == PROBE_YES) {
		struct cursor c = cur_of(line.p, line.n);

		if (line_which(line_word(&c), sure) < 0)
			return PROBE_NO;
		return p == PROBE_YES ? PROBE_YES : PROBE_MORE;
	}
	return PROBE_MORE;
}

static const uint16_t ports[] = { 119, 433, 0 };

const struct proto proto_nntp = {
	.name = "nntp",
	.app = APP_NNTP,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct nntp),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
