/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http: HTTP/1.0 and 1.1 (RFC 9110, 9112). One `http` event per transaction.
 *
 * Each direction ("half") is a machine of its own: heads are read by http_head.c, bodies pass unseen by px_skip, all but the
 * last byte, so that their end is noticed when it comes. A request is judged when its head is complete; its facts are then
 * kept until the response is complete, in order, because pipelined requests are answered in order.
 *
 * A broken request ends the parsing of the flow. A broken response does not, or a server could blind us to the requests
 * that follow: it makes the response half deaf, and requests are told without responses from then on. So it is when more than
 * PENDING_MAX requests are unanswered (those beyond are told at once, and counted off as responses come), and when memory is short.
 *
 * After lost bytes, and at the first bytes of a flow whose beginning was not seen, a half looks line by line for the next
 * message; a message of the other side also ends what is being passed over. In such a flow the "initiator" may be the server: who sends a status line first is it.
 *
 * While CONNECT or Upgrade is unanswered, bytes that are no request are left lying: they belong to what comes after. */
#include "dpi/proto/http_facts.h"

#define PENDING_MAX 128u	/* unanswered requests whose facts are kept */
#define CHUNK_LINE_MAX 8192u	/* bytes of a chunk's size line with its extensions */
#define TRAILER_MAX 65536u	/* bytes of all trailer lines of a body */

static const uint16_t ports[] = { 80, 8080, 8000, 8888, 3128, 9200, 0 };

static bool is_usual(uint16_t port)
{
	unsigned i = 0;

	while (ports[i] && ports[i] != port)
		i++;
	return ports[i] != 0;
}

/* Where a half stands. */
enum at {
	AT_FIRST,	/* nothing was seen of it yet */
	AT_START,	/* between messages */
	AT_HEAD,
	AT_LAST_BYTE,	/* of a body of known length */
	AT_CHUNK_SIZE, AT_CHUNK_END, AT_TRAILER,
	AT_BROKEN,	/* a body whose end cannot be known */
	AT_CLOSE,	/* a body that ends with the connection */
	AT_LOST,	/* at the start of a line: is it a message? */
	AT_LOST_LINE,	/* inside a line that is none */
	AT_HOLD,	/* requests only: bytes that may belong to what follows Upgrade or CONNECT */
	AT_DEAF,	/* nothing more is wanted */
};

struct half {
	struct http_head head;
	uint64_t length;	/* body bytes of the message at hand */
	uint32_t scan;		/* of a line at the position: bytes that hold no LF */
	uint32_t trailer;	/* bytes of trailers so far */
	uint8_t at;		/* enum at */
	bool unsure;		/* taken up at what looked like a request: if it is none, look on */
};

/* A request that awaits its response. */
struct pending {
	struct pending *next;
	struct saved *facts;	/* NULL: memory was short, and it was told at once; or nobody wants to know */
	uint32_t id;
	uint8_t kind;		/* enum http_kind */
};

struct http {
	struct half half[2];	/* by enum http_start */
	struct pending one;	/* the first one needs no allocation */
	struct pending *first, *last;
	struct saved *answer;	/* request and response, while the response's body passes */
	uint32_t answer_id;
	uint32_t next_id;
	uint32_t beyond;	/* unanswered requests that were told at once */
	uint16_t told;		/* oddities told, bits */
	uint8_t npending;
	bool one_used;
	bool flip;		/* the flow's initiator is the server */
	bool sure;		/* a head was begun: who is the server is settled */
	bool gone;		/* upgraded: what follows is not for us */
	bool beyond_odd;	/* one of those beyond is no plain request: responses cannot be counted off */
};
_Static_assert(PENDING_MAX < UINT8_MAX && HTTP_ODD_COUNT <= 16, "fields of struct http");

static enum dir dir_of(const struct http *s, enum http_start side) { return (enum dir)((unsigned)side ^ (s->flip ? 1u : 0u)); }

