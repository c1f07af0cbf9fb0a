/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A socket in the group of tc, with a filter that leaves out messages that carry the port of our own requests: hundreds of devices are attached
 * without a word to ourselves. Notes about actions carry no device. */
#include "tc/watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>

#define READS_MAX 4096		/* messages a call: beyond it everything is read back, which costs less */
#define PORT_AT 12		/* nlmsg_pid in struct nlmsghdr */

struct tc_watch {
	int fd;
	char buf[65536] __attribute__((aligned(NLMSG_ALIGNTO)));
};

static int leave_out(int fd, uint32_t port)
{
	struct sock_filter code[] = {	/* a word is loaded in network order */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, PORT_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog prog = { sizeof code / sizeof code[0], code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof prog);
}

struct tc_watch *tc_watch_open(const struct tc *own, struct err *err)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK };
	struct tc_watch *w = calloc(1, sizeof *w);
	int group = RTNLGRP_TC;

	if (!w) {
		err_set(err, -ENOMEM, "tc events: no memory");
		return NULL;
	}
	w->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (w->fd < 0 || leave_out(w->fd, tc_port(own)) || bind(w->fd, (struct sockaddr *)&local, sizeof local) ||
	    setsockopt(w->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group)) {
		err_set(err, -errno, "tc events: %s", strerror(errno));
		tc_watch_close(w);
		return NULL;
	}
	return w;
}

void tc_watch_close(struct tc_watch *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

/* Chains come and go with their first and last filter, without anybody's port; what is lost with one is told filter by filter (net/sched/cls_api.c). */
static bool of_chain(const struct nlmsghdr *h) { return h->nlmsg_type == RTM_NEWCHAIN || h->nlmsg_type == RTM_DELCHAIN; }

static int device_of(const struct nlmsghdr *h)
{
	const struct tcmsg *t = nlmsg_data(h);

	switch (h->nlmsg_type) {
	case RTM_NEWQDISC:
	case RTM_DELQDISC:
	case RTM_NEWTFILTER:
	case RTM_DELTFILTER:
		return nlmsg_valid_hdr(h, sizeof *t) && t->tcm_ifindex > 0 ? t->tcm_ifindex : 0;	/* a block's number stands for all of its devices */
	default:
		return 0;
	}
}

int tc_watch_read(struct tc_watch *w, void (*fn)(void *ctx, int ifindex), void *ctx, struct err *err)
{
	for (int i = 0; i < READS_MAX; i++) {
		struct sockaddr_nl from;
		socklen_t len = sizeof from;
		ssize_t n = recvfrom(w->fd, w->buf, sizeof w->buf, 0, (struct sockaddr *)&from, &len);
		int left = (int)n;

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != ENOBUFS)
			return err_set(err, -errno, "tc events: %s", strerror(errno));
		if (n < 0)
			fn(ctx, 0);
		for (struct nlmsghdr *h = (struct nlmsghdr *)w->buf; n >= 0 && from.nl_pid == 0 && nlmsg_ok(h, left); h = nlmsg_next(h, &left))
			if (!of_chain(h))
				fn(ctx, device_of(h));
	}
	fn(ctx, 0);
	return 0;
}
