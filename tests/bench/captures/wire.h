/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wire: what the captures of the benchmark are made of: a pcap file, numbers that look random and are the same each time, checksums, TCP segments. */
#ifndef TQ_TESTS_BENCH_WIRE_H
#define TQ_TESTS_BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define WIRE_MAX (1u << 16)
#define WIRE_MSS 1448u		/* 1500 less IP, TCP and timestamps */
#define WIRE_MSS6 1428u

struct random {
	uint64_t state;		/* not 0 */
};

uint64_t random_next(struct random *);
unsigned random_below(struct random *, unsigned n);
bool random_percent(struct random *, unsigned percent);

/* A pcap file of Ethernet, times in nanoseconds. Errors end the program: there is nobody to tell. */
struct capture {
	FILE *f;
	const char *path;
	int64_t now;		/* ns */
	int64_t gap;		/* between two packets, ns, on average */
	struct random random;	/* of the gaps */
	uint64_t packets, bytes;
};

void capture_open(struct capture *, const char *path, int64_t gap);
void capture_put(struct capture *, const uint8_t *frame, size_t n);	/* lets the gap pass first */
void capture_close(struct capture *);

/* One's complement sum of n bytes, to be folded (RFC 1071). */
uint64_t sum_bytes(const uint8_t *p, size_t n, uint64_t sum);
uint16_t sum_fold(uint64_t sum);
/* Checksum `old` after bytes that it covers changed from `was` to `is`: n bytes, n even (RFC 1624). */
uint16_t sum_change(uint16_t old, const uint8_t *was, const uint8_t *is, size_t n);

void put16(uint8_t *, unsigned);
void put32(uint8_t *, uint32_t);
unsigned get16(const uint8_t *);
uint32_t get32(const uint8_t *);

#define TCP_FIN 1u
#define TCP_SYN 2u
#define TCP_PSH 8u
#define TCP_ACK 16u

/* One TCP connection: who, and how far it got. End 0 began it. */
struct tcp {
	bool v6;
	uint32_t host[2];	/* 10.0.0.0/8 and fd00::/8 are made of it */
	uint16_t port[2];
	uint32_t seq[2];	/* what each end says next */
	uint32_t clock[2];	/* timestamps of each end (RFC 7323), ms */
};

/* A segment from end `from`, with timestamps and, on SYN, the options that Linux sends. Moves seq. */
void tcp_put(struct capture *, struct tcp *, int from, unsigned flags, const uint8_t *data, size_t n);

#endif
