/* SPDX-License-Identifier: GPL-2.0-or-later */
/* unit: how a unit suite is written. Each layer has a directory tests/unit/LAYER with one table of suites in suites.c;
 * tests/unit/main.c runs it with CUnit and exits 1 when anything failed. */
#ifndef TQ_TESTS_UNIT_H
#define TQ_TESTS_UNIT_H

#include <CUnit/CUnit.h>

struct unit_test {
	const char *name;
	void (*fn)(void);
};

struct unit_suite {
	const char *name;
	const struct unit_test *tests;	/* {0} at the end */
};

extern const struct unit_suite unit_suites[];	/* {0} at the end */

#endif
