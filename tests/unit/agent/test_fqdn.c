/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that workloads learn: time, room, whose they are, and many threads at once (built with -fsanitize=thread too: tests/unit/threads). */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/fqdn.h"
#include "tests/unit/unit.h"

#define SEC INT64_C(1000000000)
#define NOW (INT64_C(1767323045) * SEC)

static const struct hash_key key = { { 3, 4 } };

static struct addr addr(unsigned i) { return addr_v4((const uint8_t[]){ 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i }); }

static void learn(struct fqdn_cache *c, uint32_t workload, unsigned a, const char *name, uint32_t ttl, int64_t now)
{
	struct addr to = addr(a);

	fqdn_cache_learn(c, workload, &to, (struct bytes){ (const uint8_t *)name, strlen(name) }, ttl, now);
}

static void add(void *ctx, struct bytes name)
{
	char *text = ctx;

	strncat(text, (const char *)name.p, name.n);
	strcat(text, " ");
}

/* "a.x b.x " */
static const char *names(const struct fqdn_cache *c, uint32_t workload, unsigned a, int64_t since)
{
	static char text[16384];
	struct addr of = addr(a);

	text[0] = '\0';
	fqdn_cache_each(c, workload, &of, since, add, text);
	return text;
}

static void test_time(void)
{
	struct fqdn_cache *c = fqdn_cache_new(1000, &key);
	struct addr a = { { 0 } }, want = addr(1);
	struct fqdn_cache_stats s;

	learn(c, 7, 1, "a.x", 60, NOW);
	learn(c, 7, 1, "b.x", 0, NOW);
	CU_ASSERT_STRING_EQUAL(names(c, 7, 1, NOW), "a.x b.x ");
	CU_ASSERT_STRING_EQUAL(names(c, 8, 1, NOW), "");	/* another workload's */
	CU_ASSERT_STRING_EQUAL(names(c, 7, 2, NOW), "");
	CU_ASSERT_STRING_EQUAL(names(c, 7, 1, NOW + FQDN_GRACE), "a.x b.x ");	/* TTL 0 has its grace */
	CU_ASSERT_STRING_EQUAL(names(c, 7, 1, NOW + FQDN_GRACE + 1), "a.x ");
	CU_ASSERT_STRING_EQUAL(names(c, 7, 1, NOW + FQDN_GRACE + 60 * SEC), "a.x ");
	CU_ASSERT_STRING_EQUAL(names(c, 7, 1, NOW + FQDN_GRACE + 60 * SEC + 1), "");
	CU_ASSERT_STRING_EQUAL(names(c, 7, 1, NOW + 30 * SEC), "a.x b.x ");	/* for a flow of then it goes on, however late it is */
	learn(c, 7, 1, "a.x", 10, NOW + SEC);	/* a shorter one takes nothing away */
	CU_ASSERT_STRING_EQUAL(names(c, 7, 1, NOW + FQDN_GRACE + 60 * SEC), "a.x ");
	learn(c, 7, 1, "b.x", 600, NOW + SEC);
	CU_ASSERT_STRING_EQUAL(names(c, 7, 1, NOW + FQDN_GRACE + 601 * SEC), "b.x ");
	CU_ASSERT_STRING_EQUAL(names(c, 7, 1, NOW), "a.x b.x ");	/* learned last, told last */
	learn(c, 7, 3, "c.x", UINT32_MAX, NOW);
	CU_ASSERT_STRING_EQUAL(names(c, 7, 3, NOW + FQDN_GRACE + 7 * 86400 * SEC), "c.x ");
	CU_ASSERT_STRING_EQUAL(names(c, 7, 3, NOW + FQDN_GRACE + 7 * 86400 * SEC + 1), "");
	CU_ASSERT(fqdn_cache_find(c, 7, (struct bytes){ (const uint8_t *)"a.x", 3 }, NOW, &a) && addr_eq(&a, &want));
	CU_ASSERT(!fqdn_cache_find(c, 8, (struct bytes){ (const uint8_t *)"a.x", 3 }, NOW, &a));
	CU_ASSERT(!fqdn_cache_find(c, 7, (struct bytes){ (const uint8_t *)"a.x", 3 }, NOW + 200 * SEC, &a));
	fqdn_cache_stats(c, &s);
	CU_ASSERT(s.learned == 3 && s.renewed == 2 && s.pushed_out == 0);
	fqdn_cache_free(c);
	fqdn_cache_free(NULL);
}

