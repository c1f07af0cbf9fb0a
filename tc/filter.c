/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a device, carrying out a plan, reading again. What is wanted is computed in plan.c, the attributes are in u32.c.
 *
 * A round is: the qdisc, then both hooks (or both blocks), then the plan. No changes: done. One round is enough for a fresh
 * device; more are needed when somebody took part of our filters away and left tables that no dump shows (they come to light
 * with the first filter put under their preference), and when a table is still held by a node that the kernel has not freed.
 *
 * Callers: agent/attach.c (ensure, check, remove), agent/cleanup.c. All of one struct tc's calls come from one thread. */
#include "tc/filter.h"

#include <errno.h>
#include <net/if.h>

#include <linux/if_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/rtnetlink.h>
#include <linux/pkt_sched.h>
#include <netlink/attr.h>

#include "base/log.h"
#include "tc/clsbpf.h"
#include "tc/denied.h"
#include "tc/engine_bpf.h"
#include "tc/netlink.h"
#include "tc/plan.h"
#include "tc/tcx.h"

#define ROUNDS 60		/* most of them wait for the kernel to free what was deleted */
#define ROUND_MS 20
#define TRIES 4			/* rounds without such a wait */
#define SEEN_MAX 64		/* more foreign filters than that are only counted less exactly */
#define MADE_MAX 16384
#define SHARES_MAX 1024		/* different exclusions that get blocks of their own; more: filters on the device */

struct tc {
	struct tcnl nl;
	struct tcbpf *bpf;	/* NULL: nothing asked for it yet */
	struct flowmap *flows[2];	/* by enum tcbpf_flows, as they are asked for */
	uint64_t key[SHARES_MAX];	/* plan_key of the block pair in slot[i] */
	uint16_t slot[SHARES_MAX];
	unsigned shares;
	int *made;		/* devices whose clsact we made: a cookie that somebody takes away with both filters is not missed */
	unsigned nmade, made_size;
};

struct reading {		/* one device, as read */
	struct plan_qdisc qdisc;
	struct plan_present have;
	enum plan_place place;
	uint32_t block[2];	/* where the filters belong, PLACE_SHARED */
	unsigned foreign[2];	/* on the device's own hooks or its blocks, as the dumps show them */
	uint64_t seen[SEEN_MAX];	/* foreign u32 filters of hook 0: preference and handle */
	unsigned nseen;
	unsigned both;		/* ... which hook 1's dump shows again */
	int hook;		/* being dumped */
	bool foreign_table;
	int rc;
};

struct tc *tc_open(struct err *err)
{
	struct tc *t = calloc(1, sizeof *t);

	if (!t) {
		err_set(err, -ENOMEM, "tc: no memory");
		return NULL;
	}
	if (tcnl_open(&t->nl, err)) {
		free(t);
		return NULL;
	}
	return t;
}

void tc_close(struct tc *t)
{
	if (!t)
		return;
	tcnl_close(&t->nl);
	for (int i = 0; i < 2; i++)
		flowmap_unref(t->flows[i]);
	tcbpf_close(t->bpf);
	free(t->made);
	free(t);
}

uint32_t tc_port(const struct tc *t) { return nl_socket_get_local_port(t->nl.sk); }

static bool remembered(const struct tc *t, int ifindex)
{
	for (unsigned i = 0; i < t->nmade; i++)
		if (t->made[i] == ifindex)
			return true;
	return false;
}

/* Best effort: without memory the cookie has to do. */
static void remember(struct tc *t, int ifindex, bool made)
{
	for (unsigned i = 0; i < t->nmade; i++)
		if (t->made[i] == ifindex) {
			if (!made)
				t->made[i] = t->made[--t->nmade];
			return;
		}
	if (made && t->nmade == t->made_size && t->made_size < MADE_MAX) {
		unsigned size = t->made_size ? t->made_size * 2 : 64;
		int *more = realloc(t->made, size * sizeof *more);

		if (!more)
			return;
		t->made = more;
		t->made_size = size;
	}
	if (made && t->nmade < t->made_size)
		t->made[t->nmade++] = ifindex;
}

