/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tds: Microsoft SQL Server and Sybase.
 *
 *   type (1)  status (1; 1: the message ends)  length (2, with this head)  spid (2)  packet (1)  window (1: 0)
 *   0x12 prelogin  0x10 login of version 7  0x02 login of version 4 and 5  0x01 batch  0x03 procedure  0x0f batch of version 5  0x04 answer
 *
 * Texts of version 7 are UTF-16, lengths inside are little endian. Of a message the first packet is read, and of its calls the first: what
 * goes on behind them is told to be `partial`. Behind a prelogin TLS
 * goes on inside of packets (its handshake) and then in records of its own, for the login or for all: these are passed by, plain
 * packets behind them are read again.
 *
 * One `tds` event per request, when its answer begins. */
#include "dpi/message.h"
#include "dpi/sql.h"

#define HEAD 8u
#define KEEP (HEAD + 12288u)
#define ANSWER_KEEP (HEAD + 512u)
#define TEXT_MAX (RECORD_STR_MAX + 1u)

enum type {
	T_BATCH = 0x01, T_LOGIN_OLD = 0x02, T_RPC = 0x03, T_ANSWER = 0x04, T_ATTENTION = 0x06, T_BULK = 0x07, T_TOKEN = 0x08, T_TRANSACTION = 0x0e,
	T_BATCH_5 = 0x0f, T_LOGIN_7 = 0x10, T_SSPI = 0x11, T_PRELOGIN = 0x12
};

static const struct fact f_command = { "command", FACT_COMMAND }, f_query = { "query", FACT_QUERY }, f_operation = { "operation", FACT_OPERATION },
	f_operations = { "operations", FACT_OPERATION }, f_tables = { "tables", FACT_TABLE }, f_procedure = { "procedure", FACT_OBJECT },
	f_user = { "user", FACT_USER }, f_database = { "database", FACT_DATABASE }, f_application = { "application_name", FACT_PLAIN },
	f_client = { "client_host", FACT_PLAIN }, f_server = { "server", FACT_PLAIN }, f_encryption = { "encryption", FACT_PLAIN }, f_error = { "error_code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_command, &f_query, &f_operation, &f_operations, &f_tables, &f_procedure, &f_user, &f_database, &f_application,
	&f_client, &f_server, &f_encryption, &f_error, NULL };
static const struct sql_facts sql_facts = { &f_operation, &f_operations, &f_tables, &f_database };

struct tds {
	struct saved *who;	/* user and database */
	struct msg_sync sync;
	struct asks asks;
	bool inside[2];		/* of a message of several packets */
};

/* ---- texts ---- */

/* UTF-16 as UTF-8, as much as fits. */
static size_t from_utf16(struct bytes in, uint8_t *out, size_t room)
{
	struct cursor c = cur_of(in.p, in.n);
	size_t n = 0;

	while (cur_left(&c) >= 2 && n + 4 <= room) {
		uint32_t u = cur_le16(&c);

		if (u >= 0xd800 && u < 0xdc00 && cur_left(&c) >= 2) {
			uint32_t low = cur_le16(&c);

			u = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00) : 0xfffd;
		} else if (u >= 0xd800 && u < 0xe000) {
			u = 0xfffd;
		}
		if (u < 0x80) {
			out[n++] = (uint8_t)u;
		} else if (u < 0x800) {
			out[n++] = (uint8_t)(0xc0 | u >> 6);
			out[n++] = (uint8_t)(0x80 | (u & 0x3f));
		} else if (u < 0x10000) {
			out[n++] = (uint8_t)(0xe0 | u >> 12);
			out[n++] = (uint8_t)(0x80 | (u >> 6 & 0x3f));
			out[n++] = (uint8_t)(0x80 | (u & 0x3f));
		} else {
			out[n++] = (uint8_t)(0xf0 | u >> 18);
			out[n++] = (uint8_t)(0x80 | (u >> 12 & 0x3f));
			out[n++] = (uint8_t)(0x80 | (u >> 6 & 0x3f));
			out[n++] = (uint8_t)(0x80 | (u & 0x3f));
		}
	}
	return n;
}

static void tell_utf16(struct record *r, const struct fact *f, struct bytes b)
{
	uint8_t out[512];
	size_t n = from_utf16(b, out, sizeof(out));

	if (n)
		rec_str(r, f, out, n);
}

