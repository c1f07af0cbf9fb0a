/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/sql_lex.h"

static bool is_digit(uint8_t b) { return b >= '0' && b <= '9'; }

static bool is_word(uint8_t b)
{
	return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || is_digit(b) || b == '_' || b == '$' || b >= 0x80;
}

static void to_line_end(struct cursor *c)
{
	size_t n = cur_find(c, '\n');

	cur_skip(c, n == SIZE_MAX ? cur_left(c) : n + 1);
}

/* Behind the opening of a comment. They nest everywhere but in MySQL. */
static void to_comment_end(struct sql_lex *l)
{
	unsigned depth = 1;

	while (depth && cur_more(&l->c)) {
		if (cur_starts(&l->c, "*/", 2)) {
			cur_skip(&l->c, 2);
			depth--;
		} else if (l->dialect != SQL_MYSQL && cur_starts(&l->c, "/*", 2)) {
			cur_skip(&l->c, 2);
			depth++;
		} else {
			cur_skip(&l->c, 1);
		}
	}
}

/* -- begins a comment, in MySQL only before a space. */
static bool dashes(const struct sql_lex *l)
{
	if (!cur_starts(&l->c, "--", 2))
		return false;
	return l->dialect != SQL_MYSQL || cur_left(&l->c) == 2 || cur_peek(&l->c, 2) <= ' ';
}

/* Spaces and comments. What stands in a conditional comment of MySQL is run: only its marks are passed over. */
static void to_token(struct sql_lex *l)
{
	while (cur_more(&l->c)) {
		if (cur_peek(&l->c, 0) <= ' ') {
			cur_skip(&l->c, 1);
		} else if (dashes(l) || (l->dialect == SQL_MYSQL && cur_peek(&l->c, 0) == '#') || (l->dialect == SQL_CQL && cur_starts(&l->c, "//", 2))) {
			to_line_end(&l->c);
		} else if (l->dialect == SQL_MYSQL && (cur_starts(&l->c, "/*!", 3) || cur_starts(&l->c, "/*M!", 4))) {
			cur_skip(&l->c, cur_peek(&l->c, 2) == '!' ? 3 : 4);
			while (is_digit(cur_peek(&l->c, 0)))
				cur_skip(&l->c, 1);
		} else if (cur_starts(&l->c, "/*", 2)) {
			cur_skip(&l->c, 2);
			to_comment_end(l);
		} else if (l->dialect == SQL_MYSQL && cur_starts(&l->c, "*/", 2)) {
			cur_skip(&l->c, 2);
		} else {
			return;
		}
	}
}

/* Behind the opening quote, to behind the closing one; doubled quotes do not close. What stands between. */
static struct bytes quoted(struct sql_lex *l, uint8_t close, bool backslash)
{
	struct bytes b = { l->c.pos, 0 };

	while (cur_more(&l->c)) {
		uint8_t ch = cur_u8(&l->c);

		if (ch == close) {
			if (cur_peek(&l->c, 0) != close || !cur_left(&l->c)) {
				b.n = (size_t)(l->c.pos - b.p) - 1;
				return b;
			}
			cur_skip(&l->c, 1);
		} else if (ch == '\\' && backslash && cur_left(&l->c)) {
			cur_skip(&l->c, 1);
		}
	}
	b.n = (size_t)(l->c.pos - b.p);
	return b;
}

/* $tag$ ... $tag$. False: no such thing stands here. A text that does not end is a string to the end. */
static bool dollars(struct sql_lex *l)
{
	struct cursor ahead = l->c;
	struct bytes tag;
	size_t n = 1;

	while (n < 66 && n < cur_left(&ahead) && is_word(cur_peek(&ahead, n)) && cur_peek(&ahead, n) != '$')
		n++;
	if (cur_peek(&ahead, n) != '$' || is_digit(cur_peek(&ahead, 1)))
		return false;
	tag = cur_bytes(&ahead, n + 1);
	l->kind = SQL_STRING;
	l->b = (struct bytes){ ahead.pos, 0 };
	for (size_t at; (at = cur_find(&ahead, '$')) != SIZE_MAX;) {
		cur_skip(&ahead, at);
		if (cur_starts(&ahead, tag.p, tag.n)) {
			cur_skip(&ahead, tag.n);
			l->c = ahead;
			return true;
		}
		cur_skip(&ahead, 1);
	}
	cur_rest(&l->c);
	return true;
}

static void word(struct sql_lex *l)
{
	l->b.p = l->c.pos;
	while (cur_more(&l->c) && is_word(cur_peek(&l->c, 0)))
		cur_skip(&l->c, 1);
	l->b.n = (size_t)(l->c.pos - l->b.p);
	l->kind = is_digit(l->b.p[0]) ? SQL_NUMBER : SQL_WORD;
	if (l->dialect == SQL_PGSQL && l->b.n == 1 && (l->b.p[0] | 0x20) == 'e' && cur_peek(&l->c, 0) == '\'') {
		cur_skip(&l->c, 1);
		l->b = quoted(l, '\'', true);
		l->kind = SQL_STRING;
	}
}

void sql_lex_next(struct sql_lex *l)
{
	uint8_t ch;

	to_token(l);
	l->mark = 0;
	if (!cur_left(&l->c)) {
		l->kind = SQL_END;
		return;
	}
	ch = cur_peek(&l->c, 0);
	if (ch == '$' && l->dialect == SQL_PGSQL && dollars(l))
		return;
	if (is_word(ch)) {
		word(l);
		return;
	}
	cur_skip(&l->c, 1);
	switch (ch) {
	case '\'':
		l->kind = SQL_STRING;
		l->b = quoted(l, '\'', l->dialect == SQL_MYSQL);
		return;
	case '"':	/* in MySQL a name only under ANSI_QUOTES: both are read as one, a string is no table where tables stand */
		l->kind = SQL_NAME;
		l->b = quoted(l, '"', l->dialect == SQL_MYSQL);
		return;
	case '`':
		l->kind = SQL_NAME;
		l->b = quoted(l, '`', false);
		return;
	case '[':
		if (l->dialect == SQL_TSQL) {
			l->kind = SQL_NAME;
			l->b = quoted(l, ']', false);
			return;
		}
		break;
	default:
		break;
	}
	l->kind = SQL_MARK;
	l->mark = ch;
}

void sql_lex_begin(struct sql_lex *l, enum sql_dialect dialect, struct bytes text)
{
	l->c = cur_of(text.p, text.n);
	l->dialect = dialect;
	sql_lex_next(l);
}
