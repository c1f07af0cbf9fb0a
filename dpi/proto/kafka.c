/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kafka: requests of clients and brokers.
 *
 *   request: size(4) api(2) version(2) correlation(4) client_id(2 + n) [tagged fields] fields      response: size(4) correlation(4) ...
 *
 * Where topics, groups and the like stand is a table (kafka_api.c); records are passed by. Each topic is judged when its last
 * byte is there, a request without any at its end. One `kafka` event per request, at its end. Newer versions than the table
 * knows, and fields that do not hold, are told without what is in them, and judged as read in part. An answer is looked at for the first error in it, which is told as an event of its own
 * with the request's number.
 *
 * Recognition walks the first request as far as it is there: an api and version that exist, a client id that is text, fields
 * that hold. */
#include "dpi/message.h"
#include "dpi/proto/kafka_api.h"
#include "dpi/proto/sasl.h"

#define SIZE_MIN 10u
#define SIZE_MOST 0x20000000u	/* brokers refuse more than 100 MB */
#define CLIENT_MAX 255u
#define TEXT_ROOM 3500u		/* of names of one request; further ones are judged, not told */
#define VERSIONS_AHEAD 2u	/* newer than the table and still believed */
#define ASKED_LAST 16u		/* requests whose answers are known */

static const struct fact f_api = { "api", FACT_OPERATION }, f_version = { "api_version", FACT_PLAIN }, f_client = { "client_id", FACT_PLAIN },
	f_topics = { "topics", FACT_OBJECT }, f_ids = { "topic_ids", FACT_OBJECT }, f_groups = { "groups", FACT_KEY }, f_txn = { "transactional_id", FACT_KEY },
	f_keys = { "keys", FACT_KEY }, f_resources = { "resources", FACT_OBJECT }, f_mechanism = { "mechanism", FACT_PLAIN }, f_user = { "user", FACT_USER },
	f_any = { "topics", FACT_FILTER }, f_software = { "software", FACT_PLAIN }, f_error = { "error_code", FACT_PLAIN };
static const struct fact *const facts[] = { &f_api, &f_version, &f_client, &f_topics, &f_ids, &f_groups, &f_txn, &f_keys, &f_resources, &f_mechanism,
	&f_user, &f_software, &f_error, NULL };

/* Lists first: they are told as arrays, in this order. */
static const struct { char kind; const struct fact *fact; bool list; } kinds[] = {
	{ 'T', &f_topics, true }, { 'U', &f_ids, true }, { 'G', &f_groups, true }, { 'K', &f_keys, true }, { 'R', &f_resources, true },
	{ 'X', &f_txn, false }, { 'M', &f_mechanism, false }, { 'P', &f_user, false }, { 'N', &f_software, false },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* What is known of the request at hand: names as index in kinds, length, bytes. */
struct request {
	uint16_t used;
	uint8_t client_n;
	uint8_t client[CLIENT_MAX];
	uint8_t text[TEXT_ROOM];
};

struct kafka {
	struct kafka_walk walk;
	struct request *req;	/* NULL: none, or no memory for it */
	const struct kafka_api *api;
	uint32_t tx;
	uint16_t version;
	bool inside;		/* a request */
	bool judged;
	bool unread;		/* fields of it that may name a topic */
	bool known;		/* who the client is */
	enum dir client;
	bool raw_sasl;		/* SaslHandshake v0: tokens without a header follow */
	/* answers */
	bool answering;		/* inside one */
	bool deaf;		/* where they begin is not known */
	bool wrong;		/* its error was told */
	uint8_t next_asked;
	uint8_t answered;	/* index in asked */
	struct { uint32_t number, tx; uint8_t api, version; } asked[ASKED_LAST];	/* api: its key and 1, 0: free */
	struct kafka_walk answer;
};

struct head {
	const struct kafka_api *api;
	uint32_t size;		/* behind the size field */
	uint32_t number;	/* correlation */
	uint16_t key, version;
	bool null_client;
	struct bytes client;
};

/* DONE: *c is behind the client id. */
static enum parse head_read(struct cursor *c, struct head *h)
{
	uint16_t n;

	h->size = cur_be32(c);
	h->key = cur_be16(c);
	h->api = kafka_api_of(h->key);
	h->version = cur_be16(c);
	h->number = cur_be32(c);
	n = cur_be16(c);
	h->null_client = n == 0xffff;
	if (!cur_ok(c))
		return PARSE_MORE;
	if (!h->api || h->version > h->api->max + VERSIONS_AHEAD || h->size < SIZE_MIN || h->size > SIZE_MOST)
		return PARSE_BAD;
	if (h->null_client)
		n = 0;
	if (n > h->size - SIZE_MIN)
		return PARSE_BAD;
	h->client = cur_bytes(c, n);
	return cur_ok(c) ? PARSE_DONE : PARSE_MORE;
}

/* ---- recognition ---- */

static bool is_text(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < ' ' || b.p[i] == 0x7f)
			return false;
	return true;
}