/* A statement: of version 7 in UTF-16 (keywords have bytes that are 0), else in bytes. cut: it goes on elsewhere, or something else does. */
static void statement(struct record *r, struct bytes b, bool cut)
{
	uint8_t out[TEXT_MAX + 4];
	struct bytes text = b;

	if (b.n >= 2 && memchr(b.p, 0, b.n)) {
		text.p = out;
		text.n = from_utf16(b, out, sizeof(out));
	}
	rec_bytes(r, &f_query, text);
	sql_tell(r, &sql_facts, SQL_TSQL, text, cut);
}

/* From version 7.2 on headers stand before: their length in all, and each with length and type. */
static bool headers_pass(struct cursor *c)
{
	struct cursor ahead = *c;
	uint32_t all = cur_le32(&ahead), one = cur_le32(&ahead);
	uint16_t type = cur_le16(&ahead);

	if (!cur_ok(&ahead) || all < 4 || all > 1024 || one > all - 4 || one < 6 || type < 1 || type > 3 || all > cur_left(c))
		return false;
	cur_skip(c, all);
	return true;
}

/* ---- logins ---- */

/* A field of LOGIN7: where it stands and how many letters it has. */
static struct bytes login_field(const struct cursor *all, struct cursor *c)
{
	size_t at = cur_le16(c), n = (size_t)cur_le16(c) * 2;
	struct cursor f = *all;

	cur_skip(&f, at);
	return cur_bytes(&f, n);
}

static void login_7(struct record *r, struct cursor c)
{
	struct cursor all = c;

	cur_skip(&c, 36);
	tell_utf16(r, &f_client, login_field(&all, &c));
	tell_utf16(r, &f_user, login_field(&all, &c));
	login_field(&all, &c);		/* the password */
	tell_utf16(r, &f_application, login_field(&all, &c));
	tell_utf16(r, &f_server, login_field(&all, &c));
	for (unsigned i = 0; i < 3; i++)
		login_field(&all, &c);	/* extension, library, language */
	tell_utf16(r, &f_database, login_field(&all, &c));
}

/* A field of the old login: 30 bytes, then how many of them. */
static void login_field_old(struct record *r, const struct fact *f, struct cursor *c)
{
	struct bytes b = cur_bytes(c, 30);
	uint8_t n = cur_u8(c);

	if (f && cur_ok(c) && n && n <= 30)
		rec_bytes(r, f, (struct bytes){ b.p, n });
}

static void login_old(struct record *r, struct cursor c)
{
	login_field_old(r, &f_client, &c);
	login_field_old(r, &f_user, &c);
	login_field_old(r, NULL, &c);	/* the password */
	cur_skip(&c, 140 - 93);
	login_field_old(r, &f_application, &c);
	login_field_old(r, &f_server, &c);
}

/* token (1)  place (2)  length (2), up to 0xff. Token 1 says what of encryption is wanted. */
static const char *prelogin_encryption(struct cursor c)
{
	static const char *const names[] = { "off", "on", "not_supported", "required" };
	struct cursor all = c;

	for (unsigned i = 0; i < 16 && cur_ok(&c); i++) {
		uint8_t token = cur_u8(&c);
		uint16_t at;

		if (token == 0xff)
			break;
		at = cur_be16(&c);
		cur_skip(&c, 2);
		if (token == 1) {
			cur_skip(&all, at);
			at = cur_u8(&all);
			return cur_ok(&all) && at < 4 ? names[at] : NULL;
		}
	}
	return NULL;
}

/* ---- procedures ---- */

static const char *procedure_name(uint16_t id)
{
	static const char *const names[] = {
		NULL, "sp_cursor", "sp_cursoropen", "sp_cursorprepare", "sp_cursorexecute", "sp_cursorprepexec", "sp_cursorunprepare", "sp_cursorfetch",
		"sp_cursoroption", "sp_cursorclose", "sp_executesql", "sp_prepare", "sp_execute", "sp_prepexec", "sp_prepexecrpc", "sp_unprepare",
	};

	return id < sizeof(names) / sizeof(names[0]) ? names[id] : NULL;
}

