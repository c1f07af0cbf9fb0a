/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes of net/sched/cls_u32.c and act_mirred.c. libnl-route's own u32 calls lack cookies and the match without keys, and
 * keep no exact copy of what was read: the attributes are put and read by hand. */
#include "tc/u32.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <netlink/attr.h>

#include "tc/plan.h"

#define COOKIE "tapqueue"	/* then one byte: made */
#define COOKIE_LEN 9
#define NKEYS_ODD 0xff	/* a match that we never write: no change in place can mend it */

struct nl_msg *u32_message(int type, int flags, const struct u32_place *p, uint32_t handle, uint16_t pref, uint16_t ethertype)
{
	struct nl_msg *m = nlmsg_alloc_simple(type, flags);
	struct tcmsg t = {
		.tcm_ifindex = p->ifindex,
		.tcm_handle = handle,
		.tcm_parent = p->parent,
		.tcm_info = TC_H_MAKE((uint32_t)pref << 16, htons(ethertype)),
	};

	if (m && nlmsg_append(m, &t, sizeof t, NLMSG_ALIGNTO) < 0) {
		nlmsg_free(m);
		return NULL;
	}
	return m;
}

/* ---- out ---- */

static int put_selector(struct nl_msg *m, const struct u32_filter *f)
{
	struct tc_u32_sel s;
	struct tc_u32_key k;
	uint8_t buf[sizeof s + U32_KEYS_MAX * sizeof k];

	memset(&s, 0, sizeof s);
	s.flags = f->flags;
	s.offshift = f->offshift;
	s.nkeys = f->nkeys;
	s.offmask = htons(f->offmask);
	s.off = f->off;
	s.offoff = f->offoff;
	s.hoff = f->hoff;
	s.hmask = htonl(f->hmask);
	memcpy(buf, &s, sizeof s);
	for (unsigned i = 0; i < f->nkeys; i++) {
		k = (struct tc_u32_key){ .mask = htonl(f->key[i].mask), .val = htonl(f->key[i].value & f->key[i].mask), .off = f->key[i].off, .offmask = f->key[i].next ? -1 : 0 };
		memcpy(buf + sizeof s + i * sizeof k, &k, sizeof k);
	}
	return nla_put(m, TCA_U32_SEL, (int)(sizeof s + f->nkeys * sizeof k), buf);
}

static int put_mirror(struct nl_msg *m, const struct u32_filter *f)
{
	struct tc_mirred parms = {
		.action = f->redirect ? TC_ACT_STOLEN : TC_ACT_UNSPEC,
		.eaction = f->redirect ? TCA_EGRESS_REDIR : TCA_EGRESS_MIRROR,
		.ifindex = (uint32_t)f->mirror_to,
	};
	struct nlattr *list = nla_nest_start(m, TCA_U32_ACT), *one = list ? nla_nest_start(m, 1) : NULL, *opts;
	uint8_t cookie[COOKIE_LEN];

	if (!one || nla_put_string(m, TCA_ACT_KIND, "mirred") || !(opts = nla_nest_start(m, TCA_ACT_OPTIONS)))
		return -1;
	if (nla_put(m, TCA_MIRRED_PARMS, sizeof parms, &parms))
		return -1;
	nla_nest_end(m, opts);
	memcpy(cookie, COOKIE, COOKIE_LEN - 1);
	cookie[COOKIE_LEN - 1] = f->made;
	if (nla_put(m, TCA_ACT_COOKIE, sizeof cookie, cookie))
		return -1;
	nla_nest_end(m, one);
	nla_nest_end(m, list);
	return 0;
}

static int put_node(struct nl_msg *m, const struct u32_filter *f)
{
	uint32_t table = f->handle & ~0xfffu;

	if (U32_TABLE(f->handle) != U32_ROOT && nla_put_u32(m, TCA_U32_HASH, table))
		return -1;
	if (put_selector(m, f))
		return -1;
	if (f->link && nla_put_u32(m, TCA_U32_LINK, U32_HANDLE(f->link, 0, 0)))
		return -1;
	if (f->classid && nla_put_u32(m, TCA_U32_CLASSID, f->classid))
		return -1;
	return f->mirror_to ? put_mirror(m, f) : 0;
}

struct nl_msg *u32_put(const struct u32_place *p, const struct u32_filter *f)
{
	/* In a root table only the node's number is named: the table's own is the kernel's choice. */
	uint32_t handle = f->kernel_handle ? f->kernel_handle : U32_TABLE(f->handle) == U32_ROOT ? U32_NODE(f->handle) : f->handle;
	struct nl_msg *m = u32_message(RTM_NEWTFILTER, NLM_F_CREATE, p, handle, f->pref, f->ethertype);
	struct nlattr *opts;

