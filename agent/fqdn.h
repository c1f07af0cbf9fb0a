/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fqdn: the names that workloads learned from answers to their own DNS queries: (workload, address) to names. One table, written and read
 * by all workers and read by the sinks' thread and the main one. An entry is believed until its TTL and FQDN_GRACE are over; it stays in
 * the table until its place is needed, because connections that were opened before go on.
 *
 * Bounded: a fixed number of buckets of BUCKET bytes. A bucket without room lets go what is not believed any more, then the entry
 * with the least time left of the workload that has most there (counted): a workload that learns without end pushes out its own. */
#ifndef TQ_AGENT_FQDN_H
#define TQ_AGENT_FQDN_H

#include "base/addr.h"
#include "base/cursor.h"
#include "base/hash.h"

#define FQDN_GRACE INT64_C(60000000000)		/* ns behind the TTL */
#define FQDN_TTL_MAX (7 * 86400u)		/* s; longer ones are cut (RFC 8767, section 4) */
#define FQDN_TEXT_MAX 253u
#define FQDN_NAMES 65536u			/* what one agent has room for: 4 MiB, touched as it is used */

struct fqdn_cache;

/* About `names` of usual length have room (rounded up to a power of two buckets). NULL: no memory. */
struct fqdn_cache *fqdn_cache_new(unsigned names, const struct hash_key *);
void fqdn_cache_free(struct fqdn_cache *);	/* NULL is fine */

/* now, since: ns since the epoch. Any thread. name: clean (dpi/policy.h), 1 to FQDN_TEXT_MAX bytes. */
void fqdn_cache_learn(struct fqdn_cache *, uint32_t workload, const struct addr *, struct bytes name, uint32_t ttl, int64_t now);
/* Calls fn for each name that was still believed at `since`, latest learned last. The name is borrowed for the call. */
void fqdn_cache_each(const struct fqdn_cache *, uint32_t workload, const struct addr *, int64_t since, void (*fn)(void *ctx, struct bytes name), void *ctx);
/* An address that the workload knows by that name and that was believed at `since`; false: none. Walks the whole table. */
bool fqdn_cache_find(const struct fqdn_cache *, uint32_t workload, struct bytes name, int64_t since, struct addr *out);

struct fqdn_cache_stats { uint64_t learned, renewed, pushed_out; };	/* new entries; entries that were there; believed ones that had to go */
void fqdn_cache_stats(const struct fqdn_cache *, struct fqdn_cache_stats *);

#endif
