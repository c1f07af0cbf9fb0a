/* SPDX-License-Identifier: GPL-2.0-or-later */
/* link: which veths lead to which workloads.
 *
 * A workload's interface is a veth in its netns whose peer stands in this netns. Found from the inside (IFLA_LINK and
 * IFLA_LINK_NETNSID of the workload's own interface) and from the outside (RTM_GETLINK: a veth with a peer nsid). */
#ifndef TQ_BRIDGE_LINK_H
#define TQ_BRIDGE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/addr.h"
#include "base/err.h"

#define LINK_ADDRS_MAX 32

struct link_end {		/* one workload interface and its host side */
	int host_ifindex;	/* in our netns */
	char host_name[16];
	int ifindex;		/* in the workload's netns */
	char name[16];
	uint8_t mac[6];		/* the workload's */
	uint32_t gso_max_size;	/* the largest of both ends and both families: what a packet may reach either way */
	unsigned naddrs;
	struct addr addrs[LINK_ADDRS_MAX];	/* on the workload's interface, link-local included; sorted. More than fit: told (log) */
};

/* All veth interfaces of the netns whose peer is in the calling thread's netns; `interface` restricts by name (NULL: all).
 * Both sides must say so, each by its own netns' id for the other. Sorted by ifindex.
 * Returns their number (0 is fine) up to max, or -errno (-ENOENT/-ENODEV: the netns vanished half-way). */
int link_find(int nsfd, const char *interface, struct link_end *out, unsigned max, struct err *);

/* Every other netns that a veth of the calling thread's netns leads to, each once. fn gets a descriptor, lent until it returns (-1: no way
 * in was found: no path and no process; then path is NULL and pid 0).
 * path: under /run/netns, /var/run/netns or /run/docker/netns; NULL: found by a process only. pid: some process in it; 0: none, or not
 * looked for (a name under /run/netns says more, and /proc is walked only for those without). Processes whose parent is the caller don't count.
 * known: asked for each id (as the calling thread's netns has it) first: those it is true of are passed over; NULL: none are. An id is a netns' own
 * for as long as somebody holds a descriptor of it. */
int link_each_netns(bool (*known)(void *ctx, int nsid), void (*fn)(void *ctx, int nsfd, int nsid, const char *path, pid_t pid), void *ctx, struct err *);
/* The calling thread's netns' id for that one; -1: none. */
int link_nsid(int nsfd, int *nsid, struct err *);

/* ---- events ---- */
struct link_watch;
enum link_event_kind { LINK_NEW /* or changed */, LINK_GONE, LINK_ADDR /* an address came or went */, LINK_NSID, LINK_RESYNC /* ENOBUFS: read everything anew */ };
struct link_event {
	enum link_event_kind kind;
	int ifindex;		/* LINK_NEW, LINK_GONE, LINK_ADDR */
	char name[16];		/* LINK_NEW, LINK_GONE */
	bool veth;
	int peer_nsid;		/* LINK_NEW, LINK_GONE of a veth: where its other end is, by the id that the netns of the event has for it; -1: not said */
	int nsid;		/* -1: it happened in this netns; else the id of the workload's netns (ifindex and name are its own) */
};
/* Events of the calling thread's netns, and (where the kernel and our capabilities allow: CAP_NET_BROADCAST, told when not) of the
 * veths and addresses in every netns that has an id here. LINK_NSID: the netns `nsid` got or lost its id. */
struct link_watch *link_watch_open(struct err *);
int link_watch_fd(const struct link_watch *);
/* Are events of other namespaces heard at all? */
bool link_watch_inside(const struct link_watch *);
/* Reads what there is (at most 1024 messages; the descriptor stays readable when there are more) and calls fn for each. 0 or -errno. */
int link_watch_read(struct link_watch *, void (*fn)(void *ctx, const struct link_event *), void *ctx, struct err *);
void link_watch_close(struct link_watch *);

#endif
