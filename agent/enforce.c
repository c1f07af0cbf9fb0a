/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flows by tuple in a table of chains; each has one or two ways (tc/deny.h) on devices. Everything but the rings' producer side and the counters is
 * under one lock, which the thread holds while it works through what the rings have, and the main thread while it looks at a device's filters. */
#include "agent/enforce.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "agent/refusal.h"
#include "base/log.h"
#include "base/spsc.h"
#include "tc/deny.h"
#include "tc/flowmap.h"

#define RING_BYTES (1u << 20)
#define RING_ENDS (RING_BYTES / 4)	/* of it for ends of flows alone: a refusal comes again with the next packet, an end is said once */
#define AGAIN 5000000LL		/* ns between two refusals of one flow; the last one that came in between follows then */
#define AGAIN_MS 5
#define RETRY 100000000LL	/* ns between two tries to put filters in place for one flow */
#define UNABLE 10000000000LL	/* ns that nothing is promised for after a failure */
#define OWED_MAX 4096u		/* flows that are told again later; beyond it their next packet does it */
#define NONE UINT32_MAX

const struct counter_desc enforce_counter_descs[ENFORCE_C_COUNT] = {
#define X(id, name, help) { name, help },
	ENFORCE_COUNTERS(X)
#undef X
};

struct message {
	bool release;
	uint32_t round;		/* of the world that it was judged by */
	struct refusal r;	/* release: the tuple alone */
};

struct device {
	uint32_t workload, view;
	struct link_end end;
	struct tc_want want;	/* its `denied`: a reference */
	struct deny_set *set;
	enum tc_engine engine;	/* that the set is for */
	bool ready;
};

struct way {
	struct device *on;	/* NULL: none */
	int hook;
	uint32_t id;
};

struct stopped {
	struct way way[2];	/* to the server, to the client */
	uint32_t next;		/* in its chain; of a free one: the next free one */
	uint32_t bucket;
	bool used, whole;	/* whole: each way has its filters */
	bool owed, listed;	/* owed: `last` is still to be told; listed: it stands in `owed` of struct enforce */
	int64_t told, tried, stood;	/* ns: when the ends were told; when filters were tried for last; since when all of them stand */
	struct refusal last;
};

struct enforce {
	pthread_t thread;
	pthread_mutex_t lock;
	unsigned nworkers;
	struct spsc **ring;
	uint64_t *turned_away;	/* by worker: refusals that found no room but that for ends */
	uint32_t *adopted;	/* by worker: the round that it is in */
	uint32_t next, round;	/* the last that began; the one that is heard */
	int wake;
	bool stopping, able, possible;	/* possible: this configuration has filters for flows */
	int64_t unable_until;
	struct refuser *refuser;
	struct tc *tc;
	struct device **device;
	unsigned ndevices, size;
	struct stopped *flow;	/* touched as they are used */
	uint32_t nflows, free, hand;	/* hand: the next to make room when there is none */
	uint32_t chain[ENFORCE_FLOWS_MAX];
	uint32_t owed[OWED_MAX];
	unsigned nowed;
	struct hash_key key;
	uint64_t counters[ENFORCE_C_COUNT];
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void count(struct enforce *e, enum enforce_counter c, uint64_t n) { counter_add(&e->counters[c], n); }

/* ---- devices ---- */

static struct device *device_of(const struct enforce *e, uint32_t view)
{
	for (unsigned i = 0; i < e->ndevices; i++)
		if (e->device[i]->view == view)
			return e->device[i];
	return NULL;
}

static bool has_addr(const struct device *d, const struct addr *a)
{
	for (unsigned i = 0; i < d->end.naddrs; i++)
		if (addr_eq(&d->end.addrs[i], a))
			return true;
	return false;
}

/* The workload's device that this flow goes through: that the frame was seen at, else that has the address, else its first. */
static struct device *device_for(const struct enforce *e, uint32_t workload, const struct addr *a, uint32_t view)
{
	struct device *best = NULL;

