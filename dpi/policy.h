/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy: an ordered list of rules, compiled once, immutable, shared by all workers.
 *
 * Meaning: CONTRACT section 3. First match wins; a rule matches when from, to, ports, apps and its
 * matcher (match.h) all hold. `any` is everybody; an empty list never means "all" (the builder refuses it).
 * Whether an end belongs to a group is a set of bits that the caller works out when a workload
 * appears (names and labels) and that policy_groups() completes with the address (CIDR) and what is known of its names.
 *
 * Ownership: a policy is built, then frozen by policy_build(); after that it is only read. */
#ifndef TQ_DPI_POLICY_H
#define TQ_DPI_POLICY_H

#include "base/addr.h"
#include "base/err.h"
#include "base/frame.h"
#include "dpi/app.h"
#include "dpi/event.h"
#include "dpi/match.h"

#define POLICY_GROUPS_MAX 1024
#define POLICY_RULES_MAX 65536
#define POLICY_GROUP_ANY 0	/* group 0 is `any`: always there, everybody is in it */

enum policy_mode { MODE_DISCOVER, MODE_MONITOR, MODE_PROTECT };

struct policy;
struct policy_builder;

/* Bits of groups, POLICY_GROUPS_MAX wide. */
struct group_set {
	uint64_t bits[POLICY_GROUPS_MAX / 64];
};

static inline void set_add(struct group_set *s, unsigned g) { s->bits[g / 64] |= UINT64_C(1) << (g % 64); }
static inline bool set_has(const struct group_set *s, unsigned g) { return s->bits[g / 64] >> (g % 64) & 1; }

struct port_range {
	uint8_t ipproto;	/* 0: any */
	uint16_t lo, hi;	/* responder's port, inclusive */
};

enum rule_mode { RULE_MODE_NONE = -1 };	/* the rule has no mode of its own */

struct match_spec {		/* a clause of a rule's matcher */
	unsigned key;		/* of match_keys; all clauses of a rule are of one matcher */
	const char *header;	/* MATCH_HEADER: the field's name */
	const char *const *patterns;	/* 1 to MATCH_PATTERN_MAX bytes each */
	unsigned npatterns;	/* n >= 1 */
};

struct rule_spec {		/* borrowed by policy_add_rule for the call */
	uint32_t id;		/* 1..999999, unique */
	const uint16_t *from, *to;	/* group numbers, n >= 1 */
	unsigned nfrom, nto;
	const struct port_range *ports;	/* nports 0: the rule names none */
	unsigned nports;
	const enum app *apps;		/* napps 0: the rule names none */
	unsigned napps;
	const struct match_spec *match;	/* nmatch 0: the rule asks for no facts */
	unsigned nmatch;
	enum verdict action;	/* ALLOW, ALERT, DENY, DROP */
	int mode;		/* enum policy_mode or RULE_MODE_NONE */
	unsigned line;		/* in the policy file, for messages */
};

/* How much of a flow goes on while its app is sought, and how much of a request is held until it is complete. */
struct policy_limits {
	uint32_t pending_bytes, pending_packets, hold_bytes;	/* hold_bytes or hold_time 0: nothing is held */
	int64_t pending_time, hold_time;	/* ns */
};
extern const struct policy_limits policy_limits_default;

struct policy_builder *policy_begin(enum policy_mode default_mode);
void policy_set_limits(struct policy_builder *, const struct policy_limits *);	/* else the defaults */
/* Adds a group; names are unique. mode -1: none of its own. Returns its number (>= 1) or -errno. */
int policy_add_group(struct policy_builder *, const char *name, int mode, struct err *);
/* Addresses that are in (or, with `not`, subtracted from) the group by themselves. A group that only subtracts and asks
 * for no workload property holds nobody. Prefixes of IPv6 never hold IPv4 addresses. */
int policy_group_cidr(struct policy_builder *, unsigned group, const struct cidr *, bool not, struct err *);
/* The group also asks for a workload property (name, labels) that the caller evaluates: membership of the
 * caller's bits is then needed AND the CIDRs hold (keys AND, items OR). Without it CIDRs alone decide. */
