/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: one core, one thread, time taken from the packets. What is random in production is fixed (the hash key, the seed
 * of flow ids), zones are UTC, and without a configuration the node is called "replay", so that the same files give the same bytes
 * anywhere. Nothing is held, so nothing is enforced, and nobody owns a flow but the core at hand.
 *
 * Workloads are read from what `tapq workloads --json` printed and become a world as the agent's own; an end is found by its MAC, then by
 * its address. Bounded: WORKLOADS_MAX workloads, LINK_ADDRS_MAX addresses an interface. */
#include "agent/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/eve.h"
#include "agent/pcapsrc.h"
#include "agent/policy_file.h"
#include "agent/world.h"

#define PORTS_MAX 32768
#define LINE_MAX_BYTES (1u << 20)
#define TICK_NS 100000000LL	/* as often as a worker lets time pass */
#define BATCH 64
#define OUT_BYTES (64u << 10)		/* lines are gathered up to this */

struct replay {
	struct config *config;
	struct policy_file *policy;
	struct names *names;
	struct fqdn_cache *fqdn;
	struct world *world;
	struct dpi *dpi;
	struct eve_conf eve;
	struct jbuf lines;	/* not yet written */
	bool at_once;		/* somebody reads along */
	FILE *out;
	int write_error;
	uint64_t lost;		/* lines longer than LINE_MAX_BYTES */
	uint64_t packets, bytes;
	int64_t ticked;
};

/* ---- workloads ---- */

static int bad(struct err *err, const char *file, size_t i, const char *what)
{
	return err_set(err, -EINVAL, "%s: workload %zu: %s", file, i, what);
}

static int read_mac(const char *s, uint8_t mac[6])
{
	int n = 0;

	if (!s || sscanf(s, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5], &n) != 6 || s[n])
		return -EINVAL;
	return 0;
}

static int read_port(const json_t *iface, struct world_port *p)
{
	const json_t *v;
	size_t i;

	if (read_mac(json_string_value(json_object_get(iface, "mac")), p->mac))
		return -EINVAL;
	json_array_foreach(json_object_get(iface, "addresses"), i, v) {
		if (p->naddrs == LINK_ADDRS_MAX)
			break;
		if (!json_string_value(v) || addr_parse(json_string_value(v), &p->addrs[p->naddrs]))
			return -EINVAL;
		p->naddrs++;
	}
	return 0;
}

static int read_labels(json_t *o, struct labels *out)
{
	const char *key;
	json_t *v;

	*out = (struct labels){ 0 };
	out->v = calloc(json_object_size(o) + 1, sizeof *out->v);
	if (!out->v)
		return -ENOMEM;
	json_object_foreach(o, key, v) {
		if (!json_is_string(v))
			return -EINVAL;
		/* borrowed: the document outlives them */
		out->v[out->n].key = (char *)(uintptr_t)key;
		out->v[out->n++].value = (char *)(uintptr_t)json_string_value(v);
	}
	return 0;
}

static int read_workload(struct replay *r, const char *file, size_t at, json_t *w, struct world_port *ports, unsigned *n, struct err *err)
{
	const char *name = json_string_value(json_object_get(w, "name"));
	const json_t *iface;
	struct group_set groups = { { 0 } };
	struct labels labels;
	uint32_t id;
	size_t i;
	int rc;

	if (!name)
		return bad(err, file, at, "has no name");
	rc = read_labels(json_object_get(w, "labels"), &labels);
	if (rc) {
		free(labels.v);
		return bad(err, file, at, "labels are names with texts");
	}
	id = names_add_workload(r->names, name, &labels);
	if (r->policy)
		policy_file_groups(r->policy, name, &labels, &groups);
	free(labels.v);
	json_array_foreach(json_object_get(w, "interfaces"), i, iface) {
		struct world_port *p = &ports[*n];

		if (*n == PORTS_MAX)
			return bad(err, file, at, "too many interfaces");
		*p = (struct world_port){ .row.workload = id, .view = 2 * (*n + 1), .groups = groups };
		if (read_port(iface, p))
			return bad(err, file, at, "an interface whose mac or addresses make no sense");
		(*n)++;
	}
	return 0;
}

