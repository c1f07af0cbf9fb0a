/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tapqd answers about policies: load (for good, or until nobody confirms), show, and what it would say of a connection and why. */
#include "agent/answer_parts.h"
#include "agent/learn_parts.h"
#include "agent/policy_parts.h"

#include <fnmatch.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "agent/reconcile.h"

#define RULES_TOLD 1000u	/* of `policy test` */
#define FACTS_MAX 32u

int answer_policy_load(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	const char *text = arg_str(r, "text"), *name = arg_str(r, "name");
	int64_t seconds = arg_int(r, "confirm", 0);
	struct policy_file *pf;

	if (!text)
		return bad_arg(err, "text", "a policy");
	if (seconds < 0 || seconds > CONFIRM_MAX)
		return err_set(err, -ERANGE, "confirm: 1 to %d seconds", CONFIRM_MAX);
	pf = policy_file_parse(text, name ? name : "policy", err);
	if (!pf)
		return -EINVAL;
	if (policy_file_allowed(pf, n->config, name ? name : "policy", err)) {
		policy_file_free(pf);
		return -EINVAL;
	}
	if (seconds)
		node_try_policy(n, pf, name, (unsigned)seconds);
	else
		node_set_policy(n, pf, name);
	jb_obj(out, NULL);
	jb_u64(out, "rules", policy_rule_count(policy_file_policy(pf)));
	jb_u64(out, "version", policy_version(policy_file_policy(pf)));
	if (seconds)
		jb_u64(out, "confirm_within", (uint64_t)seconds);
	jb_end_obj(out);
	return 0;
}

int answer_policy_confirm(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	(void)r;
	if (!node_confirm_policy(n))
		return err_set(err, -ENOENT, "no policy waits to be confirmed");
	jb_obj(out, NULL);
	jb_str(out, "name", n->policy_name);
	jb_end_obj(out);
	return 0;
}

int answer_policy_show(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	(void)r;
	if (!n->policy)
		return err_set(err, -ENOENT, "no policy is loaded");
	jb_obj(out, NULL);
	jb_str(out, "name", n->policy_name);
	jb_str(out, "text", policy_file_text(n->policy));
	jb_end_obj(out);
	return 0;
}

/* ---- policy learned ---- */

/* A workload that the glob holds but whose own form is another: one more than those that were seen. */
static bool strangers(void *ctx, const char *glob)
{
	const struct node *n = ctx;
	char form[CONFIG_NAME_MAX];

	for (const struct workload *w = n->reg.first; w; w = w->next)
		if (!fnmatch(glob, w->name, 0) && !(learn_numbered(w->name, form, sizeof form) && !strcmp(form, glob)))
			return true;
	return false;
}

/* Flows that are open have told nothing yet, unless their application was recognised. */
static int learn_open_flows(struct node *n, struct err *err)
{
	struct dpi_flow_info *list = malloc(n->config->max_flows * sizeof *list);

	if (!list)
		return err_set(err, -ENOMEM, "no memory");
	learn_open_begin(n->learn);
	for (unsigned w = 0; w < n->nworkers; w++) {
		unsigned count = worker_flows(n->workers[w], list, n->config->max_flows);

		for (unsigned i = 0; i < count; i++)
			learn_open(n->learn, &list[i]);
	}
	free(list);
	return 0;
}

int answer_policy_learned(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	const char *mode = arg_str(r, "mode");
	struct learn_writing w = {
		.mode = MODE_PROTECT,
		.in_force = n->policy ? policy_file_policy(n->policy) : NULL,
		.node = n->config->node,
		.strangers = strangers,
		.ctx = n,
	};
	struct learn_stats s;
	char *text = NULL;
	size_t size = 0;
	FILE *f;
	int rc;

	for (int m = 0; mode; m++) {
		if (!policy_modes[m])
			return err_set(err, -EINVAL, "mode %s: discover, monitor or protect", mode);
		if (strcmp(mode, policy_modes[m]))
			continue;
		w.mode = (enum policy_mode)m;
		break;
	}
	rc = learn_open_flows(n, err);
	if (rc)
		return rc;
	learn_get_stats(n->learn, &s);
	if (!s.pairs)
		return err_set(err, -ENOENT, "nothing was learned: %s",
			       n->event_mask >> EV_LEARN & 1 ? "nothing was carried on that no rule of the policy speaks of" : "no policy in mode discover is loaded");
	f = open_memstream(&text, &size);
	rc = f ? learn_write(n->learn, &w, f) : -ENOMEM;
	if (f && fclose(f))
		rc = -ENOMEM;
	if (!rc) {
		jb_obj(out, NULL);
		jb_strn(out, "text", text, size);
		jb_u64(out, "pairs", s.pairs);
		jb_u64(out, "connections", s.connections);
		jb_u64(out, "left_out", s.left_out);
		jb_end_obj(out);
	}
	free(text);
	return rc ? err_set(err, rc, "no memory") : 0;
}

