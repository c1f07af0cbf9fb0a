/* SPDX-License-Identifier: GPL-2.0-or-later */
/* queue: the source that reads one workload's NFQUEUE: both its numbers (TCP with GSO, UDP without) over one socket each.
 *
 * Opened inside the workload's netns (the socket stays there). COPY_PACKET 0xffff, FAIL_OPEN unless closed, GSO on the TCP
 * queue unless gso_max_size > 65536 (BIG TCP is cut at 65,531 bytes). Every packet read gets one verdict: consecutive accepts
 * go in one NFQNL_MSG_VERDICT_BATCH per socket, anything else singly. Reads until EAGAIN. libmnl + libnetfilter_queue (nfq_nlmsg_*).
 * answer() and flush() may be called for frames of earlier batches too (a frame that was handed to another worker). */
#ifndef TQ_NFQ_QUEUE_H
#define TQ_NFQ_QUEUE_H

#include <stdbool.h>

#include "base/source.h"

struct queue_conf {
	int nsfd;
	uint16_t queue_tcp;		/* and queue_tcp + 1 for UDP */
	uint32_t maxlen;		/* packets waiting in the kernel; 0: 4096 */
	uint32_t rcvbuf;		/* bytes, by SO_RCVBUFFORCE; 0: 8 MiB */
	bool fail_open;
	bool gso;
	uint8_t path;			/* label for frame.path */
	uint32_t workload;		/* for frame.workload */
	uint32_t domain;
	uint32_t view_in, view_out;	/* frame.view for INPUT and OUTPUT */
	uint32_t iface;
};

struct source *queue_open(const struct queue_conf *, struct err *);

/* How often so many packets were read in one go as the kernel's queue has room for beside those that wait for an answer: only then can it have been full, and have let packets by that
 * no id tells of (FAIL_OPEN: rule hits less id_sequence). Any thread. */
uint64_t queue_fulls(const struct source *);

/* What the kernel says of this workload's queues (/proc/thread-self/net/netfilter/nfnetlink_queue). */
struct queue_kernel { uint64_t waiting, dropped, user_dropped, id_sequence; };
int queue_kernel_counts(int nsfd, uint16_t queue_tcp, struct queue_kernel *, struct err *);

#endif
