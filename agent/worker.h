/* SPDX-License-Identifier: GPL-2.0-or-later */
/* worker: a thread that runs sources to completion through its own core.
 *
 * Everything below is called by the main thread. Commands are carried out by the worker between two batches and are
 * waited for; a worker that does not answer within the watchdog's time is named and the process ends with exit code 1, which
 * closes its queues, so that the kernel passes or drops as `fail` says. */
#ifndef TQ_AGENT_WORKER_H
#define TQ_AGENT_WORKER_H

#include "agent/enforce.h"
#include "agent/evring.h"
#include "agent/fqdn.h"
#include "agent/relay.h"
#include "agent/world.h"
#include "base/source.h"
#include "dpi/dpi.h"
#include "nfq/conntrack.h"

struct worker;

/* Until when a workload's queue may have let something by that no worker saw (FAIL_OPEN), by the id's low bits: what is missing there
 * says nothing. `all`: frames were lost between workers. ns since the epoch; written and read by any worker. */
#define DOUBTS 256u
struct doubts { int64_t until[DOUBTS], all; };

struct flowmap;

struct worker_conf {
	unsigned index;
	struct dpi_conf dpi;	/* this worker's share */
	struct evring *events;	/* borrowed; outlives the worker */
	struct relay *relay;	/* borrowed; NULL where there is one worker */
	int wake;		/* the eventfd that wakes it; borrowed */
	int64_t watchdog;	/* ns */
	uint64_t shunt_bytes;	/* tc.shunt_bytes */
	struct doubts *doubts;	/* borrowed; shared by all workers */
	struct fqdn_cache *fqdn;	/* borrowed; shared by all workers: names that workloads learned. NULL: none are kept */
	struct enforce *enforce;	/* borrowed: stops flows whose frames are not held; NULL: nobody does */
	/* A connection of this workload went past its queue (DESIGN section 5, the witness). Called by any worker's thread. NULL: nobody cares. */
	void (*bypassed)(void *ctx, uint32_t workload);
	void *bypassed_ctx;
};

/* Starts the thread with an empty world. */
struct worker *worker_start(const struct worker_conf *, struct err *);
/* Closes what sources are left, tells every flow, joins. NULL is fine. */
void worker_stop(struct worker *);

/* Takes the source on success. refuse (NULL: none) is called for each held frame that was answered DENY, by whichever worker inspected it: it must bear
 * several threads. */
/* ask: for each whose receiver is to be asked where it is (ANSWER_ASK), instead. */
typedef void (*worker_refuse)(void *ctx, const struct frame *, bool ask);
/* ct: decided flows of this source go by it (a reference is taken); NULL: none do. */
int worker_add_source(struct worker *, struct source *, worker_refuse refuse, void *refuse_ctx, struct conntrack *ct, struct err *);
/* Decided bulk of this source, a mirror of the bpf engine's, may pass uncopied (a reference is taken). */
void worker_let_pass(struct worker *, struct source *, struct flowmap *);
/* Reads what is still there and answers it. The source is the caller's again, to close. */
void worker_remove_source(struct worker *, struct source *);
/* Flows that go by because of this table come back, with their last counters: before it is closed, by every worker. */
void worker_drop_offloaded(struct worker *, const struct conntrack *ct);
/* True when the source broke (its error was logged); it is still to be removed. */
bool worker_source_broken(struct worker *, const struct source *);

/* From now on the worker reads this snapshot (takes a reference). judge: its policy differs, open flows are judged anew.
 * overlap > 0: ownership changes; for so many ns packets shown by two paths are counted once. */
void worker_set_world(struct worker *, struct world *, bool judge, int64_t overlap);
void worker_set_event_mask(struct worker *, uint64_t mask);
/* Up to max live flows into out; returns their number. */
unsigned worker_flows(struct worker *, struct dpi_flow_info *out, unsigned max);
void worker_sizes(struct worker *, struct dpi_sizes *);

/* What a workload sent (0) and got (1), by path label, as this worker saw it: frames handed to the core, before the guard. */
#define WORKER_PATHS 4
struct worker_traffic {
	uint64_t packets[WORKER_PATHS][2];
	uint64_t bytes[WORKER_PATHS][2];
};

/* Any time, without the worker: */
void worker_add_traffic(const struct worker *, uint32_t workload, struct worker_traffic *sum);	/* adds to *sum */
const uint64_t *worker_counters(const struct worker *);
const uint64_t *worker_shunt_counters(const struct worker *);	/* enum shunt_counter */
const uint64_t *worker_offload_counters(const struct worker *);	/* enum offload_counter */
const uint64_t *worker_app_flows(const struct worker *);
uint64_t worker_beats(const struct worker *);	/* rounds of its loop; at least two a second while it lives */
uint64_t worker_not_relayed(const struct worker *);	/* frames of other workers' flows that it inspected itself because the way there was full */
uint64_t worker_not_asked(const struct worker *);	/* frames taken as they are, without asking their receiver, because too many waited */
/* For mirror_conf.view: looks into the worker's own world (worker thread only). ctx is the worker. */
uint32_t worker_view(void *ctx, const uint8_t *mac_src, const uint8_t *mac_dst, bool entering, uint32_t *workload);

#endif
