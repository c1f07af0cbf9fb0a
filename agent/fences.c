/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/fences.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "dpi/fence.h"
#include "tc/deny.h"

struct known {			/* what is the same for all workloads of a node */
	struct group_set *groups;	/* by workload, in the registry's order */
	struct fence_peer *peers;
	const struct workload **owner;	/* of each */
	unsigned npeers;
	uint64_t left_out, capped;
};

static bool gather(const struct node *n, struct known *k)
{
	unsigned i = 0, addrs = 0;

	for (const struct workload *w = n->reg.first; w; w = w->next)
		for (unsigned l = 0; l < w->nlinks; l++)
			addrs += w->links[l].end.naddrs;
	k->groups = calloc(n->reg.count + 1, sizeof *k->groups);
	k->peers = calloc(addrs + 1, sizeof *k->peers);
	k->owner = calloc(addrs + 1, sizeof *k->owner);
	if (!k->groups || !k->peers || !k->owner)
		return false;
	for (const struct workload *w = n->reg.first; w && i < n->reg.count; w = w->next, i++) {
		workload_groups(w, n->policy, &k->groups[i]);
		for (unsigned l = 0; l < w->nlinks; l++)
			for (unsigned a = 0; a < w->links[l].end.naddrs; a++) {
				const struct addr *addr = &w->links[l].end.addrs[a];

				if (addr_is_linklocal(addr) || addr_is_loopback(addr))
					continue;
				k->owner[k->npeers] = w;
				k->peers[k->npeers++] = (struct fence_peer){ *addr, &k->groups[i], w->queue.wanted ? &w->opts.apps : NULL };
			}
	}
	return true;
}

static bool equal(const struct fence *a, const struct fence *b)
{
	return a->ipproto == b->ipproto && a->pass == b->pass && a->lo == b->lo && a->hi == b->hi && a->from_lo == b->from_lo && a->from_hi == b->from_hi &&
	       a->peer.len == b->peer.len && addr_eq(&a->peer.net, &b->peer.net);
}

/* True when they are others than before. */
static bool keep(struct wl_link *l, int hook, const struct fence *f, unsigned n)
{
	bool same = n == l->nfence[hook];
	struct fence *copy;

	for (unsigned i = 0; same && i < n; i++)
		same = equal(&f[i], &l->fence[hook][i]);
	if (same)
		return false;
	copy = n ? malloc(n * sizeof *copy) : NULL;
	if (copy)
		memcpy(copy, f, n * sizeof *copy);
	free(l->fence[hook]);
	l->fence[hook] = copy;
	l->nfence[hook] = copy ? n : 0;
	return true;
}

/* All kinds. Returns their number. */
static unsigned find_all(struct fence_want *want, struct fence out[FENCE_KINDS * FENCE_OUT_MAX], struct known *k)
{
	unsigned n = 0;

	for (unsigned kind = 0; kind < FENCE_KINDS; kind++) {
		struct fence_left left;

		want->kind = (enum fence_kind)kind;
		n += fence_find(want, out + n, &left);
		k->left_out += left.out;
		k->capped += left.capped;
	}
	k->left_out += deny_fences_over(out, n);
	return n;
}

static void refresh(const struct node *n, struct workload *w, const struct group_set *groups, struct known *k)
{
	static struct fence out[FENCE_KINDS * FENCE_OUT_MAX];	/* the main thread's */
	struct fence_peer *peers = calloc(k->npeers + 1, sizeof *peers);
	unsigned npeers = 0;

	for (unsigned i = 0; peers && i < k->npeers; i++)
		if (k->owner[i] != w)
			peers[npeers++] = k->peers[i];
	for (unsigned i = 0; i < w->nlinks; i++)
		for (int hook = 0; hook < 2; hook++) {
			struct wl_link *l = &w->links[i];
			struct fence_want want = {
				.policy = n->policy ? policy_file_policy(n->policy) : NULL, .groups = groups, .addrs = l->end.addrs, .naddrs = l->end.naddrs,
				.queued = w->queue.wanted ? &w->opts.apps : NULL, .peers = peers, .npeers = npeers, .entering = hook,
			};
			unsigned found = want.policy && peers && l->mirror_wanted && !n->config->tc_shared_blocks ? find_all(&want, out, k) : 0;

			w->changed |= keep(l, hook, out, found);
		}
	free(peers);
}

static bool still_there(void *ctx, uint32_t view)
{
	const struct node *n = ctx;

	for (const struct workload *w = n->reg.first; w; w = w->next)
		for (unsigned i = 0; i < w->nlinks; i++)
			if (w->links[i].view == view)
				return true;
	return false;
}

void fences_refresh(struct node *n)
{
	struct known k = { .npeers = 0 };
	unsigned i = 0;

	if (n->policy && !gather(n, &k))
		log_error(AGENT, "no memory to work out what is refused whatever comes");
	else
		for (struct workload *w = n->reg.first; w; w = w->next, i++)
			refresh(n, w, k.groups ? &k.groups[i] : NULL, &k);
	enforce_keep(n->enforce, still_there, n);
	if ((k.left_out || k.capped) && (k.left_out != n->fences_left_out || k.capped != n->fences_capped))
		log_warn(TC, "of what the policy refuses by addresses and ports %llu ranges have no filter of their own, and %llu hooks not all of them: refused from their first packet on",
			 (unsigned long long)k.left_out, (unsigned long long)k.capped);
	n->fences_left_out = k.left_out;
	n->fences_capped = k.capped;
	free(k.groups);
	free(k.peers);
	free(k.owner);
}