static const char *device(int ifindex, char name[IF_NAMESIZE + 16])
{
	if (!if_indextoname((unsigned)ifindex, name))
		snprintf(name, IF_NAMESIZE + 16, "interface %d", ifindex);
	return name;
}

static int failed(struct err *err, int rc, int ifindex)
{
	char name[IF_NAMESIZE + 16];

	return err_prefix(err, rc, "%s", device(ifindex, name));
}

/* ---- the qdisc ---- */

static struct nl_msg *qdisc_message(int type, int flags, int ifindex)
{
	struct nl_msg *m = nlmsg_alloc_simple(type, flags);
	struct tcmsg t = { .tcm_ifindex = ifindex, .tcm_parent = TC_H_CLSACT, .tcm_handle = type == RTM_GETQDISC ? 0 : TC_H_MAKE(TC_H_CLSACT, 0) };

	if (m && nlmsg_append(m, &t, sizeof t, NLMSG_ALIGNTO) < 0) {
		nlmsg_free(m);
		return NULL;
	}
	return m;
}

static struct nl_msg *qdisc_add(int ifindex, const uint32_t block[2])
{
	struct nl_msg *m = qdisc_message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex);

	if (m && (nla_put_string(m, TCA_KIND, "clsact") || (block[0] && (nla_put_u32(m, TCA_INGRESS_BLOCK, block[0]) || nla_put_u32(m, TCA_EGRESS_BLOCK, block[1]))))) {
		nlmsg_free(m);
		return NULL;
	}
	return m;
}

static void parse_qdisc(void *ctx, const struct nlmsghdr *h)
{
	struct plan_qdisc *q = ctx;
	const struct tcmsg *t = nlmsg_data(h);
	struct nlattr *tb[TCA_MAX + 1];

	if (h->nlmsg_type != RTM_NEWQDISC || !nlmsg_valid_hdr(h, sizeof *t) || nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof *t, tb, TCA_MAX, NULL) < 0 || !tb[TCA_KIND])
		return;
	q->clsact = !nla_strcmp(tb[TCA_KIND], "clsact");
	q->ingress = !nla_strcmp(tb[TCA_KIND], "ingress");
	q->block[0] = tb[TCA_INGRESS_BLOCK] ? nla_get_u32(tb[TCA_INGRESS_BLOCK]) : 0;
	q->block[1] = tb[TCA_EGRESS_BLOCK] ? nla_get_u32(tb[TCA_EGRESS_BLOCK]) : 0;
}

/* NLM_F_ECHO: kernels before 6.8 answer a question for a qdisc by a notification. */
static int read_qdisc(struct tc *t, int ifindex, struct plan_qdisc *q, struct err *err)
{
	struct err why = { "" };
	int rc;

	memset(q, 0, sizeof *q);
	rc = tcnl_ask(&t->nl, qdisc_message(RTM_GETQDISC, NLM_F_ECHO, ifindex), parse_qdisc, q, &why);
	return !rc || rc == -ENOENT ? 0 : err_set(err, rc, "%s", why.text);
}

/* ---- filters ---- */

static struct u32_place place_of(int ifindex, const uint32_t block[2], int hook)
{
	if (block[0])
		return (struct u32_place){ .ifindex = (int)TCM_IFINDEX_MAGIC_BLOCK, .parent = block[hook] };
	return (struct u32_place){ .ifindex = ifindex, .parent = TC_H_MAKE(TC_H_CLSACT, hook ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS) };
}

static void forget_hook(void *ctx)
{
	struct reading *r = ctx;

	r->have.list[r->hook].n = r->have.way[r->hook].n = 0;
	r->foreign[r->hook] = 0;
	r->both = 0;
	if (r->hook == 0)
		r->nseen = 0;
}

