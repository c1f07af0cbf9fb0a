/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A TLS mix: the connections of the TLS goldens (handshakes, a few records, their ends), again and again between other hosts, LIVE at a time. Before
 * the first FIN or RST of a connection in which both ends have sent application data, its server sends a bulk of records more: bytes that look
 * random, cut at the MSS, each fourth segment acknowledged. What comes after has its numbers moved along. */
#include <stdlib.h>
#include <string.h>

#include "tests/bench/captures/goldens.h"
#include "tests/bench/captures/kinds.h"

#define LIVE 100u
#define FLOWS 64u		/* in a golden */
#define RECORD 16384u
#define HEADERS 160u		/* Ethernet to TCP, with options */

struct flow {
	unsigned client;	/* the port: it names the flow and the direction; a server's are lower */
	uint8_t head[2][HEADERS];	/* of the last packet with an ACK, from the client and from the server */
	size_t len[2], ip, l4;
	bool v6, app[2];
	uint32_t next[2];	/* what each says next */
	size_t bulk, said;	/* that the server says, and has */
	unsigned unacked;
};

struct talk {
	const struct golden *g;
	unsigned k, at, n;
	unsigned bulking;	/* number of the flow that is at it, from 1; 0: none */
	struct flow flow[FLOWS];
};

struct mix {
	struct capture *out;
	struct random random;
	uint8_t noise[1 << 20];
};

static struct flow *flow_of(struct talk *t, const struct golden_frame *f, int *from)
{
	unsigned sport, dport, client;

	if (!f->l4 || f->proto != 6 || f->n < f->l4 + 20)
		return NULL;
	sport = get16(f->b + f->l4);
	dport = get16(f->b + f->l4 + 2);
	*from = sport < dport;
	client = *from ? dport : sport;
	for (unsigned i = 0; i < t->n; i++)
		if (t->flow[i].client == client)
			return &t->flow[i];
	if (t->n == FLOWS)
		return NULL;
	t->flow[t->n] = (struct flow){ .client = client };
	return &t->flow[t->n++];
}

/* Moves a number of TCP along, with its checksum. */
static void move_number(uint8_t *tcp, size_t at, uint32_t by)
{
	uint8_t was[4];
	uint16_t sum;

	memcpy(was, tcp + at, 4);
	put32(tcp + at, get32(was) + by);
	memcpy(&sum, tcp + 16, 2);
	sum = sum_change(sum, was, tcp + at, 4);
	memcpy(tcp + 16, &sum, 2);
}

static void put_frame(struct mix *m, struct flow *fl, int from, const uint8_t *data, size_t n)
{
	uint8_t b[HEADERS + WIRE_MSS + 100], tail[4] = { 0, 6, 0, 0 };
	uint8_t *ip = b + fl->ip, *tcp = b + fl->l4;
	size_t len = fl->len[from] - fl->l4 + n;	/* of TCP */
	size_t addrs = fl->v6 ? 8 : 12, size = fl->v6 ? 32 : 8;
	uint16_t sum;

	memcpy(b, fl->head[from], fl->len[from]);
	memcpy(b + fl->len[from], data, n);
	put32(tcp + 4, fl->next[from]);
	put32(tcp + 8, fl->next[!from]);
	tcp[13] = n ? TCP_ACK | TCP_PSH : TCP_ACK;
	put16(tcp + 16, 0);
	put16(tail + 2, (unsigned)len);
	sum = sum_fold(sum_bytes(tcp, len, sum_bytes(tail, 4, sum_bytes(ip + addrs, size, 0))));
	memcpy(tcp + 16, &sum, 2);
	if (fl->v6) {
		put16(ip + 4, (unsigned)(fl->l4 - fl->ip - 40 + len));
	} else {
		put16(ip + 2, (unsigned)(fl->l4 - fl->ip + len));
		put16(ip + 10, 0);
		sum = sum_fold(sum_bytes(ip, fl->l4 - fl->ip, 0));
		memcpy(ip + 10, &sum, 2);
	}
	capture_put(m->out, b, fl->len[from] + n);
	fl->next[from] += (uint32_t)n;
}

