/* SPDX-License-Identifier: GPL-2.0-or-later */
/* flow: the table of flows and the states of a flow. Used by the core only (dpi/engine.h).
 *
 * States, who moves a flow into them, and what they mean. Only flow_move() writes f->state.
 *   FREE     not in the table
 *   NEW      one end was heard (TCP: SYN, or midstream)            life.c, at flow_insert
 *   OPENING  TCP: a SYN/ACK that answers the SYN                   stream.c
 *   OPEN     both ends were heard (TCP: handshake is complete)     stream.c, dpi.c
 *   CLOSING  TCP: a FIN was taken in order from one end            stream.c
 *   CLOSED   TCP: both FINs acknowledged, or a reset that counts; nothing is parsed any more, the entry lingers for
 *            last acknowledgements. half[], proto and learn are empty.                                 stream.c
 * Whatever the state: key, id, start, counters, verdict mean something. half[] means something for TCP (skip and keep for
 * streams only), view[] where frames have views, proto/state while a protocol parses, learn while one is sought.
 *
 * Layout. A probe reads one line of slots (8 of {tag, index}); a hit reads line 0 of the entry (key, state, path, epoch,
 * policy), and counting writes line 1 (a flow in a tunnel has there what it comes in). half[] is read and written for TCP only. The rest is touched when a flow is
 * made, judged, told or ended. Entries live in pieces of 64 KiB of struct mem and never move. */
#ifndef TQ_DPI_FLOW_H
#define TQ_DPI_FLOW_H

#include "base/hash.h"
#include "base/mem.h"
#include "base/wheel.h"
#include "dpi/packet.h"
#include "dpi/proto.h"

enum flow_state { FLOW_FREE, FLOW_NEW, FLOW_OPENING, FLOW_OPEN, FLOW_CLOSING, FLOW_CLOSED };

enum flow_place {
	PLACE_DOMAIN,	/* net: the domain */
	PLACE_LOCAL,	/* a loopback address, only unique within the workload it was seen at: net */
	PLACE_TUNNEL,	/* net and tunnel: 46 bits that name the tunnel, and 2 of the tenant (tunnel.h) */
};

/* Ends in ascending order, so that both directions find it. Hashed and compared as bytes: no padding. */
struct flow_key {
	struct addr lo, hi;
	uint16_t lo_port, hi_port;
	uint32_t net;
	uint16_t vlan[2];
	uint8_t ipproto;
	uint8_t place;		/* enum flow_place: what net and tunnel mean */
	uint16_t tunnel;
};

enum feed {			/* what becomes of the bytes */
	FEED_SEEK,		/* the protocol is being sought */
	FEED_PARSE,		/* f->proto gets them */
	FEED_OFF,		/* nobody wants them */
};

enum flow_bits {
	F_INIT_HI = 1 << 0,	/* the initiator is key.hi */
	F_MIDSTREAM = 1 << 1,	/* its beginning was not seen */
	F_APP_KNOWN = 1 << 2,	/* f->app is final for now: recognised, or given up */
	F_APP_COUNTED = 1 << 3,
	F_ENFORCE = 1 << 4,	/* the policy wants the verdict carried out */
	F_STOPPED = 1 << 5,	/* a verdict was carried out: it stays */
	F_ALERTED = 1 << 6,	/* the alert of this verdict was told */
	F_LEARNED = 1 << 7,	/* allowed only because the mode is discover */
	F_TS = 1 << 8,		/* TCP: both ends use timestamps */
	F_SACK = 1 << 9,
	F_RST = 1 << 10,	/* closed by a reset */
	F_SYN_AGAIN = 1 << 11,	/* a SYN inside the connection; half.isn_alt of its sender */
	F_CSUM_OFF = 1 << 12,	/* captures: checksums of the initiator are filled in after the capture point; << 1 the responder's */
	F_CSUM_OFF_DOWN = 1 << 13,
	F_JUDGED = 1 << 14,
	F_CLAIMED = 1 << 15,	/* TCP: the initiator acknowledges a SYN/ACK that was not seen */
};

