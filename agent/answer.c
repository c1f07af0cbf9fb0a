/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tapqd answers to tapq. One table of commands; each handler writes the value of "data" and changes nothing when it
 * fails. Runs on the main thread between two rounds, so what it reads is at rest. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/answer_parts.h"
#include "agent/attach.h"
#include "agent/quarantine.h"
#include "agent/reconcile.h"
#include "base/log.h"

#define FLOWS_LIMIT 1000
#define FLOWS_MAX 1000000

/* ---- status ---- */

static const char *queue_state(const struct workload *w)
{
	return !w->queue.wanted ? "off" : w->queue.ready ? "ready" : "missing";
}

static void put_missing(struct jbuf *out, const struct workload *w, const char *path, const char *object, const char *why)
{
	jb_obj(out, NULL);
	jb_str(out, "workload", w->name);
	jb_str(out, "path", path);
	jb_str(out, "object", object);
	jb_str(out, "why", why[0] ? why : "not set up yet");
	jb_end_obj(out);
}

static unsigned put_all_missing(const struct node *n, struct jbuf *out)
{
	unsigned covered = 0;

	jb_arr(out, "missing");
	for (const struct workload *w = n->reg.first; w; w = w->next) {
		bool ok = true;

		if (w->queue.wanted ? !w->queue.ready : attach_rules_left(w)) {
			put_missing(out, w, "nfq", w->links[0].end.name, w->queue.error.text);
			ok = false;
		}
		if (!attach_cut_current(w)) {
			put_missing(out, w, "quarantine", w->links[0].end.name, w->cut.error.text);
			ok = false;
		}
		for (unsigned i = 0; i < w->nlinks; i++) {
			if (w->links[i].mirror_wanted ? w->links[i].mirror_ready : !attach_filters_left(&w->links[i]))
				continue;
			put_missing(out, w, "tc", w->links[i].end.host_name, w->links[i].tc_error.text);
			ok = false;
		}
		covered += ok;
	}
	for (unsigned i = 0; i < n->config->nstatics; i++) {
		const char *name = n->config->statics[i].name;
		bool there = false;

		for (const struct workload *w = n->reg.first; w; w = w->next)
			there |= !strcmp(w->name, name);
		if (!there) {
			struct workload absent = { 0 };

			snprintf(absent.name, sizeof absent.name, "%s", name);
			put_missing(out, &absent, "any", n->config->statics[i].netns ? n->config->statics[i].netns : "pid", "its netns or interface is not there");
		}
	}
	jb_end_arr(out);
	return covered;
}

static void put_path(const struct node *n, struct jbuf *out, enum path p)
{
	struct source_stats s;

	node_path_stats(n, p, &s);
	jb_obj(out, path_name(p));
	jb_u64(out, "packets", s.packets);
	jb_u64(out, "bytes", s.bytes);
	jb_u64(out, "accepted", s.accepted);
	jb_u64(out, "dropped", s.dropped);
	jb_u64(out, "kernel_drops", s.kernel_drops);
	jb_u64(out, "user_drops", s.user_drops);
	jb_u64(out, "passed_unseen", s.passed_unseen);
	jb_u64(out, "errors", s.errors);
	jb_end_obj(out);
}

static void put_workers(const struct node *n, struct jbuf *out)
{
	jb_arr(out, "workers");
	for (unsigned i = 0; i < n->nworkers; i++) {
		struct dpi_sizes s;

		worker_sizes(n->workers[i], &s);
		jb_obj(out, NULL);
		jb_u64(out, "index", i);
		jb_u64(out, "flows", s.flows);
		jb_u64(out, "flows_max", s.flows_max);
		jb_u64(out, "memory_used", s.mem.used);
		jb_u64(out, "memory_reserved", s.mem.reserved);
		jb_u64(out, "memory_cap", s.mem.cap);
		jb_u64(out, "memory_refused", s.mem.exhausted);
		jb_end_obj(out);
	}
	jb_end_arr(out);
}

static void put_learning(struct node *n, struct jbuf *out)
{
	struct learn_stats s;

	learn_get_stats(n->learn, &s);
	jb_obj(out, "learning");
	jb_bool(out, "on", n->event_mask >> EV_LEARN & 1);
	jb_u64(out, "pairs", s.pairs);
	jb_u64(out, "connections", s.connections);
	jb_u64(out, "left_out", s.left_out);
	jb_end_obj(out);
}

