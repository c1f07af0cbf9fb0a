/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replay: packets from capture files through the same core, EVE out (CONTRACT: tapq replay). With one worker no threads, and the same input gives the
 * same bytes. */
#ifndef TQ_AGENT_REPLAY_H
#define TQ_AGENT_REPLAY_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

#define REPLAY_WORKERS_MAX 64u	/* as dpi.workers */

struct replay_args {
	const char *config;	/* NULL: built-in defaults */
	const char *policy;	/* NULL: none */
	const char *workloads;	/* file with what `tapq workloads --json` prints; NULL: none */
	FILE *out;		/* EVE lines; NULL with no_events */
	bool no_events;		/* parse, count, print totals to `totals` */
	FILE *totals;
	char *const *files;
	unsigned nfiles;
	unsigned workers;	/* 0, 1: all files are one run, in the given order; more: each file is a run of its own, so many at a time */
};
/* 0, or -errno with one line (which file). */
int replay_run(const struct replay_args *, struct err *);

#endif
