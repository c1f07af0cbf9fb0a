/* SPDX-License-Identifier: GPL-2.0-or-later */
/* memcached_binary: the binary protocol, which memcached and Couchbase speak alike. */
#ifndef TQ_DPI_MEMCACHED_BINARY_H
#define TQ_DPI_MEMCACHED_BINARY_H

#include "dpi/message.h"

#define MEMCACHED_HEAD 24u

struct memcached_binary {
	struct msg_sync sync;
	struct asks asks;
	bool collections;	/* keys begin with the number of their collection */
};

/* A head that is one. Couchbase's own magics and commands are known too (*couchbase). */
bool memcached_head(struct cursor head, enum dir dir, uint64_t *len, bool *couchbase);
/* PROBE_YES: it is the binary protocol; *couchbase: with a command that only Couchbase has. */
enum probe memcached_binary_probe(const struct probe_in *in, bool *couchbase);
enum parse memcached_binary_parse(struct px *px, struct memcached_binary *s, enum dir dir, struct cursor *in);
void memcached_binary_end(struct px *px, struct memcached_binary *s);
extern const struct fact *const memcached_facts[];
/* Facts of both forms. */
extern const struct fact memcached_f_command, memcached_f_key;

#endif