void policy_group_needs_workload(struct policy_builder *, unsigned group);
/* For a group that needs no workload property: the caller's bit says that a workload is subtracted. Where CIDRs are subtracted too,
 * only what both name is (keys AND, items OR). */
void policy_group_minus_workload(struct policy_builder *, unsigned group);
/* Names that an end must have for the group, or by which it is subtracted from it (a pattern of fqdn.h). With other keys: AND. */
int policy_group_fqdn(struct policy_builder *, unsigned group, const char *pattern, bool not, struct err *);
/* Another group whose ends are in it, or subtracted from it; of several, in one of them. With other keys: AND. May be POLICY_GROUP_ANY. */
int policy_group_member(struct policy_builder *, unsigned group, unsigned member, bool not, struct err *);
/* Once all are there: 0; -ELOOP: a group would hold itself; -EINVAL: one that has a mode hangs on names by way of others. *group is where. policy_build
 * returns NULL for what this refuses. */
int policy_check_members(struct policy_builder *, unsigned *group, struct err *);
/* The group asks for the same as one before it (for policy_shadowed). */
void policy_group_same(struct policy_builder *, unsigned group, unsigned as);
int policy_add_rule(struct policy_builder *, const struct rule_spec *, struct err *);
/* Freezes; takes the builder. Never fails for lack of rules; NULL when the system has no memory. Initial reference 1. */
struct policy *policy_build(struct policy_builder *);
void policy_builder_free(struct policy_builder *);	/* NULL is fine */
struct policy *policy_ref(struct policy *);		/* thread-safe */
void policy_unref(struct policy *);			/* NULL is fine */

unsigned policy_version(const struct policy *);		/* unique per built policy in this process, > 0 */
int policy_group_by_name(const struct policy *, const char *name);	/* number or -1 */
unsigned policy_group_count(const struct policy *);
const char *policy_group_name(const struct policy *, unsigned group);	/* as long as the policy */
const char *policy_mode_name(enum policy_mode);
unsigned policy_rule_count(const struct policy *);
uint32_t policy_last_id(const struct policy *);		/* the largest id of a rule; 0: no rules */
bool policy_discovers(const struct policy *);		/* is the mode discover for anybody? */
const struct policy_limits *policy_limits(const struct policy *);

/* What is known of the names of an end. A group that asks for names holds it where one of the address's names is the group's, as the other
 * end learned it from DNS, and every name that the flow itself shows (SNI, Host) is too; a flow that shows none is judged by the address. */
enum names_shown {
	SHOWN_NONE,	/* no name is shown and none will be: the address decides */
	SHOWN_LATER,	/* one may be shown yet */
	SHOWN_YES,
	SHOWN_LOST,	/* one may have been shown that could not be read: nothing is allowed by it, everything refused */
};
struct policy_names {			/* zeroed: no names are known */
	enum names_shown shown;
	bool later;			/* the address may get names yet, or may have had some that were not seen */
	struct group_set of_addr[2], of_flow[2];	/* groups that name one of the address's names, all of the flow's: [0], under `not`: [1] */
};
#define FQDN_NAME_MAX 253u
/* A DNS name in small letters, without a dot at its end: its length, 0: it is none (letters, digits, - and _ in labels of 1 to 63 bytes). */
size_t fqdn_name(struct bytes, char out[FQDN_NAME_MAX + 1]);
bool policy_asks_names(const struct policy *);		/* some group does: else all that is here may be left out */
void policy_name_of_addr(const struct policy *, struct policy_names *, struct bytes clean);
/* What a flow of that app shows. facts NULL: nothing was said yet. */
void policy_name_of_flow(const struct policy *, struct policy_names *, bool app_known, enum app, const struct facts *);

/* All groups of an end that it is in or may turn out to be in, and those that it is in whatever its names will be. `workload` holds the caller's
 * bits (NULL: not a local workload); names NULL: it has none. */
void policy_groups_named(const struct policy *, const struct addr *, const struct group_set *workload, const struct policy_names *names, struct group_set *out,
			 struct group_set *sure);
/* The same without names. Who decides ahead of flows must not take these for all: policy_asks_names(). */
static inline void policy_groups(const struct policy *p, const struct addr *a, const struct group_set *workload, struct group_set *out)
{
	struct group_set sure;

	policy_groups_named(p, a, workload, NULL, out, &sure);
}
/* Mode of a local end: that of its first group in file order that has one, else the default. */
enum policy_mode policy_mode_of(const struct policy *, const struct group_set *);

