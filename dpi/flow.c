/* SPDX-License-Identifier: GPL-2.0-or-later */
/* flow: open addressing with linear probing over slots of a tag and an index; entries apart, in pieces that come as they are
 * needed. At most half of the slots are used, so runs are short; a keyed hash keeps strangers from making them long, and
 * FLOW_PROBE_MAX bounds them whatever happens. Taking out shifts the run back: there are no tombstones.
 *
 * Age. Three lists: closed, not yet open, open; each from oldest to newest by the time of the last packet. An entry is moved
 * to its list's young end at most once a second, so that a busy flow does not touch its neighbours for each packet; once something
 * is short (half of the entries are in use, or of the memory) at most once a millisecond, because a flood turns a table over in less than
 * a second, and who had a packet meanwhile must not be the oldest. Whoever must go is the head of the first list that has one: constant work. */
#include "dpi/tunnel.h"

#include <netinet/in.h>
#include <stdlib.h>

#define LINE 64u
#define HOLDER_LOOKS 16u
#define AHEAD_PROBES 8u		/* a line of slots */

static uint32_t slots_for(uint32_t max)
{
	uint32_t n = 64;

	while (n / 2 < max && n < 1u << 31)
		n *= 2;
	return n;
}

size_t flow_table_fixed(uint32_t max)
{
	return slots_for(max) * sizeof(struct flow_slot) + LINE + (max / FLOWS_PER_CHUNK + 1) * sizeof(struct flow *);
}

size_t flow_table_share(uint32_t max, uint64_t cap)
{
	uint64_t chunks = cap / 4 * 3 / MEM_PIECE_MAX, need = max / FLOWS_PER_CHUNK + 1;

	if (need > chunks)
		need = chunks ? chunks : 1;
	return need * MEM_PIECE_MAX;
}

size_t flow_table_bytes(const struct flow_table *t) { return (size_t)t->nchunks * MEM_PIECE_MAX; }

bool flow_table_init(struct flow_table *t, uint32_t max, struct mem *mem, uint64_t cap, const struct hash_key *key)
{
	uint32_t n = slots_for(max);

	memset(t, 0, sizeof(*t));
	t->mask = n - 1;
	t->max = max;
	t->mem = mem;
	t->key = *key;
	t->chunks_max = (uint32_t)(flow_table_share(max, cap) / MEM_PIECE_MAX);
	t->chunk = calloc(t->chunks_max, sizeof(struct flow *));
	t->slots_mem = calloc(1, n * sizeof(struct flow_slot) + LINE);	/* pages that were never touched cost nothing */
	if (!t->chunk || !t->slots_mem) {
		flow_table_free(t);
		return false;
	}
	t->slots = (void *)(((uintptr_t)t->slots_mem + LINE - 1) & ~(uintptr_t)(LINE - 1));
	wheel_init(&t->wheel, SEC / 10, 0);
	return true;
}

void flow_table_free(struct flow_table *t)
{
	free(t->chunk);
	free(t->slots_mem);
	t->chunk = NULL;
	t->slots_mem = NULL;
}

/* ---- keys ---- */

bool flow_key_of(const struct packet *p, struct flow_key *k)
{
	const struct tuple *t = &p->t;
	int c = addr_cmp(&t->src, &t->dst);
	bool hi = c > 0 || (c == 0 && t->sport > t->dport);

	k->lo = hi ? t->dst : t->src;
	k->hi = hi ? t->src : t->dst;
	k->lo_port = hi ? t->dport : t->sport;
	k->hi_port = hi ? t->sport : t->dport;
	k->net = t->domain;
	k->vlan[0] = p->vlan[0];
	k->vlan[1] = p->vlan[1];
	k->ipproto = t->ipproto;
	k->place = PLACE_DOMAIN;
	k->tunnel = 0;
	if (!p->l4_known)
		k->lo_port = k->hi_port = 0;
	if (p->tunnel) {
		k->place = PLACE_TUNNEL;
		k->net = (uint32_t)p->tunnel->key;
		k->tunnel = (uint16_t)(p->tunnel->key >> 32 & ~(uint64_t)(TUNNEL_TENANTS - 1));
	} else if (p->frame->workload && (addr_is_loopback(&t->src) || addr_is_loopback(&t->dst))) {
		k->place = PLACE_LOCAL;
		k->net = p->frame->workload;
	}
	return hi;
}

/* Under the table's key, of all that stands in the flow's. Of two IPv4 addresses what they have in common is left out: the number of words tells that from
 * any other pair. */
