/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is asked about connections of this thread's netns, cheaply: whether some are open, whether conntrack knows any, and whether it counts them,
 * net.netfilter.nf_conntrack_acct: /proc/sys/net shows each thread its own netns'. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nfq/ipt.h"

#define ACCT "/proc/sys/net/netfilter/nf_conntrack_acct"

int acct_open(void) { return open(ACCT, O_RDONLY | O_CLOEXEC); }

int acct_read(bool *on)
{
	int fd = acct_open(), rc = fd < 0 ? -errno : 0;
	char c = 0;

	*on = false;
	if (fd < 0)
		return rc;
	if (read(fd, &c, 1) != 1)
		rc = -EIO;
	close(fd);
	*on = c == '1';
	return rc;
}

static uint64_t read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	uint64_t n = 0;

	if (f && fscanf(f, "%" SCNu64, &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

bool conntrack_knows_any(void) { return read_number("/proc/sys/net/netfilter/nf_conntrack_count") > 0; }

/* Sockets in states ESTABLISHED and CLOSE-WAIT, of both families. /proc/net/tcp would walk the node's whole table. */
bool acct_connections(void)
{
	FILE *f = fopen("/proc/thread-self/net/snmp", "re");
	char line[1024], *at;
	unsigned column = 0, i = 0;
	bool found = false;

	while (f && fgets(line, sizeof line, f)) {
		if (strncmp(line, "Tcp:", 4))
			continue;
		if (!column) {	/* names, then values in their order */
			for (char *w = strtok_r(line, " \n", &at); w && strcmp(w, "CurrEstab"); w = strtok_r(NULL, " \n", &at))
				column++;
			continue;
		}
		for (char *w = strtok_r(line, " \n", &at); w; w = strtok_r(NULL, " \n", &at))
			if (i++ == column)
				found = strcmp(w, "0") != 0;
	}
	if (f)
		fclose(f);
	return found;
}

int acct_write(bool on, struct err *err)
{
	int fd = open(ACCT, O_WRONLY | O_CLOEXEC), rc = fd < 0 ? -errno : 0;

	if (!rc && write(fd, on ? "1" : "0", 1) != 1)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc ? err_set(err, rc, "%s: %s", ACCT, strerror(-rc)) : 0;
}
