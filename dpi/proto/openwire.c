/* SPDX-License-Identifier: GPL-2.0-or-later */
/* openwire: ActiveMQ.
 *
 *   command: size(4) type(1) ...         the first of each side: type 1, "ActiveMQ" version(4) has-map(1) size(4) properties
 *
 * One event per command but acknowledgements, keep-alives and responses. Commands are encoded loosely or tightly, as the first
 * ones agree; a destination is found alike in both: its kind (100 to 103), in the loose form a 1, the length of its name (2), the
 * name. Messages are passed by. */
#include "dpi/message.h"

#define HEAD_KEEP 1024u
#define SIZE_MOST 0x8000000u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_destination = { "destination", FACT_OBJECT }, f_kind = { "destination_kind", FACT_PLAIN },
	f_version = { "version", FACT_PLAIN }, f_provider = { "provider", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_destination, &f_kind, &f_version, &f_provider, NULL };

struct openwire {
	uint32_t tx;
};

enum { FORMAT = 1 };
static const struct { uint8_t type; const char *name; bool destination; } commands[] = {
	{ 1, "WireFormatInfo", false }, { 2, "BrokerInfo", false }, { 3, "ConnectionInfo", false }, { 4, "SessionInfo", false }, { 5, "ConsumerInfo", true }, { 6, "ProducerInfo", true },
	{ 7, "TransactionInfo", false }, { 8, "DestinationInfo", true }, { 9, "RemoveSubscriptionInfo", false }, { 11, "ShutdownInfo", false }, { 12, "RemoveInfo", false },
	{ 14, "ControlCommand", false }, { 16, "ConnectionError", false }, { 21, "MessageDispatch", true }, { 23, "ActiveMQMessage", true }, { 24, "ActiveMQBytesMessage", true },
	{ 25, "ActiveMQMapMessage", true }, { 26, "ActiveMQObjectMessage", true }, { 27, "ActiveMQStreamMessage", true }, { 28, "ActiveMQTextMessage", true },
	{ 29, "ActiveMQBlobMessage", true }, { 31, "ExceptionResponse", false }, { 20, "MessagePull", true },
};

static enum probe probe_format(struct cursor c)
{
	uint32_t size = cur_be32(&c);
	bool head = cur_ok(&c);

	if (head && (size < 14 || size > HEAD_KEEP))
		return PROBE_NO;
	if (!head || !cur_left(&c))
		return PROBE_MORE;
	if (cur_u8(&c) != FORMAT || memcmp(c.pos, "ActiveMQ", cur_left(&c) < 8 ? cur_left(&c) : 8) != 0)
		return PROBE_NO;
	return cur_left(&c) < 8 ? PROBE_MORE : PROBE_YES;
}

static enum probe probe(const struct probe_in *in)
{
	enum probe all = PROBE_NO;

	if (!cur_left(&in->dir[0]) && !cur_left(&in->dir[1]))
		return PROBE_MORE;
	for (unsigned d = 0; d < 2; d++) {
		enum probe p;

		if (!cur_left(&in->dir[d]))
			continue;
		p = cur_peek(&in->dir[d], 0) ? PROBE_NO : probe_format(in->dir[d]);
		if (p == PROBE_YES)
			return p;
		if (p == PROBE_MORE)
			all = p;
	}
	return all;
}

/* The string property of that name: name, 9, length(2), bytes. */
static struct bytes property(struct cursor c, const char *name)
{
	const uint8_t *at = cur_left(&c) ? memmem(c.pos, cur_left(&c), name, strlen(name)) : NULL;

	if (!at)
		return (struct bytes){ NULL, 0 };
	cur_skip(&c, (size_t)(at - c.pos) + strlen(name));
	if (cur_u8(&c) != 9)
		return (struct bytes){ NULL, 0 };
	return cur_bytes(&c, cur_be16(&c));
}

static bool is_name(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < ' ' || b.p[i] == 0x7f)
			return false;
	return b.n > 0;
}

static void put_destination(struct record *r, struct cursor c)
{
	static const char *const kinds[] = { "queue", "topic", "temp-queue", "temp-topic" };

	for (cur_skip(&c, 4); cur_left(&c) > 3; cur_skip(&c, 1)) {
		uint8_t kind = cur_peek(&c, 0);
		struct cursor d = c;
		struct bytes name;

		if (kind < 100 || kind > 103)
			continue;
		cur_skip(&d, cur_peek(&c, 1) == 1 ? 2 : 1);
		name = cur_bytes(&d, cur_be16(&d));
		if (!cur_ok(&d) || !is_name(name))
			continue;
		rec_cstr(r, &f_kind, kinds[kind - 100]);
		rec_bytes(r, &f_destination, name);
		return;
	}
}

static void command(struct px *px, struct openwire *s, enum dir dir, uint8_t type, struct cursor c)
{
	struct record *r;
	struct bytes provider;
	unsigned i = 0;

	while (i < sizeof(commands) / sizeof(commands[0]) && commands[i].type != type)
		i++;
	if (i == sizeof(commands) / sizeof(commands[0]))
		return;
	r = px_record(px);
	rec_cstr(r, &f_operation, commands[i].name);
	if (type == FORMAT) {
		struct cursor v = c;

		cur_skip(&v, 8);
		rec_u64(r, &f_version, cur_be32(&v));
		provider = property(c, "ProviderName");
		if (provider.n)
			rec_bytes(r, &f_provider, provider);
	} else if (commands[i].destination) {
		put_destination(r, c);
	}
	if (dir == DIR_TOSERVER)
		px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct openwire *s = state;

	while (cur_left(in)) {
		struct cursor c = *in, view = cur_of(NULL, 0);
		uint32_t size = cur_be32(&c), keep;
		uint8_t type = cur_u8(&c);

		if (!cur_ok(&c))
			return msg_more(px, 5);
		if (!size || size > SIZE_MOST)
			return msg_bad(px, "openwire.bad_size");
		keep = size - 1 < HEAD_KEEP ? size - 1 : HEAD_KEEP;
		if (cur_left(&c) < keep)
			return msg_more(px, (size_t)keep + 5);
		*in = c;
		msg_take(px, dir, in, size - 1, HEAD_KEEP, &view);
		command(px, s, dir, type, view);
	}
	return PARSE_DONE;
}

static const uint16_t ports[] = { 61616, 0 };

const struct proto proto_openwire = {
	.name = "openwire",
	.app = APP_OPENWIRE,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct openwire),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
