/* SPDX-License-Identifier: GPL-2.0-or-later */
/* flowmap: one of the maps of the bpf engine's program that threads fill which have no struct tc: flows that pass uncopied (passing.h), denied ones (denied.h).
 * The program looks into such a map only after the first entry was put. Any thread. */
#ifndef TQ_TC_FLOWMAP_H
#define TQ_TC_FLOWMAP_H

#include <stdbool.h>

struct flowmap;

struct flowmap *flowmap_open(int map, int on);	/* descriptors, copied: the map, and the program's variable that says that something is in it. NULL: no memory */
struct flowmap *flowmap_ref(struct flowmap *);	/* NULL is fine */
void flowmap_unref(struct flowmap *);		/* NULL is fine */

int flowmap_put(struct flowmap *, const void *key, const void *value);	/* 0 or -errno; -E2BIG: it is full */
bool flowmap_look(struct flowmap *, const void *key, void *value);	/* false: it is not there */
bool flowmap_take(struct flowmap *, const void *key, void *value);	/* ... any more; the last value. Needs Linux 5.14 (a hash's BPF_MAP_LOOKUP_AND_DELETE_ELEM) */
int flowmap_del(struct flowmap *, const void *key);			/* 0, also where it was not there, or -errno */

#endif
