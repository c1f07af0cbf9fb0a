/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cassandra: CQL binary protocol, versions 1 to 5.
 *
 *   version (1; 0x80: an answer)  flags (1)  stream (2; before version 3: 1)  opcode (1)  length (4)  body
 *   version 5, behind STARTUP and its answer: segments of length (17 bits, little endian), a bit that no envelope goes on in the next
 *   one, CRC (3), the envelopes as above, CRC (4)
 *
 * One `cassandra` event per request, when its answer (of the same stream) is there. Statements that were prepared are remembered
 * by their id (the last PREPARED_MAX), told and judged again where they are run. Of a batch the first statement is told, all
 * are judged. A compressed body is not read; nor are the segments of a version 5 connection with compression. */
#include "dpi/message.h"
#include "dpi/proto/sasl.h"
#include "dpi/sql.h"

#define HEAD 9u
#define HEAD_OLD 8u
#define SEGMENT_HEAD 6u
#define BODY_MAX (256u << 20)
#define KEEP (HEAD + 16384u)
#define ANSWER_KEEP (HEAD + 256u)
#define SEGMENT_KEEP 60000u
#define PREPARED_MAX 16u
#define ID_MAX 32u

enum opcode {
	OP_ERROR, OP_STARTUP, OP_READY, OP_AUTHENTICATE, OP_CREDENTIALS, OP_OPTIONS, OP_SUPPORTED, OP_QUERY, OP_RESULT, OP_PREPARE, OP_EXECUTE, OP_REGISTER,
	OP_EVENT, OP_BATCH, OP_AUTH_CHALLENGE, OP_AUTH_RESPONSE, OP_AUTH_SUCCESS, OP_COUNT
};
#define FLAG_COMPRESSED 1u
#define FLAG_PAYLOAD 4u

static const struct fact f_command = { "command", FACT_COMMAND }, f_query = { "query", FACT_QUERY }, f_operation = { "operation", FACT_OPERATION },
	f_operations = { "operations", FACT_OPERATION }, f_tables = { "tables", FACT_TABLE }, f_user = { "user", FACT_USER }, f_version = { "version", FACT_PLAIN },
	f_compressed = { "compressed", FACT_PLAIN }, f_driver = { "driver", FACT_PLAIN }, f_statements = { "statements", FACT_PLAIN },
	f_error = { "error_code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_command, &f_query, &f_operation, &f_operations, &f_tables, &f_user, &f_version, &f_compressed, &f_driver,
	&f_statements, &f_error, NULL };
static const struct sql_facts sql_facts = { &f_operation, &f_operations, &f_tables, NULL };

struct prepared {
	uint8_t len;
	uint8_t id[ID_MAX];
	struct saved *what;	/* NULL: free */
};

struct cassandra {
	struct msg_sync sync;
	struct asks asks;
	bool known, old;	/* old: version 1 or 2 */
	bool compression;	/* agreed in STARTUP */
	bool segments[2];	/* version 5 and its STARTUP is through */
	uint64_t rest[2];	/* bytes of an envelope that come in later segments */
	uint8_t next_prepared;
	struct prepared prepared[PREPARED_MAX];
};

struct head {
	uint8_t version, flags, opcode;
	uint16_t stream;
	uint32_t len;
};

static bool head_read(struct cursor *c, struct head *h)
{
	h->version = cur_u8(c);
	h->flags = cur_u8(c);
	h->stream = (h->version & 0x7f) < 3 ? cur_u8(c) : cur_be16(c);
	h->opcode = cur_u8(c);
	h->len = cur_be32(c);
	return cur_ok(c) && (h->version & 0x7f) >= 1 && (h->version & 0x7f) <= 5 && !(h->flags & 0xe0) && h->opcode < OP_COUNT && h->len <= BODY_MAX;
}

static bool is_request(uint8_t op)
{
	return op == OP_STARTUP || op == OP_CREDENTIALS || op == OP_OPTIONS || op == OP_QUERY || op == OP_PREPARE || op == OP_EXECUTE || op == OP_REGISTER ||
	       op == OP_BATCH || op == OP_AUTH_RESPONSE;
}

/* ---- fields ---- */

static struct bytes string(struct cursor *c) { return cur_bytes(c, cur_be16(c)); }

/* A long string, or what is there of it. */
static struct bytes long_string(struct cursor *c)
{
	uint32_t n = cur_be32(c);

