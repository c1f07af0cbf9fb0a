/* SPDX-License-Identifier: GPL-2.0-or-later */
/* learn_write: what was learned as a policy file.
 *
 * A line (learn_lines.h) is one rule, or one for each set of keys that its requests say.
 *
 * Exactness. A rule that allows is not stopped by what it does not ask for: `verbs: [select]`, from "select 1", would allow it from any table.
 * So the sets of keys stand in order, the larger first, and before each a rule refuses requests that say more than it. Everything
 * written is printable ASCII in double quotes: what a stranger sent is no part of the file's syntax. */
#include "agent/learn_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/eve.h"

#define VALUES_OF_RULE 200u	/* patterns of one key; more become "*" */
#define PORTS_OF_RULE 8u	/* single ports; more become a range */
#define RULE_ID_LAST 999999u

struct group {
	const char *end;
	enum learn_end kind;
	char name[160];
};

struct writer {
	const struct learn_writing *conf;
	struct learn *l;
	FILE *out;
	struct learn_lines lines;
	unsigned left_out;
	struct group *group;
	unsigned ngroups, groups_max;
	uint32_t id, step, rules_left;
	bool failed;
};

/* ---- text ---- */

static void quoted(FILE *out, const char *s, size_t n)
{
	putc('"', out);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			putc('\\', out);
		putc(c < 0x20 || c >= 0x7f ? '?' : c, out);
	}
	putc('"', out);
}

static unsigned items(const char *list)
{
	unsigned n = *list != 0;

	for (; *list; list++)
		n += *list == '\n';
	return n;
}

/* A list of one a line as YAML's. */
static void quoted_list(FILE *out, const char *list)
{
	if (items(list) > VALUES_OF_RULE)
		list = "*";
	putc('[', out);
	for (const char *p = list; *p; ) {
		size_t n = strcspn(p, "\n");

		if (p != list)
			fputs(", ", out);
		quoted(out, p, n);
		p += n + (p[n] == '\n');
	}
	putc(']', out);
}

/* ---- groups ---- */

static bool name_taken(const struct writer *w, const char *name)
{
	if (!strcmp(name, "any") || (w->conf->in_force && policy_group_by_name(w->conf->in_force, name) >= 0))
		return true;
	for (unsigned i = 0; i < w->ngroups; i++)
		if (!strcmp(w->group[i].name, name))
			return true;
	return false;
}

static void name_group(const struct writer *w, struct group *g)
{
	char base[CONFIG_NAME_MAX];
	size_t n;

	if (g->kind != END_WORKLOAD && strchr(g->end, '\n'))
		snprintf(base, sizeof base, g->kind == END_DNS ? "names" : "addresses");
	else
		snprintf(base, sizeof base, "%.120s", g->end);
	n = strlen(base);
	if (g->kind == END_WORKLOAD && n > 2 && !strcmp(base + n - 1, "*"))
		base[n - 2] = '\0';
	snprintf(g->name, sizeof g->name, "%s", base);
	for (unsigned i = 2; name_taken(w, g->name); i++)
		snprintf(g->name, sizeof g->name, "%s-%u", base, i);
}

static const struct group *find_group(const struct writer *w, const char *end, enum learn_end kind)
{
	for (unsigned i = 0; i < w->ngroups; i++)
		if (w->group[i].kind == kind && !strcmp(w->group[i].end, end))
			return &w->group[i];
	return NULL;
}

static bool need_group(struct writer *w, const char *end, enum learn_end kind)
{
	struct group *g = &w->group[w->ngroups];

	if (find_group(w, end, kind))
		return true;
	if (w->ngroups == w->groups_max)
		return false;
	g->end = end;
	g->kind = kind;
	name_group(w, g);
	w->ngroups++;
	return true;
}

static void write_groups(struct writer *w)
{
	static const char *const keys[] = { [END_WORKLOAD] = "workload", [END_DNS] = "fqdn", [END_ADDRESS] = "cidr" };

	for (unsigned i = 0; i < w->lines.n; i++) {
		struct learn_line *l = &w->lines.line[i];

		if (need_group(w, l->end[0], l->kind[0]) && need_group(w, l->end[1], l->kind[1]))
			continue;
		l->gone = true;
		w->left_out++;
	}
	if (w->ngroups)
		fputs("groups:\n", w->out);
	for (unsigned i = 0; i < w->ngroups; i++) {
		const struct group *g = &w->group[i];

		fputs("  - {name: ", w->out);
		quoted(w->out, g->name, strlen(g->name));
		fprintf(w->out, ", match: {%s: ", keys[g->kind]);
		quoted_list(w->out, g->end);
		/* a prefix stands for others beside those that were seen, not for the workloads, which have groups of their own */
		fputs(g->kind == END_ADDRESS && strchr(g->end, '/') ? ", not: {workload: \"*\"}}}\n" : "}}\n", w->out);
	}
}

