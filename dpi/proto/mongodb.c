/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mongodb: the wire protocol with OP_MSG, and the older messages.
 *
 *   head (little endian):  length (4)  request (4)  answers (4)  opcode (4)
 *   OP_MSG:    flags (4), sections: 0 a document; 1 length (4) name NUL documents
 *   OP_QUERY:  flags (4) "db.collection" NUL skip (4) count (4) document; "db.$cmd" is a command
 *
 * A command's name is the first element of its document, the value its collection; $db names the database. Documents are
 * walked element by element without recursion: a nested one is entered by counting and left at its zero. Other collections that a command names
 * (stages of a pipeline, where a view or a rename leads to) are judged with it, not told. Of a message the
 * first MSG_KEEP bytes are looked at; what is behind is not told, and where it may name a collection, or the command, it is `partial`. OP_COMPRESSED is told by the name of its compressor, and
 * read where that is none at all.
 *
 * One `mongodb` event per request, when its answer is there (they name the request they answer). */
#include "dpi/message.h"
#include "dpi/proto/sasl.h"

#define HEAD 16u
#define MSG_KEEP 60000u
#define MSG_MAX 50000000u
#define REPLY_KEEP 2048u
#define DEPTH_MAX 64u
#define OTHERS_MAX 8u

enum opcode {
	OP_REPLY = 1, OP_UPDATE = 2001, OP_INSERT = 2002, OP_QUERY = 2004, OP_GET_MORE = 2005, OP_DELETE = 2006, OP_KILL_CURSORS = 2007,
	OP_COMPRESSED = 2012, OP_MSG = 2013
};
#define MSG_CHECKSUM 1u
#define MSG_MORE 2u
#define MSG_EXHAUST 0x10000u

static const struct fact f_command = { "command", FACT_COMMAND }, f_database = { "database", FACT_DATABASE }, f_collection = { "collection", FACT_TABLE },
	f_user = { "user", FACT_USER }, f_mechanism = { "mechanism", FACT_PLAIN }, f_compressed = { "compressor", FACT_PLAIN },
	f_error = { "error_code", FACT_PLAIN }, f_error_name = { "error", FACT_PLAIN };
static const struct fact *const facts[] = { &f_command, &f_database, &f_collection, &f_user, &f_mechanism, &f_compressed, &f_error, &f_error_name, NULL };

struct mongodb {
	struct msg_sync sync;
	struct asks asks;
};

/* ---- BSON ---- */

struct element {
	uint8_t type;
	unsigned depth;		/* 0: of the document itself */
	struct bytes name;
	struct cursor value;	/* strings: the text; binary: the bytes; else as it stands */
};

struct walk {
	struct cursor c;
	unsigned depth;
	bool ended;		/* at the end of the document */
	struct bytes within[DEPTH_MAX];	/* names of those that are open */
};

static bool walk_begin(struct walk *w, struct cursor *c)
{
	uint32_t len = cur_le32(c);

	w->depth = 0;
	w->ended = false;
	w->c = *c;
	if (len < 5)
		return false;
	/* the document may go on behind what is kept */
	w->c = cur_of(c->pos, len - 4 < cur_left(c) ? len - 4 : cur_left(c));
	cur_skip(c, cur_left(&w->c));
	return true;
}

/* Where a value of that type ends; fails the cursor where it cannot be known. */
static struct cursor value_take(struct cursor *c, uint8_t type)
{
	uint32_t n;

	switch (type) {
	case 0x01: case 0x09: case 0x11: case 0x12:
		return cur_sub(c, 8);
	case 0x02: case 0x0d: case 0x0e:
		n = cur_le32(c);
		if (!n)
			cur_fail(c);
		else
			return cur_sub(c, n);
		break;
	case 0x05:
		n = cur_le32(c);
		cur_skip(c, 1);
		return cur_sub(c, n);
	case 0x06: case 0x0a: case 0x7f: case 0xff:
		break;
	case 0x07:
		return cur_sub(c, 12);
	case 0x08:
		return cur_sub(c, 1);
	case 0x0b:
		for (unsigned i = 0; i < 2; i++) {
			size_t at = cur_find(c, 0);

			if (at == SIZE_MAX)
				cur_fail(c);
			else
				cur_skip(c, at + 1);
		}
		break;
	case 0x0c:
		n = cur_le32(c);
		if (n > cur_left(c))
			cur_fail(c);
		else
			cur_skip(c, (size_t)n + 12);
		break;
	case 0x0f:
		n = cur_le32(c);
		if (n < 4)
			cur_fail(c);
		else
			cur_skip(c, n - 4);
		break;
	case 0x10:
		return cur_sub(c, 4);
	case 0x13:
		return cur_sub(c, 16);
	default:
		cur_fail(c);
	}
	return cur_of(NULL, 0);
}

