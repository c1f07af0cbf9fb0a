/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mysql: MySQL and MariaDB, protocol 10.
 *
 *   packet:  length (3, little endian)  sequence (1)  payload; 0xffffff bytes: it goes on in the next one
 *   server:  0x0a version ... greets; the client answers with capabilities, user, database (sequence 1), or asks for TLS
 *   client:  command (1) argument, sequence 0, before the login is answered too; what it sends with another sequence is data (passwords, LOCAL INFILE)
 *   server:  0x00 OK, 0xff error, 0xfb asks for a file, else a result, sequence 1 and on
 *
 * One `mysql` event per command when the first packet of its answer is there. Of a packet only the first QUERY_KEEP bytes are
 * waited for. What a prepared statement says is remembered (the last PREPARED_MAX) and told and judged again where it is run.
 * A compressed connection is told up to its login. In the middle of a connection the server's packets are not known to be
 * whole: they are looked at only where one that answers a command follows it. */
#include "dpi/proto/mysql_parts.h"

#define QUERY_KEEP (5u + RECORD_STR_MAX + 1u + 512u)	/* header, command, the statement and attributes before it */
#define REPLY_KEEP (4u + 300u)
#define LOGIN_KEEP (4u + 1024u)
#define GREETING_KEEP (4u + 160u)
#define PREPARED_MAX 16u
#define VERSION_MAX 63u

#define CAP_DB 0x8u
#define CAP_COMPRESS 0x20u
#define CAP_41 0x200u
#define CAP_SSL 0x800u
#define CAP_SECURE 0x8000u
#define CAP_LENENC_AUTH 0x200000u
#define CAP_ZSTD 0x4000000u
#define CAP_ATTRIBUTES 0x8000000u

static const struct fact f_command = { "command", FACT_COMMAND }, f_query = { "query", FACT_QUERY }, f_user = { "user", FACT_USER },
	f_database = { "database", FACT_DATABASE }, f_operation = { "operation", FACT_OPERATION }, f_operations = { "operations", FACT_OPERATION },
	f_tables = { "tables", FACT_TABLE }, f_version = { "version", FACT_PLAIN }, f_arg = { "arg", FACT_OBJECT }, f_statement = { "statement_id", FACT_PLAIN },
	f_error = { "error_code", FACT_PLAIN }, f_sqlstate = { "sqlstate", FACT_PLAIN }, f_infile = { "infile", FACT_OBJECT },
	f_compressed = { "compressed", FACT_PLAIN };
static const struct fact *const facts[] = { &f_command, &f_query, &f_user, &f_database, &f_operation, &f_operations, &f_tables, &f_version, &f_arg,
	&f_statement, &f_error, &f_sqlstate, &f_infile, &f_compressed, NULL };
static const struct sql_facts sql_facts = { &f_operation, &f_operations, &f_tables, &f_database };

enum phase { PHASE_NONE, PHASE_GREETED, PHASE_LOGIN, PHASE_COMMANDS };

struct prepared {
	uint32_t id;
	struct saved *what;	/* NULL: free */
};

struct mysql {
	struct saved *who;	/* user and database */
	struct asks asks;
	enum phase phase;
	bool adrift;		/* where the server's packets begin is not known */
	bool looks;		/* adrift, and a command was sent: the next packet may be its answer */
	uint8_t version_len;
	uint8_t next_prepared;
	uint32_t caps[2];
	char version[VERSION_MAX];
	struct prepared *prepared;	/* PREPARED_MAX; NULL: nothing was prepared yet */
};

#define ID_PREPARE 0x100u	/* in the id of what waits: sequence of its answer, and this */

static void caps_note(struct mysql *s, enum dir dir, uint32_t caps) { s->caps[dir] = caps; }
static bool both(const struct mysql *s, uint32_t cap) { return s->caps[0] & s->caps[1] & cap; }

/* ---- prepared statements ---- */

static void prepared_keep(struct px *px, struct mysql *s, uint32_t id, const struct saved *asked)
{
	const uint8_t *pos = asked->body;
	const void *value;
	struct prepared *p;
	struct record *r;

	if (!s->prepared)
		s->prepared = px_alloc(px, PREPARED_MAX * sizeof(*p));
	/* all but the command's name */
	if (!s->prepared || !item_next(&pos, asked->body + asked->len, &value))
		return;
	p = &s->prepared[s->next_prepared];
	r = px_record(px);
	rec_append(r, pos, (uint32_t)(asked->body + asked->len - pos));
	px_saved_free(px, p->what);
	*p = (struct prepared){ .id = id, .what = px_save(px, r) };
	s->next_prepared = (uint8_t)((s->next_prepared + 1) % PREPARED_MAX);
}

