/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a netns has, asked without creating anything: legacy tables come into being by being asked for by name, so only /proc is
 * read; nf_tables are dumped over nfnetlink. Runs on a thread that is in the netns. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include "nfq/ipt.h"

#define DUMP_SIZE 32768	/* the kernel fills a dump's message up to this */
#define MESSAGES_MAX 65536	/* of one dump: more is not looked at */

static ssize_t read_proc(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t r;

	*out = 0;
	if (fd < 0)
		return -errno;
	while (n + 1 < size && (r = read(fd, out + n, size - 1 - n)) > 0)
		n += (size_t)r;
	close(fd);
	out[n] = 0;
	return (ssize_t)n;
}

size_t ipt_legacy_names(enum ipt_family f, char *out, size_t size)
{
	ssize_t n = read_proc(f == IPT_V6 ? "/proc/thread-self/net/ip6_tables_names" : "/proc/thread-self/net/ip_tables_names", out, size);

	return n > 0 ? (size_t)n : 0;
}

/* ---- nfnetlink ---- */

struct talk {
	struct mnl_socket *nl;
	unsigned seq;
};

static int talk_open(struct talk *t, struct err *err)
{
	t->seq = 1;
	t->nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!t->nl)
		return err_set(err, -errno, "nfnetlink: %s", strerror(errno));
	if (mnl_socket_bind(t->nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		int rc = err_set(err, -errno, "nfnetlink: bind: %s", strerror(errno));

		mnl_socket_close(t->nl);
		return rc;
	}
	return 0;
}

/* Sends one request and gives each answer to fn. A table that changes while it is dumped (EINTR) is told as -EAGAIN. */
static int talk(struct talk *t, uint16_t type, uint16_t flags, mnl_cb_t fn, void *ctx)
{
	char buf[DUMP_SIZE];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof *g);
	unsigned portid = mnl_socket_get_portid(t->nl);
	int rc = MNL_CB_OK;

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = ++t->seq;
	g->nfgen_family = NFPROTO_UNSPEC;
	g->version = NFNETLINK_V0;
	if (mnl_socket_sendto(t->nl, h, h->nlmsg_len) < 0)
		return -errno;
	for (unsigned i = 0; i < MESSAGES_MAX && rc > MNL_CB_STOP; i++) {
		ssize_t n = mnl_socket_recvfrom(t->nl, buf, sizeof buf);

		if (n < 0)
			return -errno;
		rc = mnl_cb_run(buf, (size_t)n, t->seq, portid, fn, ctx);
		if (rc < 0)
			return errno == EINTR ? -EAGAIN : -errno;
		if (!(flags & NLM_F_DUMP))
			break;
	}
	return 0;
}

struct attrs {
	const struct nlattr *a[32];
};

static int keep_attr(const struct nlattr *a, void *ctx)
{
	struct attrs *s = ctx;

	if (mnl_attr_get_type(a) < sizeof s->a / sizeof s->a[0])
		s->a[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

static struct attrs attrs_of(const struct nlmsghdr *h)
{
	struct attrs s = { { NULL } };

	mnl_attr_parse(h, sizeof(struct nfgenmsg), keep_attr, &s);
	return s;
}

static struct attrs attrs_in(const struct nlattr *nest)
{
	struct attrs s = { { NULL } };

	if (nest)
		mnl_attr_parse_nested(nest, keep_attr, &s);
	return s;
}

/* The attribute's string; "" when absent or not ended. */
static const char *str(const struct nlattr *a)
{
	return a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(a) : "";
}

static uint32_t be32(const struct nlattr *a)
{
	return a && mnl_attr_validate(a, MNL_TYPE_U32) >= 0 ? ntohl(mnl_attr_get_u32(a)) : 0;
}

static uint8_t family_of(const struct nlmsghdr *h)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);

	return mnl_nlmsg_get_payload_len(h) >= sizeof *g ? g->nfgen_family : 0;
}

/* ---- tables, chains, rules ---- */

static int on_table(const struct nlmsghdr *h, void *ctx)
{
	struct ipt_look *l = ctx;

	if (family_of(h) == NFPROTO_IPV4)
		l->nft_tables[IPT_V4] = true;
	if (family_of(h) == NFPROTO_IPV6)
		l->nft_tables[IPT_V6] = true;
	return MNL_CB_OK;
}

