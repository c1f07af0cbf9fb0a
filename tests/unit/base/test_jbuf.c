/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is written is read back by jansson, a strict JSON reader that knows nothing of ours, and by a slow UTF-8 model. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jbuf.h"
#include "tests/unit/unit.h"

static char *text_of(struct jbuf *j)
{
	static char *s;

	free(s);
	s = malloc(j->len + 1);
	if (j->len)
		memcpy(s, j->p, j->len);
	s[j->len] = '\0';
	return s;
}

static void test_shape(void)
{
	struct jbuf j;

	jb_init(&j, 4096);
	for (int round = 0; round < 2; round++) {	/* the same again after a reset */
		jb_obj(&j, NULL);
		jb_str(&j, "a", "x");
		jb_arr(&j, "b");
		jb_u64(&j, NULL, 1);
		jb_obj(&j, NULL);
		jb_end_obj(&j);
		jb_arr(&j, NULL);
		jb_end_arr(&j);
		jb_i64(&j, NULL, -2);
		jb_end_arr(&j);
		jb_bool(&j, "c", true);
		jb_bool(&j, "d", false);
		jb_null(&j, "e");
		jb_str(&j, "f", NULL);
		jb_raw(&j, "g", "[1,2]", 5);
		jb_strn(&j, "h", NULL, 0);
		jb_end_obj(&j);
		jb_newline(&j);
		jb_u64(&j, NULL, 7);
		jb_newline(&j);
		CU_ASSERT_STRING_EQUAL(text_of(&j), "{\"a\":\"x\",\"b\":[1,{},[],-2],\"c\":true,\"d\":false,\"e\":null,\"f\":null,\"g\":[1,2],\"h\":\"\"}\n7\n");
		CU_ASSERT_FALSE(j.overflow);
		jb_reset(&j);
	}
	jb_free(&j);
}

static void test_numbers(void)
{
	static const double floats[] = { 0, -0.0, 0.1, 1.0 / 3, 1e300, 5e-324, 2.2250738585072014e-308, 123456789.125, -1, 1e21, 0.3, 100 };
	char want[64];
	struct jbuf j;

	jb_init(&j, 4096);
	srandom(2);
	for (unsigned i = 0; i < 5000; i++) {
		uint64_t v = ((uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random()) >> (random() % 64);

		if (i < 21) {	/* around each power of ten */
			v = 1;
			for (unsigned k = 0; k < i % 20; k++)
				v *= 10;
			v -= i & 1;
		}
		jb_reset(&j);
		jb_u64(&j, NULL, v);
		snprintf(want, sizeof want, "%llu", (unsigned long long)v);
		CU_ASSERT_STRING_EQUAL(text_of(&j), want);
		jb_reset(&j);
		jb_i64(&j, NULL, (int64_t)v);
		snprintf(want, sizeof want, "%lld", (long long)v);
		CU_ASSERT_STRING_EQUAL(text_of(&j), want);
	}
	jb_reset(&j);
	jb_u64(&j, NULL, UINT64_MAX);
	CU_ASSERT_STRING_EQUAL(text_of(&j), "18446744073709551615");
	jb_reset(&j);
	jb_i64(&j, NULL, INT64_MIN);
	CU_ASSERT_STRING_EQUAL(text_of(&j), "-9223372036854775808");
	for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++) {
		jb_reset(&j);
		jb_f64(&j, NULL, floats[i]);
		CU_ASSERT_EQUAL(strtod(text_of(&j), NULL), floats[i]);
	}
	jb_reset(&j);
	jb_f64(&j, NULL, 0.1);
	CU_ASSERT_STRING_EQUAL(text_of(&j), "0.1");
	jb_reset(&j);
	jb_f64(&j, NULL, NAN);
	jb_f64(&j, NULL, INFINITY);
	CU_ASSERT_STRING_EQUAL(text_of(&j), "null,null");
	jb_free(&j);
}

/* ---- strings: the model ---- */

/* A sequence is well-formed when its code point, written again in the one shortest way, gives the same bytes. */
static size_t model_len(const uint8_t *s, size_t n)
{
	uint32_t cp;
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf8 ? 4 : 0;

	if (!len || len > n)
		return 0;
	cp = len == 1 ? s[0] : s[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (s[i] & 0x3f);
	}
	if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	return len == (cp < 0x80 ? 1u : cp < 0x800 ? 2u : cp < 0x10000 ? 3u : 4u) ? len : 0;
}

static size_t model(const uint8_t *s, size_t n, char *out)
{
	size_t o = 0;

	for (size_t i = 0; i < n; ) {
		size_t len = model_len(s + i, n - i);

		memcpy(out + o, len ? (const char *)s + i : "\xef\xbf\xbd", len ? len : 3);
		o += len ? len : 3;
		i += len ? len : 1;
	}
	return o;
}

