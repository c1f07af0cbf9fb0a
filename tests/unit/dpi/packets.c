/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/packets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void pk_bytes(struct pkt *k, const void *p, size_t n)
{
	if (n > sizeof k->b - k->n)
		abort();
	if (n)
		memcpy(k->b + k->n, p, n);
	k->n += n;
}

void pk_u8(struct pkt *k, unsigned v)
{
	uint8_t b = (uint8_t)v;

	pk_bytes(k, &b, 1);
}

void pk_be16(struct pkt *k, unsigned v)
{
	pk_u8(k, v >> 8);
	pk_u8(k, v);
}

void pk_be32(struct pkt *k, uint32_t v)
{
	pk_be16(k, v >> 16);
	pk_be16(k, v & 0xffff);
}

void pk_zero(struct pkt *k, size_t n)
{
	while (n--)
		pk_u8(k, 0);
}

void pk_ether(struct pkt *k, unsigned ethertype)
{
	pk_bytes(k, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02", 12);
	pk_be16(k, ethertype);
}

static void put_addr(struct pkt *k, const char *text, size_t n)
{
	struct addr a;

	if (addr_parse(text, &a))
		abort();
	pk_bytes(k, a.b + (16 - n), n);
}

void pk_ip4(struct pkt *k, const struct pk_ip *h)
{
	pk_u8(k, 0x40 | (5 + h->opts / 4));
	pk_u8(k, 0);
	pk_be16(k, 0);
	pk_be16(k, h->id);
	pk_be16(k, h->frag);
	pk_u8(k, h->ttl ? h->ttl : 64);
	pk_u8(k, h->proto);
	pk_be16(k, 0);
	put_addr(k, h->src, 4);
	put_addr(k, h->dst, 4);
	for (unsigned i = 0; i < h->opts; i++)
		pk_u8(k, 1);
}

void pk_ip6(struct pkt *k, const struct pk_ip *h)
{
	pk_be32(k, 0x60000000);
	pk_be16(k, 0);
	pk_u8(k, h->proto);
	pk_u8(k, h->ttl ? h->ttl : 64);
	put_addr(k, h->src, 16);
	put_addr(k, h->dst, 16);
}

void pk_tcp(struct pkt *k, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack, unsigned flags, const void *opts, size_t nopts)
{
	pk_be16(k, sport);
	pk_be16(k, dport);
	pk_be32(k, seq);
	pk_be32(k, ack);
	pk_u8(k, (unsigned)(5 + nopts / 4) << 4);
	pk_u8(k, flags);
	pk_be16(k, 65535);
	pk_be16(k, 0);
	pk_be16(k, 0);
	pk_bytes(k, opts, nopts);
}

void pk_udp(struct pkt *k, uint16_t sport, uint16_t dport, size_t payload)
{
	pk_be16(k, sport);
	pk_be16(k, dport);
	pk_be16(k, (unsigned)payload + 8);
	pk_be16(k, 0);
}

/* The plain way of RFC 1071, two bytes at a time, apart from the core's own. */
static uint32_t sum16(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void pk_finish(struct pkt *k, size_t ip, size_t l4, uint8_t proto)
{
	bool v4 = k->b[ip] >> 4 == 4;
	size_t n = k->n - l4, at = proto == 6 ? 16 : proto == 17 ? 6 : 2;
	uint32_t sum;

	if (v4) {
		put16(k->b + ip + 2, (uint32_t)(k->n - ip));
		put16(k->b + ip + 10, 0);
		put16(k->b + ip + 10, ~sum16(0, k->b + ip, (k->b[ip] & 15u) * 4u) & 0xffff);
	} else {
		put16(k->b + ip + 4, (uint32_t)(k->n - ip - 40));
	}
	if (!l4)
		return;
	put16(k->b + l4 + at, 0);
	sum = proto == 1 ? 0 : sum16((uint32_t)n + proto, k->b + ip + (v4 ? 12 : 8), v4 ? 8 : 32);
	sum = ~sum16(sum, k->b + l4, n) & 0xffff;
	put16(k->b + l4 + at, !sum && proto == 17 ? 0xffff : sum);
}

static size_t guard_size(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (n + page - 1) / page * page + page;
}

uint8_t *guard_copy(const void *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = guard_size(n);
	uint8_t *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED || mprotect(m + size - page, page, PROT_NONE))
		abort();
	m += size - page - n;
	if (n)
		memcpy(m, p, n);
	return m;
}

void guard_free(uint8_t *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = guard_size(n);

	munmap(p + n + page - size, size);
}

struct frame pk_frame(const uint8_t *p, size_t n, enum linktype link)
{
	return (struct frame){ .data = p, .caplen = (uint32_t)n, .wirelen = (uint32_t)n, .link = (uint8_t)link };
}
