/* SPDX-License-Identifier: GPL-2.0-or-later */
/* relay: takes frames to the worker that owns their flow, and the answers back.
 *
 * Both directions of a flow and all its fragments belong to one worker, by base/steer.h's hash of the address pair, whatever source they
 * come from. The kernel steers the rings by the same hash; a queue's frames arrive at the worker that reads the queue, which hands
 * over those that belong elsewhere. The frame is copied; the worker that read it answers it when the verdict comes back.
 *
 * A full ring refuses: the reader then inspects the frame itself, so that nothing waits (such a flow may be told twice). */
#ifndef TQ_AGENT_RELAY_H
#define TQ_AGENT_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/frame.h"

struct relay;

/* wake: an eventfd for each worker, borrowed. NULL: no memory. */
struct relay *relay_new(unsigned workers, const int *wake);
void relay_free(struct relay *);	/* NULL is fine */

/* Which worker a frame belongs to. */
unsigned relay_owner(const struct relay *, const struct frame *);

struct relayed {
	struct frame frame;		/* data points at the copy; NULL: no frame: what waits with this frame.caller is to be answered now */
};
struct relay_answer {
	void *caller;			/* of the frame */
	uint64_t token;
	struct frame *frame;		/* a copy of it and its bytes, where its answer needs them (DENY, ANSWER_CALM); NULL: it does not, or there was no memory. free() it */
	struct answer answer;
};

/* Called by worker `self` only. */
bool relay_send(struct relay *, unsigned self, unsigned to, const struct frame *);
const struct relayed *relay_next(struct relay *, unsigned self, unsigned *from);	/* NULL: none; valid until relay_done */
void relay_done(struct relay *, unsigned self, unsigned from);
/* What waits at other workers with this frame.caller is to be answered now; not where the way there is full. */
void relay_release(struct relay *, unsigned self, void *caller);
/* The answer to a held frame that worker `to` relayed. */
void relay_reply(struct relay *, unsigned self, unsigned to, const struct frame *, struct answer);
bool relay_take_reply(struct relay *, unsigned self, struct relay_answer *);
void relay_wake(struct relay *, unsigned self);	/* after a batch: wakes those that something was put for */

#endif
