/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes away nf_tables tables that hold nothing of anybody's: iptables-nft makes filter or security with all their chains for our first rule, and
 * its -restore can't take them back. A table with a rule, a set, a policy or a chain of somebody's stays. The kernel is asked to do it
 * only if nothing has changed since we looked (NFNL_BATCH_GENID). Tables in which nothing but ours stands go with it, all in one transaction and
 * without running a program. */
#include <errno.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nfq/ipt.h"
#include "nfq/nfnl.h"

#define TABLES (IPT_FAMILIES * 3)
#define TABLE_NAME_MAX 16

struct table {
	uint8_t family;
	const char *name;
	bool there, used, ours;		/* used: something of somebody else's is in it; ours: something of ours */
};

struct look {
	struct table t[TABLES];
	bool acct;			/* a rule of ours says that counting was switched on for it */
};

static struct look all_tables(void)
{
	static const enum ipt_table tables[] = { IPT_TABLE_FILTER, IPT_TABLE_SECURITY, IPT_TABLE_MANGLE };
	struct look l = { .acct = false };

	for (unsigned i = 0; i < TABLES; i++)
		l.t[i] = (struct table){ .family = i % 2 ? NFPROTO_IPV6 : NFPROTO_IPV4, .name = ipt_table_name(tables[i / 2]) };
	return l;
}

static struct table *table_of(struct look *l, const struct nlmsghdr *h, const struct nlattr *name)
{
	for (unsigned i = 0; i < TABLES; i++)
		if (nfnl_family(h) == l->t[i].family && !strcmp(nfnl_str(name), l->t[i].name))
			return &l->t[i];
	return NULL;
}

