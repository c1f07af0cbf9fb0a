/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/reconcile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/attach.h"
#include "agent/crew.h"
#include "agent/fences.h"
#include "base/log.h"
#include "tc/mirror.h"
#include "tc/passing.h"

#define OVERLAP_OPEN 60000000000LL	/* ns: longer than any switch takes; ended by overlap_end */
#define OVERLAP_TAIL 400000000LL	/* ns: the mirror's frames come later than the queue's (block retire time, a busy ring) */
#define RETIRE_MS 8
#define CHECK_TURNS 60u		/* node_check() calls in which each workload's filters are read back though no change of them was told: two minutes */
#define RING_BLOCKS_LEAST 8u	/* of one ring, where that many are configured: with few packets a block goes every RETIRE_MS */

/* ---- bridges and rings ---- */

static bool any_mirror(const struct node *n)
{
	if (n->config->mode != DATAPATH_NFQ)
		return true;
	for (const struct workload *w = n->reg.first; w; w = w->next)
		if (w->opts.mode != DATAPATH_NFQ || w->quarantined)
			return true;
	return false;
}

static void close_rings(struct node *n)
{
	for (unsigned i = 0; i < n->nworkers; i++) {
		if (n->mirrors[i]) {
			node_keep_stats(n, PATH_TC, n->mirrors[i]);
			worker_remove_source(n->workers[i], n->mirrors[i]);
			n->mirrors[i]->ops->close(n->mirrors[i]);
		}
		n->mirrors[i] = NULL;
	}
}

/* In the bpf engine decided bulk is copied no more. */
static int let_pass(struct node *n, struct err *err)
{
	struct flowmap *p;

	n->rings_engine = n->config->tc_engine;
	if (n->config->tc_engine != TC_ENGINE_BPF)
		return 0;
	p = tc_passing(n->tc, err);
	for (unsigned i = 0; p && i < n->nworkers; i++)
		worker_let_pass(n->workers[i], n->mirrors[i], p);
	return p ? 0 : -EIO;
}

static int open_rings(struct node *n, struct err *err)
{
	unsigned blocks = n->config->ring_blocks / (2 * n->nworkers);	/* two rings each, one a direction */
	struct mirror_conf m = {
		.ifindex = { n->bridge.ifindex[0], n->bridge.ifindex[1] },
		.block_size = n->config->ring_block_size,
		.blocks = blocks > RING_BLOCKS_LEAST ? blocks : n->config->ring_blocks < RING_BLOCKS_LEAST ? n->config->ring_blocks : RING_BLOCKS_LEAST,
		.retire_ms = RETIRE_MS,
		.fanout_group = n->nworkers > 1 ? (uint16_t)(getpid() * 2) : 0,
		.fanout_workers = n->nworkers,
		.path = PATH_TC,
		.view = worker_view,
		.enforces = enforce_able(n->enforce),
	};

	for (unsigned i = 0; i < n->nworkers; i++) {
		int rc;

		m.view_ctx = n->workers[i];
		n->mirrors[i] = mirror_open(&m, err);
		if (!n->mirrors[i])
			return -EIO;
		rc = worker_add_source(n->workers[i], n->mirrors[i], NULL, NULL, NULL, err);
		if (rc) {
			n->mirrors[i]->ops->close(n->mirrors[i]);
			n->mirrors[i] = NULL;
			return rc;
		}
	}
	return let_pass(n, err);
}

void reconcile_bridge_soon(struct node *n)
{
	n->bridge_look = true;
}

int reconcile_bridge(struct node *n, struct err *err)
{
	bool stood = n->bridge_up, made = false, broken = false;
	pid_t owner = 0;
	unsigned ports = 0;
	int rc;

	if (!any_mirror(n))
		return 0;
	if (!n->tc && !(n->tc = tc_open(err)))
		return -EIO;
	if (!n->tc_watch && !(n->tc_watch = tc_watch_open(n->tc, err)))
		return -EIO;
	for (unsigned i = 0; n->bridge_up && i < n->nworkers; i++)
		broken |= !n->mirrors[i] || worker_source_broken(n->workers[i], n->mirrors[i]);
	if (n->bridge_up && !broken && n->rings_engine == n->config->tc_engine && !bridge_check(&n->bridge, &ports, err))
		return 0;
	rc = bridge_ensure(n->config->bridge, &n->bridge, &made, &owner, err);
	if (rc == -EBUSY && owner)
		err_set(err, rc, "bridge %s: another tapqd uses it, pid %d", n->config->bridge, (int)owner);
	if (rc)
		return rc;
	if (stood)
		counter_add(&n->counters[NODE_C_BRIDGE_REMADE], made);
	if (!n->bridge_up || made || broken || n->rings_engine != n->config->tc_engine) {
		close_rings(n);
		rc = open_rings(n, err);
		if (rc)
			return rc;
	}
	n->bridge_up = true;
	if (stood && made) {
		log_warn(BRIDGE, "%s was gone: made again, every filter is written again", n->config->bridge);
		node_reconcile(n, true);
	}
	return 0;
}

