/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/engine.h"

#define WAYS 4u
#define SETS (MEM_PIECE_MAX / sizeof(struct witness_entry) / WAYS)
#define ENTRIES (SETS * WAYS)

static struct witness_entry *set_of(struct dpi *d, const struct flow_key *k)
{
	return d->witness.entry + flow_hash(&d->flows, k) % SETS * WAYS;
}

static struct witness_entry *find(struct dpi *d, const struct flow_key *k)
{
	struct witness_entry *e = d->witness.entry ? set_of(d, k) : NULL;

	for (unsigned i = 0; e && i < WAYS; i++)
		if (e[i].state != WITNESS_FREE && !memcmp(&e[i].key, k, sizeof(*k)))
			return &e[i];
	return NULL;
}

static void forget(struct dpi *d, struct witness_entry *e)
{
	e->state = WITNESS_FREE;
	if (!--d->witness.used)
		witness_stop(d);
}

/* A free place of the key's set, or the oldest's. NULL: no memory. */
static struct witness_entry *place(struct dpi *d, const struct flow_key *k)
{
	struct witness_entry *e, *oldest;

	if (!d->witness.entry) {
		d->witness.entry = mem_zalloc(d->mem, MEM_PIECE_MAX);
		if (!d->witness.entry) {
			count(d, DPI_C_WITNESS_CAP);
			return NULL;
		}
	}
	e = oldest = set_of(d, k);
	for (unsigned i = 0; i < WAYS; i++) {
		if (e[i].state == WITNESS_FREE) {
			d->witness.used++;
			return &e[i];
		}
		if (e[i].used < oldest->used)
			oldest = &e[i];
	}
	count(d, DPI_C_WITNESS_CAP);
	return oldest;
}

/* The flow was inspected on the path that owns it, and knows this beginning. */
static bool shown(const struct flow *f, enum dir dir, uint32_t seq, uint8_t path)
{
	const struct half *h = &f->half[dir];

	return f->path != path && f->pkts[dir] && (!(h->flags & HALF_KNOWN) || h->isn == seq || h->isn_alt == seq);
}

/* Whom to, and the number: what translation inside the workload leaves as it is, on both paths. */
static uint32_t print_of(const struct dpi *d, const struct packet *p)
{
	struct { struct addr dst; uint32_t seq, dport; } k = { p->t.dst, p->seq, p->t.dport };

	return (uint32_t)hash_sip13(&d->conf.key, &k, sizeof(k)) | 1;
}

void witness_held(struct dpi *d, const struct packet *p)
{
	uint32_t print = print_of(d, p), *set = d->witness.print[print / 2 % WITNESS_PRINT_SETS];

	memmove(set + 1, set, (WITNESS_PRINT_WAYS - 1) * sizeof(*set));	/* the oldest makes room */
	set[0] = print;
}

/* A held frame showed this beginning lately. */
static bool held(const struct dpi *d, const struct packet *p)
{
	uint32_t print = print_of(d, p);
	const uint32_t *set = d->witness.print[print / 2 % WITNESS_PRINT_SETS];
	bool yes = false;

	for (unsigned i = 0; i < WITNESS_PRINT_WAYS; i++)
		yes |= set[i] == print;
	return yes;
}

static void keep(struct witness_entry *e, const struct packet *p)
{
	struct witness_packet *w = &e->packet[e->n++];

	w->frame = *p->frame;
	memcpy(w->bytes, p->frame->data, p->frame->caplen);
	w->frame.data = NULL;
}

void witness_note(struct dpi *d, const struct packet *p, const struct flow_key *k, const struct flow *f, enum dir dir)
{
	struct witness_entry *e;

	/* Tagged packets and parts of something else are not what the owner's rules were made for. */
	if (p->nvlan || p->reassembled || p->bad_csum || p->frame->caplen > WITNESS_BYTES || (f && shown(f, dir, p->seq, p->frame->path)) || find(d, k))
		return;
	if (held(d, p))		/* asked now: prints of others come meanwhile */
		return;
	e = place(d, k);
	if (!e)
		return;
	e->key = *k;
	e->state = WITNESS_WAITS;
	e->path = p->frame->path;
	e->seq = p->seq;
	e->tick = d->witness.ticks;
	e->used = d->now;
	e->evicted = d->counters[DPI_C_FLOWS_EVICTED];
	e->n = 0;
	keep(e, p);
}

