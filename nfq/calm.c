/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nfq/calm.h"

#include <string.h>

#include "base/csum.h"

enum { TCP_FLAGS = 13, TCP_CHECKSUM = 16, TCP_URGENT = 18, TCP_MIN = 20, FLAG_URG = 32 };

/* Fields of 16 bits, in memory order as csum.h sums them. */
static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return v;
}

static uint16_t inverse(uint16_t v) { return (uint16_t)~v; }

static void put16(uint8_t *p, uint16_t v) { memcpy(p, &v, 2); }

bool calm_packet(const struct frame *f, unsigned l4, uint8_t *out, size_t n)
{
	uint8_t *t = out + l4;
	uint64_t sum;

	if (f->caplen > n || f->caplen != f->wirelen || l4 > f->caplen || f->caplen - l4 < TCP_MIN)
		return false;
	memcpy(out, f->data, f->caplen);
	sum = (uint64_t)inverse(get16(t + TCP_CHECKSUM)) + inverse(get16(t + TCP_FLAGS - 1)) + inverse(get16(t + TCP_URGENT));
	t[TCP_FLAGS] &= (uint8_t)~FLAG_URG;
	put16(t + TCP_URGENT, 0);
	sum += get16(t + TCP_FLAGS - 1);	/* RFC 1624, equation 3 */
	if (f->flags & FRAME_CSUM_PARTIAL)	/* the field holds the pseudo header's sum only */
		sum = csum_add(0, t, f->caplen - l4);
	put16(t + TCP_CHECKSUM, inverse(csum_fold(sum)));
	return true;
}