	return cur_bytes(c, n < cur_left(c) ? n : cur_left(c));
}

static void value_pass(struct cursor *c)
{
	uint32_t n = cur_be32(c);

	if (n < 0x80000000)	/* negative: null, not set */
		cur_skip(c, n);
}

static bool is(struct bytes b, const char *s) { return b.n == strlen(s) && memcmp(b.p, s, b.n) == 0; }

/* ---- prepared statements ---- */

static struct prepared *prepared_of(struct cassandra *s, struct bytes id)
{
	for (unsigned i = 0; i < PREPARED_MAX; i++)
		if (s->prepared[i].what && s->prepared[i].len == id.n && id.n && memcmp(s->prepared[i].id, id.p, id.n) == 0)
			return &s->prepared[i];
	return NULL;
}

static void prepared_keep(struct px *px, struct cassandra *s, struct bytes id, const struct saved *asked)
{
	struct prepared *p = prepared_of(s, id);
	const uint8_t *pos = asked->body;
	const void *value;
	struct record *r;

	if (!id.n || id.n > ID_MAX || !item_next(&pos, asked->body + asked->len, &value))
		return;
	if (!p) {
		p = &s->prepared[s->next_prepared];
		s->next_prepared = (uint8_t)((s->next_prepared + 1) % PREPARED_MAX);
	}
	r = px_record(px);	/* all but the command's name */
	rec_append(r, pos, (uint32_t)(asked->body + asked->len - pos));
	px_saved_free(px, p->what);
	*p = (struct prepared){ .len = (uint8_t)id.n, .what = px_save(px, r) };
	memcpy(p->id, id.p, id.n);
}

/* ---- requests ---- */

static void statement(struct record *r, struct bytes text)
{
	rec_bytes(r, &f_query, text);
	sql_tell(r, &sql_facts, SQL_CQL, text, false);
}

static void startup(struct cassandra *s, struct record *r, struct cursor c)
{
	for (unsigned n = cur_be16(&c); n && cur_ok(&c); n--) {
		struct bytes name = string(&c), value = string(&c);

		if (is(name, "CQL_VERSION"))
			rec_bytes(r, &f_version, value);
		else if (is(name, "DRIVER_NAME"))
			rec_bytes(r, &f_driver, value);
		else if (is(name, "COMPRESSION"))
			s->compression = value.n != 0;
	}
}

static void credentials(struct record *r, struct cursor c)
{
	for (unsigned n = cur_be16(&c); n && cur_ok(&c); n--) {
		struct bytes name = string(&c), value = string(&c);

		if (is(name, "username"))
			rec_bytes(r, &f_user, value);
	}
}

/* One statement of a batch into the record. False: that was the last which can be read. */
static bool batch_statement(struct cassandra *s, struct record *r, struct cursor *c)
{
	uint8_t kind = cur_u8(c);
	unsigned values;

	if (kind == 0) {
		statement(r, long_string(c));
	} else if (kind == 1) {
		struct prepared *p = prepared_of(s, string(c));

		if (p)
			rec_append(r, p->what->body, p->what->len);
	} else {
		return false;
	}
	for (values = cur_be16(c); values && cur_ok(c); values--)
		value_pass(c);
	return cur_ok(c);
}

/* Type, count, statements. Judges all but the first, which is put into the record (begun anew by the caller). */
static unsigned batch(struct px *px, struct cassandra *s, struct cursor c)
{
	unsigned n, i;

	cur_skip(&c, 1);
	n = cur_be16(&c);
	for (i = 0; i < n && cur_ok(&c); i++) {
		struct record *r = px_record(px);

		rec_cstr(r, &f_command, "batch");
		if (!batch_statement(s, r, &c))
			break;
		if (i)
			px_judge(px, r);
	}
	return n;
}

static const char *command_name(uint8_t op)
{
	static const char *const names[OP_COUNT] = {
		[OP_STARTUP] = "startup", [OP_CREDENTIALS] = "credentials", [OP_OPTIONS] = "options", [OP_QUERY] = "query", [OP_PREPARE] = "prepare",
		[OP_EXECUTE] = "execute", [OP_REGISTER] = "register", [OP_BATCH] = "batch", [OP_AUTH_RESPONSE] = "auth_response",
	};

	return names[op];
}

