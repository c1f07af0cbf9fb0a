/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The main thread: start, wait, stop. What each round does to workloads is agent/reconcile.c; what is answered to tapq is
 * agent/answer.c. Nothing here touches a packet. */
#include "agent/node.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/attach.h"
#include "agent/fences.h"
#include "agent/notify.h"
#include "agent/quarantine.h"
#include "agent/reconcile.h"
#include "base/log.h"

#define EVRING_BYTES (8u << 20)
#define ROUND_MS 250		/* timer of the main loop */
#define ROUNDS_PER_S (1000 / ROUND_MS)
#define RESCAN_ROUNDS (5 * ROUNDS_PER_S)
#define SCAN_TURNS 12		/* rescans that are left out while nothing is missing and nothing was heard: one a minute */
#define LOOK_TURNS 24		/* rescans in which each workload's links and addresses are read anew, though nothing was heard of them: two minutes */
#define CHECK_ROUNDS (2 * ROUNDS_PER_S)
#define BYPASS_LIFT 60000000000LL	/* ns */
#define SCAN_PAUSE 50000000LL	/* ns between two scans for workloads */

const struct counter_desc node_counter_descs[NODE_C_COUNT] = {
#define X(id, name, help) { name, help },
#include "agent/counters.def"
#undef X
};

int64_t node_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- start, as a list ---- */

static int start_wait(struct node *n, struct err *err)
{
	struct itimerspec every = { .it_interval = { 0, ROUND_MS * 1000000L }, .it_value = { 0, ROUND_MS * 1000000L } };
	struct epoll_event ev = { .events = EPOLLIN };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);	/* before any thread starts: all inherit it */
	signal(SIGPIPE, SIG_IGN);
	n->epfd = epoll_create1(EPOLL_CLOEXEC);
	n->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	n->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	n->sink_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->bypassed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (n->epfd < 0 || n->sigfd < 0 || n->timerfd < 0 || n->sink_wake < 0 || n->bypassed_fd < 0 || timerfd_settime(n->timerfd, 0, &every, NULL))
		return err_set(err, -errno, "main loop: %s", strerror(errno));
	ev.data.fd = n->sigfd;
	if (epoll_ctl(n->epfd, EPOLL_CTL_ADD, n->sigfd, &ev))
		return err_set(err, -errno, "main loop: %s", strerror(errno));
	ev.data.fd = n->timerfd;
	if (epoll_ctl(n->epfd, EPOLL_CTL_ADD, n->timerfd, &ev))
		return err_set(err, -errno, "main loop: %s", strerror(errno));
	ev.data.fd = n->bypassed_fd;
	if (epoll_ctl(n->epfd, EPOLL_CTL_ADD, n->bypassed_fd, &ev))
		return err_set(err, -errno, "main loop: %s", strerror(errno));
	return 0;
}

static int start_control(struct node *n, struct err *err)
{
	struct epoll_event ev = { .events = EPOLLIN };
	pid_t owner = 0;

	n->control = control_open(n->config->control, node_answer, n, &owner, err);
	if (!n->control)
		return owner ? -EADDRINUSE : -EIO;	/* err names the first one's pid */
	ev.data.fd = control_fd(n->control);
	return epoll_ctl(n->epfd, EPOLL_CTL_ADD, ev.data.fd, &ev) ? err_set(err, -errno, "control: %s", strerror(errno)) : 0;
}

static int start_links(struct node *n, struct err *err)
{
	struct epoll_event ev = { .events = EPOLLIN };

	n->links = link_watch_open(err);
	if (!n->links)
		return -EIO;
	ev.data.fd = link_watch_fd(n->links);
	return epoll_ctl(n->epfd, EPOLL_CTL_ADD, ev.data.fd, &ev) ? err_set(err, -errno, "link events: %s", strerror(errno)) : 0;
}

