/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/match.h"

const struct match_key match_keys[] = {
#define R(role) ROLE_BIT(FACT_##role)
#define M(matcher, app, key, roles, how) { matcher, key, APP_##app, roles, MATCH_##how },
#include "dpi/matchers.def"
#undef M
#undef R
	{ NULL, NULL, APP_UNKNOWN, 0, MATCH_EXACT },
};

int match_by_name(const char *matcher)
{
	for (int i = 0; match_keys[i].matcher; i++)
		if (strcmp(match_keys[i].matcher, matcher) == 0)
			return i;
	return -1;
}

/* The last star takes one byte more at each dead end: O(pattern x text). */
bool match_glob(struct bytes pattern, struct bytes text, bool nocase, bool cut)
{
	size_t p = 0, t = 0, star = SIZE_MAX, from = 0;

	for (;;) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = ++p;
			from = t;
			if (p == pattern.n)
				return true;
		} else if (t == text.n) {
			return p == pattern.n || cut;
		} else if (p < pattern.n && (pattern.p[p] == '?' || (nocase ? ascii_low(pattern.p[p]) == ascii_low(text.p[t]) : pattern.p[p] == text.p[t]))) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star;
			t = ++from;
		} else {
			return false;
		}
	}
}

static bool is_wild(uint8_t b) { return b == '*' || b == '?'; }

size_t glob_head(struct bytes pattern)
{
	size_t n = 0;

	while (n < pattern.n && !is_wild(pattern.p[n]))
		n++;
	return n;
}

size_t glob_tail(struct bytes pattern)
{
	size_t n = 0;

	while (n < pattern.n && !is_wild(pattern.p[pattern.n - 1 - n]))
		n++;
	return n;
}

/* ---- paths ---- */

