/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ways of a set: an array of entries, a chain a bucket, one list of all in the order they came. A way's node number follows from the
 * place it has in its bucket (a bit of 64), twice that because IPv6 takes two filters. */
#include "tc/deny_parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define WAY_TABLES 6		/* DENY_S4 to DENY_I6 */
#define NODE(place, variant) (1u + 2u * (place) + (variant))

struct entry {
	struct deny_way way;
	uint32_t owner;
	uint32_t next;		/* in its bucket; of a free entry: the next free one */
	uint32_t older, newer;
	uint8_t hook, table, bucket, place;
	bool used;
};

struct bucket {
	uint64_t taken;		/* bit per place */
	uint32_t first;
};

struct deny_set {
	struct entry *e;
	uint32_t n, size, free;	/* n: entries that were ever in use */
	uint32_t count, oldest, newest;
	struct bucket (*bucket)[WAY_TABLES][DENY_BUCKETS];	/* [2]; made with the first way */
	bool hashed;
	struct hash_key by;
};

struct deny_set *deny_new(const struct hash_key *by)
{
	struct deny_set *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->free = s->oldest = s->newest = NONE;
	s->hashed = by;
	if (by)
		s->by = *by;
	return s;
}

void deny_free(struct deny_set *s)
{
	if (!s)
		return;
	free(s->e);
	free(s->bucket);
	free(s);
}

unsigned deny_count(const struct deny_set *s) { return s->count; }
uint32_t deny_ids(const struct deny_set *s) { return s->n; }

const struct deny_way *deny_way(const struct deny_set *s, uint32_t id, int *hook)
{
	const struct entry *e = &s->e[id];

	*hook = e->hook;
	return e->used ? &e->way : NULL;
}

static bool same(const struct deny_way *a, const struct deny_way *b)
{
	return a->ipproto == b->ipproto && a->sport == b->sport && a->dport == b->dport && addr_eq(&a->src, &b->src) && addr_eq(&a->dst, &b->dst);
}

static int make_buckets(struct deny_set *s)
{
	if (s->bucket)
		return 0;
	s->bucket = malloc(2 * sizeof *s->bucket);
	if (!s->bucket)
		return -ENOMEM;
	for (int h = 0; h < 2; h++)
		for (unsigned t = 0; t < WAY_TABLES; t++)
			for (unsigned b = 0; b < DENY_BUCKETS; b++)
				s->bucket[h][t][b] = (struct bucket){ .first = NONE };
	return 0;
}

static uint32_t take_entry(struct deny_set *s)
{
	uint32_t id = s->free;

	if (id != NONE) {
		s->free = s->e[id].next;
		return id;
	}
	if (s->n == s->size) {
		uint32_t size = s->size ? s->size * 2 : 32;
		struct entry *more = realloc(s->e, size * sizeof *more);

		if (!more)
			return NONE;
		s->e = more;
		s->size = size;
	}
	return s->n++;
}

static bool is_echo(const struct deny_way *w) { return w->ipproto == IPPROTO_ICMP || w->ipproto == IPPROTO_ICMPV6; }

static unsigned table_of(const struct deny_way *w)
{
	unsigned by = is_echo(w) ? DENY_I4 : w->to_client ? DENY_D4 : DENY_S4;

	return addr_is_v4(&w->src) ? by : by + DENY_S6;
}

static unsigned bucket_of(const struct deny_set *s, const struct deny_way *w)
{
	struct { struct addr src, dst; uint16_t sport, dport; uint32_t ipproto; } k = { w->src, w->dst, w->sport, w->dport, w->ipproto };

	if (s->hashed)
		return (unsigned)hash_sip13(&s->by, &k, sizeof k) % DENY_BUCKETS;
	return (w->to_client ? w->dport : w->sport) & 0xff;
}

