/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http_facts: from the fields of a head to the items of a record. See http_facts.h for what each fact is. */
#include "dpi/proto/http_facts.h"

#include <strings.h>

#define HOST_MAX 256u		/* longer names are told as sent */

static const struct fact f_hostname = { "hostname", FACT_HTTP_HOST }, f_port = { "http_port", FACT_PLAIN },
	f_url = { "url", FACT_HTTP_PATH }, f_url_whole = { "url", FACT_PLAIN }, f_path = { "path", FACT_HTTP_PATH },
	f_user_agent = { "http_user_agent", FACT_PLAIN }, f_xff = { "xff", FACT_PLAIN }, f_content_type = { "http_content_type", FACT_PLAIN },
	f_refer = { "http_refer", FACT_PLAIN }, f_method = { "http_method", FACT_HTTP_METHOD }, f_protocol = { "protocol", FACT_PLAIN },
	f_status = { "status", FACT_PLAIN }, f_redirect = { "redirect", FACT_PLAIN };
const struct fact http_fact_length = { "length", FACT_PLAIN };

const struct fact *const http_facts[] = {
	&f_hostname, &f_port, &f_url, &f_url_whole, &f_path, &f_user_agent, &f_xff, &f_content_type, &f_refer, &f_method, &f_protocol,
	&f_status, &f_redirect, &http_fact_length, NULL,
};

static struct bytes view(const struct cursor *in, size_t off, size_t n)
{
	struct cursor c = *in;

	cur_skip(&c, off);
	return cur_bytes(&c, n);
}

struct bytes http_slot(const struct http_head *h, enum http_slot i, const struct cursor *in)
{
	return h->seen >> i & 1 ? view(in, h->slot[i].off, h->slot[i].len) : (struct bytes){ NULL, 0 };
}

/* A field's value; line ends of continuations become spaces. */
static void put_slot(struct record *r, const struct fact *f, const struct http_head *h, enum http_slot i, const struct cursor *in)
{
	struct bytes b = http_slot(h, i, in);
	char flat[RECORD_STR_MAX];

	if (!b.n)
		return;
	if (h->folded >> i & 1) {
		size_t n = b.n < sizeof(flat) ? b.n : sizeof(flat);

		for (size_t k = 0; k < n; k++)
			flat[k] = b.p[k] == '\r' || b.p[k] == '\n' ? ' ' : (char)b.p[k];
		rec_str(r, f, flat, n);
	} else {
		rec_bytes(r, f, b);
	}
}

/* Without port and final dots. */
static struct bytes host_of(struct bytes b, unsigned *port)
{
	size_t n = b.n, colon = b.n;

	*port = 0;
	while (n && b.p[n - 1] >= '0' && b.p[n - 1] <= '9')
		n--;
	if (n && b.p[n - 1] == ':') {	/* an address in brackets ends in ']': digits after a colon are the port */
		colon = n - 1;
		for (size_t i = n; i < b.n && *port <= UINT16_MAX; i++)
			*port = *port * 10 + (unsigned)(b.p[i] - '0');
	}
	b.n = colon;
	while (b.n > 1 && b.p[b.n - 1] == '.')
		b.n--;
	return b;
}

bool http_same_host(struct bytes a, struct bytes b)
{
	unsigned port;

	a = host_of(a, &port);
	b = host_of(b, &port);
	return a.n == b.n && (!a.n || strncasecmp((const char *)a.p, (const char *)b.p, a.n) == 0);
}

void http_put_host(struct record *r, struct bytes b)
{
	char name[HOST_MAX];
	unsigned port;

	b = host_of(b, &port);
	if (b.n && b.n <= sizeof(name)) {
		for (size_t i = 0; i < b.n; i++)
			name[i] = (char)(b.p[i] >= 'A' && b.p[i] <= 'Z' ? b.p[i] | 0x20 : b.p[i]);
		rec_str(r, &f_hostname, name, b.n);
	} else if (b.n) {
		rec_bytes(r, &f_hostname, b);
	}
	if (port && port <= UINT16_MAX)
		rec_u64(r, &f_port, port);
}

