/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mirror's targets: made and read back by this code, changed by hand with `ip`, owned by other processes, or somebody else's. Each
 * test has a netns of its own, in which the usual name is free. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netlink/attr.h>

#include "bridge/bridge.h"
#include "bridge/nlroute.h"
#include "bridge/owner.h"
#include "tests/unit/bridge/nstest.h"

static struct bridge_pair pair;
static bool made;
static pid_t owner;
static struct err err;

static int ensure(void)
{
	err.text[0] = 0;
	return bridge_ensure("vbr-neuv", &pair, &made, &owner, &err);
}

static struct link_info get(const char *name)
{
	struct nl_sock *sk = nlroute_open(&err);
	struct link_info l;

	CHECK_ERR(nlroute_get_link(sk, 0, name, &l, &err) == 0, err);
	nl_socket_free(sk);
	return l;
}

static char sysctl_value(const char *name)
{
	char path[128], c = '?';
	int fd;

	snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, &c, 1) != 1)
		c = '?';
	if (fd >= 0)
		close(fd);
	return c;
}

static bool write_sysctl(const char *name, const char *value)
{
	char path[128];
	int fd;
	bool ok;

	snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	if (fd >= 0)
		close(fd);
	return ok;
}

NS_TEST(made_inert)
{
	static const char *const names[] = { "vbr-neuv", "vbr-neuv-in" };
	unsigned ports = 7;

	CHECK_ERR(ensure() == 0, err);
	CHECK(made);
	for (int i = 0; i < 2; i++) {
		struct link_info l = get(names[i]);

		CHECK(!strcmp(pair.name[i], names[i]));
		CHECK(pair.ifindex[i] == (int)if_nametoindex(names[i]) && l.ifindex == pair.ifindex[i]);
		CHECK(!strcmp(l.kind, "bridge"));
		CHECK((l.flags & (IFF_UP | IFF_NOARP)) == (IFF_UP | IFF_NOARP));
		CHECK(!l.mcast_snooping && !l.stp && l.addrgen_none);
		CHECK(sysctl_value(names[i]) == '1');
		CHECK(!strncmp(l.alias, "tapqd ", 6) && atoi(l.alias + 6) == getpid());
		CHECK(l.gso_max_size >= 65536);		/* offloads are left alone */
	}
	CHECK_ERR(bridge_check(&pair, &ports, &err) == 0, err);
	CHECK(ports == 0);
	CHECK_ERR(bridge_check(&pair, NULL, &err) == 0, err);
}

NS_TEST(twice_changes_nothing)
{
	struct bridge_pair first;

	CHECK_ERR(ensure() == 0, err);
	first = pair;
	CHECK_ERR(ensure() == 0, err);
	CHECK(!made);
	CHECK(!memcmp(&first, &pair, sizeof pair));
}

/* Each change by hand is told by check, with its name, and mended by ensure without a new device. */
static void change_and_mend(const char *command, int code, const char *word)
{
	struct bridge_pair before = pair;

	CHECK(ip("%s", command) == 0);
	err.text[0] = 0;
	CHECK_ERR(bridge_check(&pair, NULL, &err) == code, err);
	CHECK_ERR(strstr(err.text, word) != NULL && strstr(err.text, "vbr-neuv") != NULL, err);
	CHECK_ERR(ensure() == 0, err);
	CHECK(!made);
	CHECK(!memcmp(&before, &pair, sizeof pair));
	CHECK_ERR(bridge_check(&pair, NULL, &err) == 0, err);
}

