/* SPDX-License-Identifier: GPL-2.0-or-later */
/* redis_probe: is it redis? An array that begins with a short word is, from a client. Inline commands are lines of text as in a
 * dozen other protocols: only words that redis alone has are believed, or others together with a reply that fits; on its own port nobody waits for that. A server
 * speaks first only to refuse; in the middle of a connection its replies are believed where they are more than one line. */
#include "dpi/proto/redis_parts.h"

/* One number line of the given type; *v. YES, MORE, NO. */
static enum probe probe_number(struct cursor *c, uint8_t type, int64_t *v)
{
	struct bytes line;

	if (!cur_left(c))
		return PROBE_MORE;
	if (cur_peek(c, 0) != type)
		return PROBE_NO;
	for (size_t i = 1; i < cur_left(c) && cur_peek(c, i) != '\r'; i++)
		if (cur_peek(c, i) < '0' || cur_peek(c, i) > '9' || i > 10)
			return PROBE_NO;
	if (!cur_line(c, &line))
		return cur_left(c) < REDIS_NUMBER_LINE ? PROBE_MORE : PROBE_NO;
	return redis_number(line, REDIS_ARGS_MAX, v) && c->pos - line.p == (ptrdiff_t)line.n + 2 ? PROBE_YES : PROBE_NO;
}

/* *N $LEN NAME: an array whose first element is a short word. */
static enum probe probe_command(struct cursor c)
{
	int64_t n, len;
	enum probe p = probe_number(&c, '*', &n);

	if (p != PROBE_YES)
		return p;
	if (n < 1)
		return PROBE_NO;
	p = probe_number(&c, '$', &len);
	if (p != PROBE_YES)
		return p;
	if (len < 1 || len > (int64_t)REDIS_NAME_LEN)
		return PROBE_NO;
	for (unsigned i = 0; i < len; i++) {
		uint8_t b = cur_u8(&c);
		bool letter = (b | 0x20) >= 'a' && (b | 0x20) <= 'z';

		if (!cur_ok(&c))
			return PROBE_MORE;
		if (!letter && (!i || !(b == '.' || b == '_' || b == '-' || (b >= '0' && b <= '9'))))
			return PROBE_NO;
	}
	if (cur_left(&c) < 2)
		return PROBE_MORE;
	return cur_starts(&c, "\r\n", 2) ? PROBE_YES : PROBE_NO;
}

/* The first word of an array is in capitals: programs write commands so, and what a list holds is seldom that. */
static bool word_is_capital(struct cursor c)
{
	struct bytes line;
	unsigned n = 0;

	cur_line(&c, &line);
	cur_line(&c, &line);
	while (cur_more(&c) && cur_peek(&c, 0) != '\r') {
		uint8_t b = cur_u8(&c);

		if (b < 'A' || b > 'Z')
			return false;
		n++;
	}
	return n > 2;
}

/* What a server says before any command, or in the middle of a connection. */
static enum probe probe_reply(struct cursor c, bool midstream)
{
	static const char *const refusals[] = { "-DENIED Redis ", "-ERR max number of clients " };
	int64_t n;

	for (unsigned i = 0; i < 2; i++) {
		size_t len = strlen(refusals[i]), have = cur_left(&c) < len ? cur_left(&c) : len;

		if (memcmp(c.pos, refusals[i], have) == 0)
			return have == len ? PROBE_YES : PROBE_MORE;
	}
	if (!midstream)
		return PROBE_NO;
	if (cur_starts(&c, "+PONG\r\n", 7))
		return PROBE_YES;
	if (cur_peek(&c, 0) == '$') {
		enum probe p = probe_number(&c, '$', &n);

		if (p != PROBE_YES || (uint64_t)n + 2 > cur_left(&c))
			return p == PROBE_YES ? PROBE_MORE : p;
		cur_skip(&c, (size_t)n);
		return cur_starts(&c, "\r\n", 2) ? PROBE_YES : PROBE_NO;
	}
	if (word_is_capital(c))
		return PROBE_NO;	/* the client, taken for the server */
	return probe_command(c);	/* a message of a subscription, a list that begins with a word */
}

/* Inline commands whose name is nobody else's, and those that need the reply to be believed (its type follows). */
static bool inline_is_sure(struct bytes w)
{
	static const char *const sure[] = {
		"PING", "INFO", "CONFIG", "COMMAND", "DBSIZE", "FLUSHALL", "FLUSHDB", "KEYS", "MONITOR", "SLAVEOF", "REPLICAOF", "REPLCONF", "PSYNC",
		"SLOWLOG", "LOLWUT", "EVAL", "BGSAVE", "LASTSAVE", "RANDOMKEY", "HGETALL", "HGET", "HSET", "LPUSH", "RPUSH", "LRANGE", "SADD",
		"SMEMBERS", "ZADD", "ZRANGE", "MGET", "MSET", "SETEX", "SETNX", "HELLO",
	};

	for (unsigned i = 0; i < sizeof(sure) / sizeof(sure[0]); i++)
		if (redis_is_word(w, sure[i]))
			return true;
	return false;
}

