/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frames of a worker's sources: read in turns, inspected here or by the worker that their flow belongs to (agent/relay.h), answered to the source that they came
 * from, at once or when the core says so. What comes from elsewhere is inspected here alike. A source goes only when every held frame of it was answered. */
#include "agent/worker_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "nfq/queue.h"

#define DOUBT 2000000000LL	/* ns: after a full queue, what it did not show may have been let by */
#define DOUBT_BEHIND 500000000LL	/* ns: after a turn that did not read a queue to its end */
#define SOURCES_MAX 4096
#define RELAYED_TURN 1024	/* frames of other workers' sources before the own ones get their turn */

/* ---- frames ---- */

static void count_traffic(struct worker *w, const struct frame *f)
{
	uint32_t chunk = f->workload / TRAFFIC_CHUNK;
	struct worker_traffic *t;
	bool in = f->flags & FRAME_ENTERING;

	if (!f->workload || chunk >= TRAFFIC_CHUNKS || f->path >= WORKER_PATHS)
		return;
	t = w->traffic[chunk];
	if (!t) {
		t = calloc(TRAFFIC_CHUNK, sizeof *t);
		if (!t)
			return;
		__atomic_store_n(&w->traffic[chunk], t, __ATOMIC_RELEASE);
	}
	t += f->workload % TRAFFIC_CHUNK;
	counter_add(&t->packets[f->path][in], 1);
	counter_add(&t->bytes[f->path][in], f->wirelen);
}

/* A reset counts only at the very next byte that its receiver awaits: what was accepted before it has to be on its way. */
static void refuse_frame(const struct entry *e, const struct frame *f)
{
	if (!e->refuse)
		return;
	e->src->ops->flush(e->src);
	e->refuse(e->refuse_ctx, f, false);
}

static void answer(struct entry *e, const struct frame *f, struct answer a)
{
	e->src->ops->answer(e->src, f, a);
	if (a.verdict == VERDICT_DENY)
		refuse_frame(e, f);
}

static void to_flush(struct worker *w, struct entry *e)
{
	if (e->answered)
		return;
	e->answered = true;
	e->next_answered = w->answered_first;
	w->answered_first = e;
}

void frames_answer(void *ctx, const struct frame *f, struct answer a)
{
	struct worker *w = ctx;
	struct entry *e = f->caller;

	if (e->reader != w->conf.index) {
		relay_reply(w->conf.relay, w->conf.index, e->reader, f, a);
		return;
	}
	answer(e, f, a);
	to_flush(w, e);
}

void frames_flush(struct worker *w)
{
	for (struct entry *e; (e = w->answered_first); ) {
		w->answered_first = e->next_answered;
		e->answered = false;
		e->src->ops->flush(e->src);
	}
}

/* Inspects a frame whose receiver may have to be asked where it is: it waits for that here (ANSWER_LATER), or is dropped. Only a held one asks: e is there. Where conntrack is on, what the
 * receiver says would be the first packet of a connection that the waiting one is to begin too, and the kernel would drop that one as the later
 * (nf_ct_resolve_clash() in net/netfilter/nf_conntrack_core.c): so its sender sends it again. */
static struct answer inspect_or_ask(struct worker *w, const struct entry *e, const struct frame *f)
{
	struct answer a = dpi_inspect(w->dpi, f);
	struct frame as_it_is;
	bool clash;

	if (!(a.flags & ANSWER_ASK))
		return a;
	clash = e->ct && conntrack_on(e->ct);
	if (clash || again_put(&w->again, f, worker_steady())) {
		e->refuse(e->refuse_ctx, f, true);
		return (struct answer){ .verdict = VERDICT_DROP, .flags = clash ? 0 : ANSWER_LATER };
	}
	counter_add(&w->not_asked, 1);
	as_it_is = *f;
	as_it_is.flags &= ~(uint32_t)FRAME_MAY_ASK;
	return dpi_inspect(w->dpi, &as_it_is);
}

void frames_again(struct worker *w, const struct entry *of, bool all)
{
	int64_t now = w->again.n ? worker_steady() : 0;

	for (unsigned i = 0; i < w->again.n;) {
		struct frame *f = w->again.list[i];
		struct answer a;

		if (all && of && f->caller != of) {
			i++;
			continue;
		}
		if (all || now >= w->again.until[i])
			f->flags &= ~(uint32_t)FRAME_MAY_ASK;
		a = dpi_inspect(w->dpi, f);
		if (a.flags & ANSWER_ASK) {
			i++;
			continue;
		}
		f = again_take(&w->again, i);
		if (!(a.flags & ANSWER_LATER))
			frames_answer(w, f, a);
		free(f);
	}
}

static void inspect(struct worker *w, struct entry *e, const struct frame *f)
{
	struct answer a = inspect_or_ask(w, e, f);

	if (a.flags & ANSWER_FINAL && e->passing && w->world)
		shunt_note(w->shunt, e->passing, w->world, w->dpi);
	if (!f->held || a.flags & ANSWER_LATER)
		return;
	if (a.flags & ANSWER_FINAL && e->ct)
		offload_note(w->offload, e->ct, w->dpi);
	answer(e, f, a);
}

