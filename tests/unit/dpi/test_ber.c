/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ber: lengths in all forms, elements that end too early, numbers and OIDs at their bounds. */
#include <CUnit/CUnit.h>
#include <stdio.h>

#include "dpi/ber.h"
#include "dpi/proto/told.h"
#include "tests/unit/dpi/talks.h"
#include "tests/unit/unit.h"

static struct cursor hex(const char *text)
{
	static uint8_t b[1024];

	return cur_of(b, talk_bytes(text, b, sizeof(b)));
}

static void test_sizes(void)
{
	static const struct { const char *text; enum ber_size is; uint64_t size; size_t head; } rows[] = {
		{ "3000", BER_SIZE_KNOWN, 2, 2 }, { "307f", BER_SIZE_KNOWN, 129, 2 }, { "3081ff", BER_SIZE_KNOWN, 258, 3 },
		{ "3084ffffffff", BER_SIZE_KNOWN, 0x100000005, 6 }, { "30820001", BER_SIZE_KNOWN, 5, 4 },
		{ "", BER_SIZE_MORE, 0, 0 }, { "30", BER_SIZE_MORE, 0, 0 }, { "3082ff", BER_SIZE_MORE, 0, 0 },
		{ "3080", BER_SIZE_BAD, 0, 0 }, { "3085", BER_SIZE_BAD, 0, 0 }, { "1f00", BER_SIZE_BAD, 0, 0 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t size = 0;
		size_t head = 0;

		CU_ASSERT_EQUAL(ber_size(hex(rows[i].text), &head, &size), rows[i].is);
		CU_ASSERT_EQUAL(size, rows[i].size);
		CU_ASSERT_EQUAL(head, rows[i].head);
	}
}

static void test_elements(void)
{
	struct cursor c = hex("30( 02(80) 0a(0100) 04('abc') )"), body;
	uint8_t tag;
	int64_t v;

	CU_ASSERT_TRUE(ber_open(&c, BER_SEQUENCE, &body));
	CU_ASSERT_TRUE(ber_int(&body, BER_INTEGER, &v));
	CU_ASSERT_EQUAL(v, -128);
	CU_ASSERT_TRUE(ber_int(&body, BER_ENUM, &v));
	CU_ASSERT_EQUAL(v, 256);
	CU_ASSERT_TRUE(ber_is(&body, BER_OCTETS));
	CU_ASSERT_TRUE(bytes_are(ber_bytes(&body, BER_OCTETS), "abc"));
	CU_ASSERT_FALSE(ber_next(&body, &tag, &c));
	CU_ASSERT_FALSE(cur_ok(&body));

	c = hex("0403616263");
	CU_ASSERT_FALSE(ber_open(&c, BER_INTEGER, &body));
	c = hex("04846162636465");
	CU_ASSERT_FALSE(ber_next(&c, &tag, &body));
	c = hex("0200");
	CU_ASSERT_FALSE(ber_int(&c, BER_INTEGER, &v));
	c = hex("0209010101010101010101");
	CU_ASSERT_FALSE(ber_int(&c, BER_INTEGER, &v));
	c = hex("02088000000000000000");
	CU_ASSERT_TRUE(ber_int(&c, BER_INTEGER, &v));
	CU_ASSERT_EQUAL(v, INT64_MIN);
}

static void test_oids(void)
{
	static const struct { const char *text, *want; } rows[] = {
		{ "2b060102010101 00", "1.3.6.1.2.1.1.1.0" }, { "00", "0.0" }, { "883703", "2.999.3" }, { "2a864886f70d", "1.2.840.113549" }, { "2b8fffffff7f", "1.3.4294967295" },
		{ "", "" }, { "2b86", "" }, { "2b9fffffff7f", "" },
	};
	char out[BER_OID_TEXT];
	static uint8_t big[400];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cursor c = hex(rows[i].text);

		CU_ASSERT_EQUAL(ber_oid_text(cur_rest(&c), out), rows[i].want[0] != 0);
		CU_ASSERT_STRING_EQUAL(out, rows[i].want);
	}
	memset(big, 1, sizeof(big));
	CU_ASSERT_TRUE(ber_oid_text((struct bytes){ big, sizeof(big) }, out));
	CU_ASSERT_EQUAL(strlen(out), BER_OID_TEXT - 1);
}

const struct unit_test tests_ber[] = {
	{ "sizes", test_sizes },
	{ "elements", test_elements },
	{ "object identifiers", test_oids },
	{ NULL, NULL },
};