/* Where both hooks have a u32 preference of the same number, each hook's dump shows the filters of both. */
static void count_foreign(struct reading *r, const struct u32_filter *f)
{
	uint64_t id = (uint64_t)f->pref << 32 | f->kernel_handle;

	r->foreign[r->hook]++;
	if (!f->kernel_handle || U32_TABLE(f->kernel_handle) < U32_ROOT)
		return;		/* no u32 filter, or one in a table that belongs to one preference */
	for (unsigned i = 0; r->hook && i < r->nseen; i++)
		r->both += r->seen[i] == id;
	if (!r->hook && r->nseen < SEEN_MAX)
		r->seen[r->nseen++] = id;
}

static void parse_filter(void *ctx, const struct nlmsghdr *h)
{
	struct reading *r = ctx;
	struct u32_filter f;
	enum u32_what what = clsbpf_parse(h, &f);

	switch (what == U32_NOTHING ? u32_parse(h, &f) : what) {
	case U32_OURS:
		if (!r->rc)
			r->rc = plan_list_add(deny_is_way(&f) ? &r->have.way[r->hook] : &r->have.list[r->hook], &f);
		break;
	case U32_FOREIGN:
		count_foreign(r, &f);
		break;
	case U32_FOREIGN_TABLE:
		r->foreign_table = true;
		break;
	case U32_NOTHING:
		break;
	}
}

static int dump_hooks(struct tc *t, int ifindex, const uint32_t block[2], struct reading *r, struct err *err)
{
	struct err why = { "" };
	int rc = 0;

	for (r->hook = 0; !rc && r->hook < 2; r->hook++) {
		struct u32_place p = place_of(ifindex, block, r->hook);
		struct tcmsg tm = { .tcm_ifindex = p.ifindex, .tcm_parent = p.parent };
		struct nl_msg *m = nlmsg_alloc_simple(RTM_GETTFILTER, 0);

		if (m && nlmsg_append(m, &tm, sizeof tm, NLMSG_ALIGNTO) < 0) {
			nlmsg_free(m);
			m = NULL;
		}
		rc = tcnl_dump(&t->nl, m, forget_hook, parse_filter, r, &why);
		if (block[0] && (rc == -EINVAL || rc == -ENOENT))	/* a block that no device has yet */
			rc = 0;
	}
	return rc ? err_set(err, rc, "%s", why.text) : r->rc ? err_set(err, r->rc, "more filters than can be read") : 0;
}

static void forget(struct reading *r)
{
	for (int h = 0; h < 2; h++) {
		plan_list_free(&r->have.list[h]);
		plan_list_free(&r->have.way[h]);
	}
}

static bool made_by_us(const struct reading *r)
{
	for (int h = 0; h < 2; h++)
		for (unsigned i = 0; i < r->have.list[h].n; i++)
			if (r->have.list[h].f[i].made || r->have.list[h].f[i].handle == U32_HANDLE(TABLE_MADE, 0, 0))
				return true;
	return false;
}

/* ---- blocks ---- */

/* The pair of blocks for what is excluded; the number follows from it, so that a restart finds them again. */
static bool share(struct tc *t, const struct tc_want *w, uint32_t block[2])
{
	uint64_t key = plan_key(w);
	unsigned slot = (unsigned)(key % BLOCK_SLOTS), i;

	for (i = 0; i < t->shares; i++)
		if (t->key[i] == key)
			break;
	if (i == t->shares) {
		if (t->shares == SHARES_MAX)
			return false;
		for (unsigned j = 0; j < t->shares; j++)	/* taken: the next; then all are looked at again */
			if (t->slot[j] == slot) {
				slot = (slot + 1) % BLOCK_SLOTS;
				j = (unsigned)-1;
			}
		t->key[i] = key;
		t->slot[i] = (uint16_t)slot;
		t->shares++;
	}
	block[0] = BLOCK(t->slot[i], 0);
	block[1] = BLOCK(t->slot[i], 1);
	return true;
}

/* ---- a device ---- */

