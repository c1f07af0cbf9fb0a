/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http_head: the heads of HTTP/1 messages (RFC 9112), and what one looks like from outside.
 *
 * One pass: memchr finds each line's end, the first letter of the line and the place of the colon say whether it is a field
 * that anybody wants; all others are passed over unread. A line is complete when the byte after its LF is there as well,
 * because a space or tab there continues it (obs-fold); only the start line and the empty line need no such look ahead.
 *
 * Lines may end in LF alone (RFC 9112 2.2). What decides where a message ends is read strictly: a length that is not plain
 * digits, or codings that do not end in one `chunked`, are never guessed at. */
#include "dpi/proto/http_head.h"

#define METHOD_MAX 64u		/* a longer word before the first space is no method */
#define LOOK_MAX 1024u		/* bytes of a request line that recognition waits for */

enum { WANT_LENGTH = HTTP_SLOTS, WANT_CODING };

static const struct want {
	char first;
	uint8_t len;
	uint8_t slot;
	const char *name;
} wants[] = {
	{ 0, 0, 0, NULL },
	{ 'c', 14, WANT_LENGTH, "content-length" }, { 'c', 12, HTTP_CONTENT_TYPE, "content-type" }, { 0, 0, 0, NULL },
	{ 'h', 4, HTTP_HOST, "host" }, { 0, 0, 0, NULL },
	{ 'l', 8, HTTP_LOCATION, "location" }, { 0, 0, 0, NULL },
	{ 'r', 7, HTTP_REFERER, "referer" }, { 0, 0, 0, NULL },
	{ 't', 17, WANT_CODING, "transfer-encoding" }, { 0, 0, 0, NULL },
	{ 'u', 10, HTTP_USER_AGENT, "user-agent" }, { 'u', 7, HTTP_UPGRADE, "upgrade" }, { 0, 0, 0, NULL },
	{ 'x', 15, HTTP_XFF, "x-forwarded-for" }, { 0, 0, 0, NULL },
};
static const uint8_t wants_of[26] = {	/* by first letter: index into wants; 0: none */
	['c' - 'a'] = 1, ['h' - 'a'] = 4, ['l' - 'a'] = 6, ['r' - 'a'] = 8, ['t' - 'a'] = 10, ['u' - 'a'] = 12, ['x' - 'a'] = 15,
};

static bool is_space(uint8_t c) { return c == ' ' || c == '\t'; }
static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c; }

/* tchar of RFC 9110 5.6.2, a bit for each byte */
static bool is_token(uint8_t c)
{
	static const uint32_t bits[8] = { 0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff, 0, 0, 0, 0 };

	return bits[c >> 5] >> (c & 31) & 1;
}

/* Eight letters at once: of the bytes 'A' to 'Z', and of no other, bit 5 is set. */
static uint64_t lower8(const void *p)
{
	const uint64_t ones = 0x0101010101010101ULL, high = ones * 0x80;
	uint64_t w, low, from_a, after_z;

	memcpy(&w, p, 8);
	low = w & ~high;
	from_a = low + ones * (0x80 - 'A');
	after_z = low + ones * (0x7f - 'Z');
	return w | ((from_a ^ after_z) & ~w & high) >> 2;
}

/* want: n bytes in small letters. */
bool http_same(struct bytes a, const char *want, size_t n)
{
	uint64_t w;
	size_t i = 0;

	if (a.n != n)
		return false;
	for (; n - i >= 8; i += 8) {
		memcpy(&w, want + i, 8);
		if (lower8(a.p + i) != w)
			return false;
	}
	for (; i < n; i++)
		if (lower(a.p[i]) != (uint8_t)want[i])
			return false;
	return true;
}

struct bytes http_trim(struct bytes b)
{
	size_t from = 0, to = b.n;

	while (from < to && (is_space(b.p[from]) || b.p[from] == '\r' || b.p[from] == '\n'))
		from++;
	while (to > from && (is_space(b.p[to - 1]) || b.p[to - 1] == '\r' || b.p[to - 1] == '\n'))
		to--;
	return bytes_part(b, from, to - from);
}

