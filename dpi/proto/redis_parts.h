/* SPDX-License-Identifier: GPL-2.0-or-later */
/* redis_parts: what redis.c is made of besides the two directions: words, numbers, where keys stand, recognition. */
#ifndef TQ_DPI_PROTO_REDIS_PARTS_H
#define TQ_DPI_PROTO_REDIS_PARTS_H

#include "dpi/proto.h"

#define REDIS_NAME_LEN 32u		/* bytes kept of a command's name */
#define REDIS_ARGS_MAX 0x7fffffff	/* of one command, as redis itself */
#define REDIS_NUMBER_LINE 24u		/* a type, 20 digits, CRLF */
#define REDIS_INLINE_MAX 65000u		/* redis refuses 64 KiB */

enum redis_keys {
	REDIS_KEYS_NONE,
	REDIS_KEYS_AT,	/* arguments first, first + step ... up to last (negative: from the end) */
	REDIS_KEYS_COUNTED,	/* argument `first` says how many follow it; argument `last` is one as well unless 0 */
	REDIS_KEYS_STREAMS,	/* the first half of what follows the word STREAMS */
	REDIS_KEYS_AUTH,	/* the one that follows the word AUTH */
	REDIS_KEYS_WORDS,	/* argument `first` (unless empty), what follows STORE, STOREDIST and KEYS, patterns that follow BY and GET */
};

enum redis_what { REDIS_KEY, REDIS_CHANNEL, REDIS_DATABASE, REDIS_USER };	/* what these arguments are */

struct redis_spec {
	char name[20];
	uint8_t keys;	/* enum redis_keys */
	uint8_t first;
	int8_t last;
	uint8_t step;
	uint8_t what;	/* enum redis_what */
};

/* The row of the command (upper case); never NULL: an unknown command's first argument is taken for its key. */
const struct redis_spec *redis_spec_of(const char *name);

/* A decimal number in -1..max that fills the line behind its type. */
bool redis_number(struct bytes line, int64_t max, int64_t *v);
/* Whether the bytes are that word (capital letters), whatever their case. */
bool redis_is_word(struct bytes b, const char *word);
/* The next word of an inline command, quotes undone, into buf (what fits). False: no more, or *broken. */
bool redis_word_next(struct cursor *c, uint8_t *buf, size_t cap, struct bytes *out, bool *broken);

#define REDIS_PORT 6379u	/* its own (IANA) */

enum probe redis_probe(const struct probe_in *in);

#endif
