/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x509: names, numbers and times of certificates, good ones, odd ones, and cut or lying ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dpi/digest.h"
#include "dpi/x509.h"
#include "tests/unit/dpi/tls_vectors.h"
#include "tests/unit/unit.h"

static void assert_name(struct bytes name, const char *want)
{
	char text[X509_NAME_TEXT];
	bool cut;
	size_t n = x509_name_text(name, text, &cut);

	CU_ASSERT_EQUAL(n, strlen(want));
	CU_ASSERT_STRING_EQUAL(text, want);
	CU_ASSERT_FALSE(cut);
}

static void assert_time(const struct x509_time *t, const char *want)
{
	char text[X509_TIME_TEXT];

	CU_ASSERT_EQUAL(x509_time_text(t, text), *want != 0);
	CU_ASSERT_STRING_EQUAL(text, want);
}

static void leaf(void)
{
	char hex[3 * 32];
	struct x509 x;

	CU_ASSERT_FATAL(x509_read(cur_of(cert_leaf, sizeof(cert_leaf)), &x));
	assert_name(x.subject, "C=CZ, O=Příklad\\, a.s., CN=secure.example");
	assert_name(x.issuer, "O=Test CA, CN=Test CA #1");
	hex_text_sep(hex, x.serial.p, x.serial.n, ':', true);
	CU_ASSERT_STRING_EQUAL(hex, "0A:BC:DE:F1:23:45:67:89");
	assert_time(&x.not_before, "2024-01-01T00:00:00");
	assert_time(&x.not_after, "2049-12-31T23:59:59");
	CU_ASSERT_EQUAL(x.not_after.tag, 0x17);
}

/* Several attributes in one RDN, BMPString, a type nobody knows, everything that is escaped, times on both sides. */
static void odd(void)
{
	struct x509 x;

	CU_ASSERT_FATAL(x509_read(cur_of(cert_odd, sizeof(cert_odd)), &x));
	if (x.subject.n) {
		char text[X509_NAME_TEXT];
		bool cut;

		x509_name_text(x.subject, text, &cut);
		/* DER sorts the attributes of a SET: either order is what the encoder made of it */
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "CN=multi"));
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "UID=u1"));
		CU_ASSERT_PTR_NOT_NULL(strstr(text, " + "));
		CU_ASSERT_PTR_NOT_NULL(strstr(text, ", DC=example, O=BMP Ж, L=Télé, 1.3.6.1.4.1.99999.7=own, emailAddress=a@b.example"));
	}
	assert_name(x.issuer, "CN=\\#1 \\\"x\\\" \\<y\\>\\; a\\+b\\\\c, OU=\\ spaces\\ ");
	CU_ASSERT_EQUAL(x.serial.n, 20);
	assert_time(&x.not_before, "1970-01-01T00:00:00");
	CU_ASSERT_EQUAL(x.not_after.tag, 0x18);
	assert_time(&x.not_after, "2050-01-01T00:00:00");
}

/* A Name of one attribute. */
static size_t one_attribute(uint8_t *to, uint8_t tag, const void *value, uint8_t n)
{
	const uint8_t head[] = { 0x31, (uint8_t)(n + 9), 0x30, (uint8_t)(n + 7), 0x06, 0x03, 0x55, 0x04, 0x03, tag, n };

	memcpy(to, head, sizeof(head));
	memcpy(to + sizeof(head), value, n);
	return sizeof(head) + n;
}

