/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nlroute: requests to rtnetlink and what a link message says. Of bridge/ only.
 *
 * libnl-3 carries the messages; the attributes that matter here (peer netns id, group of bridge settings, target of a dump)
 * have no accessors in libnl-route 3.7, so they are read with its parser under a policy. */
#ifndef TQ_BRIDGE_NLROUTE_H
#define TQ_BRIDGE_NLROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "base/err.h"

#define LINK_ALIAS_MAX 256	/* IFALIASZ */

struct link_info {
	int ifindex;
	unsigned flags;		/* IFF_* */
	char name[16];
	char kind[16];		/* "veth", "bridge"; "" for hardware */
	char alias[LINK_ALIAS_MAX];
	uint8_t mac[6];		/* zero where the device has no Ethernet address */
	int peer;		/* IFLA_LINK; 0: none */
	int peer_nsid;		/* IFLA_LINK_NETNSID: id of the peer's netns in this one; -1: the same netns */
	int master;		/* 0: none */
	uint32_t gso_max_size;	/* the larger of both families' */
	bool mcast_snooping, stp;	/* of a bridge */
	bool addrgen_none;	/* IPv6 makes no link-local address, or there is no IPv6 on it */
};

/* A socket in the calling thread's netns; it stays there. Close with nl_socket_free. NULL: err says why. */
struct nl_sock *nlroute_open(struct err *);
/* Sends a request (which it takes; NULL means no memory), calls fn (may be NULL) for each answer, and waits for the end: of the dump
 * (NLM_F_DUMP), else the acknowledgement. 0, fn's first nonzero result, or -errno with the kernel's words.
 * -EINTR: a dump that changed under way; what was seen may miss something. */
int nlroute_do(struct nl_sock *, struct nl_msg *, int (*fn)(void *ctx, struct nlmsghdr *), void *ctx, struct err *);

/* A message of this type, flags and interface, to be filled. NULL: no memory. */
struct nl_msg *nlroute_link_msg(int type, int flags, int ifindex);
/* Reads a link message (RTM_NEWLINK, RTM_DELLINK). -EINVAL when malformed. */
int nlroute_parse_link(struct nlmsghdr *, struct link_info *);
/* One link, by ifindex or (0) by name. -ENODEV: there is none. */
int nlroute_get_link(struct nl_sock *, int ifindex, const char *name, struct link_info *, struct err *);
/* All links; restricted to a kind (NULL: any) and a master (0: any). fn's nonzero result ends the dump and is returned. */
int nlroute_each_link(struct nl_sock *, const char *kind, int master, int (*fn)(void *ctx, const struct link_info *), void *ctx, struct err *);
/* The id that the netns of `nsfd` has in the socket's netns; -1: none. 0 or -errno. */
int nlroute_nsid(struct nl_sock *, int nsfd, int *nsid, struct err *);

#endif
