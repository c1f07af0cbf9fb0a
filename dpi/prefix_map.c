/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/prefix_map.h"

#include <stdlib.h>

static bool key_le(struct prefix_key a, struct prefix_key b)
{
	return a.hi < b.hi || (a.hi == b.hi && a.lo <= b.lo);
}

static bool key_eq(struct prefix_key a, struct prefix_key b) { return a.hi == b.hi && a.lo == b.lo; }

struct prefix_key prefix_key_of(const struct addr *a)
{
	struct prefix_key k;

	memcpy(&k.hi, a->b, 8);
	memcpy(&k.lo, a->b + 8, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	k.hi = __builtin_bswap64(k.hi);
	k.lo = __builtin_bswap64(k.lo);
#endif
	return k;
}

int prefix_cmp(const struct prefix *a, const struct prefix *b)
{
	if (!key_eq(a->key, b->key))
		return key_le(a->key, b->key) ? -1 : 1;
	return a->len - b->len;
}

static int prefix_cmp_void(const void *a, const void *b) { return prefix_cmp(a, b); }

/* The last key that a prefix holds. */
static struct prefix_key last_of(const struct prefix *p)
{
	struct prefix_key k = p->key;

	if (p->len < 64) {
		k.hi |= UINT64_MAX >> p->len;
		k.lo = UINT64_MAX;
	} else if (p->len < 128) {
		k.lo |= UINT64_MAX >> (p->len - 64);
	}
	return k;
}

static void add_bound(struct prefix_map *m, struct prefix_key key, uint32_t prefix)
{
	if (!m->nbounds || !key_eq(m->bound[m->nbounds - 1], key))
		m->bound[m->nbounds++] = key;
	m->at[m->nbounds - 1] = prefix;
}

/* Behind the end of a prefix the one around it is the longest again. */
static void end_prefix(struct prefix_map *m, uint32_t no)
{
	struct prefix_key end = last_of(&m->prefix[no]);

	if (end.hi == UINT64_MAX && end.lo == UINT64_MAX)
		return;
	end.hi += end.lo == UINT64_MAX;
	end.lo++;
	add_bound(m, end, m->parent[no]);
}

bool prefix_map_build(struct prefix_map *m, struct prefix *prefixes, uint32_t n)
{
	uint32_t open = PREFIX_NONE, kept = 0;

	*m = (struct prefix_map){ .prefix = prefixes };
	if (!n)
		return true;
	qsort(prefixes, n, sizeof(*prefixes), prefix_cmp_void);
	for (uint32_t i = 0; i < n; i++)
		if (!i || prefix_cmp(&prefixes[i], &prefixes[i - 1]) != 0)
			prefixes[kept++] = prefixes[i];
	m->n = kept;
	m->parent = malloc(kept * sizeof(*m->parent));
	m->bound = malloc(kept * 2 * sizeof(*m->bound));
	m->at = malloc(kept * 2 * sizeof(*m->at));
	if (!m->parent || !m->bound || !m->at)
		return false;
	for (uint32_t i = 0; i < kept; i++) {
		for (; open != PREFIX_NONE && !key_le(prefixes[i].key, last_of(&prefixes[open])); open = m->parent[open])
			end_prefix(m, open);
		m->parent[i] = open;
		add_bound(m, prefixes[i].key, i);
		open = i;
	}
	for (; open != PREFIX_NONE; open = m->parent[open])
		end_prefix(m, open);
	return true;
}

void prefix_map_free(struct prefix_map *m)
{
	free(m->prefix);
	free(m->parent);
	free(m->bound);
	free(m->at);
}

uint32_t prefix_map_find(const struct prefix_map *m, struct prefix_key key)
{
	const struct prefix_key *b = m->bound;

	if (!m->nbounds)
		return PREFIX_NONE;
	for (uint32_t n = m->nbounds; n > 1;) {
		uint32_t half = n / 2;

		b += key_le(b[half], key) ? half : 0;
		n -= half;
	}
	return key_le(*b, key) ? m->at[b - m->bound] : PREFIX_NONE;
}

uint32_t prefix_map_number(const struct prefix_map *m, const struct prefix *p)
{
	const struct prefix *found = bsearch(p, m->prefix, m->n, sizeof(*p), prefix_cmp_void);

	return found ? (uint32_t)(found - m->prefix) : PREFIX_NONE;
}
