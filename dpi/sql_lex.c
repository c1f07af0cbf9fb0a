/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/sql_lex.h"

static bool is_digit(uint8_t b) { return b >= '0' && b <= '9'; }

static bool is_word(uint8_t b)
{
	return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || is_digit(b) || b == '_' || b == '$' || b >= 0x80;
}

/* A carriage return ends a line in PostgreSQL and Cassandra, in MySQL it does not; elsewhere who knows. */
static void to_line_end(struct sql_lex *l)
{
	size_t n = 0;

	while (n < cur_left(&l->c) && cur_peek(&l->c, n) != '\n') {
		if (cur_peek(&l->c, n++) != '\r' || l->dialect == SQL_MYSQL)
			continue;
		if (l->dialect == SQL_PGSQL || l->dialect == SQL_CQL)
			break;
		l->unsure |= n < cur_left(&l->c) && cur_peek(&l->c, n) != '\n';
	}
	cur_skip(&l->c, n);
}

/* Behind the opening of a comment. They nest in PostgreSQL, SQL Server and Db2, not in MySQL and Oracle. */
static void to_comment_end(struct sql_lex *l, bool conditional)
{
	unsigned depth = 1;

	while (depth && cur_more(&l->c)) {
		if (cur_starts(&l->c, "*/", 2)) {
			cur_skip(&l->c, 2);
			depth--;
		} else if (l->dialect != SQL_MYSQL && cur_starts(&l->c, "/*", 2)) {
			cur_skip(&l->c, 2);
			depth++;
			l->unsure |= l->dialect == SQL_ANSI;
		} else {
			l->unsure |= conditional && cur_starts(&l->c, "/*", 2);
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

/* A conditional comment of MySQL: what stands in it is run, or where it hangs on a version (5 or 6 digits), may be. False: it is passed over. */
static bool condition(struct sql_lex *l)
{
	unsigned digits = 0;
	bool maria = cur_peek(&l->c, 2) != '!';

	cur_skip(&l->c, maria ? 4 : 3);
	for (; is_digit(cur_peek(&l->c, 0)); digits++)
		cur_skip(&l->c, 1);
	l->unsure |= (digits && digits < 5) || digits > 6 || (digits == 6 && cur_peek(&l->c, 0) > ' ');
	if (!digits && !maria)
		return true;
	if (l->nconditional == SQL_CONDITIONAL_MAX) {
		l->unsure = true;
		return true;
	}
	return !(l->passed >> l->nconditional++ & 1);
}

/* Spaces and comments. */
static void to_token(struct sql_lex *l)
{
	while (cur_more(&l->c)) {
		if (cur_peek(&l->c, 0) <= ' ') {
			cur_skip(&l->c, 1);
		} else if (dashes(l) || (l->dialect == SQL_MYSQL && cur_peek(&l->c, 0) == '#') || (l->dialect == SQL_CQL && cur_starts(&l->c, "//", 2))) {
			to_line_end(l);
		} else if (l->dialect == SQL_MYSQL && (cur_starts(&l->c, "/*!", 3) || cur_starts(&l->c, "/*M!", 4))) {
			if (!condition(l))
				to_comment_end(l, true);
		} else if (cur_starts(&l->c, "/*", 2)) {
			cur_skip(&l->c, 2);
			to_comment_end(l, false);
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

/* Oracle's q'[...]', q'!...!': behind the quote. */
static void alternative(struct sql_lex *l)
{
	static const char opens[] = "[{(<", closes[] = "]})>";
	uint8_t close = cur_u8(&l->c);
	const char *at = close ? strchr(opens, close) : NULL;

	if (at)
		close = (uint8_t)closes[at - opens];
	l->b = (struct bytes){ l->c.pos, 0 };
	while (cur_more(&l->c) && !(cur_peek(&l->c, 0) == close && cur_peek(&l->c, 1) == '\''))
		cur_skip(&l->c, 1);
	l->b.n = (size_t)(l->c.pos - l->b.p);
	cur_skip(&l->c, cur_left(&l->c) < 2 ? cur_left(&l->c) : 2);
	l->kind = SQL_STRING;
}

/* Servers take some letters for spaces: the no-break one of Latin 1, those of Unicode. */
static bool has_space(enum sql_dialect d, struct bytes b)
{
	if (d == SQL_MYSQL)
		return memchr(b.p, 0xa0, b.n);
	if (d != SQL_TSQL)
		return false;
	for (size_t i = 0; i + 1 < b.n; i++) {
		uint8_t a = b.p[i], z = b.p[i + 1];

		if ((a == 0xc2 && (z == 0x85 || z == 0xa0)) || (a == 0xe1 && z == 0x9a) || (a == 0xe2 && (z == 0x80 || z == 0x81)) || (a == 0xe3 && z == 0x80) || (a == 0xef && z == 0xbb))
			return true;
	}
	return false;
}

/* Digits, 0x..., 0b..., 1e5; MySQL takes whatever else begins with a digit for a name. */
static bool is_number(struct bytes b)
{
	size_t i = 0;

	if (b.n > 2 && b.p[0] == '0' && (b.p[1] == 'x' || b.p[1] == 'b'))
		return true;
	while (i < b.n && is_digit(b.p[i]))
		i++;
	if (i < b.n && (b.p[i] | 0x20) == 'e')
		for (i++; i < b.n && is_digit(b.p[i]); i++)
			;
	return i == b.n;
}

static void word(struct sql_lex *l)
{
	bool ascii = true;

	l->b.p = l->c.pos;
	while (cur_more(&l->c) && is_word(cur_peek(&l->c, 0)))
		ascii &= cur_u8(&l->c) < 0x80;
	l->b.n = (size_t)(l->c.pos - l->b.p);
	l->kind = is_digit(l->b.p[0]) && (l->dialect != SQL_MYSQL || is_number(l->b)) ? SQL_NUMBER : SQL_WORD;
	if (!ascii)
		l->unsure |= has_space(l->dialect, l->b);
	/* U&"\0061b": a name in escapes */
	if (l->dialect == SQL_PGSQL && l->b.n == 1 && (l->b.p[0] | 0x20) == 'u' && cur_starts(&l->c, "&\"", 2))
		l->unsure = true;
	if (l->dialect == SQL_ANSI && cur_peek(&l->c, 0) == '\'' && l->b.n <= 2 && (l->b.p[l->b.n - 1] | 0x20) == 'q' && (l->b.n == 1 || (l->b.p[0] | 0x20) == 'n')) {
		cur_skip(&l->c, 1);
		alternative(l);
	}
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

void sql_lex_begin(struct sql_lex *l, enum sql_dialect dialect, struct bytes text, uint8_t passed)
{
	l->c = cur_of(text.p, text.n);
	l->dialect = dialect;
	l->passed = passed;
	l->nconditional = 0;
	l->unsure = false;
	sql_lex_next(l);
}
