/* SPDX-License-Identifier: GPL-2.0-or-later */
/* netlink: a NETLINK_ROUTE socket for tc: one question, dumps, and batches of changes. One thread.
 *
 * A batch goes out in few sendmsg() calls; only the last message of each asks for an answer, and failed ones answer by
 * themselves. The kernel works through a whole sendmsg() before it returns, so a killed process leaves no half of one. */
#ifndef TQ_TC_NETLINK_H
#define TQ_TC_NETLINK_H

#include <stdbool.h>
#include <stdint.h>

#include <netlink/msg.h>
#include <netlink/socket.h>

#include "base/err.h"

#define TCNL_CHUNK 128u		/* messages a sendmsg() */

struct tcnl {
	struct nl_sock *sk;
	uint32_t seq;
	uint8_t *out;		/* the batch that is being gathered */
	size_t used, size;
	unsigned count;
	int error;		/* the first failure of the batch, and what the kernel said */
	struct err why;
	bool busy;		/* some message failed by EBUSY */
	bool exists;		/* some message failed by EEXIST */
};

int tcnl_open(struct tcnl *, struct err *);
void tcnl_close(struct tcnl *);

/* Starts a batch (forgets the last one's errors). */
void tcnl_begin(struct tcnl *);
/* Takes the message (NULL: out of memory); sends when a chunk is full. -errno only when the socket itself fails. */
int tcnl_add(struct tcnl *, struct nl_msg *, struct err *);
/* Sends the rest. Failures of single messages are in ->error and ->why. */
int tcnl_end(struct tcnl *, struct err *);

/* One message, one answer for fn (NULL: none wanted). Takes the message. The kernel's -errno. */
int tcnl_ask(struct tcnl *, struct nl_msg *, void (*fn)(void *ctx, const struct nlmsghdr *), void *ctx, struct err *);
/* A dump; begun anew when it was interrupted by a change (restart is called before each pass). Takes the message. */
int tcnl_dump(struct tcnl *, struct nl_msg *, void (*restart)(void *ctx), void (*fn)(void *ctx, const struct nlmsghdr *), void *ctx, struct err *);

#endif
