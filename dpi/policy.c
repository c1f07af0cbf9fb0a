/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy: which groups the ends of a flow are in, by address, workload and names, and what else a policy tells of itself.
 *
 * A built policy is read by all workers at once and never changes. policy_build.c makes it, policy_table.h is between the two, and
 * policy_judge.c asks its rules. */
#include "dpi/policy_table.h"

/* ---- groups ---- */

/* Do names hold, for groups that ask for them? */
struct named {
	uint64_t yes, may;
};

static struct named named(const struct policy_names *n, unsigned not, unsigned w)
{
	uint64_t addr = n ? n->of_addr[not].bits[w] : 0, later = n && n->later ? ~addr : 0;

	if (!n)
		return (struct named){ 0, 0 };
	switch (n->shown) {
	case SHOWN_NONE:
		return (struct named){ addr, later };
	case SHOWN_YES:
		return (struct named){ addr & n->of_flow[not].bits[w], later & n->of_flow[not].bits[w] };
	case SHOWN_LOST:
		return (struct named){ 0, (addr | later) & n->of_flow[not].bits[w] };
	case SHOWN_LATER:
		break;
	}
	return (struct named){ 0, addr | later };
}

/* A word of groups some of which ask for names or members: held and gone are what workload and address say. */
static void undecided_word(const struct policy *p, const struct policy_names *names, unsigned w, uint64_t held, uint64_t gone, struct nest_parts *own, struct group_set *out,
			   struct group_set *sure)
{
	uint64_t fqdn = p->has_fqdn.bits[w], minus_fqdn = p->minus_fqdn.bits[w], nested = p->has_member.bits[w] | p->minus_member.bits[w];
	struct named is = named(names, 0, w), isnt = named(names, 1, w);

	own->held[0].bits[w] = held & (is.yes | ~fqdn);
	own->held[1].bits[w] = held & (is.yes | is.may | ~fqdn);
	own->gone[0].bits[w] = gone & (isnt.yes | ~minus_fqdn);
	own->gone[1].bits[w] = gone & (isnt.yes | isnt.may | ~minus_fqdn);
	sure->bits[w] = own->held[0].bits[w] & ~own->gone[1].bits[w] & ~nested;
	out->bits[w] = own->held[1].bits[w] & ~own->gone[0].bits[w] & ~nested;
}

void policy_groups_named(const struct policy *p, const struct addr *a, const struct group_set *workload, const struct policy_names *names, struct group_set *out,
			 struct group_set *sure)
{
	struct group_set in = { { 0 } }, not = { { 0 } };
	struct nest_parts own;
	bool v4 = addr_is_v4(a);

	for (uint32_t i = prefix_map_find(&p->nets, prefix_key_of(a)); i != PREFIX_NONE; i = p->nets.parent[i]) {
		if (v4 && p->nets.prefix[i].len < 96)
			break;		/* ::/0 is all of IPv6, not IPv4 in its mapped form */
		for (uint32_t k = p->net_first[i]; k < p->net_first[i + 1]; k++)
			(p->net[k].not ? &not : &in)->bits[p->net[k].word] |= p->net[k].bits;
	}
	memset(out, 0, sizeof(*out));
	memset(sure, 0, sizeof(*sure));
	for (unsigned w = 0; w < group_words(p); w++) {
		const struct group_keys *k = &p->keys[w];
		uint64_t bits = workload ? workload->bits[w] : 0;
		uint64_t held = k->asks & (in.bits[w] | ~k->cidr) & (bits | ~k->needs), gone = k->takes & (not.bits[w] | ~k->minus_cidr) & (bits | ~k->minus);

		if (k->more)
			undecided_word(p, names, w, held, gone, &own, out, sure);
		else
			sure->bits[w] = out->bits[w] = held & ~gone;
	}
	set_add(out, POLICY_GROUP_ANY);
	set_add(sure, POLICY_GROUP_ANY);
	if (p->nest.n)
		nest_close(p, &own, out, sure);
}

enum policy_mode policy_mode_of(const struct policy *p, const struct group_set *s)
{
	for (unsigned w = 0; w < group_words(p); w++) {
		uint64_t hit = s->bits[w] & p->has_mode.bits[w];

		if (hit)
			return p->group_mode[w * 64 + (unsigned)__builtin_ctzll(hit)];
	}
	return p->default_mode;
}

/* ---- names ---- */

bool policy_asks_names(const struct policy *p) { return p->fqdn.n != 0; }

void policy_name_of_addr(const struct policy *p, struct policy_names *n, struct bytes clean) { fqdn_mark(&p->fqdn, clean, &n->of_addr[0], &n->of_addr[1]); }

/* What is not a name is none of any group. */
static void shown(const struct policy *p, struct policy_names *n, struct bytes text)
{
	struct group_set in[2] = { { { 0 } }, { { 0 } } };
	char name[FQDN_NAME_MAX + 1];
	size_t len = fqdn_name(text, name);

	if (len)
		fqdn_mark(&p->fqdn, (struct bytes){ (const uint8_t *)name, len }, &in[0], &in[1]);
	for (unsigned not = 0; not < 2; not++)
		for (unsigned w = 0; w < POLICY_GROUPS_MAX / 64; w++)
			n->of_flow[not].bits[w] = n->shown == SHOWN_YES ? n->of_flow[not].bits[w] & in[not].bits[w] : in[not].bits[w];
	n->shown = SHOWN_YES;
}

/* A websocket's name was shown by the request that began it. */
static bool shows_names(enum app a) { return a == APP_TLS || a == APP_DTLS || a == APP_QUIC || (app_is(a, APP_HTTP) && a != APP_WEBSOCKET); }

void policy_name_of_flow(const struct policy *p, struct policy_names *n, bool app_known, enum app app, const struct facts *f)
{
	const uint8_t *pos = f ? f->body : NULL, *end = f && f->len ? f->body + f->len : pos;
	bool partial = f && f->partial;
	const struct item *it;
	const void *v;

	n->shown = SHOWN_NONE;
	while (pos != end && (it = item_next(&pos, end, &v))) {
		if (it->kind == ITEM_STR && it->fact && (it->fact->role == FACT_TLS_SNI || it->fact->role == FACT_HTTP_HOST))
			shown(p, n, (struct bytes){ v, it->len });
		partial |= it->kind == ITEM_BOOL && it->fact && it->fact->role == FACT_PARTIAL;
	}
	if (n->shown == SHOWN_NONE && app_known && !shows_names(app))
		return;
	if (!f)
		n->shown = SHOWN_LATER;
	if (!partial)
		return;
	if (n->shown == SHOWN_NONE)
		memset(n->of_flow, 0xff, sizeof(n->of_flow));
	n->shown = SHOWN_LOST;	/* another one beside what is there */
}

/* ---- fields of requests ---- */

bool policy_has_headers(const struct policy *p) { return p->nheaders != 0; }

const struct fact *policy_header(const struct policy *p, struct bytes name)
{
	for (unsigned i = 0; i < p->nheaders; i++) {
		const char *want = p->header[i]->name;
		size_t n = strlen(want);

		if (name.n == n && match_glob((struct bytes){ (const uint8_t *)want, n }, name, true, false))
			return p->header[i];
	}
	return NULL;
}

bool policy_asks(const struct policy *p, enum app a) { return p->asked.bits[a / 64] >> (a % 64) & 1; }