static void tell_odd(struct px *px, struct http *s, unsigned bits)
{
	static const char *const names[] = {
#define X(id, name) name,
		HTTP_ODDITIES(X)
#undef X
	};

	bits &= ~(unsigned)s->told;
	s->told = (uint16_t)(s->told | bits);
	for (unsigned i = 0; bits; i++, bits >>= 1)
		if (bits & 1)
			px_bad(px, names[i]);
}

static enum parse bad(struct px *px, const char *why)
{
	px_bad(px, why);
	return PARSE_BAD;
}

static void start_message(struct half *h)
{
	h->at = AT_START;
	h->length = 0;
	h->scan = h->trailer = 0;
}

/* ---- transactions ---- */

static void pending_free(struct px *px, struct http *s, struct pending *p)
{
	px_saved_free(px, p->facts);
	if (p == &s->one)
		s->one_used = false;
	else
		px_release(px, p, sizeof(*p));
}

static struct pending *pending_pop(struct http *s)
{
	struct pending *p = s->first;

	if (p) {
		s->first = p->next;
		s->npending--;
		if (!s->first)
			s->last = NULL;
	}
	return p;
}

static void pending_push(struct http *s, struct pending *p)
{
	p->next = NULL;
	if (s->last)
		s->last->next = p;
	else
		s->first = p;
	s->last = p;
	s->npending++;
}

/* Requests that will not meet their responses. */
static void tell_pending(struct px *px, struct http *s)
{
	struct pending *p;

	while ((p = pending_pop(s))) {
		if (p->facts) {
			struct record *r = px_record(px);

			rec_append(r, p->facts->body, p->facts->len);
			px_emit(px, EV_HTTP, p->id, r);
		}
		pending_free(px, s, p);
	}
	s->beyond = 0;
	s->beyond_odd = false;
}

/* The response at hand ends, or will not be seen to its end (then a length may be unknown). */
static void tell_answer(struct px *px, struct http *s, bool length_known)
{
	struct record *r;

	if (!s->answer)
		return;
	r = px_record(px);
	rec_append(r, s->answer->body, s->answer->len);
	if (length_known)
		rec_u64(r, &http_fact_length, s->half[HTTP_RESPONSE].length);
	px_emit(px, EV_HTTP, s->answer_id, r);
	px_saved_free(px, s->answer);
	s->answer = NULL;
}

static void tell_unfinished(struct px *px, struct http *s)
{
	enum at at = s->half[HTTP_RESPONSE].at;

	/* of a chunk it is not known either how much has come */
	tell_answer(px, s, at != AT_LAST_BYTE && at != AT_CHUNK_END && at != AT_BROKEN);
	tell_pending(px, s);
}

/* The response half cannot be followed any more. */
static enum parse deaf(struct px *px, struct http *s, enum http_oddity why)
{
	tell_odd(px, s, 1u << why);
	tell_unfinished(px, s);
	s->half[HTTP_RESPONSE].at = AT_DEAF;
	if (s->half[HTTP_REQUEST].at == AT_HOLD)
		start_message(&s->half[HTTP_REQUEST]);
	px_skip(px, dir_of(s, HTTP_RESPONSE), UINT64_MAX);
	return PARSE_DONE;
}

/* ---- bodies ---- */

/* A body of n bytes begins at the position. True: it ends within the bytes at hand, which are consumed. */
static bool pass(struct px *px, struct http *s, enum http_start side, struct cursor *in, uint64_t n)
{
	uint64_t here = n < cur_left(in) ? n : cur_left(in);

	cur_skip(in, (size_t)here);
	n -= here;
	s->half[side].at = AT_LAST_BYTE;
	if (n > 1)
		px_skip(px, dir_of(s, side), n - 1);
	return n == 0;
}

/* The message at hand is complete. */
static void message_done(struct px *px, struct http *s, enum http_start side)
{
	if (side == HTTP_RESPONSE)
		tell_answer(px, s, true);
	start_message(&s->half[side]);
}

