/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seek: which protocol a flow speaks, by its first bytes.
 *
 * Candidates are asked in order: those that usually speak at the responder's port, then the list. The first bytes are
 * looked at in place; only when somebody wants more are they copied, in order of arrival, and given to the protocol in that
 * order when it is found, so that it sees the conversation as it was. A candidate that said NO is not asked again.
 *
 * It ends with YES, with the last NO, or at a limit of the policy's `pending`: then the app is unknown. The copies and what is
 * known of candidates live in struct learn, only as long as this goes on. Where the beginning of a stream was not seen, the
 * last NO only means that these bytes were the middle of something: they are let go, and all are asked anew when the other end
 * speaks, for there a message begins (learn.adrift). The same when bytes are lost while a protocol is sought.
 *
 * Who began a TCP connection whose SYNs were not seen is a guess by ports (life.c). When all candidates said NO to it, or time is up,
 * they are asked once more with the directions exchanged (learn.turned); a YES then says who the client is, and the flow is turned:
 * when the packet at hand is done with, since whoever walks the stream holds its halves. */
#include "dpi/engine.h"

#include <netinet/in.h>
#include <stdlib.h>

#define RUNS_MAX 64u
#define SMALL_BYTES 1024u	/* a stream: the limit of packets counts from here on ... */
#define SMALL_PACKETS 1024u	/* ... or here */

struct learn {
	uint64_t no[SEEK_WORDS];	/* bit per index in proto_list */
	uint8_t *buf[2];
	uint32_t len[2];
	uint8_t class[2];		/* log2 of buf's size */
	bool datagrams;
	bool adrift;			/* nobody knows these bytes: passed over while they come from `adrift_dir` */
	int8_t adrift_dir;		/* enum dir, or -1: from none */
	bool turned;			/* candidates are asked as if the responder had begun */
	const struct proto *found;	/* by turned directions: it starts with seek_turn */
	int64_t since;
	uint32_t packets;
	uint32_t nruns;
	uint32_t run[RUNS_MAX];		/* length << 1 | direction, in order of arrival */
};

/* ---- usual ports ---- */

static uint64_t bit_of(unsigned i) { return UINT64_C(1) << (i % 64); }
static unsigned l4_index(uint8_t l4) { return l4 == PROTO_TCP ? 0 : l4 == PROTO_UDP ? 1 : 2; }

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
	memset(d->speak, 0, sizeof(d->speak));
	for (unsigned l4 = 0; l4 < SEEK_L4; l4++)
		for (unsigned i = 0; i < d->nprotos; i++)
			if (d->protos[i]->l4 & 1u << l4)
				d->speak[l4][i / 64] |= bit_of(i);
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

#define MORE 1u
#define MORE_ASKED 2u	/* and rules ask for facts of its requests */

/* True: YES. Otherwise sets *more when it wants more, or its bit in this word of those that said no. */
static bool ask(const struct dpi *d, const struct probe_in *in, unsigned i, uint64_t *no, unsigned *more)
{
	const struct proto *proto = d->protos[i];

	switch (proto->probe(in)) {
	case PROBE_YES:
		return true;
	case PROBE_MORE:
		*more |= MORE | (d->policy && policy_asks(d->policy, proto->app) ? MORE_ASKED : 0);
		return false;
	case PROBE_NO:
		break;
	}
	*no |= bit_of(i);
	return false;
}

/* The protocol, or NULL and whether asking again with more bytes may help. */
static const struct proto *ask_all(const struct dpi *d, const struct probe_in *in, uint64_t *no, unsigned *more)
{
	const uint64_t *speak = d->speak[l4_index(in->l4)];
	uint64_t hinted[SEEK_WORDS] = { 0 };

	*more = 0;
	for (uint32_t h = hint_first(d, in->dport); h < d->nhints && d->hints[h].port == in->dport; h++)
		hinted[d->hints[h].proto / 64] |= bit_of(d->hints[h].proto);
	for (unsigned others = 0; others < 2; others++) {
		for (unsigned w = 0; w < SEEK_WORDS; w++) {
			for (uint64_t left = speak[w] & ~no[w] & (others ? ~hinted[w] : hinted[w]); left; left &= left - 1) {
				unsigned i = w * 64 + (unsigned)__builtin_ctzll(left);

				if (ask(d, in, i, &no[w], more))
					return d->protos[i];
			}
		}
	}
	return NULL;
}

/* Asks with the directions exchanged. */
static const struct proto *ask_turned(const struct dpi *d, const struct probe_in *in, uint64_t *no, unsigned *more)
{
	struct probe_in turned = *in;

	for (int i = 0; i < 2; i++) {
		turned.dir[i] = in->dir[!i];
		turned.first[i] = in->first[!i];
	}
	turned.now = (enum dir)!in->now;
	turned.sport = in->dport;
	turned.dport = in->sport;
	return ask_all(d, &turned, no, more);
}

