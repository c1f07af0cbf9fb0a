/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packets: bytes of packets for tests, built by appending, with right lengths and checksums unless a test bends them;
 * and a guard page behind them, so that one byte read too far ends the test. */
#ifndef TQ_TESTS_PACKETS_H
#define TQ_TESTS_PACKETS_H

#include "base/frame.h"
#include "dpi/dpi.h"

struct pkt {
	uint8_t b[70000];
	size_t n;
};

void pk_bytes(struct pkt *, const void *p, size_t n);
void pk_u8(struct pkt *, unsigned v);
void pk_be16(struct pkt *, unsigned v);
void pk_be32(struct pkt *, uint32_t v);
void pk_zero(struct pkt *, size_t n);

void pk_ether(struct pkt *, unsigned ethertype);
/* Headers whose lengths and checksums pk_finish() fills in. opts: bytes of IP options, a multiple of 4. */
struct pk_ip { const char *src, *dst; uint8_t proto; uint8_t opts; uint16_t frag; /* IPv4 flags and offset field */ uint16_t id; uint8_t ttl; };
void pk_ip4(struct pkt *, const struct pk_ip *);
void pk_ip6(struct pkt *, const struct pk_ip *);
void pk_tcp(struct pkt *, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack, unsigned flags, const void *opts, size_t nopts);
void pk_udp(struct pkt *, uint16_t sport, uint16_t dport, size_t payload);
/* ip: offset of the IP header; l4: of the transport header (0: none, only lengths and the IP checksum). */
void pk_finish(struct pkt *, size_t ip, size_t l4, uint8_t proto);

/* A copy of n bytes that ends at a page which can't be read; given back by guard_free. */
uint8_t *guard_copy(const void *p, size_t n);
void guard_free(uint8_t *p, size_t n);

struct frame pk_frame(const uint8_t *p, size_t n, enum linktype link);

/* Pseudo-random numbers that are the same in every run. */
static inline uint64_t rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

#endif
