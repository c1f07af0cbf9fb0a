/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sql: tables stand after few words (FROM, JOIN, INTO, UPDATE, TABLE, ...), in lists where commas part them.
 *
 * Three things are known of each level of brackets: whether a list of tables is open there, and whether a statement with FROM
 * began there (EXTRACT(YEAR FROM x) has none). Levels beyond LEVELS_MAX are passed over. FROM f(x) is a function, no table.
 *
 * Statements stand in others too: behind a bracket (COPY (DELETE ...), a common table expression), behind PREPARE p AS, and where the dialect
 * needs nothing between two of them (SQL Server, blocks of PL/SQL): their verbs and tables are read as well. */
#include "dpi/sql.h"

#include "dpi/sql_lex.h"

#define LEVELS_MAX 32u
#define CTES_MAX 8u
#define WORD_MAX 14u

enum word {
	W_NONE,		/* any other word */
	W_VERB,		/* from here to W_UPKEEP: begins a statement; this one means nothing else here */
	W_SELECT, W_WITH, W_INSERT, W_UPDATE, W_DELETE, W_CREATE, W_DROP, W_ALTER, W_TRUNCATE, W_RENAME, W_LOCK, W_COPY, W_DESCRIBE, W_EXPLAIN, W_UPKEEP,
	W_FROM, W_JOIN, W_INTO, W_TABLE, W_VIEW, W_INDEX, W_ON, W_USING, W_TO, W_DISTINCT,
	W_FILLER,	/* may stand between the word and its table */
	W_CLOSES	/* ends a list of tables */
};

static const struct keyword {
	const char *name;
	enum word word;
} keywords[] = {	/* in order */
	{ "ALTER", W_ALTER }, { "ANALYZE", W_UPKEEP }, { "APPLY", W_VERB }, { "BATCH", W_VERB }, { "BEGIN", W_VERB }, { "CALL", W_VERB }, { "CHECK", W_UPKEEP },
	{ "CHECKPOINT", W_VERB }, { "CLOSE", W_VERB }, { "COMMIT", W_VERB }, { "CONCURRENTLY", W_FILLER }, { "COPY", W_COPY }, { "CREATE", W_CREATE },
	{ "DEALLOCATE", W_VERB }, { "DECLARE", W_VERB }, { "DELAYED", W_FILLER }, { "DELETE", W_DELETE }, { "DESC", W_DESCRIBE },
	{ "DESCRIBE", W_DESCRIBE }, { "DISCARD", W_VERB }, { "DISTINCT", W_DISTINCT }, { "DO", W_VERB }, { "DROP", W_DROP }, { "DUMPFILE", W_CLOSES },
	{ "END", W_VERB }, { "EXCEPT", W_CLOSES }, { "EXEC", W_VERB }, { "EXECUTE", W_VERB }, { "EXISTS", W_FILLER }, { "EXPLAIN", W_EXPLAIN },
	{ "FETCH", W_VERB }, { "FLUSH", W_VERB }, { "FOR", W_CLOSES }, { "FROM", W_FROM }, { "GRANT", W_VERB }, { "GROUP", W_CLOSES },
	{ "HANDLER", W_VERB }, { "HAVING", W_CLOSES }, { "IF", W_FILLER }, { "IGNORE", W_FILLER }, { "INDEX", W_INDEX }, { "INSERT", W_INSERT },
	{ "INTERSECT", W_CLOSES }, { "INTO", W_INTO }, { "JOIN", W_JOIN }, { "KILL", W_VERB }, { "LATERAL", W_FILLER }, { "LIMIT", W_CLOSES },
	{ "LISTEN", W_VERB }, { "LOAD", W_VERB }, { "LOCK", W_LOCK }, { "LOW_PRIORITY", W_FILLER }, { "MERGE", W_INSERT }, { "MOVE", W_VERB },
	{ "NOT", W_FILLER }, { "NOTIFY", W_VERB }, { "ON", W_ON }, { "ONLY", W_FILLER }, { "OPEN", W_VERB }, { "OPTIMIZE", W_UPKEEP },
	{ "ORDER", W_CLOSES }, { "OUTFILE", W_CLOSES }, { "PREPARE", W_VERB }, { "QUICK", W_FILLER }, { "REINDEX", W_VERB }, { "RELEASE", W_VERB },
	{ "RENAME", W_RENAME }, { "REPAIR", W_UPKEEP }, { "REPLACE", W_INSERT }, { "RESET", W_VERB }, { "RETURNING", W_CLOSES }, { "REVOKE", W_VERB },
	{ "ROLLBACK", W_VERB }, { "SAVEPOINT", W_VERB }, { "SELECT", W_SELECT }, { "SET", W_CLOSES }, { "SHOW", W_VERB }, { "START", W_VERB },
	{ "TABLE", W_TABLE }, { "TABLES", W_TABLE }, { "TO", W_TO }, { "TRIGGER", W_INDEX }, { "TRUNCATE", W_TRUNCATE }, { "UNION", W_CLOSES },
	{ "UNLISTEN", W_VERB }, { "UNLOCK", W_VERB }, { "UPDATE", W_UPDATE }, { "USE", W_VERB }, { "USING", W_USING }, { "VACUUM", W_UPKEEP },
	{ "VALUES", W_CLOSES }, { "VIEW", W_VIEW }, { "WHERE", W_CLOSES }, { "WINDOW", W_CLOSES }, { "WITH", W_WITH }, { "XA", W_VERB },
};

