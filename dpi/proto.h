/* SPDX-License-Identifier: GPL-2.0-or-later */
/* proto: what a protocol is, and what it may do. docs/ADDING-A-PROTOCOL.md tells the story.
 *
 * A protocol is one file in dpi/proto/ with one exported `const struct proto proto_NAME`
 * and one row in dpi/protocols.def. Everything else in the file is static. It sees bytes
 * only through a cursor, keeps state only in the piece it asked for by `state_size` (and
 * px_alloc), and speaks only through px_*. It knows no clock, no file, no capture.
 *
 * Recognition: while a flow has no protocol, each probe is called with the first bytes of
 * both directions, cheapest candidates first (a port only orders them). YES ends it; NO is
 * final for that flow; MORE asks to be called again with more bytes, up to the `pending` limits.
 *
 * Parsing a stream: parse() gets the contiguous bytes of one direction that it has not
 * consumed yet. It moves the cursor past every complete message and returns
 *   PARSE_DONE  everything given is consumed,
 *   PARSE_MORE  the rest from the position on is an incomplete message: it is kept (up to
 *               PROTO_KEEP_MAX bytes) and given again with what follows; px_need() says how many
 *               bytes in all are needed, so that it is not called before they are there (where that
 *               is not known, as in a line, leave it out: more is given at each try),
 *   PARSE_BAD   not this protocol, or broken: px_bad() named the reason; the flow is parsed no more.
 * The result must not depend on how the bytes were cut into segments. Work must be linear in
 * the bytes: what was scanned once is not scanned again (keep the place in the state).
 * Parsing a datagram: parse() gets it whole; PARSE_MORE means it was truncated (BAD). */
#ifndef TQ_DPI_PROTO_H
#define TQ_DPI_PROTO_H

#include "base/cursor.h"
#include "dpi/app.h"
#include "dpi/match.h"
#include "dpi/record.h"

#define PROTO_KEEP_MAX 65536u	/* bytes of an incomplete message kept per direction */

enum dir { DIR_TOSERVER, DIR_TOCLIENT };	/* from the flow's initiator; from its responder */

enum parse { PARSE_DONE, PARSE_MORE, PARSE_BAD };
enum probe { PROBE_NO, PROBE_MORE, PROBE_YES };

enum proto_l4 { PROTO_TCP = 1, PROTO_UDP = 2, PROTO_SCTP = 4 };

struct probe_in {
	struct cursor dir[2];	/* first bytes by enum dir; datagrams: the current one in its direction, the other empty */
	struct cursor first[2];	/* datagrams: the first one of each direction that came before the current one; empty: none */
	enum dir now;		/* direction of the bytes that came last */
	uint8_t l4;		/* one of enum proto_l4 */
	bool midstream;		/* the flow's beginning was not seen */
	uint16_t sport, dport;	/* of initiator and responder; hints only */
};

struct px;	/* the flow and packet at hand, opaque to protocols */
struct saved;

struct proto {
	const char *name;		/* as app_name(app) */
	enum app app;
	enum event_type event;		/* its main event type */
	uint8_t l4;			/* enum proto_l4, ORed */
	const uint16_t *ports;		/* usual ports, 0-terminated; NULL: none */
	size_t state_size;		/* bytes per flow, zeroed before open; 0: none; <= MEM_PIECE_MAX */
	enum probe (*probe)(const struct probe_in *);
	enum parse (*parse)(struct px *, void *state, enum dir, struct cursor *in);
	/* Bytes were lost in that direction. NULL: parsing of this flow ends. Return PARSE_DONE to go on at the next bytes. */
	enum parse (*gap)(struct px *, void *state, enum dir, uint64_t len);
	/* The flow ends, or parsing of it does: emit what is unfinished and worth telling; release what state holds. NULL: nothing to do. */
	void (*end)(struct px *, void *state);
	bool for_events;		/* it reads on for its events and for rules about single requests alone: where neither is wanted, nobody needs the rest of
					 * a flow of it (final.h). It announces nothing (px_expect), and what it hands over to (px_switch), or
					 * refines its app to (px_set_app), is carried in it by name (apps.def) or begins with a request that was answered. False: every byte is needed */
	const struct fact *const *facts;	/* all facts it emits, NULL-terminated (docs and tests expand from it) */
};

/* ---- what a protocol may do ---- */

/* The scratch record, emptied. One at a time: px_emit or the next px_record ends it. */
struct record *px_record(struct px *);

/* A request's facts are complete, and the peer must not get it if policy says so: judged now,
 * before the bytes at hand are let go. Call it when the last byte of the fact is consumed. */
void px_judge(struct px *, const struct record *);
/* With PARSE_MORE or PARSE_DONE: of the n-th request (any running number) some bytes were consumed, and it is yet to be judged: what came of it may wait
 * until it is. Not needed for bytes that are not consumed. */
void px_unfinished(struct px *, uint32_t n);
/* px_judge when some facts are not known yet but will be: bits of their roles (match.h); px_judge is called when they are. */
void px_judge_part(struct px *, const struct record *, uint32_t later);

