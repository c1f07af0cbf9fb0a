/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: the document's top is walked once and its parts kept as nodes; then default, groups and rules are read in that
 * order, whatever their order in the file, so that a rule may name a group that stands below it. Addresses go to the policy itself; what
 * can only be asked of a workload (its name, its labels) is kept here as one matcher per group, whose answer is the group's bit.
 *
 * Names (fqdn) go to the policy too, which asks for them when a flow is judged.
 *
 * A group whose match has workload or labels is held by workloads only. One without them, whose `not` has workload or labels, is held
 * by addresses, and its bit means "but not this one". Every list has a bound, and an empty one is an error: it never means "all". */
#include "agent/policy_file.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy_parts.h"

#define NAME_MAX_BYTES 128

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

static bool clean_name(const char *s)
{
	if (!s || !*s || strlen(s) > NAME_MAX_BYTES)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

int policy_at_node(struct loader *l, struct fy_node *node, const struct err *inner, struct err *e)
{
	return yaml_fail(l->y, node, e, "%s", inner->text);
}

/* ---- groups ---- */

struct group_walk {
	struct loader *l;
	struct fy_node *name, *match, *mode;
	struct group_matcher *m;
	unsigned group;
	bool negative;		/* within `not` */
	bool cidr, not_cidr, fqdn, not_fqdn;
};

static int get_glob(struct loader *l, struct fy_node *item, void *ctx, struct err *e)
{
	struct property *p = ctx;
	const char *s = yaml_scalar(item);
	char **more;

	if (!clean_name(s))
		return value_fail(l->y, item, l->path, "a name or glob of a workload", e);
	if (!(p->nglobs & (p->nglobs - 1))) {	/* 0, 1, 2, 4, ...: time to double */
		more = realloc(p->globs, (p->nglobs ? 2 * p->nglobs : 1) * sizeof *more);
		if (!more)
			return value_no_memory(e);
		p->globs = more;
	}
	p->globs[p->nglobs] = strdup(s);
	if (!p->globs[p->nglobs])
		return value_no_memory(e);
	p->nglobs++;
	return 0;
}

static int get_cidr(struct loader *l, struct fy_node *item, void *ctx, struct err *e)
{
	struct group_walk *w = ctx;
	const char *s = yaml_scalar(item);
	struct err inner = { "" };
	struct cidr c;

	if (!s || cidr_parse(s, &c))
		return value_fail(l->y, item, l->path, "an address or prefix (10.0.0.0/8, fc00::/7; no bits set behind the prefix)", e);
	if (policy_group_cidr(l->b, w->group, &c, w->negative, &inner))
		return policy_at_node(l, item, &inner, e);
	return 0;
}

static int get_fqdn(struct loader *l, struct fy_node *item, void *ctx, struct err *e)
{
	struct group_walk *w = ctx;
	const char *s = yaml_scalar(item);
	struct err inner = { "" };

	if (!s)
		return value_fail(l->y, item, l->path, "a DNS name, or a pattern of one (\"*.example.com\")", e);
	if (policy_group_fqdn(l->b, w->group, s, w->negative, &inner))
		return policy_at_node(l, item, &inner, e);
	return 0;
}

static int get_not(struct group_walk *w, struct fy_node *node, struct err *e);

static int match_key(void *ctx, const char *key, struct fy_node *key_node, struct fy_node *value, struct err *e)
{
	static const char *const known[] = { "workload", "labels", "cidr", "not", "fqdn", NULL };
	struct group_walk *w = ctx;
	struct loader *l = w->l;
	struct property *p = w->negative ? &w->m->not : &w->m->is;

	if (!strcmp(key, "workload")) {
		p->asked = true;
		return policy_each_item(l, value, key, get_glob, p, e);
	}
	if (!strcmp(key, "labels")) {
		int rc = value_labels.get(l->y, value, NULL, l->path, &p->labels, e);

		p->asked = true;
		if (!rc && !p->labels.n)
			return yaml_fail(l->y, value, e, "%s.labels: an empty mapping names nobody; leave the key out or name a label", l->path);
		return rc;
	}
	if (!strcmp(key, "cidr")) {
		*(w->negative ? &w->not_cidr : &w->cidr) = true;
		return policy_each_item(l, value, key, get_cidr, w, e);
	}
	if (!strcmp(key, "fqdn")) {
		*(w->negative ? &w->not_fqdn : &w->fqdn) = true;
		return policy_each_item(l, value, key, get_fqdn, w, e);
	}
	if (!strcmp(key, "not") && !w->negative)
		return get_not(w, value, e);
	return policy_unknown_key(l, key_node, key, known, e);
}

static int get_not(struct group_walk *w, struct fy_node *node, struct err *e)
{
	size_t n = strlen(w->l->path);
	int rc;

	snprintf(w->l->path + n, sizeof w->l->path - n, ".not");
	w->negative = true;
	rc = yaml_each_pair(w->l->y, node, w->l->path, KEYS_MAX, match_key, w, e);
	w->negative = false;
	if (!rc && !w->not_cidr && !w->not_fqdn && !w->m->not.asked)
		rc = yaml_fail(w->l->y, node, e, "%s: says nothing", w->l->path);
	w->l->path[n] = '\0';
	return rc;
}

static int get_match(struct group_walk *w, struct err *e)
{
	struct loader *l = w->l;
	size_t n = strlen(l->path);
	struct property *is = &w->m->is, *not = &w->m->not;
	int rc;

	snprintf(l->path + n, sizeof l->path - n, ".match");
	rc = yaml_each_pair(l->y, w->match, l->path, KEYS_MAX, match_key, w, e);
	if (rc)
		return rc;
	if (!w->cidr && !w->fqdn && !is->asked)
		return yaml_fail(l->y, w->match, e, "%s: names nobody; workload, labels, cidr or fqdn is needed (not only takes away from them)", l->path);
	if (is->asked && not->asked && (w->not_cidr || w->not_fqdn))
		return yaml_fail(l->y, w->match, e, "%s: cidr or fqdn beside workload or labels under not, in a group of workloads: not in this version", l->path);
	if (is->asked)
		policy_group_needs_workload(l->b, w->group);
	else if (not->asked)
		policy_group_minus_workload(l->b, w->group);
	l->path[n] = '\0';
	return 0;
}

static int group_key(void *ctx, const char *key, struct fy_node *key_node, struct fy_node *value, struct err *e)
{
	static const char *const known[] = { "name", "match", "mode", NULL };
	struct group_walk *w = ctx;

	if (!strcmp(key, "name"))
		w->name = value;
	else if (!strcmp(key, "match"))
		w->match = value;
	else if (!strcmp(key, "mode"))
		w->mode = value;
	else
		return policy_unknown_key(w->l, key_node, key, known, e);
	return 0;
}

static int get_group(struct loader *l, struct fy_node *node, struct err *e)
{
	struct group_walk w = { .l = l, .m = &l->pf->m[l->pf->n] };
	struct err inner = { "" };
	const char *name;
	int rc = yaml_each_pair(l->y, node, l->path, KEYS_MAX, group_key, &w, e), mode = -1, group;

	if (rc)
		return rc;
	name = yaml_scalar(w.name);
	if (!w.name)
		return yaml_fail(l->y, node, e, "%s: a group without name", l->path);
	if (!clean_name(name))
		return value_fail(l->y, w.name, l->path, "the name of a group (text of 1 to 128 bytes without control characters)", e);
	if (!w.match)
		return yaml_fail(l->y, node, e, "%s: group %s has no match", l->path, name);
	if (w.mode && (mode = policy_get_word(l, w.mode, "mode", policy_modes, e)) < 0)
		return mode;
	group = policy_add_group(l->b, name, mode, &inner);
	if (group < 0)
		return policy_at_node(l, w.name, &inner, e);
	w.group = w.m->group = (unsigned)group;
	w.m->name = strdup(name);
	l->pf->n++;		/* what it holds is freed with the others from here on */
	return w.m->name ? get_match(&w, e) : value_no_memory(e);
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
		rc = each_entry(l, l->groups, "groups", POLICY_GROUPS_MAX - 1, get_group, e);
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

static void property_free(struct property *p)
{
	for (unsigned i = 0; i < p->nglobs; i++)
		free(p->globs[i]);
	free(p->globs);
	value_labels.release(NULL, &p->labels);
}

void policy_file_free(struct policy_file *pf)
{
	if (!pf)
		return;
	for (unsigned i = 0; i < pf->n; i++) {
		free(pf->m[i].name);
		property_free(&pf->m[i].is);
		property_free(&pf->m[i].not);
	}
	policy_unref(pf->policy);
	free(pf->m);
	free(pf->text);
	free(pf);
}

struct policy *policy_file_policy(const struct policy_file *pf) { return pf->policy; }
const char *policy_file_text(const struct policy_file *pf) { return pf->text; }

/* ---- which groups a workload is in ---- */

static bool holds(const struct property *p, const char *name, const struct labels *labels)
{
	bool found = !p->nglobs;

	for (unsigned i = 0; i < p->nglobs && !found; i++)
		found = !fnmatch(p->globs[i], name, 0);
	for (unsigned i = 0; i < p->labels.n && found; i++) {
		const struct label *want = &p->labels.v[i];

		found = false;
		for (unsigned k = 0; labels && k < labels->n && !found; k++)
			found = !strcmp(labels->v[k].key, want->key) && !strcmp(labels->v[k].value, want->value);
	}
	return found;
}

void policy_file_groups(const struct policy_file *pf, const char *name, const struct labels *labels, struct group_set *out)
{
	memset(out, 0, sizeof *out);
	for (unsigned i = 0; i < pf->n; i++) {
		const struct group_matcher *m = &pf->m[i];
		bool not = m->not.asked && holds(&m->not, name, labels);

		/* asked: in, unless subtracted; else the bit itself says "subtracted" */
		if (m->is.asked ? holds(&m->is, name, labels) && !not : not)
			out->bits[m->group / 64] |= 1ULL << (m->group % 64);
	}
}
