/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <netlink/attr.h>

#include "bridge/link.h"
#include "bridge/netns.h"
#include "bridge/nlroute.h"
#include "tests/unit/bridge/nstest.h"

static struct err err;
static struct link_end ends[16];

static int find(int ns, const char *interface)
{
	err.text[0] = 0;
	memset(ends, 0xee, sizeof ends);
	return link_find(ns, interface, ends, 16, &err);
}

static bool has_addr(const struct link_end *e, const char *text)
{
	struct addr a;

	CHECK(addr_parse(text, &a) == 0);
	for (unsigned i = 0; i < e->naddrs; i++)
		if (addr_eq(&e->addrs[i], &a))
			return true;
	return false;
}

static int name_to_index(void *ctx, struct err *e)
{
	(void)e;
	return (int)if_nametoindex(ctx);
}

NS_TEST(one_veth)
{
	static const uint8_t mac[6] = { 2, 0x77, 0, 0, 0, 0x11 };
	int ns = ns_new();

	CHECK(find(ns, NULL) == 0);
	ns_veth("v-web", ns, "eth0");
	CHECK(ip_in(ns, "link set eth0 address 02:77:00:00:00:11") == 0);
	CHECK(ip_in(ns, "addr add 10.1.0.2/24 dev eth0") == 0);
	CHECK(ip_in(ns, "addr add 10.1.0.3/24 dev eth0") == 0);
	CHECK(ip_in(ns, "addr add 10.2.0.1 peer 10.2.0.9 dev eth0") == 0);
	CHECK(ip_in(ns, "addr add fd01::2/64 dev eth0 nodad") == 0);
	CHECK(ip_in(ns, "addr add fd02::1 peer fd02::9 dev eth0 nodad") == 0);
	CHECK(ip_in(ns, "addr add 10.9.0.1/8 dev lo") == 0);
	CHECK_ERR(find(ns, NULL) == 1, err);
	CHECK(ends[0].host_ifindex == (int)if_nametoindex("v-web") && !strcmp(ends[0].host_name, "v-web"));
	CHECK(ends[0].ifindex == netns_run(ns, name_to_index, (char[]){ "eth0" }, &err) && !strcmp(ends[0].name, "eth0"));
	CHECK(!memcmp(ends[0].mac, mac, 6));
	CHECK(ends[0].gso_max_size == 65536);
	CHECK(has_addr(&ends[0], "10.1.0.2") && has_addr(&ends[0], "10.1.0.3") && has_addr(&ends[0], "fd01::2"));
	CHECK(has_addr(&ends[0], "10.2.0.1") && !has_addr(&ends[0], "10.2.0.9"));	/* its own, not the other end's */
	CHECK(has_addr(&ends[0], "fd02::1") && !has_addr(&ends[0], "fd02::9"));
	CHECK(has_addr(&ends[0], "fe80::77:ff:fe00:11") || ends[0].naddrs == 6);	/* made from the MAC before or after its change */
	CHECK(ends[0].naddrs == 6 && !has_addr(&ends[0], "10.9.0.1"));
	for (unsigned i = 1; i < ends[0].naddrs; i++)
		CHECK(addr_cmp(&ends[0].addrs[i - 1], &ends[0].addrs[i]) < 0);
	CHECK(find(ns, "eth0") == 1 && find(ns, "eth1") == 0 && find(ns, "") == 0);
	close(ns);
}

static bool set_gso_ipv4(const char *dev, uint32_t bytes)
{
	struct nl_sock *sk = nlroute_open(&err);
	struct nl_msg *msg = nlroute_link_msg(RTM_NEWLINK, 0, (int)if_nametoindex(dev));
	int rc;

	nla_put_u32(msg, 63 /* IFLA_GSO_IPV4_MAX_SIZE */, bytes);
	rc = nlroute_do(sk, msg, NULL, NULL, &err);
	nl_socket_free(sk);
	return rc == 0;
}

NS_TEST(big_packets)
{
	int ns = ns_new();

	ns_veth("v", ns, "eth0");
	CHECK(ip_in(ns, "link set eth0 gso_max_size 120000") == 0);
	CHECK(find(ns, NULL) == 1 && ends[0].gso_max_size == 120000);
	CHECK(ip_in(ns, "link set eth0 gso_max_size 65536") == 0);
	CHECK(ip("link set v gso_max_size 130000") == 0);	/* what enters is made by the host's side */
	CHECK(find(ns, NULL) == 1 && ends[0].gso_max_size == 130000);
	CHECK(ip("link set v gso_max_size 65536") == 0);
	if (!set_gso_ipv4("v", 140000))		/* IPv4 has a limit of its own since Linux 6.3 */
		printf("\n    no gso_ipv4_max_size here: its case is left out");
	else
		CHECK(find(ns, NULL) == 1 && ends[0].gso_max_size == 140000);
	close(ns);
}

