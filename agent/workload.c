/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/workload.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container.h"
#include "base/log.h"
#include "bridge/netns.h"

#define PIDS_REAPS 30u		/* registry_reap() calls, one a second */
#define YOUNG_REAPS 8u		/* ... until which a new one's first process is looked for */

/* ---- names ---- */

/* Without a runtime's id the workload's own host name tells most; else the namespace's number. */
static void name_discovered(char *out, size_t size, const char *nsname, pid_t pid, uint64_t ino)
{
	char path[64], id[CONTAINER_ID_MAX], host[65] = "", own[65] = "";
	FILE *f;

	if (nsname) {
		snprintf(out, size, "%s", nsname);
		return;
	}
	if (pid && container_id(pid, id)) {
		snprintf(out, size, "%.12s", id);
		return;
	}
	snprintf(path, sizeof path, "/proc/%d/root/etc/hostname", (int)pid);
	f = pid ? fopen(path, "re") : NULL;
	if (f) {
		if (!fgets(host, sizeof host, f))
			host[0] = 0;
		fclose(f);
		host[strcspn(host, "\n")] = 0;
		for (char *p = host; *p; p++)	/* the container wrote it; it stands in logs */
			if (!isgraph((unsigned char)*p))
				*p = '-';
	}
	gethostname(own, sizeof own - 1);
	if (host[0] && strcmp(host, own))
		snprintf(out, size, "%s", host);
	else
		snprintf(out, size, "netns-%llu", (unsigned long long)ino);
}

/* ---- the list ---- */

/* An inode is a namespace's own while it lives, and those of workloads live: a descriptor of each is open. */
static struct workload *by_ino(struct registry *r, uint64_t ino)
{
	for (struct workload *w = r->first; w; w = w->next)
		if (w->ino == ino)
			return w;
	return NULL;
}

struct workload *registry_find(struct registry *r, const char *name)
{
	for (struct workload *w = r->first; w; w = w->next)
		if (!strcmp(w->name, name))
			return w;
	return NULL;
}

static int copy_labels(struct labels *to, const struct labels *from)
{
	*to = (struct labels){ 0 };
	if (!from->n)
		return 0;
	to->v = calloc(from->n, sizeof *to->v);
	if (!to->v)
		return -ENOMEM;
	for (unsigned i = 0; i < from->n; i++) {
		to->v[i].key = strdup(from->v[i].key);
		to->v[i].value = strdup(from->v[i].value);
		to->n++;
		if (!to->v[i].key || !to->v[i].value)
			return -ENOMEM;
	}
	return 0;
}

static void free_labels(struct labels *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		free(l->v[i].key);
		free(l->v[i].value);
	}
	free(l->v);
	*l = (struct labels){ 0 };
}

static void free_fences(struct wl_link *l, unsigned n)
{
	for (unsigned i = 0; i < 2 * n; i++)
		free(l[i / 2].fence[i % 2]);
}

void registry_drop(struct registry *r, struct workload *w)
{
	for (struct workload **p = &r->first; *p; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			r->count--;
			break;
		}
	}
	rules_watch_close(w->watch);
	if (w->nsfd >= 0)
		close(w->nsfd);
	free_labels(&w->labels);
	free(w->image);
	free(w->netns);
	free_fences(w->links, w->nlinks);
	free(w);
}

void workload_groups(const struct workload *w, const struct policy_file *pf, struct group_set *out)
{
	struct policy_who who = { .name = w->name, .labels = &w->labels, .image = w->image, .netns = w->netns };

	policy_file_groups(pf, &who, out);
}

static int find_port(const struct app_ports *a, const struct app_port *p)
{
	for (unsigned i = 0; i < a->n; i++)
		if (a->port[i].port == p->port && a->port[i].ipproto == p->ipproto)
			return (int)i;
	return -1;
}