static struct prepared *prepared_of(struct mysql *s, uint32_t id)
{
	for (unsigned i = 0; s->prepared && i < PREPARED_MAX; i++)
		if (s->prepared[i].what && s->prepared[i].id == id)
			return &s->prepared[i];
	return NULL;
}

/* ---- the beginning ---- */

static enum parse greeting(struct px *px, struct mysql *s, struct cursor c)
{
	struct bytes version;
	uint32_t caps;

	if (!mysql_greeting(&c, &version, &caps))
		return msg_bad(px, "mysql.bad_greeting");
	caps_note(s, DIR_TOCLIENT, caps);
	s->version_len = (uint8_t)(version.n < VERSION_MAX ? version.n : VERSION_MAX);
	memcpy(s->version, version.p, s->version_len);
	s->phase = PHASE_GREETED;
	return PARSE_DONE;
}

static struct record *login_record(struct px *px, const struct mysql *s, const char *command)
{
	struct record *r = px_record(px);

	rec_cstr(r, &f_command, command);
	if (s->version_len)
		rec_str(r, &f_version, s->version, s->version_len);
	return r;
}

/* Text that ends in a NUL or with the packet. */
static struct bytes text_end(struct cursor *c)
{
	size_t n = cur_find(c, 0);
	struct bytes b = cur_bytes(c, n == SIZE_MAX ? cur_left(c) : n);

	if (n != SIZE_MAX)
		cur_skip(c, 1);
	return b;
}

static void user_and_database(struct record *r, struct bytes user, struct bytes db)
{
	rec_bytes(r, &f_user, user);
	if (db.n)
		rec_bytes(r, &f_database, db);
}

/* The client's first packet. seq is 1, and behind a request for TLS (which leaves this flow) 2. */
static enum parse login(struct px *px, struct mysql *s, struct cursor c, uint8_t seq)
{
	struct bytes user, db = { NULL, 0 };
	struct record *r;
	uint32_t caps = cur_le16(&c);

	if (caps & CAP_41) {
		caps |= (uint32_t)cur_le16(&c) << 16;
		caps_note(s, DIR_TOSERVER, caps);
		cur_skip(&c, 4 + 1 + 23);
		if (cur_ok(&c) && caps & CAP_SSL && !cur_left(&c)) {
			r = login_record(px, s, "ssl_request");
			px_judge_session(px, r, &s->who);
			asks_tell_now(px, &s->asks, r);
			px_switch(px, NULL);
			return PARSE_DONE;
		}
		user = text_end(&c);
		if (caps & CAP_LENENC_AUTH)
			cur_skip(&c, (size_t)mysql_lenenc(&c));
		else if (caps & CAP_SECURE)
			cur_skip(&c, cur_u8(&c));
		else
			text_end(&c);
		if (caps & CAP_DB && cur_ok(&c))
			db = text_end(&c);
	} else {
		caps_note(s, DIR_TOSERVER, caps);
		cur_skip(&c, 3);
		user = text_end(&c);
		text_end(&c);
		if (caps & CAP_DB)
			db = text_end(&c);
	}
	if (!cur_ok(&c))
		return msg_bad(px, "mysql.bad_login");
	r = login_record(px, s, "login");
	rec_bytes(r, &f_arg, user);
	user_and_database(r, user, db);
	if (both(s, CAP_COMPRESS | CAP_ZSTD))
		rec_bool(r, &f_compressed, true);
	px_judge_session(px, r, &s->who);
	asks_add(px, &s->asks, seq + 1u, r);
	s->phase = PHASE_LOGIN;
	return PARSE_DONE;
}

/* ---- commands ---- */

static void statement(struct record *r, struct bytes text, bool cut)
{
	rec_bytes(r, &f_query, text);
	sql_tell(r, &sql_facts, SQL_MYSQL, text, cut);
}

/* The command's argument; cut: it goes on behind c. */
static void argument(struct mysql *s, struct record *r, uint8_t cmd, struct cursor c, bool cut)
{
	struct bytes b;

	switch (cmd) {
	case MYSQL_QUERY:
		if (both(s, CAP_ATTRIBUTES) || (!s->caps[0] && cur_starts(&c, "\0\1", 2)))
			cut |= !mysql_attributes_pass(&c);
		statement(r, cur_rest(&c), cut);
		break;
	case MYSQL_STMT_PREPARE:
		statement(r, cur_rest(&c), cut);
		break;
	case MYSQL_INIT_DB: case MYSQL_CREATE_DB: case MYSQL_DROP_DB:
		b = cur_rest(&c);
		rec_bytes(r, &f_arg, b);
		rec_bytes(r, &f_database, b);
		break;
	case MYSQL_FIELD_LIST:
		b = text_end(&c);
		rec_bytes(r, &f_arg, b);
		rec_arr(r, &f_tables);
		rec_bytes(r, NULL, b);
		rec_end(r);
		break;
	case MYSQL_CHANGE_USER:
		b = text_end(&c);
		cur_skip(&c, cur_u8(&c));
		user_and_database(r, b, cur_ok(&c) ? text_end(&c) : (struct bytes){ NULL, 0 });
		break;
	case MYSQL_STMT_EXECUTE: case MYSQL_STMT_CLOSE: case MYSQL_STMT_RESET: case MYSQL_STMT_FETCH: case MYSQL_STMT_DATA: case MYSQL_STMT_BULK:
		if (cur_left(&c) >= 4) {
			uint32_t id = cur_le32(&c);
			struct prepared *p = prepared_of(s, id);

			rec_u64(r, &f_statement, id);
			if (p && (cmd == MYSQL_STMT_EXECUTE || cmd == MYSQL_STMT_BULK))
				rec_append(r, p->what->body, p->what->len);
		}
		break;
	default:
		break;
	}
}

