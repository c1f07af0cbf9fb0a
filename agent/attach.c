/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/attach.h"

#include <errno.h>
#include <string.h>

#include "agent/reconcile.h"
#include "base/log.h"

#define BIG_TCP 65536u	/* beyond it NFQUEUE cuts super-packets (TRAPS): no GSO then */

void attach_want(struct workload *w)
{
	bool mirror = w->opts.mode != DATAPATH_NFQ || w->quarantined;	/* its veth shows what it tries */

	for (unsigned i = 0; i < w->nlinks; i++)
		w->links[i].mirror_wanted = mirror;
	w->queue.wanted = w->nlinks && w->opts.mode != DATAPATH_TC && (w->opts.apps.all || w->opts.apps.n);
}

/* ---- queue ---- */

static void refuse(void *ctx, const struct frame *f, bool ask)
{
	struct workload *w = ctx;
	struct err err = { "" };

	if (w->queue.reset && (ask ? reset_ask : reset_refuse)(w->queue.reset, f, &err))
		log_debug(NFQ, "workload %s: %s: %s", w->name, ask ? "asking" : "refusing", err.text);
}

/* Without it everything is queued. Marks of a run before this one stand for decisions that nobody remembers. */
static void open_conntrack(const struct node *n, struct workload *w)
{
	const struct config *c = n->config;
	struct err err = { "" };

	w->queue.conntrack = c->offload ? conntrack_open(w->nsfd, c->mark, c->mask, &err) : NULL;
	if (w->queue.conntrack && conntrack_clear(w->nsfd, c->mark, c->mask, &err) < 0) {
		conntrack_close(w->queue.conntrack);
		conntrack_unref(w->queue.conntrack);
		w->queue.conntrack = NULL;
	}
	if (err.text[0])
		log_warn(NFQ, "workload %s: its flows stay in the queue: %s", w->name, err.text);
}

static void close_conntrack(struct node *n, struct wl_queue *q)
{
	pthread_mutex_lock(&n->shared);
	for (unsigned i = 0; q->conntrack && i < n->nworkers; i++)
		worker_drop_offloaded(n->workers[i], q->conntrack);
	pthread_mutex_unlock(&n->shared);
	if (q->conntrack)
		conntrack_close(q->conntrack);
	conntrack_unref(q->conntrack);
	q->conntrack = NULL;
}

static int open_queue(struct node *n, struct workload *w)
{
	const struct wl_link *l = &w->links[0];
	struct queue_conf c = {
		.nsfd = w->nsfd,
		.queue_tcp = n->config->queue_base,
		.fail_open = w->opts.fail == FAIL_IS_OPEN,
		.gso = l->end.gso_max_size <= BIG_TCP,
		.path = PATH_NFQ,
		.workload = w->id,
		.view_in = l->view | 1,
		.view_out = l->view,
		.iface = w->iface,
	};
	struct wl_queue *q = &w->queue;
	int rc;

	q->source = queue_open(&c, &q->error);
	if (!q->source)
		return -EIO;
	q->reset = reset_open(w->nsfd, n->config->mark, &q->error);
	if (!q->reset) {
		q->source->ops->close(q->source);
		q->source = NULL;
		return -EIO;
	}
	open_conntrack(n, w);
	q->worker = n->workers[w->id % n->nworkers];
	pthread_mutex_lock(&n->shared);
	rc = worker_add_source(q->worker, q->source, refuse, w, q->conntrack, &q->error);
	pthread_mutex_unlock(&n->shared);
	if (rc) {
		close_conntrack(n, q);
		q->source->ops->close(q->source);
		reset_close(q->reset);
		q->source = NULL;
		q->reset = NULL;
	}
	return rc;
}

