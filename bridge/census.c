/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bridge/census.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOUNTS "/proc/self/mountinfo"

static int add(struct census *c, uint64_t ino, pid_t pid)
{
	if (c->n == c->size) {
		size_t size = c->size ? c->size * 2 : 256;
		uint64_t *inos = realloc(c->ino, size * sizeof *inos);
		pid_t *pids;

		if (!inos)
			return -ENOMEM;
		c->ino = inos;
		pids = realloc(c->pid, size * sizeof *pids);
		if (!pids)
			return -ENOMEM;
		c->pid = pids;
		c->size = size;
	}
	c->ino[c->n] = ino;
	c->pid[c->n++] = pid;
	return 0;
}

/* "net:[4026531840]" -> the inode; 0 when it is something else. */
static uint64_t net_ino(const char *text)
{
	uint64_t ino;

	return sscanf(text, "net:[%" SCNu64 "]", &ino) == 1 ? ino : 0;
}

/* Our own helpers (iptables in a container's netns) are no reason for a container to live. */
static bool is_child_of(const char *pid, pid_t self)
{
	char path[64], line[512], *close_paren;
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%.16s/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fgets(line, sizeof line, f) && (close_paren = strrchr(line, ')')))
		sscanf(close_paren + 1, " %*c %d", &parent);
	fclose(f);
	return parent == self;
}

static int scan_processes(struct census *c, pid_t self, uint64_t own, struct err *err)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int rc = 0;

	if (!d)
		return err_set(err, -errno, "/proc: %s", strerror(errno));
	while (!rc && (e = readdir(d))) {
		char path[64], link[64];
		uint64_t ino;
		ssize_t n;

		if (!isdigit((unsigned char)e->d_name[0]) || atoi(e->d_name) == self)
			continue;
		snprintf(path, sizeof path, "/proc/%.16s/ns/net", e->d_name);
		n = readlink(path, link, sizeof link - 1);
		if (n <= 0)
			continue;	/* gone, or a kernel thread */
		link[n] = 0;
		ino = net_ino(link);
		if (ino && ino != own && !is_child_of(e->d_name, self))
			rc = add(c, ino, atoi(e->d_name));
	}
	closedir(d);
	return rc ? err_set(err, rc, "/proc: no memory") : 0;
}

/* Bind mounts of nsfs: the root field (4th) of mountinfo is "net:[INO]" (proc(5)). */
static int scan_mounts(struct census *c, struct err *err)
{
	FILE *f = fopen(MOUNTS, "re");
	char *line = NULL;
	size_t size = 0;
	int rc = 0;

	if (!f)
		return err_set(err, -errno, MOUNTS ": %s", strerror(errno));
	while (!rc && getline(&line, &size, f) > 0) {
		char root[64];
		uint64_t ino;

		if (sscanf(line, "%*s %*s %*s %63s", root) == 1 && (ino = net_ino(root)))
			rc = add(c, ino, 0);
	}
	free(line);
	fclose(f);
	return rc ? err_set(err, rc, "mountinfo: no memory") : 0;
}

struct pair { uint64_t ino; pid_t pid; };

static int by_ino(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	if (!x->pid || !y->pid)
		return !x->pid - !y->pid;	/* a process first: it says more than a path */
	return (x->pid > y->pid) - (x->pid < y->pid);	/* the oldest, mostly: a container's first process, not what it just ran */
}

static int sort_unique(struct census *c)
{
	struct pair *p = malloc((c->n ? c->n : 1) * sizeof *p);
	size_t out = 0;

	if (!p)
		return -ENOMEM;
	for (size_t i = 0; i < c->n; i++)
		p[i] = (struct pair){ c->ino[i], c->pid[i] };
	qsort(p, c->n, sizeof *p, by_ino);
	for (size_t i = 0; i < c->n; i++) {
		if (i && p[i].ino == p[i - 1].ino)
			continue;
		c->ino[out] = p[i].ino;
		c->pid[out++] = p[i].pid;
	}
	c->n = out;
	free(p);
	return 0;
}

int census_take(struct census *c, pid_t self, struct err *err)
{
	char link[64];
	ssize_t n = readlink("/proc/thread-self/ns/net", link, sizeof link - 1);
	int rc;

	c->n = 0;
	link[n > 0 ? n : 0] = 0;
	rc = scan_processes(c, self, net_ino(link), err);
	if (!rc)
		rc = scan_mounts(c, err);
	if (!rc && sort_unique(c))
		rc = err_set(err, -ENOMEM, "census: no memory");
	return rc;
}

bool census_has(const struct census *c, uint64_t ino, pid_t *pid)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->ino[mid] == ino) {
			if (pid)
				*pid = c->pid[mid];
			return true;
		}
		if (c->ino[mid] < ino)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

bool census_lives(pid_t pid, uint64_t ino)
{
	char path[64], link[64];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
	n = readlink(path, link, sizeof link - 1);
	link[n > 0 ? n : 0] = 0;
	return n > 0 && net_ino(link) == ino;
}

int census_paths_look(struct census_paths *p, struct err *err)
{
	struct pollfd f = { .fd = p->fd_plus_1 - 1, .events = POLLPRI };
	int rc;

	if (p->fd_plus_1 && poll(&f, 1, 0) >= 0 && !(f.revents & (POLLPRI | POLLERR)))
		return 0;
	if (!p->fd_plus_1)	/* opened before it is read: what changes meanwhile is told next time */
		p->fd_plus_1 = open(MOUNTS, O_RDONLY | O_CLOEXEC) + 1;
	if (!p->fd_plus_1)
		return err_set(err, -errno, MOUNTS ": %s", strerror(errno));
	p->named.n = 0;
	rc = scan_mounts(&p->named, err);
	if (!rc && sort_unique(&p->named))
		rc = err_set(err, -ENOMEM, "census: no memory");
	if (rc)		/* half of it would make workloads gone: all of it next time */
		census_paths_free(p);
	return rc;
}

bool census_paths_has(const struct census_paths *p, uint64_t ino) { return census_has(&p->named, ino, NULL); }

void census_paths_free(struct census_paths *p)
{
	if (p->fd_plus_1)
		close(p->fd_plus_1 - 1);
	census_free(&p->named);
	*p = (struct census_paths){ 0 };
}

void census_free(struct census *c)
{
	free(c->ino);
	free(c->pid);
	*c = (struct census){ 0 };
}
