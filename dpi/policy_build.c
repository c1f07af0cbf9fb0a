/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_build: gathers groups and rules, refuses what has no meaning, and compiles them into the table that policy.c
 * reads. Runs on the main thread when a policy file is read; may allocate and take its time (10,000 rules: milliseconds). */
#include <errno.h>
#include <stdlib.h>

#include "dpi/policy_table.h"

#define RULE_ID_MAX 999999u

const struct policy_limits policy_limits_default = {
	.pending_bytes = 16384, .pending_packets = 16, .pending_time = INT64_C(5000000000), .hold_bytes = 16384, .hold_time = 200000000,
};

/* An array that grows by doubling. */
struct vec {
	void *p;
	uint32_t n, size;
};

/* A group names a network (or, with `not`, subtracts it). */
struct group_net {
	struct prefix net;
	uint16_t group;
	bool not;
};

struct policy_builder {
	struct policy *p;
	struct vec net, rule, group_no, port;
	uint64_t id_used[RULE_ID_MAX / 64 + 1];
};

/* Room for n more elements of `each` bytes; the first of them, or NULL. The caller adds to v->n. */
static void *vec_room(struct vec *v, uint32_t n, size_t each)
{
	if (n > v->size - v->n) {
		uint32_t size = v->size ? v->size : 64;
		void *q;

		while (size - v->n < n) {
			if (size > UINT32_MAX / 2)
				return NULL;
			size *= 2;
		}
		q = realloc(v->p, size * each);
		if (!q)
			return NULL;
		v->p = q;
		v->size = size;
	}
	return (char *)v->p + v->n * each;
}

static void policy_free(struct policy *p)
{
	for (unsigned g = 0; p->group_name && g < p->ngroups; g++)
		free(p->group_name[g]);
	free(p->group_name);
	fqdn_free(&p->fqdn);
	nest_free(&p->nest);
	free(p->net);
	free(p->net_first);
	prefix_map_free(&p->nets);
	free(p->rule);
	free(p->group_no);
	free(p->port);
	rule_index_free(&p->index);
	for (struct matcher_block *m = p->blocks, *next; m; m = next) {
		next = m->next;
		free(m);
	}
	for (unsigned i = 0; i < p->nheaders; i++) {
		free((char *)(uintptr_t)p->header[i]->name);
		free(p->header[i]);
	}
	free(p);
}

struct policy_builder *policy_begin(enum policy_mode default_mode)
{
	struct policy_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->p = calloc(1, sizeof(*b->p));
	if (b->p)
		b->p->group_name = calloc(POLICY_GROUPS_MAX, sizeof(char *));
	if (!b->p || !b->p->group_name || !(b->p->group_name[POLICY_GROUP_ANY] = strdup("any"))) {
		policy_builder_free(b);
		return NULL;
	}
	b->p->ngroups = 1;
	b->p->default_mode = default_mode;
	b->p->limits = policy_limits_default;
	return b;
}

void policy_builder_free(struct policy_builder *b)
{
	if (!b)
		return;
	if (b->p)
		policy_free(b->p);
	free(b->net.p);
	free(b->rule.p);
	free(b->group_no.p);
	free(b->port.p);
	free(b);
}

/* ---- groups ---- */

int policy_add_group(struct policy_builder *b, const char *name, int mode, struct err *e)
{
	struct policy *p = b->p;
	unsigned g = p->ngroups;

	if (!name[0])
		return err_set(e, -EINVAL, "a group has no name");
	if (policy_group_by_name(p, name) >= 0)
		return err_set(e, -EEXIST, strcmp(name, "any") == 0 ? "group %s: the name is reserved for everybody" : "group %s: the name is used twice", name);
	if (mode < -1 || mode > MODE_PROTECT)
		return err_set(e, -EINVAL, "group %s: no such mode", name);
	if (g == POLICY_GROUPS_MAX)
		return err_set(e, -E2BIG, "group %s: more than %d groups", name, POLICY_GROUPS_MAX - 1);
	p->group_name[g] = strdup(name);
	if (!p->group_name[g])
		return err_set(e, -ENOMEM, "group %s: out of memory", name);
	if (mode >= 0) {
		set_add(&p->has_mode, g);
		p->group_mode[g] = (enum policy_mode)mode;
	}
	p->ngroups++;
	return (int)g;
}

static bool group_exists(const struct policy *p, unsigned group) { return group > POLICY_GROUP_ANY && group < p->ngroups; }

