/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "dpi/record.h"
#include "tests/unit/dpi/packets.h"
#include "tests/unit/unit.h"

static const struct fact f_name = { "name", FACT_PLAIN }, f_host = { "host", FACT_HTTP_HOST }, f_list = { "list", FACT_PLAIN }, f_n = { "n", FACT_PLAIN };

/* Walks a body: nesting must close, items must be whole. Returns the number of items, -1 when it is broken. */
static int walk(const uint8_t *body, uint32_t len)
{
	const uint8_t *pos = body, *end = body + len;
	const struct item *it;
	const void *v;
	int depth = 0, n = 0;

	while (pos < end) {
		it = item_next(&pos, end, &v);
		if (!it)
			return -1;
		n++;
		depth += it->kind == ITEM_OBJ || it->kind == ITEM_ARR;
		depth -= it->kind == ITEM_END;
		if (depth < 0)
			return -1;
	}
	return depth ? -1 : n;
}

static void test_round_trip(void)
{
	struct record r;
	const uint8_t *pos, *end;
	const void *v;
	const struct item *it;
	uint64_t n;

	rec_reset(&r);
	rec_cstr(&r, &f_name, "x");
	rec_arr(&r, &f_list);
	rec_u64(&r, NULL, 7);
	rec_obj(&r, NULL);
	rec_str(&r, &f_host, "a\0b", 3);
	rec_end(&r);
	rec_end(&r);
	rec_i64(&r, &f_n, -5);
	rec_bool(&r, &f_n, true);
	rec_printf(&r, &f_name, "%d-%s", 12, "z");
	CU_ASSERT_EQUAL(walk(r.body, r.len), 10);
	CU_ASSERT(!r.full);
	pos = r.body;
	end = r.body + r.len;
	it = item_next(&pos, end, &v);
	CU_ASSERT(it->kind == ITEM_STR && it->fact == &f_name && it->len == 1 && *(const char *)v == 'x');
	item_next(&pos, end, &v);
	it = item_next(&pos, end, &v);
	memcpy(&n, v, 8);
	CU_ASSERT(it->kind == ITEM_U64 && n == 7 && !it->fact);
	CU_ASSERT(rec_find(r.body, r.len, FACT_HTTP_HOST).n == 3);
	CU_ASSERT(rec_find(r.body, r.len, FACT_TLS_SNI).p == NULL);
}

/* Any sequence of calls gives a body that closes, however full it gets; a body cut anywhere is walked without reading past its end. */
static void test_random_calls(void)
{
	static struct record r;
	static char text[8000];
	uint64_t s = 7;
	unsigned full = 0;

	memset(text, 'y', sizeof text);
	for (int round = 0; round < 2000; round++) {
		int calls = (int)(rnd(&s) % 80);

		rec_reset(&r);
		for (int i = 0; i < calls; i++) {
			switch (rnd(&s) % 6) {
			case 0: rec_obj(&r, &f_list); break;
			case 1: rec_arr(&r, &f_list); break;
			case 2: rec_end(&r); break;
			case 3: rec_u64(&r, &f_n, rnd(&s)); break;
			case 4: rec_str(&r, &f_name, text, rnd(&s) % 40); break;
			default: rec_str(&r, &f_host, text, rnd(&s) % sizeof text); break;
			}
		}
		while (r.depth || r.lost_depth)
			rec_end(&r);
		CU_ASSERT_FATAL(walk(r.body, r.len) >= 0);
		CU_ASSERT(r.len <= RECORD_MAX);
		full += r.full;

		uint32_t cut = (uint32_t)(rnd(&s) % (r.len + 1)) & ~7u;
		uint8_t *g = guard_copy(r.body, cut);	/* 8-byte aligned as long as the length is */

		walk(g, cut);
		guard_free(g, cut);
	}
	CU_ASSERT(full > 50);
}

static void test_append(void)
{
	static struct record a, b;

	rec_reset(&a);
	rec_obj(&a, &f_list);
	rec_cstr(&a, &f_host, "h");
	rec_end(&a);
	rec_reset(&b);
	rec_append(&b, a.body, a.len);
	CU_ASSERT(b.len == a.len && !memcmp(a.body, b.body, a.len));
	for (int i = 0; i < 2000; i++)	/* until it is full, and past that */
		rec_append(&b, a.body, a.len);
	CU_ASSERT(b.full && walk(b.body, b.len) >= 0);
	rec_reset(&b);
	rec_str(&b, &f_host, NULL, 0);
	CU_ASSERT(walk(b.body, b.len) == 1);
}

static void test_cut_strings_say_so(void)
{
	static struct record r;
	static char text[RECORD_STR_MAX + 100];
	const uint8_t *pos = r.body;
	const void *v;

	rec_reset(&r);
	rec_str(&r, &f_name, text, sizeof text);
	const struct item *it = item_next(&pos, r.body + r.len, &v);
	CU_ASSERT(it->cut && it->len == RECORD_STR_MAX);
}

const struct unit_test tests_record[] = {
	{ "what goes in comes out", test_round_trip },
	{ "any calls give a body that closes", test_random_calls },
	{ "appending", test_append },
	{ "strings that were cut say so", test_cut_strings_say_so },
	{ 0 },
};