/* One packet of the bulk: a piece, or the client's word for the last four. */
static void put_bulk(struct mix *m, struct flow *fl)
{
	uint8_t data[WIRE_MSS];
	size_t mss = fl->v6 ? WIRE_MSS6 : WIRE_MSS, n = fl->bulk - fl->said > mss ? mss : fl->bulk - fl->said;

	if (fl->unacked == 4 || !n) {
		put_frame(m, fl, 0, NULL, 0);
		fl->unacked = 0;
		return;
	}
	memcpy(data, m->noise + random_below(&m->random, (unsigned)(sizeof(m->noise) - n)), n);
	for (size_t i = 0; i < n; i++) {	/* heads of records, wherever they fall */
		size_t at = (fl->said + i) % (RECORD + 5);

		if (at < 5)
			data[i] = (const uint8_t[]){ 0x17, 3, 3, RECORD >> 8, RECORD & 0xff }[at];
		else
			i += RECORD + 5 - at - 1;
	}
	put_frame(m, fl, 1, data, n);
	fl->said += n;
	fl->unacked++;
}

static void remember(struct flow *fl, int from, const struct golden_frame *f, const uint8_t *b)
{
	const uint8_t *tcp = b + f->l4;
	size_t head = f->l4 + (size_t)(tcp[12] >> 4) * 4, end = f->ip + (f->v6 ? 40 + get16(b + f->ip + 4) : get16(b + f->ip + 2));

	if (head > HEADERS || end > f->n || head > end)
		return;
	if (tcp[13] == TCP_ACK || tcp[13] == (TCP_ACK | TCP_PSH)) {
		memcpy(fl->head[from], b, head);
		fl->len[from] = head;
		fl->ip = f->ip;
		fl->l4 = f->l4;
		fl->v6 = f->v6;
	}
	fl->app[from] |= memmem(b + head, end - head, "\x17\3\3", 3) != NULL;
	fl->next[from] = get32(tcp + 4) + (uint32_t)(end - head) + !!(tcp[13] & (TCP_SYN | TCP_FIN));
}

/* True when the flow that this one ends has to say more first. */
static bool begins_bulk(struct mix *m, struct flow *fl, const uint8_t *tcp)
{
	if (!(tcp[13] & 5) || fl->bulk || !fl->app[0] || !fl->app[1] || !fl->len[0] || !fl->len[1])
		return false;
	fl->bulk = (RECORD + 5) * (random_percent(&m->random, 70) ? 1 + random_below(&m->random, 3) : 8 + random_below(&m->random, 16));
	return true;
}

/* One packet of it, or none where a bulk begins; false at its end. */
static bool step(struct mix *m, struct talk *t)
{
	const struct golden_frame *f = &t->g->f[t->at];
	uint8_t b[WIRE_MAX];
	struct flow *fl;
	int from;

	if (t->bulking) {
		fl = &t->flow[t->bulking - 1];
		put_bulk(m, fl);
		if (fl->said == fl->bulk && !fl->unacked)
			t->bulking = 0;
		return true;
	}
	golden_again(t->g, f, t->k, b);
	fl = flow_of(t, f, &from);
	if (fl && begins_bulk(m, fl, b + f->l4)) {
		t->bulking = (unsigned)(fl - t->flow) + 1;
		return true;
	}
	if (fl) {
		move_number(b + f->l4, from ? 4 : 8, (uint32_t)fl->said);
		remember(fl, from, f, b);
	}
	capture_put(m->out, b, f->n);
	return ++t->at < t->g->n;
}

void make_tls(struct capture *out, const char *dir, unsigned packets)
{
	static const char *const names[] = { "tls12", "tls13", "tls_gnutls", "tls_openssl.", NULL };
	struct mix *m = malloc(sizeof(*m));
	struct talk *live = calloc(LIVE, sizeof(*live));
	struct goldens all;
	unsigned n = 0, k = 0;

	if (!m || !live)
		abort();
	m->out = out;
	m->random.state = 0x715;
	for (size_t i = 0; i < sizeof(m->noise); i++)
		m->noise[i] = (uint8_t)(random_next(&m->random) >> 40);
	goldens_read(&all, dir, names);
	do {
		unsigned i;

		for (; n < LIVE && out->packets < packets; n++, k++)
			live[n] = (struct talk){ .g = all.v[k % all.n], .k = k };
		i = random_below(&m->random, n);
		if (!step(m, &live[i]))
			live[i] = live[--n];
	} while (n || out->packets < packets);
	goldens_free(&all);
	free(live);
	free(m);
}