/* The next element in the order of the bytes, those of nested documents too. */
static bool walk_next(struct walk *w, struct element *e)
{
	size_t at;

	for (;;) {
		e->type = cur_u8(&w->c);
		if (!cur_ok(&w->c))
			return false;
		if (e->type)
			break;
		if (!w->depth) {
			w->ended = true;
			return false;
		}
		w->depth--;
	}
	at = cur_find(&w->c, 0);
	if (at == SIZE_MAX)
		return false;
	e->name = cur_bytes(&w->c, at);
	cur_skip(&w->c, 1);
	e->depth = w->depth;
	if (e->type == 3 || e->type == 4) {
		if (w->depth == DEPTH_MAX || cur_le32(&w->c) < 5)
			return false;
		w->within[w->depth++] = e->name;
		e->value = cur_of(NULL, 0);
		return cur_ok(&w->c);
	}
	e->value = value_take(&w->c, e->type);
	return cur_ok(&w->c) && cur_ok(&e->value);
}

static bool is(struct bytes b, const char *s)
{
	size_t n = strlen(s);

	return b.n == n && memcmp(b.p, s, n) == 0;
}

/* A string's text, without the NUL that belongs to it. */
static struct bytes text_of(const struct element *e)
{
	size_t n = cur_left(&e->value);

	return (struct bytes){ e->value.pos, e->type == 2 && n ? n - 1 : n };
}

/* ---- requests ---- */

struct command {
	struct bytes name, collection, database, user, mechanism;
	struct bytes other[OTHERS_MAX];
	unsigned nothers;
	bool getmore;
	bool partial;		/* a collection may not have been read */
};

/* "db.collection": the database ends at the first dot. */
static void namespace_split(struct bytes ns, struct bytes *db, struct bytes *collection)
{
	struct cursor c = cur_of(ns.p, ns.n);
	size_t dot = cur_find(&c, '.');

	*db = cur_bytes(&c, dot == SIZE_MAX ? ns.n : dot);
	cur_skip(&c, dot == SIZE_MAX ? 0 : 1);
	*collection = cur_rest(&c);
}

static void other_is(struct command *k, struct bytes collection)
{
	if (k->nothers == OTHERS_MAX)
		k->partial = true;
	else
		k->other[k->nothers++] = collection;
}

static void other_in(struct command *k, struct bytes ns)
{
	struct bytes db, collection;

	namespace_split(ns, &db, &collection);
	other_is(k, collection);
}

/* An element behind the first: does it name a collection? */
static void look_for_other(struct command *k, const struct walk *w, const struct element *e)
{
	static const struct { const char *in, *name; } names[] = {
		{ "$lookup", "from" }, { "$graphLookup", "from" }, { "$unionWith", "coll" }, { "$out", "coll" }, { "$merge", "into" },
		{ "out", "replace" }, { "out", "merge" }, { "out", "reduce" },
	};
	struct bytes in = e->depth ? w->within[e->depth - 1] : (struct bytes){ NULL, 0 }, around = e->depth > 1 ? w->within[e->depth - 2] : (struct bytes){ NULL, 0 };

	if (is(e->name, "$out") || is(e->name, "$unionWith") || (!e->depth && is(e->name, "viewOn")) ||
	    (!e->depth && is(e->name, "out") && (is(k->name, "mapReduce") || is(k->name, "mapreduce"))) || (is(e->name, "coll") && is(in, "into") && is(around, "$merge")))
		other_is(k, text_of(e));
	else if ((!e->depth && is(e->name, "to") && is(k->name, "renameCollection")) || (is(e->name, "ns") && is(around, "nsInfo")))
		other_in(k, text_of(e));
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (is(e->name, names[i].name) && is(in, names[i].in))
			other_is(k, text_of(e));
}