static void close_queue(struct node *n, struct workload *w)
{
	struct wl_queue *q = &w->queue;

	if (q->source) {
		pthread_mutex_lock(&n->shared);
		node_keep_stats(n, PATH_NFQ, q->source);
		n->closed[PATH_NFQ].passed_unseen += unseen_total(&q->unseen);
		worker_remove_source(q->worker, q->source);
		pthread_mutex_unlock(&n->shared);
		q->source->ops->close(q->source);	/* not under the lock, nor by the worker: it waits for what was deleted from the tables before */
		memset(&q->unseen, 0, sizeof q->unseen);
	}
	close_conntrack(n, q);
	reset_close(q->reset);
	q->source = NULL;
	q->reset = NULL;
	q->ready = false;
}

/* What leaves by its first link gets as far as filters that were read back. */
static bool shows(const struct workload *w) { return w->links[0].mirror_ready && w->links[0].cut; }

static struct rules_want rules_wanted(const struct node *n, const struct workload *w, const struct peer_port *peers, unsigned npeers)
{
	struct rules_want r = {
		.apps = w->opts.apps,
		.side = w->opts.side,
		.loopback = w->opts.loopback,
		.bypass = w->opts.fail == FAIL_IS_OPEN,
		.queue_tcp = n->config->queue_base,
		.mark = n->config->mark,
		.mask = n->config->mask,
		.offload = w->queue.conntrack != NULL,
		.backend = (enum ipt_backend)n->config->iptables,
		.table = (enum ipt_table)n->config->table,
		.peers = peers,
		.npeers = npeers,
		.quarantine = w->quarantined,
		.seen = w->quarantined && shows(w),
	};

	memcpy(r.interface, w->links[0].end.name, sizeof r.interface);
	return r;
}

static bool gone(int rc) { return rc == -ENOENT || rc == -ENODEV || rc == -ENXIO; }

/* Keeps what failed with the workload; a netns or veth that vanished half-way is not an error to log. */
static int failed(struct node *n, struct workload *w, const char *what, int rc, const struct err *e)
{
	pthread_mutex_lock(&n->shared);
	counter_add(&n->counters[NODE_C_ATTACH_FAILED], 1);
	pthread_mutex_unlock(&n->shared);
	if (gone(rc))
		log_debug(AGENT, "workload %s: %s: %s", w->name, what, e->text);
	else
		log_error(AGENT, "workload %s: %s: %s", w->name, what, e->text[0] ? e->text : strerror(-rc));
	w->backoff = 2;
	return rc;
}

bool attach_track(struct node *n, struct workload *w)
{
	struct rules_want want = rules_wanted(n, w, NULL, 0);
	struct err err = { "" };
	int rc;

	if (!w->queue.wanted || w->queue.source || w->quarantined)	/* what is cut off has no connection to lose, but chains that must stand */
		return false;
	want.offload = n->config->offload;
	want.apps = w->opts.apps;
	rc = rules_track(w->nsfd, &want, &err);
	if (rc < 0)	/* attach_queue says what is wrong */
		log_debug(NFQ, "workload %s: conntrack: %s", w->name, err.text);
	return rc > 0;
}

static bool queue_broken(struct node *n, const struct wl_queue *q)
{
	bool broken;

	pthread_mutex_lock(&n->shared);
	broken = worker_source_broken(q->worker, q->source);
	pthread_mutex_unlock(&n->shared);
	return broken;
}

