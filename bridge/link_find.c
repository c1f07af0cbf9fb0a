/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The interfaces of one workload. Two sockets: one stays in the workload's netns (a single visit makes it), one is ours.
 *
 * A veth in there says "my peer is ifindex P in the netns that I call N" (IFLA_LINK, IFLA_LINK_NETNSID). Whether N is this netns
 * is asked with our descriptor (RTM_GETNSID from inside). Then P here must be a veth that points back, by our id for that netns:
 * ids and ifindexes are numbers that may repeat, both together cannot lie. Cost: about ten messages; nothing is kept. */
#include "bridge/link.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netlink/attr.h>

#include "base/log.h"
#include "bridge/netns.h"
#include "bridge/nlroute.h"

#define TRIES 3		/* dumps that change under way are read again; after that what was seen is taken */

struct find {
	const char *interface;
	struct link_end *out;
	unsigned n, max, more;
	int home_nsid;		/* our netns, as the workload's calls it */
	struct link_end *of;	/* whose addresses are read */
	unsigned more_addrs;
};

static int open_inside(void *ctx, struct err *err)
{
	struct nl_sock **sk = ctx;

	*sk = nlroute_open(err);
	return *sk ? 0 : -EIO;
}

static int take_inner(void *ctx, const struct link_info *l)
{
	struct find *f = ctx;
	struct link_end *e;

	if (l->peer <= 0 || l->peer_nsid < 0 || l->peer_nsid != f->home_nsid || (f->interface && strcmp(f->interface, l->name)))
		return 0;
	if (f->n == f->max) {
		f->more++;
		return 0;
	}
	e = &f->out[f->n++];
	memset(e, 0, sizeof *e);
	e->host_ifindex = l->peer;
	e->ifindex = l->ifindex;
	memcpy(e->name, l->name, sizeof e->name);
	memcpy(e->mac, l->mac, sizeof e->mac);
	e->gso_max_size = l->gso_max_size;
	return 0;
}

static int by_ifindex(const void *a, const void *b)
{
	const struct link_end *x = a, *y = b;

	return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

static int inner_links(struct nl_sock *in, struct find *f, struct err *err)
{
	int rc = -EINTR;

	for (int i = 0; i < TRIES && rc == -EINTR; i++) {
		f->n = f->more = 0;
		rc = nlroute_each_link(in, "veth", 0, take_inner, f, err);
	}
	if (rc && rc != -EINTR)
		return rc;
	if (f->n > 1)
		qsort(f->out, f->n, sizeof *f->out, by_ifindex);
	if (f->more)
		log_warn(BRIDGE, "a workload has %u interfaces, %u of them are watched (%s is the first)", f->n + f->more, f->n, f->n ? f->out[0].name : "none");
	return 0;
}

/* ---- addresses ---- */

static void add_addr(struct find *f, struct link_end *e, const struct addr *a)
{
	for (unsigned i = 0; i < e->naddrs; i++)
		if (addr_eq(&e->addrs[i], a))
			return;
	if (e->naddrs == LINK_ADDRS_MAX)
		f->more_addrs++;
	else
		e->addrs[e->naddrs++] = *a;
}

static int take_addr(void *ctx, struct nlmsghdr *hdr)
{
	static struct nla_policy policy[IFA_MAX + 1];
	const struct ifaddrmsg *ifa = nlmsg_data(hdr);
	struct nlattr *tb[IFA_MAX + 1], *a;
	struct find *f = ctx;
	struct addr addr;

	if (hdr->nlmsg_type != RTM_NEWADDR || nlmsg_datalen(hdr) < (int)sizeof *ifa || nlmsg_parse(hdr, sizeof *ifa, tb, IFA_MAX, policy))
		return 0;
	/* IFA_LOCAL is the interface's own where the link is point to point; there IFA_ADDRESS is the other end's. */
	a = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
	if (a && ifa->ifa_family == AF_INET && nla_len(a) == 4)
		addr = addr_v4(nla_data(a));
	else if (a && ifa->ifa_family == AF_INET6 && nla_len(a) == 16)
		addr = addr_v6(nla_data(a));
	else
		return 0;
	for (unsigned i = 0; i < f->n; i++)
		if (f->out[i].ifindex == (int)ifa->ifa_index)
			add_addr(f, &f->out[i], &addr);
	return 0;
}

static int compare_addrs(const void *a, const void *b) { return addr_cmp(a, b); }

static int inner_addrs(struct nl_sock *in, struct find *f, struct err *err)
{
	int rc = -EINTR;

	for (int i = 0; i < TRIES && rc == -EINTR; i++) {
		struct ifaddrmsg ifa = { .ifa_family = AF_UNSPEC };
		struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETADDR, NLM_F_DUMP);

		if (msg && nlmsg_append(msg, &ifa, sizeof ifa, NLMSG_ALIGNTO)) {
			nlmsg_free(msg);
			msg = NULL;
		}
		for (unsigned k = 0; k < f->n; k++)
			f->out[k].naddrs = 0;
		f->more_addrs = 0;
		rc = nlroute_do(in, msg, take_addr, f, err);
	}
	if (rc && rc != -EINTR)
		return rc;
	for (unsigned k = 0; k < f->n; k++)
		qsort(f->out[k].addrs, f->out[k].naddrs, sizeof f->out[k].addrs[0], compare_addrs);
	if (f->more_addrs)
		log_warn(BRIDGE, "workload at %s: %u addresses more than the %d of an interface that are known", f->out[0].host_name, f->more_addrs, LINK_ADDRS_MAX);
	return 0;
}