struct looked {
	bool text;
};

static void look(void *arg, char kind, struct bytes value)
{
	struct looked *l = arg;

	if (kind != 'U' && kind != 'P' && !is_text(value))
		l->text = false;
}

static enum probe probe_request(struct cursor c)
{
	struct head h = { 0 };
	struct kafka_walk w;
	struct looked l = { true };
	uint32_t skip;
	enum parse p;

	/* refuse as soon as can be: size, then api and version, correlation not negative */
	if (cur_peek(&c, 0) >= SIZE_MOST >> 24 || (cur_left(&c) > 4 && cur_peek(&c, 4)) || (cur_left(&c) > 5 && !kafka_api_of(cur_peek(&c, 5))) ||
	    (cur_left(&c) > 6 && cur_peek(&c, 6)) || (cur_left(&c) > 8 && cur_peek(&c, 8) & 0x80) || (cur_left(&c) > 12 && cur_peek(&c, 12) && cur_peek(&c, 12) != 0xff))
		return PROBE_NO;
	p = head_read(&c, &h);
	if (p != PARSE_DONE || !is_text(h.client))
		return p == PARSE_MORE ? PROBE_MORE : PROBE_NO;
	kafka_walk_start(&w, h.api, (uint8_t)h.version, h.size - SIZE_MIN - (uint32_t)h.client.n);
	p = kafka_walk(&w, &c, look, &l, &skip);
	if (p == PARSE_BAD || !l.text)
		return PROBE_NO;
	if (h.client.n >= 2 && h.version <= h.api->max)
		return p == PARSE_DONE || skip || h.client.n >= 4 ? PROBE_YES : PROBE_MORE;
	/* no client id to go by: a whole request must fill its length to the byte, and its fields most of it */
	if (p == PARSE_MORE)
		return h.size < 4096 ? PROBE_MORE : PROBE_NO;
	if (cur_left(&c) < w.left)
		return PROBE_MORE;
	if (h.api == kafka_api_of(18) && h.null_client && h.size == SIZE_MIN)
		return PROBE_YES;
	return w.left <= 8 && cur_left(&c) == w.left && h.version <= h.api->max && h.size > SIZE_MIN + 8 ? PROBE_YES : PROBE_NO;
}

/* In the middle of a connection it is not sure who is the client. */
static enum probe probe(const struct probe_in *in)
{
	const struct cursor *up = &in->dir[DIR_TOSERVER], *down = &in->dir[DIR_TOCLIENT];
	enum probe p = cur_left(up) ? probe_request(*up) : PROBE_MORE, q;

	if (p == PROBE_YES || !cur_left(down))
		return p;
	if (!in->midstream)
		return cur_left(up) ? p : PROBE_NO;
	q = probe_request(*down);
	return q == PROBE_NO && !cur_left(up) ? PROBE_NO : q == PROBE_NO ? p : q;
}

/* ---- what is told ---- */

static void put_head(struct record *r, const struct kafka *s)
{
	rec_cstr(r, &f_api, s->api->name);
	rec_u64(r, &f_version, s->version);
	if (s->req && s->req->client_n)
		rec_str(r, &f_client, s->req->client, s->req->client_n);
}

/* A topic's id as Kafka writes it: base64 for URLs, without padding. */
static struct bytes id_text(struct bytes id, char out[24])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0, have = 0;
	size_t n = 0;

	for (size_t i = 0; i < id.n; i++) {
		bits = bits << 8 | id.p[i];
		for (have += 8; have >= 6; have -= 6)
			out[n++] = digits[bits >> (have - 6) & 63];
	}
	out[n++] = digits[bits << (6 - have) & 63];
	return (struct bytes){ (const uint8_t *)out, n };
}

struct teller {
	struct px *px;
	struct kafka *s;
};

/* A name of the request: judged, and kept for the event. */
static void name_is(void *arg, char kind, struct bytes value)
{
	struct teller *t = arg;
	struct request *q = t->s->req;
	struct record *r;
	char id[24];
	unsigned k = 0;

	while (k < KINDS && kinds[k].kind != kind)
		k++;
	if (kind == 'P')
		value = sasl_user(value);
	if (kind == 'U') {
		static const uint8_t zero[16];

		if (memcmp(value.p, zero, sizeof(zero)) == 0)
			return;
		value = id_text(value, id);
	}
	if (k == KINDS || !value.n)
		return;
	if (value.n > CLIENT_MAX)
		value.n = CLIENT_MAX;
	r = px_record(t->px);
	put_head(r, t->s);
	rec_bytes(r, kinds[k].fact, value);
	if (kind == 'U') {	/* its name was said elsewhere: it may be any */
		r->asked = r->len;
		rec_cstr(r, &f_any, "*");
	}
	px_judge(t->px, r);
	t->s->judged = true;
	if (q && value.n + 2 <= TEXT_ROOM - q->used) {
		q->text[q->used++] = (uint8_t)k;
		q->text[q->used++] = (uint8_t)value.n;
		memcpy(q->text + q->used, value.p, value.n);
		q->used = (uint16_t)(q->used + value.n);
	}
}

