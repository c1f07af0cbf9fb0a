/* SPDX-License-Identifier: GPL-2.0-or-later */
/* redis: RESP2 and RESP3, inline commands, pipelines.
 *
 *   client:  *N CRLF, then N times $LEN CRLF bytes CRLF; or one line of words (inline)
 *   server:  + - : _ # , (   one line          $ = !   LEN CRLF bytes CRLF, or -1
 *            * ~ >   N values        %   2 N values        |   2 N values about the value that follows
 *            $? ... ;LEN ... ;0 and *? ... .   pieces and elements without a number beforehand
 *
 * A command's facts are its name and its keys. Where keys stand differs by command (redis_words.c). Each key is judged when its
 * last byte is there, the first one is told; channels and passwords are no keys. Values are passed by unread, those that are not
 * there yet with px_skip: nothing is kept but a line, a name or a key (up to what a record tells of it).
 *
 * One `redis` event per command. It waits for its reply, which is known by order alone, because the reply may be an error. At
 * most WAIT_MAX wait; then the oldest is told and its reply is owed (passed over when it comes). What a server sends unasked
 * (pushes, messages of subscriptions, MONITOR's lines) is no reply. After SYNC and PSYNC a copy of the data set follows, in
 * another form: parsing ends there. A client that turned replies off (CLIENT REPLY) may see an error told with a later command. */
#include "dpi/proto/redis_parts.h"

#define KEY_KEEP (RECORD_STR_MAX + 1)	/* one more than is told, so that a cut shows */
#define BULK_MAX ((int64_t)1 << 40)
#define LINE_KEEP 512u			/* of a reply's line */
#define DEPTH_MAX 32u
#define WAIT_MAX 32u
#define WORD_KEEP 64u			/* first word of a push, text of an error */
#define STREAMED UINT64_MAX		/* elements come until "." */

static const struct fact f_command = { "command", FACT_COMMAND }, f_key = { "key", FACT_KEY }, f_channel = { "channel", FACT_OBJECT },
	f_database = { "database", FACT_DATABASE }, f_user = { "user", FACT_USER }, f_error = { "error", FACT_PLAIN };
static const struct fact *const facts[] = { &f_command, &f_key, &f_channel, &f_database, &f_user, &f_error, NULL };
static const struct fact *const whats[] = { [REDIS_KEY] = &f_key, [REDIS_CHANNEL] = &f_channel, [REDIS_DATABASE] = &f_database, [REDIS_USER] = &f_user };

struct waiting {
	struct saved *told;	/* NULL: no memory for it */
	uint32_t tx;
	bool subscribes;
};

struct redis {
	/* the client's command at hand */
	uint32_t nargs, at;		/* nargs 0: none; at: the next argument */
	uint32_t key_from, key_to;	/* arguments that are keys, to excluded */
	uint8_t key_step;
	uint8_t name_len;
	bool judged;
	bool subscribed, monitors;
	char name[REDIS_NAME_LEN + 1];
	const struct redis_spec *spec;
	struct saved *told;
	uint32_t next_tx;
	/* commands that wait for their reply */
	struct waiting wait[WAIT_MAX];
	uint32_t head, waits;
	uint64_t owed;
	/* the server's value at hand */
	uint32_t scanned[2];		/* bytes of the line at the position that hold no LF */
	bool in_line;			/* a long line's rest is passed by */
	bool first;			/* its first element comes now and says what it is */
	bool unasked, confirms;
	uint8_t top;			/* type of the outermost value */
	uint8_t depth;
	uint32_t attrs;			/* bit per level: values about the value that follows */
	uint64_t left[DEPTH_MAX];
	char error[WORD_KEEP];
	uint8_t error_len;
};

/* ---- what is told ---- */

static void tell(struct px *px, struct waiting *w, struct bytes error)
{
	struct record *r;

	if (!w->told)
		return;
	r = px_record(px);
	rec_append(r, w->told->body, w->told->len);
	if (error.n)
		rec_bytes(r, &f_error, error);
	px_emit(px, EV_REDIS, w->tx, r);
	px_saved_free(px, w->told);
	w->told = NULL;
}

