/* SPDX-License-Identifier: GPL-2.0-or-later */
/* linear CAPTURE...: gives each capture to a core of its own and prints what came of it. Under callgrind the instructions of each are
 * written by themselves (tests/linear/run reads them): only the core's, neither the reading of the file nor the making of the core. */
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include "dpi/dpi.h"

#define FRAMES_MAX (1u << 20)

struct frames {
	struct frame *f;
	unsigned n;
};

static void on_emit(void *ctx, const struct event *ev)
{
	unsigned long *events = ctx;

	(*events)++;
	events[1] += ev->type == EV_ANOMALY;
}

static struct frames load(const char *path)
{
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline(path, err);
	struct frames all = { calloc(FRAMES_MAX, sizeof(*all.f)), 0 };
	struct pcap_pkthdr *h;
	const u_char *data;

	if (!p || !all.f) {
		fprintf(stderr, "%s: %s\n", path, p ? "no memory" : err);
		exit(2);
	}
	while (all.n < FRAMES_MAX && pcap_next_ex(p, &h, &data) == 1) {
		uint8_t *copy = malloc(h->caplen);

		if (!copy)
			exit(2);
		memcpy(copy, data, h->caplen);
		all.f[all.n++] = (struct frame){ .data = copy, .caplen = h->caplen, .wirelen = h->len, .link = LINK_ETHERNET,
			.ts = (int64_t)h->ts.tv_sec * 1000000000 + (int64_t)h->ts.tv_usec * 1000 };
	}
	pcap_close(p);
	return all;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const struct dpi_conf conf = { .max_flows = 1024, .memcap = 64 << 20, .midstream = true, .event_mask = EVENTS_ALL, .key = { { 1, 2 } }, .flow_id_seed = 3 };
		unsigned long events[2] = { 0, 0 };
		const struct dpi_ops ops = { .emit = on_emit, .ctx = events };
		struct frames all = load(argv[i]);
		const uint64_t *by_app;
		const char *app = "unknown";
		struct err err = { "" };
		struct dpi *d = dpi_new(&conf, &ops, &err);

		if (!d) {
			fprintf(stderr, "%s\n", err.text);
			return 2;
		}
		CALLGRIND_ZERO_STATS;
		for (unsigned k = 0; k < all.n; k++)
			dpi_inspect(d, &all.f[k]);
		dpi_flush(d);
		CALLGRIND_DUMP_STATS_AT(argv[i]);
		by_app = dpi_app_flows(d);
		for (unsigned a = 1; a < APP_COUNT; a++)
			if (by_app[a])
				app = app_name((enum app)a);
		printf("%s %s %lu %lu %llu\n", argv[i], app, events[0], events[1], (unsigned long long)dpi_counters(d)[DPI_C_PARSE_BAD]);
		dpi_free(d);
		for (unsigned k = 0; k < all.n; k++)
			free((void *)(uintptr_t)all.f[k].data);
		free(all.f);
	}
	return 0;
}