uint64_t flow_hash(const struct flow_table *t, const struct flow_key *k)
{
	uint64_t w[sizeof(*k) / sizeof(uint64_t)];

	if (!addr_is_v4(&k->lo) || !addr_is_v4(&k->hi)) {
		memcpy(w, k, sizeof(*k));
		return hash_sip13_words(&t->key, w, sizeof(w) / sizeof(w[0]));
	}
	memcpy(w, k->lo.b + 12, 4);
	memcpy((uint8_t *)w + 4, k->hi.b + 12, 4);
	memcpy(w + 1, &k->lo_port, sizeof(*k) - 2 * sizeof(struct addr));
	return hash_sip13_words(&t->key, w, 3);
}

static bool key_eq(const struct flow_key *a, const struct flow_key *b) { return memcmp(a, b, sizeof(*a)) == 0; }

struct flow *flow_find(struct flow_table *t, const struct flow_key *k, uint64_t hash)
{
	uint32_t tag = (uint32_t)hash, i = tag & t->mask;

	for (t->probes = 0; t->probes < FLOW_PROBE_MAX; i = (i + 1) & t->mask) {
		const struct flow_slot *s = &t->slots[i];

		if (++t->probes > t->probes_max)
			t->probes_max = t->probes;
		if (!s->no)
			return NULL;
		if (s->tag == tag) {
			struct flow *f = flow_at(t, s->no);

			for (size_t line = LINE; line < LINE * 5; line += LINE)	/* counted and tracked next: all on their way at once */
				__builtin_prefetch((const char *)f + line, 1);
			if (key_eq(&f->key, k))
				return f;
		}
	}
	return NULL;
}

static void entry_ahead(const struct flow *f)
{
	for (size_t line = 0; line < sizeof(*f); line += LINE)
		__builtin_prefetch((const char *)f + line, 1);
}

struct flow *flow_ahead(const struct flow_table *t, uint64_t hash)
{
	uint32_t tag = (uint32_t)hash, i = tag & t->mask;

	for (unsigned n = 0; n < AHEAD_PROBES && t->slots[i].no; n++, i = (i + 1) & t->mask) {
		if (t->slots[i].tag == tag) {
			struct flow *f = flow_at(t, t->slots[i].no);

			entry_ahead(f);
			return f;
		}
	}
	return NULL;
}

void flow_neighbours_ahead(const struct flow_table *t, const struct flow *f)
{
	if (f->older)
		__builtin_prefetch(&flow_at(t, f->older)->newer, 1);
	if (f->newer)
		__builtin_prefetch(&flow_at(t, f->newer)->older, 1);
}

uint32_t flow_domain(const struct flow *f)
{
	return f->key.place == PLACE_DOMAIN ? f->key.net : flow_tunnelled(f) ? f->tunnel->outer.domain : 0;
}

struct tuple flow_tuple(const struct flow *f, enum dir dir)
{
	return (struct tuple){
		.src = *flow_addr(f, dir),
		.dst = *flow_addr(f, (enum dir)!dir),
		.sport = flow_port(f, dir),
		.dport = flow_port(f, (enum dir)!dir),
		.ipproto = f->key.ipproto,
		.domain = flow_domain(f),
	};
}

/* ---- age lists ---- */

static void age_out(struct flow_table *t, struct flow *f)
{
	for (int k = 0; k < HOLDS_COUNT; k++)
		if (t->hand[k][f->lru] == f)
			t->hand[k][f->lru] = f->newer ? flow_at(t, f->newer) : NULL;
	*(f->older ? &flow_at(t, f->older)->newer : &t->oldest[f->lru]) = f->newer;
	*(f->newer ? &flow_at(t, f->newer)->older : &t->newest[f->lru]) = f->older;
	f->older = f->newer = 0;
}

/* Index + 1 of an entry that is in its slot. */
static uint32_t flow_no(const struct flow_table *t, const struct flow *f)
{
	uint32_t i = f->tag & t->mask;

	while (t->slots[i].tag != f->tag || flow_at(t, t->slots[i].no) != f)
		i = (i + 1) & t->mask;
	return t->slots[i].no;
}

static void age_in(struct flow_table *t, struct flow *f, uint32_t no, enum flow_lru class)
{
	f->lru = (unsigned)class & 3;
	f->newer = 0;
	f->older = t->newest[class];
	*(f->older ? &flow_at(t, f->older)->newer : &t->oldest[class]) = no;
	t->newest[class] = no;
}

