/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Strings are copied and looked at in one go, sixteen bytes at a time; one that turns out to hold something that needs care is written again,
 * by runs. Room is asked for once per piece, so the inner loops write without checks. After the first failure (cap, depth, memory) nothing is
 * written. */
#include "base/jbuf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 512

void jb_init(struct jbuf *j, size_t cap)
{
	*j = (struct jbuf){ .cap = cap };
}

void jb_free(struct jbuf *j)
{
	free(j->p);
	*j = (struct jbuf){ .cap = j->cap };
}

void jb_reset(struct jbuf *j)
{
	j->len = 0;
	j->overflow = false;
	j->depth = 0;
	j->comma[0] = false;
}

void jb_cut(struct jbuf *j, size_t len)
{
	jb_reset(j);
	j->len = len;
}

static bool grow(struct jbuf *j, size_t n)
{
	size_t size = j->size ? j->size : FIRST_SIZE;
	char *p;

	if (j->overflow || n > j->cap - j->len)
		goto full;
	while (size - j->len < n) {
		if (size > j->cap / 2) {
			size = j->cap;
			break;
		}
		size *= 2;
	}
	if (size > j->cap)
		size = j->cap;
	p = realloc(j->p, size);
	if (!p)
		goto full;
	j->p = p;
	j->size = size;
	return true;
full:
	j->overflow = true;
	return false;
}

/* Room for n more bytes. */
static inline bool room(struct jbuf *j, size_t n)
{
	return (!j->overflow && j->size - j->len >= n) || grow(j, n);
}

static void put(struct jbuf *j, const char *s, size_t n)
{
	if (!n || !room(j, n))
		return;
	memcpy(j->p + j->len, s, n);
	j->len += n;
}

static inline void put_char(struct jbuf *j, char c)
{
	if (room(j, 1))
		j->p[j->len++] = c;
}

/* Nonzero when one of the eight bytes is below 0x20, '"', '\\', or above 0x7f. The classic zero-byte test: a borrow can only
 * add marks above a true one, so zero means none. */
static inline uint64_t needs_care(uint64_t w)
{
	const uint64_t ones = 0x0101010101010101ULL, highs = 0x8080808080808080ULL;
	uint64_t quote = w ^ ones * '"', back = w ^ ones * '\\';

	return ((w - ones * 0x20) | (quote - ones) | (back - ones) | w) & highs;
}

/* How many bytes from s on can be copied as they are. */
static size_t plain_run(const uint8_t *s, size_t n)
{
	size_t i = 0;
	uint64_t w;

	for (; n - i >= 8; i += 8) {
		memcpy(&w, s + i, 8);
		if (needs_care(w))
			break;
	}
	if (n >= 8 && n - i < 8) {	/* the last eight, some of which were looked at already */
		memcpy(&w, s + n - 8, 8);
		if (!needs_care(w))
			return n;
	}
	while (i < n && s[i] >= 0x20 && s[i] < 0x80 && s[i] != '"' && s[i] != '\\')
		i++;
	return i;
}

/* Length of the well-formed UTF-8 sequence at s (Unicode, table 3-7), 0 when there is none. */
static size_t utf8_len(const uint8_t *s, size_t n)
{
	uint8_t lo = 0x80, hi = 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		len = 2;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		len = 3;
		if (s[0] == 0xe0)
			lo = 0xa0;	/* overlong */
		if (s[0] == 0xed)
			hi = 0x9f;	/* surrogates */
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		len = 4;
		if (s[0] == 0xf0)
			lo = 0x90;	/* overlong */
		if (s[0] == 0xf4)
			hi = 0x8f;	/* above U+10FFFF */
	} else {
		return 0;
	}
	if (n < len || s[1] < lo || s[1] > hi)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