/* Which end began it is only guessed. */
static bool turnable(const struct flow *f)
{
	return f->key.ipproto == IPPROTO_TCP && flow_hit(f, F_MIDSTREAM) && !flow_hit(f, F_APP_KNOWN) && !((f->tcp_flags[0] | f->tcp_flags[1]) & TCP_SYN);
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

struct bytes seek_kept(const struct flow *f, enum dir dir)
{
	const struct learn *l = f->learn;

	return l && !l->datagrams ? (struct bytes){ l->buf[dir], l->len[dir] } : (struct bytes){ NULL, 0 };
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

/* Bytes of `dir` (-1: both) that are the middle of something. */
static void go_adrift(struct flow *f, struct learn *l, int dir)
{
	f->unfinished = 0;
	l->adrift = true;
	l->adrift_dir = (int8_t)dir;
	l->turned = false;
	l->found = NULL;
	l->len[0] = l->len[1] = l->nruns = 0;
	memset(l->no, 0, sizeof(l->no));
}

void seek_gap(struct px *x)
{
	struct learn *l = x->f->learn;

	if (l && !l->found)
		go_adrift(x->f, l, -1);
	else if (l)
		seek_give_up(x);
	flow_set(x->f, F_MIDSTREAM);
}

/* The last question, to what is kept: turned directions. */
static void ask_at_last(struct px *x)
{
	struct learn *l = x->f->learn;
	uint64_t no[SEEK_WORDS] = { 0 };
	struct probe_in in;
	unsigned more;

	if (!l || !l->nruns || l->found || l->turned || l->datagrams || !turnable(x->f))
		return;
	in = question(x, (enum dir)(l->run[l->nruns - 1] & 1));
	for (int i = 0; i < 2; i++)
		in.dir[i] = cur_of(l->buf[i], l->len[i]);
	l->turned = true;
	l->found = ask_turned(x->d, &in, no, &more);
}

void seek_last(struct px *x)
{
	if (x->f->feed != FEED_SEEK)
		return;
	ask_at_last(x);
	seek_turn(x);
	seek_give_up(x);
}

void seek_tick(struct px *x)
{
	if (x->f->feed == FEED_SEEK && x->f->learn && x->now - x->f->learn->since >= x->d->limits.pending_time)
		seek_last(x);
}

#define SWAP(a, i, j) do { __typeof__((a)[i]) swap_ = (a)[i]; (a)[i] = (a)[j]; (a)[j] = swap_; } while (0)

void seek_turn(struct px *x)
{
	struct flow *f = x->f;
	struct learn *l = f->learn;

	if (!l || !l->found)
		return;
	f->learn = NULL;
	flow_turn(f);
	x->dir = (enum dir)!x->dir;
	SWAP(l->buf, 0, 1);
	SWAP(l->len, 0, 1);
	SWAP(l->class, 0, 1);
	for (uint32_t i = 0; i < l->nruns; i++)
		l->run[i] ^= 1;
	count(x->d, DPI_C_FLOWS_TURNED);
	if (feed_start(x, l->found))
		replay(x, l);
	else
		learn_free(x->d, l);
}

/* Starts to keep bytes; NULL: given up. */
static struct learn *learn_start(struct px *x, const uint64_t *no, bool datagrams)
{
	struct dpi *d = x->d;
	struct learn *l = mem_zalloc(d->mem, sizeof(*l));
	int64_t when = x->now + d->limits.pending_time;

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

/* ---- announced flows ---- */

void seek_announced(struct px *x)
{
	const struct proto *p = expect_match(&x->d->expect, &x->f->key, x->f->id, x->now);

	if (!p)
		return;
	count(x->d, DPI_C_EXPECT_MET);
	feed_start(x, p);
}

/* Datagrams may be something else that shares the port (STUN beside RTP): the protocol must not deny them. */
static const struct proto *announced_datagram(struct px *x, const struct probe_in *in)
{
	const struct proto *p = flow_hit(x->f, F_APP_KNOWN) ? NULL : expect_match(&x->d->expect, &x->f->key, x->f->id, x->now);

	if (!p || p->probe(in) == PROBE_NO)
		return NULL;
	count(x->d, DPI_C_EXPECT_MET);
	return p;
}

/* Somebody wants more, whose requests rules ask for facts of: these bytes may be the beginning of one (hold.c). */
static void may_be_request(struct px *x, unsigned more) { x->f->unfinished = more & MORE_ASKED ? 1 : 0; }

static size_t seek_first(struct px *x, enum dir dir, const uint8_t *p, size_t n, bool datagram)
{
	struct probe_in in = question(x, dir);
	uint64_t no[SEEK_WORDS] = { 0 };
	const struct proto *found;
	struct learn *l;
	unsigned more = 0;
	bool turned = false;

	in.dir[dir] = cur_of(p, n);
	in.dir[!dir] = cur_of(NULL, 0);
	found = datagram ? announced_datagram(x, &in) : NULL;
	if (!found)
		found = ask_all(x->d, &in, no, &more);
	if (found)
		return feed_start(x, found) ? 0 : n;
	if (!more && !datagram && turnable(x->f)) {
		memset(no, 0, sizeof(no));
		turned = true;
		found = ask_turned(x->d, &in, no, &more);
	}
	if (!found && (more ? n >= x->d->limits.pending_bytes : datagram || !in.midstream)) {
		seek_give_up(x);
		return n;
	}
	if (!found && x->d->limits.pending_packets <= 1) {
		seek_give_up(x);
		return n;
	}
	l = learn_start(x, no, datagram);
	if (l && !found && !more) {
		l->packets = 1;
		go_adrift(x->f, l, (int)dir);
	} else if (l) {
		l->packets = 1;
		l->turned = turned;
		l->found = found;
		may_be_request(x, more);
		if (!learn_add(x->d, l, dir, p, n))
			seek_give_up(x);
	}
	return n;
}

/* The question in the directions as they are now thought of; where nobody is left, in turned ones. */
static const struct proto *ask_on(struct px *x, const struct probe_in *in, unsigned *more)
{
	struct learn *l = x->f->learn;
	const struct proto *found;

	if (!l->turned) {
		found = ask_all(x->d, in, l->no, more);
		if (found || *more || l->datagrams || !turnable(x->f))
			return found;
		l->turned = true;
		memset(l->no, 0, sizeof(l->no));
	}
	l->found = ask_turned(x->d, in, l->no, more);
	return NULL;
}

/* Bytes that may still be kept. A policy that was loaded meanwhile may allow fewer than there are. */
static uint32_t room(const struct dpi *d, const struct learn *l)
{
	uint32_t bytes = l->len[0] + l->len[1];

	return bytes < d->limits.pending_bytes ? d->limits.pending_bytes - bytes : 0;
}

/* A stream may come in segments of a byte: they are not many until they have brought something. */
static bool at_limit(const struct px *x, const struct learn *l)
{
	const struct policy_limits *c = &x->d->limits;
	uint32_t bytes = l->len[0] + l->len[1];
	bool many = l->packets >= c->pending_packets && (l->datagrams || l->adrift || bytes >= SMALL_BYTES || l->packets >= SMALL_PACKETS);

	return bytes >= c->pending_bytes || many || x->now - l->since >= c->pending_time;
}

static size_t seek_datagram(struct px *x, enum dir dir, const uint8_t *p, size_t n)
{
	struct dpi *d = x->d;
	struct learn *l = x->f->learn;
	struct probe_in in = question(x, dir);
	const struct proto *found;
	unsigned more;

	if (n > room(d, l)) {
		seek_give_up(x);
		return n;
	}
	in.dir[dir] = cur_of(p, n);
	in.dir[!dir] = cur_of(NULL, 0);
	firsts(l, in.first);
	l->packets++;
	found = ask_on(x, &in, &more);
	if (found) {
		x->f->learn = NULL;
		if (!feed_start(x, found)) {
			learn_free(d, l);
			return n;
		}
		replay(x, l);
		return 0;
	}
	if (!more || !learn_add(d, l, dir, p, n) || at_limit(x, l))
		seek_give_up(x);
	return n;
}

size_t seek_bytes(struct px *x, enum dir dir, const uint8_t *p, size_t n, bool datagram)
{
	struct dpi *d = x->d;
	struct learn *l = x->f->learn;
	struct probe_in in;
	const struct proto *found;
	size_t k = n;
	unsigned more;

	if (!l)
		return seek_first(x, dir, p, n, datagram);
	if (datagram)
		return seek_datagram(x, dir, p, n);
	if (l->adrift && l->adrift_dir == (int)dir) {
		l->packets++;
		if (at_limit(x, l))
			seek_give_up(x);
		return n;
	}
	l->adrift = false;
	if (k > room(d, l) && !l->found)
		k = room(d, l);
	if (!learn_add(d, l, dir, p, k)) {
		seek_give_up(x);
		return n;
	}
	if (l->found)	/* it starts when the packet at hand is done with */
		return n;
	in = question(x, dir);
	for (int i = 0; i < 2; i++)
		in.dir[i] = cur_of(l->buf[i], l->len[i]);
	l->packets++;
	found = ask_on(x, &in, &more);
	may_be_request(x, more);
	if (found) {
		x->f->learn = NULL;
		if (!feed_start(x, found)) {
			learn_free(d, l);
			return n;
		}
		replay(x, l);
		return k;
	}
	if (!l->found && more && at_limit(x, l)) {
		ask_at_last(x);
		more = 0;
	}
	if (l->found) {
		if (k < n && !learn_add(d, l, dir, p + k, n - k))
			seek_give_up(x);
	} else if (!more) {
		if (in.midstream && !at_limit(x, l))
			go_adrift(x->f, l, (int)dir);
		else
			seek_give_up(x);
	}
	return n;
}