NS_TEST(several)
{
	int ns = ns_new();
	struct link_end two[2];

	ns_veth("v-a", ns, "eth0");
	ns_veth("v-b", ns, "eth1");
	ns_veth("v-c", ns, "net-3");
	CHECK(ip_in(ns, "addr add 10.1.0.1/24 dev eth0") == 0);
	CHECK(ip_in(ns, "addr add 10.1.1.1/24 dev eth1") == 0);
	CHECK(ip_in(ns, "addr add fd03::1/64 dev net-3") == 0);
	CHECK_ERR(find(ns, NULL) == 3, err);
	for (int i = 0; i < 3; i++) {
		static const char *const host[] = { "v-a", "v-b", "v-c" }, *const addr[] = { "10.1.0.1", "10.1.1.1", "fd03::1" };

		CHECK(!strcmp(ends[i].host_name, host[i]) && has_addr(&ends[i], addr[i]) && !has_addr(&ends[i], addr[(i + 1) % 3]));
		CHECK(i == 0 || ends[i].ifindex > ends[i - 1].ifindex);
	}
	CHECK(find(ns, "eth1") == 1 && !strcmp(ends[0].host_name, "v-b"));
	CHECK(link_find(ns, NULL, two, 2, &err) == 2);
	CHECK(ns_logged("3 interfaces"));
	CHECK(link_find(ns, NULL, NULL, 0, &err) == 0);
	close(ns);
}

/* Nothing but a veth that leads here is a way for a workload's packets past us. */
NS_TEST(wrong_ones)
{
	int ns = ns_new(), third = ns_new(), own;

	CHECK(ip_in(ns, "link set lo up") == 0);
	CHECK(ip_in(ns, "link add br0 type bridge") == 0);
	CHECK(ip_in(ns, "link add in1 type veth peer name in2") == 0);			/* both ends inside */
	CHECK(ip_in(ns, "link add to3 type veth peer name eth0 netns %s", ns_path(third)) == 0);	/* to a third netns */
	if (ip("link add up0 type veth peer name up1") == 0 && ip("link add link up0 name mac0 netns %s type macvlan", ns_path(ns)))
		printf("\n    no macvlan here: its case is left out");
	CHECK_ERR(find(ns, NULL) == 0, err);
	CHECK(find(ns, "to3") == 0 && find(ns, "mac0") == 0 && find(ns, "lo") == 0);
	/* And a right one among them. */
	ns_veth("v", ns, "eth0");
	CHECK_ERR(find(ns, NULL) == 1, err);
	CHECK(!strcmp(ends[0].name, "eth0") && !strcmp(ends[0].host_name, "v"));
	/* Our own namespace is nobody's workload. */
	own = netns_open_own(&err);
	CHECK_ERR(find(own, NULL) == 0, err);
	close(own);
	close(ns);
	close(third);
}

/* Ids and ifindexes may coincide: an interface in there that names number N as its peer's netns and index P, where in our netns
 * P is a veth too, but another's. */
NS_TEST(numbers_that_coincide)
{
	int ns = ns_new(), third = ns_new();

	CHECK(ip("link add v500 index 500 type veth peer name eth0 netns %s", ns_path(third)) == 0);
	CHECK(ip_in(ns, "link add eth0 type veth peer name x500 index 500 netns %s", ns_path(third)) == 0);
	CHECK_ERR(find(ns, NULL) == 0, err);
	CHECK_ERR(find(third, NULL) == 1, err);
	CHECK(!strcmp(ends[0].host_name, "v500") && ends[0].host_ifindex == 500);
	close(ns);
	close(third);
}

NS_TEST(not_a_namespace)
{
	CHECK(find(0x7fff, NULL) < 0 && err.text[0]);
}

NS_TEST(too_many_addresses)
{
	int ns = ns_new();

	ns_veth("v", ns, "eth0");
	for (int i = 1; i <= LINK_ADDRS_MAX + 3; i++)
		CHECK(ip_in(ns, "addr add 10.1.0.%d/24 dev eth0", i) == 0);
	CHECK(find(ns, NULL) == 1 && ends[0].naddrs == LINK_ADDRS_MAX);
	CHECK(ns_logged("addresses more than"));
	close(ns);
}

