/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The public functions of nfq/rules.h: read what is there, choose back end and table, plan, restore, read back.
 *
 * Both back ends are read each time, as far as the netns has tables of theirs (a dump of nf_tables and /proc tell, and create
 * nothing): ours may stand in the one that is not chosen any more. New rules are in place before old ones go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/netns.h"
#include "nfq/ipt.h"

struct scene {				/* what a netns has */
	struct ipt_look look;
	struct ipt_dump dump[IPT_BACKENDS][IPT_FAMILIES];
	bool redirects[IPT_FAMILIES];
	bool acct, acct_known, acct_ours;	/* conntrack counts in it; because rules of ours that stand there switched that on */
	uint64_t generation;		/* from before the tables were read: a change since then shows */
};

static void scene_free(struct scene *s)
{
	for (int b = 0; b < IPT_BACKENDS; b++)
		for (int f = 0; f < IPT_FAMILIES; f++)
			ipt_dump_free(&s->dump[b][f]);
}

/* A rule of the legacy nat table that changes a destination. (nf_tables' own are found by the look.) */
static bool legacy_redirects(const struct ipt_dump *d)
{
	const struct ipt_line *l;
	char target[32];
	size_t at = 0;

	while ((l = ipt_next(d, &at, IPT_RULE, "nat", NULL)))
		if (ipt_option(l->spec, "-j", target, sizeof target) && (!strcmp(target, "REDIRECT") || !strcmp(target, "DNAT")))
			return true;
	return false;
}

/* A rule of ours says that counting was switched on for it. */
static bool acct_noted(const struct ipt_dump *d)
{
	const struct ipt_line *l;
	char comment[32];
	size_t at = 0;

	while ((l = ipt_next(d, &at, IPT_RULE, NULL, NULL)))
		if (ipt_own_chain(l->chain) && ipt_option(l->spec, "--comment", comment, sizeof comment) && !strcmp(comment, ACCT_COMMENT))
			return true;
	return false;
}

/* One rule of nft's own under a name of iptables makes the program refuse to show anything: ask for each table then, and note the
 * one that it does not understand as the parser knows it. */
static int save_each(enum ipt_backend b, enum ipt_family f, char **text, struct err *err)
{
	static const char *const tables[] = { "filter", "security", "mangle", "nat", "raw" };
	unsigned bad = 0;
	size_t n = 0;
	FILE *out = open_memstream(text, &n);

	for (size_t i = 0; out && i < sizeof tables / sizeof tables[0]; i++) {
		struct err why = { "" };
		char *one = NULL;

		if (ipt_save(b, f, tables[i], &one, &why)) {
			fprintf(out, "# Table `%s' is not understood\n", tables[i]);
			bad++;
		} else {
			fputs(one, out);
		}
		free(one);
	}
	if (!out || fclose(out))
		return err_set(err, -ENOMEM, "rules: no memory");
	return bad < sizeof tables / sizeof tables[0] ? 0 : -EIO;
}

static int read_dump(struct scene *s, enum ipt_backend b, enum ipt_family f, struct err *err)
{
	char *text = NULL;
	struct err why = { "" };	/* of no interest where another way is found */
	int rc = ipt_save(b, f, NULL, &text, &why);

	if (rc == -EIO && b == IPT_NFT) {
		rc = save_each(b, f, &text, &why);
		if (rc)
			free(text);
	}
	if (rc == -ENOENT)	/* its program is not here, so nothing of ours is there */
		return 0;
	return rc ? err_set(err, rc, "%s", why.text) : ipt_parse(text, &s->dump[b - 1][f], err);
}

static int scene_read(struct scene *s, struct err *err)
{
	int rc;

	memset(s, 0, sizeof *s);
	rc = ipt_generation(&s->generation, err);
	if (!rc)
		rc = ipt_look(&s->look, err);
	for (int f = 0; f < IPT_FAMILIES && !rc; f++) {
		if (s->look.nft_tables[f])
			rc = read_dump(s, IPT_NFT, (enum ipt_family)f, err);
		if (!rc && s->look.legacy_tables[f])
			rc = read_dump(s, IPT_LEGACY, (enum ipt_family)f, err);
		s->redirects[f] = s->look.nft_redirects[f] || legacy_redirects(&s->dump[IPT_LEGACY - 1][f]);
	}
	for (int b = 0; b < IPT_BACKENDS && !rc; b++)
		for (int f = 0; f < IPT_FAMILIES; f++)
			s->acct_ours |= acct_noted(&s->dump[b][f]);
	s->acct_known = !acct_read(&s->acct);
	if (rc)
		scene_free(s);
	return rc;
}

