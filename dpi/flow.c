/* SPDX-License-Identifier: GPL-2.0-or-later */
/* flow: open addressing with linear probing over slots of a tag and an index; entries apart, in pieces that come as they are
 * needed. At most half of the slots are used, so runs are short; a keyed hash keeps strangers from making them long, and
 * FLOW_PROBE_MAX bounds them whatever happens. Taking out shifts the run back: there are no tombstones.
 *
 * Age. Three lists: closed, not yet open, open; each from oldest to newest by the second of the last packet. An entry is moved
 * to its list's young end at most once a second, so that a busy flow does not touch its neighbours for each packet. Whoever
 * must go is the head of the first list that has one: constant work. */
#include "dpi/engine.h"

#include <netinet/in.h>
#include <stdlib.h>

#define LINE 64u

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

bool flow_table_init(struct flow_table *t, uint32_t max, struct mem *mem, uint64_t cap, const struct hash_key *key)
{
	uint32_t n = slots_for(max);
	uint64_t chunks = cap / 2 / MEM_PIECE_MAX;

	memset(t, 0, sizeof(*t));
	t->mask = n - 1;
	t->max = max;
	t->mem = mem;
	t->key = *key;
	t->chunks_max = (uint32_t)(max / FLOWS_PER_CHUNK + 1);
	if (t->chunks_max > chunks)
		t->chunks_max = chunks ? (uint32_t)chunks : 1;
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
	k->local = 0;
	k->zero = 0;
	if (!p->l4_known)
		k->lo_port = k->hi_port = 0;
	if (p->frame->workload && (addr_is_loopback(&t->src) || addr_is_loopback(&t->dst))) {
		k->local = 1;
		k->net = p->frame->workload;
	}
	return hi;
}

static bool key_eq(const struct flow_key *a, const struct flow_key *b) { return memcmp(a, b, sizeof(*a)) == 0; }

struct flow *flow_find(struct flow_table *t, const struct flow_key *k, uint64_t hash)
{
	uint32_t tag = (uint32_t)hash, i = tag & t->mask;

	for (uint32_t n = 0; n < FLOW_PROBE_MAX; n++, i = (i + 1) & t->mask) {
		const struct flow_slot *s = &t->slots[i];

		t->probes++;
		if (!s->no)
			return NULL;
		if (s->tag == tag) {
			struct flow *f = flow_at(t, s->no);

			for (size_t line = 64; line < 64 * 5; line += 64)	/* counted and tracked next: all on their way at once */
				__builtin_prefetch((const char *)f + line, 1);
			if (key_eq(&f->key, k))
				return f;
		}
	}
	return NULL;
}

/* ---- age lists ---- */

static void age_out(struct flow_table *t, struct flow *f)
{
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
	f->lru = (uint8_t)class;
	f->newer = 0;
	f->older = t->newest[class];
	*(f->older ? &flow_at(t, f->older)->newer : &t->oldest[class]) = no;
	t->newest[class] = no;
}

void flow_young(struct flow_table *t, struct flow *f, uint32_t second)
{
	if (f->seen == second)
		return;
	f->seen = second;
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

struct flow *flow_victim(struct flow_table *t)
{
	for (int c = 0; c < LRU_COUNT; c++)
		if (t->oldest[c])
			return flow_at(t, t->oldest[c]);
	return NULL;
}

/* ---- states and their time ---- */

int64_t flow_timeout(const struct flow *f)
{
	bool tcp = f->key.ipproto == IPPROTO_TCP, udp = f->key.ipproto == IPPROTO_UDP;

	if (f->key.ipproto == IPPROTO_ICMP || f->key.ipproto == IPPROTO_ICMPV6)
		return 30 * SEC;
	if (flow_hit(f, F_STOPPED))
		return 60 * SEC;
	switch ((enum flow_state)f->state) {
	case FLOW_FREE:
	case FLOW_CLOSED:
		return 3 * SEC;
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

void flow_move(struct flow_table *t, struct flow *f, enum flow_state to, int64_t now)
{
	enum flow_lru class = lru_of(to);

	f->state = (uint8_t)to;
	if (class != (enum flow_lru)f->lru) {
		uint32_t no = flow_no(t, f);

		age_out(t, f);
		age_in(t, f, no, class);
	}
	/* a timer that fires too early is armed again: only a shorter life needs moving it now */
	if (wheel_armed(&f->timer) && f->timer.when > now + flow_timeout(f))
		wheel_arm(&t->wheel, &f->timer, now + flow_timeout(f));
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
	f->seen = (uint32_t)(now / SEC);
	t->slots[i] = (struct flow_slot){ .tag = tag, .no = no };
	t->used++;
	age_in(t, f, no, LRU_NEW);
	wheel_arm(&t->wheel, &f->timer, now + flow_timeout(f));
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
	EXCHANGE(f->view);
	EXCHANGE(f->view_seen);
	EXCHANGE(f->tcp_flags);
	EXCHANGE(f->half);
	EXCHANGE(f->workload);
}
