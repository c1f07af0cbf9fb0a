/* SPDX-License-Identifier: GPL-2.0-or-later */
/* census: which network namespaces are in use: some process other than ours is in them, or a path (a bind mount of
 * nsfs) names them. One pass over /proc and the mount table for all workloads at once, because a descriptor of
 * ours keeps a dead container's netns alive, and only the others' references tell that it is dead. */
#ifndef TQ_BRIDGE_CENSUS_H
#define TQ_BRIDGE_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct census {
	uint64_t *ino;		/* sorted, unique */
	pid_t *pid;		/* some process in it; 0: only a path names it */
	size_t n, size;
};

/* Fills (replaces) the census; processes whose parent is `self`, and self, are left out. 0 or -errno. */
int census_take(struct census *, pid_t self, struct err *);
/* NULL pid is fine. The inode is that of the nsfs file (fstat of a namespace descriptor). */
bool census_has(const struct census *, uint64_t ino, pid_t *pid);
void census_free(struct census *);

/* Between two passes: what can be asked of one namespace, cheaply. */

/* Which namespaces a path names, read anew only when the kernel says that the mount table changed (poll(2) on mountinfo, proc(5)). Zero is empty and ready. */
struct census_paths {
	int fd_plus_1;		/* of mountinfo; 0: not open yet */
	struct census named;	/* of `named.pid` nothing is said */
};

int census_paths_look(struct census_paths *, struct err *);
bool census_paths_has(const struct census_paths *, uint64_t ino);
void census_paths_free(struct census_paths *);
/* Is this process in the netns of that inode? */
bool census_lives(pid_t, uint64_t ino);

#endif
