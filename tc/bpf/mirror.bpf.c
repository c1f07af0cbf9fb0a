// SPDX-License-Identifier: GPL-2.0-or-later
/* The mirror as one cls_bpf program a hook (direct action): a copy to the bridge of what nobody's queue owns, and on to whatever filter
 * stands behind, always. What it lets by uncopied is what the u32 engine excludes (tc/plan.h): unfragmented TCP without SYN, and UDP, of owned
 * ports; here behind IPv6 extension headers too. Tagged frames are copied. So are the packets of all flows until somebody puts
 * them into the map of those that pass: then they are counted here, and only SYNs of theirs are copied (and not counted).
 * What is in the map of denied flows goes to the bridge instead of on (tc/denied.h): first fragments, echoes and frames behind up to two tags too.
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
enum { ECHO_REPLY4 = 0, ECHO4 = 8, ECHO6 = 128, ECHO_REPLY6 = 129 };	/* RFC 792, RFC 4443 */
enum { EXT_HOPOPTS = 0, EXT_ROUTING = 43, EXT_FRAGMENT = 44, NEXT_ICMPV6 = 58, EXT_DSTOPTS = 60 };	/* RFC 8200 */

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
	__type(key, struct bpf_way);
	__type(value, struct bpf_passed);
} passing SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BPF_DENIED_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct bpf_way);
	__type(value, __u8);
} denied SEC(".maps");

/* Since something was first put into these maps; each in a section, and so a map, of its own: they are written from outside. */
__u32 any_passing SEC(".bss.passing");
__u32 any_denied SEC(".bss.denied");

struct transport {
	__u32 ip;		/* offset of the IP header */
	__u32 at;		/* ... of its own */
	__u32 length;		/* of the IP packet; 0: more than its field can say */
	__u16 vlan[2];
	__u8 ntags;
	__u8 ipproto;
	__u8 tcp_flags;
	bool v4, fragment;	/* fragment: the first one */
	__be16 port[2];		/* of an echo its id, twice */
};

/* False: a later fragment, or no IPv4. */
static __always_inline bool find4(struct __sk_buff *skb, struct transport *t)
{
	__u8 ip[20];
	__u16 frag;

	if (bpf_skb_load_bytes(skb, t->ip, ip, sizeof(ip)) || ip[0] >> 4 != 4)
		return false;
	frag = (__u16)(ip[6] << 8 | ip[7]);
	t->at = t->ip + (ip[0] & 15) * 4;
	t->length = (__u32)(ip[2] << 8 | ip[3]);
	t->ipproto = ip[9];
	t->v4 = true;
	t->fragment = frag & 0x2000;
	return !(frag & 0x1fff);
}

static __always_inline bool find6(struct __sk_buff *skb, struct transport *t)
{
	__u8 head[3], ext[4], next;

	if (bpf_skb_load_bytes(skb, t->ip + 4, head, sizeof(head)))
		return false;
	t->at = t->ip + 40;
	t->length = (__u32)(head[0] << 8 | head[1]);
	t->length += t->length ? 40 : 0;
	next = head[2];
	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		if (next != EXT_HOPOPTS && next != EXT_ROUTING && next != EXT_DSTOPTS && next != EXT_FRAGMENT) {
			t->ipproto = next;
			return true;
		}
		if (bpf_skb_load_bytes(skb, t->at, ext, sizeof(ext)))
			return false;
		if (next == EXT_FRAGMENT) {
			if (ext[2] || ext[3] & 0xf8)
				return false;
			t->fragment = true;
			t->at += 8;
		} else {
			t->at += (ext[1] + 1) * 8;
		}
		next = ext[0];
	}
	return false;
}

static __always_inline void tag(struct transport *t, __u16 tci)
{
	__u16 id = tci & 0xfff;

	t->ntags++;
	if (!id)
		return;		/* a priority, no network */
	if (!t->vlan[0])
		t->vlan[0] = id;
	else
		t->vlan[1] = id;
}

