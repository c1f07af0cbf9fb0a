/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/again.h"

#include <stdlib.h>
#include <string.h>

bool again_put(struct again *a, const struct frame *f, int64_t now)
{
	struct frame *k;

	if (a->n == AGAIN_MAX || a->bytes + f->caplen > AGAIN_BYTES || !(k = malloc(sizeof *k + f->caplen)))
		return false;
	*k = *f;
	k->data = memcpy(k + 1, f->data, f->caplen);
	a->until[a->n] = now + AGAIN_TIME;
	a->list[a->n++] = k;
	a->bytes += f->caplen;
	return true;
}

struct frame *again_take(struct again *a, unsigned i)
{
	struct frame *k = a->list[i];

	a->n--;
	a->bytes -= k->caplen;
	memmove(&a->list[i], &a->list[i + 1], (a->n - i) * sizeof a->list[0]);
	memmove(&a->until[i], &a->until[i + 1], (a->n - i) * sizeof a->until[0]);
	return k;
}
