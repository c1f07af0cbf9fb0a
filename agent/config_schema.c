/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one table of tapqueue.yaml (CONTRACT section 2), and the walks over it. What values look like is in config_value.c. */
#include "agent/config_schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "base/log.h"
#include "nfq/rules.h"
#include "tc/filter.h"

#define SECTION_KEYS_MAX 64	/* no mapping has more different keys */

static const struct word modes[] = { { "tc", DATAPATH_TC }, { "nfq", DATAPATH_NFQ }, { "mixed", DATAPATH_MIXED }, { 0 } };
static const struct word on_stops[] = { { "remove", ON_STOP_REMOVE }, { "keep", ON_STOP_KEEP }, { 0 } };
static const struct word sides[] = { { "server", SIDE_SERVER }, { "client", SIDE_CLIENT }, { "both", SIDE_BOTH }, { 0 } };
static const struct word fails[] = { { "open", FAIL_IS_OPEN }, { "closed", FAIL_IS_CLOSED }, { 0 } };
static const struct word engines[] = { { "auto", TC_ENGINE_U32 }, { "u32", TC_ENGINE_U32 }, { "bpf", TC_ENGINE_BPF }, { 0 } };
static const struct word blocks[] = { { "device", 0 }, { "shared", 1 }, { "auto", 0 }, { 0 } };
static const struct word backends[] = { { "auto", IPT_AUTO }, { "nft", IPT_NFT }, { "legacy", IPT_LEGACY }, { 0 } };
static const struct word tables[] = { { "auto", IPT_TABLE_AUTO }, { "filter", IPT_TABLE_FILTER }, { "security", IPT_TABLE_SECURITY }, { 0 } };
static const struct word sources[] = { { "netns", 1 }, { "docker", LATER }, { "containerd", LATER }, { "cri", LATER }, { "podman", LATER }, { 0 } };
static const struct word sinks[] = { { "file", SINK_FILE }, { "unix", SINK_UNIX }, { "stdout", SINK_STDOUT },
	{ "syslog", LATER }, { "redis", LATER }, { "kafka", LATER }, { 0 } };
static const struct word levels[] = { { "error", LOG_LVL_ERROR }, { "warn", LOG_LVL_WARN }, { "info", LOG_LVL_INFO }, { "debug", LOG_LVL_DEBUG }, { 0 } };

/* ---- items of lists ---- */

static int check_static(const struct yaml *y, struct fy_node *node, const char *path, const void *items, unsigned n, struct err *e)
{
	const struct static_workload *all = items, *w = all + n;

	if (!w->name)
		return yaml_fail(y, node, e, "%s: name is missing", path);
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(all[i].name, w->name))
			return yaml_fail(y, node, e, "%s.name: '%s' is there twice", path, w->name);
	if (!w->netns == !w->pid)
		return yaml_fail(y, node, e, "%s: expected either netns (a path) or pid", path);
	return 0;
}

static int check_override(const struct yaml *y, struct fy_node *node, const char *path, const void *items, unsigned n, struct err *e)
{
	const struct override *o = (const struct override *)items + n;

	if (!o->workload && !o->labels.n)
		return yaml_fail(y, node, e, "%s: match is missing (workload or labels)", path);
	return 0;
}

static int check_sink(const struct yaml *y, struct fy_node *node, const char *path, const void *items, unsigned n, struct err *e)
{
	const struct sink_conf *s = (const struct sink_conf *)items + n;

	if (s->type == SINK_STDOUT && s->path)
		return yaml_fail(y, node, e, "%s: stdout takes no path", path);
	if (s->type != SINK_STDOUT && !s->path)
		return yaml_fail(y, node, e, "%s: path is missing", path);
	return 0;
}

#define WL_KEYS(s) \
	{ .path = "mode", .ops = &value_word, AT(s, opts.mode), .words = modes, .set_at = offsetof(struct s, opts.set_mode) }, \
	{ .path = "apps", .ops = &value_apps, AT(s, opts.apps), .set_at = offsetof(struct s, opts.set_apps) }, \
	{ .path = "side", .ops = &value_word, AT(s, opts.side), .words = sides, .set_at = offsetof(struct s, opts.set_side) }, \
	{ .path = "loopback", .ops = &value_bool, AT(s, opts.loopback), .set_at = offsetof(struct s, opts.set_loopback) }, \
	{ .path = "fail", .ops = &value_word, AT(s, opts.fail), .words = fails, .set_at = offsetof(struct s, opts.set_fail) }