/* True when the frame went to the worker that its flow belongs to. */
static bool relayed(struct worker *w, struct entry *e, const struct frame *f)
{
	unsigned to;

	if (!w->conf.relay || (to = relay_owner(w->conf.relay, f)) == w->conf.index)
		return false;
	if (relay_send(w->conf.relay, w->conf.index, to, f)) {
		e->away += f->held;
		return true;
	}
	counter_add(&w->not_relayed, 1);
	if (w->conf.doubts)
		__atomic_store_n(&w->conf.doubts->all, worker_now() + DOUBT, __ATOMIC_RELAXED);
	return false;
}

void frames_run_relayed(struct worker *w)
{
	const struct relayed *m;
	unsigned from;

	w->behind = false;
	for (unsigned n = 0; w->conf.relay && (m = relay_next(w->conf.relay, w->conf.index, &from)); n++) {
		const struct entry *e = m->frame.caller;	/* it stays as long as answers are awaited: of a frame that is not held it may be gone */
		struct answer a;

		w->came = true;
		if (n == RELAYED_TURN) {
			w->behind = true;
			break;
		}
		if (!m->frame.data) {
			frames_again(w, e, true);
			dpi_release(w->dpi, e);
			relay_done(w->conf.relay, w->conf.index, from);
			continue;
		}
		a = inspect_or_ask(w, e, &m->frame);
		if (m->frame.held && a.flags & ANSWER_FINAL && e->ct)
			offload_note(w->offload, e->ct, w->dpi);
		if (m->frame.held && !(a.flags & ANSWER_LATER))
			relay_reply(w->conf.relay, w->conf.index, from, &m->frame, a);
		relay_done(w->conf.relay, w->conf.index, from);
	}
	if (offload_due(w->offload))
		offload_mark(w->offload, w->dpi);
}

/* Of one that was removed. Not as long as answers to frames of it are on their way. */
static void entry_free(struct entry *e)
{
	if (e->away)
		return;
	conntrack_unref(e->ct);
	flowmap_unref(e->passing);
	free(e);
}

void frames_take_replies(struct worker *w)
{
	struct relay_answer a;

	while (w->conf.relay && relay_take_reply(w->conf.relay, w->conf.index, &a)) {
		struct entry *e = a.caller;
		struct frame f = { .held = true, .token = a.token };

		e->away--;
		if (e->gone) {
			free(a.frame);
			entry_free(e);
			continue;
		}
		e->src->ops->answer(e->src, a.frame ? a.frame : &f, a.answer);
		if (a.frame && a.answer.verdict == VERDICT_DENY)
			refuse_frame(e, a.frame);
		free(a.frame);
		to_flush(w, e);
	}
	frames_flush(w);
}

static void doubt(struct worker *w, uint32_t workload, int64_t ns)
{
	int64_t *until = &w->conf.doubts->until[workload % DOUBTS], then = worker_now() + ns;

	if (then > __atomic_load_n(until, __ATOMIC_RELAXED))
		__atomic_store_n(until, then, __ATOMIC_RELAXED);
}

/* Its queue was full: FAIL_OPEN may have let packets of this workload by. Or it is behind, and whether it was full will be known when it is
 * read to its end. */
static void look_for_doubt(struct worker *w, struct entry *e, uint32_t workload, bool behind)
{
	uint64_t fulls = queue_fulls(e->src);

	if (!w->conf.doubts)
		return;
	if (fulls != e->fulls)
		doubt(w, workload, DOUBT);
	else if (behind)
		doubt(w, workload, DOUBT_BEHIND);
	e->fulls = fulls;
}

bool frames_run(struct worker *w, struct entry *e, unsigned turns)
{
	struct err err = { "" };
	int n = 0;

	for (unsigned turn = 0; turn < turns; turn++) {
		n = e->src->ops->batch(e->src, w->frames, BATCH, &err);
		if (n <= 0)
			break;
		w->came = true;
		if (e->queue)
			look_for_doubt(w, e, w->frames[0].workload, turn == TURN - 1);
		for (int i = 0; i < n; i++) {
			struct frame *f = &w->frames[i];

			if (e->ct && conntrack_on(e->ct))
				f->flags |= FRAME_TRACKED;
			f->caller = e;
			if (f->held && e->refuse)
				f->flags |= FRAME_MAY_ASK;
			if (e->passing)
				f->flags |= FRAME_SHUNTABLE;
			count_traffic(w, f);
		}
		for (int i = 0; i < n; i++) {
			if (i % DPI_AHEAD == 0)
				dpi_ahead(w->dpi, &w->frames[i], (unsigned)(n - i));
			if (!relayed(w, e, &w->frames[i]))
				inspect(w, e, &w->frames[i]);
		}
		if (offload_due(w->offload)) {
			e->src->ops->flush(e->src);
			offload_mark(w->offload, w->dpi);
		}
	}
	e->src->ops->flush(e->src);
	if (w->conf.relay)
		relay_wake(w->conf.relay, w->conf.index);
	if (n < 0) {
		e->broken = true;
		__atomic_store_n(&w->nbroken, w->nbroken + 1, __ATOMIC_RELAXED);
		waiting_remove(&w->waiting, &e->waiter);
		log_error(AGENT, "worker %u: %s: %s", w->conf.index, e->src->ops->name, err.text[0] ? err.text : strerror(-n));
	}
	return n > 0;
}

