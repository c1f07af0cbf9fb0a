/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/owner.h"

#include <netinet/in.h>

bool app_ports_has(const struct app_ports *a, uint8_t ipproto, uint16_t port)
{
	if (ipproto != IPPROTO_TCP && ipproto != IPPROTO_UDP)
		return false;
	if (a->all)
		return true;
	for (unsigned i = 0; i < a->n; i++)
		if (a->port[i].port == port && a->port[i].ipproto == ipproto)
			return true;
	return false;
}

static bool queues(const struct owner_row *r, enum app_side side, uint8_t ipproto, uint16_t port)
{
	return r && r->queue && (r->side & side) && app_ports_has(&r->apps, ipproto, port);
}

/* True when src comes first, so that both directions of a flow choose the same end. */
static bool src_first(const struct tuple *t)
{
	int c = addr_cmp(&t->src, &t->dst);

	return c < 0 || (c == 0 && t->sport <= t->dport);
}

static struct owner choose(const struct owner_row *src, bool s, const struct owner_row *dst, bool d, const struct tuple *t)
{
	const struct owner_row *r = s && (!d || src_first(t)) ? src : dst;

	return (struct owner){ OWNER_QUEUE, r->workload };
}

struct owner owner_of(const struct owner_row *src, const struct owner_row *dst, const struct tuple *t)
{
	bool s, d;

	if (src && src == dst) {	/* on lo only the loopback rules can show it; whatever the side */
		bool on = src->queue && src->loopback &&
			(app_ports_has(&src->apps, t->ipproto, t->dport) || app_ports_has(&src->apps, t->ipproto, t->sport));

		return on ? (struct owner){ OWNER_QUEUE, src->workload } : (struct owner){ OWNER_MIRROR, 0 };
	}
	if ((src && src->cut) || (dst && dst->cut))
		return (struct owner){ OWNER_MIRROR, 0 };
	s = queues(src, SIDE_SERVER, t->ipproto, t->sport);
	d = queues(dst, SIDE_SERVER, t->ipproto, t->dport);
	if (s || d)
		return choose(src, s, dst, d, t);
	s = queues(src, SIDE_CLIENT, t->ipproto, t->dport);
	d = queues(dst, SIDE_CLIENT, t->ipproto, t->sport);
	if (s || d)
		return choose(src, s, dst, d, t);
	return (struct owner){ OWNER_MIRROR, 0 };
}
