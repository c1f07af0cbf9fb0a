/* SPDX-License-Identifier: GPL-2.0-or-later */
/* message: messages that say their length, and requests that wait for their answer; what many protocols need alike. */
#ifndef TQ_DPI_MESSAGE_H
#define TQ_DPI_MESSAGE_H

#include "dpi/proto.h"

/* The next n bytes are of no interest, whether they are there or not. */
static inline void msg_pass(struct px *px, enum dir dir, struct cursor *in, uint64_t n)
{
	size_t have = cur_left(in);

	if (n <= have) {
		cur_skip(in, (size_t)n);
		return;
	}
	cur_rest(in);
	px_skip(px, dir, n - have);
}

/* The message of `len` bytes at the position, as a view of its first `keep` bytes at most; all of it is consumed. MORE: these
 * are not there yet (px_need was called). */
static inline enum parse msg_take(struct px *px, enum dir dir, struct cursor *in, uint64_t len, size_t keep, struct cursor *view)
{
	size_t want = len < keep ? (size_t)len : keep;

	if (cur_left(in) < want) {
		px_need(px, want);
		return PARSE_MORE;
	}
	*view = cur_sub(in, want);
	msg_pass(px, dir, in, len - want);
	return PARSE_DONE;
}

static inline enum parse msg_more(struct px *px, size_t n)
{
	px_need(px, n);
	return PARSE_MORE;
}

static inline enum parse msg_bad(struct px *px, const char *event)
{
	px_bad(px, event);
	return PARSE_BAD;
}

/* ---- streams of messages with a head that says how long they are ---- */

/* Where messages begin is sure after the first good one. In the middle of a connection, and after a gap, a responder's bytes are
 * passed by until a request went out (msg_asked): the next message may answer it. */
struct msg_sync {
	bool sure[2], adrift[2], looks[2];
	bool over;	/* a message stopped the parser or handed over: nothing more is to be read */
};

struct msg_format {
	size_t head;		/* bytes that are needed to know the length */
	const char *bad;	/* the anomaly of a head that is none */
	/* From a head: the length of the whole message, and how much of it is wanted (the head at least). False: no head. */
	bool (*length)(void *state, enum dir dir, struct cursor head, uint64_t *len, size_t *keep);
	/* One message: what was wanted of it. */
	enum parse (*message)(struct px *px, void *state, enum dir dir, struct cursor msg, uint64_t len);
};

enum parse msg_run(struct px *px, const struct msg_format *f, struct msg_sync *y, void *state, enum dir dir, struct cursor *in);
/* For struct proto.gap. */
enum parse msg_gap(struct msg_sync *y, enum dir dir);
static inline void msg_asked(struct msg_sync *y) { y->looks[DIR_TOCLIENT] = y->adrift[DIR_TOCLIENT]; }

/* ---- requests that wait ---- */

#define ASKED_MAX 32u	/* more: the oldest is told without its answer */

struct asked {
	struct saved *told;	/* NULL: no memory for it */
	uint64_t id;		/* the protocol's own: what the answer names, or what was asked */
	uint32_t tx;
};

struct asks {
	enum event_type event;
	uint32_t n;
	uint32_t next_tx;
	uint32_t lost;		/* told without an answer; theirs come first where order alone tells */
	struct asked q[ASKED_MAX];	/* oldest first */
};

/* Keeps the record until its answer. The policy was asked by px_judge before. */
void asks_add(struct px *px, struct asks *a, uint64_t id, const struct record *r);
/* Index of the oldest with that id, or -1. */
int asks_find(const struct asks *a, uint64_t id);
/* Keeps another record in place of what was asked: more of it is known. */
void asks_put(struct px *px, struct asks *a, int i, const struct record *r);
/* Begins the answer's record with what was asked; more facts may be added, then asks_tell. */
struct record *asks_record(struct px *px, const struct asks *a, int i);
void asks_tell(struct px *px, struct asks *a, int i, const struct record *r);
/* One that has no answer, now. */
void asks_tell_now(struct px *px, struct asks *a, const struct record *r);
/* All without an answer (end of the flow). */
void asks_end(struct px *px, struct asks *a);

#endif
