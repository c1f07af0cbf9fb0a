/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/evring.h"

#include <stdlib.h>
#include <string.h>

#include "base/spsc.h"

_Static_assert(sizeof(struct event) % 8 == 0, "an event's head keeps the body aligned");

struct evring {
	struct spsc *ring;
	struct event event;	/* consumer's: the one that peek returned */
};

struct evring *evring_new(uint32_t bytes, int eventfd)
{
	struct evring *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->ring = spsc_new(bytes, eventfd);
	if (!r->ring) {
		free(r);
		return NULL;
	}
	return r;
}

void evring_free(struct evring *r)
{
	if (!r)
		return;
	spsc_free(r->ring);
	free(r);
}

bool evring_put(struct evring *r, const struct event *ev)
{
	return spsc_put(r->ring, ev, sizeof *ev, ev->body, ev->body_len);
}

bool evring_crowded(struct evring *r) { return spsc_crowded(r->ring); }
void evring_wake(struct evring *r) { spsc_wake(r->ring); }

const struct event *evring_peek(struct evring *r)
{
	size_t n;
	const uint8_t *p = spsc_peek(r->ring, &n);

	if (!p)
		return NULL;
	memcpy(&r->event, p, sizeof r->event);
	r->event.body = p + sizeof r->event;
	return &r->event;
}

void evring_pop(struct evring *r) { spsc_pop(r->ring); }
bool evring_doze(struct evring *r, bool doze) { return spsc_doze(r->ring, doze); }
uint64_t evring_dropped(const struct evring *r) { return spsc_refused(r->ring); }
