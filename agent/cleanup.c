/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/quarantine.h"
#include "base/log.h"
#include "bridge/bridge.h"
#include "bridge/census.h"
#include "bridge/netns.h"
#include "nfq/rules.h"
#include "tc/filter.h"

static void clean_netns(int fd, const char *what, struct cleanup_result *r)
{
	struct err err = { "" };
	int n = rules_remove(fd, &err);

	if (n > 0 && rules_drop_tables(fd, &err))
		n = -1;
	if (n < 0)
		log_warn(NFQ, "%s: %s", what, err.text);
	else if (n > 0)
		r->namespaces++;
}

/* Every netns in which a process lives; each once. */
static int clean_process_netns(struct cleanup_result *r, struct err *err)
{
	struct census c = { 0 };
	int rc = census_take(&c, getpid(), err);

	for (size_t i = 0; !rc && i < c.n; i++) {
		struct err why = { "" };
		char what[32];
		int fd = c.pid[i] ? netns_open_pid(c.pid[i], &why) : -1;

		if (fd < 0)
			continue;
		snprintf(what, sizeof what, "netns of pid %d", (int)c.pid[i]);
		clean_netns(fd, what, r);
		close(fd);
	}
	census_free(&c);
	return rc;
}

/* Those that a name keeps, with nobody in them. */
static void clean_named_netns(struct cleanup_result *r)
{
	static const char *const dirs[] = { "/run/netns", "/run/docker/netns" };

	for (size_t d = 0; d < sizeof dirs / sizeof dirs[0]; d++) {
		DIR *dir = opendir(dirs[d]);
		struct dirent *e;

		while (dir && (e = readdir(dir))) {
			struct err why = { "" };
			char path[300];
			int fd;

			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, "%s/%s", dirs[d], e->d_name);
			fd = netns_open(path, &why);
			if (fd < 0)
				continue;
			clean_netns(fd, path, r);
			close(fd);
		}
		if (dir)
			closedir(dir);
	}
}

int cleanup_run(const char *bridge, const char *control, struct cleanup_result *r, struct err *err)
{
	struct bridge_pair pair;
	struct err why = { "" };
	json_t *alive = control_call(control, "log", json_object(), NULL, 2000, &why);
	struct tc *tc;
	char path[512];
	pid_t owner = 0;
	bool made, there;
	int rc;

	memset(r, 0, sizeof *r);
	if (alive) {
		json_decref(alive);
		return err_set(err, -EBUSY, "%s: a tapqd is running: stop it first", control);
	}
	/* A live agent with another control socket is known by its bridge. */
	there = if_nametoindex(bridge) != 0;
	rc = there ? bridge_ensure(bridge, &pair, &made, &owner, &why) : 0;
	if (rc == -EBUSY && owner)
		return err_set(err, rc, "bridge %s: a tapqd is running, pid %d: stop it first", bridge, (int)owner);
	if (rc == -EBUSY)
		return err_set(err, rc, "%s", why.text);
	tc = tc_open(err);
	if (!tc)
		return -EIO;
	rc = tc_remove_all(tc, err);
	tc_close(tc);
	if (rc < 0)
		return rc;
	r->devices = (unsigned)rc;
	rc = clean_process_netns(r, err);
	if (rc)
		return rc;
	clean_named_netns(r);
	quarantine_file(control, path, sizeof path);	/* nothing is cut off any more */
	if (unlink(path) && errno != ENOENT)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	rc = bridge_remove(bridge, err);
	if (!rc)
		r->bridges = there;
	return rc;
}