static int hex(uint8_t b)
{
	b = ascii_low(b);
	return b >= '0' && b <= '9' ? b - '0' : b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

/* Without the query. */
static struct bytes path_of(struct bytes url)
{
	size_t n = 0;

	while (n < url.n && url.p[n] != '?' && url.p[n] != '#')
		n++;
	return (struct bytes){ url.p, n };
}

static bool is_slash(uint8_t b) { return b == '/' || b == '\\'; }

/* Escapes decoded once, empty and dot segments resolved (RFC 3986 6.2.2). One that does not begin with a slash is taken as if it did, as servers do that do
 * not refuse it; but not "*", which asks for the server itself (RFC 9112 3.2.4). plain: without parameters. out: MATCH_ROOM / 2 bytes. */
static struct bytes path_resolved(struct bytes path, bool plain, uint8_t *out)
{
	size_t n = 0, w = 0, from, len;
	bool dots = false, slash;

	if (!path.n || (path.n == 1 && path.p[0] == '*'))
		return path;
	out[n++] = '/';
	for (size_t i = 0; i < path.n; i++) {
		if (plain && path.p[i] == ';') {
			while (i + 1 < path.n && path.p[i + 1] != '/')
				i++;
			continue;
		}
		out[n] = path.p[i];
		if (path.p[i] == '%' && path.n - i > 2 && hex(path.p[i + 1]) >= 0 && hex(path.p[i + 2]) >= 0) {
			out[n] = (uint8_t)(hex(path.p[i + 1]) << 4 | hex(path.p[i + 2]));
			i += 2;
		}
		n++;
	}
	slash = is_slash(out[n - 1]);	/* as it is decoded */
	/* what is written never passes what is read: each segment stands behind a slash at least */
	for (size_t r = 0; r < n;) {
		for (; r < n && is_slash(out[r]); r++)
			;
		for (from = r; r < n && !is_slash(out[r]); r++)
			;
		len = r - from;
		if (!len)
			break;
		dots = len <= 2 && out[from] == '.' && out[r - 1] == '.';
		if (dots) {
			while (len == 2 && w && out[--w] != '/')
				;
			continue;
		}
		out[w++] = '/';
		memmove(out + w, out + from, len);
		w += len;
	}
	if (!w || dots || slash)
		out[w++] = '/';
	return (struct bytes){ out, w };
}

static bool has_semicolon(struct bytes b) { return b.n && memchr(b.p, ';', b.n); }

/* A name of DNS without the dot that may end it. */
static struct bytes undotted(struct bytes name)
{
	while (name.n > 1 && name.p[name.n - 1] == '.')
		name.n--;
	return name;
}

/* What of a qualified name stands behind its last dot; n 0: it has none. */
static struct bytes unqualified(struct bytes name)
{
	size_t dot = name.n;

	while (dot && name.p[dot - 1] != '.')
		dot--;
	return dot ? (struct bytes){ name.p + dot, name.n - dot } : (struct bytes){ NULL, 0 };
}

unsigned match_forms(enum match_how how, struct bytes v, uint8_t *room, struct bytes form[MATCH_FORMS])
{
	form[0] = v;
	switch (how) {
	case MATCH_PATH:
		form[0] = path_of(v);
		form[1] = path_resolved(form[0], false, room);
		if (!has_semicolon(form[0]))
			return 2;
		form[2] = path_resolved(form[0], true, room + MATCH_ROOM / 2);
		return 3;
	case MATCH_NAME:
		form[1] = undotted(v);
		return form[1].n == v.n ? 1 : 2;
	case MATCH_TABLE:
		form[1] = unqualified(v);
		return form[1].p ? 2 : 1;
	case MATCH_EXACT:
	case MATCH_NOCASE:
	case MATCH_HEADER:
	case MATCH_TOPIC:
		break;
	}
	return 1;
}

static bool path_holds(struct bytes pattern, struct bytes url, bool cut, bool all)
{
	uint8_t room[MATCH_ROOM];
	struct bytes sent = path_of(url);
	bool open = cut && sent.n == url.n, as_sent = match_glob(pattern, sent, false, open);

	if (as_sent != all || match_glob(pattern, path_resolved(sent, false, room), false, open) != all)
		return !all;
	if (has_semicolon(sent) && !has_semicolon(pattern))
		return match_glob(pattern, path_resolved(sent, true, room), false, open);
	return all;
}

/* ---- topics ---- */

static bool is_mark(uint8_t b) { return b == '+' || b == '#' || b == '*' || b == '>'; }

bool match_is_filter(struct bytes v)
{
	for (size_t i = 0; i < v.n; i++)
		if (is_mark(v.p[i]))
			return true;
	return v.n && v.p[0] == '$';
}

/* Of MQTT's "$share/GROUP/FILTER" the filter. */
static struct bytes unshared(struct bytes f)
{
	static const char lit[] = "$share/";
	const uint8_t *slash = f.n > sizeof(lit) - 1 && !memcmp(f.p, lit, sizeof(lit) - 1) ? memchr(f.p + sizeof(lit) - 1, '/', f.n - (sizeof(lit) - 1)) : NULL;

	return slash ? (struct bytes){ slash + 1, f.n - (size_t)(slash + 1 - f.p) } : f;
}

/* Can one text be of both patterns? Told by what they begin and end with: yes is said too often, where something else parts them, no never wrongly. */
static bool globs_meet(struct bytes a, struct bytes b)
{
	size_t ha = glob_head(a), hb = glob_head(b), ta = glob_tail(a), tb = glob_tail(b), n;

	if (hb == b.n)
		return match_glob(a, b, false, false);
	if (ha == a.n)
		return match_glob(b, a, false, false);
	n = ha < hb ? ha : hb;
	if (n && memcmp(a.p, b.p, n))
		return false;
	n = ta < tb ? ta : tb;
	return !n || !memcmp(a.p + a.n - n, b.p + b.n - n, n);
}

/* The filter as a pattern, in room (RECORD_STR_MAX + 1 bytes): its wildcards (MQTT: + and #, NATS: * and >, AMQP: * and #) are taken for any bytes; "#.a" takes in
 * "a". cut: it goes on unseen. */
static struct bytes filter_glob(struct bytes f, bool cut, uint8_t *room)
{
	struct bytes glob = { room, 0 };

	for (size_t i = 0; i < f.n && glob.n < RECORD_STR_MAX; i++) {
		room[glob.n++] = is_mark(f.p[i]) ? '*' : f.p[i];
		if (f.p[i] == '#' && i + 1 < f.n && f.p[i + 1] == '.')
			i++;
	}
	if (cut)
		room[glob.n++] = '*';
	return glob;
}

/* May a topic that the filter stands for be one of the pattern's? "a/#" and "a.#" take in "a" as well. */
static bool filter_meets(struct bytes pattern, struct bytes filter, bool cut)
{
	uint8_t room[RECORD_STR_MAX + 1];
	struct bytes f = unshared(filter);

	if (globs_meet(pattern, filter_glob(f, cut, room)))
		return true;
	if (cut || f.n < 2 || f.p[f.n - 1] != '#' || (f.p[f.n - 2] != '/' && f.p[f.n - 2] != '.'))
		return false;
	f.n -= 2;
	return globs_meet(pattern, filter_glob(f, false, room));
}

/* ---- clauses ---- */

static bool table_holds(struct bytes pattern, struct bytes name, bool cut, bool all)
{
	struct bytes last;

	if (match_glob(pattern, name, true, cut))
		return true;
	if (all || (pattern.n && memchr(pattern.p, '.', pattern.n)))
		return false;
	last = unqualified(name);
	return last.p && match_glob(pattern, last, true, cut);
}

/* filter: it stands for topics. */
static bool value_holds(const struct clause *c, struct bytes v, bool cut, bool all, bool filter)
{
	if (cut && all)
		return false;
	for (unsigned i = 0; i < c->npatterns; i++) {
		bool yes = false;

		switch (match_keys[c->key].how) {
		case MATCH_EXACT:
			yes = match_glob(c->pattern[i], v, false, cut);
			break;
		case MATCH_NOCASE:
		case MATCH_HEADER:
			yes = match_glob(c->pattern[i], v, true, cut);
			break;
		case MATCH_NAME:
			yes = match_glob(c->pattern[i], v, true, cut) || match_glob(c->pattern[i], undotted(v), true, cut);
			break;
		case MATCH_PATH:
			yes = path_holds(c->pattern[i], v, cut, all);
			break;
		case MATCH_TABLE:
			yes = table_holds(c->pattern[i], v, cut, all);
			break;
		case MATCH_TOPIC:
			yes = match_glob(c->pattern[i], v, false, cut) || (filter && !all && filter_meets(c->pattern[i], v, cut));
			break;
		}
		if (yes)
			return true;
	}
	return false;
}

#define SAID_ONCE (ROLE_BIT(FACT_TLS_SNI) | ROLE_BIT(FACT_TLS_VERSION) | ROLE_BIT(FACT_TLS_JA4) | ROLE_BIT(FACT_TLS_ISSUER) | \
		   ROLE_BIT(FACT_SSH_VERSION) | ROLE_BIT(FACT_USER) | ROLE_BIT(FACT_DATABASE))