void worker_add_traffic(const struct worker *w, uint32_t workload, struct worker_traffic *sum)
{
	uint32_t chunk = workload / TRAFFIC_CHUNK;
	const struct worker_traffic *t = chunk < TRAFFIC_CHUNKS ? __atomic_load_n(&w->traffic[chunk], __ATOMIC_ACQUIRE) : NULL;

	if (!t)
		return;
	t += workload % TRAFFIC_CHUNK;
	for (unsigned p = 0; p < WORKER_PATHS; p++) {
		for (unsigned d = 0; d < 2; d++) {
			sum->packets[p][d] += counter_get(&t->packets[p][d]);
			sum->bytes[p][d] += counter_get(&t->bytes[p][d]);
		}
	}
}

/* ---- sources ---- */

struct entry *frames_find(struct worker *w, const struct source *src)
{
	for (unsigned i = 0; i < w->n; i++)
		if (w->entries[i]->src == src)
			return w->entries[i];
	return NULL;
}

int frames_add(struct worker *w, const struct entry *from)
{
	struct entry *e = malloc(sizeof *e);
	int rc;

	if (e && w->n == w->size) {
		unsigned size = w->size ? w->size * 2 : 16;
		struct entry **more = size <= SOURCES_MAX ? realloc(w->entries, size * sizeof *more) : NULL;

		if (more) {
			w->entries = more;
			w->size = size;
		}
	}
	if (!e || w->n == w->size) {
		free(e);
		return -ENOMEM;
	}
	*e = *from;
	e->reader = w->conf.index;
	e->queue = !strcmp(e->src->ops->name, "queue");
	rc = waiting_add(&w->waiting, &e->waiter, e->src->ops->fd(e->src));
	if (rc) {
		free(e);
		return rc;
	}
	w->entries[w->n++] = e;
	if (e->src->ops->timeout) {
		w->entries[w->n - 1] = w->entries[w->timed];
		w->entries[w->timed++] = e;
	}
	return 0;
}

/* Nothing of it waits for the rest of its request any more, here and at other workers. Where the way there is full, it waits at most as long as the policy says. */
static void release(struct worker *w, struct entry *e)
{
	frames_again(w, e, true);
	dpi_release(w->dpi, e);
	if (e->away)
		relay_release(w->conf.relay, w->conf.index, e);
}

/* Other workers do not wait for this one, so the answers come; a second is for a machine that is out of breath. */
static void wait_for_replies(struct worker *w, const struct entry *e)
{
	for (int i = 0; e->away && i < 1000; i++) {
		struct timespec ms = { 0, 1000000 };

		frames_take_replies(w);
		frames_run_relayed(w);
		relay_wake(w->conf.relay, w->conf.index);
		if (e->away)
			nanosleep(&ms, NULL);
	}
	if (e->away)
		log_error(AGENT, "worker %u: %u frames of a source were not answered by other workers: left to the kernel", w->conf.index, e->away);
}

/* Reads what the kernel still has for the source. */
static void run_out(struct worker *w, struct entry *e)
{
	int ms = e->src->ops->linger ? e->src->ops->linger(e->src) : 0;

	while (frames_run(w, e, TURN * 4) || (ms > 0 && !e->broken)) {
		struct timespec wait = { 0, 1000000 };

		if (ms-- > 0)
			nanosleep(&wait, NULL);
		else
			break;
	}
}

void frames_remove(struct worker *w, const struct source *src)
{
	struct entry *e = frames_find(w, src);

	if (!e)
		return;
	if (!e->broken) {
		run_out(w, e);
		waiting_remove(&w->waiting, &e->waiter);
	}
	release(w, e);
	wait_for_replies(w, e);
	frames_flush(w);	/* it may be among what was answered */
	if (e->passing)
		shunt_take_back(w->shunt, w->dpi);
	__atomic_store_n(&w->nbroken, w->nbroken - e->broken, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < w->n; i++) {
		if (w->entries[i] != e)
			continue;
		if (i < w->timed) {	/* the last of those takes its place, the last of all the one that this leaves */
			w->entries[i] = w->entries[--w->timed];
			i = w->timed;
		}
		w->entries[i] = w->entries[--w->n];
		break;
	}
	e->gone = true;
	entry_free(e);
}
