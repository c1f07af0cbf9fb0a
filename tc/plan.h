/* SPDX-License-Identifier: GPL-2.0-or-later */
/* plan: which filters a device should have, and what must change for it to have them. Pure: no kernel, no clock.
 *
 * On each hook (0: clsact ingress, leaving the workload; 1: egress, entering it), in the order the kernel asks them:
 *   49000/49050 IPv4 and 49001/49051 IPv6  exclusions: unfragmented TCP (SYN not set) and UDP whose port a queue owns end here, by a class
 *   49010/49060 IPv4 and 49011/49061 IPv6  denied flows are redirected (deny.h)
 *   49020/49070 everything                 quarantine (quarantine.c): all but ARP and neighbour discovery is redirected; nothing is excluded then
 *   49030/49080 everything                 in the bpf engine its program, in the place of exclusions and mirror (engine_bpf.h)
 *   49040/49090 everything                 the mirror, `continue`: other people's filters behind it still run
 * What u32 stands at these twelve is ours, marked or not; elsewhere in 49000..49099 a mark of ours tells.
 * The hooks have preferences of their own, because a dump of one hook also shows the other's u32 filters of the same preference.
 * No packet is copied twice, because only one filter copies. The witness is the condition on SYN: the handshake of an owned
 * port, and every other packet that has SYN set, is never excluded.
 *
 * Exclusions are: a root node per protocol and family that skips the IP header (its options too) and links to a table of one
 * bucket (AGAIN: by source port, then by destination port), which links to tables of 64 buckets by the port's low bits. The
 * ports' tables serve both families. A node's number follows from its port, so each has one name for ever. An exclusion is
 * switched on by its root nodes last and off by them first; empty tables that nothing links to are left standing, because the
 * kernel frees what linked to a table only some time later and refuses to delete the table until then. */
#ifndef TQ_TC_PLAN_H
#define TQ_TC_PLAN_H

#include <stddef.h>

#include "tc/filter.h"
#include "tc/u32.h"

#define PREF_FIRST 49000u
#define PREF_LAST 49099u
#define PREF_IP4(hook) (49000u + 50u * (unsigned)(hook))
#define PREF_IP6(hook) (49001u + 50u * (unsigned)(hook))
#define PREF_DENY4(hook) (49010u + 50u * (unsigned)(hook))
#define PREF_DENY6(hook) (49011u + 50u * (unsigned)(hook))
#define PREF_QUARANTINE(hook) (49020u + 50u * (unsigned)(hook))
#define PREF_PROGRAM(hook) (49030u + 50u * (unsigned)(hook))	/* a preference is of one kind */
#define PREF_MIRROR(hook) (49040u + 50u * (unsigned)(hook))	/* room before it: a filter added without a preference gets the one before the first of ours */

static inline bool pref_ours(uint32_t pref)
{
	for (int h = 0; h < 2; h++)
		if (pref == PREF_IP4(h) || pref == PREF_IP6(h) || pref == PREF_DENY4(h) || pref == PREF_DENY6(h) || pref == PREF_QUARANTINE(h) || pref == PREF_MIRROR(h))
			return true;
	return false;
}

#define PORT_BUCKETS 64u
#define TABLE_FIRST 0x740u	/* ours are 0x740..0x76f: ingress and egress of a device share one space of numbers. Eight a hook, then sixteen (deny.h) */
#define DENY_TABLE_FIRST 0x750u
#define TABLE_LAST 0x76fu
enum plan_table { TABLE_TCP, TABLE_TCP_S, TABLE_TCP_D, TABLE_UDP, TABLE_UDP_S, TABLE_UDP_D, TABLE_COUNT };
#define TABLE(hook, t) (TABLE_FIRST + 8u * (unsigned)(hook) + (unsigned)(t))
#define TABLE_MADE 0x74fu	/* empty: says that the clsact, which stands without filters now, was made by us */
#define CLASS_OURS 0x74710000u	/* minor 0: skb->tc_index stays as it was */

/* Blocks of ours: 0x74510000 + 2 * slot + hook. */
#define BLOCK_FIRST 0x74510000u
#define BLOCK_SLOTS 0x4000u
#define BLOCK(slot, hook) (BLOCK_FIRST + 2u * (unsigned)(slot) + (unsigned)(hook))
static inline bool block_ours(uint32_t b) { return b >= BLOCK_FIRST && b < BLOCK_FIRST + 2 * BLOCK_SLOTS; }

struct u32_list {		/* grows; plan_list_free */
	struct u32_filter *f;
	unsigned n, size;
};

struct plan_qdisc {		/* what stands at the device's ingress */
	bool clsact, ingress;	/* ingress: the old qdisc of that name */
	uint32_t block[2];	/* 0: filters on the device itself */
};

struct plan_present {		/* what was read at the place where the filters belong */
	bool clsact;		/* the qdisc stands there as it should */
	bool remake;		/* a clsact of ours stands, but for another place: away first */
	bool made;		/* the clsact is ours (a cookie says so) */
	unsigned foreign[2];
	uint32_t prog[2];	/* the bpf engine's programs */
	struct u32_list list[2];	/* ours, but ... */
	struct u32_list way[2];	/* ... filters of denied flows */
};

enum change_kind { CHANGE_QDISC_DEL, CHANGE_QDISC_ADD, CHANGE_DEL, CHANGE_PUT /* add, or change in place */ };

struct change {
	enum change_kind kind;
	int hook;
	struct u32_filter f;
};

struct plan {			/* plan_free */
	struct u32_list want[2];
	struct change *c;
	unsigned n, size;
	char differs[128];	/* the first of what is not as wanted; "" when nothing */
};

/* Where the filters belong. NULL: they can't be set (err says why, -EBUSY). */
enum plan_place { PLACE_REFUSED, PLACE_DEVICE, PLACE_SHARED };
enum plan_place plan_place(const struct plan_qdisc *, enum tc_block_mode, bool made, bool foreign, struct err *);

/* A number for what is excluded: equal wants may share a block. */
uint64_t plan_key(const struct tc_want *);

/* The filters of one hook in building order. -ENOMEM. */
int plan_wanted(const struct tc_want *, int hook, const struct plan_present *, struct u32_list *out);

/* Quarantine's filters of one hook; `to`: the bridge that takes what is cut off (quarantine.c). -ENOMEM. */
int quarantine_wanted(int hook, int to, struct u32_list *out);

/* Wanted and present in, changes out. 0 or -ENOMEM. */
int filter_plan(const struct tc_want *, const struct plan_present *, struct plan *);
void plan_free(struct plan *);

int plan_list_add(struct u32_list *, const struct u32_filter *);
void plan_list_free(struct u32_list *);

#endif
