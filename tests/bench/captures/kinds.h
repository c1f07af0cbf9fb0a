/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The captures that the benchmark makes itself. The same arguments give the same bytes. */
#ifndef TQ_TESTS_BENCH_KINDS_H
#define TQ_TESTS_BENCH_KINDS_H

#include "tests/bench/captures/wire.h"

/* Browsers and programs that talk to web servers: `connections`, `requests` on each. Every fourth is IPv6. */
void make_http(struct capture *, unsigned connections, unsigned requests);
/* Of the goldens in dir; at least so many packets. */
void make_tls(struct capture *, const char *dir, unsigned packets);
void make_blend(struct capture *, const char *dir, unsigned packets);

#endif
