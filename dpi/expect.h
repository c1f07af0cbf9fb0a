/* SPDX-License-Identifier: GPL-2.0-or-later */
/* expect: flows that a control flow announced by a port of one of its own ends (ftp-data, tftp's answers, media of SDP).
 *
 * An entry is the tuple without the port of the end that will connect: {control flow's ends, network, VLAN, transport, port of the end
 * that listens}. Only addresses of the control flow's own two ends can be named, so both flows have the same address pair, and meet the
 * same worker. The first TCP flow that fits uses an entry up; datagram flows match until its time is over.
 *
 * Limits: `max` entries, the oldest makes room; an eighth of them for the flows that fall into one of 256 classes by their id, so that one
 * announcer cannot push out everybody else's. Both are counted by whoever calls (EXPECT_CAP). Time is the core's clock. */
#ifndef TQ_DPI_EXPECT_H
#define TQ_DPI_EXPECT_H

#include "dpi/flow.h"

#define EXPECT_CLASSES 256u

struct expected {
	struct flow_key key;		/* port of the end that connects: 0 */
	const struct proto *proto;
	struct saved *note;		/* what the control flow says about it; NULL: nothing */
	int64_t until, life;
	uint64_t flow;			/* id of the flow that used it up; 0: none */
	uint32_t chain, older, newer;	/* index + 1 */
	uint16_t serial;
	uint8_t class;
	bool taken;
};

struct expect {
	struct expected *e;
	uint32_t *bucket;
	uint32_t max, mask, used;
	uint32_t free, oldest, newest;
	uint16_t class[EXPECT_CLASSES];
	struct hash_key key;
	struct mem *mem;
};

struct announcement {
	const struct flow_key *control;
	uint64_t id;			/* of the control flow */
	bool hi;			/* control->hi is the end that listens */
	uint16_t port;			/* ... here */
	uint8_t ipproto;
	const struct proto *proto;	/* what the flow will speak */
	struct saved *note;		/* taken, whatever comes out; NULL: none */
	int64_t life;			/* ns */
};

/* max 1 to 32768. False when the system has no memory. */
bool expect_init(struct expect *, uint32_t max, struct mem *, const struct hash_key *);
void expect_free(struct expect *);
/* A handle for expect_note, or 0 where its class is full. *cap: an entry that was still good was pushed out, or this one was refused. */
uint32_t expect_add(struct expect *, const struct announcement *, int64_t now, bool *cap);
/* More is known about it, before or after its flow began. Takes the note; false: it is gone. */
bool expect_note(struct expect *, uint32_t handle, struct saved *note);
/* What a new flow with this key was announced as; NULL: nothing. */
const struct proto *expect_match(struct expect *, const struct flow_key *, uint64_t id, int64_t now);
/* The flow of that id is done: its entry goes; its note becomes the caller's. NULL: none. */
struct saved *expect_take(struct expect *, const struct flow_key *, uint64_t id);

/* The oldest entries go as far as their time is over. */
void expect_expire(struct expect *, int64_t now);

#endif