	for (unsigned i = 0; workload && i < e->ndevices; i++) {
		struct device *d = e->device[i];

		if (d->workload != workload || !d->ready)
			continue;
		if (d->view == (view & ~1u))
			return d;
		if (!best || (has_addr(d, a) && !has_addr(best, a)))
			best = d;
	}
	return best;
}

/* ---- flows ---- */

static uint32_t bucket_of(const struct enforce *e, const struct tuple *t)
{
	struct { struct addr src, dst; uint32_t ports, domain; uint64_t ipproto; } k = { t->src, t->dst, (uint32_t)t->sport << 16 | t->dport, t->domain, t->ipproto };

	return (uint32_t)hash_sip13(&e->key, &k, sizeof k) % ENFORCE_FLOWS_MAX;
}

static bool same(const struct tuple *a, const struct tuple *b)
{
	return a->sport == b->sport && a->dport == b->dport && a->ipproto == b->ipproto && a->domain == b->domain && addr_eq(&a->src, &b->src) && addr_eq(&a->dst, &b->dst);
}

static struct stopped *find(struct enforce *e, const struct tuple *t, uint32_t bucket)
{
	for (uint32_t i = e->chain[bucket]; i != NONE; i = e->flow[i].next)
		if (same(&e->flow[i].last.tuple, t))
			return &e->flow[i];
	return NULL;
}

static void forget_flow(struct enforce *e, struct stopped *f)
{
	uint32_t no = (uint32_t)(f - e->flow), *at = &e->chain[f->bucket];

	while (*at != no)
		at = &e->flow[*at].next;
	*at = f->next;
	f->used = f->owed = false;
	f->next = e->free;
	e->free = no;
}

static void drop_way(struct enforce *e, struct way *w)
{
	struct err err = { "" };

	if (w->on && tc_deny(e->tc, &w->on->want, w->hook, false, &w->id, 1, &err))
		log_debug(TC, "%s", err.text);	/* the next look at the device finds what is left */
	if (w->on)
		deny_del(w->on->set, w->id);
	w->on = NULL;
}

/* Its filters go, and then it. */
static void drop_flow(struct enforce *e, struct stopped *f)
{
	drop_way(e, &f->way[0]);
	drop_way(e, &f->way[1]);
	if (f->whole)
		count(e, ENFORCE_C_STANDING, (uint64_t)-1);
	forget_flow(e, f);
}

/* No place: the one that went longest without being taken again is taken, which among flows that only come is the oldest. */
static struct stopped *new_flow(struct enforce *e, const struct refusal *r, uint32_t bucket)
{
	struct stopped *f;
	uint32_t no;