static void odd(struct http_head *h, enum http_oddity o) { h->odd = (uint16_t)(h->odd | 1u << o); }

/* The next item of a list divided by `by`, trimmed; consumed. */
static struct bytes item_of(struct cursor *c, uint8_t by)
{
	size_t n = cur_find(c, by);
	struct bytes item = cur_bytes(c, n == SIZE_MAX ? cur_left(c) : n);

	cur_skip(c, cur_left(c) ? 1 : 0);
	return http_trim(item);
}

/* Digits only, up to 2^63-1. */
static bool number(struct bytes b, uint64_t *v)
{
	*v = 0;
	for (size_t i = 0; i < b.n; i++) {
		uint64_t d = b.p[i] - (uint64_t)'0';

		if (!is_digit(b.p[i]) || *v > (INT64_MAX - d) / 10)
			return false;
		*v = *v * 10 + d;
	}
	return b.n > 0;
}

/* Content-Length: one number; a list, or several lines, of the same number is taken as one (RFC 9110 8.6). */
static void content_length(struct http_head *h, struct bytes value)
{
	struct cursor c = cur_of(value.p, value.n);
	uint64_t v;

	h->bad_length |= value.n && value.p[value.n - 1] == ',';
	do {
		if (!number(item_of(&c, ','), &v) || (h->has_length && v != h->length)) {
			h->bad_length = true;
			return;
		}
		if (h->has_length)
			odd(h, HTTP_ODD_SEVERAL_CL);
		h->has_length = true;
		h->length = v;
	} while (cur_more(&c));
}

/* Transfer-Encoding: lines add up to one list. */
static void transfer_encoding(struct http_head *h, struct bytes value)
{
	struct cursor c = cur_of(value.p, value.n);

	while (cur_more(&c)) {
		struct bytes coding = item_of(&c, ',');

		if (!coding.n || (h->te == HTTP_TE_NONE && http_same(coding, "identity", 8)))
			continue;	/* "identity" meant nothing in RFC 2616 and is still sent */
		/* chunked twice, or something after it, is not a body whose end can be found */
		h->te = h->te != HTTP_TE_CHUNKED && http_same(coding, "chunked", 7) ? HTTP_TE_CHUNKED : HTTP_TE_OTHER;
	}
}

static const struct want *want_of(struct bytes line)
{
	uint8_t first = line.p[0] | 0x20;

	if (first < 'a' || first > 'z')
		return NULL;
	for (const struct want *w = &wants[wants_of[first - 'a']]; w->first; w++)
		if (line.n > w->len && (line.p[w->len] == ':' || is_space(line.p[w->len])) && http_same(bytes_part(line, 0, w->len), w->name, w->len))
			return w;
	return NULL;
}

/* One field, its continuations included; off: offset of the line. */
static void field(struct http_head *h, struct bytes line, size_t off)
{
	const struct want *w = want_of(line);
	struct bytes value;
	size_t at;

	if (h->fold)
		odd(h, HTTP_ODD_OBS_FOLD);
	if (is_space(line.p[0]))
		odd(h, HTTP_ODD_SPACE_BEFORE_FIELD);
	if (!w)
		return;
	for (at = w->len; at < line.n && is_space(line.p[at]); at++)
		;
	if (at == line.n || line.p[at] != ':')
		return;
	if (at > w->len)
		odd(h, HTTP_ODD_SPACE_BEFORE_COLON);
	value = http_trim(bytes_part(line, at + 1, line.n - at - 1));
	if (h->fold && (w->slot == WANT_LENGTH || w->slot == WANT_CODING || w->slot == HTTP_HOST))
		h->vague = true;
	if (w->slot == HTTP_HOST) {
		if (h->host)
			odd(h, HTTP_ODD_SEVERAL_HOSTS);
		h->host = true;
	}
	if (w->slot == WANT_LENGTH) {
		content_length(h, value);
	} else if (w->slot == WANT_CODING) {
		transfer_encoding(h, value);
	} else if (value.n && !(h->seen >> w->slot & 1)) {
		h->seen = (uint8_t)(h->seen | 1u << w->slot);
		if (h->fold)
			h->folded = (uint8_t)(h->folded | 1u << w->slot);
		h->slot[w->slot].off = (uint16_t)(off + (size_t)(value.p - line.p));
		h->slot[w->slot].len = (uint16_t)value.n;
	}
}

