/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/message.h"

static void drop(struct px *px, struct asks *a, int i)
{
	px_saved_free(px, a->q[i].told);
	a->n--;
	memmove(&a->q[i], &a->q[i + 1], (a->n - (uint32_t)i) * sizeof(a->q[0]));
}

struct record *asks_record(struct px *px, const struct asks *a, int i)
{
	struct record *r = px_record(px);

	if (a->q[i].told)
		rec_append(r, a->q[i].told->body, a->q[i].told->len);
	return r;
}

void asks_tell(struct px *px, struct asks *a, int i, const struct record *r)
{
	if (a->q[i].told)
		px_emit(px, a->event, a->q[i].tx, r);
	drop(px, a, i);
}

void asks_add(struct px *px, struct asks *a, uint64_t id, const struct record *r)
{
	struct saved *told = px_save(px, r);

	if (a->n == ASKED_MAX) {
		asks_tell(px, a, 0, asks_record(px, a, 0));
		a->lost++;
	}
	a->q[a->n++] = (struct asked){ .told = told, .id = id, .tx = a->next_tx++ };
}

int asks_find(const struct asks *a, uint64_t id)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (a->q[i].id == id)
			return (int)i;
	return -1;
}

void asks_tell_now(struct px *px, struct asks *a, const struct record *r)
{
	px_emit(px, a->event, a->next_tx++, r);
}

void asks_end(struct px *px, struct asks *a)
{
	while (a->n)
		asks_tell(px, a, 0, asks_record(px, a, 0));
}
