/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dedup: packets that two paths show during a switch are inspected once.
 *
 * A fingerprint says what a packet is wherever it was seen: addresses, protocol, ports, IP id, sequence numbers, flags and
 * length; not TTL, not checksums, which may differ. The same packet may rightly be sent twice (a retransmission), so
 * each entry counts per point of observation (path and view): the k-th there is new only where no other has shown k yet.
 * While this is active it does what view.h does otherwise.
 *
 * All points show a packet within a fraction of a second (a busy ring is the slowest), so entries live for one to two turns of
 * DEDUP_TURN, in two tables: what is found in the older one moves to the newer. However long an overlap goes on, the tables
 * hold what came in two turns. */
#ifndef TQ_DPI_DEDUP_H
#define TQ_DPI_DEDUP_H

#include "base/hash.h"
#include "base/mem.h"
#include "dpi/packet.h"

#define DEDUP_PIECES 32u
#define DEDUP_POINTS 4u
#define DEDUP_TURN INT64_C(500000000)	/* ns */

struct dedup_entry {
	uint64_t print;		/* 0: free */
	uint16_t most;		/* highest of n */
	uint16_t n[DEDUP_POINTS];	/* times seen at ... */
	uint16_t point[DEDUP_POINTS];	/* ... this one (hash of path and view); 0: free */
};

struct dedup {
	struct mem *mem;
	const struct hash_key *key;
	struct dedup_entry *piece[2][DEDUP_PIECES];	/* newer, older */
	int64_t turned;		/* ns, time of frames: when the newer one was begun */
};

enum dedup_result { DEDUP_NEW, DEDUP_SEEN, DEDUP_FULL };

/* Ready for a window of overlap; what was there is forgotten. Pieces are taken from mem as they are needed. */
void dedup_start(struct dedup *, struct mem *, const struct hash_key *, int64_t now);
void dedup_stop(struct dedup *);	/* gives all memory back */
enum dedup_result dedup_packet(struct dedup *, const struct packet *);

#endif
