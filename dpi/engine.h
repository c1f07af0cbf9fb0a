/* SPDX-License-Identifier: GPL-2.0-or-later */
/* engine: what the rooms of the core share. Nothing outside dpi/ includes it (tests/unit/dpi may).
 *
 *   dpi.c      the way of a frame
 *   life.c     flows begin and end, the clock, memory that is short
 *   core.c     the public face
 *   flow.c     the table
 *   tunnel.c   what packets carry; tunnel_flow.c whose flow that is
 *   view.c     which copies of a packet count
 *   witness.c  connections that went past the path that owns them
 *   dedup.c    packets shown by two paths during a switch
 *   stream.c   TCP as the receiver's kernel judges it; stream_syn.c its beginnings; stream_ooo.c what waits for bytes before it
 *   expect.c   flows that other flows announced
 *   sctp.c     messages of SCTP packets
 *   feed.c     bytes to protocols; seek.c which protocol it is
 *   px.c       what protocols may do
 *   judge.c    policy; judge_names.c names of ends for it; anew.c open flows when it is another one
 *   hold.c     packets that wait until their request can be judged
 *   final.c    may the rest of a flow go by; away.c flows that do
 *   tell.c     events of the core's own */
#ifndef TQ_DPI_ENGINE_H
#define TQ_DPI_ENGINE_H

#include "dpi/dedup.h"
#include "dpi/defrag.h"
#include "dpi/expect.h"
#include "dpi/final.h"
#include "dpi/flow.h"
#include "dpi/hold.h"
#include "dpi/view.h"
#include "dpi/witness.h"

#define SEC INT64_C(1000000000)
#define SEEK_WORDS 3			/* 192 protocols can be told apart while one is sought */
#define PROTOCOLS_MAX (SEEK_WORDS * 64)
#define SEEK_L4 3			/* enum proto_l4: bit 0, 1, 2 */
#define BAD_TOLD_MAX 16u		/* px_bad events per flow: fits flow.bad_told */
#define SWITCHES_MAX 16u		/* px_switch per flow; then nothing more is parsed */
#define ANOMALIES_A_SECOND 100u		/* of one kind; more are counted, and the next that is told says how many */

/* A usual port of a protocol, for ordering candidates. */
struct port_hint {
	uint16_t port;
	uint16_t proto;		/* index into proto_list */
};

/* The flow and packet at hand. One per core; a protocol sees it as the opaque struct px. */
struct px {
	struct dpi *d;
	struct flow *f;
	const struct packet *p;	/* NULL: the flow ends without one */
	enum dir dir;		/* of the packet */
	int64_t now;		/* the core's clock: never goes back */
	int64_t ts;		/* time of the frame at hand, or of the last one */
	uint32_t frames;	/* that carried it: pieces of a datagram */
	bool borrowed;		/* another path owns it, but showed it later */
	bool refused;		/* contradicts bytes that were taken: a held packet is dropped */
	uint8_t unfinished;	/* flow.unfinished before the packet */
	bool kept;		/* bytes to the responder were kept before it: an incomplete message */
	uint32_t request;	/* the last number that was said to px_unfinished */
	bool copy;		/* it has no byte that does not wait already */
	bool open;		/* p NULL: the flow goes on, and its verdict can be carried out as judge_reaches() says */
	uint16_t answer, l4;	/* of a held packet: enum answer_flags, and as struct answer has it */
	/* set by a protocol while it is called */
	enum dir calling;	/* the direction it was called for */
	uint32_t need;
	bool stop, switched;
	const struct proto *next;
};

/* A packet that goes to its receiver and may carry another one. */
struct carrier {
	const struct packet *p;	/* NULL: none */
	uint64_t flow_id;	/* of its flow, which may be gone when the packet is opened */
	enum app app;
};

/* A frame that comes next (ahead.c). */
struct ahead {
	const struct frame *frame;
	struct packet p;
	enum decode_result decoded;
	enum dpi_counter why;
	bool keyed;		/* and its flow's key is known: */
	bool hi;
	struct flow_key key;
	uint64_t hash;
};

/* Open flows and a new policy (anew.c). */
enum anew { ANEW_DONE, ANEW_JUDGE, ANEW_TELL };