static void values(void)
{
	static const struct {
		uint8_t tag;
		const char *value;
		uint8_t n;
		const char *want;
	} rows[] = {
		{ 0x0c, "good.example\0.evil.example", 26, "CN=good.example\\00.evil.example" },
		{ 0x13, "", 0, "CN=" },
		{ 0x13, " ", 1, "CN=\\ " },
		{ 0x16, "a\nb\x7f", 4, "CN=a\\0Ab\\7F" },
		{ 0x14, "\xe9", 1, "CN=é" },
		{ 0x1e, "\x04\x16\x00,", 4, "CN=Ж\\," },
		{ 0x1e, "\xd8\x00\x00x", 4, "CN=\xef\xbf\xbdx" },
		{ 0x1e, "\0a\0", 3, "CN=a" },
		{ 0x1c, "\0\1\xf6\0", 4, "CN=\xf0\x9f\x98\x80" },
		{ 0x1c, "\0\x11\0\0", 4, "CN=\xef\xbf\xbd" },
		{ 0x03, "\0\xab", 2, "CN=#00ab" },
	};
	uint8_t name[256];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_name((struct bytes){ name, one_attribute(name, rows[i].tag, rows[i].value, rows[i].n) }, rows[i].want);
	assert_name((struct bytes){ name, 0 }, "");
}

static void oids(void)
{
	static const struct {
		const char *oid;
		uint8_t n;
		const char *want;
	} rows[] = {
		{ "\x55\x04\x0a", 3, "O=v" },
		{ "\x55\x04", 2, "2.5.4=v" },
		{ "\x2a", 1, "1.2=v" },
		{ "\x88\x37\x03", 3, "2.999.3=v" },
		{ "\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03", 11, "jurisdictionC=v" },
		{ "\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11, "#2affffffffffffffffff7f=v" },	/* no number that anybody has */
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t n = rows[i].n, name[64] = { 0x31, (uint8_t)(n + 7), 0x30, (uint8_t)(n + 5), 0x06, n };

		memcpy(name + 6, rows[i].oid, n);
		memcpy(name + 6 + n, "\x0c\x01v", 3);
		assert_name((struct bytes){ name, 9u + n }, rows[i].want);
	}
}

/* A name of many attributes is cut between characters, and told so. */
static void long_name(void)
{
	static uint8_t name[40000];
	char text[X509_NAME_TEXT];
	size_t n = 0;
	bool cut;

	while (n < 30000)
		n += one_attribute(name + n, 0x0c, "Жжжжжжжжжжжжжжжжжжжж", 40);
	CU_ASSERT_EQUAL(x509_name_text((struct bytes){ name, n }, text, &cut), strlen(text));
	CU_ASSERT_TRUE(cut);
	CU_ASSERT(strlen(text) > X509_NAME_TEXT - 8 && strlen(text) < X509_NAME_TEXT);
}

static void broken_names(void)
{
	static const struct {
		const char *p;
		uint8_t n;
	} rows[] = {
		{ "\x31", 1 }, { "\x31\x80\x00\x00", 4 }, { "\x31\x85\0\0\0\0\0", 7 }, { "\x31\x84\xff\xff\xff\xff", 6 },
		{ "\x30\x00", 2 }, { "\x31\x02\x30\x00", 4 }, { "\x31\x03\x30\x01\x06", 5 }, { "\x31\x05\x30\x03\x02\x01\x00", 7 },
		{ "\x31\x06\x30\x04\x06\x05\x55\x04", 8 }, { "\x3f\x81\x00", 3 },
	};
	char text[X509_NAME_TEXT];
	bool cut;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CU_ASSERT_EQUAL(x509_name_text((struct bytes){ (const uint8_t *)rows[i].p, rows[i].n }, text, &cut), SIZE_MAX);
		CU_ASSERT_STRING_EQUAL(text, "");
	}
	CU_ASSERT_EQUAL(x509_name_text((struct bytes){ NULL, 0 }, text, &cut), SIZE_MAX);
}

