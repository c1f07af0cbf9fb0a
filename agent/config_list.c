/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values of the configuration that have parts: app ports, labels, lists of names, of event types, of mappings. As config_value.c. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "agent/config_schema.h"
#include "dpi/event.h"

#define LABELS_MAX 64
#define TYPES_TEXT 320

static bool is_list(struct fy_node *node) { return node && fy_node_is_sequence(node); }

/* ---- app ports ---- */

int config_parse_app(const char *text, struct app_port *out)
{
	char *end;
	unsigned long port;

	if (!strncmp(text, "tcp/", 4))
		out->ipproto = IPPROTO_TCP;
	else if (!strncmp(text, "udp/", 4))
		out->ipproto = IPPROTO_UDP;
	else
		return -EINVAL;
	text += 4;
	if (*text < '1' || *text > '9')
		return -EINVAL;
	port = strtoul(text, &end, 10);
	if (*end || port > 65535)
		return -EINVAL;
	out->port = (uint16_t)port;
	return 0;
}

static int get_apps(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	struct app_ports *apps = at;
	struct fy_node *item;
	const char *s = yaml_scalar(node);
	void *it = NULL;
	char buf[YAML_SHOW_MAX];

	(void)k;
	if (s && !strcmp(s, "all")) {
		apps->all = true;
		return 0;
	}
	if (!is_list(node))
		return value_fail(y, node, path, "all or a list such as [tcp/8080, udp/53]", e);
	while ((item = fy_node_sequence_iterate(node, &it))) {
		struct app_port p;

		s = yaml_scalar(item);
		if (!s || config_parse_app(s, &p))
			return value_fail(y, item, path, "an app port (tcp/PORT or udp/PORT, 1 to 65535)", e);
		for (unsigned i = 0; i < apps->n; i++)
			if (apps->port[i].ipproto == p.ipproto && apps->port[i].port == p.port)
				return yaml_fail(y, item, e, "%s: %s is there twice", path, yaml_show(item, buf));
		if (apps->n == APP_PORTS_MAX)
			return yaml_fail(y, item, e, "%s: more than %d app ports; use all", path, APP_PORTS_MAX);
		apps->port[apps->n++] = p;
	}
	return 0;
}

static void put_apps(const struct key *k, const void *at, FILE *f)
{
	const struct app_ports *apps = at;

	(void)k;
	if (apps->all) {
		fputs("all", f);
		return;
	}
	fputc('[', f);
	for (unsigned i = 0; i < apps->n; i++)
		fprintf(f, "%s%s/%u", i ? ", " : "", apps->port[i].ipproto == IPPROTO_TCP ? "tcp" : "udp", apps->port[i].port);
	fputc(']', f);
}

const struct value_ops value_apps = { .get = get_apps, .put = put_apps };

/* ---- labels ---- */

struct label_walk {
	const struct yaml *y;
	const char *path;
	struct labels *labels;
};

static int get_label(void *ctx, const char *key, struct fy_node *key_node, struct fy_node *value, struct err *e)
{
	struct label_walk *w = ctx;
	const char *s = yaml_scalar(value);
	struct label *l = &w->labels->v[w->labels->n];

	if (!*key)
		return yaml_fail(w->y, key_node, e, "%s: a label without a name", w->path);
	if (!s)
		return value_fail(w->y, value, w->path, "the value of a label (text)", e);
	l->key = strdup(key);
	l->value = strdup(s);
	w->labels->n++;
	return l->key && l->value ? 0 : value_no_memory(e);
}

static int get_labels(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	struct label_walk w = { .y = y, .path = path, .labels = at };

	(void)k;
	w.labels->v = calloc(LABELS_MAX, sizeof *w.labels->v);
	if (!w.labels->v)
		return value_no_memory(e);
	return yaml_each_pair(y, node, path, LABELS_MAX, get_label, &w, e);
}