static uint8_t inline_reply(struct bytes w)
{
	static const struct { const char *name; uint8_t reply; } maybe[] = {
		{ "GET", '$' }, { "SET", '+' }, { "AUTH", '+' }, { "QUIT", '+' }, { "SELECT", '+' }, { "DEL", ':' }, { "EXISTS", ':' }, { "INCR", ':' },
		{ "DECR", ':' }, { "APPEND", ':' }, { "TTL", ':' }, { "EXPIRE", ':' }, { "ECHO", '$' }, { "CLIENT", '$' }, { "TIME", '*' },
	};

	for (unsigned i = 0; i < sizeof(maybe) / sizeof(maybe[0]); i++)
		if (redis_is_word(w, maybe[i].name))
			return maybe[i].reply;
	return 0;
}

/* Text protocols share words: IRC pings with a name, HELLO in redis has a number, SIP and HTTP end in their version. */
static enum probe probe_inline(struct cursor c, struct cursor down, const struct probe_in *in)
{
	uint8_t first[16], buf[16], reply;
	struct bytes line, word, more = { 0 };
	bool broken = false;
	unsigned n = 1;
	int64_t v;

	for (size_t i = 0; i < cur_left(&c) && i < REDIS_INLINE_MAX; i++) {
		uint8_t b = cur_peek(&c, i);

		if (b == '\n')
			break;
		if (b != '\r' && b != '\t' && (b < ' ' || b > '~'))
			return PROBE_NO;
		if (b == '/' && i && i + 1 < cur_left(&c) && cur_peek(&c, i - 1) == 'P' && cur_peek(&c, i + 1) >= '0' && cur_peek(&c, i + 1) <= '9')
			return PROBE_NO;
	}
	if (!cur_line(&c, &line)) {
		/* as long as the first word may still be one */
		line = (struct bytes){ c.pos, cur_left(&c) };
		c = cur_of(line.p, line.n);
		if (!redis_word_next(&c, first, sizeof(first), &word, &broken))
			return broken ? PROBE_NO : PROBE_MORE;
		return !cur_left(&c) || inline_is_sure(word) || inline_reply(word) ? PROBE_MORE : PROBE_NO;
	}
	c = cur_of(line.p, line.n);
	if (!redis_word_next(&c, first, sizeof(first), &word, &broken))
		return PROBE_NO;
	for (struct bytes w; redis_word_next(&c, buf, sizeof(buf), &w, &broken); n++)
		if (n == 1)
			more = w;
	if (broken)
		return PROBE_NO;
	if (inline_is_sure(word)) {
		if ((redis_is_word(word, "PING") && n > 1) || (redis_is_word(word, "HELLO") && (n < 2 || more.n != 1)) || (redis_is_word(word, "INFO") && n > 2))
			return PROBE_NO;
		if (in->midstream && redis_is_word(word, "PING") && !cur_left(&down))
			return PROBE_MORE;	/* in the middle of a connection it may be NATS' */
		return !cur_left(&down) || strchr("+-:$*%_#~,>|", cur_peek(&down, 0)) ? PROBE_YES : PROBE_NO;
	}
	reply = inline_reply(word);
	if (!reply)
		return PROBE_NO;
	if (!cur_left(&down))
		return in->dport == REDIS_PORT && !in->midstream ? PROBE_YES : PROBE_MORE;	/* the command waits to be judged */
	if (cur_peek(&down, 0) != reply)
		return PROBE_NO;
	if (reply == '+')
		return cur_starts(&down, "+OK\r\n", 5) ? PROBE_YES : cur_left(&down) < 5 ? PROBE_MORE : PROBE_NO;
	if (cur_starts(&down, "$-1\r\n", 5))
		return PROBE_YES;
	return probe_number(&down, reply, &v);
}

enum probe redis_probe(const struct probe_in *in)
{
	struct cursor up = in->dir[DIR_TOSERVER], down = in->dir[DIR_TOCLIENT];

	if (!cur_left(&up))
		return cur_left(&down) ? probe_reply(down, in->midstream) : PROBE_MORE;
	while (cur_starts(&up, "\r\n", 2))
		cur_skip(&up, 2);
	if (!cur_left(&up) || cur_peek(&up, 0) == '*')
		return probe_command(up);
	return probe_inline(up, down, in);
}
