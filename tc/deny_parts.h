/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deny_parts: what the filters of denied flows (deny.c) and of fences (fences.c) are made of. */
#ifndef TQ_TC_DENY_PARTS_H
#define TQ_TC_DENY_PARTS_H

#include "tc/deny.h"

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#define IP6_FRAGMENT 44u
#define LINKS 3				/* nodes that lead to ways: by source port, destination port, id */
#define ROOT_FENCE (1 + 2 * LINKS)	/* root nodes of fences: behind those that lead to ways, which are two times that at most */

static inline uint32_t word(const struct addr *a, unsigned at) { return (uint32_t)a->b[at] << 24 | (uint32_t)a->b[at + 1] << 16 | (uint32_t)a->b[at + 2] << 8 | a->b[at + 3]; }

static inline void key(struct u32_filter *f, uint32_t value, uint32_t mask, int off, bool next)
{
	f->key[f->nkeys++] = (struct u32_key){ .value = value & mask, .mask = mask, .off = off, .next = next };
}

/* The first `len` bits of an address that stands at `off`. */
static inline void key_addr(struct u32_filter *f, const struct addr *a, unsigned len, int off)
{
	for (unsigned i = addr_is_v4(a) ? 12 : 0, at = 0; i < 16 && len > 8 * i; i += 4, at += 4) {
		unsigned bits = len - 8 * i;

		key(f, word(a, i), bits >= 32 ? 0xffffffffu : ~(0xffffffffu >> bits), off + (int)at, false);
	}
}

struct builder {
	struct u32_list *out;
	int hook;
	int rc;
};

static inline void add(struct builder *b, const struct u32_filter *f)
{
	if (!b->rc)
		b->rc = plan_list_add(b->out, f);
}

static inline struct u32_filter node(const struct builder *b, bool v4, unsigned table, unsigned no)
{
	return (struct u32_filter){
		.handle = U32_HANDLE(table, 0, no), .pref = v4 ? PREF_DENY4(b->hook) : PREF_DENY6(b->hook), .ethertype = v4 ? ETH_P_IP : ETH_P_IPV6,
	};
}

static inline void add_table(struct builder *b, enum deny_table t, bool v4, unsigned divisor)
{
	struct u32_filter f = node(b, v4, DENY_TABLE(b->hook, t), 0);

	f.divisor = (uint16_t)divisor;
	add(b, &f);
}

static inline struct u32_key ipproto_key(bool v4, bool fragment, uint8_t ipproto)
{
	if (v4)
		return (struct u32_key){ .value = (uint32_t)ipproto << 16, .mask = 0x00ff0000, .off = 8 };
	if (fragment)
		return (struct u32_key){ .value = (uint32_t)ipproto << 24, .mask = 0xff000000, .off = 40 };
	return (struct u32_key){ .value = (uint32_t)ipproto << 8, .mask = 0x0000ff00, .off = 4 };
}

#endif