static void request(struct px *px, struct cassandra *s, const struct head *h, struct cursor c)
{
	bool readable = !(h->flags & FLAG_COMPRESSED);
	struct prepared *p;
	struct record *r;
	unsigned statements = 0;

	if (h->flags & FLAG_PAYLOAD && readable)	/* a map of bytes stands before the body */
		for (unsigned n = cur_be16(&c); n && cur_ok(&c); n--) {
			string(&c);
			value_pass(&c);
		}
	if (h->opcode == OP_BATCH && readable)
		statements = batch(px, s, c);
	r = px_record(px);
	rec_cstr(r, &f_command, command_name(h->opcode));
	if (!readable) {
		rec_bool(r, &f_compressed, true);
	} else if (h->opcode == OP_QUERY || h->opcode == OP_PREPARE) {
		statement(r, long_string(&c));
	} else if (h->opcode == OP_EXECUTE) {
		p = prepared_of(s, string(&c));
		if (p)
			rec_append(r, p->what->body, p->what->len);
	} else if (h->opcode == OP_BATCH) {
		cur_skip(&c, 3);
		if (statements)
			batch_statement(s, r, &c);
		rec_u64(r, &f_statements, statements);
	} else if (h->opcode == OP_STARTUP) {
		startup(s, r, c);
	} else if (h->opcode == OP_CREDENTIALS) {
		credentials(r, c);
	} else if (h->opcode == OP_AUTH_RESPONSE) {
		struct bytes user = sasl_user(long_string(&c));

		if (user.n)
			rec_bytes(r, &f_user, user);
	}
	px_judge(px, r);
	asks_add(px, &s->asks, h->stream | (uint64_t)h->opcode << 16, r);
	msg_asked(&s->sync);
	if (h->opcode == OP_STARTUP && (h->version & 0x7f) == 5)
		s->segments[DIR_TOSERVER] = true;
}

/* ---- answers ---- */

static int asked_on(const struct asks *a, uint16_t stream)
{
	for (uint32_t i = 0; i < a->n; i++)
		if ((uint16_t)a->q[i].id == stream)
			return (int)i;
	return -1;
}

static void answer(struct px *px, struct cassandra *s, const struct head *h, struct cursor c)
{
	int i = asked_on(&s->asks, h->stream);
	struct record *r;
	uint8_t asked;

	if (h->opcode == OP_EVENT || i < 0)
		return;
	asked = (uint8_t)(s->asks.q[i].id >> 16);
	if (h->opcode == OP_RESULT && asked == OP_PREPARE && s->asks.q[i].told && !(h->flags & FLAG_COMPRESSED)) {
		struct cursor id = c;

		if (cur_be32(&id) == 4) {
			struct bytes b = string(&id);

			if (cur_ok(&id))
				prepared_keep(px, s, b, s->asks.q[i].told);
		}
	}
	r = asks_record(px, &s->asks, i);
	if (h->opcode == OP_ERROR && !(h->flags & FLAG_COMPRESSED))
		rec_u64(r, &f_error, cur_be32(&c));
	asks_tell(px, &s->asks, i, r);
	if (asked == OP_STARTUP && (h->version & 0x7f) == 5) {
		if (h->opcode == OP_ERROR)
			s->segments[DIR_TOSERVER] = false;
		else if (s->compression)
			px_stop(px);
		else
			s->segments[DIR_TOCLIENT] = true;
	}
}

/* ---- messages ---- */

static void envelope(struct px *px, struct cassandra *s, enum dir dir, const struct head *h, struct cursor c)
{
	if (dir == DIR_TOSERVER && is_request(h->opcode) && !(h->version & 0x80))
		request(px, s, h, c);
	else if (dir == DIR_TOCLIENT && h->version & 0x80)
		answer(px, s, h, c);
}

static bool length(void *state, enum dir dir, struct cursor head, uint64_t *len, size_t *keep)
{
	struct cassandra *s = state;
	struct head h;
	size_t size = s->old ? HEAD_OLD : HEAD;

	if (!head_read(&head, &h) || (h.version & 0x80) != (dir == DIR_TOSERVER ? 0 : 0x80) || ((h.version & 0x7f) < 3) != s->old)
		return false;
	*len = size + (uint64_t)h.len;
	*keep = dir == DIR_TOSERVER ? KEEP : ANSWER_KEEP;
	return true;
}

static enum parse message(struct px *px, void *state, enum dir dir, struct cursor msg, uint64_t len)
{
	struct cassandra *s = state;
	struct head h;