/* Commands that name a collection elsewhere than in their first element. */
static bool names_later(const struct command *k)
{
	static const char *const names[] = { "aggregate", "create", "collMod", "mapReduce", "mapreduce", "renameCollection", "getMore", "bulkWrite" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (is(k->name, names[i]))
			return true;
	return false;
}

/* A command's document. */
static void command_read(struct command *k, struct cursor *c)
{
	struct walk w;
	struct element e;
	bool auth = false;

	k->partial = true;
	if (!walk_begin(&w, c))
		return;
	k->partial = false;
	while (walk_next(&w, &e)) {
		bool string = e.type == 2;

		if (k->name.p && string)
			look_for_other(k, &w, &e);

		/* older drivers wrap: { $query: { isMaster: 1 }, $readPreference: ... } */
		if (!k->name.p && e.type == 3 && (is(e.name, "$query") || is(e.name, "query")))
			continue;
		if (!k->name.p) {
			k->name = e.name;
			k->getmore = is(e.name, "getMore");
			auth = is(e.name, "saslStart") || is(e.name, "authenticate");
			k->partial |= e.type == 5;	/* a collection by its number */
			if (string && is(e.name, "renameCollection"))
				other_in(k, text_of(&e));
			if (string && !is(e.name, "createUser") && !is(e.name, "dropUser") && !is(e.name, "updateUser"))
				k->collection = text_of(&e);
			else if (string)
				k->user = text_of(&e);
		} else if (!e.depth && string && is(e.name, "$db")) {
			k->database = text_of(&e);
		} else if (k->getmore && !e.depth && string && is(e.name, "collection")) {
			k->collection = text_of(&e);
		} else if (e.depth == 0 && e.type == 3 && is(e.name, "speculativeAuthenticate")) {
			auth = true;
		} else if (auth && string && is(e.name, "mechanism")) {
			k->mechanism = text_of(&e);
		} else if (auth && (string || e.type == 5) && (is(e.name, "payload") || is(e.name, "user"))) {
			k->user = is(e.name, "user") ? text_of(&e) : sasl_user(text_of(&e));
		}
	}
	k->partial |= !k->name.p || (!w.ended && names_later(k));
}

static struct bytes cstring(struct cursor *c)
{
	size_t at = cur_find(c, 0);
	struct bytes b = { NULL, 0 };

	if (at == SIZE_MAX) {
		cur_fail(c);
		return b;
	}
	b = cur_bytes(c, at);
	cur_skip(c, 1);
	return b;
}

static struct bytes constant(const char *s) { return (struct bytes){ (const uint8_t *)s, strlen(s) }; }

static const char *old_name(uint32_t opcode)
{
	switch (opcode) {
	case OP_UPDATE:
		return "update";
	case OP_INSERT:
		return "insert";
	case OP_GET_MORE:
		return "getMore";
	case OP_DELETE:
		return "delete";
	case OP_KILL_CURSORS:
		return "killCursors";
	default:
		return "find";
	}
}

static void old_read(struct command *k, uint32_t opcode, struct cursor c)
{
	struct bytes db, collection;

	cur_skip(&c, 4);
	if (opcode == OP_KILL_CURSORS) {
		k->name = constant(old_name(opcode));
		return;
	}
	namespace_split(cstring(&c), &db, &collection);
	if (opcode == OP_QUERY && is(collection, "$cmd")) {
		cur_skip(&c, 8);
		command_read(k, &c);
	} else {
		k->name = constant(old_name(opcode));
		k->collection = collection;
	}
	k->database = db;
}

/* Sections of OP_MSG: the document may come before or after the sequences. False: no answer comes. */
static bool msg_read(struct command *k, struct cursor c)
{
	uint32_t flags = cur_le32(&c);

	while (cur_ok(&c) && cur_left(&c) > 4) {
		uint8_t kind = cur_u8(&c);

		if (kind == 0) {
			command_read(k, &c);
		} else if (kind == 1) {
			uint32_t n = cur_le32(&c);

			if (n < 4 || n - 4 > cur_left(&c))
				break;
			cur_skip(&c, n - 4);
		} else {
			break;	/* the checksum */
		}
	}
	return !(flags & MSG_MORE);
}

static const char *compressor_name(uint8_t id)
{
	static const char *const names[] = { "noop", "snappy", "zlib", "zstd" };

	return id < 4 ? names[id] : "unknown";
}

static void request(struct px *px, struct mongodb *s, uint32_t opcode, uint32_t id, struct cursor c)
{
	struct command k = { 0 };
	const char *compressor = NULL;
	bool answered = opcode == OP_QUERY || opcode == OP_GET_MORE || opcode == OP_MSG;
	uint32_t told;
	bool full;
	struct record *r;

	if (opcode == OP_COMPRESSED) {
		uint8_t how;

		opcode = cur_le32(&c);
		cur_skip(&c, 4);
		how = cur_u8(&c);
		compressor = compressor_name(how);
		answered = true;
		if (how)
			opcode = 0;
	}
	if (opcode == OP_MSG) {
		answered = msg_read(&k, c);
		k.partial |= !k.name.p;
	} else if (opcode) {
		old_read(&k, opcode, c);
	}
	r = px_record(px);
	if (k.name.p)
		rec_bytes(r, &f_command, k.name);
	if (k.database.n)
		rec_bytes(r, &f_database, k.database);
	if (k.collection.n)
		rec_bytes(r, &f_collection, k.collection);
	if (k.user.n)
		rec_bytes(r, &f_user, k.user);
	if (k.mechanism.n)
		rec_bytes(r, &f_mechanism, k.mechanism);
	if (compressor)
		rec_cstr(r, &f_compressed, compressor);
	if (!opcode || k.partial)
		rec_partial(r);	/* what is compressed is not read */
	told = r->len;
	full = r->full;
	if (k.nothers) {
		r->asked = told;
		rec_arr(r, &f_collection);
		for (unsigned i = 0; i < k.nothers; i++)
			rec_bytes(r, NULL, k.other[i]);
		rec_end(r);
	}
	px_judge(px, r);
	r->len = told;
	r->asked = 0;
	r->full = full;
	if (answered)
		asks_add(px, &s->asks, id, r);
	else
		asks_tell_now(px, &s->asks, r);
	msg_asked(&s->sync);
}

/* ---- answers ---- */

static void errors_read(struct record *r, struct cursor *c)
{
	struct walk w;
	struct element e;

	if (!walk_begin(&w, c))
		return;
	while (walk_next(&w, &e)) {
		if (e.depth)
			continue;
		if (e.type == 0x10 && is(e.name, "code"))
			rec_u64(r, &f_error, cur_le32(&e.value));
		else if (e.type == 2 && is(e.name, "codeName"))
			rec_bytes(r, &f_error_name, text_of(&e));
	}
}

static void answer(struct px *px, struct mongodb *s, uint32_t opcode, uint32_t to, struct cursor c)
{
	int i = asks_find(&s->asks, to);
	struct record *r;

	if (i < 0)
		return;
	if (opcode == OP_COMPRESSED) {
		opcode = cur_le32(&c);
		cur_skip(&c, 4);
		if (cur_u8(&c))
			opcode = 0;
	}
	r = asks_record(px, &s->asks, i);
	if (opcode == OP_MSG) {
		cur_skip(&c, 4);
		if (cur_u8(&c) == 0)
			errors_read(r, &c);
	} else if (opcode == OP_REPLY) {
		cur_skip(&c, 20);
		errors_read(r, &c);
	}
	asks_tell(px, &s->asks, i, r);
}

/* ---- messages ---- */

static bool opcode_known(uint32_t op) { return op == OP_REPLY || op == OP_MSG || op == OP_COMPRESSED || (op >= OP_UPDATE && op <= OP_KILL_CURSORS && op != 2003); }

static bool length(void *state, enum dir dir, struct cursor head, uint64_t *len, size_t *keep)
{
	(void)state;
	*len = cur_le32(&head);
	*keep = dir == DIR_TOSERVER ? MSG_KEEP : REPLY_KEEP;
	cur_skip(&head, 8);
	return *len > HEAD && *len <= MSG_MAX && opcode_known(cur_le32(&head));
}

static enum parse message(struct px *px, void *state, enum dir dir, struct cursor msg, uint64_t len)
{
	struct mongodb *s = state;
	uint32_t id, to, opcode;

	(void)len;
	cur_skip(&msg, 4);
	id = cur_le32(&msg);
	to = cur_le32(&msg);
	opcode = cur_le32(&msg);
	if (dir == DIR_TOSERVER)
		request(px, s, opcode, id, msg);
	else
		answer(px, s, opcode, to, msg);
	return PARSE_DONE;
}

static const struct msg_format format = { HEAD, "mongodb.bad_message", length, message };

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct mongodb *s = state;

	s->asks.event = EV_APP;
	return msg_run(px, &format, &s->sync, s, dir, in);
}

