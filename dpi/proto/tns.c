/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tns: Oracle Net.
 *
 *   length (2; in data of version 315 and up: 4)  checksum (2)  type (1)  flags (1)  header checksum (2)
 *   connect (1): version (2)  compatible (2)  options (2)  unit (2)  ... length of data (2) at 24, its place (2) at 26, data "(DESCRIPTION=...)"
 *   accept (2): version (2) at 8      refuse (4): reasons (1, 1), length (2), text       redirect (5): length (2), an address
 *   data (6): flags (2), then what the client and the server of the database say; resend (11): the connect is sent again
 *
 * The connect is told with its answer: service, SID, user and program of the client. Statements are not in a documented form, but
 * stand as text in the calls that carry them: the longest run of text that begins as SQL does is told as the query (of the first
 * packet of a call), as `partial` where that may not be all. Encryption that the two agree on makes them unreadable, then nothing is told. */
#include "dpi/message.h"
#include "dpi/sql.h"

#define HEAD 8u
#define KEEP (HEAD + 8192u)
#define ANSWER_KEEP (HEAD + 512u)
#define CONNECT_LEAST 34u
#define LARGE_VERSION 315u
#define USER_MAX 128u

enum type { T_CONNECT = 1, T_ACCEPT, T_ACK, T_REFUSE, T_REDIRECT, T_DATA, T_NULL, T_ABORT = 9, T_RESEND = 11, T_MARKER, T_ATTENTION, T_CONTROL, T_LAST = 19 };

#define CALL_LOGIN 0x76		/* function of a call (3): the first and the second half of a login */
#define CALL_AUTH 0x73
#define CALL_EXECUTE 0x5e

static const struct fact f_command = { "command", FACT_COMMAND }, f_service = { "service", FACT_DATABASE }, f_sid = { "sid", FACT_DATABASE },
	f_client_user = { "client_user", FACT_PLAIN }, f_program = { "program", FACT_PLAIN }, f_client = { "client_host", FACT_PLAIN }, f_user = { "user", FACT_USER },
	f_query = { "query", FACT_QUERY }, f_operation = { "operation", FACT_OPERATION }, f_operations = { "operations", FACT_OPERATION },
	f_tables = { "tables", FACT_TABLE }, f_answer = { "answer", FACT_PLAIN }, f_error = { "error_code", FACT_PLAIN }, f_redirect = { "redirect", FACT_PLAIN },
	f_version = { "version", FACT_PLAIN };
static const struct fact *const facts[] = { &f_command, &f_service, &f_sid, &f_client_user, &f_program, &f_client, &f_user, &f_query, &f_operation, &f_operations,
	&f_tables, &f_answer, &f_error, &f_redirect, &f_version, NULL };
static const struct sql_facts sql_facts = { &f_operation, &f_operations, &f_tables, NULL };

struct tns {
	struct saved *who;	/* user and database */
	struct msg_sync sync;
	struct asks asks;
	bool connecting;
	bool large;		/* lengths of four bytes since the accept */
	uint32_t data_length;	/* of a connect whose data comes in a packet of its own; 0: none */
};

/* ---- the connect's data ---- */

static bool letter_is(uint8_t b, char c) { return (b >= 'a' && b <= 'z' ? b - 32 : b) == c; }

/* The value of "(NAME=value)", whatever brackets are around it; the first one. `after`: only behind that name. */
static struct bytes value_of(struct bytes text, const char *name, const char *after)
{
	struct cursor c = cur_of(text.p, text.n);
	size_t n = strlen(name), at, skip = after ? strlen(after) : 0, i;
	bool seen = !after;
	struct bytes none = { NULL, 0 };

	while ((at = cur_find(&c, '(')) != SIZE_MAX) {
		cur_skip(&c, at + 1);
		while (cur_peek(&c, 0) == ' ')
			cur_skip(&c, 1);
		for (i = 0; !seen && i < skip && letter_is(cur_peek(&c, i), after[i]); i++)
			;
		seen |= i == skip && skip != 0 && !seen;
		for (i = 0; i < n && letter_is(cur_peek(&c, i), name[i]); i++)
			;
		if (!seen || i < n)
			continue;
		while (cur_peek(&c, i) == ' ')
			i++;
		if (cur_peek(&c, i) != '=')
			continue;
		cur_skip(&c, i + 1);
		at = cur_find(&c, ')');
		if (at == SIZE_MAX)
			return none;
		text = cur_bytes(&c, at);
		return memchr(text.p, '(', text.n) ? none : text;
	}
	return none;
}

