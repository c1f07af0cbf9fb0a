/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hold: packets that wait until the request that they belong to can be judged (CONTRACT section 3, point 7).
 *
 * A held frame of a stream from the initiator to the responder, on a flow whose requests some rule may refuse by their facts (flow.refusable), is answered
 * later when its bytes end in the middle of a request, or in the middle of what may turn out to be one while the protocol is sought. When the request is judged,
 * all are answered, in order: they go on, or they are refused together with the packet that completed it, so that the responder gets nothing of it.
 * What no answer comes for within the policy's `hold`, or finds no room, goes on and is told (anomaly `hold.limit`); the request is judged all the same, and
 * nothing more of it waits (flow.hold_over).
 *
 * Of a frame only its head is kept (all of it, where its answer changes it): what refuses it reads headers. The receiver has not seen what waits, so its sender
 * sends it again; such a copy, without a new byte, is dropped, for the first one will do.
 *
 * Bytes on a SYN (RFC 7413) are judged when its answer says that they were taken, for which they cannot wait: such a SYN is dropped. Its sender sends it again
 * without them.
 *
 * Bounds: policy_limits.hold_bytes and hold_time and HOLD_FRAMES for each flow, dpi_conf.max_waiting frames in all. A held packet occupies a place of its kernel's queue. */
#ifndef TQ_DPI_HOLD_H
#define TQ_DPI_HOLD_H

#include <stdbool.h>
#include <stdint.h>

struct dpi;
struct flow;
struct hold;
struct px;

#define HOLD_FRAMES 256u	/* of one flow: a request may come byte by byte */
#define HOLD_BUCKETS 256u

struct holds {
	struct hold *bucket[HOLD_BUCKETS];	/* by flow */
	struct hold *oldest, *newest;
	uint32_t frames;
};

enum hold_result { HOLD_NO, HOLD_WAITS, HOLD_COPY, HOLD_SYN };
/* Before the packet at hand is taken. */
void hold_look(struct px *);
/* The packet at hand was inspected and is not refused: does it wait (the caller answers ANSWER_LATER), or is it a copy of one that does, or a SYN with bytes (the caller drops it)?
 * Otherwise what waited of its flow has been answered, as far as there is nothing left to wait for. */
enum hold_result hold_packet(struct px *);
/* Answers all that waits of the flow by the flow's verdict. */
void hold_end(struct dpi *, struct flow *);
/* The flow of x is over, or has waited for long enough: all that waits goes on, and that is told. */
void hold_pass(struct px *);
/* What has waited for long enough goes on. */
void hold_due(struct dpi *);
/* The policy is another one: flows of which something waits are judged again, and all goes on where its `hold` is 0. */
void hold_judge(struct dpi *);
/* Those that this caller (frame.caller) has to answer go on; NULL: all. */
void hold_release(struct dpi *, const void *caller);

#endif