/* What one core remembers of a policy's answers (policy_memo.h): at most 4.3 MiB. NULL: no memory; then nothing is remembered. */
struct policy_memo;
struct policy_memo *policy_memo_new(const struct policy *);
void policy_memo_free(struct policy_memo *);		/* NULL is fine */
uint64_t policy_memo_forgotten(struct policy_memo *);	/* kinds of ends that gave their place to others, since it was asked last */

struct policy_query {
	struct policy_memo *memo;	/* of this policy; NULL: nothing is remembered */
	const struct group_set *from, *to;
	const struct group_set *from_sure, *to_sure;	/* of these the ones that do not hang on a name; NULL: all */
	bool names_lost;	/* the rest hangs on a name that will not be known any more: it allows nothing and refuses everything */
	bool names_unseen;	/* ... that may have been learned before anybody looked: it refuses nothing and allows everything. Not both */
	uint8_t ipproto;
	uint16_t port;		/* responder's */
	enum app app;
	bool app_known;		/* false: still pending; APP_UNKNOWN with true means recognition gave up */
	bool app_open;		/* known, but it may turn out to be one that is carried in it (a request of http2 is one of grpc): rules for those may match later */
	bool any_app;		/* the app cannot be found out (the beginning was not seen): rules match by addresses and ports only */
	const struct facts *facts;	/* of the request at hand; NULL: of none, so that a rule with a matcher may match later */
	enum policy_mode mode;	/* strictest of the local ends */
};

struct policy_answer {
	enum verdict verdict;	/* PENDING: a rule could still match once the app or facts are known */
	uint32_t rule;		/* 0: none */
	enum reason reason;
	bool enforce;		/* mode protect (or the rule's own): verdict is to be carried out */
	bool hold;		/* with PENDING: facts may lead to an enforced refusal */
	uint32_t looked;	/* rules that were looked at: what the judgement cost */
};

/* Why a rule did or did not match. */
enum policy_why {
#define POLICY_WHYS(X) X(MATCH, "matches") X(LATER, "may match once more is known") X(FROM, "from does not hold") X(TO, "to does not hold") \
	X(PORTS, "ports do not hold") X(APPS, "apps do not hold") X(FACTS, "the request does not hold")
#define X(id, text) WHY_##id,
	POLICY_WHYS(X)
#undef X
};
const char *policy_why_text(enum policy_why);
/* Tells of each rule in order, up to the first that matches, why it is not (or is) the answer: the obvious walk, without the index. */
void policy_explain(const struct policy *, const struct policy_query *, void (*fn)(void *ctx, uint32_t rule, unsigned line, enum policy_why), void *ctx);
/* Rules that can never match, because one before them matches all that they would: `by` is that rule. For `policy check`. False: no memory. */
bool policy_shadowed(const struct policy *, void (*fn)(void *ctx, uint32_t rule, unsigned line, uint32_t by, unsigned by_line), void *ctx);

/* A rule that refuses, or leaves what it does not allow to a refusal behind it, only once the application, a request or a
 * name is known. */
struct policy_late {
	uint32_t rule;
	unsigned line;
	bool refuses;			/* by itself */
	const uint16_t *from, *to;	/* group numbers */
	unsigned nfrom, nto;
	const struct port_range *ports;	/* nports 0: any */
	unsigned nports;
};
void policy_late(const struct policy *, void (*fn)(void *ctx, const struct policy_late *), void *ctx);

/* A field of HTTP requests that some rule asks for: the fact to tell it by, NULL: none does. */
const struct fact *policy_header(const struct policy *, struct bytes name);
bool policy_has_headers(const struct policy *);
/* Some rule asks for facts of this app, or of one that is carried in it. */
bool policy_asks(const struct policy *, enum app);

/* No allocation; O(sets of the ends' groups, and rules that all of groups, port and application leave over). Where every way it can still
 * end is an enforced deny or drop, it is that of the first such rule at once, not PENDING. */
struct policy_answer policy_judge(const struct policy *, const struct policy_query *);

#endif