/* Tags in the metadata, then in the bytes. False: more than two, or no IP behind them. */
static __always_inline bool find_ip(struct __sk_buff *skb, struct transport *t)
{
	__be16 type = (__be16)skb->protocol, more[2];

	t->ip = ETH_HLEN;
	if (skb->vlan_present)
		tag(t, (__u16)skb->vlan_tci);
	for (int i = 0; i < 2; i++) {
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if (t->ntags == 2 || bpf_skb_load_bytes(skb, t->ip, more, sizeof(more)))
			return false;
		tag(t, bpf_ntohs(more[0]));
		type = more[1];
		t->ip += sizeof(more);
	}
	return type == bpf_htons(ETH_P_IP) ? find4(skb, t) : type == bpf_htons(ETH_P_IPV6) && find6(skb, t);
}

static __always_inline bool find_echo(struct __sk_buff *skb, struct transport *t)
{
	__u8 type;

	if (bpf_skb_load_bytes(skb, t->at, &type, 1) || !(t->v4 ? type == ECHO4 || type == ECHO_REPLY4 : type == ECHO6 || type == ECHO_REPLY6))
		return false;
	if (bpf_skb_load_bytes(skb, t->at + 4, t->port, sizeof(t->port[0])))
		return false;
	t->port[1] = t->port[0];
	return true;
}

/* What a flow has: its ports, or an echo's id. */
static __always_inline bool find(struct __sk_buff *skb, struct transport *t)
{
	if (!find_ip(skb, t))
		return false;
	if (t->ipproto == (t->v4 ? IPPROTO_ICMP : NEXT_ICMPV6))
		return find_echo(skb, t);
	if ((t->ipproto != IPPROTO_TCP && t->ipproto != IPPROTO_UDP && t->ipproto != IPPROTO_SCTP) || bpf_skb_load_bytes(skb, t->at, t->port, sizeof(t->port)))
		return false;
	if (t->ipproto == IPPROTO_TCP && bpf_skb_load_bytes(skb, t->at + 13, &t->tcp_flags, 1))
		t->tcp_flags = TCP_SYN;		/* cut short: copied */
	return true;
}

/* What a queue may own, or may pass uncopied. */
static __always_inline bool is_plain(const struct transport *t)
{
	return !t->ntags && !t->fragment && (t->ipproto == IPPROTO_TCP || t->ipproto == IPPROTO_UDP);
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

static __always_inline bool way_of(struct __sk_buff *skb, const struct bpf_hook *h, const struct transport *t, struct bpf_way *k)
{
	*k = (struct bpf_way){ .ifindex = h->ifindex, .hook = (__u8)h->hook, .ipproto = t->ipproto, .vlan = { t->vlan[0], t->vlan[1] }, .sport = t->port[0], .dport = t->port[1] };
	if (t->v4) {
		k->src[10] = k->src[11] = k->dst[10] = k->dst[11] = 0xff;
		return !bpf_skb_load_bytes(skb, t->ip + 12, k->src + 12, 4) && !bpf_skb_load_bytes(skb, t->ip + 16, k->dst + 12, 4);
	}
	return !bpf_skb_load_bytes(skb, t->ip + 8, k->src, 16) && !bpf_skb_load_bytes(skb, t->ip + 24, k->dst, 16);
}

/* A packet of a flow that is decided: counted here, and copied no more. */
static __always_inline bool passes(struct __sk_buff *skb, const struct bpf_way *k, const struct transport *t)
{
	struct bpf_passed *v = bpf_map_lookup_elem(&passing, k);

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
	struct transport t = { .ip = 0 };
	struct bpf_way k;

	if (!s)
		return TC_ACT_UNSPEC;
	if ((s->flags || any_passing || any_denied) && find(skb, &t)) {
		bool plain = is_plain(&t);

		if (s->flags && plain && owned(&h, s, &t))
			return TC_ACT_UNSPEC;
		if ((any_denied || (any_passing && plain)) && way_of(skb, &h, &t, &k)) {
			if (any_denied && bpf_map_lookup_elem(&denied, &k))
				return (int)bpf_redirect(s->to, 0);	/* there it is seen, and ends */
			if (any_passing && plain && passes(skb, &k, &t))
				return TC_ACT_UNSPEC;
		}
	}
	bpf_clone_redirect(skb, s->to, 0);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int tapq_leaving(struct __sk_buff *skb) { return mirror(skb, 0); }

SEC("tc")
int tapq_entering(struct __sk_buff *skb) { return mirror(skb, 1); }

char _license[] SEC("license") = "GPL";
