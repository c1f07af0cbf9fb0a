/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xmpp: RFC 6120 over TCP, clients and servers.
 *
 * A stream of XML is read tag by tag: '<' up to the '>' that stands in no quotes. What stands between tags is passed by, but for
 * the text of <auth>, which names who logs in. Told are each opened stream, STARTTLS, auth and its end, and stanzas (iq, message,
 * presence) with whom they go to. After <proceed/> of TLS the flow is recognised anew. A flow is believed by the stream's tag, with
 * a namespace of Jabber's in it. */
#include "dpi/message.h"
#include "dpi/proto/line.h"
#include "dpi/proto/sasl.h"

#define TAG_MOST 8192u
#define FIRST_MOST 2048u

static const struct fact f_operation = { "operation", FACT_OPERATION }, f_to = { "to", FACT_OBJECT }, f_from = { "from", FACT_PLAIN }, f_kind = { "namespace", FACT_PLAIN },
	f_type = { "type", FACT_PLAIN }, f_mechanism = { "mechanism", FACT_PLAIN }, f_user = { "user", FACT_USER };
static const struct fact *const facts[] = { &f_operation, &f_to, &f_from, &f_kind, &f_type, &f_mechanism, &f_user, NULL };

struct side_xmpp {
	uint32_t scanned;	/* bytes of the tag at the position that hold no end */
	uint8_t quote;		/* these end inside quotes of that kind */
	uint32_t depth;		/* elements that are open; 1: the stream */
	bool auth;		/* text of <auth> comes */
	uint8_t mechanism_n;
	uint8_t mechanism[32];
};

struct xmpp {
	struct side_xmpp side[2];
	uint32_t tx;
	bool starttls;
};

/* Letters, digits, '-', '_', ':' and '.' from the position on. */
static struct bytes name_read(struct cursor *c)
{
	size_t n = 0;

	while (n < cur_left(c) && !strchr(" \t\r\n/>=", cur_peek(c, n)))
		n++;
	return cur_bytes(c, n);
}

static bool is(struct bytes b, const char *word) { return b.n == strlen(word) && memcmp(b.p, word, b.n) == 0; }

/* The value of the attribute in a tag (behind its name); n 0: there is none. */
static struct bytes attribute(struct cursor c, const char *name)
{
	while (cur_more(&c)) {
		struct bytes key, v;
		size_t n;

		if (strchr(" \t\r\n/>=", cur_peek(&c, 0)) || !cur_peek(&c, 0)) {
			cur_skip(&c, 1);
			continue;
		}
		key = name_read(&c);
		while (cur_peek(&c, 0) == ' ' || cur_peek(&c, 0) == '=')
			cur_skip(&c, 1);
		if (cur_peek(&c, 0) != '"' && cur_peek(&c, 0) != '\'')
			continue;
		n = cur_find(&(struct cursor){ .start = c.pos, .pos = c.pos + 1, .end = c.end }, cur_peek(&c, 0));
		cur_skip(&c, 1);
		v = cur_bytes(&c, n == SIZE_MAX ? cur_left(&c) : n);
		cur_skip(&c, n == SIZE_MAX ? 0 : 1);
		if (is(key, name))
			return v;
	}
	return (struct bytes){ NULL, 0 };
}

static void put(struct record *r, const struct fact *f, struct bytes b)
{
	if (b.n)
		rec_bytes(r, f, b);
}

static void emit(struct px *px, struct xmpp *s, struct record *r)
{
	px_judge(px, r);
	px_emit(px, EV_APP, s->tx++, r);
}

static void auth_told(struct px *px, struct xmpp *s, struct side_xmpp *side, struct bytes text)
{
	uint8_t buf[SASL_USER_MAX];
	struct record *r = px_record(px);

	rec_cstr(r, &f_operation, "auth");
	if (side->mechanism_n)
		rec_str(r, &f_mechanism, side->mechanism, side->mechanism_n);
	put(r, &f_user, sasl_user_base64(text, buf));
	emit(px, s, r);
	side->auth = false;
}

