/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/policy_memo.h"

#include <stdlib.h>

#include "dpi/policy_table.h"

struct policy_memo {
	size_t end_size;		/* bytes of an end */
	uint32_t nends;			/* of each side; a power of two */
	uint32_t turn;
	uint64_t last_id, forgotten;
	struct memo_answer answer[MEMO_ANSWERS];
	uint64_t ends[];
};

static size_t data_words(const struct policy *p) { return 2u * group_words(p) + p->index.nchunks * (1u + INDEX_CHUNK_WORDS); }

struct policy_memo *policy_memo_new(const struct policy *p)
{
	size_t end_size = sizeof(struct memo_end) + data_words(p) * sizeof(uint64_t);
	uint32_t n = MEMO_ENDS_MAX / 2;
	struct policy_memo *m;

	while (n > MEMO_WAYS && 2 * n * end_size > MEMO_BYTES)
		n /= 2;
	m = calloc(1, sizeof(*m) + 2 * n * end_size);
	if (m) {
		m->end_size = end_size;
		m->nends = n;
	}
	return m;
}

void policy_memo_free(struct policy_memo *m) { free(m); }

uint64_t policy_memo_forgotten(struct policy_memo *m)
{
	uint64_t n = m->forgotten;

	m->forgotten = 0;
	return n;
}

/* ---- ends ---- */

const uint64_t *memo_end_top(const struct policy *p, const struct memo_end *e) { return e->data + 2u * group_words(p); }
const uint64_t *memo_end_words(const struct policy *p, const struct memo_end *e) { return memo_end_top(p, e) + p->index.nchunks; }

/* Each side has half of them, so that no end takes the place of the one that it is asked together with. */
static struct memo_end *end_at(struct policy_memo *m, uint32_t side, uint64_t hash, uint32_t way)
{
	uint32_t i = ((uint32_t)hash * MEMO_WAYS + way) & (m->nends - 1);

	return (void *)((char *)m->ends + (i + (side < SET_TO ? 0 : m->nends)) * m->end_size);
}

static bool same_words(const uint64_t *a, const uint64_t *b, unsigned n)
{
	if (n > 4)
		return memcmp(a, b, n * sizeof(*a)) == 0;
	for (unsigned i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

/* How many groups with rules it is in; counts the rules. */
static unsigned count_sets(const struct policy *p, struct memo_end *e, uint32_t side)
{
	unsigned sets = 0;

	e->rules = 0;
	for (unsigned w = 0; w < group_words(p); w++)
		for (uint64_t left = e->data[w]; left; left &= left - 1) {
			uint32_t n = p->index.count[side + w * 64 + (unsigned)__builtin_ctzll(left)];

			sets += n != 0;
			e->rules += n;
		}
	return sets;
}

/* The union of its groups' sets. */
static void unite(const struct policy *p, struct memo_end *e, uint32_t side)
{
	const struct rule_index *x = &p->index;
	uint64_t *top = e->data + 2u * group_words(p), *word = top + x->nchunks;

	e->united = true;
	memset(top, 0, x->nchunks * (1u + INDEX_CHUNK_WORDS) * sizeof(*top));
	e->rules = 0;
	for (unsigned w = 0; w < group_words(p); w++)
		for (uint64_t left = e->data[w]; left; left &= left - 1)
			for (uint32_t c = 0; c < x->nchunks; c++) {
				const struct rule_chunk *from = set_chunk(x, side + w * 64 + (unsigned)__builtin_ctzll(left), c);

				top[c] |= from->top;
				rule_chunk_unite(x, from, word + c * INDEX_CHUNK_WORDS);
			}
	for (uint32_t c = 0; c < x->nchunks; c++)
		for (uint64_t words = top[c]; words; words &= words - 1) {
			uint64_t bits = word[c * INDEX_CHUNK_WORDS + (unsigned)__builtin_ctzll(words)];

			e->rules += bits_below(bits, 63) + (bits >> 63);
		}
}

const struct memo_end *memo_end(const struct policy *p, struct policy_memo *m, uint32_t side, const struct group_set *in, const struct group_set *sure)
{
	const struct group_set *used = &p->index.used[side == SET_TO];
	unsigned n = group_words(p);
	uint64_t key[2 * POLICY_GROUPS_MAX / 64], hash = side;
	struct memo_end *e;

	for (unsigned w = 0; w < n; w++) {
		key[w] = in->bits[w] & used->bits[w];
		if (key[w])
			hash = (hash ^ (key[w] + w) ^ hash >> 29) * UINT64_C(0x9e3779b97f4a7c15);
	}
	for (unsigned w = 0; sure && w < n; w++) {
		key[n + w] = sure->bits[w] & used->bits[w];
		hash = (hash ^ (key[n + w] + w) ^ hash >> 29) * UINT64_C(0xd1342543de82ef95);
	}
	hash = (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);	/* the upper bits of a word come to the lower ones */
	hash ^= hash >> 32;
	side |= sure != NULL;
	for (uint32_t i = 0; i < MEMO_WAYS; i++) {
		e = end_at(m, side, hash, i);
		if (e->id && e->hash == hash && e->side == side && same_words(e->data, key, sure ? 2 * n : n)) {
			if (e->many && !e->united)
				unite(p, e, side & ~1u);
			return e;
		}
		if (!e->id)
			break;
	}
	if (e->id) {
		e = end_at(m, side, hash, m->turn++ % MEMO_WAYS);
		m->forgotten++;
	}
	e->id = ++m->last_id;
	e->hash = hash;
	e->side = (uint16_t)side;
	memcpy(e->data, key, (sure ? 2 * n : n) * sizeof(*key));
	e->many = count_sets(p, e, side & ~1u) > UNITED_FEW;
	e->united = false;
	return e;
}

/* ---- answers ---- */

struct memo_answer *memo_answer(const struct policy *p, struct policy_memo *m, const struct policy_query *q, const struct memo_end *const ends[2], const uint32_t prefix[2],
				bool *found)
{
	struct memo_key k = { .from = ends[0]->id, .to = ends[1]->id, .port = { prefix[0], prefix[1] } };
	struct memo_answer *a;
	uint64_t hash;

	if (p->index.compares_ports) {
		k.port[0] = q->port;
		k.port[1] = q->ipproto;
	}
	k.asked = (uint32_t)q->mode << 8 | (uint32_t)q->app_known << 10 | (uint32_t)q->app_open << 11 | (uint32_t)q->any_app << 12 | (uint32_t)q->names_lost << 13 |
		  (uint32_t)q->names_unseen << 14 | (q->app_known ? (uint32_t)q->app : 0);
	hash = (k.from << 32 ^ k.to) * UINT64_C(0x9e3779b97f4a7c15);
	hash = (hash ^ hash >> 29 ^ ((uint64_t)k.port[0] << 32 | k.port[1])) * UINT64_C(0xd1342543de82ef95);
	hash = (hash ^ hash >> 29 ^ k.asked) * UINT64_C(0x9e3779b97f4a7c15);
	a = &m->answer[hash >> 32 & (MEMO_ANSWERS - 1)];
	*found = a->key.from == k.from && a->key.to == k.to && a->key.port[0] == k.port[0] && a->key.port[1] == k.port[1] && a->key.asked == k.asked;
	if (!*found)
		a->key = k;
	return a;
}