int policy_group_cidr(struct policy_builder *b, unsigned group, const struct cidr *c, bool not, struct err *e)
{
	struct group_net *gn;

	if (!group_exists(b->p, group))
		return err_set(e, -EINVAL, "group number %u: no such group", group);
	if (c->len > 128)
		return err_set(e, -EINVAL, "group %s: a prefix of %u bits", b->p->group_name[group], c->len);
	gn = vec_room(&b->net, 1, sizeof(*gn));
	if (!gn)
		return err_set(e, -ENOMEM, "group %s: out of memory", b->p->group_name[group]);
	*gn = (struct group_net){ .net = { prefix_key_of(&c->net), c->len }, .group = (uint16_t)group, .not = not };
	b->net.n++;
	set_add(not ? &b->p->minus_cidr : &b->p->has_cidr, group);
	return 0;
}

void policy_group_needs_workload(struct policy_builder *b, unsigned group)
{
	if (group_exists(b->p, group))
		set_add(&b->p->needs_workload, group);
}

void policy_group_minus_workload(struct policy_builder *b, unsigned group)
{
	if (group_exists(b->p, group))
		set_add(&b->p->minus_workload, group);
}

int policy_group_fqdn(struct policy_builder *b, unsigned group, const char *pattern, bool not, struct err *e)
{
	struct policy *p = b->p;
	int rc;

	if (!group_exists(p, group))
		return err_set(e, -EINVAL, "group number %u: no such group", group);
	if (set_has(&p->has_mode, group))
		return err_set(e, -EINVAL, "group %s: a group that asks for names has no mode: names are of whom workloads talk to", p->group_name[group]);
	rc = fqdn_add(&p->fqdn, pattern, group, not);
	switch (rc) {
	case 0:
		set_add(not ? &p->minus_fqdn : &p->has_fqdn, group);
		return 0;
	case -EINVAL:
		return err_set(e, rc, "group %s: %s is no name or pattern of one (letters, digits, - and _ in labels of 1 to 63 bytes, 253 in all; * is any text; "
			       "other letters in their xn-- form)", p->group_name[group], pattern);
	case -E2BIG:
		return err_set(e, rc, "group %s: more than %u patterns with a star elsewhere than as the first label", p->group_name[group], FQDN_GLOBS_MAX);
	default:
		return err_set(e, rc, "group %s: out of memory", p->group_name[group]);
	}
}

int policy_group_member(struct policy_builder *b, unsigned group, unsigned member, bool not, struct err *e)
{
	if (!group_exists(b->p, group) || member >= b->p->ngroups)
		return err_set(e, -EINVAL, "group number %u: no such group", group_exists(b->p, group) ? member : group);
	return nest_add(b->p, group, member, not) ? 0 : err_set(e, -ENOMEM, "group %s: out of memory", b->p->group_name[group]);
}

int policy_check_members(struct policy_builder *b, unsigned *group, struct err *e) { return nest_check(b->p, group, e); }

void policy_group_same(struct policy_builder *b, unsigned group, unsigned as)
{
	if (group_exists(b->p, group) && group_exists(b->p, as))
		b->p->same_as[group] = (uint16_t)as;
}

/* ---- rules ---- */

static int check_groups(const struct policy_builder *b, const struct rule_spec *r, const char *key, const uint16_t *list, unsigned n, struct err *e)
{
	if (!n)
		return err_set(e, -EINVAL, "rule %u (line %u): `%s` is empty; say `any` for everybody", r->id, r->line, key);
	for (unsigned i = 0; i < n; i++)
		if (list[i] >= b->p->ngroups)
			return err_set(e, -EINVAL, "rule %u (line %u): `%s` names a group that is not there", r->id, r->line, key);
	return 0;
}

static bool app_among(enum app a, const enum app *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (app_is(a, list[i]))
			return true;
	return false;
}

/* TLS is looked into wherever its handshake is. */
static bool matcher_sees(enum app a, enum app of)
{
	return app_is(a, of) || (of == APP_TLS && (a == APP_QUIC || a == APP_DTLS));
}

