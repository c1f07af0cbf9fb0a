/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core: a core is made and freed, told its policy and epoch, and asked about itself (dpi.h). */
#include "dpi/tunnel.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_FLOWS_MIN 16u
#define MAX_FLOWS_MAX (1u << 24)
#define MEMCAP_MIN (1u << 20)
#define DEFRAG_QUEUES_MAX 4096u
#define EXPECTED_MAX 4096u
#define WAITING_MAX 1024u
#define AHEAD_FLOWS 4096u

static int conf_check(const struct dpi_conf *c, struct err *err)
{
	if (c->max_flows < MAX_FLOWS_MIN || c->max_flows > MAX_FLOWS_MAX)
		return err_set(err, -EINVAL, "max_flows is %u, must be %u to %u", c->max_flows, MAX_FLOWS_MIN, MAX_FLOWS_MAX);
	if (c->memcap < MEMCAP_MIN + flow_table_fixed(c->max_flows))
		return err_set(err, -EINVAL, "memcap of %llu bytes is too small for %u flows: at least %llu", (unsigned long long)c->memcap,
			       c->max_flows, (unsigned long long)(MEMCAP_MIN + flow_table_fixed(c->max_flows)));
	if (c->pending_bytes > MEM_PIECE_MAX)
		return err_set(err, -EINVAL, "pending bytes are %u, at most %u", c->pending_bytes, MEM_PIECE_MAX);
	return 0;
}

/* Of the cap: up to three quarters for entries of flows, an eighth for segments that wait, a sixteenth for fragments, the rest for
 * parsers. Where max_flows needs less than three quarters the parsers have more. */
static void shares(struct dpi *d, uint64_t cap)
{
	uint64_t flows = flow_table_share(d->conf.max_flows, cap), waits = cap / 8, pieces = cap / 16;

	d->ooo_bytes_max = waits > UINT32_MAX ? UINT32_MAX : (uint32_t)waits;
	d->parser_bytes_max = cap - flows - waits - pieces;
	d->parser_bytes_max -= d->parser_bytes_max / 8;	/* for one packet's needs, and what is lost between sizes */
}

/* What conf names, else the policy's. */
static void set_limits(struct dpi *d)
{
	const struct dpi_conf *c = &d->conf;

	d->limits = d->policy ? *policy_limits(d->policy) : policy_limits_default;
	if (c->pending_bytes)
		d->limits.pending_bytes = c->pending_bytes;
	if (c->pending_packets)
		d->limits.pending_packets = c->pending_packets;
	if (c->pending_time)
		d->limits.pending_time = c->pending_time;
}

struct dpi *dpi_new(const struct dpi_conf *conf, const struct dpi_ops *ops, struct err *err)
{
	struct dpi *d;
	uint64_t cap;
	unsigned queues, announced;

	if (conf_check(conf, err))
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d) {
		err_set(err, -ENOMEM, "no memory for the core");
		return NULL;
	}
	d->conf = *conf;
	d->ops = *ops;
	d->px.d = d;
	d->conf.max_waiting = conf->max_waiting ? conf->max_waiting : WAITING_MAX;
	d->conf.ahead_flows = conf->ahead_flows ? conf->ahead_flows : AHEAD_FLOWS;
	set_limits(d);
	d->policy_version = 1;
	d->protos = proto_list;
	cap = conf->memcap - flow_table_fixed(conf->max_flows);
	shares(d, cap);
	queues = conf->max_flows / 16 < 64 ? 64 : conf->max_flows / 16;
	announced = conf->max_flows / 64 < 64 ? 64 : conf->max_flows / 64;
	if (announced > EXPECTED_MAX)
		announced = EXPECTED_MAX;
	d->mem = mem_new(cap);
	if (d->mem)
		d->defrag = defrag_new(d->mem, queues < DEFRAG_QUEUES_MAX ? queues : DEFRAG_QUEUES_MAX, cap / 16, &conf->key);
	if (!d->mem || !d->defrag || !flow_table_init(&d->flows, conf->max_flows, d->mem, cap, &conf->key) || !seek_init(d) ||
	    !expect_init(&d->expect, announced, d->mem, &conf->key)) {
		dpi_free(d);
		err_set(err, -ENOMEM, "no memory for the core");
		return NULL;
	}
	dpi_set_event_mask(d, conf->event_mask);
	return d;
}

