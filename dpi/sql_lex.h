/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sql_lex: the words of a statement, one after the other. Each byte is looked at a constant number of times. */
#ifndef TQ_DPI_SQL_LEX_H
#define TQ_DPI_SQL_LEX_H

#include "dpi/sql.h"

enum sql_kind {
	SQL_END,
	SQL_WORD,	/* unquoted: a keyword or a name */
	SQL_NAME,	/* a quoted name; b is what stands between the quotes */
	SQL_STRING,
	SQL_MARK,	/* one character */
	SQL_NUMBER
};

struct sql_lex {
	struct cursor c;
	enum sql_dialect dialect;
	/* the token at hand */
	enum sql_kind kind;
	struct bytes b;
	uint8_t mark;
};

void sql_lex_begin(struct sql_lex *l, enum sql_dialect dialect, struct bytes text);	/* the first token is at hand then */
void sql_lex_next(struct sql_lex *l);

#endif
