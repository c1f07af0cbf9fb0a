/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verdicts: which messages answer the packets of one queue. Pure: the messages go to a callback.
 *
 * A batch verdict answers every packet of the queue up to its id. So it may be used only for a run of accepts behind which
 * nothing waits: `head` is the oldest id that is not answered yet, and what was accepted before it is gathered. Frames may be answered in any
 * order, much later too (another worker inspects them): an accept beyond the head is sent singly at the next flush, any other answer at once.
 *
 * The window of ids is bounded. When the oldest unanswered packet falls out of it, that packet and all others are answered
 * singly until it was. Ids that were never received (the kernel could not hand them over) wait for nobody. */
#ifndef TQ_NFQ_VERDICTS_H
#define TQ_NFQ_VERDICTS_H

#include <stdbool.h>
#include <stdint.h>

#define VERDICTS_GATHER 64	/* accepts after which a batch is due */

struct verdicts {
	uint8_t *state;		/* per id & mask; a mapping, whose pages are only there as far as ids came */
	uint32_t mask;
	uint32_t head;		/* nothing before it waits for an answer, but for the lost ones */
	uint32_t next;		/* behind the newest id received */
	uint32_t last;		/* newest gathered id, when gathered */
	uint32_t gathered;	/* accepts before the head that the next batch answers */
	uint32_t late;		/* accepts beyond the head, not sent yet ... */
	uint32_t late_from;	/* ... none before this id, which the head may have passed: the head may wait for long */
	uint32_t lost;		/* waiting packets that fell out of the window */
};

enum verdict_kind { VERDICTS_ACCEPT, VERDICTS_DROP, VERDICTS_OTHER /* a message of the caller's own */, VERDICTS_ACCEPT_UP_TO };
typedef void (*verdict_fn)(void *ctx, enum verdict_kind, uint32_t id);

/* window: ids that can be told apart, a power of two. -ENOMEM. The kernel's first id is 1. */
int verdicts_init(struct verdicts *, uint32_t window);
void verdicts_free(struct verdicts *);
/* A packet was read. Returns how many ids before it were never received. False ids (not newer than the newest) are -1. */
int64_t verdicts_received(struct verdicts *, uint32_t id, verdict_fn, void *ctx);
/* Not by VERDICTS_ACCEPT_UP_TO. True when it was waiting; a second answer is ignored. */
bool verdicts_answer(struct verdicts *, uint32_t id, enum verdict_kind, verdict_fn, void *ctx);
void verdicts_flush(struct verdicts *, verdict_fn, void *ctx);

#endif
