/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x509: reads a certificate's head.
 *
 *   Certificate    SEQUENCE { tbs, algorithm, signature }
 *   tbs            SEQUENCE { [0] version?, serial INTEGER, algorithm SEQUENCE, issuer Name, validity SEQUENCE { Time, Time },
 *                             subject Name, ... }
 *   Name           SEQUENCE of SET of SEQUENCE { type OID, value string }
 *
 * Elements are read by ber.h. Depth is the depth of the code: each level is a loop over a cursor that holds nothing but that
 * level's content. */
#include "dpi/x509.h"

#include <stdio.h>

#include "dpi/ber.h"

enum { DER_UTF8 = 0x0c, DER_NUMERIC = 0x12, DER_PRINTABLE = 0x13, DER_TELETEX = 0x14, DER_IA5 = 0x16, DER_UTC = 0x17,
       DER_GENERALIZED = 0x18, DER_VISIBLE = 0x1a, DER_GENERAL = 0x1b, DER_UNIVERSAL = 0x1c, DER_BMP = 0x1e, DER_VERSION = 0xa0 };

static struct bytes whole(const struct cursor *c) { return (struct bytes){ c->start, (size_t)(c->end - c->start) }; }

static bool read_time(struct cursor *c, struct x509_time *t)
{
	struct cursor body;
	uint8_t tag;

	if (!ber_next(c, &tag, &body) || (tag != DER_UTC && tag != DER_GENERALIZED))
		return false;
	t->tag = tag;
	t->text = whole(&body);
	return true;
}

bool x509_read(struct cursor der, struct x509 *out)
{
	struct cursor cert, tbs, body;

	*out = (struct x509){ 0 };
	if (!ber_open(&der, BER_SEQUENCE, &cert) || !ber_open(&cert, BER_SEQUENCE, &tbs))
		return false;
	if (ber_is(&tbs, DER_VERSION))
		ber_open(&tbs, DER_VERSION, &body);
	if (!ber_open(&tbs, BER_INTEGER, &body))
		return false;
	out->serial = whole(&body);
	if (!ber_open(&tbs, BER_SEQUENCE, &body) || !ber_open(&tbs, BER_SEQUENCE, &body))
		return false;
	out->issuer = whole(&body);
	if (!ber_open(&tbs, BER_SEQUENCE, &body) || !read_time(&body, &out->not_before) || !read_time(&body, &out->not_after))
		return false;
	if (!ber_open(&tbs, BER_SEQUENCE, &body))
		return false;
	out->subject = whole(&body);
	return true;
}

/* ---- names ---- */

struct text {
	char *p;
	size_t n;
	bool cut;
};

/* All of it or nothing: a cut text ends between characters. */
static void put(struct text *t, const char *s, size_t n)
{
	if (t->cut || n > X509_NAME_TEXT - 1 - t->n) {
		t->cut = true;
		return;
	}
	memcpy(t->p + t->n, s, n);
	t->n += n;
}

static void put_cstr(struct text *t, const char *s) { put(t, s, strlen(s)); }

/* One character by its code point, escaped where RFC 4514, 2.4 asks for it. */
static void put_char(struct text *t, uint32_t u, bool first, bool last)
{
	char b[4];

	if (u < 0x20 || u == 0x7f) {
		snprintf(b, sizeof(b), "\\%02X", u);
		put(t, b, 3);
	} else if (u < 0x80) {
		bool escape = strchr(",+\"\\<>;", (int)u) || (first && (u == '#' || u == ' ')) || (last && u == ' ');

		b[0] = '\\';
		b[1] = (char)u;
		put(t, b + !escape, 1u + escape);
	} else if (u < 0x800) {
		b[0] = (char)(0xc0 | u >> 6);
		b[1] = (char)(0x80 | (u & 0x3f));
		put(t, b, 2);
	} else if (u < 0x10000 && u >> 11 != 0x1b) {
		b[0] = (char)(0xe0 | u >> 12);
		b[1] = (char)(0x80 | (u >> 6 & 0x3f));
		b[2] = (char)(0x80 | (u & 0x3f));
		put(t, b, 3);
	} else if (u >= 0x10000 && u < 0x110000) {
		b[0] = (char)(0xf0 | u >> 18);
		b[1] = (char)(0x80 | (u >> 12 & 0x3f));
		b[2] = (char)(0x80 | (u >> 6 & 0x3f));
		b[3] = (char)(0x80 | (u & 0x3f));
		put(t, b, 4);
	} else {
		put(t, "\xef\xbf\xbd", 3);	/* U+FFFD: a surrogate, or beyond Unicode */
	}
}

/* Bytes >= 0x80 of UTF-8 go through as they are: whoever writes the event checks them. */
static void put_bytes(struct text *t, struct cursor c, bool latin1)
{
	for (bool first = true; cur_more(&c); first = false) {
		uint8_t b = cur_u8(&c);
		char raw = (char)b;

		if (b >= 0x80 && !latin1)
			put(t, &raw, 1);
		else
			put_char(t, b, first, !cur_left(&c));
	}
}

static void put_wide(struct text *t, struct cursor c, unsigned width)
{
	for (bool first = true; cur_left(&c) >= width; first = false) {
		uint32_t u = width == 2 ? cur_be16(&c) : cur_be32(&c);

		put_char(t, u, first, cur_left(&c) < width);
	}
}

