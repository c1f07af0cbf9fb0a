/* SPDX-License-Identifier: GPL-2.0-or-later */
/* outlet: one place that lines go to: a file, a unix socket, stdout, or a follower's descriptor. A buffer, a descriptor that comes and
 * goes, and counters. Belongs to the sink thread (agent/sink.c); the counters may be read by any. */
#ifndef TQ_AGENT_OUTLET_H
#define TQ_AGENT_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/config.h"
#include "base/err.h"

struct outlet {
	enum sink_type type;
	bool follower, socket, regular;
	char *name;		/* path, or what it is */
	uint64_t mask;
	int fd;			/* -1: not open */
	dev_t dev;
	ino_t ino;
	int64_t tended, retry_at;	/* last outlet_tend; no connection, no look at the name before this */
	bool broken;		/* a follower that is to go */
	bool begun;		/* the first bytes in the buffer are the rest of a line */
	char *buf;
	size_t off, len;	/* what is to be written: [off, len) */
	uint64_t lines, dropped, errors;
};

/* Opens it. A unix socket that nobody listens at is no error: it is tried again. On error outlet_free is still due. now: ns, monotonic. */
int outlet_init(struct outlet *, const struct sink_conf *, int64_t now, struct err *);
void outlet_follow(struct outlet *, int fd, uint64_t mask);	/* takes the descriptor */
void outlet_free(struct outlet *);
/* Once per round: connects again, and opens a file again whose name means another one now, or when `reopen` is asked for. */
void outlet_tend(struct outlet *, int64_t now, bool reopen);
void outlet_put(struct outlet *, const char *line, size_t n);
void outlet_flush(struct outlet *);	/* writes what can be written without waiting */
void outlet_forget(struct outlet *);	/* counts what is left as dropped */
static inline bool outlet_blocked(const struct outlet *o) { return o->fd >= 0 && o->off < o->len; }

#endif
