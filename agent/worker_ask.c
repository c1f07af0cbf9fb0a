/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the core asks, and what it says: of the world as this worker has it, of what all workers share. */
#include "agent/worker_parts.h"

#include <time.h>

static void on_emit(void *ctx, const struct event *ev)
{
	const struct timespec ms = { 0, 1000000 };
	struct worker *w = ctx;

	while (!evring_put(w->conf.events, ev) && w->patience) {	/* at the end every flow is told at once, more than the ring may hold */
		w->patience--;
		evring_wake(w->conf.events);
		nanosleep(&ms, NULL);
	}
}

static enum dpi_own on_owner(void *ctx, const struct frame *f, const struct tuple *t)
{
	struct worker *w = ctx;

	return w->world ? world_owner(w->world, f, t) : OWN_YES;
}

static bool on_bypassed(void *ctx, const struct frame *f, const struct tuple *t)
{
	struct worker *w = ctx;
	const struct doubts *doubts = w->conf.doubts;
	int64_t now = worker_now();

	(void)t;
	if (doubts && (__atomic_load_n(&doubts->all, __ATOMIC_RELAXED) > now || __atomic_load_n(&doubts->until[f->workload % DOUBTS], __ATOMIC_RELAXED) > now))
		return false;
	if (w->conf.bypassed)
		w->conf.bypassed(w->conf.bypassed_ctx, f->workload);
	return true;
}

static void on_ends(void *ctx, const struct frame *f, const struct tuple *t, struct dpi_ends *out)
{
	struct worker *w = ctx;
	const struct world_port *end[2] = { NULL, NULL };

	if (w->world)
		world_ends(w->world, f, t, end);
	for (int i = 0; i < 2; i++) {
		if (w->world && !f->caplen && out->workload[i] && !(end[i] && end[i]->row.workload == out->workload[i])) {	/* its address may tell nothing, or another one's name */
			const struct world_port *was = world_by_workload(w->world, out->workload[i]);

			end[i] = was ? was : end[i];
		}
		out->workload[i] = end[i] ? end[i]->row.workload : 0;
		out->groups[i] = end[i] ? &end[i]->groups : NULL;
		out->quarantined |= end[i] && end[i]->quarantined;
	}
	if (end[0] && end[0] == end[1])		/* what it says to itself goes nowhere else */
		out->quarantined = false;
}

static void on_learn(void *ctx, uint32_t workload, const struct addr *a, struct bytes name, uint32_t ttl, int64_t ts)
{
	struct worker *w = ctx;

	fqdn_cache_learn(w->conf.fqdn, workload, a, name, ttl, ts);
}

static void on_names(void *ctx, uint32_t workload, const struct addr *a, int64_t since, void (*each)(void *to, struct bytes name), void *to)
{
	struct worker *w = ctx;

	fqdn_cache_each(w->conf.fqdn, workload, a, since, each, to);
}

static bool on_refused(void *ctx, const struct dpi_refused *r)
{
	struct worker *w = ctx;

	if (!r->frame)
		return judging_refused(w, r);
	return !w->conf.enforce || enforce_refused(w->conf.enforce, w->conf.index, r);
}

static void on_released(void *ctx, const struct tuple *t)
{
	struct worker *w = ctx;

	enforce_released(w->conf.enforce, w->conf.index, t);
}

uint32_t worker_view(void *ctx, const uint8_t *mac_src, const uint8_t *mac_dst, bool entering, uint32_t *workload)
{
	struct worker *w = ctx;

	if (!w->world) {
		*workload = 0;
		return 0xfffffffeU | (uint32_t)entering;
	}
	return world_view(w->world, mac_src, mac_dst, entering, workload);
}

void ask_fill(struct worker *w, struct dpi_ops *ops)
{
	*ops = (struct dpi_ops){ .owner = on_owner, .bypassed = on_bypassed, .ends = on_ends, .refused = on_refused, .answer = frames_answer, .emit = on_emit, .ctx = w };
	if (w->conf.fqdn) {
		ops->learn = on_learn;
		ops->names = on_names;
	}
	if (w->conf.enforce)
		ops->released = on_released;
}