static void put_labels(const struct key *k, const void *at, FILE *f)
{
	const struct labels *l = at;

	(void)k;
	fputc('{', f);
	for (unsigned i = 0; i < l->n; i++) {
		fputs(i ? ", " : "", f);
		value_put_text(l->v[i].key, f);
		fputs(": ", f);
		value_put_text(l->v[i].value, f);
	}
	fputc('}', f);
}

static void release_labels(const struct key *k, void *at)
{
	struct labels *l = at;

	(void)k;
	for (unsigned i = 0; i < l->n; i++) {
		free(l->v[i].key);
		free(l->v[i].value);
	}
	free(l->v);
	memset(l, 0, sizeof *l);
}

const struct value_ops value_labels = { .get = get_labels, .put = put_labels, .release = release_labels };

/* ---- lists whose count stands elsewhere in the struct ---- */

static unsigned *count_of(const struct key *k, void *at) { return (unsigned *)((char *)at - k->at + k->n_at); }
static unsigned count_in(const struct key *k, const void *at) { return *(const unsigned *)((const char *)at - k->at + k->n_at); }

/* Room for every item of the list; *n is their number. NULL with *n == 0: an empty list. */
static int list_room(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, size_t item_size, void **room, struct err *e)
{
	int n;

	if (!is_list(node))
		return value_fail(y, node, path, "a list", e);
	n = fy_node_sequence_item_count(node);
	if (n < 0 || (uint64_t)n > k->max)
		return yaml_fail(y, node, e, "%s: more than %llu items", path, (unsigned long long)k->max);
	*room = n ? calloc((size_t)n, item_size) : NULL;
	return n && !*room ? value_no_memory(e) : 0;
}

static int get_globs(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	unsigned *n = count_of(k, at);
	struct fy_node *item;
	void *it = NULL, *room = NULL;
	char **list;
	int r;

	r = list_room(y, node, k, path, sizeof *list, &room, e);
	if (r)
		return r;
	list = room;
	memcpy(at, &list, sizeof list);
	while ((item = fy_node_sequence_iterate(node, &it))) {
		const char *s = yaml_scalar(item);

		if (!s || !*s || strlen(s) >= CONFIG_NAME_MAX)
			return value_fail(y, item, path, "a name or a pattern (text)", e);
		list[*n] = strdup(s);
		if (!list[*n])
			return value_no_memory(e);
		++*n;
	}
	return 0;
}

static void put_globs(const struct key *k, const void *at, FILE *f)
{
	char *const *list;

	memcpy(&list, at, sizeof list);
	fputc('[', f);
	for (unsigned i = 0; i < count_in(k, at); i++) {
		fputs(i ? ", " : "", f);
		value_put_text(list[i], f);
	}
	fputc(']', f);
}

static void release_globs(const struct key *k, void *at)
{
	char **list;

	memcpy(&list, at, sizeof list);
	for (unsigned i = 0; i < *count_of(k, at); i++)
		free(list[i]);
	free(list);
	*count_of(k, at) = 0;
	memset(at, 0, sizeof list);
}

const struct value_ops value_globs = { .get = get_globs, .put = put_globs, .release = release_globs };

static int get_list(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	unsigned *n = count_of(k, at);
	struct fy_node *item;
	void *it = NULL, *room = NULL;
	int r;

	r = list_room(y, node, k, path, k->item_size, &room, e);
	if (r)
		return r;
	memcpy(at, &room, sizeof room);
	while ((item = fy_node_sequence_iterate(node, &it))) {
		char *mine = (char *)room + (size_t)*n * k->item_size;
		char where[CONFIG_PATH_MAX];

		snprintf(where, sizeof where, "%s[%u]", path, *n);
		++*n;	/* so that what it holds is released whatever happens */
		r = schema_defaults(k->items, mine, e);
		if (!r)
			r = schema_get(y, item, where, "", k->items, mine, e);
		if (!r && k->check)
			r = k->check(y, item, where, room, *n - 1, e);
		if (r)
			return r;
	}
	return 0;
}

