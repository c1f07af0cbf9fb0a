/* SPDX-License-Identifier: GPL-2.0-or-later */
/* filter: the mirror's clsact filters on one host-side veth: what is wanted, what is present, the changes between.
 *
 * Preferences 49000..49099 are ours: exclusions, which let packets with SYN set by (the witness), and the mirror. Mirrors are
 * `continue`, so that other people's filters behind ours still run. Where foreign filters stand on the hook, nothing is excluded (a classid
 * match would end classification for them too); the guard sorts it out.
 *
 * filter_plan() (plan.h) is pure: wanted and present in, changes out. Nothing is "applied" twice; what a crash left is claimed.
 * The mirror's action carries a cookie ("tapqueue", then 1 when the clsact was made by us): it outlives a crash, and tells what we may take away.
 *
 * Shared blocks: devices that exclude the same share a pair of blocks with numbers of ours. A device that has a clsact of
 * somebody else's gets filters of its own, and one that goes from one block to another has no filter for some microseconds. */
#ifndef TQ_TC_FILTER_H
#define TQ_TC_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/netid.h"

enum tc_engine { TC_ENGINE_U32, TC_ENGINE_BPF };	/* bpf: engine_bpf.h */
enum tc_block_mode { TC_BLOCKS_DEVICE, TC_BLOCKS_SHARED };	/* shared: where the device's clsact is ours alone */

struct deny_set;		/* deny.h */

struct tc_want {		/* what one veth should have */
	int ifindex;		/* host side */
	int to_leaving, to_entering;	/* ifindex of vbr-neuv, vbr-neuv-in */
	struct app_ports exclude_sport[2], exclude_dport[2];	/* [0] leaving the workload (clsact ingress), [1] entering it (egress):
					 * packets with these source/destination ports belong to a queue: not copied but for the witness */
	enum tc_block_mode blocks;
	enum tc_engine engine;
	bool quarantine;	/* all but ARP and neighbour discovery goes to the bridges instead of on; needs them up: a redirect to a bridge that is down is a hole */
	const struct deny_set *deny;	/* borrowed: denied flows; NULL: none are, and nothing is made ready for them. Not with u32 on shared blocks */
	struct flowmap *denied;		/* borrowed: tc_denied(); with `deny` in the bpf engine */
	const struct fence *fence[2];	/* borrowed, by hook; only with `deny`. u32's in both engines. Not on shared blocks */
	unsigned nfence[2];
	const struct addr *own;		/* borrowed, with fences: the workload's addresses, which they are for; link-local ones are not */
	unsigned nown;
};

struct tc_state {		/* what was read back */
	bool clsact;		/* a clsact qdisc stands */
	bool ours;		/* ... made by us: a cookie or blocks of ours say so */
	bool shared;		/* the filters stand on a pair of blocks that other devices may share */
	bool ingress_qdisc;	/* a foreign `ingress` qdisc: our egress filters would land on the wrong side; refused */
	unsigned foreign[2];	/* foreign filters by hook */
	unsigned tcx[2];	/* tcx programs in front of us (a PASS there means that we see nothing); 0 when it cannot be asked */
	unsigned filters[2];	/* ours, by hook; but for ... */
	unsigned ways[2];	/* ... filters of denied flows; in the bpf engine what is said of them in its map */
	bool complete;		/* exactly what is wanted */
	char differs[128];	/* where not: what */
};

struct flowmap;
struct tc;			/* a netlink socket of the node's netns and a scratch; one thread */
struct tc *tc_open(struct err *);
void tc_close(struct tc *);
uint32_t tc_port(const struct tc *);	/* of its netlink socket: notes about what it changes carry it */

/* The bpf engine's program is loaded with the first want that asks for it (-ENOTSUP where this binary has none).
 * Makes the device match the want, reads it back, fills *state. Idempotent: *changes is 0 the second time. -ENODEV: the veth is gone (not an
 * error to log); -EBUSY: an ingress qdisc or blocks of somebody else's leave no place. 0 with !complete: the kernel did not take all of it. */
int tc_ensure(struct tc *, const struct tc_want *, struct tc_state *, unsigned *changes, struct err *);
/* Puts the filters of these ways (ids of w->deny, on one hook) in place, or takes them away, without looking at the rest: the device was ensured with this
 * want before, by any struct tc. In the bpf engine: into its map. For deletions the ways are still in the set. Failures are those of the first filter; what is missing or left is found by tc_check. */
int tc_deny(struct tc *, const struct tc_want *, int hook, bool put, const uint32_t *id, unsigned n, struct err *);
/* The flows that the bpf engine copies no more, those that it denies: borrowed as long as the struct tc lives. Loads the program. NULL + err. */
struct flowmap *tc_passing(struct tc *, struct err *);
struct flowmap *tc_denied(struct tc *, struct err *);
/* Only reads and compares. */
int tc_check(struct tc *, const struct tc_want *, struct tc_state *, struct err *);
/* Takes our filters away and leaves a clsact that we made standing, empty and marked as ours: putting one on and taking it off loses the packets
 * that are sent to the device in that moment (qdisc_graft() in net/sched/sch_api.c deactivates it for a fraction of a millisecond). On shared
 * blocks and on somebody else's clsact the same as tc_remove. */
int tc_release(struct tc *, int ifindex, struct err *);
/* Takes our filters away, and the clsact if it is empty then and we made it (no foreign filter). Not there is fine. */
int tc_remove(struct tc *, int ifindex, struct err *);
/* Devices that went without tc_remove() are forgotten: nothing is kept of any but those that are there. */
void tc_keep(struct tc *, bool (*there)(void *ctx, int ifindex), void *ctx);
/* For cleanup: every device of this netns that carries filters of ours. Returns how many were cleaned. */
int tc_remove_all(struct tc *, struct err *);

/* Preflight: can this kernel do clsact, u32, mirred, or what the bpf engine needs? Tried on devices in a netns of its own. `what` names the first that is missing. */
int tc_probe(enum tc_engine, char what[64], struct err *);

#endif
