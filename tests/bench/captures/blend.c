/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All protocols that the goldens have, their packets mixed: LIVE captures at a time, each time between other hosts, whole rounds of all. */
#include <stdlib.h>

#include "tests/bench/captures/goldens.h"
#include "tests/bench/captures/kinds.h"

#define LIVE 200u

struct turn {			/* a golden that is being said */
	const struct golden *g;
	unsigned k, at;
};

void make_blend(struct capture *out, const char *dir, unsigned packets)
{
	static const char *const every[] = { NULL };
	struct random random = { 0xb1e4d };
	struct goldens all;
	struct turn live[LIVE];
	unsigned n = 0, k = 0, end;
	uint8_t frame[WIRE_MAX];

	goldens_read(&all, dir, every);
	end = all.n * ((packets + all.frames - 1) / all.frames);
	if (end > 65536)
		abort();	/* the addresses would come again */
	while (k < end || n) {
		struct turn *t;

		while (n < LIVE && k < end) {
			live[n++] = (struct turn){ all.v[k % all.n], k, 0 };
			k++;
		}
		t = &live[random_below(&random, n)];
		capture_put(out, frame, golden_again(t->g, &t->g->f[t->at++], t->k, frame));
		if (t->at == t->g->n)
			*t = live[--n];
	}
	goldens_free(&all);
}