/* A text or bytes in pieces: all of it (8; all ones: null), then length (4) and bytes, until a length of 0. False: there is more than one piece. */
static bool pieces(struct cursor *c, struct bytes *value)
{
	bool one = true;
	uint32_t n;

	if (cur_le64(c) == UINT64_MAX)
		return true;
	while ((n = cur_le32(c))) {
		struct bytes b = cur_bytes(c, n < cur_left(c) ? n : cur_left(c));

		one = one && !value->p;
		if (!value->p)
			*value = b;
		if (b.n < n)
			cur_fail(c);
	}
	return one;
}

/* Bytes of `n` (all ones: null), as many as are there. */
static void plain(struct cursor *c, uint32_t n, uint32_t null, struct bytes *value)
{
	if (n == null)
		return;
	*value = cur_bytes(c, n < cur_left(c) ? n : cur_left(c));
	if (value->n < n)
		cur_fail(c);
}

struct parameter {
	struct bytes name, value;	/* value: of texts and bytes */
};

/* The next parameter: name, status (1), type (1), what the type has to say, value. False: its end is not known, or not all of the value is in p. */
static bool parameter(struct cursor *c, struct parameter *p)
{
	bool one = true;
	uint8_t status, type;
	uint32_t n;

	*p = (struct parameter){ .name = cur_bytes(c, (size_t)cur_u8(c) * 2) };
	status = cur_u8(c);
	type = cur_u8(c);
	switch (type) {
	case 0x1f:	/* without a value */
		break;
	case 0x30: case 0x32:
		cur_skip(c, 1);
		break;
	case 0x34:
		cur_skip(c, 2);
		break;
	case 0x38: case 0x3a: case 0x3b: case 0x7a:
		cur_skip(c, 4);
		break;
	case 0x3c: case 0x3d: case 0x3e: case 0x7f:
		cur_skip(c, 8);
		break;
	case 0x37: case 0x3f: case 0x6a: case 0x6c:	/* decimals: precision and scale */
		cur_skip(c, 2);
		/* fall through */
	case 0x24: case 0x25: case 0x26: case 0x27: case 0x29: case 0x2a: case 0x2b: case 0x2d: case 0x2f: case 0x68: case 0x6d: case 0x6e: case 0x6f:
		cur_skip(c, 1);
		/* fall through */
	case 0x28:
		cur_skip(c, cur_u8(c));
		break;
	case 0xa5: case 0xad: case 0xa7: case 0xaf: case 0xe7: case 0xef:
		n = cur_le16(c);
		cur_skip(c, type == 0xa5 || type == 0xad ? 0 : 5);
		if (n == 0xffff)
			one = pieces(c, &p->value);
		else
			plain(c, cur_le16(c), 0xffff, &p->value);
		break;
	case 0x22: case 0x23: case 0x62: case 0x63:
		cur_skip(c, type == 0x22 || type == 0x62 ? 4 : 9);
		plain(c, cur_le32(c), UINT32_MAX, &p->value);
		break;
	case 0xf1:	/* XML, without a schema */
		if (cur_u8(c))
			cur_fail(c);
		one = pieces(c, &p->value);
		break;
	default:
		return false;
	}
	return one && cur_ok(c) && !(status & 8);	/* 8: how it is encrypted stands behind it */
}

/* The number of a procedure that is called by its name; 0: it has none. */
static uint16_t procedure_number(struct bytes utf16)
{
	struct bytes b = utf16;
	char name[32];
	size_t n = 0;

	for (size_t i = 0; i + 1 < b.n; i += 2) {	/* sys.sp_execute, [sp_execute] */
		if (b.p[i] == '.' && !b.p[i + 1])
			n = 0;
		else if (b.p[i + 1] || n == sizeof(name) - 1)
			return 0;
		else if (b.p[i] != '[' && b.p[i] != ']' && b.p[i] != '"')
			name[n++] = (char)(b.p[i] >= 'A' && b.p[i] <= 'Z' ? b.p[i] | 0x20 : b.p[i]);
	}
	name[n] = '\0';
	for (uint16_t id = 1; procedure_name(id); id++)
		if (strcmp(name, procedure_name(id)) == 0)
			return id;
	return 0;
}

