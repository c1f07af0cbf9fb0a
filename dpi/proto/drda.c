/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drda: Db2, Derby, Informix (the DDM architecture).
 *
 *   length (2; 0x8000: it goes on in pieces with a length of two bytes each)  0xd0  format (1; low half: 1 request, 3 object, 0x40: the
 *   next one belongs to it)  correlation (2)  then length (2)  codepoint (2)  parameters, each of length (2), codepoint (2), data
 *
 * One `drda` event per request when its answer is there, else at the end of the flow; of those that take a statement with the object that
 * carries it. Names are in EBCDIC or ASCII. Of answers, which have the request's correlation, the first error counts: the state of an SQLCA
 * (in SQLCARD and SQLDARD: null(1) or 0 code(4) state(5) ...), or a reply message of a severity that is one. */
#include "dpi/message.h"
#include "dpi/sql.h"

#define HEAD 6u
#define KEEP (HEAD + 4096u + 256u)
#define ANSWER_KEEP (HEAD + 256u)
#define SEVERE 8u		/* of a reply message: an error */

static const struct fact f_command = { "command", FACT_COMMAND }, f_user = { "user", FACT_USER }, f_database = { "database", FACT_DATABASE },
	f_program = { "program", FACT_PLAIN }, f_server = { "server", FACT_PLAIN }, f_query = { "query", FACT_QUERY }, f_operation = { "operation", FACT_OPERATION },
	f_operations = { "operations", FACT_OPERATION }, f_tables = { "tables", FACT_TABLE }, f_sqlstate = { "sqlstate", FACT_PLAIN }, f_error = { "error_code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_command, &f_user, &f_database, &f_program, &f_server, &f_query, &f_operation, &f_operations, &f_tables, &f_sqlstate,
	&f_error, NULL };
static const struct sql_facts sql_facts = { &f_operation, &f_operations, &f_tables, NULL };

enum codepoint {
	CP_EXTNAM = 0x115e, CP_SRVNAM = 0x116d, CP_USRID = 0x11a0, CP_RDBNAM = 0x2110, CP_SQLSTT = 0x2414, CP_SQLATTR = 0x2450,
	CP_EXCSAT = 0x1041, CP_EXCSATRD = 0x1443, CP_SQLCARD = 0x2408, CP_SQLDARD = 0x2411, CP_SVRCOD = 0x1149, CP_SECCHKCD = 0x11a4
};

static const struct { uint16_t codepoint; const char *name; } replies[] = {
	{ 0x1210, "mgrlvlrm" }, { 0x1218, "mgrdeprm" }, { 0x1219, "secchkrm" }, { 0x121c, "cmdatnrm" }, { 0x1232, "agnprmrm" }, { 0x1233, "rscvlmrm" }, { 0x1245, "prccnvrm" },
	{ 0x124b, "syntaxrm" }, { 0x124c, "syntaxrm" }, { 0x1250, "cmdnsprm" }, { 0x1251, "prmnsprm" }, { 0x1252, "valnsprm" }, { 0x1253, "objnsprm" }, { 0x1254, "cmdchkrm" },
	{ 0x125f, "trgnsprm" }, { 0x2203, "rdbathrm" }, { 0x2204, "rdbnacrm" }, { 0x2207, "rdbaccrm" }, { 0x220d, "abnuowrm" }, { 0x2211, "rdbnfnrm" }, { 0x2212, "opnqflrm" },
	{ 0x2213, "sqlerrrm" }, { 0x221a, "rdbaflrm" },
};

