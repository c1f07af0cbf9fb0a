/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sink: the thread that turns events into EVE lines and writes them to files, unix sockets, stdout and to those who follow by
 * `tapq events -f`. A sink that blocks or fails loses its own lines (counted by sink), never the others' and never a packet.
 * Files are opened O_APPEND|O_CREAT 0640, written in blocks (flushed at least every 200 ms and when idle), and reopened by sink_reopen (SIGHUP, for logrotate) or
 * when the path names another inode. Unix: a stream socket that is connected (again, with a pause) as a client. */
#ifndef TQ_AGENT_SINK_H
#define TQ_AGENT_SINK_H

#include "agent/config.h"
#include "agent/eve.h"
#include "agent/evring.h"

struct sinks;

/* rings: borrowed array of n; they must outlive the sinks. Starts the thread. */
struct sinks *sinks_start(const struct eve_conf *, const struct sink_conf *, unsigned nsinks, struct evring *const *rings, unsigned nrings, int eventfd, struct err *);
/* Drains what is there, flushes, joins, closes. NULL is fine. */
void sinks_stop(struct sinks *);
/* Whoever else is shown every event of the rings, on the sinks' thread; before the first event. */
void sinks_tap(struct sinks *, void (*fn)(void *ctx, const struct event *), void *ctx);
/* Another set of sinks (reload). On error nothing changes. */
int sinks_replace(struct sinks *, const struct sink_conf *, unsigned nsinks, struct err *);
void sinks_reopen(struct sinks *);
/* A follower: a descriptor (taken; closed when it breaks or at stop) that gets every line of the types in mask. Lines that it does not read fast enough are dropped and counted. */
int sinks_follow(struct sinks *, int fd, uint64_t mask, struct err *);
/* Union of the masks of all sinks and followers: which events need to be built at all. */
uint64_t sinks_mask(struct sinks *);
/* A line that no worker made (stats): formatted already, type for the masks. Copies. */
void sinks_put_line(struct sinks *, enum event_type, const char *line, size_t n);

struct sink_stats { const char *name; uint64_t lines, dropped, errors, mask; };	/* name valid until sinks_replace/stop */
unsigned sinks_stats(struct sinks *, struct sink_stats *out, unsigned max);

#endif
