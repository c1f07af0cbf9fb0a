/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls_hello, tls_print, tls_names, digest: hellos built byte by byte, and the fingerprints that their inventors published. */
#include <stdio.h>
#include <stdlib.h>

#include "dpi/digest.h"
#include "dpi/tls_print.h"
#include "tests/unit/dpi/tlsbuild.h"
#include "tests/unit/unit.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static struct tlsbuf t;
static struct tls_ja3 ja3;

static struct cursor body(void) { return cur_of(t.b, t.n); }

static void digests(void)
{
	static const struct {
		enum digest_kind kind;
		const char *want;
	} rows[] = {	/* of "abc": RFC 1321, FIPS 180 */
		{ DIGEST_MD5, "900150983cd24fb0d6963f7d28e17f72" },
		{ DIGEST_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ DIGEST_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	};
	char hex[2 * DIGEST_MAX + 1], sep[3 * 3];
	uint8_t sum[DIGEST_MAX];
	struct digest d;

	for (unsigned i = 0; i < COUNT(rows); i++) {
		digest_init(&d, rows[i].kind);
		digest_add(&d, "a", 1);
		digest_add(&d, NULL, 0);
		digest_add(&d, "bc", 2);
		hex_text(hex, sum, digest_end(&d, sum));
		CU_ASSERT_STRING_EQUAL(hex, rows[i].want);
	}
	hex_text_sep(sep, (const uint8_t *)"\x0a\xbc\xff", 3, ':', true);
	CU_ASSERT_STRING_EQUAL(sep, "0A:BC:FF");
	hex_text_sep(sep, NULL, 0, ':', true);
	CU_ASSERT_STRING_EQUAL(sep, "");
}

/* ---- published fingerprints ---- */

static void put_lists(const uint16_t *groups, size_t ngroups)
{
	tb_ext_list(&t, 10, 2, groups, ngroups);
	tb_ext(&t, 11, "\1\0", 2);
}

static void ja3_published(void)
{
	static const uint16_t one[] = { 47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4 };
	static const uint16_t two[] = { 4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99 };
	static const uint16_t groups[] = { 23, 24, 25 };
	struct tls_hello h;
	size_t ext = tb_client(&t, TLS_1_0, one, COUNT(one));

	tb_ext_sni(&t, "a.example", 9);
	put_lists(groups, 3);
	tb_close(&t, ext, 2);
	CU_ASSERT_FATAL(tls_client_hello(body(), false, &h));
	tls_ja3(&h, &ja3);
	CU_ASSERT_STRING_EQUAL(ja3.hash, "ada70206e40642a3e4461f35503241d5");
	CU_ASSERT_EQUAL(ja3.n, strlen("769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0"));
	CU_ASSERT_NSTRING_EQUAL(ja3.text, "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0", ja3.n);

	tb_client(&t, TLS_1_0, two, COUNT(two));
	t.n -= 2;	/* no extensions, not even none of them */
	CU_ASSERT_FATAL(tls_client_hello(body(), false, &h));
	tls_ja3(&h, &ja3);
	CU_ASSERT_STRING_EQUAL(ja3.hash, "de350869b8c85de67a350c8d186f11e6");

	ext = tb_server(&t, TLS_1_0, 47);
	tb_ext(&t, 65281, "\0", 1);
	tb_ext(&t, 0, NULL, 0);
	tb_ext(&t, 11, "\1\0", 2);
	tb_ext(&t, 35, NULL, 0);
	tb_ext(&t, 5, NULL, 0);
	tb_ext(&t, 16, "\0\3\2h2", 5);
	tb_close(&t, ext, 2);
	CU_ASSERT_FATAL(tls_server_hello(body(), &h));
	tls_ja3(&h, &ja3);
	CU_ASSERT_STRING_EQUAL(ja3.hash, "836ce314215654b5b1f85f97c73e506f");	/* md5sum of 769,47,65281-0-11-35-5-16 */
}

/* A browser's hello as JA4's paper shows it, its GREASE values put back where browsers put them. */
static void build_browser(bool grease)
{
	static const uint16_t ciphers[] = { 0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
		0x009c, 0x009d, 0x002f, 0x0035 };
	static const uint16_t sigs[] = { 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601, 0x8a8a };
	static const uint16_t versions[] = { 0xdada, TLS_1_3, TLS_1_2 }, groups[] = { 0xbaba, 29, 23, 24 };
	unsigned g = grease ? 0 : 1;
	size_t ext = tb_client(&t, TLS_1_2, ciphers + g, COUNT(ciphers) - g);

	if (grease)
		tb_ext(&t, 0x0a0a, NULL, 0);
	tb_ext(&t, 0x001b, "\2\0\2", 3);
	tb_ext_sni(&t, "browser.example", 15);
	tb_ext(&t, 0x0033, NULL, 0);
	tb_ext(&t, 0x0010, "\0\x0c\2h2\10http/1.1", 14);
	tb_ext(&t, 0x4469, NULL, 0);
	tb_ext(&t, 0x0017, NULL, 0);
	tb_ext(&t, 0x002d, "\1\1", 2);
	tb_ext_list(&t, 0x000d, 2, sigs, COUNT(sigs) - g);
	tb_ext(&t, 0x0005, NULL, 0);
	tb_ext(&t, 0x0023, NULL, 0);
	tb_ext(&t, 0x0012, NULL, 0);
	tb_ext_list(&t, 0x002b, 1, versions + g, COUNT(versions) - g);
	tb_ext(&t, 0xff01, "\0", 1);
	put_lists(groups + g, COUNT(groups) - g);
	if (grease)
		tb_ext(&t, 0xfafa, "\0", 1);
	tb_ext(&t, 0x0015, "\0\0\0", 3);
	tb_close(&t, ext, 2);
}

static void ja4_published(void)
{
	char ja4[TLS_JA4_LEN + 1], plain[33];
	struct tls_hello h;

	for (int grease = 0; grease < 2; grease++) {
		build_browser(grease);
		CU_ASSERT_FATAL(tls_client_hello(body(), false, &h));
		CU_ASSERT_FALSE(h.odd);
		CU_ASSERT_EQUAL(h.version, TLS_1_3);
		tls_ja4(&h, 't', ja4);
		CU_ASSERT_STRING_EQUAL(ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
		tls_ja3(&h, &ja3);
		if (!grease)
			strcpy(plain, ja3.hash);
		else
			CU_ASSERT_STRING_EQUAL(ja3.hash, plain);
	}
	tls_ja4(&h, 'q', ja4);
	CU_ASSERT_EQUAL(ja4[0], 'q');
}

static const char *ja4_of(size_t ext)
{
	static char ja4[TLS_JA4_LEN + 1];
	struct tls_hello h;

	if (ext)
		tb_close(&t, ext, 2);
	if (!tls_client_hello(body(), false, &h))
		return "no hello";
	tls_ja4(&h, 't', ja4);
	return ja4;
}

/* The letters of ALPN, by the rows of JA4's document and some more. */
static void ja4_alpn(void)
{
	static const struct {
		const char *name;
		uint8_t n;
		const char *want;
	} rows[] = {
		{ "h2", 2, "h2" }, { "http/1.1", 8, "h1" }, { "q", 1, "qq" }, { "", 0, "00" },
		{ "\xab", 1, "ab" }, { " ", 1, "20" }, { "\xab\xcd", 2, "ad" }, { " a", 2, "21" }, { "0\xab", 2, "3b" },
		{ "a ", 2, "60" }, { "01\xab\xcd", 4, "3d" }, { "0\xab\xcd""1", 4, "01" }, { "\x0a\x0a", 2, "00" },
	};
	static const uint16_t ciphers[] = { 0x1301 };

	for (unsigned i = 0; i < COUNT(rows); i++) {
		size_t ext = tb_client(&t, TLS_1_2, ciphers, 1);

		tb_ext_alpn(&t, rows[i].name, rows[i].n);
		CU_ASSERT_NSTRING_EQUAL(ja4_of(ext) + 8, rows[i].want, 2);
	}
	tb_close(&t, tb_client(&t, TLS_1_2, ciphers, 1), 2);
	CU_ASSERT_NSTRING_EQUAL(ja4_of(0), "t12i010000_", 11);
}

/* What sha256sum says of 1301 and of 0017. */
#define JA4_1301 "0f2cb44170f4"
#define JA4_0017 "1ca028f07214"

static void ja4_empty(void)
{
	static const uint16_t none[] = { 0x0a0a }, one[] = { 0x1301 };
	size_t ext = tb_client(&t, TLS_1_0, none, 1);

	CU_ASSERT_STRING_EQUAL(ja4_of(ext), "t10i000000_000000000000_000000000000");
	ext = tb_client(&t, TLS_SSL3, one, 1);
	tb_ext(&t, 0x17, NULL, 0);
	CU_ASSERT_STRING_EQUAL(ja4_of(ext), "ts3i010100_" JA4_1301 "_" JA4_0017);
	ext = tb_client(&t, 0x0310, one, 1);
	tb_ext_sni(&t, "", 0);
	CU_ASSERT_STRING_EQUAL(ja4_of(ext), "t00d010100_" JA4_1301 "_000000000000");
}

static int by_value(const void *a, const void *b) { return *(const uint16_t *)a - *(const uint16_t *)b; }

/* Many ciphers, in any order, sorted the way the C library sorts them; counts end at 99. */
static void ja4_many(void)
{
	static uint16_t v[32000];
	static const size_t sizes[] = { 2, 47, 48, 49, 97, 99, 100, 300, 5000, 32000 };
	uint32_t seed = 1;

	for (unsigned k = 0; k < COUNT(sizes); k++)
		for (int narrow = 0; narrow < 2; narrow++) {
			size_t n = sizes[k];
			uint8_t sum[DIGEST_MAX];
			char hex[2 * DIGEST_MAX + 1], text[6], counts[3];
			const char *ja4;
			struct digest d;
			size_t ext;

			for (size_t i = 0; i < n; i++) {
				do {
					seed = seed * 1103515245u + 12345u;
					v[i] = (uint16_t)(narrow ? 0xc000 | (seed >> 16 & 0xff) : seed >> 13);
				} while (tls_is_grease(v[i]));
			}
			ext = tb_client(&t, TLS_1_2, v, n);
			ja4 = ja4_of(ext);
			qsort(v, n, sizeof(*v), by_value);
			digest_init(&d, DIGEST_SHA256);
			for (size_t i = 0; i < n; i++) {
				snprintf(text, sizeof(text), "%s%04x", i ? "," : "", v[i]);
				digest_add(&d, text, strlen(text));
			}
			hex_text(hex, sum, digest_end(&d, sum));
			CU_ASSERT_NSTRING_EQUAL(ja4 + 11, hex, 12);
			snprintf(counts, sizeof(counts), "%02u", n > 99 ? 99u : (unsigned)n);
			CU_ASSERT_NSTRING_EQUAL(ja4 + 4, counts, 2);
		}
}

/* A text that is too long for an event is hashed whole. */
static void ja3_long(void)
{
	static uint16_t v[20000];
	uint8_t sum[DIGEST_MAX];
	char hex[33], text[8];
	struct tls_hello h;
	struct digest d;

	digest_init(&d, DIGEST_MD5);
	digest_add(&d, "771,", 4);
	for (unsigned i = 0; i < COUNT(v); i++) {
		v[i] = (uint16_t)(i + 0x4000);
		if (tls_is_grease(v[i]))
			v[i] = 1;
		snprintf(text, sizeof(text), "%s%u", i ? "-" : "", v[i]);
		digest_add(&d, text, strlen(text));
	}
	digest_add(&d, ",,,", 3);
	hex_text(hex, sum, digest_end(&d, sum));
	tb_close(&t, tb_client(&t, TLS_1_2, v, COUNT(v)), 2);
	CU_ASSERT_FATAL(tls_client_hello(body(), false, &h));
	tls_ja3(&h, &ja3);
	CU_ASSERT_STRING_EQUAL(ja3.hash, hex);
	CU_ASSERT_EQUAL(ja3.n, RECORD_STR_MAX + 1);
	CU_ASSERT_NSTRING_EQUAL(ja3.text, "771,16384-16385-", 16);
}

/* ---- reading ---- */

static void views(void)
{
	static const uint16_t ciphers[] = { 0x1301 }, versions[] = { TLS_1_2, 0x7f1c, TLS_1_0, 0xfeff, 0x0505, 0x2a2a, TLS_1_3 };
	struct tls_hello h;
	size_t ext = tb_client(&t, TLS_1_2, ciphers, 1);
	struct bytes name;
	struct cursor c;

	tb_ext_sni(&t, "one.example", 11);
	tb_ext_sni(&t, "two.example", 11);		/* twice: the first counts */
	tb_ext_alpn(&t, "h2", 2);
	tb_ext_alpn(&t, "h3", 2);
	tb_ext_list(&t, 43, 1, versions, 1);
	tb_ext(&t, 41, NULL, 0);
	tb_ext(&t, 42, NULL, 0);
	tb_close(&t, ext, 2);
	CU_ASSERT_FATAL(tls_client_hello(body(), false, &h));
	CU_ASSERT(h.sni.n == 11 && memcmp(h.sni.p, "one.example", 11) == 0);
	c = tls_cursor(h.alpn);
	CU_ASSERT(tls_alpn_next(&c, &name) && name.n == 2 && memcmp(name.p, "h2", 2) == 0);
	CU_ASSERT_FALSE(tls_alpn_next(&c, &name));
	CU_ASSERT(h.psk && h.early_data && h.has_sni && h.has_alpn && !h.odd && !h.server);
	CU_ASSERT_EQUAL(h.version, TLS_1_2);

	/* the highest of what is offered, a draft before the last of all; other families of numbers do not count */
	for (unsigned last = 0; last < 2; last++) {
		ext = tb_client(&t, TLS_1_0, ciphers, 1);
		tb_ext_list(&t, 43, 1, versions, COUNT(versions) - last);
		tb_close(&t, ext, 2);
		CU_ASSERT_FATAL(tls_client_hello(body(), false, &h));
		CU_ASSERT_EQUAL(h.version, last ? 0x7f1c : TLS_1_3);
	}
}

static void odd_extensions(void)
{
	static const struct {
		unsigned type;
		const char *p;
		size_t n;
	} rows[] = {
		{ 0, "", 0 }, { 0, "\0\0", 2 }, { 0, "\0\5\0\0\3ab", 7 }, { 0, "\0\6\0\0\3abc", 7 }, { 0, "\0\3\0\0\0", 5 }, { 0, "\0\4\1\0\1x", 6 },
		{ 16, "", 0 }, { 16, "\0\3\3h2", 5 }, { 16, "\0\4\2h2", 5 }, { 10, "\0\3\0\x17\0", 5 }, { 10, "\0\4\0\x17", 4 },
		{ 13, "\xff\xff\4\3", 4 }, { 11, "\2\0", 2 }, { 43, "\4\3\4", 3 }, { 43, "", 0 },
	};
	static const uint16_t ciphers[] = { 0x1301 };

	for (unsigned i = 0; i < COUNT(rows); i++) {
		size_t ext = tb_client(&t, TLS_1_2, ciphers, 1);
		struct tls_hello h;

		tb_ext(&t, rows[i].type, rows[i].p, rows[i].n);
		tb_ext(&t, 23, NULL, 0);
		tb_close(&t, ext, 2);
		CU_ASSERT_FATAL(tls_client_hello(body(), false, &h));
		CU_ASSERT_TRUE(h.odd);
		CU_ASSERT_PTR_NULL(h.sni.n ? h.sni.p : NULL);
		CU_ASSERT_EQUAL(h.version, TLS_1_2);
	}
}

static void not_a_hello(void)
{
	static const uint16_t ciphers[] = { 0x1301, 0x1302 };
	struct tls_hello h;
	size_t ext = tb_client(&t, TLS_1_2, ciphers, 2);

	tb_ext_sni(&t, "a.example", 9);
	tb_close(&t, ext, 2);
	CU_ASSERT_TRUE(tls_client_hello(body(), false, &h));
	t.b[0] = 2;			/* version 2.3 */
	CU_ASSERT_FALSE(tls_client_hello(body(), false, &h));
	t.b[0] = 3;
	t.b[34] = 33;			/* a session id that is too long */
	CU_ASSERT_FALSE(tls_client_hello(body(), false, &h));
	t.b[34] = 0;
	t.b[36] = 3;			/* one and a half ciphers */
	CU_ASSERT_FALSE(tls_client_hello(body(), false, &h));
	t.b[36] = 0;
	CU_ASSERT_FALSE(tls_client_hello(body(), false, &h));
	t.b[36] = 4;
	t.b[41] = 0;			/* no compression method */
	CU_ASSERT_FALSE(tls_client_hello(body(), false, &h));
	t.b[41] = 1;
	t.b[ext - 1]++;			/* extensions longer than the message */
	CU_ASSERT_FALSE(tls_client_hello(body(), false, &h));
	t.b[ext - 1] -= 2;		/* the last extension is cut */
	CU_ASSERT_FALSE(tls_client_hello(body(), false, &h));
	t.b[ext - 1]++;
	CU_ASSERT_TRUE(tls_client_hello(body(), false, &h));
	for (size_t n = 0; n < t.n; n++) {	/* of all prefixes only the one without extensions is a hello */
		uint8_t *p = malloc(n ? n : 1);

		memcpy(p, t.b, n);
		CU_ASSERT_EQUAL(tls_client_hello(cur_of(p, n), false, &h), n == ext - 2);
		tls_server_hello(cur_of(p, n), &h);
		free(p);
	}
}

static void server(void)
{
	static const uint8_t retry[] = { 0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
		0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c };
	struct tls_hello h;
	size_t ext = tb_server(&t, TLS_1_2, 0x1301);

	tb_ext(&t, 43, "\3\4", 2);
	tb_ext(&t, 41, "\0\0", 2);
	tb_ext(&t, 0, NULL, 0);
	tb_close(&t, ext, 2);
	CU_ASSERT_FATAL(tls_server_hello(body(), &h));
	CU_ASSERT(h.server && h.version == TLS_1_3 && h.legacy_version == TLS_1_2 && h.cipher == 0x1301 && h.psk && !h.retry && !h.odd);
	memcpy(t.b + 2, retry, 32);
	CU_ASSERT(tls_server_hello(body(), &h) && h.retry);
	t.b[33] ^= 1;
	CU_ASSERT(tls_server_hello(body(), &h) && !h.retry);
	t.n = ext - 2;		/* SSLv3 and TLS 1.0: no extensions */
	CU_ASSERT(tls_server_hello(body(), &h) && h.version == TLS_1_2 && !h.extensions.n);
	t.b[0] = 4;
	CU_ASSERT_FALSE(tls_server_hello(body(), &h));
	tb_server(&t, 0x7f12, 0x1301);	/* draft 18 of TLS 1.3: no session id, no compression */
	memmove(t.b + 34, t.b + 35, 2);
	t.n = 36;
	CU_ASSERT(tls_server_hello(body(), &h) && h.version == 0x7f12 && h.cipher == 0x1301);
}

static void dtls(void)
{
	static const uint16_t ciphers[] = { 0xc02b }, versions[] = { 0xfeff, 0xfefc, 0xfefd };
	char ja4[TLS_JA4_LEN + 1];
	struct tls_hello h;
	size_t ext = tb_client(&t, 0xfefd, ciphers, 1);

	memmove(t.b + 36, t.b + 35, t.n - 35);	/* an empty cookie behind the empty session id */
	t.b[35] = 0;
	t.n++;
	tb_ext_list(&t, 43, 1, versions, 3);
	tb_close(&t, ext + 1, 2);
	CU_ASSERT_FALSE(tls_client_hello(body(), false, &h));
	CU_ASSERT_FATAL(tls_client_hello(body(), true, &h));
	CU_ASSERT_EQUAL(h.version, TLS_DTLS_1_3);
	tls_ja4(&h, 'd', ja4);
	CU_ASSERT_NSTRING_EQUAL(ja4, "dd3i0101", 8);
}

static void v2(void)
{
	static const uint8_t hello[] = "\1\3\1\0\6\0\0\0\x10\0\0\x2f\0\0\x35" "0123456789abcdef";
	uint8_t b[sizeof(hello)];
	struct tls_hello h;

	memcpy(b, hello, sizeof(b));
	CU_ASSERT(tls_v2_client_hello(cur_of(b, sizeof(b) - 1), &h) && h.version == TLS_1_0 && h.random.n == 16);
	for (size_t n = 0; n < sizeof(b) - 1; n++)
		CU_ASSERT_FALSE(tls_v2_client_hello(cur_of(b, n), &h));
	CU_ASSERT_FALSE(tls_v2_client_hello(cur_of(b, sizeof(b)), &h));
	b[4] = 5;
	CU_ASSERT_FALSE(tls_v2_client_hello(cur_of(b, sizeof(b) - 1), &h));
}

/* Every byte of a hello replaced: whatever it says, only what is there is read. */
static void hostile(void)
{
	static const uint8_t bad[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	struct tls_hello h;

	build_browser(true);
	for (size_t at = 0; at < t.n; at++)
		for (unsigned k = 0; k < COUNT(bad); k++) {
			uint8_t *p = malloc(t.n);
			char ja4[TLS_JA4_LEN + 1];

			memcpy(p, t.b, t.n);
			p[at] = bad[k];
			if (tls_client_hello(cur_of(p, t.n), false, &h)) {
				tls_ja3(&h, &ja3);
				tls_ja4(&h, 't', ja4);
				CU_ASSERT_EQUAL(strlen(ja4), TLS_JA4_LEN);
			}
			tls_server_hello(cur_of(p, t.n), &h);
			tls_client_hello(cur_of(p, t.n), true, &h);
			free(p);
		}
}

static void names(void)
{
	static const struct {
		uint16_t number;
		const char *name;
	} rows[] = {
		{ 0x0000, "TLS_NULL_WITH_NULL_NULL" }, { 0x0004, "TLS_RSA_WITH_RC4_128_MD5" }, { 0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA" },
		{ 0x1301, "TLS_AES_128_GCM_SHA256" }, { 0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" },
		{ 0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" }, { 0xffff, "0xffff" }, { 0x2a2a, "0x2a2a" },
	};
	static const uint16_t all[] = {
#define X(n, text) n,
#include "dpi/tls_suites.def"
#undef X
	};
	char buf[TLS_NAME_MAX];

	for (unsigned i = 0; i < COUNT(rows); i++)
		CU_ASSERT_STRING_EQUAL(tls_cipher_name(rows[i].number, buf), rows[i].name);
	for (unsigned i = 0; i < COUNT(all); i++) {
		CU_ASSERT(i == 0 || all[i - 1] < all[i]);	/* they are looked up by halves */
		CU_ASSERT_NSTRING_EQUAL(tls_cipher_name(all[i], buf), "TLS_", 4);
	}
	CU_ASSERT_STRING_EQUAL(tls_version_name(TLS_SSL2, buf), "SSLv2");
	CU_ASSERT_STRING_EQUAL(tls_version_name(TLS_SSL3, buf), "SSLv3");
	CU_ASSERT_STRING_EQUAL(tls_version_name(TLS_1_0, buf), "TLSv1");
	CU_ASSERT_STRING_EQUAL(tls_version_name(TLS_1_1, buf), "TLS 1.1");
	CU_ASSERT_STRING_EQUAL(tls_version_name(TLS_1_3, buf), "TLS 1.3");
	CU_ASSERT_STRING_EQUAL(tls_version_name(0x7f1c, buf), "TLS 1.3");
	CU_ASSERT_STRING_EQUAL(tls_version_name(0xfefd, buf), "DTLS 1.2");
	CU_ASSERT_STRING_EQUAL(tls_version_name(0x0310, buf), "0x0310");
	CU_ASSERT_STRING_EQUAL(tls_alert_name(40, buf), "handshake_failure");
	CU_ASSERT_STRING_EQUAL(tls_alert_name(120, buf), "no_application_protocol");
	CU_ASSERT_STRING_EQUAL(tls_alert_name(1, buf), "1");
	CU_ASSERT_STRING_EQUAL(tls_alert_name(255, buf), "255");
}

const struct unit_test tests_tls_hello[] = {
	{ "digests and hex", digests },
	{ "JA3 as published, JA3S", ja3_published },
	{ "JA4 as published, with GREASE and without", ja4_published },
	{ "JA4: letters of ALPN", ja4_alpn },
	{ "JA4 of nothing", ja4_empty },
	{ "JA4 of many", ja4_many },
	{ "a long JA3", ja3_long },
	{ "what a hello holds", views },
	{ "extensions that contradict themselves", odd_extensions },
	{ "no hello", not_a_hello },
	{ "ServerHello", server },
	{ "DTLS", dtls },
	{ "SSLv2", v2 },
	{ "hostile bytes", hostile },
	{ "names", names },
	{ 0 },
};
