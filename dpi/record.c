/* SPDX-License-Identifier: GPL-2.0-or-later */
/* record: items written one after the other into a fixed buffer, and read back.
 *
 * Every object or array that is open has the room of its ITEM_END set aside, so nesting can always be closed. The first
 * item that does not fit ends the record: what follows is left out too (an object never has holes), only the closing
 * goes on; objects opened by then are counted in lost_depth so that their rec_end closes nothing else. */
#include "dpi/record.h"

#include <stdarg.h>
#include <stdio.h>

#define ITEM_SIZE ((uint32_t)sizeof(struct item))

static uint32_t pad8(uint32_t n) { return (n + 7u) & ~7u; }

void rec_reset(struct record *r)
{
	r->len = r->asked = 0;
	r->depth = r->lost_depth = 0;
	r->full = false;
}

/* The item, and room for `n` bytes of value beside what open nesting needs (`opens`: this item adds one); NULL, and
 * the record is full, when there is none. */
static uint8_t *item_put(struct record *r, const struct item *it, uint32_t n, bool opens)
{
	uint32_t need = ITEM_SIZE + pad8(n);
	uint32_t set_aside = (r->depth + (opens ? 1u : 0u)) * ITEM_SIZE;
	uint8_t *at;

	if (r->full || need + set_aside > RECORD_MAX - r->len) {
		r->full = true;
		return NULL;
	}
	at = r->body + r->len;
	memcpy(at, it, sizeof(*it));
	r->len += need;
	return at;
}

static void string_put(struct record *r, const struct fact *f, const void *p, size_t n, bool cut)
{
	struct item it = { .fact = f, .kind = ITEM_STR };
	uint8_t *at;

	it.cut = cut || n > RECORD_STR_MAX;
	it.len = n > RECORD_STR_MAX ? RECORD_STR_MAX : (uint32_t)n;
	at = item_put(r, &it, it.len, false);
	if (at && it.len) {
		/* the padding is compared and copied with the body: never leave old bytes in it */
		memset(at + ITEM_SIZE + pad8(it.len) - 8, 0, 8);
		memcpy(at + ITEM_SIZE, p, it.len);
	}
}

static void number_put(struct record *r, const struct fact *f, enum item_kind kind, uint64_t v)
{
	struct item it = { .fact = f, .kind = (uint8_t)kind };
	uint8_t *at = item_put(r, &it, sizeof(v), false);

	if (at)
		memcpy(at + ITEM_SIZE, &v, sizeof(v));
}

static void open_put(struct record *r, const struct fact *f, enum item_kind kind)
{
	struct item it = { .fact = f, .kind = (uint8_t)kind };

	if (r->depth == RECORD_DEPTH_MAX)
		r->full = true;
	if (item_put(r, &it, 0, true))
		r->depth++;
	else if (r->lost_depth < UINT8_MAX)
		r->lost_depth++;
}

void rec_str(struct record *r, const struct fact *f, const void *p, size_t n) { string_put(r, f, p, n, false); }
void rec_cstr(struct record *r, const struct fact *f, const char *s) { string_put(r, f, s, strlen(s), false); }
void rec_u64(struct record *r, const struct fact *f, uint64_t v) { number_put(r, f, ITEM_U64, v); }
void rec_i64(struct record *r, const struct fact *f, int64_t v) { number_put(r, f, ITEM_I64, (uint64_t)v); }
void rec_bool(struct record *r, const struct fact *f, bool v) { number_put(r, f, ITEM_BOOL, v); }
void rec_time(struct record *r, const struct fact *f, int64_t ns) { number_put(r, f, ITEM_TIME, (uint64_t)ns); }
void rec_obj(struct record *r, const struct fact *f) { open_put(r, f, ITEM_OBJ); }
void rec_arr(struct record *r, const struct fact *f) { open_put(r, f, ITEM_ARR); }

void rec_end(struct record *r)
{
	struct item it = { .kind = ITEM_END };

	if (r->lost_depth) {
		r->lost_depth--;
		return;
	}
	if (!r->depth)
		return;
	r->depth--;
	memcpy(r->body + r->len, &it, sizeof(it));	/* its room was set aside when it was opened */
	r->len += ITEM_SIZE;
}

void rec_printf(struct record *r, const struct fact *f, const char *fmt, ...)
{
	char text[RECORD_STR_MAX + 1];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	string_put(r, f, text, (size_t)n > RECORD_STR_MAX ? RECORD_STR_MAX : (size_t)n, (size_t)n > RECORD_STR_MAX);
}

void rec_partial(struct record *r)
{
	static const struct fact f_partial = { "partial", FACT_PARTIAL };

	rec_bool(r, &f_partial, true);
}

/* It fits as it is: everything that it opens it closes, and there is room for all of it. */
static bool fits_whole(const struct record *r, const uint8_t *body, uint32_t len)
{
	const uint8_t *pos = body, *end = body + len;
	unsigned depth = r->depth;
	const struct item *it;
	const void *value;

	if (r->full || len + r->depth * ITEM_SIZE > RECORD_MAX - r->len)
		return false;
	while (pos < end && (it = item_next(&pos, end, &value))) {
		if (it->kind == ITEM_OBJ || it->kind == ITEM_ARR) {
			if (++depth > RECORD_DEPTH_MAX)
				return false;
		} else if (it->kind == ITEM_END && depth-- == r->depth) {
			return false;
		}
	}
	return pos == end && depth == r->depth;
}

void rec_append(struct record *r, const void *body, uint32_t len)
{
	const uint8_t *pos = body, *end = pos + len;
	const struct item *it;
	const void *value;

	if (len && fits_whole(r, body, len)) {
		memcpy(r->body + r->len, body, len);
		r->len += len;
		return;
	}
	/* item by item, so that a record that fills up here still closes what it opened */
	while (len && (it = item_next(&pos, end, &value))) {
		uint64_t v = 0;

		switch ((enum item_kind)it->kind) {
		case ITEM_END:
			rec_end(r);
			break;
		case ITEM_OBJ:
		case ITEM_ARR:
			open_put(r, it->fact, it->kind);
			break;
		case ITEM_STR:
			string_put(r, it->fact, value, it->len, it->cut);
			break;
		case ITEM_U64:
		case ITEM_I64:
		case ITEM_BOOL:
		case ITEM_TIME:
			memcpy(&v, value, sizeof(v));
			number_put(r, it->fact, it->kind, v);
			break;
		}
	}
}

const struct item *item_next(const uint8_t **pos, const uint8_t *end, const void **value)
{
	const struct item *it = (const void *)*pos;
	size_t left = (size_t)(end - *pos), n = 0;

	*value = NULL;
	if (left < ITEM_SIZE || it->kind > ITEM_TIME)
		return NULL;
	left -= ITEM_SIZE;
	if (it->kind == ITEM_STR) {
		if (it->len > RECORD_STR_MAX)
			return NULL;
		n = pad8(it->len);
	} else if (it->kind >= ITEM_U64) {
		n = sizeof(uint64_t);
	}
	if (n > left)
		return NULL;
	if (it->kind >= ITEM_STR)
		*value = *pos + ITEM_SIZE;
	*pos += ITEM_SIZE + n;
	return it;
}

struct bytes rec_find(const uint8_t *body, uint32_t len, enum fact_role role)
{
	const uint8_t *pos = body, *end = len ? body + len : body;
	const struct item *it;
	const void *value;

	while (len && (it = item_next(&pos, end, &value)))
		if (it->kind == ITEM_STR && it->fact && it->fact->role == role)
			return (struct bytes){ value, it->len };
	return (struct bytes){ NULL, 0 };
}