static const struct command {
	uint16_t codepoint;
	bool statement;		/* its statement comes in an object behind it */
	const char *name;
} commands[] = {
	{ CP_EXCSAT, false, "excsat" }, { 0x106d, false, "accsec" }, { 0x106e, false, "secchk" }, { 0x2001, false, "accrdb" }, { 0x2002, false, "bgnbnd" },
	{ 0x2004, false, "bndsqlstt" }, { 0x2005, false, "clsqry" }, { 0x2006, false, "cntqry" }, { 0x2007, false, "drppkg" }, { 0x2008, true, "dscsqlstt" },
	{ 0x2009, false, "endbnd" }, { 0x200a, true, "excsqlimm" }, { 0x200b, false, "excsqlstt" }, { 0x200c, false, "opnqry" }, { 0x200d, true, "prpsqlstt" },
	{ 0x200e, false, "rdbcmm" }, { 0x200f, false, "rdbrllbck" }, { 0x2010, false, "rebind" }, { 0x2012, false, "dscrdbtbl" }, { 0x2014, true, "excsqlset" },
	{ 0x1055, false, "syncctl" },
};

struct drda {
	struct msg_sync sync;
	struct asks asks;
	const struct command *waits;	/* for its statement */
	uint16_t waits_id;		/* its correlation */
	bool pieces[2];			/* the next piece of a long one */
};

static const struct command *command_of(uint16_t cp)
{
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].codepoint == cp)
			return &commands[i];
	return NULL;
}

/* ---- texts ---- */

static uint8_t from_ebcdic(uint8_t b)
{
	static const char marks[] = "\x40 \x4b.\x4c<\x4d(\x4e+\x4f|\x50&\x5a!\x5b$\x5c*\x5d)\x5e;\x60-\x61/\x6b,\x6c%\x6d_\x6e>\x6f?\x7a:\x7b#\x7c@\x7d'\x7e=\x7f\"";
	uint8_t low = b & 0x0f, high = b & 0xb0;

	if (b >= 0xf0 && b <= 0xf9)
		return (uint8_t)('0' + low);
	if (b >= 0x81 && low >= 1 && low <= 9) {
		uint8_t base = b & 0x40 ? 'A' : 'a';

		if (high == 0x80)
			return (uint8_t)(base + low - 1);
		if (high == 0x90)
			return (uint8_t)(base + 9 + low - 1);
		if (high == 0xa0 && low >= 2)
			return (uint8_t)(base + 18 + low - 2);
	}
	for (unsigned i = 0; marks[i]; i += 2)
		if ((uint8_t)marks[i] == b)
			return (uint8_t)marks[i + 1];
	return b < 0x40 ? ' ' : '?';
}

/* A text in whatever of the two it is, without the spaces at its end. out holds RECORD_STR_MAX + 1 bytes. */
static struct bytes text_of(struct bytes b, uint8_t *out)
{
	size_t letters = 0, n = b.n <= RECORD_STR_MAX ? b.n : RECORD_STR_MAX + 1;

	for (size_t i = 0; i < n; i++) {	/* in EBCDIC letters and digits lie above 0x80, the space at 0x40 */
		letters += b.p[i] >= 0x81 || b.p[i] == 0x40;
		out[i] = b.p[i];
	}
	if (letters * 2 > n)
		for (size_t i = 0; i < n; i++)
			out[i] = from_ebcdic(b.p[i]);
	while (n && out[n - 1] == ' ')
		n--;
	return (struct bytes){ out, n };
}

static void tell_text(struct record *r, const struct fact *f, struct bytes b)
{
	uint8_t out[RECORD_STR_MAX + 1];
	struct bytes t = text_of(b, out);

	if (t.n)
		rec_bytes(r, f, t);
}

/* ---- requests ---- */

