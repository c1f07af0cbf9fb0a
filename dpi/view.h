/* SPDX-License-Identifier: GPL-2.0-or-later */
/* view: local traffic passes several points of observation (leaving one workload, entering another); each packet counts once.
 *
 * Each direction of a flow is taken from the view that showed it first. Copies from another view do not count. When the
 * chosen view has shown nothing for VIEW_SILENCE of frame time and another one shows a packet, the other is chosen: in
 * normal operation the chosen view shows every packet within microseconds of the other, so the copy of a packet that
 * came after a pause loses whichever of the two comes first, and nothing counts twice. A change of path forgets the choice.
 *
 * Packets without a flow (ARP, ICMP errors, neighbour discovery) are looked up in a small table of what was told last. */
#ifndef TQ_DPI_VIEW_H
#define TQ_DPI_VIEW_H

#include "dpi/flow.h"

#define VIEW_SILENCE INT64_C(1000000000)
#define VIEW_EDGE INT64_C(2000000)	/* ns: two views show a packet within less */
#define VIEW_CACHE 256u

struct view_seen {
	uint64_t print;
	int64_t ts;
	uint32_t view;
};

struct view_cache {
	struct view_seen seen[VIEW_CACHE];
};

/* This view showed a packet that counts. */
static inline void view_note(struct flow *f, enum dir dir, const struct frame *fr)
{
	f->view[dir] = fr->view;
	f->view_seen[dir] = (uint32_t)(fr->ts >> 20);
}

/* False: another view counts. Frames without a view always count. */
static inline bool view_counts(struct flow *f, enum dir dir, const struct frame *fr)
{
	uint32_t now = (uint32_t)(fr->ts >> 20);

	if (!fr->view)
		return true;
	if (f->view[dir] != fr->view) {
		if (f->view[dir] && (int32_t)(now - f->view_seen[dir]) <= (int32_t)(VIEW_SILENCE >> 20))
			return false;
	}
	view_note(f, dir, fr);
	return true;
}

/* The chosen view showed a packet so shortly before that this one, of another view, is its copy. */
static inline bool view_copies(const struct flow *f, enum dir dir, const struct frame *fr)
{
	return fr->view && f->view[dir] && f->view[dir] != fr->view && (int32_t)((uint32_t)(fr->ts >> 20) - f->view_seen[dir]) <= (int32_t)(VIEW_EDGE >> 20) + 1;
}

static inline void view_forget(struct flow *f) { f->view[0] = f->view[1] = 0; }

/* The same for a packet without a flow. */
bool view_counts_packet(struct view_cache *, const struct hash_key *, const struct packet *);

#endif
