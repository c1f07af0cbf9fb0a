// SPDX-License-Identifier: GPL-2.0-or-later
/* The mirror as one cls_bpf program a hook (direct action): a copy to the bridge of what nobody's queue owns, and on to whatever filter
 * stands behind, always. What it lets by uncopied is what the u32 engine excludes (tc/plan.h): unfragmented TCP without SYN, and UDP, of owned
 * ports; here behind IPv6 extension headers too. Tagged frames are copied.
 *
 * Nothing is known of a device until engine_bpf.c wrote its row: until then nothing is copied. */
#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "tc/bpf/maps.h"

#define EXTENSIONS_MAX 8	/* behind more of them a packet is copied */

enum { EXT_HOPOPTS = 0, EXT_ROUTING = 43, EXT_FRAGMENT = 44, EXT_DSTOPTS = 60 };	/* RFC 8200 */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BPF_DEVICES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct bpf_hook);
	__type(value, struct bpf_hook_state);
} hooks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BPF_PORTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct bpf_port);
	__type(value, __u8);
} ports SEC(".maps");

struct transport {
	__u32 at;		/* offset of its header */
	__u8 ipproto;
};

/* False: a fragment, or nothing that could be owned. */
static __always_inline bool find4(struct __sk_buff *skb, struct transport *t)
{
	__u8 ip[20];
	__u16 frag;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, ip, sizeof(ip)) || ip[0] >> 4 != 4)
		return false;
	frag = (__u16)(ip[6] << 8 | ip[7]);
	t->at = ETH_HLEN + (ip[0] & 15) * 4;
	t->ipproto = ip[9];
	return !(frag & 0x3fff);
}

static __always_inline bool find6(struct __sk_buff *skb, struct transport *t)
{
	__u8 next, ext[2];

	if (bpf_skb_load_bytes(skb, ETH_HLEN + 6, &next, 1))
		return false;
	t->at = ETH_HLEN + 40;
	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		if (next == IPPROTO_TCP || next == IPPROTO_UDP) {
			t->ipproto = next;
			return true;
		}
		if ((next != EXT_HOPOPTS && next != EXT_ROUTING && next != EXT_DSTOPTS) || bpf_skb_load_bytes(skb, t->at, ext, sizeof(ext)))
			return false;
		next = ext[0];
		t->at += (ext[1] + 1) * 8;
	}
	return false;
}

static __always_inline bool owned(struct __sk_buff *skb, const struct bpf_hook *h, const struct bpf_hook_state *s)
{
	struct bpf_port p = { .ifindex = h->ifindex, .where = (__u8)(h->hook << 1) };
	struct transport t;
	__be16 port[2];
	__u8 flags;

	if (!s->flags || skb->vlan_present)
		return false;
	if (skb->protocol == bpf_htons(ETH_P_IP) ? !find4(skb, &t) : skb->protocol != bpf_htons(ETH_P_IPV6) || !find6(skb, &t))
		return false;
	if (t.ipproto != IPPROTO_TCP && t.ipproto != IPPROTO_UDP)
		return false;
	if (bpf_skb_load_bytes(skb, t.at, port, sizeof(port)))
		return false;
	if (t.ipproto == IPPROTO_TCP && (bpf_skb_load_bytes(skb, t.at + 13, &flags, 1) || flags & 2))
		return false;		/* the handshake is copied all the same: the witness */
	if (s->flags & HOOK_ALL_PORTS)
		return true;
	p.ipproto = t.ipproto;
	p.port = port[0];
	if (s->flags & HOOK_SPORTS && bpf_map_lookup_elem(&ports, &p))
		return true;
	p.port = port[1];
	p.where |= 1;
	return s->flags & HOOK_DPORTS && bpf_map_lookup_elem(&ports, &p);
}

static __always_inline int mirror(struct __sk_buff *skb, __u32 hook)
{
	struct bpf_hook h = { .ifindex = skb->ifindex, .hook = hook };
	const struct bpf_hook_state *s = bpf_map_lookup_elem(&hooks, &h);

	if (s && !owned(skb, &h, s))
		bpf_clone_redirect(skb, s->to, 0);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int tapq_leaving(struct __sk_buff *skb) { return mirror(skb, 0); }

SEC("tc")
int tapq_entering(struct __sk_buff *skb) { return mirror(skb, 1); }

char _license[] SEC("license") = "GPL";
