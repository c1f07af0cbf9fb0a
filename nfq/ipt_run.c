/* SPDX-License-Identifier: GPL-2.0-or-later */
/* iptables-restore and -save, run by argv as children of this thread, whose netns they inherit. posix_spawn makes the child without
 * copying the agent's memory. stdin is a memfd, so nothing waits for it to be read; stdout and stderr are read until
 * both end; a deadline kills the child. The environment is two variables of ours. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nfq/ipt.h"

#define WORDS_MAX 512		/* of what the program says on stderr */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int find_program(enum ipt_backend b, enum ipt_family f, const char *job, char *path, size_t size, struct err *err)
{
	static const char *const dirs[] = { "/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin" };

	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
		snprintf(path, size, "%s/ip%stables-%s-%s", dirs[i], f == IPT_V6 ? "6" : "", ipt_backend_name(b), job);
		if (!access(path, X_OK))
			return 0;
	}
	return err_set(err, -ENOENT, "ip%stables-%s-%s is not installed", f == IPT_V6 ? "6" : "", ipt_backend_name(b), job);
}

struct child {
	const char *name;		/* for errors */
	pid_t pid;
	int in, out[2], words[2];	/* -1: closed */
	char *text;			/* what it printed, NUL-terminated */
	size_t n, size;
	char said[WORDS_MAX];
	size_t nsaid;
};

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void child_free(struct child *c)
{
	shut(&c->in);
	for (int i = 0; i < 2; i++) {
		shut(&c->out[i]);
		shut(&c->words[i]);
	}
	free(c->text);
}

static int child_pipes(struct child *c, const char *input, struct err *err)
{
	size_t n = input ? strlen(input) : 0;

	c->in = memfd_create("restore", MFD_CLOEXEC);
	if (c->in < 0 || pipe2(c->out, O_CLOEXEC) || pipe2(c->words, O_CLOEXEC))
		return err_set(err, -errno, "%s: %s", c->name, strerror(errno));
	for (size_t done = 0; done < n; ) {
		ssize_t w = write(c->in, input + done, n - done);

		if (w < 0)
			return err_set(err, -errno, "%s: input: %s", c->name, strerror(errno));
		done += (size_t)w;
	}
	fcntl(c->out[0], F_SETFL, O_NONBLOCK);
	fcntl(c->words[0], F_SETFL, O_NONBLOCK);
	return lseek(c->in, 0, SEEK_SET) ? err_set(err, -errno, "%s: input: %s", c->name, strerror(errno)) : 0;
}

static int child_start(struct child *c, char *const argv[], struct err *err)
{
	static char *const env[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C", NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&at);
	posix_spawn_file_actions_adddup2(&fa, c->in, 0);
	posix_spawn_file_actions_adddup2(&fa, c->out[1], 1);
	posix_spawn_file_actions_adddup2(&fa, c->words[1], 2);
	posix_spawnattr_setsigmask(&at, &none);
	posix_spawnattr_setsigdefault(&at, &all);
	posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawn(&c->pid, argv[0], &fa, &at, argv, env);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&at);
	shut(&c->out[1]);
	shut(&c->words[1]);
	return rc ? err_set(err, -rc, "%s: cannot be run: %s", argv[0], strerror(rc)) : 0;
}

/* One read of stdout; closes it at its end. */
static int read_text(struct child *c)
{
	ssize_t r;

	if (c->size - c->n < 4096) {
		size_t size = c->size ? c->size * 2 : 16384;
		char *more = size <= IPT_OUTPUT_MAX ? realloc(c->text, size) : NULL;

		if (!more)
			return size > IPT_OUTPUT_MAX ? -E2BIG : -ENOMEM;
		c->text = more;
		c->size = size;
	}
	r = read(c->out[0], c->text + c->n, c->size - c->n - 1);
	if (r > 0)
		c->n += (size_t)r;
	else if (r == 0 || (errno != EAGAIN && errno != EINTR))
		shut(&c->out[0]);
	c->text[c->n] = 0;
	return 0;
}

