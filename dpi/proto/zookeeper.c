/* SPDX-License-Identifier: GPL-2.0-or-later */
/* zookeeper: the client protocol and the four letter words.
 *
 *   both:    length (4)  body
 *   client:  connect: version (4: 0)  last zxid (8)  timeout (4)  session (8)  password (4 + n)  read only (1, may be missing)
 *            request: xid (4)  operation (4)  arguments, most of them begin with a path (4 + n)
 *   server:  connect: version (4)  timeout (4)  session (8)  password;   answer: xid (4)  zxid (8)  error (4)  result
 *   words:   "ruok", "stat", ... as they are, one a connection; the answer is text
 *
 * One `zookeeper` event per request, when its answer is there. xids below 0 are the protocol's own (ping, watches). Paths in
 * transactions (multi) are judged each, the first is told. */
#include "dpi/message.h"

#define HEAD 4u
#define BODY_MAX (16u << 20)
#define KEEP (HEAD + 8192u)
#define ANSWER_KEEP (HEAD + 20u)
#define CONNECT_LEAST 44u
#define CONNECT_MOST 300u
#define PATHS_MAX 1024u

static const struct fact f_command = { "command", FACT_COMMAND }, f_path = { "path", FACT_KEY }, f_scheme = { "scheme", FACT_PLAIN },
	f_user = { "user", FACT_USER }, f_session = { "session", FACT_PLAIN }, f_error = { "error_code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_command, &f_path, &f_scheme, &f_user, &f_session, &f_error, NULL };

#define OP_MULTI 14
#define OP_MULTI_READ 22
#define OP_AUTH 100
#define XID_PING 0xfffffffeu
#define XID_AUTH 0xfffffffcu
#define XID_WATCHES 0xfffffff8u
#define XID_CONNECT ((uint64_t)1 << 32)

struct zookeeper {
	struct msg_sync sync;
	struct asks asks;
	bool begun, word;	/* word: a four letter word, text follows */
	bool connecting;	/* the server's next message answers a connect */
};

static const struct word { uint32_t op; bool path; const char *name; } ops[] = {
	{ 1, true, "create" }, { 2, true, "delete" }, { 3, true, "exists" }, { 4, true, "getData" }, { 5, true, "setData" }, { 6, true, "getACL" },
	{ 7, true, "setACL" }, { 8, true, "getChildren" }, { 9, true, "sync" }, { 11, false, "ping" }, { 12, true, "getChildren2" }, { 13, true, "check" },
	{ 14, false, "multi" }, { 15, true, "create2" }, { 16, false, "reconfig" }, { 17, true, "checkWatches" }, { 18, true, "removeWatches" },
	{ 19, true, "createContainer" }, { 20, true, "deleteContainer" }, { 21, true, "createTTL" }, { 22, false, "multiRead" }, { 100, false, "auth" },
	{ 101, false, "setWatches" }, { 102, false, "sasl" }, { 103, true, "getEphemerals" }, { 104, true, "getAllChildrenNumber" }, { 105, false, "setWatches2" },
	{ 106, true, "addWatch" }, { 107, false, "whoAmI" }, { 0xfffffff5, false, "closeSession" },
};

static const struct word *op_of(uint32_t op)
{
	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (ops[i].op == op)
			return &ops[i];
	return NULL;
}

static const char *word_of(const struct cursor *c)
{
	static const char *const words[] = {
		"conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "lead", "mntr", "ruok", "srst", "srvr", "stat", "stmk", "wchc", "wchp", "wchs",
	};

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (cur_starts(c, words[i], 4))
			return words[i];
	return NULL;
}

static struct bytes buffer(struct cursor *c)
{
	uint32_t n = cur_be32(c);

	return n > cur_left(c) ? (cur_fail(c), (struct bytes){ NULL, 0 }) : cur_bytes(c, n);
}

/* ---- requests ---- */

/* The arguments behind a path in a transaction, to the next operation. False: unknown. */
static bool arguments_pass(struct cursor *c, uint32_t op)
{
	switch (op) {
	case 1: case 15: case 19: case 21:
		buffer(c);
		for (uint32_t n = cur_be32(c); n && n < PATHS_MAX && cur_ok(c); n--) {
			cur_skip(c, 4);
			buffer(c);
			buffer(c);
		}
		cur_skip(c, op == 21 ? 12 : 4);
		break;
	case 2: case 13:
		cur_skip(c, 4);
		break;
	case 5:
		buffer(c);
		cur_skip(c, 4);
		break;
	case 4: case 8: case 20:
		cur_skip(c, op == 20 ? 0 : 1);
		break;
	default:
		return false;
	}
	return cur_ok(c);
}

/* operation (4)  done (1)  error (4), path and arguments, until done. Judges each, answers the first path. */
static struct bytes multi(struct px *px, struct cursor c)
{
	struct bytes first = { NULL, 0 }, path;

	for (unsigned i = 0; i < PATHS_MAX && cur_left(&c) > 9; i++) {
		uint32_t op = cur_be32(&c);
		const struct word *w = op_of(op);
		struct record *r;

		if (cur_u8(&c))
			break;
		cur_skip(&c, 4);
		path = buffer(&c);
		if (!cur_ok(&c) || !w || !w->path)
			break;
		if (!first.p)
			first = path;
		r = px_record(px);
		rec_cstr(r, &f_command, w->name);
		rec_bytes(r, &f_path, path);
		px_judge(px, r);
		if (!arguments_pass(&c, op))
			break;
	}
	return first;
}

static void request(struct px *px, struct zookeeper *s, struct cursor c)
{
	uint32_t xid = cur_be32(&c), op = cur_be32(&c);
	const struct word *w = op_of(op);
	struct bytes path = { NULL, 0 }, scheme;
	struct record *r;

	if (!cur_ok(&c) || op == 11)	/* pings tell nothing */
		return;
	if (op == OP_MULTI || op == OP_MULTI_READ)
		path = multi(px, c);
	else if (w && w->path)
		path = buffer(&c);
	r = px_record(px);
	if (w)
		rec_cstr(r, &f_command, w->name);
	else
		rec_printf(r, &f_command, "%u", op);
	if (path.p)
		rec_bytes(r, &f_path, path);
	if (op == OP_AUTH) {
		cur_skip(&c, 4);
		scheme = buffer(&c);
		rec_bytes(r, &f_scheme, scheme);
		if (scheme.n == 6 && !memcmp(scheme.p, "digest", 6)) {	/* user:password */
			struct bytes auth = buffer(&c);
			struct cursor u = cur_of(auth.p, auth.n);
			size_t colon = cur_find(&u, ':');

			rec_bytes(r, &f_user, cur_bytes(&u, colon == SIZE_MAX ? 0 : colon));
		}
	}
	px_judge(px, r);
	asks_add(px, &s->asks, xid, r);
	msg_asked(&s->sync);
}

/* A connect: version 0, and a password of 16 bytes or none. */
static bool is_connect(struct cursor c, uint64_t body)
{
	uint32_t password;

	if (body < CONNECT_LEAST - 16 || body > CONNECT_MOST || cur_be32(&c))
		return false;
	cur_skip(&c, 8 + 4 + 8);
	password = cur_be32(&c);
	return cur_ok(&c) && (body == 28 + (uint64_t)password || body == 29 + (uint64_t)password);
}

static void connect(struct px *px, struct zookeeper *s, struct cursor c)
{
	struct record *r = px_record(px);

	rec_cstr(r, &f_command, "connect");
	cur_skip(&c, 16);
	rec_printf(r, &f_session, "0x%llx", (unsigned long long)cur_be64(&c));
	px_judge(px, r);
	asks_add(px, &s->asks, XID_CONNECT, r);
	s->connecting = true;
}

/* ---- messages ---- */

static bool length(void *state, enum dir dir, struct cursor head, uint64_t *len, size_t *keep)
{
	uint32_t n = cur_be32(&head);

	(void)state;
	*len = HEAD + (uint64_t)n;
	*keep = dir == DIR_TOSERVER ? KEEP : ANSWER_KEEP;
	return n >= 8 && n <= BODY_MAX;
}

static enum parse message(struct px *px, void *state, enum dir dir, struct cursor msg, uint64_t len)
{
	struct zookeeper *s = state;
	uint32_t xid, error;
	struct record *r;
	int i;

	cur_skip(&msg, HEAD);
	if (dir == DIR_TOSERVER) {
		if (!s->begun && is_connect(msg, len - HEAD))
			connect(px, s, msg);
		else
			request(px, s, msg);
		s->begun = true;
		return PARSE_DONE;
	}
	if (s->connecting) {
		i = asks_find(&s->asks, XID_CONNECT);
		s->connecting = false;
		if (i >= 0)
			asks_tell(px, &s->asks, i, asks_record(px, &s->asks, i));
		return PARSE_DONE;
	}
	xid = cur_be32(&msg);
	cur_skip(&msg, 8);
	error = cur_be32(&msg);
	i = asks_find(&s->asks, xid);
	if (i < 0 || !cur_ok(&msg))
		return PARSE_DONE;
	r = asks_record(px, &s->asks, i);
	if (error)
		rec_i64(r, &f_error, (int32_t)error);
	asks_tell(px, &s->asks, i, r);
	return PARSE_DONE;
}

static const struct msg_format format = { HEAD, "zookeeper.bad_message", length, message };

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct zookeeper *s = state;

	s->asks.event = EV_APP;
	if (dir == DIR_TOSERVER && !s->begun && cur_peek(in, 0)) {
		struct record *r = px_record(px);

		if (cur_left(in) < 4)
			return msg_more(px, 4);
		if (!word_of(in))
			return msg_bad(px, "zookeeper.bad_message");
		s->begun = s->word = true;
		rec_cstr(r, &f_command, word_of(in));
		px_judge(px, r);
		asks_tell_now(px, &s->asks, r);
		px_stop(px);
		return PARSE_DONE;
	}
	return msg_run(px, &format, &s->sync, s, dir, in);
}

