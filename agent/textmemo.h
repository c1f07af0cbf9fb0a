/* SPDX-License-Identifier: GPL-2.0-or-later */
/* textmemo: texts that were made of a key, kept for the next time: a table of fixed size, where a new one takes the place of what stood in its slot. */
#ifndef TQ_AGENT_TEXTMEMO_H
#define TQ_AGENT_TEXTMEMO_H

#include <stddef.h>
#include <stdint.h>

struct textmemo;

/* slots: a power of two. Keys are key_bytes of memory, padding included; longer texts than text_max are not kept. NULL: no memory. */
struct textmemo *textmemo_new(uint32_t slots, size_t key_bytes, size_t text_max);
void textmemo_free(struct textmemo *);		/* NULL is fine */
/* The text of the key, borrowed until the next textmemo_keep(), or NULL. hash: spreads keys over slots. */
const char *textmemo_find(const struct textmemo *, uint64_t hash, const void *key, size_t *n);
void textmemo_keep(struct textmemo *, uint64_t hash, const void *key, const char *text, size_t n);

#endif
