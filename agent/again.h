/* SPDX-License-Identifier: GPL-2.0-or-later */
/* again: one worker's held frames whose receivers were asked where they are (ANSWER_ASK): kept, with their bytes, and shown to the core again
 * until it knows, or AGAIN_TIME is over. Worker thread only. */
#ifndef TQ_AGENT_AGAIN_H
#define TQ_AGENT_AGAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/frame.h"

#define AGAIN_MAX 256u
#define AGAIN_BYTES (4u << 20)
#define AGAIN_TIME 200000000LL	/* ns: a connection goes on without that later */

struct again {
	struct frame *list[AGAIN_MAX];	/* in the order that they came in; each with its bytes behind it */
	int64_t until[AGAIN_MAX];
	unsigned n;
	uint32_t bytes;
};

/* now: ns of a clock that is not set. False: no room. */
bool again_put(struct again *, const struct frame *, int64_t now);
/* Takes the i-th out; free() it. */
struct frame *again_take(struct again *, unsigned i);

#endif