static enum parse gap(struct px *px, void *state, enum dir dir, uint64_t len)
{
	struct zookeeper *s = state;

	(void)px;
	(void)len;
	s->connecting = false;
	return msg_gap(&s->sync, dir);
}

static void end(struct px *px, void *state)
{
	struct zookeeper *s = state;

	s->asks.event = EV_APP;
	asks_end(px, &s->asks);
}

/* ---- recognition ---- */

/* A path of its own: begins with / and is text. */
static bool path_fits(struct cursor c, uint64_t room)
{
	uint32_t n = cur_be32(&c);

	if (!n || n > room || cur_peek(&c, 0) != '/')
		return false;
	for (uint32_t i = 0; i < n && i < cur_left(&c); i++)
		if (cur_peek(&c, i) < 0x20)
			return false;
	return true;
}

static enum probe probe_request(struct cursor c, bool midstream)
{
	uint32_t n = cur_be32(&c), xid, op;
	const struct word *w;

	if (!cur_ok(&c))
		return !cur_left(&c) || cur_peek(&c, 0) == 0 ? PROBE_MORE : PROBE_NO;
	if (n < 8 || n > BODY_MAX)
		return PROBE_NO;
	if (cur_left(&c) < n && cur_left(&c) < 28)
		return PROBE_MORE;
	/* the first 24 bytes have no form of their own: the timeout must be a sane one, the session fit the password */
	if (is_connect(c, n)) {
		struct cursor t = c;
		uint32_t timeout, password;
		uint64_t session;

		cur_skip(&t, 12);
		timeout = cur_be32(&t);
		session = cur_be64(&t);
		password = cur_be32(&t);
		if (timeout >= 100 && timeout <= 3600000 && (password == 16 || (!password && !session)))
			return PROBE_YES;
	}
	if (!midstream)
		return PROBE_NO;
	xid = cur_be32(&c);
	op = cur_be32(&c);
	w = op_of(op);
	if (!w)
		return PROBE_NO;
	if (n == 8)
		return (op == 11 && xid == XID_PING) || (op == 0xfffffff5 && xid < 0x80000000) ? PROBE_YES : PROBE_NO;
	if (op == OP_AUTH || op == 101)
		return xid == (op == OP_AUTH ? XID_AUTH : XID_WATCHES) ? PROBE_YES : PROBE_NO;
	return w->path && xid < 0x80000000 && path_fits(c, n - 12) ? PROBE_YES : PROBE_NO;
}

