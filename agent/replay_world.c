/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/replay_world.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define PORTS_MAX 32768

struct reading {
	const char *file;
	struct names *names;
	const struct policy_file *policy;
	struct world_port *ports;
	unsigned n;
};

static int bad(struct err *err, const char *file, size_t i, const char *what)
{
	return err_set(err, -EINVAL, "%s: workload %zu: %s", file, i, what);
}

static int read_mac(const char *s, uint8_t mac[6])
{
	int n = 0;

	if (!s || sscanf(s, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5], &n) != 6 || s[n])
		return -EINVAL;
	return 0;
}

static int read_port(const json_t *iface, struct world_port *p)
{
	const json_t *v;
	size_t i;

	if (read_mac(json_string_value(json_object_get(iface, "mac")), p->mac))
		return -EINVAL;
	json_array_foreach(json_object_get(iface, "addresses"), i, v) {
		if (p->naddrs == LINK_ADDRS_MAX)
			break;
		if (!json_string_value(v) || addr_parse(json_string_value(v), &p->addrs[p->naddrs]))
			return -EINVAL;
		p->naddrs++;
	}
	return 0;
}

static int read_labels(json_t *o, struct labels *out)
{
	const char *key;
	json_t *v;

	*out = (struct labels){ 0 };
	out->v = calloc(json_object_size(o) + 1, sizeof *out->v);
	if (!out->v)
		return -ENOMEM;
	json_object_foreach(o, key, v) {
		if (!json_is_string(v))
			return -EINVAL;
		/* borrowed: the document outlives them */
		out->v[out->n].key = (char *)(uintptr_t)key;
		out->v[out->n++].value = (char *)(uintptr_t)json_string_value(v);
	}
	return 0;
}

static int read_workload(struct reading *r, size_t at, json_t *w, struct err *err)
{
	const char *name = json_string_value(json_object_get(w, "name"));
	const json_t *iface;
	struct group_set groups = { { 0 } };
	struct labels labels;
	uint32_t id;
	size_t i;
	int rc;

	if (!name)
		return bad(err, r->file, at, "has no name");
	rc = read_labels(json_object_get(w, "labels"), &labels);
	if (rc) {
		free(labels.v);
		return bad(err, r->file, at, "labels are names with texts");
	}
	id = names_add_workload(r->names, name, &labels);
	if (r->policy) {
		struct policy_who who = { .name = name, .labels = &labels, .image = json_string_value(json_object_get(w, "image")),
					  .netns = json_string_value(json_object_get(w, "netns_path")) };

		policy_file_groups(r->policy, &who, &groups);
	}
	free(labels.v);
	json_array_foreach(json_object_get(w, "interfaces"), i, iface) {
		struct world_port *p = &r->ports[r->n];

		if (r->n == PORTS_MAX)
			return bad(err, r->file, at, "too many interfaces");
		*p = (struct world_port){ .row.workload = id, .view = 2 * (r->n + 1), .groups = groups };
		if (read_port(iface, p))
			return bad(err, r->file, at, "an interface whose mac or addresses make no sense");
		r->n++;
	}
	return 0;
}

static int read_workloads(struct reading *r, struct err *err)
{
	json_error_t e;
	json_t *doc = json_load_file(r->file, JSON_REJECT_DUPLICATES, &e), *list, *w;
	size_t i;
	int rc = 0;

	list = json_object_get(json_object_get(doc, "data"), "workloads");
	if (!list)
		list = json_object_get(doc, "workloads");
	if (!doc)
		rc = e.line > 0 ? err_set(err, -EINVAL, "%s:%d: %s", r->file, e.line, e.text) : err_set(err, -EINVAL, "%s: %s", r->file, e.text);
	else if (!json_is_array(list))
		rc = err_set(err, -EINVAL, "%s: holds no list of workloads as `tapq workloads --json` prints it", r->file);
	else
		json_array_foreach(list, i, w)
			if (!rc)
				rc = read_workload(r, i, w, err);
	json_decref(doc);
	return rc;
}

struct world *replay_world_read(const char *file, struct names *names, const struct policy_file *policy, struct err *err)
{
	struct reading r = { .file = file, .names = names, .policy = policy };
	struct world *world = NULL;

	r.ports = malloc(PORTS_MAX * sizeof *r.ports);	/* touched as far as it is filled */
	if (!r.ports) {
		err_set(err, -ENOMEM, "no memory");
	} else if (!file || !read_workloads(&r, err)) {
		world = world_new(r.ports, r.n, policy ? policy_file_policy(policy) : NULL, 0, 0);
		if (!world)
			err_set(err, -ENOMEM, "no memory");
	}
	free(r.ports);
	return world;
}