static struct waiting *oldest_take(struct redis *s)
{
	struct waiting *w = &s->wait[s->head];

	s->head = (s->head + 1) % WAIT_MAX;
	s->waits--;
	return w;
}

/* ---- commands ---- */

static bool named(const struct redis *s, const char *name) { return strcmp(s->name, name) == 0; }

/* The command with this key (NULL: without any) meets the policy; the first one is what the event tells. */
static void judge(struct px *px, struct redis *s, const struct bytes *key)
{
	struct record *r = px_record(px);

	rec_str(r, &f_command, s->name, s->name_len);
	if (key)
		rec_bytes(r, whats[s->spec->what], *key);
	if (!s->judged)
		s->told = px_save(px, r);
	s->judged = true;
	px_judge(px, r);
}

static void command_begin(struct redis *s, uint32_t nargs)
{
	s->nargs = nargs;
	s->at = s->key_from = s->key_to = 0;
	s->key_step = 1;
	s->judged = false;
	s->told = NULL;
}

static bool is_key(const struct redis *s, uint32_t i)
{
	if (s->spec->keys == REDIS_KEYS_COUNTED && s->spec->last > 0 && i == (uint32_t)s->spec->last)
		return true;
	return i >= s->key_from && i < s->key_to && (i - s->key_from) % s->key_step == 0;
}

/* Whether argument i must be looked at. */
static bool wanted(const struct redis *s, uint32_t i)
{
	if (!i || is_key(s, i))
		return true;
	return (s->spec->keys == REDIS_KEYS_COUNTED && i == s->spec->first) || s->spec->keys == REDIS_KEYS_WORDS ||
	       ((s->spec->keys == REDIS_KEYS_STREAMS || s->spec->keys == REDIS_KEYS_AUTH) && !s->key_to);
}

static void name_is(struct px *px, struct redis *s, struct bytes b)
{
	int64_t to;

	s->name_len = (uint8_t)(b.n < REDIS_NAME_LEN ? b.n : REDIS_NAME_LEN);
	for (unsigned i = 0; i < s->name_len; i++)
		s->name[i] = (char)(b.p[i] >= 'a' && b.p[i] <= 'z' ? b.p[i] - 32 : b.p[i]);
	s->name[s->name_len] = 0;
	s->spec = redis_spec_of(s->name);
	if (s->spec->keys == REDIS_KEYS_AT) {
		to = s->spec->last < 0 ? (int64_t)s->nargs + s->spec->last + 1 : s->spec->last + 1;
		s->key_from = s->spec->first;
		s->key_to = to > s->nargs ? s->nargs : to > 0 ? (uint32_t)to : 0;
		s->key_step = s->spec->step;
		if (s->spec->what == REDIS_USER && s->nargs != 3)	/* a password alone */
			s->key_to = 0;
	}
	if (s->spec->keys == REDIS_KEYS_WORDS) {
		s->key_from = s->spec->first;
		s->key_to = s->key_from + 1;
	}
	if (s->spec->keys == REDIS_KEYS_NONE || (s->spec->keys == REDIS_KEYS_AT && s->key_from >= s->key_to))
		judge(px, s, NULL);
}

static uint32_t small_number(struct bytes b)
{
	uint32_t v = 0;

	for (size_t i = 0; i < b.n && i < 9; i++) {
		if (b.p[i] < '0' || b.p[i] > '9')
			return 0;
		v = v * 10 + (uint32_t)(b.p[i] - '0');
	}
	return v;
}

static void command_end(struct px *px, struct redis *s)
{
	struct waiting *w;
	uint32_t tx = s->next_tx++;

	if (!s->judged)
		judge(px, s, NULL);
	if (s->waits == WAIT_MAX) {
		tell(px, oldest_take(s), (struct bytes){ NULL, 0 });
		s->owed++;
	}
	w = &s->wait[(s->head + s->waits++) % WAIT_MAX];
	w->told = s->told;
	w->tx = tx;
	w->subscribes = named(s, "SUBSCRIBE") || named(s, "PSUBSCRIBE") || named(s, "SSUBSCRIBE") || named(s, "UNSUBSCRIBE") ||
			named(s, "PUNSUBSCRIBE") || named(s, "SUNSUBSCRIBE");
	s->subscribed |= w->subscribes;
	s->monitors |= named(s, "MONITOR");
	s->told = NULL;
	s->nargs = 0;
	if (named(s, "SYNC") || named(s, "PSYNC"))
		px_stop(px);
}

