/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ahead: packets of frames that come next are decoded together, so that what memory has of their flows (a slot, the entry behind it, its neighbours in
 * age) is on its way while others are looked at. With many flows each of these is far away, and one leads to the next.
 *
 * Nothing here counts or decides: what was not said, or comes in another order, goes the way of any frame. */
#include "dpi/tunnel.h"

/* The key of the flow table that finds its flow, where it hangs on the packet alone: not where a tunnel, or other pieces, have a word. */
static bool has_key(const struct ahead *a) { return a->decoded == DECODE_OK && !a->p.fragment && !a->p.nwrap; }

void dpi_ahead(struct dpi *d, const struct frame *f, unsigned n)
{
	struct flow *flow[DPI_AHEAD];

	if (n > DPI_AHEAD)
		n = DPI_AHEAD;
	d->ahead_at = 0;
	if (d->flows.used < d->conf.ahead_flows)	/* few are near anyway */
		n = 0;
	d->ahead_n = n;
	for (unsigned i = 0; i < n; i++) {
		struct ahead *a = &d->ahead[i];

		a->frame = &f[i];
		a->why = DPI_C_NOT_IP;
		a->decoded = decode_frame(&f[i], &a->p, &a->why);
		a->keyed = has_key(a);
		if (a->keyed) {
			a->hi = flow_key_of(&a->p, &a->key);
			a->hash = flow_hash(&d->flows, &a->key);
			flow_slot_ahead(&d->flows, a->hash);
		}
	}
	for (unsigned i = 0; i < n; i++)
		flow[i] = d->ahead[i].keyed ? flow_ahead(&d->flows, d->ahead[i].hash) : NULL;
	for (unsigned i = 0; i < n; i++)
		if (flow[i])
			flow_neighbours_ahead(&d->flows, flow[i]);
}

struct ahead *ahead_take(struct dpi *d, const struct frame *fr)
{
	for (unsigned i = d->ahead_at; i < d->ahead_n; i++) {
		if (d->ahead[i].frame == fr) {
			d->ahead_at = i + 1;
			return &d->ahead[i];
		}
	}
	return NULL;
}