static enum parse command(struct px *px, struct mysql *s, struct cursor c, uint8_t seq, bool cut)
{
	struct record *r;
	const char *name;
	uint8_t cmd;

	if (!cur_left(&c))
		return PARSE_DONE;
	cmd = cur_u8(&c);
	name = mysql_command_name(cmd);
	if (!name)
		return msg_bad(px, "mysql.bad_command");
	r = px_record(px);
	rec_cstr(r, &f_command, name);
	argument(s, r, cmd, c, cut);
	px_judge_session(px, r, &s->who);
	if (cmd == MYSQL_QUIT || cmd == MYSQL_STMT_CLOSE || cmd == MYSQL_STMT_DATA) {
		asks_tell_now(px, &s->asks, r);
	} else {
		asks_add(px, &s->asks, (uint8_t)(seq + 1) | (cmd == MYSQL_STMT_PREPARE ? ID_PREPARE : 0), r);
		s->looks = s->adrift;
	}
	if (cmd == MYSQL_STMT_CLOSE && cur_left(&c) >= 4) {
		struct prepared *p = prepared_of(s, cur_le32(&c));

		if (p) {
			px_saved_free(px, p->what);
			p->what = NULL;
		}
	}
	if (cmd == MYSQL_BINLOG_DUMP || cmd == MYSQL_BINLOG_DUMP_GTID)	/* events follow until the end */
		px_stop(px);
	return PARSE_DONE;
}

static enum parse parse_client(struct px *px, struct mysql *s, struct cursor *in)
{
	enum parse p = PARSE_DONE;

	while (p == PARSE_DONE && cur_more(in)) {
		struct cursor ahead = *in, c;
		uint32_t len = cur_le16(&ahead);
		uint8_t seq;

		len |= (uint32_t)cur_u8(&ahead) << 16;
		seq = cur_u8(&ahead);
		if (!cur_ok(&ahead))
			return msg_more(px, 4);
		if (s->phase == PHASE_NONE && seq == 0) {
			s->phase = PHASE_COMMANDS;
			s->adrift = true;
		}
		if (s->phase < PHASE_LOGIN) {
			if (len > 0xffff)
				return msg_bad(px, "mysql.bad_login");
			p = msg_take(px, DIR_TOSERVER, in, len + 4u, LOGIN_KEEP, &c);
			if (p != PARSE_DONE)
				return p;
			cur_skip(&c, 4);
			p = login(px, s, c, seq);
			if (s->phase < PHASE_LOGIN)
				return p;	/* TLS follows */
			continue;
		}
		if (seq) {
			msg_pass(px, DIR_TOSERVER, in, len + 4u);
			continue;
		}
		if (s->phase == PHASE_LOGIN && both(s, CAP_COMPRESS | CAP_ZSTD)) {	/* a command that did not wait for the login's answer */
			px_lost(px);
			return PARSE_DONE;
		}
		p = msg_take(px, DIR_TOSERVER, in, len + 4u, QUERY_KEEP, &c);
		if (p != PARSE_DONE)
			return p;
		cur_skip(&c, 4);
		p = command(px, s, c, seq, len + 4u > QUERY_KEEP);
	}
	return p;
}

/* ---- answers ---- */

static void error_read(struct record *r, struct cursor c)
{
	cur_skip(&c, 1);
	rec_u64(r, &f_error, cur_le16(&c));
	if (cur_peek(&c, 0) == '#' && cur_left(&c) >= 6) {
		cur_skip(&c, 1);
		rec_bytes(r, &f_sqlstate, cur_bytes(&c, 5));
	}
}

