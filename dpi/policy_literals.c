/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "dpi/policy_table.h"

_Static_assert(LITERAL_FIELDS_MAX >= POLICY_HEADERS_MAX + 64 && LITERAL_FIELDS_MAX <= LITERAL_FIELD_NONE, "a field for each key and each header");

#define HASH_SEED UINT64_C(0xcbf29ce484222325)

/* FNV-1a, so that each prefix of a text has its hash on the way to the next. */
static uint64_t hash_byte(uint64_t h, uint8_t b, bool nocase) { return (h ^ (nocase ? ascii_low(b) : b)) * UINT64_C(0x100000001b3); }

static uint64_t hash_end(uint64_t h, unsigned field, enum literal_kind kind)
{
	h = (h ^ ((uint64_t)field << 8 | kind)) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

static bool is_nocase(const struct literals *l, unsigned field)
{
	switch (match_keys[l->field[field].key].how) {
	case MATCH_EXACT:
	case MATCH_PATH:
	case MATCH_TOPIC:
		return false;
	case MATCH_NOCASE:
	case MATCH_NAME:
	case MATCH_TABLE:
	case MATCH_HEADER:
		break;
	}
	return true;
}

/* Ends are hashed from behind. */
static uint64_t hash_of(const struct literals *l, unsigned field, enum literal_kind kind, struct bytes t)
{
	uint64_t h = HASH_SEED;
	bool nocase = is_nocase(l, field);

	for (size_t i = 0; i < t.n; i++)
		h = hash_byte(h, t.p[kind == LITERAL_TAIL ? t.n - 1 - i : i], nocase);
	return hash_end(h, field, kind);
}

static bool same_text(const uint8_t *a, const uint8_t *b, size_t n, bool nocase)
{
	if (!nocase)
		return memcmp(a, b, n) == 0;
	for (size_t i = 0; i < n; i++)
		if (ascii_low(a[i]) != ascii_low(b[i]))
			return false;
	return true;
}

/* The slot that has it, or the free one where it belongs. The table is never full. */
static struct literal *slot_of(const struct literals *l, uint64_t hash, unsigned field, enum literal_kind kind, struct bytes t)
{
	for (uint64_t i = hash;; i++) {
		struct literal *s = &l->slot[i & l->mask];

		if (!s->text || (s->hash == hash && s->field == field && s->kind == kind && s->n == t.n && same_text(s->text, t.p, t.n, is_nocase(l, field))))
			return s;
	}
}

/* The literal of that kind in a pattern; n 0: it has none. */
static struct bytes literal_in(struct bytes pattern, enum literal_kind kind)
{
	size_t head = glob_head(pattern), tail = glob_tail(pattern);

	if ((kind == LITERAL_WHOLE) != (head == pattern.n))
		return (struct bytes){ NULL, 0 };
	return kind == LITERAL_TAIL ? (struct bytes){ pattern.p + pattern.n - tail, tail } : (struct bytes){ pattern.p, head };
}

/* ---- making the table ---- */

static unsigned field_of(struct literals *l, const struct clause *c)
{
	unsigned f = 0;

	while (f < l->nfields && (l->field[f].key != c->key || l->field[f].header != c->header))
		f++;
	if (f < l->nfields)
		return f;
	l->field[f] = (struct literal_field){ .key = c->key, .header = c->header };
	for (unsigned r = 0; r < FACT_ROLE_COUNT; r++)
		if (match_keys[c->key].roles & ROLE_BIT(r))
			l->of_role[r][f / 64] |= UINT64_C(1) << (f % 64);
	l->nfields++;
	return f;
}

static bool make_slots(struct literals *l, uint64_t n)
{
	uint64_t size = 64;

	while (size < 2 * n)
		size *= 2;
	l->slot = size <= UINT32_MAX / 2 ? calloc(size, sizeof(*l->slot)) : NULL;
	l->mask = (uint32_t)(size - 1);
	return l->slot != NULL;
}

static bool has_room(const struct clause *c) { return c->npatterns <= LITERAL_PATTERNS_MAX; }

/* Every literal of every clause, with how many patterns have it. */
static bool gather(struct literals *l, const struct policy *p)
{
	uint64_t n = 0;

	for (uint32_t no = 0; no < p->nrules; no++)
		for (unsigned i = 0; i < p->rule[no].nclauses; i++)
			n += has_room(&p->rule[no].clause[i]) ? 2u * p->rule[no].clause[i].npatterns : 0;
	if (!make_slots(l, n))
		return false;
	for (uint32_t no = 0; no < p->nrules; no++)
		for (unsigned i = 0; i < p->rule[no].nclauses; i++) {
			const struct clause *c = &p->rule[no].clause[i];
			unsigned f = field_of(l, c);

			for (unsigned k = 0; has_room(c) && k < c->npatterns; k++)
				for (enum literal_kind kind = 0; kind < LITERAL_KINDS; kind++) {
					struct bytes t = literal_in(c->pattern[k], kind);
					uint64_t hash = hash_of(l, f, kind, t);
					struct literal *s = t.n ? slot_of(l, hash, f, kind, t) : NULL;

					if (!s)
						continue;
					if (!s->text)
						*s = (struct literal){ .hash = hash, .text = t.p, .n = (uint16_t)t.n, .field = (uint8_t)f, .kind = (uint8_t)kind };
					s->rules++;
				}
		}
	return true;
}

/* The literal of a pattern that the fewest share; NULL: it has none. */
static struct literal *rarest(const struct literals *l, unsigned field, struct bytes pattern)
{
	struct literal *best = NULL;

	for (enum literal_kind kind = 0; kind < LITERAL_KINDS; kind++) {
		struct bytes t = literal_in(pattern, kind);
		struct literal *s = t.n ? slot_of(l, hash_of(l, field, kind, t), field, kind, t) : NULL;

		if (s && s->text && (!best || s->rules < best->rules))
			best = s;
	}
	return best;
}

const struct literal *literals_of(const struct literals *l, const struct rule *r, struct bytes pattern) { return rarest(l, r->field, pattern); }

/* How many share the clause's literals; UINT64_MAX: it cannot be found by them. */
static uint64_t clause_cost(struct literals *l, const struct clause *c)
{
	unsigned f = field_of(l, c);
	uint64_t cost = 0;

	if (!has_room(c))
		return UINT64_MAX;
	for (unsigned k = 0; k < c->npatterns; k++) {
		const struct literal *s = rarest(l, f, c->pattern[k]);

		if (!s)
			return UINT64_MAX;
		cost += s->rules;
	}
	return cost;
}

static void choose_clause(struct literals *l, struct rule *r)
{
	uint64_t best = UINT64_MAX;

	r->field = LITERAL_FIELD_NONE;
	for (unsigned i = 0; i < r->nclauses; i++) {
		uint64_t cost = clause_cost(l, &r->clause[i]);

		if (cost < best && l->n + r->clause[i].npatterns <= LITERALS_MAX) {
			best = cost;
			r->field = (uint8_t)field_of(l, &r->clause[i]);
			r->found_by = (uint16_t)i;
		}
	}
	l->scanned += r->nclauses && r->field == LITERAL_FIELD_NONE;
	for (unsigned k = 0; r->field != LITERAL_FIELD_NONE && k < r->clause[r->found_by].npatterns; k++) {
		struct literal *s = rarest(l, r->field, r->clause[r->found_by].pattern[k]);

		if (!s->number)
			s->number = ++l->n;
	}
}

/* Only those by which rules are found stay. */
static bool keep_numbered(struct literals *l)
{
	struct literal *all = l->slot;
	uint32_t n = l->mask;
	bool ok = make_slots(l, l->n);

	for (uint64_t i = 0; ok && i <= n; i++) {
		const struct literal *s = &all[i];
		struct literal_field *f = &l->field[s->field];

		if (!s->number)
			continue;
		*slot_of(l, s->hash, s->field, (enum literal_kind)s->kind, (struct bytes){ s->text, s->n }) = *s;
		f->lengths[s->kind][s->n / 64] |= UINT64_C(1) << (s->n % 64);
		if (s->n > f->longest[s->kind])
			f->longest[s->kind] = s->n;
	}
	free(all);
	return ok;
}

bool literals_build(struct policy *p)
{
	struct literals *l = &p->index.literals;

	if (!gather(l, p))
		return false;
	for (uint32_t no = 0; no < p->nrules; no++)
		choose_clause(l, &p->rule[no]);
	return keep_numbered(l);
}

void literals_free(struct literals *l) { free(l->slot); }

/* ---- looking up ---- */

static void hit(const struct literals *l, struct literal_hits *h, uint64_t hash, unsigned field, enum literal_kind kind, struct bytes t)
{
	const struct literal *s = slot_of(l, hash_end(hash, field, kind), field, kind, t);

	if (!s->text)
		return;
	if (h->n == h->max)
		h->too_many = true;
	else
		h->number[h->n++] = s->number;
}

static void find_whole(const struct literals *l, struct literal_hits *h, unsigned field, struct bytes v)
{
	const struct literal_field *f = &l->field[field];
	bool nocase = is_nocase(l, field);
	uint64_t hash = HASH_SEED;

	if (v.n > f->longest[LITERAL_WHOLE] || !(f->lengths[LITERAL_WHOLE][v.n / 64] >> (v.n % 64) & 1))
		return;
	for (size_t i = 0; i < v.n; i++)
		hash = hash_byte(hash, v.p[i], nocase);
	hit(l, h, hash, field, LITERAL_WHOLE, v);
}

/* What it begins with, or ends with. */
static void find_side(const struct literals *l, struct literal_hits *h, unsigned field, enum literal_kind kind, struct bytes v)
{
	const struct literal_field *f = &l->field[field];
	bool nocase = is_nocase(l, field), tail = kind == LITERAL_TAIL;
	size_t longest = f->longest[kind] < v.n ? f->longest[kind] : v.n;
	uint64_t hash = HASH_SEED;

	for (size_t n = 1; n <= longest; n++) {
		hash = hash_byte(hash, v.p[tail ? v.n - n : n - 1], nocase);
		if (f->lengths[kind][n / 64] >> (n % 64) & 1)
			hit(l, h, hash, field, kind, (struct bytes){ tail ? v.p + v.n - n : v.p, n });
	}
}

/* A value that was cut goes on unseen: where it is longer than any pattern, only patterns that begin with what it begins with can hold, or
 * any that is found by its end. Of what stands for more than it says any may hold (beside those that it is itself). */
static void find_value(const struct literals *l, struct literal_hits *h, unsigned field, struct bytes v, bool cut, bool filter)
{
	uint8_t room[MATCH_ROOM];
	struct bytes form[MATCH_FORMS];
	unsigned n = match_forms(match_keys[l->field[field].key].how, v, room, form);
	uint64_t bit = cut || filter ? UINT64_C(1) << (field % 64) : 0;

	h->cut[field / 64] |= bit;
	for (unsigned i = 0; i < n; i++) {
		find_whole(l, h, field, form[i]);
		find_side(l, h, field, LITERAL_HEAD, form[i]);
		find_side(l, h, field, LITERAL_TAIL, form[i]);
		if (form[i].n < MATCH_PATTERN_MAX || filter)
			h->cut_short[field / 64] |= bit;
	}
}

void literals_find(const struct literals *l, const struct facts *f, struct literal_hits *h)
{
	uint64_t said[LITERAL_FIELDS_MAX / 64] = { 0 };
	struct fact_value v;
	struct fact_values all;

	for (fact_values_begin(&all, f); fact_values_next(&all, &v);)
		for (unsigned w = 0; w < LITERAL_FIELDS_MAX / 64; w++)
			for (uint64_t left = l->of_role[v.fact->role][w]; left; left &= left - 1) {
				unsigned field = w * 64 + (unsigned)__builtin_ctzll(left);

				if (l->field[field].header && l->field[field].header != v.fact)
					continue;
				said[w] |= left & -left;
				find_value(l, h, field, v.text, v.cut, v.fact->role == FACT_FILTER && match_is_filter(v.text));
			}
	h->partial = all.partial;
	for (unsigned i = 0; (f->later || f->unseen) && i < l->nfields; i++) {
		uint32_t roles = match_keys[l->field[i].key].roles;
		uint64_t bit = UINT64_C(1) << (i % 64);

		if (said[i / 64] & bit)
			continue;
		if (f->later & roles)
			h->later[i / 64] |= bit;
		else if (f->unseen && match_said_once(roles))
			h->unseen[i / 64] |= bit;
	}
}
