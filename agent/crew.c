/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/crew.h"

#include <pthread.h>

struct crew {
	void (*job)(void *ctx, unsigned i);
	void *ctx;
	unsigned next, n;
};

static void *work(void *arg)
{
	struct crew *c = arg;
	unsigned i;

	while ((i = __atomic_fetch_add(&c->next, 1, __ATOMIC_RELAXED)) < c->n)
		c->job(c->ctx, i);
	return NULL;
}

void crew_run(unsigned n, void (*job)(void *ctx, unsigned i), void *ctx)
{
	struct crew c = { .job = job, .ctx = ctx, .n = n };
	pthread_t other[CREW_MAX - 1];
	unsigned started = 0;

	while (started < CREW_MAX - 1 && started + 1 < n && !pthread_create(&other[started], NULL, work, &c))
		started++;
	work(&c);
	for (unsigned i = 0; i < started; i++)
		pthread_join(other[i], NULL);
}