#define PATTERN UINT8_MAX	/* in key_step: the one key is a pattern, where it has a star */

/* A word of SORT, MIGRATE and the like, behind which keys stand. */
static void word_is(struct redis *s, uint32_t i, struct bytes b)
{
	bool pattern = redis_is_word(b, "BY") || redis_is_word(b, "GET"), all = redis_is_word(b, "KEYS");

	if (!pattern && !all && !redis_is_word(b, "STORE") && !redis_is_word(b, "STOREDIST"))
		return;
	s->key_from = i + 1;
	s->key_to = all ? s->nargs : i + 2;
	s->key_step = pattern ? PATTERN : 1;
}

/* The next argument is there: b (its beginning) when it was wanted. */
static void arg_done(struct px *px, struct redis *s, struct bytes b)
{
	uint32_t i = s->at++;

	if (!i) {
		name_is(px, s, b);
	} else {
		if (s->spec->keys == REDIS_KEYS_COUNTED && i == s->spec->first) {
			uint32_t n = small_number(b);

			s->key_from = i + 1;
			s->key_to = n < s->nargs - s->at ? s->at + n : s->nargs;
		} else if (is_key(s, i)) {
			if (s->spec->keys != REDIS_KEYS_WORDS || (s->key_step == PATTERN ? b.n && memchr(b.p, '*', b.n) : b.n))
				judge(px, s, &b);
		} else if (s->spec->keys == REDIS_KEYS_WORDS) {
			word_is(s, i, b);
		} else if (s->spec->keys == REDIS_KEYS_STREAMS && !s->key_to && redis_is_word(b, "STREAMS")) {
			s->key_from = i + 1;
			s->key_to = i + 1 + (s->nargs - s->at) / 2;
		} else if (s->spec->keys == REDIS_KEYS_AUTH && !s->key_to && redis_is_word(b, "AUTH")) {
			s->key_from = i + 1;
			s->key_to = i + 2;
		}
	}
	if (s->at == s->nargs)
		command_end(px, s);
}

/* ---- bytes ---- */

static enum parse bad(struct px *px, const char *event)
{
	px_bad(px, event);
	return PARSE_BAD;
}

/* The next n bytes are of no interest, whether they are there or not. */
static void pass(struct px *px, enum dir dir, struct cursor *in, uint64_t n)
{
	size_t have = cur_left(in);

	if (n <= have) {
		cur_skip(in, (size_t)n);
		return;
	}
	cur_rest(in);
	px_skip(px, dir, n - have);
}

/* A line within the first `max` bytes. DONE: consumed; or, with *longer, there is none. */
static enum parse line_read(struct cursor *in, uint32_t *scanned, size_t max, struct bytes *line, bool *longer)
{
	size_t have = cur_left(in) < max ? cur_left(in) : max;
	struct cursor ahead = cur_of(in->pos, have);

	*longer = false;
	cur_skip(&ahead, *scanned < have ? *scanned : have);
	if (cur_find(&ahead, '\n') != SIZE_MAX) {
		*scanned = 0;
		cur_line(in, line);
		return PARSE_DONE;
	}
	if (have == max) {
		*scanned = 0;
		*longer = true;
		return PARSE_DONE;
	}
	*scanned = (uint32_t)have;
	return PARSE_MORE;
}

/* ---- the client ---- */

/* Lines of numbers are short, so they are looked at again rather than remembered while their bytes are awaited. */
static enum parse number_line(struct px *px, struct cursor *in, int64_t max, int64_t *v)
{
	uint32_t scanned = 0;
	struct bytes line = { 0 };
	bool longer;
	enum parse p = line_read(in, &scanned, REDIS_NUMBER_LINE, &line, &longer);

	if (p == PARSE_DONE && (longer || !redis_number(line, max, v)))
		return bad(px, "redis.bad_number");
	return p;
}

