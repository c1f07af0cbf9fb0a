/* SPDX-License-Identifier: GPL-2.0-or-later */
/* memcached: the text protocol with its meta commands; the binary one is memcached_binary.c.
 *
 *   get KEY..., gat TIME KEY...           set KEY FLAGS TIME BYTES [CAS] [noreply] CRLF data CRLF (add, replace, append, prepend, cas)
 *   delete KEY, incr KEY N, touch KEY TIME    mg KEY ..., ms KEY BYTES ... CRLF data CRLF, md, ma, me, mn    stats, version, flush_all, ...
 *
 * Over UDP eight bytes stand before (request, number, count, 0); of a request only the first datagram is read.
 * One `memcached` event per command, at its last byte before the data: the answers of the text protocol say nothing that is told.
 * Each key is judged, the first is told. Only the client is read. Words like "get" are other protocols' too: where the line
 * alone does not say enough, the answer decides (struct verb). */
#include "dpi/proto/memcached_binary.h"

#define LINE_LONGEST 16384u
#define KEY_MAX 250u
#define DATA_MAX ((uint64_t)1 << 30)
#define UDP_HEAD 8u
#define WORDS_LOOKED 8u

enum keys { KEYS_NONE, KEYS_ONE, KEYS_ALL, KEYS_AFTER };	/* all words are keys; all but the first */

static const struct verb {
	const char *name;
	enum keys keys;
	uint8_t data;		/* the word that counts the bytes of data which follow; 0: none */
	uint8_t least, most;	/* words behind the name */
	const char *answers;	/* what an answer begins with, one of these; NULL: the line is enough */
} verbs[] = {
	{ "get", KEYS_ALL, 0, 1, 255, "VALUE \0END\r\0" }, { "gets", KEYS_ALL, 0, 1, 255, "VALUE \0END\r\0" }, { "gat", KEYS_AFTER, 0, 2, 255, "VALUE \0END\r\0" },
	{ "gats", KEYS_AFTER, 0, 2, 255, "VALUE \0END\r\0" }, { "set", KEYS_ONE, 4, 4, 5, NULL }, { "add", KEYS_ONE, 4, 4, 5, NULL },
	{ "replace", KEYS_ONE, 4, 4, 5, NULL }, { "append", KEYS_ONE, 4, 4, 5, NULL }, { "prepend", KEYS_ONE, 4, 4, 5, NULL }, { "cas", KEYS_ONE, 4, 5, 6, NULL },
	{ "delete", KEYS_ONE, 0, 1, 3, "DELETED\r\0NOT_FOUND\r\0" }, { "incr", KEYS_ONE, 0, 2, 3, "#\0NOT_FOUND\r\0" }, { "decr", KEYS_ONE, 0, 2, 3, "#\0NOT_FOUND\r\0" },
	{ "touch", KEYS_ONE, 0, 2, 3, "TOUCHED\r\0NOT_FOUND\r\0" }, { "mg", KEYS_ONE, 0, 1, 255, "HD\0VA \0EN\r\0" }, { "ms", KEYS_ONE, 2, 2, 255, "HD\0NS\0EX\0NF\0" },
	{ "md", KEYS_ONE, 0, 1, 255, "HD\0NF\0EX\0" }, { "ma", KEYS_ONE, 0, 1, 255, "HD\0NF\0VA \0" }, { "me", KEYS_ONE, 0, 1, 2, "ME \0EN\r\0" },
	{ "mn", KEYS_NONE, 0, 0, 0, "MN\r\0" }, { "stats", KEYS_NONE, 0, 0, 3, "STAT \0RESET\r\0" }, { "version", KEYS_NONE, 0, 0, 0, "VERSION \0" },
	{ "flush_all", KEYS_NONE, 0, 0, 2, "OK\r\0" }, { "verbosity", KEYS_NONE, 0, 1, 2, "OK\r\0" }, { "quit", KEYS_NONE, 0, 0, 0, "\1\0" },
	{ "slabs", KEYS_NONE, 0, 1, 4, "OK\r\0" }, { "lru_crawler", KEYS_NONE, 0, 1, 4, "OK\r\0" }, { "watch", KEYS_NONE, 0, 0, 8, "OK\r\0" },
	{ "cache_memlimit", KEYS_NONE, 0, 1, 2, "OK\r\0" }, { "shutdown", KEYS_NONE, 0, 0, 1, "\1\0" }, { "config", KEYS_NONE, 0, 1, 3, "CONFIG \0" },
};

struct memcached {
	bool known, binary;
	uint32_t scanned;	/* bytes of the client's line that hold no LF */
	struct memcached_binary b;
};

static bool word_next(struct cursor *c, struct bytes *w)
{
	while (cur_peek(c, 0) == ' ')
		cur_skip(c, 1);
	if (!cur_left(c))
		return false;
	w->n = cur_find(c, ' ');
	*w = cur_bytes(c, w->n == SIZE_MAX ? cur_left(c) : w->n);
	return true;
}

