/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sctp: messages of an SCTP packet (RFC 9260; I-DATA: RFC 8260) to the protocol of its flow.
 *
 * Each message that lies whole in one DATA chunk is given as a datagram. Those in pieces are passed over: associations are not followed, nothing is put
 * together, and what is sent again is seen again. A chunk longer than the packet ends the walk, as the receiver's does. Work: one step of four bytes or more a chunk. */
#include "dpi/decode.h"
#include "dpi/engine.h"

#define CHUNK_DATA 0
#define CHUNK_IDATA 64
#define WHOLE 3u		/* flags B and E: the first piece and the last */

void sctp_messages(struct px *x)
{
	struct cursor c = cur_of(x->p->payload.p, x->p->payload.n);

	while (cur_left(&c) >= 4 && x->f->feed != FEED_OFF) {
		uint8_t type = cur_u8(&c), flags = cur_u8(&c);
		uint16_t len = cur_be16(&c);
		struct cursor chunk;
		size_t pad = (4u - len % 4u) % 4u;

		if (len < 4 || len - 4u > cur_left(&c))
			return;
		chunk = cur_sub(&c, len - 4u);
		cur_skip(&c, pad < cur_left(&c) ? pad : cur_left(&c));
		if ((type != CHUNK_DATA && type != CHUNK_IDATA) || (flags & WHOLE) != WHOLE)
			continue;
		if (cur_skip(&chunk, type == CHUNK_DATA ? 12 : 16))
			feed_datagram(x, x->dir, chunk.pos, cur_left(&chunk));
	}
}

/* CRC-32C by half bytes, low one first (polynomial 0x1EDC6F41, reflected). */
static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (; n--; p++) {
		crc ^= *p;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

bool sctp_checksum_right(const uint8_t *p, size_t n)
{
	static const uint8_t zero[4] = { 0, 0, 0, 0 };
	struct cursor c = cur_of(p, n);
	uint32_t crc = crc32c(UINT32_MAX, p, 8);

	crc = crc32c(crc, zero, 4);
	cur_skip(&c, 12);
	crc = ~crc32c(crc, c.pos, cur_left(&c));
	c = cur_of(p, n);
	cur_skip(&c, 8);
	return cur_le32(&c) == crc;
}
