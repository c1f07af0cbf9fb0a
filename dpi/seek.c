/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seek: which protocol a flow speaks, by its first bytes.
 *
 * Candidates are asked in order: those that usually speak at the responder's port, then the list. The first bytes are
 * looked at in place; only when somebody wants more are they copied, in order of arrival, and given to the protocol in that
 * order when it is found, so that it sees the conversation as it was. A candidate that said NO is not asked again.
 *
 * It ends with YES, with the last NO, or at a limit of dpi_conf.pending_*: then the app is unknown. The copies and what is
 * known of candidates live in struct learn, only as long as this goes on. */
#include "dpi/engine.h"

#include <netinet/in.h>
#include <stdlib.h>

#define RUNS_MAX 64u

struct learn {
	uint64_t no[SEEK_WORDS];	/* bit per index in proto_list */
	uint8_t *buf[2];
	uint32_t len[2];
	uint8_t class[2];		/* log2 of buf's size */
	bool datagrams;
	int64_t since;
	uint32_t packets;
	uint32_t nruns;
	uint32_t run[RUNS_MAX];		/* length << 1 | direction, in order of arrival */
};

/* ---- usual ports ---- */

static int hint_cmp(const void *a, const void *b)
{
	const struct port_hint *x = a, *y = b;

	return x->port != y->port ? (x->port < y->port ? -1 : 1) : (int)x->proto - (int)y->proto;
}

bool seek_init(struct dpi *d)
{
	uint32_t n = 0;

	d->nhints = 0;
	for (d->nprotos = 0; d->protos[d->nprotos]; d->nprotos++) {
		const uint16_t *port = d->protos[d->nprotos]->ports;

		while (port && *port++)
			n++;
	}
	d->hints = calloc(n + 1, sizeof(*d->hints));
	if (!d->hints || d->nprotos > PROTOCOLS_MAX)
		return false;
	for (uint16_t i = 0; i < d->nprotos; i++)
		for (const uint16_t *port = d->protos[i]->ports; port && *port; port++)
			d->hints[d->nhints++] = (struct port_hint){ .port = *port, .proto = i };
	qsort(d->hints, d->nhints, sizeof(*d->hints), hint_cmp);
	return true;
}

