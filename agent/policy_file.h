/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_file: policy.yaml (CONTRACT section 3) to a compiled policy, and which workloads are in which of its groups.
 *
 * This version takes: version, default, groups (match: workload, labels, image, netns, cidr, fqdn, group, not: {the same}; mode), rules (id, from, to, ports, apps, action,
 * mode, one matcher), pending, hold, strict. The other keys of CONTRACT (threats, sensors) are refused with "not in this
 * version" and their line. One line per error, as config. */
#ifndef TQ_AGENT_POLICY_FILE_H
#define TQ_AGENT_POLICY_FILE_H

#include "agent/config.h"
#include "dpi/policy.h"

/* What groups ask of a workload. */
struct policy_who {
	const char *name;
	const struct labels *labels;	/* NULL: none */
	const char *image;		/* as its runtime says it; NULL: not known, so that it is in no group that asks for one */
	const char *netns;		/* its path; NULL: it has none, or none is known */
};

struct policy_file;	/* the compiled policy and its workload matchers; immutable */

struct policy_file *policy_file_load(const char *file, struct err *);
struct policy_file *policy_file_parse(const char *text, const char *name, struct err *);	/* for tests and `policy load` by content */
void policy_file_free(struct policy_file *);			/* NULL is fine */
struct policy *policy_file_policy(const struct policy_file *);	/* borrowed; policy_ref it to keep it */
unsigned policy_file_group_count(const struct policy_file *);	/* of those that the file names; `any` is none of them */
/* What policy_groups wants as the caller's bits. */
void policy_file_groups(const struct policy_file *, const struct policy_who *, struct group_set *out);
/* Rules that can refuse only after the fact with this configuration: some of their flows only the mirror sees, and the refusal, theirs or of a
 * rule behind them (refuses false), hangs on the application, a name or a request. What is not certain of a workload, because it is
 * not known before it is there, counts against the rule. */
void policy_file_late(const struct policy_file *, const struct config *, void (*fn)(void *ctx, uint32_t rule, unsigned line, bool refuses), void *ctx);
bool policy_file_strict(const struct policy_file *);
/* Where the policy is strict: -EINVAL and the first of these rules, else 0. name: of the file. */
int policy_file_allowed(const struct policy_file *, const struct config *, const char *name, struct err *);
const char *policy_file_text(const struct policy_file *);	/* the YAML it was read from (for `policy show`) */

#endif
