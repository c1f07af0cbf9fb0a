/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/nfq/nslab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bridge/netns.h"

/* Until then what is sent is dropped: the carrier is told by a work queue, which on a busy machine takes seconds. */
#define LINK_READY "for i in $(seq 500); do ip -o link show dev eth0 | grep -q 'state UP' && break; sleep 0.02; done"

static void *make(void *arg)
{
	int *fd = arg;

	*fd = unshare(CLONE_NEWNET) ? -1 : open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return NULL;
}

static int new_netns(void)
{
	pthread_t t;
	int fd = -1;

	if (!pthread_create(&t, NULL, make, &fd))
		pthread_join(t, NULL);
	return fd;
}

bool nslab_open(struct nslab *l)
{
	l->a = l->b = -1;
	if (geteuid()) {
		printf("skipped: needs root ");
		return false;
	}
	l->a = new_netns();
	l->b = new_netns();
	if (l->a < 0 || l->b < 0) {
		printf("skipped: no network namespaces ");
		nslab_close(l);
		return false;
	}
	ns_sh(l->a, "ip link set lo up; ip link add eth0 type veth peer name eth0 netns /proc/%d/fd/%d; ip addr add 10.9.0.1/24 dev eth0;"
	      " ip addr add fd09::1/64 dev eth0 nodad; ip link set eth0 up", (int)getpid(), l->b);
	ns_sh(l->b, "ip link set lo up; ip addr add 10.9.0.2/24 dev eth0; ip addr add fd09::2/64 dev eth0 nodad; ip link set eth0 up");
	ns_sh(l->a, LINK_READY);
	ns_sh(l->b, LINK_READY);
	return true;
}

void nslab_close(struct nslab *l)
{
	if (l->a >= 0)
		close(l->a);
	if (l->b >= 0)
		close(l->b);
	l->a = l->b = -1;
}

struct line {
	char text[4096];
	char *out;	/* what it printed */
	int status;
};

static int run_line(void *ctx, struct err *err)
{
	struct line *l = ctx;
	size_t n = 0, size = 1 << 16;
	FILE *f = popen(l->text, "r");
	size_t r;

	(void)err;
	l->out = calloc(1, size);
	while (f && l->out && (r = fread(l->out + n, 1, size - n - 1, f)) > 0)
		n += r;
	l->status = f ? pclose(f) : -1;
	return 0;
}

static void run(int, struct line *, const char *, va_list) __attribute__((format(printf, 3, 0)));

static void run(int ns, struct line *l, const char *fmt, va_list ap)
{
	struct err err = { "" };

	vsnprintf(l->text, sizeof l->text, fmt, ap);
	l->out = NULL;
	l->status = -1;
	netns_run(ns, run_line, l, &err);
}

int ns_sh(int ns, const char *fmt, ...)
{
	struct line l;
	va_list ap;

	va_start(ap, fmt);
	run(ns, &l, fmt, ap);
	va_end(ap);
	free(l.out);
	return l.status;
}

char *ns_out(int ns, const char *fmt, ...)
{
	struct line l;
	va_list ap;

	va_start(ap, fmt);
	run(ns, &l, fmt, ap);
	va_end(ap);
	return l.out;
}

int64_t ns_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- sockets ---- */

struct sockaddr_storage ns_addr(const char *text, uint16_t port)
{
	struct sockaddr_storage s = { 0 };
	struct sockaddr_in *a4 = (struct sockaddr_in *)&s;
	struct sockaddr_in6 *a6 = (struct sockaddr_in6 *)&s;

	if (inet_pton(AF_INET, text, &a4->sin_addr) == 1) {
		a4->sin_family = AF_INET;
		a4->sin_port = htons(port);
	} else if (inet_pton(AF_INET6, text, &a6->sin6_addr) == 1) {
		a6->sin6_family = AF_INET6;
		a6->sin6_port = htons(port);
	}
	return s;
}

socklen_t ns_addrlen(const struct sockaddr_storage *s) { return s->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6); }

int ns_socket(int ns, int family, int type)
{
	struct err err = { "" };
	int fd = netns_socket(ns, family, type | SOCK_NONBLOCK, 0, &err), on = 1;

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	return fd;
}

static int bound(int ns, const char *text, uint16_t port, int type)
{
	struct sockaddr_storage s = ns_addr(text, port);
	int fd = ns_socket(ns, s.ss_family, type);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&s, ns_addrlen(&s))) {
		close(fd);
		return -1;
	}
	return fd;
}

int ns_listen(int ns, const char *text, uint16_t port)
{
	int fd = bound(ns, text, port, SOCK_STREAM);

	if (fd >= 0)
		listen(fd, 16);
	return fd;
}

int ns_udp(int ns, const char *text, uint16_t port) { return bound(ns, text, port, SOCK_DGRAM); }

