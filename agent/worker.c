/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One loop: wait, carry out commands, run each source that is ready until it has nothing more (or its turn is over), inspect
 * what other workers handed over (agent/relay.h), let time pass in the core, wake the sink. The worker alone touches its core and its sources; the main thread reaches them by
 * one command at a time, handed over under a mutex and waited for. */
#include "agent/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "agent/again.h"
#include "agent/offload.h"
#include "agent/shunt.h"
#include "base/log.h"
#include "nfq/queue.h"

#define BATCH 64		/* frames asked for at once */
#define TURN 16			/* batches of one source before the others get theirs */
#define TICK_MS 50
#define PATIENCE_MS 1000	/* less than the watchdog waits for a worker that stops */
#define AGAIN_MS 2		/* between two looks at frames that come again */
#define DOUBT 2000000000LL	/* ns: after a full queue, what it did not show may have been let by */
#define DOUBT_BEHIND 500000000LL	/* ns: after a turn that did not read a queue to its end */
#define SOURCES_MAX 4096
#define RELAYED_TURN 1024	/* frames of other workers' sources before the own ones get their turn */

struct entry {
	struct source *src;
	worker_refuse refuse;
	void *refuse_ctx;
	struct conntrack *ct;	/* a reference; NULL: what it shows is not offloaded */
	unsigned reader;	/* the worker that runs it: whichever worker inspects its frames answers there */
	struct passing *passing;	/* a reference; NULL: what it shows is copied as long as it lasts */
	unsigned away;		/* held frames that another worker inspects */
	bool broken;
	bool answered;		/* to be flushed */
	bool queue;
	uint64_t fulls;		/* queue_fulls() when last looked at */
};

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
	struct passing *passing;
	bool broken;
	int result;
};

/* Traffic by workload id: chunks that come into being with the first packet of one of their ids. */
#define TRAFFIC_CHUNK 1024
#define TRAFFIC_CHUNKS 1024