static enum parse gap(struct px *px, void *state, enum dir dir, uint64_t len)
{
	(void)px;
	(void)len;
	return msg_gap(&((struct mongodb *)state)->sync, dir);
}

static void end(struct px *px, void *state)
{
	struct mongodb *s = state;

	s->asks.event = EV_APP;
	asks_end(px, &s->asks);
}

/* ---- recognition ---- */

/* A document: its length fits the message, its first element has a type and a name in plain text. */
static enum probe probe_document(struct cursor c, uint32_t room)
{
	uint32_t len;
	uint8_t type;

	if (cur_left(&c) < 5)
		return PROBE_MORE;
	len = cur_le32(&c);
	if (len < 5 || len > room)
		return PROBE_NO;
	type = cur_u8(&c);
	if (!type)
		return len == 5 ? PROBE_YES : PROBE_NO;
	if (type > 0x13)
		return PROBE_NO;
	for (unsigned i = 0; i < 64; i++) {
		uint8_t b = cur_u8(&c);

		if (!cur_ok(&c))
			return PROBE_MORE;
		if (!b)
			return i ? PROBE_YES : PROBE_NO;
		if (b < 0x20 || b > 0x7e)
			return PROBE_NO;
	}
	return PROBE_NO;
}

static enum probe probe_namespace(struct cursor *c)
{
	bool dot = false;

