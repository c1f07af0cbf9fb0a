/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tc/denied.h"

#include <arpa/inet.h>
#include <string.h>

#include "tc/bpf/maps.h"

static struct bpf_way key(int ifindex, int hook, const struct deny_way *w)
{
	struct bpf_way k = { .ifindex = (uint32_t)ifindex, .hook = (uint8_t)hook, .ipproto = w->ipproto, .sport = htons(w->sport), .dport = htons(w->dport) };

	memcpy(k.src, w->src.b, 16);
	memcpy(k.dst, w->dst.b, 16);
	return k;
}

int denied_put(struct flowmap *m, int ifindex, int hook, const struct deny_way *w)
{
	struct bpf_way k = key(ifindex, hook, w);

	return flowmap_put(m, &k, &(uint8_t){ 1 });
}

int denied_del(struct flowmap *m, int ifindex, int hook, const struct deny_way *w)
{
	struct bpf_way k = key(ifindex, hook, w);

	return flowmap_del(m, &k);
}

bool denied_stands(struct flowmap *m, int ifindex, int hook, const struct deny_way *w)
{
	struct bpf_way k = key(ifindex, hook, w);
	uint8_t value;

	return flowmap_look(m, &k, &value);
}