static const struct key static_keys[] = {
	{ .path = "name", .ops = &value_text, AT(static_workload, name), .min = 1, .max = CONFIG_NAME_MAX - 1 },
	{ .path = "netns", .ops = &value_text, AT(static_workload, netns), .min = 1, .max = 4095 },
	{ .path = "pid", .ops = &value_number, AT(static_workload, pid), .min = 1, .max = 4194304 },
	{ .path = "interface", .ops = &value_ifname, AT(static_workload, interface), .min = 1, .max = 15 },
	{ .path = "image", .ops = &value_text, AT(static_workload, image), .min = 1, .max = 1023 },
	{ .path = "labels", .ops = &value_labels, AT(static_workload, labels) },
	WL_KEYS(static_workload),
	{ 0 }
};

static const struct key override_keys[] = {
	{ .path = "match.workload", .ops = &value_text, AT(override, workload), .min = 1, .max = CONFIG_NAME_MAX - 1 },
	{ .path = "match.labels", .ops = &value_labels, AT(override, labels) },
	WL_KEYS(override),
	{ 0 }
};

static const struct key sink_keys[] = {
	{ .path = "type", .ops = &value_word, AT(sink_conf, type), .words = sinks, .dflt = "file" },
	{ .path = "path", .ops = &value_text, AT(sink_conf, path), .min = 1, .max = 4095 },
	{ .path = "types", .ops = &value_types, AT(sink_conf, mask), .dflt = "all" },
	{ 0 }
};

const struct key config_keys[] = {
	{ .path = "node", .ops = &value_opt_text, AT(config, node), .max = CONFIG_NAME_MAX - 1 },
	{ .path = "mode", .ops = &value_word, AT(config, mode), .words = modes, .dflt = "tc" },
	{ .path = "on_stop", .ops = &value_word, AT(config, on_stop), .words = on_stops, .dflt = "remove" },
	{ .path = "workloads.discover", .ops = &value_discover, AT(config, discover_netns), .words = sources, .dflt = "[netns]" },
	{ .path = "workloads.static", .ops = &value_list, AT(config, statics), .n_at = offsetof(struct config, nstatics),
	  .item_size = sizeof(struct static_workload), .items = static_keys, .check = check_static, .max = 4096 },
	{ .path = "workloads.overrides", .ops = &value_list, AT(config, overrides), .n_at = offsetof(struct config, noverrides),
	  .item_size = sizeof(struct override), .items = override_keys, .check = check_override, .max = 1024 },
	{ .path = "workloads.exclude", .ops = &value_globs, AT(config, exclude), .n_at = offsetof(struct config, nexclude), .max = 1024 },
	{ .path = "bridge.name", .ops = &value_ifname, AT(config, bridge), .min = 1, .max = 12, .dflt = "vbr-neuv" },
	{ .path = "tc.engine", .ops = &value_word, AT(config, tc_engine), .words = engines, .dflt = "auto" },
	{ .path = "tc.blocks", .ops = &value_word, AT(config, tc_shared_blocks), .words = blocks, .dflt = "auto" },
	{ .path = "tc.ring.block_size", .ops = &value_size_pow2, AT(config, ring_block_size), .min = 128 << 10, .max = 64 << 20, .dflt = "1MiB" },
	{ .path = "tc.ring.blocks", .ops = &value_number, AT(config, ring_blocks), .min = 2, .max = 4096, .dflt = "64" },
	{ .path = "tc.shunt_bytes", .ops = &value_size, AT(config, shunt_bytes), .min = 64 << 10, .max = 1ull << 40, .dflt = "1MiB" },
	{ .path = "nfq.apps", .ops = &value_apps, AT(config, defaults.apps), .dflt = "[]" },
	{ .path = "nfq.side", .ops = &value_word, AT(config, defaults.side), .words = sides, .dflt = "both" },
	{ .path = "nfq.loopback", .ops = &value_bool, AT(config, defaults.loopback), .dflt = "false" },
	{ .path = "nfq.iptables", .ops = &value_word, AT(config, iptables), .words = backends, .dflt = "auto" },
	{ .path = "nfq.table", .ops = &value_word, AT(config, table), .words = tables, .dflt = "auto" },
	{ .path = "nfq.queue_base", .ops = &value_number, AT(config, queue_base), .max = 65534, .dflt = "0" },
	{ .path = "nfq.mark", .ops = &value_mark, AT(config, mark), .dflt = "0x1000/0x1000" },
	{ .path = "nfq.fail", .ops = &value_word, AT(config, defaults.fail), .words = fails, .dflt = "open" },
	{ .path = "nfq.offload", .ops = &value_bool, AT(config, offload), .dflt = "true" },
	{ .path = "dpi.workers", .ops = &value_number, AT(config, workers), .words = (const struct word[]){ { "auto", 0 }, { 0 } }, .min = 1, .max = 64, .dflt = "auto" },
	{ .path = "dpi.max_flows", .ops = &value_number, AT(config, max_flows), .min = 1024, .max = 1 << 24, .dflt = "262144" },
	{ .path = "dpi.memcap", .ops = &value_size, AT(config, memcap), .min = 16 << 20, .max = 1ull << 40, .dflt = "512MiB" },
	{ .path = "dpi.midstream", .ops = &value_bool, AT(config, midstream), .dflt = "true" },
	{ .path = "policy", .ops = &value_opt_text, AT(config, policy), .max = 4095, .set_at = offsetof(struct config, policy_named) },
	{ .path = "events", .ops = &value_list, AT(config, sinks), .n_at = offsetof(struct config, nsinks), .item_size = sizeof(struct sink_conf), .items = sink_keys,
	  .check = check_sink, .max = 16, .dflt = "[{type: file, path: /var/log/tapqueue/eve.json, types: all}]" },
	{ .path = "flow_report", .ops = &value_duration, AT(config, flow_report), .max = 86400000, .dflt = "0" },
	{ .path = "stats_interval", .ops = &value_seconds, AT(config, stats_interval), .max = 86400, .dflt = "30" },
	{ .path = "watchdog", .ops = &value_duration, AT(config, watchdog), .min = 500, .max = 3600000, .dflt = "2s" },
	{ .path = "control", .ops = &value_text, AT(config, control), .min = 1, .max = 107, .dflt = "/run/tapqueue/control.sock" },
	{ .path = "metrics", .ops = &value_fixed, .dflt = "127.0.0.1:9477" },
	{ .path = "log.level", .ops = &value_word_text, AT(config, log_level), .words = levels, .dflt = "info" },
	{ 0 }
};