	if (e->free == NONE && e->nflows == ENFORCE_FLOWS_MAX) {
		count(e, ENFORCE_C_EVICTED, 1);
		drop_flow(e, &e->flow[e->hand++ % ENFORCE_FLOWS_MAX]);
	}
	no = e->free;
	if (no != NONE)
		e->free = e->flow[no].next;
	else
		no = e->nflows++;
	f = &e->flow[no];
	*f = (struct stopped){ .listed = f->listed };	/* its place in the list outlives it */
	f->used = true;
	f->bucket = bucket;
	f->next = e->chain[bucket];
	e->chain[bucket] = no;
	f->last = *r;
	return f;
}

/* ---- filters ---- */

static void failed(struct enforce *e, const char *text)
{
	count(e, ENFORCE_C_FAILED, 1);
	e->unable_until = now_ns() + UNABLE;
	if (__atomic_exchange_n(&e->able, false, __ATOMIC_RELAXED))
		log_error(TC, "a denied flow is not stopped: %s", text);
}

static int add_way(struct enforce *e, struct stopped *f, struct device *d, int hook, int dir)
{
	const struct tuple *t = &f->last.tuple;
	struct deny_way w = {
		.src = dir ? t->dst : t->src, .dst = dir ? t->src : t->dst, .sport = dir ? t->dport : t->sport, .dport = dir ? t->sport : t->dport,
		.ipproto = t->ipproto, .to_client = dir,
	};
	char name[IF_NAMESIZE];
	uint32_t id, oldest;
	struct err err = { "" };
	int rc;

	while ((rc = deny_add(d->set, hook, &w, (uint32_t)(f - e->flow), &id, &oldest)) == -ENOSPC && &e->flow[oldest] != f) {
		count(e, ENFORCE_C_EVICTED, 1);
		drop_flow(e, &e->flow[oldest]);
	}
	if (rc == -EEXIST)
		return 0;
	if (rc)
		err_set(&err, rc, "%s", strerror(-rc));
	else if ((rc = tc_deny(e->tc, &d->want, hook, true, &id, 1, &err)))
		deny_del(d->set, id);
	if (rc == -ENODEV && !if_indextoname((unsigned)d->want.ifindex, name)) {
		d->ready = false;	/* it went with its workload: nothing of the flow passes there, and those of others are stopped as ever */
		return rc;
	}
	if (rc) {
		failed(e, err.text);
		return rc;
	}
	f->way[dir] = (struct way){ d, hook, id };
	return 0;
}

/* Both ways, as far as they are not stopped yet: one that failed is tried again with later packets. */
static void stop_flow(struct enforce *e, struct stopped *f, bool fresh, int64_t now)
{
	const struct refusal *r = &f->last;
	struct device *d[2] = { device_for(e, r->workload[0], &r->tuple.src, r->view), device_for(e, r->workload[1], &r->tuple.dst, r->view) };
	bool all = d[0] || d[1];

	f->tried = now;
	if (!all && fresh)
		count(e, ENFORCE_C_NOWHERE, 1);
	for (int dir = 0; all && dir < 2; dir++)
		if (!f->way[dir].on && add_way(e, f, d[dir] ? d[dir] : d[!dir], d[dir] ? 0 : 1, dir))
			all = false;
	if (!all)
		return;
	f->whole = true;
	f->stood = now_ns();
	count(e, ENFORCE_C_FLOWS, 1);
	count(e, ENFORCE_C_STANDING, 1);
	count(e, ENFORCE_C_LATENCY, f->stood > r->ts ? (uint64_t)(f->stood - r->ts) / 1000 : 0);
}

/* ---- the ends ---- */

static void tell(struct enforce *e, struct stopped *f, int64_t now)
{
	struct refusal_end end[2] = { { 0 }, { 0 } };

	for (int side = 0; side < 2; side++) {
		const struct device *d = device_for(e, f->last.workload[side], side ? &f->last.tuple.dst : &f->last.tuple.src, f->last.view);

		if (!d)
			continue;
		end[side].ifindex = d->end.host_ifindex;
		memcpy(end[side].mac, d->end.mac, 6);
	}
	refuser_tell(e->refuser, &f->last, end);
	f->told = now;
	f->owed = false;
}

static void tell_owed(struct enforce *e)
{
	int64_t now = now_ns();
	unsigned kept = 0;

	for (unsigned i = 0; i < e->nowed; i++) {
		struct stopped *f = &e->flow[e->owed[i]];

		if (f->used && f->owed && now - f->told < AGAIN && now >= f->told) {
			e->owed[kept++] = e->owed[i];
			continue;
		}
		f->listed = false;
		if (f->used && f->owed)
			tell(e, f, now);
	}
	e->nowed = kept;
}

static void refuse(struct enforce *e, const struct refusal *r)
{
	uint32_t bucket = bucket_of(e, &r->tuple);
	struct stopped *f = find(e, &r->tuple, bucket);
	int64_t now = now_ns();
	bool fresh = !f;

	if (fresh)
		f = new_flow(e, r, bucket);
	f->last = *r;
	if (!f->whole && (fresh || now - f->tried >= RETRY || now < f->tried))
		stop_flow(e, f, fresh, now);
	if (!f->whole || r->ts < f->stood)
		count(e, ENFORCE_C_PASSED, 1);
	if (fresh || now - f->told >= AGAIN || now < f->told) {
		tell(e, f, now);
	} else if (f->listed || e->nowed < OWED_MAX) {
		f->owed = true;
		if (!f->listed)
			e->owed[e->nowed++] = (uint32_t)(f - e->flow);
		f->listed = true;
	}
}

static void release(struct enforce *e, const struct tuple *t)
{
	struct stopped *f = find(e, t, bucket_of(e, t));

	if (f)
		drop_flow(e, f);
}

/* ---- the thread ---- */

/* What belongs to a round before is not heard; what belongs to the next waits. */
static void work(struct enforce *e)
{
	const struct message *m;
	size_t n;

	for (unsigned i = 0; i < e->nworkers; i++)
		while ((m = spsc_peek(e->ring[i], &n)) && (int32_t)(m->round - e->round) <= 0) {
			bool heard = m->round == e->round;

			if (heard && m->release)
				release(e, &m->r.tuple);
			else if (heard)
				refuse(e, &m->r);
			spsc_pop(e->ring[i]);
		}
}

static void *thread_main(void *arg)
{
	struct enforce *e = arg;
	uint64_t times;

	while (!__atomic_load_n(&e->stopping, __ATOMIC_ACQUIRE)) {
		struct pollfd p = { .fd = e->wake, .events = POLLIN };

		poll(&p, 1, e->nowed ? AGAIN_MS : 1000);
		if (read(e->wake, &times, sizeof times) < 0 && errno != EAGAIN)
			break;
		pthread_mutex_lock(&e->lock);
		work(e);
		tell_owed(e);
		if (!e->able && e->possible && now_ns() > e->unable_until)
			__atomic_store_n(&e->able, true, __ATOMIC_RELAXED);
		pthread_mutex_unlock(&e->lock);
	}
	return NULL;
}

static void free_device(struct device *d)
{
	flowmap_unref(d->want.denied);
	deny_free(d->set);
	free(d);
}

static bool open_rings(struct enforce *e)
{
	e->ring = calloc(e->nworkers, sizeof *e->ring);
	e->adopted = calloc(e->nworkers, sizeof *e->adopted);
	e->turned_away = calloc(e->nworkers, sizeof *e->turned_away);
	for (unsigned i = 0; e->ring && i < e->nworkers; i++)
		if (!(e->ring[i] = spsc_new(RING_BYTES, e->wake)))
			return false;
	return e->ring && e->adopted && e->turned_away;
}

static void free_all(struct enforce *e)
{
	for (unsigned i = 0; e->ring && i < e->nworkers; i++)
		spsc_free(e->ring[i]);
	free(e->ring);
	free(e->adopted);
	free(e->turned_away);
	for (unsigned i = 0; i < e->ndevices; i++)
		free_device(e->device[i]);
	free(e->device);
	free(e->flow);
	refuser_close(e->refuser);
	tc_close(e->tc);
	if (e->wake >= 0)
		close(e->wake);
	free(e);
}

struct enforce *enforce_start(unsigned nworkers, uint32_t mark, struct err *err)
{
	struct enforce *e = calloc(1, sizeof *e);
	int rc;

