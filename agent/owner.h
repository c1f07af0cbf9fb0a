/* SPDX-License-Identifier: GPL-2.0-or-later */
/* owner: who inspects a packet in mixed mode: one workload's queue, or the mirror (DESIGN section 5).
 *
 * Pure. Queue rules, mirror exclusions and the guard are all derived from the same rows, so they cannot disagree.
 * The decision is made for a packet from src to dst and is the same for both directions of a flow:
 *   0. the mirror, where an end is cut off; 1. the end that serves the port and queues it as server; 2. the end that speaks to it and queues it as client;
 *   3. the mirror. Where both ends would qualify in one step, the end with the lower (address, port) does. */
#ifndef TQ_AGENT_OWNER_H
#define TQ_AGENT_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/netid.h"
#include "dpi/dpi.h"

struct owner_row {		/* one interface of a workload */
	uint32_t workload;
	bool queue;		/* its queue stands: rules and socket were read back */
	bool mirror;		/* its veth is mirrored */
	bool cut;		/* it is in quarantine and its veth shows, and stops, all that leaves and enters it: nobody else owns that */
	bool loopback;		/* its queue also carries what it says to itself */
	enum app_side side;
	struct app_ports apps;
};

enum owner_kind { OWNER_MIRROR, OWNER_QUEUE };
struct owner {
	enum owner_kind kind;
	uint32_t workload;	/* whose queue; 0 with OWNER_MIRROR */
};

/* Does the list hold this port? */
bool app_ports_has(const struct app_ports *, uint8_t ipproto, uint16_t port);

/* src, dst: rows of the packet's ends; NULL: not a workload of this node. Equal rows: traffic of a workload with itself. */
struct owner owner_of(const struct owner_row *src, const struct owner_row *dst, const struct tuple *);

#endif