/* Reads what stands, where the filters belong, and what stands there. The caller calls forget(). */
static int read_device(struct tc *t, const struct tc_want *w, struct reading *r, struct err *err)
{
	static const uint32_t none[2] = { 0, 0 };
	enum tc_block_mode mode = w->blocks;
	bool ours;
	int rc;

	memset(r, 0, sizeof *r);
	rc = read_qdisc(t, w->ifindex, &r->qdisc, err);
	if (rc || !r->qdisc.clsact)
		remember(t, w->ifindex, false);
	if (rc)
		return rc;
	ours = block_ours(r->qdisc.block[0]) && block_ours(r->qdisc.block[1]);
	if (r->qdisc.clsact && !r->qdisc.block[0] && !r->qdisc.block[1])
		rc = dump_hooks(t, w->ifindex, none, r, err);
	if (rc)
		return rc;
	if (mode == TC_BLOCKS_SHARED && !share(t, w, r->block))
		mode = TC_BLOCKS_DEVICE;
	r->have.made = ours || made_by_us(r) || remembered(t, w->ifindex);
	r->place = plan_place(&r->qdisc, mode, r->have.made, r->foreign[0] || r->foreign[1], err);
	if (r->place == PLACE_REFUSED)
		return -EBUSY;
	if (r->place == PLACE_DEVICE)
		memset(r->block, 0, sizeof r->block);
	r->have.clsact = r->qdisc.clsact && r->qdisc.block[0] == r->block[0] && r->qdisc.block[1] == r->block[1];
	r->have.remake = r->qdisc.clsact && !r->have.clsact;
	if (r->have.remake)
		forget(r);
	if (r->place == PLACE_SHARED) {
		r->have.made = true;
		rc = dump_hooks(t, w->ifindex, r->block, r, err);
	}
	if (r->foreign_table)	/* its number is in our way: nothing can be excluded */
		r->foreign[0] += !r->foreign[0], r->foreign[1] += !r->foreign[1];
	memcpy(r->have.foreign, r->foreign, sizeof r->foreign);
	return rc;
}

static void fill_state(const struct reading *r, const struct plan *p, int ifindex, struct tc_state *s)
{
	memset(s, 0, sizeof *s);
	s->clsact = r->qdisc.clsact;
	s->ingress_qdisc = r->qdisc.ingress;
	s->ours = s->clsact && r->have.made;
	s->shared = s->clsact && r->place == PLACE_SHARED && r->have.clsact;
	for (int h = 0; h < 2; h++) {
		s->foreign[h] = r->foreign[h] - (r->both + !h) / 2;
		s->tcx[h] = tcx_count(ifindex, h);
		s->ways[h] = r->have.way[h].n;
		for (unsigned i = 0; i < r->have.list[h].n; i++)
			s->filters[h] += !r->have.list[h].f[i].divisor;
	}
	s->complete = r->place != PLACE_REFUSED && !p->n;
	snprintf(s->differs, sizeof s->differs, "%s", p->differs);
}

static struct nl_msg *change_message(const struct tc *t, const struct change *c, const struct tc_want *w, const uint32_t block[2])
{
	struct u32_place p = place_of(w->ifindex, block, c->hook);

	switch (c->kind) {
	case CHANGE_QDISC_DEL:
		return qdisc_message(RTM_DELQDISC, 0, w->ifindex);
	case CHANGE_QDISC_ADD:
		return qdisc_add(w->ifindex, block);
	case CHANGE_DEL:
		return u32_delete(&p, &c->f);
	case CHANGE_PUT:
		return c->f.prog ? clsbpf_put(&p, &c->f, tcbpf_prog_fd(t->bpf, c->hook)) : u32_put(&p, &c->f);
	}
	return NULL;
}

static int carry_out(struct tc *t, const struct tc_want *w, const struct reading *r, const struct plan *p, struct err *err)
{
	int rc = 0;

	tcnl_begin(&t->nl);
	for (unsigned i = 0; !rc && i < p->n; i++)
		rc = tcnl_add(&t->nl, change_message(t, &p->c[i], w, r->block), err);
	return rc ? rc : tcnl_end(&t->nl, err);
}

/* In the bpf engine's map. Deletions go on to their end. */
static int deny_in_map(const struct tc_want *w, int hook, bool put, const uint32_t *id, unsigned n, struct err *err)
{
	int rc = 0;

	for (unsigned i = 0; i < n && !(rc && put); i++) {
		int on, one;
		const struct deny_way *way = deny_way(w->deny, id[i], &on);

		one = !w->denied ? -ENOENT : (put ? denied_put : denied_del)(w->denied, w->ifindex, hook, way);
		rc = rc ? rc : one;
	}
	return rc ? err_set(err, rc, "the map of denied flows: %s", strerror(-rc)) : 0;
}

