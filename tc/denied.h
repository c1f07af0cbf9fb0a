/* SPDX-License-Identifier: GPL-2.0-or-later */
/* denied: ways of denied flows (deny.h) in the bpf engine's map: its program redirects them to the bridge. Which ways there are, and which is the
 * oldest, struct deny_set knows in both engines; filter.c asks here instead of for u32 filters. Any thread. */
#ifndef TQ_TC_DENIED_H
#define TQ_TC_DENIED_H

#include "tc/deny.h"
#include "tc/flowmap.h"

int denied_put(struct flowmap *, int ifindex, int hook, const struct deny_way *);	/* 0 or -errno; -E2BIG: the map is full */
int denied_del(struct flowmap *, int ifindex, int hook, const struct deny_way *);	/* not there is fine */
bool denied_stands(struct flowmap *, int ifindex, int hook, const struct deny_way *);

#endif