/* Changes of `tapq apps` on top of what the configuration says. */
static void apply_changes(const struct registry *r, struct workload *w, struct wl_opts *o)
{
	for (const struct app_change *c = r->changes; c; c = c->next) {
		int at = find_port(&o->apps, &c->port);

		if (strcmp(c->name, w->name))
			continue;
		if (c->add && at < 0 && o->apps.n < APP_PORTS_MAX)
			o->apps.port[o->apps.n++] = c->port;
		else if (!c->add && at >= 0)
			o->apps.port[at] = o->apps.port[--o->apps.n];
	}
}

static void configure_one(struct registry *r, const struct config *c, struct workload *w)
{
	struct wl_opts o = config_workload_opts(c, w->name, &w->labels, w->own);

	apply_changes(r, w, &o);
	if (o.mode != w->opts.mode || o.side != w->opts.side || o.loopback != w->opts.loopback || o.fail != w->opts.fail ||
	    !app_ports_equal(&o.apps, &w->opts.apps))
		w->changed = true;
	w->opts = o;
}

/* ---- scanning ---- */

static bool same_links(const struct workload *w, const struct link_end *ends, unsigned n)
{
	if (n != w->nlinks)
		return false;
	for (unsigned i = 0; i < n; i++) {
		const struct link_end *a = &w->links[i].end, *b = &ends[i];

		if (a->host_ifindex != b->host_ifindex || a->ifindex != b->ifindex || memcmp(a->mac, b->mac, 6) || strcmp(a->name, b->name) ||
		    a->gso_max_size != b->gso_max_size || a->naddrs != b->naddrs || memcmp(a->addrs, b->addrs, a->naddrs * sizeof a->addrs[0]))
			return false;
	}
	return true;
}

/* Takes the new ends over; a link that is still there keeps its view and its state. */
static void take_links(struct registry *r, struct workload *w, const struct link_end *ends, unsigned n)
{
	struct wl_link links[WORKLOAD_LINKS_MAX];

	memset(links, 0, sizeof links);
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < w->nlinks; k++)
			if (w->links[k].end.host_ifindex == ends[i].host_ifindex && !memcmp(w->links[k].end.mac, ends[i].mac, 6)) {
				links[i] = w->links[k];
				w->links[k].fence[0] = w->links[k].fence[1] = NULL;	/* taken along */
			}
		links[i].end = ends[i];
		if (!links[i].view) {
			links[i].view = r->next_view += 2;
			links[i].standing = true;
		}
	}
	free_fences(w->links, w->nlinks);
	memcpy(w->links, links, sizeof links);
	w->nlinks = n;
	w->changed = true;
	if (n)
		w->iface = names_add_iface(r->names, ends[0].host_name);
}

/* A known one of which no link is found keeps what it has: its devices go before it does, and the reaper decides. */
static int read_links(struct registry *r, struct workload *w)
{
	struct link_end ends[WORKLOAD_LINKS_MAX];
	struct err err = { "" };
	int n;

	memset(ends, 0, sizeof ends);
	n = link_find(w->nsfd, w->own ? w->own->interface : NULL, ends, WORKLOAD_LINKS_MAX, &err);
	if (n < 0 || (n == 0 && !w->own && w->nlinks))
		return n;
	if (!same_links(w, ends, (unsigned)n))
		take_links(r, w, ends, (unsigned)n);
	return n;
}

struct scan {
	struct registry *r;
	const struct config *c;
	bool changed;
};

/* What groups of a policy may ask beside name and labels, once it is known. The image is looked for once for each process that is seen in it. */
static void learn_who(struct workload *w, const char *path)
{
	char id[CONTAINER_ID_MAX], image[IMAGE_MAX];

	if (!w->netns && path) {
		w->netns = strdup(path);
		w->changed = true;
	}
	if (w->image || !w->pid || w->pid == w->image_pid)
		return;
	w->image_pid = w->pid;
	if (container_id(w->pid, id) && container_image(CONTAINER_DOCKER_DIR, id, image)) {
		w->image = strdup(image);
		w->changed = true;
	}
}

