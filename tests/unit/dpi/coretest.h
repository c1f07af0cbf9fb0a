/* SPDX-License-Identifier: GPL-2.0-or-later */
/* coretest: a core under test, packet by packet, with every field in the test's hand; and a protocol of the test's own ("toy"). */
#ifndef TQ_TESTS_CORETEST_H
#define TQ_TESTS_CORETEST_H

#include "dpi/engine.h"

struct core {
	struct dpi *d;
	char *text;		/* events so far, one a line */
	size_t n, room;
	unsigned told[EV_COUNT + 1];	/* EV_LEARN too */
	struct event last[EV_COUNT + 1];	/* the last of each type; body is not valid */
	int64_t now;		/* each frame comes 1 us after the one before it */
	unsigned asked_owner, asked_ends;
	enum dpi_own (*owner)(struct core *, const struct frame *);
	uint32_t workload[2];	/* of 10.0.0.1 / fd00::1 and of 10.0.0.2 / fd00::2 */
	const struct group_set *groups[2];
	bool quarantined;
	uint64_t id;		/* of IPv4 packets */
	struct answer answer;	/* to the last frame */
	unsigned refused, released;	/* how often it was told to stop a flow, and that one is over */
	struct dpi_refused last_refused;
	bool no_room;		/* nobody can be told of flows without a packet */
	bool many;		/* several flows may be refused */
	struct core_name {	/* what was learned, in order; believed to the end of its TTL */
		uint32_t workload, ttl;
		struct addr addr;
		int64_t ts;
		char name[FQDN_NAME_MAX + 1];
	} names[64];
	unsigned nnames;
	uint64_t token;		/* of the last frame */
	/* Set before core_open: frames may wait; called for each that is answered later. */
	void (*late)(struct core *, const struct frame *, struct answer);
	void *caller;		/* frame.caller of what is sent */
};

/* What is not set has the value that is usual: ports 40000 and 80, window 65535, path 1. */
struct spec {
	enum dir dir;		/* from 10.0.0.1 (client) or from 10.0.0.2 */
	bool v6, udp, icmp;
	uint16_t sport, dport;	/* the client's, the server's */
	unsigned flags;
	uint32_t seq, ack;
	uint16_t win, urg;
	bool win0;		/* the window is 0 */
	int wscale;		/* 0: no option (SYN only), else scale + 1 */
	bool sack;
	bool ts;
	uint32_t tsval, tsecr;
	const char *sign;	/* a signature option: "md5" or "ao" */
	const void *p;
	size_t n;
	/* of the frame */
	bool held, bad_csum;
	bool unfinished;	/* its checksum is that of the pseudo header */
	uint8_t path;
	uint32_t view, workload, domain, fflags;
	uint16_t gso_size;
	uint64_t number;
	uint8_t icmp_type, ttl;
	uint16_t vlan, ipid;
	uint32_t label;		/* MPLS, of one */
	uint16_t frag_off;	/* bytes; with frag_more the packet is a fragment of p */
	bool frag_more;
};

void core_open(struct core *, const struct dpi_conf *overrides);	/* NULL: usual */
void core_close(struct core *);
enum verdict core_send(struct core *, const struct spec *);
enum verdict core_raw(struct core *, const struct frame *);	/* its ts is set here */
void core_forget(struct core *);		/* the text so far */
void core_tick(struct core *, int64_t ns);	/* time goes on */
struct flow *core_flow(struct core *);		/* the only one; NULL when there are none or several */
unsigned core_flows(struct core *);
static inline uint64_t core_counter(const struct core *c, enum dpi_counter n) { return dpi_counters(c->d)[n]; }
/* SYN, SYN/ACK, ACK with these initial numbers. */
void core_handshake(struct core *, uint32_t isn, uint32_t isn_down);
enum verdict core_data(struct core *, enum dir, uint32_t seq, uint32_t ack, const void *p, size_t n);

/* ---- toy ---- */

struct toy_log {
	uint8_t bytes[2][1 << 20];	/* all bytes that parse() consumed, by direction */
	size_t n[2];
	unsigned calls, ends, gaps;
	uint64_t gap_bytes;
	char order[256];		/* u and d for each call, g for a gap, e for end */
	size_t norder;
};
extern struct toy_log toy_log;
extern const struct proto proto_toy;		/* takes everything */
/* The flow speaks this from now on. */
void core_speak(struct core *, const struct proto *);
void toy_reset(void);
void toy_note(char c);

#endif
