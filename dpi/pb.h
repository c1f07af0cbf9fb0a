/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pb: fields of a protobuf message, one after the other. */
#ifndef TQ_DPI_PB_H
#define TQ_DPI_PB_H

#include "base/cursor.h"

struct pb_field {
	uint32_t number;	/* 0: the message is broken */
	uint8_t wire;		/* 0 varint, 1 fixed64, 2 bytes, 5 fixed32 */
	uint64_t v;		/* wire 0, 1, 5 */
	struct bytes b;		/* wire 2 */
};

static inline uint64_t pb_varint(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = cur_u8(c);

		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	cur_fail(c);
	return 0;
}

/* Next field. False at the end, or (number 0) where it is broken. */
static inline bool pb_next(struct cursor *c, struct pb_field *f)
{
	uint64_t key, n;

	*f = (struct pb_field){ .number = 1 };
	if (!cur_left(c))
		return false;
	key = pb_varint(c);
	f->wire = (uint8_t)(key & 7);
	switch (f->wire) {
	case 0:
		f->v = pb_varint(c);
		break;
	case 1:
		f->v = cur_le64(c);
		break;
	case 2:
		n = pb_varint(c);
		f->b = cur_bytes(c, n > SIZE_MAX ? SIZE_MAX : (size_t)n);
		break;
	case 5:
		f->v = cur_le32(c);
		break;
	default:
		cur_fail(c);
	}
	f->number = cur_ok(c) && key >> 3 <= 0x1fffffff ? (uint32_t)(key >> 3) : 0;
	return f->number != 0;
}

#endif