/* What /run/netns calls it; NULL: that is not where the path is. */
static const char *name_of(const char *path)
{
	static const char *const dirs[] = { "/run/netns/", "/var/run/netns/" };

	for (unsigned i = 0; path && i < 2; i++)
		if (!strncmp(path, dirs[i], strlen(dirs[i])))
			return path + strlen(dirs[i]);
	return NULL;
}

/* Adds the workload of this namespace; takes a duplicate of nsfd. nsid: -1: not known. path: one that names it; NULL: none is known. */
static void seen(struct scan *s, int nsfd, int nsid, const char *path, pid_t pid, const struct static_workload *own)
{
	struct err err = { "" };
	struct workload *w;
	uint64_t cookie;
	struct stat st;
	bool excluded;

	if (fstat(nsfd, &st))
		return;
	w = by_ino(s->r, st.st_ino);
	if (w) {
		learn_who(w, path);
		s->changed |= w->changed;
		return;
	}
	if (netns_cookie(nsfd, &cookie, &err))
		return;
	if (s->r->count >= WORKLOADS_MAX) {
		log_error(AGENT, "netns %llu: not watched: there are %d workloads already", (unsigned long long)st.st_ino, WORKLOADS_MAX);
		return;
	}
	w = calloc(1, sizeof *w);
	if (!w)
		return;
	w->nsfd = dup(nsfd);
	w->cookie = cookie;
	w->ino = st.st_ino;
	w->nsid = nsid;
	w->pid = pid;
	w->own = own;
	if (own)
		snprintf(w->name, sizeof w->name, "%s", own->name);
	else
		name_discovered(w->name, sizeof w->name, name_of(path), pid, w->ino);
	if (own && own->image)
		w->image = strdup(own->image);
	learn_who(w, path);
	excluded = !own && config_excluded(s->c, w->name);
	if (w->nsfd < 0 || excluded || (own && copy_labels(&w->labels, &own->labels)) || read_links(s->r, w) <= 0) {
		s->r->missing += !excluded;
		if (w->nsfd >= 0)
			close(w->nsfd);
		free_labels(&w->labels);
		free(w->image);
		free(w->netns);
		free(w);
		return;
	}
	if (nsid < 0 && link_nsid(nsfd, &w->nsid, &err))	/* its links were read: it has an id now */
		log_debug(AGENT, "workload %s: %s", w->name, err.text);
	w->id = names_add_workload(s->r->names, w->name, &w->labels);
	w->quarantined = registry_quarantined(s->r, w->name);
	w->standing = RULES_PERHAPS;
	w->changed = true;
	w->next = s->r->first;
	s->r->first = w;
	s->r->count++;
	s->r->found++;
	configure_one(s->r, s->c, w);
	w->changed = true;
	s->changed = true;
	log_info(AGENT, "workload %s: %s at %s", w->name, w->links[0].end.name, w->links[0].end.host_name);
}

static void on_netns(void *ctx, int nsfd, int nsid, const char *path, pid_t pid)
{
	struct scan *s = ctx;

	if (nsfd >= 0)
		seen(s, nsfd, nsid, path, pid, NULL);
	else
		s->r->missing++;
}