/* As iptables makes them with a table. */
static bool built_in(const char *chain)
{
	static const char *const names[] = { "PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!strcmp(chain, names[i]))
			return true;
	return false;
}

static int on_chain(const struct nlmsghdr *h, void *ctx)
{
	struct nfnl_attrs a = nfnl_attrs(h);
	struct table *t = table_of(ctx, h, a.a[NFTA_CHAIN_TABLE]);
	const char *name = nfnl_str(a.a[NFTA_CHAIN_NAME]);
	bool own = ipt_own_chain(name);

	if (!t)
		return MNL_CB_OK;
	t->there = true;
	t->ours |= own;
	t->used |= !own && (!a.a[NFTA_CHAIN_HOOK] || !built_in(name) || nfnl_be32(a.a[NFTA_CHAIN_POLICY]) != NF_ACCEPT);
	return MNL_CB_OK;
}

/* Nothing but a counter and a jump to a chain of ours. */
static bool is_own_jump(const struct nlattr *exprs)
{
	const struct nlattr *expr;
	bool jumps = false;

	if (!exprs)
		return false;
	mnl_attr_for_each_nested(expr, exprs) {
		struct nfnl_attrs e = nfnl_nested(expr), im = nfnl_nested(e.a[NFTA_EXPR_DATA]), data = nfnl_nested(im.a[NFTA_IMMEDIATE_DATA]), v;
		const char *name = nfnl_str(e.a[NFTA_EXPR_NAME]);

		if (!strcmp(name, "counter"))
			continue;
		v = nfnl_nested(data.a[NFTA_DATA_VERDICT]);
		if (strcmp(name, "immediate") || !ipt_own_chain(nfnl_str(v.a[NFTA_VERDICT_CHAIN])))
			return false;
		jumps = true;
	}
	return jumps;
}

/* Wherever iptables puts a comment: a match of its own, or the rule's data of users. */
static bool says_acct(const struct nlmsghdr *h)
{
	return memmem(mnl_nlmsg_get_payload(h), mnl_nlmsg_get_payload_len(h), ACCT_COMMENT, sizeof ACCT_COMMENT - 1) != NULL;
}

static int on_rule(const struct nlmsghdr *h, void *ctx)
{
	struct nfnl_attrs a = nfnl_attrs(h);
	struct look *l = ctx;
	struct table *t = table_of(l, h, a.a[NFTA_RULE_TABLE]);

	if (!t)
		return MNL_CB_OK;
	if (ipt_own_chain(nfnl_str(a.a[NFTA_RULE_CHAIN])))
		l->acct |= says_acct(h);
	else
		t->used |= !is_own_jump(a.a[NFTA_RULE_EXPRESSIONS]);
	return MNL_CB_OK;
}

/* Sets, objects, flow tables: the first attribute of each names its table. */
_Static_assert((int)NFTA_SET_TABLE == NFTA_OBJ_TABLE && (int)NFTA_SET_TABLE == NFTA_FLOWTABLE_TABLE, "one function for all");

static int on_other(const struct nlmsghdr *h, void *ctx)
{
	struct table *t = table_of(ctx, h, nfnl_attrs(h).a[NFTA_SET_TABLE]);

	if (t)
		t->used = true;
	return MNL_CB_OK;
}

static int look(struct nfnl *t, struct look *l, uint32_t *generation, struct err *err)
{
	static const struct { uint16_t type; mnl_cb_t fn; } dumps[] = {
		{ NFT_MSG_GETCHAIN, on_chain }, { NFT_MSG_GETRULE, on_rule }, { NFT_MSG_GETSET, on_other }, { NFT_MSG_GETOBJ, on_other }, { NFT_MSG_GETFLOWTABLE, on_other },
	};
	int rc = nft_generation_on(t, generation, err);

	*l = all_tables();
	for (size_t i = 0; i < sizeof dumps / sizeof dumps[0] && !rc && *generation; i++)	/* 0: this kernel has no nf_tables */
		rc = nfnl_ask(t, dumps[i].type, NLM_F_DUMP, dumps[i].fn, l);
	return rc;
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

/* Those of the look that go, in one transaction: all or none. */
static int delete_tables(struct nfnl *t, const struct look *l, uint32_t generation)
{
	char buf[2048] = { 0 }, answer[4096];	/* what pads an attribute is sent too */
	struct nlmsghdr *h = put(buf, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, ++t->seq);
	unsigned asked = 0;
	size_t n;

	mnl_attr_put_u32(h, NFNL_BATCH_GENID, htonl(generation));
	n = h->nlmsg_len;
	for (unsigned i = 0; i < TABLES; i++) {
		if (!l->t[i].there || l->t[i].used)
			continue;
		h = put(buf + n, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE, NLM_F_ACK, l->t[i].family, 0, ++t->seq);
		mnl_attr_put_strz(h, NFTA_TABLE_NAME, l->t[i].name);
		n += MNL_ALIGN(h->nlmsg_len);
		asked++;
	}
	if (!asked)
		return 0;
	h = put(buf + n, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, t->seq + 1);
	n += h->nlmsg_len;
	if (mnl_socket_sendto(t->nl, buf, n) < 0)
		return -errno;
	for (unsigned seen = 0; seen < asked; ) {
		ssize_t got = mnl_socket_recvfrom(t->nl, answer, sizeof answer);
		int left = (int)got;

		if (got < 0)
			return -errno;
		for (const struct nlmsghdr *a = (const struct nlmsghdr *)(const void *)answer; mnl_nlmsg_ok(a, left); a = mnl_nlmsg_next(a, &left), seen++) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(a);

			if (a->nlmsg_type == NLMSG_ERROR && e->error)
				return e->error;	/* the first is the whole transaction's; the socket is closed with what else was said */
		}
	}
	return 0;
}

/* Somebody changed a table meanwhile: it is in use, and so it stays. */
static bool in_use(int rc) { return rc == -EAGAIN || rc == -ERESTART || rc == -ENOENT || rc == -EBUSY; }

int nft_drop_empty(struct err *err)
{
	uint32_t generation = 0;
	struct look l;
	struct nfnl t;
	int rc = nfnl_open(&t, err);

	if (rc)
		return rc == -EPROTONOSUPPORT ? 0 : rc;
	rc = look(&t, &l, &generation, err);
	for (unsigned i = 0; i < TABLES; i++)
		l.t[i].used |= l.t[i].ours;
	if (!rc && generation)
		rc = delete_tables(&t, &l, generation);
	nfnl_close(&t);
	return !rc || in_use(rc) ? 0 : err_set(err, rc, "tables: %s", strerror(-rc));
}

int nft_has_own(struct err *err)
{
	uint32_t generation = 0;
	bool some = false;
	struct look l;
	struct nfnl t;
	int rc = nfnl_open(&t, err);

	if (rc)
		return rc == -EPROTONOSUPPORT ? 0 : rc;
	rc = look(&t, &l, &generation, err);
	for (unsigned i = 0; i < TABLES; i++)
		some |= l.t[i].ours;
	nfnl_close(&t);
	return rc ? err_set(err, rc, "tables: %s", strerror(-rc)) : some;
}

int nft_drop_own(bool drop, bool *acct, struct err *err)
{
	uint32_t generation = 0;
	bool some = false, mixed = false;
	struct look l;
	struct nfnl t;
	int rc = nfnl_open(&t, err);

	*acct = false;
	if (rc)
		return rc == -EPROTONOSUPPORT ? 0 : rc;
	rc = look(&t, &l, &generation, err);
	for (unsigned i = 0; i < TABLES; i++) {
		some |= l.t[i].ours;
		mixed |= l.t[i].ours && l.t[i].used;
	}
	if (!rc && some && !mixed && drop)
		rc = delete_tables(&t, &l, generation);
	nfnl_close(&t);
	*acct = l.acct;
	if (rc)
		return in_use(rc) ? 0 : err_set(err, rc, "tables: %s", strerror(-rc));
	return some && !mixed;
}
