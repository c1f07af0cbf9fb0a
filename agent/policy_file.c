/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: the document's top is walked once and its parts kept as nodes; then default, groups (policy_group.c) and rules
 * (policy_rule.c) are read in that order, whatever their order in the file, so that a rule may name a group that stands below it. Every list has
 * a bound, and an empty one is an error: it never means "all". */
#include "agent/policy_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy_parts.h"

const char *const policy_modes[] = { "discover", "monitor", "protect", NULL };

/* ---- small values ---- */

int policy_unknown_key(struct loader *l, struct fy_node *key_node, const char *key, const char *const *known, struct err *e)
{
	const char *near = yaml_nearest(key, known);
	char buf[YAML_SHOW_MAX];

	if (near)
		return yaml_fail(l->y, key_node, e, "%s%s%s: no such key; did you mean %s?", l->path, l->path[0] ? ": " : "", yaml_show(key_node, buf), near);
	return yaml_fail(l->y, key_node, e, "%s%s%s: no such key", l->path, l->path[0] ? ": " : "", yaml_show(key_node, buf));
}

int policy_later_key(struct loader *l, struct fy_node *key_node, const char *key, struct err *e)
{
	return yaml_fail(l->y, key_node, e, "%s%s%s: not in this version", l->path, l->path[0] ? ": " : "", key);
}

static bool among(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(s, *list))
			return true;
	return false;
}

int policy_get_word(struct loader *l, struct fy_node *node, const char *key, const char *const *words, struct err *e)
{
	const char *s = yaml_scalar(node);
	char expected[128], path[CONFIG_PATH_MAX + 16];
	int n;

	for (int i = 0; s && words[i]; i++)
		if (!strcmp(s, words[i]))
			return i;
	n = snprintf(expected, sizeof expected, "one of");
	for (int i = 0; words[i]; i++)
		n += snprintf(expected + n, sizeof expected - (size_t)n, "%s %s", i ? "," : "", words[i]);
	snprintf(path, sizeof path, "%s%s%s", l->path, l->path[0] ? "." : "", key);
	return value_fail(l->y, node, path, expected, e);
}

int policy_each_item(struct loader *l, struct fy_node *node, const char *key, int (*fn)(struct loader *, struct fy_node *, void *, struct err *), void *ctx, struct err *e)
{
	struct fy_node *item;
	void *it = NULL;
	unsigned n = 0;
	int rc = 0;

	if (!node || !fy_node_is_sequence(node))
		return fn(l, node, ctx, e);
	while (!rc && (item = fy_node_sequence_iterate(node, &it))) {
		if (++n > ITEMS_MAX)
			return yaml_fail(l->y, item, e, "%s.%s: more than %d items", l->path, key, ITEMS_MAX);
		rc = fn(l, item, ctx, e);
	}
	if (!rc && !n)
		return yaml_fail(l->y, node, e, "%s.%s: an empty list names nobody; leave the key out or name something", l->path, key);
	return rc;
}

int policy_at_node(struct loader *l, struct fy_node *node, const struct err *inner, struct err *e)
{
	return yaml_fail(l->y, node, e, "%s", inner->text);
}

/* ---- the file ---- */

static int top_key(void *ctx, const char *key, struct fy_node *key_node, struct fy_node *value, struct err *e)
{
	static const char *const known[] = { "version", "default", "groups", "rules", "pending", "hold", "strict", NULL };
	static const char *const later[] = { "threats", "sensors", NULL };
	struct loader *l = ctx;
	struct fy_node **const at[] = { &l->version, &l->dflt, &l->groups, &l->rules, &l->pending, &l->hold, &l->strict };

	for (unsigned i = 0; known[i]; i++) {
		if (strcmp(key, known[i]))
			continue;
		*at[i] = value;
		return value ? 0 : yaml_fail(l->y, key_node, e, "%s: nothing is there", key);
	}
	if (among(key, later))
		return policy_later_key(l, key_node, key, e);
	return policy_unknown_key(l, key_node, key, known, e);
}

static int default_key(void *ctx, const char *key, struct fy_node *key_node, struct fy_node *value, struct err *e)
{
	static const char *const known[] = { "mode", NULL };
	struct loader *l = ctx;
	int mode;

	if (strcmp(key, "mode"))
		return policy_unknown_key(l, key_node, key, known, e);
	mode = policy_get_word(l, value, "mode", policy_modes, e);
	if (mode < 0)
		return mode;
	l->b = policy_begin((enum policy_mode)mode);
	return l->b ? 0 : value_no_memory(e);
}

