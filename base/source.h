/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source: where frames come from: a ring, a queue, a capture file.
 *
 * A worker polls fd(), calls batch() until it returns 0, answers every held frame
 * exactly once, and calls flush() before it goes back to poll. All calls of one source
 * come from one worker thread, except stats(), which any thread may call. */
#ifndef TQ_BASE_SOURCE_H
#define TQ_BASE_SOURCE_H

#include <stdint.h>

#include "base/err.h"
#include "base/frame.h"

struct source;

struct source_stats {
	uint64_t packets, bytes;	/* handed out; IP or frame bytes as captured */
	uint64_t accepted, dropped;	/* answers sent (held sources only) */
	uint64_t kernel_drops;		/* lost in the kernel before we saw them: not inspected, and lost or passed as `fail` says */
	uint64_t user_drops;		/* the kernel could not hand them over (socket buffer full) */
	uint64_t passed_unseen;		/* let by without inspection (FAIL_OPEN); 0 where that cannot be */
	uint64_t errors;		/* messages of the kernel's that made no sense, failed answers */
};

struct source_ops {
	const char *name;	/* "ring", "queue", "pcap" */
	/* Descriptor to poll for reading; -1 when batch() should simply be called. */
	int (*fd)(const struct source *);
	/* Fills up to max frames, borrowed until the next batch() or, where they are not held, flush().
	 * Returns their number; 0: nothing now; -EPIPE: the end (file); other -errno: broken. */
	int (*batch)(struct source *, struct frame *out, unsigned max, struct err *);
	/* Answers a held frame; others are ignored. May be gathered until flush(). */
	void (*answer)(struct source *, const struct frame *, struct answer);
	void (*flush)(struct source *);
	/* ms until batch() should be called although fd() is silent; -1: never. */
	int (*timeout)(const struct source *);
	/* ms after which batch() has handed out all that the kernel took until now. NULL: at once. */
	int (*linger)(const struct source *);
	void (*stats)(const struct source *, struct source_stats *);
	void (*close)(struct source *);	/* frees; NULL is fine; every held frame is left to the kernel */
};

/* First member of every source's own struct. */
struct source {
	const struct source_ops *ops;
};

#endif