int attach_queue(struct node *n, struct workload *w, const struct peer_port *peers, unsigned npeers)
{
	struct wl_queue *q = &w->queue;
	struct rules_want want = rules_wanted(n, w, peers, npeers);
	struct err none = { "" };
	bool was_ready = q->ready, opened;
	unsigned changes = 0;
	uint64_t ids;
	int rc;

	q->error = none;
	/* What the socket was opened with (FAIL_OPEN) follows the options: open it anew when that changed. */
	if (q->source && (q->bypass != want.bypass || q->offload != n->config->offload || queue_broken(n, q)))
		close_queue(n, w);
	opened = !q->source;
	if (!opened && q->bypass)	/* before the rules' counters are gone */
		unseen_look(&q->unseen, w->nsfd, n->config->queue_base, &q->rules, q->source);
	w->standing = RULES_OURS;
	ids = opened ? 0 : unseen_ids(w->nsfd, n->config->queue_base);
	rc = opened ? open_queue(n, w) : 0;
	q->bypass = want.bypass;
	q->offload = n->config->offload;
	want.offload = q->conntrack != NULL;
	if (!rc)
		rc = rules_ensure(w->nsfd, &want, &q->rules, &changes, &q->error);
	q->ready = !rc && q->rules.complete;
	if (q->conntrack)
		conntrack_set_on(q->conntrack, q->ready && q->rules.offload);
	q->quarantined = want.quarantine;
	w->seen = want.seen;
	w->peers_key = attach_peers_key(peers, npeers);
	if (q->source)
		memset(&w->cut, 0, sizeof w->cut);	/* the queue's rules bring the chains */
	if (rc)
		return failed(n, w, "queue", rc, &q->error);
	if (opened || changes)
		unseen_begin(&q->unseen, ids, &q->rules, q->source);
	q->generation = q->rules.generation;
	q->apps = want.apps;
	q->side = want.side;
	q->loopback = want.loopback;
	if (!q->ready) {
		err_set(&q->error, -EIO, "rules read back differ: %s", q->rules.differs);
		return failed(n, w, "queue", -EIO, &q->error);
	}
	if (was_ready && changes)
		log_info(NFQ, "workload %s: %u changes to its rules", w->name, changes);
	return 0;
}

/* Nobody else's rules are near ours: the queue is closed, what comes then passes by its bypass, and the tables go at once. */
static bool rules_away_alone(struct node *n, struct workload *w)
{
	struct err err = { "" };

	if (!w->queue.source || !w->queue.bypass || rules_alone(w->nsfd, &err) <= 0)
		return false;
	close_queue(n, w);
	return rules_drop_own(w->nsfd, &err) > 0;
}

/* The hooks first, so that no packet meets a rule whose queue is closed. */
static void rules_away(struct node *n, struct workload *w)
{
	struct err err = { "" };
	int rc, rest;

	if (w->standing == RULES_PERHAPS && rules_left(w->nsfd, &err) <= 0) {	/* most have none, and no program is run to see it */
		w->standing = RULES_NONE;
		return;
	}
	rc = w->queue.source ? rules_unhook(w->nsfd, &err) : 0;
	if (rc < 0)
		failed(n, w, "rules away", rc, &err);
	close_queue(n, w);
	rest = rules_remove(w->nsfd, &w->queue.error);
	if (rest < 0)
		failed(n, w, "rules away", rest, &w->queue.error);
	w->standing = rest < 0 ? RULES_OURS : RULES_NONE;
	rc = rest > 0 ? rest : rc;
	if (rc > 0 && rules_drop_tables(w->nsfd, &err))
		log_debug(NFQ, "workload %s: %s", w->name, err.text);
}

static void forget_queue(struct wl_queue *q)
{
	memset(&q->rules, 0, sizeof q->rules);
	memset(&q->apps, 0, sizeof q->apps);
}

void detach_queue(struct node *n, struct workload *w, bool netns_gone)
{
	w->queue.error.text[0] = 0;
	if (netns_gone)
		close_queue(n, w);
	else if (rules_away_alone(n, w))
		w->standing = RULES_NONE;
	else
		rules_away(n, w);
	forget_queue(&w->queue);
	memset(&w->cut, 0, sizeof w->cut);
}

bool attach_queue_current(const struct workload *w)
{
	const struct wl_queue *q = &w->queue;

	if (!q->wanted)
		return !q->source;
	return q->ready && q->quarantined == w->quarantined && w->seen == (w->quarantined && shows(w)) && q->side == w->opts.side && q->loopback == w->opts.loopback && q->bypass == (w->opts.fail == FAIL_IS_OPEN) &&
	       app_ports_equal(&q->apps, &w->opts.apps);
}

/* ---- quarantine's chains, without a queue ---- */

/* Where there is no queue, or none can be had. */
static bool cut_wanted(const struct workload *w) { return w->quarantined && w->nlinks && !(w->queue.wanted && w->queue.source); }

static struct rules_want cut_rules(const struct node *n, const struct workload *w)
{
	struct rules_want want = rules_wanted(n, w, NULL, 0);

