/* SPDX-License-Identifier: GPL-2.0-or-later */
/* flow: segments and datagrams of a few connections, whose numbers, flags and bytes are the fuzzer's; headers are made whole around them, so
 * that flow, stream and recognition are reached at once.
 * NAME: a conversation with the protocol of that name. */
#include <string.h>

#include "tests/fuzz/fuzz.h"

struct answer fuzz_segment(struct dpi *d, int64_t ts, const struct segment *s, const uint8_t *p, size_t n)
{
	static uint8_t b[40 + 65536];
	size_t head = s->udp ? 28 : 40;
	struct frame f = { .ts = ts, .link = LINK_RAW, .flags = FRAME_CSUM_VALID, .held = true, .token = s->token };

	memset(b, 0, head);
	b[0] = 0x45;
	put16(b + 2, head + n);
	b[8] = 64;
	b[9] = s->udp ? 17 : 6;
	b[12] = b[16] = 10;
	b[15] = s->down ? 2 : 1;
	b[19] = s->down ? 1 : 2;
	put16(b + 20, s->down ? s->dport : s->sport);
	put16(b + 22, s->down ? s->sport : s->dport);
	if (s->udp) {
		put16(b + 24, 8 + n);
	} else {
		put32(b + 24, s->seq);
		put32(b + 28, s->ack);
		b[32] = 0x50;
		b[33] = s->flags;
		put16(b + 34, 65535);
	}
	if (n)
		memcpy(b + head, p, n);
	put_ip4_sum(b);
	return fuzz_give(d, &f, b, head + n);
}

void fuzz_flow(struct dpi *d, struct cursor c)
{
	uint32_t next[2][2] = { { 1000, 5000 }, { 0xfffffff0, 77 } };
	int64_t now = 1000 * 1000 * MS;

	for (int i = 0; i < FRAMES_MAX && cur_left(&c) >= 6; i++) {
		uint8_t how = cur_u8(&c), flags = cur_u8(&c);
		int16_t seq_off = (int16_t)cur_be16(&c), ack_off = (int8_t)cur_u8(&c);
		size_t n = cur_u8(&c);
		bool down = how & 1, second = how & 2;
		struct segment s = { .down = down, .udp = how & 4 && how & 8, .flags = flags, .sport = second ? 40001 : 40000, .dport = how & 16 ? 80 : 53 };

		if (n > cur_left(&c))
			n = cur_left(&c);
		s.seq = next[second][down] + (uint32_t)(how & 32 ? seq_off : 0);
		s.ack = next[second][!down] + (uint32_t)(how & 64 ? ack_off : 0);
		fuzz_segment(d, now += (how & 128 ? 1000 : 1) * MS, &s, cur_take(&c, n), n);
		next[second][down] += (uint32_t)n + !!(flags & 2) + !!(flags & 1);
	}
}

void fuzz_proto(struct dpi *d, struct cursor c, const struct proto *proto)
{
	uint32_t next[2] = { 1001, 5001 };
	int64_t now = 1000 * 1000 * MS;
	struct segment s = { .udp = !(proto->l4 & PROTO_TCP), .sport = 40000, .dport = proto->ports ? proto->ports[0] : 9999 };

	if (proto->l4 & PROTO_UDP && proto->l4 & PROTO_TCP)
		s.udp = cur_u8(&c) & 1;
	if (!s.udp) {
		s.flags = 2;
		s.seq = 1000;
		fuzz_segment(d, now, &s, NULL, 0);
		s = (struct segment){ .down = true, .flags = 18, .sport = s.sport, .dport = s.dport, .seq = 5000, .ack = 1001 };
		fuzz_segment(d, now, &s, NULL, 0);
	}
	s.flags = 24;
	for (int i = 0; i < FRAMES_MAX && cur_left(&c) >= 3; i++) {
		uint16_t head = cur_be16(&c);
		size_t n = head & 0x3fff;

		s.down = head >> 15;
		if (n > cur_left(&c))
			n = cur_left(&c);
		if (head & 0x4000 && n < 64)	/* lost on the way, seen to be acknowledged */
			next[s.down] += (uint32_t)n;
		s.seq = next[s.down];
		s.ack = next[!s.down];
		fuzz_segment(d, now += MS, &s, cur_take(&c, n), n);
		next[s.down] += (uint32_t)n;
	}
}
