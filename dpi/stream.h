/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream: between stream.c, stream_syn.c (handshakes) and stream_ooo.c (what waits for bytes before it).
 *
 * Out of order bytes are kept as tcp_data_queue_ofo() keeps them (net/ipv4/tcp_input.c): a segment that lies wholly in one that waits is dropped; one
 * that starts where a waiting one starts, or before it, and covers it, replaces it; partial overlaps stay as they came.
 * When their turn comes the lowest goes first and what was taken already is passed over, so the lower start wins. */
#ifndef TQ_DPI_STREAM_H
#define TQ_DPI_STREAM_H

#include "dpi/engine.h"

#define WSCALE_UNKNOWN 14u	/* the largest there is: nothing may be taken too narrowly */
#define OOO_SEGS_MAX 250u
#define OOO_BYTES_MAX (1u << 20)	/* per direction */

struct seg {
	struct seg *next, *prev;	/* ring by seq */
	uint32_t seq, len;
	bool fin;
	bool bare;			/* only its place is kept: nobody wants the bytes */
	bool parked;			/* not to be taken yet (stream.c): it acknowledges `ack`, which nobody was seen to send; or */
	bool beyond;			/* ... it reaches past the window: taken when the receiver acknowledges some of it; or */
	bool doubted;			/* ... its checksum is wrong (stream_doubted): taken when the receiver acknowledges all of it */
	bool urgent;			/* of beyond: its urgent byte is at urgent_at, if it was taken */
	bool acks, has_ts;		/* of beyond: what its header says counts too, if it was taken: */
	uint32_t ack, urgent_at;
	uint32_t tsval, second;
	uint8_t bytes[];
};

static inline bool seq_before(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }
static inline bool seq_after(uint32_t a, uint32_t b) { return (int32_t)(a - b) > 0; }
static inline struct half *sender(const struct px *x) { return &x->f->half[x->dir]; }
static inline struct half *receiver(const struct px *x) { return &x->f->half[!x->dir]; }
static inline uint32_t second(const struct px *x) { return (uint32_t)(x->now / SEC); }

/* tcp_check_urg(): the pointer is that of the last urgent byte plus one ... */
static inline uint32_t urgent_place(const struct packet *p) { return p->seq + (p->urgent ? p->urgent - 1u : 0); }
/* ... and an older one says nothing. */
static inline void urgent_said(struct half *h, uint32_t at)
{
	if (seq_before(at, h->next) || (h->flags & HALF_URG && !seq_after(at, h->urg_seq)))
		return;
	h->urg_seq = at;
	h->flags |= HALF_URG | HALF_URG_SEEN;
}

/* Bytes of payload on the wire: more than are here where the capture is cut. */
static inline uint32_t wire_payload(const struct packet *p)
{
	return (uint32_t)p->payload.n + (p->iplen > p->ip.n ? p->iplen - (uint32_t)p->ip.n : 0);
}

static inline uint32_t seg_end(const struct seg *s) { return s->seq + s->len + s->fin; }

/* Keeps n bytes at seq (all of them after what was taken). */
void ooo_add(struct px *, enum dir, uint32_t seq, const uint8_t *p, size_t n, bool fin);
/* Why bytes must not be taken yet. */
enum park {
	PARK_ACK,	/* before their acknowledgement is shown to be of something */
	PARK_BEYOND,	/* before the receiver acknowledges one of them */
	PARK_DOUBTED,	/* before the receiver acknowledges them all */
};
void ooo_park(struct px *, enum dir, uint32_t seq, const uint8_t *p, size_t n, bool fin, uint32_t ack, enum park);
/* How far doubted segments, each wholly acknowledged by `ack`, go on from `at` without a hole; `at`: there is none. */
uint32_t ooo_doubted_end(const struct half *, uint32_t at, uint32_t ack);
/* Parked ones that acknowledge at most `ack`: true ones wait like others from now on (the highest of their
 * acknowledgements through *ack; false: there were none), the others are dropped. */
bool ooo_unpark(struct dpi *, struct half *, uint32_t *ack, bool truly);
/* The receiver acknowledges up to `ack`: it took what is doubted and ends there or before, and of what was parked beyond its window the same; `begun`: also what
 * begins before that, where nothing else explains the acknowledgement. */
void ooo_admit(struct half *, uint32_t ack, bool begun);
void ooo_drop_parked(struct dpi *, struct half *);
/* The lowest that is not parked; NULL: none. */
struct seg *ooo_first(const struct half *);
/* True when a byte of p differs from one that waits for the same place. */
bool ooo_differs(const struct half *, uint32_t seq, const uint8_t *p, size_t n);
/* Takes out the lowest segment when it starts at or before `next`; NULL: none. Freed by ooo_release. */
struct seg *ooo_take(struct dpi *, struct half *);
void ooo_release(struct dpi *, struct seg *);
/* End of the highest byte that waits and is not parked; `next` when there is none. */
uint32_t ooo_end(const struct half *);

/* stream.c: hands on what waits and whose turn has come. */
void stream_drain(struct px *, enum dir);
/* stream_syn.c: a SYN without, and with ACK. */
void stream_syn(struct px *);
void stream_syn_ack(struct px *);
/* The initiator acknowledges for the first time. A responder that keeps nothing before that (SYN cookies) may have answered its SYN twice, under two numbers: this
 * tells which of them counts. */
void stream_which_answer(struct px *);

#endif
