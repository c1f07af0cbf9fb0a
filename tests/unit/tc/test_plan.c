/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wanted and present in, changes out, without a kernel. A small model of the kernel carries the changes out: it refuses what the
 * kernel refuses (a node into a table that is not there, a link to nowhere), and must end up with what is wanted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include "tc/deny.h"
#include "tests/unit/unit.h"

#define WANTS 12

/* The ways that want 9 has: 100 of both families on both hooks. */
static struct deny_set *ways(void)
{
	static struct deny_set *s;
	struct deny_way w = { .src = addr_v4((const uint8_t[]){ 10, 0, 0, 1 }), .dst = addr_v4((const uint8_t[]){ 10, 0, 0, 2 }), .dport = 443, .ipproto = 6 };
	uint32_t id, oldest;

	if (s)
		return s;
	s = deny_new(NULL);
	CU_ASSERT_FATAL(s != NULL);
	for (unsigned i = 0; i < 100; i++) {
		w.sport = (uint16_t)(40000 + i);
		if (i == 50)
			w.src.b[0] = w.dst.b[0] = 0xfd;
		CU_ASSERT_EQUAL_FATAL(deny_add(s, i & 1, &w, i, &id, &oldest), 0);
	}
	return s;
}

static struct tc_want want_of(unsigned i)
{
	struct tc_want w = { .ifindex = 7, .to_leaving = 20, .to_entering = 21 };
	struct app_ports few = { .n = 4, .port = { { 6, 8080 }, { 6, 443 }, { 17, 53 }, { 6, 8080 } } }, tcp = { .n = 1, .port = { { 6, 8080 + 64 } } }, all = { .all = true };

	switch (i) {
	case 0:
		break;
	case 1:
		w.exclude_sport[0] = w.exclude_dport[1] = few;
		break;
	case 2:
		w.exclude_sport[0] = w.exclude_dport[0] = w.exclude_sport[1] = w.exclude_dport[1] = few;
		break;
	case 3:
		w.exclude_dport[0] = w.exclude_sport[1] = tcp;
		break;
	case 4:
		w.exclude_sport[0] = w.exclude_dport[1] = all;
		break;
	case 5:
		w.to_leaving = 30;
		w.to_entering = 31;
		w.exclude_sport[0] = few;
		break;
	case 6:
		w.exclude_sport[1] = tcp;
		w.exclude_dport[1] = few;
		break;
	case 7:
		w.exclude_sport[0] = w.exclude_dport[1] = few;
		w.quarantine = true;
		break;
	case 8:
		w.deny = ways();
		w.exclude_sport[0] = few;
		break;
	case 9: {
		static struct fence fence[6] = {
			{ .ipproto = 6, .lo = 1, .hi = 65535, .from_hi = 65535 }, { .ipproto = 6, .hi = 65535, .from_hi = 65535 }, { .ipproto = 6, .lo = 80, .hi = 80, .from_hi = 65535 },
			{ .ipproto = 17, .lo = 53, .hi = 54, .from_lo = 1, .from_hi = 4 }, { .ipproto = 1, .hi = 65535, .from_hi = 65535 }, { .ipproto = 58, .hi = 65535, .from_hi = 65535 },
		};
		static struct deny_set *none;
		static struct addr own[3];

		fence[1].peer = (struct cidr){ addr_v4((const uint8_t[]){ 10, 0, 0, 0 }), 104 };
		fence[2].peer = (struct cidr){ addr_v6((const uint8_t[16]){ 0xfd }), 8 };
		if (!none)
			none = deny_new(NULL);
		w.deny = none;
		w.fence[0] = w.fence[1] = fence;
		fence[3].peer = fence[4].peer = fence[1].peer;
		fence[5].peer = fence[2].peer;
		w.nfence[0] = 6;
		w.nfence[1] = 4;
		own[0] = addr_v4((const uint8_t[]){ 10, 9, 0, 2 });
		own[1] = addr_v6((const uint8_t[16]){ 0xfd, 9 });
		own[2] = addr_v6((const uint8_t[16]){ 0xfe, 0x80 });
		w.own = own;
		w.nown = 3;
		break;
	}
	case 10: {	/* the same, and the workload has others of its addresses */
		static struct addr own[2];

		own[0] = addr_v4((const uint8_t[]){ 10, 9, 0, 3 });
		own[1] = addr_v4((const uint8_t[]){ 10, 9, 0, 4 });
		w = want_of(9);
		w.own = own;
		w.nown = 2;
		break;
	}
	default:
		for (unsigned j = 0; j < APP_PORTS_MAX; j++)
			w.exclude_sport[0].port[j] = (struct app_port){ 6, (uint16_t)(1 + j * 1021) };
		w.exclude_sport[0].n = APP_PORTS_MAX;
	}
	return w;
}