struct dpi {
	struct px px;
	struct dpi_conf conf;
	struct dpi_ops ops;
	struct policy *policy;
	struct policy_memo *memo;	/* of that policy; NULL: none, or no memory for it */
	struct policy_limits limits;	/* in force */
	uint32_t policy_version;	/* counts dpi_set_policy, so that NULL is a version too */
	uint32_t policy_since;		/* what was judged at this version or a later one was judged by this policy, though it may have to be judged again */
	uint32_t epoch;
	int64_t overlap_start, overlap_end;	/* ns, time of frames; end 0: none */
	int64_t now;			/* ns; never goes back, whatever frames say */
	int64_t skew;			/* now - time of frames, where captures were taken one after the other out of order */
	int64_t last_ts;		/* of the last frame */
	int64_t advanced;		/* now when timers were looked at */
	int64_t began;			/* now when that was done first */
	struct flow *decided;		/* the flow of the frame at hand, where its answer is ANSWER_FINAL */
	uint32_t flows_away;
	bool due_waits;			/* dpi_due(): what flows tell at their end would find no room */
	struct carrier carrier;		/* the packet that just counted, if it may carry another one */
	uint64_t events;		/* conf.event_mask, 0 without emit */
	uint64_t flows_made;
	struct mem *mem;
	struct defrag *defrag;
	struct flow_table flows;
	struct dedup dedup;
	struct view_cache views;
	struct witness witness;
	struct expect expect;
	struct holds holds;
	struct { enum anew stage; uint32_t at; } anew;	/* entries from `at` on are left */
	const struct proto *const *protos;	/* proto_list */
	struct port_hint *hints;	/* sorted by port */
	uint32_t nhints;
	uint16_t nprotos;
	uint64_t speak[SEEK_L4][SEEK_WORDS];	/* a bit for each of protos that speaks over TCP, UDP, SCTP */
	uint32_t ooo_bytes, ooo_bytes_max;	/* pieces of segments that wait, as they count in mem */
	uint32_t tunnel_bytes;		/* what flows keep of tunnels */
	uint64_t parser_bytes_max;	/* what parsers may hold before old flows give theirs back */
	uint64_t refused_before;	/* counter mem.exhausted when the last packet came */
	struct { uint64_t used; uint32_t flows, ooo; } enough;	/* what was in use when core_make_room() last saw that nothing need be done; used 0: never */
	struct { int64_t second; uint32_t n; uint64_t left; } anomaly_rate[ANOM_COUNT];
	uint64_t counters[DPI_C_COUNT];
	uint64_t app_flows[APP_COUNT];
	struct ahead ahead[DPI_AHEAD];
	unsigned ahead_at, ahead_n;	/* those not inspected yet: [at, n) */
	struct record record;		/* of the protocol at work */
	struct record told;		/* of the core's own events, which may come in the middle of that */
};

static inline void count(struct dpi *d, enum dpi_counter c) { counter_add(&d->counters[c], 1); }
static inline void count_n(struct dpi *d, enum dpi_counter c, uint64_t n) { counter_add(&d->counters[c], n); }
static inline bool wanted(const struct dpi *d, enum event_type t) { return d->events >> (unsigned)t & 1; }

/* ---- ahead.c ---- */
/* What was found out about the frame, or NULL. */
struct ahead *ahead_take(struct dpi *, const struct frame *);

/* ---- stream.c: the flow's TCP packet at hand ---- */
void stream_packet(struct px *);
/* The packet at hand is the first of a connection whose beginning was not seen, and has bytes: which of them its receiver has already is not known. */
bool stream_unplaced(struct px *);
/* The packet at hand has bytes, and a wrong checksum that may be the capture's fault: they wait until the receiver acknowledges them. */
void stream_doubted(struct px *);
/* The packet at hand, with SYN set, begins another connection on the ports of x->f: the flow is over. */
bool stream_restarts(const struct px *);
/* The end that was not heard knows nothing of the connection: tells it where bytes in `dir` were taken for its. */
void stream_guessed_wrong(struct px *, enum dir);
/* A new flow begins with the packet at hand. */
void stream_begin(struct px *);
/* The flow ends: what still waits for an end that was never heard is taken. */
void stream_finish(struct px *);
void stream_free(struct dpi *, struct flow *);	/* what halves keep */

void ooo_purge(struct dpi *, struct half *);	/* stream_ooo.c: what waits is let go */

/* ---- feed.c ---- */
/* n in-order bytes of a stream. */
void feed_stream(struct px *, enum dir, const uint8_t *p, size_t n);
void feed_datagram(struct px *, enum dir, const uint8_t *p, size_t n);
/* len bytes of that direction were lost. */
void feed_gap(struct px *, enum dir, uint64_t len);
/* Parsing ends: end() is called, everything kept is let go. The app stays. */
void feed_off(struct px *);
/* The app is known to be this: counted, judged. */
void feed_app(struct px *, enum app);
/* Bytes at p+n were taken before: true when what is still kept of them differs. */
bool feed_differs(const struct px *, enum dir, uint32_t seq, const uint8_t *p, size_t n);

/* ---- sctp.c: the flow's SCTP packet at hand ---- */
void sctp_messages(struct px *);

/* ---- judge_names.c ---- */
/* What is known of names of the flow's initiator and responder; facts: as policy_query has them. */
void judge_names(const struct px *, const struct dpi_ends *, const struct facts *, struct policy_names names[2]);
/* It may have been made possible by an answer that was given before anybody looked. */
bool names_unseen(const struct dpi *, const struct flow *);