static void put_control(struct jbuf *j, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";
	static const char brief[0x20] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r' };
	char e[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

	if (c == '"' || c == '\\')
		e[1] = (char)c;
	else if (brief[c])
		e[1] = brief[c];
	put(j, e, e[1] == 'u' ? 6 : 2);
}

typedef signed char bytes16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

/* Nonzero bytes where sixteen need care: below 0x20 (above 0x7f is below zero), '"', '\\'. */
static inline bytes16 care16(bytes16 v) { return (bytes16)((v < 0x20) | (v == '"') | (v == '\\')); }

static inline bool any(bytes16 v)
{
	words2 w = (words2)v;

	return w[0] | w[1];
}

/* n < 16 bytes as two words, some bytes twice; what is left of the words is a space. */
static inline bool copy_short(char *to, const uint8_t *s, size_t n)
{
	uint64_t a, b = 0x2020202020202020ULL;
	uint32_t a4, b4;

	if (n >= 8) {
		memcpy(&a, s, 8);
		memcpy(&b, s + n - 8, 8);
		memcpy(to, &a, 8);
		memcpy(to + n - 8, &b, 8);
	} else if (n >= 4) {
		memcpy(&a4, s, 4);
		memcpy(&b4, s + n - 4, 4);
		memcpy(to, &a4, 4);
		memcpy(to + n - 4, &b4, 4);
		a = (uint64_t)b4 << 32 | a4;
	} else if (n) {		/* the first, the middle, the last */
		a = 0x2020202020000000ULL | (uint64_t)s[n - 1] << 16 | (uint64_t)s[n / 2] << 8 | s[0];
		to[0] = (char)s[0];
		to[n / 2] = (char)s[n / 2];
		to[n - 1] = (char)s[n - 1];
	} else {
		a = b;
	}
	return !any(care16((bytes16)(words2){ a, b }));
}

/* Copies n bytes; false when one of them needs care. */
static inline bool copy_plain(char *to, const uint8_t *s, size_t n)
{
	bytes16 v, care = { 0 };
	size_t i;

	if (n < 16)
		return copy_short(to, s, n);
	for (i = 0; n - i > 16; i += 16) {
		memcpy(&v, s + i, 16);
		memcpy(to + i, &v, 16);
		care |= care16(v);
	}
	memcpy(&v, s + n - 16, 16);	/* the last sixteen, some of which were copied already */
	memcpy(to + n - 16, &v, 16);
	return !any(care | care16(v));
}

/* '"', the bytes, and `end`. False, and nothing was written: something in them needs care, or there is no room. */
static inline bool put_plain(struct jbuf *j, const uint8_t *s, size_t n, const char *end, size_t nend)
{
	char *p;

	if (n > SIZE_MAX - 8 || !room(j, 1 + n + nend)) {
		j->overflow = true;
		return false;
	}
	p = j->p + j->len;
	if (!copy_plain(p + 1, s, n))
		return false;
	*p = '"';
	memcpy(p + 1 + n, end, nend);
	j->len += 1 + n + nend;
	return true;
}

static void put_escaped(struct jbuf *j, const uint8_t *s, size_t n)
{
	size_t i = 0, run;

	put_char(j, '"');
	while (i < n && !j->overflow) {
		run = plain_run(s + i, n - i);
		put(j, (const char *)s + i, run);
		i += run;
		if (i == n)
			break;
		if (s[i] < 0x80) {
			put_control(j, s[i++]);
			continue;
		}
		run = utf8_len(s + i, n - i);
		if (run)
			put(j, (const char *)s + i, run);
		else
			put(j, "\xef\xbf\xbd", 3);	/* U+FFFD for this byte */
		i += run ? run : 1;
	}
	put_char(j, '"');
}

static void put_quoted(struct jbuf *j, const uint8_t *s, size_t n)
{
	if (!put_plain(j, s, n, "\"", 1))
		put_escaped(j, s, n);
}

/* The comma before a value, and its key. */
static void begin(struct jbuf *j, const char *key)
{
	bool comma = j->comma[j->depth];
	size_t n;
	char *p;

	j->comma[j->depth] = true;
	if (!key) {
		if (comma)
			put_char(j, ',');
		return;
	}
	n = strlen(key);
	if (!room(j, comma + n + 3))
		return;
	p = j->p + j->len;
	*p = ',';
	p += comma;
	if (copy_plain(p + 1, (const uint8_t *)key, n)) {
		*p = '"';
		memcpy(p + 1 + n, "\":", 2);
		j->len += comma + n + 3;
		return;
	}
	j->len += comma;
	put_escaped(j, (const uint8_t *)key, n);
	put_char(j, ':');
}

static void open_nest(struct jbuf *j, const char *key, char c)
{
	begin(j, key);
	if (j->depth + 1 >= JBUF_DEPTH_MAX)
		j->overflow = true;
	put_char(j, c);
	if (j->overflow)
		return;
	j->comma[++j->depth] = false;
}

static void close_nest(struct jbuf *j, char c)
{
	if (!j->depth)
		j->overflow = true;
	put_char(j, c);
	if (!j->overflow)
		j->depth--;
}

void jb_obj(struct jbuf *j, const char *key) { open_nest(j, key, '{'); }
void jb_arr(struct jbuf *j, const char *key) { open_nest(j, key, '['); }
void jb_end_obj(struct jbuf *j) { close_nest(j, '}'); }
void jb_end_arr(struct jbuf *j) { close_nest(j, ']'); }

void jb_strn(struct jbuf *j, const char *key, const void *s, size_t n)
{
	begin(j, key);
	put_quoted(j, s, n);
}

void jb_str(struct jbuf *j, const char *key, const char *s)
{
	if (s)
		jb_strn(j, key, s, strlen(s));
	else
		jb_null(j, key);
}

static void put_u64(struct jbuf *j, uint64_t v)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
				    "4950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
				    "99";
	char d[20];
	size_t at = sizeof(d);

	for (; v >= 100; v /= 100) {
		at -= 2;
		memcpy(d + at, pairs + 2 * (v % 100), 2);
	}
	if (v >= 10) {
		at -= 2;
		memcpy(d + at, pairs + 2 * v, 2);
	} else {
		d[--at] = (char)('0' + v);
	}
	put(j, d + at, sizeof(d) - at);
}

void jb_u64(struct jbuf *j, const char *key, uint64_t v)
{
	begin(j, key);
	put_u64(j, v);
}

void jb_i64(struct jbuf *j, const char *key, int64_t v)
{
	begin(j, key);
	if (v < 0)
		put_char(j, '-');
	put_u64(j, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void jb_f64(struct jbuf *j, const char *key, double v)
{
	char text[32];
	int n = 0;

	if (!isfinite(v)) {	/* JSON has no word for them */
		jb_null(j, key);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		n = snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	begin(j, key);
	put(j, text, (size_t)n);
}

void jb_bool(struct jbuf *j, const char *key, bool v)
{
	begin(j, key);
	put(j, v ? "true" : "false", v ? 4 : 5);
}

void jb_null(struct jbuf *j, const char *key)
{
	begin(j, key);
	put(j, "null", 4);
}

void jb_raw(struct jbuf *j, const char *key, const char *json, size_t n)
{
	begin(j, key);
	put(j, json, n);
}

void jb_more(struct jbuf *j, const char *members, size_t n) { put(j, members, n); }

void jb_newline(struct jbuf *j)
{
	put_char(j, '\n');
	j->comma[0] = false;
}
