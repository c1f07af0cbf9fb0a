/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_index: sets of rules, so that a flow's rules are found by intersection and not by looking at them.
 *
 * For each group (on either side), each application, and each prefix of ports that some rule names there is the set of rules that hold
 * for it. A set is a bit per rule, kept in chunks of 4,096 rules: of a chunk only the words that are not zero, and one word that tells
 * which those are. So a set costs what its rules do, and chunks where two sets have nothing in common cost one AND.
 *
 * Ranges of ports are cut into prefixes (of 8 bits of protocol, then 16 of port), at most 30 each: the sets of a port are those of the
 * prefixes that hold it. Protocol 0 stands for any.
 *
 * A rule that names more than INDEX_GROUPS_MAX groups on a side stands in the set of `any` there, and one whose ports would make more
 * than INDEX_PORTS_MAX prefixes in the set of rules without ports; they are then compared (struct rule, verify).
 *
 * Rules with matchers are found by literals of their patterns too (policy_literals.h): a set for each literal, and for each field the
 * sets of rules that are found by it, for requests of which not everything is known. */
#ifndef TQ_DPI_POLICY_INDEX_H
#define TQ_DPI_POLICY_INDEX_H

#include "dpi/policy.h"
#include "dpi/policy_literals.h"
#include "dpi/prefix_map.h"

#define INDEX_GROUPS_MAX 64u
#define INDEX_PORTS_MAX 128u
#define INDEX_CHUNK_WORDS 64u
#define INDEX_CHUNK_RULES (64u * INDEX_CHUNK_WORDS)
#define ASK_CLASSES_MAX 256u

/* Numbers of sets. */
enum rule_sets {
	SET_FROM,						/* + group */
	SET_TO = SET_FROM + POLICY_GROUPS_MAX,			/* + group */
	SET_APP = SET_TO + POLICY_GROUPS_MAX,			/* + application: rules that ask for it */
	SET_NO_APP = SET_APP + APP_COUNT,			/* rules that ask for none */
	SET_CLASS = SET_NO_APP + 1,				/* + struct rule, ask_class */
	SET_NO_PORT = SET_CLASS + ASK_CLASSES_MAX,
	SET_NO_FIELD = SET_NO_PORT + 1,				/* rules that no literal finds: without matchers, and those that are asked each time */
	SET_FIELD_ALLOW = SET_NO_FIELD + 1,			/* + field: rules found by it that allow, */
	SET_FIELD_OTHER = SET_FIELD_ALLOW + LITERAL_FIELDS_MAX,	/* ... that do not, */
	SET_FIELD_TAIL = SET_FIELD_OTHER + LITERAL_FIELDS_MAX,	/* ... and of these those found by an end */
	SET_PORT = SET_FIELD_TAIL + LITERAL_FIELDS_MAX,		/* + number of the prefix; behind all of these literals (struct rule_index) */
};

struct rule_chunk {
	uint64_t top;		/* bit w: word w is not zero, and stands at `first` and how many bits of top are below; all bits: they all stand there */
	uint32_t first;		/* in rule_index.word */
};

struct rule_index {
	uint32_t nsets, nchunks;
	struct rule_chunk *chunk;	/* of set s: nchunks from s * nchunks on */
	uint32_t *count;		/* rules in each set */
	uint64_t *word;
	struct prefix_map ports;
	struct literals literals;
	uint32_t literal_sets;		/* SET_PORT and how many prefixes there are: + number of the literal less one */
	struct group_set used[2];	/* groups that rules name, or stand in the set of */
	bool compares_ports;		/* some rule's ports are not in `ports` */
	bool asks_facts;		/* some rule has a matcher */
};

struct policy;

/* Fills p->index from p's rules, and what rules say of their place in it (ask_class, verify). False: no memory. */
bool rule_index_build(struct policy *p);
void rule_index_free(struct rule_index *);

/* The key of a responder's port. */
static inline struct prefix_key port_key(uint8_t ipproto, uint16_t port)
{
	return (struct prefix_key){ (uint64_t)ipproto << 56 | (uint64_t)port << 40, 0 };
}

/* How many of the bits below `bit` are set. */
static inline unsigned bits_below(uint64_t v, unsigned bit)
{
	v &= (UINT64_C(1) << bit) - 1;
	v -= v >> 1 & UINT64_C(0x5555555555555555);
	v = (v & UINT64_C(0x3333333333333333)) + (v >> 2 & UINT64_C(0x3333333333333333));
	v = (v + (v >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (unsigned)(v * UINT64_C(0x0101010101010101) >> 56);
}

/* Adds the chunk's rules to those in word. */
static inline void rule_chunk_unite(const struct rule_index *x, const struct rule_chunk *c, uint64_t word[INDEX_CHUNK_WORDS])
{
	const uint64_t *from = x->word + c->first;

	for (uint64_t left = c->top; left; left &= left - 1)
		word[__builtin_ctzll(left)] |= *from++;
}

static inline const struct rule_chunk *set_chunk(const struct rule_index *x, uint32_t set, uint32_t chunk)
{
	return &x->chunk[(size_t)set * x->nchunks + chunk];
}

#endif
