/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conntrack: the kernel's own table of connections in one workload's netns, over ctnetlink by libmnl: its marks let decided flows by the
 * queue (rules_text.c), its counters tell how much went by.
 *
 * One socket a netns, opened there. Every function may be called from any thread. After conntrack_close() nothing is sent any more, and
 * the netns is not held; the memory goes with the last reference.
 *
 * A flow is named by what its responder sends: where the workload translates addresses, that is how the queue sees it, and how the kernel finds it. */
#ifndef TQ_NFQ_CONNTRACK_H
#define TQ_NFQ_CONNTRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

struct conntrack;

struct ct_flow {
	struct addr src, dst;	/* initiator, responder, as the queue shows them */
	uint16_t sport, dport;
	uint8_t ipproto;	/* TCP or UDP */
};

enum ct_mark { CT_MARK_NONE, CT_MARK_PASS, CT_MARK_DROP };	/* what the rules do with its packets: queue, let pass, drop */

/* The bits of marks that stand for CT_MARK_DROP, beside those of nfq.mark: the next bit above its mask, or below it; 0: there is none. */
uint32_t conntrack_drop_bit(uint32_t mask);

/* NULL + err. mark, mask: nfq.mark. */
struct conntrack *conntrack_open(int nsfd, uint32_t mark, uint32_t mask, struct err *);
struct conntrack *conntrack_ref(struct conntrack *);
void conntrack_unref(struct conntrack *);	/* NULL is fine */
void conntrack_close(struct conntrack *);

/* Rules that read the marks are in place, and entries are counted: only then flows may be marked. */
void conntrack_set_on(struct conntrack *, bool on);
bool conntrack_on(const struct conntrack *);

#define CONNTRACK_BATCH 64u
/* Marks n <= CONNTRACK_BATCH flows in one go; done[i] tells of each whether the kernel has it and took the mark. */
void conntrack_mark(struct conntrack *, const struct ct_flow *, const enum ct_mark *, unsigned n, bool *done);

enum ct_tcp { CT_TCP_OPEN, CT_TCP_OVER, CT_TCP_RESET };
struct ct_entry {
	bool found;
	enum ct_mark mark;
	uint32_t id;			/* the kernel's; another one: another connection */
	uint64_t pkts[2], bytes[2];	/* from the initiator, from the responder; IP lengths */
	enum ct_tcp tcp;		/* of TCP */
};
/* Asks for n <= CONNTRACK_BATCH flows. False: it was closed, or the kernel did not answer; nothing is known. */
bool conntrack_get(struct conntrack *, const struct ct_flow *, unsigned n, struct ct_entry *out);

/* Takes our marks off every entry of the netns: those of a run before this one. Returns how many, or -errno. */
int conntrack_clear(int nsfd, uint32_t mark, uint32_t mask, struct err *);

#endif
