/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/unit.h"

static void test_classes(void)
{
	size_t want = 64;

	for (size_t n = 1; n <= MEM_PIECE_MAX; n++) {
		if (n > want)
			want *= 2;
		CU_ASSERT_EQUAL_FATAL(mem_class(n), want);
	}
}

static void test_cap(void)
{
	static const uint64_t caps[] = { 0, 63, 64, 100, 65536, 262144, 1000000, 3 << 20 };

	for (size_t c = 0; c < sizeof caps / sizeof caps[0]; c++) {
		for (size_t n = 64; n <= MEM_PIECE_MAX; n *= 4) {
			struct mem *m = mem_new(caps[c]);
			struct mem_stats s;
			uint64_t got = 0;

			while (mem_alloc(m, n))
				got++;
			mem_get_stats(m, &s);
			CU_ASSERT_EQUAL(got, caps[c] / n);	/* the cap can be used up, and no more */
			CU_ASSERT_EQUAL(s.used, got * n);
			CU_ASSERT(s.reserved <= s.cap && s.cap == caps[c]);
			CU_ASSERT_EQUAL(s.exhausted, 1);
			mem_free_all(m);
		}
	}
	mem_free_all(NULL);
}

static void test_bad_sizes(void)
{
	struct mem *m = mem_new(1 << 20);
	struct mem_stats s;

	CU_ASSERT_PTR_NULL(mem_alloc(m, 0));
	CU_ASSERT_PTR_NULL(mem_alloc(m, MEM_PIECE_MAX + 1));
	CU_ASSERT_PTR_NULL(mem_zalloc(m, SIZE_MAX));
	mem_release(m, NULL, 100);
	mem_get_stats(m, &s);
	CU_ASSERT_EQUAL(s.reserved, 0);
	CU_ASSERT_EQUAL(s.exhausted, 3);
	mem_free_all(m);
}

static void test_reuse(void)
{
	struct mem *m = mem_new(1 << 20);
	struct mem_stats s;
	uint8_t *p = mem_alloc(m, 100), *q;

	memset(p, 0xee, 128);
	mem_release(m, p, 100);
	q = mem_zalloc(m, 90);		/* the same class */
	CU_ASSERT_PTR_EQUAL(p, q);
	for (int i = 0; i < 90; i++)
		CU_ASSERT_EQUAL(q[i], 0);
	for (int i = 0; i < 1000000; i++)
		mem_release(m, mem_alloc(m, 4000), 4000);
	mem_get_stats(m, &s);
	CU_ASSERT_EQUAL(s.reserved, 2 * 262144);	/* one of each class */
	CU_ASSERT_EQUAL(s.used, 128);
	mem_free_all(m);
}

/* Random pieces filled with their own pattern: none overlaps another, all are aligned, the sums are right. */
static void test_random(void)
{
	static struct { uint8_t *p; size_t n; uint8_t fill; } live[1500];
	struct mem *m = mem_new(4 << 20);
	struct mem_stats s;
	uint64_t used = 0, refused = 0;

	srandom(21);
	memset(live, 0, sizeof live);
	for (unsigned op = 0; op < 60000; op++) {
		unsigned i = (unsigned)random() % 1500;

		if (live[i].p) {
			for (size_t b = 0; b < live[i].n; b += 1 + live[i].n / 7)
				CU_ASSERT_EQUAL_FATAL(live[i].p[b], live[i].fill);
			mem_release(m, live[i].p, live[i].n);
			used -= mem_class(live[i].n);
			live[i].p = NULL;
			continue;
		}
		live[i].n = 1 + (size_t)random() % (MEM_PIECE_MAX >> (random() % 11));
		live[i].p = mem_alloc(m, live[i].n);
		if (!live[i].p) {
			refused++;
			continue;
		}
		CU_ASSERT_EQUAL_FATAL((uintptr_t)live[i].p % 16, 0);
		live[i].fill = (uint8_t)op;
		memset(live[i].p, live[i].fill, live[i].n);
		used += mem_class(live[i].n);
	}
	mem_get_stats(m, &s);
	CU_ASSERT_EQUAL(s.used, used);
	CU_ASSERT_EQUAL(s.exhausted, refused);
	CU_ASSERT(refused > 0 && s.reserved <= s.cap);
	mem_free_all(m);
}

/* What one size took serves every other size when it is given back, the small chunk at the end of the cap where it fits. */
static void test_sizes_change(void)
{
	struct mem *m = mem_new((1 << 20) + 1000);
	static void *piece[(1 << 20) / 64 + 32];
	struct mem_stats s;

	for (unsigned round = 0; round < 3; round++) {
		for (size_t n = 64; n <= MEM_PIECE_MAX; n *= 2) {
			size_t got = 0;

			while ((piece[got] = mem_alloc(m, n)))
				got++;
			CU_ASSERT_EQUAL(got, (1 << 20) / n + (1000 - 1000 % 64) / n);
			for (size_t i = 0; i < got; i++)
				mem_release(m, piece[round & 1 ? i : got - 1 - i], n);
		}
	}
	mem_get_stats(m, &s);
	CU_ASSERT_EQUAL(s.used, 0);
	CU_ASSERT_EQUAL(mem_used(m), 0);
	mem_free_all(m);
}

const struct unit_test tests_mem[] = {
	{ "classes", test_classes },
	{ "the cap is used up and kept", test_cap },
	{ "sizes out of range", test_bad_sizes },
	{ "pieces are used again", test_reuse },
	{ "random pieces keep their bytes", test_random },
	{ "chunks go from one size to another", test_sizes_change },
	{ 0 },
};