/* ---- rules ---- */

/* Ports of one transport: each, or from the first to the last. */
static void write_proto(struct writer *w, const char *ports, const char *proto, bool *any)
{
	unsigned n = 0, lo = 65535, hi = 0;
	size_t len = strlen(proto);

	for (int pass = 0; pass < 2; pass++) {
		for (const char *p = ports; *p; p += strcspn(p, "\n"), p += *p == '\n') {
			unsigned port;

			if (strncmp(p, proto, len))
				continue;
			port = (unsigned)strtoul(p + len, NULL, 10);
			lo = port < lo ? port : lo;
			hi = port > hi ? port : hi;
			n += !pass;
			if (pass && n <= PORTS_OF_RULE) {
				fprintf(w->out, "%s%s%u", *any ? ", " : "", proto, port);
				*any = true;
			}
		}
	}
	if (n > PORTS_OF_RULE) {
		fprintf(w->out, "%s%s%u-%u", *any ? ", " : "", proto, lo, hi);
		*any = true;
	}
}

/* The first is all of a transport; of others but ICMP that is so where ports are others each time. */
static bool whole(const char *ports) { return ports[strcspn(ports, "/\n")] != '/'; }

static void write_ports(struct writer *w, const char *ports)
{
	static const char *const protos[] = { "tcp/", "udp/", "sctp/" };
	bool any = false;

	fputs(", ports: [", w->out);
	for (const char *p = ports; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (whole(p)) {
			fprintf(w->out, "%s%.*s", any ? ", " : "", (int)strcspn(p, "\n"), p);
			any = true;
		}
	for (size_t i = 0; i < sizeof protos / sizeof protos[0]; i++)
		write_proto(w, ports, protos[i], &any);
	putc(']', w->out);
}

static bool rule_begin(struct writer *w, const struct learn_line *l)
{
	if (w->id > RULE_ID_LAST || !w->rules_left)
		return false;
	w->rules_left--;
	fprintf(w->out, "  - {id: %u, from: ", w->id);
	w->id += w->step;
	for (int i = 0; i < 2; i++) {
		const struct group *g = find_group(w, l->end[i], l->kind[i]);

		if (i)
			fputs(", to: ", w->out);
		quoted(w->out, g->name, strlen(g->name));
	}
	write_ports(w, l->ports);
	/* one that nobody knows is an application too, and stands for connections that say nothing; an echo has none */
	if (l->app != APP_UNKNOWN || strncmp(l->ports, "icmp", 4))
		fprintf(w->out, ", apps: [%s]", app_name((enum app)l->app));
	return true;
}

struct shape {				/* classes that say the same keys */
	unsigned mask;
	unsigned n;
	char *(*v)[LEARN_KEYS_MAX];	/* lists of each; owned */
};

static unsigned mask_of(const struct learn_class *c)
{
	unsigned m = 0;

	for (unsigned k = 0; k < LEARN_KEYS_MAX; k++)
		m |= c->v[k] ? 1u << k : 0;
	return m;
}

static bool same_but(char *const a[LEARN_KEYS_MAX], char *const b[LEARN_KEYS_MAX], unsigned but)
{
	for (unsigned k = 0; k < LEARN_KEYS_MAX; k++)
		if (k != but && strcmp(a[k] ? a[k] : "", b[k] ? b[k] : ""))
			return false;
	return true;
}

static void shape_add(struct writer *w, char **list, const char *more)
{
	char *both = learn_join(*list, more);

	w->failed |= !both;
	if (!both)
		return;
	free(*list);
	*list = both;
}

/* Classes that differ in one key only become one, key by key, the objects first. */
static void shape_join(struct writer *w, struct shape *s)
{
	static const unsigned order[LEARN_KEYS_MAX] = { 1, 3, 2, 0 };

	for (unsigned o = 0; o < LEARN_KEYS_MAX; o++) {
		unsigned k = order[o];

		if (!(s->mask >> k & 1))
			continue;
		for (unsigned i = 0; i < s->n; i++) {
			for (unsigned j = i + 1; j < s->n; ) {
				if (!same_but(s->v[i], s->v[j], k)) {
					j++;
					continue;
				}
				shape_add(w, &s->v[i][k], s->v[j][k]);
				for (unsigned x = 0; x < LEARN_KEYS_MAX; x++)
					free(s->v[j][x]);
				memmove(&s->v[j], &s->v[j + 1], (s->n - j - 1) * sizeof *s->v);
				s->n--;
			}
		}
	}
}

static bool shape_of(struct writer *w, const struct learn_line *l, unsigned mask, struct shape *s)
{
	memset(s, 0, sizeof *s);
	s->mask = mask;
	for (unsigned i = 0; i < l->nclasses; i++)
		s->n += mask_of(l->class[i]) == mask;
	if (!s->n)
		return false;
	s->v = calloc(s->n, sizeof *s->v);
	w->failed |= !s->v;
	if (!s->v)
		return false;
	s->n = 0;
	for (unsigned i = 0; i < l->nclasses; i++) {
		if (mask_of(l->class[i]) != mask)
			continue;
		for (unsigned k = 0; k < LEARN_KEYS_MAX; k++)
			if (l->class[i]->v[k])
				w->failed |= !(s->v[s->n][k] = strdup(l->class[i]->v[k]));
		s->n++;
	}
	if (!w->failed)
		shape_join(w, s);
	return !w->failed;
}

static void shape_free(struct shape *s)
{
	for (unsigned i = 0; i < s->n; i++)
		for (unsigned k = 0; k < LEARN_KEYS_MAX; k++)
			free(s->v[i][k]);
	free(s->v);
}

static void write_clauses(struct writer *w, const struct learn_matcher *m, char *const v[LEARN_KEYS_MAX], unsigned mask)
{
	bool any = false;

	for (unsigned k = 0; k < m->nkeys; k++) {
		if (!(mask >> k & 1) || !v[k])
			continue;
		fprintf(w->out, "%s%s: ", any ? ", " : "", m->key[k].key);
		quoted_list(w->out, v[k]);
		any = true;
	}
}

/* Refuses requests that say a key which this shape has not: those that may have it were allowed before. */
static bool write_refusals(struct writer *w, const struct learn_line *l, const struct learn_matcher *m, const struct shape *s, unsigned seen, unsigned *refused)
{
	for (unsigned k = 0; k < m->nkeys; k++) {
		char *star[LEARN_KEYS_MAX] = { NULL };
		char any[] = "*";

		if ((s->mask | *refused) >> k & 1 || (k && !(m->key[k].object && !m->key[k].session) && !(seen >> k & 1)))
			continue;
		star[k] = any;
		for (unsigned i = 0; i < s->n; i++) {
			star[0] = k && s->mask & 1 ? s->v[i][0] : star[0];
			if (!rule_begin(w, l))
				return false;
			fprintf(w->out, ", %s: {", m->matcher);
			write_clauses(w, m, star, 1u << k | (s->mask & 1));
			fputs("}, action: deny}\n", w->out);
			if (s->mask & 1)
				continue;
			*refused |= 1u << k;	/* whatever else it says */
			break;
		}
	}
	return true;
}

static bool write_shape(struct writer *w, const struct learn_line *l, const struct learn_matcher *m, unsigned mask, unsigned seen, unsigned *refused)
{
	struct shape s;
	bool fits = true;

	if (!shape_of(w, l, mask, &s))
		return true;
	fits = write_refusals(w, l, m, &s, seen, refused);
	for (unsigned i = 0; i < s.n && fits; i++) {
		fits = rule_begin(w, l);
		if (!fits)
			break;
		if (mask) {
			fprintf(w->out, ", %s: {", m->matcher);
			write_clauses(w, m, s.v[i], mask);
			putc('}', w->out);
		}
		fputs(", action: allow}\n", w->out);
	}
	shape_free(&s);
	return fits;
}

/* The application showed (a server's greeting, the wish for TLS), but no request: none is allowed. What is said at a connection's beginning may have
 * been said before anybody looked. */
static bool asked_nothing(const struct learn_line *l, const struct learn_matcher *m)
{
	return m && !l->nclasses && !l->loose && !m->once;
}

static void write_comment(struct writer *w, const struct learn_line *l, const struct learn_matcher *m)
{
	char from[64], to[64];

	fputs("  # ", w->out);
	if (l->n)
		fprintf(w->out, "%llu connection%s, ", (unsigned long long)l->n, l->n == 1 ? "" : "s");
	fprintf(w->out, "%s to %s", eve_timestamp(l->first, w->conf->utc, from), eve_timestamp(l->last, w->conf->utc, to));
	if (l->loose)
		fputs("; requests of too many kinds, or not readable as a whole: all of the application's are allowed", w->out);
	if (asked_nothing(l, m))
		fputs("; without requests", w->out);
	if (l->app != APP_UNKNOWN && whole(l->ports))
		fputs("; at ports that are agreed upon each time", w->out);
	if (l->app == APP_UNKNOWN && strncmp(l->ports, "icmp", 4))
		fputs(l->bare ? "; without data" : "; in an application that is not known", w->out);
	putc('\n', w->out);
}

static void write_line(struct writer *w, const struct learn_line *l)
{
	enum app app = (enum app)l->app;
	const struct learn_matcher *m = learn_matcher_of(&app);
	unsigned seen = 0, refused = 0;
	bool fits = true;

	write_comment(w, l, m);
	if (!m || !l->nclasses) {
		fits = (!asked_nothing(l, m) || write_refusals(w, l, m, &(struct shape){ .n = 1 }, 0, &refused)) && rule_begin(w, l);
		if (fits)
			fputs(", action: allow}\n", w->out);
	}
	for (unsigned i = 0; i < l->nclasses; i++)
		seen |= mask_of(l->class[i]);
	/* with the first key before those without, and more keys before fewer */
	for (int first = 1; first >= 0 && m && fits; first--)
		for (unsigned count = LEARN_KEYS_MAX + 1; count-- > 0 && fits; )
			for (unsigned mask = 0; mask < 1u << LEARN_KEYS_MAX && fits; mask++)
				if ((mask & 1) == (unsigned)first && (unsigned)__builtin_popcount(mask) == count)
					fits = write_shape(w, l, m, mask, seen, &refused);
	w->left_out += !fits;
}

static void write_rules(struct writer *w)
{
	bool any = false;

	for (unsigned i = 0; i < w->lines.n; i++) {
		if (w->lines.line[i].gone)
			continue;
		if (!any)
			fputs("rules:\n", w->out);
		any = true;
		write_line(w, &w->lines.line[i]);
	}
}

/* ---- the file ---- */

static void write_head(struct writer *w)
{
	int64_t first = INT64_MAX, last = INT64_MIN;
	char from[64], to[64];

	for (unsigned i = 0; i < w->lines.n; i++) {
		first = w->lines.line[i].first < first ? w->lines.line[i].first : first;
		last = w->lines.line[i].last > last ? w->lines.line[i].last : last;
	}
	fprintf(w->out, "# Learned by tapqueue %s on node ", TQ_VERSION);
	quoted(w->out, w->conf->node, strlen(w->conf->node));
	if (w->lines.n)
		fprintf(w->out, ", %s to %s", eve_timestamp(first, w->conf->utc, from), eve_timestamp(last, w->conf->utc, to));
	fprintf(w->out, ".\n# What was carried on while the mode was discover and no rule said anything. Connections that were refused or not answered\n"
			"# are not in it. \"*\" stands for ids, and for what had too many forms.\n");
	if (w->conf->in_force && policy_rule_count(w->conf->in_force))
		fprintf(w->out, "# The policy in force has rules of its own: join these groups and rules to it, before a rule that refuses everything.\n");
	if (w->l->stats.left_out)
		fprintf(w->out, "# NOT WHOLE: %llu times something new was seen when the table was full.\n", (unsigned long long)w->l->stats.left_out);
	fprintf(w->out, "version: 1\ndefault: {mode: %s}\n", policy_mode_name((enum policy_mode)w->conf->mode));
}

static void number(struct writer *w)
{
	uint32_t last = w->conf->in_force ? policy_last_id(w->conf->in_force) : 0;

	w->step = 10;
	w->id = last / 10 * 10 + 10;
	if (w->id + w->lines.n * 80 > RULE_ID_LAST) {
		w->step = 1;
		w->id = last + 1;
	}
	w->rules_left = POLICY_RULES_MAX - (w->conf->in_force ? policy_rule_count(w->conf->in_force) : 0);
	w->groups_max = POLICY_GROUPS_MAX - (w->conf->in_force ? policy_group_count(w->conf->in_force) : 1);	/* `any` is one of them */
}

int learn_write(struct learn *l, const struct learn_writing *conf, FILE *out)
{
	struct writer w = { .conf = conf, .l = l, .out = out, .lines = { .l = l, .strangers = conf->strangers, .ctx = conf->ctx } };

	w.group = calloc(POLICY_GROUPS_MAX, sizeof *w.group);
	w.failed = !w.group;
	pthread_mutex_lock(&l->lock);	/* the sink thread's events wait in their rings meanwhile */
	if (!w.failed)
		w.failed = learn_lines(&w.lines) != 0;
	if (!w.failed) {
		number(&w);
		write_head(&w);
		write_groups(&w);
		write_rules(&w);
	}
	if (w.left_out)
		fprintf(out, "# NOT WHOLE: %u kinds of traffic are more than one policy holds.\n", w.left_out);
	pthread_mutex_unlock(&l->lock);
	learn_lines_free(&w.lines);
	free(w.group);
	return w.failed ? -ENOMEM : 0;
}
