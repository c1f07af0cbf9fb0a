/* SPDX-License-Identifier: GPL-2.0-or-later */
/* learn: who was seen to speak to whom, at which port, in which application and about what, while no rule said anything and the mode is
 * discover; and the policy file that allows just that.
 *
 * A pair is an initiator, a responder, a port of the responder's and an application. A workload is an end by its name, a replica made by
 * a template ("web-7d9f8b6c5-x2x9z") by the name's glob ("web-*"); a responder that the initiator knows by DNS names (fqdn.h) by these; anything
 * else by its address, and by a prefix once a pair has more than LEARN_REMOTES_MAX of them. What a request was about is kept by its class: the keys of matchers.def that say it (learn_class.c),
 * with ids in paths, topics and names made "*"; what has more than LEARN_CLASSES_MAX classes keeps the beginnings of its paths.
 *
 * Learned is what was carried on: TCP that was accepted, an echo or SCTP that was answered, UDP that was answered, recognised, or sent
 * more than twice. A refused connection is not.
 *
 * Bounded: LEARN_PAIRS_MAX pairs, LEARN_BYTES_MAX bytes of text; what does not fit is left out, counted, and told. Kept in memory only: a reload and a load
 * of another policy keep it, a restart begins anew. Fed by the sink thread, read by the main thread: one lock. */
#ifndef TQ_AGENT_LEARN_H
#define TQ_AGENT_LEARN_H

#include <stdio.h>

#include "agent/fqdn.h"
#include "agent/names.h"
#include "dpi/dpi.h"
#include "dpi/policy.h"

#define LEARN_PAIRS_MAX 8192u
#define LEARN_CLASSES_MAX 64u		/* of a pair, before they are folded */
#define LEARN_REMOTES_MAX 16u		/* addresses of a pair's end and family, before they are folded */
#define LEARN_BYTES_MAX (16u << 20)

struct learn;

struct learn *learn_new(struct names *);		/* borrowed; NULL without memory */
void learn_know(struct learn *, const struct fqdn_cache *);	/* borrowed; before the first event. Without: no end is known by DNS names */
void learn_free(struct learn *);			/* NULL is fine */
/* An event of any type; EV_LEARN and EV_FLOW are looked at. ctx: struct learn. */
void learn_feed(void *ctx, const struct event *);
/* Flows that are open, or closed and not yet told, and whose application is not known, which no event has told yet: begin, then each. They are forgotten at the next begin. */
void learn_open_begin(struct learn *);
void learn_open(struct learn *, const struct dpi_flow_info *);

struct learn_stats { unsigned pairs, classes; uint64_t connections, left_out; };
void learn_get_stats(struct learn *, struct learn_stats *);

struct learn_writing {
	enum policy_mode mode;			/* default mode of the file */
	const struct policy *in_force;		/* whose group names and ids are not used again, so that the two can be joined; NULL: none */
	const char *node;
	bool utc;				/* times in the comments */
	/* Is there a workload that the glob holds and whose own form is not the glob? It would be taken in. NULL: not asked. */
	bool (*strangers)(void *ctx, const char *glob);
	void *ctx;
};
/* Writes a policy file. The same events give the same bytes. -ENOMEM, or 0. */
int learn_write(struct learn *, const struct learn_writing *, FILE *out);

#endif
