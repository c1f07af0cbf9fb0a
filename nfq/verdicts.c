/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nfq/verdicts.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { ID_DONE, ID_WAITING, ID_ACCEPTED };

int verdicts_init(struct verdicts *v, uint32_t window)
{
	memset(v, 0, sizeof *v);
	v->state = mmap(NULL, window, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (v->state == MAP_FAILED)
		v->state = NULL;
	v->mask = window - 1;
	v->head = v->next = 1;
	return v->state ? 0 : -ENOMEM;
}

void verdicts_free(struct verdicts *v)
{
	if (v->state)
		munmap(v->state, (size_t)v->mask + 1);
	v->state = NULL;
}

static uint8_t *state(struct verdicts *v, uint32_t id) { return &v->state[id & v->mask]; }

/* Moves the head past what is answered; accepts on the way join the batch. */
static void advance(struct verdicts *v, verdict_fn fn, void *ctx)
{
	for (; v->head != v->next && *state(v, v->head) != ID_WAITING; v->head++) {
		if (*state(v, v->head) != ID_ACCEPTED)
			continue;
		v->late--;
		if (v->lost) {	/* a batch would answer the lost ones too */
			fn(ctx, VERDICTS_ACCEPT, v->head);
		} else {
			v->last = v->head;
			v->gathered++;
		}
		*state(v, v->head) = ID_DONE;
	}
}

static void send_batch(struct verdicts *v, verdict_fn fn, void *ctx)
{
	if (v->gathered)
		fn(ctx, v->gathered == 1 ? VERDICTS_ACCEPT : VERDICTS_ACCEPT_UP_TO, v->last);
	v->gathered = 0;
}

/* Makes room for the next id: the oldest one leaves the window. */
static void leave(struct verdicts *v, verdict_fn fn, void *ctx)
{
	advance(v, fn, ctx);
	if (v->next - v->head <= v->mask)
		return;
	send_batch(v, fn, ctx);
	*state(v, v->head) = ID_DONE;
	v->head++;
	v->lost++;
}

int64_t verdicts_received(struct verdicts *v, uint32_t id, verdict_fn fn, void *ctx)
{
	uint32_t gap = id - v->next;

	if (gap > INT32_MAX)
		return -1;
	if (gap > v->mask) {	/* more ids than the window has: all that waits in it leaves */
		while (v->head != v->next) {
			advance(v, fn, ctx);
			if (v->head == v->next)
				break;
			send_batch(v, fn, ctx);
			*state(v, v->head++) = ID_DONE;
			v->lost++;
		}
		v->head = v->next = id;
	}
	while (v->next != id) {
		if (v->next - v->head > v->mask)
			leave(v, fn, ctx);
		*state(v, v->next++) = ID_DONE;
	}
	if (v->next - v->head > v->mask)
		leave(v, fn, ctx);
	*state(v, id) = ID_WAITING;
	v->next = id + 1;
	return gap;
}

bool verdicts_answer(struct verdicts *v, uint32_t id, enum verdict_kind kind, verdict_fn fn, void *ctx)
{
	if (id - v->head >= v->next - v->head) {	/* not in the window */
		if (!v->lost || v->head - id > INT32_MAX)
			return false;
		v->lost--;
		fn(ctx, kind, id);
		return true;
	}
	if (*state(v, id) != ID_WAITING)
		return false;
	if (kind == VERDICTS_ACCEPT) {
		*state(v, id) = ID_ACCEPTED;
		if (!v->late++ || (int32_t)(id - v->late_from) < 0)
			v->late_from = id;
	} else {
		*state(v, id) = ID_DONE;
		fn(ctx, kind, id);
	}
	if (id == v->head)
		advance(v, fn, ctx);
	return true;
}

void verdicts_flush(struct verdicts *v, verdict_fn fn, void *ctx)
{
	send_batch(v, fn, ctx);
	for (uint32_t id = v->late_from - v->head < v->next - v->head ? v->late_from : v->head; v->late && id != v->next; id++) {
		if (*state(v, id) != ID_ACCEPTED)
			continue;
		fn(ctx, VERDICTS_ACCEPT, id);
		*state(v, id) = ID_DONE;
		v->late--;
	}
}