static int read_world(struct replay *r, const char *file, struct err *err)
{
	struct world_port *ports;
	unsigned n = 0;
	json_t *doc = NULL, *list, *w;
	json_error_t e;
	size_t i;
	int rc = 0;

	ports = malloc(PORTS_MAX * sizeof *ports);	/* touched as far as it is filled */
	if (!ports)
		return err_set(err, -ENOMEM, "no memory");
	if (file) {
		doc = json_load_file(file, JSON_REJECT_DUPLICATES, &e);
		list = json_object_get(json_object_get(doc, "data"), "workloads");
		if (!list)
			list = json_object_get(doc, "workloads");
		if (!doc)
			rc = e.line > 0 ? err_set(err, -EINVAL, "%s:%d: %s", file, e.line, e.text) : err_set(err, -EINVAL, "%s: %s", file, e.text);
		else if (!json_is_array(list))
			rc = err_set(err, -EINVAL, "%s: holds no list of workloads as `tapq workloads --json` prints it", file);
		else
			json_array_foreach(list, i, w)
				if (!rc)
					rc = read_workload(r, file, i, w, ports, &n, err);
	}
	if (!rc) {
		r->world = world_new(ports, n, r->policy ? policy_file_policy(r->policy) : NULL, 0, 0);
		if (!r->world)
			rc = err_set(err, -ENOMEM, "no memory");
	}
	json_decref(doc);
	free(ports);
	return rc;
}

/* ---- what the core asks ---- */

static void on_ends(void *ctx, const struct frame *f, const struct tuple *t, struct dpi_ends *out)
{
	struct replay *r = ctx;
	const struct world_port *end[2];
	bool ether = f->link == LINK_ETHERNET && f->caplen >= 12;

	for (int i = 0; i < 2; i++) {
		end[i] = ether ? world_by_mac(r->world, f->data + (i ? 0 : 6)) : NULL;
		if (!end[i])
			end[i] = world_by_addr(r->world, i ? &t->dst : &t->src);
		out->workload[i] = end[i] ? end[i]->row.workload : 0;
		out->groups[i] = end[i] ? &end[i]->groups : NULL;
	}
}

static void on_learn(void *ctx, uint32_t workload, const struct addr *a, struct bytes name, uint32_t ttl, int64_t ts)
{
	struct replay *r = ctx;

	fqdn_cache_learn(r->fqdn, workload, a, name, ttl, ts);
}

static void on_names(void *ctx, uint32_t workload, const struct addr *a, int64_t since, void (*each)(void *to, struct bytes name), void *to)
{
	struct replay *r = ctx;

	fqdn_cache_each(r->fqdn, workload, a, since, each, to);
}

static void write_lines(struct replay *r)
{
	size_t n = r->lines.len;

	if (n && fwrite(r->lines.p, 1, n, r->out) != n && !r->write_error)
		r->write_error = errno ? errno : EIO;
	jb_reset(&r->lines);
}

static void on_emit(void *ctx, const struct event *ev)
{
	struct replay *r = ctx;

	size_t had = r->lines.len;

	eve_format(&r->lines, &r->eve, ev);
	if (r->lines.overflow) {
		jb_cut(&r->lines, had);
		r->lost++;
	}
	if (r->lines.len >= OUT_BYTES || r->at_once)
		write_lines(r);
}

/* ---- running ---- */

