/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lab: a node and a container for one test, in a forked child with network namespaces of its own.
 *
 *   container netns          node netns (where the test runs)
 *   c0 10.9.0.2 fd09::2 ---- v0 10.9.0.1 fd09::1      vbr, vbr-in (the mirror's bridges)
 *
 * A test's checks are LAB_CHECK: CUnit's own counters do not reach out of the child. */
#ifndef TQ_TESTS_UNIT_TC_LAB_H
#define TQ_TESTS_UNIT_TC_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/source.h"
#include "tc/filter.h"
#include "tc/mirror.h"

struct lab {
	int node, container;	/* descriptors of the namespaces */
	int v0, c0, vbr, vbr_in;	/* interface indexes */
	int raw[2];		/* packet sockets: [0] on c0 (what it sends leaves the workload), [1] on v0 (enters it) */
	unsigned failed;
};

#define LAB_CHECK(lab, cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "    %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			(lab)->failed++; \
		} \
	} while (0)

/* Runs fn in a child with a lab; a CUnit failure when a check failed or the child died. Skips aloud without the privilege. */
void lab_run(void (*fn)(struct lab *));

/* A shell command in the node's (or the container's) namespace: tests may, the product may not. Its exit status. */
int lab_sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int lab_sh_in(struct lab *, const char *command);
/* What it prints; caller frees. */
char *lab_output(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

extern enum tc_engine lab_engine;	/* of lab_want() */
struct tc_want lab_want(const struct lab *);

/* A struct tc, and what it said last. */
struct lab_tc {
	struct tc *tc;
	struct tc_state st;
	struct err err;
	unsigned changes;
};
bool lab_ensures(struct lab_tc *, const struct tc_want *, bool changes);	/* complete, with changes or without */
bool lab_wrong(struct lab_tc *, const struct tc_want *);	/* tc_check says so, and what */
/* v0's qdiscs and filters as tc shows them. */
char *lab_shows(void);
bool lab_as_before(char *shown);	/* by lab_shows(); freed */

struct source *lab_mirror(const struct lab *, uint32_t block_size, uint32_t blocks);
bool lab_send(struct lab *, int hook, const uint8_t *frame, size_t len);

/* Reads frames until `until` of them came, or nothing came for idle_ms. fn is called for each. Returns their number; -errno when the source broke. */
int lab_read(struct source *, unsigned until, int idle_ms, void (*fn)(void *ctx, const struct frame *), void *ctx);

/* A socket made in the container's namespace. */
int lab_socket(struct lab *, int family, int type, int protocol);

#endif