/* cut: more of it stands in other packets. */
static void procedure(struct record *r, struct cursor c, bool cut)
{
	uint16_t n, id = 0;
	unsigned at, i;		/* at: the parameter that is a statement, from 1; 0: none */
	struct bytes name, text = { NULL, 0 };
	struct parameter p;

	headers_pass(&c);
	n = cur_le16(&c);
	if (n == 0xffff) {
		id = cur_le16(&c);
		if (procedure_name(id))
			rec_cstr(r, &f_procedure, procedure_name(id));
	} else {
		name = cur_bytes(&c, (size_t)n * 2);
		tell_utf16(r, &f_procedure, name);
		id = procedure_number(name);
	}
	cur_skip(&c, 2);
	at = id == 10 ? 1 : id == 2 ? 2 : id == 11 || id == 13 || id == 3 ? 3 : id == 5 ? 4 : 0;
	for (i = 1; cur_more(&c) && cur_peek(&c, 0) < 0x80; i++) {	/* from 0x80 on: another call begins */
		bool whole = parameter(&c, &p);

		if (i == at) {
			text = p.value;
			/* "@stmt", "@statement": by name they may come in another order */
			cut |= p.name.n && !(p.name.n > 6 && !memcmp(p.name.p, "@\0s\0t", 5));
		}
		if (!whole) {
			cut = true;
			break;
		}
	}
	cut |= cur_left(&c) || !cur_ok(&c);
	if (at && text.n)
		statement(r, text, cut);
	else if (cut)
		rec_partial(r);
}

/* ---- requests and answers ---- */

static const char *command_name(uint8_t type)
{
	switch (type) {
	case T_BATCH: case T_BATCH_5:
		return "batch";
	case T_LOGIN_OLD: case T_LOGIN_7:
		return "login";
	case T_RPC:
		return "rpc";
	case T_ATTENTION:
		return "cancel";
	case T_BULK:
		return "bulk_load";
	case T_TRANSACTION:
		return "transaction";
	case T_PRELOGIN:
		return "prelogin";
	default:
		return NULL;
	}
}

/* cut: c is not all of the message. */
static void request(struct px *px, struct tds *s, uint8_t type, struct cursor c, bool cut)
{
	const char *name = command_name(type), *encryption;
	struct record *r;

	if (!name || (type == T_PRELOGIN && cur_peek(&c, 0) != 0))	/* a piece of TLS's handshake */
		return;
	r = px_record(px);
	rec_cstr(r, &f_command, name);
	switch (type) {
	case T_BATCH:
		headers_pass(&c);
		statement(r, cur_rest(&c), cut);
		break;
	case T_BATCH_5:
		if (cur_u8(&c) == 0x21) {
			uint32_t n = cur_le32(&c);

			cur_skip(&c, 1);
			statement(r, cur_bytes(&c, n && n - 1 < cur_left(&c) ? n - 1 : cur_left(&c)), cut);
		} else {
			rec_partial(r);
		}
		break;
	case T_RPC:
		procedure(r, c, cut);
		break;
	case T_LOGIN_7:
		login_7(r, c);
		break;
	case T_LOGIN_OLD:
		login_old(r, c);
		break;
	case T_PRELOGIN:
		encryption = prelogin_encryption(c);
		if (encryption)
			rec_cstr(r, &f_encryption, encryption);
		break;
	default:
		break;
	}
	px_judge_session(px, r, &s->who);
	asks_add(px, &s->asks, type, r);
	msg_asked(&s->sync);
}

/* Tokens with a length of two bytes, up to an error. */
static void answer(struct px *px, struct tds *s, struct cursor c)
{
	struct record *r;

	if (!s->asks.n)
		return;
	r = asks_record(px, &s->asks, 0);
	while (cur_left(&c) > 7 && s->asks.q[0].id != T_PRELOGIN) {
		uint8_t token = cur_u8(&c);
		struct cursor body = cur_sub(&c, cur_le16(&c));

		if (token == 0xaa) {
			rec_u64(r, &f_error, cur_le32(&body));
			break;
		}
		if (token != 0xe3 && token != 0xab && token != 0xad && token != 0xe5)
			break;
	}
	asks_tell(px, &s->asks, 0, r);
}

/* ---- packets ---- */

static bool is_tls(const struct cursor *c) { return cur_peek(c, 0) >= 0x14 && cur_peek(c, 0) <= 0x17 && cur_peek(c, 1) == 3; }

