/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tc/clsbpf.h"

#include <arpa/inet.h>
#include <string.h>

#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "tc/plan.h"

#define NAME "tapqueue"		/* then a plus sign where the clsact was made by us */
#define NAME_MADE NAME "+"

struct nl_msg *clsbpf_put(const struct u32_place *p, const struct u32_filter *f, int fd)
{
	struct nl_msg *m = u32_message(RTM_NEWTFILTER, NLM_F_CREATE, p, 1, f->pref, f->ethertype);
	struct nlattr *opts;

	if (!m || nla_put_string(m, TCA_KIND, "bpf") || !(opts = nla_nest_start(m, TCA_OPTIONS)) || nla_put_u32(m, TCA_BPF_FD, (uint32_t)fd) ||
	    nla_put_string(m, TCA_BPF_NAME, f->made ? NAME_MADE : NAME) || nla_put_u32(m, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT)) {
		nlmsg_free(m);
		return NULL;
	}
	nla_nest_end(m, opts);
	return m;
}

enum u32_what clsbpf_parse(const struct nlmsghdr *h, struct u32_filter *f)
{
	struct nlmsghdr *m = (struct nlmsghdr *)(uintptr_t)h;
	struct nlattr *tb[TCA_MAX + 1], *op[TCA_BPF_MAX + 1], *kind;
	const struct tcmsg *t = nlmsg_data(h);
	uint32_t pref;
	bool made;

	if (h->nlmsg_type != RTM_NEWTFILTER || !nlmsg_valid_hdr(h, sizeof *t))
		return U32_NOTHING;
	kind = nlmsg_find_attr(m, sizeof *t, TCA_KIND);		/* the first one: thousands of u32 filters are only asked for it */
	if (!kind || nla_strcmp(kind, "bpf") || nlmsg_parse(m, sizeof *t, tb, TCA_MAX, NULL) < 0 || !t->tcm_handle || !tb[TCA_OPTIONS] ||
	    nla_parse_nested(op, TCA_BPF_MAX, tb[TCA_OPTIONS], NULL) < 0)
		return U32_NOTHING;
	memset(f, 0, sizeof *f);
	pref = TC_H_MAJ(t->tcm_info) >> 16;
	if ((pref != PREF_PROGRAM(0) && pref != PREF_PROGRAM(1)) || (tb[TCA_CHAIN] && nla_get_u32(tb[TCA_CHAIN])) || !op[TCA_BPF_NAME])
		return U32_FOREIGN;
	made = !nla_strcmp(op[TCA_BPF_NAME], NAME_MADE);
	if (!made && nla_strcmp(op[TCA_BPF_NAME], NAME))
		return U32_FOREIGN;
	f->handle = U32_HANDLE(U32_ROOT, 0, t->tcm_handle & 0xfff);
	f->kernel_handle = t->tcm_handle;
	f->pref = (uint16_t)pref;
	f->ethertype = ntohs((uint16_t)TC_H_MIN(t->tcm_info));
	f->prog = op[TCA_BPF_ID] ? nla_get_u32(op[TCA_BPF_ID]) : 0;
	f->made = made;
	f->odd = !f->prog || t->tcm_handle != 1 || !op[TCA_BPF_FLAGS] || nla_get_u32(op[TCA_BPF_FLAGS]) != TCA_BPF_FLAG_ACT_DIRECT;
	if (!f->prog)
		f->prog = UINT32_MAX;
	return U32_OURS;
}
