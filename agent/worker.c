/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One loop: wait, carry out commands, run each source that is ready until it has nothing more (or its turn is over), inspect
 * what other workers handed over (agent/relay.h), let time pass in the core, wake the sink. The worker alone touches its core and its sources; the main thread reaches them by
 * one command at a time, handed over under a mutex and waited for. */
#include "agent/worker_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/wheel.h"	/* container_of */

#define TICK_MS 50
#define ALONE 20		/* ticks without a frame, and with nothing that passes by: whatever hangs on the last one has had its time ... */
#define REST_MS 250		/* ... and what is left, the ends of silent flows, may be told that much later */
#define PATIENCE_MS 1000	/* less than the watchdog waits for a worker that stops */
#define SPARE_NS 500000000LL	/* a sink that makes no room in so long is not waited for */
#define AGAIN_MS 2		/* between two looks at frames that come again */

enum command_kind { CMD_ADD, CMD_REMOVE, CMD_WORLD, CMD_MASK, CMD_FLOWS, CMD_SIZES, CMD_BROKEN, CMD_DROP_OFFLOADED, CMD_LET_PASS, CMD_STOP };

struct command {
	enum command_kind kind;
	struct entry entry;
	const struct source *which;
	struct world *world;
	bool judge;
	int64_t overlap;
	uint64_t mask;
	struct dpi_flow_info *flows;
	unsigned max, count;
	struct dpi_sizes sizes;
	const struct conntrack *ct;
	struct flowmap *passing;
	bool broken;
	int result;
};

int64_t worker_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t worker_steady(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);	/* how long a held frame waits must not depend on a clock that may be set */
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- commands ---- */

/* What decided flows is about to change. */
static void let_all_come_back(struct worker *w)
{
	offload_take_back(w->offload, w->dpi);
	shunt_take_back(w->shunt, w->dpi);
}

static void set_world(struct worker *w, struct world *world, bool judge, int64_t overlap)
{
	struct world *old = w->world;

	if (judge || overlap)
		let_all_come_back(w);
	w->world = world;
	if (w->conf.enforce)
		enforce_adopt(w->conf.enforce, w->conf.index);
	if (judge || !old) {
		dpi_set_policy(w->dpi, world_policy(world));
		judging_begin(w);
	}
	if (overlap)
		dpi_set_epoch(w->dpi, worker_now(), overlap);
	world_unref(old);
}

struct flow_list {
	struct dpi_flow_info *out;
	unsigned n, max;
};

static bool list_flow(void *ctx, const struct dpi_flow_info *f)
{
	struct flow_list *l = ctx;

	if (l->n == l->max)
		return false;
	l->out[l->n++] = *f;
	return true;
}

static void carry_out(struct worker *w, struct command *c)
{
	struct flow_list l = { c->flows, 0, c->max };
	struct entry *e;

	switch (c->kind) {
	case CMD_ADD:
		c->result = frames_add(w, &c->entry);
		break;
	case CMD_REMOVE:
		frames_remove(w, c->which);
		break;
	case CMD_WORLD:
		set_world(w, c->world, c->judge, c->overlap);
		break;
	case CMD_MASK:
		let_all_come_back(w);
		dpi_set_event_mask(w->dpi, c->mask);
		break;
	case CMD_FLOWS:
		dpi_each_flow(w->dpi, list_flow, &l);
		c->count = l.n;
		break;
	case CMD_SIZES:
		dpi_get_sizes(w->dpi, &c->sizes);
		break;
	case CMD_BROKEN:
		e = frames_find(w, c->which);
		c->broken = !e || e->broken;
		break;
	case CMD_DROP_OFFLOADED:
		offload_drop(w->offload, w->dpi, c->ct);
		break;
	case CMD_LET_PASS:
		e = frames_find(w, c->which);
		if (e && !e->passing)
			e->passing = flowmap_ref(c->passing);
		break;
	case CMD_STOP:
		w->stopping = true;
		break;
	}
}

static void run_commands(struct worker *w)
{
	uint64_t n;

	if (read(w->conf.wake, &n, sizeof n) < 0 && errno == EAGAIN)
		return;
	pthread_mutex_lock(&w->lock);
	if (w->command) {
		carry_out(w, w->command);
		w->command = NULL;
		pthread_cond_signal(&w->answered);
	}
	pthread_mutex_unlock(&w->lock);
}