/* The same for requests of a session that is somebody's at some database: what *who says of both counts where the record does not say it
 * itself, and what the record says is kept in *who for later requests. *who begins as NULL and is freed by px_saved_free. */
void px_judge_session(struct px *, struct record *, struct saved **who);

/* Somebody wants the facts of a request or an answer: policy, or who is told of that type of events. Else they need not be recorded, nor judged. */
bool px_wants_facts(const struct px *, enum event_type);

/* Some rule for this flow asks for facts of its requests: what is told to px_judge decides. */
bool px_by_facts(const struct px *);
/* Rules ask for fields of requests by name; then, and only then: the fact that a field of this name is to be told by to px_judge
 * (not in events), NULL: nobody asks for it. */
bool px_wants_headers(const struct px *);
const struct fact *px_header(const struct px *, struct bytes name);
/* Of the policy that these are of: what was kept of them under another one must not be looked at. */
uint32_t px_policy(const struct px *);

/* Tells the record as an event of the type. tx: transaction number from 0, or UINT32_MAX. */
void px_emit(struct px *, enum event_type, uint32_t tx, const struct record *);

/* Keeps a copy of the record for later (a request until its response). NULL at the memory cap (counted). */
struct saved {
	uint32_t len;
	uint8_t body[] __attribute__((aligned(8)));
};
struct saved *px_save(struct px *, const struct record *);
void px_saved_free(struct px *, struct saved *);	/* NULL is fine */

/* Bounded memory; NULL at the cap. n <= MEM_PIECE_MAX; the same n at release. Zeroed. */
void *px_alloc(struct px *, size_t n);
void px_release(struct px *, void *p, size_t n);

void px_need(struct px *, size_t n);	/* with PARSE_MORE: n bytes from the position on, in all (> what is there) */
void px_bad(struct px *, const char *event);	/* with PARSE_BAD, or alone for an oddity: tells an `anomaly` of that name, layer "proto" (a static string, e.g. "http.bad_request_line") */
/* The next n bytes of that direction (from the position on) are not given to parse() at all: bodies, sealed records. May exceed what is there. */
void px_skip(struct px *, enum dir, uint64_t n);
/* Nothing more is wanted from this flow: end() is called, the app stays, later bytes are not parsed. */
void px_stop(struct px *);
/* The same where requests go on in a form that is not read (compressed, sealed): rules that ask for facts are told so. It ends the record at hand. */
void px_lost(struct px *);
/* From the next byte on another protocol speaks (Upgrade, CONNECT, STARTTLS): NULL: recognise it anew. end() of the old one is called after parse returns. */
void px_switch(struct px *, const struct proto *next);
/* The app is more precisely this one (elasticsearch in http, mdns in dns). */
void px_set_app(struct px *, enum app);
enum proto_l4 px_l4(const struct px *);	/* what carries the flow; PROTO_UDP: parse() gets datagrams; PROTO_SCTP: messages, in the same way */
int64_t px_time(const struct px *);	/* ns: time of the packet at hand */
const struct addr *px_addr(const struct px *, enum dir);	/* the same ends' addresses */
uint16_t px_port(const struct px *, enum dir);	/* DIR_TOSERVER: the initiator's port; DIR_TOCLIENT: the responder's */

/* Another flow between the two ends of this one is coming: one of them listens at addr and port, the other connects from any port. TCP is
 * named `proto` at its first packet, without asking its probe; datagrams only where the probe does not say NO. */
struct px_announce {
	struct addr addr;	/* of one of the two ends: others are not believed */
	uint16_t port;
	enum proto_l4 l4;	/* PROTO_TCP or PROTO_UDP */
	const struct proto *proto;
	int64_t life;		/* ns until it is forgotten */
};
/* A handle for px_expect_note; 0: not believed, or no room (counted). note: kept for px_announced, or NULL. */
uint32_t px_expect(struct px *, const struct px_announce *, const struct record *note);
/* Its note is this one now, also while the announced flow is under way; nothing where it is over. */
void px_expect_note(struct px *, uint32_t handle, const struct record *note);
/* Of an announced TCP flow, when it ends: the note, once (px_saved_free it). NULL: none. */
struct saved *px_announced(struct px *);

/* What the end that sends in direction `asker` asked for was answered: the address has this name for ttl seconds. For groups of the policy that
 * ask for names; call it while the answer's packet is at hand, and where px_learns says so. The second: an answer gave one that is not to be believed. */
void px_name(struct px *, enum dir asker, struct bytes name, const struct addr *, uint32_t ttl);
void px_name_not_believed(struct px *);
bool px_learns(const struct px *, enum dir asker);	/* somebody keeps what that end learns: else an answer need not be looked into */
bool px_refused(const struct px *);	/* what was judged last is refused, carried out or not */

/* ---- the list ---- */
#define X(id) extern const struct proto proto_##id;
#include "dpi/protocols.def"
#undef X
extern const struct proto *const proto_list[];	/* in the order of protocols.def, NULL at the end */

#endif
