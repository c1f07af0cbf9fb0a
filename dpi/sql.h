/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sql: what a statement does and to which tables, read by its words alone (no grammar).
 *
 * Bounded and linear in the text. Comments, strings and quoted names of the dialect are stepped over; what a server would run
 * inside them (the conditional comments of MySQL) is read, and where it is not the same without what hangs on a version, it is `partial`.
 * Names of common table expressions and of functions are no tables.
 * A text that was cut is read as far as it goes, and what it says is told to be `partial`. */
#ifndef TQ_DPI_SQL_H
#define TQ_DPI_SQL_H

#include "dpi/record.h"

#define SQL_VERBS_MAX 8u
#define SQL_TABLES_MAX 16u
#define SQL_NAMES_ROOM 1024u

enum sql_dialect { SQL_MYSQL, SQL_PGSQL, SQL_TSQL, SQL_CQL, SQL_ANSI };

struct sql {
	const char *verb[SQL_VERBS_MAX];	/* in capitals, one a statement, OTHER where its first word is not known; constants */
	uint8_t nverbs;
	uint8_t ntables;
	bool partial;				/* there were more verbs or tables than have room, brackets too deep to look into, or what servers read in several ways,
						 * or run as a text that stands in another (DO, EXEC ('...'), PREPARE ... FROM) */
	struct bytes database;			/* of USE, in the text as written; n 0: none */
	uint16_t from[SQL_TABLES_MAX + 1];	/* table i is names[from[i]..from[i + 1]); as written, without quotes, parts joined by dots */
	char names[SQL_NAMES_ROOM];
};

void sql_read(struct sql *out, enum sql_dialect dialect, struct bytes text);

/* The facts of a statement: the first verb, all of them where there are several, the tables, and whether these are not all. */
struct sql_facts {
	const struct fact *operation, *operations, *tables;
	const struct fact *database;	/* of USE; NULL: the dialect has none */
};
/* cut: the statement goes on behind the text (one that is longer than a record tells of is taken as cut). */
void sql_tell(struct record *r, const struct sql_facts *f, enum sql_dialect dialect, struct bytes text, bool cut);

/* The text begins (after spaces and comments) with a word that begins statements. */
bool sql_begins(enum sql_dialect dialect, struct bytes text);

#endif
