/* SPDX-License-Identifier: GPL-2.0-or-later */
/* postgresql: the frontend/backend protocol 3.
 *
 *   client:  length (4, counts itself)  code (4)  settings          once; SSLRequest and GSSENCRequest may come before
 *   server:  one byte answers these two: S or G (what follows is encrypted), N
 *   both:    type (1)  length (4, counts itself)  body
 *
 * One `pgsql` event per start, simple query, parse, execute and function call. Answers come in order; a server that met an error
 * in extended queries drops everything up to the client's Sync. So what waits is counted by its Sync: ReadyForQuery tells
 * all of the same one, an error belongs to the oldest of it. Statements are remembered by name (the last STATEMENTS_MAX) and
 * told and judged again where they are run. In the middle of a connection the server's bytes are looked at only from an
 * answer on that follows a request. */
#include "dpi/proto/postgresql_parts.h"

#define QUERY_KEEP (5u + RECORD_STR_MAX + 1u)
#define PARSE_KEEP (5u + 256u + RECORD_STR_MAX + 1u)
#define SHORT_KEEP (5u + 256u)
#define ERROR_KEEP (5u + 400u)
#define NAME_MAX 63u
#define STATEMENTS_MAX 16u
#define PORTALS_MAX 4u

static const struct fact f_command = { "command", FACT_COMMAND }, f_query = { "query", FACT_QUERY }, f_user = { "user", FACT_USER },
	f_database = { "database", FACT_DATABASE }, f_operation = { "operation", FACT_OPERATION }, f_operations = { "operations", FACT_OPERATION },
	f_tables = { "tables", FACT_TABLE }, f_application = { "application_name", FACT_PLAIN }, f_statement = { "statement", FACT_PLAIN },
	f_auth = { "auth", FACT_PLAIN }, f_error = { "sqlstate", FACT_PLAIN }, f_replication = { "replication", FACT_PLAIN };
static const struct fact *const facts[] = { &f_command, &f_query, &f_user, &f_database, &f_operation, &f_operations, &f_tables, &f_application, &f_statement,
	&f_auth, &f_error, &f_replication, NULL };
static const struct sql_facts sql_facts = { &f_operation, &f_operations, &f_tables, NULL };

enum phase { PHASE_START, PHASE_ASKED, PHASE_LOGIN, PHASE_QUERIES };	/* ASKED: for encryption; the server's byte comes */

struct name {
	uint8_t len;	/* 0xff: none */
	char s[NAME_MAX];
};

struct statement {
	struct name name;
	struct saved *what;	/* NULL: free */
};

struct portal {
	struct name name, statement;
	bool used;
};

/* What is prepared and bound: many connections never do. */
struct names {
	uint8_t next_statement, next_portal;
	struct statement statements[STATEMENTS_MAX];
	struct portal portals[PORTALS_MAX];
};

struct pgsql {
	struct saved *who;	/* user and database */
	struct asks asks;
	enum phase phase;
	bool gss;		/* what was asked for */
	bool adrift, looks;	/* where the server's messages begin is not known; the next one may answer */
	uint32_t syncs[2];	/* client's, server's */
	const char *auth;	/* how the server asks for a password */
	struct names *names;	/* NULL: nothing was prepared yet */
};

#define ID_PARSE ((uint64_t)1 << 32)
#define ID_START ((uint64_t)1 << 33)

/* ---- statements and portals by name ---- */

static struct name name_of(struct bytes b)
{
	struct name n = { .len = (uint8_t)(b.n <= NAME_MAX ? b.n : 0xff) };

	if (b.n <= NAME_MAX && b.n)
		memcpy(n.s, b.p, b.n);
	return n;
}

static bool same(const struct name *a, const struct name *b) { return a->len != 0xff && a->len == b->len && memcmp(a->s, b->s, a->len) == 0; }

/* False: no memory. */
static bool names_needed(struct px *px, struct pgsql *s)
{
	if (!s->names)
		s->names = px_alloc(px, sizeof(*s->names));
	return s->names;
}

static struct statement *statement_of(struct pgsql *s, const struct name *n)
{
	for (unsigned i = 0; s->names && i < STATEMENTS_MAX; i++)
		if (s->names->statements[i].what && same(&s->names->statements[i].name, n))
			return &s->names->statements[i];
	return NULL;
}

static void statement_keep(struct px *px, struct pgsql *s, struct name n, struct saved *what)
{
	struct statement *st = statement_of(s, &n);

	if (n.len == 0xff || !names_needed(px, s)) {
		px_saved_free(px, what);
		return;
	}
	if (!st) {
		st = &s->names->statements[s->names->next_statement];
		s->names->next_statement = (uint8_t)((s->names->next_statement + 1) % STATEMENTS_MAX);
	}
	px_saved_free(px, st->what);
	*st = (struct statement){ n, what };
}