int tc_deny(struct tc *t, const struct tc_want *w, int hook, bool put, const uint32_t *id, unsigned n, struct err *err)
{
	static const uint32_t none[2] = { 0, 0 };
	struct u32_place p = place_of(w->ifindex, none, hook);
	struct u32_filter f[DENY_FILTERS];
	int rc = 0;

	if (w->engine == TC_ENGINE_BPF) {
		rc = deny_in_map(w, hook, put, id, n, err);
		return rc ? failed(err, rc, w->ifindex) : 0;
	}
	tcnl_begin(&t->nl);
	for (unsigned i = 0; !rc && i < n; i++)
		for (unsigned k = deny_filters(w->deny, id[i], hook ? w->to_entering : w->to_leaving, f), j = 0; !rc && j < k; j++)
			rc = tcnl_add(&t->nl, put ? u32_put(&p, &f[j]) : u32_delete(&p, &f[j]), err);
	if (!rc)
		rc = tcnl_end(&t->nl, err);
	if (!rc && t->nl.error)
		rc = err_set(err, t->nl.error, "%s", t->nl.why.text);
	return rc ? failed(err, rc, w->ifindex) : 0;
}

static void pause_ms(int ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000L };

	nanosleep(&ts, NULL);
}

static const struct app_ports *excluded(const struct tc_want *w, const struct app_ports *p)
{
	static const struct app_ports none;

	return w->quarantine ? &none : p;
}

/* The maps of the bpf engine say what is wanted of the device. */
static bool maps_say(struct tc *t, const struct tc_want *w, struct tc_state *state)
{
	unsigned missing = 0;

	if (!t->bpf || (w->deny && !w->denied))
		return false;
	for (uint32_t id = 0; w->deny && id < deny_ids(w->deny); id++) {
		int hook;
		const struct deny_way *way = deny_way(w->deny, id, &hook);
		bool stands = way && denied_stands(w->denied, w->ifindex, hook, way);

		missing += way && !stands;
		state->ways[hook] += stands;
	}
	for (int h = 0; h < 2; h++)
		if (!tcbpf_current(t->bpf, w->ifindex, h, h ? w->to_entering : w->to_leaving, excluded(w, &w->exclude_sport[h]), excluded(w, &w->exclude_dport[h])))
			return false;
	return !missing;
}

/* What is missing there of denied flows is put back. */
static int ways_ready(const struct tc_want *w, unsigned *changes, struct err *err)
{
	int rc = 0;

	for (uint32_t id = 0; !rc && w->deny && w->denied && id < deny_ids(w->deny); id++) {
		int hook;
		const struct deny_way *way = deny_way(w->deny, id, &hook);

		if (!way || denied_stands(w->denied, w->ifindex, hook, way))
			continue;
		rc = deny_in_map(w, hook, true, &id, 1, err);
		++*changes;
	}
	return rc;
}

/* One round. 0: nothing to do any more; 1: changes were made; -errno. */
static int round_once(struct tc *t, const struct tc_want *w, bool change, bool *not_ours, struct tc_state *state, unsigned *changes, struct err *err)
{
	struct reading r;
	struct plan p = { .n = 0 };
	int rc = read_device(t, w, &r, err);

	if (*not_ours)
		r.have.made = false;
	for (int h = 0; t->bpf && h < 2; h++)
		r.have.prog[h] = tcbpf_prog_id(t->bpf, h);
	if (!rc)
		rc = filter_plan(w, &r.have, &p) ? err_set(err, -ENOMEM, "no memory for a plan") : 0;
	fill_state(&r, &p, w->ifindex, state);
	if (w->engine == TC_ENGINE_BPF && !maps_say(t, w, state) && state->complete) {
		state->complete = false;
		snprintf(state->differs, sizeof state->differs, "the maps of the bpf engine say something else of it");
	}
	if (!rc && change && p.n) {
		*changes += p.n;
		rc = carry_out(t, w, &r, &p, err);
		/* Somebody made a clsact between our look and our add: it is theirs. */
		*not_ours |= t->nl.exists && !r.qdisc.clsact && r.place == PLACE_DEVICE;
		if (!r.have.clsact && !*not_ours)
			remember(t, w->ifindex, true);
		if (!rc)
			rc = 1;
	}
	plan_free(&p);
	forget(&r);
	return rc;
}