NS_TEST(changed_by_hand)
{
	CHECK_ERR(ensure() == 0, err);
	change_and_mend("link set vbr-neuv down", -ENETDOWN, "down");
	change_and_mend("link set vbr-neuv-in down", -ENETDOWN, "vbr-neuv-in");
	change_and_mend("link set vbr-neuv type bridge mcast_snooping 1", -EBADE, "mcast_snooping");
	change_and_mend("link set vbr-neuv-in type bridge stp_state 1", -EBADE, "spanning tree");
	change_and_mend("link set vbr-neuv addrgenmode eui64", -EBADE, "addrgenmode");
	change_and_mend("link set vbr-neuv arp on", -EBADE, "ARP");
	CHECK(write_sysctl("vbr-neuv", "0"));
	CHECK(bridge_check(&pair, NULL, &err) == -EBADE);
	CHECK_ERR(strstr(err.text, "IPv6") != NULL, err);
	CHECK_ERR(ensure() == 0, err);
	CHECK(sysctl_value("vbr-neuv") == '1');
}

NS_TEST(alias_taken_away)
{
	struct bridge_pair before;

	CHECK_ERR(ensure() == 0, err);
	before = pair;
	CHECK(ip("link set vbr-neuv alias mine") == 0);
	CHECK(bridge_check(&pair, NULL, &err) == -EPERM);
	CHECK_ERR(strstr(err.text, "mine") != NULL, err);
	CHECK_ERR(ensure() == 0, err);		/* bare: taken over, and said to be new */
	CHECK(made && before.ifindex[0] == pair.ifindex[0]);
	CHECK_ERR(bridge_check(&pair, NULL, &err) == 0, err);
}

NS_TEST(deleted_and_made_again)
{
	struct bridge_pair before;

	CHECK_ERR(ensure() == 0, err);
	before = pair;
	CHECK(ip("link del vbr-neuv-in") == 0);
	CHECK(bridge_check(&pair, NULL, &err) == -ENODEV);
	CHECK_ERR(strstr(err.text, "vbr-neuv-in") != NULL, err);
	CHECK_ERR(ensure() == 0, err);
	CHECK(made);
	CHECK(pair.ifindex[0] == before.ifindex[0] && pair.ifindex[1] != before.ifindex[1]);
	/* Deleted and made by somebody else under the same name: check sees another device. */
	CHECK(ip("link del vbr-neuv") == 0);
	CHECK(ip("link add vbr-neuv type bridge") == 0);
	CHECK(bridge_check(&pair, NULL, &err) == -ENODEV);
	CHECK_ERR(ensure() == 0, err);
	CHECK(made);
	CHECK_ERR(bridge_check(&pair, NULL, &err) == 0, err);
}

NS_TEST(ports_taken_off)
{
	unsigned ports = 0;

	CHECK_ERR(ensure() == 0, err);
	CHECK(ip("link add p1 type veth peer name p2") == 0);
	CHECK(ip("link add d1 type veth peer name d2") == 0);
	CHECK(ip("link set p1 master vbr-neuv") == 0);
	CHECK(ip("link set d1 master vbr-neuv-in") == 0);
	CHECK(get("p1").master == pair.ifindex[0]);
	CHECK_ERR(bridge_check(&pair, &ports, &err) == 0, err);
	CHECK(ports == 2);
	CHECK(get("p1").master == 0 && get("d1").master == 0);
	CHECK(ns_logged("port p1"));
	CHECK_ERR(bridge_check(&pair, &ports, &err) == 0, err);
	CHECK(ports == 0);
	CHECK(ip("link set p2 master vbr-neuv") == 0);
	CHECK_ERR(ensure() == 0, err);		/* a bridge of ours: its ports go */
	CHECK(!made);
	CHECK(get("p2").master == 0);
}

