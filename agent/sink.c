/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: one thread owns everything that writes. It takes events from the workers' rings, makes each a line once, and
 * appends the line to the buffer of each outlet (a sink or a follower; agent/outlet.c) that takes its type. Buffers are written when they
 * are full enough, when nothing more is in the rings, and at least every 200 ms.
 *
 * While there are events it looks at the rings each five milliseconds and lets nobody wake it before one is half full: a worker writes to no
 * descriptor then. As a batch task (sched(7)) it does not take the processor from a thread that answers packets. When such a time brought nothing
 * it sleeps, and the next event wakes it.
 *
 * The main thread reaches the thread by a mailbox under a mutex (a new set of sinks, followers, lines, "open again") and never waits for
 * a write. Counters are single words that anybody may read. A replaced set is flushed and freed by the thread. */
#include "agent/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/outlet.h"
#include "base/counter.h"

#define LINE_MAX_BYTES (512u << 10)
#define FLUSH_NS 200000000LL
#define DOZE_MS 5
#define FOLLOWERS_MAX 64
#define SINKS_MAX 64
#define LINES_MAX 64		/* lines of the main thread that wait */
#define TURN 256		/* events of one ring before the next ring's */
#define STOP_NS 2000000000LL	/* what a slow outlet gets at the end */

struct set {
	struct outlet *v;
	unsigned n;
};

struct line {
	enum event_type type;
	size_t n;
	char text[];
};

struct sinks {
	struct eve_conf eve;
	char *node;
	struct evring *const *rings;
	unsigned nrings;
	int wake;
	void (*tap)(void *ctx, const struct event *);
	void *tap_ctx;
	pthread_t thread;
	/* the thread's */
	struct set *set;
	struct outlet followers[FOLLOWERS_MAX];
	unsigned nfollowers;
	struct jbuf line;
	int64_t flushed;
	/* the mailbox */
	pthread_mutex_t lock;
	struct set *next;	/* to take over */
	struct set *newest;	/* what the main thread knows */
	struct { int fd; uint64_t mask; } joining[FOLLOWERS_MAX];
	unsigned njoining;
	struct line *lines[LINES_MAX];
	unsigned nlines;
	bool reopen, stopping;
	uint64_t set_mask, follower_mask;
	/* followers' and the main thread's lines, whoever they went to */
	uint64_t followed, unfollowed, lost_lines;
	unsigned present;	/* followers, joining ones included */
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- sets ---- */

static void set_free(struct set *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->n; i++)
		outlet_free(&s->v[i]);
	free(s->v);
	free(s);
}

static struct set *set_new(const struct sink_conf *conf, unsigned n, struct err *err)
{
	struct set *s;

	if (n > SINKS_MAX) {
		err_set(err, -E2BIG, "events: more than %d sinks", SINKS_MAX);
		return NULL;
	}
	s = calloc(1, sizeof *s);
	if (s)
		s->v = calloc(n ? n : 1, sizeof *s->v);
	if (!s || !s->v) {
		free(s);
		err_set(err, -ENOMEM, "events: no memory");
		return NULL;
	}
	for (; s->n < n; s->n++) {
		if (outlet_init(&s->v[s->n], &conf[s->n], now_ns(), err)) {
			s->n++;
			set_free(s);
			return NULL;
		}
	}
	return s;
}

static uint64_t mask_of(const struct set *s)
{
	uint64_t m = 0;

	for (unsigned i = 0; i < s->n; i++)
		m |= s->v[i].mask;
	return m;
}

/* ---- the thread ---- */

static void put_all(struct sinks *s, enum event_type type, const char *line, size_t n)
{
	uint64_t bit = 1ULL << type;

	for (unsigned i = 0; i < s->set->n; i++)
		if (s->set->v[i].mask & bit)
			outlet_put(&s->set->v[i], line, n);
	for (unsigned i = 0; i < s->nfollowers; i++)
		if (s->followers[i].mask & bit)
			outlet_put(&s->followers[i], line, n);
}

static bool wanted(const struct sinks *s, uint8_t type)
{
	uint64_t bit = type < EV_COUNT ? 1ULL << type : 0;

	for (unsigned i = 0; i < s->set->n; i++)
		if (s->set->v[i].mask & bit)
			return true;
	for (unsigned i = 0; i < s->nfollowers; i++)
		if (s->followers[i].mask & bit)
			return true;
	return false;
}

