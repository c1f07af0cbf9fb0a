/* SPDX-License-Identifier: GPL-2.0-or-later */
/* enforce: carries out on the mirror what the core denies: filters that stop the flow (tc/deny.h; in the bpf engine they are entries of a map), and
 * both ends are told (refusal.h).
 *
 * A thread of its own, because the main one runs programs of the iptables family and may be away for long. Workers hand it refusals by rings
 * that never wait; what finds no room is counted, and comes again with the flow's next packet.
 *
 * A direction is stopped where its packets are seen first: at the sender's veth when they leave it, where the sender is a mirrored workload;
 * else at the receiver's when they enter it. So each packet is stopped once and counted once. A flow's filters go when the core has ended the
 * flow, when room is needed (the oldest first), and with enforce_flush(). */
#ifndef TQ_AGENT_ENFORCE_H
#define TQ_AGENT_ENFORCE_H

#include "bridge/link.h"
#include "dpi/dpi.h"
#include "tc/filter.h"

#define ENFORCE_FLOWS_MAX 65536u	/* on the node, then the oldest make room; a device: DENY_MAX */

enum enforce_counter {
#define ENFORCE_COUNTERS(X) \
	X(FLOWS, "enforce.flows", "Flows that filters of the mirror were put in place for") \
	X(STANDING, "enforce.standing", "Denied flows that are stopped now") \
	X(PASSED, "enforce.passed", "Packets of denied flows that had passed before the filters stood") \
	X(EVICTED, "enforce.evicted", "Denied flows that made room for newer ones, and their filters with them") \
	X(FAILED, "enforce.failed", "Filters for denied flows that could not be put in place") \
	X(NOWHERE, "enforce.nowhere", "Denied flows neither of whose ends is a workload with filters that were read back: not stopped") \
	X(LATENCY, "enforce.latency_us", "Microseconds from denied packets to their flows' filters, in all")
#define X(id, name, help) ENFORCE_C_##id,
	ENFORCE_COUNTERS(X)
#undef X
	ENFORCE_C_COUNT
};
extern const struct counter_desc enforce_counter_descs[ENFORCE_C_COUNT];

struct enforce;
/* Called in the node's netns, which the thread stays in. */
struct enforce *enforce_start(unsigned nworkers, uint32_t mark, struct err *);
void enforce_stop(struct enforce *);	/* after the workers; NULL is fine. Filters are the caller's to take away */

/* ---- a worker's thread ---- */
bool enforce_refused(struct enforce *, unsigned worker, const struct dpi_refused *);	/* false: no room, counted */
bool enforce_room(struct enforce *, unsigned worker);	/* for another */
void enforce_adopt(struct enforce *, unsigned worker);	/* the worker judges by what holds since enforce_begin */
void enforce_released(struct enforce *, unsigned worker, const struct tuple *);
void enforce_wake(struct enforce *, unsigned worker);	/* after a batch; cheap when there was nothing */

/* ---- the main thread ---- */

/* Between these two the filters of devices are the main thread's. */
void enforce_lock(struct enforce *);
void enforce_unlock(struct enforce *);
/* Under the lock: the denied flows of this device (`end` of workload `workload`), for tc_want.deny. Of another engine than before: none are. NULL: no memory. */
const struct deny_set *enforce_device(struct enforce *, uint32_t workload, uint32_t view, const struct link_end *end, enum tc_engine);
/* Under the lock: the device was brought to this want, or not (ready; without a set of denied flows it is for none). Of its `denied` a reference is kept. */
void enforce_ready(struct enforce *, uint32_t view, const struct tc_want *, bool ready);
/* Under the lock: the device's filters are gone, or it is. */
void enforce_forget(struct enforce *, uint32_t view);
/* Devices that are not there any more are forgotten. */
void enforce_keep(struct enforce *, bool (*there)(void *ctx, uint32_t view), void *ctx);
/* Does the configuration leave room for filters of flows? Until it is said: yes. */
void enforce_possible(struct enforce *, bool);
/* The policy or owners change: what a worker says from its enforce_adopt on waits for enforce_flush. */
void enforce_begin(struct enforce *);
/* Every worker knows: filters of flows go, and what was said before is not heard any more. of: only those of flows of such workloads. */
void enforce_flush(struct enforce *, bool (*of)(void *ctx, uint32_t workload), void *ctx);
/* Can flows be stopped at all? Read by sources (any thread): false for a while after filters were refused by the kernel, and where none are possible. */
const bool *enforce_able(const struct enforce *);

/* Any thread. */
const uint64_t *enforce_counters(const struct enforce *);
uint64_t enforce_refusals_lost(const struct enforce *);

#endif
