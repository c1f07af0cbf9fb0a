/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sys/stat.h>

#include "agent/container.h"
#include "tests/unit/agent/tmpdir.h"
#include "tests/unit/unit.h"

/* What Docker writes, cut down; and what is no record, or no image's name. */
static void test_image(void)
{
	static const struct { const char *record, *image; } cases[] = {
		{ "{\"State\":{\"Running\":true},\"ID\":\"0a1b\",\"Config\":{\"Hostname\":\"x\",\"Image\":\"nginx:1.25\",\"Labels\":{}},\"Image\":\"sha256:77\"}", "nginx:1.25" },
		{ "{\"Config\":{\"Image\":\"registry.example:5000/shop/api@sha256:0a\"}}", "registry.example:5000/shop/api@sha256:0a" },
		{ "{\"Config\":{\"Image\":\"\"}}", NULL },
		{ "{\"Config\":{\"Image\":7}}", NULL },
		{ "{\"Config\":{\"Image\":\"a b\"}}", NULL },
		{ "{\"Config\":{\"Image\":\"a\\u001b[2J\"}}", NULL },
		{ "{\"Image\":\"sha256:77\"}", NULL },
		{ "{\"Config\":", NULL },
		{ "[]", NULL },
		{ "", NULL },
	};
	struct tmpdir d;
	char image[IMAGE_MAX], text[2 * IMAGE_MAX], path[128];
	size_t n;

	tmpdir_make(&d);
	snprintf(path, sizeof path, "%s/c", d.path);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	CU_ASSERT_FALSE(container_image(d.path, "c", image));
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		tmpdir_write(&d, "c/config.v2.json", cases[i].record, strlen(cases[i].record));
		CU_ASSERT_EQUAL(container_image(d.path, "c", image), cases[i].image != NULL);
		CU_ASSERT(!cases[i].image || !strcmp(image, cases[i].image));
	}
	/* as long as it may be, and one more */
	for (int more = 0; more < 2; more++) {
		n = (size_t)snprintf(text, sizeof text, "{\"Config\":{\"Image\":\"%0*d\"}}", IMAGE_MAX - 1 + more, 0);
		tmpdir_write(&d, "c/config.v2.json", text, n);
		CU_ASSERT_EQUAL(container_image(d.path, "c", image), !more);
	}
	unlink(tmpdir_at(&d, "c/config.v2.json"));
	CU_ASSERT_EQUAL(symlink("/etc/hostname", tmpdir_at(&d, "c/config.v2.json")), 0);
	CU_ASSERT_FALSE(container_image(d.path, "c", image));
	unlink(tmpdir_at(&d, "c/config.v2.json"));
	rmdir(path);
	tmpdir_remove(&d);
}

const struct unit_test tests_container[] = {
	{ "image of Docker's record", test_image },
	{ 0 },
};