/* One turn of each ring; how many events were taken. */
static unsigned drain(struct sinks *s)
{
	unsigned taken = 0;

	for (unsigned r = 0; r < s->nrings; r++) {
		const struct event *ev;

		for (unsigned i = 0; i < TURN && (ev = evring_peek(s->rings[r])); i++, taken++) {
			if (s->tap)
				s->tap(s->tap_ctx, ev);
			if (wanted(s, ev->type)) {
				jb_reset(&s->line);
				eve_format(&s->line, &s->eve, ev);
				if (!s->line.overflow)
					put_all(s, (enum event_type)ev->type, s->line.p, s->line.len);
				else
					__atomic_fetch_add(&s->lost_lines, 1, __ATOMIC_RELAXED);
			}
			evring_pop(s->rings[r]);
		}
	}
	return taken;
}

static void flush_all(struct sinks *s)
{
	for (unsigned i = 0; i < s->set->n; i++)
		outlet_flush(&s->set->v[i]);
	for (unsigned i = 0; i < s->nfollowers; i++)
		outlet_flush(&s->followers[i]);
}

/* Followers that broke go; under the lock, since the mask and the number are the main thread's too. */
static void drop_followers(struct sinks *s)
{
	uint64_t mask = 0;
	unsigned kept = 0;

	for (unsigned i = 0; i < s->nfollowers; i++) {
		struct outlet *o = &s->followers[i];

		if (o->broken) {
			outlet_forget(o);
			counter_add(&s->followed, o->lines);
			counter_add(&s->unfollowed, o->dropped);
			outlet_free(o);
			continue;
		}
		mask |= o->mask;
		if (kept != i)
			s->followers[kept] = *o;
		kept++;
	}
	s->nfollowers = kept;
	for (unsigned i = 0; i < s->njoining; i++)
		mask |= s->joining[i].mask;
	s->present = kept + s->njoining;
	s->follower_mask = mask;
}

static void join_followers(struct sinks *s)
{
	for (unsigned i = 0; i < s->njoining; i++) {
		struct outlet *o = &s->followers[s->nfollowers++];

		outlet_follow(o, s->joining[i].fd, s->joining[i].mask);
	}
	s->njoining = 0;
}

/* The set that is replaced, NULL when none is. */
static struct set *take_set(struct sinks *s)
{
	struct set *old = s->set;

	if (!s->next)
		return NULL;
	s->set = s->next;
	s->next = NULL;
	return old;
}

static void retire(struct set *old)
{
	for (unsigned i = 0; old && i < old->n; i++)
		outlet_flush(&old->v[i]);
	set_free(old);
}

/* What the main thread left; true when it is time to stop. */
static bool read_mail(struct sinks *s)
{
	struct line *lines[LINES_MAX];
	struct set *old;
	unsigned nlines;
	bool reopen, stopping;

	pthread_mutex_lock(&s->lock);
	old = take_set(s);
	drop_followers(s);
	join_followers(s);
	nlines = s->nlines;
	memcpy(lines, s->lines, nlines * sizeof *lines);
	s->nlines = 0;
	reopen = s->reopen;
	s->reopen = false;
	stopping = s->stopping;
	pthread_mutex_unlock(&s->lock);
	retire(old);
	for (unsigned i = 0; i < nlines; i++) {
		put_all(s, lines[i]->type, lines[i]->text, lines[i]->n);
		free(lines[i]);
	}
	for (unsigned i = 0; i < s->set->n; i++) {
		if (reopen)
			outlet_flush(&s->set->v[i]);
		outlet_tend(&s->set->v[i], now_ns(), reopen);
	}
	return stopping;
}

