/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "base/addr.h"
#include "tests/unit/unit.h"

/* Texts of RFC 5952 (4.1 to 4.3, 5) and RFC 4291, and what each must be written as. */
static const struct {
	const char *in, *out;
} forms[] = {
	{ "10.0.0.1", "10.0.0.1" },
	{ "0.0.0.0", "0.0.0.0" },
	{ "255.255.255.255", "255.255.255.255" },
	{ "192.168.100.9", "192.168.100.9" },
	{ "::", "::" },
	{ "::1", "::1" },
	{ "1::", "1::" },
	{ "2001:0db8::0001", "2001:db8::1" },
	{ "2001:db8:0:0:0:0:2:1", "2001:db8::2:1" },
	{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
	{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
	{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
	{ "2001:DB8:AAAA:BBBB:CCCC:DDDD:EEEE:0001", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1" },
	{ "0:0:1:2:3:4:5:6", "::1:2:3:4:5:6" },
	{ "1:2:3:4:5:6:0:0", "1:2:3:4:5:6::" },
	{ "1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0" },
	{ "0:2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" },
	{ "fe80::1", "fe80::1" },
	{ "::ffff:192.0.2.1", "192.0.2.1" },
	{ "::ffff:c000:201", "192.0.2.1" },
	{ "64:ff9b::192.0.2.33", "64:ff9b::c000:221" },
};

static void test_forms(void)
{
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		char buf[ADDR_STRLEN];
		struct addr a, back;

		CU_ASSERT_EQUAL_FATAL(addr_parse(forms[i].in, &a), 0);
		CU_ASSERT_STRING_EQUAL(addr_format(&a, buf), forms[i].out);
		CU_ASSERT_EQUAL(addr_parse(buf, &back), 0);
		CU_ASSERT(addr_eq(&a, &back));
	}
}

/* Every pattern of zero words, and random ones: reading back what was written gives the same address. */
static void test_round_trip(void)
{
	srandom(1);
	for (unsigned i = 0; i < 20000; i++) {
		char buf[ADDR_STRLEN];
		struct addr a, back;

		for (unsigned w = 0; w < 8; w++) {
			unsigned v = i & 1u << w ? (unsigned)random() & 0xffff : 0;

			a.b[2 * w] = (uint8_t)(v >> 8);
			a.b[2 * w + 1] = (uint8_t)v;
		}
		CU_ASSERT_EQUAL_FATAL(addr_parse(addr_format(&a, buf), &back), 0);
		CU_ASSERT_FATAL(addr_eq(&a, &back));
		CU_ASSERT_FATAL(!strstr(buf, ":::") && strlen(buf) < ADDR_STRLEN);
	}
}

static void test_bad_text(void)
{
	static const char *const bad[] = { "", "10.0.0", "10.0.0.256", "10.0.0.1 ", " 10.0.0.1", "10.0.0.1.2", "010.0.0.1", ":", ":::", "1::2::3", "12345::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "fe80::1%eth0", "g::", "[::1]" };
	struct addr a;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_EQUAL(addr_parse(bad[i], &a), -EINVAL);
}

static struct addr A(const char *s)
{
	struct addr a = { { 0 } };

	CU_ASSERT_EQUAL_FATAL(addr_parse(s, &a), 0);
	return a;
}

static void test_kinds(void)
{
	static const struct { const char *a; bool multicast, linklocal, loopback, zero; } t[] = {
		{ "223.255.255.255", false, false, false, false }, { "224.0.0.0", true, false, false, false }, { "239.255.255.255", true, false, false, false },
		{ "240.0.0.0", false, false, false, false }, { "255.255.255.255", true, false, false, false }, { "255.255.255.254", false, false, false, false },
		{ "ff02::1", true, false, false, false }, { "fe00::1", false, false, false, false }, { "169.254.0.1", false, true, false, false },
		{ "169.253.0.1", false, false, false, false }, { "fe80::1", false, true, false, false }, { "febf::1", false, true, false, false },
		{ "fec0::1", false, false, false, false }, { "127.0.0.1", false, false, true, false }, { "127.255.0.1", false, false, true, false },
		{ "128.0.0.1", false, false, false, false }, { "::1", false, false, true, false }, { "::2", false, false, false, false },
		{ "0.0.0.0", false, false, false, true }, { "::", false, false, false, true }, { "0.0.0.1", false, false, false, false }, { "1::", false, false, false, false },
		{ "::1:0:0", false, false, false, false },
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct addr a = A(t[i].a);

		CU_ASSERT_EQUAL(addr_is_multicast(&a), t[i].multicast);
		CU_ASSERT_EQUAL(addr_is_linklocal(&a), t[i].linklocal);
		CU_ASSERT_EQUAL(addr_is_loopback(&a), t[i].loopback);
		CU_ASSERT_EQUAL(addr_is_zero(&a), t[i].zero);
	}
}

static void test_cidr_text(void)
{
	static const struct { const char *s; int len; } t[] = {
		{ "10.0.0.0/8", 104 }, { "0.0.0.0/0", 96 }, { "10.1.2.3", 128 }, { "10.1.2.3/32", 128 }, { "::/0", 0 }, { "fc00::/7", 7 }, { "2001:db8::/32", 32 },
		{ "::1", 128 }, { "::ffff:10.0.0.0/104", 104 }, { "10.1.0.0/8", -1 }, { "10.0.0.1/31", -1 }, { "fc00::1/7", -1 }, { "10.0.0.0/33", -1 }, { "::/129", -1 },
		{ "10.0.0.0/", -1 }, { "10.0.0.0/08", -1 }, { "10.0.0.0/-1", -1 }, { "10.0.0.0/8x", -1 }, { "10.0.0.0/ 8", -1 }, { "/8", -1 }, { "", -1 },
		{ "10.0.0.0/99999999999999999999", -1 }, { "1111111111111111111111111111111111111111111111111111111/1", -1 },
	};
	struct cidr c;

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		CU_ASSERT_EQUAL(cidr_parse(t[i].s, &c), t[i].len < 0 ? -EINVAL : 0);
		if (t[i].len >= 0)
			CU_ASSERT_EQUAL(c.len, t[i].len);
	}
}

static bool slow_has(const struct cidr *c, const struct addr *a)
{
	if (addr_is_v4(a) && c->len < 96)
		return false;
	for (unsigned bit = 0; bit < c->len; bit++)
		if ((c->net.b[bit / 8] >> (7 - bit % 8) & 1) != (a->b[bit / 8] >> (7 - bit % 8) & 1))
			return false;
	return true;
}

static void test_cidr_has(void)
{
	unsigned in = 0;
	struct cidr c;
	struct addr a;

	CU_ASSERT_EQUAL(cidr_parse("::/0", &c), 0);
	a = A("10.0.0.1");
	CU_ASSERT_FALSE(cidr_has(&c, &a));
	a = A("2001:db8::1");
	CU_ASSERT_TRUE(cidr_has(&c, &a));
	CU_ASSERT_EQUAL(cidr_parse("0.0.0.0/0", &c), 0);
	CU_ASSERT_FALSE(cidr_has(&c, &a));
	/* each prefix length, with each single bit flipped */
	for (unsigned v4 = 0; v4 < 2; v4++) {
		struct addr base = A(v4 ? "203.0.113.85" : "2001:db8:5a5a:a5a5:1234:5678:9abc:def0");

		for (unsigned len = v4 ? 96 : 0; len <= 128; len++) {
			c = (struct cidr){ .net = base, .len = (uint8_t)len };
			for (unsigned bit = len; bit < 128; bit++)
				c.net.b[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
			for (unsigned bit = 0; bit < 128; bit++) {
				a = base;
				a.b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
				CU_ASSERT_EQUAL_FATAL(cidr_has(&c, &a), slow_has(&c, &a));
				in += cidr_has(&c, &a);
			}
		}
	}
	CU_ASSERT(in > 1000);
}

const struct unit_test tests_addr[] = {
	{ "text forms of RFC 5952", test_forms },
	{ "written and read back", test_round_trip },
	{ "text that is no address", test_bad_text },
	{ "multicast, link-local, loopback, zero", test_kinds },
	{ "prefix text", test_cidr_text },
	{ "prefix membership by bits", test_cidr_has },
	{ 0 },
};
