/* SPDX-License-Identifier: GPL-2.0-or-later */
/* owner: which process made a bridge, written into its alias, and whether it still lives. Of bridge/ only.
 *
 * A pid alone is reused; pid and start time (proc(5), stat, field 22) together name one process since boot. Both mean something
 * only within one pid namespace, so its inode goes with them. */
#ifndef TQ_BRIDGE_OWNER_H
#define TQ_BRIDGE_OWNER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct owner {
	pid_t pid;
	uint64_t start;		/* clock ticks since boot */
	uint64_t pidns;		/* inode of its pid namespace */
};

enum owner_state {
	OWNER_NONE,		/* the alias is not of our kind */
	OWNER_SELF,
	OWNER_ALIVE,
	OWNER_DEAD,
	OWNER_UNSEEN,		/* of another pid namespace: nothing can be told from here */
};

int owner_self(struct owner *, struct err *);
void owner_format(const struct owner *, char *out, size_t size);
enum owner_state owner_judge(const char *alias, const struct owner *self, struct owner *out);

#endif
