/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: a run is one core with all that it learns: flows, names from DNS, numbers of packets. With one worker (the default) there is one
 * run, over all files in the given order. With more, each file is a run of its own, by whichever worker is free next; what all of them only
 * read (policy, workloads, names) they share. So what is told of a file does not depend on how many workers there are, nor on which one had it, as long as no
 * cap is met: the process's totals are shared out over workers, as the agent shares them out.
 *
 * Time is taken from the packets. What is random in production is fixed (the hash key, the seed of flow ids, which differs by run), zones are
 * UTC, and without a configuration the node is called "replay", so that the same files give the same lines anywhere; in the same order, too, with one worker.
 * Nothing is held, so nothing is enforced, and nobody owns a flow but the core at hand. An end is found by its MAC, then by its address.
 *
 * The agent's workers hand records to one thread that makes lines of them, because nothing may hold up a packet there. Here a line costs more than
 * what led to it, and waiting is allowed: each run makes its own, and whole lines go out OUT_BYTES at a time under a lock. */
#include "agent/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/eve.h"
#include "agent/pcapsrc.h"
#include "agent/replay_world.h"

#define LINE_MAX_BYTES (1u << 20)
#define TICK_NS 100000000LL	/* as often as a worker lets time pass */
#define BATCH 64
#define OUT_BYTES (64u << 10)		/* lines are gathered up to this */

struct replay {
	const struct replay_args *args;
	struct config *config;
	struct policy_file *policy;
	struct names *names;
	struct world *world;
	bool at_once;		/* somebody reads along */
	unsigned workers, runs;
	/* of all runs, under the lock */
	pthread_mutex_t lock;
	unsigned next;		/* run that is to begin */
	unsigned failed;	/* the first that failed, of those that did; runs: none */
	struct err err;		/* why */
	int write_error;	/* errno; read without the lock too */
	uint64_t lost;		/* lines longer than LINE_MAX_BYTES */
	uint64_t packets, bytes, counters[DPI_C_COUNT], app_flows[APP_COUNT];
};

struct run {
	struct replay *r;
	struct dpi *dpi;
	struct fqdn_cache *fqdn;
	struct eve_conf eve;
	struct jbuf lines;	/* not yet written */
	uint64_t lost, packets, bytes;
	int64_t ticked;
};

/* ---- what the core asks ---- */

static void on_ends(void *ctx, const struct frame *f, const struct tuple *t, struct dpi_ends *out)
{
	struct run *n = ctx;
	const struct world_port *end[2];
	bool ether = f->link == LINK_ETHERNET && f->caplen >= 12;

	for (int i = 0; i < 2; i++) {
		end[i] = ether ? world_by_mac(n->r->world, f->data + (i ? 0 : 6)) : NULL;
		if (!end[i])
			end[i] = world_by_addr(n->r->world, i ? &t->dst : &t->src);
		out->workload[i] = end[i] ? end[i]->row.workload : 0;
		out->groups[i] = end[i] ? &end[i]->groups : NULL;
	}
}

static void on_learn(void *ctx, uint32_t workload, const struct addr *a, struct bytes name, uint32_t ttl, int64_t ts)
{
	struct run *n = ctx;

	fqdn_cache_learn(n->fqdn, workload, a, name, ttl, ts);
}

static void on_names(void *ctx, uint32_t workload, const struct addr *a, int64_t since, void (*each)(void *to, struct bytes name), void *to)
{
	struct run *n = ctx;

	fqdn_cache_each(n->fqdn, workload, a, since, each, to);
}

static void write_lines(struct run *n)
{
	struct replay *r = n->r;

	if (n->lines.len) {
		pthread_mutex_lock(&r->lock);
		if (fwrite(n->lines.p, 1, n->lines.len, r->args->out) != n->lines.len && !r->write_error)
			__atomic_store_n(&r->write_error, errno ? errno : EIO, __ATOMIC_RELAXED);
		pthread_mutex_unlock(&r->lock);
	}
	jb_reset(&n->lines);
}

