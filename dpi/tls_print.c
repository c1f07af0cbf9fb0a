/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls_print: fingerprints, written piece by piece into a hash; only of JA3's text the beginning is kept. */
#include "dpi/tls_print.h"

#include <string.h>

#include "dpi/digest.h"

#define LIST_MAX 32768u		/* numbers in 64 KiB */
#define SMALL 48u		/* numbers that are sorted by insertion */

/* ---- JA3 ---- */

struct ja3_text {
	struct digest d;
	struct tls_ja3 *out;
	bool first;	/* no number in this field yet */
};

static void ja3_put(struct ja3_text *t, const char *p, size_t n)
{
	size_t room = sizeof(t->out->text) - t->out->n;

	digest_add(&t->d, p, n);
	if (n > room)
		n = room;
	memcpy(t->out->text + t->out->n, p, n);
	t->out->n += (uint32_t)n;
}

static void ja3_number(struct ja3_text *t, uint16_t v)
{
	char buf[8], *p = buf + sizeof(buf);

	do {
		*--p = (char)('0' + v % 10);
		v = (uint16_t)(v / 10);
	} while (v);
	if (!t->first)
		*--p = '-';
	t->first = false;
	ja3_put(t, p, (size_t)(buf + sizeof(buf) - p));
}

static void ja3_field(struct ja3_text *t)
{
	ja3_put(t, ",", 1);
	t->first = true;
}

static void ja3_list(struct ja3_text *t, struct bytes list)
{
	struct cursor c = tls_cursor(list);
	uint16_t v;

	ja3_field(t);
	while (tls_list_next(&c, &v))
		if (!tls_is_grease(v))
			ja3_number(t, v);
}

static void ja3_extensions(struct ja3_text *t, const struct tls_hello *h)
{
	struct cursor c = tls_cursor(h->extensions), body;
	uint16_t type;

	ja3_field(t);
	while (tls_ext_next(&c, &type, &body))
		if (!tls_is_grease(type))
			ja3_number(t, type);
}

void tls_ja3(const struct tls_hello *h, struct tls_ja3 *out)
{
	struct ja3_text t = { .out = out, .first = true };
	uint8_t sum[DIGEST_MAX];

	out->n = 0;
	digest_init(&t.d, DIGEST_MD5);
	ja3_number(&t, h->legacy_version);
	if (h->server) {
		ja3_field(&t);
		ja3_number(&t, h->cipher);
		ja3_extensions(&t, h);
	} else {
		struct cursor formats = tls_cursor(h->formats);

		ja3_list(&t, h->ciphers);
		ja3_extensions(&t, h);
		ja3_list(&t, h->groups);
		ja3_field(&t);
		while (cur_more(&formats))
			ja3_number(&t, cur_u8(&formats));
	}
	hex_text(out->hash, sum, digest_end(&t.d, sum));
}

/* ---- JA4 ---- */

static void sort_small(uint16_t *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		uint16_t x = v[i];
		size_t j = i;

		for (; j && v[j - 1] > x; j--)
			v[j] = v[j - 1];
		v[j] = x;
	}
}

/* Numbers of one high byte: count the low ones, write them anew. */
static void sort_low(uint16_t *v, size_t n)
{
	uint32_t count[256] = { 0 };
	uint16_t high = v[0] & 0xff00;

	for (size_t i = 0; i < n; i++)
		count[v[i] & 0xff]++;
	for (uint32_t low = 0, at = 0; low < 256; low++)
		while (count[low]--)
			v[at++] = (uint16_t)(high | low);
}

/* In place and linear, because a hostile hello may hold thousands: each number goes to its high byte's part, then the parts
 * are sorted by the low byte. */