static int each_entry(struct loader *l, struct fy_node *list, const char *name, unsigned max, int (*fn)(struct loader *, struct fy_node *, struct err *), struct err *e)
{
	struct fy_node *item;
	void *it = NULL;
	unsigned n = 0;
	int rc = 0;

	if (!list)
		return 0;
	if (!fy_node_is_sequence(list))
		return value_fail(l->y, list, name, "a list", e);
	while (!rc && (item = fy_node_sequence_iterate(list, &it))) {
		if (n == max)
			return yaml_fail(l->y, item, e, "%s: more than %u", name, max);
		snprintf(l->path, sizeof l->path, "%s[%u]", name, n++);
		rc = fn(l, item, e);
	}
	return rc;
}

static int get_strict(struct loader *l, struct err *e)
{
	static const char *const words[] = { "false", "true", NULL };
	int word = 0;

	l->path[0] = '\0';
	if (l->strict && (word = policy_get_word(l, l->strict, "strict", words, e)) < 0)
		return word;
	l->pf->strict = word;
	return 0;
}

static int load(struct loader *l, struct err *e)
{
	const char *version;
	int rc;

	if (!yaml_root(l->y))
		return yaml_fail(l->y, NULL, e, "is empty; version: 1 is needed");
	rc = yaml_each_pair(l->y, yaml_root(l->y), "", KEYS_MAX, top_key, l, e);
	if (rc)
		return rc;
	version = yaml_scalar(l->version);
	if (!l->version)
		return yaml_fail(l->y, NULL, e, "version: 1 is needed");
	if (!version || strcmp(version, "1"))
		return value_fail(l->y, l->version, "version", "1", e);
	snprintf(l->path, sizeof l->path, "default");
	if (l->dflt && (rc = yaml_each_pair(l->y, l->dflt, "default", KEYS_MAX, default_key, l, e)))
		return rc;
	if (!l->b)
		l->b = policy_begin(MODE_DISCOVER);
	l->pf->m = calloc(POLICY_GROUPS_MAX, sizeof *l->pf->m);
	if (!l->b || !l->pf->m)
		return value_no_memory(e);
	rc = get_strict(l, e);
	if (!rc)
		rc = policy_get_limits(l, e);
	if (!rc)
		rc = each_entry(l, l->groups, "groups", POLICY_GROUPS_MAX - 1, policy_get_group, e);
	if (!rc)
		rc = policy_get_matches(l, e);
	if (!rc)
		rc = each_entry(l, l->rules, "rules", POLICY_RULES_MAX, policy_get_rule, e);
	if (rc)
		return rc;
	l->pf->policy = policy_build(l->b);
	l->b = NULL;
	return l->pf->policy ? 0 : value_no_memory(e);
}

/* Takes y. */
static struct policy_file *from_yaml(struct yaml *y, struct err *e)
{
	struct policy_file *pf = y ? calloc(1, sizeof *pf) : NULL;
	struct loader l = { .y = y, .pf = pf };

	if (!y)
		return NULL;
	if (pf)
		pf->text = strdup(yaml_text(y));
	if (!pf || !pf->text)
		value_no_memory(e);
	if (!pf || !pf->text || load(&l, e)) {
		policy_builder_free(l.b);
		policy_file_free(pf);
		pf = NULL;
	}
	yaml_free(y);
	return pf;
}

struct policy_file *policy_file_load(const char *file, struct err *e) { return from_yaml(yaml_read(file, e), e); }
struct policy_file *policy_file_parse(const char *text, const char *name, struct err *e) { return from_yaml(yaml_parse(text, strlen(text), name, true, e), e); }

void policy_file_free(struct policy_file *pf)
{
	if (!pf)
		return;
	for (unsigned i = 0; i < pf->n; i++)
		policy_free_matcher(&pf->m[i]);
	policy_unref(pf->policy);
	free(pf->m);
	free(pf->text);
	free(pf);
}

struct policy *policy_file_policy(const struct policy_file *pf) { return pf->policy; }
unsigned policy_file_group_count(const struct policy_file *pf) { return pf->named; }
const char *policy_file_text(const struct policy_file *pf) { return pf->text; }
