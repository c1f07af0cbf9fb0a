/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dpi_ahead() changes nothing: every golden, frame by frame, beside the same with frames shown beforehand, some of which do not come then. */
#if __has_include("dpi/engine.h")	/* as test_replay.c */
#include <glob.h>

#include "agent/pcapsrc.h"
#include "base/hash.h"
#include "dpi/dpi.h"
#include "tests/unit/unit.h"

#define BATCH 64

struct side {
	struct dpi *d;
	uint64_t events, digest;	/* of what was told, in order */
};

static void take(struct side *s, const void *p, size_t n)
{
	s->digest = hash_sip13(&(struct hash_key){ { s->digest, 1 } }, p, n);
}

static void on_emit(void *ctx, const struct event *ev)
{
	struct side *s = ctx;
	const uint64_t head[] = { ev->type, (uint64_t)ev->ts, ev->flow_id, ev->number, ev->tx_id, ev->app, ev->verdict, ev->reason };

	s->events++;
	take(s, head, sizeof head);
	take(s, ev->body, ev->body_len);
}

static void open_side(struct side *s)
{
	struct dpi_conf c = { .max_flows = 4096, .memcap = 64 << 20, .midstream = true, .event_mask = EVENTS_ALL, .key = { { 1, 2 } }, .flow_id_seed = 3, .ahead_flows = 1 };
	struct dpi_ops ops = { .emit = on_emit, .ctx = s };
	struct err err = { "" };

	*s = (struct side){ 0 };
	s->d = dpi_new(&c, &ops, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->d);
}

static void inspect(struct side *plain, struct side *ahead, const struct frame *f, bool moved)
{
	struct frame elsewhere = *f;

	dpi_inspect(plain->d, f);
	dpi_inspect(ahead->d, moved ? &elsewhere : f);
}

/* Shown in pieces of any length; one in seven comes from another place then, two in eleven come in the other order. */
static void both(struct side *plain, struct side *ahead, const struct frame *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (i % (1 + n % DPI_AHEAD) == 0)
			dpi_ahead(ahead->d, &f[i], n - i);
		if (i % 11 == 3 && i + 1 < n) {
			inspect(plain, ahead, &f[i + 1], false);
			inspect(plain, ahead, &f[i], false);
			i++;
		} else {
			inspect(plain, ahead, &f[i], i % 7 == 5);
		}
	}
}

static void test_goldens(void)
{
	glob_t g = { 0 };
	uint64_t events = 0, shown = 0;

	CU_ASSERT_EQUAL_FATAL(glob("tests/golden/*.pcap", 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct err err = { "" };
		struct source *src = pcapsrc_open(g.gl_pathv[i], 1, &err);
		struct side plain, ahead;
		struct frame f[BATCH];
		int n;

		CU_ASSERT_PTR_NOT_NULL_FATAL(src);
		open_side(&plain);
		open_side(&ahead);
		while ((n = src->ops->batch(src, f, BATCH, &err)) > 0) {
			both(&plain, &ahead, f, (unsigned)n);
			shown += (uint64_t)n;
		}
		dpi_flush(plain.d);
		dpi_flush(ahead.d);
		if (plain.digest != ahead.digest || plain.events != ahead.events)
			fprintf(stderr, "%s: %llu events, looking ahead %llu\n", g.gl_pathv[i], (unsigned long long)plain.events, (unsigned long long)ahead.events);
		CU_ASSERT_EQUAL(plain.digest, ahead.digest);
		CU_ASSERT(!memcmp(dpi_counters(plain.d), dpi_counters(ahead.d), DPI_C_COUNT * sizeof(uint64_t)));
		events += plain.events;
		src->ops->close(src);
		dpi_free(plain.d);
		dpi_free(ahead.d);
	}
	CU_ASSERT(events > 1000 && shown > 1000);
	globfree(&g);
}

/* What was shown and did not come is forgotten at the next call, also where that one does not look ahead, for want of flows: other frames are in the same places then. */
static void test_forgotten(void)
{
	struct err err = { "" };
	struct source *src = pcapsrc_open("tests/golden/dns-fqdn.pcap", 1, &err);
	struct side plain, ahead;
	struct frame f[BATCH];
	int n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(src);
	open_side(&plain);
	open_side(&ahead);
	n = src->ops->batch(src, f, BATCH, &err);
	CU_ASSERT_FATAL(n >= 4);
	inspect(&plain, &ahead, &f[0], false);
	dpi_ahead(ahead.d, &f[1], (unsigned)n - 1);
	dpi_flush(plain.d);
	dpi_flush(ahead.d);
	for (int i = 1; i < n - i; i++) {
		struct frame was = f[i];

		f[i] = f[n - i];
		f[n - i] = was;
	}
	dpi_ahead(ahead.d, &f[1], (unsigned)n - 1);
	for (int i = 1; i < n; i++)
		inspect(&plain, &ahead, &f[i], false);
	dpi_flush(plain.d);
	dpi_flush(ahead.d);
	CU_ASSERT(plain.events > 2);
	CU_ASSERT_EQUAL(plain.digest, ahead.digest);
	CU_ASSERT(!memcmp(dpi_counters(plain.d), dpi_counters(ahead.d), DPI_C_COUNT * sizeof(uint64_t)));
	src->ops->close(src);
	dpi_free(plain.d);
	dpi_free(ahead.d);
}

const struct unit_test tests_ahead[] = {
	{ "goldens", test_goldens },
	{ "what did not come is forgotten", test_forgotten },
	{ 0 },
};

#endif
