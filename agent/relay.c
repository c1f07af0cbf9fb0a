/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For each ordered pair of workers a ring of frames and a ring of answers. A worker lets at most OUTSTANDING_MAX held frames be away
 * at one other, and that many answers fit into the ring back, so an answer always finds room. */
#include "agent/relay.h"

#include <stdlib.h>
#include <string.h>

#include "base/spsc.h"
#include "base/steer.h"

#define FRAMES_BYTES (4u << 20)
#define ANSWERS_BYTES (512u << 10)
#define OUTSTANDING_MAX (ANSWERS_BYTES / 2 / (sizeof(struct relay_answer) + 8))

struct lane {
	struct spsc *frames;	/* from -> to */
	struct spsc *answers;	/* to -> from */
	unsigned away;		/* sender's: held frames that were not answered yet */
};

struct relay {
	unsigned n;
	struct lane lane[];	/* [from * n + to] */
};

_Static_assert(sizeof(struct relayed) % 8 == 0 && sizeof(struct relay_answer) % 8 == 0, "messages keep the ring aligned");

static struct lane *lane(struct relay *r, unsigned from, unsigned to) { return &r->lane[from * r->n + to]; }

void relay_free(struct relay *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < r->n * r->n; i++) {
		const struct relay_answer *a;
		size_t n;

		while (r->lane[i].answers && (a = spsc_peek(r->lane[i].answers, &n))) {
			free(a->frame);
			spsc_pop(r->lane[i].answers);
		}
		spsc_free(r->lane[i].frames);
		spsc_free(r->lane[i].answers);
	}
	free(r);
}

struct relay *relay_new(unsigned workers, const int *wake)
{
	struct relay *r = calloc(1, sizeof *r + (size_t)workers * workers * sizeof r->lane[0]);

	if (!r)
		return NULL;
	r->n = workers;
	for (unsigned from = 0; from < workers; from++) {
		for (unsigned to = 0; to < workers; to++) {
			struct lane *l = lane(r, from, to);

			if (from == to)
				continue;
			l->frames = spsc_new(FRAMES_BYTES, wake[to]);
			l->answers = spsc_new(ANSWERS_BYTES, wake[from]);
			if (!l->frames || !l->answers) {
				relay_free(r);
				return NULL;
			}
		}
	}
	return r;
}

unsigned relay_owner(const struct relay *r, const struct frame *f)
{
	return f->link == LINK_ETHERNET ? steer_ether(f->data, f->caplen, r->n) : steer_ip(f->data, f->caplen, r->n);
}

bool relay_send(struct relay *r, unsigned self, unsigned to, const struct frame *f)
{
	struct lane *l = lane(r, self, to);
	struct relayed m = { .frame = *f };

	if ((f->held && l->away >= OUTSTANDING_MAX) || !spsc_put(l->frames, &m, sizeof m, f->data, f->caplen))
		return false;
	l->away += f->held;
	return true;
}

void relay_release(struct relay *r, unsigned self, void *caller)
{
	const struct frame none = { .caller = caller };

	for (unsigned to = 0; to < r->n; to++)
		if (to != self)
			relay_send(r, self, to, &none);
}

const struct relayed *relay_next(struct relay *r, unsigned self, unsigned *from)
{
	for (unsigned i = 0; i < r->n; i++) {
		struct relayed *m;
		size_t n;

		if (i == self)
			continue;
		/* the ring's memory is the consumer's until it is given back: the pointer to the copy is filled in there */
		m = (struct relayed *)(uintptr_t)spsc_peek(lane(r, i, self)->frames, &n);
		if (!m)
			continue;
		if (m->frame.data)
			m->frame.data = (const uint8_t *)(m + 1);
		*from = i;
		return m;
	}
	return NULL;
}

void relay_done(struct relay *r, unsigned self, unsigned from) { spsc_pop(lane(r, from, self)->frames); }

void relay_reply(struct relay *r, unsigned self, unsigned to, const struct frame *f, struct answer answer)
{
	struct relay_answer a = { .caller = f->caller, .token = f->token, .answer = answer };

	if (answer.verdict == VERDICT_DENY || answer.flags & ANSWER_CALM) {	/* who reads the queue refuses it, when all that it accepted before has left, or changes it */
		a.frame = malloc(sizeof(*a.frame) + f->caplen);
		if (a.frame) {
			*a.frame = *f;
			a.frame->data = memcpy(a.frame + 1, f->data, f->caplen);
		}
	}
	spsc_put(lane(r, to, self)->answers, &a, sizeof a, NULL, 0);
}

bool relay_take_reply(struct relay *r, unsigned self, struct relay_answer *out)
{
	for (unsigned i = 0; i < r->n; i++) {
		const struct relay_answer *a;
		size_t n;

		if (i == self || !(a = spsc_peek(lane(r, self, i)->answers, &n)))
			continue;
		*out = *a;
		spsc_pop(lane(r, self, i)->answers);
		lane(r, self, i)->away--;
		return true;
	}
	return false;
}

void relay_wake(struct relay *r, unsigned self)
{
	for (unsigned i = 0; i < r->n; i++) {
		if (i == self)
			continue;
		spsc_wake(lane(r, self, i)->frames);
		spsc_wake(lane(r, i, self)->answers);
	}
}