	if (!e) {
		err_set(err, -ENOMEM, "no memory for enforcement");
		return NULL;
	}
	e->nworkers = nworkers;
	e->able = e->possible = true;
	e->free = NONE;
	memset(e->chain, 0xff, sizeof e->chain);
	if (getrandom(&e->key, sizeof e->key, 0) != sizeof e->key)	/* who opens many flows must not choose their chain */
		log_debug(AGENT, "no random key");
	e->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->flow = calloc(ENFORCE_FLOWS_MAX, sizeof *e->flow);
	if (e->wake < 0 || !e->flow || !open_rings(e)) {
		err_set(err, -ENOMEM, "no memory for enforcement");
		free_all(e);
		return NULL;
	}
	e->tc = tc_open(err);
	e->refuser = e->tc ? refuser_open(mark, err) : NULL;
	if (!e->refuser) {
		free_all(e);
		return NULL;
	}
	pthread_mutex_init(&e->lock, NULL);
	rc = pthread_create(&e->thread, NULL, thread_main, e);
	if (rc) {
		err_set(err, -rc, "no thread for enforcement: %s", strerror(rc));
		free_all(e);
		return NULL;
	}
	return e;
}

void enforce_stop(struct enforce *e)
{
	uint64_t one = 1;

	if (!e)
		return;
	__atomic_store_n(&e->stopping, true, __ATOMIC_RELEASE);
	if (write(e->wake, &one, sizeof one) != sizeof one)
		log_debug(AGENT, "enforcement looks once a second");
	pthread_join(e->thread, NULL);
	pthread_mutex_destroy(&e->lock);
	free_all(e);
}

/* ---- workers ---- */

bool enforce_refused(struct enforce *e, unsigned worker, const struct dpi_refused *r)
{
	struct message m = { .release = false, .round = e->adopted[worker] };

	if (!enforce_room(e, worker)) {
		counter_add(&e->turned_away[worker], 1);
		return false;
	}
	refusal_of(r, &m.r);
	return spsc_put(e->ring[worker], &m, sizeof m, NULL, 0);
}

bool enforce_room(struct enforce *e, unsigned worker) { return spsc_room(e->ring[worker], RING_ENDS); }

void enforce_adopt(struct enforce *e, unsigned worker) { e->adopted[worker] = __atomic_load_n(&e->next, __ATOMIC_ACQUIRE); }

void enforce_released(struct enforce *e, unsigned worker, const struct tuple *t)
{
	struct message m = { .release = true, .round = e->adopted[worker], .r = { .tuple = *t } };

	spsc_put(e->ring[worker], &m, sizeof m, NULL, 0);
}

void enforce_wake(struct enforce *e, unsigned worker) { spsc_wake(e->ring[worker]); }

/* ---- the main thread ---- */

void enforce_lock(struct enforce *e) { pthread_mutex_lock(&e->lock); }
void enforce_unlock(struct enforce *e) { pthread_mutex_unlock(&e->lock); }

static struct deny_set *new_set(const struct enforce *e, enum tc_engine engine) { return deny_new(engine == TC_ENGINE_BPF ? &e->key : NULL); }

static struct device *new_device(struct enforce *e, uint32_t view, enum tc_engine engine)
{
	struct device *d = calloc(1, sizeof *d);