static int check_match(const struct rule_spec *r, struct err *e)
{
	const struct match_key *first = r->nmatch ? &match_keys[r->match[0].key] : NULL;
	bool sees = !r->nmatch || !r->napps;

	for (unsigned i = 0; i < r->nmatch; i++) {
		const struct match_spec *m = &r->match[i];
		const struct match_key *k = &match_keys[m->key];

		if (strcmp(k->matcher, first->matcher) != 0)
			return err_set(e, -EINVAL, "rule %u (line %u): `%s` beside `%s`: a rule looks into one application", r->id, r->line, k->matcher, first->matcher);
		if (!m->npatterns)
			return err_set(e, -EINVAL, "rule %u (line %u): `%s.%s` is empty; leave it out to ask for nothing", r->id, r->line, k->matcher, k->key);
		for (unsigned n = 0; n < m->npatterns; n++)
			if (!m->patterns[n][0] || strlen(m->patterns[n]) > MATCH_PATTERN_MAX)
				return err_set(e, -EINVAL, "rule %u (line %u): a pattern of `%s.%s` has 1 to %u bytes", r->id, r->line, k->matcher, k->key, MATCH_PATTERN_MAX);
		if (k->how == MATCH_HEADER && (!m->header || !m->header[0] || strlen(m->header) > MATCH_PATTERN_MAX))
			return err_set(e, -EINVAL, "rule %u (line %u): `%s.%s`: a field's name is needed", r->id, r->line, k->matcher, k->key);
	}
	for (unsigned a = 0; a < APP_COUNT && !sees; a++)
		sees = app_among((enum app)a, r->apps, r->napps) && matcher_sees((enum app)a, first->app);
	return sees ? 0 : err_set(e, -EINVAL, "rule %u (line %u): `%s` looks into none of its apps: it would never match", r->id, r->line, first->matcher);
}

static int check_rule(const struct policy_builder *b, const struct rule_spec *r, struct err *e)
{
	int rc;

	if (!r->id || r->id > RULE_ID_MAX)
		return err_set(e, -ERANGE, "rule %u (line %u): ids of rules are 1 to %u", r->id, r->line, RULE_ID_MAX);
	if (b->id_used[r->id / 64] >> (r->id % 64) & 1)
		return err_set(e, -EEXIST, "rule %u (line %u): the id is used twice", r->id, r->line);
	if (b->rule.n == POLICY_RULES_MAX)
		return err_set(e, -E2BIG, "rule %u (line %u): more than %u rules", r->id, r->line, POLICY_RULES_MAX);
	rc = check_groups(b, r, "from", r->from, r->nfrom, e);
	if (!rc)
		rc = check_groups(b, r, "to", r->to, r->nto, e);
	if (rc)
		return rc;
	for (unsigned i = 0; i < r->nports; i++)
		if (r->ports[i].lo > r->ports[i].hi)
			return err_set(e, -EINVAL, "rule %u (line %u): ports %u-%u end before they begin", r->id, r->line, r->ports[i].lo, r->ports[i].hi);
	for (unsigned i = 0; i < r->napps; i++)
		if ((unsigned)r->apps[i] >= APP_COUNT)
			return err_set(e, -EINVAL, "rule %u (line %u): no such application", r->id, r->line);
	rc = check_match(r, e);
	if (rc)
		return rc;
	if (r->mode < RULE_MODE_NONE || r->mode > MODE_PROTECT)
		return err_set(e, -EINVAL, "rule %u (line %u): no such mode", r->id, r->line);
	switch (r->action) {
	case VERDICT_ALLOW:
	case VERDICT_ALERT:
	case VERDICT_DENY:
	case VERDICT_DROP:
		return 0;
	case VERDICT_PENDING:
		break;
	}
	return err_set(e, -EINVAL, "rule %u (line %u): no such action", r->id, r->line);
}

/* The fact that fields of that name are told by; NULL: no memory, or too many names. */
static const struct fact *header_fact(struct policy *p, const char *name)
{
	const struct fact *known = policy_header(p, (struct bytes){ (const uint8_t *)name, strlen(name) });
	struct fact *f;
	char *low;

	if (known || p->nheaders == POLICY_HEADERS_MAX)
		return known;
	f = malloc(sizeof(*f));
	low = strdup(name);
	if (!f || !low) {
		free(f);
		free(low);
		return NULL;
	}
	for (char *c = low; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c);
	*f = (struct fact){ low, FACT_HTTP_HEADER };
	p->header[p->nheaders++] = f;
	return f;
}

