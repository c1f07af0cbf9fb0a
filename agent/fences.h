/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fences: what the policy refuses at the first packet, for the filters of every mirrored veth (dpi/fence.h finds it, tc/deny.h says it in u32). */
#ifndef TQ_AGENT_FENCES_H
#define TQ_AGENT_FENCES_H

#include "agent/node.h"

/* Works out the fences of every link anew; workloads with others than before are `changed`. What enforcement kept of links that are gone goes too. */
void fences_refresh(struct node *);

#endif