static int by_number(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool is_known(void *ctx, int nsid)
{
	const struct registry *r = ((struct scan *)ctx)->r;

	return r->nnsid && bsearch(&nsid, r->nsid, r->nnsid, sizeof *r->nsid, by_number);
}

/* Without memory nobody is known: each is found to be so when it was opened. */
static void note_known(struct registry *r)
{
	r->nsid = malloc((r->count + 1) * sizeof *r->nsid);
	r->nnsid = 0;
	for (struct workload *w = r->first; w && r->nsid; w = w->next)
		if (w->nsid >= 0 && w->netns)	/* one without a path may get one */
			r->nsid[r->nnsid++] = w->nsid;
	if (r->nnsid)
		qsort(r->nsid, r->nnsid, sizeof *r->nsid, by_number);
}

bool registry_refresh(struct registry *r)
{
	bool changed = false;

	for (struct workload *w = r->first; w; w = w->next) {
		struct err err = { "" };

		if (w->look) {
			w->look = false;
			read_links(r, w);
			if (w->nsid < 0 && link_nsid(w->nsfd, &w->nsid, &err))
				log_debug(AGENT, "workload %s: %s", w->name, err.text);
		}
		changed |= w->changed;
	}
	return changed;
}

void registry_look(struct registry *r, unsigned turns)
{
	unsigned turn = r->looks++ % turns;

	for (struct workload *w = r->first; w; w = w->next)
		w->look |= w->id % turns == turn || w->nsid < 0;
}

void registry_heard(struct registry *r, const struct link_event *e)
{
	for (struct workload *w = r->first; w; w = w->next) {
		if (e->nsid >= 0)
			w->look |= w->nsid == e->nsid;
		else if (e->veth && e->peer_nsid >= 0)
			w->look |= w->nsid == e->peer_nsid;
		for (unsigned i = 0; e->nsid < 0 && i < w->nlinks; i++) {
			if (w->links[i].end.host_ifindex != e->ifindex)
				continue;
			w->look = true;
			w->links[i].touched |= e->kind == LINK_GONE;	/* its filters went with it, without a word; another one may have its number */
		}
	}
}

int registry_scan(struct registry *r, const struct config *c, bool *changed, struct err *err)
{
	struct scan s = { .r = r, .c = c, .changed = registry_refresh(r) };
	int rc = 0;

	r->missing = 0;
	for (unsigned i = 0; i < c->nstatics; i++) {
		const struct static_workload *own = &c->statics[i];
		struct err why = { "" };
		int fd = own->netns ? netns_open(own->netns, &why) : netns_open_pid(own->pid, &why);

		if (fd < 0) {
			log_debug(AGENT, "workload %s: %s", own->name, why.text);
			r->missing++;
			continue;
		}
		seen(&s, fd, -1, own->netns, own->pid, own);
		close(fd);
	}
	if (c->discover_netns) {
		note_known(r);
		rc = link_each_netns(is_known, on_netns, &s, err);
		free(r->nsid);
		r->nsid = NULL;
		r->nnsid = 0;
	}
	r->missing += rc != 0;
	*changed = s.changed;
	return rc;
}

/* A new one's first process is looked for by its first, second, fourth and eighth reap. */
static bool young_look(struct workload *w)
{
	w->young++;
	return w->young <= YOUNG_REAPS && !(w->young & (w->young - 1));
}

/* Each is asked by itself first: does a path name it, is the process that was known to be in it still there. Only where both say no, while a new one
 * has no process yet, and each PIDS_REAPS for the processes that are shown, is every process looked at. */
int registry_reap(struct registry *r, void (*gone)(void *ctx, struct workload *), void *ctx, struct err *err)
{
	bool all = r->reaps++ % PIDS_REAPS == 0;
	struct census census = { 0 };
	bool taken = false;
	struct workload *next;
	int rc = census_paths_look(&r->paths, err);

	for (struct workload *w = r->first; w && !rc; w = next) {
		next = w->next;
		if (!all && (w->pid || !young_look(w)) && (census_paths_has(&r->paths, w->ino) || (w->pid && census_lives(w->pid, w->ino))))
			continue;
		if (!taken && (rc = census_take(&census, getpid(), err)))
			break;
		taken = true;
		if (census_has(&census, w->ino, &w->pid)) {
			learn_who(w, NULL);
			continue;
		}
		log_info(AGENT, "workload %s is gone", w->name);
		r->gone++;
		gone(ctx, w);
	}
	census_free(&census);
	return rc;
}

/* ---- configuration ---- */

static const struct static_workload *own_of(const struct config *c, const char *name)
{
	for (unsigned i = 0; i < c->nstatics; i++)
		if (!strcmp(c->statics[i].name, name))
			return &c->statics[i];
	return NULL;
}

static bool same_text(const char *a, const char *b) { return a && b ? !strcmp(a, b) : a == b; }

/* Who it is and where: what is read when a workload is found, not at each change of options. */
static bool same_static(const struct static_workload *a, const struct static_workload *b)
{
	if (!a || !b)
		return a == b;
	if (!same_text(a->netns, b->netns) || a->pid != b->pid || !same_text(a->interface, b->interface) || !same_text(a->image, b->image) ||
	    a->labels.n != b->labels.n)
		return false;
	for (unsigned i = 0; i < a->labels.n; i++)
		if (strcmp(a->labels.v[i].key, b->labels.v[i].key) || strcmp(a->labels.v[i].value, b->labels.v[i].value))
			return false;
	return true;
}

/* The workload that was discovered in the netns which a static one names now; NULL: none. */
static struct workload *discovered_in(struct registry *r, const struct static_workload *own)
{
	struct err why = { "" };
	int fd = own->netns ? netns_open(own->netns, &why) : netns_open_pid(own->pid, &why);
	struct workload *w = NULL;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st))
		w = by_ino(r, st.st_ino);
	close(fd);
	return w && !w->own ? w : NULL;
}