/* ---- choosing ---- */

static enum ipt_backend choose_backend(const struct scene *s, const struct ipt_features *k, enum ipt_backend wanted)
{
	if (wanted != IPT_AUTO)
		return wanted;
	if (!k->nft || !s->look.nft_here)
		return IPT_LEGACY;
	return k->legacy && (s->look.legacy_tables[IPT_V4] || s->look.legacy_tables[IPT_V6]) ? IPT_LEGACY : IPT_NFT;
}

/* Does the netns filter INPUT or OUTPUT itself, by rules or a policy? */
static bool own_firewall(const struct ipt_dump *d)
{
	static const char *const hooks[] = { "INPUT", "OUTPUT" };
	const struct ipt_line *l;
	size_t at = 0;

	if (ipt_next(d, &at, IPT_FOREIGN, "filter", NULL))
		return true;
	for (size_t i = 0; i < 2; i++) {
		l = ipt_chain(d, "filter", hooks[i]);
		if (l && strcmp(l->spec, "ACCEPT"))
			return true;
		for (at = 0; (l = ipt_next(d, &at, IPT_RULE, "filter", hooks[i])); )
			if (!ipt_jumps_to_own(l))
				return true;
	}
	return false;
}

static enum ipt_table choose_table(const struct ipt_features *k, enum ipt_backend b, enum ipt_table wanted, bool own)
{
	if (wanted != IPT_TABLE_AUTO)
		return wanted;
	if (!own)
		return IPT_TABLE_FILTER;
	return k->security[b - 1] ? IPT_TABLE_SECURITY : IPT_TABLE_MANGLE;
}

static void choose(const struct scene *s, const struct ipt_features *k, const struct rules_want *want, struct rules_state *st)
{
	memset(st, 0, sizeof *st);
	st->generation = s->generation;
	st->backend = choose_backend(s, k, want->backend);
	st->own_firewall = st->backend == IPT_NFT && s->look.nft_odd_filter;
	for (int f = 0; f < IPT_FAMILIES; f++) {
		st->own_firewall |= own_firewall(&s->dump[st->backend - 1][f]);
		st->nat_redirect |= s->redirects[f];
	}
	st->offload = want->offload && k->connmark[st->backend - 1] && want->mark & want->mask && s->acct_known;
	st->table = choose_table(k, st->backend, want->table, st->own_firewall);
}

/* ---- planning ---- */

struct work {				/* one call of ensure, check, counts or remove */
	const struct rules_want *want;
	const struct ipt_features *features;
	struct rules_state *state;
	struct rules_counts *counts;
	unsigned *changes;
	unsigned found;
};

/* What `have` lacks to be as wanted in the chosen back end, or what of ours is to go from the other one. *text is malloc'd. */
static int plan(const struct work *w, const struct scene *s, enum ipt_backend b, enum ipt_family f, char **text, struct rules_diff *diff, struct err *err)
{
	struct rules_state *st = w->state;
	struct ipt_shape shape = { .family = f };
	struct ipt_dump want = { 0 };
	bool chosen = st && b == st->backend && (f == IPT_V4 || s->look.ipv6);
	size_t n = 0;
	FILE *out;
	int rc = 0;

	*text = NULL;
	if (chosen) {
		char *wanted;

		shape.table = st->table;
		shape.offload = st->offload;
		shape.acct_ours = s->acct_ours || !s->acct;
		shape.redirects = s->redirects[f] && w->features->conntrack[b - 1];
		shape.whole_fragments = w->features->socket[b - 1];
		wanted = rules_text(w->want, &shape);
		rc = wanted ? ipt_parse(wanted, &want, err) : err_set(err, -ENOMEM, "rules: no memory");
	}
	out = rc ? NULL : open_memstream(text, &n);
	if (out) {
		rules_plan(chosen ? &want : NULL, ipt_table_name(shape.table), &s->dump[b - 1][f], out, diff);
		if (fclose(out))
			rc = -ENOMEM;
	} else if (!rc) {
		rc = err_set(err, -ENOMEM, "rules: no memory");
	}
	ipt_dump_free(&want);
	if (rc) {
		free(*text);
		*text = NULL;
	}
	return rc;
}

