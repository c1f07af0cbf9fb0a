/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rules: the chains in a workload's own network namespace: what is wanted, what is present, the changes between.
 *
 * Jump at the head of INPUT and OUTPUT, chains NV_INPUT_PROXYMESH / NV_OUTPUT_PROXYMESH ending in RETURN (quarantine
 * chains NV_INPUT_QUAR_PROXYMESH / NV_OUTPUT_QUAR_PROXYMESH before them). One iptables-restore --noflush and one
 * ip6tables-restore per change: atomic, own chains only, never a policy line of a built-in chain. Programs are run by
 * argv, without a shell, in the workload's netns.
 *
 * rules_text() and rules_plan() are pure and unit-tested without a kernel. */
#ifndef TQ_NFQ_RULES_H
#define TQ_NFQ_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/netid.h"

enum ipt_backend { IPT_AUTO, IPT_NFT, IPT_LEGACY };
enum ipt_table { IPT_TABLE_AUTO, IPT_TABLE_FILTER, IPT_TABLE_SECURITY, IPT_TABLE_MANGLE };

struct peer_port {		/* a port that a local server's own queue owns: our client rules let it pass */
	struct addr addr;
	uint8_t ipproto;
	uint16_t port;		/* 0: all */
};

struct rules_want {
	char interface[16];		/* in the workload */
	struct app_ports apps;
	enum app_side side;
	bool loopback;			/* also on lo: OUTPUT -o lo --dport, INPUT -i lo --sport */
	bool bypass;			/* --queue-bypass (fail: open) */
	uint16_t queue_tcp;		/* TCP queue; UDP goes to the next number (no GSO there) */
	uint32_t mark, mask;		/* packets that carry it are returned by each chain's first rule */
	bool offload;			/* decided flows skip the queue by their connection's mark, which turns conntrack and its counters on (conntrack.h) */
	enum ipt_backend backend;
	enum ipt_table table;
	const struct peer_port *peers;	/* borrowed */
	unsigned npeers;
	bool quarantine;		/* drop everything but ARP/ND and what goes over lo; no apps are needed then */
	bool seen;			/* quarantine: what leaves by `interface` is cut off behind it, by filters that show it: it may go that far */
};

struct rules_counts { uint64_t queued_packets, queued_bytes; };	/* of the NFQUEUE rules, both families, since they were written */

struct rules_state {
	enum ipt_backend backend;	/* chosen: legacy only where its tables exist already or nft is missing */
	enum ipt_table table;		/* chosen: filter, or security where the netns has rules or a policy of its own there, or mangle */
	bool own_firewall;		/* the netns has rules of its own in that hook */
	bool nat_redirect;		/* it REDIRECTs or DNATs inside itself: --ctorigdstport is matched as well */
	bool offload;			/* it is wanted, and the kernel and its programs can */
	struct rules_counts counts;	/* as read back */
	bool complete;			/* read back and exactly what is wanted, both families */
	char differs[160];
	uint64_t generation;		/* rules_generation from just before the tables were read: what was changed since then shows */
};

/* All in the netns of nsfd, by netns_run on this thread. */
int rules_ensure(int nsfd, const struct rules_want *, struct rules_state *, unsigned *changes, struct err *);
int rules_check(int nsfd, const struct rules_want *, struct rules_state *, struct err *);
/* Cheap: a number that changes whenever somebody changed a table (nft generation id; legacy SO_GET_INFO entries and sizes). */
int rules_generation(int nsfd, uint64_t *gen, struct err *);
/* The same number, asked again and again: a few descriptors of the netns are kept, and nobody has to enter it. legacy: rules_legacy_here(), asked once for
 * all. A number that differs may be an earlier kept descriptor's fault (a module that came later brings files of its own): ask rules_generation() then. */
struct rules_watch;
struct rules_watch *rules_watch_open(int nsfd, struct err *);
int rules_watch_generation(struct rules_watch *, bool legacy, uint64_t *gen, struct err *);
void rules_watch_close(struct rules_watch *);	/* NULL is fine */
bool rules_legacy_here(void);			/* this kernel has the legacy tables' module */
int rules_counts(int nsfd, const struct rules_state *, struct rules_counts *, struct err *);
/* The step before rules that offload, where connections are open: turns conntrack on, and nothing else. Returns whether it did; then give them some time to
 * speak. Else the kernel would learn of a connection from several packets that wait in the queue together, and drop all but one of them
 * (nf_ct_resolve_clash() in net/netfilter/nf_conntrack_core.c). */
int rules_track(int nsfd, const struct rules_want *, struct err *);
/* The first step of removing: no packet meets our rules any more, but conntrack stays on where they turned it on. Were it turned off now, the kernel would
 * drop every packet that waits in a queue of the netns (nf_queue_nf_hook_drop() in net/netfilter/nf_queue.c). Returns how many changes that took. */
int rules_unhook(int nsfd, struct err *);
/* Takes our jumps and chains away from every table of every back end they are found in. Not there is fine. Returns how many were found. With queues that are open
 * first rules_unhook. */
int rules_remove(int nsfd, struct err *);
/* Cheap, without running a program: 0: nothing of ours stands there. 1: something does, or may (legacy tables are there). */
int rules_left(int nsfd, struct err *);
/* Then deletes the nf_tables tables that iptables made for our first rule, if they hold nothing of anybody's. Only when our queues are closed: with
 * a table go its hooks, and with a hook every packet that waits in a queue of the netns (nf_queue_nf_hook_drop() in net/netfilter/nf_queue.c). */
int rules_drop_tables(int nsfd, struct err *);
/* The same as all of these at once, without running a program: 1 where our rules stand in nf_tables' tables in which nobody else has anything. So nothing of
 * anybody's is jumped over either when a queue with bypass is closed before its rules go, which rules_drop_own() wants. 0: it takes the steps above. */
int rules_alone(int nsfd, struct err *);
int rules_drop_own(int nsfd, struct err *);		/* 1: done; 0: somebody came in between, or rules_alone() is not so */
/* Preflight in a netns of its own: back ends and tables usable here. */
struct rules_probe { bool nft, legacy, security, nfqueue, conntrack, offload; };
int rules_probe(struct rules_probe *, struct err *);

#endif
