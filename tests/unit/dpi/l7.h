/* SPDX-License-Identifier: GPL-2.0-or-later */
/* l7: rules of tests that ask for facts, and connections under them. */
#ifndef TQ_TESTS_L7_H
#define TQ_TESTS_L7_H

#include "tests/unit/dpi/coretest.h"

/* Rules in order: matcher.key=pattern[,pattern...] [key=...]; NULL ends. All from any to any. */
struct l7_rule {
	enum verdict action;
	const char *matcher;		/* NULL: none */
	const char *clauses[3];		/* "key=a,b", "headers:name=a" */
};
#define END { VERDICT_PENDING, NULL, { NULL } }

struct policy *l7_policy(enum policy_mode, const struct l7_rule *);
struct policy *l7_policy_limits(enum policy_mode, const struct l7_rule *, const struct policy_limits *);	/* NULL: the defaults */

/* Opens the core under this policy, which it takes over, and a connection through it that is let by; seq: of the next byte of both directions. */
void l7_open(struct core *, struct policy *, bool v6, bool held, uint32_t seq[2]);

#endif