	memset(&want.apps, 0, sizeof want.apps);
	want.offload = false;
	return want;
}

bool attach_cut_current(const struct workload *w)
{
	return cut_wanted(w) ? w->cut.ready && w->seen == shows(w) : !w->cut.ready;
}

int attach_cut(struct node *n, struct workload *w)
{
	struct rules_want want = cut_rules(n, w);
	struct err none = { "" };
	unsigned changes;
	int rc;

	if (!cut_wanted(w)) {
		rc = w->cut.ready && !w->queue.source ? rules_remove(w->nsfd, &w->cut.error) : 0;
		if (rc > 0)
			rc = rules_drop_tables(w->nsfd, &w->cut.error);
		if (rc < 0)
			return failed(n, w, "quarantine's chains away", rc, &w->cut.error);
		if (!w->queue.source)
			w->standing = RULES_NONE;
		memset(&w->cut, 0, sizeof w->cut);
		return 0;
	}
	w->cut.error = none;
	w->standing = RULES_OURS;
	rc = rules_ensure(w->nsfd, &want, &w->cut.rules, &changes, &w->cut.error);
	w->cut.ready = !rc && w->cut.rules.complete;
	w->cut.generation = w->cut.rules.generation;
	w->seen = want.seen;
	if (!rc && !w->cut.ready)
		rc = err_set(&w->cut.error, -EIO, "rules read back differ: %s", w->cut.rules.differs);
	return rc ? failed(n, w, "quarantine's chains", rc, &w->cut.error) : 0;
}

void leave_queue(struct node *n, struct workload *w)
{
	if (!cut_wanted(w)) {
		detach_queue(n, w, false);
	} else if (!attach_cut(n, w)) {	/* in one step: it is cut off all the while */
		close_queue(n, w);
		forget_queue(&w->queue);
		w->queue.error.text[0] = 0;
	}
}

bool attach_rules_left(const struct workload *w) { return w->standing != RULES_NONE && !w->queue.wanted && !cut_wanted(w); }
bool attach_filters_left(const struct wl_link *l) { return l->standing && !l->mirror_wanted; }

/* Nobody changed a table of its netns since the rules that are in force were read back. */
static bool tables_untouched(const struct node *n, struct workload *w, uint64_t generation)
{
	uint64_t now = 0;
	struct err err = { "" };

	if (w->watch && !rules_watch_generation(w->watch, n->legacy_here, &now, &err) && now && now == generation)
		return true;
	if (rules_generation(w->nsfd, &now, &err) || !now || now != generation)
		return false;
	rules_watch_close(w->watch);	/* none yet, or opened before a module of the kernel was there */
	w->watch = rules_watch_open(w->nsfd, &err);
	return true;
}

static bool check_cut(const struct node *n, struct workload *w)
{
	struct rules_want want;
	struct err err = { "" };

	if (!cut_wanted(w))
		return !w->cut.ready;
	if (!w->cut.ready)
		return false;
	if (tables_untouched(n, w, w->cut.generation))
		return true;
	want = cut_rules(n, w);
	w->cut.ready = !rules_check(w->nsfd, &want, &w->cut.rules, &err) && w->cut.rules.complete;
	if (!w->cut.ready)
		err_set(&w->cut.error, -EIO, "%s", w->cut.rules.differs[0] ? w->cut.rules.differs : err.text);
	w->cut.generation = w->cut.rules.generation;
	return w->cut.ready;
}

/* ---- mirror ---- */

/* With the lock of enforcement. */
static struct tc_want tc_wanted(const struct node *n, const struct workload *w, const struct wl_link *l, bool exclude)
{
	struct tc_want t = {
		.ifindex = l->end.host_ifindex,
		.to_leaving = n->bridge.ifindex[0],
		.to_entering = n->bridge.ifindex[1],
		.engine = n->config->tc_engine,
		.blocks = n->config->tc_shared_blocks ? TC_BLOCKS_SHARED : TC_BLOCKS_DEVICE,
		.quarantine = w->quarantined,
	};

