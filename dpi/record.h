/* SPDX-License-Identifier: GPL-2.0-or-later */
/* record: builds the body of one event, item by item, in a fixed buffer.
 *
 * A record that grows past its buffer keeps what fits, closes its nesting and is marked
 * `full` (counted by whoever emits it). Strings are cut at RECORD_STR_MAX. */
#ifndef TQ_DPI_RECORD_H
#define TQ_DPI_RECORD_H

#include "dpi/event.h"

#define RECORD_MAX 16384u
#define RECORD_STR_MAX 4096u
#define RECORD_DEPTH_MAX 8

struct record {
	uint32_t len;
	uint32_t asked;		/* where begins what rules alone ask for: it is judged, not told, for its facts live as long as the policy. 0: all is told */
	uint8_t depth;
	uint8_t lost_depth;	/* objects opened after the buffer was full */
	bool full;
	uint8_t body[RECORD_MAX] __attribute__((aligned(8)));
};

void rec_reset(struct record *r);
static inline uint32_t rec_told(const struct record *r) { return r->asked ? r->asked : r->len; }
void rec_str(struct record *r, const struct fact *f, const void *p, size_t n);
static inline void rec_bytes(struct record *r, const struct fact *f, struct bytes b) { rec_str(r, f, b.p, b.n); }
void rec_cstr(struct record *r, const struct fact *f, const char *s);
void rec_u64(struct record *r, const struct fact *f, uint64_t v);
void rec_i64(struct record *r, const struct fact *f, int64_t v);
void rec_time(struct record *r, const struct fact *f, int64_t ns);	/* a timestamp, ns since the epoch */
void rec_bool(struct record *r, const struct fact *f, bool v);
void rec_obj(struct record *r, const struct fact *f);	/* f NULL inside an array */
void rec_arr(struct record *r, const struct fact *f);
void rec_end(struct record *r);				/* closes the innermost object or array */
void rec_printf(struct record *r, const struct fact *f, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Says that lists of this record are not whole: `partial`. */
void rec_partial(struct record *r);
/* Appends a body saved earlier (whole items). */
void rec_append(struct record *r, const void *body, uint32_t len);
/* The first string item with that role at any depth; {NULL,0} when there is none. */
struct bytes rec_find(const uint8_t *body, uint32_t len, enum fact_role role);

#endif