	(void)len;
	head_read(&msg, &h);
	envelope(px, s, dir, &h, msg);
	s->sync.over = s->segments[dir];	/* of this direction: segments follow */
	return PARSE_DONE;
}

static bool segment_length(void *state, enum dir dir, struct cursor head, uint64_t *len, size_t *keep)
{
	uint32_t v = cur_le16(&head);

	(void)state;
	(void)dir;
	v |= (uint32_t)cur_u8(&head) << 16;
	*len = SEGMENT_HEAD + (uint64_t)(v & 0x1ffff) + 4;
	*keep = SEGMENT_KEEP;
	return !(v >> 18);
}

static enum parse segment(struct px *px, void *state, enum dir dir, struct cursor msg, uint64_t len)
{
	struct cassandra *s = state;
	uint64_t payload = len - SEGMENT_HEAD - 4;
	struct cursor c;

	cur_skip(&msg, SEGMENT_HEAD);
	c = cur_of(msg.pos, payload < cur_left(&msg) ? (size_t)payload : cur_left(&msg));
	if (s->rest[dir]) {
		s->rest[dir] -= s->rest[dir] < payload ? s->rest[dir] : payload;
		return PARSE_DONE;
	}
	while (cur_left(&c) >= HEAD) {
		struct head h;
		size_t have;

		if (!head_read(&c, &h))
			return msg_bad(px, "cassandra.bad_segment");
		have = h.len < cur_left(&c) ? h.len : cur_left(&c);
		envelope(px, s, dir, &h, cur_sub(&c, have));
		if (have < h.len && payload <= SEGMENT_KEEP - SEGMENT_HEAD)
			s->rest[dir] = h.len - have;
	}
	return PARSE_DONE;
}

static const struct msg_format format = { HEAD, "cassandra.bad_frame", length, message }, format_old = { HEAD_OLD, "cassandra.bad_frame", length, message },
	format_segments = { SEGMENT_HEAD, "cassandra.bad_segment", segment_length, segment };

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct cassandra *s = state;
	enum parse p = PARSE_DONE;

	s->asks.event = EV_APP;
	if (!s->known) {
		s->known = true;
		s->old = (cur_peek(in, 0) & 0x7f) < 3;
	}
	if (!s->segments[dir]) {
		p = msg_run(px, s->old ? &format_old : &format, &s->sync, s, dir, in);
		s->sync.over = false;
	}
	if (p == PARSE_DONE && s->segments[dir] && cur_left(in))
		p = msg_run(px, &format_segments, &s->sync, s, dir, in);
	return p;
}

static enum parse gap(struct px *px, void *state, enum dir dir, uint64_t len)
{
	struct cassandra *s = state;

	(void)px;
	(void)len;
	return s->segments[dir] ? PARSE_BAD : msg_gap(&s->sync, dir);
}

static void end(struct px *px, void *state)
{
	struct cassandra *s = state;

	s->asks.event = EV_APP;
	asks_end(px, &s->asks);
	for (unsigned i = 0; i < PREPARED_MAX; i++) {
		px_saved_free(px, s->prepared[i].what);
		s->prepared[i].what = NULL;
	}
}

/* ---- recognition ---- */

static enum probe probe_statement(struct cursor c, uint32_t len)
{
	uint32_t n = cur_be32(&c);

	if (!cur_ok(&c))
		return PROBE_MORE;
	if (n < 3 || n > len - 4)
		return PROBE_NO;
	if (cur_left(&c) < n && cur_left(&c) < 64)
		return PROBE_MORE;
	return sql_begins(SQL_CQL, (struct bytes){ c.pos, cur_left(&c) < n ? cur_left(&c) : n }) ? PROBE_YES : PROBE_NO;
}

/* A map or list of strings: the first one must be `name` or begin so. */
static enum probe probe_names(struct cursor c, const char *const names[], unsigned n)
{
	uint16_t count = cur_be16(&c), len = cur_be16(&c);

	if (!cur_ok(&c))
		return PROBE_MORE;
	if (!count || count > 64 || !len || len > 64)
		return PROBE_NO;
	for (unsigned i = 0; i < n; i++) {
		size_t want = strlen(names[i]), have = cur_left(&c) < want ? cur_left(&c) : want;

		if (len == want && memcmp(c.pos, names[i], have) == 0)
			return have == want ? PROBE_YES : PROBE_MORE;
	}
	return PROBE_NO;
}