/* ---- policy test ---- */

/* An end of the connection that is asked about. */
struct test_end {
	const struct workload *w;		/* NULL: not local */
	struct addr addr;
	bool by_workload;			/* it was given by the workload's name, */
	char name[FQDN_NAME_MAX + 1];		/* ... or by this DNS name; "" */
	struct group_set groups, sure;
};

/* Who has the address, as for a packet of it; NULL: none of this node's. */
static const struct workload *who_has(const struct node *n, const struct addr *a)
{
	if (addr_is_linklocal(a))	/* not unique on a node (world.h) */
		return NULL;
	for (const struct workload *w = n->reg.first; w; w = w->next)
		for (unsigned i = 0; i < w->nlinks; i++)
			for (unsigned k = 0; k < w->links[i].end.naddrs; k++)
				if (addr_eq(&w->links[i].end.addrs[k], a))
					return w;
	return NULL;
}

/* text: a workload's name, an address, or, where `asker` is there, a DNS name: with the address that the asker learned for it, or none. */
static int find_end(struct node *n, const char *text, const struct test_end *asker, struct test_end *e, struct err *err)
{
	struct bytes given = { (const uint8_t *)text, text ? strlen(text) : 0 };
	size_t len;

	memset(e, 0, sizeof *e);
	e->w = text ? registry_find(&n->reg, text) : NULL;
	if (e->w) {
		e->addr = e->w->links[0].end.addrs[0];
		e->by_workload = true;
		return 0;
	}
	if (!text)
		return err_set(err, -EINVAL, "--from and --to are needed");
	if (!addr_parse(text, &e->addr)) {
		e->w = who_has(n, &e->addr);
		return 0;
	}
	len = asker && strspn(text, "0123456789.") < given.n ? fqdn_name(given, e->name) : 0;	/* digits alone are an address gone wrong */
	if (!len)
		return err_set(err, -EINVAL, asker ? "%s: neither a workload, an address nor a DNS name" : "%s: neither a workload nor an address", text);
	if (asker->w && fqdn_cache_find(n->fqdn, asker->w->id, (struct bytes){ (const uint8_t *)e->name, len }, node_now(), &e->addr))
		e->w = who_has(n, &e->addr);
	return 0;
}

/* No connection has an end of each family: of a workload that was given by its name the first address of the peer's family, where it has one. */
static void match_family(struct test_end *e, const struct test_end *peer)
{
	const struct workload *w = e->by_workload && !addr_is_zero(&peer->addr) && addr_is_v4(&e->addr) != addr_is_v4(&peer->addr) ? e->w : NULL;

	for (unsigned i = 0; w && i < w->nlinks; i++)
		for (unsigned k = 0; k < w->links[i].end.naddrs; k++) {
			const struct addr *a = &w->links[i].end.addrs[k];

			if (addr_is_v4(a) != addr_is_v4(&peer->addr) || addr_is_linklocal(a))
				continue;
			e->addr = *a;
			return;
		}
}

struct end_names {
	const struct policy *p;
	struct policy_names names;
};

static void add_name(void *ctx, struct bytes name)
{
	struct end_names *x = ctx;

	policy_name_of_addr(x->p, &x->names, name);
}

/* Its groups. q: app and facts of the connection for the responder, whose name they show; NULL: the initiator. True: they hang on a name that was lost. */
static bool test_groups(struct node *n, struct test_end *e, const struct test_end *peer, const struct policy_query *q)
{
	struct end_names x = { .p = policy_file_policy(n->policy) };
	struct group_set own = { { 0 } };

	if (e->w)
		workload_groups(e->w, n->policy, &own);
	if (peer->w)
		fqdn_cache_each(n->fqdn, peer->w->id, &e->addr, node_now(), add_name, &x);
	if (e->name[0])
		add_name(&x, (struct bytes){ (const uint8_t *)e->name, strlen(e->name) });
	if (q)
		policy_name_of_flow(x.p, &x.names, q->app_known, q->app, q->facts);
	if (x.names.shown == SHOWN_LATER && e->name[0])
		x.names.shown = SHOWN_NONE;	/* what it will show is what it was given by */
	policy_groups_named(x.p, &e->addr, e->w ? &own : NULL, &x.names, &e->groups, &e->sure);
	return x.names.shown == SHOWN_LOST;
}

