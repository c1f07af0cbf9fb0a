/* SPDX-License-Identifier: GPL-2.0-or-later */
/* traffic: packets that are made on the fly, and real HTTP conversations that go on while others flood. */
#ifndef TQ_TESTS_FLOODS_TRAFFIC_H
#define TQ_TESTS_FLOODS_TRAFFIC_H

#include "base/frame.h"
#include "dpi/dpi.h"
#include "dpi/packet.h"

#define WIRE_MAX 1600
#define HTTP_FLOWS 200u

struct wire {			/* one packet from its IP header on */
	uint8_t b[WIRE_MAX];
	uint16_t n;
};

/* Addresses and ports of a packet that a client sends; `down` turns it round. IPv4: 100.0.0.0/6 to 10.0.0.2; IPv6: fd01::client to fd00::2. */
struct ends {
	uint32_t client;
	uint16_t cport, sport;
	bool v6, down;
};

struct tcp {
	uint32_t seq, ack;
	uint8_t flags;
};

void wire_tcp(struct wire *, const struct ends *, const struct tcp *, const void *p, size_t n);
void wire_udp(struct wire *, const struct ends *, const void *p, size_t n);
/* A piece of a datagram of n bytes at `off` (a multiple of 8). */
void wire_fragment(struct wire *, const struct ends *, uint32_t id, unsigned off, bool more, size_t n);
struct frame wire_frame(const struct wire *, int64_t ts);

/* ---- HTTP that goes on ---- */
struct http_talk {
	uint32_t seq[2];
	uint8_t step;
	uint32_t rest;		/* bytes of its last packet */
	uint32_t requests;	/* with their answers */
};

struct http {
	struct http_talk talk[HTTP_FLOWS];
	uint32_t turn;
};

/* The next packet of the next conversation: handshake, then requests without end, each second one in two segments, each
 * fourth in two that come in the wrong order. */
void http_next(struct http *, struct wire *);
uint64_t http_requests(const struct http *);	/* with their answers, so far */

#endif
