/* SPDX-License-Identifier: GPL-2.0-or-later */
/* anew: open flows when the policy is another one (dpi_judge_anew).
 *
 * A flow that shows a packet is judged by it. For the others the table's memory is walked twice, a piece at each call: first each flow that was judged by another
 * version is judged as its next packet would have it judged (judge.c), and alerts are told; then the caller is told of those that are refused now. Twice,
 * because whoever stops flows may have no room for more, and the verdicts of the others do not wait for him. Entries never move, and a flow that begins
 * meanwhile is judged by its first packet: none is missed. A policy that comes in the middle begins it all again.
 *
 * Not judged: flows that are over and linger, those that nothing was judged of yet, and those that go by (away.h): the caller brings them back first.
 *
 * Cost: a flow judged is 1, one that the caller is told of 16 (filters and resets cost him that much more), and an entry that is only looked at a sixteenth. */
#include "dpi/engine.h"

#include <netinet/in.h>

#define TELL_COST 16u
#define LOOKS 16u

void anew_begin(struct dpi *d)
{
	d->anew.stage = ANEW_JUDGE;
	d->anew.at = 0;
}

static void judge(struct dpi *d, struct flow *f)
{
	struct px *x = &d->px;

	px_without_packet(d, f);
	x->open = true;
	judge_next_datagram(x);
	judge_flow(x);
	if (f->held && flow_refused(f)) {
		hold_end(d, f);
		feed_off(x);
	}
	count(d, DPI_C_JUDGED_ANEW);
}

static bool to_tell(const struct dpi *d, const struct flow *f)
{
	return f->policy == d->policy_version && flow_refused(f) && !flow_hit(f, F_STOPPED) && judge_reaches(f);
}

/* Of packets that are held each is refused by itself: only a reset is to be sent. */
static bool tell(struct dpi *d, struct flow *f)
{
	bool held = f->held && !f->enforceable;

	px_without_packet(d, f);
	if ((!held || (f->verdict == VERDICT_DENY && f->key.ipproto == IPPROTO_TCP)) && !judge_refused(&d->px, (enum verdict)f->verdict))
		return false;
	flow_stop(&d->flows, f, d->now);
	count(d, DPI_C_REFUSED_ANEW);
	return true;
}

bool dpi_judge_anew(struct dpi *d, unsigned max)
{
	unsigned cost = 0, looks = 0;

	while (d->anew.stage != ANEW_DONE && cost < max && looks < max * LOOKS) {
		uint32_t i = d->anew.at;
		struct flow *f;

		if (i / FLOWS_PER_CHUNK >= d->flows.nchunks) {
			d->anew.at = 0;
			d->anew.stage = d->anew.stage == ANEW_JUDGE ? ANEW_TELL : ANEW_DONE;
			continue;
		}
		f = flow_at(&d->flows, i + 1);
		looks++;
		if (f->state == FLOW_FREE || f->state == FLOW_CLOSED || f->away || !flow_hit(f, F_JUDGED)) {
			/* nothing to be said of it */
		} else if (d->anew.stage == ANEW_JUDGE && f->policy != d->policy_version) {
			judge(d, f);
			cost++;
		} else if (d->anew.stage == ANEW_TELL && to_tell(d, f)) {
			if (!tell(d, f))
				break;
			cost += TELL_COST;
		}
		d->anew.at = i + 1;
	}
	return d->anew.stage != ANEW_DONE;
}
