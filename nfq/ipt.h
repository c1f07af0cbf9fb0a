/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipt: what the files behind nfq/rules.h share. Nobody outside nfq/ includes it.
 *
 *	rules_look	what the netns has at all, asked without creating anything (netlink, /proc)
 *	nfnl		nf_tables requests by libmnl
 *	nft_drop	empty tables that our first rule brought into being go again
 *	ipt_run		iptables-restore and -save as child processes
 *	rules_parse	the text of -save (and our own wanted text, which has the same form) to lines
 *	rules_text	pure: the text of what is wanted
 *	rules_plan	pure: wanted and present to the text of a restore, or to nothing
 *	rules_gen	a cheap number that changes when a table does
 *	rules_acct	the counters of conntrack, on and off
 *	rules_probe	what this kernel and its programs can do, found once
 *	rules		the public functions */
#ifndef TQ_NFQ_IPT_H
#define TQ_NFQ_IPT_H

#include <stdio.h>

#include "nfq/rules.h"

#define CHAIN_IN "NV_INPUT_PROXYMESH"
#define CHAIN_OUT "NV_OUTPUT_PROXYMESH"
#define CHAIN_QUAR_IN "NV_INPUT_QUAR_PROXYMESH"
#define CHAIN_QUAR_OUT "NV_OUTPUT_QUAR_PROXYMESH"
#define ACCT_COMMENT "tapqueue-acct"	/* of a rule of ours: conntrack does not count in this netns but for us */

enum ipt_family { IPT_V4, IPT_V6, IPT_FAMILIES };
enum { IPT_BACKENDS = 2 };	/* IPT_NFT and IPT_LEGACY, as index: backend - 1 */

const char *ipt_table_name(enum ipt_table);		/* "filter", ...; not for IPT_TABLE_AUTO */
const char *ipt_backend_name(enum ipt_backend);		/* "nft", "legacy"; not for IPT_AUTO */

/* ---- rules_parse ---- */

enum ipt_kind { IPT_CHAIN, IPT_RULE, IPT_FOREIGN /* a table that the program says it cannot show in full */ };

struct ipt_line {
	enum ipt_kind kind;
	const char *table;
	const char *chain;
	const char *spec;		/* rule: what stands after "-A CHAIN "; chain: its policy, "-" for a chain of a user's */
	uint64_t packets, bytes;	/* rule, where the text has counters */
};

struct ipt_dump {
	char *text;			/* owned; the lines point into it */
	struct ipt_line *line;
	size_t n, size;
};

/* Takes `text` (malloc'd, NUL-terminated), also on failure. 0, -EPROTO or -E2BIG or -ENOMEM. */
int ipt_parse(char *text, struct ipt_dump *, struct err *);
void ipt_dump_free(struct ipt_dump *);

/* The next line of a kind in table and chain (NULL: any) from *at on, which moves past it; NULL at the end. */
const struct ipt_line *ipt_next(const struct ipt_dump *, size_t *at, enum ipt_kind, const char *table, const char *chain);
const struct ipt_line *ipt_chain(const struct ipt_dump *, const char *table, const char *chain);
/* One of our chains by name? */
bool ipt_own_chain(const char *name);
/* The chain of ours that this rule jumps to, or NULL. */
const char *ipt_jumps_to_own(const struct ipt_line *);
/* True when both say the same rule, whatever program wrote them: implied "-m tcp", host prefixes, address forms, numbers of
 * protocols, full masks. */
bool ipt_same_rule(const char *a, const char *b);
/* The value behind `option` ("-j"), copied; false when it is not there. */
bool ipt_option(const char *spec, const char *option, char *out, size_t size);

/* ---- rules_look ---- */

struct ipt_look {
	bool nft_here;				/* the kernel answers nf_tables requests */
	bool nft_tables[IPT_FAMILIES];		/* some table of this family exists */
	bool nft_odd_filter;			/* chain INPUT or OUTPUT of table filter has not the priority that iptables gives it */
	bool nft_redirects[IPT_FAMILIES];	/* some rule redirects or changes a destination */
	bool legacy_tables[IPT_FAMILIES];
	bool ipv6;				/* this kernel has IPv6 on */
};

