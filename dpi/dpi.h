/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dpi: the core. Frame in, verdict out.
 *
 * decode -> defrag -> guard -> flow -> stream -> protocols -> facts -> policy -> verdict, events on the way; then the same, but for the
 * guard, with the packet that this one carries, if it is a tunnel's. The frame's answer is the strictest of all.
 * One `struct dpi` per worker: no globals, no locks, no clock (time comes with the frame), no allocation per
 * packet beyond its own bounded pools. A frame is borrowed for the call.
 *
 * The core knows no capture. What it must know about the world comes through dpi_ops. */
#ifndef TQ_DPI_DPI_H
#define TQ_DPI_DPI_H

#include "base/addr.h"
#include "base/counter.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/frame.h"
#include "base/hash.h"
#include "base/mem.h"
#include "dpi/event.h"
#include "dpi/policy.h"

struct dpi;

/* A packet's addresses as it travels: src sent it. */
struct tuple {
	struct addr src, dst;
	uint16_t sport, dport;	/* host order; 0 where the protocol has none; ICMP echo: id in both */
	uint8_t ipproto;
	uint32_t domain;
};

enum dpi_own {
	OWN_NO,		/* somebody else inspects this packet: count it, do not look */
	OWN_SHOWN,	/* the same, and he was shown it before it could come here: a connection that begins without that went past him */
	OWN_YES,
	OWN_OVERLAP,	/* two paths may show it just now (a switch): inspect it once, found by fingerprint */
};

struct dpi_ends {
	uint32_t workload[2];			/* of tuple.src, tuple.dst; 0: not local. When asked about a frame that has no bytes: who they were when the flow was judged last, 0: nobody, or never */
	const struct group_set *groups[2];	/* the caller's bits for these (borrowed until the next call); NULL: none */
	bool quarantined;			/* one of them is cut off: what they say is refused, whatever a policy says, and goes nowhere on any path */
};

/* A packet of a flow whose verdict is carried out, in a frame that was not held (FRAME_ENFORCEABLE): it went on, what follows is the caller's to stop. Or an open flow
 * that is refused by a new policy and shows no packet (dpi_judge_anew): its ends are the caller's to tell, and where it is not `held`, it is his to stop. */
struct dpi_refused {
	const struct frame *frame;	/* NULL: the flow shows no packet */
	struct bytes ip;		/* the packet, from its IP header on */
	int64_t ts;
	uint32_t view;			/* of the frame, or of one before */
	bool held;			/* without a frame: those of its flow are held */
	struct tuple tuple;		/* of the flow: src is the initiator */
	bool to_client;			/* the packet's direction */
	enum verdict verdict;		/* DENY, DROP */
	uint32_t workload[2];		/* initiator's, responder's */
	struct {			/* TCP: what each of them sent, this packet included */
		bool known;
		uint32_t end;		/* what follows its last byte */
		uint32_t acked;		/* the highest acknowledgement it gave: what it has of the other's */
		bool acks;		/* it gave one */
	} sent[2];
};

struct dpi_ops {
	/* Is this packet ours to inspect here? Asked on the complete tuple (after defragmentation; of the outermost IP packet, not of
	 * what a tunnel carries) for each packet whose flow is new, was seen on another path, or dates from before dpi_set_epoch. NULL: always. */
	enum dpi_own (*owner)(void *ctx, const struct frame *, const struct tuple *);
	/* This connection's beginning (OWN_SHOWN, a SYN or a SYN/ACK) was not shown by its owner, though two ticks went by. True: it is told
	 * (anomaly `bypass`), and the connection's packets are inspected here from now on. False: the owner may have missed it. NULL: true. */
	bool (*bypassed)(void *ctx, const struct frame *, const struct tuple *);
	/* Which workloads are its ends (of a flow in a tunnel: the tunnel's ends)? Asked when a flow is judged: at its first packet, when its app is told, after dpi_set_policy and
	 * dpi_set_epoch; and for events without a flow. The frame has no bytes where time alone ended the wait. NULL: none. */
	void (*ends)(void *ctx, const struct frame *, const struct tuple *, struct dpi_ends *out);
	/* An answer to what the workload asked says that the address has this name (clean: policy.h) for ttl seconds from ts on. Called before the
	 * answer's frame is answered. NULL: nobody keeps names. */
	void (*learn)(void *ctx, uint32_t workload, const struct addr *, struct bytes name, uint32_t ttl, int64_t ts);
	/* Calls each(to, name) for the names that the workload learned for the address and that were still believed at `since`. NULL: none are known. */
	void (*names)(void *ctx, uint32_t workload, const struct addr *, int64_t since, void (*each)(void *to, struct bytes name), void *to);
	/* For each such packet, and for each such flow. False: no room for it now; a flow is told again then. NULL: nobody stops them. */
	bool (*refused)(void *ctx, const struct dpi_refused *);
	/* A flow that refused() was told of is over, or is not refused any more. */
	void (*released)(void *ctx, const struct tuple *);
	/* The answer to a held frame that dpi_inspect answered ANSWER_LATER; called before dpi_inspect answers what comes after it in its flow, and from
	 * dpi_tick, dpi_due, dpi_set_policy, dpi_judge_anew, dpi_release and dpi_flush. Of the frame's bytes only the first may be there (FRAME_TRUNCATED): its headers, or all
	 * where the answer's flags need them. NULL: no answer comes later. */
	void (*answer)(void *ctx, const struct frame *, struct answer);
	/* Borrowed for the call. NULL: events are not built at all. */
	void (*emit)(void *ctx, const struct event *);
	void *ctx;
};

