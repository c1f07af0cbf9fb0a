/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deny: filters that redirect denied flows to the bridge, where they are seen and end. Pure: no kernel, no clock.
 *
 * Two kinds, at 49010/49060 (IPv4) and 49011/49061 (IPv6), behind exclusions and before the mirror:
 *   ways    exact filters, one direction of one flow: protocol, both addresses, both ports or an echo's id. They come and go one by one (deny_add,
 *           deny_del) without the rest of the device's plan being looked at; the plan compares all of them with what stands.
 *   fences  what would be denied whatever comes, between an address of the workload's own (what it forwards for others is judged otherwise) and a prefix: TCP's first segments (SYN without ACK) to a range of ports; UDP from and to
 *           ranges of ports (u32 cannot tell who began: the source ports are those at which it is denied as an answer, too); echo requests.
 *           A list: the first that holds a packet decides. One that lets it pass ends its way through these preferences by asking for a word far
 *           beyond any packet's end, as the kernel leaves a preference at once when a packet is too short for a key (u32_classify() in
 *           net/sched/cls_u32.c). Part of the plan like exclusions.
 *
 * Ways are in tables of 256 buckets by the low byte of the initiator's port, which is the one that differs between a server's flows: by
 * source port on the way to the server, by destination port on the way back; echoes by that of their id. A bucket has 64 places: who chooses his ports
 * so that all meet in one can make no packet ask more than those. What root nodes link to keeps the place in the packet (no TC_U32_EAT): nodes look at
 * addresses from the IP header on, and at ports from the next one on, however long the options of IPv4 are (header lengths but 5 go by one
 * more table). The first fragment has the ports and is stopped, and with it the datagram; IPv6's has a root node and filters of its own.
 * What extension headers stand before the ports in IPv6, and tagged frames, are not found: LIMITS. */
#ifndef TQ_TC_DENY_H
#define TQ_TC_DENY_H

#include "base/addr.h"
#include "base/hash.h"
#include "tc/plan.h"

#define DENY_MAX 8192u		/* ways a set: 4,096 flows that are stopped both ways; a filter takes the kernel some 0.5 KiB, and u32's dump 2 MiB for all */
#define DENY_BUCKETS 256u
#define DENY_BUCKET_MAX 64u
#define FENCES_MAX 256u		/* filters of fences a hook and family, all asked one after the other: of TCP, by SYNs only ... */
#define FENCES_EACH_MAX 64u	/* ... of UDP, by each datagram (half a microsecond), and of echo requests */

struct deny_way {
	struct addr src, dst;	/* of one family */
	uint16_t sport, dport;
	uint8_t ipproto;	/* one with ports where TCP has them: TCP, UDP, SCTP; ICMP and ICMPv6: echoes, both ports are the id */
	bool to_client;		/* sent by the responder */
};

struct deny_set;		/* the ways of one device */
/* by: NULL: buckets as u32's tables have them, whose filters they are; else by this key over all that a way is, for the bpf engine, where a bucket
 * costs nobody anything and nobody is to fill one. */
struct deny_set *deny_new(const struct hash_key *by);
void deny_free(struct deny_set *);	/* NULL is fine */

/* Takes the way in; owner: the caller's, given back when it is the oldest. -EEXIST: it is there; -ENOSPC: no room in its bucket or at all:
 * *oldest is the owner of the way that should go first; -ENOMEM. */
int deny_add(struct deny_set *, int hook, const struct deny_way *, uint32_t owner, uint32_t *id, uint32_t *oldest);
void deny_del(struct deny_set *, uint32_t id);
unsigned deny_count(const struct deny_set *);
uint32_t deny_ids(const struct deny_set *);	/* all ids are below it */
const struct deny_way *deny_way(const struct deny_set *, uint32_t id, int *hook);	/* NULL: no way has this id now */

/* The filters of a way: one or two. to: ifindex of the bridge. */
#define DENY_FILTERS 2
unsigned deny_filters(const struct deny_set *, uint32_t id, int to, struct u32_filter out[DENY_FILTERS]);

/* ---- for the plan ---- */

enum deny_table {
	DENY_S4, DENY_D4, DENY_I4, DENY_S6, DENY_D6, DENY_I6, DENY_OPTIONS,	/* by source port, destination port, id */
	DENY_SYN4, DENY_SYN6, DENY_TCP4, DENY_TCP6, DENY_UDP4, DENY_UDP6, DENY_ECHO4, DENY_ECHO6	/* fences */
};
static inline bool deny_table_is6(unsigned t) { return (t >= DENY_S6 && t <= DENY_I6) || (t >= DENY_SYN4 && (t - DENY_SYN4) % 2); }
#define DENY_TABLE(hook, t) (DENY_TABLE_FIRST + 16u * (unsigned)(hook) + (unsigned)(t))

/* Is this node a way's? */
bool deny_is_way(const struct u32_filter *);
/* Tables and the nodes that lead to ways; those of fences and the fences. In building order. -ENOMEM. */
int deny_ground(int hook, struct u32_list *out);
int deny_fences(const struct tc_want *, int hook, int to, struct u32_list *out);	/* in their order */
/* Filters that this fence takes of those that its protocol and family may have; how many of these have no room any more: one without and all behind it. */
unsigned deny_fence_cost(const struct fence *);
unsigned deny_fences_over(const struct fence *, unsigned n);
/* Ways wanted (set NULL: none) and present: fn is told of each that must go (want NULL) or be put (have NULL, or what stands there). Stops at fn's first
 * failure, which it returns; -ENOMEM. */
int deny_compare(const struct deny_set *, int hook, int to, const struct u32_list *present,
		 int (*fn)(void *ctx, const struct u32_filter *want, const struct u32_filter *have), void *ctx);

#endif
