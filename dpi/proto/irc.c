/* SPDX-License-Identifier: GPL-2.0-or-later */
/* irc: RFC 1459, 2812, IRCv3's CAP, AUTHENTICATE and STARTTLS.
 *
 *   [@tags ] [:prefix ] COMMAND params [:last]         a command is letters or three digits
 *
 * Told are what clients ask for that names somebody or something (NICK, USER, JOIN, PRIVMSG ... but never its text), and numeric errors
 * (400 to 599). A flow is believed by what a client says first: CAP, NICK and USER. */
#include "dpi/message.h"
#include "dpi/proto/line.h"

#define LINE_MOST 8704u		/* tags 8 KiB, the line 512 */
#define STRANGE_MOST 16u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_target = { "target", FACT_OBJECT }, f_nick = { "nick", FACT_USER },
	f_user = { "user", FACT_USER }, f_code = { "code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_target, &f_nick, &f_user, &f_code, NULL };

/* Those up to TARGETS have a target that is told. */
static const char *const commands[] = { "JOIN", "PART", "PRIVMSG", "NOTICE", "TOPIC", "INVITE", "KICK", "MODE", "WHOIS", "WHO", "NAMES", "CAP", "NICK", "USER", "OPER", "QUIT",
	"AUTHENTICATE", "STARTTLS", "LIST", "SQUERY", "KILL", "WEBIRC", NULL };
enum { TARGETS = 12, NICK = 12, USER = 13 };

struct irc {
	uint32_t scanned[2];
	uint32_t tx;
	uint16_t strange;
	bool starttls;
};

/* The command, the cursor behind it. */
static struct bytes command_of(struct cursor *c)
{
	while (cur_peek(c, 0) == '@' || cur_peek(c, 0) == ':')
		if (!line_word(c).n)
			break;
	return line_word(c);
}

static bool is_command(struct bytes w)
{
	for (size_t i = 0; i < w.n; i++)
		if (line_upper(w.p[i]) < 'A' || line_upper(w.p[i]) > 'Z')
			return line_code(w) != 0 || (w.n == 3 && line_number(w) != UINT64_MAX);
	return w.n > 0;
}

static void client(struct px *px, struct irc *s, struct bytes w, struct cursor c)
{
	int k = line_which(w, commands);
	struct bytes first;
	struct record *r;

	if (k < 0)
		return;
	first = line_word(&c);
	r = px_record(px);
	rec_cstr(r, &f_operation, commands[k]);
	if (first.n && first.p[0] == ':') {
		first.p++;
		first.n--;
	}
	if (first.n && k < TARGETS)
		rec_bytes(r, &f_target, first);
	else if (first.n && (k == NICK || k == USER))
		rec_bytes(r, k == NICK ? &f_nick : &f_user, first);
	s->starttls |= line_is(w, "STARTTLS");
	px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
}

/* True: another protocol follows. */
static bool server(struct px *px, struct irc *s, struct bytes w)
{
	uint64_t code = w.n == 3 ? line_number(w) : UINT64_MAX;
	struct record *r;

	if (s->starttls && code == 670) {
		px_switch(px, NULL);
		return true;
	}
	if (code < 400 || code > 599)
		return false;
	r = px_record(px);
	rec_cstr(r, &f_operation, "error");
	rec_u64(r, &f_code, code);
	px_emit(px, EV_APP, s->tx++, r);
	return false;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct irc *s = state;

	while (cur_more(in)) {
		struct bytes line = { NULL, 0 }, w;
		enum parse p = line_next(in, &s->scanned[dir], LINE_MOST, &line);
		struct cursor c;

		if (p == PARSE_BAD)
			return msg_bad(px, "irc.line_too_long");
		if (p == PARSE_MORE)
			return p;
		c = cur_of(line.p, line.n);
		w = command_of(&c);
		if (!w.n)
			continue;
		if (!is_command(w)) {
			if (++s->strange > STRANGE_MOST)
				return msg_bad(px, "irc.no_commands");
			continue;
		}
		if (dir == DIR_TOSERVER)
			client(px, s, w, c);
		else if (server(px, s, w))
			return PARSE_DONE;
	}
	return PARSE_DONE;
}

/* Of the first lines of a client: CAP LS, NICK and USER with four parameters, STARTTLS. */
static enum probe probe_client(struct cursor c)
{
	bool nick = false;
	struct bytes line;

	for (unsigned i = 0; i < 8 && line_text(&c); i++) {
		struct cursor l;
		struct bytes w;

		if (!cur_line(&c, &line)) {
			line = cur_rest(&c);
			return line.n < 512 && (nick || i || line_may(line, "CAP ") || line_may(line, "NICK ") || line_may(line, "USER ") || line_may(line, "PASS ") || line_may(line, "STARTTLS")) ?
				PROBE_MORE : PROBE_NO;
		}
		l = cur_of(line.p, line.n);
		w = line_word(&l);
		if (line_is(w, "CAP")) {
			w = line_word(&l);
			return line_is(w, "LS") || line_is(w, "REQ") || line_is(w, "END") ? PROBE_YES : PROBE_NO;
		}
		if (line_is(w, "NICK") && line_word(&l).n) {
			nick = true;
		} else if (line_is(w, "USER")) {
			bool four = line_word(&l).n && line_word(&l).n && line_word(&l).n && line_word(&l).n;

			return four ? PROBE_YES : PROBE_NO;	/* of FTP and POP3 it has one */
		} else if (!line_is(w, "PASS") && !line_is(w, "STARTTLS") && line.n) {
			return PROBE_NO;
		}
	}
	return cur_left(&c) ? PROBE_NO : PROBE_MORE;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	struct bytes line = { NULL, 0 }, w;
	enum probe p = cur_left(up) ? probe_client(*up) : PROBE_MORE;
	struct cursor c;

	if (p != PROBE_MORE || !cur_left(down))
		return p;
	/* servers greet with ":name NOTICE * :..." or "NOTICE AUTH :..." */
	if (line_first(*down, 1024, &line) != PROBE_YES)
		return line_text(down) && (cur_peek(down, 0) == ':' || cur_peek(down, 0) == 'N') ? PROBE_MORE : PROBE_NO;
	c = cur_of(line.p, line.n);
	w = command_of(&c);
	if (line_is(w, "670") && cur_left(up) && line_may((struct bytes){ up->pos, cur_left(up) < 8 ? cur_left(up) : 8 }, "STARTTLS"))
		return PROBE_YES;
	if (!line_is(w, "NOTICE") && !(in->midstream && cur_peek(down, 0) == ':' && (line_is(w, "PRIVMSG") || (w.n == 3 && line_code(w)))))
		return PROBE_NO;
	w = line_word(&c);
	return w.n && cur_peek(&c, 0) == ' ' && (cur_peek(&c, 1) == ':' || in->midstream) ? PROBE_YES : PROBE_NO;
}

static const uint16_t ports[] = { 6667, 6666, 6668, 0 };

const struct proto proto_irc = {
	.name = "irc",
	.app = APP_IRC,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct irc),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
