/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_rule: a rule of policy.yaml. Beside its own keys it may have one matcher, named by the application that it looks into
 * (dpi/matchers.def): a mapping of keys to a pattern or a list of them; `headers` is a mapping of fields to them. */
#include "agent/policy_parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLAUSES_MAX 32

static const char *const actions[] = { "allow", "alert", "deny", "drop", NULL };
static const enum verdict verdicts[] = { VERDICT_ALLOW, VERDICT_ALERT, VERDICT_DENY, VERDICT_DROP };

struct rule_walk {
	struct loader *l;
	struct fy_node *id, *from, *to, *ports, *apps, *action, *mode;
	struct rule_spec spec;
	uint16_t groups[2][ITEMS_MAX];
	struct port_range port[ITEMS_MAX];
	enum app app[ITEMS_MAX];
	struct match_spec match[CLAUSES_MAX];
	const char *patterns[ITEMS_MAX];	/* of all clauses; borrowed from the document */
	unsigned npatterns;
	const char *matcher;			/* that is being read */
	const char *header;			/* the field, while `headers` is being read ... */
	unsigned key;				/* ... and its place in match_keys */
	unsigned side;
};

/* ---- matchers ---- */

static int get_pattern(struct loader *l, struct fy_node *item, void *ctx, struct err *e)
{
	struct rule_walk *w = ctx;
	const char *s = yaml_scalar(item);

	if (!s || !*s || strlen(s) > MATCH_PATTERN_MAX)
		return value_fail(l->y, item, l->path, "a pattern of 1 to 256 bytes (`*`: any bytes, `?`: one)", e);
	if (w->npatterns == ITEMS_MAX)
		return yaml_fail(l->y, item, e, "%s: more than %d patterns in a rule", l->path, ITEMS_MAX);
	w->patterns[w->npatterns++] = s;
	return 0;
}

/* One clause; `key` of match_keys. */
static int get_clause(struct rule_walk *w, unsigned key, const char *name, struct fy_node *value, struct err *e)
{
	unsigned first = w->npatterns;
	int rc;

	if (w->spec.nmatch == CLAUSES_MAX)
		return yaml_fail(w->l->y, value, e, "%s: more than %d clauses", w->l->path, CLAUSES_MAX);
	rc = policy_each_item(w->l, value, name, get_pattern, w, e);
	w->match[w->spec.nmatch++] = (struct match_spec){ key, w->header, w->patterns + first, w->npatterns - first };
	return rc;
}

