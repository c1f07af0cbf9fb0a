/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tc/flowmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>

struct flowmap {
	atomic_uint refs;
	atomic_bool told;	/* the program was told to look */
	int map, on;
};

struct flowmap *flowmap_open(int map, int on)
{
	struct flowmap *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	atomic_init(&m->refs, 1);
	m->map = fcntl(map, F_DUPFD_CLOEXEC, 3);
	m->on = fcntl(on, F_DUPFD_CLOEXEC, 3);
	if (m->map >= 0 && m->on >= 0)
		return m;
	flowmap_unref(m);
	return NULL;
}

struct flowmap *flowmap_ref(struct flowmap *m)
{
	if (m)
		atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
	return m;
}

void flowmap_unref(struct flowmap *m)
{
	if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (m->map >= 0)
		close(m->map);
	if (m->on >= 0)
		close(m->on);
	free(m);
}

int flowmap_put(struct flowmap *m, const void *key, const void *value)
{
	const uint32_t one = 1, first = 0;

	if (!atomic_load_explicit(&m->told, memory_order_relaxed)) {
		if (bpf_map_update_elem(m->on, &first, &one, BPF_ANY))
			return -errno;
		atomic_store_explicit(&m->told, true, memory_order_relaxed);
	}
	return bpf_map_update_elem(m->map, key, value, BPF_ANY) ? -errno : 0;
}

bool flowmap_look(struct flowmap *m, const void *key, void *value) { return !bpf_map_lookup_elem(m->map, key, value); }
bool flowmap_take(struct flowmap *m, const void *key, void *value) { return !bpf_map_lookup_and_delete_elem(m->map, key, value); }
int flowmap_del(struct flowmap *m, const void *key) { return bpf_map_delete_elem(m->map, key) && errno != ENOENT ? -errno : 0; }
