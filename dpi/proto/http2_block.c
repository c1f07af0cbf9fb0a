/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http2_block: what header blocks say, and the transactions that they make up.
 *
 * A block with :method is a request, one with :status a response, one with neither is trailers: which side is the client is not asked,
 * so a connection whose beginning was not seen is read the same way. A request is judged when its block is complete; its
 * facts wait for the response, at most HTTP2_STREAMS_MAX of them. */
#include "dpi/proto/http2_parts.h"

#include <strings.h>

#include "dpi/proto/http_facts.h"

enum http2_slot { S_METHOD, S_PATH, S_AUTHORITY, S_HOST, S_USER_AGENT, S_XFF, S_REFERER, S_CONTENT_TYPE, S_STATUS, S_LOCATION, S_GRPC_STATUS, S_COUNT };

static const struct fact f_method = { "http_method", FACT_HTTP_METHOD }, f_url = { "url", FACT_HTTP_PATH }, f_user_agent = { "http_user_agent", FACT_PLAIN },
	f_xff = { "xff", FACT_PLAIN }, f_refer = { "http_refer", FACT_PLAIN }, f_content_type = { "http_content_type", FACT_PLAIN },
	f_status = { "status", FACT_PLAIN }, f_redirect = { "redirect", FACT_PLAIN }, f_protocol = { "protocol", FACT_PLAIN }, f_http2 = { "http2", FACT_PLAIN },
	f_stream_id = { "stream_id", FACT_PLAIN }, f_grpc = { "grpc", FACT_PLAIN }, f_service = { "service", FACT_OBJECT }, f_call = { "method", FACT_OPERATION },
	f_etcd = { "etcd", FACT_PLAIN }, f_key = { "key", FACT_KEY };

const struct fact *const http2_facts[] = {
	&f_method, &f_url, &f_user_agent, &f_xff, &f_refer, &f_content_type, &f_status, &f_redirect, &f_protocol, &f_http2, &f_stream_id, &f_grpc, &f_service,
	&f_call, &f_etcd, &f_key, &http_fact_length, NULL,
};

static const struct {
	const char *name;
	const struct fact *fact;	/* NULL: looked at, not told as it stands */
	bool asked;			/* of requests; else of responses */
} slots[S_COUNT] = {
	[S_METHOD] = { ":method", &f_method, true },
	[S_PATH] = { ":path", &f_url, true },
	[S_AUTHORITY] = { ":authority", NULL, true },
	[S_HOST] = { "host", NULL, true },
	[S_USER_AGENT] = { "user-agent", &f_user_agent, true },
	[S_XFF] = { "x-forwarded-for", &f_xff, true },
	[S_REFERER] = { "referer", &f_refer, true },
	[S_CONTENT_TYPE] = { "content-type", &f_content_type, false },
	[S_STATUS] = { ":status", NULL, false },
	[S_LOCATION] = { "location", &f_redirect, false },
	[S_GRPC_STATUS] = { "grpc-status", NULL, false },
};

#define LOST (1u << 15)	/* in http2_block.seen: something is not told, or servers read it in several ways */
_Static_assert(S_COUNT <= 15, "a bit beside the slots");

static bool has(const struct http2_block *b, enum http2_slot slot) { return b->seen >> slot & 1; }
static void lose(struct http2_block *b, bool lost) { b->seen = (uint16_t)(b->seen | (lost ? LOST : 0)); }

static bool is_lit(struct bytes b, const char *lit)
{
	size_t n = strlen(lit);

	return b.n == n && memcmp(b.p, lit, n) == 0;
}

/* ---- blocks ---- */

#define BLOCK_POLICY ((1u << 28) - 1)	/* as many bits as the block has */

static bool same_policy(const struct px *px, const struct http2_block *b) { return b->policy == (px_policy(px) & BLOCK_POLICY); }

