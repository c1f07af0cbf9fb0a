/* SPDX-License-Identifier: GPL-2.0-or-later */
/* workload: the containers of this node: who they are, where they are found, when they are gone.
 *
 * Identity is the netns' cookie. A workload lives until no process but ours is in its netns and no path names it; then
 * every descriptor of ours is closed, so that the kernel can take the netns down. Main thread only. */
#ifndef TQ_AGENT_WORKLOAD_H
#define TQ_AGENT_WORKLOAD_H

#include <sys/types.h>

#include "agent/config.h"
#include "agent/names.h"
#include "agent/policy_file.h"
#include "agent/unseen.h"
#include "base/source.h"
#include "bridge/census.h"
#include "bridge/link.h"
#include "nfq/conntrack.h"
#include "nfq/queue.h"
#include "nfq/reset.h"
#include "nfq/rules.h"
#include "tc/filter.h"

#define WORKLOAD_LINKS_MAX 8
#define WORKLOADS_MAX 4096

struct worker;

/* One veth of a workload. */
struct wl_link {
	struct link_end end;
	uint32_t view;			/* even, > 0, never used again */
	bool mirror_wanted;
	bool mirror_ready;		/* read back and complete */
	bool excluding;			/* exclusions for its queue are in the filters */
	bool cut;			/* the filters that were read back are those of quarantine */
	bool standing;			/* something of ours may stand on it, be it of a run before: until it was taken away */
	bool touched;			/* somebody changed something of its qdisc or filters since they were last read back */
	struct tc_state tc;
	struct err tc_error;		/* last failure; empty: none */
	struct fence *fence[2];	/* what policy refuses whatever comes: [0] of what it sends, [1] of what is sent to it; owned */
	unsigned nfence[2];
};

/* The workload's NFQUEUE side; on its first link. */
struct wl_queue {
	bool wanted, ready;		/* ready: socket open, rules read back and complete */
	bool claimed;			/* within one reconcile: workers are told that it owns its ports, though it is still being made */
	struct source *source;		/* owned by `worker` while it runs there */
	struct worker *worker;
	struct reset *reset;
	struct conntrack *conntrack;	/* NULL: nothing is offloaded */
	struct rules_state rules;
	uint64_t generation;		/* rules_generation when they were last read back */
	struct err error;
	struct app_ports apps;		/* what the rules in force say */
	enum app_side side;
	bool loopback, bypass, quarantined;
	bool offload;			/* as configured when it was opened */
	struct unseen unseen;
};

struct workload {
	struct workload *next;
	uint32_t id;			/* in names; never reused */
	uint32_t iface;			/* id of its first host veth's name */
	char name[CONFIG_NAME_MAX];
	struct labels labels;		/* owned */
	char *image, *netns;		/* for groups; NULL: not known (struct policy_who); owned */
	pid_t image_pid;		/* of whom the image was asked last */
	const struct static_workload *own;	/* in the configuration in force; NULL: discovered */
	int nsfd;
	uint64_t cookie, ino;
	int nsid;			/* the node's id for its netns, as long as nsfd is open; -1: not known */
	bool look;			/* links and addresses are to be read anew */
	pid_t pid;			/* some process in it; 0: none known */
	unsigned young;			/* registry_reap() calls that looked for a first process */
	struct wl_opts opts;		/* in force */
	struct wl_link links[WORKLOAD_LINKS_MAX];
	unsigned nlinks;
	struct wl_queue queue;
	bool quarantined;		/* its name is in the registry's list */
	struct wl_cut {			/* quarantine's chains, where the queue's rules do not bring them */
		bool ready;		/* read back and complete */
		struct rules_state rules;
		uint64_t generation;
		struct err error;
	} cut;
	struct rules_watch *watch;	/* tells whether somebody changed a table of it; NULL: not asked yet */
	enum { RULES_NONE, RULES_PERHAPS, RULES_OURS } standing;	/* in its netns until they were taken away; perhaps: of a run before, nobody looked yet */
	bool seen;			/* what its rules were last written with: its veth shows what leaves it in quarantine */
	uint64_t peers_key;		/* of the local servers' ports that its client rules were written to let pass; 0: none */
	bool todo;			/* within one reconcile: this one is being worked on */
	bool switched;			/* what its flows go through changed: told to enforcement with the next world */
	bool changed;			/* links or options changed: to be reconciled */
	int64_t lifted;			/* ns since the epoch: until then nothing is excluded from its mirror, because it sends past its queue */
	unsigned backoff;		/* rounds to wait after a failure */
};

/* App ports that `tapq apps` added or took away, by workload name: kept over a reload, not over a stop. */
struct app_change {
	struct app_change *next;
	char name[CONFIG_NAME_MAX];
	bool add;
	struct app_port port;
};

struct registry {
	struct workload *first;
	unsigned count;
	uint32_t next_view;
	struct names *names;
	struct census_paths paths;
	unsigned missing;		/* of the last scan: paths, namespaces and links that could not be had (yet); no event may tell when they can */
	unsigned reaps, looks;		/* registry_reap() and registry_look() calls so far */
	int *nsid;			/* within a scan: ids of all that are known, sorted */
	unsigned nnsid;
	struct app_change *changes;
	char **quarantined;		/* names, whoever has them; agent/quarantine.c */
	unsigned nquarantined;
	uint64_t found, gone;		/* counters */
};

/* Looks for workloads: static ones first (their names win), then every veth's netns when the configuration discovers. New ones are added
 * with `changed` set; links and addresses of known ones are read anew where something was heard of them (changed when they differ). *changed tells whether
 * anything did. What no event tells (there are such kernels' bugs, and overflows) is found by registry_look(). */
int registry_scan(struct registry *, const struct config *, bool *changed, struct err *);
/* Marks the dead: calls `gone` for each workload whose netns is no more in use; the callback detaches it and then calls registry_drop. */
int registry_reap(struct registry *, void (*gone)(void *ctx, struct workload *), void *ctx, struct err *);
/* Reads links and addresses of those that something was heard of anew, and of nobody else. True when anything is to be reconciled. */
bool registry_refresh(struct registry *);
/* The next scan or refresh reads links and addresses of those whose turn it is: each once in `turns` calls. 1: of all. */
void registry_look(struct registry *, unsigned turns);
/* ... of whom this event is about. */
void registry_heard(struct registry *, const struct link_event *);
/* Closes the descriptor and frees. */
void registry_drop(struct registry *, struct workload *);
/* Options of each workload from this configuration; `changed` where they differ. Workloads that are now excluded, or are somebody else now (a
 * static one's netns, interface, image or labels changed, a discovered one got a name), go to `gone`. The configuration before is still there. */
void registry_configure(struct registry *, const struct config *, void (*gone)(void *ctx, struct workload *), void *ctx);
struct workload *registry_find(struct registry *, const char *name);
/* The groups that it is in by what it is (the caller's bits of policy_groups). */
void workload_groups(const struct workload *, const struct policy_file *, struct group_set *out);
/* -EEXIST/-ENOENT: nothing to add/take away; -ENOSPC: too many ports. */
int registry_change_app(struct registry *, const struct config *, struct workload *, bool add, const struct app_port *, struct err *);
/* Is the name cut off? */
bool registry_quarantined(const struct registry *, const char *name);
void registry_free(struct registry *);

#endif