	if (n->policy && (!n->config->tc_shared_blocks || t.engine == TC_ENGINE_BPF))
		t.deny = enforce_device(n->enforce, w->id, l->view, &l->end, t.engine);
	if (t.deny && t.engine == TC_ENGINE_BPF && n->tc)
		t.denied = tc_denied(n->tc, NULL);	/* where the program cannot be loaded tc_ensure says why */
	for (int h = 0; t.deny && !n->config->tc_shared_blocks && h < 2; h++) {
		t.fence[h] = l->fence[h];
		t.nfence[h] = l->nfence[h];
	}
	t.own = l->end.addrs;
	t.nown = l->end.naddrs;
	/* Only the link that the queue rules name has a queue. */
	if (!exclude || l != &w->links[0])
		return t;
	if (w->queue.side & SIDE_SERVER) {
		t.exclude_sport[0] = w->queue.apps;
		t.exclude_dport[1] = w->queue.apps;
	}
	if (w->queue.side & SIDE_CLIENT) {
		t.exclude_dport[0] = w->queue.apps;
		t.exclude_sport[1] = w->queue.apps;
	}
	return t;
}

bool attach_excludes(const struct workload *w) { return w->queue.ready && w->lifted <= node_now(); }

int attach_mirror(struct node *n, struct workload *w, bool exclude)
{
	int worst = 0;

	for (unsigned i = 0; i < w->nlinks; i++) {
		struct wl_link *l = &w->links[i];
		struct tc_want want;
		unsigned changes = 0;
		int rc;

		if (!l->mirror_wanted)
			continue;
		if (!n->bridge_up) {
			worst = err_set(&l->tc_error, -ENODEV, "bridge %s is not there", n->config->bridge);
			continue;
		}
		l->standing = true;
		enforce_lock(n->enforce);
		want = tc_wanted(n, w, l, exclude && w->queue.ready);
		l->tc_error.text[0] = 0;
		rc = tc_ensure(n->tc, &want, &l->tc, &changes, &l->tc_error);
		l->mirror_ready = !rc && l->tc.complete;
		enforce_ready(n->enforce, l->view, &want, l->mirror_ready);
		enforce_unlock(n->enforce);
		l->excluding = exclude && w->queue.ready;
		l->cut = w->quarantined && l->mirror_ready;
		if (!rc && !l->tc.complete)
			rc = err_set(&l->tc_error, -EIO, "filters read back differ: %s", l->tc.differs);
		if (rc)
			worst = failed(n, w, l->end.host_name, rc, &l->tc_error);
	}
	return worst;
}

void attach_policy(struct node *n)
{
	for (struct workload *w = n->reg.first; w; w = w->next)
		for (unsigned i = 0; i < w->nlinks; i++)
			if (w->links[i].mirror_ready) {
				attach_mirror(n, w, w->links[0].excluding);
				break;
			}
}

void detach_mirror(struct node *n, struct workload *w, bool for_good)
{
	for (unsigned i = 0; i < w->nlinks; i++) {
		struct wl_link *l = &w->links[i];
		struct err err = { "" };
		int rc;

		enforce_lock(n->enforce);
		enforce_forget(n->enforce, l->view);
		if (!n->tc && l->standing)
			n->tc = tc_open(&err);
		rc = !n->tc ? (l->standing ? -EIO : 0) : for_good ? tc_remove(n->tc, l->end.host_ifindex, &err) : tc_release(n->tc, l->end.host_ifindex, &err);
		enforce_unlock(n->enforce);
		if (rc && !gone(rc))
			failed(n, w, l->end.host_name, rc, &err);
		l->mirror_ready = l->excluding = l->cut = false;
		l->standing = rc && !gone(rc);
		if (!l->standing)
			err.text[0] = 0;
		l->tc_error = err;
		memset(&l->tc, 0, sizeof l->tc);
	}
}

/* ---- reading back ---- */