	if (d && e->ndevices == e->size) {
		unsigned size = e->size ? e->size * 2 : 32;
		struct device **more = realloc(e->device, size * sizeof(struct device *));

		if (more) {
			e->device = more;
			e->size = size;
		}
	}
	if (!d || e->ndevices == e->size || !(d->set = new_set(e, engine))) {
		free(d);
		return NULL;
	}
	d->view = view;
	d->engine = engine;
	e->device[e->ndevices++] = d;
	return d;
}

/* Flows with a way on this device are forgotten: their filters elsewhere go. Its own go with it, or with the next look at it; entries of a map do not. */
static void forget_flows(struct enforce *e, const struct device *d)
{
	for (uint32_t i = 0; i < e->nflows; i++) {
		struct stopped *f = &e->flow[i];

		if (!f->used || (f->way[0].on != d && f->way[1].on != d))
			continue;
		for (int k = 0; k < 2; k++)
			if (f->way[k].on == d && d->engine == TC_ENGINE_U32) {
				deny_del(d->set, f->way[k].id);
				f->way[k].on = NULL;
			}
		drop_flow(e, f);
	}
}

const struct deny_set *enforce_device(struct enforce *e, uint32_t workload, uint32_t view, const struct link_end *end, enum tc_engine engine)
{
	struct device *d = device_of(e, view);

	if (d && d->engine != engine) {
		enforce_forget(e, view);
		d = NULL;
	}
	if (!d && !(d = new_device(e, view, engine)))
		return NULL;
	d->workload = workload;
	d->end = *end;
	return d->set;
}

void enforce_ready(struct enforce *e, uint32_t view, const struct tc_want *w, bool ready)
{
	struct device *d = device_of(e, view);
	struct flowmap *before;

	if (!d)
		return;
	before = d->want.denied;
	d->want = *w;
	d->want.deny = d->set;		/* without a policy nothing is wanted, and what is left is still to go */
	d->want.denied = w->denied ? flowmap_ref(w->denied) : before;
	if (w->denied)
		flowmap_unref(before);
	d->ready = ready && w->deny;
}

void enforce_forget(struct enforce *e, uint32_t view)
{
	struct device *d = device_of(e, view);

	if (!d)
		return;
	forget_flows(e, d);
	for (unsigned i = 0; i < e->ndevices; i++)
		if (e->device[i] == d)
			e->device[i] = e->device[--e->ndevices];
	free_device(d);
}

void enforce_keep(struct enforce *e, bool (*there)(void *ctx, uint32_t view), void *ctx)
{
	pthread_mutex_lock(&e->lock);
	for (unsigned i = e->ndevices; i-- > 0;)	/* forgetting one puts the last in its place, which was looked at */
		if (!there(ctx, e->device[i]->view))
			enforce_forget(e, e->device[i]->view);
	pthread_mutex_unlock(&e->lock);
}

void enforce_possible(struct enforce *e, bool possible)
{
	pthread_mutex_lock(&e->lock);
	e->possible = possible;
	__atomic_store_n(&e->able, possible && now_ns() > e->unable_until, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&e->lock);
}

void enforce_begin(struct enforce *e)
{
	if (e)
		__atomic_store_n(&e->next, e->next + 1, __ATOMIC_RELEASE);
}

void enforce_flush(struct enforce *e, bool (*of)(void *ctx, uint32_t workload), void *ctx)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->lock);
	if (of)
		work(e);	/* what was said of the others holds: the end of a flow is said once */
	for (uint32_t i = 0; i < e->nflows; i++) {
		struct stopped *f = &e->flow[i];
		const uint32_t *w = f->last.workload;

		if (f->used && (!of || (w[0] && of(ctx, w[0])) || (w[1] && of(ctx, w[1]))))
			drop_flow(e, f);
	}
	tell_owed(e);
	e->round = e->next;
	work(e);
	pthread_mutex_unlock(&e->lock);
}

const bool *enforce_able(const struct enforce *e) { return &e->able; }
const uint64_t *enforce_counters(const struct enforce *e) { return e->counters; }

uint64_t enforce_refusals_lost(const struct enforce *e)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < e->nworkers; i++)
		sum += spsc_refused(e->ring[i]) + counter_get(&e->turned_away[i]);
	return sum;
}