static struct u32_filter *look(struct u32_list *l, const struct u32_filter *f)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->f[i].handle == f->handle && l->f[i].pref == f->pref)
			return &l->f[i];
	return NULL;
}

static bool has_table(const struct u32_list *l, unsigned table)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->f[i].divisor && U32_TABLE(l->f[i].handle) == table)
			return true;
	return false;
}

static bool linked(const struct u32_list *l, unsigned table)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->f[i].link == table)
			return true;
	return false;
}

static struct u32_list *list_of(struct plan_present *k, int hook, const struct u32_filter *f) { return deny_is_way(f) ? &k->way[hook] : &k->list[hook]; }

static void model_put(struct plan_present *k, const struct change *c)
{
	struct u32_list *l = list_of(k, c->hook, &c->f), *tables = &k->list[c->hook];
	struct u32_filter f = c->f, *there = look(l, &f);

	CU_ASSERT_FATAL(k->clsact);
	CU_ASSERT(!f.link || has_table(tables, f.link));
	CU_ASSERT(f.divisor || U32_TABLE(f.handle) == U32_ROOT || has_table(tables, U32_TABLE(f.handle)));
	CU_ASSERT_EQUAL(there != NULL, f.kernel_handle != 0);	/* a change in place names what it changes; what is new is new */
	f.kernel_handle = U32_TABLE(f.handle) == U32_ROOT ? U32_HANDLE(0x800 + f.pref % 16, 0, U32_NODE(f.handle)) : f.handle;
	if (there)
		*there = f;
	else
		CU_ASSERT_EQUAL_FATAL(plan_list_add(l, &f), 0);
}

static void model_del(struct plan_present *k, const struct change *c)
{
	struct u32_list *l = list_of(k, c->hook, &c->f);
	struct u32_filter *there = look(l, &c->f);

	if (!there)	/* gone with its table */
		return;
	if (there->divisor) {
		unsigned table = U32_TABLE(there->handle), n = 0;

		CU_ASSERT(!linked(l, table));
		for (unsigned i = 0; i < l->n; i++)
			if (U32_TABLE(l->f[i].handle) != table)
				l->f[n++] = l->f[i];
		l->n = n;
		return;
	}
	*there = l->f[--l->n];
}

/* Mirrors that stand on a hook: never two. */
static unsigned mirrors(const struct u32_list *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->n; i++)
		n += l->f[i].mirror_to && !l->f[i].redirect;
	return n;
}

static unsigned carry_out(const struct tc_want *w, struct plan_present *k)
{
	unsigned mirrored[2] = { mirrors(&k->list[0]), mirrors(&k->list[1]) }, n;
	struct plan p;

	CU_ASSERT_EQUAL_FATAL(filter_plan(w, k, &p), 0);
	CU_ASSERT_EQUAL(p.n != 0, p.differs[0] != 0);
	for (unsigned i = 0; i < p.n; i++) {
		switch (p.c[i].kind) {
		case CHANGE_QDISC_DEL:
			CU_ASSERT(k->remake);
			break;
		case CHANGE_QDISC_ADD:
			CU_ASSERT(!k->clsact);
			k->clsact = k->made = true;
			k->remake = false;
			break;
		case CHANGE_DEL:
			model_del(k, &p.c[i]);
			break;
		case CHANGE_PUT:
			model_put(k, &p.c[i]);
			break;
		}
		for (int h = 0; h < 2; h++) {
			CU_ASSERT(mirrors(&k->list[h]) <= 1);
			CU_ASSERT(!mirrored[h] || mirrors(&k->list[h]) == 1);	/* never without one on the way */
		}
	}
	n = p.n;
	plan_free(&p);
	return n;
}

