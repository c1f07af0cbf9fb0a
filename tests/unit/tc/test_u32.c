/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A filter to attributes and back gives the same filter; what is not ours is told from what is. */
#include <arpa/inet.h>
#include <string.h>

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <netlink/attr.h>

#include "tc/plan.h"
#include "tests/unit/unit.h"

static const struct u32_place place = { .ifindex = 7, .parent = 0xfffffff2 };

/* As the kernel would dump it: roots have its own number. */
static enum u32_what again(const struct u32_filter *f, uint32_t handle, struct u32_filter *out)
{
	struct nl_msg *m = u32_put(&place, f);
	struct tcmsg *t;
	enum u32_what what;

	CU_ASSERT_FATAL(m != NULL);
	CU_ASSERT_EQUAL(nlmsg_hdr(m)->nlmsg_type, RTM_NEWTFILTER);
	t = nlmsg_data(nlmsg_hdr(m));
	CU_ASSERT_EQUAL(t->tcm_ifindex, place.ifindex);
	CU_ASSERT_EQUAL(t->tcm_parent, place.parent);
	if (handle)
		t->tcm_handle = handle;
	what = u32_parse(nlmsg_hdr(m), out);
	nlmsg_free(m);
	return what;
}

static struct tc_want full_want(void)
{
	struct tc_want w = { .ifindex = 7, .to_leaving = 20, .to_entering = 21 };

	for (int h = 0; h < 2; h++) {
		for (unsigned i = 0; i < APP_PORTS_MAX; i++) {
			w.exclude_sport[h].port[i] = (struct app_port){ i & 1 ? 6 : 17, (uint16_t)(65535 - i * 977) };
			w.exclude_dport[h].port[i] = (struct app_port){ i & 1 ? 17 : 6, (uint16_t)(1 + i * 64) };
		}
		w.exclude_sport[h].n = w.exclude_dport[h].n = APP_PORTS_MAX;
	}
	return w;
}

static void test_round_trip(void)
{
	struct tc_want w = full_want();

	for (int h = 0; h < 2; h++)
		for (int made = 0; made < 2; made++) {
			struct u32_list l = { .n = 0 };

			CU_ASSERT_EQUAL_FATAL(plan_wanted(&w, h, &(struct plan_present){ .clsact = true, .made = made }, &l), 0);
			CU_ASSERT_EQUAL(l.n, 6 + 2 * APP_PORTS_MAX + 4 + 4 + 1);
			for (unsigned i = 0; i < l.n; i++) {
				const struct u32_filter *f = &l.f[i];
				bool root = U32_TABLE(f->handle) == U32_ROOT;
				struct u32_filter g;

				CU_ASSERT_EQUAL(again(f, root ? U32_HANDLE(0x805, 0, U32_NODE(f->handle)) : 0, &g), U32_OURS);
				CU_ASSERT(u32_equal(f, &g));
				CU_ASSERT(u32_replaceable(f, &g));
				CU_ASSERT_EQUAL(U32_TABLE(g.kernel_handle), root ? 0x805 : U32_TABLE(f->handle));
			}
			plan_list_free(&l);
		}
}

/* Every field counts. */
static void test_differences(void)
{
	const struct u32_filter f = {
		.handle = U32_HANDLE(TABLE(0, TABLE_TCP), 0, 1), .pref = 49000, .ethertype = ETH_P_IP, .nkeys = 2, .flags = TC_U32_EAT, .offshift = 6, .offmask = 0x0f00,
		.off = 4, .offoff = 2, .hoff = 8, .hmask = 0xff, .key = { { 1, 3, 4 }, { 5, 7, 8 } }, .link = TABLE(0, TABLE_TCP_S), .classid = CLASS_OURS, .mirror_to = 9, .made = true,
	};
	struct u32_filter g;

#define DIFFERS(change, can) \
	do { \
		g = f; \
		change; \
		CU_ASSERT(!u32_equal(&f, &g)); \
		CU_ASSERT_EQUAL(u32_replaceable(&f, &g), can); \
	} while (0)
	DIFFERS(g.handle++, false);
	DIFFERS(g.pref++, false);
	DIFFERS(g.ethertype++, false);
	DIFFERS(g.divisor++, false);
	DIFFERS(g.nkeys--, false);
	DIFFERS(g.nkeys = 0xff, false);
	DIFFERS(g.flags++, false);
	DIFFERS(g.offshift++, false);
	DIFFERS(g.offmask++, false);
	DIFFERS(g.off++, false);
	DIFFERS(g.offoff++, false);
	DIFFERS(g.hoff++, false);
	DIFFERS(g.hmask++, false);
	DIFFERS(g.key[0].value++, false);
	DIFFERS(g.key[1].mask++, false);
	DIFFERS(g.key[1].off++, false);
	DIFFERS(g.link++, true);
	DIFFERS(g.classid++, true);
	DIFFERS(g.mirror_to++, true);
	DIFFERS(g.made = false, true);
	DIFFERS(g.odd = true, true);
	g = f;
	g.kernel_handle = 0x80100001;
	CU_ASSERT(u32_equal(&f, &g));
}

