/* SPDX-License-Identifier: GPL-2.0-or-later */
/* csum: against RFC 1071's own way, 16 bits at a time, for every length and for bytes that carry all the time. */
#include <CUnit/CUnit.h>
#include <stdlib.h>

#include "base/csum.h"
#include "base/hash.h"
#include "tests/unit/unit.h"

static uint16_t plain(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* As csum_add16 takes it: a field in host order. */
static uint16_t folded(uint64_t sum)
{
	uint16_t v = csum_fold(sum);
	uint8_t b[2];

	memcpy(b, &v, 2);
	return (uint16_t)(b[0] << 8 | b[1]);
}

static void test_lengths(void)
{
	for (unsigned kind = 0; kind < 3; kind++)
		for (size_t n = 0; n <= 300; n++) {
			uint8_t *b = malloc(n ? n : 1);	/* of its very size: a sanitizer sees a byte too much */

			for (size_t i = 0; i < n; i++)
				b[i] = kind == 0 ? (uint8_t)hash_mix64(i) : kind == 1 ? 0xff : i % 8 == 7 ? 0xff : 0;
			CU_ASSERT_EQUAL(folded(csum_add(0, b, n)), plain(b, n));
			for (size_t cut = 0; cut <= n; cut += 2)	/* in two pieces */
				if (folded(csum_add(csum_add(0, b, cut), b + cut, n - cut)) != plain(b, n))
					CU_FAIL("two pieces");
			free(b);
		}
}

static void test_carries(void)
{
	uint8_t b[192];

	memset(b, 0xff, sizeof(b));
	/* sums at the edge of 64 bits, where a carry is lost first */
	for (uint64_t low = 0; low < 4; low++) {
		uint64_t sum = UINT64_MAX - low;

		for (size_t n = 0; n <= sizeof(b); n += 2)
			CU_ASSERT_EQUAL(csum_fold(csum_add(sum, b, n)) % 0xffff, csum_fold(sum) % 0xffff);
		CU_ASSERT_EQUAL(csum_fold(csum_add4(sum, (const uint8_t *)"\0\0\0\0")), csum_fold(sum));
		CU_ASSERT_EQUAL(csum_fold(csum_add16(sum, 0xffff)) % 0xffff, csum_fold(sum) % 0xffff);
	}
}

const struct unit_test tests_csum[] = {
	{ "every length, whole and in two pieces", test_lengths },
	{ "carries at the edge of 64 bits", test_carries },
	{ 0 },
};
