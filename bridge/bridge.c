/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation. Both bridges are looked at before either is touched; then each is made (down, inert, without an alias), labelled,
 * and brought up last, so that no moment exists in which an unlabelled or talkative bridge of ours is up. A death in between leaves a bare
 * bridge, which the next start adopts. bridge_check reads the same things back with the same function that bridge_ensure mends by:
 * what is wanted is said once (differs()).
 *
 * Who may call: the main thread, in the node's netns. One netlink socket per call; nothing is kept. */
#include "bridge/bridge.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <netlink/attr.h>

#include "base/addr.h"
#include "base/log.h"
#include "bridge/nlroute.h"
#include "bridge/owner.h"

#define NAME_MAX_BASE 12	/* IFNAMSIZ - 1 - strlen("-in") */
#define PORTS_PASS 64		/* ports taken off in one pass; more wait for the next check */

struct work {
	struct nl_sock *sk;
	struct owner self;
	struct err *err;
};

/* The kernel would refuse most of these; '%' it would take for a pattern, and the name becomes part of a path. */
static int pair_names(const char *name, struct bridge_pair *p, struct err *err)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if (!isgraph((unsigned char)name[i]) || strchr("/:%", name[i]))
			return err_set(err, -EINVAL, "bridge \"%s\": no name for a network device", name);
	if (!n || n > NAME_MAX_BASE || !strcmp(name, ".") || !strcmp(name, ".."))
		return err_set(err, -EINVAL, "bridge \"%s\": a name of 1 to %d characters is needed (another device is called %s-in)", name, NAME_MAX_BASE, name);
	memset(p, 0, sizeof *p);
	snprintf(p->name[0], sizeof p->name[0], "%s", name);
	snprintf(p->name[1], sizeof p->name[1], "%s-in", name);
	return 0;
}

static int work_open(struct work *w, struct err *err)
{
	int rc;

	memset(w, 0, sizeof *w);
	w->err = err;
	rc = owner_self(&w->self, err);
	if (rc)
		return rc;
	w->sk = nlroute_open(err);
	return w->sk ? 0 : -EIO;
}

/* ---- what stands there ---- */

static int count_one(void *ctx, const struct link_info *l)
{
	(void)l;
	++*(unsigned *)ctx;
	return 0;
}

struct addr_count {
	int ifindex;
	unsigned n;
};

/* An IPv6 link-local address is the kernel's own doing, not somebody's. */
static int count_addr(void *ctx, struct nlmsghdr *hdr)
{
	const struct ifaddrmsg *ifa = nlmsg_data(hdr);
	struct addr_count *c = ctx;

	if (hdr->nlmsg_type == RTM_NEWADDR && nlmsg_datalen(hdr) >= (int)sizeof *ifa && (int)ifa->ifa_index == c->ifindex &&
	    !(ifa->ifa_family == AF_INET6 && ifa->ifa_scope == RT_SCOPE_LINK))
		c->n++;
	return 0;
}

/* 1: in use by somebody (ports or addresses); 0: bare; -errno. */
static int in_use(struct work *w, const struct link_info *l)
{
	struct ifaddrmsg ifa = { .ifa_family = AF_UNSPEC };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETADDR, NLM_F_DUMP);
	struct addr_count addrs = { .ifindex = l->ifindex };
	unsigned ports = 0;
	int rc;

	if (msg && nlmsg_append(msg, &ifa, sizeof ifa, NLMSG_ALIGNTO)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	rc = nlroute_do(w->sk, msg, count_addr, &addrs, w->err);
	if (!rc || rc == -EINTR)
		rc = nlroute_each_link(w->sk, NULL, l->ifindex, count_one, &ports, w->err);
	if (rc && rc != -EINTR)
		return rc;
	return ports || addrs.n;
}

/* Lines of /proc/net/packet: the fifth column is the interface that an AF_PACKET socket is bound to. */
static bool has_reader(int ifindex)
{
	FILE *f = fopen("/proc/thread-self/net/packet", "re");
	char line[256];
	bool found = false;
	int on;

	while (f && !found && fgets(line, sizeof line, f))
		found = sscanf(line, "%*s %*s %*s %*s %d", &on) == 1 && on == ifindex;
	if (f)
		fclose(f);
	return found;
}

