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

/* Ready from the beginning; gives its frames, each of a flow of its own, or none and keeps its worker until it is let go. */
struct given {
	struct source src;
	int fd;
	unsigned flows, gave;	/* of both families in turn; 0: keeps */
	uint8_t packet[64][sizeof udp6];
	bool keeps, done, held;
	unsigned answered;
	sem_t kept, go;
};

static struct given *of(const struct source *s) { return (struct given *)(uintptr_t)s; }
static int given_fd(const struct source *s) { return of(s)->fd; }

static void number(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static int given_batch(struct source *s, struct frame *out, unsigned max, struct err *err)
{
	static const struct { const uint8_t *p; uint32_t n; } packets[] = { { udp4, sizeof udp4 }, { udp6, sizeof udp6 } };
	struct given *g = of(s);
	unsigned i;
	uint64_t n;

	(void)err;
	CU_ASSERT_FATAL(max >= 2);
	if (g->done)
		return 0;
	for (i = 0; i < max && i < 64 && g->gave < g->flows; i++, g->gave++) {
		uint8_t *p = g->packet[i];
		uint32_t len = packets[g->gave % 2].n;

		memcpy(p, packets[g->gave % 2].p, len);
		number(p + len - 9, 5000 + g->gave / 2);		/* their sum, and with it the checksum, is what it was */
		number(p + len - 7, 6000 - g->gave / 2);
		out[i] = (struct frame){ .ts = 1700000000LL * 1000000000, .data = p, .caplen = len, .wirelen = len, .link = LINK_RAW, .held = g->held, .token = i };
	}
	g->done = g->gave == g->flows;
	if (g->done)
		CU_ASSERT_EQUAL(read(g->fd, &n, sizeof n), sizeof n);
	if (g->keeps) {
		sem_post(&g->kept);
		sem_wait(&g->go);
	}
	return (int)i;
}

static void given_answer(struct source *s, const struct frame *f, struct answer a)
{
	CU_ASSERT(f->held && a.verdict == VERDICT_ALLOW);
	__atomic_fetch_add(&of(s)->answered, 1, __ATOMIC_RELAXED);
}

static void given_flush(struct source *s) { (void)s; }
static void given_close(struct source *s) { (void)s; }

static const struct source_ops given_ops = { .name = "given", .fd = given_fd, .batch = given_batch, .answer = given_answer, .flush = given_flush, .close = given_close };

static void given_init(struct given *g, bool keeps)
{
	*g = (struct given){ .src.ops = &given_ops, .fd = eventfd(1, EFD_NONBLOCK), .keeps = keeps, .flows = keeps ? 0 : 2 };
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

/* ---- workers ---- */

struct crowd {
	struct relay *relay;
	unsigned n;
	int wake[WORKERS];
	struct evring *ring[WORKERS];
	struct worker *w[WORKERS];
};

static void crowd_start(struct crowd *c, unsigned n)
{
	struct err err = { "" };

	*c = (struct crowd){ .n = n };
	for (unsigned i = 0; i < n; i++)
		c->wake[i] = eventfd(0, EFD_NONBLOCK);
	c->relay = n > 1 ? relay_new(n, c->wake) : NULL;
	CU_ASSERT_FATAL(c->relay || n == 1);
	for (unsigned i = 0; i < n; i++) {
		struct worker_conf conf = { .index = i, .relay = c->relay, .wake = c->wake[i], .watchdog = 60LL * 1000000000, .shunt_bytes = 1 << 20,
			.events = c->ring[i] = evring_new(RING_BYTES, -1), .dpi = { .max_flows = 1024, .memcap = 8 << 20, .key = { { 1, 2 } }, .flow_id_seed = 3 } };

		c->w[i] = worker_start(&conf, &err);
		CU_ASSERT_PTR_NOT_NULL_FATAL(c->w[i]);
	}
}

static void crowd_stop(struct crowd *c)
{
	for (unsigned i = 0; i < c->n; i++)
		worker_stop(c->w[i]);
	relay_free(c->relay);
	for (unsigned i = 0; i < c->n; i++) {
		evring_free(c->ring[i]);
		close(c->wake[i]);
	}
}

static uint64_t counted(const struct worker *w, enum dpi_counter c) { return counter_get(&worker_counters(w)[c]); }

static void pause_ms(long ms) { nanosleep(&(struct timespec){ 0, ms * 1000000 }, NULL); }

static void wait_for_flows(const struct worker *w, uint64_t n)
{
	for (unsigned i = 0; i < 5000 && counted(w, DPI_C_FLOWS_NEW) < n; i++)
		pause_ms(1);
	CU_ASSERT_EQUAL(counted(w, DPI_C_FLOWS_NEW), n);
}

/* Copies that were handed to another worker are inspected there though their source is gone by then (which a sanitized build looks at). */
static void test_source_gone(void)
{
	struct err err = { "" };
	struct given keeper, feed;
	struct crowd c;

	CU_ASSERT_EQUAL_FATAL(steer_ip(udp4, sizeof udp4, WORKERS), 0);
	CU_ASSERT_EQUAL_FATAL(steer_ip(udp6, sizeof udp6, WORKERS), 0);
	crowd_start(&c, WORKERS);
	given_init(&keeper, true);
	given_init(&feed, false);
	CU_ASSERT_EQUAL(worker_add_source(c.w[0], &keeper.src, NULL, NULL, NULL, &err), 0);
	sem_wait(&keeper.kept);
	CU_ASSERT_EQUAL(worker_add_source(c.w[1], &feed.src, NULL, NULL, NULL, &err), 0);
	worker_remove_source(c.w[1], &feed.src);
	CU_ASSERT(feed.done);
	sem_post(&keeper.go);
	wait_for_flows(c.w[0], 2);
	CU_ASSERT_EQUAL(counted(c.w[0], DPI_C_FRAMES), 2);
	CU_ASSERT_EQUAL(counted(c.w[1], DPI_C_FRAMES), 0);
	crowd_stop(&c);
	given_free(&keeper);
	given_free(&feed);
}

/* The same of held frames, where the other worker is so slow that they are left to the kernel: answers that come then are nobody's. In time they are the source's. */
static void test_source_gone_unanswered(void)
{
	for (unsigned late = 0; late < 2; late++) {
		struct err err = { "" };
		struct given keeper, feed;
		struct crowd c;

		crowd_start(&c, WORKERS);
		given_init(&keeper, late);
		given_init(&feed, false);
		feed.held = true;
		if (late) {
			CU_ASSERT_EQUAL(worker_add_source(c.w[0], &keeper.src, NULL, NULL, NULL, &err), 0);
			sem_wait(&keeper.kept);
		}
		CU_ASSERT_EQUAL(worker_add_source(c.w[1], &feed.src, NULL, NULL, NULL, &err), 0);
		worker_remove_source(c.w[1], &feed.src);
		CU_ASSERT_EQUAL(__atomic_load_n(&feed.answered, __ATOMIC_RELAXED), late ? 0 : 2);
		sem_post(&keeper.go);
		wait_for_flows(c.w[0], 2);
		pause_ms(late ? 100 : 0);
		CU_ASSERT_EQUAL(__atomic_load_n(&feed.answered, __ATOMIC_RELAXED), late ? 0 : 2);
		crowd_stop(&c);
		given_free(&keeper);
		given_free(&feed);
	}
}

/* Of a worker that sees nothing a time comes in which it does not look up for three of its ticks; what comes then is inspected all the same. */
static void test_rests(void)
{
	struct err err = { "" };
	struct given feed;
	struct crowd c;
	bool rests = false;

	crowd_start(&c, 1);
	given_init(&feed, false);
	for (unsigned i = 0; i < 50 && !rests; i++) {
		uint64_t beats = worker_beats(c.w[0]);

		pause_ms(180);
		rests = worker_beats(c.w[0]) == beats;
	}
	CU_ASSERT(rests);
	CU_ASSERT_EQUAL(worker_add_source(c.w[0], &feed.src, NULL, NULL, NULL, &err), 0);
	wait_for_flows(c.w[0], 2);
	crowd_stop(&c);
	given_free(&feed);
}

/* Flows that end at once go at the pace of whoever takes what they tell: nothing is dropped. Where nobody takes anything they end all the same, and what found
 * no room was counted. */
static void ends_at_once(bool taken)
{
	const unsigned n = 1000;
	struct err err = { "" };
	struct given feed;
	struct crowd c;
	unsigned told = 0;

	crowd_start(&c, 1);
	given_init(&feed, false);
	feed.flows = n;
	worker_set_event_mask(c.w[0], 1u << EV_FLOW);
	CU_ASSERT_EQUAL(worker_add_source(c.w[0], &feed.src, NULL, NULL, NULL, &err), 0);
	wait_for_flows(c.w[0], n);	/* by its own clock they are years old */
	for (unsigned ms = 0; ms < 5000 && counted(c.w[0], DPI_C_FLOWS_END) < n; ms++) {
		const struct event *ev;

		for (unsigned i = 0; taken && i < 16 && (ev = evring_peek(c.ring[0])); i++) {
			told += ev->type == EV_FLOW;
			evring_pop(c.ring[0]);
		}
		pause_ms(1);
	}
	CU_ASSERT_EQUAL(counted(c.w[0], DPI_C_FLOWS_END), n);
	for (const struct event *ev; (ev = evring_peek(c.ring[0])); evring_pop(c.ring[0]))
		told += ev->type == EV_FLOW;
	CU_ASSERT_EQUAL(told + evring_dropped(c.ring[0]), n);
	CU_ASSERT_EQUAL(evring_dropped(c.ring[0]) == 0, taken);
	crowd_stop(&c);
	given_free(&feed);
}

static void test_ends_at_once(void) { ends_at_once(true); }
static void test_ends_at_once_untaken(void) { ends_at_once(false); }

const struct unit_test tests_worker[] = {
	{ "a source that goes before its copies were looked at", test_source_gone },
	{ "a source that goes before its frames were answered", test_source_gone_unanswered },
	{ "one that sees nothing rests", test_rests },
	{ "a thousand that end at once wait for room", test_ends_at_once },
	{ "a thousand that end at once, and nobody makes room", test_ends_at_once_untaken },
	{ 0 },
};

#endif