int deny_add(struct deny_set *s, int hook, const struct deny_way *w, uint32_t owner, uint32_t *id, uint32_t *oldest)
{
	unsigned table = table_of(w), no = bucket_of(s, w);
	uint32_t last = NONE;
	struct bucket *b;
	struct entry *e;

	if (make_buckets(s))
		return -ENOMEM;
	b = &s->bucket[hook][table][no];
	for (uint32_t i = b->first; i != NONE; last = i, i = s->e[i].next)	/* the newest comes first */
		if (same(&s->e[i].way, w)) {
			*id = i;
			return -EEXIST;
		}
	if (!~b->taken || s->count == DENY_MAX) {
		*oldest = s->e[!~b->taken ? last : s->oldest].owner;
		return -ENOSPC;
	}
	*id = take_entry(s);
	if (*id == NONE)
		return -ENOMEM;
	e = &s->e[*id];
	*e = (struct entry){
		.way = *w, .owner = owner, .next = b->first, .older = s->newest, .newer = NONE, .hook = (uint8_t)hook, .table = (uint8_t)table,
		.bucket = (uint8_t)no, .place = (uint8_t)__builtin_ctzll(~b->taken), .used = true,
	};
	b->taken |= UINT64_C(1) << e->place;
	b->first = *id;
	if (s->newest != NONE)
		s->e[s->newest].newer = *id;
	else
		s->oldest = *id;
	s->newest = *id;
	s->count++;
	return 0;
}

void deny_del(struct deny_set *s, uint32_t id)
{
	struct entry *e = &s->e[id];
	struct bucket *b = &s->bucket[e->hook][e->table][e->bucket];
	uint32_t *at = &b->first;

	while (*at != id)
		at = &s->e[*at].next;
	*at = e->next;
	b->taken &= ~(UINT64_C(1) << e->place);
	*(e->older != NONE ? &s->e[e->older].newer : &s->oldest) = e->newer;
	*(e->newer != NONE ? &s->e[e->newer].older : &s->newest) = e->older;
	e->used = false;
	e->next = s->free;
	s->free = id;
	s->count--;
}

/* ---- a way's filters ---- */

unsigned deny_filters(const struct deny_set *s, uint32_t id, int to, struct u32_filter out[DENY_FILTERS])
{
	const struct entry *e = &s->e[id];
	const struct deny_way *w = &e->way;
	bool v4 = addr_is_v4(&w->src);
	unsigned n = v4 ? 1 : 2;

	for (unsigned i = 0; i < n; i++) {
		struct u32_filter *f = &out[i];

		*f = (struct u32_filter){
			.handle = U32_HANDLE(DENY_TABLE(e->hook, e->table), e->bucket, NODE(e->place, i)), .pref = v4 ? PREF_DENY4(e->hook) : PREF_DENY6(e->hook),
			.ethertype = v4 ? ETH_P_IP : ETH_P_IPV6, .flags = TC_U32_TERMINAL, .mirror_to = to, .redirect = true,
		};
		if (is_echo(w)) {	/* request or reply: types 8 and 0, 128 and 129 (RFC 792, RFC 4443) */
			key(f, v4 ? 0 : 0x80000000, v4 ? 0xf7000000 : 0xfe000000, 0, true);
			key(f, (uint32_t)w->sport << 16, 0xffff0000, 4, true);
		} else {
			key(f, (uint32_t)w->sport << 16 | w->dport, 0xffffffff, 0, true);
		}
		key_addr(f, &w->src, 128, v4 ? 12 : 8);
		key_addr(f, &w->dst, 128, v4 ? 16 : 24);
		if (v4) {
			key(f, (uint32_t)w->ipproto << 16, 0x00ff0000, 8, false);
		} else if (!i) {
			key(f, (uint32_t)w->ipproto << 8, 0x0000ff00, 4, false);
		} else {		/* RFC 8200, 4.5: next header, reserved, offset, M */
			key(f, IP6_FRAGMENT << 8, 0x0000ff00, 4, false);
			key(f, (uint32_t)w->ipproto << 24, 0xff00fff8, 40, false);
		}
	}
	return n;
}

/* ---- what leads to them ---- */

