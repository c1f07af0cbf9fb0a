/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Building what is wanted, and comparing it with what is there. The layout of the filters is told in plan.h.
 *
 * Order of the changes on one hook, so that no packet is copied twice and few are copied or missed wrongly on the way:
 *   away: mirror, quarantine, root nodes, then the nodes that they lead to, then ports    (an exclusion ends before it is taken apart)
 *   new:  tables, ports, nodes that lead to them, root nodes, quarantine, mirror          (an exclusion begins when it is whole)
 * A mirror to another bridge is changed in place. A mirror that has to be made anew is one change after the other. */
#include "tc/deny.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

/* The order of building. */
enum rank { RANK_TABLE, RANK_PORT, RANK_AGAIN, RANK_ROOT, RANK_QUARANTINE, RANK_MIRROR, RANK_COUNT };

static enum rank rank_of(const struct u32_filter *f)
{
	unsigned table = U32_TABLE(f->handle), t = (table - TABLE_FIRST) & 7, d = (table - DENY_TABLE_FIRST) & 15;

	if (f->divisor)
		return RANK_TABLE;
	if (f->pref == PREF_QUARANTINE(0) || f->pref == PREF_QUARANTINE(1))
		return RANK_QUARANTINE;
	if (table == U32_ROOT)
		return f->pref == PREF_MIRROR(0) || f->pref == PREF_MIRROR(1) || f->prog ? RANK_MIRROR : RANK_ROOT;
	if (table >= DENY_TABLE_FIRST)
		return d == DENY_OPTIONS || d == DENY_SYN4 || d == DENY_SYN6 ? RANK_AGAIN : RANK_PORT;
	return t == TABLE_TCP || t == TABLE_UDP ? RANK_AGAIN : RANK_PORT;
}

/* ---- lists ---- */

static void *grown(void *old, unsigned *size, size_t each)
{
	unsigned n = *size ? *size * 2 : 32;
	void *p = n > 1u << 20 ? NULL : realloc(old, n * each);

	if (p)
		*size = n;
	return p;
}

int plan_list_add(struct u32_list *l, const struct u32_filter *f)
{
	if (l->n == l->size) {
		struct u32_filter *more = grown(l->f, &l->size, sizeof *more);

		if (!more)
			return -ENOMEM;
		l->f = more;
	}
	l->f[l->n++] = *f;
	return 0;
}

void plan_list_free(struct u32_list *l)
{
	free(l->f);
	memset(l, 0, sizeof *l);
}

static int add_change(struct plan *p, enum change_kind kind, int hook, const struct u32_filter *f)
{
	if (p->n == p->size) {
		struct change *more = grown(p->c, &p->size, sizeof *more);

		if (!more)
			return -ENOMEM;
		p->c = more;
	}
	p->c[p->n] = (struct change){ .kind = kind, .hook = hook };
	if (f)
		p->c[p->n].f = *f;
	p->n++;
	return 0;
}

void plan_free(struct plan *p)
{
	for (int h = 0; h < 2; h++)
		plan_list_free(&p->want[h]);
	free(p->c);
	memset(p, 0, sizeof *p);
}

/* *near: where the last one was found. Both lists are in about one order, so the next is seldom far. NULL: nobody asks in an order. */
static const struct u32_filter *find_near(const struct u32_list *l, uint16_t pref, uint32_t handle, unsigned *near)
{
	unsigned at = near && *near < l->n ? *near : 0;

	for (unsigned i = 0; i < l->n; i++, at = at + 1 < l->n ? at + 1 : 0)
		if (l->f[at].handle == handle && l->f[at].pref == pref) {
			if (near)
				*near = at;
			return &l->f[at];
		}
	return NULL;
}

static const struct u32_filter *find(const struct u32_list *l, uint16_t pref, uint32_t handle) { return find_near(l, pref, handle, NULL); }

/* ---- what is wanted ---- */

struct builder {
	struct u32_list *out;
	int hook;
	int rc;
};

static void add(struct builder *b, const struct u32_filter *f)
{
	if (!b->rc)
		b->rc = plan_list_add(b->out, f);
}

static void add_table(struct builder *b, enum plan_table t, unsigned divisor)
{
	add(b, &(struct u32_filter){ .handle = U32_HANDLE(TABLE(b->hook, t), 0, 0), .pref = PREF_IP4(b->hook), .ethertype = ETH_P_IP, .divisor = (uint16_t)divisor });
}