static void on_emit(void *ctx, const struct event *ev)
{
	struct run *n = ctx;
	size_t had = n->lines.len;

	eve_format(&n->lines, &n->eve, ev);
	if (n->lines.overflow) {
		jb_cut(&n->lines, had);
		n->lost++;
	}
	if (n->lines.len >= OUT_BYTES || n->r->at_once)
		write_lines(n);
}

/* ---- one run ---- */

static int run_init(struct run *n, struct replay *r, unsigned number, struct err *err)
{
	const struct config *c = r->config;
	bool events = !r->args->no_events;
	struct dpi_ops ops = { .ends = on_ends, .learn = on_learn, .names = on_names, .emit = events ? on_emit : NULL, .ctx = n };
	struct dpi_conf conf = {
		.max_flows = c->max_flows / r->workers, .memcap = c->memcap / r->workers, .midstream = c->midstream, .flow_report = c->flow_report,
		.event_mask = events ? EVENTS_ALL : 0, .key = { { 0x7461707175657565ULL, 0x7265706c61790000ULL } }, .flow_id_seed = 1 + (uint64_t)number,
	};

	*n = (struct run){ .r = r, .ticked = INT64_MIN };
	jb_init(&n->lines, OUT_BYTES + LINE_MAX_BYTES);
	n->fqdn = fqdn_cache_new(FQDN_NAMES, &(struct hash_key){ { 1, 2 } });
	if (!n->fqdn)
		return err_set(err, -ENOMEM, "no memory");
	n->eve = (struct eve_conf){ .node = c->node, .names = r->names, .fqdn = n->fqdn, .memo = eve_memo_new(), .utc = true };
	n->dpi = dpi_new(&conf, &ops, err);
	if (!n->dpi)
		return -ENOMEM;
	if (r->policy)
		dpi_set_policy(n->dpi, policy_file_policy(r->policy));
	return 0;
}

static void run_free(struct run *n)
{
	dpi_free(n->dpi);
	fqdn_cache_free(n->fqdn);
	jb_free(&n->lines);
	eve_memo_free(n->eve.memo);
}

static int run_file(struct run *n, const char *file, struct err *err)
{
	struct source *src = pcapsrc_open(file, n->packets + 1, err);
	struct frame f[BATCH];
	int count;

	if (!src)
		return -EIO;
	while ((count = src->ops->batch(src, f, BATCH, err)) > 0 && !__atomic_load_n(&n->r->write_error, __ATOMIC_RELAXED)) {
		for (int i = 0; i < count; i++) {
			if (i % DPI_AHEAD == 0)
				dpi_ahead(n->dpi, &f[i], (unsigned)(count - i));
			if (f[i].ts > n->ticked && (uint64_t)f[i].ts - (uint64_t)n->ticked >= TICK_NS) {
				dpi_tick(n->dpi, f[i].ts);
				while (dpi_due(n->dpi, true))
					;
				n->ticked = f[i].ts;
			}
			dpi_inspect(n->dpi, &f[i]);
			n->bytes += f[i].caplen;
		}
	}
	n->packets += pcapsrc_count(src);
	src->ops->close(src);
	return count < 0 && count != -EPIPE ? count : 0;
}

/* Under the lock. */
static void run_count(struct replay *r, const struct run *n)
{
	const uint64_t *c = dpi_counters(n->dpi), *apps = dpi_app_flows(n->dpi);

	r->packets += n->packets;
	r->bytes += n->bytes;
	r->lost += n->lost;
	for (unsigned i = 0; i < DPI_C_COUNT; i++)
		r->counters[i] += counter_get(&c[i]);
	for (unsigned i = 0; i < APP_COUNT; i++)
		r->app_flows[i] += counter_get(&apps[i]);
}

/* The files [from, to). */
static void run_all(struct replay *r, unsigned number, unsigned from, unsigned to)
{
	struct err err = { "" };
	struct run n;
	int rc = run_init(&n, r, number, &err);

	for (unsigned i = from; i < to && !rc; i++)
		rc = run_file(&n, r->args->files[i], &err);
	if (n.dpi)
		dpi_flush(n.dpi);	/* what was read before a failure is told too */
	write_lines(&n);
	pthread_mutex_lock(&r->lock);
	if (n.dpi)
		run_count(r, &n);
	if (rc && number < r->failed) {
		r->failed = number;
		r->err = err;
	}
	pthread_mutex_unlock(&r->lock);
	run_free(&n);
}

