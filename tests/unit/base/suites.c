/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/unit.h"

extern const struct unit_test tests_addr[];
extern const struct unit_test tests_csum[];
extern const struct unit_test tests_cursor[];
extern const struct unit_test tests_err[];
extern const struct unit_test tests_hash[];
extern const struct unit_test tests_jbuf[];
extern const struct unit_test tests_log[];
extern const struct unit_test tests_mem[];
extern const struct unit_test tests_steer[];
extern const struct unit_test tests_wheel[];

const struct unit_suite unit_suites[] = {
	{ "addr", tests_addr },
	{ "csum", tests_csum },
	{ "cursor", tests_cursor },
	{ "err", tests_err },
	{ "hash", tests_hash },
	{ "jbuf", tests_jbuf },
	{ "log", tests_log },
	{ "mem", tests_mem },
	{ "steer", tests_steer },
	{ "wheel", tests_wheel },
	{ 0 },
};