static enum parse parse_arg(struct px *px, struct redis *s, struct cursor *in)
{
	struct cursor ahead = *in;
	struct bytes view = { 0 };
	size_t keep;
	int64_t n;
	enum parse p;

	if (cur_peek(in, 0) != '$')
		return bad(px, "redis.bad_argument");
	p = number_line(px, &ahead, BULK_MAX, &n);
	if (p != PARSE_DONE)
		return p;
	if (n < 0)
		return bad(px, "redis.bad_number");
	if (!wanted(s, s->at)) {
		*in = ahead;
		pass(px, DIR_TOSERVER, in, (uint64_t)n + 2);
		arg_done(px, s, view);
		return PARSE_DONE;
	}
	keep = n > (int64_t)KEY_KEEP ? KEY_KEEP : (size_t)n + 2;
	if (cur_left(&ahead) < keep) {
		px_need(px, cur_used(&ahead) - cur_used(in) + keep);
		return PARSE_MORE;
	}
	*in = ahead;
	view = cur_bytes(in, n > (int64_t)KEY_KEEP ? KEY_KEEP : (size_t)n);
	if (n <= (int64_t)KEY_KEEP && !cur_starts(in, "\r\n", 2))
		return bad(px, "redis.bad_argument");
	arg_done(px, s, view);
	pass(px, DIR_TOSERVER, in, (uint64_t)n + 2 - view.n);
	return PARSE_DONE;
}

static enum parse parse_inline(struct px *px, struct redis *s, struct cursor *in)
{
	uint8_t buf[KEY_KEEP];
	struct bytes line = { 0 }, word;
	bool longer, broken = false;
	struct cursor c;
	uint32_t n = 0;
	enum parse p = line_read(in, &s->scanned[DIR_TOSERVER], REDIS_INLINE_MAX, &line, &longer);

	if (p != PARSE_DONE)
		return p;
	if (longer)
		return bad(px, "redis.line_too_long");
	for (c = cur_of(line.p, line.n); redis_word_next(&c, buf, 0, &word, &broken);)
		n++;
	if (broken)
		return bad(px, "redis.quotes");
	if (!n)
		return PARSE_DONE;
	command_begin(s, n);
	for (c = cur_of(line.p, line.n); redis_word_next(&c, buf, sizeof(buf), &word, &broken);)
		arg_done(px, s, word);
	return PARSE_DONE;
}

/* Of the command at hand something is not said yet that is to be judged. */
static bool unsaid(const struct redis *s)
{
	bool sought = (s->spec->keys == REDIS_KEYS_STREAMS || s->spec->keys == REDIS_KEYS_AUTH) && !s->key_to;
	bool counted = s->spec->keys == REDIS_KEYS_COUNTED && (s->at <= s->spec->first || (s->spec->last > 0 && s->at <= (uint32_t)s->spec->last));

	return !s->judged || s->at < s->key_to || sought || counted || s->spec->keys == REDIS_KEYS_WORDS;
}

static enum parse parse_client(struct px *px, struct redis *s, struct cursor *in)
{
	enum parse p = PARSE_DONE;
	int64_t n;

	while (p == PARSE_DONE && cur_more(in)) {
		if (s->nargs) {
			p = parse_arg(px, s, in);
		} else if (cur_peek(in, 0) != '*') {
			p = parse_inline(px, s, in);
		} else {
			p = number_line(px, in, REDIS_ARGS_MAX, &n);
			if (p == PARSE_DONE && n > 0)
				command_begin(s, (uint32_t)n);
		}
	}
	if (s->nargs ? !s->at || unsaid(s) : cur_left(in) != 0)
		px_unfinished(px, s->next_tx);
	return p;
}

/* ---- the server ---- */

/* "ERR unknown command", "WRONGTYPE": the code; of the general one two words more. Never the rest: it quotes arguments. */
static void error_is(struct redis *s, struct bytes text)
{
	unsigned words = text.n >= 4 && memcmp(text.p, "ERR ", 4) == 0 ? 3 : 1;
	size_t n = 0;

	for (; n < text.n && n < WORD_KEEP; n++) {
		uint8_t b = text.p[n];

		if ((b == ' ' && !--words) || b == '\'' || b == '`' || b == '"' || b == ',' || b < ' ')
			break;
		s->error[n] = (char)b;
	}
	while (n && s->error[n - 1] == ' ')
		n--;
	s->error_len = (uint8_t)n;
}

