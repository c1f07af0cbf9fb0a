/* SPDX-License-Identifier: GPL-2.0-or-later */
/* giop: CORBA's GIOP 1.0 to 1.2 over TCP. One `giop` event per request, when its reply is there; at the end of the flow without one.
 *
 *   "GIOP" 1 minor(1) flags(1, bit 0: little endian) type(1) length(4), then by type; numbers lie at multiples of their size from the head's end */
#include "dpi/message.h"
#include "dpi/proto/told.h"

#define HEAD 12u
#define LENGTH_MAX (256u << 20)
#define LOOK 4096u
#define CONTEXTS_MAX 64u
#define TYPE_MAX 7u

enum { REQUEST, REPLY };

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_status = { "status", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_status, NULL };
static const struct code statuses[] = {
	{ 0, "ok" }, { 1, "user_exception" }, { 2, "system_exception" }, { 3, "forward" }, { 4, "forward_perm" }, { 5, "addressing_mode" }, { 0, NULL },
};

struct giop {
	struct asks asks;
};

struct cdr {
	struct cursor c;	/* its start is the head's end: that is what is aligned to, as heads have 12 bytes */
	bool little;
};

static uint32_t cdr_u32(struct cdr *d)
{
	cur_skip(&d->c, (4 - (cur_used(&d->c) & 3)) & 3);
	return d->little ? cur_le32(&d->c) : cur_be32(&d->c);
}

static uint16_t cdr_u16(struct cdr *d)
{
	cur_skip(&d->c, cur_used(&d->c) & 1);
	return d->little ? cur_le16(&d->c) : cur_be16(&d->c);
}

static struct bytes cdr_bytes(struct cdr *d) { return cur_bytes(&d->c, cdr_u32(d)); }

static bool head(struct cursor *c, uint8_t *minor, bool *little, uint8_t *type, uint32_t *n)
{
	uint8_t flags;
	bool magic = cur_starts(c, "GIOP\1", 5);

	cur_skip(c, 5);
	*minor = cur_u8(c);
	flags = cur_u8(c);
	*type = cur_u8(c);
	*little = flags & 1;
	*n = *little ? cur_le32(c) : cur_be32(c);
	return magic && cur_ok(c) && *minor <= 3 && flags <= 3 && *type <= TYPE_MAX && *n <= LENGTH_MAX;
}

static enum probe probe(const struct probe_in *in)
{
	static const char lit[] = "GIOP\1";
	struct cursor c = in->dir[in->now];
	size_t have = cur_left(&c);
	uint8_t minor, type;
	bool little;
	uint32_t n;

	if (memcmp(c.pos, lit, have < 5 ? have : 5))
		return PROBE_NO;
	if (have < HEAD)
		return PROBE_MORE;
	return head(&c, &minor, &little, &type, &n) ? PROBE_YES : PROBE_NO;
}

static void contexts(struct cdr *d)
{
	uint32_t n = cdr_u32(d);

	if (n > CONTEXTS_MAX)
		cur_fail(&d->c);
	for (; n && cur_ok(&d->c); n--) {
		cdr_u32(d);
		cdr_bytes(d);
	}
}

static void request(struct px *px, struct giop *s, struct cdr d, uint8_t minor)
{
	struct record *r;
	struct bytes operation;
	uint32_t id;
	bool answers;

	if (minor < 2)
		contexts(&d);
	id = cdr_u32(&d);
	answers = cur_u8(&d.c) != 0;
	if (minor < 2) {
		if (minor == 1)
			cur_skip(&d.c, 3);
		cdr_bytes(&d);
	} else {
		cur_skip(&d.c, 3);
		switch (cdr_u16(&d)) {
		case 0:
			cdr_bytes(&d);
			break;
		case 1:
			cdr_u32(&d);	/* a profile: its tag, its data */
			cdr_bytes(&d);
			break;
		default:
			return;		/* a whole reference: rare */
		}
	}
	operation = up_to_nul(cdr_bytes(&d));
	if (!cur_ok(&d.c))
		return;
	r = px_record(px);
	rec_bytes(r, &f_operation, operation);
	px_judge(px, r);
	if (answers)
		asks_add(px, &s->asks, id, r);
	else
		asks_tell_now(px, &s->asks, r);
}

static void reply(struct px *px, struct giop *s, struct cdr d, uint8_t minor)
{
	struct record *r;
	uint32_t id;
	int i;

	if (minor < 2)
		contexts(&d);
	id = cdr_u32(&d);
	i = asks_find(&s->asks, id);
	if (i < 0)
		return;
	r = asks_record(px, &s->asks, i);
	told_code(r, &f_status, statuses, cdr_u32(&d));
	asks_tell(px, &s->asks, i, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct giop *s = state;

	s->asks.event = EV_APP;
	while (cur_more(in)) {
		struct cursor c = *in, view;
		uint8_t minor, type;
		struct cdr d;
		uint32_t n;

		if (cur_left(in) < HEAD)
			return msg_more(px, HEAD);
		if (!head(&c, &minor, &d.little, &type, &n))
			return msg_bad(px, "giop.bad_message");
		if (msg_take(px, dir, in, (uint64_t)n + HEAD, HEAD + LOOK, &view) == PARSE_MORE)
			return PARSE_MORE;
		cur_skip(&view, HEAD);
		d.c = cur_sub(&view, cur_left(&view));
		if (type == REQUEST)
			request(px, s, d, minor);
		else if (type == REPLY)
			reply(px, s, d, minor);
	}
	return PARSE_DONE;
}

static void end(struct px *px, void *state)
{
	struct giop *s = state;

	asks_end(px, &s->asks);
}

const struct proto proto_giop = {
	.name = "giop", .app = APP_GIOP, .event = EV_APP, .l4 = PROTO_TCP, .state_size = sizeof(struct giop),
	.probe = probe, .parse = parse, .end = end, .facts = facts,
};