void reconcile_bridge_away(struct node *n)
{
	struct err err = { "" };

	if (!n->keep && bridge_remove(n->config->bridge, &err) && n->bridge_up)	/* a run before may have left them */
		log_error(BRIDGE, "%s", err.text);
	tc_watch_close(n->tc_watch);
	tc_close(n->tc);
	n->tc_watch = NULL;
	n->tc = NULL;
	n->bridge_up = false;
}

/* ---- the world ---- */

static void fill_port(const struct node *n, const struct workload *w, unsigned i, struct world_port *p)
{
	const struct wl_link *l = &w->links[i];

	memset(p, 0, sizeof *p);
	p->row.workload = w->id;
	p->row.queue = i == 0 && (w->queue.ready || w->queue.claimed);
	p->row.cut = l->cut;
	p->row.mirror = l->mirror_ready;
	p->row.loopback = w->queue.claimed ? w->opts.loopback : w->queue.loopback;
	p->row.side = w->queue.claimed ? w->opts.side : w->queue.side;
	p->row.apps = w->queue.claimed ? w->opts.apps : w->queue.apps;
	p->view = l->view;
	p->quarantined = w->quarantined;
	p->reset = p->row.queue ? w->queue.reset : NULL;
	p->ifindex = l->end.host_ifindex;
	memcpy(p->mac, l->end.mac, 6);
	p->naddrs = l->end.naddrs;
	memcpy(p->addrs, l->end.addrs, sizeof p->addrs);
	if (n->policy)
		workload_groups(w, n->policy, &p->groups);
}

static bool has_switched(void *ctx, uint32_t id)
{
	const struct node *n = ctx;
	const struct workload *w = n->reg.first;

	while (w && w->id != id)
		w = w->next;
	return w && w->switched;
}

void node_publish(struct node *n, bool judge, int64_t overlap)
{
	struct world_port *ports = calloc((size_t)n->reg.count * WORKLOAD_LINKS_MAX + 1, sizeof *ports);
	struct world *world;
	unsigned count = 0;

	n->world_changed = true;	/* until all have it: without memory the old snapshot stays in force, and the next round tries again */
	if (!ports)
		return;
	for (const struct workload *w = n->reg.first; w; w = w->next)
		for (unsigned i = 0; i < w->nlinks; i++)
			fill_port(n, w, i, &ports[count++]);
	world = world_new(ports, count, n->policy ? policy_file_policy(n->policy) : NULL, n->overlap_start, n->overlap_end);
	free(ports);
	if (!world)
		return;
	if (n->enforce_anew || n->enforce_switched)
		enforce_begin(n->enforce);
	for (unsigned i = 0; i < n->nworkers; i++)
		worker_set_world(n->workers[i], world, judge, overlap);
	if (n->enforce_anew || n->enforce_switched) {
		enforce_flush(n->enforce, n->enforce_anew ? NULL : has_switched, n);
		for (struct workload *w = n->reg.first; w; w = w->next)
			w->switched = false;
	}
	n->enforce_anew = n->enforce_switched = false;
	world_unref(world);
	n->world_changed = false;
}

static void begin_overlap(struct node *n)
{
	int64_t now = node_now();

	if (!n->overlap_end)	/* else one goes on */
		n->overlap_start = now;
	n->overlap_end = now + OVERLAP_OPEN;
	node_publish(n, false, OVERLAP_OPEN);
}

static void end_overlap_soon(struct node *n)
{
	n->overlap_end = node_now() + OVERLAP_TAIL;
	node_publish(n, false, OVERLAP_TAIL);
}

void reconcile_overlap(struct node *n)
{
	if (!n->overlap_end || node_now() < n->overlap_end)
		return;
	n->overlap_start = n->overlap_end = 0;
	node_publish(n, false, 0);
}

/* ---- workloads ---- */

static bool mirrored(const struct workload *w)
{
	for (unsigned i = 0; i < w->nlinks; i++)
		if (w->links[i].mirror_ready)
			return true;
	return false;
}

static bool filters_left(const struct workload *w)
{
	for (unsigned i = 0; i < w->nlinks; i++)
		if (attach_filters_left(&w->links[i]))
			return true;
	return false;
}

static bool mirror_wanted(const struct workload *w) { return w->nlinks && w->links[0].mirror_wanted; }