void http2_block_begin(const struct px *px, struct http2_half *h, uint32_t stream, uint32_t promised, bool end_stream)
{
	h->block = (struct http2_block){ .stream = stream, .promised = promised, .end_stream = end_stream, .open = true, .grpc_status = UINT32_MAX, .policy = px_policy(px) & BLOCK_POLICY };
}

void http2_block_drop(struct px *px, struct http2_block *b)
{
	px_saved_free(px, b->facts);
	px_saved_free(px, b->asked);
	b->facts = b->asked = NULL;
	b->open = false;
}

static uint32_t number(struct bytes v, size_t digits)
{
	uint32_t n = 0;

	if (!v.n || v.n > digits)
		return UINT32_MAX;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return UINT32_MAX;
		n = n * 10 + (uint32_t)(v.p[i] - '0');
	}
	return n;
}

/* application/grpc, application/grpc+proto, application/grpc-web; servers do not all mind capitals */
static bool grpc_type(struct bytes v)
{
	static const char lit[] = "application/grpc";
	const size_t n = sizeof(lit) - 1;

	return v.n >= n && strncasecmp((const char *)v.p, lit, n) == 0 && (v.n == n || v.p[n] == '+' || v.p[n] == ';' || v.p[n] == '-');
}

/* One more fact of the block. */
static void add(struct px *px, struct http2_block *b, enum http2_slot slot, struct bytes v)
{
	struct record *r = px_record(px);

	if (b->facts)
		rec_append(r, b->facts->body, b->facts->len);
	if (slot == S_AUTHORITY || slot == S_HOST)
		http_put_host(r, v);
	else if (slot == S_STATUS)
		rec_u64(r, &f_status, b->status);
	else
		rec_bytes(r, slots[slot].fact, v);
	px_saved_free(px, b->facts);
	b->facts = px_save(px, r);
	lose(b, r->full || !b->facts);
}

/* A field that rules ask for by name; what is kept of a policy that is gone means nothing. */
static void add_field(struct px *px, struct http2_block *b, const struct fact *f, struct bytes v)
{
	struct record *r = px_record(px);

	if (b->asked)
		rec_append(r, b->asked->body, b->asked->len);
	rec_bytes(r, f, v);
	px_saved_free(px, b->asked);
	b->asked = px_save(px, r);
	lose(b, r->full || !b->asked);
}

bool http2_block_field(void *ctx, struct bytes name, struct bytes value)
{
	const struct http2_at_hand *at = ctx;
	struct http2_block *b = &at->half->block;
	unsigned slot = 0;

	b->fields++;
	b->said += (uint32_t)(name.n + value.n) + 32;	/* as RFC 9113 6.5.2 counts */
	if (b->fields > HTTP2_FIELDS_MAX || b->said > HTTP2_BLOCK_MAX)
		return false;
	if (px_wants_headers(at->px) && same_policy(at->px, b)) {
		const struct fact *f = px_header(at->px, name);

		if (f)
			add_field(at->px, b, f, value);
	}
	while (slot < S_COUNT && !is_lit(name, slots[slot].name))
		slot++;
	if (slot == S_COUNT)
		return true;
	if (has(b, (enum http2_slot)slot)) {
		lose(b, slot < S_USER_AGENT);	/* which of two? */
		return true;
	}
	b->seen = (uint16_t)(b->seen | 1u << slot);
	if (slot == S_STATUS) {
		uint32_t n = number(value, 3);

		b->status = (uint16_t)(n == UINT32_MAX ? 0 : n);
	} else if (slot == S_CONTENT_TYPE) {
		b->grpc = grpc_type(value);
		b->dns = is_lit(value, "application/dns-message");
	} else if (slot == S_GRPC_STATUS) {
		b->grpc_status = number(value, 3);
		return true;
	}
	if (slot == S_HOST && has(b, S_AUTHORITY)) {
		lose(b, !b->facts || !http_same_host(rec_find(b->facts->body, b->facts->len, FACT_HTTP_HOST), value));
		return true;
	}
	if (slots[slot].asked ? has(b, S_METHOD) || slot < S_USER_AGENT : has(b, S_STATUS))
		add(at->px, b, (enum http2_slot)slot, value);
	return true;
}

