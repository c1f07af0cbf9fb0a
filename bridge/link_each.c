/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the veths of this netns lead. A dump of them says which ids (IFLA_LINK_NETNSID) are wanted. An id is no way in: candidates are
 * opened and asked for their id here (RTM_GETNSID by descriptor) until each wanted id has its namespace. Candidates are the
 * names under /run/netns, then those under /run/docker/netns, then (only when something is still missing, in one pass for all) the
 * namespaces of processes. A candidate is judged by its id alone, so a pid or path that was reused meanwhile does no harm.
 *
 * At most one descriptor is open at a time: hundreds of workloads must not need hundreds here. */
#include "bridge/link.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "bridge/census.h"
#include "bridge/netns.h"
#include "bridge/nlroute.h"

#define TRIES 3			/* dumps that change under way are read again; after that what was seen is taken */
#define WANTED_MAX 16384	/* namespaces; more are not looked for (told) */

struct want {
	int nsid;
	bool found;
};

struct search {
	struct nl_sock *sk;
	struct want *want;
	size_t n, size, left, cut;
	struct census census;
	bool have_census;
	bool (*known)(void *ctx, int nsid);
	void (*fn)(void *ctx, int nsfd, int nsid, const char *path, pid_t pid);
	void *ctx;
};

/* ---- what is wanted ---- */

static int add_want(void *ctx, const struct link_info *l)
{
	struct search *s = ctx;

	if (l->peer_nsid < 0 || (s->known && s->known(s->ctx, l->peer_nsid)))
		return 0;
	if (s->n == WANTED_MAX) {
		s->cut++;
		return 0;
	}
	if (s->n == s->size) {
		size_t size = s->size ? s->size * 2 : 64;
		struct want *w = realloc(s->want, size * sizeof *w);

		if (!w)
			return -ENOMEM;
		s->want = w;
		s->size = size;
	}
	s->want[s->n++] = (struct want){ .nsid = l->peer_nsid };
	return 0;
}

static int by_nsid(const void *a, const void *b)
{
	const struct want *x = a, *y = b;

	return (x->nsid > y->nsid) - (x->nsid < y->nsid);
}

static int read_wanted(struct search *s, struct err *err)
{
	size_t out = 0;
	int rc = -EINTR;

	for (int i = 0; i < TRIES && rc == -EINTR; i++) {
		s->n = s->cut = 0;
		rc = nlroute_each_link(s->sk, "veth", 0, add_want, s, err);
	}
	if (rc && rc != -EINTR)		/* what a change under way hid comes with its own event */
		return rc;
	if (s->cut)
		log_warn(BRIDGE, "%zu veths more than the %d whose namespaces are looked for", s->cut, WANTED_MAX);
	if (s->n)
		qsort(s->want, s->n, sizeof *s->want, by_nsid);
	for (size_t i = 0; i < s->n; i++)
		if (!i || s->want[i].nsid != s->want[i - 1].nsid)
			s->want[out++] = s->want[i];
	s->n = s->left = out;
	return 0;
}

/* ---- candidates ---- */

/* Hands the namespace out when its id is wanted and nobody had it before. */
static void offer(struct search *s, int nsfd, const char *path, pid_t pid)
{
	struct want key = { .nsid = -1 }, *w;
	struct err err = { "" };

	if (nlroute_nsid(s->sk, nsfd, &key.nsid, &err) || key.nsid < 0)
		return;
	w = bsearch(&key, s->want, s->n, sizeof *s->want, by_nsid);
	if (!w || w->found)
		return;
	w->found = true;
	s->left--;
	s->fn(s->ctx, nsfd, w->nsid, path, pid);
}

static int need_census(struct search *s, struct err *err)
{
	if (s->have_census)
		return 0;
	s->have_census = true;
	return census_take(&s->census, getpid(), err);
}

static void offer_names(struct search *s, const char *dir, bool named)
{
	DIR *d = s->left ? opendir(dir) : NULL;
	struct dirent *e;

	while (d && s->left && (e = readdir(d))) {
		struct err err = { "" };
		char path[300];
		pid_t pid = 0;
		struct stat st;
		int fd;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		fd = netns_open(path, &err);
		if (fd < 0)
			continue;
		/* A name that tells a person nothing (docker's sandbox keys): a process tells more. */
		if (!named && !need_census(s, &err) && !fstat(fd, &st))
			census_has(&s->census, st.st_ino, &pid);
		offer(s, fd, path, pid);
		close(fd);
	}
	if (d)
		closedir(d);
}

static int offer_processes(struct search *s, struct err *err)
{
	int rc = s->left ? need_census(s, err) : 0;

	for (size_t i = 0; !rc && s->left && i < s->census.n; i++) {
		struct err why = { "" };
		int fd = s->census.pid[i] ? netns_open_pid(s->census.pid[i], &why) : -1;

		if (fd < 0)
			continue;
		offer(s, fd, NULL, s->census.pid[i]);
		close(fd);
	}
	return rc;
}

int link_nsid(int nsfd, int *nsid, struct err *err)
{
	struct nl_sock *sk = nlroute_open(err);
	int rc = sk ? nlroute_nsid(sk, nsfd, nsid, err) : -EIO;

	nl_socket_free(sk);
	return rc;
}

int link_each_netns(bool (*known)(void *ctx, int nsid), void (*fn)(void *ctx, int nsfd, int nsid, const char *path, pid_t pid), void *ctx, struct err *err)
{
	struct search s = { .known = known, .fn = fn, .ctx = ctx };
	int rc;

	s.sk = nlroute_open(err);
	if (!s.sk)
		return -EIO;
	rc = read_wanted(&s, err);
	if (!rc) {
		offer_names(&s, "/run/netns", true);
		offer_names(&s, "/var/run/netns", true);	/* /run itself, but for a few old systems */
		offer_names(&s, "/run/docker/netns", false);
		rc = offer_processes(&s, err);
	}
	for (size_t i = 0; !rc && i < s.n; i++)
		if (!s.want[i].found)
			fn(ctx, -1, s.want[i].nsid, NULL, 0);
	nl_socket_free(s.sk);
	census_free(&s.census);
	free(s.want);
	return rc;
}
