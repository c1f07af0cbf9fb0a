/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dpi/ber.h"

#include <stdio.h>

enum ber_size ber_size(struct cursor c, size_t *head, uint64_t *size)
{
	uint8_t first, tag = cur_u8(&c);
	uint64_t n = 0;

	first = cur_u8(&c);
	if (cur_left(&c) == 0 && !cur_ok(&c))
		return BER_SIZE_MORE;
	if ((tag & 0x1f) == 0x1f || first == 0x80 || first > 0x84)
		return BER_SIZE_BAD;
	n = first;
	if (first > 0x80) {
		n = 0;
		for (unsigned i = first & 0x7f; i; i--)
			n = n << 8 | cur_u8(&c);
		if (!cur_ok(&c))
			return BER_SIZE_MORE;
	}
	*head = cur_used(&c);
	*size = n + *head;
	return BER_SIZE_KNOWN;
}

bool ber_next(struct cursor *c, uint8_t *tag, struct cursor *body)
{
	struct cursor ahead = cur_of(c->pos, cur_left(c));
	uint64_t size = 0;
	size_t head = 0;

	*tag = cur_peek(c, 0);
	if (!cur_ok(c) || ber_size(ahead, &head, &size) != BER_SIZE_KNOWN || size > cur_left(c)) {
		cur_fail(c);
		*body = cur_of(NULL, 0);
		cur_fail(body);
		return false;
	}
	cur_skip(c, head);
	*body = cur_sub(c, (size_t)size - head);
	return true;
}

bool ber_open(struct cursor *c, uint8_t tag, struct cursor *body)
{
	uint8_t is;

	if (!ber_next(c, &is, body))
		return false;
	if (is == tag)
		return true;
	cur_fail(c);
	cur_fail(body);
	return false;
}

struct bytes ber_bytes(struct cursor *c, uint8_t tag)
{
	struct cursor body;

	return ber_open(c, tag, &body) ? cur_rest(&body) : (struct bytes){ NULL, 0 };
}

bool ber_int(struct cursor *c, uint8_t tag, int64_t *v)
{
	struct bytes b = ber_bytes(c, tag);
	uint64_t u;

	*v = 0;
	if (!cur_ok(c) || !b.n || b.n > 8) {
		cur_fail(c);
		return false;
	}
	u = b.p[0] & 0x80 ? UINT64_MAX : 0;
	for (size_t i = 0; i < b.n; i++)
		u = u << 8 | b.p[i];
	*v = (int64_t)u;
	return true;
}

bool ber_oid_text(struct bytes oid, char out[BER_OID_TEXT])
{
	struct cursor c = cur_of(oid.p, oid.n);
	size_t at = 0;
	bool first = true;

	out[0] = 0;
	while (cur_more(&c)) {
		uint32_t v = 0;
		uint8_t b;
		int n;

		do {
			b = cur_u8(&c);
			if (!cur_ok(&c) || v >> 25) {
				out[0] = 0;
				return false;
			}
			v = v << 7 | (b & 0x7f);
		} while (b & 0x80);
		if (first)
			n = snprintf(out, BER_OID_TEXT, "%u.%u", v < 80 ? v / 40 : 2, v < 80 ? v % 40 : v - 80);
		else
			n = snprintf(out + at, BER_OID_TEXT - at, ".%u", v);
		first = false;
		if (n < 0 || (size_t)n >= BER_OID_TEXT - at)
			break;		/* cut */
		at += (size_t)n;
	}
	return !first;
}
