/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/steer.h"

#include "base/cursor.h"

#define ETH_IP4 0x0800
#define ETH_IP6 0x86dd

static uint32_t xor_words(struct cursor *c, unsigned words)
{
	uint32_t x = 0;

	while (words--)
		x ^= cur_be32(c);
	return x;
}

unsigned steer_ip(const uint8_t *ip, size_t len, unsigned n)
{
	struct cursor c = cur_of(ip, len);
	uint32_t x;

	switch (cur_peek(&c, 0) >> 4) {
	case 4:		/* RFC 791: addresses at 12 and 16 */
		cur_skip(&c, 12);
		x = xor_words(&c, 2);
		break;
	case 6:		/* RFC 8200: addresses at 8 and 24 */
		cur_skip(&c, 8);
		x = xor_words(&c, 8);
		break;
	default:
		return 0;
	}
	if (!cur_ok(&c) || n <= 1)
		return 0;
	x ^= x >> 16;
	x ^= x >> 8;
	return (x & 0xff) % n;
}

unsigned steer_ether(const uint8_t *frame, size_t len, unsigned n)
{
	struct cursor c = cur_of(frame, len);
	struct bytes ip;
	uint16_t type;

	cur_skip(&c, 12);
	type = cur_be16(&c);
	for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8 || type == 0x9100); tags++) {
		cur_skip(&c, 2);
		type = cur_be16(&c);
	}
	if (type != ETH_IP4 && type != ETH_IP6)
		return 0;
	ip = cur_rest(&c);
	return steer_ip(ip.p, ip.n, n);
}