static int header_key(void *ctx, const char *key, struct fy_node *key_node, struct fy_node *value, struct err *e)
{
	struct rule_walk *w = ctx;

	if (strlen(key) > MATCH_PATTERN_MAX || strspn(key, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(key))
		return yaml_fail(w->l->y, key_node, e, "%s.headers: a field's name has letters, digits and -", w->l->path);
	w->header = yaml_scalar(key_node);
	return get_clause(w, w->key, key, value, e);
}

static int matcher_key(void *ctx, const char *key, struct fy_node *key_node, struct fy_node *value, struct err *e)
{
	struct rule_walk *w = ctx;
	const char *known[CLAUSES_MAX + 1] = { NULL };
	unsigned n = 0;

	for (unsigned i = 0; match_keys[i].matcher; i++) {
		if (strcmp(match_keys[i].matcher, w->matcher))
			continue;
		known[n++] = match_keys[i].key;
		if (strcmp(match_keys[i].key, key))
			continue;
		if (match_keys[i].how != MATCH_HEADER)
			return get_clause(w, i, key, value, e);
		w->key = i;
		n = w->spec.nmatch;
		if (yaml_each_pair(w->l->y, value, w->l->path, CLAUSES_MAX, header_key, w, e))
			return -EINVAL;
		return w->spec.nmatch > n ? 0 : yaml_fail(w->l->y, key_node, e, "%s.%s: an empty mapping asks for nothing; leave the key out or name a field", w->l->path, key);
	}
	return policy_unknown_key(w->l, key_node, key, known, e);
}

static int get_matcher(struct rule_walk *w, const char *name, struct fy_node *node, struct err *e)
{
	size_t n = strlen(w->l->path);
	unsigned before = w->spec.nmatch;
	int rc;

	w->matcher = name;
	snprintf(w->l->path + n, sizeof w->l->path - n, ".%s", name);
	rc = yaml_each_pair(w->l->y, node, w->l->path, KEYS_MAX, matcher_key, w, e);
	if (!rc && w->spec.nmatch == before)
		rc = yaml_fail(w->l->y, node, e, "%s: asks for nothing; leave it out or name something", w->l->path);
	w->header = NULL;
	w->l->path[n] = '\0';
	return rc;
}

/* ---- the rule ---- */

static int rule_key(void *ctx, const char *key, struct fy_node *key_node, struct fy_node *value, struct err *e)
{
	static const char *const known[] = { "id", "from", "to", "ports", "apps", "action", "mode", NULL };
	struct rule_walk *w = ctx;
	struct fy_node **const at[] = { &w->id, &w->from, &w->to, &w->ports, &w->apps, &w->action, &w->mode };

	for (unsigned i = 0; known[i]; i++) {
		if (strcmp(key, known[i]))
			continue;
		*at[i] = value;
		if (!value)
			return yaml_fail(w->l->y, key_node, e, "%s.%s: nothing is there", w->l->path, key);
		return 0;
	}
	if (match_by_name(key) >= 0)
		return get_matcher(w, match_keys[match_by_name(key)].matcher, value, e);
	return policy_unknown_key(w->l, key_node, key, known, e);
}

static int get_end(struct loader *l, struct fy_node *item, void *ctx, struct err *e)
{
	struct rule_walk *w = ctx;
	const char *s = yaml_scalar(item);
	unsigned *n = w->side ? &w->spec.nto : &w->spec.nfrom;
	int group = policy_find_group(l, s);

	if (group < 0)
		return value_fail(l->y, item, w->side ? "to" : "from", "the name of a group of this file, or any", e);
	w->groups[w->side][(*n)++] = (uint16_t)group;
	return 0;
}

int policy_parse_ports(const char *s, struct port_range *out)
{
	static const struct { const char *name; uint8_t ipproto; } protos[] = { { "tcp/", IPPROTO_TCP }, { "udp/", IPPROTO_UDP }, { "sctp/", IPPROTO_SCTP } };
	static const struct { const char *name; uint8_t ipproto; } whole[] = {
		{ "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { "sctp", IPPROTO_SCTP }, { "icmp", IPPROTO_ICMP }, { "icmp6", IPPROTO_ICMPV6 },
	};
	unsigned long v[2];

	for (unsigned i = 0; i < sizeof whole / sizeof whole[0]; i++)
		if (!strcmp(s, whole[i].name)) {
			*out = (struct port_range){ whole[i].ipproto, 0, 65535 };
			return 0;
		}
	for (unsigned i = 0; i < sizeof protos / sizeof protos[0]; i++) {
		if (strncmp(s, protos[i].name, strlen(protos[i].name)))
			continue;
		s += strlen(protos[i].name);
		for (unsigned k = 0; k < 2; k++) {
			char *end;

			if (*s < '1' || *s > '9' || strspn(s, "0123456789") > 5)
				return -EINVAL;
			v[k] = strtoul(s, &end, 10);
			if (v[k] > 65535)
				return -EINVAL;
			s = end;
			if (!k && *s != '-') {
				v[1] = v[0];
				break;
			}
			s += !k;
		}
		if (*s || v[0] > v[1])
			return -EINVAL;
		*out = (struct port_range){ protos[i].ipproto, (uint16_t)v[0], (uint16_t)v[1] };
		return 0;
	}
	return -EINVAL;
}

static int get_ports(struct loader *l, struct fy_node *item, void *ctx, struct err *e)
{
	struct rule_walk *w = ctx;
	const char *s = yaml_scalar(item);

	if (!s || policy_parse_ports(s, &w->port[w->spec.nports]))
		return value_fail(l->y, item, "ports", "tcp/PORT, udp/PORT, sctp/PORT or a range such as tcp/8000-8100 (1 to 65535); tcp, udp, sctp, icmp or icmp6 alone", e);
	w->spec.nports++;
	return 0;
}

static int get_app(struct loader *l, struct fy_node *item, void *ctx, struct err *e)
{
	static const char *const all[] = {
#define X(id, name, parent) name,
#include "dpi/apps.def"
#undef X
		NULL
	};
	struct rule_walk *w = ctx;
	const char *s = yaml_scalar(item), *near = s ? yaml_nearest(s, all) : NULL;
	int app = s ? app_by_name(s) : -1;
	char buf[YAML_SHOW_MAX];

	if (app < 0)
		return yaml_fail(l->y, item, e, "apps: %s is no application%s%s%s", yaml_show(item, buf), near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	w->app[w->spec.napps++] = (enum app)app;
	return 0;
}

static int get_id(struct rule_walk *w, struct err *e)
{
	const char *s = yaml_scalar(w->id);

	if (!s || !yaml_plain(w->id) || *s < '1' || *s > '9' || strlen(s) > 6 || strspn(s, "0123456789") != strlen(s))
		return value_fail(w->l->y, w->id, "id", "a number from 1 to 999999", e);
	w->spec.id = (uint32_t)strtoul(s, NULL, 10);
	return 0;
}

static int read_rule(struct rule_walk *w, struct fy_node *node, struct err *e)
{
	struct loader *l = w->l;
	const struct { struct fy_node *node; const char *name; } needed[] = { { w->id, "id" }, { w->from, "from" }, { w->to, "to" }, { w->action, "action" } };
	struct err inner = { "" };
	int word;

	for (unsigned i = 0; i < 4; i++)
		if (!needed[i].node)
			return yaml_fail(l->y, node, e, "%s: a rule without %s", l->path, needed[i].name);
	if (get_id(w, e) || policy_each_item(l, w->from, "from", get_end, w, e))
		return -EINVAL;
	w->side = 1;
	if (policy_each_item(l, w->to, "to", get_end, w, e))
		return -EINVAL;
	if ((w->ports && policy_each_item(l, w->ports, "ports", get_ports, w, e)) || (w->apps && policy_each_item(l, w->apps, "apps", get_app, w, e)))
		return -EINVAL;
	word = policy_get_word(l, w->action, "action", actions, e);
	if (word < 0)
		return word;
	w->spec.action = verdicts[word];
	w->spec.mode = RULE_MODE_NONE;
	if (w->mode) {
		word = policy_get_word(l, w->mode, "mode", policy_modes, e);
		if (word < 0)
			return word;
		w->spec.mode = word;
	}
	w->spec.line = yaml_line(node);
	if (policy_add_rule(l->b, &w->spec, &inner))
		return policy_at_node(l, w->id, &inner, e);
	return 0;
}

int policy_get_rule(struct loader *l, struct fy_node *node, struct err *e)
{
	struct rule_walk *w = calloc(1, sizeof *w);
	int rc;

	if (!w)
		return value_no_memory(e);
	w->l = l;
	w->spec.from = w->groups[0];
	w->spec.to = w->groups[1];
	w->spec.ports = w->port;
	w->spec.apps = w->app;
	w->spec.match = w->match;
	rc = yaml_each_pair(l->y, node, l->path, KEYS_MAX, rule_key, w, e);
	if (!rc)
		rc = read_rule(w, node, e);
	free(w);
	return rc;
}

