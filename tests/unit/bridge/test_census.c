/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/census.h"
#include "bridge/netns.h"
#include "tests/unit/bridge/nstest.h"

static struct err err;

static uint64_t ino_of(int fd)
{
	struct stat st;

	CHECK(fstat(fd, &st) == 0);
	return st.st_ino;
}

/* Is it in use, and by whom: -1: not; 0: a path; else a pid. */
static pid_t user_of(struct census *c, int nsfd)
{
	pid_t pid = -2;

	CHECK_ERR(census_take(c, getpid(), &err) == 0, err);
	if (!census_has(c, ino_of(nsfd), &pid))
		return -1;
	CHECK(census_has(c, ino_of(nsfd), NULL));
	return pid;
}

NS_TEST(neither)
{
	struct census c = { 0 };
	int ns = ns_new(), own = netns_open_own(&err);
	pid_t pid;

	CHECK(user_of(&c, ns) == -1);		/* our descriptor alone does not count */
	pid = ns_process(own, true);
	CHECK(user_of(&c, own) == -1);		/* nor is our own netns a workload's, whoever lives in it */
	ns_end(pid);
	close(own);
	close(ns);
	census_free(&c);
	CHECK(!census_has(&c, 1, NULL) && c.n == 0);
	census_free(&c);
}

NS_TEST(processes)
{
	struct census c = { 0 };
	int ns = ns_new();
	pid_t child = ns_process(ns, false), a, b;

	CHECK(user_of(&c, ns) == -1);		/* a child of ours is no reason to live */
	a = ns_process(ns, true);
	CHECK(user_of(&c, ns) == a);
	b = ns_process(ns, true);
	CHECK(user_of(&c, ns) == (a < b ? a : b));	/* the oldest, as pids go */
	ns_end(a);
	CHECK(user_of(&c, ns) == b);
	CHECK_ERR(census_take(&c, b, &err) == 0, err);	/* the one whose census it is does not count, its children do not either */
	CHECK(census_has(&c, ino_of(ns), &a) && a == child);
	ns_end(b);
	ns_end(child);
	CHECK(user_of(&c, ns) == -1);
	close(ns);
	census_free(&c);
}

NS_TEST(paths)
{
	struct census c = { 0 };
	int ns = ns_new(), other = ns_new();
	pid_t a;

	CHECK(ns_name(ns, "/run/netns/web"));
	CHECK(ns_name(ns, "/run/elsewhere/twice named"));
	CHECK(user_of(&c, ns) == 0);
	CHECK(user_of(&c, other) == -1);
	a = ns_process(ns, true);
	CHECK(user_of(&c, ns) == a);		/* a process says more than a path */
	ns_end(a);
	CHECK(user_of(&c, ns) == 0);
	CHECK(umount2("/run/netns/web", MNT_DETACH) == 0);
	CHECK(user_of(&c, ns) == 0);		/* the other name */
	CHECK(umount2("/run/elsewhere/twice named", MNT_DETACH) == 0);
	CHECK(user_of(&c, ns) == -1);
	close(ns);
	close(other);
	census_free(&c);
}

/* The list is sorted and without repetition, which census_has relies on; every one of many is found. */
NS_TEST(many)
{
	enum { N = 300 };
	static int fds[N];
	struct census c = { 0 };
	unsigned before;

	for (int i = 0; i < N; i++) {
		char path[64];

		fds[i] = ns_new();
		snprintf(path, sizeof path, "/run/netns/n%d", i);
		CHECK(ns_name(fds[i], path));
	}
	before = ns_fds();
	CHECK_ERR(census_take(&c, getpid(), &err) == 0, err);
	CHECK(ns_fds() == before);
	CHECK(c.n >= N);
	for (size_t i = 1; i < c.n; i++)
		CHECK(c.ino[i - 1] < c.ino[i]);
	for (int i = 0; i < N; i++)
		CHECK(census_has(&c, ino_of(fds[i]), NULL));
	CHECK(!census_has(&c, 0, NULL) && !census_has(&c, ~0ULL, NULL));
	census_free(&c);
}

/* The same without a pass over everything: the kernel tells of mounts, one process is asked about. */
NS_TEST(between_passes)
{
	struct census_paths p = { 0 };
	int ns = ns_new(), other = ns_new();
	uint64_t ino = ino_of(ns);
	pid_t a = ns_process(ns, true);
	const uint64_t *read;

	CHECK(census_lives(a, ino) && !census_lives(a, ino_of(other)));
	ns_end(a);
	CHECK(!census_lives(a, ino));
	CHECK_ERR(census_paths_look(&p, &err) == 0, err);
	CHECK(!census_paths_has(&p, ino));
	CHECK(ns_name(ns, "/run/netns/web"));
	CHECK(!census_paths_has(&p, ino));	/* as it was when last looked */
	CHECK_ERR(census_paths_look(&p, &err) == 0, err);
	CHECK(census_paths_has(&p, ino) && !census_paths_has(&p, ino_of(other)));
	read = p.named.ino;
	p.named.ino = NULL;			/* whoever read the table again would write to it */
	CHECK_ERR(census_paths_look(&p, &err) == 0, err);
	CHECK(p.named.ino == NULL);
	p.named.ino = (uint64_t *)(uintptr_t)read;
	CHECK(umount2("/run/netns/web", MNT_DETACH) == 0);
	CHECK_ERR(census_paths_look(&p, &err) == 0, err);
	CHECK(!census_paths_has(&p, ino));
	census_paths_free(&p);
	CHECK(!census_paths_has(&p, ino));
	census_paths_free(&p);
	close(ns);
	close(other);
}

const struct unit_test tests_census[] = {
	{ "neither a process nor a path", neither },
	{ "processes, not ours", processes },
	{ "paths", paths },
	{ "many", many },
	{ "between two passes", between_passes },
	{ 0 },
};