static struct portal *portal_of(struct pgsql *s, const struct name *n)
{
	for (unsigned i = 0; s->names && i < PORTALS_MAX; i++)
		if (s->names->portals[i].used && same(&s->names->portals[i].name, n))
			return &s->names->portals[i];
	return NULL;
}

static void bind(struct px *px, struct pgsql *s, struct cursor c)
{
	bool cut;
	struct name portal = name_of(pg_string(&c, &cut)), statement = name_of(pg_string(&c, &cut));
	struct portal *p = portal_of(s, &portal);

	if (cut || portal.len == 0xff || !names_needed(px, s))
		return;
	if (!p) {
		p = &s->names->portals[s->names->next_portal];
		s->names->next_portal = (uint8_t)((s->names->next_portal + 1) % PORTALS_MAX);
	}
	*p = (struct portal){ portal, statement, true };
}

/* ---- the beginning ---- */

static void startup_settings(struct record *r, struct cursor c)
{
	struct bytes user = { NULL, 0 }, db = { NULL, 0 }, app = { NULL, 0 }, replication = { NULL, 0 };
	bool cut = false;

	while (!cut && cur_left(&c) > 1) {
		struct bytes name = pg_string(&c, &cut), value;

		if (cut || !name.n)
			break;
		value = pg_string(&c, &cut);
		if (name.n == 4 && !memcmp(name.p, "user", 4))
			user = value;
		else if (name.n == 8 && !memcmp(name.p, "database", 8))
			db = value;
		else if (name.n == 16 && !memcmp(name.p, "application_name", 16))
			app = value;
		else if (name.n == 11 && !memcmp(name.p, "replication", 11))
			replication = value;
	}
	rec_bytes(r, &f_user, user);
	rec_bytes(r, &f_database, db.n ? db : user);	/* what servers take where none is named */
	if (app.n)
		rec_bytes(r, &f_application, app);
	if (replication.n)
		rec_bytes(r, &f_replication, replication);
}

static struct record *named(struct px *px, const char *command)
{
	struct record *r = px_record(px);

	rec_cstr(r, &f_command, command);
	return r;
}

static enum parse startup(struct px *px, struct pgsql *s, struct cursor *in)
{
	struct cursor ahead = *in, c;
	uint32_t len = cur_be32(&ahead), code = cur_be32(&ahead);
	struct record *r;
	enum parse p;

	if (!cur_ok(&ahead))
		return msg_more(px, 8);
	if (len < 8 || len > PG_STARTUP_MAX)
		return msg_bad(px, "pgsql.bad_startup");
	p = msg_take(px, DIR_TOSERVER, in, len, PG_STARTUP_MAX, &c);
	if (p != PARSE_DONE)
		return p;
	cur_skip(&c, 8);
	if (code == PG_SSL || code == PG_GSSENC) {
		r = named(px, code == PG_SSL ? "ssl_request" : "gssenc_request");
		px_judge_session(px, r, &s->who);
		asks_tell_now(px, &s->asks, r);
		s->gss = code == PG_GSSENC;
		s->phase = PHASE_ASKED;
		return PARSE_DONE;
	}
	if (code == PG_CANCEL) {
		r = named(px, "cancel");
		px_judge_session(px, r, &s->who);
		asks_tell_now(px, &s->asks, r);
		px_stop(px);
		return PARSE_DONE;
	}
	if (code >> 16 != PG_VERSION_3)
		return msg_bad(px, "pgsql.bad_startup");
	r = named(px, "startup");
	startup_settings(r, c);
	px_judge_session(px, r, &s->who);
	asks_add(px, &s->asks, ID_START, r);
	s->phase = PHASE_LOGIN;
	return PARSE_DONE;
}

/* The one byte that answers a request for encryption. */
static void encryption_answer(struct px *px, struct pgsql *s, struct cursor *in)
{
	uint8_t b = cur_peek(in, 0);

	s->phase = PHASE_START;
	if (b == 'E') {		/* an old server's error; it closes */
		px_stop(px);
		return;
	}
	cur_skip(in, 1);
	if (b == 'S' && !s->gss)
		px_switch(px, NULL);
	else if (b != 'N')
		px_lost(px);
}

/* ---- requests ---- */

static void query_tell(struct record *r, struct bytes text, bool cut)
{
	rec_bytes(r, &f_query, text);
	sql_tell(r, &sql_facts, SQL_PGSQL, text, cut);
}

