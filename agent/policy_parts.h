/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_parts: what the files that read a policy share. policy_file.c: the file; policy_group.c: groups and who is in them; policy_rule.c: rules and
 * matchers; policy_limits.c: `pending` and `hold`. */
#ifndef TQ_AGENT_POLICY_PARTS_H
#define TQ_AGENT_POLICY_PARTS_H

#include "agent/config_schema.h"
#include "agent/policy_file.h"
#include "agent/yaml.h"

#define ITEMS_MAX 1024		/* of one list */
#define KEYS_MAX 64

struct patterns {
	char **v;
	unsigned n;
};

/* Workload properties of one `match` or `not`: patterns OR, labels AND, keys AND. */
struct property {
	struct patterns name, image, netns;
	struct labels labels;
	bool asked;
};

struct group_matcher {
	char *name;			/* NULL: the `not` of another one */
	unsigned group;
	struct property is, not;
	uint16_t *member;		/* numbers of groups that its match names */
	unsigned nmembers;
};

struct policy_file {
	char *text;
	struct policy *policy;
	struct group_matcher *m;	/* those that have a name first */
	unsigned n, named;
	bool strict;
};

struct loader {
	const struct yaml *y;
	struct policy_file *pf;
	struct policy_builder *b;
	struct fy_node *version, *dflt, *groups, *rules, *pending, *hold, *strict;
	struct fy_node *match[POLICY_GROUPS_MAX];	/* of each of pf->m; read once all names of groups are known */
	struct fy_node *members[POLICY_GROUPS_MAX];	/* by group number: where it names others */
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

/* Number of a group of the file, or of `any`; -1: there is none. */
int policy_find_group(const struct loader *, const char *name);
int policy_get_group(struct loader *, struct fy_node *, struct err *);	/* its name and mode */
int policy_get_matches(struct loader *, struct err *);			/* then who is in each */
void policy_free_matcher(struct group_matcher *);
/* Does the workload have what the group asks of workloads? in_doubt: what is said of an image or netns that is not known. */
bool policy_matcher_holds(const struct group_matcher *, const struct policy_who *, bool in_doubt);
int policy_get_rule(struct loader *, struct fy_node *, struct err *);
/* "tcp/8080", "tcp/8000-8100"; "icmp" and the like: all of a transport. -EINVAL: anything else. */
int policy_parse_ports(const char *, struct port_range *);
int policy_get_limits(struct loader *, struct err *);	/* l->pending, l->hold (NULL: the defaults) */

#endif
