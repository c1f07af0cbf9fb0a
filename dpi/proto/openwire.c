/* SPDX-License-Identifier: GPL-2.0-or-later */
/* openwire: ActiveMQ.
 *
 *   command: size(4) type(1) ...         the first of each side: type 1, "ActiveMQ" version(4) has-map(1) size(4) properties
 *
 * One event per command but acknowledgements, keep-alives and responses. Commands are encoded as the first ones agree: loosely, where a flag is a
 * byte in its place, or tightly, where all flags of a command are bits in front of it: length(1; 0xc0: 1 more, 0x80: 2 more), bits from the lowest
 * on. Where both keep a cache, an object that was said is a number(2) later on, of that direction. So a destination is
 *
 *   [flag: new; number(2)]  flag: there is one  kind (100 to 103)  flag: there is a name  [tightly a flag: ASCII]  length(2) name
 *
 * behind command id(4), a flag, and the id of a producer, consumer or connection, which may be cached too. Where that leads to nothing (other
 * versions) it is looked for by its looks. Messages are passed by. */
#include "dpi/message.h"

#define HEAD_KEEP 1024u
#define SIZE_MOST 0x8000000u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_destination = { "destination", FACT_OBJECT }, f_kind = { "destination_kind", FACT_PLAIN },
	f_version = { "version", FACT_PLAIN }, f_provider = { "provider", FACT_PLAIN };
static const struct fact *const facts[] = { &f_operation, &f_destination, &f_kind, &f_version, &f_provider, NULL };

#define KNOWN_MAX 16u	/* destinations of each direction's cache; more: the oldest is forgotten */

struct known {
	struct saved *what;	/* kind and name, as told */
	uint16_t number;
};

struct openwire {
	uint32_t tx;
	bool loose, plain;	/* a side wants it: no tight encoding, no cache */
	uint8_t known_next[2];
	struct known known[2][KNOWN_MAX];
};

struct reader {
	struct cursor c, bits;
	uint8_t bit;		/* of the first byte of bits; 8: the next one's turn */
	bool tight, cached;
};

enum { FORMAT = 1, CONSUMER = 5, ACKNOWLEDGE = 22 };
enum { CONNECTION_ID = 120, SESSION_ID, CONSUMER_ID, PRODUCER_ID };
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

/* ---- commands as they are encoded ---- */

static struct reader reader_of(const struct openwire *s, struct cursor c)
{
	struct reader d = { .tight = !s->loose, .cached = !s->plain };
	size_t n;

	if (d.tight) {
		n = cur_u8(&c);
		n = n == 0xc0 ? cur_u8(&c) : n == 0x80 ? cur_be16(&c) : n;
		d.bits = cur_sub(&c, n);
	}
	d.c = c;
	return d;
}

static bool flag(struct reader *d)
{
	if (!d->tight)
		return cur_u8(&d->c) != 0;
	if (d->bit == 8) {
		cur_skip(&d->bits, 1);
		d->bit = 0;
	}
	if (!cur_left(&d->bits))
		cur_fail(&d->c);
	return cur_peek(&d->bits, 0) >> d->bit++ & 1;
}

static struct bytes text(struct reader *d)
{
	if (!flag(d))
		return (struct bytes){ NULL, 0 };
	if (d->tight)
		flag(d);
	return cur_bytes(&d->c, cur_be16(&d->c));
}

static void number_pass(struct reader *d)
{
	bool wide;

	if (!d->tight) {
		cur_skip(&d->c, 8);
		return;
	}
	wide = flag(d);
	cur_skip(&d->c, flag(d) ? (wide ? 8 : 2) : (wide ? 4 : 0));
}

/* Of a cached object: false: only its number is said. */
static bool is_said(struct reader *d, uint16_t *number)
{
	bool first = true;

	if (d->cached) {
		first = flag(d);
		*number = cur_be16(&d->c);
	}
	return first;
}

static void id_pass(struct reader *d)
{
	uint16_t number;

	if (!is_said(d, &number) || !flag(d))
		return;
	switch (cur_u8(&d->c)) {
	case CONNECTION_ID:
		text(d);
		break;
	case SESSION_ID:
		text(d);
		number_pass(d);
		break;
	case CONSUMER_ID: case PRODUCER_ID:
		text(d);
		number_pass(d);
		number_pass(d);
		break;
	default:
		cur_fail(&d->c);
	}
}

