/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory of the test's own, and files in it. */
#ifndef TQ_TESTS_TMPDIR_H
#define TQ_TESTS_TMPDIR_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

struct tmpdir {
	char path[64];
};

static inline void tmpdir_make(struct tmpdir *d)
{
	strcpy(d->path, "/tmp/unit-agent.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(d->path));
}

static inline const char *tmpdir_at(const struct tmpdir *d, const char *name)
{
	static char paths[4][512];
	static unsigned n;
	char *p = paths[n++ % 4];

	snprintf(p, sizeof paths[0], "%s/%s", d->path, name);
	return p;
}

static inline const char *tmpdir_write(const struct tmpdir *d, const char *name, const void *bytes, size_t n)
{
	const char *path = tmpdir_at(d, name);
	FILE *f = fopen(path, "we");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(bytes, 1, n, f), n);
	fclose(f);
	return path;
}

/* The files in it and itself. */
static inline void tmpdir_remove(struct tmpdir *d)
{
	DIR *dir = opendir(d->path);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			unlink(tmpdir_at(d, e->d_name));
	if (dir)
		closedir(dir);
	rmdir(d->path);
}

#endif