/* The length of a scheme that ends in a colon (RFC 3986 3.1); 0: there is none. */
static size_t scheme_of(const struct cursor *url)
{
	size_t n = 0;

	for (;; n++) {
		uint8_t c = cur_peek(url, n);

		if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(n && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
			return c == ':' ? n : 0;
	}
}

/* Absolute form: what stands between "scheme://" and the path; false for other forms. */
static bool absolute_form(struct bytes url, struct bytes *authority, struct bytes *path)
{
	struct cursor c = cur_of(url.p, url.n);
	struct cursor a;
	size_t n;

	if (cur_peek(&c, 0) == '/')
		return false;
	n = scheme_of(&c);
	if (!n || cur_peek(&c, n + 1) != '/' || cur_peek(&c, n + 2) != '/')
		return false;
	cur_skip(&c, n + 3);
	for (n = 0; n < cur_left(&c) && cur_peek(&c, n) != '/' && cur_peek(&c, n) != '?' && cur_peek(&c, n) != '#'; n++)
		;
	*authority = cur_bytes(&c, n);
	*path = cur_rest(&c);
	if (!path->n || path->p[0] != '/')
		*path = (struct bytes){ (const uint8_t *)"/", 1 };
	for (a = cur_of(authority->p, authority->n); (n = cur_find(&a, '@')) != SIZE_MAX;) {
		cur_skip(&a, n + 1);
		*authority = view(&a, 0, cur_left(&a));
	}
	return true;
}

static void put_protocol(struct record *r, unsigned minor)
{
	char text[] = "HTTP/1.x";

	text[sizeof(text) - 2] = (char)('0' + minor);
	rec_str(r, &f_protocol, text, sizeof(text) - 1);
}

void http_put_request(struct record *r, const struct http_head *h, const struct cursor *in, enum http_kind kind)
{
	struct bytes url = view(in, h->url_off, h->url_len), authority, path = { NULL, 0 };
	bool absolute = kind != HTTP_KIND_CONNECT && absolute_form(url, &authority, &path);

	http_put_host(r, absolute && authority.n ? authority : kind == HTTP_KIND_CONNECT ? url : http_slot(h, HTTP_HOST, in));
	rec_bytes(r, absolute || kind == HTTP_KIND_CONNECT ? &f_url_whole : &f_url, url);
	if (absolute)
		rec_bytes(r, &f_path, path);
	put_slot(r, &f_user_agent, h, HTTP_USER_AGENT, in);
	put_slot(r, &f_xff, h, HTTP_XFF, in);
	put_slot(r, &f_refer, h, HTTP_REFERER, in);
	rec_bytes(r, &f_method, view(in, 0, h->method_len));
	put_protocol(r, h->minor);
}

/* Servers read it in several ways: whose request it is, where it ends, or (scheme:/path) what it asks for. */
static bool ambiguous(const struct http_head *h, const struct cursor *in)
{
	struct bytes url, host, authority, path;
	struct cursor c;
	size_t scheme;

	if (h->vague || h->odd & (1u << HTTP_ODD_SEVERAL_HOSTS | 1u << HTTP_ODD_SPACE_BEFORE_COLON | 1u << HTTP_ODD_SPACE_BEFORE_FIELD))
		return true;
	if (h->te != HTTP_TE_NONE && (h->has_length || h->bad_length || !h->minor))
		return true;
	if (cur_peek(in, h->url_off) == '/')
		return false;
	url = view(in, h->url_off, h->url_len);
	host = http_slot(h, HTTP_HOST, in);
	if (absolute_form(url, &authority, &path))
		return authority.n && host.n && !http_same_host(authority, host);
	c = cur_of(url.p, url.n);
	scheme = scheme_of(&c);
	return scheme && cur_peek(&c, scheme + 1) == '/';
}

/* A CR that ends no line: to some it does, to others it is a part of the line (RFC 9112 2.2). */
static bool stray_cr(const struct cursor *head)
{
	struct cursor c = *head;
	size_t n;

	while ((n = cur_find(&c, '\r')) != SIZE_MAX) {
		cur_skip(&c, n + 1);
		if (cur_peek(&c, 0) != '\n')
			return true;
	}
	return false;
}

/* A field may go on in lines that begin with a space or a tab. */
void http_put_asked(struct record *r, const struct px *px, const struct http_head *h, const struct cursor *head)
{
	const struct fact *f = NULL;
	struct cursor c = *head;
	struct bytes line;
	char value[RECORD_STR_MAX + 1];	/* one byte more than is kept: a longer one is told to be cut */
	size_t n = 0;

	if (ambiguous(h, head) || (px_by_facts(px) && stray_cr(head)))
		rec_partial(r);
	if (!px_wants_headers(px))
		return;
	r->asked = r->len;
	cur_line(&c, &line);	/* the request line */
	while (cur_line(&c, &line)) {
		struct cursor l = cur_of(line.p, line.n);
		size_t colon;

		if (cur_peek(&l, 0) != ' ' && cur_peek(&l, 0) != '\t') {
			if (f)
				rec_str(r, f, value, n);
			f = NULL;
			n = 0;
			colon = cur_find(&l, ':');
			if (colon == SIZE_MAX)
				continue;
			f = px_header(px, http_trim(cur_bytes(&l, colon)));
			cur_skip(&l, 1);
		}
		if (f) {
			struct bytes more = http_trim(cur_rest(&l));

			if (n && n < sizeof(value))
				value[n++] = ' ';
			if (more.n > sizeof(value) - n)
				more.n = sizeof(value) - n;
			if (more.n)
				memcpy(value + n, more.p, more.n);
			n += more.n;
		}
	}
	if (f)
		rec_str(r, f, value, n);
}

void http_put_response(struct record *r, const struct http_head *h, const struct cursor *head, bool request_known)
{
	if (!request_known)
		put_protocol(r, h->minor);
	put_slot(r, &f_content_type, h, HTTP_CONTENT_TYPE, head);
	rec_u64(r, &f_status, h->status);
	put_slot(r, &f_redirect, h, HTTP_LOCATION, head);
}

/* The next "/segment" of a path, consumed; false at its end or at the query. */
static bool segment_next(struct cursor *c, struct bytes *b)
{
	size_t n = 0;

	if (cur_peek(c, 0) != '/')
		return false;
	cur_skip(c, 1);
	while (n < cur_left(c) && cur_peek(c, n) != '/' && cur_peek(c, n) != '?')
		n++;
	*b = cur_bytes(c, n);
	return true;
}

bool http_is_elasticsearch(const struct http_head *h, const struct cursor *in)
{
	static const char *const first[] = { "_bulk", "_cat", "_cluster", "_mget", "_msearch", "_nodes", "_search" };
	static const char *const second[] = { "_bulk", "_count", "_delete_by_query", "_doc", "_mapping", "_mget", "_msearch", "_search", "_update_by_query" };
	struct bytes url = view(in, h->url_off, h->url_len), b;
	struct cursor c = cur_of(url.p, url.n);

	if (!segment_next(&c, &b))
		return false;
	for (unsigned i = 0; b.n && b.p[0] == '_' && i < sizeof(first) / sizeof(first[0]); i++)
		if (http_same(b, first[i], strlen(first[i])))
			return true;
	if (!segment_next(&c, &b))
		return false;
	for (unsigned i = 0; b.n && b.p[0] == '_' && i < sizeof(second) / sizeof(second[0]); i++)
		if (http_same(b, second[i], strlen(second[i])))
			return true;
	return false;
}

enum http_kind http_kind_of(const struct http_head *h, const struct cursor *in)
{
	struct bytes method = view(in, 0, h->method_len);

	if (method.n == 4 && memcmp(method.p, "HEAD", 4) == 0)
		return HTTP_KIND_HEAD;
	if (method.n == 7 && memcmp(method.p, "CONNECT", 7) == 0)
		return HTTP_KIND_CONNECT;
	return h->seen >> HTTP_UPGRADE & 1 ? HTTP_KIND_UPGRADE : HTTP_KIND_PLAIN;
}
