/* SPDX-License-Identifier: GPL-2.0-or-later */
/* match: what a rule asks of the facts of a request, beside ends, ports and application.
 *
 * A matcher is a list of clauses that all must hold; a clause is a key of matchers.def with patterns (`*`: any bytes, `?`: one byte), of
 * which one must hold. A request may say several values for a key (tables of a statement, names of a query). A rule that allows asks
 * that all of them hold and that none was left out or cut; any other rule holds when one does, and a value that was cut holds when it
 * may: what could not be read whole is not allowed by its look, and does not get past a rule that refuses.
 *
 * Paths: for a rule that allows both the path as sent and what remains of it when escapes and dot segments are resolved must hold, else
 * one of them; the query does not belong to it. Servlet containers drop parameters (;a=b) of each segment before they resolve it: what they come to
 * counts as well, where the pattern itself has no semicolon. Tables: a pattern without a dot holds for a qualified name ("public.orders") too where
 * the rule refuses, not where it allows. Topics: what subscribes stands for topics that nobody has named yet; a rule that refuses holds where one
 * of them may be one of its own, one that allows where it is written as the rule has it. */
#ifndef TQ_DPI_MATCH_H
#define TQ_DPI_MATCH_H

#include "dpi/app.h"
#include "dpi/record.h"

#define MATCH_PATTERN_MAX 256u	/* bytes */
#define ROLE_BIT(r) (UINT32_C(1) << (r))

_Static_assert(FACT_ROLE_COUNT <= 32, "sets of roles are 32 bits");

enum match_how { MATCH_EXACT, MATCH_NOCASE, MATCH_NAME, MATCH_PATH, MATCH_TABLE, MATCH_HEADER, MATCH_TOPIC };

struct match_key {
	const char *matcher, *key;
	enum app app;
	uint32_t roles;		/* bits of enum fact_role */
	enum match_how how;
};

extern const struct match_key match_keys[];	/* matcher NULL at the end; keys of a matcher stand together */

/* The first key of that matcher, -1: there is no such matcher. */
int match_by_name(const char *matcher);

/* What is known of a request. */
struct facts {
	const uint8_t *body;	/* items of a record; may be NULL with len 0 */
	uint32_t len;
	uint32_t later;		/* roles that may be told yet */
	bool partial;		/* some facts were lost */
	bool unseen;		/* what is said once, at the beginning (names, versions, the user), may have been said unseen: it is not asked for */
};

struct clause {
	uint16_t key;			/* of match_keys */
	uint16_t npatterns;
	const struct bytes *pattern;
	const struct fact *header;	/* MATCH_HEADER: facts of this name only */
};

/* The texts among a request's facts, one after the other; what stands in an array has the role of the array. */
struct fact_values {
	const uint8_t *pos, *end;
	const struct fact *of[RECORD_DEPTH_MAX + 1];
	unsigned depth;
	bool partial;			/* behind the last: some were lost */
};

struct fact_value {
	const struct fact *fact;
	struct bytes text;
	bool cut;
};

void fact_values_begin(struct fact_values *, const struct facts *);
bool fact_values_next(struct fact_values *, struct fact_value *);

/* What patterns of a clause are held against where it asks for v: at most MATCH_FORMS texts, one of which holds where v does. room:
 * MATCH_ROOM bytes, that the texts may point to. */
#define MATCH_FORMS 3u
#define MATCH_ROOM (2 * (RECORD_STR_MAX + 1u))
unsigned match_forms(enum match_how, struct bytes v, uint8_t *room, struct bytes form[MATCH_FORMS]);
/* What subscribes (FACT_FILTER) stands for more than its text says: patterns that hold for it are not found by their literals. */
bool match_is_filter(struct bytes v);
/* All of these are said once, at a connection's beginning (struct facts, unseen). */
bool match_said_once(uint32_t roles);

enum match { MATCH_NO, MATCH_MAYBE, MATCH_YES };

/* Do all of n clauses hold? `all`: the rule allows. No allocation; O(facts x patterns x their lengths). */
enum match match_facts(const struct clause *c, unsigned n, const struct facts *f, bool all);

static inline uint8_t ascii_low(uint8_t b) { return b >= 'A' && b <= 'Z' ? b | 0x20 : b; }

/* The glob holds for the text; cut: text may go on behind what is there, true when it can hold then. */
bool match_glob(struct bytes pattern, struct bytes text, bool nocase, bool cut);
/* How much of it stands before its first wildcard, and behind its last; all of it where it has none. */
size_t glob_head(struct bytes pattern);
size_t glob_tail(struct bytes pattern);

#endif
