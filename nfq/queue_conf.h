/* SPDX-License-Identifier: GPL-2.0-or-later */
/* queue_conf: between nfq/queue.c (the source) and nfq/queue_conf.c (its socket and the kernel's counts). */
#ifndef TQ_NFQ_QUEUE_CONF_H
#define TQ_NFQ_QUEUE_CONF_H

#include "nfq/queue.h"

#define QUEUE_MAXLEN 4096u
#define QUEUE_RCVBUF (8u << 20)

/* The netns' list of queues, kept open; -errno. */
int queue_proc_open(int nsfd, struct err *);
/* A netlink socket in the netns, or -errno. */
int queue_socket(const struct queue_conf *, struct err *);
/* Binds it to queue_tcp and queue_tcp + 1, or -errno: then the first of them may be bound. proc: that list. */
int queue_bind(int fd, int proc, const struct queue_conf *, struct err *);
/* Gives the number back at once, if it is this socket's: a closed socket has it as long as a program that another thread starts has not begun to run. */
void queue_unbind(int fd, unsigned queue);
/* Sums of both numbers; false when neither is there. Any thread. */
bool queue_proc_read(int fd, uint16_t queue_tcp, struct queue_kernel *);

#endif