static void put_list(const struct key *k, const void *at, FILE *f)
{
	const char *items;

	memcpy(&items, at, sizeof items);
	fputc('[', f);
	for (unsigned i = 0; i < count_in(k, at); i++) {
		fputs(i ? ", " : "", f);
		schema_put_flow(k->items, items + (size_t)i * k->item_size, f);
	}
	fputc(']', f);
}

static void release_list(const struct key *k, void *at)
{
	char *items;

	memcpy(&items, at, sizeof items);
	for (unsigned i = 0; i < *count_of(k, at); i++)
		schema_release(k->items, items + (size_t)i * k->item_size);
	free(items);
	*count_of(k, at) = 0;
	memset(at, 0, sizeof items);
}

const struct value_ops value_list = { .get = get_list, .put = put_list, .release = release_list };

/* ---- sets of words ---- */

static int get_discover(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	struct fy_node *item;
	void *it = NULL;
	bool *on = at;

	if (!is_list(node))
		return value_fail(y, node, path, "a list such as [netns]", e);
	while ((item = fy_node_sequence_iterate(node, &it))) {
		bool one;
		struct key word = *k;
		int r;

		word.size = sizeof one;
		r = value_word.get(y, item, &word, path, &one, e);
		if (r)
			return r;
		*on = true;
	}
	return 0;
}

static void put_discover(const struct key *k, const void *at, FILE *f)
{
	(void)k;
	fputs(*(const bool *)at ? "[netns]" : "[]", f);
}

const struct value_ops value_discover = { .get = get_discover, .put = put_discover };


static int get_types(const struct yaml *y, struct fy_node *node, const struct key *k, const char *path, void *at, struct err *e)
{
	static const char *const names[] = {
#define X(id, name) name,
		EVENT_TYPES(X)
#undef X
		NULL
	};
	struct fy_node *item;
	void *it = NULL;
	uint64_t *mask = at;
	const char *s = yaml_scalar(node), *near;
	char expected[TYPES_TEXT], buf[YAML_SHOW_MAX];

	(void)k;
	if (s && !strcmp(s, "all")) {
		*mask = EVENTS_ALL;
		return 0;
	}
	if (!is_list(node) || fy_node_sequence_is_empty(node))
		return value_fail(y, node, path, "all or a list of event types such as [flow, alert]", e);
	while ((item = fy_node_sequence_iterate(node, &it))) {
		unsigned i = 0, n = 0;

		s = yaml_scalar(item);
		while (s && names[i] && strcmp(s, names[i]))
			i++;
		if (s && names[i]) {
			*mask |= UINT64_C(1) << i;
			continue;
		}
		near = s ? yaml_nearest(s, names) : NULL;
		if (near)
			return yaml_fail(y, item, e, "%s: %s is no event type; did you mean %s?", path, yaml_show(item, buf), near);
		for (i = 0; names[i] && n < sizeof expected; i++)
			n += (unsigned)snprintf(expected + n, sizeof expected - n, "%s%s", i ? " " : "one of ", names[i]);
		return value_fail(y, item, path, expected, e);
	}
	return 0;
}

static void put_types(const struct key *k, const void *at, FILE *f)
{
	uint64_t mask;
	const char *comma = "";

	(void)k;
	memcpy(&mask, at, sizeof mask);
	if (mask == EVENTS_ALL) {
		fputs("all", f);
		return;
	}
	fputc('[', f);
	for (unsigned i = 0; i < EV_COUNT; i++) {
		if (mask & UINT64_C(1) << i) {
			fprintf(f, "%s%s", comma, event_type_name((enum event_type)i));
			comma = ", ";
		}
	}
	fputc(']', f);
}

const struct value_ops value_types = { .get = get_types, .put = put_types };