static void tell_value(struct record *r, const struct fact *f, struct bytes b)
{
	if (b.n)
		rec_bytes(r, f, b);
}

static void connect_tell(struct px *px, struct tns *s, struct bytes data)
{
	struct record *r = px_record(px);

	rec_cstr(r, &f_command, "connect");
	tell_value(r, &f_service, value_of(data, "SERVICE_NAME", NULL));
	tell_value(r, &f_sid, value_of(data, "SID", NULL));
	tell_value(r, &f_program, value_of(data, "PROGRAM", "CID"));
	tell_value(r, &f_client, value_of(data, "HOST", "CID"));
	tell_value(r, &f_client_user, value_of(data, "USER", "CID"));
	px_judge_session(px, r, &s->who);
	asks_end(px, &s->asks);	/* one that was to be sent again */
	asks_add(px, &s->asks, T_CONNECT, r);
	s->connecting = true;
	msg_asked(&s->sync);
}

/* c: the packet from its length on. */
static void connect(struct px *px, struct tns *s, struct cursor c)
{
	struct cursor all = c;
	uint16_t n, at;

	cur_skip(&c, 24);
	n = cur_be16(&c);
	at = cur_be16(&c);
	cur_skip(&all, at);
	s->data_length = 0;
	if (!cur_left(&all) && n)
		s->data_length = n;
	else
		connect_tell(px, s, cur_bytes(&all, n < cur_left(&all) ? n : cur_left(&all)));
}

/* ---- calls ---- */

static bool is_text(uint8_t b) { return b >= 0x20 || b == '\t' || b == '\n' || b == '\r'; }

/* Is all of it there? Long ones come in pieces of up to 255 bytes with their length before, behind 0xfe and up to one of 0; what ends with the packet may go on. */
static bool is_whole(struct cursor c, struct bytes text)
{
	size_t at;

	if (text.p[0] <= ' ')	/* its length may be a space by chance */
		text = (struct bytes){ text.p + 1, text.n - 1 };
	at = (size_t)(text.p - c.pos);
	if (at + text.n == cur_left(&c))
		return false;
	for (size_t i = 1; i <= 6 && i <= at; i++)
		if (cur_peek(&c, at - i) == 0xfe)
			return i > 1 && cur_peek(&c, at - 1) == (uint8_t)text.n && text.n <= UINT8_MAX && !cur_peek(&c, at + text.n);
	return true;
}

/* The longest run of text that begins as a statement. cut: it is not all, or another one stands before it. */
static struct bytes statement_find(struct cursor c, bool *cut)
{
	struct bytes best = { NULL, 0 }, first = best;
	const struct cursor all = c;

	while (cur_more(&c)) {
		size_t n = 0;
		struct bytes run;

		if (!is_text(cur_peek(&c, 0))) {
			cur_skip(&c, 1);
			continue;
		}
		while (n < cur_left(&c) && is_text(cur_peek(&c, n)))
			n++;
		run = cur_bytes(&c, n);
		for (unsigned skip = 0; skip < 3 && run.n >= 6; skip++) {	/* a length that is text by chance may stand before */
			if (run.n > best.n && sql_begins(SQL_ANSI, run)) {
				best = run;
				first = first.n ? first : run;
				break;
			}
			run = (struct bytes){ run.p + 1, run.n - 1 };
		}
	}
	*cut = best.n && (best.p != first.p || !is_whole(all, best));
	return best;
}

/* The first of a login's pairs: the length of its name twice, as numbers of one byte or of four, and the name. */
static bool pair_begins(struct cursor c)
{
	uint8_t n = cur_u8(&c);

	if (n == 1)
		n = cur_u8(&c);
	else if (cur_u8(&c) || cur_u8(&c) || cur_u8(&c))
		return false;
	return n > 5 && cur_u8(&c) == n && cur_starts(&c, "AUTH_", 5);
}