/* ---- seek.c ---- */
/* Bytes of a flow without a protocol: takes all n, or sets f->proto and leaves the bytes from the returned offset on to it. */
size_t seek_bytes(struct px *, enum dir, const uint8_t *p, size_t n, bool datagram);
void seek_gap(struct px *);		/* bytes were lost */
void seek_tick(struct px *);		/* pending.time may be over */
void seek_give_up(struct px *);
void seek_last(struct px *);		/* the last question, then gives up; not while a stream is walked */
void seek_turn(struct px *);		/* turns the flow where recognition said who began it; not while a stream is walked */
struct bytes seek_kept(const struct flow *, enum dir);	/* the last bytes of a stream that are kept meanwhile; n 0: none */
void seek_free(struct dpi *, struct flow *);
/* A TCP flow that begins: somebody may have announced what it will speak, whatever its bytes look like. */
void seek_announced(struct px *);
bool seek_init(struct dpi *);		/* of d->protos */
bool seek_port_known(const struct dpi *, uint8_t ipproto, uint16_t port);
/* feed.c for seek.c: starts the protocol (state, app); false: no memory, parsing is off. */
bool feed_start(struct px *, const struct proto *);

/* ---- judge.c ---- */
/* Judges the flow where that is due (new, app, policy). */
void judge_flow(struct px *);
/* Judges a request of it, where that is due; later: bits of roles that its facts do not tell yet. */
void judge_request(struct px *, const struct record *, uint32_t later);
void judge_unreadable(struct px *);		/* its bytes could not be parsed */
void judge_next_datagram(struct px *);		/* before the packet at hand is judged */
/* The answer to the frame at hand, counted. f NULL: allowed. */
enum verdict judge_answer(struct dpi *, struct flow *, const struct frame *);
/* Can a verdict on this flow be carried out from this frame on? */
bool judge_can_stop(const struct flow *, const struct frame *);
/* Can it, of a flow that shows no packet? */
bool judge_reaches(const struct flow *);
/* A packet that was not held belongs to a flow that is stopped, or such a flow shows no packet at all: tells the caller. False: he has no room for it now. */
bool judge_refused(const struct px *, enum verdict);
void judge_released(struct dpi *, const struct flow *);	/* a flow that was stopped (F_STOPPED) is over, or goes on: he is told, unless its packets were held */
/* The verdict of the flow that an ICMP error quotes. */
enum verdict judge_icmp_error(struct dpi *, const struct packet *);

/* ---- anew.c ---- */
void anew_begin(struct dpi *);		/* the policy is another one */

/* ---- away.c ---- */
/* The packet at hand of a flow that is not away, tracked or shown by copies (FRAME_SHUNTABLE), may go on: says ANSWER_FINAL where the rest may go by too. */
void away_look(struct px *);
void away_refused(struct px *);		/* the same of a packet that is refused */
void away_packet(struct px *);		/* a packet of a flow that is away came here: it may bring the flow back */
void away_end(struct dpi *, struct flow *);	/* the flow ends */
enum final away_why(const struct dpi *, const struct flow *);	/* why it is looked at */

/* ---- tell.c ---- */
enum app flow_hint(const struct flow *);
void tell_fill(const struct px *, enum event_type, struct event *);
void tell_emit(struct dpi *, struct event *, const struct record *);
void tell_flow(struct px *, const char *reason);
/* An alert on the flow's verdict, to which more may be added; NULL: nobody takes alerts. */
struct record *tell_alert_begin(struct px *);
void tell_alert_end(struct px *, struct record *, const struct record *request);	/* request NULL: none was judged */
void tell_learn(struct px *, const struct record *);		/* NULL: the flow as such. Nothing unless it was let pass for want of a rule */
void tell_anomaly(struct px *, enum anomaly);			/* once per flow and kind */
void tell_bad(struct px *, const char *event);
void tell_flow_anomaly(struct dpi *, const struct packet *, enum anomaly, const struct flow *);	/* rate-limited too; NULL: without a flow */
void tell_packet_anomaly(struct dpi *, const struct packet *, enum anomaly);	/* without a flow; rate-limited */
void tell_arp(struct dpi *, const struct packet *);
void tell_icmp(struct px *);					/* an echo flow */
void tell_icmp_packet(struct dpi *, const struct packet *);	/* any other ICMP message */

/* ---- life.c ---- */
void flow_end(struct dpi *, struct flow *, const char *reason);	/* NULL: silently */
const char *flow_end_reason(const struct flow *);
/* A new flow for the packet at hand, whose sender is the key's `hi` or not; NULL: it begins none, or there is no room (counted). */
struct flow *flow_begin(struct px *, const struct flow_key *, uint64_t hash, bool sender_hi);
enum dir flow_dir(const struct flow *, const struct packet *, bool sender_hi);	/* of a packet of it */
void px_without_packet(struct dpi *, struct flow *);	/* d->px is about the flow, and no packet */
/* Old flows give memory back where it is short: for each packet. */
void core_make_room(struct dpi *);
/* Time goes on to that of a frame: what is due is done. */
void core_clock(struct dpi *, int64_t ts);
#define OVERLAP_GRACE SEC		/* the owner's copy may be this much later than the other path's that was counted */

#endif
