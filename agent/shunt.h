/* SPDX-License-Identifier: GPL-2.0-or-later */
/* shunt: one worker's flows of the mirror that are decided and copied no more (tc.engine: bpf; tc/passing.h).
 *
 * A copy costs little until there are many: a flow is noted when the core says that it is final (ANSWER_FINAL) and it is bulk: what nobody can read
 * (TLS, SSH, QUIC and the like) after SHUNT_SEALED bytes, all else after tc.shunt_bytes. From then on its counters are read several times a second, so is its end; what was
 * copied before and is still in the rings is counted as it comes. When policy, events, mode or the mirror change, all come back.
 *
 * Worker thread only, but for the counters. */
#ifndef TQ_AGENT_SHUNT_H
#define TQ_AGENT_SHUNT_H

#include "agent/world.h"
#include "base/counter.h"
#include "dpi/dpi.h"
#include "tc/passing.h"

#define SHUNT_MAX 32768u	/* flows of a worker */
#define SHUNT_SEALED (64u << 10)

enum shunt_counter {
#define X(id, name, help) SHUNT_C_##id,
#include "agent/shunt.def"
#undef X
	SHUNT_C_COUNT
};
extern const struct counter_desc shunt_counter_descs[SHUNT_C_COUNT];

struct shunt;

struct shunt *shunt_new(uint64_t bulk);	/* tc.shunt_bytes. NULL: no memory */
void shunt_free(struct shunt *);	/* all were dropped; NULL is fine */
/* The frame inspected last, a copy of the mirror's, was answered ANSWER_FINAL. */
void shunt_note(struct shunt *, struct flowmap *, const struct world *, struct dpi *);
/* About each 50 ms. */
void shunt_tick(struct shunt *, struct dpi *);
/* All are copied again, their last counters told: before what decided them changes, before the mirror or the core goes. */
void shunt_take_back(struct shunt *, struct dpi *);
bool shunt_any(const struct shunt *);			/* some pass by */
const uint64_t *shunt_counters(const struct shunt *);	/* counter_get() from any thread */

#endif
