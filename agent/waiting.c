/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: a descriptor in an epoll set has the set called back by each packet that comes for it, whether somebody waits or not: some 70 ns of the thread
 * that carries packets on, which on a queue is the reader itself (within its verdicts; docs/PERFORMANCE.md). poll() leaves nothing behind
 * when it returns, and costs by the descriptors that it is given. So the few that are ready again and again are taken out of the set and polled beside
 * it; they go back once they are not, and an idle thread waits for the set alone. */
#include "agent/waiting.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

static int set_add(struct waiting *w, struct waiter *a)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = a };

	return epoll_ctl(w->epfd, EPOLL_CTL_ADD, a->fd, &ev) ? -errno : 0;
}

int waiting_open(struct waiting *w)
{
	*w = (struct waiting){ .epfd = epoll_create1(EPOLL_CLOEXEC) };
	return w->epfd < 0 ? -errno : 0;
}

void waiting_close(struct waiting *w)
{
	if (w->epfd >= 0)
		close(w->epfd);
	w->epfd = -1;
	w->nnear = 0;
}

int waiting_add(struct waiting *w, struct waiter *a, int fd)
{
	int rc;

	*a = (struct waiter){ .fd = fd, .tick = w->tick };
	rc = set_add(w, a);
	if (rc)
		a->fd = -1;
	return rc;
}

static void leave(struct waiting *w, unsigned i)
{
	w->near[i]->near = false;
	w->near[i] = w->near[--w->nnear];
}

void waiting_remove(struct waiting *w, struct waiter *a)
{
	unsigned i = 0;

	if (a->near) {
		while (w->near[i] != a)
			i++;
		leave(w, i);
	} else if (a->fd >= 0) {
		epoll_ctl(w->epfd, EPOLL_CTL_DEL, a->fd, NULL);
	}
	a->fd = -1;
}

static void was_ready(struct waiting *w, struct waiter *a)
{
	if (a->tick != w->tick) {
		a->tick = w->tick;
		a->times = 0;
	}
	if (++a->times < WAITING_BUSY || a->near || w->nnear == WAITING_NEAR)
		return;
	if (epoll_ctl(w->epfd, EPOLL_CTL_DEL, a->fd, NULL))
		return;
	a->near = true;
	w->near[w->nnear++] = a;
}

static unsigned set_ready(struct waiting *w, struct waiter **out, unsigned max, int ms)
{
	struct epoll_event ev[64];
	int n = epoll_wait(w->epfd, ev, max < 64 ? (int)max : 64, ms);

	for (int i = 0; i < n; i++)
		out[i] = ev[i].data.ptr;
	return n > 0 ? (unsigned)n : 0;
}

/* The near ones and, within the same wait, the set. */
static unsigned all_ready(struct waiting *w, struct waiter **out, unsigned max, int ms)
{
	struct pollfd p[1 + WAITING_NEAR] = { { .fd = w->epfd, .events = POLLIN } };
	unsigned n = 0;

	for (unsigned i = 0; i < w->nnear; i++)
		p[1 + i] = (struct pollfd){ .fd = w->near[i]->fd, .events = POLLIN };
	if (poll(p, 1 + w->nnear, ms) <= 0)
		return 0;
	for (unsigned i = 0; i < w->nnear && n < max; i++)
		if (p[1 + i].revents)
			out[n++] = w->near[i];
	if (p[0].revents && n < max)
		n += set_ready(w, out + n, max - n, 0);
	return n;
}

unsigned waiting_ready(struct waiting *w, struct waiter **out, unsigned max, int ms)
{
	unsigned n = w->nnear ? all_ready(w, out, max, ms) : set_ready(w, out, max, ms);

	for (unsigned i = 0; i < n; i++)
		was_ready(w, out[i]);
	return n;
}

void waiting_tick(struct waiting *w)
{
	for (unsigned i = w->nnear; i--;) {
		struct waiter *a = w->near[i];
		bool busy = a->tick == w->tick && a->times >= WAITING_BUSY;

		if (!busy && !set_add(w, a))	/* no room there: it stays */
			leave(w, i);
	}
	w->tick++;
}
