/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_schema: how a table of keys describes a struct: where each key is kept, what it takes, what it is by default.
 *
 * A key's path is dotted and relative to its table; sections ("nfq") exist by the keys under them. Keys of one section stand
 * together. Reading, defaults, -o, dumping, freeing and messages all go over the table. */
#ifndef TQ_AGENT_CONFIG_SCHEMA_H
#define TQ_AGENT_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "agent/yaml.h"

#define CONFIG_PATH_MAX 128

struct key;

/* What a value is. path: the full dotted path, for messages. at: the field, zero or to be replaced by `release` before. */
struct value_ops {
	int (*get)(const struct yaml *, struct fy_node *, const struct key *, const char *path, void *at, struct err *);
	void (*put)(const struct key *, const void *at, FILE *);	/* YAML flow syntax, on the line that is open */
	void (*release)(const struct key *, void *at);			/* NULL: holds nothing */
};

struct word { const char *text; int value; };	/* value LATER: not in this version */
#define LATER (-1000)

struct key {
	const char *path;
	const struct value_ops *ops;
	size_t at, size;	/* of the field; size 0: nothing is kept */
	const char *dflt;	/* YAML; NULL: zero */
	const struct word *words;	/* {0} at the end; accepted words (words.put writes the first with the value) */
	uint64_t min, max;
	size_t set_at;		/* offset of a bool that says the key was given; 0: none */
	/* lists: the field is a pointer, its count (unsigned) stands at n_at of the same struct */
	size_t n_at, item_size;
	const struct key *items;	/* table of an item's keys */
	/* A whole item at items[n]; those before it are checked already. */
	int (*check)(const struct yaml *, struct fy_node *, const char *path, const void *items, unsigned n, struct err *);
};

/* Where a key is kept. */
#define AT(s, field) .at = offsetof(struct s, field), .size = sizeof(((struct s *)0)->field)

extern const struct key config_keys[];		/* of struct config; {0} at the end */

extern const struct value_ops value_text, value_opt_text /* empty: NULL */, value_ifname, value_word, value_word_text /* kept as text */, value_bool, value_number, value_size,
	value_size_pow2,	value_duration /* ns; min and max in ms */, value_seconds, value_mark /* uint32_t[2] */, value_apps, value_labels, value_globs, value_list, value_discover, value_types,
	value_fixed /* a key of a later version: only its default is taken */;

/* Reads a mapping over the table into base. path: where it stands ("": the top), within: the section of the table that it is ("" or "nfq."). */
int schema_get(const struct yaml *, struct fy_node *map, const char *path, const char *within, const struct key *table, void *base, struct err *);
/* Reads one node as the key or section of that dotted name. */
int schema_get_path(const struct yaml *, struct fy_node *, const char *path, const struct key *table, void *base, struct err *);
int schema_defaults(const struct key *table, void *base, struct err *);
/* Block style at the top; flow style within lists, where keys that were not given are left out. */
void schema_put(const struct key *table, const void *base, FILE *);
void schema_put_flow(const struct key *table, const void *base, FILE *);
void schema_release(const struct key *table, void *base);

/* "path: what is there is not expected". */
int value_fail(const struct yaml *, struct fy_node *, const char *path, const char *expected, struct err *);
int value_no_memory(struct err *);
void value_put_text(const char *, FILE *);	/* in double quotes */
/* "64MiB", "65536"; "2s", "200ms", "5" (seconds) to ns. 0 or -EINVAL. */
int value_parse_size(const char *, uint64_t *out);
int value_parse_duration(const char *, int64_t *ns);

#endif