/* "MATCHER.KEY=VALUE", "http.headers.NAME=VALUE" as a fact of the record. The fact lives in `kept`. */
static int put_fact(const struct policy *p, struct record *rec, struct fact *kept, const char *text, enum app *app, struct err *err)
{
	const char *value = text ? strchr(text, '=') : NULL, *dot = text ? strchr(text, '.') : NULL;
	char matcher[32];

	if (!value || !dot || dot > value || (size_t)(dot - text) >= sizeof matcher)
		return err_set(err, -EINVAL, "%s: MATCHER.KEY=VALUE is needed, as in http.methods=GET", text ? text : "?");
	memcpy(matcher, text, (size_t)(dot - text));
	matcher[dot - text] = '\0';
	for (int i = match_by_name(matcher); i >= 0 && match_keys[i].matcher && !strcmp(match_keys[i].matcher, matcher); i++) {
		const struct match_key *k = &match_keys[i];
		size_t n = strlen(k->key);
		const struct fact *f = kept;

		if (strncmp(dot + 1, k->key, n) || dot[1 + n] != (k->how == MATCH_HEADER ? '.' : '='))
			continue;
		if (k->how == MATCH_HEADER)
			f = policy_header(p, (struct bytes){ (const uint8_t *)dot + 2 + n, (size_t)(value - (dot + 2 + n)) });
		else
			*kept = (struct fact){ k->key, (enum fact_role)__builtin_ctz(k->roles) };
		if (f)		/* else no rule asks for that field */
			rec_cstr(rec, f, value + 1);
		if (*app == APP_UNKNOWN)
			*app = k->app;
		return 0;
	}
	return err_set(err, -EINVAL, "%s: no such matcher or key", text);
}

static int put_facts(const struct policy *p, const json_t *list, struct record *rec, struct fact *kept, enum app *app, struct err *err)
{
	size_t i;
	json_t *v;

	if (json_array_size(list) > FACTS_MAX)
		return err_set(err, -E2BIG, "more than %u facts", FACTS_MAX);
	json_array_foreach(list, i, v) {
		int rc = put_fact(p, rec, &kept[i], json_string_value(v), app, err);

		if (rc)
			return rc;
	}
	return 0;
}

struct telling {
	struct jbuf *out;
	unsigned told, all;
};

static void tell_rule(void *ctx, uint32_t rule, unsigned line, enum policy_why w)
{
	struct telling *t = ctx;

	if (t->all++ >= RULES_TOLD && w != WHY_MATCH)
		return;
	t->told++;
	jb_obj(t->out, NULL);
	jb_u64(t->out, "rule", rule);
	jb_u64(t->out, "line", line);
	jb_str(t->out, "why", policy_why_text(w));
	jb_end_obj(t->out);
}

static bool asks_images(const struct policy_file *pf)
{
	bool asks = false;

	for (unsigned i = 0; i < pf->n && !asks; i++)
		asks = pf->m[i].is.image.n || pf->m[i].not.image.n;
	return asks;
}

/* Groups that the end is in (sure), or may be in once its names are known. */
static void put_groups(struct jbuf *out, const char *key, const struct policy_file *pf, const struct test_end *e, bool sure)
{
	jb_arr(out, key);
	for (unsigned i = 0; i < pf->named; i++) {
		unsigned g = pf->m[i].group;

		if (set_has(&e->groups, g) && set_has(&e->sure, g) == sure)
			jb_str(out, NULL, pf->m[i].name);
	}
	jb_end_arr(out);
}

static void put_ends(struct jbuf *out, const struct policy_file *pf, const struct test_end ends[2])
{
	static const char *const groups[] = { "from_groups", "to_groups" }, *const perhaps[] = { "from_groups_perhaps", "to_groups_perhaps" },
		*const images[] = { "from_image", "to_image" };

	for (int i = 0; i < 2; i++) {
		if (ends[i].w && asks_images(pf))
			jb_str(out, images[i], ends[i].w->image ? ends[i].w->image : "not known");
		put_groups(out, groups[i], pf, &ends[i], true);
		if (policy_asks_names(pf->policy))
			put_groups(out, perhaps[i], pf, &ends[i], false);
	}
}