/* The matcher of a rule, in one piece of memory: clauses, then what patterns point to, then their text. */
static int build_match(struct policy *p, const struct rule_spec *s, struct rule *r, struct err *e)
{
	size_t npatterns = 0, text = 0;
	struct matcher_block *m;
	struct bytes *pattern;
	uint8_t *at;

	for (unsigned i = 0; i < s->nmatch; i++) {
		npatterns += s->match[i].npatterns;
		for (unsigned n = 0; n < s->match[i].npatterns; n++)
			text += strlen(s->match[i].patterns[n]);
	}
	m = malloc(sizeof(*m) + s->nmatch * sizeof(*m->clause) + npatterns * sizeof(*pattern) + text);
	if (!m)
		return err_set(e, -ENOMEM, "rule %u (line %u): out of memory", s->id, s->line);
	m->next = p->blocks;
	p->blocks = m;
	pattern = (void *)(m->clause + s->nmatch);
	at = (void *)(pattern + npatterns);
	for (unsigned i = 0; i < s->nmatch; i++) {
		const struct match_spec *from = &s->match[i];

		m->clause[i] = (struct clause){ .key = (uint16_t)from->key, .npatterns = (uint16_t)from->npatterns, .pattern = pattern };
		if (match_keys[from->key].how == MATCH_HEADER) {
			m->clause[i].header = header_fact(p, from->header);
			if (!m->clause[i].header)
				return err_set(e, -E2BIG, "rule %u (line %u): more than %u names of fields", s->id, s->line, POLICY_HEADERS_MAX);
		}
		for (unsigned n = 0; n < from->npatterns; n++) {
			size_t len = strlen(from->patterns[n]);

			*pattern++ = (struct bytes){ memcpy(at, from->patterns[n], len), len };
			at += len;
		}
	}
	r->clause = m->clause;
	r->nclauses = (uint16_t)s->nmatch;
	return 0;
}

/* A matcher without apps asks for those that it looks into; with both, for those that are in both. */
static bool asks_for_app(const struct rule_spec *s, enum app a)
{
	return (!s->napps || app_among(a, s->apps, s->napps)) && (!s->nmatch || matcher_sees(a, match_keys[s->match[0].key].app));
}

int policy_add_rule(struct policy_builder *b, const struct rule_spec *s, struct err *e)
{
	uint16_t *groups;
	struct port_range *ports;
	struct rule *r, built = { .id = s->id };
	int rc = check_rule(b, s, e);

	if (!rc && s->nmatch)
		rc = build_match(b->p, s, &built, e);
	if (rc)
		return rc;
	groups = vec_room(&b->group_no, s->nfrom + s->nto, sizeof(*groups));
	ports = s->nports ? vec_room(&b->port, s->nports, sizeof(*ports)) : NULL;
	r = vec_room(&b->rule, 1, sizeof(*r));
	if (!groups || (s->nports && !ports) || !r)
		return err_set(e, -ENOMEM, "rule %u (line %u): out of memory", s->id, s->line);

	*r = (struct rule){
		.id = s->id, .line = s->line, .action = s->action, .mode = (int8_t)s->mode, .has_apps = s->napps || s->nmatch, .clause = built.clause, .nclauses = built.nclauses,
		.from = { b->group_no.n, s->nfrom }, .to = { b->group_no.n + s->nfrom, s->nto },
		.first_port = b->port.n, .nports = s->nports,
	};
	memcpy(groups, s->from, s->nfrom * sizeof(*groups));
	memcpy(groups + s->nfrom, s->to, s->nto * sizeof(*groups));
	if (s->nports)
		memcpy(ports, s->ports, s->nports * sizeof(*ports));
	for (unsigned a = 0; a < APP_COUNT && r->has_apps; a++)
		if (asks_for_app(s, (enum app)a)) {
			r->apps.bits[a / 64] |= UINT64_C(1) << (a % 64);
			for (enum app in = (enum app)a; s->nmatch && in != APP_UNKNOWN; in = app_parent(in))
				b->p->asked.bits[in / 64] |= UINT64_C(1) << (in % 64);
		}
	b->group_no.n += s->nfrom + s->nto;
	b->port.n += s->nports;
	b->rule.n++;
	b->id_used[s->id / 64] |= UINT64_C(1) << (s->id % 64);
	return 0;
}

/* ---- compiling ---- */

static int net_cmp(const void *pa, const void *pb)
{
	const struct group_net *a = pa, *b = pb;
	int d = prefix_cmp(&a->net, &b->net);

	return d ? d : a->not != b->not ? a->not - b->not : a->group - b->group;
}

