/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/captures/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NS 1000000000LL
#define START (1767225600LL * NS)	/* 2026-01-01 */

static _Noreturn void die(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(1);
}

/* ---- numbers ---- */

/* xorshift64* (Vigna, 2016). */
uint64_t random_next(struct random *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1dULL;
}

unsigned random_below(struct random *r, unsigned n) { return (unsigned)((random_next(r) >> 32) % n); }

bool random_percent(struct random *r, unsigned percent) { return random_below(r, 100) < percent; }

/* ---- the file ---- */

void capture_open(struct capture *c, const char *path, int64_t gap)
{
	static const uint32_t head[] = { 0xa1b23c4d, 2 | 4 << 16, 0, 0, WIRE_MAX, 1 };

	*c = (struct capture){ .f = fopen(path, "wb"), .path = path, .now = START, .gap = gap, .random = { 0x5eed } };
	if (!c->f)
		die(path);
	setvbuf(c->f, NULL, _IOFBF, 1 << 20);
	if (fwrite(head, sizeof(head), 1, c->f) != 1)
		die(path);
}

void capture_put(struct capture *c, const uint8_t *frame, size_t n)
{
	uint32_t head[4];

	c->now += 1 + (int64_t)(random_next(&c->random) % (uint64_t)(2 * c->gap - 1));
	head[0] = (uint32_t)(c->now / NS);
	head[1] = (uint32_t)(c->now % NS);
	head[2] = head[3] = (uint32_t)n;
	if (fwrite(head, sizeof(head), 1, c->f) != 1 || fwrite(frame, n, 1, c->f) != 1)
		die(c->path);
	c->packets++;
	c->bytes += n;
}

void capture_close(struct capture *c)
{
	if (fclose(c->f))
		die(c->path);
}

/* ---- checksums ---- */

uint64_t sum_bytes(const uint8_t *p, size_t n, uint64_t sum)
{
	uint32_t w;

	for (; n >= 4; p += 4, n -= 4) {	/* the order of bytes does not matter to the sum until it is folded */
		memcpy(&w, p, 4);
		sum += w;
	}
	w = 0;
	memcpy(&w, p, n);
	return sum + w;
}

/* As stored in memory of this machine, ready for memcpy. */
uint16_t sum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint16_t sum_change(uint16_t old, const uint8_t *was, const uint8_t *is, size_t n)
{
	uint64_t sum = (uint16_t)~old;
	uint16_t w;

	for (size_t i = 0; i < n; i += 2) {
		memcpy(&w, was + i, 2);
		sum += (uint16_t)~w;
		memcpy(&w, is + i, 2);
		sum += w;
	}
	return sum_fold(sum);
}

/* ---- segments ---- */

void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

unsigned get16(const uint8_t *p) { return (unsigned)p[0] << 8 | p[1]; }

uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }

static void put_mac(uint8_t *p, uint32_t host)
{
	p[0] = 2;
	p[1] = 0;
	put32(p + 2, host);
}

static size_t put_options(uint8_t *p, const struct tcp *t, int from, unsigned flags)
{
	uint8_t *at = p;

	if (flags & TCP_SYN) {
		memcpy(at, "\2\4\5\264\4\2\10\12", 8);		/* MSS 1460, SACK, timestamps */
		if (t->v6)
			at[3] = 0xa0;				/* 1440 */
		at += 8;
	} else {
		memcpy(at, "\1\1\10\12", 4);
		at += 4;
	}
	put32(at, t->clock[from]);
	put32(at + 4, (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN ? 0 : t->clock[!from]);
	at += 8;
	if (flags & TCP_SYN) {
		memcpy(at, "\1\3\3\7", 4);			/* window scale 7 */
		at += 4;
	}
	return (size_t)(at - p);
}

static size_t put_ip(uint8_t *p, const struct tcp *t, int from, size_t payload, uint64_t *pseudo)
{
	static const uint8_t prefix[12] = { 0xfd, 0, 0x0d, 0xb8 };
	uint8_t *addr = p + (t->v6 ? 8 : 12);
	size_t size = t->v6 ? 16 : 4;
	uint8_t tail[4] = { 0, 6, 0, 0 };
	uint16_t sum;

	memset(p, 0, t->v6 ? 40 : 20);
	for (int i = 0; i < 2; i++, addr += size) {
		if (t->v6)
			memcpy(addr, prefix, sizeof(prefix));
		put32(addr + size - 4, t->host[i ? !from : from]);
	}
	put16(tail + 2, (unsigned)payload);
	*pseudo = sum_bytes(addr - 2 * size, 2 * size, sum_bytes(tail, 4, 0));
	if (t->v6) {
		p[0] = 0x60;
		put16(p + 4, (unsigned)payload);
		p[6] = 6;
		p[7] = 64;
		return 40;
	}
	p[0] = 0x45;
	put16(p + 2, (unsigned)payload + 20);
	put16(p + 4, t->seq[from] >> 4 & 0xffff);
	p[6] = 0x40;
	p[8] = 64;
	p[9] = 6;
	sum = sum_fold(sum_bytes(p, 20, 0));
	memcpy(p + 10, &sum, 2);
	return 20;
}

void tcp_put(struct capture *c, struct tcp *t, int from, unsigned flags, const uint8_t *data, size_t n)
{
	uint8_t frame[WIRE_MAX], options[40], *tcp;
	size_t opt, head;
	uint64_t sum;
	uint16_t folded;

	t->clock[from] = (uint32_t)(c->now / 1000000) + (uint32_t)from * 1000;
	opt = put_options(options, t, from, flags);
	put_mac(frame, t->host[!from]);
	put_mac(frame + 6, t->host[from]);
	put16(frame + 12, t->v6 ? 0x86dd : 0x0800);
	head = 14 + put_ip(frame + 14, t, from, 20 + opt + n, &sum);
	tcp = frame + head;
	put16(tcp, t->port[from]);
	put16(tcp + 2, t->port[!from]);
	put32(tcp + 4, t->seq[from]);
	put32(tcp + 8, flags & TCP_ACK ? t->seq[!from] : 0);
	tcp[12] = (uint8_t)((20 + opt) << 2);
	tcp[13] = (uint8_t)flags;
	put16(tcp + 14, flags & TCP_SYN ? 64240 : 501);
	put32(tcp + 16, 0);
	memcpy(tcp + 20, options, opt);
	if (n)
		memcpy(tcp + 20 + opt, data, n);
	folded = sum_fold(sum_bytes(tcp, 20 + opt + n, sum));
	memcpy(tcp + 16, &folded, 2);
	capture_put(c, frame, head + 20 + opt + n);
	t->seq[from] += (uint32_t)n + !!(flags & (TCP_SYN | TCP_FIN));
}
