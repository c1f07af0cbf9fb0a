/* SPDX-License-Identifier: GPL-2.0-or-later */
/* redis_words: the words and numbers of RESP, and where a command's keys stand. A command without a row has one key, its first
 * argument; so a row is needed for what has none, has several, has them elsewhere, or names something else: a channel, a database, a user. */
#include <stdlib.h>

#include "dpi/proto/redis_parts.h"

#define NONE(n) { n, REDIS_KEYS_NONE, 0, 0, 0, 0 }
#define AT(n, first, last) { n, REDIS_KEYS_AT, first, last, 1, REDIS_KEY }
#define CHANNELS(n, last) { n, REDIS_KEYS_AT, 1, last, 1, REDIS_CHANNEL }
#define WORDS(n, first) { n, REDIS_KEYS_WORDS, first, 0, 1, REDIS_KEY }
#define COUNTED(n, first, more) { n, REDIS_KEYS_COUNTED, first, more, 1, REDIS_KEY }

static const struct redis_spec spec_default = AT("", 1, 1);
static const struct redis_spec specs[] = {	/* in the order of strcmp */
	NONE("ACL"), NONE("ASKING"), { "AUTH", REDIS_KEYS_AT, 1, 1, 1, REDIS_USER }, NONE("BGREWRITEAOF"), NONE("BGSAVE"), AT("BITOP", 2, -1), AT("BLMOVE", 1, 2),
	COUNTED("BLMPOP", 2, 0), AT("BLPOP", 1, -2), AT("BRPOP", 1, -2), AT("BRPOPLPUSH", 1, 2), COUNTED("BZMPOP", 2, 0),
	AT("BZPOPMAX", 1, -2), AT("BZPOPMIN", 1, -2), NONE("CLIENT"), NONE("CLUSTER"), NONE("COMMAND"), NONE("CONFIG"), AT("COPY", 1, 2),
	NONE("DBSIZE"), NONE("DEBUG"), AT("DEL", 1, -1), NONE("DISCARD"), NONE("ECHO"), COUNTED("EVAL", 2, 0), COUNTED("EVALSHA", 2, 0),
	COUNTED("EVALSHA_RO", 2, 0), COUNTED("EVAL_RO", 2, 0), NONE("EXEC"), AT("EXISTS", 1, -1), NONE("FAILOVER"), COUNTED("FCALL", 2, 0),
	COUNTED("FCALL_RO", 2, 0), NONE("FLUSHALL"), NONE("FLUSHDB"), NONE("FUNCTION"), WORDS("GEORADIUS", 1), WORDS("GEORADIUSBYMEMBER", 1), AT("GEOSEARCHSTORE", 1, 2), { "HELLO", REDIS_KEYS_AUTH, 0, 0, 1, REDIS_USER }, NONE("INFO"),
	AT("JSON.MGET", 1, -2), { "JSON.MSET", REDIS_KEYS_AT, 1, -1, 3, REDIS_KEY }, NONE("KEYS"), NONE("LASTSAVE"), NONE("LATENCY"), AT("LCS", 1, 2),
	AT("LMOVE", 1, 2), COUNTED("LMPOP", 1, 0), NONE("LOLWUT"), AT("MEMORY", 2, 2), AT("MGET", 1, -1), WORDS("MIGRATE", 3), NONE("MODULE"),
	NONE("MONITOR"), { "MSET", REDIS_KEYS_AT, 1, -1, 2, REDIS_KEY }, { "MSETNX", REDIS_KEYS_AT, 1, -1, 2, REDIS_KEY }, NONE("MULTI"), AT("OBJECT", 2, 2), AT("PFCOUNT", 1, -1),
	AT("PFMERGE", 1, -1), NONE("PING"), CHANNELS("PSUBSCRIBE", -1), NONE("PSYNC"), CHANNELS("PUBLISH", 1), NONE("PUBSUB"), CHANNELS("PUNSUBSCRIBE", -1),
	NONE("QUIT"), NONE("RANDOMKEY"), NONE("READONLY"), NONE("READWRITE"), AT("RENAME", 1, 2), AT("RENAMENX", 1, 2), NONE("REPLCONF"),
	NONE("REPLICAOF"), NONE("RESET"), NONE("ROLE"), AT("RPOPLPUSH", 1, 2), NONE("SAVE"), NONE("SCAN"), NONE("SCRIPT"), AT("SDIFF", 1, -1),
	AT("SDIFFSTORE", 1, -1), { "SELECT", REDIS_KEYS_AT, 1, 1, 1, REDIS_DATABASE }, NONE("SENTINEL"), NONE("SHUTDOWN"), AT("SINTER", 1, -1), COUNTED("SINTERCARD", 1, 0),
	AT("SINTERSTORE", 1, -1), NONE("SLAVEOF"), NONE("SLOWLOG"), AT("SMOVE", 1, 2), WORDS("SORT", 1), WORDS("SORT_RO", 1), CHANNELS("SPUBLISH", 1), CHANNELS("SSUBSCRIBE", -1), CHANNELS("SUBSCRIBE", -1),
	AT("SUNION", 1, -1), AT("SUNIONSTORE", 1, -1), CHANNELS("SUNSUBSCRIBE", -1), NONE("SWAPDB"), NONE("SYNC"), NONE("TIME"), AT("TOUCH", 1, -1),
	AT("UNLINK", 1, -1), CHANNELS("UNSUBSCRIBE", -1), NONE("UNWATCH"), NONE("WAIT"), NONE("WAITAOF"), AT("WATCH", 1, -1), AT("XGROUP", 2, 2),
	AT("XINFO", 2, 2), { "XREAD", REDIS_KEYS_STREAMS, 0, 0, 1, REDIS_KEY }, { "XREADGROUP", REDIS_KEYS_STREAMS, 0, 0, 1, REDIS_KEY }, COUNTED("ZDIFF", 1, 0),
	COUNTED("ZDIFFSTORE", 2, 1), COUNTED("ZINTER", 1, 0), COUNTED("ZINTERCARD", 1, 0), COUNTED("ZINTERSTORE", 2, 1), COUNTED("ZMPOP", 1, 0),
	AT("ZRANGESTORE", 1, 2), COUNTED("ZUNION", 1, 0), COUNTED("ZUNIONSTORE", 2, 1),
};