void registry_configure(struct registry *r, const struct config *c, void (*gone)(void *ctx, struct workload *), void *ctx)
{
	struct workload *next;

	for (struct workload *w = r->first; w; w = next) {
		const struct static_workload *own = own_of(c, w->name);
		bool same = same_static(w->own, own);

		next = w->next;
		w->own = own;
		if (!same || (!own && (!c->discover_netns || config_excluded(c, w->name)))) {
			gone(ctx, w);	/* the next scan finds it again if it is still wanted */
			continue;
		}
		configure_one(r, c, w);
	}
	for (unsigned i = 0; i < c->nstatics; i++) {
		struct workload *w = discovered_in(r, &c->statics[i]);

		if (w)
			gone(ctx, w);	/* it gets the name that it was given */
	}
}

int registry_change_app(struct registry *r, const struct config *c, struct workload *w, bool add, const struct app_port *p, struct err *err)
{
	bool has = find_port(&w->opts.apps, p) >= 0;
	struct app_change *n;

	if (w->opts.apps.all)
		return err_set(err, -EINVAL, "workload %s: its apps are `all`", w->name);
	if (add == has)
		return err_set(err, add ? -EEXIST : -ENOENT, "workload %s: port %u is %s", w->name, p->port, add ? "an app already" : "no app of it");
	if (add && w->opts.apps.n == APP_PORTS_MAX)
		return err_set(err, -ENOSPC, "workload %s: has %d apps already", w->name, APP_PORTS_MAX);
	n = calloc(1, sizeof *n);
	if (!n)
		return err_set(err, -ENOMEM, "no memory");
	snprintf(n->name, sizeof n->name, "%s", w->name);
	n->add = add;
	n->port = *p;
	/* In the order in which they were said; an earlier opposite one of the same port is undone by it. */
	struct app_change **end = &r->changes;
	while (*end) {
		struct app_change *old = *end;

		if (!strcmp(old->name, n->name) && old->port.port == p->port && old->port.ipproto == p->ipproto) {
			*end = old->next;
			free(old);
		} else {
			end = &old->next;
		}
	}
	*end = n;
	configure_one(r, c, w);
	return 0;
}

bool registry_quarantined(const struct registry *r, const char *name)
{
	for (unsigned i = 0; i < r->nquarantined; i++)
		if (!strcmp(r->quarantined[i], name))
			return true;
	return false;
}

void registry_free(struct registry *r)
{
	while (r->first)
		registry_drop(r, r->first);
	for (unsigned i = 0; i < r->nquarantined; i++)
		free(r->quarantined[i]);
	free(r->quarantined);
	while (r->changes) {
		struct app_change *c = r->changes;

		r->changes = c->next;
		free(c);
	}
	census_paths_free(&r->paths);
}
