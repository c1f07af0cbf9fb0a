/* SPDX-License-Identifier: GPL-2.0-or-later */
/* thrift: Apache Thrift's binary (strict) and compact protocols, framed or not. One `thrift` event per call, when its answer is there.
 *
 *   binary:  80 01 00 TYPE, name length(4) name, sequence(4), struct      compact: 82, TYPE << 5 | 1, sequence, name (varints), struct
 *   framed:  length(4), then the same
 *
 * Without frames the struct must be walked to find its end: a stack of levels, no recursion, at most WALK_DEPTH. A compact message
 * without a frame is told and ends parsing: it is rare, and its calls come on connections of their own. */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define NAME_MAX_LEN 256u
#define FRAME_MAX (256u << 20)
#define HEAD_KEEP 512u		/* bytes of a frame that are looked at */
#define WALK_DEPTH 32u
#define WALK_MAX PROTO_KEEP_MAX	/* longest message without a frame */

enum { CALL = 1, REPLY, EXCEPTION, ONEWAY };

static const struct fact f_type = { "type", FACT_PLAIN }, f_method = { "method", FACT_OPERATION }, f_error = { "error", FACT_PLAIN };
static const struct fact *const facts[] = { &f_type, &f_method, &f_error, NULL };

struct thrift {
	struct asks asks;
};

struct message {
	uint8_t type;
	bool framed, compact;
	uint32_t frame;		/* length, when framed */
	uint32_t seq;
	struct bytes name;
};

static bool varint(struct cursor *c, uint32_t *v)
{
	*v = 0;
	for (unsigned shift = 0; shift < 35; shift += 7) {
		uint8_t b = cur_u8(c);

		*v |= (uint32_t)(b & 0x7f) << (shift < 32 ? shift : 31);
		if (!(b & 0x80))
			return cur_ok(c);
	}
	return false;
}

static bool name_ok(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] <= ' ' || b.p[i] > '~')
			return false;
	return b.n > 0;
}

/* The head of a message up to its struct. NO: none; MORE: not all there. */
static enum probe head(struct cursor *in, struct message *m)
{
	struct cursor c = *in;
	uint32_t n;

	*m = (struct message){ 0 };
	if (!cur_left(&c))
		return PROBE_MORE;
	if (cur_peek(&c, 0) < 0x10) {
		if (cur_left(&c) < 6)
			return PROBE_MORE;
		m->frame = cur_be32(&c);
		m->framed = true;
		if (m->frame < 6 || m->frame > FRAME_MAX)
			return PROBE_NO;
	}
	m->compact = cur_peek(&c, 0) == 0x82;
	if (cur_left(&c) < (m->compact ? 2u : 4u))
		return m->compact || cur_peek(&c, 0) == 0x80 ? PROBE_MORE : PROBE_NO;
	if (m->compact) {
		cur_skip(&c, 1);
		m->type = cur_u8(&c);
		if ((m->type & 0x1f) != 1)
			return PROBE_NO;
		m->type >>= 5;
		if (!varint(&c, &m->seq) || !varint(&c, &n))
			return cur_left(&c) < 8 ? PROBE_MORE : PROBE_NO;
	} else {
		if (cur_be24(&c) != 0x800100)
			return PROBE_NO;
		m->type = cur_u8(&c);
		if (cur_left(&c) < 4)
			return PROBE_MORE;
		n = cur_be32(&c);
	}
	if (m->type < CALL || m->type > ONEWAY || !n || n > NAME_MAX_LEN)
		return PROBE_NO;
	if (cur_left(&c) < n) {
		struct bytes part = cur_rest(&c);

		return !part.n || name_ok(part) ? PROBE_MORE : PROBE_NO;
	}
	m->name = cur_bytes(&c, n);
	if (!name_ok(m->name))
		return PROBE_NO;
	if (!m->compact) {
		if (cur_left(&c) < 4)
			return PROBE_MORE;
		m->seq = cur_be32(&c);
	}
	*in = c;
	return PROBE_YES;
}

static enum probe probe(const struct probe_in *in)
{
	enum probe best = PROBE_NO;

	for (int d = 0; d < 2; d++) {
		struct cursor c = in->dir[d];
		struct message m;
		enum probe p = cur_left(&c) ? head(&c, &m) : PROBE_MORE;

		if (p == PROBE_NO)
			return PROBE_NO;
		if (p == PROBE_YES && !in->midstream && (d == DIR_TOSERVER) != (m.type == CALL || m.type == ONEWAY))
			return PROBE_NO;
		if (p != PROBE_NO && best != PROBE_YES)
			best = p;
	}
	return best;
}