/* Names, whether there is such a workload just now or not. */
static void put_quarantined(const struct node *n, struct jbuf *out)
{
	jb_arr(out, "quarantined");
	for (unsigned i = 0; i < n->reg.nquarantined; i++)
		jb_str(out, NULL, n->reg.quarantined[i]);
	jb_end_arr(out);
}

static int answer_status(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	struct sink_stats sinks[64];
	unsigned nsinks = sinks_stats(n->sinks, sinks, 64), wrong, covered;

	(void)r;
	(void)err;
	node_look(n);	/* covered with the addresses that it has now, not with those of the last scan */
	wrong = node_check(n);
	jb_obj(out, NULL);
	jb_str(out, "version", TQ_VERSION);
	jb_str(out, "node", n->config->node);
	jb_u64(out, "pid", (uint64_t)getpid());
	jb_str(out, "mode", mode_name(n->config->mode));
	jb_u64(out, "uptime", (uint64_t)(node_now() - n->started) / 1000000000);
	jb_str(out, "config", n->config->file);
	jb_str(out, "policy", n->policy_name);
	jb_u64(out, "rules", n->policy ? policy_rule_count(policy_file_policy(n->policy)) : 0);
	if (n->confirm_round)
		jb_u64(out, "confirm_within", node_confirm_left(n));
	put_learning(n, out);
	put_quarantined(n, out);
	jb_u64(out, "workloads", n->reg.count);
	covered = put_all_missing(n, out);
	jb_u64(out, "covered", covered);
	jb_bool(out, "ready", !wrong && covered == n->reg.count);
	jb_bool(out, "switching", n->overlap_end != 0);
	jb_obj(out, "paths");
	put_path(n, out, PATH_TC);
	put_path(n, out, PATH_NFQ);
	jb_end_obj(out);
	put_workers(n, out);
	status_offload(n, out);
	jb_arr(out, "sinks");
	for (unsigned i = 0; i < nsinks; i++) {
		jb_obj(out, NULL);
		jb_str(out, "name", sinks[i].name);
		jb_u64(out, "lines", sinks[i].lines);
		jb_u64(out, "dropped", sinks[i].dropped);
		jb_u64(out, "errors", sinks[i].errors);
		jb_end_obj(out);
	}
	jb_end_arr(out);
	jb_end_obj(out);
	return 0;
}

/* ---- workloads ---- */

static void put_apps(struct jbuf *out, const struct app_ports *a)
{
	jb_arr(out, "apps");
	if (a->all)
		jb_str(out, NULL, "all");
	for (unsigned i = 0; i < a->n; i++) {
		char text[16];

		snprintf(text, sizeof text, "%s/%u", a->port[i].ipproto == 6 ? "tcp" : "udp", a->port[i].port);
		jb_str(out, NULL, text);
	}
	jb_end_arr(out);
}

static void put_links(struct jbuf *out, const struct workload *w)
{
	jb_arr(out, "interfaces");
	for (unsigned i = 0; i < w->nlinks; i++) {
		const struct wl_link *l = &w->links[i];
		char text[ADDR_STRLEN];

		jb_obj(out, NULL);
		jb_str(out, "name", l->end.name);
		jb_str(out, "host", l->end.host_name);
		jb_u64(out, "host_ifindex", (uint64_t)l->end.host_ifindex);
		snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", l->end.mac[0], l->end.mac[1], l->end.mac[2], l->end.mac[3], l->end.mac[4], l->end.mac[5]);
		jb_str(out, "mac", text);
		jb_arr(out, "addresses");
		for (unsigned a = 0; a < l->end.naddrs; a++)
			jb_str(out, NULL, addr_format(&l->end.addrs[a], text));
		jb_end_arr(out);
		jb_str(out, "mirror", !l->mirror_wanted ? "off" : l->mirror_ready ? "ready" : "missing");
		jb_bool(out, "excluding", l->excluding);
		jb_u64(out, "foreign_filters", l->tc.foreign[0] + l->tc.foreign[1]);
		jb_u64(out, "tcx_programs", l->tc.tcx[0] + l->tc.tcx[1]);
		if (l->tc_error.text[0])
			jb_str(out, "error", l->tc_error.text);
		jb_end_obj(out);
	}
	jb_end_arr(out);
}

