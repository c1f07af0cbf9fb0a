/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bridge: vbr-neuv and vbr-neuv-in: bridges without ports, the targets of the mirror.
 *
 * A packet sent to one reaches its AF_PACKET sockets once (PACKET_OUTGOING) and ends. Made inert:
 * mcast_snooping 0, addrgenmode none, disable_ipv6, arp off, offloads left on. Works in the calling thread's netns
 * (the node's). The bridge's alias ("tapqd PID START PIDNS") tells a later start who made it.
 *
 * A device of that name is taken over when it is a bridge whose owner is dead, or one without ports and addresses. Anything
 * else belongs to somebody: it is refused with -EEXIST and left as it is. */
#ifndef TQ_BRIDGE_BRIDGE_H
#define TQ_BRIDGE_BRIDGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct bridge_pair {
	char name[2][16];	/* [0]: what leaves workloads; [1]: what enters them (name + "-in", <= 15 bytes) */
	int ifindex[2];
};

/* Makes both or adopts what stands there; brings them up, inert. Idempotent. *made tells whether any was new (its
 * ifindex changed: every filter must be written again). -EBUSY: alive under another pid, which *owner names (0: it lives in
 * another pid namespace; err says so). -EEXIST: see above. -EINVAL: no name for a device and its "-in". */
int bridge_ensure(const char *name, struct bridge_pair *out, bool *made, pid_t *owner, struct err *);
/* Reads back: up, inert, ours. 0, or -errno and what differs (-ENODEV: gone, or another device has its name; -ENETDOWN: down;
 * -EPERM: not ours any more; -EBADE: not inert). Ports found on it are taken off and told (log, *ports). */
int bridge_check(const struct bridge_pair *, unsigned *ports, struct err *);
/* Both, when they are ours or a dead owner's; not there is fine. What is somebody else's stays: -EEXIST or -EBUSY. */
int bridge_remove(const char *name, struct err *);

#endif
