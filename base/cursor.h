/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cursor: the one reader of hostile bytes.
 *
 * A cursor is a view of bytes with a position and a sticky failure. Reads past the
 * end return zero (NULL for views) and mark the cursor; check cur_ok() once per
 * message. Nothing else in dpi/ moves a byte pointer. A failed cursor stays where
 * it was and answers zero for ever: loops ask cur_more(), not cur_left().
 *
 * Lengths are compared with what is left (`n > cur_left(c)`), never by adding to
 * a position, so no wire value can overflow. */
#ifndef TQ_BASE_CURSOR_H
#define TQ_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *start;	/* borrowed: valid as long as the bytes are */
	const uint8_t *pos;
	const uint8_t *end;
	bool failed;
};

/* A view of bytes; what parsers hand to records. p may be NULL when n is 0. */
struct bytes {
	const uint8_t *p;
	size_t n;
};

static inline struct cursor cur_of(const void *p, size_t n)
{
	const uint8_t *b = p;
	return (struct cursor){ .start = b, .pos = b, .end = b ? b + n : b, .failed = false };
}

static inline bool cur_ok(const struct cursor *c) { return !c->failed; }
static inline size_t cur_left(const struct cursor *c) { return (size_t)(c->end - c->pos); }
/* For loops: bytes are left, and nothing failed. A loop over cur_left() alone would go on for ever at a failed cursor, which does not move. */
static inline bool cur_more(const struct cursor *c) { return c->pos != c->end && !c->failed; }
static inline size_t cur_used(const struct cursor *c) { return (size_t)(c->pos - c->start); }
static inline void cur_fail(struct cursor *c) { c->failed = true; }

/* True when n more bytes can be read; otherwise marks the cursor failed. */
static inline bool cur_need(struct cursor *c, size_t n)
{
	if (c->failed || n > cur_left(c)) {
		c->failed = true;
		return false;
	}
	return true;
}

/* The next n bytes, consumed. NULL (and failed) when there are fewer. */
static inline const uint8_t *cur_take(struct cursor *c, size_t n)
{
	const uint8_t *p = c->pos;

	if (!cur_need(c, n))
		return NULL;
	if (n)		/* NULL + 0 is undefined */
		c->pos += n;
	return p;
}

static inline struct bytes cur_bytes(struct cursor *c, size_t n)
{
	const uint8_t *p = cur_take(c, n);
	return (struct bytes){ p, p ? n : 0 };
}

static inline struct bytes cur_rest(struct cursor *c) { return cur_bytes(c, cur_left(c)); }

static inline bool cur_skip(struct cursor *c, size_t n) { return cur_take(c, n) != NULL; }

/* A cursor over the next n bytes, which are consumed from c. Failed when there are fewer. */
static inline struct cursor cur_sub(struct cursor *c, size_t n)
{
	const uint8_t *p = cur_take(c, n);
	struct cursor s = cur_of(p, p ? n : 0);

	s.failed = p == NULL;
	return s;
}

static inline uint8_t cur_u8(struct cursor *c)
{
	const uint8_t *p = cur_take(c, 1);
	return p ? p[0] : 0;
}

static inline uint16_t cur_be16(struct cursor *c)
{
	const uint8_t *p = cur_take(c, 2);
	return (uint16_t)(p ? p[0] << 8 | p[1] : 0);
}

static inline uint32_t cur_be24(struct cursor *c)
{
	const uint8_t *p = cur_take(c, 3);
	return p ? (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2] : 0;
}

static inline uint32_t cur_be32(struct cursor *c)
{
	const uint8_t *p = cur_take(c, 4);
	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

static inline uint64_t cur_be64(struct cursor *c)
{
	uint64_t hi, lo;

	if (!cur_need(c, 8))
		return 0;
	hi = cur_be32(c);
	lo = cur_be32(c);
	return hi << 32 | lo;
}

static inline uint16_t cur_le16(struct cursor *c)
{
	const uint8_t *p = cur_take(c, 2);
	return (uint16_t)(p ? p[1] << 8 | p[0] : 0);
}

static inline uint32_t cur_le32(struct cursor *c)
{
	const uint8_t *p = cur_take(c, 4);
	return p ? (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0] : 0;
}

static inline uint64_t cur_le64(struct cursor *c)
{
	uint64_t hi, lo;

	if (!cur_need(c, 8))
		return 0;
	lo = cur_le32(c);
	hi = cur_le32(c);
	return hi << 32 | lo;
}

/* n bytes of a view from off on; empty where it does not reach so far. */
static inline struct bytes bytes_part(struct bytes b, size_t off, size_t n)
{
	if (off > b.n || n > b.n - off)
		return (struct bytes){ NULL, 0 };
	return (struct bytes){ b.p + off, n };
}

/* Numbers in a view that is known to reach so far (cur_take, cur_bytes): a header of fixed size is taken once and its fields read from it. */
static inline uint16_t be16_at(const uint8_t *view, size_t off) { return (uint16_t)(view[off] << 8 | view[off + 1]); }
static inline uint32_t be32_at(const uint8_t *view, size_t off)
{
	return (uint32_t)view[off] << 24 | (uint32_t)view[off + 1] << 16 | (uint32_t)view[off + 2] << 8 | view[off + 3];
}
static inline uint32_t le32_at(const uint8_t *view, size_t off)
{
	return (uint32_t)view[off + 3] << 24 | (uint32_t)view[off + 2] << 16 | (uint32_t)view[off + 1] << 8 | view[off];
}

/* The byte `off` after the position without consuming it; 0 and no failure when
 * there is none (a probe looks ahead; use cur_left to tell 0 from absent). */
static inline uint8_t cur_peek(const struct cursor *c, size_t off)
{
	return !c->failed && off < cur_left(c) ? c->pos[off] : 0;
}

/* True when the bytes at the position are those of `lit`; nothing is consumed. */
static inline bool cur_starts(const struct cursor *c, const void *lit, size_t n)
{
	return !c->failed && n <= cur_left(c) && (!n || memcmp(c->pos, lit, n) == 0);
}

/* Distance to the first `byte` at or after the position; SIZE_MAX when absent. */
static inline size_t cur_find(const struct cursor *c, uint8_t byte)
{
	const uint8_t *p;

	if (c->failed || c->pos == c->end)
		return SIZE_MAX;
	p = memchr(c->pos, byte, cur_left(c));
	return p ? (size_t)(p - c->pos) : SIZE_MAX;
}

/* A line up to LF, without LF and a CR before it; consumed with its ending. Returns
 * false, consumes nothing and does not fail when no LF is there yet. */
static inline bool cur_line(struct cursor *c, struct bytes *line)
{
	size_t n = cur_find(c, '\n');

	if (n == SIZE_MAX)
		return false;
	line->p = c->pos;
	line->n = n && c->pos[n - 1] == '\r' ? n - 1 : n;
	c->pos += n + 1;
	return true;
}

#endif