/* ---- walks ---- */

static bool set_of(const struct key *k, const void *base)
{
	return *((const bool *)((const char *)base + k->set_at));
}

static int get_value(const struct yaml *y, struct fy_node *node, const char *path, const struct key *k, void *base, struct err *e)
{
	void *at = (char *)base + k->at;
	int r;

	if (k->ops->release)
		k->ops->release(k, at);
	memset(at, 0, k->size);
	r = k->ops->get(y, node, k, path, at, e);
	if (!r && k->set_at)
		*((bool *)((char *)base + k->set_at)) = true;
	return r;
}

/* "tc." for a section that some key stands in. */
static bool is_section(const struct key *table, const char *prefix, size_t n)
{
	for (; table->path; table++)
		if (!strncmp(table->path, prefix, n))
			return true;
	return false;
}

static int fail_unknown(const struct yaml *y, struct fy_node *at, const char *path, const char *within, const char *name, const struct key *table, struct err *e)
{
	char first[SECTION_KEYS_MAX][48];
	const char *names[SECTION_KEYS_MAX + 1], *near;
	unsigned n = 0;
	size_t skip = strlen(within);

	for (const struct key *k = table; k->path && n < SECTION_KEYS_MAX; k++) {
		if (strncmp(k->path, within, skip))
			continue;
		snprintf(first[n], sizeof first[n], "%.*s", (int)strcspn(k->path + skip, "."), k->path + skip);
		if (n && !strcmp(first[n - 1], first[n]))
			continue;
		names[n] = first[n];
		n++;
	}
	names[n] = NULL;
	near = yaml_nearest(name, names);
	if (near)
		return yaml_fail(y, at, e, "%s: unknown key; did you mean %s?", path, near);
	if (n <= 12) {
		char list[12 * 50] = "";

		for (unsigned i = 0; i < n; i++)
			snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
		return yaml_fail(y, at, e, "%s: unknown key; expected one of %s", path, list);
	}
	return yaml_fail(y, at, e, "%s: unknown key", path);
}

struct walk {
	const struct yaml *y;
	const char *path, *within;
	const struct key *table;
	void *base;
};

static int get_pair(void *ctx, const char *name, struct fy_node *key_node, struct fy_node *value, struct err *e)
{
	const struct walk *w = ctx;
	char path[CONFIG_PATH_MAX], section[CONFIG_PATH_MAX], shown[YAML_SHOW_MAX];
	const char *dot = *w->path ? "." : "";
	int n = snprintf(section, sizeof section, "%s%s.", w->within, name);

	/* A name with a dot in it would look like a path; a long one is none of ours. */
	if ((size_t)n >= sizeof section || strchr(name, '.') || !*name) {
		yaml_show(key_node, shown);
		return yaml_fail(w->y, key_node, e, "%s%s%s: unknown key", w->path, dot, shown);
	}
	snprintf(path, sizeof path, "%s%s%s", w->path, dot, name);
	section[n - 1] = 0;
	for (const struct key *k = w->table; k->path; k++)
		if (!strcmp(k->path, section))
			return get_value(w->y, value, path, k, w->base, e);
	section[n - 1] = '.';
	if (is_section(w->table, section, (size_t)n))
		return schema_get(w->y, value, path, section, w->table, w->base, e);
	return fail_unknown(w->y, key_node, path, w->within, name, w->table, e);
}

