/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: libfyaml parses; this file bounds what it may be given, refuses what this agent has no use for, and turns
 * nodes into messages. A document is checked once, as a whole, right after parsing (check_node), so that whoever walks it later meets
 * scalars, sequences and mappings with text keys only. Nothing is resolved, so an alias never expands. Keys that are there twice are
 * found while a mapping is walked: callers refuse unknown keys or bound the number of pairs, which keeps that search short. */
#include "agent/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct yaml {
	char *name;
	char *text;
	size_t n;
	bool lines;
	struct fy_diag *diag;
	struct fy_parser *parser;
	struct fy_document *doc;
};

/* Where a collection begins is where its first scalar stands; an empty one is told by what it is in. */
static const struct fy_mark *mark_within(struct fy_node *node)
{
	while (node) {
		void *it = NULL;

		if (fy_node_is_scalar(node)) {
			struct fy_token *t = fy_node_get_scalar_token(node);
			return t ? fy_token_start_mark(t) : NULL;
		}
		if (fy_node_is_mapping(node)) {
			struct fy_node_pair *p = fy_node_mapping_iterate(node, &it);
			node = p ? fy_node_pair_key(p) : NULL;
		} else {
			node = fy_node_sequence_iterate(node, &it);
		}
	}
	return NULL;
}

static struct fy_node *key_of(struct fy_node *map, struct fy_node *value)
{
	struct fy_node_pair *p;
	void *it = NULL;

	while ((p = fy_node_mapping_iterate(map, &it)))
		if (fy_node_pair_value(p) == value)
			return fy_node_pair_key(p);
	return NULL;
}

unsigned yaml_line(struct fy_node *node)
{
	for (struct fy_node *parent; node; node = parent) {
		const struct fy_mark *m = mark_within(node);

		parent = fy_node_get_parent(node);
		if (!m && parent && fy_node_is_mapping(parent))
			m = mark_within(key_of(parent, node));
		if (m)
			return (unsigned)m->line + 1;
	}
	return 0;
}

int yaml_fail(const struct yaml *y, struct fy_node *at, struct err *e, const char *fmt, ...)
{
	unsigned line = y->lines ? yaml_line(at) : 0;
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (line)
		return err_set(e, -EINVAL, "%s:%u: %s", y->name, line, text);
	return err_set(e, -EINVAL, "%s: %s", y->name, text);
}

const char *yaml_scalar(struct fy_node *node)
{
	const char *s;

	if (!node)
		return "";
	if (!fy_node_is_scalar(node))
		return NULL;
	s = fy_node_get_scalar0(node);
	if (!s)
		return "";
	return strlen(s) == fy_node_get_scalar_length(node) ? s : NULL;
}

bool yaml_plain(struct fy_node *node)
{
	return node && fy_node_is_scalar(node) && fy_node_get_style(node) == FYNS_PLAIN;
}