static bool is_user(struct bytes name)
{
	for (size_t k = 0; k < name.n; k++)
		if (name.p[k] <= 0x20 || name.p[k] == 0x7f)
			return false;
	return name.n != 0;
}

/* Of a login: the user's name stands as text before the first pair, with its length or, where the call told it (sequence, pointer, size of the number, number), alone. */
static struct bytes login_user(struct cursor c)
{
	uint8_t told = cur_peek(&c, 2) == 1 ? cur_peek(&c, 3) : 0;

	for (unsigned i = 0; i < 96 && cur_left(&c) > 12; i++, cur_skip(&c, 1)) {
		struct cursor u = c, alone = c;
		uint8_t n = cur_u8(&u);
		struct bytes name = n > 1 && n <= USER_MAX ? cur_bytes(&u, n) : (struct bytes){ NULL, 0 };

		if (is_user(name) && pair_begins(u))
			return name;
		name = told && told <= USER_MAX ? cur_bytes(&alone, told) : (struct bytes){ NULL, 0 };
		if (is_user(name) && pair_begins(alone))
			return name;
	}
	return (struct bytes){ NULL, 0 };
}

static void call(struct px *px, struct tns *s, struct cursor c)
{
	struct bytes text;
	uint8_t function, what;
	struct record *r;
	bool cut;

	cur_skip(&c, 2);
	what = cur_u8(&c);
	if (what == 0x11) {	/* a cursor is closed first: the call stands behind it */
		struct cursor find = c;

		while (cur_left(&find) > 1 && !(cur_peek(&find, 0) == 3 && cur_peek(&find, 1) == CALL_EXECUTE))
			cur_skip(&find, 1);
		if (cur_left(&find) < 2)
			return;
		c = find;
		what = cur_u8(&c);
	}
	function = cur_u8(&c);
	if (what != 3 || !cur_ok(&c))
		return;
	r = px_record(px);
	if (function == CALL_LOGIN || function == CALL_AUTH) {
		rec_cstr(r, &f_command, function == CALL_LOGIN ? "login" : "auth");
		tell_value(r, &f_user, login_user(c));
	} else if (function == CALL_EXECUTE) {
		text = statement_find(c, &cut);
		if (!text.n)
			return;
		rec_cstr(r, &f_command, "execute");
		rec_bytes(r, &f_query, text);
		sql_tell(r, &sql_facts, SQL_ANSI, text, cut);
	} else {
		return;
	}
	px_judge_session(px, r, &s->who);
	asks_tell_now(px, &s->asks, r);
}

/* ---- packets ---- */

static bool length(void *state, enum dir dir, struct cursor head, uint64_t *len, size_t *keep)
{
	const struct tns *s = state;
	uint8_t type = cur_peek(&head, 4);
	bool large = s->large || (!cur_peek(&head, 0) && !cur_peek(&head, 1));	/* in the middle: two zeroes are no length */

	*len = large ? cur_be32(&head) : cur_be16(&head);
	*keep = dir == DIR_TOSERVER ? KEEP : ANSWER_KEEP;
	return *len >= HEAD && *len <= (8u << 20) && type >= T_CONNECT && type <= T_LAST;
}

static void answer(struct px *px, struct tns *s, uint8_t type, struct cursor c)
{
	struct record *r;
	struct bytes code;

	if (!s->connecting || !s->asks.n || type == T_RESEND)
		return;
	s->connecting = false;
	r = asks_record(px, &s->asks, 0);
	if (type == T_ACCEPT) {
		uint16_t version = cur_be16(&c);

		rec_cstr(r, &f_answer, "accept");
		rec_u64(r, &f_version, version);
		s->large = version >= LARGE_VERSION;
	} else if (type == T_REFUSE) {
		rec_cstr(r, &f_answer, "refuse");
		cur_skip(&c, 4);
		code = value_of(cur_rest(&c), "ERR", NULL);
		tell_value(r, &f_error, code);
	} else if (type == T_REDIRECT) {
		rec_cstr(r, &f_answer, "redirect");
		cur_skip(&c, 2);
		tell_value(r, &f_redirect, cur_rest(&c));
	}
	asks_tell(px, &s->asks, 0, r);
}

static enum parse message(struct px *px, void *state, enum dir dir, struct cursor msg, uint64_t len)
{
	struct tns *s = state;
	uint8_t type = cur_peek(&msg, 4);
	struct cursor all = msg;

