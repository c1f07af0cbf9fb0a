/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_table: the compiled form of a policy, between policy_build.c that makes it and policy.c that reads it.
 * Immutable once built. */
#ifndef TQ_DPI_POLICY_TABLE_H
#define TQ_DPI_POLICY_TABLE_H

#include <stdatomic.h>

#include "dpi/fqdn.h"
#include "dpi/policy.h"
#include "dpi/policy_index.h"

#define POLICY_HEADERS_MAX 64u	/* names of fields that rules may ask for */
#define ASK_CLASS_NONE UINT16_MAX
#define APP_WORDS ((APP_COUNT + 63) / 64)

struct app_set {
	uint64_t bits[APP_WORDS];
};

struct rule_groups { uint32_t first, n; };	/* run in policy.group_no */

struct rule {
	uint32_t id, line;
	struct rule_groups from, to;
	uint32_t first_port, nports;		/* run in policy.port; 0: none named */
	struct app_set apps;			/* with everything carried in those that were named */
	bool has_apps;
	uint16_t nclauses;			/* 0: it asks for no facts. With some it has apps: those that the matcher looks into */
	const struct clause *clause;
	int8_t mode;				/* enum policy_mode or RULE_MODE_NONE */
	enum verdict action;
	uint16_t ask_class;			/* rules that ask for the same and refuse or not alike; ASK_CLASS_NONE: it asks for nothing, or is of one too many */
	uint16_t found_by;			/* where it has a field: the clause by whose literals it is found */
	uint8_t field;				/* of policy_literals.h, or LITERAL_FIELD_NONE */
	bool verify;				/* it names more groups or ports than the index holds: they are compared */
};

/* The clauses of one rule, their patterns and text, in one piece. */
struct matcher_block {
	struct matcher_block *next;
	struct clause clause[];
};

/* Groups that name a network (or, with `not`, subtract it): a word of a struct group_set. */
struct net_groups {
	uint64_t bits;
	uint16_t word;
	bool not;
};

#define GROUP_WORDS (POLICY_GROUPS_MAX / 64)

/* A word of a struct group_set that is not zero. */
struct nest_word {
	uint64_t bits;
	uint16_t word;
};

/* Groups that name other groups, in an order in which members come first; a place in it is a bit of `always` and `above`. */
struct nest {
	unsigned n;
	struct nested {
		uint16_t no;
		uint32_t first, not, end;	/* its members, as words of groups from `first` on; those under `not` from `not` on */
	} *group;
	struct nest_word *word;
	struct group_set members;		/* groups that some group names */
	struct group_set always;		/* places of those that name members under `not` only */
	struct nest_word *above;		/* of a group: places of those that name it ... */
	uint32_t *above_first;			/* ... its run there; one more than there are groups */
	struct group_set *member[2];		/* of each group, while they are gathered; [1] under `not`; one piece */
};

/* What a group's own keys say of an end, members left out: that they hold, that those of `not` do. [0]: surely, [1]: perhaps. */
struct nest_parts {
	struct group_set held[2], gone[2];
};

/* A word of the groups, for who goes through all of them: which ask for anything, which subtract anything, which of both hang on workloads and
 * addresses, and which are not decided by these alone. */
struct group_keys {
	uint64_t asks, cidr, needs, takes, minus_cidr, minus, more;
};

struct policy {
	atomic_uint refs;
	unsigned version;
	enum policy_mode default_mode;
	struct policy_limits limits;

	unsigned ngroups;
	char **group_name;
	enum policy_mode group_mode[POLICY_GROUPS_MAX];	/* where has_mode */
	struct group_set has_mode, has_cidr, needs_workload, minus_cidr, minus_workload, has_fqdn, minus_fqdn, has_member, minus_member;
	uint16_t same_as[POLICY_GROUPS_MAX];		/* a group that asks for the same; 0: none is known */
	struct group_set by_name;			/* groups that ask for names, or have such members */
	struct group_keys keys[GROUP_WORDS];
	struct nest nest;
	struct fqdn fqdn;
	struct prefix_map nets;
	struct net_groups *net;
	uint32_t *net_first;				/* of a prefix of nets: its run in `net`; one more than there are prefixes */

	struct app_set carried[APP_COUNT];		/* what an application may turn out to be: those that are carried in it */
	uint32_t nrules;
	struct rule *rule;
	uint16_t *group_no;
	struct port_range *port;

	struct rule_index index;
	struct matcher_block *blocks;			/* what clauses point to */
	struct fact *header[POLICY_HEADERS_MAX];	/* names in small letters */
	unsigned nheaders;
	struct app_set asked;				/* apps that rules ask facts of, and what these are carried in */
};

/* Words of a struct group_set in which groups of the policy can be. */
static inline unsigned group_words(const struct policy *p) { return (p->ngroups + 63) / 64; }

/* policy_nest.c. False: no memory. */
bool nest_add(struct policy *, unsigned group, unsigned member, bool not);
/* -ELOOP, or -EINVAL where it has a mode and hangs on names: *group is the one whose members are to blame. */
int nest_check(struct policy *, unsigned *group, struct err *);
bool nest_build(struct policy *);	/* also false where nest_check fails */
void nest_free(struct nest *);
/* Adds the groups with members that an end is in to those without. */
void nest_close(const struct policy *, const struct nest_parts *, struct group_set *out, struct group_set *sure);

#endif
