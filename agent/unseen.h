/* SPDX-License-Identifier: GPL-2.0-or-later */
/* unseen: packets that FAIL_OPEN let by because the queue was full. No counter of the kernel's tells them: a rule hit them, and no id was
 * given. They are rule hits less ids, looked for only when as many packets as the queue holds were read in one go, because reading rule counters
 * means running a program. Super-packets of UDP give more ids than hits: then less is told than was let by, never more. */
#ifndef TQ_AGENT_UNSEEN_H
#define TQ_AGENT_UNSEEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/source.h"
#include "nfq/rules.h"

struct unseen {
	uint64_t kept;		/* of rules and sockets before these */
	uint64_t now;		/* since then */
	int64_t base;		/* rule hits less ids when these began */
	uint64_t fulls;		/* queue_fulls() when last looked at */
	bool settling;		/* it still changed at the last look */
};

static inline uint64_t unseen_total(const struct unseen *u) { return u->kept + u->now; }

/* Ids given so far. To be asked before rules are written: then what comes in between makes the difference too small, not too large. */
uint64_t unseen_ids(int nsfd, uint16_t queue_tcp);
/* The rules were written, or a socket was opened: counting begins anew behind what was counted. ids: unseen_ids from before (0: a new socket). */
void unseen_begin(struct unseen *, uint64_t ids, const struct rules_state *, const struct source *);
/* Looks, if the queue may have been full since the last time. */
void unseen_look(struct unseen *, int nsfd, uint16_t queue_tcp, const struct rules_state *, const struct source *);

#endif
