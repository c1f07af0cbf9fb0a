/* SPDX-License-Identifier: GPL-2.0-or-later */
/* jbuf: JSON written by appending; never builds a tree.
 *
 * Commas and nesting are kept by the buffer. Strings are escaped; bytes that are not
 * valid UTF-8 are written as U+FFFD per byte (RFC 8259 wants UTF-8), so any hostile
 * string makes valid JSON. Growth is by malloc up to `cap`; past it the buffer is
 * marked overflowed and later writes do nothing. */
#ifndef TQ_BASE_JBUF_H
#define TQ_BASE_JBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JBUF_DEPTH_MAX 16

struct jbuf {
	char *p;
	size_t len, size, cap;
	bool overflow;
	uint8_t depth;
	bool comma[JBUF_DEPTH_MAX];	/* a value has been written at this depth */
};

void jb_init(struct jbuf *j, size_t cap);	/* cap in bytes, > 0 */
void jb_free(struct jbuf *j);
void jb_reset(struct jbuf *j);			/* empties, keeps the memory */
void jb_cut(struct jbuf *j, size_t len);	/* back to what it held when its length was `len`, at the top */

/* key NULL inside arrays and at the top. */
void jb_obj(struct jbuf *j, const char *key);
void jb_arr(struct jbuf *j, const char *key);
void jb_end_obj(struct jbuf *j);
void jb_end_arr(struct jbuf *j);
void jb_str(struct jbuf *j, const char *key, const char *s);		/* NULL s: null */
void jb_strn(struct jbuf *j, const char *key, const void *s, size_t n);
void jb_u64(struct jbuf *j, const char *key, uint64_t v);
void jb_i64(struct jbuf *j, const char *key, int64_t v);
void jb_f64(struct jbuf *j, const char *key, double v);			/* shortest of %.17g that round-trips */
void jb_bool(struct jbuf *j, const char *key, bool v);
void jb_null(struct jbuf *j, const char *key);
void jb_raw(struct jbuf *j, const char *key, const char *json, size_t n);	/* n bytes that are JSON already */
/* Members that were written before, behind others of an object (so they begin with a comma), now behind others again. */
void jb_more(struct jbuf *j, const char *members, size_t n);
void jb_newline(struct jbuf *j);	/* '\n' at depth 0, for JSON lines */

#endif