bool worker_spares_sink(struct worker *w)
{
	if (!evring_crowded(w->conf.events)) {
		w->crowded = 0;
		return false;
	}
	if (!w->crowded)
		w->crowded = worker_steady();
	return worker_steady() - w->crowded < SPARE_NS;
}

/* of two waits in ms; other: -1, no end */
static int sooner(int ms, int other) { return other >= 0 && other < ms ? other : ms; }

static int wait_ms(const struct worker *w)
{
	int ms = w->behind ? 0 : w->again.n ? AGAIN_MS : w->ticks_alone >= ALONE && !w->came ? REST_MS : TICK_MS;

	if (w->due)
		ms = sooner(ms, w->due_waits ? ROOM_MS : 0);
	ms = sooner(ms, judging_wait_ms(w));
	for (unsigned i = 0; i < w->timed; i++) {
		const struct source *s = w->entries[i]->src;

		if (!w->entries[i]->broken)
			ms = sooner(ms, s->ops->timeout(s));
	}
	return ms;
}

static void run_due(struct worker *w)
{
	for (unsigned i = 0; i < w->timed; i++) {
		struct entry *e = w->entries[i];

		if (!e->broken && e->src->ops->timeout(e->src) == 0)
			frames_run(w, e, TURN);
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct waiter *ready[64];
	int64_t ticked = 0;

	while (!w->stopping) {
		unsigned n = waiting_ready(&w->waiting, ready, 64, wait_ms(w));
		bool woken = false;
		int64_t now;

		for (unsigned i = 0; i < n; i++) {
			struct entry *e;

			if (ready[i] == &w->woken) {
				woken = true;
				continue;
			}
			e = container_of(ready[i], struct entry, waiter);	/* entries go away by commands only, which run below */
			if (!e->broken)
				frames_run(w, e, TURN);
		}
		run_due(w);
		frames_again(w, NULL, false);
		if (woken)
			run_commands(w);
		now = worker_now();
		if (now - ticked >= (int64_t)TICK_MS * 1000000) {
			dpi_tick(w->dpi, now);
			offload_tick(w->offload, w->dpi);
			shunt_tick(w->shunt, w->dpi);
			w->ticks_alone = w->came || offload_any(w->offload) || shunt_any(w->shunt) ? 0 : w->ticks_alone + 1;
			w->came = false;
			waiting_tick(&w->waiting);
			ticked = now;
		}
		w->due_waits = worker_spares_sink(w);
		w->due = dpi_due(w->dpi, !w->due_waits);
		if (w->conf.relay) {
			frames_run_relayed(w);
			frames_take_replies(w);
			relay_wake(w->conf.relay, w->conf.index);
		}
		judging_turn(w);
		frames_flush(w);
		if (w->conf.enforce)
			enforce_wake(w->conf.enforce, w->conf.index);
		evring_wake(w->conf.events);
		counter_add(&w->beats, 1);
	}
	while (w->n) {
		struct source *src = w->entries[0]->src;

		frames_remove(w, src);
		src->ops->close(src);
	}
	do
		frames_run_relayed(w);
	while (w->behind);
	frames_again(w, NULL, true);
	offload_drop(w->offload, w->dpi, NULL);
	w->patience = PATIENCE_MS;
	dpi_flush(w->dpi);
	evring_wake(w->conf.events);
	return NULL;
}

/* Hands the command over and waits until it was carried out. */
static void call(struct worker *w, struct command *c)
{
	struct timespec until;
	uint64_t one = 1;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(w->conf.watchdog / 1000000000) + 1;
	pthread_mutex_lock(&w->lock);
	w->command = c;
	if (write(w->conf.wake, &one, sizeof one) != sizeof one)
		log_error(AGENT, "worker %u: cannot be woken: %s", w->conf.index, strerror(errno));
	while (w->command) {
		if (pthread_cond_timedwait(&w->answered, &w->lock, &until) == ETIMEDOUT) {
			log_error(AGENT, "worker %u does not move: the process ends so that the kernel does as nfq.fail says", w->conf.index);
			_exit(1);
		}
	}
	pthread_mutex_unlock(&w->lock);
}

/* ---- the main thread's side ---- */

struct worker *worker_start(const struct worker_conf *conf, struct err *err)
{
	struct dpi_ops ops;
	struct worker *w = calloc(1, sizeof *w);
	int rc;

	if (!w) {
		err_set(err, -ENOMEM, "worker %u: no memory", conf->index);
		return NULL;
	}
	w->conf = *conf;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->answered, NULL);
	rc = waiting_open(&w->waiting);
	if (!rc)
		rc = waiting_add(&w->waiting, &w->woken, conf->wake);
	if (rc) {
		err_set(err, rc, "worker %u: epoll: %s", conf->index, strerror(-rc));
		goto fail;
	}
	ask_fill(w, &ops);
	w->dpi = dpi_new(&conf->dpi, &ops, err);
	w->offload = w->dpi ? offload_new() : NULL;
	w->shunt = w->dpi ? shunt_new(conf->shunt_bytes) : NULL;
	if (w->dpi && (!w->offload || !w->shunt))
		err_set(err, -ENOMEM, "worker %u: no memory", conf->index);
	if (!w->offload || !w->shunt)
		goto fail;
	rc = pthread_create(&w->thread, NULL, worker_main, w);
	if (!rc)
		return w;
	err_set(err, -rc, "worker %u: no thread: %s", conf->index, strerror(rc));
fail:
	offload_free(w->offload);
	shunt_free(w->shunt);
	dpi_free(w->dpi);
	waiting_close(&w->waiting);
	free(w);
	return NULL;
}

