/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cut: every packet of captures, cut at every length up to MOST bytes, into the core; meant for a build with sanitizers.
 *
 *     cut FILE...             each packet cut as a capture is cut (the wire had more), cut as the wire had no more, then whole
 *     cut --whole FILE...     as they are: files that are broken on purpose
 *
 * A packet's last byte lies before a page that cannot be touched. One core for each file, as live: what a cut packet leaves behind meets those
 * that follow. At the end of a file the core must have told every flow and have given all memory back. Files that are no captures are counted.
 * Ends with `N passed, N failed`; a finding ends the program where it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/pcapsrc.h"
#include "dpi/dpi.h"

#define MOST 256u
#define FRAME_MOST (1u << 20)
#define BATCH 64
#define STEP 1000	/* ns between the pieces of one packet */

static uint8_t *fence;		/* the first byte that must not be touched */
static uint64_t inspected, events;

static void fence_make(void)
{
	long page = sysconf(_SC_PAGESIZE);
	uint8_t *m = mmap(NULL, FRAME_MOST + (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED || mprotect(m + FRAME_MOST, (size_t)page, PROT_NONE)) {
		perror("cut: no memory");
		exit(2);
	}
	fence = m + FRAME_MOST;
}

/* Walks what is told, as a sink does. */
static void on_emit(void *ctx, const struct event *ev)
{
	const uint8_t *pos = ev->body, *end = ev->body + ev->body_len;
	const void *v;

	(void)ctx;
	while (pos < end)
		if (!item_next(&pos, end, &v)) {
			fprintf(stderr, "cut: a body that cannot be walked\n");
			abort();
		}
	events++;
}

static void inspect(struct dpi *d, const struct frame *f, uint32_t caplen, uint32_t wirelen, int64_t ts)
{
	struct frame g = *f;

	g.data = fence - caplen;
	if (caplen)
		memcpy(fence - caplen, f->data, caplen);
	g.caplen = caplen;
	g.wirelen = wirelen;
	g.flags = (f->flags & ~(uint32_t)FRAME_TRUNCATED) | (caplen < wirelen ? FRAME_TRUNCATED : 0);
	g.ts = ts;
	dpi_inspect(d, &g);
	inspected++;
}

static void one(struct dpi *d, const struct frame *f, bool whole)
{
	uint32_t most = f->caplen < MOST ? f->caplen : MOST;
	int64_t ts = f->ts;

	if (f->caplen > FRAME_MOST)
		return;
	for (uint32_t n = 0; !whole && n <= most; n++) {
		inspect(d, f, n, f->wirelen, ts);
		inspect(d, f, n, n, ts);
		ts += STEP;
	}
	inspect(d, f, f->caplen, f->wirelen, ts);
}

/* False: it is no capture. */
static bool file(const char *path, bool whole)
{
	struct dpi_conf conf = { .max_flows = 4096, .memcap = 64 << 20, .midstream = true, .event_mask = EVENTS_ALL, .key = { { 1, 2 } }, .flow_id_seed = 3 };
	struct dpi_ops ops = { .emit = on_emit };
	struct frame batch[BATCH];
	struct err err = { "" };
	struct source *s = pcapsrc_open(path, 1, &err);
	struct dpi_sizes sizes;
	struct dpi *d;
	int n;

	if (!s)
		return false;
	d = dpi_new(&conf, &ops, &err);
	if (!d) {
		fprintf(stderr, "cut: %s\n", err.text);
		exit(2);
	}
	while ((n = s->ops->batch(s, batch, BATCH, &err)) > 0)
		for (int i = 0; i < n; i++)
			one(d, &batch[i], whole);
	s->ops->close(s);
	dpi_flush(d);
	dpi_get_sizes(d, &sizes);
	if (sizes.flows) {
		fprintf(stderr, "cut: %s: %u flows are left\n", path, sizes.flows);
		abort();
	}
	dpi_free(d);
	return true;
}

int main(int argc, char **argv)
{
	bool whole = argc > 1 && strcmp(argv[1], "--whole") == 0;
	unsigned good = 0, none = 0;

	fence_make();
	for (int i = 1 + whole; i < argc; i++) {
		if (getenv("CUT_TELL"))
			fprintf(stderr, "%s\n", argv[i]);
		if (file(argv[i], whole))
			good++;
		else
			none++;
	}
	printf("cut: %llu pieces, %llu events, %u files that are no captures\n", (unsigned long long)inspected, (unsigned long long)events, none);
	printf("%u passed, %u failed\n", good, good ? 0 : 1);
	return good ? 0 : 1;
}