/* A tag without its brackets. True: another protocol follows. */
static bool tag(struct px *px, struct xmpp *s, enum dir dir, struct cursor c)
{
	struct side_xmpp *side = &s->side[dir];
	bool closes = cur_peek(&c, 0) == '/', empty = cur_left(&c) && c.end[-1] == '/';
	struct bytes name, v;
	struct record *r;

	if (cur_peek(&c, 0) == '?' || cur_peek(&c, 0) == '!')
		return false;
	if (closes) {
		side->depth -= side->depth > 0;
		return false;
	}
	name = name_read(&c);
	if (is(name, "stream:stream")) {
		side->depth = 1;	/* SASL starts it anew */
		r = px_record(px);
		rec_cstr(r, &f_operation, "stream");
		put(r, &f_to, attribute(c, "to"));
		put(r, &f_from, attribute(c, "from"));
		put(r, &f_kind, attribute(c, "xmlns"));
		emit(px, s, r);
		return false;
	}
	if (side->depth <= 1) {
		r = px_record(px);
		if (is(name, "starttls") || is(name, "success") || is(name, "failure") || is(name, "proceed")) {
			bool tls = is(name, "proceed") && dir == DIR_TOCLIENT && s->starttls;

			s->starttls |= is(name, "starttls");
			rec_bytes(r, &f_operation, name);
			emit(px, s, r);
			if (tls) {
				px_switch(px, NULL);
				return true;
			}
		} else if (is(name, "iq") || is(name, "message") || is(name, "presence")) {
			rec_bytes(r, &f_operation, name);
			put(r, &f_to, attribute(c, "to"));
			put(r, &f_type, attribute(c, "type"));
			emit(px, s, r);
		} else if (is(name, "auth") || is(name, "authenticate")) {
			v = attribute(c, "mechanism");
			side->mechanism_n = (uint8_t)(v.n < sizeof(side->mechanism) ? v.n : sizeof(side->mechanism));
			if (side->mechanism_n)
				memcpy(side->mechanism, v.p, side->mechanism_n);
			if (empty)
				auth_told(px, s, side, (struct bytes){ NULL, 0 });
			else
				side->auth = true;
		}
	}
	if (!empty && side->depth < UINT32_MAX)
		side->depth++;
	return false;
}

/* Where the tag at the position ends ('>' included); 0: not yet. */
static size_t tag_length(struct side_xmpp *side, const struct cursor *in)
{
	size_t i = side->scanned;

	for (; i < cur_left(in); i++) {
		uint8_t b = cur_peek(in, i);

		if (side->quote) {
			if (b == side->quote)
				side->quote = 0;
		} else if (b == '"' || b == '\'') {
			side->quote = b;
		} else if (b == '>') {
			side->scanned = 0;
			return i + 1;
		}
	}
	side->scanned = (uint32_t)i;
	return 0;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct xmpp *s = state;
	struct side_xmpp *side = &s->side[dir];

	while (cur_more(in)) {
		struct cursor c = *in;
		size_t n;

		if (cur_peek(in, 0) != '<') {
			cur_skip(&c, side->scanned);
			n = cur_find(&c, '<');
			if (!side->auth) {	/* nothing of it was kept */
				cur_skip(in, n == SIZE_MAX ? cur_left(in) : n);
				continue;
			}
			if (n == SIZE_MAX && cur_left(in) > TAG_MOST)
				return msg_bad(px, "xmpp.too_long");
			if (n == SIZE_MAX) {
				side->scanned = (uint32_t)cur_left(in);
				return PARSE_MORE;
			}
			n += side->scanned;
			side->scanned = 0;
			auth_told(px, s, side, cur_bytes(in, n));
			continue;
		}
		n = tag_length(side, in);
		if (n > TAG_MOST || (!n && cur_left(in) > TAG_MOST))
			return msg_bad(px, "xmpp.too_long");
		if (!n)
			return PARSE_MORE;
		c = cur_sub(in, n);
		cur_skip(&c, 1);
		c.end--;
		if (side->auth)
			auth_told(px, s, side, (struct bytes){ NULL, 0 });
		if (tag(px, s, dir, c))
			return PARSE_DONE;
	}
	return PARSE_DONE;
}

/* An XML declaration, maybe, then the stream's tag, and "jabber:" in it. */
static enum probe probe_stream(struct cursor c)
{
	static const char stream[] = "<stream:stream", xml[] = "<?xml ", jabber[] = "jabber:";
	size_t n;

	if (memcmp(c.pos, xml, cur_left(&c) < 6 ? cur_left(&c) : 6) == 0) {
		n = cur_find(&c, '>');
		if (n == SIZE_MAX)
			return cur_left(&c) < 256 ? PROBE_MORE : PROBE_NO;
		cur_skip(&c, n + 1);
		while (cur_peek(&c, 0) == '\n' || cur_peek(&c, 0) == '\r' || cur_peek(&c, 0) == ' ')
			cur_skip(&c, 1);
	}
	if (!cur_left(&c))
		return PROBE_MORE;
	if (memcmp(c.pos, stream, cur_left(&c) < 14 ? cur_left(&c) : 14) != 0)
		return PROBE_NO;
	if (memmem(c.pos, cur_left(&c), jabber, 7))
		return PROBE_YES;
	return cur_find(&c, '>') == SIZE_MAX && cur_left(&c) < FIRST_MOST ? PROBE_MORE : PROBE_NO;
}

static enum probe probe(const struct probe_in *in)
{
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];

	if (cur_left(up))
		return probe_stream(*up);
	if (cur_left(down))
		return in->midstream ? probe_stream(*down) : PROBE_NO;
	return PROBE_MORE;
}

static const uint16_t ports[] = { 5222, 5269, 0 };

const struct proto proto_xmpp = {
	.name = "xmpp",
	.app = APP_XMPP,
	.event = EV_APP,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct xmpp),
	.probe = probe,
	.parse = parse,
	.facts = facts,
};