static void put_queue(struct jbuf *out, const struct workload *w)
{
	static const char *const backends[] = { "auto", "nft", "legacy" }, *const tables[] = { "auto", "filter", "security", "mangle" };
	const struct wl_queue *q = &w->queue;

	jb_obj(out, "queue");
	jb_str(out, "state", queue_state(w));
	if (q->ready) {
		jb_str(out, "backend", backends[q->rules.backend]);
		jb_str(out, "table", tables[q->rules.table]);
		jb_bool(out, "own_firewall", q->rules.own_firewall);
		jb_bool(out, "nat_redirect", q->rules.nat_redirect);
	}
	if (q->error.text[0])
		jb_str(out, "error", q->error.text);
	jb_end_obj(out);
}

static void put_traffic(const struct node *n, struct jbuf *out, const struct workload *w)
{
	struct worker_traffic t = { 0 };

	for (unsigned i = 0; i < n->nworkers; i++)
		worker_add_traffic(n->workers[i], w->id, &t);
	jb_obj(out, "packets");
	for (unsigned p = PATH_TC; p <= PATH_NFQ; p++) {
		jb_obj(out, path_name(p));
		jb_u64(out, "sent", t.packets[p][0]);
		jb_u64(out, "received", t.packets[p][1]);
		jb_end_obj(out);
	}
	jb_end_obj(out);
}

/* The strictest of its addresses' modes: a group may hold one of them only. */
static enum policy_mode policy_mode_of_workload(const struct node *n, const struct workload *w)
{
	struct policy *p = policy_file_policy(n->policy);
	enum policy_mode strictest = MODE_DISCOVER;
	struct group_set own, all;
	bool any = false;

	memset(&own, 0, sizeof own);
	workload_groups(w, n->policy, &own);
	for (unsigned i = 0; i < w->nlinks; i++)
		for (unsigned a = 0; a < w->links[i].end.naddrs; a++) {
			policy_groups(p, &w->links[i].end.addrs[a], &own, &all);
			if (policy_mode_of(p, &all) > strictest)
				strictest = policy_mode_of(p, &all);
			any = true;
		}
	return any ? strictest : policy_mode_of(p, &own);
}

static int answer_workloads(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	static const char *const sides[] = { "", "server", "client", "both" };

	(void)r;
	(void)err;
	jb_obj(out, NULL);
	jb_arr(out, "workloads");
	for (const struct workload *w = n->reg.first; w; w = w->next) {
		jb_obj(out, NULL);
		jb_str(out, "name", w->name);
		jb_u64(out, "id", w->id);
		jb_u64(out, "netns", w->ino);
		if (w->netns)
			jb_str(out, "netns_path", w->netns);
		if (w->image)
			jb_str(out, "image", w->image);
		jb_u64(out, "cookie", w->cookie);
		jb_u64(out, "pid", (uint64_t)w->pid);
		jb_str(out, "mode", mode_name(w->opts.mode));
		jb_str(out, "policy_mode", n->policy ? policy_mode_name(policy_mode_of_workload(n, w)) : "none");
		jb_bool(out, "quarantined", w->quarantined);
		jb_str(out, "side", sides[w->opts.side]);
		jb_bool(out, "loopback", w->opts.loopback);
		jb_str(out, "fail", w->opts.fail == FAIL_IS_OPEN ? "open" : "closed");
		jb_obj(out, "labels");
		for (unsigned i = 0; i < w->labels.n; i++)
			jb_str(out, w->labels.v[i].key, w->labels.v[i].value);
		jb_end_obj(out);
		put_apps(out, &w->opts.apps);
		put_links(out, w);
		put_queue(out, w);
		put_traffic(n, out, w);
		jb_end_obj(out);
	}
	jb_end_arr(out);
	jb_end_obj(out);
	return 0;
}

/* ---- flows ---- */

static const struct workload *by_id(const struct node *n, uint32_t id)
{
	for (const struct workload *w = n->reg.first; w; w = w->next)
		if (w->id == id)
			return w;
	return NULL;
}

struct flow_filter {
	const struct workload *workload;
	const char *app, *verdict;
};

static bool wanted_flow(const struct flow_filter *f, const struct dpi_flow_info *i)
{
	int app = f->app ? app_by_name(f->app) : -1;

	return (!f->workload || i->workload[0] == f->workload->id || i->workload[1] == f->workload->id) &&
	       (!f->app || (app >= 0 && app_is(i->app, (enum app)app))) && (!f->verdict || !strcmp(f->verdict, verdict_name(i->verdict)));
}

static const char *proto_name(uint8_t p, char buf[8])
{
	switch (p) {
	case 1: return "ICMP";
	case 6: return "TCP";
	case 17: return "UDP";
	case 58: return "IPv6-ICMP";
	case 132: return "SCTP";
	default:
		snprintf(buf, 8, "%u", p);
		return buf;
	}
}