/* ---- what vanishes ---- */

static atomic_bool stop;
static atomic_int rounds;

/* Makes and takes away the interface that the other thread looks for. */
static void *come_and_go(void *ctx)
{
	int ns = *(int *)ctx;

	for (int i = 0; i < 50 && !stop; i++) {
		ip("link add v-gone type veth peer name eth0 netns /proc/%d/fd/%d", (int)getpid(), ns);
		ip_in(ns, "addr add 10.1.0.2/24 dev eth0");
		if (i % 2)
			ip("link del v-gone");
		else
			ip_in(ns, "link del eth0");
		rounds++;
	}
	stop = true;
	return NULL;
}

NS_TEST(vanishing_interfaces)
{
	int ns = ns_new();
	unsigned before = ns_fds(), seen[2] = { 0, 0 }, looks = 0;
	pthread_t t;

	CHECK(pthread_create(&t, NULL, come_and_go, &ns) == 0);
	for (; !stop && looks < 1000000; looks++) {
		int n = find(ns, NULL);

		CHECK_ERR(n == 0 || n == 1, err);	/* the namespace itself stays: an interface that went is no error */
		if (n == 0 || n == 1)
			seen[n]++;
		if (n == 1)
			CHECK(!strcmp(ends[0].name, "eth0") && !strcmp(ends[0].host_name, "v-gone") && ends[0].naddrs <= 2);
	}
	stop = true;
	pthread_join(t, NULL);
	CHECK(rounds == 50 && looks > 50);
	CHECK(seen[0] > 0 && seen[1] > 0);	/* both were met: the race was one */
	CHECK(ns_fds() == before);
	close(ns);
}

/* Whole namespaces that die with their process between the look at /proc and the visit. */
NS_TEST(vanishing_namespaces)
{
	unsigned before = ns_fds(), opened = 0;

	for (int i = 0; i < 50; i++) {
		int ns = ns_new(), fd, n;
		pid_t pid = ns_process(ns, false);

		CHECK(ip("link add v%d type veth peer name eth0 netns %s", i, ns_path(ns)) == 0);
		close(ns);
		if (i % 2) {
			fd = netns_open_pid(pid, &err);
			ns_end(pid);
		} else {
			ns_end(pid);
			fd = netns_open_pid(pid, &err);
			CHECK(fd == -ENOENT || fd == -ESRCH);
		}
		if (fd < 0)
			continue;
		opened++;
		n = find(fd, NULL);		/* our descriptor keeps it: still whole */
		CHECK_ERR(n == 1, err);
		close(fd);
	}
	CHECK(opened == 25);
	CHECK(ns_fds() == before);
}

NS_TEST(no_descriptor_left)
{
	int ns = ns_new();
	unsigned before;

	ns_veth("v", ns, "eth0");
	before = ns_fds();
	for (int i = 0; i < 200; i++) {
		CHECK(find(ns, NULL) == 1);
		CHECK(find(0x7fff, NULL) < 0);
	}
	CHECK(ns_fds() == before);
	close(ns);
}

/* A node looks at every workload every few seconds. Printed, and bounded far above what it takes. */
NS_TEST(cost)
{
	enum { N = 50 };
	int ns[N];
	struct timespec a, b;
	double us;

	for (int i = 0; i < N; i++) {
		ns[i] = ns_new();
		CHECK(ip("link add v%d type veth peer name eth0 netns %s", i, ns_path(ns[i])) == 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 10 * N; i++)
		CHECK(find(ns[i % N], NULL) == 1);
	clock_gettime(CLOCK_MONOTONIC, &b);
	us = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 1e3 / (10 * N);
	printf("(%.0f us a workload) ", us);
	CHECK(us < 20000);
	for (int i = 0; i < N; i++)
		close(ns[i]);
}

const struct unit_test tests_link_find[] = {
	{ "one veth, its addresses of both families", one_veth },
	{ "gso_max_size of either end", big_packets },
	{ "several veths", several },
	{ "interfaces that lead elsewhere", wrong_ones },
	{ "numbers that coincide", numbers_that_coincide },
	{ "not a namespace", not_a_namespace },
	{ "more addresses than fit", too_many_addresses },
	{ "interfaces that vanish meanwhile", vanishing_interfaces },
	{ "namespaces that vanish meanwhile", vanishing_namespaces },
	{ "no descriptor is left", no_descriptor_left },
	{ "cost", cost },
	{ 0 },
};