/* ---- streams ---- */

struct http2_stream *http2_stream_find(struct http2 *s, uint32_t id)
{
	struct http2_stream *st = s->first;

	while (st && st->id != id)
		st = st->next;
	return st;
}

/* "/package.Service/Method" */
static void put_grpc(struct record *r, const struct http2_stream *st, struct bytes path)
{
	struct cursor c = cur_of(path.p, path.n);
	size_t slash;

	rec_obj(r, &f_grpc);
	if (cur_peek(&c, 0) == '/') {
		cur_skip(&c, 1);
		slash = cur_find(&c, '/');
		if (slash != SIZE_MAX) {
			rec_bytes(r, &f_service, cur_bytes(&c, slash));
			cur_skip(&c, 1);
			rec_bytes(r, &f_call, cur_rest(&c));
		}
	}
	if (st->grpc_status != UINT32_MAX)
		rec_u64(r, &f_status, st->grpc_status);
	rec_end(r);
}

void http2_put_key(struct record *r, struct bytes key)
{
	rec_obj(r, &f_etcd);
	rec_bytes(r, &f_key, key);
	rec_end(r);
}

void http2_stream_put(struct record *r, const struct http2_stream *st, struct bytes key)
{
	if (st->facts)
		rec_append(r, st->facts->body, st->facts->len);
	if (key.n)
		http2_put_key(r, key);
	if (st->grpc && st->facts)
		put_grpc(r, st, rec_find(st->facts->body, st->facts->len, FACT_HTTP_PATH));
}

static void unlink_stream(struct http2 *s, struct http2_stream *st)
{
	struct http2_stream **at = &s->first, *before = NULL;

	while (*at != st) {
		before = *at;
		at = &before->next;
	}
	*at = st->next;
	if (s->last == st)
		s->last = before;
	s->nstreams--;
}

/* Tells it and lets it go. */
static void tell(struct px *px, struct http2 *s, struct http2_stream *st, bool length_known)
{
	unlink_stream(s, st);
	if (st->facts) {
		struct record *r = px_record(px);

		http2_stream_put(r, st, (struct bytes){ NULL, 0 });
		if (length_known)
			rec_u64(r, &http_fact_length, st->length);
		px_emit(px, EV_HTTP, st->tx, r);
	}
	px_saved_free(px, st->facts);
	http2_etcd_drop(px, st);
	px_release(px, st, sizeof(*st));
}

void http2_stream_end(struct px *px, struct http2 *s, uint32_t id, bool length_known)
{
	struct http2_stream *st = http2_stream_find(s, id);

	if (st)
		tell(px, s, st, length_known);
}

void http2_streams_end(struct px *px, struct http2 *s)
{
	while (s->first)
		tell(px, s, s->first, false);
}

static struct http2_stream *stream_new(struct px *px, struct http2 *s, uint32_t id, enum dir asks)
{
	struct http2_stream *st;

	if (s->nstreams == HTTP2_STREAMS_MAX) {
		if (!s->odd_told)
			px_bad(px, "http2.too_many_streams");
		s->odd_told = true;
		tell(px, s, s->first, false);
	}
	st = px_alloc(px, sizeof(*st));
	if (!st)
		return NULL;
	st->id = id;
	st->asks = (uint8_t)asks;
	st->tx = s->next_tx++;
	st->grpc_status = UINT32_MAX;
	if (s->last)
		s->last->next = st;
	else
		s->first = st;
	s->last = st;
	s->nstreams++;
	return st;
}

/* ---- what a complete block means ---- */

