/* SPDX-License-Identifier: GPL-2.0-or-later */
/* evring: events from one worker to the sink thread, over base/spsc.h: head and body are copied, a full ring drops the event and
 * counts it, and the packet path never waits. */
#ifndef TQ_AGENT_EVRING_H
#define TQ_AGENT_EVRING_H

#include <stdbool.h>
#include <stdint.h>

#include "dpi/event.h"

struct evring;

struct evring *evring_new(uint32_t bytes /* power of two, >= 64 KiB */, int eventfd /* borrowed; -1: none */);
void evring_free(struct evring *);			/* NULL is fine */
bool evring_put(struct evring *, const struct event *);	/* producer; false: dropped and counted */
bool evring_crowded(struct evring *);			/* producer: spsc_crowded() */
void evring_wake(struct evring *);			/* producer, after a batch: wakes the consumer if anything was put */
/* Consumer: the oldest event; its body points into the ring until evring_pop. NULL: empty. */
const struct event *evring_peek(struct evring *);
void evring_pop(struct evring *);
bool evring_doze(struct evring *, bool doze);		/* spsc_doze() */
uint64_t evring_dropped(const struct evring *);		/* any thread */

#endif
