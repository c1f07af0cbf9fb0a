/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The queue's socket: made in the workload's netns, bound to both numbers, each with its own flags; and what the kernel counts. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>

#include "bridge/netns.h"
#include "nfq/kernel.h"
#include "nfq/queue_conf.h"

#define PROC_QUEUES "/proc/thread-self/net/netfilter/nfnetlink_queue"

/* ---- /proc ---- */

/* One line: number portid waiting copy_mode copy_range dropped user_dropped id_sequence 1. False: not one of n queues from `first` on. */
static bool proc_line(const char *line, unsigned first, unsigned n, uint32_t *portid, struct queue_kernel *k)
{
	uint64_t v[8];
	char *end;

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		v[i] = strtoull(line, &end, 10);
		if (end == line)
			return false;
		line = end;
	}
	if (v[0] - first >= n)
		return false;
	*portid = (uint32_t)v[1];
	k->waiting += v[2];
	k->dropped += v[5];
	k->user_dropped += v[6];
	k->id_sequence += v[7];
	return true;
}

/* What is said of these queues, added up, and whose the last of them is (else 0). How many there are, or -errno. The file belongs to the netns it was opened in, and
 * may be read at 0 again by any thread; in pieces, for a netns may have 65,536 queues. */
static int proc_scan(int fd, unsigned first, unsigned n, uint32_t *portid, struct queue_kernel *k)
{
	char text[4096];
	size_t kept = 0;
	int found = 0;

	memset(k, 0, sizeof *k);
	*portid = 0;
	for (off_t at = 0;;) {
		ssize_t r = pread(fd, text + kept, sizeof text - 1 - kept, at);
		char *line = text;

		if (r <= 0)
			return r ? -errno : found;
		at += r;
		kept += (size_t)r;
		text[kept] = 0;
		for (char *end; (end = strchr(line, '\n')); line = end + 1) {
			*end = 0;
			found += proc_line(line, first, n, portid, k);
		}
		kept -= (size_t)(line - text);
		memmove(text, line, kept);
	}
}

static int open_proc(void *ctx, struct err *err)
{
	int fd = open(PROC_QUEUES, O_RDONLY | O_CLOEXEC);

	(void)ctx;
	return fd < 0 ? err_set(err, -errno, "nfnetlink_queue: %s", strerror(errno)) : fd;
}

int queue_proc_open(int nsfd, struct err *err) { return netns_run(nsfd, open_proc, NULL, err); }

bool queue_proc_read(int fd, uint16_t queue_tcp, struct queue_kernel *k)
{
	uint32_t portid;

	return proc_scan(fd, queue_tcp, 2, &portid, k) > 0;
}

int queue_kernel_counts(int nsfd, uint16_t queue_tcp, struct queue_kernel *k, struct err *err)
{
	int fd = queue_proc_open(nsfd, err);
	bool found;

	if (fd < 0)
		return fd;
	found = queue_proc_read(fd, queue_tcp, k);
	close(fd);
	return found ? 0 : err_set(err, -ENOENT, "queue %u: nobody listens", queue_tcp);
}

/* ---- the socket ---- */

/* What the kernel said against a message, where it did not do as it said. Packets that come before it are read past: closing the queue answers them. */
static int refused(int fd)
{
	char answer[1024];
	ssize_t n;

	while ((n = recv(fd, answer, sizeof answer, MSG_DONTWAIT)) >= 0) {
		const struct nlmsghdr *a = (const struct nlmsghdr *)(const void *)answer;

		if ((size_t)n >= sizeof *a + sizeof(struct nlmsgerr) && a->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)mnl_nlmsg_get_payload(a))->error;
	}
	return -EPROTO;
}

static int not_bound(int fd, unsigned queue, uint32_t portid, struct err *err)
{
	int rc = refused(fd);

	if (rc != -EPERM && rc != -EBUSY)
		return err_set(err, rc, "queue %u: bind: %s", queue, strerror(-rc));
	if (portid)
		return err_set(err, rc, "queue %u: another program has it (netlink port %u): nfq.queue_base can be changed", queue, portid);
	return err_set(err, rc, "queue %u: bind: %s: CAP_NET_ADMIN is needed", queue, strerror(-rc));
}

/* The kernel has done it when send() returns. Its yes is not asked for: one would have to read past the packets that come before it, which await verdicts. */
static int bind_number(int fd, int proc, const struct queue_conf *c, unsigned queue, bool gso, struct err *err)
{
	char buf[512] = { 0 };	/* what pads an attribute is sent too */
	struct sockaddr_nl own = { 0 };
	socklen_t n = sizeof own;
	struct queue_kernel k;
	uint32_t portid, flags = (c->fail_open ? NFQA_CFG_F_FAIL_OPEN : 0) | (gso ? NFQA_CFG_F_GSO : 0);
	struct nlmsghdr *h = nfq_nlmsg_put(buf, NFQNL_MSG_CONFIG, queue);

	/* All of it in one message: no packet is queued with half of it. */
	nfq_nlmsg_cfg_put_cmd(h, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
	nfq_nlmsg_cfg_put_params(h, NFQNL_COPY_PACKET, 0xffff);
	nfq_nlmsg_cfg_put_qmaxlen(h, c->maxlen ? c->maxlen : QUEUE_MAXLEN);
	mnl_attr_put_u32(h, NFQA_CFG_FLAGS, htonl(flags));
	mnl_attr_put_u32(h, NFQA_CFG_MASK, htonl(NFQA_CFG_F_FAIL_OPEN | NFQA_CFG_F_GSO));
	if (send(fd, h, h->nlmsg_len, 0) < 0 || getsockname(fd, (struct sockaddr *)(void *)&own, &n) || proc_scan(proc, queue, 1, &portid, &k) < 0)
		return err_set(err, -errno, "queue %u: bind: %s", queue, strerror(errno));
	return portid == own.nl_pid ? 0 : not_bound(fd, queue, portid, err);
}

int queue_bind(int fd, int proc, const struct queue_conf *c, struct err *err)
{
	int rc = bind_number(fd, proc, c, c->queue_tcp, c->gso, err);

	/* a UDP super-packet would not tell its segments' size */
	return rc ? rc : bind_number(fd, proc, c, c->queue_tcp + 1U, false, err);
}

void queue_unbind(int fd, unsigned queue)
{
	char buf[128] = { 0 };
	struct nlmsghdr *h = nfq_nlmsg_put(buf, NFQNL_MSG_CONFIG, queue);

	nfq_nlmsg_cfg_put_cmd(h, AF_UNSPEC, NFQNL_CFG_CMD_UNBIND);
	send(fd, h, h->nlmsg_len, 0);	/* what it does not do, close() does */
}

int queue_socket(const struct queue_conf *c, struct err *err)
{
	int size = (int)(c->rcvbuf ? c->rcvbuf : QUEUE_RCVBUF), on = 1, rc;
	int fd = netns_socket(c->nsfd, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, err);

	if (fd < 0)
		return fd;
	/* Without NO_ENOBUFS a full buffer stays closed until all of it was read, and more is lost. Losses show as gaps in the ids. */
	rc = setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on) ? -errno : kernel_connect(fd);
	if (rc) {
		rc = err_set(err, rc, "queue %u: socket: %s", c->queue_tcp, strerror(-rc));
		close(fd);
		return rc;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	return fd;
}
