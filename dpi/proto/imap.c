/* SPDX-License-Identifier: GPL-2.0-or-later */
/* imap: IMAP4rev1 and rev2 (RFC 3501, 9051), with STARTTLS.
 *
 *   client: tag COMMAND arguments        server: tag OK|NO|BAD text, or "* ...", or "+ ..." before the client goes on
 *   {n} or {n+} at the end of a line: n bytes follow, and the line goes on behind them. They are passed by.
 *
 * One event per command when the reply with its tag is there. Passwords are never told. */
#include "dpi/message.h"
#include "dpi/proto/line.h"
#include "dpi/proto/sasl.h"

#define LINE_MOST 32768u
#define LITERAL_MOST UINT64_C(0x100000000)
#define STRANGE_MOST 16u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_mailbox = { "mailbox", FACT_OBJECT }, f_user = { "user", FACT_USER },
	f_mechanism = { "mechanism", FACT_PLAIN }, f_status = { "status", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_mailbox, &f_user, &f_mechanism, &f_status, NULL };

/* The first argument of those up to MAILBOXES is a mailbox. */
static const char *const commands[] = { "SELECT", "EXAMINE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "STATUS", "APPEND", "GETACL", "SETACL", "DELETEACL", "LOGIN",
	"AUTHENTICATE", "STARTTLS", "CAPABILITY", "NOOP", "LOGOUT", "LIST", "LSUB", "NAMESPACE", "IDLE", "CHECK", "CLOSE", "UNSELECT", "EXPUNGE", "SEARCH", "FETCH", "STORE", "COPY", "MOVE",
	"UID", "ID", "ENABLE", "SORT", "THREAD", "GETQUOTA", "GETQUOTAROOT", "COMPRESS", "XLIST", NULL };
enum { MAILBOXES = 12, LOGIN = 12, AUTHENTICATE = 13, STARTTLS = 14 };

struct imap {
	struct asks asks;
	uint32_t scanned[2];
	bool goes_on[2];	/* the line at hand goes on behind a literal */
	bool answer;		/* the client answers a challenge */
	uint8_t how;		/* enum sasl_how: its first answer names the user so */
	uint16_t strange;
	uint64_t starttls;	/* its tag, hashed; 0: none */
	uint64_t login;		/* that of AUTHENTICATE */
};

static uint64_t hash(struct bytes b)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < b.n; i++)
		h = (h ^ b.p[i]) * 1099511628211u;
	return h | 1;
}

/* "{n}" or "{n+}" at the end: n; UINT64_MAX: none. */
static uint64_t literal(struct bytes line)
{
	size_t from = line.n, to;

	if (line.n < 3 || line.p[line.n - 1] != '}')
		return UINT64_MAX;
	to = line.n - 1;
	if (line.p[to - 1] == '+' || line.p[to - 1] == '-')
		to--;
	while (from && line.n - from < 24 && line.p[from - 1] != '{')
		from--;
	return from && line.p[from - 1] == '{' && from <= to ? line_number((struct bytes){ line.p + from, to - from }) : UINT64_MAX;
}

/* A word or a quoted string, without the quotes. */
static struct bytes argument(struct cursor *c)
{
	struct bytes b;
	size_t n;

	while (cur_peek(c, 0) == ' ')
		cur_skip(c, 1);
	if (cur_peek(c, 0) != '"')
		return line_word(c);
	cur_skip(c, 1);
	n = cur_find(c, '"');
	b = cur_bytes(c, n == SIZE_MAX ? cur_left(c) : n);
	cur_skip(c, n == SIZE_MAX ? 0 : 1);
	return b;
}

/* The first answer to a challenge says who logs in. */
static void answered(struct px *px, struct imap *s, struct bytes line)
{
	uint8_t buf[SASL_USER_MAX];
	struct bytes user = sasl_user_how(s->how, line, buf);
	int i = s->how ? asks_find(&s->asks, s->login) : -1;
	struct record *r;

	s->how = SASL_NONE;
	if (i < 0 || !user.n)
		return;
	r = asks_record(px, &s->asks, i);
	rec_bytes(r, &f_user, user);
	px_judge(px, r);
	asks_put(px, &s->asks, i, r);
}

static enum parse client(struct px *px, struct imap *s, struct bytes line)
{
	uint8_t buf[SASL_USER_MAX];
	struct cursor c = cur_of(line.p, line.n);
	struct bytes tag = line_word(&c), word = line_word(&c), first = argument(&c);
	int k = line_which(word, commands);
	struct record *r;

