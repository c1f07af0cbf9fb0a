/* SPDX-License-Identifier: GPL-2.0-or-later */
/* zmtp: ZeroMQ's transport, 2.0, 3.0 and 3.1.
 *
 *   greeting: 0xff length(8) 0x7f major(1)       3.x: minor(1) mechanism(20, NULs behind) as-server(1) 31 zeros        before: type(1) identity
 *   frame:    flags(1: 1 more, 2 long, 4 command) size(1, long: 8) body          command: length(1) name ...
 *
 * Each side's greeting is told as one event, so is each command (READY with its socket type and identity, HELLO with its user,
 * SUBSCRIBE, CANCEL, ERROR) and each subscription that comes as a message from a SUB socket. Messages are passed by. Under CURVE all
 * that follows INITIATE is sealed and parsing ends. */
#include "dpi/message.h"

#define COMMAND_MOST 8192u
#define GREETING 64u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_version = { "version", FACT_PLAIN }, f_mechanism = { "mechanism", FACT_PLAIN },
	f_type = { "socket_type", FACT_PLAIN }, f_identity = { "identity", FACT_PLAIN }, f_user = { "user", FACT_USER }, f_topic = { "topic", FACT_OBJECT },
	f_error = { "error", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_version, &f_mechanism, &f_type, &f_identity, &f_user, &f_topic, &f_error, NULL };

struct side_zmtp {
	bool greeted;
	bool subscriber;	/* its socket is SUB or XSUB: its messages are subscriptions */
	bool more;		/* the next frame belongs to the same message */
};

struct zmtp {
	struct side_zmtp side[2];
	uint32_t tx;
};

static enum probe probe_greeting(struct cursor c)
{
	/* the length is that of an identity for peers of 1.0: its low bit, then 0x7f, tells this from their frames */
	if (cur_peek(&c, 0) != 0xff)
		return PROBE_NO;
	for (unsigned i = 1; i < 8 && i < cur_left(&c); i++)
		if (cur_peek(&c, i))
			return PROBE_NO;
	if (cur_left(&c) < 10)
		return PROBE_MORE;
	return cur_peek(&c, 9) == 0x7f && (cur_left(&c) < 11 || (cur_peek(&c, 10) >= 1 && cur_peek(&c, 10) <= 3)) ? PROBE_YES : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	enum probe all = PROBE_NO;

	if (!cur_left(&in->dir[0]) && !cur_left(&in->dir[1]))
		return PROBE_MORE;
	for (unsigned d = 0; d < 2; d++) {
		enum probe p = cur_left(&in->dir[d]) ? probe_greeting(in->dir[d]) : PROBE_NO;

		if (p == PROBE_YES)
			return p;
		if (p == PROBE_MORE)
			all = p;
	}
	return all;
}

static enum parse greeting(struct px *px, struct zmtp *s, enum dir dir, struct cursor *in)
{
	struct cursor c = *in;
	uint8_t major, minor;
	struct bytes mechanism;
	struct record *r;

	cur_skip(&c, 10);
	major = cur_u8(&c);
	minor = cur_u8(&c);
	if (!cur_ok(&c))
		return msg_more(px, 12);
	if (probe_greeting(*in) != PROBE_YES)
		return msg_bad(px, "zmtp.bad_greeting");
	if (major < 3) {
		px_stop(px);	/* 1.0 and 2.0: frames of another form */
		mechanism = (struct bytes){ NULL, 0 };
	} else {
		mechanism = cur_bytes(&c, 20);
		cur_skip(&c, 32);
		if (!cur_ok(&c))
			return msg_more(px, GREETING);
	}
	while (mechanism.n && !mechanism.p[mechanism.n - 1])
		mechanism.n--;
	*in = c;
	s->side[dir].greeted = true;
	r = px_record(px);
	rec_cstr(r, &f_operation, "greeting");
	if (major < 3)
		rec_printf(r, &f_version, "%u.0", major + 1u);
	else
		rec_printf(r, &f_version, "%u.%u", major, minor);
	if (mechanism.n)
		rec_bytes(r, &f_mechanism, mechanism);
	px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
	return PARSE_DONE;
}