/* A line at the position, consumed; MORE when its end is not there yet; BAD when it is longer than max. */
static enum parse take_line(struct half *h, struct cursor *in, size_t max, struct bytes *line)
{
	struct cursor c = *in;
	size_t n;

	cur_skip(&c, h->scan);
	n = cur_find(&c, '\n');
	if ((n == SIZE_MAX ? cur_left(in) : h->scan + n) >= max)
		return PARSE_BAD;
	if (n == SIZE_MAX) {
		h->scan = (uint32_t)cur_left(in);
		return PARSE_MORE;
	}
	n += h->scan;
	h->scan = 0;
	*line = cur_bytes(in, n);
	cur_skip(in, 1);
	if (line->n && line->p[line->n - 1] == '\r')
		line->n--;
	return PARSE_DONE;
}

/* 1*HEXDIG [BWS ";" extensions]; up to 2^63-1 (RFC 9112 7.1). The line's end is behind it. */
static bool chunk_size(struct bytes line, uint64_t *size)
{
	size_t i;

	*size = 0;
	for (i = 0; i < line.n; i++) {
		uint8_t c = line.p[i], d;

		if (c >= '0' && c <= '9')
			d = (uint8_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			d = (uint8_t)((c | 0x20) - 'a' + 10);
		else
			break;
		if (*size >> 59)
			return false;
		*size = *size << 4 | d;
	}
	if (i == line.n)
		return i != 0;
	/* where an extension ends servers do not agree, but for CR LF */
	return i && (line.p[i] == ';' || line.p[i] == ' ' || line.p[i] == '\t') && line.p[line.n] == '\r' && !memchr(line.p, '\r', line.n);
}

/* One step of a chunked body; DONE: go on. */
static enum parse chunked(struct px *px, struct http *s, enum http_start side, struct cursor *in, const char **why)
{
	struct half *h = &s->half[side];
	struct bytes line;
	enum parse got;
	uint64_t size, here;

	if (h->at == AT_CHUNK_END) {
		uint8_t c = cur_peek(in, 0);

		*why = "http.bad_chunk_end";
		if (c == '\r' && cur_left(in) < 2)
			return PARSE_MORE;
		if (c != '\n' && !(c == '\r' && cur_peek(in, 1) == '\n'))
			return PARSE_BAD;
		cur_skip(in, c == '\n' ? 1 : 2);
		h->at = AT_CHUNK_SIZE;
		return PARSE_DONE;
	}
	*why = h->at == AT_TRAILER ? "http.trailer_too_long" : "http.chunk_line_too_long";
	got = take_line(h, in, h->at == AT_TRAILER ? TRAILER_MAX - h->trailer : CHUNK_LINE_MAX, &line);
	if (got != PARSE_DONE)
		return got;
	if (h->at == AT_TRAILER) {
		h->trailer += (uint32_t)line.n + 1;
		if (!line.n)
			message_done(px, s, side);
		return PARSE_DONE;
	}
	*why = "http.bad_chunk_size";
	if (!chunk_size(line, &size) || size > INT64_MAX - h->length)
		return PARSE_BAD;
	if (!size) {
		h->at = AT_TRAILER;
		return PARSE_DONE;
	}
	h->length += size;
	h->at = AT_CHUNK_END;
	here = size < cur_left(in) ? size : cur_left(in);
	cur_skip(in, (size_t)here);
	if (size > here)
		px_skip(px, dir_of(s, side), size - here);
	return PARSE_DONE;
}

/* ---- heads ---- */

/* Keeps a request for its response, or tells it at once where that cannot be. r NULL: nobody wants to know. */
static void keep_request(struct px *px, struct http *s, const struct record *r, enum http_kind kind)
{
	struct pending *p = NULL;

	if (s->half[HTTP_RESPONSE].at != AT_DEAF && !s->beyond && s->npending < PENDING_MAX) {
		if (!s->one_used) {
			s->one_used = true;
			p = &s->one;
		} else {
			p = px_alloc(px, sizeof(*p));
		}
	}
	if (p) {
		p->id = s->next_id++;
		p->kind = (uint8_t)kind;
		p->facts = r ? px_save(px, r) : NULL;
		if (r && !p->facts)
			px_emit(px, EV_HTTP, p->id, r);
		pending_push(s, p);
		return;
	}
	if (r)
		px_emit(px, EV_HTTP, s->next_id, r);
	s->next_id++;
	if (s->half[HTTP_RESPONSE].at == AT_DEAF)
		return;
	tell_odd(px, s, 1u << HTTP_ODD_TOO_MANY);
	s->beyond++;
	s->beyond_odd |= kind != HTTP_KIND_PLAIN;
}

static void tell_head_odd(struct px *px, struct http *s, const struct http_head *h)
{
	unsigned bits = h->odd;

	if (h->te != HTTP_TE_NONE) {
		bits |= h->has_length || h->bad_length ? 1u << HTTP_ODD_TE_AND_CL : 0;
		bits |= h->minor == 0 ? 1u << HTTP_ODD_TE_IN_10 : 0;
	}
	tell_odd(px, s, bits);
}

/* Records and judges a request; what policy alone asks for is not kept. */
static struct record *judged(struct px *px, const struct http_head *h, const struct cursor *head, enum http_kind kind)
{
	struct record *r = px_record(px);
	uint32_t told;
	bool full;

	http_put_request(r, h, head, kind);
	told = r->len;
	full = r->full;
	http_put_asked(r, px, h, head);
	px_judge(px, r);
	r->len = told;
	r->asked = 0;
	r->full = full;
	return r;
}

/* A request's head of `len` bytes is at the position. */
static enum parse request(struct px *px, struct http *s, struct cursor *in, size_t len)
{
	struct http_head *h = &s->half[HTTP_REQUEST].head;
	struct cursor head = cur_sub(in, len);
	enum http_kind kind = http_kind_of(h, &head);

	tell_head_odd(px, s, h);
	if (http_is_elasticsearch(h, &head))
		px_set_app(px, APP_ELASTICSEARCH);
	keep_request(px, s, px_wants_facts(px, EV_HTTP) ? judged(px, h, &head, kind) : NULL, kind);
	if (h->te == HTTP_TE_OTHER)
		return bad(px, "http.bad_transfer_encoding");
	if (h->te == HTTP_TE_CHUNKED)
		s->half[HTTP_REQUEST].at = AT_CHUNK_SIZE;
	else if (h->bad_length)
		return bad(px, "http.bad_content_length");
	else if (!h->has_length || pass(px, s, HTTP_REQUEST, in, h->length))
		message_done(px, s, HTTP_REQUEST);
	return PARSE_DONE;
}

/* From here on the connection is no HTTP. */
static enum parse upgraded(struct px *px, struct http *s, const struct http_head *h, const struct cursor *head)
{
	struct bytes to = http_slot(h, HTTP_UPGRADE, head);

	s->gone = true;
	if (h->status == 101 && http_same(to, "websocket", 9)) {
		px_set_app(px, APP_WEBSOCKET);
		px_stop(px);
	} else if (h->status == 101 && http_same(to, "h2c", 3)) {
		px_switch(px, &proto_http2);
	} else {
		px_switch(px, NULL);
	}
	return PARSE_DONE;
}

/* The body of a response (RFC 9112 6.3). True: it is complete. */
static bool response_body(struct px *px, struct http *s, struct cursor *in, enum http_kind kind)
{
	struct half *half = &s->half[HTTP_RESPONSE];
	const struct http_head *h = &half->head;

	if (kind == HTTP_KIND_HEAD || h->status < 200 || h->status == 204 || h->status == 304)
		return true;
	if (h->te == HTTP_TE_NONE && h->bad_length) {
		half->at = AT_BROKEN;
		return false;
	}
	if (h->te == HTTP_TE_NONE && h->has_length) {
		half->length = h->length;
		return pass(px, s, HTTP_RESPONSE, in, h->length);
	}
	half->at = h->te == HTTP_TE_CHUNKED ? AT_CHUNK_SIZE : AT_CLOSE;
	return false;
}

/* A response's head of `len` bytes is at the position. */
static enum parse response(struct px *px, struct http *s, struct cursor *in, size_t len)
{
	struct half *half = &s->half[HTTP_RESPONSE], *requests = &s->half[HTTP_REQUEST];
	const struct http_head *h = &half->head;
	struct cursor head = cur_sub(in, len);
	struct pending *p;
	struct record *r;
	enum http_kind kind;
	bool told, tunnel;

	if (h->status < 200 && h->status != 101) {
		start_message(half);
		return PARSE_DONE;
	}
	tell_head_odd(px, s, h);
	p = pending_pop(s);
	kind = p ? (enum http_kind)p->kind : HTTP_KIND_PLAIN;
	told = p ? !p->facts : s->beyond || !px_wants_facts(px, EV_HTTP);
	s->answer_id = p ? p->id : s->next_id;
	r = px_record(px);
	if (p) {
		if (p->facts)
			rec_append(r, p->facts->body, p->facts->len);
	} else if (s->beyond) {
		if (s->beyond_odd)
			return deaf(px, s, HTTP_ODD_TOO_MANY);
		s->beyond--;
	} else {
		s->next_id++;
	}
	if (!told)
		http_put_response(r, h, &head, p != NULL);
	if (p)
		pending_free(px, s, p);
	if (requests->at == AT_HOLD)
		start_message(requests);

	tunnel = h->status == 101 || (kind == HTTP_KIND_CONNECT && h->status < 300);
	if (tunnel || response_body(px, s, in, kind)) {
		if (!told) {
			rec_u64(r, &http_fact_length, half->length);
			px_emit(px, EV_HTTP, s->answer_id, r);
		}
		start_message(half);
	} else if (!told) {
		s->answer = px_save(px, r);
		if (!s->answer)
			px_emit(px, EV_HTTP, s->answer_id, r);
	}
	if (tunnel)
		return upgraded(px, s, h, &head);
	if (half->at == AT_BROKEN)
		return deaf(px, s, HTTP_ODD_ANSWER_BODY);
	return PARSE_DONE;
}

/* What cannot be a request, where one should begin. */
static enum parse no_request(struct px *px, struct http *s, const char *why)
{
	struct half *h = &s->half[HTTP_REQUEST];

	if (!h->unsure)
		return bad(px, why);
	h->at = AT_LOST_LINE;
	h->scan = 0;
	return PARSE_DONE;
}

static enum parse head(struct px *px, struct http *s, enum http_start side, struct cursor *in)
{
	struct half *h = &s->half[side];
	const char *why = NULL;
	size_t len;
	enum parse got = http_head_scan(&h->head, side, in, &len, &why);

	if (got == PARSE_MORE)
		return PARSE_MORE;
	if (got == PARSE_BAD)
		return side == HTTP_REQUEST ? no_request(px, s, why) : deaf(px, s, HTTP_ODD_STATUS_LINE);
	h->unsure = false;
	/* where messages alternate, the other side's next byte begins one */
	if (s->half[!side].at == AT_LOST_LINE)
		s->half[!side].at = AT_LOST;
	return side == HTTP_REQUEST ? request(px, s, in, len) : response(px, s, in, len);
}

static bool empty_line(struct cursor *in)
{
	uint8_t c = cur_peek(in, 0);

	if (c != '\n' && !(c == '\r' && cur_peek(in, 1) == '\n'))
		return false;
	return cur_skip(in, c == '\n' ? 1 : 2);
}

/* The usual requests by their first bytes, others by their whole line. */
static enum probe looks_request(const struct cursor *in)
{
	return http_looks_request_start(in) == PROBE_YES ? PROBE_YES : http_looks_request(in);
}

/* Between messages: empty lines are passed over (RFC 9112 2.2), then a head begins. */
static enum parse start(struct px *px, struct http *s, enum http_start side, struct cursor *in)
{
	struct half *h = &s->half[side];
	uint8_t c = cur_peek(in, 0);
	enum probe looks = PROBE_YES;

	if (empty_line(in))
		return PARSE_DONE;
	if (c == '\r' && cur_left(in) == 1)
		return PARSE_MORE;
	if (side == HTTP_RESPONSE)
		looks = http_looks_response(in);
	else if (s->last && s->last->kind >= HTTP_KIND_CONNECT)
		looks = looks_request(in);
	else if (c <= ' ' || c > '~')
		looks = PROBE_NO;
	if (looks == PROBE_MORE)
		return PARSE_MORE;
	if (looks == PROBE_YES) {
		memset(&h->head, 0, sizeof(h->head));
		h->at = AT_HEAD;
		s->sure = true;
		return PARSE_DONE;
	}
	if (side == HTTP_RESPONSE)
		return deaf(px, s, HTTP_ODD_STATUS_LINE);
	if (s->last && s->last->kind >= HTTP_KIND_CONNECT) {
		h->at = AT_HOLD;
		return PARSE_MORE;
	}
	return no_request(px, s, "http.bad_request_line");
}

/* ---- where the place is not known ---- */

static enum parse lost(struct http *s, enum http_start side, struct cursor *in)
{
	struct half *h = &s->half[side];
	size_t n;

	if (h->at == AT_LOST) {
		enum probe looks;

		if (empty_line(in))
			return PARSE_DONE;
		looks = side == HTTP_RESPONSE ? http_looks_response(in) : http_looks_request_start(in);

		if (looks == PROBE_MORE)
			return PARSE_MORE;
		h->at = looks == PROBE_YES ? AT_START : AT_LOST_LINE;
		h->unsure = true;
		return PARSE_DONE;
	}
	n = cur_find(in, '\n');
	cur_skip(in, n == SIZE_MAX ? cur_left(in) : n + 1);
	if (n != SIZE_MAX)
		h->at = AT_LOST;
	return PARSE_DONE;
}

/* The first bytes of a half: those of a message, or of the middle of one; or it is the other half's. */
static enum parse first(const struct px *px, struct http *s, enum http_start side, struct cursor *in)
{
	struct half *h = &s->half[side];
	enum probe looks, other = PROBE_NO;

	if (empty_line(in))
		return PARSE_DONE;
	looks = side == HTTP_RESPONSE ? http_looks_response(in) : looks_request(in);
	if (looks == PROBE_NO && !s->sure)
		other = side == HTTP_RESPONSE ? http_looks_request(in) : http_looks_response(in);
	if (looks == PROBE_MORE || other == PROBE_MORE)
		return PARSE_MORE;
	if (other == PROBE_YES) {
		struct half was = s->half[HTTP_REQUEST];

		s->half[HTTP_REQUEST] = s->half[HTTP_RESPONSE];
		s->half[HTTP_RESPONSE] = was;
		s->flip = !s->flip;
		s->sure = true;
		return PARSE_DONE;
	}
	start_message(h);
	/* an answer to a request that was seen has its beginning here: if that is broken, it is to be told so; as is what a server takes for a request */
	if (looks == PROBE_NO && !(side == HTTP_RESPONSE ? s->next_id != 0 : is_usual(px_port(px, dir_of(s, HTTP_RESPONSE))) && http_looks_broken(in) == PROBE_YES))
		h->at = AT_LOST;
	return PARSE_DONE;
}

/* ---- the interface ---- */

static enum parse step(struct px *px, struct http *s, enum http_start side, struct cursor *in)
{
	struct half *h = &s->half[side];
	const char *why;
	enum parse got;

	switch ((enum at)h->at) {
	case AT_FIRST:
		return first(px, s, side, in);
	case AT_START:
		return start(px, s, side, in);
	case AT_HEAD:
		return head(px, s, side, in);
	case AT_LAST_BYTE:
		cur_skip(in, 1);
		message_done(px, s, side);
		return PARSE_DONE;
	case AT_CHUNK_SIZE:
	case AT_CHUNK_END:
	case AT_TRAILER:
		got = chunked(px, s, side, in, &why);
		if (got == PARSE_BAD)
			return side == HTTP_REQUEST ? bad(px, why) : deaf(px, s, HTTP_ODD_ANSWER_BODY);
		return got;
	case AT_CLOSE:
		h->length += cur_left(in);
		cur_skip(in, cur_left(in));
		return PARSE_DONE;
	case AT_LOST:
	case AT_LOST_LINE:
		return lost(s, side, in);
	case AT_HOLD:
		return PARSE_MORE;
	case AT_BROKEN:
	case AT_DEAF:
		cur_skip(in, cur_left(in));
		return PARSE_DONE;
	}
	return PARSE_BAD;
}

static enum parse parse(struct px *px, void *state, enum dir dir, struct cursor *in)
{
	struct http *s = state;

	while (cur_more(in) && !s->gone) {
		enum http_start side = (unsigned)dir ^ (s->flip ? 1u : 0u) ? HTTP_RESPONSE : HTTP_REQUEST;
		enum parse got = step(px, s, side, in);

		if (got != PARSE_DONE)
			return got;	/* MORE: nobody knows how much */
	}
	return PARSE_DONE;
}

static enum parse gap(struct px *px, void *state, enum dir dir, uint64_t len)
{
	struct http *s = state;
	enum http_start side = (unsigned)dir ^ (s->flip ? 1u : 0u) ? HTTP_RESPONSE : HTTP_REQUEST;
	struct half *h = &s->half[side];

	if (h->at == AT_CLOSE) {
		h->length += len;
		return PARSE_DONE;
	}
	if (h->at == AT_DEAF)
		return PARSE_DONE;
	if (h->at == AT_LAST_BYTE && len == 1) {
		message_done(px, s, side);
		return PARSE_DONE;
	}
	if (side == HTTP_RESPONSE)
		tell_unfinished(px, s);
	start_message(h);
	h->at = AT_LOST;
	return PARSE_DONE;
}

static void end(struct px *px, void *state) { tell_unfinished(px, state); }

static enum probe probe(const struct probe_in *in)
{
	enum probe up = http_looks_request(&in->dir[DIR_TOSERVER]), down = http_looks_response(&in->dir[DIR_TOCLIENT]);

	if (in->midstream) {	/* one side may be in the middle of a body, and either may be the server */
		enum probe up2 = http_looks_response(&in->dir[DIR_TOSERVER]), down2 = http_looks_request(&in->dir[DIR_TOCLIENT]);

		if (up == PROBE_YES || down == PROBE_YES || up2 == PROBE_YES || down2 == PROBE_YES)
			return PROBE_YES;
		return up == PROBE_NO && down == PROBE_NO && up2 == PROBE_NO && down2 == PROBE_NO ? PROBE_NO : PROBE_MORE;
	}
	if (up == PROBE_NO && is_usual(in->dport))
		return http_looks_broken(&in->dir[DIR_TOSERVER]);
	if (up == PROBE_NO || down == PROBE_NO)
		return PROBE_NO;
	return up == PROBE_YES || down == PROBE_YES ? PROBE_YES : PROBE_MORE;
}

const struct proto proto_http = {
	.name = "http", .app = APP_HTTP, .event = EV_HTTP, .l4 = PROTO_TCP, .ports = ports, .state_size = sizeof(struct http),
	.probe = probe, .parse = parse, .gap = gap, .end = end, .facts = http_facts, .for_events = true,
};
