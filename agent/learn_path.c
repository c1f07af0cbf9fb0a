/* SPDX-License-Identifier: GPL-2.0-or-later */
/* learn_path: values of requests to the patterns that a rule will have. Pure.
 *
 * A part (between slashes, dots of a topic) is cut into tokens at . - _ ~ : , = @ and each token that looks made up becomes "*". What counts as
 * made up: only digits, two or more (or the whole part); a UUID; hex of eight or more with a digit in it, or of sixteen; twenty or more letters and digits
 * mixed. "v1", "oauth2" and "index" stay. Patterns know only "*" (any bytes, slashes too) and "?" (one byte), so "*" stands for at least
 * what was seen. */
#include "agent/learn_parts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ROOM 2048u	/* of a value while it is worked on; what is longer ends in "*" */

struct text {
	char p[ROOM];
	size_t n;
};

static void put(struct text *t, char c)
{
	if (t->n < ROOM - 1 && !(c == '*' && t->n && t->p[t->n - 1] == '*'))
		t->p[t->n++] = c;
}

static char plain(uint8_t b) { return b > 0x20 && b < 0x7f && b != '*' ? (char)b : b == ' ' ? ' ' : '?'; }

/* Ends the pattern within its bound. */
static void finish(struct text *t, char out[LEARN_TEXT_MAX])
{
	if (t->n > MATCH_PATTERN_MAX) {
		t->n = MATCH_PATTERN_MAX - 1;
		if (t->p[t->n - 1] != '*')
			t->p[t->n++] = '*';
	}
	if (!t->n)
		t->p[t->n++] = '*';
	memcpy(out, t->p, t->n);
	out[t->n] = '\0';
}

void learn_literal(struct bytes v, char out[LEARN_TEXT_MAX])
{
	struct text t = { .n = 0 };

	for (size_t i = 0; i < v.n && t.n < ROOM - 1; i++)
		t.p[t.n++] = plain(v.p[i]);
	finish(&t, out);
}

/* ---- made up or a word? ---- */

static bool is_hex(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isxdigit((unsigned char)p[i]))
			return false;
	return true;
}

static bool is_uuid(const char *p, size_t n)
{
	static const uint8_t runs[] = { 8, 4, 4, 4, 12 };
	size_t at = 0;

	if (n != 36)
		return false;
	for (unsigned i = 0; i < 5; at += runs[i++] + 1u)
		if (!is_hex(p + at, runs[i]) || (i < 4 && p[at + runs[i]] != '-'))
			return false;
	return true;
}

static bool made_up(const char *p, size_t n, bool whole)
{
	size_t digits = 0, letters = 0;

	for (size_t i = 0; i < n; i++) {
		digits += isdigit((unsigned char)p[i]) != 0;
		letters += isalpha((unsigned char)p[i]) != 0;
	}
	if (digits == n)
		return n > 1 || (n && whole);
	if (digits + letters != n)
		return false;
	if (n >= 8 && is_hex(p, n) && (digits || n >= 16))
		return true;
	return n >= 20 && digits >= 2;
}

static bool is_break(char c) { return strchr(".-_~:,=@", c) != NULL; }

/* A part of a path or name. */
static void put_part(struct text *t, const char *p, size_t n)
{
	size_t from = 0;

	if (is_uuid(p, n)) {
		put(t, '*');
		return;
	}
	for (size_t i = 0; i <= n; i++) {
		if (i < n && (!is_break(p[i]) || !p[i]))
			continue;
		if (made_up(p + from, i - from, i - from == n))
			put(t, '*');
		else
			for (size_t k = from; k < i; k++)
				put(t, p[k]);
		if (i < n)
			put(t, p[i]);
		from = i + 1;
	}
}

static void put_parts(struct text *t, const char *p, size_t n, char sep)
{
	size_t from = 0;

	for (size_t i = 0; i <= n; i++) {
		if (i < n && p[i] != sep)
			continue;
		put_part(t, p + from, i - from);
		if (i < n)
			put(t, sep);
		from = i + 1;
	}
}

void learn_parts(struct bytes v, char sep, char out[LEARN_TEXT_MAX])
{
	struct text in = { .n = 0 }, t = { .n = 0 };

	for (size_t i = 0; i < v.n && in.n < ROOM - 1; i++)
		in.p[in.n++] = plain(v.p[i]);
	put_parts(&t, in.p, in.n, sep);
	finish(&t, out);
}

/* ---- paths ---- */

/* A segment that the resolved form has not, or not as it is sent: an empty or dot segment, a backslash. The slash at the end is one that both have. */
static bool odd_at(const char *p, size_t n, size_t from, size_t len)
{
	if (!len)
		return from < n;
	return (len == 1 && p[from] == '.') || (len == 2 && p[from] == '.' && p[from + 1] == '.') || memchr(p + from, '\\', len);
}

