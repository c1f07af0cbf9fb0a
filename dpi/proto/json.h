/* SPDX-License-Identifier: GPL-2.0-or-later */
/* json: single values out of an object, as far as protocols need them. */
#ifndef TQ_DPI_PROTO_JSON_H
#define TQ_DPI_PROTO_JSON_H

#include "base/cursor.h"
#include "dpi/record.h"

#define JSON_TEXT_MAX 1024u	/* bytes told of a string with escapes */

/* The value under that name in an object `depth` deep (1: the outermost): a string without its quotes, escapes as they are, or a
 * number or word as text. The last one, which is what those take who read it; n 0: there is none. Linear in the text. */
struct bytes json_value(struct bytes json, unsigned depth, const char *name);
/* A string's text, escapes undone; how many bytes, at most room. */
size_t json_text(struct bytes string, uint8_t *out, size_t room);
/* Tells a value, escapes undone. */
void json_put(struct record *r, const struct fact *f, struct bytes value);

#endif