/* Source port: the high half of the first word of either header; destination port: the low one. RFC 9293, RFC 768. */
static void add_ports(struct builder *b, enum plan_table t, const struct app_ports *ports, uint8_t ipproto, bool source)
{
	unsigned shift = source ? 16 : 0;

	for (unsigned i = 0; i < ports->n; i++) {
		unsigned port = ports->port[i].port;
		struct u32_filter f = {
			.handle = U32_HANDLE(TABLE(b->hook, t), port % PORT_BUCKETS, 1 + port / PORT_BUCKETS), .pref = PREF_IP4(b->hook), .ethertype = ETH_P_IP,
			.nkeys = 1, .flags = TC_U32_TERMINAL, .classid = CLASS_OURS,
		};

		f.key[0] = (struct u32_key){ .value = port << shift, .mask = 0xffffu << shift };
		if (ports->port[i].ipproto == ipproto && !find(b->out, f.pref, f.handle))	/* the same port may be named twice */
			add(b, &f);
	}
}

static bool has(const struct app_ports *p, uint8_t ipproto)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->port[i].ipproto == ipproto)
			return true;
	return false;
}

/* The table that stands behind the IP header: every port at once, or on to the tables of ports. */
static void add_again(struct builder *b, enum plan_table t, bool tcp, bool all, bool sport, bool dport)
{
	struct u32_filter f = { .pref = PREF_IP4(b->hook), .ethertype = ETH_P_IP };

	if (tcp) {		/* SYN not set: bit 1 of the byte at 13 (RFC 9293); the handshake is mirrored, the witness */
		f.nkeys = 1;
		f.key[0] = (struct u32_key){ .mask = 0x00020000, .off = 12 };
	}
	if (all) {
		f.handle = U32_HANDLE(TABLE(b->hook, t), 0, 3);
		f.flags = TC_U32_TERMINAL;
		f.classid = CLASS_OURS;
		add(b, &f);
		return;
	}
	for (int d = 0; d < 2; d++) {
		if (!(d ? dport : sport))
			continue;
		f.handle = U32_HANDLE(TABLE(b->hook, t), 0, 1 + d);
		f.link = TABLE(b->hook, t + 1 + d);
		f.hmask = d ? 0x000000ff : 0x00ff0000;
		add(b, &f);
	}
}

/* IPv4: the protocol, no fragment (RFC 791: MF and offset are zero), on behind IHL words. */
static struct u32_filter root4(int hook, unsigned table, unsigned node, uint8_t ipproto)
{
	return (struct u32_filter){
		.handle = U32_HANDLE(U32_ROOT, 0, node), .pref = PREF_IP4(hook), .ethertype = ETH_P_IP, .nkeys = 2, .link = table,
		.flags = TC_U32_VAROFFSET | TC_U32_EAT, .offmask = 0x0f00, .offshift = 6,
		.key = { { .value = (uint32_t)ipproto << 16, .mask = 0x00ff0000, .off = 8 }, { .mask = 0x00003fff, .off = 4 } },
	};
}

/* IPv6: the protocol as the first next header (RFC 8200): neither extension headers nor fragments. */
static struct u32_filter root6(int hook, unsigned table, unsigned node, uint8_t ipproto)
{
	return (struct u32_filter){
		.handle = U32_HANDLE(U32_ROOT, 0, node), .pref = PREF_IP6(hook), .ethertype = ETH_P_IPV6, .nkeys = 1, .link = table,
		.flags = TC_U32_OFFSET | TC_U32_EAT, .off = 40,
		.key = { { .value = (uint32_t)ipproto << 8, .mask = 0x0000ff00, .off = 4 } },
	};
}

static bool add_protocol(struct builder *b, const struct app_ports *sport, const struct app_ports *dport, bool tcp, bool roots)
{
	uint8_t ipproto = tcp ? IPPROTO_TCP : IPPROTO_UDP;
	enum plan_table t = tcp ? TABLE_TCP : TABLE_UDP;
	bool all = sport->all || dport->all, s = !all && has(sport, ipproto), d = !all && has(dport, ipproto);
	unsigned node = tcp ? 1 : 2;
	struct u32_filter f;

	if (!all && !s && !d)
		return false;
	if (roots) {
		f = root4(b->hook, TABLE(b->hook, t), node, ipproto);
		add(b, &f);
		f = root6(b->hook, TABLE(b->hook, t), node, ipproto);
		add(b, &f);
		return true;
	}
	add_table(b, t, 1);
	if (s)
		add_table(b, t + 1, PORT_BUCKETS);
	if (d)
		add_table(b, t + 2, PORT_BUCKETS);
	if (s)
		add_ports(b, t + 1, sport, ipproto, true);
	if (d)
		add_ports(b, t + 2, dport, ipproto, false);
	add_again(b, t, tcp, all, s, d);
	return true;
}

