/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cleanup: removes everything that a tapqd which is no more left behind: filters in this netns, chains in every netns that
 * can be found, the bridges. Works without a running agent, and refuses where one lives. */
#ifndef TQ_AGENT_CLEANUP_H
#define TQ_AGENT_CLEANUP_H

#include "base/err.h"

struct cleanup_result {
	unsigned devices;	/* devices that carried filters of ours */
	unsigned namespaces;	/* network namespaces that carried chains of ours */
	unsigned bridges;	/* 1: the pair of bridges was there */
};

/* bridge: name of the first one (vbr-neuv). -EBUSY: an agent lives. */
int cleanup_run(const char *bridge, const char *control, struct cleanup_result *, struct err *);

#endif