static int spec_order(const void *name, const void *spec) { return strcmp(name, ((const struct redis_spec *)spec)->name); }

const struct redis_spec *redis_spec_of(const char *name)
{
	const struct redis_spec *spec = bsearch(name, specs, sizeof(specs) / sizeof(specs[0]), sizeof(specs[0]), spec_order);

	return spec ? spec : &spec_default;
}

bool redis_is_word(struct bytes b, const char *word)
{
	size_t n = strlen(word);

	if (b.n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((b.p[i] & ~0x20) != word[i])
			return false;
	return true;
}

bool redis_number(struct bytes line, int64_t max, int64_t *v)
{
	struct cursor c = cur_of(line.p, line.n);
	bool minus;

	cur_skip(&c, 1);
	minus = cur_peek(&c, 0) == '-';
	if (minus)
		cur_skip(&c, 1);
	if (!cur_left(&c) || cur_left(&c) > 18)
		return false;
	for (*v = 0; cur_more(&c);) {
		uint8_t b = cur_u8(&c);

		if (b < '0' || b > '9')
			return false;
		*v = *v * 10 + (b - '0');
	}
	if (minus)
		*v = -*v;
	return *v <= max && *v >= -1;
}

static bool is_hex(uint8_t b) { return (b >= '0' && b <= '9') || ((b | 0x20) >= 'a' && (b | 0x20) <= 'f'); }
static bool is_space(uint8_t b) { return b == ' ' || (b >= '\t' && b <= '\r'); }

bool redis_word_next(struct cursor *c, uint8_t *buf, size_t cap, struct bytes *out, bool *broken)
{
	uint8_t quote = 0;
	size_t n = 0;

	while (cur_more(c) && is_space(cur_peek(c, 0)))
		cur_skip(c, 1);
	if (!cur_left(c))
		return false;
	while (cur_more(c)) {
		uint8_t b = cur_u8(c);

		if (!quote && is_space(b))
			break;
		if (!quote && (b == '"' || b == '\'')) {
			quote = b;
			continue;
		}
		if (quote && b == quote) {
			quote = 0;
			continue;
		}
		if (quote == '"' && b == '\\' && cur_left(c)) {
			static const char from[] = "nrtba", to[] = "\n\r\t\b\a";
			const char *at;

			b = cur_u8(c);
			if (b == 'x' && is_hex(cur_peek(c, 0)) && is_hex(cur_peek(c, 1))) {
				char hex[3] = { (char)cur_u8(c), (char)cur_u8(c), 0 };
				b = (uint8_t)strtoul(hex, NULL, 16);
			} else if (b && (at = strchr(from, b))) {
				b = (uint8_t)to[at - from];
			}
		} else if (quote == '\'' && b == '\\' && cur_peek(c, 0) == '\'') {
			b = cur_u8(c);
		}
		if (n < cap)
			buf[n++] = b;
	}
	*broken = quote != 0;
	*out = (struct bytes){ buf, n };
	return !quote;
}
