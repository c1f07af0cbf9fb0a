/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes away an nf_tables table that holds nothing: iptables-nft makes filter or security with all their chains for our first rule, and
 * its -restore can't take them back. A table with a rule, a set, a policy or a chain of somebody's stays. The kernel is asked to do it
 * only if nothing has changed since we looked (NFNL_BATCH_GENID). */
#include <errno.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nfq/ipt.h"
#include "nfq/nfnl.h"

struct look {
	uint8_t family;
	const char *table;
	bool there, used;
};

static bool ours(const struct look *l, const struct nlmsghdr *h, const struct nlattr *table)
{
	return nfnl_family(h) == l->family && !strcmp(nfnl_str(table), l->table);
}

static int on_chain(const struct nlmsghdr *h, void *ctx)
{
	struct nfnl_attrs a = nfnl_attrs(h);
	struct look *l = ctx;

	if (!ours(l, h, a.a[NFTA_CHAIN_TABLE]))
		return MNL_CB_OK;
	l->there = true;
	l->used |= !a.a[NFTA_CHAIN_HOOK] || nfnl_be32(a.a[NFTA_CHAIN_POLICY]) != NF_ACCEPT;
	return MNL_CB_OK;
}

static int on_rule(const struct nlmsghdr *h, void *ctx)
{
	struct look *l = ctx;

	l->used |= ours(l, h, nfnl_attrs(h).a[NFTA_RULE_TABLE]);
	return MNL_CB_OK;
}

static int on_set(const struct nlmsghdr *h, void *ctx)
{
	struct look *l = ctx;

	l->used |= ours(l, h, nfnl_attrs(h).a[NFTA_SET_TABLE]);
	return MNL_CB_OK;
}

static struct nlmsghdr *put(char *at, uint16_t type, uint16_t flags, uint8_t family, uint16_t res_id, uint32_t seq)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(at);
	struct nfgenmsg *g;

	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof *g);
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	g->res_id = htons(res_id);
	return h;
}

static int delete_table(struct nfnl *t, const struct look *l, uint32_t generation)
{
	char buf[1024] = { 0 }, answer[4096];	/* what pads an attribute is sent too */
	struct nlmsghdr *h = put(buf, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, ++t->seq);
	size_t n;
	ssize_t got;

	mnl_attr_put_u32(h, NFNL_BATCH_GENID, htonl(generation));
	n = h->nlmsg_len;
	h = put(buf + n, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE, NLM_F_ACK, l->family, 0, ++t->seq);
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, l->table);
	n += h->nlmsg_len;
	h = put(buf + n, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, t->seq + 1);
	n += h->nlmsg_len;
	if (mnl_socket_sendto(t->nl, buf, n) < 0)
		return -errno;
	got = mnl_socket_recvfrom(t->nl, answer, sizeof answer);
	if (got < 0 || mnl_cb_run(answer, (size_t)got, 0, mnl_socket_get_portid(t->nl), NULL, NULL) < 0)
		return -errno;
	return 0;
}

int nft_drop_empty(enum ipt_family f, const char *table, struct err *err)
{
	static const struct { uint16_t type; mnl_cb_t fn; } dumps[] = { { NFT_MSG_GETCHAIN, on_chain }, { NFT_MSG_GETRULE, on_rule }, { NFT_MSG_GETSET, on_set } };
	struct look l = { .family = f == IPT_V6 ? NFPROTO_IPV6 : NFPROTO_IPV4, .table = table };
	uint32_t generation;
	struct nfnl t;
	int rc = nft_generation(&generation, err);

	if (rc || !generation)
		return rc;	/* 0: this kernel has no nf_tables */
	rc = nfnl_open(&t, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < sizeof dumps / sizeof dumps[0] && !rc; i++)
		rc = nfnl_ask(&t, dumps[i].type, NLM_F_DUMP, dumps[i].fn, &l);
	if (!rc && l.there && !l.used)
		rc = delete_table(&t, &l, generation);
	nfnl_close(&t);
	/* Somebody changed a table meanwhile: it is in use, and so it stays. */
	return !rc || rc == -EAGAIN || rc == -ERESTART || rc == -ENOENT || rc == -EBUSY ? 0 : err_set(err, rc, "table %s: %s", table, strerror(-rc));
}
