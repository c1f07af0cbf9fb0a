/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replay_world: the workloads of a replay, from what `tapq workloads --json` printed, as a world like the agent's own. Bounded: 32,768 interfaces,
 * LINK_ADDRS_MAX addresses an interface. */
#ifndef TQ_AGENT_REPLAY_WORLD_H
#define TQ_AGENT_REPLAY_WORLD_H

#include "agent/names.h"
#include "agent/policy_file.h"
#include "agent/world.h"

/* file NULL: nobody lives there. Names and labels go to `names`; policy (NULL: none) is borrowed. A reference, or NULL and why. */
struct world *replay_world_read(const char *file, struct names *, const struct policy_file *policy, struct err *);

#endif
