/* SPDX-License-Identifier: GPL-2.0-or-later */
/* witness: beginnings of connections that went past the path that owns them.
 *
 * owner() says OWN_SHOWN of a packet that another path inspects and was shown before it could come here. Where such a packet
 * begins a connection (SYN, SYN/ACK) and no flow of that path's has its number, it is kept for WITNESS_TICKS of dpi_tick: the
 * other path may only be slow to be read. If it has not shown it then, the connection went past it: that is told, what was
 * kept is inspected, and the connection's packets are taken here from now on, until a held one of it comes.
 *
 * Owns a table of fixed size, which exists while there is something in it: sets of ways by the hash of the flow's key. When a
 * set is full its oldest makes room (counted). */
#ifndef TQ_DPI_WITNESS_H
#define TQ_DPI_WITNESS_H

#include "dpi/flow.h"

#define WITNESS_TICKS 2u		/* the last of them may come at once */
#define WITNESS_BYTES 140u		/* link, IPv6 and TCP headers with all their options, and a byte or two */
#define WITNESS_PACKETS 2u		/* SYN, SYN/ACK */
#define WITNESS_IDLE (120 * INT64_C(1000000000))

enum witness_state { WITNESS_FREE, WITNESS_WAITS, WITNESS_PAST };

struct witness_packet {
	struct frame frame;		/* data is not valid */
	uint8_t bytes[WITNESS_BYTES];
};

struct witness_entry {
	struct flow_key key;
	uint64_t evicted;		/* counter flow.evicted when it came */
	int64_t used;
	uint32_t tick;			/* when it came */
	uint32_t seq;			/* of its first packet */
	uint8_t state, path, n;
	struct witness_packet packet[WITNESS_PACKETS];
};

#define WITNESS_PRINT_SETS 256u
#define WITNESS_PRINT_WAYS 16u		/* a cache line */

struct witness {
	/* Beginnings that held frames showed lately, the newest of a set first: whom to, and their number. For those that go by another name here
	 * (address translation inside the workload), and those whose ports were used again before the mirror was read. */
	uint32_t print[WITNESS_PRINT_SETS][WITNESS_PRINT_WAYS];
	struct witness_entry *entry;	/* one piece of mem; NULL: none */
	uint32_t used;
	uint32_t ticks;
};

struct dpi;

/* A held frame shows p (SYN set), which leaves its workload. */
void witness_held(struct dpi *, const struct packet *);
/* The owner was shown p (SYN set) before, or never. f: its flow, NULL: none. */
void witness_note(struct dpi *, const struct packet *, const struct flow_key *, const struct flow *f, enum dir);
/* p (SYN set) is somebody else's; it goes with one that waits, if there is one. */
void witness_also(struct dpi *, const struct packet *, const struct flow_key *);
/* Is this connection's packet to be taken here, whatever owner() says? */
bool witness_past(struct dpi *, const struct packet *, const struct flow_key *);
/* Time goes on. */
void witness_tick(struct dpi *);
void witness_stop(struct dpi *);	/* forgets all */

#endif