/* No rule is asked about them (judge.c); what a workload says to itself goes on. */
static bool in_quarantine(const struct test_end ends[2])
{
	return ends[0].w != ends[1].w && ((ends[0].w && ends[0].w->quarantined) || (ends[1].w && ends[1].w->quarantined));
}

static void put_answer(struct jbuf *out, const struct policy_file *pf, const struct policy_query *q, const struct test_end ends[2])
{
	const struct policy *p = pf->policy;
	bool cut_off = in_quarantine(ends);
	struct policy_answer a = cut_off ? (struct policy_answer){ .verdict = VERDICT_DROP, .reason = REASON_QUARANTINE, .enforce = true } : policy_judge(p, q);
	struct telling t = { .out = out };

	jb_obj(out, NULL);
	jb_str(out, "verdict", verdict_name(a.verdict));
	jb_bool(out, "enforced", a.enforce && verdict_stops(a.verdict));
	jb_u64(out, "rule", a.rule);
	jb_str(out, "reason", reason_name(a.reason));
	jb_str(out, "mode", policy_mode_name(q->mode));
	put_ends(out, pf, ends);
	jb_arr(out, "rules");
	if (!cut_off)
		policy_explain(p, q, tell_rule, &t);
	jb_end_arr(out);
	if (t.told < t.all)
		jb_u64(out, "rules_left_out", t.all - t.told);
	jb_end_obj(out);
}

static bool is_echo(uint8_t ipproto) { return ipproto == IPPROTO_ICMP || ipproto == IPPROTO_ICMPV6; }

/* One port, or echoes, which have none. */
static int test_port(const char *text, struct port_range *out)
{
	int rc = policy_parse_ports(text, out);

	if (!rc && is_echo(out->ipproto))
		out->hi = 0;
	return rc || out->lo != out->hi ? -EINVAL : 0;
}

int answer_policy_test(struct node *n, const struct control_request *r, struct jbuf *out, struct err *err)
{
	const char *port = arg_str(r, "port"), *app = arg_str(r, "app");
	const json_t *list = json_object_get(r->args, "facts");
	struct test_end ends[2];
	struct fact kept[FACTS_MAX];
	struct facts facts = { 0 };
	struct policy_query q = { .from = &ends[0].groups, .to = &ends[1].groups, .from_sure = &ends[0].sure, .to_sure = &ends[1].sure, .mode = MODE_DISCOVER };
	const struct group_set nobody = { { 0 } };
	struct port_range p = { 6, 0, 0 };
	struct record *rec;
	int rc;

	if (!n->policy)
		return err_set(err, -ENOENT, "no policy is loaded");
	if (find_end(n, arg_str(r, "from"), NULL, &ends[0], err) || find_end(n, arg_str(r, "to"), &ends[0], &ends[1], err))
		return -EINVAL;
	match_family(&ends[0], &ends[1]);
	match_family(&ends[1], &ends[0]);
	if (!port || test_port(port, &p))
		return err_set(err, -EINVAL, "port %s: tcp/PORT, udp/PORT, sctp/PORT, icmp or icmp6 is needed", port ? port : "?");
	if (app && app_by_name(app) < 0)
		return err_set(err, -EINVAL, "app %s: not known", app);
	rec = calloc(1, sizeof *rec);
	if (!rec)
		return err_set(err, -ENOMEM, "no memory");
	q.ipproto = p.ipproto;
	q.port = p.lo;
	q.app = app ? (enum app)app_by_name(app) : APP_UNKNOWN;
	rc = put_facts(policy_file_policy(n->policy), list, rec, kept, &q.app, err);
	q.app_known = app || q.app != APP_UNKNOWN || is_echo(p.ipproto);	/* in an echo there is none to be found */
	q.app_open = q.app_known && !json_array_size(list);	/* its requests may turn out to be of what is carried in it */
	facts.body = rec->body;
	facts.len = rec->len;
	if (json_array_size(list))
		q.facts = &facts;
	test_groups(n, &ends[0], &ends[1], NULL);
	q.names_lost = test_groups(n, &ends[1], &ends[0], &q);
	for (int i = 0; i < 2; i++) {
		enum policy_mode m = policy_mode_of(policy_file_policy(n->policy), &ends[i].groups);

		if (ends[i].w && m > q.mode)
			q.mode = m;
	}
	if (!ends[0].w && !ends[1].w)	/* judged by the default, as judge.c does */
		q.mode = policy_mode_of(policy_file_policy(n->policy), &nobody);
	if (!rc)
		put_answer(out, n->policy, &q, ends);
	free(rec);
	return rc;
}
