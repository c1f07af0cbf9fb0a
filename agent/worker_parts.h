/* SPDX-License-Identifier: GPL-2.0-or-later */
/* worker_parts: what the rooms of a worker share. Nothing outside agent/worker*.c includes it.
 *
 *   worker.c         its loop, and the main thread's side of it
 *   worker_frames.c  sources: reading, inspecting here or at another worker, answering
 *   worker_judge.c   open flows when the policy is another one
 *   worker_ask.c     what the core asks */
#ifndef TQ_AGENT_WORKER_PARTS_H
#define TQ_AGENT_WORKER_PARTS_H

#include <pthread.h>

#include "agent/again.h"
#include "agent/offload.h"
#include "agent/shunt.h"
#include "agent/waiting.h"
#include "agent/worker.h"

#define BATCH 64		/* frames asked for at once */
#define TURN 16			/* batches of one source before the others get theirs */

#define ROOM_MS 1		/* between two looks whether who takes what is told made room for more */

struct command;

struct entry {
	struct source *src;
	struct waiter waiter;	/* of its descriptor */
	worker_refuse refuse;
	void *refuse_ctx;
	struct conntrack *ct;	/* a reference; NULL: what it shows is not offloaded */
	unsigned reader;	/* the worker that runs it: whichever worker inspects its frames answers there */
	struct flowmap *passing;	/* a reference; NULL: what it shows is copied as long as it lasts */
	unsigned away;		/* held frames that another worker inspects */
	bool broken;
	bool gone;		/* removed while some were away: it stays for the workers that look at it until they are answered, and nothing of it is touched */
	bool answered;		/* to be flushed: in the list ... */
	struct entry *next_answered;	/* ... from worker.answered_first on */
	bool queue;
	uint64_t fulls;		/* queue_fulls() when last looked at */
};

/* Traffic by workload id: chunks that come into being with the first packet of one of their ids. */
#define TRAFFIC_CHUNK 1024
#define TRAFFIC_CHUNKS 1024

struct worker {
	struct worker_conf conf;
	struct dpi *dpi;
	struct offload *offload;
	struct shunt *shunt;
	struct again again;
	struct world *world;
	struct entry **entries;	/* the first `timed` of them have a timeout() to be asked: a turn of the loop costs nothing for the others */
	unsigned n, size, timed;
	unsigned nbroken;	/* sources that broke and are still here; read by the main thread */
	struct waiting waiting;
	struct waiter woken;	/* of conf.wake */
	bool stopping, behind;	/* behind: relayed frames were left for the next round */
	bool due, due_waits;	/* flows are left that are to end; the sink has to make room first */
	int64_t crowded;	/* of worker_steady(): since when the ring of events is; 0: it is not */
	bool came;		/* frames, since the last tick */
	unsigned ticks_alone;	/* in which none came */
	unsigned patience;	/* ms that are left to wait for room in the ring of events; 0 until the end */
	struct entry *answered_first;	/* what was answered since the last flush */
	bool judging, judge_waits;	/* open flows are left to be judged anew; somebody has to make room first */
	uint64_t beats, not_relayed, not_asked;
	struct worker_traffic *traffic[TRAFFIC_CHUNKS];
	struct frame frames[BATCH];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct command *command;	/* under lock: waiting to be carried out */
};

int64_t worker_now(void);	/* ns since the epoch */
int64_t worker_steady(void);	/* ns of a clock that nobody sets */
/* What could be told later should be: the sink is behind, and not for longer than it may need to catch up (then what finds no room is dropped and counted). */
bool worker_spares_sink(struct worker *);

/* ---- worker_judge.c ---- */
void judging_begin(struct worker *);	/* the core has another policy */
void judging_turn(struct worker *);	/* a slice of what is left */
int judging_wait_ms(const struct worker *);	/* until the next slice; -1: none is left */
bool judging_refused(struct worker *, const struct dpi_refused *);	/* dpi_ops.refused of a flow that shows no packet */

/* ---- worker_ask.c ---- */
void ask_fill(struct worker *, struct dpi_ops *);

/* ---- worker_frames.c ---- */
struct entry *frames_find(struct worker *, const struct source *);	/* NULL: it is not here */
int frames_add(struct worker *, const struct entry *);		/* copies; -ENOMEM, or what epoll says */
/* Reads what is still there, has everything answered, and forgets it; it is not closed. */
void frames_remove(struct worker *, const struct source *);
/* Runs one source until it has nothing more or its turn is over; true when it should be asked again at once. */
bool frames_run(struct worker *, struct entry *, unsigned turns);
/* Frames that other workers read and this one inspects. */
void frames_run_relayed(struct worker *);
/* Answers to frames that were read here and inspected elsewhere. */
void frames_take_replies(struct worker *);
/* Frames that come again; `all`: those of this source (NULL: of any) are taken as they are, whether their receiver said something or not. */
void frames_again(struct worker *, const struct entry *of, bool all);
/* The core's answer to a frame that waited (dpi_ops.answer): of this worker's sources, or of another's. */
void frames_answer(void *worker, const struct frame *, struct answer);
void frames_flush(struct worker *);	/* what was answered so leaves */

#endif