static void wait_for(struct sinks *s, int ms)
{
	struct pollfd p[1 + SINKS_MAX + FOLLOWERS_MAX] = { { .fd = s->wake, .events = POLLIN } };
	unsigned n = 1;
	uint64_t count;

	for (unsigned i = 0; i < s->set->n; i++)
		if (outlet_blocked(&s->set->v[i]) && !s->set->v[i].regular)
			p[n++] = (struct pollfd){ .fd = s->set->v[i].fd, .events = POLLOUT };
	for (unsigned i = 0; i < s->nfollowers; i++)	/* their going is seen even when there is nothing to tell */
		p[n++] = (struct pollfd){ .fd = s->followers[i].fd, .events = outlet_blocked(&s->followers[i]) ? POLLOUT : 0 };
	if (poll(p, n, ms) <= 0)
		return;
	if (p[0].revents && read(s->wake, &count, sizeof count) < 0)
		return;		/* somebody else took it */
	for (unsigned i = 0; i < s->nfollowers; i++)
		if (p[n - s->nfollowers + i].revents & (POLLERR | POLLHUP | POLLNVAL))
			s->followers[i].broken = true;
}

/* False: something came meanwhile. */
static bool doze(struct sinks *s, bool on)
{
	bool empty = true;

	for (unsigned i = 0; i < s->nrings; i++)
		empty &= evring_doze(s->rings[i], on);
	return empty;
}

/* Until it is time to look again; `busy`: there were events since the last time. */
static void rest(struct sinks *s, bool busy)
{
	if (busy)
		wait_for(s, DOZE_MS);
	else if (doze(s, false))
		wait_for(s, (int)(FLUSH_NS / 1000000));
	doze(s, true);
}

/* The rings are empty: what is left gets a bounded time. */
static void finish(struct sinks *s)
{
	int64_t until = now_ns() + STOP_NS;

	for (;;) {
		bool left = false;

		flush_all(s);
		for (unsigned i = 0; i < s->set->n; i++)
			left |= outlet_blocked(&s->set->v[i]);
		for (unsigned i = 0; i < s->nfollowers; i++)
			left |= outlet_blocked(&s->followers[i]) && !s->followers[i].broken;
		if (!left || now_ns() >= until)
			return;
		wait_for(s, 20);
	}
}

static void *sink_main(void *arg)
{
	struct sinks *s = arg;
	struct sched_param none = { 0 };
	bool stopping = false, busy = false;

	pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);	/* it works without, too */
	while (!stopping) {
		unsigned taken = drain(s);

		stopping = read_mail(s);
		if (!taken || now_ns() - s->flushed >= FLUSH_NS) {
			flush_all(s);
			s->flushed = now_ns();
		}
		if (!taken && !stopping) {
			rest(s, busy);
			busy = false;
		}
		busy |= taken;
	}
	while (drain(s))
		;
	finish(s);
	return NULL;
}

/* ---- the main thread's side ---- */

static void wake(struct sinks *s)
{
	uint64_t one = 1;

	if (write(s->wake, &one, sizeof one) < 0)
		return;		/* EAGAIN: it has enough to wake it; else the next 200 ms do */
}

static void sinks_free(struct sinks *s)
{
	for (unsigned i = 0; i < s->nfollowers; i++)
		outlet_free(&s->followers[i]);
	for (unsigned i = 0; i < s->njoining; i++)
		close(s->joining[i].fd);
	for (unsigned i = 0; i < s->nlines; i++)
		free(s->lines[i]);
	set_free(s->set);
	set_free(s->next);
	jb_free(&s->line);
	eve_memo_free(s->eve.memo);
	pthread_mutex_destroy(&s->lock);
	free(s->node);
	free(s);
}

struct sinks *sinks_start(const struct eve_conf *eve, const struct sink_conf *conf, unsigned nsinks, struct evring *const *rings, unsigned nrings, int eventfd, struct err *err)
{
	struct sinks *s = calloc(1, sizeof *s);
	sigset_t all, old;
	int rc;

	if (!s) {
		err_set(err, -ENOMEM, "events: no memory");
		return NULL;
	}
	s->eve = *eve;
	s->node = strdup(eve->node ? eve->node : "");
	s->eve.node = s->node;		/* the configuration may be replaced under us */
	s->eve.memo = eve_memo_new();
	s->rings = rings;
	s->nrings = nrings;
	s->wake = eventfd;
	pthread_mutex_init(&s->lock, NULL);
	jb_init(&s->line, LINE_MAX_BYTES);
	s->set = s->newest = set_new(conf, nsinks, err);
	if (!s->set || !s->node) {
		sinks_free(s);
		return NULL;
	}
	s->set_mask = mask_of(s->set);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&s->thread, NULL, sink_main, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		err_set(err, -rc, "events: no thread: %s", strerror(rc));
		sinks_free(s);
		return NULL;
	}
	return s;
}

