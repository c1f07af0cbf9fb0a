/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bridge/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/log.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71	/* Linux 5.14 */
#endif

/* 0, or why this descriptor is no network namespace. */
static int check_nsfs(int fd, const char *path, struct err *err)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) || fstat(fd, &st))
		return err_set(err, -errno, "netns %s: %s", path, strerror(errno));
	if ((unsigned long)fs.f_type == NSFS_MAGIC) {
		if (ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET)
			return 0;
		return err_set(err, -EINVAL, "netns %s: a namespace of another kind", path);
	}
	/* `ip netns add` makes the file first and mounts the namespace over it some milliseconds later. */
	if (S_ISREG(st.st_mode))
		return err_set(err, -EAGAIN, "netns %s: an ordinary file, not (yet) a namespace", path);
	return err_set(err, -EINVAL, "netns %s: not a namespace", path);
}

int netns_open(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);	/* a FIFO of that name must not stop us */
	int rc;

	if (fd < 0)
		return err_set(err, -errno, "netns %s: %s", path, strerror(errno));
	rc = check_nsfs(fd, path, err);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

int netns_open_pid(pid_t pid, struct err *err)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
	return netns_open(path, err);
}

int netns_open_own(struct err *err)
{
	return netns_open("/proc/thread-self/ns/net", err);
}

int netns_run(int nsfd, int (*fn)(void *ctx, struct err *), void *ctx, struct err *err)
{
	int home = netns_open_own(err), rc;

	if (home < 0)
		return home;
	if (setns(nsfd, CLONE_NEWNET)) {
		rc = err_set(err, -errno, "entering a network namespace: %s", strerror(errno));
		close(home);
		return rc;
	}
	rc = fn(ctx, err);
	if (setns(home, CLONE_NEWNET)) {
		log_error(BRIDGE, "cannot come back from a network namespace: %s", strerror(errno));
		abort();
	}
	close(home);
	return rc;
}

struct socket_args {
	int family, type, protocol;
};

static int make_socket(void *ctx, struct err *err)
{
	const struct socket_args *a = ctx;
	int fd = socket(a->family, a->type | SOCK_CLOEXEC, a->protocol);

	return fd >= 0 ? fd : err_set(err, -errno, "socket in a network namespace: %s", strerror(errno));
}

int netns_socket(int nsfd, int family, int type, int protocol, struct err *err)
{
	struct socket_args a = { family, type, protocol };

	return netns_run(nsfd, make_socket, &a, err);
}

int netns_cookie(int nsfd, uint64_t *cookie, struct err *err)
{
	socklen_t len = sizeof *cookie;
	int fd = netns_socket(nsfd, AF_UNIX, SOCK_DGRAM, 0, err), rc = 0;

	if (fd < 0)
		return fd;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &len))
		rc = err_set(err, -errno, "SO_NETNS_COOKIE (a kernel of 5.14 or later has it): %s", strerror(errno));
	close(fd);
	return rc;
}