static bool is_type(enum dir dir, uint8_t type)
{
	if (dir == DIR_TOCLIENT)
		return type == T_ANSWER || type == T_PRELOGIN;
	return (type >= T_BATCH && type <= T_TOKEN && type != T_ANSWER && type != 5) || (type >= T_TRANSACTION && type <= T_PRELOGIN);
}

static bool length(void *state, enum dir dir, struct cursor head, uint64_t *len, size_t *keep)
{
	uint8_t type = cur_peek(&head, 0), status = cur_peek(&head, 1);

	(void)state;
	*keep = dir == DIR_TOSERVER ? KEEP : ANSWER_KEEP;
	if (is_tls(&head)) {
		cur_skip(&head, 3);
		*len = 5 + (uint64_t)cur_be16(&head);
		*keep = HEAD;
		return *len >= HEAD;
	}
	cur_skip(&head, 2);
	*len = cur_be16(&head);
	return is_type(dir, type) && status < 0x20 && *len >= HEAD;
}

static enum parse message(struct px *px, void *state, enum dir dir, struct cursor msg, uint64_t len)
{
	struct tds *s = state;
	uint8_t type = cur_u8(&msg), status = cur_u8(&msg);
	bool first = !s->inside[dir];

	if (type >= 0x14 && type <= 0x17)
		return PARSE_DONE;
	cur_skip(&msg, 6);
	s->inside[dir] = !(status & 1);
	if (!first)
		return PARSE_DONE;
	if (dir == DIR_TOSERVER)
		request(px, s, type, msg, s->inside[dir] || len > KEEP);
	else
		answer(px, s, msg);
	return PARSE_DONE;
}

static const struct msg_format format = { HEAD, "tds.bad_packet", length, message };

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct tds *s = state;

	s->asks.event = EV_APP;
	return msg_run(px, &format, &s->sync, s, dir, in);
}

static enum parse gap(struct px *px, void *state, enum dir dir, uint64_t len)
{
	(void)px;
	(void)len;
	((struct tds *)state)->inside[dir] = false;
	return msg_gap(&((struct tds *)state)->sync, dir);
}

static void end(struct px *px, void *state)
{
	struct tds *s = state;

	s->asks.event = EV_APP;
	asks_end(px, &s->asks);
	px_saved_free(px, s->who);
}

/* ---- recognition ---- */

static enum probe probe_text(struct cursor c)
{
	uint8_t out[128];
	struct bytes b = cur_rest(&c);

	if (b.n < 12)
		return PROBE_NO;
	if (!b.p[1]) {
		b.n = from_utf16(b, out, sizeof(out));
		b.p = out;
	}
	return sql_begins(SQL_TSQL, b) ? PROBE_YES : PROBE_NO;
}

/* Letters of a procedure's name in UTF-16, or the number of one that is known. */
static bool procedure_named(struct cursor c)
{
	uint16_t n = cur_le16(&c);

	if (n == 0xffff)
		return procedure_name(cur_le16(&c)) != NULL;
	if (!n || n > 256)
		return false;
	for (unsigned i = 0; i < n && cur_left(&c) >= 2; i++) {
		uint16_t u = cur_le16(&c);

		if (u < 0x20 || u > 0x7e)
			return false;
	}
	return true;
}

/* Where the fields of a prelogin stand: behind the list, the version first. */
static bool prelogin_fits(struct cursor c, uint16_t room)
{
	uint16_t at = 0, first = 0, n;

	for (unsigned i = 0; i < 16; i++) {
		uint8_t token = cur_u8(&c);

		if (token == 0xff)
			return cur_ok(&c) && i && first == 5 * i + 1;
		if ((!i && token) || token > 8)
			return false;
		at = cur_be16(&c);
		n = cur_be16(&c);
		if (!cur_ok(&c) || at + n > room || (!i && n != 6))
			return false;
		if (!i)
			first = at;
	}
	return false;
}

static bool login_old_fits(struct cursor c)
{
	for (unsigned i = 0; i < 4; i++) {
		struct bytes b = cur_bytes(&c, 30);
		uint8_t n = cur_u8(&c);

		if (!cur_ok(&c) || n > 30)
			return false;
		for (unsigned k = 0; k < 30 && i < 2; k++)
			if (k < n ? b.p[k] < 0x20 || b.p[k] > 0x7e : b.p[k] != 0)
				return false;
	}
	return true;
}

