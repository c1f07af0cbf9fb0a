/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/unseen.h"

#include "nfq/queue.h"

uint64_t unseen_ids(int nsfd, uint16_t queue_tcp)
{
	struct queue_kernel k;
	struct err err = { "" };

	return queue_kernel_counts(nsfd, queue_tcp, &k, &err) ? 0 : k.id_sequence;
}

void unseen_begin(struct unseen *u, uint64_t ids, const struct rules_state *rules, const struct source *src)
{
	u->kept += u->now;
	u->now = 0;
	u->settling = false;
	u->fulls = queue_fulls(src);
	u->base = (int64_t)rules->counts.queued_packets - (int64_t)ids;
}

void unseen_look(struct unseen *u, int nsfd, uint16_t queue_tcp, const struct rules_state *rules, const struct source *src)
{
	uint64_t fulls = queue_fulls(src);
	struct rules_counts hits;
	struct queue_kernel k;
	struct err err = { "" };
	int64_t now;

	if (fulls == u->fulls && !u->settling)
		return;
	/* hits first: while packets come the difference is too small rather than too large, and it settles with them */
	if (rules_counts(nsfd, rules, &hits, &err) || queue_kernel_counts(nsfd, queue_tcp, &k, &err))
		return;
	now = (int64_t)hits.queued_packets - (int64_t)k.id_sequence - u->base;
	u->settling = fulls != u->fulls || (uint64_t)now != u->now;
	u->fulls = fulls;
	if (now > 0 && (uint64_t)now > u->now)
		u->now = (uint64_t)now;
}