void witness_also(struct dpi *d, const struct packet *p, const struct flow_key *k)
{
	struct witness_entry *e = find(d, k);

	if (e && e->state == WITNESS_WAITS && e->n < WITNESS_PACKETS && p->frame->caplen <= WITNESS_BYTES && p->frame->view != e->packet[0].frame.view)
		keep(e, p);
}

bool witness_past(struct dpi *d, const struct packet *p, const struct flow_key *k)
{
	struct witness_entry *e = find(d, k);

	if (!e || e->state != WITNESS_PAST)
		return false;
	if (p->frame->path != e->path) {	/* the owner has it again */
		if (p->frame->held)
			forget(d, e);
		return false;
	}
	e->used = d->now;
	return true;
}

/* It waited long enough. True: it went past the owner. */
static bool judge(struct dpi *d, struct witness_entry *e)
{
	struct flow *f = flow_find(&d->flows, &e->key, flow_hash(&d->flows, &e->key));
	struct witness_packet *w = &e->packet[0];
	struct frame fr = w->frame;
	struct packet p;
	enum dpi_counter why;
	bool hi;

	fr.data = w->bytes;
	if (decode_frame(&fr, &p, &why) != DECODE_OK)
		return false;
	hi = addr_cmp(&p.t.src, &p.t.dst) > 0 || (addr_eq(&p.t.src, &p.t.dst) && p.t.sport > p.t.dport);
	if (f && shown(f, hi == flow_hit(f, F_INIT_HI) ? DIR_TOSERVER : DIR_TOCLIENT, e->seq, e->path))
		return false;
	if (!f && d->counters[DPI_C_FLOWS_EVICTED] != e->evicted)
		return false;		/* perhaps it was there, and made room for others */
	if (held(d, &p))
		return false;
	return !d->ops.bypassed || d->ops.bypassed(d->ops.ctx, &fr, &p.t);
}

/* What was kept is inspected as if it came now, then it is told. */
static void went_past(struct dpi *d, struct witness_entry *e)
{
	struct witness_entry all = *e;
	struct packet p;
	struct frame fr;
	enum dpi_counter why;
	const struct flow *f;

	e->state = WITNESS_PAST;
	e->used = d->now;
	count(d, DPI_C_BYPASS);
	for (unsigned i = 0; i < all.n; i++) {
		fr = all.packet[i].frame;
		fr.data = all.packet[i].bytes;
		dpi_inspect(d, &fr);
	}
	fr = all.packet[0].frame;
	fr.data = all.packet[0].bytes;
	f = flow_find(&d->flows, &all.key, flow_hash(&d->flows, &all.key));
	if (decode_frame(&fr, &p, &why) == DECODE_OK)
		tell_flow_anomaly(d, &p, ANOM_BYPASS, f);
}

void witness_tick(struct dpi *d)
{
	d->witness.ticks++;
	for (unsigned i = 0; d->witness.entry && i < ENTRIES; i++) {
		struct witness_entry *e = &d->witness.entry[i];

		switch ((enum witness_state)e->state) {
		case WITNESS_FREE:
			break;
		case WITNESS_WAITS:
			if (d->witness.ticks - e->tick < WITNESS_TICKS)
				break;
			if (judge(d, e))
				went_past(d, e);
			else
				forget(d, e);
			break;
		case WITNESS_PAST:
			if (d->now - e->used < WITNESS_IDLE)
				break;
			if (flow_find(&d->flows, &e->key, flow_hash(&d->flows, &e->key)))
				e->used = d->now;
			else
				forget(d, e);
			break;
		}
	}
}

void witness_stop(struct dpi *d)
{
	mem_release(d->mem, d->witness.entry, MEM_PIECE_MAX);
	d->witness.entry = NULL;
	d->witness.used = 0;
}
