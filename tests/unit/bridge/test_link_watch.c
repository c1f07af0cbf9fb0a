/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bridge/link.h"
#include "bridge/netns.h"
#include "tests/unit/bridge/nstest.h"

static struct err err;
static struct link_watch *watch;
static struct link_event got[4096];
static unsigned ngot;

static void note(void *ctx, const struct link_event *e)
{
	CHECK(ctx == got);
	if (ngot < sizeof got / sizeof got[0])
		got[ngot++] = *e;
}

static void begin(void)
{
	err.text[0] = 0;
	watch = link_watch_open(&err);
	CHECK_ERR(watch != NULL, err);
	if (!watch)
		exit(1);
	CHECK((fcntl(link_watch_fd(watch), F_GETFD) & FD_CLOEXEC) != 0);
}

/* Reads until an event of this kind (name NULL: any) in that place has come, or 5 s are over. */
static const struct link_event *wait_event(enum link_event_kind kind, const char *name, bool here)
{
	struct pollfd p = { .fd = link_watch_fd(watch), .events = POLLIN };
	unsigned at = 0;

	for (int i = 0; i < 500; i++) {
		for (; at < ngot; at++)
			if (got[at].kind == kind && (!name || !strcmp(got[at].name, name)) && (got[at].nsid < 0) == here)
				return &got[at];
		if (poll(&p, 1, 10) > 0)
			CHECK_ERR(link_watch_read(watch, note, got, &err) == 0, err);
	}
	return NULL;
}

/* Until it is quiet. */
static void drain(void)
{
	struct pollfd p = { .fd = link_watch_fd(watch), .events = POLLIN };

	for (int i = 0; i < 100 && poll(&p, 1, 50) > 0; i++)
		link_watch_read(watch, note, got, &err);
}

static void forget(void)
{
	drain();
	ngot = 0;
}

NS_TEST(links)
{
	const struct link_event *e;
	int index;

	begin();
	CHECK(link_watch_read(watch, note, got, &err) == 0 && ngot == 0);	/* nothing yet: does not wait */
	CHECK(ip("link add v1 type veth peer name v2") == 0);
	index = (int)if_nametoindex("v1");
	e = wait_event(LINK_NEW, "v1", true);
	CHECK(e && e->veth && e->ifindex == index && e->nsid == -1);
	CHECK(wait_event(LINK_NEW, "v2", true) != NULL);
	forget();
	CHECK(ip("link add vbr-neuv type bridge") == 0);
	e = wait_event(LINK_NEW, "vbr-neuv", true);
	CHECK(e && !e->veth);
	forget();
	CHECK(ip("link set v2 master vbr-neuv") == 0);
	CHECK(ip("link set v2 up") == 0);
	CHECK(wait_event(LINK_NEW, "v2", true) != NULL);
	forget();
	CHECK(ip("link del v1") == 0);
	e = wait_event(LINK_GONE, "v1", true);
	CHECK(e && e->veth && e->ifindex == index);
	e = wait_event(LINK_GONE, "v2", true);
	CHECK(e && e->veth);
	drain();
	for (unsigned i = 0; i < ngot; i++)		/* leaving the bridge is not the end of a link */
		CHECK(got[i].kind != LINK_GONE || if_nametoindex(got[i].name) == 0);
	CHECK(ip("link del vbr-neuv") == 0);
	e = wait_event(LINK_GONE, "vbr-neuv", true);
	CHECK(e && !e->veth);
	link_watch_close(watch);
}

NS_TEST(leaving_a_bridge_is_not_gone)
{
	CHECK(ip("link add v1 type veth peer name v2") == 0);
	CHECK(ip("link add br7 type bridge") == 0);
	CHECK(ip("link set v1 master br7") == 0);
	begin();
	CHECK(ip("link set v1 nomaster") == 0);
	CHECK(ip("link set v1 alias last") == 0);	/* something to wait for */
	CHECK(wait_event(LINK_NEW, "v1", true) != NULL);
	drain();
	for (unsigned i = 0; i < ngot; i++)
		CHECK(got[i].kind != LINK_GONE);
	link_watch_close(watch);
}

