/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/dpi/probes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void probes_run(const struct proto *proto, const char *except, const struct probe_row *row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		enum probe p = vector_probe(proto, row[i].up, row[i].up_n, row[i].down, row[i].down_n, row[i].midstream);

		CU_ASSERT_EQUAL(p, row[i].want);
		if (p != row[i].want)
			printf("\n%s: row %zu: %d in place of %d\n", proto->name, i, p, row[i].want);
	}
	vectors_strangers(proto, except);
}

void probe_grows(const struct proto *proto, enum dir dir, const void *p, size_t n)
{
	for (size_t i = 1; i <= n; i++) {
		bool up = dir == DIR_TOSERVER;
		enum probe got = vector_probe(proto, up ? p : NULL, up ? i : 0, up ? NULL : p, up ? 0 : i, false);

		CU_ASSERT_TRUE(i < n ? got != PROBE_NO : got == PROBE_YES);
		if (i < n ? got == PROBE_NO : got != PROBE_YES)
			printf("\n%s: %zu of %zu bytes: %d\n", proto->name, i, n, got);
	}
}

bool told_same(const char *name, const char *text, const char *want)
{
	char *q = strdup(want);
	bool ok;

	for (char *c = q; c && *c; c++)
		if (*c == '\'')
			*c = '"';
	ok = q && strcmp(text, q) == 0;
	if (!ok)
		printf("\n%s: wanted\n%stold\n%s", name, q, text);
	free(q);
	return ok;
}
