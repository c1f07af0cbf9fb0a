/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two workers, with sources of the test's own. */
#if __has_include("dpi/engine.h")	/* as test_replay.c */
#include <semaphore.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/worker.h"
#include "base/steer.h"
#include "tests/unit/unit.h"

#define WORKERS 2u
#define RING_BYTES (64u << 10)

/* A UDP packet of each family between ends whose pair belongs to worker 0. */
static const uint8_t udp4[] = { 0x45, 0, 0, 29, 0, 1, 0, 0, 64, 17, 0x66, 0xcc, 10, 0, 0, 1, 10, 0, 0, 3, 0x13, 0x88, 0x17, 0x70, 0, 9, 0, 0, 'q' };
static const uint8_t udp6[] = { 0x60, 0, 0, 0, 0, 9, 17, 64, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3,
	0x13, 0x88, 0x17, 0x70, 0, 9, 0x69, 0xde, 'q' };

/* Ready from the beginning; gives its frames at once, or none and keeps its worker until it is let go. */
struct given {
	struct source src;
	int fd;
	bool keeps, done;
	sem_t kept, go;
};

static struct given *of(const struct source *s) { return (struct given *)(uintptr_t)s; }
static int given_fd(const struct source *s) { return of(s)->fd; }

static int given_batch(struct source *s, struct frame *out, unsigned max, struct err *err)
{
	static const struct { const uint8_t *p; uint32_t n; } packets[] = { { udp4, sizeof udp4 }, { udp6, sizeof udp6 } };
	struct given *g = of(s);
	uint64_t n;

	(void)err;
	CU_ASSERT_FATAL(max >= 2);
	if (g->done)
		return 0;
	g->done = true;
	CU_ASSERT_EQUAL(read(g->fd, &n, sizeof n), sizeof n);
	if (g->keeps) {
		sem_post(&g->kept);
		sem_wait(&g->go);
		return 0;
	}
	for (unsigned i = 0; i < 2; i++)
		out[i] = (struct frame){ .ts = 1700000000LL * 1000000000, .data = packets[i].p, .caplen = packets[i].n, .wirelen = packets[i].n, .link = LINK_RAW };
	return 2;
}

static void given_answer(struct source *s, const struct frame *f, struct answer a)
{
	(void)s;
	(void)f;
	(void)a;
}

static void given_flush(struct source *s) { (void)s; }
static void given_close(struct source *s) { (void)s; }

static const struct source_ops given_ops = { .name = "given", .fd = given_fd, .batch = given_batch, .answer = given_answer, .flush = given_flush, .close = given_close };

static void given_init(struct given *g, bool keeps)
{
	*g = (struct given){ .src.ops = &given_ops, .fd = eventfd(1, EFD_NONBLOCK), .keeps = keeps };
	CU_ASSERT_FATAL(g->fd >= 0);
	sem_init(&g->kept, 0, 0);
	sem_init(&g->go, 0, 0);
}

static void given_free(struct given *g)
{
	sem_destroy(&g->kept);
	sem_destroy(&g->go);
	close(g->fd);
}

/* Copies that were handed to another worker are inspected there though their source is gone by then (which a sanitized build looks at). */
static void test_source_gone(void)
{
	const struct timespec ms = { 0, 1000000 };
	struct err err = { "" };
	int wake[WORKERS];
	struct evring *ring[WORKERS];
	struct worker *w[WORKERS];
	struct given keeper, feed;
	struct relay *relay;

	CU_ASSERT_EQUAL_FATAL(steer_ip(udp4, sizeof udp4, WORKERS), 0);
	CU_ASSERT_EQUAL_FATAL(steer_ip(udp6, sizeof udp6, WORKERS), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		wake[i] = eventfd(0, EFD_NONBLOCK);
	relay = relay_new(WORKERS, wake);
	CU_ASSERT_PTR_NOT_NULL_FATAL(relay);
	for (unsigned i = 0; i < WORKERS; i++) {
		struct worker_conf c = { .index = i, .relay = relay, .wake = wake[i], .watchdog = 60LL * 1000000000, .shunt_bytes = 1 << 20,
			.events = ring[i] = evring_new(RING_BYTES, -1), .dpi = { .max_flows = 64, .memcap = 8 << 20, .key = { { 1, 2 } }, .flow_id_seed = 3 } };

		w[i] = worker_start(&c, &err);
		CU_ASSERT_PTR_NOT_NULL_FATAL(w[i]);
	}
	given_init(&keeper, true);
	given_init(&feed, false);
	CU_ASSERT_EQUAL(worker_add_source(w[0], &keeper.src, NULL, NULL, NULL, &err), 0);
	sem_wait(&keeper.kept);
	CU_ASSERT_EQUAL(worker_add_source(w[1], &feed.src, NULL, NULL, NULL, &err), 0);
	worker_remove_source(w[1], &feed.src);
	CU_ASSERT(feed.done);
	sem_post(&keeper.go);
	for (unsigned i = 0; i < 5000 && counter_get(&worker_counters(w[0])[DPI_C_FLOWS_NEW]) < 2; i++)
		nanosleep(&ms, NULL);
	CU_ASSERT_EQUAL(counter_get(&worker_counters(w[0])[DPI_C_FRAMES]), 2);
	CU_ASSERT_EQUAL(counter_get(&worker_counters(w[0])[DPI_C_FLOWS_NEW]), 2);
	CU_ASSERT_EQUAL(counter_get(&worker_counters(w[1])[DPI_C_FRAMES]), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		worker_stop(w[i]);
	relay_free(relay);
	for (unsigned i = 0; i < WORKERS; i++) {
		evring_free(ring[i]);
		close(wake[i]);
	}
	given_free(&keeper);
	given_free(&feed);
}

const struct unit_test tests_worker[] = {
	{ "a source that goes before its copies were looked at", test_source_gone },
	{ 0 },
};

#endif