/* One read of stderr; what is beyond our room is read and forgotten. */
static void read_words(struct child *c)
{
	char lost[256];
	size_t room = sizeof c->said - 1 - c->nsaid;
	ssize_t r = read(c->words[0], room ? c->said + c->nsaid : lost, room ? room : sizeof lost);

	if (r > 0 && room)
		c->nsaid += (size_t)r;
	else if (r == 0 || (r < 0 && errno != EAGAIN && errno != EINTR))
		shut(&c->words[0]);
	c->said[c->nsaid] = 0;
}

/* Until both outputs ended. */
static int child_read(struct child *c, int64_t deadline)
{
	while (c->out[0] >= 0 || c->words[0] >= 0) {
		struct pollfd p[2] = { { .fd = c->out[0], .events = POLLIN }, { .fd = c->words[0], .events = POLLIN } };
		int64_t left = deadline - now_ms();
		int rc = 0;

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			return -errno;
		if (p[0].revents)
			rc = read_text(c);
		if (p[1].revents)
			read_words(c);
		if (rc)
			return rc;
	}
	return 0;
}

/* A child that closed its outputs ends at once; one that does not is killed at the deadline. */
static int child_wait(struct child *c, int64_t deadline, int *status)
{
	for (;;) {
		pid_t p = waitpid(c->pid, status, WNOHANG);

		if (p == c->pid)
			return 0;
		if (p < 0 && errno != EINTR)
			return -errno;
		if (now_ms() >= deadline)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
}

static void child_kill(struct child *c)
{
	int status;

	kill(c->pid, SIGKILL);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
}

/* The program's own words in one line. */
static const char *said(struct child *c)
{
	size_t n = c->nsaid;

	while (n && (c->said[n - 1] == '\n' || c->said[n - 1] == ' '))
		c->said[--n] = 0;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)c->said[i] < ' ')
			c->said[i] = ' ';
	return n ? c->said : "no reason given";
}

static int run(char *const argv[], const char *input, char **out, struct err *err)
{
	struct child c = { .name = strrchr(argv[0], '/') + 1, .in = -1, .out = { -1, -1 }, .words = { -1, -1 } };
	int64_t deadline = now_ms() + IPT_DEADLINE_MS;
	int status = 0, rc;

	rc = child_pipes(&c, input, err);
	if (!rc)
		rc = child_start(&c, argv, err);
	if (rc) {
		child_free(&c);
		return rc;
	}
	rc = child_read(&c, deadline);
	if (!rc)
		rc = child_wait(&c, deadline, &status);
	if (rc) {
		child_kill(&c);
		err_set(err, rc, "%s: %s", c.name, rc == -ETIMEDOUT ? "did not end in time and was killed" : strerror(-rc));
	} else if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		rc = err_set(err, -EIO, "%s: %s", c.name, said(&c));
	} else if (out) {
		*out = c.text ? c.text : calloc(1, 1);
		c.text = NULL;
		rc = *out ? 0 : err_set(err, -ENOMEM, "%s: no memory", c.name);
	}
	child_free(&c);
	return rc;
}

int ipt_restore(enum ipt_backend b, enum ipt_family f, const char *text, struct err *err)
{
	char path[96];
	char *const nft[] = { path, (char *)"--noflush", NULL };
	char *const legacy[] = { path, (char *)"--noflush", (char *)"-w", (char *)"4", NULL };	/* it waits for its global lock */
	int rc = find_program(b, f, "restore", path, sizeof path, err);

	return rc ? rc : run(b == IPT_LEGACY ? legacy : nft, text, NULL, err);
}

int ipt_save(enum ipt_backend b, enum ipt_family f, const char *table, char **out, struct err *err)
{
	char path[96];
	char *const argv[] = { path, (char *)"-c", table ? (char *)"-t" : NULL, (char *)(uintptr_t)table, NULL };
	int rc = find_program(b, f, "save", path, sizeof path, err);

	return rc ? rc : run(argv, NULL, out, err);
}
