/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/unit.h"

extern const struct unit_test tests_plan[];
extern const struct unit_test tests_u32[];
extern const struct unit_test tests_steer_bpf[];
extern const struct unit_test tests_copies[];
extern const struct unit_test tests_stops[];
extern const struct unit_test tests_filter[];
extern const struct unit_test tests_engine_bpf[];
extern const struct unit_test tests_passing[];
extern const struct unit_test tests_mirror[];
extern const struct unit_test tests_tcx[];

const struct unit_suite unit_suites[] = {
	{ "plan", tests_plan },
	{ "u32", tests_u32 },
	{ "steer_bpf", tests_steer_bpf },
	{ "copies", tests_copies },
	{ "stops", tests_stops },
	{ "filter", tests_filter },
	{ "engine_bpf", tests_engine_bpf },
	{ "passing", tests_passing },
	{ "mirror", tests_mirror },
	{ "tcx", tests_tcx },
	{ 0 },
};
