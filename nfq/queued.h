/* SPDX-License-Identifier: GPL-2.0-or-later */
/* queued: one packet as the kernel's message shows it (nfqnl_build_packet_message() in net/netfilter/nfnetlink_queue.c). Pure.
 *
 * Read by a walk of our own over its attributes: what a table of pointers filled by libmnl costs is 13 % of all that a queued packet costs here. */
#ifndef TQ_NFQ_QUEUED_H
#define TQ_NFQ_QUEUED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queued {
	uint32_t id;
	uint16_t queue;
	uint8_t hook;
	const uint8_t *data;	/* borrowed; NULL: the message is not whole, or makes no sense */
	uint32_t n;
	uint32_t wirelen;	/* 0: n */
	uint32_t info;		/* NFQA_SKB_* */
	int64_t ts;		/* ns since the epoch; 0: it says none */
};

/* A message of `left` readable bytes from its netlink header on; whole: nothing of it was cut off. False: not even the packet's id is there. */
bool queued_read(const void *msg, size_t left, bool whole, struct queued *);

#endif