void worker_stop(struct worker *w)
{
	struct command c = { .kind = CMD_STOP };

	if (!w)
		return;
	call(w, &c);
	pthread_join(w->thread, NULL);
	offload_free(w->offload);
	shunt_free(w->shunt);
	dpi_free(w->dpi);
	world_unref(w->world);
	waiting_close(&w->waiting);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->answered);
	for (unsigned i = 0; i < TRAFFIC_CHUNKS; i++)
		free(w->traffic[i]);
	free(w->entries);
	free(w);
}

int worker_add_source(struct worker *w, struct source *src, worker_refuse refuse, void *ctx, struct conntrack *ct, struct err *err)
{
	struct command c = { .kind = CMD_ADD, .entry = { .src = src, .refuse = refuse, .refuse_ctx = ctx, .ct = ct ? conntrack_ref(ct) : NULL } };

	call(w, &c);
	if (c.result)
		conntrack_unref(ct);
	return c.result ? err_set(err, c.result, "worker %u: source %s: %s", w->conf.index, src->ops->name, strerror(-c.result)) : 0;
}

void worker_remove_source(struct worker *w, struct source *src)
{
	struct command c = { .kind = CMD_REMOVE, .which = src };

	call(w, &c);
}

void worker_let_pass(struct worker *w, struct source *src, struct flowmap *p)
{
	struct command c = { .kind = CMD_LET_PASS, .which = src, .passing = p };

	call(w, &c);
}

bool worker_source_broken(struct worker *w, const struct source *src)
{
	struct command c = { .kind = CMD_BROKEN, .which = src };

	if (!__atomic_load_n(&w->nbroken, __ATOMIC_RELAXED))	/* without waking the worker for each of hundreds */
		return false;
	call(w, &c);
	return c.broken;
}

void worker_set_world(struct worker *w, struct world *world, bool judge, int64_t overlap)
{
	struct command c = { .kind = CMD_WORLD, .world = world_ref(world), .judge = judge, .overlap = overlap };

	call(w, &c);
}

void worker_set_event_mask(struct worker *w, uint64_t mask)
{
	struct command c = { .kind = CMD_MASK, .mask = mask };

	call(w, &c);
}

unsigned worker_flows(struct worker *w, struct dpi_flow_info *out, unsigned max)
{
	struct command c = { .kind = CMD_FLOWS, .flows = out, .max = max };

	call(w, &c);
	return c.count;
}

void worker_drop_offloaded(struct worker *w, const struct conntrack *ct)
{
	struct command c = { .kind = CMD_DROP_OFFLOADED, .ct = ct };

	call(w, &c);
}

void worker_sizes(struct worker *w, struct dpi_sizes *out)
{
	struct command c = { .kind = CMD_SIZES };

	call(w, &c);
	*out = c.sizes;
}

const uint64_t *worker_counters(const struct worker *w) { return dpi_counters(w->dpi); }
const uint64_t *worker_shunt_counters(const struct worker *w) { return shunt_counters(w->shunt); }
const uint64_t *worker_offload_counters(const struct worker *w) { return offload_counters(w->offload); }
const uint64_t *worker_app_flows(const struct worker *w) { return dpi_app_flows(w->dpi); }
uint64_t worker_beats(const struct worker *w) { return counter_get(&w->beats); }
uint64_t worker_not_relayed(const struct worker *w) { return counter_get(&w->not_relayed); }
uint64_t worker_not_asked(const struct worker *w) { return counter_get(&w->not_asked); }
