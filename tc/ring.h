/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ring: one TPACKET_V3 receive ring on one device: the frames that were sent to it, block by block.
 *
 * The kernel fills blocks in order and gives each over when it is full or the retire time is up. A block that was read to its end
 * is given back by ring_release(), not before: its frames are borrowed until then. One thread; but ring_drops() may be called
 * by any. */
#ifndef TQ_TC_RING_H
#define TQ_TC_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/if_packet.h>

#include "base/err.h"

struct ring_conf {
	int ifindex;
	uint32_t block_size, blocks, retire_ms;
	uint16_t fanout_group;		/* 0: none */
	unsigned fanout_workers;	/* > 1: steered by the address pair */
};

struct ring {
	int fd, ifindex;
	uint8_t *map;
	uint32_t block_size, blocks;
	uint32_t cur;			/* block being read, or awaited */
	uint32_t unreleased;		/* blocks before it that were read and not given back */
	uint32_t left;			/* frames of it still to be read; 0: not begun */
	uint8_t *next;			/* the next frame's header, when left */
	bool down;			/* ENETDOWN was told */
	uint64_t skipped;		/* frames that no one sent to the device */
	uint64_t drops, freezes;	/* PACKET_STATISTICS, added up (atomic) */
};

/* -ENODEV, -ENETDOWN (with fanout the device must be up), -ENOMEM: the ring is locked kernel memory and could not be had. */
int ring_open(struct ring *, const struct ring_conf *, struct err *);
void ring_close(struct ring *);

/* The next frame's header without taking it; NULL: none is there now. */
const struct tpacket3_hdr *ring_peek(struct ring *);
/* Takes the frame that ring_peek() showed. */
void ring_take(struct ring *);
/* Gives the blocks back that were read to the end. */
void ring_release(struct ring *);

/* Nothing is waiting in the block that the kernel fills just now (only told when ring_peek() says NULL). */
bool ring_idle(const struct ring *);
/* More than half of the blocks wait to be read. */
bool ring_pressed(const struct ring *);

/* After an error on the descriptor, and now and then while down: 0: the device is there (or down, and may come up again); -ENODEV. */
int ring_check(struct ring *);
/* Packets that found no room, since the beginning. */
uint64_t ring_drops(struct ring *);

#endif
