/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `tapq status`, of offload: how many flows go by their queues, and in one sentence each what keeps others in them. */
#include <stdio.h>
#include <string.h>

#include "agent/answer_parts.h"

static void why(struct jbuf *out, const char *text) { jb_str(out, NULL, text); }

static void why_sink(struct jbuf *out, const struct sink_stats *s)
{
	uint64_t mask = s->mask & dpi_events_inline();
	char text[512];
	int n = 0;

	for (unsigned e = 0; e < EV_COUNT && n < 200; e++)
		if (mask >> e & 1)
			n += snprintf(text + n, sizeof text - (size_t)n, "%s%s", n ? ", " : "", event_type_name((enum event_type)e));
	if (!n)
		return;
	snprintf(text + n, sizeof text - (size_t)n, " events are taken by %.200s", s->name);
	why(out, text);
}

static void why_workload(struct jbuf *out, const struct workload *w)
{
	char text[256];

	if (!w->queue.ready || w->queue.rules.offload)
		return;
	snprintf(text, sizeof text, "workload %.120s: the kernel has no conntrack with marks and counters there (tapqd --check)", w->name);
	why(out, text);
}

void status_offload(const struct node *n, struct jbuf *out)
{
	struct sink_stats sinks[64];
	unsigned nsinks = sinks_stats(n->sinks, sinks, 64);
	uint64_t flows = 0;

	for (unsigned i = 0; i < n->nworkers; i++) {
		struct dpi_sizes s;

		worker_sizes(n->workers[i], &s);
		flows += s.flows_away;
	}
	jb_obj(out, "offload");
	jb_bool(out, "wanted", n->config->offload);
	jb_u64(out, "flows", flows);
	jb_arr(out, "why");
	if (!n->config->offload)
		why(out, "nfq.offload is false");
	for (const struct workload *w = n->reg.first; w && n->config->offload; w = w->next)
		why_workload(out, w);
	for (unsigned i = 0; i < nsinks; i++)
		why_sink(out, &sinks[i]);
	jb_end_arr(out);
	jb_end_obj(out);
}
