/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/reply.h"

#include <netinet/in.h>

#define HOPS 64
#define TCP_HEADER 20
#define ICMP_HEADER 8
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t sum(uint32_t s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	return n & 1 ? s + ((uint32_t)p[n - 1] << 8) : s;
}

static uint16_t fold(uint32_t s)
{
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

/* The IP header before `len` bytes of payload. Returns where the payload goes. */
static uint8_t *put_ip(struct reply *k, const struct addr *from, const struct addr *to, uint8_t proto, size_t len)
{
	memset(k->b, 0, sizeof k->b);
	if (addr_is_v4(from)) {
		k->b[0] = 0x45;
		put16(k->b + 2, (uint32_t)len + 20);
		put16(k->b + 6, 0x4000);
		k->b[8] = HOPS;
		k->b[9] = proto;
		memcpy(k->b + 12, from->b + 12, 4);
		memcpy(k->b + 16, to->b + 12, 4);
		put16(k->b + 10, fold(sum(0, k->b, 20)));
		k->n = len + 20;
		return k->b + 20;
	}
	k->b[0] = 0x60;
	put16(k->b + 4, (uint32_t)len);
	k->b[6] = proto;
	k->b[7] = HOPS;
	memcpy(k->b + 8, from->b, 16);
	memcpy(k->b + 24, to->b, 16);
	k->n = len + 40;
	return k->b + 40;
}

/* Checksum over payload and pseudo-header (RFC 9293, 3.1; RFC 8200, 8.1), `at` bytes into the payload. */
static void put_checksum(struct reply *k, uint8_t *payload, bool pseudo, uint8_t proto, size_t at)
{
	size_t n = k->n - (size_t)(payload - k->b);
	bool v4 = k->b[0] >> 4 == 4;
	uint32_t s = sum(0, payload, n);

	if (pseudo)
		s = sum(s + (uint32_t)n + proto, k->b + (v4 ? 12 : 8), v4 ? 8 : 32);
	put16(payload + at, fold(s));
}

void reply_tcp(struct reply *k, const struct addr *from, const struct addr *to, const struct reply_tcp *h)
{
	uint8_t *t = put_ip(k, from, to, IPPROTO_TCP, TCP_HEADER);

	put16(t, h->sport);
	put16(t + 2, h->dport);
	put32(t + 4, h->seq);
	put32(t + 8, h->ack);
	t[12] = (TCP_HEADER / 4) << 4;
	t[13] = h->flags;
	put_checksum(k, t, true, IPPROTO_TCP, 16);
}

void reply_unreachable(struct reply *k, const struct addr *from, const struct addr *to, const uint8_t *packet, size_t len)
{
	bool v4 = addr_is_v4(from);
	size_t max = v4 ? REPLY_QUOTE_V4 : REPLY_QUOTE_V6, quote = len < max ? len : max;
	uint8_t proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	uint8_t *t = put_ip(k, from, to, proto, ICMP_HEADER + quote);

	t[0] = v4 ? 3 : 1;	/* destination unreachable: port */
	t[1] = v4 ? 3 : 4;
	memcpy(t + ICMP_HEADER, packet, quote);
	put_checksum(k, t, !v4, proto, 2);
}

unsigned reply_resets(struct reply k[2], const struct reply_end *to, const struct reply_end *peer)
{
	struct reply_tcp h = { .sport = peer->port, .dport = to->port, .seq = peer->known ? peer->sent : 0, .ack = to->sent, .flags = TCP_RST | TCP_ACK };

	if (!to->known)		/* it was not heard: it may know nothing of a connection, and has none when the SYN did not get to it */
		return 0;
	reply_tcp(&k[0], &peer->addr, &to->addr, &h);
	if (!to->acks || to->acked == h.seq)
		return 1;
	h.seq = to->acked;
	reply_tcp(&k[1], &peer->addr, &to->addr, &h);
	return 2;
}

void reply_probe(struct reply *k, const struct reply_end *to, const struct reply_end *peer)
{
	reply_tcp(k, &peer->addr, &to->addr, &(struct reply_tcp){ .sport = peer->port, .dport = to->port, .flags = TCP_SYN | TCP_ACK });
}