static void free_model(struct plan_present *k)
{
	for (int h = 0; h < 2; h++) {
		plan_list_free(&k->list[h]);
		plan_list_free(&k->way[h]);
	}
}

/* From every want to every other, and from there to nothing new. */
static void test_every_transition(void)
{
	for (unsigned from = 0; from < WANTS; from++)
		for (unsigned to = 0; to < WANTS; to++) {
			struct plan_present k = { .clsact = false };
			struct tc_want a = want_of(from), b = want_of(to);

			CU_ASSERT(carry_out(&a, &k) > 2);
			CU_ASSERT_EQUAL(carry_out(&a, &k), 0);
			CU_ASSERT_EQUAL(carry_out(&b, &k) == 0, from == to);
			CU_ASSERT_EQUAL(carry_out(&b, &k), 0);
			CU_ASSERT_EQUAL(k.way[0].n, to == 8 ? 75 : 0);	/* 25 of IPv4, 25 of IPv6 with a second one for its fragments */
			free_model(&k);
		}
}

static unsigned nodes(const struct u32_list *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->n; i++)
		n += !l->f[i].divisor;
	return n;
}

/* A foreign filter on a hook: nothing is excluded there, the other hook is as before. */
static void test_foreign(void)
{
	struct plan_present k = { .clsact = false };
	struct tc_want w = want_of(2);

	carry_out(&w, &k);
	CU_ASSERT(nodes(&k.list[0]) > 5 && nodes(&k.list[1]) > 5);
	k.foreign[0] = 1;
	CU_ASSERT(carry_out(&w, &k) > 0);
	CU_ASSERT_EQUAL(nodes(&k.list[0]), 1);
	CU_ASSERT(nodes(&k.list[1]) > 5);
	CU_ASSERT_EQUAL(carry_out(&w, &k), 0);
	k.foreign[0] = 0;
	CU_ASSERT(carry_out(&w, &k) > 0);
	CU_ASSERT(nodes(&k.list[0]) > 5);
	free_model(&k);
}

/* Each filter taken away or altered alone is put back. */
static void test_tampering(void)
{
	struct tc_want w = want_of(2);
	struct plan_present k = { .clsact = false };
	unsigned count;

	carry_out(&w, &k);
	count = k.list[0].n;
	for (unsigned i = 0; i < count; i++)
		for (int how = 0; how < 4; how++) {
			struct u32_list *l = &k.list[0];
			struct u32_filter *f = &l->f[i];
			unsigned rounds = 0;

			if (f->divisor && how != 3)
				continue;
			switch (how) {
			case 0:
				*f = l->f[--l->n];
				break;
			case 1:
				f->classid ^= 1;
				break;
			case 2:
				f->nkeys = 1;
				f->key[0].mask ^= 0x10;
				break;
			case 3:
				f->odd = true;
				break;
			}
			if (how == 2 && f->mirror_to) {		/* a mirror that must be made anew: the model's rule of "never without" is for the rest */
				f->nkeys = 0;
				continue;
			}
			while (carry_out(&w, &k) && rounds < 4)
				rounds++;
			CU_ASSERT(rounds == 1 || (rounds == 2 && how == 3));
			CU_ASSERT_EQUAL(nodes(&k.list[0]), nodes(&k.list[1]));
		}
	free_model(&k);
}