/* One bucket: what is not believed any more goes first, then what the busiest workload has, the least time left first. */
static void test_room(void)
{
	struct fqdn_cache *c = fqdn_cache_new(1, &key);
	struct fqdn_cache_stats s;
	char name[256];

	learn(c, 7, 1, "stale.x", 0, NOW - 3600 * SEC);
	learn(c, 7, 1, "mine.x", 5, NOW);
	for (unsigned i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "n%u.attacker.example", i);
		learn(c, 8, 1, name, 3600 + i, NOW);
	}
	fqdn_cache_stats(c, &s);
	CU_ASSERT(s.pushed_out > 10);
	CU_ASSERT_STRING_EQUAL(names(c, 7, 1, NOW - 3600 * SEC), "mine.x ");
	CU_ASSERT(strstr(names(c, 8, 1, NOW), "n59.attacker.example ") && !strstr(names(c, 8, 1, NOW), "n0.attacker.example "));
	memset(name, 'a', sizeof name);
	for (unsigned i = 63; i < 253; i += 64)
		name[i] = '.';
	name[253] = '\0';
	for (unsigned i = 0; i < 20; i++) {	/* the longest */
		name[0] = (char)('a' + i);
		learn(c, 9, 1, name, 10, NOW);
		CU_ASSERT(strstr(names(c, 9, 1, NOW), name) != NULL);
	}
	name[253] = 'a';
	name[254] = '\0';
	learn(c, 9, 2, name, 10, NOW);
	learn(c, 9, 2, "", 10, NOW);
	CU_ASSERT_STRING_EQUAL(names(c, 9, 2, NOW), "");
	CU_ASSERT_STRING_EQUAL(names(c, 7, 1, NOW), "mine.x ");
	fqdn_cache_free(c);
}

/* ---- threads ---- */

#define WRITERS 3u
#define READERS 2u
#define ROUNDS 20000u
#define ADDRS 8u

struct shared {
	struct fqdn_cache *c;
	unsigned running, torn, seen, missed;
};

/* Its names say everything twice: "12.12.12.w1.x". */
static void text_of(char *out, unsigned workload, unsigned i)
{
	int n = 0;

	for (unsigned k = 0; k <= i % 20; k++)
		n += sprintf(out + n, "%u.", i);
	sprintf(out + n, "w%u.x", workload);
}

static void check_name(void *ctx, struct bytes name)
{
	char text[512], want[512];
	unsigned i, *torn = ctx;

	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	i = (unsigned)strtoul(text, NULL, 10);
	text_of(want, (unsigned)strtoul(strchr(text, 'w') ? strchr(text, 'w') + 1 : "0", NULL, 10), i);
	torn[1]++;
	torn[0] += strcmp(text, want) != 0;
}

static void is_it(void *ctx, struct bytes name)
{
	const char **want = ctx;

	if (*want && strlen(*want) == name.n && !memcmp(*want, name.p, name.n))
		*want = NULL;
}

static void *writer(void *arg)
{
	static unsigned numbers;
	struct shared *s = arg;
	unsigned me = __atomic_add_fetch(&numbers, 1, __ATOMIC_RELAXED) % WRITERS + 1;
	char name[512];

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct addr a = addr(i % ADDRS);
		const char *want = name;

		text_of(name, me, i);
		fqdn_cache_learn(s->c, me, &a, (struct bytes){ (const uint8_t *)name, strlen(name) }, i, NOW + i);
		/* Who learned it finds it: only its own workload's names could push it out. */
		fqdn_cache_each(s->c, me, &a, NOW + i, is_it, &want);
		if (want)
			__atomic_add_fetch(&s->missed, 1, __ATOMIC_RELAXED);
	}
	__atomic_sub_fetch(&s->running, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void *reader(void *arg)
{
	struct shared *s = arg;
	unsigned torn[2] = { 0, 0 };

	for (unsigned i = 0; __atomic_load_n(&s->running, __ATOMIC_RELAXED); i++) {
		struct addr a = addr(i % ADDRS);

		fqdn_cache_each(s->c, 1 + i / ADDRS % WRITERS, &a, NOW, check_name, torn);
	}
	__atomic_add_fetch(&s->torn, torn[0], __ATOMIC_RELAXED);
	__atomic_add_fetch(&s->seen, torn[1], __ATOMIC_RELAXED);
	return NULL;
}

/* All write into one bucket, which is full all the time. */
static void test_threads(void)
{
	struct shared s = { .c = fqdn_cache_new(1, &key), .running = WRITERS };
	pthread_t t[WRITERS + READERS];
	struct fqdn_cache_stats st;

	for (unsigned i = 0; i < WRITERS + READERS; i++)
		if (pthread_create(&t[i], NULL, i < WRITERS ? writer : reader, &s))
			abort();
	for (unsigned i = 0; i < WRITERS + READERS; i++)
		pthread_join(t[i], NULL);
	fqdn_cache_stats(s.c, &st);
	CU_ASSERT_EQUAL(s.torn, 0);
	CU_ASSERT(s.seen > 1000);
	CU_ASSERT_EQUAL(s.missed, 0);
	CU_ASSERT_EQUAL(st.learned + st.renewed, WRITERS * ROUNDS);
	CU_ASSERT(st.pushed_out > ROUNDS);
	fqdn_cache_free(s.c);
}

const struct unit_test tests_fqdn[] = {
	{ "time", test_time },
	{ "room", test_room },
	{ "threads", test_threads },
	{ 0 },
};
