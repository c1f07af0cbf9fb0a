// SPDX-License-Identifier: GPL-2.0-or-later
/* The mirror as one cls_bpf program a hook (direct action): a copy to the bridge of what nobody's queue owns, and on to whatever filter
 * stands behind, always. What it lets by uncopied is what the u32 engine excludes (tc/plan.h): unfragmented TCP without SYN, and UDP, of owned
 * ports; here behind IPv6 extension headers too. Tagged frames are copied. So are the packets of all flows until somebody puts
 * them into the map of those that pass: then they are counted here, and only SYNs of theirs are copied (and not counted).
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

enum { TCP_SYN = 2 };
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

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BPF_PASSING_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct bpf_passing);
	__type(value, struct bpf_passed);
} passing SEC(".maps");

__u32 any_passing;		/* since a flow was first put into that map */

struct transport {
	__u32 at;		/* offset of its header */
	__u32 length;		/* of the IP packet; 0: more than its field can say */
	__u8 ipproto;
	__u8 tcp_flags;
	__be16 port[2];
};

/* False: a fragment, or no IPv4. */
static __always_inline bool find4(struct __sk_buff *skb, struct transport *t)
{
	__u8 ip[20];
	__u16 frag;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, ip, sizeof(ip)) || ip[0] >> 4 != 4)
		return false;
	frag = (__u16)(ip[6] << 8 | ip[7]);
	t->at = ETH_HLEN + (ip[0] & 15) * 4;
	t->length = (__u32)(ip[2] << 8 | ip[3]);
	t->ipproto = ip[9];
	return !(frag & 0x3fff);
}

static __always_inline bool find6(struct __sk_buff *skb, struct transport *t)
{
	__u8 head[3], ext[2], next;

	if (bpf_skb_load_bytes(skb, ETH_HLEN + 4, head, sizeof(head)))
		return false;
	t->at = ETH_HLEN + 40;
	t->length = (__u32)(head[0] << 8 | head[1]);
	t->length += t->length ? 40 : 0;
	next = head[2];
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

/* Unfragmented, untagged TCP or UDP, its ports and flags. */
static __always_inline bool find(struct __sk_buff *skb, struct transport *t)
{
	if (skb->vlan_present)
		return false;
	if (skb->protocol == bpf_htons(ETH_P_IP) ? !find4(skb, t) : skb->protocol != bpf_htons(ETH_P_IPV6) || !find6(skb, t))
		return false;
	if (t->ipproto != IPPROTO_TCP && t->ipproto != IPPROTO_UDP)
		return false;
	t->tcp_flags = 0;
	return !bpf_skb_load_bytes(skb, t->at, t->port, sizeof(t->port)) &&
	       (t->ipproto == IPPROTO_UDP || !bpf_skb_load_bytes(skb, t->at + 13, &t->tcp_flags, 1));
}

static __always_inline bool owned(const struct bpf_hook *h, const struct bpf_hook_state *s, const struct transport *t)
{
	struct bpf_port p = { .ifindex = h->ifindex, .ipproto = t->ipproto, .port = t->port[0], .where = (__u8)(h->hook << 1) };

	if (t->tcp_flags & TCP_SYN)
		return false;		/* the handshake is copied all the same: the witness */
	if (s->flags & HOOK_ALL_PORTS)
		return true;
	if (s->flags & HOOK_SPORTS && bpf_map_lookup_elem(&ports, &p))
		return true;
	p.port = t->port[1];
	p.where |= 1;
	return s->flags & HOOK_DPORTS && bpf_map_lookup_elem(&ports, &p);
}

/* A packet of a flow that is decided: counted here, and copied no more. */
static __always_inline bool passes(struct __sk_buff *skb, const struct bpf_hook *h, const struct transport *t)
{
	struct bpf_passing k = { .ifindex = h->ifindex, .hook = (__u8)h->hook, .ipproto = t->ipproto, .sport = t->port[0], .dport = t->port[1] };
	struct bpf_passed *v;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		k.src[10] = k.src[11] = k.dst[10] = k.dst[11] = 0xff;
		if (bpf_skb_load_bytes(skb, ETH_HLEN + 12, k.src + 12, 4) || bpf_skb_load_bytes(skb, ETH_HLEN + 16, k.dst + 12, 4))
			return false;
	} else if (bpf_skb_load_bytes(skb, ETH_HLEN + 8, k.src, 16) || bpf_skb_load_bytes(skb, ETH_HLEN + 24, k.dst, 16)) {
		return false;
	}
	v = bpf_map_lookup_elem(&passing, &k);
	if (!v)
		return false;
	if (t->tcp_flags & TCP_SYN)
		return false;	/* another connection begins on its ports: whoever looks has to see that */
	__sync_fetch_and_add(&v->packets, 1);
	__sync_fetch_and_add(&v->bytes, t->length ? t->length : skb->len - ETH_HLEN);
	if (t->tcp_flags & ~v->tcp_flags)
		v->tcp_flags |= t->tcp_flags;	/* two at once may lose one: FIN is sent again, or the flow ends by age */
	return true;
}

static __always_inline int mirror(struct __sk_buff *skb, __u32 hook)
{
	struct bpf_hook h = { .ifindex = skb->ifindex, .hook = hook };
	const struct bpf_hook_state *s = bpf_map_lookup_elem(&hooks, &h);
	struct transport t;

	if (!s)
		return TC_ACT_UNSPEC;
	if ((s->flags || any_passing) && find(skb, &t) && ((s->flags && owned(&h, s, &t)) || (any_passing && passes(skb, &h, &t))))
		return TC_ACT_UNSPEC;
	bpf_clone_redirect(skb, s->to, 0);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int tapq_leaving(struct __sk_buff *skb) { return mirror(skb, 0); }

SEC("tc")
int tapq_entering(struct __sk_buff *skb) { return mirror(skb, 1); }

char _license[] SEC("license") = "GPL";