NS_TEST(addresses_here)
{
	const struct link_event *e;
	int index;

	CHECK(ip("link add v1 type veth peer name v2") == 0);
	index = (int)if_nametoindex("v1");
	begin();
	CHECK(ip("addr add 10.5.0.1/24 dev v1") == 0);
	e = wait_event(LINK_ADDR, NULL, true);
	CHECK(e && e->ifindex == index);
	forget();
	CHECK(ip("addr del 10.5.0.1/24 dev v1") == 0);
	e = wait_event(LINK_ADDR, NULL, true);
	CHECK(e && e->ifindex == index);
	forget();
	CHECK(ip("addr add fd05::1/64 dev v1") == 0);	/* IPv6 tells of it when the link is up */
	CHECK(ip("link set v2 up") == 0 && ip("link set v1 up") == 0);
	e = wait_event(LINK_ADDR, NULL, true);
	CHECK(e && (e->ifindex == index || e->ifindex == (int)if_nametoindex("v2")));
	link_watch_close(watch);
}

static int index_of_eth0(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return (int)if_nametoindex("eth0");
}

/* What happens inside workloads: addresses of both families and the veth itself, with the id of the place; the rest is not told. */
NS_TEST(inside_workloads)
{
	int ns = ns_new(), stranger = ns_new(), index, nsid;
	const struct link_event *e;

	begin();
	ns_veth("v-web", ns, "eth0");
	e = wait_event(LINK_NSID, NULL, false);
	CHECK(e != NULL);
	nsid = e ? e->nsid : -1;
	CHECK(wait_event(LINK_NEW, "v-web", true) != NULL);
	forget();
	index = netns_run(ns, index_of_eth0, NULL, &err);
	CHECK(ip_in(ns, "addr add 10.6.0.1/24 dev eth0") == 0);
	e = wait_event(LINK_ADDR, NULL, false);
	CHECK(e && e->nsid == nsid && e->ifindex == index);
	forget();
	CHECK(ip_in(ns, "addr add fd06::1/64 dev eth0 nodad") == 0);
	e = wait_event(LINK_ADDR, NULL, false);
	CHECK(e && e->nsid == nsid && e->ifindex == index);
	forget();
	CHECK(ip_in(ns, "link add br0 type bridge") == 0);
	CHECK(ip_in(stranger, "link add s1 type veth peer name s2") == 0);
	CHECK(ip_in(stranger, "addr add 10.7.0.1/24 dev s1") == 0);
	CHECK(ip_in(ns, "link set eth0 address 02:00:00:00:00:99") == 0);
	e = wait_event(LINK_NEW, "eth0", false);
	CHECK(e && e->veth && e->nsid == nsid);
	drain();
	for (unsigned i = 0; i < ngot; i++)
		CHECK(strcmp(got[i].name, "br0") && strncmp(got[i].name, "s", 1));
	forget();
	/* The netns ends: its veth goes, and its id. */
	close(ns);
	CHECK(wait_event(LINK_GONE, "v-web", true) != NULL);
	e = wait_event(LINK_NSID, NULL, false);
	CHECK(e && e->nsid == nsid);
	link_watch_close(watch);
	close(stranger);
}

/* A namespace that has an id for itself still tells its own events as its own. */
NS_TEST(own_id)
{
	const struct link_event *e;
	int own = netns_open_own(&err);

	CHECK(ns_name(own, "/run/netns/node"));
	begin();
	CHECK(ip("netns set node 9") == 0);
	CHECK(ip("link add v1 type veth peer name v2") == 0);
	e = wait_event(LINK_NEW, "v1", true);
	CHECK(e && e->nsid == -1);
	link_watch_close(watch);
	ngot = 0;
	begin();	/* and one that was opened later */
	CHECK(ip("link set v1 up") == 0);
	e = wait_event(LINK_NEW, "v1", true);
	CHECK(e && e->nsid == -1);
	link_watch_close(watch);
	close(own);
}