/* A process that labels the bridges as its own, and lives until it is told to end. */
static pid_t other_owner(void)
{
	int p[2];
	char c = 0;
	pid_t pid;

	CHECK(pipe2(p, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0) {
		c = ensure() == 0;
		alarm(60);
		if (write(p[1], &c, 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(p[1]);
	CHECK(read(p[0], &c, 1) == 1 && c == 1);
	close(p[0]);
	return pid;
}

NS_TEST(live_owner_refused)
{
	pid_t other = other_owner();
	struct link_info before = get("vbr-neuv"), after;

	CHECK(ensure() == -EBUSY);
	CHECK(owner == other);
	CHECK_ERR(strstr(err.text, "pid") != NULL, err);
	CHECK(bridge_remove("vbr-neuv", &err) == -EBUSY);
	after = get("vbr-neuv");
	CHECK(!strcmp(before.alias, after.alias));
	/* Only the second one is the other's: nothing is made or changed at all. */
	CHECK(ip("link del vbr-neuv") == 0);
	CHECK(ensure() == -EBUSY && owner == other);
	CHECK(if_nametoindex("vbr-neuv") == 0);
	ns_end(other);
	CHECK_ERR(ensure() == 0, err);
}

NS_TEST(dead_owner_adopted)
{
	struct bridge_pair before;
	pid_t other = other_owner();

	before.ifindex[0] = (int)if_nametoindex("vbr-neuv");
	before.ifindex[1] = (int)if_nametoindex("vbr-neuv-in");
	CHECK(ip("link set vbr-neuv down") == 0);
	/* A zombie is dead too. */
	kill(other, SIGKILL);
	CHECK(waitid(P_PID, (id_t)other, &(siginfo_t){ 0 }, WEXITED | WNOWAIT) == 0);
	CHECK_ERR(ensure() == 0, err);
	CHECK(!made);
	CHECK(pair.ifindex[0] == before.ifindex[0] && pair.ifindex[1] == before.ifindex[1]);
	CHECK(atoi(get("vbr-neuv").alias + 6) == getpid());
	CHECK_ERR(bridge_check(&pair, NULL, &err) == 0, err);
	ns_end(other);
}

static void set_alias(const char *dev, const char *alias)
{
	struct nl_sock *sk = nlroute_open(&err);
	struct nl_msg *msg = nlroute_link_msg(RTM_NEWLINK, 0, (int)if_nametoindex(dev));

	nla_put_string(msg, IFLA_IFALIAS, alias);
	CHECK_ERR(nlroute_do(sk, msg, NULL, NULL, &err) == 0, err);
	nl_socket_free(sk);
}

NS_TEST(reused_pid_is_not_alive)
{
	pid_t other = other_owner();
	char alias[LINK_ALIAS_MAX];
	struct owner self;

	CHECK(owner_self(&self, &err) == 0);
	self.pid = other;	/* lives, but is not the one that started then */
	self.start -= 1;
	owner_format(&self, alias, sizeof alias);
	set_alias("vbr-neuv", alias);
	set_alias("vbr-neuv-in", alias);
	CHECK_ERR(ensure() == 0, err);
	CHECK(!made);
	ns_end(other);
}

/* From another pid namespace: only a ring on the bridge tells that its maker lives. */
NS_TEST(other_pid_namespace)
{
	struct sockaddr_ll on = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd;

	CHECK_ERR(ensure() == 0, err);
	set_alias("vbr-neuv", "tapqd 1 77 4026539999");
	on.sll_ifindex = pair.ifindex[0];
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	CHECK(bind(fd, (struct sockaddr *)&on, sizeof on) == 0);
	CHECK(ensure() == -EBUSY);
	CHECK(owner == 0);
	CHECK_ERR(strstr(err.text, "pid namespace") != NULL, err);
	close(fd);
	CHECK_ERR(ensure() == 0, err);
	CHECK(!made);
}

/* What is somebody else's is refused, said, and as it was. */
static void refused(const char *setup1, const char *setup2, const char *word)
{
	CHECK(ip("%s", setup1) == 0);
	if (setup2)
		CHECK(ip("%s", setup2) == 0);
	CHECK(ensure() == -EEXIST);
	CHECK_ERR(strstr(err.text, word) != NULL, err);
	CHECK(owner == 0 && !made);
	CHECK(bridge_remove("vbr-neuv", &err) == -EEXIST);
}

NS_TEST(foreign_veth_refused)
{
	refused("link add vbr-neuv type veth peer name other", NULL, "veth");
	CHECK(!strcmp(get("vbr-neuv").kind, "veth") && get("vbr-neuv").alias[0] == 0 && !(get("vbr-neuv").flags & IFF_UP));
	CHECK(if_nametoindex("vbr-neuv-in") == 0);
}

NS_TEST(foreign_second_refused)
{
	refused("link add vbr-neuv-in type veth peer name other", NULL, "veth");
	CHECK(if_nametoindex("vbr-neuv") == 0);
}

NS_TEST(bridge_with_ports_refused)
{
	CHECK(ip("link add port type veth peer name other") == 0);
	refused("link add vbr-neuv type bridge", "link set port master vbr-neuv", "ports or addresses");
	CHECK(get("port").master == (int)if_nametoindex("vbr-neuv"));
	CHECK(get("vbr-neuv").alias[0] == 0 && get("vbr-neuv").mcast_snooping);
}

NS_TEST(bridge_with_address_refused)
{
	refused("link add vbr-neuv type bridge", "addr add 10.9.9.1/24 dev vbr-neuv", "ports or addresses");
	CHECK(ip("addr flush dev vbr-neuv") == 0);
	CHECK(ip("addr add fd09::1/64 dev vbr-neuv") == 0);
	CHECK(ensure() == -EEXIST);
}

NS_TEST(bare_bridge_adopted)
{
	int ifindex;

	CHECK(ip("link add vbr-neuv type bridge") == 0);
	CHECK(ip("link set vbr-neuv up") == 0);		/* gets a link-local address: the kernel's, nobody's */
	ifindex = (int)if_nametoindex("vbr-neuv");
	CHECK_ERR(bridge_remove("vbr-neuv", &err) == -EEXIST, err);	/* not ours yet */
	CHECK_ERR(ensure() == 0, err);
	CHECK(made && pair.ifindex[0] == ifindex);
	CHECK_ERR(bridge_check(&pair, NULL, &err) == 0, err);
}

NS_TEST(names)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "a b", "br%d", "a:b", "thirteen-long", "\x01x" };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		err.text[0] = 0;
		CHECK(bridge_ensure(bad[i], &pair, &made, &owner, &err) == -EINVAL);
		CHECK(err.text[0] != 0);
		CHECK(bridge_remove(bad[i], &err) == -EINVAL);
	}
	CHECK_ERR(bridge_ensure("twelve-chars", &pair, &made, &owner, &err) == 0, err);
	CHECK(!strcmp(pair.name[1], "twelve-chars-in"));
	CHECK_ERR(bridge_remove("twelve-chars", &err) == 0, err);
	CHECK(if_nametoindex("twelve-chars") == 0 && if_nametoindex("twelve-chars-in") == 0);
}

NS_TEST(removed)
{
	CHECK_ERR(bridge_remove("vbr-neuv", &err) == 0, err);	/* nothing there */
	CHECK_ERR(ensure() == 0, err);
	CHECK_ERR(bridge_remove("vbr-neuv", &err) == 0, err);
	CHECK(if_nametoindex("vbr-neuv") == 0 && if_nametoindex("vbr-neuv-in") == 0);
	CHECK_ERR(ensure() == 0, err);
	CHECK(ip("link del vbr-neuv") == 0);
	CHECK_ERR(bridge_remove("vbr-neuv", &err) == 0, err);	/* the second alone */
	CHECK(if_nametoindex("vbr-neuv-in") == 0);
	/* A foreign first one does not keep ours from going. */
	CHECK_ERR(ensure() == 0, err);
	CHECK(ip("link del vbr-neuv") == 0);
	CHECK(ip("link add vbr-neuv type veth peer name other") == 0);
	CHECK(bridge_remove("vbr-neuv", &err) == -EEXIST);
	CHECK_ERR(strstr(err.text, "veth") != NULL, err);
	CHECK(if_nametoindex("vbr-neuv") != 0 && if_nametoindex("vbr-neuv-in") == 0);
}

static int listen_on(const char *dev)
{
	struct sockaddr_ll on = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(dev) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	CHECK(bind(fd, (struct sockaddr *)&on, sizeof on) == 0);
	return fd;
}

/* A frame within ms? ENETDOWN, which the socket keeps from the time before the device was up, is none. */
static bool frame_on(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[2048];

	for (int i = 0; i < 3 && poll(&p, 1, ms) > 0; i++)
		if (recv(fd, buf, sizeof buf, 0) > 0)
			return true;
	return false;
}

/* In the time in which a bridge of default settings has spoken by itself (multicast reports, router solicitation), ours haven't. */
NS_TEST(no_noise)
{
	int out, in, loud, other;

	CHECK(ip("link add loud type bridge") == 0);
	CHECK_ERR(ensure() == 0, err);
	CHECK(ip("link set vbr-neuv down") == 0);
	CHECK(ip("link set vbr-neuv-in down") == 0);
	out = listen_on("vbr-neuv");		/* sockets first: not a frame is missed */
	in = listen_on("vbr-neuv-in");
	loud = listen_on("loud");
	CHECK_ERR(ensure() == 0, err);
	other = listen_on("vbr-neuv");
	CHECK(ip("link set loud up") == 0);
	CHECK(frame_on(loud, 10000));
	CHECK(!frame_on(out, 500));
	CHECK(!frame_on(in, 0));
	/* The socket does see: what another one sends to the device. It sees that once, and the other bridge not at all. */
	CHECK(write(other, "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\1\x88\xb5 a frame of a local experiment", 45) == 45);
	CHECK(frame_on(out, 2000));
	CHECK(!frame_on(out, 100));
	CHECK(!frame_on(in, 0));
	close(other);
	close(out);
	close(in);
	close(loud);
}

NS_TEST(no_descriptor_left)
{
	unsigned before, ports;

	CHECK_ERR(ensure() == 0, err);
	before = ns_fds();
	for (int i = 0; i < 200; i++) {
		CHECK(ensure() == 0);
		CHECK(bridge_check(&pair, &ports, &err) == 0);
		if (i % 20 == 0)
			CHECK(bridge_remove("vbr-neuv", &err) == 0);
		else
			CHECK(bridge_ensure("", &pair, &made, &owner, &err) == -EINVAL);
	}
	CHECK(ns_fds() == before);
}

/* Without IPv6 settings to write there is nothing to switch off; a read-only /proc/sys is an error that is told. */
NS_TEST(read_only_sysctl)
{
	CHECK(mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) == 0);
	CHECK(mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0);
	CHECK(ensure() == -EROFS);
	CHECK_ERR(strstr(err.text, "disable_ipv6") != NULL, err);
	CHECK(umount("/proc/sys") == 0);
	CHECK_ERR(ensure() == 0, err);
	CHECK_ERR(bridge_check(&pair, NULL, &err) == 0, err);
}

const struct unit_test tests_bridge[] = {
	{ "made, inert, read back", made_inert },
	{ "twice changes nothing", twice_changes_nothing },
	{ "each change by hand is told and mended", changed_by_hand },
	{ "an alias taken away", alias_taken_away },
	{ "deleted and made again", deleted_and_made_again },
	{ "ports are taken off and told", ports_taken_off },
	{ "a live owner is refused", live_owner_refused },
	{ "a dead owner's bridges are adopted", dead_owner_adopted },
	{ "a reused pid is not its owner", reused_pid_is_not_alive },
	{ "an owner in another pid namespace", other_pid_namespace },
	{ "a veth of that name", foreign_veth_refused },
	{ "a device named like the second one", foreign_second_refused },
	{ "a bridge with ports", bridge_with_ports_refused },
	{ "a bridge with addresses", bridge_with_address_refused },
	{ "a bare bridge is adopted", bare_bridge_adopted },
	{ "names", names },
	{ "removing", removed },
	{ "no noise of their own", no_noise },
	{ "a read-only /proc/sys", read_only_sysctl },
	{ "no descriptor is left", no_descriptor_left },
	{ 0 },
};