/* The program is there, and its maps say what is wanted of the device. */
static int engine_ready(struct tc *t, const struct tc_want *w, unsigned *changes, struct err *err)
{
	int rc = 0;

	if (w->engine != TC_ENGINE_BPF)
		return 0;
	if (!t->bpf && !(t->bpf = tcbpf_open(err)))
		return -ENOTSUP;
	for (int h = 0; rc >= 0 && h < 2; h++) {
		rc = tcbpf_hook(t->bpf, w->ifindex, h, h ? w->to_entering : w->to_leaving, excluded(w, &w->exclude_sport[h]), excluded(w, &w->exclude_dport[h]), err);
		*changes += rc > 0;
	}
	return rc < 0 ? rc : ways_ready(w, changes, err);
}

static struct flowmap *flows_of(struct tc *t, enum tcbpf_flows which, struct err *err)
{
	if (!t->bpf && !(t->bpf = tcbpf_open(err)))
		return NULL;
	if (!t->flows[which] && !(t->flows[which] = tcbpf_flows(t->bpf, which)))
		err_set(err, -ENOMEM, "the bpf engine: no memory");
	return t->flows[which];
}

struct flowmap *tc_passing(struct tc *t, struct err *err) { return flows_of(t, TCBPF_PASSING, err); }
struct flowmap *tc_denied(struct tc *t, struct err *err) { return flows_of(t, TCBPF_DENIED, err); }

int tc_ensure(struct tc *t, const struct tc_want *w, struct tc_state *state, unsigned *changes, struct err *err)
{
	bool not_ours = false;
	int rc, tries = 0;

	*changes = 0;
	rc = engine_ready(t, w, changes, err);
	if (rc)
		return failed(err, rc, w->ifindex);
	tcnl_begin(&t->nl);
	rc = 1;
	for (int i = 0; rc == 1 && i < ROUNDS && tries < TRIES; i++) {
		rc = round_once(t, w, true, &not_ours, state, changes, err);
		if (rc == 1 && t->nl.busy)
			pause_ms(ROUND_MS);
		else
			tries++;
	}
	if (rc == 1)	/* the last round's changes are still to be looked at */
		rc = round_once(t, w, false, &not_ours, state, changes, err);
	if (rc)
		return failed(err, rc, w->ifindex);
	if (!state->complete && t->nl.error)	/* ENODEV is the bridge then, and callers take it for the veth */
		return failed(err, err_set(err, t->nl.error == -ENODEV ? -EIO : t->nl.error, "%s; the kernel: %s", state->differs, t->nl.why.text), w->ifindex);
	return 0;
}

int tc_check(struct tc *t, const struct tc_want *w, struct tc_state *state, struct err *err)
{
	bool not_ours = false;
	unsigned none = 0;
	int rc = round_once(t, w, false, &not_ours, state, &none, err);

	return rc ? failed(err, rc, w->ifindex) : 0;
}

/* ---- away ---- */

/* What of ours stands on a clsact that stays: exclusions from the root down, the mirror last. Tables are refused for as long
 * as the kernel has not freed what linked to them. */