/* ---- the struct of a binary message without a frame ---- */

enum { T_STOP = 0, T_STRING = 11, T_STRUCT, T_MAP, T_SET, T_LIST };

static uint32_t fixed_size(uint8_t type)
{
	static const uint8_t size[] = { 0, 0, 1, 1, 8, 0, 2, 0, 4, 0, 8 };

	return type < sizeof(size) ? size[type] : 0;
}

/* Moves past one struct. MORE: not all there. */
static enum probe walk(struct cursor *c)
{
	struct level {
		bool container;
		uint8_t type[2];	/* of elements; a map's value and key */
		uint64_t left;
	} level[WALK_DEPTH];
	unsigned depth = 0;

	level[0].container = false;
	for (;;) {
		struct level *l = &level[depth];
		uint8_t type;

		if (l->container) {
			if (!l->left) {
				depth--;
				continue;
			}
			l->left--;
			type = l->type[l->left & 1];
		} else {
			type = cur_u8(c);
			if (cur_ok(c) && type == T_STOP) {
				if (!depth)
					return PROBE_YES;
				depth--;
				continue;
			}
			cur_skip(c, 2);
		}
		if (fixed_size(type)) {
			cur_skip(c, fixed_size(type));
		} else if (type == T_STRING) {
			cur_skip(c, cur_be32(c));
		} else if (cur_ok(c) && type >= T_STRUCT && type <= T_LIST) {
			struct level next = { .container = type != T_STRUCT };

			if (next.container) {
				next.type[1] = cur_u8(c);
				next.type[0] = type == T_MAP ? cur_u8(c) : next.type[1];
				next.left = (uint64_t)cur_be32(c) << (type == T_MAP);
			}
			if (next.left > WALK_MAX || depth + 1 == WALK_DEPTH)
				return PROBE_NO;
			if (cur_ok(c))
				level[++depth] = next;
		} else if (cur_ok(c)) {
			return PROBE_NO;
		}
		if (!cur_ok(c))
			return PROBE_MORE;
	}
}

/* ---- messages ---- */

static void tell(struct px *px, struct thrift *s, const struct message *m)
{
	struct record *r;
	int i;

	if (m->type == CALL || m->type == ONEWAY) {
		r = px_record(px);
		rec_cstr(r, &f_type, m->type == CALL ? "call" : "oneway");
		rec_bytes(r, &f_method, m->name);
		px_judge(px, r);
		if (m->type == CALL)
			asks_add(px, &s->asks, m->seq, r);
		else
			asks_tell_now(px, &s->asks, r);
		return;
	}
	i = asks_find(&s->asks, m->seq);
	if (i < 0)
		return;
	r = asks_record(px, &s->asks, i);
	if (m->type == EXCEPTION)
		rec_cstr(r, &f_error, "exception");
	asks_tell(px, &s->asks, i, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct thrift *s = state;

	s->asks.event = EV_APP;
	while (cur_more(in)) {
		struct cursor c = *in;
		struct message m;
		enum probe p = head(&c, &m);

		if (p == PROBE_MORE)
			return cur_left(in) > HEAD_KEEP ? msg_bad(px, "thrift.bad_message") : PARSE_MORE;
		if (p == PROBE_NO || (m.framed && cur_used(&c) - cur_used(in) - 4 > m.frame))
			return msg_bad(px, "thrift.bad_message");
		if (!m.framed && !m.compact) {
			p = walk(&c);
			if (p == PROBE_MORE)
				return PARSE_MORE;
			if (p == PROBE_NO)
				return msg_bad(px, "thrift.bad_struct");
		}
		tell(px, s, &m);
		if (m.framed) {
			msg_pass(px, dir, in, (uint64_t)m.frame + 4);
		} else {
			*in = c;
			if (m.compact) {
				px_stop(px);
				return PARSE_DONE;
			}
		}
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct thrift *s = state;

	asks_end(px, &s->asks);
}

static const uint16_t ports[] = { 9090, 0 };

const struct proto proto_thrift = {
	.name = "thrift", .app = APP_THRIFT, .event = EV_APP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct thrift),
	.probe = probe, .parse = parse, .end = end, .facts = facts,
};