static int start_rings(struct node *n, struct err *err)
{
	for (unsigned i = 0; i < n->nworkers; i++) {
		n->rings[i] = evring_new(EVRING_BYTES, n->sink_wake);
		n->wakes[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (!n->rings[i] || n->wakes[i] < 0)
			return err_set(err, -ENOMEM, "worker %u: no memory for its events", i);
	}
	if (n->nworkers > 1 && !(n->relay = relay_new(n->nworkers, n->wakes)))
		return err_set(err, -ENOMEM, "no memory for frames between workers");
	return 0;
}

/* What sinks and followers take; and what is learned, while the mode is discover for somebody. */
static uint64_t events_wanted(const struct node *n)
{
	uint64_t mask = sinks_mask(n->sinks) & EVENTS_ALL;

	if (n->policy && policy_discovers(policy_file_policy(n->policy)))
		mask |= UINT64_C(1) << EV_LEARN | UINT64_C(1) << EV_FLOW;
	return mask;
}

/* Filters of flows belong to a device; those of shared blocks are many devices'. The bpf engine's map knows devices apart. */
static bool can_stop(const struct config *c) { return !c->tc_shared_blocks || c->tc_engine == TC_ENGINE_BPF; }

static int start_workers(struct node *n, struct err *err)
{
	struct eve_conf eve = { .node = n->config->node, .names = n->names };
	struct hash_key key;

	if (start_rings(n, err))
		return -ENOMEM;
	n->fqdn = getrandom(&key, sizeof key, 0) == sizeof key ? fqdn_cache_new(FQDN_NAMES, &key) : NULL;
	if (!n->fqdn)
		return err_set(err, -ENOMEM, "no memory for names that workloads learn");
	eve.fqdn = n->fqdn;
	n->sinks = sinks_start(&eve, n->config->sinks, n->config->nsinks, n->rings, n->nworkers, n->sink_wake, err);
	if (!n->sinks)
		return -EIO;
	learn_know(n->learn, n->fqdn);
	sinks_tap(n->sinks, learn_feed, n->learn);
	n->event_mask = events_wanted(n);
	n->enforce = enforce_start(n->nworkers, n->config->mark, err);
	if (!n->enforce)
		return -EIO;
	enforce_possible(n->enforce, can_stop(n->config));
	for (unsigned i = 0; i < n->nworkers; i++) {
		struct worker_conf w = {
			.index = i,
			.events = n->rings[i],
			.relay = n->relay,
			.wake = n->wakes[i],
			.watchdog = n->config->watchdog,
			.shunt_bytes = n->config->shunt_bytes,
			.doubts = &n->doubts,
			.fqdn = n->fqdn,
			.enforce = n->enforce,
			.bypassed = node_bypassed,
			.bypassed_ctx = n,
			.dpi = {
				.max_flows = n->config->max_flows / n->nworkers,
				.memcap = n->config->memcap / n->nworkers,
				.max_waiting = WAITING_MAX / n->nworkers,
				.midstream = n->config->midstream,
				.flow_report = n->config->flow_report,
				.event_mask = n->event_mask,
			},
		};

		if (getrandom(&w.dpi.key, sizeof w.dpi.key, 0) != sizeof w.dpi.key || getrandom(&w.dpi.flow_id_seed, sizeof w.dpi.flow_id_seed, 0) != sizeof w.dpi.flow_id_seed)
			return err_set(err, -EIO, "worker %u: no random key", i);
		n->workers[i] = worker_start(&w, err);
		if (!n->workers[i])
			return -EIO;
	}
	return 0;
}

static int load_policy(struct node *n, struct err *err)
{
	struct policy_file *pf = NULL;

	if (n->config->policy) {
		pf = policy_file_load(n->config->policy, err);
		if (!pf || policy_file_allowed(pf, n->config, n->config->policy, err)) {
			policy_file_free(pf);
			return -EINVAL;
		}
	}
	policy_file_free(n->policy);
	free(n->policy_name);
	n->policy = pf;
	n->policy_name = pf ? strdup(n->config->policy) : NULL;
	return 0;
}

/* Half of the processors at most: the other half is the traffic's own. */
static unsigned auto_workers(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 4 ? 1 : cpus > 16 ? 8 : (unsigned)cpus / 2;
}

struct node *node_start(const struct node_args *args, int *exit_code, struct err *err)
{
	struct node *n = calloc(1, sizeof *n);
	struct err why = { "" };
	bool changed;

	*exit_code = 2;
	if (!n) {
		err_set(err, -ENOMEM, "no memory");
		return NULL;
	}
	n->args = *args;
	pthread_mutex_init(&n->shared, NULL);
	n->mode_switched = -1;
	n->epfd = n->sigfd = n->timerfd = n->sink_wake = n->bypassed_fd = -1;
	n->started = node_now();
	n->config = config_load(args->config_file, args->overrides, args->noverrides, err);
	if (!n->config || load_policy(n, err))
		goto fail;
	log_set("all", n->config->log_level);
	*exit_code = 1;
	n->nworkers = n->config->workers ? n->config->workers : auto_workers();
	if (n->nworkers > WORKERS_MAX)
		n->nworkers = WORKERS_MAX;
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		n->wakes[i] = -1;
	n->names = names_new();
	n->reg.names = n->names;
	n->learn = n->names ? learn_new(n->names) : NULL;
	if (!n->learn) {
		err_set(err, -ENOMEM, "no memory");
		goto fail;
	}
	if (start_wait(n, err) || start_control(n, err) || start_links(n, err) || start_workers(n, err) || reconcile_bridge(n, err))
		goto fail;
	if (quarantine_load(n, err))
		goto fail;
	if (registry_scan(&n->reg, n->config, &changed, &why))
		log_warn(AGENT, "looking for workloads: %s", why.text);
	node_publish(n, true, 0);
	node_reconcile(n, true);
	notify_ready();
	log_info(AGENT, "ready: mode %s, %u workloads, %u workers", mode_name(n->config->mode), n->reg.count, n->nworkers);
	return n;
fail:
	n->keep = true;		/* what an earlier run left is not ours to take away when we could not even start */
	node_stop(n);
	return NULL;
}

static void forget_back(struct node *n)
{
	policy_file_free(n->policy_back);
	free(n->policy_back_name);
	n->policy_back = NULL;
	n->policy_back_name = NULL;
	n->confirm_round = 0;
}

void node_stop(struct node *n)
{
	if (!n)
		return;
	notify_stopping();
	reconcile_all_away(n);
	for (unsigned i = 0; i < n->nworkers; i++)
		worker_stop(n->workers[i]);
	enforce_stop(n->enforce);
	sinks_stop(n->sinks);
	relay_free(n->relay);
	for (unsigned i = 0; i < n->nworkers; i++) {
		evring_free(n->rings[i]);
		if (n->wakes[i] >= 0)
			close(n->wakes[i]);
	}
	reconcile_bridge_away(n);
	link_watch_close(n->links);
	control_close(n->control);
	registry_free(&n->reg);
	fqdn_cache_free(n->fqdn);
	learn_free(n->learn);
	names_free(n->names);
	policy_file_free(n->policy);
	free(n->policy_name);
	forget_back(n);
	config_free(n->config);
	for (int *fd = (int[]){ n->epfd, n->sigfd, n->timerfd, n->sink_wake, n->bypassed_fd, -2 }; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	pthread_mutex_destroy(&n->shared);
	free(n);
}

/* ---- configuration, policy, mode ---- */

static void tell_event_mask(struct node *n)
{
	uint64_t mask = events_wanted(n);

	if (mask == n->event_mask)
		return;
	n->event_mask = mask;
	for (unsigned i = 0; i < n->nworkers; i++)
		worker_set_event_mask(n->workers[i], mask);
}

static void exchange_policy(struct node *n, struct policy_file *pf, const char *name)
{
	struct policy_file *old = n->policy;
	char *old_name = n->policy_name;

	n->policy = pf;
	n->policy_name = name ? strdup(name) : NULL;
	tell_event_mask(n);		/* before flows are judged by it */
	fences_refresh(n);
	attach_policy(n);
	n->enforce_anew |= pf != old;
	node_publish(n, true, 0);
	if (pf != old)
		policy_file_free(old);
	free(old_name);
}

void node_set_policy(struct node *n, struct policy_file *pf, const char *name)
{
	exchange_policy(n, pf, name);
	forget_back(n);
}

void node_try_policy(struct node *n, struct policy_file *pf, const char *name, unsigned seconds)
{
	if (!n->confirm_round) {
		n->policy_back = n->policy;
		n->policy_back_name = n->policy_name;
		n->policy = NULL;
		n->policy_name = NULL;
	}
	exchange_policy(n, pf, name);
	n->confirm_round = n->rounds + seconds * ROUNDS_PER_S;
}

bool node_confirm_policy(struct node *n)
{
	bool waits = n->confirm_round != 0;

	forget_back(n);
	return waits;
}

unsigned node_confirm_left(const struct node *n)
{
	return n->confirm_round ? (n->confirm_round - n->rounds + ROUNDS_PER_S - 1) / ROUNDS_PER_S : 0;
}

/* Nobody confirmed in time. */
static void return_policy(struct node *n)
{
	struct policy_file *back = n->policy_back;
	char *name = n->policy_back_name;

	log_warn(AGENT, "policy %s was not confirmed: back to %s", n->policy_name ? n->policy_name : "(given)", name ? name : "none");
	n->policy_back = NULL;
	n->policy_back_name = NULL;
	node_set_policy(n, back, name);
	free(name);
}

static void on_excluded(void *ctx, struct workload *w)
{
	struct node *n = ctx;

	detach_queue(n, w, false);
	detach_mirror(n, w, true);
	registry_drop(&n->reg, w);
	n->world_changed = true;
}

static void set_mode_in(struct config *c, enum mode m)
{
	c->mode = m;
	c->defaults.mode = m;
}

/* Keys that live as long as the process. */
static void warn_fixed(const struct config *old, const struct config *c)
{
	const struct { const char *key; bool changed; } fixed[] = {
		{ "control", strcmp(old->control, c->control) != 0 },
		{ "bridge", strcmp(old->bridge, c->bridge) != 0 },
		{ "nfq.queue_base", old->queue_base != c->queue_base },
		{ "nfq.mark", old->mark != c->mark || old->mask != c->mask },
		{ "tc.ring", old->ring_blocks != c->ring_blocks || old->ring_block_size != c->ring_block_size },
		{ "tc.shunt_bytes", old->shunt_bytes != c->shunt_bytes },
		{ "dpi.workers", old->workers != c->workers },
		{ "dpi.max_flows", old->max_flows != c->max_flows },
		{ "dpi.memcap", old->memcap != c->memcap },
		{ "dpi.midstream", old->midstream != c->midstream },
		{ "flow_report", old->flow_report != c->flow_report },
	};

	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		if (fixed[i].changed)
			log_warn(AGENT, "%s takes effect at the next start", fixed[i].key);
}

/* The same text is the same policy: what was refused by it stays refused. */
static struct policy_file *same_or(struct node *n, struct policy_file *pf)
{
	if (!pf || !n->policy || n->confirm_round || strcmp(policy_file_text(pf), policy_file_text(n->policy)))
		return pf;
	policy_file_free(pf);
	return n->policy;
}

int node_reload(struct node *n, struct err *err)
{
	struct config *c = config_load(n->args.config_file, n->args.overrides, n->args.noverrides, err), *old = n->config;
	struct policy_file *pf = NULL;
	bool changed;
	int rc = c ? 0 : -EINVAL;

	if (!rc && n->mode_switched >= 0)
		set_mode_in(c, (enum mode)n->mode_switched);
	if (!rc && c->policy && !(pf = policy_file_load(c->policy, err)))
		rc = -EINVAL;
	if (pf && policy_file_allowed(pf, c, c->policy, err))
		rc = -EINVAL;
	if (!rc)
		rc = sinks_replace(n->sinks, c->sinks, c->nsinks, err);
	if (rc) {
		counter_add(&n->counters[NODE_C_RELOADS_FAILED], 1);
		policy_file_free(pf);
		config_free(c);
		return rc;
	}
	notify_reloading();
	counter_add(&n->counters[NODE_C_RELOADS], 1);
	warn_fixed(old, c);
	log_set("all", c->log_level);
	sinks_reopen(n->sinks);
	n->config = c;
	/* What the process was started with stays in force; the new values wait for the next start. */
	c->queue_base = old->queue_base;
	c->mark = old->mark;		/* sockets and connections carry it */
	c->mask = old->mask;
	free(c->bridge);
	c->bridge = strdup(old->bridge);
	registry_configure(&n->reg, c, on_excluded, n);
	for (struct workload *w = n->reg.first; w; w = w->next)
		w->changed |= c->offload != old->offload || c->iptables != old->iptables || c->table != old->table;
	n->enforce_anew |= c->tc_engine != old->tc_engine || c->tc_shared_blocks != old->tc_shared_blocks;
	config_free(old);
	pf = same_or(n, pf);
	if (!can_stop(c))
		enforce_possible(n->enforce, false);	/* before such filters go ... */
	node_set_policy(n, pf, c->policy);
	enforce_possible(n->enforce, can_stop(c));	/* ... or when they stand */
	registry_scan(&n->reg, c, &changed, err);
	node_reconcile(n, false);
	notify_ready();
	return 0;
}

/* The policy allows this mode, and so does the one that it gives way to if nobody confirms it. */
static bool mode_allowed(const struct node *n, struct err *err)
{
	if (n->policy && policy_file_allowed(n->policy, n->config, n->policy_name ? n->policy_name : "policy", err))
		return false;
	return !n->policy_back || !policy_file_allowed(n->policy_back, n->config, n->policy_back_name ? n->policy_back_name : "policy", err);
}

int node_set_mode(struct node *n, enum mode m, struct err *err)
{
	enum mode old = n->config->mode;

	if (old == m)
		return 0;
	set_mode_in(n->config, m);
	if (!mode_allowed(n, err) || (!n->bridge_up && reconcile_bridge(n, err))) {
		set_mode_in(n->config, old);
		return -EINVAL;
	}
	n->mode_switched = (int)m;
	counter_add(&n->counters[NODE_C_MODE_SWITCHES], 1);
	registry_configure(&n->reg, n->config, on_excluded, n);
	node_reconcile(n, false);
	return 0;
}

/* ---- the loop ---- */

static void on_link(void *ctx, const struct link_event *e)
{
	struct node *n = ctx;

	switch (e->kind) {
	case LINK_RESYNC:
		counter_add(&n->counters[NODE_C_RESYNCS], 1);
		registry_look(&n->reg, 1);
		n->scan_wanted = true;
		reconcile_bridge_soon(n);
		break;
	case LINK_GONE:
		if (!strncmp(e->name, n->config->bridge, strlen(n->config->bridge)))
			reconcile_bridge_soon(n);
		registry_heard(&n->reg, e);
		n->scan_wanted = true;
		break;
	case LINK_NEW:
		registry_heard(&n->reg, e);
		n->scan_wanted |= e->veth;
		break;
	case LINK_ADDR:
		registry_heard(&n->reg, e);
		n->scan_wanted = true;
		break;
	case LINK_NSID:
		n->scan_wanted = true;
		break;
	}
}

static void on_signal(struct node *n)
{
	struct signalfd_siginfo si;
	struct err err = { "" };

	while (read(n->sigfd, &si, sizeof si) == sizeof si) {
		if (si.ssi_signo == SIGHUP) {
			if (node_reload(n, &err))
				log_error(AGENT, "reload: %s", err.text);
			else
				log_info(AGENT, "reloaded");
			continue;
		}
		n->stopping = true;
		n->keep = si.ssi_signo == SIGTERM && n->config->on_stop == ON_STOP_KEEP;
	}
}

static void on_gone(void *ctx, struct workload *w)
{
	struct node *n = ctx;

	detach_queue(n, w, true);	/* its rules go with the netns */
	detach_mirror(n, w, true);
	registry_drop(&n->reg, w);
	n->world_changed = true;
}

static void watch_workers(struct node *n)
{
	static const unsigned rounds_per_look = ROUNDS_PER_S;

	/* A worker beats at least every 250 ms; the time that it may be still is the watchdog's, counted in looks. */
	for (unsigned i = 0; i < n->nworkers; i++) {
		uint64_t beats = worker_beats(n->workers[i]);

		if (beats != n->beats[i])
			n->still[i] = 0;
		else if (++n->still[i] * (1000000000LL / rounds_per_look) > n->config->watchdog + 1000000000LL) {
			log_error(AGENT, "worker %u does not move: the process ends so that the kernel does as nfq.fail says", i);
			_exit(1);
		}
		n->beats[i] = beats;
	}
	tell_event_mask(n);
}

static void on_round(struct node *n)
{
	struct err err = { "" };
	uint64_t ticks;

	if (read(n->timerfd, &ticks, sizeof ticks) != sizeof ticks)
		return;
	n->rounds++;
	watch_workers(n);
	notify_watchdog();
	if (n->confirm_round && n->rounds >= n->confirm_round)
		return_policy(n);
	if (n->rounds % ROUNDS_PER_S == 2 && registry_reap(&n->reg, on_gone, n, &err))
		log_warn(AGENT, "%s", err.text);
	if (n->rounds % RESCAN_ROUNDS == 0) {
		registry_look(&n->reg, link_watch_inside(n->links) ? LOOK_TURNS : 1);
		if (registry_refresh(&n->reg))
			node_reconcile(n, false);
		n->scan_wanted |= n->reg.missing || !link_watch_inside(n->links) || n->rounds % (RESCAN_ROUNDS * SCAN_TURNS) == 0;
	}
	if (n->rounds % CHECK_ROUNDS == 0) {
		reconcile_bridge(n, &err);
		node_check(n);
		node_reconcile(n, false);
	}
	if (n->config->stats_interval && n->rounds % (n->config->stats_interval * ROUNDS_PER_S) == 0)
		node_tell_stats(n);
}

void node_bypassed(void *ctx, uint32_t workload)
{
	struct node *n = ctx;
	uint64_t one = 1;

	__atomic_store_n(&n->bypassed[workload % NODE_BYPASSED], workload, __ATOMIC_RELEASE);
	if (write(n->bypassed_fd, &one, sizeof one) != sizeof one)
		log_debug(AGENT, "a bypass is told already");
}

/* Workloads that send past their queues: for BYPASS_LIFT nothing is excluded from their mirrors, so that what the queue does not show is
 * judged from there; and their rules are read back at once, for they may have flushed them. */
static void on_bypassed(struct node *n)
{
	int64_t now = node_now();
	bool any = false;
	uint64_t times;

	if (read(n->bypassed_fd, &times, sizeof times) != sizeof times)
		return;
	for (struct workload *w = n->reg.first; w; w = w->next) {
		uint32_t *told = &n->bypassed[w->id % NODE_BYPASSED];

		if (__atomic_load_n(told, __ATOMIC_ACQUIRE) != w->id)
			continue;
		__atomic_store_n(told, 0, __ATOMIC_RELAXED);
		if (w->lifted <= now) {
			log_warn(AGENT, "workload %s sends past its queue: its connections there are judged from the mirror", w->name);
			counter_add(&n->counters[NODE_C_BYPASSED], 1);
			any = true;
		}
		w->lifted = now + BYPASS_LIFT;
	}
	if (any) {
		node_check(n);
		node_reconcile(n, false);
	}
}

static void settle(struct node *n)
{
	struct err err = { "" };
	bool changed = false;

	if (n->bridge_look) {
		n->bridge_look = false;
		if (reconcile_bridge(n, &err))
			log_error(BRIDGE, "%s", err.text);
	}
	if (n->scan_wanted && node_now() - n->scanned >= SCAN_PAUSE) {	/* a starting container makes many events */
		n->scan_wanted = false;
		n->scanned = node_now();
		if (registry_scan(&n->reg, n->config, &changed, &err))
			log_warn(AGENT, "looking for workloads: %s", err.text);
		if (changed)
			node_reconcile(n, false);
	}
	if (n->world_changed)
		node_publish(n, false, 0);
	reconcile_overlap(n);
}

void node_look(struct node *n)
{
	struct err err = { "" };

	if (link_watch_read(n->links, on_link, n, &err))
		log_warn(BRIDGE, "%s", err.text);
	n->scanned = 0;
	settle(n);
}

int node_run(struct node *n)
{
	struct epoll_event evs[16];
	struct err err = { "" };
	struct sched_param none = { 0 };

	/* A batch task (sched(7)) from now on, and so are the programs that it runs: what looks after rules and filters does not take the processor from workers and workloads. */
	pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
	while (!n->stopping) {
		int t = control_timeout(n->control);
		int max = n->scan_wanted ? (int)(SCAN_PAUSE / 1000000) : 1000;
		int got = epoll_wait(n->epfd, evs, 16, t >= 0 && t < max ? t : max);

		for (int i = 0; i < got; i++) {
			if (evs[i].data.fd == n->sigfd)
				on_signal(n);
			else if (evs[i].data.fd == n->timerfd)
				on_round(n);
			else if (evs[i].data.fd == n->bypassed_fd)
				on_bypassed(n);
			else if (evs[i].data.fd == link_watch_fd(n->links))
				link_watch_read(n->links, on_link, n, &err);
		}
		control_run(n->control);
		settle(n);
	}
	return n->exit_code;
}