	if (!m || nla_put_string(m, TCA_KIND, "u32") || !(opts = nla_nest_start(m, TCA_OPTIONS)))
		goto fail;
	if (f->divisor ? nla_put_u32(m, TCA_U32_DIVISOR, f->divisor) : put_node(m, f))
		goto fail;
	nla_nest_end(m, opts);
	return m;
fail:
	nlmsg_free(m);
	return NULL;
}

struct nl_msg *u32_delete(const struct u32_place *p, const struct u32_filter *f)
{
	struct nl_msg *m = u32_message(RTM_DELTFILTER, 0, p, f->kernel_handle ? f->kernel_handle : f->handle, f->pref, f->ethertype);

	if (m && nla_put_string(m, TCA_KIND, f->prog ? "bpf" : "u32")) {
		nlmsg_free(m);
		return NULL;
	}
	return m;
}

struct nl_msg *u32_delete_pref(const struct u32_place *p, uint16_t pref, uint16_t ethertype)
{
	return u32_message(RTM_DELTFILTER, 0, p, 0, pref, ethertype);
}

/* ---- in ---- */

static uint32_t word(const struct nlattr *a) { return nla_len(a) >= 4 ? nla_get_u32(a) : 0; }

static bool read_selector(const struct nlattr *a, struct u32_filter *f)
{
	struct tc_u32_sel s;
	struct tc_u32_key k;
	const char *p = nla_data(a);

	if (nla_len(a) < (int)sizeof s)
		return false;
	memcpy(&s, p, sizeof s);
	if (s.nkeys > U32_KEYS_MAX || nla_len(a) < (int)(sizeof s + s.nkeys * sizeof k))
		return false;
	f->nkeys = s.nkeys;
	f->flags = s.flags;
	f->offshift = s.offshift;
	f->offmask = ntohs(s.offmask);
	f->off = s.off;
	f->offoff = s.offoff;
	f->hoff = s.hoff;
	f->hmask = ntohl(s.hmask);
	for (unsigned i = 0; i < s.nkeys; i++) {
		memcpy(&k, p + sizeof s + i * sizeof k, sizeof k);
		f->key[i] = (struct u32_key){ .value = ntohl(k.val), .mask = ntohl(k.mask), .off = k.off, .next = k.offmask == -1 };
		if (k.offmask && k.offmask != -1)
			return false;
	}
	return true;
}

/* One mirred mirror or redirect with our cookie, or odd. True when the cookie is ours. */
static bool read_action(struct nlattr *acts, struct u32_filter *f)
{
	struct nlattr *one, *tb[TCA_ACT_MAX + 1], *op[TCA_MIRRED_MAX + 1];
	struct tc_mirred p;
	unsigned n = 0;
	int left;
	bool ours = false;

	nla_for_each_nested(one, acts, left) {
		if (n++ || nla_parse_nested(tb, TCA_ACT_MAX, one, NULL) < 0 || !tb[TCA_ACT_KIND] || nla_strcmp(tb[TCA_ACT_KIND], "mirred") ||
		    !tb[TCA_ACT_OPTIONS] || nla_parse_nested(op, TCA_MIRRED_MAX, tb[TCA_ACT_OPTIONS], NULL) < 0 || !op[TCA_MIRRED_PARMS] ||
		    nla_len(op[TCA_MIRRED_PARMS]) < (int)sizeof p) {
			f->odd = true;
			continue;
		}
		memcpy(&p, nla_data(op[TCA_MIRRED_PARMS]), sizeof p);
		f->mirror_to = (int)p.ifindex;
		f->redirect = p.eaction == TCA_EGRESS_REDIR;
		f->odd |= p.action != (f->redirect ? TC_ACT_STOLEN : TC_ACT_UNSPEC) || (p.eaction != TCA_EGRESS_MIRROR && !f->redirect) || !p.ifindex;
		if (tb[TCA_ACT_COOKIE] && nla_len(tb[TCA_ACT_COOKIE]) == COOKIE_LEN && !memcmp(nla_data(tb[TCA_ACT_COOKIE]), COOKIE, COOKIE_LEN - 1)) {
			f->made = ((const uint8_t *)nla_data(tb[TCA_ACT_COOKIE]))[COOKIE_LEN - 1];
			ours = true;
		} else {
			f->odd = true;
		}
	}
	return ours;
}

static bool table_ours(uint32_t table) { return table >= TABLE_FIRST && table <= TABLE_LAST; }

static enum u32_what read_node(struct nlattr **tb, struct u32_filter *f)
{
	bool ours = pref_ours(f->pref) || table_ours(U32_TABLE(f->handle));