/* Calls fn for each entry in use, in the order of the table's memory. */
static void each(const struct dpi *d, bool (*fn)(void *ctx, struct flow *), void *ctx)
{
	for (uint32_t c = 0; c < d->flows.nchunks; c++)
		for (uint32_t i = 0; i < FLOWS_PER_CHUNK; i++)
			if (d->flows.chunk[c][i].state != FLOW_FREE && !fn(ctx, &d->flows.chunk[c][i]))
				return;
}

static bool end_silently(void *ctx, struct flow *f)
{
	flow_end(ctx, f, NULL);
	return true;
}

static bool end_told(void *ctx, struct flow *f)
{
	flow_end(ctx, f, f->state == FLOW_CLOSED ? flow_end_reason(f) : "flush");
	return true;
}

void dpi_flush(struct dpi *d)
{
	each(d, end_told, d);
	witness_stop(d);
}

void dpi_release(struct dpi *d, const void *caller) { hold_release(d, caller); }

void dpi_free(struct dpi *d)
{
	if (!d)
		return;
	d->events = 0;
	each(d, end_silently, d);
	dedup_stop(&d->dedup);
	flow_table_free(&d->flows);
	defrag_free(d->defrag);
	mem_free_all(d->mem);
	expect_free(&d->expect);
	policy_memo_free(d->memo);
	policy_unref(d->policy);
	free(d->hints);
	free(d);
}

void dpi_set_policy(struct dpi *d, struct policy *p)
{
	struct policy *old = d->policy;

	d->policy = p ? policy_ref(p) : NULL;
	policy_memo_free(d->memo);
	d->memo = p ? policy_memo_new(p) : NULL;
	if (d->policy != old)
		d->policy_since = ++d->policy_version;
	d->policy_version++;
	set_limits(d);
	hold_judge(d);
	anew_begin(d);
	policy_unref(old);
}

void dpi_set_epoch(struct dpi *d, int64_t now, int64_t overlap)
{
	bool under_way = d->overlap_end != 0;

	d->epoch++;
	d->overlap_end = overlap > 0 ? now + overlap : 0;
	if (!d->overlap_end)
		dedup_stop(&d->dedup);
	if (d->overlap_end && !under_way) {	/* else what was shown so far still counts */
		d->overlap_start = now;
		dedup_start(&d->dedup, d->mem, &d->conf.key, now);
	}
}

void dpi_set_event_mask(struct dpi *d, uint64_t mask) { d->events = d->ops.emit ? mask : 0; }

struct lister {
	const struct dpi *d;
	bool (*fn)(void *ctx, const struct dpi_flow_info *);
	void *ctx;
};

static bool list_one(void *ctx, struct flow *f)
{
	const struct lister *l = ctx;
	bool stops = verdict_stops((enum verdict)f->verdict);
	struct dpi_flow_info i = {
		.flow_id = f->id,
		.tuple = flow_tuple(f, DIR_TOSERVER),
		.workload = { f->workload[0], f->workload[1] },
		.pkts = { f->pkts[0], f->pkts[1] },
		.bytes = { f->bytes[0], f->bytes[1] },
		.start = f->start,
		.last = f->last,
		.state = flow_state_name((enum flow_state)f->state),
		.tcp_flags = { f->tcp_flags[0], f->tcp_flags[1] },
		.app = (enum app)f->app,
		.app_hint = flow_hint(f),
		.path = f->path,
		.verdict = (enum verdict)f->verdict,
		.enforced = stops && flow_hit(f, F_STOPPED),
		.away = f->away,
		.inline_for = f->held && !f->away ? final_text(away_why(l->d, f)) : NULL,
		.reason = (enum reason)f->reason,
		.rule = f->rule,
	};

	if (flow_tunnelled(f))
		i.outer = f->tunnel->outer;

	return l->fn(l->ctx, &i);
}

void dpi_each_flow(const struct dpi *d, bool (*fn)(void *ctx, const struct dpi_flow_info *), void *ctx)
{
	struct lister l = { .d = d, .fn = fn, .ctx = ctx };

	each(d, list_one, &l);
}

void dpi_get_sizes(const struct dpi *d, struct dpi_sizes *out)
{
	memset(out, 0, sizeof(*out));
	out->flow = sizeof(struct flow);
	out->px = sizeof(struct px);
	out->flows = d->flows.used;
	out->flows_max = d->flows.max;
	out->flows_away = d->flows_away;
	out->probes_max = d->flows.probes_max;
	mem_get_stats(d->mem, &out->mem);
}

const uint64_t *dpi_counters(const struct dpi *d) { return d->counters; }
const uint64_t *dpi_app_flows(const struct dpi *d) { return d->app_flows; }
