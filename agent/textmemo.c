/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/textmemo.h"

#include <stdlib.h>
#include <string.h>

struct textmemo {
	uint32_t mask;
	size_t key_bytes, text_max, step;
	char slots[];		/* each: length of the text as size_t (0: none), key, text */
};

struct textmemo *textmemo_new(uint32_t slots, size_t key_bytes, size_t text_max)
{
	size_t step = (sizeof(size_t) + key_bytes + text_max + 7) & ~(size_t)7;
	struct textmemo *m = calloc(1, sizeof *m + slots * step);	/* pages that were never touched cost nothing */

	if (!m)
		return NULL;
	m->mask = slots - 1;
	m->key_bytes = key_bytes;
	m->text_max = text_max;
	m->step = step;
	return m;
}

void textmemo_free(struct textmemo *m) { free(m); }

const char *textmemo_find(const struct textmemo *m, uint64_t hash, const void *key, size_t *n)
{
	const char *slot = m->slots + (hash & m->mask) * m->step, *k = slot + sizeof(size_t);

	memcpy(n, slot, sizeof *n);
	return *n && !memcmp(k, key, m->key_bytes) ? k + m->key_bytes : NULL;
}

void textmemo_keep(struct textmemo *m, uint64_t hash, const void *key, const char *text, size_t n)
{
	char *slot = m->slots + (hash & m->mask) * m->step, *k = slot + sizeof(size_t);

	if (!n || n > m->text_max)
		return;
	memcpy(slot, &n, sizeof n);
	memcpy(k, key, m->key_bytes);
	memcpy(k + m->key_bytes, text, n);
}
