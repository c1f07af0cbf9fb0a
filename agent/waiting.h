/* SPDX-License-Identifier: GPL-2.0-or-later */
/* waiting: which of a thread's descriptors have something to read: hundreds that seldom do (epoll(7)), and a few that always do (poll(2)).
 *
 * One thread owns it. Waiters are intrusive: embed a `struct waiter` and find its owner by container_of. */
#ifndef TQ_AGENT_WAITING_H
#define TQ_AGENT_WAITING_H

#include <stdbool.h>
#include <stdint.h>

#define WAITING_NEAR 8		/* that many at most are polled one by one */
#define WAITING_BUSY 2		/* times ready within a tick: such a one is busy, and comes near */

struct waiter {
	int fd;
	bool near;
	uint32_t tick, times;	/* ready `times` in this tick */
};

struct waiting {
	int epfd;
	uint32_t tick;
	unsigned nnear;
	struct waiter *near[WAITING_NEAR];
};

int waiting_open(struct waiting *);	/* 0, or -errno */
void waiting_close(struct waiting *);	/* waiters are only forgotten; closed already is fine */
/* fd is borrowed until waiting_remove; 0, or -errno. */
int waiting_add(struct waiting *, struct waiter *, int fd);
void waiting_remove(struct waiting *, struct waiter *);	/* not there is fine */
/* Those that can be read, or have an error, within ms (-1: for ever): at most max, which is above WAITING_NEAR, so that near ones leave room for others. 0: none, or
 * a signal came. */
unsigned waiting_ready(struct waiting *, struct waiter **out, unsigned max, int ms);
/* A tick is over, by the owner's clock: what is near and was not busy in it goes back. */
void waiting_tick(struct waiting *);

#endif
