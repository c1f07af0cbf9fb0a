/* SPDX-License-Identifier: GPL-2.0-or-later */
/* learn_class: a request's facts, as they were judged, to its class. What of each application is learned stands in one table; roles come from
 * dpi/matchers.def, so that what is learned is what a rule will be asked.
 *
 * Left out on purpose: keys of redis and fields of HTTP (there is no end of them), versions, fingerprints and issuers (they change with every
 * update), hosts where the responder is a workload (the group says who it is). */
#include "agent/learn_parts.h"

#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 64u		/* of one key of one request */

#define WORD(k) { .key = k, .form = FORM_WORD }
#define THING(k, f) { .key = k, .form = f, .object = true }
#define SESSION(k) { .key = k, .form = FORM_WORD, .session = true }
#define SQL(app_, matcher_) { .app = app_, .matcher = matcher_, .nkeys = 4, .key = { WORD("verbs"), THING("tables", FORM_WORD), SESSION("users"), SESSION("databases") } }

static struct learn_matcher matchers[] = {
	{ .app = APP_HTTP, .matcher = "http", .nkeys = 3, .key = { WORD("methods"), THING("paths", FORM_PATH), { .key = "hosts", .form = FORM_NAME, .object = true, .session = true, .remote = true } } },
	{ .app = APP_TLS, .matcher = "tls", .once = true, .nkeys = 1, .key = { THING("sni", FORM_NAME) } },
	{ .app = APP_DTLS, .matcher = "tls", .once = true, .nkeys = 1, .key = { THING("sni", FORM_NAME) } },
	{ .app = APP_QUIC, .matcher = "tls", .once = true, .nkeys = 1, .key = { THING("sni", FORM_NAME) } },
	{ .app = APP_DNS, .matcher = "dns", .nkeys = 2, .key = { THING("names", FORM_NAME), WORD("types") } },
	SQL(APP_MYSQL, "mysql"),
	SQL(APP_POSTGRESQL, "pgsql"),
	SQL(APP_TDS, "tds"),
	SQL(APP_TNS, "tns"),
	{ .app = APP_REDIS, .matcher = "redis", .nkeys = 1, .key = { WORD("commands") } },
	{ .app = APP_MONGODB, .matcher = "mongodb", .nkeys = 2, .key = { WORD("commands"), THING("collections", FORM_WORD) } },
	{ .app = APP_KAFKA, .matcher = "kafka", .nkeys = 2, .key = { WORD("operations"), THING("topics", FORM_WORD) } },
	{ .app = APP_AMQP, .matcher = "amqp", .nkeys = 2, .key = { WORD("operations"), THING("topics", FORM_SUBJECT) } },
	{ .app = APP_MQTT, .matcher = "mqtt", .nkeys = 2, .key = { WORD("operations"), THING("topics", FORM_TOPIC) } },
	{ .app = APP_NATS, .matcher = "nats", .nkeys = 2, .key = { WORD("operations"), THING("topics", FORM_SUBJECT) } },
	{ .app = APP_SMB, .matcher = "smb", .once = true, .nkeys = 1, .key = { THING("shares", FORM_WORD) } },
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_roles(void)
{
	for (size_t i = 0; i < sizeof matchers / sizeof matchers[0]; i++)
		for (unsigned k = 0; k < matchers[i].nkeys; k++)
			for (const struct match_key *m = match_keys; m->matcher; m++)
				if (!strcmp(m->matcher, matchers[i].matcher) && !strcmp(m->key, matchers[i].key[k].key))
					matchers[i].key[k].roles = m->roles;
}

const struct learn_matcher *learn_matcher_of(enum app *app)
{
	pthread_once(&once, find_roles);
	for (size_t i = 0; i < sizeof matchers / sizeof matchers[0]; i++) {
		if (!app_is(*app, matchers[i].app))
			continue;
		*app = matchers[i].app;
		return &matchers[i];
	}
	return NULL;
}

/* ---- facts to values ---- */

struct values {
	char v[VALUES_MAX][LEARN_TEXT_MAX];
	unsigned n;
};

/* An address, with a port perhaps: not a name whose numbers stand for others. */
static bool is_v4(struct bytes v)
{
	for (size_t i = 0; i < v.n; i++)
		if ((v.p[i] < '0' || v.p[i] > '9') && v.p[i] != '.' && v.p[i] != ':')
			return false;
	return v.n != 0;
}

static void general(enum learn_form form, struct bytes v, char out[LEARN_TEXT_MAX])
{
	switch (form) {
	case FORM_WORD:
		learn_literal(v, out);
		break;
	case FORM_PATH:
		learn_path(v, out);
		break;
	case FORM_TOPIC:
		learn_parts(v, '/', out);
		break;
	case FORM_NAME:
		if (is_v4(v))
			learn_literal(v, out);
		else
			learn_parts(v, '.', out);
		break;
	case FORM_SUBJECT:
		learn_parts(v, '.', out);
		break;
	}
}

/* False: one too many. */
static bool add_value(struct values *to, const char *text)
{
	for (unsigned i = 0; i < to->n; i++)
		if (!strcmp(to->v[i], text))
			return true;
	if (to->n == VALUES_MAX)
		return false;
	strcpy(to->v[to->n++], text);
	return true;
}

/* Every value of the key in the facts; items of an array have the array's role. False: the facts are not whole. */
static bool collect(const struct learn_key *k, const struct event *ev, struct values *out)
{
	const uint8_t *pos = ev->body, *end = ev->body_len ? ev->body + ev->body_len : ev->body;
	const struct fact *of[RECORD_DEPTH_MAX + 1] = { NULL };
	unsigned depth = 0;
	const struct item *it;
	const void *v;
	char text[LEARN_TEXT_MAX];

	out->n = 0;
	while (ev->body_len && (it = item_next(&pos, end, &v))) {
		const struct fact *fact = it->fact ? it->fact : of[depth];

		if (it->kind == ITEM_OBJ || it->kind == ITEM_ARR) {
			depth += depth < RECORD_DEPTH_MAX;
			of[depth] = it->kind == ITEM_ARR ? fact : NULL;
		} else if (it->kind == ITEM_END) {
			depth -= depth > 0;
		} else if (it->kind == ITEM_BOOL && fact && fact->role == FACT_PARTIAL) {
			return false;
		} else if (it->kind == ITEM_STR && fact && k->roles & ROLE_BIT(fact->role)) {
			general(k->form, (struct bytes){ v, it->len }, text);
			if (it->cut || !add_value(out, text))
				return false;
		}
	}
	return true;
}

/* ---- classes ---- */

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

static struct learn_class *class_new(char *const list[LEARN_KEYS_MAX], unsigned nkeys)
{
	size_t size = sizeof(struct learn_class), at = 0;
	struct learn_class *c;