const char *yaml_show(struct fy_node *node, char buf[YAML_SHOW_MAX])
{
	const char *s;
	size_t n;

	if (node && fy_node_is_sequence(node))
		return "a list";
	if (node && fy_node_is_mapping(node))
		return "a mapping";
	s = yaml_scalar(node);
	if (!s)
		return "text with a NUL in it";
	if (!*s && (!node || yaml_plain(node) || fy_node_is_null(node)))
		return "nothing";
	n = strlen(s);
	snprintf(buf, YAML_SHOW_MAX, n > YAML_SHOW_MAX - 6 ? "'%.*s...'" : "'%.*s'", YAML_SHOW_MAX - 6, s);
	for (char *p = buf; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return buf;
}

/* Everything that the rest need not think of. Recursion is bounded by the parser's depth limit. */
static int check_node(const struct yaml *y, struct fy_node *node, struct err *e)
{
	void *it = NULL;
	struct fy_node_pair *p;
	struct fy_node *item;
	int r = 0;

	if (!node)
		return 0;
	if (fy_node_is_alias(node))
		return yaml_fail(y, node, e, "aliases (*name) are not accepted; text that begins with * needs quotes");
	if (fy_node_get_anchor(node))
		return yaml_fail(y, node, e, "anchors (&name) are not accepted");
	if (fy_node_get_tag_token(node))
		return yaml_fail(y, node, e, "tags (!name) are not accepted");
	if (fy_node_is_sequence(node)) {
		while (!r && (item = fy_node_sequence_iterate(node, &it)))
			r = check_node(y, item, e);
	} else if (fy_node_is_mapping(node)) {
		while (!r && (p = fy_node_mapping_iterate(node, &it))) {
			struct fy_node *key = fy_node_pair_key(p);

			if (!key || !fy_node_is_scalar(key) || !yaml_scalar(key))
				return yaml_fail(y, key ? key : node, e, "a key that is no plain text");
			r = check_node(y, key, e);
			if (!r)
				r = check_node(y, fy_node_pair_value(p), e);
		}
	}
	return r;
}

static int fail_parse(struct yaml *y, struct err *e)
{
	void *it = NULL;
	struct fy_diag_error *d = fy_diag_errors_iterate(y->diag, &it);

	if (!d)
		return err_set(e, -EINVAL, "%s: cannot be read as YAML", y->name);
	if (y->lines)
		return err_set(e, -EINVAL, "%s:%d: %s", y->name, d->line, d->msg);
	return err_set(e, -EINVAL, "%s: %s", y->name, d->msg);
}

static int parse(struct yaml *y, struct err *e)
{
	struct fy_diag_cfg dc;
	struct fy_parse_cfg pc = { .flags = FYPCF_QUIET | FYPCF_ALLOW_DUPLICATE_KEYS | FYPCF_JSON_NONE | FYPCF_DEFAULT_VERSION_1_2 };
	struct fy_document *second;

	if (memchr(y->text, 0, y->n))
		return err_set(e, -EINVAL, "%s: holds a NUL byte; this is no text", y->name);
	fy_diag_cfg_default(&dc);
	dc.fp = NULL;
	y->diag = fy_diag_create(&dc);
	if (!y->diag)
		return err_set(e, -ENOMEM, "%s: out of memory", y->name);
	fy_diag_set_collect_errors(y->diag, true);
	pc.diag = y->diag;
	y->parser = fy_parser_create(&pc);
	if (!y->parser || fy_parser_set_string(y->parser, y->text, y->n))
		return err_set(e, -ENOMEM, "%s: out of memory", y->name);
	y->doc = fy_parse_load_document(y->parser);
	if (!y->doc)
		return fy_parser_get_stream_error(y->parser) ? fail_parse(y, e) : 0;
	second = fy_parse_load_document(y->parser);
	if (second) {
		int r = yaml_fail(y, fy_document_root(second), e, "a second document begins; one is expected");

		fy_document_destroy(second);
		return r;
	}
	if (fy_parser_get_stream_error(y->parser))
		return fail_parse(y, e);
	return check_node(y, fy_document_root(y->doc), e);
}

static struct yaml *adopt(char *text, size_t n, const char *name, bool lines, struct err *e)
{
	struct yaml *y = calloc(1, sizeof *y);

	if (y) {
		y->text = text;
		y->n = n;
		y->lines = lines;
		y->name = strdup(name);
	}
	if (!y || !y->name) {
		err_set(e, -ENOMEM, "%s: out of memory", name);
		if (!y)
			free(text);
		yaml_free(y);
		return NULL;
	}
	if (parse(y, e)) {
		yaml_free(y);
		return NULL;
	}
	return y;
}

struct yaml *yaml_parse(const char *text, size_t n, const char *name, bool lines, struct err *e)
{
	char *copy;

	if (n > YAML_FILE_MAX) {
		err_set(e, -EFBIG, "%s: longer than %u bytes", name, YAML_FILE_MAX);
		return NULL;
	}
	copy = malloc(n + 1);
	if (!copy) {
		err_set(e, -ENOMEM, "%s: out of memory", name);
		return NULL;
	}
	memcpy(copy, text, n);
	copy[n] = 0;
	return adopt(copy, n, name, lines, e);
}

struct yaml *yaml_read(const char *file, struct err *e)
{
	char *text = malloc(YAML_FILE_MAX + 2);
	size_t n = 0;
	ssize_t got = -1;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);	/* a FIFO must not hold us */

	if (!text) {
		err_set(e, -ENOMEM, "%s: out of memory", file);
	} else {
		while (fd >= 0 && n <= YAML_FILE_MAX && (got = read(fd, text + n, YAML_FILE_MAX + 1 - n)) > 0)
			n += (size_t)got;
		if (fd < 0 || got < 0) {
			err_set(e, -errno, "%s: %s", file, strerror(errno));
		} else if (n > YAML_FILE_MAX) {
			err_set(e, -EFBIG, "%s: longer than %u bytes", file, YAML_FILE_MAX);
		} else {
			close(fd);
			text[n] = 0;
			return adopt(text, n, file, true, e);
		}
	}
	if (fd >= 0)
		close(fd);
	free(text);
	return NULL;
}