struct seg;
struct learn;
struct flow_tunnel;

enum half_flags {
	HALF_KNOWN = 1 << 0,	/* next, max_end mean something */
	HALF_EDGE = 1 << 1,	/* edge means something */
	HALF_WSCALE = 1 << 2,	/* its SYN had a window scale */
	HALF_TS = 1 << 3,	/* its SYN (midstream: a packet) had a timestamp */
	HALF_SACK = 1 << 4,
	HALF_URG = 1 << 5,	/* urg_seq is ahead */
	HALF_URG_SEEN = 1 << 6,
	HALF_FIN = 1 << 7,	/* its FIN was taken in order: nothing follows */
};

/* What one end sends, as the other end's kernel takes it. Sequence numbers are the wire's. */
struct half {
	struct seg *ooo;	/* out of order: ring by seq, this is the lowest */
	uint8_t *keep;		/* incomplete message, the last bytes before `next` ... */
	uint64_t skip;		/* bytes that nobody wants, from the next one on */
	uint32_t keep_len;
	uint32_t need;		/* bytes from keep on that the parser waits for; 0: unknown */
	uint32_t ooo_bytes;
	uint32_t isn, isn_alt;	/* of its SYN; of another one that may count yet */
	uint32_t next;		/* first byte that was not taken */
	uint32_t max_end;	/* end of the highest byte that it sent (SYN and FIN count) */
	uint32_t acked;		/* highest acknowledgement that it sent: what it has of the other half */
	uint32_t edge;		/* right edge of the window it offered: the other half may send up to here */
	uint32_t ts_recent, ts_sec;	/* the receiver's ts_recent of this sender, and when it was set (s) */
	uint32_t urg_seq;
	uint32_t max_window;
	uint8_t wscale : 4, is_signed : 1;	/* its SYN had a signature (RFC 2385, 5925) */
	uint8_t refused : 3;	/* half[0]: packets of the flow that were refused (final.h) */
	uint8_t flags, ooo_n;
	uint8_t keep_class;	/* log2 of keep's size */
};

struct flow {
	/* line 0: found */
	struct flow_key key;
	uint32_t seen;		/* tick of the core's clock of its last packet, as exactly as age needs it (FLOW_TICK) */
	uint32_t epoch;		/* when owner() last said yes */
	uint32_t policy;	/* version that judged it */
	uint8_t state : 4, lru : 2;
	uint8_t held : 1;	/* a frame of it was held: both ends pass there */
	uint8_t by_facts : 1;	/* requests are judged one by one: rules that come first ask for facts */
	uint8_t path;
	uint8_t feed : 2;
	uint8_t bad_told : 5;	/* how many px_bad were told */
	uint8_t enforceable : 1;	/* not held, but what follows can be stopped: FRAME_ENFORCEABLE, when it was judged by a packet last */
	uint8_t switches : 5;	/* how often another protocol took over */
	uint8_t tracked : 1;	/* the kernel counts all its packets, and all were held on one path */
	uint8_t away : 1;	/* its packets go by without coming here; a protocol parsed them before: */
	uint8_t parsed : 1;
	/* line 1: counted */
	uint64_t pkts[2], bytes[2];
	int64_t last;		/* ns, time of the last frame */
	union {
		struct {
			uint32_t view[2], view_seen[2];	/* the view each direction is taken from, when it last showed one (2^20 ns) */
		};
		struct flow_tunnel *tunnel;	/* PLACE_TUNNEL: what it comes in; it has no views of its own */
	};
	uint8_t app;		/* enum app */
	uint8_t app_orig;	/* the one that handed over first; APP_UNKNOWN: none did */
	uint8_t verdict;	/* a byte of its own: each packet asks for it */
	uint8_t reason : 3;
	uint8_t refusable : 1;	/* requests are judged by facts, or will be, and some may be refused: hold.c ... */
	uint8_t waits : 1;	/* ... has frames of it */
	uint8_t hold_over : 1;	/* nothing more of the request at hand waits */
	uint8_t unfinished : 2;	/* px_unfinished: 0, or which request of the initiator's it is, modulo 3, and 1 */
	uint8_t tcp_flags[2];
	uint16_t bits;		/* enum flow_bits */
	/* TCP, and what a stream keeps */
	struct half half[2];	/* by enum dir of the sender */
	/* cold */
	const struct proto *proto;
	void *state_mem;	/* of proto->state_size */
	struct learn *learn;
	struct wheel_timer timer;
	int64_t start;
	uint64_t id;
	uint32_t older, newer;	/* index + 1 in its age list */
	uint32_t tag;
	uint32_t rule;
	uint32_t workload[2];
	uint32_t iface : 31;
	uint32_t renewed : 1;	/* TCP: begun by a SYN after a connection of the same ends was refused; no answer to it was seen yet (dpi.c) */
	uint16_t anomalies;	/* bit per enum anomaly that was told */
	uint8_t ttl[2];		/* TCP: hops to live of the first segment of each direction that was seen leaving its workload; 0: none */
};

