/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_nest: groups whose match, or its `not`, names other groups.
 *
 * A member is a key like the others: what holds one of the members named (OR) and the group's other keys (AND) is in it, less what `not` says,
 * which may name members too. Members may be such groups themselves, to any depth, but no group may come to hold itself.
 *
 * An end's groups are found from below: those without members first (policy.c), then the others in an order in which members come before
 * who names them. Only those are looked at that some group of the end's wakes, and those that name members under `not` only, so that
 * an end which is in few groups costs little, however many there are. At most each of them is looked at once, in 16 words for its members.
 *
 * A name that is not known yet makes a group one that an end may be in (policy_groups_named). Both bounds are carried through: an end may be in a
 * group where it may be in a member and is not surely taken away, and surely is where that holds the other way round. A group hangs on names
 * where it, or a member at any depth, asks for some. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dpi/policy_table.h"

static bool any_of(const struct nest_word *word, uint32_t first, uint32_t end, const struct group_set *s)
{
	for (uint32_t i = first; i < end; i++)
		if (word[i].bits & s->bits[word[i].word])
			return true;
	return false;
}

static void wake_above(const struct nest *n, unsigned group, uint64_t awake[GROUP_WORDS])
{
	for (uint32_t i = n->above_first[group]; i < n->above_first[group + 1]; i++)
		awake[n->above[i].word] |= n->above[i].bits;
}

void nest_close(const struct policy *p, const struct nest_parts *own, struct group_set *out, struct group_set *sure)
{
	const struct nest *n = &p->nest;
	uint64_t awake[GROUP_WORDS];

	memcpy(awake, n->always.bits, sizeof(awake));
	for (unsigned w = 0; w < GROUP_WORDS; w++)
		for (uint64_t left = out->bits[w] & n->members.bits[w]; left; left &= left - 1)
			wake_above(n, w * 64 + (unsigned)__builtin_ctzll(left), awake);
	for (unsigned w = 0; w < GROUP_WORDS; w++)
		for (; awake[w]; awake[w] &= awake[w] - 1) {		/* what is woken meanwhile stands behind */
			const struct nested *g = &n->group[w * 64 + (unsigned)__builtin_ctzll(awake[w])];
			bool has = g->first != g->not, minus = g->not != g->end;
			bool may = set_has(&own->held[1], g->no) && (!has || any_of(n->word, g->first, g->not, out));
			bool gone_sure, gone_may;

			if (!may)
				continue;
			gone_sure = set_has(&own->gone[0], g->no) && (!minus || any_of(n->word, g->not, g->end, sure));
			gone_may = set_has(&own->gone[1], g->no) && (!minus || any_of(n->word, g->not, g->end, out));
			if (gone_sure)
				continue;
			set_add(out, g->no);
			if (!gone_may && set_has(&own->held[0], g->no) && (!has || any_of(n->word, g->first, g->not, sure)))
				set_add(sure, g->no);
			wake_above(n, g->no, awake);
		}
}

/* ---- members ---- */

bool nest_add(struct policy *p, unsigned group, unsigned member, bool not)
{
	struct nest *n = &p->nest;

	if (!n->member[0]) {
		n->member[0] = calloc(2 * POLICY_GROUPS_MAX, sizeof(*n->member[0]));
		if (!n->member[0])
			return false;
		n->member[1] = n->member[0] + POLICY_GROUPS_MAX;
	}
	set_add(&n->member[not][group], member);
	set_add(not ? &p->minus_member : &p->has_member, group);
	return true;
}

/* ---- the order ---- */

struct ordering {
	struct policy *p;
	struct group_set done;
	uint16_t order[POLICY_GROUPS_MAX];	/* those with members, each behind its own */
	unsigned n;
	uint16_t way[POLICY_GROUPS_MAX];	/* from where the walk began to where it is */
	struct group_set on_way;
	unsigned depth;
};

static int loop_found(const struct ordering *o, unsigned group, struct err *e)
{
	char text[ERR_TEXT_MAX / 2];
	size_t n = 0;
	unsigned from = 0;

	while (o->way[from] != group)
		from++;
	text[0] = '\0';
	for (unsigned i = from + 1; i < o->depth && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " > %s", o->p->group_name[o->way[i]]);
	return err_set(e, -ELOOP, "group %s: it would hold itself: %s%s > %s", o->p->group_name[group], o->p->group_name[group], text, o->p->group_name[group]);
}

