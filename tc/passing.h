/* SPDX-License-Identifier: GPL-2.0-or-later */
/* passing: decided flows that the bpf engine copies no more, and counts instead (bpf/mirror.bpf.c).
 *
 * A flow is put at both hooks of each end's device that is given: from the moment that passing_put() returns nothing of it is copied, but for SYNs.
 * What was copied before may still be in the rings. Each direction is counted where it leaves its sender, if that is an end here, else where it enters its
 * receiver; what is counted was not copied there. Any thread. */
#ifndef TQ_TC_PASSING_H
#define TQ_TC_PASSING_H

#include <stdbool.h>

#include "base/addr.h"
#include "tc/flowmap.h"

struct passing_flow {		/* as its initiator sends */
	struct addr src, dst;
	uint16_t sport, dport;	/* host order */
	uint8_t ipproto;	/* TCP or UDP */
	int ifindex[2];		/* host's end of the veth of src, of dst; 0: not local. One at least */
};

struct passing_count {
	uint64_t pkts[2], bytes[2];	/* from src, from dst, since it was put; IP lengths */
	bool closed, reset;		/* TCP: both said FIN; one said RST */
};

/* 0, or -errno: then nothing of it is there. -E2BIG: the map is full. */
int passing_put(struct flowmap *, const struct passing_flow *);
/* False: it is not there (any more). */
bool passing_read(struct flowmap *, const struct passing_flow *, struct passing_count *);
/* Copied again; the last count. False: it was not there. */
bool passing_take(struct flowmap *, const struct passing_flow *, struct passing_count *);

#endif
