/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/message.h"

enum parse msg_run(struct px *px, const struct msg_format *f, struct msg_sync *y, void *state, enum dir dir, struct cursor *in)
{
	enum parse p = PARSE_DONE;

	while (p == PARSE_DONE && !y->over && cur_more(in)) {
		struct cursor view;
		uint64_t len;
		size_t keep;

		if (y->adrift[dir] && !y->looks[dir]) {
			cur_rest(in);
			break;
		}
		if (cur_left(in) < f->head)
			return msg_more(px, f->head);
		if (!f->length(state, dir, cur_of(in->pos, f->head), &len, &keep) || len < f->head) {
			if (y->sure[dir] || dir == DIR_TOSERVER)
				return msg_bad(px, f->bad);
			y->adrift[dir] = true;
			y->looks[dir] = false;
			continue;
		}
		p = msg_take(px, dir, in, len, keep < f->head ? f->head : keep, &view);
		if (p != PARSE_DONE)
			return p;
		y->sure[dir] = true;
		y->adrift[dir] = y->looks[dir] = false;
		p = f->message(px, state, dir, view, len);
	}
	return p;
}

enum parse msg_gap(struct msg_sync *y, enum dir dir)
{
	if (dir == DIR_TOSERVER)
		return PARSE_BAD;
	y->sure[dir] = y->looks[dir] = false;
	y->adrift[dir] = true;
	return PARSE_DONE;
}

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

void asks_put(struct px *px, struct asks *a, int i, const struct record *r)
{
	struct saved *told = px_save(px, r);

	if (!told)
		return;
	px_saved_free(px, a->q[i].told);
	a->q[i].told = told;
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