void flow_young(struct flow_table *t, struct flow *f, int64_t now)
{
	uint32_t tick = (uint32_t)(now / FLOW_TICK);

	if (tick - f->seen < (t->pressed ? 1 : FLOW_TICKS_A_SECOND))
		return;
	f->seen = tick;
	if (f->newer) {		/* not the youngest already */
		uint32_t no = flow_no(t, f);

		age_out(t, f);
		age_in(t, f, no, f->lru);
	}
}

static enum flow_lru lru_of(enum flow_state s)
{
	switch (s) {
	case FLOW_FREE:
	case FLOW_CLOSED:
		return LRU_CLOSED;
	case FLOW_NEW:
	case FLOW_OPENING:
		return LRU_NEW;
	case FLOW_OPEN:
	case FLOW_CLOSING:
		return LRU_OPEN;
	}
	return LRU_OPEN;
}

void flow_ends_ahead(const struct flow_table *t, const struct flow *f, const struct flow *then)
{
	__builtin_prefetch(&t->slots[f->tag & t->mask], 1);
	if (then)
		entry_ahead(then);
}

/* Under a flood the next one will be asked for soon: its slot, and the entry behind it, are on their way by then. */
struct flow *flow_victim(struct flow_table *t)
{
	for (int c = 0; c < LRU_COUNT; c++) {
		struct flow *f, *next;

		if (!t->oldest[c])
			continue;
		f = flow_at(t, t->oldest[c]);
		if (f->newer) {
			next = flow_at(t, f->newer);
			flow_ends_ahead(t, next, next->newer ? flow_at(t, next->newer) : NULL);
		}
		return f;
	}
	return NULL;
}

static bool holds(const struct flow *f, enum flow_holds what)
{
	if (what == HOLDS_SEGMENTS)
		return f->key.ipproto == IPPROTO_TCP && (f->half[0].ooo || f->half[1].ooo);
	return f->learn || f->proto || f->half[0].keep || f->half[1].keep;
}

struct flow *flow_holder(struct flow_table *t, enum flow_holds what)
{
	for (int c = LRU_NEW; c < LRU_COUNT; c++) {
		struct flow *f = t->hand[what][c];

		if (!f && t->oldest[c])
			f = flow_at(t, t->oldest[c]);
		for (unsigned i = 0; f && i < HOLDER_LOOKS; i++) {
			if (holds(f, what)) {
				t->hand[what][c] = f;
				return f;
			}
			f = f->newer ? flow_at(t, f->newer) : NULL;
		}
		t->hand[what][c] = f;
	}
	return NULL;
}

/* ---- states and their time ---- */

int64_t flow_timeout(const struct flow *f)
{
	bool tcp = f->key.ipproto == IPPROTO_TCP, udp = f->key.ipproto == IPPROTO_UDP;

	if (f->key.ipproto == IPPROTO_ICMP || f->key.ipproto == IPPROTO_ICMPV6)
		return 30 * SEC;
	if (flow_hit(f, F_STOPPED))	/* where packets are not held, what stops them goes with the flow: it outlives a sender's longest pause (RFC 6298: 60 s; Linux: 120 s) */
		return (f->held || !tcp ? 60 : 150) * SEC;
	switch ((enum flow_state)f->state) {
	case FLOW_FREE:
	case FLOW_CLOSED:
		return (f->renewed ? 60 : 3) * SEC;	/* what it keeps from passing may still come */
	case FLOW_NEW:
	case FLOW_OPENING:
		return 60 * SEC;
	case FLOW_OPEN:
		return tcp ? 3600 * SEC : udp ? 180 * SEC : 60 * SEC;
	case FLOW_CLOSING:
		return 120 * SEC;
	}
	return 60 * SEC;
}

/* When its timer fires and nothing came meanwhile, it ends: `seen` may be a second too old. */
static int64_t ends_at(const struct flow *f, int64_t now) { return now + flow_timeout(f) + SEC; }

/* A timer that fires too early is armed again: only a shorter life needs moving it now. */
static void live_shorter(struct flow_table *t, struct flow *f, int64_t now)
{
	if (wheel_armed(&f->timer) && f->timer.when > ends_at(f, now))
		wheel_arm(&t->wheel, &f->timer, ends_at(f, now));
}

void flow_stop(struct flow_table *t, struct flow *f, int64_t now)
{
	if (flow_hit(f, F_STOPPED))
		return;
	flow_set(f, F_STOPPED);
	live_shorter(t, f, now);
}