/* Does one of the filters at quarantine's preference match this packet? At -4 the last bytes of the link header stand. */
static bool cut(const struct u32_list *l, const uint8_t *packet, size_t len, int hook)
{
	for (unsigned i = 0; i < l->n; i++) {
		const struct u32_filter *f = &l->f[i];
		bool hit = f->pref == PREF_QUARANTINE(hook);

		for (unsigned k = 0; hit && k < f->nkeys; k++) {
			const uint8_t *p = packet + 4 + f->key[k].off;
			uint32_t word;

			if ((size_t)(4 + f->key[k].off) + 4 > len)
				return false;	/* as the kernel: the whole preference */
			word = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
			hit = (word & f->key[k].mask) == f->key[k].value;
		}
		if (hit) {
			CU_ASSERT(f->redirect && f->mirror_to == (hook ? 21 : 20));
			return true;
		}
	}
	return false;
}

/* Every ethertype, next header and type of ICMPv6: all is cut off but ARP and neighbour discovery, on both hooks. */
static void test_quarantine(void)
{
	struct tc_want w = want_of(7);

	for (int hook = 0; hook < 2; hook++) {
		struct u32_list l = { .n = 0 };
		uint8_t p[4 + 48] = { 0 };

		CU_ASSERT_EQUAL_FATAL(plan_wanted(&w, hook, &(struct plan_present){ .made = true }, &l), 0);
		CU_ASSERT(l.n < 64);
		for (unsigned type = 0; type < 65536; type++) {
			p[2] = (uint8_t)(type >> 8);
			p[3] = (uint8_t)type;
			if (type != ETH_P_IPV6)
				CU_ASSERT_EQUAL(cut(&l, p, 5, hook), type != ETH_P_ARP);
		}
		p[2] = 0x86;
		p[3] = 0xdd;
		for (unsigned next = 0; next < 256; next++)
			for (unsigned type = 0; type < 256; type++) {
				p[4 + 6] = (uint8_t)next;
				p[4 + 40] = (uint8_t)type;
				CU_ASSERT_EQUAL(cut(&l, p, 4 + 41, hook), !(next == 58 && type >= 133 && type <= 136));
			}
		for (unsigned i = 0; i < l.n; i++)
			CU_ASSERT(!l.f[i].classid);	/* nothing is excluded */
		plan_list_free(&l);
	}
}

/* A crash left the filters of another bridge: changed in place, nothing else is touched. */
static void test_other_bridge(void)
{
	struct plan_present k = { .clsact = false };
	struct tc_want w = want_of(2);
	struct plan p;

	carry_out(&w, &k);
	w.to_leaving = 40;
	w.to_entering = 41;
	CU_ASSERT_EQUAL_FATAL(filter_plan(&w, &k, &p), 0);
	CU_ASSERT_EQUAL(p.n, 2);
	for (unsigned i = 0; i < p.n; i++)
		CU_ASSERT(p.c[i].kind == CHANGE_PUT && p.c[i].f.kernel_handle && p.c[i].f.mirror_to == 40 + (int)i);
	plan_free(&p);
	free_model(&k);
}

