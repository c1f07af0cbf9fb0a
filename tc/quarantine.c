/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Quarantine: everything but ARP and neighbour discovery (ICMPv6 133..136, RFC 4861) is redirected to the bridge, where it is seen and ends.
 *
 * u32 knows no "not", and a match that lets pass would end classification for other people's filters behind ours. So what is cut off is
 * said in the positive: all ethertypes but two, all next headers of IPv6 but one, all ICMPv6 types but four, each as the blocks of values
 * that are left when some are taken out. The words are read where their last byte is the one asked for, so that no packet is too short.
 * An ethertype is what stands before the network header in the bytes: a tag that the kernel has taken off is not looked at, so that tagged
 * ARP passes as well and tagged IP does not. IPv6 with nothing at all behind a header that promises ICMPv6 is too short for its type, and passes. */
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include "tc/plan.h"

#define ETHERTYPE_AT (-4)	/* the word before the network header: its low half */
#define NEXT_HEADER_AT 4	/* RFC 8200: its third byte */
#define ICMP6_TYPE_AT 37	/* its last byte is that at 40, behind a header without extensions */
#define NEXT_ICMP6 58u

static const uint32_t ethertypes[] = { ETH_P_ARP, ETH_P_IPV6 }, next_icmp6[] = { NEXT_ICMP6 }, discovery[] = { 133, 134, 135, 136 };

struct builder {
	struct u32_list *out;
	struct u32_filter f;	/* what stands for all of a group; its last key is filled in */
	int rc;
};

static void add(struct builder *b, uint32_t value, uint32_t mask, unsigned shift)
{
	struct u32_key *k = &b->f.key[b->f.nkeys - 1];

	k->value = value << shift;
	k->mask = mask << shift;
	b->f.handle++;		/* node after node, from 1 */
	if (!b->rc)
		b->rc = plan_list_add(b->out, &b->f);
}

/* All values of `bits` bits but those in `not`, as the largest blocks (value, mask): of this block first what holds none of them. */
static void outside(struct builder *b, const uint32_t *not, unsigned n, unsigned bits, unsigned shift, uint32_t value, unsigned fixed)
{
	uint32_t mask = ((1u << bits) - 1) & ~((1u << (bits - fixed)) - 1);
	unsigned in = 0;

	for (unsigned i = 0; i < n; i++)
		in += (not[i] & mask) == value;
	if (!in) {
		add(b, value, mask, shift);
	} else if (fixed < bits) {
		outside(b, not, n, bits, shift, value, fixed + 1);
		outside(b, not, n, bits, shift, value | 1u << (bits - fixed - 1), fixed + 1);
	}
}

int quarantine_wanted(int hook, int to, struct u32_list *out)
{
	struct builder b = {
		.out = out,
		.f = {
			.handle = U32_HANDLE(U32_ROOT, 0, 0), .pref = PREF_QUARANTINE(hook), .ethertype = ETH_P_ALL, .flags = TC_U32_TERMINAL,
			.mirror_to = to, .redirect = true, .nkeys = 1, .key = { { .off = ETHERTYPE_AT } },
		},
	};

	outside(&b, ethertypes, 2, 16, 0, 0, 0);
	b.f.key[0] = (struct u32_key){ .value = ETH_P_IPV6, .mask = 0xffff, .off = ETHERTYPE_AT };
	b.f.key[1] = (struct u32_key){ .off = NEXT_HEADER_AT };
	b.f.nkeys = 2;
	outside(&b, next_icmp6, 1, 8, 8, 0, 0);
	b.f.key[1] = (struct u32_key){ .value = NEXT_ICMP6 << 8, .mask = 0xff00, .off = NEXT_HEADER_AT };
	b.f.key[2] = (struct u32_key){ .off = ICMP6_TYPE_AT };
	b.f.nkeys = 3;
	outside(&b, discovery, 4, 8, 0, 0, 0);
	return b.rc;
}
