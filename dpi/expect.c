/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/expect.h"

#include <netinet/in.h>
#include <stdlib.h>

#define USED_LIFE (INT64_C(3600) * 1000000000)	/* an entry waits so long for the end of its flow */

bool expect_init(struct expect *t, uint32_t max, struct mem *mem, const struct hash_key *key)
{
	uint32_t buckets = 16;

	while (buckets < max)
		buckets *= 2;
	memset(t, 0, sizeof(*t));
	t->e = calloc(max, sizeof(*t->e));
	t->bucket = calloc(buckets, sizeof(*t->bucket));
	if (!t->e || !t->bucket)
		return false;
	t->max = max;
	t->mask = buckets - 1;
	t->key = *key;
	t->mem = mem;
	for (uint32_t i = max; i--;) {
		t->e[i].newer = t->free;
		t->free = i + 1;
	}
	return true;
}

static void note_free(struct expect *t, struct saved *note)
{
	if (note)
		mem_release(t->mem, note, sizeof(*note) + note->len);
}

void expect_free(struct expect *t)
{
	free(t->e);	/* notes go with the memory that they are of */
	free(t->bucket);
	memset(t, 0, sizeof(*t));
}

static uint32_t *bucket_of(struct expect *t, const struct flow_key *k)
{
	return &t->bucket[hash_sip13(&t->key, k, sizeof(*k)) & t->mask];
}

static void drop(struct expect *t, struct expected *e)
{
	uint32_t no = (uint32_t)(e - t->e) + 1, *at = bucket_of(t, &e->key);

	while (*at != no)
		at = &t->e[*at - 1].chain;
	*at = e->chain;
	if (e->older)
		t->e[e->older - 1].newer = e->newer;
	else
		t->oldest = e->newer;
	if (e->newer)
		t->e[e->newer - 1].older = e->older;
	else
		t->newest = e->older;
	note_free(t, e->note);
	t->class[e->class]--;
	t->used--;
	e->taken = false;
	e->note = NULL;
	e->newer = t->free;
	t->free = no;
}

/* One that no flow has used up, or the one that this flow has. */
static struct expected *find(struct expect *t, const struct flow_key *k, uint64_t flow)
{
	for (uint32_t no = *bucket_of(t, k); no; no = t->e[no - 1].chain) {
		struct expected *e = &t->e[no - 1];

		if (e->flow == flow && memcmp(&e->key, k, sizeof(*k)) == 0)
			return e;
	}
	return NULL;
}

void expect_expire(struct expect *t, int64_t now)
{
	while (t->oldest && t->e[t->oldest - 1].until <= now)
		drop(t, &t->e[t->oldest - 1]);
}

static struct expected *fresh(struct expect *t, const struct flow_key *k, uint8_t class, int64_t now, bool *cap)
{
	struct expected *e;
	uint32_t no, *at;

	expect_expire(t, now);
	if (t->class[class] >= (t->max + 7) / 8) {
		*cap = true;
		return NULL;
	}
	if (!t->free) {
		*cap = true;
		drop(t, &t->e[t->oldest - 1]);
	}
	no = t->free;
	e = &t->e[no - 1];
	t->free = e->newer;
	at = bucket_of(t, k);
	*e = (struct expected){ .key = *k, .chain = *at, .older = t->newest, .serial = (uint16_t)(e->serial + 1), .class = class, .taken = true };
	*at = no;
	if (t->newest)
		t->e[t->newest - 1].newer = no;
	else
		t->oldest = no;
	t->newest = no;
	t->class[class]++;
	t->used++;
	return e;
}

/* The key under which an end that listens at the port is kept; where both ends have one address it does not matter which. */
static struct flow_key shape(const struct flow_key *k, bool hi, uint16_t port)
{
	struct flow_key one = *k;

	if (addr_eq(&k->lo, &k->hi))
		hi = true;
	one.lo_port = hi ? 0 : port;
	one.hi_port = hi ? port : 0;
	return one;
}

uint32_t expect_add(struct expect *t, const struct announcement *a, int64_t now, bool *cap)
{
	struct flow_key k = shape(a->control, a->hi, a->port);
	struct expected *e;

	*cap = false;
	k.ipproto = a->ipproto;
	e = find(t, &k, 0);
	if (e)
		note_free(t, e->note);	/* announced again: it begins anew */
	else
		e = fresh(t, &k, (uint8_t)(hash_mix64(a->id) % EXPECT_CLASSES), now, cap);
	if (!e) {
		note_free(t, a->note);
		return 0;
	}
	e->proto = a->proto;
	e->note = a->note;
	e->life = a->life;
	e->until = now + a->life;
	return (uint32_t)e->serial << 16 | ((uint32_t)(e - t->e) + 1);
}

bool expect_note(struct expect *t, uint32_t handle, struct saved *note)
{
	uint32_t no = handle & 0xffff;
	struct expected *e = no && no <= t->max ? &t->e[no - 1] : NULL;

	if (!e || !e->taken || e->serial != handle >> 16) {
		note_free(t, note);
		return false;
	}
	note_free(t, e->note);
	e->note = note;
	return true;
}

const struct proto *expect_match(struct expect *t, const struct flow_key *k, uint64_t id, int64_t now)
{
	if (!t->used)
		return NULL;
	for (int hi = 0; hi < 2; hi++) {
		struct flow_key one = shape(k, hi, hi ? k->hi_port : k->lo_port);
		struct expected *e = find(t, &one, 0);

		if (!e || e->until <= now)
			continue;
		e->until = now + e->life;
		if (k->ipproto == IPPROTO_TCP) {
			e->flow = id;
			e->until = now + USED_LIFE;
		}
		return e->proto;
	}
	return NULL;
}

struct saved *expect_take(struct expect *t, const struct flow_key *k, uint64_t id)
{
	for (int hi = 0; hi < 2; hi++) {
		struct flow_key one = shape(k, hi, hi ? k->hi_port : k->lo_port);
		struct expected *e = find(t, &one, id);

		if (e) {
			struct saved *note = e->note;

			e->note = NULL;
			drop(t, e);
			return note;
		}
	}
	return NULL;
}