static void request(struct px *px, struct pgsql *s, struct record *r, uint64_t kind)
{
	px_judge_session(px, r, &s->who);
	asks_add(px, &s->asks, s->syncs[0] | kind, r);
	s->looks = s->adrift;
}

static void parse_message(struct px *px, struct pgsql *s, struct cursor c)
{
	bool cut;
	struct bytes name = pg_string(&c, &cut), text = pg_string(&c, &cut);
	struct record *r = px_record(px);

	query_tell(r, text, cut);
	statement_keep(px, s, name_of(name), px_save(px, r));
	r = named(px, "parse");
	if (name.n)
		rec_bytes(r, &f_statement, name);
	query_tell(r, text, cut);
	request(px, s, r, ID_PARSE);
}

static void execute_message(struct px *px, struct pgsql *s, struct cursor c)
{
	bool cut;
	struct name portal = name_of(pg_string(&c, &cut));
	struct portal *p = portal_of(s, &portal);
	struct statement *st = p ? statement_of(s, &p->statement) : NULL;
	struct record *r = named(px, "execute");

	if (p && p->statement.len && p->statement.len != 0xff)
		rec_str(r, &f_statement, p->statement.s, p->statement.len);
	if (st)
		rec_append(r, st->what->body, st->what->len);
	request(px, s, r, 0);
}

static size_t keep_of(uint8_t type)
{
	switch (type) {
	case 'Q':
		return QUERY_KEEP;
	case 'P':
		return PARSE_KEEP;
	case 'B': case 'E':
		return SHORT_KEEP;
	default:
		return 5;
	}
}

static void client_message(struct px *px, struct pgsql *s, uint8_t type, struct cursor c)
{
	struct bytes text;
	struct record *r;
	bool cut;

	switch (type) {
	case 'Q':
		r = named(px, "query");
		text = pg_string(&c, &cut);
		query_tell(r, text, cut);
		request(px, s, r, 0);
		s->syncs[0]++;
		break;
	case 'F':
		request(px, s, named(px, "function_call"), 0);
		s->syncs[0]++;
		break;
	case 'P':
		parse_message(px, s, c);
		break;
	case 'B':
		bind(px, s, c);
		break;
	case 'E':
		execute_message(px, s, c);
		break;
	case 'S':
		s->syncs[0]++;
		s->looks |= s->adrift;
		break;
	default:
		break;
	}
}

static enum parse parse_client(struct px *px, struct pgsql *s, struct cursor *in)
{
	enum parse p = PARSE_DONE;

	while (p == PARSE_DONE && cur_more(in)) {
		struct cursor ahead = *in, c;
		uint8_t type = cur_u8(&ahead);
		uint32_t len;

		if (s->phase == PHASE_ASKED && type)	/* TLS without waiting for the answer, or nonsense */
			return msg_bad(px, "pgsql.bad_startup");
		if (s->phase <= PHASE_ASKED && !type) {
			p = startup(px, s, in);
			continue;
		}
		if (s->phase == PHASE_START) {
			s->phase = PHASE_QUERIES;
			s->adrift = true;
		}
		len = cur_be32(&ahead);
		if (!cur_ok(&ahead))
			return msg_more(px, 5);
		if (len < 4 || len > PG_MESSAGE_MAX || !pg_is_client_type(type))
			return msg_bad(px, "pgsql.bad_message");
		p = msg_take(px, DIR_TOSERVER, in, len + 1u, keep_of(type), &c);
		if (p == PARSE_DONE) {
			cur_skip(&c, 5);
			client_message(px, s, type, c);
		}
	}
	return p;
}

/* ---- answers ---- */

/* S severity, C SQLSTATE, M text, ...: each a letter and a string. */
static void error_read(struct record *r, struct cursor c)
{
	bool cut = false;

	while (!cut && cur_left(&c) > 1) {
		uint8_t field = cur_u8(&c);
		struct bytes value = pg_string(&c, &cut);

		if (field == 'C' && !cut) {
			rec_bytes(r, &f_error, value);
			return;
		}
	}
}

static const char *auth_name(uint32_t code)
{
	switch (code) {
	case 2:
		return "kerberos";
	case 3:
		return "password";
	case 5:
		return "md5";
	case 7:
		return "gss";
	case 9:
		return "sspi";
	case 10:
		return "sasl";
	default:
		return NULL;
	}
}