static void test_place(void)
{
	static const struct {
		struct plan_qdisc q;
		enum tc_block_mode mode;
		bool made, foreign;
		enum plan_place want;
	} t[] = {
		{ { false, false, { 0, 0 } }, TC_BLOCKS_DEVICE, false, false, PLACE_DEVICE },
		{ { false, false, { 0, 0 } }, TC_BLOCKS_SHARED, false, false, PLACE_SHARED },
		{ { false, true, { 0, 0 } }, TC_BLOCKS_DEVICE, false, false, PLACE_REFUSED },
		{ { false, true, { 0, 0 } }, TC_BLOCKS_SHARED, false, false, PLACE_REFUSED },
		{ { true, false, { 0, 0 } }, TC_BLOCKS_SHARED, false, false, PLACE_DEVICE },	/* somebody else's clsact */
		{ { true, false, { 0, 0 } }, TC_BLOCKS_SHARED, true, true, PLACE_DEVICE },	/* ours, with somebody else's filter on it */
		{ { true, false, { 0, 0 } }, TC_BLOCKS_SHARED, true, false, PLACE_SHARED },
		{ { true, false, { 5, 6 } }, TC_BLOCKS_DEVICE, false, false, PLACE_REFUSED },
		{ { true, false, { 5, 0 } }, TC_BLOCKS_SHARED, false, false, PLACE_REFUSED },
		{ { true, false, { BLOCK(3, 0), BLOCK(3, 1) } }, TC_BLOCKS_SHARED, true, false, PLACE_SHARED },
		{ { true, false, { BLOCK(3, 0), BLOCK(3, 1) } }, TC_BLOCKS_DEVICE, true, false, PLACE_DEVICE },
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct err err = { "" };

		CU_ASSERT_EQUAL(plan_place(&t[i].q, t[i].mode, t[i].made, t[i].foreign, &err), t[i].want);
		CU_ASSERT_EQUAL(err.text[0] != 0, t[i].want == PLACE_REFUSED);
	}
}

/* The key says what is excluded and nothing else. */
static void test_key(void)
{
	uint64_t key[WANTS];		/* but for those with denied flows, which are not for shared blocks */
	struct tc_want a = want_of(1), b = a;

	for (unsigned i = 0; i < WANTS; i++) {
		struct tc_want w = want_of(i);

		key[i] = plan_key(&w);
		for (unsigned j = 0; j < i && !w.deny; j++)
			CU_ASSERT(want_of(j).deny || key[i] != key[j]);
	}
	b.ifindex = 99;
	b.exclude_sport[0].port[0] = a.exclude_sport[0].port[1];
	b.exclude_sport[0].port[1] = a.exclude_sport[0].port[0];
	b.exclude_sport[0].n = 3;	/* the fourth was named twice */
	CU_ASSERT_EQUAL(plan_key(&a), plan_key(&b));
	b.exclude_sport[0].n = 2;
	CU_ASSERT_NOT_EQUAL(plan_key(&a), plan_key(&b));
}

/* A set holds what it should: the oldest goes first, of a full bucket its own; no two places are one. */
static void test_ways(void)
{
	struct deny_set *s = deny_new(NULL);
	struct deny_way w = { .src = addr_v4((const uint8_t[]){ 10, 0, 0, 1 }), .dst = addr_v4((const uint8_t[]){ 10, 0, 0, 2 }), .dport = 443, .ipproto = 6 };
	uint32_t id, oldest = 0, first;
	struct u32_filter f[DENY_FILTERS], g[DENY_FILTERS];
	unsigned n;

	CU_ASSERT_FATAL(s != NULL);
	for (n = 0; n < DENY_BUCKET_MAX; n++) {
		w.sport = (uint16_t)(7 + 256 * n);
		CU_ASSERT_EQUAL(deny_add(s, 0, &w, 100 + n, &id, &oldest), 0);
		if (!n)
			first = id;
		deny_filters(s, id, 9, f);
		CU_ASSERT(U32_BUCKET(f[0].handle) == 7 && U32_NODE(f[0].handle) >= 1);
	}
	CU_ASSERT_EQUAL(deny_add(s, 0, &w, 1, &id, &oldest), -EEXIST);
	w.sport = (uint16_t)(7 + 256 * n);
	CU_ASSERT(deny_add(s, 0, &w, 1, &id, &oldest) == -ENOSPC && oldest == 100);
	deny_filters(s, first, 9, f);
	deny_del(s, first);
	CU_ASSERT_EQUAL(deny_add(s, 0, &w, 1, &id, &oldest), 0);
	deny_filters(s, id, 9, g);
	CU_ASSERT_EQUAL(f[0].handle, g[0].handle);		/* the place that was free */
	w.sport = (uint16_t)(7 + 256 * (n + 1));
	CU_ASSERT(deny_add(s, 0, &w, 2, &id, &oldest) == -ENOSPC && oldest == 101);
	w.to_client = true;
	w.dport = 5000;
	CU_ASSERT_EQUAL(deny_add(s, 1, &w, 3, &id, &oldest), 0);
	w.to_client = false;
	for (n = deny_count(s); n < DENY_MAX; n++) {
		w.sport = (uint16_t)n;
		w.dst.b[15] = (uint8_t)(3 + n / 4096);
		if ((n & 0xff) == 7)
			w.sport = (uint16_t)(n + 1), w.dst.b[14] = 9;
		CU_ASSERT_EQUAL_FATAL(deny_add(s, 0, &w, 1000 + n, &id, &oldest), 0);
		w.dst.b[14] = 0;
	}
	w.sport = 60001;
	CU_ASSERT(deny_add(s, 0, &w, 4, &id, &oldest) == -ENOSPC && oldest == 101);
	CU_ASSERT_EQUAL(deny_count(s), DENY_MAX);
	deny_free(s);
	deny_free(NULL);
}