/* iptables puts filter at priority 0 and refuses to write where a chain of its names stands elsewhere. */
static int on_chain(const struct nlmsghdr *h, void *ctx)
{
	struct ipt_look *l = ctx;
	struct attrs a = attrs_of(h), hook = attrs_in(a.a[NFTA_CHAIN_HOOK]);
	const char *name = str(a.a[NFTA_CHAIN_NAME]);
	uint8_t family = family_of(h);

	if ((family != NFPROTO_IPV4 && family != NFPROTO_IPV6) || strcmp(str(a.a[NFTA_CHAIN_TABLE]), "filter"))
		return MNL_CB_OK;
	if (!strcmp(name, "INPUT") || !strcmp(name, "OUTPUT"))
		l->nft_odd_filter |= !a.a[NFTA_CHAIN_HOOK] || be32(hook.a[NFTA_HOOK_PRIORITY]) != 0 ||
			be32(hook.a[NFTA_HOOK_HOOKNUM]) != (*name == 'I' ? NF_INET_LOCAL_IN : NF_INET_LOCAL_OUT);
	return MNL_CB_OK;
}

/* An expression that changes where a packet goes: nft's own, or an iptables target carried by it. */
static bool redirects(const struct nlattr *expr)
{
	struct attrs e = attrs_in(expr), data = attrs_in(e.a[NFTA_EXPR_DATA]);
	const char *name = str(e.a[NFTA_EXPR_NAME]), *target = str(data.a[NFTA_TARGET_NAME]);

	if (!strcmp(name, "target"))
		return !strcmp(target, "REDIRECT") || !strcmp(target, "DNAT");
	return !strcmp(name, "redir") || (!strcmp(name, "nat") && be32(data.a[NFTA_NAT_TYPE]) == NFT_NAT_DNAT);
}

static int on_rule(const struct nlmsghdr *h, void *ctx)
{
	struct ipt_look *l = ctx;
	struct attrs a = attrs_of(h);
	uint8_t family = family_of(h);
	const struct nlattr *expr;

	if (!a.a[NFTA_RULE_EXPRESSIONS] || (family != NFPROTO_IPV4 && family != NFPROTO_IPV6 && family != NFPROTO_INET))
		return MNL_CB_OK;
	mnl_attr_for_each_nested(expr, a.a[NFTA_RULE_EXPRESSIONS]) {
		if (!redirects(expr))
			continue;
		l->nft_redirects[IPT_V4] |= family != NFPROTO_IPV6;
		l->nft_redirects[IPT_V6] |= family != NFPROTO_IPV4;
	}
	return MNL_CB_OK;
}

static int look_nft(struct ipt_look *l, struct err *err)
{
	static const struct { uint16_t type; mnl_cb_t fn; } dumps[] = {
		{ NFT_MSG_GETTABLE, on_table }, { NFT_MSG_GETCHAIN, on_chain }, { NFT_MSG_GETRULE, on_rule },
	};
	struct talk t;
	int rc = talk_open(&t, err);

	if (rc)
		return rc == -EPROTONOSUPPORT ? 0 : rc;
	for (size_t i = 0; i < sizeof dumps / sizeof dumps[0] && !rc; i++) {
		for (int tries = 0; tries < 5; tries++) {
			rc = talk(&t, dumps[i].type, NLM_F_DUMP, dumps[i].fn, l);
			if (rc != -EAGAIN)
				break;
		}
		/* nfnetlink answers EINVAL where the kernel has no nf_tables. */
		if (i == 0 && (rc == -EINVAL || rc == -EOPNOTSUPP || rc == -ENOENT)) {
			mnl_socket_close(t.nl);
			return 0;
		}
	}
	mnl_socket_close(t.nl);
	l->nft_here = !rc;
	return rc ? err_set(err, rc, "nf_tables: %s", strerror(-rc)) : 0;
}

int ipt_look(struct ipt_look *l, struct err *err)
{
	char names[1024];

	memset(l, 0, sizeof *l);
	for (int f = 0; f < IPT_FAMILIES; f++)
		l->legacy_tables[f] = ipt_legacy_names((enum ipt_family)f, names, sizeof names) > 0;
	l->ipv6 = !access("/proc/thread-self/net/if_inet6", F_OK);
	return look_nft(l, err);
}

static int on_generation(const struct nlmsghdr *h, void *ctx)
{
	*(uint32_t *)ctx = be32(attrs_of(h).a[NFTA_GEN_ID]);
	return MNL_CB_STOP;
}

int nft_generation(uint32_t *gen, struct err *err)
{
	struct talk t;
	int rc = talk_open(&t, err);

	*gen = 0;
	if (rc)
		return rc == -EPROTONOSUPPORT ? 0 : rc;
	rc = talk(&t, NFT_MSG_GETGEN, 0, on_generation, gen);
	mnl_socket_close(t.nl);
	if (rc == -EINVAL || rc == -EOPNOTSUPP || rc == -ENOENT)
		return 0;
	return rc ? err_set(err, rc, "nf_tables generation: %s", strerror(-rc)) : 0;
}