/* HTTP/1.DIGIT */
static bool version(struct bytes b, uint8_t *minor)
{
	if (b.n != 8 || memcmp(b.p, "HTTP/1.", 7) || !is_digit(b.p[7]))
		return false;
	*minor = (uint8_t)(b.p[7] - '0');
	return true;
}

/* method SP target SP version. As servers do, the target is what stands between the first and the last space. */
static bool request_line(struct http_head *h, struct bytes line)
{
	size_t method = 0, url, end = line.n, v;

	while (end && is_space(line.p[end - 1]))
		end--;
	while (method < end && method <= METHOD_MAX && is_token(line.p[method]))
		method++;
	if (!method || method > METHOD_MAX || method == end || !is_space(line.p[method]) || end - method < 10)
		return false;
	v = end - 8;	/* where a version must begin */
	if (!version(bytes_part(line, v, 8), &h->minor) || !is_space(line.p[v - 1]))
		return false;
	for (url = method; url < v && is_space(line.p[url]); url++)
		;
	for (end = v; end > url && is_space(line.p[end - 1]); end--)
		;
	if (url == end)
		return false;
	if (url != method + 1 || end != v - 1 || v + 8 != line.n || memchr(line.p + url, ' ', end - url))
		odd(h, HTTP_ODD_REQUEST_LINE);
	h->method_len = (uint16_t)method;
	h->url_off = (uint16_t)url;
	h->url_len = (uint16_t)(end - url);
	return true;
}

