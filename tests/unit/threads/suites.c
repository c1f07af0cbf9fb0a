/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What threads share without locks, built with -fsanitize=thread (make threads-run). The tests are those of the agent. */
#include "tests/unit/unit.h"

extern const struct unit_test tests_evring[];
extern const struct unit_test tests_fqdn[];

const struct unit_suite unit_suites[] = {
	{ "evring", tests_evring },
	{ "fqdn", tests_fqdn },
	{ 0 },
};