static void times(void)
{
	static const struct {
		uint8_t tag;
		const char *text, *want;
	} rows[] = {
		{ 0x17, "240229120000Z", "2024-02-29T12:00:00" },
		{ 0x17, "230229120000Z", "" },
		{ 0x17, "000229000000Z", "2000-02-29T00:00:00" },
		{ 0x17, "491231235959Z", "2049-12-31T23:59:59" },
		{ 0x17, "500101000000Z", "1950-01-01T00:00:00" },
		{ 0x17, "9912312359Z", "1999-12-31T23:59:00" },
		{ 0x17, "991231235960Z", "" },
		{ 0x17, "991331000000Z", "" },
		{ 0x17, "990001000000Z", "" },
		{ 0x17, "990100000000Z", "" },
		{ 0x17, "990101240000Z", "" },
		{ 0x17, "990101006000Z", "" },
		{ 0x17, "990101000000+0100", "" },
		{ 0x17, "990101000000", "" },
		{ 0x17, "99010100000-Z", "" },
		{ 0x17, "-90101000000Z", "" },
		{ 0x17, "Z", "" },
		{ 0x17, "", "" },
		{ 0x18, "99991231235959Z", "9999-12-31T23:59:59" },
		{ 0x18, "19000229000000Z", "" },
		{ 0x18, "00000101000000Z", "0000-01-01T00:00:00" },
		{ 0x18, "20500101000000Z", "2050-01-01T00:00:00" },
		{ 0x18, "20500101000000.5Z", "" },
		{ 0x18, "205001010000Z", "" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_time(&(struct x509_time){ rows[i].tag, { (const uint8_t *)rows[i].text, strlen(rows[i].text) } }, rows[i].want);
}

/* Every prefix, and every byte replaced by what hurts most, each in memory of exactly that size. */
static void hostile(void)
{
	static const uint8_t bad[] = { 0x00, 0x7f, 0x80, 0x81, 0x84, 0xff, 0x30 };
	char text[X509_NAME_TEXT], time[X509_TIME_TEXT];
	size_t whole = 0;
	struct x509 x;
	bool cut;

	for (size_t n = 0; n <= sizeof(cert_odd); n++)
		for (unsigned k = 0; k <= sizeof(bad); k++) {
			uint8_t *p = malloc(n ? n : 1);
			size_t at = n ? n - 1 : 0;

			memcpy(p, cert_odd, n);
			if (k && n)
				p[at] = bad[k - 1];
			whole += x509_read(cur_of(p, n), &x);
			x509_name_text(x.subject, text, &cut);
			x509_name_text(x.issuer, text, &cut);
			x509_time_text(&x.not_before, time);
			free(p);
		}
	CU_ASSERT(whole > 0);
	for (size_t at = 0; at < sizeof(cert_odd); at++)
		for (unsigned k = 0; k < sizeof(bad); k++) {
			uint8_t *p = malloc(sizeof(cert_odd));

			memcpy(p, cert_odd, sizeof(cert_odd));
			p[at] = bad[k];
			x509_read(cur_of(p, sizeof(cert_odd)), &x);
			x509_name_text(x.subject, text, &cut);
			x509_name_text(x.issuer, text, &cut);
			x509_time_text(&x.not_after, time);
			free(p);
		}
}

/* What comes before the damage is still told. */
static void half(void)
{
	uint8_t bytes[sizeof(cert_leaf)];
	struct x509 x;

	CU_ASSERT_FATAL(x509_read(cur_of(cert_leaf, sizeof(cert_leaf)), &x));
	memcpy(bytes, cert_leaf, sizeof(bytes));
	bytes[(size_t)(x.not_before.text.p - cert_leaf) - 2] = 0x04;	/* no time */
	CU_ASSERT_FALSE(x509_read(cur_of(bytes, sizeof(bytes)), &x));
	CU_ASSERT_EQUAL(x.serial.n, 8);
	assert_name(x.issuer, "O=Test CA, CN=Test CA #1");
	CU_ASSERT_PTR_NULL(x.subject.p);
	CU_ASSERT_EQUAL(x.not_before.tag, 0);
}

const struct unit_test tests_x509[] = {
	{ "a certificate", leaf },
	{ "all that names may hold", odd },
	{ "kinds of strings", values },
	{ "kinds of attributes", oids },
	{ "a long name", long_name },
	{ "broken names", broken_names },
	{ "times", times },
	{ "hostile bytes", hostile },
	{ "half a certificate", half },
	{ 0 },
};