	for (unsigned i = 0; i < 128; i++) {
		uint8_t b = cur_u8(c);

		if (!cur_ok(c))
			return PROBE_MORE;
		if (!b)
			return dot ? PROBE_YES : PROBE_NO;
		if (b < 0x20 || b == 0x7f)
			return PROBE_NO;
		dot |= b == '.' && i;
	}
	return PROBE_NO;
}

/* A sequence of documents: length, name. */
static enum probe probe_sequence(struct cursor c, uint32_t room)
{
	uint32_t len = cur_le32(&c);

	if (!cur_ok(&c))
		return PROBE_MORE;
	if (len < 6 || len > room)
		return PROBE_NO;
	for (unsigned i = 0; i < 32; i++) {
		uint8_t b = cur_u8(&c);

		if (!cur_ok(&c))
			return PROBE_MORE;
		if (!b)
			return i > 3 ? PROBE_YES : PROBE_NO;
		if ((b | 0x20) < 'a' || (b | 0x20) > 'z')
			return PROBE_NO;
	}
	return PROBE_NO;
}

static enum probe probe_one(struct cursor c)
{
	uint32_t len, to, op, flags;
	uint8_t kind;
	enum probe p;

	if (cur_left(&c) < HEAD)
		return cur_left(&c) >= 4 && (cur_peek(&c, 3) > 2) ? PROBE_NO : PROBE_MORE;
	len = cur_le32(&c);
	cur_skip(&c, 4);
	to = cur_le32(&c);
	op = cur_le32(&c);
	if (len < HEAD + 5 || len > MSG_MAX || !opcode_known(op))
		return PROBE_NO;
	if (cur_left(&c) < 9)
		return PROBE_MORE;
	flags = cur_le32(&c);
	switch (op) {
	case OP_MSG:
		kind = cur_u8(&c);
		if (flags & ~(MSG_CHECKSUM | MSG_MORE | MSG_EXHAUST) || kind > 1)
			return PROBE_NO;
		return kind ? probe_sequence(c, len - HEAD - 5) : probe_document(c, len - HEAD - 5);
	case OP_COMPRESSED:
		cur_skip(&c, 4);
		return opcode_known(flags) && flags != OP_COMPRESSED && cur_u8(&c) <= 3 ? PROBE_YES : PROBE_NO;
	case OP_REPLY:
		if (!to || flags > 15 || len < HEAD + 20)
			return PROBE_NO;
		if (cur_left(&c) < 16)
			return PROBE_MORE;
		cur_skip(&c, 12);
		if (!cur_le32(&c))
			return len == HEAD + 20 ? PROBE_YES : PROBE_NO;
		return probe_document(c, len - HEAD - 20);
	case OP_KILL_CURSORS:
		return !flags && (!to || to == UINT32_MAX) && (len - HEAD - 8) % 8 == 0 ? PROBE_YES : PROBE_NO;
	default:
		if (flags > 0xff || (to && to != UINT32_MAX))
			return PROBE_NO;
		p = probe_namespace(&c);
		if (p != PROBE_YES || op != OP_QUERY)
			return p;
		if (cur_left(&c) < 8)
			return PROBE_MORE;
		cur_skip(&c, 8);
		return probe_document(c, len);
	}
}

static enum probe probe(const struct probe_in *in)
{
	enum probe p = PROBE_NO;

	for (int i = 0; i < 2; i++)
		if (cur_left(&in->dir[i])) {
			enum probe q = probe_one(in->dir[i]);

			if (q == PROBE_YES)
				return q;
			if (q == PROBE_MORE)
				p = q;
		}
	return p;
}

static const uint16_t ports[] = { 27017, 27018, 27019, 0 };

const struct proto proto_mongodb = {
	.name = "mongodb",
	.app = APP_MONGODB,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct mongodb),
	.probe = probe,
	.parse = parse,
	.gap = gap,
	.end = end,
	.facts = facts,
	.for_events = true,
};
