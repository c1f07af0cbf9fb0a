/* SPDX-License-Identifier: GPL-2.0-or-later */
/* frames: a sequence of frames of every link type, byte by byte the fuzzer's: decode to events. */
#include "tests/fuzz/fuzz.h"

void fuzz_frames(struct dpi *d, struct cursor c)
{
	int64_t now = 1000 * 1000 * MS;

	for (int i = 0; i < FRAMES_MAX && cur_left(&c) >= 5; i++) {
		uint8_t link = cur_u8(&c), flags = cur_u8(&c), step = cur_u8(&c);
		size_t n = cur_be16(&c);
		struct frame f = { .ts = now += step * (int64_t)(step & 1 ? 1 : 1000) * MS, .link = (link & 15) % (LINK_UNSUPPORTED + 1), .flags = flags, .held = link & 0x80, .path = link >> 4 & 3,
				   .view = link >> 5 & 7 };

		if (f.flags & (FRAME_GSO_TCP | FRAME_GSO_UDP))
			f.gso_size = (uint16_t)(step * 8);
		if (n > cur_left(&c))
			n = cur_left(&c);
		f.wirelen = flags & FRAME_TRUNCATED ? (uint32_t)n + step : 0;
		fuzz_give(d, &f, cur_take(&c, n), n);
		if (step == 255) {
			dpi_tick(d, now);
			dpi_due(d, f.view & 1);
		}
		if (step == 254)
			dpi_set_epoch(d, now, 500 * MS);
	}
}
