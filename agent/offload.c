/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/offload.h"

#include <stdlib.h>
#include <string.h>

/* A connection of one request and its answer has ten packets: with all of them queued it takes 55 us of the agent's time, taken away in its middle 77. */
#define AFTER_PACKETS 12u
#define TURNS 5u		/* ticks in which each flow is looked at once ... */
#define LOOKS_A_TICK 512u	/* ... but no more of them at a time (1.5 us each): with OFFLOAD_MAX flows each is looked at every 7 s, and the kernel keeps
				 * closed connections for 10 s at least */

struct passing {
	struct conntrack *ct;		/* a reference */
	struct dpi_decided who;
	enum ct_mark mark;		/* NONE: it is back */
	uint32_t id;			/* of the kernel's entry; 0: not seen yet */
};

struct offload {
	struct passing *list;
	uint32_t n, room, at;		/* at: where the next look begins */
	uint32_t young;			/* those at the end that were not looked at yet */
	struct passing fresh[CONNTRACK_BATCH];	/* noted */
	unsigned nfresh;
	uint64_t counters[OFFLOAD_C_COUNT];
};

const struct counter_desc offload_counter_descs[OFFLOAD_C_COUNT] = {
#define X(id, name, help) { name, help },
#include "agent/offload.def"
#undef X
};

struct offload *offload_new(void) { return calloc(1, sizeof(struct offload)); }

void offload_free(struct offload *o)
{
	if (o)
		free(o->list);
	free(o);
}

const uint64_t *offload_counters(const struct offload *o) { return o->counters; }

static void tell(struct offload *o, enum offload_counter c) { counter_add(&o->counters[c], 1); }

/* ---- runs of records with one table, as the kernel is asked ---- */

static struct ct_flow flow_of(const struct passing *r)
{
	const struct tuple *t = &r->who.tuple;

	return (struct ct_flow){ .src = t->src, .dst = t->dst, .sport = t->sport, .dport = t->dport, .ipproto = t->ipproto };
}

static unsigned run_of(const struct passing *r, uint32_t n, struct ct_flow *f)
{
	unsigned k = 0;

	for (; k < n && k < CONNTRACK_BATCH && r[k].ct == r[0].ct; k++)
		f[k] = flow_of(&r[k]);
	return k;
}

/* ---- away ---- */

void offload_note(struct offload *o, struct conntrack *ct, const struct dpi *d)
{
	struct passing *r = &o->fresh[o->nfresh];

	if (!conntrack_on(ct) || o->nfresh == CONNTRACK_BATCH || !dpi_decided(d, &r->who))	/* it comes again */
		return;
	if (!r->who.stops && r->who.packets < AFTER_PACKETS)
		return;
	for (unsigned i = 0; i < o->nfresh; i++)
		if (o->fresh[i].who.flow_id == r->who.flow_id)
			return;
	r->ct = conntrack_ref(ct);
	r->mark = r->who.stops ? CT_MARK_DROP : CT_MARK_PASS;
	r->id = 0;
	o->nfresh++;
}

bool offload_due(const struct offload *o) { return o->nfresh != 0; }
bool offload_any(const struct offload *o) { return o->n != 0; }

static bool make_room(struct offload *o)
{
	uint32_t more = o->room ? o->room * 2 : 64;
	struct passing *list = o->n < o->room ? o->list : more <= OFFLOAD_MAX ? realloc(o->list, more * sizeof *list) : NULL;

	if (!list)
		return false;
	o->room = o->n < o->room ? o->room : more;
	o->list = list;
	return true;
}

static void went(struct offload *o, struct dpi *d, const struct passing *r)
{
	if (!dpi_flow_away(d, &r->who, true)) {	/* it ended in the meantime */
		enum ct_mark none = CT_MARK_NONE;
		struct ct_flow f = flow_of(r);
		bool done;

		conntrack_mark(r->ct, &f, &none, 1, &done);
		conntrack_unref(r->ct);
		return;
	}
	o->list[o->n++] = *r;
	o->young++;
	tell(o, OFFLOAD_C_TAKEN);
	if (r->mark == CT_MARK_DROP)
		tell(o, OFFLOAD_C_REFUSED);
}

void offload_mark(struct offload *o, struct dpi *d)
{
	struct ct_flow f[CONNTRACK_BATCH];
	enum ct_mark mark[CONNTRACK_BATCH];
	bool done[CONNTRACK_BATCH];

	for (unsigned at = 0, k; at < o->nfresh; at += k) {
		k = run_of(&o->fresh[at], o->nfresh - at, f);
		for (unsigned i = 0; i < k; i++)
			mark[i] = o->fresh[at + i].mark;
		conntrack_mark(o->fresh[at].ct, f, mark, k, done);
		for (unsigned i = 0; i < k; i++) {
			const struct passing *r = &o->fresh[at + i];

			if (done[i] && make_room(o)) {
				went(o, d, r);
				continue;
			}
			tell(o, done[i] ? OFFLOAD_C_CAP : OFFLOAD_C_FAILED);
			if (done[i]) {
				mark[i] = CT_MARK_NONE;
				conntrack_mark(r->ct, &f[i], &mark[i], 1, &done[i]);
			}
			dpi_flow_lost(d, &r->who);	/* not again at each of its packets */
			conntrack_unref(r->ct);
		}
	}
	o->nfresh = 0;
}