static int start(struct replay *r, const struct replay_args *a, struct err *err)
{
	static const char *const plain[] = { "node=replay", "policy=" };
	struct dpi_ops ops = { .ends = on_ends, .learn = on_learn, .names = on_names, .emit = a->no_events ? NULL : on_emit, .ctx = r };
	struct dpi_conf conf;
	const char *policy;
	int rc;

	r->config = config_load(a->config, a->config ? NULL : plain, a->config ? 0 : 2, err);
	if (!r->config)
		return -EINVAL;
	policy = a->policy ? a->policy : r->config->policy;
	if (policy && !(r->policy = policy_file_load(policy, err)))
		return -EINVAL;
	r->names = names_new();
	r->fqdn = fqdn_cache_new(FQDN_NAMES, &(struct hash_key){ { 1, 2 } });
	if (!r->names || !r->fqdn)
		return err_set(err, -ENOMEM, "no memory");
	rc = read_world(r, a->workloads, err);
	if (rc)
		return rc;
	conf = (struct dpi_conf){
		.max_flows = r->config->max_flows, .memcap = r->config->memcap, .midstream = r->config->midstream, .flow_report = r->config->flow_report,
		.event_mask = a->no_events ? 0 : EVENTS_ALL, .key = { { 0x7461707175657565ULL, 0x7265706c61790000ULL } }, .flow_id_seed = 1,
	};
	r->dpi = dpi_new(&conf, &ops, err);
	if (!r->dpi)
		return -ENOMEM;
	if (r->policy)
		dpi_set_policy(r->dpi, policy_file_policy(r->policy));
	r->out = a->out;
	r->at_once = r->out && isatty(fileno(r->out));
	r->eve = (struct eve_conf){ .node = r->config->node, .names = r->names, .fqdn = r->fqdn, .memo = eve_memo_new(), .utc = true };
	jb_init(&r->lines, OUT_BYTES + LINE_MAX_BYTES);
	return 0;
}

static void stop(struct replay *r)
{
	dpi_free(r->dpi);
	world_unref(r->world);
	fqdn_cache_free(r->fqdn);
	names_free(r->names);
	policy_file_free(r->policy);
	config_free(r->config);
	jb_free(&r->lines);
	eve_memo_free(r->eve.memo);
}

static int run_file(struct replay *r, const char *file, struct err *err)
{
	struct source *src = pcapsrc_open(file, r->packets + 1, err);
	struct frame f[BATCH];
	int n;

	if (!src)
		return -EIO;
	while ((n = src->ops->batch(src, f, BATCH, err)) > 0 && !r->write_error) {
		for (int i = 0; i < n; i++) {
			if (f[i].ts > r->ticked && (uint64_t)f[i].ts - (uint64_t)r->ticked >= TICK_NS) {
				dpi_tick(r->dpi, f[i].ts);
				r->ticked = f[i].ts;
			}
			dpi_inspect(r->dpi, &f[i]);
			r->bytes += f[i].caplen;
		}
	}
	r->packets += pcapsrc_count(src);
	src->ops->close(src);
	return n < 0 && n != -EPIPE ? n : 0;
}

static void put_totals(const struct replay *r, FILE *f)
{
	const uint64_t *c = dpi_counters(r->dpi), *apps = dpi_app_flows(r->dpi);

	fprintf(f, "packets %" PRIu64 "\nbytes %" PRIu64 "\nflows %" PRIu64 "\n", r->packets, r->bytes, counter_get(&c[DPI_C_FLOWS_NEW]));
	for (unsigned i = 0; i < DPI_C_COUNT; i++)
		if (counter_get(&c[i]))
			fprintf(f, "%s %" PRIu64 "\n", dpi_counter_descs[i].name, counter_get(&c[i]));
	for (unsigned i = 0; i < APP_COUNT; i++)
		if (counter_get(&apps[i]))
			fprintf(f, "flows.app.%s %" PRIu64 "\n", app_name((enum app)i), counter_get(&apps[i]));
}

int replay_run(const struct replay_args *a, struct err *err)
{
	struct replay r = { .ticked = INT64_MIN };
	int rc = start(&r, a, err);

	for (unsigned i = 0; i < a->nfiles && !rc; i++)
		rc = run_file(&r, a->files[i], err);
	if (r.dpi)
		dpi_flush(r.dpi);	/* what was read before a failure is told too */
	if (r.out)
		write_lines(&r);
	if (!rc && r.out && !r.write_error && fflush(r.out))
		r.write_error = errno;
	if (!rc && r.write_error)
		rc = err_set(err, -r.write_error, "writing events: %s", strerror(r.write_error));
	if (!rc && r.lost)
		rc = err_set(err, -E2BIG, "%" PRIu64 " events were too long for a line", r.lost);
	if (!rc && a->no_events && a->totals)
		put_totals(&r, a->totals);
	stop(&r);
	return rc;
}
