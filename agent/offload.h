/* SPDX-License-Identifier: GPL-2.0-or-later */
/* offload: one worker's flows that are decided and go by the queue, by the mark of their connection (nfq/conntrack.h).
 *
 * The worker notes a flow when the core's answer says that it is final, and has the notes carried out when the verdicts before have left, so that
 * nothing of a flow overtakes what still waits for one. From then on the flow is looked at several times a second: its counters go to the core, and so
 * does its end. A flow that comes back stays in the list until it ends, because the kernel counts it best still.
 *
 * Worker thread only, but for the counters. */
#ifndef TQ_AGENT_OFFLOAD_H
#define TQ_AGENT_OFFLOAD_H

#include "base/counter.h"
#include "dpi/dpi.h"
#include "nfq/conntrack.h"

#define OFFLOAD_MAX 65536u	/* flows of a worker that are looked after */

enum offload_counter {
#define X(id, name, help) OFFLOAD_C_##id,
#include "agent/offload.def"
#undef X
	OFFLOAD_C_COUNT
};
extern const struct counter_desc offload_counter_descs[OFFLOAD_C_COUNT];

struct offload;

struct offload *offload_new(void);	/* NULL: no memory */
void offload_free(struct offload *);	/* all were dropped; NULL is fine */
/* The frame inspected last, read from the queue whose table this is, was answered ANSWER_FINAL. */
void offload_note(struct offload *, struct conntrack *, const struct dpi *);
bool offload_due(const struct offload *);	/* some were noted */
bool offload_any(const struct offload *);	/* some pass by */
void offload_mark(struct offload *, struct dpi *);
/* About each 50 ms. */
void offload_tick(struct offload *, struct dpi *);
/* All come back to the queue: before what decided them changes. */
void offload_take_back(struct offload *, struct dpi *);
/* The table is about to go (NULL: all are): the last counters, no marks left, forgotten. */
void offload_drop(struct offload *, struct dpi *, const struct conntrack *);
const uint64_t *offload_counters(const struct offload *);	/* counter_get() from any thread */

#endif