struct dpi_conf {
	uint32_t max_flows;	/* >= 16 */
	uint64_t memcap;	/* bytes for flows, streams and protocol state together */
	bool midstream;		/* take up TCP flows whose beginning was not seen */
	uint32_t pending_bytes, pending_packets;	/* recognition gives up after these; 0: what the policy says (by default 16 KiB, 16, 5 s) */
	int64_t pending_time;	/* ns */
	uint32_t max_waiting;	/* held frames that wait for their answer (hold.h); 0: 1024 */
	uint32_t ahead_flows;	/* where so many flows are in use dpi_ahead() looks ahead; 0: 4096, whose entries fill a processor's second cache */
	int64_t flow_report;	/* ns between reports of a long flow; 0: only at its end */
	uint64_t event_mask;	/* bit per enum event_type that somebody takes; others are not built */
	struct hash_key key;	/* random in production, fixed in replay */
	uint64_t flow_id_seed;	/* flow ids are a keyed permutation of a running number: replay is repeatable */
};

/* Copies ops and conf. NULL + err when memory is short or a bound is broken. */
struct dpi *dpi_new(const struct dpi_conf *, const struct dpi_ops *, struct err *);
/* Ends every flow silently and frees. NULL is fine. */
void dpi_free(struct dpi *);

/* Inspects one frame. Every path out gives a verdict, or says that it comes later; what cannot be decoded is ALLOW and counted. */
struct answer dpi_inspect(struct dpi *, const struct frame *);
/* Optional, and changes no answer and no event: of the n frames at f, which come next, the core looks at the first DPI_AHEAD together, so that what it has of
 * their flows is at hand by then. A frame that is inspected at its place here is the same as now until then or until the next call; any may be left out. */
#define DPI_AHEAD 16u
void dpi_ahead(struct dpi *, const struct frame *f, unsigned n);

/* ---- decided flows ----
 * Where an answer says ANSWER_FINAL, the caller may let the rest of the flow by (or, where it is refused, drop it) without the core, as long as it counts. */
struct dpi_decided {
	struct flow *flow;	/* opaque */
	uint64_t flow_id;
	struct tuple tuple;	/* src: initiator */
	bool stops;		/* it is refused */
	enum app app;
	uint64_t packets, bytes;	/* so far, both ways; IP lengths */
};
/* The flow of the frame inspected last. False: its answer was not ANSWER_FINAL. */
bool dpi_decided(const struct dpi *, struct dpi_decided *);
/* Bits of enum event_type: those for which every packet is looked at where somebody takes them. (tls, quic, ssh: only handshakes are.) */
uint64_t dpi_events_inline(void);
/* Its packets do not come here any more, or do again. Policy, epoch or event mask changed: bring every flow back first. False: the core knows it no more, or has it
 * counted otherwise: nothing more is to be said of it, and it is not away. */
bool dpi_flow_away(struct dpi *, const struct dpi_decided *, bool away);
struct dpi_counted {
	uint64_t pkts[2], bytes[2];	/* to server, to client; IP lengths: of its whole life */
	bool beside;			/* no: since the last time, of packets that did not come here */
	bool closed, reset;		/* TCP: it is over; by a reset */
};
/* What the kernel counted so far. Flows that are away do not age as long as this is told of them. False as above. */
bool dpi_flow_counted(struct dpi *, const struct dpi_decided *, const struct dpi_counted *);
/* The core has it, and it is away. */
bool dpi_flow_is_away(const struct dpi *, const struct dpi_decided *);
/* The kernel counts it no more: it is back, and what comes is counted here. True when it was away. */
bool dpi_flow_lost(struct dpi *, const struct dpi_decided *);