void yaml_free(struct yaml *y)
{
	if (!y)
		return;
	fy_document_destroy(y->doc);
	if (y->parser)
		fy_parser_destroy(y->parser);
	if (y->diag)
		fy_diag_destroy(y->diag);
	free(y->text);
	free(y->name);
	free(y);
}

struct fy_node *yaml_root(const struct yaml *y) { return y->doc ? fy_document_root(y->doc) : NULL; }
const char *yaml_text(const struct yaml *y) { return y->text; }

static bool seen_before(struct fy_node *map, const struct fy_node_pair *until, const char *key)
{
	struct fy_node_pair *p;
	void *it = NULL;

	while ((p = fy_node_mapping_iterate(map, &it)) && p != until)
		if (!strcmp(yaml_scalar(fy_node_pair_key(p)), key))
			return true;
	return false;
}

int yaml_each_pair(const struct yaml *y, struct fy_node *map, const char *path, unsigned max, yaml_pair fn, void *ctx, struct err *e)
{
	struct fy_node_pair *p;
	void *it = NULL;
	unsigned n = 0;
	char buf[YAML_SHOW_MAX];
	const char *colon = *path ? ": " : "";

	if (!map || !fy_node_is_mapping(map))
		return yaml_fail(y, map, e, "%s%sexpected a mapping (key: value), not %s", path, colon, yaml_show(map, buf));
	while ((p = fy_node_mapping_iterate(map, &it))) {
		struct fy_node *key_node = fy_node_pair_key(p);
		const char *key = yaml_scalar(key_node);
		int r;

		if (++n > max)
			return yaml_fail(y, key_node, e, "%s%smore than %u keys", path, colon, max);
		if (seen_before(map, p, key))
			return yaml_fail(y, key_node, e, "%s%s%s: is there twice", path, *path ? "." : "", yaml_show(key_node, buf));
		r = fn(ctx, key, key_node, fy_node_pair_value(p), e);
		if (r)
			return r;
	}
	return 0;
}

/* Levenshtein's distance; words longer than 32 bytes are not compared. */
static unsigned distance(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	unsigned row[33];

	if (na > 32 || nb > 32)
		return 99;
	for (unsigned j = 0; j <= nb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= na; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= nb; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[nb];
}

const char *yaml_nearest(const char *word, const char *const *names)
{
	const char *best = NULL;
	unsigned least = strlen(word) > 4 ? 3 : 2;	/* exclusive */

	for (; *names; names++) {
		unsigned d = distance(word, *names);

		if (d < least) {
			least = d;
			best = *names;
		}
	}
	return best;
}