enum standing { STANDS_NOT, STANDS_OURS, STANDS_BARE };

/* What has this name: nothing, one of ours (or a dead one's), a bare bridge; or why it must be left alone. */
static int look(struct work *w, const char *name, struct link_info *l, enum standing *what, pid_t *owner)
{
	struct owner o;
	int rc = nlroute_get_link(w->sk, 0, name, l, w->err);

	*what = STANDS_NOT;
	if (rc == -ENODEV)
		return 0;
	if (rc)
		return err_prefix(w->err, rc, "bridge %s", name);
	if (strcmp(l->kind, "bridge"))
		return err_set(w->err, -EEXIST, "bridge %s: a device of that name is there and is %s: left alone", name, l->kind[0] ? l->kind : "no bridge");
	*what = STANDS_OURS;
	switch (owner_judge(l->alias, &w->self, &o)) {
	case OWNER_SELF:
	case OWNER_DEAD:
		return 0;
	case OWNER_ALIVE:
		*owner = o.pid;
		return err_set(w->err, -EBUSY, "bridge %s: another tapqd uses it, pid %d", name, (int)o.pid);
	case OWNER_UNSEEN:
		/* Its pid means nothing here. Whoever works with the bridge has a ring on it. */
		if (has_reader(l->ifindex))
			return err_set(w->err, -EBUSY, "bridge %s: a tapqd of another pid namespace uses it, pid %d there", name, (int)o.pid);
		return 0;
	case OWNER_NONE:
		break;
	}
	*what = STANDS_BARE;
	rc = in_use(w, l);
	if (rc < 0)
		return err_prefix(w->err, rc, "bridge %s", name);
	return rc ? err_set(w->err, -EEXIST, "bridge %s: somebody else's: it has ports or addresses and was not made by tapqd: left alone", name) : 0;
}

/* ---- making and mending ---- */

static int create(struct work *w, const char *name)
{
	struct nl_msg *msg = nlroute_link_msg(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct nlattr *info, *data;
	int rc;

	if (!msg)
		return err_set(w->err, -ENOMEM, "bridge %s: no memory", name);
	nla_put_string(msg, IFLA_IFNAME, name);		/* a message of libnl's has room for a page: these few always fit */
	info = nla_nest_start(msg, IFLA_LINKINFO);
	nla_put_string(msg, IFLA_INFO_KIND, "bridge");
	data = nla_nest_start(msg, IFLA_INFO_DATA);
	nla_put_u32(msg, IFLA_BR_STP_STATE, 0);
	nla_put_u8(msg, IFLA_BR_MCAST_SNOOPING, 0);
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	rc = nlroute_do(w->sk, msg, NULL, NULL, w->err);
	return rc ? err_prefix(w->err, rc, "bridge %s: making it", name) : 0;
}

/* What the kernel would say by itself: snooping's queries, spanning tree, an address of its own. The alias goes with them. */
static int set_inert(struct work *w, const struct link_info *l)
{
	struct nl_msg *msg = nlroute_link_msg(RTM_NEWLINK, 0, l->ifindex);
	struct nlattr *info, *data, *spec, *inet6;
	char alias[LINK_ALIAS_MAX];

	if (!msg)
		return err_set(w->err, -ENOMEM, "no memory");
	owner_format(&w->self, alias, sizeof alias);
	nla_put_string(msg, IFLA_IFALIAS, alias);
	info = nla_nest_start(msg, IFLA_LINKINFO);
	nla_put_string(msg, IFLA_INFO_KIND, "bridge");
	data = nla_nest_start(msg, IFLA_INFO_DATA);
	nla_put_u32(msg, IFLA_BR_STP_STATE, 0);
	nla_put_u8(msg, IFLA_BR_MCAST_SNOOPING, 0);
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	if (!l->addrgen_none) {
		spec = nla_nest_start(msg, IFLA_AF_SPEC);
		inet6 = nla_nest_start(msg, AF_INET6);
		nla_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
		nla_nest_end(msg, inet6);
		nla_nest_end(msg, spec);
	}
	return nlroute_do(w->sk, msg, NULL, NULL, w->err);
}

static int set_flags(struct work *w, int ifindex, unsigned flags)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex, .ifi_flags = flags, .ifi_change = IFF_UP | IFF_NOARP };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, 0);

	if (msg && nlmsg_append(msg, &ifi, sizeof ifi, NLMSG_ALIGNTO)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return nlroute_do(w->sk, msg, NULL, NULL, w->err);
}

