/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/evring.h"
#include "tests/unit/unit.h"

#define EVENTS 200000

static uint32_t len_of(uint64_t i) { return (uint32_t)(i * 2654435761u >> 7) % (i % 97 ? 300 : 20000); }
static uint8_t byte_of(uint64_t i, uint32_t b) { return (uint8_t)(i * 31 + b); }

static void *produce(void *arg)
{
	static uint8_t body[20000];
	struct evring *r = arg;

	for (uint64_t i = 0; i < EVENTS; i++) {
		struct event ev = { .flow_id = i, .body = body, .body_len = len_of(i) };

		for (uint32_t b = 0; b < ev.body_len; b++)
			body[b] = byte_of(i, b);
		evring_put(r, &ev);
		if (i % 16 == 15)
			evring_wake(r);
	}
	evring_wake(r);
	return NULL;
}

/* All that was put comes out, whole and in order; what is missing is what was counted. The consumer sleeps on the eventfd only; `doze`: it is woken
 * only while it says that it sleeps. */
static void run_threads(bool doze)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct evring *r = evring_new(64 << 10, fd);
	uint64_t got = 0, next = 0, n;
	pthread_t t;

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	pthread_create(&t, NULL, produce, r);
	while (next < EVENTS && got + evring_dropped(r) < EVENTS) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		const struct event *ev;

		if (!doze || evring_doze(r, false)) {
			if (poll(&p, 1, 5000) != 1)
				break;
			CU_ASSERT_EQUAL(read(fd, &n, sizeof n), sizeof n);
		}
		if (doze)
			evring_doze(r, true);
		while ((ev = evring_peek(r))) {
			CU_ASSERT_FATAL(ev->flow_id >= next && ev->flow_id < EVENTS);
			CU_ASSERT_EQUAL_FATAL(ev->body_len, len_of(ev->flow_id));
			for (uint32_t b = 0; b < ev->body_len; b += 1 + ev->body_len / 50)
				CU_ASSERT_EQUAL_FATAL(ev->body[b], byte_of(ev->flow_id, b));
			CU_ASSERT_EQUAL_FATAL((uintptr_t)ev->body % 8, 0);
			next = ev->flow_id + 1;
			got++;
			evring_pop(r);
		}
	}
	pthread_join(t, NULL);
	while (evring_peek(r)) {
		evring_pop(r);
		got++;
	}
	CU_ASSERT_EQUAL(got + evring_dropped(r), EVENTS);
	CU_ASSERT(got > 100);	/* a ring full at least: the consumer may not have run before the producer was done */
	evring_free(r);
	close(fd);
}

static void test_threads(void)
{
	run_threads(false);
	run_threads(true);
}

static bool woken(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof n) == sizeof n;
}

/* Who looks by itself is not woken, before half of the ring is full. */
static void test_doze(void)
{
	static uint8_t body[1000];
	struct event ev = { .body = body, .body_len = sizeof body };
	const size_t each = sizeof(uint64_t) + sizeof ev + sizeof body;
	int fd = eventfd(0, EFD_NONBLOCK);
	struct evring *r = evring_new(64 << 10, fd);

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT(evring_doze(r, true));
	CU_ASSERT(evring_put(r, &ev));
	evring_wake(r);
	CU_ASSERT_FALSE(woken(fd));
	CU_ASSERT_FALSE(evring_doze(r, false));		/* not empty: no time to sleep */
	evring_doze(r, true);
	for (unsigned n = 2; n <= 40; n++) {
		CU_ASSERT(evring_put(r, &ev));
		evring_wake(r);
		CU_ASSERT_EQUAL(woken(fd), n * each >= 32 << 10);
	}
	while (evring_peek(r))
		evring_pop(r);
	evring_put(r, &ev);
	evring_wake(r);
	CU_ASSERT_FALSE(woken(fd));
	CU_ASSERT_PTR_NOT_NULL(evring_peek(r));
	evring_pop(r);
	CU_ASSERT(evring_doze(r, false));
	evring_put(r, &ev);
	evring_wake(r);
	CU_ASSERT(woken(fd));
	evring_wake(r);		/* nothing new */
	CU_ASSERT_FALSE(woken(fd));
	evring_free(r);
	close(fd);
}

static void test_full(void)
{
	struct evring *r = evring_new(64 << 10, -1);
	static uint8_t body[64 << 10];
	struct event ev = { .body = body, .body_len = sizeof body };
	uint64_t put = 0, got = 0;

	CU_ASSERT_FALSE(evring_put(r, &ev));		/* more than half of the ring */
	ev.body_len = 1000;
	while (evring_put(r, &ev))
		put++;
	CU_ASSERT_EQUAL(evring_dropped(r), 2);
	CU_ASSERT(put > 40);
	for (int i = 0; i < 1000; i++) {		/* the end of the buffer at every place */
		CU_ASSERT_PTR_NOT_NULL_FATAL(evring_peek(r));
		CU_ASSERT_EQUAL(evring_peek(r)->body_len, i < (int)put ? 1000 : (uint32_t)(i - (int)put) % 1000);
		evring_pop(r);
		ev.body_len = (uint32_t)i % 1000;
		CU_ASSERT_TRUE_FATAL(evring_put(r, &ev));
	}
	while (evring_peek(r)) {
		evring_pop(r);
		got++;
	}
	CU_ASSERT_EQUAL(got, put);
	evring_wake(r);
	evring_free(r);
	evring_free(NULL);
	CU_ASSERT_PTR_NULL(evring_new(1000, -1));
	CU_ASSERT_PTR_NULL(evring_new(100000, -1));
}

const struct unit_test tests_evring[] = {
	{ "two threads", test_threads },
	{ "full, and around the end", test_full },
	{ "a consumer that looks by itself", test_doze },
	{ 0 },
};