static const struct verb *verb_of(struct bytes w)
{
	for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strlen(verbs[i].name) == w.n && memcmp(verbs[i].name, w.p, w.n) == 0)
			return &verbs[i];
	return NULL;
}

static bool number(struct bytes w, uint64_t *v)
{
	*v = 0;
	for (size_t i = 0; i < w.n; i++) {
		if (w.p[i] < '0' || w.p[i] > '9' || i > 18)
			return false;
		*v = *v * 10 + (uint64_t)(w.p[i] - '0');
	}
	return w.n > 0;
}

/* ---- commands ---- */

static void judge(struct px *px, struct memcached *s, const struct verb *v, const struct bytes *key, bool first)
{
	struct record *r = px_record(px);

	rec_cstr(r, &memcached_f_command, v->name);
	if (key)
		rec_bytes(r, &memcached_f_key, *key);
	px_judge(px, r);
	if (first)
		asks_tell_now(px, &s->b.asks, r);
}

/* A command's line: tells it; *data: bytes that follow. False: the line is none. */
static bool command(struct px *px, struct memcached *s, struct bytes line, uint64_t *data)
{
	struct cursor c = cur_of(line.p, line.n);
	struct bytes w;
	const struct verb *v;
	unsigned n = 0, keys = 0;

	*data = 0;
	if (!word_next(&c, &w))
		return true;
	v = verb_of(w);
	if (!v)
		return false;
	while (word_next(&c, &w)) {
		bool key = v->keys == KEYS_ALL || (v->keys == KEYS_ONE && !n) || (v->keys == KEYS_AFTER && n);

		n++;
		if (key)
			judge(px, s, v, &w, !keys++);
		if (n == v->data && (!number(w, data) || *data > DATA_MAX))
			return false;
	}
	if (!keys)
		judge(px, s, v, NULL, true);
	if (v->data)
		*data += 2;
	return true;
}

static enum parse parse_text(struct px *px, struct memcached *s, struct cursor *in)
{
	while (cur_more(in)) {
		struct cursor ahead = *in;
		struct bytes line;
		uint64_t data;

		cur_skip(&ahead, s->scanned < cur_left(in) ? s->scanned : cur_left(in));
		if (cur_find(&ahead, '\n') == SIZE_MAX) {
			if (cur_left(in) >= LINE_LONGEST)
				return msg_bad(px, "memcached.line_too_long");
			s->scanned = (uint32_t)cur_left(in);
			return PARSE_MORE;
		}
		s->scanned = 0;
		cur_line(in, &line);
		if (line.n > LINE_LONGEST)
			return msg_bad(px, "memcached.line_too_long");
		if (!command(px, s, line, &data))
			return msg_bad(px, "memcached.bad_command");
		msg_pass(px, DIR_TOSERVER, in, data);
	}
	return PARSE_DONE;
}

/* One datagram: of several that carry one request, the first. */
static enum parse parse_udp(struct px *px, struct memcached *s, enum dir dir, struct cursor *in)
{
	struct cursor c;
	struct bytes line;
	uint64_t data;

	cur_skip(in, 2);
	if (cur_be16(in) || dir == DIR_TOCLIENT) {
		cur_rest(in);
		return PARSE_DONE;
	}
	cur_skip(in, 4);
	c = *in;
	cur_rest(in);
	if (cur_peek(&c, 0) == 0x80) {
		enum parse p = memcached_binary_parse(px, &s->b, dir, &c);

		return p == PARSE_MORE ? PARSE_DONE : p;
	}
	if (cur_line(&c, &line))	/* a line that is none: an answer, where the flow was taken up by one */
		command(px, s, line, &data);
	return PARSE_DONE;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct memcached *s = state;
	uint8_t first = cur_peek(in, 0);

	s->b.asks.event = EV_APP;
	if (px_l4(px) == PROTO_UDP)
		return parse_udp(px, s, dir, in);
	if (!s->known) {
		s->known = true;
		s->binary = first == (dir == DIR_TOSERVER ? 0x80 : 0x81);
	}
	if (s->binary)
		return memcached_binary_parse(px, &s->b, dir, in);
	if (dir == DIR_TOCLIENT) {
		cur_rest(in);
		return PARSE_DONE;
	}
	return parse_text(px, s, in);
}

static enum parse gap(struct px *px, void *state, enum dir dir, uint64_t len)
{
	struct memcached *s = state;

	(void)px;
	(void)len;
	if (dir == DIR_TOCLIENT && s->known && !s->binary)
		return PARSE_DONE;
	return msg_gap(&s->b.sync, dir);
}

static void end(struct px *px, void *state) { memcached_binary_end(px, &((struct memcached *)state)->b); }

/* ---- recognition ---- */

static bool is_text(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < 0x20 || b.p[i] == 0x7f)
			return false;
	return true;
}

static bool is_number(struct bytes w)
{
	uint64_t v;

	if (w.n > 1 && w.p[0] == '-')
		w = (struct bytes){ w.p + 1, w.n - 1 };
	return number(w, &v);
}

/* Does the answer begin as the verb's do? '#': a digit; '\1': never. */
static enum probe answers(const struct verb *v, const struct cursor *down)
{
	enum probe p = PROBE_NO;