static void check_string(const uint8_t *s, size_t n)
{
	static char want[4096];
	size_t wn = model(s, n, want);
	uint8_t *exact = malloc(n + 1);	/* so that a read too far is seen by the sanitizer */
	json_error_t e;
	struct jbuf j;
	json_t *v;

	memcpy(exact, s, n);
	exact = realloc(exact, n ? n : 1);
	jb_init(&j, 1 << 16);
	jb_arr(&j, NULL);
	jb_strn(&j, NULL, exact, n);
	jb_end_arr(&j);
	v = json_loadb(j.p, j.len, JSON_ALLOW_NUL, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	CU_ASSERT_EQUAL_FATAL(json_string_length(json_array_get(v, 0)), wn);
	CU_ASSERT_FATAL(!memcmp(json_string_value(json_array_get(v, 0)), want, wn));
	for (size_t i = 0; i < j.len; i++)
		CU_ASSERT_FATAL((uint8_t)j.p[i] >= 0x20);	/* one line stays one line */
	json_decref(v);
	jb_free(&j);
	free(exact);
}

static void test_every_byte(void)
{
	uint8_t s[24];

	for (unsigned pos = 0; pos < 17; pos++) {
		for (unsigned b = 0; b < 256; b++) {
			memset(s, 'p', sizeof s);
			s[pos] = (uint8_t)b;
			check_string(s, 17);
		}
	}
	for (unsigned a = 0; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++) {
			s[0] = (uint8_t)a;
			s[1] = (uint8_t)b;
			check_string(s, 2);
		}
	}
}

static void test_utf8(void)
{
	static const char *const cases[] = {
		"\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",			/* overlong */
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xed\xa0\xbd\xed\xb8\x80",							/* surrogates */
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff\xfe",								/* too high */
		"\xe2\x82", "\xf0\x9f\x98", "x\xe2", "\x80", "\xbf\xbf", "\xe2\x28\xa1", "\xe2\x82\"",				/* broken off */
		"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",	/* right */
		"gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x98\x80 \"quoted\" back\\slash\ttab",
	};
	uint8_t s[64];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		check_string((const uint8_t *)cases[i], strlen(cases[i]));
	srandom(4);
	for (unsigned i = 0; i < 40000; i++) {
		static const uint8_t picks[] = { 0, 0x1f, 0x20, '"', '\\', 0x7f, 0x80, 0xbf, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0x9f, 0xa0, 0x8f, 0x90, 'a', 'b' };
		size_t n = (size_t)random() % sizeof s;

		for (size_t b = 0; b < n; b++)
			s[b] = random() % 4 ? picks[(size_t)random() % sizeof picks] : (uint8_t)random();
		check_string(s, n);
	}
}

static void test_hostile_key(void)
{
	struct jbuf j;
	json_t *v;

	jb_init(&j, 1000);
	jb_obj(&j, NULL);
	jb_str(&j, "a\":1,\"b\n\xff", "v");
	jb_end_obj(&j);
	v = json_loadb(j.p, j.len, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	CU_ASSERT_EQUAL(json_object_size(v), 1);
	json_decref(v);
	jb_free(&j);
}

/* At every cap: never a byte more, the mark is set exactly when something is missing, and a reset makes it usable again. */
static void test_overflow(void)
{
	size_t whole = 0;

	for (size_t cap = 1; cap < 1400; cap++) {
		struct jbuf j;

		jb_init(&j, cap);
		jb_obj(&j, NULL);
		for (unsigned i = 0; i < 20; i++) {
			jb_str(&j, "key", "some text that has its length \n \xff");
			jb_u64(&j, "n", i);
		}
		jb_end_obj(&j);
		CU_ASSERT_FATAL(j.len <= cap && j.size <= cap);
		if (!j.overflow && !whole)
			whole = cap;
		CU_ASSERT_EQUAL_FATAL(j.overflow, !whole);
		if (!j.overflow)
			CU_ASSERT_EQUAL(j.len, whole);
		jb_reset(&j);
		CU_ASSERT_FALSE(j.overflow);
		jb_u64(&j, NULL, 1);
		CU_ASSERT_EQUAL(j.len, 1);
		jb_free(&j);
	}
	CU_ASSERT(whole > 900);
}

static void test_depth(void)
{
	struct jbuf j;

	jb_init(&j, 4096);
	for (int i = 0; i < JBUF_DEPTH_MAX - 1; i++)
		jb_arr(&j, NULL);
	CU_ASSERT_FALSE(j.overflow);
	jb_arr(&j, NULL);
	CU_ASSERT_TRUE(j.overflow);
	for (int i = 0; i < 40; i++)
		jb_arr(&j, NULL);
	for (int i = 0; i < 80; i++)
		jb_end_arr(&j);
	jb_reset(&j);
	jb_end_obj(&j);		/* one end too many */
	CU_ASSERT_TRUE(j.overflow);
	jb_free(&j);
}

const struct unit_test tests_jbuf[] = {
	{ "objects, arrays, values and lines", test_shape },
	{ "numbers", test_numbers },
	{ "every byte at every place, every pair", test_every_byte },
	{ "UTF-8, right and wrong", test_utf8 },
	{ "a hostile key", test_hostile_key },
	{ "every cap", test_overflow },
	{ "depth", test_depth },
	{ 0 },
};