/* Three nodes from this one on: to the ways by source port, by destination port and by id of the header that stands `head` bytes on. */
static void add_links(struct builder *b, struct u32_filter f, unsigned head)
{
	static const uint32_t byte[LINKS] = { 0x00ff0000, 0x000000ff, 0x00ff0000 };
	bool v4 = f.ethertype == ETH_P_IP;

	f.flags = TC_U32_OFFSET;
	f.off = (uint16_t)head;
	for (unsigned i = 0; i < LINKS; i++) {
		f.hoff = (int16_t)(i == DENY_I4 ? head + 4 : head);
		f.link = DENY_TABLE(b->hook, i + (v4 ? DENY_S4 : DENY_S6));
		f.hmask = byte[i];
		if (i == DENY_I4)
			f.key[f.nkeys++] = ipproto_key(v4, !v4 && head > 40, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
		add(b, &f);
		f.handle++;
	}
}

int deny_ground(int hook, struct u32_list *out)
{
	struct builder b = { .out = out, .hook = hook };
	struct u32_filter f;

	for (unsigned t = DENY_S4; t <= DENY_I6; t++)
		add_table(&b, (enum deny_table)t, !deny_table_is6(t), DENY_BUCKETS);
	add_table(&b, DENY_OPTIONS, true, 1);
	for (unsigned words = 6; words <= 15; words++) {
		f = node(&b, true, DENY_TABLE(hook, DENY_OPTIONS), 1 + LINKS * (words - 6));
		key(&f, words << 24, 0x0f000000, 0, false);
		add_links(&b, f, 4 * words);
	}
	for (unsigned i = 0; i < 2; i++) {	/* 6 and 7, 8 to 15 words of header; no later fragment (RFC 791) */
		f = node(&b, true, U32_ROOT, 1 + LINKS + i);
		key(&f, i ? 0x08000000 : 0x06000000, i ? 0x08000000 : 0x0e000000, 0, false);
		key(&f, 0, 0x1fff, 4, false);
		f.link = DENY_TABLE(hook, DENY_OPTIONS);
		add(&b, &f);
	}
	f = node(&b, true, U32_ROOT, 1);
	key(&f, 0x05000000, 0x0f000000, 0, false);
	key(&f, 0, 0x1fff, 4, false);
	add_links(&b, f, 20);
	f = node(&b, false, U32_ROOT, 1);
	key(&f, IP6_FRAGMENT << 8, 0xff00, 4, false);
	key(&f, 0, 0xfff8, 40, false);
	add_links(&b, f, 48);
	add_links(&b, node(&b, false, U32_ROOT, 1 + LINKS), 40);
	return b.rc;
}

/* ---- comparing ---- */

bool deny_is_way(const struct u32_filter *f)
{
	unsigned t = U32_TABLE(f->handle);

	return !f->divisor && ((t >= DENY_TABLE(0, DENY_S4) && t <= DENY_TABLE(0, DENY_I6)) || (t >= DENY_TABLE(1, DENY_S4) && t <= DENY_TABLE(1, DENY_I6)));
}

/* The way whose filter has this handle. */
static uint32_t way_at(const struct deny_set *s, int hook, uint32_t handle)
{
	unsigned t = U32_TABLE(handle) - DENY_TABLE(hook, DENY_S4), place = (U32_NODE(handle) - 1) / 2;
	uint32_t i = s && s->bucket && t < WAY_TABLES && U32_NODE(handle) ? s->bucket[hook][t][U32_BUCKET(handle)].first : NONE;

	while (i != NONE && s->e[i].place != place)
		i = s->e[i].next;
	return i;
}

int deny_compare(const struct deny_set *s, int hook, int to, const struct u32_list *present,
		 int (*fn)(void *ctx, const struct u32_filter *want, const struct u32_filter *have), void *ctx)
{
	uint8_t *stands = calloc(s && s->n ? s->n : 1, 1);	/* bit per filter of a way */
	struct u32_filter f[DENY_FILTERS];
	int rc = stands ? 0 : -ENOMEM;

	for (unsigned i = 0; !rc && i < present->n; i++) {
		const struct u32_filter *have = &present->f[i];
		uint32_t id = way_at(s, hook, have->handle);
		unsigned which = (U32_NODE(have->handle) - 1) & 1;

		if (id == NONE || which >= deny_filters(s, id, to, f) || !u32_replaceable(&f[which], have)) {
			rc = fn(ctx, NULL, have);
			continue;
		}
		stands[id] = (uint8_t)(stands[id] | 1u << which);
		if (!u32_equal(&f[which], have))
			rc = fn(ctx, &f[which], have);
	}
	for (uint32_t id = 0; !rc && s && id < s->n; id++)
		for (unsigned n = s->e[id].used && s->e[id].hook == hook ? deny_filters(s, id, to, f) : 0, i = 0; !rc && i < n; i++)
			if (!(stands[id] >> i & 1))
				rc = fn(ctx, &f[i], NULL);
	free(stands);
	return rc;
}