	for (unsigned k = 0; k < nkeys; k++)
		size += list[k] ? strlen(list[k]) + 1 : 0;
	c = calloc(1, size);
	if (!c)
		return NULL;
	c->size = size;
	for (unsigned k = 0; k < nkeys; k++) {
		if (!list[k])
			continue;
		c->v[k] = c->text + at;
		strcpy(c->v[k], list[k]);
		at += strlen(list[k]) + 1;
	}
	return c;
}

/* The values, sorted, one a line. malloc'd; NULL: none, or no memory (*failed). */
static char *list_of(struct values *v, bool *failed)
{
	size_t n = 0;
	char *s;

	if (!v->n)
		return NULL;
	qsort(v->v, v->n, sizeof v->v[0], by_text);
	for (unsigned i = 0; i < v->n; i++)
		n += strlen(v->v[i]) + 1;
	s = malloc(n);
	if (!s) {
		*failed = true;
		return NULL;
	}
	n = 0;
	for (unsigned i = 0; i < v->n; i++) {
		if (i && !strcmp(v->v[i], v->v[i - 1]))
			continue;
		if (n)
			s[n++] = '\n';
		memcpy(s + n, v->v[i], strlen(v->v[i]));
		n += strlen(v->v[i]);
	}
	s[n] = '\0';
	return s;
}

struct learn_class *learn_classify(const struct learn_matcher *m, const struct event *ev, bool remote)
{
	struct values *v = malloc(sizeof *v);
	char *list[LEARN_KEYS_MAX] = { NULL };
	struct learn_class *c = NULL;
	bool failed = !v || ev->partial;