/* Calls fn with each plan: the chosen back end first, so that the new is there before the old goes. */
typedef int (*plan_fn)(struct work *, enum ipt_backend, enum ipt_family, const char *text, const struct rules_diff *, struct err *);

static int each_plan(struct work *w, const struct scene *s, plan_fn fn, struct err *err)
{
	enum ipt_backend first = w->state ? w->state->backend : IPT_NFT, order[] = { first, first == IPT_NFT ? IPT_LEGACY : IPT_NFT };
	int rc = 0;

	for (int i = 0; i < IPT_BACKENDS && !rc; i++) {
		for (int f = 0; f < IPT_FAMILIES && !rc; f++) {
			struct rules_diff diff;
			char *text;

			rc = plan(w, s, order[i], (enum ipt_family)f, &text, &diff, err);
			if (!rc && diff.changes)
				rc = fn(w, order[i], (enum ipt_family)f, text, &diff, err);
			free(text);
		}
	}
	return rc;
}

static int plan_restore(struct work *w, enum ipt_backend b, enum ipt_family f, const char *text, const struct rules_diff *diff, struct err *err)
{
	int rc = ipt_restore(b, f, text, err);

	if (!rc && w->changes)
		*w->changes += diff->changes;
	w->found += diff->changes;
	return rc;
}

static int plan_tell(struct work *w, enum ipt_backend b, enum ipt_family f, const char *text, const struct rules_diff *diff, struct err *err)
{
	(void)text;
	(void)err;
	if (!w->state->differs[0])
		snprintf(w->state->differs, sizeof w->state->differs, "%s %s %.120s", ipt_backend_name(b), f == IPT_V6 ? "IPv6" : "IPv4", diff->differs);
	return 0;
}

/* ---- the jobs, in the netns ---- */

static void add_counts(const struct ipt_dump *d, enum ipt_table table, struct rules_counts *out)
{
	const struct ipt_line *l;
	char target[32];
	size_t at = 0;

	while ((l = ipt_next(d, &at, IPT_RULE, ipt_table_name(table), NULL))) {
		if (!ipt_own_chain(l->chain) || !ipt_option(l->spec, "-j", target, sizeof target) || strcmp(target, "NFQUEUE"))
			continue;
		out->queued_packets += l->packets;
		out->queued_bytes += l->bytes;
	}
}

static int check_scene(struct work *w, const struct scene *s, struct err *err)
{
	int rc;

	choose(s, w->features, w->want, w->state);
	rc = each_plan(w, s, plan_tell, err);
	if (!rc && w->state->offload && !s->acct && !w->state->differs[0])
		snprintf(w->state->differs, sizeof w->state->differs, "conntrack does not count");
	w->state->complete = !rc && !w->state->differs[0];
	for (int f = 0; f < IPT_FAMILIES; f++)
		add_counts(&s->dump[w->state->backend - 1][f], w->state->table, &w->state->counts);
	return rc;
}

static int check(void *ctx, struct err *err)
{
	struct work *w = ctx;
	struct scene s;
	int rc = scene_read(&s, err);

	if (rc)
		return rc;
	rc = check_scene(w, &s, err);
	scene_free(&s);
	return rc;
}

static int ensure(void *ctx, struct err *err)
{
	struct work *w = ctx;
	struct scene s;
	int rc = scene_read(&s, err);

	if (rc)
		return rc;
	rc = check_scene(w, &s, err);
	if (rc || w->state->complete) {
		scene_free(&s);
		return rc;
	}
	/* Entries are counted from their beginning on only if they begin when counting is on. */
	rc = w->state->offload && !s.acct ? acct_write(true, err) : 0;
	if (!rc)
		rc = each_plan(w, &s, plan_restore, err);
	if (!rc && !w->state->offload && s.acct_ours)
		rc = acct_write(false, err);
	scene_free(&s);
	return rc ? rc : check(w, err);
}