/* The prefixes that groups name, and for each the groups, by words of their bits. */
static bool build_nets(struct policy *p, struct group_net *all, uint32_t n)
{
	struct prefix *prefixes = malloc((n ? n : 1) * sizeof(*prefixes));
	uint32_t words = 0, nets = 0;

	p->net = malloc((n ? n : 1) * sizeof(*p->net));
	p->net_first = malloc((n + 1) * sizeof(*p->net_first));
	if (!prefixes || !p->net || !p->net_first) {
		free(prefixes);
		return false;
	}
	if (n)
		qsort(all, n, sizeof(*all), net_cmp);
	for (uint32_t i = 0; i < n; i++) {
		const struct group_net *g = &all[i];
		bool fresh = !i || prefix_cmp(&g->net, &all[i - 1].net) != 0;

		prefixes[i] = g->net;
		if (fresh)
			p->net_first[nets++] = words;
		if (fresh || g->not != all[i - 1].not || g->group / 64 != all[i - 1].group / 64)
			p->net[words++] = (struct net_groups){ .word = g->group / 64, .not = g->not };
		p->net[words - 1].bits |= UINT64_C(1) << (g->group % 64);
	}
	p->net_first[nets] = words;
	return prefix_map_build(&p->nets, prefixes, n);
}

static void build_keys(struct policy *p)
{
	for (unsigned w = 0; w < GROUP_WORDS; w++) {
		uint64_t by_name = p->has_fqdn.bits[w] | p->minus_fqdn.bits[w], nested = p->has_member.bits[w] | p->minus_member.bits[w];

		p->keys[w] = (struct group_keys){
			.asks = p->has_cidr.bits[w] | p->needs_workload.bits[w] | p->has_fqdn.bits[w] | p->has_member.bits[w],
			.takes = p->minus_cidr.bits[w] | p->minus_workload.bits[w] | p->minus_fqdn.bits[w] | p->minus_member.bits[w],
			.cidr = p->has_cidr.bits[w], .needs = p->needs_workload.bits[w], .minus_cidr = p->minus_cidr.bits[w], .minus = p->minus_workload.bits[w],
			.more = by_name | nested,
		};
	}
}

struct policy *policy_build(struct policy_builder *b)
{
	/* The one word in dpi/ that outlives a core: versions are compared across workers, so they are unique in the process. */
	static atomic_uint last_version;
	struct policy *p = b->p;
	bool ok;

	p->rule = b->rule.p;
	p->nrules = b->rule.n;
	p->group_no = b->group_no.p;
	p->port = b->port.p;
	for (int a = APP_UNKNOWN + 1; a < APP_COUNT; a++)
		for (enum app in = app_parent((enum app)a); in != APP_UNKNOWN; in = app_parent(in))
			p->carried[in].bits[a / 64] |= UINT64_C(1) << (a % 64);
	fqdn_sort(&p->fqdn);
	build_keys(p);
	ok = nest_build(p) && build_nets(p, b->net.p, b->net.n) && rule_index_build(p);
	free(b->net.p);
	free(b);
	if (!ok) {
		policy_free(p);
		return NULL;
	}
	p->version = atomic_fetch_add(&last_version, 1) + 1;
	atomic_init(&p->refs, 1);
	return p;
}

/* ---- references and names ---- */

struct policy *policy_ref(struct policy *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void policy_unref(struct policy *p)
{
	if (p && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
		policy_free(p);
}

unsigned policy_version(const struct policy *p) { return p->version; }
unsigned policy_group_count(const struct policy *p) { return p->ngroups; }
const char *policy_group_name(const struct policy *p, unsigned group) { return p->group_name[group]; }

const char *policy_mode_name(enum policy_mode mode)
{
	static const char *const names[] = { "discover", "monitor", "protect" };

	return names[mode];
}

unsigned policy_rule_count(const struct policy *p) { return p->nrules; }

uint32_t policy_last_id(const struct policy *p)
{
	uint32_t last = 0;

	for (uint32_t i = 0; i < p->nrules; i++)
		if (p->rule[i].id > last)
			last = p->rule[i].id;
	return last;
}

bool policy_discovers(const struct policy *p)
{
	for (unsigned g = 0; g < p->ngroups; g++)
		if (p->has_mode.bits[g / 64] >> (g % 64) & 1 && p->group_mode[g] == MODE_DISCOVER)
			return true;
	return p->default_mode == MODE_DISCOVER;
}

const struct policy_limits *policy_limits(const struct policy *p) { return &p->limits; }
void policy_set_limits(struct policy_builder *b, const struct policy_limits *l) { b->p->limits = *l; }

int policy_group_by_name(const struct policy *p, const char *name)
{
	for (unsigned g = 0; g < p->ngroups; g++)
		if (strcmp(p->group_name[g], name) == 0)
			return (int)g;
	return -1;
}
