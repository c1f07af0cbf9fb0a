/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open flows when the policy is another one (dpi_judge_anew): a slice between two batches, so that packets wait SLICE at most and one call of the core more, whatever the
 * number of flows; a worker that has no packets goes from slice to slice. Flows of which packets are held and that are refused now have their ends reset here, from their
 * numbers; those of the mirror are handed to agent/enforce.h.
 *
 * It goes at the pace of those who take what it says: alerts of a slice wait for room in the ring of events (worker_spares_sink), refusals in
 * the ring of those who carry them out, for as long as it takes: nobody would tell the ends otherwise. */
#include "agent/worker_parts.h"

#include "agent/refusal.h"
#include "base/log.h"

#define SLICE 500000			/* ns */
#define FLOWS 32u			/* a call of the core: some 30 us */

void judging_begin(struct worker *w)
{
	w->judging = true;
	w->judge_waits = false;
}

int judging_wait_ms(const struct worker *w) { return !w->judging ? -1 : w->judge_waits ? ROOM_MS : 0; }

void judging_turn(struct worker *w)
{
	int64_t began, now;

	if (!w->judging)
		return;
	began = now = worker_steady();
	w->judge_waits = false;
	while (w->judging && !w->judge_waits && now - began < SLICE) {
		if (worker_spares_sink(w))
			w->judge_waits = true;
		else
			w->judging = dpi_judge_anew(w->dpi, FLOWS);
		now = worker_steady();
	}
}

/* The workload whose queue holds its packets. */
static const struct world_port *queue_of(const struct worker *w, const struct dpi_refused *r)
{
	const struct world_port *best = NULL;

	for (int i = 0; w->world && i < 2; i++) {
		const struct world_port *p = r->workload[i] ? world_by_workload(w->world, r->workload[i]) : NULL;

		if (p && p->reset && (!best || p->view == (r->view & ~1u)))
			best = p;
	}
	return best;
}

bool judging_refused(struct worker *w, const struct dpi_refused *r)
{
	const struct world_port *p = r->held ? queue_of(w, r) : NULL;
	struct err err = { "" };
	struct reply_end end[2];

	if (!r->held) {
		w->judge_waits = w->conf.enforce && !enforce_room(w->conf.enforce, w->conf.index);
		return !w->judge_waits && (!w->conf.enforce || enforce_refused(w->conf.enforce, w->conf.index, r));
	}
	refusal_ends(r, end);
	if (p && reset_ends(p->reset, end, &err))
		log_debug(NFQ, "workload %u: refusing: %s", p->row.workload, err.text);
	return true;
}