_Static_assert(sizeof(struct flow_key) == 48, "hashed as six words");
_Static_assert(sizeof(struct half) == 80, "half");
_Static_assert(offsetof(struct flow, pkts) == 64 && offsetof(struct flow, half) == 128, "hot lines");
_Static_assert(sizeof(struct flow) <= 384, "flow entry");
_Static_assert(FEED_OFF < 4, "flow.feed has room");
_Static_assert(APP_COUNT <= 256, "flow.app has room");
_Static_assert(REASON_COUNT <= 8, "flow.reason has room");
_Static_assert(ANOM_FLOW_COUNT <= 16, "flow.anomalies has room");

/* In the order in which they go when there is no room. */
enum flow_lru { LRU_CLOSED, LRU_NEW, LRU_OPEN, LRU_COUNT };

/* Time as `seen` counts it: about milliseconds, modulo 2^32 (50 days; no flow is idle for so long). */
#define FLOW_TICK (INT64_C(1) << 20)
#define FLOW_TICKS_A_SECOND 953u

/* What a flow holds beside its entry, for flow_holder(). */
enum flow_holds { HOLDS_PARSER, HOLDS_SEGMENTS, HOLDS_COUNT };

struct flow_slot { uint32_t tag, no; };	/* low half of the hash; index + 1, 0: free */

struct flow_table {
	struct flow_slot *slots;
	uint32_t mask, used, max;
	struct mem *mem;
	struct flow **chunk;
	uint32_t nchunks, chunks_max;
	uint32_t free;			/* index + 1, chained by `newer` */
	uint32_t oldest[LRU_COUNT], newest[LRU_COUNT];
	struct flow *hand[HOLDS_COUNT][LRU_COUNT];	/* where flow_holder() goes on; NULL: at the oldest */
	struct wheel wheel;
	struct hash_key key;
	bool pressed;			/* something is short: age counts exactly (set by the core) */
	uint32_t probes, probes_max;	/* slots that the last flow_find looked at, and the most of all */
	void *slots_mem;
};

#define FLOWS_PER_CHUNK (MEM_PIECE_MAX / sizeof(struct flow))
#define FLOW_PROBE_MAX 256u

static inline struct flow *flow_at(const struct flow_table *t, uint32_t no)
{
	uint32_t i = no - 1;

	return &t->chunk[i / FLOWS_PER_CHUNK][i % FLOWS_PER_CHUNK];
}

/* max >= 16. Entries take memory as they are used, at most three quarters of the cap. False when the system has no memory. */
bool flow_table_init(struct flow_table *, uint32_t max, struct mem *, uint64_t cap, const struct hash_key *);
void flow_table_free(struct flow_table *);
size_t flow_table_fixed(uint32_t max);	/* bytes beside the pieces of mem */