void learn_path(struct bytes url, char out[LEARN_TEXT_MAX])
{
	struct text in = { .n = 0 }, t = { .n = 0 };
	size_t from;
	bool climbs = false, rooted = url.n && url.p[0] == '/';

	for (size_t i = 0; i < url.n && url.p[i] != '?' && url.p[i] != '#' && in.n < ROOM - 1; i++) {
		if (url.p[i] == '%' && url.n - i > 2 && isxdigit(url.p[i + 1]) && isxdigit(url.p[i + 2])) {
			uint8_t lo = (uint8_t)(url.p[i + 2] | 0x20), hi = url.p[i + 1];

			i += 2;
			put(&in, '*');
			climbs |= (hi == '2' && (lo == 'e' || lo == 'f')) || (hi == '5' && lo == 'c');	/* "." "/" "\" */
			continue;
		}
		in.p[in.n++] = plain(url.p[i]);
	}
	if (!in.n || (url.n == 1 && *url.p == '*')) {	/* the server itself */
		finish(&in, out);
		return;
	}
	put(&t, rooted ? '/' : '*');	/* what does not begin with a slash is judged as if it did, too (match.c) */
	from = rooted;
	for (size_t i = from; i <= in.n; i++) {
		if (i < in.n && in.p[i] != '/')
			continue;
		if (climbs || odd_at(in.p, in.n, from, i - from)) {
			/* "/a/../b" is "/b": no more than the first slash is sure */
			t.n = 1;
			put(&t, '*');
			break;
		}
		put_part(&t, in.p + from, i - from);
		if (i < in.n)
			put(&t, '/');
		from = i + 1;
	}
	finish(&t, out);
}

void learn_shorten(char *text, char sep, unsigned keep, bool last)
{
	char *p = last ? text + strlen(text) : text + (*text == sep);

	for (unsigned k = 0; k < keep; k++) {
		if (last) {
			while (p > text && *--p != sep)
				;
			if (p == text)
				return;		/* it has no more than these */
		} else {
			p = strchr(p, sep);
			if (!p)
				return;
			p++;
		}
	}
	if (!*text || (!last && !*p))
		return;
	if (last) {
		*text = '*';
		memmove(text + 1, p > text ? p : text + 1, strlen(p > text ? p : text + 1) + 1);
	} else {
		strcpy(p, "*");
	}
}

/* ---- names of workloads ---- */

/* What a template's name is followed by (k8s.io/apimachinery, util/rand: no vowels, no 0, 1, 3). */
static bool random_suffix(const char *p, size_t n)
{
	return strspn(p, "bcdfghjklmnpqrstvwxz2456789") >= n;
}

static bool has_digit(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (isdigit((unsigned char)p[i]))
			return true;
	return false;
}

/* Signs of a glob that a name itself has. */
static void put_name(const char *name, size_t n, bool glob, char *out, size_t size)
{
	size_t w = 0;

	for (size_t i = 0; i < n && w + (glob ? 3 : 1) < size; i++)
		out[w++] = strchr("*?[]\\", name[i]) || (unsigned char)name[i] < 0x20 || (unsigned char)name[i] >= 0x7f ? '?' : name[i];
	if (glob) {
		out[w++] = '-';
		out[w++] = '*';
	}
	out[w] = '\0';
}

bool learn_stem(const char *name, char *out, size_t size)
{
	size_t n = strlen(name), stem = n;
	const char *dash = strrchr(name, '-');
	bool glob = false;

	/* "NAME-xxxxx" of a set, "NAME-hhhhhhhhhh-xxxxx" of a deployment; without a digit in either it may be a word */
	if (dash && dash != name && n - (size_t)(dash - name) - 1 == 5 && random_suffix(dash + 1, 5)) {
		size_t end = (size_t)(dash - name), hash = end;

		while (hash > 0 && name[hash - 1] != '-')
			hash--;
		if (hash > 1 && end - hash >= 6 && end - hash <= 10 && random_suffix(name + hash, end - hash)) {
			stem = hash - 1;
			glob = true;
		} else if (has_digit(dash + 1, 5)) {
			stem = end;
			glob = true;
		}
	}
	put_name(name, stem, glob, out, size);
	return glob;
}

bool learn_numbered(const char *name, char *out, size_t size)
{
	const char *dash = strrchr(name, '-');

	if (!dash)
		dash = strrchr(name, '_');
	if (!dash || dash == name || !dash[1] || strspn(dash + 1, "0123456789") != strlen(dash + 1))
		return false;
	snprintf(out, size, "%.*s*", (int)(dash - name + 1), name);
	return true;
}
