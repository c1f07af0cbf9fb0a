/* SPDX-License-Identifier: GPL-2.0-or-later */
/* netns: network namespaces by descriptor; entering one and coming back.
 *
 * setns() is per thread: children and new threads inherit it, so nothing is started inside a
 * visit. The identity of a namespace is its cookie (SO_NETNS_COOKIE); inode numbers are reused.
 * Who is in a namespace, and whether a path names it: bridge/census.h. */
#ifndef TQ_BRIDGE_NETNS_H
#define TQ_BRIDGE_NETNS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Opens /run/netns/NAME, /proc/PID/ns/net or any nsfs path. Descriptor (O_CLOEXEC) or -errno: -EAGAIN for an ordinary
 * file (not yet a namespace: try again soon), -EINVAL for anything else that is no network namespace. */
int netns_open(const char *path, struct err *);
int netns_open_pid(pid_t pid, struct err *);
int netns_open_own(struct err *);	/* the calling thread's */

/* Runs fn inside the namespace on this thread and comes back. fn's result, or -errno when entering failed.
 * Should coming back fail the process aborts: a thread lost in a container's namespace must not go on. */
int netns_run(int nsfd, int (*fn)(void *ctx, struct err *), void *ctx, struct err *);

int netns_cookie(int nsfd, uint64_t *cookie, struct err *);

/* A socket made inside the namespace: it stays there. Descriptor (O_CLOEXEC) or -errno. */
int netns_socket(int nsfd, int family, int type, int protocol, struct err *);

#endif
