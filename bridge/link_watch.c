/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Link, address and namespace-id events by rtnetlink's groups. With NETLINK_LISTEN_ALL_NSID the same socket hears every netns that has an
 * id in ours: which one is said by a control message; none, or our own id for ourselves, means this netns. Of other namespaces only
 * veths and addresses are passed on. A buffer that overflowed (ENOBUFS) has lost something: LINK_RESYNC, once for each time. */
#include "bridge/link.h"

#include <errno.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "bridge/netns.h"
#include "bridge/nlroute.h"

#define RECEIVE_BYTES (8 << 20)		/* some thousand events: what 500 containers started at once make */
#define READS_MAX 1024
#define DATAGRAM_BYTES 65536

struct link_watch {
	int fd;
	bool inside;		/* NETLINK_LISTEN_ALL_NSID is on */
	int own_nsid;		/* this netns' id for itself; -1: none, as mostly. Older kernels (6.1) put it on its own events */
	int home;		/* descriptor of this netns, to ask for it */
	struct nl_sock *ask;
	char buf[DATAGRAM_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
};

struct sink {
	void (*fn)(void *ctx, const struct link_event *);
	void *ctx;
};

static int join(int fd, struct err *err)
{
	static const int groups[] = { RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_NSID };

	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof groups[i]))
			return err_set(err, -errno, "link events: group %d: %s", groups[i], strerror(errno));
	return 0;
}

static int open_socket(bool *inside, struct err *err)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK };
	int bytes = RECEIVE_BYTES, on = 1, rc;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return err_set(err, -errno, "link events: %s", strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes))
		log_warn(BRIDGE, "link events: receive buffer: %s", strerror(errno));
	*inside = !setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on);
	if (!*inside)
		log_warn(BRIDGE, "link events: addresses that change inside workloads are seen at the next scan only: NETLINK_LISTEN_ALL_NSID: %s", strerror(errno));
	rc = bind(fd, (struct sockaddr *)&local, sizeof local) ? err_set(err, -errno, "link events: %s", strerror(errno)) : join(fd, err);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

struct link_watch *link_watch_open(struct err *err)
{
	struct link_watch *w = calloc(1, sizeof *w);

	if (!w) {
		err_set(err, -ENOMEM, "link events: no memory");
		return NULL;
	}
	w->home = w->fd = -1;
	w->own_nsid = -1;
	w->ask = nlroute_open(err);
	if (w->ask)
		w->home = netns_open_own(err);
	if (w->home >= 0)
		w->fd = open_socket(&w->inside, err);
	if (w->fd < 0 || nlroute_nsid(w->ask, w->home, &w->own_nsid, err)) {
		link_watch_close(w);
		return NULL;
	}
	return w;
}

int link_watch_fd(const struct link_watch *w) { return w->fd; }
bool link_watch_inside(const struct link_watch *w) { return w->inside; }

void link_watch_close(struct link_watch *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		close(w->fd);
	if (w->home >= 0)
		close(w->home);
	nl_socket_free(w->ask);
	free(w);
}

/* ---- events ---- */

static bool link_event(struct nlmsghdr *hdr, struct link_event *e)
{
	const struct ifinfomsg *ifi = nlmsg_data(hdr);
	struct link_info l;

	/* The bridge module tells of its ports by the same group, in a family of its own. */
	if (nlmsg_datalen(hdr) < (int)sizeof *ifi || ifi->ifi_family != AF_UNSPEC || nlroute_parse_link(hdr, &l))
		return false;
	e->kind = hdr->nlmsg_type == RTM_NEWLINK ? LINK_NEW : LINK_GONE;
	e->ifindex = l.ifindex;
	memcpy(e->name, l.name, sizeof e->name);
	e->veth = !strcmp(l.kind, "veth");
	e->peer_nsid = l.peer_nsid;
	return e->nsid < 0 || e->veth;
}

static bool addr_event(struct nlmsghdr *hdr, struct link_event *e)
{
	const struct ifaddrmsg *ifa = nlmsg_data(hdr);

	if (nlmsg_datalen(hdr) < (int)sizeof *ifa)
		return false;
	e->kind = LINK_ADDR;
	e->ifindex = (int)ifa->ifa_index;
	return true;
}

static bool nsid_event(struct link_watch *w, struct nlmsghdr *hdr, struct link_event *e)
{
	struct nlattr *a = nlmsg_datalen(hdr) >= (int)sizeof(struct rtgenmsg) ? nlmsg_find_attr(hdr, sizeof(struct rtgenmsg), NETNSA_NSID) : NULL;
	struct err err = { "" };

	if (e->nsid >= 0 || !a || nla_len(a) < (int)sizeof(uint32_t))
		return false;		/* what others call each other is theirs */
	e->kind = LINK_NSID;
	e->nsid = (int)nla_get_u32(a);
	if (nlroute_nsid(w->ask, w->home, &w->own_nsid, &err))
		log_warn(BRIDGE, "link events: %s", err.text);
	return true;
}

static bool read_event(struct link_watch *w, struct nlmsghdr *hdr, struct link_event *e)
{
	switch (hdr->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return link_event(hdr, e);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return addr_event(hdr, e);
	case RTM_NEWNSID:
	case RTM_DELNSID:
		return nsid_event(w, hdr, e);
	default:
		return false;
	}
}

static int nsid_of(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		int nsid;

		if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_LISTEN_ALL_NSID && c->cmsg_len >= CMSG_LEN(sizeof nsid)) {
			memcpy(&nsid, CMSG_DATA(c), sizeof nsid);
			return nsid;
		}
	}
	return -1;
}

static void tell_lost(const struct sink *s)
{
	struct link_event e = { .kind = LINK_RESYNC, .nsid = -1 };

	s->fn(s->ctx, &e);
}

static void read_datagram(struct link_watch *w, ssize_t n, int nsid, const struct sink *s)
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)w->buf;

	for (int left = (int)n; nlmsg_ok(hdr, left); hdr = nlmsg_next(hdr, &left)) {
		struct link_event e = { .nsid = nsid >= 0 && nsid == w->own_nsid ? -1 : nsid };

		if (read_event(w, hdr, &e))
			s->fn(s->ctx, &e);
	}
}

int link_watch_read(struct link_watch *w, void (*fn)(void *ctx, const struct link_event *), void *ctx, struct err *err)
{
	struct sink s = { fn, ctx };

	for (int i = 0; i < READS_MAX; i++) {
		char control[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct nl_pktinfo))];
		struct iovec iov = { w->buf, sizeof w->buf };
		struct sockaddr_nl from = { .nl_family = AF_NETLINK };
		struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
		ssize_t n = recvmsg(w->fd, &m, 0);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != ENOBUFS)
			return err_set(err, -errno, "link events: %s", strerror(errno));
		if (n < 0 || m.msg_flags & MSG_TRUNC)
			tell_lost(&s);
		else if (from.nl_pid == 0)	/* the kernel's; any process may send to us too */
			read_datagram(w, n, nsid_of(&m), &s);
	}
	return 0;
}
