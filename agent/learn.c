/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: a hash table of pairs under what can be known of one exactly (names, transport, port, application); pairs that differ
 * only in the addresses of ends that are no workloads stand in the same bucket. When one more address would be too many, all of that
 * family are widened to the next prefix length and those that fall together are joined. A pair's classes are a list, the one that was
 * met last in front. */
#include "agent/learn_parts.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"

#define TFTP_PORT 69u

struct want {				/* whom an event is about */
	char name[2][CONFIG_NAME_MAX];	/* "": none of this node */
	bool dns;			/* name[1] is DNS names */
	struct addr addr[2];
	uint16_t port, app;		/* port 0: whatever port (learn_parts.h) */
	uint8_t ipproto;
};

struct learn *learn_new(struct names *names)
{
	struct learn *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	pthread_mutex_init(&l->lock, NULL);
	if (getrandom(&l->key, sizeof l->key, 0) != sizeof l->key)
		log_debug(AGENT, "no random key");
	l->names = names;
	return l;
}

static void classes_free(struct learn *l, struct learn_pair *p)
{
	while (p->classes) {
		struct learn_class *c = p->classes;

		p->classes = c->next;
		l->bytes -= c->size;
		l->stats.classes--;
		free(c);
	}
	p->nclasses = 0;
}

static void pair_free(struct learn *l, struct learn_pair *p)
{
	classes_free(l, p);
	free(p->name[0]);
	free(p->name[1]);
	free(p);
	l->stats.pairs--;
}