/* The packet's key; true when its sender is key.hi. */
bool flow_key_of(const struct packet *, struct flow_key *);
uint64_t flow_hash(const struct flow_table *, const struct flow_key *);
struct flow *flow_find(struct flow_table *, const struct flow_key *, uint64_t hash);
/* Memory that will be asked for is on its way, one step after the other: the slot; the entry behind it (what has that tag, or NULL); its neighbours, if it will be young again. */
static inline void flow_slot_ahead(const struct flow_table *t, uint64_t hash) { __builtin_prefetch(&t->slots[hash & t->mask]); }
struct flow *flow_ahead(const struct flow_table *, uint64_t hash);
void flow_neighbours_ahead(const struct flow_table *, const struct flow *);
/* This flow ends next, and the other (NULL: none) behind it: the slot of the one, and the entry of the other. */
void flow_ends_ahead(const struct flow_table *, const struct flow *, const struct flow *then);
/* A new entry in state NEW, cleared but for key; NULL when there is no room: make some and ask again. */
struct flow *flow_insert(struct flow_table *, const struct flow_key *, uint64_t hash, int64_t now);
/* The flow that should go first when there is no room, or NULL. */
struct flow *flow_victim(struct flow_table *);
/* Takes it out; what it held must be gone. */
void flow_remove(struct flow_table *, struct flow *);
void flow_move(struct flow_table *, struct flow *, enum flow_state, int64_t now);
/* The flow that should give back first what it holds of that kind, or NULL: an old one, of those that are not yet open before the others.
 * Looks at some only, and goes on from there the next time. */
struct flow *flow_holder(struct flow_table *, enum flow_holds);
size_t flow_table_bytes(const struct flow_table *);	/* of mem, in entries */
size_t flow_table_share(uint32_t max, uint64_t cap);	/* what entries may take of it at most */
/* It had a packet: it is young again. Cheap. */
void flow_young(struct flow_table *, struct flow *, int64_t now);
/* The other end began it: everything that is kept by direction changes places. */
void flow_turn(struct flow *);
int64_t flow_timeout(const struct flow *);	/* ns without a packet until it ends */
void flow_stop(struct flow_table *, struct flow *, int64_t now);	/* its verdict is carried out: F_STOPPED */
const char *flow_state_name(enum flow_state);

static inline bool flow_tunnelled(const struct flow *f) { return f->key.place == PLACE_TUNNEL; }
uint32_t flow_domain(const struct flow *);	/* of its addresses */
/* What tells packets apart by their tuple alone finds it: it is in no tunnel and behind no tag, where another flow may have the same one. */
static inline bool flow_by_tuple(const struct flow *f) { return !flow_tunnelled(f) && !f->key.vlan[0]; }

static inline bool flow_hit(const struct flow *f, enum flow_bits b) { return f->bits & (unsigned)b; }
/* Its verdict is one that stops it, and is to be carried out. */
static inline bool flow_refused(const struct flow *f) { return verdict_stops((enum verdict)f->verdict) && flow_hit(f, F_ENFORCE); }
static inline void flow_set(struct flow *f, enum flow_bits b) { f->bits = (uint16_t)(f->bits | (unsigned)b); }
static inline void flow_clear(struct flow *f, unsigned b) { f->bits = (uint16_t)(f->bits & ~b); }
static inline const struct addr *flow_addr(const struct flow *f, enum dir from)
{
	return flow_hit(f, F_INIT_HI) == (from == DIR_TOSERVER) ? &f->key.hi : &f->key.lo;
}
static inline uint16_t flow_port(const struct flow *f, enum dir from)
{
	return flow_hit(f, F_INIT_HI) == (from == DIR_TOSERVER) ? f->key.hi_port : f->key.lo_port;
}
struct tuple flow_tuple(const struct flow *, enum dir);	/* of a packet of it */

#endif