struct worker {
	struct worker_conf conf;
	struct dpi *dpi;
	struct offload *offload;
	struct shunt *shunt;
	struct again again;
	struct world *world;
	struct entry **entries;
	unsigned n, size;
	int epfd, evfd;
	bool stopping, behind;	/* behind: relayed frames were left for the next round */
	unsigned patience;	/* ms that are left to wait for room in the ring of events; 0 until the end */
	bool unflushed;		/* some entry was answered */
	uint64_t beats, not_relayed;
	struct worker_traffic *traffic[TRAFFIC_CHUNKS];
	struct frame frames[BATCH];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct command *command;	/* under lock: waiting to be carried out */
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- what the core asks ---- */

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
	int64_t now = now_ns();

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

static void on_refused(void *ctx, const struct dpi_refused *r)
{
	struct worker *w = ctx;

	enforce_refused(w->conf.enforce, w->conf.index, r);
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

/* ---- sources ---- */

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

/* The core's answer to a frame that waited: of this worker's sources, or of another's. */
static void on_answer(void *ctx, const struct frame *f, struct answer a)
{
	struct worker *w = ctx;
	struct entry *e = f->caller;

	if (e->reader != w->conf.index) {
		relay_reply(w->conf.relay, w->conf.index, e->reader, f, a);
		return;
	}
	answer(e, f, a);
	e->answered = w->unflushed = true;
}

static void flush_answered(struct worker *w)
{
	for (unsigned i = 0; w->unflushed && i < w->n; i++) {
		if (w->entries[i]->answered)
			w->entries[i]->src->ops->flush(w->entries[i]->src);
		w->entries[i]->answered = false;
	}
	w->unflushed = false;
}

/* Inspects a frame whose receiver may have to be asked where it is: it waits for that here (ANSWER_LATER), or is dropped. Where conntrack is on, what the
 * receiver says would be the first packet of a connection that the waiting one is to begin too, and the kernel would drop that one as the later
 * (nf_ct_resolve_clash() in net/netfilter/nf_conntrack_core.c): so its sender sends it again. */
static struct answer inspect_or_ask(struct worker *w, const struct entry *e, const struct frame *f)
{
	struct answer a = dpi_inspect(w->dpi, f);
	bool clash = e->ct && conntrack_on(e->ct);
	struct frame as_it_is;

	if (!(a.flags & ANSWER_ASK))
		return a;
	if (clash || again_put(&w->again, f, now_ns())) {
		e->refuse(e->refuse_ctx, f, true);
		return (struct answer){ .verdict = VERDICT_DROP, .flags = clash ? 0 : ANSWER_LATER };
	}
	as_it_is = *f;
	as_it_is.flags &= ~(uint32_t)FRAME_MAY_ASK;
	return dpi_inspect(w->dpi, &as_it_is);
}

/* Frames that come again; `all`: those of this source (NULL: of any) are taken as they are, whether their receiver said something or not. */
static void inspect_again(struct worker *w, const struct entry *of, bool all)
{
	int64_t now = w->again.n ? now_ns() : 0;

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
			on_answer(w, f, a);
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
		__atomic_store_n(&w->conf.doubts->all, now_ns() + DOUBT, __ATOMIC_RELAXED);
	return false;
}

/* Frames that other workers read and this one inspects. */
static void run_relayed(struct worker *w)
{
	const struct relayed *m;
	unsigned from;

	w->behind = false;
	for (unsigned n = 0; w->conf.relay && (m = relay_next(w->conf.relay, w->conf.index, &from)); n++) {
		const struct entry *e = m->frame.caller;	/* it stays as long as answers are awaited */
		struct answer a;

		if (n == RELAYED_TURN) {
			w->behind = true;
			break;
		}
		if (!m->frame.data) {
			inspect_again(w, e, true);
			dpi_release(w->dpi, e);
			relay_done(w->conf.relay, w->conf.index, from);
			continue;
		}
		a = inspect_or_ask(w, e, &m->frame);
		if (a.flags & ANSWER_FINAL && e->ct)
			offload_note(w->offload, e->ct, w->dpi);
		if (m->frame.held && !(a.flags & ANSWER_LATER))
			relay_reply(w->conf.relay, w->conf.index, from, &m->frame, a);
		relay_done(w->conf.relay, w->conf.index, from);
	}
	if (offload_due(w->offload))
		offload_mark(w->offload, w->dpi);
}

/* Answers to frames that were read here and inspected elsewhere. */
static void take_replies(struct worker *w)
{
	struct relay_answer a;

	while (w->conf.relay && relay_take_reply(w->conf.relay, w->conf.index, &a)) {
		struct entry *e = a.caller;
		struct frame f = { .held = true, .token = a.token };

		e->src->ops->answer(e->src, a.frame ? a.frame : &f, a.answer);
		if (a.frame && a.answer.verdict == VERDICT_DENY)
			refuse_frame(e, a.frame);
		free(a.frame);
		e->away--;
		e->answered = w->unflushed = true;
	}
	flush_answered(w);
}

static void doubt(struct worker *w, uint32_t workload, int64_t ns)
{
	int64_t *until = &w->conf.doubts->until[workload % DOUBTS], then = now_ns() + ns;

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

/* Runs one source until it has nothing more or its turn is over; true when it should be asked again at once. */
static bool run_source(struct worker *w, struct entry *e, unsigned turns)
{
	struct err err = { "" };
	int n = 0;

	for (unsigned turn = 0; turn < turns; turn++) {
		n = e->src->ops->batch(e->src, w->frames, BATCH, &err);
		if (n <= 0)
			break;
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
			if (!relayed(w, e, f))
				inspect(w, e, f);
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
		epoll_ctl(w->epfd, EPOLL_CTL_DEL, e->src->ops->fd(e->src), NULL);
		log_error(AGENT, "worker %u: %s: %s", w->conf.index, e->src->ops->name, err.text[0] ? err.text : strerror(-n));
	}
	return n > 0;
}

static struct entry *find(struct worker *w, const struct source *src)
{
	for (unsigned i = 0; i < w->n; i++)
		if (w->entries[i]->src == src)
			return w->entries[i];
	return NULL;
}

static int add_source(struct worker *w, const struct entry *from)
{
	struct entry *e = malloc(sizeof *e);
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = e };

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
	if (epoll_ctl(w->epfd, EPOLL_CTL_ADD, e->src->ops->fd(e->src), &ev)) {
		free(e);
		return -errno;
	}
	w->entries[w->n++] = e;
	return 0;
}

/* Nothing of it waits for the rest of its request any more, here and at other workers. Where the way there is full, it waits at most as long as the policy says. */
static void release(struct worker *w, struct entry *e)
{
	inspect_again(w, e, true);
	dpi_release(w->dpi, e);
	if (e->away)
		relay_release(w->conf.relay, w->conf.index, e);
}

/* Other workers do not wait for this one, so the answers come; a second is for a machine that is out of breath. */
static void wait_for_replies(struct worker *w, const struct entry *e)
{
	for (int i = 0; e->away && i < 1000; i++) {
		struct timespec ms = { 0, 1000000 };

		take_replies(w);
		run_relayed(w);
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

	while (run_source(w, e, TURN * 4) || (ms > 0 && !e->broken)) {
		struct timespec wait = { 0, 1000000 };

		if (ms-- > 0)
			nanosleep(&wait, NULL);
		else
			break;
	}
}

static void remove_source(struct worker *w, const struct source *src)
{
	struct entry *e = find(w, src);

	if (!e)
		return;
	if (!e->broken) {
		run_out(w, e);
		if (!e->broken)
			epoll_ctl(w->epfd, EPOLL_CTL_DEL, e->src->ops->fd(e->src), NULL);
	}
	release(w, e);
	wait_for_replies(w, e);
	if (e->passing)
		shunt_take_back(w->shunt, w->dpi);
	e->src->ops->close(e->src);
	conntrack_unref(e->ct);
	passing_unref(e->passing);
	for (unsigned i = 0; i < w->n; i++)
		if (w->entries[i] == e)
			w->entries[i] = w->entries[--w->n];
	free(e);
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
	if (judge || !old)
		dpi_set_policy(w->dpi, world_policy(world));
	if (overlap)
		dpi_set_epoch(w->dpi, now_ns(), overlap);
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
		c->result = add_source(w, &c->entry);
		break;
	case CMD_REMOVE:
		remove_source(w, c->which);
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
		e = find(w, c->which);
		c->broken = !e || e->broken;
		break;
	case CMD_DROP_OFFLOADED:
		offload_drop(w->offload, w->dpi, c->ct);
		break;
	case CMD_LET_PASS:
		e = find(w, c->which);
		if (e && !e->passing)
			e->passing = passing_ref(c->passing);
		break;
	case CMD_STOP:
		w->stopping = true;
		break;
	}
}

static void run_commands(struct worker *w)
{
	uint64_t n;

	if (read(w->evfd, &n, sizeof n) < 0 && errno == EAGAIN)
		return;
	pthread_mutex_lock(&w->lock);
	if (w->command) {
		carry_out(w, w->command);
		w->command = NULL;
		pthread_cond_signal(&w->answered);
	}
	pthread_mutex_unlock(&w->lock);
}

static int wait_ms(const struct worker *w)
{
	int ms = w->behind ? 0 : w->again.n ? AGAIN_MS : TICK_MS;

	for (unsigned i = 0; i < w->n; i++) {
		const struct source *s = w->entries[i]->src;
		int t = s->ops->timeout && !w->entries[i]->broken ? s->ops->timeout(s) : -1;

		if (t >= 0 && t < ms)
			ms = t;
	}
	return ms;
}

static void run_due(struct worker *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct entry *e = w->entries[i];

		if (!e->broken && e->src->ops->timeout && e->src->ops->timeout(e->src) == 0)
			run_source(w, e, TURN);
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct epoll_event evs[64];
	int64_t ticked = 0;

	while (!w->stopping) {
		int n = epoll_wait(w->epfd, evs, 64, wait_ms(w));
		bool woken = false;
		int64_t now;

		for (int i = 0; i < n; i++) {
			struct entry *e = evs[i].data.ptr;	/* entries go away by commands only, which run below */

			if (!e)
				woken = true;
			else if (!e->broken)
				run_source(w, e, TURN);
		}
		run_due(w);
		inspect_again(w, NULL, false);
		if (woken)
			run_commands(w);
		now = now_ns();
		if (now - ticked >= (int64_t)TICK_MS * 1000000) {
			dpi_tick(w->dpi, now);
			offload_tick(w->offload, w->dpi);
			shunt_tick(w->shunt, w->dpi);
			ticked = now;
		}
		if (w->conf.relay) {
			run_relayed(w);
			take_replies(w);
			relay_wake(w->conf.relay, w->conf.index);
		}
		flush_answered(w);
		if (w->conf.enforce)
			enforce_wake(w->conf.enforce, w->conf.index);
		evring_wake(w->conf.events);
		counter_add(&w->beats, 1);
	}
	while (w->n)
		remove_source(w, w->entries[0]->src);
	do
		run_relayed(w);
	while (w->behind);
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
	if (write(w->evfd, &one, sizeof one) != sizeof one)
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
	struct dpi_ops ops = { .owner = on_owner, .bypassed = on_bypassed, .ends = on_ends, .learn = conf->fqdn ? on_learn : NULL, .names = conf->fqdn ? on_names : NULL, .answer = on_answer, .emit = on_emit };
	struct worker *w = calloc(1, sizeof *w);
	struct epoll_event ev = { .events = EPOLLIN };
	int rc;

	if (!w) {
		err_set(err, -ENOMEM, "worker %u: no memory", conf->index);
		return NULL;
	}
	w->conf = *conf;
	ops.ctx = w;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->answered, NULL);
	w->evfd = conf->wake;
	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epfd < 0 || epoll_ctl(w->epfd, EPOLL_CTL_ADD, w->evfd, &ev)) {
		err_set(err, -errno, "worker %u: epoll: %s", conf->index, strerror(errno));
		goto fail;
	}
	if (conf->enforce) {
		ops.refused = on_refused;
		ops.released = on_released;
	}
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
	if (w->epfd >= 0)
		close(w->epfd);
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
	close(w->epfd);
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

void worker_let_pass(struct worker *w, struct source *src, struct passing *p)
{
	struct command c = { .kind = CMD_LET_PASS, .which = src, .passing = p };

	call(w, &c);
}

bool worker_source_broken(struct worker *w, const struct source *src)
{
	struct command c = { .kind = CMD_BROKEN, .which = src };

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
