/* SPDX-License-Identifier: GPL-2.0-or-later */
/* flowtest: says a conversation to a core of its own and gives back what the core told, as text.
 *
 * TCP conversations are wrapped in a handshake and a close; each step is the bytes of one direction, cut into segments of
 * `cut` bytes (0: one segment). Frames lie against a guard page, so that a read past the end ends the test. Events come back one a
 * line, "TYPE {json of the body}" ("http {...}"), without flow events unless asked for.
 *
 * `TALKS=DIR build/unit-dpi [SUITE]` writes each conversation that is tried at every cut or prefix as DIR/SUITE-NUMBER.talk, the form
 * that tests/golden/talk reads: a golden or a seed to begin with. */
#ifndef TQ_TESTS_FLOWTEST_H
#define TQ_TESTS_FLOWTEST_H

#include "dpi/dpi.h"
#include "dpi/proto.h"

struct flowtest_step {
	enum dir dir;
	const void *p;	/* NULL: a gap of n bytes (lost in that direction) */
	size_t n;
};
#define STEP_UP(lit) { DIR_TOSERVER, lit, sizeof(lit) - 1 }
#define STEP_DOWN(lit) { DIR_TOCLIENT, lit, sizeof(lit) - 1 }

struct flowtest {
	uint16_t dport;		/* the responder's */
	bool udp;		/* each step is one datagram */
	bool v6;
	size_t cut;		/* bytes per segment; 0: whole */
	size_t cut_at;		/* one more cut after so many bytes of each direction's stream; 0: none */
	bool flow_events;	/* tell `flow` events too */
};

struct flowtest_result {
	char *text;		/* events, one a line; freed by flowtest_free */
	enum app app;		/* of the flow at its end */
	unsigned bad;		/* parse errors */
};

struct flowtest_result flowtest_run(const struct flowtest *, const struct flowtest_step *, unsigned n);
void flowtest_free(struct flowtest_result *);

/* Runs it whole, in segments of 1 byte, and with a cut after every single byte: events must be the same each time.
 * Asserts with CUnit; returns the text of the whole run (to be freed). */
char *flowtest_every_cut(const struct flowtest *, const struct flowtest_step *, unsigned n);
/* Every prefix of the conversation and every datagram or stream cut short, then the end: nothing but not crashing is asked. */
void flowtest_every_prefix(const struct flowtest *, const struct flowtest_step *, unsigned n);

/* An event as such a line, without the line's end; *text is to be freed. */
void flowtest_event_text(const struct event *, char **text);

#endif
