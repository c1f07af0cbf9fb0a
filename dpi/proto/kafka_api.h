/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kafka_api: the requests of kafka and where in them topics stand, and errors in their answers; a walk over such fields. */
#ifndef TQ_DPI_PROTO_KAFKA_API_H
#define TQ_DPI_PROTO_KAFKA_API_H

#include "dpi/proto.h"

#define KAFKA_NEVER 100u	/* `flexible` of a request that has no such version */
#define KAFKA_DEPTH 3u

/* Fields in order, up to the last that is of interest:
 *   1 2 4 8   so many bytes            s   string            B   bytes (records)      I   array of int32     A   array of strings
 *   T topic   U topic id   G group   X transactional id   K key   R resource   M mechanism   P SASL message   N software: told
 *   Y H L     arrays of T, G, K        ( ... )   array of structures        E   error of an answer: told
 * each may be followed by @v (from that version on) and !v (up to that version). */
struct kafka_api {
	const char *name;
	uint8_t flexible;	/* first version with compact lengths and tagged fields */
	uint8_t max;		/* last version whose fields are known here */
	const char *fields;
	const char *answer;		/* fields of the answer in the same way, as far as errors stand in it; NULL: not looked at */
};

/* NULL: no such request. */
const struct kafka_api *kafka_api_of(unsigned key);

struct kafka_walk {
	const struct kafka_api *api;
	const char *at;			/* next field; NULL: no more of interest */
	uint32_t left;			/* bytes of the request from the position on */
	uint8_t version;
	bool flexible;
	bool tags;			/* tagged fields come next */
	uint8_t depth;
	uint8_t kind;			/* of an array of strings, 0: none is open */
	uint32_t strings;		/* left in it */
	struct { const char *at; uint32_t left; } level[KAFKA_DEPTH];
};

/* Starts behind the correlation number of an answer; false: nothing of it is wanted. */
bool kafka_walk_answer(struct kafka_walk *w, const struct kafka_api *api, uint8_t version, uint32_t left);
/* Starts behind the client id. */
void kafka_walk_start(struct kafka_walk *w, const struct kafka_api *api, uint8_t version, uint32_t left);
/* Goes on with the bytes of `in`, which are consumed field by field; told() is called for each that is of interest.
 * DONE: no more fields are wanted (w->left bytes of the request follow). MORE: bytes are missing; *skip of them are not
 * wanted at all (then everything is consumed). BAD: the request contradicts itself. */
enum parse kafka_walk(struct kafka_walk *w, struct cursor *in, void (*told)(void *arg, char kind, struct bytes value), void *arg, uint32_t *skip);

#endif