/* A whole outermost value. */
static void reply_end(struct px *px, struct redis *s)
{
	struct bytes error = { (const uint8_t *)s->error, s->error_len };

	if (s->top == '>' || s->unasked) {
		if (!s->confirms || s->owed || !s->waits || !s->wait[s->head].subscribes)
			return;
	} else if (s->owed) {
		s->owed--;
		return;
	}
	if (s->waits)
		tell(px, oldest_take(s), error);
}

static void value_begin(struct redis *s, uint8_t type)
{
	if (s->depth)
		return;
	s->top = type;
	s->unasked = s->confirms = false;
	s->error_len = 0;
}

/* A value is whole, and with it maybe those around it. */
static void value_end(struct px *px, struct redis *s)
{
	while (s->depth) {
		unsigned top = s->depth - 1u;

		if (s->left[top] == STREAMED || --s->left[top])
			return;
		s->depth--;
		if (s->attrs >> top & 1)
			return;		/* the value it is about comes now */
	}
	reply_end(px, s);
}

static enum parse level_open(struct px *px, struct redis *s, uint8_t type, uint64_t n)
{
	if (!n) {
		if (type != '|')
			value_end(px, s);
		return PARSE_DONE;
	}
	if (s->depth == DEPTH_MAX)
		return bad(px, "redis.too_deep");
	s->attrs &= ~(1u << s->depth);
	if (type == '|')
		s->attrs |= 1u << s->depth;
	s->left[s->depth++] = n;
	s->first = s->depth == 1 && (type == '>' || (type == '*' && s->subscribed));
	return PARSE_DONE;
}

static enum parse level_close(struct px *px, struct redis *s)
{
	if (!s->depth || s->left[s->depth - 1u] != STREAMED)
		return bad(px, "redis.bad_reply");
	s->depth--;
	if (!(s->attrs >> s->depth & 1))
		value_end(px, s);
	return PARSE_DONE;
}

/* The first word of an array tells whether it was asked for. */
static void first_word(struct redis *s, struct bytes w)
{
	static const char *const messages[] = { "MESSAGE", "PMESSAGE", "SMESSAGE" };
	static const char *const confirmations[] = { "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE" };

	for (unsigned i = 0; i < 3; i++)
		s->unasked |= redis_is_word(w, messages[i]);
	for (unsigned i = 0; i < 6; i++)
		s->confirms |= redis_is_word(w, confirmations[i]);
	s->unasked |= s->confirms;
}

/* Everything that is one line. */
static enum parse parse_line(struct px *px, struct redis *s, struct cursor *in, uint8_t type)
{
	struct bytes line = { 0 };
	bool longer;
	enum parse p = line_read(in, &s->scanned[DIR_TOCLIENT], LINE_KEEP, &line, &longer);

	if (p != PARSE_DONE)
		return p;
	if (longer) {
		line = cur_bytes(in, LINE_KEEP);
		s->in_line = true;
	}
	value_begin(s, type);
	if (type == '-' && !s->depth)
		error_is(s, (struct bytes){ line.p + 1, line.n - 1 });
	/* MONITOR: +1700000000.123456 [0 127.0.0.1:50000] "get" "k" */
	if (type == '+' && !s->depth && s->monitors && line.n > 1 && line.p[1] >= '0' && line.p[1] <= '9')
		s->unasked = true;
	if (s->first && type == '+')
		first_word(s, (struct bytes){ line.p + 1, line.n - 1 });
	s->first = false;
	if (!s->in_line)
		value_end(px, s);
	return PARSE_DONE;
}

/* $LEN, =LEN, !LEN and the bytes; `ahead` is behind that line. */
static enum parse parse_bulk(struct px *px, struct redis *s, struct cursor *in, struct cursor ahead, uint8_t type, int64_t n)
{
	size_t keep = n > WORD_KEEP ? WORD_KEEP : (size_t)n;
	bool look = s->first || (type == '!' && !s->depth);

