/* SPDX-License-Identifier: GPL-2.0-or-later */
/* learn_lines: pairs of the table to the lines of a policy: replicas become one by their glob, addresses about which the same was seen one list,
 * ports of what has no requests one rule. Each step sorts the lines and joins those that compare equal. */
#include "agent/learn_lines.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy(struct learn_lines *w, const char *s)
{
	char *c = strdup(s);

	w->failed |= !c;
	return c;
}

/* ---- ends ---- */

static void cidr_text(const struct cidr *c, char out[64])
{
	bool v4 = addr_is_v4(&c->net) && c->len >= 96;
	char a[ADDR_STRLEN];
	unsigned len = v4 ? c->len - 96u : c->len;

	addr_format(&c->net, a);
	if (len == (v4 ? 32 : 128))
		snprintf(out, 64, "%s", a);
	else
		snprintf(out, 64, "%s/%u", a, len);
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Each name once, sorted; borrowed from the table. */
static void names(struct learn_lines *w)
{
	unsigned kept = 0;

	w->name = calloc(2 * w->l->stats.pairs + 1, sizeof *w->name);
	w->failed |= !w->name;
	for (unsigned b = 0; b < LEARN_BUCKETS && w->name; b++)
		for (const struct learn_pair *p = w->l->bucket[b]; p; p = p->next)
			for (int i = 0; i < 2; i++)
				if (p->name[i] && !(i && p->dns))
					w->name[w->nnames++] = p->name[i];
	if (!w->name)
		return;
	qsort(w->name, w->nnames, sizeof *w->name, by_name);
	for (unsigned i = 0; i < w->nnames; i++)
		if (!kept || strcmp(w->name[i], w->name[kept - 1]))
			w->name[kept++] = w->name[i];
	w->nnames = kept;
}

/* Two replicas at least were seen, and nothing else would be taken in. What the glob holds stands side by side in the sorted list. */
static bool glob_is_safe(const struct learn_lines *w, const char *name, const char *glob)
{
	const char **at = bsearch(&name, w->name, w->nnames, sizeof *w->name, by_name);
	size_t stem = strlen(glob) - 1;
	const char **first = at, **last = at;
	char own[CONFIG_NAME_MAX];

	while (first > w->name && !strncmp(first[-1], glob, stem))
		first--;
	while (last + 1 < w->name + w->nnames && !strncmp(last[1], glob, stem))
		last++;
	for (const char **n = first; n <= last; n++)
		if (!learn_numbered(*n, own, sizeof own) || strcmp(own, glob))
			return false;
	return first < last && !(w->strangers && w->strangers(w->ctx, glob));
}

static char *end_of(struct learn_lines *w, const struct learn_pair *p, int side)
{
	char text[CONFIG_NAME_MAX];

	if (!p->name[side]) {
		cidr_text(&p->net[side], text);
		return copy(w, text);
	}
	if (!(side && p->dns) && learn_numbered(p->name[side], text, sizeof text) && glob_is_safe(w, p->name[side], text))
		return copy(w, text);
	return copy(w, p->name[side]);
}

static bool is_echo(const struct learn_pair *p) { return p->ipproto == IPPROTO_ICMP || p->ipproto == IPPROTO_ICMPV6; }

static char *ports_of(struct learn_lines *w, const struct learn_pair *p)
{
	const char *proto = p->ipproto == IPPROTO_TCP ? "tcp" : p->ipproto == IPPROTO_UDP ? "udp" : "sctp";
	char text[32];

	switch (p->ipproto) {
	case IPPROTO_ICMP:
		return copy(w, "icmp");
	case IPPROTO_ICMPV6:
		return copy(w, "icmp6");
	default:
		snprintf(text, sizeof text, "%s/%05u", proto, p->port);
		return copy(w, p->port ? text : proto);
	}
}

/* ---- lines ---- */

static int by_class(const void *a, const void *b)
{
	return learn_cmp_class(*(struct learn_class *const *)a, *(struct learn_class *const *)b);
}

static void sign(struct learn_lines *w, struct learn_line *l)
{
	size_t n = 0;
	FILE *f;

	free(l->sign);
	l->sign = NULL;
	f = open_memstream(&l->sign, &n);
	if (!f) {
		w->failed = true;
		return;
	}
	for (unsigned i = 0; i < l->nclasses; i++)
		for (unsigned k = 0; k < LEARN_KEYS_MAX; k++)
			fprintf(f, "%s\t", l->class[i]->v[k] ? l->class[i]->v[k] : "");
	w->failed |= fclose(f) != 0;
}

static void line_of(struct learn_lines *w, const struct learn_pair *p)
{
	struct learn_line *l = &w->line[w->n++];

	for (int i = 0; i < 2; i++) {
		l->end[i] = end_of(w, p, i);
		l->kind[i] = !p->name[i] ? END_ADDRESS : i && p->dns ? END_DNS : END_WORKLOAD;
	}
	l->ports = ports_of(w, p);
	l->app = p->app;
	l->bare = p->bare || is_echo(p);
	l->loose = p->loose;
	l->n = p->n + p->open;
	l->first = p->first;
	l->last = p->last;
	l->class = calloc(p->nclasses ? p->nclasses : 1, sizeof(struct learn_class *));
	w->failed |= !l->class;
	for (struct learn_class *c = p->classes; c && l->class; c = c->next)
		l->class[l->nclasses++] = c;
	if (l->class)
		qsort(l->class, l->nclasses, sizeof(struct learn_class *), by_class);
}

static void line_free(struct learn_line *l)
{
	free(l->end[0]);
	free(l->end[1]);
	free(l->ports);
	free(l->class);
	free(l->sign);
}

static int cmp_ends(const struct learn_line *a, const struct learn_line *b)
{
	for (int i = 0; i < 2; i++) {
		int c = (int)a->kind[i] - (int)b->kind[i];

		if (!c)
			c = strcmp(a->end[i], b->end[i]);
		if (c)
			return c;
	}
	return 0;
}

static int by_pair(const void *x, const void *y)
{
	const struct learn_line *a = x, *b = y;
	int c = cmp_ends(a, b);

	if (!c)
		c = strcmp(a->ports, b->ports);
	return c ? c : (int)a->app - (int)b->app;
}

/* But for the addresses of the one end that is none of this node. */
static int by_talk(const void *x, const void *y)
{
	const struct learn_line *a = x, *b = y;
	int c = 0;

	for (int i = 0; i < 2 && !c; i++) {
		c = (int)a->kind[i] - (int)b->kind[i];
		if (!c && !(a->kind[i] != END_WORKLOAD && a->kind[!i] == END_WORKLOAD))
			c = strcmp(a->end[i], b->end[i]);
	}
	if (!c)
		c = strcmp(a->ports, b->ports);
	if (!c)
		c = (int)a->app - (int)b->app;
	if (!c)
		c = (int)a->bare - (int)b->bare;
	return c ? c : strcmp(a->sign, b->sign);
}

static bool of_echoes(const struct learn_line *l) { return !strncmp(l->ports, "icmp", 4); }

/* Without requests: all but the ports, but echoes, which have no application, alone. What has requests is alone. */
static int by_app(const void *x, const void *y)
{
	const struct learn_line *a = x, *b = y;
	int c = cmp_ends(a, b);

	if (!c)
		c = (int)a->app - (int)b->app;
	if (!c)
		c = (int)of_echoes(a) - (int)of_echoes(b);
	if (!c)
		c = (int)a->bare - (int)b->bare;
	if (!c)
		c = strcmp(a->sign, b->sign);
	return c || !*a->sign ? c : strcmp(a->ports, b->ports);
}

static void join_text(struct learn_lines *w, char **a, const char *b)
{
	char *both = learn_join(*a, b);

	w->failed |= !both;
	if (!both)
		return;
	free(*a);
	*a = both;
}

static void join_classes(struct learn_lines *w, struct learn_line *a, const struct learn_line *b)
{
	struct learn_class **more = realloc(a->class, (a->nclasses + b->nclasses + 1) * sizeof(struct learn_class *));
	unsigned kept = 0;

	w->failed |= !more;
	if (!more)
		return;
	a->class = more;
	memcpy(more + a->nclasses, b->class, b->nclasses * sizeof *more);
	a->nclasses += b->nclasses;
	qsort(more, a->nclasses, sizeof *more, by_class);
	for (unsigned i = 0; i < a->nclasses; i++)
		if (!i || !learn_same_class(more[i], more[kept - 1]))
			more[kept++] = more[i];
	a->nclasses = kept;
}

/* Sorts, and joins what compares equal into its first. */
static void join(struct learn_lines *w, int (*cmp)(const void *, const void *))
{
	unsigned kept = 0;

	if (w->failed)
		return;
	qsort(w->line, w->n, sizeof *w->line, cmp);
	for (unsigned i = 0; i < w->n && !w->failed; i++) {
		struct learn_line *a = kept ? &w->line[kept - 1] : NULL, *b = &w->line[i];

		if (!a || cmp(a, b)) {
			w->line[kept++] = *b;
			if (&w->line[kept - 1] != b)
				memset(b, 0, sizeof *b);
			continue;
		}
		for (int s = 0; s < 2; s++)
			join_text(w, &a->end[s], b->end[s]);
		join_text(w, &a->ports, b->ports);
		join_classes(w, a, b);
		a->bare = a->bare && b->bare;
		a->loose = a->loose || b->loose;
		a->n += b->n;
		a->first = a->first < b->first ? a->first : b->first;
		a->last = a->last > b->last ? a->last : b->last;
		line_free(b);
		memset(b, 0, sizeof *b);
	}
	if (!w->failed)
		w->n = kept;
}

/* Connections without data need no rule where another lets connect: until an application shows, nothing is refused that a rule could allow. */
static void drop_bare(struct learn_lines *w)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < w->n; i++) {
		struct learn_line *l = &w->line[i], *next = i + 1 < w->n ? l + 1 : NULL;

		if (l->app == APP_UNKNOWN && l->bare && next && !cmp_ends(l, next) && !strcmp(l->ports, next->ports)) {
			line_free(l);
			continue;
		}
		w->line[kept] = *l;
		if (kept++ != i)
			memset(l, 0, sizeof *l);
	}
	w->n = kept;
}

static void collect(struct learn_lines *w)
{
	names(w);
	w->line = calloc(w->l->stats.pairs + 1, sizeof *w->line);
	w->failed |= !w->line || !w->name;
	for (unsigned b = 0; b < LEARN_BUCKETS && !w->failed; b++)
		for (const struct learn_pair *p = w->l->bucket[b]; p; p = p->next)
			if (p->n || p->open || p->classes || p->loose || p->app != APP_UNKNOWN)
				line_of(w, p);
	join(w, by_pair);
	if (w->failed)
		return;
	drop_bare(w);
	for (unsigned i = 0; i < w->n; i++) {
		if (w->line[i].loose)
			w->line[i].nclasses = 0;
		sign(w, &w->line[i]);
	}
	join(w, by_talk);
	join(w, by_app);
}

int learn_lines(struct learn_lines *w)
{
	collect(w);
	free(w->name);
	w->name = NULL;
	return w->failed ? -ENOMEM : 0;
}

void learn_lines_free(struct learn_lines *w)
{
	for (unsigned i = 0; w->line && i < w->n; i++)
		line_free(&w->line[i]);
	free(w->line);
}