/* A word alone, with or without the end of a line; words that others know too are believed by their answer. */
static enum probe probe_word(struct cursor c, struct cursor down)
{
	static const char *const begins[] = { "Zookeeper version:", "imok", "SessionTracker", "clientPort", "zk_version", "Environment", "This ZooKeeper", "rw", "ro", "null" };
	const char *word;
	enum probe p = PROBE_NO;

	if (cur_left(&c) < 4) {
		for (size_t i = 0; i < cur_left(&c); i++)
			if (cur_peek(&c, i) < 'a' || cur_peek(&c, i) > 'z')
				return PROBE_NO;
		return PROBE_MORE;
	}
	word = word_of(&c);
	cur_skip(&c, 4);
	while (cur_more(&c) && (cur_peek(&c, 0) == '\r' || cur_peek(&c, 0) == '\n'))
		cur_skip(&c, 1);
	if (!word || cur_left(&c))
		return PROBE_NO;
	if (!strcmp(word, "ruok") || !strcmp(word, "mntr") || !strcmp(word, "srvr") || !strcmp(word, "envi") || !strcmp(word, "wchs") || !strcmp(word, "isro"))
		return PROBE_YES;
	if (!cur_left(&down))
		return PROBE_MORE;
	for (unsigned i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
		size_t n = strlen(begins[i]), have = cur_left(&down) < n ? cur_left(&down) : n;

		if (memcmp(begins[i], down.pos, have) == 0) {
			if (have == n)
				return PROBE_YES;
			p = PROBE_MORE;
		}
	}
	return p;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor up = in->dir[DIR_TOSERVER];
	enum probe p;

	if (!cur_left(&up))
		return in->midstream ? PROBE_MORE : PROBE_NO;
	p = probe_request(up, in->midstream);
	return p == PROBE_NO ? probe_word(up, in->dir[DIR_TOCLIENT]) : p;
}

static const uint16_t ports[] = { 2181, 0 };

const struct proto proto_zookeeper = {
	.name = "zookeeper",
	.app = APP_ZOOKEEPER,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct zookeeper),
	.probe = probe,
	.parse = parse,
	.gap = gap,
	.end = end,
	.facts = facts,
	.for_events = true,
};