static void put_kind(struct record *r, const struct request *q, unsigned k)
{
	struct cursor c = cur_of(q->text, q->used);
	bool open = false;

	while (cur_more(&c)) {
		uint8_t kind = cur_u8(&c), n = cur_u8(&c);
		struct bytes name = cur_bytes(&c, n);

		if (kind != k)
			continue;
		if (!kinds[k].list) {
			rec_bytes(r, kinds[k].fact, name);
			return;
		}
		if (!open)
			rec_arr(r, kinds[k].fact);
		open = true;
		rec_bytes(r, NULL, name);
	}
	if (open)
		rec_end(r);
}

static void request_end(struct px *px, struct kafka *s)
{
	struct record *r = px_record(px);

	put_head(r, s);
	if (s->unread)
		rec_partial(r);
	if (!s->judged || s->unread)
		px_judge(px, r);
	if (s->req) {
		r = px_record(px);
		put_head(r, s);
		for (unsigned k = 0; k < KINDS; k++)
			put_kind(r, s->req, k);
		px_emit(px, EV_KAFKA, s->tx, r);
		px_release(px, s->req, sizeof(*s->req));
		s->req = NULL;
	}
	s->tx++;
	s->inside = false;
}

/* ---- parsing ---- */

/* A token of SASL without a header: size(4) bytes. */
static enum parse parse_token(struct px *px, struct kafka *s, struct cursor *in)
{
	struct cursor c = *in;
	uint32_t n = cur_be32(&c);
	struct bytes token;

	if (n > PROTO_KEEP_MAX / 2)
		return msg_bad(px, "kafka.bad_token");
	token = cur_bytes(&c, n);
	if (!cur_ok(&c))
		return msg_more(px, (size_t)n + 4);
	*in = c;
	s->api = kafka_api_of(36);
	s->version = 0;
	s->req = px_alloc(px, sizeof(*s->req));
	s->judged = s->unread = false;
	name_is(&(struct teller){ px, s }, 'P', token);
	request_end(px, s);
	return PARSE_DONE;
}

static enum parse parse_head(struct px *px, struct kafka *s, struct cursor *in)
{
	struct cursor c = *in;
	struct head h = { 0 };
	enum parse p = head_read(&c, &h);

	if (s->raw_sasl && h.size < SIZE_MIN && cur_left(in) >= 4)
		return parse_token(px, s, in);
	if (s->raw_sasl && (p == PARSE_BAD || (p == PARSE_MORE && cur_left(in) >= 14)))
		return parse_token(px, s, in);
	if (p == PARSE_BAD)
		return msg_bad(px, "kafka.bad_request");
	if (p == PARSE_MORE)
		return PARSE_MORE;
	*in = c;
	s->raw_sasl = false;
	s->api = h.api;
	s->version = h.version;
	s->asked[s->next_asked].api = (uint8_t)(h.key + 1);
	s->asked[s->next_asked].number = h.number;
	s->asked[s->next_asked].version = (uint8_t)h.version;
	s->asked[s->next_asked].tx = s->tx;
	s->next_asked = (uint8_t)((s->next_asked + 1) % ASKED_LAST);
	s->inside = true;
	s->judged = false;
	s->unread = h.version > h.api->max && strpbrk(h.api->fields, "TUYR");
	s->req = px_alloc(px, sizeof(*s->req));
	if (s->req && h.client.n) {
		s->req->client_n = (uint8_t)(h.client.n < CLIENT_MAX ? h.client.n : CLIENT_MAX);
		memcpy(s->req->client, h.client.p, s->req->client_n);
	}
	kafka_walk_start(&s->walk, h.api, (uint8_t)h.version, h.size - SIZE_MIN - (uint32_t)h.client.n);
	return PARSE_DONE;
}

static enum parse parse_fields(struct px *px, struct kafka *s, struct cursor *in)
{
	struct teller t = { px, s };
	uint32_t skip;
	enum parse p = kafka_walk(&s->walk, in, name_is, &t, &skip);