/* ---- all of them ---- */

/* The next run; r->runs: there is none, or one has failed. */
static unsigned take(struct replay *r)
{
	unsigned number;

	pthread_mutex_lock(&r->lock);
	number = r->failed < r->runs || r->write_error ? r->runs : r->next;
	r->next += number < r->runs;
	pthread_mutex_unlock(&r->lock);
	return number;
}

static void *work(void *arg)
{
	struct replay *r = arg;
	unsigned number;

	while ((number = take(r)) < r->runs) {
		if (r->runs == 1)
			run_all(r, number, 0, r->args->nfiles);
		else
			run_all(r, number, number, number + 1);
	}
	return NULL;
}

/* The caller is one of the workers. Fewer threads than asked for take longer, no more. */
static void work_together(struct replay *r)
{
	pthread_t others[REPLAY_WORKERS_MAX];
	unsigned n = 0;

	while (n + 1 < r->workers && !pthread_create(&others[n], NULL, work, r))
		n++;
	work(r);
	while (n)
		pthread_join(others[--n], NULL);
}

static int start(struct replay *r, struct err *err)
{
	static const char *const plain[] = { "node=replay", "policy=" };
	const struct replay_args *a = r->args;
	const char *policy;

	r->config = config_load(a->config, a->config ? NULL : plain, a->config ? 0 : 2, err);
	if (!r->config)
		return -EINVAL;
	policy = a->policy ? a->policy : r->config->policy;
	if (policy && !(r->policy = policy_file_load(policy, err)))
		return -EINVAL;
	r->names = names_new();
	if (!r->names)
		return err_set(err, -ENOMEM, "no memory");
	r->world = replay_world_read(a->workloads, r->names, r->policy, err);
	if (!r->world)
		return -EINVAL;
	r->at_once = a->out && isatty(fileno(a->out));
	return 0;
}

static void stop(struct replay *r)
{
	world_unref(r->world);
	names_free(r->names);
	policy_file_free(r->policy);
	config_free(r->config);
	pthread_mutex_destroy(&r->lock);
}

static void put_totals(const struct replay *r, FILE *f)
{
	fprintf(f, "packets %" PRIu64 "\nbytes %" PRIu64 "\nflows %" PRIu64 "\n", r->packets, r->bytes, r->counters[DPI_C_FLOWS_NEW]);
	for (unsigned i = 0; i < DPI_C_COUNT; i++)
		if (r->counters[i])
			fprintf(f, "%s %" PRIu64 "\n", dpi_counter_descs[i].name, r->counters[i]);
	for (unsigned i = 0; i < APP_COUNT; i++)
		if (r->app_flows[i])
			fprintf(f, "flows.app.%s %" PRIu64 "\n", app_name((enum app)i), r->app_flows[i]);
}

/* What became of the runs. */
static int result(struct replay *r, struct err *err)
{
	FILE *out = r->args->out;

	if (out && !r->write_error && fflush(out))
		r->write_error = errno;
	if (r->failed < r->runs)
		return err_set(err, -EIO, "%s", r->err.text);
	if (r->write_error)
		return err_set(err, -r->write_error, "writing events: %s", strerror(r->write_error));
	if (r->lost)
		return err_set(err, -E2BIG, "%" PRIu64 " events were too long for a line", r->lost);
	return 0;
}

int replay_run(const struct replay_args *a, struct err *err)
{
	struct replay r = { .args = a, .lock = PTHREAD_MUTEX_INITIALIZER };
	int rc;

	r.workers = a->workers < a->nfiles ? a->workers : a->nfiles;
	if (r.workers > REPLAY_WORKERS_MAX)
		r.workers = REPLAY_WORKERS_MAX;
	r.runs = r.failed = r.workers > 1 ? a->nfiles : 1;
	if (!r.workers)
		r.workers = 1;
	rc = start(&r, err);
	if (!rc) {
		work_together(&r);
		rc = result(&r, err);
	}
	if (!rc && a->no_events && a->totals)
		put_totals(&r, a->totals);
	stop(&r);
	return rc;
}
