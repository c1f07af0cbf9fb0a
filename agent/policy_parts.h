/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_parts: what the files that read a policy share. policy_file.c: the file, groups, who is in them; policy_rule.c: rules and matchers;
 * policy_limits.c: `pending` and `hold`. */
#ifndef TQ_AGENT_POLICY_PARTS_H
#define TQ_AGENT_POLICY_PARTS_H

#include "agent/config_schema.h"
#include "agent/policy_file.h"
#include "agent/yaml.h"

#define ITEMS_MAX 1024		/* of one list */
#define KEYS_MAX 64

/* Workload properties of one `match` or `not`: globs OR, labels AND, both AND. */
struct property {
	char **globs;
	unsigned nglobs;
	struct labels labels;
	bool asked;
};

struct group_matcher {
	char *name;
	unsigned group;
	struct property is, not;
};

struct policy_file {
	char *text;
	struct policy *policy;
	struct group_matcher *m;
	unsigned n;
	bool strict;
};

struct loader {
	const struct yaml *y;
	struct policy_file *pf;
	struct policy_builder *b;
	struct fy_node *version, *dflt, *groups, *rules, *pending, *hold, *strict;
	char path[CONFIG_PATH_MAX];	/* of what is being read */
};

extern const char *const policy_modes[];	/* as enum policy_mode */

/* Errors: all return -EINVAL with the place in the file. */
int policy_unknown_key(struct loader *, struct fy_node *key_node, const char *key, const char *const *known, struct err *);
int policy_later_key(struct loader *, struct fy_node *key_node, const char *key, struct err *);
int policy_at_node(struct loader *, struct fy_node *, const struct err *inner, struct err *);	/* an error of the policy itself */

/* Index of a word in the list, or -EINVAL. */
int policy_get_word(struct loader *, struct fy_node *, const char *key, const char *const *words, struct err *);
/* A single item or a list of 1 to ITEMS_MAX; calls fn for each. */
int policy_each_item(struct loader *, struct fy_node *, const char *key, int (*fn)(struct loader *, struct fy_node *, void *, struct err *), void *ctx, struct err *);

int policy_get_rule(struct loader *, struct fy_node *, struct err *);
int policy_get_limits(struct loader *, struct err *);	/* l->pending, l->hold (NULL: the defaults) */

#endif