/* version SP 3DIGIT [SP reason] */
static bool status_line(struct http_head *h, struct bytes line)
{
	const uint8_t *p = line.p;

	if (line.n < 12 || !version(bytes_part(line, 0, 8), &h->minor) || p[8] != ' ' || p[9] < '1' || !is_digit(p[9]) ||
	    !is_digit(p[10]) || !is_digit(p[11]) || (line.n > 12 && !is_space(p[12])))
		return false;
	h->status = (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0'));
	return true;
}

enum parse http_head_scan(struct http_head *h, enum http_start start, const struct cursor *in, size_t *len, const char **why)
{
	size_t size = cur_left(in) < HTTP_HEAD_MAX ? cur_left(in) : HTTP_HEAD_MAX, n;
	struct cursor c = cur_of(in->pos, size);
	struct bytes all = { in->pos, size };

	cur_skip(&c, h->scan);
	while ((n = cur_find(&c, '\n')) != SIZE_MAX) {
		size_t lf = cur_used(&c) + n;
		size_t end = lf > h->line && all.p[lf - 1] == '\r' ? lf - 1 : lf;

		if (h->has_line && end == h->line) {
			*len = lf + 1;
			return PARSE_DONE;
		}
		if (h->has_line) {
			if (lf + 1 == size) {	/* is it continued? looked at again from this LF on */
				h->scan = (uint32_t)lf;
				break;
			}
			cur_skip(&c, n + 1);
			if (is_space(cur_peek(&c, 0))) {
				h->fold = true;
				h->scan = (uint32_t)lf + 1;
				continue;
			}
			if (++h->fields > HTTP_FIELDS_MAX) {
				*why = "http.too_many_fields";
				return PARSE_BAD;
			}
			field(h, bytes_part(all, h->line, end - h->line), h->line);
		} else {
			struct bytes line = bytes_part(all, 0, end);

			if (start == HTTP_REQUEST ? !request_line(h, line) : !status_line(h, line)) {
				*why = start == HTTP_REQUEST ? "http.bad_request_line" : "http.bad_status_line";
				return PARSE_BAD;
			}
			cur_skip(&c, n + 1);
			h->has_line = true;
		}
		h->fold = false;
		h->line = h->scan = (uint32_t)lf + 1;
	}
	if (n == SIZE_MAX)
		h->scan = (uint32_t)size;
	if (size == HTTP_HEAD_MAX) {
		*why = "http.head_too_long";
		return PARSE_BAD;
	}
	return PARSE_MORE;
}

/* False: nothing but empty lines so far, the last of them perhaps not complete. */
static bool skip_empty_lines(struct cursor *c)
{
	while (cur_peek(c, 0) == '\n' || (cur_peek(c, 0) == '\r' && cur_peek(c, 1) == '\n'))
		cur_skip(c, cur_peek(c, 0) == '\n' ? 1 : 2);
	return cur_left(c) > 1 || (cur_left(c) && cur_peek(c, 0) != '\r');
}

enum probe http_looks_response(const struct cursor *in)
{
	static const char form[] = "HTTP/1.d ddd";	/* d: a digit */
	struct cursor c = *in;

	if (!skip_empty_lines(&c))
		return PROBE_MORE;
	for (size_t i = 0; i < sizeof(form) - 1; i++) {
		if (i == cur_left(&c))
			return PROBE_MORE;
		if (form[i] == 'd' ? !is_digit(cur_peek(&c, i)) : cur_peek(&c, i) != form[i])
			return PROBE_NO;
	}
	return PROBE_YES;
}

enum probe http_looks_request(const struct cursor *in)
{
	struct cursor c = *in;
	struct http_head h = { 0 };
	struct bytes line;
	size_t n = 0;

	if (!skip_empty_lines(&c))
		return PROBE_MORE;
	while (n < METHOD_MAX && is_token(cur_peek(&c, n)))
		n++;
	if (n == cur_left(&c))
		return PROBE_MORE;
	if (!n || !is_space(cur_peek(&c, n)))
		return PROBE_NO;
	if (cur_left(&c) >= LOOK_MAX) {
		struct cursor head = cur_sub(&c, LOOK_MAX);

		/* a very long target: what is seen of it must do */
		if (cur_find(&head, '\n') == SIZE_MAX)
			return http_looks_request_start(&head);
		c = head;
	}
	if (!cur_line(&c, &line))
		return PROBE_MORE;
	return request_line(&h, line) ? PROBE_YES : PROBE_NO;
}

enum probe http_looks_broken(const struct cursor *in)
{
	struct cursor c = *in;
	struct bytes line;

	if (!skip_empty_lines(&c))
		return PROBE_MORE;
	if (is_space(cur_peek(&c, 0))) {	/* a request behind spaces */
		while (is_space(cur_peek(&c, 0)))
			cur_skip(&c, 1);
		return cur_left(&c) ? http_looks_request(&c) : PROBE_MORE;
	}
	for (size_t i = 0; i < 5; i++) {	/* "GET /", and no version */
		if (i == cur_left(&c))
			return PROBE_MORE;
		if (cur_peek(&c, i) != (uint8_t)"GET /"[i])
			return PROBE_NO;
	}
	if (!cur_line(&c, &line))
		return cur_left(&c) < LOOK_MAX ? PROBE_MORE : PROBE_NO;
	for (size_t i = 5; i < line.n; i++)
		if (line.p[i] <= ' ')
			return PROBE_NO;
	return PROBE_YES;
}

enum probe http_looks_request_start(const struct cursor *in)
{
	static const char *const starts[] = {
		"GET /", "POST /", "HEAD /", "PUT /", "DELETE /", "OPTIONS /", "OPTIONS * HTTP/1.", "PATCH /", "PROPFIND /", "REPORT /",
		"GET http://", "POST http://", "HEAD http://", "PUT http://", "DELETE http://", "PATCH http://", "CONNECT ",
	};
	bool more = false;

	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		size_t n = strlen(starts[i]), left = cur_left(in);

		if (cur_starts(in, starts[i], n))
			return PROBE_YES;
		more |= left < n && cur_starts(in, starts[i], left);
	}
	return more ? PROBE_MORE : PROBE_NO;
}