/* Time goes on without a frame: expires fragments, and finds the flows whose time is over. Called about each 50 ms, after whatever frames there
 * were: what is compared between two paths waits for two of these. */
void dpi_tick(struct dpi *, int64_t now);
/* Ends some of the flows whose time is over; each frame ends two of them too. True: there are more. It takes some 20 us, so that thousands that end at
 * once keep no frame waiting: called after each batch of frames, and again at once when nothing else is to be done. room: for what they tell; without it they
 * wait, at frames too, until the next call. */
bool dpi_due(struct dpi *, bool room);
/* Whatever waits for an answer goes on now, if some of it came with this frame.caller. NULL: all. */
void dpi_release(struct dpi *, const void *caller);
/* Ends every flow and tells each (shutdown, end of a capture). */
void dpi_flush(struct dpi *);

/* Judges by this from now on (takes a reference; NULL: everything is allowed, reason none). Open flows are judged
 * again at their next packet, or by dpi_judge_anew. */
void dpi_set_policy(struct dpi *, struct policy *);
/* Judges open flows that showed no packet since dpi_set_policy, alerts and tells of those that are refused (dpi_ops.refused) as a packet of theirs would: at most
 * `max` (>= 1), 16 times as many entries of the table are looked at, and one that the caller is told of counts for 16. True while some are left: to be called again. */
bool dpi_judge_anew(struct dpi *, unsigned max);
/* Ownership changed: owner() is asked again for every flow, and for `overlap` ns packets shown by two paths are
 * counted once. Called again before that time is over, the same switch goes on (overlap 0: it ends at once). */
void dpi_set_epoch(struct dpi *, int64_t now, int64_t overlap);
void dpi_set_event_mask(struct dpi *, uint64_t mask);

/* ---- looking in (same thread) ---- */
struct dpi_flow_info {
	uint64_t flow_id;
	struct tuple tuple;		/* src: initiator */
	uint32_t workload[2];
	uint64_t pkts[2], bytes[2];	/* to server, to client; IP lengths */
	int64_t start, last;
	const char *state;
	uint8_t tcp_flags[2];		/* TCP: all that were seen, to server, to client */
	enum app app, app_hint;	/* as in struct event */
	uint8_t path;
	enum verdict verdict;
	bool enforced;
	bool away;			/* its packets go by without the core ... */
	const char *inline_for;		/* ... or come to it for this reason; NULL: none of them was held */
	enum reason reason;
	uint32_t rule;
	struct outer outer;		/* kind TUNNEL_NONE: in no tunnel */
};
/* Calls fn for each live flow until it returns false. */
void dpi_each_flow(const struct dpi *, bool (*fn)(void *ctx, const struct dpi_flow_info *), void *ctx);

struct dpi_sizes {
	size_t flow, px;
	uint32_t flows, flows_max, flows_away;
	uint32_t probes_max;	/* slots that a lookup looked at, the most of all so far */
	struct mem_stats mem;
};
void dpi_get_sizes(const struct dpi *, struct dpi_sizes *);

/* Counters: dpi/counters.def. Values may be read by any thread (counter_get). */
enum dpi_counter {
#define X(id, name, help) DPI_C_##id,
#include "dpi/counters.def"
#undef X
#define X(id, name, layer, help) DPI_C_ANOM_##id,	/* how often it was met, told or not */
#include "dpi/anomalies.def"
#undef X
	DPI_C_COUNT,
	DPI_C_ANOM_FIRST = DPI_C_ANOM_STREAM_GAP	/* + enum anomaly */
};
extern const struct counter_desc dpi_counter_descs[DPI_C_COUNT];
const uint64_t *dpi_counters(const struct dpi *);
/* Flows seen per app, APP_COUNT values. */
const uint64_t *dpi_app_flows(const struct dpi *);

/* Anomalies: dpi/anomalies.def names each contradiction, gap and cap (event name, layer, sentence). */
enum anomaly {
#define X(id, name, layer, help) ANOM_##id,
#include "dpi/anomalies.def"
#undef X
	ANOM_COUNT,
	ANOM_FLOW_COUNT = ANOM_FRAG_OVERLAP	/* those before it are told of flows, once of each */
};
struct anomaly_desc { const char *name, *layer, *help; };
extern const struct anomaly_desc anomaly_descs[ANOM_COUNT];

#endif