static enum probe probe_request(struct cursor c)
{
	static const char *const settings[] = { "CQL_VERSION", "COMPRESSION", "DRIVER_NAME", "DRIVER_VERSION", "NO_COMPACT", "THROW_ON_OVERLOAD", "CLIENT_ID",
		"APPLICATION_NAME", "APPLICATION_VERSION", "username", "password" };
	static const char *const events[] = { "TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE" };
	struct head h;

	if (cur_left(&c) < HEAD) {
		uint8_t v = cur_peek(&c, 0);

		if (v < 1 || v > 5 || (cur_left(&c) > 1 && cur_peek(&c, 1) & 0xe0))
			return PROBE_NO;
		if (cur_left(&c) == HEAD_OLD && v < 3)
			return head_read(&c, &h) && h.opcode == OP_OPTIONS && !h.len && !h.flags ? PROBE_YES : PROBE_MORE;
		return PROBE_MORE;
	}
	if (!head_read(&c, &h) || h.version & 0x80 || !is_request(h.opcode) || h.flags & FLAG_COMPRESSED)
		return PROBE_NO;
	switch (h.opcode) {
	case OP_OPTIONS:
		return !h.len && !cur_left(&c) && h.version >= 3 && h.stream < 0x8000 ? PROBE_YES : PROBE_NO;
	case OP_STARTUP: case OP_CREDENTIALS:
		return probe_names(c, settings, sizeof(settings) / sizeof(settings[0]));
	case OP_REGISTER:
		return probe_names(c, events, 3);
	case OP_QUERY: case OP_PREPARE:
		return h.len < 8 || h.flags & FLAG_PAYLOAD ? PROBE_NO : probe_statement(c, h.len);
	case OP_EXECUTE:	/* ids are MD5 sums */
		if (cur_left(&c) < 2)
			return PROBE_MORE;
		return h.len > 20 && cur_be16(&c) == 16 && h.version >= 3 && !h.flags && cur_left(&c) + 2 <= h.len ? PROBE_YES : PROBE_NO;
	default:
		return PROBE_NO;
	}
}

static enum probe probe_answer(struct cursor c, bool midstream)
{
	static const char *const options[] = { "CQL_VERSION", "COMPRESSION", "PROTOCOL_VERSIONS" };
	struct head h;
	uint32_t kind;

	if (!(cur_peek(&c, 0) & 0x80))
		return PROBE_NO;
	if (cur_left(&c) < HEAD + 4)
		return (cur_peek(&c, 0) & 0x7f) <= 5 && (cur_left(&c) < 2 || !(cur_peek(&c, 1) & 0xe0)) ? PROBE_MORE : PROBE_NO;
	if (!head_read(&c, &h) || h.flags & FLAG_COMPRESSED || is_request(h.opcode))
		return PROBE_NO;
	if (h.opcode == OP_SUPPORTED)
		return probe_names(c, options, 3);
	if (!midstream || h.opcode != OP_RESULT || h.version < 0x83 || h.flags || h.len < 4)
		return PROBE_NO;
	kind = cur_be32(&c);
	if (kind == 1)
		return h.len == 4 ? PROBE_YES : PROBE_NO;
	/* rows: flags, columns; prepared: an MD5 sum */
	if (cur_left(&c) < 8)
		return PROBE_MORE;
	if (kind == 2)
		return h.len >= 12 && cur_be32(&c) < 16 && cur_be32(&c) < 4096 ? PROBE_YES : PROBE_NO;
	return kind == 4 && cur_be16(&c) == 16 ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	enum probe p = PROBE_NO, q = PROBE_NO;

	if (cur_left(&in->dir[DIR_TOSERVER]))
		p = probe_request(in->dir[DIR_TOSERVER]);
	if (p != PROBE_YES && cur_left(&in->dir[DIR_TOCLIENT]) && (in->midstream || !cur_left(&in->dir[DIR_TOSERVER])))
		q = probe_answer(in->dir[DIR_TOCLIENT], in->midstream);
	return p == PROBE_YES || q == PROBE_YES ? PROBE_YES : p == PROBE_MORE || q == PROBE_MORE ? PROBE_MORE : PROBE_NO;
}

static const uint16_t ports[] = { 9042, 9142, 0 };

const struct proto proto_cassandra = {
	.name = "cassandra",
	.app = APP_CASSANDRA,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct cassandra),
	.probe = probe,
	.parse = parse,
	.gap = gap,
	.end = end,
	.facts = facts,
	.for_events = true,
};