bool match_said_once(uint32_t roles) { return !(roles & ~SAID_ONCE); }

void fact_values_begin(struct fact_values *s, const struct facts *f)
{
	s->pos = f->body;
	s->end = f->len ? f->body + f->len : f->body;
	s->of[0] = NULL;
	s->depth = 0;
	s->partial = f->partial;
}

bool fact_values_next(struct fact_values *s, struct fact_value *out)
{
	const struct item *it;
	const void *v;

	while (s->pos != s->end && (it = item_next(&s->pos, s->end, &v))) {
		const struct fact *fact = it->fact ? it->fact : s->of[s->depth];

		switch ((enum item_kind)it->kind) {
		case ITEM_OBJ:
		case ITEM_ARR:
			if (s->depth < RECORD_DEPTH_MAX)
				s->depth++;
			s->of[s->depth] = it->kind == ITEM_ARR ? fact : NULL;
			break;
		case ITEM_END:
			s->depth -= s->depth > 0;
			break;
		case ITEM_BOOL:
			s->partial |= fact && fact->role == FACT_PARTIAL;
			break;
		case ITEM_STR:
			if (!fact)
				break;
			*out = (struct fact_value){ fact, { v, it->len }, it->cut };
			return true;
		case ITEM_U64:
		case ITEM_I64:
		case ITEM_TIME:
			break;
		}
	}
	return false;
}

static enum match clause_holds(const struct clause *c, const struct facts *f, bool all)
{
	uint32_t roles = match_keys[c->key].roles;
	struct fact_values s;
	struct fact_value v;
	bool any = false;

	for (fact_values_begin(&s, f); fact_values_next(&s, &v);) {
		if (!(roles & ROLE_BIT(v.fact->role)) || (c->header && c->header != v.fact))
			continue;
		any = true;
		if (value_holds(c, v.text, v.cut, all, v.fact->role == FACT_FILTER) != all)
			return all ? MATCH_NO : MATCH_YES;
	}
	if (!any && f->later & roles)
		return MATCH_MAYBE;
	if (!any && f->unseen && match_said_once(roles))
		return all ? MATCH_YES : MATCH_NO;
	if (all)
		return any && !s.partial ? MATCH_YES : MATCH_NO;
	return s.partial ? MATCH_YES : MATCH_NO;
}

enum match match_facts(const struct clause *c, unsigned n, const struct facts *f, bool all)
{
	enum match r = MATCH_YES;

	for (unsigned i = 0; i < n; i++) {
		enum match one = clause_holds(&c[i], f, all);

		if (one < r)
			r = one;
		if (r == MATCH_NO)
			break;
	}
	return r;
}