	if (s->answer || !tag.n || line_is(tag, "DONE")) {
		if (s->answer)
			answered(px, s, line);
		s->answer = false;
		return PARSE_DONE;
	}
	if (k < 0)
		return ++s->strange > STRANGE_MOST ? msg_bad(px, "imap.no_commands") : PARSE_DONE;
	r = px_record(px);
	rec_cstr(r, &f_operation, commands[k]);
	if (first.n && first.p[0] == '{')
		first.n = 0;	/* it comes as a literal */
	if (k < MAILBOXES && first.n)
		rec_bytes(r, &f_mailbox, first);
	if (k == LOGIN && first.n)
		rec_bytes(r, &f_user, first);
	if (k == AUTHENTICATE && first.n) {
		rec_bytes(r, &f_mechanism, first);
		s->how = (uint8_t)sasl_how(first);
		s->login = hash(tag);
		word = argument(&c);
		first = sasl_user_how(s->how, word, buf);
		if (first.n)
			rec_bytes(r, &f_user, first);
		if (word.n)
			s->how = SASL_NONE;
	}
	if (k == STARTTLS)
		s->starttls = hash(tag);
	px_judge(px, r);
	asks_add(px, &s->asks, hash(tag), r);
	return PARSE_DONE;
}

/* True: another protocol follows. */
static bool server(struct px *px, struct imap *s, struct bytes line)
{
	static const char *const statuses[] = { "OK", "NO", "BAD", NULL };
	struct cursor c = cur_of(line.p, line.n);
	struct bytes tag = line_word(&c);
	int status = line_which(line_word(&c), statuses), i;
	bool tls;
	struct record *r;

	s->answer = line_is(tag, "+");
	if (!tag.n || s->answer || line_is(tag, "*") || status < 0)
		return false;
	i = asks_find(&s->asks, hash(tag));
	tls = s->starttls && s->starttls == hash(tag);
	if (tls)
		s->starttls = 0;
	if (i >= 0) {
		r = asks_record(px, &s->asks, i);
		rec_cstr(r, &f_status, statuses[status]);
		asks_tell(px, &s->asks, i, r);
	}
	if (tls && status == 0)
		px_switch(px, NULL);
	return tls && status == 0;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct imap *s = state;

	s->asks.event = EV_APP;
	while (cur_more(in)) {
		struct bytes line = { NULL, 0 };
		enum parse p = line_next(in, &s->scanned[dir], LINE_MOST, &line);
		bool goes_on = s->goes_on[dir];
		uint64_t n;

		if (p == PARSE_BAD)
			return msg_bad(px, "imap.line_too_long");
		if (p == PARSE_MORE)
			return p;
		n = literal(line);
		s->goes_on[dir] = n < LITERAL_MOST;
		if (!goes_on && dir == DIR_TOSERVER && client(px, s, line) == PARSE_BAD)
			return PARSE_BAD;
		if (!goes_on && dir == DIR_TOCLIENT && server(px, s, line))
			return PARSE_DONE;
		if (n < LITERAL_MOST)
			msg_pass(px, dir, in, n);
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct imap *s = state;

	asks_end(px, &s->asks);
}

/* "* OK", "* PREAUTH" or "* BYE" and IMAP in it, or a tagged command as its answer. */
static enum probe probe(const struct probe_in *in)
{
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	struct bytes line = { NULL, 0 }, greeting = { NULL, 0 };
	enum probe p, q;

	if (!cur_left(up) && !cur_left(down))
		return PROBE_MORE;
	p = cur_left(down) ? line_first(*down, 4096, &greeting) : PROBE_MORE;
	q = cur_left(up) ? line_first(*up, 4096, &line) : PROBE_MORE;
	if (p == PROBE_NO || q == PROBE_NO || (cur_left(down) && !line_may((struct bytes){ down->pos, cur_left(down) < 2 ? cur_left(down) : 2 }, "* ")))
		return PROBE_NO;
	if (p == PROBE_YES && !line_begins(greeting, "* OK") && !line_begins(greeting, "* PREAUTH") && !line_begins(greeting, "* BYE") && !in->midstream)
		return PROBE_NO;
	if (p == PROBE_YES && line_has(greeting, "IMAP"))
		return PROBE_YES;
	if (q == PROBE_YES) {
		struct cursor c = cur_of(line.p, line.n);
		struct bytes tag = line_word(&c), word = line_word(&c);

		if (!tag.n || tag.n > 32 || line_which(word, commands) < 0)
			return PROBE_NO;
		return p == PROBE_YES ? PROBE_YES : PROBE_MORE;
	}
	return PROBE_MORE;
}

static const uint16_t ports[] = { 143, 0 };

const struct proto proto_imap = {
	.name = "imap",
	.app = APP_IMAP,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct imap),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
};