/* On this thread's netns. */
int ipt_look(struct ipt_look *, struct err *);
/* nf_tables' generation of this netns; 0 where there is no nf_tables. */
int nft_generation(uint32_t *gen, struct err *);
struct nfnl;
int nft_generation_on(struct nfnl *, uint32_t *gen, struct err *);	/* ... of the netns that this socket was opened in */
/* rules_gen: all tables of this thread's netns in one number, never 0. */
int ipt_generation(uint64_t *gen, struct err *err);
/* Names of the family's legacy tables, one a line; empty where there are none. Returns their length. */
size_t ipt_legacy_names(enum ipt_family, char *out, size_t size);
int ipt_legacy_open(enum ipt_family);		/* their file, which stays that netns'; -1: there is none */

/* ---- nft_drop ---- */

/* Deletes filter, security and mangle of both families of nf_tables, each if it has no rule, no set, no chain of somebody's and no policy but accept. Not
 * there is fine. */
int nft_drop_empty(struct err *);
/* 1: something of ours stands in one of these. */
int nft_has_own(struct err *);
/* Deletes those that something of ours stands in, if nothing of anybody else's stands in any of these; all at once. 1: they are gone (drop: false: could be); 0: there
 * are none, or others are in them, or somebody changed a table meanwhile. *acct: a rule of ours has ACCT_COMMENT. */
int nft_drop_own(bool drop, bool *acct, struct err *);

/* ---- ipt_run ---- */

#define IPT_DEADLINE_MS 5000
#define IPT_OUTPUT_MAX (8u << 20)

/* Runs in this thread's netns. -EIO with the program's own words in err when it says no; -ENOENT when it is not installed;
 * -ETIMEDOUT (it was killed) after IPT_DEADLINE_MS. */
int ipt_restore(enum ipt_backend, enum ipt_family, const char *text, struct err *);
/* With counters; table NULL: all that are there. *out is malloc'd. */
int ipt_save(enum ipt_backend, enum ipt_family, const char *table, char **out, struct err *);

/* ---- rules_acct: does conntrack count in this thread's netns? ---- */

int acct_open(void);		/* the file that tells, which stays that netns'; -1: there is none */
int acct_read(bool *on);	/* -errno: there is no conntrack, or it cannot count */
int acct_write(bool on, struct err *);
bool acct_connections(void);	/* some TCP connection is open in it */
bool conntrack_knows_any(void);	/* conntrack has an entry of it */

/* ---- rules_probe ---- */

struct ipt_features {
	bool nft, legacy;		/* a queue rule could be written, both families */
	bool security[IPT_BACKENDS], socket[IPT_BACKENDS], conntrack[IPT_BACKENDS];
	bool connmark[IPT_BACKENDS];	/* decided flows can skip the queue, and are counted */
};

/* Found once, in a netns of its own, then remembered (the kernel does not change). */
int ipt_features(const struct ipt_features **, struct err *);

/* ---- rules_text, rules_plan: pure ---- */

struct ipt_shape {			/* what was chosen, beyond rules_want */
	enum ipt_table table;
	enum ipt_family family;
	bool redirects;			/* match the original destination port too */
	bool offload;			/* connections that are marked skip the queue, or are dropped */
	bool acct_ours;			/* counting of connections was off before us: a comment keeps that for whoever takes the rules away */
	bool whole_fragments;		/* IPv6: a rule that makes the kernel put fragments together before INPUT */
};

/* Names that a restore file can carry and that mean one interface only. */
bool rules_interface_ok(const char *name);
/* The wanted chains and jumps in the form of -save: one table. Malloc'd; NULL without memory. */
char *rules_text(const struct rules_want *, const struct ipt_shape *);

struct rules_diff {
	unsigned changes;		/* chains to write or delete, jumps to put or take away */
	char differs[160];		/* the first of them, for people */
};

/* Appends to `out` what makes `have` as `want` (parsed rules_text) in `table`, and takes ours out of every other table, new
 * before old; nothing when there is nothing to do. want NULL: out of every table. */
void rules_plan(const struct ipt_dump *want, const char *table, const struct ipt_dump *have, FILE *out, struct rules_diff *);

#endif
