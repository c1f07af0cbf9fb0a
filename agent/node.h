/* SPDX-License-Identifier: GPL-2.0-or-later */
/* node: the running agent: everything tapqd owns, on its main thread.
 *
 * Start is a list (node_start), stop is its mirror (node_stop). Between them node_run waits for link events, control requests,
 * signals and time, and node_reconcile brings the kernel to what is wanted. */
#ifndef TQ_AGENT_NODE_H
#define TQ_AGENT_NODE_H

#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "agent/config.h"
#include "agent/control.h"
#include "agent/enforce.h"
#include "agent/learn.h"
#include "agent/names.h"
#include "agent/policy_file.h"
#include "agent/sink.h"
#include "agent/worker.h"
#include "agent/workload.h"
#include "bridge/bridge.h"
#include "bridge/link.h"
#include "tc/filter.h"
#include "tc/watch.h"

#define WORKERS_MAX 64
#define NODE_BYPASSED 256u
#define WAITING_MAX 1024u	/* packets that wait for the rest of their request: a quarter of what one queue of the kernel holds */

/* Counters of the agent itself; agent/counters.def. */
enum node_counter {
#define X(id, name, help) NODE_C_##id,
#include "agent/counters.def"
#undef X
	NODE_C_COUNT
};
extern const struct counter_desc node_counter_descs[NODE_C_COUNT];

struct node_args {
	const char *config_file;
	const char *const *overrides;	/* KEY=VALUE of -o and -m, in force after every reload too */
	unsigned noverrides;
};

struct node {
	struct node_args args;
	struct config *config;
	int mode_switched;		/* `tapq mode`: enum mode; -1: as configured. Kept over a reload, not over a stop */
	struct policy_file *policy;	/* NULL: none */
	char *policy_name;		/* where it came from */
	struct policy_file *policy_back;	/* while confirm_round: the one that is returned to unless somebody confirms; NULL: none was loaded */
	char *policy_back_name;
	unsigned confirm_round;		/* the round that this happens in; 0: nothing waits */
	struct names *names;
	struct registry reg;

	struct tc *tc;			/* opened with the first mirror */
	struct tc_watch *tc_watch;	/* with it */
	unsigned checks;		/* node_check() calls so far */
	bool legacy_here;		/* rules_legacy_here(), as node_check() asked it */
	struct link_watch *links;
	struct bridge_pair bridge;
	bool bridge_up;
	int rings_engine;		/* enum tc_engine that the rings were opened for */
	struct source *mirrors[WORKERS_MAX];	/* owned by the workers; NULL: none */

	unsigned nworkers;
	struct worker *workers[WORKERS_MAX];
	int wakes[WORKERS_MAX];		/* eventfd of each */
	struct relay *relay;		/* NULL: one worker */
	uint64_t fences_left_out, fences_capped;	/* as fences.c last worked them out */
	struct enforce *enforce;
	struct evring *rings[WORKERS_MAX];
	int sink_wake;
	struct doubts doubts;
	struct fqdn_cache *fqdn;	/* names that workloads learned: kept over reloads and policies */
	uint32_t bypassed[NODE_BYPASSED];	/* ids of workloads, by their low bits: written by workers, taken by the main thread */
	int bypassed_fd;		/* eventfd: there is one */
	struct sinks *sinks;
	struct learn *learn;		/* shown every event by the sinks */
	uint64_t event_mask;		/* last one that the workers were told */
	struct control *control;

	int epfd, sigfd, timerfd;
	bool stopping, keep;		/* keep: leave rules, filters and bridges for the next start */
	int exit_code;
	int64_t started;		/* ns since the epoch */
	int64_t overlap_start, overlap_end;	/* a switch is under way: ns; 0: not */
	unsigned rounds;		/* of the timer since the start: ROUNDS_PER_S a second */
	bool scan_wanted, bridge_look;
	int64_t scanned;		/* ns: the last scan for workloads */
	uint64_t beats[WORKERS_MAX];	/* of each worker when last looked at */
	unsigned still[WORKERS_MAX];	/* looks since it last moved */
	bool enforce_anew;	/* filters of denied flows go when the workers have the next world ... */
	bool enforce_switched;	/* ... those of flows of workloads that switched */
	bool world_changed;
	uint64_t counters[NODE_C_COUNT];
	pthread_mutex_t shared;		/* within crew_run(): held for workers, sums and counters, by whoever works for the main thread */
	struct source_stats closed[PATH_COUNT];	/* sums of sources that were closed since the start */
};

/* What all sources of a path did since the start. */
void node_path_stats(const struct node *, enum path, struct source_stats *sum);
/* Adds what a source did so far to `closed`: just before it is closed. */
void node_keep_stats(struct node *, enum path, const struct source *);

/* On error *exit_code is what the process should exit with (1 runtime, 2 configuration, 3 preflight). */
struct node *node_start(const struct node_args *, int *exit_code, struct err *);
int node_run(struct node *);		/* until stopped; the exit code */
void node_stop(struct node *);		/* NULL is fine */

/* ---- for agent/answer.c, agent/attach.c ---- */

/* Brings every workload that changed (all: every one) to what is wanted: new path first, then the world is told, the old path away afterwards. */
void node_reconcile(struct node *, bool all);
/* A worker's thread: this workload sends past its queue. */
void node_bypassed(void *ctx, uint32_t workload);
/* Reads rules and filters of every workload back. Returns how many are not as wanted (what differs is repaired by the next reconcile). */
unsigned node_check(struct node *);
/* Takes in at once what the kernel has told of links and addresses, without the pause between two scans: before an answer is given. */
void node_look(struct node *);
/* Gives the workers a new snapshot. judge: the policy changed. */
void node_publish(struct node *, bool judge, int64_t overlap);
int node_reload(struct node *, struct err *);
int node_set_mode(struct node *, enum mode, struct err *);
/* Takes the policy file's content in force; takes pf. */
void node_set_policy(struct node *, struct policy_file *pf, const char *name);
#define CONFIRM_MAX 86400	/* seconds */
/* The same, but the policy in force before comes back after `seconds` unless it is confirmed; one that waits already keeps what it would return to. */
void node_try_policy(struct node *, struct policy_file *pf, const char *name, unsigned seconds);
bool node_confirm_policy(struct node *);		/* false: nothing waits */
unsigned node_confirm_left(const struct node *);	/* seconds; 0: nothing waits */

/* agent/answer.c: the control socket's handler. */
int node_answer(void *ctx, const struct control_request *, struct jbuf *out, struct err *);
/* agent/stats.c: all counters, {"name": value} nested by dots when nested, into an open object. */
void node_put_counters(struct node *, struct jbuf *, bool nested, const char *pattern);
void node_tell_stats(struct node *);

#endif
