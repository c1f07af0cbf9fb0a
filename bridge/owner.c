/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bridge/owner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* pid, state and start time of /proc/WHO/stat. The command's name may hold spaces and parentheses: read on from its last one. */
static int read_stat(const char *who, pid_t *pid, char *state, uint64_t *start)
{
	char path[64], line[1024], *rest;
	int number, rc = -ESRCH;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%s/stat", who);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	if (fgets(line, sizeof line, f) && (rest = strrchr(line, ')')) && sscanf(line, "%d", &number) == 1 &&
	    sscanf(rest + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64, state, start) == 2) {
		*pid = number;
		rc = 0;
	}
	fclose(f);
	return rc;
}

int owner_self(struct owner *o, struct err *err)
{
	char link[64], state;
	ssize_t n = readlink("/proc/self/ns/pid", link, sizeof link - 1);
	int rc = read_stat("self", &o->pid, &state, &o->start);	/* the pid as this /proc counts it, which others look up there too */

	if (rc)
		return err_set(err, rc, "/proc/self/stat: %s", strerror(-rc));
	link[n > 0 ? n : 0] = 0;
	if (sscanf(link, "pid:[%" SCNu64 "]", &o->pidns) != 1)
		o->pidns = 0;
	return 0;
}

void owner_format(const struct owner *o, char *out, size_t size)
{
	snprintf(out, size, "tapqd %d %" PRIu64 " %" PRIu64, (int)o->pid, o->start, o->pidns);
}

enum owner_state owner_judge(const char *alias, const struct owner *self, struct owner *out)
{
	int pid, end = -1;
	uint64_t start;
	char who[16], state;
	pid_t seen;

	memset(out, 0, sizeof *out);
	if (sscanf(alias, "tapqd %d %" SCNu64 " %" SCNu64 "%n", &pid, &out->start, &out->pidns, &end) != 3 || end < 0 || alias[end] || pid <= 0)
		return OWNER_NONE;
	out->pid = pid;
	if (out->pidns != self->pidns)
		return OWNER_UNSEEN;
	if (out->pid == self->pid && out->start == self->start)
		return OWNER_SELF;
	snprintf(who, sizeof who, "%d", pid);
	if (read_stat(who, &seen, &state, &start) || start != out->start || state == 'Z' || state == 'X')
		return OWNER_DEAD;
	return OWNER_ALIVE;
}
