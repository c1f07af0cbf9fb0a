/* SPDX-License-Identifier: GPL-2.0-or-later */
/* defrag: makes datagrams whole from IP fragments, or drops them, as Linux does.
 *
 * Oracle: Linux, net/ipv4/ip_fragment.c, net/ipv6/reassembly.c, net/ipv4/inet_fragment.c; RFC 815, 5722, 6946, 8200 4.5.
 * A fragment that lies wholly in what is there is a duplicate and is ignored; one that overlaps only partly kills its
 * queue. A queue lives 30 s (IPv4) or 60 s (IPv6) from its first fragment. IPv6 atomic fragments never come here:
 * decode reads them as whole.
 *
 * Queues are keyed by source, destination, identification, for IPv4 the protocol, the frame's domain, the tunnel that they came in, and the point of
 * observation (frame.path, frame.view), so that two views of one datagram never complete each other. */
#ifndef TQ_DPI_DEFRAG_H
#define TQ_DPI_DEFRAG_H

#include "base/hash.h"
#include "base/mem.h"
#include "dpi/packet.h"

#define DEFRAG_PIECES_MAX 128u		/* kept per queue; the next one ends it */
#define DEFRAG_DATAGRAM_MAX 65535u	/* IPv4: with its header; IPv6: what follows the fixed header */
#define DEFRAG_TIMEOUT_V4 (30 * INT64_C(1000000000))
#define DEFRAG_TIMEOUT_V6 (60 * INT64_C(1000000000))

struct defrag;

enum defrag_result {
	DEFRAG_KEPT,	/* taken; the datagram is not whole yet (duplicates too) */
	DEFRAG_WHOLE,	/* this piece completed it: out->ip */
	DEFRAG_DROP,	/* this piece is refused, as the receiver refuses it, and perhaps its whole queue: see out */
};

struct defrag_out {
	struct bytes ip;	/* WHOLE: the datagram from the IP header on, without fragment header; valid until the next defrag_add */
	uint32_t pieces;	/* WHOLE: frames that carried it, duplicates too, this one included ... */
	uint64_t bytes;		/* ... and the sum of their IP lengths: what the flow counts */
	bool overlap;		/* DROP: because pieces overlap; the queue is gone */
	bool cap;		/* a cap was met: with DROP this piece (and its queue) was refused, otherwise an older queue made room */
};

/* max_queues >= 1 in all, memory of queues and pieces from `mem` (borrowed for life), max_bytes of it (older queues make
 * room beyond that); the key keeps strangers from filling one bucket. NULL when the system has no memory. */
struct defrag *defrag_new(struct mem *mem, unsigned max_queues, uint64_t max_bytes, const struct hash_key *key);
void defrag_free(struct defrag *d);	/* NULL is fine */

/* `p` is a packet with p->fragment set. Fills all of *out. Work is bounded by DEFRAG_PIECES_MAX and the piece's length. */
enum defrag_result defrag_add(struct defrag *d, const struct packet *p, struct defrag_out *out);

/* Drops every queue whose time is over; returns how many. O(expired). */
unsigned defrag_expire(struct defrag *d, int64_t now);

unsigned defrag_queues(const struct defrag *d);	/* in use now */
uint64_t defrag_bytes(const struct defrag *d);	/* of mem */

#endif
