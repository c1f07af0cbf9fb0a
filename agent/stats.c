/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counters of the core, the sources, the sinks and the agent, gathered in one list. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/node.h"
#include "agent/offload.h"
#include "agent/shunt.h"
#include "agent/reconcile.h"

static void add_stats(struct source_stats *sum, const struct source_stats *s)
{
	sum->packets += s->packets;
	sum->bytes += s->bytes;
	sum->accepted += s->accepted;
	sum->dropped += s->dropped;
	sum->kernel_drops += s->kernel_drops;
	sum->user_drops += s->user_drops;
	sum->passed_unseen += s->passed_unseen;
	sum->errors += s->errors;
}

static void add_source(struct source_stats *sum, const struct source *src)
{
	struct source_stats s = { 0 };

	if (!src)
		return;
	src->ops->stats(src, &s);
	add_stats(sum, &s);
}

void node_keep_stats(struct node *n, enum path p, const struct source *src)
{
	add_source(&n->closed[p], src);
}

void node_path_stats(const struct node *n, enum path p, struct source_stats *sum)
{
	*sum = n->closed[p];
	if (p == PATH_TC)
		for (unsigned i = 0; i < n->nworkers; i++)
			add_source(sum, n->mirrors[i]);
	if (p == PATH_NFQ)
		for (const struct workload *w = n->reg.first; w; w = w->next) {
			add_source(sum, w->queue.source);
			sum->passed_unseen += unseen_total(&w->queue.unseen);
		}
}

/* One counter at a time to whoever lists them. */
struct list {
	struct jbuf *out;
	const char *pattern;	/* NULL: all */
	bool nested;
	char open[128];		/* nested: the dotted prefix that is open */
};

/* Closes and opens objects so that "a.b.c" lands in {"a":{"b":{"c":...}}}; counters come in groups, so this costs little. */
static const char *enter(struct list *l, const char *name)
{
	size_t keep = 0;
	const char *rest;

	for (size_t i = 0; l->open[i] && l->open[i] == name[i]; i++)
		if (name[i] == '.')
			keep = i + 1;
	for (const char *p = l->open + keep; *p; p++)
		if (*p == '.')
			jb_end_obj(l->out);
	l->open[keep] = 0;
	for (rest = name + keep; strchr(rest, '.'); ) {
		char key[64];
		size_t n = (size_t)(strchr(rest, '.') - rest);

		snprintf(key, sizeof key, "%.*s", (int)n, rest);
		jb_obj(l->out, key);
		rest += n + 1;
	}
	snprintf(l->open, sizeof l->open, "%.*s", (int)(rest - name), name);
	return rest;
}

static void put(struct list *l, const char *name, const char *help, uint64_t value)
{
	if (l->pattern && fnmatch(l->pattern, name, 0))
		return;
	if (l->nested) {
		jb_u64(l->out, enter(l, name), value);
		return;
	}
	jb_obj(l->out, NULL);
	jb_str(l->out, "name", name);
	jb_u64(l->out, "value", value);
	jb_str(l->out, "help", help);
	jb_end_obj(l->out);
}

static void put_core(struct node *n, struct list *l)
{
	for (unsigned c = 0; c < DPI_C_COUNT; c++) {
		uint64_t sum = 0;

		for (unsigned i = 0; i < n->nworkers; i++)
			sum += counter_get(&worker_counters(n->workers[i])[c]);
		put(l, dpi_counter_descs[c].name, dpi_counter_descs[c].help, sum);
	}
	for (unsigned a = 0; a < APP_COUNT; a++) {
		char name[96];
		uint64_t sum = 0;

		for (unsigned i = 0; i < n->nworkers; i++)
			sum += counter_get(&worker_app_flows(n->workers[i])[a]);
		if (!sum)
			continue;	/* a hundred zeros tell nothing */
		snprintf(name, sizeof name, "flows.app.%s", app_name((enum app)a));
		put(l, name, "Flows of this application", sum);
	}
}

static void put_path(struct node *n, struct list *l, enum path p)
{
	struct source_stats s;
	char name[64];

	node_path_stats(n, p, &s);
#define PUT(field, help) (snprintf(name, sizeof name, "source.%s." #field, path_name(p)), put(l, name, help, s.field))
	PUT(packets, "Packets handed out by the kernel on this path");
	PUT(bytes, "Bytes of these packets");
	PUT(accepted, "Held packets let go");
	PUT(dropped, "Held packets stopped");
	PUT(kernel_drops, "Packets lost in the kernel before they could be read");
	PUT(user_drops, "Packets the kernel could not hand over because the socket was full");
	PUT(passed_unseen, "Packets let by without inspection (fail: open)");
	PUT(errors, "Messages that made no sense, or answers the kernel refused");
#undef PUT
}

