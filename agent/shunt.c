/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/shunt.h"

#include <stdlib.h>
#include <string.h>

#define TURNS 5u		/* ticks in which each flow is looked at once */
#define LOOKS_A_TICK 1024u	/* but no more at a time (four calls of a microsecond each) */

struct passing_by {
	struct flowmap *passing;	/* a reference */
	struct dpi_decided who;
	struct passing_flow flow;
	struct passing_count told;	/* what the core knows of */
};

struct shunt {
	uint64_t bulk;
	struct passing_by *list;
	uint32_t n, room, at;		/* at: where the next look begins */
	uint64_t counters[SHUNT_C_COUNT];
};

const struct counter_desc shunt_counter_descs[SHUNT_C_COUNT] = {
#define X(id, name, help) { name, help },
#include "agent/shunt.def"
#undef X
};

struct shunt *shunt_new(uint64_t bulk)
{
	struct shunt *s = calloc(1, sizeof *s);

	if (s)
		s->bulk = bulk;
	return s;
}

void shunt_free(struct shunt *s)
{
	if (s)
		free(s->list);
	free(s);
}

const uint64_t *shunt_counters(const struct shunt *s) { return s->counters; }
bool shunt_any(const struct shunt *s) { return s->n != 0; }

static void tell(struct shunt *s, enum shunt_counter c) { counter_add(&s->counters[c], 1); }

static bool sealed(enum app a) { return app_is(a, APP_TLS) || app_is(a, APP_DTLS) || app_is(a, APP_QUIC) || app_is(a, APP_SSH) || app_is(a, APP_WIREGUARD) || app_is(a, APP_OPENVPN) || app_is(a, APP_IPSEC); }

static bool make_room(struct shunt *s)
{
	uint32_t more = s->room ? s->room * 2 : 64;
	struct passing_by *list;

	if (s->n < s->room)
		return true;
	list = more <= SHUNT_MAX ? realloc(s->list, more * sizeof *list) : NULL;
	if (!list)
		return false;
	s->list = list;
	s->room = more;
	return true;
}

static int mirrored(const struct world_port *p) { return p && p->row.mirror ? p->ifindex : 0; }

void shunt_note(struct shunt *s, struct flowmap *p, const struct world *world, struct dpi *d)
{
	struct passing_by r = { .passing = p };
	const struct tuple *t = &r.who.tuple;

	if (!dpi_decided(d, &r.who) || r.who.stops || r.who.bytes < (sealed(r.who.app) ? SHUNT_SEALED : s->bulk) || t->domain)
		return;
	r.flow = (struct passing_flow){ .src = t->src, .dst = t->dst, .sport = t->sport, .dport = t->dport, .ipproto = t->ipproto,
		.ifindex = { mirrored(world_by_addr(world, &t->src)), mirrored(world_by_addr(world, &t->dst)) } };
	if (!r.flow.ifindex[0] && !r.flow.ifindex[1])
		return;
	if (!make_room(s)) {
		tell(s, SHUNT_C_CAP);
		return;
	}
	if (passing_put(p, &r.flow)) {
		tell(s, SHUNT_C_FAILED);
		return;
	}
	dpi_flow_away(d, &r.who, true);
	flowmap_ref(p);
	s->list[s->n++] = r;
	tell(s, SHUNT_C_TAKEN);
}

/* What went by since the last time. */
static bool count_on(struct passing_by *r, struct dpi *d, const struct passing_count *c)
{
	struct dpi_counted more = { .beside = true, .closed = c->closed, .reset = c->reset };
	bool moved = c->closed;

	for (int i = 0; i < 2; i++) {
		more.pkts[i] = c->pkts[i] - r->told.pkts[i];
		more.bytes[i] = c->bytes[i] - r->told.bytes[i];
		moved |= more.pkts[i] != 0;
	}
	r->told = *c;
	return moved ? dpi_flow_counted(d, &r->who, &more) : dpi_flow_is_away(d, &r->who);	/* nothing went by: it ages */
}

static void forget(struct shunt *s, uint32_t i)
{
	flowmap_unref(s->list[i].passing);
	s->list[i] = s->list[--s->n];
}

static void look_at(struct shunt *s, struct dpi *d, uint32_t i, bool back)
{
	struct passing_by *r = &s->list[i];
	struct passing_count c;
	bool there = back ? passing_take(r->passing, &r->flow, &c) : passing_read(r->passing, &r->flow, &c);
	bool away = (there && count_on(r, d, &c)) || (!there && dpi_flow_is_away(d, &r->who));

	if (!back && there && away && !c.closed) {
		s->at = i + 1;
		return;
	}
	if (!back && there && passing_take(r->passing, &r->flow, &c) && away)
		count_on(r, d, &c);	/* what went by between the two calls */
	if (away && !(there && c.closed)) {
		dpi_flow_away(d, &r->who, false);
		tell(s, SHUNT_C_BACK);
	}
	forget(s, i);
}

void shunt_tick(struct shunt *s, struct dpi *d)
{
	uint32_t left = s->n / TURNS + 1 < LOOKS_A_TICK ? s->n / TURNS + 1 : LOOKS_A_TICK;

	for (; left && s->n; left--) {
		if (s->at >= s->n)
			s->at = 0;
		look_at(s, d, s->at, false);
	}
}

void shunt_take_back(struct shunt *s, struct dpi *d)
{
	while (s->n)
		look_at(s, d, s->n - 1, true);
	s->at = 0;
}
