/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_table: the compiled form of a policy, between policy_build.c that makes it and policy.c that reads it.
 * Immutable once built. */
#ifndef TQ_DPI_POLICY_TABLE_H
#define TQ_DPI_POLICY_TABLE_H

#include <stdatomic.h>

#include "base/hash.h"
#include "dpi/fqdn.h"
#include "dpi/policy.h"

#define POLICY_HEADERS_MAX 64u	/* names of fields that rules may ask for */
#define APP_WORDS ((APP_COUNT + 63) / 64)

struct app_set {
	uint64_t bits[APP_WORDS];
};

struct rule_groups { uint32_t first, n; };	/* run in policy.group_no */
struct rule_list { uint32_t first, n; };	/* run in policy.rule_no, ascending */

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
};

enum rule_side { SIDE_TO, SIDE_FROM };

/* Rules that the index holds under a group of one side: those to look at whatever the port is, and single ports. */
struct group_index {
	struct rule_list wide;
	bool has_exact;
};

struct exact {
	uint64_t key;	/* exact_key(); 0: free (it always has its top bit) */
	struct rule_list list;
};

static inline uint64_t exact_key(enum rule_side side, unsigned group, uint8_t ipproto, uint16_t port)
{
	return UINT64_C(1) << 63 | (uint64_t)side << 40 | (uint64_t)group << 24 | (uint64_t)ipproto << 16 | port;
}

/* The clauses of one rule, their patterns and text, in one piece. */
struct matcher_block {
	struct matcher_block *next;
	struct clause clause[];
};

struct prefix {
	struct addr net;
	uint16_t group;
	uint8_t len;
	bool not;
};

struct prefix_len {
	uint8_t len;
	uint32_t first, n;	/* run in policy.prefix, sorted by net */
};

struct policy {
	atomic_uint refs;
	unsigned version;
	enum policy_mode default_mode;
	struct policy_limits limits;

	unsigned ngroups;
	char **group_name;
	enum policy_mode group_mode[POLICY_GROUPS_MAX];	/* where has_mode */
	struct group_set has_mode, has_cidr, needs_workload, minus_cidr, minus_workload, has_fqdn, minus_fqdn;
	struct fqdn fqdn;
	struct prefix *prefix;
	uint32_t nprefixes;
	struct prefix_len lens[129];
	unsigned nlens;

	uint32_t nrules;
	struct rule *rule;
	uint16_t *group_no;
	struct port_range *port;

	struct group_set indexed[2];			/* groups with a list, by enum rule_side */
	struct group_index index[2][POLICY_GROUPS_MAX];
	uint32_t *rule_no;
	struct matcher_block *blocks;			/* what clauses point to */
	struct fact *header[POLICY_HEADERS_MAX];	/* names in small letters */
	unsigned nheaders;
	struct exact *exact;
	uint32_t exact_mask;
};

static inline struct rule_list *policy_exact(const struct policy *p, uint64_t key)
{
	for (uint64_t h = hash_mix64(key);; h++) {
		struct exact *e = &p->exact[h & p->exact_mask];

		if (e->key == key)
			return &e->list;
		if (!e->key)
			return NULL;
	}
}

#endif