static void put_flow(const struct node *n, struct jbuf *out, const struct dpi_flow_info *f)
{
	char text[64], proto[8];

	jb_obj(out, NULL);
	jb_u64(out, "flow_id", f->flow_id);
	jb_str(out, "proto", proto_name(f->tuple.ipproto, proto));
	jb_str(out, "src_ip", addr_format(&f->tuple.src, text));
	jb_u64(out, "src_port", f->tuple.sport);
	jb_str(out, "dest_ip", addr_format(&f->tuple.dst, text));
	jb_u64(out, "dest_port", f->tuple.dport);
	for (int i = 0; i < 2; i++) {
		const struct workload *w = f->workload[i] ? by_id(n, f->workload[i]) : NULL;

		if (w)
			jb_str(out, i ? "dest_workload" : "src_workload", w->name);
	}
	eve_put_dest_names(out, n->fqdn, f->workload[0], &f->tuple.dst, f->start);
	jb_str(out, "app_proto", app_name(f->app));
	if (f->app_hint != APP_UNKNOWN)
		jb_str(out, "app_proto_hint", app_name(f->app_hint));
	jb_str(out, "path", path_name(f->path));
	jb_str(out, "state", f->state);
	jb_str(out, "verdict", verdict_name(f->verdict));
	jb_bool(out, "enforced", f->enforced);
	jb_bool(out, "offloaded", f->away);
	if (f->inline_for)
		jb_str(out, "inline_for", f->inline_for);
	jb_u64(out, "rule", f->rule);
	jb_str(out, "reason", reason_name(f->reason));
	jb_u64(out, "pkts_toserver", f->pkts[0]);
	jb_u64(out, "pkts_toclient", f->pkts[1]);
	jb_u64(out, "bytes_toserver", f->bytes[0]);
	jb_u64(out, "bytes_toclient", f->bytes[1]);
	jb_str(out, "start", eve_timestamp(f->start, false, text));
	jb_str(out, "last", eve_timestamp(f->last, false, text));
	jb_end_obj(out);
}

static int answer_flows(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	struct flow_filter f = { NULL, arg_str(r, "app"), arg_str(r, "verdict") };
	int64_t limit = arg_int(r, "limit", FLOWS_LIMIT);
	const char *name = arg_str(r, "workload");
	struct dpi_flow_info *list;
	unsigned put = 0;

	if (limit < 1 || limit > FLOWS_MAX)
		return err_set(err, -EINVAL, "limit: 1 to %d", FLOWS_MAX);
	if (name && !(f.workload = registry_find(&n->reg, name)))
		return err_set(err, -ENOENT, "workload %s: there is none of that name", name);
	if (f.app && app_by_name(f.app) < 0)
		return err_set(err, -EINVAL, "app %s: not known", f.app);
	list = malloc(n->config->max_flows * sizeof *list);
	if (!list)
		return err_set(err, -ENOMEM, "no memory");
	jb_obj(out, NULL);
	jb_arr(out, "flows");
	for (unsigned w = 0; w < n->nworkers; w++) {
		unsigned count = worker_flows(n->workers[w], list, n->config->max_flows);

		for (unsigned i = 0; i < count && put < limit; i++) {
			if (!wanted_flow(&f, &list[i]))
				continue;
			put_flow(n, out, &list[i]);
			put++;
		}
	}
	jb_end_arr(out);
	jb_end_obj(out);
	free(list);
	return 0;
}

/* ---- events, counters, log ---- */

static int answer_events(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	static const char ok[] = "{\"ok\": true, \"data\": {}}\n";
	const json_t *types = json_object_get(r->args, "types"), *t;
	uint64_t mask = 0;
	size_t i;

	(void)out;
	json_array_foreach(types, i, t) {
		const char *name = json_string_value(t);
		unsigned e = 0;

		while (e < EV_COUNT && (!name || strcmp(event_type_name((enum event_type)e), name)))
			e++;
		if (e == EV_COUNT)
			return err_set(err, -EINVAL, "event type %s: not known", name ? name : "?");
		mask |= 1ULL << e;
	}
	if (!mask)
		mask = ~0ULL;
	if (write(r->fd, ok, sizeof ok - 1) != sizeof ok - 1)
		return err_set(err, -EIO, "events: the answer could not be written");
	if (sinks_follow(n->sinks, r->fd, mask, err))
		close(r->fd);
	return CONTROL_TAKEN;
}