static bool begins(const struct keyword *k)
{
	if (k->word == W_CLOSES)
		return strcmp(k->name, "SET") == 0 || strcmp(k->name, "VALUES") == 0;
	return (k->word >= W_VERB && k->word <= W_UPKEEP) || (k->word == W_TABLE && !k->name[5]);
}

static const struct keyword *keyword_of(struct bytes b)
{
	static const struct keyword none = { "", W_NONE };
	char up[WORD_MAX + 1];
	size_t lo = 0, hi = sizeof(keywords) / sizeof(keywords[0]);

	if (b.n > WORD_MAX)
		return &none;
	for (size_t i = 0; i < b.n; i++)
		up[i] = (char)(b.p[i] >= 'a' && b.p[i] <= 'z' ? b.p[i] - 32 : b.p[i]);
	up[b.n] = '\0';
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(up, keywords[mid].name);

		if (!c)
			return &keywords[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return &none;
}

enum expect { EXPECT_NONE, EXPECT_TARGET, EXPECT_SOURCE, EXPECT_LIST };	/* a table; a table or a function; the same, and more after commas */

struct reader {
	struct sql_lex lex;
	struct sql *out;
	uint32_t lists, froms;		/* bit per level */
	uint32_t level;
	enum expect expect;
	enum word verb;			/* of this statement */
	enum word prev;			/* the word before; W_NONE after anything else */
	bool start;			/* the statement's first word is awaited */
	bool index;			/* CREATE INDEX: its table stands after ON */
	bool use;			/* USE: a database's name is awaited */
	bool opened;			/* a bracket stands before the token at hand ... */
	bool queries;			/* ... and AS before it */
	bool top;			/* a table is awaited behind TOP (n) */
	bool explains;			/* the verb behind it is not carried out, unless it writes */
	bool body;			/* CREATE PROCEDURE and the like: what follows is not run now */
	bool with;			/* in the list of common table expressions ... */
	bool cte_next;			/* ... where a name is awaited ... */
	bool recursive;			/* ... that holds in its own expression */
	uint32_t with_level, top_level;
	const char *name;		/* of the statement's verb */
	struct bytes last;		/* the word before; n 0: something else */
	uint8_t nctes;
	struct bytes cte[CTES_MAX];
};

static uint32_t bit(const struct reader *r) { return r->level < LEVELS_MAX ? 1u << r->level : 0; }

static bool same_name(struct bytes a, const uint8_t *p, size_t n)
{
	if (a.n != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint8_t x = a.p[i], y = p[i];

		if (x != y && !((x | 0x20) == (y | 0x20) && (x | 0x20) >= 'a' && (x | 0x20) <= 'z'))
			return false;
	}
	return true;
}

static bool is_word(struct bytes b, const char *word) { return same_name(b, (const uint8_t *)word, strlen(word)); }

static bool is_one_of(struct bytes b, const char *const words[], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (is_word(b, words[i]))
			return true;
	return false;
}

#define ONE_OF(b, words) is_one_of(b, words, sizeof(words) / sizeof((words)[0]))

/* Names of common table expressions that hold here: without RECURSIVE one is a table yet in its own expression. */
static unsigned ctes_here(const struct reader *r)
{
	return r->nctes - (r->nctes && r->with && !r->recursive && r->level > r->with_level ? 1u : 0u);
}

/* The name that begins at the token at hand, with its parts; told when it is a table. */
static void table_read(struct reader *r, bool may_call)
{
	struct sql *o = r->out;
	uint16_t from = o->from[o->ntables], to = from;
	bool fits = o->ntables < SQL_TABLES_MAX, parts = false;
	struct bytes first = r->lex.b;

	for (;;) {
		if (r->lex.b.n > (size_t)(SQL_NAMES_ROOM - 1 - to))
			fits = false;
		if (fits) {
			memcpy(o->names + to, r->lex.b.p, r->lex.b.n);
			to = (uint16_t)(to + r->lex.b.n);
		}
		sql_lex_next(&r->lex);
		while (r->lex.mark == '.') {
			if (fits)
				o->names[to++] = '.';
			fits = fits && to < SQL_NAMES_ROOM - 1;
			parts = true;
			sql_lex_next(&r->lex);
		}
		if (!parts || o->names[to ? to - 1 : 0] != '.' || (r->lex.kind != SQL_WORD && r->lex.kind != SQL_NAME && r->lex.kind != SQL_NUMBER))
			break;
	}
	if (may_call && r->lex.mark == '(')
		return;
	o->partial |= !fits;
	if (!fits || to == from)
		return;
	for (unsigned i = 0, n = ctes_here(r); !parts && i < n; i++)
		if (same_name(r->cte[i], first.p, first.n))
			return;
	for (unsigned i = 0; i < o->ntables; i++)
		if (o->from[i + 1] - o->from[i] == to - from && memcmp(o->names + o->from[i], o->names + from, (size_t)(to - from)) == 0)
			return;
	o->from[++o->ntables] = to;
}

static void statement_begins(struct reader *r)
{
	r->lists = r->froms = 0;
	r->level = 0;
	r->expect = EXPECT_NONE;
	r->verb = r->prev = W_NONE;
	r->start = true;
	r->index = r->with = r->use = r->opened = r->queries = r->top = r->explains = r->body = false;
	r->name = "";
	r->last = (struct bytes){ NULL, 0 };
	r->nctes = 0;
}

static void verb_add(struct reader *r, const char *name)
{
	if (r->out->nverbs < SQL_VERBS_MAX)
		r->out->verb[r->out->nverbs++] = name;
	else
		r->out->partial = true;
}

static bool writes(enum word w) { return w == W_INSERT || w == W_UPDATE || w == W_DELETE; }

static void with_begins(struct reader *r)
{
	r->with = r->cte_next = true;
	r->recursive = false;
	r->with_level = r->level;
}

/* What is run stands in a string, or in a variable. */
static bool runs_text(const struct reader *r, const struct keyword *k)
{
	enum sql_dialect d = r->lex.dialect;

	if (strcmp(k->name, "DO") == 0)
		return d == SQL_PGSQL;
	if (strcmp(k->name, "PREPARE") == 0)
		return d == SQL_MYSQL;
	if (strcmp(k->name, "EXEC") == 0 || strcmp(k->name, "EXECUTE") == 0)
		return r->lex.mark == '(' || r->lex.kind == SQL_STRING || (r->lex.kind == SQL_WORD && is_word(r->lex.b, "IMMEDIATE"));
	return false;
}

static void verb_is(struct reader *r, const struct keyword *k)
{
	r->start = r->with = false;
	r->verb = k->word;
	r->name = k->name;
	if (k->word == W_WITH) {
		with_begins(r);
		return;
	}
	r->out->partial |= runs_text(r, k);
	if (!r->explains || writes(k->word))
		verb_add(r, begins(k) ? k->name : "OTHER");
	r->explains |= k->word == W_EXPLAIN;
	r->use = r->verb == W_VERB && strcmp(k->name, "USE") == 0;
}

/* TABLE, VIEW: what may follow depends on the verb. */
static enum expect after_table(const struct reader *r, enum word w)
{
	enum word v = r->verb;

	if (v == W_CREATE || v == W_ALTER || v == W_TABLE || v == W_DESCRIBE || v == W_EXPLAIN)
		return EXPECT_TARGET;
	if (v == W_DROP || v == W_RENAME || v == W_LOCK || v == W_TRUNCATE || v == W_UPKEEP)
		return w == W_VIEW ? EXPECT_TARGET : EXPECT_LIST;
	return EXPECT_NONE;
}

/* TABLE t in place of SELECT * FROM t. */
static bool table_is_query(const struct reader *r, const struct keyword *k)
{
	static const char *const sets[] = { "UNION", "EXCEPT", "INTERSECT", "ALL", "DISTINCT", "FOR", "AS" };

	return strcmp(k->name, "TABLE") == 0 && (r->opened || r->verb == W_INSERT || ONE_OF(r->last, sets));
}

static bool next_is(const struct reader *r, enum word w) { return r->lex.kind == SQL_WORD && keyword_of(r->lex.b)->word == w; }

/* DELETE, INSERT, UPDATE: what table. */
static void changes(struct reader *r, enum word w)
{
	bool short_delete = (r->lex.dialect == SQL_TSQL || r->lex.dialect == SQL_ANSI) && !next_is(r, W_FROM);

	if (w == W_DELETE)
		r->froms |= bit(r);
	r->top = r->lex.dialect == SQL_TSQL && r->lex.kind == SQL_WORD && is_word(r->lex.b, "TOP");
	r->top_level = r->level;
	if (!r->top && (w != W_DELETE || short_delete))
		r->expect = w == W_UPDATE ? EXPECT_LIST : EXPECT_TARGET;
}

/* A keyword where no table is awaited. `first`: it begins the statement, or is the verb behind WITH or EXPLAIN. */
static void keyword_meets(struct reader *r, const struct keyword *k, bool first)
{
	enum word before = r->prev;

	switch (k->word) {
	case W_SELECT:
		r->froms |= bit(r);
		r->lists &= ~bit(r);
		break;
	case W_DELETE: case W_INSERT: case W_UPDATE:
		if (first)
			changes(r, k->word);
		break;
	case W_COPY: case W_DESCRIBE:
		if (first)
			r->expect = EXPECT_TARGET;
		break;
	case W_TRUNCATE:
		if (first)
			r->expect = r->lex.dialect == SQL_CQL ? EXPECT_TARGET : EXPECT_LIST;
		break;
	case W_FROM:
		if (r->froms & bit(r) && before != W_DISTINCT)
			r->expect = EXPECT_LIST;
		break;
	case W_JOIN:
		r->expect = EXPECT_SOURCE;
		break;
	case W_INTO:
		r->expect = EXPECT_TARGET;
		break;
	case W_TABLE: case W_VIEW:
		if (!r->level)
			r->expect = after_table(r, k->word);
		if (r->expect == EXPECT_NONE && table_is_query(r, k))
			r->expect = EXPECT_TARGET;
		break;
	case W_INDEX:
		r->index = r->verb == W_CREATE || r->verb == W_DROP;
		break;
	case W_ON:
		if (r->index)
			r->expect = EXPECT_TARGET;
		r->index = false;
		break;
	case W_USING:
		if ((r->verb == W_DELETE || r->verb == W_INSERT) && r->lex.mark != '(')
			r->expect = EXPECT_LIST;
		break;
	case W_TO:
		if (r->verb == W_RENAME)
			r->expect = EXPECT_TARGET;
		break;
	case W_CLOSES:
		r->lists &= ~bit(r);
		break;
	case W_NONE: case W_VERB: case W_WITH: case W_CREATE: case W_DROP: case W_ALTER: case W_RENAME: case W_LOCK: case W_EXPLAIN: case W_UPKEEP:
	case W_DISTINCT: case W_FILLER:
		break;
	}
}

/* A name in the list of common table expressions. */
static void cte_is(struct reader *r, struct bytes name)
{
	if (r->cte_next && r->nctes < CTES_MAX)
		r->cte[r->nctes++] = name;
	r->cte_next = false;
}

/* A verb behind a bracket or PREPARE ... AS. The token at hand is the one behind it. */
static bool stands_inside(const struct reader *r, const struct keyword *k)
{
	if (!writes(k->word) || (r->lex.kind != SQL_WORD && r->lex.kind != SQL_NAME))
		return false;	/* REPLACE(...) is a function */
	if (r->opened) {
		if (r->lex.dialect == SQL_TSQL)
			return true;
		if (k->word == W_UPDATE)
			return r->queries || (r->verb != W_CREATE && r->verb != W_ALTER);	/* a column may have the name */
		return next_is(r, k->word == W_DELETE ? W_FROM : W_INTO);
	}
	return is_word(r->last, "AS") && strcmp(r->name, "PREPARE") == 0 && !r->froms;
}

/* Statements that nothing parts from the one before: in SQL Server, and in blocks of others. */
static bool begins_anew(const struct reader *r, const struct keyword *k)
{
	static const char *const belongs[] = { "ON", "FOR", "OF", "AFTER", "BEFORE", "OR", "KEY", "NO", "DENY" };
	static const char *const sets[] = { "UNION", "EXCEPT", "INTERSECT", "ALL", "AS" };
	bool tsql = r->lex.dialect == SQL_TSQL, grants;

	if ((!tsql && r->lex.dialect != SQL_ANSI) || r->level || r->body || r->with || ONE_OF(r->last, belongs))
		return false;
	grants = strcmp(r->name, "GRANT") == 0 || strcmp(r->name, "REVOKE") == 0;
	switch (k->word) {
	case W_SELECT:
		return tsql && !grants && !ONE_OF(r->last, sets) && (r->verb == W_VERB || r->verb == W_CLOSES || r->verb == W_SELECT || r->verb == W_UPDATE || r->verb == W_DELETE ||
			r->verb == W_DROP || r->verb == W_TRUNCATE);
	case W_INSERT:
		return (k->name[0] == 'I' || k->name[0] == 'M') && !grants && r->lex.mark != '(' && !(strcmp(r->name, "MERGE") == 0 && is_word(r->last, "THEN"));
	case W_UPDATE: case W_DELETE:
		return !grants && r->lex.mark != '(' && !(strcmp(r->name, "MERGE") == 0 && is_word(r->last, "THEN"));
	case W_DROP: case W_ALTER: case W_CREATE: case W_TRUNCATE:
		return grants ? (k->word == W_DROP || k->word == W_TRUNCATE) && next_is(r, W_TABLE) : r->verb != W_ALTER || next_is(r, W_TABLE);
	case W_VERB:
		return k->name[0] == 'E' && k->name[1] == 'X' ? !grants : tsql && (strcmp(k->name, "USE") == 0 || k->name[0] == 'G' || strcmp(k->name, "REVOKE") == 0);
	case W_NONE: case W_WITH: case W_RENAME: case W_LOCK: case W_COPY: case W_DESCRIBE: case W_EXPLAIN: case W_UPKEEP: case W_FROM: case W_JOIN: case W_INTO:
	case W_TABLE: case W_VIEW: case W_INDEX: case W_ON: case W_USING: case W_TO: case W_DISTINCT: case W_FILLER: case W_CLOSES:
		break;
	}
	return false;
}

static void word_meets(struct reader *r, struct bytes b)
{
	static const char *const bodies[] = { "PROCEDURE", "PROC", "FUNCTION", "TRIGGER", "PACKAGE", "RULE" };
	const struct keyword *k = keyword_of(b);
	bool first = r->start;

	r->body |= (r->verb == W_CREATE || r->verb == W_ALTER) && ONE_OF(b, bodies);
	if (!first && (stands_inside(r, k) || (r->verb == W_EXPLAIN && !r->level && writes(k->word)))) {
		verb_add(r, k->name);	/* with ANALYZE what is explained is carried out */
		if (r->verb == W_EXPLAIN)
			r->verb = k->word;
		keyword_meets(r, k, true);
		r->prev = k->word;
		return;
	}
	if (!first && begins_anew(r, k)) {
		r->lists = r->froms = 0;
		r->index = r->explains = false;
		r->nctes = 0;
		first = true;
	} else if (r->with && r->level == r->with_level) {
		if (k->word == W_SELECT || writes(k->word) || (k->word == W_TABLE && !k->name[5]))
			first = true;
		else if (r->cte_next && is_word(b, "RECURSIVE"))
			r->recursive = true;
		else
			cte_is(r, b);
	} else if (r->verb == W_EXPLAIN && !r->level && k->word == W_WITH) {
		with_begins(r);
	}
	if (first)
		verb_is(r, k);
	keyword_meets(r, k, first);
	r->prev = k->word;
	if (r->verb == W_VERB && strcmp(k->name, "BATCH") == 0)	/* BEGIN BATCH: its statements follow */
		r->start = true;
}

/* A token where a table is awaited; false: it is none, and to be read as any other. */
static bool table_meets(struct reader *r)
{
	enum expect e = r->expect;
	enum word w;

	switch (r->lex.kind) {
	case SQL_WORD:
		w = keyword_of(r->lex.b)->word;
		if (w == W_FILLER || w == W_TABLE || w == W_INTO || (w == W_FROM && e == EXPECT_TARGET) || (r->lex.dialect == SQL_TSQL && is_word(r->lex.b, "PERCENT"))) {
			r->opened = false;
			sql_lex_next(&r->lex);
			return true;
		}
		if (writes(w) && r->opened)
			break;
		if (w == W_SELECT || w == W_CLOSES || w == W_FROM || w == W_JOIN || w == W_WITH || w == W_ON || w == W_USING)
			break;
		/* fall through */
	case SQL_NAME:
		r->expect = EXPECT_NONE;
		table_read(r, e != EXPECT_TARGET);
		r->opened = false;
		r->last = (struct bytes){ NULL, 0 };
		if (e == EXPECT_LIST)
			r->lists |= bit(r);
		r->prev = W_NONE;
		return true;
	case SQL_MARK:
		if (r->lex.mark == '(' && e != EXPECT_TARGET) {
			if (e == EXPECT_LIST)
				r->lists |= bit(r);
			r->level++;
			r->lists &= ~bit(r);
			r->froms &= ~bit(r);
			r->opened = true;
			sql_lex_next(&r->lex);
			return true;
		}
		break;
	case SQL_END: case SQL_STRING: case SQL_NUMBER:
		break;
	}
	r->expect = EXPECT_NONE;
	return false;
}

static void mark_meets(struct reader *r, uint8_t mark)
{
	switch (mark) {
	case ';':
		statement_begins(r);
		return;
	case '(':
		r->level++;
		r->out->partial |= r->level >= LEVELS_MAX;
		r->lists &= ~bit(r);
		r->froms &= ~bit(r);
		break;
	case ')':
		if (r->level)
			r->level--;
		if (r->top && r->level == r->top_level) {
			r->expect = EXPECT_TARGET;
			r->top = false;
		}
		break;
	case ',':
		if (r->lists & bit(r))
			r->expect = EXPECT_LIST;
		r->cte_next |= r->with && r->level == r->with_level;
		break;
	default:
		break;
	}
	if (!r->start)
		r->prev = W_NONE;
}

/* Once, with these comments passed over; how many there are. */
static unsigned read_passing(struct sql *out, enum sql_dialect dialect, struct bytes text, uint8_t passed)
{
	static const char *const expressions[] = { "AS", "MATERIALIZED" };
	struct reader r = { .out = out };

	out->nverbs = out->ntables = 0;
	out->partial = false;
	out->database = (struct bytes){ NULL, 0 };
	out->from[0] = 0;
	sql_lex_begin(&r.lex, dialect, text, passed);
	statement_begins(&r);
	while (r.lex.kind != SQL_END) {
		enum sql_kind kind = r.lex.kind;
		struct bytes b = r.lex.b;
		uint8_t mark = r.lex.mark;

		if (r.expect != EXPECT_NONE && table_meets(&r))
			continue;
		if (r.use && (kind == SQL_WORD || kind == SQL_NAME)) {
			out->partial |= out->database.n != 0;	/* only one is told */
			out->database = b;
			r.use = false;
		}
		sql_lex_next(&r.lex);
		if (kind == SQL_MARK) {
			mark_meets(&r, mark);
		} else if (kind == SQL_WORD) {
			word_meets(&r, b);
		} else {
			if (kind == SQL_NAME && r.with && r.level == r.with_level)
				cte_is(&r, b);
			r.start = false;
			r.prev = W_NONE;
		}
		r.opened = kind == SQL_MARK && mark == '(';
		r.queries = r.opened && ONE_OF(r.last, expressions);
		r.last = kind == SQL_WORD ? b : (struct bytes){ NULL, 0 };
	}
	out->partial |= r.lex.unsure;
	return r.lex.nconditional;
}

/* Another reading says the same, or nothing at all. */
static bool same_reading(const struct sql *a, const struct sql *b)
{
	if (!b->nverbs && !b->ntables)
		return true;
	return a->nverbs == b->nverbs && !memcmp(a->verb, b->verb, a->nverbs * sizeof(a->verb[0])) && a->ntables == b->ntables &&
	       !memcmp(a->from, b->from, (a->ntables + 1u) * sizeof(a->from[0])) && !memcmp(a->names, b->names, a->from[a->ntables]) &&
	       a->database.n == b->database.n && (!a->database.n || !memcmp(a->database.p, b->database.p, a->database.n));
}

void sql_read(struct sql *out, enum sql_dialect dialect, struct bytes text)
{
	unsigned n = read_passing(out, dialect, text, 0);
	struct sql other;

	for (unsigned passed = 1; passed < 1u << n && !out->partial; passed++)
		if (read_passing(&other, dialect, text, (uint8_t)passed) != n || !same_reading(out, &other) || other.partial)
			out->partial = true;
}

bool sql_begins(enum sql_dialect dialect, struct bytes text)
{
	struct sql_lex l;

	sql_lex_begin(&l, dialect, text, 0);
	while (l.mark == '(')
		sql_lex_next(&l);
	return l.kind == SQL_WORD && begins(keyword_of(l.b));
}

void sql_tell(struct record *r, const struct sql_facts *f, enum sql_dialect dialect, struct bytes text, bool cut)
{
	struct sql s;

	sql_read(&s, dialect, text);
	if (s.nverbs)
		rec_cstr(r, f->operation, s.verb[0]);
	if (s.nverbs > 1) {
		rec_arr(r, f->operations);
		for (unsigned i = 0; i < s.nverbs; i++)
			rec_cstr(r, NULL, s.verb[i]);
		rec_end(r);
	}
	if (s.database.n && f->database)
		rec_bytes(r, f->database, s.database);
	if (s.partial || cut || text.n > RECORD_STR_MAX)
		rec_partial(r);
	if (!s.ntables)
		return;
	rec_arr(r, f->tables);
	for (unsigned i = 0; i < s.ntables; i++)
		rec_str(r, NULL, s.names + s.from[i], (size_t)(s.from[i + 1] - s.from[i]));
	rec_end(r);
}
