/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/unit.h"

extern const struct unit_test tests_bridge[];
extern const struct unit_test tests_census[];
extern const struct unit_test tests_link_each[];
extern const struct unit_test tests_link_find[];
extern const struct unit_test tests_link_watch[];
extern const struct unit_test tests_netns[];
extern const struct unit_test tests_nlroute[];
extern const struct unit_test tests_owner[];

const struct unit_suite unit_suites[] = {
	{ "bridge", tests_bridge },
	{ "census", tests_census },
	{ "link_each", tests_link_each },
	{ "link_find", tests_link_find },
	{ "link_watch", tests_link_watch },
	{ "netns", tests_netns },
	{ "nlroute", tests_nlroute },
	{ "owner", tests_owner },
	{ 0 },
};
