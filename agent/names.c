/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two rings of NAMES_MAX entries, one for workloads and one for interfaces: an id's entry is at id modulo NAMES_MAX, so a new
 * name takes the place of the oldest. Names and labels are kept as the JSON that events carry. */
#include "agent/names.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define JSON_MAX (1u << 16)

struct entry {
	uint32_t id;
	char *plain;
	char *name;		/* a JSON string */
	size_t name_len;
	char *labels;		/* a JSON object */
	size_t labels_len;
};

struct ring {
	struct entry **v;
	uint32_t last;		/* id given last; ids start at 1 */
};

struct names {
	pthread_rwlock_t lock;
	struct ring workloads, ifaces;
};

static void entry_free(struct entry *en)
{
	if (!en)
		return;
	free(en->plain);
	free(en->name);
	free(en->labels);
	free(en);
}

static void ring_free(struct ring *r)
{
	for (uint32_t i = 0; r->v && i < NAMES_MAX; i++)
		entry_free(r->v[i]);
	free(r->v);
}

struct names *names_new(void)
{
	struct names *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	pthread_rwlock_init(&n->lock, NULL);
	n->workloads.v = calloc(NAMES_MAX, sizeof *n->workloads.v);
	n->ifaces.v = calloc(NAMES_MAX, sizeof *n->ifaces.v);
	if (!n->workloads.v || !n->ifaces.v) {
		names_free(n);
		return NULL;
	}
	return n;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	ring_free(&n->workloads);
	ring_free(&n->ifaces);
	pthread_rwlock_destroy(&n->lock);
	free(n);
}

/* Takes what the buffer holds; NULL when it does not hold all. */
static char *take(struct jbuf *j, size_t *n)
{
	char *s = j->overflow ? NULL : j->p;

	if (!s)
		return NULL;
	*n = j->len;
	j->p = NULL;
	j->len = j->size = 0;
	return s;
}

static struct entry *entry_new(const char *name, const struct labels *labels)
{
	struct entry *en = calloc(1, sizeof *en);
	struct jbuf j;

	if (!en)
		return NULL;
	jb_init(&j, JSON_MAX);
	jb_str(&j, NULL, name);
	en->plain = strdup(name);
	en->name = take(&j, &en->name_len);
	jb_free(&j);

	jb_init(&j, JSON_MAX);
	jb_obj(&j, NULL);
	for (unsigned i = 0; labels && i < labels->n; i++)
		jb_str(&j, labels->v[i].key, labels->v[i].value);
	jb_end_obj(&j);
	en->labels = take(&j, &en->labels_len);	/* labels beyond JSON_MAX are left out as a whole */
	jb_free(&j);
	if (!en->name || !en->plain) {
		entry_free(en);
		return NULL;
	}
	return en;
}

static uint32_t ring_add(struct ring *r, struct entry *en)
{
	struct entry **slot;

	if (++r->last == 0)
		r->last = 1;
	en->id = r->last;
	slot = &r->v[en->id % NAMES_MAX];
	entry_free(*slot);
	*slot = en;
	return en->id;
}

static const struct entry *ring_find(const struct ring *r, uint32_t id)
{
	const struct entry *en = r->v[id % NAMES_MAX];

	return id && en && en->id == id ? en : NULL;
}

uint32_t names_add_workload(struct names *n, const char *name, const struct labels *labels)
{
	struct entry *en = entry_new(name, labels);
	uint32_t id;

	if (!en)
		return 0;
	pthread_rwlock_wrlock(&n->lock);
	id = ring_add(&n->workloads, en);
	pthread_rwlock_unlock(&n->lock);
	return id;
}

uint32_t names_add_iface(struct names *n, const char *ifname)
{
	struct entry *en = entry_new(ifname, NULL);
	uint32_t id = 0;

	if (!en)
		return 0;
	pthread_rwlock_wrlock(&n->lock);
	for (uint32_t i = 0; i < NAMES_MAX && i <= n->ifaces.last && !id; i++) {
		const struct entry *had = n->ifaces.v[i];

		if (had && had->name_len == en->name_len && !memcmp(had->name, en->name, en->name_len))
			id = had->id;
	}
	if (id)
		entry_free(en);
	else
		id = ring_add(&n->ifaces, en);
	pthread_rwlock_unlock(&n->lock);
	return id;
}

bool names_copy_workload(struct names *n, uint32_t id, char *out, size_t size)
{
	const struct entry *en;
	bool fits = false;

	if (!id)
		return false;
	pthread_rwlock_rdlock(&n->lock);
	en = ring_find(&n->workloads, id);
	if (en && strlen(en->plain) < size) {
		strcpy(out, en->plain);
		fits = true;
	}
	pthread_rwlock_unlock(&n->lock);
	return fits;
}

static void put_name(struct names *n, const struct ring *r, struct jbuf *j, const char *key, uint32_t id)
{
	const struct entry *en;

	if (!id)
		return;
	pthread_rwlock_rdlock(&n->lock);
	en = ring_find(r, id);
	if (en)
		jb_raw(j, key, en->name, en->name_len);
	pthread_rwlock_unlock(&n->lock);
}

void names_put_workload(struct names *n, struct jbuf *j, const char *key, uint32_t id)
{
	put_name(n, &n->workloads, j, key, id);
}

void names_put_iface(struct names *n, struct jbuf *j, const char *key, uint32_t id)
{
	put_name(n, &n->ifaces, j, key, id);
}

void names_put_labels(struct names *n, struct jbuf *j, const char *key, uint32_t id)
{
	const struct entry *en;

	if (!id) {	/* most events have an end that is no workload */
		jb_raw(j, key, "{}", 2);
		return;
	}
	pthread_rwlock_rdlock(&n->lock);
	en = ring_find(&n->workloads, id);
	if (en && en->labels)
		jb_raw(j, key, en->labels, en->labels_len);
	else
		jb_raw(j, key, "{}", 2);
	pthread_rwlock_unlock(&n->lock);
}