static bool mirror_current(const struct workload *w)
{
	for (unsigned i = 0; i < w->nlinks; i++)
		if (w->links[i].mirror_ready != w->links[i].mirror_wanted || w->links[i].cut != (w->quarantined && w->links[i].mirror_wanted) ||
		    (i == 0 && w->links[i].mirror_wanted && w->links[i].excluding != attach_excludes(w)))
			return false;
	return true;
}

/* Something that packets flow through already changes its owner. */
static bool switches(const struct workload *w)
{
	return (w->queue.ready || mirrored(w)) && (!attach_queue_current(w) || mirror_wanted(w) != mirrored(w));
}

/* Steps in the netns of those that they are for, side by side. */
struct crew_job {
	struct workload *w;
	struct peer_port peers[ATTACH_PEERS_MAX];
	unsigned npeers;
	bool did;
};

struct crew_list {
	struct node *n;
	struct crew_job *job;		/* room for all workloads */
	unsigned count;
};

static struct crew_job *list_add(struct crew_list *l, struct workload *w)
{
	struct crew_job *j = &l->job[l->count++];

	j->w = w;
	j->npeers = 0;
	j->did = false;
	return j;
}

static void track_job(void *ctx, unsigned i)
{
	struct crew_list *l = ctx;

	l->job[i].did = attach_track(l->n, l->job[i].w);
}

static void attach_job(void *ctx, unsigned i)
{
	struct crew_list *l = ctx;

	attach_queue(l->n, l->job[i].w, l->job[i].peers, l->job[i].npeers);
}

static void leave_job(void *ctx, unsigned i)
{
	struct crew_list *l = ctx;

	leave_queue(l->n, l->job[i].w);
}

static void detach_job(void *ctx, unsigned i)
{
	struct crew_list *l = ctx;

	detach_queue(l->n, l->job[i].w, false);
}

/* True when conntrack was turned on somewhere: open connections then need a moment. */
static bool track_all(struct crew_list *l)
{
	bool did = false;

	l->count = 0;
	for (struct workload *w = l->n->reg.first; w; w = w->next)
		if (w->todo && w->queue.wanted && !w->queue.source)
			list_add(l, w);
	crew_run(l->count, track_job, l);
	for (unsigned i = 0; i < l->count; i++)
		did |= l->job[i].did;
	return did;
}

/* New paths: mirrors without exclusions where the queue's ports change, then queues and their rules. */
static void new_paths(struct crew_list *l)
{
	struct node *n = l->n;

	l->count = 0;
	for (struct workload *w = n->reg.first; w; w = w->next) {
		struct crew_job *j;

		if (!w->todo)
			continue;
		if (mirror_wanted(w) && ((!attach_queue_current(w) && (w->queue.ready || mirrored(w))) || (!w->queue.wanted && !mirrored(w))))
			attach_mirror(n, w, false);
		if (!w->queue.wanted)
			continue;
		j = list_add(l, w);
		j->npeers = attach_peers(n, w, !w->queue.ready, j->peers);
	}
	crew_run(l->count, attach_job, l);
}

/* Rules without bypass may stand since a run before: what comes out of the queue as soon as it is open is judged, or nothing of fail: closed would
 * hold until all queues are made and the world is told. */
static bool claim(struct node *n)
{
	bool any = false;

	for (struct workload *w = n->reg.first; w; w = w->next) {
		w->queue.claimed = w->todo && w->queue.wanted && !w->queue.source && !mirrored(w) && w->opts.fail != FAIL_IS_OPEN;
		any |= w->queue.claimed;
	}
	return any;
}

static void unclaim(struct node *n)
{
	for (struct workload *w = n->reg.first; w; w = w->next)
		w->queue.claimed = false;
}

static void old_queues(struct crew_list *l)
{
	l->count = 0;
	for (struct workload *w = l->n->reg.first; w; w = w->next)
		if (w->todo && !w->queue.wanted && (w->queue.source || attach_rules_left(w)))
			list_add(l, w);
	crew_run(l->count, leave_job, l);
}

/* The old path away, and what depends on the new one's success. */
static void old_path(struct node *n, struct workload *w)
{
	if (mirror_wanted(w))
		attach_mirror(n, w, attach_excludes(w));
	else if (filters_left(w))
		detach_mirror(n, w, !mirrored(w));
	if (!attach_cut_current(w))
		attach_cut(n, w);
}

/* Client rules follow the queues of local servers: rewritten when these came or went. */
static void follow_peers(struct crew_list *l)
{
	l->count = 0;
	for (struct workload *w = l->n->reg.first; w; w = w->next) {
		struct crew_job *j;

		if (!w->queue.ready || !(w->queue.side & SIDE_CLIENT))
			continue;
		j = list_add(l, w);
		j->npeers = attach_peers(l->n, w, false, j->peers);
		if (attach_peers_key(j->peers, j->npeers) == w->peers_key)
			l->count--;
	}
	crew_run(l->count, attach_job, l);
}