NS_TEST(overflow)
{
	const struct link_event *e;
	int tiny = 1;	/* the kernel makes its least of it, about two kilobytes */
	unsigned resyncs = 0;

	begin();
	CHECK(setsockopt(link_watch_fd(watch), SOL_SOCKET, SO_RCVBUF, &tiny, sizeof tiny) == 0);
	for (int i = 0; i < 10; i++)
		CHECK(ip("link add o%d type veth peer name p%d", i, i) == 0);
	e = wait_event(LINK_RESYNC, NULL, true);
	CHECK(e != NULL);
	forget();
	/* It works on afterwards: what comes now is told. */
	CHECK(ip("addr add 10.8.0.1/24 dev o1") == 0);
	CHECK(wait_event(LINK_ADDR, NULL, true) != NULL);
	drain();
	for (unsigned i = 0; i < ngot; i++)
		resyncs += got[i].kind == LINK_RESYNC;
	CHECK(resyncs == 0);
	link_watch_close(watch);
}

/* The real buffer takes what hundreds of containers make while nobody reads. */
NS_TEST(no_overflow)
{
	unsigned new_links = 0;

	begin();
	for (int i = 0; i < 200; i++)
		CHECK(ip("link add o%d type veth peer name p%d", i, i) == 0);
	CHECK(wait_event(LINK_NEW, "o199", true) != NULL);
	for (unsigned i = 0; i < ngot; i++) {
		CHECK(got[i].kind != LINK_RESYNC);
		new_links += got[i].kind == LINK_NEW;
	}
	CHECK(new_links >= 400);
	link_watch_close(watch);
}

/* Any process may send to a netlink socket; only the kernel is believed. */
NS_TEST(forged)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof to;
	struct {
		struct nlmsghdr h;
		struct ifaddrmsg a;
	} m = { .h = { .nlmsg_len = sizeof m, .nlmsg_type = RTM_NEWADDR }, .a = { .ifa_family = AF_INET, .ifa_index = 1 } };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	begin();
	CHECK(getsockname(link_watch_fd(watch), (struct sockaddr *)&to, &len) == 0);
	if (sendto(fd, &m, sizeof m, 0, (struct sockaddr *)&to, sizeof to) != sizeof m)
		printf("\n    the kernel does not let one send: %m");
	CHECK(ip("link add v1 type veth peer name v2") == 0);
	CHECK(wait_event(LINK_NEW, "v1", true) != NULL);
	drain();
	for (unsigned i = 0; i < ngot; i++)
		CHECK(got[i].kind != LINK_ADDR);
	link_watch_close(watch);
	close(fd);
}

/* Without the capability for other namespaces' events: said once, and our own still come. */
NS_TEST(without_broadcast)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	CHECK(syscall(SYS_capget, &h, d) == 0);
	d[0].effective &= ~(1u << CAP_NET_BROADCAST);
	CHECK(syscall(SYS_capset, &h, d) == 0);
	begin();
	CHECK(ns_logged("NETLINK_LISTEN_ALL_NSID"));
	CHECK(ip("link add v1 type veth peer name v2") == 0);
	CHECK(wait_event(LINK_NEW, "v1", true) != NULL);
	link_watch_close(watch);
}

NS_TEST(no_descriptor_left)
{
	unsigned before = ns_fds();

	for (int i = 0; i < 200; i++) {
		begin();
		link_watch_read(watch, note, got, &err);
		link_watch_close(watch);
	}
	link_watch_close(NULL);
	CHECK(ns_fds() == before);
}

const struct unit_test tests_link_watch[] = {
	{ "links come, change and go", links },
	{ "leaving a bridge is not the end of a link", leaving_a_bridge_is_not_gone },
	{ "addresses here", addresses_here },
	{ "inside workloads", inside_workloads },
	{ "a namespace with an id for itself", own_id },
	{ "a buffer that overflows", overflow },
	{ "the real buffer", no_overflow },
	{ "forged messages", forged },
	{ "without CAP_NET_BROADCAST", without_broadcast },
	{ "no descriptor is left", no_descriptor_left },
	{ 0 },
};