static void tell(struct px *px, struct drda *s, const struct command *k, uint16_t id, struct cursor c, bool statement)
{
	struct record *r = px_record(px);
	uint8_t out[RECORD_STR_MAX + 1];
	struct bytes text;

	rec_cstr(r, &f_command, k->name);
	while (!statement && cur_left(&c) >= 4) {
		uint16_t n = cur_be16(&c), cp = cur_be16(&c);
		struct bytes value;

		if (n < 4 || n - 4u > cur_left(&c))
			break;
		value = cur_bytes(&c, n - 4u);
		if (cp == CP_USRID)
			tell_text(r, &f_user, value);
		else if (cp == CP_RDBNAM)
			tell_text(r, &f_database, value);
		else if (cp == CP_EXTNAM)
			tell_text(r, &f_program, value);
		else if (cp == CP_SRVNAM)
			tell_text(r, &f_server, value);
	}
	if (statement) {	/* (0: not null) length (4) text, twice: mixed and single bytes; one of them is null */
		uint32_t n = 0;

		while (cur_more(&c) && cur_peek(&c, 0) == 0xff)
			cur_skip(&c, 1);
		cur_skip(&c, 1);
		n = cur_be32(&c);
		text = text_of(cur_bytes(&c, n < cur_left(&c) ? n : cur_left(&c)), out);
		rec_bytes(r, &f_query, text);
		sql_tell(r, &sql_facts, SQL_ANSI, text, false);
	}
	px_judge(px, r);
	asks_add(px, &s->asks, id, r);
	msg_asked(&s->sync);
}

/* ---- answers ---- */

/* An SQLCA: its state, where that says more than success. */
static struct bytes sqlstate_of(struct cursor c, uint8_t *out)
{
	struct bytes t = { NULL, 0 };

	if (cur_u8(&c) == 0) {
		cur_skip(&c, 4);
		t = text_of(cur_bytes(&c, 5), out);
	}
	if (!cur_ok(&c) || t.n != 5 || (t.p[0] == '0' && t.p[1] == '0'))
		t.n = 0;
	return t;
}

/* A reply message: whether it tells an error. */
static bool is_error(struct cursor c)
{
	while (cur_left(&c) >= 4) {
		uint16_t n = cur_be16(&c), cp = cur_be16(&c);
		struct cursor v;

		if (n < 4 || n - 4u > cur_left(&c))
			break;
		v = cur_sub(&c, n - 4u);
		if ((cp == CP_SVRCOD && cur_be16(&v) >= SEVERE) || (cp == CP_SECCHKCD && cur_u8(&v)))
			return true;
	}
	return false;
}

static void answer(struct px *px, struct drda *s, uint8_t format, uint16_t id, uint16_t cp, struct cursor c)
{
	uint8_t out[RECORD_STR_MAX + 1];
	struct bytes state = { NULL, 0 };
	bool last = (format & 0x50) != 0x50, error = false;
	struct record *r;
	unsigned k = 0;
	int i = asks_find(&s->asks, id);

	if (i < 0)
		return;
	if ((format & 0xf) == 2)
		error = is_error(c);
	else if (cp == CP_SQLCARD || cp == CP_SQLDARD)
		state = sqlstate_of(c, out);
	if (!error && !state.n && !last)
		return;
	r = asks_record(px, &s->asks, i);
	if (state.n)
		rec_bytes(r, &f_sqlstate, state);
	while (k < sizeof(replies) / sizeof(replies[0]) && replies[k].codepoint != cp)
		k++;
	if (error && k < sizeof(replies) / sizeof(replies[0]))
		rec_cstr(r, &f_error, replies[k].name);
	else if (error)
		rec_printf(r, &f_error, "0x%04x", cp);
	asks_tell(px, &s->asks, i, r);
}

static bool length(void *state, enum dir dir, struct cursor head, uint64_t *len, size_t *keep)
{
	struct drda *s = state;
	uint16_t n = cur_be16(&head);

	*len = n & 0x7fff;
	*keep = dir == DIR_TOSERVER ? KEEP : ANSWER_KEEP;
	if (s->pieces[dir])
		return *len >= 2;
	return *len >= HEAD + 4 && cur_u8(&head) == 0xd0;
}

static enum parse message(struct px *px, void *state, enum dir dir, struct cursor msg, uint64_t len)
{
	struct drda *s = state;
	bool more = cur_peek(&msg, 0) & 0x80, piece = s->pieces[dir];
	const struct command *k, *waits = s->waits;
	struct cursor nothing = cur_of(NULL, 0);
	uint16_t cp, id, waits_id = s->waits_id;
	uint8_t format;