static bool is(struct bytes b, const char *word) { return b.n == strlen(word) && memcmp(b.p, word, b.n) == 0; }

/* READY: name length(1), value length(4), pairs. */
static void metadata(struct record *r, struct side_zmtp *side, struct cursor c)
{
	while (cur_more(&c)) {
		struct bytes name = cur_bytes(&c, cur_u8(&c)), value = cur_bytes(&c, cur_be32(&c));

		if (is(name, "Socket-Type")) {
			rec_bytes(r, &f_type, value);
			side->subscriber = is(value, "SUB") || is(value, "XSUB");
		} else if (is(name, "Identity") && value.n) {
			rec_bytes(r, &f_identity, value);
		}
	}
}

static bool command(struct px *px, struct zmtp *s, enum dir dir, struct cursor c)
{
	struct bytes name = cur_bytes(&c, cur_u8(&c));
	struct record *r;

	if (!cur_ok(&c) || !name.n)
		return false;
	if (is(name, "PING") || is(name, "PONG"))
		return true;
	r = px_record(px);
	rec_bytes(r, &f_operation, name);
	if (is(name, "READY"))
		metadata(r, &s->side[dir], c);
	else if (is(name, "SUBSCRIBE") || is(name, "CANCEL"))
		rec_bytes(r, &f_topic, cur_rest(&c));
	else if (is(name, "ERROR"))
		rec_bytes(r, &f_error, cur_bytes(&c, cur_u8(&c)));
	else if (is(name, "HELLO") && cur_left(&c) < 194)	/* PLAIN's; CURVE's is longer */
		rec_bytes(r, &f_user, cur_bytes(&c, cur_u8(&c)));
	px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
	if (is(name, "INITIATE") && cur_left(&c) > 100)
		px_stop(px);
	return true;
}

static void subscription(struct px *px, struct zmtp *s, struct cursor c)
{
	uint8_t on = cur_u8(&c);
	struct record *r;

	if (!cur_ok(&c) || on > 1)
		return;
	r = px_record(px);
	rec_cstr(r, &f_operation, on ? "SUBSCRIBE" : "CANCEL");
	rec_bytes(r, &f_topic, cur_rest(&c));
	px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
}

static enum parse frame(struct px *px, struct zmtp *s, enum dir dir, struct cursor *in)
{
	struct side_zmtp *side = &s->side[dir];
	struct cursor c = *in, body;
	uint8_t flags = cur_u8(&c);
	uint64_t size = flags & 2 ? cur_be64(&c) : cur_u8(&c);
	bool first = !side->more;

	if (!cur_ok(&c))
		return msg_more(px, flags & 2 ? 9 : 2);
	if (flags & ~7u || (flags & 5) == 5 || size >> 40)
		return msg_bad(px, "zmtp.bad_frame");
	if (flags & 4 || (side->subscriber && first && size <= COMMAND_MOST)) {
		if (size > COMMAND_MOST)
			return msg_bad(px, "zmtp.bad_frame");
		body = cur_sub(&c, (size_t)size);
		if (!cur_ok(&c))
			return msg_more(px, (flags & 2 ? 9 : 2) + (size_t)size);
		*in = c;
		if (!(flags & 4))
			subscription(px, s, body);
		else if (!command(px, s, dir, body))
			return msg_bad(px, "zmtp.bad_command");
	} else {
		*in = c;
		msg_pass(px, dir, in, size);
	}
	if (!(flags & 4))
		side->more = flags & 1;
	return PARSE_DONE;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct zmtp *s = state;
	enum parse p = PARSE_DONE;

	while (p == PARSE_DONE && cur_more(in))
		p = s->side[dir].greeted ? frame(px, s, dir, in) : greeting(px, s, dir, in);
	return p;
}

const struct proto proto_zmtp = {
	.name = "zmtp",
	.app = APP_ZMTP,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.state_size = sizeof(struct zmtp),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
