/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bytes stand at the end of a page with nothing behind it: a read too far is a fault, not a wrong number. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/cursor.h"
#include "tests/unit/unit.h"

static uint8_t *page_end;

static const uint8_t *at_guard(const void *p, size_t n)
{
	if (!page_end) {
		size_t page = (size_t)sysconf(_SC_PAGESIZE);
		uint8_t *m = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CU_ASSERT_FATAL(m != MAP_FAILED);
		CU_ASSERT_EQUAL_FATAL(mprotect(m + page, page, PROT_NONE), 0);
		page_end = m + page;
	}
	return memcpy(page_end - n, p, n);
}

static void test_numbers(void)
{
	static const uint8_t b[] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	for (size_t n = 0; n <= 8; n++) {
		struct cursor c[9];

		for (int i = 0; i < 9; i++)
			c[i] = cur_of(at_guard(b, n), n);
		CU_ASSERT_EQUAL(cur_u8(&c[0]), n >= 1 ? 1 : 0);
		CU_ASSERT_EQUAL(cur_be16(&c[1]), n >= 2 ? 0x0102 : 0);
		CU_ASSERT_EQUAL(cur_be24(&c[2]), n >= 3 ? 0x010203 : 0);
		CU_ASSERT_EQUAL(cur_be32(&c[3]), n >= 4 ? 0x01020304 : 0);
		CU_ASSERT_EQUAL(cur_be64(&c[4]), n >= 8 ? 0x0102030405060708ULL : 0);
		CU_ASSERT_EQUAL(cur_le16(&c[5]), n >= 2 ? 0x0201 : 0);
		CU_ASSERT_EQUAL(cur_le32(&c[6]), n >= 4 ? 0x04030201 : 0);
		CU_ASSERT_EQUAL(cur_le64(&c[7]), n >= 8 ? 0x0807060504030201ULL : 0);
		for (int i = 0; i < 8; i++) {
			static const size_t need[8] = { 1, 2, 3, 4, 8, 2, 4, 8 };

			CU_ASSERT_EQUAL(cur_ok(&c[i]), n >= need[i]);
			CU_ASSERT_EQUAL(cur_used(&c[i]), n >= need[i] ? need[i] : 0);
		}
	}
}

static void test_sticky(void)
{
	static const uint8_t b[] = { 9, 9 };
	struct cursor c = cur_of(at_guard(b, 2), 2), s;

	CU_ASSERT_EQUAL(cur_be32(&c), 0);
	CU_ASSERT_EQUAL(cur_u8(&c), 0);
	CU_ASSERT_PTR_NULL(cur_take(&c, 0));
	CU_ASSERT_FALSE(cur_ok(&c));
	CU_ASSERT_EQUAL(cur_peek(&c, 0), 0);
	CU_ASSERT_EQUAL(cur_find(&c, 9), SIZE_MAX);
	CU_ASSERT_FALSE(cur_starts(&c, b, 1));
	c = cur_of(at_guard(b, 2), 2);
	CU_ASSERT_TRUE(cur_more(&c));
	CU_ASSERT_FALSE(cur_skip(&c, SIZE_MAX));
	CU_ASSERT_EQUAL(cur_left(&c), 2);
	CU_ASSERT_FALSE(cur_more(&c));
	c = cur_of(at_guard(b, 2), 2);
	s = cur_sub(&c, 3);
	CU_ASSERT_FALSE(cur_ok(&s));
	CU_ASSERT_EQUAL(cur_left(&s), 0);
}

static void test_views(void)
{
	static const char text[] = "GET /\r\nHost\nrest";
	struct cursor c = cur_of(at_guard(text, sizeof(text) - 1), sizeof(text) - 1), s;
	struct bytes line;

	CU_ASSERT_TRUE(cur_starts(&c, "GET", 3));
	CU_ASSERT_EQUAL(cur_peek(&c, 4), '/');
	CU_ASSERT_TRUE(cur_line(&c, &line));
	CU_ASSERT(line.n == 5 && !memcmp(line.p, "GET /", 5));
	CU_ASSERT_TRUE(cur_line(&c, &line));
	CU_ASSERT(line.n == 4 && !memcmp(line.p, "Host", 4));
	CU_ASSERT_FALSE(cur_line(&c, &line));
	CU_ASSERT_TRUE(cur_ok(&c));
	s = cur_sub(&c, 2);
	line = cur_rest(&s);
	CU_ASSERT(line.n == 2 && !memcmp(line.p, "re", 2));
	line = cur_bytes(&c, 2);
	CU_ASSERT(line.n == 2 && cur_left(&c) == 0 && cur_ok(&c) && !cur_more(&c));
	line = cur_rest(&c);
	CU_ASSERT(line.n == 0 && cur_ok(&c));
	c = cur_of(NULL, 0);
	CU_ASSERT(cur_left(&c) == 0 && cur_find(&c, 0) == SIZE_MAX && !cur_line(&c, &line));
}

const struct unit_test tests_cursor[] = {
	{ "numbers at each length before a guard page", test_numbers },
	{ "failure stays", test_sticky },
	{ "lines, parts and views", test_views },
	{ 0 },
};
