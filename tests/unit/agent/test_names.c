/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "agent/names.h"
#include "tests/unit/unit.h"

static const char *show(struct names *n, uint32_t w, uint32_t iface)
{
	static char text[4096];
	struct jbuf j;

	jb_init(&j, sizeof text - 1);
	jb_obj(&j, NULL);
	names_put_workload(n, &j, "w", w);
	names_put_labels(n, &j, "l", w);
	names_put_iface(n, &j, "i", iface);
	jb_end_obj(&j);
	snprintf(text, sizeof text, "%.*s", (int)j.len, j.p);
	jb_free(&j);
	return text;
}

static void test_names(void)
{
	struct names *n = names_new();
	struct label lv[2] = { { "app", "db" }, { "x\"", "y\n" } };
	struct labels l = { lv, 2 };
	char text[8];
	uint32_t a = names_add_workload(n, "web", &l), b = names_add_workload(n, "web", NULL), i = names_add_iface(n, "eth0");

	CU_ASSERT(names_copy_workload(n, a, text, sizeof text) && !strcmp(text, "web"));
	CU_ASSERT_FALSE(names_copy_workload(n, a, text, 3));
	CU_ASSERT_FALSE(names_copy_workload(n, 0, text, sizeof text));

	CU_ASSERT(a && b && a != b);
	CU_ASSERT_STRING_EQUAL(show(n, a, i), "{\"w\":\"web\",\"l\":{\"app\":\"db\",\"x\\\"\":\"y\\n\"},\"i\":\"eth0\"}");
	CU_ASSERT_STRING_EQUAL(show(n, b, 0), "{\"w\":\"web\",\"l\":{}}");
	CU_ASSERT_STRING_EQUAL(show(n, 0, 0), "{\"l\":{}}");
	CU_ASSERT_STRING_EQUAL(show(n, 99999, 99999), "{\"l\":{}}");
	CU_ASSERT_EQUAL(names_add_iface(n, "eth0"), i);
	CU_ASSERT_NOT_EQUAL(names_add_iface(n, "eth1"), i);
	lv[0].value = "changed";	/* they were copied */
	CU_ASSERT_PTR_NOT_NULL(strstr(show(n, a, 0), "\"app\":\"db\""));
	names_free(n);
	names_free(NULL);
}

static void test_cap(void)
{
	struct names *n = names_new();
	uint32_t first = names_add_workload(n, "first", NULL), second = names_add_workload(n, "second", NULL), last = 0;

	for (unsigned i = 0; i < NAMES_MAX - 1; i++) {
		last = names_add_workload(n, "more", NULL);
		CU_ASSERT_FATAL(last > second);
	}
	CU_ASSERT_STRING_EQUAL(show(n, first, 0), "{\"l\":{}}");	/* the oldest is forgotten */
	CU_ASSERT_STRING_EQUAL(show(n, second, 0), "{\"w\":\"second\",\"l\":{}}");
	CU_ASSERT_STRING_EQUAL(show(n, last, 0), "{\"w\":\"more\",\"l\":{}}");
	names_free(n);
}

const struct unit_test tests_names[] = {
	{ "names, labels, interfaces", test_names },
	{ "the oldest are forgotten", test_cap },
	{ 0 },
};