	if (look && cur_left(&ahead) < keep) {
		px_need(px, cur_used(&ahead) - cur_used(in) + keep);
		return PARSE_MORE;
	}
	*in = ahead;
	value_begin(s, type);
	if (look && type == '!')
		error_is(s, cur_bytes(&ahead, keep));
	else if (look)
		first_word(s, cur_bytes(&ahead, keep));
	s->first = false;
	pass(px, DIR_TOCLIENT, in, (uint64_t)n + 2);
	value_end(px, s);
	return PARSE_DONE;
}

/* A type with a number: lengths and counts. */
static enum parse parse_counted(struct px *px, struct redis *s, struct cursor *in, uint8_t type)
{
	struct cursor ahead = *in;
	int64_t n;
	enum parse p;

	if (cur_left(in) >= 2 && cur_peek(in, 1) == '?' && type != ';' && type != '!' && type != '=') {
		if (cur_left(in) < 4) {
			px_need(px, 4);
			return PARSE_MORE;
		}
		cur_skip(in, 2);
		if (cur_be16(in) != 0x0d0a)
			return bad(px, "redis.bad_reply");
		value_begin(s, type);
		s->first = false;
		return level_open(px, s, type, STREAMED);
	}
	p = number_line(px, &ahead, BULK_MAX, &n);
	if (p != PARSE_DONE)
		return p;
	switch (type) {
	case '$':
	case '=':
	case '!':
		if (n >= 0)
			return parse_bulk(px, s, in, ahead, type, n);
		break;
	case ';':
		*in = ahead;
		if (n <= 0)
			return level_close(px, s);
		pass(px, DIR_TOCLIENT, in, (uint64_t)n + 2);
		return PARSE_DONE;
	default:
		*in = ahead;
		value_begin(s, type);
		s->first = false;
		return level_open(px, s, type, n <= 0 ? 0 : type == '%' || type == '|' ? 2 * (uint64_t)n : (uint64_t)n);
	}
	*in = ahead;	/* a null of RESP2 */
	value_begin(s, type);
	s->first = false;
	value_end(px, s);
	return PARSE_DONE;
}

/* The rest of a long line goes by. */
static void line_pass(struct px *px, struct redis *s, struct cursor *in)
{
	size_t lf = cur_find(in, '\n');

	if (lf == SIZE_MAX) {
		cur_rest(in);
		return;
	}
	cur_skip(in, lf + 1);
	s->in_line = false;
	value_end(px, s);
}

static enum parse parse_server(struct px *px, struct redis *s, struct cursor *in)
{
	enum parse p = PARSE_DONE;

	while (p == PARSE_DONE && cur_more(in)) {
		uint8_t type = cur_peek(in, 0);

		if (s->in_line) {
			line_pass(px, s, in);
			continue;
		}
		switch (type) {
		case '+': case '-': case ':': case '_': case '#': case ',': case '(':
			p = parse_line(px, s, in, type);
			break;
		case '$': case '=': case '!': case '*': case '~': case '>': case '%': case '|': case ';':
			p = parse_counted(px, s, in, type);
			break;
		case '.':
			if (cur_left(in) < 3) {
				px_need(px, 3);
				return PARSE_MORE;
			}
			cur_skip(in, 3);
			p = level_close(px, s);
			break;
		default:
			p = bad(px, "redis.bad_reply");
		}
	}
	return p;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	return dir == DIR_TOSERVER ? parse_client(px, state, in) : parse_server(px, state, in);
}

static void end(struct px *px, void *state)
{
	struct redis *s = state;

	while (s->waits)
		tell(px, oldest_take(s), (struct bytes){ NULL, 0 });
	px_saved_free(px, s->told);
	s->told = NULL;
}

static const uint16_t ports[] = { REDIS_PORT, 0 };

const struct proto proto_redis = {
	.name = "redis",
	.app = APP_REDIS,
	.event = EV_REDIS,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct redis),
	.probe = redis_probe,
	.parse = parse,
	.end = end,
	.facts = facts,
	.for_events = true,
};