static bool has_device(void *ctx, int ifindex)
{
	const struct node *n = ctx;

	for (const struct workload *w = n->reg.first; w; w = w->next)
		for (unsigned i = 0; i < w->nlinks; i++)
			if (w->links[i].end.host_ifindex == ifindex)
				return true;
	return false;
}

/* Whoever takes a workload down takes its devices first: they are gone before their workload is. */
static void forget_gone(struct node *n)
{
	if (!n->tc)
		return;
	enforce_lock(n->enforce);
	tc_keep(n->tc, has_device, n);
	enforce_unlock(n->enforce);
}

void node_reconcile(struct node *n, bool all)
{
	bool any = false, overlap = false, queues = false;
	struct crew_list l = { .n = n };
	struct err err = { "" };

	for (struct workload *w = n->reg.first; w; w = w->next) {
		if (w->backoff && !all && !w->changed) {
			w->backoff--;
			continue;
		}
		attach_want(w);
		w->todo = all || w->changed || !attach_queue_current(w) || !mirror_current(w) || !attach_cut_current(w) || attach_rules_left(w) || filters_left(w);
		w->changed = false;
		any |= w->todo;
		w->switched |= w->todo && switches(w);
		overlap |= w->switched;
		queues |= w->todo && (w->queue.wanted || w->queue.source);
	}
	if (!any)
		return;
	if (!n->bridge_up && reconcile_bridge(n, &err))		/* the first that is mirrored: its queue does not go before there is a mirror */
		log_error(BRIDGE, "%s", err.text);
	l.job = calloc(n->reg.count, sizeof *l.job);
	if (!l.job) {
		log_error(AGENT, "no memory to attach workloads: tried again");
		for (struct workload *w = n->reg.first; w; w = w->next)
			w->changed |= w->todo;
		return;
	}
	if (track_all(&l))
		nanosleep(&(struct timespec){ 0, ATTACH_SETTLE_MS * 1000000L }, NULL);
	fences_refresh(n);
	forget_gone(n);
	for (struct workload *w = n->reg.first; w; w = w->next) {
		w->todo |= w->changed;
		w->changed = false;
	}
	if (overlap)
		begin_overlap(n);
	if (claim(n))
		node_publish(n, false, 0);
	new_paths(&l);
	unclaim(n);
	node_publish(n, false, overlap ? OVERLAP_OPEN : 0);
	old_queues(&l);
	for (struct workload *w = n->reg.first; w; w = w->next)
		if (w->todo)
			old_path(n, w);
	if (queues)
		follow_peers(&l);
	free(l.job);
	for (struct workload *w = n->reg.first; w; w = w->next)
		w->todo = false;
	if (overlap) {
		n->enforce_switched = true;	/* a flow may be a queue's now */
		end_overlap_soon(n);
	} else {
		node_publish(n, false, 0);
	}
}

static void on_touched(void *ctx, int ifindex)
{
	struct node *n = ctx;

	for (struct workload *w = n->reg.first; w; w = w->next)
		for (unsigned i = 0; i < w->nlinks; i++)
			w->links[i].touched |= !ifindex || w->links[i].end.host_ifindex == ifindex;
}

unsigned node_check(struct node *n)
{
	unsigned wrong = 0, turn = n->checks++ % CHECK_TURNS;
	struct err err = { "" };

	if (n->tc_watch && tc_watch_read(n->tc_watch, on_touched, n, &err)) {
		log_warn(TC, "%s", err.text);
		on_touched(n, 0);
	}
	n->legacy_here = rules_legacy_here();
	for (struct workload *w = n->reg.first; w; w = w->next) {
		if (attach_check(n, w, w->id % CHECK_TURNS == turn))
			continue;
		wrong++;
		if (!w->backoff)
			counter_add(&n->counters[NODE_C_REPAIRED], 1);
		w->changed = !w->backoff;
	}
	return wrong;
}

void reconcile_all_away(struct node *n)
{
	struct crew_list l = { .n = n, .job = calloc(n->reg.count + 1, sizeof *l.job) };

	for (struct workload *w = n->reg.first; w; w = w->next) {
		if (!n->keep) {
			detach_mirror(n, w, true);
			if (l.job)
				list_add(&l, w);
			else
				detach_queue(n, w, false);
		} else if (w->queue.source) {
			detach_queue(n, w, true);
		}
	}
	crew_run(l.count, detach_job, &l);
	free(l.job);
	close_rings(n);
	if (n->keep) {	/* filters of flows are of no use to the next start, and nobody would take them away meanwhile */
		enforce_begin(n->enforce);
		enforce_flush(n->enforce, NULL, NULL);
	}
}