/* /proc/sys/net is the calling thread's netns. No such file: IPv6 is not on this device at all. */
static int ipv6_off(const char *name, bool write_it, bool *off)
{
	char path[96], value = '1';
	int fd, rc = 0;

	*off = true;
	snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, (write_it ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (write_it && write(fd, "1\n", 2) != 2)
		rc = -errno;
	else if (pread(fd, &value, 1, 0) != 1)
		rc = -EIO;
	close(fd);
	*off = value != '0';
	return rc;
}

static int take_port_off(struct work *w, const char *bridge, const struct link_info *port)
{
	struct nl_msg *msg = nlroute_link_msg(RTM_NEWLINK, 0, port->ifindex);
	int rc;

	if (msg)
		nla_put_u32(msg, IFLA_MASTER, 0);
	rc = nlroute_do(w->sk, msg, NULL, NULL, w->err);
	if (rc && rc != -ENODEV)
		return err_prefix(w->err, rc, "bridge %s: taking port %s off", bridge, port->name);
	log_warn(BRIDGE, "%s: port %s found on it and taken off: the mirror's target has no ports", bridge, port->name);
	return 0;
}

struct port_list {
	struct link_info port[PORTS_PASS];
	unsigned n;
};

static int list_port(void *ctx, const struct link_info *l)
{
	struct port_list *p = ctx;

	if (p->n < PORTS_PASS)
		p->port[p->n++] = *l;
	return 0;
}

static int clear_ports(struct work *w, int ifindex, const char *name, unsigned *ports)
{
	struct port_list list = { .n = 0 };
	int rc = nlroute_each_link(w->sk, NULL, ifindex, list_port, &list, w->err);

	if (rc && rc != -EINTR)
		return err_prefix(w->err, rc, "bridge %s", name);
	for (unsigned i = 0; i < list.n; i++) {
		rc = take_port_off(w, name, &list.port[i]);
		if (rc)
			return rc;
		++*ports;
	}
	return 0;
}

/* 0 when the device is as wanted, else -errno and what is not. */
static int differs(const struct work *w, const char *name, const struct link_info *l, struct err *err)
{
	char alias[LINK_ALIAS_MAX];
	bool off;
	int rc;

	owner_format(&w->self, alias, sizeof alias);
	if (strcmp(l->alias, alias))
		return err_set(err, -EPERM, "bridge %s: not ours any more: its alias is \"%.80s\"", name, l->alias);
	if (!(l->flags & IFF_UP))
		return err_set(err, -ENETDOWN, "bridge %s: is down", name);
	rc = ipv6_off(name, false, &off);
	if (rc)
		return err_set(err, rc, "bridge %s: disable_ipv6: %s", name, strerror(-rc));
	if (l->mcast_snooping || l->stp || !l->addrgen_none || !(l->flags & IFF_NOARP) || !off)
		return err_set(err, -EBADE, "bridge %s: not inert: %s", name, l->mcast_snooping ? "mcast_snooping is on" : l->stp ? "spanning tree is on" :
			       !l->addrgen_none ? "addrgenmode is not none" : !off ? "IPv6 is on" : "ARP is on");
	return 0;
}

static int mend(struct work *w, const char *name, struct link_info *l)
{
	bool off;
	int rc = set_inert(w, l);

	if (rc)
		return err_prefix(w->err, rc, "bridge %s: making it inert", name);
	rc = ipv6_off(name, true, &off);
	if (rc)
		return err_set(w->err, rc, "bridge %s: disable_ipv6: %s", name, strerror(-rc));
	rc = set_flags(w, l->ifindex, IFF_UP | IFF_NOARP);
	if (rc)
		return err_prefix(w->err, rc, "bridge %s: bringing it up", name);
	rc = nlroute_get_link(w->sk, l->ifindex, NULL, l, w->err);
	return rc ? err_prefix(w->err, rc, "bridge %s", name) : differs(w, name, l, w->err);
}

static int ensure_one(struct work *w, const char *name, struct link_info *l, enum standing what, bool *made)
{
	unsigned ports = 0;
	int rc;

	if (what == STANDS_NOT) {
		rc = create(w, name);
		if (!rc)
			rc = nlroute_get_link(w->sk, 0, name, l, w->err);
		if (rc)
			return rc;
		log_debug(BRIDGE, "%s: made", name);
	} else if (what == STANDS_BARE) {
		log_info(BRIDGE, "%s: a bare bridge of that name is there: taken over", name);
	}
	*made |= what != STANDS_OURS;	/* no filter of ours can point to a bridge that was not ours */
	rc = clear_ports(w, l->ifindex, name, &ports);
	if (rc)
		return rc;
	return differs(w, name, l, NULL) ? mend(w, name, l) : 0;
}

int bridge_ensure(const char *name, struct bridge_pair *out, bool *made, pid_t *owner, struct err *err)
{
	struct link_info l[2];
	enum standing what[2];
	struct bridge_pair p;
	struct work w;
	int rc = pair_names(name, &p, err);

	*made = false;
	*owner = 0;
	if (rc)
		return rc;
	rc = work_open(&w, err);
	if (rc)
		return rc;
	for (int i = 0; !rc && i < 2; i++)
		rc = look(&w, p.name[i], &l[i], &what[i], owner);
	for (int i = 0; !rc && i < 2; i++) {
		rc = ensure_one(&w, p.name[i], &l[i], what[i], made);
		p.ifindex[i] = l[i].ifindex;
	}
	if (!rc)
		*out = p;
	nl_socket_free(w.sk);
	return rc;
}

int bridge_check(const struct bridge_pair *p, unsigned *ports, struct err *err)
{
	unsigned found = 0;
	struct work w;
	int rc = work_open(&w, err);

	if (ports)
		*ports = 0;
	if (rc)
		return rc;
	for (int i = 0; !rc && i < 2; i++) {
		struct link_info l;

		rc = nlroute_get_link(w.sk, 0, p->name[i], &l, err);
		if (rc)
			err_prefix(err, rc, "bridge %s", p->name[i]);
		else if (l.ifindex != p->ifindex[i])
			rc = err_set(err, -ENODEV, "bridge %s: another device has its name", p->name[i]);
		else
			rc = differs(&w, p->name[i], &l, err);
		if (!rc)
			rc = clear_ports(&w, l.ifindex, p->name[i], &found);
	}
	if (ports)
		*ports = found;
	nl_socket_free(w.sk);
	return rc;
}

static int remove_one(struct work *w, const char *name)
{
	enum standing what;
	struct link_info l;
	pid_t owner = 0;
	int rc = look(w, name, &l, &what, &owner);

	if (rc || what == STANDS_NOT)
		return rc;
	if (what == STANDS_BARE)
		return err_set(w->err, -EEXIST, "bridge %s: not made by tapqd: left alone", name);
	rc = nlroute_do(w->sk, nlroute_link_msg(RTM_DELLINK, 0, l.ifindex), NULL, NULL, w->err);
	return rc && rc != -ENODEV ? err_prefix(w->err, rc, "bridge %s: removing it", name) : 0;
}

int bridge_remove(const char *name, struct err *err)
{
	struct err other = { "" };
	struct bridge_pair p;
	struct work w;
	int rc = pair_names(name, &p, err), rc2;

	if (rc)
		return rc;
	rc = work_open(&w, err);
	if (rc)
		return rc;
	rc = remove_one(&w, p.name[0]);
	w.err = rc ? &other : err;	/* the first failure is the one that is told */
	rc2 = remove_one(&w, p.name[1]);
	nl_socket_free(w.sk);
	return rc ? rc : rc2;
}
