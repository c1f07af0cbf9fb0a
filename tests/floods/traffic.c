/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/floods/traffic.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/csum.h"

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* The IP header around n bytes; returns where they go. frag: IPv4's flags and offset field. */
static uint8_t *ip_head(struct wire *w, const struct ends *e, uint8_t proto, size_t n, uint32_t id, unsigned frag)
{
	static const uint8_t server6[16] = { 0xfd, 0, [15] = 2 };
	uint8_t *b = w->b, *client, *server;
	uint16_t sum;

	if (e->v6) {
		memset(b, 0, 40);
		b[0] = 0x60;
		put16(b + 4, n);
		b[6] = proto;
		b[7] = 64;
		client = b + (e->down ? 24 : 8);
		server = b + (e->down ? 8 : 24);
		memcpy(server, server6, 16);
		client[0] = 0xfd;
		client[1] = 1;
		put32(client + 12, e->client);
		w->n = (uint16_t)(40 + n);
		return b + 40;
	}
	memset(b, 0, 20);
	b[0] = 0x45;
	put16(b + 2, 20 + n);
	put16(b + 4, id & 0xffff);
	put16(b + 6, frag);
	b[8] = 64;
	b[9] = proto;
	client = b + (e->down ? 16 : 12);
	server = b + (e->down ? 12 : 16);
	put32(client, 100u << 24 | (e->client & 0x3ffffff));
	put32(server, 0x0a000002);
	sum = (uint16_t)~csum_fold(csum_add(0, b, 20));
	memcpy(b + 10, &sum, 2);
	w->n = (uint16_t)(20 + n);
	return b + 20;
}

void wire_tcp(struct wire *w, const struct ends *e, const struct tcp *t, const void *p, size_t n)
{
	uint8_t *h = ip_head(w, e, IPPROTO_TCP, 20 + n, 0, 0);

	put16(h, e->down ? e->sport : e->cport);
	put16(h + 2, e->down ? e->cport : e->sport);
	put32(h + 4, t->seq);
	put32(h + 8, t->flags & TCP_ACK ? t->ack : 0);
	h[12] = 0x50;
	h[13] = t->flags;
	put16(h + 14, 65535);
	put32(h + 16, 0);
	if (n)
		memcpy(h + 20, p, n);
}

void wire_udp(struct wire *w, const struct ends *e, const void *p, size_t n)
{
	uint8_t *h = ip_head(w, e, IPPROTO_UDP, 8 + n, 0, 0);

	put16(h, e->down ? e->sport : e->cport);
	put16(h + 2, e->down ? e->cport : e->sport);
	put16(h + 4, 8 + n);
	put16(h + 6, 0);
	memcpy(h + 8, p, n);
}

void wire_fragment(struct wire *w, const struct ends *e, uint32_t id, unsigned off, bool more, size_t n)
{
	uint8_t *h;

	if (e->v6) {
		h = ip_head(w, e, IPPROTO_FRAGMENT, 8 + n, 0, 0);
		h[0] = IPPROTO_UDP;
		h[1] = 0;
		put16(h + 2, off | more);
		put32(h + 4, id);
		h += 8;
	} else {
		h = ip_head(w, e, IPPROTO_UDP, n, id, off / 8 | (more ? 0x2000u : 0));
	}
	memset(h, 0x41, n);
}

/* Checksums are said to be checked, as a live source says. */
struct frame wire_frame(const struct wire *w, int64_t ts)
{
	return (struct frame){ .ts = ts, .data = w->b, .caplen = w->n, .wirelen = w->n, .link = LINK_RAW, .flags = FRAME_CSUM_VALID, .path = 1 };
}

/* ---- HTTP ---- */

enum { SYN, SYN_ACK, ACK, HEAD, REST, ANSWER };

void http_next(struct http *h, struct wire *w)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nServer: flood\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nHello world\n";
	uint32_t i = h->turn++ % HTTP_FLOWS;
	struct http_talk *t = &h->talk[i];
	struct ends e = { .client = 0x3fff000u + i, .cport = (uint16_t)(40000 + i), .sport = 80, .v6 = i & 1 };
	struct tcp tcp = { .flags = TCP_ACK };
	char request[256];
	const char *p = NULL;
	size_t n = 0, cut = 0;
	uint8_t step = t->step;
	bool late, second;

	if (step == SYN)
		t->seq[0] = 1000 + i;
	if (step == SYN_ACK)
		t->seq[1] = 9000 + i;
	e.down = step == SYN_ACK || step == ANSWER;
	late = t->requests % 4 == 3;	/* its second half comes first */
	if (step == HEAD || step == REST) {
		n = (size_t)snprintf(request, sizeof(request),
				     "GET /flow/%u/request/%u HTTP/1.1\r\nHost: web.example\r\nUser-Agent: flood/1\r\nAccept: */*\r\n\r\n", i, t->requests);
		cut = t->requests & 1 ? n / 2 : n;
		second = (step == REST) != late;
		p = second ? request + cut : request;
		n = second ? n - cut : cut;
		if (late)
			t->seq[0] += second ? (uint32_t)cut : 0;
	}
	if (step == ANSWER) {
		p = answer;
		n = sizeof(answer) - 1;
	}
	if (step == SYN || step == SYN_ACK)
		tcp.flags = step == SYN ? TCP_SYN : TCP_SYN | TCP_ACK;
	if (n)
		tcp.flags |= TCP_PSH;
	tcp.seq = t->seq[e.down];
	tcp.ack = t->seq[!e.down];
	wire_tcp(w, &e, &tcp, p, n);
	t->seq[e.down] += (uint32_t)n + (step == SYN || step == SYN_ACK);
	if (late && step == HEAD)
		t->seq[0] -= (uint32_t)(n + cut);
	if (late && step == REST)
		t->seq[0] += t->rest;
	t->rest = (uint32_t)n;
	if (step == HEAD && t->requests & 1) {
		t->step = REST;
	} else if (step == HEAD) {
		t->step = ANSWER;
	} else if (step == ANSWER) {
		t->requests++;
		t->step = HEAD;
	} else {
		t->step++;
	}
}

uint64_t http_requests(const struct http *h)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < HTTP_FLOWS; i++)
		n += h->talk[i].requests;
	return n;
}