/* What comes at a login: how to prove it, then yes, settings, and that queries may come; or an error, also after the yes (no such database). */
static void login_answer(struct px *px, struct pgsql *s, uint8_t type, struct cursor c)
{
	struct record *r;
	uint32_t code;

	if (type != 'R' && type != 'E' && type != 'Z')
		return;
	code = type == 'R' ? cur_be32(&c) : 0;
	if (type == 'R' && code) {
		if (auth_name(code))
			s->auth = auth_name(code);
		return;
	}
	if (!s->asks.n)
		return;
	r = asks_record(px, &s->asks, 0);
	if (s->auth)
		rec_cstr(r, &f_auth, s->auth);
	s->auth = NULL;
	if (type == 'R') {
		asks_put(px, &s->asks, 0, r);
		return;
	}
	if (type == 'E')
		error_read(r, c);
	asks_tell(px, &s->asks, 0, r);
}

static void oldest_tell(struct px *px, struct pgsql *s, bool failed, struct cursor c)
{
	struct record *r = asks_record(px, &s->asks, 0);

	if (failed)
		error_read(r, c);
	asks_tell(px, &s->asks, 0, r);
}

static void server_message(struct px *px, struct pgsql *s, uint8_t type, struct cursor c)
{
	uint64_t id = s->asks.n ? s->asks.q[0].id : 0;
	bool waits = s->asks.n && (uint32_t)id == s->syncs[1];

	if (s->phase == PHASE_LOGIN) {
		login_answer(px, s, type, c);
		if (type == 'Z')
			s->phase = PHASE_QUERIES;
		return;
	}
	if (type == 'Z') {
		while (s->asks.n && (int32_t)((uint32_t)s->asks.q[0].id - s->syncs[1]) <= 0)
			oldest_tell(px, s, false, c);
		if (s->syncs[1] != s->syncs[0])
			s->syncs[1]++;
	} else if (waits && (type == 'E' || (type == '1' && id & ID_PARSE))) {
		oldest_tell(px, s, type == 'E', c);
	}
}

static enum parse parse_server(struct px *px, struct pgsql *s, struct cursor *in)
{
	enum parse p = PARSE_DONE;

	while (p == PARSE_DONE && cur_more(in)) {
		struct cursor ahead = *in, c;
		uint8_t type = cur_u8(&ahead);
		uint32_t len;

		if (s->phase == PHASE_ASKED) {
			encryption_answer(px, s, in);
			return PARSE_DONE;
		}
		if (s->phase == PHASE_START && type != 'R' && type != 'E') {
			s->phase = PHASE_QUERIES;
			s->adrift = true;
		} else if (s->phase == PHASE_START) {
			s->phase = PHASE_LOGIN;
		}
		if (s->adrift && !s->looks) {
			cur_rest(in);
			return PARSE_DONE;
		}
		len = cur_be32(&ahead);
		if (!cur_ok(&ahead))
			return msg_more(px, 5);
		if (len < 4 || len > PG_MESSAGE_MAX || !pg_is_server_type(type)) {
			if (!s->adrift)
				return msg_bad(px, "pgsql.bad_message");
			s->looks = false;
			continue;
		}
		s->adrift = s->looks = false;
		p = msg_take(px, DIR_TOCLIENT, in, len + 1u, type == 'E' ? ERROR_KEEP : type == 'R' ? 9 : 5, &c);
		if (p == PARSE_DONE) {
			cur_skip(&c, 5);
			server_message(px, s, type, c);
		}
	}
	return p;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct pgsql *s = state;

	s->asks.event = EV_PGSQL;
	return dir == DIR_TOSERVER ? parse_client(px, s, in) : parse_server(px, s, in);
}

/* Lost answers: what waits is told without; a lost piece of a request is the end. */
static enum parse gap(struct px *px, void *state, enum dir dir, uint64_t len)
{
	struct pgsql *s = state;

	(void)len;
	if (dir == DIR_TOSERVER || s->phase != PHASE_QUERIES)
		return PARSE_BAD;
	asks_end(px, &s->asks);
	s->syncs[1] = s->syncs[0];
	s->adrift = true;
	s->looks = false;
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct pgsql *s = state;

	s->asks.event = EV_PGSQL;
	asks_end(px, &s->asks);
	px_saved_free(px, s->who);
	for (unsigned i = 0; s->names && i < STATEMENTS_MAX; i++)
		px_saved_free(px, s->names->statements[i].what);
	px_release(px, s->names, sizeof(*s->names));
	s->names = NULL;
}

static const uint16_t ports[] = { 5432, 6432, 0 };

const struct proto proto_postgresql = {
	.name = "postgresql",
	.app = APP_POSTGRESQL,
	.event = EV_PGSQL,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct pgsql),
	.probe = postgresql_probe,
	.parse = parse,
	.gap = gap,
	.end = end,
	.facts = facts,
};