int plan_wanted(const struct tc_want *w, int hook, const struct plan_present *have, struct u32_list *out)
{
	struct builder b = { .out = out, .hook = hook };
	int to = hook ? w->to_entering : w->to_leaving;
	/* an exclusion ends classification: what it names would get by quarantine, and by others' filters */
	bool exclude = w->engine == TC_ENGINE_U32 && !have->foreign[hook] && !w->quarantine;
	struct u32_filter mirror = {
		.handle = U32_HANDLE(U32_ROOT, 0, 1), .pref = PREF_MIRROR(hook), .ethertype = ETH_P_ALL, .made = have->made || !have->clsact,
	};

	if (w->engine == TC_ENGINE_BPF) {
		mirror.pref = PREF_PROGRAM(hook);
		mirror.prog = have->prog[hook];
	} else {
		mirror.flags = TC_U32_TERMINAL;
		mirror.mirror_to = to;
	}
	for (int roots = 0; exclude && roots < 2; roots++)
		for (int tcp = 1; tcp >= 0; tcp--)
			add_protocol(&b, &w->exclude_sport[hook], &w->exclude_dport[hook], tcp, roots);
	if (w->deny && w->engine == TC_ENGINE_U32 && !b.rc)
		b.rc = deny_ground(hook, out);
	if (w->deny && !b.rc)
		b.rc = deny_fences(w, hook, to, out);
	if (w->quarantine && !b.rc)
		b.rc = quarantine_wanted(hook, to, out);
	add(&b, &mirror);
	return b.rc;
}

/* ---- where ---- */

enum plan_place plan_place(const struct plan_qdisc *q, enum tc_block_mode mode, bool made, bool foreign, struct err *err)
{
	bool blocks = q->block[0] || q->block[1], ours = block_ours(q->block[0]) && block_ours(q->block[1]);

	if (q->ingress) {
		err_set(err, -EBUSY, "an ingress qdisc of somebody else's stands there: no clsact fits beside it, nothing is mirrored");
		return PLACE_REFUSED;
	}
	if (q->clsact && blocks && !ours) {
		err_set(err, -EBUSY, "its clsact shares blocks %u and %u of somebody else's: no filter can be added, nothing is mirrored", q->block[0], q->block[1]);
		return PLACE_REFUSED;
	}
	if (mode == TC_BLOCKS_SHARED && (!q->clsact || ours || (made && !foreign)))
		return PLACE_SHARED;
	return PLACE_DEVICE;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 29;
}

static uint64_t sum_ports(const struct app_ports *p)
{
	uint64_t sum = p->all ? 1 : 0;

	for (unsigned i = 0; !p->all && i < p->n; i++) {
		bool twice = false;

		for (unsigned j = 0; j < i; j++)
			twice |= p->port[j].port == p->port[i].port && p->port[j].ipproto == p->port[i].ipproto;
		if (!twice)	/* a sum: the order of ports does not matter */
			sum += mix(0x7451, (uint64_t)p->port[i].ipproto << 16 | p->port[i].port);
	}
	return sum;
}

uint64_t plan_key(const struct tc_want *w)
{
	uint64_t h = 1 + w->quarantine + 2 * (unsigned)w->engine;

	for (int hook = 0; w->engine == TC_ENGINE_U32 && hook < 2; hook++) {	/* the program looks up what is excluded by device */
		h = mix(h, sum_ports(&w->exclude_sport[hook]));
		h = mix(h, sum_ports(&w->exclude_dport[hook]));
	}
	return h;
}

/* ---- comparing ---- */

static void differs(struct plan *p, const struct u32_filter *f, int hook, const char *how)
{
	char name[64];

	if (!p->differs[0])
		snprintf(p->differs, sizeof p->differs, "%s: %s", u32_name(f, hook, name), how);
}

/* The preference that a table of ours is made under. */
static uint16_t table_pref(int hook, uint32_t handle)
{
	unsigned t = U32_TABLE(handle), d = t - DENY_TABLE(hook, 0);

	if (t < DENY_TABLE_FIRST)
		return PREF_IP4(hook);
	return deny_table_is6(d) ? PREF_DENY6(hook) : PREF_DENY4(hook);
}

/* A wanted table stands with other buckets, or under another preference (nobody of ours made it so): the hook's exclusions are
 * taken down to the ground first, and built in a later round. */
