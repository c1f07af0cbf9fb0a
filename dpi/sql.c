/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sql: tables stand after few words (FROM, JOIN, INTO, UPDATE, TABLE, ...), in lists where commas part them.
 *
 * Three things are known of each level of brackets: whether a list of tables is open there, and whether a statement with FROM
 * began there (EXTRACT(YEAR FROM x) has none). Levels beyond LEVELS_MAX are passed over. FROM f(x) is a function, no table. */
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
	bool with;			/* in the list of common table expressions */
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
		if (!parts || o->names[to ? to - 1 : 0] != '.' || (r->lex.kind != SQL_WORD && r->lex.kind != SQL_NAME))
			break;
	}
	if (may_call && r->lex.mark == '(')
		return;
	o->partial |= !fits;
	if (!fits || to == from)
		return;
	for (unsigned i = 0; !parts && i < r->nctes; i++)
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
	r->index = r->with = r->use = false;
	r->nctes = 0;
}

static void verb_add(struct reader *r, const char *name)
{
	if (r->out->nverbs < SQL_VERBS_MAX)
		r->out->verb[r->out->nverbs++] = name;
	else
		r->out->partial = true;
}

static void verb_is(struct reader *r, const struct keyword *k)
{
	r->start = false;
	r->verb = k->word;
	r->with = k->word == W_WITH;
	if (r->with)
		return;
	verb_add(r, begins(k) ? k->name : "OTHER");
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

/* A keyword where no table is awaited. `first`: it begins the statement, or is the verb behind WITH or EXPLAIN. */
static void keyword_meets(struct reader *r, const struct keyword *k, bool first)
{
	enum word before = r->prev;

	switch (k->word) {
	case W_SELECT:
		r->froms |= bit(r);
		r->lists &= ~bit(r);
		break;
	case W_DELETE:
		if (first)
			r->froms |= bit(r);
		break;
	case W_INSERT:
		if (first)
			r->expect = EXPECT_TARGET;
		break;
	case W_UPDATE:
		if (first)
			r->expect = EXPECT_LIST;
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

static void word_meets(struct reader *r, struct bytes b)
{
	const struct keyword *k = keyword_of(b);
	bool first = r->start;

	if (r->with && r->level && r->prev == W_NONE && (k->word == W_INSERT || k->word == W_UPDATE || k->word == W_DELETE)) {
		verb_add(r, k->name);	/* a common table expression that writes */
		keyword_meets(r, k, true);
		r->prev = k->word;
		return;
	}
	if (r->with && !r->level) {
		if (k->word == W_SELECT || k->word == W_INSERT || k->word == W_UPDATE || k->word == W_DELETE) {
			first = true;
		} else if (!same_name(b, (const uint8_t *)"AS", 2) && !same_name(b, (const uint8_t *)"RECURSIVE", 9) && r->nctes < CTES_MAX) {
			r->cte[r->nctes++] = b;
		}
	} else if (r->verb == W_EXPLAIN && !r->level && (k->word == W_INSERT || k->word == W_UPDATE || k->word == W_DELETE)) {
		r->verb = k->word;
		verb_add(r, k->name);	/* with ANALYZE it is carried out */
		keyword_meets(r, k, true);
		r->prev = k->word;
		return;
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
		if (w == W_FILLER || w == W_TABLE || w == W_INTO || (w == W_FROM && e == EXPECT_TARGET)) {
			sql_lex_next(&r->lex);
			return true;
		}
		if (w == W_SELECT || w == W_CLOSES || w == W_FROM || w == W_JOIN || w == W_WITH || w == W_ON || w == W_USING)
			break;
		/* fall through */
	case SQL_NAME:
		r->expect = EXPECT_NONE;
		table_read(r, e != EXPECT_TARGET);
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
		break;
	case ',':
		if (r->lists & bit(r))
			r->expect = EXPECT_LIST;
		break;
	default:
		break;
	}
	if (!r->start)
		r->prev = W_NONE;
}

void sql_read(struct sql *out, enum sql_dialect dialect, struct bytes text)
{
	struct reader r = { .out = out };

	out->nverbs = out->ntables = 0;
	out->partial = false;
	out->database = (struct bytes){ NULL, 0 };
	out->from[0] = 0;
	sql_lex_begin(&r.lex, dialect, text);
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
			if (kind == SQL_NAME && r.with && !r.level && r.nctes < CTES_MAX)
				r.cte[r.nctes++] = b;
			r.start = false;
			r.prev = W_NONE;
		}
	}
}

bool sql_begins(enum sql_dialect dialect, struct bytes text)
{
	struct sql_lex l;

	sql_lex_begin(&l, dialect, text);
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