/* By a key, ports chosen to meet in one bucket do not. */
static void test_ways_hashed(void)
{
	static const struct hash_key by = { { 11, 12 } };
	struct deny_set *s = deny_new(&by);
	struct deny_way w = { .src = addr_v4((const uint8_t[]){ 10, 0, 0, 1 }), .dst = addr_v4((const uint8_t[]){ 10, 0, 0, 2 }), .dport = 443, .ipproto = 6 };
	uint32_t id, oldest;
	int hook;

	for (unsigned n = 0; n < DENY_MAX; n++) {
		w.to_client = n & 1;
		w.src.b[13] = (uint8_t)(n / 512);
		w.sport = (uint16_t)(7 + 256 * (n / 2 % 256));
		CU_ASSERT_EQUAL(deny_add(s, n & 1, &w, n, &id, &oldest), 0);
		CU_ASSERT(deny_add(s, n & 1, &w, n, &id, &oldest) == -EEXIST && deny_way(s, id, &hook)->sport == w.sport && hook == (int)(n & 1));
	}
	w.sport = 1;
	CU_ASSERT(deny_add(s, 0, &w, 1, &id, &oldest) == -ENOSPC && oldest == 0);
	deny_del(s, 5);
	CU_ASSERT(!deny_way(s, 5, &hook) && deny_ids(s) == DENY_MAX);
	CU_ASSERT(deny_add(s, 0, &w, 1, &id, &oldest) == 0 && id == 5);
	deny_free(s);
}

static int fences_of(int hook, const struct fence *f, unsigned n, struct u32_list *out)
{
	const struct addr own = addr_v4((const uint8_t[]){ 10, 9, 0, 2 });
	struct tc_want w = { .own = &own, .nown = 1 };

	w.fence[hook] = f;
	w.nfence[hook] = n;
	return deny_fences(&w, hook, 9, out);
}

/* Every range of ports is said exactly, by few blocks. */
static void test_fence_blocks(void)
{
	static const struct { uint16_t lo, hi; unsigned cost; } t[] = {
		{ 0, 65535, 1 }, { 1, 65535, 16 }, { 80, 80, 1 }, { 80, 81, 1 }, { 81, 82, 2 }, { 0, 1023, 1 }, { 1024, 65535, 6 }, { 65535, 65535, 1 }, { 0, 0, 1 }, { 1, 65534, 30 },
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct fence f = { .peer = { addr_v4((const uint8_t[]){ 10, 0, 0, 0 }), 104 }, .ipproto = 6, .lo = t[i].lo, .hi = t[i].hi, .from_hi = 65535 };
		struct u32_list l = { .n = 0 };
		unsigned hits = 0, right = 0;

		CU_ASSERT_EQUAL(deny_fence_cost(&f), t[i].cost);
		CU_ASSERT_EQUAL_FATAL(fences_of(1, &f, 1, &l), 0);
		CU_ASSERT_EQUAL(l.n, 2 + t[i].cost + 2);
		for (uint32_t port = 0; port < 65536; port++)
			for (unsigned k = 2; k < 2 + t[i].cost; k++) {
				const struct u32_key *p = l.f[k].nkeys == 2 ? &l.f[k].key[1] : NULL;
				bool hit = !p || (port & p->mask) == p->value;

				hits += hit;
				right += hit && port >= f.lo && port <= f.hi;
			}
		CU_ASSERT(hits == right && hits == 1u + f.hi - f.lo);
		plan_list_free(&l);
	}
}