static enum probe probe_request(struct cursor c, bool midstream)
{
	uint8_t type = cur_u8(&c), status = cur_u8(&c);
	uint16_t len = cur_be16(&c);
	bool headers;

	if (!is_type(DIR_TOSERVER, type) || status >= 0x20 || (cur_ok(&c) && len < HEAD))
		return PROBE_NO;
	cur_skip(&c, 2);
	if (cur_u8(&c) > 1 || cur_u8(&c))
		return PROBE_NO;
	if (!cur_ok(&c))
		return PROBE_MORE;
	if (cur_left(&c) > len - HEAD && status & 1)	/* a client waits for its answer */
		return PROBE_NO;
	if (cur_left(&c) < len - HEAD && cur_left(&c) < 120)
		return PROBE_MORE;
	switch (type) {
	case T_PRELOGIN:
		return prelogin_fits(c, (uint16_t)(len - HEAD)) ? PROBE_YES : PROBE_NO;
	case T_LOGIN_7:
		if (cur_le32(&c) < 86)
			return PROBE_NO;
		return (cur_le32(&c) >> 24 & 0xf0) == 0x70 ? PROBE_YES : PROBE_NO;
	case T_LOGIN_OLD:
		if (len != 512)
			return PROBE_NO;
		return cur_left(&c) < 124 ? PROBE_MORE : login_old_fits(c) ? PROBE_YES : PROBE_NO;
	default:
		break;
	}
	if (!midstream)
		return PROBE_NO;
	headers = headers_pass(&c);
	if (type == T_BATCH)
		return headers ? PROBE_YES : probe_text(c);
	if (type == T_RPC)
		return procedure_named(c) ? PROBE_YES : PROBE_NO;
	return type == T_TRANSACTION && headers ? PROBE_YES : PROBE_NO;
}

/* An answer in the middle: tokens at its beginning and DONE at its end. */
static enum probe probe_answer(struct cursor c)
{
	static const uint8_t tokens[] = { 0x81, 0xe3, 0xab, 0xaa, 0xad, 0xfd, 0xfe, 0xff, 0x79, 0xd1, 0xa5, 0xe5, 0xee };
	uint8_t done[2];
	uint16_t len;

	if (cur_left(&c) < HEAD + 1)
		return cur_peek(&c, 0) == T_ANSWER && (cur_left(&c) < 2 || cur_peek(&c, 1) == 1) ? PROBE_MORE : PROBE_NO;
	if (cur_be16(&c) != 0x0401)
		return PROBE_NO;
	len = cur_be16(&c);
	cur_skip(&c, 3);
	if (len < HEAD + 9 || cur_u8(&c) || !memchr(tokens, cur_peek(&c, 0), sizeof(tokens)) || cur_left(&c) > len - HEAD)
		return PROBE_NO;
	if (cur_left(&c) < len - HEAD)
		return len < 8192 ? PROBE_MORE : PROBE_NO;
	done[0] = cur_peek(&c, (size_t)len - HEAD - 9);
	done[1] = len >= HEAD + 13 ? cur_peek(&c, (size_t)len - HEAD - 13) : 0;
	return done[0] >= 0xfd || done[1] >= 0xfd ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	enum probe p = PROBE_NO, q = PROBE_NO;

	if (cur_left(&in->dir[DIR_TOSERVER]))
		p = probe_request(in->dir[DIR_TOSERVER], in->midstream);
	if (p != PROBE_YES && in->midstream && cur_left(&in->dir[DIR_TOCLIENT]))
		q = probe_answer(in->dir[DIR_TOCLIENT]);
	return p == PROBE_YES || q == PROBE_YES ? PROBE_YES : p == PROBE_MORE || q == PROBE_MORE ? PROBE_MORE : PROBE_NO;
}

static const uint16_t ports[] = { 1433, 0 };

const struct proto proto_tds = {
	.name = "tds",
	.app = APP_TDS,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct tds),
	.probe = probe,
	.parse = parse,
	.gap = gap,
	.end = end,
	.facts = facts,
};
