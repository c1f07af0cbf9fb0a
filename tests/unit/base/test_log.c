/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/unit/unit.h"

static char out[1 << 16];

/* Runs fn with stderr in a pipe (its content fits). */
static size_t caught(void (*fn)(void))
{
	int p[2], saved;
	ssize_t n;

	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	dup2(p[1], STDERR_FILENO);
	close(p[1]);
	fn();
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(p[0], out, sizeof(out) - 1);
	if (n < 0)
		n = 0;
	out[n] = '\0';
	close(p[0]);
	return (size_t)n;
}

static unsigned lines(void)
{
	unsigned n = 0;

	for (const char *p = out; *p; p++)
		n += *p == '\n';
	return n;
}

static void say_one(void)
{
	errno = ENOENT;
	log_warn(NFQ, "queue %d: %s", 7, "full\nerror: nfq: forged\x1b[2J");
	CU_ASSERT_EQUAL(errno, ENOENT);
	log_debug(NFQ, "not at this level");
}

static void test_line(void)
{
	CU_ASSERT_EQUAL(log_set("all", "info"), 0);
	caught(say_one);
	CU_ASSERT_STRING_EQUAL(out, "warn: nfq: queue 7: full?error: nfq: forged?[2J\n");
}

static void say_long(void)
{
	static char text[5000];

	memset(text, 'x', sizeof(text) - 1);
	log_error(AGENT, "%s", text);
}

static void test_long(void)
{
	size_t n = caught(say_long);

	CU_ASSERT(n > 900 && n <= 1024);
	CU_ASSERT_EQUAL(lines(), 1);
}

static void say_much(void)
{
	for (int i = 0; i < 100; i++)
		log_warn(TC, "line %d", i);
}

static void *say_in_thread(void *arg)
{
	struct log_site *site = arg;

	for (int i = 0; i < 1000; i++)
		log_line(site, LOG_TC, LOG_LVL_INFO, "thread line");
	return NULL;
}

static struct log_site shared;

static void say_from_threads(void)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, say_in_thread, &shared);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

static void say_again(void)
{
	shared.window_ns -= 6 * (int64_t)1000000000;	/* the window has ended */
	log_line(&shared, LOG_TC, LOG_LVL_INFO, "again");
}

static void test_rate(void)
{
	caught(say_much);
	CU_ASSERT_EQUAL(lines(), 10);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "line 9\n"));
	CU_ASSERT_PTR_NULL(strstr(out, "line 10\n"));
	caught(say_from_threads);
	/* the thread that opens the window may forget a few that were counted just then, never more than one per thread */
	CU_ASSERT(lines() >= 10 && lines() <= 14);
	caught(say_again);
	CU_ASSERT_EQUAL(lines(), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "info: tc: again\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, " more lines"));
}

static void test_levels(void)
{
	CU_ASSERT_EQUAL(log_set("nfq", "loud"), -EINVAL);
	CU_ASSERT_EQUAL(log_set("nothing", "info"), -EINVAL);
	CU_ASSERT_EQUAL(log_set("sink", "error"), 0);
	CU_ASSERT_EQUAL(log_levels[LOG_SINK], LOG_LVL_ERROR);
	CU_ASSERT_EQUAL(log_levels[LOG_NFQ], LOG_LVL_INFO);
	CU_ASSERT_EQUAL(log_set("all", "debug"), 0);
	for (int m = 0; m < LOG_MODULE_COUNT; m++)
		CU_ASSERT_EQUAL(log_levels[m], LOG_LVL_DEBUG);
	CU_ASSERT_EQUAL(log_set("all", "info"), 0);
	CU_ASSERT_STRING_EQUAL(log_module_name(LOG_POLICY), "policy");
	CU_ASSERT_STRING_EQUAL(log_module_name(LOG_MODULE_COUNT), "?");
	CU_ASSERT_STRING_EQUAL(log_level_name(LOG_LVL_WARN), "warn");
}

const struct unit_test tests_log[] = {
	{ "one line, whatever is in it", test_line },
	{ "a long line is cut", test_long },
	{ "a site that talks too much", test_rate },
	{ "levels by name", test_levels },
	{ 0 },
};