void flow_move(struct flow_table *t, struct flow *f, enum flow_state to, int64_t now)
{
	enum flow_lru class = lru_of(to);

	f->state = (unsigned)to & 15;
	if (class != (enum flow_lru)f->lru) {
		uint32_t no = flow_no(t, f);

		age_out(t, f);
		age_in(t, f, no, class);
	}
	live_shorter(t, f, now);
}

const char *flow_state_name(enum flow_state s)
{
	switch (s) {
	case FLOW_FREE:
	case FLOW_NEW:
	case FLOW_OPENING:
		return "new";
	case FLOW_OPEN:
	case FLOW_CLOSING:
		return "established";
	case FLOW_CLOSED:
		return "closed";
	}
	return "new";
}

/* ---- in and out ---- */

static bool chunk_add(struct flow_table *t)
{
	struct flow *c;
	uint32_t first;

	if (t->nchunks == t->chunks_max)
		return false;
	c = mem_alloc(t->mem, MEM_PIECE_MAX);
	if (!c)
		return false;
	first = (uint32_t)(t->nchunks * FLOWS_PER_CHUNK);
	t->chunk[t->nchunks++] = c;
	for (uint32_t i = (uint32_t)FLOWS_PER_CHUNK; i-- > 0;) {	/* the lowest is handed out first */
		c[i].state = FLOW_FREE;
		c[i].newer = t->free;
		t->free = first + i + 1;
	}
	return true;
}

struct flow *flow_insert(struct flow_table *t, const struct flow_key *k, uint64_t hash, int64_t now)
{
	uint32_t tag = (uint32_t)hash, i = tag & t->mask, no, n = 0;
	struct flow *f;

	if (t->used >= t->max || (!t->free && !chunk_add(t)))
		return NULL;
	while (t->slots[i].no) {
		if (++n == FLOW_PROBE_MAX)
			return NULL;
		i = (i + 1) & t->mask;
	}
	no = t->free;
	f = flow_at(t, no);
	t->free = f->newer;
	memset(f, 0, sizeof(*f));
	f->key = *k;
	f->tag = tag;
	f->state = FLOW_NEW;
	f->seen = (uint32_t)(now / FLOW_TICK);
	t->slots[i] = (struct flow_slot){ .tag = tag, .no = no };
	t->used++;
	age_in(t, f, no, LRU_NEW);
	wheel_arm(&t->wheel, &f->timer, ends_at(f, now));
	return f;
}

void flow_remove(struct flow_table *t, struct flow *f)
{
	uint32_t i = f->tag & t->mask, no = flow_no(t, f);

	wheel_cancel(&f->timer);
	age_out(t, f);
	while (t->slots[i].no != no)
		i = (i + 1) & t->mask;
	/* entries behind it that may stand here move up, so that every run stays whole */
	for (uint32_t j = (i + 1) & t->mask; t->slots[j].no; j = (j + 1) & t->mask) {
		uint32_t home = t->slots[j].tag & t->mask;

		if (((j - home) & t->mask) >= ((j - i) & t->mask)) {
			t->slots[i] = t->slots[j];
			i = j;
		}
	}
	t->slots[i] = (struct flow_slot){ 0, 0 };
	t->used--;
	f->state = FLOW_FREE;
	f->newer = t->free;
	t->free = no;
}

#define EXCHANGE(pair) do { __typeof__((pair)[0]) kept = (pair)[0]; (pair)[0] = (pair)[1]; (pair)[1] = kept; } while (0)

void flow_turn(struct flow *f)
{
	bool up = flow_hit(f, F_CSUM_OFF), down = flow_hit(f, F_CSUM_OFF_DOWN);

	f->bits ^= F_INIT_HI;
	flow_clear(f, F_CSUM_OFF | F_CSUM_OFF_DOWN);
	if (up)
		flow_set(f, F_CSUM_OFF_DOWN);
	if (down)
		flow_set(f, F_CSUM_OFF);
	EXCHANGE(f->pkts);
	EXCHANGE(f->bytes);
	if (flow_tunnelled(f)) {
		tunnel_turn(f->tunnel);
	} else {
		EXCHANGE(f->view);
		EXCHANGE(f->view_seen);
	}
	EXCHANGE(f->tcp_flags);
	EXCHANGE(f->half);
	EXCHANGE(f->workload);
	EXCHANGE(f->ttl);
}
