/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reconcile: brings the kernel to what is wanted, for all workloads together and in the order that leaves no packet unseen
 * and counts none twice:
 *
 *   overlap begins -> queues and rules that are new, mirrors without exclusions -> the world is told who owns what ->
 *   exclusions, rules and queues that are no more wanted, mirrors that are no more wanted -> overlap ends a moment later.
 *
 * A workload that was not attached before needs no overlap: its paths are simply made. */
#ifndef TQ_AGENT_RECONCILE_H
#define TQ_AGENT_RECONCILE_H

#include "agent/node.h"

int64_t node_now(void);

/* Bridges and rings, as far as any workload is mirrored (a live owner refuses). */
int reconcile_bridge(struct node *, struct err *);
void reconcile_bridge_soon(struct node *);
/* Ends an overlap whose time has come. */
void reconcile_overlap(struct node *);
/* Stop: rules, queues and filters away (kept: only our descriptors). */
void reconcile_all_away(struct node *);
void reconcile_bridge_away(struct node *);

#endif