static int strip(struct tc *t, int ifindex, const struct reading *r, struct err *err)
{
	static const uint32_t none[2] = { 0, 0 };
	int rc = 0;

	tcnl_begin(&t->nl);
	for (int h = 0; !rc && h < 2; h++) {
		struct u32_place p = place_of(ifindex, none, h);
		const struct u32_list *l = &r->have.list[h];

		for (int root = 1; root >= 0; root--)
			for (unsigned i = 0; !rc && i < l->n; i++)
				if (l->f[i].pref != PREF_MIRROR(h) && (U32_TABLE(l->f[i].handle) == U32_ROOT) == root && !l->f[i].divisor)
					rc = tcnl_add(&t->nl, u32_delete(&p, &l->f[i]), err);
		for (unsigned i = 0; !rc && i < r->have.way[h].n; i++)
			rc = tcnl_add(&t->nl, u32_delete(&p, &r->have.way[h].f[i]), err);
	}
	if (!rc)
		rc = tcnl_end(&t->nl, err);
	for (int i = 0; !rc && i < ROUNDS; i++) {
		tcnl_begin(&t->nl);
		for (int h = 0; !rc && h < 2; h++) {
			struct u32_place p = place_of(ifindex, none, h);

			for (unsigned j = 0; !rc && j < r->have.list[h].n; j++)
				if (r->have.list[h].f[j].divisor)
					rc = tcnl_add(&t->nl, u32_delete(&p, &r->have.list[h].f[j]), err);
		}
		if (!rc)
			rc = tcnl_end(&t->nl, err);
		if (rc || !t->nl.busy)
			break;
		pause_ms(ROUND_MS);
	}
	return rc;
}

/* The preferences of ours in which something of ours stands; one that somebody else uses too is left to him. */
static int strip_prefs(struct tc *t, int ifindex, const struct reading *r, struct err *err)
{
	static const uint32_t none[2] = { 0, 0 };
	int rc = 0;

	tcnl_begin(&t->nl);
	for (int h = 0; !rc && h < 2; h++) {
		struct u32_place p = place_of(ifindex, none, h);
		const struct u32_list *l = &r->have.list[h];

		for (unsigned i = 0; !rc && i < l->n; i++) {
			bool seen = false;

			for (unsigned j = 0; j < i; j++)
				seen |= l->f[j].pref == l->f[i].pref;
			if (!seen)
				rc = tcnl_add(&t->nl, u32_delete_pref(&p, l->f[i].pref, l->f[i].ethertype), err);
		}
	}
	return rc ? rc : tcnl_end(&t->nl, err);
}

/* A clsact of ours with nothing but the mark that it is ours. The mark comes first: a crash in between leaves a clsact that is known. */
static int strip_to_mark(struct tc *t, int ifindex, const struct reading *r, struct err *err)
{
	static const uint32_t none[2] = { 0, 0 };
	const struct u32_filter mark = { .handle = U32_HANDLE(TABLE_MADE, 0, 0), .pref = PREF_IP4(0), .ethertype = ETH_P_IP, .divisor = 1 };
	struct u32_place p = place_of(ifindex, none, 0);
	struct reading rest = *r;
	int rc;

	tcnl_begin(&t->nl);
	rc = tcnl_add(&t->nl, u32_put(&p, &mark), err);
	if (!rc)
		rc = tcnl_end(&t->nl, err);
	if (!rc)
		rc = strip(t, ifindex, r, err);
	for (int h = 0; h < 2; h++) {	/* the mark's preference stays */
		struct u32_list *l = &rest.have.list[h];
		unsigned kept = 0;

		for (unsigned i = 0; i < l->n; i++)
			if (l->f[i].pref != mark.pref)
				l->f[kept++] = l->f[i];
		l->n = kept;
	}
	return rc ? rc : strip_prefs(t, ifindex, &rest, err);
}

int tc_release(struct tc *t, int ifindex, struct err *err)
{
	struct tc_want any = { .ifindex = ifindex };
	struct reading r;
	int rc = read_device(t, &any, &r, err);
	bool keeps = !rc && r.qdisc.clsact && !r.qdisc.block[0] && !r.qdisc.block[1] && r.have.made && !r.foreign[0] && !r.foreign[1];

	if (keeps && r.have.list[0].n + r.have.list[1].n)
		rc = strip_to_mark(t, ifindex, &r, err);
	forget(&r);
	if (!rc && keeps && t->bpf)
		tcbpf_forget(t->bpf, ifindex);
	if (!rc && !keeps)
		return tc_remove(t, ifindex, err);
	if (rc == -ENODEV || rc == -ENOENT || rc == -EBUSY)
		return 0;
	return rc ? failed(err, rc, ifindex) : 0;
}

