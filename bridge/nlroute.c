/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One request at a time on a socket of its own, read to its end whatever the caller makes of it: to NLMSG_DONE of a dump, else to the
 * acknowledgement that every request asks for. So a socket has nothing unread between two requests. The kernel's error and its words
 * (NETLINK_EXT_ACK) are kept as they are; libnl's own error numbers would lose both. Answers come from the kernel alone, and still each
 * attribute's length is held against a policy. Filters of a dump are asked for and checked: an older kernel ignores them.
 *
 * Limits: a message of ours fits a page (a few attributes); an answer that does not come ends after REPLY_SECONDS. */
#include "bridge/nlroute.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/socket.h>

/* Newer than the headers of Debian 12; values of the kernel's stable interface. */
#define ATTR_GSO_IPV4_MAX_SIZE 63
#define LINK_ATTR_MAX 63

#define REPLY_BYTES 65536	/* the kernel fills at most 32 KiB of a dump at once */
#define REPLY_SECONDS 10	/* an answer comes at once or never */

#ifndef RTEXT_FILTER_SKIP_STATS
#define RTEXT_FILTER_SKIP_STATS (1 << 3)
#endif

struct nl_sock *nlroute_open(struct err *err)
{
	struct timeval limit = { .tv_sec = REPLY_SECONDS };
	struct nl_sock *sk = nl_socket_alloc();
	int on = 1, rc;

	if (!sk) {
		err_set(err, -ENOMEM, "rtnetlink: no memory");
		return NULL;
	}
	rc = nl_connect(sk, NETLINK_ROUTE);
	if (rc) {
		err_set(err, -EIO, "rtnetlink: %s", nl_geterror(rc));
		nl_socket_free(sk);
		return NULL;
	}
	nl_socket_set_msg_buf_size(sk, REPLY_BYTES);
	nl_socket_disable_msg_peek(sk);
	setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);	/* without it: errors in fewer words */
	setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
	setsockopt(nl_socket_get_fd(sk), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	return sk;
}

/* ---- one request ---- */

struct request {
	int (*fn)(void *ctx, struct nlmsghdr *);
	void *ctx;
	struct err *err;
	int rc;			/* fn's, or the kernel's */
	bool done;
};

static int on_answer(struct nl_msg *msg, void *arg)
{
	struct request *r = arg;

	if (!r->rc && r->fn)
		r->rc = r->fn(r->ctx, nlmsg_hdr(msg));	/* the rest is still read: the socket stays usable */
	return NL_OK;
}

static int on_end(struct nl_msg *msg, void *arg)
{
	struct request *r = arg;

	(void)msg;
	r->done = true;
	return NL_STOP;
}

/* The kernel's own words stand in attributes behind the error (NETLINK_EXT_ACK). */
static void kernel_words(struct nlmsghdr *hdr, const struct nlmsgerr *e, char *out, size_t size)
{
	size_t used = sizeof *e + (hdr->nlmsg_flags & NLM_F_CAPPED ? 0 : e->msg.nlmsg_len - NLMSG_HDRLEN);
	struct nlattr *words = NULL;

	out[0] = 0;
	if (hdr->nlmsg_flags & NLM_F_ACK_TLVS && NLMSG_ALIGN(used) < (size_t)nlmsg_datalen(hdr))
		words = nla_find((struct nlattr *)((char *)nlmsg_data(hdr) + NLMSG_ALIGN(used)), nlmsg_datalen(hdr) - (int)NLMSG_ALIGN(used), NLMSGERR_ATTR_MSG);
	if (words)
		nla_strlcpy(out, words, size);
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)((char *)e - NLMSG_HDRLEN);
	struct request *r = arg;
	char words[160];

	(void)from;
	kernel_words(hdr, e, words, sizeof words);
	r->done = true;
	r->rc = err_set(r->err, e->error, "%s%s%s", strerror(-e->error), words[0] ? ": " : "", words);
	return NL_STOP;
}