	if (p == PARSE_BAD) {
		px_bad(px, "kafka.bad_fields");	/* its length still tells where the next one begins */
		s->unread = true;
	} else if (p == PARSE_MORE) {
		if (!skip)
			return PARSE_MORE;
		px_skip(px, s->client, skip);
		return PARSE_DONE;
	}
	s->raw_sasl = s->api == kafka_api_of(17) && s->version == 0;
	msg_pass(px, s->client, in, s->walk.left);
	request_end(px, s);
	return PARSE_DONE;
}

/* ---- answers: size(4) correlation(4) [tagged fields] fields ---- */

static void error_is(void *arg, char kind, struct bytes value)
{
	struct teller *t = arg;
	struct kafka *s = t->s;
	struct record *r;

	if (kind != 'E' || s->wrong || !(value.p[0] | value.p[1]))
		return;
	s->wrong = true;
	r = px_record(t->px);
	rec_cstr(r, &f_api, kafka_api_of(s->asked[s->answered].api - 1u)->name);
	rec_u64(r, &f_version, s->asked[s->answered].version);
	rec_i64(r, &f_error, (int16_t)(value.p[0] << 8 | value.p[1]));
	px_emit(t->px, EV_KAFKA, s->asked[s->answered].tx, r);
}

/* MORE: the head is not there yet. */
static enum parse answer_head(struct px *px, struct kafka *s, enum dir dir, struct cursor *in)
{
	struct cursor c = *in;
	uint32_t size = cur_be32(&c), number = cur_be32(&c);
	unsigned i = 0;

	if (cur_left(in) < 4 || (size >= 4 && !cur_ok(&c)))
		return msg_more(px, cur_left(in) < 4 ? 4 : 8);
	if (size < 4) {		/* a token of SASL without a header */
		cur_skip(in, 4);
		msg_pass(px, dir, in, size);
		return PARSE_DONE;
	}
	if (size > SIZE_MOST) {
		s->deaf = true;
		return PARSE_DONE;
	}
	*in = c;
	while (i < ASKED_LAST && (!s->asked[i].api || s->asked[i].number != number))
		i++;
	if (i == ASKED_LAST || !kafka_walk_answer(&s->answer, kafka_api_of(s->asked[i].api - 1u), s->asked[i].version, size - 4)) {
		msg_pass(px, dir, in, size - 4);
		return PARSE_DONE;
	}
	s->answered = (uint8_t)i;
	s->answering = true;
	s->wrong = false;
	return PARSE_DONE;
}

static enum parse answer_fields(struct px *px, struct kafka *s, enum dir dir, struct cursor *in)
{
	struct teller t = { px, s };
	uint32_t skip;

	if (kafka_walk(&s->answer, in, error_is, &t, &skip) == PARSE_MORE) {
		if (!skip)
			return PARSE_MORE;
		px_skip(px, dir, skip);
		return PARSE_DONE;
	}
	s->answering = false;
	s->asked[s->answered].api = 0;
	msg_pass(px, dir, in, s->answer.left);
	return PARSE_DONE;
}

static enum parse answers(struct px *px, struct kafka *s, enum dir dir, struct cursor *in)
{
	enum parse p = PARSE_DONE;

	while (p == PARSE_DONE && !s->deaf && (cur_more(in) || (s->answering && !s->answer.left)))
		p = s->answering ? answer_fields(px, s, dir, in) : answer_head(px, s, dir, in);
	if (s->deaf) {
		cur_rest(in);
		px_skip(px, dir, UINT64_MAX);
		return PARSE_DONE;
	}
	return p;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct kafka *s = state;
	enum parse p = PARSE_DONE;

	if (!s->known && probe_request(*in) == PROBE_YES) {
		s->client = dir;
		s->known = true;
	}
	if (!s->known) {
		cur_rest(in);
		return PARSE_DONE;
	}
	if (dir != s->client)
		return answers(px, s, dir, in);
	/* a request may end in bytes that are passed by: then nothing is left to read */
	while (p == PARSE_DONE && (cur_more(in) || (s->inside && !s->walk.left)))
		p = s->inside ? parse_fields(px, s, in) : parse_head(px, s, in);
	if (s->inside)
		px_unfinished(px, s->tx);
	return p;
}

static void end(struct px *px, void *state)
{
	struct kafka *s = state;

	if (s->inside && s->req && (s->req->used || !s->walk.at))
		request_end(px, s);	/* it broke off, but who asked for what is known */
	px_release(px, s->req, sizeof(*s->req));
	s->req = NULL;
}

static const uint16_t ports[] = { 9092, 9093, 9094, 0 };

const struct proto proto_kafka = {
	.name = "kafka",
	.app = APP_KAFKA,
	.event = EV_KAFKA,
	.l4 = PROTO_TCP,
	.ports = ports,
	.state_size = sizeof(struct kafka),
	.probe = probe,
	.parse = parse,
	.end = end,
	.facts = facts,
	.for_events = true,
};
