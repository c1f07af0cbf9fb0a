/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rmi: Java's remote method invocation. One `rmi` event per call, when its answer is there; at the end of the flow without one.
 *
 *   client  "JRMI" version(2) 'K' (stream), 'L' (one call), 'M' (several streams: not followed)
 *   server  'N' host port(4)                  client  host port(4)      (of a stream; a host is length(2) and text)
 *   client  'P' call  'R' ping  'T' 14 bytes (an answer's objects were taken)      server  'Q' answer  'S' ping's answer
 *   a call is a serialized stream: ac ed 00 05, a block ('w' length(1) or 'z' length(4)) with
 *     object number(8) of which host(14) operation(4) hash(8)      and then its arguments, an answer a block with 1 (result) or 2 (exception)
 *
 * Arguments do not say how long they are. Both sides wait for each other, so they end where the other side speaks; what doesn't begin a message
 * then is still part of them. Where a registry is asked for a name, it is the only argument, and its end is known. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define MAGIC "\xac\xed\0\5"
#define BLOCK_MIN 34u
#define UID_LEN 14u
#define NAME_KEEP 4096u
#define REGISTRY 0u
#define COLLECTOR 2u
#define HASH_REGISTRY UINT64_C(0x44154dc9d4e63bdf)
#define HASH_COLLECTOR UINT64_C(0xf6b6898d8bf28643)

enum phase { HEAD, HOST, FIRST, MESSAGE, BODY };	/* FIRST: a message, and there was none of this side yet */

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_name = { "name", FACT_OBJECT }, f_method = { "method", FACT_PLAIN },
	f_status = { "status", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_name, &f_method, &f_status, NULL };
static const struct code registry[] = { { 0, "bind" }, { 1, "list" }, { 2, "lookup" }, { 3, "rebind" }, { 4, "unbind" }, { 0, NULL } };
static const struct code collector[] = { { 0, "clean" }, { 1, "dirty" }, { 0, NULL } };

struct rmi {
	struct saved *told;	/* the call that waits */
	uint32_t tx;
	uint8_t phase[2];
};

static enum probe probe(const struct probe_in *in)
{
	static const uint8_t lit[] = { 'J', 'R', 'M', 'I', 0 };
	const struct cursor *c = &in->dir[DIR_TOSERVER];
	size_t n = cur_left(c);

	if (!n || memcmp(c->pos, lit, n < sizeof(lit) ? n : sizeof(lit)))
		return PROBE_NO;
	if (n < 7)
		return PROBE_MORE;
	return cur_peek(c, 5) >= 1 && cur_peek(c, 5) <= 2 && cur_peek(c, 6) >= 0x4b && cur_peek(c, 6) <= 0x4d ? PROBE_YES : PROBE_NO;
}

/* The call that waits, with or without its answer. */
static void tell(struct px *px, struct rmi *s, const char *status)
{
	struct record *r;

	if (!s->told)
		return;
	r = px_record(px);
	rec_append(r, s->told->body, s->told->len);
	if (status)
		rec_cstr(r, &f_status, status);
	px_emit(px, EV_APP, s->tx - 1, r);
	px_saved_free(px, s->told);
	s->told = NULL;
}

/* before: bytes in front of the host's length; with: bytes that follow the host. */
static enum parse host_pass(struct px *px, struct cursor *in, size_t before, size_t with)
{
	struct cursor c = *in;
	size_t n;

	if (cur_left(&c) < before + 2)
		return msg_more(px, before + 2);
	cur_skip(&c, before);
	n = before + 2u + cur_be16(&c) + with;
	if (cur_left(in) < n)
		return msg_more(px, n);
	cur_skip(in, n);
	return PARSE_DONE;
}

/* What can't begin a message belongs to what came before; before the first one it is an error. */
static enum parse none(struct px *px, struct rmi *s, enum dir dir, struct cursor *in)
{
	if (s->phase[dir] == FIRST)
		return msg_bad(px, "rmi.bad_message");
	s->phase[dir] = BODY;
	cur_rest(in);
	return PARSE_DONE;
}

/* The block at the beginning of a serialized stream, behind a message's first byte. at: where its bytes begin. */
static enum probe block(struct cursor c, size_t *at, uint64_t *len)
{
	size_t have;

	cur_skip(&c, 1);
	have = cur_left(&c);
	if (memcmp(c.pos, MAGIC, have < 4 ? have : 4))
		return PROBE_NO;
	if (have < 6)
		return PROBE_MORE;
	cur_skip(&c, 4);
	switch (cur_u8(&c)) {
	case 'w':
		*at = 7;
		*len = cur_u8(&c);
		return PROBE_YES;
	case 'z':
		if (have < 9)
			return PROBE_MORE;
		*at = 10;
		*len = cur_be32(&c);
		return PROBE_YES;
	default:
		return PROBE_NO;
	}
}

static enum parse call(struct px *px, struct rmi *s, struct cursor *in)
{
	struct cursor c = *in;
	struct bytes name = { NULL, 0 };
	const char *operation;
	uint64_t len, number, hash;
	uint32_t op;
	bool ends = false;
	struct record *r;
	size_t at, n, keep;

	switch (block(c, &at, &len)) {
	case PROBE_NO:
		return none(px, s, DIR_TOSERVER, in);
	case PROBE_MORE:
		return msg_more(px, cur_left(in) + 1);
	case PROBE_YES:
		break;
	}
	if (len < BLOCK_MIN)
		return none(px, s, DIR_TOSERVER, in);
	cur_skip(&c, at);
	at += BLOCK_MIN;
	if (cur_left(in) < at)
		return msg_more(px, at);
	number = cur_be64(&c);
	cur_skip(&c, UID_LEN);
	op = cur_be32(&c);
	hash = cur_be64(&c);
	operation = number == REGISTRY && hash == HASH_REGISTRY ? code_name(registry, op) : number == COLLECTOR && hash == HASH_COLLECTOR ? code_name(collector, op) : NULL;
	if (operation && number == REGISTRY && op != 1 && len == BLOCK_MIN) {
		if (cur_left(&c) < 3)
			return msg_more(px, at + 3);
		if (cur_u8(&c) == 't') {
			n = cur_be16(&c);
			keep = n < NAME_KEEP ? n : NAME_KEEP;
			if (cur_left(&c) < keep)
				return msg_more(px, at + 3 + keep);
			name = cur_bytes(&c, keep);
			ends = op == 2 || op == 4;
			at += 3 + n;
		}
	}
	tell(px, s, NULL);
	r = px_record(px);
	rec_cstr(r, &f_operation, operation ? operation : "call");
	if (name.p)
		rec_bytes(r, &f_name, name);
	if (!operation)
		rec_printf(r, &f_method, "%016llx", (unsigned long long)hash);
	px_judge(px, r);
	s->told = px_save(px, r);
	s->tx++;
	msg_pass(px, DIR_TOSERVER, in, at);
	s->phase[DIR_TOSERVER] = ends ? MESSAGE : BODY;
	return PARSE_DONE;
}

static enum parse up(struct px *px, struct rmi *s, struct cursor *in)
{
	enum parse p;

	switch ((enum phase)s->phase[DIR_TOSERVER]) {
	case HEAD:
		if (cur_left(in) < 7)
			return msg_more(px, 7);
		if (cur_peek(in, 6) == 'M') {
			cur_rest(in);
			px_stop(px);
			return PARSE_DONE;
		}
		s->phase[DIR_TOSERVER] = s->phase[DIR_TOCLIENT] = cur_peek(in, 6) == 'K' ? HOST : FIRST;
		cur_skip(in, 7);
		return PARSE_DONE;
	case HOST:
		p = host_pass(px, in, 0, 4);
		if (p == PARSE_DONE)
			s->phase[DIR_TOSERVER] = FIRST;
		return p;
	case FIRST: case MESSAGE:
		switch (cur_peek(in, 0)) {
		case 'P':
			return call(px, s, in);
		case 'R':
			cur_skip(in, 1);
			return PARSE_DONE;
		case 'T':
			if (cur_left(in) < 1 + UID_LEN)
				return msg_more(px, 1 + UID_LEN);
			cur_skip(in, 1 + UID_LEN);
			return PARSE_DONE;
		default:
			return none(px, s, DIR_TOSERVER, in);
		}
	case BODY:
		cur_rest(in);
		return PARSE_DONE;
	}
	return PARSE_BAD;
}

static enum parse answer(struct px *px, struct rmi *s, struct cursor *in)
{
	uint64_t len;
	size_t at;

	switch (block(*in, &at, &len)) {
	case PROBE_NO:
		return none(px, s, DIR_TOCLIENT, in);
	case PROBE_MORE:
		return msg_more(px, cur_left(in) + 1);
	case PROBE_YES:
		break;
	}
	if (cur_left(in) < at + 1)
		return msg_more(px, at + 1);
	tell(px, s, cur_peek(in, at) == 1 ? "ok" : "exception");
	s->phase[DIR_TOCLIENT] = BODY;
	return PARSE_DONE;
}

static enum parse down(struct px *px, struct rmi *s, struct cursor *in)
{
	enum parse p;

	switch ((enum phase)s->phase[DIR_TOCLIENT]) {
	case HEAD:
		return msg_bad(px, "rmi.bad_message");
	case HOST:
		if (cur_peek(in, 0) == 'O') {	/* this is not spoken here */
			cur_rest(in);
			px_stop(px);
			return PARSE_DONE;
		}
		if (cur_peek(in, 0) != 'N')
			return msg_bad(px, "rmi.bad_message");
		p = host_pass(px, in, 1, 4);
		if (p == PARSE_DONE)
			s->phase[DIR_TOCLIENT] = FIRST;
		return p;
	case FIRST: case MESSAGE:
		if (cur_peek(in, 0) == 'S') {
			cur_skip(in, 1);
			return PARSE_DONE;
		}
		return cur_peek(in, 0) == 'Q' ? answer(px, s, in) : none(px, s, DIR_TOCLIENT, in);
	case BODY:
		cur_rest(in);
		return PARSE_DONE;
	}
	return PARSE_BAD;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct rmi *s = state;
	enum dir other = dir == DIR_TOSERVER ? DIR_TOCLIENT : DIR_TOSERVER;
	enum parse p = PARSE_DONE;

	if (s->phase[other] == BODY)
		s->phase[other] = MESSAGE;
	while (p == PARSE_DONE && cur_more(in))
		p = dir == DIR_TOSERVER ? up(px, s, in) : down(px, s, in);
	return p;
}

static void end(struct px *px, void *state) { tell(px, state, NULL); }

static const uint16_t ports[] = { 1099, 0 };

const struct proto proto_rmi = {
	.name = "rmi", .app = APP_RMI, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct rmi),
	.probe = probe, .parse = parse, .end = end, .facts = facts,
};
