/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The filters of fences: what deny.h tells of them. Pure. */
#include "tc/deny_parts.h"

#include <netinet/in.h>

#define BEYOND 0x1000000	/* of any packet, with all that BIG TCP makes of it; within an int with all that is added */

unsigned deny_fence_cost(const struct fence *f) { return port_blocks(f->lo, f->hi) * port_blocks(f->from_lo, f->from_hi); }

static bool is_v4(const struct fence *f) { return f->peer.len >= 96 && addr_is_v4(&f->peer.net); }

/* The kinds, in the order that roots stand in. */
static const struct kind {
	uint8_t ipproto4, ipproto6;
	enum deny_table table;		/* IPv4's; IPv6's is the next */
	unsigned max;
} kinds[] = {
	{ IPPROTO_TCP, IPPROTO_TCP, DENY_TCP4, FENCES_MAX }, { IPPROTO_UDP, IPPROTO_UDP, DENY_UDP4, FENCES_EACH_MAX }, { IPPROTO_ICMP, IPPROTO_ICMPV6, DENY_ECHO4, FENCES_EACH_MAX },
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static bool is_kind(const struct fence *f, const struct kind *k, bool v4) { return is_v4(f) == v4 && f->ipproto == (v4 ? k->ipproto4 : k->ipproto6); }

/* Destination ports, and as many times source ports. */
static void add_fence(struct builder *b, const struct fence *t, const struct kind *k, int to, unsigned *no)
{
	bool v4 = is_v4(t);

	for (uint32_t lo = t->lo, size; lo <= t->hi; lo += size) {
		size = port_block(lo, t->hi);
		for (uint32_t from = t->from_lo, many; from <= t->from_hi; from += many) {
			struct u32_filter f = node(b, v4, DENY_TABLE(b->hook, k->table + !v4), ++*no);
			uint32_t mask;

			many = port_block(from, t->from_hi);
			mask = (0xffffu & ~(many - 1)) << 16 | (0xffffu & ~(size - 1));
			key_addr(&f, &t->peer.net, t->peer.len, b->hook ? (v4 ? 12 : 8) : (v4 ? 16 : 24));
			if (k->table == DENY_ECHO4)	/* requests: 8 and 128 */
				key(&f, v4 ? 0x08000000 : 0x80000000, 0xff000000, 0, true);
			else if (mask)
				key(&f, from << 16 | lo, mask, 0, true);
			if (t->pass) {
				key(&f, 1, 1, BEYOND, false);
			} else {
				f.flags = TC_U32_TERMINAL;
				f.mirror_to = to;
				f.redirect = true;
			}
			add(b, &f);
		}
	}
}

/* False: there is no room for this one, nor for what comes behind it, which it might have let pass. */
static bool fits(const struct fence *f, const struct kind *k, unsigned *filters)
{
	*filters += deny_fence_cost(f);
	return *filters <= k->max;
}

unsigned deny_fences_over(const struct fence *t, unsigned n)
{
	unsigned filters[2][KINDS] = { { 0 } }, over = 0;

	for (unsigned i = 0; i < n; i++)
		for (size_t k = 0; k < KINDS; k++)
			over += is_kind(&t[i], &kinds[k], is_v4(&t[i])) && !fits(&t[i], &kinds[k], &filters[is_v4(&t[i])][k]);
	return over;
}

/* The root behind the IP header, of each address of the workload's own, first fragments only. */
static void add_fence_roots(struct builder *b, const struct kind *k, const struct addr *own, unsigned no, unsigned table)
{
	bool v4 = addr_is_v4(own);

	for (unsigned fragment = 0; fragment < (v4 ? 1 : 2); fragment++) {
		struct u32_filter f = node(b, v4, U32_ROOT, ROOT_FENCE + 2 * (KINDS * no + (unsigned)(k - kinds)) + fragment);

		if (v4)
			key(&f, 0, 0x1fff, 4, false);
		else if (fragment) {
			key(&f, IP6_FRAGMENT << 8, 0xff00, 4, false);
			key(&f, 0, 0xfff8, 40, false);
		}
		f.key[f.nkeys++] = ipproto_key(v4, fragment, v4 ? k->ipproto4 : k->ipproto6);
		key_addr(&f, own, 128, b->hook ? (v4 ? 16 : 24) : (v4 ? 12 : 8));
		f.flags = v4 ? TC_U32_VAROFFSET : TC_U32_OFFSET;
		f.offmask = v4 ? 0x0f00 : 0;
		f.offshift = v4 ? 6 : 0;
		f.off = v4 ? 0 : fragment ? 48 : 40;
		f.link = table;
		add(b, &f);
	}
}

/* What leads to a kind's fences; TCP's SYNs are told from the rest on the way. */
static void add_way_in(struct builder *b, const struct kind *k, bool v4, const struct addr *own, unsigned nown)
{
	unsigned table = DENY_TABLE(b->hook, k->table + !v4);
	struct u32_filter f;

	if (k->table == DENY_TCP4) {
		f = node(b, v4, DENY_TABLE(b->hook, v4 ? DENY_SYN4 : DENY_SYN6), 1);
		key(&f, 0x00020000, 0x00120000, 12, true);	/* SYN without ACK (RFC 9293, 3.1) */
		f.link = table;
		add(b, &f);
		table = DENY_TABLE(b->hook, v4 ? DENY_SYN4 : DENY_SYN6);
	}
	for (unsigned i = 0; i < nown; i++)
		if (addr_is_v4(&own[i]) == v4 && !addr_is_linklocal(&own[i]))
			add_fence_roots(b, k, &own[i], i, table);
}

static void add_kind(struct builder *b, const struct kind *k, bool v4, const struct tc_want *w, int to)
{
	const struct fence *t = w->fence[b->hook];
	unsigned filters = 0, no = 0;

	for (unsigned i = 0; i < w->nfence[b->hook]; i++) {
		if (!is_kind(&t[i], k, v4) || !fits(&t[i], k, &filters))
			continue;
		if (!no && k->table == DENY_TCP4)
			add_table(b, v4 ? DENY_SYN4 : DENY_SYN6, v4, 1);
		if (!no)
			add_table(b, k->table + !v4, v4, 1);
		add_fence(b, &t[i], k, to, &no);
	}
	if (no)
		add_way_in(b, k, v4, w->own, w->nown);
}

int deny_fences(const struct tc_want *w, int hook, int to, struct u32_list *out)
{
	struct builder b = { .out = out, .hook = hook };

	for (int v4 = 1; v4 >= 0; v4--)
		for (size_t k = 0; k < KINDS; k++)
			add_kind(&b, &kinds[k], v4, w, to);
	return b.rc;
}
