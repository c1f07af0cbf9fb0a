/* SPDX-License-Identifier: GPL-2.0-or-later */
/* eve: one event as a line of EVE JSON (CONTRACT section 4, Suricata's field names). Runs on the sink thread only. */
#ifndef TQ_AGENT_EVE_H
#define TQ_AGENT_EVE_H

#include "agent/fqdn.h"
#include "agent/names.h"
#include "base/jbuf.h"
#include "dpi/event.h"

struct eve_memo;	/* what lines have in common, written once: one for each thread that formats */

struct eve_conf {
	const char *node;
	struct names *names;	/* NULL: no workloads */
	struct eve_memo *memo;	/* NULL: none */
	const struct fqdn_cache *fqdn;	/* names that workloads learned; NULL: none */
	bool utc;		/* timestamps in UTC ("+0000"), so that replay is repeatable; else the local zone */
};

struct eve_memo *eve_memo_new(void);	/* NULL: no memory */
void eve_memo_free(struct eve_memo *);	/* NULL is fine */
/* Appends the line, newline included. */
void eve_format(struct jbuf *, const struct eve_conf *, const struct event *);
/* The names by which a workload knows an address, as a list `dest_names` of the open object; nothing where there are none. since: the flow's begin. */
void eve_put_dest_names(struct jbuf *, const struct fqdn_cache *, uint32_t workload, const struct addr *dest, int64_t since);
/* "2026-01-02T03:04:05.123456+0000"; returns buf. */
const char *eve_timestamp(int64_t ns, bool utc, char buf[64]);
/* Community ID 1.0 of the tuple ("1:" + base64 of SHA-1, seed 0). out: 32 bytes. */
void eve_community_id(const struct event *, char out[32]);

#endif
