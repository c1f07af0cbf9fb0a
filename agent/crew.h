/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crew: one job for many workloads, side by side. What is done in a netns waits most of its time, for programs that are run there and for the kernel to
 * let go of what was deleted (some 12 ms each); a thread each hides one wait behind the others. */
#ifndef TQ_AGENT_CREW_H
#define TQ_AGENT_CREW_H

#define CREW_MAX 8u	/* threads, the caller's among them: more programs at once would take the processors from the workloads */

/* Calls job(ctx, i) for each i < n, in any order and on any of the threads, and returns when all are done. The caller's thread does its share; where no
 * other can be had it does everything. */
void crew_run(unsigned n, void (*job)(void *ctx, unsigned i), void *ctx);

#endif