void sinks_stop(struct sinks *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_mutex_unlock(&s->lock);
	wake(s);
	pthread_join(s->thread, NULL);
	sinks_free(s);
}

/* An outlet that goes on under the same name goes on counting. */
static void inherit(struct set *to, const struct set *from)
{
	for (unsigned i = 0; i < to->n; i++) {
		for (unsigned k = 0; k < from->n; k++) {
			if (from->v[k].type != to->v[i].type || strcmp(from->v[k].name, to->v[i].name))
				continue;
			counter_add(&to->v[i].lines, counter_get(&from->v[k].lines));
			counter_add(&to->v[i].dropped, counter_get(&from->v[k].dropped));
			counter_add(&to->v[i].errors, counter_get(&from->v[k].errors));
			break;
		}
	}
}

int sinks_replace(struct sinks *s, const struct sink_conf *conf, unsigned nsinks, struct err *err)
{
	struct set *set = set_new(conf, nsinks, err), *unused;

	if (!set)
		return -EINVAL;
	pthread_mutex_lock(&s->lock);
	inherit(set, s->newest);
	unused = s->next;	/* never taken over: nothing was written to it */
	s->next = s->newest = set;
	s->set_mask = mask_of(set);
	pthread_mutex_unlock(&s->lock);
	set_free(unused);
	wake(s);
	return 0;
}

void sinks_tap(struct sinks *s, void (*fn)(void *ctx, const struct event *), void *ctx)
{
	pthread_mutex_lock(&s->lock);
	s->tap_ctx = ctx;
	s->tap = fn;
	pthread_mutex_unlock(&s->lock);
}

void sinks_reopen(struct sinks *s)
{
	pthread_mutex_lock(&s->lock);
	s->reopen = true;
	pthread_mutex_unlock(&s->lock);
	wake(s);
}

int sinks_follow(struct sinks *s, int fd, uint64_t mask, struct err *err)
{
	int rc = 0, flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return err_set(err, -errno, "events: %s", strerror(errno));
	pthread_mutex_lock(&s->lock);
	if (s->present == FOLLOWERS_MAX) {
		rc = err_set(err, -EBUSY, "events: %d follow already", FOLLOWERS_MAX);
	} else {
		s->joining[s->njoining].fd = fd;
		s->joining[s->njoining++].mask = mask;
		s->present++;
		s->follower_mask |= mask;
	}
	pthread_mutex_unlock(&s->lock);
	if (!rc)
		wake(s);
	return rc;
}

uint64_t sinks_mask(struct sinks *s)
{
	uint64_t m;

	pthread_mutex_lock(&s->lock);
	m = s->set_mask | s->follower_mask;
	pthread_mutex_unlock(&s->lock);
	return m;
}

void sinks_put_line(struct sinks *s, enum event_type type, const char *text, size_t n)
{
	struct line *l = n <= LINE_MAX_BYTES ? malloc(sizeof *l + n) : NULL;

	if (l) {
		l->type = type;
		l->n = n;
		memcpy(l->text, text, n);
	}
	pthread_mutex_lock(&s->lock);
	if (l && s->nlines < LINES_MAX) {
		s->lines[s->nlines++] = l;
		l = NULL;
	} else {
		__atomic_fetch_add(&s->lost_lines, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&s->lock);
	free(l);
	wake(s);
}

unsigned sinks_stats(struct sinks *s, struct sink_stats *out, unsigned max)
{
	unsigned n = 0;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->newest->n && n < max; i++) {
		const struct outlet *o = &s->newest->v[i];

		out[n++] = (struct sink_stats){ o->name, counter_get(&o->lines), counter_get(&o->dropped), counter_get(&o->errors), o->mask };
	}
	if (n < max) {
		struct sink_stats f = { "followers", counter_get(&s->followed), counter_get(&s->unfollowed) + counter_get(&s->lost_lines), 0, 0 };

		for (unsigned i = 0; i < s->nfollowers; i++) {	/* they come and go under the lock */
			f.lines += counter_get(&s->followers[i].lines);
			f.dropped += counter_get(&s->followers[i].dropped);
			f.mask |= s->followers[i].mask;
		}
		out[n++] = f;
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}
