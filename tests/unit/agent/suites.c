/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/unit.h"

#if __has_include("dpi/engine.h")	/* as test_replay.c */
extern const struct unit_test tests_ahead[];
#endif
extern const struct unit_test tests_config[];
extern const struct unit_test tests_container[];
extern const struct unit_test tests_control[];
extern const struct unit_test tests_crew[];
extern const struct unit_test tests_enforce[];
extern const struct unit_test tests_eve[];
extern const struct unit_test tests_evring[];
extern const struct unit_test tests_fqdn[];
extern const struct unit_test tests_learn[];
extern const struct unit_test tests_names[];
extern const struct unit_test tests_owner[];
extern const struct unit_test tests_pcapng[];
extern const struct unit_test tests_pcapsrc[];
extern const struct unit_test tests_policy_file[];
extern const struct unit_test tests_policy_groups[];
extern const struct unit_test tests_policy_late[];
#if __has_include("dpi/engine.h")	/* as test_replay.c */
extern const struct unit_test tests_replay[];
#endif
extern const struct unit_test tests_show[];
extern const struct unit_test tests_sink[];
extern const struct unit_test tests_waiting[];
#if __has_include("dpi/engine.h")	/* as test_replay.c */
extern const struct unit_test tests_worker[];
#endif
extern const struct unit_test tests_world[];
extern const struct unit_test tests_yaml[];

const struct unit_suite unit_suites[] = {
#if __has_include("dpi/engine.h")
	{ "ahead", tests_ahead },
#endif
	{ "config", tests_config },
	{ "container", tests_container },
	{ "control", tests_control },
	{ "crew", tests_crew },
	{ "enforce", tests_enforce },
	{ "eve", tests_eve },
	{ "evring", tests_evring },
	{ "fqdn", tests_fqdn },
	{ "learn", tests_learn },
	{ "names", tests_names },
	{ "owner", tests_owner },
	{ "pcapng", tests_pcapng },
	{ "pcapsrc", tests_pcapsrc },
	{ "policy_file", tests_policy_file },
	{ "policy_groups", tests_policy_groups },
	{ "policy_late", tests_policy_late },
#if __has_include("dpi/engine.h")
	{ "replay", tests_replay },
#endif
	{ "show", tests_show },
	{ "sink", tests_sink },
	{ "waiting", tests_waiting },
#if __has_include("dpi/engine.h")
	{ "worker", tests_worker },
#endif
	{ "world", tests_world },
	{ "yaml", tests_yaml },
	{ 0 },
};