static int counts(void *ctx, struct err *err)
{
	struct work *w = ctx;
	int rc = 0;

	for (int f = 0; f < IPT_FAMILIES && !rc; f++) {
		struct scene s = { 0 };

		rc = ipt_look(&s.look, err);
		if (!rc && (w->state->backend == IPT_LEGACY ? s.look.legacy_tables[f] : s.look.nft_tables[f]))
			rc = read_dump(&s, w->state->backend, (enum ipt_family)f, err);
		if (!rc)
			add_counts(&s.dump[w->state->backend - 1][f], w->state->table, w->counts);
		scene_free(&s);
	}
	return rc;
}

/* Tables of nf_tables that ours may have stood in, as far as they hold nothing now. */
static int drop_tables(void *ctx, struct err *err)
{
	(void)ctx;
	return nft_drop_empty(err);
}

/* Ours may stand in legacy tables too, which go by the program only. */
static int drop_own(void *ctx, struct err *err)
{
	const bool *drop = ctx;
	char names[1024];
	bool acct;
	int rc = ipt_legacy_names(IPT_V4, names, sizeof names) || ipt_legacy_names(IPT_V6, names, sizeof names) ? 0 : nft_drop_own(*drop, &acct, err);

	if (rc > 0 && *drop && acct && acct_write(false, err))
		return -EIO;
	return rc;
}

static int left(void *ctx, struct err *err)
{
	char names[1024];

	(void)ctx;
	return ipt_legacy_names(IPT_V4, names, sizeof names) || ipt_legacy_names(IPT_V6, names, sizeof names) ? 1 : nft_has_own(err);
}

static int remove_all(void *ctx, struct err *err)
{
	struct work *w = ctx;
	struct scene s;
	int rc = scene_read(&s, err);

	if (rc)
		return rc;
	rc = each_plan(w, &s, plan_restore, err);
	if (!rc && s.acct_ours)
		rc = acct_write(false, err);
	scene_free(&s);
	return rc;
}

/* ---- conntrack alone: the step before rules, and the first of removing them ---- */

/* A chain of ours that nothing jumps to, whose only rule needs conntrack: from and to which the restore leads. */
static int keep_tracking(struct work *w, const struct scene *s, enum ipt_backend b, enum ipt_family f, const char *table, bool acct_ours, struct err *err)
{
	struct rules_diff diff = { 0 };
	struct ipt_dump want = { 0 };
	char *text = NULL, *rest = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	int rc = out ? 0 : err_set(err, -ENOMEM, "rules: no memory");

	if (!rc && table) {
		if (asprintf(&rest, "*%s\n:%s - [0:0]\n-A %s -m connmark --mark 0x1/0x1%s -j RETURN\nCOMMIT\n", table, CHAIN_IN, CHAIN_IN,
			     acct_ours ? " -m comment --comment " ACCT_COMMENT : "") < 0)
			rc = err_set(err, -ENOMEM, "rules: no memory");
		else
			rc = ipt_parse(rest, &want, err);
	}
	if (!rc)
		rules_plan(table ? &want : NULL, table ? table : "filter", &s->dump[b - 1][f], out, &diff);
	if (out)
		fclose(out);
	if (!rc && diff.changes)
		rc = plan_restore(w, b, f, text, &diff, err);
	ipt_dump_free(&want);
	free(text);
	return rc;
}

/* The table in which a rule of ours keeps conntrack on, or NULL. */
static const char *tracking_table(const struct ipt_dump *d)
{
	const struct ipt_line *l;
	size_t at = 0;

	while ((l = ipt_next(d, &at, IPT_RULE, NULL, NULL)))
		if (ipt_own_chain(l->chain) && strstr(l->spec, "-m connmark "))
			return l->table;
	return NULL;
}

/* Of a run before: they may be what stops packets now, and must not go for a pause. */
static bool chains_stand(const struct scene *s)
{
	const struct ipt_line *l;

	for (int b = 0; b < IPT_BACKENDS; b++)
		for (int f = 0; f < IPT_FAMILIES; f++)
			for (size_t at = 0; (l = ipt_next(&s->dump[b][f], &at, IPT_CHAIN, NULL, NULL)); )
				if (ipt_own_chain(l->chain))
					return true;
	return false;
}