/* UDP: each pair of ports in the rectangle by one filter, no other; what has no room is told. */
static void test_fence_pairs(void)
{
	struct fence f[3] = { { .peer = { addr_v4((const uint8_t[]){ 10, 0, 0, 0 }), 104 }, .ipproto = 17, .lo = 3, .hi = 21, .from_lo = 1000, .from_hi = 1100 } };
	struct u32_list l = { NULL, 0, 0 };
	unsigned hits = 0, wrong = 0, cost = deny_fence_cost(&f[0]);

	CU_ASSERT_EQUAL(cost, 5 * 6);	/* 3, 4-7, 8-15, 16-19, 20-21: five; 1000-1007, 1008-1023, 1024-1087, 1088-1095, 1096-1099, 1100 */
	CU_ASSERT_EQUAL_FATAL(fences_of(0, f, 1, &l), 0);
	CU_ASSERT_EQUAL(l.n, 1 + cost + 1);
	for (uint32_t from = 990; from < 1110; from++)
		for (uint32_t to = 0; to < 30; to++)
			for (unsigned k = 1; k < 1 + cost; k++) {
				const struct u32_key *p = &l.f[k].key[1];
				bool hit = ((from << 16 | to) & p->mask) == p->value;

				hits += hit;
				wrong += hit && (to < 3 || to > 21 || from < 1000 || from > 1100);
			}
	CU_ASSERT(!wrong && hits == 19 * 101);
	plan_list_free(&l);
	f[0].pass = true;	/* the same, and none of them stops */
	CU_ASSERT_EQUAL_FATAL(fences_of(0, f, 1, &l), 0);
	for (unsigned k = 1; k < 1 + cost; k++)
		CU_ASSERT(!l.f[k].redirect && !l.f[k].link && !l.f[k].flags && l.f[k].nkeys == 3 && l.f[k].key[2].off > 1 << 20);
	plan_list_free(&l);
	f[1] = f[2] = f[0];
	CU_ASSERT_EQUAL(deny_fences_over(f, 2), 0);	/* 60 of 64 */
	CU_ASSERT_EQUAL(deny_fences_over(f, 3), 1);
	f[2].ipproto = 6;
	CU_ASSERT_EQUAL(deny_fences_over(f, 3), 0);
	f[1].from_hi = 60000;	/* no room for the second: what comes behind it has none either */
	f[2] = f[0];
	CU_ASSERT_EQUAL(deny_fences_over(f, 3), 2);
	CU_ASSERT_EQUAL_FATAL(fences_of(0, f, 3, &l), 0);
	CU_ASSERT_EQUAL(l.n, 1 + cost + 1);
	plan_list_free(&l);
}

const struct unit_test tests_plan[] = {
	{ "denied flows: places, caps, the oldest", test_ways },
	{ "denied flows of the bpf engine: no bucket to fill", test_ways_hashed },
	{ "fences: ranges of ports", test_fence_blocks },
	{ "fences: pairs of ports", test_fence_pairs },
	{ "every transition", test_every_transition },
	{ "foreign filters", test_foreign },
	{ "tampering", test_tampering },
	{ "another bridge", test_other_bridge },
	{ "quarantine: all but ARP and neighbour discovery", test_quarantine },
	{ "where filters belong", test_place },
	{ "key of a want", test_key },
	{ 0 },
};