int ns_connect(int ns, const char *text, uint16_t port)
{
	struct sockaddr_storage s = ns_addr(text, port);
	int fd = ns_socket(ns, s.ss_family, SOCK_STREAM);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&s, ns_addrlen(&s)) && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- the queue ---- */

static void count(struct ns_queue *q, const struct frame *f, enum verdict v)
{
	size_t at = f->data[0] >> 4 == 4 ? (size_t)(f->data[0] & 15) * 4 : 40;

	q->frames++;
	q->in += !!(f->flags & FRAME_ENTERING);
	q->out += !!(f->flags & FRAME_LEAVING);
	q->gso += !!(f->flags & (FRAME_GSO_TCP | FRAME_GSO_UDP));
	q->partial += !!(f->flags & FRAME_CSUM_PARTIAL);
	q->drops += verdict_stops(v);
	q->bytes += f->caplen;
	if (f->caplen > q->max_caplen)
		q->max_caplen = f->caplen;
	if (f->caplen >= at + 4)
		q->dport = (unsigned)f->data[at + 2] << 8 | f->data[at + 3];
}

void ns_queue_turn(struct ns_queue *q)
{
	struct frame frames[64];
	struct err err = { "" };
	int n;

	if (!q || !q->src)
		return;
	while ((n = q->src->ops->batch(q->src, frames, 64, &err)) > 0) {
		for (int i = 0; i < n; i++) {
			enum verdict v = q->judge ? q->judge(q, &frames[i]) : VERDICT_ALLOW;

			count(q, &frames[i], v);
			if (v != VERDICT_PENDING)
				q->src->ops->answer(q->src, &frames[i], (struct answer){ .verdict = v, .flags = q->flags, .l4 = q->l4 });
			q->flags = 0;
			if (q->after)
				q->after(q, &frames[i], v);
		}
	}
	q->src->ops->flush(q->src);
	if (n < 0)
		printf("queue: %s ", err.text);
}

void ns_wait(struct ns_queue *q, int fd1, int fd2, int ms)
{
	struct pollfd p[3] = { { .fd = q && q->src ? q->src->ops->fd(q->src) : -1, .events = POLLIN },
		{ .fd = fd1, .events = POLLIN }, { .fd = fd2, .events = POLLIN } };

	poll(p, 3, ms);
	ns_queue_turn(q);
}

int ns_handshake(struct ns_queue *q, int c, int listener, int *s)
{
	int64_t until = ns_now_ms() + 4000;

	*s = -1;
	while (ns_now_ms() < until) {
		struct pollfd p = { .fd = c, .events = POLLOUT };
		int e = 0;
		socklen_t n = sizeof e;

		ns_wait(q, listener, -1, 20);
		if (*s < 0 && (*s = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0 && errno != EAGAIN)
			return -errno;
		if (poll(&p, 1, 0) != 1)
			continue;
		getsockopt(c, SOL_SOCKET, SO_ERROR, &e, &n);
		if (e || *s >= 0)
			return -e;
	}
	return -ETIMEDOUT;
}

uint64_t ns_bulk(struct ns_queue *q, int from, int to, uint64_t n)
{
	static uint8_t out[1 << 16], in[1 << 16];
	uint64_t sent = 0, got = 0;
	int64_t until = ns_now_ms() + 30000;

	while (got < n && ns_now_ms() < until) {
		uint64_t want = n - sent < sizeof out ? n - sent : sizeof out;
		ssize_t r;

		for (uint64_t i = 0; i < want; i++)
			out[i] = (uint8_t)((sent + i) * 31 >> 3);
		r = want ? send(from, out, want, MSG_NOSIGNAL) : 0;
		if (r > 0)
			sent += (uint64_t)r;
		else if (r < 0 && errno != EAGAIN)
			break;
		ns_wait(q, to, -1, r > 0 ? 0 : 20);
		while ((r = recv(to, in, sizeof in, 0)) > 0) {
			for (ssize_t i = 0; i < r; i++)
				if (in[i] != (uint8_t)((got + (uint64_t)i) * 31 >> 3))
					return got + (uint64_t)i;
			got += (uint64_t)r;
		}
		if (r < 0 && errno != EAGAIN)
			break;
	}
	return got;
}

ssize_t ns_recv(struct ns_queue *q, int fd, void *buf, size_t n, int ms)
{
	int64_t until = ns_now_ms() + ms;
	ssize_t r;

	do {
		r = recv(fd, buf, n, 0);
		if (r >= 0 || (errno != EAGAIN && errno != EINTR))
			return r < 0 ? -errno : r;
		ns_wait(q, fd, -1, 20);
	} while (ns_now_ms() < until);
	return -EAGAIN;
}
