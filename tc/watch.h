/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch: which devices' qdiscs and filters were changed by somebody, as the kernel tells (RTNLGRP_TC). Reading filters back costs with their number;
 * a device of which nothing was told since it was read is as it was read. */
#ifndef TQ_TC_WATCH_H
#define TQ_TC_WATCH_H

#include <stdint.h>

#include "base/err.h"
#include "tc/filter.h"

struct tc_watch;

/* In the calling thread's netns. own: its changes are not told (it reads back what it did); borrowed for the call. */
struct tc_watch *tc_watch_open(const struct tc *own, struct err *);
/* What was told since the last call. ifindex 0: any device may be another than it was (a buffer that overflowed, blocks that devices share, an action
 * by itself). 0 or -errno. */
int tc_watch_read(struct tc_watch *, void (*fn)(void *ctx, int ifindex), void *ctx, struct err *);
void tc_watch_close(struct tc_watch *);		/* NULL is fine */

#endif