int nlroute_do(struct nl_sock *sk, struct nl_msg *msg, int (*fn)(void *ctx, struct nlmsghdr *), void *ctx, struct err *err)
{
	struct request r = { .fn = fn, .ctx = ctx, .err = err };
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	bool interrupted = false;
	int rc = -ENOMEM;

	if (!msg || !cb) {
		err_set(err, rc, "rtnetlink: no memory");
		goto out;
	}
	nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_REQUEST;
	if (!(nlmsg_hdr(msg)->nlmsg_flags & NLM_F_DUMP))
		nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_ACK;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_answer, &r);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_end, &r);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_end, &r);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, &r);
	rc = nl_send_auto(sk, msg);
	while (rc >= 0 && !r.done) {
		rc = nl_recvmsgs(sk, cb);
		if (rc == -NLE_DUMP_INTR) {	/* told once the rest of this buffer was dealt with */
			interrupted = true;
			rc = 0;
		}
	}
	if (r.rc)
		rc = r.rc;	/* libnl's own number for it says less */
	else if (rc < 0)
		rc = err_set(err, -EIO, "rtnetlink: %s", nl_geterror(rc));
	else if (interrupted)
		rc = err_set(err, -EINTR, "rtnetlink: changed while it was read");
	else
		rc = 0;
out:
	nl_cb_put(cb);
	nlmsg_free(msg);
	return rc;
}

/* ---- links ---- */

