/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "agent/yaml.h"
#include "tests/unit/agent/tmpdir.h"

static struct yaml *parse(const char *text, size_t n, struct err *e)
{
	e->text[0] = 0;
	return yaml_parse(text, n, "f", true, e);
}

/* What could cost more than its length is refused before it does. */
static void test_bounds(void)
{
	char *big = malloc(YAML_FILE_MAX + 2);
	static const char laughs[] = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\n";
	struct err e;
	struct yaml *y;

	memset(big, 'x', YAML_FILE_MAX + 1);
	CU_ASSERT_PTR_NULL(parse(big, YAML_FILE_MAX + 1, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "longer than"));
	memset(big, '[', 100000);
	CU_ASSERT_PTR_NULL(parse(big, 100000, &e));
	CU_ASSERT(e.text[0] != 0);
	for (int depth = 60; depth <= 70; depth++) {	/* fewer than 64 within each other */
		memset(big, '[', (size_t)depth);
		memset(big + depth, ']', (size_t)depth);
		y = parse(big, 2 * (size_t)depth, &e);
		CU_ASSERT_EQUAL(y != NULL, depth < 64);
		yaml_free(y);
	}
	CU_ASSERT_PTR_NULL(parse(laughs, strlen(laughs), &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "f:1: anchors"));
	CU_ASSERT_PTR_NULL(parse("a: *b\n", 6, &e));
	CU_ASSERT_PTR_NULL(parse("<<: *b\n", 7, &e));
	CU_ASSERT_PTR_NULL(parse("a: !x 1\n", 8, &e));
	CU_ASSERT_PTR_NULL(parse("a\0b", 3, &e));
	CU_ASSERT_PTR_NULL(parse("? [a]\n: b\n", 10, &e));
	yaml_free(NULL);
	free(big);
}

static int count(void *ctx, const char *key, struct fy_node *key_node, struct fy_node *value, struct err *e)
{
	(void)key;
	(void)key_node;
	(void)value;
	(void)e;
	++*(unsigned *)ctx;
	return 0;
}

static void test_walk(void)
{
	static const char text[] = "a: 1\nb:\n  c: \"2\"\n  d: []\n  e:\nf: |\n  text\n";
	static const char *const names[] = { "workload", "labels", "cidr", NULL };
	char buf[YAML_SHOW_MAX];
	struct err e;
	struct yaml *y = parse(text, strlen(text), &e);
	struct fy_node *root, *b, *n;
	unsigned pairs = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(y);
	root = yaml_root(y);
	CU_ASSERT_STRING_EQUAL(yaml_text(y), text);
	CU_ASSERT_EQUAL(yaml_each_pair(y, root, "", 3, count, &pairs, &e), 0);
	CU_ASSERT_EQUAL(pairs, 3);
	CU_ASSERT_NOT_EQUAL(yaml_each_pair(y, root, "", 2, count, &pairs, &e), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "more than 2"));
	n = fy_node_mapping_lookup_by_string(root, "a", 1);
	CU_ASSERT(yaml_plain(n) && yaml_line(n) == 1 && !strcmp(yaml_scalar(n), "1"));
	b = fy_node_mapping_lookup_by_string(root, "b", 1);
	CU_ASSERT(yaml_scalar(b) == NULL && !strcmp(yaml_show(b, buf), "a mapping"));
	n = fy_node_mapping_lookup_by_string(b, "c", 1);
	CU_ASSERT(!yaml_plain(n) && yaml_line(n) == 3);
	n = fy_node_mapping_lookup_by_string(b, "d", 1);
	CU_ASSERT(yaml_line(n) == 4 && !strcmp(yaml_show(n, buf), "a list"));
	CU_ASSERT_STRING_EQUAL(yaml_scalar(NULL), "");
	CU_ASSERT_STRING_EQUAL(yaml_show(NULL, buf), "nothing");
	CU_ASSERT_STRING_EQUAL(yaml_nearest("worload", names), "workload");
	CU_ASSERT_STRING_EQUAL(yaml_nearest("cdir", names) ? "near" : "none", "none");	/* two changes in a short word are too many */
	CU_ASSERT_PTR_NULL(yaml_nearest("something-else", names));
	yaml_free(y);
	y = parse("# nothing\n", 10, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(y);
	CU_ASSERT_PTR_NULL(yaml_root(y));
	yaml_free(y);
}

/* Random bytes and random cuts of a good file: an answer, never a crash, and a refusal always says something. */
static void test_junk(void)
{
	static const char good[] = "version: 1\nrules:\n  - {id: 10, from: \"web\", to: [a, 'b'], ports: [tcp/80]} # x\nb: |\n  block\n? c\n: d\n";
	static const char picks[] = "[]{}:,-?&*!|>'\"%@`# \n\tab1";
	char text[256];
	struct err e;

	srandom(12);
	for (unsigned i = 0; i < 6000; i++) {
		size_t n = sizeof good - 1;
		struct yaml *y;

		memcpy(text, good, n);
		if (i & 1)
			n = (size_t)random() % n;
		for (unsigned k = (unsigned)random() % 8; n && k; k--)
			text[(size_t)random() % n] = picks[(size_t)random() % (sizeof picks - 1)];
		y = parse(text, n, &e);
		CU_ASSERT(y || !strncmp(e.text, "f:", 2));
		yaml_free(y);
	}
}

static void test_file(void)
{
	struct tmpdir d;
	struct err e = { "" };
	struct yaml *y;

	tmpdir_make(&d);
	y = yaml_read(tmpdir_write(&d, "a.yaml", "a: 1", 4), &e);	/* no newline at the end */
	CU_ASSERT_PTR_NOT_NULL(y);
	yaml_free(y);
	CU_ASSERT_PTR_NULL(yaml_read(d.path, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "Is a directory"));
	tmpdir_remove(&d);
}

const struct unit_test tests_yaml[] = {
	{ "bounds", test_bounds },
	{ "walking", test_walk },
	{ "junk", test_junk },
	{ "files", test_file },
	{ 0 },
};
