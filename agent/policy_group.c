/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups of a policy file, and who is in them.
 *
 * Names and modes of all groups are read first, then their matches, so that one may name a group that stands below it. Addresses, DNS names and
 * members (other groups) go to the policy itself; what can only be asked of a workload (its name, labels, image, netns) is kept here as one
 * matcher per group, whose answer is the group's bit.
 *
 * A group whose match asks something of workloads is held by workloads only. One that does not, whose `not` does, is held by addresses or members,
 * and its bit means "but not this one". Where both ask, the bit is the answer of the two together; where `not` then asks for addresses, names or
 * members as well, it is a group of its own, without a name, which is taken away. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy_parts.h"

#define NAME_MAX_BYTES 128
#define PATTERN_MAX_BYTES 1024

struct group_walk {
	struct loader *l;
	struct fy_node *name, *match, *mode;	/* of the group */
	struct fy_node *not;			/* of its match */
	struct group_matcher *m;
	unsigned group;
	bool negative;				/* what is read is subtracted from the group at hand */
	bool within_not;
	bool others;				/* something was asked that is not a workload's */
};

static bool clean_text(const char *s, size_t max)
{
	if (!s || !*s || strlen(s) > max)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

int policy_find_group(const struct loader *l, const char *name)
{
	if (name && !strcmp(name, "any"))
		return POLICY_GROUP_ANY;
	for (unsigned i = 0; name && i < l->pf->named; i++)
		if (!strcmp(l->pf->m[i].name, name))
			return (int)l->pf->m[i].group;
	return -1;
}

/* ---- items ---- */

/* The path that two mounts have in common. */
static const char *short_netns(const char *path) { return strncmp(path, "/var/run/", 9) ? path : path + 4; }

/* An image's name without what every tool adds to it. */
static const char *short_image(const char *image)
{
	static const char *const added[] = { "docker.io/library/", "docker.io/" };

	for (unsigned i = 0; i < sizeof added / sizeof added[0]; i++)
		if (!strncmp(image, added[i], strlen(added[i])))
			return image + strlen(added[i]);
	return image;
}

static int add_pattern(struct patterns *p, const char *s, struct err *e)
{
	char **more;

	if (!(p->n & (p->n - 1))) {	/* 0, 1, 2, 4, ...: time to double */
		more = realloc(p->v, (p->n ? 2 * p->n : 1) * sizeof *more);
		if (!more)
			return value_no_memory(e);
		p->v = more;
	}
	p->v[p->n] = strdup(s);
	if (!p->v[p->n])
		return value_no_memory(e);
	p->n++;
	return 0;
}

static void patterns_free(struct patterns *p)
{
	for (unsigned i = 0; i < p->n; i++)
		free(p->v[i]);
	free(p->v);
}

static int get_glob(struct loader *l, struct fy_node *item, void *ctx, struct err *e)
{
	const char *s = yaml_scalar(item);

	return clean_text(s, CONFIG_NAME_MAX - 1) ? add_pattern(ctx, s, e) : value_fail(l->y, item, l->path, "a name or glob of a workload", e);
}

static int get_image(struct loader *l, struct fy_node *item, void *ctx, struct err *e)
{
	const char *s = yaml_scalar(item);

	if (!clean_text(s, PATTERN_MAX_BYTES))
		return value_fail(l->y, item, l->path, "an image or a glob of some (nginx, \"registry.example/shop/*\", \"nginx:1.*\")", e);
	return add_pattern(ctx, short_image(s), e);
}

static int get_netns(struct loader *l, struct fy_node *item, void *ctx, struct err *e)
{
	const char *s = yaml_scalar(item);

	if (!clean_text(s, PATTERN_MAX_BYTES) || (s[0] != '/' && strchr(s, '/')))
		return value_fail(l->y, item, l->path, "a name under /run/netns, a path from / on, or a glob of either (web, \"/run/netns/cni-*\")", e);
	return add_pattern(ctx, short_netns(s), e);
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

/* The matcher keeps what its match names, for those who ask where its workloads may be. */
static int keep_member(struct group_matcher *m, unsigned group, struct err *e)
{
	uint16_t *more;

	if (!(m->nmembers & (m->nmembers - 1))) {
		more = realloc(m->member, (m->nmembers ? 2 * m->nmembers : 1) * sizeof *more);
		if (!more)
			return value_no_memory(e);
		m->member = more;
	}
	m->member[m->nmembers++] = (uint16_t)group;
	return 0;
}

static int get_member(struct loader *l, struct fy_node *item, void *ctx, struct err *e)
{
	struct group_walk *w = ctx;
	int member = policy_find_group(l, yaml_scalar(item));
	struct err inner = { "" };

	if (member < 0)
		return value_fail(l->y, item, l->path, "the name of a group of this file, or any", e);
	if (policy_group_member(l->b, w->group, (unsigned)member, w->negative, &inner))
		return policy_at_node(l, item, &inner, e);
	l->members[w->group] = item;
	return w->negative ? 0 : keep_member(w->m, (unsigned)member, e);
}

/* ---- match ---- */

static const char *const of_workloads[] = { "workload", "labels", "image", "netns", NULL };

static bool among(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(s, *list))
			return true;
	return false;
}

static int get_labels(struct loader *l, struct fy_node *node, struct labels *labels, struct err *e)
{
	int rc = value_labels.get(l->y, node, NULL, l->path, labels, e);

	if (!rc && !labels->n)
		return yaml_fail(l->y, node, e, "%s.labels: an empty mapping names nobody; leave the key out or name a label", l->path);
	return rc;
}

static int match_key(void *ctx, const char *key, struct fy_node *key_node, struct fy_node *value, struct err *e)
{
	static const char *const known[] = { "workload", "labels", "image", "netns", "cidr", "fqdn", "group", "not", NULL };
	struct group_walk *w = ctx;
	struct loader *l = w->l;
	struct property *p = w->negative ? &w->m->not : &w->m->is;

	if (!strcmp(key, "not") && !w->within_not) {
		w->not = value;
		return value ? 0 : yaml_fail(l->y, key_node, e, "%s.not: nothing is there", l->path);
	}
	if (!among(key, known) || !strcmp(key, "not"))
		return policy_unknown_key(l, key_node, key, known, e);
	if (among(key, of_workloads))
		p->asked = true;
	else
		w->others = true;
	if (!strcmp(key, "workload"))
		return policy_each_item(l, value, key, get_glob, &p->name, e);
	if (!strcmp(key, "labels"))
		return get_labels(l, value, &p->labels, e);
	if (!strcmp(key, "image"))
		return policy_each_item(l, value, key, get_image, &p->image, e);
	if (!strcmp(key, "netns"))
		return policy_each_item(l, value, key, get_netns, &p->netns, e);
	return policy_each_item(l, value, key, !strcmp(key, "cidr") ? get_cidr : !strcmp(key, "fqdn") ? get_fqdn : get_member, w, e);
}

/* Which kinds of keys a `not` has. */
struct kinds {
	bool workloads, others;
};

static int note_kind(void *ctx, const char *key, struct fy_node *key_node, struct fy_node *value, struct err *e)
{
	struct kinds *k = ctx;

	(void)key_node;
	(void)value;
	(void)e;
	*(among(key, of_workloads) ? &k->workloads : &k->others) = true;
	return 0;
}

/* A group of what is subtracted. */
static int begin_hidden(struct group_walk *w, struct group_walk *hidden, struct err *e)
{
	struct loader *l = w->l;
	char name[NAME_MAX_BYTES + 32];
	struct err inner = { "" };
	int group = -EEXIST;

	for (unsigned i = 1; group == -EEXIST; i++) {	/* a name for messages that none of the file's has */
		snprintf(name, sizeof name, "%s (not %u)", w->m->name, i);
		group = policy_add_group(l->b, name, -1, &inner);
	}
	if (group < 0)
		return yaml_fail(l->y, w->not, e, "group %s: its not asks for workloads and others, which takes one more group: there are %d already", w->m->name, POLICY_GROUPS_MAX - 1);
	*hidden = (struct group_walk){ .l = l, .m = &l->pf->m[l->pf->n++], .group = (unsigned)group, .within_not = true };
	hidden->m->group = hidden->group;
	policy_group_needs_workload(l->b, hidden->group);
	l->members[w->group] = w->not;
	if (policy_group_member(l->b, w->group, hidden->group, true, &inner))
		return policy_at_node(l, w->not, &inner, e);
	return 0;
}

static int get_not(struct group_walk *w, struct err *e)
{
	struct loader *l = w->l;
	struct group_walk hidden, *to = w;
	size_t n = strlen(l->path);
	struct kinds k = { false, false };
	int rc;

	snprintf(l->path + n, sizeof l->path - n, ".not");
	rc = yaml_each_pair(l->y, w->not, l->path, KEYS_MAX, note_kind, &k, e);
	if (!rc && w->m->is.asked && k.workloads && k.others) {
		rc = begin_hidden(w, &hidden, e);
		to = &hidden;
	}
	if (rc)
		return rc;
	to->negative = to == w;
	to->within_not = true;
	rc = yaml_each_pair(l->y, w->not, l->path, KEYS_MAX, match_key, to, e);
	if (!rc && !k.workloads && !k.others)
		rc = yaml_fail(l->y, w->not, e, "%s: says nothing", l->path);
	l->path[n] = '\0';
	return rc;
}

static int get_match(struct loader *l, unsigned at, struct err *e)
{
	struct group_walk w = { .l = l, .match = l->match[at], .m = &l->pf->m[at], .group = l->pf->m[at].group };
	bool named;
	int rc;

	snprintf(l->path, sizeof l->path, "groups[%u].match", at);
	rc = yaml_each_pair(l->y, w.match, l->path, KEYS_MAX, match_key, &w, e);
	if (rc)
		return rc;
	named = w.m->is.asked || w.others;
	if (!named)
		return yaml_fail(l->y, w.match, e, "%s: names nobody; workload, labels, image, netns, cidr, fqdn or group is needed (not only takes away from them)", l->path);
	rc = w.not ? get_not(&w, e) : 0;
	if (w.m->is.asked)
		policy_group_needs_workload(l->b, w.group);
	else if (w.m->not.asked)
		policy_group_minus_workload(l->b, w.group);
	return rc;
}

/* ---- groups that ask for the same ---- */

static int gather(struct fy_node *node, const char *prefix, struct patterns *out, struct err *e);

static int gather_value(const char *key, struct fy_node *value, const char *prefix, bool last, struct patterns *out, struct err *e)
{
	char *text = malloc(strlen(prefix) + strlen(key) + 2);
	int rc;

	if (!text)
		return value_no_memory(e);
	sprintf(text, "%s%s%s", prefix, key, last ? "" : "\x01");
	rc = last ? add_pattern(out, text, e) : gather(value, text, out, e);
	free(text);
	return rc;
}

/* Everything that the node says, one text for each value: the keys that lead to it, and it. */
static int gather(struct fy_node *node, const char *prefix, struct patterns *out, struct err *e)
{
	struct fy_node_pair *pair;
	struct fy_node *item;
	void *it = NULL;
	int rc = 0;

	if (fy_node_is_sequence(node)) {
		while (!rc && (item = fy_node_sequence_iterate(node, &it)))
			rc = gather(item, prefix, out, e);
	} else if (fy_node_is_mapping(node)) {
		while (!rc && (pair = fy_node_mapping_iterate(node, &it)))
			rc = gather_value(yaml_scalar(fy_node_pair_key(pair)), fy_node_pair_value(pair), prefix, false, out, e);
	} else {
		rc = gather_value(yaml_scalar(node), NULL, prefix, true, out, e);
	}
	return rc;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool same_patterns(const struct patterns *a, const struct patterns *b)
{
	bool same = a->n == b->n;

	for (unsigned i = 0; same && i < a->n; i++)
		same = !strcmp(a->v[i], b->v[i]);
	return same;
}

static int find_same(struct loader *l, struct err *e)
{
	const struct policy_file *pf = l->pf;
	struct patterns *said = calloc(pf->named + 1, sizeof *said);
	int rc = said ? 0 : value_no_memory(e);

	for (unsigned i = 0; i < pf->named && !rc; i++) {
		unsigned k = 0;

		rc = gather(l->match[i], "", &said[i], e);
		if (said[i].n)
			qsort(said[i].v, said[i].n, sizeof *said[i].v, by_text);
		while (k < i && !same_patterns(&said[k], &said[i]))
			k++;
		if (!rc && k < i)
			policy_group_same(l->b, pf->m[i].group, pf->m[k].group);
	}
	for (unsigned i = 0; said && i < pf->named; i++)
		patterns_free(&said[i]);
	free(said);
	return rc;
}

int policy_get_matches(struct loader *l, struct err *e)
{
	struct err inner = { "" };
	unsigned group = 0;
	int rc = 0;

	l->pf->named = l->pf->n;
	for (unsigned i = 0; i < l->pf->named && !rc; i++)
		rc = get_match(l, i, e);
	l->path[0] = '\0';
	if (!rc && policy_check_members(l->b, &group, &inner))
		rc = policy_at_node(l, l->members[group], &inner, e);
	return rc ? rc : find_same(l, e);
}

/* ---- names and modes ---- */

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

int policy_get_group(struct loader *l, struct fy_node *node, struct err *e)
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
	if (!clean_text(name, NAME_MAX_BYTES))
		return value_fail(l->y, w.name, l->path, "the name of a group (text of 1 to 128 bytes without control characters)", e);
	if (!w.match)
		return yaml_fail(l->y, node, e, "%s: group %s has no match", l->path, name);
	if (w.mode && (mode = policy_get_word(l, w.mode, "mode", policy_modes, e)) < 0)
		return mode;
	group = policy_add_group(l->b, name, mode, &inner);
	if (group < 0)
		return policy_at_node(l, w.name, &inner, e);
	l->match[l->pf->n++] = w.match;		/* what the matcher holds is freed with the others from here on */
	w.m->group = (unsigned)group;
	w.m->name = strdup(name);
	return w.m->name ? 0 : value_no_memory(e);
}

void policy_free_matcher(struct group_matcher *m)
{
	struct property *const both[] = { &m->is, &m->not };

	for (unsigned i = 0; i < 2; i++) {
		patterns_free(&both[i]->name);
		patterns_free(&both[i]->image);
		patterns_free(&both[i]->netns);
		value_labels.release(NULL, &both[i]->labels);
	}
	free(m->member);
	free(m->name);
}

/* ---- which groups a workload is in ---- */

static bool any_glob(const struct patterns *p, const char *text)
{
	for (unsigned i = 0; i < p->n; i++)
		if (!fnmatch(p->v[i], text, 0))
			return true;
	return false;
}

/* As it is said, without its digest, and without its tag: a pattern that names neither means all of them. */
static bool holds_image(const struct patterns *p, const char *image)
{
	char text[PATTERN_MAX_BYTES];
	char *end;

	snprintf(text, sizeof text, "%s", short_image(image));
	if (any_glob(p, text))
		return true;
	end = strchr(text, '@');
	if (end) {
		*end = '\0';
		if (any_glob(p, text))
			return true;
	}
	end = strrchr(text, ':');
	if (!end || strchr(end, '/'))		/* a registry's port */
		return false;
	*end = '\0';
	return any_glob(p, text);
}

/* A pattern from / on is one of paths, else one of names under /run/netns. */
static bool holds_netns(const struct patterns *p, const char *netns)
{
	static const char dir[] = "/run/netns/";
	const char *path = short_netns(netns), *name = strncmp(path, dir, sizeof dir - 1) ? NULL : path + sizeof dir - 1;

	for (unsigned i = 0; i < p->n; i++) {
		const char *text = p->v[i][0] == '/' ? path : name;

		if (text && !fnmatch(p->v[i], text, 0))
			return true;
	}
	return false;
}

static bool holds_labels(const struct labels *wanted, const struct labels *labels)
{
	bool found = true;

	for (unsigned i = 0; i < wanted->n && found; i++) {
		const struct label *want = &wanted->v[i];

		found = false;
		for (unsigned k = 0; labels && k < labels->n && !found; k++)
			found = !strcmp(labels->v[k].key, want->key) && !strcmp(labels->v[k].value, want->value);
	}
	return found;
}

static bool holds(const struct property *p, const struct policy_who *who, bool in_doubt)
{
	if (p->name.n && !any_glob(&p->name, who->name))
		return false;
	if (p->image.n && !(who->image ? holds_image(&p->image, who->image) : in_doubt))
		return false;
	if (p->netns.n && !(who->netns ? holds_netns(&p->netns, who->netns) : in_doubt))
		return false;
	return holds_labels(&p->labels, who->labels);
}

bool policy_matcher_holds(const struct group_matcher *m, const struct policy_who *who, bool in_doubt)
{
	return holds(&m->is, who, in_doubt) && !(m->not.asked && holds(&m->not, who, false));
}

void policy_file_groups(const struct policy_file *pf, const struct policy_who *who, struct group_set *out)
{
	memset(out, 0, sizeof *out);
	for (unsigned i = 0; i < pf->n; i++) {
		const struct group_matcher *m = &pf->m[i];

		/* asked: in, unless subtracted; else the bit itself says "subtracted" */
		if (m->is.asked ? policy_matcher_holds(m, who, false) : m->not.asked && holds(&m->not, who, false))
			set_add(out, m->group);
	}
}