static void put_sinks(struct node *n, struct list *l)
{
	struct sink_stats s[64];
	unsigned count = sinks_stats(n->sinks, s, 64);
	uint64_t lines = 0, dropped = 0, errors = 0, ring = 0;

	for (unsigned i = 0; i < count; i++) {
		lines += s[i].lines;
		dropped += s[i].dropped;
		errors += s[i].errors;
	}
	for (unsigned i = 0; i < n->nworkers; i++)
		ring += evring_dropped(n->rings[i]);
	put(l, "sink.lines", "Lines written to sinks", lines);
	put(l, "sink.dropped", "Lines a sink could not take", dropped);
	put(l, "sink.errors", "Failed writes and connections of sinks", errors);
	put(l, "sink.ring_dropped", "Events lost because the sink thread fell behind", ring);
}

/* Counters that each worker has, summed. */
static void put_sums(struct node *n, struct list *l, const struct counter_desc *d, unsigned count, const uint64_t *(*of)(const struct worker *))
{
	for (unsigned c = 0; c < count; c++) {
		uint64_t all = 0;

		for (unsigned i = 0; i < n->nworkers; i++)
			all += counter_get(&of(n->workers[i])[c]);
		put(l, d[c].name, d[c].help, all);
	}
}

static void put_workers(struct node *n, struct list *l)
{
	uint64_t sum = 0, not_asked = 0;

	for (unsigned i = 0; i < n->nworkers; i++) {
		sum += worker_not_relayed(n->workers[i]);
		not_asked += worker_not_asked(n->workers[i]);
	}
	put_sums(n, l, offload_counter_descs, OFFLOAD_C_COUNT, worker_offload_counters);
	put_sums(n, l, shunt_counter_descs, SHUNT_C_COUNT, worker_shunt_counters);
	put(l, "worker.not_asked", "First segments of open connections taken without asking their receiver, because too many waited for that", not_asked);
	put(l, "worker.not_relayed", "Frames that a worker inspected although their flow is another's, because the way there was full", sum);
}

static void put_fqdn(struct node *n, struct list *l)
{
	struct fqdn_cache_stats s;

	fqdn_cache_stats(n->fqdn, &s);
	put(l, "fqdn.learned", "Names that workloads learned for addresses", s.learned);
	put(l, "fqdn.renewed", "Names that were learned again", s.renewed);
	put(l, "fqdn.pushed_out", "Names that were still believed and had to make room", s.pushed_out);
}

void node_put_counters(struct node *n, struct jbuf *out, bool nested, const char *pattern)
{
	struct list l = { .out = out, .pattern = pattern, .nested = nested };

	put_core(n, &l);
	put_path(n, &l, PATH_TC);
	put_path(n, &l, PATH_NFQ);
	put_sinks(n, &l);
	put_workers(n, &l);
	put_fqdn(n, &l);
	for (unsigned c = 0; c < ENFORCE_C_COUNT; c++)
		put(&l, enforce_counter_descs[c].name, enforce_counter_descs[c].help, counter_get(&enforce_counters(n->enforce)[c]));
	put(&l, "enforce.fences_left_out", "Ranges that the policy refuses by addresses and ports alone for which there was no room for a filter now", n->fences_left_out);
	put(&l, "enforce.fences_capped", "Hooks of devices for which not all such ranges could be worked out now", n->fences_capped);
	put(&l, "enforce.lost", "Packets of denied flows that enforcement did not hear of because it was behind", enforce_refusals_lost(n->enforce));
	for (unsigned c = 0; c < NODE_C_COUNT; c++)
		put(&l, node_counter_descs[c].name, node_counter_descs[c].help, counter_get(&n->counters[c]));
	if (nested)
		enter(&l, "");
}

void node_tell_stats(struct node *n)
{
	struct jbuf j;
	char stamp[64];

	if (!(sinks_mask(n->sinks) & 1ULL << EV_STATS))
		return;
	jb_init(&j, 1 << 20);
	jb_obj(&j, NULL);
	jb_str(&j, "timestamp", eve_timestamp(node_now(), false, stamp));
	jb_str(&j, "event_type", "stats");
	jb_obj(&j, "stats");
	jb_u64(&j, "uptime", (uint64_t)(node_now() - n->started) / 1000000000);
	node_put_counters(n, &j, true, NULL);
	jb_end_obj(&j);
	jb_obj(&j, "tapq");
	jb_str(&j, "node", n->config->node);
	jb_end_obj(&j);
	jb_end_obj(&j);
	jb_newline(&j);
	if (!j.overflow)
		sinks_put_line(n->sinks, EV_STATS, j.p, j.len);
	jb_free(&j);
}