static int answer_counters(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	(void)err;
	jb_obj(out, NULL);
	jb_arr(out, "counters");
	node_put_counters(n, out, false, arg_str(r, "pattern"));
	jb_end_arr(out);
	jb_end_obj(out);
	return 0;
}

static int answer_log(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	const char *module = arg_str(r, "module"), *level = arg_str(r, "level");

	(void)n;
	if (module && (!level || log_set(module, level)))
		return err_set(err, -EINVAL, "log %s=%s: modules are those that `tapq log` lists and `all`; levels error, warn, info, debug", module, level ? level : "");
	jb_obj(out, NULL);
	for (unsigned m = 0; m < LOG_MODULE_COUNT; m++)
		jb_str(out, log_module_name((enum log_module)m), log_level_name((enum log_level)log_levels[m]));
	jb_end_obj(out);
	return 0;
}

/* ---- changes ---- */

static int answer_mode(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	const char *name = arg_str(r, "mode");
	int rc = 0;

	if (name) {
		enum mode m = DATAPATH_TC;

		while (m <= DATAPATH_MIXED && strcmp(mode_name(m), name))
			m++;
		if (m > DATAPATH_MIXED)
			return err_set(err, -EINVAL, "mode %s: tc, nfq or mixed", name);
		rc = node_set_mode(n, m, err);
	}
	if (rc)
		return rc;
	jb_obj(out, NULL);
	jb_str(out, "mode", mode_name(n->config->mode));
	jb_end_obj(out);
	return 0;
}

static int answer_apps(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	const char *name = arg_str(r, "workload"), *op = arg_str(r, "op"), *app = arg_str(r, "app");
	struct workload *w = name ? registry_find(&n->reg, name) : NULL;
	struct app_port port;
	int rc;

	if (!w)
		return err_set(err, -ENOENT, "workload %s: there is none of that name", name ? name : "?");
	if (!op || (strcmp(op, "add") && strcmp(op, "del")))
		return bad_arg(err, "op", "add or del");
	if (!app || config_parse_app(app, &port))
		return err_set(err, -EINVAL, "app %s: tcp/PORT or udp/PORT is needed", app ? app : "?");
	rc = registry_change_app(&n->reg, n->config, w, !strcmp(op, "add"), &port, err);
	if (rc)
		return rc;
	node_reconcile(n, false);
	jb_obj(out, NULL);
	put_apps(out, &w->opts.apps);
	jb_str(out, "queue", queue_state(w));
	jb_end_obj(out);
	return 0;
}

static int answer_quarantine(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	const char *name = arg_str(r, "workload"), *op = arg_str(r, "op");
	int rc;

	if (!name)
		return bad_arg(err, "workload", "a name");
	if (!op || (strcmp(op, "on") && strcmp(op, "off")))
		return bad_arg(err, "op", "on or off");
	rc = quarantine_set(n, name, !strcmp(op, "on"), err);
	if (rc)
		return rc;
	jb_obj(out, NULL);
	jb_str(out, "workload", name);
	jb_str(out, "quarantine", op);
	jb_end_obj(out);
	return 0;
}

static int answer_reload(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	int rc = node_reload(n, err);

	(void)r;
	if (rc)
		return rc;
	jb_obj(out, NULL);
	jb_u64(out, "workloads", n->reg.count);
	jb_u64(out, "rules", n->policy ? policy_rule_count(policy_file_policy(n->policy)) : 0);
	jb_end_obj(out);
	return 0;
}

/* ---- the table ---- */

static const struct {
	const char *name;
	int (*fn)(struct node *, const struct control_request *, struct jbuf *, struct err *);
} commands[] = {
	{ "status", answer_status },
	{ "workloads", answer_workloads },
	{ "flows", answer_flows },
	{ "events", answer_events },
	{ "counters", answer_counters },
	{ "log", answer_log },
	{ "mode", answer_mode },
	{ "apps", answer_apps },
	{ "quarantine", answer_quarantine },
	{ "reload", answer_reload },
	{ "policy load", answer_policy_load },
	{ "policy confirm", answer_policy_confirm },
	{ "policy show", answer_policy_show },
	{ "policy learned", answer_policy_learned },
	{ "policy test", answer_policy_test },
};

int node_answer(void *ctx, const struct control_request *r, struct jbuf *out, struct err *err)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (!strcmp(commands[i].name, r->command))
			return commands[i].fn(ctx, r, out, err);
	return err_set(err, -ENOSYS, "%s: not in this version", r->command);
}
