/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pulsar: the binary protocol.
 *
 *   frame: length(4, of what follows) command length(4) command (protobuf) [payload]
 *   command: field 1: its type; the field with the number of the type: what it says
 *
 * One event per command of those that name something; payloads are passed by. A flow is believed by CONNECT. */
#include "dpi/message.h"

#define FRAME_MOST 0x1000000u
#define COMMAND_MOST 32768u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_topic = { "topic", FACT_OBJECT }, f_subscription = { "subscription", FACT_KEY },
	f_version = { "version", FACT_PLAIN }, f_auth = { "auth_method", FACT_PLAIN }, f_user = { "user", FACT_USER }, f_error = { "error", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_topic, &f_subscription, &f_version, &f_auth, &f_user, &f_error, NULL };

struct pulsar {
	uint32_t tx;
};

/* Strings that are told, by number of their field; the command's own field has the number of its type. */
static const struct {
	uint8_t type;
	const char *name;
	struct { uint8_t field; const struct fact *fact; } string[3];
} commands[] = {
	{ 2, "CONNECT", { { 1, &f_version }, { 5, &f_auth }, { 7, &f_user } } }, { 3, "CONNECTED", { { 1, &f_version } } }, { 4, "SUBSCRIBE", { { 1, &f_topic }, { 2, &f_subscription } } },
	{ 5, "PRODUCER", { { 1, &f_topic } } }, { 8, "SEND_ERROR", { { 4, &f_error } } }, { 14, "ERROR", { { 3, &f_error } } }, { 12, "UNSUBSCRIBE", { { 0, NULL } } },
	{ 21, "PARTITIONED_METADATA", { { 1, &f_topic } } }, { 23, "LOOKUP", { { 1, &f_topic } } }, { 27, "READER", { { 0, NULL } } }, { 32, "GET_TOPICS_OF_NAMESPACE", { { 1, &f_topic } } },
};

static uint64_t varint(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 10; i++) {
		uint8_t b = cur_u8(c);

		v |= i < 9 ? (uint64_t)(b & 0x7f) << (7 * i) : 0;
		if (!(b & 0x80))
			return v;
	}
	cur_fail(c);
	return 0;
}

/* The next field: its number; *b its bytes, or *v its number. */
static uint32_t field(struct cursor *c, struct bytes *b, uint64_t *v)
{
	uint64_t key = varint(c), n;

	*b = (struct bytes){ NULL, 0 };
	*v = 0;
	switch (key & 7) {
	case 0:
		*v = varint(c);
		break;
	case 1:
		cur_skip(c, 8);
		break;
	case 2:
		n = varint(c);
		if (n > cur_left(c))
			cur_fail(c);
		else
			*b = cur_bytes(c, (size_t)n);
		break;
	case 5:
		cur_skip(c, 4);
		break;
	default:
		cur_fail(c);
	}
	return cur_ok(c) && key >> 3 <= UINT16_MAX ? (uint32_t)(key >> 3) : 0;
}

/* False: no command. *type, *body: the field with the number of the type. */
static bool command_read(struct cursor c, uint64_t *type, struct bytes *body)
{
	struct bytes b;
	uint64_t v;

	*body = (struct bytes){ NULL, 0 };
	if (field(&c, &b, type) != 1 || b.p || *type < 2 || *type > 200)
		return false;
	while (cur_more(&c))
		if (field(&c, &b, &v) == *type)
			*body = b;
	return cur_ok(&c);
}

static bool command(struct px *px, struct pulsar *s, struct cursor c)
{
	struct bytes body, b;
	struct record *r;
	uint64_t type, v;
	unsigned i = 0;

	if (!command_read(c, &type, &body))
		return false;
	while (i < sizeof(commands) / sizeof(commands[0]) && commands[i].type != type)
		i++;
	if (i == sizeof(commands) / sizeof(commands[0]))
		return true;
	r = px_record(px);
	rec_cstr(r, &f_operation, commands[i].name);
	for (c = cur_of(body.p, body.n); cur_more(&c);) {
		uint32_t n = field(&c, &b, &v);

		for (unsigned k = 0; k < 3 && b.p; k++)
			if (commands[i].string[k].fact && commands[i].string[k].field == n)
				rec_bytes(r, commands[i].string[k].fact, b);
	}
	if (!cur_ok(&c))
		return false;
	px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
	return true;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct pulsar *s = state;

	while (cur_more(in)) {
		struct cursor c = *in, view;
		uint32_t length = cur_be32(&c), n = cur_be32(&c);

		if (!cur_ok(&c))
			return msg_more(px, 8);
		if (length > FRAME_MOST || length < 6 || n > length - 4 || n < 2 || n > COMMAND_MOST)
			return msg_bad(px, "pulsar.bad_frame");
		view = cur_sub(&c, n);
		if (!cur_ok(&c))
			return msg_more(px, (size_t)n + 8);
		*in = c;
		if (!command(px, s, view))
			return msg_bad(px, "pulsar.bad_command");
		msg_pass(px, dir, in, length - 4 - n);
	}
	return PARSE_DONE;
}

/* CONNECT alone in its frame: type 2, field 2 with a version that is text first. */
static enum probe probe(const struct probe_in *in)
{
	struct cursor c = in->dir[DIR_TOSERVER];
	uint32_t length = cur_be32(&c), n = cur_be32(&c);
	struct bytes body, version;
	uint64_t type, v;

	if (!cur_left(&in->dir[DIR_TOSERVER]))
		return cur_left(&in->dir[DIR_TOCLIENT]) ? PROBE_NO : PROBE_MORE;
	if (cur_peek(&in->dir[DIR_TOSERVER], 0))
		return PROBE_NO;
	if (!cur_ok(&c))
		return PROBE_MORE;
	if (n < 6 || n > COMMAND_MOST || length != n + 4 || (cur_left(&c) > 2 && !cur_starts(&c, "\x08\x02\x12", 3)))
		return PROBE_NO;
	if (cur_left(&c) < n)
		return PROBE_MORE;
	if (!command_read(cur_sub(&c, n), &type, &body) || type != 2)
		return PROBE_NO;
	c = cur_of(body.p, body.n);
	if (field(&c, &version, &v) != 1 || !version.n)
		return PROBE_NO;
	for (size_t i = 0; i < version.n; i++)
		if (version.p[i] < ' ' || version.p[i] > '~')
			return PROBE_NO;
	return PROBE_YES;
}

static const uint16_t ports[] = { 6650, 0 };

const struct proto proto_pulsar = {
	.name = "pulsar",
	.app = APP_PULSAR,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct pulsar),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
