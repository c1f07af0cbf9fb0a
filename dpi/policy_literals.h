/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_literals: which matchers may hold for a request, found by the text that their patterns are, begin with, or end with.
 *
 * Of each rule with a matcher one clause is in the index, the one whose literals the fewest rules share. Of a pattern without a wildcard that
 * is all of it, of any other what stands before its first or behind its last one. A table of hashes holds them; the values of a request
 * are looked up in it, at each length that some literal of the field has. What is found may hold, and is asked (match_facts); what is
 * not found does not hold. A rule no clause of which can be here (a pattern of wildcards at both ends; more than LITERAL_PATTERNS_MAX
 * patterns; more than LITERALS_MAX literals in the policy) is asked each time, and counted. */
#ifndef TQ_DPI_POLICY_LITERALS_H
#define TQ_DPI_POLICY_LITERALS_H

#include "dpi/match.h"

#define LITERALS_MAX 131072u		/* in a policy */
#define LITERAL_PATTERNS_MAX 64u	/* of a clause */
#define LITERAL_FIELDS_MAX 128u		/* more than there are keys in matchers.def and fields of requests that a policy may name */
#define LITERAL_FIELD_NONE UINT8_MAX
#define LITERAL_LENGTH_WORDS (MATCH_PATTERN_MAX / 64 + 1)

enum literal_kind { LITERAL_WHOLE, LITERAL_HEAD, LITERAL_TAIL, LITERAL_KINDS };

/* A key, of one header where it is one of headers: what some rule asks for. */
struct literal_field {
	uint16_t key;			/* of match_keys */
	const struct fact *header;
	uint16_t longest[LITERAL_KINDS];	/* 0: it has none of that kind */
	uint64_t lengths[LITERAL_KINDS][LITERAL_LENGTH_WORDS];	/* bit n: one has n bytes */
};

struct literal {
	uint64_t hash;
	const uint8_t *text;		/* in the rule's pattern; NULL: the slot is free */
	uint16_t n;
	uint8_t field, kind;
	uint32_t rules;			/* patterns that have it, of all clauses */
	uint32_t number;		/* from 1 on; 0: no rule is found by it */
};

struct literals {
	struct literal *slot;
	uint32_t mask, used;		/* slots less one; in use */
	uint32_t n;			/* literals by which rules are found */
	uint32_t scanned;		/* rules with a matcher that are found by none */
	unsigned nfields;
	struct literal_field field[LITERAL_FIELDS_MAX];
	uint64_t of_role[FACT_ROLE_COUNT][LITERAL_FIELDS_MAX / 64];	/* fields that facts of the role answer */
};

struct policy;
struct rule;

/* Fills p->index.literals, and of each rule by which clause it is found (field, found_by). False: no memory. */
bool literals_build(struct policy *p);
void literals_free(struct literals *);
/* By which literal the rule's pattern is found; the rule has a field. */
const struct literal *literals_of(const struct literals *, const struct rule *, struct bytes pattern);

/* What a request may meet. */
struct literal_hits {
	uint32_t *number;		/* literals; room for max */
	unsigned n, max;
	bool too_many;			/* more than that: every rule may hold */
	bool partial;			/* whatever refuses may hold */
	uint64_t cut[LITERAL_FIELDS_MAX / 64], cut_short[LITERAL_FIELDS_MAX / 64];	/* fields of which a value was cut: what refuses by an end of it, by anything, may hold */
	uint64_t later[LITERAL_FIELDS_MAX / 64];	/* ... of which no value is there yet: nothing is decided */
	uint64_t unseen[LITERAL_FIELDS_MAX / 64];	/* ... of which a value may have been said unseen: whatever allows holds */
};
/* The caller has set number and max, and zeroed the rest. O(bytes of the values x lengths of literals). */
void literals_find(const struct literals *, const struct facts *, struct literal_hits *);

#endif