/* Puts the group's members, then itself, into the order. *at: where it fails, the group that the walk is in. */
static int visit(struct ordering *o, unsigned group, unsigned *at, struct err *e)
{
	int rc = 0;

	if (set_has(&o->done, group) || !o->p->nest.member[0])
		return 0;
	o->way[o->depth++] = (uint16_t)group;
	set_add(&o->on_way, group);
	for (unsigned not = 0; not < 2; not++)
		for (unsigned w = 0; w < GROUP_WORDS; w++)
			for (uint64_t left = o->p->nest.member[not][group].bits[w]; left && !rc; left &= left - 1) {
				unsigned member = w * 64 + (unsigned)__builtin_ctzll(left);

				*at = group;
				rc = set_has(&o->on_way, member) ? loop_found(o, member, e) : visit(o, member, at, e);
			}
	if (rc)
		return rc;
	o->depth--;
	o->on_way.bits[group / 64] &= ~(UINT64_C(1) << (group % 64));
	set_add(&o->done, group);
	if (set_has(&o->p->has_member, group) || set_has(&o->p->minus_member, group))
		o->order[o->n++] = (uint16_t)group;
	return 0;
}

/* Who hangs on names by way of a member: members first. */
static int spread_names(const struct ordering *o, unsigned *at, struct err *e)
{
	struct policy *p = o->p;

	for (unsigned w = 0; w < GROUP_WORDS; w++)
		p->by_name.bits[w] = p->has_fqdn.bits[w] | p->minus_fqdn.bits[w];
	for (unsigned i = 0; i < o->n; i++) {
		unsigned g = o->order[i];

		for (unsigned w = 0; w < GROUP_WORDS; w++) {
			uint64_t by = (o->p->nest.member[0][g].bits[w] | o->p->nest.member[1][g].bits[w]) & p->by_name.bits[w];

			if (!by)
				continue;
			*at = g;
			if (set_has(&p->has_mode, g))
				return err_set(e, -EINVAL, "group %s: it hangs on names by way of group %s: a group that asks for names has no mode", p->group_name[g],
					       p->group_name[w * 64 + (unsigned)__builtin_ctzll(by)]);
			set_add(&p->by_name, g);
		}
	}
	return 0;
}

static int put_in_order(struct ordering *o, struct policy *p, unsigned *at, struct err *e)
{
	int rc = 0;

	memset(o, 0, sizeof(*o));
	o->p = p;
	for (unsigned g = 0; g < p->ngroups && !rc; g++)
		rc = visit(o, g, at, e);
	return rc ? rc : spread_names(o, at, e);
}

int nest_check(struct policy *p, unsigned *group, struct err *e)
{
	struct ordering o;

	return put_in_order(&o, p, group, e);
}

/* ---- compiling ---- */

static uint32_t put_words(struct nest_word *out, uint32_t n, const struct group_set *s)
{
	for (unsigned w = 0; w < GROUP_WORDS; w++)
		if (s->bits[w])
			out[n++] = (struct nest_word){ s->bits[w], (uint16_t)w };
	return n;
}

static void build_members(struct nest *n, const struct ordering *o)
{
	uint32_t words = 0;

	for (unsigned i = 0; i < o->n; i++) {
		struct nested *g = &n->group[i];
		const struct group_set *is = &o->p->nest.member[0][o->order[i]];

		g->no = o->order[i];
		g->first = words;
		g->not = words = put_words(n->word, words, is);
		g->end = words = put_words(n->word, words, &o->p->nest.member[1][o->order[i]]);
		if (g->first == g->not)
			set_add(&n->always, i);		/* set by its place in the order, as `above` is */
		for (unsigned w = 0; w < GROUP_WORDS; w++)
			n->members.bits[w] |= is->bits[w];
	}
}

static void build_above(struct nest *n, const struct ordering *o)
{
	uint32_t words = 0;

	for (unsigned g = 0; g < o->p->ngroups; g++) {
		struct group_set above = { { 0 } };

		n->above_first[g] = words;
		for (unsigned i = 0; i < o->n && set_has(&n->members, g); i++)
			if (set_has(&o->p->nest.member[0][o->order[i]], g))
				set_add(&above, i);
		words = put_words(n->above, words, &above);
	}
	n->above_first[o->p->ngroups] = words;
}

bool nest_build(struct policy *p)
{
	struct nest *n = &p->nest;
	struct ordering o;
	struct err e;
	unsigned at;

	if (put_in_order(&o, p, &at, &e))
		return false;
	if (!o.n)
		return true;
	n->group = calloc(o.n, sizeof(*n->group));
	n->word = calloc((size_t)o.n * 2 * GROUP_WORDS, sizeof(*n->word));
	n->above = calloc((size_t)p->ngroups * GROUP_WORDS, sizeof(*n->above));
	n->above_first = calloc(p->ngroups + 1, sizeof(*n->above_first));
	if (!n->group || !n->word || !n->above || !n->above_first)
		return false;
	build_members(n, &o);
	build_above(n, &o);
	n->n = o.n;
	free(n->member[0]);
	n->member[0] = n->member[1] = NULL;
	return true;
}

void nest_free(struct nest *n)
{
	free(n->member[0]);
	free(n->group);
	free(n->word);
	free(n->above);
	free(n->above_first);
}
