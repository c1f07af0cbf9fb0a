/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vector: conversations and what must be told of them; in what is wanted ' stands for ". */
#ifndef TQ_TESTS_VECTOR_H
#define TQ_TESTS_VECTOR_H

#include "tests/unit/dpi/flowtest.h"

#define VECTOR_STEPS 12

struct vector {
	const char *name;
	struct flowtest_step steps[VECTOR_STEPS];	/* to the first that is empty */
	const char *want;
	unsigned bad;		/* parsing ends broken */
};

/* Each whole, at every cut and cut short at every place; the flow must be of that app. */
void vectors_run(const struct flowtest *ft, enum app app, const struct vector *v, size_t n);
#define VECTORS_RUN(ft, app, rows) vectors_run(ft, app, rows, sizeof(rows) / sizeof(rows[0]))

/* What a probe says of first bytes (either may be empty). */
enum probe vector_probe(const struct proto *p, const void *up, size_t nup, const void *down, size_t ndown, bool midstream);

/* Never YES to these: beginnings of other protocols. `except`: substring of a beginning's name that is left out; NULL: none. */
void vectors_strangers(const struct proto *p, const char *except);

/* Conversations with bytes of every value in every place: nothing but not crashing is asked. */
void vectors_hostile(const struct flowtest *ft, const struct vector *v);

#define ANOMALY(event) "anomaly {'type':'proto','event':'" event "','layer':'proto'}\n"

#endif
