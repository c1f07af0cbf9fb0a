/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

/* unit-LAYER [SUITE]: runs all suites, or the one named. */
int main(int argc, char **argv)
{
	unsigned failed, ran = 0;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	for (const struct unit_suite *s = unit_suites; s->name; s++) {
		CU_pSuite suite;

		if (argc > 1 && strcmp(argv[1], s->name))
			continue;
		suite = CU_add_suite(s->name, NULL, NULL);
		for (const struct unit_test *t = s->tests; suite && t->name; t++)
			ran += CU_add_test(suite, t->name, t->fn) != NULL;
	}
	if (!ran) {
		fprintf(stderr, "%s: no such suite\n", argv[0]);
		return 2;
	}
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed ? 1 : 0;
}
