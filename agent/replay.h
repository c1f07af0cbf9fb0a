/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replay: packets from capture files through the same core, EVE out (CONTRACT: tapq replay). No threads; the same input gives the same bytes. */
#ifndef TQ_AGENT_REPLAY_H
#define TQ_AGENT_REPLAY_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

struct replay_args {
	const char *config;	/* NULL: built-in defaults */
	const char *policy;	/* NULL: none */
	const char *workloads;	/* file with what `tapq workloads --json` prints; NULL: none */
	FILE *out;		/* EVE lines; NULL with no_events */
	bool no_events;		/* parse, count, print totals to `totals` */
	FILE *totals;
	char *const *files;
	unsigned nfiles;
};
/* 0, or -errno with one line (which file). */
int replay_run(const struct replay_args *, struct err *);

#endif