static bool ruined(int hook, const struct u32_list *want, const struct u32_list *present)
{
	for (unsigned i = 0; i < present->n; i++) {
		const struct u32_filter *f = &present->f[i], *w;

		if (!f->divisor)
			continue;
		w = find(want, table_pref(hook, f->handle), f->handle);
		if (f->odd || f->pref != table_pref(hook, f->handle) || (w && w->divisor != f->divisor))
			return true;
	}
	return false;
}

/* Ours that should not be there, or not like this. A table is left when it only has nothing to do any more. */
static int plan_away(struct plan *p, int hook, const struct u32_list *present, bool ruin)
{
	const struct u32_list *want = &p->want[hook];
	unsigned near = 0;
	int rc = 0;

	for (int rank = RANK_COUNT - 1; rank >= 0; rank--) {
		for (unsigned i = 0; !rc && i < present->n; i++) {
			const struct u32_filter *f = &present->f[i], *w;

			if (rank_of(f) != (enum rank)rank)
				continue;
			w = find_near(want, f->pref, f->handle, &near);
			if (w && u32_replaceable(w, f) && !(ruin && rank != RANK_MIRROR))
				continue;
			if (!w && rank == RANK_TABLE && !ruin)
				continue;
			differs(p, f, hook, w ? "is not as it should be" : "should not be there");
			rc = add_change(p, CHANGE_DEL, hook, f);
		}
	}
	return rc;
}

static int plan_new(struct plan *p, int hook, const struct u32_list *present, bool ruin)
{
	const struct u32_list *want = &p->want[hook];
	unsigned near = 0;
	int rc = 0;

	for (int rank = 0; rank < RANK_COUNT; rank++) {
		for (unsigned i = 0; !rc && i < want->n; i++) {
			struct u32_filter f = want->f[i];
			const struct u32_filter *there;

			if (rank_of(&f) != (enum rank)rank)
				continue;
			there = find_near(present, f.pref, f.handle, &near);
			if ((there && u32_equal(there, &f)) || (ruin && rank != RANK_MIRROR))
				continue;
			differs(p, &f, hook, there ? "is not as it should be" : "is missing");
			if (there && u32_replaceable(there, &f))
				f.kernel_handle = there->kernel_handle;
			rc = add_change(p, CHANGE_PUT, hook, &f);
		}
	}
	return rc;
}

struct compare {
	struct plan *p;
	int hook;
};

static int way_differs(void *ctx, const struct u32_filter *want, const struct u32_filter *have)
{
	struct compare *c = ctx;
	struct u32_filter f = want ? *want : *have;

	differs(c->p, &f, c->hook, !want ? "should not be there" : have ? "is not as it should be" : "is missing");
	if (want && have)
		f.kernel_handle = have->kernel_handle;
	return add_change(c->p, want ? CHANGE_PUT : CHANGE_DEL, c->hook, &f);
}

/* Ways go before their tables, and come after them. */
static int plan_ways(struct plan *p, const struct tc_want *w, int hook, const struct u32_list *present, const struct deny_set *wanted)
{
	struct compare c = { p, hook };

	return deny_compare(wanted, hook, hook ? w->to_entering : w->to_leaving, present, way_differs, &c);
}

int filter_plan(const struct tc_want *w, const struct plan_present *have, struct plan *p)
{
	int rc = 0;

	memset(p, 0, sizeof *p);
	if (!have->clsact) {
		snprintf(p->differs, sizeof p->differs, have->remake ? "the clsact qdisc is for another place" : "no clsact qdisc");
		if (have->remake)
			rc = add_change(p, CHANGE_QDISC_DEL, 0, NULL);
		if (!rc)
			rc = add_change(p, CHANGE_QDISC_ADD, 0, NULL);
	}
	for (int hook = 0; !rc && hook < 2; hook++) {
		const struct u32_list *there = &have->list[hook];
		bool ruin;

		rc = plan_wanted(w, hook, have, &p->want[hook]);
		ruin = ruined(hook, &p->want[hook], there);
		if (!rc && ruin)
			rc = plan_ways(p, w, hook, &have->way[hook], NULL);
		if (!rc)
			rc = plan_away(p, hook, there, ruin);
		if (!rc)
			rc = plan_new(p, hook, there, ruin);
		if (!rc && !ruin)
			rc = plan_ways(p, w, hook, &have->way[hook], w->engine == TC_ENGINE_U32 ? w->deny : NULL);
	}
	return rc;
}