/* Kinds, preferences, chains and marks that are somebody else's. */
static void test_foreign(void)
{
	const struct u32_filter mirror = { .handle = U32_HANDLE(U32_ROOT, 0, 1), .pref = 49040, .ethertype = ETH_P_ALL, .flags = TC_U32_TERMINAL, .mirror_to = 5 };
	struct u32_filter f = mirror, g;
	struct nl_msg *m;
	struct tcmsg t = { .tcm_ifindex = 7, .tcm_handle = 1, .tcm_info = TC_H_MAKE(49040u << 16, 0) };

	CU_ASSERT_EQUAL(again(&f, 0x80000001, &g), U32_OURS);
	f.pref = 48999;
	CU_ASSERT_EQUAL(again(&f, 0x80000001, &g), U32_FOREIGN);
	f.pref = 49100;
	CU_ASSERT_EQUAL(again(&f, 0x80000001, &g), U32_FOREIGN);
	f = mirror;
	f.pref = 49039;
	CU_ASSERT_EQUAL(again(&f, 0x80000001, &g), U32_OURS);
	f.mirror_to = 0;	/* in our range, but nothing of ours on it */
	CU_ASSERT_EQUAL(again(&f, 0x80000001, &g), U32_FOREIGN);
	f.classid = CLASS_OURS;
	CU_ASSERT_EQUAL(again(&f, 0x80000001, &g), U32_OURS);
	CU_ASSERT(!u32_equal(&mirror, &g));
	f = (struct u32_filter){ .handle = U32_HANDLE(TABLE_FIRST, 0, 0), .pref = 300, .ethertype = ETH_P_IP, .divisor = 4 };
	CU_ASSERT_EQUAL(again(&f, 0, &g), U32_FOREIGN_TABLE);
	f.handle = U32_HANDLE(0x10, 0, 0);
	CU_ASSERT_EQUAL(again(&f, 0, &g), U32_NOTHING);
	/* another kind, in our range */
	m = nlmsg_alloc_simple(RTM_NEWTFILTER, 0);
	nlmsg_append(m, &t, sizeof t, NLMSG_ALIGNTO);
	nla_put_string(m, TCA_KIND, "bpf");
	CU_ASSERT_EQUAL(u32_parse(nlmsg_hdr(m), &g), U32_FOREIGN);
	nlmsg_free(m);
	/* the heading of a preference */
	t.tcm_handle = 0;
	m = nlmsg_alloc_simple(RTM_NEWTFILTER, 0);
	nlmsg_append(m, &t, sizeof t, NLMSG_ALIGNTO);
	nla_put_string(m, TCA_KIND, "u32");
	CU_ASSERT_EQUAL(u32_parse(nlmsg_hdr(m), &g), U32_NOTHING);
	nlmsg_free(m);
	/* another chain */
	m = u32_put(&place, &mirror);
	((struct tcmsg *)nlmsg_data(nlmsg_hdr(m)))->tcm_handle = 0x80000001;
	nla_put_u32(m, TCA_CHAIN, 3);
	CU_ASSERT_EQUAL(u32_parse(nlmsg_hdr(m), &g), U32_FOREIGN);
	nlmsg_free(m);
}

/* A mirror with more keys, another control or a second action is ours and odd. */
static void test_odd(void)
{
	const struct u32_filter mirror = { .handle = U32_HANDLE(U32_ROOT, 0, 1), .pref = 49040, .ethertype = ETH_P_ALL, .flags = TC_U32_TERMINAL, .mirror_to = 5 };
	struct nl_msg *m = u32_put(&place, &mirror);
	struct nlattr *opts, *a;
	struct u32_filter g;
	int left;

	((struct tcmsg *)nlmsg_data(nlmsg_hdr(m)))->tcm_handle = 0x80000001;
	opts = nlmsg_find_attr(nlmsg_hdr(m), sizeof(struct tcmsg), TCA_OPTIONS);
	CU_ASSERT_FATAL(opts != NULL);
	nla_for_each_nested(a, opts, left)
		if (nla_type(a) == TCA_U32_SEL)
			((struct tc_u32_sel *)nla_data(a))->nkeys = 3;	/* claims more than stands there */
	CU_ASSERT_EQUAL(u32_parse(nlmsg_hdr(m), &g), U32_OURS);
	CU_ASSERT(!u32_equal(&mirror, &g) && !u32_replaceable(&mirror, &g));
	nla_for_each_nested(a, opts, left)
		if (nla_type(a) == TCA_U32_SEL)
			((struct tc_u32_sel *)nla_data(a))->nkeys = 0;
	CU_ASSERT_EQUAL(u32_parse(nlmsg_hdr(m), &g), U32_OURS);
	CU_ASSERT(u32_equal(&mirror, &g));
	a = nla_find(nla_data(opts), nla_len(opts), TCA_U32_ACT);
	CU_ASSERT_FATAL(a != NULL);
	a = nla_data(a);	/* action 1 */
	a = nla_find(nla_data(a), nla_len(a), TCA_ACT_OPTIONS);
	a = nla_find(nla_data(a), nla_len(a), TCA_MIRRED_PARMS);
	CU_ASSERT_FATAL(a != NULL);
	((struct tc_mirred *)nla_data(a))->action = TC_ACT_PIPE;
	CU_ASSERT_EQUAL(u32_parse(nlmsg_hdr(m), &g), U32_OURS);
	CU_ASSERT(!u32_equal(&mirror, &g) && u32_replaceable(&mirror, &g));
	nlmsg_free(m);
}

const struct unit_test tests_u32[] = {
	{ "round trip of every wanted filter", test_round_trip },
	{ "every difference is seen", test_differences },
	{ "what is not ours", test_foreign },
	{ "ours and altered", test_odd },
	{ 0 },
};
