/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config: tapqueue.yaml (CONTRACT section 2) as a checked struct.
 *
 * One table describes every key (dotted path, type, range, default, where it is kept); parsing, defaults, -o overrides,
 * --dump-config and error messages all expand from it. Unknown keys, wrong types and values out of range are errors that name
 * file, line, key and what would be accepted. Keys that CONTRACT marks (later) are refused with "not in this version". */
#ifndef TQ_AGENT_CONFIG_H
#define TQ_AGENT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "agent/path.h"
#include "base/err.h"
#include "base/netid.h"

#define CONFIG_DEFAULT_FILE "/etc/tapqueue/tapqueue.yaml"
#define CONFIG_NAME_MAX 256

enum on_stop { ON_STOP_REMOVE, ON_STOP_KEEP };
enum fail_mode { FAIL_IS_OPEN, FAIL_IS_CLOSED };

struct label { char *key, *value; };
struct labels { struct label *v; unsigned n; };

/* What can be set for all workloads and again for some; `set` bits say which keys an override names. */
struct wl_opts {
	enum mode mode;
	struct app_ports apps;
	enum app_side side;
	bool loopback;
	enum fail_mode fail;
	bool set_mode, set_apps, set_side, set_loopback, set_fail;
};

struct static_workload {
	char *name;
	char *netns;		/* path; NULL: by pid */
	int pid;		/* 0: by netns */
	char *interface;	/* NULL: every veth of it */
	char *image;		/* for groups of a policy; NULL: as its runtime says, if it does */
	struct labels labels;
	struct wl_opts opts;
};

struct override {
	char *workload;		/* name glob (fnmatch); NULL: any */
	struct labels labels;	/* all must be there */
	struct wl_opts opts;
};

enum sink_type { SINK_FILE, SINK_UNIX, SINK_STDOUT };
struct sink_conf {
	enum sink_type type;
	char *path;		/* file, unix */
	uint64_t mask;		/* bit per enum event_type (dpi/event.h) */
};

struct config {
	char *file;		/* where it came from; NULL: defaults */
	char *node;
	enum mode mode;
	enum on_stop on_stop;
	bool discover_netns;
	struct static_workload *statics;	unsigned nstatics;
	struct override *overrides;		unsigned noverrides;
	char **exclude;				unsigned nexclude;	/* name globs */
	char *bridge;		/* vbr-neuv; <= 12 bytes, so that "-in" fits */
	uint64_t shunt_bytes;
	int tc_engine;		/* enum tc_engine */
	bool tc_shared_blocks;
	uint32_t ring_block_size, ring_blocks;
	struct wl_opts defaults;	/* mode, nfq.apps, nfq.side, nfq.loopback, nfq.fail */
	int iptables;		/* enum ipt_backend (nfq/rules.h) */
	int table;		/* enum ipt_table */
	uint16_t queue_base;
	uint32_t mark, mask;
	bool offload;		/* decided flows skip the queue */
	unsigned workers;	/* 0: auto */
	uint32_t max_flows;
	uint64_t memcap;
	bool midstream;
	char *policy;		/* file; NULL: none (named as "", or not named and the default does not exist) */
	bool policy_named;
	struct sink_conf *sinks;		unsigned nsinks;
	int64_t flow_report;	/* ns */
	unsigned stats_interval;/* s; 0: none */
	int64_t watchdog;	/* ns */
	char *control;
	char *log_level;
};

/* overrides: "KEY=VALUE" strings of -o (and mode for -m), applied after the file, in order. file NULL: defaults only. Returns a config that the
 * caller frees, or NULL with one line in err ("tapqueue.yaml:12: nfq.fail: 'maybe' is not one of open, closed"). */
struct config *config_load(const char *file, const char *const *overrides, unsigned noverrides, struct err *);
void config_free(struct config *);	/* NULL is fine */
/* The whole effective configuration as YAML that config_load reads back to the same. */
void config_dump(const struct config *, FILE *);
/* Options of one workload: the defaults, then its own (static) keys, then the first override that matches. */
struct wl_opts config_workload_opts(const struct config *, const char *name, const struct labels *, const struct static_workload *own /* NULL */);
/* Options of a workload that is found and is the i-th override's. */
struct wl_opts config_override_opts(const struct config *, unsigned i);
bool config_excluded(const struct config *, const char *name);
/* "tcp/8080", "udp/53". 0 or -EINVAL. */
int config_parse_app(const char *text, struct app_port *out);

#endif
