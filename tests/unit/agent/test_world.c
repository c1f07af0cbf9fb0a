/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/unit.h"

const struct unit_test tests_world[] = { { 0 } };