static bool check_queue(struct node *n, struct workload *w)
{
	struct peer_port peers[ATTACH_PEERS_MAX];
	struct wl_queue *q = &w->queue;
	struct rules_want want;
	struct err err = { "" };
	int rc;

	if (!q->wanted)
		return !q->source;
	if (!q->ready || worker_source_broken(q->worker, q->source))
		return false;
	if (q->bypass)
		unseen_look(&q->unseen, w->nsfd, n->config->queue_base, &q->rules, q->source);
	if (tables_untouched(n, w, q->generation))
		return true;
	want = rules_wanted(n, w, peers, attach_peers(n, w, false, peers));
	rc = rules_check(w->nsfd, &want, &q->rules, &err);
	if (rc || !q->rules.complete) {
		q->ready = false;
		q->error = err;
		if (!rc)
			err_set(&q->error, -EIO, "%s", q->rules.differs);
		return false;
	}
	q->generation = q->rules.generation;
	return true;
}

bool attach_check(struct node *n, struct workload *w, bool all)
{
	bool ok = check_queue(n, w) && check_cut(n, w);

	for (unsigned i = 0; i < w->nlinks; i++) {
		struct wl_link *l = &w->links[i];
		struct tc_want want;
		int rc;

		if (!l->mirror_wanted || (l->mirror_ready && !l->touched && !all && n->bridge_up))
			continue;
		l->touched = false;	/* what is changed from here on is told anew */
		l->tc_error.text[0] = 0;
		enforce_lock(n->enforce);
		want = tc_wanted(n, w, l, l->excluding);
		rc = n->bridge_up ? tc_check(n->tc, &want, &l->tc, &l->tc_error) : -ENODEV;
		l->mirror_ready = !rc && l->tc.complete;
		l->cut = w->quarantined && l->mirror_ready;
		enforce_unlock(n->enforce);
		if (!rc && !l->tc.complete)
			err_set(&l->tc_error, -EIO, "%s", l->tc.differs);
		ok = ok && l->mirror_ready;
	}
	return ok;
}

/* ---- peers ---- */

/* More than ATTACH_PEERS_MAX: the rest did not fit. */
static unsigned add_peers(const struct workload *server, struct peer_port *out, unsigned n)
{
	const struct link_end *e = &server->links[0].end;
	const struct app_ports *p = server->queue.ready ? &server->queue.apps : &server->opts.apps;

	for (unsigned a = 0; a < e->naddrs; a++) {

		if (addr_is_linklocal(&e->addrs[a]) || addr_is_loopback(&e->addrs[a]))
			continue;
		for (unsigned i = 0; i < (p->all ? 1 : p->n); i++) {
			if (n == ATTACH_PEERS_MAX)
				return n + 1;
			out[n] = (struct peer_port){ .addr = e->addrs[a], .ipproto = p->all ? 0 : p->port[i].ipproto, .port = p->all ? 0 : p->port[i].port };
			n++;
		}
	}
	return n;
}

uint64_t attach_peers_key(const struct peer_port *peers, unsigned npeers)
{
	uint64_t h = npeers ? 0xcbf29ce484222325 : 0;

	for (unsigned i = 0; i < npeers; i++) {
		for (size_t k = 0; k < sizeof peers[i].addr.b; k++)
			h = (h ^ peers[i].addr.b[k]) * 0x100000001b3;
		h = (h ^ ((uint64_t)peers[i].port << 8 | peers[i].ipproto)) * 0x100000001b3;
	}
	return h;
}

unsigned attach_peers(const struct node *n, const struct workload *client, bool soon, struct peer_port out[ATTACH_PEERS_MAX])
{
	unsigned count = 0;

	if (!client->queue.wanted || !(client->opts.side & SIDE_CLIENT))
		return 0;
	for (const struct workload *s = n->reg.first; s; s = s->next) {
		bool ready = s->queue.ready, comes = !ready && soon && s->todo && s->queue.wanted;

		if (s == client || !(ready || comes) || !((ready ? s->queue.side : s->opts.side) & SIDE_SERVER))
			continue;
		count = add_peers(s, out, count);
		if (count > ATTACH_PEERS_MAX)
			return 0;
	}
	return count;
}