	(void)len;
	cur_skip(&msg, HEAD);
	if (dir == DIR_TOCLIENT) {
		answer(px, s, type, msg);
	} else if (type == T_CONNECT) {
		connect(px, s, all);
	} else if (type == T_DATA && s->data_length) {
		s->data_length = 0;
		cur_skip(&msg, 2);
		connect_tell(px, s, cur_rest(&msg));
	} else if (type == T_DATA) {
		call(px, s, msg);
	}
	return PARSE_DONE;
}

static const struct msg_format format = { HEAD, "tns.bad_packet", length, message };

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct tns *s = state;

	s->asks.event = EV_APP;
	return msg_run(px, &format, &s->sync, s, dir, in);
}

static enum parse gap(struct px *px, void *state, enum dir dir, uint64_t len)
{
	struct tns *s = state;

	(void)px;
	(void)len;
	return msg_gap(&s->sync, dir);
}

static void end(struct px *px, void *state)
{
	struct tns *s = state;

	s->asks.event = EV_APP;
	asks_end(px, &s->asks);
	px_saved_free(px, s->who);
}

/* ---- recognition ---- */

/* A connect: lengths that fit each other, data that begins with a bracket, versions that there are. */
static enum probe probe_connect(struct cursor c)
{
	struct cursor all = c;
	uint16_t len, n, at, version;

	if (cur_left(&c) < 5)
		return cur_peek(&c, 0) || (cur_left(&c) > 1 && cur_peek(&c, 1) < CONNECT_LEAST) ? (cur_peek(&c, 0) > 0x20 ? PROBE_NO : PROBE_MORE) : PROBE_MORE;
	len = cur_be16(&c);
	if (cur_be16(&c) || cur_u8(&c) != T_CONNECT || len < CONNECT_LEAST)
		return PROBE_NO;
	if (cur_left(&all) < 28)
		return PROBE_MORE;
	cur_skip(&c, 1);
	if (cur_be16(&c))
		return PROBE_NO;
	version = cur_be16(&c);
	if (version < 300 || version > 330 || cur_be16(&c) < 300)
		return PROBE_NO;
	cur_skip(&c, 12);
	n = cur_be16(&c);
	at = cur_be16(&c);
	if (at < CONNECT_LEAST || at > 200 || (at + n != len && at != len))
		return PROBE_NO;
	if (at == len)
		return PROBE_YES;
	if (cur_left(&all) <= at)
		return PROBE_MORE;
	return cur_peek(&all, at) == '(' ? PROBE_YES : PROBE_NO;
}

/* In the middle, from the server: an accept, a refusal or a redirection with its text. */
static enum probe probe_answer(struct cursor c)
{
	uint16_t len = cur_be16(&c);
	uint16_t sum = cur_be16(&c);
	uint8_t type = cur_u8(&c);

	if (!cur_ok(&c))
		return PROBE_MORE;
	if (sum || len < 24 || len > 1024)
		return PROBE_NO;
	cur_skip(&c, 3);
	if (type == T_ACCEPT) {
		uint16_t version = cur_be16(&c);

		return !cur_ok(&c) ? PROBE_MORE : version >= 300 && version <= 330 && cur_left(&c) == len - HEAD - 2u ? PROBE_YES : PROBE_NO;
	}
	if (type != T_REFUSE && type != T_REDIRECT)
		return PROBE_NO;
	cur_skip(&c, type == T_REFUSE ? 4 : 2);
	if (cur_left(&c) < 10)
		return PROBE_MORE;
	return cur_starts(&c, "(DESCRIPTION=", cur_left(&c) < 13 ? 10 : 13) || cur_starts(&c, "(ADDRESS=", 9) ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor up = in->dir[DIR_TOSERVER], down = in->dir[DIR_TOCLIENT];

	if (cur_left(&up))
		return probe_connect(up);
	return in->midstream || !cur_left(&down) ? probe_answer(down) : PROBE_NO;
}

static const uint16_t ports[] = { 1521, 0 };

const struct proto proto_tns = {
	.name = "tns",
	.app = APP_TNS,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct tns),
	.probe = probe,
	.parse = parse,
	.gap = gap,
	.end = end,
	.facts = facts,
};