	(void)len;
	s->pieces[dir] = more;
	s->sync.over = more != piece;	/* another form of head follows */
	if (piece)
		return PARSE_DONE;
	cur_skip(&msg, 3);
	format = cur_u8(&msg);
	id = cur_be16(&msg);
	cur_skip(&msg, 2);
	cp = cur_be16(&msg);
	if (dir == DIR_TOCLIENT) {
		answer(px, s, format, id, cp, msg);
		return PARSE_DONE;
	}
	s->waits = NULL;
	if ((format & 0xf) == 3) {
		if (cp == CP_SQLSTT && waits)
			tell(px, s, waits, waits_id, msg, true);
		else if (cp == CP_SQLATTR)
			s->waits = waits;	/* of the statement that comes */
		return PARSE_DONE;
	}
	if (waits)
		tell(px, s, waits, waits_id, nothing, false);
	k = command_of(cp);
	if (!k)
		return PARSE_DONE;
	if (k->statement && format & 0x40) {
		s->waits = k;
		s->waits_id = id;
	} else {
		tell(px, s, k, id, msg, false);
	}
	return PARSE_DONE;
}

static const struct msg_format format_first = { HEAD, "drda.bad_message", length, message }, format_piece = { 2, "drda.bad_message", length, message };

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct drda *s = state;
	enum parse p;

	s->asks.event = EV_APP;
	do {
		s->sync.over = false;
		p = msg_run(px, s->pieces[dir] ? &format_piece : &format_first, &s->sync, s, dir, in);
	} while (p == PARSE_DONE && s->sync.over && cur_more(in));
	s->sync.over = false;
	return p;
}

static enum parse gap(struct px *px, void *state, enum dir dir, uint64_t len)
{
	struct drda *s = state;

	(void)len;
	if (dir == DIR_TOCLIENT) {
		s->asks.event = EV_APP;
		s->pieces[dir] = false;
		asks_end(px, &s->asks);
	}
	return msg_gap(&s->sync, dir);
}

static void end(struct px *px, void *state)
{
	struct drda *s = state;

	s->asks.event = EV_APP;
	if (s->waits)
		tell(px, s, s->waits, s->waits_id, cur_of(NULL, 0), false);
	s->waits = NULL;
	asks_end(px, &s->asks);
}

/* ---- recognition: 0xd0 behind a length, and an inner length that is that less six ---- */

static enum probe probe_one(struct cursor c, bool client, bool midstream)
{
	uint16_t len = cur_be16(&c), inner, cp;
	uint8_t magic = cur_u8(&c), format = cur_u8(&c);

	if (cur_ok(&c) || cur_left(&c) >= 3)
		if (magic != 0xd0 || len < HEAD + 4)
			return PROBE_NO;
	cur_skip(&c, 2);
	inner = cur_be16(&c);
	cp = cur_be16(&c);
	if (!cur_ok(&c))
		return PROBE_MORE;
	if (inner != len - HEAD || format & 0x80)
		return PROBE_NO;
	if (client)
		return (format & 0xf) == 1 && (cp == CP_EXCSAT || (midstream && command_of(cp))) ? PROBE_YES : PROBE_NO;
	return (format & 0xf) == 2 && cp == CP_EXCSATRD ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	if (cur_left(&in->dir[DIR_TOSERVER]))
		return probe_one(in->dir[DIR_TOSERVER], true, in->midstream);
	return probe_one(in->dir[DIR_TOCLIENT], false, in->midstream);
}

static const uint16_t ports[] = { 50000, 446, 1527, 0 };

const struct proto proto_drda = {
	.name = "drda",
	.app = APP_DRDA,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct drda),
	.probe = probe,
	.parse = parse,
	.gap = gap,
	.end = end,
	.facts = facts,
};
