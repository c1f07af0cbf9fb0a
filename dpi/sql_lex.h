/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sql_lex: the words of a statement, one after the other. Each byte is looked at a constant number of times. */
#ifndef TQ_DPI_SQL_LEX_H
#define TQ_DPI_SQL_LEX_H

#include "dpi/sql.h"

#define SQL_CONDITIONAL_MAX 3u

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
	uint8_t passed;		/* bits of the comments of MySQL that hang on a version: these are not run */
	uint8_t nconditional;	/* how many there were */
	bool unsure;		/* a server may read it in another way */
	/* the token at hand */
	enum sql_kind kind;
	struct bytes b;
	uint8_t mark;
};

void sql_lex_begin(struct sql_lex *l, enum sql_dialect dialect, struct bytes text, uint8_t passed);	/* the first token is at hand then */
void sql_lex_next(struct sql_lex *l);

#endif
