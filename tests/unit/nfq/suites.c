/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stddef.h>

#include "tests/unit/unit.h"

extern const struct unit_test tests_rules_text[], tests_rules_live[], tests_ipt_run[], tests_verdicts[], tests_calm[], tests_queued[], tests_queue[], tests_reset[];

const struct unit_suite unit_suites[] = {
	{ "nfq/rules: text, parse, plan", tests_rules_text },
	{ "nfq/rules: in a namespace", tests_rules_live },
	{ "nfq/ipt_run", tests_ipt_run },
	{ "nfq/verdicts", tests_verdicts },
	{ "nfq/calm", tests_calm },
	{ "nfq/queued", tests_queued },
	{ "nfq/queue", tests_queue },
	{ "nfq/reset", tests_reset },
	{ NULL, NULL },
};