/* Index of the first hint at the port, or nhints. */
static uint32_t hint_first(const struct dpi *d, uint16_t port)
{
	uint32_t lo = 0, hi = d->nhints;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (d->hints[mid].port < port)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static uint8_t l4_bit(uint8_t ipproto)
{
	return ipproto == IPPROTO_TCP ? PROTO_TCP : ipproto == IPPROTO_UDP ? PROTO_UDP : ipproto == IPPROTO_SCTP ? PROTO_SCTP : 0;
}

bool seek_port_known(const struct dpi *d, uint8_t ipproto, uint16_t port)
{
	for (uint32_t i = hint_first(d, port); i < d->nhints && d->hints[i].port == port; i++)
		if (d->protos[d->hints[i].proto]->l4 & l4_bit(ipproto))
			return true;
	return false;
}

/* ---- asking ---- */

/* True: YES. Otherwise sets *more when it wants more. */
static bool ask(const struct dpi *d, const struct probe_in *in, unsigned i, uint64_t *no, bool *more)
{
	const struct proto *proto = d->protos[i];

	if (no[i / 64] >> (i % 64) & 1)
		return false;
	if (proto->l4 & in->l4) {
		switch (proto->probe(in)) {
		case PROBE_YES:
			return true;
		case PROBE_MORE:
			*more = true;
			return false;
		case PROBE_NO:
			break;
		}
	}
	no[i / 64] |= UINT64_C(1) << (i % 64);
	return false;
}

/* The protocol, or NULL and whether asking again with more bytes may help. */
static const struct proto *ask_all(const struct dpi *d, const struct probe_in *in, uint64_t *no, bool *more)
{
	uint64_t asked[SEEK_WORDS] = { 0 };

	*more = false;
	for (uint32_t h = hint_first(d, in->dport); h < d->nhints && d->hints[h].port == in->dport; h++) {
		unsigned i = d->hints[h].proto;

		if (ask(d, in, i, no, more))
			return d->protos[i];
		asked[i / 64] |= UINT64_C(1) << (i % 64);
	}
	for (unsigned i = 0; i < d->nprotos; i++)
		if (!(asked[i / 64] >> (i % 64) & 1) && ask(d, in, i, no, more))
			return d->protos[i];
	return NULL;
}

static struct probe_in question(const struct px *x, enum dir dir)
{
	const struct flow *f = x->f;

	return (struct probe_in){
		.now = dir,
		.l4 = l4_bit(f->key.ipproto),
		.midstream = flow_hit(f, F_MIDSTREAM),
		.sport = flow_port(f, DIR_TOSERVER),
		.dport = flow_port(f, DIR_TOCLIENT),
	};
}

/* ---- what is kept meanwhile ---- */

static void learn_free(struct dpi *d, struct learn *l)
{
	for (int i = 0; i < 2; i++)
		if (l->buf[i])
			mem_release(d->mem, l->buf[i], (size_t)1 << l->class[i]);
	mem_release(d->mem, l, sizeof(*l));
}

void seek_free(struct dpi *d, struct flow *f)
{
	if (f->learn)
		learn_free(d, f->learn);
	f->learn = NULL;
}

static bool learn_add(struct dpi *d, struct learn *l, enum dir dir, const uint8_t *p, size_t n)
{
	size_t room = l->buf[dir] ? (size_t)1 << l->class[dir] : 0, len = l->len[dir] + n;
	bool joins = !l->datagrams && l->nruns && (l->run[l->nruns - 1] & 1) == (uint32_t)dir;

	if (!n)
		return true;
	if (len > MEM_PIECE_MAX || (!joins && l->nruns == RUNS_MAX))
		return false;
	if (len > room) {
		size_t want = mem_class(len);
		uint8_t *grown = mem_alloc(d->mem, want);

		if (!grown) {
			count(d, DPI_C_MEM_REFUSED);
			return false;
		}
		if (room) {
			memcpy(grown, l->buf[dir], l->len[dir]);
			mem_release(d->mem, l->buf[dir], room);
		}
		l->buf[dir] = grown;
		l->class[dir] = (uint8_t)__builtin_ctzll(want);
	}
	memcpy(l->buf[dir] + l->len[dir], p, n);
	l->len[dir] = (uint32_t)len;
	if (joins)
		l->run[l->nruns - 1] += (uint32_t)n << 1;
	else
		l->run[l->nruns++] = (uint32_t)n << 1 | (uint32_t)dir;
	return true;
}

/* Everything kept to the protocol that was found. Takes l. */
static void replay(struct px *x, struct learn *l)
{
	uint32_t at[2] = { 0, 0 };

	for (uint32_t i = 0; i < l->nruns; i++) {
		enum dir dir = (enum dir)(l->run[i] & 1);
		uint32_t n = l->run[i] >> 1;

		if (l->datagrams)
			feed_datagram(x, dir, l->buf[dir] + at[dir], n);
		else
			feed_stream(x, dir, l->buf[dir] + at[dir], n);
		at[dir] += n;
	}
	learn_free(x->d, l);
}

/* ---- ends ---- */

void seek_give_up(struct px *x)
{
	struct flow *f = x->f;

	if (f->feed != FEED_SEEK)
		return;
	f->feed = FEED_OFF;
	seek_free(x->d, f);
	if (!flow_hit(f, F_APP_KNOWN))	/* else another protocol handed over: the app stays that one's */
		feed_app(x, APP_UNKNOWN);
}

void seek_tick(struct px *x)
{
	if (x->f->feed == FEED_SEEK && x->f->learn && x->now - x->f->learn->since >= x->d->conf.pending_time)
		seek_give_up(x);
}

/* Starts to keep bytes; NULL: given up. */
static struct learn *learn_start(struct px *x, const uint64_t *no, bool datagrams)
{
	struct dpi *d = x->d;
	struct learn *l = mem_zalloc(d->mem, sizeof(*l));
	int64_t when = x->now + d->conf.pending_time;

	if (!l) {
		count(d, DPI_C_MEM_REFUSED);
		seek_give_up(x);
		return NULL;
	}
	memcpy(l->no, no, sizeof(l->no));
	l->since = x->now;
	l->datagrams = datagrams;
	x->f->learn = l;
	if (wheel_armed(&x->f->timer) && x->f->timer.when > when)
		wheel_arm(&d->flows.wheel, &x->f->timer, when);
	return l;
}

/* The first datagram that is kept of each direction. */
static void firsts(const struct learn *l, struct cursor first[2])
{
	for (uint32_t i = l->nruns; i--;)
		first[l->run[i] & 1] = cur_of(l->buf[l->run[i] & 1], l->run[i] >> 1);
}

static size_t seek_first(struct px *x, enum dir dir, const uint8_t *p, size_t n, bool datagram)
{
	struct probe_in in = question(x, dir);
	uint64_t no[SEEK_WORDS] = { 0 };
	const struct proto *found;
	struct learn *l;
	bool more;

	in.dir[dir] = cur_of(p, n);
	in.dir[!dir] = cur_of(NULL, 0);
	found = ask_all(x->d, &in, no, &more);
	if (found)
		return feed_start(x, found) ? 0 : n;
	if (!more || n >= x->d->conf.pending_bytes || x->d->conf.pending_packets <= 1) {
		seek_give_up(x);
		return n;
	}
	l = learn_start(x, no, datagram);
	if (l) {
		l->packets = 1;
		if (!learn_add(x->d, l, dir, p, n))
			seek_give_up(x);
	}
	return n;
}

size_t seek_bytes(struct px *x, enum dir dir, const uint8_t *p, size_t n, bool datagram)
{
	struct dpi *d = x->d;
	struct flow *f = x->f;
	struct learn *l = f->learn;
	struct probe_in in;
	const struct proto *found;
	size_t k = n, room;
	bool more;

	if (!l)
		return seek_first(x, dir, p, n, datagram);
	room = d->conf.pending_bytes - (l->len[0] + l->len[1]);
	if (datagram ? n > room : false) {
		seek_give_up(x);
		return n;
	}
	if (k > room)
		k = room;
	in = question(x, dir);
	if (datagram) {
		in.dir[dir] = cur_of(p, n);
		in.dir[!dir] = cur_of(NULL, 0);
		firsts(l, in.first);
	} else {
		if (!learn_add(d, l, dir, p, k)) {
			seek_give_up(x);
			return n;
		}
		for (int i = 0; i < 2; i++)
			in.dir[i] = cur_of(l->buf[i], l->len[i]);
	}
	l->packets++;
	found = ask_all(d, &in, l->no, &more);
	if (found) {
		f->learn = NULL;
		if (!feed_start(x, found)) {
			learn_free(d, l);
			return n;
		}
		replay(x, l);
		return datagram ? 0 : k;
	}
	if (datagram && more && !learn_add(d, l, dir, p, n))
		more = false;
	if (!more || l->len[0] + l->len[1] >= d->conf.pending_bytes || l->packets >= d->conf.pending_packets ||
	    x->now - l->since >= d->conf.pending_time)
		seek_give_up(x);
	return n;
}