static void sort(uint16_t *v, size_t n)
{
	uint32_t start[257] = { 0 }, at[256];

	if (n <= SMALL) {
		sort_small(v, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		start[(v[i] >> 8) + 1]++;
	for (unsigned b = 0; b < 256; b++) {
		start[b + 1] += start[b];
		at[b] = start[b];
	}
	for (unsigned b = 0; b < 256; b++)
		while (at[b] < start[b + 1]) {
			uint16_t x = v[at[b]];
			uint32_t *to = &at[x >> 8];

			v[at[b]] = v[*to];
			v[(*to)++] = x;
		}
	for (unsigned b = 0; b < 256; b++)
		if (start[b + 1] - start[b] > SMALL)
			sort_low(v + start[b], start[b + 1] - start[b]);
		else
			sort_small(v + start[b], start[b + 1] - start[b]);
}

/* n numbers as hex joined by commas into the hash */
static void ja4_add(struct digest *d, const uint16_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t be[2] = { (uint8_t)(v[i] >> 8), (uint8_t)v[i] };
		char text[6] = ",";

		hex_text(text + 1, be, 2);
		digest_add(d, text + (i == 0), 5 - (i == 0));
	}
}

static void ja4_hash(struct digest *d, bool any, char out[12])
{
	uint8_t sum[DIGEST_MAX];
	char hex[2 * DIGEST_MAX + 1];

	if (!any) {
		memset(out, '0', 12);
		return;
	}
	hex_text(hex, sum, digest_end(d, sum));
	memcpy(out, hex, 12);
}

/* The list without GREASE. Returns how many. */
static size_t ja4_numbers(struct bytes list, uint16_t *v)
{
	struct cursor c = tls_cursor(list);
	size_t n = 0;

	while (n < LIST_MAX && tls_list_next(&c, &v[n]))
		if (!tls_is_grease(v[n]))
			n++;
	return n;
}

static const char *ja4_version(uint16_t v)
{
	switch (v) {
	case TLS_SSL2: return "s2";
	case TLS_SSL3: return "s3";
	case TLS_1_0: return "10";
	case TLS_1_1: return "11";
	case TLS_1_2: return "12";
	case TLS_1_3: return "13";
	case TLS_DTLS_1_0: return "d1";
	case TLS_DTLS_1_2: return "d2";
	case TLS_DTLS_1_3: return "d3";
	default: return "00";
	}
}

static bool alnum(uint8_t b) { return (b >= '0' && b <= '9') || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z'); }

/* First and last character of the first name; of its hex text when either is no letter or digit. */
static void ja4_alpn(const struct tls_hello *h, char out[2])
{
	struct cursor c = tls_cursor(h->alpn);
	struct bytes name;
	char first[3], last[3];

	out[0] = out[1] = '0';
	do {
		if (!tls_alpn_next(&c, &name) || !name.n)
			return;
	} while (name.n == 2 && tls_is_grease((uint16_t)(name.p[0] << 8 | name.p[1])));	/* RFC 8701 has such names too */
	if (alnum(name.p[0]) && alnum(name.p[name.n - 1])) {
		out[0] = (char)name.p[0];
		out[1] = (char)name.p[name.n - 1];
		return;
	}
	hex_text(first, name.p, 1);
	hex_text(last, name.p + name.n - 1, 1);
	out[0] = first[0];
	out[1] = last[1];
}

static void two_digits(char *out, size_t n)
{
	if (n > 99)
		n = 99;
	out[0] = (char)('0' + n / 10);
	out[1] = (char)('0' + n % 10);
}

/* c: the extensions but SNI and ALPN, sorted; the signature algorithms. Returns how many extensions there are in all. */
static size_t ja4_extensions(const struct tls_hello *h, uint16_t *v, char out[12])
{
	struct cursor c = tls_cursor(h->extensions), body;
	size_t all = 0, n = 0, sigs;
	struct digest d;
	uint16_t type;
	bool any;

	while (n < LIST_MAX && tls_ext_next(&c, &type, &body)) {
		if (tls_is_grease(type))
			continue;
		all++;
		if (type != TLS_EXT_SNI && type != TLS_EXT_ALPN)
			v[n++] = type;
	}
	sort(v, n);
	digest_init(&d, DIGEST_SHA256);
	ja4_add(&d, v, n);
	any = n > 0;
	sigs = ja4_numbers(h->sigalgs, v);
	if (sigs) {
		digest_add(&d, "_", 1);
		ja4_add(&d, v, sigs);
	}
	ja4_hash(&d, any || sigs, out);
	return all;
}

void tls_ja4(const struct tls_hello *h, char transport, char out[TLS_JA4_LEN + 1])
{
	uint16_t v[LIST_MAX];
	struct digest d;
	size_t n = ja4_numbers(h->ciphers, v);

	out[0] = transport;
	memcpy(out + 1, ja4_version(h->version), 2);
	out[3] = h->has_sni ? 'd' : 'i';
	two_digits(out + 4, n);
	ja4_alpn(h, out + 8);
	out[10] = '_';
	sort(v, n);
	digest_init(&d, DIGEST_SHA256);
	ja4_add(&d, v, n);
	ja4_hash(&d, n > 0, out + 11);
	out[23] = '_';
	two_digits(out + 6, ja4_extensions(h, v, out + 24));
	out[36] = 0;
}
