/* SPDX-License-Identifier: GPL-2.0-or-later */
/* counter: names, help texts and values of counters.
 *
 * A module lists its counters once in a .def file (id, dotted name, help sentence) and
 * expands from it an enum and a table of counter_desc. The values are plain 64-bit
 * words in an array that one thread writes and others read without a lock
 * (relaxed atomics: a reader sees a value that was true a moment ago). */
#ifndef TQ_BASE_COUNTER_H
#define TQ_BASE_COUNTER_H

#include <stdint.h>

struct counter_desc {
	const char *name;	/* dotted, e.g. "decode.ipv4.truncated" */
	const char *help;	/* one sentence */
};

static inline void counter_add(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);	/* single writer: no lock prefix needed */
}

static inline uint64_t counter_get(const uint64_t *c) { return __atomic_load_n(c, __ATOMIC_RELAXED); }

#endif
