/* SPDX-License-Identifier: GPL-2.0-or-later */
/* maps: what the program in the kernel (mirror.bpf.c) and who writes its maps (engine_bpf.c) have in common. */
#ifndef TQ_TC_BPF_MAPS_H
#define TQ_TC_BPF_MAPS_H

#include <linux/types.h>

#define BPF_DEVICES_MAX 16384
#define BPF_PORTS_MAX 262144
#define BPF_PASSING_MAX 262144	/* entries: up to four for each flow */
#define BPF_DENIED_MAX 131072	/* entries: both ways of each flow that enforcement keeps (agent/enforce.h) */

/* A hook of a device: 0 leaves the workload (clsact ingress of the host's end), 1 enters it (egress). */
struct bpf_hook {
	__u32 ifindex, hook;
};

enum bpf_hook_flags {
	HOOK_ALL_PORTS = 1,	/* every TCP and UDP port is owned */
	HOOK_SPORTS = 2,	/* some source port is in the map of ports ... */
	HOOK_DPORTS = 4,	/* ... some destination port */
};

struct bpf_hook_state {
	__u32 to;		/* ifindex of the bridge that copies go to */
	__u32 flags;
};

/* A port that a queue owns there: its packets are not copied, but for SYNs. */
struct bpf_port {
	__u32 ifindex;
	__u16 port;		/* network order */
	__u8 ipproto;
	__u8 where;		/* hook << 1 | destination */
};

/* One direction of a flow, at one hook: as its packets travel. */
struct bpf_way {
	__u32 ifindex;
	__u8 hook, ipproto;
	__u16 pad_;
	__u16 vlan[2];		/* ids, host order, the outer one first; 0: none */
	__u8 src[16], dst[16];	/* IPv4 as IPv6 has it mapped */
	__u16 sport, dport;	/* network order; of an ICMP echo its id, twice */
};

struct bpf_passed {		/* what went by uncopied since the entry was put */
	__u64 packets, bytes;	/* frames; IP lengths */
	__u32 tcp_flags;	/* all that were set */
	__u32 pad_;
};

#endif
