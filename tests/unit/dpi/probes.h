/* SPDX-License-Identifier: GPL-2.0-or-later */
/* probes: what a protocol's probe says of first bytes, in a table. */
#ifndef TQ_TESTS_PROBES_H
#define TQ_TESTS_PROBES_H

#include "tests/unit/dpi/vector.h"
#include "tests/unit/unit.h"

struct probe_row {
	const void *up;
	size_t up_n;
	const void *down;
	size_t down_n;
	enum probe want;
	bool midstream;
};
#define UP(lit, want) { lit, sizeof(lit) - 1, NULL, 0, want, false }
#define DOWN(lit, want) { NULL, 0, lit, sizeof(lit) - 1, want, false }
#define BOTH(up, down, want) { up, sizeof(up) - 1, down, sizeof(down) - 1, want, false }
#define MID_UP(lit, want) { lit, sizeof(lit) - 1, NULL, 0, want, true }
#define MID_DOWN(lit, want) { NULL, 0, lit, sizeof(lit) - 1, want, true }

/* Each row on a port that says nothing; then the beginnings of other protocols (vectors_strangers, all but `except`). */
void probes_run(const struct proto *proto, const char *except, const struct probe_row *row, size_t n);
#define PROBES(proto, except, rows) probes_run(proto, except, rows, sizeof(rows) / sizeof(rows[0]))
/* Never NO for a beginning of these bytes, and YES for all of them. */
void probe_grows(const struct proto *proto, enum dir dir, const void *p, size_t n);
/* Whether the events are what is wanted (' for "); prints both if not. */
bool told_same(const char *name, const char *text, const char *want);

#endif
