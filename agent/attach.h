/* SPDX-License-Identifier: GPL-2.0-or-later */
/* attach: one workload's kernel state: queue socket and rules in its netns, filters on its veths.
 *
 * Each step is wanted/present: running it twice does nothing. Failures are kept in the workload (and counted); the reconciler
 * tries again. Order matters and is the caller's (node_reconcile). The steps in the netns, attach_track, attach_queue, leave_queue and detach_queue, may run for
 * several workloads at a time (agent/crew.h). */
#ifndef TQ_AGENT_ATTACH_H
#define TQ_AGENT_ATTACH_H

#include "agent/node.h"

/* Ports of local servers whose queue owns them: the client rules of others let these pass. More than this many: none are
 * written, the guard alone keeps such packets from being inspected twice. */
#define ATTACH_PEERS_MAX 64
/* soon: servers whose queue is being made within this reconcile count too. */
unsigned attach_peers(const struct node *, const struct workload *client, bool soon, struct peer_port out[ATTACH_PEERS_MAX]);
uint64_t attach_peers_key(const struct peer_port *peers, unsigned npeers);	/* 0: none */

/* Sets *_wanted from the options. */
void attach_want(struct workload *);
/* Before attach_queue: true when conntrack was turned on and open connections should be given ATTACH_SETTLE_MS to become known to it. */
bool attach_track(struct node *, struct workload *);
#define ATTACH_SETTLE_MS 50
/* Opens the queue, writes the rules, reads them back. peers: ports of local servers that C's client rules let pass. */
int attach_queue(struct node *, struct workload *, const struct peer_port *peers, unsigned npeers);
/* Rules away, then what waits in the queue is answered, then the socket is closed. netns_gone: only the descriptors. */
void detach_queue(struct node *, struct workload *, bool netns_gone);
/* The same where only the queue is not wanted any more: quarantine's chains stay. */
void leave_queue(struct node *, struct workload *);
/* Quarantine's chains in a workload that has no queue; takes them away when it is over. Nothing to do elsewhere. */
int attach_cut(struct node *, struct workload *);
bool attach_cut_current(const struct workload *);
/* Filters on every link; exclude: the queue's ports are not copied (only when it is ready). */
int attach_mirror(struct node *, struct workload *, bool exclude);
/* The policy is another one: what filters say of it is brought up to date on every mirrored link. */
void attach_policy(struct node *);
/* Should the queue's ports be excluded now? Not while it sends past its queue. */
bool attach_excludes(const struct workload *);
/* for_good: the qdisc goes too, which costs a packet or two; else it stays for the next attach_mirror. */
void detach_mirror(struct node *, struct workload *, bool for_good);
/* Reads back only: what somebody changed since it was last read; all: every filter. True when all is as wanted. */
bool attach_check(struct node *, struct workload *, bool all);
/* Is there anything of ours, or may there be, that is not wanted? detach_queue and detach_mirror try (again) to take it away. */
bool attach_rules_left(const struct workload *);
bool attach_filters_left(const struct wl_link *);
/* True when the options in force for the queue are those the rules in the kernel say. */
bool attach_queue_current(const struct workload *);

#endif