/* ---- the outside ---- */

/* Keeps the ends whose host side points back. One that is gone meanwhile is dropped without a word. */
static int check_outside(struct nl_sock *sk, int nsfd, struct find *f, struct err *err)
{
	unsigned kept = 0;
	int nsid = -1;

	for (unsigned i = 0; i < f->n; i++) {
		struct link_end *e = &f->out[i];
		struct link_info host;
		int rc = nlroute_get_link(sk, e->host_ifindex, NULL, &host, err);

		if (rc == -ENODEV)
			continue;
		if (rc)
			return rc;
		/* Asked after the first link was read: reading it gives the other netns an id. */
		if (nsid < 0 && (rc = nlroute_nsid(sk, nsfd, &nsid, err)))
			return rc;
		if (strcmp(host.kind, "veth") || host.peer != e->ifindex || host.peer_nsid < 0 || host.peer_nsid != nsid)
			continue;
		memcpy(e->host_name, host.name, sizeof e->host_name);
		if (host.gso_max_size > e->gso_max_size)
			e->gso_max_size = host.gso_max_size;
		if (kept != i)
			f->out[kept] = *e;
		kept++;
	}
	f->n = kept;
	return 0;
}

static int find_with(struct nl_sock *in, struct nl_sock *sk, int nsfd, int home, struct find *f, struct err *err)
{
	int rc = nlroute_nsid(in, home, &f->home_nsid, err);

	/* No id yet does not mean no veth: reading the links gives one. */
	if (!rc && f->home_nsid < 0) {
		rc = nlroute_each_link(in, "veth", 0, take_inner, f, err);
		if (!rc || rc == -EINTR)
			rc = nlroute_nsid(in, home, &f->home_nsid, err);
	}
	if (rc || f->home_nsid < 0)
		return rc;
	rc = inner_links(in, f, err);
	if (!rc && f->n)
		rc = check_outside(sk, nsfd, f, err);
	if (!rc && f->n)
		rc = inner_addrs(in, f, err);
	return rc;
}

int link_find(int nsfd, const char *interface, struct link_end *out, unsigned max, struct err *err)
{
	struct find f = { .interface = interface, .out = out, .max = max, .home_nsid = -1 };
	struct nl_sock *in = NULL, *sk = NULL;
	int home = netns_open_own(err), rc;

	if (home < 0)
		return home;
	rc = netns_run(nsfd, open_inside, &in, err);
	if (!rc) {
		sk = nlroute_open(err);
		rc = sk ? find_with(in, sk, nsfd, home, &f, err) : -EIO;
	}
	nl_socket_free(sk);
	nl_socket_free(in);
	close(home);
	return rc ? rc : (int)f.n;
}