static struct known *known_of(struct openwire *s, enum dir dir, uint16_t number)
{
	for (unsigned i = 0; i < KNOWN_MAX; i++)
		if (s->known[dir][i].what && s->known[dir][i].number == number)
			return &s->known[dir][i];
	return NULL;
}

static void remember(struct px *px, struct openwire *s, enum dir dir, uint16_t number, const struct record *r)
{
	struct known *k = known_of(s, dir, number);

	if (!k) {
		k = &s->known[dir][s->known_next[dir]];
		s->known_next[dir] = (uint8_t)((s->known_next[dir] + 1) % KNOWN_MAX);
	}
	px_saved_free(px, k->what);
	*k = (struct known){ px_save(px, r), number };
}

/* The destination in r (which is emptied), if it is where it should be. */
static bool destination(struct px *px, struct openwire *s, enum dir dir, uint8_t type, struct cursor c, struct record **r)
{
	static const char *const kinds[] = { "queue", "topic", "temp-queue", "temp-topic" };
	struct reader d = reader_of(s, c);
	struct known *k;
	struct bytes name;
	uint16_t number = 0;
	uint8_t kind;

	cur_skip(&d.c, 4);
	flag(&d);
	if (type != ACKNOWLEDGE)
		id_pass(&d);
	if (type == CONSUMER)
		flag(&d);
	*r = px_record(px);
	if (!is_said(&d, &number)) {
		k = cur_ok(&d.c) ? known_of(s, dir, number) : NULL;
		if (k)
			rec_append(*r, k->what->body, k->what->len);
		return k;
	}
	if (!flag(&d))
		return cur_ok(&d.c);	/* there is none: a producer of any */
	kind = cur_u8(&d.c);
	name = text(&d);
	if (!cur_ok(&d.c) || kind < 100 || kind > 103 || !is_name(name))
		return false;
	rec_cstr(*r, &f_kind, kinds[kind - 100]);
	rec_bytes(*r, &f_destination, name);
	if (d.cached)
		remember(px, s, dir, number, *r);
	return true;
}

/* The boolean property of that name: name, 1, value. What is not said is not wanted. */
static bool wants(struct cursor c, const char *name)
{
	const uint8_t *at = cur_left(&c) ? memmem(c.pos, cur_left(&c), name, strlen(name)) : NULL;

	if (!at)
		return false;
	cur_skip(&c, (size_t)(at - c.pos) + strlen(name));
	return cur_u8(&c) == 1 && cur_u8(&c) == 1;
}

static void command(struct px *px, struct openwire *s, enum dir dir, uint8_t type, struct cursor c)
{
	struct saved *where = NULL;
	struct record *r;
	struct bytes provider;
	bool found = false;
	unsigned i = 0;

	if (type == ACKNOWLEDGE)
		destination(px, s, dir, type, c, &r);
	while (i < sizeof(commands) / sizeof(commands[0]) && commands[i].type != type)
		i++;
	if (i == sizeof(commands) / sizeof(commands[0]))
		return;
	if (commands[i].destination && destination(px, s, dir, type, c, &r)) {
		found = true;
		where = px_save(px, r);
	}
	r = px_record(px);
	rec_cstr(r, &f_operation, commands[i].name);
	if (type == FORMAT) {
		struct cursor v = c;

		s->loose |= !wants(c, "TightEncodingEnabled");
		s->plain |= !wants(c, "CacheEnabled");
		cur_skip(&v, 8);
		rec_u64(r, &f_version, cur_be32(&v));
		provider = property(c, "ProviderName");
		if (provider.n)
			rec_bytes(r, &f_provider, provider);
	} else if (where) {
		rec_append(r, where->body, where->len);
	} else if (commands[i].destination && !found) {
		put_destination(r, c);
	}
	px_saved_free(px, where);
	if (dir == DIR_TOSERVER)
		px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct openwire *s = state;

	while (cur_more(in)) {
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

static void end(struct px *px, void *state)
{
	struct openwire *s = state;

	for (unsigned d = 0; d < 2; d++)
		for (unsigned i = 0; i < KNOWN_MAX; i++)
			px_saved_free(px, s->known[d][i].what);
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
	.end = end,
	.facts = facts,
};
