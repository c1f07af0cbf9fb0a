/* SPDX-License-Identifier: GPL-2.0-or-later */
/* line: protocols that speak in lines: the next line, its words. Every byte is looked over once. */
#ifndef TQ_DPI_PROTO_LINE_H
#define TQ_DPI_PROTO_LINE_H

#include "base/cursor.h"
#include "dpi/proto.h"

/* The line at the position, without its ending. *scanned: bytes at the position that hold no LF, kept by the caller (0 at first).
 * BAD: max bytes and no end; nothing is consumed. */
static inline enum parse line_next(struct cursor *in, uint32_t *scanned, size_t max, struct bytes *line)
{
	struct cursor ahead = *in;
	size_t lf;

	cur_skip(&ahead, *scanned);
	lf = cur_find(&ahead, '\n');
	if ((lf == SIZE_MAX ? cur_left(in) : *scanned + lf) >= max)
		return PARSE_BAD;
	if (lf == SIZE_MAX) {
		*scanned = (uint32_t)cur_left(in);
		return PARSE_MORE;
	}
	*scanned = 0;
	cur_line(in, line);
	return PARSE_DONE;
}

/* The next word, spaces and tabs before it dropped; n 0: none. */
static inline struct bytes line_word(struct cursor *c)
{
	size_t n = 0;

	while (cur_peek(c, 0) == ' ' || cur_peek(c, 0) == '\t')
		cur_skip(c, 1);
	while (n < cur_left(c) && cur_peek(c, n) != ' ' && cur_peek(c, n) != '\t')
		n++;
	return cur_bytes(c, n);
}

/* The rest of the line without the spaces around it. */
static inline struct bytes line_rest(struct cursor *c)
{
	struct bytes b;

	while (cur_peek(c, 0) == ' ' || cur_peek(c, 0) == '\t')
		cur_skip(c, 1);
	b = cur_rest(c);
	while (b.n && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
		b.n--;
	return b;
}

static inline uint8_t line_upper(uint8_t b) { return b >= 'a' && b <= 'z' ? (uint8_t)(b - 32) : b; }

/* Whether the bytes are that word (given in capitals), whatever their case. */
static inline bool line_is(struct bytes b, const char *word)
{
	size_t n = strlen(word);

	if (b.n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (line_upper(b.p[i]) != (uint8_t)word[i])
			return false;
	return true;
}

/* Whether they begin with it. */
static inline bool line_begins(struct bytes b, const char *word)
{
	size_t n = strlen(word);

	return b.n >= n && line_is((struct bytes){ b.p, n }, word);
}

/* Whether they may still become it: a beginning of the word, or all of it. */
static inline bool line_may(struct bytes b, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i < b.n && i < n; i++)
		if (line_upper(b.p[i]) != (uint8_t)word[i])
			return false;
	return true;
}

/* Which of the words (NULL-terminated) b is, or -1. */
static inline int line_which(struct bytes b, const char *const *words)
{
	for (int i = 0; words[i]; i++)
		if (line_is(b, words[i]))
			return i;
	return -1;
}

/* A decimal number that fills b; UINT64_MAX: it is none, or has more than 18 digits. */
static inline uint64_t line_number(struct bytes b)
{
	uint64_t v = 0;

	if (!b.n || b.n > 18)
		return UINT64_MAX;
	for (size_t i = 0; i < b.n; i++) {
		if (b.p[i] < '0' || b.p[i] > '9')
			return UINT64_MAX;
		v = v * 10 + (uint64_t)(b.p[i] - '0');
	}
	return v;
}

/* Three digits, then a space, '-' or the end: their number; 0: none. */
static inline unsigned line_code(struct bytes b)
{
	uint64_t v = line_number((struct bytes){ b.p, b.n < 3 ? b.n : 3 });

	return b.n >= 3 && v >= 100 && v <= 999 && (b.n == 3 || b.p[3] == ' ' || b.p[3] == '-') ? (unsigned)v : 0;
}

/* Whether what is there (up to a first LF) is text: no control characters but tab and CR. */
static inline bool line_text(const struct cursor *c)
{
	for (size_t i = 0; i < cur_left(c); i++) {
		uint8_t b = cur_peek(c, i);

		if (b == '\n')
			return true;
		if ((b < ' ' && b != '\t' && b != '\r') || b == 0x7f)
			return false;
	}
	return true;
}

/* Text that ends with a line of one dot. *inside: the position is not at the beginning of a line. DONE: the end is consumed;
 * MORE: it is not there yet (what was passed is consumed). */
static inline enum parse line_dot_text(struct cursor *in, bool *inside)
{
	while (cur_more(in)) {
		size_t lf = cur_find(in, '\n'), n = lf == SIZE_MAX ? cur_left(in) : lf;
		bool dot = !*inside && cur_peek(in, 0) == '.' && (n == 1 || (n == 2 && cur_peek(in, 1) == '\r'));

		if (lf == SIZE_MAX && dot)
			return PARSE_MORE;
		cur_skip(in, lf == SIZE_MAX ? n : n + 1);
		*inside = lf == SIZE_MAX;
		if (dot)
			return PARSE_DONE;
	}
	return PARSE_MORE;
}

/* Whether the word (in capitals) is in the text. */
static inline bool line_has(struct bytes b, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= b.n; i++)
		if (line_upper(b.p[i]) == (uint8_t)word[0] && line_is((struct bytes){ b.p + i, n }, word))
			return true;
	return false;
}

/* What a server says first: a whole line of text. YES: *line is it. */
static inline enum probe line_first(struct cursor c, size_t max, struct bytes *line)
{
	if (!line_text(&c))
		return PROBE_NO;
	if (cur_line(&c, line))
		return line->n < max ? PROBE_YES : PROBE_NO;
	return cur_left(&c) < max ? PROBE_MORE : PROBE_NO;
}

/* A client whose server is not heard: a line that begins with `first`, and a later one with one of the words. */
static inline bool line_alone(struct cursor c, const char *first, const char *const *words)
{
	struct bytes line;
	bool begun = false;

	while (cur_line(&c, &line)) {
		struct cursor l = cur_of(line.p, line.n);

		if (begun && line_which(line_word(&l), words) >= 0)
			return true;
		begun = begun || line_begins(line, first);
	}
	return false;
}

#endif