struct nl_msg *nlroute_link_msg(int type, int flags, int ifindex)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex };
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

	if (msg && nlmsg_append(msg, &ifi, sizeof ifi, NLMSG_ALIGNTO)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

static struct nla_policy link_policy[LINK_ATTR_MAX + 1] = {
	[IFLA_ADDRESS] = { .maxlen = 32 },
	[IFLA_IFNAME] = { .type = NLA_STRING, .maxlen = 16 },
	[IFLA_IFALIAS] = { .type = NLA_STRING, .maxlen = LINK_ALIAS_MAX },
	[IFLA_LINK] = { .type = NLA_U32 },
	[IFLA_LINK_NETNSID] = { .type = NLA_U32 },
	[IFLA_MASTER] = { .type = NLA_U32 },
	[IFLA_LINKINFO] = { .type = NLA_NESTED },
	[IFLA_AF_SPEC] = { .type = NLA_NESTED },
	[IFLA_GSO_MAX_SIZE] = { .type = NLA_U32 },
	[ATTR_GSO_IPV4_MAX_SIZE] = { .type = NLA_U32 },
};

static struct nla_policy info_policy[IFLA_INFO_MAX + 1] = {
	[IFLA_INFO_KIND] = { .type = NLA_STRING, .maxlen = 64 },
	[IFLA_INFO_DATA] = { .type = NLA_NESTED },
};

static struct nla_policy bridge_policy[IFLA_BR_MAX + 1] = {
	[IFLA_BR_STP_STATE] = { .type = NLA_U32 },
	[IFLA_BR_MCAST_SNOOPING] = { .type = NLA_U8 },
};

static int parse_kind(struct nlattr *linkinfo, struct link_info *l)
{
	struct nlattr *info[IFLA_INFO_MAX + 1], *br[IFLA_BR_MAX + 1];

	if (nla_parse_nested(info, IFLA_INFO_MAX, linkinfo, info_policy))
		return -EINVAL;
	if (info[IFLA_INFO_KIND])
		nla_strlcpy(l->kind, info[IFLA_INFO_KIND], sizeof l->kind);
	if (strcmp(l->kind, "bridge") || !info[IFLA_INFO_DATA])
		return 0;
	if (nla_parse_nested(br, IFLA_BR_MAX, info[IFLA_INFO_DATA], bridge_policy))
		return -EINVAL;
	l->stp = br[IFLA_BR_STP_STATE] && nla_get_u32(br[IFLA_BR_STP_STATE]);
	l->mcast_snooping = br[IFLA_BR_MCAST_SNOOPING] && nla_get_u8(br[IFLA_BR_MCAST_SNOOPING]);
	return 0;
}

static bool parse_addrgen_none(struct nlattr *afspec)
{
	struct nlattr *inet6 = afspec ? nla_find(nla_data(afspec), nla_len(afspec), AF_INET6) : NULL;
	struct nlattr *mode = inet6 ? nla_find(nla_data(inet6), nla_len(inet6), IFLA_INET6_ADDR_GEN_MODE) : NULL;

	return !inet6 || (mode && nla_len(mode) >= 1 && nla_get_u8(mode) == IN6_ADDR_GEN_MODE_NONE);
}

static int get_int(struct nlattr *a, int none) { return a ? (int)nla_get_u32(a) : none; }

int nlroute_parse_link(struct nlmsghdr *hdr, struct link_info *l)
{
	struct nlattr *tb[LINK_ATTR_MAX + 1];
	const struct ifinfomsg *ifi = nlmsg_data(hdr);
	uint32_t gso4;

	memset(l, 0, sizeof *l);
	if (nlmsg_datalen(hdr) < (int)sizeof *ifi || nlmsg_parse(hdr, sizeof *ifi, tb, LINK_ATTR_MAX, link_policy))
		return -EINVAL;
	l->ifindex = ifi->ifi_index;
	l->flags = ifi->ifi_flags;
	if (tb[IFLA_IFNAME])
		nla_strlcpy(l->name, tb[IFLA_IFNAME], sizeof l->name);
	if (tb[IFLA_IFALIAS])
		nla_strlcpy(l->alias, tb[IFLA_IFALIAS], sizeof l->alias);
	if (tb[IFLA_ADDRESS] && nla_len(tb[IFLA_ADDRESS]) == 6)
		memcpy(l->mac, nla_data(tb[IFLA_ADDRESS]), 6);
	l->peer = get_int(tb[IFLA_LINK], 0);
	l->peer_nsid = get_int(tb[IFLA_LINK_NETNSID], -1);
	l->master = get_int(tb[IFLA_MASTER], 0);
	l->gso_max_size = (uint32_t)get_int(tb[IFLA_GSO_MAX_SIZE], 0);
	gso4 = (uint32_t)get_int(tb[ATTR_GSO_IPV4_MAX_SIZE], 0);
	if (gso4 > l->gso_max_size)
		l->gso_max_size = gso4;
	l->addrgen_none = parse_addrgen_none(tb[IFLA_AF_SPEC]);
	return tb[IFLA_LINKINFO] ? parse_kind(tb[IFLA_LINKINFO], l) : 0;
}

static int take_link(void *ctx, struct nlmsghdr *hdr)
{
	return hdr->nlmsg_type == RTM_NEWLINK ? nlroute_parse_link(hdr, ctx) : 0;
}

int nlroute_get_link(struct nl_sock *sk, int ifindex, const char *name, struct link_info *l, struct err *err)
{
	struct nl_msg *msg = nlroute_link_msg(RTM_GETLINK, 0, ifindex);

	memset(l, 0, sizeof *l);
	if (msg && (nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) || (!ifindex && nla_put_string(msg, IFLA_IFNAME, name)))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return nlroute_do(sk, msg, take_link, l, err);
}

struct each {
	int (*fn)(void *ctx, const struct link_info *);
	void *ctx;
	const char *kind;
	int master;
};

static int each_link(void *ctx, struct nlmsghdr *hdr)
{
	struct each *e = ctx;
	struct link_info l;

	if (hdr->nlmsg_type != RTM_NEWLINK || nlroute_parse_link(hdr, &l))
		return 0;
	/* The kernel filters, unless it is too old or knows no such kind. */
	if ((e->kind && strcmp(e->kind, l.kind)) || (e->master && e->master != l.master))
		return 0;
	return e->fn(e->ctx, &l);
}

int nlroute_each_link(struct nl_sock *sk, const char *kind, int master, int (*fn)(void *ctx, const struct link_info *), void *ctx, struct err *err)
{
	struct each e = { .fn = fn, .ctx = ctx, .kind = kind, .master = master };
	struct nl_msg *msg = nlroute_link_msg(RTM_GETLINK, NLM_F_DUMP, 0);
	struct nlattr *info = NULL;

	if (msg && (nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) || (master && nla_put_u32(msg, IFLA_MASTER, (uint32_t)master)) ||
		    (kind && (!(info = nla_nest_start(msg, IFLA_LINKINFO)) || nla_put_string(msg, IFLA_INFO_KIND, kind))))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	if (msg && info)
		nla_nest_end(msg, info);
	return nlroute_do(sk, msg, each_link, &e, err);
}

/* ---- ids of namespaces ---- */

static int take_nsid(void *ctx, struct nlmsghdr *hdr)
{
	struct nlattr *a;

	if (hdr->nlmsg_type != RTM_NEWNSID)
		return 0;
	a = nlmsg_find_attr(hdr, sizeof(struct rtgenmsg), NETNSA_NSID);
	if (a && nla_len(a) >= (int)sizeof(uint32_t))
		*(int *)ctx = (int)nla_get_u32(a);
	return 0;
}

int nlroute_nsid(struct nl_sock *sk, int nsfd, int *nsid, struct err *err)
{
	struct rtgenmsg g = { .rtgen_family = AF_UNSPEC };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETNSID, 0);

	*nsid = NETNSA_NSID_NOT_ASSIGNED;
	if (msg && (nlmsg_append(msg, &g, sizeof g, NLMSG_ALIGNTO) || nla_put_u32(msg, NETNSA_FD, (uint32_t)nsfd))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return nlroute_do(sk, msg, take_nsid, nsid, err);
}