	if (!tb[TCA_U32_SEL] || !read_selector(tb[TCA_U32_SEL], f) || tb[TCA_U32_POLICE] || tb[TCA_U32_INDEV] || tb[TCA_U32_MARK])
		f->nkeys = NKEYS_ODD;
	if (tb[TCA_U32_LINK])
		f->link = U32_TABLE(word(tb[TCA_U32_LINK]));
	if (tb[TCA_U32_CLASSID])
		f->classid = word(tb[TCA_U32_CLASSID]);
	if (tb[TCA_U32_ACT])
		ours |= read_action(tb[TCA_U32_ACT], f);
	ours |= table_ours(f->link) || f->classid == CLASS_OURS;
	return ours ? U32_OURS : U32_FOREIGN;
}

enum u32_what u32_parse(const struct nlmsghdr *h, struct u32_filter *f)
{
	struct nlattr *tb[TCA_MAX + 1], *op[TCA_U32_MAX + 1];
	const struct tcmsg *t = nlmsg_data(h);
	uint32_t pref;
	bool u32, mine;

	memset(f, 0, sizeof *f);
	if (h->nlmsg_type != RTM_NEWTFILTER || !nlmsg_valid_hdr(h, sizeof *t) || nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof *t, tb, TCA_MAX, NULL) < 0 ||
	    !tb[TCA_KIND] || !t->tcm_handle)
		return U32_NOTHING;
	u32 = !nla_strcmp(tb[TCA_KIND], "u32");
	pref = TC_H_MAJ(t->tcm_info) >> 16;
	mine = u32 && pref >= PREF_FIRST && pref <= PREF_LAST && !(tb[TCA_CHAIN] && word(tb[TCA_CHAIN]));
	f->kernel_handle = t->tcm_handle;
	f->handle = U32_TABLE(t->tcm_handle) >= U32_ROOT ? U32_HANDLE(U32_ROOT, 0, t->tcm_handle & 0xfffff) : t->tcm_handle;
	f->pref = (uint16_t)pref;
	f->ethertype = ntohs((uint16_t)TC_H_MIN(t->tcm_info));
	if (u32 && !U32_NODE(t->tcm_handle)) {		/* a table; those of the roots come with their preference */
		if (U32_TABLE(f->handle) == U32_ROOT || !table_ours(U32_TABLE(f->handle)))
			return U32_NOTHING;
		if (!mine)
			return U32_FOREIGN_TABLE;
		if (tb[TCA_OPTIONS] && nla_parse_nested(op, TCA_U32_MAX, tb[TCA_OPTIONS], NULL) >= 0 && op[TCA_U32_DIVISOR])
			f->divisor = (uint16_t)word(op[TCA_U32_DIVISOR]);
		f->odd = !f->divisor;
		if (!f->divisor)
			f->divisor = 1;
		return U32_OURS;
	}
	if (!mine)
		return U32_FOREIGN;
	if (!tb[TCA_OPTIONS] || nla_parse_nested(op, TCA_U32_MAX, tb[TCA_OPTIONS], NULL) < 0)
		return U32_FOREIGN;
	return read_node(op, f);
}

/* ---- comparing ---- */

bool u32_replaceable(const struct u32_filter *a, const struct u32_filter *b)
{
	if (!a->prog != !b->prog || a->handle != b->handle || a->pref != b->pref || a->ethertype != b->ethertype || a->divisor != b->divisor)
		return false;
	if (a->nkeys != b->nkeys || a->nkeys > U32_KEYS_MAX || a->flags != b->flags || a->offshift != b->offshift || a->offmask != b->offmask || a->off != b->off ||
	    a->offoff != b->offoff || a->hoff != b->hoff || a->hmask != b->hmask)
		return false;
	for (unsigned i = 0; i < a->nkeys; i++)
		if (a->key[i].value != b->key[i].value || a->key[i].mask != b->key[i].mask || a->key[i].off != b->key[i].off || a->key[i].next != b->key[i].next)
			return false;
	return true;
}

bool u32_equal(const struct u32_filter *a, const struct u32_filter *b)
{
	return !a->odd && !b->odd && u32_replaceable(a, b) && a->link == b->link && a->classid == b->classid && a->mirror_to == b->mirror_to && a->redirect == b->redirect &&
	       a->made == b->made && a->prog == b->prog;
}

const char *u32_name(const struct u32_filter *f, int hook, char buf[64])
{
	if (f->prog)
		snprintf(buf, 64, "%s pref %u program", hook ? "egress" : "ingress", f->pref);
	else
		snprintf(buf, 64, "%s pref %u filter %x:%x:%x", hook ? "egress" : "ingress", f->pref, U32_TABLE(f->handle), U32_BUCKET(f->handle), U32_NODE(f->handle));
	return buf;
}