/* The block's facts behind those of the stream. */
static void merge(struct px *px, struct http2_stream *st, const struct http2_block *b, bool begins)
{
	struct record *r = px_record(px);

	if (st->facts)
		rec_append(r, st->facts->body, st->facts->len);
	if (b->facts)
		rec_append(r, b->facts->body, b->facts->len);
	if (begins) {
		rec_cstr(r, &f_protocol, "HTTP/2");
		rec_obj(r, &f_http2);
		rec_u64(r, &f_stream_id, st->id);
		rec_end(r);
	}
	px_saved_free(px, st->facts);
	st->facts = px_save(px, r);
}

/* What the connection carries, as precisely as its requests say. */
static void set_app(struct px *px, struct http2 *s, const struct http2_stream *st)
{
	static const char etcd[] = "/etcdserverpb.";
	struct bytes path = { NULL, 0 };
	enum app app = APP_GRPC;

	if (st->facts)
		path = rec_find(st->facts->body, st->facts->len, FACT_HTTP_PATH);
	if (path.n >= sizeof(etcd) - 1 && memcmp(path.p, etcd, sizeof(etcd) - 1) == 0)
		app = APP_ETCD;
	if (s->app == app || s->app == APP_ETCD)
		return;
	s->app = (uint16_t)app;
	px_set_app(px, app);
}

static void request(struct px *px, struct http2 *s, enum dir dir, const struct http2_block *b)
{
	uint32_t id = b->promised ? b->promised : b->stream;
	struct http2_stream *st = http2_stream_find(s, id);
	struct record *r;

	if (st)		/* a second request on a stream is none */
		return;
	st = stream_new(px, s, id, b->promised ? (enum dir)!dir : dir);
	if (!st) {
		px_lost(px);
		return;
	}
	if (id > s->last_id)
		s->last_id = id;
	st->grpc = b->grpc;
	merge(px, st, b, true);
	if (st->grpc)
		set_app(px, s, st);
	if (b->promised)	/* the server asked itself */
		return;
	if (st->grpc && st->facts && !b->end_stream)
		http2_etcd_request(st, rec_find(st->facts->body, st->facts->len, FACT_HTTP_PATH));
	r = px_record(px);
	http2_stream_put(r, st, (struct bytes){ NULL, 0 });
	if ((!same_policy(px, b) && px_wants_headers(px)) || b->seen & LOST)
		rec_partial(r);		/* fields may have come that nobody asked for then */
	r->asked = r->len;
	if (b->asked && same_policy(px, b))
		rec_append(r, b->asked->body, b->asked->len);
	px_judge(px, r);
	if (st->facts)
		http2_dns_request(px, st, dir, rec_find(st->facts->body, st->facts->len, FACT_HTTP_PATH), b->dns && !b->end_stream);
}

static void response(struct px *px, struct http2 *s, enum dir dir, const struct http2_block *b)
{
	struct http2_stream *st = http2_stream_find(s, b->stream);

	if (b->status >= 100 && b->status < 200)	/* the final one is still to come */
		return;
	/* Its request was not seen: that of an upgrade, or before the beginning. One that was told already is not told again. */
	if (!st && (b->stream > s->last_id || (b->stream == 1 && s->next_tx == 0)))
		st = stream_new(px, s, b->stream, (enum dir)!dir);
	if (!st || st->answered || st->asks == (uint8_t)dir)
		return;
	st->answered = true;
	st->grpc |= b->grpc;
	if (b->grpc_status != UINT32_MAX)
		st->grpc_status = b->grpc_status;
	merge(px, st, b, !st->facts);
	if (st->grpc)
		set_app(px, s, st);
}

void http2_block_end(struct px *px, struct http2 *s, enum dir dir)
{
	struct http2_block *b = &s->half[dir].block;
	struct http2_stream *st;

	if (has(b, S_METHOD))
		request(px, s, dir, b);
	else if (has(b, S_STATUS))
		response(px, s, dir, b);
	st = http2_stream_find(s, b->stream);
	if (st && st->asks != (uint8_t)dir && !b->promised) {
		if (b->grpc_status != UINT32_MAX)
			st->grpc_status = b->grpc_status;
		if (b->end_stream)
			tell(px, s, st, true);
	}
	http2_block_drop(px, b);
}
