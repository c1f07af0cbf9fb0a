/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nstest: a test in a network and mount namespace of its own.
 *
 * The body runs in a forked child (unshare of net and mount, /run a fresh tmpfs), so nothing of the machine is touched and all is gone
 * when it ends. CHECK counts there; the child's exit code carries the failures (and a sanitizer's) to CUnit. */
#ifndef TQ_TESTS_NSTEST_H
#define TQ_TESTS_NSTEST_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "tests/unit/unit.h"

extern unsigned ns_failed;

#define CHECK(cond) \
	do { \
		if (!(cond)) { \
			printf("\n    %s:%d: %s", __FILE__, __LINE__, #cond); \
			ns_failed++; \
		} \
	} while (0)
/* The same, and the error text that goes with it. */
#define CHECK_ERR(cond, err) \
	do { \
		if (!(cond)) { \
			printf("\n    %s:%d: %s: %s", __FILE__, __LINE__, #cond, (err).text); \
			ns_failed++; \
		} \
	} while (0)

/* Runs body in a child of its own; CU_FAIL when it failed. What the child logs goes to a file that ns_logged searches. */
void ns_test(void (*body)(void));
#define NS_TEST(name) static void name##_body(void); static void name(void) { ns_test(name##_body); } static void name##_body(void)

/* `ip ARGS` (split at spaces) here, or in another netns; its exit code. */
int ip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int ip_in(int nsfd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int ns_new(void);			/* a netns without a process or a name: only the descriptor keeps it */
const char *ns_path(int nsfd);		/* for `ip ... netns PATH`; a static buffer */
bool ns_name(int nsfd, const char *path);	/* bind mounts it at path, whose directories it makes */
void ns_veth(const char *host, int nsfd, const char *inner);	/* host side here, inner side in nsfd; both up */

/* A process that waits in a netns until ns_end; `grandchild`: its parent is not this process. fn (may be NULL) runs first. */
pid_t ns_process(int nsfd, bool grandchild);
void ns_end(pid_t);			/* kills and, when it is a child, reaps */

unsigned ns_fds(void);			/* open descriptors of this process */
bool ns_logged(const char *text);	/* something that contains it was logged since the last call */
bool ns_wait(bool (*condition)(void *ctx), void *ctx, int ms);	/* polls; false: in vain */

#endif
