/* SPDX-License-Identifier: GPL-2.0-or-later */
/* away: flows that are decided, and whose packets go by without coming here (ANSWER_FINAL; dpi.h, "decided flows").
 *
 * The caller takes a flow away and brings it back; between the two it says what the kernel counted. What the core keeps of it meanwhile is the entry:
 * nothing is parsed, no segment waits. The entry does not age as long as the caller finds the flow alive.
 *
 * Counting. A flow is `tracked` when the kernel counts each of its packets since the first: those that come here too. So what the kernel says takes
 * the place of what was counted here, also after the flow came back, until another path shows it.
 *
 * Coming back, a TCP connection is one that is seen from its middle on (F_MIDSTREAM), but for its app, which stays known. */
#include "dpi/tunnel.h"

#include <netinet/in.h>

#include "dpi/final.h"

/* ---- is it final? ---- */

static enum final why(const struct px *x, const struct flow *f)
{
	const struct packet *p = x->p;
	const struct dpi *d = x->d;
	const struct final_in in = {
		.verdict = (enum verdict)f->verdict,
		.enforced = flow_hit(f, F_ENFORCE),
		.refusals = f->half[0].refused,
		.counted = f->tracked || (p && p->frame->flags & FRAME_SHUNTABLE && flow_by_tuple(f)),
		.carries = p && tunnel_may(p, f),
		.app_known = flow_hit(f, F_APP_KNOWN),
		.by_facts = f->by_facts,
		.sought = f->feed == FEED_SEEK,
		.parsed = f->feed == FEED_PARSE,
		.for_events = f->proto && f->proto->for_events,
		.events_taken = f->proto && wanted(d, f->proto->event),
		.learned = flow_hit(f, F_LEARNED) && wanted(d, EV_LEARN),
		.anomalies_taken = wanted(d, EV_ANOMALY),
		.answered = !p || (x->dir == DIR_TOCLIENT && p->payload.n),
	};

	return final_of(&in);
}

/* The kernel keeps an entry of it: since a packet of it was let pass. */
static bool known_to_kernel(const struct flow *f)
{
	return f->key.ipproto == IPPROTO_TCP ? f->state == FLOW_OPEN : f->pkts[0] + f->pkts[1] > 1;
}

void away_look(struct px *x)
{
	struct flow *f = x->f;

	if (!known_to_kernel(f) || why(x, f) != FINAL_YES)
		return;
	x->answer |= ANSWER_FINAL;
	x->d->decided = f;
}

void away_refused(struct px *x)
{
	struct flow *f = x->f;

	if (f->half[0].refused < FINAL_REFUSALS)
		f->half[0].refused++;
	away_look(x);
}

enum final away_why(const struct dpi *d, const struct flow *f)
{
	const struct px x = { .d = (struct dpi *)(uintptr_t)d };

	return why(&x, f);
}

/* ---- going and coming ---- */

static void leave(struct dpi *d, struct flow *f)
{
	px_without_packet(d, f);
	f->parsed = f->feed == FEED_PARSE;
	feed_off(&d->px);
	stream_free(d, f);
	f->away = 1;
	d->flows_away++;
}

/* All that TCP said is past. Scales of windows and timestamps are learned anew, as of any connection that is taken up in its middle. */
static void forget_place(struct flow *f)
{
	for (int i = 0; i < 2; i++) {
		unsigned refused = f->half[i].refused & 7u;

		memset(&f->half[i], 0, sizeof f->half[i]);
		f->half[i].refused = refused & 7u;
	}
	flow_set(f, F_MIDSTREAM);
	flow_clear(f, F_TS | F_SACK | F_SYN_AGAIN | F_CLAIMED);
}

static void come_back(struct dpi *d, struct flow *f)
{
	f->away = 0;
	d->flows_away--;
	if (f->state == FLOW_CLOSED)
		return;
	if (f->key.ipproto == IPPROTO_TCP)
		forget_place(f);
	if (f->parsed)
		f->feed = FEED_SEEK;
	f->parsed = 0;
}

void away_packet(struct px *x)
{
	const struct packet *p = x->p;
	struct flow *f = x->f;
	bool syn = p->t.ipproto == IPPROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;

	if (syn || f->policy != x->d->policy_version || !(p->frame->flags & (FRAME_TRACKED | FRAME_SHUNTABLE)))
		come_back(x->d, f);
}

void away_end(struct dpi *d, struct flow *f)
{
	if (f->away)
		d->flows_away--;
	f->away = 0;
}

/* ---- the public face ---- */

uint64_t dpi_events_inline(void)
{
	uint64_t mask = UINT64_C(1) << EV_ANOMALY;

	for (const struct proto *const *p = proto_list; *p; p++)
		if ((*p)->for_events)
			mask |= UINT64_C(1) << (*p)->event;
	return mask;
}

bool dpi_decided(const struct dpi *d, struct dpi_decided *out)
{
	const struct flow *f = d->decided;

	if (!f)
		return false;
	*out = (struct dpi_decided){
		.flow = d->decided,
		.flow_id = f->id,
		.tuple = flow_tuple(f, DIR_TOSERVER),
		.app = (enum app)f->app,
		.bytes = f->bytes[0] + f->bytes[1],
		.stops = flow_refused(f),
		.packets = f->pkts[0] + f->pkts[1],
	};
	return true;
}

/* Entries never move, and their memory stays; an id is given once. */
static struct flow *still(const struct dpi_decided *w) { return w->flow->state != FLOW_FREE && w->flow->id == w->flow_id ? w->flow : NULL; }

bool dpi_flow_away(struct dpi *d, const struct dpi_decided *w, bool away)
{
	struct flow *f = still(w);

	if (f && f->away != away) {
		if (away)
			leave(d, f);
		else
			come_back(d, f);
	}
	return f && f->tracked;
}

static void closed(struct dpi *d, struct flow *f, bool reset)
{
	px_without_packet(d, f);
	feed_off(&d->px);
	stream_free(d, f);
	if (reset)
		flow_set(f, F_RST);
	for (int i = 0; !reset && i < 2; i++)
		f->tcp_flags[i] |= TCP_FIN;
	flow_move(&d->flows, f, FLOW_CLOSED, d->now);
}

bool dpi_flow_counted(struct dpi *d, const struct dpi_decided *w, const struct dpi_counted *c)
{
	struct flow *f = still(w);
	bool moved = false;

	if (!f || !(c->beside ? f->away : f->tracked))
		return false;
	for (int i = 0; i < 2; i++) {
		uint64_t pkts = c->pkts[i] + (c->beside ? f->pkts[i] : 0), bytes = c->bytes[i] + (c->beside ? f->bytes[i] : 0);

		moved |= f->pkts[i] != pkts;
		f->pkts[i] = pkts;
		f->bytes[i] = bytes;
	}
	if (!f->away || f->state == FLOW_CLOSED)
		return true;
	if (moved && d->last_ts > f->last)
		f->last = d->last_ts;
	if (c->closed)
		closed(d, f, c->reset);
	else if (moved || !verdict_stops((enum verdict)f->verdict))
		flow_young(&d->flows, f, d->now);
	return true;
}

bool dpi_flow_is_away(const struct dpi *d, const struct dpi_decided *w)
{
	const struct flow *f = still(w);

	(void)d;
	return f && f->away;
}

bool dpi_flow_lost(struct dpi *d, const struct dpi_decided *w)
{
	struct flow *f = still(w);
	bool away = f && f->away;

	if (away)
		come_back(d, f);
	if (f)
		f->tracked = 0;
	return away;
}
