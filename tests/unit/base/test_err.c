/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "tests/unit/unit.h"

static void test_set(void)
{
	struct err e = { "old" };

	CU_ASSERT_EQUAL(err_set(&e, -EINVAL, "%s: %d", "eth0", 7), -EINVAL);
	CU_ASSERT_STRING_EQUAL(e.text, "eth0: 7");
	CU_ASSERT_EQUAL(err_prefix(&e, -EIO, "netns %s", "web"), -EIO);
	CU_ASSERT_STRING_EQUAL(e.text, "netns web: eth0: 7");
	CU_ASSERT_EQUAL(err_set(NULL, -EPERM, "x"), -EPERM);
	CU_ASSERT_EQUAL(err_prefix(NULL, -EPERM, "x"), -EPERM);
}

/* Whatever the lengths, the text is whole, ends, and keeps its beginning. */
static void test_cut(void)
{
	static char text[2 * ERR_TEXT_MAX];

	memset(text, 'a', sizeof(text) - 1);
	for (int old = 0; old < ERR_TEXT_MAX + 3; old++) {
		for (int n = 0; n < ERR_TEXT_MAX + 3; n += 1 + (n > 5 && n < ERR_TEXT_MAX - 10)) {
			struct { struct err e; char guard[8]; } s;

			memset(&s, 'G', sizeof(s));
			err_set(&s.e, 0, "%.*s", old, text);
			err_prefix(&s.e, 0, "%.*s", n, text);
			CU_ASSERT_FATAL(memchr(s.e.text, 0, sizeof(s.e.text)) != NULL);
			CU_ASSERT_FATAL(!memcmp(s.guard, "GGGGGGGG", 8));
			if (old + n + 2 < ERR_TEXT_MAX)
				CU_ASSERT_EQUAL_FATAL(strlen(s.e.text), (size_t)(old + n + 2));
		}
	}
}

const struct unit_test tests_err[] = {
	{ "text and prefix", test_set },
	{ "long texts are cut", test_cut },
	{ 0 },
};
