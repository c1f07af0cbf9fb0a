/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mirror: the source that reads vbr-neuv and vbr-neuv-in: two TPACKET_V3 rings, merged by timestamp.
 *
 * Frames of both rings come out in the order of the kernel's timestamps: one is handed out when the other ring's next is
 * known to be later, or when it is older than the block retire time plus slack. FRAME_LEAVING marks those of vbr-neuv,
 * FRAME_ENTERING those of vbr-neuv-in. PACKET_VNET_HDR gives GSO and checksum state; the VLAN comes from the metadata.
 * The rings recover from ENETDOWN; when a bridge was made again they must be reopened (mirror_open anew). */
#ifndef TQ_TC_MIRROR_H
#define TQ_TC_MIRROR_H

#include "base/source.h"

struct mirror_conf {
	int ifindex[2];		/* vbr-neuv, vbr-neuv-in */
	uint32_t block_size;	/* bytes, a power of two, >= 256 KiB */
	uint32_t blocks;	/* per ring */
	uint32_t retire_ms;	/* block retire timeout */
	uint16_t fanout_group;	/* of ring 0; ring 1 uses the next; 0: no fanout */
	unsigned fanout_workers;	/* members; the kernel steers by steer.h's hash of the address pair (cBPF) when > 1 */
	uint8_t path;		/* label for frame.path */
	const bool *enforces;	/* borrowed: flows of workloads can be stopped by filters (FRAME_ENFORCEABLE); may change at any time. NULL: never */
	uint32_t (*view)(void *ctx, const uint8_t *mac_src, const uint8_t *mac_dst, bool entering, uint32_t *workload);	/* view and workload of a frame; borrowed */
	void *view_ctx;
};

/* NULL + err. Called in the node's netns. */
struct source *mirror_open(const struct mirror_conf *, struct err *);

#endif
