/* SPDX-License-Identifier: GPL-2.0-or-later */
/* json: single values out of an object, as far as protocols need them. */
#ifndef TQ_DPI_PROTO_JSON_H
#define TQ_DPI_PROTO_JSON_H

#include "base/cursor.h"

/* The value under that name in an object `depth` deep (1: the outermost): a string without its quotes, escapes as they are, or a
 * number or word as text. The first one; n 0: there is none. Linear in the text. */
struct bytes json_value(struct bytes json, unsigned depth, const char *name);

#endif