static int track(void *ctx, struct err *err)
{
	struct work *w = ctx;
	struct scene s;
	int rc = acct_connections() ? scene_read(&s, err) : -EALREADY;

	if (rc)
		return rc == -EALREADY ? 0 : rc;
	choose(&s, w->features, w->want, w->state);
	if (w->state->offload && !chains_stand(&s)) {
		if (!s.acct)
			rc = acct_write(true, err);
		for (int f = 0; f < IPT_FAMILIES && !rc; f++)
			if (f == IPT_V4 || s.look.ipv6)
				rc = keep_tracking(w, &s, w->state->backend, (enum ipt_family)f, ipt_table_name(w->state->table), !s.acct, err);
	}
	scene_free(&s);
	return rc;
}

static int unhook(void *ctx, struct err *err)
{
	struct work *w = ctx;
	struct scene s;
	int rc = scene_read(&s, err);
	bool keep;

	if (rc)
		return rc;
	keep = conntrack_knows_any();	/* else nothing can wait */
	for (int b = 0; b < IPT_BACKENDS && !rc; b++)
		for (int f = 0; f < IPT_FAMILIES && !rc; f++)
			rc = keep_tracking(w, &s, (enum ipt_backend)(b + 1), (enum ipt_family)f, keep ? tracking_table(&s.dump[b][f]) : NULL, s.acct_ours, err);
	if (!rc && !keep && s.acct_ours)
		rc = acct_write(false, err);
	scene_free(&s);
	return rc;
}

/* ---- public ---- */

static int prepare(struct work *w, struct err *err)
{
	const struct app_ports *a = &w->want->apps;

	memset(w->state, 0, sizeof *w->state);
	if (!rules_interface_ok(w->want->interface))
		return err_set(err, -EINVAL, "interface \"%.15s\": a name that no rule can carry", w->want->interface);
	if (a->n > APP_PORTS_MAX || (!w->want->quarantine && a->n == 0 && !a->all))
		return err_set(err, -EINVAL, "rules for %s: no app ports", w->want->interface);
	return ipt_features(&w->features, err);
}

int rules_ensure(int nsfd, const struct rules_want *want, struct rules_state *st, unsigned *changes, struct err *err)
{
	struct work w = { .want = want, .state = st, .changes = changes };
	int rc = prepare(&w, err);

	if (changes)
		*changes = 0;
	return rc ? rc : netns_run(nsfd, ensure, &w, err);
}

int rules_check(int nsfd, const struct rules_want *want, struct rules_state *st, struct err *err)
{
	struct work w = { .want = want, .state = st };
	int rc = prepare(&w, err);

	return rc ? rc : netns_run(nsfd, check, &w, err);
}

int rules_counts(int nsfd, const struct rules_state *st, struct rules_counts *out, struct err *err)
{
	struct rules_state chosen = *st;
	struct work w = { .state = &chosen, .counts = out };

	memset(out, 0, sizeof *out);
	return chosen.backend == IPT_AUTO ? 0 : netns_run(nsfd, counts, &w, err);
}

int rules_remove(int nsfd, struct err *err)
{
	struct work w = { 0 };
	int rc = netns_run(nsfd, remove_all, &w, err);

	return rc ? rc : (int)w.found;
}

int rules_track(int nsfd, const struct rules_want *want, struct err *err)
{
	struct rules_state st;
	struct work w = { .want = want, .state = &st };
	int rc = want->offload ? prepare(&w, err) : -EALREADY;

	if (rc)
		return rc == -EALREADY ? 0 : rc;
	rc = netns_run(nsfd, track, &w, err);
	return rc ? rc : (int)w.found;
}

int rules_unhook(int nsfd, struct err *err)
{
	struct work w = { 0 };
	int rc = netns_run(nsfd, unhook, &w, err);

	return rc ? rc : (int)w.found;
}

int rules_left(int nsfd, struct err *err) { return netns_run(nsfd, left, NULL, err); }

int rules_alone(int nsfd, struct err *err)
{
	bool drop = false;

	return netns_run(nsfd, drop_own, &drop, err);
}

int rules_drop_own(int nsfd, struct err *err)
{
	bool drop = true;

	return netns_run(nsfd, drop_own, &drop, err);
}

int rules_drop_tables(int nsfd, struct err *err)
{
	return netns_run(nsfd, drop_tables, NULL, err);
}