	for (const char *a = v->answers; *a; a += strlen(a) + 1) {
		size_t n = strlen(a), have = cur_left(down) < n ? cur_left(down) : n;

		if (*a == '#') {
			if (cur_peek(down, 0) >= '0' && cur_peek(down, 0) <= '9')
				return PROBE_YES;
		} else if (!have || memcmp(a, down->pos, have) == 0) {
			if (have == n)
				return PROBE_YES;
			p = PROBE_MORE;
		}
	}
	return p;
}

/* The client's first line. `sure`: something else says that it is memcached already. */
static enum probe probe_line(struct cursor c, const struct cursor *down, bool sure)
{
	struct bytes line, w[WORDS_LOOKED], word;
	const struct verb *v;
	unsigned n = 0;
	bool whole = cur_line(&c, &line);

	if (!whole) {
		line = (struct bytes){ c.pos, cur_left(&c) };
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n > 2048 || !is_text(line))
			return PROBE_NO;
	} else if (!is_text(line)) {
		return PROBE_NO;
	}
	c = cur_of(line.p, line.n);
	if (!word_next(&c, &word))
		return whole ? PROBE_NO : PROBE_MORE;
	v = verb_of(word);
	if (!whole && !cur_left(&c)) {	/* the word itself may not be whole */
		for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
			if (word.n <= strlen(verbs[i].name) && memcmp(verbs[i].name, word.p, word.n) == 0)
				return PROBE_MORE;
		return v ? PROBE_MORE : PROBE_NO;
	}
	if (!v)
		return PROBE_NO;
	while (word_next(&c, &word)) {
		if (word.n > KEY_MAX)
			return PROBE_NO;
		if (n < WORDS_LOOKED)
			w[n] = word;
		n++;
	}
	if (!whole)
		return PROBE_MORE;
	if (n < v->least || n > v->most)
		return PROBE_NO;
	if (v->data == 4 && !(is_number(w[1]) && is_number(w[2]) && is_number(w[3])))
		return PROBE_NO;
	if ((v->name[1] == 'n' || v->name[1] == 'e') && v->name[2] == 'c' && !is_number(w[1]))	/* incr, decr */
		return PROBE_NO;
	if (!v->answers || sure)
		return PROBE_YES;
	return cur_left(down) ? answers(v, down) : PROBE_MORE;
}

/* Values that a server sends, where the client's line was not seen. */
static enum probe probe_value(struct cursor c)
{
	struct bytes line, w;
	unsigned n = 0;

	if (!cur_starts(&c, "VALUE ", cur_left(&c) < 6 ? cur_left(&c) : 6))
		return PROBE_NO;
	if (!cur_line(&c, &line))
		return cur_left(&c) < 300 ? PROBE_MORE : PROBE_NO;
	c = cur_of(line.p, line.n);
	for (; word_next(&c, &w); n++)
		if (n >= 2 && !is_number(w))
			return PROBE_NO;
	return n >= 4 && n <= 5 && is_text(line) ? PROBE_YES : PROBE_NO;
}

/* request (2), number (2), count (2), 0 (2), then text or a binary head. */
static enum probe probe_udp(const struct probe_in *in)
{
	struct cursor c = in->dir[in->now];
	uint16_t number_, count;
	uint64_t len;
	bool couchbase;

	cur_skip(&c, 2);
	number_ = cur_be16(&c);
	count = cur_be16(&c);
	if (cur_be16(&c) || !cur_ok(&c) || number_ || !count || count > 1024)
		return PROBE_NO;
	if (cur_peek(&c, 0) == 0x80 && cur_left(&c) >= MEMCACHED_HEAD)
		return memcached_head(cur_of(c.pos, MEMCACHED_HEAD), DIR_TOSERVER, &len, &couchbase) && !couchbase && len == cur_left(&c) ? PROBE_YES : PROBE_NO;
	return in->now == DIR_TOSERVER && probe_line(c, NULL, true) == PROBE_YES ? PROBE_YES : probe_value(c) == PROBE_YES ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	struct cursor up = in->dir[DIR_TOSERVER], down = in->dir[DIR_TOCLIENT];
	bool couchbase = false;
	enum probe p, q;

	if (in->l4 == PROTO_UDP)
		return probe_udp(in);
	p = memcached_binary_probe(in, &couchbase);
	if (p != PROBE_NO)
		return p == PROBE_YES && couchbase ? PROBE_NO : p;
	if (cur_left(&up)) {
		q = probe_line(up, &down, false);
		if (q != PROBE_NO || !in->midstream)
			return q;
	}
	return cur_left(&down) ? probe_value(down) : PROBE_NO;
}

static const uint16_t ports[] = { 11211, 0 };

const struct proto proto_memcached = {
	.name = "memcached",
	.app = APP_MEMCACHED,
	.event = EV_APP,
	.l4 = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.state_size = sizeof(struct memcached),
	.probe = probe,
	.parse = parse,
	.gap = gap,
	.end = end,
	.facts = memcached_facts,
};