int schema_get(const struct yaml *y, struct fy_node *map, const char *path, const char *within, const struct key *table, void *base, struct err *e)
{
	struct walk w = { .y = y, .path = path, .within = within, .table = table, .base = base };

	return yaml_each_pair(y, map, path, SECTION_KEYS_MAX, get_pair, &w, e);
}

int schema_get_path(const struct yaml *y, struct fy_node *node, const char *path, const struct key *table, void *base, struct err *e)
{
	char section[CONFIG_PATH_MAX], within[CONFIG_PATH_MAX];
	const char *last = strrchr(path, '.');
	int n = snprintf(section, sizeof section, "%s.", path);

	if ((size_t)n >= sizeof section)
		return yaml_fail(y, NULL, e, "unknown key");
	for (const struct key *k = table; k->path; k++)
		if (!strcmp(k->path, path))
			return get_value(y, node, path, k, base, e);
	if (is_section(table, section, (size_t)n))
		return schema_get(y, node, path, section, table, base, e);
	snprintf(within, sizeof within, "%.*s", last ? (int)(last + 1 - path) : 0, path);
	if (!is_section(table, within, strlen(within)))
		return yaml_fail(y, NULL, e, "%s: unknown key", path);
	return fail_unknown(y, NULL, path, within, last ? last + 1 : path, table, e);
}

int schema_defaults(const struct key *table, void *base, struct err *e)
{
	int r = 0;

	for (const struct key *k = table; k->path && !r; k++) {
		struct yaml *y;

		if (!k->dflt)
			continue;
		y = yaml_parse(k->dflt, strlen(k->dflt), "built-in default", false, e);
		r = y ? get_value(y, yaml_root(y), k->path, k, base, e) : -EINVAL;
		yaml_free(y);
	}
	return r;
}

static void put_section(const struct key *table, const void *base, const char *within, unsigned depth, FILE *f)
{
	size_t skip = strlen(within), last_n = 0;
	const char *last = "";

	for (const struct key *k = table; k->path; k++) {
		const char *name = k->path + skip;
		size_t n;

		if (strncmp(k->path, within, skip))
			continue;
		n = strcspn(name, ".");
		if (!name[n]) {
			fprintf(f, "%*s%s: ", (int)depth * 2, "", name);
			k->ops->put(k, (const char *)base + k->at, f);
			fputc('\n', f);
		} else if (n != last_n || strncmp(name, last, n)) {
			char section[CONFIG_PATH_MAX];

			last = name;
			last_n = n;
			snprintf(section, sizeof section, "%.*s", (int)(skip + n + 1), k->path);
			fprintf(f, "%*s%.*s:\n", (int)depth * 2, "", (int)n, name);
			put_section(table, base, section, depth + 1, f);
		}
	}
}

void schema_put(const struct key *table, const void *base, FILE *f) { put_section(table, base, "", 0, f); }

static bool given(const struct key *k, const void *base)
{
	const char *at = (const char *)base + k->at;

	if (k->set_at)
		return set_of(k, base);
	if (k->dflt)
		return true;
	for (size_t i = 0; i < k->size; i++)
		if (at[i])
			return true;
	return false;
}

static void put_flow(const struct key *table, const void *base, const char *within, FILE *f)
{
	size_t skip = strlen(within), last_n = 0;
	const char *last = "", *comma = "";

	fputc('{', f);
	for (const struct key *k = table; k->path; k++) {
		const char *name = k->path + skip;
		size_t n;

		if (strncmp(k->path, within, skip) || !given(k, base))
			continue;
		n = strcspn(name, ".");
		if (!name[n]) {
			fprintf(f, "%s%s: ", comma, name);
			k->ops->put(k, (const char *)base + k->at, f);
		} else if (n != last_n || strncmp(name, last, n)) {
			char section[CONFIG_PATH_MAX];

			last = name;
			last_n = n;
			snprintf(section, sizeof section, "%.*s", (int)(skip + n + 1), k->path);
			fprintf(f, "%s%.*s: ", comma, (int)n, name);
			put_flow(table, base, section, f);
		}
		comma = ", ";
	}
	fputc('}', f);
}

void schema_put_flow(const struct key *table, const void *base, FILE *f) { put_flow(table, base, "", f); }

void schema_release(const struct key *table, void *base)
{
	for (const struct key *k = table; k->path; k++)
		if (k->ops->release)
			k->ops->release(k, (char *)base + k->at);
}
