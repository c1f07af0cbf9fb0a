/* SPDX-License-Identifier: GPL-2.0-or-later */
/* yaml: one YAML document with bounds, whose errors name file and line. Configuration and policy are read through it.
 *
 * Accepted: one document, <= 16 MiB, nesting < 64, scalars, sequences and mappings. Anchors, aliases, merge keys and tags are refused
 * (an alias can stand for a billion nodes). Duplicate keys are refused by yaml_each_pair, which is how mappings are walked. */
#ifndef TQ_AGENT_YAML_H
#define TQ_AGENT_YAML_H

#include <libfyaml.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define YAML_FILE_MAX (16u << 20)	/* bytes; a policy of 65,536 rules has about 8 MiB */
#define YAML_SHOW_MAX 64

struct yaml;

/* NULL + "file: ..." or "file:line: ..." in err. An empty document has the root NULL. */
struct yaml *yaml_read(const char *file, struct err *);
/* Copies the text; name stands for it in messages. lines: messages name line numbers (a file's content, not a command line's). */
struct yaml *yaml_parse(const char *text, size_t n, const char *name, bool lines, struct err *);
void yaml_free(struct yaml *);		/* NULL is fine */
struct fy_node *yaml_root(const struct yaml *);
const char *yaml_text(const struct yaml *);	/* as read */

/* "name:line: text"; line is where the node begins (NULL: none). Returns -EINVAL. */
int yaml_fail(const struct yaml *, struct fy_node *at, struct err *, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
unsigned yaml_line(struct fy_node *);	/* from 1; 0: unknown */

/* A scalar's text, NUL-terminated, owned by the document; NULL when it is no scalar or holds a NUL. A missing value is "". */
const char *yaml_scalar(struct fy_node *);
/* Plain: neither quoted nor a block, so that true and 12 may be a flag and a number. */
bool yaml_plain(struct fy_node *);
/* For messages: 'text' (cut, control characters masked), a list, a mapping, nothing. */
const char *yaml_show(struct fy_node *, char buf[YAML_SHOW_MAX]);

/* Calls fn for each pair of a mapping until it returns nonzero, which is then returned. -EINVAL + err: a key is no text or is there twice.
 * path: where the mapping stands, for messages ("" or "nfq"); max: pairs at most. */
typedef int (*yaml_pair)(void *ctx, const char *key, struct fy_node *key_node, struct fy_node *value, struct err *);
int yaml_each_pair(const struct yaml *, struct fy_node *map, const char *path, unsigned max, yaml_pair fn, void *ctx, struct err *);

/* The name in a NULL-terminated list that `word` was most likely meant to be; NULL when none is near. */
const char *yaml_nearest(const char *word, const char *const *names);

#endif
