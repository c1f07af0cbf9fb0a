/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/unit.h"

extern const struct unit_test tests_bridge[];

const struct unit_suite unit_suites[] = {
	{ "bridge", tests_bridge },
	{ 0 },
};
