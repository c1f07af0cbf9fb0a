/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/quarantine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/attach.h"
#include "agent/reconcile.h"
#include "base/log.h"

#define PATH_SIZE 512

void quarantine_file(const char *control, char *out, size_t size) { snprintf(out, size, "%s.quarantine", control); }

/* ---- names ---- */

static int add_name(struct registry *r, const char *name, struct err *err)
{
	char **more;

	if (registry_quarantined(r, name))
		return 0;
	if (r->nquarantined == QUARANTINED_MAX)
		return err_set(err, -E2BIG, "quarantine: %d names are in it already", QUARANTINED_MAX);
	more = realloc(r->quarantined, (r->nquarantined + 1) * sizeof *more);
	if (more)
		r->quarantined = more;
	if (!more || !(more[r->nquarantined] = strdup(name)))
		return err_set(err, -ENOMEM, "no memory");
	r->nquarantined++;
	return 0;
}

static void take_name(struct registry *r, const char *name)
{
	for (unsigned i = 0; i < r->nquarantined; i++) {
		if (strcmp(r->quarantined[i], name))
			continue;
		free(r->quarantined[i]);
		r->quarantined[i] = r->quarantined[--r->nquarantined];
		return;
	}
}

/* ---- the file: a name a line ---- */

static int save(const struct node *n, struct err *err)
{
	char path[PATH_SIZE], tmp[PATH_SIZE + 4];
	bool whole;
	FILE *f;

	quarantine_file(n->config->control, path, sizeof path);
	if (!n->reg.nquarantined)
		return unlink(path) && errno != ENOENT ? err_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
	snprintf(tmp, sizeof tmp, "%s.new", path);
	f = fopen(tmp, "we");
	for (unsigned i = 0; f && i < n->reg.nquarantined; i++)
		fprintf(f, "%s\n", n->reg.quarantined[i]);
	whole = f && !fflush(f) && !ferror(f) && !fsync(fileno(f));
	if ((f && fclose(f)) || !whole || rename(tmp, path))
		return err_set(err, -errno, "%s: %s: the quarantine holds, but a restart would not know of it", path, strerror(errno));
	return 0;
}

int quarantine_load(struct node *n, struct err *err)
{
	char path[PATH_SIZE], *line = NULL;
	size_t size = 0;
	ssize_t len;
	FILE *f;
	int rc = 0;

	quarantine_file(n->config->control, path, sizeof path);
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? 0 : err_set(err, -errno, "%s: %s", path, strerror(errno));
	while (!rc && (len = getline(&line, &size, f)) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (*line)
			rc = add_name(&n->reg, line, err);
	}
	if (!rc && ferror(f))
		rc = err_set(err, -EIO, "%s: cannot be read", path);
	free(line);
	fclose(f);
	if (!rc && n->reg.nquarantined)
		log_warn(AGENT, "%u workloads are in quarantine since before this start", n->reg.nquarantined);
	return rc;
}

/* ---- on and off ---- */

static void mirror(struct node *n, struct workload *w)
{
	attach_mirror(n, w, attach_excludes(w));
	node_publish(n, true, 0);
}

/* The quickest first: filters, which cut both directions of every family at once; the word to the workers; the chains. Where no bridge stands yet (no
 * workload is mirrored) chains are quicker than it is made. */
static void cut_off(struct node *n, struct workload *w)
{
	struct peer_port peers[ATTACH_PEERS_MAX];
	struct err err = { "" };
	unsigned npeers;
	bool bridge = n->bridge_up;

	attach_want(w);
	if (bridge)
		mirror(n, w);
	else
		node_publish(n, true, 0);
	npeers = attach_peers(n, w, false, peers);
	if (w->queue.wanted)
		attach_queue(n, w, peers, npeers);
	else
		attach_cut(n, w);
	if (!bridge && reconcile_bridge(n, &err))
		log_error(BRIDGE, "%s", err.text);
	if (!bridge)
		mirror(n, w);
}

static int complete(const struct workload *w, struct err *err)
{
	for (unsigned i = 0; i < w->nlinks; i++)
		if (!w->links[i].cut)
			return err_set(err, -EIO, "workload %s: its chains cut it off, but not seen: %s: %.160s", w->name, w->links[i].end.host_name, w->links[i].tc_error.text);
	if (!w->cut.ready && !(w->queue.ready && w->queue.quarantined))
		return err_set(err, -EIO, "workload %s: its filters cut it off, but its chains are missing: %.160s", w->name, w->queue.wanted ? w->queue.error.text : w->cut.error.text);
	return 0;
}

/* Containers choose their host names: two may have the same. */
static struct workload *next_named(struct workload *w, const char *name)
{
	while (w && strcmp(w->name, name))
		w = w->next;
	return w;
}

int quarantine_set(struct node *n, const char *name, bool on, struct err *err)
{
	struct workload *first = next_named(n->reg.first, name);
	int rc;

	if (on && !first)
		return err_set(err, -ENOENT, "workload %s: there is none of that name", name);
	if (!on && !registry_quarantined(&n->reg, name))
		return err_set(err, -ENOENT, "workload %s: is not in quarantine", name);
	rc = on ? add_name(&n->reg, name, err) : 0;
	if (rc)
		return rc;
	if (!on)
		take_name(&n->reg, name);
	log_warn(AGENT, "workload %s: quarantine %s", name, on ? "on" : "off");
	for (struct workload *w = first; w; w = next_named(w->next, name)) {
		w->quarantined = on;
		if (on)
			cut_off(n, w);
		w->changed = true;
	}
	if (first) {
		node_reconcile(n, false);
		node_publish(n, true, 0);
	}
	rc = save(n, err);
	for (struct workload *w = first; w && !rc && on; w = next_named(w->next, name))
		rc = complete(w, err);
	return rc;
}