/* 1: something was taken away; 0: nothing of ours was there. */
static int remove_from(struct tc *t, int ifindex, struct err *err)
{
	struct tc_want any = { .ifindex = ifindex };
	struct reading r;
	int rc = read_device(t, &any, &r, err), n = 0;
	bool ours = r.qdisc.clsact && block_ours(r.qdisc.block[0]) && block_ours(r.qdisc.block[1]);

	if (rc == -EBUSY)	/* somebody else's qdisc: nothing of ours is on it */
		rc = 0;
	else if (!rc && (ours || (r.qdisc.clsact && r.have.made && !r.foreign[0] && !r.foreign[1]))) {
		n = 1;
		rc = tcnl_ask(&t->nl, qdisc_message(RTM_DELQDISC, 0, ifindex), NULL, NULL, err);
	} else if (!rc && r.have.list[0].n + r.have.list[1].n) {
		n = 1;
		rc = strip(t, ifindex, &r, err);
		if (!rc)
			rc = strip_prefs(t, ifindex, &r, err);
	}
	forget(&r);
	return rc ? rc : n;
}

int tc_remove(struct tc *t, int ifindex, struct err *err)
{
	int rc = remove_from(t, ifindex, err);

	if (rc > 0)
		rc = remove_from(t, ifindex, err);	/* a second look: nothing of ours may be left */
	if (t->bpf)
		tcbpf_forget(t->bpf, ifindex);
	if (rc > 0)
		rc = err_set(err, -EBUSY, "filters of ours are left: %s", t->nl.why.text);
	if (rc == -ENODEV || rc == -ENOENT)
		return 0;
	return rc < 0 ? failed(err, rc, ifindex) : 0;
}

void tc_keep(struct tc *t, bool (*there)(void *ctx, int ifindex), void *ctx)
{
	for (unsigned i = t->nmade; i-- > 0;)
		if (!there(ctx, t->made[i]))
			t->made[i] = t->made[--t->nmade];
	if (t->bpf)
		tcbpf_keep(t->bpf, there, ctx);
}

struct devices {
	int *ifindex;
	unsigned n, size;
	bool full;
};

static void forget_devices(void *ctx) { ((struct devices *)ctx)->n = 0; }

static void parse_device(void *ctx, const struct nlmsghdr *h)
{
	struct devices *d = ctx;
	struct plan_qdisc q = { .clsact = false };

	parse_qdisc(&q, h);
	if (!q.clsact)
		return;
	if (d->n == d->size) {
		unsigned size = d->size ? d->size * 2 : 64;
		int *more = realloc(d->ifindex, size * sizeof *more);

		if (!more) {
			d->full = true;
			return;
		}
		d->ifindex = more;
		d->size = size;
	}
	d->ifindex[d->n++] = ((const struct tcmsg *)nlmsg_data(h))->tcm_ifindex;
}

int tc_remove_all(struct tc *t, struct err *err)
{
	struct devices d = { .n = 0 };
	struct nl_msg *m = nlmsg_alloc_simple(RTM_GETQDISC, 0);
	struct tcmsg tm = { .tcm_ifindex = 0 };
	int rc, cleaned = 0;

	if (m && nlmsg_append(m, &tm, sizeof tm, NLMSG_ALIGNTO) < 0) {
		nlmsg_free(m);
		m = NULL;
	}
	rc = tcnl_dump(&t->nl, m, forget_devices, parse_device, &d, err);
	if (!rc && d.full)
		rc = err_set(err, -ENOMEM, "tc: no memory for the list of devices");
	for (unsigned i = 0; !rc && i < d.n; i++) {
		struct err why = { "" };
		int n = remove_from(t, d.ifindex[i], &why);

		if (n < 0 && n != -ENODEV)
			log_warn(TC, "interface %d: %s", d.ifindex[i], why.text);
		cleaned += n > 0;
	}
	free(d.ifindex);
	return rc ? rc : cleaned;
}
