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
#include "nfq/nfnl.h"

static ssize_t read_proc(int fd, char *out, size_t size)
{
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

int ipt_legacy_open(enum ipt_family f)
{
	return open(f == IPT_V6 ? "/proc/thread-self/net/ip6_tables_names" : "/proc/thread-self/net/ip_tables_names", O_RDONLY | O_CLOEXEC);
}

size_t ipt_legacy_names(enum ipt_family f, char *out, size_t size)
{
	ssize_t n = read_proc(ipt_legacy_open(f), out, size);

	return n > 0 ? (size_t)n : 0;
}

/* ---- tables, chains, rules ---- */

static int on_table(const struct nlmsghdr *h, void *ctx)
{
	struct ipt_look *l = ctx;

	if (nfnl_family(h) == NFPROTO_IPV4)
		l->nft_tables[IPT_V4] = true;
	if (nfnl_family(h) == NFPROTO_IPV6)
		l->nft_tables[IPT_V6] = true;
	return MNL_CB_OK;
}

/* iptables puts filter at priority 0 and refuses to write where a chain of its names stands elsewhere. */
static int on_chain(const struct nlmsghdr *h, void *ctx)
{
	struct ipt_look *l = ctx;
	struct nfnl_attrs a = nfnl_attrs(h), hook = nfnl_nested(a.a[NFTA_CHAIN_HOOK]);
	const char *name = nfnl_str(a.a[NFTA_CHAIN_NAME]);
	uint8_t family = nfnl_family(h);

	if ((family != NFPROTO_IPV4 && family != NFPROTO_IPV6) || strcmp(nfnl_str(a.a[NFTA_CHAIN_TABLE]), "filter"))
		return MNL_CB_OK;
	if (!strcmp(name, "INPUT") || !strcmp(name, "OUTPUT"))
		l->nft_odd_filter |= !a.a[NFTA_CHAIN_HOOK] || nfnl_be32(hook.a[NFTA_HOOK_PRIORITY]) != 0 ||
			nfnl_be32(hook.a[NFTA_HOOK_HOOKNUM]) != (*name == 'I' ? NF_INET_LOCAL_IN : NF_INET_LOCAL_OUT);
	return MNL_CB_OK;
}

/* An expression that changes where a packet goes: nft's own, or an iptables target carried by it. */
static bool redirects(const struct nlattr *expr)
{
	struct nfnl_attrs e = nfnl_nested(expr), data = nfnl_nested(e.a[NFTA_EXPR_DATA]);
	const char *name = nfnl_str(e.a[NFTA_EXPR_NAME]), *target = nfnl_str(data.a[NFTA_TARGET_NAME]);

	if (!strcmp(name, "target"))
		return !strcmp(target, "REDIRECT") || !strcmp(target, "DNAT");
	return !strcmp(name, "redir") || (!strcmp(name, "nat") && nfnl_be32(data.a[NFTA_NAT_TYPE]) == NFT_NAT_DNAT);
}

static int on_rule(const struct nlmsghdr *h, void *ctx)
{
	struct ipt_look *l = ctx;
	struct nfnl_attrs a = nfnl_attrs(h);
	uint8_t family = nfnl_family(h);
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
	struct nfnl t;
	int rc = nfnl_open(&t, err);

	if (rc)
		return rc == -EPROTONOSUPPORT ? 0 : rc;
	for (size_t i = 0; i < sizeof dumps / sizeof dumps[0] && !rc; i++) {
		for (int tries = 0; tries < 5; tries++) {
			rc = nfnl_ask(&t, dumps[i].type, NLM_F_DUMP, dumps[i].fn, l);
			if (rc != -EAGAIN)
				break;
		}
		/* nfnetlink answers EINVAL where the kernel has no nf_tables. */
		if (i == 0 && (rc == -EINVAL || rc == -EOPNOTSUPP || rc == -ENOENT)) {
			nfnl_close(&t);
			return 0;
		}
	}
	nfnl_close(&t);
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
	*(uint32_t *)ctx = nfnl_be32(nfnl_attrs(h).a[NFTA_GEN_ID]);
	return MNL_CB_STOP;
}

int nft_generation_on(struct nfnl *t, uint32_t *gen, struct err *err)
{
	int rc;

	*gen = 0;
	rc = nfnl_ask(t, NFT_MSG_GETGEN, 0, on_generation, gen);
	if (rc == -EINVAL || rc == -EOPNOTSUPP || rc == -ENOENT)
		return 0;
	return rc ? err_set(err, rc, "nf_tables generation: %s", strerror(-rc)) : 0;
}

int nft_generation(uint32_t *gen, struct err *err)
{
	struct nfnl t;
	int rc = nfnl_open(&t, err);

	*gen = 0;
	if (rc)
		return rc == -EPROTONOSUPPORT ? 0 : rc;
	rc = nft_generation_on(&t, gen, err);
	nfnl_close(&t);
	return rc;
}