	for (unsigned k = 0; k < m->nkeys && !failed; k++) {
		if (m->key[k].remote && !remote)
			continue;
		failed = !collect(&m->key[k], ev, v);
		if (!failed)
			list[k] = list_of(v, &failed);
	}
	if (!failed)
		c = class_new(list, m->nkeys);
	for (unsigned k = 0; k < LEARN_KEYS_MAX; k++)
		free(list[k]);
	free(v);
	return c;
}

static void fold_value(enum learn_form form, unsigned keep, char *text)
{
	switch (form) {
	case FORM_WORD:
		if (!keep)
			strcpy(text, "*");
		break;
	case FORM_PATH:
	case FORM_TOPIC:
		learn_shorten(text, '/', keep, false);
		break;
	case FORM_SUBJECT:
		learn_shorten(text, '.', keep, false);
		break;
	case FORM_NAME:
		learn_shorten(text, '.', keep, true);
		break;
	}
}

static char *fold_list(const struct learn_key *k, const char *list, unsigned level, struct values *room, bool *failed)
{
	char text[LEARN_TEXT_MAX];

	room->n = 0;
	for (const char *p = list; *p; ) {
		size_t n = strcspn(p, "\n");

		memcpy(text, p, n);
		text[n] = '\0';
		fold_value(k->form, 3 - level, text);
		add_value(room, text);		/* no more than there were */
		p += n + (p[n] == '\n');
	}
	return list_of(room, failed);
}

struct learn_class *learn_fold(const struct learn_matcher *m, const struct learn_class *c, unsigned level)
{
	struct values *room = malloc(sizeof *room);
	char *list[LEARN_KEYS_MAX] = { NULL }, *made[LEARN_KEYS_MAX] = { NULL };
	struct learn_class *out = NULL;
	bool failed = !room;

	for (unsigned k = 0; k < m->nkeys && !failed; k++) {
		list[k] = c->v[k];
		if (c->v[k] && m->key[k].object && level)
			list[k] = made[k] = fold_list(&m->key[k], c->v[k], level, room, &failed);
	}
	if (!failed)
		out = class_new(list, m->nkeys);
	for (unsigned k = 0; k < LEARN_KEYS_MAX; k++)
		free(made[k]);
	free(room);
	return out;
}

int learn_cmp_class(const struct learn_class *a, const struct learn_class *b)
{
	for (unsigned k = 0; k < LEARN_KEYS_MAX; k++) {
		int c = strcmp(a->v[k] ? a->v[k] : "", b->v[k] ? b->v[k] : "");

		if (c)
			return c;
	}
	return 0;
}

bool learn_same_class(const struct learn_class *a, const struct learn_class *b) { return !learn_cmp_class(a, b); }

char *learn_join(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b), n = 0;
	char *out = malloc(na + nb + 2);

	while (out && (*a || *b)) {
		size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");
		int c = !*a ? 1 : !*b ? -1 : strncmp(a, b, la < lb ? la : lb);

		if (!c && *a && *b)
			c = la < lb ? -1 : la > lb;
		if (n)
			out[n++] = '\n';
		memcpy(out + n, c <= 0 ? a : b, c <= 0 ? la : lb);
		n += c <= 0 ? la : lb;
		if (c <= 0)
			a += la + (a[la] == '\n');
		if (c >= 0)
			b += lb + (b[lb] == '\n');
	}
	if (out)
		out[n] = '\0';
	return out;
}
