/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz: what the targets share. Each gets a core and the fuzzer's bytes. */
#ifndef TQ_TESTS_FUZZ_H
#define TQ_TESTS_FUZZ_H

#include "base/cursor.h"
#include "dpi/dpi.h"
#include "dpi/proto.h"

#define MS INT64_C(1000000)
#define FRAMES_MAX 512

void fuzz_frames(struct dpi *, struct cursor);		/* frames.c */
void fuzz_flow(struct dpi *, struct cursor);		/* conversation.c */
void fuzz_proto(struct dpi *, struct cursor, const struct proto *);
void fuzz_defrag(struct dpi *, struct cursor);		/* defrag.c: against a model */
void fuzz_stream(struct dpi *, struct cursor);		/* stream.c: against a model */

void fuzz_hold(struct dpi *, struct cursor);		/* hold.c */
void fuzz_late(const struct frame *, struct answer);	/* a frame of fuzz_hold's that waited */

/* Inspects n bytes at p in memory of their own, so that a read past the end is found. */
struct answer fuzz_give(struct dpi *, struct frame *, const uint8_t *p, size_t n);
struct segment {
	bool down, udp;
	uint8_t flags;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint64_t token;
};
/* conversation.c: a held IPv4 packet around n bytes; checksums are said to be checked. */
struct answer fuzz_segment(struct dpi *, int64_t ts, const struct segment *, const uint8_t *p, size_t n);
/* The core and the model disagree: says how and aborts. */
void fuzz_disagree(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static inline void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* The sum of an IPv4 header of 20 bytes, which is always judged. */
static inline void put_ip4_sum(uint8_t *b)
{
	uint32_t sum = 0;

	put16(b + 10, 0);
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(b + 10, ~sum & 0xffff);
}

#endif
