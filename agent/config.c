/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading: built-in defaults, then the file, then -o and -m in their order, all over the one table in config_schema.c; then what no
 * single key can say. */
#include "agent/config.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config_schema.h"

#define POLICY_DEFAULT_FILE "/etc/tapqueue/policy.yaml"
#define RING_BYTES_MAX (UINT64_C(4) << 30)

static int load_file(struct config *c, const char *file, struct err *e)
{
	struct yaml *y = yaml_read(file, e);
	int r;

	if (!y)
		return -EINVAL;
	r = yaml_root(y) ? schema_get(y, yaml_root(y), "", "", config_keys, c, e) : 0;
	yaml_free(y);
	return r;
}

/* KEY=VALUE; VALUE is YAML, so lists are written [a, b]. */
static int load_override(struct config *c, const char *text, struct err *e)
{
	const char *eq = strchr(text, '=');
	char path[CONFIG_PATH_MAX];
	struct yaml *y;
	int r;

	if (!eq || eq == text || (size_t)(eq - text) >= sizeof path)
		return err_set(e, -EINVAL, "-o: '%.60s' is not KEY=VALUE", text);
	snprintf(path, sizeof path, "%.*s", (int)(eq - text), text);
	y = yaml_parse(eq + 1, strlen(eq + 1), "-o", false, e);
	if (!y)
		return -EINVAL;
	r = schema_get_path(y, yaml_root(y), path, config_keys, c, e);
	yaml_free(y);
	return r;
}

/* What the table cannot say. */
static int finish(struct config *c, struct err *e)
{
	char host[CONFIG_NAME_MAX] = "";
	const char *where = c->file ? c->file : "-o";

	if (!c->node) {
		gethostname(host, sizeof host - 1);
		c->node = strdup(host[0] ? host : "localhost");
	}
	if (!c->policy_named && !access(POLICY_DEFAULT_FILE, F_OK))
		c->policy = strdup(POLICY_DEFAULT_FILE);
	if (!c->node)
		return err_set(e, -ENOMEM, "out of memory");
	if ((uint64_t)c->ring_block_size * c->ring_blocks > RING_BYTES_MAX)
		return err_set(e, -EINVAL, "%s: tc.ring: block_size times blocks is more than 4GiB", where);
	c->defaults.mode = c->mode;
	return 0;
}

struct config *config_load(const char *file, const char *const *overrides, unsigned noverrides, struct err *e)
{
	struct config *c = calloc(1, sizeof *c);
	int r;

	if (!c) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	r = schema_defaults(config_keys, c, e);
	if (!r && file) {
		c->file = strdup(file);
		r = c->file ? load_file(c, file, e) : err_set(e, -ENOMEM, "out of memory");
	}
	for (unsigned i = 0; i < noverrides && !r; i++)
		r = load_override(c, overrides[i], e);
	if (!r)
		r = finish(c, e);
	if (r) {
		config_free(c);
		return NULL;
	}
	return c;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	schema_release(config_keys, c);
	free(c->file);
	free(c);
}

void config_dump(const struct config *c, FILE *f) { schema_put(config_keys, c, f); }

static void apply(struct wl_opts *to, const struct wl_opts *from)
{
	if (from->set_mode)
		to->mode = from->mode;
	if (from->set_apps)
		to->apps = from->apps;
	if (from->set_side)
		to->side = from->side;
	if (from->set_loopback)
		to->loopback = from->loopback;
	if (from->set_fail)
		to->fail = from->fail;
	to->set_mode |= from->set_mode;
	to->set_apps |= from->set_apps;
	to->set_side |= from->set_side;
	to->set_loopback |= from->set_loopback;
	to->set_fail |= from->set_fail;
}

static bool has_label(const struct labels *labels, const struct label *want)
{
	for (unsigned i = 0; labels && i < labels->n; i++)
		if (!strcmp(labels->v[i].key, want->key) && !strcmp(labels->v[i].value, want->value))
			return true;
	return false;
}

static bool matches(const struct override *o, const char *name, const struct labels *labels)
{
	if (o->workload && fnmatch(o->workload, name, 0))
		return false;
	for (unsigned i = 0; i < o->labels.n; i++)
		if (!has_label(labels, &o->labels.v[i]))
			return false;
	return true;
}

struct wl_opts config_workload_opts(const struct config *c, const char *name, const struct labels *labels, const struct static_workload *own)
{
	struct wl_opts opts = c->defaults;

	if (own)
		apply(&opts, &own->opts);
	for (unsigned i = 0; i < c->noverrides; i++) {
		if (matches(&c->overrides[i], name, labels)) {
			apply(&opts, &c->overrides[i].opts);
			break;
		}
	}
	return opts;
}

struct wl_opts config_override_opts(const struct config *c, unsigned i)
{
	struct wl_opts opts = c->defaults;

	apply(&opts, &c->overrides[i].opts);
	return opts;
}

bool config_excluded(const struct config *c, const char *name)
{
	for (unsigned i = 0; i < c->nexclude; i++)
		if (!fnmatch(c->exclude[i], name, 0))
			return true;
	return false;
}
