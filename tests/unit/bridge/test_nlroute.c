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

#include "bridge/nlroute.h"
#include "tests/unit/bridge/nstest.h"

static struct err err;

NS_TEST(kernel_words)
{
	struct nl_sock *sk = nlroute_open(&err);
	struct nl_msg *msg = nlroute_link_msg(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct nlattr *info = nla_nest_start(msg, IFLA_LINKINFO);
	struct link_info l;

	nla_put_string(msg, IFLA_INFO_KIND, "no-such-kind");
	nla_nest_end(msg, info);
	CHECK(nlroute_do(sk, msg, NULL, NULL, &err) == -EOPNOTSUPP);
	CHECK_ERR(strstr(err.text, strerror(EOPNOTSUPP)) != NULL, err);
	CHECK_ERR(strstr(err.text, "nknown device type") != NULL, err);		/* the kernel's own */
	CHECK(nlroute_get_link(sk, 0, "absent", &l, &err) == -ENODEV);
	CHECK(nlroute_get_link(sk, 12345, NULL, &l, &err) == -ENODEV);
	CHECK(nlroute_do(sk, NULL, NULL, NULL, &err) == -ENOMEM);
	/* The socket works on after each of them. */
	CHECK_ERR(nlroute_get_link(sk, 0, "lo", &l, &err) == 0 && l.ifindex == 1 && !l.kind[0], err);
	nl_socket_free(sk);
}

static int stop_at_first(void *ctx, const struct link_info *l)
{
	(void)l;
	++*(unsigned *)ctx;
	return 5;
}

static int count(void *ctx, const struct link_info *l)
{
	(void)l;
	++*(unsigned *)ctx;
	return 0;
}

NS_TEST(dumps)
{
	struct nl_sock *sk = nlroute_open(&err);
	unsigned n = 0;
	int br;

	for (int i = 0; i < 100; i++)		/* more than one datagram's worth */
		CHECK(ip("link add a%d type veth peer name b%d", i, i) == 0);
	CHECK(ip("link add br7 type bridge") == 0);
	br = (int)if_nametoindex("br7");
	CHECK(nlroute_each_link(sk, NULL, 0, count, &n, &err) == 0 && n >= 202);
	n = 0;
	CHECK(nlroute_each_link(sk, "veth", 0, count, &n, &err) == 0 && n == 200);
	n = 0;
	CHECK(nlroute_each_link(sk, "bridge", 0, count, &n, &err) == 0 && n == 1);
	n = 0;
	CHECK(nlroute_each_link(sk, "no-such-kind", 0, count, &n, &err) == 0 && n == 0);
	CHECK(ip("link set a7 master br7") == 0);
	CHECK(nlroute_each_link(sk, NULL, br, count, &n, &err) == 0 && n == 1);
	n = 0;
	CHECK(nlroute_each_link(sk, "veth", 0, stop_at_first, &n, &err) == 5 && n == 1);
	n = 0;
	CHECK(nlroute_each_link(sk, "veth", 0, count, &n, &err) == 0 && n == 200);	/* what was not wanted is not left in the socket */
	nl_socket_free(sk);
}

static atomic_bool stop;

/* Makes and takes away a bridge, over and over. */
static void *change(void *ctx)
{
	struct err e = { "" };
	struct nl_sock *sk = nlroute_open(&e);

	(void)ctx;
	while (!stop) {
		struct nl_msg *msg = nlroute_link_msg(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 9999);
		struct nlattr *info = nla_nest_start(msg, IFLA_LINKINFO);

		nla_put_string(msg, IFLA_INFO_KIND, "bridge");
		nla_nest_end(msg, info);
		nlroute_do(sk, msg, NULL, NULL, &e);
		nlroute_do(sk, nlroute_link_msg(RTM_DELLINK, 0, 9999), NULL, NULL, &e);
	}
	nl_socket_free(sk);
	return NULL;
}

/* The kernel says when the list changed between two parts of a dump; that is told, and the socket is good for the next. */
NS_TEST(interrupted_dump)
{
	struct nl_sock *sk = nlroute_open(&err);
	bool interrupted = false;
	struct timespec now;
	pthread_t t;
	unsigned n;
	time_t end;

	for (int i = 0; i < 100; i++)
		CHECK(ip("link add a%d type veth peer name b%d", i, i) == 0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + 20;
	CHECK(pthread_create(&t, NULL, change, NULL) == 0);
	while (!interrupted && now.tv_sec < end) {
		int rc;

		n = 0;
		rc = nlroute_each_link(sk, "veth", 0, count, &n, &err);
		CHECK_ERR(rc == 0 || rc == -EINTR, err);
		interrupted = rc == -EINTR;
		clock_gettime(CLOCK_MONOTONIC, &now);
	}
	stop = true;
	pthread_join(t, NULL);
	CHECK(interrupted);
	n = 0;
	CHECK_ERR(nlroute_each_link(sk, "veth", 0, count, &n, &err) == 0 && n == 200, err);
	nl_socket_free(sk);
}

static struct nlmsghdr *kept;

static int keep(void *ctx, struct nlmsghdr *hdr)
{
	(void)ctx;
	if (hdr->nlmsg_type == RTM_NEWLINK && !kept) {
		kept = malloc(hdr->nlmsg_len);
		memcpy(kept, hdr, hdr->nlmsg_len);
	}
	return 0;
}

/* A real message cut at every length, in memory that ends there: read or refused, never past its end. */
NS_TEST(cut_messages)
{
	struct nl_sock *sk = nlroute_open(&err);
	unsigned refused = 0, taken = 0;
	struct link_info l;

	CHECK(ip("link add br7 type bridge") == 0);
	CHECK(ip("link set br7 alias label") == 0);
	CHECK(nlroute_do(sk, nlroute_link_msg(RTM_GETLINK, 0, (int)if_nametoindex("br7")), keep, NULL, &err) == 0);
	CHECK(kept != NULL);
	for (uint32_t n = NLMSG_HDRLEN; kept && n <= kept->nlmsg_len; n++) {
		struct nlmsghdr *cut = malloc(n);

		memcpy(cut, kept, n);
		cut->nlmsg_len = n;
		if (nlroute_parse_link(cut, &l))
			refused++;
		else
			taken++;
		free(cut);
	}
	CHECK(refused >= sizeof(struct ifinfomsg) && taken > 1);
	CHECK(!strcmp(l.name, "br7") && !strcmp(l.alias, "label") && !strcmp(l.kind, "bridge") && l.mcast_snooping);
	free(kept);
	nl_socket_free(sk);
}

const struct unit_test tests_nlroute[] = {
	{ "the kernel's words", kernel_words },
	{ "dumps", dumps },
	{ "a dump that is interrupted", interrupted_dump },
	{ "messages cut at every length", cut_messages },
	{ 0 },
};