static void answer(struct px *px, struct mysql *s, struct cursor c)
{
	struct asked *a = &s->asks.q[0];
	uint8_t type = cur_peek(&c, 0);
	struct record *r;

	if (!cur_left(&c))
		return;
	if (a->id & ID_PREPARE && type == 0 && a->told && cur_left(&c) >= 5) {
		struct cursor id = c;

		cur_skip(&id, 1);
		prepared_keep(px, s, cur_le32(&id), a->told);
	}
	r = asks_record(px, &s->asks, 0);
	if (type == 0xff) {
		error_read(r, c);
	} else if (type == 0xfb) {
		cur_skip(&c, 1);
		rec_bytes(r, &f_infile, cur_rest(&c));
		px_judge_session(px, r, &s->who);
	}
	asks_tell(px, &s->asks, 0, r);
}

/* While the client logs in: more data, another method, then yes or no. */
static void login_answer(struct px *px, struct mysql *s, struct cursor c)
{
	uint8_t type = cur_peek(&c, 0);
	struct record *r;

	if (!cur_left(&c) || (type != 0 && type != 0xff))
		return;
	if (s->asks.n) {
		r = asks_record(px, &s->asks, 0);
		if (type == 0xff)
			error_read(r, c);
		asks_tell(px, &s->asks, 0, r);
	}
	s->phase = PHASE_COMMANDS;
	if (both(s, CAP_COMPRESS | CAP_ZSTD))
		px_lost(px);
}

/* A packet that may answer: is it kept? The others go by. */
static bool answers(const struct mysql *s, uint8_t seq)
{
	return s->asks.n && (uint8_t)s->asks.q[0].id == seq;
}

static enum parse parse_server(struct px *px, struct mysql *s, struct cursor *in)
{
	enum parse p = PARSE_DONE;

	while (p == PARSE_DONE && cur_more(in)) {
		struct cursor ahead = *in, c;
		uint32_t len;
		uint8_t seq;

		if (s->phase == PHASE_NONE && cur_left(in) >= 5 && !(cur_peek(in, 3) == 0 && (cur_peek(in, 4) == 10 || cur_peek(in, 4) == 0xff)))
			s->adrift = true;
		if (s->adrift && !s->looks) {
			cur_rest(in);
			return PARSE_DONE;
		}
		len = cur_le16(&ahead);
		len |= (uint32_t)cur_u8(&ahead) << 16;
		seq = cur_u8(&ahead);
		if (!cur_ok(&ahead) || (s->phase == PHASE_NONE && !cur_left(&ahead)))
			return msg_more(px, s->phase == PHASE_NONE ? 5 : 4);
		if (s->adrift) {
			s->looks = false;
			if (!answers(s, seq))
				continue;
			s->adrift = false;
		}
		if (s->phase != PHASE_NONE && s->phase != PHASE_LOGIN && !answers(s, seq)) {
			msg_pass(px, DIR_TOCLIENT, in, len + 4u);
			continue;
		}
		p = msg_take(px, DIR_TOCLIENT, in, len + 4u, s->phase == PHASE_NONE ? GREETING_KEEP : REPLY_KEEP, &c);
		if (p != PARSE_DONE)
			return p;
		cur_skip(&c, 4);
		if (s->phase == PHASE_COMMANDS || s->phase == PHASE_GREETED) {
			answer(px, s, c);
		} else if (s->phase == PHASE_LOGIN) {
			login_answer(px, s, c);
		} else if (cur_peek(&c, 0) == 0xff) {	/* refused before it began */
			struct record *r = px_record(px);

			rec_cstr(r, &f_command, "connect");
			error_read(r, c);
			asks_tell_now(px, &s->asks, r);
			px_stop(px);
			return PARSE_DONE;
		} else {
			p = greeting(px, s, c);
		}
	}
	return p;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct mysql *s = state;

	s->asks.event = EV_MYSQL;
	return dir == DIR_TOSERVER ? parse_client(px, s, in) : parse_server(px, s, in);
}

/* Lost answers cost their error codes; a lost piece of a command is the end. */
static enum parse gap(struct px *px, void *state, enum dir dir, uint64_t len)
{
	struct mysql *s = state;

	(void)px;
	(void)len;
	if (dir == DIR_TOSERVER || s->phase != PHASE_COMMANDS)
		return PARSE_BAD;
	s->adrift = true;
	s->looks = false;
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct mysql *s = state;

	s->asks.event = EV_MYSQL;
	asks_end(px, &s->asks);
	px_saved_free(px, s->who);
	for (unsigned i = 0; s->prepared && i < PREPARED_MAX; i++)
		px_saved_free(px, s->prepared[i].what);
	px_release(px, s->prepared, PREPARED_MAX * sizeof(*s->prepared));
	s->prepared = NULL;
}

static const uint16_t ports[] = { 3306, 0 };

const struct proto proto_mysql = {
	.name = "mysql",
	.app = APP_MYSQL,
	.event = EV_MYSQL,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct mysql),
	.probe = mysql_probe,
	.parse = parse,
	.gap = gap,
	.end = end,
	.facts = facts,
};