static void put_hex(struct text *t, struct cursor c)
{
	put(t, "#", 1);
	while (cur_more(&c) && !t->cut) {
		char hex[3];

		snprintf(hex, sizeof(hex), "%02x", cur_u8(&c));
		put(t, hex, 2);
	}
}

static void put_value(struct text *t, uint8_t tag, struct cursor c)
{
	switch (tag) {
	case DER_UTF8: case DER_NUMERIC: case DER_PRINTABLE: case DER_IA5: case DER_VISIBLE: case DER_GENERAL:
		put_bytes(t, c, false);
		break;
	case DER_TELETEX:
		put_bytes(t, c, true);	/* T.61 by the letter, Latin-1 in all certificates that use it */
		break;
	case DER_BMP:
		put_wide(t, c, 2);
		break;
	case DER_UNIVERSAL:
		put_wide(t, c, 4);
		break;
	default:
		put_hex(t, c);
		break;
	}
}

/* The names that people know; any other type is its dotted number. */
static void put_type(struct text *t, struct cursor oid)
{
	static const struct {
		const char *der, *name;
	} known[] = {
		{ "\x55\x04\x03", "CN" }, { "\x55\x04\x04", "SN" }, { "\x55\x04\x05", "serialNumber" }, { "\x55\x04\x06", "C" },
		{ "\x55\x04\x07", "L" }, { "\x55\x04\x08", "ST" }, { "\x55\x04\x09", "street" }, { "\x55\x04\x0a", "O" },
		{ "\x55\x04\x0b", "OU" }, { "\x55\x04\x0c", "title" }, { "\x55\x04\x0d", "description" },
		{ "\x55\x04\x0f", "businessCategory" }, { "\x55\x04\x11", "postalCode" }, { "\x55\x04\x29", "name" },
		{ "\x55\x04\x2a", "GN" }, { "\x55\x04\x2b", "initials" }, { "\x55\x04\x2e", "dnQualifier" },
		{ "\x55\x04\x61", "organizationIdentifier" }, { "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", "emailAddress" },
		{ "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", "DC" }, { "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", "UID" },
		{ "\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01", "jurisdictionL" },
		{ "\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02", "jurisdictionST" },
		{ "\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03", "jurisdictionC" },
	};
	char text[BER_OID_TEXT];

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (cur_left(&oid) == strlen(known[i].der) && cur_starts(&oid, known[i].der, strlen(known[i].der))) {
			put_cstr(t, known[i].name);
			return;
		}
	if (ber_oid_text(whole(&oid), text))
		put_cstr(t, text);
	else
		put_hex(t, oid);
}

/* The attributes of one RDN. */
static bool put_rdn(struct text *t, struct cursor set)
{
	struct cursor pair, oid, value;
	uint8_t tag;

	for (bool first = true; cur_more(&set); first = false) {
		if (!ber_open(&set, BER_SEQUENCE, &pair) || !ber_open(&pair, BER_OID, &oid) || !ber_next(&pair, &tag, &value))
			return false;
		if (!first)
			put_cstr(t, " + ");
		put_type(t, oid);
		put(t, "=", 1);
		put_value(t, tag, value);
		if (t->cut)
			return true;	/* nothing that follows is told */
	}
	return true;
}

size_t x509_name_text(struct bytes name, char out[X509_NAME_TEXT], bool *cut)
{
	struct cursor c = cur_of(name.p, name.n), set;
	struct text t = { .p = out };
	bool ok = name.p != NULL;

	for (bool first = true; ok && !t.cut && cur_more(&c); first = false) {
		ok = ber_open(&c, BER_SET, &set);
		if (ok && !first)
			put_cstr(&t, ", ");
		ok = ok && put_rdn(&t, set);
	}
	if (!ok)
		t.n = 0;
	out[t.n] = 0;
	*cut = t.cut;
	return ok ? t.n : SIZE_MAX;
}

/* ---- times ---- */

/* n digits; -1 when there are others. */
static int digits(struct cursor *c, unsigned n)
{
	int v = 0;

	while (n--) {
		uint8_t b = cur_u8(c);

		if (b < '0' || b > '9')
			return -1;
		v = v * 10 + (b - '0');
	}
	return v;
}

static int days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* RFC 5280, 4.1.2.5: YYMMDDHHMMSSZ up to 2049, YYYYMMDDHHMMSSZ. Old UTCTimes without seconds are read too. */
bool x509_time_text(const struct x509_time *t, char out[X509_TIME_TEXT])
{
	struct cursor c = cur_of(t->text.p, t->text.n);
	int year, month, day, hour, minute, second = 0;

	out[0] = 0;
	if (t->tag == DER_UTC) {
		year = digits(&c, 2);
		if (year >= 0)
			year += year < 50 ? 2000 : 1900;
	} else {
		year = digits(&c, 4);
	}
	month = digits(&c, 2);
	day = digits(&c, 2);
	hour = digits(&c, 2);
	minute = digits(&c, 2);
	if (t->tag == DER_GENERALIZED || cur_left(&c) > 1)
		second = digits(&c, 2);
	if (cur_u8(&c) != 'Z' || cur_left(&c) || !cur_ok(&c))
		return false;
	if (year < 0 || year > 9999 || month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour < 0 || hour > 23 || minute < 0 ||
	    minute > 59 || second < 0 || second > 59)
		return false;
	snprintf(out, X509_TIME_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, hour, minute, second);
	return true;
}