/* ---- looking ---- */

/* True when the record is to go. */
static bool look_at(struct offload *o, struct dpi *d, struct passing *r, const struct ct_entry *e)
{
	struct dpi_counted c = { .closed = e->tcp != CT_TCP_OPEN, .reset = e->tcp == CT_TCP_RESET };

	if (!e->found || (r->id && e->id != r->id) || (r->mark != CT_MARK_NONE && e->mark != r->mark)) {
		if (dpi_flow_lost(d, &r->who))	/* else it is over, and its ports are another connection's */
			tell(o, OFFLOAD_C_LOST);
		return true;
	}
	if (r->mark == CT_MARK_NONE && e->mark != CT_MARK_NONE)
		return true;	/* it went again: another record is about that */
	r->id = e->id;
	memcpy(c.pkts, e->pkts, sizeof c.pkts);
	memcpy(c.bytes, e->bytes, sizeof c.bytes);
	if (r->who.tuple.ipproto != 6)
		c.closed = c.reset = false;
	if (dpi_flow_counted(d, &r->who, &c))
		return false;
	if (r->mark != CT_MARK_NONE) {	/* the core ended it, or has it from elsewhere */
		enum ct_mark none = CT_MARK_NONE;
		struct ct_flow f = flow_of(r);
		bool done;

		conntrack_mark(r->ct, &f, &none, 1, &done);
	}
	return true;
}

static void forget(struct offload *o, uint32_t i)
{
	conntrack_unref(o->list[i].ct);
	o->list[i] = o->list[--o->n];
}

static void swap(struct passing *a, struct passing *b)
{
	struct passing was = *a;

	*a = *b;
	*b = was;
}

/* Looks at one run from `at` on; returns how many were looked at, less those that went. A table that is closed, or does not answer, tells nothing. */
static uint32_t look(struct offload *o, struct dpi *d, uint32_t at, uint32_t max)
{
	struct ct_entry e[CONNTRACK_BATCH];
	struct ct_flow f[CONNTRACK_BATCH];
	unsigned k = run_of(&o->list[at], max < o->n - at ? max : o->n - at, f);
	bool asked = conntrack_get(o->list[at].ct, f, k, e), closed = !conntrack_on(o->list[at].ct);

	for (unsigned i = k; i-- > 0;) {	/* from the end: those that stay close up, so that the run's last place is free for one from behind it */
		if (!asked && closed)
			dpi_flow_lost(d, &o->list[at + i].who);
		if (!(asked ? look_at(o, d, &o->list[at + i], &e[i]) : closed))
			continue;
		k--;
		swap(&o->list[at + i], &o->list[at + k]);
		forget(o, at + k);
	}
	return k;
}

void offload_tick(struct offload *o, struct dpi *d)
{
	uint32_t left = o->n / TURNS + 1 < LOOKS_A_TICK ? o->n / TURNS + 1 : LOOKS_A_TICK;

	/* Short connections are over, and their ports used again, before their turn would come. */
	for (uint32_t at = o->young < o->n ? o->n - o->young : 0; o->young && at < o->n;)
		at += look(o, d, at, o->n - at);
	o->young = 0;
	for (unsigned rounds = 0; left && o->n && rounds < LOOKS_A_TICK; rounds++) {
		uint32_t before = o->n, stay;

		if (o->at >= o->n)
			o->at = 0;
		stay = look(o, d, o->at, left);
		o->at += stay;
		left -= left < stay + (before - o->n) ? left : stay + (before - o->n);
	}
}

/* ---- back ---- */

static void bring_back(struct offload *o, struct dpi *d, const struct conntrack *of)
{
	struct ct_flow f[CONNTRACK_BATCH];
	enum ct_mark none[CONNTRACK_BATCH] = { CT_MARK_NONE };
	bool done[CONNTRACK_BATCH];

	for (uint32_t at = 0, k; at < o->n; at += k) {
		k = run_of(&o->list[at], o->n - at, f);
		if (of && o->list[at].ct != of)
			continue;
		conntrack_mark(o->list[at].ct, f, none, k, done);
		for (uint32_t i = at; i < at + k; i++) {
			if (o->list[i].mark != CT_MARK_NONE)
				tell(o, OFFLOAD_C_BACK);
			o->list[i].mark = CT_MARK_NONE;
			dpi_flow_away(d, &o->list[i].who, false);
		}
	}
}

void offload_take_back(struct offload *o, struct dpi *d)
{
	offload_mark(o, d);	/* what was noted by what held until now */
	bring_back(o, d, NULL);
}

void offload_drop(struct offload *o, struct dpi *d, const struct conntrack *ct)
{
	offload_mark(o, d);
	bring_back(o, d, ct);
	for (uint32_t at = 0; at < o->n;) {
		if (!ct || o->list[at].ct == ct)
			at += look(o, d, at, o->n - at);	/* the last counters */
		else
			at++;
	}
	for (uint32_t at = 0; at < o->n;) {
		if (ct && o->list[at].ct != ct) {
			at++;
			continue;
		}
		dpi_flow_lost(d, &o->list[at].who);
		forget(o, at);
	}
}