void learn_free(struct learn *l)
{
	if (!l)
		return;
	for (unsigned b = 0; b < LEARN_BUCKETS; b++) {
		while (l->bucket[b]) {
			struct learn_pair *p = l->bucket[b];

			l->bucket[b] = p->next;
			pair_free(l, p);
		}
	}
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void learn_know(struct learn *l, const struct fqdn_cache *c) { l->fqdn = c; }

static void left_out(struct learn *l) { l->stats.left_out++; }

/* ---- classes of a pair ---- */

/* Is there one like it? It was met now. */
static bool class_known(struct learn_pair *p, const struct learn_class *c)
{
	for (struct learn_class **at = &p->classes; *at; at = &(*at)->next) {
		struct learn_class *had = *at;

		if (!learn_same_class(had, c))
			continue;
		*at = had->next;
		had->next = p->classes;
		p->classes = had;
		return true;
	}
	return false;
}

/* Takes c. */
static void class_put(struct learn *l, struct learn_pair *p, struct learn_class *c)
{
	if (class_known(p, c)) {
		free(c);
		return;
	}
	c->next = p->classes;
	p->classes = c;
	p->nclasses++;
	l->bytes += c->size;
	l->stats.classes++;
}

static void loosen(struct learn *l, struct learn_pair *p)
{
	classes_free(l, p);
	p->loose = true;
}

/* Shorter objects until few enough are left; without end of them no rule can say what they are about. */
static void fold(struct learn *l, struct learn_pair *p, const struct learn_matcher *m)
{
	while (p->nclasses > LEARN_CLASSES_MAX) {
		struct learn_class *old = p->classes;

		if (p->level == 3) {
			loosen(l, p);
			return;
		}
		p->level++;
		p->classes = NULL;
		p->nclasses = 0;
		while (old) {
			struct learn_class *c = old, *folded = learn_fold(m, c, p->level);

			old = c->next;
			l->bytes -= c->size;
			l->stats.classes--;
			free(c);
			if (folded)
				class_put(l, p, folded);
			else
				p->loose = true;
		}
		if (p->loose)
			loosen(l, p);
	}
}

static void request_add(struct learn *l, struct learn_pair *p, const struct learn_matcher *m, const struct event *ev, bool remote)
{
	struct learn_class *c, *folded;

	if (p->loose)
		return;
	c = learn_classify(m, ev, remote);
	folded = c && p->level ? learn_fold(m, c, p->level) : NULL;
	if (c && p->level) {
		free(c);
		c = folded;
	}
	if (!c) {
		loosen(l, p);
		return;
	}
	if (l->bytes + c->size > LEARN_BYTES_MAX && !class_known(p, c)) {
		left_out(l);
		free(c);
		return;
	}
	class_put(l, p, c);
	fold(l, p, m);
}

/* ---- pairs ---- */

static unsigned bucket_of(const struct learn *l, const struct want *w)
{
	uint64_t k[3] = { (uint64_t)w->dns << 48 | (uint64_t)w->port << 32 | (uint64_t)w->app << 8 | w->ipproto };

	for (int i = 0; i < 2; i++)
		k[1 + i] = hash_sip13(&l->key, w->name[i], strlen(w->name[i]));
	return hash_sip13_words(&l->key, k, 3) % LEARN_BUCKETS;
}

static bool same_name(const char *had, const char *wanted) { return had ? !strcmp(had, wanted) : !*wanted; }

/* All but the addresses. */
static bool alike(const struct learn_pair *p, const struct want *w)
{
	return p->dns == w->dns && p->port == w->port && p->app == w->app && p->ipproto == w->ipproto && same_name(p->name[0], w->name[0]) && same_name(p->name[1], w->name[1]);
}

static struct cidr net_of(const struct addr *a, uint8_t len)
{
	struct cidr c = { *a, len };

	for (unsigned bit = len; bit < 128; bit++)
		c.net.b[bit / 8] &= (uint8_t)~(0x80u >> bit % 8);
	return c;
}

static uint8_t wider(bool v4, uint8_t len)
{
	if (v4)
		return len > 120 ? 120 : len > 112 ? 112 : 96;
	return len > 64 ? 64 : len > 48 ? 48 : 0;
}

static bool joins(const struct learn_pair *a, const struct learn_pair *b)
{
	for (int i = 0; i < 2; i++)
		if (!a->name[i] && (a->net[i].len != b->net[i].len || !addr_eq(&a->net[i].net, &b->net[i].net)))
			return false;
	return true;
}

static bool is_family(const struct learn_pair *p, bool v4)
{
	for (int i = 0; i < 2; i++)
		if (!p->name[i])
			return addr_is_v4(&p->net[i].net) == v4;
	return false;
}

/* b's into a; b is not in the table any more. */
static void pair_join(struct learn *l, struct learn_pair *a, struct learn_pair *b, const struct learn_matcher *m)
{
	unsigned level = a->level > b->level ? a->level : b->level;
	struct learn_pair *both[2] = { a, b };
	struct learn_class *all = NULL;

	a->n += b->n;
	a->open += b->open;
	a->first = a->first < b->first ? a->first : b->first;
	a->last = a->last > b->last ? a->last : b->last;
	a->bare = a->bare && b->bare;
	a->loose = a->loose || b->loose;
	for (int i = 0; i < 2; i++) {
		while (both[i]->classes) {
			struct learn_class *c = both[i]->classes;

			both[i]->classes = c->next;
			c->next = all;
			all = c;
		}
		both[i]->nclasses = 0;
	}
	a->level = (uint8_t)level;
	while (all) {
		struct learn_class *c = all, *folded = m && level ? learn_fold(m, c, level) : NULL;

		all = c->next;
		l->bytes -= c->size;
		l->stats.classes--;
		if (folded) {
			free(c);
			c = folded;
		}
		class_put(l, a, c);
	}
	if (a->loose)
		loosen(l, a);
	else if (m)
		fold(l, a, m);
	pair_free(l, b);
}

/* All pairs alike of one family: their addresses one step wider, joined where they fall together. */
static void widen(struct learn *l, unsigned bucket, const struct want *w, bool v4, const struct learn_matcher *m)
{
	for (struct learn_pair *p = l->bucket[bucket]; p; p = p->next) {
		if (!alike(p, w) || !is_family(p, v4))
			continue;
		for (int i = 0; i < 2; i++)
			if (!p->name[i])
				p->net[i] = net_of(&p->net[i].net, wider(v4, p->net[i].len));
	}
	for (struct learn_pair *p = l->bucket[bucket]; p; p = p->next) {
		struct learn_pair **at = &p->next;

		if (!alike(p, w))
			continue;
		while (*at) {
			struct learn_pair *q = *at;

			if (!alike(q, w) || !joins(p, q)) {
				at = &q->next;
				continue;
			}
			*at = q->next;
			pair_join(l, p, q, m);
		}
	}
}

static bool holds(const struct learn_pair *p, const struct want *w)
{
	for (int i = 0; i < 2; i++)
		if (!p->name[i] && !cidr_has(&p->net[i], &w->addr[i]))
			return false;
	return alike(p, w);
}

static struct learn_pair *pair_new(struct learn *l, unsigned bucket, const struct want *w, const uint8_t len)
{
	struct learn_pair *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	for (int i = 0; i < 2; i++) {
		if (!*w->name[i]) {
			p->net[i] = net_of(&w->addr[i], len);
			continue;
		}
		p->name[i] = strdup(w->name[i]);
		if (p->name[i])
			continue;
		free(p->name[0]);
		free(p);
		return NULL;
	}
	p->dns = w->dns;
	p->port = w->port;
	p->app = w->app;
	p->ipproto = w->ipproto;
	p->bare = true;
	p->next = l->bucket[bucket];
	l->bucket[bucket] = p;
	l->stats.pairs++;
	return p;
}

static bool is_icmp(uint8_t ipproto) { return ipproto == IPPROTO_ICMP || ipproto == IPPROTO_ICMPV6; }

/* Its port was agreed upon in another flow, or is one of those that are, and is another one the next time. */
static bool is_negotiated(const struct want *w)
{
	return w->app == APP_FTP_DATA || w->app == APP_RTP || w->app == APP_RTCP || (w->app == APP_TFTP && w->port != TFTP_PORT);
}

/* The pair, new if need be; NULL: it does not fit, or no rule can name it (port 0: who sends to it must not make a file that cannot be read). */
static struct learn_pair *pair_get(struct learn *l, const struct want *w, const struct learn_matcher *m, int64_t ts)
{
	unsigned b = bucket_of(l, w), count;
	bool v4 = addr_is_v4(&w->addr[*w->name[0] ? 1 : 0]), remote = !*w->name[0] || !*w->name[1];
	struct learn_pair *found = NULL;
	uint8_t len;

	if (!w->port && !is_icmp(w->ipproto) && !is_negotiated(w))
		return NULL;
	for (;;) {
		count = 0;
		len = 128;
		for (struct learn_pair *p = l->bucket[b]; p && !found; p = p->next) {
			if (holds(p, w))
				found = p;
			if (!remote || !alike(p, w) || !is_family(p, v4))
				continue;
			count++;
			len = p->name[0] ? p->net[1].len : p->net[0].len;
		}
		if (found || count < LEARN_REMOTES_MAX || len == (v4 ? 96 : 0))
			break;
		widen(l, b, w, v4, m);
	}
	if (!found && l->stats.pairs < LEARN_PAIRS_MAX)
		found = pair_new(l, b, w, len);
	if (!found) {
		left_out(l);
		return NULL;
	}
	if (!found->first || ts < found->first)
		found->first = ts;
	if (ts > found->last)
		found->last = ts;
	return found;
}

/* ---- events ---- */

static void name_end(struct learn *l, uint32_t workload, char out[CONFIG_NAME_MAX])
{
	char name[CONFIG_NAME_MAX];

	out[0] = '\0';
	if (workload && names_copy_workload(l->names, workload, name, sizeof name))
		learn_stem(name, out, CONFIG_NAME_MAX);
}

/* As many of its names as have room, whole ones. */
struct dns_names {
	char v[8][FQDN_TEXT_MAX + 1];
	unsigned n;
};

static void dns_name(void *ctx, struct bytes name)
{
	struct dns_names *d = ctx;

	if (d->n == sizeof d->v / sizeof d->v[0] || name.n > FQDN_TEXT_MAX)
		return;
	memcpy(d->v[d->n], name.p, name.n);
	d->v[d->n++][name.n] = '\0';
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

static void dns_end(struct learn *l, uint32_t workload, const struct addr *dest, int64_t since, struct want *w)
{
	struct dns_names d = { .n = 0 };
	size_t n = 0;

	w->dns = false;
	if (*w->name[1] || !workload || !l->fqdn)
		return;
	fqdn_cache_each(l->fqdn, workload, dest, since, dns_name, &d);
	qsort(d.v, d.n, sizeof d.v[0], by_text);
	for (unsigned i = 0; i < d.n; i++) {
		if (n + strlen(d.v[i]) + 2 > sizeof w->name[1])
			continue;
		n += (size_t)snprintf(w->name[1] + n, sizeof w->name[1] - n, "%s%s", n ? "\n" : "", d.v[i]);
		w->dns = true;
	}
}

struct talk {				/* how a flow went, as its event or the flow itself says */
	uint64_t pkts[2], bytes[2];
	unsigned flags;			/* of TCP, from the responder */
	bool midstream, report;
};

static bool is_named(const struct item *it, const char *name) { return it->fact && it->fact->name && !strcmp(it->fact->name, name); }

static void read_talk(const struct event *ev, struct talk *t)
{
	const uint8_t *pos = ev->body, *end = ev->body_len ? ev->body + ev->body_len : ev->body;
	static const char *const numbers[] = { "pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient" };
	uint64_t *const to[] = { &t->pkts[0], &t->pkts[1], &t->bytes[0], &t->bytes[1] };
	const struct item *it;
	const void *v;

	memset(t, 0, sizeof *t);
	while (ev->body_len && (it = item_next(&pos, end, &v))) {
		for (int i = 0; i < 4 && it->kind == ITEM_U64; i++)
			if (is_named(it, numbers[i]))
				memcpy(to[i], v, sizeof *to[i]);
		if (it->kind == ITEM_STR && is_named(it, "reason"))
			t->report = it->len == 6 && !memcmp(v, "report", 6);
		if (it->kind == ITEM_STR && is_named(it, "tcp_flags_tc") && it->len == 2) {
			char hex[3] = { ((const char *)v)[0], ((const char *)v)[1], 0 };

			t->flags = (unsigned)strtoul(hex, NULL, 16);
		}
		t->midstream |= it->kind == ITEM_BOOL && is_named(it, "midstream");
	}
}

/* Was something carried on, not only tried? */
static bool carried_on(uint8_t ipproto, const struct talk *t)
{
	if (ipproto == IPPROTO_TCP)
		return t->pkts[1] && (t->flags & 0x02 || t->midstream);
	return t->pkts[1] || (ipproto == IPPROTO_UDP && t->pkts[0] > 2);
}

/* No data but TCP's own: 20 + 20 bytes, and options of 12 in each and 20 in the first; 20 more over IPv6. */
static bool is_bare(uint8_t ipproto, bool v4, const struct talk *t)
{
	uint64_t head = v4 ? 52 : 72;

	return ipproto == IPPROTO_TCP && t->bytes[0] <= t->pkts[0] * head + 8 && t->bytes[1] <= t->pkts[1] * head + 8;
}

static struct learn_pair *flow_add(struct learn *l, struct want *w, const struct talk *t, int64_t ts)
{
	struct learn_pair *p;

	if (!carried_on(w->ipproto, t))
		return NULL;
	if (is_icmp(w->ipproto))
		w->port = 0;
	p = pair_get(l, w, NULL, ts);
	if (p)
		p->bare = p->bare && is_bare(w->ipproto, addr_is_v4(&w->addr[0]), t);
	return p;
}

static void want_of(struct learn *l, const struct event *ev, struct want *w)
{
	name_end(l, ev->src_workload, w->name[0]);
	name_end(l, ev->dst_workload, w->name[1]);
	dns_end(l, ev->src_workload, &ev->dst, ev->start, w);
	w->addr[0] = ev->src;
	w->addr[1] = ev->dst;
	w->port = ev->dport;
	w->app = ev->app;
	w->ipproto = ev->ipproto;
}

/* A flow ended whose application nobody knew; what is known was told when it got known. */
static void feed_flow(struct learn *l, const struct event *ev)
{
	struct learn_pair *p;
	struct talk t;
	struct want w;

	if (ev->app != APP_UNKNOWN || !ev->learned || ev->verdict != VERDICT_ALLOW || ev->reason != REASON_NO_RULE)
		return;
	read_talk(ev, &t);
	want_of(l, ev, &w);
	p = flow_add(l, &w, &t, ev->ts);
	if (!p || t.report)
		return;
	p->n++;
	l->stats.connections++;
}

static void feed_request(struct learn *l, const struct event *ev)
{
	enum app app = (enum app)ev->app;
	const struct learn_matcher *m = learn_matcher_of(&app);
	struct learn_pair *p;
	struct want w;

	if (app == APP_UNKNOWN)	/* given up; the flow's end tells whether anybody answered */
		return;
	want_of(l, ev, &w);
	w.app = (uint16_t)app;
	if (!w.port)
		return;
	if (is_negotiated(&w))
		w.port = 0;
	p = pair_get(l, &w, m, ev->ts);
	if (!p)
		return;
	p->bare = false;
	if (m && (ev->body_len || ev->partial)) {
		request_add(l, p, m, ev, !*w.name[1] || w.dns);
	} else if (!ev->body_len && !ev->partial) {
		p->n++;
		l->stats.connections++;
	}
}

void learn_feed(void *ctx, const struct event *ev)
{
	struct learn *l = ctx;

	if (ev->type != EV_LEARN && ev->type != EV_FLOW)
		return;
	pthread_mutex_lock(&l->lock);
	if (ev->type == EV_LEARN)
		feed_request(l, ev);
	else
		feed_flow(l, ev);
	pthread_mutex_unlock(&l->lock);
}

/* ---- open flows ---- */

void learn_open_begin(struct learn *l)
{
	pthread_mutex_lock(&l->lock);
	for (unsigned b = 0; b < LEARN_BUCKETS; b++)
		for (struct learn_pair *p = l->bucket[b]; p; p = p->next)
			p->open = 0;
	pthread_mutex_unlock(&l->lock);
}

void learn_open(struct learn *l, const struct dpi_flow_info *i)
{
	struct talk t = { .pkts = { i->pkts[0], i->pkts[1] }, .bytes = { i->bytes[0], i->bytes[1] }, };
	struct learn_pair *p;
	struct want w;

	t.flags = strcmp(i->state, "established") ? i->tcp_flags[1] : 0x02;	/* closed ones are there for a while, too */
	if (i->app != APP_UNKNOWN || i->verdict != VERDICT_ALLOW || i->reason != REASON_NO_RULE)
		return;
	pthread_mutex_lock(&l->lock);
	name_end(l, i->workload[0], w.name[0]);
	name_end(l, i->workload[1], w.name[1]);
	dns_end(l, i->workload[0], &i->tuple.dst, i->start, &w);
	w.addr[0] = i->tuple.src;
	w.addr[1] = i->tuple.dst;
	w.port = i->tuple.dport;
	w.app = APP_UNKNOWN;
	w.ipproto = i->tuple.ipproto;
	p = flow_add(l, &w, &t, i->last);
	if (p)
		p->open++;
	pthread_mutex_unlock(&l->lock);
}

void learn_get_stats(struct learn *l, struct learn_stats *out)
{
	pthread_mutex_lock(&l->lock);
	*out = l->stats;
	pthread_mutex_unlock(&l->lock);
}
